"""The tables of orders."""

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
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.tables import metadata

orders = Table(
    "orders",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    # Derived from its payments and fulfillments by one function (domain.derived), and stored to be found by.
    Column("payment_status", Text, nullable=False),
    Column("fulfillment_status", Text, nullable=False),
    # No references: carts are forgotten, and customers move before orders do.
    Column("cart_id", Uuid(as_uuid=False)),
    Column("customer_id", Uuid(as_uuid=False)),
    # What it was called where it was imported from.
    Column("external_reference", Text),
    Column("currency", Text, nullable=False),
    Column("subtotal_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False),
    Column("shipping_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    Column("prices_include_tax", Boolean, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("paid_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False),
    Column("shipping_method", Text, nullable=False),
    # Of the address, so that sums by country need no opened seal.
    Column("country", Text, nullable=False),
    # Sealed (shared.runtime.vault), and empty where nothing is known.
    Column("email", LargeBinary, nullable=False),
    Column("address", LargeBinary, nullable=False),
    # Money is taken with the first fulfillment, and not as soon as it is authorized.
    Column("captures_late", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("place_time", DateTime(timezone=True)),
    Column("update_time", DateTime(timezone=True), nullable=False),
    # Until when it may be paid; none once it is, or is over.
    Column("expire_time", DateTime(timezone=True)),
    UniqueConstraint("tenant_id", "number"),
    UniqueConstraint("tenant_id", "external_reference"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint(
        "state IN ('PENDING_PAYMENT', 'PLACED', 'PARTIALLY_FULFILLED', 'FULFILLED', 'EXPIRED', 'CANCELED')",
        name="state",
    ),
    CheckConstraint(
        "payment_status IN ('NONE', 'AUTHORIZED', 'PARTIALLY_CAPTURED', 'CAPTURED', 'PARTIALLY_REFUNDED', 'REFUNDED',"
        " 'VOIDED')",
        name="payment_status",
    ),
    CheckConstraint(
        "fulfillment_status IN ('UNFULFILLED', 'PARTIALLY_FULFILLED', 'FULFILLED', 'DELIVERED')",
        name="fulfillment_status",
    ),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint(
        "subtotal_minor >= 0 AND shipping_minor >= 0 AND tax_minor >= 0"
        " AND discount_minor BETWEEN 0 AND subtotal_minor + shipping_minor",
        name="amounts",
    ),
    CheckConstraint(
        "total_minor = subtotal_minor - discount_minor + shipping_minor"
        " + CASE WHEN prices_include_tax THEN 0 ELSE tax_minor END",
        name="total",
    ),
    CheckConstraint("paid_minor BETWEEN 0 AND total_minor AND refunded_minor BETWEEN 0 AND paid_minor", name="paid"),
    CheckConstraint("(expire_time IS NOT NULL) = (state = 'PENDING_PAYMENT')", name="expire_time"),
    # Of a cart there is one order that lives.
    Index(
        "orders_of_cart",
        "tenant_id",
        "cart_id",
        unique=True,
        postgresql_where=text("cart_id IS NOT NULL AND state NOT IN ('EXPIRED', 'CANCELED')"),
    ),
    Index(None, "tenant_id", "create_time", "id"),
    Index(None, "tenant_id", "state", "create_time", "id"),
    Index(None, "tenant_id", "customer_id", "create_time", "id"),
    Index("orders_due", "expire_time", postgresql_where=text("expire_time IS NOT NULL")),
)

# No reference to variants: what was sold stays sold.
order_lines = Table(
    "order_lines",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("order_id", Uuid(as_uuid=False), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("variant_id", Uuid(as_uuid=False), nullable=False),
    Column("product_id", Uuid(as_uuid=False), nullable=False),
    Column("sku", Text, nullable=False),
    Column("product_title", Text, nullable=False),
    Column("variant_title", Text, nullable=False),
    # [[name, value], ...] by name.
    Column("options", JSONB, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("unit_minor", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    # Sums of fulfillment_lines, and of refund_lines whose refund has not failed.
    Column("fulfilled", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    # Will not be shipped any more: what was held of them is given back.
    Column("withdrawn", BigInteger, nullable=False),
    # Came back, and are for sale again.
    Column("returned", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant_id", "order_id"], ["orders.tenant_id", "orders.id"]),
    CheckConstraint("quantity > 0", name="quantity"),
    CheckConstraint("unit_minor >= 0 AND amount_minor = unit_minor * quantity", name="amount"),
    CheckConstraint("discount_minor BETWEEN 0 AND amount_minor AND tax_minor >= 0", name="discount"),
    CheckConstraint("refunded BETWEEN 0 AND quantity", name="refunded"),
    CheckConstraint("fulfilled >= 0 AND withdrawn >= 0 AND fulfilled + withdrawn <= quantity", name="fulfilled"),
    CheckConstraint("returned BETWEEN 0 AND fulfilled", name="returned"),
    Index(None, "tenant_id", "order_id", "position"),
)

order_adjustments = Table(
    "order_adjustments",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("order_id", Uuid(as_uuid=False), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("promotion_id", Uuid(as_uuid=False), nullable=False),
    Column("code", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("explanation", Text, nullable=False),
    ForeignKeyConstraint(["tenant_id", "order_id"], ["orders.tenant_id", "orders.id"]),
    CheckConstraint("amount_minor > 0", name="amount"),
)

fulfillments = Table(
    "fulfillments",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("order_id", Uuid(as_uuid=False), nullable=False),
    Column("carrier", Text, nullable=False),
    Column("tracking_number", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("deliver_time", DateTime(timezone=True)),
    ForeignKeyConstraint(["tenant_id", "order_id"], ["orders.tenant_id", "orders.id"]),
    Index(None, "tenant_id", "order_id"),
)

fulfillment_lines = Table(
    "fulfillment_lines",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("fulfillment_id", Uuid(as_uuid=False), primary_key=True),
    Column("line_id", Uuid(as_uuid=False), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant_id", "fulfillment_id"], ["fulfillments.tenant_id", "fulfillments.id"]),
    ForeignKeyConstraint(["tenant_id", "line_id"], ["order_lines.tenant_id", "order_lines.id"]),
    CheckConstraint("quantity > 0", name="quantity"),
)

refunds = Table(
    "refunds",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("order_id", Uuid(as_uuid=False), nullable=False),
    # Of payment_operations, where a provider gives it back; none where it was imported.
    Column("operation_id", Uuid(as_uuid=False)),
    Column("amount_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("failure_reason", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    UniqueConstraint("tenant_id", "operation_id"),
    ForeignKeyConstraint(["tenant_id", "order_id"], ["orders.tenant_id", "orders.id"]),
    CheckConstraint("amount_minor > 0", name="amount"),
    CheckConstraint("state IN ('PENDING', 'SUCCEEDED', 'FAILED')", name="state"),
    Index(None, "tenant_id", "order_id"),
)

refund_lines = Table(
    "refund_lines",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("refund_id", Uuid(as_uuid=False), primary_key=True),
    Column("line_id", Uuid(as_uuid=False), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("restock", Boolean, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    ForeignKeyConstraint(["tenant_id", "refund_id"], ["refunds.tenant_id", "refunds.id"]),
    ForeignKeyConstraint(["tenant_id", "line_id"], ["order_lines.tenant_id", "order_lines.id"]),
    CheckConstraint("quantity > 0", name="quantity"),
    CheckConstraint("NOT (restock AND withdrawn)", name="goods"),
)

# What happened, in the order of the ids; append-only.
order_events = Table(
    "order_events",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("order_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id", "order_id"], ["orders.tenant_id", "orders.id"]),
)

# The last number that each shop has given.
order_numbers = Table(
    "order_numbers",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("number", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
)

# In an order in which references hold.
MOVED = (
    orders,
    order_lines,
    order_adjustments,
    fulfillments,
    fulfillment_lines,
    refunds,
    refund_lines,
    order_events,
    order_numbers,
)
