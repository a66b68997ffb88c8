"""Whatever ends at the wrong moment: no unit is spent twice, and nothing old is believed for longer than it may."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg

from center.control.v1 import solution_service_pb2 as solutions_pb
from center_sdk import AsyncValidator, Code
from tests.control.plane import until
from tests.shared.sdk.market import Market, quota
from tests.support.postgres import Postgres


@asynccontextmanager
async def postgres_of_its_own() -> AsyncIterator[tuple[Postgres, str]]:
    folder = Path(tempfile.mkdtemp(prefix="center-test-postgres-"))
    server = Postgres(folder)
    server.start()
    try:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE market")
        yield server, server.url("market")
    finally:
        server.stop()
        shutil.rmtree(folder)


async def refused(validator: AsyncValidator, token: str) -> Code | None:
    decision = await validator.validate(token, "search", cost=0)
    return None if decision.allowed else decision.code


async def allowed(validator: AsyncValidator, token: str) -> bool:
    return (await validator.validate(token, "search", cost=0)).allowed


async def exhausted(validator: AsyncValidator, token: str) -> int:
    """How many more there were. A control plane that is just coming back is waited for."""
    spent = 0
    while (decision := await validator.validate(token, "search")).code is not Code.QUOTA_EXHAUSTED:
        spent += decision.allowed
        if not decision.allowed:
            assert decision.code is Code.STALE
            await asyncio.sleep(0.02)
    return spent


async def used(market: Market, solution_id: str) -> tuple[int, int]:
    """Units that are known to be spent, and units that may have been."""
    usage = await market.usage(solution_id)
    return sum(each.used_units for each in usage), sum(each.lost_units for each in usage)


async def test_a_control_plane_that_is_gone_for_a_while_costs_no_unit(start_market: Any) -> None:
    async with start_market() as market:
        solution_id = await market.solution(limit=100)
        token = await market.token(solution_id)
        async with market.validator(solution_id) as validator:
            spent = 0
            for _ in range(10):
                spent += (await validator.validate(token.token, "search")).allowed
            await market.plane.stop()
            # A lease is out: what it holds can be spent without anybody.
            spent += (await validator.validate(token.token, "search")).allowed
            await market.plane.start()
            spent += await exhausted(validator, token.token)
        assert spent == 100
        assert await used(market, solution_id) == (100, 0)


async def test_what_is_older_than_its_age_refuses_and_goes_on_by_itself(start_market: Any) -> None:
    async with start_market() as market:
        closed = await market.solution(limit=1000, max_age_s=2)
        open_ = await market.solution(limit=1000, max_age_s=2, fail_mode=solutions_pb.FAIL_MODE_OPEN)
        tokens = [await market.token(closed), await market.token(open_)]
        async with market.validator(closed) as fails_closed, market.validator(open_) as fails_open:
            assert await allowed(fails_closed, tokens[0].token)
            assert await allowed(fails_open, tokens[1].token)
            await market.plane.stop()
            assert await until(lambda: refused(fails_closed, tokens[0].token)) is Code.STALE
            decision = await fails_open.validate(tokens[1].token, "search")
            assert decision.code is Code.ALLOWED_STALE
            # Never seen before, so never known to hold.
            assert (await fails_open.validate(tokens[0].token, "search")).code is Code.STALE
            await market.plane.start()
            await until(lambda: allowed(fails_closed, tokens[0].token))


async def test_a_postgresql_that_restarts_costs_no_unit(start_market: Any) -> None:
    async with postgres_of_its_own() as (server, url), start_market(database_url=url) as market:
        solution_id = await market.solution(limit=200)
        token = await market.token(solution_id)
        async with market.validator(solution_id) as validator:
            spent = 0
            for number in range(100):
                if number == 50:
                    server.kill()
                    server.start()
                spent += (await validator.validate(token.token, "search")).allowed
            spent += await exhausted(validator, token.token)
        assert spent == 200
        assert await used(market, solution_id) == (200, 0)


async def test_what_control_itself_cannot_look_up_grows_old(start_market: Any) -> None:
    async with postgres_of_its_own() as (server, url), start_market(database_url=url) as market:
        tiers = [solutions_pb.Tier(id="guest", quotas={"search": quota(None)})]
        solution_id = await market.solution(tiers=tiers, anonymous_tier="guest", max_age_s=2)
        async with market.validator(solution_id, instance="early") as early:
            assert await allowed(early, "")
            server.kill()
            assert await until(lambda: refused(early, "")) is Code.STALE
            # Who comes now learns what there is, and that it is old.
            async with market.validator(solution_id, instance="late") as late:
                assert await refused(late, "") is Code.STALE
                server.start()
                await until(lambda: allowed(early, ""))
                await until(lambda: allowed(late, ""))


async def test_two_solutions_processes_get_the_last_unit_once(market: Market) -> None:
    solution_id = await market.solution(limit=501)
    token = await market.token(solution_id)
    async with market.process(solution_id) as one, market.process(solution_id) as two:
        for each in (one, two):
            each.send(do="until refused", token=token.token)
        counts = [await one.answer(), await two.answer()]
    assert sum(count for count, _ in counts) == 501
    assert {code for _, code in counts} == {"QUOTA_EXHAUSTED"}


async def test_a_killed_process_ships_its_log_when_it_is_back(market: Market, tmp_path: Path) -> None:
    solution_id = await market.solution(limit=1000)
    token = await market.token(solution_id)
    journal = tmp_path / "solution.journal"
    async with market.process(solution_id, journal) as solution:
        codes = await solution.validate(token.token, times=123)
        assert set(codes) == {"ALLOWED"}
        await solution.kill()
    async with market.process(solution_id, journal):
        assert await until(lambda: _used(market, solution_id, 123))
    assert sum(run.count for run in await market.decisions(solution_id)) == 123


async def _used(market: Market, solution_id: str, units: int) -> bool:
    return (await used(market, solution_id))[0] == units


async def test_a_killed_process_without_a_journal_is_never_one_unit_too_many(start_market: Any) -> None:
    async with start_market() as market:
        solution_id = await market.solution(limit=300)
        token = await market.token(solution_id)
        async with market.process(solution_id) as solution:
            spent = len(await solution.validate(token.token, times=100))
            await solution.kill()
        async with market.validator(solution_id) as validator:
            while (decision := await validator.validate(token.token, "search")).allowed:
                spent += 1
        assert decision.code is Code.QUOTA_EXHAUSTED
        assert spent <= 300


async def test_a_revocation_is_known_before_it_is_asked_for(market: Market) -> None:
    """Committed to refused, with nobody telling the validator but the watch."""
    solution_id = await market.solution(limit=None)
    token = await market.token(solution_id)
    async with market.validator(solution_id) as validator:
        assert await allowed(validator, token.token)
        await market.revoke(token.token_kid)
        async with asyncio.timeout(1):
            while await allowed(validator, token.token):
                await asyncio.sleep(0)
