"""center stock: how much there is of what, where, and why."""

from typing import Annotated

import typer

from center.dataplane.v1 import inventory_service_pb2 as pb
from shared.cli.call import Call, Limit, TenantArgument, filtered_by, operator, word
from shared.runtime.ids import uuid7

app = typer.Typer(help="How much there is of what a shop sells, where, and why.", no_args_is_help=True)

INVENTORY = pb.DESCRIPTOR.services_by_name["InventoryService"]

VariantArgument = Annotated[str, typer.Argument(metavar="VARIANT", help="A variant's id.")]
LocationOption = Annotated[str, typer.Option("--location", help="A location's id; the first active one by default.")]


@operator(app, "set")
async def set_(
    call: Call,
    tenant: TenantArgument,
    variant: VariantArgument,
    on_hand: Annotated[int, typer.Argument(help="How many there are.")],
    location: LocationOption = "",
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; kept with the movement.")] = "counted",
    backorder: Annotated[
        bool | None, typer.Option("--backorder/--no-backorder", help="Whether more can be promised than there is.")
    ] = None,
    low: Annotated[int | None, typer.Option(help="Low when no more than this is available; -1: never.")] = None,
    request_id: Annotated[str, typer.Option(help="The same again has no second effect.")] = "",
) -> None:
    """Book how many were counted, and how a level behaves."""
    counted = pb.StockAdjustment(
        variant_id=variant, location_id=location, kind="STOCK_MOVEMENT_KIND_ADJUSTED", counted=on_hand
    )
    adjust = pb.AdjustStockRequest(adjustments=[counted], reason=reason, request_id=request_id or uuid7())
    await call.in_shop(tenant, INVENTORY, "AdjustStock", adjust)
    configure = pb.ConfigureStockRequest(
        variant_id=variant, location_id=location, allows_backorder=backorder, low_threshold=low, request_id=uuid7()
    )
    answer = await call.in_shop(tenant, INVENTORY, "ConfigureStock", configure)
    level = answer.level
    call.show(level, lambda: f"{level.on_hand} on hand, {level.available} available")


@operator(app)
async def show(
    call: Call,
    tenant: TenantArgument,
    filter: Annotated[str, filtered_by('variant_id = "..." AND on_hand > 0')] = "",
    limit: Limit = 100,
) -> None:
    """List levels."""
    await call.table(
        call.pages(INVENTORY, "ListStock", pb.ListStockRequest(filter=filter), "levels", limit, tenant=tenant),
        "levels",
        [
            ("VARIANT", lambda s: s.variant_id),
            ("LOCATION", lambda s: s.location_id),
            ("ON HAND", lambda s: s.on_hand),
            ("RESERVED", lambda s: s.reserved),
            ("AVAILABLE", lambda s: s.available),
            ("BACKORDERED", lambda s: s.backordered),
            ("UPDATED", lambda s: s.update_time),
        ],
    )


@operator(app)
async def locations(call: Call, tenant: TenantArgument, limit: Limit = 100) -> None:
    """List locations in the order in which reservations try them."""
    await call.table(
        call.pages(INVENTORY, "ListLocations", pb.ListLocationsRequest(), "locations", limit, tenant=tenant),
        "locations",
        [
            ("CODE", lambda p: p.code),
            ("NAME", lambda p: p.name),
            ("PRIORITY", lambda p: p.priority),
            ("ACTIVE", lambda p: p.is_active),
            ("ID", lambda p: p.id),
        ],
    )


@operator(app)
async def movements(
    call: Call,
    tenant: TenantArgument,
    filter: Annotated[str, filtered_by("kind = SHIPPED")] = "",
    limit: Limit = 100,
) -> None:
    """List movements, newest first."""
    await call.table(
        call.pages(
            INVENTORY, "ListMovements", pb.ListMovementsRequest(filter=filter), "movements", limit, tenant=tenant
        ),
        "movements",
        [
            ("WHEN", lambda m: m.create_time),
            ("KIND", lambda m: word(pb.StockMovementKind, m.kind)),
            ("ON HAND", lambda m: _signed(m.on_hand)),
            ("RESERVED", lambda m: _signed(m.reserved)),
            ("VARIANT", lambda m: m.variant_id),
            ("REFERENCE", lambda m: m.reference),
            ("REASON", lambda m: m.reason),
        ],
    )


def _signed(number: int) -> str:
    return f"{number:+}" if number else ""
