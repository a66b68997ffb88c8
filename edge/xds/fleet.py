"""The few resources that all Envoys share, built with envoy-data-plane, which checks what one types."""

from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address

import betterproto2
import envoy_data_plane.envoy.config.accesslog.v3 as accesslog
import envoy_data_plane.envoy.config.cluster.v3 as cluster_api
import envoy_data_plane.envoy.config.common.mutation_rules.v3 as mutation
import envoy_data_plane.envoy.config.core.v3 as core
import envoy_data_plane.envoy.config.endpoint.v3 as endpoint_api
import envoy_data_plane.envoy.config.listener.v3 as listener_api
import envoy_data_plane.envoy.config.route.v3 as route_api
import envoy_data_plane.envoy.extensions.access_loggers.stream.v3 as stream_log
import envoy_data_plane.envoy.extensions.filters.http.cors.v3 as cors
import envoy_data_plane.envoy.extensions.filters.http.ext_authz.v3 as ext_authz
import envoy_data_plane.envoy.extensions.filters.http.grpc_json_transcoder.v3 as transcoder
import envoy_data_plane.envoy.extensions.filters.http.grpc_web.v3 as grpc_web
import envoy_data_plane.envoy.extensions.filters.http.lua.v3 as lua
import envoy_data_plane.envoy.extensions.filters.http.on_demand.v3 as on_demand
import envoy_data_plane.envoy.extensions.filters.http.router.v3 as router
import envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 as hcm
import envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 as early
import envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 as tls
import envoy_data_plane.envoy.extensions.upstreams.http.v3 as upstream_http
import envoy_data_plane.envoy.type.matcher.v3 as matcher
import envoy_data_plane.envoy.type.v3 as envoy_type
from envoy_data_plane.google.protobuf import Any, Struct
from google.rpc import code_pb2

from edge.xds.contract import Contract
from edge.xds.refusals import (
    BRAND,
    HOST_UNKNOWN,
    PATH_UNKNOWN,
    UPSTREAM_TIMEOUT,
    UPSTREAM_UNAVAILABLE,
    VALIDATION_UNAVAILABLE,
    details_bin,
    document,
    page,
)
from edge.xds.resources import Resource, resource
from edge.xds.topology import Cluster, Endpoint, Solution
from edge.xds.translate import CONTROL_CLUSTER, FILE_CODE, TIMEOUT_S, TRANSCODED

# Secrets of the bootstrap: where keys lie is the business of the machine that Envoy runs on.
IDENTITY_SECRET = "identity"
CA_SECRET = "ca"
# The cluster of the bootstrap that leads to this very server, and to any other that serves xDS.
XDS_CLUSTER = "xds"

# A check that is not answered by then refuses the request. One takes a millisecond, or ten for a token's first; but to
# wait is better than to be refused, and what waits is bounded by the cluster's circuit breaker.
CHECK_TIMEOUT = timedelta(seconds=1)
# What Envoy says of a check that failed, so that its local reply can be told from a refusal; no client ever sees it.
_CHECK_FAILED = 511

_REQUEST_BYTES = 4 << 20
_FETCH = timedelta(seconds=15)
KEEPALIVE = core.KeepaliveSettings(interval=timedelta(seconds=30), timeout=timedelta(seconds=10))
_COUNTED = (
    "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id", "gclid", "fbclid", "msclkid",
)  # fmt: skip
_LOWER_CASE = """function envoy_on_request(request)
  local host = request:headers():get(":authority")
  if host and host:find("%u") then request:headers():replace(":authority", host:lower()) end
  if request:headers():get(":method") == "HEAD" then
    request:streamInfo():dynamicMetadata():set("center", "is_head", true)
  end
end
"""
# The cluster is asked as for GET, by a method of gRPC, and answers with the body; the proxy would send it on, and the
# client take it for the next answer of the connection. A stream has no length that the transcoder knew: of a file the
# cluster says it, and sends nothing more.
_NO_BODY = """function no_body(response)
  local known = response:streamInfo():dynamicMetadata():get("center")
  if known and known["is_head"] then
    local headers = response:headers()
    local length = headers:get("x-center-length")
    if length then headers:replace("content-length", length) end
    headers:remove("x-center-length")
    for chunk in response:bodyChunks() do chunk:setBytes("") end
  end
end
"""
_HEAD = f"""{_NO_BODY}function envoy_on_response(response)
  no_body(response)
end
"""
# gRPC has one status of HTTP for every success; a part of a file, one that the browser has already, and what leads from
# a form to the next page, have their own.
_STATUS = f"""{_NO_BODY}function envoy_on_response(response)
  local headers = response:headers()
  local status, kind = headers:get("x-center-http-status"), headers:get("content-type") or ""
  if status and kind:sub(1, 16) ~= "application/grpc" then headers:replace(":status", status) end
  headers:remove("x-center-http-status")
  no_body(response)
end
"""

