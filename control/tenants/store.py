"""Tenants in PostgreSQL; every function runs in the caller's transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import catalog_service_pb2 as catalog_pb
from control.catalog.store import Change
from control.rows import among, inserting, packed, updating
from control.tables import domains, tenants
from control.tenants.domain import Config, Isolation, Mode, Name, Placement, State, Tenant, facts
from control.tenants.messages import catalog_tenant
from shared.runtime.errors import Aborted, AlreadyExists, NotFound

CODE_TAKEN = AlreadyExists("TENANT_CODE_TAKEN", "another tenant has this code: choose another one")


def changed(
    before: Tenant | None,
    after: Tenant,
    event: str,
    reason: str,
    *,
    resource: str = "tenant",
    resource_id: str = "",
    facts_before: Mapping[str, str] | None = None,
    facts_after: Mapping[str, str] | None = None,
) -> Change:
    """A change to a tenant, for the catalog to record; with `resource`, one that is told of a part of the tenant."""
    places = [each.placement for each in (before, after) if each is not None]
    if facts_before is None:
        facts_before = facts(before) if before is not None else {}
    return Change(
        resource=resource,
        resource_id=resource_id or after.id,
        event=event,
        reason=reason,
        before=facts_before,
        after=facts(after) if facts_after is None else facts_after,
        tenant_id=after.id,
        entry=catalog_pb.CatalogEntry(tenant=catalog_tenant(after)),
        cluster_ids=frozenset(
            cluster_id for each in places for cluster_id in (each.cluster_id, each.moving_to_cluster_id) if cluster_id
        ),
    )


def noted(before: Tenant, after: Tenant, event: str) -> Change:
    """A change that is the audit's alone: nobody who watches the catalog sees a difference."""
    return Change("tenant", after.id, event, "", facts(before), facts(after), tenant_id=after.id)


async def get(tx: AsyncConnection, tenant_id: str, *, lock: bool = False) -> Tenant:
    found = await get_many(tx, [tenant_id], lock=lock)
    if not found:
        raise NotFound("TENANT_NOT_FOUND", f"there is no tenant {tenant_id}", id=tenant_id)
    return found[tenant_id]


async def get_many(tx: AsyncConnection, tenant_ids: Sequence[str], *, lock: bool = False) -> dict[str, Tenant]:
    """By id. `lock` keeps others from changing them until the commit; locked in the order of ids."""
    stmt = select(tenants).where(among(tenants.c.id, tenant_ids)).order_by(tenants.c.id)
    if lock:
        stmt = stmt.with_for_update()
    return {tenant.id: tenant for tenant in await _complete(tx, (await tx.execute(stmt)).all())}


async def get_by_codes(tx: AsyncConnection, codes: Iterable[str]) -> dict[str, Tenant]:
    stmt = select(tenants).where(among(tenants.c.code, codes))
    return {tenant.code: tenant for tenant in await _complete(tx, (await tx.execute(stmt)).all())}


async def list_page(
    tx: AsyncConnection, where: Sequence[ColumnElement[bool]], order: Sequence[ColumnElement[Any]], limit: int
) -> list[Tenant]:
    stmt = select(tenants).where(*where).order_by(*order).limit(limit)
    return await _complete(tx, (await tx.execute(stmt)).all())


async def _complete(tx: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Tenant]:
    """The tenants of these rows, with their verified names."""
    names: dict[str, list[Name]] = {}
    if rows:
        stmt = (
            select(domains.c.tenant_id, domains.c.name, domains.c.number)
            .where(among(domains.c.tenant_id, [row.id for row in rows]), domains.c.state == "VERIFIED")
            .order_by(domains.c.name)
        )
        for tenant_id, name, number in (await tx.execute(stmt)).all():
            names.setdefault(tenant_id, []).append(Name(name, number))
    return [_tenant(row, tuple(names.get(row.id, ()))) for row in rows]


def _tenant(row: Row[Any], names: tuple[Name, ...]) -> Tenant:
    return Tenant(
        id=row.id,
        code=row.code,
        display_name=row.display_name,
        create_time=row.create_time,
        update_time=row.update_time,
        labels=row.labels,
        state=State(row.state),
        state_reason=row.state_reason,
        mode=Mode(row.mode),
        mode_reason=row.mode_reason,
        mode_expire_time=row.mode_expire_time,
        plan_id=row.plan_id,
        wanted_region_id=row.wanted_region_id,
        placement=Placement(
            region_id=row.region_id,
            cluster_id=row.cluster_id,
            shard_id=row.shard_id,
            isolation=Isolation(row.isolation),
            residency=tuple(row.residency),
            moving_to_cluster_id=row.moving_to_cluster_id,
            writes_frozen=row.writes_frozen,
        ),
        primary_domain=row.primary_domain,
        config=Config(**row.config),
        delete_time=row.delete_time,
        purge_time=row.purge_time,
        undelete_state=State(row.undelete_state) if row.undelete_state else None,
        operation_id=row.operation_id,
        version=row.version,
        revision=row.revision,
        names=names,
    )


