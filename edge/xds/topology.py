"""What to serve, with no word of xDS: tenants, their names and the clusters, as the catalog last told."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum


class State(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    GONE = "gone"


class Mode(StrEnum):
    NORMAL = "normal"
    READ_ONLY = "read_only"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class Domain:
    """A name, in lower case, and the number that the catalog gave it once and for all."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Tenant:
    id: str
    code: str
    revision: int
    state: State = State.ACTIVE
    mode: Mode = Mode.NORMAL
    display_name: str = ""
    # Empty until the tenant is placed.
    cluster_id: str = ""
    domains: tuple[Domain, ...] = ()
    notice: str = ""
    # As the catalog names the state, for people: `pending` and `gone` each stand for several.
    catalog_state: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Cluster:
    id: str
    revision: int
    region_id: str = ""
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(slots=True)
class Changes:
    """What one step changed; a name that changed hands is in both of the first two."""

    claimed: dict[str, "Claim"] = field(default_factory=dict)
    released: list["Claim"] = field(default_factory=list)
    tenants: set[str] = field(default_factory=set)
    clusters: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Claim:
    """A domain in the hands of a tenant."""

    domain: Domain
    tenant_id: str
    revision: int


class Topology:
    """One owner to a name, in whatever order entries come: Envoy refuses a response that doubles a key as a whole."""

    def __init__(self) -> None:
        self.revision = 0
        self.tenants: dict[str, Tenant] = {}
        self.clusters: dict[str, Cluster] = {}
        self.claims: dict[str, Claim] = {}

    def apply(
        self,
        revision: int,
        tenants: Iterable[Tenant] = (),
        clusters: Iterable[Cluster] = (),
        removed_tenants: Iterable[str] = (),
        removed_clusters: Iterable[str] = (),
    ) -> Changes:
        """One whole step; an entry older than what is known of its tenant or cluster changes nothing."""
        changes = Changes()
        for tenant_id in removed_tenants:
            if (gone := self.tenants.pop(tenant_id, None)) is not None:
                changes.tenants.add(tenant_id)
                self._release(gone, {domain.name for domain in gone.domains}, changes)
        for tenant in sorted(tenants, key=lambda tenant: tenant.revision):
            known = self.tenants.get(tenant.id)
            if known is not None and known.revision >= tenant.revision:
                continue
            self.tenants[tenant.id] = tenant
            changes.tenants.add(tenant.id)
            if known is not None and known.domains != tenant.domains:
                kept = {domain.name for domain in tenant.domains}
                self._release(known, {domain.name for domain in known.domains} - kept, changes)
            self._claim(tenant, changes)
        for cluster_id in removed_clusters:
            if self.clusters.pop(cluster_id, None) is not None:
                changes.clusters.add(cluster_id)
        for cluster in clusters:
            known_cluster = self.clusters.get(cluster.id)
            if known_cluster is None or known_cluster.revision < cluster.revision:
                self.clusters[cluster.id] = cluster
                changes.clusters.add(cluster.id)
        self.revision = max(self.revision, revision)
        return changes

    def replace(self, revision: int, tenants: Iterable[Tenant], clusters: Iterable[Cluster]) -> Changes:
        """A snapshot: what it does not name is gone."""
        tenants, clusters = list(tenants), list(clusters)
        return self.apply(
            revision,
            tenants,
            clusters,
            self.tenants.keys() - {tenant.id for tenant in tenants},
            self.clusters.keys() - {cluster.id for cluster in clusters},
        )

    def forget_revisions(self) -> None:
        """Whatever comes next is newer than what is known."""
        self.revision = 0
        self.tenants = {key: replace(tenant, revision=-1) for key, tenant in self.tenants.items()}
        self.clusters = {key: replace(cluster, revision=-1) for key, cluster in self.clusters.items()}
        self.claims = {key: replace(claim, revision=-1) for key, claim in self.claims.items()}

    def owner(self, host: str) -> Tenant | None:
        claim = self.claims.get(host)
        return None if claim is None else self.tenants.get(claim.tenant_id)

    def _claim(self, tenant: Tenant, changes: Changes) -> None:
        for domain in tenant.domains:
            held = self.claims.get(domain.name)
            if held is not None:
                if held.tenant_id == tenant.id and held.domain == domain:
                    continue
                if held.tenant_id != tenant.id and held.revision > tenant.revision:
                    continue
                if held.domain != domain:
                    changes.released.append(held)
            claim = Claim(domain, tenant.id, tenant.revision)
            self.claims[domain.name] = changes.claimed[domain.name] = claim

    def _release(self, tenant: Tenant, names: set[str], changes: Changes) -> None:
        for name in names:
            held = self.claims.get(name)
            if held is not None and held.tenant_id == tenant.id:
                del self.claims[name]
                changes.claimed.pop(name, None)
                changes.released.append(held)
