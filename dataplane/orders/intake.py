"""The import of orders and returns: records checked one by one, kept in batches, each batch one transaction."""

import contextlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import money_pb2
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import order_import_service_pb2 as pb
from dataplane.features.local import LocalFeatures
from dataplane.orders import bulk, domain, store
from dataplane.orders.bulk import Imported
from dataplane.orders.domain import (
    Fulfillment,
    FulfillmentLine,
    Ledger,
    Line,
    Noted,
    Order,
    Refund,
    RefundLine,
    RefundState,
    State,
)
from dataplane.orders.returns import MOST_PARTS, Back, Part, match
from dataplane.products.intake import with_pauses
from shared.runtime import journal, money
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import InvalidArgument
from shared.runtime.ids import uuid7
from shared.runtime.journal import Change
from shared.runtime.rpc.violations import violations

# The transaction of a batch is short enough for a freeze to wait for, and long enough to cost little a record.
BATCH_RECORDS = 100
BATCH_LINES = 4_000
# Whatever has no id of its own here gets the same one each time that it comes.
_NAMES = uuid.UUID("0192f3c4-0000-7000-8000-6f7264657273")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Return:
    """A return as it was told."""

    reference: str
    customer_id: str
    time: datetime
    country: str
    currency: str
    lines: tuple[Back, ...]

    def refund_id(self, tenant_id: str, position: int, part: int) -> str:
        return _id(tenant_id, "return", self.reference, str(position), str(part))


@dataclass(slots=True)
class Batch:
    """Records that are right by themselves, by their place in the stream."""

    orders: dict[int, Order] = field(default_factory=dict)
    returns: dict[int, Return] = field(default_factory=dict)
    refused: list[pb.ImportedRecordError] = field(default_factory=list)
    lines: int = 0

    def __len__(self) -> int:
        return len(self.orders) + len(self.returns) + len(self.refused)

    @property
    def is_full(self) -> bool:
        return len(self) >= BATCH_RECORDS or self.lines >= BATCH_LINES


async def take(
    requests: AsyncIterator[pb.ImportOrdersRequest], db: Database, clock: Clock, features: LocalFeatures
) -> AsyncGenerator[pb.ImportOrdersResponse, None]:
    """Answers after every batch that is durable; the next records are read when the answer is on its way."""
    features.check_import(current().tenant_id)
    progress = pb.ImportOrdersResponse()
    batch, number = Batch(), 0
    async with contextlib.aclosing(with_pauses(requests)) as arriving:
        async for request in arriving:
            features.check_import(current().tenant_id)
            for record in request.records if request is not None else ():
                if batch.is_full:
                    yield await _keep(batch, number, progress, db)
                    batch = Batch()
                number += 1
                _put(batch, number, record, clock.now())
            if request is None and len(batch):
                yield await _keep(batch, number, progress, db)
                batch = Batch()
    yield await _keep(batch, number, progress, db)


def _put(batch: Batch, number: int, record: pb.ImportedRecord, now: datetime) -> None:
    try:
        if wrong := violations(record, record.SerializeToString()):
            raise InvalidArgument("FIELD_INVALID", "", fields=wrong)
        if record.WhichOneof("record") == "order":
            batch.orders[number] = _order(record.order, now)
        else:
            batch.returns[number] = _return(record.returned, now)
        batch.lines += len(record.order.lines) + len(record.returned.lines)
    except InvalidArgument as error:
        batch.refused += [
            pb.ImportedRecordError(record=number, reason=error.reason, field=path, message=why)
            for path, why in error.violations.items()
        ]


def _order(message: pb.ImportedOrder, now: datetime) -> Order:
    """As it will be, but for its number and for what the shop knows of its SKUs."""
    time, currency = _time(message.place_time, "order.place_time", now), message.lines[0].unit_price.currency_code
    lines = tuple(
        Line(
            id=uuid7(),
            variant_id="",
            product_id="",
            sku=line.sku,
            product_title=line.title or line.sku,
            variant_title="",
            options=(),
            quantity=line.quantity,
            unit_minor=_minor(line.unit_price, currency, f"order.lines[{position}].unit_price"),
            discount_minor=0,
            tax_minor=0,
        )
        for position, line in enumerate(message.lines)
    )
    shipping = _minor(message.shipping, currency, "order.shipping") if message.HasField("shipping") else 0
    subtotal = sum(line.amount_minor for line in lines)
    if subtotal + shipping > money.LARGEST_MINOR:
        raise InvalidArgument("MONEY_INVALID", "", fields={"order.lines": "more than 64 bits hold"})
    return Order(
        id=uuid7(),
        number=0,
        currency=currency,
        subtotal_minor=subtotal,
        discount_minor=0,
        shipping_minor=shipping,
        tax_minor=0,
        prices_include_tax=True,
        shipping_method="",
        country=message.country_code,
        email=b"",
        address=b"",
        captures_late=False,
        create_time=time,
        update_time=time,
        place_time=time,
        expire_time=None,
        customer_id=message.customer_id.lower(),
        external_reference=message.reference,
        state=State.PLACED,
        paid_minor=subtotal + shipping,
        lines=lines,
    )


