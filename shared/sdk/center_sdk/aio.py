"""A validator: decides what a token may do in the solution's own process, on an event loop.

async with await AsyncValidator.connect("127.0.0.1:7100", "search", credentials) as validator:
    decision = await validator.validate(token, "search")
"""

import asyncio
import logging
import os
import re
import socket
import uuid
import weakref
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from center.control.v1 import access_service_pb2 as access_pb
from center.control.v1 import user_service_pb2 as users_pb
from center.control.v1 import validator_service_pb2 as pb
from center_sdk import forks
from center_sdk.clock import ControlClock
from center_sdk.credentials import Credentials
from center_sdk.decider import Decider
from center_sdk.decision import Code, Decision, Facts, Run, uuid_words
from center_sdk.engine import COST_MAX, BackendUnavailable, Engine
from center_sdk.errors import CenterError, InvalidRequest, Unreachable, ValidatorClosed
from center_sdk.journal import Journal, JournalBusy
from center_sdk.leases import Lease
from center_sdk.remote import Remote
from center_sdk.terms import QuotaTerms
from center_sdk.watch import Watch
from center_sdk.windows import Period

log = logging.getLogger("center_sdk")

CONNECT_S = 10.0
# How long the end waits for the control plane to take leases and log.
CLOSE_S = 5.0

_alive: "weakref.WeakSet[AsyncValidator]" = weakref.WeakSet()
forks.tell(_alive)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Units that were set aside. id: empty where `decision` refused. expires_at: seconds since the epoch."""

    id: str
    decision: Decision
    expires_at: float


@dataclass(frozen=True, slots=True)
class Committed:
    """What a reservation came to. short_units: what the work did cost beyond the limit."""

    spent_units: int
    released_units: int
    short_units: int


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What a one-time code was good for. user_email: empty where the solution keeps it hidden."""

    token: str
    token_kid: str
    user_id: str
    user_email: str
    email_verified: bool
    entitlement_id: str
    tier: str
    revision: int


