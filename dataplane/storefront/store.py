"""How storefronts look, in PostgreSQL. Every function runs in the caller's transaction, which is the tenant's."""

from dataclasses import asdict

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.storefront.domain import Theme
from dataplane.storefront.tables import storefront_themes as themes
from shared.runtime.errors import stale

_COLUMNS = (
    themes.c.title, themes.c.logo_text, themes.c.tagline, themes.c.accent_color, themes.c.version, themes.c.update_time,
)  # fmt: skip
_COUNT = text(
    "SELECT coalesce(sum(l.quantity), 0)::bigint FROM carts c "
    "JOIN cart_lines l ON l.tenant_id = c.tenant_id AND l.cart_id = c.id "
    "WHERE c.tenant_id = CAST(:tenant_id AS uuid) AND c.id = CAST(:cart_id AS uuid) AND c.state = 'OPEN'"
)


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


async def items(tx: AsyncConnection, tenant_id: str, cart_id: str) -> int:
    """How many there are in a cart that is still open."""
    return int((await tx.execute(_COUNT, {"tenant_id": tenant_id, "cart_id": cart_id})).scalar_one())
