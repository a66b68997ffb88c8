"""The tables that the code speaks of are those that the migrations make."""

import importlib
from collections.abc import Callable
from pathlib import Path

import psycopg

from shared.runtime.ids import uuid7
from shared.runtime.migrate import migrate, missing_migration


async def test_the_tables_and_the_migrations_agree(home: Path, make_database: Callable[[str], str]) -> None:
    url = make_database("schema")
    await migrate(url, "control", home)
    assert await missing_migration(url, "control") == []


async def test_who_was_on_a_plan_by_a_free_name_stays_on_it(home: Path, make_database: Callable[[str], str]) -> None:
    url = make_database("free_names")
    await migrate(url, "control", home)
    seeds = importlib.import_module("control.migrations.versions.0002_plans")._SEEDS
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM plan_versions; DELETE FROM plans; DELETE FROM features")
        for code, plan_id in (("one", "gold"), ("two", "standard")):
            connection.execute(
                "INSERT INTO tenants (id, code, display_name, labels, state, mode, plan_id, isolation, residency,"
                " config, create_time, update_time, version)"
                " VALUES (%s, %s, '', '{}', 'ACTIVE', 'NORMAL', %s, 'SHARED', '{}',"
                " '{}', now(), now(), 1)",
                (uuid7(), code, plan_id),
            )
        connection.execute(seeds)
        found = dict(
            connection.execute("SELECT plan_id, features FROM plan_versions WHERE state = 'ACTIVE'").fetchall()
        )
    assert sorted(found) == ["enterprise", "gold", "pro", "standard", "starter"]
    assert found["gold"] == found["standard"] != found["starter"]
