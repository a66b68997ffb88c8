"""Orders of the tenants."""

from alembic import op

from shared.runtime import isolation

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _orders()
    _lines()
    _fulfillments()
    _refunds()
    _history()
    for table in (
        "orders", "order_lines", "order_adjustments", "fulfillments", "fulfillment_lines", "refunds", "refund_lines",
        "order_events", "order_numbers",
    ):  # fmt: skip
        isolation.tenant_table(table)
        # Where nobody may do it at all, nothing is left to say about when.
        op.execute(f"REVOKE DELETE, TRUNCATE ON {table} FROM center_app")
        op.execute(f"DROP POLICY writable_delete ON {table}")
    for table in ("order_adjustments", "fulfillment_lines", "refund_lines", "order_events"):
        isolation.append_only(table)
        op.execute(f"DROP POLICY writable_update ON {table}")
    _due()


def _orders() -> None:
    op.execute(
        """
        CREATE TABLE orders (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            number bigint NOT NULL,
            state text NOT NULL,
            payment_status text NOT NULL,
            fulfillment_status text NOT NULL,
            cart_id uuid,
            customer_id uuid,
            external_reference text,
            currency text NOT NULL,
            subtotal_minor bigint NOT NULL,
            discount_minor bigint NOT NULL,
            shipping_minor bigint NOT NULL,
            tax_minor bigint NOT NULL,
            prices_include_tax boolean NOT NULL,
            total_minor bigint NOT NULL,
            paid_minor bigint NOT NULL,
            refunded_minor bigint NOT NULL,
            shipping_method text NOT NULL,
            country text NOT NULL,
            email bytea NOT NULL,
            address bytea NOT NULL,
            captures_late boolean NOT NULL,
            version bigint NOT NULL,
            create_time timestamptz NOT NULL,
            place_time timestamptz,
            update_time timestamptz NOT NULL,
            expire_time timestamptz,
            PRIMARY KEY (tenant_id, id),
            UNIQUE (tenant_id, number),
            UNIQUE (tenant_id, external_reference),
            FOREIGN KEY (tenant_id) REFERENCES tenants (tenant_id),
            CONSTRAINT orders_state_check
                CHECK (state IN ('PENDING_PAYMENT', 'PLACED', 'PARTIALLY_FULFILLED', 'FULFILLED',
                    'EXPIRED', 'CANCELED')),
            CONSTRAINT orders_payment_status_check
                CHECK (payment_status IN ('NONE', 'AUTHORIZED', 'PARTIALLY_CAPTURED', 'CAPTURED',
                    'PARTIALLY_REFUNDED', 'REFUNDED', 'VOIDED')),
            CONSTRAINT orders_fulfillment_status_check
                CHECK (fulfillment_status IN ('UNFULFILLED', 'PARTIALLY_FULFILLED', 'FULFILLED', 'DELIVERED')),
            CONSTRAINT orders_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
            CONSTRAINT orders_amounts_check
                CHECK (subtotal_minor >= 0 AND shipping_minor >= 0 AND tax_minor >= 0 AND discount_minor
                    BETWEEN 0 AND subtotal_minor + shipping_minor),
            CONSTRAINT orders_total_check
                CHECK (total_minor = subtotal_minor - discount_minor + shipping_minor + CASE WHEN
                    prices_include_tax THEN 0 ELSE tax_minor END),
            CONSTRAINT orders_paid_check
                CHECK (paid_minor BETWEEN 0 AND total_minor AND refunded_minor BETWEEN 0 AND paid_minor),
            CONSTRAINT orders_expire_time_check
                CHECK ((expire_time IS NOT NULL) = (state = 'PENDING_PAYMENT'))
        )
        """
    )
    op.execute("CREATE INDEX orders_due ON orders (expire_time) WHERE expire_time IS NOT NULL")
    op.execute(
        "CREATE UNIQUE INDEX orders_of_cart ON orders (tenant_id, cart_id) "
        "WHERE cart_id IS NOT NULL AND state NOT IN ('EXPIRED', 'CANCELED')"
    )
    op.execute("CREATE INDEX ON orders (tenant_id, create_time, id)")
    op.execute("CREATE INDEX ON orders (tenant_id, customer_id, create_time, id)")
    op.execute("CREATE INDEX ON orders (tenant_id, state, create_time, id)")


