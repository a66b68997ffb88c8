"""A shopper becomes a customer at the shop's domain, as JSON through Envoy, and what the shop's people see of them."""

import json

import pytest

from tests.e2e.test_cli import said
from tests.edge.web import Api
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e

EMAIL, PASSWORD = "ada@mail.example", "difference-engine"


async def test_a_customer_registers_and_is_forgotten_through_envoy(platform: Platform) -> None:
    tenant = await platform.create("customers", region_id="eu")
    token = await platform.token(tenant.id)
    shopper = platform.shopper()
    api = Api(shopper, "customers.center.localhost")
    send, ok = api.send, api.ok

    made = await ok("POST", "/v1/customers", email=EMAIL, password=PASSWORD, name="Ada")
    id = made["customer"]["id"]
    status, refused = await send("POST", "/v1/customers:logIn", email=EMAIL, password="wrong")
    assert status == 401 and "LOGIN_FAILED" in json.dumps(refused)
    session = (await ok("POST", "/v1/customers:logIn", email=EMAIL, password=PASSWORD))["session"]["token"]
    signed = f"Bearer {session}"
    await ok("PATCH", "/v1/me", authorization=signed, marketingConsent=True)
    address = {"name": "Ada", "lines": ["Square 12"], "postalCode": "1", "city": "London", "countryCode": "GB"}
    at = f"/v1/me/addresses/{(await ok('POST', '/v1/me/addresses', authorization=signed, address=address))['id']}"
    await ok("PUT", at, authorization=signed, address={**address, "city": "Bath"})
    [kept] = (await ok("GET", "/v1/me/addresses", authorization=signed))["addresses"]
    assert (kept["address"]["city"], kept["isDefault"]) == ("Bath", True)
    me = (await ok("GET", "/v1/me", authorization=signed))["customer"]
    assert (me["id"], me["email"], me["name"], me["marketingConsent"]) == (id, EMAIL, "Ada", True)
    cart = (await ok("POST", "/v1/carts", authorization=signed, currencyCode="EUR"))["cart"]
    assert cart["customerId"] == id
    assert (await ok("GET", "/v1/products", authorization=signed))["products"] == []
    status, _ = await send("GET", "/v1/me")
    assert status == 403
    status, refused = await send("GET", "/v1/products", authorization=f"{signed}x")
    assert status == 401 and "SESSION_INVALID" in json.dumps(refused)

    upsert = await ok("POST", "/v1/backoffice/customers:upsert", authorization=token, externalId="1", email=EMAIL)
    assert upsert["customer"]["id"] == id
    for path in (f"/v1/backoffice/customers/{id}", f"/v1/backoffice/customers?email={EMAIL}"):
        status, _ = await send("GET", path, authorization=signed)
        assert status == 403
        assert "Ada" in json.dumps(await ok("GET", path, authorization=token))
    exported = (await ok("GET", "/v1/me:export", authorization=signed))["export"]
    assert exported == (await ok("GET", f"/v1/backoffice/customers/{id}:export", authorization=token))["export"]

    [listed] = said(platform, "customers", "list", "customers")["customers"]
    assert (listed["id"], listed["external_id"]) == (id, "1")
    shown = platform.center("customers", "show", "customers", EMAIL)
    assert shown.returncode == 0 and "Bath" in shown.stdout and "yes, since" in shown.stdout, shown.stderr
    exported = said(platform, "customers", "export", "customers", EMAIL)
    assert exported["cart_ids"] == [cart["id"]]
    erased = platform.center("customers", "erase", "customers", EMAIL, "--reason", "asked for")
    assert erased.returncode == 0 and id in erased.stdout, erased.stderr
    status, refused = await send("GET", "/v1/me", authorization=signed)
    assert status == 401 and "SESSION_ENDED" in json.dumps(refused)
    left = platform.center("customers", "show", "customers", id)
    assert left.returncode == 0 and "ERASED" in left.stdout and "Ada" not in left.stdout, left.stdout
