"""Which events had their effect here."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

DAYS_AHEAD = 3
# Longer than a stream keeps anything: what may still come is known if it was here.
KEPT_DAYS = 30

_RECEIVED = text(
    """
    INSERT INTO inbox (consumer, event_id) SELECT :consumer, n.id FROM unnest(CAST(:ids AS uuid[])) n (id)
    ON CONFLICT DO NOTHING RETURNING event_id::text
    """
)


async def received(tx: AsyncConnection, consumer: str, ids: Sequence[str]) -> set[str]:
    """Notes events as applied by this transaction; those of them that were not before."""
    rows = await tx.execute(_RECEIVED, {"consumer": consumer, "ids": list(ids)})
    return {str(row.event_id) for row in rows}


async def keep_partitions(tx: AsyncConnection, today: datetime) -> None:
    """Makes the partitions of the next days and drops old ones; the steward's to do."""
    stmt = text("SELECT partitions.keep_inbox(:today, :ahead, :kept)")
    await tx.execute(stmt, {"today": today.date(), "ahead": DAYS_AHEAD, "kept": KEPT_DAYS})
