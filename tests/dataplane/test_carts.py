"""CartService on a real server and PostgreSQL."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.message import Message

from center.control.v1 import tenant_pb2
from center.dataplane.v1 import cart_service_pb2 as pb
from center.dataplane.v1 import inventory_service_pb2 as stock_pb
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1 import promotion_service_pb2 as promotions_pb
from center.dataplane.v1.cart_service_pb2_grpc import CartServiceStub
from center.dataplane.v1.promotion_service_pb2_grpc import PromotionServiceStub
from dataplane.carts import domain, ops, store, sweeper
from dataplane.tenants.local import Writes
from shared.runtime import money
from shared.runtime.clock import SystemClock
from shared.runtime.ids import uuid7
from shared.runtime.rpc import contract, rules
from tests.dataplane.cluster import Running, bearer, create, digest, entry, move_rows, of, product, variant
from tests.support.grpc import refuses

OPEN, MERGED = pb.CART_STATE_OPEN, pb.CART_STATE_MERGED
EMAIL = "ada.lovelace@mail.example"
ADDRESS = pb.Address(
    name="Ada Lovelace", lines=["12 St James's Square"], postal_code="SW1Y 4LB", city="London", country_code="GB"
)
CARTS = rules.of_service(contract.of(CartServiceStub))
MUTATING = sorted(name for name, of_method in CARTS.items() if of_method.mutates)


@dataclass
class Shop:
    """A tenant, as its shoppers call."""

    running: Running
    id: str

    @property
    def call(self) -> CartServiceStub:
        return CartServiceStub(self.running.channel("envoy"))

    async def cart(self, currency: str = "EUR") -> str:
        request = pb.CreateCartRequest(currency_code=currency)
        return (await self.call.CreateCart(request, metadata=of(self.id))).cart.id

    async def get(self, cart_id: str) -> pb.Cart:
        return (await self.call.GetCart(pb.GetCartRequest(id=cart_id), metadata=of(self.id))).cart

    async def add(self, cart_id: str, variant_id: str, quantity: int = 1, **more: Any) -> pb.Cart:
        if "options" in more:
            more["options"] = [pb.LineOption(name=name, value=value) for name, value in more["options"].items()]
        request = pb.AddLineRequest(cart_id=cart_id, variant_id=variant_id, quantity=quantity, **more)
        return (await self.call.AddLine(request, metadata=of(self.id))).cart

    async def do(self, request: Message) -> pb.Cart:
        """Any other change."""
        method = getattr(self.call, type(request).__name__.removesuffix("Request"))
        answer = await method(request, metadata=of(self.id))
        return answer.cart if not isinstance(answer, pb.DeleteCartResponse) else pb.Cart()

    async def stocks(self, variant_id: str, quantity: int) -> None:
        received: Any = {"kind": stock_pb.STOCK_MOVEMENT_KIND_RECEIVED}
        adjustment = {"variant_id": variant_id, "quantity": quantity, **received}
        request = stock_pb.AdjustStockRequest(adjustments=[adjustment])
        await self.running.inventory.AdjustStock(request, metadata=of(self.id))

    async def merge(self, from_id: str, into_id: str, request_id: str = "") -> pb.Cart:
        return await self.do(pb.MergeCartsRequest(from_cart_id=from_id, into_cart_id=into_id, request_id=request_id))

    async def sells(self, *prices: tuple[int, int], currency: str = "EUR") -> list[str]:
        """The ids of new variants of one product, at these units and nanos."""
        new = product(variants=[variant(uuid7(), *each, currency) for each in prices])
        [made] = await create(self.running, self.id, new)
        return [each.id for each in made.variants]

    def owner(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.running.database_url, autocommit=True)


@pytest.fixture
def shop(eu: Running, tenant: str) -> Shop:
    return Shop(eu, tenant)


def minor(amount: Any) -> int:
    return money.from_proto(amount).amount_minor


# what is in it, and what it costs


async def test_a_line_says_whether_there_is_enough_of_it(shop: Shop) -> None:
    none, some, later = await shop.sells((1, 0), (2, 0), (3, 0))
    await shop.stocks(some, 5)
    await shop.stocks(later, 1)
    configure = stock_pb.ConfigureStockRequest(variant_id=later, allows_backorder=True)
    await shop.running.inventory.ConfigureStock(configure, metadata=of(shop.id))
    cart_id = await shop.cart()

    def told(cart: pb.Cart) -> list[tuple[str, int]]:
        return [(pb.LineStock.Name(each.stock)[11:], each.available_quantity) for each in cart.lines]

    answer = await shop.add(cart_id, none, 1)
    assert told(answer) == [("SOLD_OUT", 0)] and minor(answer.subtotal) == 100, "it is taken, and counted"
    await shop.add(cart_id, some, 5)
    answer = await shop.add(cart_id, later, 2)
    assert told(answer) == [("SOLD_OUT", 0), ("ENOUGH", 0), ("BACKORDER", 0)]
    # Lines of one variant want it together.
    answer = await shop.add(cart_id, some, 1, options={"engraving": "Ada"})
    assert told(answer) == told(await shop.get(cart_id))
    assert told(answer) == [("SOLD_OUT", 0), ("TOO_FEW", 5), ("BACKORDER", 0), ("TOO_FEW", 5)]
    fewer = pb.SetQuantityRequest(cart_id=cart_id, line_id=answer.lines[1].id, quantity=4)
    answer = await shop.do(fewer)
    assert told(answer) == [("SOLD_OUT", 0), ("ENOUGH", 0), ("BACKORDER", 0), ("ENOUGH", 0)]
    # What its own checkout holds is there for it, and for nobody else.
    line: Any = {"variant_id": some, "quantity": 5}
    hold = stock_pb.ReserveRequest(owner_id=cart_id, lines=[line])
    await shop.running.inventory.Reserve(hold, metadata=of(shop.id))
    assert told(await shop.get(cart_id))[1] == ("ENOUGH", 0)
    other = await shop.cart()
    assert told(await shop.add(other, some, 1)) == [("SOLD_OUT", 0)]
    # A closed place has nothing, and what is off sale is no matter of stock.
    with shop.owner() as owner:
        owner.execute("UPDATE locations SET is_active = false WHERE tenant_id = %s", (shop.id,))
        owner.execute("UPDATE products SET status = 'DRAFT' WHERE tenant_id = %s", (shop.id,))
    assert told(await shop.get(cart_id)) == [("UNSPECIFIED", 0)] * 4
    with shop.owner() as owner:
        owner.execute("UPDATE products SET status = 'ACTIVE' WHERE tenant_id = %s", (shop.id,))
    # What is held stays so.
    assert told(await shop.get(cart_id)) == [("SOLD_OUT", 0), ("ENOUGH", 0), ("SOLD_OUT", 0), ("ENOUGH", 0)]


async def test_a_cart_says_what_each_line_costs_and_why(shop: Shop) -> None:
    lamp, shade = await shop.sells((12, 500_000_000), (0, 990_000_000))
    cart_id = await shop.cart()
    await shop.add(cart_id, lamp, 3)
    answer = await shop.add(cart_id, shade, 2)
    cart = await shop.get(cart_id)
    assert cart == answer
    assert uuid.UUID(cart.id).version == 4, "its id is the key to it, and tells nothing"
    assert [(line.variant_id, line.quantity, minor(line.unit_price), minor(line.amount)) for line in cart.lines] == [
        (lamp, 3, 1250, 3750),
        (shade, 2, 99, 198),
    ]
    assert [line.explanation for line in cart.lines] == ["3 x 12.50 EUR = 37.50 EUR", "2 x 0.99 EUR = 1.98 EUR"]
    assert all(line.product_id and line.product_title == "Brass lamp" and line.sku for line in cart.lines)
    assert (minor(cart.subtotal), minor(cart.discount), minor(cart.total)) == (3948, 0, 3948)
    assert cart.explanation.subtotal == "2 lines = 39.48 EUR"
    assert cart.explanation.discount == "no promotion applies"
    assert cart.explanation.total == "39.48 EUR - 0.00 EUR = 39.48 EUR"
    assert (cart.state, cart.line_count, cart.etag, list(cart.adjustments)) == (OPEN, 2, "3", [])


async def promote(shop: Shop, **promotion: Any) -> promotions_pb.Promotion:
    """A new promotion of the shop."""
    promotions = PromotionServiceStub(shop.running.channel("operator"))
    request = promotions_pb.CreatePromotionRequest(promotion=promotions_pb.Promotion(**promotion))
    return (await promotions.CreatePromotion(request, metadata=of(shop.id))).promotion


def percent(basis_points: int) -> promotions_pb.PromotionEffect:
    return promotions_pb.PromotionEffect(type=promotions_pb.PROMOTION_EFFECT_TYPE_PERCENT, basis_points=basis_points)


async def test_promotions_are_taken_off_to_the_last_unit_and_say_why(shop: Shop) -> None:
    [lamp] = await shop.sells((333, 0), currency="JPY")
    everybody = await promote(shop, display_name="For everybody", automatic=True, effect=percent(1000), priority=2)
    welcome = await promote(shop, display_name="Welcome", code="Welcome", effect=percent(5000))
    cart_id = await shop.cart("JPY")
    cart = await shop.add(cart_id, lamp, 3)
    # A tenth of 999, then half of what is left.
    assert [(each.promotion_id, minor(each.amount)) for each in cart.adjustments] == [(everybody.id, 100)]
    cart = await shop.do(pb.ApplyCodeRequest(cart_id=cart_id, code=" wELCOME "))
    assert cart == await shop.get(cart_id)
    assert [(each.promotion_id, each.code, minor(each.amount)) for each in cart.adjustments] == [
        (everybody.id, "", 100),
        (welcome.id, "Welcome", 450),
    ]
    assert all(each.explanation for each in cart.adjustments)
    assert (minor(cart.subtotal), minor(cart.discount), minor(cart.total)) == (999, 550, 449)
    assert cart.explanation.discount == "2 promotions = 550 JPY"
    assert cart.explanation.total == "999 JPY - 550 JPY = 449 JPY"
    cart = await shop.do(pb.ApplyCodeRequest(cart_id=cart_id, code="NOSUCH"))
    assert [code.explanation for code in cart.codes][1] == "the shop has no such code"
    assert minor(cart.total) == 449
    cart = await shop.do(pb.RemoveCodeRequest(cart_id=cart_id, code="welcome"))
    assert minor(cart.total) == 899


async def test_a_promotion_for_a_country_knows_where_a_cart_goes(shop: Shop) -> None:
    [lamp] = await shop.sells((10, 0))
    rule = promotions_pb.PromotionRule(
        attribute=promotions_pb.PROMOTION_ATTRIBUTE_COUNTRY, op=promotions_pb.PROMOTION_OP_IN, values=["GB"]
    )
    british = [promotions_pb.PromotionRuleSet(rules=[rule])]
    await promote(shop, display_name="Britain", automatic=True, effect=percent(1000), rule_sets=british)
    cart_id = await shop.cart()
    assert minor((await shop.add(cart_id, lamp)).total) == 1000
    assert minor((await shop.do(pb.SetAddressRequest(cart_id=cart_id, address=ADDRESS))).total) == 900


async def test_what_cannot_be_bought_earns_nothing(shop: Shop) -> None:
    """Nor does it count for what has to be bought."""
    [dear] = await shop.sells((100, 0))
    [cheap] = await shop.sells((10, 0))
    await promote(shop, display_name="A tenth", automatic=True, effect=percent(1000))
    cart_id = await shop.cart()
    await shop.add(cart_id, dear)
    assert minor((await shop.add(cart_id, cheap)).total) == 9900
    off_sale = products_pb.ArchiveProductRequest(id=(await shop.get(cart_id)).lines[0].product_id)
    await shop.running.products.ArchiveProduct(off_sale, metadata=of(shop.id))
    assert minor((await shop.get(cart_id)).total) == 900


async def test_the_same_variant_and_options_are_one_line(shop: Shop) -> None:
    [lamp] = await shop.sells((10, 0))
    cart_id = await shop.cart()
    await shop.add(cart_id, lamp, 1)
    await shop.add(cart_id, lamp.upper(), 2)
    await shop.add(cart_id, lamp, 3, options={"engraving": "Ada", "wrap": "red"})
    cart = await shop.add(cart_id, lamp, 4, options={"wrap": "red", "engraving": "Ada"})
    assert [line.quantity for line in cart.lines] == [3, 7]
    cart = await shop.add(cart_id, lamp, 5, options={"wrap": "blue", "engraving": "Ada"})
    assert [line.quantity for line in cart.lines] == [3, 7, 5]
    assert [(o.name, o.value) for o in cart.lines[2].options] == [("engraving", "Ada"), ("wrap", "blue")]
    twice = [pb.LineOption(name="wrap", value=value) for value in ("red", "blue")]
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await shop.do(pb.AddLineRequest(cart_id=cart_id, variant_id=lamp, quantity=1, options=twice))
    assert "options" in refusal.violations


async def test_sixteen_who_add_at_once_add_up(shop: Shop) -> None:
    [lamp] = await shop.sells((10, 0))
    cart_id = await shop.cart()
    await asyncio.gather(*(shop.add(cart_id, lamp, n) for n in range(1, 17)))
    cart = await shop.get(cart_id)
    assert [line.quantity for line in cart.lines] == [136]
    assert (cart.etag, minor(cart.total)) == ("17", 136_000)


async def test_a_quantity_is_set_and_none_removes_the_line(shop: Shop) -> None:
    lamp, shade = await shop.sells((10, 0), (1, 0))
    cart_id = await shop.cart()
    await shop.add(cart_id, lamp)
    line, other = (await shop.add(cart_id, shade)).lines
    cart = await shop.do(pb.SetQuantityRequest(cart_id=cart_id, line_id=line.id, quantity=7))
    assert [each.quantity for each in cart.lines] == [7, 1]
    same = await shop.do(pb.SetQuantityRequest(cart_id=cart_id, line_id=line.id, quantity=7))
    assert same == cart, "what changes nothing is no change"
    cart = await shop.do(pb.SetQuantityRequest(cart_id=cart_id, line_id=line.id, quantity=0))
    assert [each.id for each in cart.lines] == [other.id]
    cart = await shop.do(pb.RemoveLineRequest(cart_id=cart_id, line_id=other.id))
    assert (list(cart.lines), minor(cart.total)) == ([], 0)
    for request in (
        pb.SetQuantityRequest(cart_id=cart_id, line_id=line.id, quantity=1),
        pb.RemoveLineRequest(cart_id=cart_id, line_id=line.id),
    ):
        async with refuses("NOT_FOUND", "LINE_NOT_FOUND"):
            await shop.do(request)


async def test_limits_are_told_by_the_field(shop: Shop) -> None:
    lamp, shade = await shop.sells((10, 0), (1, 0))
    cart_id = await shop.cart()
    for quantity in (0, -1, 10_001, 1 << 62):
        async with refuses("INVALID_ARGUMENT") as refusal:
            await shop.add(cart_id, lamp, quantity)
        assert list(refusal.violations) == ["quantity"]
    await shop.add(cart_id, lamp, 9_999)
    async with refuses("INVALID_ARGUMENT", "QUANTITY_TOO_LARGE") as refusal:
        await shop.add(cart_id, lamp, 2)
    assert list(refusal.violations) == ["quantity"]
    await shop.add(cart_id, lamp, 1)
    with shop.owner() as owner:
        owner.execute(
            "INSERT INTO cart_lines SELECT %s, gen_random_uuid(), %s, gen_random_uuid(), '[]', '', 1 "
            "FROM generate_series(1, 199)",
            (shop.id, cart_id),
        )
    async with refuses("RESOURCE_EXHAUSTED", "CART_FULL") as refusal:
        await shop.add(cart_id, shade)
    assert refusal.metadata["limit"] == "200"
    assert len((await shop.get(cart_id)).lines) == 200
    for currency in ("XXX", "BOV"):
        async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
            await shop.cart(currency)
        assert list(refusal.violations) == ["currency_code"]


async def test_what_cannot_be_bought_now_stays_and_is_not_counted(shop: Shop) -> None:
    made = await create(shop.running, shop.id, *(product() for _ in range(5)))
    cart_id = await shop.cart()
    for each in made:
        await shop.add(cart_id, each.variants[0].id, 2)
    draft, archived, gone, dollars, _ = made
    changes: list[tuple[products_pb.Product, dict[str, Any]]] = [
        (draft, {"status": products_pb.PRODUCT_STATUS_DRAFT}),
        (gone, {"variants": [variant(uuid7())]}),
        (dollars, {"variants": [variant(dollars.variants[0].sku, 1, 0, "USD")]}),
    ]
    operator = shop.running.products
    for before, change in changes:
        request = products_pb.UpdateProductRequest(product={"id": before.id, **change})
        await operator.UpdateProduct(request, metadata=of(shop.id))
    await operator.ArchiveProduct(products_pb.ArchiveProductRequest(id=archived.id), metadata=of(shop.id))
    cart = await shop.get(cart_id)
    assert [pb.Unavailable.Name(line.unavailable).removeprefix("UNAVAILABLE_") for line in cart.lines] == [
        "PRODUCT_DRAFT",
        "PRODUCT_ARCHIVED",
        "VARIANT_GONE",
        "CURRENCY_MISMATCH",
        "UNSPECIFIED",
    ]
    assert all(not line.HasField("amount") and "not counted" in line.explanation for line in cart.lines[:4])
    assert minor(cart.total) == minor(cart.lines[4].amount) == 2500
    assert cart.explanation.subtotal == "1 line = 25.00 EUR; 4 unavailable and not counted"
    assert (cart.line_count, len(cart.lines)) == (5, 5)


async def test_prices_are_those_of_the_moment_and_exact_to_the_largest(shop: Shop) -> None:
    [made] = await create(shop.running, shop.id, product(variants=[variant("one", 92233720368547758, 70_000_000)]))
    [cheap] = await shop.sells((0, 10_000_000))
    cart_id = await shop.cart()
    await shop.add(cart_id, made.variants[0].id)
    cart = await shop.add(cart_id, cheap)
    assert [line.unavailable for line in cart.lines] == [0, pb.UNAVAILABLE_AMOUNT_TOO_LARGE]
    assert minor(cart.total) == (1 << 63) - 1
    new = {"id": made.id, "variants": [variant("one", 0, 20_000_000)]}
    await shop.running.products.UpdateProduct(products_pb.UpdateProductRequest(product=new), metadata=of(shop.id))
    assert minor((await shop.get(cart_id)).total) == 3


async def test_only_what_is_on_sale_here_gets_into_a_cart(shop: Shop, eu: Running) -> None:
    other = Shop(eu, (new := entry()).id)
    await eu.apply(new)
    [theirs] = await other.sells((1, 0))
    [draft] = await create(eu, shop.id, product(status=products_pb.PRODUCT_STATUS_DRAFT))
    [dollars] = await shop.sells((1, 0), currency="USD")
    cart_id = await shop.cart()
    for hidden in (theirs, draft.variants[0].id, uuid7()):
        async with refuses("NOT_FOUND", "VARIANT_NOT_FOUND"):
            await shop.add(cart_id, hidden)
    async with refuses("FAILED_PRECONDITION", "CURRENCY_MISMATCH"):
        await shop.add(cart_id, dollars)
    assert (await shop.get(cart_id)).etag == "1"


# codes, e-mail, address


async def test_a_code_is_kept_as_entered_and_compared_as_it_is_meant(shop: Shop) -> None:
    cart_id = await shop.cart()
    first = await shop.do(pb.ApplyCodeRequest(cart_id=cart_id, code=" Welcome\uff11\uff10 "))
    again = await shop.do(pb.ApplyCodeRequest(cart_id=cart_id, code="WELCOME10"))
    assert again == first
    assert [(code.code, code.entered) for code in first.codes] == [("welcome10", " Welcome\uff11\uff10 ")]
    await shop.do(pb.ApplyCodeRequest(cart_id=cart_id, code="zwei"))
    cart = await shop.do(pb.RemoveCodeRequest(cart_id=cart_id, code="welcome10"))
    assert [code.code for code in cart.codes] == ["zwei"]
    async with refuses("NOT_FOUND", "CODE_NOT_FOUND"):
        await shop.do(pb.RemoveCodeRequest(cart_id=cart_id, code="welcome10"))
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await shop.do(pb.ApplyCodeRequest(cart_id=cart_id, code=" \t "))
    assert list(refusal.violations) == ["code"]
    for n in range(domain.MOST_CODES - 1):
        await shop.do(pb.ApplyCodeRequest(cart_id=cart_id, code=f"code-{n}"))
    async with refuses("RESOURCE_EXHAUSTED", "CODE_LIMIT_REACHED"):
        await shop.do(pb.ApplyCodeRequest(cart_id=cart_id, code="one more"))


async def test_who_the_shopper_is_nobody_reads_but_who_has_the_cart(shop: Shop) -> None:
    [lamp] = await shop.sells((10, 0))
    cart_id = await shop.cart()
    request = pb.SetEmailRequest(cart_id=cart_id, email=EMAIL, request_id=str(uuid.uuid4()))
    first = await shop.do(request)
    assert await shop.do(request) == first and not first.email
    request.email = "eve@mail.example"
    async with refuses("FAILED_PRECONDITION", "REQUEST_ID_REUSED"):
        await shop.do(request)
    address = pb.SetAddressRequest(cart_id=cart_id, address=ADDRESS, request_id=str(uuid.uuid4()))
    assert not (await shop.do(address)).HasField("address")
    await shop.add(cart_id, lamp, options={"engraving": "for ada"}, request_id=str(uuid.uuid4()))
    cart = await shop.get(cart_id)
    assert (cart.email, cart.address) == (EMAIL, ADDRESS)
    with shop.owner() as owner:
        tables = ("carts", "cart_lines", "cart_codes", "audit_entries", "outbox", "idempotency")
        kept = {
            table: str(owner.execute(f"SELECT * FROM {table} WHERE tenant_id = '{shop.id}'".encode()).fetchall())
            for table in tables
        }
    for table, rows in kept.items():
        assert rows != "[]" or table == "cart_codes"
        for secret in ("lovelace", "Lovelace", "mail.example", "James", "SW1Y"):
            assert secret not in rows, table
    for table in ("audit_entries", "outbox"):
        assert "for ada" not in kept[table]
    assert "set by version 2" in kept["audit_entries"] and "set by version 3" in kept["audit_entries"]
    await shop.do(pb.SetEmailRequest(cart_id=cart_id))
    await shop.do(pb.SetAddressRequest(cart_id=cart_id))
    cart = await shop.get(cart_id)
    assert not cart.email and not cart.HasField("address")


async def test_an_email_and_an_address_that_are_none_are_told_by_their_field(shop: Shop) -> None:
    cart_id = await shop.cart()
    for email in ("ada", "a b@mail.example", "a@b\r\nbcc: c", "@"):
        async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
            await shop.do(pb.SetEmailRequest(cart_id=cart_id, email=email))
        assert list(refusal.violations) == ["email"]
    wrong: dict[str, Any] = {"country_code": "gb", "city": "", "name": "", "lines": [""] * 5, "postal_code": "9" * 21}
    for name, value in wrong.items():
        address = {"name": "A", "lines": ["B"], "city": "C", "country_code": "GB", name: value}
        async with refuses("INVALID_ARGUMENT") as refusal:
            await shop.do(pb.SetAddressRequest(cart_id=cart_id, address=address))
        assert next(iter(refusal.violations)).startswith(f"address.{name}")


# merging


async def test_a_merge_adds_quantities_and_closes_the_source(shop: Shop) -> None:
    lamp, shade = await shop.sells((10, 0), (1, 0))
    guest, mine = await shop.cart(), await shop.cart()
    for cart_id, quantity in ((guest, 2), (mine, 3)):
        await shop.add(cart_id, lamp, quantity)
        await shop.do(pb.ApplyCodeRequest(cart_id=cart_id, code=f"code-{quantity}"))
    await shop.add(guest, shade, 4, options={"wrap": "red"})
    await shop.do(pb.SetEmailRequest(cart_id=guest, email="guest@mail.example"))
    await shop.do(pb.SetEmailRequest(cart_id=mine, email=EMAIL))
    await shop.do(pb.SetAddressRequest(cart_id=guest, address=ADDRESS))
    request_id = str(uuid.uuid4())
    merged = await shop.merge(guest, mine, request_id)
    cart = await shop.get(mine)
    assert [(line.variant_id, line.quantity) for line in cart.lines] == [(lamp, 5), (shade, 4)]
    assert [code.code for code in cart.codes] == ["code-3", "code-2"]
    assert (cart.email, cart.address) == (EMAIL, ADDRESS), "what the target was told stays"
    for again in ("", request_id):
        assert await shop.merge(guest, mine, again) == merged
    assert await shop.merge(guest.upper(), mine.upper()) == merged
    assert await shop.get(mine) == cart
    for request in (pb.GetCartRequest(id=guest), *requests(guest, mine, lamp, merged.lines[0].id).values()):
        if isinstance(request, pb.MergeCartsRequest | pb.CreateCartRequest):
            continue
        async with refuses("NOT_FOUND", "CART_NOT_FOUND"):
            await shop.do(request)
    with shop.owner() as owner:
        of_guest = "SELECT merged_into::text, line_count, length(email), length(address) FROM carts WHERE id = %s"
        assert owner.execute(of_guest, (guest,)).fetchone() == (mine, 0, 0, 0)
        assert owner.execute("SELECT count(*) FROM cart_lines WHERE cart_id = %s", (guest,)).fetchone() == (0,)


async def test_a_merge_that_cannot_be_changes_nothing(shop: Shop) -> None:
    [lamp] = await shop.sells((10, 0))
    guest, mine, third = [await shop.cart() for _ in range(3)]
    await shop.add(guest, lamp, 6_000)
    await shop.add(mine, lamp, 6_000)
    before = [await shop.get(each) for each in (guest, mine)]
    async with refuses("INVALID_ARGUMENT", "QUANTITY_TOO_LARGE") as refusal:
        await shop.merge(guest, mine)
    assert list(refusal.violations) == ["from_cart_id"]
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await shop.merge(guest, guest.upper())
    assert list(refusal.violations) == ["into_cart_id"]
    for pair in ((guest, str(uuid.uuid4())), (str(uuid.uuid4()), mine)):
        async with refuses("NOT_FOUND", "CART_NOT_FOUND"):
            await shop.merge(*pair)
    assert [await shop.get(each) for each in (guest, mine)] == before
    await shop.merge(guest, third)
    # It is closed, and nobody who only knows it learns into what.
    for pair in ((guest, mine), (mine, guest)):
        async with refuses("NOT_FOUND", "CART_NOT_FOUND") as refusal:
            await shop.merge(*pair)
        assert third not in str(refusal)


async def test_two_that_merge_into_each_other_end_as_one(shop: Shop) -> None:
    [lamp] = await shop.sells((10, 0))
    for _ in range(4):
        pair = [await shop.cart() for _ in range(2)]
        for cart_id in pair:
            await shop.add(cart_id, lamp, 2)
        calls = [shop.merge(*way) for way in (pair, pair[::-1]) * 2]
        ends = await asyncio.gather(*calls, return_exceptions=True)
        merged = [end for end in ends if isinstance(end, pb.Cart)]
        assert len(merged) == 2, ends
        [left] = {cart.id for cart in merged}
        assert [line.quantity for line in (await shop.get(left)).lines] == [4]
        codes = {end.code() for end in ends if isinstance(end, grpc.aio.AioRpcError)}
        assert codes == {grpc.StatusCode.NOT_FOUND}


# who may, and when


def requests(cart_id: str, other_id: str, variant_id: str, line_id: str, etag: str = "") -> dict[str, Message]:
    """A request of each method that changes a cart, which nothing but the cart's or the tenant's state refuses."""
    of_cart = {"cart_id": cart_id, "etag": etag}
    return {
        "CreateCart": pb.CreateCartRequest(currency_code="EUR"),
        "AddLine": pb.AddLineRequest(**of_cart, variant_id=variant_id, quantity=1),
        "SetQuantity": pb.SetQuantityRequest(**of_cart, line_id=line_id, quantity=2),
        "RemoveLine": pb.RemoveLineRequest(**of_cart, line_id=line_id),
        "SetAddress": pb.SetAddressRequest(**of_cart, address=ADDRESS),
        "SetEmail": pb.SetEmailRequest(**of_cart, email=EMAIL),
        "ApplyCode": pb.ApplyCodeRequest(**of_cart, code="TEN"),
        "RemoveCode": pb.RemoveCodeRequest(**of_cart, code="FIVE"),
        "MergeCarts": pb.MergeCartsRequest(from_cart_id=cart_id, into_cart_id=other_id),
        "DeleteCart": pb.DeleteCartRequest(id=cart_id, etag=etag),
    }


@pytest.fixture
async def asked(shop: Shop) -> tuple[str, Callable[..., dict[str, Message]]]:
    """A cart with a line and a code, and what would change it."""
    [lamp] = await shop.sells((10, 0))
    cart_id, other_id = await shop.cart(), await shop.cart()
    await shop.do(pb.ApplyCodeRequest(cart_id=cart_id, code="FIVE"))
    [line] = (await shop.add(cart_id, lamp)).lines
    return cart_id, lambda etag="": requests(cart_id, other_id, lamp, line.id, etag)


def test_every_change_is_tried() -> None:
    assert sorted(requests("", "", "", "")) == MUTATING


async def test_a_change_of_another_version_is_refused(shop: Shop, asked: tuple[str, Any]) -> None:
    cart_id, made = asked
    for name, request in made("2").items():
        if name in ("CreateCart", "MergeCarts"):
            continue
        async with refuses("ABORTED", "ETAG_MISMATCH"):
            await shop.do(request)
    cart = await shop.get(cart_id)
    assert (await shop.do(made(cart.etag)["SetQuantity"])).lines[0].quantity == 2


async def test_a_cart_that_became_an_order_stays_as_it_is(shop: Shop, asked: tuple[str, Any]) -> None:
    cart_id, made = asked
    order_id = uuid7()
    with shop.owner() as owner:
        owner.execute(
            "UPDATE carts SET state = 'COMPLETED', complete_time = now(), order_id = %s WHERE id = %s",
            (order_id, cart_id),
        )
    for name, request in made().items():
        if name == "CreateCart":
            continue
        async with refuses("FAILED_PRECONDITION", "CART_COMPLETED"):
            await shop.do(request)
    async with refuses("FAILED_PRECONDITION", "CART_COMPLETED"):
        await shop.merge(made()["MergeCarts"].into_cart_id, cart_id)
    cart = await shop.get(cart_id)
    assert (cart.state, cart.order_id, len(cart.lines)) == (pb.CART_STATE_COMPLETED, order_id, 1)
    assert cart.HasField("complete_time")


CLOSED: Mapping[str, tuple[dict[str, Any], str, str]] = {
    "read-only": ({"mode": tenant_pb2.TENANT_MODE_READ_ONLY}, "FAILED_PRECONDITION", "TENANT_READ_ONLY"),
    "suspended": ({"state": tenant_pb2.TENANT_STATE_SUSPENDED}, "FAILED_PRECONDITION", "TENANT_SUSPENDED"),
    "frozen": ({"writes_frozen": True, "moving_to_cluster_id": "us-1"}, "UNAVAILABLE", "TENANT_MOVING"),
}


@pytest.mark.parametrize("case", CLOSED)
async def test_a_closed_shops_carts_are_not_changed(shop: Shop, asked: tuple[str, Any], case: str) -> None:
    cart_id, made = asked
    changes, code, reason = CLOSED[case]
    await shop.running.apply(entry(shop.id, **changes))
    before = await digest(shop.running, shop.id)
    for request in made().values():
        async with refuses(code, reason):
            await shop.do(request)
    assert await digest(shop.running, shop.id) == before
    if case != "suspended":
        assert (await shop.get(cart_id)).line_count == 1


async def test_what_is_not_there_or_another_shops_is_not_found(shop: Shop, asked: tuple[str, Any], eu: Running) -> None:
    cart_id, made = asked
    other = Shop(eu, (new := entry()).id)
    await eu.apply(new)
    before = await digest(eu, shop.id)
    for name, request in {**made(), "GetCart": pb.GetCartRequest(id=cart_id)}.items():
        if name != "CreateCart":
            async with refuses("NOT_FOUND", "CART_NOT_FOUND"):
                await other.do(request)
    assert await digest(eu, shop.id) == before
    await shop.do(pb.DeleteCartRequest(id=cart_id))
    for request in (pb.GetCartRequest(id=cart_id), pb.DeleteCartRequest(id=cart_id)):
        async with refuses("NOT_FOUND", "CART_NOT_FOUND"):
            await shop.do(request)


async def test_carts_are_listed_for_the_shops_people_only(shop: Shop) -> None:
    [lamp] = await shop.sells((10, 0))
    euros, dollars, guest = await shop.cart(), await shop.cart("USD"), await shop.cart()
    await shop.add(euros, lamp)
    await shop.do(pb.SetEmailRequest(cart_id=euros, email=EMAIL))
    await shop.merge(guest, euros)
    async with refuses("PERMISSION_DENIED"):
        await shop.call.ListCarts(pb.ListCartsRequest(), metadata=of(shop.id))
    merchant = of(shop.id, bearer(shop.running.home, shop.id))

    async def listed(**given: Any) -> list[pb.Cart]:
        found: list[pb.Cart] = []
        token = ""
        while True:
            request = pb.ListCartsRequest(page_token=token, page_size=1, **given)
            page = await shop.call.ListCarts(request, metadata=merchant)
            found += page.carts
            if not (token := page.next_page_token):
                return found

    carts = await listed()
    assert [cart.id for cart in carts] == [guest, dollars, euros]
    assert (carts[0].state, carts[0].merged_into) == (MERGED, euros)
    assert carts[2].line_count == 1 and not carts[2].lines and not carts[2].email
    assert [cart.id for cart in await listed(filter="state = OPEN AND currency = USD")] == [dollars]
    assert [cart.id for cart in await listed(filter=f'id = "{euros}"')] == [euros]
    async with refuses("INVALID_ARGUMENT", "FILTER_INVALID"):
        await listed(filter="email = x")


async def test_a_request_that_comes_again_has_no_second_effect(shop: Shop) -> None:
    [lamp] = await shop.sells((10, 0))
    request = pb.CreateCartRequest(currency_code="EUR", request_id=str(uuid.uuid4()))
    made = [await shop.do(request) for _ in range(2)]
    assert made[0] == made[1]
    request_id = str(uuid.uuid4())
    added = await asyncio.gather(*(shop.add(made[0].id, lamp, 2, request_id=request_id) for _ in range(4)))
    assert all(cart == added[0] for cart in added)
    assert [line.quantity for line in (await shop.get(made[0].id)).lines] == [2]
    gone = pb.DeleteCartRequest(id=made[0].id, request_id=str(uuid.uuid4()))
    await shop.do(gone)
    await shop.do(gone)


# what others are told, and what is forgotten


class Ahead(SystemClock):
    def __init__(self, by: timedelta) -> None:
        self._by = by

    def now(self) -> datetime:
        return super().now() + self._by


@pytest.fixture
async def swept(eu: Running) -> AsyncIterator[Callable[[timedelta], Any]]:
    """swept(after) does what the cluster's upkeep does about carts, as if it were later."""
    steward, app = eu.database("center_steward"), eu.database("center_app")
    writes = Writes(app, eu.cluster.tenants, lambda: None)

    async def sweep(after: timedelta) -> None:
        while await sweeper.sweep(steward, writes, Ahead(after), "cluster/eu-1"):
            pass

    yield sweep
    await steward.close()
    await app.close()


