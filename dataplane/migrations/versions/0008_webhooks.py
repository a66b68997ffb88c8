"""Webhooks of the tenants."""

from alembic import op

from shared.runtime import isolation

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _endpoints()
    _deliveries()
    for table in ("webhook_endpoints", "webhook_subscriptions", "webhook_events", "webhook_deliveries"):
        isolation.tenant_table(table)
    isolation.tenant_policies("webhook_attempts")
    isolation.append_only("webhook_attempts")
    op.execute(
        "CREATE POLICY writable_insert ON webhook_attempts AS RESTRICTIVE FOR INSERT TO center_app "
        "WITH CHECK ((SELECT tenant_writable()))"
    )
    isolation.one_tenant_at_a_time_for_the_steward("webhook_attempts")
    op.execute(_FAN_OUT)
    _across_tenants()


def _endpoints() -> None:
    op.execute(
        """
        CREATE TABLE webhook_endpoints (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            url text NOT NULL,
            description text NOT NULL,
            state text NOT NULL CONSTRAINT webhook_endpoints_state_check
                CHECK (state IN ('ENABLED', 'DISABLED', 'DELETED')),
            disable_reason text NOT NULL,
            disable_time timestamptz,
            failing_since timestamptz,
            secret bytea NOT NULL,
            old_secret bytea,
            old_secret_expire_time timestamptz,
            version bigint NOT NULL,
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON webhook_endpoints (tenant_id, create_time, id)")
    op.execute(
        """
        CREATE TABLE webhook_subscriptions (
            tenant_id uuid NOT NULL,
            endpoint_id uuid NOT NULL,
            event_type text NOT NULL,
            since timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, endpoint_id, event_type),
            FOREIGN KEY (tenant_id, endpoint_id) REFERENCES webhook_endpoints (tenant_id, id) ON DELETE CASCADE
        )
        """
    )
    op.execute("CREATE INDEX ON webhook_subscriptions (tenant_id, event_type)")


def _deliveries() -> None:
    op.execute(
        """
        CREATE TABLE webhook_events (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            payload text NOT NULL,
            create_time timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX webhook_events_create_time ON webhook_events (create_time)")
    op.execute(
        """
        CREATE TABLE webhook_deliveries (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            endpoint_id uuid NOT NULL,
            event_id uuid NOT NULL,
            event_type text NOT NULL,
            event_time timestamptz NOT NULL,
            aggregate text NOT NULL,
            sequence bigint NOT NULL,
            state text NOT NULL CONSTRAINT webhook_deliveries_state_check
                CHECK (state IN ('PENDING', 'SUCCEEDED', 'DEAD')),
            attempt_count bigint NOT NULL,
            next_attempt_time timestamptz,
            expire_time timestamptz NOT NULL,
            end_time timestamptz,
            last_error text NOT NULL,
            create_time timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant_id, id),
            UNIQUE (tenant_id, endpoint_id, event_id),
            FOREIGN KEY (tenant_id, endpoint_id) REFERENCES webhook_endpoints (tenant_id, id),
            FOREIGN KEY (tenant_id, event_id) REFERENCES webhook_events (tenant_id, id) ON DELETE CASCADE,
            CONSTRAINT webhook_deliveries_next_attempt_time_check
                CHECK ((state = 'PENDING') = (next_attempt_time IS NOT NULL))
        )
        """
    )
    op.execute("CREATE INDEX ON webhook_deliveries (tenant_id, create_time, id)")
    op.execute("CREATE INDEX ON webhook_deliveries (tenant_id, event_id)")
    op.execute("CREATE INDEX ON webhook_deliveries (tenant_id, endpoint_id, event_time, id)")
    op.execute(
        "CREATE INDEX webhook_deliveries_order ON webhook_deliveries "
        "(tenant_id, endpoint_id, aggregate, sequence, id) WHERE state = 'PENDING'"
    )
    op.execute(
        "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (tenant_id, endpoint_id, next_attempt_time) "
        "WHERE next_attempt_time IS NOT NULL"
    )
    op.execute(
        """
        CREATE TABLE webhook_attempts (
            tenant_id uuid NOT NULL,
            delivery_id uuid NOT NULL,
            number bigint NOT NULL,
            start_time timestamptz NOT NULL,
            latency_ms bigint NOT NULL,
            status bigint NOT NULL,
            answer text NOT NULL,
            error text NOT NULL,
            PRIMARY KEY (tenant_id, delivery_id, number),
            FOREIGN KEY (tenant_id, delivery_id) REFERENCES webhook_deliveries (tenant_id, id) ON DELETE CASCADE
        )
        """
    )


# Acts in the tenant that it is given, below all its policies, as whoever calls it: one round trip an event. False: the
# tenant is closed, and its events are read again later.
_FAN_OUT = """
CREATE FUNCTION fan_out_webhook(
    tenant uuid, event uuid, type text, patterns text[], happened timestamptz, about text, place bigint,
    body text, expires timestamptz, once_more boolean
) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '50ms' AS $$
BEGIN
    PERFORM set_config('app.tenant_id', tenant::text, true);
    IF NOT EXISTS (
        SELECT FROM public.webhook_subscriptions s
        WHERE s.tenant_id = tenant AND s.event_type = ANY (patterns) AND s.since <= happened
    ) THEN
        RETURN true;
    END IF;
    IF NOT public.event_admitted('webhooks', happened, once_more) THEN
        RETURN false;
    END IF;
    INSERT INTO public.webhook_events (tenant_id, id, payload) VALUES (tenant, event, body) ON CONFLICT DO NOTHING;
    INSERT INTO public.webhook_deliveries (
        tenant_id, id, endpoint_id, event_id, event_type, event_time, aggregate, sequence, state, attempt_count,
        next_attempt_time, expire_time, last_error
    )
    SELECT tenant, gen_random_uuid(), e.id, event, type, happened, about, place, 'PENDING', 0, now(), expires, ''
    FROM public.webhook_endpoints e
    WHERE e.tenant_id = tenant AND e.state = 'ENABLED' AND EXISTS (
        SELECT FROM public.webhook_subscriptions s
        WHERE s.tenant_id = tenant AND s.endpoint_id = e.id AND s.event_type = ANY (patterns) AND s.since <= happened
    )
    ON CONFLICT (tenant_id, endpoint_id, event_id) DO NOTHING;
    RETURN true;
END $$
"""

# A hop an endpoint with something to send, however much that is.
_DUE = """
CREATE FUNCTION due_webhooks(at timestamptz) RETURNS TABLE (tenant_id uuid, endpoint_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    WITH RECURSIVE waiting AS (
        (
            SELECT d.tenant_id, d.endpoint_id FROM public.webhook_deliveries d
            WHERE d.next_attempt_time IS NOT NULL ORDER BY d.tenant_id, d.endpoint_id LIMIT 1
        )
        UNION ALL
        SELECT n.tenant_id, n.endpoint_id FROM waiting w CROSS JOIN LATERAL (
            SELECT d.tenant_id, d.endpoint_id FROM public.webhook_deliveries d
            WHERE d.next_attempt_time IS NOT NULL AND (d.tenant_id, d.endpoint_id) > (w.tenant_id, w.endpoint_id)
            ORDER BY d.tenant_id, d.endpoint_id LIMIT 1
        ) n
    )
    SELECT w.tenant_id, w.endpoint_id
    FROM waiting w
    JOIN public.tenants t ON t.tenant_id = w.tenant_id AND t.writable
    JOIN public.webhook_endpoints e
        ON e.tenant_id = w.tenant_id AND e.id = w.endpoint_id AND e.state = 'ENABLED'
    WHERE EXISTS (
        SELECT FROM public.webhook_deliveries d
        WHERE d.tenant_id = w.tenant_id AND d.endpoint_id = w.endpoint_id AND d.next_attempt_time <= at
    );
END
"""

# Deliveries and attempts go with their event, an endpoint that is deleted with its last delivery.
_FORGET = """
CREATE FUNCTION forget_webhooks(before timestamptz, at_most integer) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    DELETE FROM public.webhook_endpoints e WHERE e.state = 'DELETED' AND e.update_time < before AND NOT EXISTS (
        SELECT FROM public.webhook_deliveries d WHERE d.tenant_id = e.tenant_id AND d.endpoint_id = e.id
    );
    WITH gone AS (
        DELETE FROM public.webhook_events
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM public.webhook_events WHERE create_time < before LIMIT at_most))
        RETURNING 1
    )
    SELECT count(*) FROM gone;
END
"""


def _across_tenants() -> None:
    """What the steward's workers ask for, and nothing that is in the rows."""
    for table in ("webhook_deliveries", "webhook_endpoints"):
        isolation.searchable(table)
    for table in ("webhook_endpoints", "webhook_events"):
        op.execute(f"GRANT SELECT, DELETE ON {table} TO center_search")
    op.execute("CREATE POLICY old_rows ON webhook_events TO center_search USING (true)")
    op.execute("CREATE POLICY deleted_rows ON webhook_endpoints FOR DELETE TO center_search USING (state = 'DELETED')")
    for function, signature in (
        (_DUE, "due_webhooks(timestamptz)"),
        (_FORGET, "forget_webhooks(timestamptz, integer)"),
    ):
        op.execute(function)
        isolation.search_function(signature)
        op.execute(f"REVOKE EXECUTE ON FUNCTION {signature} FROM center_app")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO center_steward")
