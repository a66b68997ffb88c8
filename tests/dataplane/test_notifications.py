"""Notifications of tenants: sent once, in their templates, to those who want them, whatever the servers do."""

from collections.abc import AsyncIterator, Iterator

import pytest

from center.shared.v1 import notification_service_pb2 as pb
from tests.dataplane.cluster import Running
from tests.dataplane.conftest import Start
from tests.dataplane.notices import SENT, Shop, an_address
from tests.support.smtp import Mailserver


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
async def shop(cluster: Running, mailserver: Mailserver) -> Shop:
    mailserver.answers.clear()
    mailserver.refused.clear()
    mailserver.delay_s = 0.0
    return await Shop.new(cluster)


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
