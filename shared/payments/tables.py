"""The tables of payments, in each cluster's database."""

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
    text,
)

from shared.tables import metadata

# Which provider takes a tenant's payments. Keys are sealed (shared.runtime.vault).
payment_settings = Table(
    "payment_settings",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("provider", Text, nullable=False),
    Column("api_base", Text, nullable=False),
    Column("secret_key", LargeBinary, nullable=False),
    Column("webhook_secret", LargeBinary, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
)

payments = Table(
    "payments",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("reference", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("authorized_minor", BigInteger, nullable=False),
    # What open operations have reserved.
    Column("capturing_minor", BigInteger, nullable=False),
    Column("captured_minor", BigInteger, nullable=False),
    Column("refunding_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    Column("provider", Text, nullable=False),
    Column("provider_payment_id", Text, nullable=False),
    # The provider's token, never a card.
    Column("payment_method", Text, nullable=False),
    Column("return_url", Text, nullable=False),
    Column("action_url", Text, nullable=False),
    Column("failure_reason", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint(
        "state IN ('PENDING', 'REQUIRES_ACTION', 'AUTHORIZED', 'CAPTURED', 'PARTIALLY_REFUNDED', 'REFUNDED',"
        " 'VOIDED', 'FAILED')",
        name="state",
    ),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint("amount_minor > 0", name="amount"),
    CheckConstraint("authorized_minor >= 0 AND authorized_minor <= amount_minor", name="authorized"),
    CheckConstraint(
        "capturing_minor >= 0 AND captured_minor >= 0 AND captured_minor + capturing_minor <= authorized_minor",
        name="captured",
    ),
    CheckConstraint(
        "refunding_minor >= 0 AND refunded_minor >= 0 AND refunded_minor + refunding_minor <= captured_minor",
        name="refunded",
    ),
    Index(None, "tenant_id", "create_time", "id"),
    Index(None, "tenant_id", "reference"),
    Index(
        "payments_provider_payment",
        "tenant_id",
        "provider",
        "provider_payment_id",
        unique=True,
        postgresql_where=text("provider_payment_id <> ''"),
    ),
)

# Each is committed before the provider is asked; its id is the idempotency key, over all tries.
payment_operations = Table(
    "payment_operations",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("payment_id", Uuid(as_uuid=False), nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("provider_reference", Text, nullable=False),
    Column("failure_reason", Text, nullable=False),
    # When somebody asks the provider again, while it is open.
    Column("look_time", DateTime(timezone=True), nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id", "payment_id"], ["payments.tenant_id", "payments.id"]),
    CheckConstraint("kind IN ('AUTHORIZE', 'CAPTURE', 'REFUND', 'VOID')", name="kind"),
    CheckConstraint("state IN ('PENDING', 'SUCCEEDED', 'FAILED', 'UNKNOWN')", name="state"),
    CheckConstraint("amount_minor > 0", name="amount"),
    Index(None, "tenant_id", "payment_id"),
    # A payment is authorized, captured and voided once, whatever any code believes.
    Index(
        "payment_operations_once",
        "tenant_id",
        "payment_id",
        "kind",
        unique=True,
        postgresql_where=text("kind <> 'REFUND' AND state <> 'FAILED'"),
    ),
    Index(
        "payment_operations_refund",
        "tenant_id",
        "provider_reference",
        unique=True,
        postgresql_where=text("kind = 'REFUND' AND provider_reference <> ''"),
    ),
    Index("payment_operations_due", "look_time", postgresql_where=text("state IN ('PENDING', 'UNKNOWN')")),
)

# What providers reported by themselves. Events hold names and addresses of payers: what is kept is that they came.
payment_events = Table(
    "payment_events",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("provider", Text, nullable=False),
    Column("provider_event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("payment_id", Uuid(as_uuid=False), nullable=False),
    # When the provider says that it happened.
    Column("event_time", DateTime(timezone=True), nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    UniqueConstraint("tenant_id", "provider", "provider_event_id"),
    ForeignKeyConstraint(["tenant_id", "payment_id"], ["payments.tenant_id", "payments.id"]),
    Index(None, "tenant_id", "payment_id"),
)

# In an order in which references hold.
MOVED = (payment_settings, payments, payment_operations, payment_events)
