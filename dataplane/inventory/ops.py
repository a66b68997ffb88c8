"""What is done with stock, inside the caller's transaction; the service, the sweeper and a checkout call the same.

Each returns what it changed. The caller records it (dataplane.inventory.messages) with whatever else it does.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.inventory import domain, store
from dataplane.inventory.domain import Adjustment, Book, Line, Location, Outcome, Reservation
from shared.runtime.errors import FailedPrecondition, NotFound


async def reserve(
    tx: AsyncConnection,
    tenant_id: str,
    owner: str,
    lines: Iterable[Line],
    expires_at: datetime | None,
    *,
    now: datetime,
) -> Outcome:
    """Takes all lines for the owner; after a refusal the transaction must not commit.

    owner: a UUID of whatever holds them. expires_at: None is never.
    FailedPrecondition OUT_OF_STOCK: how many lack, by variant. NotFound VARIANT_NOT_FOUND.
    """
    outcome, lacking = await store.reserve(tx, tenant_id, owner, domain.summed(lines), expires_at, now)
    if lacking:
        if unknown := await store.unknown_variants(tx, tenant_id, lacking):
            raise NotFound("VARIANT_NOT_FOUND", f"no variant {unknown[0]} in this shop", id=unknown[0])
        refusal = FailedPrecondition("OUT_OF_STOCK", "there is not as much as that in stock")
        refusal.metadata = {variant_id: str(quantity) for variant_id, quantity in lacking.items()}
        raise refusal
    return outcome


async def release(
    tx: AsyncConnection,
    tenant_id: str,
    owner: str,
    lines: Iterable[Line] | None = None,
    *,
    now: datetime,
    reason: str = "",
) -> Outcome:
    """Gives back what the owner holds, or some of it; nothing where there is nothing to give back.

    FailedPrecondition NOT_RESERVED: more is named than the owner holds.
    """
    wanted = None if lines is None else domain.summed(lines)
    book, held = await _opened(tx, tenant_id, owner, await store.of_owner(tx, tenant_id, owner), now)
    for reservation, quantity in domain.shares(held, wanted):
        book.release(reservation.id, quantity, reason)
    return await _closed(tx, tenant_id, book, now)


async def commit(
    tx: AsyncConnection, tenant_id: str, owner: str, lines: Iterable[Line] | None = None, *, now: datetime
) -> Outcome:
    """Books what the owner holds, or some of it, as shipped; nothing where all of it is shipped already.

    What has expired and was not swept yet is held still. NotFound RESERVATION_NOT_FOUND; FailedPrecondition
    RESERVATION_ENDED, NOT_RESERVED, BACKORDERED.
    """
    known = await store.of_owner(tx, tenant_id, owner)
    if not known:
        raise NotFound("RESERVATION_NOT_FOUND", f"{owner} has reserved nothing in this shop", id=owner)
    wanted = None if lines is None else domain.summed(lines)
    book, held = await _opened(tx, tenant_id, owner, known, now)
    if wanted is None and not held and not any(each.shipped for each in await store.of_owner(tx, tenant_id, owner)):
        raise FailedPrecondition("RESERVATION_ENDED", "it was released or has expired; reserve again", id=owner)
    for reservation, quantity in domain.shares(held, wanted, shippable=True):
        book.ship(reservation.id, quantity)
    return await _closed(tx, tenant_id, book, now)


async def transfer(
    tx: AsyncConnection, tenant_id: str, owner: str, new_owner: str, expires_at: datetime | None
) -> tuple[Reservation, ...]:
    """Gives what the owner holds to another, as from a cart to its order, or to itself for longer. No level changes.

    FailedPrecondition RESERVATION_ENDED: the owner holds nothing.
    """
    if not (given := await store.transfer(tx, tenant_id, owner, new_owner, expires_at)):
        raise FailedPrecondition("RESERVATION_ENDED", "it was released or has expired; reserve again", id=owner)
    return tuple(given)


async def expire(tx: AsyncConnection, tenant_id: str, owner: str, *, now: datetime) -> Outcome:
    """Gives back what the owner held until now at most."""
    known = await store.of_owner(tx, tenant_id, owner)
    book, held = await _opened(tx, tenant_id, owner, known, now, expired_at=now)
    for reservation in held:
        book.release(reservation.id, reservation.held, "expired")
    return await _closed(tx, tenant_id, book, now)


async def adjust(
    tx: AsyncConnection, tenant_id: str, adjustments: Sequence[Adjustment], *, now: datetime
) -> tuple[Outcome, Location | None]:
    """Books what came in, came back or was counted, and the location that was made for it, if one was.

    NotFound VARIANT_NOT_FOUND, LOCATION_NOT_FOUND; FailedPrecondition STOCK_RESERVED, NO_ACTIVE_LOCATION.
    """
    made = None
    if not all(each.location_id for each in adjustments):
        found, is_new = await store.default_location(tx, tenant_id, now)
        made = found if is_new else None
        adjustments = [replace(each, location_id=each.location_id or found.id) for each in adjustments]
    keys = {(each.variant_id, each.location_id) for each in adjustments}
    book = Book(await store.open_levels(tx, tenant_id, keys, now), (), now)
    for each in adjustments:
        book.adjust(each)
    return await _closed(tx, tenant_id, book, now), made


async def configure(
    tx: AsyncConnection,
    tenant_id: str,
    variant_id: str,
    location_id: str,
    settings: Callable[[bool, int | None], tuple[bool, int | None]],
    *,
    now: datetime,
) -> tuple[domain.Level, Outcome, Location | None]:
    """settings: what (allows_backorder, low_threshold) becomes of what it is."""
    made = None
    if not location_id:
        found, is_new = await store.default_location(tx, tenant_id, now)
        location_id, made = found.id, found if is_new else None
    [level] = await store.open_levels(tx, tenant_id, [(variant_id, location_id)], now)
    book = Book([level], (), now)
    book.configure(level.key, *settings(level.allows_backorder, level.low_threshold))
    return book.level(level.key), await store.write(tx, tenant_id, book, now), made


async def _opened(
    tx: AsyncConnection,
    tenant_id: str,
    owner: str,
    known: Sequence[Reservation],
    now: datetime,
    expired_at: datetime | None = None,
) -> tuple[Book, list[Reservation]]:
    """The levels at which the owner may hold something, locked, and then what it does hold there."""
    keys = {each.key for each in known if each.held}
    if not keys:
        return Book((), (), now), []
    levels = await store.lock(tx, tenant_id, keys)
    held = await store.lock_reservations(tx, tenant_id, owner, keys, expired_at)
    return Book(levels, held, now), held


async def _closed(tx: AsyncConnection, tenant_id: str, book: Book, now: datetime) -> Outcome:
    """Serves those who wait for what is there now, and writes."""
    if keys := book.with_room:
        book.serve(await store.waiting(tx, tenant_id, keys))
    return await store.write(tx, tenant_id, book, now)
