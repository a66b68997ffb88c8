"""Moving a shop with 3,000 products: how long writes wait, how fast rows go, and that no read fails."""

import asyncio
import json
import statistics
import time
from dataclasses import dataclass

import psycopg
from psycopg import sql

from center.control.v1 import operations_service_pb2, tenant_service_pb2
from shared.platform import ports, postgres
from shared.platform.client import Client
from shared.platform.config import Config
from shared.runtime.ids import uuid7
from shared.samples import load
from shared.samples.domains import Shop
from shared.samples.retail import Product
from tests.bench.measure import SPREAD, show, spread_ms
from tests.bench.tenants import Imported
from tests.bench.web import Probe, question
from tests.support.platform import CLUSTERS, Platform

PRODUCTS = 3_000
SHOPS, MOVES = 4, 8


@dataclass
class Watched:
    """What the shop's people and its shoppers saw during one move."""

    reads: int = 0
    failed_reads: int = 0
    writes: int = 0
    refused_writes: int = 0
    # From the first refused write to the first one that was taken again.
    frozen_s: float = 0.0


async def test_moving_a_shop(imported: Imported) -> None:
    platform = imported.platform
    shops = imported.shops[100 : 100 + SHOPS]
    tenants = [await _filled(platform, shop) for shop in shops]
    freezes, rows_per_s, wholes, watched = list[float](), list[float](), list[float](), list[Watched]()
    last, names, rows = dict[str, str](), list[str](), 0
    for turn in range(MOVES):
        shop, tenant_id = shops[turn % SHOPS], tenants[turn % SHOPS]
        if shop.code in last:
            await platform.done(last.pop(shop.code))
        watch = Watched()
        stop = asyncio.Event()
        watching = asyncio.gather(_read(platform, shop, watch, stop), _write(platform, shop, tenant_id, watch, stop))
        began = time.perf_counter()
        target = _other(await _cluster_of(platform, tenant_id))
        moved = await platform.tenants.MoveTenant(
            tenant_service_pb2.MoveTenantRequest(id=tenant_id, cluster_id=target, reason="bench", request_id=uuid7())
        )
        last[shop.code] = moved.operation.name
        names.append(moved.operation.name)
        while await _cluster_of(platform, tenant_id) != target:
            await asyncio.sleep(0.01)
        wholes.append(time.perf_counter() - began)
        await asyncio.sleep(0.2)
        stop.set()
        await watching
        watched.append(watch)
    for name in names:
        moved = operations_service_pb2.OperationMetadata()
        (await platform.done(name)).metadata.Unpack(moved)
        freezes.append(moved.write_freeze.ToTimedelta().total_seconds())
        rows_per_s.append(moved.rows_copied / freezes[-1])
        rows = moved.rows_copied
    copies = [_copied(platform, tenants[0]) for _ in range(5)]
    seen = [watch.frozen_s for watch in watched]
    reference = statistics.median(copies)

    refused = sum(watch.refused_writes for watch in watched)

    def row(name: str, values: list[float]) -> list[str]:
        return [name, *spread_ms(values), f"{statistics.median(values) / reference:.1f}"]

    show(
        f"MoveTenant of a shop with {PRODUCTS:,} products ({rows:,} rows), {MOVES} moves, read and written meanwhile",
        ("", *SPREAD, "p50 of COPY's"),
        [
            row("writes wait, as the operation says", freezes),
            row("writes wait, as a merchant sees it", seen),
            row("from the request to the switch", wholes),
            row("reference: COPY of the rows from one database to the other", copies),
        ],
        f"rows/s while writes wait: p50 {statistics.median(rows_per_s):,.0f}, lowest {min(rows_per_s):,.0f};"
        f" COPY: {rows / reference:,.0f}",
        f"reads: {sum(w.reads for w in watched):,}, failed: {sum(w.failed_reads for w in watched)};"
        f" writes: {sum(w.writes for w in watched):,}, refused while frozen: {refused:,}",
    )


