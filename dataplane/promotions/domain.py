"""What a promotion is, which changes to one are allowed, and what promotions make of a cart.

Amounts are whole minor units, percentages whole basis points. evaluate() goes through the promotions by priority, and
each takes its part of what those before it have left: so nothing is ever taken off that is not there.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.runtime.errors import FailedPrecondition, InvalidArgument, check_etag
from shared.runtime.ids import is_uuid
from shared.runtime.money import CURRENCIES, LARGEST_MINOR, Money, allocate, written

WHOLE = 10_000  # basis points
# Each of them is looked at for every cart.
MOST_AUTOMATIC = 200


class Status(StrEnum):
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ARCHIVED = "ARCHIVED"


class Attribute(StrEnum):
    """What a rule looks at."""

    # Of a line:
    SKU = "SKU"
    PRODUCT_ID = "PRODUCT_ID"
    VARIANT_ID = "VARIANT_ID"
    UNIT_PRICE = "UNIT_PRICE"
    # Of all lines that the set's rules for lines select, together:
    ITEM_QUANTITY = "ITEM_QUANTITY"
    # Of the cart:
    SUBTOTAL = "SUBTOTAL"
    CURRENCY = "CURRENCY"
    COUNTRY = "COUNTRY"
    CUSTOMER_ID = "CUSTOMER_ID"
    CUSTOMER_GROUP = "CUSTOMER_GROUP"


class Op(StrEnum):
    IN = "IN"
    NOT_IN = "NOT_IN"
    AT_LEAST = "AT_LEAST"
    AT_MOST = "AT_MOST"


class Type(StrEnum):
    PERCENT = "PERCENT"
    FIXED = "FIXED"
    FREE_SHIPPING = "FREE_SHIPPING"
    BUY_X_GET_Y = "BUY_X_GET_Y"


class Target(StrEnum):
    ORDER = "ORDER"
    ITEM = "ITEM"
    SHIPPING = "SHIPPING"


class Allocation(StrEnum):
    """EACH: a fixed amount comes off every unit, a percentage is rounded line by line. ACROSS: off all lines together,
    in proportion."""

    EACH = "EACH"
    ACROSS = "ACROSS"


class Verdict(StrEnum):
    """Why a promotion was applied or not."""

    APPLIED = "APPLIED"
    NOT_ACTIVE = "NOT_ACTIVE"
    NOT_STARTED = "NOT_STARTED"
    ENDED = "ENDED"
    CODE_NOT_ENTERED = "CODE_NOT_ENTERED"
    CURRENCY_DIFFERS = "CURRENCY_DIFFERS"
    RULES_NOT_MET = "RULES_NOT_MET"
    USAGE_LIMIT_REACHED = "USAGE_LIMIT_REACHED"
    CUSTOMER_UNKNOWN = "CUSTOMER_UNKNOWN"
    CUSTOMER_LIMIT_REACHED = "CUSTOMER_LIMIT_REACHED"
    EXCLUDED = "EXCLUDED"
    GROUP_TAKEN = "GROUP_TAKEN"
    NOTHING_LEFT = "NOTHING_LEFT"
    BUDGET_SPENT = "BUDGET_SPENT"


_OF_LINE = {Attribute.SKU, Attribute.PRODUCT_ID, Attribute.VARIANT_ID, Attribute.UNIT_PRICE}
_OF_CART = {*Attribute} - _OF_LINE - {Attribute.ITEM_QUANTITY}
_AMOUNTS = {Attribute.UNIT_PRICE, Attribute.SUBTOTAL}
_NUMBERS = {*_AMOUNTS, Attribute.ITEM_QUANTITY}
_IDS = {Attribute.PRODUCT_ID, Attribute.VARIANT_ID, Attribute.CUSTOMER_ID}


@dataclass(frozen=True, slots=True)
class Rule:
    """values: texts for IN and NOT_IN, one whole number for AT_LEAST and AT_MOST.

    What is not known of a cart, such as the country of one without an address, is in no list.
    """

    attribute: Attribute
    op: Op
    values: tuple[str, ...]


# All of them hold, those about a line of one and the same line.
RuleSet = tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """basis_points: of PERCENT, and of what BUY_X_GET_Y gives (10,000 gives it away). amount_minor: of FIXED.

    max_quantity: at most so many units get cheaper, the cheapest ones; 0 for all.
    buy_quantity, get_quantity: of each so many units, the cheapest get_quantity get cheaper.
    """

    type: Type
    target: Target
    allocation: Allocation = Allocation.ACROSS
    basis_points: int = 0
    amount_minor: int = 0
    max_quantity: int = 0
    buy_quantity: int = 0
    get_quantity: int = 0


@dataclass(frozen=True, slots=True)
class Used:
    """by_customer: how many of the uses are of the cart's customer."""

    uses: int = 0
    spent_minor: int = 0
    by_customer: int = 0


