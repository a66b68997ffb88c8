"""Processes die without warning while tenants change: nothing that was acknowledged is lost, and all planes agree."""

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from google.longrunning import operations_proto_pb2

from center.control.v1 import cluster_service_pb2, operations_service_pb2, tenant_pb2, tenant_service_pb2
from center.dataplane.v1 import product_service_pb2, tenant_runtime_service_pb2
from shared.runtime import ids
from tests.e2e.operators import Known, Operator
from tests.support import platform as platforms
from tests.support.grpc import refuses
from tests.support.platform import CLUSTERS, Platform, until

pytestmark = pytest.mark.e2e

log = logging.getLogger(__name__)

# SOAK_S=600 goes on killing for ten minutes, in an order that nobody knows beforehand.
SOAK_S = float(os.environ.get("SOAK_S", "0"))
VICTIMS = ("control", "eu-1", "edge", "us-1", "envoy", "nats", "postgres")
OPERATORS = 4
# Changes that must have been acknowledged between one kill and the next: the load goes on, before and after.
CHANGES_BETWEEN = 12


@pytest.fixture(scope="module")
async def hurt() -> AsyncIterator[Platform]:
    with platforms.running() as platform:
        yield platform
        await platform.close()


async def test_nothing_acknowledged_is_lost_whoever_dies(hurt: Platform) -> None:
    seed = random.randrange(1 << 30) if SOAK_S else 1
    operators = [Operator(hurt, number, seed) for number in range(OPERATORS)]
    async with _at_work(operators):
        for victim in _victims(seed):
            await _progress(operators)
            pid = hurt.kill(victim)
            await hurt.restarted(victim, pid)
            await _progress(operators)
    await hurt.healthy()
    tenants = [known for operator in operators for known in operator.tenants]
    log.info(
        "seed %d: %d changes, %d tenants, %d products",
        seed,
        sum(operator.acknowledged for operator in operators),
        len(tenants),
        sum(len(known.products) for known in tenants),
    )
    ended = await _ended_operations(hurt)
    await _assert_agreed(hurt)
    await _assert_nothing_doubled(hurt, tenants)
    for known in tenants:
        await _assert_kept(hurt, known, ended)


async def test_envoy_serves_what_it_knows_while_control_edge_and_postgresql_are_down(hurt: Platform) -> None:
    """Without control and edge nothing changes for a known shop. Without PostgreSQL, too, what needs rows is refused
    as UNAVAILABLE with a time to wait, and what Envoy answers by itself goes on as before."""
    shop = await hurt.create("outage-open", region_id="eu")
    closed = await hurt.create("outage-closed", region_id="eu")
    request = tenant_service_pb2.ChangeTenantStatusRequest(
        id=closed.id, action=tenant_service_pb2.TENANT_ACTION_SUSPEND, reason="a test"
    )
    await hurt.applied((await hurt.tenants.ChangeTenantStatus(request)).tenant.revision)
    token = await hurt.token(shop.id)
    shopper = hurt.shopper()
    hosts = {name: f"{name}.{hurt.zone}" for name in ("outage-open", "outage-closed")}
    for host in hosts.values():
        await shopper.get(host)  # a shop is known once somebody has asked for it
    pids: dict[str, int] = {}
    with hurt.no_restarts():
        pids = {name: hurt.kill(name) for name in ("control", "edge")}
        for number in range(50):
            answer = await shopper.get(hosts["outage-open"])
            assert (answer.status, answer.headers["x-center-cluster"]) == (200, "eu-1"), answer
            written = await shopper.send(
                "POST",
                hosts["outage-open"],
                "/v1/backoffice/products",
                b'{"product": {"title": "made without control %d"}}' % number,
                content_type="application/json",
                authorization=token,
            )
            assert written.status == 200, written
        assert (await shopper.get(hosts["outage-closed"])).reason == "TENANT_SUSPENDED"
        assert (await shopper.get("nobody.example")).reason == "HOST_UNKNOWN"

        silent = await asyncio.to_thread(hurt.center, "check", "--wait", "0")
        assert silent.returncode == 1, "a plane that does not answer agrees with nobody"

        pids["postgres"] = hurt.kill("postgres")

        async def rows_are_away() -> bool:
            return (await shopper.get(hosts["outage-open"])).status != 200

        # A server's own processes outlive it by a moment.
        await until(rows_are_away, 5, "the shop's rows to be out of reach")
        refused = await shopper.get(hosts["outage-open"])
        assert (refused.status, refused.reason) == (503, "DATABASE_UNAVAILABLE"), refused
        assert any("retryDelay" in detail for detail in refused.json["details"]), refused.json
        assert (await shopper.get(hosts["outage-closed"])).reason == "TENANT_SUSPENDED"
        assert (await shopper.get("nobody.example")).reason == "HOST_UNKNOWN"
        # The cluster lives and knows its tenants; only the rows are out of reach.
        async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
            await hurt.products("eu-1").ListProducts(
                product_service_pb2.ListProductsRequest(),
                metadata=(("x-tenant-id", "00000000-0000-7000-8000-000000000000"),),
            )
    for name, pid in pids.items():
        await hurt.restarted(name, pid)

    async def served() -> bool:
        return (await shopper.get(hosts["outage-open"])).status == 200

    await until(served, 20, "the shop to answer again")
    await shopper.close()
    await _assert_agreed(hurt)


