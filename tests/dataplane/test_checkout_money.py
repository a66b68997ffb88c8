"""What a cart comes to: shipping and tax by example, all of its sums over random carts, and no float anywhere."""

import ast
import os
import random
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from dataplane.carts.domain import Cart, Code, Line
from dataplane.carts.pricing import Offer
from dataplane.checkout import domain
from dataplane.checkout.domain import Requirement, Settings, ShippingRate, ShippingRow, TaxRate
from dataplane.promotions.domain import Effect, Promotion, Target, Type
from shared.runtime.errors import InvalidArgument, NotFound
from shared.runtime.money import Money
from tests.dataplane.test_promotion_rules import promotion, random_promotion

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
# SOAK_CARTS=100000 for a long look, with other seeds every time.
SOAK = int(os.environ.get("SOAK_CARTS", "0"))
CARTS = SOAK or 5_000
SEED = random.randrange(1 << 32) if SOAK else 1

VAT = TaxRate("GB", 2000, "VAT", applies_to_shipping=True)
STANDARD = ShippingRate("standard", "Standard", "EUR", (ShippingRow(0, 490), ShippingRow(5000, 0)))
ABROAD = ShippingRate("abroad", "Abroad", "EUR", (ShippingRow(0, 1900),), ("US", "JP"))


def cart(*lines: tuple[int, int], codes: tuple[str, ...] = ()) -> tuple[Cart, dict[str, Offer]]:
    """(quantity, unit price) of each line."""
    made = tuple(Line(f"line-{n}", f"variant-{n}", (), quantity) for n, (quantity, _) in enumerate(lines))
    offers = {
        f"variant-{n}": Offer(f"product-{n}", "Lamp", "ACTIVE", "", "abc"[n % 3], Money("EUR", unit))
        for n, (_, unit) in enumerate(lines)
    }
    return Cart("cart", "EUR", NOW, NOW, lines=made, codes=tuple(Code(each, each) for each in codes)), offers


def quote(
    settings: Settings,
    *lines: tuple[int, int],
    country: str = "GB",
    shipping: int = 0,
    found: tuple[Promotion, ...] = (),
) -> domain.Quote:
    return domain.quote(settings, *cart(*lines), found, NOW, country, shipping)


# tax


@pytest.mark.parametrize(
    ("amount", "points", "included", "expected"),
    [
        (1000, 2000, False, 200),
        (1200, 2000, True, 200),
        (1, 5000, False, 1),  # half a unit is one
        (1, 4999, False, 0),
        (3, 5000, True, 1),
        (1, 10_000, True, 1),
        (5, 0, True, 0),
        (0, 2000, False, 0),
        (9_999_999, 1900, True, 1_596_638),
    ],
)
def test_tax_is_rounded_half_up(amount: int, points: int, included: bool, expected: int) -> None:
    assert domain.tax(amount, points, included=included) == expected


def test_tax_is_part_of_a_price_or_comes_on_top_line_by_line() -> None:
    on_top = quote(Settings(tax_rates=(VAT,)), (1, 1003), (1, 1003), shipping=490)
    assert ([part.tax_minor for part in on_top.parts], on_top.tax_minor) == ([201, 201], 500)
    assert on_top.total_minor == 2006 + 490 + 500
    part_of = quote(Settings(prices_include_tax=True, tax_rates=(VAT,)), (1, 1003), (1, 1003), shipping=490)
    assert ([part.tax_minor for part in part_of.parts], part_of.tax_minor) == ([167, 167], 416)
    assert part_of.total_minor == 2006 + 490


def test_a_country_has_its_own_rate_or_that_of_all_others() -> None:
    settings = Settings(tax_rates=(VAT, TaxRate("", 700)))
    assert [quote(settings, (1, 1000), country=each).tax_minor for each in ("GB", "FR", "")] == [200, 70, 70]
    assert quote(Settings(tax_rates=(VAT,)), (1, 1000), country="FR").tax_minor == 0


