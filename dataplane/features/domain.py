"""What a tenant's features allow at a cluster: pure decisions over the few that are enforced here."""

from dataclasses import dataclass

from shared.runtime.errors import FailedPrecondition, ResourceExhausted

# Features that are enforced here, by their ids.
PRODUCTS = "products"
BULK_IMPORT = "bulk_import"
API_RATE = "api_rate"
MEDIA_BYTES = "media_bytes"

# Plans are assigned by operators; there is no page where a shop could take another one.
_MORE = "ask whoever runs this platform for a larger plan"


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls: `per_second` for ever, and `burst` at once."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Grants:
    """A tenant's features as far as they are enforced here.

    products_limit, api_rate, media_bytes: None is no limit.
    """

    plan_id: str
    products_limit: int | None
    bulk_import: bool
    api_rate: Rate | None
    media_bytes: int | None


# Of a tenant whose features have not arrived. It is new, or this cluster is: they are milliseconds away, or control is
# out of reach, and then a shop that works must not stop for want of a list of what it may do.
UNKNOWN = Grants(plan_id="", products_limit=None, bulk_import=True, api_rate=None, media_bytes=None)


class Bucket:
    """Tokens that calls take: refilled by the rate, full at first. Times are any monotonic clock's, in seconds."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def take(self, rate: Rate, now: float) -> float:
        """0 when the call may go on; else how long until one may. `rate` may have changed since the last call."""
        tokens = min(self._tokens + (now - self._at) * self._rate.per_second, rate.burst)
        self._rate, self._at = rate, now
        if tokens < 1:
            self._tokens = tokens
            return (1 - tokens) / rate.per_second
        self._tokens = tokens - 1
        return 0.0

    def is_full(self, now: float) -> bool:
        """Whether a new bucket would be the same."""
        return self._tokens + (now - self._at) * self._rate.per_second >= self._rate.burst


def no_room(grants: Grants, limit: str) -> ResourceExhausted:
    """limit: as the database, which counts, knows it: its word may be newer than what is in memory."""
    message = f"the shop's plan has room for {limit} products: archive some, or {_MORE}"
    return ResourceExhausted("PRODUCT_LIMIT_REACHED", message, feature=PRODUCTS, plan_id=grants.plan_id, limit=limit)


def check_import(grants: Grants) -> None:
    """FailedPrecondition FEATURE_NOT_IN_PLAN."""
    if not grants.bulk_import:
        message = f"the shop's plan has no bulk import: create products one by one, or {_MORE}"
        raise FailedPrecondition("FEATURE_NOT_IN_PLAN", message, feature=BULK_IMPORT, plan_id=grants.plan_id)


def too_fast(grants: Grants, rate: Rate, wait_s: float) -> ResourceExhausted:
    message = f"the shop's plan has {rate.per_second:g} calls a second: go slower, or {_MORE}"
    return ResourceExhausted(
        "RATE_LIMITED",
        message,
        retry_after_s=wait_s,
        feature=API_RATE,
        plan_id=grants.plan_id,
        per_second=f"{rate.per_second:g}",
        burst=str(rate.burst),
    )
