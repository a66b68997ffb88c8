"""Webhooks in PostgreSQL. Every function runs in the caller's transaction, whose tenant the row policies enforce; the
last ones run in the steward's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime import paging
from shared.runtime.errors import NotFound, ResourceExhausted, stale
from shared.runtime.paging import Ordering, Value
from shared.webhooks import domain
from shared.webhooks.domain import Answer, Attempt, Delivery, Endpoint, Outcome, State, Verdict
from shared.webhooks.tables import attempts, deliveries, endpoints, events, subscriptions

ATTEMPTS_SHOWN = 100

_DELIVERY = (
    deliveries.c.id,
    deliveries.c.endpoint_id,
    deliveries.c.event_id,
    deliveries.c.event_type,
    deliveries.c.event_time,
    deliveries.c.state,
    deliveries.c.attempt_count,
    deliveries.c.next_attempt_time,
    deliveries.c.expire_time,
    deliveries.c.end_time,
    deliveries.c.last_error,
    deliveries.c.create_time,
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """An endpoint's secrets as they are stored."""

    secret: bytes
    old_secret: bytes | None = None


# Endpoints


async def add(tx: AsyncConnection, tenant_id: str, endpoint: Endpoint, secret: bytes) -> None:
    """ResourceExhausted ENDPOINT_LIMIT_REACHED."""
    # One at a time a tenant: two that count at once would both find room.
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('webhook_endpoints'), hashtext(:t))"), {"t": tenant_id}
    )
    mine = (endpoints.c.tenant_id == tenant_id) & (endpoints.c.state != State.DELETED)
    count = (await tx.execute(select(func.count()).select_from(endpoints).where(mine))).scalar_one()
    if count >= domain.ENDPOINTS_AT_MOST:
        raise ResourceExhausted("ENDPOINT_LIMIT_REACHED", f"a tenant has at most {domain.ENDPOINTS_AT_MOST} endpoints")
    await tx.execute(
        insert(endpoints).values(
            tenant_id=tenant_id, id=endpoint.id, secret=secret, create_time=endpoint.create_time, **_changing(endpoint)
        )
    )
    await _subscribe(tx, tenant_id, endpoint)


async def get(tx: AsyncConnection, tenant_id: str, endpoint_id: str, *, lock: bool = False) -> tuple[Endpoint, Sealed]:
    mine = (endpoints.c.tenant_id == tenant_id) & (endpoints.c.state != State.DELETED)
    stmt = select(endpoints, _types(tenant_id)).where(mine, endpoints.c.id == endpoint_id)
    row = (await tx.execute(stmt.with_for_update(of=endpoints) if lock else stmt)).one_or_none()
    if row is None:
        raise NotFound("ENDPOINT_NOT_FOUND", f"no webhook endpoint {endpoint_id} here", id=endpoint_id)
    return _endpoint(row), Sealed(row.secret, row.old_secret)


async def page(
    tx: AsyncConnection, tenant_id: str, ordering: Ordering, cursor: Sequence[Value] | None, size: int
) -> tuple[list[Endpoint], list[Value] | None]:
    mine = (endpoints.c.tenant_id == tenant_id) & (endpoints.c.state != State.DELETED)
    found = select(endpoints, _types(tenant_id)).where(mine)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_endpoint(row) for row in rows], following


async def save(tx: AsyncConnection, tenant_id: str, after: Endpoint, sealed: Sealed | None = None) -> None:
    """Writes over the version just before it, and the secrets if they are given. Aborted ETAG_MISMATCH."""
    values = _changing(after)
    if sealed is not None:
        values |= {"secret": sealed.secret, "old_secret": sealed.old_secret}
    before = (endpoints.c.tenant_id == tenant_id) & (endpoints.c.id == after.id)
    saved = await tx.execute(update(endpoints).where(before, endpoints.c.version == after.version - 1).values(**values))
    if saved.rowcount != 1:
        raise stale("endpoint", after.id)


