"""Turns events into notifications, by the triggers of the tenant that each is of."""

from collections.abc import Callable

from google.protobuf import json_format
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.notifications import domain, ops, store
from shared.notifications.domain import Asked, Trigger
from shared.notifications.vault import Vault
from shared.runtime.clock import Clock
from shared.runtime.context import CallContext, use
from shared.runtime.errors import FailedPrecondition, InvalidArgument
from shared.runtime.events.consumer import Event, Subscription


def subscription(cluster_id: str) -> Subscription:
    return Subscription(f"notifications-{cluster_id}", "dataplane")


class Triggers:
    """served: whether a tenant's events have their effect here; None when that is not known yet, as during a move."""

    def __init__(
        self,
        *,
        name: str,
        vault: Vault,
        clock: Clock,
        served: Callable[[str], bool | None],
        sent: Callable[[], None],
    ) -> None:
        self._name = name
        self._vault = vault
        self._clock = clock
        self._served = served
        self._sent = sent

    async def apply(self, tx: AsyncConnection, event: Event) -> None:
        """In the consumer's transaction, which is set to the event's tenant for as long as this takes."""
        # A template for news of notifications would notify of its own.
        if not event.tenant_id or event.subject.aggregate == "notification":
            return
        served = self._served(event.tenant_id)
        if served is None:
            # It is tried again for two minutes, others' events go on, and then an operator can replay it.
            raise FailedPrecondition("TENANT_CLOSED", "nothing of the tenant can be written now; its event waits")
        if not served:
            return
        await tx.execute(_AS, {"tenant_id": event.tenant_id})
        found = await store.triggers_of(tx, event.tenant_id, event.subject.name, self._vault)
        if found:
            call = CallContext(
                caller=self._name,
                tenant_id=event.tenant_id,
                method="worker/notifications/trigger",
                metadata={},
            )
            with use(call):
                for trigger in found:
                    await self._notify(tx, event, trigger)
        await tx.execute(_AS, {"tenant_id": ""})

    async def _notify(self, tx: AsyncConnection, event: Event, trigger: Trigger) -> None:
        said = json_format.MessageToDict(event.message, preserving_proto_field_name=True)
        try:
            address = domain.recipient(trigger.channel, domain.at_place(trigger.recipient, said))
        except InvalidArgument:
            # Nobody to tell it to.
            return
        locale = domain.at_place(trigger.locale, said)
        asked = Asked(
            channel=trigger.channel,
            recipient=address,
            template=trigger.template,
            locale=locale if domain.is_locale(locale) else "",
            variables={"event": said},
            # Whoever reads the event a second time makes nothing of it.
            dedup_key=event.id,
        )
        await ops.send(tx, event.tenant_id, asked, self._vault, self._clock)
        self._sent()


_AS = text("SELECT set_config('app.tenant_id', :tenant_id, true)")
