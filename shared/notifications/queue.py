"""Notifications in PostgreSQL, as a queue: claimed for a while, ended or given back, in the caller's transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.notifications import domain
from shared.notifications.domain import Attempt, Channel, Notification, Outcome, State
from shared.notifications.tables import attempts, notifications, paces
from shared.notifications.vault import Vault
from shared.runtime import paging
from shared.runtime.errors import NotFound
from shared.runtime.paging import Ordering, Value

REPLAYED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of one try. again: when it is tried once more, if it is."""

    notification: Notification
    outcome: Outcome
    begin_time: datetime
    end_time: datetime
    error: str = ""
    template_version: int = 0
    provider_id: str = ""
    again: datetime | None = None
    # Not sent, because nobody wants it; no try was made.
    unwanted: bool = False
    # The address, when the server says that there is none such.
    bounced: str = field(default="", repr=False)

    @property
    def state(self) -> State:
        if self.unwanted:
            return State.SUPPRESSED
        if self.outcome is Outcome.SENT:
            return State.SENT
        return State.PENDING if self.again is not None else State.FAILED


async def add(tx: AsyncConnection, tenant_id: str, new: Notification) -> bool:
    """False: a notification of that dedup_key, template, channel and recipient is there already."""
    stmt = insert(notifications).values(tenant_id=tenant_id, **_values(new))
    stmt = stmt.on_conflict_do_nothing(
        index_elements=["tenant_id", "dedup_key", "template", "channel", "recipient_hash"]
    )
    return (await tx.execute(stmt.returning(notifications.c.id))).one_or_none() is not None


async def same(tx: AsyncConnection, tenant_id: str, as_: Notification) -> Notification:
    """The notification that was there before `as_`."""
    c = notifications.c
    stmt = select(notifications).where(
        c.tenant_id == tenant_id,
        c.dedup_key == as_.dedup_key,
        c.template == as_.template,
        c.channel == as_.channel,
        c.recipient_hash == as_.recipient_hash,
    )
    return _notification((await tx.execute(stmt)).one())


async def get(tx: AsyncConnection, tenant_id: str, id: str, *, lock: bool = False) -> Notification:
    """NotFound NOTIFICATION_NOT_FOUND."""
    stmt = select(notifications).where(notifications.c.tenant_id == tenant_id, notifications.c.id == id)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    if row is None:
        raise NotFound("NOTIFICATION_NOT_FOUND", f"no notification {id}", id=id)
    return _notification(row)


async def page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Notification], list[Value] | None]:
    found = select(notifications).where(notifications.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_notification(row) for row in rows], following


async def attempt_page(
    tx: AsyncConnection, tenant_id: str, id: str, ordering: Ordering, cursor: Sequence[Value] | None, size: int
) -> tuple[list[Attempt], list[Value] | None]:
    found = select(attempts).where(attempts.c.tenant_id == tenant_id, attempts.c.notification_id == id)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [
        Attempt(r.number, r.begin_time, r.end_time, Outcome(r.outcome), r.error, r.template_version) for r in rows
    ], following


