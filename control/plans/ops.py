"""Changes that an operator asks for now, or that were to happen at a time: publishing, assigning and expiring."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from control.catalog.store import Change
from control.features import definitions
from control.features.changes import felt, recorded
from control.features.domain import FeatureSet, KillSwitch, effective
from control.operations.upkeep import called
from control.plans import domain, store
from control.plans.domain import Assignment, PlanVersion
from control.tables import tenants
from control.tenants import domain as tenant_domain
from control.tenants import store as tenant_store
from control.tenants.domain import Tenant
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import FailedPrecondition, PlatformError

AT_ONCE = 200


async def publish(tx: AsyncConnection, version: PlanVersion, now: datetime, reason: str) -> tuple[PlanVersion, Change]:
    """Makes a draft or scheduled version, locked and checked, the active one; the change is the caller's to record."""
    plan = await store.get_plan(tx, version.plan_id, lock=True)
    if plan.active_version:
        before = await store.get_version(tx, plan.id, plan.active_version, lock=True)
        await store.save_version(tx, domain.archive(before, now))
    after = domain.activate(version, now)
    await store.save_version(tx, after)
    await store.save_plan(tx, replace(plan, active_version=version.version, update_time=now, version=plan.version + 1))
    facts = domain.facts_of_version(version), domain.facts_of_version(after)
    return after, felt("plan", plan.id, "published", reason, *facts, plan_id=plan.id)


async def check_assignable(tx: AsyncConnection, plan_id: str, pinned_version: int) -> None:
    plan = await store.get_plan(tx, plan_id)
    if pinned_version:
        version = await store.get_version(tx, plan_id, pinned_version)
        if version.state not in domain.PUBLISHED or version.effective_time is None:
            raise FailedPrecondition(
                "PLAN_VERSION_NOT_PUBLISHED",
                f"{plan_id}/{pinned_version} is {version.state.lower()} and was never published",
                state=version.state,
            )
    elif not plan.active_version:
        raise FailedPrecondition("PLAN_NOT_ACTIVE", f"plan {plan_id} has no published version: publish one", id=plan_id)


async def assign(
    tx: AsyncConnection, before: Tenant, assignment: Assignment, etag: str, now: datetime
) -> tuple[Tenant, int]:
    """Gives a tenant, locked, its plan; the tenant after it and the change's revision."""
    after = tenant_domain.update(
        before,
        etag,
        now,
        display_name=before.display_name,
        labels=before.labels,
        plan_id=assignment.plan_id,
        residency=before.placement.residency,
    )
    await tenant_store.save(tx, [after])
    await store.pin(tx, before.id, assignment.plan_id, assignment.pinned_version)
    await store.remove_assignment(tx, before.id)
    pinned = {"pinned_version": str(assignment.pinned_version or "")}
    changes = [
        felt("plan", assignment.plan_id, "assigned", assignment.reason, {}, pinned, tenant_id=before.id),
        tenant_store.changed(before, after, "updated", assignment.reason),
    ]
    revisions = await recorded(tx, changes)
    return tenant_store.stamped(after, revisions[-1]), revisions[-1]


async def features_of(tx: AsyncConnection, tenant: Tenant) -> tuple[FeatureSet, int]:
    """What the tenant has as the transaction sees it, and the set's version."""
    known = await definitions.read(tx, [tenant.id])
    given = known.given(tenant.id, tenant.plan_id, tenant.placement.cluster_id)
    found = effective(given)
    overlay = known.overlays.get(tenant.id)
    revision = known.revision_of(given, (each.feature_id for each in found.entries))
    return found, max(revision, tenant.revision, overlay.revision if overlay is not None else 0)


async def happen(db: Database, clock: Clock) -> int:
    """What is due, each kind in a transaction of its own; how much there was."""
    with called("workflow/PLAN/publish"):
        done = await _publish_due(db, clock)
    with called("workflow/PLAN/assign"):
        done += await _assign_due(db, clock)
    with called("workflow/FEATURES/expire"):
        done += await _expire(db, clock)
    return done


async def _publish_due(db: Database, clock: Clock) -> int:
    async with db.transaction() as tx:
        now = clock.now()
        due = await store.due_versions(tx, now)
        published = [await publish(tx, version, now, "its time has come") for version in due]
        if published:
            revisions = await recorded(tx, [change for _, change in published])
            for (version, _), revision in zip(published, revisions, strict=True):
                await store.stamp_version(tx, version, revision)
    return len(due)


async def _assign_due(db: Database, clock: Clock) -> int:
    async with db.transaction() as tx:
        now = clock.now()
        due = await store.due_assignments(tx, now, 1)
        for assignment in due:
            tenant = await tenant_store.get(tx, assignment.tenant_id, lock=True)
            try:
                await check_assignable(tx, assignment.plan_id, assignment.pinned_version)
                await assign(tx, tenant, assignment, "", now)
            except PlatformError as error:
                if error.code != "FAILED_PRECONDITION":
                    raise
                # The tenant or the plan has gone another way meanwhile; the audit says so.
                await store.remove_assignment(tx, tenant.id)
                before = {"plan_id": assignment.plan_id}
                dropped = Change("plan", assignment.plan_id, "not_assigned", error.message, before, {}, tenant.id)
                await recorded(tx, [dropped])
    return len(due)


async def _expire(db: Database, clock: Clock) -> int:
    over = "its time is over"
    async with db.transaction() as tx:
        overrides, switches, attachments = await store.expired(tx, clock.now(), AT_ONCE)
        changes = [
            felt("override", each.id, "expired", over, {"feature_id": each.feature_id}, {}, tenant_id=each.tenant_id)
            for each in overrides
        ]
        changes += [kill_switch_changed(each, "expired", over, removed=True) for each in switches]
        changes += [
            felt(
                "attachment",
                each.add_on_id,
                "expired",
                over,
                {"add_on_id": each.add_on_id},
                {},
                tenant_id=each.tenant_id,
            )
            for each in attachments
        ]
        if changes:
            await recorded(tx, changes)
    return len(changes)


def kill_switch_changed(switch: KillSwitch, event: str, reason: str, *, removed: bool = False) -> Change:
    facts = {
        "feature_id": switch.feature_id,
        "tenant_id": switch.tenant_id,
        "cluster_id": switch.cluster_id,
        "expire_time": switch.expire_time.isoformat() if switch.expire_time is not None else "",
    }
    before, after = (facts, {}) if removed else ({}, facts)
    what = {"tenant_id": switch.tenant_id} if switch.tenant_id else {"feature_id": switch.feature_id}
    return felt("kill_switch", switch.id, event, reason, before, after, **what)


async def tenant_count(tx: AsyncConnection, plan_id: str) -> int:
    """All that are on the plan, pinned or not."""
    return await store.count_tenants(tx, [tenants.c.plan_id == plan_id])
