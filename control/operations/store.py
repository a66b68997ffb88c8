"""Operations in PostgreSQL; every function runs in the caller's transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Row, bindparam, column, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control.operations.domain import Fault, Kind, Operation, State
from control.rows import among, inserting, packed, updating
from control.tables import operations
from shared.runtime.errors import NotFound

# Wakes the workers of the kind in the payload; and whoever waits for operations to end.
CHANNEL = "center_operations"
ENDED_CHANNEL = "center_operations_ended"

_COLUMNS = [each.name for each in fields(Operation)]


def _operation(row: Row[Any]) -> Operation:
    values = {name: getattr(row, name) for name in _COLUMNS}
    values["kind"], values["state"] = Kind(row.kind), State(row.state)
    for name in ("last_error", "error"):
        values[name] = Fault(**values[name]) if values[name] is not None else None
    for name in ("tenant_id", "user_id"):
        values[name] = values[name] or ""
    values["touched"] = tuple((each, what) for each, what in values["touched"] or ())
    return Operation(**values)


def _values(operation: Operation) -> dict[str, Any]:
    values = {name: getattr(operation, name) for name in _COLUMNS}
    for name in ("last_error", "error"):
        values[name] = asdict(values[name]) if values[name] is not None else None
    for name in ("tenant_id", "user_id", "touched"):
        values[name] = values[name] or None
    return values


_ADD = inserting(operations, _COLUMNS)


async def add(tx: AsyncConnection, added: Sequence[Operation]) -> None:
    """Adds them and wakes the workers when the transaction commits."""
    if added:
        await tx.execute(_ADD, packed([_values(operation) for operation in added]))
        await wake(tx, {operation.kind for operation in added})


async def wake(tx: AsyncConnection, kinds: Iterable[Kind]) -> None:
    """Tells the workers of these kinds when the transaction commits."""
    for kind in kinds:
        await tx.execute(select(func.pg_notify(CHANNEL, kind)))


async def get(tx: AsyncConnection, operation_id: str, *, lock: bool = False) -> Operation:
    stmt = select(operations).where(operations.c.id == operation_id)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    if row is None:
        raise NotFound("OPERATION_NOT_FOUND", f"there is no operation {operation_id}", id=operation_id)
    return _operation(row)


async def list_page(tx: AsyncConnection, where: Sequence[ColumnElement[bool]], limit: int) -> list[Operation]:
    """Newest first."""
    order = (operations.c.create_time.desc(), operations.c.id.desc())
    stmt = select(operations).where(*where).order_by(*order).limit(limit)
    return [_operation(row) for row in (await tx.execute(stmt)).all()]


# The oldest due step decides what the batch is made of. SKIP LOCKED, so that workers of several processes share the
# work without waiting for one another.
_CLAIM = text(f"""
    WITH due AS (
        SELECT step, lane FROM operations
        WHERE end_time IS NULL AND kind = :kind AND next_attempt_time <= :now
            AND step || '/' || lane <> ALL (CAST(:busy AS text[]))
        ORDER BY next_attempt_time LIMIT 1 FOR UPDATE SKIP LOCKED
    ), picked AS (
        SELECT o.id FROM operations o JOIN due ON o.step = due.step AND o.lane = due.lane
        WHERE o.end_time IS NULL AND o.kind = :kind AND o.next_attempt_time <= :now
        ORDER BY o.next_attempt_time LIMIT :at_most FOR UPDATE OF o SKIP LOCKED
    ), claimed AS (
        UPDATE operations o
        SET lease_owner = :owner, next_attempt_time = :until, fence = fence + 1, attempts = attempts + 1
        FROM picked WHERE o.id = picked.id
        RETURNING {", ".join("o." + name for name in _COLUMNS)}
    )
    SELECT claimed.*, rest.due FROM (
        SELECT min(next_attempt_time) AS due FROM operations
        WHERE end_time IS NULL AND kind = :kind AND id NOT IN (SELECT id FROM picked)
    ) rest LEFT JOIN claimed ON true
