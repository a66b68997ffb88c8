"""center check: whether the catalog, the clusters and the routes say the same of every tenant, and all heard of it."""

import asyncio
import http.client
import json
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import grpc
import typer
from rich.table import Table

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import (
    cluster_service_pb2,
    cluster_service_pb2_grpc,
    operations_service_pb2,
    operations_service_pb2_grpc,
    solution_service_pb2,
    solution_service_pb2_grpc,
    tenant_service_pb2,
    tenant_service_pb2_grpc,
)
from center.control.v1 import tenant_pb2 as pb
from center.dataplane.v1 import tenant_runtime_service_pb2, tenant_runtime_service_pb2_grpc
from center.edge.v1 import edge_service_pb2, edge_service_pb2_grpc
from shared.cli.call import err, out
from shared.cli.events import connected as nats_connected
from shared.platform import ports
from shared.platform.client import Client
from shared.platform.config import Config
from shared.runtime.environment import EnvironmentProblem
from shared.runtime.errors import Unavailable

PAGE = 1000
# Calls under way at once: enough to keep a server busy, few enough that none waits for long.
AT_ONCE = 32
SHOPPERS = 8
HTTP_TIMEOUT_S = 20.0
LOOK_AGAIN_S = 0.5
# A table longer than this tells nobody more.
ROWS_SHOWN = 50

