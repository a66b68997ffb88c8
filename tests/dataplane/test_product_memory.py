"""Products that are answered from memory: never those that were, whoever changed them and wherever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from center.dataplane.v1 import product_service_pb2 as pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from dataplane.products.memory import ENTRY_BYTES, Key, Memory, Revisions
from shared.runtime.db import Database
from shared.runtime.errors import Unavailable
from shared.runtime.ids import uuid7
from shared.runtime.rpc import contract, rules
from tests.dataplane.cluster import Running, create, entry, move_rows, of, product, variant
from tests.dataplane.conftest import Start
from tests.support.grpc import refuses
from tests.support.media import image, keep
from tests.support.postgres import Postgres

REMEMBERED = 3  # what is asked for so often is in memory


async def shown(shop: ProductServiceStub, tenant: str, of_id: str) -> list[pb.Product]:
    """The product by its id, by its handle, and in the list, each as often as it takes to be remembered."""
    for _ in range(REMEMBERED):
        got = (await shop.GetProduct(pb.GetProductRequest(id=of_id), metadata=of(tenant))).product
        request = pb.GetProductByHandleRequest(handle=got.handle)
        named = (await shop.GetProductByHandle(request, metadata=of(tenant))).product
        listed = (await shop.ListProducts(pb.ListProductsRequest(), metadata=of(tenant))).products
    return [got, named, *(each for each in listed if each.id == of_id)]


async def updated(one: Running, tenant: str, made: pb.Product) -> pb.Product:
    request = pb.UpdateProductRequest(
        product=pb.Product(id=made.id, variants=[variant("another")]), update_mask=FieldMask(paths=["variants"])
    )
    return (await one.products.UpdateProduct(request, metadata=of(tenant))).product


async def archived(one: Running, tenant: str, made: pb.Product) -> pb.Product:
    return (await one.products.ArchiveProduct(pb.ArchiveProductRequest(id=made.id), metadata=of(tenant))).product


async def imported(one: Running, tenant: str, made: pb.Product) -> pb.Product:
    async def rows() -> AsyncIterator[pb.ImportProductsRequest]:
        yield pb.ImportProductsRequest(products=[product(made.handle, title="Imported")])

    progress = [each async for each in one.products.ImportProducts(rows(), metadata=of(tenant))][-1]
    assert progress.updated == 1
    return pb.Product(id=made.id, title="Imported")


async def created(one: Running, tenant: str, made: pb.Product) -> pb.Product:
    return (await create(one, tenant, product()))[0]


CHANGES: dict[str, Callable[[Running, str, pb.Product], Awaitable[pb.Product]]] = {
    "CreateProduct": created,
    "UpdateProduct": updated,
    "ArchiveProduct": archived,
    "ImportProducts": imported,
}


@pytest.fixture(scope="module")
async def two(eu: Running, start: Start) -> AsyncIterator[tuple[Running, Running]]:
    """Two processes on one database."""
    async with start("eu-1", database_url=eu.database_url) as other:
        yield eu, other


def test_every_change_has_its_case() -> None:
    methods = rules.of_service(contract.of(ProductServiceStub))
    assert {name for name, of_method in methods.items() if of_method.mutates} == set(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_in_one_process_is_in_the_next_answers_of_every_process(
    two: tuple[Running, Running], name: str
) -> None:
    one, other = two
    tenant = entry()
    for each in two:
        await each.apply(tenant)
    [made] = await create(one, tenant.id, product())
    for each in two:
        assert await shown(each.products, tenant.id, made.id) == [made] * 3
    after = await CHANGES[name](one, tenant.id, made)
    for each in (other, one):
        listed = await each.products.ListProducts(pb.ListProductsRequest(), metadata=of(tenant.id))
        got = await each.products.GetProduct(pb.GetProductRequest(id=after.id), metadata=of(tenant.id))
        request = pb.GetProductByHandleRequest(handle=got.product.handle)
        named = await each.products.GetProductByHandle(request, metadata=of(tenant.id))
        if name == "ImportProducts":
            assert got.product.title == after.title
            after = got.product
        assert (got.product, named.product) == (after, after)
        assert after in listed.products and len(listed.products) == 1 + (name == "CreateProduct")


async def test_a_shopper_is_not_answered_what_the_shop_was(eu: Running, tenant: str) -> None:
    [draft] = await create(eu, tenant, product("draft", status=pb.PRODUCT_STATUS_DRAFT))
    assert await shown(eu.products, tenant, draft.id) == [draft] * 3
    for _ in range(REMEMBERED):
        async with refuses("NOT_FOUND", "PRODUCT_NOT_FOUND"):
            await eu.shop.GetProduct(pb.GetProductRequest(id=draft.id), metadata=of(tenant))
        async with refuses("NOT_FOUND", "PRODUCT_NOT_FOUND"):
            await eu.shop.GetProductByHandle(pb.GetProductByHandleRequest(handle="draft"), metadata=of(tenant))
        assert not (await eu.shop.ListProducts(pb.ListProductsRequest(), metadata=of(tenant))).products


async def test_another_tenant_is_not_answered_what_this_one_was(eu: Running, tenant: str) -> None:
    stranger = entry()
    await eu.apply(stranger)
    [made] = await create(eu, tenant, product())
    await shown(eu.shop, tenant, made.id)
    for _ in range(REMEMBERED):
        async with refuses("NOT_FOUND", "PRODUCT_NOT_FOUND"):
            await eu.shop.GetProduct(pb.GetProductRequest(id=made.id), metadata=of(stranger.id))
        assert not (await eu.shop.ListProducts(pb.ListProductsRequest(), metadata=of(stranger.id))).products


async def test_a_tenant_that_comes_back_is_answered_with_what_it_brings(eu: Running, us: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product())
    await shown(eu.products, tenant, made.id)
    there = entry(tenant, cluster_id="eu-1", writes_frozen=True, moving_to_cluster_id="us-1")
    await eu.apply(there)
    await move_rows(eu, us, there)
    for cluster in (us, eu):
        await cluster.apply(entry(tenant, cluster_id="us-1"))
    after = await updated(us, tenant, made)
    back = entry(tenant, cluster_id="us-1", writes_frozen=True, moving_to_cluster_id="eu-1")
    await us.apply(back)
    await move_rows(us, eu, back)
    for cluster in (eu, us):
        await cluster.apply(entry(tenant, cluster_id="eu-1"))
    got = await eu.products.GetProduct(pb.GetProductRequest(id=made.id), metadata=of(tenant))
    assert got.product == after


async def test_a_tenant_that_is_removed_is_answered_nothing(eu: Running, tenant: str) -> None:
    [made] = await create(eu, tenant, product())
    await shown(eu.products, tenant, made.id)
    gone = entry(tenant, cluster_id="us-1")
    await eu.commands.RemoveTenant(runtime_pb.RemoveTenantRequest(tenant_id=tenant, revision=gone.revision))
    async with refuses("NOT_FOUND"):
        await eu.products.GetProduct(pb.GetProductRequest(id=made.id), metadata=of(tenant))


# what the database holds


# As of the tenant of the transaction, who has a product with a file.
WRITES = (
    "UPDATE products SET title = 'By hand'",
    "UPDATE variants SET amount_minor = 1",
    "INSERT INTO variants SELECT tenant_id, gen_random_uuid(), product_id, 9, 'by-hand', '', 'EUR', 1 FROM variants "
    "LIMIT 1",
    "DELETE FROM variants",
    "UPDATE product_media SET alt_text = 'By hand'",
    "INSERT INTO product_media SELECT tenant_id, product_id, 9, media_id, '' FROM product_media",
    "DELETE FROM product_media",
    "INSERT INTO products (tenant_id, id, handle, title, description, status, version, create_time, update_time) "
    "SELECT tenant_id, gen_random_uuid(), 'by-hand', '', '', 'DRAFT', 1, now(), now() FROM products LIMIT 1",
)


@pytest.mark.parametrize("statement", WRITES)
async def test_whatever_sql_a_change_is_it_makes_another_revision_of_its_tenant(
    eu: Running, tenant: str, statement: str
) -> None:
    stranger = entry()
    await eu.apply(stranger)
    for each in (tenant, stranger.id):
        picture = await keep(eu.media, each, image(), "image/png")
        await create(eu, each, product(media=[pb.ProductMedia(media_id=picture.id)]))
    app, steward = eu.database("center_app"), eu.database("center_steward")
    revisions = Revisions(steward)
    before, theirs = await revisions.of(tenant), await revisions.of(stranger.id)
    assert before and theirs and before != theirs
    async with app.transaction(tenant) as tx:
        await tx.exec_driver_sql(statement)
        # Nobody sees it before the change can be seen.
        assert await revisions.of(tenant) == before
    assert await revisions.of(tenant) != before
    assert await revisions.of(stranger.id) == theirs
    await app.close()
    await steward.close()


async def test_a_change_that_is_taken_back_leaves_the_revision(eu: Running, tenant: str) -> None:
    await create(eu, tenant, product("lamp"))
    steward = eu.database("center_steward")
    revisions = Revisions(steward)
    before = await revisions.of(tenant)
    async with refuses("ALREADY_EXISTS"):
        await create(eu, tenant, product("lamp"))
    assert await revisions.of(tenant) == before
    await steward.close()


async def test_a_change_does_not_wait_for_another_products_change_before_it_commits(eu: Running, tenant: str) -> None:
    """Else one that waits for the other's product, and the other for the first one's revision, wait for ever."""
    one, other = [each.id for each in await create(eu, tenant, product(), product())]
    connections = [await psycopg.AsyncConnection.connect(eu.database_url) for _ in range(2)]
    first, second = connections
    await second.execute("SELECT 1 FROM products WHERE id = %s FOR UPDATE", (other,))
    await first.execute("UPDATE products SET title = 'First' WHERE id = %s", (one,))
    waiting = asyncio.ensure_future(first.execute("UPDATE products SET title = 'First' WHERE id = %s", (other,)))
    with psycopg.connect(eu.database_url, autocommit=True) as looking:
        blocked = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        while looking.execute(blocked, (first.info.backend_pid,)).fetchone() is None:
            await asyncio.sleep(0.01)
    await second.execute("UPDATE products SET title = 'Second' WHERE id = %s", (other,))
    await second.commit()
    await waiting
    await first.commit()
    for connection in connections:
        await connection.close()
    titles = {
        each.title for each in (await eu.products.ListProducts(pb.ListProductsRequest(), metadata=of(tenant))).products
    }
    assert titles == {"First"}


async def test_writers_of_one_tenant_do_not_get_in_each_others_way(eu: Running, tenant: str) -> None:
    made = await create(eu, tenant, *(product() for _ in range(8)))
    for turn in range(4):
        titled = (
            eu.products.UpdateProduct(
                pb.UpdateProductRequest(product=pb.Product(id=each.id, title=f"Title {turn}")), metadata=of(tenant)
            )
            for each in made
        )
        new = [create(eu, tenant, product()) for _ in range(4)]
        await asyncio.gather(*titled, *new)
    listed = await eu.products.ListProducts(pb.ListProductsRequest(page_size=50), metadata=of(tenant))
    assert len(listed.products) == 24


# the reading of revisions, and what is kept


class Held(Database):
    """A database whose answers, once they are there, wait to be let go."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.times = 0
        self.read = asyncio.Event()
        self.go = asyncio.Event()

    async def once(self, *asked: Any, **more: Any) -> list[Any]:
        self.times += 1
        rows = await self._db.once(*asked, **more)
        self.read.set()
        await self.go.wait()
        return rows


