"""StorefrontService on a real server and PostgreSQL: forms, whose they are, and what comes of them; and themes."""

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import grpc
import psycopg
import pytest

from center.control.v1 import tenant_pb2
from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1 import storefront_service_pb2 as pb
from center.dataplane.v1 import storefront_settings_service_pb2 as settings_pb
from center.dataplane.v1.cart_service_pb2_grpc import CartServiceStub
from center.dataplane.v1.storefront_service_pb2_grpc import StorefrontServiceStub
from center.dataplane.v1.storefront_settings_service_pb2_grpc import StorefrontSettingsServiceStub
from dataplane.orders import ops as order_ops
from dataplane.storefront import assets, domain
from tests.dataplane import orders
from tests.dataplane.cluster import Running, bearer, create, entry, of, product, variant
from tests.support.grpc import refuses

FORM = "application/x-www-form-urlencoded"
HOST = "lamps.example"


@dataclass
class Answer:
    """status: as the edge makes it of what the cluster says."""

    status: int
    headers: list[tuple[str, str]]
    text: str

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


@dataclass
class Browser:
    """As Envoy calls for a shopper's browser, which keeps the cookies that it gets."""

    running: Running
    tenant: str
    host: str = HOST
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, name: str, request: Any) -> Answer:
        return await self._ask(name, request, ())

    async def post(self, action: str, *, origin: str = f"http://{HOST}:8080", kind: str = FORM, **form: str) -> Answer:
        body = {"content_type": kind, "data": urlencode(form).encode()}
        more = (("origin", origin),) if origin else ()
        return await self._ask("SubmitCart", pb.SubmitCartRequest(action=action, form=body), more)

    async def _ask(self, name: str, request: Any, more: tuple[tuple[str, str], ...]) -> Answer:
        cookie = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        metadata = of(self.tenant, ("x-center-host", self.host), ("cookie", cookie), *more)
        call = getattr(StorefrontServiceStub(self.running.channel("envoy")), name)(request, metadata=metadata)
        body = await call
        headers = [(key, str(value)) for key, value in await call.initial_metadata()]
        for key, value in headers:
            if key == "set-cookie":
                named, _, _ = value.partition(";")
                self.cookies.update([named.split("=")])  # type: ignore[list-item]
        status = next((int(value) for key, value in headers if key == "x-center-http-status"), 200)
        return Answer(status, headers, body.data.decode())

    async def cart(self) -> carts_pb.Cart:
        stub = CartServiceStub(self.running.channel("envoy"))
        request = carts_pb.GetCartRequest(id=self.cookies["cart"])
        return (await stub.GetCart(request, metadata=of(self.tenant))).cart


@pytest.fixture
def browser(eu: Running, tenant: str) -> Browser:
    return Browser(eu, tenant)


@pytest.fixture
async def lamp(eu: Running, tenant: str) -> products_pb.Product:
    [made] = await create(eu, tenant, product("lamp", variants=[variant("lamp-s"), variant("lamp-l", 20)]))
    return made


def adding(lamp: products_pb.Product, **more: str) -> dict[str, str]:
    return {"product": "lamp", "variant": lamp.variants[0].id, "quantity": "2", "request_id": str(uuid.uuid4()), **more}


async def test_a_form_sent_twice_has_one_effect_and_another_has_its_own(
    browser: Browser, lamp: products_pb.Product
) -> None:
    form = adding(lamp)
    first = await browser.post("add", **form)
    assert (first.status, first.header("location")) == (303, "/cart")
    cart_id = browser.cookies["cart"]
    # The second press of the button, before the cookie came, and after.
    browser.cookies.clear()
    await browser.post("add", **form)
    await browser.post("add", **form)
    assert browser.cookies["cart"] == cart_id
    assert [line.quantity for line in (await browser.cart()).lines] == [2]
    again = adding(lamp)
    for _ in range(2):
        await browser.post("add", **again)
    assert [line.quantity for line in (await browser.cart()).lines] == [4]
    # Who goes back to a form and fills it in otherwise means another thing.
    await browser.post("add", **{**again, "quantity": "5"})
    assert [line.quantity for line in (await browser.cart()).lines] == [9]


