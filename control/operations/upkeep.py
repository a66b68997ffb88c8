"""What happens by itself as time passes: modes end, deleted tenants are purged, old changes are forgotten."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial

import structlog

from center.shared.v1 import rules_pb2
from control.catalog import store as catalog_store
from control.catalog import watchers
from control.catalog.store import record
from control.features import counts as feature_counts
from control.tenants import domain, purge
from control.tenants import store as tenant_store
from shared.runtime import context as calls
from shared.runtime import idempotency
from shared.runtime.clock import Clock
from shared.runtime.context import CallContext, Trace
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError
from shared.runtime.events import inbox

log = structlog.stdlib.get_logger("center.upkeep")

CLEAN_S = 60.0
MODES_AT_ONCE = 500


async def happen(db: Database, clock: Clock) -> int:
    """Ends modes and starts purges that are due, and says how many."""
    with called("workflow/MODE/expire"):
        done = await expire_modes(db, clock)
    with called("workflow/PURGE/start"):
        return done + await purge.start(db, clock)


async def expire_modes(db: Database, clock: Clock) -> int:
    """Brings tenants whose mode has ended back to normal, and says how many."""
    async with db.transaction() as tx:
        now = clock.now()
        due = await tenant_store.expired_modes(tx, now, MODES_AT_ONCE)
        pairs = [(before, domain.expire_mode(before, now)) for before in due]
        await tenant_store.save(tx, [after for _, after in pairs])
        if pairs:
            changes = [tenant_store.changed(before, after, "mode", "its time is over") for before, after in pairs]
            await record(tx, changes)
    return len(pairs)


async def clean(steward: Database, db: Database, clock: Clock, retained: int) -> None:
    """Forgets what nobody needs any more, for ever."""
    while True:
        try:
            await clean_once(steward, db, clock.now(), retained)
        except PlatformError as error:
            log.info("cleaning failed; it is tried again", error=str(error))
        await asyncio.sleep(CLEAN_S)


async def clean_once(steward: Database, db: Database, now: datetime, retained: int) -> None:
    for forget in (
        partial(catalog_store.compact, retained=retained),
        partial(idempotency.purge, now=now),
        partial(feature_counts.clean, now=now),
    ):
        some = 1
        while some:
            async with steward.transaction() as tx:
                some = await forget(tx)
    async with steward.transaction() as tx:
        await inbox.keep_partitions(tx, now)
    async with db.transaction() as tx:
        await watchers.forget(tx, now)


@contextmanager
def called(method: str) -> Iterator[None]:
    """The audit says which part of the platform did it."""
    call = CallContext(
        caller="control",
        role=rules_pb2.CALLER_CONTROL,
        known_trace=Trace(calls.new_trace_id(), calls.new_span_id()),
        method=method,
    )
    with calls.use(call):
        yield
