"""Stock on the wire, in events and in the audit."""

import uuid
from datetime import datetime

from center.dataplane.v1 import inventory_service_pb2 as pb
from dataplane.inventory.domain import (
    Adjustment,
    Key,
    Kind,
    Level,
    Line,
    Location,
    Movement,
    Outcome,
    Reservation,
    Step,
)
from shared.runtime.errors import InvalidArgument
from shared.runtime.journal import Change, Event


def location_to_proto(location: Location) -> pb.Location:
    message = pb.Location(
        id=location.id,
        code=location.code,
        name=location.name,
        priority=location.priority,
        is_active=location.is_active,
        etag=location.etag,
    )
    message.create_time.FromDatetime(location.create_time)
    message.update_time.FromDatetime(location.update_time)
    return message


def level_to_proto(level: Level) -> pb.StockLevel:
    message = pb.StockLevel(
        variant_id=level.variant_id,
        location_id=level.location_id,
        on_hand=level.on_hand,
        reserved=level.reserved,
        available=level.available,
        backordered=level.backordered,
        allows_backorder=level.allows_backorder,
        low_threshold=level.low_threshold,
        version=level.version,
    )
    message.update_time.FromDatetime(level.update_time)
    return message


def reservation_to_proto(reservation: Reservation) -> pb.Reservation:
    message = pb.Reservation(
        id=reservation.id,
        owner_id=reservation.owner,
        variant_id=reservation.variant_id,
        location_id=reservation.location_id,
        quantity=reservation.quantity,
        waiting=reservation.waiting,
        shipped=reservation.shipped,
        released=reservation.released,
    )
    if reservation.expires_at is not None:
        message.expire_time.FromDatetime(reservation.expires_at)
    message.create_time.FromDatetime(reservation.create_time)
    return message


def movement_to_proto(id: str, movement: Movement, time: datetime) -> pb.StockMovement:
    message = pb.StockMovement(
        id=id,
        variant_id=movement.variant_id,
        location_id=movement.location_id,
        kind=f"STOCK_MOVEMENT_KIND_{movement.kind}",
        on_hand=movement.on_hand,
        reserved=movement.reserved,
        backordered=movement.backordered,
        reference=movement.reference,
        reason=movement.reason,
    )
    message.create_time.FromDatetime(time)
    return message


def line(message: pb.StockLine) -> Line:
    return Line(message.variant_id, message.quantity)


def adjustment(message: pb.StockAdjustment, reason: str, field: str) -> Adjustment:
    """InvalidArgument FIELD_INVALID: what comes in or comes back is more than nothing, and is not counted."""
    kind = Kind(pb.StockMovementKind.Name(message.kind).removeprefix("STOCK_MOVEMENT_KIND_"))
    counted = message.counted if message.HasField("counted") else None
    if kind is not Kind.ADJUSTED and message.quantity <= 0:
        path, why = (
            f"{field}.quantity",
            f"what is {kind} is more than 0; only what is ADJUSTED can be fewer, or counted",
        )
        raise InvalidArgument("FIELD_INVALID", f"{path}: {why}", fields={path: why})
    return Adjustment(
        variant_id=message.variant_id.lower(),
        location_id=message.location_id.lower(),
        kind=kind,
        quantity=message.quantity,
        counted=counted,
        reference=message.reference,
        reason=reason,
    )


def events(outcome: Outcome) -> list[Event]:
    """What other planes are told of it: each level that changed, and which are low now."""
    return [
        Event(f"stock.{happened}.v1", _aggregate(step.after.key), step.after.version, _changed(step))
        for step in outcome.steps
        for happened in (("changed", "low") if step.became_low else ("changed",))
    ]


def changes(outcome: Outcome, reason: str = "") -> list[Change]:
    """What the audit keeps of it."""
    return [
        Change("stock", "/".join(step.after.key), _facts(step.before), _facts(step.after), reason)
        for step in outcome.steps
    ]


def location_change(before: Location | None, after: Location) -> Change:
    return Change("location", after.id, {} if before is None else _location_facts(before), _location_facts(after))


def _changed(step: Step) -> pb.StockChanged:
    return pb.StockChanged(level=level_to_proto(step.after), available_before=step.before.available)


def _aggregate(key: Key) -> str:
    """A level has two ids; events are ordered by one."""
    variant_id, location_id = key
    return str(uuid.uuid5(uuid.UUID(variant_id), location_id))


def _facts(level: Level) -> dict[str, str]:
    if level.version == 0:
        return {}
    return {
        "on_hand": str(level.on_hand),
        "reserved": str(level.reserved),
        "backordered": str(level.backordered),
        "allows_backorder": str(level.allows_backorder).lower(),
        "low_threshold": "" if level.low_threshold is None else str(level.low_threshold),
    }


def _location_facts(location: Location) -> dict[str, str]:
    return {
        "code": location.code,
        "name": location.name,
        "priority": str(location.priority),
        "is_active": str(location.is_active).lower(),
    }
