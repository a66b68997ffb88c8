"""What a tenant's figures count: what it has here, and nothing of anybody else."""

from google.type import money_pb2

from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import customer_service_pb2 as customers_pb
from center.dataplane.v1 import inventory_service_pb2 as inventory_pb
from center.dataplane.v1 import order_service_pb2 as orders_pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as pb
from center.dataplane.v1.cart_service_pb2_grpc import CartServiceStub
from center.dataplane.v1.customer_service_pb2_grpc import CustomerServiceStub
from shared.runtime.ids import uuid7
from tests.dataplane.cluster import Running, create, entry, of, product
from tests.dataplane.test_order_import import back, bring, order, pounds
from tests.support.media import begin, finalize, send


async def _stats(eu: Running, tenant: str) -> pb.GetTenantStatsResponse:
    return await eu.commands.GetTenantStats(pb.GetTenantStatsRequest(tenant_id=tenant))


async def test_a_shop_without_anything_has_none_of_it(eu: Running, tenant: str) -> None:
    stats = await _stats(eu, tenant)
    stats.ClearField("revision")
    assert stats == pb.GetTenantStatsResponse(stock=pb.StockFigures())


async def test_figures_count_stock_open_carts_and_media(eu: Running, tenant: str) -> None:
    other = entry()
    await eu.apply(other)
    for shop in (tenant, other.id):
        await _furnish(eu, shop)
    stats = await _stats(eu, tenant)
    assert stats.stock == pb.StockFigures(levels=2, on_hand=7, reserved=3)
    assert (stats.open_carts, stats.media_bytes, stats.customers) == (2, 12, 2)


async def test_figures_add_up_orders_by_state_and_currency(eu: Running, tenant: str) -> None:
    euros = order("3", ("a", 1, 100))
    euros.order.lines[0].unit_price.currency_code = "EUR"
    await bring(eu, tenant, order("1", ("a", 2, 500)), order("2", ("b", 1, 255)), euros, back("C1", ("a", 1, 500)))
    fulfilled = orders_pb.ORDER_STATE_FULFILLED
    assert [
        (each.state, each.count, each.total, each.paid.units, each.refunded.units)
        for each in (await _stats(eu, tenant)).orders
    ] == [
        (fulfilled, 1, money_pb2.Money(currency_code="EUR", units=1), 1, 0),
        (fulfilled, 2, pounds(1255), 12, 5),
    ]


async def _furnish(eu: Running, tenant: str) -> None:
    """Seven of two variants in stock, three of them reserved; two carts
    and one that became part of another; two customers and one who was erased; a file."""
    lamp, table = [made.variants[0].id for made in await create(eu, tenant, product(), product())]
    counted = [
        inventory_pb.StockAdjustment(variant_id=id, kind="STOCK_MOVEMENT_KIND_RECEIVED", quantity=units)
        for id, units in ((lamp, 5), (table, 2))
    ]
    await eu.inventory.AdjustStock(inventory_pb.AdjustStockRequest(adjustments=counted), metadata=of(tenant))
    lines = [inventory_pb.StockLine(variant_id=lamp, quantity=3)]
    await eu.inventory.Reserve(inventory_pb.ReserveRequest(owner_id=uuid7(), lines=lines), metadata=of(tenant))
    carts = CartServiceStub(eu.channel("operator"))
    request = carts_pb.CreateCartRequest(currency_code="EUR")
    made = [(await carts.CreateCart(request, metadata=of(tenant))).cart.id for _ in range(3)]
    merge = carts_pb.MergeCartsRequest(from_cart_id=made[0], into_cart_id=made[1])
    await carts.MergeCarts(merge, metadata=of(tenant))
    customers = CustomerServiceStub(eu.channel("operator"))
    for number in ("1", "2", "3"):
        wanted = customers_pb.UpsertCustomerRequest(external_id=number)
        known = (await customers.UpsertCustomer(wanted, metadata=of(tenant))).customer
    await customers.EraseCustomer(customers_pb.EraseCustomerRequest(id=known.id), metadata=of(tenant))
    upload = await begin(eu.media, tenant, b"twelve bytes")
    await send(eu.media, tenant, upload.id, b"twelve bytes")
    await finalize(eu.media, tenant, upload.id)
