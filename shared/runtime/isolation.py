"""Row-level security for migrations: which policies make a table a tenant's, and who may look across tenants.

Roles (made by shared.runtime.migrate): `center_app` serves requests and sees one tenant's rows; `center_steward` runs
the few jobs that cross tenants, each by a policy of its own; `center_search` cannot log in and owns search functions.
No role bypasses row security, and a role without a policy sees nothing.

Every statement of a request runs below the policy, so its columns need leakproof operators (uuid, text, bigint, bool,
timestamptz, date): numeric ranges, lower(x), LIKE and @@ are not, and their indexes stay unused (70 - 450 times slower,
measured). Full text goes through a function of `center_search` instead, which reads no tenant from its arguments:

    searchable("product")
    op.execute('''CREATE FUNCTION search_products(words text, at_most int) RETURNS SETOF uuid
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        BEGIN ATOMIC
            SELECT id FROM product
            WHERE tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid AND ... LIMIT at_most;
        END''')
    search_function("search_products(text, int)")
"""

from collections.abc import Callable

from alembic import op

# In a sub-select, so that it is computed once a statement and not once a row. After a transaction that used
# set_config(..., true) the setting is '' and not NULL; nullif makes both mean "no rows".
TENANT = "(SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"

Execute = Callable[[str], object]


def tenant_policies(table: str, execute: Execute = op.execute) -> None:
    """Only the rows of the transaction's tenant exist for `center_app`, to read and to write.

    The restrictive policy is the floor: no permissive policy that anyone adds later can widen what it allows. FORCE
    binds the owner, too: a migration that fills such a table lifts it for its own transaction (NO FORCE, FORCE).
    """
    mine = f"USING (tenant_id = {TENANT}) WITH CHECK (tenant_id = {TENANT})"
    execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    execute(f"CREATE POLICY tenant_floor ON {table} AS RESTRICTIVE TO center_app {mine}")
    execute(f"CREATE POLICY tenant_rows ON {table} AS PERMISSIVE TO center_app {mine}")


def steward_policy(table: str, command: str, using: str = "true", execute: Execute = op.execute) -> None:
    """`center_steward` may `command` (SELECT, UPDATE or DELETE) the rows of all tenants that `using` selects."""
    if command not in ("SELECT", "UPDATE", "DELETE"):
        raise ValueError(f"a steward never gets {command}")
    check = f" WITH CHECK ({using})" if command == "UPDATE" else ""
    execute(f"GRANT {command} ON {table} TO center_steward")
    name = f"steward_{command.lower()}"
    execute(f"CREATE POLICY {name} ON {table} FOR {command} TO center_steward USING ({using}){check}")


def searchable(table: str, execute: Execute = op.execute) -> None:
    """Search functions may read all rows of `table`; each takes the tenant from the transaction's setting."""
    execute(f"GRANT SELECT ON {table} TO center_search")
    execute(f"CREATE POLICY search_rows ON {table} FOR SELECT TO center_search USING (true)")


def search_function(signature: str, execute: Execute = op.execute) -> None:
    """Gives a SECURITY DEFINER function to `center_search`, for `center_app` alone to call."""
    execute("GRANT CREATE ON SCHEMA public TO center_search")  # what a new owner needs, for as long as it takes
    execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    execute(f"GRANT EXECUTE ON FUNCTION {signature} TO center_app")
    execute(f"ALTER FUNCTION {signature} OWNER TO center_search")
    execute("REVOKE CREATE ON SCHEMA public FROM center_search")


def append_only(table: str, execute: Execute = op.execute) -> None:
    """`center_app` adds rows and reads them; what is written stays, as in an audit log."""
    execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM center_app")


def tenant_table(table: str, execute: Execute = op.execute) -> None:
    """All that makes a table one of a cluster's: its rows are their tenant's, stay as they are while the tenant is
    closed to writes, and go with it when it moves."""
    tenant_policies(table, execute)
    only_while_writable(table, execute)
    one_tenant_at_a_time_for_the_steward(table, execute)


def only_while_writable(table: str, execute: Execute = op.execute) -> None:
    """Read-only, frozen, suspended: the tenant's rows stay as they are, for raw SQL, too."""
    gate = "((SELECT tenant_writable()))"
    execute(f"CREATE POLICY writable_insert ON {table} AS RESTRICTIVE FOR INSERT TO center_app WITH CHECK {gate}")
    # USING (true): an update of a closed tenant's row is refused aloud, not without effect.
    execute(
        f"CREATE POLICY writable_update ON {table} AS RESTRICTIVE FOR UPDATE TO center_app "
        f"USING (true) WITH CHECK {gate}"
    )
    execute(f"CREATE POLICY writable_delete ON {table} AS RESTRICTIVE FOR DELETE TO center_app USING {gate}")


def one_tenant_at_a_time_for_the_steward(table: str, execute: Execute = op.execute) -> None:
    """Moves and removals work on tenants that are closed to writes, but on one a transaction, like everyone."""
    execute(f"GRANT SELECT, INSERT, DELETE ON {table} TO center_steward")
    both = f"USING (tenant_id = {TENANT}) WITH CHECK (tenant_id = {TENANT})"
    execute(f"CREATE POLICY steward_floor ON {table} AS RESTRICTIVE TO center_steward {both}")
    execute(f"CREATE POLICY steward_rows ON {table} TO center_steward {both}")
