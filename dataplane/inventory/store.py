"""Stock in PostgreSQL. Every function that is not given the database runs in the caller's transaction, whose tenant the
row policies enforce.

Whoever writes a level, or how much a reservation at it holds, has locked the level, and levels are locked by variant,
then in the order of their locations: nobody waits for somebody who waits for him, and what is read behind the lock
stays as it is.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, LiteralString

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.inventory.domain import Book, Key, Kind, Level, Location, Movement, Offered, Outcome, Reservation, Step
from dataplane.inventory.tables import locations, stock_levels, stock_movements
from shared.runtime import paging
from shared.runtime.db import Database, constraints
from shared.runtime.errors import AlreadyExists, FailedPrecondition, NotFound, PlatformError, stale
from shared.runtime.ids import uuid7
from shared.runtime.paging import Ordering, Value

_CODE: Mapping[str, PlatformError] = {
    "locations_tenant_id_code_key": AlreadyExists("LOCATION_CODE_TAKEN", "another location has this code")
}
_UNKNOWN: Mapping[str, PlatformError] = {
    "stock_levels_tenant_id_variant_id_fkey": NotFound("VARIANT_NOT_FOUND", "no such variant in this shop"),
    "stock_levels_tenant_id_location_id_fkey": NotFound("LOCATION_NOT_FOUND", "no such location in this shop"),
}
DEFAULT_CODE = "main"

_LOCATION = (
    locations.c.id,
    locations.c.code,
    locations.c.name,
    locations.c.priority,
    locations.c.is_active,
    locations.c.create_time,
    locations.c.update_time,
    locations.c.version,
)
_ONE = "tenant_id = CAST(:tenant_id AS uuid) AND id = CAST(:id AS uuid)"
_LOCATION_COLUMNS = "id::text AS id, code, name, priority, is_active, create_time, update_time, version"
_LEVEL_COLUMNS = (
    "l.variant_id::text AS variant_id, l.location_id::text AS location_id, l.on_hand, l.reserved, l.backordered, "
    "l.allows_backorder, l.low_threshold, l.version, l.update_time"
)
_LEVELS = f"""
    SELECT {_LEVEL_COLUMNS} FROM stock_levels l
    JOIN locations p ON p.tenant_id = l.tenant_id AND p.id = l.location_id
    WHERE l.tenant_id = CAST(:tenant_id AS uuid) AND
"""
_IN_ORDER = "ORDER BY l.variant_id, p.priority, p.id"
_OF_VARIANTS = text(f"{_LEVELS} l.variant_id = ANY (CAST(:variants AS uuid[])) {_IN_ORDER}")
_LOCK = text(
    f"""{_LEVELS} (l.variant_id, l.location_id) IN (
        SELECT * FROM unnest(CAST(:variants AS uuid[]), CAST(:locations AS uuid[]))
    ) {_IN_ORDER} FOR NO KEY UPDATE OF l"""
)
_RESERVATION_COLUMNS = (
    "r.id::text AS id, r.owner::text AS owner, r.variant_id::text AS variant_id, r.location_id::text AS location_id, "
    "r.quantity, r.waiting, r.shipped, r.released, r.expires_at, r.create_time"
)
_OF_OWNER = f"""
    SELECT {_RESERVATION_COLUMNS} FROM reservations r
    WHERE r.tenant_id = CAST(:tenant_id AS uuid) AND r.owner = CAST(:owner AS uuid)
"""
_AT_LEVELS = """
    AND (r.variant_id, r.location_id) IN (
        SELECT * FROM unnest(CAST(:variants AS uuid[]), CAST(:locations AS uuid[]))
    )