def told(shop: Shop, cart_id: str) -> list[tuple[str, pb.CartChanged]]:
    with shop.owner() as owner:
        rows = owner.execute(
            "SELECT type, aggregate_version, payload FROM outbox WHERE aggregate_id = %s ORDER BY aggregate_version",
            (cart_id,),
        ).fetchall()
    events = [(str(type), pb.CartChanged.FromString(payload)) for type, _, payload in rows]
    assert [event.version for _, event in events] == [version for _, version, _ in rows]
    return events


async def test_others_are_told_of_a_cart_and_not_of_the_shopper(shop: Shop) -> None:
    [lamp] = await shop.sells((10, 0))
    cart_id, other_id = await shop.cart(), await shop.cart()
    await shop.add(cart_id, lamp, 3, options={"engraving": "for ada"})
    await shop.do(pb.SetEmailRequest(cart_id=cart_id, email=EMAIL))
    await shop.merge(cart_id, other_id)
    await shop.do(pb.DeleteCartRequest(id=other_id))
    events = told(shop, cart_id)
    assert [type for type, _ in events] == ["cart.created.v1", *["cart.updated.v1"] * 3]
    assert [[(line.variant_id, line.quantity) for line in event.lines] for _, event in events[1:]] == [
        [(lamp, 3)],
        [(lamp, 3)],
        [],
    ]
    assert events[2][1].has_email and not events[1][1].has_email
    assert (events[3][1].state, events[3][1].merged_into) == (MERGED, other_id)
    assert [type for type, _ in told(shop, other_id)] == ["cart.created.v1", "cart.updated.v1", "cart.deleted.v1"]


