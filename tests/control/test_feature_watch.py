"""Watchers hear of every change to what tenants have, in a chain that they can check, and say what they applied."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import tenant_pb2
from center.control.v1 import tenant_service_pb2 as tenants_pb
from center_sdk.features import FeatureSets
from control.catalog.store import Change, record
from shared.runtime.ids import uuid7
from tests.control.plane import Plane, until
from tests.control.plans import OFF, ON, Plans, units
from tests.support.grpc import Refusal, refusal_of, refuses, told


@pytest.fixture(scope="module")
async def plans(start_plane: Any) -> AsyncIterator[Plans]:
    async with start_plane(heartbeat_s=0.3) as plane:
        yield Plans(plane)


async def test_a_watcher_gets_whole_sets_first_and_then_what_changed(plans: Plans) -> None:
    await plans.metered("boxes")
    await plans.plan("move", boxes=units(3))
    mine, others = await plans.tenant("mine", "move"), await plans.tenant("others", "move")
    async with plans.watch("w-1", tenant_ids=[mine]) as watch:
        await watch.reach(1)
        assert watch.sets.by_tenant == {mine: await plans.read(mine)}
        override = await plans.override(mine, "boxes", add=units(4))
        await plans.override(others, "boxes", add=units(5))
        await watch.reach(override.revision)
        [delta] = watch.responses[-1].deltas
        assert (delta.version, [each.feature_id for each in delta.changed]) == (override.revision, ["boxes"])
        assert delta.previous_version < delta.version
        assert set(watch.sets.by_tenant) == {mine}
        await plans.version("move", boxes=units(3), bulk_import=ON)
        published = await plans.publish("move", 2)
        await watch.reach(published.revision)
        assert watch.sets.by_tenant[mine] == await plans.read(mine)
        await plans.version("move", bulk_import=OFF)
        await plans.stub.RemoveOverride(pb.RemoveOverrideRequest(id=override.id, reason="a test"))
        published = await plans.publish("move", 3)
        await watch.reach(published.revision)
        assert [each.feature_id for each in watch.sets.by_tenant[mine].features] == ["bulk_import"]


async def test_who_comes_back_is_sent_what_he_does_not_know(plans: Plans) -> None:
    await plans.metered("bricks")
    await plans.plan("wall", bricks=units(3))
    one, two = await plans.tenant("wall-1", "wall"), await plans.tenant("wall-2", "wall")
    sets = FeatureSets()
    async with plans.watch("back", sets=sets, tenant_ids=[one, two]) as watch:
        await watch.reach(1)
    async with plans.watch("back", sets=sets, tenant_ids=[one, two]) as watch:
        await watch.reach(1)
        assert not any(each.tenants or each.deltas for each in watch.responses), "he knew it all"
    changed = await plans.override(two, "bricks", add=units(9))
    # Another name is another version of the same set.
    renamed = tenant_pb2.Tenant(id=one, display_name="Wall")
    await plans.plane.tenants.UpdateTenant(tenants_pb.UpdateTenantRequest(tenant=renamed))
    await plans.read(one)
    async with plans.watch("back", sets=sets, tenant_ids=[one, two]) as watch:
        await watch.reach(changed.revision)
        assert [each.tenant_id for response in watch.responses for each in response.tenants] == [two]
        [delta] = [each for response in watch.responses for each in response.deltas]
        assert (delta.tenant_id, len(delta.changed)) == (one, 0)
        assert sets.by_tenant == {each: await plans.read(each) for each in (one, two)}
    async with plans.watch("back", sets=sets, tenant_ids=[one]) as watch:
        await watch.reach(1)
        assert set(sets.by_tenant) == {one}, "he does not watch the other any more"


async def test_a_watcher_finds_out_that_it_has_something_else(plans: Plans) -> None:
    tenant_id = await plans.tenant("checked", "standard")
    async with plans.watch("checking", tenant_ids=[tenant_id]) as watch:
        while not watch.responses or not watch.responses[-1].HasField("check"):
            await watch.read()
        check = watch.responses[-1].check
        assert (check.tenant_count, watch.responses[-1].time.seconds > 0) == (1, True)
        watch.sets.by_tenant[tenant_id].hash = "0" * 32
        with pytest.raises(AssertionError):
            for _ in range(3):
                await watch.read()
        assert watch.sets.astray


async def test_everyone_is_watched_and_new_tenants_come(plans: Plans) -> None:
    async with plans.watch("all", identity="operator") as watch:
        await watch.reach(1)
        made = (await plans.plane.create("newcomer", draft=True)).tenant
        while made.id not in watch.sets.by_tenant:
            await watch.read()
        request = tenants_pb.DeleteTenantRequest(id=made.id, reason="a test")
        request.grace.FromSeconds(0)
        await plans.plane.tenants.DeleteTenant(request)
        while made.id in watch.sets.by_tenant:
            await watch.read()
        assert made.id in watch.responses[-1].removed_tenant_ids
        while not watch.responses[-1].HasField("check"):
            await watch.read()


async def test_who_has_applied_what_is_known(plans: Plans) -> None:
    await plans.feature("listed")
    tenant_id = await plans.tenant("applied", "standard")
    async with plans.watch("a-1", tenant_ids=[tenant_id]) as one, plans.watch("a-2", tenant_ids=[uuid7()]) as two:
        override = await plans.override(tenant_id, "listed", add=ON)
        # Whoever it does not concern hears of the revision, too, and can say that nothing of it is missing.
        for watch in (one, two):
            await watch.reach(override.revision)
        await one.report(override.revision)
        await plans.applied("cluster/eu-1/a-1", override.revision)
        await two.report(override.revision, **{tenant_id: "out of disk"})
        await plans.applied("cluster/eu-1/a-2", override.revision)
        found = await plans.watchers()
        assert found["cluster/eu-1/a-1"].live
        [refusal] = found["cluster/eu-1/a-2"].refusals
        assert (refusal.resource_id, refusal.reason) == (tenant_id, "out of disk")
        behind = pb.ListFeatureWatchersRequest(filter=f"live = true applied_revision < {override.revision}")
        ids = {each.id for each in (await plans.stub.ListFeatureWatchers(behind)).watchers}
        assert not ids & {"cluster/eu-1/a-1", "cluster/eu-1/a-2"}

    async def gone() -> bool:
        return not (await plans.watchers())["cluster/eu-1/a-1"].live

    await until(gone)


async def test_a_watch_begins_with_its_start(plans: Plans) -> None:
    async def sent(*requests: pb.WatchTenantFeaturesRequest) -> Refusal:
        call = plans.stub.WatchTenantFeatures(iter(requests))
        try:
            async for _ in call:
                pass
        except grpc.aio.AioRpcError as error:
            return refusal_of(error)
        return Refusal()

    report = pb.WatchTenantFeaturesRequest(report=pb.FeatureWatchReport(applied_revision=1))
    start = pb.WatchTenantFeaturesRequest(start=pb.FeatureWatchStart(instance="odd", tenant_ids=[uuid7()]))
    for requests in ((report,), (start, start)):
        refusal = await told(lambda requests=requests: sent(*requests))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "WATCH_NOT_INTRODUCED")


async def test_a_clusters_watcher_follows_its_tenants(plane: Plane) -> None:
    plans = Plans(plane)
    await plans.feature("wings")
    made = await plane.active("winged", region_id="eu")
    async with (
        plans.watch("here", cluster_id="eu-1") as here,
        plans.watch("there", cluster_id="us-1", identity="cluster/us-1") as there,
    ):
        await here.reach(made.revision)
        await there.reach(made.revision)
        assert made.id in here.sets.by_tenant
        assert made.id not in there.sets.by_tenant
        await plans.override(made.id, "wings", add=ON)
        switch = await plans.kill("wings", cluster_id="us-1")
        await here.reach(switch.revision)
        assert {each.feature_id: each.enabled for each in here.sets.by_tenant[made.id].features}["wings"]
        moving = await plane.tenants.MoveTenant(
            tenants_pb.MoveTenantRequest(id=made.id, cluster_id="us-1", reason="a test")
        )
        done = await plane.wait(moving.operation.name)
        assert done.WhichOneof("result") == "response", done
        while made.id in here.sets.by_tenant:
            await here.read()
        moved = await plane.get(made.id)
        while there.sets.by_tenant.get(made.id, pb.TenantFeatures()).version < moved.revision:
            await there.read()
        wings = {each.feature_id: each for each in there.sets.by_tenant[made.id].features}["wings"]
        assert not wings.enabled, "the kill switch is of its cluster now"
    await plans.stub.RemoveKillSwitch(pb.RemoveKillSwitchRequest(id=switch.id, reason="a test"))


async def test_a_process_that_lost_track_reads_again_and_its_watchers_hear(plans: Plans) -> None:
    await plans.metered("lost")
    await plans.plan("track", lost=units(1))
    tenant_id = await plans.tenant("tracked", "track")
    running = plans.plane.running
    assert running is not None
    async with plans.watch("lost", tenant_ids=[tenant_id]) as watch:
        await watch.reach(1)
        # A change that nobody logged, as after a gap that was compacted.
        async with running.db.transaction() as tx:
            await tx.exec_driver_sql(
                "UPDATE plan_versions SET features = jsonb_set(features, '{lost,limit}', '2') WHERE plan_id = 'track'"
            )
            entry = catalog_pb.CatalogEntry(features=catalog_pb.CatalogFeatures(feature_id="bulk_import"))
            [revision] = await record(tx, [Change("feature", "x", "changed", "", {}, {}, entry=entry)])
        await running.catalog.reached(revision)
        for listener in running.catalog._listeners:
            listener.reset(revision)
        while watch.sets.by_tenant[tenant_id].features[0].value.quota.limit != 2:
            await watch.read()


async def test_a_watcher_that_knows_more_waits_for_this_process(plans: Plans) -> None:
    tenant_id = await plans.tenant("ahead", "standard")
    sets = FeatureSets()
    async with plans.watch("ahead", sets=sets, tenant_ids=[tenant_id]) as watch:
        await watch.reach(1)
    other = plans.plane.beside()
    await other.start()
    try:
        async with Plans(other).watch("ahead", sets=sets, tenant_ids=[tenant_id]) as watch:
            await watch.reach(1)
            assert not any(each.tenants or each.deltas for each in watch.responses)
            await other.stop()
            with pytest.raises((grpc.aio.AioRpcError, AssertionError)):
                while True:
                    await watch.read()
    finally:
        await other.close()


async def test_a_revision_that_does_not_come_is_waited_for_as_long_as_the_deadline(plans: Plans) -> None:
    tenant_id = await plans.tenant("patient", "standard")
    request = pb.GetTenantFeaturesRequest(tenant_id=tenant_id, min_revision=10**9)
    async with refuses("DEADLINE_EXCEEDED", "REVISION_NOT_REACHED"):
        await plans.stub.GetTenantFeatures(request, timeout=0.5)


async def test_many_watchers_of_many_tenants_agree_with_what_is_read(plans: Plans) -> None:
    await plans.metered("tons")
    await plans.plan("heavy", tons=units(1))
    tenant_ids = [await plans.tenant(f"heavy-{number}", "heavy") for number in range(20)]
    async with plans.watch("m-1", tenant_ids=tenant_ids) as one, plans.watch("m-2", identity="operator") as two:
        revision = 0
        for number in range(30):
            match number % 5:
                case 0:
                    await plans.version("heavy", tons=units(number))
                    revision = (await plans.publish("heavy", number // 5 + 2)).revision
                case 1:
                    revision = (await plans.roll_out("tons", number * 300)).revision
                case 2:
                    revision = (await plans.override(tenant_ids[number % 20], "tons", add=units(number))).revision
                case 3:
                    revision = (await plans.kill("tons", tenant_id=tenant_ids[number % 7])).revision
                case 4:
                    revision = (await plans.assign(tenant_ids[number % 20], "standard")).revision
        await asyncio.gather(one.reach(revision), two.reach(revision))
        expected = {each: await plans.read(each) for each in tenant_ids}
        assert one.sets.by_tenant == expected
        assert {each: two.sets.by_tenant[each] for each in tenant_ids} == expected
