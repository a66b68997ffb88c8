"""Making tenants, one or many, and starting long work on them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from control.catalog.store import Change, record
from control.clusters import store as cluster_store
from control.clusters.domain import Candidate
from control.domains import domain as names
from control.domains import store as domain_store
from control.operations import store as operation_store
from control.operations.domain import STEPS, Kind, Operation
from control.plans import store as plan_store
from control.tenants import domain, store
from control.tenants.domain import Config, Isolation, Name, Placement, State, Tenant
from shared.runtime.context import current
from shared.runtime.db import constraints
from shared.runtime.errors import Aborted, AlreadyExists, FailedPrecondition, NotFound, PlatformError
from shared.runtime.ids import uuid7


@dataclass(frozen=True, slots=True)
class Draft:
    """A tenant to be made."""

    code: str
    display_name: str
    labels: dict[str, str]
    plan_id: str
    region_id: str
    isolation: Isolation
    residency: tuple[str, ...]
    config: Config
    domains: tuple[str, ...]
    domains_verified_reason: str


@dataclass(frozen=True, slots=True)
class Made:
    """A tenant that is about to be written, with its claims and, unless it stays a draft, its operation."""

    tenant: Tenant
    claims: tuple[names.Domain, ...]
    operation: Operation | None


def operation_for(tenant_id: str, kind: Kind, reason: str, now: datetime) -> Operation:
    """A new operation at its first step, asked for by the present caller."""
    call = current()
    return Operation(
        id=uuid7(),
        kind=kind,
        tenant_id=tenant_id,
        step=STEPS[kind][0],
        create_time=now,
        update_time=now,
        next_attempt_time=now,
        caller=call.caller,
        reason=reason,
        trace_id=call.trace_id,
        request_id=call.request_id,
    )


def move_operation(tenant: Tenant, target: Candidate, reason: str, limit: timedelta, now: datetime) -> Operation:
    operation = operation_for(tenant.id, Kind.MOVE, reason, now)
    return replace(
        operation,
        lane=operation.id,
        source_cluster_id=tenant.placement.cluster_id,
        target_cluster_id=target.cluster_id,
        target_shard_id=target.shard_id,
        freeze_limit_s=max(1, round(limit.total_seconds())),
    )


def prepare(
    draft: Draft, zone: str, regions: set[str], plans: set[str], now: datetime, *, as_draft: bool = False
) -> Made:
    """The rules that need no look at other tenants. plans: those that a tenant can be on."""
    domain.check_config(draft.config)
    plan_id = draft.plan_id or domain.DEFAULT_PLAN
    if plan_id not in plans:
        raise plan_store.plan_not_found(plan_id)
    for region_id in (draft.region_id, *draft.residency):
        if region_id and region_id not in regions:
            raise NotFound("REGION_NOT_FOUND", f"there is no region {region_id}", id=region_id)
    if draft.region_id and draft.residency and draft.region_id not in draft.residency:
        raise FailedPrecondition(
            "RESIDENCY_VIOLATED", f"the residency does not allow {draft.region_id}", region_id=draft.region_id
        )
    tenant_id = uuid7()
    own = names.platform_name(draft.code, zone)
    claims = {own: names.claim(tenant_id, own, zone, now)}
    for text in draft.domains:
        claim = names.claim(tenant_id, text, zone, now, verified_reason=draft.domains_verified_reason)
        claims.setdefault(claim.name, claim)
    operation = None if as_draft else operation_for(tenant_id, Kind.PROVISION, "", now)
    tenant = Tenant(
        id=tenant_id,
        code=draft.code,
        display_name=draft.display_name,
        create_time=now,
        update_time=now,
        labels=draft.labels,
        state=State.DRAFT if as_draft else State.PROVISIONING,
        plan_id=plan_id,
        wanted_region_id=draft.region_id,
        placement=Placement(isolation=draft.isolation, residency=draft.residency),
        primary_domain=_primary(list(claims.values()), own),
        config=replace(draft.config, version=1),
        operation_id=operation.id if operation is not None else None,
    )
    return Made(tenant, tuple(claims.values()), operation)


def _primary(claims: Sequence[names.Domain], own: str) -> str:
    """The first domain of the tenant's own that is verified, else its name in the platform's zone."""
    verified = [claim.name for claim in claims if claim.state is names.State.VERIFIED and claim.name != own]
    return verified[0] if verified else own


async def write(tx: AsyncConnection, made: Sequence[Made]) -> list[Tenant]:
    """Writes new tenants, their claims and operations; the tenants as they read afterwards.

    AlreadyExists: of several, the whole lot; look for takers first.
    """
    with constraints({"tenants_code_key": store.CODE_TAKEN}):
        await store.add(tx, [each.tenant for each in made])
    claims = [claim for each in made for claim in each.claims]
    with constraints({"domains_verified_name_key": domain_store.TAKEN}):
        added = await domain_store.add(tx, claims)
    held: dict[str, list[Name]] = {}
    for claim in added:
        if claim.state is names.State.VERIFIED:
            held.setdefault(claim.tenant_id, []).append(Name(claim.name, claim.number))
    lost = await end_pending(tx, [claim for claim in added if claim.state is names.State.VERIFIED])
    await operation_store.add(tx, [each.operation for each in made if each.operation is not None])
    tenants = [
        replace(each.tenant, names=tuple(sorted(held.get(each.tenant.id, ()), key=lambda name: name.name)))
        for each in made
    ]
    reasons = {
        claim.tenant_id: claim.verified_reason for claim in added if claim.verified_reason
    }  # the operator's word stands in the audit
    changes = [store.changed(None, tenant, "created", reasons.get(tenant.id, "")) for tenant in tenants]
    revisions = await record(tx, [*changes, *lost])
    return [store.stamped(tenant, at) for tenant, at in zip(tenants, revisions, strict=False)]


async def end_pending(tx: AsyncConnection, verified: Sequence[names.Domain]) -> list[Change]:
    """Others' pending claims on names that are now proven end; each leaves a trace in the audit."""
    custom = [claim for claim in verified if claim.kind is names.Kind.CUSTOM]
    if not custom:
        return []
    ended = await domain_store.end_other_claims(
        tx, [claim.name for claim in custom], {claim.tenant_id for claim in custom}
    )
    return [
        Change(
            resource="domain",
            resource_id=claim.name,
            event="ended",
            reason="another tenant has proven the domain",
            before=names.facts(claim),
            after={},
            tenant_id=claim.tenant_id,
        )
        for claim in ended
    ]