async def test_a_cart_that_was_left_is_told_of_once(shop: Shop, swept: Any) -> None:
    [lamp] = await shop.sells((10, 0))
    left, empty = await shop.cart(), await shop.cart()
    await shop.add(left, lamp, 2)
    await swept(timedelta(hours=23, minutes=59))
    assert [type for type, _ in told(shop, left)][-1] == "cart.updated.v1"
    for _ in range(2):
        await swept(timedelta(hours=24, minutes=1))
    events = told(shop, left)
    assert [type for type, _ in events] == ["cart.created.v1", "cart.updated.v1", "cart.abandoned.v1"]
    assert [line.quantity for line in events[2][1].lines] == [2]
    assert len(told(shop, empty)) == 1, "nobody left anything in it"
    await shop.add(left, lamp)
    await swept(timedelta(hours=48))
    assert [type for type, _ in told(shop, left)].count("cart.abandoned.v1") == 1


async def test_a_cart_that_is_touched_before_it_is_swept_stays(shop: Shop, eu: Running) -> None:
    """It was due when somebody looked, and is not any more."""
    [lamp] = await shop.sells((10, 0))
    cart_id = await shop.cart()
    before = await shop.add(cart_id, lamp)
    app = eu.database("center_app")
    writes = Writes(app, eu.cluster.tenants, lambda: None)
    for step in (sweeper._forget, sweeper._abandon):
        assert await step(writes, shop.id, [cart_id], SystemClock()) == 0
    await app.close()
    assert await shop.get(cart_id) == before


