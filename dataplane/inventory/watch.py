"""Levels as they change, for whoever watches: read from the movements, so that no change is missed."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Collection

from sqlalchemy import true

from dataplane.inventory import store
from dataplane.inventory.domain import Key, Level
from dataplane.inventory.tables import stock_levels
from shared.runtime.db import Database
from shared.runtime.errors import Unavailable
from shared.runtime.paging import Ordering, Term, Value

# How long a change that another process made waits for a look.
LOOK_S = 1.0
# A burst of changes is told at once.
PAUSE_S = 0.05
AT_ONCE = 500

BY_KEY = Ordering((Term(stock_levels.c.variant_id), Term(stock_levels.c.location_id)))


class Watches:
    """What the open watches of this process wait for.

    draining: is set when the process is about to stop; then they end.
    """

    def __init__(self, reads: Database, draining: asyncio.Event) -> None:
        self._reads = reads
        self._draining = draining
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something was written here."""
        self._woken.set()
        self._woken = asyncio.Event()

    async def follow(
        self, tenant_id: str, variant_ids: Collection[str], admit: Callable[[], None]
    ) -> AsyncGenerator[tuple[list[Level], bool], None]:
        """Levels as they are, then those that have changed, and whether all that was there has been told.

        admit: raises when nobody can watch the tenant here any more. Unavailable DRAINING.
        """
        wanted = {each.lower() for each in variant_ids}
        told: dict[Key, int] = {}
        async with self._reads.transaction(tenant_id) as tx:
            # First: what changes while the snapshot is read is read once more.
            place = await store.place(tx)
        async for page in self._snapshot(tenant_id, wanted):
            told |= {level.key: level.version for level in page}
            yield page, False
        yield [], True
        while True:
            woken = self._woken
            async with self._reads.transaction(tenant_id) as tx:
                changed, place = await store.changed_since(tx, tenant_id, place)
            news = [
                each
                for each in changed
                if told.get(each.key) != each.version and (not wanted or each.variant_id in wanted)
            ]
            for start in range(0, len(news), AT_ONCE):
                some = news[start : start + AT_ONCE]
                told |= {level.key: level.version for level in some}
                yield some, True
            await self._pause(woken)
            admit()

    async def _snapshot(self, tenant_id: str, wanted: Collection[str]) -> AsyncGenerator[list[Level], None]:
        """In transactions of a moment: a slow reader holds none open."""
        of = stock_levels.c.variant_id.in_(sorted(wanted)) if wanted else true()
        cursor: list[Value] | None = None
        while True:
            async with self._reads.transaction(tenant_id) as tx:
                page, cursor = await store.levels_page(tx, tenant_id, of, BY_KEY, cursor, AT_ONCE)
            if page:
                yield page
            if cursor is None:
                return

    async def _pause(self, woken: asyncio.Event) -> None:
        """Until somebody wrote, or it is time to look; Unavailable DRAINING."""
        waits = [asyncio.ensure_future(each.wait()) for each in (woken, self._draining)]
        try:
            await asyncio.wait(waits, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        if not self._draining.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await self._draining.wait()
        if self._draining.is_set():
            raise Unavailable("DRAINING", "this process is about to stop; another one answers", retry_after_s=0.1)
