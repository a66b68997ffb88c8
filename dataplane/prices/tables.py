"""The tables of price lists, in each cluster's database."""

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKeyConstraint, Index, Table, Text, Uuid

from shared.tables import metadata

price_lists = Table(
    "price_lists",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("start_time", DateTime(timezone=True)),
    Column("end_time", DateTime(timezone=True)),
    Column("status", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint("status IN ('ACTIVE', 'ARCHIVED')", name="status"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    Index(None, "tenant_id", "create_time", "id"),
)

# Their currency is their list's.
prices = Table(
    "prices",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("list_id", Uuid(as_uuid=False), primary_key=True),
    Column("variant_id", Uuid(as_uuid=False), primary_key=True),
    Column("min_quantity", BigInteger, primary_key=True),
    Column("amount_minor", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant_id", "list_id"], ["price_lists.tenant_id", "price_lists.id"]),
    ForeignKeyConstraint(["tenant_id", "variant_id"], ["variants.tenant_id", "variants.id"], ondelete="CASCADE"),
    CheckConstraint("min_quantity >= 1", name="min_quantity"),
    CheckConstraint("amount_minor >= 0", name="amount_minor"),
    Index(None, "tenant_id", "variant_id"),
)

# In an order in which references hold; variants come before them.
MOVED = (price_lists, prices)