@pytest.mark.parametrize(
    "origin",
    ["", "null", "http://evil.example", f"http://{HOST}.evil.example", "http://other.example@evil", "http://["],
)
async def test_a_form_of_another_site_is_refused(browser: Browser, lamp: products_pb.Product, origin: str) -> None:
    async with refuses("PERMISSION_DENIED", "FORM_OF_ANOTHER_SITE"):
        await browser.post("add", origin=origin, **adding(lamp))
    with psycopg.connect(browser.running.database_url) as owner:
        assert owner.execute("SELECT count(*) FROM carts WHERE tenant_id = %s", (browser.tenant,)).fetchone() == (0,)


async def test_a_referer_says_it_where_there_is_no_origin(browser: Browser, lamp: products_pb.Product) -> None:
    request = pb.SubmitCartRequest(action="add", form={"content_type": FORM, "data": urlencode(adding(lamp)).encode()})
    assert (await browser._ask("SubmitCart", request, (("referer", f"https://{HOST}/products/lamp"),))).status == 303


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data", "text/plain"])
async def test_only_a_form_is_a_form(browser: Browser, lamp: products_pb.Product, kind: str) -> None:
    async with refuses("INVALID_ARGUMENT", "FORM_MALFORMED"):
        await browser.post("add", kind=kind, **adding(lamp))


async def test_what_is_wrong_is_said_beside_the_field_and_nothing_is_lost(
    browser: Browser, lamp: products_pb.Product
) -> None:
    for quantity in ("0", "-1", "1.5", "10001", "many", "", "9" * 5000):
        shown = await browser.post("add", **adding(lamp, quantity=quantity))
        assert shown.status == 422, quantity
        assert 'id="quantity-mistake"' in shown.text and 'aria-describedby="quantity-mistake"' in shown.text
    shown = await browser.post("add", **adding(lamp, variant=str(uuid.uuid4())))
    assert shown.status == 422 and 'id="variant-mistake"' in shown.text
    assert "cart" not in browser.cookies
    await browser.post("add", **adding(lamp))
    [line] = (await browser.cart()).lines
    shown = await browser.post("set", line=line.id, quantity="<b>x</b>")
    assert shown.status == 422 and f'aria-describedby="{line.id}-mistake"' in shown.text
    assert "&lt;b&gt;x&lt;/b&gt;" in shown.text and "<b>x" not in shown.text
    shown = await browser.post("apply-code", code="   ")
    assert shown.status == 422 and 'aria-describedby="code-mistake"' in shown.text
    assert (await browser.cart()).lines[0].quantity == 2


async def test_a_cart_from_its_first_line_to_its_last(browser: Browser, lamp: products_pb.Product) -> None:
    await browser.post("add", **adding(lamp))
    [line] = (await browser.cart()).lines
    assert (await browser.post("set", line=line.id, quantity="3")).status == 303
    assert (await browser.post("apply-code", code=" Summer ")).status == 303
    shown = await browser.get("GetCartPage", pb.GetCartPageRequest())
    assert "37.50 EUR" in shown.text and "The shop has no such code" in shown.text
    assert (await browser.post("remove-code", code="summer")).status == 303
    assert (await browser.post("remove", line=line.id)).status == 303
    # What is gone is as it was wanted.
    assert (await browser.post("remove", line=line.id)).status == 303
    assert "There is nothing in it yet" in (await browser.get("GetCartPage", pb.GetCartPageRequest())).text
    async with refuses("NOT_FOUND", "PAGE_NOT_FOUND"):
        await browser.post("burn")


async def test_a_cart_that_is_used_up_is_followed_by_another(browser: Browser, lamp: products_pb.Product) -> None:
    for spoil in (
        "UPDATE carts SET state = 'COMPLETED', complete_time = now(), order_id = gen_random_uuid() WHERE id = %s",
        "UPDATE carts SET id = gen_random_uuid() WHERE id = %s AND line_count = 0",
    ):
        browser.cookies["cart"] = str(uuid.uuid4())
        await browser.post("add", **adding(lamp))
        before = browser.cookies["cart"]
        [line] = (await browser.cart()).lines
        await browser.post("remove", line=line.id)
        with psycopg.connect(browser.running.database_url) as owner:
            assert owner.execute(spoil, (before,)).rowcount == 1
        shown = await browser.get("GetCartPage", pb.GetCartPageRequest())
        # The order that it became may still be to be paid.
        assert ("Look at your order" in shown.text) is ("COMPLETED" in spoil)
        assert ("Max-Age=0" in shown.header("set-cookie")) is ("COMPLETED" not in spoil)
        browser.cookies["cart"] = before
        assert (await browser.post("add", **adding(lamp))).status == 303
        assert browser.cookies["cart"] != before and (await browser.cart()).lines[0].quantity == 2


