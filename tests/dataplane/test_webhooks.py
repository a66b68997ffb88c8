"""Webhooks of real clusters, over real NATS and PostgreSQL, to a real receiver."""

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import grpc
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from center.control.v1 import tenant_pb2
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.shared.v1 import webhook_service_pb2 as pb
from center.shared.v1.webhook_service_pb2_grpc import WebhookServiceStub
from shared.runtime.clock import SystemClock
from shared.runtime.db import Database, app_url
from shared.runtime.events.consumer import Event
from shared.runtime.events.gaps import CatchUp
from shared.runtime.ids import uuid7
from shared.webhooks.worker import ENDPOINT_AT_ONCE
from tests.dataplane.cluster import Running, bearer, create, entry, of, product
from tests.dataplane.conftest import Start
from tests.support.grpc import refuses
from tests.support.nats import Nats
from tests.support.platform import until
from tests.support.receiver import LOOPBACK, Received, Receiver, receiving, status

PENDING, SUCCEEDED, DEAD = pb.DELIVERY_STATE_PENDING, pb.DELIVERY_STATE_SUCCEEDED, pb.DELIVERY_STATE_DEAD


class Ahead(SystemClock):
    """The system's clock, and some time more."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return super().now() + self.by


@pytest.fixture(scope="module")
def nats(home: Path) -> Iterator[Nats]:
    server = Nats(home)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def ahead() -> Ahead:
    return Ahead()


@pytest.fixture
def clock(ahead: Ahead) -> Iterator[Ahead]:
    yield ahead
    ahead.by = timedelta()


@pytest.fixture(scope="module")
async def cluster(start: Start, nats: Nats, ahead: Ahead) -> AsyncIterator[Running]:
    async with start("eu-1", nats_url=nats.url, webhooks_allow=LOOPBACK, clock=ahead) as running:
        await partitioned(running.database_url)
        yield running


async def partitioned(url: str) -> None:
    """Waits for a new outbox's first partitions: an event that is written while it gets them may be refused."""

    def has_some() -> bool:
        with psycopg.connect(url) as owner:
            stmt = "SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass('outbox')"
            found = owner.execute(stmt.encode()).fetchone()
        return found is not None and int(found[0]) > 1

    await until(has_some, what="the outbox to have partitions")


@pytest.fixture
async def shop(cluster: Running) -> str:
    new = entry()
    await cluster.apply(new)
    return new.id


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as started:
        yield started


async def endpoint(running: Running, tenant: str, url: str, *event_types: str) -> tuple[pb.Endpoint, str]:
    request = pb.CreateEndpointRequest(endpoint=pb.Endpoint(url=url, event_types=event_types or ["product.*"]))
    answer = await running.webhooks.CreateEndpoint(request, metadata=of(tenant))
    return answer.endpoint, answer.secret


async def get(running: Running, tenant: str, endpoint_id: str) -> pb.Endpoint:
    request = pb.GetEndpointRequest(id=endpoint_id)
    return (await running.webhooks.GetEndpoint(request, metadata=of(tenant))).endpoint


async def deliveries(running: Running, tenant: str, filter: str = "") -> list[pb.Delivery]:
    request = pb.ListDeliveriesRequest(filter=filter, page_size=1000)
    return list((await running.webhooks.ListDeliveries(request, metadata=of(tenant))).deliveries)


async def delivery(running: Running, tenant: str, delivery_id: str) -> pb.GetDeliveryResponse:
    return await running.webhooks.GetDelivery(pb.GetDeliveryRequest(id=delivery_id), metadata=of(tenant))


async def settled(running: Running, tenant: str, count: int, state: int = SUCCEEDED) -> list[pb.Delivery]:
    """Waits until there are so many deliveries, all in the state."""

    async def found() -> list[pb.Delivery] | None:
        now = await deliveries(running, tenant)
        return now if len(now) == count and all(each.state == state for each in now) else None

    return list(await until(found, what=f"{count} deliveries to be {pb.DeliveryState.Name(state)}"))


async def tried(running: Running, tenant: str, times: int) -> pb.Delivery:
    """Waits until the tenant's only delivery has been tried so often, and the last try is written down."""

    async def found() -> pb.Delivery | None:
        now = await deliveries(running, tenant)
        answer = await delivery(running, tenant, now[0].id) if len(now) == 1 else pb.GetDeliveryResponse()
        return answer.delivery if len(answer.attempts) == times == answer.delivery.attempt_count else None

    one: pb.Delivery = await until(found, what=f"{times} tries")
    return one


