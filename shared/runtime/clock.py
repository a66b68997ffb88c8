"""The time as an argument, so that tests decide what time it is."""

from datetime import UTC, datetime
from functools import cache
from typing import Protocol
from zoneinfo import available_timezones


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, with UTC as its zone."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@cache
def time_zones() -> frozenset[str]:
    """The names of the IANA time zone database: reading them walks a folder, so once."""
    return frozenset(available_timezones())
