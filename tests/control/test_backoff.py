"""Waits between tries: they grow, they end somewhere, and they spread."""

from control.backoff import Backoff
from control.operations import domain as operations
from control.users import mail


def test_tries_come_slower_and_slower_but_never_too_slowly() -> None:
    waits = [Backoff(first_s=0.5, last_s=15.0).delay_s(attempts, 1.0) for attempts in (*range(1, 9), 1_000_000)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0, 15.0]


def test_what_failed_together_is_not_tried_together() -> None:
    backoff = Backoff(first_s=1.0, last_s=10.0)
    assert [backoff.delay_s(2, chance) for chance in (0.0, 0.5, 1.0)] == [1.0, 1.5, 2.0]


def test_an_operation_is_tried_again_within_seconds_and_a_mail_within_half_an_hour() -> None:
    assert (operations.backoff_s(1, 1.0), operations.backoff_s(100, 1.0)) == (0.5, 15.0)
    assert (mail.backoff_s(1, 1.0), mail.backoff_s(100, 1.0)) == (2.0, 1800.0)
