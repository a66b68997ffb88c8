"""Stock: never oversold, never half taken, and every level the sum of its movements, whoever dies or races."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import text

from center.control.v1 import tenant_pb2
from center.dataplane.v1 import inventory_service_pb2 as pb
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.dataplane.v1.inventory_service_pb2_grpc import InventoryServiceStub
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from dataplane.inventory import messages, ops
from dataplane.inventory.domain import Line, Outcome
from dataplane.inventory.sweeper import Sweeper
from shared.runtime import journal
from shared.runtime.db import Database
from shared.runtime.errors import FailedPrecondition, PlatformError
from shared.runtime.ids import uuid7
from tests.dataplane.cluster import Running, bearer, create, digest, entry, move_rows, of, product, variant
from tests.support.cluster_process import ClusterProcess
from tests.support.grpc import refuses
from tests.support.platform import until

RECEIVED, RETURNED, ADJUSTED = (
    pb.STOCK_MOVEMENT_KIND_RECEIVED,
    pb.STOCK_MOVEMENT_KIND_RETURNED,
    pb.STOCK_MOVEMENT_KIND_ADJUSTED,
)
WORKERS = 64
SCHEDULES, STEPS = 40, 12
SEED = 20261122


class Shop:
    """A tenant's stock, as its own people see it."""

    def __init__(self, stub: Any, tenant: str) -> None:
        self.stub = stub
        self.id = tenant

    async def call(self, request: Any) -> Any:
        method = type(request).__name__.removesuffix("Request")
        return await getattr(self.stub, method)(request, metadata=of(self.id))

    async def locate(self, code: str, priority: int = 0) -> str:
        location = {"code": code, "name": code.title(), "priority": priority}
        return str((await self.call(pb.CreateLocationRequest(location=location))).location.id)

    async def receive(self, variant_id: str, quantity: int, location_id: str = "") -> pb.StockLevel:
        adjustment = pb.StockAdjustment(
            variant_id=variant_id, location_id=location_id, kind=RECEIVED, quantity=quantity
        )
        answer = await self.call(pb.AdjustStockRequest(adjustments=[adjustment], reason="delivery"))
        level: pb.StockLevel = answer.levels[0]
        return level

    async def reserve(self, owner: str, *lines: tuple[str, int], **more: Any) -> list[pb.Reservation]:
        wanted = [pb.StockLine(variant_id=variant_id, quantity=quantity) for variant_id, quantity in lines]
        answer = await self.call(pb.ReserveRequest(owner_id=owner, lines=wanted, **more))
        return list(answer.reservations)

    async def release(self, owner: str, **more: Any) -> list[pb.Reservation]:
        return list((await self.call(pb.ReleaseRequest(owner_id=owner, **more))).reservations)

    async def commit(self, owner: str, **more: Any) -> list[pb.Reservation]:
        return list((await self.call(pb.CommitRequest(owner_id=owner, **more))).reservations)

    async def levels(self, *variant_ids: str) -> list[tuple[int, int, int]]:
        """(on_hand, reserved, backordered) of each level."""
        answer = await self.call(pb.GetStockRequest(variant_ids=variant_ids))
        return [(level.on_hand, level.reserved, level.backordered) for level in answer.levels]


@pytest.fixture
async def shop(eu: Running, tenant: str) -> Shop:
    return Shop(eu.inventory, tenant)


async def variants(eu: Running, tenant: str, count: int = 1) -> list[str]:
    name = uuid7()[-12:]
    [made] = await create(eu, tenant, product(f"p-{name}", variants=[variant(f"{name}-{n}") for n in range(count)]))
    return sorted(each.id for each in made.variants)


def books(url: str, tenant: str) -> list[str]:
    """What of a tenant's stock does not add up."""
    with psycopg.connect(url) as owner:
        owner.execute("SELECT set_config('app.tenant_id', %s, false)", (tenant,))
        wrong = owner.execute(
            """
            SELECT l.variant_id, l.location_id, l.on_hand, l.reserved, l.backordered, m.*, r.*
            FROM stock_levels l
            LEFT JOIN LATERAL (
                SELECT coalesce(sum(on_hand), 0) AS on_hand, coalesce(sum(reserved), 0) AS reserved,
                    coalesce(sum(backordered), 0) AS backordered
                FROM stock_movements WHERE tenant_id = l.tenant_id AND variant_id = l.variant_id
                    AND location_id = l.location_id
            ) m ON true
            LEFT JOIN LATERAL (
                SELECT coalesce(sum(quantity - shipped - released - waiting), 0) AS held,
                    coalesce(sum(waiting), 0) AS waiting, coalesce(sum(shipped), 0) AS shipped
                FROM reservations WHERE tenant_id = l.tenant_id AND variant_id = l.variant_id
                    AND location_id = l.location_id
            ) r ON true
            WHERE l.tenant_id = %s AND ((l.on_hand, l.reserved, l.backordered)
                IS DISTINCT FROM (m.on_hand, m.reserved, m.backordered)
                OR (l.reserved, l.backordered) IS DISTINCT FROM (r.held, r.waiting)
                OR (l.backordered > 0 AND l.on_hand > l.reserved))
            """,
            (tenant,),
        ).fetchall()
    return [str(row) for row in wrong]


