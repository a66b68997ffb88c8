"""What a data-plane process is told by its environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.platform import ports
from shared.runtime.environment import Environment, EnvironmentProblem
from shared.webhooks.guard import Network, networks


@dataclass(frozen=True, slots=True)
class Config:
    """cluster_id: whose tenants are served.
    database_url: the owner's, of a database that no other cluster uses.
    nats_url: where its events go; without one they stay in the outbox.
    webhooks_allow: networks that webhooks may reach though they are not public.
    mail_from, smtp_url, sms_url, push_url: what notifications come from, and who takes them for tenants that have no
    server of their own; an empty URL writes them to files below home.
    media_url: where the bytes of media are kept; the home's own folder when it is empty.
    public_url: where the platform is reached: shops are reached by the same scheme and port.
    address, admin_address, metrics_address: host:port; an empty admin_address or metrics_address serves none.
    """

    home: Path
    cluster_id: str
    database_url: str
    address: str
    control_address: str
    admin_address: str = ""
    metrics_address: str = ""
    pool_size: int = 12
    nats_url: str = ""
    webhooks_allow: tuple[Network, ...] = ()
    mail_from: str = "no-reply@center.localhost"
    smtp_url: str = field(default="", repr=False)
    sms_url: str = field(default="", repr=False)
    push_url: str = field(default="", repr=False)
    media_url: str = ""
    public_url: str = "http://center.localhost:8080"
    log_format: str = "console"
    log_level: str = "info"
    otlp_endpoint: str = ""

    @classmethod
    def from_env(cls, source: Mapping[str, str] | None = None) -> "Config":
        environment = Environment(source)
        cluster_id = environment.required("CENTER_CLUSTER")
        known = {cluster.id: cluster for cluster in ports.CLUSTERS}
        if (cluster := known.get(cluster_id)) is None:
            raise EnvironmentProblem(f"CENTER_CLUSTER={cluster_id!r} is none of {', '.join(known)}")
        try:
            allowed = networks(environment.text("CENTER_WEBHOOKS_ALLOW"))
        except ValueError as error:
            raise EnvironmentProblem(f"CENTER_WEBHOOKS_ALLOW: {error}") from None
        bind = environment.text("CENTER_BIND", "127.0.0.1")
        offset = environment.integer("CENTER_PORT_OFFSET", 0)
        zone = environment.text("CENTER_ZONE", "center.localhost").strip(".").lower()
        return cls(
            home=environment.home(),
            cluster_id=cluster_id,
            database_url=environment.required("CENTER_DATABASE_URL"),
            address=f"{bind}:{cluster.port + offset}",
            control_address=environment.text("CENTER_CONTROL_ADDRESS", f"127.0.0.1:{ports.CONTROL + offset}"),
            # For the machine itself, whatever else is bound.
            admin_address=f"127.0.0.1:{cluster.admin + offset}",
            metrics_address=f"{bind}:{cluster.metrics + offset}",
            nats_url=environment.text("CENTER_NATS_URL", f"tls://127.0.0.1:{ports.NATS + offset}"),
            webhooks_allow=allowed,
            mail_from=environment.text("CENTER_MAIL_FROM", f"no-reply@{zone}"),
            smtp_url=environment.text("CENTER_SMTP_URL"),
            sms_url=environment.text("CENTER_SMS_URL"),
            push_url=environment.text("CENTER_PUSH_URL"),
            media_url=environment.text("CENTER_MEDIA_URL"),
            public_url=environment.text("CENTER_PUBLIC_URL", f"http://center.localhost:{ports.ENVOY + offset}"),
            log_format=environment.choice("CENTER_LOG_FORMAT", ("console", "json")),
            log_level=environment.choice("CENTER_LOG_LEVEL", ("info", "debug", "warning", "error")),
            otlp_endpoint=environment.text("CENTER_OTLP_ENDPOINT"),
        )
