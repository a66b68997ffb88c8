"""PromotionService: one tenant's promotions, what they would do to a cart, and which orders used them."""

from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import promotion_service_pb2 as pb
from center.dataplane.v1 import promotion_service_pb2_grpc as pb_grpc
from dataplane.promotions import domain, messages, store
from dataplane.promotions.domain import Promotion, Status
from dataplane.promotions.messages import change, event, from_proto, redemption_to_proto, to_proto
from dataplane.promotions.tables import promotion_redemptions, promotions
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

# A page of the largest promotions stays below the message limit of clients that have not raised it.
LARGEST_PAGE = 200

_STATUSES: dict[str, object] = {
    name: status.value for status in Status for name in (status.value, f"PROMOTION_STATUS_{status.value}")
}
_FIELDS = {
    "id": Field(promotions.c.id, "uuid"),
    "display_name": Field(promotions.c.display_name),
    "code": Field(promotions.c.code),
    "status": Field(promotions.c.status, "enum", _STATUSES),
    "automatic": Field(promotions.c.automatic, "bool"),
    "exclusive": Field(promotions.c.exclusive, "bool"),
    "stack_group": Field(promotions.c.stack_group),
    "priority": Field(promotions.c.priority, "int"),
    "currency_code": Field(promotions.c.currency),
    "uses": Field(promotions.c.uses, "int"),
    "create_time": Field(promotions.c.create_time, "timestamp"),
    "update_time": Field(promotions.c.update_time, "timestamp"),
}
_ORDER = filters.order("create_time desc", {"create_time": _FIELDS["create_time"]}, promotions.c.id)
_REDEEMED = {
    "id": Field(promotion_redemptions.c.id, "uuid"),
    "promotion_id": Field(promotion_redemptions.c.promotion_id, "uuid"),
    "order_id": Field(promotion_redemptions.c.order_id, "uuid"),
    "customer_id": Field(promotion_redemptions.c.customer_id, "uuid"),
    "create_time": Field(promotion_redemptions.c.create_time, "timestamp"),
    "cancel_time": Field(promotion_redemptions.c.cancel_time, "timestamp"),
}
_REDEEMED_ORDER = filters.order(
    "create_time desc", {"create_time": _REDEEMED["create_time"]}, promotion_redemptions.c.id
)
_CHANGEABLE = (
    "display_name", "code", "automatic", "priority", "exclusive", "stack_group", "start_time", "end_time",
    "usage_limit", "per_customer_limit", "budget", "currency_code", "status", "rule_sets", "effect",
)  # fmt: skip


class PromotionService(pb_grpc.PromotionServiceServicer):
    """db: transactions that may write (dataplane.tenants.local.Writes); reads: those that do not."""

    def __init__(self, *, db: Database, reads: Database, tokens: PageTokens, clock: Clock) -> None:
        self.db = db
        self._reads = reads
        self._tokens = tokens
        self._clock = clock

    @mutation
    async def CreatePromotion(
        self, request: pb.CreatePromotionRequest, tx: AsyncConnection
    ) -> pb.CreatePromotionResponse:
        with inside("promotion"):
            promotion = domain.create(from_proto(request.promotion, id=uuid7(), now=self._clock.now()))
        await store.add(tx, current().tenant_id, promotion)
        await _record(tx, "promotion.created.v1", None, promotion)
        return pb.CreatePromotionResponse(promotion=to_proto(promotion))

    async def GetPromotion(self, request: pb.GetPromotionRequest, context: Context) -> pb.GetPromotionResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            promotion = await store.get(tx, current().tenant_id, request.id)
        return pb.GetPromotionResponse(promotion=to_proto(promotion))

    async def ListPromotions(self, request: pb.ListPromotionsRequest, context: Context) -> pb.ListPromotionsResponse:
        condition = filters.where(request.filter, _FIELDS)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size, maximum=LARGEST_PAGE)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.page(tx, current().tenant_id, condition, _ORDER, cursor, size)
        return pb.ListPromotionsResponse(
            promotions=map(to_proto, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    @mutation
    async def UpdatePromotion(
        self, request: pb.UpdatePromotionRequest, tx: AsyncConnection
    ) -> pb.UpdatePromotionResponse:
        masks.which("promotion", request.promotion.id)
        before = await store.get(tx, current().tenant_id, request.promotion.id, lock=True)
        message = to_proto(before)
        masks.merge(message, request.promotion, request.update_mask, _CHANGEABLE)
        now = self._clock.now()
        with inside("promotion"):
            wanted = from_proto(message, id=before.id, now=now)
            after = domain.change(before, wanted, etag=request.promotion.etag, now=now)
        if after is not before:
            await store.save(tx, current().tenant_id, before, after)
            await _record(tx, "promotion.updated.v1", before, after)
        else:
            journal.unchanged(tx)
        return pb.UpdatePromotionResponse(promotion=to_proto(after))

    @mutation
    async def ArchivePromotion(
        self, request: pb.ArchivePromotionRequest, tx: AsyncConnection
    ) -> pb.ArchivePromotionResponse:
        before = await store.get(tx, current().tenant_id, request.id, lock=True)
        after = domain.archive(before, etag=request.etag, now=self._clock.now())
        await store.save(tx, current().tenant_id, before, after)
        await _record(tx, "promotion.archived.v1", before, after)
        return pb.ArchivePromotionResponse(promotion=to_proto(after))

    async def Simulate(self, request: pb.SimulateRequest, context: Context) -> pb.SimulateResponse:
        with inside("cart"):
            cart = domain.checked(messages.cart(request.cart))
        named = [id.lower() for id in request.promotion_ids]
        async with self._reads.transaction(current().tenant_id) as tx:
            found = await store.candidates(tx, current().tenant_id, cart.codes, cart.customer_id, named)
        if unknown := set(named) - {promotion.id for promotion in found}:
            raise store.missing(min(unknown))
        at = messages.moment(request, "time") or self._clock.now()
        return messages.simulated(domain.evaluate(cart, found, at))

    async def ListRedemptions(self, request: pb.ListRedemptionsRequest, context: Context) -> pb.ListRedemptionsResponse:
        condition = filters.where(request.filter, _REDEEMED)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.redemptions(tx, current().tenant_id, condition, _REDEEMED_ORDER, cursor, size)
        return pb.ListRedemptionsResponse(
            redemptions=map(redemption_to_proto, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )


async def _record(tx: AsyncConnection, type: str, before: Promotion | None, after: Promotion) -> None:
    await journal.record(tx, current().tenant_id, [change(before, after)], [event(type, after)])
