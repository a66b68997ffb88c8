"""What others do with carts, inside their own transactions."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.carts import domain, store
from dataplane.carts.domain import State
from dataplane.carts.messages import change, event
from shared.runtime.journal import Change, Event


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
