"""Changes to what tenants have, as the catalog records them."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Table, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import catalog_service_pb2 as catalog_pb
from control.catalog.store import Change, record
from control.tables import add_ons, features, plans, tenant_features


async def recorded(tx: AsyncConnection, changes: Sequence[Change]) -> list[int]:
    """Records the changes, and lets the rows that they concern know their revisions; last in a transaction.

    A feature, plan or add-on is stamped where the change says so, for its tenants feel it.
    """
    revisions = await record(tx, changes)
    for change, revision in zip(changes, revisions, strict=True):
        if change.entry is None or not change.entry.HasField("features"):
            continue
        what = change.entry.features
        for table, id in ((features, what.feature_id), (plans, what.plan_id), (add_ons, what.add_on_id)):
            if id:
                stamp = update(table).where(table.c.id == id)
                await tx.execute(stamp.values(revision=revision))
        if what.tenant_id:
            stmt = upsert(tenant_features).values(tenant_id=what.tenant_id, revision=revision)
            await tx.execute(
                stmt.on_conflict_do_update(index_elements=["tenant_id"], set_={"revision": stmt.excluded.revision})
            )
    return revisions


def felt(
    resource: str,
    resource_id: str,
    event: str,
    reason: str,
    before: Mapping[str, str],
    after: Mapping[str, str],
    **what: str,
) -> Change:
    """A change that tenants can feel. what: feature_id, plan_id, add_on_id or tenant_id."""
    return Change(
        resource=resource,
        resource_id=resource_id,
        event=event,
        reason=reason,
        before=before,
        after=after,
        tenant_id=what.get("tenant_id", ""),
        entry=catalog_pb.CatalogEntry(features=catalog_pb.CatalogFeatures(**what)),
    )


async def stamp(tx: AsyncConnection, table: Table, id: str, revision: int) -> None:
    """Of a thing that has an id and whose revision is told to callers only."""
    await tx.execute(update(table).where(table.c.id == id).values(revision=revision))
