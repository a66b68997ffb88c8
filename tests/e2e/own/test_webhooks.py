"""A shop's webhooks on the whole platform: by command, of both planes, and with the shop when it moves."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import pytest

from center.dataplane.v1 import product_service_pb2 as products_pb
from shared.platform import ports
from shared.runtime.ids import uuid7
from tests.support import platform as platforms
from tests.support.platform import Platform, until
from tests.support.receiver import Receiver, receiving, status

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
async def opened() -> AsyncIterator[Platform]:
    """A platform whose webhooks may reach this machine."""
    with platforms.running(CENTER_WEBHOOKS_ALLOW="127.0.0.0/8", CENTER_EXAMPLE="off") as platform:
        yield platform
        await platform.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as started:
        yield started


async def center(platform: Platform, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Beside the receiver, which runs in this very loop."""
    return await asyncio.to_thread(platform.center, *arguments)


async def said(platform: Platform, *arguments: str) -> Any:
    done = await center(platform, *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


async def sell(platform: Platform, cluster_id: str, tenant_id: str) -> str:
    request = products_pb.CreateProductRequest(product=products_pb.Product(title="Lamp", handle=f"lamp-{uuid7()}"))
    made = await platform.products(cluster_id).CreateProduct(request, metadata=(("x-tenant-id", tenant_id),))
    return str(made.product.id)


async def test_a_shop_hears_of_itself_wherever_it_is(opened: Platform, receiver: Receiver) -> None:
    shop = await opened.create("hooked")
    made = await said(
        opened, "webhooks", "create", "hooked", receiver.url(), "--event", "product.*", "--event", "tenant.*"
    )
    endpoint, secret = made["endpoint"]["id"], made["secret"]
    assert "secret" not in await said(opened, "webhooks", "show", "hooked", endpoint)
    pinged = await said(opened, "webhooks", "ping", "hooked", endpoint)
    assert pinged["delivery"]["state"] == "DELIVERY_STATE_SUCCEEDED" and pinged["attempts"][0]["status"] == 204

    lamp = await sell(opened, shop.placement.cluster_id, shop.id)
    await until(lambda: [each for each in receiver.got if each.event["subject"] == lamp], what="the product's event")
    assert (await center(opened, "tenants", "mode", "hooked", "read-only", "--reason", "stocktaking")).returncode == 0
    assert (await center(opened, "tenants", "mode", "hooked", "normal", "--reason", "done")).returncode == 0
    await until(
        lambda: len([each for each in receiver.got if each.event["type"].startswith("tenant.")]) >= 2,
        30,
        "what the control plane says of the shop",
    )
    moved = await center(opened, "tenants", "move", "hooked", "--reason", "closer", "--wait")
    assert moved.returncode == 0, moved.stdout + moved.stderr
    [elsewhere] = {cluster.id for cluster in ports.CLUSTERS} - {shop.placement.cluster_id}
    lamp = await sell(opened, elsewhere, shop.id)
    await until(lambda: [each for each in receiver.got if each.event["subject"] == lamp], what="the next one's")

    receiver.answers["/"] = status(500)
    assert (await center(opened, "webhooks", "ping", "hooked", endpoint)).returncode == 1
    del receiver.answers["/"]
    [dead] = (await said(opened, "webhooks", "deliveries", "hooked", "--filter", "state = DEAD"))["deliveries"]
    count = len(receiver.got)
    await said(opened, "webhooks", "redeliver", "hooked", dead["id"])
    await until(lambda: len(receiver.got) == count + 1, what="the ping again")
    replayed = await said(opened, "webhooks", "replay", "hooked", endpoint, "--event", "product.created")
    assert replayed["replayed"] == 2
    await until(lambda: len(receiver.got) == count + 3, what="both products again")
    for each in receiver.got:
        each.verify(secret)
    refused = await center(opened, "webhooks", "create", "hooked", "https://169.254.169.254/latest/meta-data/")
    assert refused.returncode == 1 and "URL_REFUSED" in refused.stderr
    audited = (await said(opened, "webhooks", "list", "hooked"))["endpoints"]
    assert [each["id"] for each in audited] == [endpoint]
