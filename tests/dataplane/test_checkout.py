"""CheckoutService and SellingService on a real server, PostgreSQL and provider (the simulator, over HTTP)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import checkout_service_pb2 as pb
from center.dataplane.v1 import customer_service_pb2 as customers_pb
from center.dataplane.v1 import inventory_service_pb2 as stock_pb
from center.dataplane.v1 import order_service_pb2 as orders_pb
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1 import promotion_service_pb2 as promotions_pb
from center.dataplane.v1.promotion_service_pb2_grpc import PromotionServiceStub
from center.shared.v1 import payment_service_pb2 as payments_pb
from shared.payments.simulator.faults import Fault
from shared.runtime.ids import uuid7
from tests.dataplane.checkouts import ADDRESS, EMAIL, Shop, open_for_sale
from tests.dataplane.cluster import Running, entry, of
from tests.dataplane.notices import SENT
from tests.dataplane.notices import Shop as Notices
from tests.dataplane.test_customers import Shop as Customers
from tests.dataplane.test_customers import signed
from tests.dataplane.test_payments import eur, minor
from tests.support import payments as providers
from tests.support.grpc import refuses
from tests.support.payments import Served

STARTED, COMPLETED, ENDED = pb.CHECKOUT_STATE_STARTED, pb.CHECKOUT_STATE_COMPLETED, pb.CHECKOUT_STATE_ENDED
OPEN, FAILED = pb.CHECKOUT_STATE_PAYMENT_OPEN, pb.CHECKOUT_STATE_PAYMENT_FAILED
CAPTURED = payments_pb.PAYMENT_STATE_CAPTURED
DECLINED, CONFIRMED = "pm_card_chargeDeclined", "pm_card_authenticationRequired"
VAT = {"country_code": "GB", "basis_points": 2000, "name": "VAT", "applies_to_shipping": True}
STANDARD = {
    "id": "standard",
    "name": "Standard",
    "currency_code": "EUR",
    "rows": [{"price": eur(490)}, {"from": eur(5000), "price": eur(0)}],
}


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[Served]:
    async with providers.serving() as served:
        yield served


@pytest.fixture
async def shop(eu: Running, simulator: Served, tenant: str) -> Shop:
    return await open_for_sale(eu, simulator, tenant)


# from a cart to an order


async def test_a_cart_becomes_an_order_that_is_paid(shop: Shop) -> None:
    await shop.sell(tax_rates=[VAT], shipping_rates=[STANDARD])
    lamp, shade = await shop.sells(12), await shop.sells(5)
    cart_id = await shop.cart((lamp, 2), (shade, 1))
    begun = await shop.start(cart_id)
    assert (begun.state, minor(begun.subtotal), minor(begun.shipping), minor(begun.tax)) == (STARTED, 2900, 490, 678)
    assert minor(begun.total) == 4068
    assert list(begun.explanation) == [
        "29.00 EUR of goods",
        "+ 4.90 EUR shipping",
        "+ 6.78 EUR tax",
        "= 40.68 EUR",
    ]
    assert await shop.level(lamp) == (10, 2) and await shop.level(shade) == (10, 1)
    assert await shop.get(cart_id) == begun
    assert _told(shop, cart_id) == [(4068, begun.expire_time)]
    await shop.start(cart_id)
    assert [total for total, _ in _told(shop, cart_id)] == [4068] * 2
    done = await shop.complete(cart_id, begun.total)
    assert (done.state, done.order_state, done.failure_reason) == (COMPLETED, orders_pb.ORDER_STATE_PLACED, "")
    assert await shop.get(cart_id) == done
    assert [minor(each) for each in (done.subtotal, done.shipping, done.tax, done.total)] == [2900, 490, 678, 4068]
    cart = await shop.get_cart(cart_id)
    assert (cart.state, cart.order_id) == (carts_pb.CART_STATE_COMPLETED, done.order_id)
    # Where a webhook was faster than the answer, it is what takes the money.
    await shop.simulator.simulator.webhooks.idle(shop.account)
    order = await shop.order(done.order_id)
    assert (order.number, order.cart_id, order.email, order.address) == (done.order_number, cart_id, EMAIL, ADDRESS)
    assert (minor(order.total), minor(order.paid), order.shipping_method) == (4068, 4068, "Standard")
    assert [(line.variant_id, line.quantity, minor(line.tax)) for line in order.lines] == [
        (lamp, 2, 480),
        (shade, 1, 100),
    ]
    [payment] = await shop.payments(done.order_id)
    assert (payment.state, minor(payment.captured)) == (CAPTURED, 4068)
    assert [intent["amount_received"] for intent in shop.account.intents.values()] == [4068]
    assert await shop.level(lamp) == (10, 2), "held for the order until it ships"


def _told(shop: Shop, cart_id: str) -> list[Any]:
    """What was told of checkouts that were started."""
    with psycopg.connect(shop.running.database_url) as owner:
        asked = "SELECT payload FROM outbox WHERE aggregate_id = %s AND type = 'checkout.started.v1' ORDER BY id"
        said = [pb.CheckoutStarted.FromString(payload) for (payload,) in owner.execute(asked, (cart_id,))]
    assert {each.cart_id for each in said} == {cart_id}
    return [(minor(each.total), each.expire_time) for each in said]


async def test_an_order_is_the_customers_whose_cart_it_was(shop: Shop) -> None:
    """And what each customer may use once is used up by it."""
    lamp = await shop.sells(10)
    promotions: Any = PromotionServiceStub(shop.running.channel("operator"))
    tenth = {"type": "PROMOTION_EFFECT_TYPE_PERCENT", "basis_points": 1000}
    welcome = {"display_name": "Welcome", "automatic": True, "per_customer_limit": 1, "effect": tenth}
    create = promotions_pb.CreatePromotionRequest(promotion=welcome)
    await promotions.CreatePromotion(create, metadata=of(shop.id))
    id, session = await Customers(shop.running, shop.id).customer()
    totals = []
    for _ in range(2):
        guest, mine = await shop.cart((lamp, 1)), await shop.cart(is_ready=False)
        merge = carts_pb.MergeCartsRequest(from_cart_id=guest, into_cart_id=mine)
        await shop.carts.MergeCarts(merge, metadata=of(shop.id, *signed(session)))
        cart, done = await shop.get_cart(mine), await shop.buy(mine)
        assert minor(cart.total) == minor(done.total)
        totals.append(minor(done.total))
        assert (await shop.order(done.order_id)).customer_id == id
    assert totals == [900, 1000]
    assert not (await shop.order((await shop.buy(await shop.cart((lamp, 1)))).order_id)).customer_id


async def test_orders_of_who_is_erased_keep_what_the_books_need(shop: Shop) -> None:
    """The address for as long as something is to be shipped to it."""
    lamp = await shop.sells(10)
    customers = Customers(shop.running, shop.id)
    id, session = await customers.customer()

    async def bought() -> str:
        guest, mine = await shop.cart((lamp, 1)), await shop.cart(is_ready=False)
        merge = carts_pb.MergeCartsRequest(from_cart_id=guest, into_cart_id=mine)
        await shop.carts.MergeCarts(merge, metadata=of(shop.id, *signed(session)))
        return (await shop.buy(mine)).order_id

    async def ship(order_id: str) -> None:
        line = {"line_id": (await shop.order(order_id)).lines[0].id, "quantity": 1}
        request = orders_pb.CreateFulfillmentRequest(order_id=order_id, lines=[line])
        await shop.orders.CreateFulfillment(request, metadata=of(shop.id))

    shipped, waiting = await bought(), await bought()
    beside = (await shop.buy(await shop.cart((lamp, 1)))).order_id
    await ship(shipped)
    before = await shop.order(shipped)
    assert (before.email, before.address) == (EMAIL, ADDRESS)
    sending = Notices(shop.running, shop.id)
    await sending.template()
    notice = await sending.becomes((await sending.send(EMAIL)).id, SENT)
    with psycopg.connect(shop.running.database_url) as owner:
        tomorrow = "UPDATE notifications SET state = 'PENDING', end_time = NULL, recipient = 'x', next_attempt_time = "
        owner.execute(f"{tomorrow} '2100-01-01' WHERE id = %s".encode(), (notice.id,))
    await customers.ask(customers_pb.EraseCustomerRequest(id=id, reason="asked for it"))
    after, open_ = await shop.order(shipped), await shop.order(waiting)
    assert not (after.email or after.HasField("address") or open_.email) and open_.address == ADDRESS
    for kept in ("number", "customer_id", "state", "lines", "total", "tax", "paid", "place_time"):
        assert getattr(after, kept) == getattr(before, kept), kept
    await ship(waiting)
    assert not (await shop.order(waiting)).HasField("address")
    with psycopg.connect(shop.running.database_url) as owner:
        asked = (
            "SELECT id::text, country, length(email), length(address) FROM orders WHERE customer_id = %s ORDER BY id"
        )
        assert owner.execute(asked, (id,)).fetchall() == [(shipped, "GB", 0, 0), (waiting, "GB", 0, 0)]
        asked = "SELECT state, recipient, variables FROM notifications WHERE id = %s"
        assert owner.execute(asked, (notice.id,)).fetchone() == ("SUPPRESSED", None, None)
    events = await shop.orders.ListOrderEvents(orders_pb.ListOrderEventsRequest(order_id=shipped), metadata=of(shop.id))
    assert events.events[-1].kind == "customer_erased"
    assert (await shop.order(beside)).email == EMAIL, "a guest's, who is nobody's customer"


async def test_what_is_missing_is_named_and_how_it_could_be_shipped(shop: Shop) -> None:
    await shop.sell(shipping_rates=[STANDARD])
    lamp = await shop.sells()
    cart_id = await shop.cart(is_ready=False)

    async def required() -> pb.GetRequirementsResponse:
        answer = await shop.call.GetRequirements(pb.GetRequirementsRequest(cart_id=cart_id), metadata=of(shop.id))
        assert isinstance(answer, pb.GetRequirementsResponse)
        return answer

    assert list((await required()).missing) == [1, 3, 4, 5, 6]
    async with refuses("FAILED_PRECONDITION", "REQUIREMENTS_MISSING") as refusal:
        await shop.start(cart_id)
    assert refusal.metadata["missing"] == "LINES, EMAIL, ADDRESS, SHIPPING_METHOD, TOTAL"
    await shop.add(cart_id, lamp)
    await shop.carts.SetEmail(carts_pb.SetEmailRequest(cart_id=cart_id, email=EMAIL), metadata=of(shop.id))
    await shop.carts.SetAddress(carts_pb.SetAddressRequest(cart_id=cart_id, address=ADDRESS), metadata=of(shop.id))
    answer = await required()
    assert not answer.missing
    [method] = answer.shipping_methods
    assert (method.id, minor(method.price), method.explanation) == ("standard", 490, "for any cart")
    async with refuses("NOT_FOUND", "SHIPPING_METHOD_NOT_FOUND"):
        await shop.start(cart_id, shipping_method="by-whale")
    await shop.add(cart_id, lamp, 4)
    assert minor((await shop.start(cart_id)).shipping) == 0


async def test_what_is_not_there_is_not_held(shop: Shop) -> None:
    lamp = await shop.sells(stock=3)
    cart_id = await shop.cart((lamp, 4))
    async with refuses("FAILED_PRECONDITION", "OUT_OF_STOCK") as refusal:
        await shop.start(cart_id)
    assert refusal.metadata == {lamp: "1"}
    assert await shop.level(lamp) == (3, 0)
    async with refuses("NOT_FOUND", "CHECKOUT_NOT_FOUND"):
        await shop.get(cart_id)
    async with refuses("FAILED_PRECONDITION", "CHECKOUT_NOT_STARTED"):
        await shop.complete(cart_id, eur(4800))
    async with refuses("NOT_FOUND", "CART_NOT_FOUND"):
        await shop.get(uuid7())


async def test_starting_again_holds_what_the_cart_is_by_now(shop: Shop) -> None:
    lamp = await shop.sells(stock=5)
    cart_id = await shop.cart((lamp, 3))
    begun = await shop.start(cart_id)
    await shop.add(cart_id, lamp, 2)
    assert (await shop.get(cart_id)).state == ENDED
    async with refuses("FAILED_PRECONDITION", "CART_CHANGED"):
        await shop.complete(cart_id, begun.total)
    again = await shop.start(cart_id)
    assert (minor(again.total), await shop.level(lamp)) == (6000, (5, 5))
    assert (await shop.complete(cart_id, again.total)).state == COMPLETED


async def test_nobody_pays_what_he_was_not_shown(shop: Shop) -> None:
    lamp = await shop.sells()
    cart_id = await shop.cart((lamp, 1))
    await shop.start(cart_id)
    async with refuses("FAILED_PRECONDITION", "PRICE_CHANGED") as refusal:
        await shop.complete(cart_id, eur(1100))
    assert refusal.metadata == {"total_minor": "1200", "currency_code": "EUR"}
    await _reprice(shop, lamp, 1300)
    for told in (1200, 1300):
        # The second one was never told to the shopper by a checkout.
        async with refuses("FAILED_PRECONDITION", "PRICE_CHANGED"):
            await shop.complete(cart_id, eur(told))
    assert (await shop.get(cart_id)).state == ENDED
    assert minor((await shop.buy(cart_id)).total) == 1300


async def _reprice(shop: Shop, variant_id: str, price: int) -> None:
    listed = await shop.running.products.ListProducts(products_pb.ListProductsRequest(), metadata=of(shop.id))
    [found] = [each for each in listed.products if each.variants[0].id == variant_id]
    found.variants[0].price.CopyFrom(eur(price))
    request = products_pb.UpdateProductRequest(product=found, update_mask={"paths": ["variants"]})
    await shop.running.products.UpdateProduct(request, metadata=of(shop.id))


async def test_a_product_that_goes_off_sale_is_not_sold(shop: Shop) -> None:
    gift = await shop.sells(0)
    lamp = await shop.sells()
    cart_id = await shop.cart((lamp, 1), (gift, 1))
    begun = await shop.start(cart_id)
    listed = await shop.running.products.ListProducts(products_pb.ListProductsRequest(), metadata=of(shop.id))
    [found] = [each for each in listed.products if each.variants[0].id == gift]
    archive = products_pb.ArchiveProductRequest(id=found.id)
    await shop.running.products.ArchiveProduct(archive, metadata=of(shop.id))
    async with refuses("FAILED_PRECONDITION", "REQUIREMENTS_MISSING"):
        await shop.complete(cart_id, begun.total)
    assert not shop.account.intents


async def test_promotions_are_taken_off_line_by_line_and_counted_once(shop: Shop) -> None:
    await shop.sell(prices_include_tax=True, tax_rates=[VAT], shipping_rates=[STANDARD])
    promotions: Any = PromotionServiceStub(shop.running.channel("operator"))
    effect = promotions_pb.PromotionEffect(type="PROMOTION_EFFECT_TYPE_PERCENT", basis_points=1000)
    free = promotions_pb.PromotionEffect(type="PROMOTION_EFFECT_TYPE_FREE_SHIPPING", target="PROMOTION_TARGET_SHIPPING")
    for new in (
        promotions_pb.Promotion(display_name="Ten", code="TEN", effect=effect, usage_limit=1),
        promotions_pb.Promotion(display_name="Free", automatic=True, effect=free),
    ):
        await promotions.CreatePromotion(promotions_pb.CreatePromotionRequest(promotion=new), metadata=of(shop.id))
    lamp, shade = await shop.sells(12), await shop.sells(5)
    carts = [await shop.cart((lamp, 1), (shade, 1)) for _ in range(2)]
    for cart_id in carts:
        await shop.carts.ApplyCode(carts_pb.ApplyCodeRequest(cart_id=cart_id, code="ten"), metadata=of(shop.id))
    begun = [await shop.start(cart_id) for cart_id in carts]
    assert [(minor(each.discount), minor(each.total)) for each in begun] == [(660, 1530)] * 2
    done = await shop.complete(carts[0], begun[0].total)
    order = await shop.order(done.order_id)
    assert [(minor(line.discount), minor(line.tax)) for line in order.lines] == [(120, 180), (50, 75)]
    assert {each.code: minor(each.amount) for each in order.adjustments} == {"TEN": 170, "": 490}
    assert (minor(order.tax), minor(order.total)) == (255, 1530)
    # The one use is gone.
    async with refuses("FAILED_PRECONDITION", "PRICE_CHANGED"):
        await shop.complete(carts[1], begun[1].total)
    used = await promotions.ListRedemptions(promotions_pb.ListRedemptionsRequest(), metadata=of(shop.id))
    assert {each.order_id for each in used.redemptions} == {done.order_id}


# payments


async def test_a_declined_payment_can_be_tried_again(shop: Shop) -> None:
    lamp = await shop.sells(stock=1)
    cart_id = await shop.cart((lamp, 1))
    begun = await shop.start(cart_id)
    request_id = uuid7()
    declined = await shop.complete(cart_id, begun.total, DECLINED, request_id)
    assert (declined.state, declined.order_state) == (FAILED, orders_pb.ORDER_STATE_PENDING_PAYMENT)
    assert declined.failure_reason and await shop.get(cart_id) == declined
    assert (await shop.complete(cart_id, begun.total, DECLINED, request_id)) == declined, "no second try"
    assert len(await shop.payments(declined.order_id)) == 1
    async with refuses("FAILED_PRECONDITION", "CART_COMPLETED"):
        await shop.add(cart_id, lamp)
    async with refuses("FAILED_PRECONDITION", "PRICE_CHANGED"):
        await shop.complete(cart_id, eur(1))
    done = await shop.complete(cart_id, begun.total)
    assert (done.state, done.order_id, done.failure_reason) == (COMPLETED, declined.order_id, "")
    assert await shop.level(lamp) == (1, 1)
    assert len([each for each in shop.account.intents.values() if each["amount_received"]]) == 1


async def test_whoever_comes_again_gets_the_same_order(shop: Shop) -> None:
    lamp = await shop.sells()
    cart_id = await shop.cart((lamp, 1))
    begun = await shop.start(cart_id)
    request_id = uuid7()
    some = await asyncio.gather(
        *(shop.complete(cart_id, begun.total, request_id=id) for id in (request_id, uuid7(), ""))
    )
    again = await shop.complete(cart_id, begun.total, request_id=request_id)
    assert {each.order_id for each in some} == {again.order_id}
    assert again.state == COMPLETED and len(await shop.payments(again.order_id)) == 1
    assert len(shop.account.intents) == 1
    async with refuses("FAILED_PRECONDITION", "CART_COMPLETED"):
        await shop.start(cart_id)
    async with refuses("FAILED_PRECONDITION", "CART_COMPLETED"):
        await shop.abandon(cart_id)


async def test_a_payment_that_the_shopper_confirms_is_waited_for(shop: Shop) -> None:
    lamp = await shop.sells()
    cart_id = await shop.cart((lamp, 1))
    waiting = await shop.buy(cart_id, CONFIRMED)
    assert (waiting.state, waiting.order_state) == (OPEN, orders_pb.ORDER_STATE_PENDING_PAYMENT)
    assert waiting.action_url.startswith("http") and waiting.failure_reason == ""
    assert await shop.get(cart_id) == waiting
    # Neither another request nor another card begins another payment meanwhile.
    assert (await shop.complete(cart_id, waiting.total)).state == OPEN
    assert len(await shop.payments(waiting.order_id)) == 1
    async with httpx.AsyncClient() as browser:
        await browser.post(waiting.action_url, data={"answer": "confirm"})
    await shop.simulator.simulator.webhooks.idle(shop.account)
    done = await shop.complete(cart_id, waiting.total)
    assert (done.state, done.action_url, done.order_id) == (COMPLETED, "", waiting.order_id)
    [payment] = await shop.payments(done.order_id)
    assert payment.state == CAPTURED


async def test_an_answer_that_never_came_is_asked_for(shop: Shop) -> None:
    lamp = await shop.sells()
    cart_id = await shop.cart((lamp, 1))
    begun = await shop.start(cart_id)
    shop.simulator.receivers.pop(shop.id)  # webhooks are lost, too
    shop.simulator.fault(shop.account, "authorize", Fault.DROP_AFTER)
    request_id = uuid7()
    first = await shop.complete(cart_id, begun.total, request_id=request_id)
    second = await shop.complete(cart_id, begun.total, request_id=request_id)
    assert (first.state, second.state, second.order_id) == (OPEN, COMPLETED, first.order_id)
    assert [intent["amount_received"] for intent in shop.account.intents.values()] == [1200]


async def test_no_transaction_is_open_while_the_provider_is_asked(shop: Shop) -> None:
    lamp = await shop.sells()
    cart_id = await shop.cart((lamp, 1))
    begun = await shop.start(cart_id)
    shop.simulator.fault(shop.account, "authorize", Fault.TIMEOUT)
    calling = asyncio.ensure_future(shop.complete(cart_id, begun.total))
    while not shop.account.intents:
        await asyncio.sleep(0.01)
    with psycopg.connect(shop.running.database_url) as owner:
        held = owner.execute(
            "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND usename = 'center_app' "
            "AND state LIKE 'idle in transaction%' AND now() - state_change > interval '50 ms'"
        ).fetchall()
    assert held == [] and not calling.done()
    assert (await calling).state in (OPEN, COMPLETED)


# giving up


async def test_an_abandoned_checkout_gives_everything_back(shop: Shop) -> None:
    lamp = await shop.sells(stock=2)
    cart_id = await shop.cart((lamp, 2))
    await shop.start(cart_id)
    for _ in range(2):
        await shop.abandon(cart_id)
    assert await shop.level(lamp) == (2, 0)
    async with refuses("NOT_FOUND", "CHECKOUT_NOT_FOUND"):
        await shop.get(cart_id)
    declined = await shop.buy(cart_id, DECLINED)
    assert await shop.level(lamp) == (2, 2)
    await shop.abandon(cart_id)
    assert await shop.level(lamp) == (2, 0)
    assert (await shop.order(declined.order_id)).state == orders_pb.ORDER_STATE_CANCELED
    assert (await shop.get_cart(cart_id)).state == carts_pb.CART_STATE_OPEN
    done = await shop.buy(cart_id)
    assert done.state == COMPLETED and done.order_id != declined.order_id


async def test_an_unconfirmed_payment_is_called_off(shop: Shop) -> None:
    lamp = await shop.sells()
    cart_id = await shop.cart((lamp, 1))
    waiting = await shop.buy(cart_id, CONFIRMED)
    await shop.abandon(cart_id)
    [payment] = await shop.payments(waiting.order_id)
    assert payment.state == payments_pb.PAYMENT_STATE_VOIDED
    assert [intent["status"] for intent in shop.account.intents.values()] == ["canceled"]
    assert await shop.level(lamp) == (10, 0)


async def test_a_checkout_that_is_over_is_started_again(shop: Shop) -> None:
    lamp = await shop.sells(stock=2)
    cart_id = await shop.cart((lamp, 2))
    begun = await shop.start(cart_id)
    _write(shop, f"UPDATE checkouts SET expire_time = now() WHERE cart_id = '{cart_id}'")
    async with refuses("FAILED_PRECONDITION", "CHECKOUT_EXPIRED"):
        await shop.complete(cart_id, begun.total)
    assert (await shop.get(cart_id)).state == ENDED
    begun = await shop.start(cart_id)
    # Somebody of the shop takes what is held.
    await shop.running.inventory.Release(stock_pb.ReleaseRequest(owner_id=cart_id), metadata=of(shop.id))
    async with refuses("FAILED_PRECONDITION", "RESERVATION_ENDED"):
        await shop.complete(cart_id, begun.total)
    line = {"variant_id": lamp, "quantity": 1}
    begun = await shop.start(cart_id)
    await shop.running.inventory.Release(stock_pb.ReleaseRequest(owner_id=cart_id, lines=[line]), metadata=of(shop.id))
    async with refuses("FAILED_PRECONDITION", "CHECKOUT_EXPIRED"):
        await shop.complete(cart_id, begun.total)
    assert not shop.account.intents
    assert (await shop.buy(cart_id)).state == COMPLETED


def _write(shop: Shop, statement: str) -> None:
    with psycopg.connect(shop.running.database_url, autocommit=True) as owner:
        owner.execute(statement.encode())


# who may


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mode": "TENANT_MODE_READ_ONLY"}, "TENANT_READ_ONLY"),
        ({"state": "TENANT_STATE_SUSPENDED"}, "TENANT_SUSPENDED"),
    ],
)
async def test_a_closed_tenant_sells_nothing(shop: Shop, changes: dict[str, Any], reason: str) -> None:
    lamp = await shop.sells()
    cart_id = await shop.cart((lamp, 1))
    begun = await shop.start(cart_id)
    await shop.running.apply(entry(shop.id, **changes))
    for call in (shop.start(cart_id), shop.complete(cart_id, begun.total), shop.abandon(cart_id), shop.sell()):
        async with refuses("FAILED_PRECONDITION", reason):
            await call
    assert not shop.account.intents


# how a shop sells


async def test_settings_are_kept_as_they_were_said(shop: Shop) -> None:
    answer = await shop.selling.GetSellingSettings(pb.GetSellingSettingsRequest(), metadata=of(shop.id))
    fresh = answer.settings
    assert (fresh.hold_seconds, fresh.capture, fresh.etag) == (600, pb.CAPTURE_MODE_WHEN_PLACED, "0")
    kept = await shop.sell(
        prices_include_tax=True,
        tax_rates=[VAT],
        shipping_rates=[{**STANDARD, "country_codes": ["GB"]}],
        capture="CAPTURE_MODE_WHEN_FULFILLED",
        hold_seconds=60,
        etag="0",
    )
    answer = await shop.selling.GetSellingSettings(pb.GetSellingSettingsRequest(), metadata=of(shop.id))
    assert answer.settings == kept and kept.etag == "1" and kept.shipping_rates[0].country_codes == ["GB"]
    async with refuses("ABORTED", "ETAG_MISMATCH") as stale:
        await shop.sell(etag="0")
    assert stale.metadata["etag"] == "1"
    for field, wrong in {
        "settings.hold_seconds": {"hold_seconds": 59},
        "settings.tax_rates": {"tax_rates": [VAT, VAT]},
        "settings.shipping_rates[0].rows[0].price": {
            "shipping_rates": [{**STANDARD, "rows": [{"price": {"currency_code": "USD", "units": 1}}]}]
        },
    }.items():
        async with refuses("INVALID_ARGUMENT") as refusal:
            await shop.sell(**wrong)
        assert field in refusal.violations


async def test_money_is_taken_when_it_ships_if_the_shop_says_so(shop: Shop) -> None:
    await shop.sell(capture="CAPTURE_MODE_WHEN_FULFILLED")
    lamp = await shop.sells()
    done = await shop.buy(await shop.cart((lamp, 1)))
    order = await shop.order(done.order_id)
    assert (done.state, minor(order.paid)) == (COMPLETED, 0)
    assert order.payment_status == orders_pb.PAYMENT_STATUS_AUTHORIZED


async def test_a_shop_without_a_provider_takes_no_orders(eu: Running, simulator: Served, tenant: str) -> None:
    shop = Shop(eu, simulator, tenant, simulator.account())
    cart_id = await shop.cart((await shop.sells(), 1))
    begun = await shop.start(cart_id)
    async with refuses("FAILED_PRECONDITION", "PAYMENTS_NOT_CONFIGURED"):
        await shop.complete(cart_id, begun.total)
    assert (await shop.get(cart_id)).state == STARTED


async def test_what_is_known_of_a_shopper_is_sealed(shop: Shop) -> None:
    lamp = await shop.sells()
    done = await shop.buy(await shop.cart((lamp, 1)))
    with psycopg.connect(shop.running.database_url) as owner:
        for table in ("orders", "checkouts", "idempotency", "audit_entries", "outbox", "order_events"):
            rows = owner.execute(f"SELECT t::text FROM {table} t WHERE tenant_id = %s".encode(), (shop.id,)).fetchall()
            plain = "".join(str(row) for row in rows)
            for said in (EMAIL, "Lovelace"):
                assert said not in plain and said.encode().hex() not in plain, table
    assert (await shop.order(done.order_id)).email == EMAIL


async def test_the_order_of_a_customer_is_his(shop: Shop) -> None:
    cart_id, customer_id = await shop.cart((await shop.sells(), 1)), uuid7()
    _write(
        shop,
        "INSERT INTO customers (tenant_id, id, state, external_id, email_hash, email, name, phone, locale, "
        "marketing_consent, password, epoch, is_imported, version, create_time, update_time) VALUES "
        f"('{shop.id}', '{customer_id}', 'ACTIVE', '', '', '', '', '', '', false, '', 1, false, 1, now(), now())",
    )
    _write(shop, f"UPDATE carts SET customer_id = '{customer_id}' WHERE id = '{cart_id}'")
    done = await shop.buy(cart_id)
    assert (await shop.order(done.order_id)).customer_id == customer_id


async def test_an_order_may_be_paid_as_long_as_its_stock_is_held(shop: Shop) -> None:
    await shop.sell(hold_seconds=300)
    declined = await shop.buy(await shop.cart((await shop.sells(), 1)), DECLINED)
    left = declined.expire_time.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(seconds=280) < left <= timedelta(seconds=300)
