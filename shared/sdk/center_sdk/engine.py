"""The one decision function: of the control plane, of the edge, and of solutions that hold leases themselves.

    engine = Engine(instance="web-1", environment="dev", journal=Journal(path))
    engine.apply(response, now)                    # each WatchAccessResponse; the first is a reset
    told = engine.decide(token, "search", "query", 1, now=now)
    if type(told) is Lack: ...                     # ask once what it lacks, then decide again: Decider does that

All times are seconds since the epoch by the control plane's clock. Nothing here waits or reads a clock, and nothing is
safe for two threads at once: who has threads holds a lock around each call.
"""

import hashlib
import os
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice, takewhile
from typing import Protocol

from center.control.v1 import access_service_pb2 as access_pb
from center.control.v1 import validator_service_pb2 as pb
from center_sdk import terms, tokens
from center_sdk.decision import ALLOWING, Code, Decision, Facts, Run, uuid_text, uuid_words
from center_sdk.held import REVOKED, Subject, Tokens, digest
from center_sdk.journal import COUNT, LAST, Journal
from center_sdk.leases import ENDLESS, HELD_S, IDLE_S, Lease, block, without_limit
from center_sdk.terms import QuotaTerms, SolutionTerms
from center_sdk.windows import Period

TICK_S = 1.0
# The log is handed in little by little, the oldest runs first: a run lasts a second where few tokens are used, and up
# to fifteen where very many are, each now and then.
FLOW_S = 0.2
FLOW_RUNS = 10
FLOW_PART = 75
# Of the leases that need more soon, so small a part at a time.
LOW_PART = 10
# Tokens whose decisions are at hand; more are held, but take longer.
HOT = 65_536
# What one batch accounts for at most: while it is made and read, nothing else is decided in its process, 0.1 ms a run.
RUNS_AT_ONCE = 25
LEASES_AT_ONCE = 25
COST_MAX = 1_000_000_000_000

_NAMESPACE = uuid.UUID("6f1d3c1e-6d0b-5f5e-9a39-0b3f5b1d2c11")
_EVERYTHING = 1 << 62
_EXPIRED = int(access_pb.TOKEN_STATE_EXPIRED)
_STATUS = {
    int(access_pb.ENTITLEMENT_STATUS_SUSPENDED): Code.ENTITLEMENT_SUSPENDED,
    int(access_pb.ENTITLEMENT_STATUS_CANCELLED): Code.ENTITLEMENT_CANCELLED,
}
_ALLOWED = Code.ALLOWED


class BackendUnavailable(Exception):
    """The control plane did not answer."""


class Backend(Protocol):
    """Where units come from: the control plane. Both raise BackendUnavailable when it does not answer."""

    async def admit(self, request: pb.AdmitTokenRequest) -> pb.AdmitTokenResponse: ...

    async def settle(self, request: pb.SettleLeasesRequest) -> pb.SettleLeasesResponse: ...


class Need(IntEnum):
    """ADMIT: send the request, give the answer to admitted(). MORE: settle a batch() soon. WAIT: others still hold some
    of what is missing, and were asked for it; a little later there may be more."""

    ADMIT = 1
    MORE = 2
    WAIT = 3


