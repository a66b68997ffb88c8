"""Stock of the tenants."""

from alembic import op

from shared.runtime import isolation

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Checked at the end of each statement: the variants of a product may exchange their SKUs in one.
    op.execute("ALTER TABLE variants DROP CONSTRAINT variants_tenant_id_sku_key")
    op.execute("ALTER TABLE variants ADD CONSTRAINT variants_tenant_id_sku_key UNIQUE (tenant_id, sku) DEFERRABLE")
    _levels()
    _reservations()
    for table in ("locations", "stock_levels", "reservations", "stock_movements"):
        isolation.tenant_table(table)
    isolation.append_only("stock_movements")
    # Where nobody may do it at all, nothing is left to say about when.
    for verb in ("update", "delete"):
        op.execute(f"DROP POLICY writable_{verb} ON stock_movements")
    for function in (_TAKE, _RESERVE):
        op.execute(function)
    _expired()


def _levels() -> None:
    op.execute(
        """
        CREATE TABLE locations (
            tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
            id uuid NOT NULL,
            code text NOT NULL CONSTRAINT locations_code_check
                CHECK (code ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'),
            name text NOT NULL,
            priority bigint NOT NULL,
            is_active boolean NOT NULL,
            version bigint NOT NULL,
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id),
            UNIQUE (tenant_id, code)
        )
        """
    )
    op.execute("CREATE INDEX ON locations (tenant_id, priority, id)")
    op.execute(
        """
        CREATE TABLE stock_levels (
            tenant_id uuid NOT NULL,
            variant_id uuid NOT NULL,
            location_id uuid NOT NULL,
            on_hand bigint NOT NULL,
            reserved bigint NOT NULL,
            backordered bigint NOT NULL,
            allows_backorder boolean NOT NULL,
            low_threshold bigint,
            version bigint NOT NULL,
            update_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, variant_id, location_id),
            FOREIGN KEY (tenant_id, variant_id) REFERENCES variants (tenant_id, id),
            FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id),
            CONSTRAINT stock_levels_reserved_check CHECK (reserved >= 0 AND on_hand >= reserved),
            CONSTRAINT stock_levels_backordered_check CHECK (backordered >= 0),
            CONSTRAINT stock_levels_low_threshold_check CHECK (low_threshold >= 0)
        )
        """
    )
    # Written again and again, and no index holds what changes: new versions fit beside the old ones.
    op.execute("ALTER TABLE stock_levels SET (fillfactor = 50)")


