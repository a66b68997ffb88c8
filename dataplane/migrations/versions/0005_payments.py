"""Payments of the tenants."""

from alembic import op

from shared.runtime import isolation

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE payment_settings (
            tenant_id uuid PRIMARY KEY REFERENCES tenants (tenant_id),
            provider text NOT NULL,
            api_base text NOT NULL,
            secret_key bytea NOT NULL,
            webhook_secret bytea NOT NULL,
            version bigint NOT NULL,
            update_time timestamptz NOT NULL
        )
        """
    )
    _payments()
    _operations()
    op.execute(
        """
        CREATE TABLE payment_events (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            provider text NOT NULL,
            provider_event_id text NOT NULL,
            type text NOT NULL,
            payment_id uuid NOT NULL,
            event_time timestamptz NOT NULL,
            create_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id),
            UNIQUE (tenant_id, provider, provider_event_id),
            FOREIGN KEY (tenant_id, payment_id) REFERENCES payments (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON payment_events (tenant_id, payment_id)")
    for table in ("payment_settings", "payments", "payment_operations", "payment_events"):
        isolation.tenant_table(table)
    isolation.append_only("payment_events")
    for table in ("payments", "payment_operations"):
        op.execute(f"REVOKE DELETE, TRUNCATE ON {table} FROM center_app")
    # Where nobody may do it at all, nothing is left to say about when.
    for table, verbs in (
        ("payments", ("delete",)),
        ("payment_operations", ("delete",)),
        ("payment_events", ("update", "delete")),
    ):
        for verb in verbs:
            op.execute(f"DROP POLICY writable_{verb} ON {table}")
    _due()


def _payments() -> None:
    op.execute(
        """
        CREATE TABLE payments (
            tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
            id uuid NOT NULL,
            reference text NOT NULL,
            state text NOT NULL CONSTRAINT payments_state_check CHECK (state IN ('PENDING', 'REQUIRES_ACTION',
                'AUTHORIZED', 'CAPTURED', 'PARTIALLY_REFUNDED', 'REFUNDED', 'VOIDED', 'FAILED')),
            currency text NOT NULL CONSTRAINT payments_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
            amount_minor bigint NOT NULL CONSTRAINT payments_amount_check CHECK (amount_minor > 0),
            authorized_minor bigint NOT NULL,
            capturing_minor bigint NOT NULL,
            captured_minor bigint NOT NULL,
            refunding_minor bigint NOT NULL,
            refunded_minor bigint NOT NULL,
            provider text NOT NULL,
            provider_payment_id text NOT NULL,
            payment_method text NOT NULL,
            return_url text NOT NULL,
            action_url text NOT NULL,
            failure_reason text NOT NULL,
            version bigint NOT NULL,
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id),
            CONSTRAINT payments_authorized_check
                CHECK (authorized_minor >= 0 AND authorized_minor <= amount_minor),
            CONSTRAINT payments_captured_check CHECK (
                capturing_minor >= 0 AND captured_minor >= 0 AND captured_minor + capturing_minor <= authorized_minor
            ),
            CONSTRAINT payments_refunded_check CHECK (
                refunding_minor >= 0 AND refunded_minor >= 0 AND refunded_minor + refunding_minor <= captured_minor
            )
        )
        """
    )
    op.execute("CREATE INDEX ON payments (tenant_id, create_time, id)")
    op.execute("CREATE INDEX ON payments (tenant_id, reference)")
    op.execute(
        "CREATE UNIQUE INDEX payments_provider_payment ON payments (tenant_id, provider, provider_payment_id) "
        "WHERE provider_payment_id <> ''"
    )
    # Each payment is written several times within a second or so.
    op.execute("ALTER TABLE payments SET (fillfactor = 80)")


def _operations() -> None:
    op.execute(
        """
        CREATE TABLE payment_operations (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            payment_id uuid NOT NULL,
            kind text NOT NULL CONSTRAINT payment_operations_kind_check
                CHECK (kind IN ('AUTHORIZE', 'CAPTURE', 'REFUND', 'VOID')),
            state text NOT NULL CONSTRAINT payment_operations_state_check
                CHECK (state IN ('PENDING', 'SUCCEEDED', 'FAILED', 'UNKNOWN')),
            amount_minor bigint NOT NULL CONSTRAINT payment_operations_amount_check CHECK (amount_minor > 0),
            attempts bigint NOT NULL,
            provider_reference text NOT NULL,
            failure_reason text NOT NULL,
            look_time timestamptz NOT NULL,
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id),
            FOREIGN KEY (tenant_id, payment_id) REFERENCES payments (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON payment_operations (tenant_id, payment_id)")
    op.execute(
        "CREATE UNIQUE INDEX payment_operations_once ON payment_operations (tenant_id, payment_id, kind) "
        "WHERE kind <> 'REFUND' AND state <> 'FAILED'"
    )
    op.execute(
        "CREATE UNIQUE INDEX payment_operations_refund ON payment_operations (tenant_id, provider_reference) "
        "WHERE kind = 'REFUND' AND provider_reference <> ''"
    )
    op.execute(
        "CREATE INDEX payment_operations_due ON payment_operations (look_time) WHERE state IN ('PENDING', 'UNKNOWN')"
    )


def _due() -> None:
    """Which tenants have operations that somebody must ask about; the rows themselves stay behind their policies."""
    op.execute("GRANT SELECT ON payment_operations TO center_search")
    op.execute(
        "CREATE POLICY due_rows ON payment_operations FOR SELECT TO center_search "
        "USING (state IN ('PENDING', 'UNKNOWN') AND look_time <= now())"
    )
    op.execute(
        """
        CREATE FUNCTION due_payment_operations(at_most integer) RETURNS TABLE (tenant_id uuid, payment_id uuid, id uuid)
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        BEGIN ATOMIC
            SELECT o.tenant_id, o.payment_id, o.id
            FROM public.payment_operations o JOIN public.tenants t ON t.tenant_id = o.tenant_id
            WHERE t.writable AND o.state IN ('PENDING', 'UNKNOWN') AND o.look_time <= now()
            ORDER BY o.look_time LIMIT at_most;
        END
        """
    )
    isolation.search_function("due_payment_operations(integer)")
    op.execute("REVOKE EXECUTE ON FUNCTION due_payment_operations(integer) FROM center_app")
    op.execute("GRANT EXECUTE ON FUNCTION due_payment_operations(integer) TO center_steward")
