"""Golden files: what each kind of tenant, cluster and listener becomes, in the JSON that Envoy's own config_dump shows.

REWRITE_GOLDEN=1 writes them anew; read the difference before you commit it.
"""

import json
import os
from pathlib import Path

import pytest
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2, scoped_route_pb2

# Imported for what they put in the pool: the types that are packed inside.
from envoy.extensions.access_loggers.stream.v3 import stream_pb2  # noqa: F401
from envoy.extensions.filters.http.cors.v3 import cors_pb2  # noqa: F401
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2
from envoy.extensions.filters.http.grpc_json_transcoder.v3 import transcoder_pb2
from envoy.extensions.filters.http.grpc_web.v3 import grpc_web_pb2  # noqa: F401
from envoy.extensions.filters.http.lua.v3 import lua_pb2  # noqa: F401
from envoy.extensions.filters.http.on_demand.v3 import on_demand_pb2  # noqa: F401
from envoy.extensions.filters.http.router.v3 import router_pb2  # noqa: F401
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import header_mutation_pb2  # noqa: F401
from envoy.extensions.resource_monitors.downstream_connections.v3 import downstream_connections_pb2  # noqa: F401
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2  # noqa: F401
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2  # noqa: F401
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from edge.envoy.bootstrap import Proxy, bootstrap
from edge.xds import contract, fleet, translate
from edge.xds.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SCOPE, Resource
from edge.xds.topology import Claim, Cluster, Domain, Endpoint, Mode, Rule, Solution, State, Tenant

AUTHZ = "envoy.filters.http.ext_authz"
GOLDEN = Path(__file__).parents[1] / "golden" / "edge"
TERMS = contract.load()
TYPES = {
    CLUSTER: cluster_pb2.Cluster,
    ENDPOINTS: endpoint_pb2.ClusterLoadAssignment,
    LISTENER: listener_pb2.Listener,
    ROUTES: route_pb2.RouteConfiguration,
    SCOPE: scoped_route_pb2.ScopedRouteConfiguration,
}


def tenant(**fields: object) -> Tenant:
    values: dict[str, object] = {"cluster_id": "eu-1", "display_name": "Läden & Söhne"} | fields
    return Tenant("0192c0de-0000-7000-8000-000000000001", "acme", 7, **values)  # type: ignore[arg-type]


SEARCH = Solution(
    "search",
    9,
    "Search",
    (Domain("search.center.localhost", 2**62 + 1),),
    Endpoint("127.0.0.1", 7401),
    (
        Rule("/search/free"),
        Rule("/search", methods=("GET",), action="search"),
        Rule("/reindex", methods=("POST", "put"), action="reindex", cost=25),
        Rule("/api/", action="call"),
    ),
)
NAMED = Endpoint("search.example", 80)
EU = Cluster("eu-1", 1, "eu", (Endpoint("127.0.0.1", 7301), Endpoint("127.0.0.2", 7301)))
CASES: dict[str, Resource] = {
    "scope": translate.scope(Claim(Domain("shop.example", 1_000_000), "0192c0de-0000-7000-8000-000000000001", 7)),
    "scope-platform": translate.platform_scope("center.localhost"),
    "routes-platform": translate.platform_routes(TERMS),
    "routes-active": translate.tenant_routes(tenant(), TERMS),
    "routes-read-only": translate.tenant_routes(tenant(mode=Mode.READ_ONLY), TERMS),
    "routes-maintenance": translate.tenant_routes(tenant(mode=Mode.MAINTENANCE), TERMS),
    "routes-suspended": translate.tenant_routes(tenant(state=State.SUSPENDED, notice="Until <May>, 50% off"), TERMS),
    "routes-pending": translate.tenant_routes(tenant(state=State.PENDING), TERMS),
    "routes-gone": translate.tenant_routes(tenant(state=State.GONE), TERMS),
    "routes-absent": translate.absent_routes("0192c0de-0000-7000-8000-000000000009"),
    "routes-refused": translate.refused_routes("0192c0de-0000-7000-8000-000000000009"),
    "scope-solution": translate.scope(Claim(SEARCH.domains[0], SEARCH.name, 9)),
    "routes-solution": translate.solution_routes(SEARCH),
    "routes-solution-elsewhere": translate.solution_routes(Solution("search", 9)),
    "cluster-solution": fleet.solution_cluster(SEARCH, Endpoint("127.0.0.1", 7401)),
    "cluster-solution-by-name": fleet.solution_cluster(SEARCH, NAMED),
    "cluster": fleet.cluster(EU),
    "cluster-by-name": fleet.cluster(Cluster("us-1", 1, "us", (Endpoint("us-1.example", 7301),))),
    "cluster-control": fleet.control_cluster("127.0.0.1", 7100),
    "endpoints": fleet.endpoints(EU),
    "endpoints-none": fleet.endpoints(Cluster("eu-1", 1)),
    "listener": fleet.listener("127.0.0.1", 8080, TERMS),
}


@pytest.mark.parametrize("name", CASES)
def test_resources_are_as_agreed(name: str) -> None:
    case = CASES[name]
    same_as_golden(name, TYPES[case.type_url].FromString(case.body()))


