"""The tables of stock, in each cluster's database."""

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
    func,
    text,
)

from shared.runtime.events import schema as events
from shared.tables import metadata

locations = Table(
    "locations",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    # Reservations try the smallest first.
    Column("priority", BigInteger, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    UniqueConstraint("tenant_id", "code"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint("code ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'", name="code"),
    Index(None, "tenant_id", "priority", "id"),
)

# Each is the sum of its movements. Whoever writes one, or how much a reservation at it holds, has locked it; several
# are locked by variant, then in the order of their locations.
stock_levels = Table(
    "stock_levels",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("variant_id", Uuid(as_uuid=False), primary_key=True),
    Column("location_id", Uuid(as_uuid=False), primary_key=True),
    Column("on_hand", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    # Promised beyond what is there, where that is allowed.
    Column("backordered", BigInteger, nullable=False),
    Column("allows_backorder", Boolean, nullable=False),
    Column("low_threshold", BigInteger),
    Column("version", BigInteger, nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id", "variant_id"], ["variants.tenant_id", "variants.id"]),
    ForeignKeyConstraint(["tenant_id", "location_id"], ["locations.tenant_id", "locations.id"]),
    CheckConstraint("reserved >= 0 AND on_hand >= reserved", name="reserved"),
    CheckConstraint("backordered >= 0", name="backordered"),
    CheckConstraint("low_threshold >= 0", name="low_threshold"),
)

# No reference to a level: one without anything may go with its variant, and these stay. None to the tenant either: the
# row policies hold it, and the check would be made behind the level's lock.
reservations = Table(
    "reservations",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    # A cart or an order: whoever asks for it knows.
    Column("owner", Uuid(as_uuid=False), nullable=False),
    Column("variant_id", Uuid(as_uuid=False), nullable=False),
    Column("location_id", Uuid(as_uuid=False), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    # What of it is backordered.
    Column("waiting", BigInteger, nullable=False),
    Column("shipped", BigInteger, nullable=False),
    Column("released", BigInteger, nullable=False),
    # Null: never.
    Column("expires_at", DateTime(timezone=True)),
    Column("create_time", DateTime(timezone=True), nullable=False),
    CheckConstraint("quantity > 0", name="quantity"),
    CheckConstraint(
        "waiting >= 0 AND shipped >= 0 AND released >= 0 AND waiting + shipped + released <= quantity", name="held"
    ),
    Index(None, "tenant_id", "owner"),
    Index(
        "reservations_waiting",
        "tenant_id",
        "variant_id",
        "location_id",
        "create_time",
        postgresql_where=text("waiting > 0"),
    ),
    Index(
        "reservations_expiring",
        "expires_at",
        postgresql_where=text("expires_at IS NOT NULL AND shipped + released < quantity"),
    ),
)

stock_movements = Table(
    "stock_movements",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("variant_id", Uuid(as_uuid=False), nullable=False),
    Column("location_id", Uuid(as_uuid=False), nullable=False),
    Column("kind", Text, nullable=False),
    # How much each figure of the level grew.
    Column("on_hand", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("backordered", BigInteger, nullable=False),
    # The owner of a reservation, or what an adjustment named.
    Column("reference", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    # The writing transaction here, by which watches miss nothing: a move gives the row that of its arrival.
    Column("xid", events.Xid, nullable=False, server_default=func.pg_current_xact_id(), info={"stays": True}),
    CheckConstraint("kind IN ('RECEIVED', 'RESERVED', 'RELEASED', 'SHIPPED', 'RETURNED', 'ADJUSTED')", name="kind"),
    Index(None, "tenant_id", "create_time", "id"),
    Index(None, "tenant_id", "variant_id", "create_time", "id"),
    Index(None, "tenant_id", "xid"),
)

# In an order in which references hold; variants come before them.
MOVED = (locations, stock_levels, reservations, stock_movements)
