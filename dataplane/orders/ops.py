"""What is done with orders, inside the caller's transaction; the service, the sweeper and a checkout call the same.

Locks are taken in one order everywhere: the cart, its order's payments by id, the order, then stock, promotions and the
shop's last number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.carts import ops as cart_ops
from dataplane.carts import store as carts
from dataplane.inventory import messages as stock_messages
from dataplane.inventory import ops as inventory
from dataplane.inventory.domain import Outcome
from dataplane.orders import domain, store
from dataplane.orders.domain import Ledger, Noted, Order, Refund, RefundState, State
from dataplane.orders.messages import amount, change, event
from dataplane.promotions import ops as promotions
from shared.payments import store as payments_store
from shared.payments.domain import Kind, Payment
from shared.payments.ops import Begun, Payments
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.ids import is_uuid, uuid7

# What the timeline calls it, and what other planes are told then.
_EVENTS = {
    "created": "created",
    "placed": "placed",
    "captured": "paid",
    "fulfilled": "fulfilled",
    "delivered": "delivered",
    "refunded": "refunded",
    "canceled": "canceled",
    "expired": "expired",
}


@dataclass(frozen=True, slots=True)
class Happened:
    """kind: as the timeline calls it."""

    kind: str
    message: str
    fulfillment_id: str = ""
    refund_id: str = ""


async def create(tx: AsyncConnection, tenant_id: str, new: Order, *, now: datetime) -> Order:
    """With its number, which is given last: the shop's counter is held until the transaction ends."""
    [number] = await store.numbers(tx, tenant_id)
    order = replace(new, number=number)
    await store.add(tx, tenant_id, order)
    await journal.record(tx, tenant_id, [change(None, order)], [event("created", order, Ledger())])
    await _note(tx, tenant_id, order, [Happened("created", f"order {order.number} was begun")], now)
    return order


async def give_up(
    tx: AsyncConnection, tenant_id: str, order: Order, state: State, now: datetime, reason: str = ""
) -> Order:
    """Ends it as EXPIRED or CANCELED, and gives back what it holds but money. Its cart, payments and row are locked."""
    ended = domain.moved(order, state, now)
    outcome = await inventory.release(tx, tenant_id, order.id, now=now, reason=state.lower())
    await record_stock(tx, tenant_id, outcome, state.lower())
    await promotions.give_back(tx, tenant_id, order.id, now)
    # What was placed and is canceled leaves its cart as it is.
    if order.cart_id and order.state is State.PENDING_PAYMENT:
        await cart_ops.reopen(tx, tenant_id, order.cart_id, now)
    what = Happened(state.lower(), reason or _ENDS[state])
    return await save(tx, tenant_id, order, ended, [what], now, reason=reason)


_ENDS = {State.EXPIRED: "it was not paid in time", State.CANCELED: "canceled"}


async def locked(tx: AsyncConnection, tenant_id: str, order_id: str) -> tuple[Order, Ledger]:
    """With its cart and its payments. NotFound ORDER_NOT_FOUND."""
    found = await store.get(tx, tenant_id, order_id)
    if found.cart_id:
        await carts.lock(tx, tenant_id, found.cart_id)
    return await locked_with_payments(tx, tenant_id, order_id)


async def locked_with_payments(tx: AsyncConnection, tenant_id: str, order_id: str) -> tuple[Order, Ledger]:
    """For what leaves the cart alone. NotFound ORDER_NOT_FOUND."""
    await payments_store.of_reference(tx, tenant_id, order_id.lower(), lock=True)
    order = await store.get(tx, tenant_id, order_id, lock=True)
    return order, await store.ledger(tx, tenant_id, order.id)


async def save(
    tx: AsyncConnection,
    tenant_id: str,
    before: Order,
    after: Order,
    happened: Sequence[Happened],
    now: datetime,
    *,
    ledger: Ledger | None = None,
    reason: str = "",
) -> Order:
    """The one place where an order changes: its row, the audit, the events and the timeline. ledger: as it is by now,
    of whoever knows it."""
    after = domain.without_needless(replace(after, version=before.version + 1, update_time=now))
    await store.save(tx, tenant_id, before, after)
    if ledger is None:
        ledger = await store.ledger(tx, tenant_id, after.id)
    events = [
        event(_EVENTS[each.kind], after, ledger, fulfillment_id=each.fulfillment_id, refund_id=each.refund_id)
        for each in happened
        if each.kind in _EVENTS
    ]
    await journal.record(tx, tenant_id, [change(before, after, reason)], events)
    await _note(tx, tenant_id, after, happened, now)
    return after


async def forget_customer(tx: AsyncConnection, tenant_id: str, customer_id: str, now: datetime) -> list[Order]:
    """Takes out of a customer's orders what the books do not need; as they were before."""
    found = []
    for order_id in await store.of_customer(tx, tenant_id, customer_id):
        before = await store.get(tx, tenant_id, order_id, lock=True)
        erased = [Happened("customer_erased", "the customer was erased")]
        await save(tx, tenant_id, before, domain.forget_shopper(before), erased, now)
        found.append(before)
    return found


