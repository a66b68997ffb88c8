"""Loads tenants and products into a running platform; everything here may be run again at any time."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Container, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import grpc
from google.type import money_pb2

from center.control.v1 import (
    cluster_service_pb2,
    cluster_service_pb2_grpc,
    operations_service_pb2,
    operations_service_pb2_grpc,
    tenant_pb2,
    tenant_service_pb2,
    tenant_service_pb2_grpc,
)
from center.dataplane.v1 import (
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    product_service_pb2,
    product_service_pb2_grpc,
)
from center.shared.v1 import payment_service_pb2, payment_service_pb2_grpc
from shared.platform import ports
from shared.platform.client import Client
from shared.runtime.errors import Unavailable
from shared.runtime.rpc.status import received
from shared.samples import domains, retail
from shared.samples.domains import Shop
from shared.samples.retail import Product

BATCH = 500
# Two batches on the way keep the control plane busy; more only wait for its one transaction at a time.
BATCHES_AT_ONCE = 2
VERIFIED_REASON = "imported by an operator as already proven"
LOOK_S = 0.3
WAIT_APPLIED_S = 40.0

# A month of a shop's order lines.
MONTH = "online-retail-2010-12.csv.gz"
# What the shelves of a sample shop get of each variant.
SHELF = 100

# Told how far a phase is: (phase, done, total); total 0 is unknown.
Progress = Callable[[str, int, int], None]

# The shops of an empty home, and the one that gets the catalogue.
FEW = ("google.com", "wikipedia.org", "bbc.co.uk", "etsy.com", "ikea.com", "ebay.com")
CATALOGUE_SHOPS = ("google.com", "etsy.com", "ikea.com")


@dataclass(slots=True)
class TenantsLoaded:
    created: int = 0
    existing: int = 0
    # The ids of both.
    tenants: set[str] = field(default_factory=set)
    # domain -> REASON: message
    refused: dict[str, str] = field(default_factory=dict)
    # code -> why its provisioning gave up
    failed: dict[str, str] = field(default_factory=dict)
    # Edges and clusters that do not know the new tenants yet.
    behind: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ProductsLoaded:
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    # stock code -> REASON field: message
    refused: dict[str, str] = field(default_factory=dict)


def silent(phase: str, done: int, total: int) -> None:
    """Progress for nobody."""


def data(name: str) -> Path:
    """A sample file; the package is a plain folder in a checkout and in an installed wheel alike."""
    return Path(str(resources.files("shared.samples") / "data" / name))


def all_shops() -> list[Shop]:
    return list(domains.shops(data("domains.txt").read_text().splitlines()))


def sample_catalogue() -> retail.Catalogue:
    return retail.catalogue(retail.read(data(MONTH)))


async def import_tenants(
    client: Client, shops: Sequence[Shop], progress: Progress = silent, verified_reason: str = VERIFIED_REASON
) -> TenantsLoaded:
    """A tenant of each shop; returns when all are provisioned and served.

    verified_reason: the operator's word that the domains are the shops' own; empty leaves each to its proof.

    A shop that is there already costs one row of an answer, so a broken import goes on by being run again.
    """
    stub = tenant_service_pb2_grpc.TenantServiceStub(client.control())
    loaded = TenantsLoaded()
    placed_before = await _placed(client)
    batches = iter([shops[start : start + BATCH] for start in range(0, len(shops), BATCH)])
    done = 0
    progress("tenants", 0, len(shops))

    async def work() -> None:
        nonlocal done
        for batch in batches:
            await _create(stub, batch, verified_reason, loaded)
            done += len(batch)
            progress("tenants", done, len(shops))

    await asyncio.gather(*(work() for _ in range(BATCHES_AT_ONCE)))
    if loaded.created or loaded.existing:
        await _provisioned(client, loaded, placed_before, progress)
        loaded.behind = await _applied(client, progress)
    return loaded


async def _create(
    stub: "tenant_service_pb2_grpc.TenantServiceAsyncStub",
    batch: Sequence[Shop],
    verified_reason: str,
    loaded: TenantsLoaded,
) -> None:
    drafts = [
        tenant_service_pb2.TenantDraft(
            code=shop.code,
            display_name=shop.domain,
            domains=[shop.domain],
            domains_verified_reason=verified_reason,
        )
        for shop in batch
    ]
    answer = await stub.BatchCreateTenants(tenant_service_pb2.BatchCreateTenantsRequest(tenants=drafts), timeout=120)
    for shop, result in zip(batch, answer.results, strict=True):
        match result.WhichOneof("result"):
            case "created":
                loaded.created += 1
                loaded.tenants.add(result.created.id)
            case "existing":
                loaded.existing += 1
                loaded.tenants.add(result.existing.id)
            case _:
                loaded.refused[shop.domain] = f"{result.refused.reason}: {result.refused.message}"


async def _provisioned(client: Client, loaded: TenantsLoaded, placed_before: int, progress: Progress) -> None:
    """Waits until none of these tenants is being provisioned any more; others may be, for as long as they like.

    How far it is comes from the clusters' own counts: to list thousands of tenants again and again would cost the
    control plane more than to provision them.
    """
    stub = tenant_service_pb2_grpc.TenantServiceStub(client.control())
    while await anext(_in_state(stub, "PROVISIONING", loaded.tenants), None) is not None:
        placed = await _placed(client) - placed_before
        # Placing is an early step, so the last tenant counts when it is ready.
        progress("provisioned", max(min(placed, loaded.created - 1), 0), loaded.created)
        await asyncio.sleep(LOOK_S)
    if loaded.created:
        progress("provisioned", loaded.created, loaded.created)
    async for tenant in _in_state(stub, "FAILED", loaded.tenants):
        loaded.failed[tenant.code] = tenant.state_reason


async def _in_state(
    stub: "tenant_service_pb2_grpc.TenantServiceAsyncStub", state: str, ids: Container[str]
) -> AsyncIterator[tenant_pb2.Tenant]:
    """Those of the tenants that are in the state, by pages: who needs one does not pay for all."""
    request = tenant_service_pb2.ListTenantsRequest(filter=f'state = "{state}"', page_size=50)
    while True:
        answer = await stub.ListTenants(request)
        for tenant in answer.tenants:
            if tenant.id in ids:
                yield tenant
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


async def _placed(client: Client) -> int:
    """How many tenants have a cluster."""
    stub = cluster_service_pb2_grpc.ClusterServiceStub(client.control())
    answer = await stub.ListClusters(cluster_service_pb2.ListClustersRequest(page_size=1000))
    return sum(cluster.tenant_count for cluster in answer.clusters)


async def _applied(client: Client, progress: Progress) -> list[str]:
    """Waits a while until every edge and cluster has what the catalog has now; names those that have not."""
    stub = operations_service_pb2_grpc.OperationsServiceStub(client.control())
    progress("served", 0, 1)
    answer = await stub.WaitApplied(operations_service_pb2.WaitAppliedRequest(), timeout=WAIT_APPLIED_S)
    progress("served", 1, 1)
    return [watcher.id for watcher in answer.behind]


async def import_products(
    client: Client, code: str, products: Sequence[Product], progress: Progress = silent
) -> ProductsLoaded:
    """The products into the shop's own cluster."""
    messages = [_message(product) for product in products]
    return await send_products(client, code, messages, [product.sku for product in products], progress)


