"""What others do with carts, inside their own transactions."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.carts import domain, store
from dataplane.carts.domain import Cart, State
from dataplane.carts.messages import change, event
from shared.runtime import journal
from shared.runtime.errors import NotFound
from shared.runtime.journal import Change, Event


async def complete(tx: AsyncConnection, tenant_id: str, cart: Cart, order_id: str, now: datetime) -> Cart:
    """The cart as it is from then on. Whoever calls holds its lock: store.lock."""
    domain.refuse_changes(cart)
    return await _kept(tx, tenant_id, cart, domain.complete(cart, order_id, now))


async def reopen(tx: AsyncConnection, tenant_id: str, cart_id: str, now: datetime) -> None:
    """The cart can be changed again, unless it has been forgotten meanwhile."""
    await store.lock(tx, tenant_id, cart_id)
    try:
        cart, _ = await store.get(tx, tenant_id, cart_id)
    except NotFound:
        return
    await _kept(tx, tenant_id, cart, domain.reopen(cart, now))


async def forget_customer(
    tx: AsyncConnection, tenant_id: str, customer_id: str, now: datetime
) -> tuple[list[Change], list[Event]]:
    """Deletes a customer's open carts, and leaves in the others nothing that says whose they were; what is to be
    recorded of it."""
    ids = await store.of_customer(tx, tenant_id, customer_id)
    await store.lock(tx, tenant_id, *ids)
    changes, events = [], []
    for cart_id in ids:
        cart, _ = await store.get(tx, tenant_id, cart_id)
        if cart.state is State.OPEN:
            await store.delete(tx, tenant_id, [cart_id])
            changes.append(change(cart, None))
            events.append(event("deleted", domain.deleted(cart)))
        elif (left := domain.forget_shopper(cart, now)) is not cart:
            await store.save(tx, tenant_id, cart, left)
            changes.append(change(cart, left))
            events.append(event("updated", left))
    return changes, events


async def _kept(tx: AsyncConnection, tenant_id: str, before: Cart, after: Cart) -> Cart:
    if after is not before:
        await store.save(tx, tenant_id, before, after)
        await journal.record(tx, tenant_id, [change(before, after)], [event("updated", after)])
    return after
