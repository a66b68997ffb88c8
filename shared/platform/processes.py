"""The process table: what runs on one machine, how it is started, and how one knows that it works."""

import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.platform import example, health, nats, ports, postgres
from shared.platform.config import Config
from shared.samples.search import registration

IDENTITIES = (
    *("operator", "control", "edge", "envoy", nats.IDENTITY),
    *(f"cluster/{cluster.id}" for cluster in ports.CLUSTERS),
    f"solution/{registration.ID}",
)


@dataclass(frozen=True, slots=True)
class Process:
    name: str
    command: Sequence[str]
    address: str
    # Every port it binds, with its use.
    ports: Sequence[tuple[int, str]]
    is_healthy: Callable[[], Awaitable[bool]] = field(repr=False)
    # Whose health it waits for before its first start.
    after: Sequence[str] = ()
    # Done then, until it succeeds.
    before_start: Callable[[], Awaitable[None]] | None = field(default=None, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM


def database(name: str) -> str:
    """center_eu_1 of eu-1."""
    return f"center_{name.replace('-', '_')}"


def databases() -> list[str]:
    return [database(name) for name in ("control", *(cluster.id for cluster in ports.CLUSTERS))]


def server_url(config: Config) -> str:
    """The PostgreSQL server's URL, of the embedded one unless the environment names another."""
    if config.database_url:
        return config.database_url
    return postgres.url(config.home, config.connect_host, ports.POSTGRES + config.offset)


def table(config: Config) -> list[Process]:
    """In the order of starting."""
    home, offset = config.home, config.offset
    common = {
        "CENTER_HOME": str(home),
        "CENTER_PORT_OFFSET": str(offset),
        # One JSON object a line, so that the foreground can pick out warnings.
        "CENTER_LOG_FORMAT": config.environment.get("CENTER_LOG_FORMAT", "json"),
        "PYTHONUNBUFFERED": "1",
    }

    def serves(port: int, server: str) -> Callable[[], Awaitable[bool]]:
        return lambda: health.grpc_serves(home, config.address(port), server)

    def owned(name: str) -> dict[str, str]:
        return {"CENTER_DATABASE_URL": postgres.with_database(server_url(config), database(name))}

    def python(name: str, module: str, uses: Sequence[tuple[int, str]], **rest: object) -> Process:
        return Process(
            name=name,
            command=[sys.executable, "-m", module],
            address=config.address(uses[0][0]),
            ports=[(port + offset, use) for port, use in uses],
            **rest,  # type: ignore[arg-type]
        )

    processes = []
    if not config.database_url:
        url = server_url(config)
        processes.append(
            Process(
                name="postgres",
                command=postgres.command(home, config.bind, ports.POSTGRES + offset),
                address=config.address(ports.POSTGRES),
                ports=[(ports.POSTGRES + offset, "PostgreSQL")],
                is_healthy=lambda: postgres.serves(url, databases()),
                user=postgres.system_user(),
                # Fast shutdown: PostgreSQL's SIGTERM waits for every client to leave by itself.
                stop_signal=signal.SIGINT,
            )
        )
    first = tuple(process.name for process in processes)
    if not config.nats_url:
        processes.append(
            Process(
                name="nats",
                command=nats.command(home),
                address=config.address(ports.NATS),
                ports=[(ports.NATS + offset, "NATS"), (ports.NATS_MONITOR + offset, "NATS monitoring")],
                # Nobody waits for it: what happens meanwhile is in the outboxes.
                is_healthy=lambda: health.http_ready(f"127.0.0.1:{ports.NATS_MONITOR + offset}", "/healthz"),
            )
        )
    processes.append(
        python(
            "control",
            "control",
            [(ports.CONTROL, "control gRPC"), (ports.CONTROL_ADMIN, "admin"), (ports.CONTROL_METRICS, "metrics")],
            is_healthy=serves(ports.CONTROL, "control"),
            after=first,
            environment=common | owned("control"),
        )
    )
    for cluster in ports.CLUSTERS:
        processes.append(
            python(
                cluster.id,
                "dataplane",
                [(cluster.port, f"cluster {cluster.id}"), (cluster.admin, "admin"), (cluster.metrics, "metrics")],
                is_healthy=serves(cluster.port, cluster.id),
                after=("control",),
                environment=common
                | owned(cluster.id)
                | {"CENTER_CLUSTER": cluster.id, "CENTER_REGION": cluster.region},
            )
        )

    processes.append(
        python(
            "payments",
            "shared.payments.simulator",
            [(ports.PAYMENTS, "payments simulator")],
            # For this machine only, whatever else is bound.
            is_healthy=lambda: health.http_ready(f"127.0.0.1:{ports.PAYMENTS + offset}", "/healthz"),
            environment=common,
        )
    )
    if config.example:
        processes.append(
            python(
                registration.ID,
                "shared.samples.search",
                [(ports.EXAMPLE, "example solution")],
                is_healthy=lambda: health.http_ready(config.address(ports.EXAMPLE), "/healthz"),
                after=("control",),
                before_start=lambda: example.register(config),
                environment=common,
            )
        )

    processes.append(
        python(
            "edge",
            "edge",
            [(ports.EDGE, "xDS"), (ports.EDGE_ADMIN, "admin"), (ports.EDGE_METRICS, "metrics")],
            is_healthy=serves(ports.EDGE, "edge"),
            after=("control",),
            environment=common,
        )
    )

    async def envoy_serves() -> bool:
        return await health.http_ready(config.address(ports.ENVOY_ADMIN), "/ready") and await health.listens(
            config.address(ports.ENVOY)
        )

    processes.append(
        python(
            "envoy",
            "edge.envoy",
            [(ports.ENVOY, "Envoy HTTP"), (ports.ENVOY_ADMIN, "Envoy admin")],
            is_healthy=envoy_serves,
            after=("edge",),
            environment=common,
        )
    )
    return processes


def log_path(home: Path, name: str) -> Path:
    return home / "logs" / f"{name}.log"
