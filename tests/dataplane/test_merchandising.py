"""Categories and collections, on a real server and PostgreSQL."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import text

from center.dataplane.v1 import merchandising_service_pb2 as pb
from center.dataplane.v1 import navigation_service_pb2 as navigation_pb
from center.dataplane.v1.merchandising_service_pb2_grpc import MerchandisingServiceStub
from center.dataplane.v1.navigation_service_pb2_grpc import NavigationServiceStub
from center.dataplane.v1.product_service_pb2 import PRODUCT_STATUS_DRAFT
from shared.runtime.ids import uuid7
from tests.dataplane.cluster import Running, bearer, create, digest, entry, move_rows, of, product
from tests.dataplane.test_products import archive, get
from tests.support.grpc import refuses


@dataclass
class Shelves:
    """One shop's categories and collections."""

    running: Running
    tenant: str

    @property
    def call(self) -> Any:
        return MerchandisingServiceStub(self.running.channel("operator"))

    @property
    def shopper(self) -> Any:
        return NavigationServiceStub(self.running.channel("envoy"))

    async def category(self, title: str, parent: str = "", **more: Any) -> pb.Category:
        request = pb.CreateCategoryRequest(category={"title": title, "parent_id": parent, **more})
        return (await self.call.CreateCategory(request, metadata=of(self.tenant))).category

    async def change(self, category: pb.Category, *paths: str) -> pb.Category:
        request = pb.UpdateCategoryRequest(category=category, update_mask=FieldMask(paths=paths))
        return (await self.call.UpdateCategory(request, metadata=of(self.tenant))).category

    async def delete(self, category: pb.Category, etag: str = "") -> None:
        request = pb.DeleteCategoryRequest(id=category.id, etag=etag)
        await self.call.DeleteCategory(request, metadata=of(self.tenant))

    async def place(self, product_id: str, *categories: pb.Category) -> None:
        ids = [category.id for category in categories]
        request = pb.SetProductCategoriesRequest(product_id=product_id, category_ids=ids)
        await self.call.SetProductCategories(request, metadata=of(self.tenant))

    async def listed(self, **request: Any) -> list[pb.Category]:
        asked = navigation_pb.ListCategoriesRequest(**request)
        return list((await self.shopper.ListCategories(asked, metadata=of(self.tenant))).categories)

    async def collection(self, title: str, **more: Any) -> pb.Collection:
        request = pb.CreateCollectionRequest(collection={"title": title, **more})
        return (await self.call.CreateCollection(request, metadata=of(self.tenant))).collection

    async def fill(self, collection: pb.Collection, product_ids: Sequence[str], etag: str = "") -> pb.Collection:
        request = pb.SetCollectionProductsRequest(collection_id=collection.id, product_ids=product_ids, etag=etag)
        return (await self.call.SetCollectionProducts(request, metadata=of(self.tenant))).collection

    async def held(self, collection: pb.Collection) -> list[str]:
        request = pb.GetCollectionProductsRequest(collection_id=collection.id)
        return list((await self.call.GetCollectionProducts(request, metadata=of(self.tenant))).product_ids)


@pytest.fixture
def shelves(eu: Running, tenant: str) -> Shelves:
    return Shelves(eu, tenant)


async def test_a_shopper_walks_down_the_tree(shelves: Shelves) -> None:
    lamps = await shelves.category("Lamps", position=2)
    chairs = await shelves.category("Chairs", position=1)
    desk = await shelves.category("Desk lamps", lamps.id)
    assert (desk.handle, desk.parent_id) == ("desk-lamps", lamps.id)
    assert await shelves.listed() == [desk, chairs, lamps]
    assert await shelves.listed(filter=f'parent_id = "{lamps.id}"') == [desk]
    assert await shelves.listed(filter="NOT parent_id:*") == [chairs, lamps]
    found = navigation_pb.GetCategoryRequest(handle="desk-lamps")
    assert (await shelves.shopper.GetCategory(found, metadata=of(shelves.tenant))).category == desk
    async with refuses("NOT_FOUND", "CATEGORY_NOT_FOUND"):
        nothing = navigation_pb.GetCategoryRequest(handle="nothing")
        await shelves.shopper.GetCategory(nothing, metadata=of(shelves.tenant))
    async with refuses("ALREADY_EXISTS", "HANDLE_TAKEN"):
        await shelves.category("Lamps")
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
        await shelves.category("灯")


