"""center overrides: one feature changed for one tenant."""

from typing import Annotated

import typer
from rich.table import Table

from center.control.v1 import plan_service_pb2 as pb
from shared.cli.call import Call, Limit, Reason, TenantArgument, card, filtered_by, operator
from shared.cli.features import FeatureArgument, ForLength
from shared.cli.values import PLANS, WRITTEN, read, text_of, until

app = typer.Typer(help="One feature changed for one tenant.", no_args_is_help=True)

_WAYS = ("add", "raise", "lower")


def action(override: pb.Override) -> str:
    which = override.WhichOneof("action") or ""
    return f"{which} {text_of(getattr(override, which))}" if which in _WAYS else which


def facts(override: pb.Override) -> Table:
    return card(
        [
            ("id", override.id),
            ("tenant", override.tenant_id),
            ("feature", override.feature_id),
            ("action", action(override)),
            ("reason", override.reason),
            ("until", override.expire_time),
            ("set", override.create_time),
            ("by", override.caller),
            ("revision", override.revision),
            ("etag", override.etag),
        ]
    )


@operator(app, "list")
async def list_(
    call: Call,
    tenant: Annotated[str, typer.Option(help="Only of this tenant: its code, id or domain.")] = "",
    filter: Annotated[str, filtered_by('feature_id = "products"')] = "",
    limit: Limit = 1000,
) -> None:
    """List overrides, newest first."""
    if tenant:
        mine = f'tenant_id = "{await call.tenant_id(tenant)}"'
        filter = f"{mine} AND ({filter})" if filter else mine
    await call.table(
        call.pages(PLANS, "ListOverrides", pb.ListOverridesRequest(filter=filter), "overrides", limit),
        "overrides",
        [
            ("OVERRIDE", lambda o: o.id),
            ("TENANT", lambda o: o.tenant_id),
            ("FEATURE", lambda o: o.feature_id),
            ("ACTION", action),
            ("UNTIL", lambda o: o.expire_time),
            ("REASON", lambda o: o.reason),
        ],
    )


@operator(app, "set")
async def set_(
    call: Call,
    tenant: TenantArgument,
    feature: FeatureArgument,
    reason: Reason,
    add: Annotated[str, typer.Option(help=f"Give this, whatever the plan gives: {WRITTEN}.")] = "",
    raise_to: Annotated[str, typer.Option("--raise", help="At least this.")] = "",
    lower_to: Annotated[str, typer.Option("--lower", help="At most this.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the feature away.")] = False,
    length: ForLength = "",
    etag: Annotated[str, typer.Option(help="Refuse if it has changed since this etag was read.")] = "",
) -> None:
    """Add, raise, lower or remove a feature for a tenant."""
    given = {way: value for way, value in zip(_WAYS, (add, raise_to, lower_to), strict=True) if value}
    if len(given) + remove != 1:
        raise typer.BadParameter("say one of --add, --raise, --lower and --remove")
    override = pb.Override(
        tenant_id=await call.tenant_id(tenant),
        feature_id=feature,
        reason=reason,
        expire_time=until(length),
        etag=etag,
    )
    if remove:
        override.remove.SetInParent()
    for way, value in given.items():
        getattr(override, way).CopyFrom(await read(call, feature, value))
    answer = await call(PLANS, "SetOverride", pb.SetOverrideRequest(override=override))
    call.show(answer.override, lambda: facts(answer.override))


@operator(app)
async def remove(
    call: Call,
    override: Annotated[str, typer.Argument(metavar="OVERRIDE", help="Its id.")],
    reason: Reason,
    etag: Annotated[str, typer.Option(help="Refuse if it has changed since this etag was read.")] = "",
) -> None:
    """End an override."""
    answer = await call(PLANS, "RemoveOverride", pb.RemoveOverrideRequest(id=override, reason=reason, etag=etag))
    call.show(answer, lambda: f"removed, revision {answer.revision}")
