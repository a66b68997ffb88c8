"""What an order is, what may become of it, and how its statuses follow from its payments and fulfillments."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from shared.payments import domain as payments
from shared.payments.domain import Kind, Payment, Progress
from shared.runtime.errors import FailedPrecondition, InvalidArgument, NotFound, check_etag

# Values of what a shopper wants of a line beside its variant, by name.
Options = tuple[tuple[str, str], ...]


class State(StrEnum):
    PENDING_PAYMENT = "PENDING_PAYMENT"
    PLACED = "PLACED"
    PARTIALLY_FULFILLED = "PARTIALLY_FULFILLED"
    FULFILLED = "FULFILLED"
    EXPIRED = "EXPIRED"
    CANCELED = "CANCELED"


class PaymentStatus(StrEnum):
    NONE = "NONE"
    AUTHORIZED = "AUTHORIZED"
    PARTIALLY_CAPTURED = "PARTIALLY_CAPTURED"
    CAPTURED = "CAPTURED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    VOIDED = "VOIDED"


class RefundState(StrEnum):
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class FulfillmentStatus(StrEnum):
    UNFULFILLED = "UNFULFILLED"
    PARTIALLY_FULFILLED = "PARTIALLY_FULFILLED"
    FULFILLED = "FULFILLED"
    DELIVERED = "DELIVERED"


@dataclass(frozen=True, slots=True)
class Line:
    """Amounts in minor units. discount_minor, tax_minor: the line's parts of the order's.

    withdrawn: will not be shipped any more. returned: came back, and are for sale again.
    """

    id: str
    variant_id: str
    product_id: str
    sku: str
    product_title: str
    variant_title: str
    options: Options
    quantity: int
    unit_minor: int
    discount_minor: int
    tax_minor: int
    fulfilled: int = 0
    refunded: int = 0
    withdrawn: int = 0
    returned: int = 0

    @property
    def amount_minor(self) -> int:
        return self.unit_minor * self.quantity

    @property
    def to_ship(self) -> int:
        return self.quantity - self.withdrawn - self.fulfilled


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What a promotion took off, in minor units."""

    promotion_id: str
    code: str
    amount_minor: int
    explanation: str


@dataclass(frozen=True, slots=True)
class Order:
    """Amounts in minor units of the currency. discount_minor: of lines and shipping. email, address: sealed.

    expire_time: while its payment is awaited.
    """

    id: str
    number: int
    currency: str
    subtotal_minor: int
    discount_minor: int
    shipping_minor: int
    tax_minor: int
    prices_include_tax: bool
    shipping_method: str
    country: str
    email: bytes
    address: bytes
    captures_late: bool
    create_time: datetime
    update_time: datetime
    expire_time: datetime | None
    cart_id: str = ""
    customer_id: str = ""
    external_reference: str = ""
    state: State = State.PENDING_PAYMENT
    payment_status: PaymentStatus = PaymentStatus.NONE
    fulfillment_status: FulfillmentStatus = FulfillmentStatus.UNFULFILLED
    paid_minor: int = 0
    refunded_minor: int = 0
    place_time: datetime | None = None
    version: int = 1
    lines: tuple[Line, ...] = field(default=())
    adjustments: tuple[Adjustment, ...] = field(default=())

    @property
    def etag(self) -> str:
        return str(self.version)

    @property
    def total_minor(self) -> int:
        goods = self.subtotal_minor - self.discount_minor + self.shipping_minor
        return goods if self.prices_include_tax else goods + self.tax_minor

    def line(self, line_id: str) -> Line:
        """NotFound LINE_NOT_FOUND."""
        for line in self.lines:
            if line.id == line_id:
                return line
        raise NotFound("LINE_NOT_FOUND", f"no line {line_id} in this order", id=line_id)


