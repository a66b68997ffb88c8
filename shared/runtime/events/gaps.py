"""Events that a consumer passes over, because their tenant is closed to writes, moves or is not here yet. That is
noted, and they are read again from the stream once the tenant is open.

Too much is read, so a consumer needs a unique key that makes nothing of what it has had.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.db import Database
from shared.runtime.errors import PlatformError
from shared.runtime.events import subjects
from shared.runtime.events.broker import FAILURES, KEPT, Broker, heed_cancellation
from shared.runtime.events.consumer import Event
from shared.runtime.events.reading import Reader

log = structlog.stdlib.get_logger("center.events")

LOOK_S = 1.0
AT_ONCE = 100
# An event's time is its transaction's, on the clock of its database; its place in the stream is a little later.
MARGIN = timedelta(minutes=5)


async def admitted(tx: AsyncConnection, consumer: str, happened: datetime, *, once_more: bool = False) -> bool:
    """Whether the transaction's tenant is open, and stays so until it ends; if not, it is noted down that its events
    have to be read again. `once_more` is what does that, and notes nothing."""
    stmt = text("SELECT event_admitted(:consumer, CAST(:happened AS timestamptz), :once_more)")
    given = {"consumer": consumer, "happened": happened, "once_more": once_more}
    return bool((await tx.execute(stmt, given)).scalar_one())


async def arrived(steward: AsyncConnection, tenant_id: str, consumers: Collection[str]) -> None:
    """In the transaction that brings a tenant to this cluster: where it was, events may have been left over, as far
    back as they are kept."""
    given = {"tenant_id": tenant_id, "consumers": list(consumers), "kept": KEPT}
    await steward.execute(_ARRIVED, given)


_ARRIVED = text(
    """
    INSERT INTO event_gaps AS g (tenant_id, consumer, since, skipped)
    SELECT CAST(:tenant_id AS uuid), c, now() - CAST(:kept AS interval), 1 FROM unnest(CAST(:consumers AS text[])) c
    ON CONFLICT (tenant_id, consumer)
        DO UPDATE SET since = LEAST(g.since, excluded.since), skipped = g.skipped + 1
    """
)
_OPEN = text("SELECT tenant_id::text FROM open_event_gaps(:consumer)")
_GAP = text(
    "SELECT since, skipped, now() AS seen FROM event_gaps"
    " WHERE tenant_id = CAST(:tenant_id AS uuid) AND consumer = :consumer"
)
_CLOSE = text(
    "DELETE FROM event_gaps WHERE tenant_id = CAST(:tenant_id AS uuid) AND consumer = :consumer AND skipped = :skipped"
)
# What came while this was read was passed over as well; of what was read, nothing is left over.
_NARROW = text(
    "UPDATE event_gaps SET since = GREATEST(since, CAST(:seen AS timestamptz))"
    " WHERE tenant_id = CAST(:tenant_id AS uuid) AND consumer = :consumer"
)


class Listener(Protocol):
    """What a consumer makes of events that are read again."""

    @property
    def is_served(self) -> Callable[[str], bool]:
        """Whether the tenant of an id is this cluster's to serve, or may become so before long."""

    async def wanted_since(self, tx: AsyncConnection, tenant_id: str) -> datetime | None:
        """From when on the tenant wants anything; None for nothing."""

    async def again(self, tx: AsyncConnection, events: Sequence[Event]) -> bool:
        """False when the tenant is closed again."""


class CatchUp:
    """Reads again what tenants have missed. steward: finds them; db: writes for them; written: told of each commit."""

    def __init__(
        self,
        consumer: str,
        planes: Collection[str],
        listener: Listener,
        *,
        db: Database,
        steward: Database,
        broker: Broker,
        written: Callable[[], None],
    ) -> None:
        self._consumer = consumer
        self._planes = planes
        self._listener = listener
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
                    found = [row.tenant_id for row in await tx.execute(_OPEN, {"consumer": self._consumer})]
                for tenant_id in found:
                    # Else an event that comes when this is done would be passed over, and nobody would know.
                    if self._listener.is_served(tenant_id):
                        await self._try(tenant_id)
            except (PlatformError, *FAILURES) as error:
                log.info("events are read again later", consumer=self._consumer, error=repr(error))
            await asyncio.sleep(LOOK_S)

    async def _try(self, tenant_id: str) -> None:
        """What goes wrong with one tenant holds up no other."""
        try:
            await self._catch_up(tenant_id)
        except PlatformError as error:
            log.warning(
                "events of a tenant are read again later",
                consumer=self._consumer,
                tenant_id=tenant_id,
                error=repr(error),
            )

    async def _catch_up(self, tenant_id: str) -> None:
        mine = {"tenant_id": tenant_id, "consumer": self._consumer}
        async with self._db.transaction(tenant_id) as tx:
            gap = (await tx.execute(_GAP, mine)).one_or_none()
            wanted = await self._listener.wanted_since(tx, tenant_id)
        if gap is None:
            return
        count = 0
        if wanted is not None:
            async with aclosing(self._batches(tenant_id, max(gap.since, wanted) - MARGIN)) as batches:
                async for batch in batches:
                    async with self._db.transaction(tenant_id) as tx:
                        if not await self._listener.again(tx, batch):
                            return
                    count += len(batch)
                    self._written()
        async with self._db.transaction(tenant_id) as tx:
            # False when more was passed over meanwhile.
            is_closed = (await tx.execute(_CLOSE, {**mine, "skipped": gap.skipped})).rowcount == 1
            if not is_closed:
                await tx.execute(_NARROW, {**mine, "seen": gap.seen})
        log.info(
            "events of a tenant were read again",
            consumer=self._consumer,
            tenant_id=tenant_id,
            events=count,
            all=is_closed,
        )

    async def _batches(self, tenant_id: str, since: datetime) -> AsyncGenerator[list[Event], None]:
        wanted = [subjects.of_tenant(tenant_id, plane) for plane in self._planes]
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
