"""What a tenant may do at this cluster: a pure decision over what the cluster knows of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.runtime.errors import FailedPrecondition, NotFound, PlatformError, Unavailable

# How soon a refused caller may ask again. A freeze lasts as long as the copy of the last rows; maintenance lasts;
# an Envoy that has lost its edge looks for it once a second.
MOVING_RETRY_S = 0.25
MOVED_RETRY_S = 1.0
MAINTENANCE_RETRY_S = 30.0


class State(StrEnum):
    DRAFT = "DRAFT"
    PROVISIONING = "PROVISIONING"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    TERMINATED = "TERMINATED"
    FAILED = "FAILED"
    DELETING = "DELETING"


class Mode(StrEnum):
    NORMAL = "NORMAL"
    READ_ONLY = "READ_ONLY"
    MAINTENANCE = "MAINTENANCE"


# The route is opened after the cluster has acknowledged the tenant and before it has learnt that the tenant is active:
# who is told to prepare a tenant serves it.
OPEN = frozenset({State.PROVISIONING, State.ACTIVE})
CLOSED = frozenset({State.SUSPENDED, State.TERMINATED, State.DELETING})

# In these states a tenant of the catalog is one that some cluster should serve or keep.
KEPT = frozenset({State.ACTIVE, *CLOSED})


@dataclass(frozen=True, slots=True)
class Local:
    """What this cluster knows of one tenant.

    placed_here: the catalog says that the tenant lives here.
    arriving: the catalog says that a move brings the tenant here.
    served: requests are answered. Not the same: the target of a move serves reads from the end of the import on, and
    its source until the rows are removed, so that no request finds a gap between route and cluster. One that is not
    served was removed; its state says whether it is gone, or ACTIVE elsewhere.
    """

    tenant_id: str
    revision: int
    state: State
    mode: Mode
    writes_frozen: bool
    placed_here: bool
    arriving: bool
    served: bool

    @property
    def is_writable(self) -> bool:
        """The same as the generated column `writable`, which the row policies ask for."""
        return (
            self.served
            and self.placed_here
            and not self.writes_frozen
            and self.mode is Mode.NORMAL
            and self.state in OPEN
        )


def refusal(tenant_id: str, local: Local | None, *, mutates: bool) -> PlatformError | None:
    """Why a call for the tenant is not served now; None when it is."""
    if local is not None and not local.served and local.state in OPEN:
        # An Envoy that was cut off from its edge for long has still a route to here. It will hear where the shop is, so
        # its callers are told to come again, and not that there is no such shop.
        message = "the shop has moved to another place; try again"
        return Unavailable("TENANT_MOVING", message, retry_after_s=MOVED_RETRY_S, tenant_id=tenant_id)
    if local is None or not local.served or local.state not in OPEN | CLOSED:
        return NotFound("TENANT_NOT_FOUND", f"no tenant {tenant_id} here", tenant_id=tenant_id)
    if local.state in CLOSED:
        message = f"the shop is {local.state.lower()}"
        return FailedPrecondition("TENANT_SUSPENDED", message, tenant_id=tenant_id, state=local.state)
    if local.mode is Mode.MAINTENANCE:
        message = "the shop is under maintenance; try again later"
        return Unavailable("TENANT_MAINTENANCE", message, retry_after_s=MAINTENANCE_RETRY_S, tenant_id=tenant_id)
    if not mutates:
        return None
    if local.mode is Mode.READ_ONLY:
        return FailedPrecondition("TENANT_READ_ONLY", "the shop is read-only for now", tenant_id=tenant_id)
    if local.writes_frozen or not local.placed_here:
        return moving(tenant_id)
    return None


def outlives(local: Local, revision: int) -> bool:
    """Whether the tenant stays in spite of a removal that stands on `revision`: a newer entry has it live here, or come
    here, so the removal is late."""
    return local.revision > revision and (local.placed_here or local.arriving)


def has_moved(local: Local, revision: int) -> bool:
    """Whether the removal that stands on `revision` takes a tenant from here that lives on elsewhere: a move freezes it
    first, and then the catalog places it there. A removal that comes again finds what the first one left."""
    leaves = local.writes_frozen or not local.placed_here if local.served else local.revision >= revision
    return leaves and local.state in {State.ACTIVE, State.SUSPENDED}


def moving(tenant_id: str) -> Unavailable:
    message = "the shop is moving to another place; its writes wait for a moment"
    return Unavailable("TENANT_MOVING", message, retry_after_s=MOVING_RETRY_S, tenant_id=tenant_id)


def drift(ours: Mapping[str, object] | None, theirs: Mapping[str, object]) -> list[str]:
    """The fields in which what the cluster has differs from the catalog's entry, sorted."""
    if ours is None:
        return ["missing"]
    return sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