async def test_the_cookie_is_the_shops_alone_and_no_script_reads_it(
    browser: Browser, lamp: products_pb.Product
) -> None:
    cookie = (await browser.post("add", **adding(lamp))).header("set-cookie")
    assert re.fullmatch(r"cart=[0-9a-f-]{36}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax", cookie)


async def test_shoppers_see_no_draft_whatever_their_browser_brings(browser: Browser) -> None:
    draft = product("secret", title="Secret lamp", status=products_pb.PRODUCT_STATUS_DRAFT)
    await create(browser.running, browser.tenant, draft)
    stub: Any = StorefrontServiceStub(browser.running.channel("envoy"))
    metadata = of(browser.tenant, bearer(browser.running.home, browser.tenant))
    home = await stub.GetHomePage(pb.GetHomePageRequest(), metadata=metadata)
    assert b"Secret" not in home.data
    async with refuses("NOT_FOUND", "PRODUCT_NOT_FOUND"):
        await stub.GetProductPage(pb.GetProductPageRequest(handle="secret"), metadata=metadata)


async def test_what_a_merchant_writes_is_text(browser: Browser) -> None:
    evil = "<script>alert(1)</script>\"'&"
    [made] = await create(browser.running, browser.tenant, product("evil", title=evil, description=evil))
    stub: Any = StorefrontSettingsServiceStub(browser.running.channel("operator"))
    theme = {"title": evil, "logo_text": evil, "tagline": evil}
    await stub.SetTheme(settings_pb.SetThemeRequest(theme=theme), metadata=of(browser.tenant))
    await browser.post("add", product="evil", variant=made.variants[0].id, quantity="1")
    for name, request in (
        ("GetHomePage", pb.GetHomePageRequest(q=evil)),
        ("GetHomePage", pb.GetHomePageRequest()),
        ("GetProductPage", pb.GetProductPageRequest(handle="evil")),
        ("GetCartPage", pb.GetCartPageRequest()),
    ):
        shown = await browser.get(name, request)
        assert "<script" not in shown.text and "&lt;script&gt;" in shown.text
        assert "script-src" not in shown.header("content-security-policy")
        assert "default-src 'none'" in shown.header("content-security-policy")
        assert shown.header("cache-control") == "no-store"


async def test_a_read_only_shop_says_why_its_cart_stays_as_it_is(browser: Browser, lamp: products_pb.Product) -> None:
    await browser.post("add", **adding(lamp))
    [line] = (await browser.cart()).lines
    await browser.running.apply(entry(browser.tenant, mode=tenant_pb2.TENANT_MODE_READ_ONLY))
    shown = await browser.get("GetCartPage", pb.GetCartPageRequest())
    assert "can only be looked at for now" in shown.text
    assert 'class="link" disabled' in shown.text
    refused = StorefrontServiceStub(browser.running.channel("envoy")).SubmitCart(
        pb.SubmitCartRequest(action="remove", form={"content_type": FORM, "data": f"line={line.id}".encode()}),
        metadata=of(browser.tenant, ("accept", "text/html"), ("x-center-host", HOST), ("origin", f"http://{HOST}")),
    )
    headers = {key: str(value) for key, value in await refused.initial_metadata()}
    assert headers["x-center-http-status"] == "503"
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await refused
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_an_order_is_shown_to_who_knows_its_cart_and_to_nobody_else(browser: Browser) -> None:
    db, now, cart_id = browser.running.database("center_app"), datetime.now(UTC), str(uuid.uuid4())
    of_a_cart = orders.order(orders.line(product_title="Brass lamp"), cart_id=cart_id)
    imported = orders.order(orders.line())
    for new in (of_a_cart, imported):
        async with db.transaction(browser.tenant) as tx:
            await order_ops.create(tx, browser.tenant, new, now=now)
    await db.close()
    shown = await browser.get("GetOrderPage", pb.GetOrderPageRequest(id=of_a_cart.id, key=cart_id.upper()))
    assert "Brass lamp" in shown.text and "waiting for its payment" in shown.text
    for order_id, key in (
        (of_a_cart.id, ""),
        (of_a_cart.id, str(uuid.uuid4())),
        (of_a_cart.id, cart_id[:-1]),
        (imported.id, ""),
        (imported.id, cart_id),
        ("none", cart_id),
        (str(uuid.uuid4()), cart_id),
    ):
        async with refuses("NOT_FOUND", "ORDER_NOT_FOUND"):
            await browser.get("GetOrderPage", pb.GetOrderPageRequest(id=order_id, key=key))


