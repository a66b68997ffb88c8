"""TenantService: the tenants of the platform, over gRPC."""

import asyncio
from datetime import UTC, timedelta
from typing import Any, TypeAlias, cast

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import tenant_pb2
from center.control.v1 import tenant_service_pb2 as pb
from center.control.v1 import tenant_service_pb2_grpc as pb_grpc
from control.catalog.memory import Catalog
from control.catalog.store import Change, record
from control.clusters import domain as placement
from control.clusters import store as cluster_store
from control.domains.domain import normalize
from control.operations import messages as operation_messages
from control.operations import store as operation_store
from control.operations.domain import Kind
from control.plans import store as plan_store
from control.tables import tenants
from control.tenants import domain, ops, store
from control.tenants.domain import Action, Mode, Tenant
from control.tenants.messages import action_of, config_of, isolation_of, mode_of, moment, timestamp, to_proto
from control.tenants.provision import needs
from shared.runtime.backoffice import Signer
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
)
from shared.runtime.filters import Field, order, where
from shared.runtime.idempotency import claim, mutation, settle
from shared.runtime.masks import merge
from shared.runtime.paging import PageTokens, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

DEFAULT_FREEZE_LIMIT = timedelta(seconds=30)
DEFAULT_TOKEN_TTL = timedelta(hours=12)
# How long ResolveTenant waits for a revision when the caller set no deadline.
RESOLVE_PATIENCE_S = 10.0
# What is kept of a deadline for the answer itself.
ANSWER_S = 0.05

_columns = tenants.c
FIELDS = {
    "id": Field(_columns.id, "uuid"),
    "code": Field(_columns.code),
    "display_name": Field(_columns.display_name),
    "state": Field(_columns.state, "enum", {state: state for state in domain.State}),
    "mode": Field(_columns.mode, "enum", {mode: mode for mode in Mode}),
    "plan_id": Field(_columns.plan_id),
    "region_id": Field(_columns.region_id),
    "cluster_id": Field(_columns.cluster_id),
    "shard_id": Field(_columns.shard_id),
    "isolation": Field(_columns.isolation, "enum", {isolation: isolation for isolation in domain.Isolation}),
    "labels": Field(_columns.labels, "labels"),
    "create_time": Field(_columns.create_time, "timestamp"),
    "update_time": Field(_columns.update_time, "timestamp"),
}
ORDERS = {name: FIELDS[name] for name in ("code", "create_time", "update_time")}

UPDATABLE = ("display_name", "labels", "plan_id", "placement.residency")
CONFIGURABLE = tuple(field.name for field in tenant_pb2.TenantConfig.DESCRIPTOR.fields if field.name != "version")


