"""The OpenAPI descriptions at a shop's domain, and what they say of bodies held against what comes back."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.json_schema import accepts
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e

HOST = "described.center.localhost"
VARIANT = {"sku": "lamp-1", "price": {"currencyCode": "EUR", "units": "12"}}
# What merchants and shoppers send; each is right or wrong by itself, whatever the shop has.
BODIES: Mapping[tuple[str, str], list[Any]] = {
    ("storefront", "/v1/carts"): [
        {"currencyCode": "EUR"},
        {"currencyCode": "EUR", "colour": "red"},
        {"currencyCode": "EUR", "requestId": ""},
        {"currencyCode": "euro"},
        {"currencyCode": "EUR", "requestId": "again"},
        {},
    ],
    ("backoffice", "/v1/backoffice/products"): [
        {"product": {"title": "Lamp", "variants": [VARIANT]}},
        {"product": {"title": "Lamp", "handle": "no spaces", "variants": [VARIANT]}},
        {"product": {"title": "x" * 301}},
        {"product": {"title": "Lamp", "variants": [{"sku": "lamp-2"}]}},
        {"product": {"title": "Lamp", "variants": [{**VARIANT, "sku": ""}]}},
        {"product": {"title": "Lamp", "status": "PRODUCT_STATUS_GONE"}},
        {"product": {"title": 7}},
        {"title": "Lamp"},
    ],
    ("backoffice", "/v1/backoffice/reservations:reserve"): [
        {"lines": []},
        {"lines": [{"quantity": 0}]},
    ],
}


async def test_a_shops_domain_describes_itself(platform: Platform) -> None:
    shop = await platform.create("described")
    token = await platform.token(shop.id)
    shopper = platform.shopper()
    answer = await shopper.get(HOST, "/v1/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    again = await shopper.get(HOST, "/v1/openapi.json", if_none_match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert (await shopper.get(HOST, "/v1/backoffice/openapi.json")).status == 403
    merchants = await shopper.get(HOST, "/v1/backoffice/openapi.json", authorization=token)
    assert merchants.status == 200
    documents = {"storefront": json.loads(answer.body), "backoffice": json.loads(merchants.body)}
    for (name, path), bodies in BODIES.items():
        document = documents[name]
        schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        for body in bodies:
            taken = await shopper.send("POST", HOST, path, json.dumps(body).encode(), authorization=token)
            assert (taken.status == 200) == accepts(schema, body, document), (path, body, taken.body)
            assert taken.status in (200, 400) and "x-request-id" in taken.headers
            status = document["components"]["schemas"]["google.rpc.Status"]
            assert taken.status == 200 or accepts(status, json.loads(taken.body), document)
    await shopper.close()
