"""What a cluster does for itself once in a while."""

import asyncio
from datetime import timedelta

import structlog
from sqlalchemy import text

from dataplane.carts import sweeper as carts
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError
from shared.runtime.events import inbox
from shared.webhooks import store as webhooks

log = structlog.stdlib.get_logger("center.upkeep")

EVERY_S = 600.0
ROWS_AT_ONCE = 10_000
# Longer than a stream keeps events: what is read again is known if it was sent.
WEBHOOKS_KEPT = timedelta(days=30)


async def run(steward: Database, db: Database, clock: Clock, caller: str) -> None:
    """Until cancelled. db: transactions that may write; caller: whom the audit names, such as cluster/eu-1."""
    while True:
        try:
            async with steward.transaction() as tx:
                await inbox.keep_partitions(tx, clock.now())
            while await forget(steward) == ROWS_AT_ONCE:
                pass
            while await forget_notifications(steward) == ROWS_AT_ONCE:
                pass
            while await forget_webhooks(steward, clock) == ROWS_AT_ONCE:
                pass
            while await carts.sweep(steward, db, clock, caller):
                pass
        except PlatformError as error:
            log.warning("what is too old stays for now", error=str(error))
        await asyncio.sleep(EVERY_S)


async def forget(steward: Database) -> int:
    """Deletes answers that can no longer be asked for again, and says how many."""
    async with steward.transaction() as tx:
        forgotten = (await tx.execute(text("SELECT forget_answers(:at_most)"), {"at_most": ROWS_AT_ONCE})).scalar_one()
    return int(forgotten)


async def forget_notifications(steward: Database) -> int:
    """Forgets whom notifications were for that ended a week ago, and all of those that ended 90 days ago."""
    async with steward.transaction() as tx:
        stmt = text("SELECT forget_notifications(:at_most)")
        return int((await tx.execute(stmt, {"at_most": ROWS_AT_ONCE})).scalar_one())


async def forget_webhooks(steward: Database, clock: Clock) -> int:
    """Deletes events that were sent long ago, with what became of them, and says how many."""
    async with steward.transaction() as tx:
        return await webhooks.forget(tx, clock.now() - WEBHOOKS_KEPT, ROWS_AT_ONCE)
