"""Options, price lists, categories and collections of the tenants' products."""

from alembic import op

from shared.runtime import isolation

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _options()
    _media()
    isolation.tenant_table("product_media")


def _options() -> None:
    for table in ("products", "variants"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN options jsonb NOT NULL DEFAULT '[]'")


def _media() -> None:
    op.execute(
        """
        CREATE TABLE product_media (
            tenant_id uuid NOT NULL,
            product_id uuid NOT NULL,
            position integer NOT NULL,
            media_id uuid NOT NULL,
            alt_text text NOT NULL,
            PRIMARY KEY (tenant_id, product_id, position),
            FOREIGN KEY (tenant_id, product_id) REFERENCES products (tenant_id, id),
            FOREIGN KEY (tenant_id, media_id) REFERENCES media (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON product_media (tenant_id, media_id)")
