"""A decision: what was asked, what was answered, and on what it stands."""

from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import quote

from center_sdk.leases import Lease


class Code(IntEnum):
    """As center.control.v1.DecisionCode, which says what each means."""

    ALLOWED = 1
    ALLOWED_OVER_LIMIT = 2
    ALLOWED_STALE = 3
    TOKEN_MISSING = 4
    TOKEN_MALFORMED = 5
    TOKEN_FOREIGN = 6
    TOKEN_UNKNOWN = 7
    TOKEN_EXPIRED = 8
    TOKEN_REVOKED = 9
    SOLUTION_MISMATCH = 10
    SOLUTION_UNKNOWN = 11
    ENTITLEMENT_SUSPENDED = 12
    ENTITLEMENT_CANCELLED = 13
    ACTION_NOT_ALLOWED = 14
    RATE_LIMITED = 15
    QUOTA_EXHAUSTED = 16
    ANONYMOUS_EXHAUSTED = 17
    STALE = 18
    LOG_FULL = 19


ALLOWING = frozenset({Code.ALLOWED, Code.ALLOWED_OVER_LIMIT, Code.ALLOWED_STALE})
_UPGRADABLE = frozenset({Code.QUOTA_EXHAUSTED, Code.ACTION_NOT_ALLOWED, Code.ANONYMOUS_EXHAUSTED})


@dataclass(frozen=True, slots=True)
class Facts:
    """What all decisions on one token and action have in common; empty is what is not known, or not the caller's.

    entitlement_id: also set for callers without a token, of whom it is a name without a row.
    upgrade_url: as the solution says it, with its fields not filled in.
    """

    solution_id: str
    action: str
    kid: str = ""
    entitlement_id: str = ""
    user_id: str = ""
    user_email: str = ""
    tier: str = ""
    revision: int = 0
    upgrade_url: str = ""


class Run:
    """Equal decisions in a row, as one record of the log. They are counted in the record itself, by who made it.

    high, low: the id. cost: units of each; -1 once the run has ended.
    slot, place: where its record is, as a record and as a word.
    """

    __slots__ = ("code", "cost", "count", "facts", "first", "high", "lease", "low", "place", "slot", "units")

    def __init__(self, high: int, low: int, facts: Facts, code: Code, cost: int, lease: Lease, first: float) -> None:
        self.high = high
        self.low = low
        self.facts = facts
        self.code = code
        self.cost = cost
        self.units = cost
        self.lease = lease
        self.first = first
        self.count = 0
        self.slot = -1
        self.place = 0

    @property
    def id(self) -> str:
        return uuid_text(self.high, self.low)


def uuid_text(high: int, low: int) -> str:
    """Empty for zero."""
    if not high and not low:
        return ""
    digits = f"{high:016x}{low:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def uuid_words(text: str) -> tuple[int, int]:
    """The two halves of a UUID; zeros for an empty text."""
    if not text:
        return 0, 0
    value = int(text.replace("-", ""), 16)
    return value >> 64, value & 0xFFFF_FFFF_FFFF_FFFF


class Decision:
    """One answer.

    limit, remaining: units of the period; None without a limit, or where the decision did not get as far.
    resets_at: when the period ends, in seconds since the epoch; None where it does not.
    retry_after_s: when to ask again after RATE_LIMITED, else None.
    run_id, number: the number-th of a run of equal decisions in the log; empty where none is kept (a peek, LOG_FULL).
    """

    __slots__ = ("_run", "code", "facts", "limit", "number", "remaining", "resets_at", "retry_after_s")

    def __init__(
        self,
        code: Code,
        facts: Facts,
        limit: int | None,
        remaining: int | None,
        resets_at: float | None,
        run: "Run | None",
        number: int,
        retry_after_s: float | None = None,
    ) -> None:
        self.code = code
        self.facts = facts
        self.limit = limit
        self.remaining = remaining
        self.resets_at = resets_at
        self._run = run
        self.number = number
        self.retry_after_s = retry_after_s

    @property
    def allowed(self) -> bool:
        return self.code <= 3

    @property
    def run_id(self) -> str:
        return self._run.id if self._run is not None else ""

    @property
    def decision_id(self) -> str:
        return f"{self._run.id}.{self.number}" if self._run is not None else ""

    @property
    def solution_id(self) -> str:
        return self.facts.solution_id

    @property
    def action(self) -> str:
        return self.facts.action

    @property
    def token_kid(self) -> str:
        return self.facts.kid

    @property
    def entitlement_id(self) -> str:
        return self.facts.entitlement_id

    @property
    def user_id(self) -> str:
        return self.facts.user_id

    @property
    def user_email(self) -> str:
        return self.facts.user_email

    @property
    def tier(self) -> str:
        return self.facts.tier

    @property
    def revision(self) -> int:
        return self.facts.revision

    @property
    def upgrade_url(self) -> str:
        """Where to get more; empty when that is not what is missing."""
        if self.code not in _UPGRADABLE:
            return ""
        url = self.facts.upgrade_url
        for name in ("action", "tier", "user_id"):
            url = url.replace("{" + name + "}", quote(getattr(self.facts, name), safe=""))
        return url

    def __repr__(self) -> str:
        return f"Decision({self.code.name}, {self.facts.action!r}, remaining={self.remaining}, id={self.decision_id!r})"
