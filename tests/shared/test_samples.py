"""The sample data as drafts: codes that never meet, products that are products."""

import re

from hypothesis import given
from hypothesis import strategies as st

from shared.samples import domains, load, retail

CODE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True)


def line(**changes: str) -> dict[str, str]:
    usual = {
        "InvoiceNo": "536365",
        "StockCode": "85123A",
        "Description": "WHITE HANGING  HEART T-LIGHT HOLDER.",
        "Quantity": "6",
        "InvoiceDate": "2010-12-01 08:26:00",
        "UnitPrice": "2.55",
    }
    return {**usual, **changes}


def test_every_sample_domain_gets_a_code_of_its_own() -> None:
    shops = load.all_shops()
    assert len(shops) == 10_000
    assert len({shop.code for shop in shops}) == 10_000
    assert {shop.code: shop.domain for shop in shops}["google-com"] == "google.com"
    for shop in shops:
        assert CODE.fullmatch(shop.code), shop
        assert shop.code[2:4] != "--", shop


@given(st.lists(LABEL, min_size=1, max_size=8).map(".".join), st.lists(LABEL, min_size=1, max_size=8).map(".".join))
def test_two_domains_never_share_a_code(one: str, other: str) -> None:
    assert CODE.fullmatch(domains.code(one))
    assert (domains.code(one) == domains.code(other)) == (one == other)


def test_a_domain_counts_once_and_comments_do_not() -> None:
    found = domains.shops(["# popular", "Google.com", "google.com.", "", "bbc.co.uk  # news"])
    assert [shop.domain for shop in found] == ["google.com", "bbc.co.uk"]


def test_the_latest_price_counts_and_the_commonest_description() -> None:
    found = retail.catalogue(
        [
            line(),
            line(InvoiceDate="2011-03-01 10:00:00", UnitPrice="2.95", Description="HEART HOLDER"),
            line(InvoiceDate="2011-01-01 10:00:00", UnitPrice="9.99", StockCode="85123a"),
        ]
    )
    assert found.products == [retail.Product("85123A", "White Hanging Heart T-Light Holder", 295)]
    assert not found.refusals


def test_lines_that_sell_no_product_say_why() -> None:
    rows = {
        "the stock code is a charge, not a product": line(StockCode="POST"),
        "a cancellation": line(InvoiceNo="C536365", Quantity="-6"),
        "a correction of stock: the quantity is not positive": line(Quantity="-3"),
        "no price": line(UnitPrice="0.0"),
        "the quantity or the price is no number": line(UnitPrice="?"),
        "the description is a stock note": line(Description="damaged"),
    }
    found = retail.catalogue(rows.values())
    assert not found.products
    assert [refusal.reason for refusal in found.refusals] == list(rows)
    assert [refusal.line for refusal in found.refusals] == [2, 3, 4, 5, 6, 7]


def test_the_sample_month_is_a_catalogue_with_handles_of_their_own() -> None:
    found = load.sample_catalogue()
    assert found.lines == 42_481
    assert len(found.products) > 2_500
    assert len({product.handle for product in found.products}) == len(found.products)
    for product in found.products:
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?", product.handle), product
        assert product.price_minor > 0
        assert not re.search(r"\s", product.sku)
