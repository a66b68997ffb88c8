"""What happens by itself once its time has come."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from control.signals import signalled
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.schedule")

LOOK_S = 1.0
# A change that may have made something due is on its way to the watchers in this time; it goes first.
AFTER_CHANGE_S = 0.1
# Due and not to be done: another process holds it.
AGAIN_S = 0.02


async def keep(
    db: Database,
    clock: Clock,
    wake: asyncio.Event,
    next_due: Callable[[AsyncConnection], Awaitable[datetime | None]],
    happen: Callable[[Database, Clock], Awaitable[int]],
) -> None:
    """Lets happen what is due, for ever; `wake` says that something may be due earlier.

    next_due: when the first thing is, in one statement: it is asked every second, and after every change.
    happen: does some of what is due, and says how much.
    """
    while True:
        delay_s = LOOK_S
        try:
            async with db.transaction() as tx:
                due = await next_due(tx)
            if due is not None:
                delay_s = min(LOOK_S, (due - clock.now()).total_seconds())
            if delay_s <= 0:
                if await happen(db, clock):
                    continue
                delay_s = AGAIN_S
        except PlatformError as error:
            log.debug("what is due waits for the database", error=str(error))
        if await signalled(wake, delay_s):
            await asyncio.sleep(AFTER_CHANGE_S)
            wake.clear()