async def outcomes(*calls: Awaitable[Any]) -> list[str]:
    """OK, or the reason of the refusal, of calls at once."""

    async def one(call: Awaitable[Any]) -> str:
        try:
            await call
        except PlatformError as error:
            return error.reason
        except grpc.aio.AioRpcError as error:
            async with refuses(error.code()) as refusal:
                raise
            return refusal.reason
        return "OK"

    return list(await asyncio.gather(*map(one, calls)))


# Levels


async def test_stock_comes_in_is_held_and_goes_out(eu: Running, shop: Shop) -> None:
    [lamp] = await variants(eu, shop.id)
    level = await shop.receive(lamp, 10)
    [main] = (await shop.call(pb.ListLocationsRequest())).locations
    assert (main.code, main.is_active, level.location_id, level.available) == ("main", True, main.id, 10)
    cart = uuid7()
    [held] = await shop.reserve(cart, (lamp, 3))
    assert (held.owner_id, held.quantity, held.location_id) == (cart, 3, main.id)
    assert await shop.levels(lamp) == [(10, 3, 0)]
    [shipped] = await shop.commit(cart)
    assert (shipped.shipped, shipped.released) == (3, 0)
    assert await shop.levels(lamp) == [(7, 0, 0)]
    other = uuid7()
    await shop.reserve(other, (lamp, 2))
    await shop.release(other, reason="changed their mind")
    back = pb.StockAdjustment(variant_id=lamp, kind=RETURNED, quantity=1, reference=cart)
    count = pb.StockAdjustment(variant_id=lamp, kind=ADJUSTED, counted=5)
    await shop.call(pb.AdjustStockRequest(adjustments=[back, count], reason="stocktaking"))
    assert await shop.levels(lamp) == [(5, 0, 0)]
    told = (await shop.call(pb.ListMovementsRequest(filter=f'variant_id = "{lamp}"'))).movements
    kinds = sorted((pb.StockMovementKind.Name(each.kind)[20:], each.on_hand, each.reserved) for each in told)
    assert kinds == [
        ("ADJUSTED", -3, 0),
        ("RECEIVED", 10, 0),
        ("RELEASED", 0, -2),
        ("RESERVED", 0, 2),
        ("RESERVED", 0, 3),
        ("RETURNED", 1, 0),
        ("SHIPPED", -3, -3),
    ]
    assert {each.reference for each in told if each.on_hand == -3 and each.reserved} == {cart}
    assert {each.reason for each in told if each.reserved == -2} == {"changed their mind"}
    page = await shop.call(pb.ListMovementsRequest(filter="kind = RECEIVED", page_size=1))
    assert [each.reason for each in page.movements] == ["delivery"]
    assert books(eu.database_url, shop.id) == []


async def test_all_lines_are_held_or_none_and_the_refusal_says_how_many_lack(eu: Running, shop: Shop) -> None:
    plenty, few = await variants(eu, shop.id, 2)
    await shop.receive(plenty, 10)
    await shop.receive(few, 3)
    cart = uuid7()
    async with refuses("FAILED_PRECONDITION", "OUT_OF_STOCK") as refusal:
        # Two lines of one variant are one: each alone would fit.
        await shop.reserve(cart, (few, 2), (plenty, 1), (few.upper(), 2))
    assert refusal.metadata == {few: "4"} or refusal.metadata == {few: "1"}
    assert await shop.levels(plenty, few) == [(10, 0, 0), (3, 0, 0)]
    async with refuses("NOT_FOUND", "VARIANT_NOT_FOUND"):
        await shop.reserve(cart, (plenty, 1), (uuid7(), 1))
    assert len(await shop.reserve(cart, (few, 2), (few, 1))) == 1
    assert books(eu.database_url, shop.id) == []


