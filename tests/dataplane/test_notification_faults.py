"""Notifications when processes die and events come in: nothing is lost, and twice is what cannot be helped alone."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from aiosmtpd.smtp import Envelope

from center.control.v1 import tenant_pb2
from center.dataplane.v1 import product_service_pb2
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.dataplane.v1.tenant_runtime_service_pb2_grpc import TenantRuntimeServiceStub
from center.shared.v1 import notification_service_pb2 as pb
from center.shared.v1.notification_service_pb2_grpc import NotificationServiceStub
from shared.notifications.triggers import Triggers
from shared.notifications.vault import Vault
from shared.notifications.worker import Worker
from shared.platform import ports
from shared.runtime import pki
from shared.runtime.clock import SystemClock
from shared.runtime.errors import NotFound
from shared.runtime.events.consumer import Event
from shared.runtime.events.subjects import Subject
from shared.runtime.ids import uuid7
from shared.runtime.rpc.channel import connect
from tests.dataplane.cluster import Running, create, entry, move, of, product
from tests.dataplane.conftest import Start
from tests.dataplane.notices import EMAIL, SENT, Shop, an_address, until
from tests.dataplane.test_webhooks import partitioned, say
from tests.support.grpc import refuses
from tests.support.nats import Nats
from tests.support.server import Server, free_port
from tests.support.smtp import Mailserver

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mailserver() -> Iterator[Mailserver]:
    server = Mailserver()
    server.start()
    yield server
    server.stop()


class Process(Server):
    """The process of eu-1 as it ships."""

    def __init__(self, home: Path, database_url: str, smtp_url: str) -> None:
        self.home = home
        self._offset = free_port() - next(each.port for each in ports.CLUSTERS if each.id == "eu-1")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CENTER_")},
            "CENTER_CLUSTER": "eu-1",
            "CENTER_HOME": str(home),
            "CENTER_DATABASE_URL": database_url,
            "CENTER_CONTROL_ADDRESS": "127.0.0.1:1",
            "CENTER_NATS_URL": "tls://127.0.0.1:1",
            "CENTER_PORT_OFFSET": str(self._offset % 20_000),
            "CENTER_SMTP_URL": smtp_url,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'proto/gen'}:{ROOT / 'shared/sdk'}",
        }

    def start(self) -> None:
        command = [sys.executable, "-m", "dataplane"]
        log = self.home / "eu-1.log"
        self.launch(command, log, lambda said: b"serving" in said, cwd=ROOT, env=self._environment)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait(self) -> None:
        assert self._process is not None
        self._process.wait(30)
        self._process = None

    def channel(self, identity: str) -> grpc.aio.Channel:
        port = next(each.port for each in ports.CLUSTERS if each.id == "eu-1") + self._offset % 20_000
        return connect(f"127.0.0.1:{port}", pki.load(self.home, identity), server="eu-1")


async def test_a_cluster_that_is_killed_while_it_sends_loses_nothing(
    home: Path, make_database: Callable[[str], str], mailserver: Mailserver
) -> None:
    url = make_database("killed")
    process = Process(home, url, f"smtp://127.0.0.1:{mailserver.port}")
    process.start()
    kills = [7, 20, 21, 45]

    def kill(envelope: Envelope) -> None:
        # The server has taken the mail, and the cluster does not know yet.
        if kills and len(mailserver.taken) >= kills[0]:
            kills.pop(0)
            os.kill(process.pid, signal.SIGKILL)

    mailserver.delay_s = 0.01
    tenant = entry()
    async with process.channel("control") as control, process.channel("operator") as operator:
        await TenantRuntimeServiceStub(control).ApplyTenants(runtime_pb.ApplyTenantsRequest(tenants=[tenant]))
        call = NotificationServiceStub(operator)
        template = {"name": "hello", "channel": EMAIL, "subject": "Hi", "text": "{{ n }}"}
        await call.PutTemplate(pb.PutTemplateRequest(template=template), metadata=of(tenant.id))
        recipients = [an_address() for _ in range(60)]
        for to in recipients:
            request = pb.SendNotificationRequest(
                channel=EMAIL, recipient=to, template="hello", dedup_key="once", variables={"n": 1}
            )
            await call.SendNotification(request, metadata=of(tenant.id))
            if to == recipients[0]:
                mailserver.on_taken = kill
                # From here on it may die at any time, while it is being asked, too.
                break
    database = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with database:
        pending = list(recipients[1:])
        unsent = True
        while pending or unsent:
            async with process.channel("operator") as operator:
                call = NotificationServiceStub(operator)
                while pending:
                    request = pb.SendNotificationRequest(
                        channel=EMAIL, recipient=pending[0], template="hello", dedup_key="once", variables={"n": 1}
                    )
                    try:
                        await call.SendNotification(request, metadata=of(tenant.id), timeout=5)
                    except grpc.aio.AioRpcError:
                        break
                    pending.pop(0)
            if process._process is not None and process._process.poll() is not None:
                process.wait()
                process.start()
                # The time of the leases passes.
                await database.execute("UPDATE notifications SET next_attempt_time = now() WHERE state = 'SENDING'")
            cursor = await database.execute("SELECT count(*) FROM notifications WHERE state <> 'SENT'")
            [unsent] = (await cursor.fetchone()) or [0]
            await asyncio.sleep(0.05)
        assert not kills, "it was not killed as often as it should have been"
        cursor = await database.execute("SELECT count(*) FROM notification_attempts WHERE outcome = 'UNKNOWN'")
        unknown = await cursor.fetchone()
    process.stop()
    got = {to: mailserver.to(to) for to in recipients}
    assert all(got.values()), "mail was lost"
    # Each second copy says that it is one, and there are no more than were under way at the kills.
    for mails in got.values():
        assert len({mail["Message-ID"] for mail in mails}) == 1
    extra = sum(len(mails) - 1 for mails in got.values())
    assert unknown is not None and 4 <= unknown[0] <= 4 * 16 and extra <= unknown[0]


async def test_a_cluster_that_ends_in_good_order_sends_nothing_twice(
    home: Path, make_database: Callable[[str], str], mailserver: Mailserver, start: Start
) -> None:
    url = make_database("ended")
    smtp_url = f"smtp://127.0.0.1:{mailserver.port}"
    mailserver.delay_s = 0.3

    async def some_taken() -> bool:
        return bool(mailserver.taken)

    async with start("eu-1", database_url=url, smtp_url=smtp_url) as running:
        shop = await Shop.new(running)
        await shop.template()
        made = [await shop.send() for _ in range(24)]
        await until(some_taken)
    assert len(mailserver.taken) < 24
    mailserver.delay_s = 0.0
    async with start("eu-1", database_url=url, smtp_url=smtp_url) as running:
        again = Shop(running, shop.id)
        for each in made:
            await again.becomes(each.id, SENT)
    assert len(mailserver.taken) == 24


async def test_what_is_claimed_just_at_the_end_is_sent_before_it(
    start: Start, mailserver: Mailserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else looks at it for as long as a claim holds."""
    turn, claimed, ending = Worker._turn, asyncio.Event(), asyncio.Event()

    async def paused(self: Worker, *arguments: Any) -> Any:
        taken = await turn(self, *arguments)
        if taken is not None and taken.notifications:
            claimed.set()
            await ending.wait()
        return taken

    monkeypatch.setattr(Worker, "_turn", paused)
    async with start("eu-1", smtp_url=f"smtp://127.0.0.1:{mailserver.port}") as running:
        shop = await Shop.new(running)
        await shop.template()
        await shop.send()
        async with asyncio.timeout(10):
            await claimed.wait()
        # By then the worker has been told to end.
        asyncio.get_running_loop().call_later(1.0, ending.set)
    assert len(mailserver.taken) == 1