@dataclass(frozen=True, slots=True)
class Promotion:
    """code: as it was written; automatic ones have none. priority: the highest comes first.

    exclusive: it applies alone. stack_group: of those that share one, one applies.
    starts, ends: from when on, and until when; None is for ever.
    usage_limit, per_customer_limit, budget_minor: None is no limit.
    currency: what its amounts are in; empty when it has none and takes any cart.
    rule_sets: one of them holds; none at all holds for every cart. It selects the lines that an ITEM effect is about.
    """

    id: str
    display_name: str
    effect: Effect
    create_time: datetime
    update_time: datetime
    code: str = ""
    automatic: bool = False
    priority: int = 0
    exclusive: bool = False
    stack_group: str = ""
    starts: datetime | None = None
    ends: datetime | None = None
    usage_limit: int | None = None
    per_customer_limit: int | None = None
    budget_minor: int | None = None
    currency: str = ""
    status: Status = Status.ACTIVE
    rule_sets: tuple[RuleSet, ...] = ()
    used: Used = Used()
    version: int = 1

    @property
    def etag(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Line:
    id: str
    variant_id: str
    product_id: str
    sku: str
    quantity: int
    unit_price_minor: int

    @property
    def total_minor(self) -> int:
        return self.quantity * self.unit_price_minor


@dataclass(frozen=True, slots=True)
class Cart:
    """codes: as the shopper entered them. customer_id, country: empty when not known."""

    currency: str
    lines: tuple[Line, ...]
    customer_id: str = ""
    codes: tuple[str, ...] = ()
    shipping_minor: int = 0
    customer_groups: tuple[str, ...] = ()
    country: str = ""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """amount_minor: what it takes off, more than zero. line_id: the line that it takes it off; empty for shipping.

    target ORDER: the line's share of what is taken off the order.
    """

    promotion_id: str
    target: Target
    line_id: str
    amount_minor: int
    explanation: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one promotion. amount_minor: all that it takes off."""

    promotion_id: str
    verdict: Verdict
    explanation: str
    amount_minor: int = 0


@dataclass(frozen=True, slots=True)
class Applied:
    """What an order uses of a promotion."""

    promotion_id: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Adjustments:
    """subtotal_minor: the lines, before. discount_minor: of lines and shipping. total_minor: what is left to pay.

    outcomes: one a promotion, in the order in which they were considered.
    unknown_codes: entered, and no promotion's.
    """

    adjustments: tuple[Adjustment, ...]
    outcomes: tuple[Outcome, ...]
    currency: str
    subtotal_minor: int
    shipping_minor: int
    discount_minor: int
    total_minor: int
    unknown_codes: tuple[str, ...] = ()

    @property
    def applied(self) -> list[Applied]:
        """What an order that is placed with them redeems."""
        return [
            Applied(outcome.promotion_id, Money(self.currency, outcome.amount_minor))
            for outcome in self.outcomes
            if outcome.verdict is Verdict.APPLIED
        ]


def create(promotion: Promotion) -> Promotion:
    """InvalidArgument FIELD_INVALID."""
    if promotion.status is Status.ARCHIVED:
        raise _invalid("status", "a new promotion is active or paused")
    return _checked(promotion)


def change(before: Promotion, after: Promotion, *, etag: str, now: datetime) -> Promotion:
    """`after` as the next version of `before`; `before` itself when nothing differs."""
    _guard(before, etag)
    if after.status is Status.ARCHIVED:
        raise _invalid("status", "archiving has an RPC of its own")
    after = _checked(
        replace(
            after,
            id=before.id,
            create_time=before.create_time,
            update_time=before.update_time,
            used=before.used,
            version=before.version,
        )
    )
    if after == before:
        return before
    _refuse_what_was_used(before, after)
    return replace(after, update_time=now, version=before.version + 1)


def archive(promotion: Promotion, *, etag: str, now: datetime) -> Promotion:
    _guard(promotion, etag)
    return replace(promotion, status=Status.ARCHIVED, update_time=now, version=promotion.version + 1)


def code_key(code: str) -> str:
    """What two codes share that a shopper takes for one: `Été-24` and `ÉTÉ-24`."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", code).casefold())


