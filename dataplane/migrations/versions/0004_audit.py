"""Who changed what, in the transaction of the change, and the chains that show what was done to it since."""

from alembic import op

from shared.audit import schema
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
    schema.sealed("uuid")
    op.execute("GRANT EXECUTE ON FUNCTION tenant_writable() TO center_steward")
    for table in ("audit_entries", *schema.CHAIN):
        isolation.tenant_policies(table)
        isolation.append_only(table)
        isolation.one_tenant_at_a_time_for_the_steward(table)
        op.execute(f"CREATE POLICY sealer_reads ON {table} FOR SELECT TO {schema.ROLE} USING (true)")
        # What the audit says goes with a tenant that leaves, and with nothing else.
        op.execute(
            f"CREATE POLICY steward_ends ON {table} AS RESTRICTIVE FOR DELETE TO center_steward "
            f"USING (tenant_id <> '{schema.NO_TENANT}' AND NOT (SELECT tenant_writable()))"
        )
    # So that the steward's changes are recorded by the same statement; no policy lets an event of its own in.
    op.execute("GRANT INSERT ON outbox TO center_steward")
    for table in schema.CHAIN:
        op.execute(f"CREATE POLICY sealer_adds ON {table} FOR INSERT TO {schema.ROLE} WITH CHECK (true)")
