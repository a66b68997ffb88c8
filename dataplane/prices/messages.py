"""Price lists on the wire, in events and in the audit."""

from collections.abc import Sequence
from datetime import UTC, datetime

from center.dataplane.v1 import price_list_service_pb2 as pb
from dataplane.prices.domain import Price, PriceList
from shared.runtime import money
from shared.runtime.errors import InvalidArgument
from shared.runtime.journal import Change, Event
from shared.runtime.money import Money


def to_proto(price_list: PriceList) -> pb.PriceList:
    message = pb.PriceList(
        id=price_list.id,
        display_name=price_list.display_name,
        currency_code=price_list.currency,
        status=f"PRICE_LIST_STATUS_{price_list.status}",
        etag=price_list.etag,
    )
    for name, moment in (("start_time", price_list.starts), ("end_time", price_list.ends)):
        if moment is not None:
            getattr(message, name).FromDatetime(moment)
    message.create_time.FromDatetime(price_list.create_time)
    message.update_time.FromDatetime(price_list.update_time)
    return message


def from_proto(message: pb.PriceList, *, id: str, now: datetime) -> PriceList:
    """What the message says of a price list. InvalidArgument FIELD_INVALID."""
    return PriceList(
        id=id,
        display_name=message.display_name,
        currency=message.currency_code,
        create_time=now,
        update_time=now,
        starts=_moment(message, "start_time"),
        ends=_moment(message, "end_time"),
    )


def price_to_proto(currency: str, price: Price) -> pb.Price:
    return pb.Price(
        variant_id=price.variant_id,
        min_quantity=price.min_quantity,
        amount=money.to_proto(Money(currency, price.amount_minor)),
    )


def price_from_proto(currency: str, message: pb.Price, field: str) -> Price:
    """InvalidArgument MONEY_INVALID: also where it is not in the list's currency."""
    field = f"{field}.amount"
    amount = money.from_proto(message.amount, field)
    if amount.currency != currency:
        why = f"in {amount.currency}, and the list is in {currency}"
        raise InvalidArgument("MONEY_INVALID", f"{field}: {why}", fields={field: why})
    return Price(message.variant_id.lower(), message.min_quantity, amount.amount_minor)


def event(type: str, price_list: PriceList) -> Event:
    """What other planes are told of the change that made this version."""
    return Event(f"price_list.{type}.v1", price_list.id, price_list.version, to_proto(price_list))


def change(before: PriceList | None, after: PriceList) -> Change:
    """What the audit keeps of it."""
    return Change("price_list", after.id, {} if before is None else _facts(before), _facts(after))


def prices_change(price_list: PriceList, before: Sequence[Price], after: Sequence[Price]) -> Change:
    currency = price_list.currency
    return Change("price_list", price_list.id, _prices(currency, before), _prices(currency, after))


def _facts(price_list: PriceList) -> dict[str, str]:
    return {
        "display_name": price_list.display_name,
        "currency_code": price_list.currency,
        "start_time": price_list.starts.isoformat() if price_list.starts is not None else "",
        "end_time": price_list.ends.isoformat() if price_list.ends is not None else "",
        "status": price_list.status.value,
    }


def _prices(currency: str, prices: Sequence[Price]) -> dict[str, str]:
    return {
        f"prices[{price.variant_id}][{price.min_quantity}]": money.written(Money(currency, price.amount_minor))
        for price in prices
    }


def _moment(message: pb.PriceList, name: str) -> datetime | None:
    """InvalidArgument FIELD_INVALID."""
    if not message.HasField(name):
        return None
    try:
        found: datetime = getattr(message, name).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument("FIELD_INVALID", f"{name}: out of range", fields={name: "out of range"}) from None
    return found
