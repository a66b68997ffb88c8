"""Products in PostgreSQL. Every function runs in the caller's transaction, whose tenant the row policies enforce.

Queries name the tenant all the same. The planner does not see the policy's value, and takes every tenant for an average
one: it read all of a large tenant's products where an index gives the few that were asked for.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from sqlalchemy import ColumnElement, TextClause, exc, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.features.domain import Grants, no_room
from dataplane.products.domain import Media, Option, Product, Status, Variant
from dataplane.tables import products
from shared.runtime import paging
from shared.runtime.db import Database, constraints, violated
from shared.runtime.errors import Aborted, AlreadyExists, FailedPrecondition, NotFound, PlatformError, anew
from shared.runtime.money import Money
from shared.runtime.paging import Ordering, Value

_NO_FILE = "product_media_tenant_id_media_id_fkey"
_IN_STOCK = "stock_levels_tenant_id_variant_id_fkey"
TAKEN: Mapping[str, PlatformError] = {
    "products_tenant_id_handle_key": AlreadyExists("HANDLE_TAKEN", "another product has this handle"),
    "variants_tenant_id_sku_key": AlreadyExists("SKU_TAKEN", "another variant has this SKU"),
    _IN_STOCK: FailedPrecondition(
        "VARIANT_IN_STOCK", "a variant that would go is in stock; book its stock out first, or archive the product"
    ),
    # A file is there once its upload is finalized, and not before.
    _NO_FILE: NotFound("MEDIA_NOT_FOUND", "a file that the product would show is not in this shop"),
}

# [[id, alternative text], ...], or nothing.
_MEDIA = """
    (SELECT jsonb_agg(jsonb_build_array(m.media_id, m.alt_text) ORDER BY m.position) FROM product_media m
        WHERE m.tenant_id = products.tenant_id AND m.product_id = products.id)
"""
# [[id, SKU, title, currency, minor units, options], ...], or nothing: with their products, for one round trip.
_VARIANTS = """
    (SELECT jsonb_agg(
        jsonb_build_array(v.id, v.sku, v.title, v.currency, v.amount_minor, v.options) ORDER BY v.position
    ) FROM variants v WHERE v.tenant_id = products.tenant_id AND v.product_id = products.id)
"""
_COLUMNS: tuple[ColumnElement[Any], ...] = (
    products.c.id,
    products.c.handle,
    products.c.title,
    products.c.description,
    products.c.status,
    products.c.version,
    products.c.create_time,
    products.c.update_time,
    products.c.options,
    literal_column(_MEDIA).label("media"),
    literal_column(_VARIANTS).label("variants"),
)


_LOCK = text("SELECT 1 FROM products WHERE tenant_id = CAST(:tenant_id AS uuid) AND id = CAST(:id AS uuid) FOR UPDATE")
# The most frequent queries of all: a round trip each, with all that is to be known of a product in a row.
_ONE: LiteralString = f"""
    SELECT id::text AS id, handle, title, description, status, version, create_time, update_time, options,
        {_MEDIA} AS media, {_VARIANTS} AS variants
    FROM products WHERE tenant_id = %(tenant_id)s::uuid
