"""Webhooks beside bare httpx posts to the same receiver, and how long after its commit an event is received."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime

import httpx
import psycopg
import pytest

from center.shared.v1 import webhook_service_pb2 as pb
from tests.bench.measure import SPREAD, show, spread_ms
from tests.dataplane.cluster import Running, create, entry, of, product
from tests.dataplane.conftest import start as start
from tests.dataplane.test_webhooks import nats as nats
from tests.dataplane.test_webhooks import partitioned
from tests.support.nats import Nats
from tests.support.platform import until
from tests.support.receiver import LOOPBACK
from tests.support.server import free_port

Start = Callable[..., AsyncIterator[Running]]

ROUNDS = 2
DELIVERIES = (400, 2_000)
ENDPOINTS = 10
A_SECOND, SECONDS = 20, 10

# A receiver in a process of its own, as bare as can be: it counts, and keeps when what arrived.
RECEIVER = """
import json, sys, time
import uvicorn
got = {}
count = 0
async def app(scope, receive, send):
    global count
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = b""
    if scope["path"] == "/count":
        answer = str(count).encode()
    elif scope["path"] == "/got":
        answer = json.dumps(got).encode()
    else:
        count += 1
        if scope["path"] == "/kept":
            got[json.loads(body)["id"]] = [json.loads(body)["time"], time.time()]
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", ws="none", lifespan="off")
"""


@pytest.fixture
def receiver() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", RECEIVER, str(port)])
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture
async def cluster(start: Start, nats: Nats) -> AsyncIterator[Running]:
    async with start("eu-1", nats_url=nats.url, webhooks_allow=LOOPBACK) as running:  # type: ignore[attr-defined]
        await partitioned(running.database_url)
        yield running


async def _count(client: httpx.AsyncClient, url: str) -> int:
    return int((await client.get(f"{url}/count")).text)


async def _bare(url: str, body: bytes, count: int) -> float:
    """Posts a second, as many at once as webhooks has."""
    async with httpx.AsyncClient() as client:
        left = count
        began = time.perf_counter()

        async def post() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                await client.post(f"{url}/bare", content=body, headers={"content-type": "application/json"})

        await asyncio.gather(*(post() for _ in range(ENDPOINTS * 3)))
        return count / (time.perf_counter() - began)


async def _delivered(cluster: Running, url: str, client: httpx.AsyncClient, count: int) -> float:
    """Deliveries a second of what is replayed to some endpoints."""
    tenant = entry()
    await cluster.apply(tenant)
    endpoints = [await _endpoint(cluster, tenant.id, f"{url}/{n}", "nothing.*") for n in range(ENDPOINTS)]
    # What stands in the tables when delivering begins.
    with psycopg.connect(cluster.database_url) as owner:
        owner.execute(
            "INSERT INTO webhook_events SELECT %s, gen_random_uuid(), repeat('x', 600) FROM generate_series(1, %s)",
            (tenant.id, count // ENDPOINTS),
        )
        for endpoint in endpoints:
            owner.execute(
                "INSERT INTO webhook_deliveries SELECT tenant_id, gen_random_uuid(), %s, id, 'x.y', now(), id::text, "
                "1, 'PENDING', 0, now(), now() + interval '1 day', NULL, '' FROM webhook_events WHERE tenant_id = %s",
                (endpoint, tenant.id),
            )
    before = await _count(client, url)
    began = time.perf_counter()

    async def all_are_there() -> bool:
        await asyncio.sleep(0.05)
        return await _count(client, url) - before >= count

    await until(all_are_there, 60, "all deliveries")
    return count / (time.perf_counter() - began)


async def _endpoint(cluster: Running, tenant: str, url: str, *types: str) -> str:
    request = pb.CreateEndpointRequest(endpoint=pb.Endpoint(url=url, event_types=types))
    return (await cluster.webhooks.CreateEndpoint(request, metadata=of(tenant))).endpoint.id


async def test_deliveries_beside_bare_posts(cluster: Running, receiver: str) -> None:
    async with httpx.AsyncClient() as client:
        await until(lambda: _reached(client, receiver), what="the receiver")
        rows = []
        for _ in range(ROUNDS):
            for count in DELIVERIES:
                bare = await _bare(receiver, b"x" * 600, count)
                ours = await _delivered(cluster, receiver, client, count)
                rows.append([f"{count:,} waiting", f"{bare:,.0f}", f"{ours:,.0f}", f"{ours / bare:.2f}"])
    show("Webhooks", ("", "httpx posts/s", "deliveries/s", "ratio"), rows, f"{ENDPOINTS} endpoints of one tenant")


async def test_from_commit_to_receipt(cluster: Running, receiver: str) -> None:
    tenant = entry()
    await cluster.apply(tenant)
    async with httpx.AsyncClient() as client:
        await until(lambda: _reached(client, receiver), what="the receiver")
        await _endpoint(cluster, tenant.id, f"{receiver}/kept", "product.*")
        began = time.perf_counter()
        for n in range(A_SECOND * SECONDS):
            await asyncio.sleep(max(0.0, began + n / A_SECOND - time.perf_counter()))
            await create(cluster, tenant.id, product())

        async def got() -> dict[str, list[str]] | None:
            found = (await client.get(f"{receiver}/got")).json()
            return found if len(found) == A_SECOND * SECONDS else None

        found = await until(got, 30, "every event")
    # An event's time is that of the beginning of its transaction: what is shown is never less than what it was.
    took = [float(at) - datetime.fromisoformat(said).timestamp() for said, at in found.values()]
    show("Commit to receipt", ("", *SPREAD), [[f"{A_SECOND} a second", *spread_ms(took)]])


async def _reached(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/count")).status_code == 200
    except httpx.TransportError:
        return False
