"""Entitlements and tokens in PostgreSQL; every function runs in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import catalog_service_pb2 as catalog_pb
from control.catalog.store import Change
from control.entitlements import domain
from control.entitlements.domain import Entitlement, Status, Token
from control.tables import entitlements, tokens
from shared.runtime.errors import stale

_STAMPED = {"revision"}


def changed(before: Entitlement | None, after: Entitlement, event: str, reason: str) -> Change:
    """A change to an entitlement, for the catalog to record."""
    access = catalog_pb.CatalogAccess(solution_id=after.solution_id, entitlement_id=after.id)
    return Change(
        resource="entitlement",
        resource_id=after.id,
        event=event,
        reason=reason,
        before=domain.facts(before) if before is not None else {},
        after=domain.facts(after),
        entry=catalog_pb.CatalogEntry(access=access),
    )


def token_changed(before: Token | None, after: Token, event: str, reason: str) -> Change:
    access = catalog_pb.CatalogAccess(
        solution_id=after.solution_id, entitlement_id=after.entitlement_id, token_kid=after.kid
    )
    return Change(
        resource="token",
        resource_id=after.kid,
        event=event,
        reason=reason,
        before=domain.token_facts(before) if before is not None else {},
        after=domain.token_facts(after),
        entry=catalog_pb.CatalogEntry(access=access),
    )


async def get(
    tx: AsyncConnection, entitlement_id: str, *, solution_id: str | None = None, lock: bool = False
) -> Entitlement:
    """solution_id: whose it must be; another's is not there."""
    stmt = select(entitlements).where(entitlements.c.id == entitlement_id)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    if row is None or solution_id not in (None, row.solution_id):
        raise domain.entitlement_not_found(entitlement_id)
    return _entitlement(row)


async def of_user(tx: AsyncConnection, user_id: str, *, lock: bool = False) -> list[Entitlement]:
    stmt = select(entitlements).where(entitlements.c.user_id == user_id).order_by(entitlements.c.id)
    return [_entitlement(row) for row in (await tx.execute(stmt.with_for_update() if lock else stmt)).all()]


async def grant(tx: AsyncConnection, wanted: Entitlement) -> tuple[Entitlement, bool]:
    """The user's entitlement to the solution, locked, and whether it is new."""
    stmt = (
        insert(entitlements).values(_values(wanted)).on_conflict_do_nothing(index_elements=["user_id", "solution_id"])
    )
    if (await tx.execute(stmt.returning(entitlements.c.id))).one_or_none() is not None:
        return wanted, True
    # A statement of its own sees what the other transaction committed (READ COMMITTED).
    known = select(entitlements).where(
        entitlements.c.user_id == wanted.user_id, entitlements.c.solution_id == wanted.solution_id
    )
    return _entitlement((await tx.execute(known.with_for_update())).one()), False


async def save(tx: AsyncConnection, after: Entitlement) -> None:
    """Writes over the version just before this one, or refuses."""
    old = (entitlements.c.id == after.id) & (entitlements.c.version == after.version - 1)
    if (await tx.execute(update(entitlements).where(old).values(_values(after)))).rowcount != 1:
        raise stale("entitlement", after.id)


async def list_page(
    tx: AsyncConnection, where: Sequence[ColumnElement[bool]], by: Sequence[ColumnElement[Any]], limit: int
) -> list[Entitlement]:
    stmt = select(entitlements).where(*where).order_by(*by).limit(limit)
    return [_entitlement(row) for row in (await tx.execute(stmt)).all()]


async def get_token(tx: AsyncConnection, kid: str, *, solution_id: str | None = None, lock: bool = False) -> Token:
    """solution_id: whose it must be; another's is not there."""
    token = await find_token(tx, kid, lock=lock)
    if token is None or solution_id not in (None, token.solution_id):
        raise domain.token_not_found(kid)
    return token


async def find_token(tx: AsyncConnection, kid: str, *, lock: bool = False) -> Token | None:
    stmt = select(tokens).where(tokens.c.kid == kid)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    return _token(row) if row is not None else None


async def live_tokens(tx: AsyncConnection, entitlement_id: str, now: datetime) -> list[Token]:
    """Oldest first. The entitlement's lock keeps them from changing."""
    columns = tokens.c
    stmt = (
        select(tokens)
        .where(columns.entitlement_id == entitlement_id, columns.revoke_time.is_(None))
        .where(columns.expire_time.is_(None) | (columns.expire_time > now))
        .order_by(columns.create_time, columns.kid)
    )
    return [_token(row) for row in (await tx.execute(stmt)).all()]


async def tokens_of_user(tx: AsyncConnection, user_id: str) -> list[Token]:
    stmt = select(tokens).where(tokens.c.user_id == user_id).order_by(tokens.c.create_time, tokens.c.kid)
    return [_token(row) for row in (await tx.execute(stmt)).all()]


async def add_token(tx: AsyncConnection, token: Token) -> None:
    await tx.execute(insert(tokens).values(_values(token)))


async def save_token(tx: AsyncConnection, token: Token) -> None:
    """What may change of one; the last use is the decision log's to write."""
    changing = ("expire_time", "revoke_time", "revoke_reason", "next_kid")
    values = {name: getattr(token, name) for name in changing}
    await tx.execute(update(tokens).where(tokens.c.kid == token.kid).values(values))


async def reseal(tx: AsyncConnection, kid: str, pepper: int, mac: bytes) -> None:
    """What is kept of a token, by another pepper."""
    await tx.execute(update(tokens).where(tokens.c.kid == kid).values(pepper=pepper, mac=mac))


async def list_tokens(
    tx: AsyncConnection, where: Sequence[ColumnElement[bool]], by: Sequence[ColumnElement[Any]], limit: int
) -> list[Token]:
    stmt = select(tokens).where(*where).order_by(*by).limit(limit)
    return [_token(row) for row in (await tx.execute(stmt)).all()]


def _values(row: Entitlement | Token) -> dict[str, Any]:
    """All but the revision, which the catalog stamps."""
    return {name: value for name, value in asdict(row).items() if name not in _STAMPED}


def _read(table: Table, row: Row[Any]) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in table.c}


def _entitlement(row: Row[Any]) -> Entitlement:
    values = _read(entitlements, row)
    return Entitlement(**{**values, "status": Status(row.status)})


def _token(row: Row[Any]) -> Token:
    return Token(**{**_read(tokens, row), "mac": bytes(row.mac)})
