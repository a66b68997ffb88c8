"""Counters, leases, usage and decisions in PostgreSQL; every function runs in the caller's transaction.

Whoever locks several rows does so in this order: leases, counters by key, usage by key.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from center_sdk.terms import QuotaTerms
from center_sdk.windows import Window
from control.entitlements.domain import Entitlement, Status, Token
from control.quotas import domain
from control.quotas.domain import Counter, Lease, Reservation
from control.tables import counters, decisions, reservations, usage_days
from control.users.crypto import Wrapped
from control.users.store import Sealed

RECALL_CHANNEL = "center_recalls"

Key = tuple[str, str, datetime]

# How much a new lease gets: domain.grant() in SQL, so that it is one conditional update and no more.
_TAKE = text("""
    WITH taken AS (
        INSERT INTO counters AS c (entitlement_id, action, window_start, window_end, taken, outstanding, carried,
            holders, granted)
        VALUES (:entitlement_id, :action, :window_start, :window_end, :first, :first, :carried,
            CAST(:first > 0 AND :leases AS integer), :first)
        ON CONFLICT (entitlement_id, action, window_start) DO UPDATE SET (taken, outstanding, holders, granted) = (
            SELECT c.taken + g.units, c.outstanding + g.units, c.holders + CAST(g.units > 0 AND :leases AS integer),
                g.units
            FROM (SELECT CASE
                WHEN :soft THEN GREATEST(:wanted, :least)
                WHEN :limit + c.carried - c.taken < GREATEST(:least, 1) THEN 0
                ELSE LEAST(:limit + c.carried - c.taken, GREATEST(:least, LEAST(:wanted,
                    GREATEST(1, (:limit + c.carried - c.taken) / (:share * (c.holders + 1))))))
                END AS units) AS g
        )
        RETURNING taken, outstanding, carried, granted
    ), leased AS (
        INSERT INTO leases (id, entitlement_id, action, window_start, solution_id, validator, units, spent, create_time,
            expire_time)
        SELECT :id, :entitlement_id, :action, :window_start, :solution_id, :validator, granted, 0, :now, :expire_time
        FROM taken WHERE granted > 0 AND :leases
    )
    SELECT taken, outstanding, carried, granted FROM taken
""")


@dataclass(frozen=True, slots=True)
class Presented:
    """A token as its row says, with its entitlement and what is sealed of its user; nothing later than `revision`."""

    revision: int
    token: Token | None
    entitlement: Entitlement | None
    sealed: Sealed | None


async def presented(tx: AsyncConnection, kid: str) -> Presented:
    """All in one statement, which sees one instant: a cold token waits for it."""
    row = (await tx.execute(_PRESENTED, {"kid": kid})).one()
    if row.kid is None:
        return Presented(row.revision, None, None, None)
    token = Token(
        kid=row.kid,
        entitlement_id=row.entitlement_id,
        user_id=row.user_id,
        solution_id=row.solution_id,
        pepper=row.pepper,
        mac=bytes(row.mac),
        create_time=row.create_time,
        expire_time=row.expire_time,
        revoke_time=row.revoke_time,
    )
    entitlement = Entitlement(
        id=row.entitlement_id,
        user_id=row.user_id,
        solution_id=row.solution_id,
        tier=row.tier,
        create_time=row.granted_time,
        update_time=row.granted_time,
        status=Status(row.status),
    )
    key = Wrapped(row.kek, bytes(row.data_key)) if row.data_key is not None else None
    return Presented(row.revision, token, entitlement, Sealed(key, row.email, None, None))


_PRESENTED = text("""
    SELECT r.revision, t.kid, CAST(t.entitlement_id AS text) AS entitlement_id, CAST(t.user_id AS text) AS user_id,
        t.solution_id, t.pepper, t.mac, t.create_time, t.expire_time, t.revoke_time, e.tier, e.status,
        e.create_time AS granted_time, u.email, u.data_key, u.kek
    FROM catalog_revision r
    LEFT JOIN (tokens t JOIN entitlements e ON e.id = t.entitlement_id LEFT JOIN users u ON u.id = t.user_id)
        ON t.kid = :kid
