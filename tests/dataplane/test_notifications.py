"""Notifications of tenants: sent once, in their templates, to those who want them, whatever the servers do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest

from center.shared.v1 import notification_service_pb2 as pb
from shared.runtime.ids import uuid7
from tests.dataplane.cluster import Running, entry, of
from tests.dataplane.conftest import Start
from tests.support.smtp import Mailserver

EMAIL, SMS, PUSH = pb.NOTIFICATION_CHANNEL_EMAIL, pb.NOTIFICATION_CHANNEL_SMS, pb.NOTIFICATION_CHANNEL_PUSH
SENT, FAILED = pb.NOTIFICATION_STATE_SENT, pb.NOTIFICATION_STATE_FAILED
PENDING, SUPPRESSED = pb.NOTIFICATION_STATE_PENDING, pb.NOTIFICATION_STATE_SUPPRESSED


@pytest.fixture(scope="module")
def mailserver() -> Iterator[Mailserver]:
    server = Mailserver()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
async def cluster(start: Start, mailserver: Mailserver) -> AsyncIterator[Running]:
    async with start("eu-1", smtp_url=f"smtp://127.0.0.1:{mailserver.port}") as running:
        yield running


@pytest.fixture
async def shop(cluster: Running, mailserver: Mailserver) -> "Shop":
    mailserver.answers.clear()
    mailserver.refused.clear()
    mailserver.delay_s = 0.0
    return await Shop.new(cluster)


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

    async def hurry(self, id: str) -> None:
        """The time of the next try is now."""
        async with await psycopg.AsyncConnection.connect(self.cluster.database_url, autocommit=True) as owner:
            await owner.execute("UPDATE notifications SET next_attempt_time = now() WHERE id = %s", (id,))


def an_address() -> str:
    return f"ann-{uuid7()[-12:]}@mail.example"


async def test_mail_goes_out_in_the_tenants_template(shop: Shop, mailserver: Mailserver) -> None:
    await shop.template(html="<p>Dear <b>{{ name }}</b></p>")
    to = an_address()
    made = await shop.send(to, variables={"name": "Ann <3"})
    sent = await shop.becomes(made.id, SENT)
    [mail] = mailserver.to(to)
    assert mail["Subject"] == "Hello Ann <3" and mail["Message-ID"] == f"<{made.id}@center.localhost>"
    assert "Dear Ann <3," in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "<b>Ann &lt;3</b>" in mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert (sent.tries, sent.template_version, sent.masked_recipient) == (1, 1, "")
    assert [each.outcome for each in await shop.attempts(made.id)] == [pb.ATTEMPT_OUTCOME_SENT]
