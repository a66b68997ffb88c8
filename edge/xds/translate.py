"""Tenants, solutions and their names as xDS resources: pure functions, on xds-protos since there are many of them."""

from urllib.parse import quote

from envoy.config.core.v3 import base_pb2 as core
from envoy.config.route.v3 import route_components_pb2 as components
from envoy.config.route.v3 import route_pb2, scoped_route_pb2
from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2
from envoy.extensions.filters.http.grpc_json_transcoder.v3 import transcoder_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from google.protobuf import any_pb2
from google.protobuf.message import Message

from center_sdk.answers import HEADERS
from edge.xds.contract import OF_SHOPS, Contract
from edge.xds.refusals import (
    ROUTE_REFUSED,
    SAFE_HEADERS,
    TENANT_GONE,
    TENANT_MAINTENANCE,
    TENANT_NOT_READY,
    TENANT_READ_ONLY,
    TENANT_SUSPENDED,
    Refusal,
    details_bin,
    document,
    page,
)
from edge.xds.resources import Resource, of
from edge.xds.topology import Claim, Domain, Mode, Rule, Solution, State, Tenant

# The platform's own domain, and Envoy's name for the control plane: neither can be the id of a tenant or cluster.
PLATFORM = "_platform"
CONTROL_CLUSTER = "_control"

# The contracts that are for the outside; nothing else on a server's port is, and no other plane's are there.
_OF_PLATFORM = "/center.control."
# Set by the transcoder on what came as JSON, whose content type is gRPC's by the time that routes are matched.
TRANSCODED = "x-envoy-original-path"
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"

TIMEOUT_S = 15
_STREAM_IDLE_S = 600
_SOLUTION_IDLE_S = 60
_PAGE_BYTES = 16 << 10

# What a request is, as its route tells the check: the words of edge.authz.
SOLUTION_KEY, ACTION_KEY, COST_KEY = "solution", "action", "cost"
_AUTHZ, _CORS_FILTER = "envoy.filters.http.ext_authz", "envoy.filters.http.cors"
_TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
_LUA = "envoy.filters.http.lua"
# The listener's code for answers that are files or pages. By name: code of a route's own would be a machine for each
# tenant.
FILE_CODE = "file"
_EXPOSED = ",".join(("grpc-status", "grpc-message", "grpc-status-details-bin", "x-request-id", *HEADERS))


def _any_origin() -> any_pb2.Any:
    """Browsers may call from any page: what counts is the token. Pages that look at a cookie take no form of another
    site, and no other site's script can read what was asked for with one."""
    policy = cors_pb2.CorsPolicy(
        allow_methods="GET,POST,PUT,PATCH,DELETE,OPTIONS",
        allow_headers="authorization,content-type,x-grpc-web,x-user-agent,grpc-timeout,traceparent",
        expose_headers=_EXPOSED,
        max_age="86400",
    )
    policy.allow_origin_string_match.add(contains="://")
    return _packed(policy)


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed


_CORS = _any_origin()
# The check is in the way of every route that does not say otherwise: forgotten, it refuses. Switching the filter off
# and on by route would forget it for a request whose routes came while its body did (Envoy 1.40).
_UNCHECKED = _packed(ext_authz_pb2.ExtAuthzPerRoute(disabled=True))
_FILE = _packed(lua_pb2.LuaPerRoute(name=FILE_CODE))
# A transcoder of nothing: a solution's `/v1/products` is its own.
_AS_SENT = _packed(transcoder_pb2.GrpcJsonTranscoder(proto_descriptor_bin=b""))


def scope(claim: Claim) -> Resource:
    """A domain leads to its owner's routes, which are fetched when somebody first comes."""
    return _scope(_short(claim.domain.number), claim.domain.name, claim.owner)


def scope_name(domain: Domain) -> str:
    return _short(domain.number)


def platform_scope(zone: str) -> Resource:
    return _scope(PLATFORM, zone, PLATFORM)