async def test_a_line_comes_whole_from_the_first_location_that_has_it(eu: Running, shop: Shop) -> None:
    [lamp] = await variants(eu, shop.id)
    far, near = await shop.locate("far", 2), await shop.locate("near", 1)
    await shop.receive(lamp, 5, far)
    await shop.receive(lamp, 3, near)
    assert [each.location_id for each in await shop.reserve(uuid7(), (lamp, 2))] == [near]
    assert [each.location_id for each in await shop.reserve(uuid7(), (lamp, 3))] == [far]
    split = await shop.reserve(uuid7(), (lamp, 3))
    assert [(each.location_id, each.quantity) for each in split] == [(near, 1), (far, 2)]
    assert books(eu.database_url, shop.id) == []
    await shop.receive(lamp, 9, near)
    closed = pb.Location(id=near, is_active=False)
    await shop.call(pb.UpdateLocationRequest(location=closed, update_mask={"paths": ["is_active"]}))
    async with refuses("FAILED_PRECONDITION", "OUT_OF_STOCK"):
        await shop.reserve(uuid7(), (lamp, 1))


async def test_a_backorder_waits_and_is_served_before_anyone_else(eu: Running, shop: Shop) -> None:
    [lamp] = await variants(eu, shop.id)
    await shop.receive(lamp, 2)
    await shop.call(pb.ConfigureStockRequest(variant_id=lamp, allows_backorder=True))
    first, second = uuid7(), uuid7()
    held = await shop.reserve(first, (lamp, 5))
    assert [(each.quantity, each.waiting) for each in held] == [(2, 0), (3, 3)]
    await shop.reserve(second, (lamp, 1))
    assert await shop.levels(lamp) == [(2, 2, 4)]
    async with refuses("FAILED_PRECONDITION", "BACKORDERED") as refusal:
        await shop.commit(first)
    assert refusal.metadata == {lamp: "3"}
    await shop.receive(lamp, 2)
    assert await shop.levels(lamp) == [(4, 4, 2)]
    await shop.release(first)
    # What the first gave back is the second's.
    assert await shop.levels(lamp) == [(4, 1, 0)]
    await shop.commit(second)
    assert await shop.levels(lamp) == [(3, 0, 0)]
    assert books(eu.database_url, shop.id) == []


async def test_stock_that_is_reserved_is_not_booked_out(eu: Running, shop: Shop) -> None:
    [lamp] = await variants(eu, shop.id)
    await shop.receive(lamp, 5)
    await shop.reserve(uuid7(), (lamp, 4))
    count = pb.StockAdjustment(variant_id=lamp, kind=ADJUSTED, counted=3)
    async with refuses("FAILED_PRECONDITION", "STOCK_RESERVED"):
        await shop.call(pb.AdjustStockRequest(adjustments=[count]))
    for wrong in ({"kind": RECEIVED, "quantity": -1}, {"kind": RETURNED, "counted": 1}, {"kind": RECEIVED}):
        request = pb.AdjustStockRequest(adjustments=[pb.StockAdjustment(variant_id=lamp, **wrong)])
        async with refuses("INVALID_ARGUMENT"):
            await shop.call(request)
    assert await shop.levels(lamp) == [(5, 4, 0)]


async def test_parts_are_shipped_and_no_more_than_is_held(eu: Running, shop: Shop) -> None:
    lamp, bulb = await variants(eu, shop.id, 2)
    await shop.receive(lamp, 5)
    await shop.receive(bulb, 5)
    order = uuid7()
    await shop.reserve(order, (lamp, 3), (bulb, 2))
    await shop.commit(order, lines=[pb.StockLine(variant_id=lamp, quantity=2)])
    async with refuses("FAILED_PRECONDITION", "NOT_RESERVED") as refusal:
        await shop.commit(order, lines=[pb.StockLine(variant_id=lamp, quantity=2)])
    assert refusal.metadata == {lamp: "1"}
    await shop.release(order, lines=[pb.StockLine(variant_id=bulb, quantity=1)])
    await shop.commit(order)
    assert await shop.commit(order) == []
    assert sorted(await shop.levels(lamp, bulb)) == [(2, 0, 0), (4, 0, 0)]
    assert books(eu.database_url, shop.id) == []