async def test_mail_waits_for_a_server_that_is_down_and_a_database_that_is_away(
    start: Start, mailserver: Mailserver
) -> None:
    async with start("eu-1", smtp_url=f"smtp://127.0.0.1:{mailserver.port}") as running:
        shop = await Shop.new(running)
        await shop.template()
        mailserver.stop()
        made = await shop.send()
        [first] = await shop.tried(made.id, 1)
        assert first.outcome == pb.ATTEMPT_OUTCOME_TRANSIENT and "onnect" in first.error
        mailserver.start()
        with psycopg.connect(running.database_url, autocommit=True) as owner:
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid()"
            )
        await shop.hurry(made.id)
        await shop.becomes(made.id, SENT)
    assert len(mailserver.taken) == 1


# -- triggers


@pytest.fixture(scope="module")
def nats(home: Path) -> Iterator[Nats]:
    server = Nats(home)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def hearing(start: Start, nats: Nats) -> AsyncIterator[Running]:
    """A cluster that is connected to NATS; its mail goes to files."""
    async with start("eu-1", nats_url=nats.url) as running:

        async def has_partitions() -> bool:
            # A row that comes while the relay adds the first ones is refused.
            with psycopg.connect(running.database_url) as owner:
                row = owner.execute(
                    "SELECT count(*) > 7 FROM pg_inherits WHERE inhparent = 'outbox'::regclass"
                ).fetchone()
            return row == (True,)

        await until(has_partitions)
        yield running