async def test_a_shop_that_moves_while_envoy_is_cut_off_is_not_said_to_be_none(hurt: Platform) -> None:
    """Envoy stands still with its old routes while the edge dies and a shop moves. The move waits for it, but not for
    ever; and when it wakes, it asks first at the old place."""
    shop = await hurt.create("cut-off", region_id="eu")
    shopper, host = hurt.shopper(), f"cut-off.{hurt.zone}"
    assert (await shopper.get(host)).headers["x-center-cluster"] == "eu-1"
    with _suspended(hurt, "envoy"):
        await hurt.restarted("edge", hurt.kill("edge"))
        request = tenant_service_pb2.MoveTenantRequest(
            id=shop.id, cluster_id="us-1", reason="a test", request_id=ids.uuid7()
        )
        move = (await hurt.tenants.MoveTenant(request)).operation.name
        asked = asyncio.create_task(shopper.get(host))

        async def is_switched() -> bool:
            operation = await hurt.longrunning.GetOperation(operations_proto_pb2.GetOperationRequest(name=move))
            told = operations_service_pb2.OperationMetadata()
            assert operation.metadata.Unpack(told)
            return told.step == "drain"

        await until(is_switched, 20, "the move to wait for routes to turn")
        at_once = operations_service_pb2.WaitAppliedRequest(timeout={})

        async def is_the_edge_alone_behind() -> bool:
            behind = [watcher.id for watcher in (await hurt.operations.WaitApplied(at_once)).behind]
            assert "edge/edge-1" in behind
            return len(behind) == 1

        await until(is_the_edge_alone_behind, 10, "everyone else to have what there is")
        assert (await hurt.done(move, 40)).HasField("response"), "an Envoy that never came back would only delay it"
    answer = await asked
    assert answer.status == 200 or (answer.status, answer.reason) == (503, "TENANT_MOVING"), answer

    async def is_at_the_new_place() -> bool:
        return (await shopper.get(host)).headers.get("x-center-cluster") == "us-1"

    await until(is_at_the_new_place, 20, "Envoy to know where the shop is")
    await shopper.close()
    await hurt.healthy()


@contextmanager
def _suspended(platform: Platform, name: str) -> Iterator[None]:
    """The process stands still for the length of the block."""
    child = platform.processes()[name]
    process = child.pid.process() if child.pid else None
    assert process is not None
    process.suspend()
    try:
        yield
    finally:
        process.resume()


@asynccontextmanager
async def _at_work(operators: list[Operator]) -> AsyncIterator[None]:
    """Their load for the length of the block; a change that was begun is brought to its end."""
    async with asyncio.TaskGroup() as group:
        for operator in operators:
            group.create_task(operator.work())
        try:
            yield
        finally:
            for operator in operators:
                operator.stopping = True