async def retitle(running: Running, tenant: str, product_id: str, title: str) -> None:
    changed = products_pb.Product(id=product_id, title=title)
    await running.products.UpdateProduct(products_pb.UpdateProductRequest(product=changed), metadata=of(tenant))


def places(some: list[Received]) -> list[tuple[str, int]]:
    return [(each.event["subject"], each.event["sequence"]) for each in some]


# fan-out


async def test_an_event_reaches_each_endpoint_that_wants_it_once(
    cluster: Running, shop: str, receiver: Receiver
) -> None:
    _, secret = await endpoint(cluster, shop, receiver.url("/a"))
    await endpoint(cluster, shop, receiver.url("/b"), "*", "product.created")
    await endpoint(cluster, shop, receiver.url("/c"), "product.archived", "tenant.*")
    [made] = await create(cluster, shop, product("lamp"))
    await settled(cluster, shop, 2)
    [one], [two] = receiver.at("/a"), receiver.at("/b")
    assert receiver.at("/c") == []
    one.verify(secret)
    with pytest.raises(Exception, match="No matching signature"):
        two.verify(secret)
    assert one.id == two.id == one.event["id"]
    assert one.event["type"] == "product.created" and one.event["tenant"] == shop and one.event["subject"] == made.id
    assert one.event["data"]["handle"] == "lamp"
    assert one.headers["content-type"] == "application/json"


async def test_another_tenants_events_are_not_sent(cluster: Running, shop: str, receiver: Receiver) -> None:
    other = entry()
    await cluster.apply(other)
    await endpoint(cluster, shop, receiver.url(), "*")
    await create(cluster, other.id, product())
    await create(cluster, shop, product())
    await settled(cluster, shop, 1)
    assert {each.event["tenant"] for each in receiver.got} == {shop}
    assert await deliveries(cluster, other.id) == []


async def test_what_happened_before_an_endpoint_wanted_it_is_not_sent(
    cluster: Running, shop: str, receiver: Receiver
) -> None:
    made, _ = await endpoint(cluster, shop, receiver.url(), "product.archived")
    [lamp] = await create(cluster, shop, product())
    wanted = pb.Endpoint(id=made.id, event_types=["product.archived", "product.updated"])
    update = pb.UpdateEndpointRequest(endpoint=wanted, update_mask=FieldMask(paths=["event_types"]))
    changed = (await cluster.webhooks.UpdateEndpoint(update, metadata=of(shop))).endpoint
    assert list(changed.event_types) == ["product.archived", "product.updated"] and changed.etag != made.etag
    await retitle(cluster, shop, lamp.id, "Later")
    await settled(cluster, shop, 1)
    assert [each.event["type"] for each in receiver.got] == ["product.updated"]


# order


async def test_events_of_one_thing_come_in_their_order(cluster: Running, shop: str, receiver: Receiver) -> None:
    await endpoint(cluster, shop, receiver.url())
    made = await create(cluster, shop, *(product() for _ in range(5)))
    for n in range(6):
        await asyncio.gather(*(retitle(cluster, shop, each.id, f"Title {n}") for each in made))
    await settled(cluster, shop, 35)
    for each in made:
        assert [n for about, n in places(receiver.got) if about == each.id] == list(range(1, 8))


async def test_a_failing_event_holds_up_the_later_ones_of_its_thing_and_no_other(
    cluster: Running, shop: str, receiver: Receiver, clock: Ahead
) -> None:
    await endpoint(cluster, shop, receiver.url())
    bad, good = await create(cluster, shop, product(), product())
    await settled(cluster, shop, 2)
    stuck = True

    def answer(received: Received) -> Response:
        return Response("no", 500 if stuck and received.event["subject"] == bad.id else 200)

    receiver.answers["/"] = answer
    for n in range(3):
        await retitle(cluster, shop, bad.id, f"Title {n}")
        await retitle(cluster, shop, good.id, f"Title {n}")

    async def others_are_through() -> bool:
        return len([1 for each in await deliveries(cluster, shop) if each.state == SUCCEEDED]) == 5

    await until(others_are_through, what="the other product's events")
    assert {place for place in places(receiver.got) if place[0] == bad.id} == {(bad.id, 1), (bad.id, 2)}
    stuck = False
    clock.by += timedelta(minutes=1)
    await settled(cluster, shop, 8)
    order = [n for about, n in places(receiver.got) if about == bad.id]
    assert [n for at, n in enumerate(order) if n not in order[:at]] == [1, 2, 3, 4]


