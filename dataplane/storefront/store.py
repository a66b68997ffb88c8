"""How storefronts look, in PostgreSQL; and what is around their pages, and in their navigation, each in one look."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import LiteralString

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.storefront.domain import Around, Link, Place, Theme, Way
from dataplane.storefront.tables import storefront_themes as themes
from shared.runtime.context import Session
from shared.runtime.db import Database
from shared.runtime.errors import NotFound, stale

_COLUMNS = (
    themes.c.title, themes.c.logo_text, themes.c.tagline, themes.c.accent_color, themes.c.version, themes.c.update_time,
)  # fmt: skip
# What every page asks for: one round trip, in a transaction of its own.
_AROUND: LiteralString = """
    SELECT
        (SELECT ARRAY[h.title, h.logo_text, h.tagline, h.accent_color] FROM storefront_themes h
            WHERE h.tenant_id = %(tenant_id)s::uuid) AS theme,
        (SELECT coalesce(sum(l.quantity), 0)::bigint FROM carts c
            JOIN cart_lines l ON l.tenant_id = c.tenant_id AND l.cart_id = c.id
            WHERE c.tenant_id = %(tenant_id)s::uuid AND c.id = %(cart_id)s::uuid AND c.state = 'OPEN') AS items,
        EXISTS (SELECT FROM customers u WHERE u.tenant_id = %(tenant_id)s::uuid AND u.id = %(customer_id)s::uuid
            AND u.state = 'ACTIVE' AND u.epoch = %(epoch)s AND NOT u.ended_sessions ? %(session_id)s) AS is_signed_in,
        ARRAY(SELECT ARRAY[g.handle, g.title] FROM categories g
            WHERE g.tenant_id = %(tenant_id)s::uuid AND g.parent_id IS NULL
            ORDER BY g.position, g.id LIMIT %(categories)s) AS categories,
        ARRAY(SELECT ARRAY[s.handle, s.title] FROM collections s WHERE s.tenant_id = %(tenant_id)s::uuid
            ORDER BY s.create_time DESC, s.id DESC LIMIT %(collections)s) AS collections
"""
# From the category up to the top.
_CATEGORY: LiteralString = """
    WITH RECURSIVE path AS (
        SELECT c.id, c.handle, c.title, c.parent_id, 0 AS height FROM categories c
            WHERE c.tenant_id = %(tenant_id)s::uuid AND c.handle = %(handle)s
        UNION ALL
        SELECT c.id, c.handle, c.title, c.parent_id, path.height + 1 FROM path
            JOIN categories c ON c.tenant_id = %(tenant_id)s::uuid AND c.id = path.parent_id
    )
    SELECT id::text, handle, title, ARRAY(
        SELECT ARRAY[b.handle, b.title] FROM categories b
            WHERE b.tenant_id = %(tenant_id)s::uuid AND b.parent_id = path.id AND path.height = 0
            ORDER BY b.position, b.id
    ) AS below
    FROM path ORDER BY height
"""
# Depth first, each level in the shop's own order. The tree is a thousand rows at most.
_CATEGORIES: LiteralString = """
    WITH RECURSIVE tree AS (
        SELECT c.id, c.handle, c.title, ARRAY[]::text[] AS above, ARRAY[(c.position, c.id)] AS place FROM categories c
            WHERE c.tenant_id = %(tenant_id)s::uuid AND c.parent_id IS NULL
        UNION ALL
        SELECT c.id, c.handle, c.title, tree.above || tree.title, tree.place || (c.position, c.id) FROM tree
            JOIN categories c ON c.tenant_id = %(tenant_id)s::uuid AND c.parent_id = tree.id
    )
    SELECT handle, title, above FROM tree ORDER BY place OFFSET %(skipped)s LIMIT %(most)s
"""
_COLLECTION: LiteralString = """
    SELECT id::text, title, description FROM collections
    WHERE tenant_id = %(tenant_id)s::uuid AND handle = %(handle)s
"""
# Of what is in the navigation.
MOST_CATEGORIES, MOST_COLLECTIONS = 12, 6


async def around(reads: Database, tenant_id: str, cart_id: str, session: Session | None = None) -> Around:
    """cart_id: empty for none. session: a customer's."""
    about: dict[str, object] = {"cart_id": cart_id or None, "customer_id": None, "epoch": 0, "session_id": ""}
    if session is not None:
        about |= {"customer_id": session.customer_id, "epoch": session.epoch, "session_id": session.id}
    most = {"categories": MOST_CATEGORIES, "collections": MOST_COLLECTIONS}
    [row] = await reads.once(_AROUND, {"tenant_id": tenant_id, **about, **most}, tenant_id=tenant_id)
    theme = Theme(*row.theme) if row.theme else Theme()
    return Around(theme, cart_id, row.items, row.is_signed_in, _links(row.categories), _links(row.collections))


async def category(reads: Database, tenant_id: str, handle: str) -> Place:
    """NotFound CATEGORY_NOT_FOUND."""
    rows = await reads.once(_CATEGORY, {"tenant_id": tenant_id, "handle": handle}, tenant_id=tenant_id)
    if not rows:
        raise NotFound("CATEGORY_NOT_FOUND", "no such category in this shop", handle=handle)
    here, *above = rows
    path = tuple(Link(row.handle, row.title) for row in reversed(above))
    return Place(here.id, here.title, above=path, below=_links(here.below))


async def categories(reads: Database, tenant_id: str, skipped: int, most: int) -> list[Way]:
    about = {"tenant_id": tenant_id, "skipped": skipped, "most": most}
    rows = await reads.once(_CATEGORIES, about, tenant_id=tenant_id)
    return [Way(Link(row.handle, row.title), tuple(row.above)) for row in rows]


async def collection(reads: Database, tenant_id: str, handle: str) -> Place:
    """NotFound COLLECTION_NOT_FOUND."""
    rows = await reads.once(_COLLECTION, {"tenant_id": tenant_id, "handle": handle}, tenant_id=tenant_id)
    if not rows:
        raise NotFound("COLLECTION_NOT_FOUND", "no such collection in this shop", handle=handle)
    return Place(rows[0].id, rows[0].title, rows[0].description)


def _links(pairs: Iterable[Sequence[str]]) -> tuple[Link, ...]:
    return tuple(Link(handle, title) for handle, title in pairs)


async def theme(tx: AsyncConnection, tenant_id: str) -> Theme:
    row = (await tx.execute(select(*_COLUMNS).where(themes.c.tenant_id == tenant_id))).one_or_none()
    return Theme() if row is None else Theme(*row)


async def save(tx: AsyncConnection, tenant_id: str, after: Theme) -> None:
    """Writes over the version just before this one. Aborted ETAG_MISMATCH."""
    values = asdict(after)
    stmt = (
        insert(themes)
        .values(tenant_id=tenant_id, **values)
        .on_conflict_do_update(
            index_elements=[themes.c.tenant_id], set_=values, where=themes.c.version == after.version - 1
        )
        .returning(themes.c.version)
    )
    if (await tx.execute(stmt)).one_or_none() is None:
        raise stale("theme", tenant_id)
