"""EdgeService: what the edge would do with a host and why, and what every connected Envoy has of it."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from center.edge.v1 import edge_service_pb2 as pb
from center.edge.v1 import edge_service_pb2_grpc as pb_grpc
from edge.xds.refusals import TENANT_GONE, TENANT_MAINTENANCE, TENANT_SUSPENDED
from edge.xds.resources import ORDER, WORDS
from edge.xds.server import Connection, Discovery
from edge.xds.stream import Subscription
from edge.xds.topology import Mode, Rule, Solution, Tenant, Topology
from edge.xds.translate import refusal_of

_OUTCOMES = {
    TENANT_GONE.reason: pb.ROUTE_OUTCOME_GONE,
    TENANT_SUSPENDED.reason: pb.ROUTE_OUTCOME_SUSPENDED,
    TENANT_MAINTENANCE.reason: pb.ROUTE_OUTCOME_MAINTENANCE,
}


class EdgeService(pb_grpc.EdgeServiceServicer):
    def __init__(self, topology: Topology, discovery: Discovery, zone: str) -> None:
        self._topology = topology
        self._discovery = discovery
        self._zone = zone

    async def ExplainRoute(self, request: pb.ExplainRouteRequest, context: Any) -> pb.ExplainRouteResponse:
        response = pb.ExplainRouteResponse(revision=self._topology.revision)
        host = as_envoy_sees(request.host)
        owner = self._topology.owner(host)
        if host == self._zone:
            _step(response, "domain", f"{host} is the platform's own", "the control plane answers")
            response.outcome = pb.ROUTE_OUTCOME_PLATFORM
        elif owner is None:
            _step(response, "domain", f"no verified domain is {host}", "404 HOST_UNKNOWN, without asking anybody")
            response.outcome = pb.ROUTE_OUTCOME_UNKNOWN_HOST
        elif isinstance(owner, Solution):
            _step(response, "domain", f"{host} is a name of the marketplace", f"its solution is {owner.id}")
            _explain_solution(response, owner)
        else:
            _step(response, "domain", f"{host} is a verified domain", f"its tenant is {owner.id}")
            self._explain_tenant(response, owner)
        self._explain_edges(response, owner)
        return response

    async def ListEdges(self, request: pb.ListEdgesRequest, context: Any) -> pb.ListEdgesResponse:
        return pb.ListEdgesResponse(edges=[_edge(connection) for connection in self._discovery.connections.values()])

    def _explain_tenant(self, response: pb.ExplainRouteResponse, tenant: Tenant) -> None:
        response.tenant_id = tenant.id
        named = f"{tenant.code}, {tenant.display_name}" if tenant.display_name else tenant.code
        _step(response, "tenant", named, f"last changed in revision {tenant.revision}")
        refusal = refusal_of(tenant)
        refused = "" if refusal is None else f"{refusal.http_status} {refusal.reason}, from the edge itself"
        if refusal is not None and refusal.reason != TENANT_MAINTENANCE.reason:
            _step(response, "state", tenant.catalog_state or tenant.state, refused)
            response.outcome = _OUTCOMES.get(refusal.reason, pb.ROUTE_OUTCOME_NO_ENDPOINT)
            return
        _step(response, "state", tenant.catalog_state or tenant.state, "served")
        if refusal is not None:
            _step(response, "mode", tenant.mode, refused)
            response.outcome = pb.ROUTE_OUTCOME_MAINTENANCE
            return
        reads_only = tenant.mode is Mode.READ_ONLY
        _step(response, "mode", tenant.mode, "writes get TENANT_READ_ONLY" if reads_only else "reads and writes")
        response.cluster_id = tenant.cluster_id
        response.outcome = pb.ROUTE_OUTCOME_CLUSTER_READ_ONLY if reads_only else pb.ROUTE_OUTCOME_CLUSTER
        cluster = self._topology.clusters.get(tenant.cluster_id)
        if cluster is None:
            _step(response, "cluster", f"{tenant.cluster_id} is not in the catalog", "503 UPSTREAM_UNAVAILABLE")
            response.outcome = pb.ROUTE_OUTCOME_NO_ENDPOINT
            return
        where = f" in {cluster.region_id}" if cluster.region_id else ""
        _step(response, "cluster", f"{cluster.id}{where}", f"shows as spiffe://center/cluster/{cluster.id}")
        addresses = ", ".join(f"{endpoint.host}:{endpoint.port}" for endpoint in cluster.endpoints)
        if not addresses:
            response.outcome = pb.ROUTE_OUTCOME_NO_ENDPOINT
        _step(response, "endpoints", addresses or "none", "HTTP/2" if addresses else "503 UPSTREAM_UNAVAILABLE")

    def _explain_edges(self, response: pb.ExplainRouteResponse, owner: Tenant | Solution | None) -> None:
        streams = list(self._discovery.connections)
        revision = owner.revision if owner is not None else self._topology.revision
        routes = owner.name if isinstance(owner, Solution) else owner.id if owner is not None else ""
        having = sum(stream.applied_revision >= revision for stream in streams)
        reasons = [
            f"{stream.node_id} refused it: {refused.reason}"
            for stream in streams
            for refused in stream.refusals()
            if refused.resource_id == routes
        ]
        reasons += [
            f"{away.node_id} is away and may answer as before"
            for away in self._discovery.away
            if away.applied_revision < revision
        ]
        consequence = "; ".join(reasons) or ("all answer so" if having == len(streams) else "the others will soon")
        _step(response, "edges", f"{having} of {len(streams)} connected Envoys have revision {revision}", consequence)


def as_envoy_sees(host: str) -> str:
    """The host as the listener makes it: lower case, no port, no trailing dot."""
    name, colon, port = host.strip().lower().rpartition(":")
    if colon and port.isdecimal() and not name.endswith(":"):
        host = name
    return host.strip().lower().removesuffix(".")


def _explain_solution(response: pb.ExplainRouteResponse, solution: Solution) -> None:
    response.solution_id = solution.id
    _step(response, "solution", solution.display_name, f"last changed in revision {solution.revision}")
    for rule in (*solution.rules, Rule("/")):
        what = f"{','.join(rule.methods) or 'every method'} {rule.path_prefix}"
        units = "unit" if rule.cost == 1 else "units"
        _step(response, "rule", what, f"{rule.action}, {rule.cost} {units}" if rule.action else "not validated")
    upstream = solution.upstream
    if upstream is None:
        response.outcome = pb.ROUTE_OUTCOME_UNKNOWN_HOST
        return
    response.outcome = pb.ROUTE_OUTCOME_SOLUTION
    _step(response, "endpoints", f"{upstream.host}:{upstream.port}", "HTTP/1.1")


def _step(response: pb.ExplainRouteResponse, subject: str, finding: str, consequence: str) -> None:
    response.steps.add(subject=subject, finding=finding, consequence=consequence)


def _edge(connection: Connection) -> pb.Edge:
    stream = connection.stream
    return pb.Edge(
        id=stream.node_id,
        address=connection.peer,
        version=stream.node_version,
        connect_time=_time(connection.connect_time_s),
        applied_revision=stream.applied_revision,
        types=[
            _type(type_url, stream.subscriptions[type_url]) for type_url in ORDER if type_url in stream.subscriptions
        ],
    )


def _type(type_url: str, sub: Subscription) -> pb.EdgeType:
    return pb.EdgeType(
        type=WORDS[type_url],
        subscribed=len(sub.log) if sub.wildcard else len(sub.names),
        acknowledged=sub.acknowledged,
        pending=sub.pending,
        acknowledge_time=_time(sub.acknowledged_s) if sub.acknowledged_s else None,
        refused=[
            pb.RefusedResource(
                name=refused.name, tenant_id=refused.tenant_id, reason=refused.reason, time=_time(refused.time_s)
            )
            for refused in sub.refused.values()
        ],
    )


def _time(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromNanoseconds(int(seconds * 1e9))
    return stamp
