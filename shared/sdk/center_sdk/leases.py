"""A block of units that this process may spend, and what is known of the counter that it came from."""

from center.control.v1 import validator_service_pb2 as pb
from center_sdk.terms import QuotaTerms

ENDLESS = float("inf")
_PLENTY = 1 << 62

# About as many seconds of use as a lease is to last: longer than a run, so that it grows when its run is handed in, and
# asks for no batch of its own.
HELD_S = 20.0
# What a token that is seldom used holds, so that not each of its calls asks the counter: no more than this part of the
# limit. Whatever is held is given back when nobody used it for so long.
BLOCK_UNITS = 16
BLOCK_PART = 64
IDLE_S = 20.0
# Below this part of it, or so many seconds of use, more is asked for, so that nobody waits.
LOW = 0.25
LOW_S = 3.0
# A pace is not told from less.
SHORTEST_S = 0.02
# What stands as confirmed by the counter for so long: that nothing is left, and that others still hold some of it.
CONFIRMED_S = 10.0
UNSURE_S = 0.25


class Lease:
    """Units for one entitlement and one quota.

    id: empty while it holds none: then only what is known of the counter counts, or there is no limit to count for.
    units, spent: granted and spent so far, of which `reported` are accounted for.
    mark: up to where `spent` may go with nothing else to look at; never above what is granted.
    within: up to where `spent` is within a soft limit.
    had: what was left when last heard of.
    until: when it ends, in seconds by the control plane's clock: its period, or its time without word.
    taken, outstanding: of the counter when last heard of; `outstanding` without this lease.
    """

    __slots__ = (
        "action",
        "answered",
        "asked",
        "asked_least",
        "closing",
        "doubtful",
        "entitlement_id",
        "had",
        "id",
        "limit",
        "mark",
        "outstanding",
        "pending",
        "quota",
        "rate",
        "reported",
        "resets_at",
        "seen",
        "seen_spent",
        "solution_id",
        "spent",
        "taken",
        "top",
        "units",
        "until",
        "used_at",
        "waited",
        "within",
    )

    def __init__(self, solution_id: str, entitlement_id: str, quota: QuotaTerms) -> None:
        self.id = ""
        self.solution_id = solution_id
        self.entitlement_id = entitlement_id
        self.quota = quota
        self.action = quota.key
        self.units = 0
        self.spent = 0
        self.reported = 0
        self.mark = 0
        self.within = 0
        self.had = 0
        self.until = 0.0
        self.limit: int | None = quota.limit
        self.taken = 0
        self.outstanding = 0
        self.resets_at: float | None = None
        # When the counter was last heard of; never: 0.
        self.answered = 0.0
        # Units that somebody waits for, beyond what is held; and how many of them at once.
        self.asked = 0
        self.asked_least = 0
        # To be given back.
        self.closing = False
        # The terms changed: nothing is spent until the control plane has said what it still holds.
        self.doubtful = False
        # How many runs of it are not yet accounted for.
        self.pending = 0
        # Units a second, smoothed; `spent` when it was last looked at, and when that was.
        self.rate = 0.0
        self.seen_spent = 0
        self.seen = 0.0
        # When it was last seen to be used.
        self.used_at = 0.0
        # What `spent` may reach of all that is known to be left of the period; None without a limit.
        self.top: int | None = None
        # When somebody last waited in vain for others to give back.
        self.waited = 0.0

    @property
    def left(self) -> int:
        return self.units - self.spent

    @property
    def block(self) -> int:
        """What is held however slow the use."""
        return block(self.limit)

    def remaining(self) -> int | None:
        """What is left of the period, as far as it is known here."""
        if self.limit is None:
            return None
        return max(0, (self.top or 0) - self.spent)

    def confirmed(self, now: float) -> bool:
        """Whether what is known of the counter is new enough to refuse by."""
        if not self.answered or (self.resets_at is not None and now >= self.resets_at):
            return False
        return now - self.answered < (UNSURE_S if self.outstanding > 0 else CONFIRMED_S)

    def hear(self, told: pb.Lease, now: float) -> None:
        """Takes over what the control plane says; units that were promised back are not spent meanwhile."""
        self.id = told.id
        self.units = told.units if told.id else self.spent
        self.limit = told.limit if told.HasField("limit") else None
        self.taken = told.taken_units
        self.outstanding = max(0, told.outstanding_units - (self.units - self.reported))
        self.resets_at = told.window_end.seconds + told.window_end.nanos / 1e9 if told.HasField("window_end") else None
        ends = told.expire_time.seconds + told.expire_time.nanos / 1e9 if told.HasField("expire_time") else 0.0
        self.until = min(ends, self.resets_at) if self.resets_at is not None else ends
        self.answered = now
        self.fit()

    def fit(self) -> None:
        """What may be spent, by what is known."""
        if self.limit is None:
            self.within, self.top = self.units, None
        else:
            over = max(0, self.taken - self.limit)
            # Past a hard limit there is nothing to hold, except by terms that have just been lowered.
            self.within = max(0, self.units - over) if self.quota.soft else self.units
            self.top = self.within + max(0, self.limit - self.taken)
        self.had = min(self.units, self.within) - self.spent
        self.set_mark()

    def set_mark(self) -> None:
        """Where to look again: at the end, or where it is time to ask for more so that nobody waits."""
        if self.doubtful or self.closing:
            self.mark = 0
            return
        # By what it had, not by what it has when this is looked at again: that would never be low.
        low = min(self.had // 2, max(int(self.had * LOW), int(self.rate * LOW_S))) if self.rate > 1 else 0
        self.mark = min(self.units, self.within) - low

    def see(self, now: float) -> int:
        """How much was spent since it was last looked at."""
        used = self.spent - self.seen_spent
        rate = used / max(now - self.seen, SHORTEST_S)
        self.rate = rate if rate > self.rate else (rate + self.rate) / 2
        self.seen, self.seen_spent = now, self.spent
        if used or not self.used_at:
            self.used_at = now
        return used

    def pace(self, now: float) -> float:
        """Units a second, as it looks now."""
        return max(self.rate, (self.spent - self.seen_spent) / max(now - self.seen, SHORTEST_S))

    def doubt(self) -> None:
        """Nothing more is spent before the control plane has said by which terms."""
        self.doubtful = True
        self.answered = 0.0
        self.mark = 0

    def close(self) -> None:
        """Nothing more is spent, and what is left goes back."""
        self.closing = True
        self.mark = 0


def block(limit: int | None) -> int:
    """Units that a token may hold without being in a hurry."""
    return BLOCK_UNITS if limit is None else min(BLOCK_UNITS, max(1, limit // BLOCK_PART))


def without_limit(solution_id: str, entitlement_id: str, quota: QuotaTerms) -> Lease:
    """What an unlimited quota is spent on: counted in the log only."""
    lease = Lease(solution_id, entitlement_id, quota)
    lease.units = lease.mark = lease.within = _PLENTY
    lease.limit = None
    lease.until = ENDLESS
    return lease