def _victims(seed: int) -> Iterator[str]:
    if not SOAK_S:
        yield from VICTIMS
        return
    rng, ends = random.Random(seed), time.monotonic() + SOAK_S
    while time.monotonic() < ends:
        yield rng.choice(VICTIMS)


async def _progress(operators: list[Operator]) -> None:
    before = sum(operator.acknowledged for operator in operators)
    await until(
        lambda: sum(operator.acknowledged for operator in operators) >= before + CHANGES_BETWEEN,
        60,
        f"{CHANGES_BETWEEN} changes after {before}",
    )


async def _ended_operations(platform: Platform) -> dict[str, operations_proto_pb2.Operation]:
    """Every operation, once all have ended."""

    async def all_done() -> dict[str, operations_proto_pb2.Operation] | None:
        found = {}
        request = operations_proto_pb2.ListOperationsRequest(page_size=1000)
        while True:
            answer = await platform.longrunning.ListOperations(request)
            found |= {operation.name: operation for operation in answer.operations}
            if not answer.next_page_token:
                break
            request.page_token = answer.next_page_token
        return found if all(operation.done for operation in found.values()) else None

    return await until(all_done, 60, "every operation to end")


async def _assert_agreed(platform: Platform) -> None:
    checked = await asyncio.to_thread(platform.center, "check", "--wait", "30")
    assert checked.returncode == 0, checked.stdout + checked.stderr


async def _assert_nothing_doubled(platform: Platform, tenants: list[Known]) -> None:
    """As many tenants as were acknowledged, each on one cluster, and the clusters' own counts are right."""
    request = tenant_service_pb2.ListTenantsRequest(page_size=1000, show_deleted=True)
    listed = (await platform.tenants.ListTenants(request)).tenants
    ours = sorted(tenant.code for tenant in listed if tenant.code.startswith("op-"))
    assert ours == sorted(known.code for known in tenants)
    clusters = await platform.clusters.ListClusters(cluster_service_pb2.ListClustersRequest())
    placed = {cluster.id: 0 for cluster in clusters.clusters}
    for tenant in listed:
        placed[tenant.placement.cluster_id] += 1
        for other in set(CLUSTERS) - {tenant.placement.cluster_id}:
            async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
                await platform.runtime(other).GetTenantDigest(
                    tenant_runtime_service_pb2.GetTenantDigestRequest(tenant_id=tenant.id)
                )
    assert {cluster.id: cluster.tenant_count for cluster in clusters.clusters} == placed


async def _assert_kept(platform: Platform, known: Known, ended: dict[str, operations_proto_pb2.Operation]) -> None:
    """The tenant is what was acknowledged, to the last product."""
    found = (await platform.tenants.GetTenant(tenant_service_pb2.GetTenantRequest(id=known.id))).tenant
    assert tenant_pb2.TenantState.Name(found.state) == tenant_pb2.TenantState.Name(known.state), known.code
    assert tenant_pb2.TenantMode.Name(found.mode) == tenant_pb2.TenantMode.Name(known.mode), known.code
    assert set(found.domains) == known.domains, known.code
    succeeded = [target for name, target in known.moves if ended[name].HasField("response")]
    if succeeded:
        assert found.placement.cluster_id == succeeded[-1], known.code
    assert not found.placement.writes_frozen
    # Rows are read as the cluster keeps them, whatever state the shop is in: resumed and open for the look.
    if found.state == tenant_pb2.TENANT_STATE_SUSPENDED:
        resume = tenant_service_pb2.ChangeTenantStatusRequest(
            id=known.id, action=tenant_service_pb2.TENANT_ACTION_RESUME, reason="a look"
        )
        await platform.applied((await platform.tenants.ChangeTenantStatus(resume)).tenant.revision)
    products = platform.products(found.placement.cluster_id)
    listed = await products.ListProducts(
        product_service_pb2.ListProductsRequest(page_size=1000), metadata=(("x-tenant-id", known.id),)
    )
    assert {product.id: product.title for product in listed.products} == known.products, known.code
