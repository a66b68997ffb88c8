"""A tenant that sends notifications, and what its people do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from center.shared.v1 import notification_service_pb2 as pb
from shared.runtime.ids import uuid7
from tests.dataplane.cluster import Running, entry, of

EMAIL, SMS, PUSH = pb.NOTIFICATION_CHANNEL_EMAIL, pb.NOTIFICATION_CHANNEL_SMS, pb.NOTIFICATION_CHANNEL_PUSH
SENT, FAILED = pb.NOTIFICATION_STATE_SENT, pb.NOTIFICATION_STATE_FAILED
PENDING, SUPPRESSED = pb.NOTIFICATION_STATE_PENDING, pb.NOTIFICATION_STATE_SUPPRESSED


async def until(look: Callable[[], Awaitable[Any]], within_s: float = 15.0) -> Any:
    """What `look` finds, once it finds something."""
    async with asyncio.timeout(within_s):
        while not (found := await look()):
            await asyncio.sleep(0.02)
        return found


class Shop:
    """A tenant, and what its people do."""

    def __init__(self, cluster: Running, id: str) -> None:
        self.cluster = cluster
        self.id = id
        self.call = cluster.notifications

    @classmethod
    async def new(cls, cluster: Running) -> "Shop":
        tenant = entry()
        await cluster.apply(tenant)
        return cls(cluster, tenant.id)

    async def template(self, name: str = "hello", activate: bool = True, **parts: Any) -> pb.NotificationTemplate:
        given = {"channel": EMAIL, "subject": "Hello {{ name }}", "text": "Dear {{ name }},\nwelcome.", **parts}
        request = pb.PutTemplateRequest(template={"name": name, **given}, activate=activate)
        return (await self.call.PutTemplate(request, metadata=of(self.id))).template

    async def send(self, to: str = "", template: str = "hello", **more: Any) -> pb.Notification:
        return (await self.sent(to, template, **more)).notification

    async def sent(self, to: str = "", template: str = "hello", **more: Any) -> pb.SendNotificationResponse:
        given = {"channel": EMAIL, "variables": {"name": "Ann"}, **more}
        request = pb.SendNotificationRequest(recipient=to or an_address(), template=template, **given)
        return await self.call.SendNotification(request, metadata=of(self.id))

    async def get(self, id: str) -> pb.Notification:
        return (await self.call.GetNotification(pb.GetNotificationRequest(id=id), metadata=of(self.id))).notification

    async def becomes(self, id: str, state: int, within_s: float = 15.0) -> pb.Notification:
        async def has_state() -> pb.Notification | None:
            found = await self.get(id)
            return found if found.state == state else None

        return await until(has_state, within_s)

    async def attempts(self, id: str) -> list[pb.NotificationAttempt]:
        request = pb.ListAttemptsRequest(notification_id=id)
        return list((await self.call.ListAttempts(request, metadata=of(self.id))).attempts)

    async def tried(self, id: str, times: int) -> list[pb.NotificationAttempt]:
        async def often() -> list[pb.NotificationAttempt] | None:
            found = await self.attempts(id)
            return found if len(found) >= times else None

        return await until(often)

    async def replay(self, **which: str) -> int:
        return (await self.call.ReplayFailed(pb.ReplayFailedRequest(**which), metadata=of(self.id))).replayed

    async def trigger(self, name: str, event_type: str, template: str, recipient: str) -> None:
        trigger = {"name": name, "event_type": event_type, "template": template, "recipient": recipient}
        request = pb.PutTriggerRequest(trigger={**trigger, "channel": EMAIL})
        await self.call.PutTrigger(request, metadata=of(self.id))

    async def hurry(self, id: str) -> None:
        """The time of the next try is now."""
        async with await psycopg.AsyncConnection.connect(self.cluster.database_url, autocommit=True) as owner:
            await owner.execute("UPDATE notifications SET next_attempt_time = now() WHERE id = %s", (id,))


def an_address() -> str:
    return f"ann-{uuid7()[-12:]}@mail.example"
