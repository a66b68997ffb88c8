"""Webhooks' tables in a cluster's database."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from shared.tables import metadata

endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("disable_reason", Text, nullable=False),
    Column("disable_time", DateTime(timezone=True)),
    Column("failing_since", DateTime(timezone=True)),
    # Sealed; empty once it is deleted.
    Column("secret", LargeBinary, nullable=False),
    Column("old_secret", LargeBinary),
    Column("old_secret_expire_time", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    CheckConstraint("state IN ('ENABLED', 'DISABLED', 'DELETED')", name="state"),
    Index(None, "tenant_id", "create_time", "id"),
)

# What each endpoint wants, and of what happened since when.
subscriptions = Table(
    "webhook_subscriptions",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("endpoint_id", Uuid(as_uuid=False), primary_key=True),
    Column("event_type", Text, primary_key=True),
    Column("since", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "endpoint_id"], ["webhook_endpoints.tenant_id", "webhook_endpoints.id"], ondelete="CASCADE"
    ),
    Index(None, "tenant_id", "event_type"),
)

# Each event once, as it is sent to whoever wants it.
events = Table(
    "webhook_events",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("payload", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("webhook_events_create_time", "create_time"),
)

deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("endpoint_id", Uuid(as_uuid=False), nullable=False),
    Column("event_id", Uuid(as_uuid=False), nullable=False),
    Column("event_type", Text, nullable=False),
    Column("event_time", DateTime(timezone=True), nullable=False),
    # What it is about, such as product/ID, and the event's place among those about it.
    Column("aggregate", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt_count", BigInteger, nullable=False),
    # While it is being tried, when whoever does that is taken for dead; null once it is over.
    Column("next_attempt_time", DateTime(timezone=True)),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    Column("end_time", DateTime(timezone=True)),
    Column("last_error", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("tenant_id", "endpoint_id", "event_id"),
    ForeignKeyConstraint(["tenant_id", "endpoint_id"], ["webhook_endpoints.tenant_id", "webhook_endpoints.id"]),
    ForeignKeyConstraint(
        ["tenant_id", "event_id"], ["webhook_events.tenant_id", "webhook_events.id"], ondelete="CASCADE"
    ),
    CheckConstraint("state IN ('PENDING', 'SUCCEEDED', 'DEAD')", name="state"),
    CheckConstraint("(state = 'PENDING') = (next_attempt_time IS NOT NULL)", name="next_attempt_time"),
    Index(None, "tenant_id", "create_time", "id"),
    Index(None, "tenant_id", "event_id"),
    Index(None, "tenant_id", "endpoint_id", "event_time", "id"),
    # Both hold what waits. Their conditions differ, so that a statement fits one of them and never the other.
    Index(
        "webhook_deliveries_order",
        "tenant_id",
        "endpoint_id",
        "aggregate",
        "sequence",
        "id",
        postgresql_where=text("state = 'PENDING'"),
    ),
    Index(
        "webhook_deliveries_due",
        "tenant_id",
        "endpoint_id",
        "next_attempt_time",
        postgresql_where=text("next_attempt_time IS NOT NULL"),
    ),
)

attempts = Table(
    "webhook_attempts",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("delivery_id", Uuid(as_uuid=False), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("start_time", DateTime(timezone=True), nullable=False),
    Column("latency_ms", BigInteger, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("answer", Text, nullable=False),
    Column("error", Text, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "delivery_id"], ["webhook_deliveries.tenant_id", "webhook_deliveries.id"], ondelete="CASCADE"
    ),
)

MOVED = (endpoints, subscriptions, events, deliveries, attempts)