def _lines() -> None:
    op.execute(
        """
        CREATE TABLE order_lines (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            order_id uuid NOT NULL,
            position bigint NOT NULL,
            variant_id uuid NOT NULL,
            product_id uuid NOT NULL,
            sku text NOT NULL,
            product_title text NOT NULL,
            variant_title text NOT NULL,
            options jsonb NOT NULL,
            quantity bigint NOT NULL,
            unit_minor bigint NOT NULL,
            amount_minor bigint NOT NULL,
            discount_minor bigint NOT NULL,
            tax_minor bigint NOT NULL,
            fulfilled bigint NOT NULL,
            refunded bigint NOT NULL,
            withdrawn bigint NOT NULL,
            returned bigint NOT NULL,
            PRIMARY KEY (tenant_id, id),
            FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id),
            CONSTRAINT order_lines_quantity_check CHECK (quantity > 0),
            CONSTRAINT order_lines_amount_check
                CHECK (unit_minor >= 0 AND amount_minor = unit_minor * quantity),
            CONSTRAINT order_lines_discount_check
                CHECK (discount_minor BETWEEN 0 AND amount_minor AND tax_minor >= 0),
            CONSTRAINT order_lines_refunded_check CHECK (refunded BETWEEN 0 AND quantity),
            CONSTRAINT order_lines_fulfilled_check
                CHECK (fulfilled >= 0 AND withdrawn >= 0 AND fulfilled + withdrawn <= quantity),
            CONSTRAINT order_lines_returned_check CHECK (returned BETWEEN 0 AND fulfilled)
        )
        """
    )
    op.execute("CREATE INDEX ON order_lines (tenant_id, order_id, position)")
    op.execute(
        """
        CREATE TABLE order_adjustments (
            tenant_id uuid NOT NULL,
            order_id uuid NOT NULL,
            position bigint NOT NULL,
            promotion_id uuid NOT NULL,
            code text NOT NULL,
            amount_minor bigint NOT NULL,
            explanation text NOT NULL,
            PRIMARY KEY (tenant_id, order_id, position),
            FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id),
            CONSTRAINT order_adjustments_amount_check CHECK (amount_minor > 0)
        )
        """
    )


def _fulfillments() -> None:
    op.execute(
        """
        CREATE TABLE fulfillments (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            order_id uuid NOT NULL,
            carrier text NOT NULL,
            tracking_number text NOT NULL,
            create_time timestamptz NOT NULL,
            deliver_time timestamptz,
            PRIMARY KEY (tenant_id, id),
            FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON fulfillments (tenant_id, order_id)")
    op.execute(
        """
        CREATE TABLE fulfillment_lines (
            tenant_id uuid NOT NULL,
            fulfillment_id uuid NOT NULL,
            line_id uuid NOT NULL,
            quantity bigint NOT NULL,
            PRIMARY KEY (tenant_id, fulfillment_id, line_id),
            FOREIGN KEY (tenant_id, fulfillment_id) REFERENCES fulfillments (tenant_id, id),
            FOREIGN KEY (tenant_id, line_id) REFERENCES order_lines (tenant_id, id),
            CONSTRAINT fulfillment_lines_quantity_check CHECK (quantity > 0)
        )
        """
    )


def _refunds() -> None:
    op.execute(
        """
        CREATE TABLE refunds (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            order_id uuid NOT NULL,
            operation_id uuid,
            amount_minor bigint NOT NULL,
            state text NOT NULL,
            reason text NOT NULL,
            failure_reason text NOT NULL,
            create_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id),
            UNIQUE (tenant_id, operation_id),
            FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id),
            CONSTRAINT refunds_amount_check CHECK (amount_minor > 0),
            CONSTRAINT refunds_state_check CHECK (state IN ('PENDING', 'SUCCEEDED', 'FAILED'))
        )
        """
    )
    op.execute("CREATE INDEX ON refunds (tenant_id, order_id)")
    op.execute(
        """
        CREATE TABLE refund_lines (
            tenant_id uuid NOT NULL,
            refund_id uuid NOT NULL,
            line_id uuid NOT NULL,
            quantity bigint NOT NULL,
            restock boolean NOT NULL,
            withdrawn boolean NOT NULL,
            PRIMARY KEY (tenant_id, refund_id, line_id),
            FOREIGN KEY (tenant_id, refund_id) REFERENCES refunds (tenant_id, id),
            FOREIGN KEY (tenant_id, line_id) REFERENCES order_lines (tenant_id, id),
            CONSTRAINT refund_lines_quantity_check CHECK (quantity > 0),
            CONSTRAINT refund_lines_goods_check CHECK (NOT (restock AND withdrawn))
        )
        """
    )


def _history() -> None:
    op.execute(
        """
        CREATE TABLE order_events (
            tenant_id uuid NOT NULL,
            order_id uuid NOT NULL,
            id uuid NOT NULL,
            kind text NOT NULL,
            message text NOT NULL,
            actor text NOT NULL,
            create_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, order_id, id),
            FOREIGN KEY (tenant_id, order_id) REFERENCES orders (tenant_id, id)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE order_numbers (
            tenant_id uuid NOT NULL,
            number bigint NOT NULL,
            PRIMARY KEY (tenant_id),
            FOREIGN KEY (tenant_id) REFERENCES tenants (tenant_id)
        )
        """
    )


def _due() -> None:
    """Which orders were not paid in time, whosever they are.

    Of tenants that are open to writes only: a tenant that moves keeps what it has until it has moved.
    """
    isolation.searchable("orders")
    op.execute(
        """
        CREATE FUNCTION due_orders(at timestamptz, at_most integer) RETURNS TABLE (tenant_id uuid, id uuid)
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        BEGIN ATOMIC
            SELECT o.tenant_id, o.id FROM public.orders o
                JOIN public.tenants t ON t.tenant_id = o.tenant_id AND t.writable
                WHERE o.expire_time <= at
                ORDER BY o.expire_time LIMIT at_most;
        END
        """
    )
    isolation.search_function("due_orders(timestamptz, integer)")
    op.execute("REVOKE EXECUTE ON FUNCTION due_orders(timestamptz, integer) FROM center_app")
    op.execute("GRANT EXECUTE ON FUNCTION due_orders(timestamptz, integer) TO center_steward")