@dataclass(frozen=True, slots=True)
class FulfillmentLine:
    """How many of an order's line."""

    line_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Fulfillment:
    """Some of an order that has left the shop."""

    id: str
    lines: tuple[FulfillmentLine, ...]
    carrier: str
    tracking_number: str
    create_time: datetime
    deliver_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefundLine:
    """restock: they came back, and are for sale again. withdrawn: they have not left, and will not."""

    line_id: str
    quantity: int
    restock: bool = False
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Refund:
    """operation_id: of a payment; none where it was imported."""

    id: str
    operation_id: str | None
    amount_minor: int
    reason: str
    create_time: datetime
    state: RefundState = RefundState.PENDING
    failure_reason: str = ""
    lines: tuple[RefundLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Ledger:
    """What an order's statuses follow from, each in the order in which it began."""

    payments: tuple[Payment, ...] = ()
    refunds: tuple[Refund, ...] = ()
    fulfillments: tuple[Fulfillment, ...] = ()


@dataclass(frozen=True, slots=True)
class Noted:
    """A row of the timeline."""

    id: str
    kind: str
    message: str
    actor: str
    create_time: datetime


# What may become of an order; what is not here is refused, whoever asks.
NEXT: dict[State, frozenset[State]] = {
    State.PENDING_PAYMENT: frozenset((State.PLACED, State.EXPIRED, State.CANCELED)),
    State.PLACED: frozenset((State.PARTIALLY_FULFILLED, State.FULFILLED, State.CANCELED)),
    State.PARTIALLY_FULFILLED: frozenset((State.FULFILLED,)),
    State.FULFILLED: frozenset(),
    State.EXPIRED: frozenset(),
    State.CANCELED: frozenset(),
}
_REFUSALS = {
    State.PLACED: "ORDER_NOT_PENDING",
    State.EXPIRED: "ORDER_NOT_PENDING",
    State.CANCELED: "ORDER_NOT_CANCELABLE",
}
OPEN, NOT_CAPTURED = "PAYMENT_OPEN", "PAYMENT_NOT_CAPTURED"
OVER = (State.EXPIRED, State.CANCELED)
SHIPPABLE = (State.PLACED, State.PARTIALLY_FULFILLED)


def moved(order: Order, state: State, now: datetime) -> Order:
    """The one way from a state to another."""
    if state not in NEXT[order.state]:
        raise _refused(_REFUSALS.get(state, "ORDER_NOT_PLACED"), order)
    place_time = now if state is State.PLACED else order.place_time
    return replace(order, state=state, place_time=place_time, expire_time=None)


def derived(order: Order, ledger: Ledger, now: datetime) -> Order:
    """The order with the sums and the statuses that follow from its ledger."""
    order = replace(order, lines=_lines(order.lines, ledger))
    fulfillment_status = _fulfillment_status(order.lines, ledger.fulfillments)
    paid, refunded = _money(order, ledger)
    order = replace(
        order,
        paid_minor=paid,
        refunded_minor=refunded,
        payment_status=_payment_status(order.total_minor, paid, refunded, ledger.payments),
        fulfillment_status=fulfillment_status,
    )
    return _shipped(order, now)


def forget_shopper(order: Order) -> Order:
    """What the books need stays: number, lines, sums, and the country that the tax is of."""
    return without_needless(replace(order, email=b""))


def without_needless(order: Order) -> Order:
    """The address of somebody who is forgotten stays until nothing is to be shipped to it any more."""
    is_over = order.state in OVER or order.state is State.FULFILLED
    return replace(order, address=b"") if is_over and not order.email else order


def kept(some: Iterable[Payment]) -> Payment | None:
    """The payment that pays for the order; if the provider took another one, too, that one is given back."""
    held = (payments.State.AUTHORIZED, *_TAKEN)
    return next((payment for payment in some if payment.state in held), None)


def is_paid_for(some: Iterable[Payment]) -> bool:
    """Money is held or taken for good: nobody is about to let go of it."""
    payment = kept(some)
    return payment is not None and not _is_let_go(payment)


def follow_up(order: Order, payment: Payment, some: Sequence[Payment]) -> Kind | None:
    """What has to be done to a payment that has changed. What has been tried once is people's to try again."""
    first = kept(some)
    is_stray = order.state in OVER or (first is not None and first.id != payment.id)
    match payment.state:
        case payments.State.AUTHORIZED | payments.State.REQUIRES_ACTION if is_stray:
            wanted = Kind.VOID
        case payments.State.CAPTURED if is_stray:
            wanted = Kind.REFUND
        case payments.State.AUTHORIZED if not order.captures_late and not _is_let_go(payment):
            wanted = Kind.CAPTURE
        case _:
            return None
    is_tried = payment.latest(wanted) is not None or _has_open(payment, Kind.CAPTURE, Kind.VOID)
    return None if is_tried else wanted


def let_go(payment: Payment) -> Kind | None:
    """How the money of an order that is canceled goes back; none where there is nothing of it.

    FailedPrecondition PAYMENT_OPEN.
    """
    is_waiting = payment.state is payments.State.REQUIRES_ACTION
    kinds = set(Kind) - {Kind.AUTHORIZE} if is_waiting else set(Kind)
    if _has_open(payment, *kinds):
        raise payment_open(payment)
    if is_waiting or payment.state is payments.State.AUTHORIZED:
        return Kind.VOID
    if payment.state in (payments.State.CAPTURED, payments.State.PARTIALLY_REFUNDED):
        return Kind.REFUND
    return None


def is_overdue(order: Order, at: datetime) -> bool:
    """It was to be paid by then, and is not."""
    return order.expire_time is not None and order.expire_time <= at


def is_pending(payment: Payment) -> bool:
    """Something may still become of it."""
    return payment.state not in (payments.State.FAILED, payments.State.VOIDED)


def awaits_payer(payment: Payment) -> bool:
    """Nobody but the payer can bring it on, and nobody has called it off."""
    return payment.state is payments.State.REQUIRES_ACTION and not _has_open(payment, Kind.VOID)


def payment_open(payment: Payment) -> FailedPrecondition:
    message = "the provider has not said yet what became of the payment; try again"
    return FailedPrecondition(OPEN, message, id=payment.id)


def to_capture(order: Order, some: Sequence[Payment]) -> Payment | None:
    """What pays for the order once it is captured; none while something of it is open."""
    payment = kept(some)
    if order.state not in SHIPPABLE or payment is None or payment.state is not payments.State.AUTHORIZED:
        return None
    return None if _has_open(payment, Kind.CAPTURE, Kind.VOID) else payment


def refuse_unpaid(order: Order, some: Sequence[Payment]) -> None:
    """Only what is paid for is shipped. FailedPrecondition PAYMENT_OPEN, PAYMENT_NOT_CAPTURED."""
    payment = kept(some)
    if payment is not None and payment.captured_minor == 0 and _has_open(payment, Kind.CAPTURE, Kind.VOID):
        raise payment_open(payment)
    if order.paid_minor <= order.refunded_minor:
        capture = None if payment is None else payment.latest(Kind.CAPTURE)
        why = f": {capture.failure_reason}" if capture is not None and capture.failure_reason else ""
        raise FailedPrecondition(NOT_CAPTURED, f"nothing is paid of this order, so it is not shipped{why}", id=order.id)


def to_refund(order: Order, some: Sequence[Payment]) -> Payment:
    """FailedPrecondition ORDER_NOT_PAID, AMOUNT_EXCEEDED."""
    payment = kept(some)
    if payment is None or payment.captured_minor == 0:
        raise FailedPrecondition("ORDER_NOT_PAID", "nothing was paid here that could be given back", id=order.id)
    if payment.state is payments.State.REFUNDED:
        raise FailedPrecondition("AMOUNT_EXCEEDED", "all of it is given back", id=order.id, available_minor="0")
    return payment


def fulfill(order: Order, wanted: Iterable[FulfillmentLine]) -> tuple[FulfillmentLine, ...]:
    """What is shipped: what is wanted, each line once, or all that is left."""
    if order.state not in SHIPPABLE:
        raise _refused("ORDER_NOT_PLACED", order)
    quantities = _summed(wanted)
    if not quantities:
        quantities = {line.id: line.to_ship for line in order.lines if line.to_ship}
    if not quantities:
        raise FailedPrecondition("QUANTITY_EXCEEDED", "all that is to be shipped has been", id=order.id)
    for line_id, quantity in quantities.items():
        _refuse_more(order.line(line_id), quantity, order.line(line_id).to_ship, "left to ship")
    return tuple(FulfillmentLine(*each) for each in quantities.items())


def refund(order: Order, lines: Sequence[RefundLine]) -> int:
    """What the lines are worth: their price less their discount, with the tax that was added, in minor units."""
    if len({line.line_id for line in lines}) != len(lines):
        raise InvalidArgument("FIELD_INVALID", "lines: a line twice", fields={"lines": "a line twice"})
    worth = 0
    for number, wanted in enumerate(lines):
        line = order.line(wanted.line_id)
        _refuse_more(line, wanted.quantity, line.quantity - line.refunded, "left to refund")
        if wanted.restock and wanted.withdrawn:
            field, why = f"lines[{number}].withdraw", "what has not left cannot have come back"
            raise InvalidArgument("FIELD_INVALID", f"{field}: {why}", fields={field: why})
        if wanted.restock:
            _refuse_more(line, wanted.quantity, line.fulfilled - line.returned, "away from the shop")
        if wanted.withdrawn:
            _refuse_more(line, wanted.quantity, line.to_ship, "left to ship")
        worth += _worth(order, line, line.refunded + wanted.quantity) - _worth(order, line, line.refunded)
    return worth


def refuse_stale(order: Order, etag: str) -> None:
    check_etag("order", order.id, order.etag, etag)


def refunded_by(refund: Refund, operation: payments.Operation) -> Refund:
    """The refund as the provider's operation has it by now."""
    match operation.state:
        case Progress.SUCCEEDED:
            state = RefundState.SUCCEEDED
        case Progress.FAILED:
            state = RefundState.FAILED
        case _:
            state = RefundState.PENDING
    return replace(refund, state=state, failure_reason=operation.failure_reason, amount_minor=operation.amount_minor)


def failures(payment: Payment) -> list[payments.Operation]:
    """What has just failed of it, refunds aside; an authorization that was called off is none."""
    return [
        each
        for each in payment.operations
        if each.state is Progress.FAILED
        and each.update_time == payment.update_time
        and each.kind is not Kind.REFUND
        and each.failure_reason != payments.CANCELED
    ]


_TAKEN = (payments.State.CAPTURED, payments.State.PARTIALLY_REFUNDED, payments.State.REFUNDED)


def _is_let_go(payment: Payment) -> bool:
    void = payment.latest(Kind.VOID)
    return void is not None and void.state is not Progress.FAILED


def _has_open(payment: Payment, *kinds: Kind) -> bool:
    return any(each.is_open for each in payment.operations if each.kind in kinds)


def _lines(lines: tuple[Line, ...], ledger: Ledger) -> tuple[Line, ...]:
    """What has become of each line. Goods move whether or not their money does."""
    fulfilled, refunded, withdrawn, returned = (defaultdict[str, int](int) for _ in range(4))
    for fulfillment in ledger.fulfillments:
        for shipped in fulfillment.lines:
            fulfilled[shipped.line_id] += shipped.quantity
    for refund in ledger.refunds:
        for each in refund.lines:
            refunded[each.line_id] += each.quantity * (refund.state is not RefundState.FAILED)
            withdrawn[each.line_id] += each.quantity * each.withdrawn
            returned[each.line_id] += each.quantity * each.restock
    return tuple(
        replace(
            line,
            fulfilled=fulfilled[line.id],
            refunded=refunded[line.id],
            withdrawn=withdrawn[line.id],
            returned=returned[line.id],
        )
        for line in lines
    )


def _money(order: Order, ledger: Ledger) -> tuple[int, int]:
    """(paid, refunded). What was imported has no payments: there it is as it was told."""
    if not ledger.payments:
        succeeded = (each.amount_minor for each in ledger.refunds if each.state is RefundState.SUCCEEDED)
        return order.paid_minor, min(sum(succeeded), order.paid_minor)
    if (payment := kept(ledger.payments)) is None:
        return 0, 0
    paid = min(payment.captured_minor, order.total_minor)
    return paid, min(payment.refunded_minor, paid)


def _payment_status(total: int, paid: int, refunded: int, some: Sequence[Payment]) -> PaymentStatus:
    if paid and refunded:
        return PaymentStatus.REFUNDED if refunded == paid else PaymentStatus.PARTIALLY_REFUNDED
    if paid:
        return PaymentStatus.CAPTURED if paid == total else PaymentStatus.PARTIALLY_CAPTURED
    if kept(some) is not None:
        return PaymentStatus.AUTHORIZED
    is_voided = any(payment.state is payments.State.VOIDED for payment in some)
    return PaymentStatus.VOIDED if is_voided else PaymentStatus.NONE


def _fulfillment_status(lines: Iterable[Line], fulfillments: Sequence[Fulfillment]) -> FulfillmentStatus:
    if not fulfillments:
        return FulfillmentStatus.UNFULFILLED
    if any(line.to_ship for line in lines):
        return FulfillmentStatus.PARTIALLY_FULFILLED
    is_delivered = all(each.deliver_time is not None for each in fulfillments)
    return FulfillmentStatus.DELIVERED if is_delivered else FulfillmentStatus.FULFILLED


def _shipped(order: Order, now: datetime) -> Order:
    match order.fulfillment_status:
        case FulfillmentStatus.UNFULFILLED:
            return order
        case FulfillmentStatus.PARTIALLY_FULFILLED:
            state = State.PARTIALLY_FULFILLED
        case _:
            state = State.FULFILLED
    return order if order.state is state else moved(order, state, now)


def _worth(order: Order, line: Line, quantity: int) -> int:
    """Of so many of a line; of all of it exactly what it was, however many refunds it takes."""
    whole = line.amount_minor - line.discount_minor + (0 if order.prices_include_tax else line.tax_minor)
    return whole * quantity // line.quantity


def _summed(wanted: Iterable[FulfillmentLine]) -> dict[str, int]:
    quantities: dict[str, int] = {}
    for each in wanted:
        quantities[each.line_id] = quantities.get(each.line_id, 0) + each.quantity
    return quantities


def _refuse_more(line: Line, quantity: int, most: int, what: str) -> None:
    if quantity > most:
        raise FailedPrecondition(
            "QUANTITY_EXCEEDED", f"{quantity} of {line.sku or line.id} are more than the {most} {what}",
            id=line.id, available=str(most),
        )  # fmt: skip


def _refused(reason: str, order: Order) -> FailedPrecondition:
    words = {
        "ORDER_NOT_PENDING": "only an order whose payment is awaited is placed or expires",
        "ORDER_NOT_CANCELABLE": "what has been shipped, or has expired, cannot be canceled",
        "ORDER_NOT_PLACED": "only what is placed is shipped",
    }
    return FailedPrecondition(reason, f"{words[reason]}; this order is {order.state}", id=order.id, state=order.state)
