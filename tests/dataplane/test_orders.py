"""OrderService on a real server, PostgreSQL and provider (the simulator, over HTTP)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
from google.protobuf.message import Message
from psycopg import sql
from sqlalchemy import text

from center.dataplane.v1 import inventory_service_pb2 as stock_pb
from center.dataplane.v1 import order_service_pb2 as pb
from center.dataplane.v1.inventory_service_pb2_grpc import InventoryServiceStub
from center.dataplane.v1.order_service_pb2_grpc import OrderServiceStub
from center.shared.v1 import payment_service_pb2 as payments_pb
from dataplane.orders.domain import Order
from dataplane.orders.messages import RING
from dataplane.orders.notices import Details
from dataplane.orders.ops import Following
from dataplane.orders.service import OrderService
from shared.notifications import vault as notices_vault
from shared.notifications.triggers import Triggers
from shared.payments.ops import Payments
from shared.payments.simulator.faults import Fault
from shared.payments.stripe_api import NAME, Stripe
from shared.runtime.clock import SystemClock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError
from shared.runtime.events.consumer import Event
from shared.runtime.events.subjects import Subject
from shared.runtime.events.types import read
from shared.runtime.ids import uuid7
from shared.runtime.paging import PageTokens
from shared.runtime.vault import Vault
from tests.dataplane import orders
from tests.dataplane.cluster import Running, create, of, product, variant
from tests.dataplane.test_payments import Shop as Account
from tests.dataplane.test_payments import eur, minor, open_shop
from tests.support import payments as providers
from tests.support.dying import outcome
from tests.support.grpc import refuses
from tests.support.payments import Served
from tests.support.platform import until

AUTHORIZED, VOIDED = payments_pb.PAYMENT_STATE_AUTHORIZED, payments_pb.PAYMENT_STATE_VOIDED
CAPTURE = payments_pb.PAYMENT_OPERATION_KIND_CAPTURE
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


@pytest.fixture(scope="module")
async def stripe() -> AsyncIterator[Stripe]:
    stripe = Stripe()
    yield stripe
    await stripe.close()


@dataclass
class Shop:
    """A tenant with a provider and one variant, of which there are ten."""

    running: Running
    id: str
    db: Database  # as the checkout's part has it
    account: Account
    stripe: Stripe
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
        # Where a webhook was faster than the answer, it is what takes the money.
        await self.account.settle()

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

    def fault(self, call: str, *faults: Fault) -> None:
        self.account.simulator.fault(self.account.account, call, *faults)

    async def use_key(self, key: str) -> None:
        stub = self.account.stub
        found = await stub.GetPaymentSettings(payments_pb.GetPaymentSettingsRequest(), metadata=of(self.id))
        request = payments_pb.SetPaymentSettingsRequest(settings=found.settings, secret_key=key)
        await stub.SetPaymentSettings(request, metadata=of(self.id))

    def hears_nothing(self) -> None:
        """No webhook arrives any more."""
        del self.account.simulator.receivers[self.id]

    def given_back(self) -> int:
        """By the provider's books."""
        return sum(each["amount"] for each in self.account.account.refunds.values() if each["status"] == "succeeded")

    async def payment(self, order_id: str) -> payments_pb.Payment:
        request = payments_pb.ListPaymentsRequest(filter=f'reference = "{order_id}"')
        [found] = (await self.account.stub.ListPayments(request, metadata=of(self.id))).payments
        return await self.account.get(found.id)

    async def level(self) -> tuple[int, int]:
        """(on hand, reserved)."""
        stub: Any = InventoryServiceStub(self.running.channel("operator"))
        request = stock_pb.GetStockRequest(variant_ids=[self.variant_id])
        [level] = (await stub.GetStock(request, metadata=of(self.id))).levels
        return level.on_hand, level.reserved


@pytest.fixture
async def shop(eu: Running, simulator: Served, db: Database, stripe: Stripe, tenant: str) -> Shop:
    account = await open_shop(eu, simulator, tenant)
    [lamp] = await create(eu, tenant, product("lamp", variants=[variant("lamp")]))
    variant_id = lamp.variants[0].id
    stub: Any = InventoryServiceStub(eu.channel("operator"))
    received = {"variant_id": variant_id, "kind": stock_pb.STOCK_MOVEMENT_KIND_RECEIVED, "quantity": 10}
    await stub.AdjustStock(stock_pb.AdjustStockRequest(adjustments=[received]), metadata=of(tenant))
    return Shop(eu, tenant, db, account, stripe, variant_id)


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