def checked(cart: Cart) -> Cart:
    """InvalidArgument FIELD_INVALID: two lines with one id, or a total beyond 64 bits."""
    if len({line.id for line in cart.lines}) != len(cart.lines):
        raise _invalid("lines", "two lines with one id")
    if sum(line.total_minor for line in cart.lines) + cart.shipping_minor > LARGEST_MINOR:
        raise _invalid("lines", "the total is too large")
    return cart


def evaluate(cart: Cart, promotions: Iterable[Promotion], now: datetime) -> Adjustments:
    """What the promotions take off the cart, and why, for each; a pure function of what is given.

    Whatever the order in which they come: the highest priority first, then the oldest id. Of a stacking group the first
    applies that takes something off, and an exclusive one applies only where none has before it, and none does after.
    One that would overspend its budget does not apply at all.
    """
    considered = sorted(promotions, key=lambda p: (-p.priority, p.id))
    entered = {code_key(code): code for code in cart.codes}
    left = _Left(cart)
    adjustments: list[Adjustment] = []
    outcomes: list[Outcome] = []
    groups: dict[str, str] = {}
    alone: Promotion | None = None
    for promotion in considered:
        verdict, why, lines = _eligible(promotion, cart, entered, now)
        if verdict is None:
            verdict, why = _may_stack(promotion, bool(adjustments), alone, groups)
        made: list[Adjustment] = []
        if verdict is None:
            made = left.take(promotion, lines)
            verdict, why = _affordable(promotion, sum(each.amount_minor for each in made))
        if verdict is not Verdict.APPLIED:
            left.put_back(made)
            outcomes.append(Outcome(promotion.id, verdict, why))
            continue
        adjustments += made
        outcomes.append(Outcome(promotion.id, verdict, why, sum(each.amount_minor for each in made)))
        if promotion.exclusive:
            alone = promotion
        if promotion.stack_group:
            groups[promotion.stack_group] = promotion.id
    known = {code_key(promotion.code) for promotion in considered if promotion.code}
    discount = sum(each.amount_minor for each in adjustments)
    subtotal = left.subtotal_minor
    return Adjustments(
        adjustments=tuple(adjustments),
        outcomes=tuple(outcomes),
        currency=cart.currency,
        subtotal_minor=subtotal,
        shipping_minor=cart.shipping_minor,
        discount_minor=discount,
        total_minor=subtotal + cart.shipping_minor - discount,
        unknown_codes=tuple(code for key, code in entered.items() if key not in known),
    )


class _Left:
    """What of a cart the promotions so far have left."""

    def __init__(self, cart: Cart) -> None:
        self._lines = cart.lines
        self._of = [line.total_minor for line in cart.lines]
        self._shipping = cart.shipping_minor
        self._place = {line.id: place for place, line in enumerate(cart.lines)}
        self.subtotal_minor = sum(self._of)

    def take(self, promotion: Promotion, places: Sequence[int]) -> list[Adjustment]:
        """places: of the lines that the rules selected."""
        effect = promotion.effect
        why = describe(promotion)
        if effect.target is Target.SHIPPING:
            off = _off(effect, self._shipping, 1)
            self._shipping -= off
            return [Adjustment(promotion.id, Target.SHIPPING, "", off, why)] if off else []
        if effect.target is Target.ORDER:
            bases = dict(enumerate(self._of))
            off_each = _across(effect, bases)
        elif effect.type is Type.BUY_X_GET_Y:
            off_each = self._each(effect, self._units(places, self._given(effect, places)))
        else:
            most = effect.max_quantity or sum(self._lines[place].quantity for place in places)
            units = self._units(places, most)
            if effect.allocation is Allocation.EACH:
                off_each = self._each(effect, units)
            else:
                off_each = _across(effect, {place: self._base(place, n) for place, n in units.items()})
        for place, off in off_each.items():
            self._of[place] -= off
        return [
            Adjustment(promotion.id, effect.target, self._lines[place].id, off_each[place], why)
            for place in sorted(off_each)
            if off_each[place]
        ]

    def put_back(self, made: Iterable[Adjustment]) -> None:
        for each in made:
            if each.target is Target.SHIPPING:
                self._shipping += each.amount_minor
            else:
                self._of[self._place[each.line_id]] += each.amount_minor

    def _given(self, effect: Effect, places: Sequence[int]) -> int:
        """How many units BUY_X_GET_Y gives."""
        bought = sum(self._lines[place].quantity for place in places)
        given = bought // (effect.buy_quantity + effect.get_quantity) * effect.get_quantity
        return min(given, effect.max_quantity) if effect.max_quantity else given

    def _units(self, places: Sequence[int], most: int) -> dict[int, int]:
        """The cheapest units of the lines, `most` in all: place -> how many."""
        units: dict[int, int] = {}
        for place in sorted(places, key=lambda place: (self._lines[place].unit_price_minor, self._lines[place].id)):
            if most <= 0:
                break
            units[place] = min(self._lines[place].quantity, most)
            most -= units[place]
        return units

    def _base(self, place: int, quantity: int) -> int:
        """What is left to pay for so many units of a line."""
        return self._of[place] * quantity // self._lines[place].quantity

    def _each(self, effect: Effect, units: dict[int, int]) -> dict[int, int]:
        return {place: _off(effect, self._base(place, quantity), quantity) for place, quantity in units.items()}


