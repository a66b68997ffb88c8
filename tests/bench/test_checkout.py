"""CompleteCheckout of a cluster's process with the payment simulator, beside the very statements that it sends, given
to a copy of the same database by plain psycopg."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from dataplane.app import running
from dataplane.config import Config
from shared.runtime.db import app_url
from tests.bench.measure import SPREAD, percentile, ratio, show, spread_ms
from tests.bench.test_inventory import Durable
from tests.dataplane.checkouts import Shop, open_for_sale
from tests.dataplane.cluster import Running, entry
from tests.dataplane.test_checkout_races import Killable
from tests.support import payments as providers

CLIENTS, ROUNDS, CARTS = 8, 3, 24
PACED = 60
BAR, BAR_MS = 0.5, 120

# One transaction: (statement, parameters) of each.
Transaction = list[tuple[str, Any]]


async def test_completing_a_checkout_beside_the_same_sql(home: Path, request: pytest.FixtureRequest) -> None:
    server = Durable(home / "durable")
    server.start()
    request.addfinalizer(server.stop)
    with psycopg.connect(server.url(), autocommit=True) as owner:
        owner.execute("CREATE DATABASE bench_checkout")
    url, copy = server.url("bench_checkout"), server.url("bench_checkout_copy")
    tenant = entry()
    config = Config(
        home=home, cluster_id="eu-1", database_url=url, address="127.0.0.1:0", control_address="127.0.0.1:1"
    )
    async with providers.serving() as simulator:
        async with _cluster(config) as started:
            await started.apply(tenant)
            shop = await open_for_sale(started, simulator, tenant.id, webhooks=False)
            await shop.sell(hold_seconds=3600, shipping_rates=[FLAT], tax_rates=[{"basis_points": 1900}])
            lamp = await shop.sells(12, stock=100_000)
            ready = await _ready(shop, lamp, ROUNDS * CARTS)
        with psycopg.connect(server.url(), autocommit=True) as owner:
            owner.execute("CREATE DATABASE bench_checkout_copy TEMPLATE bench_checkout")
        recorded = []
        async with _cluster(config) as started:
            shop.running = started
            for cart_id, total in ready:
                with _recording() as transactions:
                    await shop.complete(cart_id, total)
                recorded.append([each for each in transactions if _is_write(each)])
        process: Any = Killable(home, url)
        process.start()
        await process.process.commands.ApplyTenants(runtime_pb.ApplyTenantsRequest(tenants=[tenant]))
        shop.running = process
        mine: list[float] = []
        plain: list[float] = []
        for turn in range(ROUNDS):
            fresh = await _ready(shop, lamp, CARTS)
            mine.append(await _rate([_ours(shop, *each) for each in fresh]))
            some = recorded[turn * CARTS : (turn + 1) * CARTS]
            plain.append(await _replayed(app_url(copy, home), tenant.id, some))
        rate = percentile(mine, 50)
        paced = await _ready(shop, lamp, PACED)
        latencies = await _paced([_ours(shop, *each) for each in paced], rate / 2)
        await process.process.close()
    statements = percentile([sum(map(len, each)) for each in recorded], 50)
    show(
        f"CompleteCheckout with the payment simulator, {CLIENTS} at once, fsync on",
        ("", "a second, median"),
        [["CompleteCheckout over gRPC", f"{rate:.0f}"], ["its SQL by plain psycopg", f"{percentile(plain, 50):.0f}"]],
        f"of the bare SQL: {ratio([own / bare for own, bare in zip(mine, plain, strict=True)])}; the bar is {BAR}",
        f"{statements:.0f} statements each, and two calls of the provider over HTTP that the bare SQL goes without",
    )
    show(
        f"CompleteCheckout, {rate / 2:.0f} a second",
        ("", *SPREAD),
        [["over gRPC", *spread_ms(latencies)]],
        f"the bar: p99 {BAR_MS} ms",
    )


FLAT = {
    "id": "flat",
    "name": "Flat",
    "currency_code": "EUR",
    "rows": [{"price": {"currency_code": "EUR", "units": 5}}],
}


class _cluster:
    """A cluster in this process."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._running = running(config)

    async def __aenter__(self) -> Running:
        cluster = await self._running.__aenter__()
        self._started = Running("eu-1", self._config.home, self._config.database_url, cluster)
        return self._started

    async def __aexit__(self, *error: Any) -> None:
        for channel in self._started.channels.values():
            await channel.close()
        await self._running.__aexit__(*error)


async def _ready(shop: Shop, variant_id: str, carts: int) -> list[tuple[str, Any]]:
    """Carts that are being checked out, and what each costs."""
    made: list[tuple[str, Any]] = []

    async def make() -> None:
        cart_id = await shop.cart((variant_id, 1))
        made.append((cart_id, (await shop.start(cart_id)).total))

    await _rate([make] * carts)
    return made


def _ours(shop: Shop, cart_id: str, total: Any) -> Callable[[], Awaitable[Any]]:
    return lambda: shop.complete(cart_id, total)


@contextmanager
def _recording() -> Iterator[list[Transaction]]:
    """The transactions that this process commits meanwhile."""
    done: list[Transaction] = []
    under_way: dict[int, Transaction] = {}

    def executed(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
        under_way.setdefault(id(conn), []).append((statement, parameters))

    def committed(conn: Any) -> None:
        done.append(under_way.pop(id(conn), []))

    event.listen(Engine, "before_cursor_execute", executed)
    event.listen(Engine, "commit", committed)
    try:
        yield done
    finally:
        event.remove(Engine, "before_cursor_execute", executed)
        event.remove(Engine, "commit", committed)


def _is_write(transaction: Transaction) -> bool:
    """Of the checkout, and not of a worker beside it."""
    return any("checkouts" in stmt or "payments" in stmt for stmt, _ in transaction)


async def _rate(work: Sequence[Callable[[], Awaitable[Any]]]) -> float:
    waiting = iter(work)

    async def client() -> None:
        for each in waiting:
            await each()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return len(work) / (time.perf_counter() - began)


async def _replayed(url: str, tenant_id: str, checkouts: Sequence[Sequence[Transaction]]) -> float:
    connections = [await psycopg.AsyncConnection.connect(url, autocommit=True) for _ in range(CLIENTS)]
    free = list(connections)

    def replay(transactions: Sequence[Transaction]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            connection = free.pop()
            for each in transactions:
                await connection.execute(f"BEGIN; SELECT set_config('app.tenant_id', '{tenant_id}', true)".encode())
                for statement, parameters in each:
                    await connection.execute(statement.encode(), parameters)
                await connection.execute("COMMIT")
            free.append(connection)

        return run

    rate = await _rate([replay(each) for each in checkouts])
    for each in connections:
        await each.close()
    return rate


async def _paced(work: Sequence[Callable[[], Awaitable[Any]]], rate: float) -> list[float]:
    """How long each took, begun at this rate whether those before are done or not."""
    began = time.perf_counter()

    async def timed(number: int, call: Callable[[], Awaitable[Any]]) -> float:
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await call()
        return time.perf_counter() - due

    return await asyncio.gather(*(timed(number, call) for number, call in enumerate(work)))