""")


@dataclass(frozen=True, slots=True)
class Taken:
    """What the counter is afterwards, and how much of it was granted."""

    taken: int
    outstanding: int
    carried: int
    granted: int


async def take(
    tx: AsyncConnection,
    lease: Lease,
    window: Window,
    quota: QuotaTerms,
    *,
    validator: str,
    wanted: int,
    least: int,
    carried: int,
    now: datetime,
    leases: bool = True,
) -> Taken:
    """Takes units from a counter, which is made when it is not there, for a new lease.

    lease: with the id, and with no units yet. carried: for a counter that is new. leases: False takes for no lease.
    """
    new = Counter(lease.entitlement_id, lease.action, window.start, window.end, carried=carried)
    first = domain.grant(quota, new, wanted, least, 1)
    row = (
        await tx.execute(
            _TAKE,
            {
                "id": lease.id,
                "entitlement_id": lease.entitlement_id,
                "action": lease.action,
                "window_start": window.start,
                "window_end": window.end,
                "solution_id": lease.solution_id,
                "validator": validator,
                "first": first,
                "carried": carried,
                "soft": quota.soft or quota.limit is None,
                "limit": quota.limit or 0,
                "wanted": wanted,
                "least": least,
                "share": domain.SHARE,
                "now": now,
                "expire_time": lease.expire_time,
                "leases": leases,
            },
        )
    ).one()
    return Taken(row.taken, row.outstanding, row.carried, row.granted)


async def counter(
    tx: AsyncConnection, entitlement_id: str, action: str, window_start: datetime, *, lock: bool = False
) -> Counter | None:
    stmt = select(counters).where(
        counters.c.entitlement_id == entitlement_id,
        counters.c.action == action,
        counters.c.window_start == window_start,
    )
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    return _counter(row) if row is not None else None


def _counter(row: Row[Any]) -> Counter:
    return Counter(
        row.entitlement_id,
        row.action,
        row.window_start,
        row.window_end,
        row.taken,
        row.outstanding,
        row.carried,
        row.holders,
    )


async def recall(tx: AsyncConnection, key: Key, solution_id: str, now: datetime, but: str = "") -> None:
    """Asks for what others hold of a counter; the answer comes with their next settlement.

    but: the lease that it is for. Nobody is asked again within a second.
    """
    entitlement_id, action, window_start = key
    await tx.execute(
        _RECALL,
        {
            "entitlement_id": entitlement_id,
            "action": action,
            "window_start": window_start,
            "but": but or None,
            "now": now,
            "before": now - timedelta(seconds=1),
            "channel": RECALL_CHANNEL,
            "solution_id": solution_id,
        },
    )


_RECALL = text("""
    WITH asked AS (
        UPDATE leases SET recall_time = :now
        WHERE id IN (
            SELECT id FROM leases
            WHERE entitlement_id = :entitlement_id AND action = :action AND window_start = :window_start
                AND NOT expired AND id IS DISTINCT FROM CAST(:but AS uuid) AND units > spent
                AND (recall_time IS NULL OR recall_time < :before)
            ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED
        )
        RETURNING id
    )
    SELECT pg_notify(:channel, :solution_id || ' ' || string_agg(CAST(id AS text), ' ')) FROM asked HAVING count(*) > 0
""")


@dataclass(frozen=True, slots=True)
class Held:
    """A lease with its counter, locked; tier and status are its entitlement's, None where there is no such row."""

    lease: Lease
    counter: Counter
    tier: str | None
    status: str | None


async def lock(tx: AsyncConnection, lease_ids: Collection[str]) -> dict[str, Held]:
    """By the lease's id; leases that are gone are missing. Leases of one counter share it."""
    rows = (await tx.execute(_LOCK, {"ids": list(lease_ids)})).all()
    return _held(rows)