def _off(effect: Effect, base_minor: int, quantity: int) -> int:
    """What the effect takes off an amount that so many units cost."""
    match effect.type:
        case Type.FIXED:
            return min(effect.amount_minor * quantity, base_minor)
        case Type.FREE_SHIPPING:
            return base_minor
        case Type.PERCENT | Type.BUY_X_GET_Y:
            # Half a unit goes to the shopper.
            return (base_minor * effect.basis_points + WHOLE // 2) // WHOLE


def _across(effect: Effect, bases: dict[int, int]) -> dict[int, int]:
    """What the effect takes off all together, each its part of it."""
    off = _off(effect, sum(bases.values()), 1)
    return dict(zip(bases, allocate(off, list(bases.values())), strict=True)) if off else {}


def _eligible(
    promotion: Promotion, cart: Cart, entered: dict[str, str], now: datetime
) -> tuple[Verdict | None, str, Sequence[int]]:
    """Why the promotion is not for this cart now; None, and the places of the lines that it is about, when it is."""
    used = promotion.used
    verdict: Verdict | None = None
    why = ""
    lines: Sequence[int] = ()
    if promotion.status is not Status.ACTIVE:
        verdict, why = Verdict.NOT_ACTIVE, f"it is {promotion.status.lower()}"
    elif promotion.starts is not None and now < promotion.starts:
        verdict, why = Verdict.NOT_STARTED, f"it starts at {promotion.starts.isoformat()}"
    elif promotion.ends is not None and now >= promotion.ends:
        verdict, why = Verdict.ENDED, f"it ended at {promotion.ends.isoformat()}"
    elif not promotion.automatic and code_key(promotion.code) not in entered:
        verdict, why = Verdict.CODE_NOT_ENTERED, "its code was not entered"
    elif promotion.currency not in ("", cart.currency):
        verdict, why = Verdict.CURRENCY_DIFFERS, f"it is in {promotion.currency}, the cart in {cart.currency}"
    elif (selected := _selected(promotion, cart)) is None:
        verdict, why = Verdict.RULES_NOT_MET, "none of its rule sets holds for the cart"
    elif promotion.usage_limit is not None and used.uses >= promotion.usage_limit:
        verdict, why = Verdict.USAGE_LIMIT_REACHED, f"it was used {used.uses} times, as often as it may be"
    elif promotion.per_customer_limit is not None and not cart.customer_id:
        verdict, why = Verdict.CUSTOMER_UNKNOWN, "it is counted by customer, and the cart has none"
    elif promotion.per_customer_limit is not None and used.by_customer >= promotion.per_customer_limit:
        why = f"the customer used it {used.by_customer} times, as often as one may"
        verdict = Verdict.CUSTOMER_LIMIT_REACHED
    else:
        lines = selected
    return verdict, why, lines


def _may_stack(
    promotion: Promotion, has_any: bool, alone: Promotion | None, groups: dict[str, str]
) -> tuple[Verdict | None, str]:
    if alone is not None:
        return Verdict.EXCLUDED, f"{alone.id} applies alone"
    if promotion.exclusive and has_any:
        return Verdict.EXCLUDED, "it applies alone, and others came before it"
    if promotion.stack_group in groups:
        return Verdict.GROUP_TAKEN, f"{groups[promotion.stack_group]} of the group {promotion.stack_group} came first"
    return None, ""


def _affordable(promotion: Promotion, off_minor: int) -> tuple[Verdict, str]:
    if not off_minor:
        return Verdict.NOTHING_LEFT, "there is nothing that it could take off"
    if promotion.budget_minor is not None and promotion.used.spent_minor + off_minor > promotion.budget_minor:
        return Verdict.BUDGET_SPENT, "what is left of its budget is less than it would take off"
    return Verdict.APPLIED, describe(promotion)


def describe(promotion: Promotion) -> str:
    """What it does, in words that a shopper may read."""
    effect = promotion.effect
    match effect.type:
        case Type.PERCENT:
            what = f"{_percent(effect.basis_points)} off {_PLACES[effect.target]}"
        case Type.FIXED:
            each = " each" if effect.target is Target.ITEM and effect.allocation is Allocation.EACH else ""
            amount = written(Money(promotion.currency, effect.amount_minor))
            what = f"{amount} off {_PLACES[effect.target]}{each}"
        case Type.FREE_SHIPPING:
            what = "free shipping"
        case Type.BUY_X_GET_Y:
            off = "free" if effect.basis_points == WHOLE else f"{_percent(effect.basis_points)} off"
            what = f"buy {effect.buy_quantity}, get {effect.get_quantity} {off}"
    return f"{promotion.display_name}: {what}" if promotion.display_name else what


_PLACES = {Target.ORDER: "the order", Target.ITEM: "items", Target.SHIPPING: "shipping"}


def _percent(basis_points: int) -> str:
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02}%" if rest else f"{whole}%"


