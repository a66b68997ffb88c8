"""Media of the tenants."""

from alembic import op

from shared.runtime import isolation

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE media_usage (
            tenant_id uuid PRIMARY KEY,
            stored_bytes bigint NOT NULL CONSTRAINT media_usage_stored_bytes_check CHECK (stored_bytes >= 0),
            reserved_bytes bigint NOT NULL CONSTRAINT media_usage_reserved_bytes_check CHECK (reserved_bytes >= 0)
        ) WITH (fillfactor = 50)
        """
    )
    op.execute(
        """
        CREATE TABLE media_blobs (
            tenant_id uuid NOT NULL,
            sha256 text NOT NULL CONSTRAINT media_blobs_sha256_check CHECK (sha256 ~ '^[0-9a-f]{64}$'),
            size_bytes bigint NOT NULL,
            uses bigint NOT NULL CONSTRAINT media_blobs_uses_check CHECK (uses >= 0),
            PRIMARY KEY (tenant_id, sha256)
        )
        """
    )
    op.execute("CREATE INDEX media_blobs_unused ON media_blobs (tenant_id) WHERE uses = 0")
    op.execute(
        """
        CREATE TABLE media_uploads (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            name text NOT NULL,
            content_type text NOT NULL,
            size_bytes bigint NOT NULL,
            declared_sha256 text NOT NULL,
            received_bytes bigint NOT NULL CONSTRAINT media_uploads_received_bytes_check
                CHECK (received_bytes BETWEEN 0 AND size_bytes),
            reserved_bytes bigint NOT NULL,
            state text NOT NULL CONSTRAINT media_uploads_state_check
                CHECK (state IN ('RECEIVING', 'FINALIZING', 'FINALIZED', 'ABORTED', 'MAKING')),
            sha256 text NOT NULL,
            media_id uuid,
            create_time timestamptz NOT NULL,
            expire_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON media_uploads (expire_time)")
    op.execute(
        "CREATE INDEX media_uploads_using ON media_uploads (tenant_id, sha256) WHERE state IN ('FINALIZING', 'MAKING')"
    )
    op.execute(
        """
        CREATE TABLE media (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            name text NOT NULL,
            content_type text NOT NULL,
            size_bytes bigint NOT NULL,
            sha256 text NOT NULL,
            create_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id),
            FOREIGN KEY (tenant_id, sha256) REFERENCES media_blobs (tenant_id, sha256)
        )
        """
    )
    op.execute("CREATE INDEX ON media (tenant_id, create_time, id)")
    op.execute("CREATE INDEX ON media (tenant_id, sha256)")
    op.execute(
        """
        CREATE TABLE media_variants (
            tenant_id uuid NOT NULL,
            media_id uuid NOT NULL,
            name text NOT NULL,
            content_type text NOT NULL,
            size_bytes bigint NOT NULL,
            sha256 text NOT NULL,
            width bigint NOT NULL,
            height bigint NOT NULL,
            made_by text NOT NULL,
            create_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, media_id, name),
            FOREIGN KEY (tenant_id, media_id) REFERENCES media (tenant_id, id),
            FOREIGN KEY (tenant_id, sha256) REFERENCES media_blobs (tenant_id, sha256)
        )
        """
    )
    op.execute("CREATE INDEX ON media_variants (tenant_id, sha256)")
    for table in ("media_usage", "media_blobs", "media_uploads", "media", "media_variants"):
        isolation.tenant_table(table)
    _due()


def _due() -> None:
    """What is over, whosever it is: uploads that have expired, and bytes that nothing uses.

    Of tenants that are open to writes only: a tenant that moves keeps what it has until it has moved.
    """
    for table in ("media_uploads", "media_blobs"):
        isolation.searchable(table)
    op.execute(
        """
        CREATE FUNCTION media_due(at timestamptz, at_most integer)
            RETURNS TABLE (tenant_id uuid, upload_id uuid, sha256 text)
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        BEGIN ATOMIC
            (SELECT u.tenant_id, u.id, NULL::text FROM public.media_uploads u
                JOIN public.tenants t ON t.tenant_id = u.tenant_id AND t.writable
                WHERE u.expire_time < at LIMIT at_most)
            UNION ALL
            (SELECT b.tenant_id, NULL::uuid, b.sha256 FROM public.media_blobs b
                JOIN public.tenants t ON t.tenant_id = b.tenant_id AND t.writable
                WHERE b.uses = 0 AND NOT EXISTS (
                    SELECT FROM public.media_uploads u
                    WHERE u.tenant_id = b.tenant_id AND u.sha256 = b.sha256 AND u.state IN ('FINALIZING', 'MAKING')
                ) LIMIT at_most);
        END
        """
    )
    isolation.search_function("media_due(timestamptz, integer)")
    op.execute("REVOKE EXECUTE ON FUNCTION media_due(timestamptz, integer) FROM center_app")
    op.execute("GRANT EXECUTE ON FUNCTION media_due(timestamptz, integer) TO center_steward")
