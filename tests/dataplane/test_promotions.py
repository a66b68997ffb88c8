"""PromotionService on a real server and PostgreSQL, and what orders redeem."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.type import money_pb2
from sqlalchemy import text, true
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import tenant_pb2
from center.dataplane.v1 import promotion_service_pb2 as pb
from center.dataplane.v1.promotion_service_pb2_grpc import PromotionServiceStub
from center.shared.v1 import audit_service_pb2 as audit_pb
from center.shared.v1.audit_service_pb2_grpc import AuditServiceStub
from dataplane.promotions import ops, store
from dataplane.promotions.domain import MOST_AUTOMATIC, Applied
from dataplane.promotions.service import _ORDER, _REDEEMED_ORDER
from shared.runtime.db import Database
from shared.runtime.errors import FailedPrecondition, PlatformError
from shared.runtime.ids import uuid7
from shared.runtime.money import Money
from shared.runtime.rpc import contract, rules
from tests.dataplane.cluster import Running, bearer, digest, entry, move_rows, of
from tests.dataplane.test_plans import Large, plans
from tests.support.grpc import refuses

ACTIVE, PAUSED, ARCHIVED = (
    pb.PROMOTION_STATUS_ACTIVE,
    pb.PROMOTION_STATUS_PAUSED,
    pb.PROMOTION_STATUS_ARCHIVED,
)
TENTH = {"type": pb.PROMOTION_EFFECT_TYPE_PERCENT, "basis_points": 1000}


def eur(minor: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code="EUR", units=minor // 100, nanos=minor % 100 * 10_000_000)


def minor(money: money_pb2.Money) -> int:
    return money.units * 100 + money.nanos // 10_000_000


def promotion(**changes: Any) -> pb.Promotion:
    """A tenth off the order; automatic, unless it has a code."""
    return pb.Promotion(**{"effect": TENTH, "automatic": not changes.get("code"), **changes})


def cart(*prices: int, **more: Any) -> pb.SimulatedCart:
    lines = [{"sku": f"sku-{n}", "quantity": 1, "unit_price": eur(price)} for n, price in enumerate(prices or (1000,))]
    return pb.SimulatedCart(**{"currency_code": "EUR", "lines": lines, **more})


@dataclass
class Shop:
    running: Running
    id: str
    db: Database  # as the order's part has it

    @property
    def stub(self) -> Any:
        return PromotionServiceStub(self.running.channel("operator"))

    async def __call__(self, name: str, request: Message) -> Any:
        return await getattr(self.stub, name)(request, metadata=of(self.id))

    async def create(self, **changes: Any) -> pb.Promotion:
        request = pb.CreatePromotionRequest(promotion=promotion(**changes))
        made: pb.Promotion = (await self("CreatePromotion", request)).promotion
        return made

    async def get(self, id: str) -> pb.Promotion:
        found: pb.Promotion = (await self("GetPromotion", pb.GetPromotionRequest(id=id))).promotion
        return found

    async def update(self, changed: pb.Promotion, *paths: str) -> pb.Promotion:
        request = pb.UpdatePromotionRequest(promotion=changed, update_mask=FieldMask(paths=paths))
        after: pb.Promotion = (await self("UpdatePromotion", request)).promotion
        return after

    async def archive(self, id: str, etag: str = "") -> pb.Promotion:
        gone: pb.Promotion = (await self("ArchivePromotion", pb.ArchivePromotionRequest(id=id, etag=etag))).promotion
        return gone

    async def listed(self, **request: Any) -> list[pb.Promotion]:
        found: list[pb.Promotion] = []
        token = ""
        while True:
            page = await self("ListPromotions", pb.ListPromotionsRequest(page_token=token, **request))
            found += page.promotions
            if not (token := page.next_page_token):
                return found

    async def simulate(self, cart: pb.SimulatedCart, **more: Any) -> pb.SimulateResponse:
        answer: pb.SimulateResponse = await self("Simulate", pb.SimulateRequest(cart=cart, **more))
        return answer

    async def redemptions(self, filter: str = "") -> list[pb.PromotionRedemption]:
        return list((await self("ListRedemptions", pb.ListRedemptionsRequest(filter=filter))).redemptions)

    async def redeem(self, order_id: str, *applied: tuple[str, int], customer_id: str = "") -> list[store.Redemption]:
        taken = [Applied(id, Money("EUR", amount)) for id, amount in applied]
        async with self.db.transaction(self.id) as tx:
            return await ops.redeem(tx, self.id, order_id, taken, customer_id, datetime.now(UTC))

    async def give_back(self, order_id: str) -> list[store.Redemption]:
        async with self.db.transaction(self.id) as tx:
            return await ops.give_back(tx, self.id, order_id, datetime.now(UTC))

    async def counted(self, id: str) -> tuple[int, int]:
        """Uses and what is spent, which must be what the redemptions say."""
        found = await self.get(id)
        counting = [
            each for each in await self.redemptions(f'promotion_id = "{id}"') if not each.HasField("cancel_time")
        ]
        assert found.uses == len(counting)
        assert not found.currency_code or minor(found.spent) == sum(minor(each.amount) for each in counting)
        return found.uses, minor(found.spent)


@pytest.fixture(scope="module")
async def connections(eu: Running) -> AsyncIterator[Database]:
    db = eu.database("center_app", pool_size=32)
    yield db
    await db.close()


@pytest.fixture
async def shop(eu: Running, tenant: str, connections: Database) -> Shop:
    return Shop(eu, tenant, connections)


# create, read, change


async def test_a_promotion_is_read_back_as_it_was_made(shop: Shop) -> None:
    starts = datetime(2030, 1, 1, tzinfo=UTC)
    rule = {"attribute": "PROMOTION_ATTRIBUTE_SUBTOTAL", "op": "PROMOTION_OP_AT_LEAST", "values": ["05000"]}
    wanted = promotion(
        display_name="Winter",
        code="Winter-24",
        priority=-3,
        exclusive=True,
        stack_group="season",
        usage_limit=5,
        per_customer_limit=1,
        budget=eur(10_000),
        currency_code="EUR",
        status=PAUSED,
        rule_sets=[{"rules": [rule]}],
        effect={
            "type": pb.PROMOTION_EFFECT_TYPE_FIXED,
            "target": pb.PROMOTION_TARGET_ITEM,
            "amount": eur(250),
            "max_quantity": 3,
        },
    )
    wanted.start_time.FromDatetime(starts)
    wanted.end_time.FromDatetime(starts + timedelta(days=30))
    made = (await shop("CreatePromotion", pb.CreatePromotionRequest(promotion=wanted))).promotion
    assert made.id and made.etag == "1" and made.create_time == made.update_time
    assert await shop.get(made.id) == made
    wanted.rule_sets[0].rules[0].values[:] = ["5000"]
    wanted.effect.allocation = pb.PROMOTION_ALLOCATION_EACH
    wanted.spent.CopyFrom(eur(0))
    for name in ("id", "etag", "create_time", "update_time"):
        made.ClearField(name)
    assert made == wanted


async def test_what_is_not_said_is_the_usual(shop: Shop) -> None:
    made = await shop.create()
    assert (made.status, made.effect.target) == (ACTIVE, pb.PROMOTION_TARGET_ORDER)
    assert made.effect.allocation == pb.PROMOTION_ALLOCATION_ACROSS
    assert not made.HasField("usage_limit") and not made.HasField("spent")
    gift = await shop.create(
        effect={"type": pb.PROMOTION_EFFECT_TYPE_BUY_X_GET_Y, "buy_quantity": 2, "get_quantity": 1}
    )
    assert (gift.effect.target, gift.effect.basis_points) == (pb.PROMOTION_TARGET_ITEM, 10_000)
    free = await shop.create(effect={"type": pb.PROMOTION_EFFECT_TYPE_FREE_SHIPPING})
    assert free.effect.target == pb.PROMOTION_TARGET_SHIPPING


async def test_a_code_is_given_once_in_any_case_until_it_is_archived(shop: Shop) -> None:
    first = await shop.create(code="Straße")
    other = await shop.create(code="other")
    async with refuses("ALREADY_EXISTS", "CODE_TAKEN"):
        await shop.create(code="STRASSE")
    async with refuses("ALREADY_EXISTS", "CODE_TAKEN"):
        await shop.update(pb.Promotion(id=other.id, code="strasse"))
    await shop.archive(first.id)
    assert (await shop.create(code="STRASSE")).code == "STRASSE"


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"code": "A", "automatic": True}, "FIELD_INVALID", "promotion.code"),
        ({"effect": None}, "FIELD_INVALID", "promotion.effect"),
        ({"status": ARCHIVED}, "FIELD_INVALID", "promotion.status"),
        ({"budget": eur(5)}, "MONEY_INVALID", "promotion.budget"),
        ({"budget": eur(5), "currency_code": "USD"}, "MONEY_INVALID", "promotion.budget"),
        ({"code": "a b"}, "", "promotion.code"),
        ({"usage_limit": 0}, "", "promotion.usage_limit"),
        ({"effect": {**TENTH, "basis_points": 10_001}}, "", "promotion.effect.basis_points"),
        ({"rule_sets": [{"rules": []}]}, "", "promotion.rule_sets[0].rules"),
        ({"start_time": {"nanos": -1}}, "", "promotion.start_time"),
    ],
)
async def test_bad_input_is_named_by_its_place(shop: Shop, changes: dict[str, Any], reason: str, field: str) -> None:
    async with refuses("INVALID_ARGUMENT", reason) as refusal:
        await shop.create(**changes)
    assert list(refusal.violations) == [field]
    assert await shop.listed() == []


async def test_a_change_writes_what_the_mask_names(shop: Shop) -> None:
    made = await shop.create(code="A", usage_limit=5, stack_group="g")
    changed = await shop.update(pb.Promotion(id=made.id, priority=7, code="ignored"), "priority", "usage_limit")
    assert (changed.priority, changed.code, changed.stack_group) == (7, "A", "g")
    assert not changed.HasField("usage_limit") and changed.etag == "2"
    assert await shop.get(made.id) == changed
    assert await shop.update(pb.Promotion(id=made.id, priority=7), "priority") == changed
    automatic = await shop.update(pb.Promotion(id=made.id, automatic=True), "automatic", "code")
    assert automatic.automatic and not automatic.code
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await shop.update(pb.Promotion(id=made.id, priority=8, etag="1"), "priority")
    for path in ("uses", "spent", "id", "create_time"):
        async with refuses("INVALID_ARGUMENT", "MASK_INVALID"):
            await shop.update(pb.Promotion(id=made.id, uses=5), path)
    async with refuses("NOT_FOUND", "PROMOTION_NOT_FOUND"):
        await shop.update(pb.Promotion(id=uuid7(), priority=8))


async def test_an_archived_promotion_stays_as_it_is(shop: Shop) -> None:
    made = await shop.create()
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await shop.archive(made.id, etag="7")
    gone = await shop.archive(made.id, etag=made.etag)
    assert gone.status == ARCHIVED and await shop.get(made.id) == gone
    async with refuses("FAILED_PRECONDITION", "PROMOTION_ARCHIVED"):
        await shop.archive(made.id)
    async with refuses("FAILED_PRECONDITION", "PROMOTION_ARCHIVED"):
        await shop.update(pb.Promotion(id=made.id, priority=1))


async def test_pages_and_filters_select(shop: Shop) -> None:
    made = [await shop.create(code=f"c-{n}", priority=n % 2) for n in range(5)]
    made.append(await shop.create(exclusive=True, status=PAUSED))
    assert await shop.listed(page_size=4) == made[::-1]
    assert await shop.listed(filter="status = PAUSED") == made[5:]
    assert await shop.listed(filter="automatic = false AND priority = 1") == [made[3], made[1]]
    assert await shop.listed(filter='code = "c-2" OR exclusive = true') == [made[5], made[2]]
    async with refuses("INVALID_ARGUMENT", "FILTER_INVALID"):
        await shop.listed(filter="rule_sets = 1")


async def test_a_shop_has_so_many_automatic_promotions(shop: Shop) -> None:
    first = await shop.create()
    async with shop.db.transaction(shop.id) as tx:
        names = ", ".join(column.name for column in store.promotions.c if column.name not in ("id", "create_time"))
        await tx.execute(
            text(
                f"INSERT INTO promotions (id, create_time, {names}) SELECT gen_random_uuid(), now(), {names} "
                "FROM promotions, generate_series(2, :most)"
            ),
            {"most": MOST_AUTOMATIC},
        )
    async with refuses("RESOURCE_EXHAUSTED", "TOO_MANY_AUTOMATIC"):
        await shop.create()
    coded = await shop.create(code="A")
    async with refuses("RESOURCE_EXHAUSTED", "TOO_MANY_AUTOMATIC"):
        await shop.update(pb.Promotion(id=coded.id, automatic=True), "automatic", "code")
    assert len((await shop.simulate(cart())).outcomes) == MOST_AUTOMATIC
    await shop.archive(first.id)
    await shop.create()


# simulate


async def test_a_simulation_says_what_comes_off_and_why(shop: Shop) -> None:
    tenth = await shop.create(display_name="Autumn", priority=2)
    coded = await shop.create(code="Ship", effect={"type": pb.PROMOTION_EFFECT_TYPE_FREE_SHIPPING})
    other = await shop.create(code="other")
    answer = await shop.simulate(cart(1001, 999, shipping=eur(490), codes=["SHIP", "nope"]), promotion_ids=[other.id])
    assert [(a.promotion_id, a.line_id, minor(a.amount), a.explanation) for a in answer.adjustments] == [
        (tenth.id, "1", 100, "Autumn: 10% off the order"),
        (tenth.id, "2", 100, "Autumn: 10% off the order"),
        (coded.id, "", 490, "free shipping"),
    ]
    assert [minor(getattr(answer, name)) for name in ("subtotal", "shipping", "discount", "total")] == [
        2000, 490, 690, 1800,
    ]  # fmt: skip
    assert [(o.promotion_id, pb.PromotionVerdict.Name(o.verdict)[18:], minor(o.amount)) for o in answer.outcomes] == [
        (tenth.id, "APPLIED", 200),
        (coded.id, "APPLIED", 490),
        (other.id, "CODE_NOT_ENTERED", 0),
    ]
    assert list(answer.unknown_codes) == ["nope"]
    assert (await shop.get(tenth.id)).uses == 0


async def test_a_simulation_is_as_of_then_and_for_a_customer(shop: Shop) -> None:
    customer = uuid7()
    later = datetime.now(UTC) + timedelta(days=2)
    made = await shop.create(per_customer_limit=1, start_time=later)
    early = await shop.simulate(cart(customer_id=customer))
    assert early.outcomes[0].verdict == pb.PROMOTION_VERDICT_NOT_STARTED
    then = await shop.simulate(cart(customer_id=customer.upper()), time=later)
    assert then.outcomes[0].verdict == pb.PROMOTION_VERDICT_APPLIED
    await shop.redeem(uuid7(), (made.id, 100), customer_id=customer)
    then = await shop.simulate(cart(customer_id=customer), time=later)
    assert then.outcomes[0].verdict == pb.PROMOTION_VERDICT_CUSTOMER_LIMIT_REACHED
    then = await shop.simulate(cart(customer_id=uuid7()), time=later)
    assert then.outcomes[0].verdict == pb.PROMOTION_VERDICT_APPLIED


async def test_a_cart_that_is_none_is_refused(shop: Shop) -> None:
    for wrong, field in (
        (cart(1, currency_code="USD"), "cart.lines[0].unit_price"),
        (cart(1, 1, lines=[{"id": "a", "quantity": 1, "unit_price": eur(1)}] * 2), "cart.lines"),
        (cart(lines=[{"quantity": 10**6, "unit_price": eur(10**18)}]), "cart.lines"),
        (cart(lines=[{"quantity": 0, "unit_price": eur(1)}]), "cart.lines[0].quantity"),
    ):
        async with refuses("INVALID_ARGUMENT") as refusal:
            await shop.simulate(wrong)
        assert list(refusal.violations) == [field]
    async with refuses("NOT_FOUND", "PROMOTION_NOT_FOUND"):
        await shop.simulate(cart(), promotion_ids=[uuid7()])


# redeem


async def test_an_order_redeems_once_and_gives_back_once(shop: Shop) -> None:
    limited = await shop.create(usage_limit=2, budget=eur(500), currency_code="EUR")
    beside = await shop.create()
    order, customer = uuid7(), uuid7()
    new = await shop.redeem(order, (beside.id, 50), (limited.id, 100), customer_id=customer)
    assert [each.promotion_id for each in new] == [limited.id, beside.id]
    assert await shop.redeem(order, (beside.id, 70), (limited.id, 100), customer_id=customer) == []
    assert await shop.counted(limited.id) == (1, 100)
    assert await shop.counted(beside.id) == (1, 0)
    [found] = await shop.redemptions(f'promotion_id = "{limited.id}"')
    assert (found.order_id, found.customer_id, minor(found.amount)) == (order, customer, 100)
    assert len(await shop.give_back(order)) == 2
    assert await shop.give_back(order) == []
    assert await shop.counted(limited.id) == (0, 0)
    assert len(await shop.redemptions("cancel_time:*")) == 2
    with pytest.raises(FailedPrecondition, match="REDEMPTION_GIVEN_BACK"):
        await shop.redeem(order, (limited.id, 100))
    await shop.redeem(uuid7(), (limited.id, 100))


@pytest.mark.parametrize(
    ("changes", "amount", "reason"),
    [
        ({"usage_limit": 1}, 100, "PROMOTION_LIMIT_REACHED"),
        ({"budget": eur(150), "currency_code": "EUR"}, 100, "PROMOTION_BUDGET_SPENT"),
        ({"per_customer_limit": 1}, 100, "PROMOTION_CUSTOMER_LIMIT_REACHED"),
    ],
)
async def test_a_limit_refuses_the_whole_order(shop: Shop, changes: dict[str, Any], amount: int, reason: str) -> None:
    limited, beside = await shop.create(**changes), await shop.create()
    customer = uuid7()
    await shop.redeem(uuid7(), (limited.id, amount), customer_id=customer)
    with pytest.raises(FailedPrecondition, match=reason) as refused:
        await shop.redeem(uuid7(), (beside.id, 5), (limited.id, amount), customer_id=customer)
    assert refused.value.metadata == {"promotion_id": limited.id}
    assert (await shop.counted(limited.id))[0] == 1 and (await shop.counted(beside.id))[0] == 0


async def test_what_does_not_apply_any_more_is_not_redeemed(shop: Shop) -> None:
    gone, dollars = await shop.create(), await shop.create(currency_code="USD")
    counted = await shop.create(per_customer_limit=1)
    await shop.archive(gone.id)
    for id, reason in (
        (gone.id, "PROMOTION_NOT_ACTIVE"),
        (dollars.id, "PROMOTION_CURRENCY_DIFFERS"),
        (counted.id, "PROMOTION_CUSTOMER_LIMIT_REACHED"),
        (uuid7(), "PROMOTION_NOT_FOUND"),
    ):
        with pytest.raises(PlatformError, match=reason):
            await shop.redeem(uuid7(), (id, 100))
    assert await shop.redemptions() == []


async def raced(tries: Sequence[Callable[[], Any]]) -> Counter[str]:
    """All at once, each on a connection of its own: how many ended how."""

    async def end(attempt: Callable[[], Any]) -> str:
        try:
            await attempt()
        except PlatformError as error:
            return error.reason
        return "redeemed"

    return Counter(await asyncio.gather(*map(end, tries)))


async def test_of_many_at_once_as_many_redeem_as_the_limit_says(shop: Shop) -> None:
    few, beside = await shop.create(usage_limit=5), await shop.create()
    orders = [uuid7() for _ in range(32)]
    ends = await raced([lambda o=o: shop.redeem(o, (few.id, 10), (beside.id, 1)) for o in orders])
    assert ends == {"redeemed": 5, "PROMOTION_LIMIT_REACHED": 27}
    assert (await shop.counted(few.id))[0] == (await shop.counted(beside.id))[0] == 5


async def test_of_many_at_once_no_more_is_spent_than_the_budget(shop: Shop) -> None:
    made = await shop.create(budget=eur(1000), currency_code="EUR")
    ends = await raced([lambda n=n: shop.redeem(uuid7(), (made.id, 30 + n % 7)) for n in range(32)])
    uses, spent = await shop.counted(made.id)
    assert ends["redeemed"] == uses and 1000 - 36 < spent <= 1000


async def test_of_many_orders_of_one_customer_as_many_redeem_as_one_may(shop: Shop) -> None:
    made, customer = await shop.create(per_customer_limit=3), uuid7()
    ends = await raced([lambda: shop.redeem(uuid7(), (made.id, 10), customer_id=customer) for _ in range(32)])
    assert ends == {"redeemed": 3, "PROMOTION_CUSTOMER_LIMIT_REACHED": 29}
    assert (await shop.counted(made.id))[0] == 3


async def test_one_order_that_comes_many_times_at_once_is_one_use(shop: Shop) -> None:
    made, other, order = await shop.create(usage_limit=9), await shop.create(), uuid7()
    ends = await raced([lambda: shop.redeem(order, (other.id, 5), (made.id, 10))] * 32)
    assert ends == {"redeemed": 32}
    assert (await shop.counted(made.id))[0] == (await shop.counted(other.id))[0] == 1
    await raced([lambda: shop.give_back(order)] * 16)
    assert (await shop.counted(made.id))[0] == (await shop.counted(other.id))[0] == 0


async def test_redeeming_and_giving_back_at_once_ends_with_what_the_rows_say(shop: Shop) -> None:
    made = [await shop.create(usage_limit=8, currency_code="EUR") for _ in range(3)]
    orders = [uuid7() for _ in range(16)]

    async def place_and_cancel(order: str) -> None:
        await shop.redeem(order, *((each.id, 10) for each in made))
        await shop.give_back(order)

    ends = await raced([lambda o=o: place_and_cancel(o) for o in orders])
    assert set(ends) <= {"redeemed", "PROMOTION_LIMIT_REACHED"} and ends["redeemed"] >= 8
    for each in made:
        assert await shop.counted(each.id) == (0, 0)


async def test_a_limit_that_is_lowered_meanwhile_holds(shop: Shop) -> None:
    made = await shop.create(usage_limit=30)
    tries: list[Callable[[], Any]] = [lambda: shop.redeem(uuid7(), (made.id, 10)) for _ in range(30)]
    lower = pb.Promotion(id=made.id, usage_limit=10)

    async def lowered() -> bool:
        try:
            await shop.update(lower, "usage_limit")
        except Exception:  # noqa: BLE001
            return False
        return True

    _, took = await asyncio.gather(raced(tries), lowered())
    uses, _ = await shop.counted(made.id)
    assert uses <= 10 if took else uses == 30


async def test_the_database_itself_holds_limits_and_what_is_redeemed(shop: Shop) -> None:
    made = await shop.create(usage_limit=1, budget=eur(100), currency_code="EUR")
    await shop.redeem(uuid7(), (made.id, 100))
    for statement in (
        "UPDATE promotions SET uses = 2",
        "UPDATE promotions SET uses = -1",
        "UPDATE promotions SET spent_minor = 101",
        "UPDATE promotions SET automatic = false",
        "UPDATE promotion_redemptions SET amount_minor = 1",
        "DELETE FROM promotion_redemptions",
        "DELETE FROM promotions",
    ):
        with pytest.raises(PlatformError) as refused:
            async with shop.db.transaction(shop.id) as tx:
                await tx.execute(text(statement))
        assert refused.value.reason in ("DATABASE_FAILURE", "ROW_REFUSED"), statement
    assert await shop.counted(made.id) == (1, 100)


async def test_what_a_cart_asks_for_goes_by_indexes(shop: Shop) -> None:
    """Among 5,000 promotions with codes, all used by one customer."""
    automatic, coded = await shop.create(per_customer_limit=9), await shop.create(code="one")
    customer = uuid7()
    copied = [c.name for c in store.promotions.c if c.name not in ("id", "create_time", "code", "code_key")]
    names = ", ".join(copied)
    copy = (
        f"INSERT INTO promotions (id, create_time, code, code_key, {names}) SELECT gen_random_uuid(), "
        f"now() + n * interval '1 s', 'c-' || n, 'c-' || n, {names} FROM promotions, generate_series(1, 5000) n "
        "WHERE NOT automatic"
    )
    used = (
        "INSERT INTO promotion_redemptions SELECT tenant_id, gen_random_uuid(), id, gen_random_uuid(), "
        f"'{customer}', 'EUR', 1, create_time, NULL FROM promotions"
    )
    async with shop.db.transaction(shop.id) as tx:
        await tx.execute(text(copy))
        await tx.execute(text(used))
    owner = shop.running.database()
    async with owner.transaction() as tx:
        await tx.execute(text("ANALYZE promotions, promotion_redemptions"))
    await owner.close()

    async def ask(tx: AsyncConnection) -> None:
        found = await store.candidates(tx, shop.id, ["ONE"], customer)
        assert {(each.id, each.used.by_customer) for each in found} == {(automatic.id, 1), (coded.id, 0)}
        await store.page(tx, shop.id, true(), _ORDER, None, 10)
        await store.redemptions(tx, shop.id, true(), _REDEEMED_ORDER, None, 10)

    asked = await plans(Large(shop.running, shop.db, shop.id), ask)
    assert len(asked) == 3
    for statement, plan in asked:
        for node in plan:
            if str(node.get("Relation Name", "")).startswith("promotion"):
                assert node["Node Type"] != "Seq Scan", statement
                assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= 11, (statement, node)
            if "Index Cond" in node:
                assert "tenant_id" in node["Index Cond"], node
                assert " AND " in node["Index Cond"] or "Sort" not in str(plan), node


# what goes with it


async def test_each_change_is_audited_and_told(shop: Shop) -> None:
    made = await shop.create(code="A")
    await shop.update(pb.Promotion(id=made.id, priority=7), "priority")
    order = uuid7()
    await shop.redeem(order, (made.id, 100))
    await shop.give_back(order)
    await shop.archive(made.id)
    owner = shop.running.database()
    async with owner.transaction() as tx:
        told = (
            await tx.execute(
                text("SELECT type, payload FROM outbox WHERE tenant_id = :t ORDER BY create_time, id"), {"t": shop.id}
            )
        ).all()
    await owner.close()
    assert [row.type for row in told] == [
        "promotion.created.v1",
        "promotion.updated.v1",
        "promotion.redeemed.v1",
        "promotion.given_back.v1",
        "promotion.archived.v1",
    ]
    redeemed = pb.PromotionRedemptionChanged.FromString(told[2].payload).redemption
    assert (redeemed.promotion_id, redeemed.order_id, minor(redeemed.amount)) == (made.id, order, 100)
    audit: Any = AuditServiceStub(shop.running.channel("operator"))
    request = audit_pb.ListEntriesRequest(tenant_id=shop.id, filter='resource = "promotion"')
    entries = (await audit.ListEntries(request)).entries
    assert [entry.resource_id for entry in entries] == [made.id] * 3
    changed = [(change.field, change.before, change.after) for change in entries[1].changes]
    assert changed == [("priority", "0", "7")]
    request.filter = 'resource = "promotion_redemption"'
    assert len((await audit.ListEntries(request)).entries) == 2


async def test_a_request_id_has_one_effect(shop: Shop) -> None:
    request = pb.CreatePromotionRequest(promotion=promotion(), request_id=uuid7())
    answers = await asyncio.gather(*(shop("CreatePromotion", request) for _ in range(8)))
    assert len({answer.promotion.id for answer in answers}) == 1 == len(await shop.listed())


REQUESTS: dict[str, Callable[[str], Message]] = {
    "CreatePromotion": lambda id: pb.CreatePromotionRequest(promotion=promotion()),
    "GetPromotion": lambda id: pb.GetPromotionRequest(id=id),
    "ListPromotions": lambda id: pb.ListPromotionsRequest(),
    "UpdatePromotion": lambda id: pb.UpdatePromotionRequest(promotion={"id": id, "priority": 9}),
    "ArchivePromotion": lambda id: pb.ArchivePromotionRequest(id=id),
    "Simulate": lambda id: pb.SimulateRequest(cart=cart()),
    "ListRedemptions": lambda id: pb.ListRedemptionsRequest(),
}


async def test_every_write_is_refused_while_the_tenant_is_closed(shop: Shop) -> None:
    assert set(REQUESTS) == {method.name for method in contract.of(PromotionServiceStub).methods}
    made = await shop.create()
    order = uuid7()
    await shop.redeem(order, (made.id, 5))
    for changes, reason in (
        ({"mode": tenant_pb2.TENANT_MODE_READ_ONLY}, "TENANT_READ_ONLY"),
        ({"state": tenant_pb2.TENANT_STATE_SUSPENDED}, "TENANT_SUSPENDED"),
    ):
        await shop.running.apply(entry(shop.id, **changes))
        for name, of_method in rules.of_service(contract.of(PromotionServiceStub)).items():
            if of_method.mutates or reason == "TENANT_SUSPENDED":
                async with refuses("FAILED_PRECONDITION", reason):
                    await shop(name, REQUESTS[name](made.id))
            else:
                await shop(name, REQUESTS[name](made.id))
        for attempt in (shop.redeem(uuid7(), (made.id, 5)), shop.give_back(order)):
            with pytest.raises(PlatformError, match="ROW_REFUSED"):
                await attempt


async def test_only_the_shops_own_people_may(shop: Shop) -> None:
    envoy: Any = PromotionServiceStub(shop.running.channel("envoy"))
    made = await shop.create()
    for name, request in REQUESTS.items():
        async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
            await getattr(envoy, name)(request(made.id), metadata=of(shop.id))
        await getattr(envoy, name)(request(made.id), metadata=of(shop.id, bearer(shop.running.home, shop.id)))


async def test_promotions_move_with_their_tenant_and_go_on_counting(shop: Shop, us: Running) -> None:
    made = await shop.create(usage_limit=2, code="A")
    order = uuid7()
    await shop.redeem(order, (made.id, 5))
    moving = entry(shop.id, writes_frozen=True, moving_to_cluster_id="us-1")
    await shop.running.apply(moving)
    before = await digest(shop.running, shop.id)
    await move_rows(shop.running, us, moving)
    assert await digest(us, shop.id) == before
    await us.apply(entry(shop.id, cluster_id="us-1"))
    db = us.database("center_app")
    there = Shop(us, shop.id, db)
    await there.redeem(order, (made.id, 5))
    await there.redeem(uuid7(), (made.id, 5))
    with pytest.raises(FailedPrecondition, match="PROMOTION_LIMIT_REACHED"):
        await there.redeem(uuid7(), (made.id, 5))
    assert (await there.counted(made.id))[0] == 2
    await db.close()
