"""Periods of the calendar, tokens' form."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from center_sdk import tokens, windows
from center_sdk.windows import Period

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "Africa/Casablanca",
)
PERIODS = (Period.HOUR, Period.DAY, Period.WEEK, Period.MONTH)
INSTANTS = st.integers(630_000_000, 2_050_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@settings(max_examples=300, deadline=None)
@given(at=INSTANTS, zone=st.sampled_from(ZONES), period=st.sampled_from(PERIODS))
def test_every_instant_is_in_one_window_and_they_meet(at: datetime, zone: str, period: Period) -> None:
    found = windows.window(period, zone, at)
    assert found.end is not None
    assert found.start <= at < found.end
    assert windows.window(period, zone, found.start) == found
    assert windows.window(period, zone, found.end - timedelta(microseconds=1)) == found
    assert windows.window(period, zone, found.end).start == found.end
    earlier = windows.before(period, zone, found)
    assert earlier is not None
    assert earlier.end == found.start


@settings(max_examples=200, deadline=None)
@given(at=INSTANTS, zone=st.sampled_from(ZONES), period=st.sampled_from(PERIODS))
def test_windows_start_where_the_wall_clock_says(at: datetime, zone: str, period: Period) -> None:
    start = windows.window(period, zone, at).start.astimezone(ZoneInfo(zone))
    just_before = (windows.window(period, zone, at).start - timedelta(microseconds=1)).astimezone(ZoneInfo(zone))
    if period is Period.HOUR:
        assert (start.date(), start.hour) != (just_before.date(), just_before.hour)
    elif period is Period.DAY:
        assert start.date() != just_before.date()
    elif period is Period.WEEK:
        assert start.isocalendar()[:2] != just_before.isocalendar()[:2]
    else:
        assert (start.year, start.month) != (just_before.year, just_before.month)


@pytest.mark.parametrize(
    ("zone", "at", "hours"),
    [
        ("Europe/Berlin", datetime(2026, 3, 29, 12, tzinfo=UTC), 23),
        ("Europe/Berlin", datetime(2026, 10, 25, 12, tzinfo=UTC), 25),
        ("Europe/Berlin", datetime(2026, 7, 1, 12, tzinfo=UTC), 24),
    ],
)
def test_a_day_has_as_many_hours_as_its_clock(zone: str, at: datetime, hours: int) -> None:
    day = windows.window(Period.DAY, zone, at)
    assert day.end is not None
    assert day.end - day.start == timedelta(hours=hours)


def test_weeks_start_on_monday_and_what_stands_never_ends() -> None:
    assert windows.window(Period.WEEK, "UTC", datetime(2026, 11, 22, tzinfo=UTC)).start == datetime(
        2026, 11, 16, tzinfo=UTC
    )
    assert windows.window(Period.STANDING, "UTC", datetime.now(UTC)) == windows.Window(windows.EPOCH, None)
    assert windows.date("Pacific/Auckland", datetime(2026, 11, 22, 23, tzinfo=UTC)) == "2026-11-23"


@given(environment=st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), source=st.binary(min_size=33, max_size=33))
def test_what_is_issued_is_read_and_found_by_scanners(environment: str, source: bytes) -> None:
    given_bytes = iter((source[:9], source[9:]))
    token = tokens.issue(environment, random=lambda size: next(given_bytes)[:size])
    parsed = tokens.parse(token)
    assert parsed is not None
    assert (parsed.kind, parsed.environment) == (tokens.USER_TOKEN, environment)
    assert re.findall(tokens.PATTERN, f"x={token}&y") == [token]


@given(place=st.integers(0, 60), sign=st.characters(codec="ascii"))
def test_one_wrong_sign_is_found(place: int, sign: str) -> None:
    token = tokens.issue("dev", random=bytes)
    place %= len(token)
    if token[place] != sign:
        assert tokens.parse(token[:place] + sign + token[place + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "cct_dev", "cct_dev_" + "0" * 12 + "_" + "0" * 38, tokens.issue("dev", "ccx", random=bytes)]
)
def test_other_things_are_no_tokens(text: str) -> None:
    assert tokens.parse(text) is None