class AsyncValidator:
    """Made by `connect`, on the loop that uses it. One may decide for many solutions: then each call names its own."""

    def __init__(
        self,
        remote: Remote,
        engine: Engine,
        journal: Journal,
        instance: str,
        solution_id: str,
        clock: ControlClock | None = None,
    ) -> None:
        self._remote = remote
        self._journal = journal
        self._solution_id = solution_id
        self._clock = clock or ControlClock()
        self._engine = engine
        self._decider = Decider(engine, _Settling(remote), self._clock.now)
        self._watch = Watch(remote, self._clock, instance, [solution_id] if solution_id else [], self._apply)
        self._tasks: list[asyncio.Task[None]] = []
        self._ended = ""

    @classmethod
    async def connect(
        cls,
        address: str,
        solution_id: str,
        credentials: Credentials,
        *,
        journal: str | Path | None = None,
        instance: str | None = None,
        environment: str = "dev",
        within_s: float = CONNECT_S,
    ) -> Self:
        """Returns once it can decide.

        address: host:port of a control process, or of Envoy at the platform's own domain.
        solution_id: empty decides for all solutions that the credentials may speak of.
        journal: a file for decisions that the control plane does not have yet; None keeps them in memory.
        instance: the name of this replica, stable over restarts; a-z, 0-9, - and dots.
        environment: whose tokens hold here.
        Raises Unreachable after `within_s`, NotAuthorized, InvalidRequest (such as a journal that is in use).
        """
        made = await cls._started(
            address, solution_id, credentials, Engine, journal=journal, instance=instance, environment=environment
        )
        await made._ready(within_s)
        return made

    @classmethod
    async def _started(
        cls,
        address: str,
        solution_id: str,
        credentials: Credentials,
        engine: type[Engine],
        *,
        journal: str | Path | None,
        instance: str | None,
        environment: str,
    ) -> Self:
        path = Path(journal) if journal is not None else None
        name = instance if instance is not None else default_instance(path)
        remote = Remote(address, credentials)
        try:
            log_file = Journal(path)
        except JournalBusy as busy:
            await remote.close()
            raise InvalidRequest("JOURNAL_BUSY", str(busy)) from None
        made = engine(instance=name, environment=environment, journal=log_file)
        validator = cls(remote, made, log_file, name, solution_id)
        _alive.add(validator)
        return validator

    async def _ready(self, within_s: float) -> None:
        self._tasks = [asyncio.create_task(self._watch.run()), asyncio.create_task(self._keep())]
        try:
            async with asyncio.timeout(within_s):
                await self._watch.connected()
        except TimeoutError:
            why = self._watch.why_not
            await self.close()
            raise Unreachable("NOT_CONNECTED", f"nobody to decide by within {within_s:.1f} s: {why}") from None
        except BaseException:
            await self.close()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- deciding

    async def validate(
        self, token: str, action: str, *, cost: int = 1, anonymous_id: str = "", solution_id: str = ""
    ) -> Decision:
        """Whether the token may do the action now; spends `cost` units if so. 0 checks everything but the quota.

        anonymous_id: tells callers without a token apart; never an address itself.
        An outage is a decision, too: STALE, or ALLOWED_STALE where the solution's fail mode is OPEN.
        """
        self._check(cost)
        return await self._decider.decide(
            token, solution_id or self._solution_id, action, cost, anonymous_id=anonymous_id
        )

    async def peek(
        self, token: str, action: str, *, cost: int = 1, anonymous_id: str = "", solution_id: str = ""
    ) -> Decision:
        """What validate would answer; spends nothing and leaves nothing in the log."""
        self._check(cost)
        return await self._decider.decide(
            token, solution_id or self._solution_id, action, cost, anonymous_id=anonymous_id, peek=True
        )

    async def reserve(
        self, token: str, action: str, *, units: int, ttl_s: float = 60.0, solution_id: str = ""
    ) -> Reservation:
        """Sets units aside for work whose cost is known only afterwards; asks the control plane each time.

        ttl_s: when they are released by themselves, 1 to 3600.
        """
        self._check(units)
        request = access_pb.ReserveUnitsRequest(
            token=token,
            solution_id=solution_id or self._solution_id,
            action=action,
            units=units,
            request_id=str(uuid.uuid4()),
        )
        request.ttl.FromNanoseconds(round(ttl_s * 1e9))
        told = await self._remote.reserve(request)
        expires_at = told.expire_time.seconds + told.expire_time.nanos / 1e9
        return Reservation(told.reservation_id, _decision(told.decision, request.solution_id, action), expires_at)

    async def commit(self, reservation_id: str, *, cost: int) -> Committed:
        """Ends a reservation with what the work did cost. Raises ReservationEnded."""
        self._check(cost)
        told = await self._remote.commit(
            access_pb.CommitReservationRequest(reservation_id=reservation_id, cost=cost, request_id=str(uuid.uuid4()))
        )
        return Committed(told.spent_units, told.released_units, told.short_units)

    async def release(self, reservation_id: str) -> int:
        """Gives everything back that a reservation holds; how many units. Raises ReservationEnded."""
        self._check()
        told = await self._remote.release(
            access_pb.ReleaseReservationRequest(reservation_id=reservation_id, request_id=str(uuid.uuid4()))
        )
        return int(told.released_units)

    async def exchange_code(self, code: str, *, solution_id: str = "") -> Exchanged:
        """The token that a one-time code of the redirect stands for. Raises CodeInvalid.

        It is asked for once: after Unreachable nobody knows whether the code was used, and the user registers again.
        """
        self._check()
        told = await self._remote.exchange(
            users_pb.ExchangeCodeRequest(
                code=code, solution_id=solution_id or self._solution_id, request_id=str(uuid.uuid4())
            )
        )
        return Exchanged(
            token=told.token,
            token_kid=told.token_kid,
            user_id=told.user_id,
            user_email=told.user_email,
            email_verified=told.email_verified,
            entitlement_id=told.entitlement_id,
            tier=told.access_tier,
            revision=told.revision,
        )

    # -- what it knows

    @property
    def revision(self) -> int:
        """Every change up to this catalog revision is known here."""
        return self._watch.revision

    @property
    def why_not(self) -> CenterError | None:
        """Why the control plane cannot be followed just now; None while all is well."""
        return self._watch.why_not

    def now(self) -> float:
        """The control plane's time, by which `resets_at` is meant; seconds since the epoch."""
        return self._clock.now()

    async def reached(self, revision: int, *, within_s: float = 10.0) -> None:
        """Waits until a change is known here that another call has answered with its revision. Raises Unreachable."""
        self._check()
        try:
            async with asyncio.timeout(within_s):
                await self._watch.reached(revision)
        except TimeoutError:
            raise Unreachable("REVISION_NOT_REACHED", f"revision {revision} did not come in {within_s:.1f} s") from None

    # -- the end

    async def close(self) -> None:
        """Gives back what it holds, hands in its log, and ends. Safe to call twice."""
        if self._ended:
            return
        self._ended = "the validator was closed"
        _alive.discard(self)
        for task in self._tasks[1:]:
            await _ended(task)
        try:
            async with asyncio.timeout(CLOSE_S):
                if self._tasks and not await self._decider.drain():
                    log.warning("closed with %d runs of decisions not handed in", self._engine.waiting_runs())
        except TimeoutError:
            log.warning("closed with %d runs of decisions not handed in", self._engine.waiting_runs())
        for task in self._tasks[:1]:
            await _ended(task)
        await self._remote.close()
        self._let_go()

    def _let_go(self) -> None:
        self._journal.close()

    def _apply(self, response: pb.WatchAccessResponse) -> None:
        self._engine.apply(response, self._clock.now())

    async def _keep(self) -> None:
        """What an earlier process left is handed in first; then leases and log, for ever."""
        settling = _Settling(self._remote)
        for request in self._journal.recovered(self._engine.instance):
            while True:
                try:
                    await settling.settle(request)
                    break
                except BackendUnavailable:
                    await asyncio.sleep(1.0)
        await self._decider.keep()

    def _check(self, units: int = 0) -> None:
        if self._ended:
            raise ValidatorClosed("VALIDATOR_CLOSED", self._ended)
        if not 0 <= units <= COST_MAX:
            raise InvalidRequest("COST_INVALID", f"a cost is 0 to {COST_MAX}, not {units}")

    def _forked(self) -> None:
        self._ended = forks.WHY