def test_what_is_taken_off_is_not_taxed() -> None:
    free = promotion(Effect(Type.FREE_SHIPPING, Target.SHIPPING), id="a")
    half = promotion(Effect(Type.PERCENT, Target.ORDER, basis_points=5000), id="b")
    made = quote(Settings(tax_rates=(VAT,)), (1, 1000), shipping=490, found=(free, half))
    assert ([(part.discount_minor, part.tax_minor) for part in made.parts], made.tax_minor) == ([(500, 100)], 100)
    assert (made.priced.discount_minor, made.total_minor) == (990, 600)


# shipping


def test_shipping_is_what_the_country_the_currency_and_the_goods_allow() -> None:
    settings = Settings(shipping_rates=(STANDARD, ABROAD))

    def found(country: str, goods: int, currency: str = "EUR") -> list[tuple[str, int]]:
        return [(each.id, each.price_minor) for each in domain.methods(settings, currency, country, goods)]

    assert found("GB", 0) == [("standard", 490)]
    assert found("GB", 4999) == [("standard", 490)]
    assert found("GB", 5000) == [("standard", 0)]
    assert found("US", 10) == [("standard", 490), ("abroad", 1900)]
    assert found("US", 10, "USD") == []
    assert domain.methods(Settings(), "USD", "US", 10) == [domain.FREE]
    with pytest.raises(NotFound):
        domain.chosen(domain.methods(settings, "EUR", "GB", 10), "abroad")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (Settings(hold_s=59), "hold_seconds"),
        (Settings(hold_s=86_401), "hold_seconds"),
        (Settings(tax_rates=(VAT, VAT)), "tax_rates"),
        (Settings(shipping_rates=(STANDARD, STANDARD)), "shipping_rates"),
        (Settings(shipping_rates=(ShippingRate("a", "a", "XXX", (ShippingRow(0, 1),)),)), "currency_code"),
        (Settings(shipping_rates=(ShippingRate("a", "a", "EUR", (ShippingRow(0, 1), ShippingRow(0, 2))),)), "rows"),
    ],
)
def test_settings_that_say_two_things_are_refused(settings: Settings, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        domain.checked(settings)
    assert field in str(refused.value)


def test_rows_count_in_whatever_order_they_come() -> None:
    turned = ShippingRate("a", "a", "EUR", (ShippingRow(5000, 0), ShippingRow(0, 490)))
    settings = domain.checked(Settings(shipping_rates=(turned,)))
    assert [domain.methods(settings, "EUR", "GB", goods)[0].price_minor for goods in (10, 6000)] == [490, 0]


def test_what_is_missing_is_named() -> None:
    nothing = quote(Settings())
    assert domain.missing(nothing, [], has_email=False, has_address=False) == [
        Requirement.LINES,
        Requirement.EMAIL,
        Requirement.ADDRESS,
        Requirement.SHIPPING_METHOD,
        Requirement.TOTAL,
    ]
    gone, _ = cart((1, 100))
    unavailable = domain.quote(Settings(), gone, {}, (), NOW, "GB", 5)
    assert domain.missing(unavailable, [domain.FREE], has_email=True, has_address=True) == [Requirement.AVAILABLE_LINES]
    too_much = quote(Settings(), (1, (1 << 63) - 1), shipping=1)
    assert domain.missing(too_much, [domain.FREE], has_email=True, has_address=True) == [Requirement.TOTAL]
    assert domain.missing(quote(Settings(), (1, 1)), [domain.FREE], has_email=True, has_address=True) == []


# random carts


def _worlds(seed: int) -> Iterator[tuple[Settings, domain.Quote, str]]:
    """Quotes of random carts in random shops."""
    rng = random.Random(seed)
    known = [random_promotion(rng, number) for number in range(1_000)]
    shops = [
        Settings(
            prices_include_tax=rng.random() < 0.5,
            tax_rates=tuple(
                TaxRate(country, rng.choice((0, 1, 700, 1900, 2000, 10_000)), "", rng.random() < 0.5)
                for country in rng.sample(("GB", "FR", ""), rng.randrange(4))
            ),
        )
        for _ in range(200)
    ]
    prices = (0, 1, 3, 99, 333, 1250, 99_999, 1_000_000_007)
    carts = [
        cart(
            *((rng.choice((1, 1, 2, 7, 10_000)), rng.choice(prices)) for _ in range(rng.choice((1, 2, 3, 8)))),
            codes=tuple(f"code-{n}" for n in range(rng.randrange(4))),
        )
        for _ in range(2_000)
    ]
    while True:
        settings, country = rng.choice(shops), rng.choice(("GB", "FR", "US", ""))
        found = rng.sample(known, rng.choice((0, 1, 2, 3, 5)))
        made = domain.quote(settings, *rng.choice(carts), found, NOW, country, rng.choice((0, 0, 1, 490, 99_999)))
        yield settings, made, country


def test_of_random_carts_every_sum_is_exact() -> None:
    worlds = _worlds(SEED)
    discounted = 0
    for _ in range(CARTS):
        settings, made, country = next(worlds)
        priced = made.priced
        off = sum(each.amount_minor for each in priced.discounts)
        assert priced.subtotal_minor == sum(line.amount_minor for line in priced.lines)
        assert off == priced.discount_minor == sum(each.amount_minor for each in priced.used.adjustments)
        shipping_off = sum(each.amount_minor for each in priced.used.adjustments if not each.line_id)
        assert off == shipping_off + sum(part.discount_minor for part in made.parts), "every part of it is somewhere"
        assert 0 <= shipping_off <= made.shipping_minor
        rate = domain.rate_of(settings, country)
        taxes = 0
        for line, part in zip(priced.lines, made.parts, strict=True):
            assert 0 <= part.discount_minor <= line.amount_minor
            taxes += _taxed(part.tax_minor, line.amount_minor - part.discount_minor, rate.basis_points, settings)
        points = rate.basis_points if rate.applies_to_shipping else 0
        taxes += _taxed(made.tax_minor - taxes, made.shipping_minor - shipping_off, points, settings)
        assert taxes == made.tax_minor
        net = priced.subtotal_minor + made.shipping_minor - off
        assert made.total_minor == net + (0 if settings.prices_include_tax else taxes)
        assert _floats(made) == []
        discounted += off > 0
    assert discounted > CARTS // 4


def _taxed(minor: int, amount: int, points: int, settings: Settings) -> int:
    """The tax, which is the exact one rounded half up."""
    exact = Fraction(amount * points, 10_000 + points if settings.prices_include_tax else 10_000)
    assert exact - Fraction(1, 2) < minor <= exact + Fraction(1, 2), (minor, exact)
    return minor


def _floats(value: object) -> list[object]:
    if is_dataclass(value):
        return [each for field in fields(value) for each in _floats(getattr(value, field.name))]
    if isinstance(value, tuple):
        return [each for part in value for each in _floats(part)]
    return [value] if isinstance(value, float) else []


# no float

MONEY = [
    *(
        path
        for name in ("carts", "checkout", "orders", "promotions")
        for path in (ROOT / "dataplane" / name).glob("*.py")
    ),
    ROOT / "shared" / "runtime" / "money.py",
]


def floats(source: str) -> list[str]:
    """Where a float could come from."""
    found = []
    for node in ast.walk(ast.parse(source)):
        is_literal = isinstance(node, ast.Constant) and isinstance(node.value, float | complex)
        is_division = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
        is_call = isinstance(node, ast.Name) and node.id in ("float", "round", "Decimal")
        if is_literal or is_division or is_call:
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def test_a_float_would_be_found() -> None:
    assert len(floats("a = 1.5; b = a / 2; b /= 3; c = float(b); d = round(c); e = 2 // 1")) == 5


# Seconds, of which none is money: how long somebody waits before he looks again.
_SECONDS = ("retry_after_s", "EVERY_S", "_s=")


@pytest.mark.parametrize("path", MONEY, ids=lambda path: str(path.relative_to(ROOT)))
def test_where_money_is_counted_there_is_no_float(path: Path) -> None:
    source = path.read_text()
    lines = source.splitlines()
    found = [
        each for each in floats(source) if not any(word in lines[int(each.split(":")[0]) - 1] for word in _SECONDS)
    ]
    assert found == []
