"""Payments in PostgreSQL. Every function runs in the caller's transaction, whose tenant the row policies enforce."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.payments.domain import Kind, Operation, Payment, Progress, State
from shared.payments.provider import Notice
from shared.payments.tables import payments
from shared.runtime import paging
from shared.runtime.db import Database, selecting
from shared.runtime.errors import FailedPrecondition, NotFound, stale
from shared.runtime.paging import Ordering, Value

_PAYMENT = (
    "reference", "state", "currency", "amount_minor", "authorized_minor", "capturing_minor", "captured_minor",
    "refunding_minor", "refunded_minor", "provider", "provider_payment_id", "payment_method", "return_url",
    "action_url", "failure_reason", "version", "create_time", "update_time",
)  # fmt: skip
_OPERATION = (
    "kind", "state", "amount_minor", "attempts", "provider_reference", "failure_reason", "look_time", "create_time",
    "update_time",
)  # fmt: skip
_ARRAYS = {
    "amount_minor": "bigint[]", "attempts": "bigint[]", "look_time": "timestamptz[]", "create_time": "timestamptz[]",
    "update_time": "timestamptz[]",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """A row of payment_settings; the keys are sealed."""

    provider: str
    api_base: str
    secret_key: bytes
    webhook_secret: bytes
    version: int
    update_time: datetime


_KEY = "tenant_id = CAST(:tenant_id AS uuid) AND id = CAST(:id AS uuid)"
# A statement of its own: one that waits for a lock gets the row as it is then, and other rows as they were.
_PAYMENTS = f"SELECT id::text, {', '.join(_PAYMENT)} FROM payments WHERE"
_REFERRING = "tenant_id = CAST(:tenant_id AS uuid) AND reference = :reference ORDER BY id"
_LOCK = selecting(f"{_PAYMENTS} {_KEY} FOR UPDATE", "id", *_PAYMENT)
_GET = selecting(f"{_PAYMENTS} {_KEY}", "id", *_PAYMENT)
_LOCK_REFERRING = selecting(f"{_PAYMENTS} {_REFERRING} FOR UPDATE", "id", *_PAYMENT)
_GET_REFERRING = selecting(f"{_PAYMENTS} {_REFERRING}", "id", *_PAYMENT)
_OPERATIONS = selecting(
    f"SELECT payment_id::text, id::text, {', '.join(_OPERATION)} FROM payment_operations "
    "WHERE tenant_id = CAST(:tenant_id AS uuid) AND payment_id = ANY (CAST(:ids AS uuid[])) ORDER BY id",
    "payment_id", "id", *_OPERATION,
)  # fmt: skip
# Both at once, for whoever only reads: a row of each operation.
_FIND = (
    f"SELECT p.id::text, {', '.join(f'p.{name}' for name in _PAYMENT)}, o.id::text AS o_id, "
    f"{', '.join(f'o.{name} AS o_{name}' for name in _OPERATION)} FROM payments p "
    "LEFT JOIN payment_operations o ON o.tenant_id = p.tenant_id AND o.payment_id = p.id "
    "WHERE p.tenant_id = %(tenant_id)s::uuid AND p.id = %(id)s::uuid ORDER BY o.id"
)
_SETTINGS = ("provider", "api_base", "secret_key", "webhook_secret", "version", "update_time")
_SETTINGS_OF = f"SELECT {', '.join(_SETTINGS)} FROM payment_settings WHERE tenant_id ="
_GET_SETTINGS = selecting(f"{_SETTINGS_OF} CAST(:tenant_id AS uuid)", *_SETTINGS)
_LOCK_SETTINGS = selecting(f"{_SETTINGS_OF} CAST(:tenant_id AS uuid) FOR UPDATE", *_SETTINGS)
_FIND_SETTINGS = f"{_SETTINGS_OF} %(tenant_id)s::uuid"
_OPEN = selecting(
    "SELECT payment_id::text, id::text FROM payment_operations WHERE tenant_id = CAST(:tenant_id AS uuid) "
    "AND state IN ('PENDING', 'UNKNOWN') ORDER BY look_time LIMIT :at_most",
    "payment_id", "id",
)  # fmt: skip
_KNOWN_AS = selecting(
    "SELECT id::text FROM payments WHERE tenant_id = CAST(:tenant_id AS uuid) AND provider = :provider "
    "AND provider_payment_id = :provider_payment_id AND provider_payment_id <> ''",
    "id",
)
_KEEP_OPERATIONS = f"""
    INSERT INTO payment_operations (tenant_id, payment_id, id, {", ".join(_OPERATION)})
    SELECT CAST(:tenant_id AS uuid), CAST(:id AS uuid), n.*
    FROM unnest(CAST(:ids AS uuid[]), {
    ", ".join(f"CAST(:{name}s AS {_ARRAYS.get(name, 'text[]')})" for name in _OPERATION)
}) n
    ON CONFLICT (tenant_id, id) DO UPDATE SET {
    ", ".join(f"{name} = excluded.{name}" for name in _OPERATION if name not in ("kind", "create_time"))
}
"""
_ADD = text(
    f"""
    WITH added AS (
        INSERT INTO payments (tenant_id, id, {", ".join(_PAYMENT)})
        VALUES (CAST(:tenant_id AS uuid), CAST(:id AS uuid), {", ".join(f":p_{name}" for name in _PAYMENT)})
    )
    {_KEEP_OPERATIONS}
    """
)
_SAVE = text(
    f"""
    WITH saved AS (
        UPDATE payments SET {", ".join(f"{name} = :p_{name}" for name in _PAYMENT)}
        WHERE {_KEY} AND version = :before
    )
    {_KEEP_OPERATIONS}
    """
)


async def get(tx: AsyncConnection, tenant_id: str, payment_id: str, *, lock: bool = False) -> Payment:
    key = {"tenant_id": tenant_id, "id": payment_id}
    row = (await tx.execute(_LOCK if lock else _GET, key)).one_or_none()
    if row is None:
        raise missing(payment_id)
    [payment] = await _with_operations(tx, tenant_id, [row])
    return payment


async def find(reads: Database, tenant_id: str, payment_id: str) -> Payment:
    """get() in one round trip, without a transaction around it."""
    rows = await reads.once(_FIND, {"tenant_id": tenant_id, "id": payment_id}, tenant_id=tenant_id)
    if not rows:
        raise missing(payment_id)
    return _payment(rows[0], tuple(_operation(row, "o_") for row in rows if row.o_id is not None))


async def of_reference(tx: AsyncConnection, tenant_id: str, reference: str, *, lock: bool = False) -> list[Payment]:
    """In the order in which they began; locked in that order."""
    stmt = _LOCK_REFERRING if lock else _GET_REFERRING
    rows = (await tx.execute(stmt, {"tenant_id": tenant_id, "reference": reference})).all()
    return await _with_operations(tx, tenant_id, rows)


def missing(payment_id: str) -> NotFound:
    return NotFound("PAYMENT_NOT_FOUND", f"no payment {payment_id} in this shop", id=payment_id)


async def page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Payment], list[Value] | None]:
    """A page of payments without their operations, and the cursor of the next one if there is more."""
    found = select(payments).where(payments.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_payment(row, ()) for row in rows], following


async def add(tx: AsyncConnection, tenant_id: str, payment: Payment) -> None:
    await tx.execute(_ADD, _values(tenant_id, payment, payment.operations))


async def save(tx: AsyncConnection, tenant_id: str, before: Payment, after: Payment) -> None:
    """Writes what differs. Whoever calls holds the row: get(lock=True)."""
    known = set(before.operations)
    changed = [operation for operation in after.operations if operation not in known]
    await tx.execute(_SAVE, {**_values(tenant_id, after, changed), "before": before.version})


async def open_operations(tx: AsyncConnection, tenant_id: str, at_most: int) -> list[tuple[str, str]]:
    """(payment, operation) of the tenant's oldest open ones."""
    rows = await tx.execute(_OPEN, {"tenant_id": tenant_id, "at_most": at_most})
    return [(row.payment_id, row.id) for row in rows]


