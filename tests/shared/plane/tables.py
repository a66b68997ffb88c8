"""One table of the tenants, one of the platform."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, MetaData, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.runtime import idempotency

metadata = MetaData()

note = Table(
    "note",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", BigInteger, primary_key=True),
    Column("body", Text, nullable=False),
    Column("author", Text),
    Column("pinned", Boolean, nullable=False, server_default=text("false")),
    Column("labels", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("now()")),
)

diary = Table("diary", metadata, Column("id", BigInteger, primary_key=True), Column("line", Text, nullable=False))

answers = idempotency.table(metadata)
