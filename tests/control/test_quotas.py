"""Quotas by lease, on a real PostgreSQL and with processes that die: exactly the limit, and never one too many."""

import asyncio
import itertools
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from center.control.v1 import access_service_pb2 as access_pb
from center.control.v1 import quota_pb2
from center.control.v1 import solution_service_pb2 as solutions_pb
from center.control.v1 import validator_service_pb2 as pb
from center.control.v1.validator_service_pb2_grpc import ValidatorServiceStub
from center_sdk.decision import Code, Decision
from center_sdk.leases import BLOCK_UNITS
from shared.runtime import pki
from shared.runtime.migrate import missing_migration
from tests.control.plane import Plane, config, until
from tests.support.grpc import refuses
from tests.support.postgres import Postgres
from tests.support.validating import Processes, Task, processes

LIMIT = 10_000
DAY = quota_pb2.QUOTA_PERIOD_DAY
numbers = itertools.count()


@dataclass
class Market:
    """A plane with solutions, and what its database says."""

    plane: Plane
    database_url: str

    @property
    def decider(self) -> Any:
        assert self.plane.running is not None
        return self.plane.running.decider

    def validators(self, identity: str = "operator") -> ValidatorServiceStub:
        return ValidatorServiceStub(self.plane.channel(identity))

    async def solution(self, limit: int = 10, **changes: Any) -> str:
        solution_id = f"shop-{next(numbers)}"
        quota = quota_pb2.Quota(limit=limit, period=DAY)
        tier = solutions_pb.Tier(id="free", quotas={"query": quota, **changes.pop("quotas", {})})
        made = solutions_pb.Solution(id=solution_id, display_name=solution_id, tiers=[tier], **changes)
        answer = await self.plane.solutions.CreateSolution(solutions_pb.CreateSolutionRequest(solution=made))
        await self.reached(answer.solution.revision)
        return solution_id

    async def limit(self, solution_id: str, limit: int) -> None:
        found = await self.plane.solutions.GetSolution(solutions_pb.GetSolutionRequest(id=solution_id))
        found.solution.tiers[0].quotas["query"].limit = limit
        request = solutions_pb.UpdateSolutionRequest(solution=found.solution)
        request.update_mask.paths.append("tiers")
        answer = await self.plane.solutions.UpdateSolution(request)
        await self.reached(answer.solution.revision)

    async def token(self, solution_id: str) -> access_pb.GenerateSolutionTokenResponse:
        request = access_pb.GenerateSolutionTokenRequest(
            user_email=f"user-{next(numbers)}@example.com", solution_id=solution_id
        )
        made = await self.plane.access().GenerateSolutionToken(request)
        await self.reached(made.revision)
        return made

    async def reached(self, revision: int) -> None:
        assert self.plane.running is not None
        await self.plane.running.catalog.reached(revision)

    async def decide(self, token: str, solution_id: str, cost: int = 1, **how: Any) -> Decision:
        decision = await self.decider.decide(token, solution_id, "query", cost, **how)
        assert isinstance(decision, Decision)
        return decision

    async def settled(self) -> None:
        """Everything decided here is in the log."""
        await self.decider.settle(everything=True)

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(statement, parameters).fetchall()

    def books(self, solution_id: str) -> dict[str, int]:
        """The sums of everything that is said about a solution's units."""
        [(used, lost, allowed, denied)] = self.rows(
            "SELECT coalesce(sum(used_units), 0), coalesce(sum(lost_units), 0), coalesce(sum(allowed_count), 0),"
            " coalesce(sum(denied_count), 0) FROM usage_days WHERE solution_id = %s",
            solution_id,
        )
        [(logged,)] = self.rows(
            "SELECT coalesce(sum(cost * count), 0) FROM decisions WHERE solution_id = %s AND code LIKE 'ALLOWED%%'",
            solution_id,
        )
        [(taken, outstanding)] = self.rows(
            "SELECT coalesce(sum(taken), 0), coalesce(sum(outstanding), 0) FROM counters c"
            " JOIN entitlements e ON e.id = c.entitlement_id WHERE e.solution_id = %s",
            solution_id,
        )
        sums = (used, lost, allowed, denied, logged, taken, outstanding)
        names = ("used", "lost", "allowed", "denied", "logged", "taken", "outstanding")
        return {name: int(value) for name, value in zip(names, sums, strict=True)}


