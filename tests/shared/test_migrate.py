"""Migrations: once, in one process at a time, on a database that may still be starting; roles that bypass nothing."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from shared.runtime.db import Database, app_url, password
from shared.runtime.errors import FailedPrecondition
from shared.runtime.migrate import migrate, missing_migration
from tests.shared.conftest import PLANE
from tests.support.postgres import Postgres


async def test_processes_that_start_together_on_one_server_migrate_once_each_database(
    make_database: Callable[[str], str], home: Path
) -> None:
    urls = [make_database("together"), make_database("together")]
    script = "import asyncio, sys; from pathlib import Path; from shared.runtime.migrate import migrate\n"
    script += "asyncio.run(migrate(sys.argv[1], sys.argv[2], Path(sys.argv[3])))"
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", script, url, PLANE, str(home)) for url in urls * 3
    ]
    assert [await process.wait() for process in processes] == [0] * 6
    for url in urls:
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]


async def test_databases_of_a_new_server_share_its_roles_though_all_make_them_at_once(
    mortal: Postgres, home: Path
) -> None:
    with psycopg.connect(mortal.url(), autocommit=True) as connection:
        for number in range(8):
            connection.execute(f"CREATE DATABASE shop_{number}")
    urls = [mortal.url(f"shop_{number}") for number in range(8)]
    for _ in range(3):  # made at once, then altered at once
        await asyncio.gather(*(migrate(url, PLANE, home) for url in urls))
    db = Database.connect(app_url(urls[7], home))
    async with db.transaction() as tx:
        await tx.exec_driver_sql("SELECT 1 FROM note")
    await db.close()


async def test_the_tables_and_the_migrations_agree(plane_url: str) -> None:
    assert await missing_migration(plane_url, PLANE) == []


async def test_a_table_without_a_migration_is_named(plane_url: str) -> None:
    with psycopg.connect(plane_url) as connection:
        connection.execute("DROP TABLE diary")
    assert "diary" in " ".join(await missing_migration(plane_url, PLANE))


async def test_a_database_newer_than_the_release_is_left_as_it_is(plane_url: str, home: Path) -> None:
    with psycopg.connect(plane_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of-next-year'")
    await migrate(plane_url, PLANE, home)
    with psycopg.connect(plane_url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("of-next-year",)]


async def test_a_database_that_is_still_to_come_is_waited_for(postgres: Postgres, home: Path) -> None:
    waiting = asyncio.create_task(migrate(postgres.url("late"), PLANE, home))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE late")
    await asyncio.wait_for(waiting, 20)


async def test_a_role_that_bypasses_row_policies_stops_the_migration(
    make_database: Callable[[str], str], postgres: Postgres, home: Path
) -> None:
    url = make_database("powerful")
    await migrate(url, PLANE, home)
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("ALTER ROLE center_steward BYPASSRLS")
        try:
            with pytest.raises(FailedPrecondition, match="ROLE_TOO_POWERFUL"):
                await migrate(url, PLANE, home)
        finally:
            connection.execute("ALTER ROLE center_steward NOBYPASSRLS")


async def test_a_server_that_logs_every_statement_learns_no_password(
    make_database: Callable[[str], str], postgres: Postgres, home: Path
) -> None:
    url = make_database("logged")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE " + url.rpartition("/")[2] + " SET log_statement = 'all'")
    await migrate(url, PLANE, home)
    told = (postgres.home / "postgres.log").read_text()
    assert "ROLE center_app" in told.replace('"', "")
    assert password(home, "center_app") not in told


async def test_an_owner_who_is_no_superuser_can_migrate(mortal: Postgres, tmp_path: Path) -> None:
    """As on a managed server: CREATEROLE and its own database, no more."""
    with psycopg.connect(mortal.url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE shop_owner LOGIN CREATEROLE PASSWORD 'x'")
        connection.execute("CREATE DATABASE shop OWNER shop_owner")
    url = f"postgresql://shop_owner:x@127.0.0.1:{mortal.port}/shop"
    for _ in range(2):
        await migrate(url, PLANE, tmp_path)
    db = Database.connect(app_url(url, tmp_path))
    async with db.transaction() as tx:
        await tx.exec_driver_sql("SELECT 1 FROM note")
    await db.close()
