"""Promotions on the wire, in events and in the audit."""

from datetime import UTC, datetime
from typing import Any

from google.type import money_pb2

from center.dataplane.v1 import promotion_service_pb2 as pb
from dataplane.promotions.domain import (
    WHOLE,
    Adjustments,
    Allocation,
    Attribute,
    Cart,
    Effect,
    Line,
    Op,
    Promotion,
    Rule,
    Status,
    Target,
    Type,
    describe,
)
from dataplane.promotions.store import Redemption
from shared.runtime import money
from shared.runtime.errors import InvalidArgument
from shared.runtime.journal import Change, Event
from shared.runtime.money import Money, written

_TARGETS = {Type.FREE_SHIPPING: Target.SHIPPING, Type.BUY_X_GET_Y: Target.ITEM}


def to_proto(promotion: Promotion) -> pb.Promotion:
    message = pb.Promotion(
        id=promotion.id,
        display_name=promotion.display_name,
        code=promotion.code,
        automatic=promotion.automatic,
        priority=promotion.priority,
        exclusive=promotion.exclusive,
        stack_group=promotion.stack_group,
        usage_limit=promotion.usage_limit,
        per_customer_limit=promotion.per_customer_limit,
        budget=_money(promotion.currency, promotion.budget_minor),
        currency_code=promotion.currency,
        status=f"PROMOTION_STATUS_{promotion.status}",
        rule_sets=[
            pb.PromotionRuleSet(rules=[_rule_to_proto(rule) for rule in rules]) for rules in promotion.rule_sets
        ],
        effect=_effect_to_proto(promotion),
        uses=promotion.used.uses,
        spent=_money(promotion.currency, promotion.used.spent_minor) if promotion.currency else None,
        etag=promotion.etag,
    )
    for name, moment in (("start_time", promotion.starts), ("end_time", promotion.ends)):
        if moment is not None:
            getattr(message, name).FromDatetime(moment)
    message.create_time.FromDatetime(promotion.create_time)
    message.update_time.FromDatetime(promotion.update_time)
    return message


def from_proto(message: pb.Promotion, *, id: str, now: datetime) -> Promotion:
    """What the message says of a promotion. InvalidArgument FIELD_INVALID, MONEY_INVALID."""
    return Promotion(
        id=id,
        display_name=message.display_name,
        effect=_effect(message),
        create_time=now,
        update_time=now,
        code=message.code,
        automatic=message.automatic,
        priority=message.priority,
        exclusive=message.exclusive,
        stack_group=message.stack_group,
        starts=moment(message, "start_time"),
        ends=moment(message, "end_time"),
        usage_limit=message.usage_limit if message.HasField("usage_limit") else None,
        per_customer_limit=message.per_customer_limit if message.HasField("per_customer_limit") else None,
        budget_minor=_minor(message, message.budget, "budget") if message.HasField("budget") else None,
        currency=message.currency_code,
        status=Status(_word(pb.PromotionStatus, message.status) or Status.ACTIVE),
        rule_sets=tuple(
            tuple(
                Rule(
                    Attribute(_word(pb.PromotionAttribute, rule.attribute)),
                    Op(_word(pb.PromotionOp, rule.op)),
                    tuple(rule.values),
                )
                for rule in each.rules
            )
            for each in message.rule_sets
        ),
    )


def cart(message: pb.SimulatedCart) -> Cart:
    """InvalidArgument MONEY_INVALID, FIELD_INVALID."""
    lines = tuple(
        Line(
            id=line.id or str(place),
            variant_id=line.variant_id.lower(),
            product_id=line.product_id.lower(),
            sku=line.sku,
            quantity=line.quantity,
            unit_price_minor=_minor(message, line.unit_price, f"lines[{place - 1}].unit_price"),
        )
        for place, line in enumerate(message.lines, 1)
    )
    return Cart(
        currency=message.currency_code,
        lines=lines,
        customer_id=message.customer_id.lower(),
        codes=tuple(message.codes),
        shipping_minor=_minor(message, message.shipping, "shipping") if message.HasField("shipping") else 0,
        customer_groups=tuple(message.customer_groups),
        country=message.country_code,
    )


def simulated(adjustments: Adjustments) -> pb.SimulateResponse:
    def of(minor: int) -> money_pb2.Money:
        return money.to_proto(Money(adjustments.currency, minor))

    return pb.SimulateResponse(
        adjustments=[
            pb.PromotionAdjustment(
                promotion_id=each.promotion_id,
                target=f"PROMOTION_TARGET_{each.target}",
                line_id=each.line_id,
                amount=of(each.amount_minor),
                explanation=each.explanation,
            )
            for each in adjustments.adjustments
        ],
        outcomes=[
            pb.PromotionOutcome(
                promotion_id=each.promotion_id,
                verdict=f"PROMOTION_VERDICT_{each.verdict}",
                explanation=each.explanation,
                amount=of(each.amount_minor),
            )
            for each in adjustments.outcomes
        ],
        subtotal=of(adjustments.subtotal_minor),
        shipping=of(adjustments.shipping_minor),
        discount=of(adjustments.discount_minor),
        total=of(adjustments.total_minor),
        unknown_codes=adjustments.unknown_codes,
    )


def redemption_to_proto(redemption: Redemption) -> pb.PromotionRedemption:
    message = pb.PromotionRedemption(
        id=redemption.id,
        promotion_id=redemption.promotion_id,
        order_id=redemption.order_id,
        customer_id=redemption.customer_id,
        amount=money.to_proto(redemption.amount),
    )
    message.create_time.FromDatetime(redemption.create_time)
    if redemption.cancel_time is not None:
        message.cancel_time.FromDatetime(redemption.cancel_time)
    return message


