"""What the catalog of a database says about its tenants' isolation: one line for every hole."""

from collections.abc import Collection

import psycopg

_TABLES = """
SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,
    EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
ORDER BY 1
"""

_POLICIES = """
SELECT tablename, permissive, roles::text[], cmd, coalesce(qual, ''), coalesce(with_check, '')
FROM pg_policies WHERE schemaname = 'public'
"""

# Unique indexes (primary keys, too) whose first column is not tenant_id.
_KEYS = """
SELECT c.relname, i.relname FROM pg_index x
JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0]
WHERE x.indisunique AND c.relnamespace = 'public'::regnamespace AND a.attname IS DISTINCT FROM 'tenant_id'
"""

# Foreign keys that do not go from tenant_id to tenant_id: their checks bypass row security.
_REFERENCES = """
SELECT f.conrelid::regclass::text, f.conname, f.confrelid::regclass::text FROM pg_constraint f
JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = f.confkey[1]
WHERE f.contype = 'f' AND (a.attname <> 'tenant_id' OR b.attname <> 'tenant_id')
"""

_FUNCTIONS = """
SELECT p.oid::regprocedure::text, pg_get_userbyid(p.proowner), array_to_string(coalesce(p.proconfig, '{}'), ','),
    EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g WHERE g.grantee = 0)
FROM pg_proc p WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace
"""

_ROLES = """
SELECT rolname FROM pg_roles
WHERE rolname IN ('center_app', 'center_steward', 'center_search') AND (rolsuper OR rolbypassrls)
"""

_OWNED = (
    "SELECT relname FROM pg_class WHERE pg_get_userbyid(relowner) IN ('center_app', 'center_steward', 'center_search')"
)


def holes(owner_url: str, platform_tables: Collection[str] = (), reviewed_functions: Collection[str] = ()) -> list[str]:
    """Empty when every table is a tenant's and isolated, or named as the platform's.

    platform_tables: those that hold no tenant's rows, or whose rows center_app may see across tenants.
    reviewed_functions: SECURITY DEFINER functions, as `name(types)`, that are not search functions.
    """
    found: list[str] = []
    with psycopg.connect(owner_url) as connection:
        policies = connection.execute(_POLICIES).fetchall()
        tenants: set[str] = set()
        for table, enabled, forced, has_tenant in connection.execute(_TABLES).fetchall():
            if table in platform_tables or table == "alembic_version":
                continue
            if not has_tenant:
                found.append(f"table {table} has no tenant_id and is not named as the platform's")
                continue
            tenants.add(table)
            if not (enabled and forced):
                found.append(f"table {table} does not force row security")
            of_app = [policy for policy in policies if policy[0] == table and {"center_app", "public"} & set(policy[2])]
            floor = any(policy[1] == "RESTRICTIVE" and policy[3] == "ALL" and _is_mine(policy) for policy in of_app)
            # Without a permissive policy there is nothing to see, and nothing to floor.
            if not floor and any(policy[1] == "PERMISSIVE" for policy in of_app):
                found.append(f"table {table} has no restrictive tenant floor for center_app")
            for policy in of_app:
                if policy[1] == "PERMISSIVE" and not _is_mine(policy):
                    found.append(f"table {table} has a permissive policy for center_app that is not the tenant's")
            for policy in policies:
                if policy[0] == table and policy[3] == "INSERT" and "center_steward" in policy[2]:
                    found.append(f"table {table} lets the steward insert")
        found += [f"{table}: {key} does not start with tenant_id" for table, key in _all(connection, _KEYS, tenants)]
        for table, name, target in connection.execute(_REFERENCES).fetchall():
            if table in tenants and target in tenants:
                found.append(f"{table}: foreign key {name} does not start with tenant_id")
        for function, owner, settings, public in connection.execute(_FUNCTIONS).fetchall():
            if function in reviewed_functions:
                continue
            if owner != "center_search" or "search_path=" not in settings or public:
                found.append(f"function {function} of {owner} runs with its owner's rights")
        found += [f"role {role} bypasses row security" for (role,) in connection.execute(_ROLES).fetchall()]
        found += [
            f"{name} is owned by a role that serves requests" for (name,) in connection.execute(_OWNED).fetchall()
        ]
    return found


def _is_mine(policy: tuple[str, ...]) -> bool:
    _, _, _, command, using, check = policy
    tenant = "current_setting('app.tenant_id'"
    return (tenant in using or command == "INSERT") and (tenant in check or command in ("SELECT", "DELETE"))


def _all(connection: "psycopg.Connection[tuple[str, ...]]", query: str, tables: set[str]) -> list[tuple[str, ...]]:
    return [row for row in connection.execute(query).fetchall() if row[0] in tables]