"""
_HELD = f"{_OF_OWNER} AND r.shipped + r.released < r.quantity {_AT_LEVELS}"
_LOCK_HELD = text(f"{_HELD} ORDER BY r.create_time, r.id FOR UPDATE")
_LOCK_EXPIRED = text(f"{_HELD} AND r.expires_at <= :at ORDER BY r.create_time, r.id FOR UPDATE SKIP LOCKED")


async def location(tx: AsyncConnection, tenant_id: str, id: str, *, lock: bool = False) -> Location:
    stmt = text(f"SELECT {_LOCATION_COLUMNS} FROM locations WHERE {_ONE} {'FOR UPDATE' if lock else ''}")
    row = (await tx.execute(stmt, {"tenant_id": tenant_id, "id": id})).one_or_none()
    if row is None:
        raise NotFound("LOCATION_NOT_FOUND", f"no location {id} in this shop", id=id)
    return Location(**row._mapping)


async def locations_page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Location], list[Value] | None]:
    found = select(*_LOCATION).where(locations.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [Location(**row._mapping) for row in rows], following


async def add_location(tx: AsyncConnection, tenant_id: str, new: Location) -> None:
    with constraints(_CODE):
        await tx.execute(locations.insert().values(tenant_id=tenant_id, **asdict(new)))


async def save_location(tx: AsyncConnection, tenant_id: str, changed: Location) -> None:
    """Writes over the version just before it. Aborted ETAG_MISMATCH when it is not there."""
    here = (locations.c.tenant_id == tenant_id) & (locations.c.id == changed.id)
    before = here & (locations.c.version == changed.version - 1)
    with constraints(_CODE):
        saved = await tx.execute(locations.update().where(before).values(asdict(changed)))
    if saved.rowcount != 1:
        raise stale("location", changed.id)


async def default_location(tx: AsyncConnection, tenant_id: str, now: datetime) -> tuple[Location, bool]:
    """The active location of the smallest priority, and whether it was made just now because the shop had none.

    FailedPrecondition NO_ACTIVE_LOCATION: it has some, and none is active.
    """
    new = Location(uuid7(), DEFAULT_CODE, "Main", 0, True, now, now)
    made = await tx.execute(_MAKE_DEFAULT, {"tenant_id": tenant_id, **asdict(new)})
    row = (await tx.execute(_FIRST_ACTIVE, {"tenant_id": tenant_id})).one_or_none()
    if row is None:
        message = "this shop has no active location; activate one, or name one"
        raise FailedPrecondition("NO_ACTIVE_LOCATION", message)
    return Location(**row._mapping), made.rowcount == 1


_MAKE_DEFAULT = text(
    """
    INSERT INTO locations (tenant_id, id, code, name, priority, is_active, create_time, update_time, version)
    SELECT CAST(:tenant_id AS uuid), CAST(:id AS uuid), :code, :name, :priority, :is_active, :create_time, :update_time,
        :version
    WHERE NOT EXISTS (SELECT FROM locations WHERE tenant_id = CAST(:tenant_id AS uuid))
    ON CONFLICT (tenant_id, code) DO NOTHING
    """
)
_FIRST_ACTIVE = text(
    f"SELECT {_LOCATION_COLUMNS} FROM locations WHERE tenant_id = CAST(:tenant_id AS uuid) AND is_active "
    "ORDER BY priority, id LIMIT 1"
)


async def levels(tx: AsyncConnection, tenant_id: str, variant_ids: Collection[str]) -> list[Level]:
    """By variant, then in the order in which reservations try them."""
    rows = await tx.execute(_OF_VARIANTS, {"tenant_id": tenant_id, "variants": list(variant_ids)})
    return [_level(row) for row in rows]


async def levels_page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Level], list[Value] | None]:
    found = select(stock_levels).where(stock_levels.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_level(row) for row in rows], following


async def movements_page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[tuple[str, Movement, datetime]], list[Value] | None]:
    """(id, movement, time)."""
    found = select(stock_movements).where(stock_movements.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [
        (
            row.id,
            Movement(
                row.variant_id,
                row.location_id,
                Kind(row.kind),
                row.on_hand,
                row.reserved,
                row.backordered,
                row.reference,
                row.reason,
            ),
            row.create_time,
        )
        for row in rows
    ], following


async def open_levels(tx: AsyncConnection, tenant_id: str, keys: Collection[Key], now: datetime) -> list[Level]:
    """Locked; one that was not there is made. NotFound VARIANT_NOT_FOUND or LOCATION_NOT_FOUND."""
    of = {**_keys(tenant_id, sorted(keys)), "now": now}
    with constraints(_UNKNOWN):
        await tx.execute(_OPEN, of)
    return await lock(tx, tenant_id, keys)


_OPEN = text(
    """
    INSERT INTO stock_levels (
        tenant_id, variant_id, location_id, on_hand, reserved, backordered, allows_backorder, version, update_time
    )
    SELECT CAST(:tenant_id AS uuid), n.variant_id, n.location_id, 0, 0, 0, false, 0, :now
    FROM unnest(CAST(:variants AS uuid[]), CAST(:locations AS uuid[])) n (variant_id, location_id)
    ON CONFLICT DO NOTHING
    """
)


async def lock(tx: AsyncConnection, tenant_id: str, keys: Collection[Key]) -> list[Level]:
    return [_level(row) for row in await tx.execute(_LOCK, _keys(tenant_id, keys))]


async def of_owner(tx: AsyncConnection, tenant_id: str, owner: str) -> list[Reservation]:
    """All that the owner has ever held, as it is when nobody holds a lock on it."""
    rows = await tx.execute(text(f"{_OF_OWNER} ORDER BY r.create_time, r.id"), {"tenant_id": tenant_id, "owner": owner})
    return [_reservation(row) for row in rows]


async def lock_reservations(
    tx: AsyncConnection, tenant_id: str, owner: str, keys: Collection[Key], expired_at: datetime | None = None
) -> list[Reservation]:
    """What the owner holds at some levels that are locked; expired_at: only what has expired by then, and is not in
    somebody's hands who gives it another owner or more time."""
    of = {**_keys(tenant_id, keys), "owner": owner}
    if expired_at is not None:
        return [_reservation(row) for row in await tx.execute(_LOCK_EXPIRED, {**of, "at": expired_at})]
    return [_reservation(row) for row in await tx.execute(_LOCK_HELD, of)]