# Envoy's own words for why it answers itself: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
_NO_ROUTE = ("NR",)
_NO_UPSTREAM = ("UH", "UF", "UC", "UO", "URX", "NC", "LH", "LR", "UR", "OM")
_NO_TIME = ("UT", "SI", "DT", "UMSDR")


def cluster(entry: Cluster) -> Resource:
    """A data-plane cluster; endpoints come by EDS when all are addresses, otherwise Envoy asks DNS."""
    made = upstream(entry.id, f"spiffe://center/cluster/{entry.id}")
    hosts = [(endpoint.host, endpoint.port) for endpoint in entry.endpoints]
    if all(_is_address(host) for host, _ in hosts):
        made.type = cluster_api.ClusterDiscoveryType.EDS
        made.eds_cluster_config = cluster_api.ClusterEdsClusterConfig(eds_config=ads())
    else:
        made.type = cluster_api.ClusterDiscoveryType.STRICT_DNS
        made.load_assignment = _assignment(entry.id, hosts)
    return _resource(entry.id, made)


def endpoints(entry: Cluster) -> Resource:
    return _resource(entry.id, _assignment(entry.id, [(endpoint.host, endpoint.port) for endpoint in entry.endpoints]))


def control_cluster(host: str, port: int) -> Resource:
    """The control plane, for the platform's own domain: its address is configuration here, not in the catalog."""
    made = upstream(CONTROL_CLUSTER, "spiffe://center/control")
    made.type = cluster_api.ClusterDiscoveryType.STRICT_DNS
    made.load_assignment = _assignment(CONTROL_CLUSTER, [(host, port)])
    return _resource(CONTROL_CLUSTER, made)


def solution_cluster(solution: Solution, endpoint: Endpoint) -> Resource:
    """Where a solution answers HTTP/1.1; it is the solution's own, and has no certificate of ours."""
    made = _cluster(
        solution.name,
        upstream_http.HttpProtocolOptionsExplicitHttpConfig(http_protocol_options=core.Http1ProtocolOptions()),
    )
    by_address = _is_address(endpoint.host)
    made.type = cluster_api.ClusterDiscoveryType.STATIC if by_address else cluster_api.ClusterDiscoveryType.STRICT_DNS
    # Envoy by itself asks for IPv6 and stays with that; asked for both, it sometimes stayed with it, too (1.40).
    made.dns_lookup_family = cluster_api.ClusterDnsLookupFamily.V4_PREFERRED
    made.load_assignment = _assignment(solution.name, [(endpoint.host, endpoint.port)])
    return _resource(solution.name, made)


def upstream(name: str, spiffe_id: str) -> cluster_api.Cluster:
    """HTTP/2 over mutual TLS to whoever proves this identity; endpoints are the caller's to add."""
    made = _cluster(
        name,
        upstream_http.HttpProtocolOptionsExplicitHttpConfig(
            http2_protocol_options=core.Http2ProtocolOptions(
                initial_stream_window_size=1 << 20,
                initial_connection_window_size=16 << 20,
                connection_keepalive=KEEPALIVE,
            )
        ),
    )
    made.transport_socket = mutual_tls(spiffe_id)
    return made