def _return(message: pb.ImportedReturn, now: datetime) -> Return:
    currency = message.lines[0].unit_price.currency_code
    lines = []
    for position, line in enumerate(message.lines):
        path = f"returned.lines[{position}].unit_price"
        unit_minor = _minor(line.unit_price, currency, path)
        if not 0 < unit_minor * line.quantity <= money.LARGEST_MINOR:
            raise InvalidArgument(
                "MONEY_INVALID", "", fields={path: "nothing is given back, or more than 64 bits hold"}
            )
        lines.append(Back(line.sku, line.quantity, unit_minor, line.is_money_only))
    return Return(
        reference=message.reference,
        customer_id=message.customer_id.lower(),
        time=_time(message.return_time, "returned.return_time", now),
        country=message.country_code,
        currency=currency,
        lines=tuple(lines),
    )


def _minor(price: money_pb2.Money, currency: str, path: str) -> int:
    found = money.from_proto(price, path)
    if found.currency != currency:
        raise InvalidArgument("CURRENCY_MISMATCH", "", fields={path: f"the first line is in {currency}"})
    return found.amount_minor


def _time(stamp: Timestamp, path: str, now: datetime) -> datetime:
    time = stamp.ToDatetime(UTC)
    if not _EPOCH <= time <= now:
        raise InvalidArgument("FIELD_INVALID", "", fields={path: "not in the past, from 1970 on"})
    return time


def _id(tenant_id: str, *names: str) -> str:
    return str(uuid.uuid5(_NAMES, "\0".join((tenant_id, *names))))


async def _keep(
    batch: Batch, records_done: int, progress: pb.ImportOrdersResponse, db: Database
) -> pb.ImportOrdersResponse:
    """Writes the batch and tells how far the stream is; `progress` goes on counting."""
    errors = list(batch.refused)
    if batch.orders or batch.returns:
        tenant_id = current().tenant_id
        async with db.transaction(tenant_id) as tx:
            await bulk.alone(tx, tenant_id)
            made = await _add_orders(tx, tenant_id, list(batch.orders.values()))
            refunds, known, rest = await _add_returns(tx, tenant_id, batch.returns)
            await _record(tx, tenant_id, made, refunds)
        progress.orders_created += len(made)
        progress.orders_known += len(batch.orders) - len(made)
        progress.returns_created += len(refunds)
        progress.returns_known += known
        errors += rest
    progress.records_done = records_done
    del progress.errors[:]
    progress.errors.extend(sorted(errors, key=lambda error: error.record))
    answer = pb.ImportOrdersResponse()
    answer.CopyFrom(progress)
    return answer


async def _add_orders(tx: AsyncConnection, tenant_id: str, some: Sequence[Order]) -> list[Order]:
    """Those that were not there."""
    known = await bulk.known(tx, tenant_id, [order.external_reference for order in some])
    new = {order.external_reference: order for order in reversed(some) if order.external_reference not in known}
    if not new:
        return []
    orders = list(reversed(new.values()))
    variants = await bulk.variants(tx, tenant_id, {line.sku for order in orders for line in order.lines})
    numbers = await store.numbers(tx, tenant_id, len(orders))
    made = [_imported(tenant_id, order, number, variants) for order, number in zip(orders, numbers, strict=True)]
    await bulk.add(tx, tenant_id, made)
    return [each.order for each in made]


