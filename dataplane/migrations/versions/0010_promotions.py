"""Promotions of the tenants."""

from alembic import op

from shared.runtime import isolation

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _promotions()
    _redemptions()
    for table in ("promotions", "promotion_redemptions"):
        isolation.tenant_table(table)
        op.execute(f"REVOKE DELETE, TRUNCATE ON {table} FROM center_app")
        # Where nobody may do it at all, nothing is left to say about when.
        op.execute(f"DROP POLICY writable_delete ON {table}")
    op.execute("REVOKE UPDATE ON promotion_redemptions FROM center_app")
    op.execute("GRANT UPDATE (cancel_time) ON promotion_redemptions TO center_app")


def _promotions() -> None:
    op.execute(
        """
        CREATE TABLE promotions (
            tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
            id uuid NOT NULL,
            display_name text NOT NULL,
            code text NOT NULL,
            code_key text NOT NULL,
            automatic boolean NOT NULL,
            priority bigint NOT NULL,
            exclusive boolean NOT NULL,
            stack_group text NOT NULL,
            start_time timestamptz,
            end_time timestamptz,
            usage_limit bigint,
            per_customer_limit bigint,
            budget_minor bigint,
            currency text NOT NULL CONSTRAINT promotions_currency_check CHECK (currency ~ '^([A-Z]{3})?$'),
            status text NOT NULL CONSTRAINT promotions_status_check
                CHECK (status IN ('ACTIVE', 'PAUSED', 'ARCHIVED')),
            rule_sets jsonb NOT NULL,
            effect_type text NOT NULL CONSTRAINT promotions_effect_type_check
                CHECK (effect_type IN ('PERCENT', 'FIXED', 'FREE_SHIPPING', 'BUY_X_GET_Y')),
            target text NOT NULL CONSTRAINT promotions_target_check CHECK (target IN ('ORDER', 'ITEM', 'SHIPPING')),
            allocation text NOT NULL CONSTRAINT promotions_allocation_check CHECK (allocation IN ('EACH', 'ACROSS')),
            basis_points bigint NOT NULL CONSTRAINT promotions_basis_points_check
                CHECK (basis_points BETWEEN 0 AND 10000),
            amount_minor bigint NOT NULL,
            max_quantity bigint NOT NULL,
            buy_quantity bigint NOT NULL,
            get_quantity bigint NOT NULL,
            uses bigint NOT NULL,
            spent_minor bigint NOT NULL,
            version bigint NOT NULL,
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id),
            CONSTRAINT promotions_code_check CHECK (automatic = (code = '') AND automatic = (code_key = '')),
            CONSTRAINT promotions_uses_check CHECK (uses >= 0 AND (usage_limit IS NULL OR uses <= usage_limit)),
            CONSTRAINT promotions_spent_check
                CHECK (spent_minor >= 0 AND (budget_minor IS NULL OR spent_minor <= budget_minor))
        )
        """
    )
    op.execute(
        "CREATE UNIQUE INDEX promotions_code ON promotions (tenant_id, code_key) "
        "WHERE code_key <> '' AND status <> 'ARCHIVED'"
    )
    op.execute("CREATE INDEX ON promotions (tenant_id, automatic, status)")
    op.execute("CREATE INDEX ON promotions (tenant_id, create_time, id)")
    # Each order that uses one writes it, and no index has what it writes.
    op.execute("ALTER TABLE promotions SET (fillfactor = 70)")


def _redemptions() -> None:
    op.execute(
        """
        CREATE TABLE promotion_redemptions (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            promotion_id uuid NOT NULL,
            order_id uuid NOT NULL,
            customer_id uuid,
            currency text NOT NULL CONSTRAINT promotion_redemptions_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
            amount_minor bigint NOT NULL CONSTRAINT promotion_redemptions_amount_check CHECK (amount_minor > 0),
            create_time timestamptz NOT NULL,
            cancel_time timestamptz,
            PRIMARY KEY (tenant_id, id),
            UNIQUE (tenant_id, promotion_id, order_id),
            FOREIGN KEY (tenant_id, promotion_id) REFERENCES promotions (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON promotion_redemptions (tenant_id, promotion_id, customer_id)")
    op.execute("CREATE INDEX ON promotion_redemptions (tenant_id, order_id)")
    op.execute("CREATE INDEX ON promotion_redemptions (tenant_id, create_time, id)")