async def test_each_call_has_its_effect_once_a_request_id(eu: Running, shop: Shop) -> None:
    [lamp] = await variants(eu, shop.id)
    adjustment = pb.StockAdjustment(variant_id=lamp, kind=RECEIVED, quantity=9)
    line = pb.StockLine(variant_id=lamp, quantity=2)
    cart = uuid7()
    for request in (
        pb.AdjustStockRequest(adjustments=[adjustment], request_id=uuid7()),
        pb.ReserveRequest(owner_id=cart, lines=[line, line], request_id=uuid7()),
        pb.CommitRequest(owner_id=cart, lines=[line], request_id=uuid7()),
        pb.ReleaseRequest(owner_id=cart, request_id=uuid7()),
    ):
        assert len({str(each) for each in await asyncio.gather(*(shop.call(request) for _ in range(3)))}) == 1
    assert await shop.levels(lamp) == [(7, 0, 0)]
    assert await shop.release(cart) == []
    assert await shop.release(uuid7()) == []
    async with refuses("NOT_FOUND", "RESERVATION_NOT_FOUND"):
        await shop.commit(uuid7())
    gone = uuid7()
    await shop.reserve(gone, (lamp, 1))
    await shop.release(gone)
    async with refuses("FAILED_PRECONDITION", "RESERVATION_ENDED"):
        await shop.commit(gone)


async def test_locations_have_codes_of_their_own_and_etags(eu: Running, shop: Shop) -> None:
    near = await shop.locate("near", 1)
    async with refuses("ALREADY_EXISTS", "LOCATION_CODE_TAKEN"):
        await shop.locate("near")
    async with refuses("INVALID_ARGUMENT"):
        await shop.locate("")
    found = (await shop.call(pb.GetLocationRequest(id=near))).location
    found.name = "By the harbour"
    renamed = (await shop.call(pb.UpdateLocationRequest(location=found))).location
    assert (renamed.name, renamed.is_active, renamed.etag != found.etag) == ("By the harbour", True, True)
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await shop.call(pb.UpdateLocationRequest(location=found))
    [lamp] = await variants(eu, shop.id)
    await shop.call(pb.UpdateLocationRequest(location={"id": near}, update_mask={"paths": ["is_active"]}))
    async with refuses("FAILED_PRECONDITION", "NO_ACTIVE_LOCATION"):
        await shop.receive(lamp, 1)
    for unknown, reason in (((uuid7(), near), "VARIANT_NOT_FOUND"), ((lamp, uuid7()), "LOCATION_NOT_FOUND")):
        async with refuses("NOT_FOUND", reason):
            await shop.receive(unknown[0], 1, unknown[1])
    merchant = InventoryServiceStub(eu.channel("envoy"))
    listed = await merchant.ListLocations(pb.ListLocationsRequest(), metadata=of(shop.id, bearer(eu.home, shop.id)))
    assert [each.code for each in listed.locations] == ["near"]
    async with refuses("PERMISSION_DENIED"):
        await merchant.ListLocations(pb.ListLocationsRequest(), metadata=of(shop.id))


async def test_a_change_is_told_and_a_level_that_gets_low_once(eu: Running, shop: Shop) -> None:
    [lamp] = await variants(eu, shop.id)
    await shop.receive(lamp, 10)
    await shop.call(pb.ConfigureStockRequest(variant_id=lamp, low_threshold=4))
    for _ in range(3):
        await shop.reserve(uuid7(), (lamp, 3))
    with psycopg.connect(eu.database_url) as owner:
        told = owner.execute(
            "SELECT type, payload FROM outbox WHERE tenant_id = %s AND type LIKE 'stock.%%' "
            "ORDER BY aggregate_version, type",
            (shop.id,),
        ).fetchall()
        audited = owner.execute(
            "SELECT method, count(*) FROM audit_entries WHERE tenant_id = %s AND resource = 'stock' GROUP BY 1",
            (shop.id,),
        ).fetchall()
    assert [name for name, _ in told] == [*["stock.changed.v1"] * 4, "stock.low.v1", "stock.changed.v1"]
    low = pb.StockChanged.FromString(told[4][1])
    assert (low.available_before, low.level.available, low.level.low_threshold) == (7, 4, 4)
    assert {name.rpartition("/")[2]: count for name, count in audited} == {
        "AdjustStock": 1,
        "ConfigureStock": 1,
        "Reserve": 3,
    }


