"""Long work ends as it should, wherever its worker dies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.longrunning import operations_proto_pb2 as longrunning_pb

from center.control.v1 import cluster_service_pb2 as clusters_pb
from center.control.v1 import operations_service_pb2 as operations_pb
from center.control.v1 import tenant_pb2
from center.control.v1 import tenant_service_pb2 as pb
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from center.dataplane.v1.tenant_runtime_service_pb2_grpc import TenantRuntimeServiceStub
from center.shared.v1 import audit_service_pb2 as audit_pb
from control.operations.domain import STEPS, Kind
from dataplane.app import Cluster
from shared.runtime import pki
from shared.runtime.ids import uuid7
from shared.runtime.rpc.channel import connect
from tests.control.plane import Plane, metadata, tenant, until
from tests.dataplane.cluster import of, product
from tests.support.grpc import refuses


class Killed(BaseException):
    """A worker's sudden end: nothing of its cleaning up happens."""


@dataclass
class Deaths:
    """Ends workers at one boundary, once for each operation that comes there."""

    at: tuple[str, str, str] = ("", "", "")
    happened: list[tuple[str, str, str]] = field(default_factory=list)

    async def __call__(self, kind: Kind, step: str, point: str) -> None:
        if (str(kind), step, point) == self.at and self.at not in self.happened:
            self.happened.append(self.at)
            raise Killed

    async def come(self) -> None:
        """The last point of all is after the change that a caller waits for."""

        async def has() -> bool:
            return self.at in self.happened

        await until(has)


@dataclass
class World:
    """A control plane whose workers die where a test says, with two clusters."""

    plane: Plane
    deaths: Deaths
    clusters: dict[str, Cluster]
    channels: dict[str, grpc.aio.Channel]

    def commands(self, cluster_id: str) -> TenantRuntimeServiceStub:
        return TenantRuntimeServiceStub(self._channel(cluster_id, "control"))

    def products(self, cluster_id: str) -> ProductServiceStub:
        return ProductServiceStub(self._channel(cluster_id, "operator"))

    def _channel(self, cluster_id: str, identity: str) -> grpc.aio.Channel:
        key = f"{cluster_id} {identity}"
        if key not in self.channels:
            me = pki.load(self.plane.config.home, identity)
            address = f"127.0.0.1:{self.clusters[cluster_id].server.port}"
            self.channels[key] = connect(address, me, server=cluster_id)
        return self.channels[key]

    async def known(self, cluster_id: str) -> set[str]:
        """The tenants that a cluster knows."""
        found, token = set(), ""
        while True:
            page = await self.commands(cluster_id).ListTenants(
                runtime_pb.ListTenantsRequest(page_size=1000, page_token=token)
            )
            found |= {each.tenant.id for each in page.tenants}
            if not (token := page.next_page_token):
                return found

    async def counts(self) -> dict[str, int]:
        listed = await self.plane.clusters.ListClusters(clusters_pb.ListClustersRequest())
        return {cluster.id: cluster.tenant_count for cluster in listed.clusters}

    async def audited(self, tenant_id: str, method: str) -> int:
        request = audit_pb.ListEntriesRequest(filter=f'tenant_id = "{tenant_id}" AND method = "{method}"')
        return len((await self.plane.audit.ListEntries(request)).entries)


@pytest.fixture(scope="module")
async def world(start_plane: Any, start_cluster: Any) -> AsyncIterator[World]:
    deaths = Deaths()
    async with AsyncExitStack() as stack:
        plane = await stack.enter_async_context(start_plane(boundary=deaths, lease_s=0.6))
        clusters = {
            cluster_id: await stack.enter_async_context(start_cluster(plane, cluster_id))
            for cluster_id in ("eu-1", "us-1")
        }
        world = World(plane, deaths, clusters, {})
        yield world
        for channel in world.channels.values():
            await channel.close()


BOUNDARIES = ("claimed", "worked", "moved")


def deaths(kind: Kind) -> list[tuple[str, str]]:
    return [(step, point) for step in STEPS[kind] for point in BOUNDARIES]


