"""A cluster follows the catalog: what it takes over, what it keeps, what it reports, and how it comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from center.control.v1 import catalog_service_pb2 as pb
from center.control.v1 import tenant_pb2
from center.control.v1.catalog_service_pb2 import CatalogTenant
from center.control.v1.catalog_service_pb2_grpc import CatalogServiceServicer
from center.dataplane.v1 import product_service_pb2 as products_pb
from shared.runtime import pki
from shared.runtime.ids import uuid7
from shared.runtime.rpc.server import Service, serving
from tests.dataplane.cluster import Running, create, entry, move_rows, of, product
from tests.dataplane.conftest import Start
from tests.support.grpc import refuses

NOT_FOUND = ("NOT_FOUND", "TENANT_NOT_FOUND")


class ScriptedCatalog(CatalogServiceServicer):
    """A catalog that says what a test tells it to, in the test's order, to one watcher."""

    def __init__(self) -> None:
        self.starts: asyncio.Queue[pb.WatchStart] = asyncio.Queue()
        self.reports: asyncio.Queue[pb.WatchReport] = asyncio.Queue()
        self.ends: asyncio.Queue[None] = asyncio.Queue()
        self._responses: asyncio.Queue[pb.WatchResponse | None] = asyncio.Queue()

    async def Watch(  # type: ignore[override]
        self, requests: AsyncIterator[pb.WatchRequest], context: object
    ) -> AsyncIterator[pb.WatchResponse]:
        self._responses = asyncio.Queue()
        self.starts.put_nowait((await anext(requests)).start)

        async def listen() -> None:
            async for request in requests:
                self.reports.put_nowait(request.report)

        listening = asyncio.ensure_future(listen())
        try:
            while (response := await self._responses.get()) is not None:
                yield response
        finally:
            listening.cancel()
            self.ends.put_nowait(None)
            await asyncio.wait([listening])

    def say(self, phase: pb.WatchPhase, revision: int, *entries: CatalogTenant | str) -> None:
        told = [
            pb.CatalogEntry(revision=revision, removed_tenant_id=each)
            if isinstance(each, str)
            else pb.CatalogEntry(revision=each.revision, tenant=each)
            for each in entries
        ]
        self._responses.put_nowait(pb.WatchResponse(phase=phase, revision=revision, entries=told))

    async def changes(self, *entries: CatalogTenant | str, revision: int = 0) -> pb.WatchReport:
        """Says that these changed, and waits until the cluster has reported them."""
        revision = revision or max(each.revision for each in entries if not isinstance(each, str))
        self.say(pb.WATCH_PHASE_CHANGES, revision, *entries)
        return await self.reported(revision)

    async def snapshot(self, *entries: CatalogTenant, revision: int = 0) -> pb.WatchReport:
        revision = revision or max((each.revision for each in entries), default=1)
        half = len(entries) // 2
        self.say(pb.WATCH_PHASE_SNAPSHOT, 0, *entries[:half])
        self.say(pb.WATCH_PHASE_SNAPSHOT_END, revision, *entries[half:])
        return await self.reported(revision)

    async def reported(self, revision: int) -> pb.WatchReport:
        async with asyncio.timeout(10):
            while (report := await self.reports.get()).applied_revision < revision:
                pass
        return report

    async def started(self) -> pb.WatchStart:
        async with asyncio.timeout(15):
            return await self.starts.get()

    async def ended(self) -> None:
        async with asyncio.timeout(15):
            await self.ends.get()

    def hang_up(self) -> None:
        self._responses.put_nowait(None)


@asynccontextmanager
async def catalog_at(home: Any, script: ScriptedCatalog, port: int = 0) -> AsyncIterator[str]:
    identity = pki.load(home, "control")
    services = [Service.of(script)]
    async with serving(services, address=f"127.0.0.1:{port}", identity=identity, drain_s=0.1) as server:
        yield f"127.0.0.1:{server.port}"
        script.hang_up()


@pytest.fixture
async def script() -> ScriptedCatalog:
    return ScriptedCatalog()


@pytest.fixture
async def following(start: Start, home: Any, script: ScriptedCatalog) -> AsyncIterator[Running]:
    """A cluster whose watch has begun with an empty snapshot."""
    async with catalog_at(home, script) as address, start(control_address=address) as running:
        await script.started()
        await script.snapshot(revision=1)
        yield running


