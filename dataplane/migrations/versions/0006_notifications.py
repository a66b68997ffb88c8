"""Notifications of the tenants, and which events have had their effect here, or have yet to."""

from alembic import op

from shared.runtime import isolation
from shared.runtime.events import schema

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE notification_settings (
    tenant_id uuid PRIMARY KEY,
    sender_name text NOT NULL,
    sender_address text NOT NULL,
    default_locale text NOT NULL,
    update_time timestamptz NOT NULL
);
CREATE TABLE notification_providers (
    tenant_id uuid NOT NULL,
    channel text NOT NULL CONSTRAINT notification_providers_channel_check CHECK (channel IN ('EMAIL', 'SMS', 'PUSH')),
    url text NOT NULL,
    credentials bytea,
    rate bigint NOT NULL CONSTRAINT notification_providers_rate_check CHECK (rate >= 0),
    PRIMARY KEY (tenant_id, channel)
);
CREATE TABLE notification_paces (
    tenant_id uuid NOT NULL,
    channel text NOT NULL,
    empty_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, channel)
);
CREATE TABLE notification_templates (
    tenant_id uuid NOT NULL,
    name text NOT NULL,
    channel text NOT NULL CONSTRAINT notification_templates_channel_check CHECK (channel IN ('EMAIL', 'SMS', 'PUSH')),
    locale text NOT NULL,
    version bigint NOT NULL,
    active boolean NOT NULL,
    category text NOT NULL,
    subject text NOT NULL,
    text text NOT NULL,
    html text NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name, channel, locale, version)
);
CREATE UNIQUE INDEX notification_templates_active ON notification_templates (tenant_id, name, channel, locale)
    WHERE active;
