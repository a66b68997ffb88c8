"""What the simulated provider is told by its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.platform import ports
from shared.runtime.environment import Environment


@dataclass(frozen=True, slots=True)
class Config:
    """It serves this machine only. webhooks_through: where every webhook goes, whatever host it is for: Envoy."""

    home: Path
    port: int
    webhooks_through: str

    @classmethod
    def from_env(cls, source: Mapping[str, str] | None = None) -> "Config":
        environment = Environment(source)
        offset = environment.integer("CENTER_PORT_OFFSET", 0)
        bind = environment.text("CENTER_BIND", "127.0.0.1")
        host = "127.0.0.1" if bind in ("0.0.0.0", "::") else bind
        return cls(environment.home(), ports.PAYMENTS + offset, f"{host}:{ports.ENVOY + offset}")
