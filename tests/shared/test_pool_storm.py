"""Two tenants on one small pool, in every kind of trouble at once: nobody ever sees the other's rows."""

import asyncio
import contextlib
import random
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import insert, text

from shared.runtime.db import Database, app_url
from shared.runtime.errors import PlatformError
from tests.shared.conftest import ACME, BOLT
from tests.shared.plane.tables import note

ROUNDS = 25
TASKS_A_TENANT = 32


@pytest.fixture
async def crowded(plane_url: str, home: Path) -> Database:
    db = Database.connect(app_url(plane_url, home), pool_size=4, name="storm")
    for tenant in (ACME, BOLT):
        async with db.transaction(tenant) as tx:
            await tx.execute(insert(note), [{"tenant_id": tenant, "id": n, "body": tenant} for n in range(20)])
    return db


async def test_no_tenant_leaks_over_a_pooled_connection(crowded: Database, plane_url: str) -> None:
    chance = random.Random(7)
    seen = {"rows": 0, "refusals": 0, "cancels": 0}

    async def look(tenant: str | None) -> None:
        async with crowded.transaction(tenant) as tx:
            bodies = set((await tx.execute(text("SELECT body FROM note"))).scalars())
            assert bodies == ({tenant} if tenant else set())
            seen["rows"] += 1

    async def leave_a_setting(tenant: str) -> None:
        async with crowded.transaction(tenant) as tx:
            await tx.execute(text(f"SET app.tenant_id = '{tenant}'"))  # the fault that the pool must survive

    async def fail(tenant: str) -> None:
        async with crowded.transaction(tenant) as tx:
            await tx.execute(text("UPDATE note SET body = 'lost'"))
            await tx.execute(text("SELECT 1/0"))

    async def dawdle(tenant: str) -> None:
        async with crowded.transaction(tenant) as tx:
            await tx.execute(text("UPDATE note SET body = 'lost' WHERE id = 1"))
            await tx.execute(text("SELECT pg_sleep(5)"))

    async def live(tenant: str) -> None:
        for _ in range(ROUNDS):
            what = chance.choice([look, look, look, fail, dawdle, leave_a_setting, None])
            try:
                async with asyncio.timeout(
                    chance.choice([0.0, 0.001, 0.005, 0.02, 0.05, 5.0]) if what is dawdle else 30
                ):
                    if what is None:
                        await look(None)
                    else:
                        await what(tenant)
            except TimeoutError:
                seen["cancels"] += 1
            except PlatformError:
                seen["refusals"] += 1

    async def kill_sessions() -> None:
        connection = await psycopg.AsyncConnection.connect(plane_url, autocommit=True)
        async with connection:
            while True:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'storm' AND datname = current_database() ORDER BY random() LIMIT 1"
                )
                await asyncio.sleep(0.05)

    killer = asyncio.create_task(kill_sessions())
    await asyncio.gather(*(live(tenant) for tenant in (ACME, BOLT) * TASKS_A_TENANT))
    killer.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await killer

    assert min(seen.values()) > 50, seen
    assert crowded._engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    for tenant in (ACME, BOLT, None) * 4:
        await look(tenant)
    with psycopg.connect(plane_url) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'storm' AND state <> 'idle'"
            " AND datname = current_database()"
        ).fetchone()
        assert left == (0,)
    await crowded.close()


async def test_requests_that_are_cancelled_twice_give_their_connections_back(crowded: Database) -> None:
    async def linger() -> None:
        async with crowded.transaction(ACME) as tx:
            await tx.execute(text("SELECT pg_sleep(5)"))

    for _ in range(20):
        tasks = [asyncio.create_task(linger()) for _ in range(4)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(5):
        while crowded._engine.pool.checkedout() != 0:  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)
        async with crowded.transaction(BOLT) as tx:
            assert set((await tx.execute(text("SELECT body FROM note"))).scalars()) == {BOLT}
    await crowded.close()
