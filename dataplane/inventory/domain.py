"""What stock is: levels that are the sums of their movements, and reservations that hold a part of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from shared.runtime.errors import FailedPrecondition, InvalidArgument, check_etag

# (variant, location)
Key: TypeAlias = tuple[str, str]


class Kind(StrEnum):
    """Why a level changed."""

    RECEIVED = "RECEIVED"
    RESERVED = "RESERVED"
    RELEASED = "RELEASED"
    SHIPPED = "SHIPPED"
    RETURNED = "RETURNED"
    ADJUSTED = "ADJUSTED"


@dataclass(frozen=True, slots=True)
class Location:
    """A place where stock is kept; reservations try the smallest priority first."""

    id: str
    code: str
    name: str
    priority: int
    is_active: bool
    create_time: datetime
    update_time: datetime
    version: int = 1

    @property
    def etag(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Line:
    """How many of a variant."""

    variant_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A booking from outside. counted: how many there are, instead of how many more."""

    variant_id: str
    location_id: str
    kind: Kind
    quantity: int = 0
    counted: int | None = None
    reference: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """How many of a variant there are at a location: 0 <= reserved <= on_hand.

    backordered: promised beyond what is there; such reservations wait.
    low_threshold: the stock is low when no more than this is available.
    """

    variant_id: str
    location_id: str
    on_hand: int
    reserved: int
    backordered: int
    allows_backorder: bool
    low_threshold: int | None
    version: int
    update_time: datetime

    @property
    def key(self) -> Key:
        return self.variant_id, self.location_id

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


