"""Pages of a shop of 10,000 products through Envoy, beside a kept file of as many bytes from the same cluster."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx

from center.dataplane.v1 import inventory_service_pb2 as stock_pb
from center.dataplane.v1 import merchandising_service_pb2 as merchandising_pb
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1.inventory_service_pb2_grpc import InventoryServiceStub
from center.dataplane.v1.merchandising_service_pb2_grpc import MerchandisingServiceStub
from center.shared.v1 import media_service_pb2 as media_pb
from center.shared.v1.media_service_pb2_grpc import MediaServiceStub
from tests.bench.measure import ms, percentile, show
from tests.dataplane.cluster import of, product, variant
from tests.support import platform as platforms
from tests.support.media import keep
from tests.support.platform import Platform

PRODUCTS, RATE, SECONDS, BAR_MS = 10_000, 20, 5, 100
HOST = "bench-pages.center.localhost"


async def test_pages_at_a_steady_rate() -> None:
    with platforms.running(CENTER_EXAMPLE="off") as platform:
        shop = await platform.create("bench-pages", region_id="eu")
        await _stocked(platform, shop.id)
        base, headers = f"http://127.0.0.1:{platform.envoy_port}", {"host": HOST, "accept": "text/html"}
        async with httpx.AsyncClient(base_url=base, headers=headers) as browser:
            await _filled(browser)
            home = (await browser.get("/")).content
            paths = {
                "list": "/",
                "search": "/?q=lamp",
                "category": "/categories/lamps-7",
                "product": "/products/lamp-5000",
                "cart": "/cart",
                f"a file of {len(home):,} bytes": await _file(platform, shop.id, home),
            }
            rows = []
            for name, path in paths.items():
                await _paced(browser, path, 1)
                taken = await _paced(browser, path, SECONDS)
                rows.append([name, *(ms(percentile(taken, at)) for at in (50, 95)), ms(max(taken))])
        await platform.close()
    show(f"Pages, {RATE} a second", ("", "p50", "p95", "max"), rows, f"the bar: p95 {BAR_MS} ms")


async def _stocked(platform: Platform, tenant_id: str) -> None:
    async def rows() -> AsyncIterator[products_pb.ImportProductsRequest]:
        for start in range(0, PRODUCTS, 500):
            some = (
                product(f"lamp-{n}", title=f"Lamp {n}", variants=[variant(f"lamp-{n}")])
                for n in range(start, start + 500)
            )
            yield products_pb.ImportProductsRequest(products=some)

    stub = platform.products("eu-1")
    async for answer in stub.ImportProducts(rows(), metadata=of(tenant_id)):
        assert not answer.errors
    ways: Any = MerchandisingServiceStub(platform.channel("eu-1"))
    for n in range(8):
        request = merchandising_pb.CreateCategoryRequest(category={"title": f"Lamps {n}"})
        category = (await ways.CreateCategory(request, metadata=of(tenant_id))).category
    # Those that are looked at, and a category of them; what else there is, is sold out.
    listed = await stub.ListProducts(
        products_pb.ListProductsRequest(page_size=50, order_by="create_time desc"), metadata=of(tenant_id)
    )
    named = [
        (
            await stub.GetProductByHandle(products_pb.GetProductByHandleRequest(handle=handle), metadata=of(tenant_id))
        ).product
        for handle in ("lamp-5000", *(f"lamp-{n}" for n in range(5)))
    ]
    received: Any = {"kind": stock_pb.STOCK_MOVEMENT_KIND_RECEIVED, "quantity": 1000}
    ids = {sold.id for each in (*listed.products, *named) for sold in each.variants}
    adjustments = [{"variant_id": each, **received} for each in ids]
    stock: Any = InventoryServiceStub(platform.channel("eu-1"))
    await stock.AdjustStock(stock_pb.AdjustStockRequest(adjustments=adjustments), metadata=of(tenant_id))
    for each in listed.products:
        placed = merchandising_pb.SetProductCategoriesRequest(product_id=each.id, category_ids=[category.id])
        await ways.SetProductCategories(placed, metadata=of(tenant_id))


async def _filled(browser: httpx.AsyncClient) -> None:
    """A cart of five lines."""
    for n in range(5):
        page = (await browser.get(f"/products/lamp-{n}")).text
        sold = page.partition('name="variant" value="')[2].partition('"')[0]
        form = {"product": f"lamp-{n}", "variant": sold, "quantity": "2", "request_id": str(uuid.uuid4())}
        added = await browser.post("/cart/add", data=form, headers={"origin": f"http://{HOST}"})
        assert added.status_code == 303, added.text


async def _file(platform: Platform, tenant_id: str, data: bytes) -> str:
    stub: Any = MediaServiceStub(platform.channel("eu-1"))
    kept = await keep(stub, tenant_id, data, name="page")
    url = (await stub.GetServingUrl(media_pb.GetServingUrlRequest(id=kept.id), metadata=of(tenant_id))).url
    return urlsplit(url)._replace(scheme="", netloc="").geturl()


async def _paced(browser: httpx.AsyncClient, path: str, seconds: float) -> list[float]:
    """How long each took, from the moment at which it was due."""
    began = time.perf_counter()

    async def one(due: float) -> float:
        await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
        answer = await browser.get(path)
        assert answer.status_code == 200, answer.text
        return time.perf_counter() - began - due

    return await asyncio.gather(*(one(n / RATE) for n in range(int(seconds * RATE))))