def _config(config: Config) -> dict[str, Any]:
    return {name: getattr(config, name) for name in Config.__slots__}


def _values(tenant: Tenant) -> dict[str, Any]:
    return {
        "id": tenant.id,
        "code": tenant.code,
        "display_name": tenant.display_name,
        "labels": dict(tenant.labels),
        "state": tenant.state,
        "state_reason": tenant.state_reason,
        "mode": tenant.mode,
        "mode_reason": tenant.mode_reason,
        "mode_expire_time": tenant.mode_expire_time,
        "plan_id": tenant.plan_id,
        "wanted_region_id": tenant.wanted_region_id,
        "region_id": tenant.placement.region_id,
        "cluster_id": tenant.placement.cluster_id,
        "shard_id": tenant.placement.shard_id,
        "isolation": tenant.placement.isolation,
        "residency": list(tenant.placement.residency),
        "moving_to_cluster_id": tenant.placement.moving_to_cluster_id,
        "writes_frozen": tenant.placement.writes_frozen,
        "primary_domain": tenant.primary_domain,
        "config": _config(tenant.config),
        "create_time": tenant.create_time,
        "update_time": tenant.update_time,
        "delete_time": tenant.delete_time,
        "purge_time": tenant.purge_time,
        "undelete_state": tenant.undelete_state,
        "operation_id": tenant.operation_id,
        "version": tenant.version,
    }


_COLUMNS = [column.name for column in tenants.c if column.name != "revision"]
_ADD = inserting(tenants, _COLUMNS)
_SAVE = updating(tenants, [name for name in _COLUMNS if name != "id"], "t.id = r.id AND t.version = r.version - 1")


async def add(tx: AsyncConnection, added: Sequence[Tenant]) -> None:
    if added:
        await tx.execute(_ADD, packed([_values(tenant) for tenant in added]))


async def save(tx: AsyncConnection, changed: Sequence[Tenant]) -> None:
    """Writes each over the version just before it, or refuses them all."""
    if not changed:
        return
    result = await tx.execute(_SAVE, packed([_values(tenant) for tenant in changed]))
    if result.rowcount != len(changed):
        names = ", ".join(tenant.code for tenant in changed[:3])
        raise Aborted("ETAG_MISMATCH", f"{names} changed meanwhile: read again")


async def expired_modes(tx: AsyncConnection, now: datetime, at_most: int) -> list[Tenant]:
    """Tenants whose mode has ended, locked; those that somebody else is changing are left for the next look."""
    stmt = (
        select(tenants)
        .where(tenants.c.mode_expire_time <= now)
        .order_by(tenants.c.mode_expire_time)
        .limit(at_most)
        .with_for_update(skip_locked=True)
    )
    return await _complete(tx, (await tx.execute(stmt)).all())


async def to_purge(tx: AsyncConnection, now: datetime, at_most: int) -> list[Tenant]:
    """Deleted tenants whose time has come and that no operation works on, locked."""
    stmt = (
        select(tenants)
        .where(tenants.c.purge_time <= now, tenants.c.operation_id.is_(None))
        .order_by(tenants.c.purge_time)
        .limit(at_most)
        .with_for_update(skip_locked=True)
    )
    return await _complete(tx, (await tx.execute(stmt)).all())


async def next_due(tx: AsyncConnection) -> datetime | None:
    """When the next mode ends or tenant is to be purged; None when nothing waits."""
    soonest = select(
        func.least(
            select(func.min(tenants.c.mode_expire_time)).scalar_subquery(),
            select(func.min(tenants.c.purge_time)).where(tenants.c.operation_id.is_(None)).scalar_subquery(),
        )
    )
    return (await tx.execute(soonest)).scalar_one()  # type: ignore[no-any-return]


async def erase(tx: AsyncConnection, tenant_ids: Sequence[str]) -> None:
    await tx.execute(delete(domains).where(among(domains.c.tenant_id, tenant_ids)))
    await tx.execute(delete(tenants).where(among(tenants.c.id, tenant_ids)))


def stamped(tenant: Tenant, revision: int) -> Tenant:
    """The tenant as it reads once the change that got `revision` is committed."""
    return replace(tenant, revision=revision)
