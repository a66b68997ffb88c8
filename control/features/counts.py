"""What tenants have used of metered features, in PostgreSQL; every function runs in the caller's transaction."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from control.features.use import Allowance, Counted, Place, most
from control.rows import Order, Where, among, rows_of
from control.tables import feature_usage, tenants

# Thirteen months of 31 days: the same month of the year before is there, whole.
KEPT = timedelta(days=403)


async def spend(tx: AsyncConnection, asked: Allowance, units: int, carried: int, now: datetime) -> Counted | None:
    """Counts units where they fit, and nothing where they do not (None).

    carried: for a window that nothing is counted in yet. Whoever else counts in the window waits for this transaction.
    """
    window = asked.place.window
    given = {
        **_counter(asked),
        "window_start": window.start,
        "window_end": window.end,
        "units": units,
        "carried": carried,
        "most": most(asked.quota),
        "now": now,
    }
    row = (await tx.execute(_SPEND, given)).one_or_none()
    return Counted(row.used, row.carried) if row is not None else None


# A row that is there goes by what it carries itself, so it has to be met whatever the first WHERE says.
_SPEND = text("""
    INSERT INTO feature_usage AS u
        (tenant_id, period_start, feature_id, window_start, window_end, used, carried, update_time)
    SELECT CAST(:tenant_id AS uuid), CAST(:period_start AS timestamp), CAST(:feature_id AS text),
        CAST(:window_start AS timestamptz), CAST(:window_end AS timestamptz), CAST(:units AS bigint),
        CAST(:carried AS bigint), CAST(:now AS timestamptz)
    WHERE CAST(:units AS bigint) <= CAST(:most AS bigint) + CAST(:carried AS bigint) OR EXISTS (
        SELECT FROM feature_usage
        WHERE tenant_id = CAST(:tenant_id AS uuid) AND period_start = :period_start AND feature_id = :feature_id)
    ON CONFLICT (tenant_id, period_start, feature_id) DO UPDATE SET used = u.used + excluded.used,
        window_start = excluded.window_start, window_end = excluded.window_end, update_time = excluded.update_time
    WHERE u.used + excluded.used <= CAST(:most AS bigint) + u.carried
    RETURNING used, carried
""")


async def give_back(
    tx: AsyncConnection, asked: Allowance, units: int, window_start: datetime | None, now: datetime
) -> tuple[int, int]:
    """(units that came back, units used after it). window_start: of the use; only its own window gets anything back."""
    given = {**_counter(asked), "units": units, "window_start": window_start, "now": now}
    row = (await tx.execute(_GIVE_BACK, given)).one_or_none()
    return (row.returned, row.used) if row is not None else (0, 0)


_GIVE_BACK = text("""
    WITH before AS (
        SELECT used, CASE
            WHEN window_start = coalesce(CAST(:window_start AS timestamptz), window_start)
            THEN LEAST(used, CAST(:units AS bigint)) ELSE 0 END AS returned
        FROM feature_usage
        WHERE tenant_id = CAST(:tenant_id AS uuid) AND period_start = :period_start AND feature_id = :feature_id
        FOR UPDATE
    )
    UPDATE feature_usage u SET used = before.used - before.returned, update_time = :now
    FROM before
    WHERE u.tenant_id = CAST(:tenant_id AS uuid) AND u.period_start = :period_start AND u.feature_id = :feature_id
    RETURNING before.returned, u.used
""")


def _counter(asked: Allowance) -> dict[str, Any]:
    return {"tenant_id": asked.tenant_id, "period_start": asked.place.name, "feature_id": asked.feature_id}


async def counted(tx: AsyncConnection, asked: Allowance, places: Iterable[Place]) -> list[Counted | None]:
    """What is counted in each window; None where nothing is."""
    names, columns = [place.name for place in places], feature_usage.c
    stmt = select(columns.period_start, columns.used, columns.carried).where(
        columns.tenant_id == asked.tenant_id, columns.feature_id == asked.feature_id, among(columns.period_start, names)
    )
    found = {row.period_start: Counted(row.used, row.carried) for row in (await tx.execute(stmt)).all()}
    return [found.get(name) for name in names]


async def since(tx: AsyncConnection, tenant_id: str) -> datetime | None:
    """When the tenant was made; None for one that is not there."""
    return (await tx.execute(select(tenants.c.create_time).where(tenants.c.id == tenant_id))).scalar_one_or_none()


async def list_usage(tx: AsyncConnection, where: Where, order: Order, limit: int) -> Any:
    return await rows_of(tx, feature_usage, where, order, limit)


async def clean(tx: AsyncConnection, now: datetime, at_most: int = 10_000) -> int:
    """Forgets windows long past, and says how many; call again while it is not 0. The steward's to do."""
    key = feature_usage.primary_key.columns
    old = select(*key).where(feature_usage.c.window_end < now - KEPT).limit(at_most)
    return (await tx.execute(delete(feature_usage).where(tuple_(*key).in_(old)))).rowcount