@pytest.mark.parametrize(("step", "point"), deaths(Kind.PROVISION))
async def test_provisioning_survives_the_death_of_its_worker(world: World, step: str, point: str) -> None:
    before = await world.counts()
    world.deaths.at = ("PROVISION", step, point)
    made = await world.plane.active(f"born-{uuid7()[-12:]}")
    await world.deaths.come()
    assert made.state == tenant_pb2.TENANT_STATE_ACTIVE and not made.operation
    assert made.id in await world.known(made.placement.cluster_id)
    after = await world.counts()
    assert sum(after.values()) == sum(before.values()) + 1, "placed twice"
    for done in ("place", "activate"):
        assert await world.audited(made.id, f"workflow/PROVISION/{done}") == 1


@pytest.mark.parametrize(("step", "point"), deaths(Kind.MOVE))
async def test_a_move_survives_the_death_of_its_worker(world: World, step: str, point: str) -> None:
    made = await world.plane.active(f"mover-{uuid7()[-12:]}", region_id="eu")
    shop = world.products("eu-1")
    for _ in range(3):
        await shop.CreateProduct(products_pb.CreateProductRequest(product=product()), metadata=of(made.id))
    world.deaths.at = ("MOVE", step, point)
    counts = await world.counts()
    moved = await world.plane.tenants.MoveTenant(pb.MoveTenantRequest(id=made.id, cluster_id="us-1", reason="test"))
    ended = await world.plane.wait(moved.operation.name)
    await world.deaths.come()
    there = tenant(ended)
    assert there.placement.cluster_id == "us-1" and there.placement.region_id == "us"
    assert not there.placement.writes_frozen and not there.placement.moving_to_cluster_id and not there.operation
    assert metadata(ended).rows_copied >= 6
    assert made.id not in await world.known("eu-1")
    listed = await world.products("us-1").ListProducts(products_pb.ListProductsRequest(), metadata=of(made.id))
    assert len(listed.products) == 3
    now = await world.counts()
    assert (now["eu-1"], now["us-1"]) == (counts["eu-1"] - 1, counts["us-1"] + 1)
    for done in ("freeze", "switch"):
        assert await world.audited(made.id, f"workflow/MOVE/{done}") == 1


@pytest.mark.parametrize(("step", "point"), deaths(Kind.PURGE))
async def test_a_purge_survives_the_death_of_its_worker(world: World, step: str, point: str) -> None:
    made = await world.plane.active(f"gone-{uuid7()[-12:]}")
    world.deaths.at = ("PURGE", step, point)
    counts = await world.counts()
    request = pb.DeleteTenantRequest(id=made.id, reason="test")
    request.grace.FromSeconds(0)
    await world.plane.tenants.DeleteTenant(request)

    listed = pb.ListTenantsRequest(filter=f"id = {made.id}", show_deleted=True)

    async def is_gone() -> bool:
        return not (await world.plane.tenants.ListTenants(listed)).tenants

    await until(is_gone)
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await world.plane.get(made.id)
    await world.deaths.come()
    assert made.id not in await world.known(made.placement.cluster_id)
    assert sum((await world.counts()).values()) == sum(counts.values()) - 1
    assert await world.audited(made.id, "workflow/PURGE/erase") == 1
    again = await world.plane.create(made.code, draft=True)
    assert again.tenant.id != made.id, "the code is free again"


async def test_a_cluster_that_is_down_keeps_its_own_tenants_waiting_and_nobody_else(
    start_plane: Any, start_cluster: Any
) -> None:
    async with start_plane() as plane, start_cluster(plane, "us-1"):
        waiting = await plane.create("waits", region_id="eu")
        served = await plane.active("served", region_id="us")
        assert served.placement.cluster_id == "us-1"

        async def has_failed() -> bool:
            return bool(metadata(await plane.operation(waiting.operation.name)).last_error.message)

        await until(has_failed)
        facts = metadata(await plane.operation(waiting.operation.name))
        assert facts.step == "apply" and facts.attempts >= 1
        assert (await plane.get(waiting.tenant.id)).state == tenant_pb2.TENANT_STATE_PROVISIONING
        async with start_cluster(plane, "eu-1"):
            assert tenant(await plane.wait(waiting.operation.name)).placement.cluster_id == "eu-1"


