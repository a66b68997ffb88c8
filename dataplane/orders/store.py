"""Orders in PostgreSQL. Every function runs in the caller's transaction, whose tenant the row policies enforce."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.orders.domain import (
    Adjustment,
    Fulfillment,
    FulfillmentLine,
    FulfillmentStatus,
    Ledger,
    Line,
    Noted,
    Order,
    PaymentStatus,
    Refund,
    RefundLine,
    RefundState,
    State,
)
from dataplane.orders.tables import order_events, orders
from shared.payments import store as payments
from shared.runtime import paging
from shared.runtime.db import selecting
from shared.runtime.errors import NotFound, stale
from shared.runtime.paging import Ordering, Value

_KEPT = (
    "number", "cart_id", "customer_id", "external_reference", "currency", "subtotal_minor", "discount_minor",
    "shipping_minor", "tax_minor", "prices_include_tax", "shipping_method", "country", "captures_late", "create_time",
)  # fmt: skip
_CHANGED = (
    "state", "payment_status", "fulfillment_status", "paid_minor", "refunded_minor", "version", "place_time",
    "update_time", "expire_time", "email", "address",
)  # fmt: skip
# None in a row, and empty in an order.
_OPTIONAL = ("cart_id", "customer_id", "external_reference")
_UUIDS = ("cart_id", "customer_id")
_LINE = {
    "variant_id": "uuid", "product_id": "uuid", "sku": "text", "product_title": "text", "variant_title": "text",
    "options": "jsonb", "quantity": "bigint", "unit_minor": "bigint", "amount_minor": "bigint",
    "discount_minor": "bigint", "tax_minor": "bigint", "fulfilled": "bigint", "refunded": "bigint",
    "withdrawn": "bigint", "returned": "bigint",
}  # fmt: skip
_COUNTED = ("fulfilled", "refunded", "withdrawn", "returned")

_COLUMNS = ", ".join(f"{name}{'::text' * (name in _UUIDS)}" for name in (*_KEPT, *_CHANGED))
_TENANT = "tenant_id = CAST(:tenant_id AS uuid)"
_KEY = f"{_TENANT} AND id = CAST(:id AS uuid)"
_OF_ORDER = f"{_TENANT} AND order_id = CAST(:id AS uuid)"
_ORDER = f"SELECT id::text, {_COLUMNS} FROM orders WHERE {_KEY}"
_GET = selecting(_ORDER, "id", *_KEPT, *_CHANGED)
_LOCK = selecting(f"{_ORDER} FOR UPDATE", "id", *_KEPT, *_CHANGED)
_LIVING = (
    f"SELECT id::text AS id FROM orders WHERE {_TENANT} AND cart_id = CAST(:cart_id AS uuid) "
    "AND state NOT IN ('EXPIRED', 'CANCELED')"
)
_LINES = selecting(
    f"SELECT id::text, {', '.join(name + '::text' * (kind == 'uuid') for name, kind in _LINE.items())} "
    f"FROM order_lines WHERE {_OF_ORDER} ORDER BY position",
    "id", *_LINE,
)  # fmt: skip
_ADJUSTMENTS = selecting(
    "SELECT promotion_id::text, code, amount_minor, explanation FROM order_adjustments "
    f"WHERE {_OF_ORDER} ORDER BY position",
    "promotion_id", "code", "amount_minor", "explanation",
)  # fmt: skip
_REFUNDS = selecting(
    "SELECT id::text, operation_id::text, amount_minor, reason, create_time, state, failure_reason "
    f"FROM refunds WHERE {_OF_ORDER} ORDER BY id",
    "id", "operation_id", "amount_minor", "reason", "create_time", "state", "failure_reason",
)  # fmt: skip
_FULFILLMENTS = selecting(
    f"SELECT id::text, carrier, tracking_number, create_time, deliver_time FROM fulfillments WHERE {_OF_ORDER} "
    "ORDER BY id",
    "id", "carrier", "tracking_number", "create_time", "deliver_time",
)  # fmt: skip
_NUMBERS = text(
    """
    INSERT INTO order_numbers AS n (tenant_id, number) VALUES (CAST(:tenant_id AS uuid), 1000 + :count)
    ON CONFLICT (tenant_id) DO UPDATE SET number = n.number + :count RETURNING number
    """
)
_ADD = text(
    f"""
    WITH added AS (
        INSERT INTO orders (tenant_id, id, total_minor, {", ".join((*_KEPT, *_CHANGED))})
        VALUES (
            CAST(:tenant_id AS uuid), CAST(:id AS uuid), :total_minor,
            {", ".join(f"CAST(:{n} AS uuid)" if n in _UUIDS else f":{n}" for n in (*_KEPT, *_CHANGED))}
        )
    ), adjusted AS (
        INSERT INTO order_adjustments (tenant_id, order_id, position, promotion_id, code, amount_minor, explanation)
        SELECT CAST(:tenant_id AS uuid), CAST(:id AS uuid), a.n, a.promotion, a.code, a.amount, a.explanation
        FROM unnest(
            CAST(:a_promotions AS uuid[]), CAST(:a_codes AS text[]), CAST(:a_amounts AS bigint[]),
            CAST(:a_explanations AS text[])
        ) WITH ORDINALITY a (promotion, code, amount, explanation, n)
    )
    INSERT INTO order_lines (tenant_id, order_id, id, {", ".join(_LINE)}, position)
    SELECT CAST(:tenant_id AS uuid), CAST(:id AS uuid), l.*
    FROM unnest(
        CAST(:l_ids AS uuid[]), {", ".join(f"CAST(:l_{name} AS {kind}[])" for name, kind in _LINE.items())}
    ) WITH ORDINALITY l
    """
)
_SAVE = text(
    f"UPDATE orders SET {', '.join(f'{name} = :{name}' for name in _CHANGED)} WHERE {_KEY} AND version = :before"
)
_COUNT = text(
    f"""
    UPDATE order_lines o SET {", ".join(f"{name} = n.{name}" for name in _COUNTED)}
    FROM unnest(CAST(:ids AS uuid[]), {", ".join(f"CAST(:{name} AS bigint[])" for name in _COUNTED)})
        n (id, {", ".join(_COUNTED)})
    WHERE o.tenant_id = CAST(:tenant_id AS uuid) AND o.id = n.id
    """
)


async def numbers(tx: AsyncConnection, tenant_id: str, count: int = 1) -> range:
    """The next ones. Whoever asks holds the shop's counter until the transaction ends: ask last."""
    last = int((await tx.execute(_NUMBERS, {"tenant_id": tenant_id, "count": count})).scalar_one())
    return range(last - count + 1, last + 1)


