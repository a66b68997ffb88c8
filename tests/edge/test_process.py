"""The edge as a whole: it follows a catalog, survives kills, and starts with the control plane down."""

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from center.control.v1 import catalog_service_pb2 as pb_catalog
from center.control.v1 import tenant_pb2
from center.edge.v1 import edge_service_pb2 as pb
from center.edge.v1 import edge_service_pb2_grpc as pb_grpc
from edge.config import CONTROL_PORT, HTTP_PORT, METRICS_PORT, XDS_PORT
from shared.runtime import pki
from shared.runtime.rpc.channel import connect
from tests.edge import solution as solutions
from tests.edge.catalog import Catalog, cluster, serving_catalog, solution, tenant
from tests.edge.conftest import tenant_id
from tests.edge.processes import Process, free_offset, process
from tests.edge.proxy import until
from tests.edge.web import Answer, Shopper


@dataclass
class Platform:
    catalog: Catalog
    edge: Process
    envoy: Process
    home: Path
    offset: int
    control: AsyncExitStack

    async def start_control(self) -> None:
        await self.control.enter_async_context(serving_catalog(self.home, self.catalog, CONTROL_PORT + self.offset))

    async def stop_control(self) -> None:
        await self.control.aclose()

    async def get(self, host: str, path: str = "/v1/products") -> Answer:
        shopper = Shopper(HTTP_PORT + self.offset)
        try:
            return await shopper.get(host, path)
        finally:
            await shopper.close()

    async def answers(self, host: str, status: int, path: str = "/v1/products") -> Answer:
        """Waits until a host answers with this status."""
        answer: Answer | None = None

        async def asked() -> bool:
            nonlocal answer
            try:
                answer = await self.get(host, path)
            except OSError:
                return False
            return answer.status == status

        await until(asked, 60, f"{host}: {status}")
        assert answer is not None
        return answer

    async def reports(self, revision: int) -> None:
        await until(lambda: self.catalog.applied >= revision, 60, f"applied {revision}")


