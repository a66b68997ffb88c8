"""The edge, put together: the xDS server, what it serves, and where it learns of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from edge.authz import service as authz
from edge.authz.validator import Deciding
from edge.catalog import Follower
from edge.config import ADMIN_PORT, HTTP_PORT, METRICS_PORT, XDS_PORT, Config
from edge.last_good import LastGood
from edge.roster import Roster
from edge.service import EdgeService
from edge.xds import contract, fleet, translate
from edge.xds.publisher import Publisher, routes_of
from edge.xds.served import Served
from edge.xds.server import SERVICE, Discovery
from edge.xds.topology import Topology
from shared.runtime import keys, pki
from shared.runtime.rpc.channel import connect
from shared.runtime.rpc.server import Server, Service, serving

# An Envoy that comes back names all it holds, with versions: 45 bytes a scope.
RECEIVE_LIMIT_BYTES = 256 << 20
# Envoys find the next server, or this one again, by themselves.
DRAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Edge:
    server: Server
    topology: Topology
    discovery: Discovery
    follower: Follower


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Edge]:
    pki.ensure(config.home, ["edge"])
    identity = pki.load(config.home, "edge")

    topology, terms = Topology(), contract.load()
    find_routes = routes_of(topology, terms)
    discovery = Discovery(Served(find_routes, translate.refused_routes), Roster(config.folder))
    publisher = Publisher(topology, discovery, find_routes)
    publisher.share(
        [
            fleet.listener(config.bind, HTTP_PORT + config.offset, terms),
            fleet.control_cluster(config.control_host, config.control_port),
            translate.platform_scope(config.zone),
        ]
    )

    # The follower itself comes again when control is away, from where it is by then.
    channel = connect(config.control_address, identity, server="control", receive_limit_bytes=RECEIVE_LIMIT_BYTES)
    follower = Follower(topology, publisher, LastGood(config.folder), channel, config.instance)
    follower.start()

    deciding = Deciding(
        config.control_address, identity, config.folder / "decisions.journal", config.instance, config.environment
    )
    checks = authz.Authorization(
        deciding, f"{config.public_url}/register", keys.load(config.home, "anonymous"), topology.name_of
    )
    edge_service = EdgeService(topology, discovery, config.zone)
    services = [
        Service(discovery, SERVICE),
        Service(checks, authz.SERVICE),
        Service.of(edge_service),
    ]
    async with (
        serving(
            services,
            address=config.address(XDS_PORT),
            identity=identity,
            admin_address=config.address(ADMIN_PORT),
            metrics_address=config.address(METRICS_PORT),
            draining=discovery.draining,
            drain_s=DRAIN_S,
            receive_limit_bytes=RECEIVE_LIMIT_BYTES,
        ) as server,
        # A fault in one of the tasks ends the process, which its supervisor starts again: better than standing still.
        asyncio.TaskGroup() as group,
    ):
        discovery.listening()
        work = [group.create_task(run()) for run in (follower.run, follower.save, deciding.run)]
        yield Edge(server, topology, discovery, follower)
        for task in work:
            task.cancel()
    await deciding.close()
    await publisher.close()
    discovery.close()
    await channel.close()
    follower.close()
