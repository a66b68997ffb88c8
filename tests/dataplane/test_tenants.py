"""What a tenant may do at a cluster: state, mode, freeze, placement, in memory and in the database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.message import Message
from sqlalchemy import text
from sqlalchemy.engine import make_url

from center.control.v1 import tenant_pb2
from center.dataplane.v1 import product_service_pb2 as pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from dataplane import upkeep
from shared.runtime.errors import PermissionDenied
from shared.runtime.ids import uuid7
from shared.runtime.rpc import contract, rules
from tests.dataplane.cluster import Running, create, digest, entry, move_rows, of, product
from tests.dataplane.conftest import Start
from tests.support.grpc import refuses
from tests.support.postgres import Postgres

# A request of each method that nothing but the tenant's state refuses; a product of the tenant is given.
REQUESTS: dict[str, Callable[[pb.Product], Message]] = {
    "CreateProduct": lambda _: pb.CreateProductRequest(product=product()),
    "GetProduct": lambda p: pb.GetProductRequest(id=p.id),
    "GetProductByHandle": lambda p: pb.GetProductByHandleRequest(handle=p.handle or "lamp"),
    "ListProducts": lambda _: pb.ListProductsRequest(),
    "SearchProducts": lambda _: pb.SearchProductsRequest(query="lamp"),
    "UpdateProduct": lambda p: pb.UpdateProductRequest(product=pb.Product(id=p.id, title="Copper lamp")),
    "ArchiveProduct": lambda p: pb.ArchiveProductRequest(id=p.id),
    "ExportProducts": lambda _: pb.ExportProductsRequest(),
    "ImportProducts": lambda _: pb.ImportProductsRequest(products=[product()]),
}
PRODUCTS = contract.of(ProductServiceStub)
METHODS = sorted(method.name for method in PRODUCTS.methods)
MUTATING = {name for name, of_method in rules.of_service(PRODUCTS).items() if of_method.mutates}

OPEN: tuple[str, str] = ("", "")
NOT_FOUND = ("NOT_FOUND", "TENANT_NOT_FOUND")
SUSPENDED = ("FAILED_PRECONDITION", "TENANT_SUSPENDED")
MAINTENANCE = ("UNAVAILABLE", "TENANT_MAINTENANCE")
READ_ONLY = ("FAILED_PRECONDITION", "TENANT_READ_ONLY")
MOVING = ("UNAVAILABLE", "TENANT_MOVING")

# What the catalog says of the tenant -> what its reads get, and its writes.
CASES: dict[str, tuple[dict[str, Any], tuple[str, str], tuple[str, str]]] = {
    "active": ({}, OPEN, OPEN),
    "provisioning": ({"state": tenant_pb2.TENANT_STATE_PROVISIONING}, OPEN, OPEN),
    "suspended": ({"state": tenant_pb2.TENANT_STATE_SUSPENDED}, SUSPENDED, SUSPENDED),
    "terminated": ({"state": tenant_pb2.TENANT_STATE_TERMINATED}, SUSPENDED, SUSPENDED),
    "deleting": ({"state": tenant_pb2.TENANT_STATE_DELETING}, SUSPENDED, SUSPENDED),
    "failed": ({"state": tenant_pb2.TENANT_STATE_FAILED}, NOT_FOUND, NOT_FOUND),
    "draft": ({"state": tenant_pb2.TENANT_STATE_DRAFT}, NOT_FOUND, NOT_FOUND),
    "maintenance": ({"mode": tenant_pb2.TENANT_MODE_MAINTENANCE}, MAINTENANCE, MAINTENANCE),
    "read-only": ({"mode": tenant_pb2.TENANT_MODE_READ_ONLY}, OPEN, READ_ONLY),
    "frozen": ({"writes_frozen": True, "moving_to_cluster_id": "us-1"}, OPEN, MOVING),
    "moved away": ({"cluster_id": "us-1"}, OPEN, MOVING),
}


async def call(running: Running, tenant_id: str, name: str, request: Message) -> None:
    method = getattr(running.products, name)
    if not PRODUCTS.methods_by_name[name].client_streaming:
        answer = method(request, metadata=of(tenant_id))
        if not PRODUCTS.methods_by_name[name].server_streaming:
            await answer
            return
        async for _ in answer:
            pass
        return

    async def requests() -> AsyncIterator[Message]:
        yield request

    async for _ in method(requests(), metadata=of(tenant_id)):
        pass


async def expect(outcome: tuple[str, str], running: Running, tenant_id: str, name: str, request: Message) -> None:
    if outcome == OPEN:
        await call(running, tenant_id, name, request)
        return
    async with refuses(*outcome) as refusal:
        await call(running, tenant_id, name, request)
    if refusal.code is grpc.StatusCode.UNAVAILABLE:
        assert refusal.retry_after_s, "the caller is told when to try again"


def test_every_method_has_a_request() -> None:
    assert set(REQUESTS) == set(METHODS)
    assert "CreateProduct" in MUTATING and "GetProduct" not in MUTATING


@pytest.mark.parametrize("name", METHODS)
async def test_a_tenant_that_is_not_here_is_not_found(eu: Running, name: str) -> None:
    await expect(NOT_FOUND, eu, uuid7(), name, REQUESTS[name](pb.Product(id=uuid7())))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", METHODS)
async def test_state_mode_and_freeze_hold_for_every_method(eu: Running, tenant: str, name: str, case: str) -> None:
    changes, reads, writes = CASES[case]
    [made] = await create(eu, tenant, product())
    await eu.apply(entry(tenant, **changes))
    await expect(writes if name in MUTATING else reads, eu, tenant, name, REQUESTS[name](made))


@pytest.mark.parametrize("case", [case for case, (_, _, writes) in CASES.items() if writes != OPEN])
async def test_raw_sql_cannot_write_to_a_closed_tenant(eu: Running, tenant: str, case: str) -> None:
    [made] = await create(eu, tenant, product())
    await eu.apply(entry(tenant, **CASES[case][0]))
    before = await rows(eu, tenant)
    db = eu.database("center_app")
    for statement in (
        "INSERT INTO products (tenant_id, id, handle, title, description, status, version, create_time, update_time) "
        f"VALUES ('{tenant}', '{uuid7()}', 'x', 'x', '', 'ACTIVE', 1, now(), now())",
        "UPDATE products SET title = 'stolen'",
        "UPDATE variants SET amount_minor = 0",
        f"INSERT INTO variants SELECT '{tenant}', '{uuid7()}', '{made.id}', 7, 'y', 'y', 'EUR', 1",
        f"INSERT INTO idempotency VALUES ('{tenant}', 's', 'c', '{uuid7()}', '', '', now())",
        f"INSERT INTO outbox (tenant_id, id, type, aggregate_id, aggregate_version, payload, traceparent) "
        f"VALUES ('{tenant}', '{uuid7()}', 't', '{made.id}', 1, '', '')",
    ):
        with pytest.raises(PermissionDenied, match="ROW_REFUSED"):
            async with db.transaction(tenant) as tx:
                await tx.execute(text(statement))
    async with db.transaction(tenant) as tx:
        # A delete sees no row that it may delete.
        assert (await tx.execute(text("DELETE FROM variants"))).rowcount == 0
        assert (await tx.execute(text("DELETE FROM products"))).rowcount == 0
    await db.close()
    assert await rows(eu, tenant) == before


async def test_the_database_refuses_a_write_that_memory_let_pass(eu: Running, tenant: str) -> None:
    """Another process of the cluster froze the tenant, and this one has not heard of it."""
    steward = eu.database("center_steward")
    async with steward.transaction() as tx:
        await tx.execute(text(f"UPDATE tenants SET writes_frozen = true WHERE tenant_id = '{tenant}'"))
    await steward.close()
    async with refuses(*MOVING):
        await create(eu, tenant, product())


async def test_a_freeze_waits_for_every_write_under_way(eu: Running, tenant: str) -> None:
    """Whatever SQL the write is: the row policy takes the lock."""
    [made] = await create(eu, tenant, product())
    db = eu.database("center_app")
    for statement in (
        f"UPDATE products SET title = 'late' WHERE id = '{made.id}'",
        f"INSERT INTO variants SELECT '{tenant}', '{uuid7()}', '{made.id}', 7, 'late', '', 'EUR', 1",
        "DELETE FROM variants WHERE sku = 'late'",
    ):
        async with db.transaction(tenant) as tx:
            await tx.execute(text(statement))
            freezing = asyncio.ensure_future(eu.apply(entry(tenant, writes_frozen=True)))
            done, _ = await asyncio.wait([freezing], timeout=0.2)
            assert not done, f"frozen under an open write: {statement}"
        await freezing
        await eu.apply(entry(tenant))
    await db.close()


async def test_after_a_freeze_nothing_changes_and_nothing_acknowledged_is_lost(eu: Running, tenant: str) -> None:
    made: set[str] = set()

    async def write() -> None:
        while True:
            try:
                made.update(p.id for p in await create(eu, tenant, product()))
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE
                return

    writers = [asyncio.ensure_future(write()) for _ in range(16)]
    async with asyncio.timeout(20):
        while len(made) < 50:
            await asyncio.sleep(0)
        await eu.apply(entry(tenant, writes_frozen=True))
        frozen = await digest(eu, tenant)
        await asyncio.gather(*writers)
    assert await digest(eu, tenant) == frozen
    assert await ids(eu, tenant) == made


async def test_no_write_begins_while_a_freeze_waits_for_the_last_one(eu: Running, tenant: str) -> None:
    """Else each writer could start before the one before it ends, and the freeze would wait for ever."""
    db = eu.database("center_app")
    async with db.transaction(tenant) as tx:
        await tx.execute(text("SELECT tenant_writable()"))
        freezing = asyncio.ensure_future(eu.apply(entry(tenant, writes_frozen=True)))
        await asyncio.wait([freezing], timeout=0.1)
        async with refuses(*MOVING):
            await create(eu, tenant, product())
        assert not freezing.done()
    await freezing
    await db.close()


async def test_an_older_entry_never_overwrites_a_newer_one(eu: Running, tenant: str) -> None:
    old = entry(tenant)
    await eu.apply(entry(tenant, mode=tenant_pb2.TENANT_MODE_READ_ONLY))
    await eu.apply(old)
    async with refuses(*READ_ONLY):
        await create(eu, tenant, product())


async def test_of_two_entries_in_one_command_the_newer_one_counts(eu: Running, tenant: str) -> None:
    old, new = entry(tenant), entry(tenant, state=tenant_pb2.TENANT_STATE_SUSPENDED)
    await eu.apply(new, old)
    async with refuses(*SUSPENDED):
        await eu.shop.ListProducts(pb.ListProductsRequest(), metadata=of(tenant))


async def test_an_entry_of_another_cluster_makes_no_tenant_known(eu: Running) -> None:
    stranger = entry(cluster_id="us-1")
    await eu.apply(stranger)
    async with refuses(*NOT_FOUND):
        await eu.shop.ListProducts(pb.ListProductsRequest(), metadata=of(stranger.id))


async def test_a_removed_tenant_is_gone_and_no_older_entry_brings_it_back(eu: Running, tenant: str) -> None:
    await create(eu, tenant, product(), product())
    late = entry(tenant)
    gone = entry(tenant, cluster_id="us-1")
    removal = runtime_pb.RemoveTenantRequest(tenant_id=tenant, revision=gone.revision)
    assert (await eu.commands.RemoveTenant(removal)).removed
    assert sum(await rows(eu, tenant)) == 0
    await eu.apply(late)
    async with refuses(*NOT_FOUND):
        await eu.shop.ListProducts(pb.ListProductsRequest(), metadata=of(tenant))
    assert not (await eu.commands.RemoveTenant(removal)).removed
    await eu.apply(entry(tenant))
    assert not (await eu.shop.ListProducts(pb.ListProductsRequest(), metadata=of(tenant))).products


async def test_a_removal_older_than_the_tenants_placement_removes_nothing(eu: Running, tenant: str) -> None:
    await create(eu, tenant, product())
    answer = await eu.commands.RemoveTenant(runtime_pb.RemoveTenantRequest(tenant_id=tenant, revision=0))
    assert not answer.removed
    assert len((await eu.shop.ListProducts(pb.ListProductsRequest(), metadata=of(tenant))).products) == 1


async def test_a_removal_that_comes_before_its_tenant_holds(eu: Running) -> None:
    late = entry()
    await eu.commands.RemoveTenant(runtime_pb.RemoveTenantRequest(tenant_id=late.id, revision=late.revision))
    await eu.apply(late)
    async with refuses(*NOT_FOUND):
        await eu.shop.ListProducts(pb.ListProductsRequest(), metadata=of(late.id))


async def test_a_restart_serves_what_was_known_with_the_control_plane_down(start: Start, eu: Running) -> None:
    async with start() as first:
        tenant, closed = entry(), entry(state=tenant_pb2.TENANT_STATE_SUSPENDED)
        await first.apply(tenant, closed)
        [made] = await create(first, tenant.id, product())
        url = first.database_url
    async with start(database_url=url) as again:
        assert (await again.shop.GetProduct(pb.GetProductRequest(id=made.id), metadata=of(tenant.id))).product == made
        async with refuses(*SUSPENDED):
            await again.shop.ListProducts(pb.ListProductsRequest(), metadata=of(closed.id))


async def test_a_resync_names_what_differs_and_repairs_it(eu: Running, tenant: str) -> None:
    unknown = entry()
    answer = await eu.commands.ResyncTenant(runtime_pb.ResyncTenantRequest(tenant=unknown))
    assert list(answer.drift) == ["missing"]
    answer = await eu.commands.ResyncTenant(runtime_pb.ResyncTenantRequest(tenant=unknown))
    assert list(answer.drift) == []
    unknown.mode = tenant_pb2.TENANT_MODE_READ_ONLY
    unknown.plan_id = "gold"
    answer = await eu.commands.ResyncTenant(runtime_pb.ResyncTenantRequest(tenant=unknown))
    assert list(answer.drift) == ["mode", "plan_id"]
    async with refuses(*READ_ONLY):
        await create(eu, unknown.id, product())


async def test_stats_count_what_is_here(eu: Running, tenant: str) -> None:
    made = await create(eu, tenant, product(), product(), product(status=pb.PRODUCT_STATUS_DRAFT), product(variants=[]))
    await eu.products.ArchiveProduct(pb.ArchiveProductRequest(id=made[0].id), metadata=of(tenant))
    stats = await eu.commands.GetTenantStats(runtime_pb.GetTenantStatsRequest(tenant_id=tenant))
    assert (stats.active_products, stats.draft_products, stats.archived_products, stats.variants) == (2, 1, 1, 3)
    assert stats.last_write_time.ToDatetime() > made[-1].update_time.ToDatetime()
    async with refuses(*NOT_FOUND):
        await eu.commands.GetTenantStats(runtime_pb.GetTenantStatsRequest(tenant_id=uuid7()))


async def test_the_list_of_tenants_has_each_once_over_its_pages(start: Start) -> None:
    async with start() as fresh:
        entries = [entry() for _ in range(25)]
        await fresh.apply(*entries)
        listed, token = [], ""
        while token or not listed:
            page = await fresh.commands.ListTenants(runtime_pb.ListTenantsRequest(page_size=10, page_token=token))
            listed += page.tenants
            token = page.next_page_token
        assert [local.tenant for local in listed] == sorted(entries, key=lambda e: e.id)
        assert all(local.served for local in listed)


@pytest.mark.parametrize("broken", [{"id": "x"}, {"id": ""}, {"state": 0}, {"mode": 0}, {"state": 99}])
async def test_an_entry_that_says_nothing_usable_is_refused(eu: Running, broken: dict[str, Any]) -> None:
    wrong = entry()
    for name, value in broken.items():
        setattr(wrong, name, value)
    async with refuses("INVALID_ARGUMENT", "ENTRY_INVALID"):
        await eu.apply(wrong)


async def rows(running: Running, tenant_id: str) -> list[int]:
    """How many rows each table has of the tenant, to the eyes of the steward."""
    db = running.database("center_steward")
    async with db.transaction(tenant_id) as tx:
        found = [
            (await tx.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
            for table in ("products", "variants", "idempotency")
        ]
    await db.close()
    return found


async def ids(running: Running, tenant_id: str) -> set[str]:
    db = running.database("center_app")
    async with db.transaction(tenant_id) as tx:
        found = {row.id for row in await tx.execute(text("SELECT id::text FROM products"))}
    await db.close()
    return found


async def test_answers_are_forgotten_when_they_have_expired_and_not_before(eu: Running, tenant: str) -> None:
    requests = [pb.CreateProductRequest(product=product(), request_id=uuid7()) for _ in range(2)]
    for request in requests:
        await eu.products.CreateProduct(request, metadata=of(tenant))
    app = eu.database("center_app")
    async with app.transaction(tenant) as tx:
        old = (
            f"UPDATE idempotency SET expire_time = now() - interval '1 s' WHERE request_id = '{requests[0].request_id}'"
        )
        await tx.execute(text(old))
    with pytest.raises(PermissionDenied):
        await upkeep.forget(app)
    steward = eu.database("center_steward")
    assert await upkeep.forget(steward) == 1
    assert (await rows(eu, tenant))[2] == 1
    await eu.products.CreateProduct(requests[1], metadata=of(tenant))
    await app.close()
    await steward.close()


async def test_an_owner_needs_to_be_no_superuser(
    start: Start, us: Running, make_server: Callable[[], Postgres]
) -> None:
    """On an outside server the platform's role may make roles and databases, and nothing more."""
    server = make_server()
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute("CREATE ROLE outside LOGIN PASSWORD 'secret' CREATEROLE CREATEDB")
        admin.execute("CREATE DATABASE outside OWNER outside")
    url = make_url(server.url("outside")).set(username="outside", password="secret")
    async with start(database_url=url.render_as_string(hide_password=False)) as running:
        tenant = entry()
        await running.apply(tenant)
        [made] = await create(running, tenant.id, product())
        await running.products.UpdateProduct(
            pb.UpdateProductRequest(product=pb.Product(id=made.id, title="Copper")), metadata=of(tenant.id)
        )
        found = await running.shop.SearchProducts(pb.SearchProductsRequest(query="copper"), metadata=of(tenant.id))
        assert len(found.products) == 1
        moving = entry(tenant.id, writes_frozen=True)
        await running.apply(moving)
        await move_rows(running, us, moving)
        assert await digest(us, tenant.id) == await digest(running, tenant.id)
        removal = runtime_pb.RemoveTenantRequest(tenant_id=tenant.id, revision=moving.revision)
        assert (await running.commands.RemoveTenant(removal)).removed


async def test_two_clusters_make_their_databases_on_one_server_at_once(
    start: Start, make_server: Callable[[], Postgres]
) -> None:
    """Roles are the server's, and both make them."""
    server = make_server()
    with psycopg.connect(server.url(), autocommit=True) as admin:
        for name in ("one", "two"):
            admin.execute(f"CREATE DATABASE {name}".encode())

    async def begin(name: str) -> None:
        async with start(database_url=server.url(name)) as running:
            await running.apply(entry())

    await asyncio.gather(begin("one"), begin("two"))
