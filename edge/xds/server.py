"""Delta ADS over gRPC: a reader and a writer per stream, and what every connected Envoy has acknowledged."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc.aio
from envoy.service.discovery.v3 import ads_pb2
from envoy.service.discovery.v3 import discovery_pb2 as discovery

from edge.xds.served import Served
from edge.xds.stream import Stream
from shared.runtime.errors import FailedPrecondition

SERVICE = ads_pb2.DESCRIPTOR.services_by_name["AggregatedDiscoveryService"]


# grpc's classes are generic in its stubs only.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True, slots=True)
class Connection:
    stream: Stream
    peer: str
    connect_time_s: float


class Discovery:
    """The servicer of AggregatedDiscoveryService; delta only, which every Envoy since 1.12 speaks."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.connections: dict[Stream, Connection] = {}
        self.applied_revision = 0
        # Called when there is something new to report: a revision applied, or a resource refused.
        self.on_progress: Callable[[], None] = lambda: None
        # Until the catalog is known nothing is told to anybody: an Envoy that comes back would lose all it has.
        self.ready = asyncio.Event()
        self.draining = asyncio.Event()
        self._refusals = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    async def DeltaAggregatedResources(
        self, requests: AsyncIterator[discovery.DeltaDiscoveryRequest], context: Context
    ) -> AsyncIterator[bytes]:
        more = asyncio.Event()
        stream = Stream(self.served, more.set, progressed=self._progressed)
        self.connections[stream] = Connection(stream, context.peer(), time.time())

        async def read() -> None:
            await self.ready.wait()
            async for request in requests:
                stream.receive(request)

        async def drained() -> None:
            await self.draining.wait()
            reader.cancel()

        reader = asyncio.create_task(read())
        reader.add_done_callback(lambda _: more.set())
        drain = asyncio.create_task(drained())
        try:
            while not reader.done():
                more.clear()
                for response in stream.responses():
                    # Flow control is per stream: an edge that does not read holds up nobody else.
                    yield response
                await more.wait()
                await asyncio.sleep(0)
            with suppress(asyncio.CancelledError):
                reader.result()
        finally:
            reader.cancel()
            drain.cancel()
            stream.close()
            del self.connections[stream]
            self.measure()

    async def StreamAggregatedResources(
        self, requests: AsyncIterator[discovery.DiscoveryRequest], context: Context
    ) -> AsyncIterator[bytes]:
        raise FailedPrecondition("DELTA_ONLY", "this server speaks delta ADS (api_type: DELTA_GRPC) only")
        yield b""

    def measure(self) -> None:
        """Reports what all have, when it is more than before; with nobody connected nothing is left to wait for."""
        revision = min((stream.applied_revision for stream in self.connections), default=self.served.revision)
        if revision > self.applied_revision:
            self.applied_revision = revision
            self.served.forget_before(revision)
            self.on_progress()
        if self._waiting:
            done = [(seq, future) for seq, future in self._waiting if self._has_settled(seq)]
            for waiting in done:
                self._waiting.remove(waiting)
                if not waiting[1].done():
                    waiting[1].set_result(None)

    async def settled(self, seq: int) -> None:
        """Returns when every connected Envoy has acknowledged or refused all changes up to this one."""
        if not self._has_settled(seq):
            done = asyncio.get_running_loop().create_future()
            self._waiting.append((seq, done))
            await done

    def _has_settled(self, seq: int) -> bool:
        return all((low := stream.low) is None or low > seq for stream in self.connections)

    def _progressed(self, stream: Stream) -> None:
        self.measure()
        refusals = sum(len(stream.refusals()) for stream in self.connections)
        if refusals != self._refusals:
            self._refusals = refusals
            self.on_progress()
