"""PriceListService on a real server and PostgreSQL, what carts cost by it, and which price counts."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.type import money_pb2
from hypothesis import given
from hypothesis import strategies as st

from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import checkout_service_pb2 as checkout_pb
from center.dataplane.v1 import price_list_service_pb2 as pb
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1 import promotion_service_pb2 as promotions_pb
from center.dataplane.v1.price_list_service_pb2_grpc import PriceListServiceStub
from center.dataplane.v1.promotion_service_pb2_grpc import PromotionServiceStub
from dataplane.prices.domain import MOST_LISTS, MOST_OF_A_VARIANT, Best, Listed, best
from shared.runtime.ids import uuid7
from shared.runtime.money import Money
from tests.dataplane.checkouts import Shop as Selling
from tests.dataplane.checkouts import open_for_sale
from tests.dataplane.cluster import Running, create, digest, entry, move_rows, of, product, variant
from tests.dataplane.test_payments import eur, minor
from tests.support import payments as providers
from tests.support.grpc import refuses
from tests.support.payments import Served


class Shop(Selling):
    async def __call__(self, name: str, request: Message) -> Any:
        return await getattr(PriceListServiceStub(self.running.channel("operator")), name)(
            request, metadata=of(self.id)
        )

    async def lists(self, name: str = "Wholesale", currency: str = "EUR", **more: Any) -> pb.PriceList:
        """A new price list."""
        new = pb.PriceList(display_name=name, currency_code=currency, **more)
        made: pb.PriceList = (await self("CreatePriceList", pb.CreatePriceListRequest(price_list=new))).price_list
        return made

    async def set(self, on: pb.PriceList, *prices: tuple[str, int, int], **more: Any) -> pb.PriceList:
        """prices: (variant, from how many on, how much)."""
        rows = [
            pb.Price(variant_id=id, min_quantity=least, amount=priced(on.currency_code, amount))
            for id, least, amount in prices
        ]
        request = pb.SetPricesRequest(price_list_id=on.id, prices=rows, **more)
        after: pb.PriceList = (await self("SetPrices", request)).price_list
        return after

    async def prices(self, on: pb.PriceList, **more: Any) -> list[tuple[str, int, int]]:
        found: list[tuple[str, int, int]] = []
        token = ""
        while True:
            request = pb.ListPricesRequest(price_list_id=on.id, page_token=token, **more)
            page = await self("ListPrices", request)
            found += [(each.variant_id, each.min_quantity, minor(each.amount)) for each in page.prices]
            if not (token := page.next_page_token):
                return found

    async def ends(self, price_list: pb.PriceList) -> pb.PriceList:
        """It is over from now on."""
        changed = pb.PriceList(id=price_list.id)
        changed.end_time.FromDatetime(datetime.now(UTC))
        return await self.update(changed, "end_time")

    async def update(self, changed: pb.PriceList, *paths: str) -> pb.PriceList:
        request = pb.UpdatePriceListRequest(price_list=changed, update_mask=FieldMask(paths=paths))
        after: pb.PriceList = (await self("UpdatePriceList", request)).price_list
        return after

    async def line(self, cart_id: str) -> tuple[int, int, str]:
        """(unit, amount, why) of the cart's only line."""
        [line] = (await self.get_cart(cart_id)).lines
        return minor(line.unit_price), minor(line.amount), line.explanation