async def waiting(tx: AsyncConnection, tenant_id: str, keys: Collection[Key]) -> list[Reservation]:
    """What waits at some levels that are locked, the oldest first."""
    stmt = text(
        f"""
        SELECT {_RESERVATION_COLUMNS} FROM reservations r
        WHERE r.tenant_id = CAST(:tenant_id AS uuid) AND r.waiting > 0 {_AT_LEVELS}
        ORDER BY r.create_time, r.id FOR UPDATE
        """
    )
    return [_reservation(row) for row in await tx.execute(stmt, _keys(tenant_id, keys))]


async def reserve(
    tx: AsyncConnection,
    tenant_id: str,
    owner: str,
    wanted: Mapping[str, int],
    expires_at: datetime | None,
    now: datetime,
) -> tuple[Outcome, dict[str, int]]:
    """What was taken, and how many lack, by variant; if any do, the caller's transaction must not commit."""
    rows = (
        await tx.execute(
            _RESERVE,
            {
                "tenant_id": tenant_id,
                "owner": owner,
                "variants": list(wanted),
                "quantities": list(wanted.values()),
                "expires_at": expires_at,
                "now": now,
            },
        )
    ).all()
    steps: dict[Key, Step] = {}
    taken = []
    for row in (row for row in rows if row.location_id is not None):
        after = Level(
            row.variant_id, row.location_id, row.on_hand, row.reserved, row.backordered, row.allows_backorder,
            row.low_threshold, row.version, now,
        )  # fmt: skip
        before = steps[after.key].before if after.key in steps else _before(after, row.taken, row.waiting)
        steps[after.key] = Step(before, after)
        quantity = row.taken + row.waiting
        taken.append(Reservation(row.reservation_id, owner, *after.key, quantity, row.waiting, 0, 0, expires_at, now))
    lacking = {row.variant_id: row.waiting for row in rows if row.location_id is None}
    return Outcome(tuple(steps.values()), tuple(taken)), lacking


def _before(after: Level, reserved: int, backordered: int) -> Level:
    return Level(
        *after.key, after.on_hand, after.reserved - reserved, after.backordered - backordered, after.allows_backorder,
        after.low_threshold, after.version - 1, after.update_time,
    )  # fmt: skip


_RESERVE = text(
    """
    SELECT reservation_id::text, variant_id::text, location_id::text, taken, waiting, on_hand, reserved, backordered,
        allows_backorder, low_threshold, version
    FROM reserve_stock(
        CAST(:tenant_id AS uuid), CAST(:owner AS uuid), CAST(:variants AS uuid[]), CAST(:quantities AS bigint[]),
        CAST(:expires_at AS timestamptz), CAST(:now AS timestamptz)
    )
    """
)