def _cluster(name: str, protocol: upstream_http.HttpProtocolOptionsExplicitHttpConfig) -> cluster_api.Cluster:
    return cluster_api.Cluster(
        name=name,
        connect_timeout=timedelta(seconds=1),
        per_connection_buffer_limit_bytes=1 << 20,
        lb_policy=cluster_api.ClusterLbPolicy.LEAST_REQUEST,
        circuit_breakers=cluster_api.CircuitBreakers(
            thresholds=[
                cluster_api.CircuitBreakersThresholds(
                    max_connections=1024,
                    max_pending_requests=4096,
                    max_requests=8192,
                    retry_budget=cluster_api.CircuitBreakersThresholdsRetryBudget(
                        budget_percent=envoy_type.Percent(value=20.0), min_retry_concurrency=32
                    ),
                )
            ]
        ),
        # By failures to connect alone: UNAVAILABLE is also what a tenant that moves answers.
        outlier_detection=cluster_api.OutlierDetection(
            split_external_local_origin_errors=True,
            consecutive_local_origin_failure=5,
            enforcing_consecutive_local_origin_failure=100,
            enforcing_consecutive_5xx=0,
            enforcing_consecutive_gateway_failure=0,
            enforcing_success_rate=0,
            enforcing_local_origin_success_rate=0,
            interval=timedelta(seconds=1),
            base_ejection_time=timedelta(seconds=5),
            max_ejection_percent=50,
        ),
        typed_extension_protocol_options={
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": Any.pack(
                upstream_http.HttpProtocolOptions(explicit_http_config=protocol)
            )
        },
    )


def mutual_tls(spiffe_id: str) -> core.TransportSocket:
    """Envoy shows its own identity and believes exactly one other; the names are of the bootstrap's secrets."""
    return core.TransportSocket(
        name="envoy.transport_sockets.tls",
        typed_config=Any.pack(
            tls.UpstreamTlsContext(
                sni="localhost",
                common_tls_context=tls.CommonTlsContext(
                    alpn_protocols=["h2"],
                    tls_certificate_sds_secret_configs=[tls.SdsSecretConfig(name=IDENTITY_SECRET)],
                    combined_validation_context=tls.CommonTlsContextCombinedCertificateValidationContext(
                        default_validation_context=tls.CertificateValidationContext(
                            match_typed_subject_alt_names=[
                                tls.SubjectAltNameMatcher(
                                    san_type=tls.SubjectAltNameMatcherSanType.URI,
                                    matcher=matcher.StringMatcher(exact=spiffe_id),
                                )
                            ]
                        ),
                        validation_context_sds_secret_config=tls.SdsSecretConfig(name=CA_SECRET),
                    ),
                ),
            )
        ),
    )


