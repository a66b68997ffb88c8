"""SolutionService: solutions as data, and the keys of their servers, over gRPC."""

from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import solution_service_pb2 as pb
from center.control.v1 import solution_service_pb2_grpc as pb_grpc
from center_sdk import tokens
from control.catalog.abreast import Abreast
from control.catalog.store import record
from control.peppers import Peppers
from control.solutions import domain, store
from control.solutions.callers import check_yours
from control.solutions.domain import Key
from control.solutions.memory import Keys
from control.solutions.messages import key_to_proto, merged, of_proto, to_proto
from control.tables import solution_keys, solutions
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.db import Database, constraints
from shared.runtime.errors import FailedPrecondition
from shared.runtime.filters import Field, where
from shared.runtime.idempotency import mutation, revealing
from shared.runtime.masks import merge
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

FIELDS = {
    "id": Field(solutions.c.id),
    "display_name": Field(solutions.c.display_name),
    "create_time": Field(solutions.c.create_time, "timestamp"),
    "update_time": Field(solutions.c.update_time, "timestamp"),
}
_KEPT = ("id", "etag", "create_time", "update_time", "revision")
UPDATABLE = tuple(field.name for field in pb.Solution.DESCRIPTOR.fields if field.name not in _KEPT)

SOLUTIONS_BY_ID = Ordering((Term(solutions.c.id),))
KEYS_BY_TIME = Ordering((Term(solution_keys.c.create_time), Term(solution_keys.c.kid)))

# How long a new key's answer waits until this process takes the key.
KEY_KNOWN_S = 2.0


