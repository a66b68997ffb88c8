"""What promotions make of a cart: by example, and over 100,000 random carts."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataplane.promotions import domain
from dataplane.promotions.domain import (
    Adjustments,
    Allocation,
    Attribute,
    Cart,
    Effect,
    Line,
    Op,
    Promotion,
    Rule,
    RuleSet,
    Status,
    Target,
    Type,
    Used,
    Verdict,
    evaluate,
)
from shared.runtime.errors import InvalidArgument
from shared.runtime.ids import uuid7
from shared.runtime.money import allocate

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CARTS = 100_000
# Of each so many carts, one is also looked at from another side: dear for every one.
SAMPLE = 10


def line(id: str = "1", quantity: int = 1, price: int = 1000, sku: str = "", **more: str) -> Line:
    return Line(id, more.get("variant_id", ""), more.get("product_id", ""), sku or f"sku-{id}", quantity, price)


def cart(*lines: Line, **more: Any) -> Cart:
    return Cart(**{"currency": "EUR", "lines": lines or (line(),), **more})


def percent(points: int, target: Target = Target.ORDER, **more: Any) -> Effect:
    return Effect(Type.PERCENT, target, basis_points=points, **more)


def fixed(minor: int, target: Target = Target.ORDER, **more: Any) -> Effect:
    return Effect(Type.FIXED, target, amount_minor=minor, **more)


def promotion(effect: Effect | None = None, /, **more: Any) -> Promotion:
    """Automatic, unless it has a code; ids in the order of making."""
    effect = effect or percent(1000)
    automatic = not more.get("code")
    money = "EUR" if effect.type is Type.FIXED else ""
    given = {"automatic": automatic, "currency": money, **more}
    return Promotion(given.pop("id", uuid7()), "", effect, NOW, NOW, **given)


def only(attribute: Attribute, op: Op, *values: str) -> tuple[RuleSet, ...]:
    return ((Rule(attribute, op, values),),)


def verdicts(made: Adjustments) -> list[Verdict]:
    return [outcome.verdict for outcome in made.outcomes]


def off(made: Adjustments) -> dict[str, int]:
    """What comes off each line, and off shipping by the name of ''."""
    found: dict[str, int] = {}
    for each in made.adjustments:
        found[each.line_id] = found.get(each.line_id, 0) + each.amount_minor
    return found


# what each effect does

BUY_2_GET_1 = Effect(Type.BUY_X_GET_Y, Target.ITEM, basis_points=10_000, buy_quantity=2, get_quantity=1)
TWO = (line("1", 3, 1000), line("2", 1, 501))


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (percent(1000), {"1": 300, "2": 50}),
        (percent(1050, Target.ITEM, allocation=Allocation.EACH), {"1": 315, "2": 53}),
        (percent(5000, Target.ITEM, allocation=Allocation.ACROSS, max_quantity=2), {"1": 500, "2": 251}),
        (percent(2500, Target.SHIPPING), {"": 125}),
        (percent(10_000), {"1": 3000, "2": 501}),
        (fixed(1000), {"1": 857, "2": 143}),
        (fixed(9_999_999), {"1": 3000, "2": 501}),
        (fixed(600, Target.ITEM, allocation=Allocation.EACH), {"1": 1800, "2": 501}),
        (fixed(600, Target.ITEM, allocation=Allocation.EACH, max_quantity=2), {"1": 600, "2": 501}),
        (fixed(100, Target.ITEM, allocation=Allocation.ACROSS), {"1": 86, "2": 14}),
        (fixed(600, Target.SHIPPING), {"": 500}),
        (Effect(Type.FREE_SHIPPING, Target.SHIPPING), {"": 500}),
        (BUY_2_GET_1, {"2": 501}),
        (replace(BUY_2_GET_1, buy_quantity=1), {"1": 1000, "2": 501}),
        (replace(BUY_2_GET_1, buy_quantity=1, max_quantity=1), {"2": 501}),
        (replace(BUY_2_GET_1, basis_points=5000), {"2": 251}),
        (replace(BUY_2_GET_1, buy_quantity=4), {}),
    ],
)
def test_an_effect_takes_this_off(effect: Effect, expected: dict[str, int]) -> None:
    made = evaluate(cart(*TWO, shipping_minor=500), [promotion(effect)], NOW)
    assert off(made) == expected
    assert made.total_minor == 3501 + 500 - sum(expected.values()) and made.subtotal_minor == 3501
    assert verdicts(made) == [Verdict.APPLIED if expected else Verdict.NOTHING_LEFT]


def test_each_takes_its_part_of_what_those_before_it_have_left() -> None:
    half, fifth = promotion(percent(5000)), promotion(percent(2000), priority=1)
    made = evaluate(cart(), [half, fifth], NOW)
    assert [(each.promotion_id, each.amount_minor) for each in made.adjustments] == [(fifth.id, 200), (half.id, 400)]


def test_an_adjustment_says_what_it_is() -> None:
    named = replace(promotion(percent(1250, Target.ITEM)), display_name="Summer")
    [made] = evaluate(cart(), [named], NOW).adjustments
    assert (made.promotion_id, made.target, made.line_id, made.amount_minor) == (named.id, Target.ITEM, "1", 125)
    assert made.explanation == "Summer: 12.50% off items"
    assert domain.describe(promotion(fixed(500))) == "5.00 EUR off the order"
    assert domain.describe(promotion(BUY_2_GET_1)) == "buy 2, get 1 free"


# who applies


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Verdict.APPLIED),
        ({"status": Status.PAUSED}, Verdict.NOT_ACTIVE),
        ({"status": Status.ARCHIVED}, Verdict.NOT_ACTIVE),
        ({"starts": NOW}, Verdict.APPLIED),
        ({"starts": NOW + DAY}, Verdict.NOT_STARTED),
        ({"ends": NOW}, Verdict.ENDED),
        ({"ends": NOW + DAY}, Verdict.APPLIED),
        ({"code": "Été"}, Verdict.APPLIED),
        ({"code": "winter"}, Verdict.CODE_NOT_ENTERED),
        ({"currency": "USD"}, Verdict.CURRENCY_DIFFERS),
        ({"usage_limit": 3, "used": Used(2)}, Verdict.APPLIED),
        ({"usage_limit": 3, "used": Used(3)}, Verdict.USAGE_LIMIT_REACHED),
        ({"per_customer_limit": 1}, Verdict.APPLIED),
        ({"per_customer_limit": 1, "used": Used(1, 0, 1)}, Verdict.CUSTOMER_LIMIT_REACHED),
        ({"budget_minor": 100, "used": Used(0, 0)}, Verdict.APPLIED),
        ({"budget_minor": 100, "used": Used(1, 1)}, Verdict.BUDGET_SPENT),
        ({"rule_sets": only(Attribute.SKU, Op.IN, "other")}, Verdict.RULES_NOT_MET),
        ({"effect": percent(1000, Target.SHIPPING)}, Verdict.NOTHING_LEFT),
        ({"effect": percent(4)}, Verdict.NOTHING_LEFT),
    ],
)
def test_a_verdict_says_why(changes: dict[str, Any], expected: Verdict) -> None:
    about = dict(changes)
    made = evaluate(cart(customer_id="c", codes=("ÉTÉ",)), [promotion(about.pop("effect", None), **about)], NOW)
    [outcome] = made.outcomes
    assert outcome.verdict is expected and outcome.explanation
    assert bool(made.adjustments) is (expected is Verdict.APPLIED) is bool(outcome.amount_minor)


def test_a_promotion_that_is_counted_by_customer_needs_one() -> None:
    assert verdicts(evaluate(cart(), [promotion(per_customer_limit=9)], NOW)) == [Verdict.CUSTOMER_UNKNOWN]


def test_codes_are_the_same_in_any_case_and_strangers_are_told() -> None:
    made = evaluate(
        cart(codes=("straße", "nope", "\uff26ull")), [promotion(code="STRASSE"), promotion(code="full")], NOW
    )
    assert verdicts(made) == [Verdict.APPLIED] * 2 and made.unknown_codes == ("nope",)


LINES = (line("1", 2, 1000, "mug"), line("2", 1, 3000, "lamp"))
IN, NOT_IN, AT_LEAST, AT_MOST = Op.IN, Op.NOT_IN, Op.AT_LEAST, Op.AT_MOST


@pytest.mark.parametrize(
    ("rule_sets", "selected"),
    [
        ((), {"1", "2"}),
        (only(Attribute.SKU, IN, "mug", "cup"), {"1"}),
        (only(Attribute.SKU, NOT_IN, "mug"), {"2"}),
        (only(Attribute.UNIT_PRICE, AT_LEAST, "3000"), {"2"}),
        (only(Attribute.UNIT_PRICE, AT_MOST, "999"), set()),
        (only(Attribute.SUBTOTAL, AT_LEAST, "5000"), {"1", "2"}),
        (only(Attribute.SUBTOTAL, AT_LEAST, "5001"), set()),
        (only(Attribute.ITEM_QUANTITY, AT_LEAST, "3"), {"1", "2"}),
        (only(Attribute.ITEM_QUANTITY, AT_MOST, "2"), set()),
        (only(Attribute.PRODUCT_ID, IN, "p"), set()),
        (only(Attribute.VARIANT_ID, NOT_IN, "v"), {"1", "2"}),
        (only(Attribute.CUSTOMER_GROUP, IN, "gold", "vip"), {"1", "2"}),
        (only(Attribute.CUSTOMER_GROUP, NOT_IN, "vip"), set()),
        (only(Attribute.CUSTOMER_ID, IN, "c"), {"1", "2"}),
        (only(Attribute.COUNTRY, IN, "DE"), set()),
        (only(Attribute.COUNTRY, NOT_IN, "DE"), {"1", "2"}),
        (only(Attribute.CURRENCY, IN, "EUR"), {"1", "2"}),
        # AND inside a set: of one line, and of the units that the set selects.
        (((Rule(Attribute.SKU, IN, ("mug",)), Rule(Attribute.UNIT_PRICE, AT_LEAST, ("3000",))),), set()),
        (((Rule(Attribute.SKU, IN, ("mug",)), Rule(Attribute.ITEM_QUANTITY, AT_LEAST, ("2",))),), {"1"}),
        (((Rule(Attribute.SKU, IN, ("mug",)), Rule(Attribute.ITEM_QUANTITY, AT_LEAST, ("3",))),), set()),
        # OR across sets: what one of them selects.
        ((*only(Attribute.SKU, IN, "mug"), *only(Attribute.COUNTRY, IN, "DE")), {"1"}),
        ((*only(Attribute.SKU, IN, "mug"), *only(Attribute.SKU, IN, "lamp")), {"1", "2"}),
    ],
)
def test_rules_select_lines(rule_sets: tuple[RuleSet, ...], selected: set[str]) -> None:
    shopper = cart(*LINES, customer_id="c", customer_groups=("vip", "new"))
    made = evaluate(shopper, [promotion(percent(5000, Target.ITEM), rule_sets=rule_sets)], NOW)
    assert set(off(made)) == selected


def test_of_a_group_the_first_applies_that_takes_something_off() -> None:
    nothing = promotion(percent(1000, Target.SHIPPING), stack_group="g", priority=9)
    second = promotion(percent(1000), stack_group="g", priority=5)
    better = promotion(percent(9000), stack_group="g", priority=1)
    beside = promotion(percent(1000), stack_group="h")
    made = evaluate(cart(), [better, beside, second, nothing], NOW)
    assert verdicts(made) == [Verdict.NOTHING_LEFT, Verdict.APPLIED, Verdict.GROUP_TAKEN, Verdict.APPLIED]


def test_an_exclusive_one_applies_alone() -> None:
    first, last = promotion(exclusive=True, priority=2), promotion(exclusive=True, priority=-1)
    middle = promotion()
    assert verdicts(evaluate(cart(), [last, middle, first], NOW)) == [
        Verdict.APPLIED,
        Verdict.EXCLUDED,
        Verdict.EXCLUDED,
    ]
    assert verdicts(evaluate(cart(), [last, middle], NOW)) == [Verdict.APPLIED, Verdict.EXCLUDED]
    idle = promotion(percent(1000, Target.SHIPPING), exclusive=True, priority=2)
    assert verdicts(evaluate(cart(), [idle, middle], NOW)) == [Verdict.NOTHING_LEFT, Verdict.APPLIED]


def test_one_that_is_not_applied_leaves_everything_as_it_was() -> None:
    spent = promotion(percent(9000), priority=2, currency="EUR", budget_minor=5)
    made = evaluate(cart(), [spent, promotion(percent(5000))], NOW)
    assert verdicts(made) == [Verdict.BUDGET_SPENT, Verdict.APPLIED] and made.discount_minor == 500


# what is no promotion


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"code": "A", "automatic": True}, "code"),
        ({"code": "", "automatic": False}, "code"),
        ({"code": "a\u00a8b", "automatic": False}, "code"),
        ({"starts": NOW, "ends": NOW}, "end_time"),
        ({"currency": "XXX"}, "currency_code"),
        ({"budget_minor": 5}, "currency_code"),
        ({"effect": fixed(5), "currency": ""}, "currency_code"),
        ({"effect": fixed(0), "currency": "EUR"}, "effect.amount"),
        ({"effect": percent(0)}, "effect.basis_points"),
        ({"effect": replace(percent(5), amount_minor=5)}, "effect.amount"),
        ({"effect": Effect(Type.FREE_SHIPPING, Target.ORDER)}, "effect.target"),
        ({"effect": replace(BUY_2_GET_1, get_quantity=0)}, "effect.get_quantity"),
        ({"effect": percent(5, max_quantity=5)}, "effect.max_quantity"),
        ({"effect": percent(5, allocation=Allocation.EACH)}, "effect.allocation"),
        ({"rule_sets": only(Attribute.SKU, AT_LEAST, "5")}, "rule_sets[0].rules[0].op"),
        ({"rule_sets": only(Attribute.ITEM_QUANTITY, IN, "5")}, "rule_sets[0].rules[0].op"),
        ({"rule_sets": only(Attribute.ITEM_QUANTITY, AT_LEAST, "5", "6")}, "rule_sets[0].rules[0].values"),
        ({"rule_sets": only(Attribute.ITEM_QUANTITY, AT_LEAST, "-5")}, "rule_sets[0].rules[0].values"),
        ({"rule_sets": only(Attribute.ITEM_QUANTITY, AT_LEAST, "\u0665")}, "rule_sets[0].rules[0].values"),
        ({"rule_sets": only(Attribute.ITEM_QUANTITY, AT_LEAST, "9223372036854775808")}, "rule_sets[0].rules[0].values"),
        ({"rule_sets": only(Attribute.SUBTOTAL, AT_LEAST, "5")}, "currency_code"),
        ({"rule_sets": only(Attribute.SKU, IN)}, "rule_sets[0].rules[0].values"),
        ({"rule_sets": only(Attribute.PRODUCT_ID, IN, "x")}, "rule_sets[0].rules[0].values"),
        ({"rule_sets": only(Attribute.COUNTRY, IN, "de")}, "rule_sets[0].rules[0].values"),
        ({"rule_sets": only(Attribute.CURRENCY, IN, "XXX")}, "rule_sets[0].rules[0].values"),
        ({"status": Status.ARCHIVED}, "status"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        domain.create(replace(promotion(), **changes))
    assert list(refused.value.violations) == [field]


def test_limits_do_not_go_below_what_is_used() -> None:
    before = promotion(fixed(5), usage_limit=9, budget_minor=50, used=Used(3, 15))
    for changes, field in (
        ({"usage_limit": 2}, "usage_limit"),
        ({"budget_minor": 14}, "budget"),
        ({"currency": "USD"}, "currency_code"),
    ):
        with pytest.raises(InvalidArgument) as refused:
            domain.change(before, replace(before, **changes), etag="", now=NOW)  # type: ignore[arg-type]
        assert list(refused.value.violations) == [field]
    after = domain.change(before, replace(before, usage_limit=3, budget_minor=15), etag="1", now=NOW + DAY)
    assert (after.version, after.update_time, after.used) == (2, NOW + DAY, before.used)
    assert domain.change(before, replace(before, update_time=NOW + DAY), etag="", now=NOW + DAY) is before


# random carts


def _random_effect(rng: random.Random) -> Effect:
    type = rng.choice(list(Type))
    if type is Type.FREE_SHIPPING:
        return Effect(type, Target.SHIPPING)
    points = rng.choice((1, 333, 1000, 5000, 10_000, rng.randrange(1, 10_001)))
    most = rng.choice((0, 0, 1, 3, 50))
    if type is Type.BUY_X_GET_Y:
        counts = {"buy_quantity": rng.randrange(1, 4), "get_quantity": rng.randrange(1, 3)}
        return Effect(type, Target.ITEM, basis_points=points, max_quantity=most, **counts)
    target = rng.choice(list(Target))
    about = {"basis_points": points} if type is Type.PERCENT else {"amount_minor": rng.choice((1, 99, 500, 10**6))}
    if target is Target.ITEM:
        return Effect(type, target, rng.choice(list(Allocation)), max_quantity=most, **about)
    return Effect(type, target, **about)


def _random_rule(rng: random.Random) -> Rule:
    attribute = rng.choice((Attribute.SKU, Attribute.ITEM_QUANTITY, Attribute.SUBTOTAL, Attribute.CUSTOMER_GROUP))
    if attribute in (Attribute.ITEM_QUANTITY, Attribute.SUBTOTAL):
        return Rule(attribute, rng.choice((AT_LEAST, AT_MOST)), (str(rng.choice((1, 3, 1000, 5000))),))
    values = ("a", "b", "c") if attribute is Attribute.SKU else ("vip",)
    return Rule(attribute, rng.choice((IN, NOT_IN)), tuple(rng.sample(values, rng.randrange(1, len(values) + 1))))


def random_promotion(rng: random.Random, number: int) -> Promotion:
    made = promotion(
        _random_effect(rng),
        id=f"{number:08}",
        code=rng.choice(("", "", f"code-{number % 3}")),
        priority=rng.choice((0, 0, 1, 2)),
        exclusive=rng.random() < 0.15,
        stack_group=rng.choice(("", "", "g", "h")),
        currency="EUR",
        budget_minor=rng.choice((None, None, 1000)),
        usage_limit=rng.choice((None, 5)),
        used=Used(rng.choice((0, 4, 4, 5)), rng.choice((0, 900))),
        per_customer_limit=rng.choice((None, None, 1)),
        rule_sets=tuple(
            tuple(_random_rule(rng) for _ in range(rng.randrange(1, 3))) for _ in range(rng.choice((0, 0, 1, 2)))
        ),
    )
    return domain.create(made)


def _random_cart(rng: random.Random, lines: Sequence[Sequence[Line]]) -> Cart:
    return Cart(
        "EUR",
        tuple(rng.choice(of_id) for of_id in lines[: rng.choice((1, 2, 3, 5))]),
        rng.choice(("", "c")),
        rng.choice(((), ("CODE-0",), ("code-1", "code-2"))),
        rng.choice((0, 490)),
        rng.choice(((), ("vip",))),
    )


def _random_world(seed: int) -> Iterator[tuple[Cart, list[Promotion]]]:
    """Carts with promotions: both out of pools, for making them anew takes longer than pricing them."""
    rng = random.Random(seed)
    lines = [
        [
            Line(str(id), "", "", rng.choice("abc"), rng.choice((1, 1, 2, 7)), rng.choice((0, 1, 99, 1000, 12_345)))
            for _ in range(50)
        ]
        for id in range(5)
    ]
    known = [random_promotion(rng, number) for number in range(2_000)]
    carts = [_random_cart(rng, lines) for _ in range(5_000)]
    while True:
        yield rng.choice(carts), rng.sample(known, rng.choice((1, 2, 3, 5)))


def test_a_hundred_thousand_carts_add_up_and_nothing_falls_below_zero() -> None:
    applied, world = 0, _random_world(1)
    for number in range(CARTS):
        cart, promotions = next(world)
        made = evaluate(cart, promotions, NOW)
        _adds_up(cart, made)
        _holds(promotions, made)
        applied += bool(made.adjustments)
        if number % SAMPLE == 0:
            _does_not_depend_on_the_order(cart, promotions, made, number)
            _is_not_changed_by_what_does_not_apply(cart, promotions, made, number)
    assert applied > CARTS // 4


def _adds_up(cart: Cart, made: Adjustments) -> None:
    left = {line.id: line.quantity * line.unit_price_minor for line in cart.lines}
    subtotal = sum(left.values())
    left[""] = cart.shipping_minor
    of_promotion: dict[str, int] = {}
    for each in made.adjustments:
        assert each.amount_minor > 0 and (each.line_id == "") is (each.target is Target.SHIPPING)
        left[each.line_id] -= each.amount_minor
        of_promotion[each.promotion_id] = of_promotion.get(each.promotion_id, 0) + each.amount_minor
    assert min(left.values()) >= 0
    assert sum(left.values()) == made.total_minor == subtotal + cart.shipping_minor - made.discount_minor
    assert made.subtotal_minor == subtotal
    assert {each.promotion_id: each.amount.amount_minor for each in made.applied} == of_promotion


def _holds(promotions: Sequence[Promotion], made: Adjustments) -> None:
    known = {each.id: each for each in promotions}
    applied = [known[each.promotion_id] for each in made.applied]
    assert len(applied) == 1 or not any(each.exclusive for each in applied)
    groups = [each.stack_group for each in applied if each.stack_group]
    assert len(groups) == len(set(groups))
    assert len(made.outcomes) == len(promotions)
    for each in made.applied:
        of = known[each.promotion_id]
        assert of.usage_limit is None or of.used.uses < of.usage_limit
        assert of.budget_minor is None or of.used.spent_minor + each.amount.amount_minor <= of.budget_minor


def _does_not_depend_on_the_order(cart: Cart, promotions: list[Promotion], made: Adjustments, seed: int) -> None:
    assert evaluate(cart, random.Random(seed).sample(promotions, len(promotions)), NOW) == made


def _is_not_changed_by_what_does_not_apply(
    cart: Cart, promotions: list[Promotion], made: Adjustments, seed: int
) -> None:
    one = promotions[0]
    strange = (
        replace(one, id="x", ends=NOW),
        replace(one, id="x", code="strange", automatic=False, priority=9, exclusive=True),
        replace(one, id="x", currency="USD", priority=9, stack_group="g"),
        replace(one, id="x", usage_limit=0, priority=9),
        replace(one, id="x", budget_minor=0, priority=9, exclusive=True, stack_group="g"),
        replace(one, id="x", rule_sets=only(Attribute.SKU, IN, "none"), exclusive=True, priority=9),
    )[seed // SAMPLE % 6]
    beside = evaluate(cart, [strange, *promotions], NOW)
    assert beside.adjustments == made.adjustments and beside.total_minor == made.total_minor
    assert [each for each in beside.outcomes if each.promotion_id != "x"] == list(made.outcomes)


def test_an_order_discount_is_spread_exactly() -> None:
    """Each line's share is what largest remainder says of what is left to pay for it."""
    world = _random_world(2)
    for number in range(5_000):
        cart, _ = next(world)
        wanted = random.Random(number).randrange(1, 5_000)
        made = evaluate(cart, [promotion(fixed(wanted), id="p")], NOW)
        totals = [line.total_minor for line in cart.lines]
        amount = min(wanted, sum(totals))
        parts = off(made)
        assert [parts.get(line.id, 0) for line in cart.lines] == allocate(amount, totals)
