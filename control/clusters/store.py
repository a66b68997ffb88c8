"""Regions, clusters and shards in PostgreSQL; every function runs in the caller's transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import catalog_service_pb2 as catalog_pb
from control.catalog.store import Change
from control.clusters.domain import Cluster, Endpoint, Region, Shard, State, facts
from control.tables import clusters, regions, shards
from shared.runtime.errors import AlreadyExists, NotFound, stale

REGION_EXISTS = AlreadyExists("REGION_EXISTS", "there is a region with this id")
CLUSTER_EXISTS = AlreadyExists("CLUSTER_EXISTS", "there is a cluster with this id")
SHARD_EXISTS = AlreadyExists("SHARD_EXISTS", "the cluster has a shard with this id")


def changed(before: Cluster | None, after: Cluster, event: str, reason: str) -> Change:
    """A change to a cluster, for the catalog to record."""
    message = catalog_pb.CatalogCluster(
        id=after.id,
        region_id=after.region_id,
        endpoints=[catalog_pb.Endpoint(host=each.host, port=each.port) for each in after.endpoints],
    )
    return Change(
        resource="cluster",
        resource_id=after.id,
        event=event,
        reason=reason,
        before=facts(before) if before is not None else {},
        after=facts(after),
        entry=catalog_pb.CatalogEntry(cluster=message),
        cluster_ids=frozenset((after.id,)),
    )


def removed(cluster: Cluster, reason: str) -> Change:
    return Change(
        resource="cluster",
        resource_id=cluster.id,
        event="removed",
        reason=reason,
        before=facts(cluster),
        after={},
        entry=catalog_pb.CatalogEntry(removed_cluster_id=cluster.id),
        cluster_ids=frozenset((cluster.id,)),
    )


def _cluster(row: Row[Any]) -> Cluster:
    return Cluster(
        id=row.id,
        region_id=row.region_id,
        display_name=row.display_name,
        create_time=row.create_time,
        update_time=row.update_time,
        endpoints=tuple(Endpoint(host, port) for host, port in row.endpoints),
        tiers=tuple(row.tiers),
        capacity=row.capacity,
        dedicated=row.dedicated,
        state=State(row.state),
        labels=row.labels,
        tenant_count=row.tenant_count,
        version=row.version,
        revision=row.revision,
    )


def _values(cluster: Cluster) -> dict[str, Any]:
    """All but the count, which placement keeps."""
    return {
        "id": cluster.id,
        "region_id": cluster.region_id,
        "display_name": cluster.display_name,
        "endpoints": [[each.host, each.port] for each in cluster.endpoints],
        "tiers": list(cluster.tiers),
        "capacity": cluster.capacity,
        "dedicated": cluster.dedicated,
        "state": cluster.state,
        "labels": dict(cluster.labels),
        "create_time": cluster.create_time,
        "update_time": cluster.update_time,
        "version": cluster.version,
    }


async def get(tx: AsyncConnection, cluster_id: str, *, lock: bool = False) -> Cluster:
    stmt = select(clusters).where(clusters.c.id == cluster_id)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    if row is None:
        raise NotFound("CLUSTER_NOT_FOUND", f"there is no cluster {cluster_id}", id=cluster_id)
    return _cluster(row)


async def all_clusters(tx: AsyncConnection, *, lock: bool = False) -> list[Cluster]:
    """In the order of ids. `lock` makes placements follow one another, so that no cluster is filled twice."""
    stmt = select(clusters).order_by(clusters.c.id)
    return [_cluster(row) for row in (await tx.execute(stmt.with_for_update() if lock else stmt)).all()]


async def list_page(tx: AsyncConnection, where: Sequence[ColumnElement[bool]], limit: int) -> list[Cluster]:
    stmt = select(clusters).where(*where).order_by(clusters.c.id).limit(limit)
    return [_cluster(row) for row in (await tx.execute(stmt)).all()]


async def add(tx: AsyncConnection, cluster: Cluster) -> None:
    await tx.execute(insert(clusters).values(_values(cluster)))


async def save(tx: AsyncConnection, cluster: Cluster) -> None:
    """Writes over the version just before this one, or refuses."""
    before = (clusters.c.id == cluster.id) & (clusters.c.version == cluster.version - 1)
    if (await tx.execute(update(clusters).where(before).values(_values(cluster)))).rowcount != 1:
        raise stale("cluster", cluster.id)


async def remove(tx: AsyncConnection, cluster_id: str) -> None:
    await tx.execute(delete(shards).where(shards.c.cluster_id == cluster_id))
    await tx.execute(delete(clusters).where(clusters.c.id == cluster_id))


async def all_shards(tx: AsyncConnection) -> list[Shard]:
    stmt = select(shards).order_by(shards.c.cluster_id, shards.c.id)
    return [_shard(row) for row in (await tx.execute(stmt)).all()]


async def list_shards(tx: AsyncConnection, where: Sequence[ColumnElement[bool]], limit: int) -> list[Shard]:
    stmt = select(shards).where(*where).order_by(shards.c.cluster_id, shards.c.id).limit(limit)
    return [_shard(row) for row in (await tx.execute(stmt)).all()]


def _shard(row: Row[Any]) -> Shard:
    return Shard(id=row.id, cluster_id=row.cluster_id, create_time=row.create_time, tenant_count=row.tenant_count)


async def add_shard(tx: AsyncConnection, shard: Shard) -> None:
    await tx.execute(insert(shards).values(cluster_id=shard.cluster_id, id=shard.id, create_time=shard.create_time))


async def count(tx: AsyncConnection, by_cluster: Mapping[tuple[str, str], int]) -> None:
    """Adds to the counts: (cluster, shard) -> how many tenants came, or went when negative."""
    totals: dict[str, int] = {}
    for (cluster_id, _), number in by_cluster.items():
        totals[cluster_id] = totals.get(cluster_id, 0) + number
    for cluster_id, number in sorted(totals.items()):
        if number:
            stmt = update(clusters).where(clusters.c.id == cluster_id)
            await tx.execute(stmt.values(tenant_count=clusters.c.tenant_count + number))
    for (cluster_id, shard_id), number in sorted(by_cluster.items()):
        if number and shard_id:
            here = (shards.c.cluster_id == cluster_id) & (shards.c.id == shard_id)
            await tx.execute(update(shards).where(here).values(tenant_count=shards.c.tenant_count + number))


async def get_region(tx: AsyncConnection, region_id: str) -> Region:
    row = (await tx.execute(select(regions).where(regions.c.id == region_id))).one_or_none()
    if row is None:
        raise NotFound("REGION_NOT_FOUND", f"there is no region {region_id}", id=region_id)
    return Region(row.id, row.display_name, row.create_time)


async def region_ids(tx: AsyncConnection) -> set[str]:
    return set((await tx.execute(select(regions.c.id))).scalars())


async def add_region(tx: AsyncConnection, region: Region) -> None:
    await tx.execute(
        insert(regions).values(id=region.id, display_name=region.display_name, create_time=region.create_time)
    )


async def list_regions(tx: AsyncConnection, where: Sequence[ColumnElement[bool]], limit: int) -> list[Region]:
    stmt = select(regions).where(*where).order_by(regions.c.id).limit(limit)
    return [Region(row.id, row.display_name, row.create_time) for row in (await tx.execute(stmt)).all()]
