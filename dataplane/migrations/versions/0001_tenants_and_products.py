"""Tenants known here, their products, and the row policies around them."""

from alembic import op

from shared.runtime import idempotency, isolation

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _tenants()
    _gate()
    op.execute(
        """
        CREATE TABLE products (
            tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
            id uuid NOT NULL,
            handle text NOT NULL CONSTRAINT products_handle_check
                CHECK (handle ~ '^[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?$'),
            title text NOT NULL,
            description text NOT NULL,
            status text NOT NULL CONSTRAINT products_status_check CHECK (status IN ('DRAFT', 'ACTIVE', 'ARCHIVED')),
            version bigint NOT NULL,
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            doc tsvector GENERATED ALWAYS AS (
                setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', description), 'C')
                || array_to_tsvector(ARRAY['tenant:' || tenant_id::text])
            ) STORED,
            PRIMARY KEY (tenant_id, id),
            UNIQUE (tenant_id, handle)
        )
        """
    )
    op.execute("CREATE INDEX ON products (tenant_id, create_time, id)")
    op.execute("CREATE INDEX ON products (tenant_id, update_time, id)")
    op.execute("CREATE INDEX ON products (tenant_id, status, create_time, id)")
    op.execute("CREATE INDEX ON products USING gin (doc)")
    op.execute(
        """
        CREATE TABLE variants (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            product_id uuid NOT NULL,
            position integer NOT NULL,
            sku text NOT NULL,
            title text NOT NULL,
            currency text NOT NULL CONSTRAINT variants_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
            amount_minor bigint NOT NULL CONSTRAINT variants_amount_minor_check CHECK (amount_minor >= 0),
            PRIMARY KEY (tenant_id, id),
            UNIQUE (tenant_id, sku),
            FOREIGN KEY (tenant_id, product_id) REFERENCES products (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON variants (tenant_id, product_id, position)")
    op.create_table("idempotency", *idempotency.columns())
    for table in ("products", "variants", "idempotency"):
        isolation.tenant_table(table)
    _forgetting()
    _outbox()
    _search()
    _moves()


def _tenants() -> None:
    op.execute(
        """
        CREATE TABLE tenants (
            tenant_id uuid PRIMARY KEY,
            revision bigint NOT NULL,
            state text NOT NULL CONSTRAINT tenants_state_check CHECK (state IN
                ('DRAFT', 'PROVISIONING', 'ACTIVE', 'SUSPENDED', 'TERMINATED', 'FAILED', 'DELETING')),
            mode text NOT NULL CONSTRAINT tenants_mode_check CHECK (mode IN ('NORMAL', 'READ_ONLY', 'MAINTENANCE')),
            writes_frozen boolean NOT NULL,
            placed_here boolean NOT NULL,
            arriving boolean NOT NULL,
            served boolean NOT NULL,
            writable boolean GENERATED ALWAYS AS (
                served AND placed_here AND NOT writes_frozen
                AND mode = 'NORMAL' AND state IN ('PROVISIONING', 'ACTIVE')
            ) STORED,
            entry bytea NOT NULL,
            apply_time timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE TABLE watch (name text PRIMARY KEY, revision bigint NOT NULL)")
    for table in ("tenants", "watch"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        # Requests never touch these two: what they need of a tenant is in the process's memory and behind the gate.
        op.execute(f"REVOKE ALL ON {table} FROM center_app")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO center_steward")
        op.execute(f"CREATE POLICY steward_rows ON {table} TO center_steward USING (true) WITH CHECK (true)")


def _gate() -> None:
    """tenant_writable() says whether the transaction's tenant may be written to, and keeps it so until the commit.

    The write policies call it, once a statement. Its row lock is what a freeze or a suspension waits for: when that
    commits, no write of the tenant is under way, whatever SQL the write was.
    """
    op.execute(
        """
        CREATE FUNCTION tenant_writable() RETURNS boolean
            LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        AS $$
        DECLARE
            found_writable boolean;
        BEGIN
            SELECT writable INTO found_writable FROM public.tenants
                WHERE tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid FOR SHARE;
            RETURN coalesce(found_writable, false);
        END
        $$
        """
    )
    # Its owner may look and lock, which takes the right to update, and change nothing.
    op.execute("GRANT SELECT, UPDATE (tenant_id) ON tenants TO center_search")
    op.execute("CREATE POLICY gate_looks ON tenants FOR SELECT TO center_search USING (true)")
    op.execute("CREATE POLICY gate_locks ON tenants FOR UPDATE TO center_search USING (true) WITH CHECK (false)")
    isolation.search_function("tenant_writable()")


def _forgetting() -> None:
    """Answers that are too old to be replayed go, whosever they are; nobody gets to see them on the way."""
    op.execute("GRANT SELECT, DELETE ON idempotency TO center_search")
    op.execute("CREATE POLICY expired_rows ON idempotency TO center_search USING (expire_time < now())")
    op.execute(
        """
        CREATE FUNCTION forget_answers(at_most integer) RETURNS bigint
            LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        BEGIN ATOMIC
            WITH gone AS (
                DELETE FROM public.idempotency
                WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM public.idempotency WHERE expire_time < now() LIMIT at_most
                ))
                RETURNING 1
            )
            SELECT count(*) FROM gone;
        END
        """
    )
    isolation.search_function("forget_answers(integer)")
    op.execute("REVOKE EXECUTE ON FUNCTION forget_answers(integer) FROM center_app")
    op.execute("GRANT EXECUTE ON FUNCTION forget_answers(integer) TO center_steward")


def _outbox() -> None:
    op.execute(
        """
        CREATE TABLE outbox (
            tenant_id uuid NOT NULL,
            create_time timestamptz NOT NULL DEFAULT now(),
            id uuid NOT NULL,
            type text NOT NULL,
            aggregate_id uuid NOT NULL,
            aggregate_version bigint NOT NULL,
            payload bytea NOT NULL,
            traceparent text NOT NULL,
            PRIMARY KEY (tenant_id, create_time, id)
        ) PARTITION BY RANGE (create_time)
        """
    )
    op.execute("CREATE TABLE outbox_default PARTITION OF outbox DEFAULT")
    isolation.tenant_policies("outbox")
    op.execute(
        "CREATE POLICY writable_insert ON outbox AS RESTRICTIVE FOR INSERT TO center_app "
        "WITH CHECK ((SELECT tenant_writable()))"
    )
    # Written by every change, read by nobody but the relay.
    op.execute("REVOKE ALL ON outbox FROM center_app")
    op.execute("GRANT INSERT ON outbox TO center_app")
    # Rows reach a partition through the parent and its policies only.
    op.execute("ALTER TABLE outbox_default ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE outbox_default FORCE ROW LEVEL SECURITY")
    op.execute("REVOKE ALL ON outbox_default FROM center_app")


def _search() -> None:
    """@@ is not leakproof, so below a row policy no index serves it; in here it is."""
    isolation.searchable("products")
    op.execute(
        """
        CREATE FUNCTION search_products(words text, below_rank integer, below_id uuid, at_most integer)
            RETURNS TABLE (id uuid, rank integer)
            LANGUAGE sql STABLE SECURITY DEFINER
            SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan
        BEGIN ATOMIC
            SELECT found.id, found.rank FROM (
                SELECT p.id, (1000000 * ts_rank_cd(p.doc, websearch_to_tsquery('english', words)))::integer AS rank
                FROM (
                    SELECT m.id, m.doc
                    FROM public.products m
                    WHERE m.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
                        AND m.status = 'ACTIVE'
                        AND m.doc @@ (
                            websearch_to_tsquery('english', words)
                            && ('''tenant:' || nullif(current_setting('app.tenant_id', true), '') || '''')::tsquery
                        )
                    -- A word that everything has tells nothing apart, and ranking reads each match.
                    LIMIT 10000
                ) p
            ) found
            WHERE below_id IS NULL OR (found.rank, found.id) < (below_rank, below_id)
            ORDER BY found.rank DESC, found.id DESC
            LIMIT at_most;
        END
        """
    )
    isolation.search_function("search_products(text, integer, uuid, integer)")


def _moves() -> None:
    """COPY FROM does not go below row policies: an import copies into a temporary table and inserts from it."""
    op.execute(
        "DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO center_steward', current_database()); END $$"
    )
    # Both sides of a move compare the shape of their tables by it.
    op.execute("GRANT SELECT ON alembic_version TO center_steward")
