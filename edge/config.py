"""What the edge and its proxy read from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.runtime.environment import Environment, EnvironmentProblem

CONTROL_PORT = 7100
XDS_PORT = 7200
ADMIN_PORT = 7210
METRICS_PORT = 7220
HTTP_PORT = 8080
ENVOY_ADMIN_PORT = 9901


@dataclass(frozen=True, slots=True)
class Config:
    home: Path
    offset: int = 0
    bind: str = "127.0.0.1"
    # The name of this replica among the catalog's watchers, stable over restarts.
    instance: str = "edge-1"
    zone: str = "center.localhost"
    # Where the platform's own domain is, for people.
    public_url: str = "http://center.localhost:8080"
    # Whose tokens hold here.
    environment: str = "dev"
    control_host: str = "127.0.0.1"
    control_port: int = CONTROL_PORT
    region_id: str = ""
    log_format: str = "console"
    log_level: str = "info"
    otlp_endpoint: str = ""

    @classmethod
    def from_env(cls, source: Mapping[str, str] | None = None) -> "Config":
        environment = Environment(source)
        offset = environment.integer("CENTER_PORT_OFFSET", 0, maximum=65535 - ENVOY_ADMIN_PORT)
        control = environment.text("CENTER_CONTROL_ADDRESS", f"127.0.0.1:{CONTROL_PORT + offset}")
        host, _, port = control.rpartition(":")
        if not host or not port.isdecimal():
            raise EnvironmentProblem(f"CENTER_CONTROL_ADDRESS={control!r} is not host:port")
        zone = environment.text("CENTER_ZONE", "center.localhost").lower().rstrip(".")
        return cls(
            home=environment.home(),
            offset=offset,
            bind=environment.text("CENTER_BIND", "127.0.0.1"),
            instance=environment.text("CENTER_INSTANCE", "edge-1"),
            zone=zone,
            public_url=environment.text("CENTER_PUBLIC_URL", f"http://{zone}:{HTTP_PORT + offset}").rstrip("/"),
            environment=environment.text("CENTER_ENVIRONMENT", "dev"),
            control_host=host.strip("[]"),
            control_port=int(port),
            region_id=environment.text("CENTER_REGION"),
            log_format=environment.choice("CENTER_LOG_FORMAT", ("console", "json")),
            log_level=environment.choice("CENTER_LOG_LEVEL", ("info", "debug", "warning", "error")),
            otlp_endpoint=environment.text("CENTER_OTLP_ENDPOINT"),
        )

    @property
    def control_address(self) -> str:
        return f"{self.control_host}:{self.control_port}"

    @property
    def folder(self) -> Path:
        """Where the last good state of the catalog is kept."""
        return self.home / "edge"

    def address(self, port: int) -> str:
        return f"{self.bind}:{port + self.offset}" if port else f"{self.bind}:0"

    @property
    def connect_host(self) -> str:
        """Where this machine reaches its own servers: a wildcard is an address to listen on, not to call."""
        return "127.0.0.1" if self.bind in ("0.0.0.0", "::") else self.bind
