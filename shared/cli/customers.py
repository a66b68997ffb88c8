"""center customers: shoppers who are customers of a shop."""

from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table

from center.dataplane.v1 import customer_service_pb2 as pb
from shared.cli.call import UUID, Call, Limit, Reason, TenantArgument, card, filtered_by, operator, text, word
from shared.runtime.errors import NotFound
from shared.runtime.ids import uuid7

app = typer.Typer(help="Shoppers who are customers of a shop.", no_args_is_help=True)

CUSTOMERS = pb.DESCRIPTOR.services_by_name["CustomerService"]

CustomerArgument = Annotated[str, typer.Argument(metavar="CUSTOMER", help="A customer's id or e-mail.")]


@operator(app, "list")
async def list_(
    call: Call,
    tenant: TenantArgument,
    filter: Annotated[str, filtered_by("external_id = 14646")] = "",
    email: Annotated[str, typer.Option(help="Only the customer who has it.")] = "",
    limit: Limit = 100,
) -> None:
    """List a shop's customers, newest first."""
    request = pb.ListCustomersRequest(filter=filter, email=email)
    await call.table(
        call.pages(CUSTOMERS, "ListCustomers", request, "customers", limit, tenant=tenant),
        "customers",
        [
            ("CREATED", lambda c: c.create_time),
            ("STATE", lambda c: word(pb.CustomerState, c.state)),
            ("EXTERNAL", lambda c: c.external_id),
            ("E-MAIL", lambda c: c.email),
            ("NAME", lambda c: c.name),
            ("ID", lambda c: c.id),
        ],
    )


@operator(app)
async def show(call: Call, tenant: TenantArgument, customer: CustomerArgument) -> None:
    """Show one customer."""
    request = pb.GetCustomerRequest(id=await _id(call, tenant, customer))
    answer = await call.in_shop(tenant, CUSTOMERS, "GetCustomer", request)
    call.show(answer.customer, lambda: _shown(answer.customer))


@operator(app)
async def export(call: Call, tenant: TenantArgument, customer: CustomerArgument) -> None:
    """Show everything that is kept of a customer; --json is what the customer gets."""
    request = pb.ExportCustomerRequest(id=await _id(call, tenant, customer))
    answer = await call.in_shop(tenant, CUSTOMERS, "ExportCustomer", request)
    call.show(answer.export, lambda: _exported(answer.export))


@operator(app)
async def erase(call: Call, tenant: TenantArgument, customer: CustomerArgument, reason: Reason) -> None:
    """Forget a customer for good; what is left is an id that orders refer to."""
    request = pb.EraseCustomerRequest(id=await _id(call, tenant, customer), reason=reason, request_id=uuid7())
    answer = await call.in_shop(tenant, CUSTOMERS, "EraseCustomer", request)
    call.show(answer.customer, lambda: f"customer {answer.customer.id} is erased")


async def _id(call: Call, tenant: str, reference: str) -> str:
    if UUID.fullmatch(reference):
        return reference
    found = await call.in_shop(tenant, CUSTOMERS, "ListCustomers", pb.ListCustomersRequest(email=reference))
    if not found.customers:
        raise NotFound("CUSTOMER_NOT_FOUND", "no customer of this shop has this e-mail")
    return str(found.customers[0].id)


def _shown(customer: pb.Customer) -> Group:
    about = card(
        [
            ("id", customer.id),
            ("state", word(pb.CustomerState, customer.state)),
            ("external id", customer.external_id),
            ("e-mail", customer.email),
            ("name", customer.name),
            ("phone", customer.phone),
            ("locale", customer.locale),
            ("marketing", _consent(customer)),
            ("password", "set" if customer.has_password else "none"),
            ("created", customer.create_time),
            ("updated", customer.update_time),
            ("erased", customer.erase_time),
        ]
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("DEFAULT", "ADDRESS", "ID"):
        table.add_column(heading, overflow="fold")
    for each in customer.addresses:
        address = each.address
        place = f"{address.postal_code} {address.city}".strip()
        told = ", ".join([address.name, *address.lines, place, address.country_code])
        table.add_row("yes" if each.is_default else "", told, each.id)
    return Group(about, "", table) if customer.addresses else Group(about)


def _consent(customer: pb.Customer) -> str:
    if not customer.HasField("marketing_consent_time"):
        return "never asked"
    word = "yes" if customer.marketing_consent else "no"
    return f"{word}, since {text(customer.marketing_consent_time)}"


def _exported(export: pb.CustomerExport) -> Group:
    rest = card(
        [
            *(
                ("consent given" if each.given else "consent withdrawn", each.time)
                for each in export.marketing_consents
            ),
            ("carts", list(export.cart_ids)),
        ]
    )
    return Group(_shown(export.customer), "", rest)
