"""How the tenants' storefronts look."""

from alembic import op

from shared.runtime import isolation

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE storefront_themes (
            tenant_id uuid PRIMARY KEY REFERENCES tenants (tenant_id),
            title text NOT NULL,
            logo_text text NOT NULL,
            tagline text NOT NULL,
            accent_color text NOT NULL
                CONSTRAINT storefront_themes_accent_color_check CHECK (accent_color ~ '^(#[0-9a-f]{6})?$'),
            version bigint NOT NULL,
            update_time timestamptz NOT NULL
        )
        """
    )
    isolation.tenant_table("storefront_themes")
