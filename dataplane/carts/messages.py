"""Carts on the wire, in events and in the audit."""

from collections.abc import Sequence
from typing import Any

from google.type import money_pb2

from center.dataplane.v1 import cart_service_pb2 as pb
from dataplane.carts.domain import Cart, Line
from dataplane.carts.pricing import Priced, PricedLine, Stock
from shared.runtime import money
from shared.runtime.journal import Change, Event
from shared.runtime.money import Money

# What seals e-mails and addresses, and where they are kept.
RING, EMAIL, ADDRESS = "carts", "carts.email", "carts.address"


def to_proto(cart: Cart, priced: Priced) -> pb.Cart:
    """All but what is sealed."""

    def of(minor: int) -> money_pb2.Money:
        return money.to_proto(Money(cart.currency, minor))

    message = listed(cart, len(cart.lines))
    message.ClearField("merged_into")
    message.lines.extend(_line(cart.currency, each) for each in priced.lines)
    message.codes.extend(
        pb.CartCode(code=code.code, entered=code.entered, explanation=priced.codes[code.code]) for code in cart.codes
    )
    message.adjustments.extend(
        pb.Adjustment(
            promotion_id=each.promotion_id, code=each.code, amount=of(each.amount_minor), explanation=each.explanation
        )
        for each in priced.discounts
    )
    message.subtotal.CopyFrom(of(priced.subtotal_minor))
    message.discount.CopyFrom(of(priced.discount_minor))
    message.total.CopyFrom(of(priced.total_minor))
    message.explanation.CopyFrom(
        pb.CartExplanation(subtotal=priced.subtotal_why, discount=priced.discount_why, total=priced.total_why)
    )
    return message


def listed(cart: Cart, line_count: int) -> pb.Cart:
    """Of which cart it is, and nothing of what is in it."""
    message = pb.Cart(
        id=cart.id,
        state=f"CART_STATE_{cart.state}",
        currency_code=cart.currency,
        line_count=line_count,
        etag=cart.etag,
        order_id=cart.order_id or "",
        merged_into=cart.merged_into or "",
        customer_id=cart.customer_id or "",
    )
    message.create_time.FromDatetime(cart.create_time)
    message.update_time.FromDatetime(cart.update_time)
    if cart.complete_time is not None:
        message.complete_time.FromDatetime(cart.complete_time)
    return message


def event(happened: str, cart: Cart) -> Event:
    """happened: created, updated, abandoned or deleted."""
    changed = pb.CartChanged(
        id=cart.id,
        state=f"CART_STATE_{cart.state}",
        currency_code=cart.currency,
        lines=[
            pb.CartChangedLine(id=line.id, variant_id=line.variant_id, quantity=line.quantity) for line in cart.lines
        ],
        codes=len(cart.codes),
        has_email=bool(cart.email),
        has_address=bool(cart.address),
        version=cart.version,
        merged_into=cart.merged_into or "",
        customer_id=cart.customer_id or "",
    )
    changed.create_time.FromDatetime(cart.create_time)
    changed.update_time.FromDatetime(cart.update_time)
    return Event(f"cart.{happened}.v1", cart.id, cart.version, changed)


def change(before: Cart | None, after: Cart | None) -> Change:
    """What the audit keeps of it: of e-mail, address, options and codes no more than that they changed."""
    was = {} if before is None else _facts(before, None)
    return Change("cart", _id(before, after), was, {} if after is None else _facts(after, before))


def _id(*carts: Cart | None) -> str:
    return next(cart.id for cart in carts if cart is not None)


def _facts(cart: Cart, before: Cart | None) -> dict[str, str]:
    def sealed(name: str) -> str:
        if not getattr(cart, name):
            return ""
        is_new = before is not None and getattr(before, name) != getattr(cart, name)
        return f"set by version {cart.version}" if is_new else "set"

    return {
        "state": cart.state.value,
        "currency_code": cart.currency,
        "email": sealed("email"),
        "address": sealed("address"),
        "codes": str(len(cart.codes)) if cart.codes else "",
        "merged_into": cart.merged_into or "",
        "customer_id": cart.customer_id or "",
        **_lines(cart.lines),
    }


def _lines(lines: Sequence[Line]) -> dict[str, str]:
    return {f"lines[{line.id}]": f"{line.quantity} x {line.variant_id}" for line in lines}


def _line(currency: str, priced: PricedLine) -> pb.CartLine:
    line, offer = priced.line, priced.offer
    message = pb.CartLine(
        id=line.id,
        variant_id=line.variant_id,
        quantity=line.quantity,
        options=[pb.LineOption(name=name, value=value) for name, value in line.options],
        unavailable=f"UNAVAILABLE_{priced.unavailable or 'UNSPECIFIED'}",
        explanation=priced.explanation,
    )
    if offer is not None:
        message.product_id = offer.product_id
        message.product_title = offer.product_title
        message.variant_title = offer.variant_title
        message.sku = offer.sku
    if offer is not None and priced.unavailable is None:
        message.unit_price.CopyFrom(money.to_proto(Money(currency, priced.unit_minor)))
        message.amount.CopyFrom(money.to_proto(Money(currency, priced.amount_minor)))
    if offer is not None and priced.stock is not None:
        stock: Any = pb.LineStock.Value(f"LINE_STOCK_{priced.stock}")
        message.stock = stock
        message.available_quantity = offer.available if priced.stock is Stock.TOO_FEW else 0
    return message
