"""OrderService on a real server, PostgreSQL and provider (the simulator, over HTTP)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.message import Message

from center.dataplane.v1 import inventory_service_pb2 as stock_pb
from center.dataplane.v1 import order_service_pb2 as pb
from center.dataplane.v1.inventory_service_pb2_grpc import InventoryServiceStub
from center.dataplane.v1.order_service_pb2_grpc import OrderServiceStub
from dataplane.orders.domain import Order
from shared.runtime.db import Database
from tests.dataplane import orders
from tests.dataplane.cluster import Running, create, of, product, variant
from tests.dataplane.test_payments import Shop as Account
from tests.dataplane.test_payments import minor, open_shop
from tests.support import payments as providers
from tests.support.payments import Served

PENDING, PLACED, PARTLY, FULFILLED = (
    pb.ORDER_STATE_PENDING_PAYMENT,
    pb.ORDER_STATE_PLACED,
    pb.ORDER_STATE_PARTIALLY_FULFILLED,
    pb.ORDER_STATE_FULFILLED,
)
EXPIRED, CANCELED = pb.ORDER_STATE_EXPIRED, pb.ORDER_STATE_CANCELED


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[Served]:
    async with providers.serving() as served:
        yield served


@pytest.fixture(scope="module")
async def db(eu: Running) -> AsyncIterator[Database]:
    db = eu.database("center_app")
    yield db
    await db.close()


@dataclass
class Shop:
    """A tenant with a provider and one variant, of which there are ten."""

    running: Running
    id: str
    db: Database  # as the checkout's part has it
    account: Account
    variant_id: str

    async def __call__(self, name: str, request: Message) -> Any:
        stub = OrderServiceStub(self.running.channel("operator"))
        return await getattr(stub, name)(request, metadata=of(self.id))

    async def begin(self, quantity: int = 2, **more: Any) -> Order:
        """At 10 EUR each."""
        new = orders.order(orders.line(self.variant_id, quantity), **more)
        return await orders.begin(self.running, self.db, self.id, new)

    async def pay(self, order: Order, card: str = "pm_card_visa") -> None:
        await self.account.authorize(order.total_minor, card, reference=order.id)

    async def placed(self, quantity: int = 2, **more: Any) -> pb.Order:
        order = await self.begin(quantity, **more)
        await self.pay(order)
        return await self.get(order.id)

    async def get(self, id: str) -> pb.Order:
        found: pb.Order = (await self("GetOrder", pb.GetOrderRequest(id=id))).order
        return found

    async def ship(self, id: str, *lines: tuple[str, int], **more: Any) -> pb.CreateFulfillmentResponse:
        some = [{"line_id": line_id, "quantity": quantity} for line_id, quantity in lines]
        request = pb.CreateFulfillmentRequest(order_id=id, lines=some, **more)  # type: ignore[arg-type]
        answer: pb.CreateFulfillmentResponse = await self("CreateFulfillment", request)
        return answer

    async def refund(self, id: str, *lines: pb.RefundLine, **more: Any) -> pb.RefundOrderResponse:
        answer: pb.RefundOrderResponse = await self("RefundOrder", pb.RefundOrderRequest(id=id, lines=lines, **more))
        return answer

    async def cancel(self, id: str, **more: Any) -> pb.Order:
        canceled: pb.Order = (await self("CancelOrder", pb.CancelOrderRequest(id=id, **more))).order
        return canceled

    async def kinds(self, id: str) -> list[str]:
        listed = await self("ListOrderEvents", pb.ListOrderEventsRequest(order_id=id))
        return [each.kind for each in listed.events]

    async def level(self) -> tuple[int, int]:
        """(on hand, reserved)."""
        stub: Any = InventoryServiceStub(self.running.channel("operator"))
        request = stock_pb.GetStockRequest(variant_ids=[self.variant_id])
        [level] = (await stub.GetStock(request, metadata=of(self.id))).levels
        return level.on_hand, level.reserved


@pytest.fixture
async def shop(eu: Running, simulator: Served, db: Database, tenant: str) -> Shop:
    account = await open_shop(eu, simulator, tenant)
    [lamp] = await create(eu, tenant, product("lamp", variants=[variant("lamp")]))
    variant_id = lamp.variants[0].id
    stub: Any = InventoryServiceStub(eu.channel("operator"))
    received = {"variant_id": variant_id, "kind": stock_pb.STOCK_MOVEMENT_KIND_RECEIVED, "quantity": 10}
    await stub.AdjustStock(stock_pb.AdjustStockRequest(adjustments=[received]), metadata=of(tenant))
    return Shop(eu, tenant, db, account, variant_id)


async def test_an_order_is_paid_shipped_in_parts_delivered_and_refunded(shop: Shop) -> None:
    order = await shop.placed()
    assert (order.state, order.payment_status) == (PLACED, pb.PAYMENT_STATUS_CAPTURED)
    assert (minor(order.total), minor(order.paid), order.number) == (2000, 2000, "1001")
    assert order.email == "ann@mail.example" and order.HasField("place_time")
    assert await shop.level() == (10, 2)

    line = order.lines[0].id
    shipped = await shop.ship(order.id, (line, 1), carrier="DHL", tracking_number="77")
    assert (shipped.order.state, shipped.order.lines[0].fulfilled_quantity) == (PARTLY, 1)
    assert not shipped.order.email and await shop.level() == (9, 1)
    rest = await shop.ship(order.id)
    assert (rest.order.state, rest.order.fulfillment_status) == (FULFILLED, pb.FULFILLMENT_STATUS_FULFILLED)
    assert await shop.level() == (8, 0)
    for each in (shipped, rest):
        request = pb.MarkDeliveredRequest(order_id=order.id, fulfillment_id=each.fulfillment.id)
        arrived = (await shop("MarkDelivered", request)).order
    assert arrived.fulfillment_status == pb.FULFILLMENT_STATUS_DELIVERED
    assert (await shop("MarkDelivered", request)).order.etag == arrived.etag

    back = await shop.refund(order.id, pb.RefundLine(line_id=line, quantity=1, restock=True), reason="broken")
    assert (back.refund.state, minor(back.refund.amount)) == (pb.REFUND_STATE_SUCCEEDED, 1000)
    assert back.order.payment_status == pb.PAYMENT_STATUS_PARTIALLY_REFUNDED
    assert await shop.level() == (9, 0)
    all_of_it = await shop.refund(order.id)
    assert all_of_it.order.payment_status == pb.PAYMENT_STATUS_REFUNDED and minor(all_of_it.refund.amount) == 1000
    assert await shop.kinds(order.id) == [
        "created", "placed", "captured", "fulfilled", "fulfilled", "delivered", "delivered", "refund_requested",
        "refunded", "refund_requested", "refunded",
    ]  # fmt: skip