def _imported(tenant_id: str, order: Order, number: int, variants: Mapping[str, tuple[str, str]]) -> Imported:
    """Shipped as a whole when it was placed."""
    lines = []
    for line in order.lines:
        # What the shop does not have keeps an id that is nobody else's.
        unknown = (_id(tenant_id, "variant", line.sku), _id(tenant_id, "product", line.sku))
        variant_id, product_id = variants.get(line.sku, unknown)
        lines.append(replace(line, variant_id=variant_id, product_id=product_id))
    shipped = Fulfillment(
        id=uuid7(),
        lines=tuple(FulfillmentLine(line.id, line.quantity) for line in lines),
        carrier="",
        tracking_number="",
        create_time=order.create_time,
    )
    order = replace(order, number=number, lines=tuple(lines))
    order = domain.derived(order, Ledger(fulfillments=(shipped,)), order.create_time)
    words = f"imported as {order.external_reference}"
    return Imported(order, shipped, Noted(uuid7(), "imported", words, current().caller, order.create_time))


async def _add_returns(
    tx: AsyncConnection, tenant_id: str, returns: Mapping[int, Return]
) -> tuple[list[Return], int, list[pb.ImportedRecordError]]:
    """Those that were not there, how many were, and what of any no order has (left)."""
    ids = [
        each.refund_id(tenant_id, position, part)
        for each in returns.values()
        for position in range(len(each.lines))
        for part in range(MOST_PARTS)
    ]
    known = await bulk.refunded(tx, tenant_id, ids)
    made: list[Return] = []
    repeated = 0
    rest: list[pb.ImportedRecordError] = []
    for number, each in returns.items():
        taken = _taken(tenant_id, each, known)
        if any(taken):
            repeated += 1
        else:
            parts = await _refund(tx, tenant_id, each)
            for part in parts:
                taken[part.position] += part.quantity
            made += [each] if parts else []
            # The same return twice in one batch is one.
            known |= {
                each.refund_id(tenant_id, position, 0): quantity for position, quantity in enumerate(taken) if quantity
            }
        rest += _rest(number, each, taken)
    return made, repeated, rest


def _taken(tenant_id: str, back: Return, known: Mapping[str, int | None]) -> list[int]:
    """Of each line, how many were refunded before."""
    taken = []
    for position, line in enumerate(back.lines):
        ids = [back.refund_id(tenant_id, position, part) for part in range(MOST_PARTS)]
        taken.append(sum(line.quantity if (q := known[id]) is None else q for id in ids if id in known))
    return taken


def _rest(number: int, back: Return, taken: Sequence[int]) -> list[pb.ImportedRecordError]:
    found = []
    for position, (line, quantity) in enumerate(zip(back.lines, taken, strict=True)):
        if quantity < line.quantity:
            why = "no imported order of that customer has so much of it left"
            error = pb.ImportedRecordError(
                record=number, reason="NOTHING_LEFT", field=f"returned.lines[{position}]", message=why
            )
            error.quantity = line.quantity - quantity
            found.append(error)
    return found


async def _refund(tx: AsyncConnection, tenant_id: str, back: Return) -> list[Part]:
    paid, sold = await bulk.candidates(
        tx,
        tenant_id,
        back.customer_id,
        country=back.country,
        currency=back.currency,
        until=back.time,
        skus={line.sku for line in back.lines if not line.is_money_only},
    )
    parts = match(back.lines, paid, sold)
    seen = [0] * len(back.lines)
    for part in parts:
        lines = (RefundLine(part.line_id, part.quantity),) if part.line_id else ()
        refund_id = back.refund_id(tenant_id, part.position, seen[part.position])
        seen[part.position] += 1
        refund = Refund(refund_id, None, part.amount_minor, back.reference, back.time, RefundState.SUCCEEDED, "", lines)
        await store.add_refund(tx, tenant_id, part.order_id, refund)
    for order_id in sorted({part.order_id for part in parts}):
        before = await store.get(tx, tenant_id, order_id)
        after = domain.derived(before, await store.ledger(tx, tenant_id, order_id), back.time)
        after = replace(after, version=before.version + 1, update_time=max(before.update_time, back.time))
        await store.save(tx, tenant_id, before, after)
        noted = Noted(uuid7(), "refunded", f"imported as {back.reference}", current().caller, back.time)
        await store.note(tx, tenant_id, order_id, [noted])
    return parts


async def _record(tx: AsyncConnection, tenant_id: str, orders: Sequence[Order], returns: Sequence[Return]) -> None:
    """One entry a batch: what came in is over, and no news."""
    references = [order.external_reference for order in orders] + [each.reference for each in returns]
    if not references:
        journal.unchanged(tx)
        return
    facts = {
        "orders": str(len(orders)),
        "returns": str(len(returns)),
        "first": references[0],
        "last": references[-1],
    }
    await journal.record(tx, tenant_id, [Change("order_import", references[0], {}, facts)])
