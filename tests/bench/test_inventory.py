"""Reservations of one hot variant, by what a checkout calls, beside the bare conditional UPDATE and its INSERT."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from center.dataplane.v1 import inventory_service_pb2 as pb
from dataplane.app import running
from dataplane.config import Config
from dataplane.inventory import messages, ops
from dataplane.inventory.domain import Line
from shared.platform import postgres
from shared.runtime import journal
from shared.runtime.db import Database
from shared.runtime.ids import uuid7
from tests.bench.measure import percentile, ratio, show
from tests.dataplane.cluster import Running, create, entry, of, product, variant
from tests.support.postgres import Postgres

CLIENTS, ROUNDS, SECONDS = 16, 4, 1.5
BAR = 0.6

_TABLES = """
CREATE TABLE bare_levels (tenant_id uuid, variant_id uuid, on_hand bigint, reserved bigint,
    PRIMARY KEY (tenant_id, variant_id), CHECK (reserved >= 0 AND on_hand >= reserved));
CREATE TABLE bare_reservations (tenant_id uuid, id uuid, owner uuid, variant_id uuid, quantity bigint,
    expires_at timestamptz, PRIMARY KEY (tenant_id, id));
"""
_UPDATE = (
    "UPDATE bare_levels SET reserved = reserved + 1 "
    "WHERE tenant_id = %s AND variant_id = %s AND on_hand - reserved >= 1 RETURNING reserved"
)
_INSERT = "INSERT INTO bare_reservations VALUES (%s, %s, %s, %s, 1, now() + interval '10 minutes')"


class Durable(Postgres):
    """As it ships: what it has acknowledged is on the disk."""

    def start(self) -> None:
        command = postgres.command(self.home, "127.0.0.1", self.port)
        self.launch(command, self.home / "postgres.log", self._answers, user=postgres.system_user())


async def test_a_hot_variant_is_reserved_beside_the_bare_update(home: Path, request: pytest.FixtureRequest) -> None:
    server = Durable(home / "durable")
    server.start()
    request.addfinalizer(server.stop)
    with psycopg.connect(server.url(), autocommit=True) as owner:
        owner.execute("CREATE DATABASE bench_inventory")
    url = server.url("bench_inventory")
    config = Config(
        home=home, cluster_id="eu-1", database_url=url, address="127.0.0.1:0", control_address="127.0.0.1:1"
    )
    async with running(config) as cluster:
        started = Running("eu-1", home, url, cluster)
        tenant = entry()
        await started.apply(tenant)
        [lamp] = await create(started, tenant.id, product(variants=[variant("lamp")]))
        hot = lamp.variants[0].id
        received = pb.StockAdjustment(variant_id=hot, kind=pb.STOCK_MOVEMENT_KIND_RECEIVED, quantity=10**9)
        await started.inventory.AdjustStock(pb.AdjustStockRequest(adjustments=[received]), metadata=of(tenant.id))
        for channel in started.channels.values():
            await channel.close()
    # The process is gone: what it does beside requests, as sealing the audit, is not what is measured.
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(_TABLES.encode())
        owner.execute("INSERT INTO bare_levels VALUES (%s, %s, 1000000000, 0)", (tenant.id, hot))
        assert owner.execute("SHOW fsync").fetchone() == ("on",)
    db = started.database("center_app", pool_size=CLIENTS)
    bare = [await psycopg.AsyncConnection.connect(url) for _ in range(CLIENTS)]
    clients = {
        "ops.reserve": [_ours(db, tenant.id, hot, records=False)] * CLIENTS,
        "ops.reserve, its audit entry and its event": [_ours(db, tenant.id, hot, records=True)] * CLIENTS,
        "bare UPDATE and INSERT": [_bare(each, tenant.id, hot) for each in bare],
    }
    rates: dict[str, list[float]] = {name: [] for name in clients}
    for turn in range(ROUNDS):
        for name in clients if turn % 2 == 0 else reversed(clients):
            rates[name].append(await _rate(clients[name]))
    for each in bare:
        await each.close()
    await db.close()
    ours, recorded, theirs = rates.values()
    ratios, with_records = (
        [mine / plain for mine, plain in zip(some, theirs, strict=True)] for some in (ours, recorded)
    )
    show(
        f"Reservations of one variant, {CLIENTS} clients, fsync on",
        ("", "a second, median"),
        [[name, f"{percentile(values, 50):.0f}"] for name, values in rates.items()],
        f"ops.reserve of bare: {ratio(ratios)}; the bar is {BAR}",
        f"with its audit entry and its event, which a checkout writes once for all it does: {ratio(with_records)}",
    )


async def _rate(clients: list[Callable[[], Awaitable[None]]]) -> float:
    """Transactions a second, of all clients at once."""
    end = time.perf_counter() + SECONDS
    done = 0

    async def work(client: Callable[[], Awaitable[None]]) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await client()
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*map(work, clients))
    return done / (time.perf_counter() - began)


def _ours(db: Database, tenant_id: str, variant_id: str, *, records: bool) -> Callable[[], Awaitable[None]]:
    async def reserve() -> None:
        now = datetime.now(UTC)
        async with db.transaction(tenant_id) as tx:
            line = Line(variant_id, 1)
            outcome = await ops.reserve(tx, tenant_id, uuid7(), [line], now + timedelta(minutes=10), now=now)
            if records:
                await journal.record(tx, tenant_id, messages.changes(outcome), messages.events(outcome))

    return reserve


def _bare(connection: psycopg.AsyncConnection[Any], tenant_id: str, variant_id: str) -> Callable[[], Awaitable[None]]:
    async def reserve() -> None:
        await connection.execute(_UPDATE, (tenant_id, variant_id))
        await connection.execute(_INSERT, (tenant_id, uuid7(), uuid7(), variant_id))
        await connection.commit()

    return reserve