# Themes


async def test_a_theme_is_set_kept_and_told_in_the_audit(eu: Running, tenant: str, browser: Browser) -> None:
    stub: Any = StorefrontSettingsServiceStub(eu.channel("operator"))

    async def change(etag: str = "", request_id: str = "", **theme: str) -> settings_pb.StorefrontTheme:
        request = settings_pb.SetThemeRequest(theme={"etag": etag, **theme}, request_id=request_id)
        found: settings_pb.StorefrontTheme = (await stub.SetTheme(request, metadata=of(tenant))).theme
        return found

    assert not (await stub.GetTheme(settings_pb.GetThemeRequest(), metadata=of(tenant))).theme.etag
    once = str(uuid.uuid4())
    first = await change(title="Lamps & Co", tagline="Light", accent_color="#8A3A12", request_id=once)
    assert (first.accent_color, first.etag) == ("#8a3a12", "1")
    assert await change(title="Lamps & Co", tagline="Light", accent_color="#8A3A12", request_id=once) == first
    assert (await change(title="Lamps & Co", tagline="Light", accent_color="#8a3a12")).etag == "1"
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await change(etag="7", title="Other")
    async with refuses("INVALID_ARGUMENT", "ACCENT_TOO_PALE") as pale:
        await change(accent_color="#ffd400")
    assert list(pale.violations) == ["theme.accent_color"]
    home = await browser.get("GetHomePage", pb.GetHomePageRequest())
    assert "<h1>Light</h1>" in home.text and "Lamps &amp; Co" in home.text and "shop-8a3a12-" in home.text
    with psycopg.connect(eu.database_url) as owner:
        entries = owner.execute(
            "SELECT changes FROM audit_entries WHERE tenant_id = %s AND resource = 'storefront_theme'", (tenant,)
        ).fetchall()
    assert len(entries) == 1 and ["title", "", "Lamps & Co"] in entries[0][0]


@pytest.mark.parametrize("accent", ["#1d4ed8", "#8a3a12", "#000000", "#b00020", "#006644", "#5b21b6"])
def test_text_in_the_accent_stands_out_from_light_pages_and_dark(accent: str) -> None:
    theme = domain.set_theme(domain.Theme(), domain.Theme(accent_color=accent), etag="", tenant_id="", now=NOW)
    assert domain.contrast(theme.accent_color, domain.LIGHT) >= domain.LEAST_CONTRAST
    assert domain.contrast(domain.lightened(accent), domain.DARK) >= domain.LEAST_CONTRAST
    assert domain.contrast("#ffffff", accent) >= domain.LEAST_CONTRAST


NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_contrast_is_as_the_standard_has_it() -> None:
    assert round(domain.contrast("#000000", "#ffffff"), 2) == 21
    assert round(domain.contrast("#777777", "#ffffff"), 2) == 4.48
    assert domain.contrast("#123456", "#123456") == 1


def test_a_files_name_is_its_content() -> None:
    names = assets.dress("#8a3a12")
    for name in (names.style, names.icon):
        found = assets.find(name)
        assert found is not None and found[1] and b"#8a3a12" in found[0].data
        older = name.replace(name[-20:-4], "0" * 16)
        assert (known := assets.find(older)) is not None and not known[1]
    assert assets.dress("#8a3a13") != names
    for name in ("", "shop-8a3a12-0000000000000000.svg", "shop-8a3a1;-0000000000000000.css", "../storefront.css"):
        assert assets.find(name) is None
