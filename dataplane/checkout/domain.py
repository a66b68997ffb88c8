"""How a shop sells, and what a cart comes to by it: what it is shipped for, what of its price is tax, and what is
missing before it can be sold.

Amounts are whole minor units, rates whole basis points. Tax is rounded half up line by line, so that the tax of an
order is the sum of what its lines say.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from dataplane.carts.domain import Cart
from dataplane.carts.pricing import Offer, Priced, price
from dataplane.promotions.domain import WHOLE, Promotion, Target
from shared.runtime.errors import InvalidArgument, NotFound
from shared.runtime.money import CURRENCIES, LARGEST_MINOR, Money, written

SHORTEST_HOLD_S, LONGEST_HOLD_S = 60, 86_400


class Capture(StrEnum):
    """When a shop takes its money."""

    WHEN_PLACED = "WHEN_PLACED"
    WHEN_FULFILLED = "WHEN_FULFILLED"


class Requirement(StrEnum):
    """What a cart needs before it is checked out."""

    LINES = "LINES"
    AVAILABLE_LINES = "AVAILABLE_LINES"
    EMAIL = "EMAIL"
    ADDRESS = "ADDRESS"
    SHIPPING_METHOD = "SHIPPING_METHOD"
    TOTAL = "TOTAL"


@dataclass(frozen=True, slots=True)
class TaxRate:
    """country: empty for every one that no other rate names."""

    country: str
    basis_points: int
    name: str = ""
    applies_to_shipping: bool = False


@dataclass(frozen=True, slots=True)
class ShippingRow:
    """What it costs from an amount of goods on."""

    from_minor: int
    price_minor: int


@dataclass(frozen=True, slots=True)
class ShippingRate:
    """countries: none for everywhere. rows: by what they are from."""

    id: str
    name: str
    currency: str
    rows: tuple[ShippingRow, ...]
    countries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """How a shop sells; version 0 is how one sells that has not said."""

    prices_include_tax: bool = False
    tax_rates: tuple[TaxRate, ...] = ()
    shipping_rates: tuple[ShippingRate, ...] = ()
    capture: Capture = Capture.WHEN_PLACED
    hold_s: int = 600
    version: int = 0
    update_time: datetime | None = None

    @property
    def etag(self) -> str:
        return str(self.version)

    @property
    def hold(self) -> timedelta:
        return timedelta(seconds=self.hold_s)


@dataclass(frozen=True, slots=True)
class Method:
    """A way to ship one cart."""

    id: str
    name: str
    price_minor: int
    why: str


# How shops ship that have no rates.
FREE = Method("free", "Free shipping", 0, "shipping is free")


@dataclass(frozen=True, slots=True)
class Checkout:
    """A cart whose stock is held, and what the shopper was told. order_id: that it became."""

    cart_id: str
    cart_version: int
    shipping_method: str
    shipping_minor: int
    total_minor: int
    create_time: datetime
    expire_time: datetime
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What of a line is taken off, and what of the rest is tax."""

    discount_minor: int = 0
    tax_minor: int = 0


@dataclass(frozen=True, slots=True)
class Quote:
    """What a cart comes to. parts: one a line of `priced`. tax_minor: of lines and shipping."""

    priced: Priced
    parts: tuple[Part, ...]
    shipping_minor: int
    tax_minor: int
    prices_include_tax: bool
    total_minor: int


def checked(settings: Settings) -> Settings:
    """With its rows in order. InvalidArgument FIELD_INVALID."""
    if not SHORTEST_HOLD_S <= settings.hold_s <= LONGEST_HOLD_S:
        raise _invalid("hold_seconds", f"{SHORTEST_HOLD_S} to {LONGEST_HOLD_S}")
    _refuse_twice("tax_rates", "country_code", [rate.country for rate in settings.tax_rates])
    _refuse_twice("shipping_rates", "id", [rate.id for rate in settings.shipping_rates])
    for n, rate in enumerate(settings.shipping_rates):
        if rate.currency not in CURRENCIES:
            raise _invalid(f"shipping_rates[{n}].currency_code", "no currency that shops sell in")
        _refuse_twice(f"shipping_rates[{n}].rows", "from", [row.from_minor for row in rate.rows])
    rates = (
        replace(rate, rows=tuple(sorted(rate.rows, key=lambda row: row.from_minor))) for rate in settings.shipping_rates
    )
    return replace(settings, shipping_rates=tuple(rates))


