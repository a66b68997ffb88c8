"""Notes of tenants, with search, and the platform's diary."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from shared.runtime import idempotency, isolation

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "note",
        sa.Column("tenant_id", sa.Uuid(), primary_key=True),
        sa.Column("id", sa.BigInteger(), primary_key=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("author", sa.Text()),
        sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("labels", JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
    )
    isolation.tenant_policies("note")
    isolation.steward_policy("note", "DELETE", "body = 'expired'")
    isolation.steward_policy("note", "SELECT")
    isolation.searchable("note")
    op.execute(
        """CREATE FUNCTION search_notes(words text) RETURNS SETOF bigint
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        BEGIN ATOMIC
            SELECT id FROM note
            WHERE tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
                AND to_tsvector('simple', body) @@ plainto_tsquery('simple', words);
        END"""
    )
    isolation.search_function("search_notes(text)")
    op.create_table(
        "diary",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=True),
        sa.Column("line", sa.Text(), nullable=False),
    )
    isolation.append_only("diary")
    op.create_table("idempotency", *idempotency.columns())
    isolation.tenant_policies("idempotency")
    isolation.steward_policy("idempotency", "SELECT")
    isolation.steward_policy("idempotency", "DELETE")
