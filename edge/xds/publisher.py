"""Turns what changed in the topology into what is served, and takes old clusters away once no Envoy needs them."""

import asyncio
from collections.abc import Iterable

from edge.xds import fleet, translate
from edge.xds.contract import Contract
from edge.xds.log import Find
from edge.xds.resources import CLUSTER, ENDPOINTS, ROUTES, SCOPE, Resource
from edge.xds.server import Discovery
from edge.xds.topology import Changes, Topology

# Requests that were routed before the last route changed are through by then: twice a route's timeout.
DRAIN_S = 2.0 * translate.TIMEOUT_S


def routes_of(topology: Topology, contract: Contract) -> Find:
    """Routes by name, made when somebody asks; there is an answer to every name."""

    def find(name: str) -> Resource | None:
        if name == translate.PLATFORM:
            return translate.platform_routes()
        tenant = topology.tenants.get(name)
        return translate.absent_routes(name) if tenant is None else translate.tenant_routes(tenant, contract)

    return find


class Publisher:
    """Stands between the topology and the streams; its work is by change, never by tenant."""

    def __init__(self, topology: Topology, discovery: Discovery, find_routes: Find, drain_s: float = DRAIN_S) -> None:
        self._topology = topology
        self._served = discovery.served
        self.discovery = discovery
        self._find_routes = find_routes
        self._drain_s = drain_s
        self._retiring: dict[str, asyncio.Task[None]] = {}

    def share(self, shared: Iterable[Resource]) -> None:
        """What no entry of the catalog decides: listener, control plane, the platform's own domain."""
        self._served.apply(self._served.revision, shared)

    def rewind(self) -> None:
        """Another catalog has taken the place of the one that was known: revisions count anew."""
        self._topology.forget_revisions()
        self._served.forget_revisions()
        self.discovery.applied_revision = 0

    def publish(self, changes: Changes) -> None:
        """One step of the catalog, whole."""
        puts: list[Resource] = []
        retiring: list[str] = []
        for cluster_id in sorted(changes.clusters):
            if (task := self._retiring.pop(cluster_id, None)) is not None:
                task.cancel()
            cluster = self._topology.clusters.get(cluster_id)
            if cluster is None:
                retiring.append(cluster_id)
            else:
                puts += [fleet.cluster(cluster), fleet.endpoints(cluster)]
        puts += [translate.scope(claim) for claim in changes.claimed.values()]
        readers = self._served.logs[ROUTES].readers
        for tenant_id in changes.tenants:
            if tenant_id in readers and (routes := self._find_routes(tenant_id)) is not None:
                puts.append(routes)
        removals = [(SCOPE, translate.scope_name(claim.domain)) for claim in changes.released]
        self._served.apply(self._topology.revision, puts, removals)
        self.discovery.ready.set()
        # What concerns no connected Envoy is applied by being known.
        self.discovery.measure()
        for cluster_id in retiring:
            self._retiring[cluster_id] = asyncio.create_task(self._retire(cluster_id, self._served.seq))

    async def close(self) -> None:
        for task in self._retiring.values():
            task.cancel()
        await asyncio.gather(*self._retiring.values(), return_exceptions=True)

    async def _retire(self, cluster_id: str, seq: int) -> None:
        """Break after make: when every Envoy has the routes that lead elsewhere, and what was under way is done."""
        await self.discovery.settled(seq)
        await asyncio.sleep(self._drain_s)
        self._served.apply(self._served.revision, (), [(CLUSTER, cluster_id), (ENDPOINTS, cluster_id)])
        del self._retiring[cluster_id]
