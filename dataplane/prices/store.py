"""Price lists in PostgreSQL. Every function runs in the caller's transaction, whose tenant the row policies enforce."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.prices.domain import MOST_LISTS, Listed, Price, PriceList, Status
from dataplane.prices.tables import price_lists, prices
from shared.runtime import paging
from shared.runtime.errors import NotFound, ResourceExhausted, stale
from shared.runtime.money import Money
from shared.runtime.paging import Ordering, Value

# For a query that offers variants: what lists say of one, in one currency, as one value. By (tenant_id, variant_id).
LISTED = """
    SELECT jsonb_agg(jsonb_build_array(
        pl.id, pl.display_name, pl.start_time, pl.end_time, pr.min_quantity, pl.currency, pr.amount_minor
    ))
    FROM prices pr JOIN price_lists pl ON pl.tenant_id = pr.tenant_id AND pl.id = pr.list_id
    WHERE pr.tenant_id = {variant}.tenant_id AND pr.variant_id = {variant}.id
        AND pl.currency = {currency} AND pl.status = 'ACTIVE'
"""


def listed(found: Sequence[Sequence[Any]] | None) -> tuple[Listed, ...]:
    """What LISTED gives."""
    return tuple(
        Listed(list_id, name, _moment(starts), _moment(ends), min_quantity, Money(currency, amount_minor))
        for list_id, name, starts, ends, min_quantity, currency, amount_minor in found or ()
    )


def _moment(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written)


async def get(tx: AsyncConnection, tenant_id: str, list_id: str, *, lock: bool = False) -> PriceList:
    """NotFound PRICE_LIST_NOT_FOUND."""
    stmt = select(price_lists).where(price_lists.c.tenant_id == tenant_id, price_lists.c.id == list_id)
    if lock:
        stmt = stmt.with_for_update(key_share=True)
    row = (await tx.execute(stmt)).one_or_none()
    if row is None:
        raise NotFound("PRICE_LIST_NOT_FOUND", f"no price list {list_id} in this shop", id=list_id)
    return _price_list(row)


async def page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[PriceList], list[Value] | None]:
    """A page of price lists, and the cursor of the next one if there is more."""
    found = select(price_lists).where(price_lists.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_price_list(row) for row in rows], following


async def page_of_prices(
    tx: AsyncConnection,
    tenant_id: str,
    list_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Price], list[Value] | None]:
    found = select(prices).where(prices.c.tenant_id == tenant_id, prices.c.list_id == list_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_price(row) for row in rows], following


async def add(tx: AsyncConnection, tenant_id: str, new: PriceList) -> None:
    """ResourceExhausted PRICE_LIST_LIMIT_REACHED."""
    # One at a time for each tenant, so that the number is right.
    await tx.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('price lists ' || :t, 0))"), {"t": tenant_id})
    if (await tx.execute(_ACTIVE, {"tenant_id": tenant_id})).scalar_one() >= MOST_LISTS:
        message = f"a shop has at most {MOST_LISTS} price lists that are not archived"
        raise ResourceExhausted("PRICE_LIST_LIMIT_REACHED", message, limit=str(MOST_LISTS))
    await tx.execute(insert(price_lists).values(tenant_id=tenant_id, id=new.id, **_values(new)))


_ACTIVE = text("SELECT count(*) FROM price_lists WHERE tenant_id = CAST(:tenant_id AS uuid) AND status = 'ACTIVE'")


async def save(tx: AsyncConnection, tenant_id: str, after: PriceList) -> None:
    """Over the version just before. Aborted ETAG_MISMATCH."""
    c = price_lists.c
    place = (c.tenant_id == tenant_id) & (c.id == after.id) & (c.version == after.version - 1)
    if (await tx.execute(update(price_lists).where(place).values(**_values(after)))).rowcount != 1:
        raise stale("price list", after.id)


async def lock_variants(tx: AsyncConnection, tenant_id: str, variant_ids: Sequence[str]) -> None:
    """So that none goes meanwhile; before any price is locked, since one that goes takes its prices along.

    NotFound VARIANT_NOT_FOUND.
    """
    found = await tx.execute(_LOCK_VARIANTS, {"tenant_id": tenant_id, "ids": list(variant_ids)})
    if unknown := set(variant_ids) - set(found.scalars()):
        first = min(unknown)
        raise NotFound("VARIANT_NOT_FOUND", f"no variant {first} in this shop", id=first)


_LOCK_VARIANTS = text(
    "SELECT id::text FROM variants WHERE tenant_id = CAST(:tenant_id AS uuid) AND id = ANY (CAST(:ids AS uuid[])) "
    "ORDER BY id FOR KEY SHARE"
)


async def prices_of(tx: AsyncConnection, tenant_id: str, list_id: str, variant_ids: Sequence[str]) -> list[Price]:
    """What the list has for the variants, by variant and quantity."""
    key = {"tenant_id": tenant_id, "list_id": list_id, "variants": list(variant_ids)}
    return [_price(row) for row in await tx.execute(_PRICES_OF, key)]


_PRICES_OF = text(
    """
    SELECT variant_id::text AS variant_id, min_quantity, amount_minor FROM prices
    WHERE tenant_id = CAST(:tenant_id AS uuid) AND list_id = CAST(:list_id AS uuid)
        AND variant_id = ANY (CAST(:variants AS uuid[]))
    ORDER BY variant_id, min_quantity
    """
)


async def replace_prices(
    tx: AsyncConnection, tenant_id: str, list_id: str, variant_ids: Sequence[str], new: Sequence[Price]
) -> None:
    """new: all that the list has for the variants from then on."""
    key = {"tenant_id": tenant_id, "list_id": list_id}
    await tx.execute(_DROP, {**key, "variants": list(variant_ids)})
    values = {
        "variants": [each.variant_id for each in new],
        "quantities": [each.min_quantity for each in new],
        "amounts": [each.amount_minor for each in new],
    }
    await tx.execute(_ADD, {**key, **values})


_DROP = text(
    "DELETE FROM prices WHERE tenant_id = CAST(:tenant_id AS uuid) AND list_id = CAST(:list_id AS uuid) "
    "AND variant_id = ANY (CAST(:variants AS uuid[]))"
)
_ADD = text(
    """
    INSERT INTO prices (tenant_id, list_id, variant_id, min_quantity, amount_minor)
    SELECT CAST(:tenant_id AS uuid), CAST(:list_id AS uuid), n.*
    FROM unnest(CAST(:variants AS uuid[]), CAST(:quantities AS bigint[]), CAST(:amounts AS bigint[])) n
    """
)


def _values(price_list: PriceList) -> Mapping[str, Any]:
    """All but the key."""
    return {
        "display_name": price_list.display_name,
        "currency": price_list.currency,
        "start_time": price_list.starts,
        "end_time": price_list.ends,
        "status": price_list.status.value,
        "version": price_list.version,
        "create_time": price_list.create_time,
        "update_time": price_list.update_time,
    }


def _price_list(row: Any) -> PriceList:
    return PriceList(
        id=row.id,
        display_name=row.display_name,
        currency=row.currency,
        create_time=row.create_time,
        update_time=row.update_time,
        starts=row.start_time,
        ends=row.end_time,
        status=Status(row.status),
        version=row.version,
    )


def _price(row: Any) -> Price:
    return Price(row.variant_id, row.min_quantity, row.amount_minor)
