"""The edge's own world: two small clusters, an xDS server, and a real Envoy, once a session."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from uuid import UUID

import pytest

from edge.authz import service as authz
from edge.roster import Roster
from edge.xds import contract, fleet, translate
from edge.xds.publisher import Publisher, routes_of
from edge.xds.served import Served
from edge.xds.server import FORGET_S, SERVICE, Discovery
from edge.xds.topology import Cluster, Domain, Endpoint, Solution, Tenant, Topology
from shared.runtime import pki
from shared.runtime.rpc.server import Service, serving
from tests.edge import proxy, shop, solution


def tenant_id(number: int) -> str:
    return str(UUID(int=(0x0192C0DE << 96) | (7 << 76) | (2 << 62) | number))


@dataclass
class Edge:
    """An xDS server in this process, and the topology it serves; `set` is the catalog's word."""

    topology: Topology
    served: Served
    discovery: Discovery
    publisher: Publisher
    validator: solution.Validator
    port: int = 0

    def set(
        self,
        *tenants: Tenant,
        clusters: tuple[Cluster, ...] = (),
        solutions: tuple[Solution, ...] = (),
        **removed: list[str],
    ) -> int:
        """Applies one revision, and gives its number."""
        revision = self.topology.revision + 1
        tenants = tuple(replace(tenant, revision=revision) for tenant in tenants)
        solutions = tuple(replace(solution, revision=revision) for solution in solutions)
        self.publisher.publish(self.topology.apply(revision, tenants, clusters, solutions=solutions, **removed))
        return revision

    async def applied(self, revision: int) -> None:
        await proxy.until(lambda: self.discovery.applied_revision >= revision)


def shop_of(number: int, cluster_id: str = "eu-1", **fields: object) -> Tenant:
    """Tenant number N with the domain shop-N.test."""
    domains = (Domain(f"shop-{number}.test", number + 1),)
    values: dict[str, object] = {
        "domains": domains,
        "cluster_id": cluster_id,
        "display_name": f"Shop {number}",
    } | fields
    return Tenant(tenant_id(number), f"shop-{number}", 1, **values)  # type: ignore[arg-type]


@asynccontextmanager
async def running_edge(
    home: Path,
    address: str = "127.0.0.1:0",
    *,
    folder: Path | None = None,
    drain_s: float = 0.05,
    forget_s: float = FORGET_S,
) -> AsyncIterator[Edge]:
    """folder: where it keeps whom it had, for the next one; without one it starts with nobody."""
    topology, terms = Topology(), contract.load()
    find = routes_of(topology, terms)
    served = Served(find, translate.refused_routes)
    discovery = Discovery(served, Roster(folder or Path(mkdtemp(dir=home))), forget_s)
    publisher = Publisher(topology, discovery, find, drain_s)
    publisher.share(
        [
            fleet.listener("127.0.0.1", 0, terms),
            fleet.control_cluster("127.0.0.1", 1),
            translate.platform_scope("center.test"),
        ]
    )
    validator = solution.Validator()
    edge = Edge(topology, served, discovery, publisher, validator)
    checks = authz.Authorization(validator, "http://center.test/register", bytes(32), lambda solution_id: "")
    services = [Service(discovery, SERVICE), Service(checks, authz.SERVICE)]
    async with serving(
        services, address=address, identity=pki.load(home, "edge"), receive_limit_bytes=256 << 20, drain_s=0
    ) as server:
        edge.port = server.port
        discovery.listening()
        yield edge
        await publisher.close()
    discovery.close()


@pytest.fixture(scope="package")
def edge_home(home: Path) -> Path:
    pki.ensure(home, ["edge", "envoy", "operator", "control", "cluster/eu-1", "cluster/us-1", "cluster/new-1"])
    return home


@pytest.fixture(scope="package")
async def clusters(edge_home: Path) -> AsyncIterator[SimpleNamespace]:
    async with shop.cluster(edge_home, "eu-1") as (eu, eu_port), shop.cluster(edge_home, "us-1") as (us, us_port):
        yield SimpleNamespace(
            eu=eu,
            us=us,
            entries=(
                Cluster("eu-1", 1, "eu", (Endpoint("127.0.0.1", eu_port),)),
                Cluster("us-1", 1, "us", (Endpoint("127.0.0.1", us_port),)),
            ),
        )


@pytest.fixture(scope="package")
async def edge(edge_home: Path, clusters: SimpleNamespace) -> AsyncIterator[Edge]:
    async with running_edge(edge_home) as edge:
        edge.set(
            *(shop_of(number, "eu-1" if number % 2 == 0 else "us-1") for number in range(2000)),
            clusters=clusters.entries,
        )
        yield edge


@pytest.fixture(scope="package")
async def envoy(edge: Edge, edge_home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[proxy.Envoy]:
    async with proxy.envoy(edge_home, tmp_path_factory.mktemp("envoy"), edge.port) as envoy:
        await envoy.listening()
        yield envoy
