"""The tables of one cluster; the migrations make them, a test holds the two together."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from dataplane.carts import tables as carts
from dataplane.checkout import tables as checkout
from dataplane.customers import tables as customers
from dataplane.inventory import tables as inventory
from dataplane.merchandising import tables as merchandising
from dataplane.orders import tables as orders
from dataplane.prices import tables as prices
from dataplane.promotions import tables as promotions
from dataplane.staff import tables as staff
from dataplane.storefront import tables as storefront
from shared.audit import schema as audit_schema
from shared.media import tables as media
from shared.notifications import tables as notifications
from shared.payments import tables as payments
from shared.runtime import idempotency as idempotency_shape
from shared.runtime.events import schema as events
from shared.tables import metadata as metadata
from shared.webhooks import tables as webhooks

# What this cluster knows of the tenants. `writable` is what the row policies of every other table ask for.
tenants = Table(
    "tenants",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("writes_frozen", Boolean, nullable=False),
    # The entry's cluster_id is this cluster.
    Column("placed_here", Boolean, nullable=False),
    # The entry's moving_to_cluster_id is.
    Column("arriving", Boolean, nullable=False),
    # Requests are answered: the tenant was placed here, or its import is done, and it has not been removed since.
    Column("served", Boolean, nullable=False),
    Column(
        "writable",
        Boolean,
        Computed(
            "served AND placed_here AND NOT writes_frozen AND mode = 'NORMAL' AND state IN ('PROVISIONING', 'ACTIVE')",
            persisted=True,
        ),
    ),
    # center.control.v1.CatalogTenant as it came.
    Column("entry", LargeBinary, nullable=False),
    Column("apply_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint(
        "state IN ('DRAFT', 'PROVISIONING', 'ACTIVE', 'SUSPENDED', 'TERMINATED', 'FAILED', 'DELETING')", name="state"
    ),
    CheckConstraint("mode IN ('NORMAL', 'READ_ONLY', 'MAINTENANCE')", name="mode"),
)

# How far this cluster has followed the catalog: one row.
watch = Table(
    "watch",
    metadata,
    Column("name", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

# What each tenant's plan gives it here.
tenant_features = Table(
    "tenant_features",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    # Of the products that are not archived; none is no limit. A trigger on `products` holds it.
    Column("products_limit", BigInteger),
    # center.control.v1.TenantFeatures.
    Column("features", LargeBinary, nullable=False),
    Column("apply_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# How many products each tenant has that are not archived; triggers on `products` keep it.
product_counts = Table(
    "product_counts",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("products", BigInteger, nullable=False),
)

# Another one after each change of what products show, never one that was; triggers on `products`, `variants` and
# `product_media` see to it.
product_revisions = Table(
    "product_revisions",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("revision", Uuid(as_uuid=False), nullable=False),
)

products = Table(
    "products",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("handle", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    # Holds the tenant as one more word: without btree_gin, GIN has no place for a uuid of its own, and it intersects
    # the two lists of rows just the same.
    Column(
        "doc",
        TSVECTOR,
        Computed(
            "setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', description), 'C')"
            " || array_to_tsvector(ARRAY['tenant:' || tenant_id::text])",
            persisted=True,
        ),
    ),
    # [[name, [value, ...]], ...]: always read and written as a whole.
    Column("options", JSONB, nullable=False, server_default=text("'[]'")),
    UniqueConstraint("tenant_id", "handle"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint("status IN ('DRAFT', 'ACTIVE', 'ARCHIVED')", name="status"),
    CheckConstraint("handle ~ '^[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?$'", name="handle"),
    Index(None, "tenant_id", "create_time", "id"),
    Index(None, "tenant_id", "update_time", "id"),
    Index(None, "tenant_id", "status", "create_time", "id"),
    Index(None, "doc", postgresql_using="gin"),
)

variants = Table(
    "variants",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("product_id", Uuid(as_uuid=False), nullable=False),
    Column("position", Integer, nullable=False),
    Column("sku", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    # [[name, value], ...], in the order of the product's.
    Column("options", JSONB, nullable=False, server_default=text("'[]'")),
    # At the end of each statement: variants may exchange their SKUs in one.
    UniqueConstraint("tenant_id", "sku", deferrable=True),
    ForeignKeyConstraint(["tenant_id", "product_id"], ["products.tenant_id", "products.id"]),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint("amount_minor >= 0", name="amount_minor"),
    Index(None, "tenant_id", "product_id", "position"),
)

# What products show. A file that one shows stays.
product_media = Table(
    "product_media",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("product_id", Uuid(as_uuid=False), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("media_id", Uuid(as_uuid=False), nullable=False),
    Column("alt_text", Text, nullable=False),
    ForeignKeyConstraint(["tenant_id", "product_id"], ["products.tenant_id", "products.id"]),
    ForeignKeyConstraint(["tenant_id", "media_id"], ["media.tenant_id", "media.id"]),
    Index(None, "tenant_id", "media_id"),
)

# Events for other planes, written in the business transaction. Partitioned by time, so that what is published goes by
# dropping a partition; no foreign key, because an event outlives the tenant's rows.
outbox = Table(
    "outbox",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("create_time", DateTime(timezone=True), primary_key=True, server_default=func.now()),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("type", Text, nullable=False),
    Column("aggregate_id", Uuid(as_uuid=False), nullable=False),
    Column("aggregate_version", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("traceparent", Text, nullable=False),
    Column("xid", events.Xid, nullable=False, server_default=func.pg_current_xact_id()),
    Index("outbox_xid", "xid"),
    postgresql_partition_by="RANGE (create_time)",
)
outbox_position = events.position_table(metadata)

# Who changed what, written in the transaction of the change. No foreign key: an entry outlives what it is about.
audit_entries = Table(
    "audit_entries",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("method", Text, nullable=False),
    Column("caller", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    # [[field, before, after], ...]
    Column("changes", JSONB, nullable=False),
    Column("proof", LargeBinary),
    # The writing transaction here: a move gives the row that of its arrival.
    Column("xid", events.Xid, nullable=False, server_default=func.pg_current_xact_id(), info={"stays": True}),
    Index(None, "tenant_id", "resource", "resource_id", "id"),
    Index("audit_entries_xid", "xid"),
)
audit = audit_schema.ledger(metadata, audit_entries, nobody=audit_schema.NO_TENANT)

idempotency = idempotency_shape.table(metadata)
inbox = events.inbox_table(metadata)
event_gaps = events.gaps_table(metadata)

# What belongs to a tenant and goes with it when it moves, in an order in which references hold.
MOVED = (
    products,
    variants,
    idempotency,
    audit_entries,
    audit.links,
    audit.seals,
    audit.signers,
    *payments.MOVED,
    *media.MOVED,
    product_media,
    *merchandising.MOVED,
    *notifications.MOVED,
    *webhooks.MOVED,
    *inventory.MOVED,
    *customers.MOVED,
    *carts.MOVED,
    *checkout.MOVED,
    *prices.MOVED,
    *promotions.MOVED,
    *storefront.MOVED,
    *staff.MOVED,
    *orders.MOVED,
)
