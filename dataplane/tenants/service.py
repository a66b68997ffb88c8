"""TenantRuntimeService: what control tells this cluster to do with tenants, and asks of them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
import structlog

from center.control.v1 import tenant_pb2
from center.control.v1.catalog_service_pb2 import CatalogTenant
from center.dataplane.v1 import tenant_runtime_service_pb2 as pb
from center.dataplane.v1 import tenant_runtime_service_pb2_grpc as pb_grpc
from dataplane.tenants import domain, figures, rows, store
from dataplane.tenants.domain import Local, Mode, State
from dataplane.tenants.local import LocalTenants
from shared.media import moving
from shared.media.objects import Objects
from shared.notifications import triggers
from shared.runtime import journal, money
from shared.runtime.db import Database
from shared.runtime.errors import InvalidArgument, NotFound, PlatformError
from shared.runtime.events import gaps
from shared.runtime.ids import is_uuid
from shared.runtime.money import Money
from shared.runtime.paging import PageTokens, page_size
from shared.webhooks import fanout

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# A removal locks the tenant for as long as this many rows take.
ROWS_AT_ONCE = 5_000
OBJECTS_AT_ONCE = 500

log = structlog.stdlib.get_logger("center.tenants")


class TenantRuntimeService(pb_grpc.TenantRuntimeServiceServicer):
    """steward: the narrow role that sees every tenant's entry. movers: the same role in a pool of its own, so that long
    copies never keep a command waiting. db: reads of one tenant's rows, as requests read them. seal: seals the audit as
    it is."""

    def __init__(
        self,
        *,
        cluster_id: str,
        tenants: LocalTenants,
        steward: Database,
        movers: Database,
        db: Database,
        tokens: PageTokens,
        seal: Callable[[], Awaitable[None]],
        objects: Objects,
    ) -> None:
        self._cluster_id = cluster_id
        self._tenants = tenants
        self._steward = steward
        self._movers = movers
        self._db = db
        self._tokens = tokens
        self._seal = seal
        self._objects = objects

    async def ApplyTenants(self, request: pb.ApplyTenantsRequest, context: Context) -> pb.ApplyTenantsResponse:
        named = [entry(tenant, self._cluster_id, f"tenants[{n}]") for n, tenant in enumerate(request.tenants)]
        await self.apply(named, introducing=State)
        return pb.ApplyTenantsResponse()

    async def apply(
        self,
        entries: Sequence[store.Entry],
        *,
        introducing: Iterable[State],
        removed: Iterable[tuple[str, int]] = (),
        watched_revision: int | None = None,
        again: bool = False,
    ) -> None:
        """Takes entries and removals over, for commands and for the watch alike; when it returns they are in effect.

        watched_revision: how far the catalog is followed with this, kept in the same transaction.
        """
        removed = list(removed)
        ids = [e.tenant_id for e in entries]
        stops = [e.tenant_id for e in entries if not _writable(e)] + [tenant_id for tenant_id, _ in removed]
        with self._tenants.closing(stops):
            for tenant_id, revision in removed:
                await self._remove(tenant_id, revision)
            try:
                await store.apply(
                    self._steward, entries, introducing=introducing, watched_revision=watched_revision, again=again
                )
            finally:
                # Also after an error: a commit whose answer was lost may have happened.
                await self._tenants.refresh(ids)

    async def RemoveTenant(self, request: pb.RemoveTenantRequest, context: Context) -> pb.RemoveTenantResponse:
        with self._tenants.closing([request.tenant_id]):
            return pb.RemoveTenantResponse(removed=await self._remove(request.tenant_id, request.revision))

    async def _remove(self, tenant_id: str, revision: int) -> bool:
        trace = CatalogTenant(id=tenant_id, revision=revision).SerializeToString()
        try:
            async with self._steward.transaction() as tx:
                ended, removed = await store.end(tx, tenant_id, revision, trace)
                if ended:
                    await store.note(tx, tenant_id, rows="removed", revision=str(revision))
                else:
                    journal.unchanged(tx)
        finally:
            await self._tenants.refresh([tenant_id])
        if not ended:
            return False
        deleted = ROWS_AT_ONCE
        while deleted:
            # Rows go in transactions that are this tenant's, like every other that touches rows.
            async with self._movers.transaction(tenant_id) as tx:
                deleted = await store.delete_some(tx, tenant_id, ROWS_AT_ONCE)
            removed = removed or deleted > 0
        await self._remove_objects(tenant_id)
        if removed:
            log.info("tenant removed", tenant_id=tenant_id, revision=revision)
        return removed

    async def _remove_objects(self, tenant_id: str) -> None:
        """Deletes the bytes of a tenant's media, unless it has moved and took the place where they are along."""
        local = self._tenants.get(tenant_id)
        if self._objects.is_shared and local is not None and local.state is State.ACTIVE:
            return
        deleted = OBJECTS_AT_ONCE
        while deleted:
            async with self._movers.transaction(tenant_id) as tx:
                # Locked meanwhile: an import that brings the tenant back waits, and brings its bytes after these went.
                journal.unchanged(tx)
                if await store.is_served(tx, tenant_id):
                    return
                deleted = await self._objects.delete_below(tenant_id, OBJECTS_AT_ONCE)

    async def ResyncTenant(self, request: pb.ResyncTenantRequest, context: Context) -> pb.ResyncTenantResponse:
        theirs = entry(request.tenant, self._cluster_id)
        async with self._steward.transaction() as tx:
            known = await store.entry(tx, theirs.tenant_id)
        ours = None if known is None else _fields(CatalogTenant.FromString(known[0]))
        await self.apply([theirs], introducing=State, again=True)
        return pb.ResyncTenantResponse(drift=domain.drift(ours, _fields(request.tenant)))

    async def GetTenantStats(self, request: pb.GetTenantStatsRequest, context: Context) -> pb.GetTenantStatsResponse:
        local = self._served(request.tenant_id)
        async with self._db.transaction(request.tenant_id, snapshot=True) as tx:
            found = await figures.count(tx, request.tenant_id)
        stock = found.stock
        stats = pb.GetTenantStatsResponse(
            active_products=found.products.get("ACTIVE", 0),
            draft_products=found.products.get("DRAFT", 0),
            archived_products=found.products.get("ARCHIVED", 0),
            variants=found.variants,
            revision=local.revision,
            open_carts=found.open_carts,
            customers=found.customers,
            stock=pb.StockFigures(
                levels=stock.levels, on_hand=stock.on_hand, reserved=stock.reserved, backordered=stock.backordered
            ),
            media_bytes=found.media_bytes,
            orders=[_order_figures(each) for each in found.orders],
        )
        if found.last_write is not None:
            stats.last_write_time.FromDatetime(found.last_write)
        return stats

    async def ListTenants(self, request: pb.ListTenantsRequest, context: Context) -> pb.ListTenantsResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        async with self._steward.transaction() as tx:
            page = await store.page(tx, str(cursor[0]) if cursor else None, size + 1)
        response = pb.ListTenantsResponse()
        for encoded, local in page[:size]:
            response.tenants.add(tenant=CatalogTenant.FromString(encoded), served=local.served)
        if len(page) > size:
            response.next_page_token = self._tokens.issue([page[size - 1][1].tenant_id], request)
        return response

    async def ExportTenant(
        self, request: pb.ExportTenantRequest, context: Context
    ) -> AsyncIterator[pb.ExportTenantResponse]:
        self._served(request.tenant_id)
        # Who takes the rows has another key: what is not sealed here could not be told from what was slipped in.
        await self._seal()
        async with self._movers.transaction(request.tenant_id, snapshot=True) as tx:
            async with aclosing(rows.parts(tx)) as parts:
                async for part in parts:
                    yield pb.ExportTenantResponse(
                        rows=pb.TenantRows(
                            table=part.table, columns=part.columns, data=part.data, schema_version=part.schema_version
                        )
                    )
            if request.target_object_place == self._objects.place:
                return
            async with aclosing(moving.outgoing(tx, request.tenant_id, self._objects)) as outgoing:
                async for key, data in outgoing:
                    yield pb.ExportTenantResponse(object=pb.TenantObject(key=key, data=bytes(data)))

    async def GetObjectPlace(self, request: pb.GetObjectPlaceRequest, context: Context) -> pb.GetObjectPlaceResponse:
        return pb.GetObjectPlaceResponse(place=self._objects.place)

    async def ImportTenant(
        self, requests: AsyncIterator[pb.ImportTenantRequest], context: Context
    ) -> pb.ImportTenantResponse:
        first = await anext(requests, None)
        if first is None or first.WhichOneof("request") != "tenant":
            raise InvalidArgument("IMPORT_NOT_INTRODUCED", "the first message of an import is the tenant")
        introduced = entry(first.tenant, self._cluster_id)
        try:
            async with self._movers.transaction(introduced.tenant_id) as tx:
                await store.adopt(tx, introduced)
                incoming = moving.Incoming(introduced.tenant_id, self._objects)
                async with rows.Intake(tx) as intake:
                    async for request in requests:
                        match request.WhichOneof("request"):
                            case "rows":
                                part = request.rows
                                columns = tuple(part.columns)
                                await intake.take(rows.Part(part.table, columns, part.data, part.schema_version))
                            case "object":
                                await incoming.take(request.object.key, request.object.data)
                            case _:
                                raise InvalidArgument("IMPORT_NOT_INTRODUCED", "an import is of one tenant")
                await incoming.check(tx)
                await gaps.arrived(tx, introduced.tenant_id, (fanout.NAME, triggers.NAME))
                await store.note(tx, introduced.tenant_id, rows="arrived", count=str(intake.rows))
        finally:
            await self._tenants.refresh([introduced.tenant_id])
        log.info("tenant imported", tenant_id=introduced.tenant_id, rows=intake.rows)
        return pb.ImportTenantResponse(rows=intake.rows)

    async def GetTenantDigest(self, request: pb.GetTenantDigestRequest, context: Context) -> pb.GetTenantDigestResponse:
        self._served(request.tenant_id)
        async with self._movers.transaction(request.tenant_id, snapshot=True) as tx:
            found = await rows.digests(tx)
        return pb.GetTenantDigestResponse(
            tables=[pb.TableDigest(table=d.table, rows=d.rows, checksum=d.checksum) for d in found]
        )

    def _served(self, tenant_id: str) -> Local:
        local = self._tenants.get(tenant_id)
        if local is None or not local.served:
            raise NotFound("TENANT_NOT_FOUND", f"no tenant {tenant_id} here", tenant_id=tenant_id)
        return local