async def lists(running: Running, tenant: CatalogTenant) -> int:
    answer = await running.shop.ListProducts(products_pb.ListProductsRequest(), metadata=of(tenant.id))
    return len(answer.products)


async def test_a_watch_begins_with_nothing_and_goes_on_where_it_was(start: Start, home: Any) -> None:
    script = ScriptedCatalog()
    async with catalog_at(home, script) as address:
        async with start(control_address=address) as first:
            begun = await script.started()
            assert (begun.instance, begun.cluster_id, begun.from_revision) == ("eu-1", "eu-1", 0)
            tenant = entry()
            await script.snapshot(tenant)
            assert await lists(first, tenant) == 0
            changed = entry(tenant.id)
            await script.changes(changed)
            url = first.database_url
        async with start(control_address=address, database_url=url) as again:
            assert (await script.started()).from_revision == changed.revision
            assert await lists(again, tenant) == 0


async def test_a_change_is_in_effect_when_it_is_reported(following: Running, script: ScriptedCatalog) -> None:
    tenant = entry()
    await script.changes(tenant)
    await create(following, tenant.id, product())
    await script.changes(entry(tenant.id, state=tenant_pb2.TENANT_STATE_SUSPENDED))
    async with refuses("FAILED_PRECONDITION", "TENANT_SUSPENDED"):
        await lists(following, tenant)
    await script.changes(entry(tenant.id, mode=tenant_pb2.TENANT_MODE_READ_ONLY))
    assert await lists(following, tenant) == 1
    async with refuses("FAILED_PRECONDITION", "TENANT_READ_ONLY"):
        await create(following, tenant.id, product())


async def test_many_changes_at_once_are_taken_in_their_order(following: Running, script: ScriptedCatalog) -> None:
    tenants = [entry() for _ in range(200)]
    for tenant in tenants:
        script.say(pb.WATCH_PHASE_CHANGES, tenant.revision, tenant)
    last = [entry(tenant.id, state=tenant_pb2.TENANT_STATE_SUSPENDED) for tenant in tenants]
    for tenant in last:
        script.say(pb.WATCH_PHASE_CHANGES, tenant.revision, tenant)
    await script.reported(last[-1].revision)
    for tenant in tenants[::40]:
        async with refuses("FAILED_PRECONDITION", "TENANT_SUSPENDED"):
            await lists(following, tenant)


async def test_a_tenant_being_made_waits_for_its_command(following: Running, script: ScriptedCatalog) -> None:
    tenant = entry(state=tenant_pb2.TENANT_STATE_PROVISIONING)
    await script.changes(tenant)
    async with refuses(*NOT_FOUND):
        await lists(following, tenant)
    await following.apply(tenant)
    assert await lists(following, tenant) == 0


async def test_the_watch_never_takes_back_what_a_newer_command_said(
    following: Running, script: ScriptedCatalog
) -> None:
    late, newer = entry(), entry()
    newer.id = late.id
    newer.mode = tenant_pb2.TENANT_MODE_READ_ONLY
    await following.apply(newer)
    await script.changes(late)
    async with refuses("FAILED_PRECONDITION", "TENANT_READ_ONLY"):
        await create(following, late.id, product())


async def test_an_entry_of_another_cluster_makes_nothing_known_but_ends_writes(
    following: Running, script: ScriptedCatalog
) -> None:
    stranger, tenant = entry(cluster_id="us-1"), entry()
    await script.changes(stranger, tenant)
    async with refuses(*NOT_FOUND):
        await lists(following, stranger)
    await script.changes(entry(tenant.id, cluster_id="us-1"))
    assert await lists(following, tenant) == 0
    async with refuses("UNAVAILABLE", "TENANT_MOVING"):
        await create(following, tenant.id, product())


async def test_a_purged_tenant_goes_with_its_rows(following: Running, script: ScriptedCatalog) -> None:
    tenant = entry()
    await script.changes(tenant)
    await create(following, tenant.id, product())
    await script.changes(tenant.id, uuid7(), revision=entry().revision)
    async with refuses(*NOT_FOUND):
        await lists(following, tenant)
    await script.changes(entry(tenant.id))
    assert await lists(following, tenant) == 0


