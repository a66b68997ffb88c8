"""Who changed what, in the transaction of the change."""

from alembic import op

from shared.runtime import isolation

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE audit_entries (
            tenant_id uuid NOT NULL,
            id uuid NOT NULL,
            create_time timestamptz NOT NULL DEFAULT now(),
            method text NOT NULL,
            caller text NOT NULL,
            resource text NOT NULL,
            resource_id text NOT NULL,
            reason text NOT NULL,
            trace_id text NOT NULL,
            request_id text NOT NULL,
            changes jsonb NOT NULL,
            PRIMARY KEY (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON audit_entries (tenant_id, resource, resource_id, id)")
    isolation.tenant_policies("audit_entries")
    isolation.append_only("audit_entries")
    isolation.one_tenant_at_a_time_for_the_steward("audit_entries")
