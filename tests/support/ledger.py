"""A control plane's accounts in memory, by the domain's own rules: what engines of property tests stand on."""

import itertools
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from center.control.v1 import quota_pb2, validator_service_pb2
from center.control.v1 import solution_service_pb2 as solution_pb
from center.control.v1 import validator_service_pb2 as pb
from center_sdk import tokens, windows
from center_sdk.leases import block
from center_sdk.terms import of_solution
from control.quotas import domain
from control.quotas.domain import Counter, Lease, Wish

SOLUTION, ACTION, TIER = "search", "query", "free"


def solution(
    limit: int | None, revision: int = 1, *, period: int = quota_pb2.QUOTA_PERIOD_DAY, soft: bool = False
) -> solution_pb.Solution:
    made = solution_pb.Solution(id=SOLUTION, display_name="Search", revision=revision)
    quota = made.tiers.add(id=TIER).quotas[ACTION]
    if limit is None:
        quota.unlimited.SetInParent()
    else:
        quota.limit = limit
    quota.period = period  # type: ignore[assignment]
    if soft:
        quota.enforcement = quota_pb2.QUOTA_ENFORCEMENT_SOFT
    return made


@dataclass
class Ledger:
    """now: seconds since the epoch. runs: the log, by id. lost: units of leases that expired."""

    now: float
    terms: solution_pb.Solution
    lease_s: float = 10.0
    revision: int = 1
    granted: dict[str, str] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    suspended: set[str] = field(default_factory=set)
    counters: dict[tuple[str, str, datetime], Counter] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    runs: dict[str, pb.DecisionRun] = field(default_factory=dict)
    lost: int = 0
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def issue(self, entitlement_id: str = "") -> str:
        token = tokens.issue("dev")
        self.granted[token] = entitlement_id or str(uuid.UUID(int=next(self.numbers)))
        return token

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def push(self, *, reset: bool = False) -> pb.WatchAccessResponse:
        told = pb.WatchAccessResponse(revision=self.revision, reset=reset, solutions=[self.terms])
        told.time.FromDatetime(self.at)
        return told

    def admit(self, request: pb.AdmitTokenRequest) -> pb.AdmitTokenResponse:
        told = pb.AdmitTokenResponse(revision=self.revision, code=1)  # type: ignore[arg-type]
        entitlement_id = self.granted.get(request.token)
        if entitlement_id is None:
            told.code = 7  # type: ignore[assignment]
            return told
        parsed = tokens.parse(request.token)
        assert parsed is not None
        told.token.kid, told.token.entitlement_id = parsed.kid, entitlement_id
        told.token.state = 3 if request.token in self.revoked else 1  # type: ignore[assignment]
        told.entitlement.id, told.entitlement.solution_id = entitlement_id, self.terms.id
        told.entitlement.tier = TIER
        told.entitlement.status = 2 if entitlement_id in self.suspended else 1  # type: ignore[assignment]
        told.entitlement.user_id = str(uuid.uuid5(uuid.NAMESPACE_OID, entitlement_id))
        told.entitlement.user_email = "someone@example.com"
        terms = of_solution(self.terms)
        quota = terms.tiers[TIER].quota(request.action)
        if quota is None or quota.limit is None:
            return told
        window = domain.window_of(terms, quota, self.at)
        key = (entitlement_id, quota.key, window.start)
        counter = self.counters.setdefault(key, Counter(entitlement_id, quota.key, window.start, window.end))
        units = 0
        if request.wanted_units:
            wanted = max(request.wanted_units, block(quota.limit))
            units = domain.grant(quota, counter, wanted, request.least_units, counter.holders + 1)
        lease = Lease(
            str(uuid.UUID(int=next(self.numbers))), entitlement_id, quota.key, window.start, SOLUTION, units, 0, False,
            self.at + timedelta(seconds=self.lease_s),
        )  # fmt: skip
        if units:
            counter.taken += units
            counter.outstanding += units
            counter.holders += 1
            self.leases[lease.id] = lease
        told.lease.CopyFrom(self._told(lease, counter, quota.limit))
        if not units:
            told.lease.id = ""
        return told

    def settle(self, request: pb.SettleLeasesRequest) -> pb.SettleLeasesResponse:
        spent: dict[str, int] = {}
        for run in request.runs:
            if run.id not in self.runs:
                self.runs[run.id] = run
                if run.lease_id and run.code <= 3:
                    spent[run.lease_id] = spent.get(run.lease_id, 0) + run.cost * run.count
        told = pb.SettleLeasesResponse()
        wishes = {each.lease_id: each for each in request.settlements}
        answers: dict[str, pb.Lease] = {}
        for lease_id in sorted({*wishes, *spent}, key=lambda each: each not in wishes or not wishes[each].close):
            lease = self.leases.get(lease_id)
            if lease is None:
                continue
            counter = self.counters[lease.entitlement_id, lease.action, lease.window_start]
            asked = wishes.get(lease_id)
            wish = Wish(domain.NO_LIMIT)
            if asked is not None:
                wish = Wish(asked.wanted_units, asked.least_units, asked.close, asked.renew)
            terms = of_solution(self.terms)
            quota = terms.tiers[TIER].quota(lease.action)
            assert quota is not None
            if (
                lease.entitlement_id in self.suspended
                or quota.limit is None
                or windows.window(quota.period, "UTC", self.at).start != lease.window_start
            ):
                quota = None
            by = quota if asked is not None else None
            over = domain.settle(counter, lease, spent.get(lease_id, 0), wish, by, self.at, self.lease_s)
            self.lost -= over.found
            if wish.close or (over.over and not lease.expired):
                del self.leases[lease_id]
            elif not over.over:
                limit = counter.taken if quota is None or quota.limit is None else quota.limit
                answers[lease_id] = self._told(lease, counter, limit)
        told.leases.extend(answers.get(each.lease_id, validator_service_pb2.Lease()) for each in request.settlements)
        return told

    def _told(self, lease: Lease, counter: Counter, limit: int) -> pb.Lease:
        told = pb.Lease(
            id=lease.id,
            entitlement_id=lease.entitlement_id,
            action=lease.action,
            units=lease.units,
            limit=limit,
            taken_units=counter.taken,
            outstanding_units=counter.outstanding,
        )
        told.window_start.FromDatetime(lease.window_start)
        if counter.window_end is not None:
            told.window_end.FromDatetime(counter.window_end)
        told.expire_time.FromDatetime(lease.expire_time)
        return told

    def expire(self) -> None:
        for lease in self.leases.values():
            if not lease.expired and lease.expire_time < self.at:
                counter = self.counters[lease.entitlement_id, lease.action, lease.window_start]
                self.lost += domain.expire(counter, lease, "")

    @property
    def used(self) -> int:
        return sum(run.cost * run.count for run in self.runs.values() if run.code <= 3)

    @property
    def taken(self) -> int:
        return sum(counter.taken for counter in self.counters.values())