class _Settling:
    """The engine's way to the control plane."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def admit(self, request: pb.AdmitTokenRequest) -> pb.AdmitTokenResponse:
        try:
            return await self._remote.admit(request)
        except Unreachable as error:
            raise BackendUnavailable(str(error)) from error

    async def settle(self, request: pb.SettleLeasesRequest) -> pb.SettleLeasesResponse:
        try:
            return await self._remote.settle(request)
        except Unreachable as error:
            raise BackendUnavailable(str(error)) from error
        except CenterError as error:
            # Nobody is there to tell it to; decisions end with LOG_FULL when it stays so.
            log.error("the control plane does not take the log of decisions: %s", error)
            raise BackendUnavailable(str(error)) from error


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def default_instance(journal: Path | None) -> str:
    """The machine's name with the journal's, or with the process's number where there is no journal to come back to."""
    host = re.sub(r"[^a-z0-9.-]+", "-", socket.gethostname().lower()).strip("-.")[:40] or "solution"
    mark = f"{os.getpid()}" if journal is None else f"{zlib.crc32(str(journal.absolute()).encode()):08x}"
    return f"{host}-{mark}"


def _decision(told: access_pb.ValidateTokenResponse, solution_id: str, action: str) -> Decision:
    run_id, _, number = told.decision_id.rpartition(".")
    kid = ""
    facts = Facts(
        solution_id,
        action,
        kid,
        told.entitlement_id,
        told.user_id,
        told.user_email,
        told.access_tier,
        told.revision,
        told.upgrade_url,
    )
    code = Code(told.code)
    lease = Lease(solution_id, told.entitlement_id, QuotaTerms(action, None, Period.STANDING))
    return Decision(
        code,
        facts,
        told.quota_limit if told.HasField("quota_limit") else None,
        told.quota_remaining if told.HasField("quota_remaining") else None,
        told.quota_resets_at.seconds + told.quota_resets_at.nanos / 1e9 if told.HasField("quota_resets_at") else None,
        Run(*uuid_words(run_id), facts, code, 0, lease, 0.0) if run_id else None,
        int(number) if run_id else 0,
        told.retry_after.seconds + told.retry_after.nanos / 1e9 if told.HasField("retry_after") else None,
    )