# tries


async def test_a_delivery_is_tried_again_under_the_same_id_until_it_is_dead(
    cluster: Running, shop: str, receiver: Receiver, clock: Ahead
) -> None:
    made, _ = await endpoint(cluster, shop, receiver.url())
    receiver.answers["/"] = status(500)
    await create(cluster, shop, product())
    first = await tried(cluster, shop, 1)
    waits = []
    for n in range(2, 40):
        one = await tried(cluster, shop, n - 1)
        if one.state == DEAD:
            break
        waits.append(one.next_attempt_time.ToDatetime(UTC) - clock.now())
        clock.by += waits[-1] + timedelta(milliseconds=10)
    assert one.state == DEAD and not one.HasField("next_attempt_time") and one.last_error == "HTTP 500"
    assert timedelta(hours=71.9) < clock.by < timedelta(hours=72.1)
    assert timedelta(seconds=1) < waits[0] < timedelta(seconds=5) and max(waits) < timedelta(hours=6)
    assert 15 < len(waits) < 40 and waits[0] < waits[3] < waits[6] < waits[9]
    answer = await delivery(cluster, shop, first.id)
    assert [each.number for each in answer.attempts] == list(range(1, len(waits) + 2))
    assert {(each.status, each.answer, each.error) for each in answer.attempts} == {(500, "no", "HTTP 500")}
    assert all(each.latency.ToMilliseconds() < 5_000 for each in answer.attempts)
    assert len({(each.id, each.body) for each in receiver.got}) == 1 and answer.payload.encode() == receiver.got[0].body
    assert (await get(cluster, shop, made.id)).HasField("failing_since")

    del receiver.answers["/"]
    again = await cluster.webhooks.Redeliver(pb.RedeliverRequest(id=first.id), metadata=of(shop))
    assert again.delivery.state == PENDING and again.delivery.expire_time.ToDatetime(UTC) > clock.now()
    await settled(cluster, shop, 1)
    assert receiver.got[-1].id == first.event_id
    clock.by = timedelta()
    assert not (await get(cluster, shop, made.id)).HasField("failing_since")


async def test_a_receiver_says_how_long_to_wait(cluster: Running, shop: str, receiver: Receiver, clock: Ahead) -> None:
    await endpoint(cluster, shop, receiver.url())
    receiver.answers["/"] = status(503, retry_after="7200")
    await create(cluster, shop, product())
    one = await tried(cluster, shop, 1)
    wait = one.next_attempt_time.ToDatetime(UTC) - clock.now()
    assert timedelta(minutes=119) < wait <= timedelta(hours=2)
    receiver.answers["/"] = status(429, retry_after="1")
    clock.by += wait + timedelta(seconds=1)
    one = await tried(cluster, shop, 2)
    assert timedelta(seconds=2) < one.next_attempt_time.ToDatetime(UTC) - clock.now() < timedelta(seconds=10)
    receiver.answers["/"] = status(500, retry_after="7200")
    clock.by += timedelta(seconds=10)
    one = await tried(cluster, shop, 3)
    assert one.next_attempt_time.ToDatetime(UTC) - clock.now() < timedelta(seconds=20)


