"""The tables of carts."""

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
from sqlalchemy.dialects.postgresql import JSONB

from shared.tables import metadata

carts = Table(
    "carts",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("state", Text, nullable=False),
    Column("currency", Text, nullable=False),
    # Sealed (shared.runtime.vault), and empty where nothing is known.
    Column("email", LargeBinary, nullable=False),
    Column("address", LargeBinary, nullable=False),
    # Of cart_lines, so that what is listed and what is abandoned needs no look at them.
    Column("line_count", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    # When others were told that it was left.
    Column("abandon_time", DateTime(timezone=True)),
    # No reference: the target may be forgotten first.
    Column("merged_into", Uuid(as_uuid=False)),
    # Set by the checkout.
    Column("complete_time", DateTime(timezone=True)),
    Column("order_id", Uuid(as_uuid=False)),
    # Who was signed in.
    Column("customer_id", Uuid(as_uuid=False)),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    ForeignKeyConstraint(["tenant_id", "customer_id"], ["customers.tenant_id", "customers.id"]),
    CheckConstraint("state IN ('OPEN', 'COMPLETED', 'MERGED')", name="state"),
    CheckConstraint("(state = 'MERGED') = (merged_into IS NOT NULL)", name="merged_into"),
    CheckConstraint("(state = 'COMPLETED') = (complete_time IS NOT NULL)", name="complete_time"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint("line_count BETWEEN 0 AND 200", name="line_count"),
    Index(None, "tenant_id", "create_time", "id"),
    Index("carts_customer", "tenant_id", "customer_id", postgresql_where=text("customer_id IS NOT NULL")),
    Index("carts_forgotten", "update_time"),
    Index(
        "carts_abandoned",
        "update_time",
        postgresql_where=text("state = 'OPEN' AND abandon_time IS NULL AND line_count > 0"),
    ),
)

# No reference to variants: one that is gone stays in the cart, which says so.
cart_lines = Table(
    "cart_lines",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("cart_id", Uuid(as_uuid=False), nullable=False),
    Column("variant_id", Uuid(as_uuid=False), nullable=False),
    # [[name, value], ...] by name, and the SHA-256 of that; empty for none.
    Column("options", JSONB, nullable=False),
    Column("options_hash", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "cart_id", "variant_id", "options_hash"),
    ForeignKeyConstraint(["tenant_id", "cart_id"], ["carts.tenant_id", "carts.id"]),
    CheckConstraint("quantity BETWEEN 1 AND 10000", name="quantity"),
)

cart_codes = Table(
    "cart_codes",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("cart_id", Uuid(as_uuid=False), primary_key=True),
    # As it is compared, and as it was written.
    Column("code", Text, primary_key=True),
    Column("entered", Text, nullable=False),
    # The place in the order in which they were entered.
    Column("position", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant_id", "cart_id"], ["carts.tenant_id", "carts.id"]),
)

# In an order in which references hold.
MOVED = (carts, cart_lines, cart_codes)
