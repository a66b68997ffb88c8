"""Carts in PostgreSQL. Every function runs in the caller's transaction, whose tenant the row policies enforce."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.carts.domain import Cart, Code, Line, State, options_hash
from dataplane.carts.pricing import Offer
from dataplane.carts.tables import carts
from dataplane.inventory import store as inventory_store
from dataplane.prices import store as price_store
from shared.runtime import paging
from shared.runtime.db import selecting
from shared.runtime.errors import NotFound
from shared.runtime.money import Money
from shared.runtime.paging import Ordering, Value

_CART = (
    "state", "currency", "email", "address", "version", "create_time", "update_time", "abandon_time", "merged_into",
    "complete_time", "order_id", "customer_id",
)  # fmt: skip
_IDS = ("merged_into", "order_id", "customer_id")

# In one order for everybody: of two that merge into each other, one waits for the other.
_LOCK = text(
    "SELECT id::text FROM carts WHERE tenant_id = CAST(:tenant_id AS uuid) AND id = ANY (CAST(:ids AS uuid[])) "
    "ORDER BY id FOR UPDATE"
)
# A cart in one look: its row, with its codes, beside each of its lines, with what the line's variant is offered at.
_GET = selecting(
    f"""
    SELECT c.id::text AS id, c.line_count, {", ".join(f"c.{name}{'::text' * (name in _IDS)}" for name in _CART)},
        ARRAY(
            SELECT ARRAY[k.code, k.entered] FROM cart_codes k
            WHERE k.tenant_id = c.tenant_id AND k.cart_id = c.id ORDER BY k.position
        ) AS codes,
        l.id::text AS line_id, l.variant_id::text AS variant_id, l.options, l.quantity,
        v.title AS variant_title, v.sku, v.currency AS price_currency, v.amount_minor,
        p.id::text AS product_id, p.title AS product_title, p.status AS product_status,
        ({price_store.LISTED.format(variant="v", currency="c.currency")}) AS listed,
        ({inventory_store.OFFERED_TO.format(variant="v", owner="c.id")}) AS stock
    FROM carts c
    LEFT JOIN cart_lines l ON l.tenant_id = c.tenant_id AND l.cart_id = c.id
    LEFT JOIN variants v ON v.tenant_id = l.tenant_id AND v.id = l.variant_id
    LEFT JOIN products p ON p.tenant_id = v.tenant_id AND p.id = v.product_id
    WHERE c.tenant_id = CAST(:tenant_id AS uuid) AND c.id = CAST(:id AS uuid)
    ORDER BY l.id
    """,
    "id", "line_count", *_CART, "codes", "line_id", "variant_id", "options", "quantity", "variant_title", "sku",
    "price_currency", "amount_minor", "product_id", "product_title", "product_status", "listed",
    "stock",
)  # fmt: skip
_OFFER = text(
    f"""
    SELECT v.title AS variant_title, v.sku, v.currency AS price_currency, v.amount_minor,
        p.id::text AS product_id, p.title AS product_title, p.status AS product_status,
        ({price_store.LISTED.format(variant="v", currency=":currency")}) AS listed,
        ({inventory_store.OFFERED_TO.format(variant="v", owner="CAST(:cart_id AS uuid)")}) AS stock
    FROM variants v JOIN products p ON p.tenant_id = v.tenant_id AND p.id = v.product_id
    WHERE v.tenant_id = CAST(:tenant_id AS uuid) AND v.id = CAST(:id AS uuid)
    """
)
_VALUES = ", ".join(f"CAST(:{name} AS uuid)" if name in _IDS else f":{name}" for name in _CART)
_ADD = text(
    f"INSERT INTO carts (tenant_id, id, line_count, {', '.join(_CART)}) "
    f"VALUES (CAST(:tenant_id AS uuid), CAST(:id AS uuid), :line_count, {_VALUES})"
)
_SAVE = text(
    f"UPDATE carts SET (line_count, {', '.join(_CART)}) = ROW (:line_count, {_VALUES}) "
    "WHERE tenant_id = CAST(:tenant_id AS uuid) AND id = CAST(:id AS uuid)"
)
_DROP_LINES = text(
    "DELETE FROM cart_lines WHERE tenant_id = CAST(:tenant_id AS uuid) AND cart_id = CAST(:cart_id AS uuid) "
    "AND id = ANY (CAST(:ids AS uuid[]))"
)
_KEEP_LINES = text(
    """
    INSERT INTO cart_lines (tenant_id, cart_id, id, variant_id, options, options_hash, quantity)
    SELECT CAST(:tenant_id AS uuid), CAST(:cart_id AS uuid), n.*
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:variants AS uuid[]), CAST(:options AS jsonb[]), CAST(:hashes AS text[]),
        CAST(:quantities AS bigint[])
    ) n
    ON CONFLICT (tenant_id, id) DO UPDATE SET quantity = excluded.quantity
    """
)
_DROP_CODES = text(
    "DELETE FROM cart_codes WHERE tenant_id = CAST(:tenant_id AS uuid) AND cart_id = CAST(:cart_id AS uuid)"
)
_KEEP_CODES = text(
    """
    INSERT INTO cart_codes (tenant_id, cart_id, code, entered, position)
    SELECT CAST(:tenant_id AS uuid), CAST(:cart_id AS uuid), n.*
    FROM unnest(CAST(:codes AS text[]), CAST(:entered AS text[])) WITH ORDINALITY n
    """
)


async def lock(tx: AsyncConnection, tenant_id: str, *cart_ids: str) -> None:
    """A statement of its own: one that waits for a lock gets the row as it is then, and other rows as they were."""
    await tx.execute(_LOCK, {"tenant_id": tenant_id, "ids": list(cart_ids)})


async def get(tx: AsyncConnection, tenant_id: str, cart_id: str) -> tuple[Cart, dict[str, Offer]]:
    """The cart, and what its variants are offered at now. Who wants to change it has locked it.

    NotFound CART_NOT_FOUND; not so for one that was merged, which whoever merges has to see.
    """
    rows = (await tx.execute(_GET, {"tenant_id": tenant_id, "id": cart_id})).all()
    if not rows:
        raise missing(cart_id)
    lines = [row for row in rows if row.line_id is not None]
    offers = {row.variant_id: _offer(row) for row in lines if row.product_id is not None}
    return _cart(rows[0], lines, rows[0].codes), offers


def missing(cart_id: str) -> NotFound:
    # The id is not in the words: those are logged, and it may be the key to another shop's cart.
    return NotFound("CART_NOT_FOUND", "no such cart in this shop", id=cart_id)


async def offer(tx: AsyncConnection, tenant_id: str, variant_id: str, cart: Cart) -> Offer | None:
    """What it is offered at now, to that cart."""
    about = {"tenant_id": tenant_id, "id": variant_id, "currency": cart.currency, "cart_id": cart.id}
    row = (await tx.execute(_OFFER, about)).one_or_none()
    return None if row is None else _offer(row)


async def page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[tuple[Cart, int]], list[Value] | None]:
    """A page of carts without what is in them, each with how many lines that is, and the cursor of the next page."""
    found = select(carts).where(carts.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [(_cart(row, (), ()), row.line_count) for row in rows], following


async def add(tx: AsyncConnection, tenant_id: str, new: Cart) -> None:
    await tx.execute(_ADD, _values(tenant_id, new))


async def save(tx: AsyncConnection, tenant_id: str, before: Cart, after: Cart) -> None:
    """Writes what differs. Whoever calls holds the lock."""
    key = {"tenant_id": tenant_id, "cart_id": after.id}
    await tx.execute(_SAVE, _values(tenant_id, after))
    known, left = set(before.lines), {line.id for line in after.lines}
    if gone := [line.id for line in before.lines if line.id not in left]:
        await tx.execute(_DROP_LINES, {**key, "ids": gone})
    if changed := [line for line in after.lines if line not in known]:
        await tx.execute(_KEEP_LINES, {**key, **_lines(changed)})
    if before.codes != after.codes:
        await tx.execute(_DROP_CODES, key)
    if after.codes and before.codes != after.codes:
        codes = {"codes": [code.code for code in after.codes], "entered": [code.entered for code in after.codes]}
        await tx.execute(_KEEP_CODES, {**key, **codes})


async def of_customer(tx: AsyncConnection, tenant_id: str, customer_id: str) -> list[str]:
    """The ids of a customer's carts."""
    c = carts.c
    stmt = select(c.id).where(c.tenant_id == tenant_id, c.customer_id == customer_id).order_by(c.id)
    return list((await tx.execute(stmt)).scalars())


