"""Categories and collections in PostgreSQL. Every function runs in the caller's transaction, whose tenant the row
policies enforce."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, delete, exists, insert, select, text, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.merchandising.domain import Category, Collection, Tree
from dataplane.merchandising.tables import categories, collection_products, collections, product_categories
from dataplane.products.store import missing as missing_product
from dataplane.tables import products
from shared.runtime import paging
from shared.runtime.db import constraints
from shared.runtime.errors import AlreadyExists, NotFound, PlatformError, stale
from shared.runtime.paging import Ordering, Value

_TAKEN: Mapping[str, PlatformError] = {
    "categories_tenant_id_handle_key": AlreadyExists("HANDLE_TAKEN", "another category has this handle"),
    "collections_tenant_id_handle_key": AlreadyExists("HANDLE_TAKEN", "another collection has this handle"),
}


async def lock_tree(tx: AsyncConnection, tenant_id: str) -> Tree:
    """All categories of the shop; nobody else changes one until the transaction ends."""
    await tx.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('categories ' || :t, 0))"), {"t": tenant_id})
    found = await tx.execute(select(categories).where(categories.c.tenant_id == tenant_id))
    return {row.id: _category(row) for row in found}


async def add_category(tx: AsyncConnection, tenant_id: str, new: Category) -> None:
    with constraints(_TAKEN):
        await tx.execute(insert(categories).values(tenant_id=tenant_id, **asdict(new)))


async def save_category(tx: AsyncConnection, tenant_id: str, after: Category) -> None:
    await _save(tx, categories, tenant_id, after)


async def delete_category(tx: AsyncConnection, tenant_id: str, category_id: str) -> None:
    c = product_categories.c
    await tx.execute(delete(product_categories).where(c.tenant_id == tenant_id, c.category_id == category_id))
    await tx.execute(delete(categories).where(categories.c.tenant_id == tenant_id, categories.c.id == category_id))


async def category_named(tx: AsyncConnection, tenant_id: str, handle: str) -> Category:
    stmt = select(categories).where(categories.c.tenant_id == tenant_id, categories.c.handle == handle)
    if (row := (await tx.execute(stmt)).one_or_none()) is None:
        raise NotFound("CATEGORY_NOT_FOUND", f"no category has the handle {handle}", handle=handle)
    return _category(row)


async def page_of_categories(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    product_id: str,
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Category], list[Value] | None]:
    """product_id: whose categories they are; empty for any."""
    of = product_categories.c
    holds = exists().where(
        of.tenant_id == tenant_id, of.category_id == categories.c.id, of.product_id == (product_id or None)
    )
    found = select(categories).where(categories.c.tenant_id == tenant_id, condition, holds if product_id else true())
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_category(row) for row in rows], following


async def product_categories_of(tx: AsyncConnection, tenant_id: str, product_id: str) -> set[str]:
    of = product_categories.c
    stmt = select(of.category_id).where(of.tenant_id == tenant_id, of.product_id == product_id)
    return set((await tx.execute(stmt)).scalars())


async def categorize(
    tx: AsyncConnection, tenant_id: str, product_id: str, added: Sequence[str], gone: Sequence[str]
) -> None:
    of = product_categories.c
    if gone:
        mine = (of.tenant_id == tenant_id) & (of.product_id == product_id)
        await tx.execute(delete(product_categories).where(mine, of.category_id.in_(gone)))
    if added:
        rows = [{"tenant_id": tenant_id, "product_id": product_id, "category_id": each} for each in added]
        await tx.execute(insert(product_categories), rows)


async def collection(tx: AsyncConnection, tenant_id: str, collection_id: str, *, lock: bool = False) -> Collection:
    stmt = select(collections).where(collections.c.tenant_id == tenant_id, collections.c.id == collection_id)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    if row is None:
        raise NotFound("COLLECTION_NOT_FOUND", f"no collection {collection_id} in this shop", id=collection_id)
    return _collection(row)


async def collection_named(tx: AsyncConnection, tenant_id: str, handle: str) -> Collection:
    stmt = select(collections).where(collections.c.tenant_id == tenant_id, collections.c.handle == handle)
    if (row := (await tx.execute(stmt)).one_or_none()) is None:
        raise NotFound("COLLECTION_NOT_FOUND", f"no collection has the handle {handle}", handle=handle)
    return _collection(row)


async def page_of_collections(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Collection], list[Value] | None]:
    found = select(collections).where(collections.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_collection(row) for row in rows], following


async def add_collection(tx: AsyncConnection, tenant_id: str, new: Collection) -> None:
    with constraints(_TAKEN):
        await tx.execute(insert(collections).values(tenant_id=tenant_id, **asdict(new)))


async def save_collection(tx: AsyncConnection, tenant_id: str, after: Collection) -> None:
    await _save(tx, collections, tenant_id, after)


async def delete_collection(tx: AsyncConnection, tenant_id: str, collection_id: str) -> None:
    await _empty(tx, tenant_id, collection_id)
    c = collections.c
    await tx.execute(delete(collections).where(c.tenant_id == tenant_id, c.id == collection_id))


async def products_of(tx: AsyncConnection, tenant_id: str, collection_id: str) -> list[str]:
    """In their order."""
    of = collection_products.c
    stmt = select(of.product_id).where(of.tenant_id == tenant_id, of.collection_id == collection_id)
    return list((await tx.execute(stmt.order_by(of.position))).scalars())


async def fill(tx: AsyncConnection, tenant_id: str, collection_id: str, product_ids: Sequence[str]) -> None:
    """NotFound PRODUCT_NOT_FOUND. Whoever calls has locked the collection."""
    c = products.c
    known = select(c.id).where(c.tenant_id == tenant_id, c.id.in_(product_ids))
    if unknown := set(product_ids) - set((await tx.execute(known)).scalars()):
        raise missing_product(min(unknown))
    await _empty(tx, tenant_id, collection_id)
    if product_ids:
        of = {"tenant_id": tenant_id, "collection_id": collection_id}
        rows = [{**of, "product_id": each, "position": place} for place, each in enumerate(product_ids)]
        await tx.execute(insert(collection_products), rows)


async def _empty(tx: AsyncConnection, tenant_id: str, collection_id: str) -> None:
    of = collection_products.c
    await tx.execute(delete(collection_products).where(of.tenant_id == tenant_id, of.collection_id == collection_id))


async def _save(tx: AsyncConnection, table: Table, tenant_id: str, after: Category | Collection) -> None:
    """Over the version just before."""
    c = table.c
    place = (c.tenant_id == tenant_id) & (c.id == after.id) & (c.version == after.version - 1)
    with constraints(_TAKEN):
        saved = await tx.execute(update(table).where(place).values(**asdict(after)))
    if saved.rowcount != 1:
        raise stale(type(after).__name__.lower(), after.id)


def _category(row: Row[Any]) -> Category:
    return Category(**{name: value for name, value in row._mapping.items() if name != "tenant_id"})


def _collection(row: Row[Any]) -> Collection:
    return Collection(**{name: value for name, value in row._mapping.items() if name != "tenant_id"})