async def test_a_tree_is_five_deep_and_has_no_circle(shelves: Shelves) -> None:
    chain = [await shelves.category("Level 0")]
    for level in range(1, 5):
        chain.append(await shelves.category(f"Level {level}", chain[-1].id))
    async with refuses("FAILED_PRECONDITION", "CATEGORY_TOO_DEEP"):
        await shelves.category("Level 5", chain[-1].id)
    top, first, *_ = chain
    for below in (top, first, chain[-1]):
        async with refuses("FAILED_PRECONDITION", "CATEGORY_IN_ITSELF"):
            await shelves.change(pb.Category(id=top.id, parent_id=below.id), "parent_id")
    other = await shelves.category("Other")
    async with refuses("FAILED_PRECONDITION", "CATEGORY_TOO_DEEP"):
        await shelves.change(pb.Category(id=top.id, parent_id=other.id), "parent_id")
    moved = await shelves.change(pb.Category(id=first.id, parent_id=other.id), "parent_id")
    assert moved.parent_id == other.id and moved.etag != first.etag
    freed = await shelves.change(pb.Category(id=first.id), "parent_id")
    assert freed.parent_id == ""
    async with refuses("NOT_FOUND", "CATEGORY_NOT_FOUND"):
        await shelves.category("Lost", uuid7())


async def test_two_that_move_below_each_other_make_no_circle(shelves: Shelves) -> None:
    for _ in range(5):
        one, two = [await shelves.category(f"Shelf {uuid7()}") for _ in range(2)]

        async def move(category: pb.Category, below: pb.Category) -> bool:
            try:
                await shelves.change(pb.Category(id=category.id, parent_id=below.id), "parent_id")
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
                return False
            return True

        assert sorted(await asyncio.gather(move(one, two), move(two, one))) == [False, True]


async def test_a_category_that_has_others_below_stays(eu: Running, tenant: str, shelves: Shelves) -> None:
    [lamp] = await create(eu, tenant, product())
    above = await shelves.category("Above")
    below = await shelves.category("Below", above.id)
    await shelves.place(lamp.id, below)
    async with refuses("FAILED_PRECONDITION", "CATEGORY_NOT_EMPTY"):
        await shelves.delete(above)
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await shelves.delete(below, "9")
    await shelves.delete(below, below.etag)
    await shelves.delete(above)
    assert await shelves.listed() == []
    assert (await get(eu.shop, tenant, lamp.id)).id == lamp.id


async def test_a_product_is_in_the_categories_that_it_was_put_into(eu: Running, tenant: str, shelves: Shelves) -> None:
    lamp, gone = await create(eu, tenant, product(), product())
    one, two, three = [await shelves.category(title, position=n) for n, title in enumerate(("One", "Two", "Three"))]
    await shelves.place(lamp.id, one, two)
    changed = await get(eu.shop, tenant, lamp.id)
    assert changed.etag != lamp.etag, "whoever follows the product reads anew where it is"
    await shelves.place(lamp.id, two, one)
    assert await get(eu.shop, tenant, lamp.id) == changed
    await shelves.place(lamp.id, two, three)
    assert await shelves.listed(product_id=lamp.id) == [two, three]
    await archive(eu, tenant, gone.id)
    async with refuses("FAILED_PRECONDITION", "PRODUCT_ARCHIVED"):
        await shelves.place(gone.id, one)
    async with refuses("NOT_FOUND", "CATEGORY_NOT_FOUND"):
        await shelves.place(lamp.id, pb.Category(id=uuid7()))


