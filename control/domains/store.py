"""Claims on domains in PostgreSQL; every function runs in the caller's transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, cast, delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control.domains.domain import Domain, Kind, State
from control.rows import among, inserting, packed
from control.tables import domains, solution_hosts
from shared.runtime.errors import AlreadyExists, NotFound, anew, stale

TAKEN = AlreadyExists("DOMAIN_TAKEN", "another tenant has this domain")
CLAIMED = AlreadyExists("DOMAIN_CLAIMED", "the tenant has claimed this domain already")


def _domain(row: Row[Any]) -> Domain:
    return Domain(
        tenant_id=row.tenant_id,
        name=row.name,
        kind=Kind(row.kind),
        state=State(row.state),
        create_time=row.create_time,
        token=row.token,
        verified_reason=row.verified_reason,
        verify_time=row.verify_time,
        version=row.version,
        number=row.number,
    )


def _values(domain: Domain) -> dict[str, Any]:
    return {
        "tenant_id": domain.tenant_id,
        "name": domain.name,
        "kind": domain.kind,
        "state": domain.state,
        "token": domain.token,
        "verified_reason": domain.verified_reason,
        "create_time": domain.create_time,
        "verify_time": domain.verify_time,
        "version": domain.version,
    }


async def get(tx: AsyncConnection, tenant_id: str, name: str, *, lock: bool = False) -> Domain:
    stmt = select(domains).where(domains.c.tenant_id == tenant_id, domains.c.name == name)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    if row is None:
        raise NotFound("DOMAIN_NOT_FOUND", f"the tenant has no claim on {name}", domain=name)
    return _domain(row)


async def of_tenant(tx: AsyncConnection, tenant_id: str) -> list[Domain]:
    stmt = select(domains).where(domains.c.tenant_id == tenant_id).order_by(domains.c.name)
    return [_domain(row) for row in (await tx.execute(stmt)).all()]


async def list_page(tx: AsyncConnection, where: Sequence[ColumnElement[bool]], limit: int) -> list[Domain]:
    stmt = select(domains).where(*where).order_by(domains.c.name, domains.c.tenant_id).limit(limit)
    return [_domain(row) for row in (await tx.execute(stmt)).all()]


async def counts(tx: AsyncConnection, tenant_id: str) -> dict[Kind, int]:
    """How many names of each kind the tenant has claimed, proven or not."""
    stmt = select(domains.c.kind, func.count().label("names")).where(domains.c.tenant_id == tenant_id)
    return {Kind(row.kind): row.names for row in await tx.execute(stmt.group_by(domains.c.kind))}


_COLUMNS = [column.name for column in domains.c if column.name != "number"]
_ADD = inserting(domains, _COLUMNS, returning=("tenant_id", "name", "number"))


async def add(tx: AsyncConnection, added: Sequence[Domain]) -> list[Domain]:
    """The same claims with their numbers. AlreadyExists DOMAIN_TAKEN: a solution has one of the names."""
    if not added:
        return []
    rows = (await tx.execute(_ADD, packed([_values(domain) for domain in added]))).all()
    # After the insert, for whoever gives a solution a name keeps inserts waiting, and then looks for ours.
    own = [domain.name for domain in added if domain.kind is Kind.PLATFORM]
    if own and (await tx.execute(select(solution_hosts).where(among(solution_hosts.c.name, own)))).first() is not None:
        raise anew(TAKEN)
    numbers = {(str(row.tenant_id), row.name): row.number for row in rows}
    return [replace(domain, number=numbers[domain.tenant_id, domain.name]) for domain in added]


async def save(tx: AsyncConnection, domain: Domain) -> None:
    """Writes over the version just before this one, or refuses."""
    before = (
        (domains.c.tenant_id == domain.tenant_id)
        & (domains.c.name == domain.name)
        & (domains.c.version == domain.version - 1)
    )
    if (await tx.execute(update(domains).where(before).values(_values(domain)))).rowcount != 1:
        raise stale("domain", domain.name)


async def take_turn(tx: AsyncConnection, name: str) -> None:
    """Lets those who prove the same name at once come one after the other: each ends the others' claims, and two who
    held their own and waited for the other's would not come to an end."""
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


async def remove(tx: AsyncConnection, tenant_id: str, name: str) -> None:
    await tx.execute(delete(domains).where(domains.c.tenant_id == tenant_id, domains.c.name == name))


async def end_other_claims(tx: AsyncConnection, names: Iterable[str], tenant_ids: Iterable[str]) -> list[Domain]:
    """Ends the pending claims on these names by anyone but these tenants, and says which."""
    stmt = (
        delete(domains)
        .where(
            among(domains.c.name, names),
            domains.c.state == State.PENDING,
            domains.c.tenant_id.not_in(list(tenant_ids)),
        )
        .returning(domains)
    )
    return [_domain(row) for row in (await tx.execute(stmt)).all()]


async def holders(tx: AsyncConnection, names: Iterable[str]) -> dict[str, str]:
    """Verified name -> the tenant that has it, or `solution/ID`."""
    wanted = list(names)
    tenants = select(domains.c.name, cast(domains.c.tenant_id, Text).label("holder")).where(
        among(domains.c.name, wanted), domains.c.state == State.VERIFIED
    )
    others = select(solution_hosts.c.name, literal("solution/").concat(solution_hosts.c.solution_id)).where(
        among(solution_hosts.c.name, wanted)
    )
    return {row.name: row.holder for row in (await tx.execute(tenants.union_all(others))).all()}


async def claimed_names(tx: AsyncConnection, tenant_ids: Iterable[str]) -> dict[str, set[str]]:
    """Tenant -> the names that it has claimed, proven or not."""
    claimed: dict[str, set[str]] = {}
    stmt = select(domains.c.tenant_id, domains.c.name).where(among(domains.c.tenant_id, tenant_ids))
    for tenant_id, name in (await tx.execute(stmt)).all():
        claimed.setdefault(tenant_id, set()).add(name)
    return claimed
