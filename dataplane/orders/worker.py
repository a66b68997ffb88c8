"""Orders that were not paid in time end, and what they held is for sale again."""

import asyncio
from datetime import datetime, timedelta

import structlog

from dataplane.orders import domain, ops, store
from dataplane.orders.domain import State
from shared.payments.domain import State as PaymentState
from shared.payments.ops import Begun, Payments
from shared.runtime import context as calls
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.orders")

EVERY_S = 2.0
AT_ONCE = 200
# How much longer an order waits of whose payment the provider still has to say something.
LONGER = timedelta(seconds=30)


class Sweeper:
    """steward: who may ask what is due, whosever it is. db: transactions that may write, each one tenant's; a tenant
    that is closed to writes keeps its orders until it is open again. caller: whom the audit names."""

    def __init__(self, *, db: Database, steward: Database, clock: Clock, caller: str, payments: Payments) -> None:
        self._db = db
        self._steward = steward
        self._clock = clock
        self._caller = caller
        self._payments = payments

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                while await self.sweep() >= AT_ONCE:
                    pass
            except PlatformError as error:
                log.warning("what was not paid stays for now", error=str(error))
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> int:
        """Ends what was not paid in time, and says how many orders it has looked at with success."""
        async with self._steward.transaction() as tx:
            due = await store.due(tx, self._clock.now(), AT_ONCE)
        looked_at = 0
        for tenant_id, order_id in due:
            with calls.use(calls.own_work(self._caller, tenant_id, "worker/orders/sweep")):
                try:
                    await self._end(tenant_id, order_id)
                    looked_at += 1
                except PlatformError as error:
                    # Closed meanwhile, or in somebody's hands: it is due again later.
                    log.info("an order stays", order=order_id, error=str(error))
        return looked_at

    async def _end(self, tenant_id: str, order_id: str) -> None:
        now = self._clock.now()
        begun = await self._step(tenant_id, order_id, now)
        if begun is None:
            return
        payment = await self._payments.carry_out(tenant_id, begun)
        if payment.state is PaymentState.VOIDED:
            await self._step(tenant_id, order_id, now + LONGER)

    async def _step(self, tenant_id: str, order_id: str, at: datetime) -> Begun | None:
        """Ends the order if nothing can come of its payments any more; what awaits the shopper only is called off.

        at: the order was to be paid by then.
        """
        async with self._db.transaction(tenant_id) as tx:
            journal.unchanged(tx)
            order, ledger = await ops.locked(tx, tenant_id, order_id)
            if not domain.is_overdue(order, at):
                return None
            pending = [payment for payment in ledger.payments if domain.is_pending(payment)]
            if not pending:
                await ops.give_up(tx, tenant_id, order, State.EXPIRED, self._clock.now())
                return None
            await store.look_again(tx, tenant_id, order_id, at + LONGER)
            for payment in pending:
                if domain.awaits_payer(payment):
                    return await self._payments.void(tx, tenant_id, payment.id, "its order was not paid in time")
        # The provider owes a word, which the worker of payments asks for.
        return None
