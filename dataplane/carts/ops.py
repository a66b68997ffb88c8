"""What an order does with the cart that it was, in its own transaction."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.carts import domain, store
from dataplane.carts.domain import Cart
from dataplane.carts.messages import change, event
from shared.runtime import journal
from shared.runtime.errors import NotFound


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


async def _kept(tx: AsyncConnection, tenant_id: str, before: Cart, after: Cart) -> Cart:
    if after is not before:
        await store.save(tx, tenant_id, before, after)
        await journal.record(tx, tenant_id, [change(before, after)], [event("updated", after)])
    return after
