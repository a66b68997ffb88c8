"""Row policies: what the server's role can see and do, tried with SQL that no store would write."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import insert, text

from shared.runtime.db import Database, app_url
from shared.runtime.errors import PermissionDenied, PlatformError
from tests.shared.conftest import ACME, BOLT
from tests.shared.plane.tables import note
from tests.support.isolation import holes


@pytest.fixture
async def notes(app: Database) -> Database:
    for tenant, body in ((ACME, "red shoes"), (BOLT, "red bolts")):
        async with app.transaction(tenant) as tx:
            await tx.execute(insert(note).values(tenant_id=tenant, id=1, body=body))
    return app


@pytest.mark.parametrize("tenant, seen", [(ACME, {"red shoes"}), (BOLT, {"red bolts"}), (None, set())])
async def test_a_transaction_sees_its_tenants_rows_and_without_a_tenant_none(
    notes: Database, tenant: str | None, seen: set[str]
) -> None:
    async with notes.transaction(tenant) as tx:
        assert set((await tx.execute(text("SELECT body FROM note"))).scalars()) == seen


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO note (tenant_id, id, body) VALUES ('{BOLT}', 2, 'planted')",
        f"UPDATE note SET tenant_id = '{BOLT}'",
        f"INSERT INTO note (tenant_id, id, body) VALUES ('{BOLT}', 1, 'x') ON CONFLICT DO NOTHING",
        "SET SESSION AUTHORIZATION center_owner",
        "SET ROLE center_owner",
        "ALTER TABLE note NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant_floor ON note",
        "CREATE TEMPORARY TABLE t (id int)",
        "CREATE TABLE t (id int)",
        "TRUNCATE note",
        "UPDATE alembic_version SET version_num = 'x'",
    ],
)
async def test_a_statement_that_reaches_past_the_tenant_is_refused(notes: Database, statement: str) -> None:
    with pytest.raises(PermissionDenied):
        async with notes.transaction(ACME) as tx:
            await tx.execute(text(statement))
    async with notes.transaction(BOLT) as tx:
        assert list((await tx.execute(text("SELECT body FROM note"))).scalars()) == ["red bolts"]


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM note", "UPDATE note SET body = 'gone'", "WITH x AS (DELETE FROM note RETURNING *) SELECT * FROM x"],
)
async def test_a_statement_without_a_where_touches_the_tenants_rows_only(notes: Database, statement: str) -> None:
    async with notes.transaction(ACME) as tx:
        await tx.execute(text(statement))
    async with notes.transaction(BOLT) as tx:
        assert list((await tx.execute(text("SELECT body FROM note"))).scalars()) == ["red bolts"]


async def test_a_permissive_policy_added_later_cannot_lift_the_floor(notes: Database, plane_url: str) -> None:
    with psycopg.connect(plane_url) as connection:
        connection.execute("CREATE POLICY oops ON note TO center_app USING (true)")
    async with notes.transaction(ACME) as tx:
        assert list((await tx.execute(text("SELECT body FROM note"))).scalars()) == ["red shoes"]


async def test_search_takes_the_tenant_from_the_transaction(notes: Database) -> None:
    async with notes.transaction(ACME) as tx:
        assert list((await tx.execute(text("SELECT * FROM search_notes('shoes')"))).scalars()) == [1]
        assert list((await tx.execute(text("SELECT * FROM search_notes('bolts')"))).scalars()) == []
    async with notes.transaction() as tx:
        assert list((await tx.execute(text("SELECT * FROM search_notes('red')"))).scalars()) == []


async def test_the_steward_crosses_tenants_as_far_as_its_policies_and_no_further(
    notes: Database, plane_url: str, home: Path
) -> None:
    async with notes.transaction(ACME) as tx:
        await tx.execute(insert(note).values(tenant_id=ACME, id=9, body="expired"))
    steward = Database.connect(app_url(plane_url, home, "center_steward"))
    async with steward.transaction() as tx:
        await tx.execute(text("DELETE FROM note"))
        assert set((await tx.execute(text("SELECT body FROM note"))).scalars()) == {"red shoes", "red bolts"}
    for statement in (
        "UPDATE note SET body = 'x'",
        "INSERT INTO diary VALUES (1, 'x')",
        "SELECT * FROM search_notes('red')",
    ):
        with pytest.raises(PermissionDenied):
            async with steward.transaction(ACME) as tx:
                await tx.execute(text(statement))
    await steward.close()


async def test_an_append_only_table_keeps_what_it_has(app: Database) -> None:
    async with app.transaction() as tx:
        await tx.execute(text("INSERT INTO diary (line) VALUES ('first')"))
    for statement in ("UPDATE diary SET line = 'x'", "DELETE FROM diary", "TRUNCATE diary"):
        with pytest.raises(PlatformError):
            async with app.transaction() as tx:
                await tx.execute(text(statement))
    async with app.transaction() as tx:
        assert list((await tx.execute(text("SELECT line FROM diary"))).scalars()) == ["first"]


async def test_the_catalog_shows_no_hole(plane_url: str) -> None:
    assert holes(plane_url, ["diary"]) == []


@pytest.mark.parametrize(
    "hole",
    [
        "ALTER TABLE note DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE note NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant_floor ON note",
        "CREATE POLICY oops ON note TO center_app USING (true)",
        "CREATE POLICY oops ON note FOR SELECT USING (true)",
        "CREATE POLICY oops ON note FOR INSERT TO center_steward WITH CHECK (true)",
        "CREATE UNIQUE INDEX ON note (body)",
        "CREATE UNIQUE INDEX ON note (lower(body), tenant_id)",
        "CREATE TABLE forgotten (id int)",
        "CREATE TABLE bare (tenant_id uuid PRIMARY KEY)",
        "CREATE FUNCTION free() RETURNS int LANGUAGE sql SECURITY DEFINER RETURN 1",
        "ALTER FUNCTION search_notes(text) RESET search_path",
        "GRANT EXECUTE ON FUNCTION search_notes(text) TO PUBLIC",
        "ALTER TABLE diary OWNER TO center_app",
    ],
)
async def test_the_catalog_shows_a_planted_hole(plane_url: str, hole: str) -> None:
    with psycopg.connect(plane_url) as connection:
        connection.execute(hole)
    assert len(holes(plane_url, ["diary"])) > 0