async def delete(tx: AsyncConnection, tenant_id: str, cart_ids: Sequence[str]) -> None:
    """With what is in them."""
    for table, column in (("cart_lines", "cart_id"), ("cart_codes", "cart_id"), ("carts", "id")):
        await tx.execute(
            text(
                f"DELETE FROM {table} WHERE tenant_id = CAST(:tenant_id AS uuid) "
                f"AND {column} = ANY (CAST(:ids AS uuid[]))"
            ),
            {"tenant_id": tenant_id, "ids": list(cart_ids)},
        )


async def locked_since(tx: AsyncConnection, tenant_id: str, cart_ids: Sequence[str], before: datetime) -> list[str]:
    """Which of the carts nobody has touched since, locked so that nobody does."""
    rows = await tx.execute(
        text(
            "SELECT id::text FROM carts WHERE tenant_id = CAST(:tenant_id AS uuid) "
            "AND id = ANY (CAST(:ids AS uuid[])) AND update_time <= :before ORDER BY id FOR UPDATE"
        ),
        {"tenant_id": tenant_id, "ids": list(cart_ids), "before": before},
    )
    return list(rows.scalars())


def _values(tenant_id: str, cart: Cart) -> dict[str, Any]:
    values: Mapping[str, Any] = {name: getattr(cart, name) for name in _CART}
    return {"tenant_id": tenant_id, "id": cart.id, "line_count": len(cart.lines), **values}


def _lines(lines: Sequence[Line]) -> dict[str, Any]:
    return {
        "ids": [line.id for line in lines],
        "variants": [line.variant_id for line in lines],
        "options": [json.dumps(line.options) for line in lines],
        "hashes": [options_hash(line.options) for line in lines],
        "quantities": [line.quantity for line in lines],
    }


def _cart(row: Any, lines: Sequence[Any], codes: Sequence[Sequence[str]]) -> Cart:
    values = {name: getattr(row, name) for name in _CART}
    return Cart(
        **{
            **values,
            "id": row.id,
            "state": State(row.state),
            "lines": tuple(map(_line, lines)),
            "codes": tuple(Code(*code) for code in codes),
        }
    )


def _line(row: Any) -> Line:
    options = tuple((name, value) for name, value in row.options)
    return Line(row.line_id, row.variant_id, options, row.quantity)


def _offer(row: Any) -> Offer:
    return Offer(
        product_id=row.product_id,
        product_title=row.product_title,
        product_status=row.product_status,
        variant_title=row.variant_title,
        sku=row.sku,
        price=Money(row.price_currency, row.amount_minor),
        listed=price_store.listed(row.listed),
        available=row.stock[0],
        allows_backorder=bool(row.stock[1]),
    )
