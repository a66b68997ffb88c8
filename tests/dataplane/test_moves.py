"""A tenant's rows from one cluster to another: export, import, digest, and what goes wrong on the way."""

import asyncio
from collections.abc import AsyncIterator

import psutil
import pytest
from sqlalchemy import text

from center.control.v1.catalog_service_pb2 import CatalogTenant
from center.dataplane.v1 import product_service_pb2 as pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from shared.runtime.ids import uuid7
from tests.dataplane.cluster import Running, create, digest, entry, move_rows, of, product, variant
from tests.support.grpc import refuses

REQUEST_ID = uuid7()
# Header and trailer, and no row between them.
EMPTY_COPY = b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\xff\xff"
ODD = "\\N\t\n'\"{}, ünï 灯 🏮"


async def frozen(eu: Running, tenant: str) -> CatalogTenant:
    entry_ = entry(tenant, writes_frozen=True, moving_to_cluster_id="us-1")
    await eu.apply(entry_)
    return entry_


async def exported(eu: Running, tenant: str) -> list[runtime_pb.TenantRows]:
    return [part.rows async for part in eu.commands.ExportTenant(runtime_pb.ExportTenantRequest(tenant_id=tenant))]


async def import_all(us: Running, *requests: runtime_pb.ImportTenantRequest) -> runtime_pb.ImportTenantResponse:
    async def stream() -> AsyncIterator[runtime_pb.ImportTenantRequest]:
        for request in requests:
            yield request

    return await us.commands.ImportTenant(stream())


async def fill(eu: Running, tenant: str) -> list[pb.Product]:
    """Some of everything: two variants, odd characters, the largest price, an answer kept for replays."""
    await eu.products.CreateProduct(
        pb.CreateProductRequest(product=product(), request_id=REQUEST_ID), metadata=of(tenant)
    )
    handle = f"odd-{uuid7()[-12:]}"
    return await create(
        eu,
        tenant,
        product(variants=[]),
        product(
            handle, title="\\N\t\n'\"{}, ünï 灯 🏮", variants=[variant(f"{handle}-a"), variant(f"{handle}-b", 0, 0)]
        ),
        product(status=pb.PRODUCT_STATUS_DRAFT, variants=[variant(uuid7(), 92233720368547758, 70000000)]),
    )


async def test_a_move_brings_every_row_and_reads_never_stop(eu: Running, us: Running, tenant: str) -> None:
    made = await fill(eu, tenant)
    read = pb.GetProductRequest(id=made[1].id)
    moving = await frozen(eu, tenant)
    answer = await move_rows(eu, us, moving)
    assert await digest(us, tenant) == await digest(eu, tenant)
    assert sum(rows for _, rows, _ in await digest(us, tenant)) == 4 + 4 + 1 + 4
    # With the audit's chain: a link an entry, a seal or more, and who signed.
    assert answer.rows >= 13 + 4 + 1 + 1

    # Both sides answer reads and refuse writes now, whatever the route says.
    for cluster in (eu, us):
        assert (await cluster.shop.GetProduct(read, metadata=of(tenant))).product == made[1]
        async with refuses("UNAVAILABLE", "TENANT_MOVING"):
            await create(cluster, tenant, product())

    switched = entry(tenant, cluster_id="us-1")
    await us.apply(switched)
    await create(us, tenant, product())
    # The source has not heard of it yet, then it has; a request on its way finds it in both cases.
    assert (await eu.shop.GetProduct(read, metadata=of(tenant))).product == made[1]
    await eu.apply(switched)
    assert (await eu.shop.GetProduct(read, metadata=of(tenant))).product == made[1]
    async with refuses("UNAVAILABLE", "TENANT_MOVING"):
        await create(eu, tenant, product())

    for _ in range(2):
        await eu.commands.RemoveTenant(runtime_pb.RemoveTenantRequest(tenant_id=tenant, revision=switched.revision))
        # An Envoy that has been away since before the switch; where the shop is, it will hear.
        async with refuses("UNAVAILABLE", "TENANT_MOVING"):
            await eu.shop.GetProduct(read, metadata=of(tenant))
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await digest(eu, tenant)
    assert (await us.shop.GetProduct(read, metadata=of(tenant))).product == made[1]
    found = await us.shop.SearchProducts(pb.SearchProductsRequest(query="ünï"), metadata=of(tenant))
    assert [p.id for p in found.products] == [made[1].id]

    deleted = runtime_pb.RemoveTenantRequest(tenant_id=tenant, revision=switched.revision + 1)
    await eu.commands.RemoveTenant(deleted)
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await eu.shop.GetProduct(read, metadata=of(tenant))


