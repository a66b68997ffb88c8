"""Who runs a tenant's shop."""

from alembic import op

from shared.runtime import isolation

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE staff_members (
            tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
            id uuid NOT NULL,
            email bytea NOT NULL,
            email_hash text NOT NULL,
            role text NOT NULL
                CONSTRAINT staff_members_role_check CHECK (role IN ('READ_ONLY', 'STAFF', 'MANAGER', 'OWNER')),
            state text NOT NULL CONSTRAINT staff_members_state_check CHECK (state IN ('INVITED', 'ACTIVE')),
            password_hash text NOT NULL,
            epoch bigint NOT NULL,
            invitation_digest bytea NOT NULL,
            invitation_expire_time timestamptz,
            version bigint NOT NULL,
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id),
            UNIQUE (tenant_id, email_hash),
            CONSTRAINT staff_members_password_hash_check CHECK ((state = 'ACTIVE') = (password_hash <> '')),
            CONSTRAINT staff_members_invitation_check
                CHECK ((state = 'INVITED') = (invitation_expire_time IS NOT NULL))
        )
        """
    )
    op.execute("CREATE INDEX ON staff_members (tenant_id, create_time, id)")
    op.execute(
        "CREATE INDEX staff_members_owners ON staff_members (tenant_id, id) WHERE role = 'OWNER' AND state = 'ACTIVE'"
    )
    op.execute(
        """
        CREATE TABLE api_keys (
            tenant_id uuid NOT NULL REFERENCES tenants (tenant_id),
            id uuid NOT NULL,
            display_name text NOT NULL,
            role text NOT NULL
                CONSTRAINT api_keys_role_check CHECK (role IN ('READ_ONLY', 'STAFF', 'MANAGER', 'OWNER')),
            digest bytea NOT NULL,
            previous_digest bytea NOT NULL,
            previous_expire_time timestamptz,
            expire_time timestamptz,
            revoke_time timestamptz,
            last_use_time timestamptz,
            version bigint NOT NULL,
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            PRIMARY KEY (tenant_id, id)
        )
        """
    )
    op.execute("CREATE INDEX ON api_keys (tenant_id, create_time, id)")
    for table in ("staff_members", "api_keys"):
        isolation.tenant_table(table)
        isolation.searchable(table)
    _standing()


def _standing() -> None:
    """What a credential is good for now, in one statement that is a transaction of its own."""
    op.execute(
        """
        CREATE FUNCTION member_standing(of_tenant uuid, of_member uuid)
            RETURNS TABLE (role text, state text, epoch bigint)
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        BEGIN ATOMIC
            SELECT m.role, m.state, m.epoch FROM public.staff_members m
            WHERE m.tenant_id = of_tenant AND m.id = of_member;
        END
        """
    )
    op.execute(
        """
        CREATE FUNCTION api_key_standing(of_tenant uuid, of_key uuid)
            RETURNS TABLE (
                role text, digest bytea, previous_digest bytea, previous_expire_time timestamptz,
                expire_time timestamptz, revoke_time timestamptz, last_use_time timestamptz
            )
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        BEGIN ATOMIC
            SELECT k.role, k.digest, k.previous_digest, k.previous_expire_time, k.expire_time, k.revoke_time,
                k.last_use_time
            FROM public.api_keys k WHERE k.tenant_id = of_tenant AND k.id = of_key;
        END
        """
    )
    for signature in ("member_standing(uuid, uuid)", "api_key_standing(uuid, uuid)"):
        isolation.search_function(signature)
        op.execute(f"REVOKE EXECUTE ON FUNCTION {signature} FROM center_app")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO center_steward")