async def send_products(
    client: Client,
    code: str,
    products: Sequence[product_service_pb2.Product],
    names: Sequence[str],
    progress: Progress = silent,
    *,
    tenant_id: str = "",
) -> ProductsLoaded:
    """Sent again from the last durable row when the shop is on the move.

    names: of the products, in refusals. tenant_id: of the shop, where `code` is another word for it.
    """
    loaded = ProductsLoaded()
    durable = 0
    tries = 0
    while durable < len(products):
        start = durable
        try:
            tenant_id, channel = await client.shop(code, id=tenant_id)
            stub = product_service_pb2_grpc.ProductServiceStub(channel)
            call = stub.ImportProducts(_rows(products[start:]), metadata=(("x-tenant-id", tenant_id),))
            created = updated = unchanged = 0
            async for answer in call:
                durable = start + answer.rows_done
                # The counts are of the stream so far.
                loaded.created += answer.created - created
                loaded.updated += answer.updated - updated
                loaded.unchanged += answer.unchanged - unchanged
                created, updated, unchanged = answer.created, answer.updated, answer.unchanged
                for bad in answer.errors:
                    loaded.refused[names[start + bad.row - 1]] = f"{bad.reason} {bad.field}: {bad.message}"
                progress(f"products of {code}", durable, len(products))
                tries = 0
            break
        except grpc.aio.AioRpcError as error:
            refusal = received(error)
            tries += 1
            if not isinstance(refusal, Unavailable) or tries > 30:
                raise
            await asyncio.sleep(refusal.retry_after_s or 0.5)
    return loaded


async def _rows(
    products: Sequence[product_service_pb2.Product],
) -> AsyncIterator[product_service_pb2.ImportProductsRequest]:
    for start in range(0, len(products), BATCH):
        yield product_service_pb2.ImportProductsRequest(products=products[start : start + BATCH])


