"""What a tenant has in this cluster, counted: in a tenant's transaction, whose snapshot all figures share."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.carts.tables import carts
from dataplane.customers.tables import customers
from dataplane.inventory.tables import stock_levels
from dataplane.orders.tables import orders
from dataplane.tables import products, variants
from shared.media.tables import media_usage


@dataclass(frozen=True, slots=True)
class Stock:
    """In units, over all variants and locations."""

    levels: int
    on_hand: int
    reserved: int
    backordered: int


@dataclass(frozen=True, slots=True)
class Orders:
    """Of one state and currency, in minor units."""

    state: str
    currency: str
    count: int
    total_minor: int
    paid_minor: int
    refunded_minor: int


@dataclass(frozen=True, slots=True)
class Figures:
    """products: by status. last_write: when a product was changed last."""

    products: dict[str, int]
    variants: int
    last_write: datetime | None
    open_carts: int
    customers: int
    stock: Stock
    media_bytes: int
    orders: list[Orders]


async def count(tx: AsyncConnection, tenant_id: str) -> Figures:
    """tenant_id: whose transaction it is."""
    one = (await tx.execute(_single(tenant_id))).one()
    p = products.c
    by_status = select(p.status, func.count().label("rows")).where(p.tenant_id == tenant_id).group_by(p.status)
    return Figures(
        products={row.status: row.rows for row in await tx.execute(by_status)},
        variants=one.variants,
        last_write=one.last_write,
        open_carts=one.open_carts,
        customers=one.customers,
        stock=await _stock(tx, tenant_id),
        media_bytes=one.media_bytes or 0,
        orders=await _orders(tx, tenant_id),
    )


def _single(tenant_id: str) -> Select[Any]:
    of_variants = select(func.count()).select_from(variants).where(variants.c.tenant_id == tenant_id)
    last = select(func.max(products.c.update_time)).where(products.c.tenant_id == tenant_id)
    is_open = select(func.count()).select_from(carts).where(carts.c.tenant_id == tenant_id, carts.c.state == "OPEN")
    known = select(func.count()).select_from(customers)
    known = known.where(customers.c.tenant_id == tenant_id, customers.c.state == "ACTIVE")
    stored = select(media_usage.c.stored_bytes).where(media_usage.c.tenant_id == tenant_id)
    return select(
        of_variants.scalar_subquery().label("variants"),
        last.scalar_subquery().label("last_write"),
        is_open.scalar_subquery().label("open_carts"),
        known.scalar_subquery().label("customers"),
        stored.scalar_subquery().label("media_bytes"),
    )


async def _stock(tx: AsyncConnection, tenant_id: str) -> Stock:
    s = stock_levels.c
    sums = [func.coalesce(func.sum(each), 0) for each in (s.on_hand, s.reserved, s.backordered)]
    row = (await tx.execute(select(func.count(), *sums).where(s.tenant_id == tenant_id))).one()
    return Stock(*map(int, row))


async def _orders(tx: AsyncConnection, tenant_id: str) -> list[Orders]:
    o = orders.c
    sums = [func.sum(each) for each in (o.total_minor, o.paid_minor, o.refunded_minor)]
    stmt = select(o.state, o.currency, func.count(), *sums).where(o.tenant_id == tenant_id)
    rows = await tx.execute(stmt.group_by(o.state, o.currency).order_by(o.state, o.currency))
    return [Orders(state, currency, *map(int, counted)) for state, currency, *counted in rows]
