"""MerchandisingService: how a shop's people arrange what it sells."""

from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import merchandising_service_pb2 as pb
from center.dataplane.v1 import merchandising_service_pb2_grpc as pb_grpc
from dataplane.merchandising import domain, messages, store
from dataplane.merchandising.messages import (
    category_from_proto,
    category_to_proto,
    collection_from_proto,
    collection_to_proto,
)
from dataplane.products import domain as product_domain
from dataplane.products import store as product_store
from dataplane.products.messages import event as product_event
from shared.runtime import journal, masks
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import inside
from shared.runtime.idempotency import mutation
from shared.runtime.ids import uuid7

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class MerchandisingService(pb_grpc.MerchandisingServiceServicer):
    """db: transactions that may write (dataplane.tenants.local.Writes); reads: those that do not."""

    def __init__(self, *, db: Database, reads: Database, clock: Clock) -> None:
        self.db = db
        self._reads = reads
        self._clock = clock

    @mutation
    async def CreateCategory(self, request: pb.CreateCategoryRequest, tx: AsyncConnection) -> pb.CreateCategoryResponse:
        tenant_id = current().tenant_id
        tree = await store.lock_tree(tx, tenant_id)
        with inside("category"):
            new = category_from_proto(request.category, id=uuid7(), now=self._clock.now())
            new = domain.add_category(tree, new)
        await store.add_category(tx, tenant_id, new)
        changes, events = [messages.category_change(None, new)], [messages.category_event("created", new)]
        await journal.record(tx, tenant_id, changes, events)
        return pb.CreateCategoryResponse(category=category_to_proto(new))

    @mutation
    async def UpdateCategory(self, request: pb.UpdateCategoryRequest, tx: AsyncConnection) -> pb.UpdateCategoryResponse:
        tenant_id = current().tenant_id
        masks.which("category", request.category.id)
        tree = await store.lock_tree(tx, tenant_id)
        before = domain.find(tree, request.category.id.lower())
        message = category_to_proto(before)
        masks.merge(message, request.category, request.update_mask, ("handle", "title", "position", "parent_id"))
        now = self._clock.now()
        with inside("category"):
            wanted = category_from_proto(message, id=before.id, now=now)
            after = domain.change_category(tree, wanted, etag=request.category.etag, now=now)
        if after is before:
            journal.unchanged(tx)
        else:
            await store.save_category(tx, tenant_id, after)
            changes, events = [messages.category_change(before, after)], [messages.category_event("updated", after)]
            await journal.record(tx, tenant_id, changes, events)
        return pb.UpdateCategoryResponse(category=category_to_proto(after))

    @mutation
    async def DeleteCategory(self, request: pb.DeleteCategoryRequest, tx: AsyncConnection) -> pb.DeleteCategoryResponse:
        tenant_id = current().tenant_id
        tree = await store.lock_tree(tx, tenant_id)
        last = domain.delete_category(tree, request.id.lower(), etag=request.etag)
        await store.delete_category(tx, tenant_id, last.id)
        changes, events = [messages.category_change(last, None)], [messages.category_event("deleted", last)]
        await journal.record(tx, tenant_id, changes, events)
        return pb.DeleteCategoryResponse()

    @mutation
    async def SetProductCategories(
        self, request: pb.SetProductCategoriesRequest, tx: AsyncConnection
    ) -> pb.SetProductCategoriesResponse:
        """A new version of the product: whoever follows it reads anew where it is."""
        tenant_id = current().tenant_id
        tree = await store.lock_tree(tx, tenant_id)
        product = await product_store.lock(tx, tenant_id, request.product_id)
        wanted = [domain.find(tree, id.lower()).id for id in request.category_ids]
        before = await store.product_categories_of(tx, tenant_id, product.id)
        after = product_domain.touch(product, now=self._clock.now())
        if before == set(wanted):
            journal.unchanged(tx)
        else:
            await store.categorize(
                tx, tenant_id, product.id, sorted(set(wanted) - before), sorted(before - set(wanted))
            )
            await product_store.save(tx, tenant_id, [after])
            change = messages.placed_change(product.id, sorted(before), sorted(wanted))
            await journal.record(tx, tenant_id, [change], [product_event("product.updated.v1", after)])
        return pb.SetProductCategoriesResponse(categories=[category_to_proto(tree[id]) for id in wanted])

    @mutation
    async def CreateCollection(
        self, request: pb.CreateCollectionRequest, tx: AsyncConnection
    ) -> pb.CreateCollectionResponse:
        tenant_id = current().tenant_id
        with inside("collection"):
            new = collection_from_proto(request.collection, id=uuid7(), now=self._clock.now())
            new = domain.add_collection(new)
        await store.add_collection(tx, tenant_id, new)
        changes, events = [messages.collection_change(None, new)], [messages.collection_event("created", new)]
        await journal.record(tx, tenant_id, changes, events)
        return pb.CreateCollectionResponse(collection=collection_to_proto(new))

    @mutation
    async def UpdateCollection(
        self, request: pb.UpdateCollectionRequest, tx: AsyncConnection
    ) -> pb.UpdateCollectionResponse:
        tenant_id = current().tenant_id
        masks.which("collection", request.collection.id)
        before = await store.collection(tx, tenant_id, request.collection.id, lock=True)
        message = collection_to_proto(before)
        masks.merge(message, request.collection, request.update_mask, ("handle", "title", "description"))
        now = self._clock.now()
        with inside("collection"):
            wanted = collection_from_proto(message, id=before.id, now=now)
            after = domain.change_collection(before, wanted, etag=request.collection.etag, now=now)
        if after is before:
            journal.unchanged(tx)
        else:
            await store.save_collection(tx, tenant_id, after)
            changes, events = [messages.collection_change(before, after)], [messages.collection_event("updated", after)]
            await journal.record(tx, tenant_id, changes, events)
        return pb.UpdateCollectionResponse(collection=collection_to_proto(after))

    @mutation
    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, tx: AsyncConnection
    ) -> pb.DeleteCollectionResponse:
        tenant_id = current().tenant_id
        gone = await store.collection(tx, tenant_id, request.id, lock=True)
        last = domain.touch_collection(gone, etag=request.etag, now=gone.update_time)
        await store.delete_collection(tx, tenant_id, gone.id)
        changes, events = [messages.collection_change(gone, None)], [messages.collection_event("deleted", last)]
        await journal.record(tx, tenant_id, changes, events)
        return pb.DeleteCollectionResponse()

    @mutation
    async def SetCollectionProducts(
        self, request: pb.SetCollectionProductsRequest, tx: AsyncConnection
    ) -> pb.SetCollectionProductsResponse:
        tenant_id = current().tenant_id
        collection = await store.collection(tx, tenant_id, request.collection_id, lock=True)
        after = domain.touch_collection(collection, etag=request.etag, now=self._clock.now())
        before = await store.products_of(tx, tenant_id, collection.id)
        wanted = [id.lower() for id in request.product_ids]
        if before == wanted:
            journal.unchanged(tx)
            return pb.SetCollectionProductsResponse(collection=collection_to_proto(collection))
        await store.fill(tx, tenant_id, collection.id, wanted)
        await store.save_collection(tx, tenant_id, after)
        change = messages.held_change(collection.id, before, wanted)
        await journal.record(tx, tenant_id, [change], [messages.collection_event("updated", after)])
        return pb.SetCollectionProductsResponse(collection=collection_to_proto(after))

    async def GetCollectionProducts(
        self, request: pb.GetCollectionProductsRequest, context: Context
    ) -> pb.GetCollectionProductsResponse:
        tenant_id = current().tenant_id
        async with self._reads.transaction(tenant_id) as tx:
            collection = await store.collection(tx, tenant_id, request.collection_id)
            held = await store.products_of(tx, tenant_id, collection.id)
        return pb.GetCollectionProductsResponse(product_ids=held)