@pytest.mark.parametrize("mode", ["read-only", "suspended"])
async def test_a_closed_shop_changes_nothing(eu: Running, shop: Shop, mode: str) -> None:
    [lamp] = await variants(eu, shop.id)
    await shop.receive(lamp, 5)
    cart = uuid7()
    await shop.reserve(cart, (lamp, 1))
    before = await digest(eu, shop.id)
    changes: dict[str, Any] = {
        "read-only": {"mode": tenant_pb2.TENANT_MODE_READ_ONLY},
        "suspended": {"state": tenant_pb2.TENANT_STATE_SUSPENDED},
    }
    await eu.apply(entry(shop.id, **changes[mode]))
    line = pb.StockLine(variant_id=lamp, quantity=1)
    adjustment = pb.StockAdjustment(variant_id=lamp, kind=RECEIVED, quantity=1)
    for request in (
        pb.CreateLocationRequest(location={"code": "new"}),
        pb.UpdateLocationRequest(location={"id": uuid7(), "name": "x"}),
        pb.AdjustStockRequest(adjustments=[adjustment]),
        pb.ConfigureStockRequest(variant_id=lamp),
        pb.ReserveRequest(owner_id=cart, lines=[line]),
        pb.ReleaseRequest(owner_id=cart),
        pb.CommitRequest(owner_id=cart),
    ):
        async with refuses("FAILED_PRECONDITION"):
            await shop.call(request)
    assert await digest(eu, shop.id) == before


async def test_stock_moves_with_its_shop(eu: Running, us: Running, shop: Shop) -> None:
    [lamp] = await variants(eu, shop.id)
    await shop.receive(lamp, 5)
    cart = uuid7()
    await shop.reserve(cart, (lamp, 2))
    frozen = entry(shop.id, writes_frozen=True, moving_to_cluster_id="us-1")
    for cluster in (eu, us):
        await cluster.apply(frozen)
    before = await digest(eu, shop.id)
    await move_rows(eu, us, frozen)
    assert await digest(us, shop.id) == before
    moved = entry(shop.id, cluster_id="us-1")
    for cluster in (eu, us):
        await cluster.apply(moved)
    there = Shop(us.inventory, shop.id)
    await there.commit(cart)
    assert await there.levels(lamp) == [(3, 0, 0)]
    assert books(us.database_url, shop.id) == []


# Variants


async def test_a_variant_keeps_its_stock_when_its_product_changes(eu: Running, shop: Shop) -> None:
    [made] = await create(eu, shop.id, product(variants=[variant("one"), variant("two")]))
    one, two = made.variants
    await shop.receive(one.id, 3)
    await shop.receive(two.id, 1)
    await shop.reserve(uuid7(), (one.id, 1))
    # They exchange their SKUs, and a third comes.
    one.sku, two.sku = two.sku, one.sku
    wanted = products_pb.Product(id=made.id, variants=[two, one, variant("three")])
    request = products_pb.UpdateProductRequest(product=wanted)
    changed = (await eu.products.UpdateProduct(request, metadata=of(shop.id))).product
    assert [(each.id, each.sku) for each in changed.variants[:2]] == [(two.id, "one"), (one.id, "two")]
    assert await shop.levels(one.id) == [(3, 1, 0)]

    request.product.variants.pop(1)
    async with refuses("FAILED_PRECONDITION", "VARIANT_IN_STOCK"):
        await eu.products.UpdateProduct(request, metadata=of(shop.id))

    async def rows() -> AsyncIterator[products_pb.ImportProductsRequest]:
        yield products_pb.ImportProductsRequest(
            products=[product(made.handle, variants=[variant("one")]), product("other", variants=[variant("four")])]
        )

    answers = [each async for each in eu.products.ImportProducts(rows(), metadata=of(shop.id))]
    assert (answers[-1].created, [(each.row, each.reason) for each in answers[-1].errors]) == (
        1,
        [(1, "VARIANT_IN_STOCK")],
    )
    # What there is nothing of may go, and its movements stay.
    gone = pb.StockAdjustment(variant_id=two.id, kind=ADJUSTED, counted=0)
    await shop.call(pb.AdjustStockRequest(adjustments=[gone]))
    del request.product.variants[:]
    request.product.variants.append(one)
    await eu.products.UpdateProduct(request, metadata=of(shop.id))
    assert await shop.levels(two.id) == []
    told = await shop.call(pb.ListMovementsRequest(filter=f'variant_id = "{two.id}"'))
    assert len(told.movements) == 2


# Expiry


def sweeper(eu: Running, db: Database, steward: Database, after: timedelta) -> Sweeper:
    class Later:
        def now(self) -> datetime:
            return datetime.now(UTC) + after

    return Sweeper(db=db, steward=steward, clock=Later(), caller="cluster/eu-1")


