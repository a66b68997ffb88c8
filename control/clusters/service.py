"""ClusterService: regions, clusters, shards and placement, over gRPC."""

from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import cluster_service_pb2 as pb
from center.control.v1 import cluster_service_pb2_grpc as pb_grpc
from center.control.v1 import tenant_pb2
from control.catalog.store import Change, record
from control.clusters import domain, ops, store
from control.clusters.domain import Cluster, Endpoint, Needs, Region, Shard, State
from control.tables import clusters, regions, shards
from control.tenants import store as tenant_store
from control.tenants.messages import timestamp
from control.tenants.provision import needs
from shared.runtime.clock import Clock
from shared.runtime.db import Database, constraints
from shared.runtime.filters import Field, where
from shared.runtime.idempotency import mutation
from shared.runtime.masks import merge
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

FIELDS = {
    "id": Field(clusters.c.id),
    "region_id": Field(clusters.c.region_id),
    "state": Field(clusters.c.state, "enum", {state: state for state in State}),
    "labels": Field(clusters.c.labels, "labels"),
}
UPDATABLE = ("display_name", "endpoints", "tiers", "capacity", "labels")

CLUSTERS_BY_ID = Ordering((Term(clusters.c.id),))
REGIONS_BY_ID = Ordering((Term(regions.c.id),))
SHARDS_BY_ID = Ordering((Term(shards.c.cluster_id), Term(shards.c.id)))


class ClusterService(pb_grpc.ClusterServiceServicer):
    def __init__(self, db: Database, clock: Clock, tokens: PageTokens) -> None:
        self.db = db
        self._clock = clock
        self._tokens = tokens

    @mutation
    async def CreateRegion(self, request: pb.CreateRegionRequest, tx: AsyncConnection) -> pb.CreateRegionResponse:
        region = Region(request.region.id, request.region.display_name, self._clock.now())
        await ops.create_region(tx, region)
        return pb.CreateRegionResponse(region=_region(region))

    async def ListRegions(self, request: pb.ListRegionsRequest, context: Context) -> pb.ListRegionsResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        async with self.db.transaction() as tx:
            page = await store.list_regions(tx, [REGIONS_BY_ID.after(cursor)], size + 1)
        response = pb.ListRegionsResponse(regions=[_region(region) for region in page[:size]])
        if len(page) > size:
            response.next_page_token = self._tokens.issue(REGIONS_BY_ID.cursor(page[size - 1]), request)
        return response

    @mutation
    async def CreateCluster(self, request: pb.CreateClusterRequest, tx: AsyncConnection) -> pb.CreateClusterResponse:
        message, now = request.cluster, self._clock.now()
        cluster = Cluster(
            id=message.id,
            region_id=message.region_id,
            display_name=message.display_name,
            create_time=now,
            update_time=now,
            endpoints=_endpoints(message),
            tiers=tuple(message.tiers),
            capacity=message.capacity or domain.DEFAULT_CAPACITY,
            dedicated=message.dedicated,
            state=_state(message.state),
            labels=dict(message.labels),
        )
        revision = await ops.create_cluster(tx, cluster)
        return pb.CreateClusterResponse(cluster=to_proto(cluster, revision))

    async def GetCluster(self, request: pb.GetClusterRequest, context: Context) -> pb.GetClusterResponse:
        async with self.db.transaction() as tx:
            return pb.GetClusterResponse(cluster=to_proto(await store.get(tx, request.id)))

    async def ListClusters(self, request: pb.ListClustersRequest, context: Context) -> pb.ListClustersResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        async with self.db.transaction() as tx:
            page = await store.list_page(tx, [where(request.filter, FIELDS), CLUSTERS_BY_ID.after(cursor)], size + 1)
        response = pb.ListClustersResponse(clusters=[to_proto(cluster) for cluster in page[:size]])
        if len(page) > size:
            response.next_page_token = self._tokens.issue(CLUSTERS_BY_ID.cursor(page[size - 1]), request)
        return response

    @mutation
    async def UpdateCluster(self, request: pb.UpdateClusterRequest, tx: AsyncConnection) -> pb.UpdateClusterResponse:
        before = await store.get(tx, request.cluster.id, lock=True)
        merged = to_proto(before)
        merge(merged, request.cluster, request.update_mask, UPDATABLE)
        after = domain.update(
            before,
            request.cluster.etag,
            self._clock.now(),
            display_name=merged.display_name,
            endpoints=_endpoints(merged),
            tiers=tuple(merged.tiers),
            capacity=merged.capacity,
            labels=dict(merged.labels),
        )
        return pb.UpdateClusterResponse(cluster=await self._save(tx, before, after, "updated", ""))

    @mutation
    async def SetClusterState(
        self, request: pb.SetClusterStateRequest, tx: AsyncConnection
    ) -> pb.SetClusterStateResponse:
        before = await store.get(tx, request.id, lock=True)
        after = domain.set_state(before, _state(request.state), request.etag, self._clock.now())
        cluster = await self._save(tx, before, after, after.state.lower(), request.reason)
        return pb.SetClusterStateResponse(cluster=cluster)

    async def _save(self, tx: AsyncConnection, before: Cluster, after: Cluster, event: str, reason: str) -> pb.Cluster:
        await store.save(tx, after)
        [revision] = await record(tx, [store.changed(before, after, event, reason)])
        return to_proto(after, revision)

    @mutation
    async def DeleteCluster(self, request: pb.DeleteClusterRequest, tx: AsyncConnection) -> pb.DeleteClusterResponse:
        cluster = await store.get(tx, request.id, lock=True)
        domain.check_deletable(cluster, request.etag)
        await store.remove(tx, cluster.id)
        [revision] = await record(tx, [store.removed(cluster, request.reason)])
        return pb.DeleteClusterResponse(revision=revision)

    @mutation
    async def CreateShard(self, request: pb.CreateShardRequest, tx: AsyncConnection) -> pb.CreateShardResponse:
        await store.get(tx, request.shard.cluster_id)
        shard = Shard(request.shard.id, request.shard.cluster_id, self._clock.now())
        with constraints({"shards_pkey": store.SHARD_EXISTS}):
            await store.add_shard(tx, shard)
        after = {"id": shard.id, "cluster_id": shard.cluster_id}
        await record(tx, [Change("shard", shard.id, "created", "", {}, after)])
        return pb.CreateShardResponse(shard=_shard(shard))

    async def ListShards(self, request: pb.ListShardsRequest, context: Context) -> pb.ListShardsResponse:
        size = page_size(request.page_size)
        conditions = [SHARDS_BY_ID.after(self._tokens.read(request.page_token, request))]
        if request.cluster_id:
            conditions.append(shards.c.cluster_id == request.cluster_id)
        async with self.db.transaction() as tx:
            page = await store.list_shards(tx, conditions, size + 1)
        response = pb.ListShardsResponse(shards=[_shard(shard) for shard in page[:size]])
        if len(page) > size:
            response.next_page_token = self._tokens.issue(SHARDS_BY_ID.cursor(page[size - 1]), request)
        return response

    async def ExplainPlacement(
        self, request: pb.ExplainPlacementRequest, context: Context
    ) -> pb.ExplainPlacementResponse:
        async with self.db.transaction() as tx:
            if request.HasField("tenant_id"):
                wanted = needs(await tenant_store.get(tx, request.tenant_id))
            else:
                if request.needs.region_id:
                    await store.get_region(tx, request.needs.region_id)
                wanted = Needs(
                    region_id=request.needs.region_id,
                    plan_id=request.needs.plan_id,
                    dedicated=request.needs.isolation == tenant_pb2.ISOLATION_DEDICATED,
                    residency=tuple(request.needs.residency),
                )
            candidates = domain.rank(wanted, await store.all_clusters(tx), await store.all_shards(tx))
        response = pb.ExplainPlacementResponse(
            candidates=[
                pb.PlacementCandidate(
                    cluster_id=each.cluster_id, eligible=each.eligible, score=each.score, reasons=each.reasons
                )
                for each in candidates
            ]
        )
        if candidates and candidates[0].eligible:
            response.cluster_id, response.shard_id = candidates[0].cluster_id, candidates[0].shard_id
        return response