async def lock_overdue(tx: AsyncConnection, now: datetime, at_most: int) -> dict[str, Held]:
    """Leases whose holders went silent; those that somebody is settling are left alone."""
    rows = (await tx.execute(_LOCK_OVERDUE, {"now": now, "at_most": at_most})).all()
    return _held(rows)


def _held(rows: Sequence[Row[Any]]) -> dict[str, Held]:
    known: dict[Key, Counter] = {}
    held = {}
    for row in rows:
        lease = Lease(
            row.id,
            row.entitlement_id,
            row.action,
            row.window_start,
            row.solution_id,
            row.units,
            row.spent,
            row.expired,
            row.expire_time,
            row.lost_date or "",
        )
        counter = known.setdefault((row.entitlement_id, row.action, row.window_start), _counter(row))
        held[lease.id] = Held(lease, counter, row.tier, row.status)
    return held


_LEASE_COLUMNS = """CAST(l.id AS text) AS id, CAST(l.entitlement_id AS text) AS entitlement_id, l.action,
        l.window_start, l.solution_id, l.units, l.spent, l.expired, l.expire_time,
        CAST(l.lost_date AS text) AS lost_date, c.window_end, c.taken, c.outstanding, c.carried,
        c.holders, e.tier, e.status"""
_WITH_COUNTER = """JOIN counters c USING (entitlement_id, action, window_start)
    LEFT JOIN entitlements e ON e.id = l.entitlement_id"""

# What is locked is what is read: a second look at the table would see the row as it was when the statement began, and
# the counter as it is.
_LOCK = text(f"""
    WITH l AS (
        SELECT * FROM leases WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE
    )
    SELECT {_LEASE_COLUMNS}
    FROM l {_WITH_COUNTER}
    ORDER BY c.entitlement_id, c.action, c.window_start
    FOR UPDATE OF c
""")

_LOCK_OVERDUE = text(f"""
    WITH l AS (
        SELECT * FROM leases WHERE NOT expired AND expire_time < :now
        ORDER BY expire_time LIMIT :at_most FOR UPDATE SKIP LOCKED
    )
    SELECT {_LEASE_COLUMNS}
    FROM l {_WITH_COUNTER}
    ORDER BY c.entitlement_id, c.action, c.window_start
    FOR UPDATE OF c
""")


async def save(tx: AsyncConnection, held: Iterable[Held], gone: Collection[str]) -> None:
    """Writes what became of leases and their counters. gone: ids of leases that are over and accounted for."""
    kept = list(held)
    if not kept:
        return
    by_key = {(each.lease.entitlement_id, each.lease.action, each.lease.window_start): each.counter for each in kept}
    leases = [
        {
            "id": each.lease.id,
            "units": each.lease.units,
            "spent": each.lease.spent,
            "expired": each.lease.expired,
            "expire_time": each.lease.expire_time.isoformat(),
            "lost_date": each.lease.lost_date or None,
        }
        for each in kept
        if each.lease.id not in gone
    ]
    changed = [
        {
            "entitlement_id": counter.entitlement_id,
            "action": counter.action,
            "window_start": counter.window_start.isoformat(),
            "taken": counter.taken,
            "outstanding": counter.outstanding,
            "holders": counter.holders,
        }
        for counter in by_key.values()
    ]
    await tx.execute(_SAVE, {"leases": json.dumps(leases), "counters": json.dumps(changed), "gone": list(gone)})