@pytest.fixture(scope="module")
async def market(start_plane: Any) -> AsyncIterator[Market]:
    async with start_plane(seeds=(), units_lease_s=1.5) as plane:
        yield Market(plane, plane.config.database_url)


@pytest.fixture
def postgres_of_its_own() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="center-test-postgres-"))
    server = Postgres(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@asynccontextmanager
async def shop(home: Path, database_url: str, limit: int = LIMIT) -> AsyncIterator[tuple[Market, str, str]]:
    """(market, solution, token) on a database."""
    plane = Plane(config(home, database_url, seeds=(), units_lease_s=2.0))
    await plane.start()
    try:
        market = Market(plane, database_url)
        solution_id = await market.solution(limit)
        made = await market.token(solution_id)
        yield market, solution_id, made.token
    finally:
        await plane.close()


def task(market: Market, solution_id: str, token: str, folder: Path, count: int, pace_s: float, **changes: Any) -> Task:
    given = {
        "home": str(market.plane.config.home),
        "journals": str(folder / "home"),
        "folder": str(folder / "told"),
        "database_url": market.database_url,
        "solution_id": solution_id,
        "token": token,
        "action": "query",
        "processes": count,
        "pace_s": pace_s,
        **changes,
    }
    return Task(**given)


async def reaches(running: Processes, count: int, patience_s: float = 60) -> None:
    async def enough() -> bool:
        return running.allowed() >= count

    await until(enough, patience_s)


async def stays(running: Processes, seconds: float) -> int:
    """What was allowed once nothing has changed for a while."""
    count, since = running.allowed(), time.monotonic()
    while time.monotonic() - since < seconds:
        await asyncio.sleep(0.02)
        if running.allowed() != count:
            count, since = running.allowed(), time.monotonic()
    return count


async def test_the_first_call_of_a_token_brings_a_block(market: Market) -> None:
    """So that the next one asks nobody."""
    solution_id = await market.solution(10_000)
    made = await market.token(solution_id)
    assert (await market.decide(made.token, solution_id)).allowed
    assert market.rows("SELECT units FROM leases WHERE solution_id = %s", solution_id) == [(BLOCK_UNITS,)]


async def test_the_tables_are_what_the_migrations_make(market: Market) -> None:
    assert await missing_migration(market.database_url, "control") == []


async def test_sixteen_processes_and_a_restart_of_the_database_allow_exactly_the_limit(
    home: Path, postgres_of_its_own: Postgres, tmp_path: Path
) -> None:
    server = postgres_of_its_own
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE quotas")
    async with shop(home, server.url("quotas")) as (market, solution_id, token):
        # Nobody is silent for so long, however busy the machine.
        with processes(task(market, solution_id, token, tmp_path, 16, 0.04, lease_s=30)) as running:
            await reaches(running, LIMIT // 4, 180)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            await reaches(running, LIMIT, 180)
            assert await stays(running, 0.5) == LIMIT
            await asyncio.to_thread(running.stop)
        books = market.books(solution_id)
        assert books["used"] == books["logged"] == books["allowed"] == books["taken"] == LIMIT
        assert books["lost"] == books["outstanding"] == 0
        assert books["denied"] > 0


async def test_processes_that_are_killed_cost_at_most_what_they_held_and_usage_says_so(
    home: Path, make_database: Callable[[str], str], tmp_path: Path
) -> None:
    async with shop(home, make_database("quotas"), 4000) as (market, solution_id, token):
        # Machines of their own: their journals are gone with them.
        told = task(market, solution_id, token, tmp_path, 8, 0.04, journals=str(tmp_path / "home-{}"))
        with processes(told) as running:
            # Few enough to be reached though each that is killed held the half of what was left.
            for number in range(4):
                await reaches(running, 200 * (number + 1))
                running.kill(number)

            async def lost() -> bool:
                [(open_leases,)] = market.rows("SELECT count(*) FROM leases WHERE NOT expired")
                return bool(open_leases == 0)

            async def used_up() -> bool:
                return market.books(solution_id)["taken"] >= 4000

            await until(used_up, 60)
            allowed = await stays(running, 0.5)
            await asyncio.to_thread(running.stop)
            await until(lost, 30)
        books = market.books(solution_id)
        assert allowed <= 4000
        assert books["lost"] > 0
        assert books["used"] + books["lost"] == books["taken"] == 4000
        assert books["used"] == books["logged"] <= allowed <= books["used"] + books["lost"]


async def test_a_process_that_comes_back_brings_what_it_had_decided_and_loses_nothing(
    home: Path, make_database: Callable[[str], str], tmp_path: Path
) -> None:
    async with shop(home, make_database("quotas"), 3000) as (market, solution_id, token):
        with processes(
            task(market, solution_id, token, tmp_path / "first", 4, 0.02, journals=str(tmp_path / "home"))
        ) as running:
            await reaches(running, 1000)
            for number in range(4):
                running.kill(number)
            first = await stays(running, 0.1)
        again = task(market, solution_id, token, tmp_path / "again", 2, 0.01, journals=str(tmp_path / "home"))
        with processes(again) as running:

            async def everything() -> bool:
                return market.books(solution_id)["taken"] == 3000

            await until(everything, 60)
            second = await stays(running, 1.5)
            await asyncio.to_thread(running.stop)
        books = market.books(solution_id)
        assert books["used"] == books["logged"] == books["taken"] == 3000
        assert books["lost"] == books["outstanding"] == 0
        # Each that was killed may have written down one decision that it did not get to answer.
        assert 3000 - 4 <= first + second <= 3000


async def test_two_processes_race_for_the_last_unit(market: Market, home: Path) -> None:
    other = market.plane.beside()
    await other.start()
    try:
        assert other.running is not None
        solution_id = await market.solution(1)
        for _ in range(5):
            made = await market.token(solution_id)
            await other.running.catalog.reached(made.revision)
            answers = await asyncio.gather(
                market.decide(made.token, solution_id),
                other.running.decider.decide(made.token, solution_id, "query"),
            )
            assert sorted(answer.code for answer in answers) == [Code.ALLOWED, Code.QUOTA_EXHAUSTED]
    finally:
        await other.close()


async def test_units_that_another_holds_are_asked_back(market: Market) -> None:
    other = market.plane.beside()
    await other.start()
    try:
        assert other.running is not None
        solution_id = await market.solution(100)
        made = await market.token(solution_id)
        await other.running.catalog.reached(made.revision)
        for _ in range(10):
            assert (await other.running.decider.decide(made.token, solution_id, "query")).allowed
        [(held,)] = market.rows("SELECT sum(units - spent) FROM leases WHERE solution_id = %s", solution_id)
        assert held > 10, "the other one holds more than it needs at the moment"
        count = 0
        while (await market.decide(made.token, solution_id)).allowed:
            count += 1
        assert count == 90
    finally:
        await other.close()


async def test_a_holder_that_never_comes_back_is_in_the_usage_as_lost(market: Market) -> None:
    solution_id = await market.solution(10)
    made = await market.token(solution_id)
    request = pb.AdmitTokenRequest(
        instance="web-1", solution_id=solution_id, token=made.token, action="query", least_units=1, wanted_units=4
    )
    lent = (await market.validators().AdmitToken(request)).lease
    assert lent.units == 4

    async def lost() -> bool:
        return market.books(solution_id)["lost"] == 4

    await until(lost)
    usage = await market.plane.access().ListUsage(access_pb.ListUsageRequest(filter=f'solution_id = "{solution_id}"'))
    assert [(each.used_units, each.lost_units) for each in usage.usage] == [(0, 4)]
    allowed = [(await market.decide(made.token, solution_id)).allowed for _ in range(7)]
    assert allowed == [True] * 6 + [False]
    # It was only slow, after all: what it did not spend is there again.
    settlement = pb.Settlement(lease_id=lent.id, close=True)
    answer = await market.validators().SettleLeases(
        pb.SettleLeasesRequest(instance="web-1", settlements=[settlement], runs=[run(solution_id, made, lent.id, 3)])
    )
    assert answer.leases[0].id == ""
    await market.settled()
    books = market.books(solution_id)
    assert (books["lost"], books["used"], books["taken"]) == (0, 9, 9)


def run(
    solution_id: str, made: access_pb.GenerateSolutionTokenResponse, lease_id: str, count: int, **changes: Any
) -> pb.DecisionRun:
    told = pb.DecisionRun(
        id=f"00000000-0000-4000-8000-{next(numbers):012x}",
        solution_id=solution_id,
        token_kid=made.token_kid,
        entitlement_id=made.entitlement_id,
        user_id=made.user_id,
        tier="free",
        action="query",
        code=access_pb.DECISION_CODE_ALLOWED,
        cost=1,
        count=count,
        lease_id=lease_id,
    )
    told.first_time.GetCurrentTime()
    told.last_time.GetCurrentTime()
    for name, value in changes.items():
        setattr(told, name, value)
    return told


async def test_a_settlement_that_waited_for_an_expiry_knows_of_it(market: Market) -> None:
    """It had begun before: what it then read of the lease was from before, and of the counter from after."""
    solution_id = await market.solution(10_000)
    made = await market.token(solution_id)
    for _ in range(5):
        assert (await market.decide(made.token, solution_id)).allowed
    with psycopg.connect(market.database_url) as owner, psycopg.connect(market.database_url) as looking:
        looking.autocommit = True
        owner.execute("SELECT 1 FROM leases WHERE solution_id = %s FOR UPDATE", [solution_id])
        settling = asyncio.ensure_future(market.settled())
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while looking.execute(waiting).fetchone() is None:
            await asyncio.sleep(0.01)
        owner.execute(
            """
            WITH over AS (
                UPDATE leases SET expired = true, lost_date = current_date WHERE solution_id = %s RETURNING *
            ), lost AS (
                INSERT INTO usage_days (solution_id, entitlement_id, action, date, lost_units)
                SELECT solution_id, entitlement_id, action, lost_date, units - spent FROM over
            )
            UPDATE counters c SET outstanding = c.outstanding - over.units + over.spent, holders = c.holders - 1
            FROM over WHERE c.entitlement_id = over.entitlement_id
            """,
            [solution_id],
        )
        owner.commit()
    await settling
    books = market.books(solution_id)
    assert books["used"] == books["logged"] == books["taken"] == 5
    assert books["lost"] == books["outstanding"] == 0


async def test_the_same_batch_twice_is_the_same_as_once(market: Market) -> None:
    solution_id = await market.solution(10)
    made = await market.token(solution_id)
    request = pb.AdmitTokenRequest(
        instance="web-1", solution_id=solution_id, token=made.token, action="query", least_units=1, wanted_units=4
    )
    lent = (await market.validators().AdmitToken(request)).lease
    batch = pb.SettleLeasesRequest(
        instance="web-1",
        settlements=[pb.Settlement(lease_id=lent.id, wanted_units=1)],
        runs=[run(solution_id, made, lent.id, 2)],
    )
    first = await market.validators().SettleLeases(batch)
    again = await market.validators().SettleLeases(batch)
    assert (first.leases[0].units, first.leases[0].taken_units) == (3, 3)
    assert (again.leases[0].units, again.leases[0].taken_units) == (3, 3)
    assert market.books(solution_id)["used"] == 2


async def test_a_solution_settles_only_its_own(market: Market, home: Path) -> None:
    mine, theirs = await market.solution(10), await market.solution(10)
    pki.ensure(home, [f"solution/{mine}"])
    made = await market.token(theirs)
    request = pb.AdmitTokenRequest(
        instance="web-1", solution_id=theirs, token=made.token, action="query", least_units=1, wanted_units=4
    )
    lent = (await market.validators().AdmitToken(request)).lease
    stub = market.validators(f"solution/{mine}")
    async with refuses("PERMISSION_DENIED", "SOLUTION_NOT_YOURS"):
        await stub.AdmitToken(request)
    async with refuses("PERMISSION_DENIED", "SOLUTION_NOT_YOURS"):
        await stub.SettleLeases(
            pb.SettleLeasesRequest(instance="w", settlements=[pb.Settlement(lease_id=lent.id, close=True)])
        )
    async with refuses("PERMISSION_DENIED", "SOLUTION_NOT_YOURS"):
        await stub.SettleLeases(pb.SettleLeasesRequest(instance="w", runs=[run(theirs, made, "", 1)]))
    request.solution_id = mine
    answer = await stub.AdmitToken(request)
    assert answer.code == access_pb.DECISION_CODE_SOLUTION_MISMATCH
    assert not answer.HasField("token") and not answer.HasField("entitlement")


async def test_denied_calls_are_free_and_a_raised_limit_works_on_the_next_call(market: Market) -> None:
    solution_id = await market.solution(3)
    made = await market.token(solution_id)
    codes = [(await market.decide(made.token, solution_id)).code for _ in range(20)]
    assert codes == [Code.ALLOWED] * 3 + [Code.QUOTA_EXHAUSTED] * 17
    await market.limit(solution_id, 4)
    assert (await market.decide(made.token, solution_id)).allowed
    assert not (await market.decide(made.token, solution_id)).allowed
    await market.settled()
    books = market.books(solution_id)
    assert (books["used"], books["logged"], books["allowed"], books["denied"]) == (4, 4, 4, 18)


async def test_a_revoked_token_is_refused_once_the_revision_is_known(market: Market) -> None:
    solution_id = await market.solution(10)
    made = await market.token(solution_id)
    assert (await market.decide(made.token, solution_id)).allowed
    revoked = await market.plane.access().RevokeToken(access_pb.RevokeTokenRequest(kid=made.token_kid, reason="a test"))
    await market.reached(revoked.token.revision)
    assert (await market.decide(made.token, solution_id)).code is Code.TOKEN_REVOKED


async def test_a_tier_changes_under_a_live_token_and_suspension_holds_it(market: Market) -> None:
    solution_id = await market.solution(2)
    made = await market.token(solution_id)
    assert (await market.decide(made.token, solution_id)).allowed

    async def change(**fields: Any) -> None:
        request = access_pb.UpdateEntitlementRequest(id=made.entitlement_id, reason="a test", **fields)
        changed = await market.plane.access().UpdateEntitlement(request)
        await market.reached(changed.entitlement.revision)

    await change(status=access_pb.ENTITLEMENT_STATUS_SUSPENDED)
    assert (await market.decide(made.token, solution_id)).code is Code.ENTITLEMENT_SUSPENDED
    await change(status=access_pb.ENTITLEMENT_STATUS_ACTIVE)
    assert (await market.decide(made.token, solution_id)).allowed
    assert (await market.decide(made.token, solution_id)).code is Code.QUOTA_EXHAUSTED


async def test_reservations_hold_commit_and_release(market: Market) -> None:
    solution_id = await market.solution(10)
    made = await market.token(solution_id)
    access = market.plane.access()

    async def reserve(units: int, ttl_s: int = 60) -> access_pb.ReserveUnitsResponse:
        request = access_pb.ReserveUnitsRequest(token=made.token, solution_id=solution_id, action="query", units=units)
        request.ttl.FromSeconds(ttl_s)
        return await access.ReserveUnits(request)

    first = await reserve(6)
    assert first.reservation_id
    refused = await reserve(5)
    assert (refused.reservation_id, refused.decision.code) == ("", access_pb.DECISION_CODE_QUOTA_EXHAUSTED)
    done = await access.CommitReservation(
        access_pb.CommitReservationRequest(reservation_id=first.reservation_id, cost=4)
    )
    assert (done.spent_units, done.released_units, done.short_units) == (4, 2, 0)
    second = await reserve(2)
    over = await access.CommitReservation(
        access_pb.CommitReservationRequest(reservation_id=second.reservation_id, cost=9)
    )
    assert (over.spent_units, over.short_units) == (6, 3)
    async with refuses("FAILED_PRECONDITION", "RESERVATION_ENDED"):
        await access.ReleaseReservation(access_pb.ReleaseReservationRequest(reservation_id=second.reservation_id))
    await market.settled()
    books = market.books(solution_id)
    assert books["used"] == books["taken"] == 10
    assert books["outstanding"] == 0


async def test_a_reservation_that_nobody_ends_is_released(market: Market) -> None:
    solution_id = await market.solution(10)
    made = await market.token(solution_id)
    request = access_pb.ReserveUnitsRequest(token=made.token, solution_id=solution_id, action="query", units=10)
    request.ttl.FromSeconds(1)
    held = await market.plane.access().ReserveUnits(request)
    assert not (await market.decide(made.token, solution_id)).allowed

    async def released() -> bool:
        return market.books(solution_id)["outstanding"] == 0

    await until(released)
    async with refuses("FAILED_PRECONDITION", "RESERVATION_ENDED"):
        await market.plane.access().CommitReservation(
            access_pb.CommitReservationRequest(reservation_id=held.reservation_id, cost=1)
        )


async def test_what_is_left_over_is_there_in_the_next_period(start_plane: Any) -> None:
    clock = Clock()
    async with start_plane(clock=clock, seeds=()) as plane:
        market = Market(plane, plane.config.database_url)
        rolling = quota_pb2.Quota(limit=10, period=DAY, rollover_limit=4)
        solution_id = await market.solution(10, quotas={"query": rolling})
        made = await market.token(solution_id)
        assert (await market.decide(made.token, solution_id, 7)).allowed
        await market.settled()
        clock.days += 1
        await until(lambda: heard(market))
        decision = await market.decide(made.token, solution_id, 13)
        assert (decision.allowed, decision.limit) == (True, 13)
        assert not (await market.decide(made.token, solution_id)).allowed


class Clock:
    """The real one, some days later."""

    days = 0

    def now(self) -> Any:
        from datetime import UTC, datetime, timedelta

        return datetime.now(UTC) + timedelta(days=self.days)


async def heard(market: Market) -> bool:
    return bool(market.decider.now() - market.decider.engine._heard < 5)


async def test_a_watch_tells_terms_changes_and_time(market: Market, home: Path) -> None:
    mine, other = await market.solution(10), await market.solution(10)
    pki.ensure(home, [f"solution/{mine}"])
    made = await market.token(mine)
    async with refuses("PERMISSION_DENIED", "SOLUTION_NOT_YOURS"):
        call = market.validators(f"solution/{mine}").WatchAccess()
        await call.write(pb.WatchAccessRequest(start=pb.WatchAccessStart(instance="web-1", solution_ids=[other])))
        await call.read()
    call = market.validators(f"solution/{mine}").WatchAccess()
    await call.write(pb.WatchAccessRequest(start=pb.WatchAccessStart(instance="web-1")))
    first = await call.read()
    assert first.reset and [solution.id for solution in first.solutions] == [mine]
    began = time.monotonic()
    await call.read()
    await call.read()
    assert time.monotonic() - began < 3
    revoked = await market.plane.access().RevokeToken(access_pb.RevokeTokenRequest(kid=made.token_kid, reason="a test"))
    told: list[str] = []
    while not told:
        response = await call.read()
        told = [token.kid for token in response.tokens]
    assert told == [made.token_kid] and response.revision >= revoked.token.revision
    call.cancel()
    again = market.validators(f"solution/{mine}").WatchAccess()
    start = pb.WatchAccessStart(instance="web-1", from_revision=revoked.token.revision - 1)
    await again.write(pb.WatchAccessRequest(start=start))
    response = await again.read()
    assert not response.reset and [token.kid for token in response.tokens] == [made.token_kid]
    again.cancel()


@pytest.mark.parametrize(
    "changes", [{"code": 0}, {"code": 99}, {"cost": 2**62, "count": 4}, {"cost": -1}, {"count": 0}, {"id": "no uuid"}]
)
async def test_a_batch_that_makes_no_sense_is_refused_as_a_whole(market: Market, changes: dict[str, Any]) -> None:
    solution_id = await market.solution(10)
    made = await market.token(solution_id)
    good, bad = run(solution_id, made, "", 1), run(solution_id, made, "", **{"count": 1, **changes})
    async with refuses("INVALID_ARGUMENT"):
        await market.validators().SettleLeases(pb.SettleLeasesRequest(instance="web-1", runs=[good, bad]))
    assert market.books(solution_id)["logged"] == 0


async def test_what_a_validator_says_of_time_is_kept_within_reason(market: Market) -> None:
    solution_id = await market.solution(10)
    made = await market.token(solution_id)
    told = run(solution_id, made, "", 1)
    told.first_time.FromSeconds(0)
    told.last_time.FromJsonString("9999-12-31T00:00:00Z")
    await market.validators().SettleLeases(pb.SettleLeasesRequest(instance="web-1", runs=[told]))
    [(first, last)] = market.rows(
        "SELECT now() - first_time < '91 days', last_time - now() < '6 minutes' FROM decisions WHERE solution_id = %s",
        solution_id,
    )
    assert first and last


async def test_a_validator_that_says_it_spent_more_than_it_had_is_counted(market: Market) -> None:
    solution_id = await market.solution(10)
    made = await market.token(solution_id)
    request = pb.AdmitTokenRequest(
        instance="web-1", solution_id=solution_id, token=made.token, action="query", least_units=1, wanted_units=2
    )
    lent = (await market.validators().AdmitToken(request)).lease
    await market.validators().SettleLeases(
        pb.SettleLeasesRequest(
            instance="web-1",
            settlements=[pb.Settlement(lease_id=lent.id, close=True)],
            runs=[run(solution_id, made, lent.id, 7)],
        )
    )
    books = market.books(solution_id)
    assert (books["used"], books["taken"], books["outstanding"]) == (7, 7, 0)


async def test_the_log_has_a_partition_for_today(market: Market) -> None:
    solution_id = await market.solution(10)
    made = await market.token(solution_id)

    async def made_ahead() -> bool:
        names = market.rows(
            "SELECT to_regclass('partitions.decisions_' || to_char(now() + '2 days', 'YYYYMMDD'))::text"
        )
        return names[0][0] is not None

    await until(made_ahead)
    assert (await market.decide(made.token, solution_id)).allowed
    await market.settled()
    assert market.books(solution_id)["logged"] == 1


async def test_a_watch_begins_with_its_start(market: Market) -> None:
    call = market.validators().WatchAccess()
    await call.write(pb.WatchAccessRequest(report=pb.WatchAccessReport(applied_revision=1)))
    async with refuses("INVALID_ARGUMENT", "WATCH_NOT_INTRODUCED"):
        await call.read()
        await call


async def test_several_who_hand_in_at_once_hand_in_once(market: Market) -> None:
    solution_id = await market.solution(100)
    made = await market.token(solution_id)
    for _ in range(5):
        assert (await market.decide(made.token, solution_id)).allowed
    await asyncio.gather(*(market.decider.drain() for _ in range(3)))
    assert market.books(solution_id)["used"] == market.books(solution_id)["logged"] == 5


async def test_actions_without_a_quota_of_their_own_share_one(market: Market) -> None:
    shared = quota_pb2.Quota(limit=3, period=DAY)
    solution_id = await market.solution(10, quotas={"*": shared})
    made = await market.token(solution_id)
    codes = [
        (await market.decider.decide(made.token, solution_id, action)).code for action in ("a", "b", "c", "a", "d")
    ]
    assert codes == [Code.ALLOWED] * 3 + [Code.QUOTA_EXHAUSTED] * 2
    assert (await market.decide(made.token, solution_id)).allowed


async def test_callers_without_a_token_are_counted_one_by_one(market: Market) -> None:
    solution_id = await market.solution(2, anonymous_tier="free")
    for anonymous_id in ("one", "other", ""):
        told = [(await market.decide("", solution_id, anonymous_id=anonymous_id)) for _ in range(3)]
        assert [each.code for each in told] == [Code.ALLOWED, Code.ALLOWED, Code.ANONYMOUS_EXHAUSTED]
    await market.settled()
    [(used, names)] = market.rows(
        "SELECT sum(used_units), count(DISTINCT entitlement_id) FROM usage_days WHERE solution_id = %s", solution_id
    )
    assert (used, names) == (6, 3)
    assert (await market.decide("", await market.solution(2))).code is Code.TOKEN_MISSING
