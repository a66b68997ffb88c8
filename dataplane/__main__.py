"""The process of one cluster: CENTER_CLUSTER=eu-1 python -m dataplane."""

from dataplane.app import running
from dataplane.config import Config
from shared.runtime import telemetry
from shared.runtime.rpc import run


def main() -> None:
    config = Config.from_env()
    telemetry.configure(
        f"cluster/{config.cluster_id}",
        log_format=config.log_format,
        level=config.log_level,
        otlp_endpoint=config.otlp_endpoint,
    )
    run(lambda: running(config))


if __name__ == "__main__":
    main()
