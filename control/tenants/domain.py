"""What a tenant is, and which changes to one are allowed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.runtime.clock import time_zones
from shared.runtime.errors import FailedPrecondition, InvalidArgument, check_etag
from shared.runtime.money import CURRENCIES

DEFAULT_PLAN = "standard"
DEFAULT_GRACE = timedelta(days=30)


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


class Isolation(StrEnum):
    SHARED = "SHARED"
    DEDICATED = "DEDICATED"


class Action(StrEnum):
    """What can be done to a tenant; the first four are the contract's TenantAction."""

    ACTIVATE = "ACTIVATE"
    SUSPEND = "SUSPEND"
    RESUME = "RESUME"
    TERMINATE = "TERMINATE"
    UPDATE = "UPDATE"
    SET_MODE = "SET_MODE"
    CHANGE_DOMAINS = "CHANGE_DOMAINS"
    MOVE = "MOVE"
    DELETE = "DELETE"
    UNDELETE = "UNDELETE"
    # The steps of workflows, never an operator's.
    PROVISION = "PROVISION"
    GIVE_UP = "GIVE_UP"
    PURGE = "PURGE"


STATUS_ACTIONS = (Action.ACTIVATE, Action.SUSPEND, Action.RESUME, Action.TERMINATE)
WORKFLOW_ACTIONS = (Action.PROVISION, Action.GIVE_UP, Action.PURGE)

# The whole machine: (state, action) -> the state after it. What is not here is refused. UNDELETE's result stands with
# the tenant: the state that it was deleted in.
TRANSITIONS: Mapping[tuple[State, Action], State] = {
    (State.DRAFT, Action.ACTIVATE): State.PROVISIONING,
    (State.DRAFT, Action.TERMINATE): State.TERMINATED,
    (State.DRAFT, Action.UPDATE): State.DRAFT,
    (State.DRAFT, Action.CHANGE_DOMAINS): State.DRAFT,
    (State.DRAFT, Action.DELETE): State.DELETING,
    (State.PROVISIONING, Action.UPDATE): State.PROVISIONING,
    (State.PROVISIONING, Action.CHANGE_DOMAINS): State.PROVISIONING,
    (State.PROVISIONING, Action.PROVISION): State.ACTIVE,
    (State.PROVISIONING, Action.GIVE_UP): State.FAILED,
    (State.ACTIVE, Action.SUSPEND): State.SUSPENDED,
    (State.ACTIVE, Action.TERMINATE): State.TERMINATED,
    (State.ACTIVE, Action.UPDATE): State.ACTIVE,
    (State.ACTIVE, Action.SET_MODE): State.ACTIVE,
    (State.ACTIVE, Action.CHANGE_DOMAINS): State.ACTIVE,
    (State.ACTIVE, Action.MOVE): State.ACTIVE,
    (State.ACTIVE, Action.DELETE): State.DELETING,
    (State.SUSPENDED, Action.RESUME): State.ACTIVE,
    (State.SUSPENDED, Action.TERMINATE): State.TERMINATED,
    (State.SUSPENDED, Action.UPDATE): State.SUSPENDED,
    (State.SUSPENDED, Action.SET_MODE): State.SUSPENDED,
    (State.SUSPENDED, Action.CHANGE_DOMAINS): State.SUSPENDED,
    (State.SUSPENDED, Action.MOVE): State.SUSPENDED,
    (State.SUSPENDED, Action.DELETE): State.DELETING,
    (State.TERMINATED, Action.UPDATE): State.TERMINATED,
    (State.TERMINATED, Action.DELETE): State.DELETING,
    (State.FAILED, Action.ACTIVATE): State.PROVISIONING,
    (State.FAILED, Action.TERMINATE): State.TERMINATED,
    (State.FAILED, Action.UPDATE): State.FAILED,
    (State.FAILED, Action.CHANGE_DOMAINS): State.FAILED,
    (State.FAILED, Action.DELETE): State.DELETING,
    (State.DELETING, Action.UNDELETE): State.DELETING,
    (State.DELETING, Action.PURGE): State.DELETING,
}

# What waits until the operation that works on the tenant has ended.
_EXCLUSIVE = frozenset(
    (Action.ACTIVATE, Action.SUSPEND, Action.RESUME, Action.TERMINATE, Action.MOVE, Action.DELETE, Action.UNDELETE)
)


@dataclass(frozen=True, slots=True)
class Config:
    """What a shop may set about itself; an empty text is a value that is not set."""

    version: int = 1
    currency_code: str = ""
    locale: str = ""
    time_zone: str = ""
    support_email: str = ""
    accent_color: str = ""
    logo_url: str = ""
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    region_id: str = ""
    cluster_id: str = ""
    shard_id: str = ""
    isolation: Isolation = Isolation.SHARED
    residency: tuple[str, ...] = ()
    moving_to_cluster_id: str = ""
    writes_frozen: bool = False


