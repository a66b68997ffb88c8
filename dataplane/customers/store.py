"""Customers in PostgreSQL. Every function runs in the caller's transaction, whose tenant the row policies enforce."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.customers import domain
from dataplane.customers.domain import FAILURES_KEPT, Address, Customer, State, Tries
from dataplane.customers.tables import customer_addresses, customer_consents, customer_logins, customers
from shared.runtime import paging
from shared.runtime.context import Session
from shared.runtime.db import constraints
from shared.runtime.errors import NotFound
from shared.runtime.paging import Ordering, Value

_COLUMNS = tuple(each.name for each in fields(Customer) if each.name != "addresses")


async def get(tx: AsyncConnection, tenant_id: str, customer_id: str, *, lock: bool = False) -> Customer:
    """NotFound CUSTOMER_NOT_FOUND."""
    found = await _found(tx, tenant_id, customers.c.id == customer_id, lock=lock)
    if found is None:
        raise NotFound("CUSTOMER_NOT_FOUND", f"no customer {customer_id} in this shop", id=customer_id)
    return found


async def by_email(tx: AsyncConnection, tenant_id: str, email_hash: str, *, lock: bool = False) -> Customer | None:
    """Of no e-mail there is nobody."""
    # Both, so that the index, which has nobody without an e-mail, is one that can be used.
    condition = (customers.c.email_hash == email_hash) & (customers.c.email_hash != "")
    return await _found(tx, tenant_id, condition, lock=lock) if email_hash else None


async def by_external_id(tx: AsyncConnection, tenant_id: str, external_id: str, *, lock: bool) -> Customer | None:
    condition = (customers.c.external_id == external_id) & (customers.c.external_id != "")
    return await _found(tx, tenant_id, condition, lock=lock) if external_id else None


async def is_open(tx: AsyncConnection, tenant_id: str, customer_id: str, session: Session) -> bool:
    """Whether the customer's session has not been ended; those of nobody, and of who was erased, have."""
    c = customers.c
    stmt = select(c.epoch == session.epoch, c.ended_sessions.has_key(session.id)).where(
        c.tenant_id == tenant_id, c.id == customer_id, c.state == State.ACTIVE
    )
    found = (await tx.execute(stmt)).one_or_none()
    return found is not None and found[0] and not found[1]


async def page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Customer], list[Value] | None]:
    """A page of customers without their addresses, and the cursor of the next page."""
    found = select(customers).where(customers.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_customer(row, ()) for row in rows], following


async def add(tx: AsyncConnection, tenant_id: str, new: Customer) -> bool:
    """False: there is somebody with this e-mail or this external id."""
    stmt = insert(customers).values(tenant_id=tenant_id, **_values(new)).on_conflict_do_nothing()
    if (await tx.execute(stmt.returning(customers.c.id))).one_or_none() is None:
        return False
    if new.consent_time is not None:
        await _consent(tx, tenant_id, new)
    return True


async def save(tx: AsyncConnection, tenant_id: str, before: Customer, after: Customer) -> None:
    """Writes what differs. Whoever calls holds the lock. AlreadyExists EMAIL_TAKEN."""
    key = (customers.c.tenant_id == tenant_id, customers.c.id == after.id)
    with constraints({"customers_email": domain.email_taken()}):
        await tx.execute(update(customers).where(*key).values(_values(after)))
    if before.consent_time != after.consent_time:
        await _consent(tx, tenant_id, after)
    if before.addresses != after.addresses:
        await _save_addresses(tx, tenant_id, before, after)


async def consents(tx: AsyncConnection, tenant_id: str, customer_id: str) -> list[tuple[bool, datetime]]:
    """Oldest first."""
    c = customer_consents.c
    stmt = select(c.given, c.create_time).where(c.tenant_id == tenant_id, c.customer_id == customer_id)
    return [(row.given, row.create_time) for row in await tx.execute(stmt.order_by(c.version))]


async def take_try(tx: AsyncConnection, tenant_id: str, email_hash: str, now: datetime) -> None:
    """ResourceExhausted TOO_MANY_ATTEMPTS."""
    c = customer_logins.c
    first = {"tenant_id": tenant_id, "email_hash": email_hash, "failures": 0, "last_time": now}
    await tx.execute(insert(customer_logins).values(first).on_conflict_do_nothing())
    key = (c.tenant_id == tenant_id, c.email_hash == email_hash)
    row = (await tx.execute(select(c.failures, c.last_time).where(*key).with_for_update())).one()
    after = domain.take(Tries(row.failures, row.last_time), now)
    await tx.execute(update(customer_logins).where(*key).values(failures=after.failures, last_time=after.last_time))
    # Whoever makes up e-mails clears away more than they add.
    await tx.execute(_FORGET_TRIES, {"tenant_id": tenant_id, "before": now - FAILURES_KEPT})


async def forgive(tx: AsyncConnection, tenant_id: str, email_hash: str) -> None:
    """None of the tries counts any more."""
    c = customer_logins.c
    await tx.execute(delete(customer_logins).where(c.tenant_id == tenant_id, c.email_hash == email_hash))


_FORGET_TRIES = text(
    """
    DELETE FROM customer_logins WHERE tenant_id = CAST(:tenant_id AS uuid) AND email_hash IN (
        SELECT email_hash FROM customer_logins
        WHERE tenant_id = CAST(:tenant_id AS uuid) AND last_time <= :before
        ORDER BY last_time LIMIT 10 FOR UPDATE SKIP LOCKED
    )
    """
)


async def _found(tx: AsyncConnection, tenant_id: str, condition: ColumnElement[bool], *, lock: bool) -> Customer | None:
    stmt = select(customers).where(customers.c.tenant_id == tenant_id, condition)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    if row is None:
        return None
    c = customer_addresses.c
    of_them = select(customer_addresses).where(c.tenant_id == tenant_id, c.customer_id == row.id).order_by(c.id)
    return _customer(row, (await tx.execute(of_them)).all())


async def _consent(tx: AsyncConnection, tenant_id: str, customer: Customer) -> None:
    values = {
        "tenant_id": tenant_id,
        "customer_id": customer.id,
        "version": customer.version,
        "given": customer.marketing_consent,
        "create_time": customer.consent_time,
    }
    await tx.execute(insert(customer_consents).values(values))


async def _save_addresses(tx: AsyncConnection, tenant_id: str, before: Customer, after: Customer) -> None:
    c = customer_addresses.c
    known, left = {each.id: each for each in before.addresses}, {each.id for each in after.addresses}
    changed = [each for each in after.addresses if known.get(each.id) != each]
    # Gone or changed alike: what was the default is out of the way of what is.
    former = [each for each in known if each not in left or any(each == other.id for other in changed)]
    if former:
        await tx.execute(delete(customer_addresses).where(c.tenant_id == tenant_id, c.id.in_(former)))
    if changed:
        rows = [{"tenant_id": tenant_id, "customer_id": after.id, **_address_values(each)} for each in changed]
        await tx.execute(insert(customer_addresses).values(rows))


def _address_values(address: Address) -> dict[str, Any]:
    return {each.name: getattr(address, each.name) for each in fields(Address)}


def _values(customer: Customer) -> Mapping[str, Any]:
    return {name: getattr(customer, name) for name in _COLUMNS}


def _customer(row: Row[Any], addresses: Sequence[Row[Any]]) -> Customer:
    values = {name: getattr(row, name) for name in _COLUMNS} | {"state": State(row.state)}
    return Customer(
        **values,
        addresses=tuple(Address(each.id, each.address, each.is_default, each.create_time) for each in addresses),
    )
