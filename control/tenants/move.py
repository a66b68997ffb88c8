"""Moving a tenant to another cluster: reads go on all the time, writes wait while rows are copied.

The order is what makes it safe. Writes are frozen at the source before the first row is read, so the copy is whole.
The target answers reads from the end of the import on: its rows equal the source's until the thaw. The switch is one
transaction of the catalog; routes that turn early or late find the same rows at either end, and writes only at the
target, after it. The source goes on answering reads until every edge has turned.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from center.dataplane.v1 import tenant_runtime_service_pb2 as pb
from control.catalog.store import record
from control.catalog.watchers import Watchers
from control.clusters import store as cluster_store
from control.clusters.connections import Connections
from control.operations import domain as operations
from control.operations import store as operation_store
from control.operations.domain import UNDO, Fault, Kind, Operation
from control.operations.worker import Boundary, no_boundary
from control.tenants import domain, store
from control.tenants.domain import Tenant
from control.tenants.messages import catalog_tenant
from control.tenants.provision import apply_to, remove_from, undo
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import DeadlineExceeded, FailedPrecondition, PlatformError

PING_TIMEOUT_S = 5.0
# Edges that have not been seen for longer are not waited for.
EDGE_MEMORY = timedelta(minutes=10)
DRAIN_LOOK_S = 0.2
# The switch is on its way to the edges and to the target, which follow the catalog; it goes first.
AFTER_SWITCH = timedelta(milliseconds=25)
PREPARE_TRIES = 3

# Whatever else goes wrong will go wrong again.
_PASSING = ("UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED")
# Before the first of these nothing of the tenant is on the target.
_COPYING = ("copy", "verify", "switch")


@dataclass(frozen=True, slots=True)
class Move:
    """The workflow MOVE: prepare, freeze, quiesce, copy, verify, switch, settle, drain, cleanup."""

    db: Database
    clock: Clock
    connections: Connections
    watchers: Watchers
    drain_s: float
    boundary: Boundary = no_boundary

    async def run(self, step: str, batch: Sequence[Operation]) -> Mapping[str, PlatformError]:
        if step == UNDO:
            return await undo(self.db, self.clock, self.connections, self.boundary, Kind.MOVE, batch)
        [operation] = batch
        if operation.freeze_time is not None and operation.is_reversible:
            left_s = (_limit(operation) - self.clock.now()).total_seconds()
            if left_s <= 0:
                raise _limit_passed(operation)
            async with asyncio.timeout(left_s):
                await self._step(step, operation)
        else:
            await self._step(step, operation)
        return {}

    async def _step(self, step: str, operation: Operation) -> None:
        async with self.db.transaction() as tx:
            tenant = await store.get(tx, operation.tenant_id)
        match step:
            case "prepare":
                await self._prepare(operation, tenant)
            case "freeze":
                await self._freeze(operation)
            case "quiesce":
                await self._quiesce(operation, tenant)
            case "copy":
                await self._copy(operation, tenant)
            case "verify":
                await self._verify(operation)
            case "switch":
                await self._switch(operation)
            case "settle":
                await self._settle(operation, tenant)
            case "drain":
                await self._drain(operation)
            case "cleanup":
                await self._cleanup(operation, tenant)

    def gives_up(self, operation: Operation, fault: Fault) -> bool:
        """Before the switch a move rather ends than keeps writes waiting."""
        if operation.freeze_time is not None and self.clock.now() >= _limit(operation):
            return True
        if fault.code not in _PASSING:
            return True
        return operation.freeze_time is None and operation.attempts >= PREPARE_TRIES

    async def _advance(self, operation: Operation, step: str, rows_copied: int | None = None) -> None:
        await self.boundary(Kind.MOVE, operation.step, "worked")
        async with self.db.transaction() as tx:
            now = self.clock.now()
            for held in await operation_store.hold(tx, [operation]):
                counted = held if rows_copied is None else replace(held, rows_copied=rows_copied)
                await operation_store.save(tx, [operations.advance(counted, step, held.id, now)])

    async def _prepare(self, operation: Operation, tenant: Tenant) -> None:
        """Asks both ends for an answer before anything is frozen."""
        source = self.connections.runtime(operation.source_cluster_id)
        target = self.connections.runtime(operation.target_cluster_id)
        await source.GetTenantDigest(pb.GetTenantDigestRequest(tenant_id=tenant.id), timeout=PING_TIMEOUT_S)
        await target.ListTenants(pb.ListTenantsRequest(page_size=1), timeout=PING_TIMEOUT_S)
        await self._advance(operation, "freeze")

    async def _freeze(self, operation: Operation) -> None:
        await self.boundary(Kind.MOVE, "freeze", "worked")
        async with self.db.transaction() as tx:
            for held in await operation_store.hold(tx, [operation]):
                now = self.clock.now()
                before = await store.get(tx, held.tenant_id, lock=True)
                after = domain.freeze(before, now)
                await store.save(tx, [after])
                await operation_store.save(
                    tx, [replace(operations.advance(held, "quiesce", held.id, now), freeze_time=now)]
                )
                await record(tx, [store.changed(before, after, "frozen", held.reason)])

    async def _quiesce(self, operation: Operation, tenant: Tenant) -> None:
        """The source's answer says that no write is under way any more."""
        await self._apply(operation.source_cluster_id, tenant)
        await self._advance(operation, "copy")

    async def _apply(self, cluster_id: str, tenant: Tenant) -> None:
        failed = await apply_to(self.connections, cluster_id, [tenant])
        if failed:
            raise failed[tenant.id]

    async def _copy(self, operation: Operation, tenant: Tenant) -> None:
        rows = await copy(self.connections, operation.source_cluster_id, operation.target_cluster_id, tenant)
        await self._advance(operation, "verify", rows)

    async def _verify(self, operation: Operation) -> None:
        request = pb.GetTenantDigestRequest(tenant_id=operation.tenant_id)
        source, target = await asyncio.gather(
            self.connections.runtime(operation.source_cluster_id).GetTenantDigest(request),
            self.connections.runtime(operation.target_cluster_id).GetTenantDigest(request),
        )
        if different := _differing(source, target):
            raise FailedPrecondition(
                "MOVE_COPY_DIFFERS", f"the copy differs in {', '.join(different)}", tables=",".join(different)
            )
        await self._advance(operation, "switch")

    async def _switch(self, operation: Operation) -> None:
        await self.boundary(Kind.MOVE, "switch", "worked")
        async with self.db.transaction() as tx:
            for held in await operation_store.hold(tx, [operation]):
                now = self.clock.now()
                if held.cancel_requested:
                    await operation_store.save(tx, [operations.wait(held, now, now)])
                    return
                if now >= _limit(held):
                    raise _limit_passed(held)
                before = await store.get(tx, held.tenant_id, lock=True)
                target = await cluster_store.get(tx, held.target_cluster_id)
                after = domain.switch(before, target.region_id, held.target_shard_id, now)
                await store.save(tx, [after])
                await cluster_store.count(tx, {(before.placement.cluster_id, before.placement.shard_id): -1})
                moved = replace(operations.advance(held, "settle", held.id, now), thaw_time=now)
                await operation_store.save(tx, [operations.wait(moved, now + AFTER_SWITCH, now)])
                [revision] = await record(tx, [store.changed(before, after, "moved", held.reason)])
                await operation_store.stamp(tx, {held.id: revision})

    async def _settle(self, operation: Operation, tenant: Tenant) -> None:
        """The target takes writes from here on, should it not have learnt of the switch by its watch before."""
        await self._apply(operation.target_cluster_id, tenant)
        await self._advance(operation, "drain")

    async def _drain(self, operation: Operation) -> None:
        """Waits until no edge sends reads to the source any more, and a little longer for requests under way."""
        async with self.db.transaction() as tx:
            everyone = await self.watchers.everyone(tx)
        now = self.clock.now()
        late = [
            watcher.id
            for watcher in everyone
            if watcher.id.startswith("edge/")
            and watcher.seen_time > now - EDGE_MEMORY
            and watcher.applied_revision < operation.revision
        ]
        drained_at = (operation.thaw_time or now) + timedelta(seconds=self.drain_s)
        if not late and now >= drained_at:
            await self._advance(operation, "cleanup")
            return
        until = max(now + timedelta(seconds=DRAIN_LOOK_S), drained_at if not late else now)
        async with self.db.transaction() as tx:
            held = await operation_store.hold(tx, [operation])
            await operation_store.save(tx, [operations.wait(each, until, now) for each in held])

    async def _cleanup(self, operation: Operation, tenant: Tenant) -> None:
        # The newest revision: the tenant has left for good, whatever the source has heard of it since.
        failed = await remove_from(self.connections, [(tenant.id, operation.source_cluster_id, tenant.revision)])
        if failed:
            raise failed[tenant.id]
        await self.boundary(Kind.MOVE, "cleanup", "worked")
        async with self.db.transaction() as tx:
            for held in await operation_store.hold(tx, [operation]):
                now = self.clock.now()
                before = await store.get(tx, held.tenant_id, lock=True)
                after = domain.release(before, now)
                await store.save(tx, [after])
                await operation_store.save(tx, [operations.end(held, now)])
                await record(tx, [store.noted(before, after, "settled")])

    async def revert(self, batch: Sequence[Operation], fault: Fault) -> None:
        """The tenant stays where it is and is written to again at once; the target's copy goes after that."""
        async with self.db.transaction() as tx:
            for held in await operation_store.hold(tx, batch):
                now = self.clock.now()
                before = await store.get(tx, held.tenant_id, lock=True)
                after = domain.stay(before, now)
                await store.save(tx, [after])
                await cluster_store.count(tx, {(held.target_cluster_id, held.target_shard_id): -1})
                thawed = held if held.freeze_time is None else replace(held, thaw_time=now)
                if held.step in _COPYING:
                    ended = operations.compensate(thawed, fault, held.target_cluster_id, now)
                else:
                    ended = operations.fail(thawed, fault, now)
                await operation_store.save(tx, [ended])
                [revision] = await record(tx, [store.changed(before, after, "stayed", fault.message)])
                await operation_store.stamp(tx, {held.id: revision})