# paying


async def test_what_is_declined_waits_for_another_payment(shop: Shop) -> None:
    order = await shop.begin()
    await shop.pay(order, "pm_card_chargeDeclined")
    waiting = await shop.get(order.id)
    assert (waiting.state, waiting.payment_status) == (PENDING, pb.PAYMENT_STATUS_NONE)
    await shop.pay(order)
    placed = await shop.get(order.id)
    assert (placed.state, placed.payment_status) == (PLACED, pb.PAYMENT_STATUS_CAPTURED)
    assert await shop.kinds(order.id) == ["created", "payment_failed", "placed", "captured"]


async def test_a_second_payment_of_an_order_is_let_go(shop: Shop) -> None:
    order = await shop.placed()
    second = (await shop.account.authorize(2000, reference=order.id)).payment
    # Where a webhook was faster than the answer, it is what lets go.
    await shop.account.settle()
    assert (await shop.account.get(second.id)).state == VOIDED
    after = await shop.get(order.id)
    assert (after.payment_status, minor(after.paid)) == (pb.PAYMENT_STATUS_CAPTURED, 2000)


async def test_money_that_comes_after_the_end_goes_back(shop: Shop) -> None:
    order = await shop.begin()
    await shop.cancel(order.id)
    late = (await shop.account.authorize(2000, reference=order.id)).payment
    # Where a webhook was faster than the answer, it is what lets go.
    await shop.account.settle()
    assert (await shop.account.get(late.id)).state == VOIDED
    assert (await shop.get(order.id)).state == CANCELED


async def test_what_cannot_be_let_go_is_tried_once_and_then_when_somebody_says_so(shop: Shop) -> None:
    held, taken = await shop.placed(captures_late=True), await shop.placed(captures_late=True)
    await shop.use_key("revoked")
    for order in (held, taken):
        assert (await shop.cancel(order.id)).payment_status == pb.PAYMENT_STATUS_AUTHORIZED
    await shop.use_key(shop.account.account.key)
    assert (await shop.cancel(held.id)).payment_status == pb.PAYMENT_STATUS_VOIDED
    # Somebody takes money for what is canceled.
    await shop.account.capture((await shop.payment(taken.id)).id)
    assert (await shop.get(taken.id)).payment_status == pb.PAYMENT_STATUS_REFUNDED
    assert shop.given_back() == 2000


async def test_a_shopper_confirms_and_the_webhook_places_the_order(shop: Shop) -> None:
    order = await shop.begin()
    await shop.pay(order, "pm_card_threeDSecure2Required")
    waiting = await shop.get(order.id)
    assert waiting.state == PENDING and waiting.action_url
    async with httpx.AsyncClient() as browser:
        await browser.post(waiting.action_url, data={"answer": "confirm"})
    await shop.account.settle()
    placed = await shop.get(order.id)
    assert (placed.state, placed.payment_status, placed.action_url) == (PLACED, pb.PAYMENT_STATUS_CAPTURED, "")


# shipping


async def test_a_shop_that_captures_late_takes_the_money_as_it_ships(shop: Shop) -> None:
    order = await shop.placed(captures_late=True)
    assert (order.state, order.payment_status, minor(order.paid)) == (PLACED, pb.PAYMENT_STATUS_AUTHORIZED, 0)
    ship = pb.CreateFulfillmentRequest(order_id=order.id, etag=order.etag, request_id=uuid7())
    shipped = await shop("CreateFulfillment", ship)
    assert (shipped.order.state, shipped.order.payment_status) == (FULFILLED, pb.PAYMENT_STATUS_CAPTURED)
    assert await shop("CreateFulfillment", ship) == shipped
    assert await shop.kinds(order.id) == ["created", "placed", "captured", "fulfilled"]


