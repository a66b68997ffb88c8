"""ProductService: one tenant's products, for shoppers and for the shop's own people."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
from sqlalchemy import true
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import product_service_pb2 as pb
from center.dataplane.v1 import product_service_pb2_grpc as pb_grpc
from center.shared.v1 import rules_pb2
from dataplane.features.local import LocalFeatures
from dataplane.products import domain, intake, search, store
from dataplane.products.domain import Product, Status
from dataplane.products.memory import Memory, remembered
from dataplane.products.messages import change, event, facets_to_proto, from_proto, search_of, to_proto
from dataplane.tables import products
from shared import products_csv
from shared.runtime import filters, journal, masks
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import inside
from shared.runtime.filters import Field
from shared.runtime.idempotency import mutation
from shared.runtime.ids import uuid7
from shared.runtime.paging import PageTokens, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# A page of the largest products stays below the message limit.
LARGEST_PAGE = 200

_STATUSES: dict[str, object] = {
    name: status.value for status in Status for name in (status, f"PRODUCT_STATUS_{status}")
}
_FIELDS = {
    "id": Field(products.c.id, "uuid"),
    "handle": Field(products.c.handle),
    "status": Field(products.c.status, "enum", _STATUSES),
    "create_time": Field(products.c.create_time, "timestamp"),
    "update_time": Field(products.c.update_time, "timestamp"),
}
_ORDERED = {name: _FIELDS[name] for name in ("handle", "create_time", "update_time")}
_CHANGEABLE = ("handle", "title", "description", "status", "options", "variants", "media")


class ProductService(pb_grpc.ProductServiceServicer):
    """db: transactions that may write (dataplane.tenants.local.Writes); reads: those that do not."""

    def __init__(
        self,
        *,
        db: Database,
        reads: Database,
        memory: Memory,
        tokens: PageTokens,
        clock: Clock,
        features: LocalFeatures,
    ) -> None:
        self.db = db
        self.memory = memory
        self._reads = reads
        self._tokens = tokens
        self._clock = clock
        self._features = features

    @mutation
    async def CreateProduct(self, request: pb.CreateProductRequest, tx: AsyncConnection) -> pb.CreateProductResponse:
        with inside("product"):
            product = domain.create(from_proto(request.product, id=uuid7(), now=self._clock.now()), uuid7)
        await store.add(tx, current().tenant_id, [product], self._features.of(current().tenant_id))
        await _record(tx, "product.created.v1", None, product)
        return pb.CreateProductResponse(product=to_proto(product))

    @remembered
    async def GetProduct(self, request: pb.GetProductRequest, context: Context) -> pb.GetProductResponse:
        product = await store.read(self._reads, current().tenant_id, request.id)
        if product.status is not Status.ACTIVE and _is_shopper():
            raise store.missing(request.id)
        return pb.GetProductResponse(product=to_proto(product))

    @remembered
    async def GetProductByHandle(
        self, request: pb.GetProductByHandleRequest, context: Context
    ) -> pb.GetProductByHandleResponse:
        product = await store.read_named(self._reads, current().tenant_id, request.handle)
        if product.status is not Status.ACTIVE and _is_shopper():
            raise store.unnamed(request.handle)
        return pb.GetProductByHandleResponse(product=to_proto(product))

    @remembered
    async def ListProducts(self, request: pb.ListProductsRequest, context: Context) -> pb.ListProductsResponse:
        ordering = filters.order(request.order_by or "create_time desc", _ORDERED, products.c.id)
        condition = filters.where(request.filter, _FIELDS)
        seen = products.c.status == Status.ACTIVE if _is_shopper() else true()
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size, maximum=LARGEST_PAGE)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.page(tx, current().tenant_id, condition & seen, ordering, cursor, size)
        return pb.ListProductsResponse(
            products=map(to_proto, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    async def SearchProducts(self, request: pb.SearchProductsRequest, context: Context) -> pb.SearchProductsResponse:
        tenant_id = current().tenant_id
        wanted = search_of(request)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size, maximum=LARGEST_PAGE)
        async with self._reads.transaction(tenant_id) as tx:
            if wanted.is_words_alone:
                page, following = await store.search(tx, tenant_id, wanted.words, cursor, size)
            else:
                ids, following = await search.find(tx, wanted, cursor, size)
                page = await store.some(tx, tenant_id, ids)
            counted = await search.count(tx, wanted) if request.facets else ()
        return pb.SearchProductsResponse(
            products=map(to_proto, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
            facets=facets_to_proto(counted, wanted.currency) if request.facets else None,
        )

    @mutation
    async def UpdateProduct(self, request: pb.UpdateProductRequest, tx: AsyncConnection) -> pb.UpdateProductResponse:
        masks.which("product", request.product.id)
        before = await store.lock(tx, current().tenant_id, request.product.id)
        message = to_proto(before)
        masks.merge(message, request.product, request.update_mask, _CHANGEABLE)
        now = self._clock.now()
        with inside("product"):
            wanted = from_proto(message, id=before.id, now=now)
            after = domain.change(before, wanted, etag=request.product.etag, now=now, new_id=uuid7)
        if after is not before:
            await store.save(tx, current().tenant_id, [after])
            await _record(tx, "product.updated.v1", before, after)
        else:
            journal.unchanged(tx)
        return pb.UpdateProductResponse(product=to_proto(after))

    @mutation
    async def ArchiveProduct(self, request: pb.ArchiveProductRequest, tx: AsyncConnection) -> pb.ArchiveProductResponse:
        before = await store.lock(tx, current().tenant_id, request.id)
        after = domain.archive(before, etag=request.etag, now=self._clock.now())
        await store.save(tx, current().tenant_id, [after])
        await _record(tx, "product.archived.v1", before, after)
        return pb.ArchiveProductResponse(product=to_proto(after))

    async def ExportProducts(
        self, request: pb.ExportProductsRequest, context: Context
    ) -> AsyncIterator[pb.ExportProductsResponse]:
        """A page a transaction: whoever reads slowly holds none."""
        tenant_id = current().tenant_id
        by_handle = filters.order("handle", _ORDERED, products.c.id)
        on_sale = products.c.status != Status.ARCHIVED
        yield pb.ExportProductsResponse(data=products_csv.header().encode())
        cursor = None
        while True:
            async with self._reads.transaction(tenant_id) as tx:
                page, cursor = await store.page(tx, tenant_id, on_sale, by_handle, cursor, LARGEST_PAGE)
            if page:
                yield pb.ExportProductsResponse(data=products_csv.write(map(to_proto, page)).encode())
            if cursor is None:
                return

    async def ImportProducts(
        self, requests: AsyncIterator[pb.ImportProductsRequest], context: Context
    ) -> AsyncIterator[pb.ImportProductsResponse]:
        async with aclosing(intake.take(requests, self.db, self._clock, self._features)) as taking:
            async for progress in taking:
                yield progress


async def _record(tx: AsyncConnection, type: str, before: Product | None, after: Product) -> None:
    await journal.record(tx, current().tenant_id, [change(before, after)], [event(type, after)])


def _is_shopper() -> bool:
    return current().role == rules_pb2.CALLER_SHOPPER
