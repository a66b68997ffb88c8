"""The tables of media."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Table,
    Text,
    Uuid,
    text,
)

from shared.tables import metadata

# How much room each tenant's media takes: every writer of bytes changes it, so that the last room goes to one of them.
media_usage = Table(
    "media_usage",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("stored_bytes", BigInteger, nullable=False),
    # What open uploads may still become.
    Column("reserved_bytes", BigInteger, nullable=False),
    CheckConstraint("stored_bytes >= 0", name="stored_bytes"),
    CheckConstraint("reserved_bytes >= 0", name="reserved_bytes"),
)

# Bytes, once a tenant. A row is there before the first of its bytes is kept, and goes after the last one has gone; as
# many files and variants use it as `uses` says.
media_blobs = Table(
    "media_blobs",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("uses", BigInteger, nullable=False),
    CheckConstraint("uses >= 0", name="uses"),
    CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
    Index("media_blobs_unused", "tenant_id", postgresql_where=text("uses = 0")),
)

media_uploads = Table(
    "media_uploads",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("declared_sha256", Text, nullable=False),
    Column("received_bytes", BigInteger, nullable=False),
    Column("reserved_bytes", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    # Of what has arrived, once it is known: the blob stays as long as an upload is about to use it.
    Column("sha256", Text, nullable=False),
    Column("media_id", Uuid(as_uuid=False)),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    CheckConstraint("received_bytes BETWEEN 0 AND size_bytes", name="received_bytes"),
    CheckConstraint("state IN ('RECEIVING', 'FINALIZING', 'FINALIZED', 'ABORTED', 'MAKING')", name="state"),
    Index("media_uploads_expire_time_idx", "expire_time"),
    Index("media_uploads_using", "tenant_id", "sha256", postgresql_where=text("state IN ('FINALIZING', 'MAKING')")),
)

media = Table(
    "media",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id", "sha256"], ["media_blobs.tenant_id", "media_blobs.sha256"]),
    Index(None, "tenant_id", "create_time", "id"),
    Index(None, "tenant_id", "sha256"),
)

media_variants = Table(
    "media_variants",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("media_id", Uuid(as_uuid=False), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("content_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("width", BigInteger, nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id", "media_id"], ["media.tenant_id", "media.id"]),
    ForeignKeyConstraint(["tenant_id", "sha256"], ["media_blobs.tenant_id", "media_blobs.sha256"]),
    Index(None, "tenant_id", "sha256"),
)

# In an order in which references hold.
MOVED = (media_usage, media_blobs, media_uploads, media, media_variants)
