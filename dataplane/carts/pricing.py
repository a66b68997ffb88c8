"""What a cart costs now, from what its variants are offered at now, with a reason for every amount."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dataplane.carts.domain import Cart, Line
from shared.runtime import money
from shared.runtime.money import Money


class Unavailable(StrEnum):
    VARIANT_GONE = "VARIANT_GONE"
    PRODUCT_DRAFT = "PRODUCT_DRAFT"
    PRODUCT_ARCHIVED = "PRODUCT_ARCHIVED"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    AMOUNT_TOO_LARGE = "AMOUNT_TOO_LARGE"


@dataclass(frozen=True, slots=True)
class Offer:
    """A variant as the shop sells it now. product_status: as products have it."""

    product_id: str
    product_title: str
    product_status: str
    variant_title: str
    sku: str
    price: Money


@dataclass(frozen=True, slots=True)
class PricedLine:
    """amount_minor: 0 where the line is unavailable."""

    line: Line
    offer: Offer | None
    amount_minor: int
    unavailable: Unavailable | None
    explanation: str


@dataclass(frozen=True, slots=True)
class Adjustment:
    """amount_minor: what it takes off; not negative."""

    promotion_id: str
    code: str
    amount_minor: int
    explanation: str


@dataclass(frozen=True, slots=True)
class Priced:
    """A cart's sums, in minor units of its currency: total = subtotal - discount."""

    lines: tuple[PricedLine, ...]
    adjustments: tuple[Adjustment, ...]
    subtotal_minor: int
    discount_minor: int
    total_minor: int
    subtotal_why: str
    discount_why: str
    total_why: str


def price(cart: Cart, offers: Mapping[str, Offer], adjustments: Sequence[Adjustment] = ()) -> Priced:
    """offers: by variant; one that is missing is gone."""
    lines: list[PricedLine] = []
    subtotal = 0
    for line in cart.lines:
        priced = _priced(cart.currency, line, offers.get(line.variant_id), money.LARGEST_MINOR - subtotal)
        subtotal += priced.amount_minor
        lines.append(priced)
    discount = sum(adjustment.amount_minor for adjustment in adjustments)
    total = subtotal - discount

    def said(minor: int) -> str:
        return money.written(Money(cart.currency, minor))

    return Priced(
        lines=tuple(lines),
        adjustments=tuple(adjustments),
        subtotal_minor=subtotal,
        discount_minor=discount,
        total_minor=total,
        subtotal_why=_sum(lines, said(subtotal)),
        discount_why=f"{len(adjustments)} adjustments = {said(discount)}" if adjustments else "no promotion applies",
        total_why=f"{said(subtotal)} - {said(discount)} = {said(total)}",
    )


def refusal(currency: str, offer: Offer | None) -> tuple[Unavailable, str] | None:
    """Why nobody can buy it now in that currency, and in words; None when they can."""
    if offer is None:
        return Unavailable.VARIANT_GONE, "the shop has no such variant any more"
    if offer.product_status == "DRAFT":
        return Unavailable.PRODUCT_DRAFT, "the product is not on sale yet"
    if offer.product_status == "ARCHIVED":
        return Unavailable.PRODUCT_ARCHIVED, "the product is off sale"
    if offer.price.currency != currency:
        return Unavailable.CURRENCY_MISMATCH, f"it is sold in {offer.price.currency}, and the cart is in {currency}"
    return None


def _priced(currency: str, line: Line, offer: Offer | None, room_minor: int) -> PricedLine:
    if (refused := refusal(currency, offer)) is not None:
        return _not_counted(line, offer, *refused)
    assert offer is not None, "that is refused"
    amount = offer.price.amount_minor * line.quantity
    if amount > room_minor:
        why = "with it the cart would cost more than can be counted"
        return _not_counted(line, offer, Unavailable.AMOUNT_TOO_LARGE, why)
    why = f"{line.quantity} x {money.written(offer.price)} = {money.written(Money(currency, amount))}"
    return PricedLine(line, offer, amount, None, why)


def _not_counted(line: Line, offer: Offer | None, unavailable: Unavailable, why: str) -> PricedLine:
    return PricedLine(line, offer, 0, unavailable, f"not counted: {why}")


def _sum(lines: Sequence[PricedLine], subtotal: str) -> str:
    counted = sum(line.unavailable is None for line in lines)
    left_out = len(lines) - counted
    said = f"{counted} {'line' if counted == 1 else 'lines'} = {subtotal}"
    return f"{said}; {left_out} unavailable and not counted" if left_out else said
