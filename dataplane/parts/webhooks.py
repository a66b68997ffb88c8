"""What happens in a shop, told to the addresses that it names."""

from dataclasses import dataclass

from dataplane.parts.ground import Ground, Part
from shared.runtime.db import Database
from shared.runtime.vault import Vault
from shared.webhooks.guard import Dns, Guard
from shared.webhooks.sender import Sender
from shared.webhooks.service import WebhookService
from shared.webhooks.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks(Part):
    db: Database
    deliveries: Worker


async def wire_webhooks(ground: Ground) -> Webhooks:
    guard, secrets = Guard(Dns(), ground.config.webhooks_allow), Vault(ground.config.home, "webhooks")
    # Of its own: a burst of deliveries takes no connection from a request.
    db = ground.database("center_app", 6)
    deliveries = Worker(
        db=db,
        steward=ground.steward,
        sender=await ground.stack.enter_async_context(Sender(guard)),
        vault=secrets,
        clock=ground.clock,
        caller=ground.name,
    )
    webhooks = WebhookService(
        db=ground.writes(deliveries.wake),
        reads=ground.db,
        tokens=ground.tokens,
        clock=ground.clock,
        guard=guard,
        vault=secrets,
    )
    return Webhooks(db=db, deliveries=deliveries, services=ground.admitted(webhooks), workers=[deliveries.run])