def platform_routes(contract: Contract) -> Resource:
    """The platform's own domain: the control plane answers, and decides whom."""
    host = components.VirtualHost(name=PLATFORM, domains=["*"])
    _finish(host)
    # Its pages say for themselves what they load; whatever says nothing loads nothing, and is in no frame and no cache.
    for name, value in SAFE_HEADERS:
        option = _header(name, value)
        option.append_action = core.HeaderValueOption.ADD_IF_ABSENT
        host.response_headers_to_add.append(option)
    host.routes.extend(_forward(CONTROL_CLUSTER, path) for path in contract.watch_paths)
    host.routes.extend([_forward(CONTROL_CLUSTER, package=_OF_PLATFORM), _nothing_here()])
    return _routes(PLATFORM, host, (CONTROL_CLUSTER,), cors=False)


def tenant_routes(tenant: Tenant, contract: Contract) -> Resource:
    """One tenant's RouteConfiguration: its state and mode decide what is in it."""
    host = components.VirtualHost(name=tenant.id, domains=["*"])
    _finish(host)
    # Whose response this is (and in _forward, which cluster's): what anyone can compare with the catalog.
    host.response_headers_to_add.append(_header("x-center-tenant", tenant.id))
    refusal = refusal_of(tenant)
    if refusal is not None:
        host.routes.extend(_refuse(refusal, tenant, components.RouteMatch(prefix="/")))
        return _routes(tenant.id, host)
    # Envoy answers and retries on its own before the tenant's server is asked, so the context is set here.
    host.request_headers_to_add.append(_header("x-tenant-id", tenant.id))
    # By which host a browser came, for those who have to know a form of their own from another site's.
    host.request_headers_to_add.append(_from_request("x-center-host", ":AUTHORITY"))
    if tenant.mode is Mode.READ_ONLY:
        for path in contract.mutating_paths:
            # Whoever sent a form gets a page; a script reads JSON, whatever its browser says that it accepts.
            sent = path.startswith(contract.page_services)
            host.routes.extend(_refuse(TENANT_READ_ONLY, tenant, components.RouteMatch(path=path), pages=sent))
    for path in contract.streaming_paths:
        route = _forward(tenant.cluster_id, path)
        if path in contract.file_paths:
            route.typed_per_filter_config[_LUA].CopyFrom(_FILE)
        host.routes.append(route)
    for service in contract.page_services:
        route = _forward(tenant.cluster_id, package=service)
        route.typed_per_filter_config[_LUA].CopyFrom(_FILE)
        host.routes.append(route)
    host.routes.extend(_forward(tenant.cluster_id, package=f"/{package}") for package in OF_SHOPS)
    host.routes.extend([_preflight(tenant.cluster_id), _nothing_here()])
    return _routes(tenant.id, host, (tenant.cluster_id,))


def solution_routes(solution: Solution) -> Resource:
    """One solution's RouteConfiguration: what its rules name is checked first, everything else only passes."""
    host = components.VirtualHost(name=solution.name, domains=["*"])
    _finish(host)
    host.response_headers_to_add.append(_header("x-center-solution", solution.id))
    if solution.upstream is None:
        host.routes.append(_nothing_here())
        return _routes(solution.name, host)
    # What a browser asks before it calls from another site's page has no token, by the standard.
    preflight = _preflight(solution.name)
    preflight.typed_per_filter_config[_AUTHZ].CopyFrom(_UNCHECKED)
    host.routes.append(preflight)
    for rule in solution.rules:
        for method in _methods(rule):
            host.routes.append(_pass_on(solution, rule, method))
    host.routes.append(_pass_on(solution, Rule("/"), ""))
    return _routes(solution.name, host, (solution.name,), checked=True)


def absent_routes(name: str) -> Resource:
    """For a tenant that was purged meanwhile: a request whose routes Envoy is told do not exist hangs, so they do."""
    host = components.VirtualHost(name=name, domains=["*"])
    host.routes.append(_nothing_here())
    return _routes(name, host)


def refused_routes(name: str) -> Resource:
    """For a tenant whose routes an Envoy refused before it had any good ones."""
    host = components.VirtualHost(name=name, domains=["*"])
    host.routes.extend(_refuse(ROUTE_REFUSED, None, components.RouteMatch(prefix="/")))
    return _routes(name, host)


def refusal_of(tenant: Tenant) -> Refusal | None:
    """Why the edge answers in the tenant's place; None when requests go to its cluster."""
    match tenant.state:
        case State.GONE:
            return TENANT_GONE
        case State.SUSPENDED:
            return TENANT_SUSPENDED
        case State.PENDING:
            return TENANT_NOT_READY
    if tenant.mode is Mode.MAINTENANCE:
        return TENANT_MAINTENANCE
    return None if tenant.cluster_id else TENANT_NOT_READY


