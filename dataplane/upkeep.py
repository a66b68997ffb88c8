"""What a cluster does for itself once in a while."""

import asyncio

import structlog
from sqlalchemy import text

from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.upkeep")

EVERY_S = 600.0
ROWS_AT_ONCE = 10_000


async def run(steward: Database) -> None:
    """Until cancelled."""
    while True:
        try:
            while await forget(steward) == ROWS_AT_ONCE:
                pass
        except PlatformError as error:
            log.warning("expired answers stay for now", error=str(error))
        await asyncio.sleep(EVERY_S)


async def forget(steward: Database) -> int:
    """Deletes answers that can no longer be asked for again, and says how many."""
    async with steward.transaction() as tx:
        forgotten = (await tx.execute(text("SELECT forget_answers(:at_most)"), {"at_most": ROWS_AT_ONCE})).scalar_one()
    return int(forgotten)