def _selected(promotion: Promotion, cart: Cart) -> Sequence[int] | None:
    """The places of the lines that a set selects which holds; None when none holds."""
    if not promotion.rule_sets:
        return range(len(cart.lines)) if cart.lines else None
    found: set[int] = set()
    for rules in promotion.rule_sets:
        found.update(_lines_of(rules, cart))
    return sorted(found) or None


def _lines_of(rules: RuleSet, cart: Cart) -> list[int]:
    """The places of the lines that the set selects; none when it does not hold."""
    about_lines = [rule for rule in rules if rule.attribute in _OF_LINE]
    for rule in rules:
        if rule.attribute in _OF_CART and not _of_cart(rule, cart):
            return []
    places = [place for place, line in enumerate(cart.lines) if all(_of_line(rule, line) for rule in about_lines)]
    for rule in rules:
        if rule.attribute is Attribute.ITEM_QUANTITY and not _compared(
            rule, sum(cart.lines[place].quantity for place in places)
        ):
            return []
    return places


def _of_cart(rule: Rule, cart: Cart) -> bool:
    match rule.attribute:
        case Attribute.SUBTOTAL:
            return _compared(rule, sum(line.total_minor for line in cart.lines))
        case Attribute.CURRENCY:
            return _listed(rule, (cart.currency,))
        case Attribute.COUNTRY:
            return _listed(rule, (cart.country,))
        case Attribute.CUSTOMER_ID:
            return _listed(rule, (cart.customer_id,))
        case _:
            return _listed(rule, cart.customer_groups)


def _of_line(rule: Rule, line: Line) -> bool:
    match rule.attribute:
        case Attribute.SKU:
            return _listed(rule, (line.sku,))
        case Attribute.PRODUCT_ID:
            return _listed(rule, (line.product_id,))
        case Attribute.VARIANT_ID:
            return _listed(rule, (line.variant_id,))
        case _:
            return _compared(rule, line.unit_price_minor)


def _listed(rule: Rule, known: Sequence[str]) -> bool:
    is_in = any(value in rule.values for value in known)
    return is_in if rule.op is Op.IN else not is_in


def _compared(rule: Rule, number: int) -> bool:
    limit = int(rule.values[0])
    return number >= limit if rule.op is Op.AT_LEAST else number <= limit


def _guard(promotion: Promotion, etag: str) -> None:
    check_etag("promotion", promotion.id, promotion.etag, etag)
    if promotion.status is Status.ARCHIVED:
        raise FailedPrecondition("PROMOTION_ARCHIVED", "an archived promotion stays as it is", id=promotion.id)


def _refuse_what_was_used(before: Promotion, after: Promotion) -> None:
    used = before.used
    if after.usage_limit is not None and after.usage_limit < used.uses:
        raise _invalid("usage_limit", f"it was used {used.uses} times already; pause it to stop it")
    if after.currency != before.currency and used.uses:
        raise _invalid("currency_code", "orders have used it as it is")
    if after.budget_minor is not None and after.budget_minor < used.spent_minor:
        spent = written(Money(before.currency, used.spent_minor))
        raise _invalid("budget", f"{spent} is spent already; pause it to stop it")


