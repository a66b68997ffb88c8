"""A shop's stock from the command line, and as JSON at its own domain."""

import pytest

from center.dataplane.v1 import product_service_pb2 as products_pb
from tests.dataplane.cluster import of, product
from tests.e2e.test_cli import said
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e


async def test_stock_from_the_command_line(platform: Platform) -> None:
    shop = await platform.create("stock")
    cluster = shop.placement.cluster_id
    request = products_pb.CreateProductRequest(product=product())
    made = (await platform.products(cluster).CreateProduct(request, metadata=of(shop.id))).product
    lamp = made.variants[0].id

    level = said(platform, "stock", "set", "stock", lamp, "25", "--low", "5")
    assert (level["on_hand"], level["available"], level["low_threshold"]) == ("25", "25", "5")
    # Counted once more: what differs is booked, and the settings stay.
    assert said(platform, "stock", "set", "stock", lamp, "24", "--reason", "one broke")["low_threshold"] == "5"
    [shown] = said(platform, "stock", "show", "stock")["levels"]
    assert (shown["variant_id"], shown["on_hand"]) == (lamp, "24")
    moved = said(platform, "stock", "movements", "stock", "--filter", "kind = ADJUSTED")["movements"]
    assert [each.get("on_hand", "0") for each in moved] == ["-1", "0", "25"]
    assert moved[0]["reason"] == "one broke"
    assert [each["code"] for each in said(platform, "stock", "locations", "stock")["locations"]] == ["main"]
    printed = platform.center("stock", "movements", "stock")
    assert printed.returncode == 0 and "+25" in printed.stdout and "one broke" in printed.stdout, printed.stderr
    refused = platform.center("stock", "set", "stock", shop.id, "1")
    assert refused.returncode == 1 and "VARIANT_NOT_FOUND" in refused.stderr, refused.stderr

    token = await platform.token(shop.id)
    shopper = platform.shopper()
    answer = await shopper.get("stock.center.localhost", "/v1/backoffice/stock", authorization=token)
    assert answer.status == 200 and b'"onHand":"24"' in answer.body.replace(b" ", b""), answer.body
    assert (await shopper.get("stock.center.localhost", "/v1/backoffice/stock")).status == 403
    await shopper.close()
