"""Turns events into notifications, by the triggers of the tenant that each is of.

The notifications' unique key makes it harmless to read an event again.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from google.protobuf import json_format
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.notifications import defaults, domain, ops, store
from shared.notifications.domain import Asked, Trigger
from shared.notifications.vault import Vault
from shared.runtime.clock import Clock
from shared.runtime.context import CallContext, use
from shared.runtime.errors import InvalidArgument, NotFound
from shared.runtime.events import gaps
from shared.runtime.events.consumer import Event, Subscription

log = structlog.stdlib.get_logger("center.notifications")

# What its gaps are kept under.
NAME = "notifications"
PLANE = "dataplane"

# What templates are told beside the event, and where recipients may be found: an event carries no address.
Details = Callable[[AsyncConnection, Event], Awaitable[Mapping[str, Any]]]


async def nothing(tx: AsyncConnection, event: Event) -> Mapping[str, Any]:
    return {}


def subscription(cluster_id: str) -> Subscription:
    return Subscription(f"notifications-{cluster_id}", PLANE)


class Triggers:
    """is_served: whether the tenant of an id is this cluster's to serve, or may become so before long.

    details: asked in the consumer's transaction, of an event that somebody is to be told of.
    """

    def __init__(
        self,
        *,
        name: str,
        vault: Vault,
        clock: Clock,
        is_served: Callable[[str], bool],
        sent: Callable[[], None],
        details: Details = nothing,
    ) -> None:
        self._name = name
        self._vault = vault
        self._clock = clock
        self.is_served = is_served
        self._sent = sent
        self._details = details

    async def apply(self, tx: AsyncConnection, event: Event) -> None:
        """In the consumer's transaction, which becomes one of the event's tenant."""
        if event.tenant_id and self.is_served(event.tenant_id):
            await self._take(tx, event)

    async def wanted_since(self, tx: AsyncConnection, tenant_id: str) -> datetime | None:
        # Those of the platform have always been there.
        return datetime.fromtimestamp(0, UTC)

    async def again(self, tx: AsyncConnection, events: Sequence[Event]) -> bool:
        """False when the tenant is closed again."""
        for event in events:
            if not await self._take(tx, event, once_more=True):
                return False
        return True

    async def _take(self, tx: AsyncConnection, event: Event, *, once_more: bool = False) -> bool:
        """False: the tenant is closed, and its events are read again later."""
        # A template for news of notifications would notify of its own.
        if event.subject.aggregate == "notification":
            return True
        await tx.execute(_AS, {"tenant_id": event.tenant_id})
        found = await store.triggers_of(tx, event.tenant_id, event.subject.name, event.time, self._vault)
        names = {trigger.name for trigger in found}
        found += [each for each in defaults.triggers(event.subject.name) if each.name not in names]
        if not found:
            return True
        if not await gaps.admitted(tx, NAME, event.time, once_more=once_more):
            return False
        call = CallContext(
            caller=self._name, tenant_id=event.tenant_id, method="worker/notifications/trigger", metadata={}
        )
        with use(call):
            said = json_format.MessageToDict(event.message, preserving_proto_field_name=True)
            variables = {"event": said, **await self._details(tx, event)}
            for trigger in found:
                try:
                    await self._notify(tx, event, trigger, variables)
                except NotFound as error:
                    # The template is gone. All that comes after it would wait for ever.
                    if not once_more:
                        raise
                    log.error("an event that was read again is not sent", event_id=event.id, error=repr(error))
        return True

    async def _notify(self, tx: AsyncConnection, event: Event, trigger: Trigger, variables: Mapping[str, Any]) -> None:
        try:
            address = domain.recipient(trigger.channel, domain.at_place(trigger.recipient, variables))
        except InvalidArgument:
            # Nobody to tell it to.
            return
        locale = domain.at_place(trigger.locale, variables)
        asked = Asked(
            channel=trigger.channel,
            recipient=address,
            template=trigger.template,
            locale=locale if domain.is_locale(locale) else "",
            variables=variables,
            # Whoever reads the event a second time makes nothing of it.
            dedup_key=event.id,
        )
        await ops.send(tx, event.tenant_id, asked, self._vault, self._clock)
        self._sent()


_AS = text("SELECT set_config('app.tenant_id', :tenant_id, true)")