async def test_what_is_not_paid_is_not_shipped(shop: Shop) -> None:
    order = await shop.placed(captures_late=True)
    shop.fault("capture", Fault.DECLINE)
    async with refuses("FAILED_PRECONDITION", "PAYMENT_NOT_CAPTURED"):
        await shop.ship(order.id)
    assert await shop.level() == (10, 2) and (await shop.get(order.id)).state == PLACED
    # And what was asked for wrongly takes no money.
    async with refuses("FAILED_PRECONDITION", "QUANTITY_EXCEEDED"):
        await shop.ship(order.id, (order.lines[0].id, 3))
    async with refuses("NOT_FOUND", "LINE_NOT_FOUND"):
        await shop.ship(order.id, (uuid7(), 1))
    assert minor((await shop.get(order.id)).paid) == 0
    assert (await shop.ship(order.id)).order.state == FULFILLED
    assert "payment_failed" in await shop.kinds(order.id)


async def test_a_capture_without_an_answer_ships_nothing_until_it_has_one(shop: Shop) -> None:
    order = await shop.placed(captures_late=True)
    shop.hears_nothing()
    shop.fault("capture", Fault.DROP_AFTER)
    ship = pb.CreateFulfillmentRequest(order_id=order.id, etag=order.etag, request_id=uuid7())
    async with refuses("FAILED_PRECONDITION", "PAYMENT_OPEN"):
        await shop("CreateFulfillment", ship)
    assert await shop.level() == (10, 2)
    # The same request goes on, with the etag that it had.
    assert (await shop("CreateFulfillment", ship)).order.state == FULFILLED
    assert [each.kind for each in (await shop.payment(order.id)).operations].count(CAPTURE) == 1


@pytest.mark.parametrize("place", ["begun", "called", "settled"])
async def test_a_request_that_died_while_it_took_the_money_is_taken_up_again(shop: Shop, place: str) -> None:
    order = await shop.placed(captures_late=True)
    dying = Dying(shop, place)
    ship = pb.CreateFulfillmentRequest(order_id=order.id, etag=order.etag, request_id=uuid7())
    assert await dying.call("CreateFulfillment", ship) is None
    assert await shop.level() == (10, 2)
    answer = await dying.call("CreateFulfillment", ship)
    assert answer.order.state == FULFILLED and await shop.level() == (8, 0)
    assert await dying.call("CreateFulfillment", ship) == answer
    assert [each.kind for each in (await shop.payment(order.id)).operations].count(CAPTURE) == 1


async def test_shipments_at_once_ship_no_more_than_there_is(shop: Shop) -> None:
    order = await shop.placed(4, captures_late=True)
    ends = await asyncio.gather(
        *(shop.ship(order.id, (order.lines[0].id, 1)) for _ in range(8)), return_exceptions=True
    )
    refused = [end for end in ends if isinstance(end, BaseException)]
    # One that came while another took the money may have been told to wait.
    rest = [await shop.ship(order.id) for _ in range(1) if 8 - len(refused) < 4]
    after = await shop.get(order.id)
    assert after.state == FULFILLED and await shop.level() == (6, 0) and len(rest) <= 1
    assert sum(line.quantity for each in after.fulfillments for line in each.lines) == 4
    assert [each.kind for each in (await shop.payment(order.id)).operations].count(CAPTURE) == 1


# giving back


async def test_refunds_at_once_give_back_no_more_than_was_paid(shop: Shop) -> None:
    order = await shop.placed(5)
    line = order.lines[0].id
    ends = await asyncio.gather(
        *(shop.refund(order.id, pb.RefundLine(line_id=line, quantity=2)) for _ in range(3)),
        *(shop.refund(order.id, amount=eur(1500)) for _ in range(3)),
        return_exceptions=True,
    )
    given = [minor(end.refund.amount) for end in ends if isinstance(end, pb.RefundOrderResponse)]
    after = await shop.get(order.id)
    assert minor(after.refunded) == sum(given) <= 5000 and len(given) >= 2
    assert after.lines[0].refunded_quantity <= 5
    assert shop.given_back() == sum(given)


async def test_the_same_refund_is_made_once(shop: Shop) -> None:
    order = await shop.placed()
    request = pb.RefundOrderRequest(id=order.id, amount=eur(300), request_id=uuid7(), reason="late")
    first, again = await asyncio.gather(shop("RefundOrder", request), shop("RefundOrder", request))
    assert first.refund.id == again.refund.id
    assert minor((await shop.get(order.id)).refunded) == 300
    request.amount.CopyFrom(eur(400))
    async with refuses("FAILED_PRECONDITION", "REQUEST_ID_REUSED"):
        await shop("RefundOrder", request)


