"""What a shop sold before it was here: each record once, at its own date, and sums that agree."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from google.type import money_pb2

from center.dataplane.v1 import order_import_service_pb2 as pb
from center.dataplane.v1 import order_service_pb2 as orders_pb
from center.dataplane.v1.order_import_service_pb2_grpc import OrderImportServiceStub
from center.dataplane.v1.order_service_pb2_grpc import OrderServiceStub
from dataplane.orders.returns import Back, Paid, Sold, match
from shared.runtime.ids import uuid7
from tests.dataplane.cluster import Running, create, entry, of, product, variant
from tests.support.grpc import refuses

DAY = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
ADA = uuid7()


def pounds(minor: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code="GBP", units=minor // 100, nanos=minor % 100 * 10_000_000)


def order(
    reference: str, *lines: tuple[str, int, int], at: datetime = DAY, customer: str = ADA, country: str = "GB",
    shipping: int = 0,
) -> pb.ImportedRecord:  # fmt: skip
    """lines: (SKU, quantity, price in pence)."""
    made = pb.ImportedOrder(
        reference=reference,
        customer_id=customer,
        country_code=country,
        lines=[pb.ImportedLine(sku=sku, quantity=n, unit_price=pounds(price)) for sku, n, price in lines],
    )
    made.place_time.FromDatetime(at)
    if shipping:
        made.shipping.CopyFrom(pounds(shipping))
    return pb.ImportedRecord(order=made)


def back(
    reference: str, *lines: tuple[str, int, int], at: datetime = DAY + timedelta(days=1), customer: str = ADA,
    country: str = "GB", money_only: bool = False,
) -> pb.ImportedRecord:  # fmt: skip
    made = pb.ImportedReturn(
        reference=reference,
        customer_id=customer,
        country_code=country,
        lines=[
            pb.ImportedReturnLine(sku=sku, quantity=n, unit_price=pounds(price), is_money_only=money_only)
            for sku, n, price in lines
        ],
    )
    made.return_time.FromDatetime(at)
    return pb.ImportedRecord(returned=made)


async def bring(eu: Running, tenant: str, *records: pb.ImportedRecord) -> pb.ImportOrdersResponse:
    """The last answer, with the errors of all."""

    async def requests() -> AsyncIterator[pb.ImportOrdersRequest]:
        for start in range(0, len(records), 500):
            yield pb.ImportOrdersRequest(records=records[start : start + 500])

    stub = OrderImportServiceStub(eu.channel("operator"))
    answers = [answer async for answer in stub.ImportOrders(requests(), metadata=of(tenant))]
    last = answers[-1]
    errors = [error for answer in answers for error in answer.errors]
    del last.errors[:]
    last.errors.extend(errors)
    return last


async def shown(eu: Running, tenant: str) -> list[orders_pb.Order]:
    """Every order, the oldest number first."""
    stub = OrderServiceStub(eu.channel("operator"))
    listed = (await stub.ListOrders(orders_pb.ListOrdersRequest(page_size=1000), metadata=of(tenant))).orders
    found = [(await stub.GetOrder(orders_pb.GetOrderRequest(id=each.id), metadata=of(tenant))).order for each in listed]
    return sorted(found, key=lambda each: int(each.number))


async def sums(eu: Running, tenant: str) -> list[tuple[str, str, int, int, int]]:
    stub = OrderImportServiceStub(eu.channel("operator"))
    answer = await stub.SumImportedOrders(pb.SumImportedOrdersRequest(), metadata=of(tenant))
    return [(s.day, s.country_code, s.orders, _pence(s.total), _pence(s.refunded)) for s in answer.sums]


def _pence(money: money_pb2.Money) -> int:
    return money.units * 100 + money.nanos // 10_000_000


async def test_an_order_is_what_it_was(eu: Running, tenant: str) -> None:
    [lamp] = await create(eu, tenant, product(variants=[variant("lamp")]))
    answer = await bring(eu, tenant, order("536365", ("lamp", 6, 255), ("GONE", 1, 100), shipping=1800))
    assert (answer.records_done, answer.orders_created, list(answer.errors)) == (1, 1, [])
    [made] = await shown(eu, tenant)
    assert (made.number, made.place_time.ToDatetime(UTC), made.create_time.ToDatetime(UTC)) == ("1001", DAY, DAY)
    assert (made.customer_id, made.state) == (ADA, orders_pb.ORDER_STATE_FULFILLED)
    assert made.payment_status == orders_pb.PAYMENT_STATUS_CAPTURED
    assert [_pence(m) for m in (made.subtotal, made.shipping, made.total, made.paid)] == [1630, 1800, 3430, 3430]
    sold, gone = made.lines
    assert (sold.variant_id, sold.product_id, sold.fulfilled_quantity) == (lamp.variants[0].id, lamp.id, 6)
    assert (gone.sku, gone.product_title, len(gone.variant_id)) == ("GONE", "GONE", 36)
    assert [part.quantity for part in made.fulfillments[0].lines] == [6, 1]


async def test_the_same_records_again_change_nothing(eu: Running, tenant: str) -> None:
    records = [order("1", ("a", 2, 500)), order("2", ("a", 3, 500)), back("C1", ("a", 4, 500)), back("C2", ("b", 1, 1))]
    first = await bring(eu, tenant, *records)
    assert (first.orders_created, first.returns_created) == (2, 1)
    before = await shown(eu, tenant)
    again = await bring(eu, tenant, *records, records[0], records[2])
    assert (again.orders_created, again.orders_known) == (0, 3)
    assert (again.returns_created, again.returns_known) == (0, 2)
    assert await shown(eu, tenant) == before
    # What could not be taken is told again.
    assert list(again.errors) == list(first.errors)


async def test_two_imports_at_once_bring_each_record_once(eu: Running, tenant: str) -> None:
    records = [*(order(str(n), ("a", 2, 500)) for n in range(60)), back("C1", ("a", 4, 500))]
    answers = await asyncio.gather(*(bring(eu, tenant, *records) for _ in range(3)))
    assert sum(answer.orders_created for answer in answers) == 60
    assert sum(answer.returns_created for answer in answers) == 1
    assert await sums(eu, tenant) == [("2010-12-01", "GB", 60, 60_000, 0), ("2010-12-02", "GB", 0, 0, 2000)]


async def test_a_return_is_refunded_on_the_orders_that_have_it(eu: Running, tenant: str) -> None:
    early, late = order("1", ("a", 2, 500)), order("2", ("a", 3, 450), ("b", 1, 100), at=DAY + timedelta(hours=1))
    answer = await bring(eu, tenant, early, late, back("C1", ("a", 4, 500), ("b", 2, 100)))
    [error] = answer.errors
    assert (error.record, error.reason, error.field, error.quantity) == (3, "NOTHING_LEFT", "returned.lines[1]", 1)
    one, other = await shown(eu, tenant)
    # Those sold at that price first, and as many of the others as their order was paid for.
    assert [(refund.reason, _pence(refund.amount)) for refund in one.refunds] == [("C1", 1000)]
    assert sorted(_pence(refund.amount) for refund in other.refunds) == [100, 1000]
    assert (one.payment_status, other.payment_status) == (
        orders_pb.PAYMENT_STATUS_REFUNDED,
        orders_pb.PAYMENT_STATUS_PARTIALLY_REFUNDED,
    )
    assert [line.refunded_quantity for line in (*one.lines, *other.lines)] == [2, 2, 1]


async def test_a_return_is_of_nobody_elses_orders_nor_of_later_ones(eu: Running, tenant: str) -> None:
    wrong = [
        order("1", ("a", 1, 500), customer=uuid7()),
        order("2", ("a", 1, 500), country="DE"),
        order("3", ("a", 1, 500), at=DAY + timedelta(days=2)),
        order("4", ("a", 1, 500), customer=""),
    ]
    answer = await bring(eu, tenant, *wrong, back("C1", ("a", 1, 500)))
    assert answer.returns_created == 0
    assert [error.reason for error in answer.errors] == ["NOTHING_LEFT"]
    assert not any(made.refunds for made in await shown(eu, tenant))


async def test_money_is_given_back_without_goods(eu: Running, tenant: str) -> None:
    await bring(eu, tenant, order("1", ("a", 1, 500)), back("C1", ("D", 1, 120), money_only=True))
    [made] = await shown(eu, tenant)
    assert (_pence(made.refunded), made.lines[0].refunded_quantity) == (120, 0)


async def test_sums_are_by_the_days_on_which_it_happened(eu: Running, tenant: str) -> None:
    await bring(
        eu, tenant,
        order("1", ("a", 2, 500)),
        order("2", ("a", 1, 255), country="FR"),
        order("3", ("a", 1, 300), at=datetime(2010, 12, 1, 23, 59, 59, tzinfo=UTC)),
        back("C1", ("a", 1, 500), at=datetime(2010, 12, 5, tzinfo=UTC)),
    )  # fmt: skip
    assert await sums(eu, tenant) == [
        ("2010-12-01", "FR", 1, 255, 0),
        ("2010-12-01", "GB", 2, 1300, 0),
        ("2010-12-05", "GB", 0, 0, 500),
    ]


BAD = {
    "order.reference": order("", ("a", 1, 100)),
    "order.lines": order("1"),
    "order.country_code": order("1", ("a", 1, 100), country="UK!"),
    "order.lines[0].quantity": order("1", ("a", 0, 100)),
    "order.place_time": order("1", ("a", 1, 100), at=datetime(2999, 1, 1, tzinfo=UTC)),
    "order.lines[0].unit_price": order("1", ("a", 1, -100)),
    "order.lines[0].sku": order("1", ("a\0b", 1, 100)),
    "returned.reference": back("C\0", ("a", 1, 100)),
    "returned.customer_id": back("C1", ("a", 1, 100), customer=""),
    "returned.lines[0].unit_price": back("C1", ("a", 1, 0)),
}


@pytest.mark.parametrize("field", BAD)
async def test_a_bad_record_refuses_itself_only(eu: Running, tenant: str, field: str) -> None:
    answer = await bring(eu, tenant, BAD[field], order("2", ("a", 1, 100)))
    assert [(error.record, error.field) for error in answer.errors] == [(1, field)]
    assert (answer.records_done, answer.orders_created) == (2, 1)


async def test_two_currencies_are_no_order(eu: Running, tenant: str) -> None:
    bad = order("1", ("a", 1, 100), ("b", 1, 100))
    bad.order.lines[1].unit_price.currency_code = "EUR"
    assert [error.reason for error in (await bring(eu, tenant, bad)).errors] == ["CURRENCY_MISMATCH"]


async def test_shoppers_import_nothing(eu: Running, tenant: str) -> None:
    stub = OrderImportServiceStub(eu.channel("envoy"))
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await stub.SumImportedOrders(pb.SumImportedOrdersRequest(), metadata=of(tenant))


async def test_another_shop_has_none_of_it(eu: Running, tenant: str) -> None:
    other = entry()
    await eu.apply(other)
    await bring(eu, tenant, order("1", ("a", 1, 500)))
    answer = await bring(eu, other.id, order("1", ("a", 1, 700)), back("C1", ("a", 1, 500)))
    assert (answer.orders_created, answer.returns_created) == (1, 1)
    assert (await sums(eu, tenant))[0] == ("2010-12-01", "GB", 1, 500, 0)
    assert [made.refunds for made in await shown(eu, tenant)] == [[]]


def test_a_line_is_never_refunded_twice() -> None:
    def sold() -> Sequence[Sold]:
        return [Sold("o", "l", "a", 500, 3)]

    parts = match([Back("a", 2, 500), Back("a", 2, 500)], [Paid("o", 1500)], sold())
    assert [(part.position, part.quantity) for part in parts] == [(0, 2), (1, 1)]
    # Nor more money than the order has left.
    assert [part.quantity for part in match([Back("a", 3, 600)], [Paid("o", 1500)], sold())] == [2]
    assert match([Back("a", 1, 500, True)], [Paid("o", 499)], ()) == []