async def transfer(
    tx: AsyncConnection, tenant_id: str, owner: str, new_owner: str, expires_at: datetime | None
) -> list[Reservation]:
    """Gives what the owner holds to another, or to himself for longer."""
    rows = await tx.execute(
        text(
            f"""
            UPDATE reservations r SET owner = CAST(:new_owner AS uuid), expires_at = CAST(:expires_at AS timestamptz)
            WHERE r.tenant_id = CAST(:tenant_id AS uuid) AND r.id IN (
                SELECT id FROM reservations WHERE tenant_id = CAST(:tenant_id AS uuid)
                    AND owner = CAST(:owner AS uuid) AND shipped + released < quantity ORDER BY id FOR UPDATE
            )
            RETURNING {_RESERVATION_COLUMNS}
            """
        ),
        {"tenant_id": tenant_id, "owner": owner, "new_owner": new_owner, "expires_at": expires_at},
    )
    return [_reservation(row) for row in rows]


# In a transaction of its own; a few rows of one index for each variant.
_OFFERED: LiteralString = """
    SELECT s.variant_id::text AS variant_id, sum(s.on_hand - s.reserved)::bigint AS available,
        bool_or(s.allows_backorder) AS allows_backorder, sum(s.low_threshold)::bigint AS low_threshold
    FROM stock_levels s JOIN locations p ON p.tenant_id = s.tenant_id AND p.id = s.location_id AND p.is_active
    WHERE s.tenant_id = %(tenant_id)s::uuid AND s.variant_id = ANY (%(ids)s::uuid[])
    GROUP BY s.variant_id
"""


# Of one variant for one owner, in somebody else's statement: how many can be had, what the owner holds included, and
# whether more can be ordered than that.
OFFERED_TO = """
    SELECT ARRAY[
        coalesce(sum(s.on_hand - s.reserved), 0)::bigint + (
            SELECT coalesce(sum(r.quantity - r.shipped - r.released), 0)::bigint FROM reservations r
            WHERE r.tenant_id = {variant}.tenant_id AND r.owner = {owner} AND r.variant_id = {variant}.id
        ),
        coalesce(bool_or(s.allows_backorder), false)::int
    ]
    FROM stock_levels s JOIN locations sl ON sl.tenant_id = s.tenant_id AND sl.id = s.location_id AND sl.is_active
    WHERE s.tenant_id = {variant}.tenant_id AND s.variant_id = {variant}.id
"""


async def offered(reads: Database, tenant_id: str, variant_ids: Collection[str]) -> dict[str, Offered]:
    """What reserve() would find of each variant, over all active locations; nothing of one that was never in stock."""
    about = {"tenant_id": tenant_id, "ids": list(variant_ids)}
    rows = await reads.once(_OFFERED, about, tenant_id=tenant_id) if variant_ids else ()
    return {row.variant_id: Offered(row.available, row.allows_backorder, row.low_threshold) for row in rows}


async def unknown_variants(tx: AsyncConnection, tenant_id: str, variant_ids: Collection[str]) -> list[str]:
    stmt = text(
        "SELECT w::text FROM unnest(CAST(:ids AS uuid[])) w WHERE NOT EXISTS ("
        "SELECT FROM variants WHERE tenant_id = CAST(:tenant_id AS uuid) AND id = w)"
    )
    rows = await tx.execute(stmt, {"tenant_id": tenant_id, "ids": list(variant_ids)})
    return [row[0] for row in rows]


async def write(tx: AsyncConnection, tenant_id: str, book: Book, now: datetime) -> Outcome:
    """What the book changed, in one statement; its levels are locked."""
    outcome = book.outcome
    if not book.movements:
        return outcome
    after = [step.after for step in outcome.steps]
    await tx.execute(
        _WRITE,
        {
            "tenant_id": tenant_id,
            "now": now,
            **_columns("l_", after, _LEVEL_VALUES),
            **_columns("r_", outcome.reservations, _RESERVATION_VALUES),
            **_columns("m_", book.movements, _MOVEMENT_VALUES),
            "m_ids": [uuid7() for _ in book.movements],
        },
    )
    return outcome