def _scope(name: str, domain: str, routes: str) -> Resource:
    message = scoped_route_pb2.ScopedRouteConfiguration(name=name, route_configuration_name=routes, on_demand=True)
    message.key.fragments.add(string_key=domain)
    return of(message, name, tenant_id="" if routes == PLATFORM else routes)


def _methods(rule: Rule) -> list[str]:
    """Each needs a route; `` is every method. HEAD is a GET without the body, and costs the same."""
    methods = dict.fromkeys(method.upper() for method in rule.methods)
    if "GET" in methods:
        methods["HEAD"] = None
    return list(methods) or [""]


def _pass_on(solution: Solution, rule: Rule, method: str) -> components.Route:
    """To the solution, checked if the rule names an action."""
    route = components.Route(match=components.RouteMatch(prefix=rule.path_prefix))
    if method:
        route.match.headers.add(name=":method").string_match.exact = method
    route.route.cluster = solution.name
    # An answer may be as long as the solution likes; a silence may not.
    route.route.timeout.FromSeconds(0)
    route.route.idle_timeout.FromSeconds(_SOLUTION_IDLE_S)
    check = ext_authz_pb2.ExtAuthzPerRoute(disabled=True)
    if rule.action:
        context = {SOLUTION_KEY: solution.id, ACTION_KEY: rule.action, COST_KEY: str(rule.cost)}
        check = ext_authz_pb2.ExtAuthzPerRoute(check_settings=ext_authz_pb2.CheckSettings(context_extensions=context))
    route.typed_per_filter_config[_AUTHZ].CopyFrom(_packed(check))
    return route


def _routes(
    name: str, host: components.VirtualHost, needs: tuple[str, ...] = (), *, checked: bool = False, cors: bool = True
) -> Resource:
    """checked: a solution's, whose requests are its own business, but for what its routes have checked.

    cors: pages of any site may call.
    """
    message = route_pb2.RouteConfiguration(name=name, virtual_hosts=[host])
    if any(len(route.direct_response.body.inline_string) > 1000 for route in host.routes):
        # A page with a long notice, escaped and in UTF-8; Envoy's own limit is 4 KiB.
        message.max_direct_response_body_size_bytes.value = _PAGE_BYTES
    if checked:
        message.typed_per_filter_config[_TRANSCODER].CopyFrom(_AS_SENT)
        return of(message, name, needs, tenant_id=name)
    message.typed_per_filter_config[_AUTHZ].CopyFrom(_UNCHECKED)
    if cors:
        message.typed_per_filter_config[_CORS_FILTER].CopyFrom(_CORS)
    return of(message, name, needs, tenant_id="" if name == PLATFORM else name)


def _finish(host: components.VirtualHost) -> None:
    host.retry_policy.retry_on = "connect-failure,refused-stream,reset-before-request"
    host.retry_policy.num_retries.value = 3
    host.retry_policy.retry_back_off.base_interval.FromMilliseconds(25)
    host.retry_policy.retry_back_off.max_interval.FromMilliseconds(250)


def _forward(cluster: str, path: str | None = None, package: str = "") -> components.Route:
    """To the cluster, once; a path of its own for a stream, which may take as long as it likes but not fall silent."""
    route = components.Route()
    if path is None:
        route.match.prefix = package
        # Not `grpc {}`: gRPC-Web still has a content type of its own when routes are matched.
        route.match.headers.append(_header_match("content-type", prefix="application/grpc"))
    else:
        route.match.path = path
    route.route.cluster = cluster
    route.response_headers_to_add.append(_header("x-center-cluster", cluster))
    route.route.timeout.FromSeconds(TIMEOUT_S if path is None else 0)
    if path is not None:
        route.route.idle_timeout.FromSeconds(_STREAM_IDLE_S)
    else:
        # A client that asks for less gets less, so that the server sees the same deadline.
        route.route.max_stream_duration.grpc_timeout_header_max.FromSeconds(TIMEOUT_S)
    return route


