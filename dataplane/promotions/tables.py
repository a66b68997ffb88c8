"""The tables of promotions, in each cluster's database."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.tables import metadata

promotions = Table(
    "promotions",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("code", Text, nullable=False),
    # What codes are compared by: dataplane.promotions.domain.code_key.
    Column("code_key", Text, nullable=False),
    Column("automatic", Boolean, nullable=False),
    Column("priority", BigInteger, nullable=False),
    Column("exclusive", Boolean, nullable=False),
    Column("stack_group", Text, nullable=False),
    Column("start_time", DateTime(timezone=True)),
    Column("end_time", DateTime(timezone=True)),
    Column("usage_limit", BigInteger),
    Column("per_customer_limit", BigInteger),
    Column("budget_minor", BigInteger),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    # [[[attribute, op, [value, ...]], ...], ...]: always read and written as a whole.
    Column("rule_sets", JSONB, nullable=False),
    Column("effect_type", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("allocation", Text, nullable=False),
    Column("basis_points", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("max_quantity", BigInteger, nullable=False),
    Column("buy_quantity", BigInteger, nullable=False),
    Column("get_quantity", BigInteger, nullable=False),
    # Of the redemptions that count: written with them, and never by a change of the promotion.
    Column("uses", BigInteger, nullable=False),
    Column("spent_minor", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint("status IN ('ACTIVE', 'PAUSED', 'ARCHIVED')", name="status"),
    CheckConstraint("automatic = (code = '') AND automatic = (code_key = '')", name="code"),
    CheckConstraint("currency ~ '^([A-Z]{3})?$'", name="currency"),
    CheckConstraint("effect_type IN ('PERCENT', 'FIXED', 'FREE_SHIPPING', 'BUY_X_GET_Y')", name="effect_type"),
    CheckConstraint("target IN ('ORDER', 'ITEM', 'SHIPPING')", name="target"),
    CheckConstraint("allocation IN ('EACH', 'ACROSS')", name="allocation"),
    CheckConstraint("basis_points BETWEEN 0 AND 10000", name="basis_points"),
    # Whatever any code believes.
    CheckConstraint("uses >= 0 AND (usage_limit IS NULL OR uses <= usage_limit)", name="uses"),
    CheckConstraint("spent_minor >= 0 AND (budget_minor IS NULL OR spent_minor <= budget_minor)", name="spent"),
    # An archived one gives up its code.
    Index(
        "promotions_code",
        "tenant_id",
        "code_key",
        unique=True,
        postgresql_where=text("code_key <> '' AND status <> 'ARCHIVED'"),
    ),
    Index(None, "tenant_id", "automatic", "status"),
    Index(None, "tenant_id", "create_time", "id"),
)

# An order's use of a promotion; only the time at which it was given back is ever written over.
promotion_redemptions = Table(
    "promotion_redemptions",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("promotion_id", Uuid(as_uuid=False), nullable=False),
    Column("order_id", Uuid(as_uuid=False), nullable=False),
    Column("customer_id", Uuid(as_uuid=False)),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("cancel_time", DateTime(timezone=True)),
    UniqueConstraint("tenant_id", "promotion_id", "order_id"),
    ForeignKeyConstraint(["tenant_id", "promotion_id"], ["promotions.tenant_id", "promotions.id"]),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint("amount_minor > 0", name="amount"),
    Index(None, "tenant_id", "promotion_id", "customer_id"),
    Index(None, "tenant_id", "order_id"),
    Index(None, "tenant_id", "create_time", "id"),
)

# In an order in which references hold.
MOVED = (promotions, promotion_redemptions)
