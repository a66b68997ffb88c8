"""What row-level security costs the shop's queries, and what each hop costs a shopper's request."""

import itertools
import statistics
import time
from collections.abc import Awaitable, Callable

import psycopg
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import TextClause

from center.control.v1 import tenant_service_pb2
from center.control.v1.catalog_service_pb2 import CatalogTenant
from center.dataplane.v1 import product_service_pb2
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from dataplane.products import store
from dataplane.products.domain import Status
from dataplane.tables import products
from dataplane.tenants import store as tenant_store
from dataplane.tenants.domain import State
from dataplane.tenants.service import entry
from shared.platform import ports, postgres
from shared.runtime import filters, pki
from shared.runtime.db import Database, app_url
from shared.runtime.ids import uuid7
from shared.runtime.migrate import migrate
from shared.samples import domains
from shared.samples.load import CATALOGUE_SHOPS
from tests.bench.echo import echo
from tests.bench.load import Load, Target, Web
from tests.bench.measure import SPREAD, THROUGHPUT, compare, ratio, show, spread_ms, throughput
from tests.support.platform import GRPC_PORTS, Platform

TENANTS, PRODUCTS = 50, 1000
ROUNDS, AT_ONCE = 6, 25

Query = Callable[[AsyncConnection, int], Awaitable[object]]

NEWEST_FIRST = filters.order(
    "create_time desc", {"create_time": filters.Field(products.c.create_time, "timestamp")}, products.c.id
)
WORDS = ("lantern", "candle blue", "glass -red", '"garden bench"', "wooden")


async def test_row_level_security(platform: Platform) -> None:
    """The reference is the same code as the tables' owner, whom no policy binds."""
    server = postgres.url(platform.home, "127.0.0.1", ports.POSTGRES + platform.offset)
    url = postgres.url(platform.home, "127.0.0.1", ports.POSTGRES + platform.offset, "bench_isolation")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE bench_isolation")
    await migrate(url, "dataplane", platform.home)
    tenant_ids = await _known(app_url(url, platform.home, "center_steward"))
    product_ids = _filled(url, tenant_ids)

    async def get(tx: AsyncConnection, turn: int) -> object:
        return await store.some(tx, tenant_ids[0], [product_ids[turn % len(product_ids)]])

    async def list_products(tx: AsyncConnection, turn: int) -> object:
        return await store.page(tx, tenant_ids[0], products.c.status == Status.ACTIVE, NEWEST_FIRST, None, 50)

    async def search(tx: AsyncConnection, turn: int) -> object:
        return await store.search(tx, tenant_ids[0], WORDS[turn % len(WORDS)], None, 50)

    shipped = Database.connect(app_url(url, platform.home))
    owner = _as_owner(url, tenant_ids[0])
    rows: list[list[object]] = []
    try:
        queries: dict[str, Query] = {"get": get, "list, 50 of 1,000": list_products, "search, 50 best": search}
        for name, query in queries.items():
            with_policies, without = [], []
            for turn in range(ROUNDS):
                with_policies.append(await _timed(shipped, query, tenant_ids[0], turn))
                without.append(await _timed(owner, query, tenant_ids[0], turn))
            async with owner.transaction(tenant_ids[0]) as tx:
                expected = await query(tx, 1)
            async with shipped.transaction(tenant_ids[0]) as tx:
                assert await query(tx, 1) == expected
            ratios = [
                statistics.median(mine) / statistics.median(other)
                for mine, other in zip(with_policies, without, strict=True)
            ]
            rows.append([name, *spread_ms(list(itertools.chain(*with_policies))), ratio(ratios)])
            rows.append([f"reference: {name}, no policy", *spread_ms(list(itertools.chain(*without))), "1.00"])
    finally:
        await shipped.close()
        await owner.close()
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("DROP DATABASE bench_isolation")
    show(
        f"A shop's queries under row-level security, {TENANTS} shops with {PRODUCTS:,} products each",
        ("", *SPREAD, "p50 of reference"),
        rows,
        "each in a transaction of its own, out of the pool, as requests run them",
    )


async def _timed(db: Database, query: Query, tenant_id: str, turn: int) -> list[float]:
    took = []
    for number in range(AT_ONCE):
        began = time.perf_counter()
        async with db.transaction(tenant_id) as tx:
            await query(tx, turn * AT_ONCE + number)
        took.append(time.perf_counter() - began)
    return took


# What search_products() runs, in the open.
_SEARCH = """
    SELECT found.id::text, found.rank FROM (
        SELECT p.id, (1000000 * ts_rank_cd(p.doc, websearch_to_tsquery('english', :words)))::integer AS rank
        FROM (
            SELECT m.id, m.doc FROM products m
            WHERE m.tenant_id = '{tenant_id}' AND m.status = 'ACTIVE'
                AND m.doc @@ (websearch_to_tsquery('english', :words) && '''tenant:{tenant_id}'''::tsquery)
            LIMIT 10000
        ) p
    ) found
    WHERE CAST(:below_id AS uuid) IS NULL
        OR (found.rank, found.id) < (CAST(:below_rank AS int), CAST(:below_id AS uuid))
    ORDER BY found.rank DESC, found.id DESC LIMIT CAST(:at_most AS int)
"""


