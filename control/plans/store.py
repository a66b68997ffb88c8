"""Plans, add-ons and what tenants have of their own in PostgreSQL; every function runs in the caller's transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from control.features import store as feature_store
from control.features.domain import Action, Extra, KillSwitch, Override, State
from control.features.values import Value, plain, value_of
from control.plans.domain import (
    AddOn,
    Assignment,
    Attachment,
    Overlay,
    Plan,
    PlanVersion,
    VersionState,
)
from control.rows import Order, Where, among, one_row, rows_of
from control.tables import (
    add_ons,
    attachments,
    kill_switches,
    overrides,
    plan_assignments,
    plan_versions,
    plans,
    tenant_features,
    tenants,
)
from shared.runtime.errors import AlreadyExists, NotFound, stale

PLAN_EXISTS = AlreadyExists("PLAN_EXISTS", "there is a plan with this id")
ADD_ON_EXISTS = AlreadyExists("ADD_ON_EXISTS", "there is an add-on with this id")


def _plan(row: Row[Any]) -> Plan:
    return Plan(**row._mapping)


async def get_plan(tx: AsyncConnection, plan_id: str, *, lock: bool = False) -> Plan:
    return _plan(await one_row(tx, plans, plans.c.id == plan_id, plan_not_found(plan_id), lock))


def plan_not_found(plan_id: str) -> NotFound:
    return NotFound("PLAN_NOT_FOUND", f"there is no plan {plan_id}", id=plan_id)


async def plan_ids(tx: AsyncConnection) -> set[str]:
    """Plans that tenants can be on: those with an active version."""
    return set((await tx.execute(select(plans.c.id).where(plans.c.active_version > 0))).scalars())


async def list_plans(tx: AsyncConnection, where: Where = (), order: Order = (), limit: int | None = None) -> list[Plan]:
    return [_plan(row) for row in await rows_of(tx, plans, where, order, limit)]


async def get_plans(tx: AsyncConnection, ids: Iterable[str]) -> list[Plan]:
    return await list_plans(tx, [among(plans.c.id, ids)])


async def add_plan(tx: AsyncConnection, plan: Plan) -> None:
    await tx.execute(insert(plans).values(asdict(plan)))


async def save_plan(tx: AsyncConnection, plan: Plan) -> None:
    """Writes over the version just before this one, or refuses."""
    before = (plans.c.id == plan.id) & (plans.c.version == plan.version - 1)
    if (await tx.execute(update(plans).where(before).values(asdict(plan)))).rowcount != 1:
        raise stale("plan", plan.id)


def _version(row: Row[Any]) -> PlanVersion:
    values = dict(row._mapping)
    values["state"] = VersionState(row.state)
    values["features"] = {feature_id: value_of(stored) for feature_id, stored in row.features.items()}
    return PlanVersion(**values)


def _version_values(version: PlanVersion) -> dict[str, Any]:
    return {
        "plan_id": version.plan_id,
        "version": version.version,
        "state": version.state,
        "features": {feature_id: plain(value) for feature_id, value in version.features.items()},
        "note": version.note,
        "create_time": version.create_time,
        "update_time": version.update_time,
        "effective_time": version.effective_time,
        "archive_time": version.archive_time,
        "edit": version.edit,
    }


async def get_version(tx: AsyncConnection, plan_id: str, version: int, *, lock: bool = False) -> PlanVersion:
    columns = plan_versions.c
    missing = NotFound("PLAN_VERSION_NOT_FOUND", f"plan {plan_id} has no version {version}", plan_id=plan_id)
    key = and_(columns.plan_id == plan_id, columns.version == version)
    return _version(await one_row(tx, plan_versions, key, missing, lock))


async def get_plan_of_version(tx: AsyncConnection, plan_id: str, version: int) -> Plan:
    """Locked, so that of two changes to its versions one comes after the other; NotFound PLAN_VERSION_NOT_FOUND."""
    await get_version(tx, plan_id, version)
    return await get_plan(tx, plan_id, lock=True)


async def list_versions(
    tx: AsyncConnection, where: Where = (), order: Order = (), limit: int | None = None
) -> list[PlanVersion]:
    return [_version(row) for row in await rows_of(tx, plan_versions, where, order, limit)]


def versions_of(plan_ids: Iterable[str]) -> list[ColumnElement[bool]]:
    """All but drafts, of which nobody has anything."""
    return [among(plan_versions.c.plan_id, plan_ids), plan_versions.c.state != VersionState.DRAFT]


async def add_version(tx: AsyncConnection, version: PlanVersion) -> None:
    await tx.execute(insert(plan_versions).values(_version_values(version)))


async def save_version(tx: AsyncConnection, version: PlanVersion) -> None:
    """Writes over the edit just before this one, or refuses."""
    columns = plan_versions.c
    key = and_(columns.plan_id == version.plan_id, columns.version == version.version, columns.edit == version.edit - 1)
    if (await tx.execute(update(plan_versions).where(key).values(_version_values(version)))).rowcount != 1:
        raise stale("version", f"{version.plan_id}/{version.version}")


async def stamp_version(tx: AsyncConnection, version: PlanVersion, revision: int) -> None:
    columns = plan_versions.c
    key = and_(columns.plan_id == version.plan_id, columns.version == version.version)
    await tx.execute(update(plan_versions).where(key).values(revision=revision))


def followers(plan_id: str) -> list[ColumnElement[bool]]:
    """Tenants of a plan that are not pinned to a version of it."""
    pinned = (
        select(tenant_features.c.tenant_id)
        .where(
            tenant_features.c.tenant_id == tenants.c.id,
            tenant_features.c.pinned_plan_id == plan_id,
            tenant_features.c.pinned_version > 0,
        )
        .exists()
    )
    return [tenants.c.plan_id == plan_id, ~pinned]


async def count_tenants(tx: AsyncConnection, where: Where) -> int:
    return int((await tx.execute(select(func.count()).select_from(tenants).where(*where))).scalar_one())


async def tenants_page(tx: AsyncConnection, where: Where, order: Order, limit: int) -> Any:
    """Rows of id, code and cluster_id."""
    stmt = select(tenants.c.id, tenants.c.code, tenants.c.cluster_id).where(*where).order_by(*order).limit(limit)
    return (await tx.execute(stmt)).all()


def _add_on(row: Row[Any]) -> AddOn:
    values = dict(row._mapping)
    values["state"] = State(row.state)
    values["extras"] = tuple(
        Extra(each["feature_id"], value_of(each["grant"]) if "grant" in each else None, each.get("units", 0))
        for each in row.extras
    )
    return AddOn(**values)


def _add_on_values(add_on: AddOn) -> dict[str, Any]:
    extras = [
        {"feature_id": each.feature_id, "units": each.units}
        if each.grant is None
        else {"feature_id": each.feature_id, "grant": plain(each.grant)}
        for each in add_on.extras
    ]
    return {
        "id": add_on.id,
        "display_name": add_on.display_name,
        "description": add_on.description,
        "extras": extras,
        "state": add_on.state,
        "create_time": add_on.create_time,
        "update_time": add_on.update_time,
        "version": add_on.version,
    }


async def get_add_on(tx: AsyncConnection, add_on_id: str, *, lock: bool = False) -> AddOn:
    missing = NotFound("ADD_ON_NOT_FOUND", f"there is no add-on {add_on_id}", id=add_on_id)
    return _add_on(await one_row(tx, add_ons, add_ons.c.id == add_on_id, missing, lock))


async def get_add_ons(tx: AsyncConnection, ids: Iterable[str]) -> dict[str, AddOn]:
    return {row.id: _add_on(row) for row in await rows_of(tx, add_ons, [among(add_ons.c.id, ids)])}


async def list_add_ons(
    tx: AsyncConnection, where: Where = (), order: Order = (), limit: int | None = None
) -> list[AddOn]:
    return [_add_on(row) for row in await rows_of(tx, add_ons, where, order, limit)]


async def add_add_on(tx: AsyncConnection, add_on: AddOn) -> None:
    await tx.execute(insert(add_ons).values(_add_on_values(add_on)))


async def save_add_on(tx: AsyncConnection, add_on: AddOn) -> None:
    """Writes over the version just before this one, or refuses."""
    before = (add_ons.c.id == add_on.id) & (add_ons.c.version == add_on.version - 1)
    if (await tx.execute(update(add_ons).where(before).values(_add_on_values(add_on)))).rowcount != 1:
        raise stale("add-on", add_on.id)


def _attachment(row: Row[Any]) -> Attachment:
    return Attachment(**row._mapping)


async def list_attachments(
    tx: AsyncConnection, where: Where = (), order: Order = (), limit: int | None = None
) -> list[Attachment]:
    return [_attachment(row) for row in await rows_of(tx, attachments, where, order, limit)]


async def attach(tx: AsyncConnection, attachment: Attachment) -> Attachment:
    """In the place of what the tenant has of the add-on; as it then is."""
    values = {
        "quantity": attachment.quantity,
        "reason": attachment.reason,
        "expire_time": attachment.expire_time,
    }
    stmt = upsert(attachments).values(
        tenant_id=attachment.tenant_id,
        add_on_id=attachment.add_on_id,
        create_time=attachment.create_time,
        **values,
    )
    stmt = stmt.on_conflict_do_update(index_elements=["tenant_id", "add_on_id"], set_=values)
    return _attachment((await tx.execute(stmt.returning(attachments))).one())


async def stamp_attachment(tx: AsyncConnection, attachment: Attachment, revision: int) -> None:
    columns = attachments.c
    key = and_(columns.tenant_id == attachment.tenant_id, columns.add_on_id == attachment.add_on_id)
    await tx.execute(update(attachments).where(key).values(revision=revision))


async def detach(tx: AsyncConnection, tenant_id: str, add_on_id: str) -> Attachment | None:
    key = and_(attachments.c.tenant_id == tenant_id, attachments.c.add_on_id == add_on_id)
    row = (await tx.execute(delete(attachments).where(key).returning(attachments))).one_or_none()
    return _attachment(row) if row is not None else None


def _override(row: Row[Any]) -> Override:
    values = dict(row._mapping)
    values["action"] = Action(row.action)
    values["value"] = value_of(row.value) if row.value is not None else None
    return Override(**values)


async def list_overrides(
    tx: AsyncConnection, where: Where = (), order: Order = (), limit: int | None = None
) -> list[Override]:
    return [_override(row) for row in await rows_of(tx, overrides, where, order, limit)]


async def find_override(tx: AsyncConnection, tenant_id: str, feature_id: str, action: Action) -> Override | None:
    columns = overrides.c
    key = and_(columns.tenant_id == tenant_id, columns.feature_id == feature_id, columns.action == action)
    row = (await tx.execute(select(overrides).where(key).with_for_update())).one_or_none()
    return _override(row) if row is not None else None


async def get_override(tx: AsyncConnection, id: str) -> Override:
    missing = NotFound("OVERRIDE_NOT_FOUND", f"there is no override {id}", id=id)
    return _override(await one_row(tx, overrides, overrides.c.id == id, missing, True))


async def set_override(tx: AsyncConnection, override: Override) -> None:
    values: dict[str, Any] = {
        "value": plain(override.value) if override.value is not None else None,
        "reason": override.reason,
        "expire_time": override.expire_time,
        "create_time": override.create_time,
        "caller": override.caller,
        "version": override.version,
    }
    stmt = upsert(overrides).values(
        id=override.id,
        tenant_id=override.tenant_id,
        feature_id=override.feature_id,
        action=override.action,
        **values,
    )
    await tx.execute(stmt.on_conflict_do_update(index_elements=["tenant_id", "feature_id", "action"], set_=values))


async def remove_override(tx: AsyncConnection, id: str) -> None:
    await tx.execute(delete(overrides).where(overrides.c.id == id))


def _assignment(row: Row[Any]) -> Assignment:
    return Assignment(**row._mapping)


async def list_assignments(
    tx: AsyncConnection, where: Where = (), order: Order = (), limit: int | None = None
) -> list[Assignment]:
    return [_assignment(row) for row in await rows_of(tx, plan_assignments, where, order, limit)]


async def set_assignment(tx: AsyncConnection, assignment: Assignment) -> None:
    values = asdict(assignment)
    stmt = upsert(plan_assignments).values(values)
    await tx.execute(stmt.on_conflict_do_update(index_elements=["tenant_id"], set_=values))


async def remove_assignment(tx: AsyncConnection, tenant_id: str) -> Assignment | None:
    stmt = delete(plan_assignments).where(plan_assignments.c.tenant_id == tenant_id).returning(plan_assignments)
    row = (await tx.execute(stmt)).one_or_none()
    return _assignment(row) if row is not None else None


async def pin(tx: AsyncConnection, tenant_id: str, plan_id: str, version: int) -> None:
    values = {"pinned_plan_id": plan_id if version else "", "pinned_version": version}
    stmt = upsert(tenant_features).values(tenant_id=tenant_id, **values)
    await tx.execute(stmt.on_conflict_do_update(index_elements=["tenant_id"], set_=values))


async def pinned(tx: AsyncConnection, plan_id: str, version: int) -> int:
    """How many tenants on the plan keep this version."""
    stmt = (
        select(func.count())
        .select_from(tenant_features)
        .join(tenants, tenants.c.id == tenant_features.c.tenant_id)
        .where(
            tenant_features.c.pinned_plan_id == plan_id,
            tenant_features.c.pinned_version == version,
            tenants.c.plan_id == plan_id,
        )
    )
    return int((await tx.execute(stmt)).scalar_one())


async def overlays(tx: AsyncConnection, tenant_ids: Sequence[str] | None = None) -> dict[str, Overlay]:
    """What tenants have of their own, kill switches included; of all that have something for None."""

    def of(table: Table) -> list[ColumnElement[bool]]:
        return [] if tenant_ids is None else [among(table.c.tenant_id, tenant_ids)]

    attached: dict[str, list[Attachment]] = {}
    for attachment in await list_attachments(tx, of(attachments)):
        attached.setdefault(attachment.tenant_id, []).append(attachment)
    overriding: dict[str, list[Override]] = {}
    for override in await list_overrides(tx, of(overrides)):
        overriding.setdefault(override.tenant_id, []).append(override)
    killing: dict[str, list[KillSwitch]] = {}
    for switch in await feature_store.list_kill_switches(
        tx, [kill_switches.c.tenant_id.is_not(None), *of(kill_switches)]
    ):
        killing.setdefault(switch.tenant_id, []).append(switch)
    return {
        row.tenant_id: Overlay(
            row.tenant_id,
            row.pinned_plan_id,
            row.pinned_version,
            row.revision,
            tuple(attached.get(row.tenant_id, ())),
            tuple(overriding.get(row.tenant_id, ())),
            tuple(killing.get(row.tenant_id, ())),
        )
        for row in await rows_of(tx, tenant_features, of(tenant_features))
    }


async def values_of(tx: AsyncConnection, feature_id: str) -> list[tuple[str, Value]]:
    """(where, value) of everything that is or may be had of a feature."""
    columns = plan_versions.c
    found = []
    for version in await list_versions(tx, [columns.features.has_key(feature_id)]):
        found.append((f"plan {version.plan_id}/{version.version}", version.features[feature_id]))
    for add_on in await list_add_ons(tx):
        for extra in add_on.extras:
            if extra.feature_id == feature_id and extra.grant is not None:
                found.append((f"add-on {add_on.id}", extra.grant))
    for override in await list_overrides(tx, [overrides.c.feature_id == feature_id]):
        if override.value is not None:
            found.append((f"override {override.id}", override.value))
    return found


async def due_versions(tx: AsyncConnection, now: datetime) -> list[PlanVersion]:
    """Scheduled versions whose time has come, the earliest first, locked."""
    columns = plan_versions.c
    stmt = (
        select(plan_versions)
        .where(columns.state == VersionState.SCHEDULED, columns.effective_time <= now)
        .order_by(columns.effective_time, columns.plan_id, columns.version)
        .with_for_update(skip_locked=True)
    )
    return [_version(row) for row in (await tx.execute(stmt)).all()]


async def due_assignments(tx: AsyncConnection, now: datetime, at_most: int) -> list[Assignment]:
    stmt = (
        select(plan_assignments)
        .where(plan_assignments.c.assign_time <= now)
        .order_by(plan_assignments.c.assign_time)
        .limit(at_most)
        .with_for_update(skip_locked=True)
    )
    return [_assignment(row) for row in (await tx.execute(stmt)).all()]


async def expired(
    tx: AsyncConnection, now: datetime, at_most: int
) -> tuple[list[Override], list[KillSwitch], list[Attachment]]:
    """Takes out what has expired."""

    async def taken(table: Table) -> Sequence[Row[Any]]:
        keys = list(table.primary_key.columns)
        old = select(*keys).where(table.c.expire_time <= now).limit(at_most).with_for_update(skip_locked=True)
        rows = (await tx.execute(old)).all()
        gone: list[Row[Any]] = []
        for row in rows:
            key = and_(*(column == value for column, value in zip(keys, row, strict=True)))
            gone += (await tx.execute(delete(table).where(key).returning(table))).all()
        return gone

    return (
        [_override(row) for row in await taken(overrides)],
        [feature_store.kill_switch(row) for row in await taken(kill_switches)],
        [_attachment(row) for row in await taken(attachments)],
    )


async def next_due(tx: AsyncConnection) -> datetime | None:
    """When something is scheduled to happen or to expire next; None when nothing waits."""
    scheduled = plan_versions.c
    soonest = select(
        func.least(
            select(func.min(scheduled.effective_time))
            .where(scheduled.state == VersionState.SCHEDULED)
            .scalar_subquery(),
            select(func.min(plan_assignments.c.assign_time)).scalar_subquery(),
            *(
                select(func.min(table.c.expire_time)).scalar_subquery()
                for table in (overrides, kill_switches, attachments)
            ),
        )
    )
    return (await tx.execute(soonest)).scalar_one()  # type: ignore[no-any-return]