def listener(host: str, port: int, contract: Contract) -> Resource:
    """The one door: HTTP/1.1, HTTP/2, gRPC, gRPC-Web and JSON, all tenants."""
    manager = hcm.HttpConnectionManager(
        stat_prefix="outside",
        codec_type=hcm.HttpConnectionManagerCodecType.AUTO,
        scoped_routes=hcm.ScopedRoutes(
            name="tenants",
            scope_key_builder=hcm.ScopedRoutesScopeKeyBuilder(
                fragments=[
                    hcm.ScopedRoutesScopeKeyBuilderFragmentBuilder(
                        header_value_extractor=hcm.ScopedRoutesScopeKeyBuilderFragmentBuilderHeaderValueExtractor(
                            name=":authority", index=0
                        )
                    )
                ]
            ),
            rds_config_source=ads(),
            scoped_rds=hcm.ScopedRds(scoped_rds_config_source=ads()),
        ),
        strip_any_host_port=True,
        strip_trailing_host_dot=True,
        http_filters=[
            # In this order: routes are looked up by the host in lower case, and must be there before anything else
            # reads them; the on-demand filter may start the request over, which must not find it checked or transcoded.
            _filter(
                "envoy.filters.http.lua",
                lua.Lua(
                    default_source_code=core.DataSource(inline_string=_LOWER_CASE + _HEAD),
                    source_codes={FILE_CODE: core.DataSource(inline_string=_STATUS)},
                ),
            ),
            _filter("envoy.filters.http.on_demand", on_demand.OnDemand()),
            _filter("envoy.filters.http.ext_authz", _check()),
            _filter("envoy.filters.http.grpc_web", grpc_web.GrpcWeb()),
            _filter(
                "envoy.filters.http.grpc_json_transcoder",
                transcoder.GrpcJsonTranscoder(
                    proto_descriptor_bin=contract.descriptors,
                    services=list(contract.json_services),
                    convert_grpc_status=True,
                    # An unknown query parameter is a typo that somebody wants to hear of.
                    # But for what is put on links to a shop's pages by those who count whom a link has brought.
                    ignored_query_parameters=list(_COUNTED),
                    request_validation_options=transcoder.GrpcJsonTranscoderRequestValidationOptions(
                        reject_unknown_query_parameters=True, reject_binding_body_field_collisions=True
                    ),
                    print_options=transcoder.GrpcJsonTranscoderPrintOptions(always_print_primitive_fields=True),
                    max_request_body_size=_REQUEST_BYTES,
                    max_response_body_size=4 * _REQUEST_BYTES,
                ),
            ),
            # After the transcoder: CORS concerns routes to a cluster only, and JSON has none until it is gRPC.
            _filter("envoy.filters.http.cors", cors.Cors()),
            _filter("envoy.filters.http.router", router.Router()),
        ],
        early_header_mutation_extensions=[
            core.TypedExtensionConfig(
                name="envoy.http.early_header_mutation.header_mutation",
                typed_config=Any.pack(early.HeaderMutation(mutations=_context())),
            )
        ],
        local_reply_config=_local_replies(),
        use_remote_address=True,
        generate_request_id=True,
        always_set_request_id_in_response=True,
        server_header_transformation=hcm.HttpConnectionManagerServerHeaderTransformation.OVERWRITE,
        server_name="center",
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action=(hcm.HttpConnectionManagerPathWithEscapedSlashesAction.UNESCAPE_AND_REDIRECT),
        # Also what ends a request whose routes never come.
        stream_idle_timeout=timedelta(seconds=TIMEOUT_S),
        request_headers_timeout=timedelta(seconds=10),
        common_http_protocol_options=core.HttpProtocolOptions(
            idle_timeout=timedelta(minutes=5),
            headers_with_underscores_action=core.HttpProtocolOptionsHeadersWithUnderscoresAction.REJECT_REQUEST,
        ),
        http2_protocol_options=core.Http2ProtocolOptions(
            max_concurrent_streams=256, initial_stream_window_size=1 << 16, initial_connection_window_size=1 << 20
        ),
        access_log=[_access_log()],
    )
    return _resource(
        "outside",
        listener_api.Listener(
            name="outside",
            address=address(host, port),
            per_connection_buffer_limit_bytes=1 << 20,
            filter_chains=[
                listener_api.FilterChain(
                    filters=[
                        listener_api.Filter(
                            name="envoy.filters.network.http_connection_manager", typed_config=Any.pack(manager)
                        )
                    ]
                )
            ],
        ),
    )


def _check() -> ext_authz.ExtAuthz:
    """Asks this very server, which decides on leases; which routes are checked, and as what, stands in the routes."""
    return ext_authz.ExtAuthz(
        transport_api_version=core.ApiVersion.V3,
        grpc_service=core.GrpcService(
            # Not an address of our own: an Envoy that got its routes from here reaches us, however it does.
            envoy_grpc=core.GrpcServiceEnvoyGrpc(cluster_name=XDS_CLUSTER),
            timeout=CHECK_TIMEOUT,
        ),
        # Nothing else of a request is the check's business.
        allowed_headers=matcher.ListStringMatcher(
            patterns=[
                matcher.StringMatcher(exact=name)
                for name in ("accept", "authorization", "cookie", "traceparent", "x-request-id")
            ]
        ),
        failure_mode_allow=False,
        status_on_error=envoy_type.HttpStatus(code=envoy_type.StatusCode(_CHECK_FAILED)),
        stat_prefix="solutions",
    )


