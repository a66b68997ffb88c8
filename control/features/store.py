"""Features, rollouts and kill switches in PostgreSQL; every function runs in the caller's transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, delete, insert, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from control.features.domain import Feature, KillSwitch, Rollout, State
from control.features.values import Kind, Period, Schema, Type, plain, setting_of
from control.plans.domain import feature_not_found
from control.rows import Order, Where, among, one_row, rows_of
from control.tables import features, kill_switches, rollouts
from shared.runtime.errors import AlreadyExists, stale

FEATURE_EXISTS = AlreadyExists("FEATURE_EXISTS", "there is a feature with this id")


def _feature(row: Row[Any]) -> Feature:
    return Feature(
        id=row.id,
        kind=Kind(row.kind),
        display_name=row.display_name,
        description=row.description,
        unit=row.unit,
        period=Period(row.period) if row.period else Period.STANDING,
        schema=_schema(row.schema) if row.schema is not None else None,
        default=setting_of(row.default_value) if row.default_value is not None else None,
        state=State(row.state),
        create_time=row.create_time,
        update_time=row.update_time,
        version=row.version,
        revision=row.revision,
    )


def _schema(stored: Mapping[str, Any]) -> Schema:
    return Schema(**{**stored, "type": Type(stored["type"]), "allowed": tuple(stored.get("allowed", ()))})


def _feature_values(feature: Feature) -> dict[str, Any]:
    return {
        "id": feature.id,
        "kind": feature.kind,
        "display_name": feature.display_name,
        "description": feature.description,
        "unit": feature.unit,
        "period": feature.period if feature.kind is Kind.METERED else "",
        "schema": asdict(feature.schema) if feature.schema is not None else None,
        "default_value": plain(feature.default) if feature.default is not None else None,
        "state": feature.state,
        "create_time": feature.create_time,
        "update_time": feature.update_time,
        "version": feature.version,
    }


async def get_feature(tx: AsyncConnection, feature_id: str, *, lock: bool = False) -> Feature:
    missing = feature_not_found(feature_id)
    return _feature(await one_row(tx, features, features.c.id == feature_id, missing, lock))


async def get_features(tx: AsyncConnection, ids: Iterable[str]) -> dict[str, Feature]:
    return {row.id: _feature(row) for row in await rows_of(tx, features, [among(features.c.id, ids)])}


async def list_features(
    tx: AsyncConnection, where: Where = (), order: Order = (), limit: int | None = None
) -> list[Feature]:
    return [_feature(row) for row in await rows_of(tx, features, where, order, limit)]


async def add_feature(tx: AsyncConnection, feature: Feature) -> None:
    await tx.execute(insert(features).values(_feature_values(feature)))


async def save_feature(tx: AsyncConnection, feature: Feature) -> None:
    """Writes over the version just before this one, or refuses."""
    before = (features.c.id == feature.id) & (features.c.version == feature.version - 1)
    if (await tx.execute(update(features).where(before).values(_feature_values(feature)))).rowcount != 1:
        raise stale("feature", feature.id)


def _rollout(row: Row[Any]) -> Rollout:
    return Rollout(row.feature_id, row.cluster_id, row.basis_points, row.reason, row.update_time, row.revision)


async def list_rollouts(tx: AsyncConnection, where: Where = ()) -> list[Rollout]:
    return [_rollout(row) for row in await rows_of(tx, rollouts, where)]


def of_features(table: Table, feature_ids: Iterable[str]) -> ColumnElement[bool]:
    return among(table.c.feature_id, feature_ids)


async def set_rollout(tx: AsyncConnection, rollout: Rollout) -> None:
    values = {
        "basis_points": rollout.basis_points,
        "reason": rollout.reason,
        "update_time": rollout.update_time,
    }
    stmt = upsert(rollouts).values(feature_id=rollout.feature_id, cluster_id=rollout.cluster_id, **values)
    await tx.execute(stmt.on_conflict_do_update(index_elements=["feature_id", "cluster_id"], set_=values))


async def stamp_rollout(tx: AsyncConnection, rollout: Rollout, revision: int) -> None:
    key = and_(rollouts.c.feature_id == rollout.feature_id, rollouts.c.cluster_id == rollout.cluster_id)
    await tx.execute(update(rollouts).where(key).values(revision=revision))


async def remove_rollout(tx: AsyncConnection, feature_id: str, cluster_id: str) -> Rollout | None:
    key = and_(rollouts.c.feature_id == feature_id, rollouts.c.cluster_id == cluster_id)
    row = (await tx.execute(delete(rollouts).where(key).returning(rollouts))).one_or_none()
    return _rollout(row) if row is not None else None


def kill_switch(row: Row[Any]) -> KillSwitch:
    return KillSwitch(
        id=row.id,
        feature_id=row.feature_id,
        tenant_id=row.tenant_id or "",
        cluster_id=row.cluster_id,
        reason=row.reason,
        expire_time=row.expire_time,
        create_time=row.create_time,
        caller=row.caller,
        revision=row.revision,
    )


async def list_kill_switches(
    tx: AsyncConnection, where: Where = (), order: Order = (), limit: int | None = None
) -> list[KillSwitch]:
    return [kill_switch(row) for row in await rows_of(tx, kill_switches, where, order, limit)]


async def set_kill_switch(tx: AsyncConnection, switch: KillSwitch) -> KillSwitch:
    """In the place of the one with the same scope; the switch with the id that it has."""
    values = {
        "reason": switch.reason,
        "expire_time": switch.expire_time,
        "create_time": switch.create_time,
        "caller": switch.caller,
    }
    stmt = upsert(kill_switches).values(
        id=switch.id,
        feature_id=switch.feature_id,
        tenant_id=switch.tenant_id or None,
        cluster_id=switch.cluster_id,
        **values,
    )
    stmt = stmt.on_conflict_do_update(index_elements=["feature_id", "cluster_id", "tenant_id"], set_=values)
    return kill_switch((await tx.execute(stmt.returning(kill_switches))).one())


async def remove_kill_switch(tx: AsyncConnection, id: str) -> KillSwitch | None:
    stmt = delete(kill_switches).where(kill_switches.c.id == id).returning(kill_switches)
    row = (await tx.execute(stmt)).one_or_none()
    return kill_switch(row) if row is not None else None