# What a shopper gets of a tenant that its cluster does not serve: status, and ErrorInfo.reason.
_PENDING = (503, "TENANT_NOT_READY", edge_service_pb2.ROUTE_OUTCOME_NO_ENDPOINT)
_BY_STATE = {
    pb.TENANT_STATE_DRAFT: _PENDING,
    pb.TENANT_STATE_PROVISIONING: _PENDING,
    pb.TENANT_STATE_FAILED: _PENDING,
    pb.TENANT_STATE_SUSPENDED: (503, "TENANT_SUSPENDED", edge_service_pb2.ROUTE_OUTCOME_SUSPENDED),
    pb.TENANT_STATE_TERMINATED: (410, "TENANT_GONE", edge_service_pb2.ROUTE_OUTCOME_GONE),
    pb.TENANT_STATE_DELETING: (410, "TENANT_GONE", edge_service_pb2.ROUTE_OUTCOME_GONE),
}
_MAINTENANCE = (503, "TENANT_MAINTENANCE", edge_service_pb2.ROUTE_OUTCOME_MAINTENANCE)
# States in which a tenant has its rows on the cluster that the catalog names.
_KEPT = frozenset(
    {pb.TENANT_STATE_ACTIVE, pb.TENANT_STATE_SUSPENDED, pb.TENANT_STATE_TERMINATED, pb.TENANT_STATE_DELETING}
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that says something else than the catalog."""

    tenant: str  # its code, or its id where the catalog has no such tenant; empty for the whole platform
    where: str  # cluster eu-1, edge, envoy, operations ...
    subject: str
    expected: str
    found: str


@dataclass(slots=True)
class Report:
    revision: int = 0
    tenants: int = 0
    domains: int = 0
    clusters: int = 0
    seconds: float = 0.0
    differences: list[Difference] = field(default_factory=list)


def add_to(app: typer.Typer) -> None:
    app.command()(check)


def check(
    tenant: Annotated[str, typer.Option(help="Only the tenant with this code.")] = "",
    wait: Annotated[float, typer.Option(help="Seconds that the planes get to agree.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Compare catalog, clusters and routes; the exit code is 0 only when all agree."""
    try:
        config = Config.from_env()
    except EnvironmentProblem as problem:
        err.print(str(problem), style="red")
        raise typer.Exit(2) from None
    report = asyncio.run(compare(config, tenant, wait))
    if as_json:
        out.print_json(json.dumps(asdict(report)))
    else:
        _show(report)
    raise typer.Exit(1 if report.differences else 0)


async def compare(config: Config, code: str = "", wait_s: float = 0.0) -> Report:
    """Compares everything, or one tenant; looks again until all agree or `wait_s` is over."""
    began = time.monotonic()
    async with Client(config) as client:
        while True:
            report = await _compare_once(client, code)
            report.seconds = round(time.monotonic() - began, 2)
            if not report.differences or report.seconds + LOOK_AGAIN_S > wait_s:
                return report
            await asyncio.sleep(LOOK_AGAIN_S)


async def _compare_once(client: Client, code: str) -> Report:
    report = Report()
    found = report.differences
    try:
        await _compare_watchers(client, report)
        tenants = [tenant async for tenant in _tenants(client, code)]
        clusters = [cluster async for cluster in _clusters(client)]
        hosts = {host async for solution in _solutions(client) for host in solution.gateway.hosts}
    except grpc.aio.AioRpcError as error:
        found.append(_silent("control", error))
        return report
    report.tenants, report.clusters = len(tenants), len(clusters)
    report.domains = sum(len(tenant.domains) for tenant in tenants)
    found += [
        Difference(tenant.code, "operations", tenant.operation, "ended", "under way")
        for tenant in tenants
        if tenant.operation
    ]
    for cluster in clusters:
        found += await _compare_cluster(client, cluster, tenants, whole=not code)
    found += await _compare_edge(client, tenants)
    found += await _compare_events(client.config)
    found += await asyncio.to_thread(_compare_envoy, client.config, tenants, hosts if not code else None)
    return report


async def _compare_watchers(client: Client, report: Report) -> None:
    stub = operations_service_pb2_grpc.OperationsServiceStub(client.control())
    request = operations_service_pb2.WaitAppliedRequest()
    request.timeout.FromSeconds(5)
    answer = await stub.WaitApplied(request)
    report.revision = answer.revision
    report.differences += [
        Difference("", watcher.id, "applied revision", str(answer.revision), str(watcher.applied_revision))
        for watcher in answer.behind
    ]
    watchers = (await stub.ListWatchers(operations_service_pb2.ListWatchersRequest())).watchers
    report.differences += [
        Difference(refusal.resource_id, watcher.id, "refused", "nothing", refusal.reason)
        for watcher in watchers
        if watcher.live
        for refusal in watcher.refusals
    ]


async def _compare_events(config: Config) -> list[Difference]:
    """Every consumer has had every event, and none of them is among the dead letters."""
    from nats.js.errors import NotFoundError

    from shared.runtime.events.subjects import DEAD_LETTERS

    found = []
    try:
        async with nats_connected(config) as connection:
            for stream in await connection.js.streams_info():
                for consumer in await connection.js.consumers_info(str(stream.config.name)):
                    behind = (consumer.num_pending or 0) + (consumer.num_ack_pending or 0)
                    if consumer.config.durable_name and behind:
                        found.append(Difference("", "nats", f"{consumer.name} is behind", "0", str(behind)))
            with suppress(NotFoundError):
                if dead := (await connection.js.stream_info(DEAD_LETTERS)).state.messages:
                    found.append(Difference("", "nats", "dead letters", "0", str(dead)))
    except Unavailable as error:
        return [Difference("", "nats", "answers", "yes", error.message)]
    return found


# -- clusters


async def _compare_cluster(
    client: Client, cluster: cluster_service_pb2.Cluster, tenants: Sequence[pb.Tenant], *, whole: bool
) -> list[Difference]:
    where = f"cluster {cluster.id}"
    if not cluster.endpoints:
        return []
    try:
        channel = await client.cluster(cluster.id)
        local = {known.tenant.id: known async for known in _locals(channel)}
    except grpc.aio.AioRpcError as error:
        return [_silent(where, error)]
    found = []
    for tenant in tenants:
        known = local.pop(tenant.id, None)
        if tenant.operation:
            continue
        if tenant.placement.cluster_id == cluster.id and tenant.state in _KEPT:
            found += _compare_local(tenant, known, where)
        elif known is not None and known.served:
            placed = tenant.placement.cluster_id or "nowhere"
            found.append(Difference(tenant.code, where, "served", f"no, placed on {placed}", "yes"))
    if whole:
        strange = [tenant_id for tenant_id, known in local.items() if known.served]
        found += [Difference(tenant_id, where, "served", "no such tenant", "yes") for tenant_id in strange]
    return found


def _compare_local(
    tenant: pb.Tenant, known: tenant_runtime_service_pb2.LocalTenant | None, where: str
) -> list[Difference]:
    if known is None:
        return [Difference(tenant.code, where, "tenant", "known", "missing")]
    expected = _entry(tenant) | {"served": "True"}
    return _differing(tenant, where, "tenant", expected, _entry(known.tenant) | {"served": str(known.served)})


def _entry(tenant: pb.Tenant | catalog_pb.CatalogTenant) -> dict[str, str]:
    """What a tenant and its catalog entry have in common, as text; the state that requests depend on above all."""
    names = tenant.domains if isinstance(tenant, pb.Tenant) else [domain.name for domain in tenant.domains]
    return {
        "code": tenant.code,
        "display_name": tenant.display_name,
        "state": pb.TenantState.Name(tenant.state),
        "mode": pb.TenantMode.Name(tenant.mode),
        "plan_id": tenant.plan_id,
        "placement": _text(tenant.placement),
        "domains": " ".join(sorted(names)),
        "primary_domain": tenant.primary_domain,
        "config": _text(tenant.config),
        "revision": str(tenant.revision),
    }


def _text(message: Any) -> str:
    return " ".join(str(message).split())


# -- routes


async def _compare_edge(client: Client, tenants: Sequence[pb.Tenant]) -> list[Difference]:
    stub = edge_service_pb2_grpc.EdgeServiceStub(client.edge())
    found: list[Difference] = []
    asked = iter([(tenant, domain) for tenant in tenants for domain in tenant.domains])

    async def explain() -> None:
        for tenant, domain in asked:
            answer = await stub.ExplainRoute(edge_service_pb2.ExplainRouteRequest(host=domain))
            found.extend(_explained(tenant, domain, answer))

    try:
        edges = (await stub.ListEdges(edge_service_pb2.ListEdgesRequest())).edges
        await asyncio.gather(*(explain() for _ in range(AT_ONCE)))
    except grpc.aio.AioRpcError as error:
        return [_silent("edge", error)]
    found += [
        Difference(refusal.tenant_id, f"envoy {edge.id}", f"{kind.type} {refusal.name}", "accepted", refusal.reason)
        for edge in edges
        for kind in edge.types
        for refusal in kind.refused
    ]
    return found


def _explained(tenant: pb.Tenant, domain: str, answer: edge_service_pb2.ExplainRouteResponse) -> list[Difference]:
    _, _, outcome = _outcome(tenant)
    forwarded = outcome in _FORWARDED
    expected = {
        "tenant": tenant.id,
        "outcome": edge_service_pb2.RouteOutcome.Name(outcome),
        "cluster": tenant.placement.cluster_id if forwarded else "",
    }
    told = {
        "tenant": answer.tenant_id,
        "outcome": edge_service_pb2.RouteOutcome.Name(answer.outcome),
        "cluster": answer.cluster_id if forwarded else "",
    }
    return _differing(tenant, "edge", domain, expected, told)


def _differing(
    tenant: pb.Tenant, where: str, what: str, expected: Mapping[str, str], told: Mapping[str, str]
) -> list[Difference]:
    return [
        Difference(tenant.code, where, f"{what}: {subject}", value, told[subject])
        for subject, value in expected.items()
        if told[subject] != value
    ]


_FORWARDED = (edge_service_pb2.ROUTE_OUTCOME_CLUSTER, edge_service_pb2.ROUTE_OUTCOME_CLUSTER_READ_ONLY)


def _outcome(tenant: pb.Tenant) -> tuple[int, str, edge_service_pb2.RouteOutcome]:
    """What a read of the tenant gets at Envoy by the catalog's word: HTTP status, reason, outcome."""
    if tenant.state in _BY_STATE:
        return _BY_STATE[tenant.state]
    if tenant.mode == pb.TENANT_MODE_MAINTENANCE:
        return _MAINTENANCE
    if tenant.mode == pb.TENANT_MODE_READ_ONLY:
        return 200, "", edge_service_pb2.ROUTE_OUTCOME_CLUSTER_READ_ONLY
    return 200, "", edge_service_pb2.ROUTE_OUTCOME_CLUSTER


def _compare_envoy(config: Config, tenants: Sequence[pb.Tenant], others: set[str] | None) -> list[Difference]:
    """Asks Envoy as a shopper at every domain, and its admin page which names it knows.

    others: names that are no tenant's; None where these are not all tenants.
    """
    asked = [(tenant, domain) for tenant in tenants for domain in tenant.domains]
    shopper = _Shopper(config.connect_host, ports.ENVOY + config.offset)
    with ThreadPoolExecutor(SHOPPERS) as pool:
        found = [difference for some in pool.map(lambda one: _shopped(shopper, *one), asked) for difference in some]
    if others is not None:
        found += _compare_names(config, others | {domain for _, domain in asked})
    return found


def _shopped(shopper: "_Shopper", tenant: pb.Tenant, domain: str) -> list[Difference]:
    status, reason, outcome = _outcome(tenant)
    try:
        answer = shopper.get(domain)
    except (OSError, http.client.HTTPException) as error:
        return [Difference(tenant.code, "envoy", domain, "an answer", repr(error))]
    expected = {"status": f"{status} {reason}".strip(), "tenant": tenant.id, "cluster": ""}
    if outcome in _FORWARDED:
        expected["cluster"] = tenant.placement.cluster_id
    return _differing(tenant, "envoy", domain, expected, answer)


class _Shopper:
    """One kept connection a thread."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._kept = threading.local()

    def get(self, host: str, path: str = "/v1/products?pageSize=1") -> dict[str, str]:
        """`status` with the reason of a refusal, and whose and which cluster's answer it is."""
        try:
            return self._get(host, path)
        except (ConnectionError, http.client.HTTPException):
            self._kept.connection = None  # closed by the other side meanwhile; a new one is the test
            return self._get(host, path)

    def _get(self, host: str, path: str) -> dict[str, str]:
        connection = getattr(self._kept, "connection", None)
        if connection is None:
            connection = self._kept.connection = http.client.HTTPConnection(*self._address, timeout=HTTP_TIMEOUT_S)
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        return {
            "status": f"{response.status} {_reason(body) if response.status != 200 else ''}".strip(),
            "tenant": response.getheader("x-center-tenant", ""),
            "cluster": response.getheader("x-center-cluster", ""),
        }


def _reason(body: bytes) -> str:
    try:
        details = json.loads(body)["details"]
        return str(next(detail["reason"] for detail in details if "reason" in detail))
    except (ValueError, KeyError, TypeError, StopIteration):
        return body[:80].decode(errors="replace")


def _compare_names(config: Config, expected: set[str]) -> list[Difference]:
    """The names that Envoy has scopes for are the catalog's, no more and no less."""
    path = "/config_dump?resource=dynamic_scoped_route_configs"
    connection = http.client.HTTPConnection(
        config.connect_host, ports.ENVOY_ADMIN + config.offset, timeout=HTTP_TIMEOUT_S
    )
    try:
        connection.request("GET", path)
        dump = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        return [Difference("", "envoy admin", path, "a dump", repr(error))]
    finally:
        connection.close()
    names = {
        fragment["string_key"]
        for part in dump.get("configs", ())
        for scope in part.get("scoped_route_configs", ())
        for fragment in scope["key"]["fragments"]
    }
    names.discard(config.zone)
    return [
        *(Difference("", "envoy", name, "a route", "none") for name in sorted(expected - names)),
        *(Difference("", "envoy", name, "no route", "one") for name in sorted(names - expected)),
    ]


# -- reading


async def _tenants(client: Client, code: str) -> AsyncIterator[pb.Tenant]:
    stub = tenant_service_pb2_grpc.TenantServiceStub(client.control())
    request = tenant_service_pb2.ListTenantsRequest(page_size=PAGE, show_deleted=True)
    if code:
        request.filter = f'code = "{code}"'
    while True:
        answer = await stub.ListTenants(request)
        for tenant in answer.tenants:
            yield tenant
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


async def _clusters(client: Client) -> AsyncIterator[cluster_service_pb2.Cluster]:
    stub = cluster_service_pb2_grpc.ClusterServiceStub(client.control())
    request = cluster_service_pb2.ListClustersRequest(page_size=PAGE)
    while True:
        answer = await stub.ListClusters(request)
        for cluster in answer.clusters:
            yield cluster
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


async def _solutions(client: Client) -> AsyncIterator[solution_service_pb2.Solution]:
    stub = solution_service_pb2_grpc.SolutionServiceStub(client.control())
    request = solution_service_pb2.ListSolutionsRequest(page_size=PAGE)
    while True:
        answer = await stub.ListSolutions(request)
        for solution in answer.solutions:
            yield solution
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


async def _locals(channel: grpc.aio.Channel) -> AsyncIterator[tenant_runtime_service_pb2.LocalTenant]:
    stub = tenant_runtime_service_pb2_grpc.TenantRuntimeServiceStub(channel)
    request = tenant_runtime_service_pb2.ListTenantsRequest(page_size=PAGE)
    while True:
        answer = await stub.ListTenants(request)
        for tenant in answer.tenants:
            yield tenant
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


def _silent(where: str, error: grpc.aio.AioRpcError) -> Difference:
    return Difference("", where, "answers", "yes", f"{error.code().name}: {error.details()}")


def _show(report: Report) -> None:
    if report.differences:
        table = Table(box=None, header_style="dim", padding=(0, 2))
        for column in ("tenant", "where", "what", "catalog says", "found"):
            table.add_column(column, overflow="fold")
        for difference in report.differences[:ROWS_SHOWN]:
            table.add_row(
                difference.tenant, difference.where, difference.subject, difference.expected, difference.found
            )
        out.print(table)
        if len(report.differences) > ROWS_SHOWN:
            out.print(f"... and {len(report.differences) - ROWS_SHOWN} more; --json has them all", style="dim")
    counted = f"{report.tenants} tenants, {report.domains} domains, {report.clusters} clusters"
    verdict = f"{len(report.differences)} differences" if report.differences else "all agree"
    style = "red" if report.differences else "green"
    out.print(f"{verdict}: {counted}, revision {report.revision}, {report.seconds:.1f} s", style=style)
