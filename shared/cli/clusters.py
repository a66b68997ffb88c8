"""center clusters: where tenants live."""

from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from rich.table import Table

from center.control.v1 import catalog_service_pb2, tenant_pb2
from center.control.v1 import cluster_service_pb2 as pb
from shared.cli.call import Call, Limit, Reason, card, filtered_by, operator, pairs, word

app = typer.Typer(help="Where tenants live.", no_args_is_help=True)

CLUSTERS = pb.DESCRIPTOR.services_by_name["ClusterService"]

ClusterArgument = Annotated[str, typer.Argument(metavar="CLUSTER")]
EndpointOption = Annotated[list[str] | None, typer.Option("--endpoint", help="host:port; may be given more than once.")]


def addresses(cluster: pb.Cluster) -> list[str]:
    return [f"{endpoint.host}:{endpoint.port}" for endpoint in cluster.endpoints]


def facts(cluster: pb.Cluster) -> Table:
    return card(
        [
            ("id", cluster.id),
            ("name", cluster.display_name),
            ("region", cluster.region_id),
            ("state", word(pb.ClusterState, cluster.state)),
            ("endpoints", addresses(cluster)),
            ("tenants", cluster.tenant_count),
            ("capacity", cluster.capacity),
            ("tiers", cluster.tiers),
            ("dedicated", "yes" if cluster.dedicated else ""),
            ("labels", dict(cluster.labels)),
            ("created", cluster.create_time),
            ("updated", cluster.update_time),
            ("revision", cluster.revision),
            ("etag", cluster.etag),
        ]
    )


def placement(answer: pb.ExplainPlacementResponse) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title_justify="left")
    table.title = f"goes to {answer.cluster_id}/{answer.shard_id}" if answer.cluster_id else "no cluster can take it"
    for heading in ("CLUSTER", "ELIGIBLE", "SCORE", "REASONS"):
        table.add_column(heading, overflow="fold")
    for found in answer.candidates:
        eligible = "yes" if found.eligible else "no"
        table.add_row(found.cluster_id, eligible, f"{found.score:.3f}", "; ".join(found.reasons))
    return table


@operator(app, "list")
async def list_(call: Call, filter: Annotated[str, filtered_by('state = "OPEN"')] = "", limit: Limit = 10_000) -> None:
    """List clusters."""
    await call.table(
        call.pages(CLUSTERS, "ListClusters", pb.ListClustersRequest(filter=filter), "clusters", limit),
        "clusters",
        [
            ("CLUSTER", lambda c: c.id),
            ("REGION", lambda c: c.region_id),
            ("STATE", lambda c: word(pb.ClusterState, c.state)),
            ("TENANTS", lambda c: c.tenant_count),
            ("CAPACITY", lambda c: c.capacity),
            ("ENDPOINTS", addresses),
        ],
    )


@operator(app)
async def show(call: Call, cluster: ClusterArgument) -> None:
    """Show one cluster and its use."""
    answer = await call(CLUSTERS, "GetCluster", pb.GetClusterRequest(id=cluster))
    call.show(answer.cluster, lambda: facts(answer.cluster))


@operator(app)
async def create(
    call: Call,
    cluster: ClusterArgument,
    region: Annotated[str, typer.Option(help="The region that it is in.")],
    capacity: Annotated[int, typer.Option(help="The most tenants it may hold.")],
    endpoint: EndpointOption = None,
    tier: Annotated[list[str] | None, typer.Option(help="A plan that it serves; every plan unless given.")] = None,
    dedicated: Annotated[bool, typer.Option("--dedicated", help="For tenants with a cluster of their own.")] = False,
    label: Annotated[list[str] | None, typer.Option(help="key=value")] = None,
    closed: Annotated[bool, typer.Option("--closed", help="Takes no tenants yet.")] = False,
) -> None:
    """Add a cluster."""
    made = pb.Cluster(
        id=cluster,
        region_id=region,
        display_name=cluster,
        capacity=capacity,
        endpoints=_endpoints(endpoint or []),
        tiers=tier or [],
        dedicated=dedicated,
        labels=pairs(label or [], "--label"),
        state=pb.CLUSTER_STATE_CLOSED if closed else pb.CLUSTER_STATE_OPEN,
    )
    answer = await call(CLUSTERS, "CreateCluster", pb.CreateClusterRequest(cluster=made))
    call.show(answer.cluster, lambda: facts(answer.cluster))


