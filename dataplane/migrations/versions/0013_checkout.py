"""Checkouts of the tenants."""

from alembic import op

from shared.runtime import isolation

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE checkouts (
            tenant_id uuid NOT NULL,
            cart_id uuid NOT NULL,
            cart_version bigint NOT NULL,
            shipping_method text NOT NULL,
            shipping_minor bigint NOT NULL,
            total_minor bigint NOT NULL,
            order_id uuid,
            create_time timestamptz NOT NULL,
            expire_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, cart_id),
            FOREIGN KEY (tenant_id, cart_id) REFERENCES carts (tenant_id, id) ON DELETE CASCADE,
            CONSTRAINT checkouts_amounts_check CHECK (shipping_minor >= 0 AND total_minor > 0)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE selling_settings (
            tenant_id uuid PRIMARY KEY REFERENCES tenants (tenant_id),
            settings bytea NOT NULL,
            version bigint NOT NULL,
            update_time timestamptz NOT NULL
        )
        """
    )
    for table in ("checkouts", "selling_settings"):
        isolation.tenant_table(table)