_SAVE = text("""
    WITH kept AS (
        UPDATE leases l SET units = n.units, spent = n.spent, expired = n.expired, expire_time = n.expire_time,
            lost_date = n.lost_date
        FROM jsonb_to_recordset(CAST(:leases AS jsonb)) AS n (id uuid, units bigint, spent bigint, expired boolean,
            expire_time timestamptz, lost_date date)
        WHERE l.id = n.id
    ), deleted AS (
        DELETE FROM leases WHERE id = ANY(CAST(:gone AS uuid[]))
    )
    UPDATE counters c SET taken = n.taken, outstanding = n.outstanding, holders = n.holders
    FROM jsonb_to_recordset(CAST(:counters AS jsonb)) AS n (entitlement_id uuid, action text, window_start timestamptz,
        taken bigint, outstanding bigint, holders bigint)
    WHERE c.entitlement_id = n.entitlement_id AND c.action = n.action AND c.window_start = n.window_start
""")


@dataclass(frozen=True, slots=True)
class Run:
    """A row of the log to be; the date is the solution calendar's. quota_limit: of the period, for usage."""

    id: str
    first_time: datetime
    last_time: datetime
    date: str
    solution_id: str
    token_kid: str
    user_id: str
    entitlement_id: str
    tier: str
    action: str
    code: str
    allowed: bool
    cost: int
    count: int
    revision: int
    lease_id: str
    quota_limit: int | None


@dataclass(frozen=True, slots=True)
class New:
    """A run that was not known before."""

    id: str
    lease_id: str
    units: int
    allowed: bool


async def log(tx: AsyncConnection, runs: Sequence[Run], validator: str, now: datetime) -> list[New]:
    """Writes runs, the usage that they sum up to, and the tokens' last use; says which of them were new."""
    if not runs:
        return []
    given = [
        {
            "id": run.id,
            "first_time": run.first_time.isoformat(),
            "last_time": run.last_time.isoformat(),
            "date": run.date,
            "solution_id": run.solution_id,
            "token_kid": run.token_kid,
            "user_id": run.user_id or None,
            "entitlement_id": run.entitlement_id or None,
            "tier": run.tier,
            "action": run.action,
            "code": run.code,
            "allowed": run.allowed,
            "cost": run.cost,
            "count": run.count,
            "revision": run.revision,
            "lease_id": run.lease_id or None,
            "quota_limit": run.quota_limit,
        }
        for run in runs
    ]
    rows = await tx.execute(_LOG, {"runs": json.dumps(given), "validator": validator, "now": now})
    return [New(row.id, row.lease_id or "", row.units, row.allowed) for row in rows]


_LOG = text("""
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(CAST(:runs AS jsonb)) AS r (id uuid, first_time timestamptz,
            last_time timestamptz, date date, solution_id text, token_kid text, user_id uuid, entitlement_id uuid,
            tier text, action text, code text, allowed boolean, cost bigint, count bigint, revision bigint,
            lease_id uuid, quota_limit bigint)
    ), written AS (
        INSERT INTO decisions (first_time, id, create_time, last_time, token_kid, user_id, solution_id, entitlement_id,
            tier, action, code, cost, count, validator, revision, lease_id)
        SELECT first_time, id, :now, last_time, token_kid, user_id, solution_id, entitlement_id, tier, action, code,
            cost, count, :validator, revision, lease_id
        FROM given
        ON CONFLICT (first_time, id) DO NOTHING
        RETURNING id
    ), new AS (
        SELECT given.* FROM given JOIN written USING (id)
    ), used AS (
        INSERT INTO usage_days AS u (solution_id, entitlement_id, action, date, user_id, used_units, allowed_count,
            denied_count, last_request_time, quota_limit)
        SELECT solution_id, entitlement_id, action, date, (array_agg(user_id))[1],
            coalesce(sum(cost * count) FILTER (WHERE allowed), 0), coalesce(sum(count) FILTER (WHERE allowed), 0),
            coalesce(sum(count) FILTER (WHERE NOT allowed), 0), max(last_time), max(quota_limit)
        FROM new WHERE entitlement_id IS NOT NULL
        GROUP BY solution_id, entitlement_id, action, date
        ORDER BY entitlement_id, date, action, solution_id
        ON CONFLICT (entitlement_id, date, action, solution_id) DO UPDATE SET
            used_units = u.used_units + excluded.used_units,
            allowed_count = u.allowed_count + excluded.allowed_count,
            denied_count = u.denied_count + excluded.denied_count,
            last_request_time = GREATEST(u.last_request_time, excluded.last_request_time),
            quota_limit = coalesce(excluded.quota_limit, u.quota_limit)
    ), seen AS (
        UPDATE tokens t SET last_use_time = n.last_time
        FROM (
            SELECT token_kid, solution_id, max(last_time) AS last_time FROM new
            WHERE allowed AND token_kid <> '' GROUP BY token_kid, solution_id ORDER BY token_kid
        ) AS n
        WHERE t.kid = n.token_kid AND t.solution_id = n.solution_id
            AND (t.last_use_time IS NULL OR t.last_use_time < n.last_time - interval '1 minute')
    )
    SELECT CAST(id AS text) AS id, CAST(lease_id AS text) AS lease_id, cost * count AS units, allowed FROM new
""")