async def test_a_repeated_call_gets_its_first_answer_at_the_new_place(eu: Running, us: Running, tenant: str) -> None:
    request = pb.CreateProductRequest(product=product(), request_id=uuid7())
    first = await eu.products.CreateProduct(request, metadata=of(tenant))
    await move_rows(eu, us, await frozen(eu, tenant))
    await us.apply(entry(tenant, cluster_id="us-1"))
    assert await us.products.CreateProduct(request, metadata=of(tenant)) == first


async def test_a_tenant_moves_back_to_where_its_rows_still_are(eu: Running, us: Running, tenant: str) -> None:
    await create(eu, tenant, product())
    await move_rows(eu, us, await frozen(eu, tenant))
    for cluster in (us, eu):
        await cluster.apply(entry(tenant, cluster_id="us-1"))
    await create(us, tenant, product())
    back = entry(tenant, cluster_id="us-1", writes_frozen=True, moving_to_cluster_id="eu-1")
    await us.apply(back)
    await move_rows(us, eu, back)
    assert await digest(eu, tenant) == await digest(us, tenant)


async def test_another_try_replaces_what_the_one_before_left(eu: Running, us: Running, tenant: str) -> None:
    await fill(eu, tenant)
    await move_rows(eu, us, await frozen(eu, tenant))
    await eu.apply(entry(tenant))  # the move was given up, and its rows are still at us-1
    [late] = await create(eu, tenant, product())
    await eu.products.ArchiveProduct(pb.ArchiveProductRequest(id=late.id), metadata=of(tenant))
    await move_rows(eu, us, await frozen(eu, tenant))
    assert await digest(us, tenant) == await digest(eu, tenant)


async def test_a_broken_off_import_leaves_nothing(eu: Running, us: Running, tenant: str) -> None:
    await fill(eu, tenant)
    moving = await frozen(eu, tenant)
    parts = await exported(eu, tenant)

    async def half() -> AsyncIterator[runtime_pb.ImportTenantRequest]:
        yield runtime_pb.ImportTenantRequest(tenant=moving)
        for part in parts[:2]:
            yield runtime_pb.ImportTenantRequest(rows=part)
        begun.set()
        await asyncio.Event().wait()

    begun = asyncio.Event()
    call = us.commands.ImportTenant(half())
    await begun.wait()
    call.cancel()
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await us.shop.ListProducts(pb.ListProductsRequest(), metadata=of(tenant))
    await move_rows(eu, us, moving)
    assert await digest(us, tenant) == await digest(eu, tenant)


async def test_an_import_whose_database_session_is_killed_leaves_nothing(eu: Running, us: Running, tenant: str) -> None:
    await fill(eu, tenant)
    moving = await frozen(eu, tenant)
    parts = await exported(eu, tenant)

    async def killed() -> AsyncIterator[runtime_pb.ImportTenantRequest]:
        yield runtime_pb.ImportTenantRequest(tenant=moving)
        yield runtime_pb.ImportTenantRequest(rows=parts[0])
        yield runtime_pb.ImportTenantRequest(rows=parts[1])
        owner = us.database()
        found = 0
        async with asyncio.timeout(5):
            while not found:
                async with owner.transaction() as tx:
                    found = (
                        await tx.execute(
                            text(
                                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                                "WHERE datname = current_database() AND usename = 'center_steward' "
                                "AND query LIKE 'COPY%' AND state = 'active'"
                            )
                        )
                    ).scalar_one()
        await owner.close()
        for part in parts[2:]:
            yield runtime_pb.ImportTenantRequest(rows=part)

    async with refuses("UNAVAILABLE", "DATABASE_UNAVAILABLE"):
        await us.commands.ImportTenant(killed())
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await us.shop.ListProducts(pb.ListProductsRequest(), metadata=of(tenant))
    await move_rows(eu, us, moving)
    assert await digest(us, tenant) == await digest(eu, tenant)


