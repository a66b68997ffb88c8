"""Turns what changed in the topology into what is served, and takes old clusters away once no Envoy needs them."""

import asyncio
from collections.abc import Iterable, Iterator

from edge.xds import fleet, translate
from edge.xds.contract import Contract
from edge.xds.log import Find
from edge.xds.resources import CLUSTER, ENDPOINTS, ROUTES, SCOPE, Resource
from edge.xds.server import Discovery
from edge.xds.topology import SOLUTION, Changes, Topology

# Requests that were routed before the last route changed are through by then: twice a route's timeout.
DRAIN_S = 2.0 * translate.TIMEOUT_S


def routes_of(topology: Topology, contract: Contract) -> Find:
    """Routes by name, made when somebody asks; there is an answer to every name."""

    def find(name: str) -> Resource | None:
        if name == translate.PLATFORM:
            return translate.platform_routes(contract)
        if name.startswith(SOLUTION):
            solution = topology.solutions.get(name.removeprefix(SOLUTION))
            return translate.absent_routes(name) if solution is None else translate.solution_routes(solution)
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
        for name, made in self._clusters(changes):
            if (task := self._retiring.pop(name, None)) is not None:
                task.cancel()
            puts += made
            if not made and name in self._served.logs[CLUSTER]:
                retiring.append(name)
        puts += [translate.scope(claim) for claim in changes.claimed.values()]
        readers = self._served.logs[ROUTES].readers
        for name in (*changes.tenants, *(f"{SOLUTION}{solution_id}" for solution_id in changes.solutions)):
            if name in readers and (routes := self._find_routes(name)) is not None:
                puts.append(routes)
        removals = [(SCOPE, translate.scope_name(claim.domain)) for claim in changes.released]
        self._served.apply(self._topology.revision, puts, removals)
        self.discovery.ready.set()
        # What concerns no connected Envoy is applied by being known.
        self.discovery.measure()
        for name in retiring:
            self._retiring[name] = asyncio.create_task(self._retire(name, self._served.seq))

    async def close(self) -> None:
        for task in self._retiring.values():
            task.cancel()
        await asyncio.gather(*self._retiring.values(), return_exceptions=True)

    def _clusters(self, changes: Changes) -> Iterator[tuple[str, list[Resource]]]:
        """Envoy's clusters that changed, by name; one that is gone has no resources."""
        for cluster_id in sorted(changes.clusters):
            cluster = self._topology.clusters.get(cluster_id)
            yield cluster_id, [] if cluster is None else [fleet.cluster(cluster), fleet.endpoints(cluster)]
        for solution_id in sorted(changes.solutions):
            solution = self._topology.solutions.get(solution_id)
            upstream = None if solution is None else solution.upstream
            made = [] if solution is None or upstream is None else [fleet.solution_cluster(solution, upstream)]
            yield f"{SOLUTION}{solution_id}", made

    async def _retire(self, name: str, seq: int) -> None:
        """Break after make: when every Envoy has the routes that lead elsewhere, and what was under way is done."""
        await self.discovery.settled(seq)
        await asyncio.sleep(self._drain_s)
        self._served.apply(self._served.revision, (), [(CLUSTER, name), (ENDPOINTS, name)])
        del self._retiring[name]