def priced(currency: str, minor: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency, units=minor // 100, nanos=minor % 100 * 10_000_000)


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[Served]:
    async with providers.serving() as served:
        yield served


@pytest.fixture
async def shop(eu: Running, simulator: Served, tenant: str) -> Shop:
    opened = await open_for_sale(eu, simulator, tenant)
    return Shop(eu, simulator, tenant, opened.account)


# lists


async def test_a_price_list_is_read_back_as_it_was_made(shop: Shop) -> None:
    starts, ends = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
    made = await shop.lists(start_time=starts, end_time=ends)
    assert (made.display_name, made.currency_code, made.etag) == ("Wholesale", "EUR", "1")
    assert made.status == pb.PRICE_LIST_STATUS_ACTIVE
    assert made.start_time.ToDatetime(UTC) == starts and made.end_time.ToDatetime(UTC) == ends
    assert (await shop("GetPriceList", pb.GetPriceListRequest(id=made.id))).price_list == made
    later = await shop.lists("Summer", "GBP")
    first = await shop("ListPriceLists", pb.ListPriceListsRequest(page_size=1))
    rest = await shop("ListPriceLists", pb.ListPriceListsRequest(page_size=1, page_token=first.next_page_token))
    assert [*first.price_lists, *rest.price_lists] == [later, made]
    for filter in ('currency_code = "GBP" AND status = ACTIVE', 'display_name = "Summer"', f"id = {later.id}"):
        assert list((await shop("ListPriceLists", pb.ListPriceListsRequest(filter=filter))).price_lists) == [later]


async def test_what_makes_no_price_list_is_refused(shop: Shop) -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    for wrong in (
        {"name": " "},
        {"currency": ""},
        {"currency": "XXX"},
        {"start_time": moment, "end_time": moment},
    ):
        async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
            await shop.lists(**wrong)  # type: ignore[arg-type]
    for _ in range(MOST_LISTS):
        made = await shop.lists()
    async with refuses("RESOURCE_EXHAUSTED", "PRICE_LIST_LIMIT_REACHED"):
        await shop.lists()
    await shop("ArchivePriceList", pb.ArchivePriceListRequest(id=made.id))
    await shop.lists()


async def test_a_change_names_its_fields_and_the_version_that_it_is_of(shop: Shop) -> None:
    made = await shop.lists()
    renamed = await shop.update(pb.PriceList(id=made.id, display_name="Trade", etag="1"), "display_name")
    assert (renamed.display_name, renamed.etag) == ("Trade", "2")
    assert await shop.update(renamed, "display_name") == renamed, "nothing differs"
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await shop.update(pb.PriceList(id=made.id, display_name="Late", etag="1"), "display_name")
    async with refuses("INVALID_ARGUMENT", "MASK_INVALID"):
        await shop.update(pb.PriceList(id=made.id, currency_code="GBP"), "currency_code")
    async with refuses("NOT_FOUND", "PRICE_LIST_NOT_FOUND"):
        await shop.update(pb.PriceList(id=uuid7(), display_name="x"), "display_name")
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await shop("ArchivePriceList", pb.ArchivePriceListRequest(id=made.id, etag="1"))
    gone = (await shop("ArchivePriceList", pb.ArchivePriceListRequest(id=made.id, etag="2"))).price_list
    assert (gone.status, gone.etag) == (pb.PRICE_LIST_STATUS_ARCHIVED, "3")
    for change in (
        shop.update(pb.PriceList(id=made.id, display_name="x"), "display_name"),
        shop("ArchivePriceList", pb.ArchivePriceListRequest(id=made.id)),
        shop.set(made),
    ):
        async with refuses("FAILED_PRECONDITION", "PRICE_LIST_ARCHIVED"):
            await change


# prices


async def test_prices_take_the_place_of_those_that_their_variants_had(shop: Shop) -> None:
    made = await shop.lists()
    lamp, shade, bulb = sorted([await shop.sells(stock=0) for _ in range(3)])
    after = await shop.set(made, (shade, 1, 400), (lamp, 10, 800), (lamp, 1, 900), (bulb, 1, 100))
    assert after.etag == "2"
    whole = [(lamp, 1, 900), (lamp, 10, 800), (shade, 1, 400), (bulb, 1, 100)]
    assert await shop.prices(made) == await shop.prices(made, page_size=1) == whole
    assert await shop.prices(made, filter=f"variant_id = {lamp} AND min_quantity > 1") == [(lamp, 10, 800)]
    assert (await shop.set(made, (lamp, 1, 900), (lamp, 10, 800), etag="2")).etag == "2", "nothing differs"
    await shop.set(made, (lamp, 5, 850), variant_ids=[shade, lamp.upper()])
    assert await shop.prices(made) == [(lamp, 5, 850), (bulb, 1, 100)]
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await shop.set(made, (lamp, 5, 1), etag="2")
    with psycopg.connect(shop.running.database_url) as owner:
        types = owner.execute("SELECT type FROM outbox WHERE aggregate_id = %s ORDER BY id", (made.id,)).fetchall()
    assert [type for (type,) in types] == ["price_list.created.v1", *["price_list.updated.v1"] * 2]


async def test_prices_that_say_two_things_are_refused(shop: Shop) -> None:
    made = await shop.lists()
    lamp = await shop.sells(stock=0)
    for wrong in ([(lamp, 1, 5), (lamp.upper(), 1, 6)], [(lamp, n + 1, 5) for n in range(MOST_OF_A_VARIANT + 1)]):
        async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
            await shop.set(made, *wrong)
    pounds = pb.PriceList(id=made.id, currency_code="GBP")
    async with refuses("INVALID_ARGUMENT", "MONEY_INVALID"):
        await shop.set(pounds, (lamp, 1, 5))
    for row in ((lamp, 0, 5), ("lamp", 1, 5)):
        async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
            await shop.set(made, row)
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
        await shop.set(made, *[(lamp, n + 1, 5) for n in range(501)])
    for unknown in (partial(shop.set, made, (uuid7(), 1, 5)), partial(shop.set, made, variant_ids=[uuid7()])):
        async with refuses("NOT_FOUND", "VARIANT_NOT_FOUND"):
            await unknown()
    assert await shop.prices(made) == []


async def test_prices_go_with_their_variant_and_move_with_their_tenant(shop: Shop, us: Running) -> None:
    made = await shop.lists()
    variants = [variant(f"sku-{n}") for n in range(2)]
    [lamp] = await create(shop.running, shop.id, product(variants=variants))
    kept, gone = (each.id for each in lamp.variants)
    await shop.set(made, (kept, 1, 900), (gone, 1, 900))
    changed = products_pb.Product(id=lamp.id, variants=lamp.variants[:1])
    request = products_pb.UpdateProductRequest(product=changed, update_mask=FieldMask(paths=["variants"]))
    await shop.running.products.UpdateProduct(request, metadata=of(shop.id))
    assert await shop.prices(made) == [(kept, 1, 900)]
    await shop.running.apply(entry(shop.id, writes_frozen=True))
    await move_rows(shop.running, us, entry(shop.id, cluster_id="us-1"))
    tables = ("price_lists", "prices")
    before, after = [
        [each for each in await digest(running, shop.id) if each[0] in tables] for running in (shop.running, us)
    ]
    assert before == after and [rows for _, rows, _ in after] == [1, 1]


# carts and checkouts


async def test_a_line_costs_what_the_lists_say_for_its_quantity(shop: Shop) -> None:
    made = await shop.lists()
    lamp = await shop.sells(12)
    await shop.set(made, (lamp, 3, 1000), (lamp, 5, 950))
    cart_id = await shop.cart((lamp, 2))
    assert await shop.line(cart_id) == (1200, 2400, "2 x 12.00 EUR = 24.00 EUR")
    await shop.add(cart_id, lamp, 1)
    assert await shop.line(cart_id) == (1000, 3000, "3 x 10.00 EUR (price list Wholesale) = 30.00 EUR")
    line_id = (await shop.get_cart(cart_id)).lines[0].id
    request = carts_pb.SetQuantityRequest(cart_id=cart_id, line_id=line_id, quantity=5)
    [changed] = (await shop.carts.SetQuantity(request, metadata=of(shop.id))).cart.lines
    assert minor(changed.unit_price) == 950, "the answer to the change already"
    over = await shop.lists("Dearer")
    await shop.set(over, (lamp, 1, 1300))
    assert (await shop.line(cart_id))[0] == 950
    await shop("ArchivePriceList", pb.ArchivePriceListRequest(id=made.id))
    assert (await shop.line(cart_id))[:2] == (1200, 6000)


async def test_promotions_take_their_part_of_what_the_list_says(shop: Shop) -> None:
    made = await shop.lists()
    lamp = await shop.sells(12)
    await shop.set(made, (lamp, 1, 1000))
    effect = promotions_pb.PromotionEffect(type="PROMOTION_EFFECT_TYPE_PERCENT", basis_points=1000)
    new = promotions_pb.CreatePromotionRequest(promotion={"automatic": True, "effect": effect})
    await PromotionServiceStub(shop.running.channel("operator")).CreatePromotion(new, metadata=of(shop.id))
    cart = await shop.get_cart(await shop.cart((lamp, 2)))
    assert [minor(each) for each in (cart.subtotal, cart.discount, cart.total)] == [2000, 200, 1800]


async def test_a_list_counts_from_its_start_to_its_end(shop: Shop) -> None:
    now = datetime.now(UTC)
    lamp = await shop.sells(12)
    cart_id = await shop.cart((lamp, 1))
    made = await shop.lists(start_time=now + timedelta(hours=1))
    await shop.set(made, (lamp, 1, 900))
    assert (await shop.line(cart_id))[0] == 1200
    begun = pb.PriceList(id=made.id)
    begun.start_time.FromDatetime(now - timedelta(hours=1))
    await shop.update(begun, "start_time")
    assert (await shop.line(cart_id))[0] == 900
    await shop.ends(made)
    assert (await shop.line(cart_id))[0] == 1200


async def test_a_list_sells_in_a_currency_that_the_variant_is_not_priced_in(shop: Shop) -> None:
    lamp = await shop.sells(12, currency="GBP")
    cart_id = await shop.cart()
    async with refuses("FAILED_PRECONDITION", "CURRENCY_MISMATCH"):
        await shop.add(cart_id, lamp, 2)
    made = await shop.lists("Euro")
    await shop.set(made, (lamp, 2, 1500))
    async with refuses("FAILED_PRECONDITION", "CURRENCY_MISMATCH"):
        await shop.add(cart_id, lamp, 1)
    await shop.add(cart_id, lamp, 2)
    assert await shop.line(cart_id) == (1500, 3000, "2 x 15.00 EUR (price list Euro) = 30.00 EUR")
    await shop.add(cart_id, lamp, 1)
    assert minor((await shop.get_cart(cart_id)).total) == 4500
    await shop.ends(made)
    cart = await shop.get_cart(cart_id)
    assert cart.lines[0].unavailable == carts_pb.UNAVAILABLE_CURRENCY_MISMATCH and minor(cart.total) == 0


async def test_an_order_keeps_the_price_that_it_was_bought_at(shop: Shop) -> None:
    made = await shop.lists()
    lamp = await shop.sells(12)
    await shop.set(made, (lamp, 2, 1000))
    done = await shop.buy(await shop.cart((lamp, 2)))
    await shop.ends(made)
    order = await shop.order(done.order_id)
    assert (minor(order.total), minor(order.lines[0].unit_price)) == (2000, 1000)


async def test_a_list_that_ends_between_start_and_complete_changes_the_price(shop: Shop) -> None:
    """What was held for the old price is what the new one is paid for."""
    made = await shop.lists()
    lamp = await shop.sells(12, stock=2)
    await shop.set(made, (lamp, 1, 1000))
    cart_id = await shop.cart((lamp, 2))
    begun = await shop.start(cart_id)
    assert minor(begun.total) == 2000 and (await shop.get(cart_id)).state == checkout_pb.CHECKOUT_STATE_STARTED
    await shop.ends(made)
    shown = await shop.get(cart_id)
    assert (shown.state, minor(shown.total)) == (checkout_pb.CHECKOUT_STATE_ENDED, 2400)
    for told in (begun.total, shown.total):
        async with refuses("FAILED_PRECONDITION", "PRICE_CHANGED"):
            await shop.complete(cart_id, told)
    assert not shop.account.intents and await shop.level(lamp) == (2, 2)
    again = await shop.start(cart_id)
    assert again.expire_time.ToDatetime() > begun.expire_time.ToDatetime()
    assert (minor(again.total), await shop.level(lamp)) == (2400, (2, 2))
    done = await shop.complete(cart_id, again.total)
    assert (done.state, minor(done.total)) == (checkout_pb.CHECKOUT_STATE_COMPLETED, 2400)


async def test_what_only_a_list_sold_cannot_be_bought_once_it_ended(shop: Shop) -> None:
    made = await shop.lists("Euro")
    lamp = await shop.sells(12, currency="GBP")
    await shop.set(made, (lamp, 1, 1000))
    cart_id = await shop.cart((lamp, 1))
    begun = await shop.start(cart_id)
    await shop.ends(made)
    for told in (begun.total, eur(0)):
        async with refuses("FAILED_PRECONDITION", "PRICE_CHANGED"):
            await shop.complete(cart_id, told)
    assert (await shop.get(cart_id)).state == checkout_pb.CHECKOUT_STATE_ENDED
    async with refuses("FAILED_PRECONDITION", "REQUIREMENTS_MISSING"):
        await shop.start(cart_id)
    assert not shop.account.intents
    await shop.abandon(cart_id)
    assert await shop.level(lamp) == (10, 0)


# which price counts

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MOMENTS = st.one_of(st.none(), st.integers(-2, 2).map(lambda hours: NOW + timedelta(hours=hours)))
AMOUNTS = st.builds(Money, st.sampled_from(["EUR", "GBP"]), st.integers(0, 5))
LISTED = st.builds(Listed, st.sampled_from("abc"), st.just("List"), MOMENTS, MOMENTS, st.integers(1, 4), AMOUNTS)


@given(AMOUNTS, st.lists(LISTED, max_size=6), st.sampled_from(["EUR", "GBP"]), st.integers(1, 4), st.randoms())
def test_the_best_price_is_the_lowest_that_counts(
    own: Money, listed: list[Listed], currency: str, quantity: int, random: Any
) -> None:
    found = best(own, listed, currency, quantity, NOW)
    counting = [
        each.price.amount_minor
        for each in listed
        if each.price.currency == currency
        and each.min_quantity <= quantity
        and (each.starts or NOW) <= NOW < (each.ends or NOW + timedelta(1))
    ]
    possible = counting + [own.amount_minor] * (own.currency == currency)
    if found is None:
        assert not possible
        return
    assert found.price == Money(currency, min(possible))
    # A list is named only where it does something.
    is_own = own.currency == currency and own.amount_minor == min(possible)
    assert found.list_name == ("" if is_own else "List")
    assert best(own, random.sample(listed, len(listed)), currency, quantity, NOW) == found
    more = best(own, listed, currency, quantity + 1, NOW)
    assert more is not None and more.price.amount_minor <= found.price.amount_minor


def test_a_price_counts_from_its_lists_start_until_its_end() -> None:
    hour = timedelta(hours=1)
    price = Listed("a", "List", NOW, NOW + hour, 1, Money("EUR", 5))
    at = [NOW - hour, NOW, NOW + hour]
    assert [best(Money("GBP", 6), [price], "EUR", 1, now) is not None for now in at] == [False, True, False]


def test_of_equal_prices_that_of_the_oldest_list_counts() -> None:
    price = Listed("b", "New", None, None, 1, Money("EUR", 5))
    old = replace(price, list_id="a", list_name="Old")
    for listed in ([price, old], [old, price]):
        assert best(Money("EUR", 6), listed, "EUR", 1, NOW) == Best(Money("EUR", 5), "Old")
