"""A cluster enforces what tenants' plans give: exactly, on last-good while control is away, and never on reads."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import pytest
from sqlalchemy import text

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import plan_service_pb2 as plans_pb
from center.dataplane.v1 import product_service_pb2 as pb
from center_sdk.features import set_hash
from dataplane.features.domain import Bucket, Rate
from shared.runtime.ids import uuid7
from shared.runtime.rpc.status import received
from tests.dataplane.cluster import Running, bearer, create, digest, entry, move_rows, of, product
from tests.dataplane.conftest import Start
from tests.support.features import ScriptedPlans, a_set, boolean, delta, plans_at, rate, standing
from tests.support.grpc import refuses

SNAPSHOT_END = catalog_pb.WATCH_PHASE_SNAPSHOT_END
NO_ROOM = ("RESOURCE_EXHAUSTED", "PRODUCT_LIMIT_REACHED")
NOT_IN_PLAN = ("FAILED_PRECONDITION", "FEATURE_NOT_IN_PLAN")
MORE = "ask whoever runs this platform for a larger plan"


@pytest.fixture
async def script() -> ScriptedPlans:
    return ScriptedPlans()


@pytest.fixture
async def cut(start: Start, home: Path, script: ScriptedPlans) -> AsyncIterator[Running]:
    """A cluster that follows the script, which has begun with nothing."""
    async with plans_at(home, script) as address, start(control_address=address) as running:
        await script.begin()
        yield running


async def shop(running: Running) -> str:
    new = entry()
    await running.apply(new)
    return new.id


async def lists(running: Running, tenant_id: str) -> list[pb.Product]:
    answer = await running.products.ListProducts(pb.ListProductsRequest(page_size=200), metadata=of(tenant_id))
    return list(answer.products)


async def run_import(
    running: Running, tenant_id: str, rows: Sequence[pb.Product], at_once: int = 100
) -> list[pb.ImportProductsResponse]:
    async def requests() -> AsyncIterator[pb.ImportProductsRequest]:
        for at in range(0, len(rows), at_once):
            yield pb.ImportProductsRequest(products=rows[at : at + at_once])

    return [answer async for answer in running.products.ImportProducts(requests(), metadata=of(tenant_id))]


async def archive(running: Running, tenant_id: str, product_id: str) -> None:
    await running.products.ArchiveProduct(pb.ArchiveProductRequest(id=product_id), metadata=of(tenant_id))


async def counted(running: Running, tenant_id: str) -> int:
    """What the trigger has counted."""
    owner = running.database()
    async with owner.transaction() as tx:
        found = await tx.execute(
            text("SELECT products FROM product_counts WHERE tenant_id = CAST(:id AS uuid)"), {"id": tenant_id}
        )
        count = found.scalar_one_or_none()
    await owner.close()
    return count or 0


# the number of products


async def test_a_plan_has_room_for_so_many_products_and_an_archived_one_makes_room(
    cut: Running, script: ScriptedPlans
) -> None:
    tenant_id = await shop(cut)
    await script.tell(a_set(tenant_id, 1, products=3))
    made = await create(cut, tenant_id, product(), product(), product())
    async with refuses(*NO_ROOM) as refusal:
        await create(cut, tenant_id, product())
    assert refusal.metadata == {"feature": "products", "plan_id": "basic", "limit": "3"}
    assert refusal.message.endswith(f"archive some, or {MORE}") and refusal.retry_after_s is None
    await archive(cut, tenant_id, made[0].id)
    await create(cut, tenant_id, product())
    async with refuses(*NO_ROOM):
        await create(cut, tenant_id, product())
    # What does not add is not refused.
    change = pb.UpdateProductRequest(product=pb.Product(id=made[1].id, title="New"), update_mask={"paths": ["title"]})
    await cut.products.UpdateProduct(change, metadata=of(tenant_id))
    assert len(await lists(cut, tenant_id)) == 4


async def test_the_last_places_go_to_as_many_as_there_are(cut: Running, script: ScriptedPlans) -> None:
    """40 writers and two imports at once, for 25 places: one too many never, one too few neither."""
    tenant_id = await shop(cut)
    await script.tell(a_set(tenant_id, 1, products=25))
    outcomes: Counter[str] = Counter()

    async def add() -> None:
        try:
            await create(cut, tenant_id, product())
            outcomes["made"] += 1
        except grpc.aio.AioRpcError as error:
            outcomes[received(error).reason] += 1

    async def load() -> None:
        answers = await run_import(cut, tenant_id, [product() for _ in range(10)], at_once=5)
        outcomes["made"] += answers[-1].created
        outcomes.update(error.reason for answer in answers for error in answer.errors)

    await asyncio.gather(*(add() for _ in range(40)), load(), load())
    assert outcomes == {"made": 25, "PRODUCT_LIMIT_REACHED": 35}
    assert len(await lists(cut, tenant_id)) == await counted(cut, tenant_id) == 25


async def test_a_refused_product_takes_no_place(cut: Running, script: ScriptedPlans) -> None:
    tenant_id = await shop(cut)
    await script.tell(a_set(tenant_id, 1, products=2))
    await create(cut, tenant_id, product("lamp"))
    for _ in range(3):
        async with refuses("ALREADY_EXISTS", "HANDLE_TAKEN"):
            await create(cut, tenant_id, product("lamp", variants=[]))
    request = pb.CreateProductRequest(product=product(), request_id=uuid7())
    first = await cut.products.CreateProduct(request, metadata=of(tenant_id))
    # Full now; the same request again is answered all the same.
    assert await cut.products.CreateProduct(request, metadata=of(tenant_id)) == first
    assert await counted(cut, tenant_id) == 2


async def test_an_import_takes_what_there_is_room_for_and_names_the_other_rows(
    cut: Running, script: ScriptedPlans
) -> None:
    tenant_id = await shop(cut)
    await script.tell(a_set(tenant_id, 1, products=250))
    rows = [product(f"row-{n}") for n in range(300)]
    answers = await run_import(cut, tenant_id, rows)
    errors = [error for answer in answers for error in answer.errors]
    assert [error.row for error in errors] == list(range(251, 301))
    assert {error.reason for error in errors} == {"PRODUCT_LIMIT_REACHED"}
    assert all(error.message.endswith(MORE) for error in errors)
    assert (answers[-1].rows_done, answers[-1].created) == (300, 250)
    # Rows of products that are there are changes, which a full shop may make.
    rows[0].title = "Changed"
    again = await run_import(cut, tenant_id, rows[:250])
    assert (again[-1].updated, again[-1].unchanged, len(again[-1].errors)) == (1, 249, 0)
    assert await counted(cut, tenant_id) == 250


@pytest.mark.parametrize("feature", [standing("products", None), standing("products", 1, is_soft=True)])
async def test_no_limit_and_a_soft_one_refuse_nothing(
    cut: Running, script: ScriptedPlans, feature: plans_pb.EffectiveFeature
) -> None:
    tenant_id = await shop(cut)
    await script.tell(a_set(tenant_id, 1, feature))
    await create(cut, tenant_id, *(product() for _ in range(3)))
    assert (await run_import(cut, tenant_id, [product()]))[-1].created == 1


async def test_a_lowered_limit_takes_nothing_away_and_a_raised_one_counts_at_once(
    cut: Running, script: ScriptedPlans
) -> None:
    tenant_id = await shop(cut)
    wide, tight, wider = (a_set(tenant_id, n, products=most) for n, most in ((1, 5), (2, 2), (3, 6)))
    await script.tell(wide)
    await create(cut, tenant_id, *(product() for _ in range(4)))
    await script.tell(delta(wide, tight))
    assert len(await lists(cut, tenant_id)) == 4
    async with refuses(*NO_ROOM) as refusal:
        await create(cut, tenant_id, product())
    assert refusal.metadata["limit"] == "2"
    await script.tell(delta(tight, wider))
    await create(cut, tenant_id, product(), product())
    async with refuses(*NO_ROOM):
        await create(cut, tenant_id, product())


async def test_a_moved_shop_is_counted_where_it_goes_whatever_its_limit(
    cut: Running, script: ScriptedPlans, us: Running
) -> None:
    there = entry(cluster_id="us-1")
    await us.apply(there)
    made = await create(us, there.id, *(product() for _ in range(5)))
    await archive(us, there.id, made[0].id)
    moving = entry(there.id, cluster_id="us-1", moving_to_cluster_id="eu-1", writes_frozen=True)
    await us.apply(moving)
    await script.tell(a_set(there.id, 1, products=2))
    await move_rows(us, cut, moving)
    assert await digest(cut, there.id) == await digest(us, there.id)
    assert await counted(cut, there.id) == 4
    await move_rows(us, cut, moving)  # once more, after a lost answer
    assert await counted(cut, there.id) == 4
    await cut.apply(entry(there.id))
    async with refuses(*NO_ROOM):
        await create(cut, there.id, product())


# bulk import


async def test_an_import_that_the_plan_does_not_have_is_refused(cut: Running, script: ScriptedPlans) -> None:
    tenant_id = await shop(cut)
    off, on = a_set(tenant_id, 1, bulk_import=False), a_set(tenant_id, 2)
    await script.tell(off)
    async with refuses(*NOT_IN_PLAN) as refusal:
        await run_import(cut, tenant_id, [])
    assert refusal.metadata == {"feature": "bulk_import", "plan_id": "basic"}
    assert refusal.message.endswith(f"create products one by one, or {MORE}")
    await create(cut, tenant_id, product())
    await script.tell(delta(off, on))
    assert (await run_import(cut, tenant_id, [product()]))[-1].created == 1


async def test_a_feature_that_ends_ends_an_import_under_way(cut: Running, script: ScriptedPlans) -> None:
    tenant_id = await shop(cut)
    on, off = a_set(tenant_id, 1), a_set(tenant_id, 2, bulk_import=False)
    await script.tell(on)
    call = cut.products.ImportProducts(metadata=of(tenant_id))
    await call.write(pb.ImportProductsRequest(products=[product()]))
    assert (await call.read()).created == 1
    await script.tell(delta(on, off))
    async with refuses(*NOT_IN_PLAN):
        await call.write(pb.ImportProductsRequest(products=[product()]))
        await call.read()
    assert len(await lists(cut, tenant_id)) == 1


async def test_what_a_set_does_not_name_the_tenant_does_not_have(cut: Running, script: ScriptedPlans) -> None:
    tenant_id = await shop(cut)
    before = a_set(tenant_id, 1)
    empty = a_set(tenant_id, 2)
    del empty.features[:]
    empty.hash = set_hash(empty)
    await script.tell(before)
    await script.tell(delta(before, empty))
    async with refuses(*NO_ROOM):
        await create(cut, tenant_id, product())
    async with refuses(*NOT_IN_PLAN):
        await run_import(cut, tenant_id, [])
    assert await lists(cut, tenant_id) == []


# the rate of calls


async def calls(running: Running, tenant_id: str, count: int, *metadata: tuple[str, str]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for _ in range(count):
        try:
            await running.shop.ListProducts(pb.ListProductsRequest(), metadata=of(tenant_id, *metadata))
            outcomes["OK"] += 1
        except grpc.aio.AioRpcError as error:
            outcomes[received(error).reason] += 1
    return outcomes


async def test_calls_from_outside_have_a_rate_and_are_told_how_long_to_wait(
    cut: Running, script: ScriptedPlans
) -> None:
    tenant_id, other = await shop(cut), await shop(cut)
    slow = a_set(tenant_id, 1, rate(0.01, 5))
    await script.tell(slow, a_set(other, 1, rate(0.01, 5)))
    assert await calls(cut, tenant_id, 4) == {"OK": 4}
    # A merchant's call is of the same shop.
    assert await calls(cut, tenant_id, 3, bearer(cut.home, tenant_id)) == {"OK": 1, "RATE_LIMITED": 2}
    async with refuses("RESOURCE_EXHAUSTED", "RATE_LIMITED") as refusal:
        await cut.shop.ListProducts(pb.ListProductsRequest(), metadata=of(tenant_id))
    assert refusal.retry_after_s is not None and 90 < refusal.retry_after_s <= 100
    assert refusal.metadata == {"feature": "api_rate", "plan_id": "basic", "per_second": "0.01", "burst": "5"}
    assert refusal.message.endswith(f"go slower, or {MORE}")
    assert await calls(cut, other, 5) == {"OK": 5}
    # The platform's own people are not the shop.
    assert len(await lists(cut, tenant_id)) == 0
    await script.tell(delta(slow, quick := a_set(tenant_id, 2, rate(1000, 50))))
    async with asyncio.timeout(5):
        while (await calls(cut, tenant_id, 1))["OK"] == 0:
            pass
    await script.tell(delta(quick, a_set(tenant_id, 3)))
    assert await calls(cut, tenant_id, 200) == {"OK": 200}


async def test_a_refusal_says_in_a_header_when_to_come_back(cut: Running, script: ScriptedPlans) -> None:
    tenant_id = await shop(cut)
    await script.tell(a_set(tenant_id, 1, rate(0.5, 1)))
    await calls(cut, tenant_id, 1)
    call = cut.shop.ListProducts(pb.ListProductsRequest(), metadata=of(tenant_id))
    async with refuses("RESOURCE_EXHAUSTED", "RATE_LIMITED"):
        await call
    assert dict(await call.trailing_metadata())["retry-after"] == "2"  # type: ignore[arg-type]


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    rate_ = Rate(2.0, 3)
    bucket = Bucket(rate_, now=100.0)
    assert [bucket.take(rate_, 100.0) for _ in range(3)] == [0, 0, 0]
    assert bucket.take(rate_, 100.0) == pytest.approx(0.5)
    assert bucket.take(rate_, 100.5) == 0
    assert bucket.take(rate_, 100.5) == pytest.approx(0.5)
    # Rest fills it up to the burst and no further.
    assert bucket.is_full(200.0)
    assert [bucket.take(rate_, 200.0) > 0 for _ in range(5)] == [False, False, False, True, True]
    # A smaller burst counts at once, and time before it does not come back with a larger one.
    assert bucket.take(Rate(2.0, 1), 300.0) == 0
    assert bucket.take(Rate(2.0, 10), 300.0) == pytest.approx(0.5)


# the stream


async def test_features_are_kept_over_restarts_and_outages_of_control(
    start: Start, home: Path, script: ScriptedPlans
) -> None:
    async with plans_at(home, script) as address, start(control_address=address) as first:
        await script.begin()
        tenant_id = await shop(first)
        known = a_set(tenant_id, 7, rate(0.01, 2), products=1, bulk_import=False)
        await script.tell(known)
        await create(first, tenant_id, product())
        url = first.database_url
    # Nobody answers at the control plane's address now.
    async with start(database_url=url, control_address=address) as alone:
        async with refuses(*NO_ROOM):
            await create(alone, tenant_id, product())
        async with refuses(*NOT_IN_PLAN):
            await run_import(alone, tenant_id, [])
        assert await calls(alone, tenant_id, 3) == {"OK": 2, "RATE_LIMITED": 1}
        assert len(await lists(alone, tenant_id)) == 1
        async with plans_at(home, script, port=int(address.rpartition(":")[2])):
            begun = await script.started()
            assert [(each.tenant_id, each.version, each.hash) for each in begun.known] == [(tenant_id, 7, known.hash)]
            assert (begun.instance, begun.cluster_id) == ("eu-1", "eu-1")
            await script.tell(a_set(tenant_id, 8), phase=SNAPSHOT_END)
            await create(alone, tenant_id, product())


async def test_a_shop_whose_features_have_not_come_is_served_without_limits(
    cut: Running, script: ScriptedPlans
) -> None:
    tenant_id = await shop(cut)
    await create(cut, tenant_id, product())
    assert (await run_import(cut, tenant_id, [product()]))[-1].created == 1
    assert await calls(cut, tenant_id, 20) == {"OK": 20}
    # What it made meanwhile counts when they come.
    await script.tell(a_set(tenant_id, 1, products=2))
    async with refuses(*NO_ROOM):
        await create(cut, tenant_id, product())
    await script.tell(tenant_id)
    await create(cut, tenant_id, product())


async def test_a_change_that_stands_on_something_else_is_asked_for_as_a_whole(
    cut: Running, script: ScriptedPlans
) -> None:
    tenant_id, other = await shop(cut), await shop(cut)
    first, second, third = (a_set(tenant_id, n, products=n) for n in (1, 2, 3))
    fine = a_set(other, 1, products=1)
    await script.tell(first, fine)
    script.say(delta(second, third), delta(fine, finer := a_set(other, 3, products=2)))
    again = await script.started()
    # The other's change fitted; this one's last good set holds, and is not claimed to be known.
    assert [(each.tenant_id, each.version) for each in again.known] == [(other, 3)]
    await create(cut, other, product(), product())
    await create(cut, tenant_id, product())
    async with refuses(*NO_ROOM):
        await create(cut, tenant_id, product())
    await script.tell(third, phase=SNAPSHOT_END, holds=[third, finer])
    await create(cut, tenant_id, product(), product())


async def test_a_change_that_comes_out_wrong_is_not_taken(cut: Running, script: ScriptedPlans) -> None:
    tenant_id = await shop(cut)
    before, after = a_set(tenant_id, 1, products=1), a_set(tenant_id, 2, products=2)
    await script.tell(before)
    wrong = delta(before, after)
    wrong.hash = "0" * 32
    script.say(wrong)
    assert not (await script.started()).known
    await create(cut, tenant_id, product())
    async with refuses(*NO_ROOM):
        await create(cut, tenant_id, product())


async def test_a_set_with_a_wrong_hash_is_refused_and_no_other_waits_for_it(
    cut: Running, script: ScriptedPlans
) -> None:
    tenant_id, other = await shop(cut), await shop(cut)
    wrong = a_set(tenant_id, 1, products=0)
    wrong.hash = "0" * 32
    report = await script.tell(wrong, a_set(other, 1, products=0))
    assert [refusal.resource_id for refusal in report.refusals] == [tenant_id]
    await create(cut, tenant_id, product())
    async with refuses(*NO_ROOM):
        await create(cut, other, product())
    report = await script.tell(a_set(tenant_id, 2, products=1))
    assert not report.refusals


async def test_a_check_finds_what_no_change_told(cut: Running, script: ScriptedPlans) -> None:
    tenant_id, stranger = await shop(cut), await shop(cut)
    here, gone = a_set(tenant_id, 1), a_set(stranger, 1, products=0)
    report = await script.tell(here, gone, holds=[here, gone])
    assert not report.refusals
    script.say(holds=[here])
    assert not (await script.started()).known
    await script.tell(here, phase=SNAPSHOT_END, holds=[here])
    # Neither said to be known nor named: it is not there any more.
    await create(cut, stranger, product())
    script.hang_up()
    assert [each.tenant_id for each in (await script.started()).known] == [tenant_id]


async def test_what_is_too_much_to_be_named_comes_again(cut: Running, script: ScriptedPlans) -> None:
    sets = [a_set(await shop(cut), 1, products=1) for _ in range(3)]
    await script.tell(*sets)
    cut.cluster.features.known_at_most = 1
    script.hang_up()
    [named] = (await script.started()).known
    [kept] = [each for each in sets if each.tenant_id == named.tenant_id]
    again, gone = [each for each in sets if each is not kept]
    await create(cut, again.tenant_id, product())
    async with refuses(*NO_ROOM):
        await create(cut, again.tenant_id, product())
    await script.tell(again, phase=SNAPSHOT_END, holds=[kept, again])
    await create(cut, gone.tenant_id, product(), product())
    async with refuses(*NO_ROOM):
        await create(cut, again.tenant_id, product())


async def test_many_shops_come_in_parts(cut: Running, script: ScriptedPlans) -> None:
    tenant_ids = [uuid7() for _ in range(2000)]
    sets = [a_set(each, 1, products=1) for each in tenant_ids]
    script.hang_up()
    await script.started()
    script.say(*sets[:1000], phase=catalog_pb.WATCH_PHASE_SNAPSHOT)
    await script.tell(*sets[1000:], phase=SNAPSHOT_END, holds=sets)
    await script.tell(*(delta(each, a_set(each.tenant_id, 2, boolean("gift_wrap", True))) for each in sets))
    script.hang_up()
    assert {each.version for each in (await script.started()).known} == {2}