async def test_an_event_sends_the_notifications_that_its_tenant_wants(hearing: Running) -> None:
    shop, other = await Shop.new(hearing), await Shop.new(hearing)
    owner, title = an_address(), f"Lamp {uuid7()}"
    await shop.trigger("new", "product.created", "product-created", owner)
    await shop.trigger("by-place", "product.created", "product-created", "event.description")
    reader = an_address()
    for each in (shop, other):
        await create(hearing, each.id, product(title=title, description=reader))

    async def all_sent() -> list[pb.Notification] | None:
        listed = await shop.call.ListNotifications(pb.ListNotificationsRequest(), metadata=of(shop.id))
        done = [each for each in listed.notifications if each.state == SENT]
        return done if len(done) == 2 else None

    sent = await until(all_sent)
    assert len({each.dedup_key for each in sent}) == 1
    texts = [path.read_text() for path in (hearing.home / "mail" / shop.id).glob("*.eml")]
    assert sorted(to for to in (owner, reader) for text in texts if f"To: {to}" in text) == sorted([owner, reader])
    assert all(title in text.replace("=\n", "") for text in texts)
    # The news of it is an event, too, and of no use for a trigger.
    with psycopg.connect(hearing.database_url) as owner_of:
        told = owner_of.execute("SELECT count(*) FROM outbox WHERE type = 'notification.sent.v1'").fetchone()
    assert told == (2,)
    listed = await other.call.ListNotifications(pb.ListNotificationsRequest(), metadata=of(other.id))
    assert not listed.notifications
    async with refuses("INVALID_ARGUMENT", "EVENT_TYPE_UNKNOWN"):
        await shop.trigger("loop", "notification.sent", "product-created", owner)
    async with refuses("INVALID_ARGUMENT", "RECIPIENT_INVALID"):
        await shop.trigger("nobody", "product.created", "product-created", "nobody")
    async with refuses("NOT_FOUND", "TEMPLATE_NOT_FOUND"):
        await shop.trigger("none", "product.created", "no-template", owner)


async def all_of(shop: Shop, count: int) -> list[pb.Notification]:
    """The tenant's notifications, once there are so many and all are sent."""
    request = pb.ListNotificationsRequest(page_size=1000)

    async def all_sent() -> list[pb.Notification] | None:
        found = (await shop.call.ListNotifications(request, metadata=of(shop.id))).notifications
        return list(found) if len(found) == count and all(each.state == SENT for each in found) else None

    return list(await until(all_sent, within_s=30))


async def passed_over(shop: Shop, count: int) -> None:
    """Returns when so many of the tenant's events are noted as passed over."""

    async def noted() -> bool:
        with psycopg.connect(shop.cluster.database_url) as owner:
            stmt = "SELECT skipped FROM event_gaps WHERE tenant_id = %s AND consumer = 'notifications'"
            return (owner.execute(stmt, (shop.id,)).fetchone() or (0,)) == (count,)

    await until(noted)


@pytest.mark.parametrize(
    "closed",
    [
        {"mode": tenant_pb2.TENANT_MODE_READ_ONLY},
        {"state": tenant_pb2.TENANT_STATE_SUSPENDED},
        {"writes_frozen": True},
    ],
    ids=["read-only", "suspended", "frozen"],
)
async def test_what_comes_while_a_tenant_is_closed_is_sent_afterwards_and_once(
    hearing: Running, nats: Nats, closed: dict[str, object]
) -> None:
    shop = await Shop.new(hearing)
    await shop.trigger("changed", "product.updated", "product-created", an_address())
    [lamp] = await create(hearing, shop.id, product())
    await say(nats, shop.id, lamp, 2)
    await all_of(shop, 1)
    await hearing.apply(entry(shop.id, **closed))
    for n in range(3):
        await say(nats, shop.id, lamp, n + 3)
    await passed_over(shop, 3)
    await hearing.apply(entry(shop.id))
    sent = await all_of(shop, 4)
    await passed_over(shop, 0)
    with psycopg.connect(hearing.database_url) as owner:
        stmt = "INSERT INTO event_gaps VALUES (%s, 'notifications', now() - interval '1 day', 1)"
        owner.execute(stmt, (shop.id,))
    await passed_over(shop, 0)
    assert await all_of(shop, 4) == sent
    assert len(list((hearing.home / "mail" / shop.id).glob("*.eml"))) == 4


