"""What to serve, with no word of xDS: tenants, solutions, their names and the clusters, as the catalog last told."""

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


# What the name of a solution's routes and cluster begins with: no tenant's or cluster's id has a slash.
SOLUTION = "solution/"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a request to a solution is; the first that fits counts."""

    path_prefix: str
    # Empty fits every method; GET fits HEAD, too.
    methods: tuple[str, ...] = ()
    # Empty: let through unvalidated.
    action: str = ""
    cost: int = 1


@dataclass(frozen=True, slots=True)
class Solution:
    """An application of the marketplace; without an upstream it stands elsewhere, and has no names here."""

    id: str
    revision: int
    display_name: str = ""
    domains: tuple[Domain, ...] = ()
    upstream: Endpoint | None = None
    rules: tuple[Rule, ...] = ()

    @property
    def name(self) -> str:
        """Beside the ids of tenants and clusters."""
        return f"{SOLUTION}{self.id}"


@dataclass(slots=True)
class Changes:
    """What one step changed; a name that changed hands is in both of the first two."""

    claimed: dict[str, "Claim"] = field(default_factory=dict)
    released: list["Claim"] = field(default_factory=list)
    tenants: set[str] = field(default_factory=set)
    clusters: set[str] = field(default_factory=set)
    solutions: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Claim:
    """A domain in the hands of a tenant or of a solution."""

    domain: Domain
    # A tenant's id, or a solution's name.
    owner: str
    revision: int


class Topology:
    """One owner to a name, in whatever order entries come: Envoy refuses a response that doubles a key as a whole."""

    def __init__(self) -> None:
        self.revision = 0
        self.tenants: dict[str, Tenant] = {}
        self.clusters: dict[str, Cluster] = {}
        self.solutions: dict[str, Solution] = {}
        self.claims: dict[str, Claim] = {}

    def apply(
        self,
        revision: int,
        tenants: Iterable[Tenant] = (),
        clusters: Iterable[Cluster] = (),
        removed_tenants: Iterable[str] = (),
        removed_clusters: Iterable[str] = (),
        solutions: Iterable[Solution] = (),
        removed_solutions: Iterable[str] = (),
    ) -> Changes:
        """One whole step; an entry older than what is known of its tenant, cluster or solution changes nothing."""
        changes = Changes()
        for tenant_id in removed_tenants:
            if (gone := self.tenants.pop(tenant_id, None)) is not None:
                changes.tenants.add(tenant_id)
                self._release(gone.id, gone.domains, changes)
        for solution_id in removed_solutions:
            if (gone_solution := self.solutions.pop(solution_id, None)) is not None:
                changes.solutions.add(solution_id)
                self._release(gone_solution.name, gone_solution.domains, changes)
        for tenant in sorted(tenants, key=lambda tenant: tenant.revision):
            known = self.tenants.get(tenant.id)
            if known is not None and known.revision >= tenant.revision:
                continue
            self.tenants[tenant.id] = tenant
            changes.tenants.add(tenant.id)
            if known is not None:
                self._release(known.id, known.domains, changes, kept=tenant.domains)
            self._claim(tenant.id, tenant.revision, tenant.domains, changes)
        for solution in sorted(solutions, key=lambda solution: solution.revision):
            known_solution = self.solutions.get(solution.id)
            if known_solution is not None and known_solution.revision >= solution.revision:
                continue
            self.solutions[solution.id] = solution
            changes.solutions.add(solution.id)
            if known_solution is not None:
                self._release(solution.name, known_solution.domains, changes, kept=solution.domains)
            self._claim(solution.name, solution.revision, solution.domains, changes)
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

    def replace(
        self, revision: int, tenants: Iterable[Tenant], clusters: Iterable[Cluster], solutions: Iterable[Solution] = ()
    ) -> Changes:
        """A snapshot: what it does not name is gone."""
        tenants, clusters, solutions = list(tenants), list(clusters), list(solutions)
        return self.apply(
            revision,
            tenants,
            clusters,
            self.tenants.keys() - {tenant.id for tenant in tenants},
            self.clusters.keys() - {cluster.id for cluster in clusters},
            solutions,
            self.solutions.keys() - {solution.id for solution in solutions},
        )

    def forget_revisions(self) -> None:
        """Whatever comes next is newer than what is known."""
        self.revision = 0
        self.tenants = {key: replace(tenant, revision=-1) for key, tenant in self.tenants.items()}
        self.clusters = {key: replace(cluster, revision=-1) for key, cluster in self.clusters.items()}
        self.solutions = {key: replace(solution, revision=-1) for key, solution in self.solutions.items()}
        self.claims = {key: replace(claim, revision=-1) for key, claim in self.claims.items()}

    def owner(self, host: str) -> Tenant | Solution | None:
        claim = self.claims.get(host)
        if claim is None:
            return None
        if claim.owner.startswith(SOLUTION):
            return self.solutions.get(claim.owner.removeprefix(SOLUTION))
        return self.tenants.get(claim.owner)

    def name_of(self, solution_id: str) -> str:
        """As people know it."""
        solution = self.solutions.get(solution_id)
        return "" if solution is None else solution.display_name

    def _claim(self, owner: str, revision: int, domains: Iterable[Domain], changes: Changes) -> None:
        for domain in domains:
            held = self.claims.get(domain.name)
            if held is not None:
                if held.owner == owner and held.domain == domain:
                    continue
                if held.owner != owner and held.revision > revision:
                    continue
                if held.domain != domain:
                    changes.released.append(held)
            claim = Claim(domain, owner, revision)
            self.claims[domain.name] = changes.claimed[domain.name] = claim

    def _release(self, owner: str, domains: Iterable[Domain], changes: Changes, kept: Iterable[Domain] = ()) -> None:
        for name in {domain.name for domain in domains} - {domain.name for domain in kept}:
            held = self.claims.get(name)
            if held is not None and held.owner == owner:
                del self.claims[name]
                changes.claimed.pop(name, None)
                changes.released.append(held)
