"""What each watcher has applied: known at once here, and soon to every control process through one table."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

import structlog
from sqlalchemy import ColumnElement, Table, TextClause, delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from control.signals import signalled
from control.tables import feature_watchers, watchers
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError
from shared.runtime.ids import uuid7

log = structlog.stdlib.get_logger("center.watchers")

HEARTBEAT_S = 5.0
# A stream whose process has not said so for this long is not open any more, whatever its row says.
SILENCE_S = 15.0
# Reports that come within this time are written together, and after what they report has reached everyone.
COALESCE_S = 0.05
FORGOTTEN_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Watcher:
    """id: identity and instance, such as edge/edge-1. refusals: (resource id, reason)."""

    id: str
    applied_revision: int
    live: bool
    seen_time: datetime
    refusals: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Stream:
    """One watcher's stream to this process."""

    watcher_id: str
    applied_revision: int
    id: str = field(default_factory=uuid7)
    refusals: tuple[tuple[str, str], ...] = ()
    # Whether the row says already that this stream speaks for the watcher.
    introduced: bool = False
    open: bool = True


class Watchers:
    """The streams that are open here, and the table of all."""

    def __init__(self, db: Database, clock: Clock, table: Table = watchers) -> None:
        self.changed = asyncio.Condition()
        self._table = table
        self._db = db
        self._clock = clock
        self._streams: dict[str, Stream] = {}
        self._dirty: dict[str, Stream] = {}
        self._wake = asyncio.Event()

    def opened(self, watcher_id: str, applied_revision: int) -> Stream:
        stream = Stream(watcher_id, applied_revision)
        self._streams[watcher_id] = stream
        self._note(stream)
        return stream

    async def reported(self, stream: Stream, applied_revision: int, refusals: Sequence[tuple[str, str]]) -> None:
        stream.applied_revision = max(stream.applied_revision, applied_revision)
        stream.refusals = tuple(refusals)
        self._note(stream)
        async with self.changed:
            self.changed.notify_all()

    async def changes(self, timeout_s: float) -> None:
        """Returns at the next report to this process, or after the time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self.changed:
                await self.changed.wait()

    def closed(self, stream: Stream) -> None:
        stream.open = False
        if self._streams.get(stream.watcher_id) is stream:
            del self._streams[stream.watcher_id]
        self._note(stream)

    def _note(self, stream: Stream) -> None:
        self._dirty[stream.id] = stream
        self._wake.set()

    async def keep(self) -> None:
        """Writes what was reported, for ever: soon after it came, and every few seconds to say that streams live."""
        while True:
            if not await signalled(self._wake, HEARTBEAT_S):
                self._dirty.update((stream.id, stream) for stream in self._streams.values())
            await asyncio.sleep(COALESCE_S)
            self._wake.clear()
            try:
                await self.write()
            except PlatformError as error:
                log.debug("reports wait for the database", error=str(error))
                await asyncio.sleep(1)
                self._wake.set()

    async def write(self) -> None:
        """Writes what has changed since the last time."""
        batch, self._dirty = list(self._dirty.values()), {}
        if not batch:
            return
        try:
            async with self._db.transaction() as tx:
                await _save(tx, self._table, batch, self._clock.now())
        except BaseException:
            for stream in batch:
                self._dirty.setdefault(stream.id, stream)
            raise
        for stream in batch:
            stream.introduced = True

    async def everyone(self, tx: AsyncConnection) -> list[Watcher]:
        """Every watcher that was seen lately, by id; those with a stream to this process as of now."""
        now = self._clock.now()
        silent = now - timedelta(seconds=SILENCE_S)
        rows = {row.id: row for row in (await tx.execute(select(self._table))).all()}
        known = {
            row.id: Watcher(
                row.id, row.applied_revision, row.open and row.seen_time > silent, row.seen_time, _pairs(row.refusals)
            )
            for row in rows.values()
        }
        for stream in self._streams.values():
            # A row that another stream has taken over since is written by another process, which knows better.
            row = rows.get(stream.watcher_id)
            if row is None or row.stream_id == stream.id or not stream.introduced:
                known[stream.watcher_id] = Watcher(
                    stream.watcher_id, stream.applied_revision, True, now, stream.refusals
                )
        return [known[key] for key in sorted(known)]


async def list_page(
    tx: AsyncConnection, table: Table, where: Sequence[ColumnElement[bool]], now: datetime, limit: int
) -> list[Watcher]:
    """By id, as they were written last."""
    stmt = select(table).where(*where).order_by(table.c.id).limit(limit)
    silent = now - timedelta(seconds=SILENCE_S)
    return [
        Watcher(row.id, row.applied_revision, row.open and row.seen_time > silent, row.seen_time, _pairs(row.refusals))
        for row in (await tx.execute(stmt)).all()
    ]


def _pairs(refusals: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((resource_id, reason) for resource_id, reason in refusals)


# A stream that is introduced takes its watcher over; after that only the newest one's word counts.
@cache
def _saving(table: str) -> TextClause:
    return text(f"""
        INSERT INTO {table} AS w (id, stream_id, applied_revision, open, seen_time, refusals)
        SELECT id, stream_id, applied_revision, open, :now, CAST(refusals AS jsonb)
        FROM unnest(
            CAST(:ids AS text[]), CAST(:streams AS uuid[]), CAST(:applied AS bigint[]), CAST(:open AS boolean[]),
            CAST(:refusals AS text[]), CAST(:introducing AS boolean[])
        ) AS s (id, stream_id, applied_revision, open, refusals, introducing)
        WHERE introducing OR EXISTS (SELECT FROM {table} k WHERE k.id = s.id AND k.stream_id = s.stream_id)
        ORDER BY id
        ON CONFLICT (id) DO UPDATE SET stream_id = excluded.stream_id, applied_revision = excluded.applied_revision,
            open = excluded.open, seen_time = excluded.seen_time, refusals = excluded.refusals
    """)


async def _save(tx: AsyncConnection, table: Table, batch: Sequence[Stream], now: datetime) -> None:
    # One row a watcher: of two streams of the same one, the newer.
    newest: Mapping[str, Stream] = {stream.watcher_id: stream for stream in sorted(batch, key=lambda each: each.id)}
    rows = list(newest.values())
    await tx.execute(
        _saving(table.name),
        {
            "now": now,
            "ids": [stream.watcher_id for stream in rows],
            "streams": [stream.id for stream in rows],
            "applied": [stream.applied_revision for stream in rows],
            "open": [stream.open for stream in rows],
            "refusals": [json.dumps(stream.refusals) for stream in rows],
            "introducing": [not stream.introduced for stream in rows],
        },
    )


async def forget(tx: AsyncConnection, now: datetime) -> None:
    """Forgets watchers that have not been seen for long, such as edges that were taken down."""
    for table in (watchers, feature_watchers):
        await tx.execute(delete(table).where(table.c.seen_time < now - FORGOTTEN_AFTER))