@dataclass(frozen=True, slots=True)
class Offered:
    """How many of a variant can be had at once, wherever they are. low_threshold: None where none is set."""

    available: int
    allows_backorder: bool
    low_threshold: int | None


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an owner holds at a location. waiting: what of it is backordered; expires_at: None is never."""

    id: str
    owner: str
    variant_id: str
    location_id: str
    quantity: int
    waiting: int
    shipped: int
    released: int
    expires_at: datetime | None
    create_time: datetime

    @property
    def key(self) -> Key:
        return self.variant_id, self.location_id

    @property
    def held(self) -> int:
        return self.quantity - self.shipped - self.released


@dataclass(frozen=True, slots=True)
class Movement:
    """How much each figure of a level grew."""

    variant_id: str
    location_id: str
    kind: Kind
    on_hand: int = 0
    reserved: int = 0
    backordered: int = 0
    reference: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What a transaction made of a level."""

    before: Level
    after: Level

    @property
    def became_low(self) -> bool:
        most = self.after.low_threshold
        return most is not None and self.after.available <= most < self.before.available


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transaction changed; reservations are as they are now."""

    steps: tuple[Step, ...] = ()
    reservations: tuple[Reservation, ...] = ()


class Book:
    """What one transaction does to levels and reservations that it has locked, in memory until it is written.

    A level that has room serves the reservations that wait there before anyone else can: nobody overtakes them.
    """

    def __init__(self, levels: Iterable[Level], reservations: Iterable[Reservation], now: datetime) -> None:
        self._before = {level.key: level for level in levels}
        self._levels = dict(self._before)
        self._known = {each.id: each for each in reservations}
        self._reservations = dict(self._known)
        self._now = now
        self.movements: list[Movement] = []

    @property
    def outcome(self) -> Outcome:
        return Outcome(
            steps=tuple(
                Step(before, self._levels[key])
                for key, before in self._before.items()
                if self._levels[key] is not before
            ),
            reservations=tuple(each for id, each in self._reservations.items() if each is not self._known[id]),
        )

    def level(self, key: Key) -> Level:
        return self._levels[key]

    @property
    def with_room(self) -> list[Key]:
        """Where reservations wait though there is something."""
        return [key for key, level in self._levels.items() if level.backordered and level.available > 0]

    def adjust(self, adjustment: Adjustment) -> None:
        """FailedPrecondition STOCK_RESERVED: less than is reserved would be left."""
        level = self._levels[adjustment.variant_id, adjustment.location_id]
        delta = adjustment.quantity if adjustment.counted is None else adjustment.counted - level.on_hand
        if delta == 0:
            return
        if level.on_hand + delta < level.reserved:
            message = f"{level.reserved} of {level.on_hand} are reserved; release them first"
            raise FailedPrecondition(
                "STOCK_RESERVED", message, variant_id=level.variant_id, reserved=str(level.reserved)
            )
        self._move(level, adjustment.kind, on_hand=delta, reference=adjustment.reference, reason=adjustment.reason)

    def configure(self, key: Key, allows_backorder: bool, low_threshold: int | None) -> None:
        level = self._levels[key]
        if (level.allows_backorder, level.low_threshold) == (allows_backorder, low_threshold):
            return
        self._levels[key] = replace(level, allows_backorder=allows_backorder, low_threshold=low_threshold)
        # Moves nothing; whoever follows the movements learns of the change.
        self._move(self._levels[key], Kind.ADJUSTED, reason="settings")

    def release(self, reservation_id: str, quantity: int, reason: str) -> None:
        """What waits is given back first: it is what its owner can have last."""
        reservation = self._reservations[reservation_id]
        waiting = min(quantity, reservation.waiting)
        self._reservations[reservation_id] = replace(
            reservation, waiting=reservation.waiting - waiting, released=reservation.released + quantity
        )
        level = self._levels[reservation.key]
        self._move(
            level,
            Kind.RELEASED,
            reserved=waiting - quantity,
            backordered=-waiting,
            reference=reservation.owner,
            reason=reason,
        )

    def ship(self, reservation_id: str, quantity: int) -> None:
        reservation = self._reservations[reservation_id]
        self._reservations[reservation_id] = replace(reservation, shipped=reservation.shipped + quantity)
        level = self._levels[reservation.key]
        self._move(level, Kind.SHIPPED, on_hand=-quantity, reserved=-quantity, reference=reservation.owner)

    def serve(self, waiting: Sequence[Reservation]) -> None:
        """Gives what is available to the reservations that wait, in this order."""
        for reservation in waiting:
            known = self._reservations.setdefault(reservation.id, reservation)
            self._known.setdefault(reservation.id, reservation)
            level = self._levels[known.key]
            if (given := min(level.available, known.waiting)) > 0:
                self._reservations[known.id] = replace(known, waiting=known.waiting - given)
                self._move(level, Kind.RESERVED, reserved=given, backordered=-given, reference=known.owner)

    def _move(
        self,
        level: Level,
        kind: Kind,
        *,
        on_hand: int = 0,
        reserved: int = 0,
        backordered: int = 0,
        reference: str = "",
        reason: str = "",
    ) -> None:
        self._levels[level.key] = replace(
            level,
            on_hand=level.on_hand + on_hand,
            reserved=level.reserved + reserved,
            backordered=level.backordered + backordered,
            version=level.version + 1,
            update_time=self._now,
        )
        self.movements.append(Movement(*level.key, kind, on_hand, reserved, backordered, reference, reason))


def change(before: Location, after: Location, *, etag: str, now: datetime) -> Location:
    """`after` as the next version of `before`; `before` itself when nothing differs."""
    check_etag("location", before.id, before.etag, etag)
    named(after)
    return before if after == before else replace(after, update_time=now, version=before.version + 1)


def named(location: Location) -> Location:
    """InvalidArgument FIELD_INVALID: it has no code."""
    if not location.code:
        raise InvalidArgument("FIELD_INVALID", "location.code: needed", fields={"location.code": "needed"})
    return location


def summed(lines: Iterable[Line]) -> dict[str, int]:
    """How many of each variant; two lines may share one."""
    wanted: dict[str, int] = {}
    for line in lines:
        wanted[line.variant_id.lower()] = wanted.get(line.variant_id.lower(), 0) + line.quantity
    return wanted


def shares(
    held: Sequence[Reservation], wanted: Mapping[str, int] | None, *, shippable: bool = False
) -> list[tuple[Reservation, int]]:
    """Which reservations the wanted quantities come from, and how much of each; None is all that is held.

    shippable: only what does not wait counts. FailedPrecondition NOT_RESERVED or BACKORDERED: how many lack, by
    variant.
    """
    rest = dict(wanted) if wanted is not None else _sums(held)
    taken = []
    for each in held:
        at_most = each.held - each.waiting if shippable else each.held
        if (share := min(at_most, rest.get(each.variant_id, 0))) > 0:
            rest[each.variant_id] -= share
            taken.append((each, share))
    if lacking := {variant_id: str(quantity) for variant_id, quantity in rest.items() if quantity}:
        all_held = _sums(held)
        if wanted is None or all(wanted[variant_id] <= all_held.get(variant_id, 0) for variant_id in lacking):
            refusal = FailedPrecondition("BACKORDERED", "some of it still waits for stock")
        else:
            refusal = FailedPrecondition("NOT_RESERVED", "the owner does not hold as much as that")
        refusal.metadata = lacking
        raise refusal
    return taken


def _sums(held: Iterable[Reservation]) -> dict[str, int]:
    return summed(Line(each.variant_id, each.held) for each in held)