def ads() -> core.ConfigSource:
    return core.ConfigSource(
        ads=core.AggregatedConfigSource(), resource_api_version=core.ApiVersion.V3, initial_fetch_timeout=_FETCH
    )


def address(host: str, port: int) -> core.Address:
    return core.Address(socket_address=core.SocketAddress(address=host, port_value=port))


def _local_replies() -> hcm.LocalReplyConfig:
    """Envoy's own refusals in the caller's language, by its flags; first match wins."""
    mappers: list[hcm.ResponseMapper] = []
    for refusal, which in (
        (VALIDATION_UNAVAILABLE, _status(_CHECK_FAILED)),
        (HOST_UNKNOWN, _flags(*_NO_ROUTE)),
        (PATH_UNKNOWN, _status(404)),
        (UPSTREAM_UNAVAILABLE, _flags(*_NO_UPSTREAM)),
        (UPSTREAM_TIMEOUT, _flags(*_NO_TIME)),
    ):
        again = [] if refusal.retry_after_s is None else [("retry-after", str(refusal.retry_after_s))]
        json_body = document(refusal, refusal.message, {})
        # A page of nobody's shop is the platform's own.
        html = page(refusal.title, refusal.message, BRAND if refusal is HOST_UNKNOWN else "")
        as_page = _mapper([which, _accepts_pages()], html, "text/html; charset=utf-8", again)
        as_json = _mapper([which], json_body, "application/json", again)
        mappers += [
            as_page,
            _mapper([which, _header_filter(TRANSCODED)], json_body, "application/json", again),
            _mapper(
                [which, _header_filter("content-type", prefix="application/grpc")],
                refusal.message,
                "text/plain",
                [
                    *again,
                    ("grpc-status", str(refusal.code)),
                    ("grpc-status-details-bin", details_bin(refusal, refusal.message, {})),
                ],
            ),
            as_json,
        ]
        if refusal is VALIDATION_UNAVAILABLE:
            as_page.status_code = as_json.status_code = refusal.http_status
    # What the transcoder could not read: its own words say why.
    for status, name in ((400, "INVALID_ARGUMENT"), (413, "OUT_OF_RANGE")):
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "REQUEST_MALFORMED", "domain": "center"}
        body = {"code": code_pb2.Code.Value(name), "message": "%LOCAL_REPLY_BODY%", "details": [info]}
        mappers.append(
            hcm.ResponseMapper(
                filter=_status(status),
                body_format_override=core.SubstitutionFormatString(
                    json_format=Struct.from_dict(body), content_type="application/json"
                ),
            )
        )
    return hcm.LocalReplyConfig(mappers=mappers)


def _mapper(
    filters: list[accesslog.AccessLogFilter], body: str, content_type: str, headers: list[tuple[str, str]]
) -> hcm.ResponseMapper:
    return hcm.ResponseMapper(
        filter=filters[0]
        if len(filters) == 1
        else accesslog.AccessLogFilter(and_filter=accesslog.AndFilter(filters=filters)),
        body_format_override=core.SubstitutionFormatString(
            text_format_source=core.DataSource(inline_string=body.replace("%", "%%")), content_type=content_type
        ),
        headers_to_add=[
            core.HeaderValueOption(
                header=core.HeaderValue(key=name, value=value),
                append_action=core.HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
            )
            for name, value in headers
        ],
    )


def _flags(*flags: str) -> accesslog.AccessLogFilter:
    return accesslog.AccessLogFilter(response_flag_filter=accesslog.ResponseFlagFilter(flags=list(flags)))


def _status(code: int, op: accesslog.ComparisonFilterOp = accesslog.ComparisonFilterOp.EQ) -> accesslog.AccessLogFilter:
    return accesslog.AccessLogFilter(
        status_code_filter=accesslog.StatusCodeFilter(
            comparison=accesslog.ComparisonFilter(
                op=op, value=core.RuntimeUInt32(default_value=code, runtime_key=f"edge.status.{code}")
            )
        )
    )


def _accepts_pages() -> accesslog.AccessLogFilter:
    return _header_filter("accept", contains="text/html")


