"""The xDS server over the wire: who may connect, what a slow or a returning client does to the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3 import discovery_pb2 as discovery

from edge.app import RECEIVE_LIMIT_BYTES, running
from edge.config import Config
from edge.roster import Roster
from edge.xds.resources import CLUSTER, ROUTES, SCOPE
from edge.xds.topology import Domain
from shared.runtime import pki
from shared.runtime.rpc.channel import connect
from tests.edge.conftest import Edge, running_edge, shop_of, tenant_id
from tests.edge.processes import free_offset
from tests.edge.proxy import until
from tests.support.grpc import refuses

Request = discovery.DeltaDiscoveryRequest


class Ads:
    """A client over gRPC that reads when it is told to, and acknowledges."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def ask(
        self, type_url: str, *names: str, versions: dict[str, str] | None = None, node_id: str = "envoy-1"
    ) -> None:
        await self.call.write(
            Request(
                node={"id": node_id},
                type_url=type_url,
                resource_names_subscribe=names,
                initial_resource_versions=versions or {},
            )
        )

    async def next(self) -> discovery.DeltaDiscoveryResponse:
        async with asyncio.timeout(10):
            response = await self.call.read()
        await self.call.write(Request(type_url=response.type_url, response_nonce=response.nonce))
        return response  # type: ignore[no-any-return]


@asynccontextmanager
async def ads(home: Path, port: int, identity: str = "envoy") -> AsyncIterator[Ads]:
    async with connect(
        f"127.0.0.1:{port}", pki.load(home, identity), server="edge", receive_limit_bytes=RECEIVE_LIMIT_BYTES
    ) as channel:
        call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()
        try:
            yield Ads(call)
        finally:
            call.cancel()


@pytest.fixture
async def own(edge_home: Path, clusters: SimpleNamespace) -> AsyncIterator[Edge]:
    async with running_edge(edge_home) as edge:
        edge.set(*(shop_of(number) for number in range(100)), clusters=clusters.entries)
        yield edge


@pytest.mark.parametrize("identity", ["operator", "control", "cluster/eu-1", "edge"])
async def test_nobody_but_envoy_is_told_anything(edge_home: Path, own: Edge, identity: str) -> None:
    async with ads(edge_home, own.port, identity) as client:
        async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
            await client.ask(SCOPE)
            await client.next()


async def test_state_of_the_world_is_refused_with_a_word(edge_home: Path, own: Edge) -> None:
    async with connect(f"127.0.0.1:{own.port}", pki.load(edge_home, "envoy"), server="edge") as channel:
        call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).StreamAggregatedResources()
        async with refuses("FAILED_PRECONDITION", "DELTA_ONLY"):
            await call.write(discovery.DiscoveryRequest(type_url=CLUSTER))
            await call.read()


async def test_the_wire_holds_what_is_served(edge_home: Path, own: Edge) -> None:
    async with ads(edge_home, own.port) as client:
        await client.ask(SCOPE)
        response = await client.next()
        assert len(response.resources) == 101
        assert response.system_version_info == "1"
        for resource in response.resources:
            assert resource.resource.type_url == SCOPE
            served = own.served.logs[SCOPE].get(resource.name)
            assert served is not None
            assert (resource.version, resource.resource.value) == (served.version, served.body())


async def test_a_client_that_stops_reading_delays_nobody(edge_home: Path, own: Edge) -> None:
    async with ads(edge_home, own.port) as slow, ads(edge_home, own.port) as quick:
        for client in (slow, quick):
            await client.ask(SCOPE)
        await quick.next()
        await until(lambda: len(own.discovery.connections) == 2)
        # A thousand domains go to and fro between two tenants.
        wandering = tuple(Domain(f"wandering-{number}.test", 10_000 + number) for number in range(1000))
        for turn in range(50):
            revision = own.set(
                shop_of(1, domains=wandering if turn % 2 else ()), shop_of(2, domains=() if turn % 2 else wandering)
            )
            async with asyncio.timeout(1):
                await quick.next()
        behind, ahead = sorted(own.discovery.connections, key=lambda stream: stream.applied_revision)
        await until(lambda: ahead.applied_revision == revision)
        assert behind.applied_revision < revision
        assert own.discovery.applied_revision < revision
        await slow.next()
        # Fifty changes of each name have become one.
        assert len((await slow.next()).resources) == 1000
        await until(lambda: own.discovery.applied_revision == revision)