def to_proto(cluster: Cluster, revision: int | None = None) -> pb.Cluster:
    """revision: what the change that is being written has got, for a cluster that was read before it."""
    return pb.Cluster(
        id=cluster.id,
        region_id=cluster.region_id,
        display_name=cluster.display_name,
        endpoints=[catalog_pb.Endpoint(host=each.host, port=each.port) for each in cluster.endpoints],
        tiers=cluster.tiers,
        capacity=cluster.capacity,
        dedicated=cluster.dedicated,
        state=f"CLUSTER_STATE_{cluster.state}",
        labels=cluster.labels,
        tenant_count=cluster.tenant_count,
        create_time=timestamp(cluster.create_time),
        update_time=timestamp(cluster.update_time),
        etag=cluster.etag,
        revision=cluster.revision if revision is None else revision,
    )


def _state(number: pb.ClusterState) -> State:
    """Unspecified is open."""
    return State(pb.ClusterState.Name(number).removeprefix("CLUSTER_STATE_")) if number else State.OPEN


def _endpoints(message: pb.Cluster) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(each.host, each.port) for each in message.endpoints)


def _region(region: Region) -> pb.Region:
    return pb.Region(id=region.id, display_name=region.display_name, create_time=timestamp(region.create_time))


def _shard(shard: Shard) -> pb.Shard:
    return pb.Shard(
        id=shard.id,
        cluster_id=shard.cluster_id,
        tenant_count=shard.tenant_count,
        create_time=timestamp(shard.create_time),
    )
