"""Tenants in this cluster's database. Functions run in a steward's transaction, or make one of their own."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from sqlalchemy import ColumnElement, delete, func, literal_column, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.tables import MOVED, event_gaps, tenants, watch
from dataplane.tenants.domain import Local, Mode, State, has_moved, outlives
from shared.audit.domain import ROWS
from shared.audit.schema import LOCK
from shared.runtime import journal
from shared.runtime.db import Database
from shared.runtime.errors import FailedPrecondition
from shared.runtime.ids import NO_TENANT
from shared.runtime.journal import Change

# Removing or copying a large tenant takes longer than any request may.
LONG_STATEMENT_S = 3600

_LOCAL = (
    tenants.c.tenant_id,
    tenants.c.revision,
    tenants.c.state,
    tenants.c.mode,
    tenants.c.writes_frozen,
    tenants.c.placed_here,
    tenants.c.arriving,
    tenants.c.served,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A tenant as the catalog tells it, and `encoded` as it came (center.control.v1.CatalogTenant)."""

    tenant_id: str
    revision: int
    state: State
    mode: Mode
    writes_frozen: bool
    placed_here: bool
    arriving: bool
    encoded: bytes


# Rows are locked in the order of their ids, so that two batches never wait for each other in a circle. A tenant that is
# unknown, or was removed (served is false then, and only the revision is left), comes in with a newer entry that places
# it here; one that is known takes every newer entry. `served` never ends here: see domain.Local.
_APPLY = """
    INSERT INTO tenants AS t (tenant_id, revision, state, mode, writes_frozen, placed_here, arriving, served, entry)
    SELECT n.tenant_id, n.revision, n.state, n.mode, n.writes_frozen, n.placed_here, n.arriving, n.placed_here, n.entry
    FROM unnest(
        CAST(%(ids)s AS uuid[]), CAST(%(revisions)s AS bigint[]), CAST(%(states)s AS text[]),
        CAST(%(modes)s AS text[]), CAST(%(frozen)s AS boolean[]), CAST(%(placed)s AS boolean[]),
        CAST(%(arriving)s AS boolean[]), CAST(%(entries)s AS bytea[])
    ) AS n (tenant_id, revision, state, mode, writes_frozen, placed_here, arriving, entry)
    LEFT JOIN tenants known ON known.tenant_id = n.tenant_id
    WHERE (n.placed_here AND n.state = ANY (CAST(%(introducing)s AS text[]))) OR known.served
    ORDER BY n.tenant_id
    ON CONFLICT (tenant_id) DO UPDATE SET
        revision = excluded.revision, state = excluded.state, mode = excluded.mode,
        writes_frozen = excluded.writes_frozen, placed_here = excluded.placed_here,
        arriving = excluded.arriving, served = t.served OR excluded.placed_here,
        entry = excluded.entry, apply_time = now()
    WHERE t.revision < excluded.revision
        -- Left out of a snapshot once and named again, or not what its revision says.
        OR (t.revision = excluded.revision AND t.served
            AND (t.placed_here <> excluded.placed_here OR CAST(%(again)s AS boolean)))
"""
_WATCHED = """
    INSERT INTO watch (name, revision) VALUES ('catalog', %(watched_revision)s)
    ON CONFLICT (name) DO UPDATE SET revision = excluded.revision
"""
# What is applied and how far the catalog is followed are one transaction, and one round trip: until it is through, a
# request that an edge sends here already meets the tenant as it was.
_APPLY_WATCHED: LiteralString = f"WITH watched AS ({_WATCHED}) {_APPLY}"


async def apply(
    steward: Database,
    entries: Sequence[Entry],
    *,
    introducing: Iterable[State],
    watched_revision: int | None = None,
    again: bool = False,
) -> None:
    """Takes entries over that are newer than what is here, in a transaction of its own.

    introducing: the states in which an entry makes an unknown tenant known.
    watched_revision: how far the catalog is followed with this.
    again: takes over an entry of the same revision, too: what is here may not be what the revision says.
    """
    # A batch may name a tenant twice; ON CONFLICT takes a row once.
    newest = {e.tenant_id: e for e in sorted(entries, key=lambda e: e.revision)}.values()
    await steward.once(
        _APPLY if watched_revision is None else _APPLY_WATCHED,
        {
            "ids": [e.tenant_id for e in newest],
            "revisions": [e.revision for e in newest],
            "states": [e.state for e in newest],
            "modes": [e.mode for e in newest],
            "frozen": [e.writes_frozen for e in newest],
            "placed": [e.placed_here for e in newest],
            "arriving": [e.arriving for e in newest],
            "entries": [e.encoded for e in newest],
            "introducing": list(introducing),
            "watched_revision": watched_revision,
            "again": again,
        },
    )


