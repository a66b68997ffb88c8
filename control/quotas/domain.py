"""How units leave a counter and come back, so that never one too many is spent."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from center_sdk import windows
from center_sdk.terms import QuotaTerms, SolutionTerms
from center_sdk.windows import Window
from shared.runtime.errors import FailedPrecondition, NotFound, PlatformError

# What a lease may take at most of what remains, divided by the leases that are open: half of a fair share.
SHARE = 2
NO_LIMIT = 1 << 62


@dataclass(slots=True)
class Counter:
    """taken: all that has left, and of it `outstanding` may still come back. holders: open leases.

    carried: what the period before left over.
    """

    entitlement_id: str
    action: str
    window_start: datetime
    window_end: datetime | None
    taken: int = 0
    outstanding: int = 0
    carried: int = 0
    holders: int = 0


@dataclass(slots=True)
class Lease:
    """expired: its holder went silent, and what was left counts as lost, on lost_date."""

    id: str
    entitlement_id: str
    action: str
    window_start: datetime
    solution_id: str
    units: int
    spent: int
    expired: bool
    expire_time: datetime
    lost_date: str = ""

    @property
    def unspent(self) -> int:
        return self.units - self.spent


@dataclass(frozen=True, slots=True)
class Wish:
    """What a validator wants of a lease: units beyond what was spent, `least` of them or none."""

    wanted: int = 0
    least: int = 0
    close: bool = False
    renew: bool = False


@dataclass(slots=True)
class Settled:
    """over: the lease is gone. found: units that were lost and are not any more, spent or given back."""

    over: bool = False
    found: int = 0
    short: bool = False


def window_of(solution: SolutionTerms, quota: QuotaTerms, now: datetime) -> Window:
    return windows.window(quota.period, solution.time_zone, now)


def limit_of(quota: QuotaTerms, carried: int) -> int | None:
    return None if quota.limit is None else quota.limit + carried


def carried(quota: QuotaTerms, before: Counter | None) -> int:
    """What a new period may use on top of its own; `before` is None where nothing of the period before was used."""
    if not quota.rollover_limit or quota.limit is None:
        return 0
    left = quota.limit if before is None else quota.limit + before.carried - before.taken
    return max(0, min(quota.rollover_limit, left))


def grant(quota: QuotaTerms, counter: Counter, wanted: int, least: int, holders: int) -> int:
    """How many units of a counter one lease gets now.

    holders: open leases, this one included. store.take() says the same in SQL.
    """
    limit = limit_of(quota, counter.carried)
    if limit is None or quota.soft:
        return max(wanted, least)
    remaining = limit - counter.taken
    if remaining < least or remaining <= 0:
        return 0
    return min(remaining, max(least, min(wanted, max(1, remaining // (SHARE * max(1, holders))))))


def settle(
    counter: Counter, lease: Lease, spent: int, wish: Wish, quota: QuotaTerms | None, now: datetime, lease_s: float
) -> Settled:
    """Accounts for a lease, changing it and its counter.

    spent: what its runs say that was not known before. quota: by which it may have more; None where
    the entitlement or the terms allow nothing more, or another period has begun.
    """
    told = Settled()
    beyond = max(0, spent - lease.unspent)
    if beyond:
        # More than it had: a fault of the validator, and counted all the same.
        counter.taken += beyond
        lease.units += beyond
        if not lease.expired:
            counter.outstanding += beyond
    lease.spent += spent
    if lease.expired:
        told.found = spent - beyond
        told.over = True
        if wish.close:
            told.found += lease.unspent
            counter.taken -= lease.unspent
            lease.units = lease.spent
        return told
    counter.outstanding -= spent
    if wish.close or wish.renew:
        _give_back(counter, lease, lease.unspent)
    if wish.close or (wish.renew and quota is None):
        counter.holders -= 1
        told.over = True
        return told
    lease.expire_time = now + timedelta(seconds=lease_s)
    if lease.unspent > wish.wanted:
        _give_back(counter, lease, lease.unspent - wish.wanted)
    elif quota is not None:
        missing, least = wish.wanted - lease.unspent, max(0, wish.least - lease.unspent)
        granted = grant(quota, counter, missing, least, counter.holders) if missing or least else 0
        counter.taken += granted
        counter.outstanding += granted
        lease.units += granted
        told.short = granted < least or (not granted and missing > 0)
    return told


def expire(counter: Counter, lease: Lease, date: str) -> int:
    """Counts what the lease had left as spent, and says how much that is."""
    lease.lost_date = date
    counter.outstanding -= lease.unspent
    counter.holders -= 1
    lease.expired = True
    return lease.unspent


def _give_back(counter: Counter, lease: Lease, units: int) -> None:
    counter.taken -= units
    counter.outstanding -= units
    lease.units -= units


@dataclass(frozen=True, slots=True)
class Reservation:
    """Units set aside. quota_action, window_start: of the counter; the latter is None where there is no limit."""

    id: str
    entitlement_id: str
    action: str
    quota_action: str
    window_start: datetime | None
    solution_id: str
    user_id: str
    token_kid: str
    tier: str
    validator: str
    units: int
    state: str
    create_time: datetime
    expire_time: datetime
    spent: int = 0
    short: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    """What became of a reservation: spent, given back, and what the work did cost beyond the limit."""

    spent: int
    released: int
    short: int


def commit(reservation: Reservation, counter: Counter | None, quota: QuotaTerms | None, cost: int) -> Commit:
    """Ends a reservation, changing its counter; without a counter there is no limit."""
    beyond = max(0, cost - reservation.units)
    short = 0
    if counter is not None:
        limit = limit_of(quota, counter.carried) if quota is not None else counter.taken
        more = beyond if limit is None or (quota is not None and quota.soft) else min(beyond, limit - counter.taken)
        more = max(0, more)
        short = beyond - more
        counter.outstanding -= reservation.units
        counter.taken += more - max(0, reservation.units - cost)
    return Commit(cost - short, max(0, reservation.units - cost), short)


def reservation_not_found(reservation_id: str) -> PlatformError:
    return NotFound("RESERVATION_NOT_FOUND", "there is no such reservation", id=reservation_id)


def reservation_ended(reservation: Reservation) -> PlatformError:
    how = f"was {reservation.state.lower()}" if reservation.state != "OPEN" else "is over its time"
    return FailedPrecondition(
        "RESERVATION_ENDED", f"the reservation {how}: reserve again", id=reservation.id, state=reservation.state
    )
