"""The table of storefronts."""

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKeyConstraint, Table, Text, Uuid

from shared.tables import metadata

# How a tenant's pages look; a tenant that has set nothing has no row.
storefront_themes = Table(
    "storefront_themes",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("title", Text, nullable=False),
    Column("logo_text", Text, nullable=False),
    Column("tagline", Text, nullable=False),
    # Six hexadecimal digits in lower case after a #, or empty.
    Column("accent_color", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint("accent_color ~ '^(#[0-9a-f]{6})?$'", name="accent_color"),
)

# In an order in which references hold.
MOVED = (storefront_themes,)
