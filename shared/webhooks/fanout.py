"""Events in: each goes to the endpoints of its tenant that want it, in the transaction that notes it as received.

The deliveries' unique key makes it harmless to read one again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.clock import Clock
from shared.runtime.events import subjects
from shared.runtime.events.consumer import Event, Subscription
from shared.webhooks import store
from shared.webhooks.domain import Patience
from shared.webhooks.messages import fanned

# What its gaps are kept under; the database's function knows it, too.
NAME = "webhooks"


def subscriptions(cluster_id: str) -> list[Subscription]:
    """One for each plane; both planes' events concern tenants."""
    return [
        Subscription(f"webhooks-{cluster_id}" if plane == "dataplane" else f"webhooks-{cluster_id}-{plane}", plane)
        for plane in subjects.STREAMS
    ]


@dataclass(frozen=True, slots=True)
class FanOut:
    """is_served: whether the tenant of an id is this cluster's to serve, or may become so before long."""

    is_served: Callable[[str], bool]
    clock: Clock
    patience: Patience = field(default_factory=Patience)

    async def apply(self, tx: AsyncConnection, event: Event) -> None:
        if event.tenant_id and self.is_served(event.tenant_id):
            await store.fan_out(tx, fanned(event, self.clock.now() + self.patience.total))

    async def wanted_since(self, tx: AsyncConnection, tenant_id: str) -> datetime | None:
        return await store.wanted_since(tx, tenant_id)

    async def again(self, tx: AsyncConnection, events: Sequence[Event]) -> bool:
        """False when the tenant is closed again."""
        for event in events:
            kept = fanned(event, self.clock.now() + self.patience.total)
            if not await store.fan_out(tx, kept, once_more=True):
                return False
        return True
