"""Replays a shop's history into the platform: customers, products, orders and returns; may be run again at any time."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import grpc
from google.type import money_pb2

from center.dataplane.v1 import customer_service_pb2, customer_service_pb2_grpc
from center.dataplane.v1 import order_import_service_pb2 as pb
from center.dataplane.v1 import order_import_service_pb2_grpc as pb_grpc
from shared.platform.client import Client
from shared.runtime.errors import Unavailable
from shared.runtime.rpc.status import received
from shared.samples import retail
from shared.samples.history import History, Invoice, Place, Refusal, Row
from shared.samples.load import Progress, silent

BATCH = 100
CURRENCY = "GBP"
TRIES = 30
CUSTOMERS_AT_ONCE = 8


@dataclass(slots=True)
class Replayed:
    """Counts of all runs, but for `lines` and `history`, which are of this one's reading."""

    orders_created: int = 0
    orders_known: int = 0
    returns_created: int = 0
    returns_known: int = 0
    history: History = field(default_factory=History)
    # (day, country) -> (the file's, what is here and what was refused), in thousandths, where they differ.
    differences: dict[Place, tuple[int, int]] = field(default_factory=dict)


async def import_orders(client: Client, code: str, file: Path, progress: Progress = silent) -> Replayed:
    """All of the file, in order. Sent again from the last durable record when the shop is on the move."""
    replayed, done, tries = Replayed(), 0, 0
    known, invoices = await asyncio.to_thread(_survey, file)
    customers = await _customers(client, code, known, progress)
    while True:
        try:
            async for answer in _stream(client, code, file, customers, replayed, done):
                done, tries = answer, 0
                progress(f"orders of {code}", done, invoices)
            break
        except grpc.aio.AioRpcError as error:
            refusal = received(error)
            tries += 1
            if not isinstance(refusal, Unavailable) or tries > TRIES:
                raise
            await asyncio.sleep(refusal.retry_after_s or 0.5)
    replayed.differences = await _differences(client, code, replayed.history)
    return replayed


def _survey(file: Path) -> tuple[dict[str, datetime], int]:
    """(when each customer bought first, how many invoices there are)."""
    known: dict[str, datetime] = {}
    invoices = 0
    for invoice in History().invoices(retail.read(file)):
        invoices += 1
        if invoice.first.customer:
            known.setdefault(invoice.first.customer, invoice.first.time)
    return known, invoices


async def _customers(client: Client, code: str, known: Mapping[str, datetime], progress: Progress) -> dict[str, str]:
    """The ids of the customers that the file knows by a number; without a name or an e-mail, since it has none."""
    tenant_id, channel = await client.shop(code)
    stub = customer_service_pb2_grpc.CustomerServiceStub(channel)
    found: dict[str, str] = {}
    left = iter(known.items())

    async def bring_in() -> None:
        for number, since in left:
            request = customer_service_pb2.UpsertCustomerRequest(external_id=number)
            request.create_time.FromDatetime(since)
            answer = await stub.UpsertCustomer(request, metadata=(("x-tenant-id", tenant_id),))
            found[number] = answer.customer.id
            progress(f"customers of {code}", len(found), len(known))

    await asyncio.gather(*(bring_in() for _ in range(CUSTOMERS_AT_ONCE)))
    return found