async def test_a_collection_holds_products_in_its_order(eu: Running, tenant: str, shelves: Shelves) -> None:
    made = await create(eu, tenant, *(product() for _ in range(3)))
    ids = [each.id for each in made]
    sale = await shelves.collection("Sale", description="Cheap.")
    filled = await shelves.fill(sale, ids[::-1], sale.etag)
    assert await shelves.held(sale) == ids[::-1]
    assert await shelves.fill(sale, ids[::-1]) == filled, "the same again is no change"
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await shelves.fill(sale, ids, sale.etag)
    async with refuses("NOT_FOUND", "PRODUCT_NOT_FOUND"):
        await shelves.fill(sale, [*ids, uuid7()])
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
        await shelves.fill(sale, [ids[0], ids[0]])
    await shelves.fill(sale, ids[:2])
    assert await shelves.held(sale) == ids[:2]
    found = navigation_pb.GetCollectionRequest(handle="sale")
    assert (await shelves.shopper.GetCollection(found, metadata=of(tenant))).collection.description == "Cheap."
    renamed = pb.UpdateCollectionRequest(collection={"id": sale.id, "title": "Old"}, update_mask={"paths": ["title"]})
    changed = (await shelves.call.UpdateCollection(renamed, metadata=of(tenant))).collection
    assert (changed.title, changed.handle) == ("Old", "sale")
    await shelves.call.DeleteCollection(pb.DeleteCollectionRequest(id=sale.id), metadata=of(tenant))
    async with refuses("NOT_FOUND", "COLLECTION_NOT_FOUND"):
        await shelves.held(sale)


async def test_a_shopper_arranges_nothing(shelves: Shelves) -> None:
    as_shopper: Any = MerchandisingServiceStub(shelves.running.channel("envoy"))
    request = pb.CreateCategoryRequest(category={"title": "Mine"})
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await as_shopper.CreateCategory(request, metadata=of(shelves.tenant))
    own = of(shelves.tenant, bearer(shelves.running.home, shelves.tenant))
    assert (await as_shopper.CreateCategory(request, metadata=own)).category.handle == "mine"


async def test_each_change_is_told(eu: Running, tenant: str, shelves: Shelves) -> None:
    [lamp] = await create(eu, tenant, product(status=PRODUCT_STATUS_DRAFT))
    lamps = await shelves.category("Lamps")
    await shelves.change(pb.Category(id=lamps.id, title="Lights"), "title")
    await shelves.place(lamp.id, lamps)
    await shelves.delete(lamps)
    await shelves.fill(await shelves.collection("Sale"), [lamp.id])
    owner = eu.database()
    async with owner.transaction() as tx:
        told = text(
            f"SELECT type, aggregate_version FROM outbox WHERE tenant_id = '{tenant}' ORDER BY create_time, type"
        )
        seen = [tuple(row) for row in await tx.execute(told)]
    await owner.close()
    assert seen == [
        ("product.created.v1", 1),
        ("category.created.v1", 1),
        ("category.updated.v1", 2),
        ("product.updated.v1", 2),
        ("category.deleted.v1", 3),
        ("collection.created.v1", 1),
        ("collection.updated.v1", 2),
    ]


async def test_a_tree_moves_with_its_shop(eu: Running, us: Running, tenant: str, shelves: Shelves) -> None:
    """Whichever of two categories is copied first."""
    [lamp] = await create(eu, tenant, product())
    above = await shelves.category("Above")
    below = await shelves.category("Below")
    await shelves.change(pb.Category(id=above.id, parent_id=below.id), "parent_id")
    await shelves.change(pb.Category(id=below.id, parent_id=(await shelves.category("Top")).id), "parent_id")
    await shelves.place(lamp.id, above)
    await shelves.fill(await shelves.collection("Sale"), [lamp.id])
    moving = entry(tenant, writes_frozen=True, moving_to_cluster_id="us-1")
    await eu.apply(moving)
    await us.apply(moving)
    await move_rows(eu, us, moving)
    assert await digest(us, tenant) == await digest(eu, tenant)
