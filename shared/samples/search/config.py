"""What the example solution reads from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.runtime.environment import Environment
from shared.samples.search import registration

CATALOGUE = Path(__file__).parent.parent / "data" / "online-retail-2010-12.csv.gz"
CONTROL_PORT = 7100


@dataclass(frozen=True, slots=True)
class Config:
    home: Path
    offset: int = 0
    bind: str = "127.0.0.1"
    zone: str = "center.localhost"
    control_address: str = f"127.0.0.1:{CONTROL_PORT}"
    catalogue: Path = CATALOGUE

    @classmethod
    def from_env(cls, source: Mapping[str, str] | None = None) -> "Config":
        environment = Environment(source)
        offset = environment.integer("CENTER_PORT_OFFSET", 0, maximum=50_000)
        return cls(
            home=environment.home(),
            offset=offset,
            bind=environment.text("CENTER_BIND", "127.0.0.1"),
            zone=environment.text("CENTER_ZONE", "center.localhost").lower().rstrip("."),
            control_address=environment.text("CENTER_CONTROL_ADDRESS", f"127.0.0.1:{CONTROL_PORT + offset}"),
        )

    @property
    def port(self) -> int:
        return registration.PORT + self.offset

    @property
    def register_url(self) -> str:
        return f"http://{self.zone}:{registration.ENVOY_PORT + self.offset}/register?solution_id={registration.ID}"