async def test_an_import_of_a_tenant_that_lives_here_is_refused(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product())
    parts = [runtime_pb.ImportTenantRequest(rows=part) for part in await exported(eu, tenant)]
    async with refuses("FAILED_PRECONDITION", "TENANT_SERVED_HERE"):
        await import_all(eu, runtime_pb.ImportTenantRequest(tenant=entry(tenant, cluster_id="us-1")), *parts)
    assert (await eu.shop.GetProduct(pb.GetProductRequest(id=made.id), metadata=of(tenant))).product == made


async def test_an_import_that_a_removal_has_overtaken_is_refused(eu: Running, us: Running, tenant: str) -> None:
    moving = await frozen(eu, tenant)
    given_up = entry(tenant)
    await us.commands.RemoveTenant(runtime_pb.RemoveTenantRequest(tenant_id=tenant, revision=given_up.revision))
    async with refuses("FAILED_PRECONDITION", "TENANT_REMOVED"):
        await move_rows(eu, us, moving)


async def test_a_removal_that_a_new_move_has_overtaken_leaves_what_it_brought(
    eu: Running, us: Running, tenant: str
) -> None:
    await create(eu, tenant, product())
    await move_rows(eu, us, await frozen(eu, tenant))
    given_up = entry(tenant)
    await eu.apply(given_up)
    await move_rows(eu, us, await frozen(eu, tenant))
    removal = runtime_pb.RemoveTenantRequest(tenant_id=tenant, revision=given_up.revision)
    assert not (await us.commands.RemoveTenant(removal)).removed
    assert await digest(us, tenant) == await digest(eu, tenant)
    # The same removal of a move that was given up and has been heard of here.
    later = entry(tenant)
    await us.apply(later)
    assert (await us.commands.RemoveTenant(removal)).removed


async def test_another_tenants_rows_do_not_come_in(eu: Running, us: Running, tenant: str) -> None:
    other = entry()
    await eu.apply(other)
    await create(eu, other.id, product())
    parts = [runtime_pb.ImportTenantRequest(rows=part) for part in await exported(eu, other.id)]
    async with refuses("PERMISSION_DENIED", "ROW_REFUSED"):
        await import_all(us, runtime_pb.ImportTenantRequest(tenant=await frozen(eu, tenant)), *parts)


@pytest.mark.parametrize(
    "changes",
    [{"schema_version": "0000"}, {"table": "tenants"}, {"table": "pg_authid"}, {"columns": ["tenant_id", "id"]}],
)
async def test_rows_of_another_shape_are_refused(
    eu: Running, us: Running, tenant: str, changes: dict[str, object]
) -> None:
    moving = await frozen(eu, tenant)
    [part, *_] = await exported(eu, tenant)
    for name, value in changes.items():
        part.ClearField(name)  # type: ignore[arg-type]
        part.MergeFrom(runtime_pb.TenantRows(**{name: value}))  # type: ignore[arg-type]
    async with refuses("FAILED_PRECONDITION", "SCHEMA_MISMATCH"):
        await import_all(us, runtime_pb.ImportTenantRequest(tenant=moving), runtime_pb.ImportTenantRequest(rows=part))


async def test_bytes_that_are_no_rows_are_refused(eu: Running, us: Running, tenant: str) -> None:
    moving = await frozen(eu, tenant)
    [part, *_] = await exported(eu, tenant)
    part.data = b"PGCOPY\n\xff\r\n\0" + b"\x7f" * 40
    async with refuses("INVALID_ARGUMENT"):
        await import_all(us, runtime_pb.ImportTenantRequest(tenant=moving), runtime_pb.ImportTenantRequest(rows=part))


