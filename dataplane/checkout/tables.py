"""The tables of checkouts, and of how a shop sells."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    LargeBinary,
    Table,
    Text,
    Uuid,
)

from shared.tables import metadata

# A cart whose stock is held, as it was then; goes when it is abandoned, and with its cart.
checkouts = Table(
    "checkouts",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("cart_id", Uuid(as_uuid=False), primary_key=True),
    # Of the cart: another one means that what is held is not what is wanted.
    Column("cart_version", BigInteger, nullable=False),
    # As the settings have it, and what the shopper was told it costs.
    Column("shipping_method", Text, nullable=False),
    Column("shipping_minor", BigInteger, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    # That it became, whatever became of that; no reference: the order outlives the cart.
    Column("order_id", Uuid(as_uuid=False)),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id", "cart_id"], ["carts.tenant_id", "carts.id"], ondelete="CASCADE"),
    CheckConstraint("shipping_minor >= 0 AND total_minor > 0", name="amounts"),
)

# How a shop sells: center.dataplane.v1.SellingSettings, as it was set.
selling_settings = Table(
    "selling_settings",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("settings", LargeBinary, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
)

# In an order in which references hold.
MOVED = (checkouts, selling_settings)
