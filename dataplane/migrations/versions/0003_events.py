"""Events leave the outbox."""

from alembic import op

from shared.runtime.events import schema
from shared.runtime.events.relay import ROLE

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA partitions")
    op.execute("ALTER TABLE outbox_default SET SCHEMA partitions")
    # Nobody but the owner can reach it there, and the owner must see all of it before it is emptied.
    op.execute("ALTER TABLE partitions.outbox_default NO FORCE ROW LEVEL SECURITY")
    schema.relayed()
    op.execute(f"CREATE POLICY relay_rows ON outbox FOR SELECT TO {ROLE} USING (true)")
