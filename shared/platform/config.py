"""What `center up` reads from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.platform import ports
from shared.runtime.environment import Environment


@dataclass(frozen=True, slots=True)
class Config:
    home: Path
    offset: int = 0
    bind: str = "127.0.0.1"
    zone: str = "center.localhost"
    # An outside PostgreSQL server whose role may create databases and roles; empty starts the embedded one.
    database_url: str = ""
    # A NATS cluster elsewhere, with JetStream; empty starts the one out of the wheel.
    nats_url: str = ""
    # A control plane elsewhere, for the operators' commands; empty for this machine's.
    remote_control: str = ""
    # Whether the example solution runs beside the platform.
    example: bool = True
    # What the processes inherit, beside what the supervisor sets for each.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_env(cls, source: Mapping[str, str] | None = None) -> "Config":
        source = os.environ if source is None else source
        environment = Environment(source)
        # The highest port of the table must stay a port.
        highest = 65535 - ports.ENVOY_ADMIN
        return cls(
            home=environment.home(),
            offset=environment.integer("CENTER_PORT_OFFSET", 0, maximum=highest),
            bind=environment.text("CENTER_BIND", "127.0.0.1"),
            zone=environment.text("CENTER_ZONE", "center.localhost"),
            database_url=environment.text("CENTER_DATABASE_URL"),
            nats_url=environment.text("CENTER_NATS_URL"),
            remote_control=environment.text("CENTER_CONTROL_ADDRESS"),
            example=environment.choice("CENTER_EXAMPLE", ("on", "off")) == "on",
            environment=dict(source),
        )

    @property
    def control_address(self) -> str:
        return self.remote_control or self.address(ports.CONTROL)

    @property
    def nats(self) -> str:
        """Where this machine reaches NATS."""
        return self.nats_url or f"tls://{self.address(ports.NATS)}"

    @property
    def connect_host(self) -> str:
        """Where this machine reaches its own servers: a wildcard is an address to listen on, not to call."""
        return "127.0.0.1" if self.bind in ("0.0.0.0", "::") else self.bind

    def address(self, port: int) -> str:
        return f"{self.connect_host}:{port + self.offset}"