async def test_an_endpoint_that_is_gone_is_disabled_at_once(cluster: Running, shop: str, receiver: Receiver) -> None:
    made, _ = await endpoint(cluster, shop, receiver.url("/gone"))
    await endpoint(cluster, shop, receiver.url("/other"), "webhook.endpoint_disabled")
    receiver.answers["/gone"] = status(410)
    lamp, _ = await create(cluster, shop, product(), product())
    await until(lambda: receiver.at("/other"), what="the event about it")
    [told] = receiver.at("/other")
    assert told.event["data"]["endpointId"] == told.event["subject"] == made.id
    disabled = await get(cluster, shop, made.id)
    assert disabled.state == pb.ENDPOINT_STATE_DISABLED and "410" in disabled.disable_reason
    async with refuses("FAILED_PRECONDITION", "ENDPOINT_DISABLED"):
        await cluster.webhooks.PingEndpoint(pb.PingEndpointRequest(id=made.id), metadata=of(shop))
    await retitle(cluster, shop, lamp.id, "While it is disabled")

    async def dead() -> pb.Delivery | None:
        found = await deliveries(cluster, shop, f'endpoint_id = "{made.id}" AND state = DEAD')
        return found[0] if found else None

    one = await until(dead, what="its delivery to be dead")
    async with refuses("FAILED_PRECONDITION", "ENDPOINT_DISABLED"):
        await cluster.webhooks.Redeliver(pb.RedeliverRequest(id=one.id), metadata=of(shop))

    del receiver.answers["/gone"]
    enable = pb.EnableEndpointRequest(id=made.id)
    enabled = (await cluster.webhooks.EnableEndpoint(enable, metadata=of(shop))).endpoint
    assert enabled.state == pb.ENDPOINT_STATE_ENABLED and not enabled.disable_reason
    async with refuses("FAILED_PRECONDITION", "ENDPOINT_ENABLED"):
        await cluster.webhooks.EnableEndpoint(enable, metadata=of(shop))
    await retitle(cluster, shop, lamp.id, "Afterwards")
    await until(lambda: "Afterwards" in str(receiver.at("/gone")[-1].body), what="events to flow again")
    assert "While it is disabled" not in str([each.body for each in receiver.got])


async def test_an_endpoint_that_fails_for_days_is_disabled(
    cluster: Running, shop: str, receiver: Receiver, clock: Ahead
) -> None:
    made, _ = await endpoint(cluster, shop, receiver.url("/down"))
    receiver.answers["/down"] = status(500)
    [lamp] = await create(cluster, shop, product())
    await tried(cluster, shop, 1)
    for _ in range(3):
        assert (await get(cluster, shop, made.id)).state == pb.ENDPOINT_STATE_ENABLED
        clock.by += timedelta(days=1.7)
        before = len(receiver.got)
        await until(lambda n=before: len(receiver.got) > n, what="one more try")  # type: ignore[misc]
        await retitle(cluster, shop, lamp.id, f"{clock.by}")

    async def disabled() -> pb.Endpoint | None:
        now = await get(cluster, shop, made.id)
        return now if now.state == pb.ENDPOINT_STATE_DISABLED else None

    found = await until(disabled, what="it to be disabled")
    assert found.disable_reason.startswith("nothing but failures since")


async def test_a_slow_endpoint_delays_no_other_and_no_endpoint_gets_too_much_at_once(
    cluster: Running, shop: str, receiver: Receiver
) -> None:
    receiver.waits["/slow"] = asyncio.Event()
    await endpoint(cluster, shop, receiver.url("/slow"))
    await endpoint(cluster, shop, receiver.url("/fast"))
    await create(cluster, shop, *(product() for _ in range(30)))
    await until(lambda: len(receiver.at("/fast")) == 30, what="the fast one to have everything")
    assert 1 <= len(receiver.at("/slow")) <= ENDPOINT_AT_ONCE
    receiver.waits["/slow"].set()
    await settled(cluster, shop, 60)


# ping, redelivery, replay


async def test_a_ping_is_tried_once_and_says_what_came_of_it(cluster: Running, shop: str, receiver: Receiver) -> None:
    made, secret = await endpoint(cluster, shop, receiver.url())
    receiver.answers["/"] = lambda _: Response("out of order", 500)
    ping = pb.PingEndpointRequest(id=made.id)
    pinged = (await cluster.webhooks.PingEndpoint(ping, metadata=of(shop))).delivery
    [dead] = await settled(cluster, shop, 1, DEAD)
    assert dead.id == pinged.id and dead.event_type == "webhook.ping" and dead.attempt_count == 1
    [attempt] = (await delivery(cluster, shop, pinged.id)).attempts
    assert (attempt.status, attempt.answer, attempt.error) == (500, "out of order", "HTTP 500")
    receiver.got[0].verify(secret)
    assert receiver.got[0].event["data"] == {"endpointId": made.id}