async def _filled(platform: Platform, shop: Shop) -> str:
    products = [Product(sku=f"sku-{n}", title=f"Product number {n}", price_minor=100 + n) for n in range(PRODUCTS)]
    async with Client(Config.from_env(platform.environment)) as client:
        await load.import_products(client, shop.code, products)
    found = await platform.tenants.ResolveTenant(tenant_service_pb2.ResolveTenantRequest(code=shop.code))
    return str(found.tenant_id)


async def _read(platform: Platform, shop: Shop, watch: Watched, stop: asyncio.Event) -> None:
    probe, asked = await Probe.connect(platform.envoy_port), question(shop.domain, "/v1/products?page_size=5")
    while not stop.is_set():
        seen = await probe.ask(asked)
        watch.reads += 1
        watch.failed_reads += seen.status != 200
        await asyncio.sleep(0.002)
    probe.close()


async def _write(platform: Platform, shop: Shop, tenant_id: str, watch: Watched, stop: asyncio.Event) -> None:
    """One product's title, again and again, as the shop's merchant does it."""
    probe, token = await Probe.connect(platform.envoy_port), await platform.token(tenant_id)
    found = await probe.ask(question(shop.domain, "/v1/products?page_size=1"))
    product_id = json.loads(found.body)["products"][0]["id"]
    refused_since: float | None = None
    while not stop.is_set():
        body = json.dumps({"product": {"title": f"Title {uuid7()}"}, "update_mask": "title"}).encode()
        seen = await probe.ask(question(shop.domain, f"/v1/backoffice/products/{product_id}", "PATCH", body, token))
        if seen.status == 200:
            watch.writes += 1
            if refused_since is not None:
                watch.frozen_s += seen.came - refused_since
                refused_since = None
        else:
            assert seen.status == 503, seen
            watch.refused_writes += 1
            refused_since = refused_since or seen.sent
        await asyncio.sleep(0.002)
    probe.close()


def _copied(platform: Platform, tenant_id: str) -> float:
    """Seconds for the tenant's rows to go from one database to the other by COPY, into tables that go again."""

    def url(database: str) -> str:
        return postgres.url(platform.home, "127.0.0.1", ports.POSTGRES + platform.offset, database)

    with psycopg.connect(url("center_eu_1")) as source, psycopg.connect(url("center_us_1")) as target:
        here = source.execute("SELECT count(*) FROM products WHERE tenant_id = %s", (tenant_id,)).fetchone()
        if here == (0,):
            source, target = target, source
        took_s = 0.0
        for table in ("products", "variants"):
            named = {"table": sql.Identifier(table), "twin": sql.Identifier(f"bench_{table}"), "id": tenant_id}
            target.execute(sql.SQL("CREATE TABLE {twin} (LIKE {table} INCLUDING ALL)").format(**named))
            listed = source.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
                " AND table_name = %s AND is_generated = 'NEVER'",
                (table,),
            )
            named["columns"] = sql.SQL(", ").join(sql.Identifier(name) for (name,) in listed)
            select = sql.SQL("COPY (SELECT {columns} FROM {table} WHERE tenant_id = {id}) TO STDOUT (FORMAT BINARY)")
            insert = sql.SQL("COPY {twin} ({columns}) FROM STDIN (FORMAT BINARY)")
            began = time.perf_counter()
            with (
                source.cursor().copy(select.format(**named)) as out,
                target.cursor().copy(insert.format(**named)) as into,
            ):
                for part in out:
                    into.write(part)
            took_s += time.perf_counter() - began
        target.rollback()
    return took_s


def _other(cluster_id: str) -> str:
    return next(cluster for cluster in CLUSTERS if cluster != cluster_id)


async def _cluster_of(platform: Platform, tenant_id: str) -> str:
    found = await platform.tenants.ResolveTenant(tenant_service_pb2.ResolveTenantRequest(id=tenant_id))
    return str(found.cluster_id)
