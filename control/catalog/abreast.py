"""Lets a process see its own changes before it answers for them."""

import asyncio
from contextlib import suppress
from typing import Protocol

from control.catalog import store
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

# A change comes in milliseconds; where the log cannot be read, the answer must not wait for it.
PATIENCE_S = 1.0


class Memory(Protocol):
    async def reached(self, revision: int) -> None:
        """Returns when what is here is at least as new."""


class Abreast:
    """Called after a commit: returns once this process's memory has it, so that the caller's next question finds it.
    Other processes follow in milliseconds; who must not miss it there asks with the revision."""

    def __init__(self, db: Database, memory: Memory) -> None:
        self._db = db
        self._memory = memory

    async def __call__(self) -> None:
        with suppress(PlatformError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                async with self._db.transaction() as tx:
                    newest = await store.newest(tx)
                await self._memory.reached(newest)
