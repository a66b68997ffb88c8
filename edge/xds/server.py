"""Delta ADS over gRPC: a reader and a writer per stream, and what every connected Envoy has acknowledged."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc.aio
import structlog
from envoy.service.discovery.v3 import ads_pb2
from envoy.service.discovery.v3 import discovery_pb2 as discovery
from prometheus_client import Counter, Gauge

from edge.roster import Roster
from edge.xds.resources import WORDS
from edge.xds.served import Served
from edge.xds.stream import Refused, Stream
from shared.runtime.errors import FailedPrecondition

log = structlog.stdlib.get_logger("center.edge")

_envoys = Gauge("center_edge_envoys", "Envoys connected.")
_known = Gauge("center_edge_known_revision", "The last catalog revision this edge knows.")
_applied = Gauge("center_edge_applied_revision", "The last catalog revision that every connected Envoy has.")
_away = Gauge("center_edge_envoys_away", "Envoys whose stream has ended and that may serve on with what they had.")
_refused = Gauge("center_edge_refused_resources", "Resources that an Envoy refuses as they are now.")
_responses = Counter("center_edge_responses_total", "Responses sent to Envoys.")
_sent_bytes = Counter("center_edge_sent_bytes_total", "Bytes of resources sent to Envoys.")

# How long an Envoy whose stream has ended is waited for. One that lives is back within seconds: an attempt takes it a
# second at most, and so does the pause before the next (edge.envoy.bootstrap). One that is gone for good delays what
# waits for every Envoy by as long as this.
FORGET_S = 15.0

SERVICE = ads_pb2.DESCRIPTOR.services_by_name["AggregatedDiscoveryService"]


# grpc's classes are generic in its stubs only.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@dataclass(frozen=True, slots=True)
class Connection:
    stream: Stream
    peer: str
    connect_time_s: float


@dataclass(eq=False, slots=True)
class Away:
    """An Envoy whose stream has ended: for all that is known it serves on, with the routes that it has."""

    node_id: str
    applied_revision: int
    forgetting: asyncio.TimerHandle | None = None


class Discovery:
    """The servicer of AggregatedDiscoveryService; delta only, which every Envoy since 1.12 speaks."""

    def __init__(self, served: Served, roster: Roster, forget_s: float = FORGET_S) -> None:
        self.served = served
        self.connections: dict[Stream, Connection] = {}
        # Envoys may share a node id, so they are counted, and one that comes back is taken for any one of its name.
        self._roster = roster
        self._forget_s = forget_s
        # Which revision they had when the process before this one ended, nobody knows.
        self.away = [Away(node_id, 0) for node_id in roster.load()]
        _away.set(len(self.away))
        self.applied_revision = 0
        # Called when there is something new to report: a revision applied, or a resource refused.
        self.on_progress: Callable[[], None] = lambda: None
        # Until the catalog is known nothing is told to anybody: an Envoy that comes back would lose all it has.
        self.ready = asyncio.Event()
        self.draining = asyncio.Event()
        # By stream: the oldest change it lacks, and what it refuses. An ACK is work for one stream, not for all.
        self._lows: dict[Stream, int | None] = {}
        self._refusals: dict[Stream, set[Refused]] = {}
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    async def DeltaAggregatedResources(
        self, requests: AsyncIterator[discovery.DeltaDiscoveryRequest], context: Context
    ) -> AsyncIterator[bytes]:
        more = asyncio.Event()
        stream = Stream(self.served, more.set, progressed=self._progressed)
        peer = context.peer()
        self.connections[stream] = Connection(stream, peer, time.time())
        self._lows[stream], self._refusals[stream] = stream.low, set()
        _envoys.set(len(self.connections))

        async def read() -> None:
            await self.ready.wait()
            async for request in requests:
                if not stream.node_id and request.HasField("node"):
                    log.info("Envoy came", node=request.node.id, peer=peer)
                    self._came(request.node.id)
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
                    _responses.inc()
                    _sent_bytes.inc(len(response))
                    yield response
                # A client that came back with all it needs has caught up without a word.
                self._progressed(stream)
                await more.wait()
                await asyncio.sleep(0)
            with suppress(asyncio.CancelledError):
                reader.result()
        finally:
            reader.cancel()
            drain.cancel()
            log.info("Envoy left", node=stream.node_id, peer=peer)
            if stream.node_id:
                self._left(stream)
            stream.close()
            del self.connections[stream], self._lows[stream], self._refusals[stream]
            _envoys.set(len(self.connections))
            self._report()

    async def StreamAggregatedResources(
        self, requests: AsyncIterator[discovery.DiscoveryRequest], context: Context
    ) -> AsyncIterator[bytes]:
        raise FailedPrecondition("DELTA_ONLY", "this server speaks delta ADS (api_type: DELTA_GRPC) only")
        yield b""

    def listening(self) -> None:
        """From now on Envoys can come back that the process before this one had."""
        for away in self.away:
            self._forget_later(away)

    def close(self) -> None:
        for away in self.away:
            if away.forgetting is not None:
                away.forgetting.cancel()
        self._roster.close()

    def _came(self, node_id: str) -> None:
        """On disk before anything is told to it, so that it is waited for however this process ends."""
        back = next((away for away in self.away if away.node_id == node_id), None)
        if back is None:
            self._roster.add(node_id)
            return
        if back.forgetting is not None:
            back.forgetting.cancel()
        # What it really has counts again, and until it has said so, nothing.
        self.away.remove(back)
        _away.set(len(self.away))

    def _left(self, stream: Stream) -> None:
        away = Away(stream.node_id, stream.applied_revision)
        self.away.append(away)
        _away.set(len(self.away))
        self._forget_later(away)

    def _forget_later(self, away: Away) -> None:
        away.forgetting = asyncio.get_running_loop().call_later(self._forget_s, self._forget, away)

    def _forget(self, away: Away) -> None:
        log.info("Envoy has not come back", node=away.node_id, after_s=self._forget_s)
        self.away.remove(away)
        self._roster.remove(away.node_id)
        _away.set(len(self.away))
        self._report()

    def measure(self) -> None:
        """Takes note of a revision that has just been applied here."""
        _known.set(self.served.revision)
        for stream in self.connections:
            self._lows[stream] = stream.low
        self._report()

    async def settled(self, seq: int) -> None:
        """Returns when every connected Envoy has acknowledged or refused all changes up to this one."""
        if not self._has_settled(seq):
            done = asyncio.get_running_loop().create_future()
            self._waiting.append((seq, done))
            await done

    def _has_settled(self, seq: int) -> bool:
        return all(low is None or low > seq for low in self._lows.values())

    def _progressed(self, stream: Stream) -> None:
        if stream not in self._lows:
            return
        self._lows[stream] = stream.low
        refusals = set(stream.refusals())
        if refusals != self._refusals[stream]:
            for refused in refusals - self._refusals[stream]:
                log.warning(
                    "an Envoy refused a resource",
                    node=stream.node_id,
                    type=WORDS[refused.type_url],
                    name=refused.name,
                    tenant=refused.tenant_id,
                    why=refused.reason,
                )
            self._refusals[stream] = refusals
            _refused.set(sum(map(len, self._refusals.values())))
            self.on_progress()
        self._report()

    def _report(self) -> None:
        """Tells what all have when it is more than before; with nobody here or away nothing is left to wait for."""
        lows = [low for low in self._lows.values() if low is not None]
        revision = self.served.revision_before(min(lows, default=None))
        # An absent Envoy has what it had, whatever it read: routes that nobody reads are not even made.
        revision = min([revision, *[away.applied_revision for away in self.away]])
        if revision > self.applied_revision:
            self.applied_revision = revision
            _applied.set(revision)
            self.served.forget_before(revision)
            self.on_progress()
        settled = [waiting for waiting in self._waiting if self._has_settled(waiting[0])]
        for waiting in settled:
            self._waiting.remove(waiting)
            if not waiting[1].done():
                waiting[1].set_result(None)