async def test_cancelling_a_provisioning_leaves_a_failed_tenant_without_a_place(
    start_plane: Any, start_cluster: Any
) -> None:
    async with start_plane() as plane:
        made = await plane.create("stopped", region_id="eu")
        await plane.operations.CancelOperation(longrunning_pb.CancelOperationRequest(name=made.operation.name))
        ended = await plane.wait(made.operation.name)
        assert ended.done and ended.error.code == grpc.StatusCode.CANCELLED.value[0]
        failed = await plane.get(made.tenant.id)
        assert failed.state == tenant_pb2.TENANT_STATE_FAILED
        assert not failed.placement.cluster_id and not failed.operation
        async with refuses("FAILED_PRECONDITION", "OPERATION_DONE"):
            await plane.operations.CancelOperation(longrunning_pb.CancelOperationRequest(name=made.operation.name))
        async with start_cluster(plane, "eu-1"):
            again = await plane.tenants.ChangeTenantStatus(
                pb.ChangeTenantStatusRequest(
                    id=made.tenant.id, action=pb.TENANT_ACTION_ACTIVATE, reason="the cluster is back"
                )
            )
            assert tenant(await plane.wait(again.operation.name)).state == tenant_pb2.TENANT_STATE_ACTIVE


async def test_a_move_to_a_cluster_that_is_down_ends_with_the_tenant_where_it_was(
    start_plane: Any, start_cluster: Any
) -> None:
    async with start_plane() as plane, start_cluster(plane, "eu-1"):
        made = await plane.active("stays", region_id="eu")
        moved = await plane.tenants.MoveTenant(pb.MoveTenantRequest(id=made.id, cluster_id="us-1", reason="test"))
        ended = await plane.wait(moved.operation.name)
        assert ended.error.code == grpc.StatusCode.UNAVAILABLE.value[0]
        stayed = await plane.get(made.id)
        assert stayed.placement.cluster_id == "eu-1" and not stayed.placement.moving_to_cluster_id
        assert not stayed.placement.writes_frozen and not stayed.operation


async def test_a_move_past_its_freeze_limit_thaws_the_source_and_removes_the_copy(
    start_plane: Any, start_cluster: Any
) -> None:
    held = asyncio.Event()

    async def boundary(kind: Kind, step: str, point: str) -> None:
        if (kind, step, point) == (Kind.MOVE, "verify", "worked"):
            held.set()
            await asyncio.sleep(3600)

    async with AsyncExitStack() as stack:
        plane = await stack.enter_async_context(start_plane(boundary=boundary))
        clusters = {each: await stack.enter_async_context(start_cluster(plane, each)) for each in ("eu-1", "us-1")}
        world = World(plane, Deaths(), clusters, {})
        made = await plane.active("frozen", region_id="eu")
        shop = world.products("eu-1")
        request = pb.MoveTenantRequest(id=made.id, cluster_id="us-1", reason="test")
        request.freeze_limit.FromSeconds(5)
        moved = await plane.tenants.MoveTenant(request)
        await asyncio.wait_for(held.wait(), 20)
        async with refuses("UNAVAILABLE", "TENANT_MOVING") as refusal:
            await shop.CreateProduct(products_pb.CreateProductRequest(product=product()), metadata=of(made.id))
        assert refusal.retry_after_s
        assert made.id in await world.known("us-1")
        ended = await plane.wait(moved.operation.name)
        assert ended.error.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
        assert metadata(ended).write_freeze.ToTimedelta().total_seconds() < 10
        stayed = await plane.get(made.id)
        assert stayed.placement.cluster_id == "eu-1" and not stayed.placement.writes_frozen

        async def writes() -> bool:
            try:
                await shop.CreateProduct(products_pb.CreateProductRequest(product=product()), metadata=of(made.id))
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE
                return False
            return True

        await until(writes)

        async def is_gone() -> bool:
            return made.id not in await world.known("us-1")

        await until(is_gone)
        for channel in world.channels.values():
            await channel.close()


async def test_a_move_is_cancelled_until_its_switch(world: World) -> None:
    made = await world.plane.active(f"undecided-{uuid7()[-12:]}", region_id="eu")
    # The worker dies before the switch, so that the cancellation comes first.
    world.deaths.happened.clear()
    world.deaths.at = ("MOVE", "switch", "claimed")
    moved = await world.plane.tenants.MoveTenant(pb.MoveTenantRequest(id=made.id, cluster_id="us-1", reason="test"))

    async def died() -> bool:
        return bool(world.deaths.happened)

    await until(died)
    await world.plane.operations.CancelOperation(longrunning_pb.CancelOperationRequest(name=moved.operation.name))
    ended = await world.plane.wait(moved.operation.name)
    assert ended.error.code == grpc.StatusCode.CANCELLED.value[0]
    stayed = await world.plane.get(made.id)
    assert stayed.placement.cluster_id == "eu-1" and not stayed.placement.writes_frozen


