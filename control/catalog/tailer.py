"""Keeps a process's memory of the catalog up to date: NOTIFY wakes the reader, the change log is the truth."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
import structlog
from psycopg import sql

from control.catalog import store
from control.catalog.memory import Catalog
from control.signals import signalled
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.catalog")

# NOTIFY is lost when its connection is; this bounds what that can cost.
POLL_S = 1.0
READ_AT_ONCE = 5_000
AT_ONCE = 100
LOAD_AT_ONCE = 20_000


async def load(db: Database, catalog: Catalog) -> None:
    """Reads the whole catalog as of one instant."""
    async with db.transaction(snapshot=True) as tx:
        revision = await store.newest(tx)
        entries = []
        for kind in store.KEPT:
            last = ""
            while page := list(await store.entries_after(tx, kind, last, LOAD_AT_ONCE)):
                entries += [(kind, *row) for row in page]
                last = page[-1][0]
        recent = await store.log_after(tx, revision - catalog.retained)
    catalog.load(revision, entries, recent)


async def follow(db: Database, catalog: Catalog, wake: asyncio.Event, url: str) -> None:
    """Takes every change over as it is committed, for ever; while the database is away, memory stays as it is.

    url: the same database as db's, for a connection that reads what a single change needs.
    """
    shortcut = _Shortcut(url)
    while True:
        try:
            woken = await signalled(wake, POLL_S)
            wake.clear()
            if not woken or not await shortcut.take(catalog):
                await _catch_up(db, catalog, check_newest=not woken)
        except PlatformError as error:
            log.warning("the catalog cannot be read; serving what is known", error=str(error))
            await asyncio.sleep(POLL_S)


class _Shortcut:
    """One statement on a connection of its own: a change that comes alone is on its way to the watchers in a quarter
    of the time that a transaction out of the pool takes. Whatever is not that simple is left to _catch_up()."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None

    async def take(self, catalog: Catalog) -> bool:
        """Whether it took everything over that there was."""
        try:
            if self._connection is None:
                self._connection = await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, connect_timeout=5, application_name="center-tailer"
                )
            changes = await store.changes_directly(self._connection, catalog.revision, AT_ONCE)
        except (psycopg.Error, OSError) as error:
            log.debug("reading through the pool", error=str(error))
            if self._connection is not None:
                await self._connection.close()
                self._connection = None
            return False
        if len(changes) == AT_ONCE or (changes and changes[0].revision != catalog.revision + 1):
            return False
        catalog.apply(changes)
        return True


async def _catch_up(db: Database, catalog: Catalog, *, check_newest: bool) -> None:
    while True:
        async with db.transaction() as tx:
            changes = await store.changes_after(tx, catalog.revision, READ_AT_ONCE)
            newest = await store.newest(tx) if check_newest and not changes else catalog.revision
        if newest < catalog.revision:
            # The database was restored from a backup: what watchers have may never have happened.
            await load(db, catalog)
            catalog.end_watches()
            return
        if not changes and newest == catalog.revision:
            return
        if not changes or changes[0].revision != catalog.revision + 1:
            # Revisions have no gaps, so these changes were compacted before they were read.
            await load(db, catalog)
            return
        catalog.apply(changes)
        if len(changes) < READ_AT_ONCE:
            return


async def listen(url: str, channels: Mapping[str, Callable[[str], None]]) -> None:
    """Calls back with the payload of each NOTIFY, for ever; with an empty one when the connection is new."""
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(
                url, autocommit=True, connect_timeout=5, application_name="center-listen"
            ) as connection:
                for channel in channels:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                for called in channels.values():
                    called("")
                async for notice in connection.notifies():
                    channels[notice.channel](notice.payload)
        except (psycopg.Error, OSError) as error:
            log.debug("listening again", error=str(error))
        await asyncio.sleep(0.2)