async def test_a_refund_that_fails_gives_its_quantities_back(shop: Shop) -> None:
    order = await shop.placed()
    line = order.lines[0].id
    shop.fault("refund", Fault.DECLINE)
    failed = await shop.refund(order.id, pb.RefundLine(line_id=line, quantity=2))
    assert failed.refund.state == pb.REFUND_STATE_FAILED and failed.refund.failure_reason
    assert failed.order.lines[0].refunded_quantity == 0
    assert failed.order.payment_status == pb.PAYMENT_STATUS_CAPTURED
    again = await shop.refund(order.id, pb.RefundLine(line_id=line, quantity=2))
    assert again.order.payment_status == pb.PAYMENT_STATUS_REFUNDED
    assert await shop.kinds(order.id) == [
        "created", "placed", "captured", "refund_requested", "refund_failed", "refund_requested", "refunded",
    ]  # fmt: skip


async def test_what_a_refund_may_not(shop: Shop) -> None:
    order = await shop.placed(3)
    line = order.lines[0].id

    def some(quantity: int, **more: bool) -> pb.RefundLine:
        return pb.RefundLine(line_id=line, quantity=quantity, **more)

    for lines, amount, code, reason in (
        ((some(4),), None, "FAILED_PRECONDITION", "QUANTITY_EXCEEDED"),
        ((some(1, restock=True),), None, "FAILED_PRECONDITION", "QUANTITY_EXCEEDED"),
        ((some(1), some(1)), None, "INVALID_ARGUMENT", "FIELD_INVALID"),
        ((some(1, restock=True, withdraw=True),), None, "INVALID_ARGUMENT", "FIELD_INVALID"),
        ((pb.RefundLine(line_id=uuid7(), quantity=1),), None, "NOT_FOUND", "LINE_NOT_FOUND"),
        ((), eur(3001), "FAILED_PRECONDITION", "AMOUNT_EXCEEDED"),
        ((), eur(0), "INVALID_ARGUMENT", "MONEY_INVALID"),
        ((), {"currency_code": "USD", "units": 1}, "INVALID_ARGUMENT", "CURRENCY_MISMATCH"),
    ):
        async with refuses(code, reason):
            await shop.refund(order.id, *lines, amount=amount)
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await shop.refund(order.id, etag="1")
    unpaid = await shop.begin(1)
    async with refuses("FAILED_PRECONDITION", "ORDER_NOT_PAID"):
        await shop.refund(unpaid.id)
    # What will not leave is for sale again, and the rest makes the order whole.
    await shop.ship(order.id, (line, 2))
    withdrawn = await shop.refund(order.id, some(1, withdraw=True))
    assert (withdrawn.order.state, await shop.level()) == (FULFILLED, (8, 1))
    async with refuses("FAILED_PRECONDITION", "QUANTITY_EXCEEDED"):
        await shop.refund(order.id, some(1, withdraw=True))
    async with refuses("FAILED_PRECONDITION", "ORDER_NOT_PLACED"):
        await shop.ship(order.id)
    await shop.refund(order.id)
    async with refuses("FAILED_PRECONDITION", "AMOUNT_EXCEEDED"):
        await shop.refund(order.id)


# ending


async def test_a_canceled_order_gives_back_what_it_holds(shop: Shop) -> None:
    paid, held, confirming, pending = (
        await shop.placed(),
        await shop.placed(captures_late=True),
        await shop.begin(),
        await shop.begin(),
    )
    await shop.pay(confirming, "pm_card_threeDSecure2Required")
    assert await shop.level() == (10, 8)
    request = pb.CancelOrderRequest(id=paid.id, reason="out of lamps", etag=paid.etag, request_id=uuid7())
    first = (await shop("CancelOrder", request)).order
    assert (first.state, first.payment_status) == (CANCELED, pb.PAYMENT_STATUS_REFUNDED)
    assert (await shop("CancelOrder", request)).order == first == await shop.cancel(paid.id)
    for order in (held, confirming):
        assert (await shop.cancel(order.id)).payment_status == pb.PAYMENT_STATUS_VOIDED
    assert (await shop.cancel(pending.id)).payment_status == pb.PAYMENT_STATUS_NONE
    assert await shop.level() == (10, 0)
    assert await shop.kinds(paid.id) == ["created", "placed", "captured", "canceled", "refunded"]
    async with refuses("FAILED_PRECONDITION", "ORDER_NOT_PLACED"):
        await shop.ship(paid.id)
    shipped = await shop.placed()
    await shop.ship(shipped.id, (shipped.lines[0].id, 1))
    async with refuses("FAILED_PRECONDITION", "ORDER_NOT_CANCELABLE"):
        await shop.cancel(shipped.id)
    assert (await shop.get(shipped.id)).payment_status == pb.PAYMENT_STATUS_CAPTURED


