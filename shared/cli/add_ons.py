"""center add-ons: what tenants can have on top of any plan."""

from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from rich.table import Table

from center.control.v1 import plan_service_pb2 as pb
from shared.cli.call import Call, Limit, Reason, TenantArgument, card, filtered_by, operator, pairs, word
from shared.cli.features import ForLength
from shared.cli.values import PLANS, WRITTEN, read, text_of, until

app = typer.Typer(help="What tenants can have on top of any plan.", no_args_is_help=True)

AddOnArgument = Annotated[str, typer.Argument(metavar="ADD_ON")]
GrantOption = Annotated[
    list[str] | None, typer.Option("--grant", help=f"FEATURE=VALUE, at least; the value is {WRITTEN}.")
]
ExtraOption = Annotated[list[str] | None, typer.Option("--extra", help="FEATURE=UNITS on top of what the tenant has.")]


def effect(feature: pb.AddOnFeature) -> str:
    return f"+{feature.extra_units}" if feature.HasField("extra_units") else text_of(feature.grant)


def facts(add_on: pb.AddOn) -> Table:
    return card(
        [
            ("id", add_on.id),
            ("name", add_on.display_name),
            ("description", add_on.description),
            ("state", word(pb.AddOnState, add_on.state)),
            ("features", {each.feature_id: effect(each) for each in add_on.features}),
            ("created", add_on.create_time),
            ("updated", add_on.update_time),
            ("revision", add_on.revision),
            ("etag", add_on.etag),
        ]
    )


async def _features(call: Call, grant: list[str] | None, extra: list[str] | None) -> list[pb.AddOnFeature]:
    features = [
        pb.AddOnFeature(feature_id=feature_id, grant=await read(call, feature_id, value))
        for feature_id, value in pairs(grant or [], "--grant").items()
    ]
    for feature_id, units in pairs(extra or [], "--extra").items():
        if not units.isdecimal():
            raise typer.BadParameter(f"{units!r} is no number", param_hint="--extra")
        features.append(pb.AddOnFeature(feature_id=feature_id, extra_units=int(units)))
    return features


@operator(app, "list")
async def list_(call: Call, filter: Annotated[str, filtered_by('state = "ACTIVE"')] = "", limit: Limit = 1000) -> None:
    """List add-ons."""
    await call.table(
        call.pages(PLANS, "ListAddOns", pb.ListAddOnsRequest(filter=filter), "add_ons", limit),
        "add_ons",
        [
            ("ADD-ON", lambda a: a.id),
            ("STATE", lambda a: word(pb.AddOnState, a.state)),
            ("FEATURES", lambda a: {each.feature_id: effect(each) for each in a.features}),
        ],
    )


@operator(app)
async def show(call: Call, add_on: AddOnArgument) -> None:
    """Show one add-on."""
    answer = await call(PLANS, "GetAddOn", pb.GetAddOnRequest(id=add_on))
    call.show(answer.add_on, lambda: facts(answer.add_on))


@operator(app)
async def create(
    call: Call,
    add_on: AddOnArgument,
    grant: GrantOption = None,
    extra: ExtraOption = None,
    name: Annotated[str, typer.Option(help="Display name.")] = "",
) -> None:
    """Add an add-on."""
    made = pb.AddOn(id=add_on, display_name=name or add_on, features=await _features(call, grant, extra))
    answer = await call(PLANS, "CreateAddOn", pb.CreateAddOnRequest(add_on=made))
    call.show(answer.add_on, lambda: facts(answer.add_on))


@operator(app)
async def update(
    call: Call,
    add_on: AddOnArgument,
    grant: GrantOption = None,
    extra: ExtraOption = None,
    etag: Annotated[str, typer.Option(help="Refuse if it has changed since this etag was read.")] = "",
) -> None:
    """Replace what an add-on gives, at once for the tenants that have it."""
    changed = pb.AddOn(id=add_on, features=await _features(call, grant, extra), etag=etag)
    request = pb.UpdateAddOnRequest(add_on=changed, update_mask=FieldMask(paths=["features"]))
    answer = await call(PLANS, "UpdateAddOn", request)
    call.show(answer.add_on, lambda: facts(answer.add_on))


@operator(app)
async def archive(call: Call, add_on: AddOnArgument, reason: Reason) -> None:
    """End an add-on: no other tenant gets it."""
    answer = await call(PLANS, "ArchiveAddOn", pb.ArchiveAddOnRequest(id=add_on, reason=reason))
    call.show(answer.add_on, lambda: facts(answer.add_on))


@operator(app)
async def attach(
    call: Call,
    tenant: TenantArgument,
    add_on: AddOnArgument,
    reason: Reason,
    quantity: Annotated[int, typer.Option(min=1, help="How many of it.")] = 1,
    length: ForLength = "",
) -> None:
    """Give a tenant an add-on, or another quantity of it."""
    attachment = pb.Attachment(
        tenant_id=await call.tenant_id(tenant), add_on_id=add_on, quantity=quantity, expire_time=until(length)
    )
    answer = await call(PLANS, "AttachAddOn", pb.AttachAddOnRequest(attachment=attachment, reason=reason))
    call.show(answer.attachment, lambda: f"{quantity} x {add_on}, revision {answer.attachment.revision}")


@operator(app)
async def detach(call: Call, tenant: TenantArgument, add_on: AddOnArgument, reason: Reason) -> None:
    """Take an add-on away from a tenant."""
    request = pb.DetachAddOnRequest(tenant_id=await call.tenant_id(tenant), add_on_id=add_on, reason=reason)
    answer = await call(PLANS, "DetachAddOn", request)
    call.show(answer, lambda: f"{add_on} is detached, revision {answer.revision}")


@operator(app)
async def attached(
    call: Call, filter: Annotated[str, filtered_by('add_on_id = "more-products"')] = "", limit: Limit = 1000
) -> None:
    """List which tenants have which add-ons."""
    await call.table(
        call.pages(PLANS, "ListAttachments", pb.ListAttachmentsRequest(filter=filter), "attachments", limit),
        "attachments",
        [
            ("TENANT", lambda a: a.tenant_id),
            ("ADD-ON", lambda a: a.add_on_id),
            ("QUANTITY", lambda a: a.quantity),
            ("UNTIL", lambda a: a.expire_time),
        ],
    )
