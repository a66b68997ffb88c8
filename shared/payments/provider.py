"""What a payment provider does for the platform, whichever it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.payments.domain import Operation, Payment, Report
from shared.runtime.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant's account at a provider. api_base: empty for the provider's own address."""

    provider: str
    api_base: str
    secret_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Notice:
    """What a provider reported by itself. reports: in the order in which it happened; none for what is not ours.

    payment_id: as we told the provider when it was made; empty for what was made at its own pages, which is found by
    provider_payment_id.
    """

    event_id: str
    type: str
    time: datetime
    payment_id: str = ""
    provider_payment_id: str = ""
    reports: tuple[Report, ...] = ()


class Provider(Protocol):
    """A call that moves money has the operation's id as its idempotency key. Whatever goes wrong is a Report."""

    def refuse_amount(self, currency: str, amount_minor: int) -> None:
        """InvalidArgument AMOUNT_NOT_SUPPORTED: the provider has no such currency, or none so finely divided."""
        ...

    async def carry_out(self, account: Account, tenant_id: str, payment: Payment, operation: Operation) -> Report:
        """Does it; the same again while the provider knows the key."""
        ...

    async def ask(
        self, account: Account, tenant_id: str, payment: Payment, operation: Operation, now: datetime
    ) -> Report:
        """What became of it, or UNKNOWN. Never a second effect."""
        ...

    def read(self, account: Account, body: bytes, metadata: Mapping[str, str | bytes], now: datetime) -> Notice:
        """InvalidArgument SIGNATURE_INVALID, EVENT_TOO_OLD or EVENT_MALFORMED."""
        ...


def unsupported(why: str) -> InvalidArgument:
    return InvalidArgument("AMOUNT_NOT_SUPPORTED", f"amount: {why}", fields={"amount": why})


def refused_event(reason: str, why: str) -> InvalidArgument:
    return InvalidArgument(reason, f"body: {why}", fields={"body": why})
