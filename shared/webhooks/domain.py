"""What an endpoint and a delivery are, and what an answer makes of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.runtime.errors import FailedPrecondition, InvalidArgument, check_etag

ENDPOINTS_AT_MOST = 20
# The longest that a receiver may have itself waited for.
LONGEST_RETRY_AFTER = timedelta(hours=24)
OVERLAP = timedelta(hours=24)
# 2.0**n of a large n is no float any more; by then the last wait is long reached.
_DOUBLINGS = 30

PING = "webhook.ping"
_TYPE = re.compile(r"[A-Za-z0-9_-]+\.(\*|[A-Za-z0-9_-]+)|\*")


class State(StrEnum):
    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    # Without a secret, and shown to nobody; it stays for its deliveries, until they are forgotten.
    DELETED = "DELETED"


class Outcome(StrEnum):
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    DEAD = "DEAD"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """failing_since: the first failure after the last success. version: counts the changes; the etag is made of it."""

    id: str
    url: str
    event_types: tuple[str, ...]
    description: str
    create_time: datetime
    update_time: datetime
    state: State = State.ENABLED
    disable_reason: str = ""
    disable_time: datetime | None = None
    failing_since: datetime | None = None
    old_secret_expire_time: datetime | None = None
    version: int = 1

    @property
    def etag(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Delivery:
    id: str
    endpoint_id: str
    event_id: str
    event_type: str
    event_time: datetime
    state: Outcome
    attempt_count: int
    next_attempt_time: datetime | None
    expire_time: datetime
    end_time: datetime | None
    last_error: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    number: int
    start_time: datetime
    latency_ms: int
    status: int
    answer: str
    error: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try. status: 0 without an answer. error: empty for a success."""

    status: int
    latency_s: float
    body: str = ""
    error: str = ""
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits that double from the first up to the last; how long one delivery is tried, and when an endpoint that does
    nothing but fail is disabled."""

    first: timedelta = timedelta(seconds=5)
    last: timedelta = timedelta(hours=6)
    total: timedelta = timedelta(hours=72)
    disable_after: timedelta = timedelta(days=5)

    def wait(self, attempts: int, chance: float) -> timedelta:
        """attempts: made so far, from 1. chance: between 0 and 1; spreads the tries of what failed together."""
        longest = min(self.first * 2.0 ** min(attempts - 1, _DOUBLINGS), self.last)
        return longest * (0.5 + chance / 2)


@dataclass(frozen=True, slots=True)
class Verdict:
    state: Outcome
    next_attempt_time: datetime | None
    disable_reason: str = ""


def judge(
    answer: Answer,
    *,
    attempts: int,
    expire_time: datetime,
    failing_since: datetime | None,
    now: datetime,
    chance: float,
    patience: Patience,
) -> Verdict:
    """What an answer means for its delivery, and whether its endpoint is disabled by it."""
    if not answer.error:
        return Verdict(Outcome.SUCCEEDED, None)
    if answer.status == 410:
        return Verdict(Outcome.DEAD, None, "it answered 410 Gone")
    reason = ""
    if failing_since is not None and now - failing_since >= patience.disable_after:
        reason = f"nothing but failures since {failing_since.isoformat(timespec='seconds')}"
    if now >= expire_time:
        return Verdict(Outcome.DEAD, None, reason)
    wait = patience.wait(attempts, chance)
    if answer.status in (429, 503) and answer.retry_after is not None:
        wait = max(wait, min(answer.retry_after, LONGEST_RETRY_AFTER))
    return Verdict(Outcome.PENDING, min(now + wait, expire_time), reason)


def create(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, event_types=subscribed(endpoint.event_types))


def change(before: Endpoint, after: Endpoint, *, etag: str, now: datetime) -> Endpoint:
    """`after` as the next version of `before`; `before` itself when nothing differs."""
    guard(before, etag)
    wanted = replace(before, url=after.url, event_types=subscribed(after.event_types), description=after.description)
    return before if wanted == before else _next(wanted, now)


def delete(endpoint: Endpoint, *, etag: str, now: datetime) -> Endpoint:
    guard(endpoint, etag)
    return _next(replace(endpoint, state=State.DELETED, old_secret_expire_time=None), now)


def enable(endpoint: Endpoint, *, now: datetime) -> Endpoint:
    if endpoint.state is State.ENABLED:
        raise FailedPrecondition("ENDPOINT_ENABLED", "the endpoint is enabled already", id=endpoint.id)
    enabled = replace(endpoint, state=State.ENABLED, disable_reason="", disable_time=None, failing_since=None)
    return _next(enabled, now)


def disable(endpoint: Endpoint, reason: str, *, now: datetime) -> Endpoint:
    return _next(replace(endpoint, state=State.DISABLED, disable_reason=reason, disable_time=now), now)


def rotate(endpoint: Endpoint, overlap: timedelta, *, now: datetime) -> Endpoint:
    return _next(replace(endpoint, old_secret_expire_time=now + overlap if overlap else None), now)


def require_enabled(endpoint: Endpoint) -> None:
    if endpoint.state is not State.ENABLED:
        raise FailedPrecondition("ENDPOINT_DISABLED", "the endpoint is disabled; enable it first", id=endpoint.id)


def guard(endpoint: Endpoint, etag: str) -> None:
    check_etag("endpoint", endpoint.id, endpoint.etag, etag)


def subscribed(event_types: Sequence[str]) -> tuple[str, ...]:
    """The types without repetitions. InvalidArgument EVENT_TYPE_INVALID: none, or one that is no type."""
    if not event_types:
        raise _no_type("event_types", "name at least one; * is all")
    for position, each in enumerate(event_types):
        if not is_type(each):
            raise _no_type(f"event_types[{position}]", "neither a type such as product.created, nor product.*, nor *")
    return tuple(dict.fromkeys(event_types))


def is_type(pattern: str) -> bool:
    return _TYPE.fullmatch(pattern) is not None


def patterns(event_type: str) -> list[str]:
    """What an endpoint may have asked for to get events of the type."""
    return [event_type, f"{event_type.partition('.')[0]}.*", "*"]


def _next(endpoint: Endpoint, now: datetime) -> Endpoint:
    return replace(endpoint, update_time=now, version=endpoint.version + 1)


def _no_type(field: str, why: str) -> InvalidArgument:
    return InvalidArgument("EVENT_TYPE_INVALID", f"{field}: {why}", fields={field: why})
