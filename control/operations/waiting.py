"""Callers that wait for operations to end: one look at the database for all of them."""

import asyncio
from contextlib import suppress

import structlog

from control.operations import store
from control.signals import signalled
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.operations")

LOOK_S = 1.0


class Waiting:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Some operation has ended."""
        self._wake.set()

    async def ended(self, operation_id: str, timeout_s: float) -> None:
        """Returns when the operation has ended or the time is over."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(operation_id, set()).add(waiter)
        self._wake.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await waiter
        finally:
            waiters = self._waiters.get(operation_id, set())
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop(operation_id, None)

    async def look(self) -> None:
        """Answers waiters, for ever: when something has ended, and now and then in case that word was lost."""
        while True:
            await signalled(self._wake, LOOK_S if self._waiters else None)
            self._wake.clear()
            if not self._waiters:
                continue
            try:
                async with self._db.transaction() as tx:
                    ended = await store.ended(tx, self._waiters)
            except PlatformError as error:
                log.debug("waiters wait for the database", error=str(error))
                await asyncio.sleep(LOOK_S)
                self._wake.set()
                continue
            for operation_id in ended:
                for waiter in self._waiters.get(operation_id, set()):
                    if not waiter.done():
                        waiter.set_result(None)
