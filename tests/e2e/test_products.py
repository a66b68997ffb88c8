"""A shop's products as a file, and its categories and search as JSON at its own domain."""

import json
from pathlib import Path
from typing import Any

import pytest

from center.dataplane.v1 import product_service_pb2 as products_pb
from tests.dataplane.cluster import of
from tests.dataplane.test_products_csv import odd
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e


async def test_the_file_of_a_shop_is_that_of_another(platform: Platform, tmp_path: Path) -> None:
    for code in ("csv-one", "csv-two"):
        shop = await platform.create(code)
        if code == "csv-one":
            stub = platform.products(shop.placement.cluster_id)
            for product in odd():
                await stub.CreateProduct(products_pb.CreateProductRequest(product=product), metadata=of(shop.id))
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    for command in (
        ("export", "csv-one", str(first)),
        ("import", "csv-two", str(first)),
        ("export", "csv-two", str(second)),
    ):
        done = platform.center("products", *command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert first.read_bytes() == second.read_bytes()
    again = platform.center("products", "import", "csv-one", str(first))
    assert f"{len(odd())} unchanged" in again.stdout, again.stdout + again.stderr
    second.write_text("handle\n")
    wrong = platform.center("products", "import", "csv-two", str(second))
    assert wrong.returncode == 1 and "line 1: no column" in wrong.stderr, wrong.stderr


async def test_a_shopper_browses_by_category_as_json(platform: Platform) -> None:
    shop = await platform.create("shelves")
    host, token = "shelves.center.localhost", await platform.token(shop.id)
    shopper = platform.shopper()

    async def ask(method: str, path: str, body: object = None) -> Any:
        """As the shop's own people where it changes something."""
        sent = b"" if body is None else json.dumps(body).encode()
        own = {} if body is None else {"authorization": token}
        answer = await shopper.send(method, host, path, sent, **own)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    price = {"currencyCode": "EUR", "units": "5"}
    new = {"product": {"title": "A lamp", "variants": [{"sku": "LAMP", "price": price}]}}
    made = (await ask("POST", "/v1/backoffice/products", new))["product"]
    category = (await ask("POST", "/v1/backoffice/categories", {"category": {"title": "Lamps"}}))["category"]
    await ask("PUT", f"/v1/backoffice/products/{made['id']}/categories", {"categoryIds": [category["id"]]})
    assert (await ask("GET", "/v1/products/by-handle/a-lamp"))["product"]["id"] == made["id"]
    assert (await ask("GET", "/v1/categories/lamps"))["category"] == category
    asked = f"categoryId={category['id']}&currencyCode=EUR&maxPrice.currencyCode=EUR&maxPrice.units=9&facets=true"
    found = await ask("GET", f"/v1/products:search?{asked}&sort=PRODUCT_SORT_PRICE")
    assert [each["handle"] for each in found["products"]] == ["a-lamp"]
    assert found["facets"]["categories"][0]["title"] == "Lamps"
    await shopper.close()
