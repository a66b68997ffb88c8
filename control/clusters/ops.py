"""Adding regions and clusters, by an operator or when the platform starts for the first time."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from control.catalog.store import Change, record
from control.clusters import domain, store
from control.clusters.domain import Cluster, Endpoint, Region, Shard
from shared.runtime.clock import Clock
from shared.runtime.db import Database, constraints


@dataclass(frozen=True, slots=True)
class Seed:
    """A cluster that the platform starts with."""

    cluster_id: str
    region_id: str
    endpoint: Endpoint


async def create_region(tx: AsyncConnection, region: Region) -> None:
    with constraints({"regions_pkey": store.REGION_EXISTS}):
        await store.add_region(tx, region)
    after = {"id": region.id, "display_name": region.display_name}
    await record(tx, [Change("region", region.id, "created", "", {}, after)])


async def create_cluster(tx: AsyncConnection, cluster: Cluster) -> int:
    """Adds the cluster with its first shard; the change's revision."""
    domain.check_endpoints(cluster.endpoints)
    await store.get_region(tx, cluster.region_id)
    with constraints({"clusters_pkey": store.CLUSTER_EXISTS}):
        await store.add(tx, cluster)
    await store.add_shard(tx, Shard(f"{cluster.id}-s1", cluster.id, cluster.create_time))
    [revision] = await record(tx, [store.changed(None, cluster, "created", "")])
    return revision


async def seed(db: Database, clock: Clock, seeds: Sequence[Seed]) -> None:
    """Adds the clusters and their regions when there are none at all: what operators add and remove later stays so.

    A cluster of a seed's machine listens at the seed's port from now on.
    """
    if not seeds:
        return
    async with db.transaction() as tx:
        # Control processes that start together do this one after the other.
        await tx.execute(select(func.pg_advisory_xact_lock(func.hashtext("center-seed"))))
        now = clock.now()
        known = {cluster.id: cluster for cluster in await store.all_clusters(tx, lock=True)}
        if not known:
            regions = await store.region_ids(tx)
            for region_id in sorted({each.region_id for each in seeds} - regions):
                await create_region(tx, Region(region_id, region_id.upper(), now))
            for each in seeds:
                await create_cluster(
                    tx, Cluster(each.cluster_id, each.region_id, each.cluster_id, now, now, (each.endpoint,))
                )
            return
        for each in seeds:
            before = known.get(each.cluster_id)
            same_machine = before is not None and [old.host for old in before.endpoints] == [each.endpoint.host]
            if before is not None and same_machine and before.endpoints != (each.endpoint,):
                after = domain.update(
                    before,
                    "",
                    now,
                    display_name=before.display_name,
                    endpoints=(each.endpoint,),
                    tiers=before.tiers,
                    capacity=before.capacity,
                    labels=before.labels,
                )
                await store.save(tx, after)
                await record(tx, [store.changed(before, after, "updated", "the platform's ports changed")])
