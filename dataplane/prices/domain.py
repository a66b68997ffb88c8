"""What a price list is, which changes to one are allowed, and which price counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.runtime.errors import FailedPrecondition, InvalidArgument, check_etag
from shared.runtime.money import CURRENCIES, Money

# Each that is not archived is looked at for every cart.
MOST_LISTS = 50
# Of one variant in one list.
MOST_OF_A_VARIANT = 20


class Status(StrEnum):
    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"


@dataclass(frozen=True, slots=True)
class PriceList:
    """starts, ends: from when on, and until when; None is for ever."""

    id: str
    display_name: str
    currency: str
    create_time: datetime
    update_time: datetime
    starts: datetime | None = None
    ends: datetime | None = None
    status: Status = Status.ACTIVE
    version: int = 1

    @property
    def etag(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Price:
    """What each costs, from min_quantity on, in the currency of its list."""

    variant_id: str
    min_quantity: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A price of a list that is not archived. starts, ends: of the list."""

    list_id: str
    list_name: str
    starts: datetime | None
    ends: datetime | None
    min_quantity: int
    price: Money


@dataclass(frozen=True, slots=True)
class Best:
    """list_name: of the list that it is from; empty for the variant's own price."""

    price: Money
    list_name: str = ""


def best(own: Money, listed: Iterable[Listed], currency: str, quantity: int, now: datetime) -> Best | None:
    """What each of so many costs in that currency; None where nothing says so.

    own: the variant's own price, which counts unless a list has a lower one. Of equal ones, that of the oldest list.
    """
    counting = [each for each in listed if _counts(each, currency, quantity, now)]
    lowest = min(counting, key=lambda each: (each.price.amount_minor, each.list_id), default=None)
    is_own = own.currency == currency
    if lowest is not None and not (is_own and own.amount_minor <= lowest.price.amount_minor):
        return Best(lowest.price, lowest.list_name)
    return Best(own) if is_own else None


def _counts(each: Listed, currency: str, quantity: int, now: datetime) -> bool:
    has_begun = each.starts is None or each.starts <= now
    is_over = each.ends is not None and each.ends <= now
    return has_begun and not is_over and each.price.currency == currency and each.min_quantity <= quantity


def create(price_list: PriceList) -> PriceList:
    """InvalidArgument FIELD_INVALID."""
    if price_list.currency not in CURRENCIES:
        raise _invalid("currency_code", "no currency that shops sell in")
    return _checked(price_list)


def change(before: PriceList, after: PriceList, *, etag: str, now: datetime) -> PriceList:
    """`after` as the next version of `before`; `before` itself when nothing differs."""
    refuse_changes(before, etag)
    wanted = replace(before, display_name=after.display_name, starts=after.starts, ends=after.ends)
    return before if _checked(wanted) == before else touch(wanted, now=now)


def archive(price_list: PriceList, *, etag: str, now: datetime) -> PriceList:
    refuse_changes(price_list, etag)
    return touch(replace(price_list, status=Status.ARCHIVED), now=now)


def touch(price_list: PriceList, *, now: datetime) -> PriceList:
    """The next version: its prices are others."""
    return replace(price_list, update_time=now, version=price_list.version + 1)


def refuse_changes(price_list: PriceList, etag: str) -> None:
    """Aborted ETAG_MISMATCH, FailedPrecondition PRICE_LIST_ARCHIVED."""
    check_etag("price list", price_list.id, price_list.etag, etag)
    if price_list.status is Status.ARCHIVED:
        raise FailedPrecondition("PRICE_LIST_ARCHIVED", "an archived price list stays as it is", id=price_list.id)


def checked_prices(prices: Sequence[Price]) -> list[Price]:
    """In order. InvalidArgument FIELD_INVALID: two of a variant from one quantity on, or too many of it."""
    seen: set[tuple[str, int]] = set()
    of_variant: dict[str, int] = {}
    for n, price in enumerate(prices):
        key = price.variant_id, price.min_quantity
        if key in seen:
            raise _invalid(f"prices[{n}]", f"a second price of that variant from {price.min_quantity} on")
        seen.add(key)
        of_variant[price.variant_id] = of_variant.get(price.variant_id, 0) + 1
        if of_variant[price.variant_id] > MOST_OF_A_VARIANT:
            raise _invalid(f"prices[{n}]", f"more than {MOST_OF_A_VARIANT} prices of that variant")
    return sorted(prices, key=lambda price: (price.variant_id, price.min_quantity))


def _checked(price_list: PriceList) -> PriceList:
    if not price_list.display_name.strip():
        raise _invalid("display_name", "a price list has a name")
    if price_list.starts is not None and price_list.ends is not None and price_list.ends <= price_list.starts:
        raise _invalid("end_time", "not after start_time")
    return price_list


def _invalid(field: str, why: str) -> InvalidArgument:
    return InvalidArgument("FIELD_INVALID", f"{field}: {why}", fields={field: why})
