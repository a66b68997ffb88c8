"""Events leave the outbox, and others' events have their effect here."""

from alembic import op

from shared.runtime.events import schema

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    # Which thing an event is about, and its place in the order of that thing's events.
    op.execute("ALTER TABLE outbox ADD COLUMN aggregate TEXT DEFAULT '' NOT NULL")
    op.execute("ALTER TABLE outbox ADD COLUMN sequence BIGINT DEFAULT 0 NOT NULL")
    schema.relayed()
    schema.with_inbox()
    op.execute(
        """
        CREATE TABLE tenant_activity (
            tenant_id UUID NOT NULL,
            date DATE NOT NULL,
            type TEXT NOT NULL,
            events BIGINT NOT NULL,
            last_event_time TIMESTAMP WITH TIME ZONE NOT NULL,
            PRIMARY KEY (tenant_id, date, type)
        )
        """
    )
    op.execute("CREATE INDEX tenant_activity_date ON tenant_activity (date, tenant_id, type)")
