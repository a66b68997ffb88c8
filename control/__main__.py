"""The control plane's process: python -m control."""

from control.app import running
from control.config import Config
from shared.runtime import telemetry
from shared.runtime.rpc.process import run


def main() -> None:
    config = Config.from_env()
    telemetry.configure(
        "control", log_format=config.log_format, level=config.log_level, otlp_endpoint=config.otlp_endpoint
    )
    run(lambda: running(config))


if __name__ == "__main__":
    main()