@operator(app)
async def update(
    call: Call,
    cluster: ClusterArgument,
    name: Annotated[str | None, typer.Option(help="Display name.")] = None,
    capacity: Annotated[int | None, typer.Option(help="The most tenants it may hold.")] = None,
    endpoint: EndpointOption = None,
    tier: Annotated[list[str] | None, typer.Option(help="A plan that it serves.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="key=value; all together replace the old ones.")] = None,
    etag: Annotated[str, typer.Option(help="Refuse if it has changed since this etag was read.")] = "",
) -> None:
    """Change a cluster's name, endpoints, tiers, capacity or labels."""
    changed = pb.Cluster(
        id=cluster,
        display_name=name or "",
        capacity=capacity or 0,
        endpoints=_endpoints(endpoint or []),
        tiers=tier or [],
        labels=pairs(label or [], "--label"),
        etag=etag,
    )
    given = {"display_name": name, "capacity": capacity, "endpoints": endpoint, "tiers": tier, "labels": label}
    paths = [path for path, value in given.items() if value not in (None, [])]
    if not paths:
        raise typer.BadParameter("name something to change; --help lists what can be")
    request = pb.UpdateClusterRequest(cluster=changed, update_mask=FieldMask(paths=paths))
    # The region is no part of the change, but the contract checks the whole message.
    request.cluster.region_id = (
        await call.look_up(CLUSTERS, "GetCluster", pb.GetClusterRequest(id=cluster))
    ).cluster.region_id
    answer = await call(CLUSTERS, "UpdateCluster", request)
    call.show(answer.cluster, lambda: facts(answer.cluster))


async def _turn(call: Call, cluster: str, state: pb.ClusterState, reason: str) -> None:
    request = pb.SetClusterStateRequest(id=cluster, state=state, reason=reason)
    answer = await call(CLUSTERS, "SetClusterState", request)
    call.show(answer.cluster, lambda: facts(answer.cluster))


@operator(app, "open")
async def open_(call: Call, cluster: ClusterArgument, reason: Reason) -> None:
    """Let a cluster take new tenants."""
    await _turn(call, cluster, pb.CLUSTER_STATE_OPEN, reason)


@operator(app)
async def close(call: Call, cluster: ClusterArgument, reason: Reason) -> None:
    """Close a cluster to new tenants."""
    await _turn(call, cluster, pb.CLUSTER_STATE_CLOSED, reason)


@operator(app)
async def drain(call: Call, cluster: ClusterArgument, reason: Reason) -> None:
    """Mark a cluster as one that is to lose its tenants."""
    await _turn(call, cluster, pb.CLUSTER_STATE_DRAINING, reason)


@operator(app)
async def delete(call: Call, cluster: ClusterArgument, reason: Reason) -> None:
    """Remove a cluster that has no tenants."""
    answer = await call(CLUSTERS, "DeleteCluster", pb.DeleteClusterRequest(id=cluster, reason=reason))
    call.show(answer, lambda: f"{cluster} is gone from revision {answer.revision}")


@operator(app)
async def regions(call: Call, limit: Limit = 10_000) -> None:
    """List regions."""
    await call.table(
        call.pages(CLUSTERS, "ListRegions", pb.ListRegionsRequest(), "regions", limit),
        "regions",
        [("REGION", lambda r: r.id), ("NAME", lambda r: r.display_name), ("CREATED", lambda r: r.create_time)],
    )


@operator(app, "create-region")
async def create_region(
    call: Call,
    region: Annotated[str, typer.Argument(metavar="REGION")],
    name: Annotated[str, typer.Option(help="Display name.")] = "",
) -> None:
    """Add a region."""
    made = pb.Region(id=region, display_name=name or region)
    answer = await call(CLUSTERS, "CreateRegion", pb.CreateRegionRequest(region=made))
    call.show(answer.region, lambda: f"{answer.region.id} is there")


@operator(app)
async def shards(
    call: Call, cluster: Annotated[str, typer.Option(help="Of one cluster only.")] = "", limit: Limit = 10_000
) -> None:
    """List shards."""
    await call.table(
        call.pages(CLUSTERS, "ListShards", pb.ListShardsRequest(cluster_id=cluster), "shards", limit),
        "shards",
        [("SHARD", lambda s: s.id), ("CLUSTER", lambda s: s.cluster_id), ("TENANTS", lambda s: s.tenant_count)],
    )


@operator(app, "create-shard")
async def create_shard(
    call: Call, cluster: ClusterArgument, shard: Annotated[str, typer.Argument(metavar="SHARD")]
) -> None:
    """Add a shard to a cluster."""
    made = pb.Shard(id=shard, cluster_id=cluster)
    answer = await call(CLUSTERS, "CreateShard", pb.CreateShardRequest(shard=made))
    call.show(answer.shard, lambda: f"{answer.shard.id} of {answer.shard.cluster_id} is there")


@operator(app, "explain-placement")
async def explain_placement(
    call: Call,
    region: Annotated[str, typer.Option(help="Where the tenant should live.")] = "",
    plan: Annotated[str, typer.Option(help="Its plan.")] = "",
    dedicated: Annotated[bool, typer.Option("--dedicated", help="With a cluster of its own.")] = False,
    residency: Annotated[list[str] | None, typer.Option(help="A region its data may live in.")] = None,
) -> None:
    """Tell of every cluster why a tenant with such needs could or could not live there."""
    needs = pb.PlacementNeeds(
        region_id=region,
        plan_id=plan,
        isolation=tenant_pb2.ISOLATION_DEDICATED if dedicated else tenant_pb2.ISOLATION_SHARED,
        residency=residency or [],
    )
    answer = await call(CLUSTERS, "ExplainPlacement", pb.ExplainPlacementRequest(needs=needs))
    call.show(answer, lambda: placement(answer))


def _endpoints(values: list[str]) -> list[catalog_service_pb2.Endpoint]:
    made = []
    for value in values:
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal():
            raise typer.BadParameter(f"--endpoint takes host:port, not {value!r}")
        made.append(catalog_service_pb2.Endpoint(host=host, port=int(port)))
    return made
