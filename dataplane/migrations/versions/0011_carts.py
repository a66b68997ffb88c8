"""Carts of the tenants."""

from alembic import op

from shared.runtime import isolation

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE carts (
            tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
            id uuid NOT NULL,
            state text NOT NULL CONSTRAINT carts_state_check CHECK (state IN ('OPEN', 'COMPLETED', 'MERGED')),
            currency text NOT NULL CONSTRAINT carts_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
            email bytea NOT NULL,
            address bytea NOT NULL,
            line_count bigint NOT NULL CONSTRAINT carts_line_count_check CHECK (line_count BETWEEN 0 AND 200),
            version bigint NOT NULL,
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            abandon_time timestamptz,
            merged_into uuid,
            complete_time timestamptz,
            order_id uuid,
            PRIMARY KEY (tenant_id, id),
            CONSTRAINT carts_merged_into_check CHECK ((state = 'MERGED') = (merged_into IS NOT NULL)),
            CONSTRAINT carts_complete_time_check CHECK ((state = 'COMPLETED') = (complete_time IS NOT NULL))
        )
        """
    )
    op.execute("CREATE INDEX ON carts (tenant_id, create_time, id)")
    op.execute("CREATE INDEX carts_forgotten ON carts (update_time)")
    op.execute(
        "CREATE INDEX carts_abandoned ON carts (update_time) "
        "WHERE state = 'OPEN' AND abandon_time IS NULL AND line_count > 0"
    )
    op.execute(
        """
        CREATE TABLE cart_lines (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            cart_id uuid NOT NULL,
            variant_id uuid NOT NULL,
            options jsonb NOT NULL,
            options_hash text NOT NULL,
            quantity bigint NOT NULL CONSTRAINT cart_lines_quantity_check CHECK (quantity BETWEEN 1 AND 10000),
            PRIMARY KEY (tenant_id, id),
            UNIQUE (tenant_id, cart_id, variant_id, options_hash),
            FOREIGN KEY (tenant_id, cart_id) REFERENCES carts (tenant_id, id)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE cart_codes (
            tenant_id uuid NOT NULL,
            cart_id uuid NOT NULL,
            code text NOT NULL,
            entered text NOT NULL,
            position bigint NOT NULL,
            PRIMARY KEY (tenant_id, cart_id, code),
            FOREIGN KEY (tenant_id, cart_id) REFERENCES carts (tenant_id, id)
        )
        """
    )
    for table in ("carts", "cart_lines", "cart_codes"):
        isolation.tenant_table(table)
    _due()


def _due() -> None:
    """Which carts were left, and which are to be forgotten, whosever they are.

    Of tenants that are open to writes only: a tenant that moves keeps what it has until it has moved.
    """
    isolation.searchable("carts")
    op.execute(
        """
        CREATE FUNCTION due_carts(left_before timestamptz, forgotten_before timestamptz, at_most integer)
            RETURNS TABLE (tenant_id uuid, id uuid, is_forgotten boolean)
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        BEGIN ATOMIC
            (SELECT c.tenant_id, c.id, true FROM public.carts c
                JOIN public.tenants t ON t.tenant_id = c.tenant_id AND t.writable
                WHERE c.update_time <= forgotten_before
                ORDER BY c.update_time LIMIT at_most)
            UNION ALL
            (SELECT c.tenant_id, c.id, false FROM public.carts c
                JOIN public.tenants t ON t.tenant_id = c.tenant_id AND t.writable
                WHERE c.state = 'OPEN' AND c.abandon_time IS NULL AND c.line_count > 0
                    AND c.update_time <= left_before AND c.update_time > forgotten_before
                ORDER BY c.update_time LIMIT at_most);
        END
        """
    )
    isolation.search_function("due_carts(timestamptz, timestamptz, integer)")
    op.execute("REVOKE EXECUTE ON FUNCTION due_carts(timestamptz, timestamptz, integer) FROM center_app")
    op.execute("GRANT EXECUTE ON FUNCTION due_carts(timestamptz, timestamptz, integer) TO center_steward")
