"""Periods of the calendar, in the time zone that applies."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Period(IntEnum):
    """As center.control.v1.QuotaPeriod."""

    HOUR = 1
    DAY = 2
    WEEK = 3
    MONTH = 4
    STANDING = 5


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to and without `end`, in UTC; no end: for ever."""

    start: datetime
    end: datetime | None


def window(period: Period, zone: str, at: datetime) -> Window:
    """The period that an instant is in.

    Where clocks are put back, what the wall clock shows twice is one period: that day has 25 hours, that hour two.
    Where they are put forward, an hour that no clock shows is none. Windows of a zone meet, without gap or overlap.
    """
    if period is Period.STANDING:
        return Window(EPOCH, None)
    place = ZoneInfo(zone or "UTC")
    wall = at.astimezone(place).replace(tzinfo=None, fold=0)
    start = _floor(period, wall)
    return Window(_instant(start, place), _instant(_next(period, start), place))


def before(period: Period, zone: str, of: Window) -> Window | None:
    """The period before a window; None before STANDING, which has none."""
    return None if period is Period.STANDING else window(period, zone, of.start - timedelta(microseconds=1))


def date(zone: str, at: datetime) -> str:
    """The day of an instant on the zone's calendar, YYYY-MM-DD."""
    return at.astimezone(ZoneInfo(zone or "UTC")).date().isoformat()


def _floor(period: Period, wall: datetime) -> datetime:
    hour = wall.replace(minute=0, second=0, microsecond=0)
    if period is Period.HOUR:
        return hour
    day = hour.replace(hour=0)
    if period is Period.DAY:
        return day
    return day - timedelta(days=day.weekday()) if period is Period.WEEK else day.replace(day=1)


def _next(period: Period, start: datetime) -> datetime:
    if period is Period.MONTH:
        return (start + timedelta(days=32)).replace(day=1)
    return (
        start + {Period.HOUR: timedelta(hours=1), Period.DAY: timedelta(days=1), Period.WEEK: timedelta(days=7)}[period]
    )


def _instant(wall: datetime, place: ZoneInfo) -> datetime:
    """When a wall clock shows this first; in a gap, the moment when it is put forward past it."""
    return wall.replace(tzinfo=place, fold=0).astimezone(UTC)
