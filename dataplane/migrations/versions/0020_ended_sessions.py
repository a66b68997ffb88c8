"""Which sessions of a customer were ended alone."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE customers ADD COLUMN ended_sessions jsonb NOT NULL DEFAULT '{}'")