@pytest.mark.parametrize("place", ["begun", "called", "settled"])
async def test_a_cancellation_that_died_on_its_way_is_carried_to_its_end(shop: Shop, place: str) -> None:
    order = await shop.placed()
    dying = Dying(shop, place)
    request = pb.CancelOrderRequest(id=order.id, request_id=uuid7())
    assert await dying.call("CancelOrder", request) is None
    assert (await shop.get(order.id)).state == CANCELED and await shop.level() == (10, 0)
    after = (await dying.call("CancelOrder", request)).order
    assert after.payment_status == pb.PAYMENT_STATUS_REFUNDED
    assert shop.given_back() == 2000


async def test_an_order_whose_money_is_on_its_way_is_not_canceled(shop: Shop) -> None:
    order = await shop.begin()
    shop.hears_nothing()
    shop.fault("authorize", Fault.DROP_AFTER)
    await shop.pay(order)
    async with refuses("FAILED_PRECONDITION", "PAYMENT_OPEN"):
        await shop.cancel(order.id)
    assert await shop.level() == (10, 2)


async def test_what_is_not_paid_in_time_ends(shop: Shop) -> None:
    """By the cluster's own sweeper: nothing paid, never confirmed, and one of which the provider still has to say."""
    cart_id = uuid7()
    nothing, confirming, unknown = [await shop.begin(cart_id=cart_id), await shop.begin(), await shop.begin()]
    await shop.pay(confirming, "pm_card_threeDSecure2Required")
    shop.hears_nothing()
    shop.fault("authorize", Fault.DROP_AFTER)
    await shop.pay(unknown)
    async with shop.db.transaction(shop.id) as tx:
        await tx.execute(text("UPDATE orders SET expire_time = now() - interval '1 s'"))
    for order in (nothing, confirming):

        async def has_ended(id: str = order.id) -> bool:
            return (await shop.get(id)).state == EXPIRED

        await until(has_ended, what="an order to expire")

    async def is_voided() -> bool:
        return (await shop.payment(confirming.id)).state == VOIDED

    await until(is_voided, what="what was confirmed too late to be voided")
    assert (await shop.get(unknown.id)).state == PENDING and await shop.level() == (10, 2)
    reconcile = payments_pb.ReconcileRequest(payment_id=(await shop.payment(unknown.id)).id)
    await shop.account.stub.Reconcile(reconcile, metadata=of(shop.id))
    assert (await shop.get(unknown.id)).state == PLACED
    # The cart may become another order.
    again = await shop.begin(cart_id=cart_id)
    assert again.number == 1004


# what is told


async def test_orders_are_found_and_notes_are_kept(shop: Shop) -> None:
    one, two = await shop.placed(1), await shop.begin(1)
    for filter, found in (
        ("", [two.id, one.id]),
        ("state = PLACED", [one.id]),
        ("number = 1002", [two.id]),
        ("payment_status = NONE", [two.id]),
    ):
        listed = await shop("ListOrders", pb.ListOrdersRequest(filter=filter))
        assert [each.id for each in listed.orders] == found
        assert not any(each.email or each.lines for each in listed.orders)
    note = pb.AddOrderNoteRequest(order_id=one.id, note="Rang ann@mail.example", request_id=uuid7())
    kept = (await shop("AddOrderNote", note)).event
    assert (await shop("AddOrderNote", note)).event == kept
    page = await shop("ListOrderEvents", pb.ListOrderEventsRequest(order_id=one.id, page_size=2))
    rest = pb.ListOrderEventsRequest(order_id=one.id, page_size=2, page_token=page.next_page_token)
    assert [each.kind for each in (await shop("ListOrderEvents", rest)).events] == ["captured", "note"]


