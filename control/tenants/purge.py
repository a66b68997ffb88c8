"""Purging: a deleted tenant whose grace has ended goes from its cluster, then from the catalog."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from center.control.v1 import catalog_service_pb2 as catalog_pb
from control.catalog.store import Change, record
from control.clusters import store as cluster_store
from control.clusters.connections import Connections
from control.operations import domain as operations
from control.operations import store as operation_store
from control.operations.domain import Fault, Kind, Operation
from control.operations.worker import Boundary, no_boundary
from control.tenants import domain, store
from control.tenants.provision import remove_from
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError
from shared.runtime.ids import uuid7

AT_ONCE = 100


async def start(db: Database, clock: Clock) -> int:
    """Starts the purge of tenants whose time has come, and says of how many; call again while it is not 0."""
    async with db.transaction() as tx:
        now, call = clock.now(), current()
        due = await store.to_purge(tx, now, AT_ONCE)
        added = [
            Operation(
                id=uuid7(),
                kind=Kind.PURGE,
                tenant_id=tenant.id,
                step="remove",
                lane=tenant.placement.cluster_id,
                create_time=now,
                update_time=now,
                next_attempt_time=now,
                caller=call.caller,
                reason=tenant.state_reason,
                trace_id=call.trace_id,
                request_id=call.request_id,
                source_cluster_id=tenant.placement.cluster_id,
            )
            for tenant in due
        ]
        pairs = [
            (tenant, domain.begin(tenant, operation.id, now)) for tenant, operation in zip(due, added, strict=True)
        ]
        await store.save(tx, [after for _, after in pairs])
        await operation_store.add(tx, added)
        if pairs:
            await record(tx, [store.noted(before, after, "purging") for before, after in pairs])
    return len(due)


@dataclass(frozen=True, slots=True)
class Purge:
    """The workflow PURGE: remove, erase."""

    db: Database
    clock: Clock
    connections: Connections
    boundary: Boundary = no_boundary

    async def run(self, step: str, batch: Sequence[Operation]) -> Mapping[str, PlatformError]:
        if step == "remove":
            return await self._remove(batch)
        await self._erase(batch)
        return {}

    def gives_up(self, operation: Operation, fault: Fault) -> bool:
        return False

    async def revert(self, batch: Sequence[Operation], fault: Fault) -> None:
        """A purge only goes forward; nothing leads here."""

    async def _remove(self, batch: Sequence[Operation]) -> Mapping[str, PlatformError]:
        async with self.db.transaction() as tx:
            tenants = await store.get_many(tx, [each.tenant_id for each in batch])
        failed = await remove_from(
            self.connections,
            [
                (each.tenant_id, each.source_cluster_id, tenants[each.tenant_id].revision)
                for each in batch
                if each.source_cluster_id
            ],
        )
        await self.boundary(Kind.PURGE, "remove", "worked")
        async with self.db.transaction() as tx:
            held = await operation_store.hold(tx, [each for each in batch if each.tenant_id not in failed])
            now = self.clock.now()
            await operation_store.save(tx, [operations.advance(each, "erase", "", now) for each in held])
        return {each.id: failed[each.tenant_id] for each in batch if each.tenant_id in failed}

    async def _erase(self, batch: Sequence[Operation]) -> None:
        await self.boundary(Kind.PURGE, "erase", "worked")
        async with self.db.transaction() as tx:
            held = await operation_store.hold(tx, batch)
            tenants = await store.get_many(tx, [each.tenant_id for each in held], lock=True)
            counts: dict[tuple[str, str], int] = {}
            for tenant in tenants.values():
                domain.check(replace(tenant, operation_id=None), domain.Action.PURGE)
                where = tenant.placement
                if where.cluster_id:
                    key = (where.cluster_id, where.shard_id)
                    counts[key] = counts.get(key, 0) - 1
            await cluster_store.count(tx, counts)
            await store.erase(tx, list(tenants))
            now = self.clock.now()
            await operation_store.save(tx, [operations.end(each, now) for each in held])
            if tenants:
                await record(tx, [_purged(tenant) for tenant in tenants.values()])


def _purged(tenant: domain.Tenant) -> Change:
    return Change(
        resource="tenant",
        resource_id=tenant.id,
        event="purged",
        reason=tenant.state_reason,
        before=domain.facts(tenant),
        after={},
        tenant_id=tenant.id,
        entry=catalog_pb.CatalogEntry(removed_tenant_id=tenant.id),
        cluster_ids=frozenset((tenant.placement.cluster_id,)),
    )