async def resubscribe(tx: AsyncConnection, tenant_id: str, endpoint: Endpoint, *, anew: bool = False) -> None:
    """Makes the subscriptions those of the endpoint. What it wanted before it goes on to want from the same time on,
    unless `anew`."""
    mine = (subscriptions.c.tenant_id == tenant_id) & (subscriptions.c.endpoint_id == endpoint.id)
    gone = mine if anew else mine & subscriptions.c.event_type.not_in(endpoint.event_types)
    await tx.execute(delete(subscriptions).where(gone))
    await _subscribe(tx, tenant_id, endpoint)


async def _subscribe(tx: AsyncConnection, tenant_id: str, endpoint: Endpoint) -> None:
    # The database's own time: events have it, too.
    rows = [
        {"tenant_id": tenant_id, "endpoint_id": endpoint.id, "event_type": each, "since": func.now()}
        for each in endpoint.event_types
    ]
    if rows:
        await tx.execute(upsert(subscriptions).values(rows).on_conflict_do_nothing())


def _types(tenant_id: str) -> ColumnElement[Any]:
    wanted = select(func.array_agg(subscriptions.c.event_type)).where(
        subscriptions.c.tenant_id == tenant_id, subscriptions.c.endpoint_id == endpoints.c.id
    )
    return wanted.scalar_subquery().label("event_types")


def _changing(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "url": endpoint.url,
        "description": endpoint.description,
        "state": endpoint.state,
        "disable_reason": endpoint.disable_reason,
        "disable_time": endpoint.disable_time,
        "failing_since": endpoint.failing_since,
        "old_secret_expire_time": endpoint.old_secret_expire_time,
        "version": endpoint.version,
        "update_time": endpoint.update_time,
    }


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(
        id=row.id,
        url=row.url,
        event_types=tuple(sorted(row.event_types or ())),
        description=row.description,
        create_time=row.create_time,
        update_time=row.update_time,
        state=State(row.state),
        disable_reason=row.disable_reason,
        disable_time=row.disable_time,
        failing_since=row.failing_since,
        old_secret_expire_time=row.old_secret_expire_time,
        version=row.version,
    )


# Deliveries


async def deliver(tx: AsyncConnection, tenant_id: str, delivery: Delivery, *, aggregate: str, payload: str) -> None:
    """Adds an event of the endpoint's own, such as a ping."""
    await tx.execute(insert(events).values(tenant_id=tenant_id, id=delivery.event_id, payload=payload))
    values = {column.name: getattr(delivery, column.name) for column in _DELIVERY}
    await tx.execute(insert(deliveries).values(tenant_id=tenant_id, aggregate=aggregate, sequence=0, **values))


async def delivery(tx: AsyncConnection, tenant_id: str, delivery_id: str, *, lock: bool = False) -> Delivery:
    stmt = select(*_DELIVERY).where(deliveries.c.tenant_id == tenant_id, deliveries.c.id == delivery_id)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    if row is None:
        raise NotFound("DELIVERY_NOT_FOUND", f"no webhook delivery {delivery_id} here", id=delivery_id)
    return _delivery(row)


async def attempts_of(tx: AsyncConnection, tenant_id: str, delivery_id: str) -> list[Attempt]:
    """The newest, in their order."""
    mine = (attempts.c.tenant_id == tenant_id) & (attempts.c.delivery_id == delivery_id)
    stmt = select(attempts).where(mine).order_by(attempts.c.number.desc()).limit(ATTEMPTS_SHOWN)
    return [
        Attempt(row.number, row.start_time, row.latency_ms, row.status, row.answer, row.error)
        for row in reversed((await tx.execute(stmt)).all())
    ]


async def payload(tx: AsyncConnection, tenant_id: str, event_id: str) -> str:
    stmt = select(events.c.payload).where(events.c.tenant_id == tenant_id, events.c.id == event_id)
    return str((await tx.execute(stmt)).scalar_one())