def entry(tenant: CatalogTenant, cluster_id: str, path: str = "tenant") -> store.Entry:
    """InvalidArgument ENTRY_INVALID, at `path` of the request: an id, state or mode that this release does not know."""
    if not is_uuid(tenant.id):
        raise _invalid(tenant, path, "id is no UUID")
    try:
        state = State(tenant_pb2.TenantState.Name(tenant.state).removeprefix("TENANT_STATE_"))
        mode = Mode(tenant_pb2.TenantMode.Name(tenant.mode).removeprefix("TENANT_MODE_"))
    except ValueError:
        raise _invalid(tenant, path, f"state {tenant.state} or mode {tenant.mode} is not known here") from None
    return store.Entry(
        tenant_id=tenant.id,
        revision=tenant.revision,
        state=state,
        mode=mode,
        writes_frozen=tenant.placement.writes_frozen,
        placed_here=tenant.placement.cluster_id == cluster_id,
        arriving=tenant.placement.moving_to_cluster_id == cluster_id,
        encoded=tenant.SerializeToString(),
    )


def _invalid(tenant: CatalogTenant, path: str, why: str) -> PlatformError:
    return InvalidArgument("ENTRY_INVALID", f"entry of tenant {tenant.id!r}: {why}", fields={path: why})


def _writable(new: store.Entry) -> bool:
    """Whether the entry leaves a tenant that is served here open to writes."""
    return Local(
        tenant_id=new.tenant_id,
        revision=new.revision,
        state=new.state,
        mode=new.mode,
        writes_frozen=new.writes_frozen,
        placed_here=new.placed_here,
        arriving=new.arriving,
        served=True,
    ).is_writable


def _fields(tenant: CatalogTenant) -> dict[str, object]:
    return {field.name: _plain(value) for field, value in tenant.ListFields()}


def _plain(value: Any) -> object:
    """A value that compares by content."""
    return value.SerializeToString(deterministic=True) if hasattr(value, "SerializeToString") else str(value)


def _order_figures(of: figures.Orders) -> pb.OrderFigures:
    return pb.OrderFigures(
        state=f"ORDER_STATE_{of.state}",
        count=of.count,
        total=money.to_proto(Money(of.currency, of.total_minor)),
        paid=money.to_proto(Money(of.currency, of.paid_minor)),
        refunded=money.to_proto(Money(of.currency, of.refunded_minor)),
    )