async def test_an_envoy_that_comes_back_with_many_names_is_let_in(edge_home: Path, own: Edge) -> None:
    """grpc's own limit of 4 MiB shuts it out for ever at some 90,000 of them."""
    versions = {f"name-of-a-scope-that-is-long-{number}": "0123456789ab" for number in range(120_000)}
    async with ads(edge_home, own.port) as client:
        await client.ask(SCOPE, versions=versions)
        removed = 0
        while removed < len(versions):
            removed += len((await client.next()).removed_resources)


async def test_a_server_that_stops_ends_its_streams(edge_home: Path, clusters: SimpleNamespace) -> None:
    async with running_edge(edge_home) as edge:
        edge.set(shop_of(1), clusters=clusters.entries)
        async with ads(edge_home, edge.port) as client:
            await client.ask(SCOPE)
            await client.next()
            edge.discovery.draining.set()
            async with asyncio.timeout(5):
                assert not isinstance(await client.call.read(), discovery.DeltaDiscoveryResponse)
            assert not edge.discovery.connections


async def test_an_envoy_that_has_said_nothing_yet_holds_every_revision_back(edge_home: Path, own: Edge) -> None:
    async with ads(edge_home, own.port):
        await until(lambda: own.discovery.connections)
        revision = own.set(shop_of(1, domains=()))
        assert own.discovery.applied_revision < revision


async def test_an_envoy_that_does_not_come_back_delays_a_revision_and_then_no_more(
    edge_home: Path, clusters: SimpleNamespace
) -> None:
    async with running_edge(edge_home, forget_s=1.0) as edge:
        edge.set(shop_of(1), clusters=clusters.entries)
        async with ads(edge_home, edge.port) as client:
            await client.ask(SCOPE)
            await client.next()
            await until(lambda: edge.discovery.applied_revision == 1)
        await until(lambda: not edge.discovery.connections)
        revision = edge.set(shop_of(1, "us-1"))
        assert edge.discovery.applied_revision < revision, "it may serve on with routes to the old place"
        await until(lambda: edge.discovery.applied_revision == revision)
        assert not edge.discovery.away


async def test_of_two_envoys_with_one_name_each_is_waited_for_until_it_is_back(
    edge_home: Path, clusters: SimpleNamespace, tmp_path: Path
) -> None:
    """And so it is by the next process, whatever the end of the one before."""
    async with running_edge(edge_home, folder=tmp_path) as edge:
        edge.set(shop_of(1), clusters=clusters.entries)
        async with ads(edge_home, edge.port) as one, ads(edge_home, edge.port) as other:
            for client in (one, other):
                await client.ask(SCOPE)
                await client.next()
        await until(lambda: not edge.discovery.connections)
    async with running_edge(edge_home, folder=tmp_path) as edge:
        for _ in range(2):
            revision = edge.set(shop_of(1, "us-1"), clusters=clusters.entries)
        assert edge.discovery.applied_revision < revision
        async with ads(edge_home, edge.port) as one:
            await one.ask(SCOPE)
            await one.next()
            (stream,) = edge.discovery.connections
            await until(lambda: stream.applied_revision == revision)
            assert edge.discovery.applied_revision < revision, "the other is still away"
            async with ads(edge_home, edge.port) as other:
                await other.ask(SCOPE)
                await other.next()
                await until(lambda: edge.discovery.applied_revision == revision)


async def test_an_edge_that_starts_waits_for_those_who_were_here_and_not_for_ever(
    edge_home: Path, tmp_path: Path
) -> None:
    (tmp_path / "pki").symlink_to(edge_home / "pki")
    config = Config(tmp_path, free_offset())
    roster = Roster(config.folder)
    roster.add("gone")
    roster.close()
    async with running(config) as edge:
        (away,) = edge.discovery.away
        assert away.node_id == "gone"
        assert away.forgetting is not None, "its time runs once the edge can be reached"


async def test_work_by_change_does_not_grow_with_the_number_of_tenants(edge_home: Path, own: Edge) -> None:
    """Counted, not timed: one tenant's change makes one resource, whoever else is there."""
    async with ads(edge_home, own.port) as client:
        await client.ask(ROUTES, tenant_id(1))
        await client.next()
        before = own.served.seq
        own.set(*(shop_of(number, "us-1") for number in range(1, 100)))
        assert own.served.seq == before + 1, "routes nobody asked for are not made"
        assert [resource.name for resource in (await client.next()).resources] == [tenant_id(1)]
