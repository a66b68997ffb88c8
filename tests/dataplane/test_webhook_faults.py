"""Webhooks while clusters die and tenants move; no other cluster shares these tests' NATS."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import grpc
import psycopg

from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from center.dataplane.v1.tenant_runtime_service_pb2_grpc import TenantRuntimeServiceStub
from center.shared.v1 import webhook_service_pb2 as pb
from center.shared.v1.webhook_service_pb2_grpc import WebhookServiceStub
from shared.platform import ports
from shared.runtime import pki
from shared.runtime.ids import uuid7
from shared.runtime.rpc.channel import connect
from tests.dataplane.cluster import create, entry, move, of, product
from tests.dataplane.conftest import Start
from tests.dataplane.test_webhooks import SUCCEEDED, endpoint, partitioned, settled
from tests.dataplane.test_webhooks import nats as nats
from tests.dataplane.test_webhooks import receiver as receiver
from tests.support.nats import Nats
from tests.support.platform import free_offset, until
from tests.support.receiver import LOOPBACK, Receiver


def free_leases(url: str) -> None:
    """What somebody who is gone had leased is free when the lease ends, which nobody waits for here."""
    with psycopg.connect(url) as owner:
        owner.execute("UPDATE webhook_deliveries SET next_attempt_time = now() WHERE state = 'PENDING'")


async def test_no_event_is_lost_while_a_tenant_moves_to_and_fro(start: Start, nats: Nats, receiver: Receiver) -> None:
    async with (
        start("eu-1", nats_url=nats.url, webhooks_allow=LOOPBACK) as eu,
        start("us-1", nats_url=nats.url, webhooks_allow=LOOPBACK) as us,
    ):
        await asyncio.gather(partitioned(eu.database_url), partitioned(us.database_url))
        new = entry()
        await eu.apply(new)
        _, secret = await endpoint(eu, new.id, receiver.url())
        place, made, over = [eu], [], False

        async def sell() -> None:
            while not over:
                try:
                    made.extend(await create(place[0], new.id, product()))
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.01)

        selling = asyncio.create_task(sell())
        for source, target in ((eu, us), (us, eu), (eu, us)):
            goal = len(made) + 20
            await until(lambda n=goal: len(made) >= n, what="some events")  # type: ignore[misc]
            await move(source, target, new.id, lambda to=target: place.__setitem__(0, to))  # type: ignore[misc]
        goal = len(made) + 20
        await until(lambda: len(made) >= goal, what="some events")
        over = True
        await selling
        free_leases(us.database_url)
        found = await settled(us, new.id, len(made))
    assert {each.event["subject"] for each in receiver.got} == {each.id for each in made}
    assert {each.id for each in receiver.got} == {each.event_id for each in found}
    for each in receiver.got:
        each.verify(secret)


# death


async def test_a_cluster_that_is_killed_while_it_delivers_loses_nothing(
    home: Path, make_database: Callable[[str], str], nats: Nats, receiver: Receiver
) -> None:
    """Each event at least once, under one id; every row says so."""
    offset, url = free_offset(), make_database("killed")
    port = next(each.port for each in ports.CLUSTERS if each.id == "eu-1") + offset
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CENTER_")},
        "PYTHONPATH": os.pathsep.join(sys.path),
        "CENTER_HOME": str(home),
        "CENTER_CLUSTER": "eu-1",
        "CENTER_DATABASE_URL": url,
        "CENTER_NATS_URL": nats.url,
        "CENTER_PORT_OFFSET": str(offset),
        "CENTER_CONTROL_ADDRESS": "127.0.0.1:1",
        "CENTER_WEBHOOKS_ALLOW": "127.0.0.0/8",
    }
    log = (home / "killed.log").open("ab")

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "dataplane"], env=environment, stdout=log, stderr=log)

    async def listening() -> None:
        """So that no channel waits for long before it tries again."""

        async def reached() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True

        await until(reached, 60, "the cluster's process to listen")

    def channel(identity: str) -> grpc.aio.Channel:
        made_channel = connect(f"127.0.0.1:{port}", pki.load(home, identity), server="eu-1")
        channels.append(made_channel)
        return made_channel

    channels: list[grpc.aio.Channel] = []
    process = begin()
    try:
        await listening()
        products, webhooks = ProductServiceStub(channel("operator")), WebhookServiceStub(channel("operator"))
        tenant = entry()
        apply = runtime_pb.ApplyTenantsRequest(tenants=[tenant])
        await TenantRuntimeServiceStub(channel("control")).ApplyTenants(apply)
        wanted = pb.Endpoint(url=receiver.url(), event_types=["*"])
        create_endpoint = pb.CreateEndpointRequest(endpoint=wanted)
        secret = (await webhooks.CreateEndpoint(create_endpoint, metadata=of(tenant.id))).secret
        made: set[str] = set()
        await partitioned(url)
        for _ in range(2):
            receiver.waits["/"], goal = asyncio.Event(), len(receiver.got) + 1
            for _ in range(20):
                request = products_pb.CreateProductRequest(product=product(), request_id=uuid7())
                answer = await products.CreateProduct(request, metadata=of(tenant.id))
                made.add(answer.product.id)
            await until(lambda n=goal: len(receiver.got) >= n, what="a delivery to be under way")  # type: ignore[misc]
            process.send_signal(signal.SIGKILL)
            process.wait()
            receiver.waits.pop("/").set()
            free_leases(url)
            process = begin()
            await listening()
            products, webhooks = ProductServiceStub(channel("operator")), WebhookServiceStub(channel("operator"))

        async def all_are_through() -> bool:
            request = pb.ListDeliveriesRequest(page_size=1000)
            listed = await webhooks.ListDeliveries(request, metadata=of(tenant.id))
            states = Counter(each.state for each in listed.deliveries)
            return states == {SUCCEEDED: len(made)}

        await until(all_are_through, 40, "every delivery to succeed")
        by_event = {(each.event["subject"], each.id, each.body) for each in receiver.got}
        assert {about for about, _, _ in by_event} == made and len(by_event) == len(made)
        for each in receiver.got:
            each.verify(secret)
        with psycopg.connect(url) as owner:
            wrong = owner.execute(
                "SELECT count(*) FROM webhook_deliveries d WHERE attempt_count < 1 OR NOT EXISTS "
                "(SELECT FROM webhook_attempts a WHERE a.delivery_id = d.id AND a.error = '')"
            ).fetchone()
        assert wrong == (0,)
    finally:
        process.kill()
        process.wait()
        log.close()
        for each_channel in channels:
            await each_channel.close()
