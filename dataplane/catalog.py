"""Follows the control plane's catalog: every change to a tenant of this cluster, applied, kept and reported."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterable, AsyncIterator, Sequence

import grpc
import structlog

from center.control.v1 import catalog_service_pb2 as pb
from center.control.v1.catalog_service_pb2_grpc import CatalogServiceStub
from center.shared.v1 import rules_pb2
from center_sdk.streams import until_none
from dataplane.tenants import store
from dataplane.tenants.domain import KEPT
from dataplane.tenants.local import LocalTenants
from dataplane.tenants.service import TenantRuntimeService, entry
from shared.runtime import context as calls
from shared.runtime.context import CallContext
from shared.runtime.db import Database
from shared.runtime.errors import InvalidArgument, PlatformError

log = structlog.stdlib.get_logger("center.catalog")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
# Changes that wait while one batch is written are written together.
WAITING_RESPONSES = 256
ENTRIES_AT_ONCE = 500


class CatalogFollower:
    """One watch stream, forever. What it has applied outlives the process and the control plane: while that is down,
    the cluster serves from what it knew last."""

    def __init__(
        self,
        *,
        cluster_id: str,
        channel: grpc.aio.Channel,
        commands: TenantRuntimeService,
        tenants: LocalTenants,
        steward: Database,
    ) -> None:
        self._cluster_id = cluster_id
        self._stub = CatalogServiceStub(channel)
        self._commands = commands
        self._tenants = tenants
        self._steward = steward
        self._refusals: dict[str, str] = {}
        # The last revision applied, for tests and logs.
        self.revision = 0

    async def run(self) -> None:
        """Until cancelled."""
        pause_s, told = FIRST_PAUSE_S, False
        while True:
            try:
                async for _ in self._follow():
                    if told:
                        log.info("following the catalog again", revision=self.revision)
                    pause_s, told = FIRST_PAUSE_S, False
            except (grpc.aio.AioRpcError, PlatformError) as error:
                if not told:
                    why = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
                    log.warning("the catalog is out of reach; serving what is known", why=why, revision=self.revision)
                told = True
            # Not all clusters at once, when the control plane comes back.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _follow(self) -> AsyncIterator[int]:
        """One stream: yields each revision that is in effect and reported."""
        async with self._steward.transaction() as tx:
            self.revision = await store.watched_revision(tx)
        requests: asyncio.Queue[pb.WatchRequest | None] = asyncio.Queue()
        requests.put_nowait(
            pb.WatchRequest(
                start=pb.WatchStart(instance=self._cluster_id, from_revision=self.revision, cluster_id=self._cluster_id)
            )
        )
        call = self._stub.Watch(until_none(requests))
        arrived: asyncio.Queue[pb.WatchResponse | None] = asyncio.Queue(WAITING_RESPONSES)
        reading = asyncio.ensure_future(_read(call, arrived))
        named: set[str] | None = None
        try:
            while True:
                responses = await _waiting(arrived)
                if not responses:
                    await reading  # raises what ended the stream
                    return
                for together in _runs(responses):
                    phase = together[0].phase
                    if phase == pb.WATCH_PHASE_CHANGES:
                        named = None
                    else:
                        named = named or set()
                        named.update(e.tenant.id for r in together for e in r.entries if e.HasField("tenant"))
                    await self._take(together, named)
                    if phase == pb.WATCH_PHASE_SNAPSHOT:
                        continue
                    named = None
                    self.revision = together[-1].revision
                    requests.put_nowait(self._report())
                    yield self.revision
        finally:
            reading.cancel()
            requests.put_nowait(None)
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
                await reading

    async def _take(self, responses: Sequence[pb.WatchResponse], named: set[str] | None) -> None:
        """Applies what came, whole responses only; named: what the snapshot that ends here has named."""
        entries: list[store.Entry] = []
        removed: list[tuple[str, int]] = []
        for told in (e for response in responses for e in response.entries):
            match told.WhichOneof("entry"):
                case "tenant":
                    try:
                        entries.append(entry(told.tenant, self._cluster_id))
                        self._refusals.pop(told.tenant.id, None)
                    except InvalidArgument as error:
                        self._refusals[told.tenant.id] = error.message
                case "removed_tenant_id":
                    self._refusals.pop(told.removed_tenant_id, None)
                    if self._tenants.get(told.removed_tenant_id) is not None:
                        removed.append((told.removed_tenant_id, told.revision))
        last = responses[-1]
        ends = last.phase != pb.WATCH_PHASE_SNAPSHOT
        if entries or removed:
            with calls.use(CallContext(caller="control", role=rules_pb2.CALLER_CONTROL, method="catalog/watch")):
                await self._commands.apply(
                    entries,
                    introducing=KEPT,
                    removed=removed,
                    watched_revision=last.revision if last.phase == pb.WATCH_PHASE_CHANGES else None,
                )
        if ends and named is not None:
            async with self._steward.transaction() as tx:
                gone = await store.disown_others(tx, named, last.revision)
                await store.keep_watched_revision(tx, last.revision)
            if gone:
                log.warning("tenants that the catalog no longer names take no writes", tenants=len(gone))
                await self._tenants.refresh(gone)

    def _report(self) -> pb.WatchRequest:
        refusals = [pb.Refusal(resource_id=id, reason=why[:2000]) for id, why in list(self._refusals.items())[:1000]]
        return pb.WatchRequest(report=pb.WatchReport(applied_revision=self.revision, refusals=refusals))


async def _read(call: AsyncIterable[pb.WatchResponse], arrived: asyncio.Queue[pb.WatchResponse | None]) -> None:
    """Reads ahead, so that the control plane sees what is slow here as one late report and not as a full pipe."""
    try:
        async for response in call:
            await arrived.put(response)
    finally:
        await arrived.put(None)


async def _waiting(arrived: asyncio.Queue[pb.WatchResponse | None]) -> list[pb.WatchResponse]:
    """The next response and what came with it; none when the stream has ended."""
    responses: list[pb.WatchResponse] = []
    response = await arrived.get()
    size = 0
    while response is not None:
        responses.append(response)
        size += len(response.entries)
        if arrived.empty() or size >= ENTRIES_AT_ONCE:
            return responses
        response = arrived.get_nowait()
    if responses:
        arrived.put_nowait(None)  # the end is for the next time
    return responses


def _runs(responses: Sequence[pb.WatchResponse]) -> list[list[pb.WatchResponse]]:
    """Consecutive changes go together; a part of a snapshot goes alone."""
    runs: list[list[pb.WatchResponse]] = []
    for response in responses:
        if runs and response.phase == runs[-1][0].phase == pb.WATCH_PHASE_CHANGES:
            runs[-1].append(response)
        else:
            runs.append([response])
    return runs