async def adopt(tx: AsyncConnection, entry: Entry) -> None:
    """Makes a tenant served here whose rows this transaction brings, and locks it; of two entries the newer one stays.

    FailedPrecondition TENANT_SERVED_HERE: the catalog's newest entry known here places the tenant here.
    FailedPrecondition TENANT_REMOVED: a removal that is newer than the entry has been here.
    """
    known = await lock(tx, entry.tenant_id)
    if known is not None and known.placed_here:
        raise FailedPrecondition(
            "TENANT_SERVED_HERE", f"tenant {entry.tenant_id} lives on this cluster", tenant_id=entry.tenant_id
        )
    if known is not None and not known.served and known.revision > entry.revision:
        raise FailedPrecondition(
            "TENANT_REMOVED", f"tenant {entry.tenant_id} was removed after this entry", tenant_id=entry.tenant_id
        )
    stmt = insert(tenants).values(
        tenant_id=entry.tenant_id,
        revision=entry.revision,
        state=entry.state,
        mode=entry.mode,
        writes_frozen=entry.writes_frozen,
        placed_here=entry.placed_here,
        arriving=entry.arriving,
        served=True,
        entry=entry.encoded,
    )
    if known is not None and known.served and known.revision > entry.revision:
        stmt = stmt.on_conflict_do_update(index_elements=["tenant_id"], set_={"served": True})
    else:
        new = stmt.excluded
        taken = ("revision", "state", "mode", "writes_frozen", "placed_here", "arriving", "served", "entry")
        stmt = stmt.on_conflict_do_update(
            index_elements=["tenant_id"], set_={name: new[name] for name in taken} | {"apply_time": func.now()}
        )
    await tx.execute(stmt)


async def end(tx: AsyncConnection, tenant_id: str, revision: int, encoded: bytes) -> tuple[bool, bool]:
    """Ends a tenant's service for good, and keeps the revision so that no older entry brings it back.

    Answers whether it is ended, which it is not when it outlives the removal, and whether it was served until now.
    """
    known = await lock(tx, tenant_id)
    if known is not None and outlives(known, revision):
        return False, True
    gone = {
        "revision": revision,
        "state": State.ACTIVE if known is not None and has_moved(known, revision) else State.DELETING,
        "mode": Mode.NORMAL,
        "writes_frozen": False,
        "placed_here": False,
        "arriving": False,
        "served": False,
        "entry": encoded,
    }
    stmt = insert(tenants).values(tenant_id=tenant_id, **gone)
    await tx.execute(
        stmt.on_conflict_do_update(
            index_elements=["tenant_id"],
            set_=gone | {"revision": func.greatest(tenants.c.revision, revision), "apply_time": func.now()},
        )
    )
    return True, known is not None and known.served


async def note(tx: AsyncConnection, tenant_id: str, **facts: str) -> None:
    """What was done to all rows of a tenant, in the audit of what concerns no tenant: the tenant's own comes and goes
    with its rows. The last of its transaction."""
    await tx.execute(text("SELECT set_config('app.tenant_id', :nobody, true)"), {"nobody": NO_TENANT})
    await journal.record(tx, NO_TENANT, [Change(ROWS, tenant_id, {}, facts)])


async def delete_some(tx: AsyncConnection, tenant_id: str, at_most: int) -> int:
    """Deletes some rows of a tenant whose service has ended, and says how many; none when it is served again.

    That it has ended is recorded already.

    A part at a time, because what locks the tenant for as long as a large one takes keeps every change waiting that
    comes with a change to this tenant.
    """
    journal.unchanged(tx)
    if await is_served(tx, tenant_id):
        return 0
    # A round of the sealer that is under way would give links to entries that are gone then.
    await tx.execute(text(f"SELECT pg_advisory_xact_lock_shared({LOCK})"))
    place: ColumnElement[Any] = literal_column("ctid")
    for table in (event_gaps, *reversed(MOVED)):
        some_rows = select(place).select_from(table).where(table.c.tenant_id == tenant_id).limit(at_most)
        if deleted := (await tx.execute(delete(table).where(place.in_(some_rows)))).rowcount:
            return deleted
    return 0


