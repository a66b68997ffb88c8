"""What tenants have: GetTenantFeatures against an echo, and the time until 100 watchers have a change."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc

from center.control.v1 import plan_service_pb2 as pb
from center.control.v1.plan_service_pb2_grpc import PlanServiceStub
from center.control.v1.tenant_service_pb2 import ListTenantsRequest
from center_sdk.features import FeatureSets
from shared.runtime import pki
from tests.bench.echo import echo
from tests.bench.load import Load, Target
from tests.bench.measure import SPREAD, THROUGHPUT, compare, ms, percentile, ratio, show, spread_ms, throughput
from tests.bench.tenants import Imported
from tests.support.platform import Platform

GET = "center.control.v1.PlanService/GetTenantFeatures"
BAR = 0.7
BAR_MS = 300
WARM_S = 4.0
WATCHERS = 100
# Watchers are one process here: more tenants would measure what a hundred of them do in turn.
WATCHED = 10
CHANGES = 60


async def test_reading_what_tenants_have(imported: Imported, load: Load) -> None:
    platform = imported.platform
    identity = pki.load(platform.home, "operator")
    plans = PlanServiceStub(platform.channel("control"))
    tenant_ids = [each async for each in _tenants(platform)]
    requests = [pb.GetTenantFeaturesRequest(tenant_id=each).SerializeToString() for each in tenant_ids]
    answer = await plans.GetTenantFeatures(pb.GetTenantFeaturesRequest(tenant_id=tenant_ids[0]))
    control = platform.processes()["control"].pid
    assert control is not None
    with echo(platform.home, {GET: answer}) as server:
        port = int(platform.address("control").rpartition(":")[2])
        for title, metadata in (
            ("called as our channels call", True),
            ("called with no metadata and no deadline", False),
        ):
            targets = [
                Target("raw echo", [server.pid], server.raw, f"/{GET}", requests, identity),
                Target("echo in the chain as shipped", [server.pid], server.chain, f"/{GET}", requests, identity),
                Target("GetTenantFeatures as it runs", [control.pid], port, f"/{GET}", requests, identity),
            ]
            if not metadata:
                targets = [replace(each, metadata=()) for each in targets]
            await load.run(targets[-1], seconds=WARM_S)
            samples = await compare(load, targets, rounds=11, seconds=0.5)
            pairs = list(zip(samples[0], samples[2], strict=True))
            rates = [mine.calls_per_s / raw.calls_per_s for raw, mine in pairs]
            shares = [raw.server_cpu_us / mine.server_cpu_us for raw, mine in pairs]
            show(
                f"GetTenantFeatures of {len(tenant_ids):,} tenants in turn, {title}",
                THROUGHPUT,
                throughput(targets, samples, reference=0),
                f"GetTenantFeatures reaches {ratio(rates)} of the raw echo's calls/s, and {ratio(shares)} of what its"
                f" CPU time would give; the bar is {BAR}",
            )


async def test_a_change_is_acknowledged_by_all_watchers(imported: Imported) -> None:
    platform = imported.platform
    plans = PlanServiceStub(platform.channel("control"))
    tenant_ids = [each async for each in _tenants(platform, WATCHED)]
    feature = pb.Feature(id="bench_watched", boolean=pb.BooleanFeature())
    await plans.CreateFeature(pb.CreateFeatureRequest(feature=feature))
    plan_id = (await plans.GetTenantFeatures(pb.GetTenantFeaturesRequest(tenant_id=tenant_ids[0]))).features.plan_id

    async def one(number: int) -> int:
        """An override for one of the watched tenants."""
        value = pb.FeatureValue(boolean=bool(number % 2))
        tenant_id = tenant_ids[number % WATCHED]
        override = pb.Override(tenant_id=tenant_id, feature_id="bench_watched", add=value, reason="a bench")
        return (await plans.SetOverride(pb.SetOverrideRequest(override=override))).override.revision

    async def every(number: int) -> int:
        """Another version of the plan that all 10,000 tenants are on."""
        features = [pb.PlanFeature(feature_id="bench_watched", value=pb.FeatureValue(boolean=bool(number % 2)))]
        active = (await plans.GetPlan(pb.GetPlanRequest(id=plan_id))).plan.active_version
        request = pb.CreatePlanVersionRequest(plan_id=plan_id, features=features, copy_version=active)
        version = (await plans.CreatePlanVersion(request)).version.version
        publishing = pb.PublishPlanVersionRequest(plan_id=plan_id, version=version, reason="a bench")
        nonlocal began
        began = time.perf_counter()
        return (await plans.PublishPlanVersion(publishing)).version.revision

    began = 0.0
    rows, notes = [], []
    channels = [platform.channel("control", f"cluster/{cluster_id}") for cluster_id in ("eu-1", "us-1")]
    async with _watching(channels, tenant_ids) as watchers:
        for title, change, count in (
            ("an override of one tenant", one, CHANGES),
            ("a plan of all 10,000 tenants", every, CHANGES // 3),
        ):
            taken, heard, kept = await _measured(plans, watchers, change, count, lambda: began)
            rows.append([title, *spread_ms(taken)])
            rows.append(["  of it until the last watcher had it", *spread_ms(heard)])
            rows.append(["  until both clusters of 10,000 tenants have written it down", *spread_ms(kept)])
            notes.append(f"{title}: p99 {ms(percentile(taken, 99))}")
    show(
        f"A change until control knows that all of {WATCHERS} watchers of {WATCHED} tenants have applied it",
        ("", *SPREAD),
        rows,
        f"{'; '.join(notes)}; the bar is {BAR_MS} ms",
    )


async def _measured(
    plans: PlanServiceStub,
    watchers: "Watchers",
    change: Callable[[int], Awaitable[int]],
    count: int,
    began_at: Callable[[], float],
) -> tuple[list[float], list[float], list[float]]:
    """Seconds from the call that changes on until all watchers have acknowledged, until all had it, and until the
    clusters have acknowledged, too, each of which holds thousands of tenants."""
    taken, heard, kept = [], [], []
    for number in range(count):
        called = time.perf_counter()
        revision = await change(number)
        began = max(called, began_at())
        last = await watchers.reached(revision)
        for who, ended in ((' AND id = "*/bench-*"', taken), ("", kept)):
            behind = pb.ListFeatureWatchersRequest(filter=f"live = true AND applied_revision < {revision}{who}")
            while (await plans.ListFeatureWatchers(behind)).watchers:
                await asyncio.sleep(0.005)
            ended.append(time.perf_counter() - began)
        heard.append(max(0.0, last - began))
    return taken, heard, kept


class Watchers:
    """Streams that check and report what they get, as a cluster does."""

    def __init__(self) -> None:
        self.revisions = [0] * WATCHERS
        self.moved = asyncio.Condition()

    async def follow(self, number: int, call: Any) -> None:
        sets = FeatureSets()
        while (response := await call.read()) is not grpc.aio.EOF:
            sets.take(response)
            assert not sets.astray
            if response.revision > self.revisions[number]:
                report = pb.FeatureWatchReport(applied_revision=response.revision)
                await call.write(pb.WatchTenantFeaturesRequest(report=report))
                self.revisions[number] = response.revision
                async with self.moved:
                    self.moved.notify_all()

    async def reached(self, revision: int) -> float:
        """When all have it."""
        async with asyncio.timeout(30), self.moved:
            await self.moved.wait_for(lambda: min(self.revisions) >= revision)
        return time.perf_counter()


@asynccontextmanager
async def _watching(channels: list[grpc.aio.Channel], tenant_ids: list[str]) -> AsyncIterator[Watchers]:
    watchers, calls = Watchers(), []
    for number in range(WATCHERS):
        call = PlanServiceStub(channels[number % len(channels)]).WatchTenantFeatures()
        start = pb.FeatureWatchStart(instance=f"bench-{number}", tenant_ids=tenant_ids)
        await call.write(pb.WatchTenantFeaturesRequest(start=start))
        calls.append(call)
    tasks = [asyncio.create_task(watchers.follow(number, call)) for number, call in enumerate(calls)]
    try:
        await watchers.reached(1)
        yield watchers
    finally:
        for task, call in zip(tasks, calls, strict=True):
            task.cancel()
            call.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tenants(platform: Platform, at_most: int = 1_000_000) -> AsyncIterator[str]:
    """Ids."""
    request, left = ListTenantsRequest(page_size=1000), at_most
    while left > 0:
        page = await platform.tenants.ListTenants(request)
        for tenant in page.tenants[:left]:
            yield tenant.id
        left -= len(page.tenants)
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
