"""Members and API keys in PostgreSQL. Every function runs in the caller's transaction, whose tenant the row policies
enforce."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.staff.domain import ApiKey, KeyStanding, Member, MemberStanding, Role, State, member_exists
from dataplane.staff.tables import api_keys, staff_members
from shared.runtime import paging
from shared.runtime.db import Database, constraints
from shared.runtime.errors import NotFound, stale
from shared.runtime.paging import Ordering, Value


async def member(tx: AsyncConnection, tenant_id: str, member_id: str, *, lock: bool = False) -> Member:
    found = await find(tx, tenant_id, staff_members.c.id == member_id, lock=lock)
    if found is None:
        raise NotFound("MEMBER_NOT_FOUND", f"no member {member_id} in this shop", id=member_id)
    return found


async def find(
    tx: AsyncConnection, tenant_id: str, condition: ColumnElement[bool], *, lock: bool = False
) -> Member | None:
    stmt = select(staff_members).where(staff_members.c.tenant_id == tenant_id, condition)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    return None if row is None else _member(row)


async def members(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Member], list[Value] | None]:
    """A page of members, and the cursor of the next one if there is more."""
    stmt = select(staff_members).where(staff_members.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, stmt, ordering, cursor, size)
    return [_member(row) for row in rows], following


# In one order for everybody. Whoever waits here sees afterwards who is an owner still: rows that are none any more are
# left out, and of two who would each leave the other as the last, the second is refused.
_OWNERS = text(
    "SELECT id::text FROM staff_members WHERE tenant_id = CAST(:tenant_id AS uuid) AND role = 'OWNER' "
    "AND state = 'ACTIVE' ORDER BY id FOR UPDATE"
)


async def owners(tx: AsyncConnection, tenant_id: str) -> list[str]:
    """Who can sign in as an owner, held until the transaction ends. To be asked before any other row is locked."""
    return list((await tx.execute(_OWNERS, {"tenant_id": tenant_id})).scalars())


async def add_member(tx: AsyncConnection, tenant_id: str, new: Member) -> None:
    with constraints({"staff_members_tenant_id_email_hash_key": member_exists()}):
        await tx.execute(insert(staff_members).values(tenant_id=tenant_id, **_member_values(new)))


async def save_member(tx: AsyncConnection, tenant_id: str, after: Member) -> None:
    c = staff_members.c
    place = (c.tenant_id == tenant_id) & (c.id == after.id) & (c.version == after.version - 1)
    if (await tx.execute(update(staff_members).where(place).values(**_member_values(after)))).rowcount != 1:
        raise stale("member", after.id)


async def remove_member(tx: AsyncConnection, tenant_id: str, member_id: str) -> None:
    c = staff_members.c
    await tx.execute(delete(staff_members).where(c.tenant_id == tenant_id, c.id == member_id))


async def key(tx: AsyncConnection, tenant_id: str, key_id: str) -> ApiKey:
    """Locked: a key is read one by one only to be changed."""
    c = api_keys.c
    stmt = select(api_keys).where(c.tenant_id == tenant_id, c.id == key_id).with_for_update()
    row = (await tx.execute(stmt)).one_or_none()
    if row is None:
        raise NotFound("API_KEY_NOT_FOUND", f"no API key {key_id} in this shop", id=key_id)
    return _key(row)


async def keys(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[ApiKey], list[Value] | None]:
    """A page of API keys, and the cursor of the next one if there is more."""
    stmt = select(api_keys).where(api_keys.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, stmt, ordering, cursor, size)
    return [_key(row) for row in rows], following


async def add_key(tx: AsyncConnection, tenant_id: str, new: ApiKey) -> None:
    await tx.execute(insert(api_keys).values(tenant_id=tenant_id, **_key_values(new)))


async def save_key(tx: AsyncConnection, tenant_id: str, after: ApiKey) -> None:
    c = api_keys.c
    place = (c.tenant_id == tenant_id) & (c.id == after.id) & (c.version == after.version - 1)
    if (await tx.execute(update(api_keys).where(place).values(**_key_values(after)))).rowcount != 1:
        raise stale("API key", after.id)


async def used(tx: AsyncConnection, tenant_id: str, key_id: str, hour: datetime) -> None:
    c = api_keys.c
    is_new = c.last_use_time.is_(None) | (c.last_use_time < hour)
    stmt = update(api_keys).where(c.tenant_id == tenant_id, c.id == key_id, is_new)
    await tx.execute(stmt.values(last_use_time=hour))


async def member_standing(steward: Database, tenant_id: str, member_id: str) -> MemberStanding | None:
    parameters = {"tenant_id": tenant_id, "id": member_id}
    rows = await steward.once("SELECT * FROM member_standing(%(tenant_id)s::uuid, %(id)s::uuid)", parameters)
    return MemberStanding(Role[rows[0].role], State(rows[0].state), rows[0].epoch) if rows else None


async def key_standing(steward: Database, tenant_id: str, key_id: str) -> KeyStanding | None:
    parameters = {"tenant_id": tenant_id, "id": key_id}
    rows = await steward.once("SELECT * FROM api_key_standing(%(tenant_id)s::uuid, %(id)s::uuid)", parameters)
    return KeyStanding(**rows[0]._asdict() | {"role": Role[rows[0].role]}) if rows else None


def _member_values(member: Member) -> dict[str, Any]:
    return asdict(member) | {"role": member.role.name, "state": member.state.value}


def _key_values(key: ApiKey) -> dict[str, Any]:
    """But for what used() keeps."""
    values = asdict(key) | {"role": key.role.name}
    del values["last_use_time"]
    return values


def _member(row: Any) -> Member:
    found = {name: getattr(row, name) for name in Member.__dataclass_fields__}
    return Member(**found | {"role": Role[row.role]})


def _key(row: Any) -> ApiKey:
    found = {name: getattr(row, name) for name in ApiKey.__dataclass_fields__}
    return ApiKey(**found | {"role": Role[row.role]})