async def test_an_import_without_its_tenant_is_refused(eu: Running, us: Running, tenant: str) -> None:
    [part, *_] = await exported(eu, tenant)
    for requests in ([], [runtime_pb.ImportTenantRequest(rows=part)]):
        async with refuses("INVALID_ARGUMENT", "IMPORT_NOT_INTRODUCED"):
            await import_all(us, *requests)


async def test_the_digest_tells_a_changed_row_and_not_another_order(eu: Running, tenant: str) -> None:
    made = await create(eu, tenant, product(), product())
    before = await digest(eu, tenant)
    db = eu.database("center_app")
    async with db.transaction(tenant) as tx:
        # Moves the row to another place in the table.
        await tx.execute(text(f"UPDATE products SET title = title WHERE id = '{made[0].id}'"))
    assert await digest(eu, tenant) == before
    async with db.transaction(tenant) as tx:
        await tx.execute(text(f"UPDATE products SET title = title || ' ' WHERE id = '{made[0].id}'"))
    assert await digest(eu, tenant) != before
    await db.close()


@pytest.fixture(scope="module")
async def large(eu: Running) -> str:
    """A tenant with 12 MB of products."""
    tenant = entry()
    await eu.apply(tenant)
    db = eu.database("center_app")
    async with db.transaction(tenant.id) as tx:
        await tx.execute(
            text(
                "INSERT INTO products (tenant_id, id, handle, title, description, status, version, create_time, "
                f"update_time) SELECT '{tenant.id}', gen_random_uuid(), 'p-' || n, 'Lamp ' || n, "
                "repeat(md5(n::text), 30), 'ACTIVE', 1, now(), now() FROM generate_series(1, 12000) n"
            )
        )
    await db.close()
    return tenant.id


async def test_an_export_is_of_one_moment(eu: Running, large: str) -> None:
    call = eu.commands.ExportTenant(runtime_pb.ExportTenantRequest(tenant_id=large))
    before = await digest(eu, large)
    parts = [(await call.read()).rows]
    # The stream is full by now and waits for its reader: other tables have not been looked at.
    await create(eu, large, product())
    parts += [part.rows async for part in call]
    variants = b"".join(part.data for part in parts if part.table == "variants")
    assert variants == EMPTY_COPY
    assert before[1][:2] == ("variants", 0)
    assert (await digest(eu, large))[1][:2] == ("variants", 1)


async def test_a_large_tenant_moves_in_flat_memory(eu: Running, us: Running, large: str) -> None:
    moving = await frozen(eu, large)
    process = psutil.Process()
    before = process.memory_info().rss
    highest = 0

    async def watch() -> None:
        nonlocal highest
        while True:
            highest = max(highest, process.memory_info().rss)
            await asyncio.sleep(0.01)

    watching = asyncio.ensure_future(watch())
    await move_rows(eu, us, moving)
    watching.cancel()
    assert highest - before < 8 << 20, f"{(highest - before) >> 20} MiB more for a tenant of 12 MiB"
    assert await digest(us, large) == await digest(eu, large)


async def test_a_removal_of_a_large_tenant_keeps_no_change_waiting(eu: Running, large: str) -> None:
    """The watch writes many tenants at once: one that is locked for long would hold them all."""
    other = entry()
    removing = asyncio.ensure_future(
        eu.commands.RemoveTenant(runtime_pb.RemoveTenantRequest(tenant_id=large, revision=other.revision))
    )
    waits = []
    while not removing.done():
        began = asyncio.get_running_loop().time()
        await eu.apply(entry(large, cluster_id="us-1"), entry(other.id))
        waits.append(asyncio.get_running_loop().time() - began)
    assert (await removing).removed
    assert len(waits) > 3, waits
    owner = eu.database()
    async with owner.transaction() as tx:
        left = await tx.execute(text(f"SELECT count(*) FROM products WHERE tenant_id = '{large}'"))
        assert left.scalar_one() == 0
    await owner.close()
