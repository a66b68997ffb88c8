"""The transaction helper: commits whole, rolls back whole, sets one tenant, survives the server."""

import asyncio
import contextlib

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.runtime.db import Database, constraints
from shared.runtime.errors import (
    AlreadyExists,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    PlatformError,
    Unavailable,
)
from tests.support.postgres import Postgres

TENANT = "01a20111-45e2-7ea0-96d0-8c1b69958399"
SEEN = text("SELECT current_setting('app.tenant_id', true)")


async def count(db: Database) -> int:
    async with db.transaction() as tx:
        return int((await tx.execute(text("SELECT count(*) FROM thing"))).scalar_one())


@pytest.fixture
async def db(plain: Database) -> Database:
    async with plain.transaction() as tx:
        await tx.execute(text("CREATE TABLE thing (id int PRIMARY KEY, CONSTRAINT small CHECK (id < 1000))"))
    return plain


async def test_a_block_that_ends_well_is_committed_and_one_that_raises_is_not(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(text("INSERT INTO thing VALUES (1)"))
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await tx.execute(text("INSERT INTO thing VALUES (2)"))
            raise ZeroDivisionError
    assert await count(db) == 1


async def test_the_tenant_is_set_for_one_transaction_only(db: Database) -> None:
    async with db.transaction(TENANT) as tx:
        assert (await tx.execute(SEEN)).scalar_one() == TENANT
    async with db.transaction() as tx:
        assert (await tx.execute(SEEN)).scalar_one() == ""


async def test_nothing_of_the_tenant_stays_on_the_connection(db: Database) -> None:
    async with db.transaction(TENANT) as tx:
        await tx.execute(SEEN)
    async with db._engine.connect() as connection:  # past the helper, which would clear it
        assert (await connection.execute(SEEN)).scalar_one() == ""


async def test_a_tenant_left_on_the_session_is_not_seen_by_the_next_transaction(plain: Database) -> None:
    one = Database.connect(plain._engine.url.render_as_string(hide_password=False), pool_size=1)
    async with one.transaction() as tx:
        await tx.execute(text(f"SET app.tenant_id = '{TENANT}'"))
        await tx.execute(text("SET statement_timeout = 0"))
    async with one.transaction() as tx:
        assert (await tx.execute(SEEN)).scalar_one() == ""
        assert (await tx.execute(text("SHOW statement_timeout"))).scalar_one() == "30s"
    await one.close()


async def test_a_malformed_tenant_reaches_no_statement(db: Database) -> None:
    with pytest.raises(InvalidArgument):
        async with db.transaction("x', true); DROP TABLE thing; --"):
            pass
    assert await count(db) == 0


async def test_a_snapshot_sees_one_instant_and_writes_nothing(db: Database) -> None:
    async with db.transaction(snapshot=True) as tx:
        before = (await tx.execute(text("SELECT count(*) FROM thing"))).scalar_one()
        async with db.transaction() as other:
            await other.execute(text("INSERT INTO thing VALUES (7)"))
        assert (await tx.execute(text("SELECT count(*) FROM thing"))).scalar_one() == before
    with pytest.raises(Internal):
        async with db.transaction(snapshot=True) as tx:
            await tx.execute(text("INSERT INTO thing VALUES (8)"))


async def test_one_look_reads_for_one_tenant_and_leaves_nothing_behind(db: Database) -> None:
    odd = "a'; COMMIT; DROP TABLE thing; SELECT '%s \\"
    look = "SELECT current_setting('app.tenant_id') AS tenant, %(odd)s::text AS odd, %(ids)s::int[] AS ids"
    [row] = await db.once(look, {"odd": odd, "ids": [1, 2]}, tenant_id=TENANT)
    assert (row.tenant, row.odd, row.ids) == (TENANT, odd, [1, 2])
    assert await db.once("SELECT 1 WHERE %(no)s::bool", {"no": False}, tenant_id=TENANT) == []
    with pytest.raises(Internal):
        await db.once("INSERT INTO thing VALUES (%(id)s)", {"id": 1}, tenant_id=TENANT)
    async with db._engine.connect() as connection:
        assert (await connection.execute(SEEN)).scalar_one() == ""
    assert await count(db) == 0
    with pytest.raises(InvalidArgument):
        await db.once("SELECT 1", {}, tenant_id=f"{TENANT}'; SELECT '1")


async def test_a_swallowed_error_of_a_statement_is_never_acknowledged(db: Database) -> None:
    with pytest.raises(Internal, match="TRANSACTION_FAILED"):
        async with db.transaction() as tx:
            await tx.execute(text("INSERT INTO thing VALUES (1)"))
            with contextlib.suppress(DBAPIError):  # the fault that this test plants
                await tx.execute(text("SELECT 1/0"))
    assert await count(db) == 0


async def test_a_named_constraint_becomes_what_it_means_without_values(db: Database) -> None:
    taken = AlreadyExists("THING_TAKEN", "choose another id")
    with pytest.raises(AlreadyExists) as caught:
        async with db.transaction() as tx:
            with constraints({"thing_pkey": taken}):
                await tx.execute(text("INSERT INTO thing VALUES (41), (41)"))
    assert "41" not in str(caught.value)
    # What is raised holds on to frames; what a module keeps must not.
    assert caught.value is not taken and taken.__traceback__ is None and str(caught.value) == str(taken)
    with pytest.raises(Internal) as unmapped:
        async with db.transaction() as tx:
            with constraints({"thing_pkey": taken}):
                await tx.execute(text("INSERT INTO thing VALUES (4141)"))
    assert "4141" not in str(unmapped.value)


@pytest.mark.parametrize("value", ["a\0b", 1 << 70])
async def test_a_value_that_cannot_be_stored_is_the_callers_fault(db: Database, value: object) -> None:
    with pytest.raises(InvalidArgument, match="VALUE_NOT_STORABLE"):
        async with db.transaction() as tx:
            kind = "text" if isinstance(value, str) else "bigint"
            await tx.execute(text(f"SELECT CAST(:v AS {kind})"), {"v": value})


async def test_a_slow_statement_ends_as_deadline_exceeded(db: Database) -> None:
    with pytest.raises(DeadlineExceeded):
        async with db.transaction() as tx:
            await tx.execute(text("SET LOCAL statement_timeout = '20ms'"))
            await tx.execute(text("SELECT pg_sleep(5)"))


async def test_a_deadlock_aborts_one_side(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(text("INSERT INTO thing VALUES (1), (2)"))
    met = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> str:
        try:
            async with db.transaction() as tx:
                await tx.execute(text("SELECT 1 FROM thing WHERE id = :id FOR UPDATE"), {"id": first})
                await met.wait()
                await tx.execute(text("SELECT 1 FROM thing WHERE id = :id FOR UPDATE"), {"id": second})
        except PlatformError as error:
            return error.reason
        return "done"

    assert sorted(await asyncio.gather(lock(1, 2), lock(2, 1))) == ["TRANSACTION_CONFLICT", "done"]


async def test_a_cancelled_request_holds_nothing_and_poisons_nothing(db: Database) -> None:
    async def never_ends() -> None:
        async with db.transaction(TENANT) as tx:
            await tx.execute(text("LOCK TABLE thing"))
            await tx.execute(text("SELECT pg_sleep(60)"))

    for pause_s in (0.0, 0.001, 0.005, 0.02, 0.05, 0.1):
        task = asyncio.create_task(never_ends())
        await asyncio.sleep(pause_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(2):
            assert await count(db) == 0


async def test_a_full_pool_is_unavailable_and_says_so(plain: Database) -> None:
    plain._engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    async with plain.transaction(), plain.transaction(), plain.transaction(), plain.transaction():
        with pytest.raises(Unavailable, match="DATABASE_BUSY"):
            async with plain.transaction():
                pass
    async with plain.transaction() as tx:
        await tx.execute(SEEN)


async def test_a_killed_server_costs_only_the_transactions_that_were_open(
    mortal: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    db = Database.connect(mortal.url(), pool_size=4)
    async with db.transaction() as tx:
        await tx.execute(text("CREATE TABLE thing (id int)"))
    await asyncio.gather(*(count(db) for _ in range(8)))  # fills the pool
    assert db._engine.pool.checkedin() == 4  # type: ignore[attr-defined]
    mortal.kill()
    mortal.start()
    assert await asyncio.gather(*(count(db) for _ in range(8))) == [0] * 8
    assert not [record for record in caplog.records if record.name.startswith("sqlalchemy")]

    with pytest.raises(Unavailable, match="DATABASE_UNAVAILABLE"):
        async with db.transaction() as tx:
            mortal.kill()
            await tx.execute(text("INSERT INTO thing VALUES (1)"))
    with pytest.raises(Unavailable, match="DATABASE_UNAVAILABLE"):
        await count(db)
    patient = Database.connect(mortal.url(), patience_s=60)
    waiting = asyncio.create_task(count(patient))
    await asyncio.to_thread(mortal.start)
    assert await waiting == 0  # came while the server was down, and was served
    await patient.close()
    await db.close()