async def known_as(tx: AsyncConnection, tenant_id: str, provider: str, provider_payment_id: str) -> str:
    """The id of the payment that the provider knows by an id of its own; empty for none."""
    about = {"tenant_id": tenant_id, "provider": provider, "provider_payment_id": provider_payment_id}
    found = await tx.execute(_KNOWN_AS, about)
    return str(found.scalar_one_or_none() or "")


async def note(
    tx: AsyncConnection, tenant_id: str, id: str, provider: str, notice: Notice, payment_id: str, now: datetime
) -> bool:
    """Whether the event is new; of two that come at once one waits for the other."""
    noted = await tx.execute(
        _NOTE,
        {
            "tenant_id": tenant_id,
            "id": id,
            "provider": provider,
            "provider_event_id": notice.event_id,
            "type": notice.type,
            "payment_id": payment_id,
            "event_time": notice.time,
            "create_time": now,
        },
    )
    return noted.rowcount == 1


_NOTE = text(
    """
    INSERT INTO payment_events (tenant_id, id, provider, provider_event_id, type, payment_id, event_time, create_time)
    VALUES (
        CAST(:tenant_id AS uuid), CAST(:id AS uuid), :provider, :provider_event_id, :type, CAST(:payment_id AS uuid),
        :event_time, :create_time
    )
    ON CONFLICT (tenant_id, provider, provider_event_id) DO NOTHING
    """
)