@dataclass(frozen=True, slots=True)
class Name:
    """A verified domain; `number` is short, unique and never used again."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Tenant:
    id: str
    code: str
    display_name: str
    create_time: datetime
    update_time: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    state: State = State.DRAFT
    state_reason: str = ""
    mode: Mode = Mode.NORMAL
    mode_reason: str = ""
    mode_expire_time: datetime | None = None
    plan_id: str = DEFAULT_PLAN
    # The region that was asked for; placement.region_id is where the tenant is.
    wanted_region_id: str = ""
    placement: Placement = Placement()
    primary_domain: str = ""
    config: Config = Config()
    delete_time: datetime | None = None
    purge_time: datetime | None = None
    undelete_state: State | None = None
    operation_id: str | None = None
    version: int = 1
    revision: int = 0
    # Verified names, sorted; kept by the domains' own rows.
    names: tuple[Name, ...] = ()

    @property
    def etag(self) -> str:
        return str(self.version)


def allowed(state: State) -> list[Action]:
    """What an operator may do to a tenant in this state."""
    return [action for action in Action if (state, action) in TRANSITIONS and action not in WORKFLOW_ACTIONS]


def check(tenant: Tenant, action: Action, etag: str = "") -> State:
    """The state after `action`, or why there is none."""
    check_etag("tenant", tenant.id, tenant.etag, etag)
    if (tenant.state, action) not in TRANSITIONS:
        possible = [str(each) for each in allowed(tenant.state)]
        raise FailedPrecondition(
            "TENANT_TRANSITION_ILLEGAL",
            f"a tenant that is {tenant.state} does not take {action}; possible are {', '.join(possible)}",
            id=tenant.id,
            state=str(tenant.state),
            allowed=",".join(possible),
        )
    if action in _EXCLUSIVE and tenant.operation_id:
        raise FailedPrecondition(
            "TENANT_BUSY",
            f"operations/{tenant.operation_id} works on tenant {tenant.code}: wait for it or cancel it",
            id=tenant.id,
            operation=f"operations/{tenant.operation_id}",
        )
    return TRANSITIONS[tenant.state, action]


def _next(tenant: Tenant, now: datetime, **changes: object) -> Tenant:
    return replace(tenant, version=tenant.version + 1, update_time=now, **changes)  # type: ignore[arg-type]


def change_status(tenant: Tenant, action: Action, reason: str, etag: str, now: datetime) -> Tenant:
    state = check(tenant, action, etag)
    return _next(tenant, now, state=state, state_reason=reason)


def begin(tenant: Tenant, operation_id: str, now: datetime, **placement: object) -> Tenant:
    """The tenant with an operation that works on it from now on."""
    changed = replace(tenant.placement, **placement)  # type: ignore[arg-type]
    return _next(tenant, now, operation_id=operation_id, placement=changed)


def attached(tenant: Tenant, operation_id: str) -> Tenant:
    """The tenant with the operation that this very change begins."""
    return replace(tenant, operation_id=operation_id)


def place(tenant: Tenant, region_id: str, cluster_id: str, shard_id: str, now: datetime) -> Tenant:
    placed = replace(tenant.placement, region_id=region_id, cluster_id=cluster_id, shard_id=shard_id)
    return _next(tenant, now, placement=placed)


def provisioned(tenant: Tenant, now: datetime) -> Tenant:
    state = check(tenant, Action.PROVISION)
    return _next(tenant, now, state=state, operation_id=None)


def give_up(tenant: Tenant, reason: str, now: datetime) -> Tenant:
    state = check(tenant, Action.GIVE_UP)
    unplaced = replace(tenant.placement, region_id="", cluster_id="", shard_id="")
    return _next(tenant, now, state=state, state_reason=reason, placement=unplaced, operation_id=None)


def freeze(tenant: Tenant, now: datetime) -> Tenant:
    return _next(tenant, now, placement=replace(tenant.placement, writes_frozen=True))


def stay(tenant: Tenant, now: datetime) -> Tenant:
    """A move ended before its switch: the tenant is where it was, and may be written to."""
    kept = replace(tenant.placement, moving_to_cluster_id="", writes_frozen=False)
    return _next(tenant, now, placement=kept, operation_id=None)


def switch(tenant: Tenant, region_id: str, shard_id: str, now: datetime) -> Tenant:
    moved = replace(
        tenant.placement,
        region_id=region_id,
        cluster_id=tenant.placement.moving_to_cluster_id,
        shard_id=shard_id,
        moving_to_cluster_id="",
        writes_frozen=False,
    )
    return _next(tenant, now, placement=moved)


def release(tenant: Tenant, now: datetime) -> Tenant:
    """The operation that worked on the tenant has ended."""
    return _next(tenant, now, operation_id=None)


def set_mode(tenant: Tenant, mode: Mode, reason: str, expire_time: datetime | None, etag: str, now: datetime) -> Tenant:
    check(tenant, Action.SET_MODE, etag)
    if expire_time is not None and mode is Mode.NORMAL:
        raise InvalidArgument(
            "MODE_HAS_NO_END", "the normal mode has no end", fields={"expire_time": "leave it out with NORMAL"}
        )
    if expire_time is not None and expire_time <= now:
        raise InvalidArgument("TIME_PAST", "the mode would end before it began", fields={"expire_time": "is past"})
    return _next(tenant, now, mode=mode, mode_reason=reason, mode_expire_time=expire_time)


def expire_mode(tenant: Tenant, now: datetime) -> Tenant:
    return _next(tenant, now, mode=Mode.NORMAL, mode_reason="", mode_expire_time=None)


def update(
    tenant: Tenant,
    etag: str,
    now: datetime,
    *,
    display_name: str,
    labels: Mapping[str, str],
    plan_id: str,
    residency: tuple[str, ...],
) -> Tenant:
    check(tenant, Action.UPDATE, etag)
    if not display_name:
        raise InvalidArgument("DISPLAY_NAME_EMPTY", "a tenant has a name", fields={"tenant.display_name": "is empty"})
    if residency and tenant.placement.region_id and tenant.placement.region_id not in residency:
        raise FailedPrecondition(
            "RESIDENCY_VIOLATED",
            f"the tenant lives in {tenant.placement.region_id}: move it first",
            region_id=tenant.placement.region_id,
        )
    placement = replace(tenant.placement, residency=residency)
    return _next(
        tenant, now, display_name=display_name, labels=labels, plan_id=plan_id or DEFAULT_PLAN, placement=placement
    )


def configure(tenant: Tenant, config: Config, etag: str, now: datetime) -> Tenant:
    check(tenant, Action.UPDATE, etag)
    check_config(config)
    return _next(tenant, now, config=replace(config, version=tenant.config.version + 1))


def check_config(config: Config) -> None:
    """Names that a pattern cannot check."""
    if config.time_zone and config.time_zone not in time_zones():
        raise InvalidArgument(
            "TIME_ZONE_UNKNOWN",
            f"{config.time_zone!r} is no name of the IANA time zone database",
            fields={"config.time_zone": "such as Europe/Berlin"},
        )
    if config.currency_code and config.currency_code not in CURRENCIES:
        raise InvalidArgument(
            "CURRENCY_UNKNOWN",
            f"{config.currency_code!r} is no currency of ISO 4217",
            fields={"config.currency_code": "such as EUR"},
        )


def delete(tenant: Tenant, reason: str, etag: str, grace: timedelta, now: datetime) -> Tenant:
    state = check(tenant, Action.DELETE, etag)
    return _next(
        tenant,
        now,
        state=state,
        state_reason=reason,
        delete_time=now,
        purge_time=now + grace,
        undelete_state=tenant.state,
    )


def undelete(tenant: Tenant, reason: str, etag: str, now: datetime) -> Tenant:
    check(tenant, Action.UNDELETE, etag)
    return _next(
        tenant,
        now,
        state=tenant.undelete_state or State.TERMINATED,
        state_reason=reason,
        delete_time=None,
        purge_time=None,
        undelete_state=None,
    )


def rename(tenant: Tenant, names: tuple[Name, ...], primary_domain: str, now: datetime) -> Tenant:
    """The tenant after a change to its domains."""
    check(tenant, Action.CHANGE_DOMAINS)
    return _next(tenant, now, names=tuple(sorted(names, key=lambda each: each.name)), primary_domain=primary_domain)


def facts(tenant: Tenant) -> dict[str, str]:
    """The tenant as flat texts in the contract's names, for the audit to compare."""
    placement, config = tenant.placement, tenant.config
    return {
        "code": tenant.code,
        "display_name": tenant.display_name,
        **{f"labels.{key}": value for key, value in sorted(tenant.labels.items())},
        "state": tenant.state,
        "state_reason": tenant.state_reason,
        "mode": tenant.mode,
        "mode_reason": tenant.mode_reason,
        "mode_expire_time": _text(tenant.mode_expire_time),
        "plan_id": tenant.plan_id,
        "placement.region_id": placement.region_id,
        "placement.cluster_id": placement.cluster_id,
        "placement.shard_id": placement.shard_id,
        "placement.isolation": placement.isolation,
        "placement.residency": ",".join(placement.residency),
        "placement.moving_to_cluster_id": placement.moving_to_cluster_id,
        "placement.writes_frozen": "true" if placement.writes_frozen else "",
        "primary_domain": tenant.primary_domain,
        "domains": ",".join(name.name for name in tenant.names),
        "config.currency_code": config.currency_code,
        "config.locale": config.locale,
        "config.time_zone": config.time_zone,
        "config.support_email": config.support_email,
        "config.theme.accent_color": config.accent_color,
        "config.theme.logo_url": config.logo_url,
        "config.notice": config.notice,
        "delete_time": _text(tenant.delete_time),
        "purge_time": _text(tenant.purge_time),
        "operation": f"operations/{tenant.operation_id}" if tenant.operation_id else "",
    }


def _text(time: datetime | None) -> str:
    return "" if time is None else time.isoformat()