def test_a_cart_is_abandoned_once() -> None:
    now = datetime.now(UTC)
    cart = domain.Cart("c", "EUR", now, now, lines=(domain.Line("l", "v", (), 1),))
    left = domain.abandon(cart, now + timedelta(days=1))
    assert left is not None and domain.abandon(left, now + timedelta(days=9)) is None
    assert domain.abandon(cart, now + timedelta(hours=23)) is None


async def test_a_cart_that_nobody_touches_is_forgotten_unless_its_shop_is_closed(
    shop: Shop, eu: Running, swept: Any
) -> None:
    other = Shop(eu, (new := entry()).id)
    await eu.apply(new)
    carts = []
    for each in (shop, other):
        [lamp] = await each.sells((10, 0))
        carts.append(await each.cart())
        await each.add(carts[-1], lamp)
        await each.do(pb.ApplyCodeRequest(cart_id=carts[-1], code="TEN"))
    await eu.apply(entry(other.id, mode=tenant_pb2.TENANT_MODE_READ_ONLY))
    await swept(timedelta(days=29, hours=23))
    assert (await shop.get(carts[0])).line_count == 1
    await swept(timedelta(days=30, seconds=1))
    async with refuses("NOT_FOUND", "CART_NOT_FOUND"):
        await shop.get(carts[0])
    with shop.owner() as owner:
        for table in ("carts", "cart_lines", "cart_codes"):
            found = owner.execute(f"SELECT DISTINCT tenant_id::text FROM {table}".encode()).fetchall()
            assert (shop.id,) not in found and (other.id,) in found
    assert (await other.get(carts[1])).line_count == 1