async def count(tx: AsyncConnection, entitlement_id: str, action: str, window: Window, units: int) -> None:
    """Counts units that no lease was taken for: allowed while the control plane was away."""
    await tx.execute(
        _COUNT,
        {
            "entitlement_id": entitlement_id,
            "action": action,
            "window_start": window.start,
            "window_end": window.end,
            "units": units,
        },
    )


_COUNT = text("""
    INSERT INTO counters AS c (entitlement_id, action, window_start, window_end, taken, outstanding, holders, granted)
    VALUES (:entitlement_id, :action, :window_start, :window_end, :units, 0, 0, 0)
    ON CONFLICT (entitlement_id, action, window_start) DO UPDATE SET taken = c.taken + excluded.taken
""")


async def lose(tx: AsyncConnection, lost: Iterable[tuple[str, str, str, str, int]]) -> None:
    """Adds to what was lost: (solution, entitlement, action, date, units); found again when negative."""
    rows = [
        {"solution_id": solution, "entitlement_id": entitlement, "action": action, "date": date, "units": units}
        for solution, entitlement, action, date, units in lost
        if units
    ]
    if rows:
        await tx.execute(_LOSE, {"rows": json.dumps(rows)})


_LOSE = text("""
    INSERT INTO usage_days AS u (solution_id, entitlement_id, action, date, user_id, lost_units)
    SELECT r.solution_id, r.entitlement_id, r.action, r.date,
        (SELECT user_id FROM entitlements WHERE id = r.entitlement_id), sum(r.units)
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (solution_id text, entitlement_id uuid, action text, date date,
        units bigint)
    GROUP BY r.solution_id, r.entitlement_id, r.action, r.date
    ORDER BY r.entitlement_id, r.date, r.action, r.solution_id
    ON CONFLICT (entitlement_id, date, action, solution_id) DO UPDATE SET
        lost_units = GREATEST(0, u.lost_units + excluded.lost_units)
""")


async def add_reservation(tx: AsyncConnection, reservation: Reservation) -> None:
    await tx.execute(
        reservations.insert().values(
            id=reservation.id,
            entitlement_id=reservation.entitlement_id,
            action=reservation.action,
            quota_action=reservation.quota_action,
            window_start=reservation.window_start,
            solution_id=reservation.solution_id,
            user_id=reservation.user_id or None,
            token_kid=reservation.token_kid,
            tier=reservation.tier,
            validator=reservation.validator,
            units=reservation.units,
            state=reservation.state,
            create_time=reservation.create_time,
            expire_time=reservation.expire_time,
        )
    )


async def get_reservation(tx: AsyncConnection, reservation_id: str, solution_id: str | None) -> Reservation:
    """Locked. solution_id: whose it must be; another's is not there."""
    stmt = select(reservations).where(reservations.c.id == reservation_id).with_for_update()
    row = (await tx.execute(stmt)).one_or_none()
    if row is None or solution_id not in (None, row.solution_id):
        raise domain.reservation_not_found(reservation_id)
    return _reservation(row)