def _header_filter(name: str, *, prefix: str = "", contains: str = "") -> accesslog.AccessLogFilter:
    match = route_api.HeaderMatcher(name=name)
    if prefix:
        match.string_match = matcher.StringMatcher(prefix=prefix)
    elif contains:
        match.string_match = matcher.StringMatcher(contains=contains)
    else:
        match.present_match = True
    return accesslog.AccessLogFilter(header_filter=accesslog.HeaderFilter(header=match))


def _access_log() -> accesslog.AccessLog:
    """JSON lines on standard output: each request that no server answered, and samples of the rest."""
    fields = {
        "time": "%START_TIME%",
        "method": "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)%",
        "host": "%REQ(:AUTHORITY)%",
        # Without its query, which may hold a one-time code, an address or what somebody looks for.
        "path": "%PATH(NQ:ORIG_OR_PATH)%",
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS%",
        "flags": "%RESPONSE_FLAGS%",
        "why": "%RESPONSE_CODE_DETAILS%",
        "duration_ms": "%DURATION%",
        "received_bytes": "%BYTES_RECEIVED%",
        "sent_bytes": "%BYTES_SENT%",
        "tenant": "%REQ(X-TENANT-ID)%",
        "cluster": "%UPSTREAM_CLUSTER%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "traceparent": "%REQ(TRACEPARENT)%",
    }
    failed = _status(500, accesslog.ComparisonFilterOp.GE)
    kept = [
        _flags(*_NO_UPSTREAM, *_NO_TIME),
        # Suspended shops answer 503 to every robot, and servers log their own faults.
        accesslog.AccessLogFilter(and_filter=accesslog.AndFilter(filters=[failed, _sampled(10)])),
        _sampled(1),
    ]
    return accesslog.AccessLog(
        name="envoy.access_loggers.stdout",
        filter=accesslog.AccessLogFilter(or_filter=accesslog.OrFilter(filters=kept)),
        typed_config=Any.pack(
            stream_log.StdoutAccessLog(
                log_format=core.SubstitutionFormatString(json_format=Struct.from_dict(fields), omit_empty_values=True)
            )
        ),
    )


def _sampled(percent: int) -> accesslog.AccessLogFilter:
    return accesslog.AccessLogFilter(
        runtime_filter=accesslog.RuntimeFilter(
            runtime_key=f"edge.access_log.{percent}_percent",
            percent_sampled=envoy_type.FractionalPercent(
                numerator=percent, denominator=envoy_type.FractionalPercentDenominatorType.HUNDRED
            ),
            use_independent_randomness=True,
        )
    )


def _context() -> list[mutation.HeaderMutation]:
    """What only the edge may say is taken off every request before anything reads it; the time is the edge's."""
    told = core.HeaderValueOption(
        header=core.HeaderValue(key="x-request-time", value="%START_TIME(%Y-%m-%dT%H:%M:%S.%3f+00:00)%"),
        append_action=core.HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    return [
        *(
            mutation.HeaderMutation(
                remove_on_match=mutation.HeaderMutationRemoveOnMatch(key_matcher=matcher.StringMatcher(prefix=prefix))
            )
            for prefix in ("x-center-", "x-tenant-", "x-envoy-")
        ),
        mutation.HeaderMutation(append=told),
    ]


def _filter(name: str, config: betterproto2.Message) -> hcm.HttpFilter:
    return hcm.HttpFilter(name=name, typed_config=Any.pack(config))


def _assignment(name: str, hosts: Sequence[tuple[str, int]]) -> endpoint_api.ClusterLoadAssignment:
    return endpoint_api.ClusterLoadAssignment(
        cluster_name=name,
        endpoints=[
            endpoint_api.LocalityLbEndpoints(
                lb_endpoints=[
                    endpoint_api.LbEndpoint(endpoint=endpoint_api.Endpoint(address=address(host, port)))
                    for host, port in hosts
                ]
            )
        ],
    )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _resource(name: str, message: betterproto2.Message) -> Resource:
    packed = Any.pack(message)
    return resource(packed.type_url, name, packed.value)
