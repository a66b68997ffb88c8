"""What validators ask for, whether over gRPC or in this process: what a token is, units, and accounts."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import access_service_pb2 as access_pb
from center.control.v1 import validator_service_pb2 as pb
from center_sdk import terms, tokens, windows
from center_sdk.decision import ALLOWING, Code, Facts
from center_sdk.engine import anonymous_entitlement
from center_sdk.leases import block
from center_sdk.terms import QuotaTerms, SolutionTerms
from control.catalog.memory import Catalog
from control.entitlements import store as entitlement_store
from control.entitlements.domain import Entitlement, Status, Token
from control.peppers import Peppers
from control.quotas import domain, store
from control.quotas.domain import Lease, Wish
from control.quotas.store import Held, Run
from control.users import ops as user_ops
from control.users.crypto import Vault
from control.users.store import Sealed
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import Aborted, InvalidArgument, PermissionDenied
from shared.runtime.ids import is_uuid, uuid7

log = structlog.stdlib.get_logger("center.quotas")

T = TypeVar("T")

TRIES = 5
# A validator's clock may be off, and what it says of time is kept within reason.
EARLIEST, LATEST = timedelta(days=90), timedelta(minutes=5)

_STATUS = {
    Status.ACTIVE: access_pb.ENTITLEMENT_STATUS_ACTIVE,
    Status.SUSPENDED: access_pb.ENTITLEMENT_STATUS_SUSPENDED,
    Status.CANCELLED: access_pb.ENTITLEMENT_STATUS_CANCELLED,
}
_REFUSED = {
    Status.SUSPENDED: access_pb.DECISION_CODE_ENTITLEMENT_SUSPENDED,
    Status.CANCELLED: access_pb.DECISION_CODE_ENTITLEMENT_CANCELLED,
}
_CODES = frozenset(int(code) for code in Code)
_ALLOWING = frozenset(int(code) for code in ALLOWING)


class Terms:
    """The terms of solutions as this process's catalog has them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._read: dict[str, tuple[object, SolutionTerms]] = {}

    def of(self, solution_id: str) -> SolutionTerms | None:
        solution = self._catalog.solution(solution_id)
        if solution is None:
            return None
        known = self._read.get(solution_id)
        if known is None or known[0] is not solution:
            known = self._read[solution_id] = (solution, terms.of_solution(solution))
        return known[1]