def test_the_bootstrap_is_as_agreed() -> None:
    proxy = Proxy(
        node_id="envoy-1",
        admin=("127.0.0.1", 9901),
        xds=(("127.0.0.1", 7200),),
        ca_pem=Path("/home/pki/ca.pem"),
        cert_pem=Path("/home/pki/envoy.pem"),
        key_pem=Path("/home/pki/envoy.key"),
    )
    same_as_golden("bootstrap", bootstrap_pb2.Bootstrap.FromString(bytes(bootstrap(proxy))))


def same_as_golden(name: str, message: Message) -> None:
    shorten_descriptors(message)
    text = (
        json.dumps(
            MessageToDict(message, preserving_proto_field_name=True), indent=1, ensure_ascii=False, sort_keys=True
        )
        + "\n"
    )
    path = GOLDEN / f"{name}.json"
    if os.environ.get("REWRITE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def shorten_descriptors(message: Message) -> None:
    """The contracts' descriptors are not the listener's to test, and 100 KB."""
    if not isinstance(message, listener_pb2.Listener):
        return
    config = message.filter_chains[0].filters[0].typed_config
    manager = hcm_pb2.HttpConnectionManager()
    config.Unpack(manager)
    for http_filter in manager.http_filters:
        transcoder = transcoder_pb2.GrpcJsonTranscoder()
        if http_filter.typed_config.Unpack(transcoder):
            transcoder.proto_descriptor_bin = b""
            transcoder.services[:] = []
            http_filter.typed_config.Pack(transcoder)
    config.Pack(manager)


def test_the_same_tenant_is_the_same_bytes_in_every_process() -> None:
    assert CASES["routes-active"].version == translate.tenant_routes(tenant(), TERMS).version
    assert CASES["routes-active"].version != translate.tenant_routes(tenant(cluster_id="us-1"), TERMS).version


def test_scope_names_stay_short_for_ever() -> None:
    assert len(translate.scope_name(Domain("x.example", 2**63 - 1))) <= 15


def test_only_routes_to_a_cluster_wait_for_one() -> None:
    assert CASES["routes-active"].needs == ("eu-1",)
    assert CASES["routes-suspended"].needs == ()


def test_what_read_only_refuses_is_what_the_contract_says_writes() -> None:
    service = "/center.dataplane.v1.ProductService"
    assert f"{service}/CreateProduct" in TERMS.mutating_paths
    assert f"{service}/ImportProducts" in TERMS.mutating_paths
    assert f"{service}/ListProducts" not in TERMS.mutating_paths
    assert not any("TenantRuntimeService" in path for path in TERMS.mutating_paths), "not for the outside"


def test_every_service_with_bindings_speaks_json() -> None:
    assert "center.dataplane.v1.ProductService" in TERMS.json_services
    assert "center.dataplane.v1.TenantRuntimeService" not in TERMS.json_services


def test_a_page_cannot_be_written_by_a_tenant() -> None:
    hostile = tenant(state=State.SUSPENDED, display_name="<script>1</script>", notice='"><img src=x onerror=1>')
    body = translate.tenant_routes(hostile, TERMS).body()
    page = next(
        route.direct_response.body.inline_string
        for route in route_pb2.RouteConfiguration.FromString(body).virtual_hosts[0].routes
        if "<!doctype" in route.direct_response.body.inline_string
    )
    assert "<script" not in page
    assert "<img" not in page


def test_the_longest_refusal_fits_into_what_envoy_and_a_grpc_client_take() -> None:
    longest = tenant(state=State.SUSPENDED, display_name="&" * 200, notice="'" * 500)
    routes = route_pb2.RouteConfiguration.FromString(translate.tenant_routes(longest, TERMS).body())
    most_bytes = routes.max_direct_response_body_size_bytes.value or 4096
    for route in routes.virtual_hosts[0].routes:
        assert len(route.direct_response.body.inline_string.encode()) <= most_bytes
        # grpc-core begins to refuse metadata at 8 KiB.
        assert sum(len(option.header.value) for option in route.response_headers_to_add) < 4096


def test_every_route_says_whether_it_is_checked() -> None:
    """Where nothing is said Envoy asks, about a request of which it knows no action; only a solution's routes ask."""
    for name, case in CASES.items():
        if case.type_url != ROUTES:
            continue
        table = route_pb2.RouteConfiguration.FromString(case.body())
        for route in table.virtual_hosts[0].routes:
            check = ext_authz_pb2.ExtAuthzPerRoute()
            found = route.typed_per_filter_config.get(AUTHZ) or table.typed_per_filter_config.get(AUTHZ)
            assert found is not None, name
            assert found.Unpack(check)
            told = dict(check.check_settings.context_extensions)
            assert check.disabled != bool(told)
            assert not told or (name == "routes-solution" and told.keys() == {"solution", "action", "cost"})


def test_a_head_request_costs_what_a_get_costs() -> None:
    table = route_pb2.RouteConfiguration.FromString(translate.solution_routes(SEARCH).body())
    (head,) = [
        route
        for route in table.virtual_hosts[0].routes
        if any(match.string_match.exact == "HEAD" for match in route.match.headers)
    ]
    check = ext_authz_pb2.ExtAuthzPerRoute()
    head.typed_per_filter_config[AUTHZ].Unpack(check)
    assert check.check_settings.context_extensions["action"] == "search"
