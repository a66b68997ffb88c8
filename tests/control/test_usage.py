"""What tenants use of metered features is counted exactly, in windows of their own calendar."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select

from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import quota_pb2, tenant_pb2
from center.control.v1 import tenant_service_pb2 as tenants_pb
from center.control.v1.plan_service_pb2_grpc import PlanServiceStub
from control.catalog.abreast import PATIENCE_S
from control.catalog.store import newest
from control.operations import upkeep
from control.tables import feature_usage
from control.tenants import store as tenant_store
from shared.runtime.db import Database, app_url
from shared.runtime.ids import uuid7
from tests.control.plane import Plane, until
from tests.control.plans import Plans, units
from tests.control.test_abreast import log_away
from tests.control.test_tokens import Settable
from tests.support.grpc import refuses

HOUR, DAY, WEEK, MONTH, STANDING = (
    quota_pb2.QUOTA_PERIOD_HOUR,
    quota_pb2.QUOTA_PERIOD_DAY,
    quota_pb2.QUOTA_PERIOD_WEEK,
    quota_pb2.QUOTA_PERIOD_MONTH,
    quota_pb2.QUOTA_PERIOD_STANDING,
)
SOFT = quota_pb2.QUOTA_ENFORCEMENT_SOFT
# A Wednesday. Long ago, for the database forgets request ids by its own clock.
NOON = datetime(2024, 3, 13, 12, tzinfo=UTC)
MOST = 10**12


class Usage(Plans):
    """The operator of one platform, and who uses features there."""

    def __init__(self, plane: Plane, clock: Settable) -> None:
        super().__init__(plane)
        self.clock = clock

    @property
    def db(self) -> Database:
        assert self.plane.running is not None
        return self.plane.running.db

    async def revision(self) -> int:
        async with self.db.transaction() as tx:
            return await newest(tx)

    def as_(self, identity: str) -> PlanServiceStub:
        return PlanServiceStub(self.plane.channel(identity))

    async def having(self, limit: int | None, *, period: Any = MONTH, zone: str = "", **more: Any) -> tuple[str, str]:
        """(a new tenant, a new feature that it has)."""
        code = f"t{uuid7().replace('-', '')[8:]}"
        feature_id = f"f{code}"
        await self.metered(feature_id, period)
        config = tenant_pb2.TenantConfig(time_zone=zone)
        tenant_id = (await self.plane.create(code, plan_id="standard", draft=True, config=config)).tenant.id
        await self.give(tenant_id, feature_id, limit, period=period, **more)
        return tenant_id, feature_id

    async def give(
        self, tenant_id: str, feature_id: str, limit: int | None, *, period: Any = MONTH, **more: Any
    ) -> None:
        await self.override(tenant_id, feature_id, add=units(limit, period=period, **more))

    async def use(self, tenant_id: str, feature_id: str, count: int = 1, **more: Any) -> pb.UseFeatureResponse:
        request = pb.UseFeatureRequest(tenant_id=tenant_id, feature_id=feature_id, units=count, **more)
        return await self.stub.UseFeature(request)

    async def peek(self, tenant_id: str, feature_id: str, count: int = 1) -> pb.PeekFeatureResponse:
        request = pb.PeekFeatureRequest(tenant_id=tenant_id, feature_id=feature_id, units=count)
        return await self.stub.PeekFeature(request)

    async def give_back(self, tenant_id: str, feature_id: str, count: int, **more: Any) -> tuple[int, int]:
        request = pb.ReturnFeatureUnitsRequest(tenant_id=tenant_id, feature_id=feature_id, units=count, **more)
        answer = await self.stub.ReturnFeatureUnits(request)
        return answer.returned_units, answer.used_units

    async def zone(self, tenant_id: str, zone: str) -> None:
        request = tenants_pb.UpdateTenantConfigRequest(
            id=tenant_id, config=tenant_pb2.TenantConfig(time_zone=zone), update_mask=FieldMask(paths=["time_zone"])
        )
        await self.plane.tenants.UpdateTenantConfig(request)
        await self.read(tenant_id)

    async def used(self, tenant_id: str, filter: str = "") -> list[pb.FeatureUsage]:
        request = pb.ListFeatureUsageRequest(tenant_id=tenant_id, filter=filter)
        return list((await self.stub.ListFeatureUsage(request)).usage)


def code(answer: Any) -> str:
    return pb.FeatureUseCode.Name(answer.code).removeprefix("FEATURE_USE_CODE_")


def told(time: Timestamp) -> str:
    return time.ToDatetime(UTC).isoformat()


def left(answer: Any) -> tuple[bool, str, int, int | None]:
    """(allowed, code, used, remaining)."""
    remaining = answer.remaining_units if answer.HasField("remaining_units") else None
    return answer.allowed, code(answer), answer.used_units, remaining


@pytest.fixture(scope="module")
async def platform(start_plane: Any) -> AsyncIterator[Usage]:
    clock = Settable(NOON)
    async with start_plane(clock=clock) as plane:
        yield Usage(plane, clock)


@pytest.fixture
def usage(platform: Usage) -> Usage:
    platform.clock.time = NOON
    return platform


@pytest.fixture(scope="module")
async def beside(platform: Usage) -> AsyncIterator[Usage]:
    """Another process on the same database."""
    other = platform.plane.beside()
    await other.start(clock=platform.clock)
    yield Usage(other, platform.clock)
    await other.close()


async def test_units_are_used_up_to_the_limit_and_denied_calls_are_free(usage: Usage) -> None:
    tenant, feature = await usage.having(10)
    first = await usage.use(tenant, feature, 7)
    assert left(first) == (True, "ALLOWED", 7, 3)
    assert (first.limit, first.revision) == (10, (await usage.read(tenant)).version)
    assert left(await usage.use(tenant, feature, 4)) == (False, "LIMIT_REACHED", 7, 3)
    assert left(await usage.peek(tenant, feature, 4)) == (False, "LIMIT_REACHED", 7, 3)
    assert left(await usage.peek(tenant, feature, 3)) == (True, "ALLOWED", 7, 3)
    assert left(await usage.use(tenant, feature, 3)) == (True, "ALLOWED", 10, 0)
    assert left(await usage.use(tenant, feature)) == (False, "LIMIT_REACHED", 10, 0)
    tenant, feature = await usage.having(10)
    assert left(await usage.use(tenant, feature, 11)) == (False, "LIMIT_REACHED", 0, 10)
    assert await usage.used(tenant) == [], "a first call that is denied leaves nothing behind"


@pytest.mark.parametrize("limit", [1, 25])
async def test_two_processes_that_race_never_allow_one_too_many(usage: Usage, beside: Usage, limit: int) -> None:
    for _ in range(3):
        tenant, feature = await usage.having(limit)
        await beside.read(tenant)
        answers = await asyncio.gather(*(each.use(tenant, feature) for _ in range(30) for each in (usage, beside)))
        assert sum(each.allowed for each in answers) == limit
        assert sorted(each.used_units for each in answers if each.allowed) == list(range(1, limit + 1))
        assert {code(each) for each in answers} == {"ALLOWED", "LIMIT_REACHED"}
        assert [each.used_units for each in await beside.used(tenant)] == [limit]


async def test_use_beyond_a_soft_limit_is_allowed_and_counted(usage: Usage) -> None:
    tenant, feature = await usage.having(5, enforcement=SOFT)
    assert left(await usage.use(tenant, feature, 5)) == (True, "ALLOWED", 5, 0)
    assert left(await usage.peek(tenant, feature)) == (True, "ALLOWED_OVER_LIMIT", 5, 0)
    over = await usage.use(tenant, feature, MOST)
    assert left(over) == (True, "ALLOWED_OVER_LIMIT", 5 + MOST, 0)
    assert over.limit == 5


async def test_without_a_limit_everything_is_allowed_and_counted(usage: Usage) -> None:
    tenant, feature = await usage.having(None)
    answer = await usage.use(tenant, feature, MOST)
    assert left(answer) == (True, "ALLOWED", MOST, None)
    assert not answer.HasField("limit")
    assert left(await usage.use(tenant, feature, 1)) == (True, "ALLOWED", MOST + 1, None)


async def test_a_counter_that_can_hold_no_more_refuses(usage: Usage) -> None:
    tenant, feature = await usage.having(None)
    await usage.use(tenant, feature)
    async with usage.db.transaction() as tx:
        await tx.exec_driver_sql(
            f"UPDATE feature_usage SET used = (1::bigint << 62) - 1 WHERE feature_id = '{feature}'"
        )
    assert code(await usage.use(tenant, feature)) == "ALLOWED"
    assert code(await usage.peek(tenant, feature)) == "LIMIT_REACHED"
    assert code(await usage.use(tenant, feature)) == "LIMIT_REACHED"


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        (HOUR, "2024-03-13T11:30:00+00:00", "2024-03-13T12:30:00+00:00"),
        (DAY, "2024-03-12T18:30:00+00:00", "2024-03-13T18:30:00+00:00"),
        (WEEK, "2024-03-10T18:30:00+00:00", "2024-03-17T18:30:00+00:00"),
        (MONTH, "2024-02-29T18:30:00+00:00", "2024-03-31T18:30:00+00:00"),
    ],
)
async def test_a_window_is_the_calendars_in_the_tenants_zone(usage: Usage, period: Any, start: str, end: str) -> None:
    tenant, feature = await usage.having(3, period=period, zone="Asia/Kolkata")
    answer = await usage.use(tenant, feature, 3)
    assert (told(answer.window_start), told(answer.resets_at)) == (start, end)
    usage.clock.time = datetime.fromisoformat(end) - timedelta(microseconds=1)
    assert left(await usage.use(tenant, feature)) == (False, "LIMIT_REACHED", 3, 0)
    usage.clock.time = datetime.fromisoformat(end)
    assert left(await usage.peek(tenant, feature)) == (True, "ALLOWED", 0, 3)
    assert left(await usage.use(tenant, feature)) == (True, "ALLOWED", 1, 2)
    assert [each.used_units for each in await usage.used(tenant)] == [1, 3]


async def test_what_stands_never_starts_anew(usage: Usage) -> None:
    tenant, feature = await usage.having(3, period=STANDING)
    answer = await usage.use(tenant, feature, 2)
    assert not answer.HasField("resets_at") and not answer.HasField("window_start")
    usage.clock.time += timedelta(days=4000)
    assert left(await usage.use(tenant, feature, 2)) == (False, "LIMIT_REACHED", 2, 1)


async def test_an_hour_that_the_clock_shows_twice_is_one_window(usage: Usage) -> None:
    usage.clock.time = datetime(2024, 10, 27, 0, 30, tzinfo=UTC)
    tenant, feature = await usage.having(1, period=HOUR, zone="Europe/Berlin")
    assert (await usage.use(tenant, feature)).allowed
    usage.clock.time += timedelta(hours=1)
    answer = await usage.use(tenant, feature)
    assert (answer.allowed, told(answer.resets_at)) == (False, "2024-10-27T02:00:00+00:00")


async def test_a_day_without_a_midnight_is_called_by_its_date(usage: Usage) -> None:
    usage.clock.time = datetime(2024, 3, 31, 12, tzinfo=UTC)
    tenant, feature = await usage.having(1, period=DAY, zone="Asia/Beirut")
    first = await usage.use(tenant, feature)
    assert told(first.window_start) == "2024-03-30T22:00:00+00:00", "there was no midnight; the day begins at 1 o'clock"
    await usage.zone(tenant, "UTC")
    assert left(await usage.use(tenant, feature)) == (False, "LIMIT_REACHED", 1, 0)


async def test_another_time_zone_counts_nothing_anew(usage: Usage) -> None:
    tenant, feature = await usage.having(5, zone="Europe/Berlin")
    await usage.use(tenant, feature, 5)
    for zone in ("America/New_York", "Pacific/Kiritimati", ""):
        await usage.zone(tenant, zone)
        assert left(await usage.use(tenant, feature)) == (False, "LIMIT_REACHED", 5, 0)
    usage.clock.time = datetime(2024, 4, 1, tzinfo=UTC)
    assert left(await usage.use(tenant, feature)) == (True, "ALLOWED", 1, 4)


async def test_what_is_left_over_is_there_in_the_next_window_and_no_longer(usage: Usage) -> None:
    tenant, feature = await usage.having(10, period=DAY, rollover_limit=4)
    assert (await usage.use(tenant, feature, 7)).limit == 10, "the tenant was not there yesterday"
    usage.clock.time += timedelta(days=1)
    assert ((await usage.peek(tenant, feature)).limit, left(await usage.use(tenant, feature, 14))) == (
        13,
        (False, "LIMIT_REACHED", 0, 13),
    )
    assert left(await usage.use(tenant, feature, 13)) == (True, "ALLOWED", 13, 0)
    assert left(await usage.use(tenant, feature)) == (False, "LIMIT_REACHED", 13, 0)
    assert [each.carried_units for each in await usage.used(tenant)] == [3, 0]
    usage.clock.time += timedelta(days=1)
    assert (await usage.use(tenant, feature)).limit == 10, "nothing was left over"
    usage.clock.time += timedelta(days=2)
    assert (await usage.use(tenant, feature)).limit == 14, "of a day without use as much as rolls over at all"


async def test_a_raised_limit_works_on_the_next_call_of_every_process(usage: Usage, beside: Usage) -> None:
    tenant, feature = await usage.having(2)
    await usage.use(tenant, feature, 2)
    assert not (await usage.use(tenant, feature)).allowed
    await usage.give(tenant, feature, 3)
    newest = (await usage.read(tenant)).version
    assert left(await beside.use(tenant, feature, min_revision=newest)) == (True, "ALLOWED", 3, 0)
    await usage.give(tenant, feature, 1)
    assert left(await usage.use(tenant, feature)) == (False, "LIMIT_REACHED", 3, 0)
    async with refuses("DEADLINE_EXCEEDED", "REVISION_NOT_REACHED"):
        request = pb.UseFeatureRequest(tenant_id=tenant, feature_id=feature, units=1, min_revision=10**9)
        await usage.stub.UseFeature(request, timeout=0.5)


async def test_another_plan_in_the_middle_of_a_window_keeps_what_is_used(usage: Usage) -> None:
    await usage.metered("swap", MONTH)
    await usage.plan("small-swap", swap=units(5, period=MONTH, rollover_limit=5))
    await usage.plan("big-swap", swap=units(8, period=MONTH))
    tenant = await usage.tenant("swapper", "small-swap")
    usage.clock.time += timedelta(days=31)
    assert left(await usage.use(tenant, "swap", 4)) == (True, "ALLOWED", 4, 6)
    await usage.assign(tenant, "big-swap")
    assert left(await usage.use(tenant, "swap", 5)) == (True, "ALLOWED", 9, 4), "what was carried into it stays, too"
    await usage.assign(tenant, "small-swap")
    assert left(await usage.use(tenant, "swap", 2)) == (False, "LIMIT_REACHED", 9, 1)


async def test_what_is_carried_counts_for_one_call_that_needs_it_all(usage: Usage) -> None:
    tenant, feature = await usage.having(5, rollover_limit=5)
    usage.clock.time += timedelta(days=31)
    await usage.use(tenant, feature)
    await usage.give(tenant, feature, 5)
    assert left(await usage.use(tenant, feature, 9)) == (True, "ALLOWED", 10, 0)


async def test_who_does_not_have_a_feature_uses_nothing_of_it_and_is_told_why(usage: Usage) -> None:
    tenant, feature = await usage.having(5)
    await usage.use(tenant, feature, 2)
    switch = await usage.kill(feature, tenant_id=tenant)
    killed = await usage.use(tenant, feature)
    assert left(killed) == (False, "FEATURE_KILLED", 2, 0)
    assert killed.limit == 0
    assert left(await usage.peek(tenant, feature)) == (False, "FEATURE_KILLED", 2, 0)
    await usage.stub.RemoveKillSwitch(pb.RemoveKillSwitchRequest(id=switch.id, reason="a test"))
    assert left(await usage.use(tenant, feature)) == (True, "ALLOWED", 3, 2)
    await usage.override(tenant, feature, remove=pb.Removal())
    assert left(await usage.use(tenant, feature)) == (False, "FEATURE_ABSENT", 3, 0)
    other, _ = await usage.having(5)
    assert left(await usage.use(other, feature)) == (False, "FEATURE_ABSENT", 0, 0)


async def test_only_what_is_there_and_counted_is_used(usage: Usage) -> None:
    tenant, feature = await usage.having(5)
    for ask in (usage.use, usage.peek, lambda *asked: usage.give_back(*asked, 1)):
        async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
            await ask(uuid7(), feature)
        async with refuses("NOT_FOUND", "FEATURE_NOT_FOUND"):
            await ask(tenant, "no.such.feature")
        async with refuses("FAILED_PRECONDITION", "FEATURE_NOT_METERED"):
            await ask(tenant, "bulk_import")
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await usage.used(uuid7())
    assert left(await usage.use(tenant.upper(), feature)) == left(await usage.peek(tenant, feature))


@pytest.mark.parametrize("count", [0, -1, MOST + 1, 2**63 - 1, -(2**63)])
async def test_units_that_make_no_sense_are_refused(usage: Usage, count: int) -> None:
    tenant, feature = await usage.having(5)
    for ask in (usage.use, usage.peek, usage.give_back):
        async with refuses("INVALID_ARGUMENT") as refusal:
            await ask(tenant, feature, count)
        assert "units" in refusal.violations
    assert await usage.used(tenant) == []


async def test_the_same_request_is_counted_once(usage: Usage, beside: Usage) -> None:
    tenant, feature = await usage.having(5)
    await beside.read(tenant)
    same = uuid7()
    sent = (each.use(tenant, feature, 3, request_id=same) for _ in range(5) for each in (usage, beside))
    assert {left(each) for each in await asyncio.gather(*sent)} == {(True, "ALLOWED", 3, 2)}
    assert left(await usage.use(tenant, feature, 3, request_id=uuid7())) == (False, "LIMIT_REACHED", 3, 2)
    async with refuses("FAILED_PRECONDITION", "REQUEST_ID_REUSED"):
        await usage.use(tenant, feature, 1, request_id=same)
    again = uuid7()
    assert [await usage.give_back(tenant, feature, 2, request_id=again) for _ in range(3)] == [(2, 1)] * 3
    assert [each.used_units for each in await usage.used(tenant)] == [1]


async def test_units_come_back_but_never_more_than_are_used(usage: Usage) -> None:
    tenant, seats = await usage.having(3, period=STANDING)
    assert await usage.give_back(tenant, seats, 1) == (0, 0)
    await usage.use(tenant, seats, 3)
    assert await usage.give_back(tenant, seats, 1) == (1, 2)
    assert left(await usage.use(tenant, seats)) == (True, "ALLOWED", 3, 0)
    await usage.override(tenant, seats, remove=pb.Removal())
    assert await usage.give_back(tenant, seats, 2) == (2, 1), "also where it is had no more"
    assert await usage.give_back(tenant, seats, MOST) == (1, 0)


async def test_units_come_back_to_the_window_that_they_were_used_in(usage: Usage) -> None:
    tenant, feature = await usage.having(3, period=DAY)
    yesterday = await usage.use(tenant, feature, 2)
    usage.clock.time += timedelta(days=1)
    today = await usage.use(tenant, feature, 2)
    assert await usage.give_back(tenant, feature, 1, window_start=yesterday.window_start) == (0, 2)
    assert await usage.give_back(tenant, feature, 1, window_start=today.window_start) == (1, 1)
    assert [each.used_units for each in await usage.used(tenant)] == [1, 2]


async def test_a_use_is_no_change_of_the_catalog(usage: Usage) -> None:
    tenant, feature = await usage.having(3)
    before = await usage.revision()
    await usage.use(tenant, feature)
    await usage.use(tenant, feature, 5)
    await usage.give_back(tenant, feature, 1)
    assert await usage.revision() == before


async def test_a_use_waits_for_no_change_of_the_catalog(start_plane: Any) -> None:
    async with start_plane() as plane:
        usage = Usage(plane, Settable(NOON))
        tenant, feature = await usage.having(3)
        with log_away(plane):
            await usage.give(tenant, feature, 5)
            began = time.monotonic()
            assert (await usage.use(tenant, feature)).limit == 3, "the process has not heard of the change"
            await usage.give_back(tenant, feature, 1)
            assert time.monotonic() - began < PATIENCE_S


async def test_a_cluster_uses_features_for_tenants_that_are_on_it_or_move_there(
    start_plane: Any, start_cluster: Any
) -> None:
    async with start_plane() as plane, start_cluster(plane, "eu-1"):
        usage = Usage(plane, Settable(NOON))
        tenant = (await plane.active("theirs", region_id="eu")).id
        await usage.metered("seats", STANDING)
        await usage.give(tenant, "seats", 100, period=STANDING)
        request = pb.UseFeatureRequest(tenant_id=tenant, feature_id="seats", units=1)
        here, there = usage.as_("cluster/eu-1"), usage.as_("cluster/us-1")
        assert (await here.UseFeature(request)).allowed
        assert (await usage.as_("control").UseFeature(request)).allowed
        for ask in (
            lambda: there.UseFeature(request),
            lambda: there.PeekFeature(pb.PeekFeatureRequest(tenant_id=tenant, feature_id="seats", units=1)),
            lambda: there.ReturnFeatureUnits(
                pb.ReturnFeatureUnitsRequest(tenant_id=tenant, feature_id="seats", units=1)
            ),
            lambda: there.ListFeatureUsage(pb.ListFeatureUsageRequest(tenant_id=tenant)),
            lambda: there.GetTenantFeatures(pb.GetTenantFeaturesRequest(tenant_id=tenant.upper())),
        ):
            async with refuses("PERMISSION_DENIED", "TENANT_NOT_YOURS"):
                await ask()
        assert (
            await here.GetTenantFeatures(pb.GetTenantFeaturesRequest(tenant_id=tenant))
        ).features.tenant_id == tenant
        async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
            await usage.as_("edge").UseFeature(request)
        # The target is down, so the move goes on until it is given up.
        move = tenants_pb.MoveTenantRequest(id=tenant, cluster_id="us-1", reason="a test")
        moving = await plane.tenants.MoveTenant(move)
        await until(lambda: yours(there, tenant))
        assert (await there.UseFeature(request)).allowed
        assert (await here.UseFeature(request)).allowed
        await plane.wait(moving.operation.name)
        await usage.read(tenant)
        async with refuses("PERMISSION_DENIED", "TENANT_NOT_YOURS"):
            await there.UseFeature(request)
        [used] = await usage.used(tenant)
        assert used.used_units == 4


async def yours(cluster: PlanServiceStub, tenant_id: str) -> bool:
    try:
        await cluster.ListFeatureUsage(pb.ListFeatureUsageRequest(tenant_id=tenant_id))
    except grpc.aio.AioRpcError:
        return False
    return True


async def test_usage_is_listed_by_window_in_pages(usage: Usage) -> None:
    tenant, daily = await usage.having(None, period=DAY)
    await usage.metered("list.standing", STANDING)
    await usage.give(tenant, "list.standing", None, period=STANDING)
    await usage.use(tenant, "list.standing", 100)
    for day in range(5):
        usage.clock.time = NOON + timedelta(days=day)
        await usage.use(tenant, daily, day + 1)
    other, feature = await usage.having(1)
    await usage.use(other, feature)
    listed = await usage.used(tenant)
    assert [each.used_units for each in listed] == [5, 4, 3, 2, 1, 100]
    assert told(listed[0].window_start) == "2024-03-17T00:00:00+00:00"
    assert told(listed[0].window_end) == "2024-03-18T00:00:00+00:00"
    assert told(listed[0].update_time) == "2024-03-17T12:00:00+00:00"
    assert not listed[5].HasField("window_start") and not listed[5].HasField("window_end")

    request, pages = pb.ListFeatureUsageRequest(tenant_id=tenant, page_size=4), []
    while True:
        answer = await usage.stub.ListFeatureUsage(request)
        pages.append(list(answer.usage))
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert [len(page) for page in pages] == [4, 2]
    assert [each for page in pages for each in page] == listed

    assert [each.used_units for each in await usage.used(tenant, 'feature_id = "list.standing"')] == [100]
    assert [each.used_units for each in await usage.used(tenant, 'window_start >= "2024-03-16T00:00:00Z"')] == [5, 4]
    assert [each.used_units for each in await usage.used(tenant, "used_units > 3")] == [5, 4, 100]
    async with refuses("INVALID_ARGUMENT", "FILTER_INVALID"):
        await usage.used(tenant, "tenant_id = 1")
    async with refuses("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        token = pb.ListFeatureUsageRequest(tenant_id=other, page_size=4, page_token=request.page_token)
        await usage.stub.ListFeatureUsage(token)


async def test_windows_are_kept_for_thirteen_months_and_what_stands_for_ever(usage: Usage) -> None:
    tenant, feature = await usage.having(None)
    await usage.metered("kept.standing", STANDING)
    await usage.give(tenant, "kept.standing", None, period=STANDING)
    await usage.use(tenant, "kept.standing")
    await usage.use(tenant, feature)
    config = usage.plane.config
    steward = Database.connect(app_url(config.database_url, config.home, "center_steward"))
    for now, kept in ((datetime(2025, 5, 1, tzinfo=UTC), 2), (datetime(2025, 6, 1, tzinfo=UTC), 1)):
        await upkeep.clean_once(steward, usage.db, now, 50_000)
        assert len(await usage.used(tenant)) == kept
    await steward.close()


async def test_a_purged_tenant_takes_its_counters_along(usage: Usage) -> None:
    tenant, feature = await usage.having(5)
    await usage.use(tenant, feature)
    request = tenants_pb.DeleteTenantRequest(id=tenant, reason="a test")
    request.grace.FromSeconds(0)
    await usage.plane.tenants.DeleteTenant(request)

    async def gone() -> bool:
        async with usage.db.transaction() as tx:
            rows = await tx.execute(select(feature_usage).where(feature_usage.c.tenant_id == tenant))
            return not rows.all()

    await until(gone)
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await usage.use(tenant, feature)


async def test_a_tenant_that_is_just_being_purged_is_not_there(usage: Usage) -> None:
    tenant, feature = await usage.having(5)
    # As before the process has heard of it.
    async with usage.db.transaction() as tx:
        await tenant_store.erase(tx, [tenant])
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await usage.use(tenant, feature)