@pytest.fixture
async def held(eu: Running) -> AsyncIterator[Held]:
    steward = eu.database("center_steward")
    yield Held(steward)
    await steward.close()


async def test_who_comes_while_revisions_are_read_waits_for_the_next_reading(
    eu: Running, tenant: str, held: Held
) -> None:
    await create(eu, tenant, product())
    revisions = Revisions(held)
    before = asyncio.ensure_future(revisions.of(tenant))
    await held.read.wait()
    await create(eu, tenant, product())
    after = [asyncio.ensure_future(revisions.of(tenant)) for _ in range(20)]
    # All of them have asked before the answer is let go.
    await asyncio.sleep(0)
    held.go.set()
    [now] = set(await asyncio.gather(*after))
    assert now != await before
    assert held.times == 2


async def test_who_goes_away_leaves_the_reading_to_the_others(eu: Running, tenant: str, held: Held) -> None:
    await create(eu, tenant, product())
    revisions = Revisions(held)
    asking = [asyncio.ensure_future(revisions.of(tenant)) for _ in range(3)]
    await held.read.wait()
    later = [asyncio.ensure_future(revisions.of(tenant)) for _ in range(2)]
    await asyncio.sleep(0)
    asking[0].cancel()
    later[0].cancel()
    held.go.set()
    answers = await asyncio.gather(*asking, *later, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError) and isinstance(answers[3], asyncio.CancelledError)
    assert answers[1] and answers[1] == answers[2] == answers[4]