async def deliveries_page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Delivery], list[Value] | None]:
    """A page of deliveries, and the cursor of the next one if there is more."""
    found = select(*_DELIVERY).where(deliveries.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_delivery(row) for row in rows], following


async def send_again(
    tx: AsyncConnection, tenant_id: str, delivery_ids: Sequence[str], now: datetime, expire_time: datetime
) -> None:
    """What is over begins anew."""
    mine = (deliveries.c.tenant_id == tenant_id) & deliveries.c.id.in_(delivery_ids)
    await tx.execute(
        update(deliveries)
        .where(mine)
        .values(state=Outcome.PENDING, next_attempt_time=now, expire_time=expire_time, end_time=None)
    )


def _delivery(row: Any) -> Delivery:
    return Delivery(**{column.name: getattr(row, column.name) for column in _DELIVERY} | {"state": Outcome(row.state)})


# Fan-out

_FAN_OUT = text(
    """
    SELECT fan_out_webhook(
        CAST(:tenant_id AS uuid), CAST(:id AS uuid), :type, CAST(:patterns AS text[]), CAST(:time AS timestamptz),
        :aggregate, :sequence, :payload, CAST(:expire_time AS timestamptz), :once_more
    )
    """
)


async def fan_out(tx: AsyncConnection, event: Mapping[str, Any], *, once_more: bool = False) -> bool:
    """Gives an event to each endpoint that wants it and has not got it, and makes the transaction its tenant's.

    False: the tenant is closed. Unless this is `once_more`, it is noted down that its events have to be read again.
    """
    return bool((await tx.execute(_FAN_OUT, {**event, "once_more": once_more})).scalar_one())


async def wanted_since(tx: AsyncConnection, tenant_id: str) -> datetime | None:
    """From when on something is wanted; None for nothing."""
    stmt = select(func.min(subscriptions.c.since)).where(subscriptions.c.tenant_id == tenant_id)
    found: datetime | None = (await tx.execute(stmt)).scalar_one()
    return found


# Delivering


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is this process's to try. attempt: the number of the try."""

    id: str
    event_id: str
    attempt: int
    expire_time: datetime
    payload: str


@dataclass(frozen=True, slots=True)
class Tried:
    claimed: Claimed
    start_time: datetime
    answer: Answer
    verdict: Verdict
    end_time: datetime


async def due(steward: AsyncConnection, now: datetime) -> list[tuple[str, str]]:
    """(tenant, endpoint) of each endpoint with something that may be due."""
    stmt = text("SELECT tenant_id::text, endpoint_id::text FROM due_webhooks(CAST(:now AS timestamptz))")
    return [(row.tenant_id, row.endpoint_id) for row in await steward.execute(stmt, {"now": now})]


# The first of each aggregate that still waits is the only one that may go. Of many that are due a few are looked at;
# whatever hides the others is pushed back by hold().
#
# The planner is left no choice that its statistics could mislead, as those of a table that has just filled up do: each
# step is materialized or LATERAL with a LIMIT, and only one of the partial indexes fits each (see tables.py). For that
# what is due is asked for by its time alone; it has one only while it is PENDING.
_DUE = """
    SELECT d.ctid AS place, d.id, d.aggregate, d.next_attempt_time FROM webhook_deliveries d
    WHERE d.tenant_id = CAST(:tenant_id AS uuid) AND d.endpoint_id = CAST(:endpoint_id AS uuid)
        AND d.next_attempt_time <= :now
    ORDER BY d.next_attempt_time LIMIT 200
"""
_FIRST = """
    SELECT f.ctid AS place, f.id, f.next_attempt_time, f.attempt_count FROM webhook_deliveries f
    WHERE f.tenant_id = CAST(:tenant_id AS uuid) AND f.endpoint_id = {endpoint_id}
        AND f.state = 'PENDING' AND f.aggregate = {of}.aggregate
    ORDER BY f.sequence, f.id LIMIT 1
"""
_FIRST_HERE = _FIRST.format(endpoint_id="CAST(:endpoint_id AS uuid)", of="a")