async def test_each_event_is_sent_once_while_a_tenant_moves_to_and_fro(start: Start, nats: Nats) -> None:
    async with start("eu-1", nats_url=nats.url) as eu, start("us-1", nats_url=nats.url) as us:
        await asyncio.gather(partitioned(eu.database_url), partitioned(us.database_url))
        shop = await Shop.new(eu)
        await shop.trigger("new", "product.created", "product-created", an_address())
        place, titles, over = [eu], [], False

        async def sell() -> None:
            while not over:
                title = f"Lamp {uuid7()}"
                try:
                    await create(place[0], shop.id, product(title=title))
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.01)
                else:
                    titles.append(title)

        async def sold(more: int) -> None:
            goal = len(titles) + more

            async def enough() -> bool:
                return len(titles) >= goal

            await until(enough)

        selling = asyncio.create_task(sell())
        for source, target in ((eu, us), (us, eu), (eu, us)):
            await sold(20)
            await move(source, target, shop.id, lambda to=target: place.__setitem__(0, to))  # type: ignore[misc]
        await sold(20)
        over = True
        await selling
        with psycopg.connect(us.database_url) as owner:
            # What was being sent when it was frozen is tried again when its lease ends, which nobody waits for here.
            owner.execute("UPDATE notifications SET next_attempt_time = now() WHERE state IN ('PENDING', 'SENDING')")
        found = await all_of(Shop(us, shop.id), len(titles))
    assert len({each.dedup_key for each in found}) == len(found)
    mails = [path.read_text().replace("=\n", "") for path in (eu.home / "mail" / shop.id).glob("*.eml")]
    assert sorted(title for title in titles for mail in mails if title in mail) == sorted(titles)


def triggers_of(cluster: Running) -> Triggers:
    served = cluster.cluster.tenants.is_served
    return Triggers(name="test", vault=Vault(cluster.home), clock=SystemClock(), is_served=served, sent=lambda: None)


def event(tenant_id: str, time: datetime | None = None, **said: Any) -> Event:
    """News of a product."""
    subject = Subject("dataplane", tenant_id, "product", "created", 1)
    message = product_service_pb2.Product(title="A lamp", **said)
    return Event(uuid7(), time or datetime.now(UTC), subject, uuid7(), 1, message)


async def test_an_event_that_comes_twice_or_for_another_cluster_sends_nothing_more(eu: Running) -> None:
    shop, elsewhere = await Shop.new(eu), entry(cluster_id="us-1")
    await eu.apply(elsewhere)
    before = datetime.now(UTC)
    await shop.trigger("new", "product.created", "product-created", an_address())
    db, triggers = eu.database("center_app"), triggers_of(eu)
    mine, again = event(shop.id), event(shop.id)
    for each in (mine, mine, event(elsewhere.id), event(uuid7()), again):
        async with db.transaction() as tx:
            await triggers.apply(tx, each)
    async with db.transaction() as tx:
        await triggers.apply(tx, mine)
        await triggers.apply(tx, event(elsewhere.id))
        # It happened when nobody wanted it.
        await triggers.apply(tx, event(shop.id, before))
        await triggers.apply(tx, event(shop.id))
    listed = await shop.call.ListNotifications(pb.ListNotificationsRequest(), metadata=of(shop.id))
    assert len({each.dedup_key for each in listed.notifications}) == len(listed.notifications) == 3
    await db.close()


async def test_a_trigger_without_anybody_to_tell_sends_nothing(eu: Running) -> None:
    shop = await Shop.new(eu)
    await shop.trigger("by-place", "product.created", "product-created", "event.variants.sku")
    db = eu.database("center_app")
    async with db.transaction() as tx:
        await triggers_of(eu).apply(tx, event(shop.id, variants=[{"sku": "x"}]))
    await db.close()
    listed = await shop.call.ListNotifications(pb.ListNotificationsRequest(), metadata=of(shop.id))
    assert not listed.notifications
    removed = pb.DeleteTriggerRequest(name="by-place")
    await shop.call.DeleteTrigger(removed, metadata=of(shop.id))
    async with refuses("NOT_FOUND", "TRIGGER_NOT_FOUND"):
        await shop.call.DeleteTrigger(removed, metadata=of(shop.id))


async def test_a_template_that_is_gone_holds_nothing_up_when_events_are_read_again(eu: Running) -> None:
    shop = await Shop.new(eu)
    await shop.template("own")
    for name in ("a", "z"):
        await shop.trigger(name, "product.created", "own", an_address())
    await shop.trigger("there", "product.created", "product-created", an_address())
    with psycopg.connect(eu.database_url) as owner:
        owner.execute("DELETE FROM notification_templates WHERE tenant_id = %s", (shop.id,))
    db, triggers = eu.database("center_app"), triggers_of(eu)
    one, two = event(shop.id), event(shop.id)
    with pytest.raises(NotFound):
        async with db.transaction() as tx:
            await triggers.apply(tx, one)
    async with db.transaction(shop.id) as tx:
        assert await triggers.again(tx, [one, two])
    await db.close()
    listed = await shop.call.ListNotifications(pb.ListNotificationsRequest(), metadata=of(shop.id))
    assert {each.dedup_key for each in listed.notifications} == {one.id, two.id}