@dataclass(frozen=True, slots=True)
class Lack:
    """What keeps the engine from deciding.

    request: with ADMIT. assured: the request has to be of this very decision's own. lease: with MORE, and with WAIT.
    """

    need: Need
    request: pb.AdmitTokenRequest | None = None
    assured: bool = False
    lease: Lease | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What is handed in at once. It stays the same until it was answered."""

    request: pb.SettleLeasesRequest
    runs: tuple[Run, ...]
    leases: tuple[tuple[Lease, pb.Settlement], ...]
    reported: dict[str, int]


class _Path:
    """All that decides on one token and action, at hand."""

    __slots__ = (
        "bucket",
        "burst_s",
        "entitlement",
        "facts",
        "fails_open",
        "interval_s",
        "lease",
        "max_age_s",
        "quota",
        "run",
        "solution_id",
        "until",
    )

    def __init__(
        self, facts: Facts, entitlement: int, quota: QuotaTerms, solution: SolutionTerms, until: float
    ) -> None:
        self.facts = facts
        self.entitlement = entitlement
        self.quota = quota
        self.solution_id = solution.id
        self.max_age_s = solution.max_age_s
        self.fails_open = solution.fails_open
        self.until = until
        self.interval_s = 0.0
        self.burst_s = 0.0
        # [when the next call conforms at the earliest, were there no burst] (GCRA)
        self.bucket: list[float] | None = None
        self.lease = _NOTHING
        self.run = _NO_RUN


def _nobody() -> Lease:
    return Lease("", "", QuotaTerms("", 0, Period.STANDING))


_NOTHING = _nobody()
_NO_RUN = Run(0, 0, Facts("", ""), Code.ALLOWED, -1, _NOTHING, 0.0)


class Engine:
    def __init__(
        self,
        *,
        instance: str,
        environment: str,
        journal: Journal | None = None,
        wake: Callable[[], None] = lambda: None,
        hot: int = HOT,
    ) -> None:
        """instance: the name of this replica. environment: whose tokens are no foreign ones.
        wake: called when a batch is due before the next tick."""
        self.instance = instance
        self.revision = 0
        self.wake = wake
        # Decisions that could not be logged, all of them refusals.
        self.unlogged = 0
        self._environment = environment
        self._journal = journal or Journal()
        self._counts, self._times = self._journal.counts, self._journal.times
        self._hot_size = hot
        self._solutions: dict[str, SolutionTerms] = {}
        self._heard = 0.0
        self._tokens = Tokens()
        self._hot: dict[bytes | str, dict[str, _Path]] = {}
        self._hot_of: dict[int, set[bytes | str]] = {}
        self._buckets: dict[str, list[float]] = {}
        self._leases: dict[int, dict[str, Lease]] = {}
        self._by_id: dict[str, Lease] = {}
        # Leases that were used lately, those that only tell that nothing is left, and those on their way back.
        self._live: dict[Lease, None] = {}
        self._wanting: dict[Lease, None] = {}
        # Leases of which little is left, while nobody waits for more.
        self._low: dict[Lease, None] = {}
        self._runs: dict[tuple[Facts, Code, int, str], Run] = {}
        self._pending: deque[Run] = deque()
        # How many of the oldest pending runs are to be handed in.
        self._due = 0
        self._flight: Batch | None = None
        self._ticked = self._flowed = 0.0
        start = uuid.UUID(bytes=os.urandom(16)).int
        self._run_high = (start >> 64) & ~0xF000 | 0x4000
        self._run_low = (1 << 63) | (start & 0x3FFF_FFFF << 32)

    # -- deciding ------------------------------------------------------------------------------------------------

    def decide(
        self,
        token: str,
        solution_id: str,
        action: str,
        cost: int = 1,
        *,
        now: float,
        anonymous_id: str = "",
        peek: bool = False,
        assured: bool = False,
        patient: bool = False,
        last: bool = False,
    ) -> Decision | Lack:
        """Answers, or says what it lacks to be able to.

        peek: decides without spending, and without a trace in the log.
        assured: what admitted() was just told counts, however old everything else is.
        patient: rather waits for what others give back than refuses for it.
        last: there is nobody to ask; decides with what is here.
        Raises ValueError for a cost below zero, or beyond COST_MAX.
        """
        key = hashlib.blake2b(token.encode(), digest_size=16).digest() if token else f"{solution_id}\0{anonymous_id}"
        paths = self._hot.get(key)
        if paths is not None:
            path = paths.get(action)
            if path is not None and path.run.cost == cost and not peek:
                lease, run = path.lease, path.run
                spent = lease.spent + cost
                if (
                    spent <= lease.mark
                    and now < lease.until
                    and now < path.until
                    and now - self._heard <= path.max_age_s
                    and path.solution_id == solution_id
                    and run.lease is lease
                ):
                    bucket = path.bucket
                    if bucket is None or bucket[0] - path.burst_s <= now:
                        if bucket is not None:
                            earliest = bucket[0]
                            bucket[0] = (earliest if earliest > now else now) + path.interval_s
                        lease.spent = spent
                        run.count = number = run.count + 1
                        place = run.place
                        self._counts[place + COUNT] = number
                        self._times[place + LAST] = now
                        top = lease.top
                        remaining = None if top is None else top - spent
                        return Decision(_ALLOWED, path.facts, lease.limit, remaining, lease.resets_at, run, number)
        if not 0 <= cost <= COST_MAX:
            raise ValueError(f"a cost is 0 to {COST_MAX}, not {cost}")
        return self._weigh(key, token, solution_id, action, cost, now, anonymous_id, peek, assured, patient, last)

    def _weigh(
        self,
        key: bytes | str,
        token: str,
        solution_id: str,
        action: str,
        cost: int,
        now: float,
        anonymous_id: str,
        peek: bool,
        assured: bool,
        patient: bool,
        last: bool,
    ) -> Decision | Lack:
        """The checks one after the other, as ExplainDecision tells them."""
        asked = Facts(solution_id, action, revision=self.revision)
        kid = ""
        if token:
            parsed = tokens.parse(token)
            if parsed is None or parsed.kind != tokens.USER_TOKEN:
                return self._refuse(Code.TOKEN_MALFORMED, asked, cost, now, peek)
            if parsed.environment != self._environment:
                return self._refuse(Code.TOKEN_FOREIGN, asked, cost, now, peek)
            kid = parsed.kid
        solution = self._solutions.get(solution_id)
        if solution is None:
            code = Code.SOLUTION_UNKNOWN if self._heard else Code.STALE
            return self._refuse(code, asked, cost, now, peek)
        stale = not assured and now - self._heard > solution.max_age_s
        if solution.max_age_s == 0 and not assured and not last:
            first = 0 if peek or key in self._hot else cost
            return self._admission(solution_id, token, anonymous_id, action, first, first, assured=True)
        if stale and not solution.fails_open:
            return self._refuse(Code.STALE, asked, cost, now, peek)
        if not token:
            if not solution.anonymous_tier:
                return self._refuse(Code.TOKEN_MISSING, asked, cost, now, peek)
            entitlement = anonymous_entitlement(solution_id, anonymous_id)
            subject = Subject("", entitlement.int, solution_id, solution.anonymous_tier)
        else:
            assert isinstance(key, bytes)
            known = self._tokens.known(kid, key)
            if known is None:
                if (refused := self._tokens.refused(key, solution_id, now)) is not None:
                    asked = Facts(solution_id, action, kid, revision=self.revision)
                    return self._refuse(refused, asked, cost, now, peek)
                if stale or last:
                    return self._refuse(Code.STALE, asked, cost, now, peek)
                first = 0 if peek else cost
                return self._admission(solution_id, token, "", action, first, first)
            subject = known
            if subject.solution_id != solution_id:
                # Whose it is, is not this solution's to know.
                asked = Facts(solution_id, action, kid, revision=self.revision)
                return self._refuse(Code.SOLUTION_MISMATCH, asked, cost, now, peek)
        facts = Facts(
            solution_id,
            action,
            subject.kid,
            uuid_text(*divmod(subject.entitlement, 1 << 64)),
            subject.user_id,
            subject.email,
            subject.tier,
            self.revision,
            solution.upgrade_url,
        )
        if subject.state == REVOKED:
            return self._refuse(Code.TOKEN_REVOKED, facts, cost, now, peek)
        if subject.state == _EXPIRED or (subject.expires and now >= subject.expires):
            return self._refuse(Code.TOKEN_EXPIRED, facts, cost, now, peek)
        if (ended := _STATUS.get(subject.status)) is not None:
            return self._refuse(ended, facts, cost, now, peek)
        tier = solution.tiers.get(subject.tier)
        quota = tier.quota(action) if tier is not None else None
        if tier is None or quota is None:
            return self._refuse(Code.ACTION_NOT_ALLOWED, facts, cost, now, peek)
        path = self._path(key, facts, subject, quota, solution)
        if tier.interval_s:
            path.interval_s, path.burst_s = tier.interval_s, tier.interval_s * (tier.burst - 1)
            path.bucket = self._buckets.setdefault(facts.kid or facts.entitlement_id, [0.0])
            # A float's last digits are no reason to refuse.
            wait_s = path.bucket[0] - path.burst_s - now
            if wait_s > 1e-6:
                return self._refuse(Code.RATE_LIMITED, path.facts, cost, now, peek, retry_after_s=wait_s)
        return self._spend(path, token, anonymous_id, cost, now, peek, stale, patient, last)

    def _path(
        self, key: bytes | str, facts: Facts, subject: Subject, quota: QuotaTerms, solution: SolutionTerms
    ) -> _Path:
        paths = self._hot.get(key)
        if paths is None:
            if len(self._hot) >= self._hot_size:
                self._cool(next(iter(self._hot)))
            paths = self._hot[key] = {}
            self._hot_of.setdefault(subject.entitlement, set()).add(key)
        path = paths.get(facts.action)
        if path is None or path.facts != facts or path.quota is not quota:
            if len(paths) >= 1000:
                paths.clear()
            path = _Path(facts, subject.entitlement, quota, solution, subject.expires or ENDLESS)
            paths[facts.action] = path
        return path

    def _cool(self, key: bytes | str) -> None:
        paths = self._hot.pop(key, None)
        if paths:
            entitlement = next(iter(paths.values())).entitlement
            keys = self._hot_of.get(entitlement, set())
            keys.discard(key)
            if not keys:
                self._hot_of.pop(entitlement, None)

    def _spend(
        self,
        path: _Path,
        token: str,
        anonymous_id: str,
        cost: int,
        now: float,
        peek: bool,
        stale: bool,
        patient: bool,
        last: bool,
    ) -> Decision | Lack:
        quota, facts = path.quota, path.facts
        if quota.limit is None:
            if path.lease is _NOTHING or path.lease.quota is not quota:
                path.lease = without_limit(path.solution_id, facts.entitlement_id, quota)
            return self._allow(path, path.lease, Code.ALLOWED_STALE if stale else Code.ALLOWED, cost, now, peek)
        lease = self._lease(path, now)
        path.lease = lease if lease is not None else _NOTHING
        usable = lease is not None and not lease.doubtful
        if lease is not None and lease.id:
            self._live[lease] = None
        if not cost:
            return self._allow(path, lease or _NOTHING, Code.ALLOWED_STALE if stale else Code.ALLOWED, cost, now, peek)
        if lease is not None and usable and cost <= lease.left:
            spent = lease.spent + cost
            fitting = Code.ALLOWED if spent <= lease.within else Code.ALLOWED_OVER_LIMIT
            code = Code.ALLOWED_STALE if stale else fitting
            if spent > lease.mark and not peek and not lease.closing:
                # Low: more is asked for while there still is some, with what flows.
                lease.mark = min(lease.units, lease.within)
                if lease.rate > 1 and not self._short(lease):
                    self._low[lease] = None
            return self._allow(path, lease, code, cost, now, peek)
        if peek and lease is not None and usable and lease.confirmed(now):
            if quota.soft:
                over = cost > (lease.remaining() or 0)
                return self._allow(path, lease, Code.ALLOWED_OVER_LIMIT if over else Code.ALLOWED, cost, now, peek)
            if cost <= (lease.remaining() or 0):
                return self._allow(path, lease, Code.ALLOWED, cost, now, peek)
        confirmed = not quota.soft and lease is not None and usable and lease.confirmed(now)
        if lease is not None and confirmed and cost > (lease.remaining() or 0):
            if lease.outstanding > 0 and patient and not last and now - lease.waited > TICK_S:
                return Lack(Need.WAIT, lease=lease)
            return self._exhausted(path, lease, cost, now, peek)
        if stale or last:
            if path.fails_open:
                return self._allow(path, _NOTHING, Code.ALLOWED_STALE, cost, now, peek)
            return self._refuse(Code.STALE, facts, cost, now, peek)
        if lease is None or not lease.id:
            least = 0 if peek else cost
            wanted = max(least, block(quota.limit)) if least else 0
            return self._admission(path.solution_id, token, anonymous_id, facts.action, least, wanted)
        if peek:
            self._want(lease, 0, 0)
        else:
            self._want(lease, cost, max(0, cost - lease.left))
        return Lack(Need.MORE, lease=lease)

    def _lease(self, path: _Path, now: float) -> Lease | None:
        """The lease of an entitlement and quota, if there is one that still holds."""
        of_entitlement = self._leases.get(path.entitlement)
        lease = of_entitlement.get(path.quota.key) if of_entitlement is not None else None
        if lease is None:
            return None
        if lease.quota is not path.quota:
            lease.quota = path.quota
            lease.fit()
        if lease.closing or (lease.id and now >= lease.until) or (not lease.id and not lease.confirmed(now)):
            self._retire(lease)
            return None
        return lease

    def _allow(self, path: _Path, lease: Lease, code: Code, cost: int, now: float, peek: bool) -> Decision:
        remaining = lease.remaining()
        if peek:
            return Decision(
                code, path.facts, lease.limit if lease is not _NOTHING else None, remaining, lease.resets_at, None, 0
            )
        run = self._run(path.facts, code, cost, lease, now)
        if run is None:
            return self._log_full(path.facts)
        if path.bucket is not None:
            path.bucket[0] = max(path.bucket[0], now) + path.interval_s
        if code is Code.ALLOWED and cost:
            path.run = run
        number = self._count(run, now)
        if cost and lease is not _NOTHING:
            lease.spent += cost
            remaining = lease.remaining()
        return Decision(
            code,
            path.facts,
            lease.limit if lease is not _NOTHING else None,
            remaining if lease is not _NOTHING else None,
            lease.resets_at,
            run,
            number,
        )

    def _exhausted(self, path: _Path, lease: Lease, cost: int, now: float, peek: bool) -> Decision:
        code = Code.QUOTA_EXHAUSTED if path.facts.kid else Code.ANONYMOUS_EXHAUSTED
        self._live[lease] = None
        return self._refuse(code, path.facts, cost, now, peek, lease=lease)

    def _refuse(
        self,
        code: Code,
        facts: Facts,
        cost: int,
        now: float,
        peek: bool,
        *,
        lease: Lease | None = None,
        retry_after_s: float | None = None,
    ) -> Decision:
        limit = remaining = resets_at = None
        if lease is not None:
            limit, remaining, resets_at = lease.limit, lease.remaining(), lease.resets_at
        if peek:
            return Decision(code, facts, limit, remaining, resets_at, None, 0, retry_after_s)
        run = self._run(facts, code, cost, _NOTHING, now)
        if run is None:
            return self._log_full(facts)
        return Decision(code, facts, limit, remaining, resets_at, run, self._count(run, now), retry_after_s)

    def _log_full(self, facts: Facts) -> Decision:
        self.unlogged += 1
        self.wake()
        return Decision(Code.LOG_FULL, facts, None, None, None, None, 0)

    def _run(self, facts: Facts, code: Code, cost: int, lease: Lease, now: float) -> Run | None:
        """The open run of such decisions; None when the journal is full."""
        key = (facts, code, cost, lease.id)
        run = self._runs.get(key)
        if run is not None:
            return run
        self._run_low += 1
        run = Run(self._run_high, self._run_low, facts, code, cost, lease, now)
        if not self._journal.begin(run):
            return None
        lease.pending += 1
        self._runs[key] = run
        self._pending.append(run)
        if self._journal.used == self._journal.records // 2:
            self.wake()
        return run

    def _count(self, run: Run, now: float) -> int:
        run.count += 1
        self._counts[run.place + COUNT] = run.count
        self._times[run.place + LAST] = now
        return run.count

    def _admission(
        self,
        solution_id: str,
        token: str,
        anonymous_id: str,
        action: str,
        least: int,
        wanted: int,
        *,
        assured: bool = False,
    ) -> Lack:
        request = pb.AdmitTokenRequest(
            instance=self.instance,
            solution_id=solution_id,
            token=token,
            anonymous_id=anonymous_id,
            action=action,
            least_units=least,
            wanted_units=wanted,
        )
        return Lack(Need.ADMIT, request, assured)

    # -- what is known -------------------------------------------------------------------------------------------

    def apply(self, told: pb.WatchAccessResponse, now: float) -> None:
        """Takes over what the control plane pushes."""
        if told.reset:
            self._tokens.start_over(told.revision)
            self._cool_all()
            for gone in set(self._solutions) - {solution.id for solution in told.solutions}:
                self._removed(gone)
            for lease in self._all_leases():
                self._doubt(lease)
        for solution in told.solutions:
            self._solution(terms.of_solution(solution))
        for solution_id in told.removed_solution_ids:
            self._removed(solution_id)
        for entitlement in told.entitlements:
            self._tokens.changed(entitlement.id, told.revision)
            self._entitlement_changed(entitlement.id)
        for token in told.tokens:
            if (key := self._tokens.token_changed(token, told.revision)) is not None:
                self._cool(key)
        for lease_id in told.recalled_lease_ids:
            if (recalled := self._by_id.get(lease_id)) is not None and not recalled.closing:
                self._give_up(recalled)
        self.revision = max(self.revision, told.revision)
        if told.HasField("time"):
            # Not the greatest so far: another process of the control plane may have another clock.
            self._heard = told.time.seconds + told.time.nanos / 1e9

    def _solution(self, solution: SolutionTerms) -> None:
        before = self._solutions.get(solution.id)
        if before is not None and (before.revision > solution.revision or before == solution):
            return
        self._solutions[solution.id] = solution
        if before is None:
            return
        self._cool_all()
        for lease in self._all_leases():
            if lease.solution_id == solution.id:
                self._doubt(lease)

    def _removed(self, solution_id: str) -> None:
        if self._solutions.pop(solution_id, None) is None:
            return
        self._cool_all()
        for lease in self._all_leases():
            if lease.solution_id == solution_id:
                self._give_up(lease)

    def _cool_all(self) -> None:
        self._hot.clear()
        self._hot_of.clear()

    def _doubt(self, lease: Lease) -> None:
        lease.doubt()
        if lease.id:
            self._want(lease, 0, 0)

    def _give_up(self, lease: Lease) -> None:
        self._retire(lease)
        if lease.id:
            self.wake()

    def _retire(self, lease: Lease) -> None:
        """Takes a lease out of use; if it has units, what is left of them goes back with a batch."""
        lease.close()
        if (of_entitlement := self._leases.get(_number(lease.entitlement_id))) is not None:
            if of_entitlement.get(lease.action) is lease:
                del of_entitlement[lease.action]
            if not of_entitlement:
                del self._leases[_number(lease.entitlement_id)]
        if lease.id:
            self._wanting[lease] = None
        else:
            self._live.pop(lease, None)

    def _entitlement_changed(self, entitlement_id: str) -> None:
        number = _number(entitlement_id)
        for key in list(self._hot_of.get(number, ())):
            self._cool(key)
        for lease in list(self._leases.get(number, {}).values()):
            self._doubt(lease)

    def _all_leases(self) -> list[Lease]:
        return [lease for of_entitlement in self._leases.values() for lease in of_entitlement.values()]

    def admitted(self, request: pb.AdmitTokenRequest, told: pb.AdmitTokenResponse, now: float) -> None:
        """Takes over what the control plane says of a token, and the lease that came with it."""
        if request.token:
            key = digest(request.token)
            if not told.HasField("token"):
                self._tokens.refuse(key, request.solution_id, Code(told.code), now)
            elif (before := self._tokens.hold(key, told)) is not None:
                self._cool(before)
        if told.HasField("lease") and told.lease.entitlement_id:
            self._lent(request.solution_id, told.lease, now)

    @property
    def held(self) -> int:
        """How many tokens are known here."""
        return len(self._tokens)

    # -- leases and the log --------------------------------------------------------------------------------------

    def _lent(self, solution_id: str, told: pb.Lease, now: float) -> None:
        number = _number(told.entitlement_id)
        # Whether the limit is soft, the first decision on the lease knows.
        quota = QuotaTerms(told.action, told.limit, Period.STANDING)
        of_entitlement = self._leases.setdefault(number, {})
        held = of_entitlement.get(told.action)
        lease = Lease(solution_id, told.entitlement_id, quota)
        lease.action = told.action
        lease.hear(told, now)
        lease.seen = now
        if lease.id:
            self._by_id[lease.id] = lease
        if held is not None and held.id and not held.closing:
            if lease.id and (held.doubtful or held.left <= lease.left):
                self._retire(held)
            elif lease.id:
                # Two asked at once; one lease is enough.
                lease.close()
                self._wanting[lease] = None
                return
            else:
                held.taken, held.limit, held.answered = lease.taken, lease.limit, now
                return
        self._leases.setdefault(number, {})[told.action] = lease
        self._live[lease] = None

    def _want(self, lease: Lease, units: int, least: int) -> None:
        lease.asked += units
        lease.asked_least = max(lease.asked_least, least)
        self._wanting[lease] = None
        self.wake()

    @staticmethod
    def _short(lease: Lease) -> bool:
        """Whether there is nothing more to ask for."""
        return lease.limit is not None and lease.taken >= lease.limit and not lease.quota.soft

    def batch(self, now: float, *, everything: bool = False) -> pb.SettleLeasesRequest | None:
        """What is to be handed in now; None when that is nothing. The same again until settled() or failed().

        everything: gives all back, for the end.
        """
        if self._flight is not None:
            return self._flight.request
        leases: dict[Lease, None] = {}
        if everything or now - self._ticked >= TICK_S:
            self._tick(now, everything)
        if everything or self._journal.used * 2 > self._journal.records:
            self._due = len(self._pending)
        elif now - self._flowed >= FLOW_S:
            self._flowed = now
            self._due = max(self._due, self._ripe(now))
            # Some at a time, and none between: where many tokens are used in turn, each batch would meet another one.
            for lease in list(islice(self._low, max(LEASES_AT_ONCE, len(self._low) // LOW_PART))):
                self._wanting[lease] = None
                del self._low[lease]
        # Of these all runs go along: what is given back must not be spent already.
        closing = {lease for lease in self._wanting if lease.closing or lease.doubtful}
        runs: list[Run] = []
        included: dict[Lease, int] = {}
        reported: dict[str, int] = {}
        later: list[Run] = []
        while self._pending and len(runs) < RUNS_AT_ONCE and (self._due or closing):
            run = self._pending.popleft()
            lease = run.lease
            if self._due:
                self._due -= 1
            elif lease not in closing:
                later.append(run)
                continue
            # What comes next starts another run: this one is told as it is.
            run.cost = -1
            self._runs.pop((run.facts, run.code, run.units, lease.id), None)
            runs.append(run)
            if lease.id:
                included[lease] = included.get(lease, 0) + 1
                leases[lease] = None
                if run.code in ALLOWING:
                    reported[lease.id] = reported.get(lease.id, 0) + run.units * run.count
        self._pending.extendleft(reversed(later))
        for lease in list(self._wanting):
            if len(leases) >= LEASES_AT_ONCE:
                break
            leases[lease] = None
        settlements = []
        for lease in leases:
            self._wanting.pop(lease, None)
            self._low.pop(lease, None)
            if not lease.id:
                continue
            done = lease.pending == included.get(lease, 0)
            if not done and (lease.closing or lease.doubtful):
                self._wanting[lease] = None
            settlements.append((lease, self._settlement(lease, now, reported.get(lease.id, 0), done)))
        if not runs and not settlements:
            return None
        request = pb.SettleLeasesRequest(
            instance=self.instance,
            settlements=[settlement for _, settlement in settlements],
            runs=[told for run in runs if (told := self._journal.told(run.slot)) is not None],
        )
        self._flight = Batch(request, tuple(runs), tuple(settlements), reported)
        return request

    def _ripe(self, now: float) -> int:
        """How many of the oldest runs it is time to hand in."""
        most = max(FLOW_RUNS, len(self._pending) // FLOW_PART)
        return sum(1 for _ in takewhile(lambda run: now - run.first >= TICK_S, islice(self._pending, most)))

    def _settlement(self, lease: Lease, now: float, reporting: int, done: bool) -> pb.Settlement:
        unreported = lease.spent - lease.reported - reporting
        if lease.closing:
            return pb.Settlement(lease_id=lease.id, wanted_units=unreported, close=done)
        target = max(int(lease.pace(now) * HELD_S) + 1, lease.block) if lease.rate or lease.asked else 0
        want = max(lease.left, 0)
        if want < target or lease.asked:
            want = max(lease.asked, target, want)
        elif want > 2 * target + 1:
            want = target
            # Promised back: not spent any more.
            lease.units = lease.spent + want
            lease.fit()
        least = lease.left + lease.asked_least if lease.asked_least else 0
        settlement = pb.Settlement(
            lease_id=lease.id,
            wanted_units=unreported + want,
            least_units=unreported + least if least else 0,
            renew=lease.doubtful and done,
        )
        lease.asked = lease.asked_least = 0
        return settlement

    def _tick(self, now: float, everything: bool) -> None:
        self._ticked = now
        for lease in list(self._live):
            used = lease.see(now)
            if lease.closing or not lease.id:
                if not lease.id and not lease.confirmed(now):
                    self._retire(lease)
                continue
            # What is left is kept for a while: who else needs it recalls it. What is used up is, too: to fill it up
            # again is one line of a batch, and to begin anew a transaction.
            idle = not used and now - lease.used_at >= IDLE_S
            if everything or now >= lease.until or (idle and not lease.asked):
                self._live.pop(lease, None)
                self._retire(lease)
            elif used and not lease.asked:
                # It is known now how fast it is used.
                lease.set_mark()
        if everything:
            for lease in self._all_leases():
                self._retire(lease)
        if len(self._buckets) > self._hot_size:
            self._buckets = {name: bucket for name, bucket in self._buckets.items() if bucket[0] > now}
            self._cool_all()

    def settled(self, told: pb.SettleLeasesResponse, now: float) -> None:
        """The batch is durable."""
        flight = self._flight
        assert flight is not None
        self._flight = None
        for run in flight.runs:
            self._journal.free(run.slot)
            run.lease.pending -= 1
        for (lease, settlement), answer in zip(flight.leases, told.leases, strict=True):
            lease.reported += flight.reported.get(lease.id, 0)
            if settlement.close:
                self._by_id.pop(lease.id, None)
                self._live.pop(lease, None)
                continue
            if lease.closing:
                continue
            if not answer.id:
                # Over: what is still pending of it comes later.
                self._retire(lease)
                continue
            lease.doubtful = lease.doubtful and not settlement.renew
            lease.hear(answer, now)

    def failed(self) -> None:
        """The batch was not answered: it goes out again, since it may be durable all the same."""

    def waits(self, lease: Lease) -> bool:
        """Whether what was asked for is still to be handed in."""
        return lease in self._wanting

    def waiting_runs(self) -> int:
        """How many runs are not yet handed in."""
        return len(self._pending) + (len(self._flight.runs) if self._flight is not None else 0)


def anonymous_entitlement(solution_id: str, anonymous_id: str) -> uuid.UUID:
    """Under which name callers without a token are counted."""
    return uuid.uuid5(_NAMESPACE, f"{solution_id}\0{anonymous_id}")


def _number(entitlement_id: str) -> int:
    high, low = uuid_words(entitlement_id)
    return high << 64 | low