"""
_BY_ID: LiteralString = f"{_ONE} AND id = %(id)s::uuid"
_BY_HANDLE: LiteralString = f"{_ONE} AND handle = %(handle)s"


async def read(reads: Database, tenant_id: str, product_id: str) -> Product:
    """In a transaction of its own. NotFound PRODUCT_NOT_FOUND."""
    about = {"tenant_id": tenant_id, "id": product_id}
    rows = await reads.once(_BY_ID, about, tenant_id=tenant_id)
    if not rows:
        raise missing(product_id)
    return _whole(rows[0])


async def read_named(reads: Database, tenant_id: str, handle: str) -> Product:
    """In a transaction of its own. NotFound PRODUCT_NOT_FOUND."""
    about = {"tenant_id": tenant_id, "handle": handle}
    rows = await reads.once(_BY_HANDLE, about, tenant_id=tenant_id)
    if not rows:
        raise unnamed(handle)
    return _whole(rows[0])


async def lock(tx: AsyncConnection, tenant_id: str, product_id: str) -> Product:
    """To be changed. NotFound PRODUCT_NOT_FOUND."""
    # A statement of its own: one that waits for a lock gets the row as it is then, and the variants as they were.
    await tx.execute(_LOCK, {"tenant_id": tenant_id, "id": product_id})
    found = await some(tx, tenant_id, [product_id.lower()])
    if not found:
        raise missing(product_id)
    return found[0]


def missing(product_id: str) -> NotFound:
    return NotFound("PRODUCT_NOT_FOUND", f"no product {product_id} in this shop", id=product_id)


def unnamed(handle: str) -> NotFound:
    return NotFound("PRODUCT_NOT_FOUND", f"no product has the handle {handle} in this shop", handle=handle)


async def page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Product], list[Value] | None]:
    """A page of products, and the cursor of the next one if there is more."""
    found = select(*_COLUMNS).where(products.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_whole(row) for row in rows], following


async def search(
    tx: AsyncConnection, tenant_id: str, words: str, cursor: Sequence[Value] | None, size: int
) -> tuple[list[Product], list[Value] | None]:
    """A page of active products that match, best first."""
    below_rank, below_id = cursor if cursor is not None else (None, None)
    found = (
        await tx.execute(
            text(
                "SELECT id::text, rank FROM search_products("
                "CAST(:words AS text), CAST(:below_rank AS int), CAST(:below_id AS uuid), CAST(:at_most AS int))"
            ),
            {"words": words, "below_rank": below_rank, "below_id": below_id, "at_most": size + 1},
        )
    ).all()
    following: list[Value] | None = [found[size - 1].rank, found[size - 1].id] if len(found) > size else None
    return await some(tx, tenant_id, [row.id for row in found[:size]]), following


# One look into the index for each name. With `= ANY (names)` the planner takes a name that many shops use for one that
# has many rows in this shop, and rather reads the whole shop.
_WITH_HANDLES = """
    SELECT found.id FROM unnest(CAST(:handles AS text[])) wanted (handle)
    CROSS JOIN LATERAL (
        SELECT id FROM products WHERE tenant_id = CAST(:tenant_id AS uuid) AND handle = wanted.handle LIMIT 1
    ) found
"""
_WITH_SKUS = """
    SELECT found.sku, found.product_id::text FROM unnest(CAST(:skus AS text[])) wanted (sku)
    CROSS JOIN LATERAL (
        SELECT sku, product_id FROM variants WHERE tenant_id = CAST(:tenant_id AS uuid) AND sku = wanted.sku LIMIT 1
    ) found
