"""What shoppers get through a real Envoy, and how soon after the topology changed."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.route.v3 import route_pb2

from center.dataplane.v1 import product_service_pb2 as pb
from center.dataplane.v1 import product_service_pb2_grpc as pb_grpc
from edge.xds import resources
from edge.xds.resources import CLUSTER, ROUTES
from edge.xds.topology import Cluster, Domain, Endpoint, Mode, State
from tests.edge import proxy, shop
from tests.edge.conftest import Edge, running_edge, shop_of, tenant_id
from tests.edge.proxy import Envoy, until
from tests.edge.web import Answer, Shopper
from tests.support.grpc import refuses

PRODUCTS = "/center.dataplane.v1.ProductService"
EMPTY_MESSAGE = b"\0\0\0\0\0"
GRPC_WEB = "application/grpc-web+proto"

# Each test that changes a tenant takes one of its own.
_fresh = count(10_000)


@pytest.fixture
async def shopper(envoy: Envoy) -> AsyncIterator[Shopper]:
    shopper = Shopper(envoy.port)
    yield shopper
    await shopper.close()


@asynccontextmanager
async def products(envoy: Envoy, host: str) -> AsyncIterator[Any]:
    """A gRPC client outside, with no certificate."""
    options = [("grpc.default_authority", host), ("grpc.enable_retries", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{envoy.port}", options=options) as channel:
        yield pb_grpc.ProductServiceStub(channel)


async def first(shopper: Shopper, host: str, right: Callable[[Answer], bool], within_s: float = 10.0) -> Answer:
    """Asks until the answer is right."""
    async with asyncio.timeout(within_s):
        while not right(answer := await shopper.get(host)):
            pass
        return answer


def served(answer: Answer) -> bool:
    return answer.status == 200


def refused(answer: Answer) -> bool:
    return answer.status == 503


def by(cluster_id: str) -> Callable[[Answer], bool]:
    """Whether this cluster answered, or nobody could."""
    return lambda answer: answer.status != 200 or answer.seen["cluster"] == cluster_id


# Where requests go.


async def test_a_shop_answers_at_its_domain_from_its_cluster(edge: Edge, shopper: Shopper) -> None:
    for number, cluster in ((4, "eu-1"), (5, "us-1")):
        answer = await shopper.get(f"shop-{number}.test")
        assert answer.status == 200
        assert answer.seen["cluster"] == cluster
        assert answer.seen["tenant"] == tenant_id(number)


async def test_every_one_of_two_thousand_domains_leads_to_its_own_tenant(edge: Edge, envoy: Envoy) -> None:
    async def ask(numbers: range) -> None:
        shopper = Shopper(envoy.port)
        for number in numbers:
            answer = await shopper.get(f"shop-{number}.test")
            assert answer.seen["tenant"] == tenant_id(number)
            assert answer.seen["cluster"] == ("us-1" if number % 2 else "eu-1")
        await shopper.close()

    await asyncio.gather(*(ask(range(start, 2000, 4)) for start in range(4)))


@pytest.mark.parametrize("host", ["SHOP-4.Test", "shop-4.test.", "shop-4.test:8080", "Shop-4.TEST.:443"])
async def test_case_port_and_trailing_dot_of_the_host_do_not_matter(shopper: Shopper, host: str) -> None:
    assert (await shopper.get(host)).seen["tenant"] == tenant_id(4)


async def test_grpc_and_grpc_web_take_the_same_way_as_json(envoy: Envoy, shopper: Shopper) -> None:
    async with products(envoy, "shop-4.test") as stub:
        answer = await stub.ListProducts(pb.ListProductsRequest())
    assert json.loads(answer.products[0].description)["tenant"] == tenant_id(4)
    web = await shopper.send("POST", "shop-4.test", f"{PRODUCTS}/ListProducts", EMPTY_MESSAGE, content_type=GRPC_WEB)
    assert web.status == 200
    assert tenant_id(4).encode() in web.body
    assert b"grpc-status:0" in web.body


async def test_a_stream_in_both_directions_passes(envoy: Envoy) -> None:
    async with products(envoy, "shop-4.test") as stub:
        call = stub.ImportProducts(metadata=[("authorization", "Bearer x")])
        for _ in range(3):
            await call.write(pb.ImportProductsRequest())
            assert await call.read() is not grpc.aio.EOF
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


async def test_an_error_of_the_cluster_reaches_json_callers_with_its_details(shopper: Shopper) -> None:
    answer = await shopper.get("shop-4.test", "/v1/products/no-uuid")
    assert (answer.status, answer.reason) == (400, "FIELD_INVALID")


async def test_a_rate_that_is_over_is_429_with_the_time_to_wait(envoy: Envoy, shopper: Shopper) -> None:
    answer = await shopper.get("shop-4.test", "/v1/products:search?query=too%20fast")
    assert (answer.status, answer.reason, answer.headers["retry-after"]) == (429, "RATE_LIMITED", "2")
    async with products(envoy, "shop-4.test") as stub:
        async with refuses("RESOURCE_EXHAUSTED", "RATE_LIMITED") as refusal:
            await stub.SearchProducts(pb.SearchProductsRequest(query="too fast"))
    assert refusal.retry_after_s == 1.2


async def test_context_comes_from_the_edge_whatever_a_client_claims(shopper: Shopper) -> None:
    forged = {"x_tenant_id": "someone-else", "x_center_caller": "control", "x_request_time": "1970"}
    seen = (await shopper.get("shop-4.test", **forged)).seen["metadata"]
    assert seen["x-tenant-id"] == tenant_id(4)
    assert "x-center-caller" not in seen
    assert seen["x-request-time"].startswith("20")
    assert seen["x-request-id"]


async def test_a_request_id_comes_back(shopper: Shopper) -> None:
    answer = await shopper.get("shop-4.test")
    assert answer.headers["x-request-id"] == answer.seen["metadata"]["x-request-id"]


async def test_a_page_of_another_site_may_call(shopper: Shopper) -> None:
    asked = await shopper.send(
        "OPTIONS", "shop-4.test", "/v1/products", Origin="https://a.test", Access_Control_Request_Method="POST"
    )
    assert asked.status == 200
    assert asked.headers["access-control-allow-origin"] == "https://a.test"
    answer = await shopper.get("shop-4.test", Origin="https://a.test")
    assert answer.headers["access-control-allow-origin"] == "https://a.test"
    limits = {"ratelimit-policy", "ratelimit", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}
    assert limits | {"retry-after", "x-request-id", "grpc-status"} <= answer.exposed


async def test_a_query_parameter_that_does_not_exist_is_refused(shopper: Shopper) -> None:
    answer = await shopper.get("shop-4.test", "/v1/products?nonsense=1")
    assert (answer.status, answer.reason) == (400, "REQUEST_MALFORMED")
    assert "nonsense" in answer.json["message"]


# What the edge answers itself.


async def test_an_unknown_host_gets_a_small_page_at_once_and_nobody_is_asked(edge: Edge, shopper: Shopper) -> None:
    await shopper.get("shop-4.test")
    readers = len(edge.served.logs[ROUTES].readers)
    times = []
    for number in range(50):
        began = time.perf_counter()
        answer = await shopper.get(f"nobody-{number}.test", accept="text/html")
        times.append(time.perf_counter() - began)
        assert answer.status == 404
        assert b"No shop at this address" in answer.body and b"Center" in answer.body
    assert statistics.median(times) < 0.02
    assert len(edge.served.logs[ROUTES].readers) == readers
    assert (await shopper.get("nobody.test")).reason == "HOST_UNKNOWN"


async def test_an_unknown_host_is_not_found_over_grpc(envoy: Envoy) -> None:
    async with products(envoy, "nobody.test") as stub, refuses("NOT_FOUND", "HOST_UNKNOWN"):
        await stub.ListProducts(pb.ListProductsRequest())


async def test_an_unknown_path_is_told_from_an_unknown_host(shopper: Shopper) -> None:
    assert (await shopper.get("shop-4.test", "/nowhere")).reason == "PATH_UNKNOWN"
    assert b"No such page" in (await shopper.get("shop-4.test", "/nowhere", accept="text/html")).body


async def test_only_the_platforms_packages_can_be_called(envoy: Envoy, shopper: Shopper) -> None:
    path = "/grpc.health.v1.Health/Check"
    answer = await shopper.send("POST", "shop-4.test", path, EMPTY_MESSAGE, content_type="application/grpc")
    assert answer.headers["grpc-status"] == "5"


REFUSED = [
    ({"state": State.SUSPENDED}, 503, "FAILED_PRECONDITION", "TENANT_SUSPENDED", "closed for now"),
    ({"mode": Mode.MAINTENANCE}, 503, "UNAVAILABLE", "TENANT_MAINTENANCE", "Back in a moment"),
    ({"state": State.PENDING}, 503, "UNAVAILABLE", "TENANT_NOT_READY", "about to open"),
    ({"state": State.GONE}, 410, "NOT_FOUND", "TENANT_GONE", "is gone"),
]


@pytest.mark.parametrize(("fields", "status", "code", "reason", "title"), REFUSED, ids=[case[3] for case in REFUSED])
async def test_a_tenant_that_is_not_served_is_refused_in_every_language(
    edge: Edge,
    envoy: Envoy,
    shopper: Shopper,
    clusters: SimpleNamespace,
    fields: dict[str, object],
    status: int,
    code: str,
    reason: str,
    title: str,
) -> None:
    number = next(_fresh)
    host = f"shop-{number}.test"
    await edge.applied(edge.set(shop_of(number, notice="Back on <Monday>", **fields)))
    calls = clusters.eu.calls

    as_json = await shopper.get(host)
    assert (as_json.status, as_json.reason) == (status, reason)
    assert as_json.headers["content-type"] == "application/json"

    as_page = await shopper.get(host, "/v1/products", accept="text/html,*/*;q=0.8")
    assert as_page.status == status
    assert title.encode() in as_page.body
    assert b"Back on &lt;Monday&gt;" in as_page.body
    if status == 503:
        assert as_json.headers["retry-after"] == as_page.headers["retry-after"]
        assert "retry-after" in as_json.exposed

    async with products(envoy, host) as stub, refuses(code, reason) as refusal:
        await stub.ListProducts(pb.ListProductsRequest())
    assert refusal.metadata == {"tenant": tenant_id(number)}
    assert (refusal.retry_after_s is not None) == (status == 503)

    web = await shopper.send("POST", host, f"{PRODUCTS}/ListProducts", EMPTY_MESSAGE, content_type=GRPC_WEB)
    assert web.headers["grpc-status"] == str(grpc.StatusCode[code].value[0])
    assert {"grpc-status", "grpc-message"} <= web.exposed
    assert clusters.eu.calls == calls, "nothing of it reached the cluster"


async def test_a_read_only_tenant_is_read_but_not_written(edge: Edge, envoy: Envoy, shopper: Shopper) -> None:
    number = next(_fresh)
    host = f"shop-{number}.test"
    await edge.applied(edge.set(shop_of(number, mode=Mode.READ_ONLY)))
    assert (await shopper.get(host)).status == 200
    written = await shopper.send("POST", host, "/v1/backoffice/products", b"{}", content_type="application/json")
    assert (written.status, written.reason) == (503, "TENANT_READ_ONLY")
    async with products(envoy, host) as stub:
        assert (await stub.ListProducts(pb.ListProductsRequest())).products
        async with refuses("FAILED_PRECONDITION", "TENANT_READ_ONLY"):
            await stub.CreateProduct(pb.CreateProductRequest())
        async with refuses("FAILED_PRECONDITION", "TENANT_READ_ONLY"):
            await stub.ImportProducts(metadata=[("authorization", "Bearer x")]).read()


async def test_a_cluster_without_endpoints_is_unavailable_with_a_reason(edge: Edge, shopper: Shopper) -> None:
    number = next(_fresh)
    await edge.applied(
        edge.set(shop_of(number, "nowhere-1"), clusters=(Cluster("nowhere-1", edge.topology.revision + 1),))
    )
    answer = await shopper.get(f"shop-{number}.test")
    assert (answer.status, answer.reason) == (503, "UPSTREAM_UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"


async def test_the_platforms_own_domain_goes_to_the_control_plane(shopper: Shopper) -> None:
    # Nothing listens at the control plane's address here, and that is what is answered.
    assert (await shopper.get("center.test", "/v1/status")).reason == "UPSTREAM_UNAVAILABLE"
    assert (await shopper.get("center.test", "/nowhere")).reason == "PATH_UNKNOWN"
    # No plane's methods are at another plane's names.
    assert (await shopper.get("center.test", "/v1/products")).reason == "PATH_UNKNOWN"
    assert (await shopper.get("shop-4.test", "/v1/status")).reason == "PATH_UNKNOWN"


async def test_what_comes_from_the_platforms_own_domain_is_in_no_frame_and_in_no_cache(shopper: Shopper) -> None:
    for path in ("/v1/status", "/nowhere"):
        headers = (await shopper.get("center.test", path, accept="text/html", Origin="https://a.test")).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
    asked = await shopper.send(
        "OPTIONS", "center.test", "/v1/users:register", Origin="https://a.test", Access_Control_Request_Method="POST"
    )
    assert "access-control-allow-origin" not in asked.headers, "no page of another site registers anybody"


# Changes.


async def test_a_change_is_visible_in_milliseconds(edge: Edge, shopper: Shopper) -> None:
    number = next(_fresh)
    host = f"shop-{number}.test"
    edge.set(shop_of(number))
    await first(shopper, host, served)
    times = []
    for turn in range(60):
        cluster = ("us-1", "eu-1")[turn % 2]
        began = time.perf_counter()
        edge.set(shop_of(number, cluster))
        await first(shopper, host, by(cluster))
        times.append(1000 * (time.perf_counter() - began))
    assert statistics.median(times) < 15, sorted(times)


async def test_a_new_domain_answers_in_milliseconds(edge: Edge, shopper: Shopper) -> None:
    times = []
    for _ in range(20):
        number = next(_fresh)
        host = f"shop-{number}.test"
        assert (await shopper.get(host)).status == 404
        began = time.perf_counter()
        edge.set(shop_of(number))
        await first(shopper, host, served)
        times.append(1000 * (time.perf_counter() - began))
    assert statistics.median(times) < 30, sorted(times)


async def test_a_domain_goes_from_one_tenant_to_another_and_away(edge: Edge, shopper: Shopper) -> None:
    one, two = next(_fresh), next(_fresh)
    wandering = Domain(f"wandering-{one}.test", 500_000 + one)
    edge.set(shop_of(one, domains=(wandering,)), shop_of(two))
    await first(shopper, wandering.name, served)
    taken = Domain(wandering.name, 900_000 + one)
    edge.set(shop_of(one, domains=()), shop_of(two, domains=(taken,)))
    await first(shopper, wandering.name, lambda answer: answer.seen["tenant"] == tenant_id(two))
    await edge.applied(edge.set(shop_of(two, domains=())))
    assert (await shopper.get(wandering.name)).status == 404
    (connection,) = edge.discovery.connections
    assert connection.refusals() == []


async def test_a_purged_tenant_is_an_unknown_host(edge: Edge, shopper: Shopper) -> None:
    number = next(_fresh)
    edge.set(shop_of(number))
    await first(shopper, f"shop-{number}.test", served)
    await edge.applied(edge.set(removed_tenants=[tenant_id(number)]))
    assert (await shopper.get(f"shop-{number}.test")).reason == "HOST_UNKNOWN"
    await until(lambda: tenant_id(number) not in edge.served.logs[ROUTES].readers, what="Envoy forgets its routes")


async def test_moves_to_brand_new_clusters_under_load_fail_no_request(
    edge: Edge, envoy: Envoy, edge_home: Path
) -> None:
    """Routes sent first gave 22 - 45 % of the requests a 503 in such moves."""
    number = next(_fresh)
    host = f"shop-{number}.test"
    edge.set(shop_of(number))
    shopper = Shopper(envoy.port)
    await first(shopper, host, served)
    answers: list[Answer] = []
    moving = True

    async def load() -> None:
        shopper = Shopper(envoy.port)
        while moving:
            answers.append(await shopper.get(host))
        await shopper.close()

    workers = [asyncio.create_task(load()) for _ in range(4)]
    async with shop.cluster(edge_home, "new-1") as (new, port):
        for turn in range(20):
            # An id of its own each time, so that Envoy has to make the cluster before it is used.
            revision = edge.topology.revision + 1
            where = Cluster("new-1", revision, "eu", (Endpoint("127.0.0.1", port),))
            edge.set(shop_of(number, "new-1"), clusters=(where,))
            await first(shopper, host, by("new-1"))
            edge.set(shop_of(number, "eu-1"), removed_clusters=["new-1"])
            await first(shopper, host, by("eu-1"))
            await until(lambda: "new-1" not in edge.served.logs[CLUSTER], what=f"the cluster is gone, turn {turn}")
        moving = False
        await asyncio.gather(*workers)
        assert new.calls >= 20
    assert [answer for answer in answers if answer.status != 200] == []
    assert len(answers) > 100


async def test_a_cluster_that_is_told_anew_warms_at_once_and_fails_no_request(edge: Edge, envoy: Envoy) -> None:
    """Envoy makes such a cluster again; what it holds of endpoints must not be waited for."""
    host = "shop-4.test"
    shopper = Shopper(envoy.port)
    await first(shopper, host, served)
    before = edge.served.logs[CLUSTER].get("eu-1")
    assert before is not None
    other = cluster_pb2.Cluster.FromString(before.body())
    other.connect_timeout.FromMilliseconds(1234)
    began = time.perf_counter()
    edge.served.apply(edge.topology.revision, [resources.of(other, "eu-1")])
    seq = edge.served.seq
    settled = asyncio.ensure_future(edge.discovery.settled(seq))
    while not settled.done():
        assert (await shopper.get(host)).status == 200
    assert time.perf_counter() - began < 5
    assert (await shopper.get(host)).status == 200
    edge.served.apply(edge.topology.revision, [before])
    await edge.discovery.settled(edge.served.seq)


async def test_one_bad_resource_among_many_holds_up_none_of_the_others(edge: Edge, envoy: Envoy) -> None:
    """Envoy stops at the first bad route table of a response: without splitting, all after it would be lost."""
    numbers = [next(_fresh) for _ in range(200)]
    shopper = Shopper(envoy.port)
    edge.set(*(shop_of(number) for number in numbers))
    for number in numbers:
        await first(shopper, f"shop-{number}.test", served)
    bad_number = numbers[70]
    bad = route_pb2.RouteConfiguration(name=tenant_id(bad_number))
    bad.virtual_hosts.add(name="bad", domains=["*"]).routes.add().match.safe_regex.regex = "("
    for number in numbers:
        edge.topology.tenants[tenant_id(number)] = replace(edge.topology.tenants[tenant_id(number)], cluster_id="us-1")
    puts = [
        resources.of(bad, bad.name, tenant_id=bad.name)
        if number == bad_number
        else edge.publisher._find_routes(tenant_id(number))
        for number in numbers
    ]
    began = time.perf_counter()
    edge.topology.revision += 1
    revision = edge.topology.revision
    edge.served.apply(revision, puts)
    await edge.applied(revision)
    assert time.perf_counter() - began < 1.0
    for number in numbers:
        answer = await shopper.get(f"shop-{number}.test")
        assert answer.seen["cluster"] == ("eu-1" if number == bad_number else "us-1")
    (stream,) = edge.discovery.connections
    (refused,) = stream.refusals()
    assert refused.tenant_id == tenant_id(bad_number)
    assert "regex" in refused.reason
    edge.set(shop_of(bad_number, "us-1"))
    await first(shopper, f"shop-{bad_number}.test", by("us-1"))
    # Envoy serves by what it got before its word that it took it is here.
    await edge.discovery.settled(edge.served.seq)
    assert stream.refusals() == []


# The server goes and comes back.


async def test_a_server_that_comes_back_sends_nothing_again_and_changes_flow(
    edge_home: Path, clusters: SimpleNamespace, tmp_path: Path
) -> None:
    tenants = [shop_of(number) for number in range(3000)]
    async with running_edge(edge_home) as edge:
        port = edge.port
        edge.set(*tenants, clusters=clusters.entries)
        running = proxy.envoy(edge_home, tmp_path, port, "envoy-2")
        envoy = await running.__aenter__()
        shopper = Shopper(await envoy.listening())
        assert (await shopper.get("shop-1.test")).status == 200
        assert edge.served.logs[ROUTES].readers.keys() == {tenant_id(1)}, "of 3,000 tenants one was visited"
    try:
        assert (await shopper.get("shop-1.test")).status == 200, "served with nobody behind"
        assert (await shopper.get("nobody.test")).status == 404
        async with running_edge(edge_home, f"127.0.0.1:{port}") as edge:
            edge.set(*tenants, clusters=clusters.entries)
            await until(lambda: edge.discovery.connections, what="Envoy is back")
            (stream,) = edge.discovery.connections
            await until(lambda: ROUTES in stream.subscriptions, what="Envoy has said what it has")
            await until(lambda: stream.applied_revision == 1)
            assert sum(sub.acknowledged for sub in stream.subscriptions.values()) == 0
            assert sum(sub.pending for sub in stream.subscriptions.values()) == 0
            edge.set(shop_of(1, state=State.SUSPENDED))
            await first(shopper, "shop-1.test", refused)
            # Envoy says that it has the change while shoppers feel it already.
            await until(lambda: sum(sub.acknowledged for sub in stream.subscriptions.values()) == 1)
    finally:
        await running.__aexit__(None, None, None)


async def test_a_server_that_knows_nothing_yet_takes_nothing_from_an_envoy(
    edge_home: Path, clusters: SimpleNamespace, tmp_path: Path
) -> None:
    async with running_edge(edge_home) as edge:
        port = edge.port
        edge.set(shop_of(1), clusters=clusters.entries)
        running = proxy.envoy(edge_home, tmp_path, port, "envoy-3")
        envoy = await running.__aenter__()
        shopper = Shopper(await envoy.listening())
        assert (await shopper.get("shop-1.test")).status == 200
    try:
        async with running_edge(edge_home, f"127.0.0.1:{port}") as edge:
            await until(lambda: edge.discovery.connections, what="Envoy is back")
            (stream,) = edge.discovery.connections
            before = await envoy.stat("cluster_manager.cds.update_success")
            assert (await shopper.get("shop-1.test")).status == 200
            edge.set(shop_of(1), clusters=clusters.entries)
            await until(lambda: ROUTES in stream.subscriptions)
            assert (await shopper.get("shop-1.test")).status == 200
            assert await envoy.stat("cluster_manager.cds.update_success") == before
    finally:
        await running.__aexit__(None, None, None)


async def test_a_request_that_no_server_answered_is_in_the_log(edge: Edge, envoy: Envoy, shopper: Shopper) -> None:
    number = next(_fresh)
    nowhere = Cluster("nowhere-2", edge.topology.revision + 1)
    await edge.applied(edge.set(shop_of(number, "nowhere-2"), clusters=(nowhere,)))
    await shopper.get(f"shop-{number}.test", "/v1/products?page_size=77")
    log = envoy.folder / "envoy.log"

    def lines() -> list[dict[str, object]]:
        found = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if line.get("tenant") == tenant_id(number)]

    (line,) = await until(lines, what="a line in the access log")
    assert (line["status"], line["method"], line["tenant"]) == (503, "GET", tenant_id(number))
    assert line["flags"] == "UH"
    assert line["request_id"]
    assert line["path"] == "/v1/products", "what a query holds is nobody's business"