async def add(tx: AsyncConnection, tenant_id: str, new: Order) -> None:
    await tx.execute(
        _ADD,
        {
            **_values(tenant_id, new),
            "total_minor": new.total_minor,
            "a_promotions": [each.promotion_id for each in new.adjustments],
            "a_codes": [each.code for each in new.adjustments],
            "a_amounts": [each.amount_minor for each in new.adjustments],
            "a_explanations": [each.explanation for each in new.adjustments],
            "l_ids": [line.id for line in new.lines],
            **{f"l_{name}": [getattr(line, name) for line in new.lines] for name in _LINE if name != "options"},
            "l_options": [json.dumps(line.options) for line in new.lines],
        },
    )


async def find(tx: AsyncConnection, tenant_id: str, order_id: str, *, lock: bool = False) -> Order | None:
    """With its lines and adjustments."""
    key = {"tenant_id": tenant_id, "id": order_id}
    # Statements of their own: one that waits for a lock gets the row as it is then, and other rows as they were.
    row = (await tx.execute(_LOCK if lock else _GET, key)).one_or_none()
    if row is None:
        return None
    lines = tuple(map(_line, await tx.execute(_LINES, key)))
    return _order(row, lines, tuple(Adjustment(*each) for each in await tx.execute(_ADJUSTMENTS, key)))


async def get(tx: AsyncConnection, tenant_id: str, order_id: str, *, lock: bool = False) -> Order:
    """NotFound ORDER_NOT_FOUND."""
    if (found := await find(tx, tenant_id, order_id, lock=lock)) is None:
        raise NotFound("ORDER_NOT_FOUND", f"no order {order_id} in this shop", id=order_id)
    return found


async def of_cart(tx: AsyncConnection, tenant_id: str, cart_id: str, *, lock: bool = False) -> Order | None:
    """The one that is neither expired nor canceled."""
    row = (await tx.execute(text(_LIVING), {"tenant_id": tenant_id, "cart_id": cart_id})).one_or_none()
    return None if row is None else await find(tx, tenant_id, row.id, lock=lock)


async def of_customer(tx: AsyncConnection, tenant_id: str, customer_id: str) -> list[str]:
    """The ids of those that say more of their customer than who it was."""
    stmt = text(
        f"SELECT id::text FROM orders WHERE {_TENANT} AND customer_id = CAST(:customer_id AS uuid) "
        "AND (email <> '' OR address <> '') ORDER BY id"
    )
    return list((await tx.execute(stmt, {"tenant_id": tenant_id, "customer_id": customer_id})).scalars())


async def page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Order], list[Value] | None]:
    """A page of orders without their lines, and the cursor of the next one if there is more."""
    found = select(orders).where(orders.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_order(row, (), ()) for row in rows], following