async def is_served(tx: AsyncConnection, tenant_id: str) -> bool:
    """Whether requests for the tenant are answered here; it stays so until the transaction ends."""
    stmt = select(tenants.c.served).where(tenants.c.tenant_id == tenant_id).with_for_update(read=True)
    return bool((await tx.execute(stmt)).scalar_one())


async def disown_others(tx: AsyncConnection, named: Collection[str], revision: int) -> list[str]:
    """Takes the tenants that a snapshot of the catalog at `revision` does not name for placed elsewhere; returns them.

    Their writes end, since another cluster may take them by now. Reads go on and rows stay: what ends those is a
    removal that says so, never the absence of an entry.
    """
    result = await tx.execute(
        text(
            """
            UPDATE tenants SET placed_here = false, apply_time = now()
            WHERE placed_here AND revision <= :revision AND tenant_id <> ALL (CAST(:named AS uuid[]))
            RETURNING tenant_id::text
            """
        ),
        {"revision": revision, "named": list(named)},
    )
    return [row.tenant_id for row in result]


async def lock(tx: AsyncConnection, tenant_id: str) -> Local | None:
    """The tenant, kept from every write and every other command until the transaction ends."""
    stmt = select(*_LOCAL).where(tenants.c.tenant_id == tenant_id).with_for_update()
    row = (await tx.execute(stmt)).one_or_none()
    return None if row is None else _local(row)


async def some(steward: Database, tenant_ids: Collection[str]) -> list[Local]:
    """Those of the tenants that are known here, in a transaction of its own."""
    rows = await steward.once(_SOME, {"ids": list(tenant_ids)})
    return [_local(row) for row in rows]


_SOME = """
    SELECT tenant_id::text, revision, state, mode, writes_frozen, placed_here, arriving, served
    FROM tenants WHERE tenant_id = ANY (CAST(%(ids)s AS uuid[]))
"""


async def everyone(tx: AsyncConnection) -> AsyncIterator[Local]:
    """All tenants of the cluster, a few at a time."""
    async for row in await tx.stream(select(*_LOCAL), execution_options={"yield_per": 5000}):
        yield _local(row)


async def entry(tx: AsyncConnection, tenant_id: str) -> tuple[bytes, Local] | None:
    """The tenant's entry as it came, and what was made of it; None when it is not served here."""
    stmt = select(tenants.c.entry, *_LOCAL).where(tenants.c.tenant_id == tenant_id, tenants.c.served)
    row = (await tx.execute(stmt)).one_or_none()
    return None if row is None else (row.entry, _local(row))


async def page(tx: AsyncConnection, after: str | None, size: int) -> list[tuple[bytes, Local]]:
    """Tenants that are served here, by id."""
    stmt = select(tenants.c.entry, *_LOCAL).where(tenants.c.served).order_by(tenants.c.tenant_id).limit(size)
    if after is not None:
        stmt = stmt.where(tenants.c.tenant_id > after)
    return [(row.entry, _local(row)) for row in await tx.execute(stmt)]


async def watched_revision(tx: AsyncConnection) -> int:
    """How far the catalog has been followed; 0 at first."""
    return (await tx.execute(select(watch.c.revision).where(watch.c.name == "catalog"))).scalar_one_or_none() or 0


async def keep_watched_revision(tx: AsyncConnection, revision: int) -> None:
    stmt = insert(watch).values(name="catalog", revision=revision)
    await tx.execute(stmt.on_conflict_do_update(index_elements=["name"], set_={"revision": stmt.excluded.revision}))


async def patient(tx: AsyncConnection) -> None:
    """Lets this transaction's statements take as long as a large tenant needs."""
    await tx.execute(text(f"SET LOCAL statement_timeout = '{LONG_STATEMENT_S}s'"))
    await tx.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{LONG_STATEMENT_S}s'"))


def _local(row: Any) -> Local:
    return Local(
        tenant_id=row.tenant_id,
        revision=row.revision,
        state=State(row.state),
        mode=Mode(row.mode),
        writes_frozen=row.writes_frozen,
        placed_here=row.placed_here,
        arriving=row.arriving,
        served=row.served,
    )
