"""Follows CatalogService.Watch: what it says is served at once, kept on disk, and reported once Envoys have it."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from hashlib import blake2b

import grpc.aio
import structlog

from center.control.v1 import catalog_service_pb2 as pb
from center.control.v1 import catalog_service_pb2_grpc as pb_grpc
from center.control.v1 import solution_service_pb2, tenant_pb2
from edge.last_good import LastGood
from edge.xds.publisher import Publisher
from edge.xds.topology import Changes, Cluster, Domain, Endpoint, Mode, Rule, Solution, State, Tenant, Topology

log = structlog.stdlib.get_logger("center.edge")

_STATES = {
    tenant_pb2.TENANT_STATE_ACTIVE: State.ACTIVE,
    tenant_pb2.TENANT_STATE_SUSPENDED: State.SUSPENDED,
    tenant_pb2.TENANT_STATE_TERMINATED: State.GONE,
    tenant_pb2.TENANT_STATE_DELETING: State.GONE,
}
_MODES = {
    tenant_pb2.TENANT_MODE_READ_ONLY: Mode.READ_ONLY,
    tenant_pb2.TENANT_MODE_MAINTENANCE: Mode.MAINTENANCE,
}

# Control answers heartbeats; a stream that has been silent for longer than several of them is dead.
SILENT_S = 60.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.1, 2.0
# Reports of a burst merge; a single change is reported at once.
_REPORT_EVERY_S = 0.005
_MOST_REFUSALS = 1000


def tenant(entry: pb.CatalogTenant) -> Tenant:
    return Tenant(
        id=entry.id,
        code=entry.code,
        revision=entry.revision,
        state=_STATES.get(entry.state, State.PENDING),
        mode=_MODES.get(entry.mode, Mode.NORMAL),
        display_name=entry.display_name,
        cluster_id=entry.placement.cluster_id,
        domains=tuple(Domain(domain.name, domain.number) for domain in entry.domains),
        notice=entry.config.notice,
        catalog_state=tenant_pb2.TenantState.Name(entry.state).removeprefix("TENANT_STATE_").lower(),
    )


def cluster(entry: pb.CatalogCluster) -> Cluster:
    endpoints = tuple(Endpoint(endpoint.host, endpoint.port) for endpoint in entry.endpoints)
    return Cluster(entry.id, entry.revision, entry.region_id, endpoints)


def solution(entry: solution_service_pb2.Solution) -> Solution:
    gateway = entry.gateway
    if not entry.HasField("gateway"):
        return Solution(entry.id, entry.revision, entry.display_name)
    return Solution(
        id=entry.id,
        revision=entry.revision,
        display_name=entry.display_name,
        domains=tuple(Domain(host, _number(host)) for host in gateway.hosts),
        upstream=Endpoint(gateway.upstream_host, gateway.upstream_port),
        rules=tuple(Rule(rule.path_prefix, tuple(rule.methods), rule.action, rule.cost or 1) for rule in gateway.rules),
    )


def _number(host: str) -> int:
    """For the name of its scope, as the catalog numbers tenants' domains; far above any number of the catalog's."""
    return 1 << 62 | int.from_bytes(blake2b(host.encode(), digest_size=8).digest()) >> 2


def apply(topology: Topology, revision: int, entries: Iterable[pb.CatalogEntry]) -> Changes:
    """Changes in the order of their revisions; of what is named twice the last word counts."""
    last: dict[str, dict[str, pb.CatalogEntry]] = {"tenant": {}, "cluster": {}, "solution": {}}
    for entry in entries:
        match entry.WhichOneof("entry"):
            case "tenant" | "cluster" | "solution" as kind:
                last[kind][getattr(entry, kind).id] = entry
            case "removed_tenant_id" | "removed_cluster_id" | "removed_solution_id" as removed:
                last[removed.split("_")[1]][getattr(entry, removed)] = entry
    return topology.apply(
        revision,
        [tenant(entry.tenant) for entry in last["tenant"].values() if entry.HasField("tenant")],
        [cluster(entry.cluster) for entry in last["cluster"].values() if entry.HasField("cluster")],
        [key for key, entry in last["tenant"].items() if not entry.HasField("tenant")],
        [key for key, entry in last["cluster"].items() if not entry.HasField("cluster")],
        [solution(entry.solution) for entry in last["solution"].values() if entry.HasField("solution")],
        [key for key, entry in last["solution"].items() if not entry.HasField("solution")],
    )


def _of_snapshot(entries: Iterable[pb.CatalogEntry]) -> tuple[list[Tenant], list[Cluster], list[Solution]]:
    entries = list(entries)
    return (
        [tenant(entry.tenant) for entry in entries if entry.HasField("tenant")],
        [cluster(entry.cluster) for entry in entries if entry.HasField("cluster")],
        [solution(entry.solution) for entry in entries if entry.HasField("solution")],
    )


class Follower:
    def __init__(
        self, topology: Topology, publisher: Publisher, last_good: LastGood, channel: grpc.aio.Channel, instance: str
    ) -> None:
        self.connected = False
        self._topology = topology
        self._publisher = publisher
        self._last_good = last_good
        self._stub = pb_grpc.CatalogServiceStub(channel)
        self._instance = instance
        # Not on disk yet: revision, entries, and whether they are everything.
        self._unsaved: list[tuple[int, list[pb.CatalogEntry], bool]] = []
        self._to_save = asyncio.Event()
        self._to_report = asyncio.Event()
        publisher.discovery.on_progress = self._to_report.set

    def start(self) -> None:
        """What is on disk is served before anybody has been asked."""
        revision, entries = self._last_good.load()
        if revision:
            tenants, clusters, solutions = _of_snapshot(entries)
            self._publisher.publish(self._topology.replace(revision, tenants, clusters, solutions))
            log.info("serving what was last known", revision=revision, tenants=len(tenants))

    async def run(self) -> None:
        """Follows for ever; the control plane may come, go and come again."""
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                await self._follow()
                retry_s = _FIRST_RETRY_S
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                why = error.details() if isinstance(error, grpc.aio.AioRpcError) else f"silent for {SILENT_S:.0f} s"
                retry_s = _FIRST_RETRY_S if self.connected else min(2 * retry_s, _LONGEST_RETRY_S)
                log.warning("catalog out of reach", why=why, revision=self._topology.revision, retry_s=retry_s)
            self.connected = False
            # Jittered, so that a thousand edges do not come back to a new control plane in one moment.
            await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))

    async def save(self) -> None:
        """Keeps the disk close behind, off the way from a change to Envoy; what gathers is one transaction."""
        while True:
            await self._to_save.wait()
            self._to_save.clear()
            await asyncio.to_thread(self._save, self._take_unsaved())

    def close(self) -> None:
        self._save(self._take_unsaved())
        self._last_good.close()

    async def _follow(self) -> None:
        call = self._stub.Watch(self._requests())
        try:
            responses = aiter(call)
            snapshot: list[pb.CatalogEntry] = []
            while True:
                async with asyncio.timeout(SILENT_S):
                    response = await anext(responses, None)
                if response is None:
                    return
                if not self.connected:
                    self.connected = True
                    log.info("following the catalog", revision=self._topology.revision)
                match response.phase:
                    case pb.WATCH_PHASE_SNAPSHOT:
                        snapshot.extend(response.entries)
                    case pb.WATCH_PHASE_SNAPSHOT_END:
                        self._replace(response.revision, [*snapshot, *response.entries])
                        snapshot = []
                    case pb.WATCH_PHASE_CHANGES:
                        self._change(response.revision, list(response.entries))
        finally:
            call.cancel()

    async def _requests(self) -> AsyncIterator[pb.WatchRequest]:
        start = pb.WatchStart(instance=self._instance, from_revision=self._topology.revision)
        yield pb.WatchRequest(start=start)
        while True:
            yield pb.WatchRequest(report=self._report())
            await asyncio.sleep(_REPORT_EVERY_S)
            await self._to_report.wait()
            self._to_report.clear()

    def _report(self) -> pb.WatchReport:
        discovery = self._publisher.discovery
        refusals = {
            refused.resource_id: pb.Refusal(resource_id=refused.resource_id[:64], reason=refused.reason[:2000])
            for stream in discovery.connections
            for refused in stream.refusals()
        }
        return pb.WatchReport(
            applied_revision=discovery.applied_revision, refusals=list(refusals.values())[:_MOST_REFUSALS]
        )

    def _replace(self, revision: int, entries: list[pb.CatalogEntry]) -> None:
        if revision < self._topology.revision:
            log.error("the catalog was set back", known=self._topology.revision, told=revision)
            self._publisher.rewind()
        tenants, clusters, solutions = _of_snapshot(entries)
        self._publisher.publish(self._topology.replace(revision, tenants, clusters, solutions))
        log.info("snapshot", revision=revision, tenants=len(tenants), clusters=len(clusters))
        self._keep(revision, entries, everything=True)

    def _change(self, revision: int, entries: list[pb.CatalogEntry]) -> None:
        if not entries and revision <= self._topology.revision:
            return
        self._publisher.publish(apply(self._topology, revision, entries))
        self._keep(revision, entries)

    def _keep(self, revision: int, entries: list[pb.CatalogEntry], *, everything: bool = False) -> None:
        self._unsaved.append((revision, entries, everything))
        self._to_save.set()

    def _take_unsaved(self) -> list[tuple[int, list[pb.CatalogEntry], bool]]:
        unsaved, self._unsaved = self._unsaved, []
        return unsaved

    def _save(self, unsaved: list[tuple[int, list[pb.CatalogEntry], bool]]) -> None:
        entries: list[pb.CatalogEntry] = []
        everything = False
        for _, some, all_of_them in unsaved:
            entries = some if all_of_them else [*entries, *some]
            everything = everything or all_of_them
        if unsaved:
            self._last_good.save(unsaved[-1][0], entries, everything=everything)
