"""What a control process is told by its environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from control.clusters.domain import Endpoint
from control.clusters.ops import Seed
from shared.platform import ports
from shared.runtime.environment import Environment, EnvironmentProblem


@dataclass(frozen=True, slots=True)
class Config:
    """database_url: the owner's.
    address, admin_address, metrics_address: host:port; an empty admin_address or metrics_address serves none.
    environment: stands in every token and key; those of another one are refused.
    zone: the platform's own DNS zone. zone_file: answers TXT proofs in place of DNS; None asks the DNS.
    public_url: where users find the platform's own pages.
    mail_from, smtp_url: who mail comes from, and who takes it; an empty smtp_url writes it to files below home.
    nats_url: where events go and come from; without one they stay in the outbox.
    seeds: the clusters that the platform starts with.
    retained: how many changes a watcher may be behind without getting a snapshot.
    lease_s: how long the step of a worker that died stays its own.
    units_lease_s: how long units of a validator that went silent wait for it before they count as spent.
    drain_s: how long after the last edge has turned requests may still be under way at the old place of a tenant.
    heartbeat_s: how often an idle watch is told that it lives.
    """

    home: Path
    database_url: str
    address: str
    admin_address: str = ""
    metrics_address: str = ""
    environment: str = "dev"
    zone: str = "center.localhost"
    zone_file: Path | None = None
    public_url: str = "http://center.localhost:8080"
    mail_from: str = "no-reply@center.localhost"
    smtp_url: str = field(default="", repr=False)
    seeds: tuple[Seed, ...] = ()
    pool_size: int = 20
    retained: int = 50_000
    lease_s: float = 5.0
    units_lease_s: float = 30.0
    drain_s: float = 2.0
    heartbeat_s: float = 10.0
    nats_url: str = ""
    log_format: str = "console"
    log_level: str = "info"
    otlp_endpoint: str = ""

    @classmethod
    def from_env(cls, source: Mapping[str, str] | None = None) -> "Config":
        environment = Environment(source)
        bind = environment.text("CENTER_BIND", "127.0.0.1")
        offset = environment.integer("CENTER_PORT_OFFSET", 0)
        given = environment.text("CENTER_CLUSTERS")
        zone_file = environment.text("CENTER_DNS_ZONE_FILE")
        zone = environment.text("CENTER_ZONE", "center.localhost").strip(".").lower()
        return cls(
            home=environment.home(),
            database_url=environment.required("CENTER_DATABASE_URL"),
            address=f"{bind}:{ports.CONTROL + offset}",
            # For the machine itself, whatever else is bound.
            admin_address=f"127.0.0.1:{ports.CONTROL_ADMIN + offset}",
            metrics_address=f"{bind}:{ports.CONTROL_METRICS + offset}",
            environment=_environment(environment.text("CENTER_ENVIRONMENT", "dev")),
            zone=zone,
            zone_file=environment.path("CENTER_DNS_ZONE_FILE", zone_file) if zone_file else None,
            public_url=environment.text("CENTER_PUBLIC_URL", f"http://{zone}:{ports.ENVOY + offset}").rstrip("/"),
            mail_from=environment.text("CENTER_MAIL_FROM", f"no-reply@{zone}"),
            smtp_url=environment.text("CENTER_SMTP_URL"),
            seeds=seeds(given) if given else _this_machine(offset),
            nats_url=environment.text("CENTER_NATS_URL", f"tls://127.0.0.1:{ports.NATS + offset}"),
            log_format=environment.choice("CENTER_LOG_FORMAT", ("console", "json")),
            log_level=environment.choice("CENTER_LOG_LEVEL", ("info", "debug", "warning", "error")),
            otlp_endpoint=environment.text("CENTER_OTLP_ENDPOINT"),
        )


def _environment(text: str) -> str:
    if not re.fullmatch("[a-z0-9]{1,8}", text):
        raise EnvironmentProblem(f"CENTER_ENVIRONMENT: {text!r} is not one to eight of a-z0-9")
    return text


_SEED = re.compile(r"([a-z0-9][a-z0-9-]{0,62})=([a-z0-9][a-z0-9-]{0,62})@(.+):(\d{1,5})")


def seeds(text: str) -> tuple[Seed, ...]:
    """eu-1=eu@10.0.0.1:7301,us-1=us@10.0.0.2:7302 as clusters."""
    found = []
    for part in text.split(","):
        match = _SEED.fullmatch(part.strip())
        if match is None:
            raise EnvironmentProblem(f"CENTER_CLUSTERS: {part.strip()!r} is not CLUSTER=REGION@HOST:PORT")
        found.append(Seed(match[1], match[2], Endpoint(match[3], int(match[4]))))
    return tuple(found)


def _this_machine(offset: int) -> tuple[Seed, ...]:
    return tuple(
        Seed(cluster.id, cluster.region, Endpoint("127.0.0.1", cluster.port + offset)) for cluster in ports.CLUSTERS
    )