# Who finds a row changed that it waited for leaves it: a claim, a try's end and a hold all change the time.
_CLAIM = text(
    f"""
    WITH due AS MATERIALIZED ({_DUE}), waiting AS MATERIALIZED (
        SELECT aggregate FROM due GROUP BY aggregate ORDER BY min(next_attempt_time)
    ), first AS MATERIALIZED (
        SELECT f.place, f.next_attempt_time FROM waiting a CROSS JOIN LATERAL ({_FIRST_HERE}) f
        WHERE f.next_attempt_time <= :now LIMIT :at_most
    ), claimed AS (
        UPDATE webhook_deliveries d SET attempt_count = d.attempt_count + 1, next_attempt_time = :until
        FROM first
        WHERE d.tenant_id = CAST(:tenant_id AS uuid) AND d.ctid = first.place
            AND d.next_attempt_time IS NOT DISTINCT FROM first.next_attempt_time
        RETURNING d.id, d.event_id, d.attempt_count, d.expire_time
    )
    SELECT c.id::text, c.event_id::text, c.attempt_count, c.expire_time, (
        SELECT e.payload FROM webhook_events e WHERE e.tenant_id = CAST(:tenant_id AS uuid) AND e.id = c.event_id
    ) AS payload
    FROM claimed c
    """
)

# What waits behind one that failed looks due and is not. It is looked at again soon: whoever lets it go need not know.
_HOLD = text(
    f"""
    WITH due AS MATERIALIZED ({_DUE}), behind AS MATERIALIZED (
        SELECT a.place, a.next_attempt_time, LEAST(f.next_attempt_time, CAST(:look AS timestamptz)) AS until
        FROM due a CROSS JOIN LATERAL ({_FIRST_HERE}) f
        WHERE f.id <> a.id AND f.next_attempt_time > :now
    )
    UPDATE webhook_deliveries d SET next_attempt_time = behind.until
    FROM behind
    WHERE d.tenant_id = CAST(:tenant_id AS uuid) AND d.ctid = behind.place
        AND d.next_attempt_time IS NOT DISTINCT FROM behind.next_attempt_time
    """
)

# A row is looked for by id >=, in order, which is the primary key's alone; id = fits each index of a tenant's rows.
_RECORD = text(
    """
    WITH tried AS (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:numbers AS bigint[]), CAST(:starts AS timestamptz[]),
            CAST(:latencies AS bigint[]), CAST(:statuses AS bigint[]), CAST(:answers AS text[]),
            CAST(:errors AS text[]), CAST(:states AS text[]), CAST(:nexts AS timestamptz[]),
            CAST(:ends AS timestamptz[])
        ) t (id, number, start_time, latency_ms, status, answer, error, state, next_attempt_time, end_time)
    ), mine AS MATERIALIZED (
        SELECT t.*, o.place FROM tried t CROSS JOIN LATERAL (
            SELECT d.ctid AS place, d.id FROM webhook_deliveries d
            WHERE d.tenant_id = CAST(:tenant_id AS uuid) AND d.id >= t.id ORDER BY d.id LIMIT 1
        ) o WHERE o.id = t.id
    ), changed AS (
        UPDATE webhook_deliveries d
        SET state = t.state, next_attempt_time = t.next_attempt_time, last_error = t.error,
            end_time = CASE WHEN t.state = 'PENDING' THEN NULL ELSE t.end_time END
        FROM mine t
        WHERE d.tenant_id = CAST(:tenant_id AS uuid) AND d.ctid = t.place
            AND d.attempt_count = t.number AND d.end_time IS NULL
        RETURNING d.id
    )
    INSERT INTO webhook_attempts (tenant_id, delivery_id, number, start_time, latency_ms, status, answer, error)
    SELECT CAST(:tenant_id AS uuid), t.id, t.number, t.start_time, t.latency_ms, t.status, t.answer, t.error
    FROM tried t ON CONFLICT DO NOTHING
    """
)