async def _stream(
    client: Client, code: str, file: Path, customers: Mapping[str, str], replayed: Replayed, done: int
) -> AsyncIterator[int]:
    """Sends what comes after the first `done` records; yields how many are durable."""
    # What the platform refused before stays refused; the file's own refusals are come upon again.
    refused = [each for each in replayed.history.refusals if each.reason.startswith(_THEIRS)]
    history, sent = History(), dict[int, Invoice]()
    counted = (replayed.orders_created, replayed.orders_known, replayed.returns_created, replayed.returns_known)
    replayed.history = history
    for each in refused:
        history.refuse(each)

    async def requests() -> AsyncIterator[pb.ImportOrdersRequest]:
        records: list[pb.ImportedRecord] = []
        for number, invoice in enumerate(history.invoices(retail.read(file)), start=1):
            if number <= done:
                continue
            sent[number - done] = invoice
            records.append(record(invoice, customers.get(invoice.first.customer, "")))
            if len(records) == BATCH:
                yield pb.ImportOrdersRequest(records=records)
                records = []
        yield pb.ImportOrdersRequest(records=records)

    tenant_id, channel = await client.shop(code)
    stub = pb_grpc.OrderImportServiceStub(channel)
    async for answer in stub.ImportOrders(requests(), metadata=(("x-tenant-id", tenant_id),)):
        for error in answer.errors:
            history.refuse(_refused(sent[error.record], error))
        for number in [number for number in sent if number <= answer.records_done]:
            del sent[number]
        # The counts are of the stream so far.
        replayed.orders_created = counted[0] + answer.orders_created
        replayed.orders_known = counted[1] + answer.orders_known
        replayed.returns_created = counted[2] + answer.returns_created
        replayed.returns_known = counted[3] + answer.returns_known
        yield done + answer.records_done


_THEIRS = "the platform: "


def record(invoice: Invoice, customer_id: str) -> pb.ImportedRecord:
    first = invoice.first
    if invoice.is_return:
        returned = pb.ImportedReturn(
            reference=invoice.number,
            customer_id=customer_id,
            country_code=first.country,
            lines=[
                pb.ImportedReturnLine(
                    sku=row.sku,
                    quantity=row.quantity,
                    unit_price=_money(row.price_minor),
                    is_money_only=not row.is_goods,
                )
                for row in invoice.rows
            ],
        )
        returned.return_time.FromDatetime(first.time)
        return pb.ImportedRecord(returned=returned)
    order = pb.ImportedOrder(
        reference=invoice.number,
        customer_id=customer_id,
        country_code=first.country,
        lines=[
            pb.ImportedLine(sku=row.sku, title=row.title, quantity=row.quantity, unit_price=_money(row.price_minor))
            for row in invoice.lines
        ],
    )
    if invoice.shipping_minor:
        order.shipping.CopyFrom(_money(invoice.shipping_minor))
    order.place_time.FromDatetime(first.time)
    return pb.ImportedRecord(order=order)


def _money(minor: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code=CURRENCY, units=minor // 100, nanos=minor % 100 * 10_000_000)


def _minor(money: money_pb2.Money) -> int:
    return int(money.units * 100 + money.nanos // 10_000_000)


def _refused(invoice: Invoice, error: pb.ImportedRecordError) -> Refusal:
    """A record, or what of a line of a return nobody's order has."""
    sign = -1 if invoice.is_return else 1
    at = re.fullmatch(r"returned\.lines\[(\d+)\]", error.field)
    row: Row = invoice.rows[int(at[1])] if at else invoice.first
    worth = error.quantity * row.price_minor if error.quantity else sum(each.amount_minor for each in invoice.rows)
    why = f"{_THEIRS}{error.reason}: {error.message}"
    return Refusal(row.line, invoice.number, row.sku, row.title, why, invoice.place, sign * worth * 10)


async def _differences(client: Client, code: str, history: History) -> dict[Place, tuple[int, int]]:
    """Where what is here and what was refused are together not what the file says."""
    tenant_id, channel = await client.shop(code)
    stub = pb_grpc.OrderImportServiceStub(channel)
    answer = await stub.SumImportedOrders(pb.SumImportedOrdersRequest(), metadata=(("x-tenant-id", tenant_id),))
    found = Counter(history.refused())
    for each in answer.sums:
        if each.total.currency_code == CURRENCY:
            place = date.fromisoformat(each.day), each.country_code
            found[place] += 10 * (_minor(each.total) - _minor(each.refunded))
    places = sorted(found.keys() | history.totals.keys())
    return {place: (history.totals[place], found[place]) for place in places if history.totals[place] != found[place]}