def _limit(operation: Operation) -> datetime:
    return (operation.freeze_time or operation.create_time) + timedelta(seconds=operation.freeze_limit_s)


def _limit_passed(operation: Operation) -> DeadlineExceeded:
    return DeadlineExceeded(
        "FREEZE_LIMIT_PASSED", f"writes would have waited for more than {operation.freeze_limit_s} s"
    )


async def copy(connections: Connections, source_id: str, target_id: str, tenant: Tenant) -> int:
    """Pipes the tenant's rows, and the bytes of its media, from one cluster to the other; how many rows."""
    source, target = connections.runtime(source_id), connections.runtime(target_id)
    there = await target.GetObjectPlace(pb.GetObjectPlaceRequest())
    exporting = source.ExportTenant(pb.ExportTenantRequest(tenant_id=tenant.id, target_object_place=there.place))
    importing = target.ImportTenant()
    try:
        # The target takes all or nothing: a source that fails must not look like one that has ended.
        with suppress(asyncio.InvalidStateError):  # the target has answered already; its answer says why
            await importing.write(pb.ImportTenantRequest(tenant=catalog_tenant(tenant)))
            async for part in exporting:
                if part.HasField("object"):
                    await importing.write(pb.ImportTenantRequest(object=part.object))
                else:
                    await importing.write(pb.ImportTenantRequest(rows=part.rows))
            await importing.done_writing()
        answer: pb.ImportTenantResponse = await importing
    except BaseException:
        importing.cancel()
        exporting.cancel()
        raise
    return answer.rows


def _differing(source: pb.GetTenantDigestResponse, target: pb.GetTenantDigestResponse) -> list[str]:
    """The tables in which the two ends have different rows."""
    here = {each.table: (each.rows, each.checksum) for each in source.tables}
    there = {each.table: (each.rows, each.checksum) for each in target.tables}
    return sorted(table for table in {*here, *there} if here.get(table) != there.get(table))