"""


async def by_handle(tx: AsyncConnection, tenant_id: str, handles: Sequence[str]) -> dict[str, Product]:
    """The products that have one of the handles, locked in one order for everybody."""
    with_handles = text(f"ARRAY({_WITH_HANDLES})").bindparams(handles=list(handles), tenant_id=tenant_id)
    stmt = select(products.c.id).where(products.c.tenant_id == tenant_id, products.c.id == func.any(with_handles))
    # A statement of its own, as in lock().
    ids = (await tx.execute(stmt.order_by(products.c.id).with_for_update())).scalars().all()
    return {product.handle: product for product in await some(tx, tenant_id, ids)}


async def sku_owners(tx: AsyncConnection, tenant_id: str, skus: Sequence[str]) -> dict[str, str]:
    """SKU -> id of the product that has it."""
    rows = await tx.execute(text(_WITH_SKUS), {"skus": list(skus), "tenant_id": tenant_id})
    return {row.sku: row.product_id for row in rows}


async def refuse_in_stock(tx: AsyncConnection, tenant_id: str, variant_ids: Sequence[str]) -> None:
    """FailedPrecondition VARIANT_IN_STOCK: there is some of one of them. Others may book some in before this
    transaction ends: what counts is save()."""
    if variant_ids and (await tx.execute(_STOCKED, {"tenant_id": tenant_id, "ids": list(variant_ids)})).first():
        raise anew(TAKEN[_IN_STOCK])


_STOCKED = text(
    """
    SELECT 1 FROM stock_levels WHERE tenant_id = CAST(:tenant_id AS uuid) AND variant_id = ANY (CAST(:ids AS uuid[]))
        AND (on_hand <> 0 OR backordered <> 0) LIMIT 1
    """
)


async def known_files(tx: AsyncConnection, tenant_id: str, media_ids: Sequence[str]) -> set[str]:
    """Which of the files the shop has. One may go before this transaction ends: what counts is add() and save()."""
    found = await tx.execute(_FILES, {"tenant_id": tenant_id, "ids": list(media_ids)}) if media_ids else ()
    return {row.id for row in found}


_FILES = text(
    "SELECT id::text AS id FROM media WHERE tenant_id = CAST(:tenant_id AS uuid) AND id = ANY (CAST(:ids AS uuid[]))"
)


async def add(tx: AsyncConnection, tenant_id: str, new: Sequence[Product], grants: Grants) -> None:
    """AlreadyExists HANDLE_TAKEN or SKU_TAKEN, NotFound MEDIA_NOT_FOUND, ResourceExhausted PRODUCT_LIMIT_REACHED; then
    none of them is there.

    grants: for what the refusal says; the limit is the database's.
    """
    if not new:
        return
    with constraints(TAKEN), _limited(grants):
        await tx.execute(_ADD, {"tenant_id": tenant_id, **_arrays(new)})
        await _keep_variants(tx, tenant_id, new)
        await _keep_media(tx, tenant_id, new)


async def room(tx: AsyncConnection) -> tuple[int, int] | None:
    """How many more products the tenant's plan allows now, and how many in all; None where there is no limit.

    Others may take that room before this transaction does: what counts is add().
    """
    row = (await tx.execute(text("SELECT room, most FROM products_room()"))).one_or_none()
    return None if row is None else (row.room, row.most)


@contextmanager
def _limited(grants: Grants) -> Iterator[None]:
    """The trigger that counts says how many there may be."""
    try:
        yield
    except exc.IntegrityError as error:
        if violated(error) != "products_limit" or not isinstance(error.orig, psycopg.Error):
            raise
        raise no_room(grants, error.orig.diag.message_detail or "") from error


async def save(tx: AsyncConnection, tenant_id: str, changed: Sequence[Product]) -> None:
    """Writes each over the version just before it. Aborted ETAG_MISMATCH when one is not there, FailedPrecondition
    VARIANT_IN_STOCK when a variant would go that there is some of, or that somebody waits for, NotFound
    MEDIA_NOT_FOUND."""
    if not changed:
        return
    with constraints(TAKEN):
        saved = await tx.execute(_SAVE, {"tenant_id": tenant_id, **_arrays(changed)})
        if saved.rowcount != len(changed):
            raise Aborted("ETAG_MISMATCH", "the product changed meanwhile; read it again")
        # First those that go: a SKU may go from one variant to another in one change.
        kept = [variant.id for product in changed for variant in product.variants]
        await tx.execute(_DROP_VARIANTS, {"tenant_id": tenant_id, "products": [p.id for p in changed], "kept": kept})
        await _keep_variants(tx, tenant_id, changed)
        shown = {"products": [p.id for p in changed], "counts": [len(p.media) for p in changed]}
        await tx.execute(_DROP_MEDIA, {"tenant_id": tenant_id, **shown})
        await _keep_media(tx, tenant_id, changed)


_ADD = text(
    """
    INSERT INTO products (tenant_id, id, handle, title, description, status, version, create_time, update_time, options)
    SELECT CAST(:tenant_id AS uuid), n.*
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:handles AS text[]), CAST(:titles AS text[]), CAST(:descriptions AS text[]),
        CAST(:statuses AS text[]), CAST(:versions AS bigint[]), CAST(:create_times AS timestamptz[]),
        CAST(:update_times AS timestamptz[]), CAST(:options AS jsonb[])
    ) n
    """
)

_SAVE = text(
    """
    UPDATE products p
    SET handle = n.handle, title = n.title, description = n.description, status = n.status, version = n.version,
        update_time = n.update_time, options = n.options
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:handles AS text[]), CAST(:titles AS text[]), CAST(:descriptions AS text[]),
        CAST(:statuses AS text[]), CAST(:versions AS bigint[]), CAST(:create_times AS timestamptz[]),
        CAST(:update_times AS timestamptz[]), CAST(:options AS jsonb[])
    ) n (id, handle, title, description, status, version, create_time, update_time, options)
    WHERE p.tenant_id = CAST(:tenant_id AS uuid) AND p.id = n.id AND p.version = n.version - 1
    """
)

# With the levels that say that there is nothing; any other refuses to go.
_DROP_VARIANTS = text(
    """
    WITH gone AS (
        SELECT id FROM variants
        WHERE tenant_id = CAST(:tenant_id AS uuid) AND product_id = ANY (CAST(:products AS uuid[]))
            AND id <> ALL (CAST(:kept AS uuid[]))
    ), emptied AS (
        DELETE FROM stock_levels
        WHERE tenant_id = CAST(:tenant_id AS uuid) AND variant_id IN (SELECT id FROM gone)
            AND on_hand = 0 AND backordered = 0
    )
    DELETE FROM variants WHERE tenant_id = CAST(:tenant_id AS uuid) AND id IN (SELECT id FROM gone)
    """
)

# In place: what refers to a variant that stays keeps it.
_KEEP_VARIANTS = text(
    """
    INSERT INTO variants (tenant_id, id, product_id, position, sku, title, currency, amount_minor, options)
    SELECT CAST(:tenant_id AS uuid), n.*
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:products AS uuid[]), CAST(:positions AS int[]), CAST(:skus AS text[]),
        CAST(:titles AS text[]), CAST(:currencies AS text[]), CAST(:amounts AS bigint[]), CAST(:options AS jsonb[])
    ) n
    ON CONFLICT (tenant_id, id) DO UPDATE SET position = excluded.position, sku = excluded.sku,
        title = excluded.title, currency = excluded.currency, amount_minor = excluded.amount_minor,
        options = excluded.options
    """
)

_DROP_MEDIA = text(
    """
    DELETE FROM product_media m
    USING unnest(CAST(:products AS uuid[]), CAST(:counts AS int[])) n (product_id, kept)
    WHERE m.tenant_id = CAST(:tenant_id AS uuid) AND m.product_id = n.product_id AND m.position >= n.kept
    """
)
_KEEP_MEDIA = text(
    """
    INSERT INTO product_media (tenant_id, product_id, position, media_id, alt_text)
    SELECT CAST(:tenant_id AS uuid), n.*
    FROM unnest(
        CAST(:products AS uuid[]), CAST(:positions AS int[]), CAST(:media AS uuid[]), CAST(:alt_texts AS text[])
    ) n
    ON CONFLICT (tenant_id, product_id, position) DO UPDATE SET media_id = excluded.media_id,
        alt_text = excluded.alt_text
    """
)


def _arrays(some: Sequence[Product]) -> dict[str, list[Any]]:
    return {
        "ids": [p.id for p in some],
        "handles": [p.handle for p in some],
        "titles": [p.title for p in some],
        "descriptions": [p.description for p in some],
        "statuses": [p.status.value for p in some],
        "versions": [p.version for p in some],
        "create_times": [p.create_time for p in some],
        "update_times": [p.update_time for p in some],
        "options": [json.dumps([[option.name, option.values] for option in p.options]) for p in some],
    }


async def _keep_variants(tx: AsyncConnection, tenant_id: str, of: Sequence[Product]) -> None:
    lines = [(product.id, position, v) for product in of for position, v in enumerate(product.variants)]
    if lines:
        await tx.execute(
            _KEEP_VARIANTS,
            {
                "tenant_id": tenant_id,
                "ids": [v.id for _, _, v in lines],
                "products": [product_id for product_id, _, _ in lines],
                "positions": [position for _, position, _ in lines],
                "skus": [v.sku for _, _, v in lines],
                "titles": [v.title for _, _, v in lines],
                "currencies": [v.price.currency for _, _, v in lines],
                "amounts": [v.price.amount_minor for _, _, v in lines],
                "options": [json.dumps(v.options) for _, _, v in lines],
            },
        )


async def _keep_media(tx: AsyncConnection, tenant_id: str, of: Sequence[Product]) -> None:
    lines = [(product.id, position, media) for product in of for position, media in enumerate(product.media)]
    if lines:
        await tx.execute(
            _KEEP_MEDIA,
            {
                "tenant_id": tenant_id,
                "products": [product_id for product_id, _, _ in lines],
                "positions": [position for _, position, _ in lines],
                "media": [media.media_id for _, _, media in lines],
                "alt_texts": [media.alt_text for _, _, media in lines],
            },
        )


async def some(tx: AsyncConnection, tenant_id: str, ids: Sequence[str]) -> list[Product]:
    """Those that there are, in the order of the ids."""
    stmt = select(*_COLUMNS).where(products.c.tenant_id == tenant_id, products.c.id == func.any(_ids(ids)))
    by_id = {row.id: _whole(row) for row in await tx.execute(stmt)}
    return [by_id[id] for id in ids if id in by_id]


def _whole(row: Any) -> Product:
    return Product(
        id=row.id,
        handle=row.handle,
        title=row.title,
        description=row.description,
        status=Status(row.status),
        variants=tuple(_variant(*each) for each in row.variants or ()),
        create_time=row.create_time,
        update_time=row.update_time,
        version=row.version,
        options=tuple(Option(name, tuple(values)) for name, values in row.options),
        media=tuple(Media(media_id, alt_text) for media_id, alt_text in row.media or ()),
    )


def _variant(id: str, sku: str, title: str, currency: str, minor: int, options: Sequence[Sequence[str]]) -> Variant:
    return Variant(id, sku, title, Money(currency, minor), tuple((name, value) for name, value in options))


def _ids(ids: Sequence[str]) -> TextClause:
    return text("CAST(:some_ids AS uuid[])").bindparams(some_ids=list(ids))