async def test_a_range_is_sent_again_in_its_order_and_in_parts(cluster: Running, shop: str, receiver: Receiver) -> None:
    made, _ = await endpoint(cluster, shop, receiver.url())
    lamps = await create(cluster, shop, *(product() for _ in range(4)))
    await settled(cluster, shop, 4)
    for each in lamps:
        await retitle(cluster, shop, each.id, "Copper lamp")
    before = await settled(cluster, shop, 8)
    seen = Counter(each.id for each in receiver.got)
    assert set(seen.values()) == {1}
    request = pb.ReplayDeliveriesRequest(endpoint_id=made.id, event_type="product.updated", page_size=3)
    parts = []
    while not parts or request.page_token:
        request.request_id = uuid7()
        answer = await cluster.webhooks.ReplayDeliveries(request, metadata=of(shop))
        parts.append(answer.replayed)
        assert await cluster.webhooks.ReplayDeliveries(request, metadata=of(shop)) == answer
        request.page_token = answer.next_page_token
    # What is on its way again is not in the range any more, so a part may find less.
    assert sum(parts) == 4 and max(parts) == 3
    await until(lambda: len(receiver.got) == 12, what="four more")
    again = Counter(each.id for each in receiver.got) - seen
    assert again == {each.event_id: 1 for each in before if each.event_type == "product.updated"}
    await settled(cluster, shop, 8)

    middle = sorted(each.event_time.ToDatetime(UTC) for each in before)[4]
    request = pb.ReplayDeliveriesRequest(endpoint_id=made.id)
    request.end_time.FromDatetime(middle)
    assert (await cluster.webhooks.ReplayDeliveries(request, metadata=of(shop))).replayed == 4
    await settled(cluster, shop, 8)
    dead = pb.ReplayDeliveriesRequest(endpoint_id=made.id, state=DEAD)
    assert (await cluster.webhooks.ReplayDeliveries(dead, metadata=of(shop))).replayed == 0
    dead.event_type = "product"
    async with refuses("INVALID_ARGUMENT", "EVENT_TYPE_INVALID"):
        await cluster.webhooks.ReplayDeliveries(dead, metadata=of(shop))


# secrets


async def test_both_secrets_sign_for_a_while(cluster: Running, shop: str, receiver: Receiver, clock: Ahead) -> None:
    made, first = await endpoint(cluster, shop, receiver.url())

    async def pinged() -> Received:
        count = len(receiver.got)
        await cluster.webhooks.PingEndpoint(pb.PingEndpointRequest(id=made.id), metadata=of(shop))
        await until(lambda: len(receiver.got) > count, what="a ping")
        return receiver.got[-1]

    (await pinged()).verify(first)
    rotate = pb.RotateSecretRequest(id=made.id, request_id=uuid7())
    rotate.overlap.FromSeconds(2)
    answer = await cluster.webhooks.RotateSecret(rotate, metadata=of(shop))
    second = answer.secret
    assert second != first and answer.endpoint.HasField("old_secret_expire_time")
    repeated = await cluster.webhooks.RotateSecret(rotate, metadata=of(shop))
    assert repeated.secret == "" and repeated.endpoint == answer.endpoint
    both = await pinged()
    both.verify(first)
    both.verify(second)
    assert len(both.headers["webhook-signature"].split(" ")) == 2
    clock.by += timedelta(seconds=3)
    after = await pinged()
    after.verify(second)
    with pytest.raises(Exception, match="No matching signature"):
        after.verify(first)
    none = pb.RotateSecretRequest(id=made.id)
    none.overlap.FromSeconds(0)
    third = (await cluster.webhooks.RotateSecret(none, metadata=of(shop))).secret
    last = await pinged()
    last.verify(third)
    assert len(last.headers["webhook-signature"].split(" ")) == 1


