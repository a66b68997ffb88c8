"""An order from the cart to its refund on a running platform: by command, and as JSON through Envoy."""

import json
from typing import Any

import pytest

from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import checkout_service_pb2 as checkouts_pb
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1.cart_service_pb2_grpc import CartServiceStub
from center.dataplane.v1.checkout_service_pb2_grpc import CheckoutServiceStub
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from center.shared.v1 import payment_service_pb2 as payments_pb
from center.shared.v1.payment_service_pb2_grpc import PaymentServiceStub
from shared.platform import ports
from tests.e2e.test_cli import said
from tests.support.platform import Platform, until

pytestmark = pytest.mark.e2e


async def bought(platform: Platform, shop: str) -> None:
    """Two lamps, paid for at the simulator."""
    channel, metadata = platform.channel("eu-1"), (("x-tenant-id", shop),)
    base = f"http://127.0.0.1:{ports.PAYMENTS + platform.offset}"
    settings = payments_pb.SetPaymentSettingsRequest(settings={"api_base": base}, secret_key="sk_test_orders")
    await PaymentServiceStub(channel).SetPaymentSettings(settings, metadata=metadata)
    price = {"currency_code": "EUR", "units": 12, "nanos": 500_000_000}
    product = products_pb.Product(title="Lamp", variants=[{"sku": "LAMP", "price": price}])
    product.status = products_pb.PRODUCT_STATUS_ACTIVE
    new = products_pb.CreateProductRequest(product=product)
    lamp = (await ProductServiceStub(channel).CreateProduct(new, metadata=metadata)).product.variants[0].id
    assert platform.center("stock", "set", "orders", lamp, "5").returncode == 0
    carts = CartServiceStub(channel)
    cart = (await carts.CreateCart(carts_pb.CreateCartRequest(currency_code="EUR"), metadata=metadata)).cart.id
    await carts.AddLine(carts_pb.AddLineRequest(cart_id=cart, variant_id=lamp, quantity=2), metadata=metadata)
    await carts.SetEmail(carts_pb.SetEmailRequest(cart_id=cart, email="ada@mail.example"), metadata=metadata)
    address = {"name": "Ada", "lines": ["Square 12"], "city": "London", "country_code": "GB"}
    await carts.SetAddress(carts_pb.SetAddressRequest(cart_id=cart, address=address), metadata=metadata)
    checkouts = CheckoutServiceStub(channel)
    start = checkouts_pb.StartCheckoutRequest(cart_id=cart)
    total = (await checkouts.StartCheckout(start, metadata=metadata)).checkout.total
    complete = checkouts_pb.CompleteCheckoutRequest(cart_id=cart, expected_total=total, payment_method="pm_card_visa")
    await checkouts.CompleteCheckout(complete, metadata=metadata)


async def test_a_shops_people_see_an_order_to_its_end(platform: Platform) -> None:
    tenant = await platform.create("orders", region_id="eu")
    await bought(platform, tenant.id)
    [listed] = said(platform, "orders", "list", "orders")["orders"]
    assert (listed["number"], listed["state"], "email" in listed) == ("1001", "ORDER_STATE_PLACED", False)
    shown = said(platform, "orders", "show", "orders", "1001")
    line = shown["lines"][0]["id"]
    assert (shown["email"], shown["payment_status"]) == ("ada@mail.example", "PAYMENT_STATUS_CAPTURED")

    shipped = said(platform, "orders", "ship", "orders", "1001", "--line", f"{line}=1", "--carrier", "DHL")
    assert shipped["order"]["state"] == "ORDER_STATE_PARTIALLY_FULFILLED"
    said(platform, "orders", "deliver", "orders", "1001", shipped["fulfillment"]["id"])
    back = said(platform, "orders", "refund", "orders", "1001", "-r", "broken", "--line", f"{line}=1", "--restock")
    assert back["refund"]["state"] == "REFUND_STATE_SUCCEEDED"
    said(platform, "orders", "note", "orders", "1001", "rang her")
    kinds = [each["kind"] for each in said(platform, "orders", "timeline", "orders", "1001")["events"]]
    assert kinds == [
        "created", "placed", "captured", "fulfilled", "delivered", "refund_requested", "refunded", "note",
    ]  # fmt: skip
    refused = platform.center("orders", "cancel", "orders", "1001", "-r", "late")
    assert refused.returncode == 1 and "ORDER_NOT_CANCELABLE" in refused.stderr
    told = platform.center("orders", "show", "orders", "1001")
    assert told.returncode == 0 and "25.00 EUR" in told.stdout and "DHL" in told.stdout, told.stderr

    shopper, token = platform.shopper(), await platform.token(tenant.id)

    async def get(path: str, **headers: str) -> tuple[int, Any]:
        answer = await shopper.send("GET", "orders.center.localhost", path, **headers)
        return answer.status, json.loads(answer.body)

    status, answer = await get(f"/v1/backoffice/orders/{listed['id']}", authorization=token)
    assert status == 200 and answer["order"]["refunded"] == {"currencyCode": "EUR", "units": "12", "nanos": 500_000_000}
    assert (await get("/v1/backoffice/orders"))[0] == 403

    # By the triggers and the templates that every shop has, through the broker.
    folder = platform.home / "mail" / tenant.id
    subjects = {"Your order 1001", "Your order 1001 is on its way", "Your refund for order 1001"}

    def mails() -> bool:
        found = " ".join(path.read_text() for path in folder.glob("*.eml")) if folder.exists() else ""
        return all(f"Subject: {subject}\n" in found for subject in subjects)

    await until(mails, what="mails about the order")
