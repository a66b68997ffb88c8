"""NavigationService: how shoppers find their way through a shop."""

from typing import Any, TypeAlias

import grpc

from center.dataplane.v1 import navigation_service_pb2 as pb
from center.dataplane.v1 import navigation_service_pb2_grpc as pb_grpc
from dataplane.merchandising import store
from dataplane.merchandising.messages import category_to_proto, collection_to_proto
from dataplane.merchandising.tables import categories, collections
from shared.runtime import filters
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.filters import Field
from shared.runtime.paging import PageTokens, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_CATEGORY = {
    "id": Field(categories.c.id, "uuid"),
    "handle": Field(categories.c.handle),
    "parent_id": Field(categories.c.parent_id, "uuid"),
}
_BY_POSITION = filters.order("position", {"position": Field(categories.c.position, "int")}, categories.c.id)
_COLLECTION = {"id": Field(collections.c.id, "uuid"), "handle": Field(collections.c.handle)}
_NEWEST = filters.order(
    "create_time desc", {"create_time": Field(collections.c.create_time, "timestamp")}, collections.c.id
)


class NavigationService(pb_grpc.NavigationServiceServicer):
    """reads: transactions that do not write."""

    def __init__(self, *, reads: Database, tokens: PageTokens) -> None:
        self._reads = reads
        self._tokens = tokens

    async def ListCategories(self, request: pb.ListCategoriesRequest, context: Context) -> pb.ListCategoriesResponse:
        tenant_id = current().tenant_id
        condition = filters.where(request.filter, _CATEGORY)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(tenant_id) as tx:
            page, following = await store.page_of_categories(
                tx, tenant_id, condition, request.product_id, _BY_POSITION, cursor, size
            )
        return pb.ListCategoriesResponse(
            categories=map(category_to_proto, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    async def GetCategory(self, request: pb.GetCategoryRequest, context: Context) -> pb.GetCategoryResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            found = await store.category_named(tx, current().tenant_id, request.handle)
        return pb.GetCategoryResponse(category=category_to_proto(found))

    async def ListCollections(self, request: pb.ListCollectionsRequest, context: Context) -> pb.ListCollectionsResponse:
        tenant_id = current().tenant_id
        condition = filters.where(request.filter, _COLLECTION)
        cursor = self._tokens.read(request.page_token, request)
        # A page of the longest descriptions stays below the message limit.
        size = page_size(request.page_size, maximum=200)
        async with self._reads.transaction(tenant_id) as tx:
            page, following = await store.page_of_collections(tx, tenant_id, condition, _NEWEST, cursor, size)
        return pb.ListCollectionsResponse(
            collections=map(collection_to_proto, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    async def GetCollection(self, request: pb.GetCollectionRequest, context: Context) -> pb.GetCollectionResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            found = await store.collection_named(tx, current().tenant_id, request.handle)
        return pb.GetCollectionResponse(collection=collection_to_proto(found))