async def test_an_outage_is_told_and_over_when_it_is(start: Start, make_server: Callable[[], Postgres]) -> None:
    server = make_server()
    async with start("eu-1", database_url=server.url()) as running:
        tenant = entry()
        await running.apply(tenant)
        [made] = await create(running, tenant.id, product())
        await shown(running.products, tenant.id, made.id)
        server.stop()
        asking = (
            running.products.GetProduct(pb.GetProductRequest(id=made.id), metadata=of(tenant.id)) for _ in range(3)
        )
        for each in asking:
            async with refuses("UNAVAILABLE", "DATABASE_UNAVAILABLE"):
                await each
        server.start()
        assert await shown(running.products, tenant.id, made.id) == [made] * 3


def asked(tenant: str, number: int) -> Key:
    return tenant, "GetProduct", 0, b"%d" % number


async def test_memory_keeps_what_was_asked_for_last_and_no_more_than_it_may(eu: Running, tenant: str) -> None:
    steward = eu.database("center_steward")
    most = 10 * (ENTRY_BYTES + 1000)
    memory = Memory(Revisions(steward), most)
    made: list[int] = []

    async def ask(number: int) -> bytes:
        async def make() -> pb.Product:
            made.append(number)
            return pb.Product(id=str(number), description="x" * 900)

        return await memory.answer(asked(tenant, number), make)

    for number in range(100):
        answers = [await ask(number) for _ in range(REMEMBERED)]
        assert answers == [pb.Product(id=str(number), description="x" * 900).SerializeToString()] * REMEMBERED
        assert memory.held_bytes <= most
        await ask(0)
    # The first asks, the second has it kept; from then on there is nothing to make.
    assert [made.count(number) for number in (0, 1, 50, 99)] == [2, 2, 2, 2]
    made.clear()
    for number in (99, 98, 1):
        await ask(number)
    assert made == [1]
    await steward.close()


async def test_what_is_refused_is_not_remembered(eu: Running, tenant: str) -> None:
    steward = eu.database("center_steward")
    memory = Memory(Revisions(steward))

    async def refuse() -> pb.Product:
        raise Unavailable("ANY", "not now")

    async def make() -> pb.Product:
        return pb.Product(id="1")

    for _ in range(REMEMBERED):
        with pytest.raises(Unavailable):
            await memory.answer(asked(tenant, 1), refuse)
    assert memory.held_bytes == 0
    for _ in range(2):
        await memory.answer(asked(tenant, 1), make)
    # Another revision: made anew, and refused.
    await create(eu, tenant, product())
    with pytest.raises(Unavailable):
        await memory.answer(asked(tenant, 1), refuse)
    assert memory.held_bytes == 0
    await steward.close()


async def test_an_unknown_tenant_has_no_revision(eu: Running) -> None:
    steward = eu.database("center_steward")
    assert await Revisions(steward).of(uuid7()) == ""
    await steward.close()
