"""CatalogService: streams the catalog to every plane, and hears what each has applied."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias

import grpc

from center.control.v1 import catalog_service_pb2 as pb
from center.control.v1 import catalog_service_pb2_grpc as pb_grpc
from center.shared.v1 import rules_pb2
from control.catalog import store
from control.catalog.memory import Catalog, draining
from control.catalog.watchers import Stream, Watchers
from control.signals import signalled
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import InvalidArgument, PlatformError

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# How long a watcher that knows more than this process waits for it to catch up.
CATCH_UP_S = 5.0


class CatalogService(pb_grpc.CatalogServiceServicer):
    def __init__(
        self,
        db: Database,
        catalog: Catalog,
        watchers: Watchers,
        *,
        heartbeat_s: float,
        cluster_arrived: Callable[[str], Awaitable[None]],
    ) -> None:
        self._db = db
        self._catalog = catalog
        self._watchers = watchers
        self._heartbeat_s = heartbeat_s
        self._cluster_arrived = cluster_arrived

    async def Watch(  # type: ignore[override]
        self, requests: AsyncIterator[pb.WatchRequest], context: Context
    ) -> AsyncIterator[bytes]:
        first = await anext(requests, None)
        if first is None or not first.HasField("start"):
            raise InvalidArgument("WATCH_NOT_INTRODUCED", "the first request of a watch is its start")
        start, call = first.start, current()
        await self._catch_up(start.from_revision)
        feed = self._catalog.subscribe(start.from_revision, start.cluster_id)
        # What an edge knows is not what its Envoys have, of which its first report, at once, will tell.
        applied_revision = 0 if call.role == rules_pb2.CALLER_EDGE else start.from_revision
        watcher = Reports(self._watchers, f"{call.caller}/{start.instance}", applied_revision)
        if call.role != rules_pb2.CALLER_OPERATOR:
            # Replicas count from the beginning; an operator who only looks on counts once he reports.
            watcher.begin()
        reading = asyncio.ensure_future(watcher.follow(requests))
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        reading.add_done_callback(lambda _: feed.wake.set())
        try:
            if call.role == rules_pb2.CALLER_CLUSTER:
                with suppress(PlatformError):  # what waits for the cluster is tried again by itself, only later
                    await self._cluster_arrived(call.caller.removeprefix("cluster/"))
            while not feed.closed:
                if reading.done():
                    reading.result()  # a malformed report ends the watch
                if (response := feed.take()) is not None:
                    yield response
                    continue
                feed.wake.clear()
                if not await signalled(feed.wake, self._heartbeat_s):
                    yield feed.heartbeat()
            # The requests are nobody's any more when the refusal is sent.
            reading.cancel()
            await asyncio.wait([reading])
            raise draining()
        finally:
            self._catalog.unsubscribe(feed)
            watcher.end()
            reading.cancel()

    async def _catch_up(self, revision: int) -> None:
        """Waits for this process when the watcher comes from one that was ahead of it."""
        if revision <= self._catalog.revision:
            return
        try:
            async with self._db.transaction() as tx:
                newest = await store.newest(tx)
        except PlatformError:
            newest = revision  # nobody knows better
        if revision <= newest:
            with suppress(TimeoutError):
                async with asyncio.timeout(CATCH_UP_S):
                    await self._catalog.reached(revision)


class Reports:
    """One stream's reports."""

    def __init__(self, watchers: Watchers, watcher_id: str, applied_revision: int) -> None:
        self._watchers = watchers
        self._watcher_id = watcher_id
        self._applied_revision = applied_revision
        self._stream: Stream | None = None

    def begin(self) -> Stream:
        if self._stream is None:
            self._stream = self._watchers.opened(self._watcher_id, self._applied_revision)
        return self._stream

    async def follow(self, requests: AsyncIterator[pb.WatchRequest]) -> None:
        async for request in requests:
            if not request.HasField("report"):
                raise InvalidArgument("WATCH_NOT_INTRODUCED", "a watch has one start; later requests are reports")
            refusals = [(refusal.resource_id, refusal.reason) for refusal in request.report.refusals]
            await self._watchers.reported(self.begin(), request.report.applied_revision, refusals)

    def end(self) -> None:
        if self._stream is not None:
            self._watchers.closed(self._stream)