def _checked(promotion: Promotion) -> Promotion:
    """With its rules in their canonical form. InvalidArgument FIELD_INVALID."""
    if promotion.automatic == bool(promotion.code):
        raise _invalid("code", "a promotion is automatic or has a code")
    if promotion.code and re.search(r"\s", code_key(promotion.code)):
        raise _invalid("code", "has white space in it")
    if promotion.starts is not None and promotion.ends is not None and promotion.starts >= promotion.ends:
        raise _invalid("end_time", "not after start_time")
    if promotion.currency and promotion.currency not in CURRENCIES:
        raise _invalid("currency_code", f"{promotion.currency!r} is no currency that a shop can sell in")
    _check_effect(promotion.effect)
    rule_sets = tuple(
        tuple(_rule(rule, f"rule_sets[{n}].rules[{m}]") for m, rule in enumerate(rules))
        for n, rules in enumerate(promotion.rule_sets)
    )
    has_amounts = any(rule.attribute in _AMOUNTS for rules in rule_sets for rule in rules)
    if not promotion.currency and (
        has_amounts or promotion.budget_minor is not None or promotion.effect.type is Type.FIXED
    ):
        raise _invalid("currency_code", "needed where there is an amount: of the effect, of the budget or in a rule")
    return replace(promotion, rule_sets=rule_sets)


# type -> the fields that it needs, and the targets that it may have
_EFFECTS = {
    Type.PERCENT: ({"basis_points"}, {Target.ORDER, Target.ITEM, Target.SHIPPING}),
    Type.FIXED: ({"amount_minor"}, {Target.ORDER, Target.ITEM, Target.SHIPPING}),
    Type.FREE_SHIPPING: (set[str](), {Target.SHIPPING}),
    Type.BUY_X_GET_Y: ({"basis_points", "buy_quantity", "get_quantity"}, {Target.ITEM}),
}
_ON_WIRE = {"amount_minor": "amount"}


def _check_effect(effect: Effect) -> None:
    needed, targets = _EFFECTS[effect.type]
    if effect.target not in targets:
        raise _invalid("effect.target", f"{effect.type} is for {', '.join(sorted(targets))}")
    for name in ("basis_points", "amount_minor", "buy_quantity", "get_quantity"):
        if (getattr(effect, name) > 0) is not (name in needed):
            why = "needed" if name in needed else "has no place"
            raise _invalid(f"effect.{_ON_WIRE.get(name, name)}", f"{why} in {effect.type}")
    if effect.max_quantity and effect.target is not Target.ITEM:
        raise _invalid("effect.max_quantity", "is for items")
    if effect.allocation is Allocation.EACH and effect.target is not Target.ITEM:
        raise _invalid("effect.allocation", "EACH is for items")


def _rule(rule: Rule, path: str) -> Rule:
    is_number = rule.attribute in _NUMBERS
    if is_number is not (rule.op in (Op.AT_LEAST, Op.AT_MOST)):
        allowed = "AT_LEAST or AT_MOST" if is_number else "IN or NOT_IN"
        raise _invalid(f"{path}.op", f"{allowed} is for {rule.attribute}")
    if not rule.values or (is_number and len(rule.values) > 1):
        raise _invalid(f"{path}.values", "one number" if is_number else "at least one")
    return replace(rule, values=tuple(dict.fromkeys(_value(rule.attribute, value, path) for value in rule.values)))


def _value(attribute: Attribute, value: str, path: str) -> str:
    if attribute in _NUMBERS:
        if not re.fullmatch("[0-9]{1,19}", value) or int(value) > LARGEST_MINOR:
            raise _invalid(f"{path}.values", f"{value!r} is no whole number of at most 64 bits")
        return str(int(value))
    if attribute in _IDS:
        if not is_uuid(value.lower()):
            raise _invalid(f"{path}.values", f"{value!r} is no UUID")
        return value.lower()
    if attribute is Attribute.CURRENCY and value not in CURRENCIES:
        raise _invalid(f"{path}.values", f"{value!r} is no currency that a shop can sell in")
    if attribute is Attribute.COUNTRY and not re.fullmatch("[A-Z]{2}", value):
        raise _invalid(f"{path}.values", f"{value!r} is no country's two letters")
    return value


def _invalid(field: str, why: str) -> InvalidArgument:
    return InvalidArgument("FIELD_INVALID", f"{field}: {why}", fields={field: why})