async def test_what_has_expired_is_given_back_by_the_process_itself(eu: Running, shop: Shop) -> None:
    [lamp] = await variants(eu, shop.id)
    await shop.receive(lamp, 3)
    brief, long = uuid7(), uuid7()
    await shop.reserve(brief, (lamp, 1), ttl=Duration(nanos=1_000_000))
    await shop.reserve(long, (lamp, 1))

    async def swept() -> bool:
        return await shop.levels(lamp) == [(3, 1, 0)]

    await until(swept, what="a sweep")
    async with refuses("FAILED_PRECONDITION", "RESERVATION_ENDED"):
        await shop.commit(brief)
    await shop.commit(long)
    [told] = (await shop.call(pb.ListMovementsRequest(filter="kind = RELEASED"))).movements
    assert (told.reason, told.reference) == ("expired", brief)


async def test_a_commit_that_races_the_sweeper_ships_or_is_refused(eu: Running, shop: Shop) -> None:
    [lamp] = await variants(eu, shop.id)
    await shop.receive(lamp, 40)
    db, steward = eu.database("center_app"), eu.database("center_steward")
    owners = [uuid7() for _ in range(16)]
    for owner in owners:
        await shop.reserve(owner, (lamp, 2))
    late = [sweeper(eu, db, steward, timedelta(hours=1)) for _ in range(2)]
    told = await outcomes(*(shop.commit(owner) for owner in owners), *(each.sweep() for each in late))
    shipped = told[:16].count("OK")
    assert set(told[:16]) <= {"OK", "RESERVATION_ENDED"}
    for each in late:
        while await each.sweep():
            pass
    assert await shop.levels(lamp) == [(40 - 2 * shipped, 0, 0)]
    assert books(eu.database_url, shop.id) == []
    await db.close()
    await steward.close()


async def test_what_an_order_has_taken_over_does_not_expire(eu: Running, shop: Shop) -> None:
    [lamp] = await variants(eu, shop.id)
    await shop.receive(lamp, 2)
    cart, order = uuid7(), uuid7()
    await shop.reserve(cart, (lamp, 1))
    db, steward = eu.database("center_app"), eu.database("center_steward")
    late = sweeper(eu, db, steward, timedelta(hours=1))
    async with db.transaction(shop.id) as tx:
        [given] = await ops.transfer(tx, shop.id, cart, order, None)
        # Meanwhile the sweeper passes by, and waits for nobody.
        async with asyncio.timeout(5):
            await late.sweep()
    assert (given.owner, given.expires_at) == (order, None)
    await late.sweep()
    assert await shop.levels(lamp) == [(2, 1, 0)]
    async with db.transaction(shop.id) as tx:
        with pytest.raises(FailedPrecondition, match="RESERVATION_ENDED"):
            await ops.transfer(tx, shop.id, cart, order, None)
    await shop.commit(order)
    await db.close()
    await steward.close()


# Races


async def test_of_64_who_want_the_last_one_gets_it(eu: Running, shop: Shop) -> None:
    [lamp] = await variants(eu, shop.id)
    await shop.receive(lamp, 1)
    told = await outcomes(*(shop.reserve(uuid7(), (lamp, 1)) for _ in range(WORKERS)))
    assert sorted(set(told)) == ["OK", "OUT_OF_STOCK"]
    assert told.count("OK") == 1
    assert await shop.levels(lamp) == [(1, 1, 0)]
    assert books(eu.database_url, shop.id) == []


async def test_bundles_that_share_an_item_in_opposite_orders_are_whole(eu: Running, shop: Shop) -> None:
    lamp, bulb, shade = await variants(eu, shop.id, 3)
    for each, count in ((lamp, 10), (bulb, 12), (shade, 10)):
        await shop.receive(each, count)
    orders = [((lamp, 1), (bulb, 1)), ((bulb, 1), (lamp, 1)), ((shade, 1), (bulb, 1)), ((bulb, 1), (shade, 1))]
    told = await outcomes(*(shop.reserve(uuid7(), *orders[n % 4]) for n in range(WORKERS)))
    assert (told.count("OK"), told.count("OUT_OF_STOCK")) == (12, WORKERS - 12)
    found = dict(zip((lamp, bulb, shade), await shop.levels(lamp, bulb, shade), strict=True))
    assert found[bulb] == (12, 12, 0)
    assert found[lamp][1] + found[shade][1] == 12
    assert books(eu.database_url, shop.id) == []