class TenantService(pb_grpc.TenantServiceServicer):
    def __init__(
        self, db: Database, clock: Clock, catalog: Catalog, tokens: PageTokens, signer: Signer, *, zone: str
    ) -> None:
        self.db = db
        self._clock = clock
        self._catalog = catalog
        self._tokens = tokens
        self._signer = signer
        self._zone = zone

    @mutation
    async def CreateTenant(self, request: pb.CreateTenantRequest, tx: AsyncConnection) -> pb.CreateTenantResponse:
        draft = _draft(request.tenant)
        made = await ops.create(tx, draft, self._zone, self._clock.now(), as_draft=request.draft)
        response = pb.CreateTenantResponse(tenant=to_proto(made.tenant))
        if made.operation is not None:
            response.operation.CopyFrom(operation_messages.to_proto(made.operation))
        return response

    @mutation
    async def BatchCreateTenants(
        self, request: pb.BatchCreateTenantsRequest, tx: AsyncConnection
    ) -> pb.BatchCreateTenantsResponse:
        drafts = [_draft(draft) for draft in request.tenants]
        response = pb.BatchCreateTenantsResponse()
        for row in await ops.create_many(tx, drafts, self._zone, self._clock.now()):
            if row.created is not None:
                response.results.add(created=to_proto(row.created))
            elif row.existing is not None:
                response.results.add(existing=to_proto(row.existing))
            elif row.refused is not None:
                refusal = pb.RowRefusal(reason=row.refused.reason, message=row.refused.message)
                response.results.add(refused=refusal)
        return response

    async def GetTenant(self, request: pb.GetTenantRequest, context: Context) -> pb.GetTenantResponse:
        async with self.db.transaction() as tx:
            return pb.GetTenantResponse(tenant=to_proto(await store.get(tx, request.id)))

    async def ListTenants(self, request: pb.ListTenantsRequest, context: Context) -> pb.ListTenantsResponse:
        size = page_size(request.page_size)
        ordering = order(request.order_by or "create_time", ORDERS, _columns.id)
        cursor = self._tokens.read(request.page_token, request)
        conditions = [where(request.filter, FIELDS), ordering.after(cursor)]
        if not request.show_deleted:
            conditions.append(_columns.delete_time.is_(None))
        async with self.db.transaction() as tx:
            page = await store.list_page(tx, conditions, ordering.by, size + 1)
        response = pb.ListTenantsResponse(tenants=[to_proto(tenant) for tenant in page[:size]])
        if len(page) > size:
            response.next_page_token = self._tokens.issue(ordering.cursor(page[size - 1]), request)
        return response

    @mutation
    async def UpdateTenant(self, request: pb.UpdateTenantRequest, tx: AsyncConnection) -> pb.UpdateTenantResponse:
        before = await store.get(tx, request.tenant.id, lock=True)
        merged = to_proto(before)
        merge(merged, request.tenant, request.update_mask, UPDATABLE)
        residency = tuple(merged.placement.residency)
        if unknown := set(residency) - await cluster_store.region_ids(tx):
            raise NotFound("REGION_NOT_FOUND", f"there is no region {min(unknown)}", id=min(unknown))
        plan_id = merged.plan_id or domain.DEFAULT_PLAN
        if plan_id != before.plan_id and plan_id not in await plan_store.plan_ids(tx):
            raise plan_store.plan_not_found(plan_id)
        after = domain.update(
            before,
            request.tenant.etag,
            self._clock.now(),
            display_name=merged.display_name,
            labels=dict(merged.labels),
            plan_id=plan_id,
            residency=residency,
        )
        return pb.UpdateTenantResponse(tenant=await self._save(tx, before, after, "updated", ""))

    @mutation
    async def UpdateTenantConfig(
        self, request: pb.UpdateTenantConfigRequest, tx: AsyncConnection
    ) -> pb.UpdateTenantConfigResponse:
        before = await store.get(tx, request.id, lock=True)
        merged = to_proto(before).config
        merge(merged, request.config, request.update_mask, CONFIGURABLE)
        after = domain.configure(before, config_of(merged), request.etag, self._clock.now())
        return pb.UpdateTenantConfigResponse(tenant=await self._save(tx, before, after, "configured", ""))

    @mutation
    async def ChangeTenantStatus(
        self, request: pb.ChangeTenantStatusRequest, tx: AsyncConnection
    ) -> pb.ChangeTenantStatusResponse:
        before, now = await store.get(tx, request.id, lock=True), self._clock.now()
        action = action_of(request.action)
        after = domain.change_status(before, action, request.reason, request.etag, now)
        response = pb.ChangeTenantStatusResponse()
        if action is Action.ACTIVATE:
            operation = ops.operation_for(before.id, Kind.PROVISION, request.reason, now)
            after = domain.attached(after, operation.id)
            await operation_store.add(tx, [operation])
            response.operation.CopyFrom(operation_messages.to_proto(operation))
        response.tenant.CopyFrom(await self._save(tx, before, after, action.lower(), request.reason))
        return response

    @mutation
    async def SetTenantMode(self, request: pb.SetTenantModeRequest, tx: AsyncConnection) -> pb.SetTenantModeResponse:
        before, mode = await store.get(tx, request.id, lock=True), mode_of(request.mode)
        expire_time = moment(request.expire_time, "expire_time") if request.HasField("expire_time") else None
        after = domain.set_mode(before, mode, request.reason, expire_time, request.etag, self._clock.now())
        return pb.SetTenantModeResponse(tenant=await self._save(tx, before, after, "mode", request.reason))

    @mutation
    async def DeleteTenant(self, request: pb.DeleteTenantRequest, tx: AsyncConnection) -> pb.DeleteTenantResponse:
        before = await store.get(tx, request.id, lock=True)
        grace = request.grace.ToTimedelta() if request.HasField("grace") else domain.DEFAULT_GRACE
        after = domain.delete(before, request.reason, request.etag, grace, self._clock.now())
        return pb.DeleteTenantResponse(tenant=await self._save(tx, before, after, "deleted", request.reason))

    @mutation
    async def UndeleteTenant(self, request: pb.UndeleteTenantRequest, tx: AsyncConnection) -> pb.UndeleteTenantResponse:
        before = await store.get(tx, request.id, lock=True)
        after = domain.undelete(before, request.reason, request.etag, self._clock.now())
        return pb.UndeleteTenantResponse(tenant=await self._save(tx, before, after, "undeleted", request.reason))

    @mutation
    async def MoveTenant(self, request: pb.MoveTenantRequest, tx: AsyncConnection) -> pb.MoveTenantResponse:
        before, now = await store.get(tx, request.id, lock=True), self._clock.now()
        domain.check(before, Action.MOVE, request.etag)
        target = await self._target(tx, before, request.cluster_id)
        limit = request.freeze_limit.ToTimedelta() if request.HasField("freeze_limit") else DEFAULT_FREEZE_LIMIT
        operation = ops.move_operation(before, target, request.reason, limit, now)
        after = domain.begin(before, operation.id, now, moving_to_cluster_id=target.cluster_id)
        # The place is the tenant's from now on, so that nobody else is given it meanwhile.
        await cluster_store.count(tx, {(target.cluster_id, target.shard_id): 1})
        await operation_store.add(tx, [operation])
        await self._save(tx, before, after, "moving", request.reason)
        return pb.MoveTenantResponse(operation=operation_messages.to_proto(operation))

    async def _target(self, tx: AsyncConnection, tenant: Tenant, cluster_id: str) -> placement.Candidate:
        """Where the tenant moves: the cluster asked for, or the best one but its own."""
        if cluster_id:
            await cluster_store.get(tx, cluster_id)
        clusters = await cluster_store.all_clusters(tx, lock=True)
        wanted = needs(tenant)
        if cluster_id:
            # Whoever names a cluster has thought of its region; residency still binds.
            wanted = placement.without_region(wanted)
        candidates = placement.rank(wanted, clusters, await cluster_store.all_shards(tx))
        undoing = await operation_store.undoing(tx, tenant.id)
        open_to = [
            each
            for each in candidates
            if each.cluster_id != tenant.placement.cluster_id and (not cluster_id or each.cluster_id == cluster_id)
        ]
        if cluster_id == tenant.placement.cluster_id:
            raise FailedPrecondition("PLACEMENT_REFUSED", f"the tenant lives on {cluster_id}", why="same cluster")
        chosen = next((each for each in open_to if each.eligible and each.cluster_id not in undoing), None)
        if chosen is not None:
            return chosen
        if any(each.eligible for each in open_to):
            raise FailedPrecondition(
                "TENANT_BUSY", "an earlier move is still being taken back on that cluster: try again", id=tenant.id
            )
        raise placement.refused(open_to)

    async def _save(
        self, tx: AsyncConnection, before: Tenant, after: Tenant, event: str, reason: str
    ) -> tenant_pb2.Tenant:
        await store.save(tx, [after])
        [revision] = await record(tx, [store.changed(before, after, event, reason)])
        return to_proto(after, revision)

    async def ResolveTenant(  # type: ignore[override]
        self, request: pb.ResolveTenantRequest, context: Context
    ) -> bytes:
        catalog = self._catalog
        if request.min_revision > catalog.revision:
            await self._reached(request.min_revision)
        which = request.WhichOneof("key")
        if which == "domain":
            tenant_id = catalog.tenant_id_of_domain(request.domain)
            if tenant_id is None:
                tenant_id = catalog.tenant_id_of_domain(_host(request.domain))
        elif which == "id":
            tenant_id = request.id
        else:
            tenant_id = catalog.tenant_id_of_code(request.code)
        answer = catalog.resolved(tenant_id)
        if answer is None:
            raise NotFound("TENANT_NOT_FOUND", f"no tenant has this {which}")
        return answer

    async def _reached(self, revision: int) -> None:
        deadline, now = current().deadline, asyncio.get_running_loop().time()
        patience_s = RESOLVE_PATIENCE_S if deadline is None else max(0.0, deadline - now - ANSWER_S)
        try:
            async with asyncio.timeout(patience_s):
                await self._catalog.reached(revision)
        except TimeoutError:
            raise DeadlineExceeded(
                "REVISION_NOT_REACHED",
                f"the catalog here is at revision {self._catalog.revision}",
                revision=str(self._catalog.revision),
            ) from None

    async def IssueBackofficeToken(
        self, request: pb.IssueBackofficeTokenRequest, context: Context
    ) -> pb.IssueBackofficeTokenResponse:
        ttl = request.ttl.ToTimedelta() if request.HasField("ttl") else DEFAULT_TOKEN_TTL
        async with self.db.transaction() as tx:
            tenant = await store.get(tx, request.id)
            answer = cast("pb.IssueBackofficeTokenResponse | None", await claim(tx, request))
            if answer is None:
                expire_time = self._clock.now().replace(microsecond=0) + ttl
                # What is stored for replays tells when, not the token: the same claims are signed again.
                answer = pb.IssueBackofficeTokenResponse(expire_time=timestamp(expire_time))
                await settle(tx, request, answer)
                issued = Change(
                    resource="tenant",
                    resource_id=tenant.id,
                    event="token_issued",
                    reason=request.reason,
                    before={},
                    after={"backoffice_token.expire_time": expire_time.isoformat()},
                    tenant_id=tenant.id,
                )
                await record(tx, [issued])
        now = answer.expire_time.ToDatetime(UTC) - ttl
        answer.token = self._signer.issue(tenant.id, tenant.code, life=ttl, now=now, token_id=request.request_id)
        return answer


def _draft(message: pb.TenantDraft) -> ops.Draft:
    return ops.Draft(
        code=message.code,
        display_name=message.display_name,
        labels=dict(message.labels),
        plan_id=message.plan_id,
        region_id=message.region_id,
        isolation=isolation_of(message.isolation),
        residency=tuple(message.residency),
        config=config_of(message.config),
        domains=tuple(message.domains),
        domains_verified_reason=message.domains_verified_reason,
    )


def _host(text: str) -> str:
    """A Host header as the name of a domain: without its port, in the one spelling."""
    name, colon, port = text.rpartition(":")
    try:
        return normalize(name if colon and port.isdigit() else text)
    except InvalidArgument:
        return ""
