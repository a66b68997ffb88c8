"""python -m edge: serves routes to every Envoy of this platform."""

from edge.app import running
from edge.config import Config
from shared.runtime import telemetry
from shared.runtime.rpc.process import run


def main() -> None:
    config = Config.from_env()
    telemetry.configure(
        "edge", log_format=config.log_format, level=config.log_level, otlp_endpoint=config.otlp_endpoint
    )
    run(lambda: running(config))


if __name__ == "__main__":
    main()