async def test_whatever_order_things_happen_in_the_books_balance(eu: Running, shop: Shop) -> None:
    """Random schedules of callers at once, over two locations, some of which may promise more than there is."""
    random.seed(SEED)
    ids = await variants(eu, shop.id, 3)
    places = [await shop.locate("one", 1), await shop.locate("two", 2)]
    received = dict.fromkeys(ids, 0)
    for each in ids:
        for place in places:
            await shop.receive(each, 4, place)
            received[each] += 4
    await shop.call(pb.ConfigureStockRequest(variant_id=ids[0], location_id=places[1], allows_backorder=True))
    db = eu.database("center_app", pool_size=8)
    now = datetime.now(UTC)
    shipped = dict.fromkeys(ids, 0)

    async def change(work: Callable[[Any], Awaitable[Outcome]]) -> Outcome:
        async with db.transaction(shop.id) as tx:
            outcome = await work(tx)
            await journal.record(tx, shop.id, messages.changes(outcome), messages.events(outcome))
        return outcome

    async def step(owner: str) -> None:
        some = [Line(random.choice(ids), random.randint(1, 3)) for _ in range(random.randint(1, 3))]
        until_ = now - timedelta(seconds=1) if random.random() < 0.3 else None
        match random.randrange(6):
            case 0 | 1 | 2:
                await change(lambda tx: ops.reserve(tx, shop.id, owner, some, until_, now=now))
            case 3:
                await change(lambda tx: ops.release(tx, shop.id, owner, now=now))
            case 4:
                outcome = await change(lambda tx: ops.commit(tx, shop.id, owner, now=now))
                for each in outcome.steps:
                    shipped[each.before.variant_id] += each.before.on_hand - each.after.on_hand
            case 5:
                await change(lambda tx: ops.expire(tx, shop.id, owner, now=now))

    async def schedule() -> None:
        owner = uuid7()
        for _ in range(STEPS):
            with contextlib.suppress(PlatformError):
                await step(owner)

    refused = [each for each in await outcomes(*(schedule() for _ in range(SCHEDULES))) if each != "OK"]
    assert refused == []
    assert books(eu.database_url, shop.id) == []
    on_hand = dict.fromkeys(ids, 0)
    for level in (await shop.call(pb.GetStockRequest(variant_ids=ids))).levels:
        on_hand[level.variant_id] += level.on_hand
    assert {each: on_hand[each] + shipped[each] for each in ids} == received
    assert sum(shipped.values()) > 0
    await db.close()


async def test_no_two_schedules_wait_for_each_other(eu: Running, shop: Shop) -> None:
    with psycopg.connect(eu.database_url) as owner:
        found = owner.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert found == (0,)


# Kill


@pytest.fixture(scope="module")
async def process(home: Path, make_database: Callable[[str], str]) -> AsyncIterator[ClusterProcess]:
    running = ClusterProcess(home, make_database("cluster_inventory"))
    running.start()
    yield running
    await running.close()


async def test_a_process_that_is_killed_leaves_nothing_half_done(process: ClusterProcess) -> None:
    tenant = entry()
    await process.commands.ApplyTenants(runtime_pb.ApplyTenantsRequest(tenants=[tenant]))
    request = products_pb.CreateProductRequest(product=product(variants=[variant("a"), variant("b")]))
    stub: Any = ProductServiceStub(process.channel("operator"))
    made = (await stub.CreateProduct(request, metadata=of(tenant.id))).product
    ids = [each.id for each in made.variants]
    shop = Shop(InventoryServiceStub(process.channel("operator")), tenant.id)
    for each in ids:
        await shop.receive(each, 1000)
    acknowledged: set[str] = set()

    async def work() -> None:
        while True:
            cart = uuid7()
            lines = random.sample([(ids[0], 1), (ids[1], 2)], 2)
            await shop.reserve(cart, *lines, request_id=uuid7())
            acknowledged.add(cart)
            await shop.commit(cart, request_id=uuid7())

    for _ in range(2):
        before = len(acknowledged)
        working = [asyncio.ensure_future(work()) for _ in range(8)]
        await until(lambda before=before: len(acknowledged) > before + 20, what="some work")  # type: ignore[misc]
        process.kill()
        done = await asyncio.gather(*working, return_exceptions=True)
        assert all(isinstance(each, grpc.aio.AioRpcError) for each in done)
        await until(lambda: _idle(process.database_url), what="the killed process's connections to end")
        assert books(process.database_url, tenant.id) == []
        with psycopg.connect(process.database_url) as owner:
            halves = owner.execute(
                "SELECT owner FROM reservations GROUP BY owner HAVING count(*) <> 2 OR "
                "count(*) FILTER (WHERE shipped = quantity) NOT IN (0, 2)"
            ).fetchall()
            kept = {str(row[0]) for row in owner.execute("SELECT DISTINCT owner FROM reservations").fetchall()}
        assert halves == []
        assert acknowledged <= kept
        process.start()
        shop.stub = InventoryServiceStub(process.channel("operator"))


