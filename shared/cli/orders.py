"""center orders: what was bought of a shop, and what is done about it."""

from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table

from center.dataplane.v1 import order_service_pb2 as pb
from shared.cli import amounts
from shared.cli.call import Call, Limit, TenantArgument, card, filtered_by, operator, word
from shared.runtime.ids import uuid7

app = typer.Typer(help="What was bought of a shop, and what is done about it.", no_args_is_help=True)

ORDERS = pb.DESCRIPTOR.services_by_name["OrderService"]

OrderArgument = Annotated[str, typer.Argument(metavar="ORDER", help="An order's number or id.")]
LineOption = Annotated[
    list[str] | None, typer.Option("--line", help="A line's id, or ID=QUANTITY for some of it; may be repeated.")
]
WhyOption = Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the audit and the timeline.")]
RequestOption = Annotated[str, typer.Option("--request-id", help="The same again has no second effect.")]


@operator(app, "list")
async def list_(
    call: Call, tenant: TenantArgument, filter: Annotated[str, filtered_by("state = PLACED")] = "", limit: Limit = 100
) -> None:
    """List a shop's orders, newest first."""
    await call.table(
        call.pages(ORDERS, "ListOrders", pb.ListOrdersRequest(filter=filter), "orders", limit, tenant=tenant),
        "orders",
        [
            ("NUMBER", lambda o: o.number),
            ("CREATED", lambda o: o.create_time),
            ("STATE", lambda o: word(pb.OrderState, o.state)),
            ("PAYMENT", lambda o: word(pb.PaymentStatus, o.payment_status)),
            ("SHIPMENT", lambda o: word(pb.FulfillmentStatus, o.fulfillment_status)),
            ("TOTAL", lambda o: amounts.text(o.total)),
            ("REFUNDED", lambda o: amounts.text(o.refunded)),
            ("ID", lambda o: o.id),
        ],
    )


@operator(app)
async def show(call: Call, tenant: TenantArgument, order: OrderArgument) -> None:
    """Show one order."""
    request = pb.GetOrderRequest(id=await _id(call, tenant, order))
    answer = await call.in_shop(tenant, ORDERS, "GetOrder", request)
    call.show(answer.order, lambda: _shown(answer.order))


@operator(app)
async def cancel(
    call: Call, tenant: TenantArgument, order: OrderArgument, reason: WhyOption, request_id: RequestOption = ""
) -> None:
    """End an order of which nothing is shipped, and give back what was paid."""
    request = pb.CancelOrderRequest(id=await _id(call, tenant, order), reason=reason, request_id=request_id or uuid7())
    answer = await call.in_shop(tenant, ORDERS, "CancelOrder", request)
    call.show(answer.order, lambda: _shown(answer.order))


@operator(app)
async def ship(
    call: Call,
    tenant: TenantArgument,
    order: OrderArgument,
    line: LineOption = None,
    carrier: Annotated[str, typer.Option(help="Who carries it.")] = "",
    tracking: Annotated[str, typer.Option(help="The carrier's number of it.")] = "",
    request_id: RequestOption = "",
) -> None:
    """Say that lines have left the shop; all that is left unless some are named."""
    found = await _found(call, tenant, order)
    request = pb.CreateFulfillmentRequest(
        order_id=found.id,
        lines=[
            pb.FulfillmentLine(line_id=line_id, quantity=quantity)
            for line_id, quantity in _lines(found, line, lambda each: each.quantity - each.fulfilled_quantity)
        ],
        carrier=carrier,
        tracking_number=tracking,
        request_id=request_id or uuid7(),
    )
    answer = await call.in_shop(tenant, ORDERS, "CreateFulfillment", request)
    call.show(answer, lambda: _shown(answer.order))


@operator(app)
async def deliver(
    call: Call,
    tenant: TenantArgument,
    order: OrderArgument,
    fulfillment: Annotated[str, typer.Argument(metavar="FULFILLMENT", help="A fulfillment's id.")],
) -> None:
    """Note that a fulfillment has arrived."""
    request = pb.MarkDeliveredRequest(
        order_id=await _id(call, tenant, order), fulfillment_id=fulfillment, request_id=uuid7()
    )
    answer = await call.in_shop(tenant, ORDERS, "MarkDelivered", request)
    call.show(answer.order, lambda: _shown(answer.order))


@operator(app)
async def refund(
    call: Call,
    tenant: TenantArgument,
    order: OrderArgument,
    reason: WhyOption,
    line: LineOption = None,
    amount: Annotated[str, typer.Option(help="Such as 12.50EUR; what the lines cost, or all that is left.")] = "",
    restock: Annotated[bool, typer.Option("--restock", help="The lines came back and are for sale again.")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="The lines will not be shipped any more.")] = False,
    request_id: RequestOption = "",
) -> None:
    """Give money back."""
    found = await _found(call, tenant, order)
    request = pb.RefundOrderRequest(
        id=found.id,
        lines=[
            pb.RefundLine(line_id=line_id, quantity=quantity, restock=restock, withdraw=withdraw)
            for line_id, quantity in _lines(found, line, lambda each: each.quantity - each.refunded_quantity)
        ],
        amount=amounts.read(amount),
        reason=reason,
        request_id=request_id or uuid7(),
    )
    answer = await call.in_shop(tenant, ORDERS, "RefundOrder", request)
    call.show(answer, lambda: _shown(answer.order))
    if answer.refund.state == pb.REFUND_STATE_FAILED:
        raise typer.Exit(1)


