"""Money: whole minor units of an ISO 4217 currency, and never a float."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.type import money_pb2

from shared.runtime.errors import InvalidArgument

# ISO 4217, list one, by the number of decimal places of the minor unit.
_CODES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY
        COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS
        INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR
        MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP
        STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
        """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_PLACES = {code: places for places, codes in _CODES.items() for code in codes.split()}

# What a shop can sell in: all of them but the funds, which banks count in and nobody pays with.
CURRENCIES = frozenset(_PLACES) - {"BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW"}

# google.type.Money counts below the unit in nanos.
_NANO_PLACES = 9
LARGEST_MINOR = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Money:
    """amount_minor: in the currency's smallest unit, such as cents; fits 64 bits."""

    currency: str
    amount_minor: int


def from_proto(money: money_pb2.Money, field: str = "price") -> Money:
    """InvalidArgument MONEY_INVALID: no currency of ISO 4217, negative, finer than its minor unit, or beyond 64 bits.

    field: the path that the violation names.
    """
    places = _PLACES.get(money.currency_code)
    if places is None:
        raise _invalid(field, f"{money.currency_code!r} is no currency of ISO 4217")
    if money.units < 0 or money.nanos < 0:
        raise _invalid(field, "negative")
    if money.nanos >= 10**_NANO_PLACES:
        raise _invalid(field, "nanos are at most 999,999,999")
    minor, finer = divmod(money.nanos, 10 ** (_NANO_PLACES - places))
    if finer:
        raise _invalid(field, f"finer than the minor unit of {money.currency_code}, which has {places} decimal places")
    amount_minor = money.units * 10**places + minor
    if amount_minor > LARGEST_MINOR:
        raise _invalid(field, "too large")
    return Money(money.currency_code, amount_minor)


def to_proto(money: Money) -> money_pb2.Money:
    places = _PLACES[money.currency]
    units, minor = divmod(money.amount_minor, 10**places)
    return money_pb2.Money(currency_code=money.currency, units=units, nanos=minor * 10 ** (_NANO_PLACES - places))


def written(money: Money) -> str:
    """For people: 12.50 EUR."""
    places = _PLACES[money.currency]
    units, minor = divmod(money.amount_minor, 10**places)
    return f"{units}.{minor:0{places}} {money.currency}" if places else f"{units} {money.currency}"


def allocate(amount_minor: int, weights: Sequence[int]) -> list[int]:
    """The amount in parts as large as their weights, by largest remainder: they sum to it, and each is its exact share
    rounded down or up. What rounding leaves goes to the largest remainders; of equal ones to the larger weight, and of
    equal weights to the earlier. So a weight gets the same whatever the order, but for one unit among equals.

    No part is larger than its weight while the amount is not larger than all of them together.
    ValueError: a negative amount or weight, or an amount with nothing to go to.
    """
    total = sum(weights)
    if amount_minor < 0 or min(weights, default=0) < 0 or (amount_minor and not total):
        raise ValueError(f"{amount_minor} has no shares by {list(weights)}")
    if not amount_minor:
        return [0] * len(weights)
    parts = [amount_minor * weight // total for weight in weights]
    if left := amount_minor - sum(parts):
        places = sorted(range(len(weights)), key=lambda n: (-(amount_minor * weights[n] % total), -weights[n], n))
        for place in places[:left]:
            parts[place] += 1
    return parts


def _invalid(field: str, why: str) -> InvalidArgument:
    return InvalidArgument("MONEY_INVALID", f"{field}: {why}", fields={field: why})
