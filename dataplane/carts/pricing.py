"""What a cart costs now, from what its variants are offered at now, with a reason for every amount."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from dataplane.carts.domain import Cart, Line, State
from dataplane.prices.domain import Best, Listed, best
from dataplane.promotions import domain as promotions
from dataplane.promotions.domain import Adjustments, Outcome, Promotion, Verdict, code_key
from shared.runtime import money
from shared.runtime.money import Money


class Unavailable(StrEnum):
    VARIANT_GONE = "VARIANT_GONE"
    PRODUCT_DRAFT = "PRODUCT_DRAFT"
    PRODUCT_ARCHIVED = "PRODUCT_ARCHIVED"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    AMOUNT_TOO_LARGE = "AMOUNT_TOO_LARGE"


class Stock(StrEnum):
    """Whether there are as many as a cart wants."""

    ENOUGH = "ENOUGH"
    BACKORDER = "BACKORDER"
    TOO_FEW = "TOO_FEW"
    SOLD_OUT = "SOLD_OUT"


@dataclass(frozen=True, slots=True)
class Offer:
    """A variant as the shop sells it now. product_status: as products have it.

    available: how many there are for the cart, what it holds already included; allows_backorder: more can be ordered.
    price: its own. listed: what price lists in the cart's currency say, whether they count now or not.
    """

    product_id: str
    product_title: str
    product_status: str
    variant_title: str
    sku: str
    price: Money
    listed: tuple[Listed, ...] = ()
    available: int = 0
    allows_backorder: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nobody can buy it now, and in words."""

    unavailable: Unavailable
    why: str


@dataclass(frozen=True, slots=True)
class PricedLine:
    """unit_minor, amount_minor: 0 where the line is unavailable. stock: None there, and in an order's cart."""

    line: Line
    offer: Offer | None
    unit_minor: int
    amount_minor: int
    unavailable: Unavailable | None
    explanation: str
    stock: Stock | None = None


@dataclass(frozen=True, slots=True)
class Discount:
    """What a promotion takes off. amount_minor: more than zero. code: that brought it; empty where it needs none."""

    promotion_id: str
    code: str
    amount_minor: int
    explanation: str


@dataclass(frozen=True, slots=True)
class Priced:
    """A cart's sums, in minor units of its currency: total = subtotal + shipping - discount.

    codes: what became of each, by the code as it is compared. used: the promotions' part of it, line by line.
    """

    lines: tuple[PricedLine, ...]
    discounts: tuple[Discount, ...]
    codes: Mapping[str, str]
    subtotal_minor: int
    discount_minor: int
    total_minor: int
    subtotal_why: str
    discount_why: str
    total_why: str
    used: Adjustments


def price(
    cart: Cart,
    offers: Mapping[str, Offer],
    found: Sequence[Promotion],
    now: datetime,
    country: str = "",
    shipping_minor: int = 0,
) -> Priced:
    """offers: by variant; one that is missing is gone. found: the automatic promotions and those of the cart's codes.

    country: where it goes; empty when that is not known. shipping_minor: what that costs, before promotions.
    """
    lines: list[PricedLine] = []
    subtotal = 0
    for line in cart.lines:
        priced = _priced(cart.currency, line, offers.get(line.variant_id), money.LARGEST_MINOR - subtotal, now)
        subtotal += priced.amount_minor
        lines.append(priced)
    used = promotions.evaluate(_snapshot(cart, lines, country, shipping_minor), found, now)
    of = {outcome.promotion_id: outcome for outcome in used.outcomes}
    code_of = {promotion.id: promotion.code for promotion in found}
    discounts = tuple(
        Discount(outcome.promotion_id, code_of[outcome.promotion_id], outcome.amount_minor, outcome.explanation)
        for outcome in used.outcomes
        if outcome.verdict is Verdict.APPLIED
    )
    total = subtotal + shipping_minor - used.discount_minor

    def said(minor: int) -> str:
        return money.written(Money(cart.currency, minor))

    return Priced(
        lines=_with_stock(cart, lines),
        discounts=discounts,
        codes={code.code: _became(code.code, found, of) for code in cart.codes},
        subtotal_minor=subtotal,
        discount_minor=used.discount_minor,
        total_minor=total,
        subtotal_why=_sum(lines, said(subtotal)),
        discount_why=f"{len(discounts)} promotions = {said(used.discount_minor)}" if discounts else _NOTHING,
        total_why=f"{said(subtotal)}{f' + {said(shipping_minor)}' * (shipping_minor > 0)}"
        f" - {said(used.discount_minor)} = {said(total)}",
        used=used,
    )


