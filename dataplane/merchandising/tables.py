"""The tables of categories and collections."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from shared.tables import metadata

_HANDLE = "handle ~ '^[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?$'"

categories = Table(
    "categories",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("handle", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("parent_id", Uuid(as_uuid=False)),
    Column("position", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    UniqueConstraint("tenant_id", "handle"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    # Asked at the end of each statement: a move brings them in any order.
    ForeignKeyConstraint(["tenant_id", "parent_id"], ["categories.tenant_id", "categories.id"]),
    CheckConstraint(_HANDLE, name="handle"),
    Index(None, "tenant_id", "position", "id"),
    Index(None, "tenant_id", "parent_id"),
)

product_categories = Table(
    "product_categories",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("product_id", Uuid(as_uuid=False), primary_key=True),
    Column("category_id", Uuid(as_uuid=False), primary_key=True),
    ForeignKeyConstraint(["tenant_id", "product_id"], ["products.tenant_id", "products.id"]),
    ForeignKeyConstraint(["tenant_id", "category_id"], ["categories.tenant_id", "categories.id"]),
    Index(None, "tenant_id", "category_id", "product_id"),
)

collections = Table(
    "collections",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("handle", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    UniqueConstraint("tenant_id", "handle"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint(_HANDLE, name="handle"),
    Index(None, "tenant_id", "create_time", "id"),
)

collection_products = Table(
    "collection_products",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("collection_id", Uuid(as_uuid=False), primary_key=True),
    Column("product_id", Uuid(as_uuid=False), primary_key=True),
    Column("position", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant_id", "collection_id"], ["collections.tenant_id", "collections.id"]),
    ForeignKeyConstraint(["tenant_id", "product_id"], ["products.tenant_id", "products.id"]),
    Index(None, "tenant_id", "product_id"),
)

# In an order in which references hold.
MOVED = (categories, product_categories, collections, collection_products)
