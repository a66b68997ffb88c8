"""center carts: what shoppers of a shop are about to buy."""

from typing import Annotated

import typer
from google.type import money_pb2
from rich.console import Group
from rich.table import Table

from center.dataplane.v1 import cart_service_pb2 as pb
from shared.cli.call import Call, Limit, TenantArgument, card, filtered_by, operator, word
from shared.runtime import money

app = typer.Typer(help="What shoppers of a shop are about to buy.", no_args_is_help=True)

CARTS = pb.DESCRIPTOR.services_by_name["CartService"]


@operator(app, "list")
async def list_(
    call: Call, tenant: TenantArgument, filter: Annotated[str, filtered_by("state = OPEN")] = "", limit: Limit = 100
) -> None:
    """List a shop's carts, newest first."""
    await call.table(
        call.pages(CARTS, "ListCarts", pb.ListCartsRequest(filter=filter), "carts", limit, tenant=tenant),
        "carts",
        [
            ("CREATED", lambda c: c.create_time),
            ("UPDATED", lambda c: c.update_time),
            ("STATE", lambda c: word(pb.CartState, c.state)),
            ("CURRENCY", lambda c: c.currency_code),
            ("LINES", lambda c: c.line_count),
            ("ID", lambda c: c.id),
        ],
    )


@operator(app)
async def show(
    call: Call, tenant: TenantArgument, cart: Annotated[str, typer.Argument(metavar="CART", help="A cart's id.")]
) -> None:
    """Show one cart and what it costs now."""
    answer = await call.in_shop(tenant, CARTS, "GetCart", pb.GetCartRequest(id=cart))
    call.show(answer.cart, lambda: _shown(answer.cart))


def _shown(cart: pb.Cart) -> Group:
    about = card(
        [
            ("id", cart.id),
            ("state", word(pb.CartState, cart.state)),
            ("e-mail", cart.email),
            ("address", ", ".join([cart.address.name, *cart.address.lines, cart.address.city]).strip(", ")),
            ("codes", " ".join(code.code for code in cart.codes)),
            ("subtotal", f"{_text(cart.subtotal)} ({cart.explanation.subtotal})"),
            ("discount", f"{_text(cart.discount)} ({cart.explanation.discount})"),
            ("total", _text(cart.total)),
            ("created", cart.create_time),
            ("updated", cart.update_time),
            ("order", cart.order_id),
        ]
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("QUANTITY", "SKU", "PRODUCT", "AMOUNT", "STOCK", "WHY", "ID"):
        table.add_column(heading, overflow="fold")
    for line in cart.lines:
        amount = _text(line.amount) if line.HasField("amount") else ""
        title = f"{line.product_title} {line.variant_title}".strip()
        stock = word(pb.LineStock, line.stock) if line.stock else ""
        table.add_row(str(line.quantity), line.sku, title, amount, stock, line.explanation, line.id)
    return Group(about, "", table)


def _text(amount: money_pb2.Money) -> str:
    return money.written(money.from_proto(amount))