async def test_what_a_snapshot_leaves_out_takes_no_writes_and_keeps_its_rows(
    following: Running, script: ScriptedCatalog
) -> None:
    kept, left_out = entry(), entry()
    await script.changes(kept, left_out)
    for tenant in (kept, left_out):
        await create(following, tenant.id, product())
    later = entry()
    await following.apply(later)  # a command that the snapshot is too old to know
    script.hang_up()
    await script.started()
    await script.snapshot(kept, revision=left_out.revision)
    await create(following, kept.id, product())
    await create(following, later.id, product())
    assert await lists(following, left_out) == 1
    async with refuses("UNAVAILABLE", "TENANT_MOVING"):
        await create(following, left_out.id, product())
    # Named again, as it was: it was a fault of the catalog.
    await script.changes(left_out)
    await create(following, left_out.id, product())


async def test_what_cannot_be_applied_is_reported_and_nothing_else_waits_for_it(
    following: Running, script: ScriptedCatalog
) -> None:
    wrong, fine = entry(), entry()
    wrong.state = 77  # type: ignore[assignment]
    report = await script.changes(wrong, fine)
    assert [refusal.resource_id for refusal in report.refusals] == [wrong.id]
    assert await lists(following, fine) == 0
    report = await script.changes(entry(wrong.id))
    assert not report.refusals


async def test_an_idle_stream_is_answered_and_a_broken_one_is_taken_up_again(
    start: Start, home: Any, script: ScriptedCatalog
) -> None:
    async with catalog_at(home, script) as address, start(control_address=address) as running:
        await script.started()
        tenant = entry()
        await script.snapshot(tenant)
        idle = await script.changes(revision=tenant.revision + 5)
        assert idle.applied_revision == tenant.revision + 5
        for _ in range(3):
            script.hang_up()
            # Only what is durable counts; a stream without entries is not worth a write.
            assert (await script.started()).from_revision == tenant.revision
        assert await lists(running, tenant) == 0
    # The control plane is down: what was known is served.
    async with start(database_url=running.database_url, control_address=address) as alone:
        assert await lists(alone, tenant) == 0
        async with catalog_at(home, script, port=int(address.rpartition(":")[2])):
            await script.started()
            await script.changes(entry(tenant.id, state=tenant_pb2.TENANT_STATE_SUSPENDED))
            async with refuses("FAILED_PRECONDITION", "TENANT_SUSPENDED"):
                await lists(alone, tenant)


async def test_a_move_is_seen_through_by_watch_and_commands_in_any_order(
    following: Running, script: ScriptedCatalog, us: Running
) -> None:
    """eu-1 is the target here: it hears of the switch by its watch before the command comes, and serves all along."""
    tenant = entry(cluster_id="us-1")
    await us.apply(tenant)
    await create(us, tenant.id, product())
    moving = entry(tenant.id, cluster_id="us-1", moving_to_cluster_id="eu-1", writes_frozen=True)
    await script.changes(moving)
    await us.apply(moving)
    async with refuses(*NOT_FOUND):
        await lists(following, tenant)
    await move_rows(us, following, moving)
    assert await lists(following, tenant) == 1
    switched = entry(tenant.id)
    await script.changes(switched)
    await create(following, tenant.id, product())
    await following.apply(switched)
    assert await lists(following, tenant) == 2


async def test_a_database_that_comes_back_gets_what_it_missed(
    home: Any, script: ScriptedCatalog, start: Start, make_server: Callable[[], Any]
) -> None:
    server = make_server()
    async with catalog_at(home, script) as address, start(control_address=address, database_url=server.url()) as cut:
        await script.started()
        tenant = entry()
        await script.snapshot(tenant)
        [made] = await create(cut, tenant.id, product())
        server.kill()
        suspended = entry(tenant.id, state=tenant_pb2.TENANT_STATE_SUSPENDED)
        script.say(pb.WATCH_PHASE_CHANGES, suspended.revision, suspended)
        async with refuses("UNAVAILABLE"):
            await lists(cut, tenant)
        # A database that came back sooner would be waited for, and nothing missed.
        await script.ended()
        server.start()
        assert (await script.started()).from_revision == tenant.revision
        await script.changes(suspended)
        async with refuses("FAILED_PRECONDITION", "TENANT_SUSPENDED"):
            await lists(cut, tenant)
        await script.changes(entry(tenant.id))
        read = products_pb.GetProductRequest(id=made.id)
        assert (await cut.shop.GetProduct(read, metadata=of(tenant.id))).product == made
