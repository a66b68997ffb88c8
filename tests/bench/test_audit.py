"""What the audit adds to a change: CreateProduct with its entry, its proof and the sealer beside, and without them."""

import asyncio
import itertools
import multiprocessing
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import psutil
import uvloop
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import product_service_pb2 as pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from center.dataplane.v1.tenant_runtime_service_pb2_grpc import TenantRuntimeServiceStub
from dataplane import app
from dataplane.config import Config
from shared.audit.sealer import Sealer
from shared.runtime import journal, pki
from shared.runtime.context import current
from shared.runtime.ids import uuid7
from shared.runtime.journal import Change, Event
from shared.runtime.rpc.channel import connect
from tests.bench.measure import SPREAD, ms, ratio, show, spread_ms
from tests.dataplane.cluster import entry, of, product

ROUNDS = 8
CALLS = 150
BAR = 1.05


@dataclass(frozen=True)
class Server:
    products: ProductServiceStub
    tenant_id: str
    process: psutil.Process

    async def spent(self) -> float:
        request = pb.CreateProductRequest(product=product(), request_id=uuid7())
        began = time.perf_counter()
        await self.products.CreateProduct(request, metadata=of(self.tenant_id))
        return time.perf_counter() - began

    @property
    def cpu_s(self) -> float:
        """Of its process so far, the sealer's included."""
        times = self.process.cpu_times()
        return times.user + times.system


async def test_a_change_with_its_entry_and_without(home: Path, make_database: Callable[[str], str]) -> None:
    async with (
        served(home, make_database("audited"), is_audited=True) as shipped,
        served(home, make_database("unaudited"), is_audited=False) as without,
    ):
        servers = (shipped, without)
        await _calls(servers)
        taken, cpu_ms = [], []
        for _ in range(ROUNDS):
            before = [server.cpu_s for server in servers]
            taken.append(await _calls(servers))
            after = [server.cpu_s for server in servers]
            cpu_ms.append([(b - a) / CALLS * 1e3 for a, b in zip(before, after, strict=True)])
    rows = [
        [name, *spread_ms(of_server), ms(statistics.fmean(of_server)), f"{statistics.median(cpu):.2f} ms"]
        for name, of_server, cpu in zip(
            ("as shipped", "reference: no entry, no sealer"),
            (list(itertools.chain(*(pair[n] for pair in taken))) for n in (0, 1)),
            zip(*cpu_ms, strict=True),
            strict=True,
        )
    ]
    means = [statistics.fmean(mine) / statistics.fmean(other) for mine, other in taken]
    medians = [statistics.median(mine) / statistics.median(other) for mine, other in taken]
    show(
        "CreateProduct, one under way at each of the two in turn",
        ("", *SPREAD, "mean", "server CPU a call"),
        rows,
        f"with the audit a call takes {ratio(medians)} of its time without, by medians, and {ratio(means)} by means;"
        f" the bar is {BAR}",
        f"its server's CPU: {ratio([mine / other for mine, other in cpu_ms])}",
    )


async def _calls(servers: Sequence[Server]) -> list[list[float]]:
    """How long each call took, by server; call by call in turns, so that what else the machine does falls on both."""
    taken: list[list[float]] = [[] for _ in servers]
    for turn in range(CALLS):
        pairs = list(zip(servers, taken, strict=True))
        for server, times in pairs if turn % 2 == 0 else reversed(pairs):
            times.append(await server.spent())
    return taken


@asynccontextmanager
async def served(home: Path, database_url: str, *, is_audited: bool) -> AsyncIterator[Server]:
    """A cluster in a process of its own, with a tenant."""
    config = Config(
        home=home,
        cluster_id="eu-1",
        database_url=database_url,
        address="127.0.0.1:0",
        control_address="127.0.0.1:1",
    )
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(config, is_audited, theirs))
    process.start()
    try:
        address = f"127.0.0.1:{await asyncio.to_thread(ours.recv)}"
        new = entry()
        async with (
            _channel(home, address, "control") as control,
            _channel(home, address, "operator") as operator,
        ):
            applied = runtime_pb.ApplyTenantsRequest(tenants=[new])
            await TenantRuntimeServiceStub(control).ApplyTenants(applied)
            yield Server(ProductServiceStub(operator), new.id, psutil.Process(process.pid))
    finally:
        ours.send(None)
        process.join()


def _channel(home: Path, address: str, who: str) -> grpc.aio.Channel:
    return connect(address, pki.load(home, who), server="eu-1")


def _serve(config: Config, is_audited: bool, pipe: Connection) -> None:
    if not is_audited:
        journal.record = _events_only
        Sealer.run = _never  # type: ignore[method-assign]
    uvloop.run(_until_told(config, pipe))


async def _until_told(config: Config, pipe: Connection) -> None:
    async with app.running(config) as cluster:
        pipe.send(cluster.server.port)
        await asyncio.to_thread(pipe.recv)


async def _never(_: Sealer) -> None:
    await asyncio.Event().wait()


async def _events_only(
    tx: AsyncConnection, tenant_id: str, changes: Sequence[Change], events: Iterable[Event] = ()
) -> None:
    """journal.record() without the audit's part of the statement."""
    events = list(events)
    told: dict[str, Any] = {
        "tenant_id": tenant_id,
        "events": [uuid7() for _ in events],
        "types": [event.type for event in events],
        "aggregates": [event.aggregate_id for event in events],
        "versions": [event.aggregate_version for event in events],
        "payloads": [event.message.SerializeToString() for event in events],
        "traceparent": current().traceparent,
    }
    journal.unchanged(tx)
    await tx.execute(_TOLD, told)


_TOLD = text(
    """
    INSERT INTO outbox (tenant_id, id, type, aggregate_id, aggregate_version, payload, traceparent)
    SELECT CAST(:tenant_id AS uuid), e.*, :traceparent
    FROM unnest(
        CAST(:events AS uuid[]), CAST(:types AS text[]), CAST(:aggregates AS uuid[]), CAST(:versions AS bigint[]),
        CAST(:payloads AS bytea[])
    ) e
    """
)
