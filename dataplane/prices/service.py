"""PriceListService: one tenant's price lists and the prices in them."""

from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import price_list_service_pb2 as pb
from center.dataplane.v1 import price_list_service_pb2_grpc as pb_grpc
from dataplane.prices import domain, messages, store
from dataplane.prices.domain import PriceList, Status
from dataplane.prices.messages import change, event, from_proto, price_from_proto, price_to_proto, to_proto
from dataplane.prices.tables import price_lists, prices
from shared.runtime import filters, journal, masks
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import inside
from shared.runtime.filters import Field
from shared.runtime.idempotency import mutation
from shared.runtime.ids import uuid7
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_STATUSES: dict[str, object] = {
    name: status.value for status in Status for name in (status.value, f"PRICE_LIST_STATUS_{status.value}")
}
_FIELDS = {
    "id": Field(price_lists.c.id, "uuid"),
    "display_name": Field(price_lists.c.display_name),
    "currency_code": Field(price_lists.c.currency),
    "status": Field(price_lists.c.status, "enum", _STATUSES),
    "create_time": Field(price_lists.c.create_time, "timestamp"),
    "update_time": Field(price_lists.c.update_time, "timestamp"),
}
_ORDER = filters.order("create_time desc", {"create_time": _FIELDS["create_time"]}, price_lists.c.id)
_OF_PRICES = {
    "variant_id": Field(prices.c.variant_id, "uuid"),
    "min_quantity": Field(prices.c.min_quantity, "int"),
}
_BY_VARIANT = Ordering((Term(prices.c.variant_id), Term(prices.c.min_quantity)))
_CHANGEABLE = ("display_name", "start_time", "end_time")


class PriceListService(pb_grpc.PriceListServiceServicer):
    """db: transactions that may write (dataplane.tenants.local.Writes); reads: those that do not."""

    def __init__(self, *, db: Database, reads: Database, tokens: PageTokens, clock: Clock) -> None:
        self.db = db
        self._reads = reads
        self._tokens = tokens
        self._clock = clock

    @mutation
    async def CreatePriceList(
        self, request: pb.CreatePriceListRequest, tx: AsyncConnection
    ) -> pb.CreatePriceListResponse:
        with inside("price_list"):
            new = domain.create(from_proto(request.price_list, id=uuid7(), now=self._clock.now()))
        await store.add(tx, current().tenant_id, new)
        await _record(tx, "created", None, new)
        return pb.CreatePriceListResponse(price_list=to_proto(new))

    async def GetPriceList(self, request: pb.GetPriceListRequest, context: Context) -> pb.GetPriceListResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            found = await store.get(tx, current().tenant_id, request.id)
        return pb.GetPriceListResponse(price_list=to_proto(found))

    async def ListPriceLists(self, request: pb.ListPriceListsRequest, context: Context) -> pb.ListPriceListsResponse:
        condition = filters.where(request.filter, _FIELDS)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.page(tx, current().tenant_id, condition, _ORDER, cursor, size)
        return pb.ListPriceListsResponse(
            price_lists=map(to_proto, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    @mutation
    async def UpdatePriceList(
        self, request: pb.UpdatePriceListRequest, tx: AsyncConnection
    ) -> pb.UpdatePriceListResponse:
        masks.which("price_list", request.price_list.id)
        before = await store.get(tx, current().tenant_id, request.price_list.id, lock=True)
        message = to_proto(before)
        masks.merge(message, request.price_list, request.update_mask, _CHANGEABLE)
        now = self._clock.now()
        with inside("price_list"):
            wanted = from_proto(message, id=before.id, now=now)
            after = domain.change(before, wanted, etag=request.price_list.etag, now=now)
        if after is before:
            journal.unchanged(tx)
        else:
            await store.save(tx, current().tenant_id, after)
            await _record(tx, "updated", before, after)
        return pb.UpdatePriceListResponse(price_list=to_proto(after))

    @mutation
    async def ArchivePriceList(
        self, request: pb.ArchivePriceListRequest, tx: AsyncConnection
    ) -> pb.ArchivePriceListResponse:
        before = await store.get(tx, current().tenant_id, request.id, lock=True)
        after = domain.archive(before, etag=request.etag, now=self._clock.now())
        await store.save(tx, current().tenant_id, after)
        await _record(tx, "archived", before, after)
        return pb.ArchivePriceListResponse(price_list=to_proto(after))

    @mutation
    async def SetPrices(self, request: pb.SetPricesRequest, tx: AsyncConnection) -> pb.SetPricesResponse:
        tenant_id = current().tenant_id
        known = await store.get(tx, tenant_id, request.price_list_id, lock=True)
        domain.refuse_changes(known, request.etag)
        new = domain.checked_prices(
            [price_from_proto(known.currency, each, f"prices[{n}]") for n, each in enumerate(request.prices)]
        )
        variants = sorted({each.lower() for each in request.variant_ids} | {each.variant_id for each in new})
        await store.lock_variants(tx, tenant_id, variants)
        old = await store.prices_of(tx, tenant_id, known.id, variants)
        if new == old:
            journal.unchanged(tx)
            return pb.SetPricesResponse(price_list=to_proto(known))
        after = domain.touch(known, now=self._clock.now())
        await store.replace_prices(tx, tenant_id, known.id, variants, new)
        await store.save(tx, tenant_id, after)
        await journal.record(tx, tenant_id, [messages.prices_change(after, old, new)], [event("updated", after)])
        return pb.SetPricesResponse(price_list=to_proto(after))

    async def ListPrices(self, request: pb.ListPricesRequest, context: Context) -> pb.ListPricesResponse:
        tenant_id = current().tenant_id
        condition = filters.where(request.filter, _OF_PRICES)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(tenant_id) as tx:
            found = await store.get(tx, tenant_id, request.price_list_id)
            page, following = await store.page_of_prices(tx, tenant_id, found.id, condition, _BY_VARIANT, cursor, size)
        return pb.ListPricesResponse(
            prices=[price_to_proto(found.currency, each) for each in page],
            next_page_token=self._tokens.issue(following, request) if following else "",
        )


async def _record(tx: AsyncConnection, type: str, before: PriceList | None, after: PriceList) -> None:
    await journal.record(tx, current().tenant_id, [change(before, after)], [event(type, after)])