async def test_a_move_brings_carts_along(shop: Shop, us: Running) -> None:
    [lamp] = await shop.sells((10, 0))
    cart_id, guest = await shop.cart(), await shop.cart()
    await shop.add(cart_id, lamp, 2, options={"engraving": "灯"})
    await shop.add(guest, lamp)
    await shop.merge(guest, cart_id)
    await shop.do(pb.ApplyCodeRequest(cart_id=cart_id, code="TEN"))
    await shop.do(pb.SetEmailRequest(cart_id=cart_id, email=EMAIL))
    await shop.do(pb.SetAddressRequest(cart_id=cart_id, address=ADDRESS))
    before = await shop.get(cart_id)
    moving = entry(shop.id, writes_frozen=True, moving_to_cluster_id="us-1")
    await shop.running.apply(moving)
    await move_rows(shop.running, us, moving)
    assert await digest(us, shop.id) == await digest(shop.running, shop.id)
    await us.apply(entry(shop.id, cluster_id="us-1"))
    there = Shop(us, shop.id)
    assert await there.get(cart_id) == before
    assert (await there.add(cart_id, lamp, options={"engraving": "灯"})).lines[0].quantity == 3


# a shopper at random


@dataclass
class Model:
    """A cart as plain as can be: quantities by variant and option, codes, version."""

    quantities: dict[tuple[str, str], int] = field(default_factory=dict)
    codes: list[str] = field(default_factory=list)
    version: int = 1


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_a_shopper_does_the_cart_is_what_a_plain_model_says(shop: Shop, seed: int) -> None:
    rng = random.Random(seed)
    cents = [rng.choice((0, 1, 99, 1250, 99_999_999)) for _ in range(4)]
    variants = await shop.sells(*((each // 100, each % 100 * 10_000_000) for each in cents))
    price_of = dict(zip(variants, cents, strict=True))
    models = {await shop.cart(): Model() for _ in range(2)}
    for _ in range(60):
        cart_id = rng.choice(list(models))
        cart = await _step(rng, shop, cart_id, models, variants)
        model = models[cart_id]
        assert {(line.variant_id, _option(line)): line.quantity for line in cart.lines} == model.quantities
        assert [code.code for code in cart.codes] == model.codes
        total = sum(price_of[variant_id] * n for (variant_id, _), n in model.quantities.items())
        assert (minor(cart.total), sum(minor(line.amount) for line in cart.lines)) == (total, total)
        assert cart.etag == str(model.version)
        assert cart == await shop.get(cart_id)


async def _step(rng: random.Random, shop: Shop, cart_id: str, models: dict[str, Model], variants: list[str]) -> pb.Cart:
    """Does something at random to a cart and to its model."""
    model = models[cart_id]
    before = await shop.get(cart_id)
    match rng.choice(("add", "add", "add", "set", "remove", "apply", "drop", "merge")):
        case "add":
            variant_id, option, quantity = rng.choice(variants), rng.choice(("", "red")), rng.randint(1, 40)
            options = {"wrap": option} if option else {}
            cart = await shop.add(cart_id, variant_id, quantity, options=options)
            model.quantities[variant_id, option] = model.quantities.get((variant_id, option), 0) + quantity
            model.version += 1
            return cart
        case "set" | "remove" if before.lines:
            line = rng.choice(list(before.lines))
            quantity = rng.choice((0, line.quantity, rng.randint(1, 10_000)))
            cart = await shop.do(pb.SetQuantityRequest(cart_id=cart_id, line_id=line.id, quantity=quantity))
            model.version += quantity != line.quantity
            model.quantities[line.variant_id, _option(line)] = quantity
            if not quantity:
                del model.quantities[line.variant_id, _option(line)]
            return cart
        case "apply":
            code = rng.choice("abc")
            cart = await shop.do(pb.ApplyCodeRequest(cart_id=cart_id, code=code.upper()))
            if code not in model.codes:
                model.codes.append(code)
                model.version += 1
            return cart
        case "drop" if model.codes:
            code = rng.choice(model.codes)
            model.codes.remove(code)
            model.version += 1
            return await shop.do(pb.RemoveCodeRequest(cart_id=cart_id, code=code))
        case "merge":
            return await _merged(shop, cart_id, models)
    return before


async def _merged(shop: Shop, into_id: str, models: dict[str, Model]) -> pb.Cart:
    """Another cart comes in, and a new one takes its place."""
    [from_id] = set(models) - {into_id}
    source, into = models[from_id], models[into_id]
    sums = {key: into.quantities.get(key, 0) + n for key, n in source.quantities.items()}
    if any(n > 10_000 for n in sums.values()):
        async with refuses("INVALID_ARGUMENT", "QUANTITY_TOO_LARGE"):
            await shop.merge(from_id, into_id)
        return await shop.get(into_id)
    cart = await shop.merge(from_id, into_id)
    new = [code for code in source.codes if code not in into.codes]
    into.version += bool(sums or new)
    into.quantities |= sums
    into.codes += new
    del models[from_id]
    models[await shop.cart()] = Model()
    return cart


def _option(line: pb.CartLine) -> str:
    return line.options[0].value if line.options else ""


# what becomes of its order


async def test_a_cart_that_became_an_order_stays_as_it_is_until_that_comes_to_nothing(shop: Shop) -> None:
    [lamp] = await shop.sells((5, 0))
    cart_id, order_id = await shop.cart(), uuid7()
    await shop.add(cart_id, lamp)
    db = shop.running.database("center_app")
    async with db.transaction(shop.id) as tx:
        await store.lock(tx, shop.id, cart_id)
        cart, _ = await store.get(tx, shop.id, cart_id)
        await ops.complete(tx, shop.id, cart, order_id, datetime.now(UTC))
    done = await shop.get(cart_id)
    assert (done.state, done.order_id, done.etag) == (pb.CART_STATE_COMPLETED, order_id, "3")
    async with refuses("FAILED_PRECONDITION", "CART_COMPLETED"):
        await shop.add(cart_id, lamp)
    for _ in range(2):
        async with db.transaction(shop.id) as tx:
            await ops.reopen(tx, shop.id, cart_id, datetime.now(UTC))
            await ops.reopen(tx, shop.id, uuid7(), datetime.now(UTC))
    await db.close()
    opened = await shop.get(cart_id)
    assert (opened.state, opened.order_id, opened.HasField("complete_time"), opened.etag) == (OPEN, "", False, "4")
    await shop.add(cart_id, lamp)
