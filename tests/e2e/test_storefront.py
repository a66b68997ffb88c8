"""A shop's pages at its own domain: what comes through Envoy, and what a shopper does with it in a browser."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.async_api import expect

from center.control.v1 import tenant_pb2, tenant_service_pb2
from center.dataplane.v1 import checkout_service_pb2 as checkout_pb
from center.dataplane.v1 import inventory_service_pb2 as stock_pb
from center.dataplane.v1 import merchandising_service_pb2 as merchandising_pb
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1 import promotion_service_pb2 as promotions_pb
from center.dataplane.v1.checkout_service_pb2_grpc import SellingServiceStub
from center.dataplane.v1.inventory_service_pb2_grpc import InventoryServiceStub
from center.dataplane.v1.merchandising_service_pb2_grpc import MerchandisingServiceStub
from center.dataplane.v1.promotion_service_pb2_grpc import PromotionServiceStub
from center.shared.v1 import payment_service_pb2 as payments_pb
from center.shared.v1.payment_service_pb2_grpc import PaymentServiceStub
from shared.platform import ports
from tests.dataplane.cluster import of, variant
from tests.e2e.test_cli import said
from tests.support.accessibility import barriers
from tests.support.browser import browsing
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e

DETAILS = {
    "E-mail": "ada@mail.example",
    "Full name": "Ada Lovelace",
    "Street and house number": "12 St James's Square",
    "Postal code": "SW1Y 4LB",
    "Town": "London",
}
HTML = {"accept": "text/html,application/xhtml+xml"}


@dataclass
class Shop:
    platform: Platform
    tenant: Any
    host: str

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.platform.envoy_port}"

    def browser(self, **headers: str) -> httpx.AsyncClient:
        """That keeps cookies, and says by itself what browsers say."""
        headers = {**HTML, "host": self.host, "origin": self.url, **headers}
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.platform.envoy_port}", headers=headers)


@pytest.fixture(scope="module")
async def shop(platform: Platform) -> AsyncIterator[Shop]:
    tenant = await platform.create("pages", region_id="eu", display_name="Brass & Wick")
    sold: list[dict[str, Any]] = [
        {"handle": f"lantern-{n}", "title": f"Lantern No. {n}", "variants": [variant(f"LANTERN-{n}", 10 + n)]}
        for n in range(26)
    ]
    lamp = {"handle": "lamp", "title": "Brass lamp", "description": "By hand.\n\nIt lasts."}
    sold.append({**lamp, "variants": [_sized("Small", 12), _sized("Large", 20)]})
    for each in sold:
        request = products_pb.CreateProductRequest(product=each)
        await platform.products("eu-1").CreateProduct(request, metadata=of(tenant.id))
    effect = {"type": promotions_pb.PROMOTION_EFFECT_TYPE_PERCENT, "basis_points": 1000}
    promotion = {"display_name": "Welcome", "code": "WELCOME", "effect": effect}
    stub: Any = PromotionServiceStub(platform.channel("eu-1"))
    await stub.CreatePromotion(promotions_pb.CreatePromotionRequest(promotion=promotion), metadata=of(tenant.id))
    await _opened(platform, tenant.id)
    yield Shop(platform, tenant, "pages.center.localhost")


async def _opened(platform: Platform, tenant_id: str) -> None:
    """With some of each in stock, two ways to ship, tax in the prices, and somebody who takes the money."""
    listed = await platform.products("eu-1").ListProducts(
        products_pb.ListProductsRequest(page_size=100), metadata=of(tenant_id)
    )
    received: Any = {"kind": stock_pb.STOCK_MOVEMENT_KIND_RECEIVED, "quantity": 100}
    adjustments = [{"variant_id": each.id, **received} for sold in listed.products for each in sold.variants]
    stock: Any = InventoryServiceStub(platform.channel("eu-1"))
    await stock.AdjustStock(stock_pb.AdjustStockRequest(adjustments=adjustments), metadata=of(tenant_id))
    free: Any = {"currency_code": "EUR", "units": 0}
    fast: Any = {"currency_code": "EUR", "units": 5}
    rates: Any = [
        {"id": "standard", "name": "Standard", "currency_code": "EUR", "rows": [{"price": free}]},
        {"id": "express", "name": "Express", "currency_code": "EUR", "rows": [{"price": fast}]},
    ]
    tax: Any = [{"basis_points": 1900, "name": "VAT"}]
    settings: Any = {"prices_include_tax": True, "tax_rates": tax, "shipping_rates": rates}
    selling: Any = SellingServiceStub(platform.channel("eu-1"))
    await selling.SetSellingSettings(checkout_pb.SetSellingSettingsRequest(settings=settings), metadata=of(tenant_id))
    provider = f"http://127.0.0.1:{ports.PAYMENTS + platform.offset}"
    payments: Any = PaymentServiceStub(platform.channel("eu-1"))
    taken = payments_pb.SetPaymentSettingsRequest(
        settings={"api_base": provider}, secret_key=f"sk_test_{uuid.uuid4().hex}"
    )
    await payments.SetPaymentSettings(taken, metadata=of(tenant_id))


def _sized(title: str, units: int) -> products_pb.Variant:
    made = variant(f"LAMP-{title}", units)
    made.title = title
    return made


async def test_pages_are_pages_through_envoy(shop: Shop) -> None:
    async with shop.browser() as browser:
        home = await browser.get("/?utm_source=letter")
        assert (home.status_code, home.headers["content-type"]) == (200, "text/html; charset=utf-8")
        policy = home.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "script" not in policy
        assert home.headers["x-content-type-options"] == "nosniff"
        assert home.headers["referrer-policy"] == "same-origin" and home.headers["cache-control"] == "no-store"
        assert "x-center-http-status" not in home.headers
        style = home.text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
        css = await browser.get(style)
        assert (css.status_code, css.headers["content-type"]) == (200, "text/css; charset=utf-8")
        assert "immutable" in css.headers["cache-control"] and "--accent-on-dark" in css.text
        older = await browser.get(style.replace(style[-20:-4], "0" * 16))
        assert older.headers["cache-control"] == "no-cache" and older.text == css.text

        following = home.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        second = await browser.get(following)
        handles = [page.text.count('<li class="card">') for page in (home, second)]
        assert handles == [24, 3]
        found = await browser.get("/", params={"q": "brass"})
        assert "Brass lamp" in found.text and "Lantern" not in found.text
        assert (await browser.get("/", params={"page": "none"})).text.count('<li class="card">') == 24

        missing = await browser.get("/products/nothing")
        assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "Not here any more" in missing.text and "Brass &amp; Wick" in missing.text
        program = await browser.get("/products/nothing", headers={"accept": "application/json"})
        assert program.status_code == 404 and program.json()["details"][0]["reason"] == "PRODUCT_NOT_FOUND"


async def test_what_answers_get_answers_head_without_a_body(shop: Shop) -> None:
    async with shop.browser() as browser:
        style = (await browser.get("/")).text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]
        paths = ["/", "/?q=brass", "/products/lamp", "/products/nothing", "/cart", "/account", style, "/v1/products"]
        for path in paths:
            got = await browser.get(path)
            # One connection for all: a body that came all the same would be taken for the next answer.
            told = await browser.head(path)
            assert told.status_code == got.status_code, path
            assert told.content == b"" and told.headers["content-type"] == got.headers["content-type"], path
            assert int(told.headers["content-length"]) == len(got.content), path
            assert told.headers.get("cache-control") == got.headers.get("cache-control"), path
            assert told.headers.get("location") == got.headers.get("location"), path
        refused = await browser.head("/cart/add")
        assert refused.status_code in (404, 405), refused.status_code


async def test_a_form_leads_on_and_comes_from_the_shop_alone(shop: Shop) -> None:
    async with shop.browser() as browser:
        [lamp] = (
            await shop.platform.products("eu-1").ListProducts(
                products_pb.ListProductsRequest(filter='handle = "lamp"'), metadata=of(shop.tenant.id)
            )
        ).products
        form = {"product": "lamp", "variant": lamp.variants[1].id, "quantity": "2", "request_id": str(uuid.uuid4())}
        for origin in ("http://evil.example", f"http://evil.{shop.platform.zone}:{shop.platform.envoy_port}"):
            refused = await browser.post("/cart/add", data=form, headers={"origin": origin, "x-center-host": "evil"})
            assert refused.status_code == 403 and "did not come from here" in refused.text
        assert not browser.cookies
        added = await browser.post("/cart/add", data=form)
        assert (added.status_code, added.headers["location"]) == (303, "/cart")
        assert "HttpOnly; SameSite=Lax" in added.headers["set-cookie"]
        await browser.post("/cart/add", data=form)
        cart = await browser.get("/cart")
        assert "2 x 20.50 EUR = 41.00 EUR" in cart.text
        wrong = await browser.post("/cart/add", data={**form, "quantity": "none"})
        assert wrong.status_code == 422 and 'aria-invalid="true"' in wrong.text


async def test_a_shop_that_is_closed_says_so_on_its_pages(shop: Shop) -> None:
    platform, tenants = shop.platform, shop.platform.tenants
    closing = await platform.create("pages-closed", region_id="eu", display_name="Closing down")
    host = "pages-closed.center.localhost"

    async def mode(mode: Any) -> None:
        request = tenant_service_pb2.SetTenantModeRequest(id=closing.id, mode=mode, reason="a test")
        await tenants.SetTenantMode(request)
        await platform.applied()

    async with Shop(platform, closing, host).browser() as browser:
        await mode(tenant_pb2.TENANT_MODE_READ_ONLY)
        looked = await browser.get("/cart")
        assert looked.status_code == 200 and "can only be looked at" in looked.text
        refused = await browser.post("/cart/add", data={"product": "x"})
        assert (refused.status_code, refused.headers["content-type"]) == (503, "text/html; charset=utf-8")
        assert "read but not changed" in refused.text
        await mode(tenant_pb2.TENANT_MODE_MAINTENANCE)
        kept = await browser.get("/")
        assert kept.status_code == 503 and "Back in a moment" in kept.text and "retry-after" in kept.headers
        await mode(tenant_pb2.TENANT_MODE_NORMAL)
        assert (await browser.get("/")).status_code == 200


async def test_a_shopper_finds_a_product_and_fills_a_cart(shop: Shop) -> None:
    said(shop.platform, "storefront", "set", "pages", "--tagline", "Light for long evenings", "--accent", "#8a3a12")
    async with browsing() as context:
        page = await context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
        await page.goto(shop.url)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Light for long evenings")
        assert await barriers(page) == []
        await page.get_by_label("Search products").fill("brass")
        await page.get_by_role("button", name="Search").click()
        await page.get_by_role("link", name="Brass lamp").click()
        await page.get_by_label("Large").check()
        await page.get_by_label("Quantity").fill("2")
        assert await barriers(page) == []
        await page.get_by_role("button", name="Add to cart").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Your cart")
        await expect(page.get_by_role("link", name="Cart 2 items", exact=True)).to_be_visible()
        await page.get_by_label("Quantity of Brass lamp").fill("3")
        await page.get_by_role("button", name="Update the quantity of Brass lamp").click()
        await page.get_by_label("Discount code").fill("welcome")
        await page.get_by_role("button", name="Apply").click()
        await expect(page.locator(".total dd")).to_have_text("55.35 EUR")
        assert await barriers(page) == []
        await page.get_by_role("link", name="Check out").click()
        assert await barriers(page) == []
        for label, value in DETAILS.items():
            await page.get_by_label(label).fill(value)
        # What the browser itself would not let through.
        await page.evaluate("document.querySelector('main form').noValidate = true")
        await page.get_by_label("E-mail").fill("nobody")
        await page.get_by_label("Country").select_option("GB")
        await page.get_by_role("button", name="Go on to shipping").click()
        await expect(page.get_by_label("E-mail")).to_have_attribute("aria-describedby", "email-mistake")
        assert await barriers(page) == []
        await page.get_by_label("E-mail").fill(DETAILS["E-mail"])
        await page.get_by_role("button", name="Go on to shipping").click()
        await page.get_by_label("Express").check()
        assert await barriers(page) == []
        await page.get_by_role("button", name="Go on to payment").click()
        await page.get_by_label("Payment token").fill("pm_card_visa_chargeDeclined")
        assert await barriers(page) == []
        await page.get_by_role("button", name="Pay 60.35 EUR").click()
        await expect(page.get_by_role("alert")).to_contain_text("declined")
        await page.goto(f"{shop.url}/cart")
        await page.get_by_role("link", name="Look at your order").click()
        await page.get_by_label("Payment token").fill("pm_card_visa")
        await page.get_by_role("button", name="Pay 60.35 EUR").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Thank you for your order")
        await expect(page.locator(".given")).to_contain_text("Ada Lovelace")
        await expect(page.locator(".total dd")).to_have_text("60.35 EUR")
        assert await barriers(page) == []
        order = page.url
        assert not [each for each in await context.cookies() if each["name"] == "cart"]
        for other in (order[:-1] + ("0" if order[-1] != "0" else "1"), order.partition("?")[0]):
            assert (await page.goto(other)).status == 404  # type: ignore[union-attr]
        assert (await page.goto(order)).status == 200  # type: ignore[union-attr]
        await page.goto(f"{shop.url}/products/nothing")
        assert await barriers(page) == []
        assert not faults


async def test_a_shopper_goes_by_category_and_sees_what_is_sold_out(shop: Shop) -> None:
    channel = shop.platform.channel("eu-1")
    ways: Any = MerchandisingServiceStub(channel)
    about: Any = {"handle": "lamp-shade", "title": "Lamp shade", "variants": [_sized("Paper", 5), _sized("Silk", 9)]}
    shade = (
        await shop.platform.products("eu-1").CreateProduct(
            products_pb.CreateProductRequest(product=about), metadata=of(shop.tenant.id)
        )
    ).product
    made = merchandising_pb.CreateCategoryRequest(category={"title": "Shades & bulbs", "handle": "shades"})
    category = (await ways.CreateCategory(made, metadata=of(shop.tenant.id))).category
    placed = merchandising_pb.SetProductCategoriesRequest(product_id=shade.id, category_ids=[category.id])
    await ways.SetProductCategories(placed, metadata=of(shop.tenant.id))
    async with browsing() as context:
        page = await context.new_page()
        await page.goto(shop.url)
        await page.get_by_role("link", name="All categories").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("All categories")
        assert await barriers(page) == []
        await page.get_by_role("main").get_by_role("link", name="Shades & bulbs").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Shades & bulbs")
        await expect(page.locator(".card")).to_contain_text("Sold out")
        assert await barriers(page) == []
        await page.get_by_role("link", name="Lamp shade").click()
        await expect(page.get_by_role("status")).to_have_text("This is sold out. Please come back another day.")
        await expect(page.get_by_label("Silk")).to_be_disabled()
        assert await barriers(page) == []
        received: Any = {"kind": stock_pb.STOCK_MOVEMENT_KIND_RECEIVED, "quantity": 2}
        adjustments = [{"variant_id": shade.variants[1].id, **received}]
        stock: Any = InventoryServiceStub(channel)
        await stock.AdjustStock(stock_pb.AdjustStockRequest(adjustments=adjustments), metadata=of(shop.tenant.id))
        await page.reload()
        await expect(page.get_by_label("Silk")).to_be_checked()
        await expect(page.get_by_text("Only 2 left")).to_be_visible()
        assert await barriers(page) == []
        await page.goto(f"{shop.url}/account/invitation?token=none")
        await expect(page.get_by_label("Password")).to_be_visible()
        assert await barriers(page) == []
        answer = await page.goto(f"{shop.url}/categories/none")
        assert answer is not None and answer.status == 404
        assert await barriers(page) == []


async def test_a_shopper_becomes_a_customer(shop: Shop) -> None:
    async with browsing() as context:
        page = await context.new_page()
        await page.goto(f"{shop.url}/products/lamp")
        await page.get_by_label("Small").check()
        await page.get_by_role("button", name="Add to cart").click()
        await page.get_by_role("link", name="Sign in").click()
        await page.get_by_label("E-mail").fill("ada@mail.example")
        await page.get_by_label("Password").fill("difference-engine")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_have_text("This e-mail and this password do not belong together.")
        assert await barriers(page) == []
        await page.get_by_role("link", name="Forgot your password?").click()
        assert await barriers(page) == []
        await page.goto(f"{shop.url}/account/password?token=none")
        await page.get_by_label("New password").fill("analytical-engine")
        await page.get_by_role("button", name="Set the password").click()
        await expect(page.get_by_role("alert")).to_contain_text("This link is too old")
        assert await barriers(page) == []
        await page.goto(f"{shop.url}/account/register")
        assert await barriers(page) == []
        await page.get_by_label("Name").fill("Ada Lovelace")
        await page.get_by_label("E-mail").fill("ada@mail.example")
        await page.get_by_label("Password").fill("difference-engine")
        await page.get_by_role("button", name="Make an account").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Ada Lovelace")
        # Both cookies came with the one answer: the session, and the cart that is hers now.
        await expect(page.get_by_role("link", name="Cart 1 item", exact=True)).to_be_visible()
        assert {each["name"] for each in await context.cookies()} == {"session", "cart"}
        assert await barriers(page) == []
        await page.get_by_role("button", name="Sign out", exact=True).click()
        await expect(page.get_by_role("link", name="Sign in")).to_be_visible()
        assert not await context.cookies()