async def overdue_reservations(tx: AsyncConnection, now: datetime, at_most: int) -> list[Reservation]:
    stmt = (
        select(reservations)
        .where(reservations.c.state == "OPEN", reservations.c.expire_time <= now)
        .order_by(reservations.c.expire_time)
        .limit(at_most)
        .with_for_update(skip_locked=True)
    )
    return [_reservation(row) for row in (await tx.execute(stmt)).all()]


def _reservation(row: Row[Any]) -> Reservation:
    return Reservation(
        id=row.id,
        entitlement_id=row.entitlement_id,
        action=row.action,
        quota_action=row.quota_action,
        window_start=row.window_start,
        solution_id=row.solution_id,
        user_id=row.user_id or "",
        token_kid=row.token_kid,
        tier=row.tier,
        validator=row.validator,
        units=row.units,
        state=row.state,
        create_time=row.create_time,
        expire_time=row.expire_time,
        spent=row.spent,
        short=row.short,
    )


async def end_reservation(
    tx: AsyncConnection, reservation: Reservation, state: str, spent: int, short: int, now: datetime
) -> None:
    await tx.execute(
        reservations.update()
        .where(reservations.c.id == reservation.id)
        .values(state=state, spent=spent, short=short, end_time=now)
    )


async def save_counter(tx: AsyncConnection, changed: Counter) -> None:
    await tx.execute(
        counters.update()
        .where(
            counters.c.entitlement_id == changed.entitlement_id,
            counters.c.action == changed.action,
            counters.c.window_start == changed.window_start,
        )
        .values(taken=changed.taken, outstanding=changed.outstanding)
    )


async def list_usage(
    tx: AsyncConnection, where: Sequence[ColumnElement[bool]], by: Sequence[ColumnElement[Any]], limit: int
) -> Sequence[Row[Any]]:
    return (await tx.execute(select(usage_days).where(*where).order_by(*by).limit(limit))).all()


async def list_decisions(
    tx: AsyncConnection, where: Sequence[ColumnElement[bool]], by: Sequence[ColumnElement[Any]], limit: int
) -> Sequence[Row[Any]]:
    return (await tx.execute(select(decisions).where(*where).order_by(*by).limit(limit))).all()


async def find_decision(tx: AsyncConnection, run_id: str) -> Row[Any] | None:
    return (await tx.execute(select(decisions).where(decisions.c.id == run_id).limit(1))).one_or_none()


async def keep_partitions(tx: AsyncConnection, today: datetime, ahead: int, kept: int) -> int:
    """Makes the log's partitions of the next days and drops those older than `kept` days; the steward's to do."""
    stmt = text("SELECT partitions.keep_decisions(:today, :ahead, :kept)")
    return int((await tx.execute(stmt, {"today": today.date(), "ahead": ahead, "kept": kept})).scalar_one())


async def clean(tx: AsyncConnection, now: datetime, at_most: int = 10_000) -> int:
    """Forgets counters of periods long past, and leases and reservations that ended long ago; the steward's to do."""
    rows = await tx.execute(_CLEAN, {"ended": now - KEPT, "at_most": at_most})
    return int(rows.scalar_one())


# The period before a month's may still be asked for what it left over.
KEPT = timedelta(days=70)

_CLEAN = text("""
    WITH old AS (
        DELETE FROM counters WHERE (entitlement_id, action, window_start) IN (
            SELECT entitlement_id, action, window_start FROM counters WHERE window_end < :ended LIMIT :at_most
        ) RETURNING 1
    ), silent AS (
        DELETE FROM leases WHERE id IN (SELECT id FROM leases WHERE expired AND expire_time < :ended LIMIT :at_most)
        RETURNING 1
    ), ended AS (
        DELETE FROM reservations WHERE id IN (SELECT id FROM reservations WHERE end_time < :ended LIMIT :at_most)
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM old) + (SELECT count(*) FROM silent) + (SELECT count(*) FROM ended)
""")
