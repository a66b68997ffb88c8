"""The terms of solutions, as the engine reads them: from the contract into what a decision needs."""

from collections.abc import Mapping
from dataclasses import dataclass

from center.control.v1 import quota_pb2
from center.control.v1 import solution_service_pb2 as pb
from center_sdk.windows import Period

# The action whose quota holds for all that have none of their own; they share it.
ANY_ACTION = "*"
DEFAULT_MAX_AGE_S = 30.0


@dataclass(frozen=True, slots=True)
class QuotaTerms:
    """key: the action that units are counted for: the one asked for, or `*`. limit: None is without one."""

    key: str
    limit: int | None
    period: Period
    soft: bool = False
    rollover_limit: int = 0


@dataclass(frozen=True, slots=True)
class TierTerms:
    """interval_s: from one call of a token to the next; 0 sets no rate. burst: calls that may come at once."""

    id: str
    quotas: Mapping[str, QuotaTerms]
    interval_s: float = 0.0
    burst: int = 1

    def quota(self, action: str) -> QuotaTerms | None:
        return self.quotas.get(action) or self.quotas.get(ANY_ACTION)


@dataclass(frozen=True, slots=True)
class SolutionTerms:
    id: str
    tiers: Mapping[str, TierTerms]
    anonymous_tier: str
    fails_open: bool
    max_age_s: float
    time_zone: str
    upgrade_url: str
    revision: int


def of_solution(solution: pb.Solution) -> SolutionTerms:
    return SolutionTerms(
        id=solution.id,
        tiers={tier.id: _tier(tier) for tier in solution.tiers},
        anonymous_tier=solution.anonymous_tier,
        fails_open=solution.fail_mode == pb.FAIL_MODE_OPEN,
        max_age_s=_seconds(solution) if solution.HasField("max_age") else DEFAULT_MAX_AGE_S,
        time_zone=solution.time_zone or "UTC",
        upgrade_url=solution.upgrade_url,
        revision=solution.revision,
    )


def of_quota(key: str, quota: quota_pb2.Quota) -> QuotaTerms:
    return QuotaTerms(
        key=key,
        limit=None if quota.HasField("unlimited") else quota.limit,
        period=Period(quota.period),
        soft=quota.enforcement == quota_pb2.QUOTA_ENFORCEMENT_SOFT,
        rollover_limit=quota.rollover_limit,
    )


def _tier(tier: pb.Tier) -> TierTerms:
    quotas = {key: of_quota(key, quota) for key, quota in tier.quotas.items()}
    if not tier.HasField("rate_limit"):
        return TierTerms(tier.id, quotas)
    return TierTerms(tier.id, quotas, 1.0 / tier.rate_limit.per_second, tier.rate_limit.burst)


def _seconds(solution: pb.Solution) -> float:
    return solution.max_age.seconds + solution.max_age.nanos / 1e9
