"""The part of AccessService that decides: from memory, in the time of a look-up, as long as a lease is held."""

import asyncio
from typing import Any, TypeAlias

import grpc

from center.control.v1 import access_service_pb2 as pb
from center.shared.v1 import rules_pb2
from center_sdk import answers as forms
from center_sdk.decider import Decider
from center_sdk.decision import Decision
from control.access.answers import Answers
from control.catalog.memory import Catalog
from control.solutions.callers import check_yours
from shared.runtime.context import current
from shared.runtime.errors import (
    DeadlineExceeded,
    PermissionDenied,
    PlatformError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# How long a revision is waited for when the caller set no deadline.
PATIENCE_S = 10.0
# What is kept of a deadline for the answer itself.
ANSWER_S = 0.05

_KINDS: dict[int, type[PlatformError]] = {
    401: Unauthenticated,
    403: PermissionDenied,
    429: ResourceExhausted,
    503: Unavailable,
}


class Deciding:
    def __init__(self, catalog: Catalog, decider: Decider) -> None:
        self._catalog = catalog
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