async def test_reads_never_fail_and_no_write_is_lost_while_a_tenant_moves(world: World) -> None:
    world.deaths.at = ("", "", "")
    made = await world.plane.active(f"busy-{uuid7()[-12:]}", region_id="eu")
    written: set[str] = set()
    moving = True

    async def place() -> str:
        answer = await world.plane.tenants.ResolveTenant(pb.ResolveTenantRequest(id=made.id))
        return answer.cluster_id

    async def write() -> None:
        while moving:
            new = product()
            try:
                await world.products(await place()).CreateProduct(
                    products_pb.CreateProductRequest(product=new), metadata=of(made.id)
                )
                written.add(new.handle)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE, error
            await asyncio.sleep(0.005)

    async def read() -> None:
        while moving:
            await world.products(await place()).ListProducts(
                products_pb.ListProductsRequest(page_size=1), metadata=of(made.id)
            )
            await asyncio.sleep(0.002)

    tasks = [asyncio.create_task(job()) for job in (write, write, read, read)]
    for target in ("us-1", "eu-1", "us-1"):
        moved = await world.plane.tenants.MoveTenant(pb.MoveTenantRequest(id=made.id, cluster_id=target, reason="test"))
        assert tenant(await world.plane.wait(moved.operation.name)).placement.cluster_id == target
    moving = False
    await asyncio.gather(*tasks)
    assert len(written) > 10
    kept: set[str] = set()
    token = ""
    while True:
        page = await world.products("us-1").ListProducts(
            products_pb.ListProductsRequest(page_size=1000, page_token=token), metadata=of(made.id)
        )
        kept |= {each.handle for each in page.products}
        if not (token := page.next_page_token):
            break
    assert written <= kept


async def test_an_operation_refuses_what_would_meddle_with_it(start_plane: Any) -> None:
    async with start_plane() as plane:
        made = await plane.create("working", region_id="eu")
        async with refuses("FAILED_PRECONDITION", "TENANT_TRANSITION_ILLEGAL"):
            await plane.tenants.DeleteTenant(pb.DeleteTenantRequest(id=made.tenant.id, reason="test"))
        async with refuses("FAILED_PRECONDITION", "OPERATION_KEPT"):
            await plane.operations.DeleteOperation(longrunning_pb.DeleteOperationRequest(name=made.operation.name))
        async with refuses("NOT_FOUND", "OPERATION_NOT_FOUND"):
            await plane.operation("operations/nothing")
        before = metadata(await plane.operation(made.operation.name)).attempts
        retry = operations_pb.RetryOperationRequest(name=made.operation.name)
        await plane.platform.RetryOperation(retry)

        async def tried() -> bool:
            return metadata(await plane.operation(made.operation.name)).attempts > before

        await until(tried)


async def test_two_control_processes_share_the_work_and_do_it_once(start_plane: Any, start_cluster: Any) -> None:
    async with start_plane() as plane, start_cluster(plane, "eu-1"), start_cluster(plane, "us-1"):
        other = plane.beside()
        await other.start()
        try:
            draft = [pb.TenantDraft(code=f"shared-{n}", display_name="x") for n in range(120)]
            made = await plane.tenants.BatchCreateTenants(pb.BatchCreateTenantsRequest(tenants=draft))
            more = await asyncio.gather(*(other.create(f"single-{n}") for n in range(20)))
            names = [row.created.operation for row in made.results] + [each.operation.name for each in more]
            for name in names:
                assert tenant(await other.wait(name)).state == tenant_pb2.TENANT_STATE_ACTIVE
            listed = await plane.clusters.ListClusters(clusters_pb.ListClustersRequest())
            assert [cluster.tenant_count for cluster in listed.clusters] == [70, 70]
            done = audit_pb.ListEntriesRequest(filter='method = "workflow/PROVISION/activate"', page_size=1000)
            assert len((await plane.audit.ListEntries(done)).entries) == 140
        finally:
            await other.close()