@pytest.fixture(scope="module")
async def platform(
    edge_home: Path, clusters: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """One for all tests here; each leaves its processes running and takes the tenants as it finds them."""
    home, offset, catalog = tmp_path_factory.mktemp("platform"), free_offset(), Catalog()
    (home / "pki").symlink_to(edge_home / "pki")
    catalog.commit(*(cluster(entry.id, [entry.endpoints[0].port]) for entry in clusters.entries))
    catalog.commit(*(tenant(tenant_id(n), (f"shop-{n}.test", n + 1)) for n in range(1000)))
    async with (
        process("edge", home, offset) as edge,
        process("edge.envoy", home, offset) as envoy,
        AsyncExitStack() as control,
    ):
        platform = Platform(catalog, edge, envoy, home, offset, control)
        await platform.start_control()
        await platform.answers("shop-7.test", 200)
        yield platform


async def test_a_change_in_the_catalog_reaches_shoppers_and_is_reported_as_applied(platform: Platform) -> None:
    await platform.reports(2)
    revision = platform.catalog.commit(
        tenant(tenant_id(7), ("shop-7.test", 8), state=tenant_pb2.TENANT_STATE_SUSPENDED)
    )
    await platform.reports(revision)
    assert (await platform.get("shop-7.test")).reason == "TENANT_SUSPENDED"


async def test_killed_with_control_down_the_edge_comes_back_with_what_it_knew(platform: Platform) -> None:
    revision = platform.catalog.commit(
        tenant(tenant_id(7), ("shop-7.test", 8), state=tenant_pb2.TENANT_STATE_SUSPENDED)
    )
    await platform.reports(revision)
    await platform.answers("shop-7.test", 503)
    await platform.answers("shop-8.test", 200)
    await platform.stop_control()
    await platform.edge.stop(signal.SIGKILL)
    assert (await platform.get("shop-8.test")).status == 200, "Envoy serves on alone whom it has served before"
    # A new Envoy knows nothing: all it serves comes from the edge, and the edge has it from its disk.
    await platform.envoy.stop(signal.SIGKILL)
    await platform.edge.start()
    await platform.envoy.start()
    await platform.answers("shop-9.test", 200)
    assert (await platform.get("shop-7.test")).reason == "TENANT_SUSPENDED"
    assert (await platform.get("nobody.test")).reason == "HOST_UNKNOWN"
    await platform.start_control()
    revision = platform.catalog.commit(tenant(tenant_id(7), ("shop-7.test", 8)))
    await platform.answers("shop-7.test", 200)
    await platform.reports(revision)
    assert platform.catalog.starts[-1].from_revision == revision - 1, "it went on from what it knew"


async def test_a_solution_is_kept_on_disk_and_nothing_of_it_passes_that_nobody_can_decide(platform: Platform) -> None:
    async with solutions.upstream() as upstream:
        await platform.reports(platform.catalog.commit(solution("kept", upstream.port)))
        assert (await platform.get("kept.test", "/")).status == 200
        await platform.stop_control()
        await platform.edge.stop(signal.SIGKILL)
        await platform.envoy.stop(signal.SIGKILL)
        await platform.edge.start()
        await platform.envoy.start()
        await platform.answers("kept.test", 200, "/")
        address = f"127.0.0.1:{XDS_PORT + platform.offset}"
        async with connect(address, pki.load(platform.home, "operator"), server="edge") as channel:
            told = await pb_grpc.EdgeServiceStub(channel).ExplainRoute(pb.ExplainRouteRequest(host="kept.test"))
        assert (told.outcome, told.solution_id, told.tenant_id) == (pb.ROUTE_OUTCOME_SOLUTION, "kept", "")
        assert [(step.finding, step.consequence) for step in told.steps if step.subject == "rule"] == [
            ("every method /paid", "call, 1 unit"),
            ("every method /", "not validated"),
        ]
        # The edge has not met a control plane that has tokens, here.
        assert (await platform.get("kept.test", "/paid")).reason == "VALIDATION_UNAVAILABLE"
        assert upstream.calls == 2
        await platform.start_control()
        await platform.reports(platform.catalog.commit(pb_catalog.CatalogEntry(removed_solution_id="kept")))
        assert (await platform.get("kept.test", "/")).reason == "HOST_UNKNOWN"


async def test_killed_the_edge_waits_for_the_envoy_that_it_had(platform: Platform) -> None:
    """Envoy serves on with what it has: where a shop has moved away from must not be cleaned up before it is back."""
    assert (await platform.answers("shop-6.test", 200)).headers["x-center-cluster"] == "eu-1"
    await platform.reports(platform.catalog.revision)

    async def gauge(name: str) -> float:
        metrics = Shopper(METRICS_PORT + platform.offset)
        body = (await metrics.get("metrics", "/metrics")).body.decode()
        await metrics.close()
        return float(next(line.split()[1] for line in body.splitlines() if line.startswith(f"center_edge_{name} ")))

    async def is_known() -> bool:
        try:
            return await gauge("known_revision") == revision
        except OSError:
            return False

    platform.envoy.send(signal.SIGSTOP)
    try:
        await platform.edge.stop(signal.SIGKILL)
        platform.catalog.reports.clear()
        revision = platform.catalog.commit(tenant(tenant_id(6), ("shop-6.test", 7), cluster_id="us-1"))
        await platform.edge.start()
        await until(is_known, what="the edge knows of the move")
        assert await gauge("applied_revision") < revision
        assert await gauge("envoys_away") == 1
        async with connect(
            f"127.0.0.1:{XDS_PORT + platform.offset}", pki.load(platform.home, "operator"), server="edge"
        ) as channel:
            told = await pb_grpc.EdgeServiceStub(channel).ExplainRoute(pb.ExplainRouteRequest(host="shop-6.test"))
        assert told.steps[-1].consequence == "envoy-1 is away and may answer as before"
        assert platform.catalog.applied < revision
    finally:
        platform.envoy.send(signal.SIGCONT)
    await platform.reports(revision)
    assert (await platform.get("shop-6.test")).headers["x-center-cluster"] == "us-1"


async def test_a_kill_at_any_moment_loses_no_change_that_was_reported(platform: Platform) -> None:
    """What the edge has reported as applied it serves after kill -9, or asks the catalog for again."""
    for turn in range(6):
        states = [tenant_pb2.TENANT_STATE_SUSPENDED, tenant_pb2.TENANT_STATE_ACTIVE]
        for number in range(20):
            platform.catalog.commit(
                tenant(tenant_id(number), (f"shop-{number}.test", number + 1), state=states[turn % 2])
            )
        if turn % 3:
            await platform.reports(platform.catalog.revision - 10)
        await platform.edge.stop(signal.SIGKILL)
        await platform.edge.start()
    await platform.reports(platform.catalog.revision)
    for number in range(20):
        assert (await platform.get(f"shop-{number}.test")).status == 200


async def test_a_broken_file_is_replaced_by_a_snapshot(platform: Platform) -> None:
    await platform.edge.stop(signal.SIGKILL)
    for file in (platform.home / "edge").iterdir():
        file.write_bytes(b"not a database")
    revision = platform.catalog.commit(
        tenant(tenant_id(7), ("shop-7.test", 8), state=tenant_pb2.TENANT_STATE_SUSPENDED)
    )
    await platform.edge.start()
    await platform.reports(revision)
    await platform.answers("shop-7.test", 503)
    assert platform.catalog.starts[-1].from_revision == 0


async def test_both_processes_end_on_sigterm(platform: Platform) -> None:
    assert await platform.edge.stop(signal.SIGTERM) == 0
    assert await platform.envoy.stop(signal.SIGTERM) == 0
    await platform.edge.start()
    await platform.envoy.start()
    await platform.answers("shop-8.test", 200)


async def test_the_edge_explains_itself(platform: Platform) -> None:
    edge_1 = f"127.0.0.1:{XDS_PORT + platform.offset}"
    platform.catalog.commit(
        tenant(tenant_id(1), ("shop-1.test", 2), state=tenant_pb2.TENANT_STATE_SUSPENDED),
        tenant(tenant_id(2), ("shop-2.test", 3), mode=tenant_pb2.TENANT_MODE_MAINTENANCE),
        tenant(tenant_id(3), ("shop-3.test", 4), mode=tenant_pb2.TENANT_MODE_READ_ONLY),
        tenant(tenant_id(4), ("shop-4.test", 5), state=tenant_pb2.TENANT_STATE_DELETING),
        tenant(tenant_id(5), ("shop-5.test", 6), cluster_id="empty-1"),
        cluster("empty-1", []),
    )
    await platform.reports(platform.catalog.revision)
    expected = {
        "SHOP-0.test.:80": (pb.ROUTE_OUTCOME_CLUSTER, 200),
        "shop-1.test": (pb.ROUTE_OUTCOME_SUSPENDED, 503),
        "shop-2.test": (pb.ROUTE_OUTCOME_MAINTENANCE, 503),
        "shop-3.test": (pb.ROUTE_OUTCOME_CLUSTER_READ_ONLY, 200),
        "shop-4.test": (pb.ROUTE_OUTCOME_GONE, 410),
        "shop-5.test": (pb.ROUTE_OUTCOME_NO_ENDPOINT, 503),
        "nobody.test": (pb.ROUTE_OUTCOME_UNKNOWN_HOST, 404),
        "center.test": (pb.ROUTE_OUTCOME_PLATFORM, None),
    }
    async with connect(edge_1, pki.load(platform.home, "operator"), server="edge") as channel:
        stub = pb_grpc.EdgeServiceStub(channel)
        for host, (outcome, status) in expected.items():
            told = await stub.ExplainRoute(pb.ExplainRouteRequest(host=host))
            assert told.outcome == outcome, host
            assert told.revision == platform.catalog.revision
            assert told.steps[0].subject == "domain"
            assert told.steps[-1].subject == "edges"
            assert told.steps[-1].finding.startswith("1 of 1 connected Envoys")
            if status is not None:
                assert (await platform.get(host)).status == status, f"Envoy does as was told of {host}"
        steps = (await stub.ExplainRoute(pb.ExplainRouteRequest(host="shop-0.test"))).steps
        assert [step.subject for step in steps] == [
            *("domain", "tenant", "state", "mode", "cluster", "endpoints", "edges")
        ]

        (edge,) = (await stub.ListEdges(pb.ListEdgesRequest())).edges
        assert edge.id == "envoy-1"
        assert edge.version.startswith("1.40")
        assert edge.applied_revision == platform.catalog.revision
        types = {kind.type: kind for kind in edge.types}
        assert types["scoped_routes"].subscribed == 1001
        assert types["scoped_routes"].pending == 0
        assert types["routes"].subscribed >= len(expected) - 2
        assert types["clusters"].acknowledge_time.seconds > 0


async def test_a_catalog_that_was_set_back_is_taken_as_it_is(platform: Platform) -> None:
    """A new platform in the place of the old one counts its revisions from the beginning. The last test: see above."""
    await platform.stop_control()
    platform.catalog.revision = 0
    platform.catalog._changes.clear()
    platform.catalog.entries.pop(tenant_id(7))
    platform.catalog.reports.clear()
    platform.catalog.commit(*platform.catalog.entries.values())
    await platform.start_control()
    await platform.answers("shop-7.test", 404)
    await platform.answers("shop-8.test", 200)
    await until(lambda: platform.catalog.applied == 1, what="the new count of revisions is reported")
