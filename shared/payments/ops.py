"""How an operation begins, inside the caller's transaction, and what becomes of it once that is committed: the provider
is called, and every word of its goes into one function, whether it answered, reported by itself or was asked later."""

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.payments import domain, store
from shared.payments.domain import Operation, Payment, Report
from shared.payments.messages import change, event
from shared.payments.provider import Account, Notice, Provider
from shared.payments.store import Settings
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import InvalidArgument
from shared.runtime.events.boundary import Boundary, none
from shared.runtime.ids import is_uuid, uuid7
from shared.runtime.journal import Event
from shared.runtime.money import Money
from shared.runtime.vault import Vault


@dataclass(frozen=True, slots=True)
class Begun:
    """An operation that waits for its commit, and then for carry_out()."""

    payment: Payment
    operation: Operation
    account: Account


# What a changed payment means to whom it was made for, in the transaction of the change. An operation that this begins,
# such as the capture of what is authorized now, is carried out after the commit.
Followed = Callable[[AsyncConnection, str, Payment], Awaitable[Begun | None]]


async def nobody(tx: AsyncConnection, tenant_id: str, payment: Payment) -> Begun | None:
    """Nobody follows."""
    return None


class Payments:
    """db: transactions that may write; reads: those that do not. reached: told of each step, for tests.

    followed: called with each change, while the payment's row is held.
    """

    def __init__(
        self,
        *,
        db: Database,
        reads: Database,
        clock: Clock,
        vault: Vault,
        providers: Mapping[str, Provider],
        followed: Followed = nobody,
        reached: Boundary = none,
    ) -> None:
        self.db = db
        self.reads = reads
        self.clock = clock
        self.vault = vault
        self.providers = providers
        self._followed = followed
        self._reached = reached

    def provider(self, name: str) -> Provider:
        """InvalidArgument PROVIDER_UNKNOWN."""
        if (provider := self.providers.get(name)) is None:
            why = f"none of {', '.join(sorted(self.providers))}"
            raise InvalidArgument("PROVIDER_UNKNOWN", f"provider: {why}", fields={"provider": why})
        return provider

    def account(self, tenant_id: str, settings: Settings | None) -> Account:
        """FailedPrecondition PAYMENTS_NOT_CONFIGURED."""
        if settings is None:
            raise store.not_configured()
        return Account(
            settings.provider,
            settings.api_base,
            self.vault.open(tenant_id, "secret_key", settings.secret_key).decode(),
            self.vault.open(tenant_id, "webhook_secret", settings.webhook_secret).decode(),
        )

    async def authorize(
        self,
        tx: AsyncConnection,
        tenant_id: str,
        amount: Money,
        *,
        reference: str,
        payment_method: str,
        return_url: str,
    ) -> Begun:
        """amount: more than nothing.

        FailedPrecondition PAYMENTS_NOT_CONFIGURED; InvalidArgument AMOUNT_NOT_SUPPORTED.
        """
        settings = await self._settings(tx, tenant_id)
        self.provider(settings.provider).refuse_amount(amount.currency, amount.amount_minor)
        now = self.clock.now()
        new = Payment(
            id=uuid7(),
            reference=reference,
            currency=amount.currency,
            amount_minor=amount.amount_minor,
            provider=settings.provider,
            payment_method=payment_method,
            return_url=return_url,
            create_time=now,
            update_time=now,
        )
        payment = domain.authorize(new, uuid7())
        await store.add(tx, tenant_id, payment)
        return await self._begun(tx, tenant_id, settings, None, payment, "")

    async def capture(self, tx: AsyncConnection, tenant_id: str, payment_id: str, amount: Money | None = None) -> Begun:
        """amount: None for all that is held."""
        return await self._changed(
            tx, tenant_id, payment_id, lambda held: domain.capture(held, uuid7(), amount, self.clock.now())
        )

    async def refund(
        self, tx: AsyncConnection, tenant_id: str, payment_id: str, amount: Money | None = None, reason: str = ""
    ) -> Begun:
        """amount: None for all that is left."""
        return await self._changed(
            tx, tenant_id, payment_id, lambda held: domain.refund(held, uuid7(), amount, self.clock.now()), reason
        )

    async def void(self, tx: AsyncConnection, tenant_id: str, payment_id: str, reason: str = "") -> Begun:
        return await self._changed(
            tx, tenant_id, payment_id, lambda held: domain.void(held, uuid7(), self.clock.now()), reason
        )

    async def carry_out(self, tenant_id: str, begun: Begun) -> Payment:
        """Calls the provider for an operation that is committed, with no transaction open, and settles it."""
        await self._reached("begun")
        provider = self.provider(begun.payment.provider)
        report = await provider.carry_out(begun.account, tenant_id, begun.payment, begun.operation)
        await self._reached("called")
        settled = await self.settle(tenant_id, begun.payment.id, report)
        await self._reached("settled")
        return settled

    async def settle(self, tenant_id: str, payment_id: str, report: Report) -> Payment:
        following = None
        async with self.db.transaction(tenant_id) as tx:
            before = await store.get(tx, tenant_id, payment_id, lock=True)
            after, events = self._told(before, [report])
            if after is not before:
                await store.save(tx, tenant_id, before, after)
                await journal.record(tx, tenant_id, [change(before, after)], events)
                following = await self._followed(tx, tenant_id, after)
            else:
                journal.unchanged(tx)
        return after if following is None else await self.carry_out(tenant_id, following)

    async def take(self, tenant_id: str, provider: str, notice: Notice) -> bool:
        """What a provider reported by itself; says whether it was new. NotFound PAYMENT_NOT_FOUND."""
        following = None
        async with self.db.transaction(tenant_id) as tx:
            # Another tenant's is not found: the row policies see to that.
            payment_id = notice.payment_id
            if not payment_id:
                payment_id = await store.known_as(tx, tenant_id, provider, notice.provider_payment_id)
            if not is_uuid(payment_id):
                raise store.missing(payment_id)
            before = await store.get(tx, tenant_id, payment_id, lock=True)
            if not await store.note(tx, tenant_id, uuid7(), provider, notice, payment_id, self.clock.now()):
                journal.unchanged(tx)
                return False
            after, events = self._told(before, notice.reports)
            if after is not before:
                await store.save(tx, tenant_id, before, after)
            await journal.record(tx, tenant_id, [change(before, after)], events)
            if after is not before:
                following = await self._followed(tx, tenant_id, after)
        if following is not None:
            await self.carry_out(tenant_id, following)
        return True

    async def ask(self, tenant_id: str, payment_id: str, operation_id: str, *, at_once: bool = False) -> Payment | None:
        """Asks the provider about an operation that is open, and settles it; None when there was nothing to ask.

        at_once: whether or not it is time to.
        """
        now = self.clock.now()
        async with self.db.transaction(tenant_id) as tx:
            # When to look again is no news; what the provider says is.
            journal.unchanged(tx)
            before = await store.get(tx, tenant_id, payment_id, lock=True)
            operation = before.operation(operation_id)
            if operation is None or not operation.is_open or (operation.look_time > now and not at_once):
                return None
            payment = domain.asked_again(before, operation, now, random.random())
            await store.save(tx, tenant_id, before, payment)
            settings = await store.settings(tx, tenant_id)
        account = self.account(tenant_id, settings)
        await self._reached("asking")
        asked = payment.operation(operation_id) or operation
        report = await self.provider(payment.provider).ask(account, tenant_id, payment, asked, now)
        await self._reached("asked")
        return await self.settle(tenant_id, payment_id, report)

    async def ask_all(self, tenant_id: str, some: Iterable[Payment]) -> None:
        """Asks at once about whatever is open of the payments."""
        for payment in some:
            for operation in payment.operations:
                if operation.is_open:
                    await self.ask(tenant_id, payment.id, operation.id, at_once=True)

    async def _settings(self, tx: AsyncConnection, tenant_id: str) -> Settings:
        """FailedPrecondition PAYMENTS_NOT_CONFIGURED."""
        if (settings := await store.settings(tx, tenant_id)) is None:
            raise store.not_configured()
        return settings

    async def _changed(
        self,
        tx: AsyncConnection,
        tenant_id: str,
        payment_id: str,
        begin: Callable[[Payment], Payment],
        reason: str = "",
    ) -> Begun:
        settings = await self._settings(tx, tenant_id)
        held = await store.get(tx, tenant_id, payment_id, lock=True)
        payment = begin(held)
        await store.save(tx, tenant_id, held, payment)
        return await self._begun(tx, tenant_id, settings, held, payment, reason)

    async def _begun(
        self,
        tx: AsyncConnection,
        tenant_id: str,
        settings: Settings,
        held: Payment | None,
        payment: Payment,
        reason: str,
    ) -> Begun:
        await journal.record(tx, tenant_id, [change(held, payment, reason)])
        return Begun(payment, payment.operations[-1], self.account(tenant_id, settings))

    def _told(self, payment: Payment, reports: Iterable[Report]) -> tuple[Payment, list[Event]]:
        """The one place where a provider's word changes a payment; its row's lock puts the words in an order."""
        events = []
        for report in reports:
            if (settled := domain.settle(payment, report, self.clock.now(), uuid7())) is not None:
                payment = settled.payment
                events += [event(happened, payment, settled.operation) for happened in settled.happened]
        return payment, events
