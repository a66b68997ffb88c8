"""center checkout: how a shop ships, taxes and takes its money, and where a shopper's checkout stands."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format
from rich.console import Group
from rich.table import Table

from center.dataplane.v1 import checkout_service_pb2 as pb
from center.dataplane.v1 import order_service_pb2 as orders_pb
from shared.cli import amounts
from shared.cli.call import Call, TenantArgument, card, operator, word
from shared.runtime.ids import uuid7

app = typer.Typer(help="How a shop turns carts into orders.", no_args_is_help=True)
settings = typer.Typer(help="How a shop ships, taxes and takes its money.", no_args_is_help=True)
app.add_typer(settings, name="settings")

CHECKOUTS = pb.DESCRIPTOR.services_by_name["CheckoutService"]
SELLING = pb.DESCRIPTOR.services_by_name["SellingService"]


@operator(app)
async def status(
    call: Call, tenant: TenantArgument, cart: Annotated[str, typer.Argument(metavar="CART", help="A cart's id.")]
) -> None:
    """Show where a cart's checkout stands."""
    answer = await call.in_shop(tenant, CHECKOUTS, "GetCheckout", pb.GetCheckoutRequest(cart_id=cart))
    found = answer.checkout
    rows = [
        ("state", word(pb.CheckoutState, found.state)),
        ("order", found.order_number and f"{found.order_number} {word(orders_pb.OrderState, found.order_state)}"),
        ("total", amounts.text(found.total)),
        ("why", "\n".join(found.explanation)),
        ("to confirm", found.action_url),
        ("failed", found.failure_reason),
        ("until", found.expire_time),
    ]
    call.show(found, lambda: card(rows))


@operator(settings)
async def show(call: Call, tenant: TenantArgument) -> None:
    """Show them; as JSON they are what `set` reads."""
    answer = await call.in_shop(tenant, SELLING, "GetSellingSettings", pb.GetSellingSettingsRequest())
    call.show(answer.settings, lambda: _shown(answer.settings))


@operator(settings, "set")
async def set_(
    call: Call,
    tenant: TenantArgument,
    file: Annotated[str, typer.Option("--file", "-f", help="JSON as `show --json` writes it; - for stdin.")] = "",
    tax: Annotated[
        list[str] | None, typer.Option(help="Such as GB=2000, in hundredths of a percent; =700 for elsewhere.")
    ] = None,
    prices_include_tax: Annotated[bool | None, typer.Option("--prices-include-tax/--tax-on-top")] = None,
    shipping: Annotated[list[str] | None, typer.Option(help="A flat price everywhere, such as 4.90EUR.")] = None,
    hold: Annotated[int | None, typer.Option(help="For how many seconds a checkout holds its stock.")] = None,
    when_fulfilled: Annotated[
        bool | None, typer.Option("--capture-when-fulfilled/--capture-when-placed", help="When the money is taken.")
    ] = None,
) -> None:
    """Replace them by a file, or change what is named."""
    if file:
        wanted = _read(file)
    else:
        wanted = (await call.in_shop(tenant, SELLING, "GetSellingSettings", pb.GetSellingSettingsRequest())).settings
    if tax is not None:
        del wanted.tax_rates[:]
        wanted.tax_rates.extend(_tax(each) for each in tax)
    if shipping is not None:
        del wanted.shipping_rates[:]
        wanted.shipping_rates.extend(_flat(each) for each in shipping)
    if prices_include_tax is not None:
        wanted.prices_include_tax = prices_include_tax
    if hold is not None:
        wanted.hold_seconds = hold
    if when_fulfilled is not None:
        wanted.capture = pb.CAPTURE_MODE_WHEN_FULFILLED if when_fulfilled else pb.CAPTURE_MODE_WHEN_PLACED
    wanted.ClearField("update_time")
    request = pb.SetSellingSettingsRequest(settings=wanted, request_id=uuid7())
    answer = await call.in_shop(tenant, SELLING, "SetSellingSettings", request)
    call.show(answer.settings, lambda: _shown(answer.settings))


def _read(file: str) -> pb.SellingSettings:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        return json_format.Parse(text, pb.SellingSettings())
    except (OSError, UnicodeDecodeError, json_format.ParseError) as error:
        raise typer.BadParameter(str(error), param_hint="--file") from None


def _tax(text: str) -> pb.TaxRate:
    country, _, basis_points = text.partition("=")
    if not basis_points.isdecimal():
        raise typer.BadParameter(f"{text!r} is not like GB=2000", param_hint="--tax")
    return pb.TaxRate(country_code=country, basis_points=int(basis_points), applies_to_shipping=True)


def _flat(text: str) -> pb.ShippingRate:
    price = amounts.read(text)
    if price is None:
        raise typer.BadParameter("such as 4.90EUR", param_hint="--shipping")
    currency = price.currency_code
    return pb.ShippingRate(
        id=f"standard-{currency.lower()}", name="Standard", currency_code=currency, rows=[pb.ShippingRow(price=price)]
    )


def _shown(found: pb.SellingSettings) -> Group:
    about = card(
        [
            ("prices", "include tax" if found.prices_include_tax else "tax comes on top"),
            ("money", word(pb.CaptureMode, found.capture)),
            ("stock is held", f"{found.hold_seconds} s"),
            ("updated", found.update_time),
            ("etag", found.etag),
        ]
    )
    taxes = Table("COUNTRY", "TAX", "NAME", "ON SHIPPING", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for tax in found.tax_rates:
        whole, rest = divmod(tax.basis_points, 100)
        taxes.add_row(tax.country_code or "elsewhere", f"{whole}.{rest:02} %", tax.name, str(tax.applies_to_shipping))
    rates = Table("SHIPPING", "NAME", "WHERE", "GOODS FROM", "PRICE", box=None, padding=(0, 2, 0, 0))
    rates.header_style = "bold"
    for rate in found.shipping_rates:
        for row in rate.rows:
            where = " ".join(rate.country_codes) or "everywhere"
            start = amounts.text(getattr(row, "from"))
            rates.add_row(rate.id, rate.name, where, start, amounts.text(row.price))
    return Group(about, "", taxes, "", rates if found.shipping_rates else "shipping is free")
