"""center promotions: what takes something off a shop's carts."""

from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table

from center.dataplane.v1 import promotion_service_pb2 as pb
from shared.cli import amounts
from shared.cli.call import Call, Limit, TenantArgument, card, filtered_by, operator, word
from shared.runtime import money
from shared.runtime.ids import uuid7

app = typer.Typer(help="What takes something off a shop's carts.", no_args_is_help=True)

PROMOTIONS = pb.DESCRIPTOR.services_by_name["PromotionService"]

PromotionArgument = Annotated[str, typer.Argument(metavar="PROMOTION", help="A promotion's id.")]


@operator(app)
async def add(
    call: Call,
    tenant: TenantArgument,
    name: Annotated[str, typer.Argument(help="What shoppers read: Summer sale.")],
    code: Annotated[str, typer.Option(help="What shoppers enter; automatic without one.")] = "",
    percent: Annotated[str, typer.Option(help="Such as 12.5.")] = "",
    amount: Annotated[str, typer.Option(help="Such as 5EUR.")] = "",
    free_shipping: Annotated[bool, typer.Option("--free-shipping")] = False,
    buy: Annotated[int, typer.Option(min=0, help="Buy so many ...")] = 0,
    get: Annotated[int, typer.Option(min=0, help="... and get so many free.")] = 0,
    sku: Annotated[list[str] | None, typer.Option(help="Only these items; may be repeated.")] = None,
    min_subtotal: Annotated[str, typer.Option(help="Only carts of at least, such as 50EUR.")] = "",
    priority: Annotated[int, typer.Option(help="The highest is considered first.")] = 0,
    exclusive: Annotated[bool, typer.Option("--exclusive", help="It applies alone.")] = False,
    group: Annotated[str, typer.Option(help="One of a group applies.")] = "",
    uses: Annotated[int | None, typer.Option(min=1, help="How many orders may use it.")] = None,
    per_customer: Annotated[int | None, typer.Option(min=1, help="How many orders of one customer may.")] = None,
    budget: Annotated[str, typer.Option(help="The most it takes off in all, such as 1000EUR.")] = "",
    paused: Annotated[bool, typer.Option("--paused", help="It waits until it is made active.")] = False,
) -> None:
    """Add a promotion."""
    effect = _effect(percent, amount, free_shipping, buy, get, has_items=bool(sku))
    least, most = amounts.read(min_subtotal), amounts.read(budget)
    rules = [pb.PromotionRule(attribute="PROMOTION_ATTRIBUTE_SKU", op="PROMOTION_OP_IN", values=sku)] if sku else []
    if least is not None:
        values = [str(money.from_proto(least).amount_minor)]
        at_least = pb.PROMOTION_OP_AT_LEAST
        rules.append(pb.PromotionRule(attribute="PROMOTION_ATTRIBUTE_SUBTOTAL", op=at_least, values=values))
    given = (each for each in (effect.amount, least, most) if each is not None and each.currency_code)
    promotion = pb.Promotion(
        display_name=name,
        code=code,
        automatic=not code,
        priority=priority,
        exclusive=exclusive,
        stack_group=group,
        usage_limit=uses,
        per_customer_limit=per_customer,
        budget=most,
        currency_code=next((each.currency_code for each in given), ""),
        status=pb.PROMOTION_STATUS_PAUSED if paused else pb.PROMOTION_STATUS_ACTIVE,
        rule_sets=[pb.PromotionRuleSet(rules=rules)] if rules else [],
        effect=effect,
    )
    request = pb.CreatePromotionRequest(promotion=promotion, request_id=uuid7())
    answer = await call.in_shop(tenant, PROMOTIONS, "CreatePromotion", request)
    call.show(answer.promotion, lambda: _shown(answer.promotion))


@operator(app)
async def show(call: Call, tenant: TenantArgument, promotion: PromotionArgument) -> None:
    """Show one promotion."""
    answer = await call.in_shop(tenant, PROMOTIONS, "GetPromotion", pb.GetPromotionRequest(id=promotion))
    call.show(answer.promotion, lambda: _shown(answer.promotion))


@operator(app, "list")
async def list_(
    call: Call, tenant: TenantArgument, filter: Annotated[str, filtered_by("status = ACTIVE")] = "", limit: Limit = 100
) -> None:
    """List a shop's promotions, newest first."""
    request = pb.ListPromotionsRequest(filter=filter)
    await call.table(
        call.pages(PROMOTIONS, "ListPromotions", request, "promotions", limit, tenant=tenant),
        "promotions",
        [
            ("NAME", lambda p: p.display_name),
            ("CODE", lambda p: p.code or "automatic"),
            ("STATUS", lambda p: word(pb.PromotionStatus, p.status)),
            ("PRIORITY", lambda p: p.priority),
            ("EFFECT", lambda p: _what(p.effect)),
            ("USES", lambda p: f"{p.uses}/{p.usage_limit}" if p.HasField("usage_limit") else p.uses),
            ("SPENT", lambda p: amounts.text(p.spent)),
            ("ID", lambda p: p.id),
        ],
    )


@operator(app)
async def archive(call: Call, tenant: TenantArgument, promotion: PromotionArgument) -> None:
    """End a promotion for good; its code can be given again."""
    request = pb.ArchivePromotionRequest(id=promotion, request_id=uuid7())
    answer = await call.in_shop(tenant, PROMOTIONS, "ArchivePromotion", request)
    call.show(answer.promotion, lambda: _shown(answer.promotion))