class SolutionService(pb_grpc.SolutionServiceServicer):
    def __init__(
        self,
        db: Database,
        clock: Clock,
        page_tokens: PageTokens,
        peppers: Peppers,
        keys: Keys,
        abreast: Abreast,
        *,
        zone: str,
        environment: str,
    ) -> None:
        self.db = db
        self._clock = clock
        self._page_tokens = page_tokens
        self._peppers = peppers
        self._keys = keys
        self.committed = abreast
        self._zone = zone
        self._environment = environment

    @mutation
    async def CreateSolution(self, request: pb.CreateSolutionRequest, tx: AsyncConnection) -> pb.CreateSolutionResponse:
        solution = domain.check(of_proto(request.solution, self._clock.now()), self._zone)
        with constraints({"solutions_pkey": store.EXISTS}):
            await store.add(tx, solution)
        [revision] = await record(tx, [store.changed(None, solution, "created", "")])
        return pb.CreateSolutionResponse(solution=to_proto(solution, revision))

    async def GetSolution(self, request: pb.GetSolutionRequest, context: Context) -> pb.GetSolutionResponse:
        check_yours(request.id)
        async with self.db.transaction() as tx:
            return pb.GetSolutionResponse(solution=to_proto(await store.get(tx, request.id)))

    async def ListSolutions(self, request: pb.ListSolutionsRequest, context: Context) -> pb.ListSolutionsResponse:
        size = page_size(request.page_size)
        cursor = self._page_tokens.read(request.page_token, request)
        async with self.db.transaction() as tx:
            page = await store.list_page(tx, [where(request.filter, FIELDS), SOLUTIONS_BY_ID.after(cursor)], size + 1)
        response = pb.ListSolutionsResponse(solutions=[to_proto(solution) for solution in page[:size]])
        if len(page) > size:
            response.next_page_token = self._page_tokens.issue(SOLUTIONS_BY_ID.cursor(page[size - 1]), request)
        return response

    @mutation
    async def UpdateSolution(self, request: pb.UpdateSolutionRequest, tx: AsyncConnection) -> pb.UpdateSolutionResponse:
        before, now = await store.get(tx, request.solution.id, lock=True), self._clock.now()
        message = to_proto(before)
        merge(message, request.solution, request.update_mask, UPDATABLE)
        after = domain.update(before, merged(before, message, now), request.solution.etag, self._zone, now)
        if lost := domain.tiers_lost(before, after):
            used = await store.tier_in_use(tx, after.id, lost)
            if used is not None:
                raise domain.tier_in_use(after, used)
        await store.save(tx, before, after)
        [revision] = await record(tx, [store.changed(before, after, "updated", request.reason)])
        return pb.UpdateSolutionResponse(solution=to_proto(after, revision))

    @mutation
    async def DeleteSolution(self, request: pb.DeleteSolutionRequest, tx: AsyncConnection) -> pb.DeleteSolutionResponse:
        before, now = await store.get(tx, request.id, lock=True), self._clock.now()
        after = domain.delete(before, request.etag, now)
        if not request.force and (active := await store.active_entitlements(tx, before.id)):
            raise FailedPrecondition(
                "SOLUTION_IN_USE",
                f"solution {before.id} has {active} active entitlements: set `force` to cancel them",
                active_entitlements=str(active),
            )
        await store.save(tx, before, after)
        await store.end_everything(tx, before.id, request.reason, now)
        [revision] = await record(tx, [store.removed(before, request.reason)])
        return pb.DeleteSolutionResponse(revision=revision)

    async def CreateSolutionKey(
        self, request: pb.CreateSolutionKeyRequest, context: Context
    ) -> pb.CreateSolutionKeyResponse:
        answer = await self._create_key(request, context)
        if answer.secret:
            # Whoever has the answer may use the key at once.
            await self._keys.holds(answer.key.kid, KEY_KNOWN_S)
        return answer

    @revealing("secret")
    async def _create_key(
        self, request: pb.CreateSolutionKeyRequest, tx: AsyncConnection
    ) -> pb.CreateSolutionKeyResponse:
        solution = await store.get(tx, request.solution_id, lock=True)
        domain.check_keys(len(await store.live_keys(tx, solution.id)))
        secret = tokens.issue(self._environment, tokens.SOLUTION_KEY)
        pepper, mac = self._peppers.seal(secret)
        key = Key(_kid(secret), solution.id, request.display_name, pepper, mac, self._clock.now())
        await store.add_key(tx, key)
        await record(tx, [store.key_changed(None, key, "created", "")])
        return pb.CreateSolutionKeyResponse(key=key_to_proto(key), secret=secret)

    async def ListSolutionKeys(
        self, request: pb.ListSolutionKeysRequest, context: Context
    ) -> pb.ListSolutionKeysResponse:
        size = page_size(request.page_size)
        conditions = [
            solution_keys.c.solution_id == request.solution_id,
            KEYS_BY_TIME.after(self._page_tokens.read(request.page_token, request)),
        ]
        async with self.db.transaction() as tx:
            await store.get(tx, request.solution_id)
            page = await store.list_keys(tx, conditions, size + 1)
        response = pb.ListSolutionKeysResponse(keys=[key_to_proto(key) for key in page[:size]])
        if len(page) > size:
            response.next_page_token = self._page_tokens.issue(KEYS_BY_TIME.cursor(page[size - 1]), request)
        return response

    @mutation
    async def RevokeSolutionKey(
        self, request: pb.RevokeSolutionKeyRequest, tx: AsyncConnection
    ) -> pb.RevokeSolutionKeyResponse:
        before = await store.get_key(tx, request.kid, lock=True)
        after = domain.revoke(before, self._clock.now())
        if after is before:
            journal.unchanged(tx)
            return pb.RevokeSolutionKeyResponse(key=key_to_proto(before))
        await store.save_key(tx, after)
        [revision] = await record(tx, [store.key_changed(before, after, "revoked", request.reason)])
        return pb.RevokeSolutionKeyResponse(key=key_to_proto(after), revision=revision)


def _kid(secret: str) -> str:
    parsed = tokens.parse(secret)
    assert parsed is not None
    return parsed.kid