async def record_stock(tx: AsyncConnection, tenant_id: str, outcome: Outcome, reason: str = "") -> None:
    if outcome.steps:
        changes = stock_messages.changes(outcome, reason)
        await journal.record(tx, tenant_id, changes, stock_messages.events(outcome))


class Following:
    """What a changed payment means to its order, in the transaction of the change.

    payments: given once they are made, since they are made with this.
    """

    payments: Payments

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __call__(self, tx: AsyncConnection, tenant_id: str, payment: Payment) -> Begun | None:
        """What has to be done next, to be carried out after the commit."""
        if not is_uuid(payment.reference):
            return None
        before = await store.find(tx, tenant_id, payment.reference, lock=True)
        if before is None:
            return None
        now = self._clock.now()
        ledger = await store.ledger(tx, tenant_id, before.id)
        ledger, happened = await _mirrored(tx, tenant_id, before, payment, ledger, now)
        after, told = _followed(before, payment, ledger, now)
        happened = [*told, *happened]
        if after != before or happened:
            after = await save(tx, tenant_id, before, after, happened, now, ledger=ledger)
        return await self._begin(tx, tenant_id, after, payment, ledger, now)

    async def _begin(
        self, tx: AsyncConnection, tenant_id: str, order: Order, payment: Payment, ledger: Ledger, now: datetime
    ) -> Begun | None:
        match domain.follow_up(order, payment, ledger.payments):
            case Kind.CAPTURE:
                return await self.payments.capture(tx, tenant_id, payment.id)
            case Kind.VOID:
                return await self.payments.void(tx, tenant_id, payment.id, "its order is over")
            case Kind.REFUND:
                begun = await self.payments.refund(tx, tenant_id, payment.id, None, "its order is over")
                await _mirrored(tx, tenant_id, order, begun.payment, ledger, now)
                return begun
            case _:
                return None


async def begin_letting_go(
    tx: AsyncConnection, tenant_id: str, order: Order, ledger: Ledger, payments: Payments, now: datetime, reason: str
) -> list[Begun]:
    """How the money of an order that is canceled goes back; carried out after the commit.

    FailedPrecondition PAYMENT_OPEN.
    """
    begun = []
    for payment in ledger.payments:
        match domain.let_go(payment):
            case Kind.VOID:
                begun.append(await payments.void(tx, tenant_id, payment.id, reason))
            case Kind.REFUND:
                begun.append(await payments.refund(tx, tenant_id, payment.id, None, reason))
                ledger, _ = await _mirrored(tx, tenant_id, order, begun[-1].payment, ledger, now, reason)
            case _:
                pass
    return begun


def _followed(before: Order, payment: Payment, ledger: Ledger, now: datetime) -> tuple[Order, list[Happened]]:
    """The order after its payment has changed, and what that is called."""
    happened = [
        Happened("payment_failed", f"{each.kind.lower()}: {each.failure_reason}") for each in domain.failures(payment)
    ]
    order = before
    if order.state is State.PENDING_PAYMENT and domain.is_paid_for(ledger.payments):
        order = domain.moved(order, State.PLACED, now)
        happened.append(Happened("placed", f"{amount(order, order.total_minor)} authorized"))
    order = domain.derived(order, ledger, now)
    if order.paid_minor > before.paid_minor:
        happened.append(Happened("captured", f"{amount(order, order.paid_minor)} paid"))
    return order, happened


async def _mirrored(
    tx: AsyncConnection,
    tenant_id: str,
    order: Order,
    payment: Payment,
    ledger: Ledger,
    now: datetime,
    reason: str = "",
) -> tuple[Ledger, list[Happened]]:
    """Each refund as the provider's operation has it; one that was begun elsewhere becomes one of the order, too."""
    refunds = {each.id: each for each in ledger.refunds}
    mirrors = {each.operation_id: each for each in ledger.refunds}
    happened = []
    for operation in (each for each in payment.operations if each.kind is Kind.REFUND):
        known = mirrors.get(operation.id)
        new = known or Refund(uuid7(), operation.id, operation.amount_minor, reason, now)
        after = domain.refunded_by(new, operation)
        if known is None:
            await store.add_refund(tx, tenant_id, order.id, after)
        elif after != known:
            await store.settle_refund(tx, tenant_id, after)
        if after.state is not (known.state if known else RefundState.PENDING):
            happened.append(_refund_happened(order, after))
        refunds[after.id] = after
    return replace(ledger, refunds=tuple(refunds.values())), happened


def _refund_happened(order: Order, refund: Refund) -> Happened:
    if refund.state is RefundState.SUCCEEDED:
        return Happened("refunded", f"{amount(order, refund.amount_minor)} refunded", refund_id=refund.id)
    return Happened("refund_failed", f"{amount(order, refund.amount_minor)}: {refund.failure_reason}")


async def _note(tx: AsyncConnection, tenant_id: str, order: Order, happened: Sequence[Happened], now: datetime) -> None:
    noted = [Noted(uuid7(), each.kind, each.message, current().caller, now) for each in happened]
    if noted:
        await store.note(tx, tenant_id, order.id, noted)
