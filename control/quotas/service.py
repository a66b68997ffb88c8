"""ValidatorService: terms, units and accounts for whoever decides by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, TypeAlias

import grpc

from center.control.v1 import validator_service_pb2 as pb
from center.control.v1 import validator_service_pb2_grpc as pb_grpc
from control.catalog.memory import Catalog, draining
from control.catalog.watchers import Stream, Watchers
from control.quotas.feeds import Feeds, scope
from control.quotas.ops import Quotas
from control.signals import signalled
from control.solutions.callers import check_yours, solution_of
from shared.runtime.context import current
from shared.runtime.errors import InvalidArgument

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# The contract's: a second at the latest.
HEARTBEAT_S = 0.9
# How long a validator that knows more than this process waits for it to catch up.
CATCH_UP_S = 2.0


class ValidatorService(pb_grpc.ValidatorServiceServicer):
    def __init__(self, quotas: Quotas, feeds: Feeds, catalog: Catalog, watchers: Watchers) -> None:
        self._quotas = quotas
        self._feeds = feeds
        self._catalog = catalog
        self._watchers = watchers

    async def WatchAccess(
        self, requests: AsyncIterator[pb.WatchAccessRequest], context: Context
    ) -> AsyncIterator[pb.WatchAccessResponse]:
        first = await anext(requests, None)
        if first is None or not first.HasField("start"):
            raise InvalidArgument("WATCH_NOT_INTRODUCED", "the first request of a watch is its start")
        start, call = first.start, current()
        for solution_id in start.solution_ids:
            check_yours(solution_id)
        if start.from_revision > self._catalog.revision:
            with suppress(TimeoutError):
                async with asyncio.timeout(CATCH_UP_S):
                    await self._catalog.reached(start.from_revision)
        feed = await self._feeds.subscribe(scope(solution_of(call), start.solution_ids), start.from_revision)
        reports = Reports(self._watchers, f"{call.caller}/{start.instance}/access")
        reading = asyncio.ensure_future(reports.follow(requests))
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        reading.add_done_callback(lambda _: feed.wake.set())
        try:
            while not feed.closed:
                if reading.done():
                    reading.result()  # a malformed report ends the watch
                feed.wake.clear()
                yield self._feeds.next(feed)
                await signalled(feed.wake, HEARTBEAT_S)
            # The requests are nobody's any more when the refusal is sent.
            reading.cancel()
            await asyncio.wait([reading])
            raise draining()
        finally:
            self._feeds.unsubscribe(feed)
            reports.end()
            reading.cancel()

    async def AdmitToken(self, request: pb.AdmitTokenRequest, context: Context) -> pb.AdmitTokenResponse:
        check_yours(request.solution_id)
        return await self._quotas.admit(request, f"{current().caller}/{request.instance}")

    async def SettleLeases(self, request: pb.SettleLeasesRequest, context: Context) -> pb.SettleLeasesResponse:
        for run in request.runs:
            check_yours(run.solution_id)
        call = current()
        return await self._quotas.settle(request, f"{call.caller}/{request.instance}", solution_of(call))


class Reports:
    """One stream's reports. A validator counts for WaitApplied once it reports."""

    def __init__(self, watchers: Watchers, watcher_id: str) -> None:
        self._watchers = watchers
        self._watcher_id = watcher_id
        self._stream: Stream | None = None

    async def follow(self, requests: AsyncIterator[pb.WatchAccessRequest]) -> None:
        async for request in requests:
            if not request.HasField("report"):
                raise InvalidArgument("WATCH_NOT_INTRODUCED", "a watch has one start; later requests are reports")
            revision = request.report.applied_revision
            if self._stream is None:
                self._stream = self._watchers.opened(self._watcher_id, revision)
            await self._watchers.reported(self._stream, revision, ())

    def end(self) -> None:
        if self._stream is not None:
            self._watchers.closed(self._stream)
