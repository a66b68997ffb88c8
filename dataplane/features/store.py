"""Tenants' features in this cluster's database; every function runs in a steward's transaction."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.tables import tenant_features


@dataclass(frozen=True, slots=True)
class Entry:
    """One tenant's set; `encoded` as it is known (center.control.v1.TenantFeatures)."""

    tenant_id: str
    version: int
    hash: str
    products_limit: int | None
    encoded: bytes


# Rows in the order of their ids, so that two writers never wait for each other in a circle.
_SAVE = text(
    """
    INSERT INTO tenant_features (tenant_id, version, hash, products_limit, features)
    SELECT n.* FROM unnest(
        CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:hashes AS text[]), CAST(:limits AS bigint[]),
        CAST(:encoded AS bytea[])
    ) AS n (tenant_id, version, hash, products_limit, features)
    ORDER BY n.tenant_id
    ON CONFLICT (tenant_id) DO UPDATE SET
        version = excluded.version, hash = excluded.hash, products_limit = excluded.products_limit,
        features = excluded.features, apply_time = now()
    """
)


async def save(tx: AsyncConnection, entries: Sequence[Entry]) -> None:
    """Each tenant once."""
    if entries:
        await tx.execute(
            _SAVE,
            {
                "ids": [e.tenant_id for e in entries],
                "versions": [e.version for e in entries],
                "hashes": [e.hash for e in entries],
                "limits": [e.products_limit for e in entries],
                "encoded": [e.encoded for e in entries],
            },
        )


async def forget(tx: AsyncConnection, tenant_ids: Collection[str]) -> None:
    if tenant_ids:
        await tx.execute(delete(tenant_features).where(_among(tenant_ids)))


async def some(tx: AsyncConnection, tenant_ids: Collection[str]) -> dict[str, bytes]:
    """Tenant -> set, of those that are here."""
    stmt = select(tenant_features.c.tenant_id, tenant_features.c.features).where(_among(tenant_ids))
    return {row.tenant_id: row.features for row in await tx.execute(stmt)}


async def everyone(tx: AsyncConnection) -> AsyncIterator[tuple[str, bytes]]:
    """(tenant, set) of all, a few at a time."""
    stmt = select(tenant_features.c.tenant_id, tenant_features.c.features)
    async for row in await tx.stream(stmt, execution_options={"yield_per": 5000}):
        yield row.tenant_id, row.features


def _among(tenant_ids: Collection[str]) -> ColumnElement[bool]:
    return tenant_features.c.tenant_id == func.any(text("CAST(:ids AS uuid[])").bindparams(ids=list(tenant_ids)))
