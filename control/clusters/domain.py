"""Where tenants can live, and which place is best: a pure function of needs and sites."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from shared.runtime.errors import FailedPrecondition, InvalidArgument, check_etag

DEFAULT_CAPACITY = 1_000_000

# What a cluster's own free share and its region's weigh in a score: a region that fills up is left alone before its
# last cluster is full.
_CLUSTER_WEIGHT = 0.75
_REGION_WEIGHT = 0.25


class State(StrEnum):
    OPEN = "OPEN"
    CLOSED = "CLOSED"
    DRAINING = "DRAINING"


@dataclass(frozen=True, slots=True)
class Endpoint:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Region:
    id: str
    display_name: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Shard:
    id: str
    cluster_id: str
    create_time: datetime
    tenant_count: int = 0


@dataclass(frozen=True, slots=True)
class Cluster:
    id: str
    region_id: str
    display_name: str
    create_time: datetime
    update_time: datetime
    endpoints: tuple[Endpoint, ...] = ()
    tiers: tuple[str, ...] = ()
    capacity: int = DEFAULT_CAPACITY
    dedicated: bool = False
    state: State = State.OPEN
    labels: Mapping[str, str] = field(default_factory=dict)
    tenant_count: int = 0
    version: int = 1
    revision: int = 0

    @property
    def etag(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Needs:
    """What decides on a placement; an empty text or tuple asks for nothing."""

    region_id: str = ""
    plan_id: str = ""
    dedicated: bool = False
    residency: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    cluster_id: str
    region_id: str
    shard_id: str
    eligible: bool
    # Between 0 and 1; 0 when not eligible.
    score: float
    reasons: tuple[str, ...]


def rank(needs: Needs, clusters: Sequence[Cluster], shards: Iterable[Shard]) -> list[Candidate]:
    """Every cluster with its reasons, the best first; equal ones by id."""
    held: dict[str, list[Shard]] = {}
    for shard in shards:
        held.setdefault(shard.cluster_id, []).append(shard)
    free = _free_share_by_region(clusters)
    candidates = [_judge(needs, cluster, held.get(cluster.id, []), free) for cluster in clusters]
    return sorted(candidates, key=lambda each: (not each.eligible, -each.score, each.cluster_id))


def best(needs: Needs, clusters: Sequence[Cluster], shards: Iterable[Shard]) -> Candidate | None:
    ranked = rank(needs, clusters, shards)
    return ranked[0] if ranked and ranked[0].eligible else None


def spread(
    wanted: Sequence[Needs], clusters: Sequence[Cluster], shards: Sequence[Shard]
) -> tuple[list[Candidate | None], list[Cluster], list[Shard]]:
    """Places many at once, each seeing those before it; also returns the clusters and shards with their new counts."""
    by_cluster = {cluster.id: cluster for cluster in clusters}
    by_shard = {(shard.cluster_id, shard.id): shard for shard in shards}
    placed: list[Candidate | None] = []
    for needs in wanted:
        chosen = best(needs, list(by_cluster.values()), by_shard.values())
        placed.append(chosen)
        if chosen is not None:
            cluster = by_cluster[chosen.cluster_id]
            by_cluster[cluster.id] = replace(cluster, tenant_count=cluster.tenant_count + 1)
            key = (chosen.cluster_id, chosen.shard_id)
            if key in by_shard:
                by_shard[key] = replace(by_shard[key], tenant_count=by_shard[key].tenant_count + 1)
    return placed, list(by_cluster.values()), list(by_shard.values())


def _free_share_by_region(clusters: Iterable[Cluster]) -> dict[str, float]:
    room: dict[str, tuple[int, int]] = {}
    for cluster in clusters:
        used, capacity = room.get(cluster.region_id, (0, 0))
        room[cluster.region_id] = used + cluster.tenant_count, capacity + cluster.capacity
    return {region: _free_share(used, capacity) for region, (used, capacity) in room.items()}


def _free_share(used: int, capacity: int) -> float:
    return max(0.0, 1 - used / capacity) if capacity else 0.0


def _judge(needs: Needs, cluster: Cluster, shards: Sequence[Shard], region_free: Mapping[str, float]) -> Candidate:
    against = _against(needs, cluster)
    shard = min(shards, key=lambda each: (each.tenant_count, each.id), default=None)
    shard_id = shard.id if shard is not None else ""
    if against:
        return Candidate(cluster.id, cluster.region_id, shard_id, False, 0.0, tuple(against))
    own, region = _free_share(cluster.tenant_count, cluster.capacity), region_free[cluster.region_id]
    # An eligible cluster has room for one at least, so its score is above zero.
    score = min(1.0, _CLUSTER_WEIGHT * own + _REGION_WEIGHT * region)
    reasons = (
        f"{cluster.tenant_count} of {cluster.capacity} tenants, {own:.2%} free",
        f"region {cluster.region_id} is {region:.2%} free",
    )
    return Candidate(cluster.id, cluster.region_id, shard_id, True, score, reasons)


def _against(needs: Needs, cluster: Cluster) -> list[str]:
    """Every hard constraint that keeps the tenant away; none means that the cluster can take it."""
    against = []
    if cluster.state is not State.OPEN:
        against.append(f"state: the cluster is {cluster.state}, it takes no new tenants")
    if needs.region_id and cluster.region_id != needs.region_id:
        against.append(f"region: {cluster.region_id} is not {needs.region_id}")
    if needs.residency and cluster.region_id not in needs.residency:
        against.append(f"residency: {cluster.region_id} is not among {', '.join(needs.residency)}")
    if cluster.tiers and needs.plan_id and needs.plan_id not in cluster.tiers:
        against.append(f"tier: plan {needs.plan_id} is not among {', '.join(cluster.tiers)}")
    if needs.dedicated and not cluster.dedicated:
        against.append("isolation: the cluster is shared")
    if cluster.dedicated and not needs.dedicated:
        against.append("isolation: the cluster is kept for dedicated tenants")
    if cluster.dedicated and needs.dedicated and cluster.tenant_count:
        against.append("isolation: another tenant has the cluster")
    if cluster.tenant_count >= cluster.capacity:
        against.append(f"capacity: {cluster.tenant_count} of {cluster.capacity} tenants")
    return against


def refused(candidates: Sequence[Candidate]) -> FailedPrecondition:
    why = "; ".join(f"{each.cluster_id}: {', '.join(each.reasons)}" for each in candidates) or "there is no cluster"
    return FailedPrecondition("PLACEMENT_REFUSED", "no cluster can take the tenant: " + why, why=why[:1000])


def update(
    cluster: Cluster,
    etag: str,
    now: datetime,
    *,
    display_name: str,
    endpoints: tuple[Endpoint, ...],
    tiers: tuple[str, ...],
    capacity: int,
    labels: Mapping[str, str],
) -> Cluster:
    check_etag("cluster", cluster.id, cluster.etag, etag)
    check_endpoints(endpoints)
    return replace(
        cluster,
        display_name=display_name,
        endpoints=endpoints,
        tiers=tiers,
        capacity=capacity or DEFAULT_CAPACITY,
        labels=labels,
        version=cluster.version + 1,
        update_time=now,
    )


def set_state(cluster: Cluster, state: State, etag: str, now: datetime) -> Cluster:
    check_etag("cluster", cluster.id, cluster.etag, etag)
    return replace(cluster, state=state, version=cluster.version + 1, update_time=now)


def check_deletable(cluster: Cluster, etag: str) -> None:
    check_etag("cluster", cluster.id, cluster.etag, etag)
    if cluster.tenant_count:
        raise FailedPrecondition(
            "CLUSTER_IN_USE",
            f"cluster {cluster.id} has {cluster.tenant_count} tenants: move them first",
            tenant_count=str(cluster.tenant_count),
        )


def check_endpoints(endpoints: Sequence[Endpoint]) -> None:
    if len(set(endpoints)) != len(endpoints):
        raise InvalidArgument("ENDPOINT_REPEATED", "an endpoint stands twice", fields={"cluster.endpoints": "repeated"})


def facts(cluster: Cluster) -> dict[str, str]:
    """The cluster as flat texts in the contract's names, for the audit to compare."""
    return {
        "region_id": cluster.region_id,
        "display_name": cluster.display_name,
        "endpoints": ",".join(f"{each.host}:{each.port}" for each in cluster.endpoints),
        "tiers": ",".join(cluster.tiers),
        "capacity": str(cluster.capacity),
        "dedicated": "true" if cluster.dedicated else "",
        "state": cluster.state,
        **{f"labels.{key}": value for key, value in sorted(cluster.labels.items())},
    }


def without_region(needs: Needs) -> Needs:
    return replace(needs, region_id="")
