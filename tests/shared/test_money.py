"""Money: exact both ways, or refused."""

import pytest
from google.type import money_pb2
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime import money
from shared.runtime.errors import InvalidArgument
from shared.runtime.money import Money

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
