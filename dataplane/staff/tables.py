"""The tables of staff and API keys."""

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

from shared.tables import metadata

staff_members = Table(
    "staff_members",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    # Sealed (shared.runtime.vault), and found by a keyed hash.
    Column("email", LargeBinary, nullable=False),
    Column("email_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("state", Text, nullable=False),
    # As shared.runtime.passwords makes it; empty while the invitation is open.
    Column("password_hash", Text, nullable=False),
    # Sessions name it, and end when it grows.
    Column("epoch", BigInteger, nullable=False),
    # Of the invitation's secret; empty once it was used.
    Column("invitation_digest", LargeBinary, nullable=False),
    Column("invitation_expire_time", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    UniqueConstraint("tenant_id", "email_hash"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint("role IN ('READ_ONLY', 'STAFF', 'MANAGER', 'OWNER')", name="role"),
    CheckConstraint("state IN ('INVITED', 'ACTIVE')", name="state"),
    CheckConstraint("(state = 'ACTIVE') = (password_hash <> '')", name="password_hash"),
    CheckConstraint("(state = 'INVITED') = (invitation_expire_time IS NOT NULL)", name="invitation"),
    Index(None, "tenant_id", "create_time", "id"),
    Index(
        "staff_members_owners",
        "tenant_id",
        "id",
        postgresql_where=text("role = 'OWNER' AND state = 'ACTIVE'"),
    ),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("tenant_id", Uuid(as_uuid=False), primary_key=True),
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("role", Text, nullable=False),
    # Of the secrets; the one before the last rotation holds until its time is over.
    Column("digest", LargeBinary, nullable=False),
    Column("previous_digest", LargeBinary, nullable=False),
    Column("previous_expire_time", DateTime(timezone=True)),
    Column("expire_time", DateTime(timezone=True)),
    Column("revoke_time", DateTime(timezone=True)),
    # A whole hour: a key that is used all the time writes a row an hour.
    Column("last_use_time", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"]),
    CheckConstraint("role IN ('READ_ONLY', 'STAFF', 'MANAGER', 'OWNER')", name="role"),
    Index(None, "tenant_id", "create_time", "id"),
)

MOVED = (staff_members, api_keys)