async def replay(tx: AsyncConnection, tenant_id: str, condition: ColumnElement[bool], now: datetime) -> int:
    """Sends what has failed, and still can be sent, once more; how many, REPLAYED_AT_ONCE at most."""
    c = notifications.c
    some = (
        select(c.id)
        .where(c.tenant_id == tenant_id, c.state == State.FAILED, c.recipient.is_not(None), condition)
        .order_by(c.create_time, c.id)
        .limit(REPLAYED_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    stmt = update(notifications).where(c.tenant_id == tenant_id, c.id.in_(some))
    values = {
        "state": State.PENDING,
        "tries": 0,
        "next_attempt_time": now,
        "update_time": now,
        "end_time": None,
        "version": c.version + 1,
    }
    return (await tx.execute(stmt.values(values))).rowcount


async def forget(tx: AsyncConnection, tenant_id: str, recipient_hash: str, now: datetime) -> None:
    """Nothing says any more what a recipient was sent, and what they were not sent yet is not sent: a try that is
    under way finds that it is not its own any more."""
    stmt = text(
        """
        UPDATE notifications
        SET state = CASE WHEN end_time IS NULL THEN 'SUPPRESSED' ELSE state END, end_time = coalesce(end_time, :now),
            recipient = NULL, variables = NULL, update_time = :now, version = version + 1
        WHERE tenant_id = CAST(:tenant_id AS uuid) AND recipient_hash = :recipient_hash AND recipient IS NOT NULL
        """
    )
    await tx.execute(stmt, {"tenant_id": tenant_id, "recipient_hash": recipient_hash, "now": now})


# -- the worker's


async def pace(
    tx: AsyncConnection, tenant_id: str, channel: Channel, rate: int, wanted: int, now: datetime
) -> tuple[int, datetime]:
    """(how many may go now, when the bucket counts as empty after them); keeps others of the queue out until the end
    of the transaction."""
    start = insert(paces).values(tenant_id=tenant_id, channel=channel, empty_time=now - timedelta(seconds=1))
    await tx.execute(start.on_conflict_do_nothing())
    of = (paces.c.tenant_id == tenant_id) & (paces.c.channel == channel)
    empty = (await tx.execute(select(paces.c.empty_time).where(of).with_for_update())).scalar_one()
    return domain.allowance(empty, now, rate, wanted)


async def save_pace(tx: AsyncConnection, tenant_id: str, channel: Channel, empty: datetime) -> None:
    of = (paces.c.tenant_id == tenant_id) & (paces.c.channel == channel)
    await tx.execute(update(paces).where(of).values(empty_time=empty))


# A lease that has run out shows that the process ended in the middle of it: whether the server took it is not known.
_CLAIM = text(
    """
    WITH due AS (
        SELECT id, state, attempts, update_time, template_version FROM notifications
        WHERE tenant_id = CAST(:tenant_id AS uuid) AND channel = :channel AND state IN ('PENDING', 'SENDING')
            AND next_attempt_time <= :now
        ORDER BY next_attempt_time LIMIT :at_most FOR UPDATE SKIP LOCKED
    ), lost AS (
        INSERT INTO notification_attempts (
            tenant_id, notification_id, number, begin_time, end_time, outcome, error, template_version
        )
        SELECT CAST(:tenant_id AS uuid), id, attempts, update_time, CAST(:now AS timestamptz), 'UNKNOWN',
            'the process ended while it was sending', template_version
        FROM due WHERE state = 'SENDING'
        ON CONFLICT DO NOTHING
    )
    UPDATE notifications n
    SET state = 'SENDING', tries = n.tries + 1, attempts = n.attempts + 1, next_attempt_time = :until,
        update_time = :now
    FROM due WHERE n.tenant_id = CAST(:tenant_id AS uuid) AND n.id = due.id
    RETURNING n.*
    """
).columns(*notifications.c)


async def claim(
    tx: AsyncConnection, tenant_id: str, channel: Channel, now: datetime, lease_s: float, at_most: int
) -> list[Notification]:
    until = now + timedelta(seconds=lease_s)
    given = {"tenant_id": tenant_id, "channel": channel, "now": now, "until": until, "at_most": at_most}
    return [_notification(row) for row in await tx.execute(_CLAIM, given)]


# What another process has claimed since is that one's to end.
_END = text(
    """
    WITH told AS (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:numbers AS bigint[]), CAST(:states AS text[]), CAST(:outcomes AS text[]),
            CAST(:begins AS timestamptz[]), CAST(:ends AS timestamptz[]), CAST(:errors AS text[]),
            CAST(:versions AS bigint[]), CAST(:provider_ids AS text[]), CAST(:agains AS timestamptz[])
        ) t (id, number, state, outcome, begin_time, end_time, error, template_version, provider_id, again)
    ), ended AS (
        UPDATE notifications n
        SET state = t.state, last_error = t.error, template_version = t.template_version,
            provider_id = t.provider_id, next_attempt_time = coalesce(t.again, t.end_time), update_time = t.end_time,
            end_time = CASE WHEN t.again IS NULL THEN t.end_time END, version = n.version + 1,
            recipient = CASE WHEN t.state IN ('PENDING', 'FAILED') THEN n.recipient END,
            variables = CASE WHEN t.state IN ('PENDING', 'FAILED') THEN n.variables END,
            tries = n.tries - (t.state = 'SUPPRESSED')::int, attempts = n.attempts - (t.state = 'SUPPRESSED')::int
        FROM told t
        WHERE n.tenant_id = CAST(:tenant_id AS uuid) AND n.id = t.id AND n.state = 'SENDING' AND n.attempts = t.number
        RETURNING n.id, n.version, t.number, t.state, t.outcome, t.begin_time, t.end_time, t.error, t.template_version
    ), tried AS (
        INSERT INTO notification_attempts (
            tenant_id, notification_id, number, begin_time, end_time, outcome, error, template_version
        )
        SELECT CAST(:tenant_id AS uuid), e.id, e.number, e.begin_time, e.end_time, e.outcome, e.error,
            e.template_version
        FROM ended e WHERE e.state <> 'SUPPRESSED'
    )
    SELECT id::text AS id, version FROM ended
    """
)


async def end(tx: AsyncConnection, tenant_id: str, ended: Sequence[Ended]) -> Mapping[str, int]:
    """Writes down what came of some tries; id -> the notification's new version, for those that were still ours."""
    given: dict[str, Any] = {
        "tenant_id": tenant_id,
        "ids": [each.notification.id for each in ended],
        "numbers": [each.notification.attempts for each in ended],
        "states": [each.state.value for each in ended],
        "outcomes": [each.outcome.value for each in ended],
        "begins": [each.begin_time for each in ended],
        "ends": [each.end_time for each in ended],
        "errors": [each.error for each in ended],
        "versions": [each.template_version for each in ended],
        "provider_ids": [each.provider_id for each in ended],
        "agains": [each.again for each in ended],
    }
    return {row.id: row.version for row in await tx.execute(_END, given)}


# -- sealed


def sealed_variables(vault: Vault, tenant_id: str, id: str, variables: Mapping[str, Any]) -> bytes:
    return vault.seal(tenant_id, f"variables {id}", json.dumps(variables, separators=(",", ":")).encode())


def variables_of(vault: Vault, tenant_id: str, notification: Notification) -> dict[str, Any]:
    if notification.variables is None:
        return {}
    opened: dict[str, Any] = json.loads(vault.open(tenant_id, f"variables {notification.id}", notification.variables))
    return opened


def recipient_of(vault: Vault, tenant_id: str, notification: Notification) -> str:
    """Empty once it is forgotten."""
    if notification.recipient is None:
        return ""
    return vault.open(tenant_id, f"recipient {notification.id}", notification.recipient).decode()


def sealed_recipient(vault: Vault, tenant_id: str, id: str, address: str) -> bytes:
    return vault.seal(tenant_id, f"recipient {id}", address.encode())


def _values(n: Notification) -> dict[str, object]:
    return {column: getattr(n, column) for column in _COLUMNS}


_COLUMNS = tuple(column.name for column in notifications.columns if column.name != "tenant_id")


def _notification(row: Row[Any]) -> Notification:
    values = {name: getattr(row, name) for name in _COLUMNS}
    values |= {name: bytes(values[name]) for name in ("recipient", "variables") if values[name] is not None}
    return Notification(**values | {"channel": Channel(row.channel), "state": State(row.state)})