""").columns(*(operations.c[name] for name in _COLUMNS), column("due", DateTime(timezone=True)))


async def claim(
    tx: AsyncConnection, kind: Kind, *, owner: str, now: datetime, lease: timedelta, at_most: int, busy: Iterable[str]
) -> tuple[list[Operation], datetime | None]:
    """Leases due operations that are at the same step of the same lane; none of those that are `busy` (step/lane).
    Also, when the next of the others is due; None when there are no others."""
    answer = await tx.execute(
        _CLAIM,
        {"kind": kind, "owner": owner, "now": now, "until": now + lease, "at_most": at_most, "busy": list(busy)},
    )
    rows = answer.all()
    return [_operation(row) for row in rows if row.id is not None], rows[0].due


async def renew(tx: AsyncConnection, batch: Sequence[Operation], until: datetime) -> None:
    """Keeps the lease on those that are still this claimant's."""
    await tx.execute(
        text("""
            UPDATE operations o SET next_attempt_time = :until
            FROM unnest(CAST(:ids AS uuid[]), CAST(:fences AS bigint[])) AS b (id, fence)
            WHERE o.id = b.id AND o.fence = b.fence AND o.lease_owner <> ''
        """),
        {"until": until, "ids": [each.id for each in batch], "fences": [each.fence for each in batch]},
    )


async def hold(tx: AsyncConnection, batch: Sequence[Operation]) -> list[Operation]:
    """Locks those that are still this claimant's, in the order of ids, and reads them again.

    Whatever a step changes it changes after this, in the same transaction: a worker that lost its lease meanwhile
    changes nothing.
    """
    claimed = {operation.id: operation for operation in batch}
    stmt = select(operations).where(among(operations.c.id, claimed)).order_by(operations.c.id).with_for_update()
    held = [_operation(row) for row in (await tx.execute(stmt)).all()]
    return [
        operation
        for operation in held
        if operation.fence == claimed[operation.id].fence
        and operation.step == claimed[operation.id].step
        and operation.lease_owner
        and operation.end_time is None
    ]


_FIXED = ("id", "kind", "tenant_id", "user_id", "create_time", "caller", "reason", "trace_id", "request_id", "fence")
_SAVE = updating(operations, [name for name in _COLUMNS if name not in _FIXED], "t.id = r.id")


async def save(tx: AsyncConnection, changed: Sequence[Operation]) -> None:
    """Writes operations that this transaction has locked, and tells whoever waits for their end. The worker that has
    moved one on looks for the next step by itself; others need not look, too."""
    if not changed:
        return
    await tx.execute(_SAVE, packed([_values(operation) for operation in changed]))
    if any(operation.is_decided for operation in changed):
        await tx.execute(select(func.pg_notify(ENDED_CHANNEL, "")))


async def stamp(tx: AsyncConnection, revisions: dict[str, int]) -> None:
    """Keeps the revision that an operation's change has got: (operation id -> revision)."""
    if revisions:
        stmt = update(operations).where(operations.c.id == bindparam("key")).values(revision=bindparam("at"))
        await tx.execute(stmt, [{"key": key, "at": at} for key, at in revisions.items()])


async def ended(tx: AsyncConnection, operation_ids: Iterable[str]) -> set[str]:
    """Which of these are decided, or are not there."""
    wanted = set(operation_ids)
    stmt = select(operations.c.id).where(among(operations.c.id, wanted), operations.c.state == State.RUNNING)
    return wanted - set((await tx.execute(stmt)).scalars())


async def undoing(tx: AsyncConnection, tenant_id: str) -> set[str]:
    """Clusters on which an earlier operation of this tenant is still being taken back."""
    stmt = select(operations.c.target_cluster_id).where(
        operations.c.tenant_id == tenant_id, operations.c.state == State.COMPENSATING
    )
    return set((await tx.execute(stmt)).scalars())


async def hurry(tx: AsyncConnection, lane: str, now: datetime) -> None:
    """Lets what waits for a cluster's next try go on at once; what a worker has stays with it."""
    waiting = (
        (operations.c.end_time.is_(None))
        & (operations.c.lane == lane)
        & (operations.c.lease_owner == "")
        & (operations.c.next_attempt_time > now)
    )
    hurried = update(operations).where(waiting).values(next_attempt_time=now).returning(operations.c.kind)
    await wake(tx, {Kind(kind) for kind in (await tx.execute(hurried)).scalars()})
