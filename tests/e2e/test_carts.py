"""A shopper's cart at the shop's domain, as JSON through Envoy, and what the shop's people see of it."""

import json

import pytest

from tests.e2e.test_cli import said
from tests.edge.web import Api
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e


async def test_a_shopper_fills_a_cart_through_envoy(platform: Platform) -> None:
    tenant = await platform.create("carts", region_id="eu")
    token = await platform.token(tenant.id)
    shopper = platform.shopper()
    api = Api(shopper, "carts.center.localhost")
    send, ok = api.send, api.ok

    price = {"currencyCode": "EUR", "units": 12, "nanos": 500_000_000}
    new = {"title": "Lamp", "variants": [{"sku": "LAMP", "price": price}]}
    lamp = (await ok("POST", "/v1/backoffice/products", authorization=token, product=new))["product"]["variants"][0][
        "id"
    ]
    cart = (await ok("POST", "/v1/carts", currencyCode="EUR"))["cart"]
    at = f"/v1/carts/{cart['id']}"
    other = (await ok("POST", "/v1/carts", currencyCode="EUR"))["cart"]["id"]
    added = await ok("POST", f"{at}/lines", variantId=lamp, quantity=2, options=[{"name": "wrap", "value": "red"}])
    [line] = added["cart"]["lines"]
    await ok("PATCH", f"{at}/lines/{line['id']}", quantity=3)
    await ok("PUT", f"{at}/email", email="ada@mail.example")
    address = {"name": "Ada", "lines": ["Square 12"], "postalCode": "1", "city": "London", "countryCode": "GB"}
    await ok("PUT", f"{at}/address", address=address)
    await ok("POST", f"{at}/codes", code="ten")
    await ok("DELETE", f"{at}/codes?code=TEN")
    cart = (await ok("GET", at))["cart"]
    assert cart["lines"][0]["explanation"] == "3 x 12.50 EUR = 37.50 EUR"
    assert cart["total"] == {"currencyCode": "EUR", "units": "37", "nanos": 500_000_000}
    assert (cart["email"], cart["address"], cart["codes"]) == ("ada@mail.example", address, [])

    status, refused = await send("POST", f"{at}/lines", variantId=lamp, quantity=10_001)
    assert status == 400 and "quantity" in json.dumps(refused)
    status, refused = await send("GET", "/v1/backoffice/carts")
    assert status == 403, refused
    assert {each["id"] for each in (await ok("GET", "/v1/backoffice/carts", authorization=token))["carts"]} == {
        cart["id"],
        other,
    }

    assert {each["id"] for each in said(platform, "carts", "list", "carts")["carts"]} == {cart["id"], other}
    assert said(platform, "carts", "show", "carts", cart["id"])["line_count"] == "1"
    shown = platform.center("carts", "show", "carts", cart["id"])
    assert shown.returncode == 0 and "37.50 EUR" in shown.stdout and "LAMP" in shown.stdout, shown.stderr

    merged = (await ok("POST", f"{at}:merge", intoCartId=other))["cart"]
    assert merged["id"] == other and merged["lines"][0]["quantity"] == "3"
    status, refused = await send("GET", at)
    assert status == 404 and "CART_NOT_FOUND" in json.dumps(refused)
    await ok("DELETE", f"/v1/carts/{other}/lines/{merged['lines'][0]['id']}")
    await ok("DELETE", f"/v1/carts/{other}")