async def create(tx: AsyncConnection, draft: Draft, zone: str, now: datetime, *, as_draft: bool) -> Made:
    regions, plans = await cluster_store.region_ids(tx), await plan_store.plan_ids(tx)
    made = prepare(draft, zone, regions, plans, now, as_draft=as_draft)
    [tenant] = await write(tx, [made])
    return replace(made, tenant=tenant)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one draft of many: exactly one of the three."""

    created: Tenant | None = None
    existing: Tenant | None = None
    refused: PlatformError | None = None


async def create_many(tx: AsyncConnection, drafts: Sequence[Draft], zone: str, now: datetime) -> list[Row]:
    """Each draft stands alone: who is refused leaves the others as they are."""
    regions, plans = await cluster_store.region_ids(tx), await plan_store.plan_ids(tx)
    rows: list[Row | None] = [None] * len(drafts)
    made: dict[int, Made] = {}
    codes: set[str] = set()
    for index, draft in enumerate(drafts):
        if draft.code in codes:
            rows[index] = Row(refused=store.CODE_TAKEN)
            continue
        codes.add(draft.code)
        try:
            made[index] = prepare(draft, zone, regions, plans, now)
        except PlatformError as error:
            rows[index] = Row(refused=error)
    known = await store.get_by_codes(tx, [each.tenant.code for each in made.values()])
    claimed = await domain_store.claimed_names(tx, [tenant.id for tenant in known.values()])
    wanted = [claim.name for each in made.values() for claim in each.claims if claim.state is names.State.VERIFIED]
    taken = set(await domain_store.holders(tx, wanted))
    for index, each in list(made.items()):
        if (existing := known.get(each.tenant.code)) is not None:
            del made[index]
            same = claimed.get(existing.id, set()) == {claim.name for claim in each.claims}
            rows[index] = Row(existing=existing) if same else Row(refused=store.CODE_TAKEN)
            continue
        clash = next((c.name for c in each.claims if c.state is names.State.VERIFIED and c.name in taken), None)
        if clash is not None:
            del made[index]
            rows[index] = Row(refused=AlreadyExists("DOMAIN_TAKEN", f"another tenant has {clash}", domain=clash))
            continue
        taken.update(claim.name for claim in each.claims if claim.state is names.State.VERIFIED)
    if made:
        try:
            written = await write(tx, list(made.values()))
        except AlreadyExists as error:
            # Somebody took a code or a domain since they were looked at. Sent again, the row will say which.
            raise Aborted(
                "TRANSACTION_CONFLICT", "another import was faster: send it again", retry_after_s=0.1
            ) from error
        for index, tenant in zip(made, written, strict=True):
            rows[index] = Row(created=tenant)
    return [row for row in rows if row is not None]