async def settings(tx: AsyncConnection, tenant_id: str, *, lock: bool = False) -> Settings | None:
    found = await tx.execute(_LOCK_SETTINGS if lock else _GET_SETTINGS, {"tenant_id": tenant_id})
    row = found.one_or_none()
    return None if row is None else Settings(*row)


async def find_settings(reads: Database, tenant_id: str) -> Settings | None:
    """settings() in one round trip, without a transaction around it."""
    rows = await reads.once(_FIND_SETTINGS, {"tenant_id": tenant_id}, tenant_id=tenant_id)
    return Settings(*rows[0]) if rows else None


def not_configured() -> FailedPrecondition:
    return FailedPrecondition(
        "PAYMENTS_NOT_CONFIGURED", "this shop has no payment provider yet; set one with SetPaymentSettings"
    )


async def set_settings(tx: AsyncConnection, tenant_id: str, new: Settings) -> None:
    """Over the version just before. Aborted ETAG_MISMATCH when it is not there."""
    kept = await tx.execute(
        text(
            """
            INSERT INTO payment_settings AS s (
                tenant_id, provider, api_base, secret_key, webhook_secret, version, update_time
            )
            VALUES (
                CAST(:tenant_id AS uuid), :provider, :api_base, :secret_key, :webhook_secret, :version, :update_time
            )
            ON CONFLICT (tenant_id) DO UPDATE SET provider = excluded.provider, api_base = excluded.api_base,
                secret_key = excluded.secret_key, webhook_secret = excluded.webhook_secret, version = excluded.version,
                update_time = excluded.update_time
            WHERE s.version = excluded.version - 1
            """
        ),
        {
            "tenant_id": tenant_id,
            "provider": new.provider,
            "api_base": new.api_base,
            "secret_key": new.secret_key,
            "webhook_secret": new.webhook_secret,
            "version": new.version,
            "update_time": new.update_time,
        },
    )
    if kept.rowcount != 1:
        raise stale("payment settings", tenant_id)


def _values(tenant_id: str, payment: Payment, operations: Sequence[Operation]) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "id": payment.id,
        **{f"p_{name}": getattr(payment, name) for name in _PAYMENT},
        "ids": [operation.id for operation in operations],
        **{f"{name}s": [getattr(operation, name) for operation in operations] for name in _OPERATION},
    }


async def _with_operations(tx: AsyncConnection, tenant_id: str, rows: Sequence[Any]) -> list[Payment]:
    operations: dict[str, list[Operation]] = {row.id: [] for row in rows}
    if rows:
        for each in await tx.execute(_OPERATIONS, {"tenant_id": tenant_id, "ids": list(operations)}):
            operations[each.payment_id].append(_operation(each))
    return [_payment(row, tuple(operations[row.id])) for row in rows]


def _payment(row: Any, operations: tuple[Operation, ...]) -> Payment:
    values = {name: getattr(row, name) for name in _PAYMENT}
    return Payment(**{**values, "id": row.id, "state": State(row.state), "operations": operations})


def _operation(row: Any, prefix: str = "") -> Operation:
    """prefix: of its columns, in a row that has the payment's as well."""
    values = {name: getattr(row, prefix + name) for name in ("id", *_OPERATION)}
    return Operation(**{**values, "kind": Kind(values["kind"]), "state": Progress(values["state"])})
