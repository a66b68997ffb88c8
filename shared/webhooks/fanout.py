"""Events in: each goes to the endpoints of its tenant that want it, in the transaction that notes it as received.

What could not be written for a tenant when it came is read again from the stream once it can: the tenant was closed to
writes, was moving, or was not here yet. The deliveries' unique key makes it harmless to read too much.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError
from shared.runtime.events import subjects
from shared.runtime.events.broker import FAILURES, KEPT, Broker, heed_cancellation
from shared.runtime.events.consumer import Event, Subscription
from shared.runtime.events.reading import Reader
from shared.webhooks import store
from shared.webhooks.domain import Patience
from shared.webhooks.messages import fanned

log = structlog.stdlib.get_logger("center.webhooks")

LOOK_S = 1.0
AT_ONCE = 100
# An event's time is its transaction's, on the clock of its database; its place in the stream is a little later.
MARGIN = timedelta(minutes=5)


def subscriptions(cluster_id: str) -> list[Subscription]:
    """One for each plane; both planes' events concern tenants."""
    return [
        Subscription(f"webhooks-{cluster_id}" if plane == "dataplane" else f"webhooks-{cluster_id}-{plane}", plane)
        for plane in subjects.STREAMS
    ]


async def arrived(steward: AsyncConnection, tenant_id: str) -> None:
    """In the transaction that brings a tenant to this cluster: where it was, events may have been left over."""
    await store.note_arrival(steward, tenant_id, KEPT)


@dataclass(frozen=True, slots=True)
class FanOut:
    """is_served: whether the tenant of an id is this cluster's to serve, or may become so before long."""

    is_served: Callable[[str], bool]
    clock: Clock
    patience: Patience = field(default_factory=Patience)

    async def apply(self, tx: AsyncConnection, event: Event) -> None:
        if event.tenant_id and self.is_served(event.tenant_id):
            await store.fan_out(tx, fanned(event, self.clock.now() + self.patience.total))

    async def again(self, tx: AsyncConnection, events: Sequence[Event]) -> bool:
        """False when the tenant is closed again."""
        for event in events:
            kept = fanned(event, self.clock.now() + self.patience.total)
            if await store.fan_out(tx, kept, once_more=True) == "CLOSED":
                return False
        return True


class CatchUp:
    """Reads again what tenants have missed. steward: finds them; db: writes for them."""

    def __init__(
        self, fan_out: FanOut, *, db: Database, steward: Database, broker: Broker, written: Callable[[], None]
    ) -> None:
        self._fan_out = fan_out
        self._db = db
        self._steward = steward
        self._broker = broker
        self._written = written

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            heed_cancellation()
            try:
                async with self._steward.transaction() as tx:
                    found = await store.open_gaps(tx)
                for tenant_id in found:
                    # Else an event that comes when this is done would be passed over, and nobody would know.
                    if self._fan_out.is_served(tenant_id):
                        await self.catch_up(tenant_id)
            except (PlatformError, *FAILURES) as error:
                log.info("events are read again later", error=repr(error))
            await asyncio.sleep(LOOK_S)

    async def catch_up(self, tenant_id: str) -> bool:
        """Whether nothing is missing any more."""
        async with self._db.transaction(tenant_id) as tx:
            gap = await store.gap(tx, tenant_id)
        if gap is None:
            return True
        since, skipped = gap
        count = 0
        if since is not None:
            async with aclosing(self._batches(tenant_id, since - MARGIN)) as batches:
                async for batch in batches:
                    async with self._db.transaction(tenant_id) as tx:
                        if not await self._fan_out.again(tx, batch):
                            return False
                    count += len(batch)
                    self._written()
        async with self._db.transaction(tenant_id) as tx:
            is_closed = await store.close_gap(tx, tenant_id, skipped)
        log.info("events of a tenant were read again", tenant_id=tenant_id, events=count, all=is_closed)
        return is_closed

    async def _batches(self, tenant_id: str, since: datetime) -> AsyncGenerator[list[Event], None]:
        wanted = [subjects.of_tenant(tenant_id, plane) for plane in subjects.STREAMS]
        async with self._broker.connected() as connection:
            batch: list[Event] = []
            async with aclosing(Reader(connection, wanted).since(since, skip_unreadable=True)) as found:
                async for event in found:
                    batch.append(event)
                    if len(batch) >= AT_ONCE:
                        yield batch
                        batch = []
            if batch:
                yield batch
