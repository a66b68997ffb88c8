"""The rules of payments by themselves: what may begin, and what a provider's words make of it, in whatever order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.payments import domain
from shared.payments.domain import NOT_AT_PROVIDER, Kind, Outcome, Payment, Progress, Report, State

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def pending() -> Payment:
    new = Payment("p", "order", "EUR", 1000, "stripe", "pm_card_visa", "", NOW, NOW)
    return domain.authorize(new, "a")


def told(payment: Payment, *reports: Report) -> Payment:
    for report in reports:
        if (settled := domain.settle(payment, report, NOW, f"new-{report.kind}")) is not None:
            payment = settled.payment
    return payment


HELD = Report(Kind.AUTHORIZE, Outcome.SUCCEEDED, "a", 1000, "pi_1")
LOST = Report(Kind.AUTHORIZE, Outcome.FAILED, "a", reason=NOT_AT_PROVIDER)


def captured() -> Payment:
    begun = domain.capture(told(pending(), HELD), "c", None, NOW)
    return told(begun, Report(Kind.CAPTURE, Outcome.SUCCEEDED, "c", 1000))


def test_the_first_word_about_an_operation_counts_and_later_ones_do_not() -> None:
    held = told(pending(), HELD)
    assert (held.state, held.authorized_minor) == (State.AUTHORIZED, 1000)
    declined = Report(Kind.AUTHORIZE, Outcome.FAILED, "a", reason="DECLINED")
    for late in (HELD, declined, Report(Kind.AUTHORIZE, Outcome.ACTION, "a"), replace(HELD, outcome=Outcome.UNKNOWN)):
        assert told(held, late) == held
    assert told(pending(), declined, HELD).state is State.FAILED


def test_a_word_that_says_nothing_new_changes_nothing() -> None:
    unknown = told(pending(), Report(Kind.AUTHORIZE, Outcome.UNKNOWN, "a"))
    assert unknown.operations[0].state is Progress.UNKNOWN
    assert told(unknown, Report(Kind.AUTHORIZE, Outcome.UNKNOWN, "a")) == unknown


def test_an_authorization_that_was_given_up_and_was_there_is_voided() -> None:
    found = told(pending(), LOST, HELD)
    assert (found.state, found.provider_payment_id) == (State.AUTHORIZED, "pi_1")
    void = found.operations[-1]
    assert (void.kind, void.state, void.look_time) == (Kind.VOID, Progress.PENDING, NOW)
    gone = told(found, Report(Kind.VOID, Outcome.SUCCEEDED, void.id))
    assert gone.state is State.VOIDED


def test_a_refund_that_was_given_up_and_was_there_is_booked() -> None:
    begun = domain.refund(captured(), "r", None, NOW)
    lost = told(begun, Report(Kind.REFUND, Outcome.FAILED, "r", reason=NOT_AT_PROVIDER))
    assert (lost.refunding_minor, lost.refunded_minor) == (0, 0)
    found = told(lost, Report(Kind.REFUND, Outcome.SUCCEEDED, "r", 1000, provider_reference="re_1"))
    assert (found.refunding_minor, found.refunded_minor, found.state) == (0, 1000, State.REFUNDED)


def test_a_refund_that_the_bank_sent_back_is_taken_back_once() -> None:
    begun = domain.refund(captured(), "r", None, NOW)
    done = told(begun, Report(Kind.REFUND, Outcome.SUCCEEDED, "r", 1000, provider_reference="re_1"))
    back = Report(Kind.REFUND, Outcome.FAILED, "r", 1000, provider_reference="re_1")
    # A refusal of our own call says nothing of the refund that is there.
    assert told(done, Report(Kind.REFUND, Outcome.FAILED, "r", reason="PROVIDER_REFUSED")) == done
    after = told(done, back, back)
    assert (after.state, after.refunded_minor) == (State.CAPTURED, 0)
    assert told(after, Report(Kind.REFUND, Outcome.SUCCEEDED, "r", 1000, provider_reference="re_1")) == after


def test_waits_double_up_to_the_longest_and_no_key_is_used_after_its_life() -> None:
    payment = pending()
    for _ in range(40):
        payment = domain.asked_again(payment, payment.operations[0], NOW, 1.0)
    assert payment.operations[0].look_time == NOW + domain.FIRST_LOOK + domain.LONGEST_WAIT
    [operation] = payment.operations
    assert domain.may_repeat(operation, NOW + timedelta(hours=19))
    assert not domain.may_repeat(operation, NOW + timedelta(hours=21))
