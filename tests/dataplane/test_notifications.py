"""Notifications of tenants: sent once, in their templates, to those who want them, whatever the servers do."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from center.shared.v1 import notification_service_pb2 as pb
from shared.notifications import domain
from shared.runtime.ids import uuid7
from shared.runtime.rpc.status import received
from tests.dataplane.cluster import Running, entry, move_rows, of
from tests.dataplane.conftest import Start
from tests.dataplane.notices import EMAIL, FAILED, PENDING, PUSH, SENT, SMS, SUPPRESSED, Shop, an_address, until
from tests.support.gateway import Gateway
from tests.support.grpc import refuses
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


async def test_of_sends_that_come_at_once_one_is_sent(shop: Shop, mailserver: Mailserver) -> None:
    await shop.template()
    to = an_address()
    answers = await asyncio.gather(*(shop.sent(to, dedup_key="order-7") for _ in range(16)))
    assert len({each.notification.id for each in answers}) == 1
    assert sorted(each.duplicate for each in answers) == [False, *[True] * 15]
    await shop.becomes(answers[0].notification.id, SENT)
    # Another template, recipient or event is another notification.
    await shop.template("other")
    others = [
        await shop.send(to, "other", dedup_key="order-7"),
        await shop.send(to, dedup_key="order-8"),
        await shop.send(dedup_key="order-7"),
        await shop.send(to),
    ]
    assert len({each.id for each in others}) == 4
    for each in others:
        await shop.becomes(each.id, SENT)
    assert len(mailserver.to(to)) == 4
    assert (await shop.sent(to, dedup_key="order-7")).duplicate


async def test_the_same_address_written_otherwise_is_the_same(shop: Shop) -> None:
    await shop.template()
    first = await shop.send("Ann@Mail.Example", dedup_key="a")
    assert (await shop.sent("ann@mail.example", dedup_key="a")).notification.id == first.id
    await shop.template("code", channel=SMS, subject="", text="{{ name }}")
    first = await shop.send("+49 (30) 123-456", "code", channel=SMS, dedup_key="a")
    assert (await shop.sent("+4930123456", "code", channel=SMS, dedup_key="a")).notification.id == first.id


async def test_a_locale_falls_back_to_its_language_the_default_and_the_platform(shop: Shop) -> None:
    for locale in ("", "de", "de-AT", "fr"):
        await shop.template(locale=locale, text=f"in {locale or 'none'}")
    settings = pb.PutSettingsRequest(default_locale="fr-CA")
    await shop.call.PutSettings(settings, metadata=of(shop.id))

    async def found(locale: str, name: str = "hello") -> str:
        request = pb.GetTemplateRequest(name=name, channel=EMAIL, locale=locale)
        return (await shop.call.GetTemplate(request, metadata=of(shop.id))).template.locale

    asked = ("de-AT", "de-CH", "de", "it", "", "zh-Hant-TW")
    assert [await found(each) for each in asked] == ["de-AT", "de", "de", "fr", "fr", "fr"]
    # The platform's own, and then the tenant's instead of it, in whatever locale.
    assert await found("de", "order-confirmation") == "de"
    await shop.template("order-confirmation", text="ours")
    assert await found("de", "order-confirmation") == ""
    async with refuses("NOT_FOUND", "TEMPLATE_NOT_FOUND"):
        await found("de", "nothing")
    async with refuses("NOT_FOUND", "TEMPLATE_NOT_FOUND"):
        await shop.send(template="nothing")


async def test_each_put_is_a_version_and_one_is_active(shop: Shop, mailserver: Mailserver) -> None:
    versions = [
        await shop.template(text="one", activate=False),
        await shop.template(text="two", activate=False),
        await shop.template(text="three"),
    ]
    assert [(each.version, each.active) for each in versions] == [(1, True), (2, False), (3, True)]

    async def said() -> str:
        to = an_address()
        await shop.becomes((await shop.send(to)).id, SENT)
        return str(mailserver.to(to)[0].get_content()).strip()

    assert await said() == "three"
    back = pb.ActivateTemplateRequest(name="hello", channel=EMAIL, version=2)
    await shop.call.ActivateTemplate(back, metadata=of(shop.id))
    assert await said() == "two"
    listed = await shop.call.ListTemplates(pb.ListTemplatesRequest(filter="active = true"), metadata=of(shop.id))
    assert [each.version for each in listed.templates] == [2]
    racing = await asyncio.gather(*(shop.template(text=f"{n}") for n in range(8)))
    assert sorted(each.version for each in racing) == list(range(4, 12))


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("TEMPLATE_INVALID", {"text": "{{ name"}),
        ("TEMPLATE_INVALID", {"text": "{% nothing %}"}),
        ("TEMPLATE_INVALID", {"subject": ""}),
        ("TEMPLATE_INVALID", {"text": ""}),
        ("TEMPLATE_INVALID", {"channel": SMS}),
        ("TEMPLATE_INVALID", {"channel": PUSH, "html": "<p>"}),
        ("FIELD_INVALID", {"locale": "de_DE"}),
        ("FIELD_INVALID", {"name": "../x"}),
    ],
)
async def test_a_template_that_cannot_be_sent_is_refused(shop: Shop, reason: str, changes: dict[str, Any]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await shop.template(**changes)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert received(refused.value).violations and received(refused.value).reason in (reason, "REQUEST_INVALID")


async def test_a_preview_shows_what_would_be_sent_or_names_what_is_missing(shop: Shop) -> None:
    await shop.template(html="<i>{{ name }}</i>")
    stored = pb.GetTemplateRequest(name="hello", channel=EMAIL)
    request = pb.RenderTemplateRequest(stored=stored, variables={"name": "A&B"})
    shown = await shop.call.RenderTemplate(request, metadata=of(shop.id))
    assert (shown.subject, shown.html, shown.version) == ("Hello A&B", "<i>A&amp;B</i>", 1)
    draft = pb.NotificationTemplate(name="new", channel=PUSH, subject="{{ title }}", text="{{ order.total }}")
    request = pb.RenderTemplateRequest(draft=draft, variables={"title": "a", "order": {}})
    async with refuses("INVALID_ARGUMENT", "TEMPLATE_FAILED") as refusal:
        await shop.call.RenderTemplate(request, metadata=of(shop.id))
    assert "'total'" in refusal.violations["template.text"]


async def test_what_lacks_a_variable_fails_by_name_and_is_replayed_once_mended(
    shop: Shop, mailserver: Mailserver
) -> None:
    await shop.template(text="{{ order.total }}")
    to = an_address()
    made = await shop.send(to, variables={"name": "Ann", "order": {"sum": 5}})
    failed = await shop.becomes(made.id, FAILED)
    assert "'total'" in failed.last_error and failed.tries == 1 and failed.masked_recipient.startswith("a***@")
    [attempt] = await shop.attempts(made.id)
    assert attempt.outcome == pb.ATTEMPT_OUTCOME_PERMANENT and attempt.error == failed.last_error
    await shop.template(text="{{ order.sum }}")
    assert await shop.replay(id=made.id) == 1
    sent = await shop.becomes(made.id, SENT)
    assert sent.template_version == 2 and len(mailserver.to(to)) == 1
    async with refuses("FAILED_PRECONDITION", "NOTIFICATION_NOT_FAILED"):
        await shop.replay(id=made.id)


async def test_a_range_of_failed_ones_is_replayed(shop: Shop, mailserver: Mailserver) -> None:
    await shop.template()
    gone, kept = [an_address() for _ in range(3)], an_address()
    mailserver.refused = dict.fromkeys([*gone, kept], "554 not today")
    made = [await shop.send(to) for to in gone]
    await shop.template("other")
    other = await shop.send(kept, "other")
    for each in (*made, other):
        await shop.becomes(each.id, FAILED)
    mailserver.refused.clear()
    assert await shop.replay(filter='template = "hello"') == 3
    for each in made:
        await shop.becomes(each.id, SENT)
    assert (await shop.get(other.id)).state == FAILED and not mailserver.to(kept)


async def test_refusals_that_pass_are_tried_again_and_others_are_not(shop: Shop, mailserver: Mailserver) -> None:
    await shop.template()
    to, never = an_address(), an_address()
    mailserver.answers = ["RCPT 450 greylisted, {address}", "451 later, please"]
    made = await shop.send(to)
    await shop.tried(made.id, 1)
    waiting = await shop.get(made.id)
    assert waiting.state == PENDING and waiting.last_error == "SMTP 450 at RCPT"
    wait_s = waiting.next_attempt_time.ToNanoseconds() / 1e9 - waiting.update_time.ToNanoseconds() / 1e9
    assert 2 <= wait_s <= 5.1
    for tries in (2, 3):
        await shop.hurry(made.id)
        await shop.tried(made.id, tries)
    assert (await shop.becomes(made.id, SENT)).tries == 3
    outcomes = [(each.number, each.outcome, each.error) for each in await shop.attempts(made.id)]
    assert outcomes == [
        (1, pb.ATTEMPT_OUTCOME_TRANSIENT, "SMTP 450 at RCPT"),
        (2, pb.ATTEMPT_OUTCOME_TRANSIENT, "SMTP 451 at DATA"),
        (3, pb.ATTEMPT_OUTCOME_SENT, ""),
    ]
    assert len(mailserver.to(to)) == 1
    mailserver.refused[never] = "554 5.7.1 spam"
    failed = await shop.becomes((await shop.send(never)).id, FAILED)
    assert (failed.last_error, failed.tries) == ("SMTP 554 at RCPT", 1)


async def test_after_the_last_try_it_has_failed(shop: Shop, mailserver: Mailserver) -> None:
    await shop.template()
    to = an_address()
    mailserver.refused[to] = "450 busy"
    made = await shop.send(to)
    await shop.tried(made.id, 1)
    async with await psycopg.AsyncConnection.connect(shop.cluster.database_url, autocommit=True) as owner:
        await owner.execute("UPDATE notifications SET tries = %s WHERE id = %s", (domain.MOST_TRIES - 1, made.id))
    await shop.hurry(made.id)
    failed = await shop.becomes(made.id, FAILED)
    assert failed.last_error == f"SMTP 450 at RCPT; given up after {domain.MOST_TRIES} tries"


async def test_an_address_that_does_not_exist_is_suppressed(shop: Shop, mailserver: Mailserver) -> None:
    await shop.template()
    to = an_address()
    mailserver.refused[to] = f"550 5.1.1 <{to}> no such user"
    failed = await shop.becomes((await shop.send(to)).id, FAILED)
    assert failed.last_error == "SMTP 550 at RCPT"
    mailserver.refused.clear()
    second = await shop.becomes((await shop.send(to)).id, SUPPRESSED)
    assert (second.last_error, second.tries) == ("suppressed: BOUNCE", 0) and not mailserver.to(to)
    listed = await shop.call.ListSuppressions(pb.ListSuppressionsRequest(), metadata=of(shop.id))
    assert [(each.recipient, each.reason) for each in listed.suppressions] == [(to, pb.SUPPRESSION_REASON_BOUNCE)]
    await shop.call.UnsuppressRecipient(pb.UnsuppressRecipientRequest(recipient=to.upper()), metadata=of(shop.id))
    await shop.becomes((await shop.send(to)).id, SENT)
    async with refuses("NOT_FOUND", "SUPPRESSION_NOT_FOUND"):
        await shop.call.UnsuppressRecipient(pb.UnsuppressRecipientRequest(recipient=to), metadata=of(shop.id))


async def test_who_opted_out_gets_nothing_but_what_is_essential(shop: Shop, mailserver: Mailserver) -> None:
    await shop.template("news", category="marketing")
    await shop.template("receipt")
    await shop.template("reset", category="essential")
    to, other = an_address(), an_address()

    async def outcomes(address: str) -> list[int]:
        made = [await shop.send(address, name) for name in ("news", "receipt", "reset")]

        async def ended() -> list[int] | None:
            states = [(await shop.get(each.id)).state for each in made]
            return None if {PENDING, pb.NOTIFICATION_STATE_SENDING} & set(states) else states

        return list(await until(ended))

    async def prefer(*opt_outs: pb.OptOut) -> None:
        await shop.call.PutPreferences(pb.PutPreferencesRequest(recipient=to, opt_outs=opt_outs), metadata=of(shop.id))

    await prefer(pb.OptOut(category="marketing"))
    assert await outcomes(to) == [SUPPRESSED, SENT, SENT]
    assert await outcomes(other) == [SENT, SENT, SENT]
    await prefer(pb.OptOut(channel=SMS))
    assert await outcomes(to) == [SENT, SENT, SENT]
    await prefer(pb.OptOut(channel=EMAIL))
    assert await outcomes(to) == [SUPPRESSED, SUPPRESSED, SENT]
    async with refuses("INVALID_ARGUMENT", "CATEGORY_ESSENTIAL"):
        await prefer(pb.OptOut(category="essential"))
    read = await shop.call.GetPreferences(pb.GetPreferencesRequest(recipient=to), metadata=of(shop.id))
    assert [each.channel for each in read.opt_outs] == [EMAIL]


@pytest.mark.parametrize(
    "recipient",
    [
        "ann@mail.example\r\nBcc: all@mail.example",
        "ann@mail.example\nRCPT TO:<x@y>",
        "ann@mail.example, bob@mail.example",
        "Ann <ann@mail.example>",
        "ann@mail.example>",
        "<ann@mail.example",
        "ann@@mail.example",
        '"a b"@mail.example',
        "ann@mail.exämple",
        "ann",
        "@",
        "a" * 65 + "@mail.example",
        "ann@mail.example\x7f",
    ],
)
async def test_what_is_no_address_is_refused(shop: Shop, recipient: str) -> None:
    await shop.template()
    async with refuses("INVALID_ARGUMENT", "RECIPIENT_INVALID"):
        await shop.send(recipient)


async def test_no_variable_and_no_sender_can_add_a_header(shop: Shop, mailserver: Mailserver) -> None:
    evil = "x\r\nBcc: all@mail.example\r\n\r\nbody\u2028Bcc: b@mail.example\x0bX: y\x85Z: z"
    name = pb.PutSettingsRequest(sender_name=f"Shop\r\n{evil}", sender_address="shop@mail.example")
    await shop.call.PutSettings(name, metadata=of(shop.id))
    await shop.template(
        subject="Hi {{ name }}", text="{{ name }}\r\n.\r\nMAIL FROM:<x@y>\r\n.", html="<p>{{ name }}</p>"
    )
    to = an_address()
    await shop.becomes((await shop.send(to, variables={"name": evil})).id, SENT)
    [mail] = mailserver.to(to)
    expected = {"From", "To", "Reply-To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"}
    assert {*mail.keys()} == expected | {"Content-Type", "X-Peer", "X-MailFrom", "X-RcptTo"} & {*mail.keys()}
    assert "Bcc: all" in str(mail["Subject"]) and mail["Reply-To"] == "shop@mail.example"
    assert str(mail["From"]).endswith("<no-reply@center.localhost>")
    assert "MAIL FROM:<x@y>" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert len(mailserver.to("all@mail.example")) == 0


async def test_nothing_stored_or_told_holds_an_address_or_a_secret(
    shop: Shop, mailserver: Mailserver, capfd: pytest.CaptureFixture[str]
) -> None:
    await shop.template(text="{{ name }} {{ missing[name] }}")
    await shop.template("good", text="{{ name }}")
    marks = [uuid7()[-12:] for _ in range(3)]
    bad, good, hidden = (f"ann-{mark}@mail.example" for mark in marks)
    made = await shop.send(bad, variables={"name": bad, "missing": {}}, request_id=uuid7())
    await shop.becomes(made.id, FAILED)
    mailserver.refused[good] = f"451 not now, {good}"
    again = await shop.send(good, "good", variables={"name": good}, request_id=uuid7())
    await shop.tried(again.id, 1)
    suppress = pb.SuppressRecipientRequest(recipient=hidden, reason=pb.SUPPRESSION_REASON_COMPLAINT, request_id=uuid7())
    await shop.call.SuppressRecipient(suppress, metadata=of(shop.id))
    secret = f"s3cret-{marks[0]}"
    provider = pb.NotificationProvider(channel=SMS, url="https://sms.example/send", secret=secret)
    await shop.call.PutProvider(pb.PutProviderRequest(provider=provider, request_id=uuid7()), metadata=of(shop.id))
    shown = await shop.call.GetSettings(pb.GetSettingsRequest(), metadata=of(shop.id))
    assert shown.settings.providers[0].has_secret and secret not in str(shown)
    with psycopg.connect(shop.cluster.database_url) as owner:
        tables = owner.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind = 'r' AND n.nspname IN ('public', 'partitions')"
        ).fetchall()
        assert len(tables) > 15
        for (table,) in tables:
            rows = owner.execute(f"SELECT t::text FROM {table} t").fetchall()  # type: ignore[arg-type]
            # bytea shows as hexadecimal digits.
            text = "".join(str(row[0]) for row in rows)
            for mark in (*marks, secret):
                assert mark not in text and mark.encode().hex() not in text, table
    said = capfd.readouterr()
    assert made.id in said.out and not any(mark in said.out + said.err for mark in marks)


async def test_sent_ones_keep_neither_recipient_nor_variables(shop: Shop) -> None:
    await shop.template()
    to = an_address()
    made = await shop.becomes((await shop.send(to)).id, SENT)
    with psycopg.connect(shop.cluster.database_url) as owner:
        row = owner.execute("SELECT recipient, variables FROM notifications WHERE id = %s", (made.id,)).fetchone()
    assert row == (None, None)
    listed = await shop.call.ListNotifications(pb.ListNotificationsRequest(recipient=to), metadata=of(shop.id))
    assert [each.id for each in listed.notifications] == [made.id]


async def test_notifications_are_listed_by_filter_and_page(shop: Shop) -> None:
    await shop.template()
    await shop.template("code", channel=SMS, subject="", text="{{ name }}")
    made = [await shop.send() for _ in range(3)] + [await shop.send("+4930123456", "code", channel=SMS)]
    for each in made:
        await shop.becomes(each.id, SENT)

    async def listed(filter: str) -> list[str]:
        found: list[str] = []
        request = pb.ListNotificationsRequest(filter=filter, page_size=2)
        while True:
            page = await shop.call.ListNotifications(request, metadata=of(shop.id))
            found += [each.id for each in page.notifications]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    ids = [each.id for each in reversed(made)]
    assert await listed("") == ids
    assert await listed("state = SENT AND channel = EMAIL") == ids[1:]
    assert await listed('template = "code"') == ids[:1]
    middle = made[1].create_time.ToJsonString()
    assert await listed(f'create_time >= "{middle}"') == ids[:3]
    async with refuses("INVALID_ARGUMENT", "FILTER_INVALID"):
        await listed('recipient = "x"')


async def test_sms_and_push_go_through_http_with_a_key(
    start: Start, home: Path, make_database: Callable[[str], str]
) -> None:
    gateway = Gateway()
    gateway.start()
    parts = gateway.url.replace("http://", "http://:t0ken@")
    async with start("eu-1", sms_url=parts, push_url=parts) as running:
        shop = await Shop.new(running)
        await shop.template("code", channel=SMS, subject="", text="Code {{ name }}")
        await shop.template("note", channel=PUSH, subject="Hi", text="{{ name }}")
        sms = await shop.becomes((await shop.send("+4930123456", "code", channel=SMS)).id, SENT)
        assert sms.provider_id == "p-1"
        headers, body = gateway.requests[-1]
        assert headers["authorization"] == "Bearer t0ken" and headers["idempotency-key"] == sms.id
        told = {"id": sms.id, "channel": "SMS", "to": "+4930123456", "title": "", "text": "Code Ann"}
        assert body == told
        push = await shop.send("device-token-1", "note", channel=PUSH)
        await shop.becomes(push.id, SENT)
        assert gateway.messages[push.id]["title"] == "Hi"
        # Passing refusals, then it is taken, under the same key.
        gateway.answers = [(429, {"Retry-After": "40"}, b""), (503, {}, b"x" * 100_000), "cut", (302, {}, b"")]
        made = await shop.send("+4930123457", "code", channel=SMS)
        await shop.tried(made.id, 1)
        waiting = await shop.get(made.id)
        assert waiting.last_error == "HTTP 429"
        assert waiting.next_attempt_time.seconds - waiting.update_time.seconds >= 39
        for tries, error in ((2, "HTTP 503"), (3, "HTTP RemoteProtocolError")):
            await shop.hurry(made.id)
            assert (await shop.tried(made.id, tries))[-1].error == error
        await shop.hurry(made.id)
        # A redirect is not followed: it is no provider's answer.
        assert (await shop.becomes(made.id, FAILED)).last_error == "HTTP 302"
        for status in (400, 401, 404, 422):
            gateway.answers = [(status, {}, b"{}")]
            refused = await shop.becomes((await shop.send("+4930123458", "code", channel=SMS)).id, FAILED)
            assert (refused.last_error, refused.tries) == (f"HTTP {status}", 1)
        gateway.answers = [(200, {}, b"not json"), (204, {}, b""), (200, {}, b"[" * 70_000)]
        for _ in range(3):
            await shop.becomes((await shop.send("+4930123459", "code", channel=SMS)).id, SENT)
    gateway.stop()


async def test_a_tenants_own_server_takes_its_mail_from_its_own_address(shop: Shop, mailserver: Mailserver) -> None:
    own = Mailserver()
    own.start()
    await shop.template()
    sender = pb.PutSettingsRequest(sender_name="The Shop", sender_address="hello@shop.example")
    await shop.call.PutSettings(sender, metadata=of(shop.id))
    provider = pb.NotificationProvider(channel=EMAIL, url=f"smtp://127.0.0.1:{own.port}", rate_per_second=50)
    await shop.call.PutProvider(pb.PutProviderRequest(provider=provider), metadata=of(shop.id))
    to = an_address()
    made = await shop.becomes((await shop.send(to)).id, SENT)
    [mail] = own.to(to)
    assert str(mail["From"]) == "The Shop <hello@shop.example>" and "Reply-To" not in mail
    assert mail["Message-ID"] == f"<{made.id}@shop.example>" and own.taken[0].mail_from == "hello@shop.example"
    assert not mailserver.to(to)
    own.stop()
    for url in ("ftp://x", "smtp://", "https://mail.example", "smtp://user:pass@host"):
        wrong = pb.NotificationProvider(channel=EMAIL, url=url)
        async with refuses("INVALID_ARGUMENT", "PROVIDER_INVALID"):
            await shop.call.PutProvider(pb.PutProviderRequest(provider=wrong), metadata=of(shop.id))


async def test_a_tenants_rate_holds_and_its_burst_delays_nobody(
    shop: Shop, cluster: Running, mailserver: Mailserver
) -> None:
    other = await Shop.new(cluster)
    await shop.template()
    await other.template()
    slow = pb.NotificationProvider(channel=EMAIL, rate_per_second=10)
    await shop.call.PutProvider(pb.PutProviderRequest(provider=slow), metadata=of(shop.id))
    burst = [await shop.send() for _ in range(40)]
    began = time.monotonic()
    for _ in range(5):
        one = time.monotonic()
        await other.becomes((await other.send()).id, SENT)
        assert time.monotonic() - one < 1.5
    for each in burst:
        await shop.becomes(each.id, SENT)
    # The bucket holds one second's worth: 10 at once, and then 10 a second.
    assert time.monotonic() - began > 1.5
    ends = sorted([(await shop.get(each.id)).end_time.ToNanoseconds() / 1e9 for each in burst])
    assert ends[-1] - ends[0] > 2.4
    for first in ends:
        assert sum(1 for each in ends if first <= each < first + 1) <= 21


async def test_a_slow_server_of_one_tenant_delays_nobody_else(shop: Shop, cluster: Running) -> None:
    slow = Mailserver(delay_s=2.0)
    slow.start()
    await shop.template()
    provider = pb.NotificationProvider(channel=EMAIL, url=f"smtp://127.0.0.1:{slow.port}")
    await shop.call.PutProvider(pb.PutProviderRequest(provider=provider), metadata=of(shop.id))
    held = [await shop.send() for _ in range(20)]
    other = await Shop.new(cluster)
    await other.template()
    began = time.monotonic()
    for _ in range(5):
        await other.becomes((await other.send()).id, SENT)
    assert time.monotonic() - began < 2.0
    for each in held:
        await shop.becomes(each.id, SENT)
    slow.stop()


async def test_a_frozen_tenants_mail_waits_and_goes_with_it(
    start: Start, us: Running, mailserver: Mailserver, cluster: Running
) -> None:
    shop = await Shop.new(cluster)
    await shop.template()
    to = an_address()
    mailserver.refused[to] = "450 later"
    made = await shop.send(to, dedup_key="before")
    await shop.tried(made.id, 1)
    moving = entry(shop.id, writes_frozen=True, moving_to_cluster_id="us-1")
    await cluster.apply(moving)
    await shop.hurry(made.id)
    mailserver.refused.clear()
    arriving = entry(shop.id, writes_frozen=True, moving_to_cluster_id="us-1")
    await us.apply(arriving)
    await move_rows(cluster, us, arriving)
    there = entry(shop.id, cluster_id="us-1")
    await cluster.apply(there)
    await us.apply(there)
    moved = Shop(us, shop.id)
    await moved.becomes(made.id, SENT)
    # us-1 writes to files: what goes out there is opened there.
    [path] = (us.home / "mail" / shop.id).glob("*.eml")
    assert path.stem == made.id and not mailserver.to(to)
    assert (await moved.sent(to, dedup_key="before")).duplicate
