"""The revision, the watch, and what watchers have applied."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import cluster_service_pb2 as clusters_pb
from center.control.v1 import operations_service_pb2 as operations_pb
from center.control.v1 import tenant_pb2
from center.control.v1 import tenant_service_pb2 as pb
from center.shared.v1 import audit_service_pb2 as audit_pb
from control.catalog import store, tailer
from control.catalog.abreast import Abreast
from control.catalog.memory import CHANGES_CHUNK, SNAPSHOT_CHUNK, Catalog, Feed
from control.catalog.store import Logged
from control.operations import upkeep
from shared.runtime.db import Database, app_url
from tests.control.plane import Plane, until
from tests.support.grpc import refuses


@pytest.fixture(scope="module")
async def lone(start_plane: Any) -> AsyncIterator[Plane]:
    """A control plane without clusters, whose change log is short."""
    async with start_plane(retained=200) as plane:
        yield plane


async def label(plane: Plane, tenant_id: str, value: str) -> int:
    """One change to a tenant; its revision."""
    request = pb.UpdateTenantRequest(tenant=tenant_pb2.Tenant(id=tenant_id, labels={"v": value}))
    return (await plane.tenants.UpdateTenant(request)).tenant.revision


async def test_who_has_seen_a_revision_has_seen_every_earlier_one(lone: Plane) -> None:
    """Writers commit in every order they can; readers look all the time, each from a connection of its own."""
    ids = [(await lone.create(f"racer-{n}", draft=True)).tenant.id for n in range(8)]
    reader = Database.connect(app_url(lone.config.database_url, lone.config.home), pool_size=4)
    newest: int | None = None
    looks: list[list[int]] = []

    async def look() -> None:
        seen: list[int] = []
        last = lone.running.catalog.revision if lone.running else 0
        # What the process knows by then is no measure: it hears of a commit a moment later.
        while newest is None or last < newest:
            async with reader.transaction() as tx:
                found = await store.changes_after(tx, last, 7)
            for change in found:
                seen.append(change.revision)
                last = change.revision
            await asyncio.sleep(random.random() / 500)
        looks.append(seen)

    async def write(tenant_id: str) -> list[int]:
        return [await label(lone, tenant_id, str(n)) for n in range(20)]

    readers = [asyncio.create_task(look()) for _ in range(3)]
    await asyncio.sleep(0.05)
    written = sorted(revision for each in await asyncio.gather(*map(write, ids)) for revision in each)
    newest = written[-1]
    async with asyncio.timeout(30):
        await asyncio.gather(*readers)
    await reader.close()
    assert written == list(range(written[0], written[0] + 160)), "a gap, or one number twice"
    for seen in looks:
        assert [revision for revision in seen if revision >= written[0]] == written


async def test_the_clusters_of_the_first_start_are_in_the_audit_with_who_made_them(lone: Plane) -> None:
    listed = await lone.audit.ListEntries(audit_pb.ListEntriesRequest(filter='resource = "cluster"'))
    made = {(entry.resource_id, entry.caller, entry.method) for entry in listed.entries}
    assert {(id, "control", "workflow/START/clusters") for id in ("eu-1", "us-1")} <= made


async def test_a_watch_starts_with_all_there_is_and_goes_on_with_every_change(lone: Plane) -> None:
    first = (await lone.create("watched", draft=True)).tenant
    async with lone.watch() as watch:
        while (await watch.read()).phase != catalog_pb.WATCH_PHASE_SNAPSHOT_END:
            pass
        assert watch.tenants[first.id].code == "watched"
        assert set(watch.clusters) == {"eu-1", "us-1"}
        revision = await label(lone, first.id, "x")
        while watch.tenants[first.id].revision < revision:
            response = await watch.read()
        assert response.phase == catalog_pb.WATCH_PHASE_CHANGES and response.revision == revision


async def test_a_change_reaches_a_watcher_within_milliseconds(lone: Plane) -> None:
    made = (await lone.create("quick", draft=True)).tenant
    delays_s = []
    async with lone.watch() as watch:
        while (await watch.read()).phase != catalog_pb.WATCH_PHASE_SNAPSHOT_END:
            pass
        for n in range(30):
            revision = await label(lone, made.id, str(n))
            answered = time.perf_counter()
            await watch.reach(revision)
            delays_s.append(time.perf_counter() - answered)
    # Far above what it takes, far below the poll that is there for a lost NOTIFY.
    assert sorted(delays_s)[15] < 0.1


async def test_a_watcher_goes_on_where_it_stopped(lone: Plane) -> None:
    made = (await lone.create("resumed", draft=True)).tenant
    other = (await lone.create("untouched", draft=True)).tenant
    async with lone.watch() as watch:
        await watch.reach(other.revision)
    await label(lone, made.id, "1")
    last = await label(lone, made.id, "2")
    await lone.seen(last)
    async with lone.watch(from_revision=other.revision) as watch:
        await watch.reach(last)
        assert [response.phase for response in watch.responses] == [catalog_pb.WATCH_PHASE_CHANGES]
        assert set(watch.tenants) == {made.id}, "only what changed since, each thing once"
        assert len(watch.responses[0].entries) == 1


async def test_a_watcher_that_is_too_far_behind_gets_a_snapshot(lone: Plane) -> None:
    made = (await lone.create("chatty", draft=True)).tenant
    for n in range(lone.config.retained + lone.config.retained // 3):
        last = await label(lone, made.id, str(n))
    await lone.seen(last)
    async with lone.watch(from_revision=made.revision) as watch:
        await watch.reach(last)
        assert watch.responses[-1].phase == catalog_pb.WATCH_PHASE_SNAPSHOT_END
        assert made.id in watch.tenants


async def test_a_revision_from_the_future_gets_a_snapshot(lone: Plane) -> None:
    async with lone.watch(from_revision=10**12) as watch:
        while (await watch.read()).phase != catalog_pb.WATCH_PHASE_SNAPSHOT_END:
            pass
        assert watch.revision < 10**12


async def test_compaction_keeps_what_watchers_may_ask_for_and_a_new_process_knows_all(start_plane: Any) -> None:
    async with start_plane(retained=20) as plane:
        made = [(await plane.create(f"kept-{n}", draft=True)).tenant for n in range(60)]
        steward = Database.connect(app_url(plane.config.database_url, plane.config.home, "center_steward"))
        app = Database.connect(app_url(plane.config.database_url, plane.config.home))
        await upkeep.clean_once(steward, app, made[-1].create_time.ToDatetime(), 20)
        async with app.transaction() as tx:
            left = await store.changes_after(tx, 0, 1000)
        assert [change.revision for change in left] == list(range(made[-1].revision - 19, made[-1].revision + 1))
        await steward.close()
        await app.close()
        await plane.stop()
        await plane.start()
        async with plane.watch(from_revision=made[0].revision) as watch:
            await watch.reach(made[-1].revision)
            assert len(watch.tenants) == 60
        async with plane.watch(from_revision=made[-5].revision) as watch:
            await watch.reach(made[-1].revision)
            assert len(watch.tenants) == 4


async def test_a_cluster_hears_of_its_own_tenants_and_of_those_that_come_and_go(
    start_plane: Any, start_cluster: Any
) -> None:
    async with start_plane() as plane, start_cluster(plane, "eu-1"), start_cluster(plane, "us-1"):
        here = await plane.active("here", region_id="eu")
        there = await plane.active("there", region_id="us")
        async with plane.watch("eu-1", cluster_id="eu-1", identity="cluster/eu-1") as watch:
            await watch.reach(there.revision)
            assert set(watch.tenants) == {here.id}
            revision = await label(plane, there.id, "x")
            await watch.reach(revision)
            assert set(watch.tenants) == {here.id}, "the revision moves on, the entry is not ours"
            moved = await plane.tenants.MoveTenant(pb.MoveTenantRequest(id=here.id, cluster_id="us-1", reason="test"))
            await plane.wait(moved.operation.name)
            while watch.tenants[here.id].placement.cluster_id != "us-1":
                await watch.read()


async def test_a_slow_watcher_delays_no_other(lone: Plane) -> None:
    made = (await lone.create("bursty", draft=True)).tenant
    async with lone.watch("slow") as slow, lone.watch("quick") as quick:
        await quick.reach(made.revision)
        for n in range(50):
            last = await label(lone, made.id, str(n))
        await asyncio.wait_for(quick.reach(last), 5)
        await slow.reach(last)
        assert slow.tenants[made.id].revision == last


def entry(number: int, revision: int) -> Logged:
    tenant = catalog_pb.CatalogTenant(
        id=f"t{number}", code=f"c{number}", revision=revision, domains=[{"name": f"{number}.example", "number": number}]
    )
    data = catalog_pb.CatalogEntry(revision=revision, tenant=tenant).SerializeToString()
    return Logged(revision, revision, "tenant", f"t{number}", (), data)


async def test_edges_hear_of_a_change_before_any_cluster_does() -> None:
    catalog = Catalog(retained=10)
    catalog.apply([entry(1, 1)])
    heard: list[str] = []
    clusters = [catalog.subscribe(1, f"c-{number}") for number in range(20)]
    feeds = [*clusters, catalog.subscribe(1, "")]

    async def wait(feed: Feed) -> None:
        await feed.wake.wait()
        heard.append(feed.cluster_id)

    for feed in feeds:
        feed.wake.clear()
    waiting = [asyncio.create_task(wait(feed)) for feed in feeds]
    await asyncio.sleep(0)
    catalog.apply([entry(1, 2)])
    await asyncio.gather(*waiting)
    assert len(heard) == 21 and heard[0] == ""


async def test_what_waits_for_a_slow_watcher_merges_and_comes_in_order() -> None:
    catalog = Catalog(retained=10)
    catalog.apply([entry(number, number) for number in range(1, SNAPSHOT_CHUNK + 11)])
    feed = catalog.subscribe(0, "")
    first = catalog_pb.WatchResponse.FromString(feed.take() or b"")
    assert (first.phase, first.revision, len(first.entries)) == (catalog_pb.WATCH_PHASE_SNAPSHOT, 0, SNAPSHOT_CHUNK)
    # Meanwhile things change, one of them often.
    base = catalog.revision
    catalog.apply([entry(3, base + 1), entry(1, base + 2), entry(3, base + 3)])
    rest = catalog_pb.WatchResponse.FromString(feed.take() or b"")
    assert (rest.phase, rest.revision, len(rest.entries)) == (catalog_pb.WATCH_PHASE_SNAPSHOT_END, base, 10)
    changes = catalog_pb.WatchResponse.FromString(feed.take() or b"")
    assert [(each.tenant.id, each.revision) for each in changes.entries] == [("t1", base + 2), ("t3", base + 3)]
    assert changes.revision == base + 3
    assert feed.take() is None


async def test_a_burst_in_parts_promises_no_revision_before_its_last_part() -> None:
    catalog = Catalog(retained=100_000)
    catalog.apply([entry(1, 1)])
    feed = catalog.subscribe(1, "")
    catalog.apply([entry(number, number) for number in range(2, CHANGES_CHUNK + 12)])
    part = catalog_pb.WatchResponse.FromString(feed.take() or b"")
    assert (len(part.entries), part.revision) == (CHANGES_CHUNK, 1)
    rest = catalog_pb.WatchResponse.FromString(feed.take() or b"")
    assert (len(rest.entries), rest.revision) == (10, CHANGES_CHUNK + 11)


async def test_names_follow_their_tenant_in_memory() -> None:
    catalog = Catalog(retained=10)
    catalog.apply([entry(1, 1), entry(2, 2)])
    assert catalog.tenant_id_of_domain("1.example") == "t1"
    moved = catalog_pb.CatalogTenant(id="t2", code="c2", domains=[{"name": "1.example", "number": 9}])
    bare = catalog_pb.CatalogTenant(id="t1", code="renamed")
    catalog.apply(
        [
            Logged(3, 4, "tenant", "t1", (), catalog_pb.CatalogEntry(tenant=bare).SerializeToString()),
            Logged(4, 4, "tenant", "t2", (), catalog_pb.CatalogEntry(tenant=moved).SerializeToString()),
        ]
    )
    assert catalog.tenant_id_of_domain("1.example") == "t2"
    assert catalog.tenant_id_of_domain("2.example") is None
    assert (catalog.tenant_id_of_code("c1"), catalog.tenant_id_of_code("renamed")) == (None, "t1")
    gone = catalog_pb.CatalogEntry(removed_tenant_id="t2").SerializeToString()
    catalog.apply([Logged(5, 5, "tenant", "t2", (), gone)])
    assert catalog.resolved("t2") is None and catalog.tenant_id_of_domain("1.example") is None


async def wait_applied(plane: Plane, revision: int, timeout_s: float = 5) -> operations_pb.WaitAppliedResponse:
    request = operations_pb.WaitAppliedRequest(revision=revision)
    request.timeout.FromMilliseconds(round(timeout_s * 1000))
    return await plane.platform.WaitApplied(request)


async def test_wait_applied_names_the_laggard_and_ends_when_it_has_caught_up(start_plane: Any) -> None:
    async with start_plane() as plane:
        made = (await plane.create("applied", draft=True)).tenant
        async with plane.watch("edge-1") as prompt, plane.watch("edge-2") as laggard:
            await prompt.reach(made.revision)
            await laggard.reach(made.revision)
            await prompt.report(made.revision)
            answer = await wait_applied(plane, made.revision, 0.3)
            assert not answer.applied
            assert [watcher.id for watcher in answer.behind] == ["edge/edge-2"]
            waiting = asyncio.create_task(wait_applied(plane, made.revision))
            await laggard.report(made.revision, **{made.id: "duplicate scope"})
            assert (await waiting).applied
            listed = (await plane.platform.ListWatchers(operations_pb.ListWatchersRequest())).watchers
            refusals = {watcher.id: [each.reason for each in watcher.refusals] for watcher in listed}
            assert refusals == {"edge/edge-1": [], "edge/edge-2": ["duplicate scope"]}

        async def left() -> bool:
            watchers = (await plane.platform.ListWatchers(operations_pb.ListWatchersRequest())).watchers
            return not any(watcher.live for watcher in watchers)

        await until(left)
        later = (await plane.create("later", draft=True)).tenant
        assert (await wait_applied(plane, later.revision)).applied, "nobody is there to wait for"


async def test_what_an_edge_knows_when_it_comes_is_not_yet_what_its_envoys_have(start_plane: Any) -> None:
    async with start_plane() as plane:
        made = (await plane.create("known", draft=True)).tenant
        async with plane.watch("edge-1", from_revision=made.revision) as watch:
            await watch.read()
            answer = await wait_applied(plane, made.revision, 0)
            assert [watcher.id for watcher in answer.behind] == ["edge/edge-1"]
            await watch.report(made.revision)
            assert (await wait_applied(plane, made.revision)).applied


async def test_every_control_process_knows_what_watchers_of_the_others_have_applied(start_plane: Any) -> None:
    async with start_plane() as plane:
        other = plane.beside()
        await other.start()
        try:
            async with other.watch("edge-1") as watch:
                made = (await plane.create("far", draft=True)).tenant
                await watch.reach(made.revision)

                async def is_known() -> bool:
                    return [each.id for each in (await wait_applied(plane, made.revision, 0)).behind] == ["edge/edge-1"]

                await until(is_known)
                waiting = asyncio.create_task(wait_applied(plane, made.revision))
                await watch.report(made.revision)
                assert (await waiting).applied
        finally:
            await other.close()


async def test_an_onlooker_is_not_waited_for(start_plane: Any) -> None:
    async with start_plane() as plane, plane.watch("console", identity="operator") as watch:
        made = (await plane.create("seen", draft=True)).tenant
        await watch.reach(made.revision)
        assert (await wait_applied(plane, made.revision)).applied


async def test_a_watch_begins_with_its_start(lone: Plane) -> None:
    call = lone.catalog().Watch()
    await call.write(catalog_pb.WatchRequest(report=catalog_pb.WatchReport(applied_revision=1)))
    async with refuses("INVALID_ARGUMENT", "WATCH_NOT_INTRODUCED"):
        await call.read()


async def test_a_process_that_stops_sends_its_watchers_elsewhere(start_plane: Any) -> None:
    async with start_plane() as plane:
        async with plane.watch() as watch:
            await watch.read()
            stopping = asyncio.create_task(plane.stop())
            async with refuses("UNAVAILABLE", "DRAINING"):
                while True:
                    assert await watch.call.read() is not grpc.aio.EOF
            await stopping
        await plane.start()


async def test_resolve_waits_for_the_revision_it_is_asked_for(lone: Plane) -> None:
    made = (await lone.create("awaited", draft=True)).tenant
    request = pb.ResolveTenantRequest(id=made.id, min_revision=made.revision + 1)
    async with refuses("DEADLINE_EXCEEDED", "REVISION_NOT_REACHED"):
        await lone.tenants.ResolveTenant(request, timeout=0.5)
    waiting = asyncio.ensure_future(lone.tenants.ResolveTenant(request))
    await label(lone, made.id, "now")
    assert (await waiting).revision > made.revision
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await lone.tenants.ResolveTenant(pb.ResolveTenantRequest(domain="no:such:host"))


async def test_a_cluster_s_new_endpoint_reaches_watchers(lone: Plane) -> None:
    async with lone.watch() as watch:
        await watch.read()
        changed = clusters_pb.Cluster(id="us-1", endpoints=[catalog_pb.Endpoint(host="10.0.0.9", port=7302)])
        cluster = (await lone.clusters.UpdateCluster(clusters_pb.UpdateClusterRequest(cluster=changed))).cluster
        await watch.reach(cluster.revision)
        assert watch.clusters["us-1"].endpoints[0].host == "10.0.0.9"


async def test_an_answer_waits_until_its_process_has_seen_the_change(plane: Plane) -> None:
    assert plane.running is not None
    behind = Catalog(1000)
    answering = asyncio.create_task(Abreast(plane.running.db, behind)())
    done, _ = await asyncio.wait([answering], timeout=0.3)
    assert not done
    await tailer.load(plane.running.db, behind)
    async with asyncio.timeout(0.5):
        await answering