@operator(app)
async def simulate(
    call: Call,
    tenant: TenantArgument,
    line: Annotated[list[str], typer.Argument(metavar="LINE...", help="SKU=QUANTITYxPRICE: MUG-1=2x4.50EUR.")],
    code: Annotated[list[str] | None, typer.Option(help="A code that is entered; may be repeated.")] = None,
    shipping: Annotated[str, typer.Option(help="Such as 4.90EUR.")] = "",
    customer: Annotated[str, typer.Option(help="A customer's id.")] = "",
    country: Annotated[str, typer.Option(help="Two letters.")] = "",
    explain: Annotated[list[str] | None, typer.Option(help="A promotion's id, to be explained in any case.")] = None,
) -> None:
    """Show what the promotions would take off a cart, and why."""
    lines = [_line(each) for each in line]
    cart = pb.SimulatedCart(
        currency_code=lines[0].unit_price.currency_code,
        lines=lines,
        shipping=amounts.read(shipping),
        codes=code or [],
        customer_id=customer,
        country_code=country,
    )
    request = pb.SimulateRequest(cart=cart, promotion_ids=explain or [])
    answer = await call.in_shop(tenant, PROMOTIONS, "Simulate", request)
    call.show(answer, lambda: _priced(answer))


def _effect(
    percent: str, amount: str, free_shipping: bool, buy: int, get: int, *, has_items: bool
) -> pb.PromotionEffect:
    if sum(map(bool, (percent, amount, free_shipping, buy or get))) != 1:
        raise typer.BadParameter("one of --percent, --amount, --free-shipping, --buy with --get")
    target = pb.PROMOTION_TARGET_ITEM if has_items else pb.PROMOTION_TARGET_ORDER
    if percent:
        return pb.PromotionEffect(type="PROMOTION_EFFECT_TYPE_PERCENT", target=target, basis_points=_points(percent))
    if amount:
        return pb.PromotionEffect(type="PROMOTION_EFFECT_TYPE_FIXED", target=target, amount=amounts.read(amount))
    if free_shipping:
        return pb.PromotionEffect(type="PROMOTION_EFFECT_TYPE_FREE_SHIPPING")
    return pb.PromotionEffect(type="PROMOTION_EFFECT_TYPE_BUY_X_GET_Y", buy_quantity=buy, get_quantity=get)


def _points(percent: str) -> int:
    """12.5 -> 1250."""
    whole, _, rest = percent.removesuffix("%").partition(".")
    if not (whole + rest).isdecimal() or len(rest) > 2:
        raise typer.BadParameter(f"{percent!r} is no percentage; write 12.5")
    return int(whole or "0") * 100 + int(rest.ljust(2, "0"))


def _line(text: str) -> pb.SimulatedLine:
    sku, _, rest = text.rpartition("=")
    quantity, _, price = rest.partition("x")
    if not sku or not quantity.isdecimal() or not price:
        raise typer.BadParameter(f"{text!r} is no line; write MUG-1=2x4.50EUR")
    return pb.SimulatedLine(sku=sku, quantity=int(quantity), unit_price=amounts.read(price))


def _what(effect: pb.PromotionEffect) -> str:
    """In a few words: 12.5 % off order."""
    match effect.type:
        case pb.PROMOTION_EFFECT_TYPE_FREE_SHIPPING:
            return "free shipping"
        case pb.PROMOTION_EFFECT_TYPE_BUY_X_GET_Y:
            return f"buy {effect.buy_quantity} get {effect.get_quantity}"
        case pb.PROMOTION_EFFECT_TYPE_FIXED:
            off = amounts.text(effect.amount)
        case _:
            off = f"{effect.basis_points // 100}.{effect.basis_points % 100:02} %"
    return f"{off} off {word(pb.PromotionTarget, effect.target).lower()}"


def _shown(promotion: pb.Promotion) -> Group:
    about = card(
        [
            ("id", promotion.id),
            ("name", promotion.display_name),
            ("code", promotion.code or "automatic"),
            ("status", word(pb.PromotionStatus, promotion.status)),
            ("effect", _what(promotion.effect)),
            ("priority", promotion.priority),
            ("exclusive", "yes" if promotion.exclusive else ""),
            ("group", promotion.stack_group),
            ("starts", promotion.start_time),
            ("ends", promotion.end_time),
            ("uses", f"{promotion.uses}/{promotion.usage_limit or 'any number'}"),
            ("per customer", promotion.per_customer_limit or ""),
            ("spent", amounts.text(promotion.spent)),
            ("budget", amounts.text(promotion.budget)),
            ("etag", promotion.etag),
        ]
    )
    rules = [
        f"{'or ' if n else ''}"
        + " and ".join(
            f"{word(pb.PromotionAttribute, rule.attribute)} {word(pb.PromotionOp, rule.op)} {', '.join(rule.values)}"
            for rule in rules.rules
        )
        for n, rules in enumerate(promotion.rule_sets)
    ]
    return Group(about, *(["", "for carts with", *rules] if rules else []))


def _priced(answer: Any) -> Group:
    offs = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("OFF", "LINE", "WHY"):
        offs.add_column(heading, overflow="fold")
    for each in answer.adjustments:
        offs.add_row(amounts.text(each.amount), each.line_id or "shipping", each.explanation)
    whys = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("PROMOTION", "VERDICT", "WHY"):
        whys.add_column(heading, overflow="fold")
    for each in answer.outcomes:
        whys.add_row(each.promotion_id, word(pb.PromotionVerdict, each.verdict), each.explanation)
    sums = card(
        [
            ("subtotal", amounts.text(answer.subtotal)),
            ("shipping", amounts.text(answer.shipping)),
            ("discount", amounts.text(answer.discount)),
            ("total", amounts.text(answer.total)),
            ("unknown codes", ", ".join(answer.unknown_codes)),
        ]
    )
    return Group(offs, "", whys, "", sums)
