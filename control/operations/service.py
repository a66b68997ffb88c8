"""google.longrunning.Operations and OperationsService: long work, watchers and the platform's state, over gRPC."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeAlias

import grpc
from google.longrunning import operations_proto_pb2 as longrunning_pb
from google.protobuf import empty_pb2
from google.protobuf.duration_pb2 import Duration
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import operations_service_pb2 as pb
from center.control.v1 import operations_service_pb2_grpc as pb_grpc
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from control.catalog import store as catalog_store
from control.catalog.memory import Catalog
from control.catalog.store import Change, record
from control.catalog.watchers import Watcher, Watchers
from control.clusters.connections import Connections
from control.operations import domain, store
from control.operations.domain import Operation, State
from control.operations.messages import PREFIX, to_proto
from control.operations.waiting import Waiting
from control.tables import operations
from control.tenants import store as tenant_store
from control.tenants.messages import catalog_tenant, timestamp
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from shared.runtime.filters import Field, where
from shared.runtime.idempotency import mutation
from shared.runtime.ids import is_uuid
from shared.runtime.paging import Ordering, PageTokens, Term, page_size
from shared.runtime.rpc.status import received

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

PLATFORM = "center"
DEFAULT_WAIT_S = 30.0
LONGEST_WAIT_S = 600.0
# What is kept of a deadline for the answer itself.
ANSWER_S = 0.1
# What other processes' watchers report is looked at this often while somebody waits for it.
LOOK_S = 0.1
RESYNC_TIMEOUT_S = 20.0

_columns = operations.c
FIELDS = {
    "kind": Field(_columns.kind, "enum", {kind: kind for kind in domain.Kind}),
    "state": Field(_columns.state, "enum", {state: state for state in State}),
    "step": Field(_columns.step),
    "tenant_id": Field(_columns.tenant_id, "uuid"),
    "user_id": Field(_columns.user_id, "uuid"),
    "source_cluster_id": Field(_columns.source_cluster_id),
    "target_cluster_id": Field(_columns.target_cluster_id),
    "caller": Field(_columns.caller),
    "done": Field(_columns.state != State.RUNNING, "bool"),
    "create_time": Field(_columns.create_time, "timestamp"),
    "update_time": Field(_columns.update_time, "timestamp"),
}
NEWEST_FIRST = Ordering((Term(_columns.create_time, descending=True), Term(_columns.id, descending=True)))


def operation_id(name: str) -> str:
    """The id in operations/ID; NotFound for what can be no operation."""
    key = name.removeprefix(PREFIX)
    if not name.startswith(PREFIX) or not is_uuid(key):
        raise NotFound("OPERATION_NOT_FOUND", "an operation is named operations/ID", operation=name[:100])
    return key


async def present(tx: AsyncConnection, found: Sequence[Operation]) -> list[longrunning_pb.Operation]:
    """Operations as the contract shows them: those that ended well answer with the tenant as it is now."""
    ended = [each.tenant_id for each in found if each.state is State.DONE and each.tenant_id]
    tenants = await tenant_store.get_many(tx, ended) if ended else {}
    return [to_proto(each, tenants.get(each.tenant_id)) for each in found]


class LongRunning:
    """google.longrunning.Operations (AIP-151)."""

    def __init__(self, db: Database, clock: Clock, tokens: PageTokens, waiting: Waiting) -> None:
        self._db = db
        self._clock = clock
        self._tokens = tokens
        self._waiting = waiting

    async def ListOperations(
        self, request: longrunning_pb.ListOperationsRequest, context: Context
    ) -> longrunning_pb.ListOperationsResponse:
        if request.name not in ("", "operations"):
            raise InvalidArgument("NAME_INVALID", "operations stand in `operations`", fields={"name": "operations"})
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        async with self._db.transaction() as tx:
            page = await store.list_page(tx, [where(request.filter, FIELDS), NEWEST_FIRST.after(cursor)], size + 1)
            response = longrunning_pb.ListOperationsResponse(operations=await present(tx, page[:size]))
        if len(page) > size:
            response.next_page_token = self._tokens.issue(NEWEST_FIRST.cursor(page[size - 1]), request)
        return response

    async def GetOperation(
        self, request: longrunning_pb.GetOperationRequest, context: Context
    ) -> longrunning_pb.Operation:
        return await self._get(operation_id(request.name))

    async def _get(self, key: str) -> longrunning_pb.Operation:
        async with self._db.transaction() as tx:
            [message] = await present(tx, [await store.get(tx, key)])
        return message

    async def WaitOperation(
        self, request: longrunning_pb.WaitOperationRequest, context: Context
    ) -> longrunning_pb.Operation:
        """As it is when it has ended, or when the time is over."""
        key = operation_id(request.name)
        timeout_s = seconds(request.timeout) if request.HasField("timeout") else DEFAULT_WAIT_S
        async with self._db.transaction() as tx:
            await store.get(tx, key)
        await self._waiting.ended(key, patience_s(timeout_s))
        return await self._get(key)

    async def CancelOperation(
        self, request: longrunning_pb.CancelOperationRequest, context: Context
    ) -> empty_pb2.Empty:
        """Asks for the end; an operation past its point of no return goes on to its end."""
        async with self._db.transaction() as tx:
            before = await store.get(tx, operation_id(request.name), lock=True)
            domain.check_open(before)
            if before.cancel_requested:
                journal.unchanged(tx)
                return empty_pb2.Empty()
            after = domain.request_cancel(before, self._clock.now())
            await store.save(tx, [after])
            await store.wake(tx, [after.kind])
            await record(tx, [_changed(before, after, "cancelled")])
        return empty_pb2.Empty()

    async def DeleteOperation(
        self, request: longrunning_pb.DeleteOperationRequest, context: Context
    ) -> empty_pb2.Empty:
        async with self._db.transaction() as tx:
            await store.get(tx, operation_id(request.name))
        raise FailedPrecondition("OPERATION_KEPT", "operations are kept; cancel what should not go on")


def _changed(before: Operation, after: Operation, event: str) -> Change:
    return Change(
        "operation",
        after.id,
        event,
        "",
        domain.facts(before),
        domain.facts(after),
        tenant_id=after.tenant_id,
    )


class OperationsService(pb_grpc.OperationsServiceServicer):
    def __init__(
        self, db: Database, clock: Clock, catalog: Catalog, watchers: Watchers, connections: Connections
    ) -> None:
        self.db = db
        self._clock = clock
        self._catalog = catalog
        self._watchers = watchers
        self._connections = connections

    async def GetPlatformStatus(
        self, request: pb.GetPlatformStatusRequest, context: Context
    ) -> pb.GetPlatformStatusResponse:
        return pb.GetPlatformStatusResponse(
            name=PLATFORM, revision=self._catalog.revision, time=timestamp(self._clock.now())
        )

    async def WaitApplied(self, request: pb.WaitAppliedRequest, context: Context) -> pb.WaitAppliedResponse:
        timeout_s = seconds(request.timeout) if request.HasField("timeout") else DEFAULT_WAIT_S
        give_up_at = asyncio.get_running_loop().time() + patience_s(timeout_s)
        revision = request.revision
        while True:
            async with self.db.transaction() as tx:
                revision = revision or await catalog_store.newest(tx)
                behind = [
                    watcher
                    for watcher in await self._watchers.everyone(tx)
                    if watcher.live and watcher.applied_revision < revision
                ]
            left_s = give_up_at - asyncio.get_running_loop().time()
            if not behind or left_s <= 0:
                return pb.WaitAppliedResponse(
                    applied=not behind, revision=revision, behind=[_watcher(each) for each in behind]
                )
            await self._watchers.changes(min(LOOK_S, left_s))

    async def ListWatchers(self, request: pb.ListWatchersRequest, context: Context) -> pb.ListWatchersResponse:
        async with self.db.transaction() as tx:
            watchers = await self._watchers.everyone(tx)
        return pb.ListWatchersResponse(watchers=[_watcher(watcher) for watcher in watchers])

    @mutation
    async def RetryOperation(self, request: pb.RetryOperationRequest, tx: AsyncConnection) -> pb.RetryOperationResponse:
        before = await store.get(tx, operation_id(request.name), lock=True)
        if before.end_time is not None:
            domain.check_open(before)
        after = domain.hurry(before, self._clock.now())
        await store.save(tx, [after])
        await record(tx, [_changed(before, after, "retried")])
        [message] = await present(tx, [after])
        return pb.RetryOperationResponse(operation=message)

    async def ResyncTenant(self, request: pb.ResyncTenantRequest, context: Context) -> pb.ResyncTenantResponse:
        async with self.db.transaction() as tx:
            tenant = await tenant_store.get(tx, request.tenant_id)
        cluster_id = tenant.placement.cluster_id
        if not cluster_id:
            raise FailedPrecondition("TENANT_NOT_PLACED", f"tenant {tenant.code} lives on no cluster", id=tenant.id)
        command = runtime_pb.ResyncTenantRequest(tenant=catalog_tenant(tenant))
        try:
            answer = await self._connections.runtime(cluster_id).ResyncTenant(command, timeout=RESYNC_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise Unavailable(
                    "CLUSTER_UNAVAILABLE", f"cluster {cluster_id} does not answer", retry_after_s=1.0, id=cluster_id
                ) from error
            raise received(error) from error
        return pb.ResyncTenantResponse(drift=answer.drift)


def patience_s(wanted_s: float) -> float:
    """How long this call may wait, so that its answer still comes before its deadline."""
    deadline = current().deadline
    wanted_s = min(max(wanted_s, 0.0), LONGEST_WAIT_S)
    if deadline is None:
        # The interceptors give such a call a deadline of a minute.
        return min(wanted_s, 55.0)
    return max(0.0, min(wanted_s, deadline - asyncio.get_running_loop().time() - ANSWER_S))


def seconds(duration: Duration) -> float:
    """Also for durations that no timedelta can hold: google.longrunning has no rules that would refuse them."""
    return duration.seconds + duration.nanos / 1e9


def _watcher(watcher: Watcher) -> pb.Watcher:
    return pb.Watcher(
        id=watcher.id,
        applied_revision=watcher.applied_revision,
        live=watcher.live,
        seen_time=timestamp(watcher.seen_time),
        refusals=[
            catalog_pb.Refusal(resource_id=resource_id, reason=reason) for resource_id, reason in watcher.refusals
        ],
    )