def _reservations() -> None:
    op.execute(
        """
        CREATE TABLE reservations (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            owner uuid NOT NULL,
            variant_id uuid NOT NULL,
            location_id uuid NOT NULL,
            quantity bigint NOT NULL CONSTRAINT reservations_quantity_check CHECK (quantity > 0),
            waiting bigint NOT NULL,
            shipped bigint NOT NULL,
            released bigint NOT NULL,
            expires_at timestamptz,
            create_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id),
            CONSTRAINT reservations_held_check CHECK (
                waiting >= 0 AND shipped >= 0 AND released >= 0 AND waiting + shipped + released <= quantity
            )
        )
        """
    )
    op.execute("CREATE INDEX ON reservations (tenant_id, owner)")
    op.execute(
        "CREATE INDEX reservations_waiting ON reservations (tenant_id, variant_id, location_id, create_time) "
        "WHERE waiting > 0"
    )
    op.execute(
        "CREATE INDEX reservations_expiring ON reservations (expires_at) "
        "WHERE expires_at IS NOT NULL AND shipped + released < quantity"
    )
    op.execute(
        """
        CREATE TABLE stock_movements (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            variant_id uuid NOT NULL,
            location_id uuid NOT NULL,
            kind text NOT NULL CONSTRAINT stock_movements_kind_check
                CHECK (kind IN ('RECEIVED', 'RESERVED', 'RELEASED', 'SHIPPED', 'RETURNED', 'ADJUSTED')),
            on_hand bigint NOT NULL,
            reserved bigint NOT NULL,
            backordered bigint NOT NULL,
            reference text NOT NULL,
            reason text NOT NULL,
            create_time timestamptz NOT NULL,
            xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
            PRIMARY KEY (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON stock_movements (tenant_id, create_time, id)")
    op.execute("CREATE INDEX ON stock_movements (tenant_id, variant_id, create_time, id)")
    op.execute("CREATE INDEX ON stock_movements (tenant_id, xid)")


# Both act as whoever calls them, below all policies of the transaction's tenant.
#
# The level, the reservation and the movement in one statement: no row where there is less than `part`.
_TAKE = """
CREATE FUNCTION take_stock(
    tenant uuid, holder uuid, wanted uuid, place uuid, part bigint, lack bigint, expires timestamptz, at timestamptz
) RETURNS TABLE (
    reservation_id uuid, variant_id uuid, location_id uuid, taken bigint, waiting bigint, on_hand bigint,
    reserved bigint, backordered bigint, allows_backorder boolean, low_threshold bigint, version bigint
)
    LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY WITH level AS (
        UPDATE public.stock_levels s
        SET reserved = s.reserved + part, backordered = s.backordered + lack, version = s.version + 1,
            update_time = at
        WHERE s.tenant_id = tenant AND s.variant_id = wanted AND s.location_id = place
            AND s.on_hand - s.reserved >= part AND (lack = 0 OR s.allows_backorder)
        RETURNING s.*
    ), held AS (
        INSERT INTO public.reservations (
            tenant_id, id, owner, variant_id, location_id, quantity, waiting, shipped, released, expires_at, create_time
        )
        SELECT tenant, gen_random_uuid(), holder, wanted, place, part + lack, lack, 0, 0, expires, at FROM level
        RETURNING id
    ), moved AS (
        INSERT INTO public.stock_movements (
            tenant_id, id, variant_id, location_id, kind, on_hand, reserved, backordered, reference, reason, create_time
        )
        SELECT tenant, gen_random_uuid(), wanted, place, 'RESERVED', 0, part, lack, holder::text, '', at FROM level
    )
    SELECT h.id, wanted, place, part, lack, l.on_hand, l.reserved, l.backordered, l.allows_backorder,
        l.low_threshold, l.version
    FROM level l, held h;
END $$
"""

# A row for each part that was taken; one without a location for what lacks, and then the caller takes all of it back.
# Levels are locked by variant, then by their locations' order: whoever takes several takes them in one order.
_RESERVE = """
CREATE FUNCTION reserve_stock(
    tenant uuid, holder uuid, variants uuid[], quantities bigint[], expires timestamptz, at timestamptz
) RETURNS TABLE (
    reservation_id uuid, variant_id uuid, location_id uuid, taken bigint, waiting bigint, on_hand bigint,
    reserved bigint, backordered bigint, allows_backorder boolean, low_threshold bigint, version bigint
)
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wanted record;
    place record;
    rest bigint;
BEGIN
    FOR wanted IN SELECT w.id, w.quantity FROM unnest(variants, quantities) w (id, quantity) ORDER BY w.id LOOP
        rest := wanted.quantity;
        -- The first is tried alone. One that has too little may stay locked, and so the others come after it only.
        SELECT p.id INTO place FROM public.stock_levels s
            JOIN public.locations p ON p.tenant_id = s.tenant_id AND p.id = s.location_id
            WHERE s.tenant_id = tenant AND s.variant_id = wanted.id AND p.is_active ORDER BY p.priority, p.id LIMIT 1;
        IF FOUND THEN
            RETURN QUERY SELECT * FROM public.take_stock(tenant, holder, wanted.id, place.id, rest, 0, expires, at);
            CONTINUE WHEN FOUND;
        END IF;
        FOR place IN
            SELECT p.id, s.on_hand - s.reserved AS free FROM public.stock_levels s
            JOIN public.locations p ON p.tenant_id = s.tenant_id AND p.id = s.location_id
            WHERE s.tenant_id = tenant AND s.variant_id = wanted.id AND p.is_active ORDER BY p.priority, p.id
            FOR NO KEY UPDATE OF s
        LOOP
            IF place.free >= rest THEN
                RETURN QUERY SELECT * FROM public.take_stock(tenant, holder, wanted.id, place.id, rest, 0, expires, at);
                rest := 0;
                EXIT;
            END IF;
        END LOOP;
        CONTINUE WHEN rest = 0;
        -- None has it whole, and by now all are locked.
        FOR place IN
            SELECT p.id, s.on_hand - s.reserved AS free FROM public.stock_levels s
            JOIN public.locations p ON p.tenant_id = s.tenant_id AND p.id = s.location_id
            WHERE s.tenant_id = tenant AND s.variant_id = wanted.id AND p.is_active AND s.on_hand > s.reserved
            ORDER BY p.priority, p.id
        LOOP
            RETURN QUERY SELECT *
                FROM public.take_stock(tenant, holder, wanted.id, place.id, least(rest, place.free), 0, expires, at);
            rest := rest - least(rest, place.free);
            EXIT WHEN rest = 0;
        END LOOP;
        CONTINUE WHEN rest = 0;
        SELECT p.id INTO place FROM public.stock_levels s
            JOIN public.locations p ON p.tenant_id = s.tenant_id AND p.id = s.location_id
            WHERE s.tenant_id = tenant AND s.variant_id = wanted.id AND p.is_active AND s.allows_backorder
            ORDER BY p.priority, p.id LIMIT 1;
        IF FOUND THEN
            RETURN QUERY SELECT * FROM public.take_stock(tenant, holder, wanted.id, place.id, 0, rest, expires, at);
        ELSE
            RETURN QUERY SELECT NULL::uuid, wanted.id, NULL::uuid, 0::bigint, rest, 0::bigint, 0::bigint, 0::bigint,
                false, NULL::bigint, 0::bigint;
        END IF;
    END LOOP;
END $$
"""


def _expired() -> None:
    """Whose reservations are over, of tenants that may be written to; nothing that is in the rows."""
    op.execute("GRANT SELECT ON reservations TO center_search")
    op.execute(
        "CREATE POLICY expired_rows ON reservations FOR SELECT TO center_search "
        "USING (expires_at IS NOT NULL AND shipped + released < quantity)"
    )
    op.execute(
        """
        CREATE FUNCTION expired_reservations(at timestamptz, at_most integer) RETURNS TABLE (tenant_id uuid, owner uuid)
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        BEGIN ATOMIC
            SELECT DISTINCT d.tenant_id, d.owner FROM (
                SELECT r.tenant_id, r.owner
                FROM public.reservations r JOIN public.tenants t ON t.tenant_id = r.tenant_id
                WHERE t.writable AND r.expires_at <= at AND r.expires_at IS NOT NULL
                    AND r.shipped + r.released < r.quantity
                ORDER BY r.expires_at LIMIT at_most
            ) d;
        END
        """
    )
    isolation.search_function("expired_reservations(timestamptz, integer)")
    op.execute("REVOKE EXECUTE ON FUNCTION expired_reservations(timestamptz, integer) FROM center_app")
    op.execute("GRANT EXECUTE ON FUNCTION expired_reservations(timestamptz, integer) TO center_steward")
