"""How much of a metered feature a tenant may use: the windows and the rollover of quotas, on the tenant's calendar."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from center_sdk import windows
from center_sdk.terms import QuotaTerms
from center_sdk.windows import Window
from control.features.domain import Effective, SourceKind
from control.features.values import Quota
from control.quotas import domain as quotas


class Code(StrEnum):
    ALLOWED = "ALLOWED"
    ALLOWED_OVER_LIMIT = "ALLOWED_OVER_LIMIT"
    FEATURE_ABSENT = "FEATURE_ABSENT"
    FEATURE_KILLED = "FEATURE_KILLED"
    LIMIT_REACHED = "LIMIT_REACHED"


ALLOWING = (Code.ALLOWED, Code.ALLOWED_OVER_LIMIT)


@dataclass(frozen=True, slots=True)
class Place:
    """A window, and what it is called: its first moment on the wall clock, such as the 1st of November, midnight.

    The name stays when the tenant moves to another time zone, so nothing is counted anew.
    """

    window: Window
    name: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """used: in a window. carried: what the window before left over."""

    used: int = 0
    carried: int = 0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a tenant has of a metered feature now. revision: of the set that says so. denial: why it has nothing."""

    tenant_id: str
    feature_id: str
    place: Place
    before: Place | None
    quota: QuotaTerms
    revision: int
    denial: Code | None = None


def allowance(
    tenant_id: str, feature_id: str, effective: Effective | None, absent: Quota, zone: str, now: datetime, revision: int
) -> Allowance:
    """effective: None where nothing gives the feature. absent: what then holds."""
    held = effective.value if effective is not None and effective.enabled else absent
    assert isinstance(held, Quota)
    quota = QuotaTerms(feature_id, held.limit, windows.Period[held.period], held.soft, held.rollover_limit)
    window = windows.window(quota.period, zone, now)
    earlier = windows.before(quota.period, zone, window)
    return Allowance(
        tenant_id=tenant_id,
        feature_id=feature_id,
        place=_place(quota.period, zone, window),
        before=_place(quota.period, zone, earlier) if earlier is not None and quota.rollover_limit else None,
        quota=quota,
        revision=revision,
        denial=_denial(effective),
    )


def _place(period: windows.Period, zone: str, window: Window) -> Place:
    wall = window.start.astimezone(ZoneInfo(zone or "UTC")).replace(tzinfo=None)
    # Where clocks are put forward at midnight, a day starts later, and is called the same.
    return Place(window, wall if period is windows.Period.HOUR else wall.replace(hour=0, minute=0))


def _denial(effective: Effective | None) -> Code | None:
    if effective is None:
        return Code.FEATURE_ABSENT
    if effective.enabled:
        return None
    killed = effective.sources and effective.sources[-1].kind is SourceKind.KILL_SWITCH
    return Code.FEATURE_KILLED if killed else Code.FEATURE_ABSENT


def carried(asked: Allowance, before: Counted | None, since: datetime | None) -> int:
    """What a window that nothing is counted in yet may use on top, as quotas have it.

    before: of the window before. since: when the tenant came; it left nothing over before.
    """
    window = asked.place.window
    if asked.before is None or since is None or since >= window.start:
        return 0
    last = asked.before.window
    counter = None
    if before is not None:
        counter = quotas.Counter(
            asked.tenant_id, asked.feature_id, last.start, last.end, before.used, carried=before.carried
        )
    return quotas.carried(asked.quota, counter)


def limit(asked: Allowance, counted: Counted) -> int | None:
    """Of the window; None is unlimited."""
    if asked.denial is not None:
        return 0
    return quotas.limit_of(asked.quota, counted.carried)


def most(quota: QuotaTerms) -> int:
    """How much may be counted in a window, but for what is carried: whatever is allowed, a counter must hold it."""
    return quotas.NO_LIMIT if quota.soft or quota.limit is None else quota.limit


def judge(asked: Allowance, counted: Counted, units: int = 0) -> Code:
    """Of so many units more."""
    if asked.denial is not None:
        return asked.denial
    used, bound = counted.used + units, limit(asked, counted)
    if used > most(asked.quota) + counted.carried:
        return Code.LIMIT_REACHED
    return Code.ALLOWED if bound is None or used <= bound else Code.ALLOWED_OVER_LIMIT
