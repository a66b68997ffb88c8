"""center entitlements: who may use which solution as what."""

from typing import Annotated

import typer
from rich.table import Table

from center.control.v1 import access_service_pb2 as pb
from shared.cli.call import Call, Limit, Reason, card, filtered_by, number, operator, word

app = typer.Typer(help="Who may use which solution as what.", no_args_is_help=True)

ACCESS = pb.DESCRIPTOR.services_by_name["AccessService"]

EntitlementArgument = Annotated[str, typer.Argument(metavar="ENTITLEMENT")]


def facts(entitlement: pb.Entitlement) -> Table:
    return card(
        [
            ("id", entitlement.id),
            ("user", entitlement.user_id),
            ("solution", entitlement.solution_id),
            ("tier", entitlement.tier),
            ("status", word(pb.EntitlementStatus, entitlement.status)),
            ("because", entitlement.status_reason),
            ("created", entitlement.create_time),
            ("updated", entitlement.update_time),
            ("revision", entitlement.revision),
            ("etag", entitlement.etag),
        ]
    )


@operator(app, "list")
async def list_(
    call: Call,
    filter: Annotated[str, filtered_by('solution_id = "search" AND status = SUSPENDED')] = "",
    limit: Limit = 100,
) -> None:
    """List entitlements, newest first."""
    await call.table(
        call.pages(ACCESS, "ListEntitlements", pb.ListEntitlementsRequest(filter=filter), "entitlements", limit),
        "entitlements",
        [
            ("ENTITLEMENT", lambda e: e.id),
            ("SOLUTION", lambda e: e.solution_id),
            ("USER", lambda e: e.user_id),
            ("TIER", lambda e: e.tier),
            ("STATUS", lambda e: word(pb.EntitlementStatus, e.status)),
            ("CREATED", lambda e: e.create_time),
        ],
    )


@operator(app)
async def show(call: Call, entitlement: EntitlementArgument) -> None:
    """Show one entitlement."""
    answer = await call(ACCESS, "GetEntitlement", pb.GetEntitlementRequest(id=entitlement))
    call.show(answer.entitlement, lambda: facts(answer.entitlement))


@operator(app)
async def update(
    call: Call,
    entitlement: EntitlementArgument,
    reason: Reason,
    tier: Annotated[str, typer.Option(help="The tier that it has from now on.")] = "",
    status: Annotated[str, typer.Option(help="active, suspended, or cancelled for good.")] = "",
    etag: Annotated[str, typer.Option(help="Refuse if it has changed since this etag was read.")] = "",
) -> None:
    """Change the tier or the status, under the live tokens."""
    if not tier and not status:
        raise typer.BadParameter("name a --tier or a --status")
    request = pb.UpdateEntitlementRequest(id=entitlement, tier=tier, reason=reason, etag=etag)
    if status:
        request.status = number(pb.EntitlementStatus, status)
    answer = await call(ACCESS, "UpdateEntitlement", request)
    call.show(answer.entitlement, lambda: facts(answer.entitlement))
