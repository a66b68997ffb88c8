"""Webhooks of real clusters, over real NATS and PostgreSQL, to a real receiver."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from center.shared.v1 import webhook_service_pb2 as pb
from tests.dataplane.cluster import Running, create, entry, of, product
from tests.dataplane.conftest import Start
from tests.support.nats import Nats
from tests.support.platform import until
from tests.support.receiver import LOOPBACK, Receiver, receiving, status

PENDING, SUCCEEDED, DEAD = pb.DELIVERY_STATE_PENDING, pb.DELIVERY_STATE_SUCCEEDED, pb.DELIVERY_STATE_DEAD


@pytest.fixture(scope="module")
def nats(home: Path) -> Iterator[Nats]:
    server = Nats(home)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
async def cluster(start: Start, nats: Nats) -> AsyncIterator[Running]:
    async with start("eu-1", nats_url=nats.url, webhooks_allow=LOOPBACK) as running:
        yield running


@pytest.fixture
async def shop(cluster: Running) -> str:
    new = entry()
    await cluster.apply(new)
    return new.id


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as started:
        yield started


async def endpoint(
    running: Running, tenant: str, url: str, *event_types: str
) -> tuple[pb.Endpoint, str]:
    request = pb.CreateEndpointRequest(endpoint=pb.Endpoint(url=url, event_types=event_types or ["product.*"]))
    answer = await running.webhooks.CreateEndpoint(request, metadata=of(tenant))
    return answer.endpoint, answer.secret


async def deliveries(running: Running, tenant: str, filter: str = "") -> list[pb.Delivery]:
    request = pb.ListDeliveriesRequest(filter=filter, page_size=1000)
    return list((await running.webhooks.ListDeliveries(request, metadata=of(tenant))).deliveries)


async def attempts(running: Running, tenant: str, delivery: pb.Delivery) -> list[pb.Attempt]:
    request = pb.GetDeliveryRequest(id=delivery.id)
    return list((await running.webhooks.GetDelivery(request, metadata=of(tenant))).attempts)


async def test_an_event_reaches_each_endpoint_that_wants_it_once(cluster: Running, shop: str, receiver: Receiver) -> None:
    _, secret = await endpoint(cluster, shop, receiver.url("/a"))
    await endpoint(cluster, shop, receiver.url("/b"), "*")
    await endpoint(cluster, shop, receiver.url("/c"), "product.archived", "tenant.*")
    [made] = await create(cluster, shop, product("lamp"))
    await until(lambda: receiver.at("/a") and receiver.at("/b"), what="the event at both")
    await asyncio.sleep(0.3)
    [one], [two] = receiver.at("/a"), receiver.at("/b")
    assert receiver.at("/c") == []
    one.verify(secret)
    with pytest.raises(Exception, match="No matching signature"):
        two.verify(secret)
    assert one.id == two.id == one.event["id"]
    assert one.event["type"] == "product.created" and one.event["tenant"] == shop and one.event["subject"] == made.id
    assert one.event["data"]["handle"] == "lamp"
    assert one.headers["content-type"] == "application/json"