def _message(product: Product) -> product_service_pb2.Product:
    price = money_pb2.Money(
        currency_code=product.currency,
        units=product.price_minor // 100,
        nanos=product.price_minor % 100 * 10_000_000,
    )
    return product_service_pb2.Product(
        handle=product.handle,
        title=product.title,
        status=product_service_pb2.PRODUCT_STATUS_ACTIVE,
        variants=[product_service_pb2.Variant(sku=product.sku, title="", price=price)],
    )


async def stock_up(client: Client, code: str) -> int:
    """Books some of each variant that the shop has never had any of, and says of how many."""
    tenant_id, channel = await client.shop(code)
    metadata = (("x-tenant-id", tenant_id),)
    inventory = inventory_service_pb2_grpc.InventoryServiceStub(channel)
    missing = await _variants(product_service_pb2_grpc.ProductServiceStub(channel), metadata)
    levels = inventory_service_pb2.ListStockRequest(page_size=1000)
    while True:
        page = await inventory.ListStock(levels, metadata=metadata)
        for level in page.levels:
            missing.pop(level.variant_id, None)
        if not page.next_page_token:
            break
        levels.page_token = page.next_page_token
    variants = list(missing)
    for start in range(0, len(variants), BATCH):
        delivered = [
            inventory_service_pb2.StockAdjustment(
                variant_id=variant_id, kind=inventory_service_pb2.STOCK_MOVEMENT_KIND_RECEIVED, quantity=SHELF
            )
            for variant_id in variants[start : start + BATCH]
        ]
        request = inventory_service_pb2.AdjustStockRequest(adjustments=delivered, reason="the first delivery")
        await inventory.AdjustStock(request, metadata=metadata)
    return len(variants)


async def _variants(
    stub: "product_service_pb2_grpc.ProductServiceAsyncStub", metadata: tuple[tuple[str, str], ...]
) -> dict[str, None]:
    """The ids of all variants, in the order of the products."""
    found: dict[str, None] = {}
    request = product_service_pb2.ListProductsRequest(page_size=1000)
    while True:
        page = await stub.ListProducts(request, metadata=metadata)
        found |= {variant.id: None for product in page.products for variant in product.variants}
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def seed(client: Client, progress: Progress = silent) -> list[Shop]:
    """A few shops with a catalogue, so that an empty platform has something to look at."""
    shops = [Shop(domains.code(domain), domain) for domain in FEW]
    await import_tenants(client, shops, progress)
    products = sample_catalogue().products[:200]
    for domain in CATALOGUE_SHOPS:
        await import_products(client, domains.code(domain), products, progress)
        await stock_up(client, domains.code(domain))
    for shop in shops:
        await open_account(client, shop)
    return shops


async def open_account(client: Client, shop: Shop) -> None:
    """Gives the shop an account at the simulated provider of payments, which tells the shop's own domain of events.

    A shop that has one, or another provider's, keeps it. Unavailable PROVIDER_UNREACHABLE.
    """
    import httpx  # takes a tenth of what a command takes to start

    tenant_id, channel = await client.shop(shop.code)
    stub = payment_service_pb2_grpc.PaymentServiceStub(channel)
    metadata = (("x-tenant-id", tenant_id),)
    try:
        await stub.GetPaymentSettings(payment_service_pb2.GetPaymentSettingsRequest(), metadata=metadata)
        return
    except grpc.aio.AioRpcError as error:
        if received(error).reason != "PAYMENTS_NOT_CONFIGURED":
            raise
    api_base = f"http://127.0.0.1:{ports.PAYMENTS + client.config.offset}"
    secret_key = f"sk_test_{uuid.uuid4().hex}"
    hook = {"url": f"http://{shop.domain}/v1/payments/events/stripe", "enabled_events[0]": "*"}
    try:
        async with httpx.AsyncClient(base_url=api_base, headers={"authorization": f"Bearer {secret_key}"}) as provider:
            answer = (await provider.post("/v1/webhook_endpoints", data=hook)).raise_for_status()
    except httpx.HTTPError as error:
        raise Unavailable("PROVIDER_UNREACHABLE", f"the simulated provider of payments: {error}") from error
    await stub.SetPaymentSettings(
        payment_service_pb2.SetPaymentSettingsRequest(
            settings={"provider": "stripe", "api_base": api_base},
            secret_key=secret_key,
            webhook_secret=answer.json()["secret"],
        ),
        metadata=metadata,
    )


async def demo(client: Client, progress: Progress = silent) -> tuple[TenantsLoaded, dict[str, ProductsLoaded]]:
    """All sample domains as tenants, and the whole sample catalogue for a few of them."""
    tenants = await import_tenants(client, all_shops(), progress)
    products = sample_catalogue().products
    loaded = {}
    for domain in CATALOGUE_SHOPS:
        code = domains.code(domain)
        loaded[code] = await import_products(client, code, products, progress)
        await stock_up(client, code)
    return tenants, loaded
