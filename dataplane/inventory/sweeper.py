"""Reservations that are over are given back."""

import asyncio

import structlog

from dataplane.inventory import messages, ops, store
from shared.runtime import context as calls
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.inventory")

EVERY_S = 2.0
AT_ONCE = 200


class Sweeper:
    """steward: who may ask what is over, whosever it is. db: transactions that may write, each one tenant's; a tenant
    that is closed to writes keeps its reservations until it is open again. caller: whom the audit names."""

    def __init__(self, *, db: Database, steward: Database, clock: Clock, caller: str) -> None:
        self._db = db
        self._steward = steward
        self._clock = clock
        self._caller = caller

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                while await self.sweep():
                    pass
            except PlatformError as error:
                log.warning("what has expired stays reserved for now", error=str(error))
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> int:
        """Gives back what has expired, and says of how many owners; some may be left then."""
        async with self._steward.transaction() as tx:
            due = await store.expired(tx, self._clock.now(), AT_ONCE)
        swept = 0
        for tenant_id, owner in due:
            with calls.use(calls.own_work(self._caller, tenant_id, "worker/inventory/sweep")):
                try:
                    swept += await self._expire(tenant_id, owner)
                except PlatformError as error:
                    # Closed meanwhile, or in somebody's hands: it is due again later.
                    log.info("a reservation stays", owner=owner, error=str(error))
        return swept

    async def _expire(self, tenant_id: str, owner: str) -> bool:
        async with self._db.transaction(tenant_id) as tx:
            outcome = await ops.expire(tx, tenant_id, owner, now=self._clock.now())
            if outcome.steps:
                events = messages.events(outcome)
                await journal.record(tx, tenant_id, messages.changes(outcome, "expired"), events)
        return bool(outcome.steps)