@operator(app)
async def note(
    call: Call,
    tenant: TenantArgument,
    order: OrderArgument,
    words: Annotated[str, typer.Argument(metavar="NOTE", help="Shoppers never see it.")],
) -> None:
    """Keep a note in an order's timeline."""
    request = pb.AddOrderNoteRequest(order_id=await _id(call, tenant, order), note=words, request_id=uuid7())
    answer = await call.in_shop(tenant, ORDERS, "AddOrderNote", request)
    call.show(answer.event, lambda: f"noted: {answer.event.message}")


@operator(app)
async def timeline(call: Call, tenant: TenantArgument, order: OrderArgument, limit: Limit = 100) -> None:
    """Show what happened to an order, oldest first."""
    request = pb.ListOrderEventsRequest(order_id=await _id(call, tenant, order))
    await call.table(
        call.pages(ORDERS, "ListOrderEvents", request, "events", limit, tenant=tenant),
        "events",
        [
            ("TIME", lambda e: e.create_time),
            ("WHAT", lambda e: e.kind),
            ("WHO", lambda e: e.actor),
            ("", lambda e: e.message),
        ],
    )


async def _id(call: Call, tenant: str, order: str) -> str:
    if not order.isdecimal():
        return order
    listed = pb.ListOrdersRequest(filter=f"number = {order}")
    for found in (await call.look_up_in_shop(tenant, ORDERS, "ListOrders", listed)).orders:
        return str(found.id)
    raise typer.BadParameter(f"no order {order} in this shop")


async def _found(call: Call, tenant: str, order: str) -> pb.Order:
    request = pb.GetOrderRequest(id=await _id(call, tenant, order))
    found: pb.Order = (await call.look_up_in_shop(tenant, ORDERS, "GetOrder", request)).order
    return found


def _lines(order: pb.Order, named: list[str] | None, left: Callable[[pb.OrderLine], int]) -> list[tuple[str, int]]:
    """ID=QUANTITY, or an id for all that is left of it."""
    found = []
    for each in named or ():
        id, _, quantity = each.partition("=")
        known = next((line for line in order.lines if line.id == id), None)
        if known is None or (quantity and not quantity.isdecimal()):
            raise typer.BadParameter(f"{each!r}: write a line's id, or ID=QUANTITY; `center orders show` shows them")
        found.append((id, int(quantity) if quantity else left(known)))
    return found


def _shown(order: pb.Order) -> Group:
    about = card(
        [
            ("number", order.number),
            ("id", order.id),
            ("state", word(pb.OrderState, order.state)),
            ("payment", word(pb.PaymentStatus, order.payment_status)),
            ("shipment", word(pb.FulfillmentStatus, order.fulfillment_status)),
            ("e-mail", order.email),
            ("address", ", ".join([order.address.name, *order.address.lines, order.address.city]).strip(", ")),
            ("subtotal", amounts.text(order.subtotal)),
            ("discount", amounts.text(order.discount)),
            ("shipping", f"{amounts.text(order.shipping)} {order.shipping_method}".strip()),
            ("tax", amounts.text(order.tax)),
            ("total", amounts.text(order.total)),
            ("paid", amounts.text(order.paid)),
            ("refunded", amounts.text(order.refunded)),
            ("to confirm", order.action_url),
            ("created", order.create_time),
        ]
    )
    lines = _table("QUANTITY", "SHIPPED", "REFUNDED", "SKU", "PRODUCT", "AMOUNT", "ID")
    for line in order.lines:
        title = f"{line.product_title} {line.variant_title}".strip()
        counts = map(str, (line.quantity, line.fulfilled_quantity, line.refunded_quantity))
        lines.add_row(*counts, line.sku, title, amounts.text(line.amount), line.id)
    parts: list[Table | str] = [about, "", lines]
    if order.fulfillments:
        shipped = _table("SHIPPED", "ITEMS", "CARRIER", "TRACKING", "ID")
        for each in order.fulfillments:
            items = str(sum(line.quantity for line in each.lines))
            when = f"{each.create_time.ToDatetime():%Y-%m-%d %H:%M}"
            shipped.add_row(when, items, each.carrier, each.tracking_number, each.id)
        parts += ["", shipped]
    if order.refunds:
        refunds = _table("REFUND", "STATE", "WHY", "FAILED", "ID")
        for refund in order.refunds:
            state = word(pb.RefundState, refund.state)
            refunds.add_row(amounts.text(refund.amount), state, refund.reason, refund.failure_reason, refund.id)
        parts += ["", refunds]
    return Group(*parts)


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