# The next one behind each that is over may have been pushed back; it gets the place that it had.
_RELEASE = text(
    f"""
    WITH over AS MATERIALIZED (
        SELECT o.endpoint_id, o.aggregate FROM unnest(CAST(:ids AS uuid[])) t (id) CROSS JOIN LATERAL (
            SELECT d.id, d.endpoint_id, d.aggregate FROM webhook_deliveries d
            WHERE d.tenant_id = CAST(:tenant_id AS uuid) AND d.id >= t.id ORDER BY d.id LIMIT 1
        ) o WHERE o.id = t.id
    ), following AS MATERIALIZED (
        SELECT f.place, f.next_attempt_time
        FROM over a CROSS JOIN LATERAL ({_FIRST.format(endpoint_id="a.endpoint_id", of="a")}) f
        WHERE f.next_attempt_time > :now AND f.attempt_count = 0
    )
    UPDATE webhook_deliveries d SET next_attempt_time = LEAST(d.create_time, :now)
    FROM following
    WHERE d.tenant_id = CAST(:tenant_id AS uuid) AND d.ctid = following.place
        AND d.next_attempt_time IS NOT DISTINCT FROM following.next_attempt_time
    """
)


async def claim(
    tx: AsyncConnection, tenant_id: str, endpoint_id: str, *, now: datetime, until: datetime, at_most: int
) -> list[Claimed]:
    """Takes deliveries that are due, one of each aggregate; they are nobody else's until `until`."""
    key = {"tenant_id": tenant_id, "endpoint_id": endpoint_id}
    rows = await tx.execute(_CLAIM, {**key, "now": now, "until": until, "at_most": at_most})
    return [Claimed(row.id, row.event_id, row.attempt_count, row.expire_time, row.payload) for row in rows]


async def hold(tx: AsyncConnection, tenant_id: str, endpoint_id: str, *, now: datetime, look: datetime) -> int:
    """Lets some of what waits behind another wait; how many."""
    key = {"tenant_id": tenant_id, "endpoint_id": endpoint_id}
    return (await tx.execute(_HOLD, {**key, "now": now, "look": look})).rowcount


async def record(tx: AsyncConnection, tenant_id: str, tried: Sequence[Tried], now: datetime) -> None:
    """Writes down what became of tries; one that somebody else has taken over meanwhile is only an attempt more."""
    await tx.execute(
        _RECORD,
        {
            "tenant_id": tenant_id,
            "ids": [each.claimed.id for each in tried],
            "numbers": [each.claimed.attempt for each in tried],
            "starts": [each.start_time for each in tried],
            "latencies": [round(each.answer.latency_s * 1000) for each in tried],
            "statuses": [each.answer.status for each in tried],
            "answers": [each.answer.body for each in tried],
            "errors": [each.answer.error for each in tried],
            "states": [each.verdict.state.value for each in tried],
            "nexts": [each.verdict.next_attempt_time for each in tried],
            "ends": [each.end_time for each in tried],
        },
    )
    if over := [each.claimed.id for each in tried if each.verdict.state is not Outcome.PENDING]:
        await tx.execute(_RELEASE, {"tenant_id": tenant_id, "ids": over, "now": now})


async def fails_since(tx: AsyncConnection, tenant_id: str, endpoint_id: str, since: datetime | None) -> None:
    """Notes the first failure, or with None that it answers again; nothing where that is known."""
    mine = (endpoints.c.tenant_id == tenant_id) & (endpoints.c.id == endpoint_id)
    known = endpoints.c.failing_since.is_not(None) if since is None else endpoints.c.failing_since.is_(None)
    await tx.execute(update(endpoints).where(mine, known).values(failing_since=since))


async def forget(steward: AsyncConnection, before: datetime, at_most: int) -> int:
    """Deletes events with their deliveries that are older, whatever became of them, and says how many."""
    stmt = text("SELECT forget_webhooks(CAST(:before AS timestamptz), :at_most)")
    return int((await steward.execute(stmt, {"before": before, "at_most": at_most})).scalar_one())
