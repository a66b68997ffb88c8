"""The part of AccessService that decides: from memory, in the time of a look-up, as long as a lease is held."""

import asyncio
from datetime import timedelta
from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import access_service_pb2 as pb
from center.shared.v1 import rules_pb2
from center_sdk import answers as forms
from center_sdk.decider import Decider
from center_sdk.decision import Decision
from control.access.answers import Answers, message
from control.catalog.memory import Catalog
from control.quotas.ops import Quotas
from control.quotas.reservations import Reservations
from control.solutions.callers import check_yours, solution_of
from control.tenants.messages import timestamp
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import (
    DeadlineExceeded,
    PermissionDenied,
    PlatformError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from shared.runtime.idempotency import mutation

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# How long a revision is waited for when the caller set no deadline.
PATIENCE_S = 10.0
# What is kept of a deadline for the answer itself.
ANSWER_S = 0.05
DEFAULT_RESERVATION = timedelta(minutes=1)

_KINDS: dict[int, type[PlatformError]] = {
    401: Unauthenticated,
    403: PermissionDenied,
    429: ResourceExhausted,
    503: Unavailable,
}


class Deciding:
    db: Database

    def __init__(self, catalog: Catalog, decider: Decider, quotas: Quotas) -> None:
        self._catalog = catalog
        self._reservations = Reservations(quotas)
        self._decider = decider
        self._engine = decider.engine
        self._answers = Answers()

    async def ValidateToken(self, request: pb.ValidateTokenRequest, context: Context) -> bytes:
        solution_id = request.solution_id
        call = current()
        if call.role == rules_pb2.CALLER_SOLUTION:
            check_yours(solution_id)
        if request.min_revision > self._engine.revision:
            await self._reached(request.min_revision)
        token, action = request.token, request.action
        cost = request.cost if request.HasField("cost") else 1
        anonymous_id, peek = request.anonymous_id, request.peek
        told = self._engine.decide(
            token,
            solution_id,
            action,
            cost,
            now=self._decider.now(),
            anonymous_id=anonymous_id,
            peek=peek,
            patient=True,
        )
        if type(told) is not Decision:
            told = await self._decider.decide(token, solution_id, action, cost, anonymous_id=anonymous_id, peek=peek)
        if call.is_outside:
            await context.send_initial_metadata(forms.http_headers(told, action, self._decider.now()))
        if request.http_status and not told.allowed:
            raise self.refusal(told)
        return self._answers.packed(told)

    @mutation
    async def ReserveUnits(self, request: pb.ReserveUnitsRequest, tx: AsyncConnection) -> pb.ReserveUnitsResponse:
        check_yours(request.solution_id)
        # Everything but the quota, of which the reservation has to take from the counter itself.
        decision = await self._decider.decide(request.token, request.solution_id, request.action, 0)
        if not decision.allowed:
            return pb.ReserveUnitsResponse(decision=message(decision))
        ttl = request.ttl.ToTimedelta() if request.HasField("ttl") else DEFAULT_RESERVATION
        validator = f"control/{self._engine.instance}"
        made = await self._reservations.reserve(tx, decision.facts, request.units, ttl, validator)
        resets_at = made.resets_at.timestamp() if made.resets_at is not None else None
        told = message(Decision(made.code, decision.facts, made.limit, made.remaining, resets_at, None, 0))
        told.decision_id = made.decision_id or decision.decision_id
        if made.reservation is None:
            return pb.ReserveUnitsResponse(decision=told)
        return pb.ReserveUnitsResponse(
            decision=told,
            reservation_id=made.reservation.id,
            expire_time=timestamp(made.reservation.expire_time),
        )

    @mutation
    async def CommitReservation(
        self, request: pb.CommitReservationRequest, tx: AsyncConnection
    ) -> pb.CommitReservationResponse:
        told = await self._reservations.commit(tx, request.reservation_id, request.cost, solution_of(current()))
        return pb.CommitReservationResponse(
            spent_units=told.spent, released_units=told.released, short_units=told.short
        )

    @mutation
    async def ReleaseReservation(
        self, request: pb.ReleaseReservationRequest, tx: AsyncConnection
    ) -> pb.ReleaseReservationResponse:
        units = await self._reservations.release(tx, request.reservation_id, solution_of(current()))
        return pb.ReleaseReservationResponse(released_units=units)

    def refusal(self, decision: Decision) -> PlatformError:
        """A refused decision as an error, for callers that asked for one."""
        kind = _KINDS[forms.http_status(decision)]
        facts = {"decision_id": decision.decision_id, "upgrade_url": decision.upgrade_url}
        return kind(
            decision.code.name,
            forms.title(decision),
            retry_after_s=forms.retry_after_s(decision, self._decider.now()),
            **{name: value for name, value in facts.items() if value},
        )

    async def _reached(self, revision: int) -> None:
        """DeadlineExceeded REVISION_NOT_REACHED."""
        deadline, now = current().deadline, asyncio.get_running_loop().time()
        patience_s = PATIENCE_S if deadline is None else max(0.0, deadline - now - ANSWER_S)
        try:
            async with asyncio.timeout(patience_s):
                await self._catalog.reached(revision)
        except TimeoutError:
            raise DeadlineExceeded(
                "REVISION_NOT_REACHED",
                f"what this process knows is of revision {self._engine.revision}",
                revision=str(self._engine.revision),
            ) from None
