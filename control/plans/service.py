"""PlanService: plans, their versions and who gets them, over gRPC; with features, extras and watches beside."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import plan_service_pb2_grpc as pb_grpc
from control.catalog.abreast import Abreast
from control.catalog.store import Change
from control.catalog.watchers import Watchers
from control.features import definitions
from control.features import messages as feature_messages
from control.features import store as feature_store
from control.features.changes import felt, recorded
from control.features.domain import Given, effective
from control.features.memory import Features
from control.features.service import FeatureMethods
from control.features.usage import UsageMethods
from control.features.values import Value
from control.features.watch import WatchMethods
from control.plans import domain, messages, ops, store
from control.plans.domain import Assignment, Plan, PlanVersion, Problem, VersionState
from control.plans.extras import ExtraMethods
from control.tables import plan_assignments, plan_versions, plans, tenants
from control.tenants import domain as tenant_domain
from control.tenants import store as tenant_store
from control.tenants.messages import moment
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.db import Database, constraints
from shared.runtime.errors import FailedPrecondition, NotFound, check_etag
from shared.runtime.filters import Field, where
from shared.runtime.idempotency import mutation
from shared.runtime.masks import merge
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

PLAN_FIELDS = {
    "id": Field(plans.c.id),
    "display_name": Field(plans.c.display_name),
    "active_version": Field(plans.c.active_version, "int"),
    "create_time": Field(plans.c.create_time, "timestamp"),
    "update_time": Field(plans.c.update_time, "timestamp"),
}
VERSION_FIELDS = {
    "version": Field(plan_versions.c.version, "int"),
    "state": Field(plan_versions.c.state, "enum", {state: state for state in VersionState}),
    "create_time": Field(plan_versions.c.create_time, "timestamp"),
    "effective_time": Field(plan_versions.c.effective_time, "timestamp"),
}
ASSIGNMENT_FIELDS = {
    "tenant_id": Field(plan_assignments.c.tenant_id, "uuid"),
    "plan_id": Field(plan_assignments.c.plan_id),
    "assign_time": Field(plan_assignments.c.assign_time, "timestamp"),
}
PLANS_BY_ID = Ordering((Term(plans.c.id),))
VERSIONS_NEWEST = Ordering((Term(plan_versions.c.version, descending=True),))
NEXT_ASSIGNMENTS = Ordering((Term(plan_assignments.c.assign_time), Term(plan_assignments.c.tenant_id)))
TENANTS_BY_ID = Ordering((Term(tenants.c.id),))


class PlanService(FeatureMethods, ExtraMethods, UsageMethods, WatchMethods, pb_grpc.PlanServiceServicer):  # type: ignore[misc]
    def __init__(
        self,
        db: Database,
        clock: Clock,
        tokens: PageTokens,
        features: Features,
        watchers: Watchers,
        abreast: Abreast,
        *,
        heartbeat_s: float,
    ) -> None:
        self.db = db
        self._clock = clock
        self._tokens = tokens
        self._features = features
        self._watchers = watchers
        self.committed = abreast
        self._heartbeat_s = heartbeat_s

    @mutation
    async def CreatePlan(self, request: pb.CreatePlanRequest, tx: AsyncConnection) -> pb.CreatePlanResponse:
        now, given = self._clock.now(), messages.features_of(request.features, "features")
        plan = Plan(request.plan.id, request.plan.display_name, request.plan.description, now, now, latest_version=1)
        version = PlanVersion(plan.id, 1, given, now, now)
        with constraints({"plans_pkey": store.PLAN_EXISTS}):
            await store.add_plan(tx, plan)
        await store.add_version(tx, version)
        await recorded(tx, [_edited(None, version, "created")])
        return pb.CreatePlanResponse(plan=messages.plan(plan), version=await self._described(tx, version))

    async def GetPlan(self, request: pb.GetPlanRequest, context: Context) -> pb.GetPlanResponse:
        async with self.db.transaction() as tx:
            return pb.GetPlanResponse(plan=messages.plan(await store.get_plan(tx, request.id)))

    async def ListPlans(self, request: pb.ListPlansRequest, context: Context) -> pb.ListPlansResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        conditions = [where(request.filter, PLAN_FIELDS), PLANS_BY_ID.after(cursor)]
        async with self.db.transaction() as tx:
            page = await store.list_plans(tx, conditions, PLANS_BY_ID.by, size + 1)
        response = pb.ListPlansResponse(plans=[messages.plan(plan) for plan in page[:size]])
        if len(page) > size:
            response.next_page_token = self._tokens.issue(PLANS_BY_ID.cursor(page[size - 1]), request)
        return response

    @mutation
    async def UpdatePlan(self, request: pb.UpdatePlanRequest, tx: AsyncConnection) -> pb.UpdatePlanResponse:
        before = await store.get_plan(tx, request.plan.id, lock=True)
        check_etag("plan", before.id, before.etag, request.plan.etag)
        merged = messages.plan(before)
        merge(merged, request.plan, request.update_mask, ("display_name", "description"))
        after = replace(
            before,
            display_name=merged.display_name,
            description=merged.description,
            update_time=self._clock.now(),
            version=before.version + 1,
        )
        await store.save_plan(tx, after)
        # Texts are nothing that a tenant feels: the audit has the change, the catalog does not.
        await recorded(tx, [Change("plan", after.id, "updated", "", _texts(before), _texts(after))])
        return pb.UpdatePlanResponse(plan=messages.plan(after))

    @mutation
    async def CreatePlanVersion(
        self, request: pb.CreatePlanVersionRequest, tx: AsyncConnection
    ) -> pb.CreatePlanVersionResponse:
        now = self._clock.now()
        plan = await store.get_plan(tx, request.plan_id, lock=True)
        given: dict[str, Value] = {}
        if request.copy_version:
            given.update((await store.get_version(tx, plan.id, request.copy_version)).features)
        given.update(messages.features_of(request.features, "features"))
        version = PlanVersion(plan.id, plan.latest_version + 1, given, now, now, note=request.note)
        await store.add_version(tx, version)
        await store.save_plan(tx, replace(plan, latest_version=version.version, version=plan.version + 1))
        await recorded(tx, [_edited(None, version, "created")])
        return pb.CreatePlanVersionResponse(version=await self._described(tx, version))

    async def GetPlanVersion(self, request: pb.GetPlanVersionRequest, context: Context) -> pb.GetPlanVersionResponse:
        async with self.db.transaction() as tx:
            version = await store.get_version(tx, request.plan_id, request.version)
            return pb.GetPlanVersionResponse(version=await self._described(tx, version))

    async def ListPlanVersions(
        self, request: pb.ListPlanVersionsRequest, context: Context
    ) -> pb.ListPlanVersionsResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        conditions = [
            plan_versions.c.plan_id == request.plan_id,
            where(request.filter, VERSION_FIELDS),
            VERSIONS_NEWEST.after(cursor),
        ]
        async with self.db.transaction() as tx:
            await store.get_plan(tx, request.plan_id)
            page = await store.list_versions(tx, conditions, VERSIONS_NEWEST.by, size + 1)
            described = [await self._described(tx, version) for version in page[:size]]
        response = pb.ListPlanVersionsResponse(versions=described)
        if len(page) > size:
            response.next_page_token = self._tokens.issue(VERSIONS_NEWEST.cursor(page[size - 1]), request)
        return response

    @mutation
    async def UpdatePlanVersion(
        self, request: pb.UpdatePlanVersionRequest, tx: AsyncConnection
    ) -> pb.UpdatePlanVersionResponse:
        before = await store.get_version(tx, request.version.plan_id, request.version.version, lock=True)
        merged = messages.version(before)
        merge(merged, request.version, request.update_mask, ("features", "note"))
        given = messages.features_of(merged.features, "version.features")
        after = domain.edit(before, request.version.etag, self._clock.now(), features=given, note=merged.note)
        await store.save_version(tx, after)
        await recorded(tx, [_edited(before, after, "version_updated")])
        return pb.UpdatePlanVersionResponse(version=await self._described(tx, after))

    async def ValidatePlanVersion(
        self, request: pb.ValidatePlanVersionRequest, context: Context
    ) -> pb.ValidatePlanVersionResponse:
        async with self.db.transaction() as tx:
            version = await store.get_version(tx, request.plan_id, request.version)
            found = await self._problems(tx, version)
        return pb.ValidatePlanVersionResponse(problems=[messages.problem(each) for each in found])

    @mutation
    async def PublishPlanVersion(
        self, request: pb.PublishPlanVersionRequest, tx: AsyncConnection
    ) -> pb.PublishPlanVersionResponse:
        now = self._clock.now()
        time = _time(request, "effective_time")
        domain.check_future(time, now, "effective_time")
        # The plan first, as everybody locks them.
        plan = await store.get_plan_of_version(tx, request.plan_id, request.version)
        before = await store.get_version(tx, plan.id, request.version, lock=True)
        domain.check_publishable(before, request.etag, await feature_store.get_features(tx, before.features))
        count = await store.count_tenants(tx, store.followers(plan.id))
        if time is not None:
            await self._check_unscheduled(tx, plan.id, time)
            after = domain.schedule(before, time, now)
        else:
            after = domain.activate(before, now)
        if request.validate_only:
            journal.unchanged(tx)
            return pb.PublishPlanVersionResponse(version=messages.version(after), tenant_count=count)
        if time is not None:
            await store.save_version(tx, after)
            facts = domain.facts_of_version(before), domain.facts_of_version(after)
            await recorded(tx, [Change("plan", plan.id, "scheduled", request.reason, *facts)])
            return pb.PublishPlanVersionResponse(version=messages.version(after), tenant_count=count)
        after, change = await ops.publish(tx, before, now, request.reason)
        [revision] = await recorded(tx, [change])
        await store.stamp_version(tx, after, revision)
        return pb.PublishPlanVersionResponse(version=messages.version(after, revision=revision), tenant_count=count)

    async def _check_unscheduled(self, tx: AsyncConnection, plan_id: str, time: datetime) -> None:
        columns = plan_versions.c
        same = [columns.plan_id == plan_id, columns.state == VersionState.SCHEDULED, columns.effective_time == time]
        if taken := await store.list_versions(tx, same, limit=1):
            raise FailedPrecondition(
                "PLAN_VERSION_SCHEDULED",
                f"{plan_id}/{taken[0].version} becomes active at the same time",
                version=str(taken[0].version),
            )

    @mutation
    async def ArchivePlanVersion(
        self, request: pb.ArchivePlanVersionRequest, tx: AsyncConnection
    ) -> pb.ArchivePlanVersionResponse:
        now = self._clock.now()
        plan = await store.get_plan_of_version(tx, request.plan_id, request.version)
        before = await store.get_version(tx, plan.id, request.version, lock=True)
        domain.check_archivable(before, request.etag, await ops.tenant_count(tx, plan.id))
        after = domain.archive(before, now)
        await store.save_version(tx, after)
        facts = domain.facts_of_version(before), domain.facts_of_version(after)
        if before.state is not VersionState.ACTIVE:
            await recorded(tx, [Change("plan", plan.id, "version_archived", request.reason, *facts)])
            return pb.ArchivePlanVersionResponse(version=messages.version(after))
        await store.save_plan(tx, replace(plan, active_version=0, update_time=now, version=plan.version + 1))
        change = felt("plan", plan.id, "version_archived", request.reason, *facts, plan_id=plan.id)
        [revision] = await recorded(tx, [change])
        await store.stamp_version(tx, after, revision)
        return pb.ArchivePlanVersionResponse(version=messages.version(after, revision=revision))

    async def DiffPlanVersions(
        self, request: pb.DiffPlanVersionsRequest, context: Context
    ) -> pb.DiffPlanVersionsResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        async with self.db.transaction(snapshot=True) as tx:
            new = await store.get_version(tx, request.plan_id, request.to_version)
            number = request.from_version or (await store.get_plan(tx, request.plan_id)).active_version
            old = (await store.get_version(tx, request.plan_id, number)).features if number else {}
            following = store.followers(request.plan_id)
            count = await store.count_tenants(tx, following)
            page = await store.tenants_page(tx, [*following, TENANTS_BY_ID.after(cursor)], TENANTS_BY_ID.by, size + 1)
            known = await definitions.read(tx, [row.id for row in page[:size]])
        # A draft is nobody's yet, so the definitions do not have it.
        known.versions[new.plan_id, new.version] = new
        response = pb.DiffPlanVersionsResponse(tenant_count=count)
        for each in domain.diff(old, new.features):
            response.changes.add(
                feature_id=each.feature_id,
                before=feature_messages.value(each.before) if each.before is not None else None,
                after=feature_messages.value(each.after) if each.after is not None else None,
            )
        for row in page[:size]:
            before = known.given(row.id, new.plan_id, row.cluster_id, number)
            after = known.given(row.id, new.plan_id, row.cluster_id, new.version)
            touched = _touched(replace(before, plan=old), after)
            response.tenants.add(tenant_id=row.id, code=row.code, changed_feature_ids=touched)
        if len(page) > size:
            response.next_page_token = self._tokens.issue(TENANTS_BY_ID.cursor(page[size - 1]), request)
        return response

    @mutation
    async def AssignPlan(self, request: pb.AssignPlanRequest, tx: AsyncConnection) -> pb.AssignPlanResponse:
        now, time = self._clock.now(), _time(request, "assign_time")
        domain.check_future(time, now, "assign_time")
        before = await tenant_store.get(tx, request.tenant_id, lock=True)
        tenant_domain.check(before, tenant_domain.Action.UPDATE, request.etag)
        await ops.check_assignable(tx, request.plan_id, request.pinned_version)
        assignment = Assignment(
            before.id, request.plan_id, request.pinned_version, time or now, request.reason, create_time=now
        )
        if time is not None:
            await store.set_assignment(tx, assignment)
            after = {"plan_id": request.plan_id, "assign_time": time.isoformat()}
            scheduled = Change("plan", request.plan_id, "assignment_scheduled", request.reason, {}, after, before.id)
            await recorded(tx, [scheduled])
            return pb.AssignPlanResponse(assignment=messages.assignment(assignment))
        tenant, revision = await ops.assign(tx, before, assignment, request.etag, now)
        features, version = await ops.features_of(tx, tenant)
        return pb.AssignPlanResponse(
            features=feature_messages.tenant_features(tenant.id, version, features), revision=revision
        )

    async def ListPlanAssignments(
        self, request: pb.ListPlanAssignmentsRequest, context: Context
    ) -> pb.ListPlanAssignmentsResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        conditions = [where(request.filter, ASSIGNMENT_FIELDS), NEXT_ASSIGNMENTS.after(cursor)]
        async with self.db.transaction() as tx:
            page = await store.list_assignments(tx, conditions, NEXT_ASSIGNMENTS.by, size + 1)
        response = pb.ListPlanAssignmentsResponse(assignments=[messages.assignment(each) for each in page[:size]])
        if len(page) > size:
            response.next_page_token = self._tokens.issue(NEXT_ASSIGNMENTS.cursor(page[size - 1]), request)
        return response

    @mutation
    async def CancelPlanAssignment(
        self, request: pb.CancelPlanAssignmentRequest, tx: AsyncConnection
    ) -> pb.CancelPlanAssignmentResponse:
        assignment = await store.remove_assignment(tx, request.tenant_id)
        if assignment is None:
            raise NotFound("ASSIGNMENT_NOT_FOUND", "no plan waits for this tenant", tenant_id=request.tenant_id)
        before = {"plan_id": assignment.plan_id, "assign_time": assignment.assign_time.isoformat()}
        cancelled = Change(
            "plan", assignment.plan_id, "assignment_cancelled", request.reason, before, {}, assignment.tenant_id
        )
        await recorded(tx, [cancelled])
        return pb.CancelPlanAssignmentResponse(assignment=messages.assignment(assignment))

    async def _described(self, tx: AsyncConnection, version: PlanVersion) -> pb.PlanVersion:
        found = await self._problems(tx, version) if version.state is VersionState.DRAFT else []
        return messages.version(version, found)

    async def _problems(self, tx: AsyncConnection, version: PlanVersion) -> list[Problem]:
        return domain.problems(version, await feature_store.get_features(tx, version.features))


def _texts(plan: Plan) -> dict[str, str]:
    return {"display_name": plan.display_name, "description": plan.description}


def _touched(before: Given, after: Given) -> list[str]:
    """Features of which the tenant has something else afterwards; where from it has them is nothing that it feels."""
    had, has = (
        {each.feature_id: each.value for each in effective(one).entries if each.enabled} for one in (before, after)
    )
    return sorted(id for id in had.keys() | has.keys() if had.get(id) != has.get(id))


def _edited(before: PlanVersion | None, after: PlanVersion, event: str) -> Change:
    """Nobody has anything of a draft: the audit has the change, the catalog does not."""
    facts: Mapping[str, str] = domain.facts_of_version(before) if before is not None else {}
    return Change("plan", after.plan_id, event, after.note, facts, domain.facts_of_version(after))


def _time(request: pb.PublishPlanVersionRequest | pb.AssignPlanRequest, field: str) -> datetime | None:
    return moment(getattr(request, field), field) if request.HasField(field) else None
