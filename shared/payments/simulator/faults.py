"""What goes wrong at the simulated provider, by script: by a test card, or by what the next calls are told to do."""

from collections import defaultdict, deque
from enum import StrEnum


class Fault(StrEnum):
    # The card is refused.
    DECLINE = "DECLINE"
    # The payer has to confirm on a page.
    THREE_D_SECURE = "THREE_D_SECURE"
    # It happens; the answer comes when nobody waits for it any more.
    TIMEOUT = "TIMEOUT"
    # A server error, which the key stands for from then on.
    ERROR_BEFORE = "ERROR_BEFORE"
    ERROR_AFTER = "ERROR_AFTER"
    # The connection goes without an answer.
    DROP_BEFORE = "DROP_BEFORE"
    DROP_AFTER = "DROP_AFTER"
    # The event of what happened comes twice, later than the ones after it, or before the answer.
    DUPLICATE_WEBHOOK = "DUPLICATE_WEBHOOK"
    LATE_WEBHOOK = "LATE_WEBHOOK"
    EARLY_WEBHOOK = "EARLY_WEBHOOK"
    # It is signed as of long ago; the second delivery is signed right.
    CLOCK_SKEW = "CLOCK_SKEW"


# Stripe's own test cards (docs.stripe.com/testing): (error code, decline code).
DECLINED = {
    "pm_card_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", None),
    "pm_card_visa_chargeDeclinedExpiredCard": ("expired_card", None),
}
CONFIRMED = {"pm_card_authenticationRequired", "pm_card_threeDSecure2Required", "pm_card_threeDSecureRequired"}


class Script:
    """Faults that wait for the next calls: by account and by what is called."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], deque[frozenset[Fault]]] = defaultdict(deque)

    def add(self, account: str, call: str, faults: frozenset[Fault], times: int = 1) -> None:
        """call: authorize, capture, refund or cancel; an empty one is any."""
        self._waiting[account, call].extend([faults] * times)

    def next(self, account: str, call: str) -> frozenset[Fault]:
        for key in ((account, call), (account, "")):
            if waiting := self._waiting.get(key):
                return waiting.popleft()
        return frozenset()

    def clear(self, account: str) -> None:
        for key in [key for key in self._waiting if key[0] == account]:
            del self._waiting[key]
