"""SearchProducts by more than words, on a real server and PostgreSQL."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from center.dataplane.v1 import inventory_service_pb2 as stock_pb
from center.dataplane.v1 import product_service_pb2 as pb
from dataplane.products.search import band_end
from shared.runtime.ids import uuid7
from shared.runtime.money import LARGEST_MINOR
from tests.dataplane.cluster import Running, create, entry, of, product, variant
from tests.dataplane.test_merchandising import Shelves
from tests.dataplane.test_product_options import COLOUR, SIZE, sized
from tests.support.grpc import refuses


@dataclass
class Shop:
    """Three shirts and two lamps, some of them arranged and in stock; nothing here changes them."""

    running: Running
    tenant: str
    category: dict[str, str]
    collection_id: str

    async def search(self, **request: Any) -> pb.SearchProductsResponse:
        asked = pb.SearchProductsRequest(**request)
        answer: pb.SearchProductsResponse = await self.running.shop.SearchProducts(asked, metadata=of(self.tenant))
        return answer

    async def found(self, **request: Any) -> list[str]:
        return [each.handle for each in (await self.search(**request)).products]


def priced(sku: str, units: int, **options: str) -> pb.Variant:
    made = sized(sku, **options)
    made.price.units, made.price.nanos = units, 0
    return made


@pytest.fixture(scope="module")
async def shop(eu: Running) -> AsyncIterator[Shop]:
    tenant = entry()
    await eu.apply(tenant)
    both: dict[str, Any] = {"options": [SIZE, COLOUR]}
    shirts = [
        product("plain", title="plain shirt", variants=[priced("p-s", 10, Size="S", Colour="red")], **both),
        product(
            "striped",
            title="Striped shirt",
            variants=[priced("t-s", 20, Size="S", Colour="blue, dark"), priced("t-m", 5, Size="M", Colour="red")],
            **both,
        ),
        product("dear", title="A dear shirt", variants=[priced("d-l", 95, Size="L", Colour="red")], **both),
    ]
    lamps = [
        product("lamp", title="Brass lamp", description="Shines on a shirt", variants=[priced("lamp", 50)]),
        product("yen", title="Paper lamp", variants=[variant("yen", 3000, 0, "JPY")]),
        product("draft", title="Secret shirt", status=pb.PRODUCT_STATUS_DRAFT, variants=[priced("secret", 10)]),
    ]
    made = {each.handle: each for each in await create(eu, tenant.id, *shirts, *lamps)}
    shelves = Shelves(eu, tenant.id)
    clothes = await shelves.category("Clothes")
    tops = await shelves.category("Tops", clothes.id)
    await shelves.place(made["plain"].id, tops)
    await shelves.place(made["striped"].id, tops, clothes)
    await shelves.place(made["dear"].id, clothes)
    await shelves.place(made["draft"].id, tops)
    sale = await shelves.collection("Sale")
    await shelves.fill(sale, [made[each].id for each in ("striped", "lamp", "draft", "plain")])
    received = [
        {"variant_id": of_product.variants[at].id, "kind": "STOCK_MOVEMENT_KIND_RECEIVED", "quantity": 1}
        for of_product, at in ((made["striped"], 0), (made["lamp"], 0), (made["plain"], 0))
    ]
    await eu.inventory.AdjustStock(stock_pb.AdjustStockRequest(adjustments=received), metadata=of(tenant.id))
    held: Any = {"variant_id": made["plain"].variants[0].id, "quantity": 1}
    reserve = stock_pb.ReserveRequest(owner_id=uuid7(), lines=[held], ttl={"seconds": 86_400})
    await eu.inventory.Reserve(reserve, metadata=of(tenant.id))
    back: Any = {"variant_id": made["dear"].variants[0].id, "allows_backorder": True}
    await eu.inventory.ConfigureStock(stock_pb.ConfigureStockRequest(**back), metadata=of(tenant.id))
    yield Shop(eu, tenant.id, {"clothes": clothes.id, "tops": tops.id}, sale.id)


def eur(units: int) -> dict[str, Any]:
    return {"currency_code": "EUR", "units": units}


RED = {"name": "Colour", "values": ["red"]}


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        ({}, ["yen", "lamp", "dear", "striped", "plain"]),
        ({"query": "shirt", "sort": "PRODUCT_SORT_NEWEST"}, ["lamp", "dear", "striped", "plain"]),
        # Equal matches: the oldest first.
        ({"query": "shirt -brass", "in_stock": True}, ["striped", "dear"]),
        ({"options": [RED]}, ["dear", "striped", "plain"]),
        ({"options": [RED, {"name": "Size", "values": ["S", "M"]}]}, ["striped", "plain"]),
        ({"options": [{"name": "Colour", "values": ["S"]}]}, []),
        # One variant is blue and the other is M.
        ({"options": [{"name": "Colour", "values": ["blue, dark"]}, {"name": "Size", "values": ["M"]}]}, []),
        ({"options": [RED], "in_stock": True}, ["dear"]),
        ({"in_stock": True}, ["lamp", "dear", "striped"]),
        ({"currency_code": "EUR", "min_price": eur(10), "max_price": eur(50)}, ["lamp", "striped", "plain"]),
        ({"currency_code": "EUR", "max_price": eur(9)}, ["striped"]),
        # The one that is red costs 5.
        ({"currency_code": "EUR", "min_price": eur(15), "options": [RED]}, ["dear"]),
        ({"currency_code": "JPY", "min_price": {"currency_code": "JPY", "units": 1}}, ["yen"]),
        ({"currency_code": "EUR", "sort": "PRODUCT_SORT_PRICE"}, ["striped", "plain", "lamp", "dear", "yen"]),
        ({"currency_code": "EUR", "sort": "PRODUCT_SORT_PRICE_DESC"}, ["dear", "lamp", "plain", "striped", "yen"]),
        ({"sort": "PRODUCT_SORT_TITLE"}, ["dear", "lamp", "yen", "plain", "striped"]),
        ({"options": [{"name": "Colour", "values": ["'; DROP TABLE products; --"]}]}, []),
    ],
)
async def test_what_is_asked_for_is_found_in_its_order(shop: Shop, request_: dict[str, Any], found: list[str]) -> None:
    assert await shop.found(**request_) == found
    paged, token = [], ""
    while True:
        page = await shop.search(**request_, page_size=1, page_token=token)
        paged += [each.handle for each in page.products]
        if not (token := page.next_page_token):
            break
    assert paged == found


async def test_a_category_holds_what_is_below_it(shop: Shop) -> None:
    assert await shop.found(category_id=shop.category["clothes"]) == ["dear", "striped", "plain"]
    assert await shop.found(category_id=shop.category["tops"]) == ["striped", "plain"]
    assert await shop.found(category_id=shop.category["tops"], query="striped") == ["striped"]
    assert await shop.found(category_id=shop.collection_id) == []


async def test_a_collection_is_found_in_its_own_order(shop: Shop) -> None:
    assert await shop.found(collection_id=shop.collection_id) == ["striped", "lamp", "plain"]
    newest = await shop.found(collection_id=shop.collection_id, sort="PRODUCT_SORT_NEWEST")
    assert newest == ["lamp", "striped", "plain"]


async def test_facets_count_what_is_found(shop: Shop) -> None:
    facets = (await shop.search(query="shirt", currency_code="EUR", facets=True, page_size=1)).facets
    assert facets.products == 4
    assert [(each.handle, each.products) for each in facets.categories] == [("clothes", 3), ("tops", 2)]
    assert [(each.name, each.value, each.products) for each in facets.options] == [
        ("Colour", "blue, dark", 1),
        ("Colour", "red", 3),
        ("Size", "L", 1),
        ("Size", "M", 1),
        ("Size", "S", 2),
    ]
    bands = [(each.start.units, each.below.units, each.products) for each in facets.price_bands]
    assert bands == [(5, 10, 1), (10, 20, 1), (50, 100, 2)]
    fewer = (await shop.search(category_id=shop.category["tops"], facets=True)).facets
    assert (fewer.products, len(fewer.price_bands), fewer.categories[0].title) == (2, 0, "Clothes")
    assert not (await shop.search(query="shirt")).HasField("facets")


@pytest.mark.parametrize(
    "wrong",
    [
        {"sort": "PRODUCT_SORT_RELEVANCE"},
        {"sort": "PRODUCT_SORT_COLLECTION"},
        {"sort": "PRODUCT_SORT_PRICE"},
        {"currency_code": "XXX"},
        {"currency_code": "eur"},
        {"min_price": eur(1)},
        {"currency_code": "JPY", "max_price": eur(1)},
        {"options": [RED, RED]},
        {"options": [{"name": "Colour"}]},
        {"category_id": "x"},
    ],
)
async def test_a_search_that_makes_no_sense_is_refused(shop: Shop, wrong: dict[str, Any]) -> None:
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
        await shop.search(**wrong)


async def test_a_token_is_of_its_own_search(shop: Shop) -> None:
    page = await shop.search(sort="PRODUCT_SORT_TITLE", page_size=1)
    async with refuses("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await shop.search(sort="PRODUCT_SORT_NEWEST", page_token=page.next_page_token)


async def test_prices_of_every_size_have_their_band(eu: Running, tenant: str) -> None:
    amounts = [0, 1, 2, 4, 5, 9, 10, 99, 1000, LARGEST_MINOR]
    made = [product(variants=[variant(f"y-{n}", n, 0, "JPY")]) for n in amounts]
    await create(eu, tenant, *made)
    request = pb.SearchProductsRequest(currency_code="JPY", facets=True)
    facets = (await eu.shop.SearchProducts(request, metadata=of(tenant))).facets
    bands = [(each.start.units, each.below.units, each.products) for each in facets.price_bands]
    assert bands == [
        (0, 1, 1),
        (1, 2, 1),
        (2, 5, 2),
        (5, 10, 2),
        (10, 20, 1),
        (50, 100, 1),
        (1000, 2000, 1),
        (5 * 10**18, LARGEST_MINOR, 1),
    ]
    assert [band_end(start) for start in (0, 1, 2, 5, 500)] == [1, 2, 5, 10, 1000]
