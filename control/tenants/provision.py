"""Provisioning: place the tenant, make it known to its cluster, open it. Batches of tenants go together."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import grpc

from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from control.catalog.store import record
from control.clusters import domain as placement
from control.clusters import store as cluster_store
from control.clusters.connections import Connections
from control.operations import domain as operations
from control.operations import store as operation_store
from control.operations.domain import UNDO, Fault, Kind, Operation
from control.operations.worker import Boundary, no_boundary
from control.tenants import domain, store
from control.tenants.domain import Tenant
from control.tenants.messages import catalog_tenant
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError
from shared.runtime.rpc.status import received

APPLY_TIMEOUT_S = 20.0
REMOVE_TIMEOUT_S = 20.0
REMOVALS_AT_ONCE = 8


def needs(tenant: Tenant) -> placement.Needs:
    return placement.Needs(
        region_id=tenant.wanted_region_id,
        plan_id=tenant.plan_id,
        dedicated=tenant.placement.isolation is domain.Isolation.DEDICATED,
        residency=tenant.placement.residency,
    )


@dataclass(frozen=True, slots=True)
class Provision:
    """The workflow PROVISION: place, apply, activate; undo when it is cancelled."""

    db: Database
    clock: Clock
    connections: Connections
    boundary: Boundary = no_boundary

    async def run(self, step: str, batch: Sequence[Operation]) -> Mapping[str, PlatformError]:
        match step:
            case "place":
                return await self._place(batch)
            case "apply":
                return await self._apply(batch)
            case "activate":
                await self._activate(batch)
            case operations.UNDO:
                return await undo(self.db, self.clock, self.connections, self.boundary, Kind.PROVISION, batch)
        return {}

    def gives_up(self, operation: Operation, fault: Fault) -> bool:
        """Never: a cluster comes back, room is made, and an operator who knows better cancels."""
        return False

    async def _place(self, batch: Sequence[Operation]) -> Mapping[str, PlatformError]:
        await self.boundary(Kind.PROVISION, "place", "worked")
        async with self.db.transaction() as tx:
            held = await operation_store.hold(tx, batch)
            tenants = await store.get_many(tx, [operation.tenant_id for operation in held], lock=True)
            clusters = await cluster_store.all_clusters(tx, lock=True)
            shards = await cluster_store.all_shards(tx)
            now = self.clock.now()
            waiting = [operation for operation in held if not tenants[operation.tenant_id].placement.cluster_id]
            chosen, _, _ = placement.spread([needs(tenants[each.tenant_id]) for each in waiting], clusters, shards)
            counts: dict[tuple[str, str], int] = {}
            pairs: list[tuple[Tenant, Tenant]] = []
            moved = []
            failed: dict[str, PlatformError] = {}
            for operation, candidate in zip(waiting, chosen, strict=True):
                before = tenants[operation.tenant_id]
                if candidate is None:
                    failed[operation.id] = placement.refused(placement.rank(needs(before), clusters, shards))
                    continue
                after = domain.place(before, candidate.region_id, candidate.cluster_id, candidate.shard_id, now)
                key = (candidate.cluster_id, candidate.shard_id)
                counts[key] = counts.get(key, 0) + 1
                pairs.append((before, after))
                moved.append(
                    replace(
                        operations.advance(operation, "apply", candidate.cluster_id, now),
                        target_cluster_id=candidate.cluster_id,
                    )
                )
            await cluster_store.count(tx, counts)
            await store.save(tx, [after for _, after in pairs])
            await operation_store.save(tx, moved)
            if pairs:
                await record(tx, [store.changed(before, after, "placed", "") for before, after in pairs])
        return failed

    async def _apply(self, batch: Sequence[Operation]) -> Mapping[str, PlatformError]:
        async with self.db.transaction() as tx:
            tenants = await store.get_many(tx, [operation.tenant_id for operation in batch])
        failed = await apply_to(self.connections, batch[0].lane, list(tenants.values()))
        await self.boundary(Kind.PROVISION, "apply", "worked")
        async with self.db.transaction() as tx:
            now = self.clock.now()
            held = await operation_store.hold(tx, [each for each in batch if each.tenant_id not in failed])
            await operation_store.save(tx, [operations.advance(each, "activate", "", now) for each in held])
        return {each.id: failed[each.tenant_id] for each in batch if each.tenant_id in failed}

    async def _activate(self, batch: Sequence[Operation]) -> None:
        await self.boundary(Kind.PROVISION, "activate", "worked")
        async with self.db.transaction() as tx:
            now = self.clock.now()
            held = await operation_store.hold(tx, batch)
            # Who cancelled in time finds the tenant as it was: the next claim takes it back.
            stopped = [operations.wait(each, now, now) for each in held if each.cancel_requested]
            ending = [each for each in held if not each.cancel_requested]
            tenants = await store.get_many(tx, [each.tenant_id for each in ending], lock=True)
            pairs = [(before, domain.provisioned(before, now)) for before in tenants.values()]
            await store.save(tx, [after for _, after in pairs])
            await operation_store.save(tx, [*stopped, *(operations.end(each, now) for each in ending)])
            if pairs:
                await record(tx, [store.changed(before, after, "activated", "") for before, after in pairs])

    async def revert(self, batch: Sequence[Operation], fault: Fault) -> None:
        """The tenants fail at once and lose their places; what the clusters know of them is taken back after that."""
        async with self.db.transaction() as tx:
            now = self.clock.now()
            held = await operation_store.hold(tx, batch)
            tenants = await store.get_many(tx, [each.tenant_id for each in held], lock=True)
            counts: dict[tuple[str, str], int] = {}
            pairs = []
            changed = []
            for operation in held:
                before = tenants[operation.tenant_id]
                where = before.placement
                pairs.append((before, domain.give_up(before, fault.message, now)))
                if where.cluster_id:
                    key = (where.cluster_id, where.shard_id)
                    counts[key] = counts.get(key, 0) - 1
                    changed.append(operations.compensate(operation, fault, where.cluster_id, now))
                else:
                    changed.append(operations.fail(operation, fault, now))
            await cluster_store.count(tx, counts)
            await store.save(tx, [after for _, after in pairs])
            await operation_store.save(tx, changed)
            if pairs:
                revisions = await record(
                    tx, [store.changed(before, after, "failed", fault.message) for before, after in pairs]
                )
                by_operation = zip((each.id for each in held), revisions, strict=True)
                await operation_store.stamp(tx, dict(by_operation))


async def apply_to(connections: Connections, cluster_id: str, tenants: Sequence[Tenant]) -> dict[str, PlatformError]:
    """Brings the tenants to the cluster; why it refused some of them, by tenant id.

    A cluster takes a request whole or not at all, so a batch that it refuses is halved until the bad ones are found.
    """
    if not tenants:
        return {}
    request = runtime_pb.ApplyTenantsRequest(tenants=[catalog_tenant(tenant) for tenant in tenants])
    try:
        await connections.runtime(cluster_id).ApplyTenants(request, timeout=APPLY_TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        refused = error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)
        if not refused or len(tenants) == 1:
            return {tenant.id: received(error) for tenant in tenants}
        half = len(tenants) // 2
        return {
            **await apply_to(connections, cluster_id, tenants[:half]),
            **await apply_to(connections, cluster_id, tenants[half:]),
        }
    return {}


async def remove_from(connections: Connections, removals: Sequence[tuple[str, str, int]]) -> dict[str, PlatformError]:
    """Removes tenants from clusters: (tenant id, cluster id, revision); why it failed for some, by tenant id."""
    turns = asyncio.Semaphore(REMOVALS_AT_ONCE)
    failed: dict[str, PlatformError] = {}

    async def remove(tenant_id: str, cluster_id: str, revision: int) -> None:
        request = runtime_pb.RemoveTenantRequest(tenant_id=tenant_id, revision=revision)
        async with turns:
            try:
                await connections.runtime(cluster_id).RemoveTenant(request, timeout=REMOVE_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                failed[tenant_id] = received(error)
            except PlatformError as error:
                failed[tenant_id] = error

    await asyncio.gather(*(remove(*removal) for removal in removals))
    return failed


async def undo(
    db: Database,
    clock: Clock,
    connections: Connections,
    boundary: Boundary,
    kind: Kind,
    batch: Sequence[Operation],
) -> Mapping[str, PlatformError]:
    """The last step of an operation that was reverted: the cluster forgets the tenant, unless it has it anew."""
    failed = await remove_from(connections, [(each.tenant_id, each.target_cluster_id, each.revision) for each in batch])
    await boundary(kind, UNDO, "worked")
    async with db.transaction() as tx:
        held = await operation_store.hold(tx, [each for each in batch if each.tenant_id not in failed])
        now = clock.now()
        await operation_store.save(tx, [operations.end(each, now) for each in held])
    return {each.id: failed[each.tenant_id] for each in batch if each.tenant_id in failed}
