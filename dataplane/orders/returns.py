"""Which imported orders a return is of: pure, so that the same return finds the same ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# A line of a return is of so many orders at most.
MOST_PARTS = 8


@dataclass(frozen=True, slots=True)
class Back:
    """A line of a return. is_money_only: no goods; its amount is given back."""

    sku: str
    quantity: int
    unit_minor: int
    is_money_only: bool = False


@dataclass(slots=True)
class Sold:
    """A line of an order, and how many of it have not come back."""

    order_id: str
    line_id: str
    sku: str
    unit_minor: int
    left: int


@dataclass(slots=True)
class Paid:
    """An order, and how much of its money has not been given back."""

    order_id: str
    left_minor: int


@dataclass(frozen=True, slots=True)
class Part:
    """Of a line of a return, what is of one order. line_id: None where it is money only."""

    position: int
    order_id: str
    line_id: str | None
    quantity: int
    amount_minor: int


def match(backs: Sequence[Back], orders: Iterable[Paid], lines: Sequence[Sold]) -> list[Part]:
    """orders, lines: of one customer, the latest first. What they have left is counted down."""
    money = {order.order_id: order for order in orders}
    found: list[Part] = []
    for position, back in enumerate(backs):
        parts = _money(back, money.values()) if back.is_money_only else _goods(back, money, lines)
        for order_id, line_id, quantity in parts[:MOST_PARTS]:
            amount_minor = quantity * back.unit_minor
            money[order_id].left_minor -= amount_minor
            found.append(Part(position, order_id, line_id, quantity, amount_minor))
    return found


def _money(back: Back, orders: Iterable[Paid]) -> list[tuple[str, str | None, int]]:
    amount_minor = back.quantity * back.unit_minor
    order_id = next((order.order_id for order in orders if order.left_minor >= amount_minor), "")
    return [(order_id, None, back.quantity)] if order_id else []


def _goods(back: Back, money: dict[str, Paid], lines: Sequence[Sold]) -> list[tuple[str, str | None, int]]:
    """What was sold at the price that is given back comes first."""
    of_sku = [line for line in lines if line.sku == back.sku and line.order_id in money]
    parts: list[tuple[str, str | None, int]] = []
    left, spent = back.quantity, dict.fromkeys(money, 0)
    for line in sorted(of_sku, key=lambda line: line.unit_minor != back.unit_minor):
        worth = money[line.order_id].left_minor - spent[line.order_id]
        quantity = min(left, line.left, worth // back.unit_minor)
        if quantity <= 0 or len(parts) == MOST_PARTS:
            continue
        line.left -= quantity
        left -= quantity
        spent[line.order_id] += quantity * back.unit_minor
        parts.append((line.order_id, line.line_id, quantity))
    return parts
