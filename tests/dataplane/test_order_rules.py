"""What may become of an order, and what follows from its ledger: pure functions, tried at random."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.orders import domain
from dataplane.orders.domain import (
    NEXT,
    Fulfillment,
    FulfillmentLine,
    FulfillmentStatus,
    Ledger,
    PaymentStatus,
    Refund,
    RefundLine,
    RefundState,
    State,
)
from shared.payments import domain as payments
from shared.payments.domain import Kind, Outcome, Payment, Report
from shared.runtime.errors import PlatformError
from shared.runtime.ids import uuid7
from shared.runtime.money import Money
from tests.dataplane.orders import line, order

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def payment(minor: int, *steps: tuple[Kind, Outcome, int]) -> Payment:
    """Authorized, and what was done with it then: (kind, outcome, amount; 0 for all)."""
    new = Payment(uuid7(), "", "EUR", minor, "stripe", "card", "", NOW, NOW)
    made = payments.authorize(new, uuid7())
    made = settled(made, Kind.AUTHORIZE, Outcome.SUCCEEDED)
    for kind, outcome, amount in steps:
        money = Money("EUR", amount) if amount else None
        match kind:
            case Kind.CAPTURE:
                made = payments.capture(made, uuid7(), money, NOW)
            case Kind.REFUND:
                made = payments.refund(made, uuid7(), money, NOW)
            case Kind.VOID:
                made = payments.void(made, uuid7(), NOW)
        made = settled(made, kind, outcome)
    return made


def settled(before: Payment, kind: Kind, outcome: Outcome) -> Payment:
    if outcome is Outcome.UNKNOWN:
        return before
    report = Report(kind, outcome, before.operations[-1].id, provider_reference=uuid7())
    after = payments.settle(before, report, NOW, uuid7())
    assert after is not None
    return after.payment


DONE, LOST = Outcome.SUCCEEDED, Outcome.UNKNOWN


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_an_order_moves_as_the_table_says_and_no_other_way(before: State, after: State) -> None:
    table = {
        State.PENDING_PAYMENT: {State.PLACED, State.EXPIRED, State.CANCELED},
        State.PLACED: {State.PARTIALLY_FULFILLED, State.FULFILLED, State.CANCELED},
        State.PARTIALLY_FULFILLED: {State.FULFILLED},
    }
    start = replace(order(line()), state=before)
    if after in table.get(before, set()):
        moved = domain.moved(start, after, NOW)
        assert (moved.state, moved.expire_time) == (after, None)
        assert (moved.place_time == NOW) is (after is State.PLACED)
    else:
        with pytest.raises(PlatformError, match=f"is {before}"):
            domain.moved(start, after, NOW)


def test_no_order_leaves_its_end() -> None:
    assert not any(NEXT[state] for state in (State.FULFILLED, State.EXPIRED, State.CANCELED))
    assert set(NEXT) == set(State)


@pytest.mark.parametrize(
    ("steps", "status", "paid", "refunded"),
    [
        ((), PaymentStatus.AUTHORIZED, 0, 0),
        (((Kind.CAPTURE, LOST, 0),), PaymentStatus.AUTHORIZED, 0, 0),
        (((Kind.CAPTURE, Outcome.FAILED, 0),), PaymentStatus.AUTHORIZED, 0, 0),
        (((Kind.CAPTURE, DONE, 0),), PaymentStatus.CAPTURED, 2000, 0),
        (((Kind.CAPTURE, DONE, 500),), PaymentStatus.PARTIALLY_CAPTURED, 500, 0),
        (((Kind.CAPTURE, DONE, 0), (Kind.REFUND, LOST, 700)), PaymentStatus.CAPTURED, 2000, 0),
        (((Kind.CAPTURE, DONE, 0), (Kind.REFUND, DONE, 700)), PaymentStatus.PARTIALLY_REFUNDED, 2000, 700),
        (((Kind.CAPTURE, DONE, 0), (Kind.REFUND, DONE, 0)), PaymentStatus.REFUNDED, 2000, 2000),
        (((Kind.VOID, LOST, 0),), PaymentStatus.AUTHORIZED, 0, 0),
        (((Kind.VOID, DONE, 0),), PaymentStatus.VOIDED, 0, 0),
    ],
)
def test_how_it_is_paid_follows_from_its_payments(
    steps: tuple[tuple[Kind, Outcome, int], ...], status: PaymentStatus, paid: int, refunded: int
) -> None:
    made = domain.derived(order(line(quantity=2)), Ledger((payment(2000, *steps),)), NOW)
    assert (made.payment_status, made.paid_minor, made.refunded_minor) == (status, paid, refunded)


def test_a_second_payment_counts_for_nothing_and_is_let_go() -> None:
    first, second = payment(2000, (Kind.CAPTURE, DONE, 0)), payment(2000)
    placed = replace(order(line(quantity=2)), state=State.PLACED)
    made = domain.derived(placed, Ledger((first, second)), NOW)
    assert (made.payment_status, made.paid_minor) == (PaymentStatus.CAPTURED, 2000)
    assert domain.follow_up(made, second, (first, second)) is Kind.VOID
    taken = payment(2000, (Kind.CAPTURE, DONE, 0))
    assert domain.follow_up(made, taken, (first, taken)) is Kind.REFUND
    assert domain.follow_up(made, first, (first, second)) is None


def test_what_was_tried_once_is_not_tried_for_ever() -> None:
    for state, tried in (
        (State.CANCELED, payment(2000, (Kind.VOID, Outcome.FAILED, 0))),
        (State.CANCELED, payment(2000, (Kind.CAPTURE, DONE, 0), (Kind.REFUND, Outcome.FAILED, 0))),
        (State.PLACED, payment(2000, (Kind.CAPTURE, Outcome.FAILED, 0))),
    ):
        assert domain.follow_up(replace(order(line()), state=state), tried, (tried,)) is None


def test_an_order_is_not_placed_with_money_that_is_being_let_go() -> None:
    assert domain.is_paid_for((payment(10),))
    assert not domain.is_paid_for((payment(10, (Kind.VOID, LOST, 0)),))
    assert domain.is_paid_for((payment(10, (Kind.VOID, Outcome.FAILED, 0)),))


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False))
def test_whatever_is_shipped_and_given_back_the_sums_hold(chance: random.Random) -> None:
    """Steps at random through the same functions that requests go through."""
    lines = [
        line(quantity=quantity, unit_minor=unit, discount_minor=chance.randint(0, quantity * unit), tax_minor=tax)
        for quantity, unit, tax in ((chance.randint(1, 5), chance.randint(0, 999), chance.randint(0, 99)) for _ in "ab")
    ]
    current = replace(order(*lines, prices_include_tax=chance.random() < 0.5), state=State.PLACED)
    if current.total_minor == 0:
        return
    paying = payment(current.total_minor, (Kind.CAPTURE, DONE, 0))
    ledger = Ledger((paying,))
    current = domain.derived(current, ledger, NOW)
    for _ in range(12):
        which = chance.choice(current.lines)
        try:
            if chance.random() < 0.5:
                shipped = domain.fulfill(current, [FulfillmentLine(which.id, chance.randint(1, 3))])
                new = Fulfillment(uuid7(), shipped, "", "", NOW, chance.choice((None, NOW)))
                ledger = replace(ledger, fulfillments=(*ledger.fulfillments, new))
            else:
                goods = chance.choice(({}, {"restock": True}, {"withdrawn": True}))
                back = RefundLine(which.id, chance.randint(1, 3), **goods)
                worth = domain.refund(current, [back])
                state = chance.choice(list(RefundState))
                refund = Refund(uuid7(), uuid7(), max(worth, 1), "", NOW, state, lines=(back,))
                ledger = replace(ledger, refunds=(*ledger.refunds, refund))
        except PlatformError:
            continue
        after = domain.derived(current, ledger, NOW)
        assert after == domain.derived(after, ledger, NOW), "the same again is the same"
        assert after.state is current.state or after.state in NEXT[current.state]
        current = after
        holds(current, ledger)


def holds(current: domain.Order, ledger: Ledger) -> None:
    for each in current.lines:
        assert 0 <= each.refunded <= each.quantity
        assert each.to_ship >= 0 and 0 <= each.returned <= each.fulfilled
        assert each.fulfilled == sum(
            shipped.quantity for one in ledger.fulfillments for shipped in one.lines if shipped.line_id == each.id
        )
    is_whole = not any(each.to_ship for each in current.lines)
    assert (current.fulfillment_status is FulfillmentStatus.UNFULFILLED) is (not ledger.fulfillments)
    if ledger.fulfillments:
        assert (current.fulfillment_status is FulfillmentStatus.PARTIALLY_FULFILLED) is not is_whole
        assert (current.state is State.FULFILLED) is is_whole


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 9), st.integers(0, 10_000), st.data())
def test_a_line_in_parts_is_worth_what_it_is_worth_at_once(quantity: int, unit: int, data: st.DataObject) -> None:
    discount = data.draw(st.integers(0, quantity * unit))
    tax = data.draw(st.integers(0, 999))
    sold = line(quantity=quantity, unit_minor=unit, discount_minor=discount, tax_minor=tax)
    current = order(sold, prices_include_tax=data.draw(st.booleans()))
    whole, parts = domain.refund(current, [RefundLine(sold.id, quantity)]), 0
    for _ in range(quantity):
        parts += domain.refund(current, [RefundLine(sold.id, 1)])
        current = replace(current, lines=(replace(current.lines[0], refunded=current.lines[0].refunded + 1),))
    assert parts == whole == quantity * unit - discount + (0 if current.prices_include_tax else tax)


def test_what_was_imported_keeps_what_it_was_paid() -> None:
    known = replace(order(line(quantity=2)), state=State.PLACED, paid_minor=2000)
    refund = Refund(uuid7(), None, 700, "", NOW, RefundState.SUCCEEDED)
    made = domain.derived(known, Ledger(refunds=(refund,)), NOW + timedelta(days=1))
    assert (made.paid_minor, made.refunded_minor) == (2000, 700)
    assert made.payment_status is PaymentStatus.PARTIALLY_REFUNDED
