"""The tables of notifications in a cluster's database."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)

from shared.tables import metadata

_CHANNELS = "channel IN ('EMAIL', 'SMS', 'PUSH')"


def _tenant() -> Column[str]:
    return Column("tenant_id", Uuid(as_uuid=False), primary_key=True)


def _time(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


# How a tenant sends.
settings = Table(
    "notification_settings",
    metadata,
    _tenant(),
    Column("sender_name", Text, nullable=False),
    Column("sender_address", Text, nullable=False),
    Column("default_locale", Text, nullable=False),
    _time("update_time"),
)

providers = Table(
    "notification_providers",
    metadata,
    _tenant(),
    Column("channel", Text, primary_key=True),
    Column("url", Text, nullable=False),
    # {"user": ..., "secret": ...}, sealed.
    Column("credentials", LargeBinary),
    # A second; 0 is the platform's.
    Column("rate", BigInteger, nullable=False),
    CheckConstraint(_CHANNELS, name="channel"),
    CheckConstraint("rate >= 0", name="rate"),
)

# A token bucket each, kept as the moment at which it counts as empty.
paces = Table(
    "notification_paces",
    metadata,
    _tenant(),
    Column("channel", Text, primary_key=True),
    _time("empty_time"),
)

templates = Table(
    "notification_templates",
    metadata,
    _tenant(),
    Column("name", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("locale", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("active", Boolean, nullable=False),
    Column("category", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("html", Text, nullable=False),
    _time("create_time"),
    CheckConstraint(_CHANNELS, name="channel"),
    Index(
        "notification_templates_active", "tenant_id", "name", "channel", "locale", unique=True,
        postgresql_where=text("active"),
    ),
)  # fmt: skip

# What recipients do not want: an empty channel or category stands for all of them.
preferences = Table(
    "notification_preferences",
    metadata,
    _tenant(),
    Column("recipient_hash", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("category", Text, primary_key=True),
)

suppressions = Table(
    "notification_suppressions",
    metadata,
    _tenant(),
    Column("recipient_hash", Text, primary_key=True),
    Column("recipient", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    _time("create_time"),
    CheckConstraint("reason IN ('BOUNCE', 'COMPLAINT', 'MANUAL')", name="reason"),
    Index("notification_suppressions_newest", "tenant_id", "create_time", "recipient_hash"),
)

triggers = Table(
    "notification_triggers",
    metadata,
    _tenant(),
    Column("name", Text, primary_key=True),
    Column("event_type", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("channel", Text, nullable=False),
    # It may be an address: sealed.
    Column("recipient", LargeBinary, nullable=False),
    Column("locale", Text, nullable=False),
    _time("create_time"),
    CheckConstraint(_CHANNELS, name="channel"),
    Index(None, "tenant_id", "event_type"),
)

notifications = Table(
    "notifications",
    metadata,
    _tenant(),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("dedup_key", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("recipient_hash", Text, nullable=False),
    # Sealed, both; gone once nobody needs them.
    Column("recipient", LargeBinary),
    Column("variables", LargeBinary),
    Column("locale", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("template_version", BigInteger, nullable=False),
    # Of SENDING, the end of the lease.
    _time("next_attempt_time"),
    Column("last_error", Text, nullable=False),
    Column("provider_id", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    _time("create_time"),
    _time("update_time"),
    _time("end_time", nullable=True),
    CheckConstraint(_CHANNELS, name="channel"),
    CheckConstraint("state IN ('PENDING', 'SENDING', 'SENT', 'FAILED', 'SUPPRESSED')", name="state"),
    CheckConstraint("state IN ('SENT', 'FAILED', 'SUPPRESSED') = (end_time IS NOT NULL)", name="end_time"),
    CheckConstraint("state NOT IN ('PENDING', 'SENDING') OR recipient IS NOT NULL", name="recipient"),
    # One delivery per event, template, channel and recipient.
    Index("notifications_once", "tenant_id", "dedup_key", "template", "channel", "recipient_hash", unique=True),
    Index(
        "notifications_due", "tenant_id", "channel", "next_attempt_time",
        postgresql_where=text("state IN ('PENDING', 'SENDING')"),
    ),
    Index(None, "tenant_id", "create_time", "id"),
    Index(None, "tenant_id", "state", "create_time", "id"),
    Index(None, "tenant_id", "recipient_hash", "create_time", "id"),
    Index("notifications_ended", "end_time", postgresql_where=text("end_time IS NOT NULL")),
)  # fmt: skip

attempts = Table(
    "notification_attempts",
    metadata,
    _tenant(),
    Column("notification_id", Uuid(as_uuid=False), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _time("begin_time"),
    _time("end_time"),
    Column("outcome", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("template_version", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant_id", "notification_id"], ["notifications.tenant_id", "notifications.id"]),
    CheckConstraint("outcome IN ('SENT', 'TRANSIENT', 'PERMANENT', 'UNKNOWN')", name="outcome"),
)

# In an order in which references hold.
MOVED = (settings, providers, paces, templates, preferences, suppressions, triggers, notifications, attempts)