CREATE TABLE notification_preferences (
    tenant_id uuid NOT NULL,
    recipient_hash text NOT NULL,
    channel text NOT NULL,
    category text NOT NULL,
    PRIMARY KEY (tenant_id, recipient_hash, channel, category)
);
CREATE TABLE notification_suppressions (
    tenant_id uuid NOT NULL,
    recipient_hash text NOT NULL,
    recipient bytea NOT NULL,
    reason text NOT NULL CONSTRAINT notification_suppressions_reason_check
        CHECK (reason IN ('BOUNCE', 'COMPLAINT', 'MANUAL')),
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, recipient_hash)
);
CREATE INDEX notification_suppressions_newest ON notification_suppressions (tenant_id, create_time, recipient_hash);
CREATE TABLE notification_triggers (
    tenant_id uuid NOT NULL,
    name text NOT NULL,
    event_type text NOT NULL,
    template text NOT NULL,
    channel text NOT NULL CONSTRAINT notification_triggers_channel_check CHECK (channel IN ('EMAIL', 'SMS', 'PUSH')),
    recipient bytea NOT NULL,
    locale text NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
CREATE INDEX ON notification_triggers (tenant_id, event_type);
CREATE TABLE notifications (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    dedup_key text NOT NULL,
    template text NOT NULL,
    channel text NOT NULL CONSTRAINT notifications_channel_check CHECK (channel IN ('EMAIL', 'SMS', 'PUSH')),
    recipient_hash text NOT NULL,
    recipient bytea,
    variables bytea,
    locale text NOT NULL,
    category text NOT NULL,
    state text NOT NULL CONSTRAINT notifications_state_check
        CHECK (state IN ('PENDING', 'SENDING', 'SENT', 'FAILED', 'SUPPRESSED')),
    tries bigint NOT NULL,
    attempts bigint NOT NULL,
    template_version bigint NOT NULL,
    next_attempt_time timestamptz NOT NULL,
    last_error text NOT NULL,
    provider_id text NOT NULL,
    version bigint NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    end_time timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT notifications_end_time_check
        CHECK (state IN ('SENT', 'FAILED', 'SUPPRESSED') = (end_time IS NOT NULL)),
    CONSTRAINT notifications_recipient_check CHECK (state NOT IN ('PENDING', 'SENDING') OR recipient IS NOT NULL)
);
CREATE UNIQUE INDEX notifications_once ON notifications (tenant_id, dedup_key, template, channel, recipient_hash);
CREATE INDEX notifications_due ON notifications (tenant_id, channel, next_attempt_time)
    WHERE state IN ('PENDING', 'SENDING');
CREATE INDEX ON notifications (tenant_id, create_time, id);
CREATE INDEX ON notifications (tenant_id, state, create_time, id);
CREATE INDEX ON notifications (tenant_id, recipient_hash, create_time, id);
CREATE INDEX notifications_ended ON notifications (end_time) WHERE end_time IS NOT NULL;
CREATE TABLE notification_attempts (
    tenant_id uuid NOT NULL,
    notification_id uuid NOT NULL,
    number bigint NOT NULL,
    begin_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    outcome text NOT NULL CONSTRAINT notification_attempts_outcome_check
        CHECK (outcome IN ('SENT', 'TRANSIENT', 'PERMANENT', 'UNKNOWN')),
    error text NOT NULL,
    template_version bigint NOT NULL,
    PRIMARY KEY (tenant_id, notification_id, number),
    FOREIGN KEY (tenant_id, notification_id) REFERENCES notifications (tenant_id, id)
);
"""

# One step a tenant and channel over the index, however many of a tenant's wait: a burst costs the others nothing.
_DUE = """
CREATE FUNCTION notifications_due(at_most integer) RETURNS TABLE (tenant_id uuid, channel text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
BEGIN ATOMIC
    WITH RECURSIVE queues AS (
        (
            SELECT n.tenant_id, n.channel FROM public.notifications n
            WHERE n.state IN ('PENDING', 'SENDING') ORDER BY n.tenant_id, n.channel LIMIT 1
        )
        UNION ALL
        SELECT following.tenant_id, following.channel FROM queues q CROSS JOIN LATERAL (
            SELECT n.tenant_id, n.channel FROM public.notifications n
            WHERE n.state IN ('PENDING', 'SENDING') AND (n.tenant_id, n.channel) > (q.tenant_id, q.channel)
            ORDER BY n.tenant_id, n.channel LIMIT 1
        ) following
    )
    SELECT q.tenant_id, q.channel FROM queues q
    JOIN public.tenants t ON t.tenant_id = q.tenant_id AND t.writable
    CROSS JOIN LATERAL (
        SELECT n.next_attempt_time FROM public.notifications n
        WHERE n.tenant_id = q.tenant_id AND n.channel = q.channel AND n.state IN ('PENDING', 'SENDING')
        ORDER BY n.next_attempt_time LIMIT 1
    ) first
    WHERE first.next_attempt_time <= now()
    ORDER BY first.next_attempt_time
    LIMIT at_most;
END
"""

# What has failed can be replayed for a week, and what has ended is shown for 90 days. Rows of a tenant that is on its
# way to another cluster stay as they are.
_FORGET = """
CREATE FUNCTION forget_notifications(at_most integer) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    forgotten bigint;
    gone bigint;
BEGIN
    UPDATE public.notifications SET recipient = NULL, variables = NULL WHERE ctid = ANY (ARRAY(
        SELECT n.ctid FROM public.notifications n JOIN public.tenants t ON t.tenant_id = n.tenant_id AND t.writable
        WHERE n.end_time < now() - interval '7 days' AND n.end_time >= now() - interval '90 days'
            AND n.recipient IS NOT NULL LIMIT at_most
    ));
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    WITH old AS (
        SELECT n.tenant_id, n.id FROM public.notifications n
        JOIN public.tenants t ON t.tenant_id = n.tenant_id AND t.writable
        WHERE n.end_time < now() - interval '90 days' LIMIT at_most
    ), tries AS (
        DELETE FROM public.notification_attempts a USING old
        WHERE a.tenant_id = old.tenant_id AND a.notification_id = old.id
    )
    DELETE FROM public.notifications n USING old WHERE n.tenant_id = old.tenant_id AND n.id = old.id;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN greatest(forgotten, gone);
END
$$
"""


def upgrade() -> None:
    op.execute(_TABLES)
    for table in ("settings", "providers", "paces", "templates", "preferences", "suppressions", "triggers"):
        isolation.tenant_table(f"notification_{table}")
    isolation.tenant_table("notifications")
    isolation.tenant_policies("notification_attempts")
    isolation.append_only("notification_attempts")
    isolation.one_tenant_at_a_time_for_the_steward("notification_attempts")
    op.execute(
        "CREATE POLICY writable_insert ON notification_attempts AS RESTRICTIVE FOR INSERT TO center_app "
        "WITH CHECK ((SELECT tenant_writable()))"
    )
    _across_tenants()
    schema.with_inbox()
    schema.with_gaps()


def _across_tenants() -> None:
    """What is due and what is over is found for all tenants at once; nobody gets to see more of it than whose it is."""
    op.execute("GRANT SELECT, UPDATE (recipient, variables), DELETE ON notifications TO center_search")
    op.execute("GRANT SELECT, DELETE ON notification_attempts TO center_search")
    op.execute("CREATE POLICY search_due ON notifications FOR SELECT TO center_search USING (true)")
    over = "end_time < now() - interval '{} days'"
    op.execute(
        f"CREATE POLICY search_forgets ON notifications FOR UPDATE TO center_search USING ({over.format(7)}) "
        "WITH CHECK (recipient IS NULL AND variables IS NULL)"
    )
    op.execute(f"CREATE POLICY search_deletes ON notifications FOR DELETE TO center_search USING ({over.format(90)})")
    op.execute("CREATE POLICY search_reads ON notification_attempts FOR SELECT TO center_search USING (true)")
    op.execute(
        f"CREATE POLICY search_deletes ON notification_attempts FOR DELETE TO center_search USING ({over.format(90)})"
    )
    op.execute(_DUE)
    op.execute(_FORGET)
    for function in ("notifications_due(integer)", "forget_notifications(integer)"):
        isolation.search_function(function)
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM center_app")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO center_steward")