async def test_nothing_that_leaves_names_the_shopper(shop: Shop) -> None:
    order = await shop.placed()
    await shop.ship(order.id, request_id=uuid7())
    await shop.refund(order.id, reason="asked for by ann@mail.example")
    columns = {"outbox": "payload", "idempotency": "answer", "orders": "email", "audit_entries": "proof"}
    with psycopg.connect(shop.running.database_url) as owner:
        for table, column in columns.items():
            found = sql.SQL("SELECT t::text, {} FROM {} t WHERE tenant_id = %s")
            rows = owner.execute(found.format(sql.Identifier(column), sql.Identifier(table)), (shop.id,)).fetchall()
            assert rows and "ann@mail.example" not in str(rows), table


async def test_the_shopper_is_told_by_mail(shop: Shop) -> None:
    order = await shop.placed()
    shipped = await shop.ship(order.id, carrier="DHL", tracking_number="JD 77")
    await shop.refund(order.id, amount=eur(300))
    await shop.cancel((await shop.placed(1)).id)
    await shop.cancel((await shop.begin(1)).id)
    seal = Vault(shop.running.home, RING)
    triggers = Triggers(
        name="test",
        vault=notices_vault.Vault(shop.running.home),
        clock=SystemClock(),
        is_served=shop.running.cluster.tenants.is_served,
        sent=lambda: None,
        details=Details(seal),
    )
    for _ in range(2):
        for each in events_of(shop):
            async with shop.db.transaction() as tx:
                await triggers.apply(tx, each)
    with psycopg.connect(shop.running.database_url) as owner:
        found = owner.execute("SELECT count(*) FROM notifications WHERE tenant_id = %s", (shop.id,)).fetchone()
    assert shipped.fulfillment.id and found == (6,)
    folder = shop.running.home / "mail" / shop.id

    async def mails() -> list[str]:
        found = [path.read_text() for path in folder.glob("*.eml")] if folder.exists() else []
        return found if len(found) >= 6 else []

    sent = await until(mails, what="mails")
    assert all("To: ann@mail.example" in mail for mail in sent)
    words = (
        ("Your order 1001", "20.00 EUR"),
        ("Your order 1001 is on its way", "DHL JD 77"),
        ("Your refund for order 1001", "3.00 EUR"),
        ("Your order 1002", "10.00 EUR"),
        ("Your order 1002 is canceled", "given back"),
        ("Your refund for order 1002", "10.00 EUR"),
    )
    for subject, text_ in words:
        assert [mail for mail in sent if f"Subject: {subject}\n" in mail and text_ in mail], (subject, sent)


def events_of(shop: Shop) -> list[Event]:
    """What the outbox holds of the shop's orders."""
    with psycopg.connect(shop.running.database_url) as owner:
        rows = owner.execute(
            "SELECT id::text, create_time, type, aggregate_id::text, aggregate_version, payload FROM outbox "
            "WHERE tenant_id = %s AND type LIKE 'order.%%' ORDER BY id",
            (shop.id,),
        ).fetchall()
    found = []
    for id, time, type_, aggregate, version, payload in rows:
        name, happened, major = type_.split(".")
        subject = Subject("dataplane", shop.id, name, happened, int(major[1:]))
        found.append(Event(id, time, subject, aggregate, version, read(subject, payload)))
    return found


class Dying:
    """The service as another process has it that dies where it is told to, once."""

    def __init__(self, shop: Shop, place: str) -> None:
        self._place = place
        self._id = shop.id
        clock = SystemClock()
        following = Following(clock)
        payments = following.payments = Payments(
            db=shop.db,
            reads=shop.db,
            clock=clock,
            vault=Vault(shop.running.home, "payments"),
            providers={NAME: shop.stripe},
            followed=following,
            reached=self._reached,
        )
        self._service = OrderService(
            db=shop.db,
            reads=shop.db,
            tokens=PageTokens(b"key"),
            clock=clock,
            vault=Vault(shop.running.home, RING),
            payments=payments,
        )

    async def _reached(self, place: str) -> None:
        if place == self._place:
            self._place = ""
            raise asyncio.CancelledError

    async def call(self, method: str, request: Message) -> Any:
        """The answer, or None of a call that died."""
        served = getattr(self._service, method)
        ended = await outcome(self._id, "center.dataplane.v1.OrderService", served, request)
        if isinstance(ended, PlatformError):
            raise ended
        return ended
