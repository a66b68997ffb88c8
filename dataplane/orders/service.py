"""OrderService: what shoppers have bought of one tenant, for its own people."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import order_service_pb2 as pb
from center.dataplane.v1 import order_service_pb2_grpc as pb_grpc
from dataplane.inventory import messages as stock_messages
from dataplane.inventory import ops as inventory
from dataplane.inventory.domain import Adjustment, Kind, Line
from dataplane.orders import domain, messages, ops, store
from dataplane.orders.domain import Fulfillment, Ledger, Noted, Order, Refund, RefundLine, State
from dataplane.orders.messages import fulfillment_line, fulfillment_to_proto, listed, refund_line, to_proto
from dataplane.orders.ops import Happened
from dataplane.orders.tables import order_events, orders
from shared.payments.domain import Payment
from shared.payments.ops import Begun, Payments
from shared.runtime import filters, idempotency, journal, money
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import FailedPrecondition, NotFound
from shared.runtime.filters import Field
from shared.runtime.idempotency import mutation
from shared.runtime.ids import uuid7
from shared.runtime.journal import Change
from shared.runtime.money import Money
from shared.runtime.paging import Ordering, PageTokens, Term, page_size
from shared.runtime.vault import Vault

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


def _named(states: Iterable[str], prefix: str) -> dict[str, object]:
    return {name: str(state) for state in states for name in (str(state), f"{prefix}_{state}")}


_FIELDS = {
    "id": Field(orders.c.id, "uuid"),
    "number": Field(orders.c.number, "int"),
    "state": Field(orders.c.state, "enum", _named(State, "ORDER_STATE")),
    "payment_status": Field(orders.c.payment_status, "enum", _named(domain.PaymentStatus, "PAYMENT_STATUS")),
    "fulfillment_status": Field(
        orders.c.fulfillment_status, "enum", _named(domain.FulfillmentStatus, "FULFILLMENT_STATUS")
    ),
    "customer_id": Field(orders.c.customer_id, "uuid"),
    "currency": Field(orders.c.currency),
    "create_time": Field(orders.c.create_time, "timestamp"),
    "place_time": Field(orders.c.place_time, "timestamp"),
}
_ORDER = filters.order("create_time desc", {"create_time": _FIELDS["create_time"]}, orders.c.id)
_TIMELINE = Ordering((Term(order_events.c.id),))


class OrderService(pb_grpc.OrderServiceServicer):
    """db: transactions that may write (dataplane.tenants.local.Writes); reads: those that do not."""

    def __init__(
        self, *, db: Database, reads: Database, tokens: PageTokens, clock: Clock, vault: Vault, payments: Payments
    ) -> None:
        self.db = db
        self._reads = reads
        self._tokens = tokens
        self._clock = clock
        self._vault = vault
        self._payments = payments

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.GetOrderResponse:
        order, ledger = await self._read(request.id)
        return pb.GetOrderResponse(order=messages.opened(order, ledger, self._vault, current().tenant_id))

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:
        condition = filters.where(request.filter, _FIELDS)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.page(tx, current().tenant_id, condition, _ORDER, cursor, size)
        return pb.ListOrdersResponse(
            orders=map(listed, page), next_page_token=self._tokens.issue(following, request) if following else ""
        )

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: Context) -> pb.CancelOrderResponse:
        """The order ends in one transaction, in which its money is told to go back; the provider is called after."""
        tenant_id, now = current().tenant_id, self._clock.now()
        async with self.db.transaction(tenant_id) as tx:
            order, ledger = await ops.locked(tx, tenant_id, request.id)
            is_new = await idempotency.claim(tx, request) is None
            begun: list[Begun] = []
            if is_new:
                domain.refuse_stale(order, request.etag)
                begun = await ops.begin_letting_go(tx, tenant_id, order, ledger, self._payments, now, request.reason)
                if order.state is not State.CANCELED:
                    await ops.give_up(tx, tenant_id, order, State.CANCELED, now, request.reason)
                elif not begun:
                    journal.unchanged(tx)
                await idempotency.settle(tx, request, pb.CancelOrderResponse(order=pb.Order(id=order.id)))
        await self._carry_out(begun)
        if not is_new:
            await self._again(context, ledger.payments)
        return pb.CancelOrderResponse(order=to_proto(*await self._read(order.id)))

    async def CreateFulfillment(
        self, request: pb.CreateFulfillmentRequest, context: Context
    ) -> pb.CreateFulfillmentResponse:
        """All that may be refused is looked at before any money is taken: what is not paid for is rolled back, paid,
        and then shipped. What a crash leaves between is an order that is paid for and not shipped; the same request
        goes on from there."""
        try:
            return await self._fulfilled(request, context)
        except FailedPrecondition as refusal:
            if refusal.reason not in _UNPAID:
                raise
        await self._capture(request)
        return await self._fulfilled(request, context)

    @mutation
    async def MarkDelivered(self, request: pb.MarkDeliveredRequest, tx: AsyncConnection) -> pb.MarkDeliveredResponse:
        tenant_id, now, id = current().tenant_id, self._clock.now(), request.fulfillment_id.lower()
        before = await store.get(tx, tenant_id, request.order_id, lock=True)
        ledger = await store.ledger(tx, tenant_id, before.id)
        found = next((each for each in ledger.fulfillments if each.id == id), None)
        if found is None:
            raise NotFound("FULFILLMENT_NOT_FOUND", f"no fulfillment {id} of this order", id=id)
        if found.deliver_time is not None:
            journal.unchanged(tx)
            return pb.MarkDeliveredResponse(order=to_proto(before, ledger))
        await store.deliver(tx, tenant_id, id, now)
        ledger = await store.ledger(tx, tenant_id, before.id)
        happened = [Happened("delivered", found.tracking_number, fulfillment_id=id)]
        after = domain.derived(before, ledger, now)
        after = await ops.save(tx, tenant_id, before, after, happened, now, ledger=ledger)
        return pb.MarkDeliveredResponse(order=to_proto(after, ledger))

    async def RefundOrder(self, request: pb.RefundOrderRequest, context: Context) -> pb.RefundOrderResponse:
        amount = money.from_proto(request.amount, "amount") if request.HasField("amount") else None
        tenant_id, begun = current().tenant_id, None
        async with self.db.transaction(tenant_id) as tx:
            order, ledger = await ops.locked_with_payments(tx, tenant_id, request.id)
            before = await idempotency.claim(tx, request)
            if isinstance(before, pb.RefundOrderResponse):
                refund_id = before.refund.id
            else:
                domain.refuse_stale(order, request.etag)
                begun, refund_id = await self._refund(tx, order, ledger, request, amount)
                named = pb.RefundOrderResponse(order=pb.Order(id=order.id), refund=pb.Refund(id=refund_id))
                await idempotency.settle(tx, request, named)
        if begun is not None:
            await self._carry_out([begun])
        else:
            await self._again(context, ledger.payments)
        order, ledger = await self._read(order.id)
        [refund] = [each for each in ledger.refunds if each.id == refund_id]
        return pb.RefundOrderResponse(
            order=to_proto(order, ledger), refund=messages.refund_to_proto(order.currency, refund)
        )

    @mutation
    async def AddOrderNote(self, request: pb.AddOrderNoteRequest, tx: AsyncConnection) -> pb.AddOrderNoteResponse:
        tenant_id = current().tenant_id
        order = await store.get(tx, tenant_id, request.order_id)
        noted = Noted(uuid7(), "note", request.note, current().caller, self._clock.now())
        await store.note(tx, tenant_id, order.id, [noted])
        # What it says is for the timeline alone.
        await journal.record(tx, tenant_id, [Change("order_note", noted.id, {}, {"order_id": order.id})])
        return pb.AddOrderNoteResponse(event=messages.noted_to_proto(noted))

    async def ListOrderEvents(self, request: pb.ListOrderEventsRequest, context: Context) -> pb.ListOrderEventsResponse:
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        tenant_id = current().tenant_id
        async with self._reads.transaction(tenant_id) as tx:
            order = await store.get(tx, tenant_id, request.order_id)
            page, following = await store.timeline(tx, tenant_id, order.id, _TIMELINE, cursor, size)
        return pb.ListOrderEventsResponse(
            events=map(messages.noted_to_proto, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    async def _read(self, order_id: str) -> tuple[Order, Ledger]:
        tenant_id = current().tenant_id
        async with self._reads.transaction(tenant_id, snapshot=True) as tx:
            return await store.get(tx, tenant_id, order_id), await store.ledger(tx, tenant_id, order_id.lower())

    async def _carry_out(self, begun: Iterable[Begun]) -> None:
        for each in begun:
            await self._payments.carry_out(current().tenant_id, each)

    async def _again(self, context: Context, payments: Sequence[Payment]) -> None:
        """The same request comes again: what its first call left open is asked about."""
        idempotency.replayed(context)
        await self._payments.ask_all(current().tenant_id, payments)

    async def _fulfilled(self, request: pb.CreateFulfillmentRequest, context: Context) -> pb.CreateFulfillmentResponse:
        """FailedPrecondition PAYMENT_NOT_CAPTURED or PAYMENT_OPEN, when nothing else is in the way."""
        async with self.db.transaction(current().tenant_id) as tx:
            # The lock first: of two that come with one request_id, the other sees what this one did.
            order, ledger = await ops.locked_with_payments(tx, current().tenant_id, request.order_id)
            before = await idempotency.claim(tx, request)
            if isinstance(before, pb.CreateFulfillmentResponse) and before.HasField("fulfillment"):
                idempotency.replayed(context)
                return before
            if before is None:
                domain.refuse_stale(order, request.etag)
            answer = await self._fulfill(tx, order, ledger, request)
            domain.refuse_unpaid(order, ledger.payments)
            await idempotency.settle(tx, request, answer)
        return answer

    async def _fulfill(
        self, tx: AsyncConnection, order: Order, ledger: Ledger, request: pb.CreateFulfillmentRequest
    ) -> pb.CreateFulfillmentResponse:
        tenant_id, now = current().tenant_id, self._clock.now()
        lines = domain.fulfill(order, map(fulfillment_line, request.lines))
        shipped = [Line(order.line(line.line_id).variant_id, line.quantity) for line in lines]
        outcome = await inventory.commit(tx, tenant_id, order.id, shipped, now=now)
        await ops.record_stock(tx, tenant_id, outcome, "fulfilled")
        new = Fulfillment(uuid7(), lines, request.carrier, request.tracking_number, now)
        await store.add_fulfillment(tx, tenant_id, order.id, new)
        ledger = replace(ledger, fulfillments=(*ledger.fulfillments, new))
        what = f"{sum(line.quantity for line in lines)} shipped {request.carrier} {request.tracking_number}".strip()
        happened = [Happened("fulfilled", what, fulfillment_id=new.id)]
        after = domain.derived(order, ledger, now)
        after = await ops.save(tx, tenant_id, order, after, happened, now, ledger=ledger)
        return pb.CreateFulfillmentResponse(order=to_proto(after, ledger), fulfillment=fulfillment_to_proto(new))

    async def _capture(self, request: pb.CreateFulfillmentRequest) -> None:
        """Takes the money, or asks what became of an attempt to. Whatever comes of it shows in the payment."""
        tenant_id, begun = current().tenant_id, None
        async with self.db.transaction(tenant_id) as tx:
            order, ledger = await ops.locked_with_payments(tx, tenant_id, request.order_id)
            if await idempotency.claim(tx, request) is None:
                domain.refuse_stale(order, request.etag)
                # An answer without a fulfillment: the request goes on, though its etag is old by then.
                await idempotency.settle(tx, request, pb.CreateFulfillmentResponse())
            if (payment := domain.to_capture(order, ledger.payments)) is not None:
                begun = await self._payments.capture(tx, tenant_id, payment.id)
            else:
                journal.unchanged(tx)
        if begun is not None:
            await self._carry_out([begun])
        else:
            await self._payments.ask_all(tenant_id, ledger.payments)

    async def _refund(
        self,
        tx: AsyncConnection,
        order: Order,
        ledger: Ledger,
        request: pb.RefundOrderRequest,
        amount: Money | None,
    ) -> tuple[Begun, str]:
        """What was begun, and the id of the refund."""
        tenant_id, now = current().tenant_id, self._clock.now()
        payment = domain.to_refund(order, ledger.payments)
        lines = tuple(map(refund_line, request.lines))
        worth = domain.refund(order, lines)
        if amount is None and lines:
            amount = Money(order.currency, worth)
        await self._take_back(tx, order, lines, request.reason)
        begun = await self._payments.refund(tx, tenant_id, payment.id, amount, request.reason)
        minor = begun.operation.amount_minor
        new = Refund(uuid7(), begun.operation.id, minor, request.reason, now, lines=lines)
        await store.add_refund(tx, tenant_id, order.id, new)
        ledger = replace(ledger, refunds=(*ledger.refunds, new))
        words = f"{messages.amount(order, minor)} {request.reason}".strip()
        happened = [Happened("refund_requested", words, refund_id=new.id)]
        after = domain.derived(order, ledger, now)
        await ops.save(tx, tenant_id, order, after, happened, now, reason=request.reason)
        return begun, new.id

    async def _take_back(self, tx: AsyncConnection, order: Order, lines: Sequence[RefundLine], reason: str) -> None:
        """What came back goes into stock, and what will not leave is given free."""
        tenant_id, now = current().tenant_id, self._clock.now()
        if withdrawn := [_stock_line(order, line) for line in lines if line.withdrawn]:
            outcome = await inventory.release(tx, tenant_id, order.id, withdrawn, now=now, reason=reason)
            await ops.record_stock(tx, tenant_id, outcome, reason)
        returned = [
            Adjustment(
                order.line(line.line_id).variant_id, "", Kind.RETURNED, line.quantity,
                reference=order.id, reason=reason,
            )
            for line in lines
            if line.restock
        ]  # fmt: skip
        if returned:
            outcome, made = await inventory.adjust(tx, tenant_id, returned, now=now)
            changes = stock_messages.changes(outcome, reason)
            if made is not None:
                changes.insert(0, stock_messages.location_change(None, made))
            await journal.record(tx, tenant_id, changes, stock_messages.events(outcome))


_UNPAID = (domain.NOT_CAPTURED, domain.OPEN)


def _stock_line(order: Order, line: RefundLine) -> Line:
    return Line(order.line(line.line_id).variant_id, line.quantity)