def _preflight(cluster: str) -> components.Route:
    """What a browser asks first; the CORS filter answers, if there is a route that seems to lead somewhere."""
    route = components.Route()
    route.match.prefix = "/"
    route.match.headers.append(components.HeaderMatcher(name="access-control-request-method", present_match=True))
    route.match.headers.append(_header_match(":method", prefix="OPTIONS"))
    route.route.cluster = cluster
    return route


def _nothing_here() -> components.Route:
    """404 with no body of its own: the listener's local replies say it in the caller's language."""
    return components.Route(
        match=components.RouteMatch(prefix="/"), direct_response=components.DirectResponseAction(status=404)
    )


def _refuse(
    refusal: Refusal, tenant: Tenant | None, match: components.RouteMatch, *, pages: bool = True
) -> list[components.Route]:
    """Routes for the kinds of callers, first match wins: JSON that was transcoded, gRPC, a browser, anything else."""
    metadata = {"tenant": tenant.id} if tenant is not None else {}
    message = refusal.message
    kinds: list[tuple[str, components.HeaderMatcher | None]] = []
    if pages:
        kinds.append(("page", _header_match("accept", contains="text/html")))
    kinds.append(("json", components.HeaderMatcher(name=TRANSCODED, present_match=True)))
    kinds.append(("grpc-web", _header_match("content-type", prefix="application/grpc-web")))
    kinds.append(("grpc", _header_match("content-type", prefix="application/grpc")))
    kinds.append(("json", None))
    routes = []
    for kind, header in kinds:
        route = components.Route(match=match)
        if header is not None:
            route.match.headers.append(header)
        route.direct_response.status = refusal.http_status
        if refusal.retry_after_s is not None:
            route.response_headers_to_add.append(_header("retry-after", str(refusal.retry_after_s)))
        if kind.startswith("grpc"):
            # Any other status would be turned into a gRPC status of Envoy's choice.
            route.direct_response.status = 200
            if kind == "grpc":
                route.direct_response.body.inline_string = message
            else:
                # Without gRPC's content type the gRPC-Web filter makes up a status; with a body it reads frames in it.
                route.response_headers_to_add.append(_header("content-type", "application/grpc"))
                route.response_headers_to_add.append(_header("grpc-message", quote(message, safe=" ~!@#$^&*()=:;,'")))
            route.response_headers_to_add.append(_header("grpc-status", str(refusal.code)))
            details = details_bin(refusal, message, metadata)
            route.response_headers_to_add.append(_header("grpc-status-details-bin", details))
        elif kind == "json":
            route.direct_response.body.inline_string = document(refusal, message, metadata)
            route.response_headers_to_add.append(_header("content-type", "application/json"))
        else:
            name = (tenant.display_name or tenant.code) if tenant is not None else ""
            notice = tenant.notice if tenant is not None else ""
            route.direct_response.body.inline_string = page(refusal.title, message, name, notice)
            route.response_headers_to_add.append(_header("content-type", "text/html; charset=utf-8"))
        if kind in ("json", "grpc-web"):
            # The CORS filter has no part in answers of the edge, and a page's script is to read this one.
            route.response_headers_to_add.append(_header("access-control-allow-origin", "*"))
            route.response_headers_to_add.append(_header("access-control-expose-headers", _EXPOSED))
        routes.append(route)
    return routes


def _header_match(name: str, *, prefix: str = "", contains: str = "") -> components.HeaderMatcher:
    match = components.HeaderMatcher(name=name)
    if prefix:
        match.string_match.prefix = prefix
    else:
        match.string_match.contains = contains
    return match


def _header(name: str, value: str) -> core.HeaderValueOption:
    """Overwritten, never appended: what a client sends under this name is of no account."""
    return core.HeaderValueOption(
        header=core.HeaderValue(key=name, value=_literal(value)),
        append_action=core.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def _from_request(name: str, header: str) -> core.HeaderValueOption:
    """What the request says under another name, whatever it says under this one."""
    return core.HeaderValueOption(
        header=core.HeaderValue(key=name, value=f"%REQ({header})%"),
        append_action=core.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def _literal(value: str) -> str:
    """Envoy reads % in a header value as the start of a command."""
    return value.replace("%", "%%")


def _short(number: int) -> str:
    """At most 13 characters: a scope with a long name takes Envoy several times as long to add."""
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _ALPHABET[digit] + digits
        if not number:
            return digits
