"""InventoryService: where one tenant keeps its stock, how much there is, and for whom."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import inventory_service_pb2 as pb
from center.dataplane.v1 import inventory_service_pb2_grpc as pb_grpc
from dataplane.inventory import domain, ops, store
from dataplane.inventory.domain import Kind, Line, Location, Outcome
from dataplane.inventory.messages import (
    adjustment,
    changes,
    events,
    level_to_proto,
    line,
    location_change,
    location_to_proto,
    movement_to_proto,
    reservation_to_proto,
)
from dataplane.inventory.tables import locations, stock_levels, stock_movements
from dataplane.inventory.watch import BY_KEY, Watches
from shared.runtime import filters, journal, masks
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.filters import Field
from shared.runtime.idempotency import mutation
from shared.runtime.ids import uuid7
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

HELD_FOR = timedelta(minutes=10)

_KINDS: dict[str, object] = {name: kind.value for kind in Kind for name in (kind.value, f"STOCK_MOVEMENT_KIND_{kind}")}
_LOCATIONS = {
    "id": Field(locations.c.id, "uuid"),
    "code": Field(locations.c.code),
    "is_active": Field(locations.c.is_active, "bool"),
    "priority": Field(locations.c.priority, "int"),
    "create_time": Field(locations.c.create_time, "timestamp"),
    "update_time": Field(locations.c.update_time, "timestamp"),
}
_LEVELS = {
    "variant_id": Field(stock_levels.c.variant_id, "uuid"),
    "location_id": Field(stock_levels.c.location_id, "uuid"),
    "on_hand": Field(stock_levels.c.on_hand, "int"),
    "reserved": Field(stock_levels.c.reserved, "int"),
    "backordered": Field(stock_levels.c.backordered, "int"),
    "allows_backorder": Field(stock_levels.c.allows_backorder, "bool"),
    "update_time": Field(stock_levels.c.update_time, "timestamp"),
}
_MOVEMENTS = {
    "variant_id": Field(stock_movements.c.variant_id, "uuid"),
    "location_id": Field(stock_movements.c.location_id, "uuid"),
    "kind": Field(stock_movements.c.kind, "enum", _KINDS),
    "reference": Field(stock_movements.c.reference),
    "create_time": Field(stock_movements.c.create_time, "timestamp"),
}
_BY_PRIORITY = Ordering((Term(locations.c.priority), Term(locations.c.id)))
_NEWEST = Ordering((Term(stock_movements.c.create_time, True), Term(stock_movements.c.id, True)))
_CHANGEABLE = ("code", "name", "priority", "is_active")


class InventoryService(pb_grpc.InventoryServiceServicer):
    """db: transactions that may write (dataplane.tenants.local.Writes); reads: those that do not.

    admit: raises when nobody can watch the tenant here any more.
    """

    def __init__(
        self,
        *,
        db: Database,
        reads: Database,
        tokens: PageTokens,
        clock: Clock,
        watches: Watches,
        admit: Callable[[str], None],
    ) -> None:
        self.db = db
        self._reads = reads
        self._tokens = tokens
        self._clock = clock
        self._watches = watches
        self._admit = admit

    @mutation
    async def CreateLocation(self, request: pb.CreateLocationRequest, tx: AsyncConnection) -> pb.CreateLocationResponse:
        wanted, now = request.location, self._clock.now()
        is_active = wanted.is_active if wanted.HasField("is_active") else True
        location = domain.named(Location(uuid7(), wanted.code, wanted.name, wanted.priority, is_active, now, now))
        await store.add_location(tx, current().tenant_id, location)
        await journal.record(tx, current().tenant_id, [location_change(None, location)])
        return pb.CreateLocationResponse(location=location_to_proto(location))

    async def GetLocation(self, request: pb.GetLocationRequest, context: Context) -> pb.GetLocationResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            location = await store.location(tx, current().tenant_id, request.id)
        return pb.GetLocationResponse(location=location_to_proto(location))

    async def ListLocations(self, request: pb.ListLocationsRequest, context: Context) -> pb.ListLocationsResponse:
        condition = filters.where(request.filter, _LOCATIONS)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.locations_page(tx, current().tenant_id, condition, _BY_PRIORITY, cursor, size)
        return pb.ListLocationsResponse(
            locations=map(location_to_proto, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    @mutation
    async def UpdateLocation(self, request: pb.UpdateLocationRequest, tx: AsyncConnection) -> pb.UpdateLocationResponse:
        masks.which("location", request.location.id)
        before = await store.location(tx, current().tenant_id, request.location.id, lock=True)
        message = location_to_proto(before)
        masks.merge(message, request.location, request.update_mask, _CHANGEABLE)
        wanted = Location(
            before.id,
            message.code,
            message.name,
            message.priority,
            message.is_active,
            before.create_time,
            before.update_time,
            before.version,
        )
        after = domain.change(before, wanted, etag=request.location.etag, now=self._clock.now())
        if after is before:
            journal.unchanged(tx)
        else:
            await store.save_location(tx, current().tenant_id, after)
            await journal.record(tx, current().tenant_id, [location_change(before, after)])
        return pb.UpdateLocationResponse(location=location_to_proto(after))

    @mutation
    async def AdjustStock(self, request: pb.AdjustStockRequest, tx: AsyncConnection) -> pb.AdjustStockResponse:
        adjustments = [
            adjustment(each, request.reason, f"adjustments[{position}]")
            for position, each in enumerate(request.adjustments)
        ]
        outcome, made = await ops.adjust(tx, current().tenant_id, adjustments, now=self._clock.now())
        await _record(tx, outcome, request.reason, made)
        return pb.AdjustStockResponse(levels=[level_to_proto(step.after) for step in outcome.steps])

    @mutation
    async def ConfigureStock(self, request: pb.ConfigureStockRequest, tx: AsyncConnection) -> pb.ConfigureStockResponse:
        def settings(allows_backorder: bool, low_threshold: int | None) -> tuple[bool, int | None]:
            if request.HasField("allows_backorder"):
                allows_backorder = request.allows_backorder
            if request.HasField("low_threshold"):
                low_threshold = request.low_threshold if request.low_threshold >= 0 else None
            return allows_backorder, low_threshold

        level, outcome, made = await ops.configure(
            tx,
            current().tenant_id,
            request.variant_id.lower(),
            request.location_id.lower(),
            settings,
            now=self._clock.now(),
        )
        await _record(tx, outcome, "", made)
        return pb.ConfigureStockResponse(level=level_to_proto(level))

    async def GetStock(self, request: pb.GetStockRequest, context: Context) -> pb.GetStockResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            levels = await store.levels(tx, current().tenant_id, request.variant_ids)
        return pb.GetStockResponse(levels=map(level_to_proto, levels))

    async def ListStock(self, request: pb.ListStockRequest, context: Context) -> pb.ListStockResponse:
        condition = filters.where(request.filter, _LEVELS)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.levels_page(tx, current().tenant_id, condition, BY_KEY, cursor, size)
        return pb.ListStockResponse(
            levels=map(level_to_proto, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    async def ListMovements(self, request: pb.ListMovementsRequest, context: Context) -> pb.ListMovementsResponse:
        condition = filters.where(request.filter, _MOVEMENTS)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.movements_page(tx, current().tenant_id, condition, _NEWEST, cursor, size)
        return pb.ListMovementsResponse(
            movements=[movement_to_proto(*each) for each in page],
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    @mutation
    async def Reserve(self, request: pb.ReserveRequest, tx: AsyncConnection) -> pb.ReserveResponse:
        now = self._clock.now()
        held_for = request.ttl.ToTimedelta() if request.HasField("ttl") else HELD_FOR
        lines = [line(each) for each in request.lines]
        outcome = await ops.reserve(tx, current().tenant_id, request.owner_id.lower(), lines, now + held_for, now=now)
        await _record(tx, outcome)
        return pb.ReserveResponse(reservations=map(reservation_to_proto, outcome.reservations))

    @mutation
    async def Release(self, request: pb.ReleaseRequest, tx: AsyncConnection) -> pb.ReleaseResponse:
        outcome = await ops.release(
            tx,
            current().tenant_id,
            request.owner_id.lower(),
            _named(request.lines),
            now=self._clock.now(),
            reason=request.reason,
        )
        await _record(tx, outcome, request.reason)
        return pb.ReleaseResponse(reservations=_of_owner(outcome, request.owner_id))

    @mutation
    async def Commit(self, request: pb.CommitRequest, tx: AsyncConnection) -> pb.CommitResponse:
        outcome = await ops.commit(
            tx, current().tenant_id, request.owner_id.lower(), _named(request.lines), now=self._clock.now()
        )
        await _record(tx, outcome)
        return pb.CommitResponse(reservations=_of_owner(outcome, request.owner_id))

    async def WatchStock(self, request: pb.WatchStockRequest, context: Context) -> AsyncIterator[pb.WatchStockResponse]:
        tenant_id = current().tenant_id
        following = self._watches.follow(tenant_id, request.variant_ids, lambda: self._admit(tenant_id))
        async with aclosing(following) as told:
            async for levels, complete in told:
                yield pb.WatchStockResponse(levels=map(level_to_proto, levels), complete=complete)


async def _record(tx: AsyncConnection, outcome: Outcome, reason: str = "", made: Location | None = None) -> None:
    """made: a location that the change needed. What changed nothing says so, too."""
    new = [] if made is None else [location_change(None, made)]
    await journal.record(tx, current().tenant_id, [*new, *changes(outcome, reason)], events(outcome))


def _named(lines: Sequence[pb.StockLine]) -> list[Line] | None:
    """None: all there is."""
    return [line(each) for each in lines] or None


def _of_owner(outcome: Outcome, owner_id: str) -> list[pb.Reservation]:
    """Without those that were served by what was given back."""
    return [reservation_to_proto(each) for each in outcome.reservations if each.owner == owner_id.lower()]
