"""Carts that nobody touches any more: after a day others are told, after a month they are forgotten."""

from collections import defaultdict

import structlog
from sqlalchemy import text

from dataplane.carts import domain, store
from dataplane.carts.domain import ABANDONED_AFTER, FORGOTTEN_AFTER
from dataplane.carts.messages import event
from shared.runtime import context, journal
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.carts")

AT_ONCE = 1000


async def sweep(steward: Database, db: Database, clock: Clock, caller: str) -> bool:
    """Sweeps some of what is due, and says whether there may be more.

    steward: who may ask what is due, whosever it is. db: transactions that may write; each is one tenant's, and refused
    for one that is closed to writes.
    """
    now = clock.now()
    due = text("SELECT tenant_id::text, id::text, is_forgotten FROM due_carts(:left_before, :forgotten_before, :most)")
    before = {"left_before": now - ABANDONED_AFTER, "forgotten_before": now - FORGOTTEN_AFTER}
    async with steward.transaction() as tx:
        rows = (await tx.execute(due, {**before, "most": AT_ONCE})).all()
    found: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for row in rows:
        found[row.tenant_id, row.is_forgotten].append(row.id)
    swept = 0
    for (tenant_id, is_forgotten), ids in found.items():
        with context.use(context.own_work(caller, tenant_id, "worker/carts/sweep")):
            try:
                step = _forget if is_forgotten else _abandon
                swept += await step(db, tenant_id, ids, clock)
            except PlatformError as error:
                # Closed to writes meanwhile: due again when it is open.
                log.info("carts stay for now", tenant_id=tenant_id, error=str(error))
    return swept > 0 and len(rows) >= AT_ONCE


async def _forget(db: Database, tenant_id: str, ids: list[str], clock: Clock) -> int:
    """No entry in the audit: nobody did it, and it is to leave nothing."""
    async with db.transaction(tenant_id) as tx:
        gone = await store.locked_since(tx, tenant_id, ids, clock.now() - FORGOTTEN_AFTER)
        await store.delete(tx, tenant_id, gone)
    return len(gone)


async def _abandon(db: Database, tenant_id: str, ids: list[str], clock: Clock) -> int:
    now = clock.now()
    told = 0
    async with db.transaction(tenant_id) as tx:
        for cart_id in await store.locked_since(tx, tenant_id, ids, now - ABANDONED_AFTER):
            before, _ = await store.get(tx, tenant_id, cart_id)
            if (after := domain.abandon(before, now)) is not None:
                await store.save(tx, tenant_id, before, after)
                await journal.record(tx, tenant_id, [], [event("abandoned", after)])
                told += 1
    return told