def _as_owner(url: str, tenant_id: str) -> Database:
    """The owner of an embedded server is a superuser: no policy binds it, and search needs no function to hide in."""
    owner = Database.connect(url)

    def in_the_open(_: object, statement: object, many: object, parameters: object, options: object) -> object:
        if isinstance(statement, TextClause) and "search_products(" in statement.text:
            statement = text(_SEARCH.format(tenant_id=tenant_id))
        return statement, many, parameters

    event.listen(owner._engine.sync_engine, "before_execute", in_the_open, retval=True)
    return owner


async def _known(steward_url: str) -> list[str]:
    """Shops that the cluster knows and serves; their ids."""
    told = [
        CatalogTenant(
            id=uuid7(),
            code=f"shop-{n}",
            state="TENANT_STATE_ACTIVE",
            mode="TENANT_MODE_NORMAL",
            placement={"cluster_id": "eu-1"},
            revision=n + 1,
        )
        for n in range(TENANTS)
    ]
    steward = Database.connect(steward_url)
    await tenant_store.apply(steward, [entry(tenant, "eu-1") for tenant in told], introducing=State)
    await steward.close()
    return [tenant.id for tenant in told]


def _filled(url: str, tenant_ids: list[str]) -> list[str]:
    """Gives the shops products with titles out of a few words; some ids of the first shop's."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """
            INSERT INTO products
                (tenant_id, id, handle, title, description, status, version, create_time, update_time)
            SELECT t, gen_random_uuid(), 'product-' || n,
                (ARRAY['red', 'blue', 'green', 'white'])[1 + n %% 4] || ' '
                    || (ARRAY['glass', 'wooden', 'paper', 'metal', 'garden'])[1 + n %% 5] || ' '
                    || (ARRAY['lantern', 'candle', 'box', 'clock', 'frame', 'bench', 'bag'])[1 + n %% 7] || ' ' || n,
                '', 'ACTIVE', 1, now() - n * interval '1 minute', now()
            FROM unnest(%s::uuid[]) t, generate_series(1, %s) n
            """,
            (tenant_ids, PRODUCTS),
        )
        connection.execute(
            """
            INSERT INTO variants (tenant_id, id, product_id, position, sku, title, currency, amount_minor)
            SELECT tenant_id, gen_random_uuid(), id, 0, handle, '', 'EUR', 995 FROM products
            """
        )
        connection.execute("VACUUM ANALYZE")
        found = connection.execute("SELECT id::text FROM products WHERE tenant_id = %s LIMIT 500", (tenant_ids[0],))
        return [id for (id,) in found]


async def test_a_shoppers_request(platform: Platform, load: Load) -> None:
    domain = CATALOGUE_SHOPS[0]
    found = await platform.tenants.ResolveTenant(tenant_service_pb2.ResolveTenantRequest(code=domains.code(domain)))
    channel = platform.channel(found.cluster_id, "envoy")
    sent = (("x-tenant-id", found.tenant_id),)
    listing = product_service_pb2.ListProductsRequest(page_size=20)
    listed = await ProductServiceStub(channel).ListProducts(listing, metadata=sent)
    getting = product_service_pb2.GetProductRequest(id=listed.products[0].id)
    got = await ProductServiceStub(channel).GetProduct(getting, metadata=sent)
    identity = pki.load(platform.home, "envoy")
    running = {name: child.pid.pid for name, child in platform.processes().items() if child.pid is not None}
    service = "center.dataplane.v1.ProductService"
    with echo(platform.home, {f"{service}/GetProduct": got, f"{service}/ListProducts": listed}) as raw:
        for name, request, path in (
            ("GetProduct", getting, f"/v1/products/{getting.id}"),
            ("ListProducts", listing, "/v1/products?page_size=20"),
        ):
            called, data = f"/{service}/{name}", [request.SerializeToString()]
            cluster_port = GRPC_PORTS[found.cluster_id] + platform.offset
            cluster = running[found.cluster_id]
            targets = [
                Target("raw echo of the answer", [raw.pid], raw.raw, called, data, identity, metadata=sent),
                Target(
                    "gRPC, straight to the cluster",
                    [cluster],
                    cluster_port,
                    called,
                    data,
                    identity,
                    server=found.cluster_id,
                    metadata=sent,
                ),
                Web("JSON, through Envoy", [cluster, running["envoy"]], platform.envoy_port, domain, path),
            ]
            samples = await compare(load, targets, rounds=6, seconds=0.5, connections=4, streams=2)
            show(
                f"{name} by a shopper, 8 under way",
                THROUGHPUT,
                throughput(targets, samples, reference=0),
                "server CPU is the cluster's process, with Envoy's where it is asked; PostgreSQL's comes on top",
            )
