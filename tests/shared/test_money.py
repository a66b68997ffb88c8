"""Money: exact both ways, or refused."""

from fractions import Fraction
from random import Random

import pytest
from google.type import money_pb2
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime import money
from shared.runtime.errors import InvalidArgument
from shared.runtime.money import Money, allocate, written

CURRENCIES = st.sampled_from(sorted(money._PLACES))


@given(CURRENCIES, st.integers(0, (1 << 63) - 1))
def test_every_amount_of_every_currency_comes_back(currency: str, amount_minor: int) -> None:
    amount = Money(currency, amount_minor)
    assert money.from_proto(money.to_proto(amount)) == amount


@given(CURRENCIES, st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-(1 << 31), (1 << 31) - 1))
def test_what_is_taken_is_exactly_what_was_said(currency: str, units: int, nanos: int) -> None:
    said = money_pb2.Money(currency_code=currency, units=units, nanos=nanos)
    try:
        taken = money.from_proto(said)
    except InvalidArgument as error:
        assert error.reason == "MONEY_INVALID" and list(error.violations) == ["price"]
        scaled = units * 10**9 + nanos
        step = 10 ** (9 - money._PLACES[currency])
        fits = units >= 0 and 0 <= nanos < 10**9 and scaled % step == 0 and scaled // step < 1 << 63
        assert not fits
    else:
        assert money.to_proto(taken) == said


@pytest.mark.parametrize(("currency", "places"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("HUF", 2)])
def test_a_currency_has_the_decimal_places_of_iso_4217(currency: str, places: int) -> None:
    assert money.to_proto(Money(currency, 10**places)).units == 1


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(Money("EUR", 5), "0.05 EUR"), (Money("JPY", 5), "5 JPY"), (Money("KWD", 1234), "1.234 KWD")],
)
def test_an_amount_reads_as_people_write_it(amount: Money, expected: str) -> None:
    assert written(amount) == expected


WEIGHTS = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 1 << 63)), min_size=1, max_size=12)


@given(WEIGHTS, st.integers(0, 1 << 63), st.randoms())
def test_parts_sum_to_the_whole_and_each_is_within_one_unit_of_its_share(
    weights: list[int], amount: int, random: Random
) -> None:
    total = sum(weights)
    amount = amount if total else 0
    parts = allocate(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - (Fraction(amount * weight, total) if total else 0)) < 1
        assert part <= weight or amount > total
    if total:
        up = [amount * w % total for w, part in zip(weights, parts, strict=True) if part > amount * w // total]
        down = [amount * w % total for w, part in zip(weights, parts, strict=True) if part == amount * w // total]
        assert not up or min(up) >= max(down, default=0)
    # Whatever the order: a weight's parts are the same.
    order = random.sample(range(len(weights)), len(weights))
    again = allocate(amount, [weights[n] for n in order])
    assert sorted(zip(weights, parts, strict=True)) == sorted(zip((weights[n] for n in order), again, strict=True))


def test_ties_go_to_the_larger_weight_and_then_to_the_earlier() -> None:
    assert allocate(1, [1, 1, 1]) == [1, 0, 0]
    assert allocate(2, [1, 3]) == [0, 2]
    assert allocate(2, [3, 1]) == [2, 0]
    assert allocate(10**18 + 1, [1, 1]) == [5 * 10**17 + 1, 5 * 10**17]
    assert allocate(0, []) == [] and allocate(0, [0, 0]) == [0, 0]


@pytest.mark.parametrize(("amount", "weights"), [(1, []), (1, [0]), (-1, [1]), (1, [2, -1])])
def test_what_has_no_shares_is_refused(amount: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match="no shares"):
        allocate(amount, weights)
