"""Imported orders in PostgreSQL, many at once. Every function runs in the caller's transaction, whose tenant the row
policies enforce."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.orders.domain import Fulfillment, Noted, Order
from dataplane.orders.returns import Paid, Sold
from dataplane.orders.tables import fulfillment_lines, fulfillments, order_events, order_lines, orders

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_EMPTY_IS_NULL = ("cart_id", "customer_id", "external_reference")


@dataclass(frozen=True, slots=True)
class Imported:
    """An order that comes in whole: its one fulfillment, and what the timeline says of it."""

    order: Order
    fulfillment: Fulfillment
    noted: Noted


@dataclass(frozen=True, slots=True)
class Sum:
    """Of one day, country and currency, in minor units."""

    day: str
    country: str
    currency: str
    orders: int
    total_minor: int
    refunded_minor: int


async def alone(tx: AsyncConnection, tenant_id: str) -> None:
    """One batch of a shop at a time: what has been refunded is counted once."""
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('order import ' || :tenant_id, 0))"),
        {"tenant_id": tenant_id},
    )


async def known(tx: AsyncConnection, tenant_id: str, references: Collection[str]) -> set[str]:
    c = orders.c
    stmt = select(c.external_reference).where(c.tenant_id == tenant_id, c.external_reference.in_(references))
    return set((await tx.execute(stmt)).scalars())


async def variants(tx: AsyncConnection, tenant_id: str, skus: Collection[str]) -> dict[str, tuple[str, str]]:
    """SKU -> (variant, product), of those that the shop has."""
    stmt = text(
        "SELECT sku, id::text, product_id::text FROM variants "
        "WHERE tenant_id = CAST(:tenant_id AS uuid) AND sku = ANY(CAST(:skus AS text[]))"
    )
    found = await tx.execute(stmt, {"tenant_id": tenant_id, "skus": list(skus)})
    return {sku: (variant, product) for sku, variant, product in found}


async def add(tx: AsyncConnection, tenant_id: str, some: Sequence[Imported]) -> None:
    await _insert(tx, tenant_id, orders, [_order(each.order) for each in some])
    lines = [
        {"order_id": each.order.id, "position": position, **_of(order_lines, line)}
        for each in some
        for position, line in enumerate(each.order.lines, start=1)
    ]
    await _insert(tx, tenant_id, order_lines, lines)
    shipped = [{"order_id": each.order.id, **_of(fulfillments, each.fulfillment)} for each in some]
    await _insert(tx, tenant_id, fulfillments, shipped)
    parts = [
        {"fulfillment_id": each.fulfillment.id, "line_id": part.line_id, "quantity": part.quantity}
        for each in some
        for part in each.fulfillment.lines
    ]
    await _insert(tx, tenant_id, fulfillment_lines, parts)
    await _insert(tx, tenant_id, order_events, [{"order_id": e.order.id, **_of(order_events, e.noted)} for e in some])


async def refunded(tx: AsyncConnection, tenant_id: str, refund_ids: Collection[str]) -> dict[str, int | None]:
    """Of those refunds that there are, how many of their line; None for money only."""
    stmt = text(
        """
        SELECT r.id::text AS id, l.quantity FROM refunds r
        LEFT JOIN refund_lines l ON l.tenant_id = r.tenant_id AND l.refund_id = r.id
        WHERE r.tenant_id = CAST(:tenant_id AS uuid) AND r.id = ANY(CAST(:ids AS uuid[]))
        """
    )
    found = await tx.execute(stmt, {"tenant_id": tenant_id, "ids": list(refund_ids)})
    return {row.id: row.quantity for row in found}


async def candidates(
    tx: AsyncConnection, tenant_id: str, customer_id: str, *, country: str, currency: str, until: datetime,
    skus: Collection[str],
) -> tuple[list[Paid], list[Sold]]:  # fmt: skip
    """The imported orders of a customer, locked, and their lines of these SKUs; the latest first."""
    whose = {
        "tenant_id": tenant_id,
        "customer_id": customer_id,
        "country": country,
        "currency": currency,
        "until": until,
    }
    paid = [Paid(id, left) for id, left in await tx.execute(_PAID, whose)]
    # A statement of its own: one that waits for a lock sees other rows as they were.
    lines = await tx.execute(_SOLD, {"tenant_id": tenant_id, "ids": [p.order_id for p in paid], "skus": list(skus)})
    return paid, [Sold(*line) for line in lines]


async def sums(tx: AsyncConnection, tenant_id: str) -> list[Sum]:
    return [Sum(*row) for row in await tx.execute(_SUMS, {"tenant_id": tenant_id})]


# In the order of their ids, so that two who lock several never wait in a circle.
_PAID = text(
    """
    WITH found AS (
        SELECT id, paid_minor - refunded_minor AS left_minor, create_time FROM orders
        WHERE tenant_id = CAST(:tenant_id AS uuid) AND customer_id = CAST(:customer_id AS uuid)
            AND create_time <= :until AND external_reference IS NOT NULL AND country = :country AND currency = :currency
            AND paid_minor > refunded_minor
        ORDER BY id FOR UPDATE
    )
    SELECT id::text, left_minor FROM found ORDER BY create_time DESC, id DESC
    """
)
_SOLD = text(
    """
    SELECT l.order_id::text, l.id::text, l.sku, l.unit_minor, l.quantity - l.refunded
    FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY o (id, n)
    JOIN order_lines l ON l.tenant_id = CAST(:tenant_id AS uuid) AND l.order_id = o.id
    WHERE l.sku = ANY(CAST(:skus AS text[])) AND l.refunded < l.quantity
    ORDER BY o.n, l.position
    """
)
_SUMS = text(
    """
    WITH placed AS (
        SELECT to_char(place_time AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, country, currency, count(*) AS orders,
            sum(total_minor) AS total, 0 AS refunded
        FROM orders
        WHERE tenant_id = CAST(:tenant_id AS uuid) AND external_reference IS NOT NULL
        GROUP BY 1, 2, 3
    ), given_back AS (
        SELECT to_char(r.create_time AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, o.country, o.currency, 0 AS orders,
            0 AS total, sum(r.amount_minor) AS refunded
        FROM orders o JOIN refunds r ON r.tenant_id = o.tenant_id AND r.order_id = o.id
        WHERE o.tenant_id = CAST(:tenant_id AS uuid) AND o.external_reference IS NOT NULL
            AND r.operation_id IS NULL AND r.state = 'SUCCEEDED'
        GROUP BY 1, 2, 3
    )
    SELECT day, country, currency, CAST(sum(orders) AS bigint), CAST(sum(total) AS bigint),
        CAST(sum(refunded) AS bigint)
    FROM (SELECT * FROM placed UNION ALL SELECT * FROM given_back) happened
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """
)


def _order(order: Order) -> dict[str, Any]:
    values = _of(orders, order)
    return values | {name: values[name] or None for name in _EMPTY_IS_NULL}


def _of(table: Table, made: object) -> dict[str, Any]:
    """What `made` says of the table's columns."""
    return {column.name: getattr(made, column.name) for column in table.c if hasattr(made, column.name)}


async def _insert(tx: AsyncConnection, tenant_id: str, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """One statement with an array a column: what it costs hardly grows with the rows."""
    if not rows:
        return
    columns = [table.c[name] for name in rows[0]]
    arrays = ", ".join(f"CAST(:{column.name} AS {column.type.compile(_DIALECT)}[])" for column in columns)
    names = ", ".join(column.name for column in columns)
    values: dict[str, Any] = {"tenant_id": tenant_id}
    for column in columns:
        of_column = [row[column.name] for row in rows]
        values[column.name] = [json.dumps(v) for v in of_column] if isinstance(column.type, JSONB) else of_column
    unpacked = f"SELECT CAST(:tenant_id AS uuid), n.* FROM unnest({arrays}) n"
    await tx.execute(text(f"INSERT INTO {table.name} (tenant_id, {names}) {unpacked}"), values)