def event(type: str, promotion: Promotion) -> Event:
    """What other planes are told of the change that made this version."""
    return Event(type, promotion.id, promotion.version, to_proto(promotion))


def redemption_event(redemption: Redemption) -> Event:
    changed = pb.PromotionRedemptionChanged(redemption=redemption_to_proto(redemption))
    if redemption.cancel_time is None:
        return Event("promotion.redeemed.v1", redemption.id, 1, changed)
    return Event("promotion.given_back.v1", redemption.id, 2, changed)


def change(before: Promotion | None, after: Promotion) -> Change:
    """What the audit keeps of it."""
    return Change("promotion", after.id, {} if before is None else _facts(before), _facts(after))


def redemption_change(before: Redemption | None, after: Redemption) -> Change:
    was = {} if before is None else _redemption_facts(before)
    return Change("promotion_redemption", after.id, was, _redemption_facts(after))


def moment(message: Any, name: str) -> datetime | None:
    """InvalidArgument FIELD_INVALID."""
    if not message.HasField(name):
        return None
    try:
        found: datetime = getattr(message, name).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _invalid(name, "out of range") from None
    return found


def _rule_to_proto(rule: Rule) -> pb.PromotionRule:
    return pb.PromotionRule(
        attribute=f"PROMOTION_ATTRIBUTE_{rule.attribute}", op=f"PROMOTION_OP_{rule.op}", values=rule.values
    )


def _effect_to_proto(promotion: Promotion) -> pb.PromotionEffect:
    effect = promotion.effect
    return pb.PromotionEffect(
        type=f"PROMOTION_EFFECT_TYPE_{effect.type}",
        target=f"PROMOTION_TARGET_{effect.target}",
        allocation=f"PROMOTION_ALLOCATION_{effect.allocation}",
        basis_points=effect.basis_points,
        amount=_money(promotion.currency, effect.amount_minor or None),
        max_quantity=effect.max_quantity,
        buy_quantity=effect.buy_quantity,
        get_quantity=effect.get_quantity,
    )


def _effect(message: pb.Promotion) -> Effect:
    said = message.effect
    if not said.type:
        raise _invalid("effect", "what the promotion does is needed")
    type = Type(_word(pb.PromotionEffectType, said.type))
    target = Target(_word(pb.PromotionTarget, said.target) or _TARGETS.get(type, Target.ORDER))
    usual = Allocation.EACH if target is Target.ITEM else Allocation.ACROSS
    gives_away = type is Type.BUY_X_GET_Y and not said.basis_points
    return Effect(
        type=type,
        target=target,
        allocation=Allocation(_word(pb.PromotionAllocation, said.allocation) or usual),
        basis_points=WHOLE if gives_away else said.basis_points,
        amount_minor=_minor(message, said.amount, "effect.amount") if said.HasField("amount") else 0,
        max_quantity=said.max_quantity,
        buy_quantity=said.buy_quantity,
        get_quantity=said.get_quantity,
    )


def _minor(message: pb.Promotion | pb.SimulatedCart, amount: money_pb2.Money, field: str) -> int:
    """InvalidArgument MONEY_INVALID: also where it is not in the currency of the whole."""
    found = money.from_proto(amount, field)
    if found.currency != message.currency_code:
        why = f"in {found.currency}, and currency_code is {message.currency_code or 'empty'}"
        raise InvalidArgument("MONEY_INVALID", f"{field}: {why}", fields={field: why})
    return found.amount_minor


def _money(currency: str, minor: int | None) -> money_pb2.Money | None:
    return None if minor is None else money.to_proto(Money(currency, minor))


def _word(enum: Any, number: int) -> str:
    """The last words of an enum's value: PAUSED of PROMOTION_STATUS_PAUSED; empty for the unspecified."""
    if not number:
        return ""
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    return str(enum.Name(number).removeprefix(prefix))


def _facts(promotion: Promotion) -> dict[str, str]:
    def said(value: object) -> str:
        return "" if value is None else str(value)

    budget = promotion.budget_minor
    return {
        "display_name": promotion.display_name,
        "code": promotion.code,
        "priority": str(promotion.priority),
        "exclusive": str(promotion.exclusive).lower(),
        "stack_group": promotion.stack_group,
        "start_time": promotion.starts.isoformat() if promotion.starts is not None else "",
        "end_time": promotion.ends.isoformat() if promotion.ends is not None else "",
        "usage_limit": said(promotion.usage_limit),
        "per_customer_limit": said(promotion.per_customer_limit),
        "budget": "" if budget is None else written(Money(promotion.currency, budget)),
        "currency_code": promotion.currency,
        "status": promotion.status.value,
        "effect": describe(promotion),
        "effect.max_quantity": str(promotion.effect.max_quantity or ""),
        "effect.allocation": promotion.effect.allocation.value,
        **{
            f"rule_sets[{n}].rules[{m}]": f"{rule.attribute} {rule.op} {', '.join(rule.values)}"
            for n, rules in enumerate(promotion.rule_sets)
            for m, rule in enumerate(rules)
        },
    }


def _redemption_facts(redemption: Redemption) -> dict[str, str]:
    return {
        "promotion_id": redemption.promotion_id,
        "order_id": redemption.order_id,
        "customer_id": redemption.customer_id,
        "amount": written(redemption.amount),
        "cancel_time": redemption.cancel_time.isoformat() if redemption.cancel_time is not None else "",
    }


def _invalid(field: str, why: str) -> InvalidArgument:
    return InvalidArgument("FIELD_INVALID", f"{field}: {why}", fields={field: why})