def methods(settings: Settings, currency: str, country: str, goods_minor: int) -> list[Method]:
    """How a cart can be shipped to the country. goods_minor: what is in it, after discounts."""
    if not settings.shipping_rates:
        return [FREE]
    found = []
    for rate in settings.shipping_rates:
        ships_there = not rate.countries or country in rate.countries
        row = next((row for row in reversed(rate.rows) if row.from_minor <= goods_minor), None)
        if rate.currency == currency and ships_there and row is not None:
            from_there = f"for {written(Money(currency, row.from_minor))} of goods and more"
            found.append(Method(rate.id, rate.name, row.price_minor, from_there if row.from_minor else "for any cart"))
    return found


def chosen(found: Sequence[Method], method_id: str) -> Method:
    """The first one unless another is named. NotFound SHIPPING_METHOD_NOT_FOUND."""
    method = next((each for each in found if method_id in ("", each.id)), None)
    if method is None:
        raise NotFound("SHIPPING_METHOD_NOT_FOUND", f"{method_id} does not ship this cart", id=method_id)
    return method


def rate_of(settings: Settings, country: str) -> TaxRate:
    """That of the country, or of every other one, or none at all."""
    by_country = {rate.country: rate for rate in settings.tax_rates}
    return by_country.get(country) or by_country.get("") or TaxRate(country, 0)


def tax(amount_minor: int, basis_points: int, *, included: bool) -> int:
    """Of an amount that has it in it, or that it comes on top of; half a unit is one."""
    whole = WHOLE + basis_points if included else WHOLE
    return (2 * amount_minor * basis_points + whole) // (2 * whole)


def quote(
    settings: Settings,
    cart: Cart,
    offers: Mapping[str, Offer],
    found: Sequence[Promotion],
    now: datetime,
    country: str,
    shipping_minor: int,
) -> Quote:
    """offers, found: as price() takes them. country: empty when that is not known."""
    priced = price(cart, offers, found, now, country, shipping_minor)
    off: Counter[str] = Counter()
    for each in priced.used.adjustments:
        off[each.line_id] += each.amount_minor
    shipping_off = sum(each.amount_minor for each in priced.used.adjustments if each.target is Target.SHIPPING)
    rate, included = rate_of(settings, country), settings.prices_include_tax
    parts = tuple(
        Part(
            off[each.line.id],
            tax(each.amount_minor - off[each.line.id], rate.basis_points, included=included),
        )
        for each in priced.lines
    )
    of_shipping = rate.basis_points if rate.applies_to_shipping else 0
    taxes = sum(part.tax_minor for part in parts) + tax(shipping_minor - shipping_off, of_shipping, included=included)
    total = priced.total_minor if included else priced.total_minor + taxes
    return Quote(priced, parts, shipping_minor, taxes, included, total)


def missing(quoted: Quote, found: Sequence[Method], *, has_email: bool, has_address: bool) -> list[Requirement]:
    """found: how it can be shipped."""
    lines = quoted.priced.lines
    is_met = {
        Requirement.LINES: bool(lines),
        Requirement.AVAILABLE_LINES: all(line.unavailable is None for line in lines),
        Requirement.EMAIL: has_email,
        Requirement.ADDRESS: has_address,
        Requirement.SHIPPING_METHOD: bool(found),
        Requirement.TOTAL: 0 < quoted.total_minor <= LARGEST_MINOR,
    }
    return [requirement for requirement, met in is_met.items() if not met]


def explained(
    currency: str,
    subtotal_minor: int,
    discounts: Sequence[tuple[int, str]],
    shipping_minor: int,
    tax_minor: int,
    total_minor: int,
    *,
    included: bool,
) -> list[str]:
    """How a total comes about, a line each. discounts: how much, and why."""

    def said(minor: int) -> str:
        return written(Money(currency, minor))

    words = [f"{said(subtotal_minor)} of goods"]
    words += [f"- {said(minor)}: {why}" for minor, why in discounts]
    words.append(f"+ {said(shipping_minor)} shipping")
    if not included and tax_minor:
        words.append(f"+ {said(tax_minor)} tax")
    words.append(f"= {said(total_minor)}" + (f", {said(tax_minor)} of it tax" if included and tax_minor else ""))
    return words


def _refuse_twice(field: str, name: str, values: Sequence[object]) -> None:
    if len(set(values)) != len(values):
        raise _invalid(field, f"two with the same {name}")


def _invalid(field: str, why: str) -> InvalidArgument:
    return InvalidArgument("FIELD_INVALID", f"{field}: {why}", fields={field: why})
