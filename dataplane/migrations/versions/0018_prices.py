"""Price lists of the tenants."""

from alembic import op

from shared.runtime import isolation

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE price_lists (
            tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
            id uuid NOT NULL,
            display_name text NOT NULL,
            currency text NOT NULL CONSTRAINT price_lists_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
            start_time timestamptz,
            end_time timestamptz,
            status text NOT NULL CONSTRAINT price_lists_status_check CHECK (status IN ('ACTIVE', 'ARCHIVED')),
            version bigint NOT NULL,
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON price_lists (tenant_id, create_time, id)")
    op.execute(
        """
        CREATE TABLE prices (
            tenant_id uuid NOT NULL,
            list_id uuid NOT NULL,
            variant_id uuid NOT NULL,
            min_quantity bigint NOT NULL CONSTRAINT prices_min_quantity_check CHECK (min_quantity >= 1),
            amount_minor bigint NOT NULL CONSTRAINT prices_amount_minor_check CHECK (amount_minor >= 0),
            PRIMARY KEY (tenant_id, list_id, variant_id, min_quantity),
            FOREIGN KEY (tenant_id, list_id) REFERENCES price_lists (tenant_id, id),
            FOREIGN KEY (tenant_id, variant_id) REFERENCES variants (tenant_id, id) ON DELETE CASCADE
        )
        """
    )
    op.execute("CREATE INDEX ON prices (tenant_id, variant_id)")
    for table in ("price_lists", "prices"):
        isolation.tenant_table(table)
    op.execute("REVOKE DELETE, TRUNCATE ON price_lists FROM center_app")
    # Where nobody may do it at all, nothing is left to say about when.
    op.execute("DROP POLICY writable_delete ON price_lists")