async def save(tx: AsyncConnection, tenant_id: str, before: Order, after: Order) -> None:
    """Writes what differs. Whoever calls holds the row: get(lock=True)."""
    saved = await tx.execute(_SAVE, {**_values(tenant_id, after), "before": before.version})
    if saved.rowcount != 1:
        raise stale("order", after.id)
    known = set(before.lines)
    if changed := [line for line in after.lines if line not in known]:
        counts = {name: [getattr(line, name) for line in changed] for name in _COUNTED}
        await tx.execute(_COUNT, {"tenant_id": tenant_id, "ids": [line.id for line in changed], **counts})


async def look_again(tx: AsyncConnection, tenant_id: str, order_id: str, at: datetime) -> None:
    """An order whose payment is open yet may be paid for a while longer."""
    stmt = text(f"UPDATE orders SET expire_time = :at WHERE {_KEY} AND expire_time IS NOT NULL")
    await tx.execute(stmt, {"tenant_id": tenant_id, "id": order_id, "at": at})


async def ledger(tx: AsyncConnection, tenant_id: str, order_id: str) -> Ledger:
    key = {"tenant_id": tenant_id, "id": order_id}
    return Ledger(
        tuple(await payments.of_reference(tx, tenant_id, order_id)),
        await _refunds(tx, key),
        await _fulfillments(tx, key),
    )


async def add_fulfillment(tx: AsyncConnection, tenant_id: str, order_id: str, new: Fulfillment) -> None:
    await tx.execute(
        text(
            """
            WITH added AS (
                INSERT INTO fulfillments (tenant_id, id, order_id, carrier, tracking_number, create_time, deliver_time)
                VALUES (
                    CAST(:tenant_id AS uuid), CAST(:id AS uuid), CAST(:order_id AS uuid), :carrier, :tracking_number,
                    :create_time, :deliver_time
                )
            )
            INSERT INTO fulfillment_lines (tenant_id, fulfillment_id, line_id, quantity)
            SELECT CAST(:tenant_id AS uuid), CAST(:id AS uuid), n.*
            FROM unnest(CAST(:lines AS uuid[]), CAST(:quantities AS bigint[])) n
            """
        ),
        {
            "tenant_id": tenant_id,
            "id": new.id,
            "order_id": order_id,
            "carrier": new.carrier,
            "tracking_number": new.tracking_number,
            "create_time": new.create_time,
            "deliver_time": new.deliver_time,
            "lines": [line.line_id for line in new.lines],
            "quantities": [line.quantity for line in new.lines],
        },
    )


async def deliver(tx: AsyncConnection, tenant_id: str, fulfillment_id: str, now: datetime) -> None:
    stmt = text(f"UPDATE fulfillments SET deliver_time = :now WHERE {_KEY}")
    await tx.execute(stmt, {"tenant_id": tenant_id, "id": fulfillment_id, "now": now})


async def add_refund(tx: AsyncConnection, tenant_id: str, order_id: str, new: Refund) -> None:
    await tx.execute(
        text(
            """
            WITH added AS (
                INSERT INTO refunds (
                    tenant_id, id, order_id, operation_id, amount_minor, state, reason, failure_reason, create_time
                )
                VALUES (
                    CAST(:tenant_id AS uuid), CAST(:id AS uuid), CAST(:order_id AS uuid), CAST(:operation_id AS uuid),
                    :amount_minor, :state, :reason, :failure_reason, :create_time
                )
            )
            INSERT INTO refund_lines (tenant_id, refund_id, line_id, quantity, restock, withdrawn)
            SELECT CAST(:tenant_id AS uuid), CAST(:id AS uuid), n.*
            FROM unnest(
                CAST(:lines AS uuid[]), CAST(:quantities AS bigint[]), CAST(:restocks AS boolean[]),
                CAST(:withdrawn AS boolean[])
            ) n
            """
        ),
        {
            "tenant_id": tenant_id,
            "id": new.id,
            "order_id": order_id,
            "operation_id": new.operation_id,
            "amount_minor": new.amount_minor,
            "state": new.state,
            "reason": new.reason,
            "failure_reason": new.failure_reason,
            "create_time": new.create_time,
            "lines": [line.line_id for line in new.lines],
            "quantities": [line.quantity for line in new.lines],
            "restocks": [line.restock for line in new.lines],
            "withdrawn": [line.withdrawn for line in new.lines],
        },
    )


async def settle_refund(tx: AsyncConnection, tenant_id: str, refund: Refund) -> None:
    stmt = text(
        "UPDATE refunds SET state = :state, failure_reason = :failure_reason, amount_minor = :amount_minor "
        f"WHERE {_KEY}"
    )
    values = {name: getattr(refund, name) for name in ("id", "state", "failure_reason", "amount_minor")}
    await tx.execute(stmt, {"tenant_id": tenant_id, **values})