@dataclass(frozen=True, slots=True)
class Quotas:
    """db: a pool of its own, so that settlements never wait behind requests.

    environment: whose tokens are no foreign ones. lease_s: how long a lease holds without word of its holder.
    """

    db: Database
    clock: Clock
    catalog: Catalog
    terms: Terms
    peppers: Peppers
    vault: Vault
    environment: str
    lease_s: float

    async def admit(self, request: pb.AdmitTokenRequest, validator: str) -> pb.AdmitTokenResponse:
        """validator: who asks, such as solution/search/web-1."""
        return await _persistently(lambda: self._admit(request, validator))

    async def settle(
        self, request: pb.SettleLeasesRequest, validator: str, solution_id: str | None = None
    ) -> pb.SettleLeasesResponse:
        """solution_id: whose leases they must be. InvalidArgument SETTLEMENT_INVALID, PermissionDenied
        SOLUTION_NOT_YOURS."""
        now = self.clock.now()
        runs = [self._run(run, now) for run in request.runs]
        return await _persistently(lambda: self._settle(request, runs, validator, solution_id, now))

    async def _admit(self, request: pb.AdmitTokenRequest, validator: str) -> pb.AdmitTokenResponse:
        solution = self.terms.of(request.solution_id)
        if solution is None:
            return _refusal(access_pb.DECISION_CODE_SOLUTION_UNKNOWN)
        if not request.token:
            if not solution.anonymous_tier:
                return _refusal(access_pb.DECISION_CODE_TOKEN_MISSING)
            entitlement = pb.EntitlementTerms(
                id=str(anonymous_entitlement(solution.id, request.anonymous_id)),
                solution_id=solution.id,
                tier=solution.anonymous_tier,
                status=access_pb.ENTITLEMENT_STATUS_ACTIVE,
            )
            async with self.db.transaction() as tx:
                told = pb.AdmitTokenResponse(revision=self.catalog.revision, entitlement=entitlement)
                await self._lend(tx, told, request, solution, validator, None)
            return told
        parsed = tokens.parse(request.token)
        if parsed is None or parsed.kind != tokens.USER_TOKEN:
            return _refusal(access_pb.DECISION_CODE_TOKEN_MALFORMED)
        if parsed.environment != self.environment:
            return _refusal(access_pb.DECISION_CODE_TOKEN_FOREIGN)
        async with self.db.transaction() as tx:
            row = await store.presented(tx, parsed.kid)
            revision, found, granted = row.revision, row.token, row.entitlement
            if found is None or granted is None:
                self.peppers.holds_not(request.token)
                return _refusal(access_pb.DECISION_CODE_TOKEN_UNKNOWN, revision)
            if not self.peppers.holds(request.token, found.pepper, found.mac):
                return _refusal(access_pb.DECISION_CODE_TOKEN_UNKNOWN, revision)
            if found.pepper != self.peppers.newest:
                # The whole token is here when it is shown, and never else: old peppers fall out of use.
                await entitlement_store.reseal(tx, found.kid, *self.peppers.seal(request.token))
            if found.solution_id != solution.id:
                return _refusal(access_pb.DECISION_CODE_SOLUTION_MISMATCH, revision)
            told = pb.AdmitTokenResponse(
                revision=revision,
                token=_token(found),
                entitlement=pb.EntitlementTerms(
                    id=granted.id,
                    user_id=granted.user_id,
                    user_email=self._email(granted, row.sealed),
                    solution_id=granted.solution_id,
                    tier=granted.tier,
                    status=_STATUS[granted.status],
                ),
            )
            if found.revoke_time is not None:
                told.code = access_pb.DECISION_CODE_TOKEN_REVOKED
            elif found.expire_time is not None and found.expire_time <= self.clock.now():
                told.code = access_pb.DECISION_CODE_TOKEN_EXPIRED
            elif granted.status is not Status.ACTIVE:
                told.code = _REFUSED[granted.status]
            else:
                await self._lend(tx, told, request, solution, validator, granted.create_time)
        return told

    def _email(self, entitlement: Entitlement, sealed: Sealed | None) -> str:
        message = self.catalog.solution(entitlement.solution_id)
        if message is None or message.email_hidden or sealed is None:
            return ""
        return user_ops.email_of(self.vault, entitlement.user_id, sealed)

    async def _lend(
        self,
        tx: AsyncConnection,
        told: pb.AdmitTokenResponse,
        request: pb.AdmitTokenRequest,
        solution: SolutionTerms,
        validator: str,
        since: datetime | None,
    ) -> None:
        """The lease that comes with an admission. since: when the entitlement began; None without a token."""
        told.code = access_pb.DECISION_CODE_ALLOWED
        if not request.action:
            return
        tier = solution.tiers.get(told.entitlement.tier)
        quota = tier.quota(request.action) if tier is not None else None
        if quota is None:
            told.code = access_pb.DECISION_CODE_ACTION_NOT_ALLOWED
            return
        if quota.limit is None:
            return
        now = self.clock.now()
        window = domain.window_of(solution, quota, now)
        entitlement_id = told.entitlement.id
        wanted, least = max(request.wanted_units, request.least_units), request.least_units
        if wanted:
            # Who does not know the token yet cannot know what is worth holding of its quota.
            wanted = max(wanted, block(quota.limit))
        carried = await self.carried(tx, solution, quota, entitlement_id, window, since)
        if not wanted:
            known = await store.counter(tx, entitlement_id, quota.key, window.start)
            taken, outstanding = (known.taken, known.outstanding) if known is not None else (0, 0)
            carried = known.carried if known is not None else carried
            granted, lease_id = 0, ""
        else:
            lease = Lease(
                uuid7(), entitlement_id, quota.key, window.start, solution.id, 0, 0, False, now + self._life()
            )
            made = await store.take(
                tx,
                lease,
                window,
                quota,
                validator=validator,
                wanted=wanted,
                least=least,
                carried=carried,
                now=now,
            )
            taken, outstanding, carried, granted = made.taken, made.outstanding, made.carried, made.granted
            lease_id = lease.id if granted else ""
            if granted < least or not granted:
                token = told.HasField("token")
                exhausted = access_pb.DECISION_CODE_QUOTA_EXHAUSTED
                told.code = exhausted if token else access_pb.DECISION_CODE_ANONYMOUS_EXHAUSTED
                if outstanding:
                    await store.recall(tx, (entitlement_id, quota.key, window.start), solution.id, now)
        message = told.lease
        message.id = lease_id
        message.entitlement_id, message.action = entitlement_id, quota.key
        message.units, message.taken_units, message.outstanding_units = granted, taken, outstanding
        message.limit = quota.limit + carried
        _stamp(message.window_start, window.start)
        if window.end is not None:
            _stamp(message.window_end, window.end)
        _stamp(message.expire_time, now + self._life())

    async def carried(
        self,
        tx: AsyncConnection,
        solution: SolutionTerms,
        quota: QuotaTerms,
        entitlement_id: str,
        window: windows.Window,
        since: datetime | None,
    ) -> int:
        """What the period before leaves over for a counter that is not there yet."""
        if not quota.rollover_limit or since is None or since >= window.start:
            return 0
        earlier = windows.before(quota.period, solution.time_zone, window)
        if earlier is None:
            return 0
        return domain.carried(quota, await store.counter(tx, entitlement_id, quota.key, earlier.start))

    def _life(self) -> timedelta:
        return timedelta(seconds=self.lease_s)

    async def _settle(
        self,
        request: pb.SettleLeasesRequest,
        runs: Sequence[Run],
        validator: str,
        solution_id: str | None,
        now: datetime,
    ) -> pb.SettleLeasesResponse:
        named = {settlement.lease_id for settlement in request.settlements}
        concerned = named | {run.lease_id for run in request.runs if is_uuid(run.lease_id)}
        async with self.db.transaction() as tx:
            held = await store.lock(tx, concerned) if concerned else {}
            if solution_id is not None and any(each.lease.solution_id != solution_id for each in held.values()):
                raise PermissionDenied("SOLUTION_NOT_YOURS", f"solution {solution_id} speaks only of itself")
            new = await store.log(tx, runs, validator, now)
            spent: dict[str, int] = {}
            for run in new:
                if run.allowed and run.lease_id:
                    spent[run.lease_id] = spent.get(run.lease_id, 0) + run.units
            await self._count_without_lease(tx, runs, {run.id for run in new})
            wishes = {
                settlement.lease_id: Wish(
                    settlement.wanted_units, settlement.least_units, settlement.close, settlement.renew
                )
                for settlement in request.settlements
            }
            gone: set[str] = set()
            lost: list[tuple[str, str, str, str, int]] = []
            short: list[Held] = []
            # Runs of a lease that is not settled itself: nothing else about it changes.
            unchanged = Wish(wanted=domain.NO_LIMIT)
            # What is given back first is there for the others.
            for lease_id, each in sorted(held.items(), key=lambda item: not wishes.get(item[0], unchanged).close):
                lease, wish = each.lease, wishes.get(lease_id, unchanged)
                quota = self._quota(each, now) if lease_id in wishes else None
                over = domain.settle(each.counter, lease, spent.get(lease_id, 0), wish, quota, now, self.lease_s)
                if over.found:
                    lost.append((lease.solution_id, lease.entitlement_id, lease.action, lease.lost_date, -over.found))
                if wish.close or (over.over and not lease.expired):
                    gone.add(lease_id)
                if over.short and each.counter.outstanding > lease.unspent:
                    short.append(each)
            await store.save(tx, held.values(), gone)
            await store.lose(tx, lost)
            for each in short:
                key = (each.lease.entitlement_id, each.lease.action, each.lease.window_start)
                await store.recall(tx, key, each.lease.solution_id, now, each.lease.id)
        return pb.SettleLeasesResponse(
            leases=[self._answer(held.get(each.lease_id), gone, now) for each in request.settlements]
        )

    def _quota(self, held: Held, now: datetime) -> QuotaTerms | None:
        """By which a lease may have more; None where it may not."""
        solution = self.terms.of(held.lease.solution_id)
        if solution is None or held.status not in (None, Status.ACTIVE):
            return None
        tier = solution.tiers.get(held.tier if held.tier is not None else solution.anonymous_tier)
        quota = tier.quotas.get(held.lease.action) if tier is not None else None
        if quota is None or quota.limit is None:
            return None
        return quota if domain.window_of(solution, quota, now).start == held.lease.window_start else None

    def _answer(self, held: Held | None, gone: set[str], now: datetime) -> pb.Lease:
        if held is None or held.lease.id in gone or held.lease.expired:
            return pb.Lease()
        lease, counter = held.lease, held.counter
        quota = self._quota(held, now)
        told = pb.Lease(
            id=lease.id,
            entitlement_id=lease.entitlement_id,
            action=lease.action,
            units=lease.units,
            taken_units=counter.taken,
            outstanding_units=counter.outstanding,
        )
        told.limit = (quota.limit or 0) + counter.carried if quota is not None else counter.taken
        _stamp(told.window_start, lease.window_start)
        if counter.window_end is not None:
            _stamp(told.window_end, counter.window_end)
        _stamp(told.expire_time, lease.expire_time)
        return told

    def _run(self, run: pb.DecisionRun, now: datetime) -> Run:
        if run.code not in _CODES or run.cost * run.count > domain.NO_LIMIT:
            raise InvalidArgument("SETTLEMENT_INVALID", f"run {run.id} has no code, or more units than there can be")
        first, last = (_within(stamp, now) for stamp in (run.first_time, run.last_time))
        solution = self.terms.of(run.solution_id)
        tier = solution.tiers.get(run.tier) if solution is not None else None
        quota = tier.quota(run.action) if tier is not None else None
        return Run(
            id=run.id,
            first_time=first,
            last_time=last,
            date=windows.date(solution.time_zone if solution is not None else "", first),
            solution_id=run.solution_id,
            token_kid=run.token_kid,
            user_id=run.user_id if is_uuid(run.user_id) else "",
            entitlement_id=run.entitlement_id if is_uuid(run.entitlement_id) else "",
            tier=run.tier,
            action=run.action,
            code=Code(run.code).name,
            allowed=run.code in _ALLOWING,
            cost=run.cost,
            count=run.count,
            revision=run.revision,
            lease_id=run.lease_id if is_uuid(run.lease_id) else "",
            quota_limit=quota.limit if quota is not None else None,
        )

    async def _count_without_lease(self, tx: AsyncConnection, runs: Sequence[Run], new: set[str]) -> None:
        """What was allowed without units in hand has left the counter all the same."""
        for run in runs:
            if run.id not in new or not run.allowed or run.lease_id or not run.cost or not run.entitlement_id:
                continue
            solution = self.terms.of(run.solution_id)
            tier = solution.tiers.get(run.tier) if solution is not None else None
            quota = tier.quota(run.action) if tier is not None else None
            if solution is None or quota is None or quota.limit is None:
                continue
            window = domain.window_of(solution, quota, run.first_time)
            await store.count(tx, run.entitlement_id, quota.key, window, run.cost * run.count)

    async def expire(self, at_most: int = 500) -> int:
        """Counts what silent validators held as spent, and says how many leases that were."""
        now = self.clock.now()
        async with self.db.transaction() as tx:
            held = await store.lock_overdue(tx, now, at_most)
            lost = []
            for each in held.values():
                lease = each.lease
                solution = self.terms.of(lease.solution_id)
                date = windows.date(solution.time_zone if solution is not None else "", now)
                units = domain.expire(each.counter, lease, date)
                lost.append((lease.solution_id, lease.entitlement_id, lease.action, date, units))
            await store.save(tx, held.values(), ())
            await store.lose(tx, lost)
        for each in held.values():
            log.warning(
                "a validator went silent: what it held counts as spent", lease=each.lease.id, units=each.lease.unspent
            )
        return len(held)

    async def log_one(
        self, tx: AsyncConnection, facts: Facts, code: Code, cost: int, lease_id: str, validator: str
    ) -> str:
        """One decision straight into the log; its id."""
        now = self.clock.now()
        run = pb.DecisionRun(
            id=uuid7(),
            solution_id=facts.solution_id,
            token_kid=facts.kid,
            entitlement_id=facts.entitlement_id,
            user_id=facts.user_id,
            tier=facts.tier,
            action=facts.action,
            code=int(code),  # type: ignore[arg-type]
            cost=cost,
            count=1,
            revision=facts.revision,
            lease_id=lease_id,
        )
        _stamp(run.first_time, now)
        _stamp(run.last_time, now)
        await store.log(tx, [self._run(run, now)], validator, now)
        return f"{run.id}.1"


async def _persistently(work: Callable[[], Awaitable[T]]) -> T:
    """Two batches may lock each other out; one of them then starts over."""
    for attempt in range(TRIES):
        try:
            return await work()
        except Aborted:
            if attempt == TRIES - 1:
                raise
            await asyncio.sleep(0.005 * (attempt + 1))
    raise AssertionError


def _token(token: Token) -> pb.TokenTerms:
    told = pb.TokenTerms(
        kid=token.kid,
        entitlement_id=token.entitlement_id,
        state=access_pb.TOKEN_STATE_REVOKED if token.revoke_time is not None else access_pb.TOKEN_STATE_ACTIVE,
    )
    if token.expire_time is not None:
        _stamp(told.expire_time, token.expire_time)
    return told


def _refusal(code: access_pb.DecisionCode, revision: int = 0) -> pb.AdmitTokenResponse:
    return pb.AdmitTokenResponse(code=code, revision=revision)


def _within(stamp: Timestamp, now: datetime) -> datetime:
    try:
        told = stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        return now
    return min(max(told, now - EARLIEST), now + LATEST)


def _stamp(field: Timestamp, at: datetime) -> None:
    field.FromDatetime(at)
