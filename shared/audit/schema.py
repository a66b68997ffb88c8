"""What a database needs for audit chains; for migrations and for the models' tables."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import LiteralString

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from shared.runtime import ids

# What rounds of the sealer and removals of tenants exclude each other by: "audi" as a number, and the first such lock.
LOCK: LiteralString = "1635083369, 1"

Execute = Callable[[str], object]

# Reads every chain and adds to it; changes and removes nothing.
ROLE = "center_sealer"
# What stands for no tenant where the column is a UUID.
NO_TENANT = ids.NO_TENANT


@dataclass(frozen=True, slots=True)
class Ledger:
    """The audit of one database.

    nobody: what stands for no tenant in the column tenant_id.
    """

    entries: Table
    links: Table
    seals: Table
    signers: Table
    nobody: str

    def chain(self, tenant_id: str) -> str:
        """The tenant as the column has it."""
        return tenant_id or self.nobody

    def tenant(self, chain: str) -> str:
        return "" if chain == self.nobody else chain


def ledger(metadata: MetaData, entries: Table, *, nobody: str) -> Ledger:
    """The tables of the chains over `entries`, with the same kind of tenant_id."""

    def tenant() -> Column[str]:
        return Column("tenant_id", entries.c.tenant_id.type, primary_key=True)

    links = Table(
        "audit_links",
        metadata,
        tenant(),
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        Column("entry_id", Uuid(as_uuid=False), nullable=False),
        Column("digest", LargeBinary, nullable=False),
        Column("hash", LargeBinary, nullable=False),
        UniqueConstraint("tenant_id", "entry_id", name="audit_links_entry"),
    )
    seals = Table(
        "audit_seals",
        metadata,
        tenant(),
        Column("position", BigInteger, primary_key=True, autoincrement=False),
        # The first link that it vouches for; `position` is the last.
        Column("begin", BigInteger, nullable=False),
        Column("hash", LargeBinary, nullable=False),
        Column("create_time", DateTime(timezone=True), nullable=False),
        Column("signer", Text, nullable=False),
        Column("signature", LargeBinary, nullable=False),
    )
    signers = Table(
        "audit_signers",
        metadata,
        tenant(),
        # The fingerprint of the certificate.
        Column("signer", Text, primary_key=True),
        Column("certificate", LargeBinary, nullable=False),
    )
    # How far entries were looked at: a snapshot of PostgreSQL, as text. Has one row.
    Table(
        "audit_position",
        metadata,
        Column("id", SmallInteger, primary_key=True, autoincrement=False),
        Column("position", Text, nullable=False),
        CheckConstraint("id = 1", name="audit_one_position"),
    )
    return Ledger(entries, links, seals, signers, nobody)


CHAIN = ("audit_links", "audit_seals", "audit_signers")


def sealed(tenant: str, execute: Execute = op.execute) -> None:
    """Makes `audit_entries` a table whose entries are sealed; tenant: the type of its tenant_id.

    Rows from before have the migration's own transaction and no proof.
    """
    execute("ALTER TABLE audit_entries ADD COLUMN proof bytea")
    execute("ALTER TABLE audit_entries ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id()")
    execute("CREATE INDEX audit_entries_xid ON audit_entries (xid)")
    execute(
        f"""
        CREATE TABLE audit_links (
            tenant_id {tenant} NOT NULL,
            position bigint NOT NULL,
            entry_id uuid NOT NULL,
            digest bytea NOT NULL,
            hash bytea NOT NULL,
            PRIMARY KEY (tenant_id, position),
            CONSTRAINT audit_links_entry UNIQUE (tenant_id, entry_id)
        )
        """
    )
    execute(
        f"""
        CREATE TABLE audit_seals (
            tenant_id {tenant} NOT NULL,
            position bigint NOT NULL,
            begin bigint NOT NULL,
            hash bytea NOT NULL,
            create_time timestamptz NOT NULL,
            signer text NOT NULL,
            signature bytea NOT NULL,
            PRIMARY KEY (tenant_id, position)
        )
        """
    )
    execute(
        f"""
        CREATE TABLE audit_signers (
            tenant_id {tenant} NOT NULL,
            signer text NOT NULL,
            certificate bytea NOT NULL,
            PRIMARY KEY (tenant_id, signer)
        )
        """
    )
    execute(
        """
        CREATE TABLE audit_position (
            id smallint PRIMARY KEY CONSTRAINT audit_one_position CHECK (id = 1),
            position text NOT NULL
        )
        """
    )
    execute("INSERT INTO audit_position VALUES (1, '1:1:')")
    execute("REVOKE ALL ON audit_position FROM center_app")
    execute(f"GRANT SELECT, UPDATE ON audit_position TO {ROLE}")
    execute(f"GRANT SELECT ON audit_entries TO {ROLE}")
    for table in CHAIN:
        execute(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {table} FROM center_app")
        execute(f"GRANT SELECT, INSERT ON {table} TO {ROLE}")
