"""CheckoutService: a cart's stock is held, the order is made, and then it is paid."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import cart_service_pb2
from center.dataplane.v1 import checkout_service_pb2 as pb
from center.dataplane.v1 import checkout_service_pb2_grpc as pb_grpc
from dataplane.carts import domain as carts
from dataplane.carts import messages as cart_messages
from dataplane.carts import ops as cart_ops
from dataplane.carts import store as cart_store
from dataplane.carts.domain import Cart
from dataplane.carts.pricing import Offer
from dataplane.checkout import domain, store
from dataplane.checkout.domain import Capture, Checkout, Method, Quote, Requirement, Settings
from dataplane.checkout.messages import change, is_open, method_to_proto, ordered, started, started_event
from dataplane.inventory import messages as stock
from dataplane.inventory import ops as inventory
from dataplane.inventory.domain import Line as StockLine
from dataplane.inventory.domain import Reservation
from dataplane.orders import domain as orders
from dataplane.orders import messages as order_messages
from dataplane.orders import ops as order_ops
from dataplane.orders import store as order_store
from dataplane.orders.domain import Adjustment, Line, Order, State
from dataplane.promotions import ops as promotion_ops
from dataplane.promotions import store as promotion_store
from dataplane.promotions.domain import Promotion
from shared.payments import store as payment_store
from shared.payments.domain import Payment
from shared.payments.domain import State as PaymentState
from shared.payments.ops import Begun, Payments
from shared.runtime import idempotency, journal, money
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import FailedPrecondition, NotFound
from shared.runtime.events.boundary import Boundary, none
from shared.runtime.idempotency import mutation
from shared.runtime.ids import uuid7
from shared.runtime.money import Money
from shared.runtime.vault import Vault

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_ABANDONED = "abandoned by the shopper"


@dataclass(frozen=True, slots=True)
class Found:
    """A cart and all that its price depends on. address: opened; None where there is none."""

    cart: Cart
    offers: dict[str, Offer]
    promotions: list[Promotion]
    settings: Settings
    address: cart_service_pb2.Address | None

    @property
    def country(self) -> str:
        return "" if self.address is None else self.address.country_code

    def quote(self, clock: Clock, shipping_minor: int) -> Quote:
        return domain.quote(
            self.settings, self.cart, self.offers, self.promotions, clock.now(), self.country, shipping_minor
        )

    def methods(self, clock: Clock) -> list[Method]:
        """By what is in the cart after the discounts that it has without being shipped: a promotion about shipping
        does not decide which shipping there is."""
        goods = self.quote(clock, 0).priced.total_minor
        return domain.methods(self.settings, self.cart.currency, self.country, goods) if self.address else []


@dataclass(frozen=True, slots=True)
class Step:
    """What follows the commit: operations to carry out, or payments to ask about."""

    order_id: str
    begun: tuple[Begun, ...] = ()
    asked: tuple[Payment, ...] = ()


class CheckoutService(pb_grpc.CheckoutServiceServicer):
    """db: transactions that may write; reads: those that do not. carts, orders: what seals their e-mails and addresses.
    reached: told of each step, for tests."""

    def __init__(
        self,
        *,
        db: Database,
        reads: Database,
        clock: Clock,
        payments: Payments,
        carts: Vault,
        orders: Vault,
        reached: Boundary = none,
    ) -> None:
        self.db = db
        self._reads = reads
        self._clock = clock
        self._payments = payments
        self._carts = carts
        self._orders = orders
        self._reached = reached

    async def GetRequirements(self, request: pb.GetRequirementsRequest, context: Context) -> pb.GetRequirementsResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            found = await self._found(tx, request.cart_id)
        methods = found.methods(self._clock)
        missing = self._missing(found, found.quote(self._clock, methods[0].price_minor if methods else 0), methods)
        return pb.GetRequirementsResponse(
            missing=[f"REQUIREMENT_{each}" for each in missing],
            shipping_methods=[method_to_proto(found.cart.currency, each) for each in methods],
        )

    @mutation
    async def StartCheckout(self, request: pb.StartCheckoutRequest, tx: AsyncConnection) -> pb.StartCheckoutResponse:
        tenant_id, now = current().tenant_id, self._clock.now()
        cart_id = request.cart_id.lower()
        await cart_store.lock(tx, tenant_id, cart_id)
        found = await self._found(tx, cart_id)
        if found.cart.state is carts.State.COMPLETED and await self._unpaid_ended(tx, cart_id):
            found = await self._found(tx, cart_id)
        carts.refuse_changes(found.cart)
        methods = found.methods(self._clock)
        method = domain.chosen(methods, request.shipping_method) if methods else domain.FREE
        quoted = found.quote(self._clock, method.price_minor)
        _refuse_missing(self._missing(found, quoted, methods))
        before = await store.get(tx, tenant_id, cart_id)
        new = Checkout(
            cart_id=cart_id,
            cart_version=found.cart.version,
            shipping_method=method.id,
            shipping_minor=method.price_minor,
            total_minor=quoted.total_minor,
            create_time=now,
            expire_time=now + found.settings.hold,
        )
        lines = [StockLine(line.variant_id, line.quantity) for line in found.cart.lines]
        released = await inventory.release(tx, tenant_id, cart_id, now=now, reason="checkout started again")
        held = await inventory.reserve(tx, tenant_id, cart_id, lines, new.expire_time, now=now)
        await store.put(tx, tenant_id, new)
        await journal.record(
            tx,
            tenant_id,
            [change(before, new), *stock.changes(released), *stock.changes(held)],
            [*stock.events(released), *stock.events(held), started_event(new, found.cart)],
        )
        await self._reached("reserved")
        answer = started(new, found.cart.currency, quoted, method, is_over=False)
        return pb.StartCheckoutResponse(checkout=answer)

    async def GetCheckout(self, request: pb.GetCheckoutRequest, context: Context) -> pb.GetCheckoutResponse:
        return pb.GetCheckoutResponse(checkout=await self._shown(request.cart_id.lower()))

    async def CompleteCheckout(
        self, request: pb.CompleteCheckoutRequest, context: Context
    ) -> pb.CompleteCheckoutResponse:
        tenant_id = current().tenant_id
        async with self.db.transaction(tenant_id) as tx:
            before = await idempotency.claim(tx, request)
            if isinstance(before, pb.CompleteCheckoutResponse):
                idempotency.replayed(context)
                step = await self._going_on(tx, before.checkout.order_id)
            else:
                step = await self._completed(tx, request)
                await idempotency.settle(tx, request, pb.CompleteCheckoutResponse(checkout={"order_id": step.order_id}))
        await self._carried_out(tenant_id, step)
        return pb.CompleteCheckoutResponse(checkout=await self._shown(request.cart_id.lower()))

    async def AbandonCheckout(self, request: pb.AbandonCheckoutRequest, context: Context) -> pb.AbandonCheckoutResponse:
        tenant_id = current().tenant_id
        async with self.db.transaction(tenant_id) as tx:
            if (before := await idempotency.claim(tx, request)) is None:
                step = await self._abandoned(tx, request.cart_id.lower())
                await idempotency.settle(tx, request, pb.AbandonCheckoutResponse())
        if before is None:
            await self._carried_out(tenant_id, step)
        else:
            idempotency.replayed(context)
        return pb.AbandonCheckoutResponse()

    # -- in the transaction

    async def _unpaid_ended(self, tx: AsyncConnection, cart_id: str) -> bool:
        """Whether the cart is free again: an order that was not paid in time does not keep it until it is swept."""
        tenant_id, now = current().tenant_id, self._clock.now()
        order = await order_store.of_cart(tx, tenant_id, cart_id)
        if order is None or not orders.is_overdue(order, now):
            return False
        order, ledger = await order_ops.locked_with_payments(tx, tenant_id, order.id)
        if not orders.is_overdue(order, now) or any(map(orders.is_pending, ledger.payments)):
            return False
        await order_ops.give_up(tx, tenant_id, order, State.EXPIRED, now)
        return True

    async def _completed(self, tx: AsyncConnection, request: pb.CompleteCheckoutRequest) -> Step:
        """Makes the order and begins its payment, or goes on with the order that there is."""
        tenant_id, cart_id = current().tenant_id, request.cart_id.lower()
        await cart_store.lock(tx, tenant_id, cart_id)
        found = await self._found(tx, cart_id)
        if (living := await order_store.of_cart(tx, tenant_id, cart_id)) is not None:
            return await self._paid_again(tx, living, request)
        carts.refuse_changes(found.cart)
        checkout = await store.get(tx, tenant_id, cart_id)
        self._refuse_over(checkout, found.cart)
        assert checkout is not None, "that is refused"
        quoted = found.quote(self._clock, checkout.shipping_minor)
        _refuse_price(request, Money(found.cart.currency, quoted.total_minor), checkout.total_minor)
        _refuse_missing(self._missing(found, quoted, [domain.FREE]))
        order = self._order(found, checkout, quoted)
        given = await inventory.transfer(tx, tenant_id, cart_id, order.id, None)
        _refuse_fewer(found.cart, given)
        await self._reached("transferred")
        await promotion_ops.redeem(
            tx, tenant_id, order.id, quoted.priced.used.applied, order.customer_id, order.create_time
        )
        await self._reached("redeemed")
        await cart_ops.complete(tx, tenant_id, found.cart, order.id, order.create_time)
        await store.became(tx, tenant_id, cart_id, order.id)
        await self._reached("completed")
        begun = await self._authorize(tx, order, request)
        # Last, since the shop's other checkouts wait for its number.
        await order_ops.create(tx, tenant_id, order, now=order.create_time)
        await self._reached("ordered")
        return Step(order.id, (begun,))

    async def _paid_again(self, tx: AsyncConnection, order: Order, request: pb.CompleteCheckoutRequest) -> Step:
        """The order that there is, with another payment where all before it have failed.

        The cart's lock is enough: whoever ends an order takes that first, and a payment that failed begins nothing.
        """
        payments = await payment_store.of_reference(tx, current().tenant_id, order.id)
        is_waiting = order.state is State.PENDING_PAYMENT and all(
            payment.state in (PaymentState.FAILED, PaymentState.VOIDED) for payment in payments
        )
        if not is_waiting:
            return await self._going_on(tx, order.id)
        if orders.is_overdue(order, self._clock.now()):
            raise _expired(order.cart_id)
        _refuse_price(request, Money(order.currency, order.total_minor), order.total_minor)
        return Step(order.id, (await self._authorize(tx, order, request),))

    async def _going_on(self, tx: AsyncConnection, order_id: str) -> Step:
        """Nothing new: whoever comes again learns what became of it."""
        journal.unchanged(tx)
        payments = await payment_store.of_reference(tx, current().tenant_id, order_id)
        return Step(order_id, asked=tuple(filter(is_open, payments)))

    async def _abandoned(self, tx: AsyncConnection, cart_id: str) -> Step:
        tenant_id, now = current().tenant_id, self._clock.now()
        await cart_store.lock(tx, tenant_id, cart_id)
        cart, _ = await cart_store.get(tx, tenant_id, cart_id)
        if cart.state is carts.State.MERGED:
            raise cart_store.missing(cart_id)
        checkout = await store.get(tx, tenant_id, cart_id)
        order = await order_store.of_cart(tx, tenant_id, cart_id)
        begun: list[Begun] = []
        if order is not None and order.state is State.PENDING_PAYMENT:
            order, ledger = await order_ops.locked_with_payments(tx, tenant_id, order.id)
        if order is not None and order.state is State.PENDING_PAYMENT:
            begun = await order_ops.begin_letting_go(tx, tenant_id, order, ledger, self._payments, now, _ABANDONED)
            await order_ops.give_up(tx, tenant_id, order, State.CANCELED, now, _ABANDONED)
        else:
            carts.refuse_changes(cart)
        if checkout is None:
            journal.unchanged(tx)
            return Step("")
        released = await inventory.release(tx, tenant_id, cart_id, now=now, reason=_ABANDONED)
        await store.delete(tx, tenant_id, cart_id)
        await journal.record(tx, tenant_id, [change(checkout, None), *stock.changes(released)], stock.events(released))
        return Step("" if order is None else order.id, tuple(begun))

    # -- after it, with none open

    async def _carried_out(self, tenant_id: str, step: Step) -> None:
        for begun in step.begun:
            await self._payments.carry_out(tenant_id, begun)
        await self._payments.ask_all(tenant_id, step.asked)

    # -- what there is

    async def _found(self, tx: AsyncConnection, cart_id: str) -> Found:
        tenant_id = current().tenant_id
        cart, offers = await cart_store.get(tx, tenant_id, cart_id.lower())
        if cart.state is carts.State.MERGED:
            raise cart_store.missing(cart_id)
        address = None
        if cart.address:
            plain = self._carts.open(tenant_id, cart_messages.ADDRESS, cart.address)
            address = cart_service_pb2.Address.FromString(plain)
        return Found(
            cart,
            offers,
            await promotion_store.candidates(tx, tenant_id, [code.code for code in cart.codes], cart.customer_id or ""),
            await store.settings(tx, tenant_id),
            address,
        )

    async def _shown(self, cart_id: str) -> pb.Checkout:
        tenant_id = current().tenant_id
        async with self._reads.transaction(tenant_id) as tx:
            checkout = await store.get(tx, tenant_id, cart_id)
            if checkout is not None and checkout.order_id is not None:
                order = await order_store.get(tx, tenant_id, checkout.order_id)
                return ordered(checkout, order, await payment_store.of_reference(tx, tenant_id, order.id))
            found = await self._found(tx, cart_id)
        if checkout is None:
            raise NotFound("CHECKOUT_NOT_FOUND", "this cart is not being checked out", id=cart_id)
        quoted = found.quote(self._clock, checkout.shipping_minor)
        is_over = (
            checkout.cart_version != found.cart.version
            or checkout.expire_time <= self._clock.now()
            or checkout.total_minor != quoted.total_minor
        )
        told = Method(checkout.shipping_method, checkout.shipping_method, checkout.shipping_minor, "as it was chosen")
        method = next((each for each in found.methods(self._clock) if each.id == told.id), told)
        return started(checkout, found.cart.currency, quoted, method, is_over=is_over)

    def _missing(self, found: Found, quoted: Quote, methods: list[Method]) -> list[Requirement]:
        return domain.missing(quoted, methods, has_email=bool(found.cart.email), has_address=found.address is not None)

    def _refuse_over(self, checkout: Checkout | None, cart: Cart) -> None:
        if checkout is None:
            raise FailedPrecondition("CHECKOUT_NOT_STARTED", "hold the cart's stock with StartCheckout", id=cart.id)
        if checkout.expire_time <= self._clock.now():
            raise _expired(cart.id)
        if checkout.cart_version != cart.version:
            message = "the cart is not what its stock is held for; start again"
            raise FailedPrecondition("CART_CHANGED", message, id=cart.id)

    def _order(self, found: Found, checkout: Checkout, quoted: Quote) -> Order:
        """The copy of the cart that stays."""
        tenant_id, now, cart = current().tenant_id, self._clock.now(), found.cart
        assert found.address is not None, "that is refused"
        email = self._carts.open(tenant_id, cart_messages.EMAIL, cart.email)
        names = {rate.id: rate.name for rate in found.settings.shipping_rates} | {domain.FREE.id: domain.FREE.name}
        return Order(
            id=uuid7(),
            number=0,
            currency=cart.currency,
            subtotal_minor=quoted.priced.subtotal_minor,
            discount_minor=quoted.priced.discount_minor,
            shipping_minor=quoted.shipping_minor,
            tax_minor=quoted.tax_minor,
            prices_include_tax=quoted.prices_include_tax,
            shipping_method=names.get(checkout.shipping_method, checkout.shipping_method),
            country=found.country,
            email=self._orders.seal(tenant_id, order_messages.EMAIL, email),
            address=self._orders.seal(tenant_id, order_messages.ADDRESS, found.address.SerializeToString()),
            captures_late=found.settings.capture is Capture.WHEN_FULFILLED,
            create_time=now,
            update_time=now,
            expire_time=now + found.settings.hold,
            cart_id=cart.id,
            customer_id=cart.customer_id or "",
            lines=_lines(quoted),
            adjustments=tuple(
                Adjustment(each.promotion_id, each.code, each.amount_minor, each.explanation)
                for each in quoted.priced.discounts
            ),
        )

    async def _authorize(self, tx: AsyncConnection, order: Order, request: pb.CompleteCheckoutRequest) -> Begun:
        return await self._payments.authorize(
            tx,
            current().tenant_id,
            Money(order.currency, order.total_minor),
            reference=order.id,
            payment_method=request.payment_method,
            return_url=request.return_url,
        )


def _lines(quoted: Quote) -> tuple[Line, ...]:
    lines = []
    for priced, part in zip(quoted.priced.lines, quoted.parts, strict=True):
        assert priced.offer is not None, "that is refused"
        lines.append(
            Line(
                id=uuid7(),
                variant_id=priced.line.variant_id,
                product_id=priced.offer.product_id,
                sku=priced.offer.sku,
                product_title=priced.offer.product_title,
                variant_title=priced.offer.variant_title,
                options=priced.line.options,
                quantity=priced.line.quantity,
                unit_minor=priced.unit_minor,
                discount_minor=part.discount_minor,
                tax_minor=part.tax_minor,
            )
        )
    return tuple(lines)


def _refuse_missing(missing: list[Requirement]) -> None:
    if missing:
        named = ", ".join(missing)
        raise FailedPrecondition("REQUIREMENTS_MISSING", f"still missing: {named}", missing=named)


def _refuse_price(request: pb.CompleteCheckoutRequest, total: Money, told_minor: int) -> None:
    """Nobody pays anything but what he was shown."""
    expected = money.from_proto(request.expected_total, "expected_total")
    if expected != total or told_minor != total.amount_minor:
        raise FailedPrecondition(
            "PRICE_CHANGED",
            f"it costs {money.written(total)} by now; start again, and show that",
            total_minor=str(total.amount_minor),
            currency_code=total.currency,
        )


def _refuse_fewer(cart: Cart, given: tuple[Reservation, ...]) -> None:
    """Somebody of the shop may have released what the cart held."""
    held: Counter[str] = Counter()
    for each in given:
        held[each.variant_id] += each.held
    for line in cart.lines:
        held[line.variant_id] -= line.quantity
    if any(held.values()):
        raise _expired(cart.id)


def _expired(cart_id: str) -> FailedPrecondition:
    return FailedPrecondition("CHECKOUT_EXPIRED", "the stock is not held any more; start again", id=cart_id)