async def note(tx: AsyncConnection, tenant_id: str, order_id: str, noted: Iterable[Noted]) -> None:
    """Into the timeline."""
    some = list(noted)
    names = ("id", "kind", "message", "actor", "create_time")
    await tx.execute(
        text(
            """
            INSERT INTO order_events (tenant_id, order_id, id, kind, message, actor, create_time)
            SELECT CAST(:tenant_id AS uuid), CAST(:order_id AS uuid), n.*
            FROM unnest(
                CAST(:id AS uuid[]), CAST(:kind AS text[]), CAST(:message AS text[]), CAST(:actor AS text[]),
                CAST(:create_time AS timestamptz[])
            ) n
            """
        ),
        {
            "tenant_id": tenant_id,
            "order_id": order_id,
            **{name: [getattr(each, name) for each in some] for name in names},
        },
    )


async def timeline(
    tx: AsyncConnection, tenant_id: str, order_id: str, ordering: Ordering, cursor: Sequence[Value] | None, size: int
) -> tuple[list[Noted], list[Value] | None]:
    found = select(order_events).where(order_events.c.tenant_id == tenant_id, order_events.c.order_id == order_id)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [Noted(row.id, row.kind, row.message, row.actor, row.create_time) for row in rows], following


async def due(tx: AsyncConnection, at: datetime, at_most: int) -> list[tuple[str, str]]:
    """(tenant, order) of orders that were not paid in time, whosever they are; for the steward."""
    stmt = text("SELECT tenant_id::text, id::text FROM due_orders(:at, :at_most)")
    return [(row.tenant_id, row.id) for row in await tx.execute(stmt, {"at": at, "at_most": at_most})]


async def _refunds(tx: AsyncConnection, key: dict[str, str]) -> tuple[Refund, ...]:
    found = (await tx.execute(_REFUNDS, key)).all()
    lines: dict[str, list[RefundLine]] = defaultdict(list)
    for row in await _parts(tx, key, "refund_lines", "refund_id, line_id, quantity, restock, withdrawn", found):
        lines[row.refund_id].append(RefundLine(row.line_id, row.quantity, row.restock, row.withdrawn))
    return tuple(
        Refund(
            id=row.id,
            operation_id=row.operation_id,
            amount_minor=row.amount_minor,
            reason=row.reason,
            create_time=row.create_time,
            state=RefundState(row.state),
            failure_reason=row.failure_reason,
            lines=tuple(lines[row.id]),
        )
        for row in found
    )


async def _fulfillments(tx: AsyncConnection, key: dict[str, str]) -> tuple[Fulfillment, ...]:
    found = (await tx.execute(_FULFILLMENTS, key)).all()
    lines: dict[str, list[FulfillmentLine]] = defaultdict(list)
    for row in await _parts(tx, key, "fulfillment_lines", "fulfillment_id, line_id, quantity", found):
        lines[row.fulfillment_id].append(FulfillmentLine(row.line_id, row.quantity))
    return tuple(
        Fulfillment(row.id, tuple(lines[row.id]), row.carrier, row.tracking_number, row.create_time, row.deliver_time)
        for row in found
    )


async def _parts(
    tx: AsyncConnection, key: dict[str, str], table: str, columns: str, of: Sequence[Any]
) -> Sequence[Any]:
    """Rows of a table of lines; columns: the first names what they are lines of."""
    if not of:
        return ()
    owner, line, *rest = columns.split(", ")
    stmt = text(
        f"SELECT {owner}::text, {line}::text, {', '.join(rest)} FROM {table} "
        f"WHERE {_TENANT} AND {owner} = ANY (CAST(:ids AS uuid[])) ORDER BY {owner}, {line}"
    )
    return (await tx.execute(stmt, {"tenant_id": key["tenant_id"], "ids": [row.id for row in of]})).all()


def _values(tenant_id: str, order: Order) -> dict[str, Any]:
    values = {name: getattr(order, name) for name in (*_KEPT, *_CHANGED)}
    return {"tenant_id": tenant_id, "id": order.id, **values, **{name: values[name] or None for name in _OPTIONAL}}


def _order(row: Any, lines: tuple[Line, ...], adjustments: tuple[Adjustment, ...]) -> Order:
    values = {name: getattr(row, name) for name in (*_KEPT, *_CHANGED)}
    return Order(
        **{
            **values,
            **{name: values[name] or "" for name in _OPTIONAL},
            "id": row.id,
            "state": State(row.state),
            "payment_status": PaymentStatus(row.payment_status),
            "fulfillment_status": FulfillmentStatus(row.fulfillment_status),
            "lines": lines,
            "adjustments": adjustments,
        }
    )


def _line(row: Any) -> Line:
    values = {name: getattr(row, name) for name in _LINE if name != "amount_minor"}
    return Line(**{**values, "id": row.id, "options": tuple((name, value) for name, value in row.options)})