async def test_a_secret_is_shown_once_and_stands_nowhere_in_clear(
    cluster: Running, shop: str, receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    given = pb.Endpoint(url=receiver.url(), event_types=["*"])
    request = pb.CreateEndpointRequest(endpoint=given, request_id=uuid7())
    answer = await cluster.webhooks.CreateEndpoint(request, metadata=of(shop))
    assert answer.secret.startswith("whsec_")
    again = await cluster.webhooks.CreateEndpoint(request, metadata=of(shop))
    assert again.secret == "" and again.endpoint == answer.endpoint
    await create(cluster, shop, product())
    await settled(cluster, shop, 1)
    plain = answer.secret.removeprefix("whsec_")
    with psycopg.connect(cluster.database_url) as owner:
        for table in (
            "webhook_endpoints",
            "audit_entries",
            "idempotency",
            "outbox",
            "webhook_events",
            "webhook_attempts",
        ):
            rows = str(owner.execute(f"SELECT t::text FROM {table} t".encode()).fetchall())
            assert plain not in rows and base64.b64decode(plain).hex() not in rows, table
        audited = owner.execute(
            "SELECT count(*) FROM audit_entries WHERE tenant_id = %s AND resource = 'webhook_endpoint'", (shop,)
        ).fetchone()
    assert audited == (1,)
    out, err = capfd.readouterr()
    assert plain not in out + err


async def test_a_sealed_secret_opens_for_its_own_endpoint_alone(
    cluster: Running, shop: str, receiver: Receiver
) -> None:
    one, _ = await endpoint(cluster, shop, receiver.url("/one"))
    two, secret = await endpoint(cluster, shop, receiver.url("/two"))
    with psycopg.connect(cluster.database_url) as owner:
        owner.execute(
            "UPDATE webhook_endpoints SET secret = (SELECT secret FROM webhook_endpoints WHERE id = %s) WHERE id = %s",
            (two.id, one.id),
        )
    await create(cluster, shop, product())
    await until(lambda: receiver.at("/two"), what="the other one")
    receiver.at("/two")[0].verify(secret)
    assert receiver.at("/one") == []


# endpoints


async def test_endpoints_are_listed_changed_and_deleted(cluster: Running, shop: str, receiver: Receiver) -> None:
    made = [(await endpoint(cluster, shop, receiver.url(f"/{n}")))[0] for n in range(3)]
    page = await cluster.webhooks.ListEndpoints(pb.ListEndpointsRequest(page_size=2), metadata=of(shop))
    rest = await cluster.webhooks.ListEndpoints(
        pb.ListEndpointsRequest(page_size=2, page_token=page.next_page_token), metadata=of(shop)
    )
    assert [*page.endpoints, *rest.endpoints] == made[::-1] and not rest.next_page_token

    wanted = pb.Endpoint(id=made[0].id, url=receiver.url("/new"), description="New", etag=made[0].etag)
    update = pb.UpdateEndpointRequest(endpoint=wanted)
    changed = (await cluster.webhooks.UpdateEndpoint(update, metadata=of(shop))).endpoint
    assert (changed.url, changed.description) == (receiver.url("/new"), "New")
    assert changed.event_types == made[0].event_types
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await cluster.webhooks.UpdateEndpoint(update, metadata=of(shop))
    update.endpoint.etag = ""
    update.update_mask.paths.append("state")
    async with refuses("INVALID_ARGUMENT", "MASK_INVALID"):
        await cluster.webhooks.UpdateEndpoint(update, metadata=of(shop))

    await create(cluster, shop, product())
    sent = await settled(cluster, shop, 3)
    await cluster.webhooks.DeleteEndpoint(pb.DeleteEndpointRequest(id=changed.id), metadata=of(shop))
    async with refuses("NOT_FOUND", "ENDPOINT_NOT_FOUND"):
        await get(cluster, shop, changed.id)
    assert sorted(each.id for each in await deliveries(cluster, shop)) == sorted(each.id for each in sent)
    await create(cluster, shop, product())
    await settled(cluster, shop, 5)
    assert len(receiver.at("/new")) == 1


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://10.0.0.1/", "not a public address"),
        ("https://2130706433/", "four decimal numbers"),
        ("https://user@1.1.1.1/", "user"),
        ("https://[::ffff:10.0.0.1]/", "not a public address"),
        ("https://metadata.google.internal/", "no public name"),
        ("", "https"),
    ],
)
async def test_an_endpoint_in_a_private_network_is_refused(cluster: Running, shop: str, url: str, why: str) -> None:
    async with refuses("INVALID_ARGUMENT", "URL_REFUSED") as refusal:
        await endpoint(cluster, shop, url)
    assert why in refusal.violations["endpoint.url"]


async def test_endpoints_have_types_and_a_limit(cluster: Running, shop: str, receiver: Receiver) -> None:
    for wrong in ("product", "product.", ".created", "*.created", "product.*.v1", "a b.c"):
        async with refuses("INVALID_ARGUMENT", "EVENT_TYPE_INVALID") as refusal:
            await endpoint(cluster, shop, receiver.url(), "product.*", wrong)
        assert list(refusal.violations) == ["endpoint.event_types[1]"]
    none = pb.CreateEndpointRequest(endpoint=pb.Endpoint(url=receiver.url()))
    async with refuses("INVALID_ARGUMENT", "EVENT_TYPE_INVALID"):
        await cluster.webhooks.CreateEndpoint(none, metadata=of(shop))
    request = pb.CreateEndpointRequest(endpoint=pb.Endpoint(url=receiver.url(), event_types=["*"]))
    made = await asyncio.gather(
        *(cluster.webhooks.CreateEndpoint(request, metadata=of(shop)) for _ in range(24)), return_exceptions=True
    )
    refused = [each for each in made if isinstance(each, grpc.aio.AioRpcError)]
    assert len(refused) == 4 and {each.code() for each in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}