_NOTHING = "no promotion applies"


def _snapshot(cart: Cart, lines: Sequence[PricedLine], country: str, shipping_minor: int) -> promotions.Cart:
    """What promotions look at: the lines that are counted."""
    counted = [(each, each.offer) for each in lines if each.offer is not None and each.unavailable is None]
    return promotions.Cart(
        currency=cart.currency,
        lines=tuple(
            promotions.Line(
                each.line.id,
                each.line.variant_id,
                offer.product_id,
                offer.sku,
                each.line.quantity,
                each.unit_minor,
            )
            for each, offer in counted
        ),
        codes=tuple(code.code for code in cart.codes),
        customer_id=cart.customer_id or "",
        country=country,
        shipping_minor=shipping_minor,
    )


def _became(code: str, found: Sequence[Promotion], of: Mapping[str, Outcome]) -> str:
    """What a code did, or why it did nothing."""
    known = [of[each.id].explanation for each in found if code_key(each.code) == code]
    return known[0] if known else "the shop has no such code"


def offered(currency: str, offer: Offer | None, quantity: int, now: datetime) -> Best | Refused:
    """What each of so many costs now in that currency, or why nobody can buy it."""
    if offer is None:
        return Refused(Unavailable.VARIANT_GONE, "the shop has no such variant any more")
    if offer.product_status == "DRAFT":
        return Refused(Unavailable.PRODUCT_DRAFT, "the product is not on sale yet")
    if offer.product_status == "ARCHIVED":
        return Refused(Unavailable.PRODUCT_ARCHIVED, "the product is off sale")
    if (found := best(offer.price, offer.listed, currency, quantity, now)) is not None:
        return found
    why = f"it is sold in {offer.price.currency}, and the cart is in {currency}"
    return Refused(Unavailable.CURRENCY_MISMATCH, why)


def _priced(currency: str, line: Line, offer: Offer | None, room_minor: int, now: datetime) -> PricedLine:
    found = offered(currency, offer, line.quantity, now)
    if isinstance(found, Refused):
        return _not_counted(line, offer, found)
    unit, amount = found.price, found.price.amount_minor * line.quantity
    if amount > room_minor:
        why = "with it the cart would cost more than can be counted"
        return _not_counted(line, offer, Refused(Unavailable.AMOUNT_TOO_LARGE, why))
    by = f" (price list {found.list_name})" if found.list_name else ""
    why = f"{line.quantity} x {money.written(unit)}{by} = {money.written(Money(currency, amount))}"
    return PricedLine(line, offer, unit.amount_minor, amount, None, why)


def _with_stock(cart: Cart, lines: Sequence[PricedLine]) -> tuple[PricedLine, ...]:
    """Lines of the same variant want it together."""
    if cart.state is not State.OPEN:
        return tuple(lines)
    wanted = Counter[str]()
    for each in lines:
        wanted[each.line.variant_id] += each.line.quantity
    return tuple(
        each
        if each.offer is None or each.unavailable is not None
        else replace(each, stock=stock(each.offer, wanted[each.line.variant_id]))
        for each in lines
    )


def stock(offer: Offer, wanted: int) -> Stock:
    if offer.available >= wanted:
        return Stock.ENOUGH
    if offer.allows_backorder:
        return Stock.BACKORDER
    return Stock.TOO_FEW if offer.available > 0 else Stock.SOLD_OUT


def _not_counted(line: Line, offer: Offer | None, refused: Refused) -> PricedLine:
    return PricedLine(line, offer, 0, 0, refused.unavailable, f"not counted: {refused.why}")


def _sum(lines: Sequence[PricedLine], subtotal: str) -> str:
    counted = sum(line.unavailable is None for line in lines)
    left_out = len(lines) - counted
    said = f"{counted} {'line' if counted == 1 else 'lines'} = {subtotal}"
    return f"{said}; {left_out} unavailable and not counted" if left_out else said