_LEVEL_VALUES = {
    "variant_id": "uuid", "location_id": "uuid", "on_hand": "bigint", "reserved": "bigint", "backordered": "bigint",
    "allows_backorder": "boolean", "low_threshold": "bigint", "version": "bigint",
}  # fmt: skip
_RESERVATION_VALUES = {"id": "uuid", "waiting": "bigint", "shipped": "bigint", "released": "bigint"}
_MOVEMENT_VALUES = {
    "variant_id": "uuid", "location_id": "uuid", "kind": "text", "on_hand": "bigint", "reserved": "bigint",
    "backordered": "bigint", "reference": "text", "reason": "text",
}  # fmt: skip


def _columns(prefix: str, of: Iterable[Any], names: Collection[str]) -> dict[str, list[Any]]:
    some = list(of)
    return {prefix + name: [getattr(each, name) for each in some] for name in names}


def _arrays(prefix: str, types: Mapping[str, str]) -> str:
    return ", ".join(f"CAST(:{prefix}{name} AS {kind}[])" for name, kind in types.items())


_WRITE = text(
    f"""
    WITH levels AS (
        UPDATE stock_levels s
        SET on_hand = n.on_hand, reserved = n.reserved, backordered = n.backordered,
            allows_backorder = n.allows_backorder, low_threshold = n.low_threshold, version = n.version,
            update_time = :now
        FROM unnest({_arrays("l_", _LEVEL_VALUES)}) n ({", ".join(_LEVEL_VALUES)})
        WHERE s.tenant_id = CAST(:tenant_id AS uuid) AND s.variant_id = n.variant_id AND s.location_id = n.location_id
    ), held AS (
        UPDATE reservations r SET waiting = n.waiting, shipped = n.shipped, released = n.released
        FROM unnest({_arrays("r_", _RESERVATION_VALUES)}) n ({", ".join(_RESERVATION_VALUES)})
        WHERE r.tenant_id = CAST(:tenant_id AS uuid) AND r.id = n.id
    )
    INSERT INTO stock_movements (tenant_id, create_time, id, {", ".join(_MOVEMENT_VALUES)})
    SELECT CAST(:tenant_id AS uuid), :now, n.* FROM unnest(CAST(:m_ids AS uuid[]), {_arrays("m_", _MOVEMENT_VALUES)}) n
    """
)


async def expired(tx: AsyncConnection, at: datetime, at_most: int) -> list[tuple[str, str]]:
    """(tenant, owner) of reservations that are over, whosever they are; for the steward."""
    stmt = text("SELECT tenant_id::text, owner::text FROM expired_reservations(:at, :at_most)")
    return [(row.tenant_id, row.owner) for row in await tx.execute(stmt, {"at": at, "at_most": at_most})]


async def place(tx: AsyncConnection) -> int:
    """Every transaction before this one has ended: what they changed can be seen."""
    return int((await tx.execute(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text"))).scalar_one())


async def changed_since(tx: AsyncConnection, tenant_id: str, since: int) -> tuple[list[Level], int]:
    """Levels that transactions from that place on have changed, some of them again and again, and the next place."""
    rows = (await tx.execute(_CHANGED, {"tenant_id": tenant_id, "since": str(since)})).all()
    return [_level(row) for row in rows if row.variant_id is not None], int(rows[0].place)


# One statement, and so one snapshot: what it does not show yet is behind its place.
_CHANGED = text(
    f"""
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS place, {_LEVEL_COLUMNS}
    FROM (SELECT) one LEFT JOIN stock_levels l ON l.tenant_id = CAST(:tenant_id AS uuid)
        AND (l.variant_id, l.location_id) IN (
            SELECT variant_id, location_id FROM stock_movements
            WHERE tenant_id = CAST(:tenant_id AS uuid) AND xid >= CAST(:since AS xid8)
        )
    """
)


def _keys(tenant_id: str, keys: Iterable[Key]) -> dict[str, Any]:
    some = list(keys)
    return {
        "tenant_id": tenant_id,
        "variants": [variant_id for variant_id, _ in some],
        "locations": [location_id for _, location_id in some],
    }


def _level(row: Any) -> Level:
    return Level(
        row.variant_id, row.location_id, row.on_hand, row.reserved, row.backordered, row.allows_backorder,
        row.low_threshold, row.version, row.update_time,
    )  # fmt: skip


def _reservation(row: Any) -> Reservation:
    return Reservation(
        row.id, row.owner, row.variant_id, row.location_id, row.quantity, row.waiting, row.shipped, row.released,
        row.expires_at, row.create_time,
    )  # fmt: skip
