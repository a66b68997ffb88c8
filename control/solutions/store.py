"""Solutions, their names and their keys in PostgreSQL; every function runs in the caller's transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import catalog_service_pb2 as catalog_pb
from control.catalog.store import Change
from control.rows import among
from control.solutions.domain import (
    Enforcement,
    FailMode,
    Gateway,
    Key,
    Period,
    Quota,
    RateLimit,
    Rule,
    Solution,
    Tier,
    facts,
    key_facts,
)
from control.solutions.messages import to_proto
from control.tables import domains, entitlements, solution_hosts, solution_keys, solutions
from shared.runtime.errors import AlreadyExists, NotFound, stale

EXISTS = AlreadyExists("SOLUTION_EXISTS", "there is, or was, a solution with this id")


def changed(before: Solution | None, after: Solution, event: str, reason: str) -> Change:
    """A change to a solution, for the catalog to record."""
    return Change(
        resource="solution",
        resource_id=after.id,
        event=event,
        reason=reason,
        before=facts(before) if before is not None else {},
        after=facts(after),
        entry=catalog_pb.CatalogEntry(solution=to_proto(after)),
    )


def removed(solution: Solution, reason: str) -> Change:
    return Change(
        resource="solution",
        resource_id=solution.id,
        event="removed",
        reason=reason,
        before=facts(solution),
        after={},
        entry=catalog_pb.CatalogEntry(removed_solution_id=solution.id),
    )


def key_changed(before: Key | None, after: Key, event: str, reason: str) -> Change:
    return Change(
        resource="solution_key",
        resource_id=after.kid,
        event=event,
        reason=reason,
        before=key_facts(before) if before is not None else {},
        after=key_facts(after),
        entry=catalog_pb.CatalogEntry(
            access=catalog_pb.CatalogAccess(solution_id=after.solution_id, token_kid=after.kid)
        ),
    )


async def get(tx: AsyncConnection, solution_id: str, *, lock: bool = False, share: bool = False) -> Solution:
    """lock: to change it. share: so that its tiers stay while something is made that stands on them."""
    stmt = select(solutions).where(solutions.c.id == solution_id, solutions.c.delete_time.is_(None))
    if lock or share:
        stmt = stmt.with_for_update(read=share)
    row = (await tx.execute(stmt)).one_or_none()
    if row is None:
        raise NotFound("SOLUTION_NOT_FOUND", f"there is no solution {solution_id[:64]!r}", id=solution_id[:64])
    return _solution(row)


async def list_page(tx: AsyncConnection, where: Sequence[ColumnElement[bool]], limit: int) -> list[Solution]:
    stmt = select(solutions).where(*where, solutions.c.delete_time.is_(None)).order_by(solutions.c.id).limit(limit)
    return [_solution(row) for row in (await tx.execute(stmt)).all()]


async def add(tx: AsyncConnection, solution: Solution) -> None:
    await tx.execute(insert(solutions).values(_values(solution)))
    await _take_hosts(tx, solution, solution.hosts)


async def save(tx: AsyncConnection, before: Solution, after: Solution) -> None:
    """Writes over the version just before this one, or refuses."""
    old = (solutions.c.id == after.id) & (solutions.c.version == after.version - 1)
    if (await tx.execute(update(solutions).where(old).values(_values(after)))).rowcount != 1:
        raise stale("solution", after.id)
    if gone := set(before.hosts) - set(after.hosts):
        await tx.execute(delete(solution_hosts).where(among(solution_hosts.c.name, gone)))
    await _take_hosts(tx, after, [host for host in after.hosts if host not in before.hosts])


async def _take_hosts(tx: AsyncConnection, solution: Solution, hosts: Sequence[str]) -> None:
    """AlreadyExists HOST_TAKEN: a tenant or another solution has the name.

    While this looks for tenants, none can take a name; who takes one looks for solutions afterwards. So of two that
    want the same name at once, one sees the other.
    """
    if not hosts:
        return
    await tx.exec_driver_sql("LOCK TABLE domains IN SHARE ROW EXCLUSIVE MODE")
    held = select(domains.c.name).where(among(domains.c.name, hosts))
    others = select(solution_hosts.c.name).where(among(solution_hosts.c.name, hosts))
    if taken := sorted((await tx.execute(held.union(others))).scalars()):
        raise AlreadyExists("HOST_TAKEN", f"somebody has {taken[0]} already", host=taken[0])
    await tx.execute(insert(solution_hosts), [{"name": host, "solution_id": solution.id} for host in sorted(hosts)])


async def tier_in_use(tx: AsyncConnection, solution_id: str, tiers: Iterable[str]) -> str | None:
    """One of the tiers that an entitlement has which may be used again."""
    stmt = (
        select(entitlements.c.tier)
        .where(
            entitlements.c.solution_id == solution_id,
            among(entitlements.c.tier, tiers),
            entitlements.c.status != "CANCELLED",
        )
        .limit(1)
    )
    return (await tx.execute(stmt)).scalar_one_or_none()


async def active_entitlements(tx: AsyncConnection, solution_id: str) -> int:
    stmt = (
        select(func.count())
        .select_from(entitlements)
        .where(entitlements.c.solution_id == solution_id, entitlements.c.status == "ACTIVE")
    )
    return int((await tx.execute(stmt)).scalar_one())


async def end_everything(tx: AsyncConnection, solution_id: str, reason: str, now: datetime) -> None:
    """Cancels the entitlements of a solution and revokes its keys."""
    await tx.execute(
        update(entitlements)
        .where(entitlements.c.solution_id == solution_id, entitlements.c.status != "CANCELLED")
        .values(status="CANCELLED", status_reason=reason, update_time=now, version=entitlements.c.version + 1)
    )
    live = (solution_keys.c.solution_id == solution_id) & solution_keys.c.revoke_time.is_(None)
    await tx.execute(update(solution_keys).where(live).values(revoke_time=now))


async def live_keys(tx: AsyncConnection, solution_id: str | None = None) -> list[Key]:
    """Of one solution, or of all."""
    stmt = select(solution_keys).where(solution_keys.c.revoke_time.is_(None))
    if solution_id is not None:
        stmt = stmt.where(solution_keys.c.solution_id == solution_id)
    return [_key(row) for row in (await tx.execute(stmt)).all()]


async def keys_of(tx: AsyncConnection, kids: Iterable[str]) -> list[Key]:
    stmt = select(solution_keys).where(among(solution_keys.c.kid, kids))
    return [_key(row) for row in (await tx.execute(stmt)).all()]


async def get_key(tx: AsyncConnection, kid: str, *, lock: bool = False) -> Key:
    stmt = select(solution_keys).where(solution_keys.c.kid == kid)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    if row is None:
        raise NotFound("SOLUTION_KEY_NOT_FOUND", "there is no such key", kid=kid)
    return _key(row)


async def list_keys(tx: AsyncConnection, where: Sequence[ColumnElement[bool]], limit: int) -> list[Key]:
    columns = solution_keys.c
    stmt = select(solution_keys).where(*where).order_by(columns.create_time, columns.kid).limit(limit)
    return [_key(row) for row in (await tx.execute(stmt)).all()]


async def add_key(tx: AsyncConnection, key: Key) -> None:
    await tx.execute(insert(solution_keys).values(asdict(key)))


async def save_key(tx: AsyncConnection, key: Key) -> None:
    await tx.execute(update(solution_keys).where(solution_keys.c.kid == key.kid).values(revoke_time=key.revoke_time))


async def keys_used(tx: AsyncConnection, kids: Iterable[str], now: datetime) -> None:
    columns = solution_keys.c
    older = or_(columns.last_use_time.is_(None), columns.last_use_time < now)
    await tx.execute(update(solution_keys).where(among(columns.kid, kids), older).values(last_use_time=now))


def _solution(row: Row[Any]) -> Solution:
    return Solution(
        id=row.id,
        display_name=row.display_name,
        tiers=tuple(_tier(tier) for tier in row.tiers),
        create_time=row.create_time,
        update_time=row.update_time,
        default_tier=row.default_tier,
        anonymous_tier=row.anonymous_tier,
        redirect_urls=tuple(row.redirect_urls),
        fail_mode=FailMode(row.fail_mode),
        max_age=timedelta(milliseconds=row.max_age_ms),
        token_in_redirect=row.token_in_redirect,
        verified_email_required=row.verified_email_required,
        email_hidden=row.email_hidden,
        time_zone=row.time_zone,
        upgrade_url=row.upgrade_url,
        gateway=_gateway(row.gateway) if row.gateway is not None else None,
        delete_time=row.delete_time,
        version=row.version,
        revision=row.revision,
    )


def _tier(stored: dict[str, Any]) -> Tier:
    rate = stored["rate_limit"]
    return Tier(
        id=stored["id"],
        display_name=stored["display_name"],
        quotas={
            action: Quota(
                quota["limit"], Period(quota["period"]), Enforcement(quota["enforcement"]), quota["rollover_limit"]
            )
            for action, quota in stored["quotas"].items()
        },
        rate_limit=RateLimit(**rate) if rate is not None else None,
    )


def _gateway(stored: dict[str, Any]) -> Gateway:
    return Gateway(
        hosts=tuple(stored["hosts"]),
        upstream_host=stored["upstream_host"],
        upstream_port=stored["upstream_port"],
        rules=tuple(
            Rule(tuple(rule["methods"]), rule["path_prefix"], rule["action"], rule["cost"]) for rule in stored["rules"]
        ),
    )


def _values(solution: Solution) -> dict[str, Any]:
    """All but the revision, which the catalog stamps."""
    return {
        "id": solution.id,
        "display_name": solution.display_name,
        "tiers": [asdict(tier) for tier in solution.tiers],
        "default_tier": solution.default_tier,
        "anonymous_tier": solution.anonymous_tier,
        "redirect_urls": list(solution.redirect_urls),
        "fail_mode": solution.fail_mode,
        "max_age_ms": round(solution.max_age.total_seconds() * 1000),
        "token_in_redirect": solution.token_in_redirect,
        "verified_email_required": solution.verified_email_required,
        "email_hidden": solution.email_hidden,
        "time_zone": solution.time_zone,
        "upgrade_url": solution.upgrade_url,
        "gateway": asdict(solution.gateway) if solution.gateway is not None else None,
        "create_time": solution.create_time,
        "update_time": solution.update_time,
        "delete_time": solution.delete_time,
        "version": solution.version,
    }


def _key(row: Row[Any]) -> Key:
    return Key(
        kid=row.kid,
        solution_id=row.solution_id,
        display_name=row.display_name,
        pepper=row.pepper,
        mac=bytes(row.mac),
        create_time=row.create_time,
        revoke_time=row.revoke_time,
        last_use_time=row.last_use_time,
    )
