"""From the outbox to NATS: everything that was committed, in order for each aggregate, and once if nothing dies.

What has been published is known by a snapshot of PostgreSQL: all that it shows is out. The next look takes what it does
not show, which is what committed since, however early it began; an order of ids would skip that. So no row is ever
marked or deleted, and a transaction that is held open holds up nothing but its own events.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
import structlog
from prometheus_client import Counter, Gauge

from shared.runtime.events import boundary as boundaries
from shared.runtime.events import subjects
from shared.runtime.events.boundary import Boundary
from shared.runtime.events.broker import Broker, Connection, Lost, heed_cancellation
from shared.runtime.events.subjects import Subject
from shared.runtime.events.turn import Well, in_turns

log = structlog.stdlib.get_logger("center.events")

ROLE = "center_relay"
LOOK_S = 0.5
# A change is on its way to the edges in this time, and goes first; what comes meanwhile goes out together.
AFTER_CHANGE_S = 0.05
AT_ONCE = 1_000
ACK_S = 10.0
# A relay that dies makes its heir say this much again, which JetStream knows by the ids.
SAVE_S = 1.0
PARTITIONS_S = 60.0
PARTITION_S = 3600
PARTITIONS_AHEAD = 6

_published = Counter("center_events_published", "Events that NATS has acknowledged.", ["plane"])
_behind = Gauge("center_outbox_behind_seconds", "Age of the oldest event when it was last looked for.", ["plane"])

# A partition of the hour may be large before anybody has counted it, and then it looks small to the planner.
_OPTIONS = "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan -c statement_timeout=30s -c lock_timeout=5s"


@dataclass(frozen=True, slots=True)
class Outbox:
    """plane: whose events these are. source: who says them, as CloudEvents' `source`.

    columns: what an event is made of, out of the table `outbox`: id, create_time, subject, aggregate, sequence (its
    place among the events of the aggregate), payload, traceparent.
    """

    plane: str
    source: str
    columns: LiteralString


@dataclass(frozen=True, slots=True)
class Outgoing:
    id: str
    time: datetime
    subject: str
    aggregate: str
    sequence: int
    payload: bytes
    traceparent: str

    def message(self, outbox: Outbox) -> tuple[str, dict[str, str]]:
        """Its subject and headers: CloudEvents 1.0 in binary mode; the id is what JetStream knows a repetition by.

        What has no subject that can be told is a dead letter, so that it holds up nobody.
        """
        try:
            subject = Subject.parse(self.subject)
        except ValueError as error:
            log.error("an event has no subject", id=self.id, subject=self.subject)
            nowhere = Subject(outbox.plane, subjects.NO_TENANT, "event", "nameless", 0)
            why = {"center-consumer": subjects.RELAY, "center-tries": "1", "center-error": " ".join(str(error).split())}
            return nowhere.dead(subjects.RELAY), self._headers(nowhere, outbox.source) | why
        return self.subject, self._headers(subject, outbox.source)

    def _headers(self, subject: Subject, source: str) -> dict[str, str]:
        headers = {
            "Nats-Msg-Id": self.id,
            "ce-specversion": "1.0",
            "ce-id": self.id,
            "ce-source": source,
            "ce-type": f"center.{subject.name}.v{subject.major}",
            "ce-time": self.time.astimezone(UTC).isoformat(),
            "ce-subject": self.aggregate,
            "ce-sequence": str(self.sequence),
            "content-type": "application/protobuf",
        }
        if subject.tenant != subjects.NO_TENANT:
            headers["ce-tenantid"] = subject.tenant
        if self.traceparent:
            headers["traceparent"] = self.traceparent
        return headers


class Relay:
    """One of those that wait for their turn at an outbox.

    url: of the outbox's database, as the relay's own role. partition_s: how long a partition of the outbox is.
    """

    def __init__(
        self,
        url: str,
        outbox: Outbox,
        broker: Broker,
        *,
        partition_s: int = PARTITION_S,
        boundary: Boundary = boundaries.none,
    ) -> None:
        self._url = url
        self._outbox = outbox
        self._broker = broker
        self._partition_s = partition_s
        self._boundary = boundary
        self._wake = asyncio.Event()
        self._position = ""
        self._saved = ""
        self._saved_at = 0.0
        self._kept_at = 0.0

    def wake(self) -> None:
        """Something was committed. Cheap: it is called at every change."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        await in_turns(self._url, f"relay {self._outbox.plane}", self._work, _OPTIONS)

    async def _work(self, connection: psycopg.AsyncConnection[Any], well: Well) -> None:
        async with self._broker.connected() as nats:
            await nats.ensure(subjects.STREAMS[self._outbox.plane])
            await nats.ensure(subjects.DEAD_LETTERS)
            await self._begin(connection)
            well()
            await self._boundary("began")
            await self._relay(connection, nats)

    async def _begin(self, connection: psycopg.AsyncConnection[Any]) -> None:
        cursor = await connection.execute(
            "SELECT position, pg_snapshot_xmax(position::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot()) "
            "FROM outbox_position"
        )
        [(position, is_of_another_life)] = await cursor.fetchall()
        if is_of_another_life:
            # The database was restored elsewhere, where transactions count anew: say all that is there.
            log.warning("the outbox begins anew", plane=self._outbox.plane, position=position)
            position = "1:1:"
        self._position = self._saved = position

    async def _relay(self, connection: psycopg.AsyncConnection[Any], nats: Connection) -> None:
        while True:
            heed_cancellation()
            found = await self._round(connection, nats)
            await self._note(connection)
            if found or await self._signalled(nats):
                await asyncio.sleep(AFTER_CHANGE_S)
            self._wake.clear()
            if nats.lost.is_set():
                raise Lost

    async def _signalled(self, nats: Connection) -> bool:
        """Whether something was committed here; elsewhere, the next look finds it."""
        try:
            async with asyncio.timeout(LOOK_S):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    async def _round(self, connection: psycopg.AsyncConnection[Any], nats: Connection) -> int:
        """Publishes what has been committed since the position, and says how much that was."""
        new, snapshot = await self._new(connection)
        if len(new) < AT_ONCE:
            if new:
                await self._boundary("read")
                await self._publish(nats, new)
                self._position = snapshot
            else:
                _behind.labels(self._outbox.plane).set(0)
            return len(new)
        count = 0
        # Far behind: in one order over all there is, and only a part of it in memory.
        async with connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            [(snapshot,)] = await (await connection.execute("SELECT pg_current_snapshot()::text")).fetchall()
            async for part in self._all_new(connection):
                await self._publish(nats, part)
                count += len(part)
        self._position = snapshot
        return count

    async def _new(self, connection: psycopg.AsyncConnection[Any]) -> tuple[list[Outgoing], str]:
        """What the position does not show, in order, with what is seen now; of more than AT_ONCE not all.

        Two questions in one statement: an index answers each, and neither looks at what is out already.
        """
        columns = self._outbox.columns
        cursor = await connection.execute(
            f"(SELECT pg_current_snapshot()::text, {columns} FROM outbox WHERE xid >= %(end)s::xid8"
            f" ORDER BY xid LIMIT {AT_ONCE})"
            " UNION ALL "
            f"(SELECT pg_current_snapshot()::text, {columns} FROM outbox WHERE xid = ANY(%(open)s::xid8[])"
            f" LIMIT {AT_ONCE})",
            self._since(),
            prepare=True,
        )
        rows = await cursor.fetchall()
        new = sorted((Outgoing(*row[1:]) for row in rows), key=lambda event: (event.sequence, event.time))
        return new, rows[0][0] if rows else ""

    async def _all_new(self, connection: psycopg.AsyncConnection[Any]) -> AsyncIterator[list[Outgoing]]:
        async with connection.cursor(name="backlog") as cursor:
            await cursor.execute(
                f"SELECT {self._outbox.columns} FROM outbox"
                " WHERE xid >= %(end)s::xid8 OR xid = ANY(%(open)s::xid8[]) ORDER BY sequence, create_time",
                self._since(),
            )
            rows = await cursor.fetchmany(AT_ONCE)
            while rows:
                # PostgreSQL reads the next while NATS takes these.
                following = asyncio.ensure_future(cursor.fetchmany(AT_ONCE))
                try:
                    yield [Outgoing(*row) for row in rows]
                    rows = await following
                finally:
                    following.cancel()

    def _since(self) -> dict[str, Any]:
        """Transactions that the position does not show: all from its end on, and those that were open."""
        _, end, still_open = self._position.split(":")
        return {"end": end, "open": still_open.split(",") if still_open else []}

    async def _publish(self, nats: Connection, events: Sequence[Outgoing]) -> None:
        """Returns when NATS has them all. An event waits until the one before it of its aggregate is acknowledged: of
        two that are under way the second alone may arrive."""
        _behind.labels(self._outbox.plane).set(time.time() - min(event.time for event in events).timestamp())
        while events:
            wave: dict[str, Outgoing] = {}
            later = [event for event in events if wave.setdefault(event.aggregate, event) is not event]
            async with nats.publishing(ACK_S) as publish:
                for event in wave.values():
                    subject, headers = event.message(self._outbox)
                    await publish(subject, event.payload, headers)
                await self._boundary("sent")
            await self._boundary("acknowledged")
            _published.labels(self._outbox.plane).inc(len(wave))
            events = later

    async def _note(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Saves the position now and then, and before partitions go by it."""
        now = time.monotonic()
        keeps = now - self._kept_at >= min(PARTITIONS_S, self._partition_s)
        if self._position != self._saved and (keeps or now - self._saved_at >= SAVE_S):
            await connection.execute("UPDATE outbox_position SET position = %s, save_time = now()", (self._position,))
            self._saved, self._saved_at = self._position, now
            await self._boundary("saved")
        if keeps:
            await self.keep(connection)
            self._kept_at = now

    async def keep(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Makes partitions ahead, and empties and drops those whose events are all out."""
        await connection.execute("SELECT partitions.make_outbox(now(), %s, %s)", (self._partition_s, PARTITIONS_AHEAD))
        done: list[str] = []
        while True:
            cursor = await connection.execute("SELECT partitions.clear_outbox(now(), %s)", (done,))
            [(name,)] = await cursor.fetchall()
            if name is None:
                return
            done.append(name)
