"""What a payment is, which operations may begin on it, and what a provider's word about one makes of both.

An operation reserves its amount when it begins and gives it back when it fails. Its state only moves forward, so it
does not matter who brings a word, in which order, or how often: the caller's own call, a webhook, or a question asked
later.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.runtime.errors import FailedPrecondition, InvalidArgument, ResourceExhausted
from shared.runtime.money import Money

# Of one payment: whoever wants more refunds than this has a loop.
MOST_OPERATIONS = 100

# No provider's call takes longer, so by then whoever began an operation has had an answer or is dead.
FIRST_LOOK = timedelta(seconds=20)
SHORTEST_WAIT, LONGEST_WAIT = timedelta(seconds=2), timedelta(minutes=10)
# A provider forgets idempotency keys (Stripe: after 24 hours at the earliest): a call that is sent again later than
# this could be a new charge, so from then on it is only asked.
KEY_LIFE = timedelta(hours=20)
# And by then whatever reached it can be found there.
FINDABLE_AFTER = timedelta(minutes=10)

NOT_AT_PROVIDER, RETURNED, CANCELED = "NOT_AT_PROVIDER", "RETURNED", "CANCELED"


class State(StrEnum):
    PENDING = "PENDING"
    REQUIRES_ACTION = "REQUIRES_ACTION"
    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    VOIDED = "VOIDED"
    FAILED = "FAILED"


class Kind(StrEnum):
    AUTHORIZE = "AUTHORIZE"
    CAPTURE = "CAPTURE"
    REFUND = "REFUND"
    VOID = "VOID"


class Progress(StrEnum):
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


class Outcome(StrEnum):
    """What a provider says of an operation."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    # The payer has to confirm.
    ACTION = "ACTION"
    # It works on it.
    PENDING = "PENDING"
    # It did not say.
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Operation:
    """id: the idempotency key. attempts: how often the provider was asked, the call under way included.

    look_time: when somebody asks again, while it is open.
    """

    id: str
    kind: Kind
    amount_minor: int
    create_time: datetime
    update_time: datetime
    look_time: datetime
    state: Progress = Progress.PENDING
    attempts: int = 1
    provider_reference: str = ""
    failure_reason: str = ""

    @property
    def is_open(self) -> bool:
        return self.state in (Progress.PENDING, Progress.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Payment:
    """capturing_minor, refunding_minor: what operations that are open have reserved."""

    id: str
    reference: str
    currency: str
    amount_minor: int
    provider: str
    payment_method: str
    return_url: str
    create_time: datetime
    update_time: datetime
    state: State = State.PENDING
    authorized_minor: int = 0
    capturing_minor: int = 0
    captured_minor: int = 0
    refunding_minor: int = 0
    refunded_minor: int = 0
    provider_payment_id: str = ""
    action_url: str = ""
    failure_reason: str = ""
    version: int = 1
    operations: tuple[Operation, ...] = field(default=())

    def operation(self, operation_id: str) -> Operation | None:
        return next((o for o in self.operations if o.id == operation_id), None)

    def latest(self, kind: Kind) -> Operation | None:
        return next((o for o in reversed(self.operations) if o.kind is kind), None)


@dataclass(frozen=True, slots=True)
class Report:
    """A provider's word about one operation.

    operation_id: empty when somebody did it at the provider's own pages; then it is found by kind and reference.
    amount_minor: what it moved; 0 where the word does not say.
    """

    kind: Kind
    outcome: Outcome
    operation_id: str = ""
    amount_minor: int = 0
    provider_payment_id: str = ""
    provider_reference: str = ""
    action_url: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """happened: the events' types, such as captured."""

    payment: Payment
    operation: Operation
    happened: tuple[str, ...] = ()


def authorize(payment: Payment, operation_id: str) -> Payment:
    """The new payment with its first operation."""
    return _begin(payment, operation_id, Kind.AUTHORIZE, payment.amount_minor, payment.create_time)


def capture(payment: Payment, operation_id: str, amount: Money | None, now: datetime) -> Payment:
    if payment.state is not State.AUTHORIZED:
        raise _not_in("PAYMENT_NOT_AUTHORIZED", "only an authorized payment is captured", payment)
    _refuse_beside(payment, Kind.CAPTURE, Kind.VOID)
    minor = _amount(payment, amount, payment.authorized_minor)
    payment = replace(payment, capturing_minor=minor)
    return _begin(payment, operation_id, Kind.CAPTURE, minor, now)


def refund(payment: Payment, operation_id: str, amount: Money | None, now: datetime) -> Payment:
    if payment.state not in (State.CAPTURED, State.PARTIALLY_REFUNDED):
        raise _not_in("PAYMENT_NOT_CAPTURED", "only what was captured can be refunded", payment)
    left = payment.captured_minor - payment.refunded_minor - payment.refunding_minor
    minor = _amount(payment, amount, left)
    payment = replace(payment, refunding_minor=payment.refunding_minor + minor)
    return _begin(payment, operation_id, Kind.REFUND, minor, now)


def void(payment: Payment, operation_id: str, now: datetime) -> Payment:
    if payment.state not in (State.AUTHORIZED, State.REQUIRES_ACTION):
        raise _not_in("PAYMENT_NOT_AUTHORIZED", "only what is held can be released", payment)
    _refuse_beside(payment, Kind.CAPTURE, Kind.VOID)
    return _begin(payment, operation_id, Kind.VOID, payment.authorized_minor or payment.amount_minor, now)


def asked_again(payment: Payment, operation: Operation, now: datetime, chance: float) -> Payment:
    """Before the provider is asked once more: the next one to ask waits longer. chance: between 0 and 1."""
    wait = _wait(operation) * (0.5 + chance / 2)
    again = replace(operation, attempts=operation.attempts + 1, look_time=now + FIRST_LOOK + wait)
    return _with(payment, again)


def settle(payment: Payment, report: Report, now: datetime, new_id: str) -> Settled | None:
    """What the report makes of the payment; None when it says nothing new.

    new_id: of an operation that somebody made at the provider's own pages, or that has to follow.
    Whoever calls holds the payment's row.
    """
    operation = _meant(payment, report)
    if operation is None:
        return _made_elsewhere(payment, report, now, new_id)
    if not operation.is_open:
        return _late(payment, operation, report, now, new_id)
    match report.outcome:
        case Outcome.SUCCEEDED:
            return _succeeded(_identified(payment, report), operation, report, now)
        case Outcome.FAILED:
            return _failed(_identified(payment, report), operation, report, now)
        case Outcome.ACTION:
            return _action(_identified(payment, report), operation, report, now)
        case Outcome.PENDING | Outcome.UNKNOWN:
            return _waits(payment, operation, report, now)


def is_findable(operation: Operation, now: datetime) -> bool:
    """Whether the provider would know of the operation by now, had it ever reached it."""
    return now - operation.create_time > FINDABLE_AFTER


def may_repeat(operation: Operation, now: datetime) -> bool:
    """Whether the provider still knows the key, so that the same call has the same effect."""
    return now - operation.create_time < KEY_LIFE


def _identified(payment: Payment, report: Report) -> Payment:
    """With the provider's own id of it, once that is known."""
    return replace(payment, provider_payment_id=payment.provider_payment_id or report.provider_payment_id)


def _meant(payment: Payment, report: Report) -> Operation | None:
    if report.operation_id and (found := payment.operation(report.operation_id)) is not None:
        return found
    if report.provider_reference and report.kind is Kind.REFUND:
        return next((o for o in payment.operations if o.provider_reference == report.provider_reference), None)
    # The others happen once: whichever has not failed is the one that is meant.
    latest = payment.latest(report.kind)
    if report.kind is Kind.REFUND or latest is None:
        return None
    is_over = latest.state is Progress.FAILED and report.kind is not Kind.AUTHORIZE
    return None if is_over else latest


def _succeeded(payment: Payment, operation: Operation, report: Report, now: datetime) -> Settled:
    minor = report.amount_minor or operation.amount_minor
    done = replace(
        operation,
        state=Progress.SUCCEEDED,
        amount_minor=minor,
        failure_reason="",
        provider_reference=report.provider_reference or operation.provider_reference,
        update_time=now,
    )
    match operation.kind:
        case Kind.AUTHORIZE:
            payment = replace(payment, state=State.AUTHORIZED, authorized_minor=minor, action_url="", failure_reason="")
            happened = "authorized"
        case Kind.CAPTURE:
            payment = replace(payment, state=State.CAPTURED, capturing_minor=0, captured_minor=minor)
            happened = "captured"
        case Kind.REFUND:
            payment = _refunded(
                replace(payment, refunding_minor=payment.refunding_minor - operation.amount_minor), minor
            )
            happened = "refunded"
        case Kind.VOID:
            payment = _close_authorization(payment, now)
            payment = replace(payment, state=State.VOIDED, action_url="")
            happened = "voided"
    return Settled(_changed(payment, done, now), done, (happened,))


def _failed(payment: Payment, operation: Operation, report: Report, now: datetime) -> Settled:
    reason = report.reason or "PROVIDER_REFUSED"
    over = replace(
        operation,
        state=Progress.FAILED,
        failure_reason=reason,
        provider_reference=report.provider_reference or operation.provider_reference,
        update_time=now,
    )
    match operation.kind:
        case Kind.AUTHORIZE:
            payment = replace(payment, state=State.FAILED, failure_reason=reason, action_url="")
        case Kind.CAPTURE:
            payment = replace(payment, capturing_minor=0)
        case Kind.REFUND:
            payment = replace(payment, refunding_minor=payment.refunding_minor - operation.amount_minor)
    return Settled(_changed(payment, over, now), over, ("failed",))


def _waits(payment: Payment, operation: Operation, report: Report, now: datetime) -> Settled | None:
    heard = replace(
        operation,
        state=Progress.UNKNOWN if report.outcome is Outcome.UNKNOWN else Progress.PENDING,
        provider_reference=report.provider_reference or operation.provider_reference,
    )
    if heard == operation and report.provider_payment_id in ("", payment.provider_payment_id):
        return None
    waiting = replace(heard, look_time=min(operation.look_time, now + _wait(operation)), update_time=now)
    return Settled(_changed(_identified(payment, report), waiting, now), waiting)


def _action(payment: Payment, operation: Operation, report: Report, now: datetime) -> Settled | None:
    if payment.state is State.REQUIRES_ACTION and payment.action_url == report.action_url:
        return None
    waiting = replace(
        operation, state=Progress.PENDING, look_time=max(operation.look_time, now + LONGEST_WAIT), update_time=now
    )
    payment = replace(payment, state=State.REQUIRES_ACTION, action_url=report.action_url)
    return Settled(_changed(payment, waiting, now), waiting)


def _late(payment: Payment, operation: Operation, report: Report, now: datetime, new_id: str) -> Settled | None:
    """A word about an operation that is settled. Three of them count; every other one is old."""
    if (
        operation.kind is Kind.REFUND
        and operation.state is Progress.SUCCEEDED
        and report.outcome is Outcome.FAILED
        and report.provider_reference == operation.provider_reference != ""
    ):
        # The payer's bank sent it back.
        back = replace(operation, state=Progress.FAILED, failure_reason=RETURNED, update_time=now)
        payment = _refunded(payment, -operation.amount_minor)
        return Settled(_changed(payment, back, now), back, ("failed",))
    if operation.failure_reason != NOT_AT_PROVIDER or report.outcome is not Outcome.SUCCEEDED:
        return None
    if operation.kind is Kind.REFUND:
        # It was there after all.
        begun = replace(payment, refunding_minor=payment.refunding_minor + operation.amount_minor)
        return _succeeded(begun, operation, report, now)
    if operation.kind is Kind.AUTHORIZE:
        # So was this; its caller has been told that it failed, so what is held must not stay held.
        settled = _succeeded(_identified(payment, report), operation, report, now)
        voided = void(settled.payment, new_id, now)
        at_once = replace(voided.operations[-1], look_time=now)
        return replace(settled, payment=_with(voided, at_once))
    return None


def _made_elsewhere(payment: Payment, report: Report, now: datetime, new_id: str) -> Settled | None:
    """Somebody captured, refunded or canceled at the provider's own pages, or a hold ran out: the ledger follows."""
    if report.outcome is not Outcome.SUCCEEDED or report.operation_id:
        return None
    minor = Money(payment.currency, report.amount_minor)
    match report.kind:
        case Kind.CAPTURE if payment.state is State.AUTHORIZED:
            begun = capture(payment, new_id, minor, now)
        case Kind.VOID if payment.state in (State.AUTHORIZED, State.REQUIRES_ACTION):
            begun = void(payment, new_id, now)
        case Kind.REFUND if payment.state in (State.CAPTURED, State.PARTIALLY_REFUNDED):
            begun = refund(payment, new_id, minor, now)
        case _:
            return None
    settled = _succeeded(begun, begun.operations[-1], replace(report, operation_id=new_id), now)
    # One change of the payment, not two.
    return replace(settled, payment=replace(settled.payment, version=payment.version + 1))


def _close_authorization(payment: Payment, now: datetime) -> Payment:
    """A payer who has not confirmed can't any more."""
    operation = payment.latest(Kind.AUTHORIZE)
    if operation is None or not operation.is_open:
        return payment
    return _with(payment, replace(operation, state=Progress.FAILED, failure_reason=CANCELED, update_time=now))


def _refunded(payment: Payment, minor: int) -> Payment:
    refunded = payment.refunded_minor + minor
    state = State.REFUNDED if refunded == payment.captured_minor else State.PARTIALLY_REFUNDED
    return replace(payment, refunded_minor=refunded, state=state if refunded else State.CAPTURED)


def _begin(payment: Payment, operation_id: str, kind: Kind, minor: int, now: datetime) -> Payment:
    if len(payment.operations) >= MOST_OPERATIONS:
        raise ResourceExhausted("TOO_MANY_OPERATIONS", f"a payment has at most {MOST_OPERATIONS} operations")
    begun = Operation(operation_id, kind, minor, create_time=now, update_time=now, look_time=now + FIRST_LOOK)
    payment = replace(payment, operations=(*payment.operations, begun), update_time=now)
    return payment if kind is Kind.AUTHORIZE else replace(payment, version=payment.version + 1)


def _changed(payment: Payment, operation: Operation, now: datetime) -> Payment:
    return replace(_with(payment, operation), update_time=now, version=payment.version + 1)


def _with(payment: Payment, operation: Operation) -> Payment:
    return replace(payment, operations=_replaced(payment.operations, operation))


def _replaced(operations: Iterable[Operation], changed: Operation) -> tuple[Operation, ...]:
    return tuple(changed if o.id == changed.id else o for o in operations)


def _wait(operation: Operation) -> timedelta:
    return min(SHORTEST_WAIT * 2.0 ** min(operation.attempts - 1, 20), LONGEST_WAIT)


def _amount(payment: Payment, amount: Money | None, most: int) -> int:
    """The amount asked for, or all there is."""
    if amount is not None and amount.currency != payment.currency:
        why = f"the payment is in {payment.currency}"
        raise InvalidArgument("CURRENCY_MISMATCH", f"amount: {why}", fields={"amount": why})
    minor = most if amount is None else amount.amount_minor
    if amount is not None and minor == 0:
        raise InvalidArgument("MONEY_INVALID", "amount: zero", fields={"amount": "zero"})
    if minor > most or minor == 0:
        raise FailedPrecondition(
            "AMOUNT_EXCEEDED", f"{minor} {payment.currency} minor units are more than the {most} there are",
            id=payment.id, available_minor=str(most),
        )  # fmt: skip
    return minor


def _refuse_beside(payment: Payment, *kinds: Kind) -> None:
    for operation in payment.operations:
        if operation.kind in kinds and operation.is_open:
            raise FailedPrecondition(
                "OPERATION_OPEN",
                f"a {operation.kind.lower()} of this payment has no outcome yet; look again later",
                id=payment.id,
                operation_id=operation.id,
            )


def _not_in(reason: str, message: str, payment: Payment) -> FailedPrecondition:
    return FailedPrecondition(reason, f"{message}; this one is {payment.state}", id=payment.id, state=payment.state)