async def test_a_merchant_may_and_a_shopper_may_not(cluster: Running, shop: str, home: Path) -> None:
    stub = WebhookServiceStub(cluster.channel("envoy"))
    await stub.ListEndpoints(pb.ListEndpointsRequest(), metadata=of(shop, bearer(home, shop)))
    async with refuses("PERMISSION_DENIED"):
        await stub.ListEndpoints(pb.ListEndpointsRequest(), metadata=of(shop))


# closed tenants, and those that move


@pytest.mark.parametrize(
    "closed",
    [
        {"mode": tenant_pb2.TENANT_MODE_READ_ONLY},
        {"state": tenant_pb2.TENANT_STATE_SUSPENDED},
        {"writes_frozen": True},
    ],
    ids=["read-only", "suspended", "frozen"],
)
async def test_what_comes_while_a_tenant_is_closed_is_sent_afterwards(
    cluster: Running, shop: str, receiver: Receiver, nats: Nats, closed: dict[str, object]
) -> None:
    await endpoint(cluster, shop, receiver.url(), "*")
    [lamp] = await create(cluster, shop, product())
    await settled(cluster, shop, 1)
    await cluster.apply(entry(shop, **closed))
    for n in range(3):
        await say(nats, shop, lamp, n + 2)

    def noted() -> bool:
        with psycopg.connect(cluster.database_url) as owner:
            found = owner.execute("SELECT skipped FROM event_gaps WHERE tenant_id = %s", (shop,)).fetchone()
        return found == (3,)

    await until(noted, what="three events to be passed over")
    assert len(receiver.got) == 1
    await cluster.apply(entry(shop))
    await settled(cluster, shop, 4)
    assert [n for _, n in places(receiver.got)] == [1, 2, 3, 4]


async def test_a_gap_that_grows_while_it_is_read_is_not_read_from_its_start_again(
    cluster: Running, shop: str, nats: Nats, home: Path
) -> None:
    class Busy:
        """Passes over another event with each batch."""

        is_served = staticmethod(lambda _: True)
        read: ClassVar[list[Event]] = []

        async def wanted_since(self, tx: AsyncConnection, tenant_id: str) -> datetime:
            return datetime.now(UTC) - timedelta(days=1)

        async def again(self, tx: AsyncConnection, events: Sequence[Event]) -> bool:
            self.read += events
            await tx.execute(text("UPDATE event_gaps SET skipped = skipped + 1 WHERE consumer = 'busy'"))
            return True

    [lamp] = await create(cluster, shop, product())
    await say(nats, shop, lamp, 2)
    long_ago = datetime.now(UTC) - timedelta(hours=20)
    with psycopg.connect(cluster.database_url) as owner:
        owner.execute("INSERT INTO event_gaps VALUES (%s, 'busy', %s, 1)", (shop, long_ago))
    listener, broker = Busy(), nats.broker("cluster/eu-1")
    db = Database.connect(app_url(cluster.database_url, home))
    steward = Database.connect(app_url(cluster.database_url, home, "center_steward"))
    reading = CatchUp("busy", ["dataplane"], listener, db=db, steward=steward, broker=broker, written=lambda: None)
    running = asyncio.ensure_future(reading.run())
    try:

        def narrowed() -> bool:
            with psycopg.connect(cluster.database_url) as owner:
                [(since,)] = owner.execute("SELECT since FROM event_gaps WHERE consumer = 'busy'").fetchall()
            return bool(since > datetime.now(UTC) - timedelta(minutes=1))

        await until(narrowed, what="the gap to be as short as what is new")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await db.close()
        await steward.close()
    assert listener.read


async def say(nats: Nats, tenant: str, about: products_pb.Product, sequence: int) -> None:
    """An event in the stream, as a cluster's relay puts it there."""
    headers = {
        "ce-id": uuid7(),
        "ce-subject": about.id,
        "ce-time": datetime.now(UTC).isoformat(),
        "ce-sequence": str(sequence),
    }
    subject = f"ev.dataplane.{tenant}.product.updated.v1"
    async with nats.broker("cluster/eu-1").connected() as connection:
        await connection.js.publish(subject, about.SerializeToString(), headers=headers)