def _idle(url: str) -> bool:
    with psycopg.connect(url) as owner:
        open_ = owner.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'center_app'"
        ).fetchone()
    return open_ == (0,)


# Watches


async def test_a_watch_tells_what_is_and_then_what_changes(eu: Running, shop: Shop) -> None:
    lamp, bulb = await variants(eu, shop.id, 2)
    await shop.receive(lamp, 5)
    watch = shop.stub.WatchStock(pb.WatchStockRequest(variant_ids=[lamp, bulb]), metadata=of(shop.id))
    told: dict[str, pb.StockLevel] = {}
    complete = asyncio.Event()

    async def follow() -> None:
        async for answer in watch:
            for level in answer.levels:
                assert level.variant_id not in told or told[level.variant_id].version < level.version
                told[level.variant_id] = level
            if answer.complete:
                complete.set()

    following = asyncio.ensure_future(follow())
    async with asyncio.timeout(10):
        await complete.wait()
    assert {id: level.available for id, level in told.items()} == {lamp: 5}
    await shop.receive(bulb, 1)
    for _ in range(5):
        await shop.reserve(uuid7(), (lamp, 1))
    await until(lambda: told.get(bulb) and told[lamp].available == 0, what="the changes")
    # Of another process, and in a transaction that began before others ended.
    db = eu.database("center_app")
    async with db.transaction(shop.id) as tx:
        await ops.reserve(tx, shop.id, uuid7(), [Line(bulb, 1)], None, now=datetime.now(UTC))
        journal.unchanged(tx)
        await shop.receive(lamp, 3)
        await until(lambda: told[lamp].available == 3, what="the other change")
    await until(lambda: told[bulb].available == 0, what="the change that came late")
    await db.close()
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following


async def test_a_watch_ends_when_its_shop_leaves(eu: Running, shop: Shop) -> None:
    watch = shop.stub.WatchStock(pb.WatchStockRequest(), metadata=of(shop.id))
    assert (await anext(aiter(watch))).complete
    await eu.apply(entry(shop.id, cluster_id="us-1"))
    async with asyncio.timeout(10):
        async with refuses("UNAVAILABLE", "TENANT_MOVING"):
            async for _ in watch:
                pass


async def test_a_watch_ends_when_its_process_is_told_to_stop(process: ClusterProcess) -> None:
    tenant = entry()
    await process.commands.ApplyTenants(runtime_pb.ApplyTenantsRequest(tenants=[tenant]))
    stub: Any = InventoryServiceStub(process.channel("operator"))
    watch = stub.WatchStock(pb.WatchStockRequest(), metadata=of(tenant.id))
    assert (await anext(aiter(watch))).complete
    stopping = asyncio.ensure_future(asyncio.to_thread(process.stop))
    async with asyncio.timeout(10):
        async with refuses("UNAVAILABLE", "DRAINING"):
            async for _ in watch:
                pass
    await stopping


# Plans


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("SELECT * FROM stock_levels WHERE tenant_id = '{t}' AND variant_id = '{v}'", "variant_id"),
        ("SELECT * FROM reservations WHERE tenant_id = '{t}' AND owner = '{v}'", "owner"),
        ("SELECT * FROM stock_movements WHERE tenant_id = '{t}' AND xid >= '1000000'::xid8", "xid"),
        ("SELECT * FROM stock_movements WHERE tenant_id = '{t}' AND variant_id = '{v}'", "variant_id"),
    ],
)
async def test_every_look_goes_by_an_index_below_the_policy(
    eu: Running, shop: Shop, statement: str, index: str
) -> None:
    db = eu.database("center_app")
    async with db.transaction(shop.id) as tx:
        await tx.execute(text("SET LOCAL enable_seqscan = off"))
        rows = await tx.execute(text("EXPLAIN " + statement.format(t=shop.id, v=uuid7()).replace(":", r"\:")))
        plan = "\n".join(row[0] for row in rows)
    await db.close()
    assert any("Index Cond" in line and index in line for line in plan.splitlines()), plan
