"""center features: what tenants may have, and what each has."""

from typing import Annotated, Any

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from rich.table import Table

from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import quota_pb2
from shared.cli.call import Call, Limit, Reason, TenantArgument, card, filtered_by, number, operator, out, word
from shared.cli.values import PLANS, at, setting, setting_text, text_of, until

app = typer.Typer(help="What tenants may have, and what each has.", no_args_is_help=True)

FeatureArgument = Annotated[str, typer.Argument(metavar="FEATURE")]
Name = Annotated[str, typer.Option(help="Display name.")]
Units = Annotated[int, typer.Option(min=1, help="How many.")]
ForLength = Annotated[str, typer.Option("--for", help="How long it holds, such as 2h; for good unless given.")]


def kind(feature: pb.Feature) -> str:
    match feature.WhichOneof("kind"):
        case "metered":
            period = word(quota_pb2.QuotaPeriod, feature.metered.period).lower()
            return f"{feature.metered.unit}, {period}"
        case "configuration":
            return f"setting, {feature.configuration.schema.WhichOneof('type')}"
    return "boolean"


def share(rollout: pb.Rollout) -> str:
    return f"{rollout.basis_points / 100:g} %" + (f" in {rollout.cluster_id}" if rollout.cluster_id else "")


def scope(switch: pb.KillSwitch) -> str:
    return switch.tenant_id or switch.cluster_id or "everyone"


def facts(feature: pb.Feature) -> Table:
    configuration = feature.configuration
    return card(
        [
            ("id", feature.id),
            ("name", feature.display_name),
            ("description", feature.description),
            ("kind", kind(feature)),
            ("default", setting_text(configuration.default_value) if feature.HasField("configuration") else ""),
            ("schema", " ".join(str(configuration.schema).split()) if feature.HasField("configuration") else ""),
            ("state", word(pb.FeatureState, feature.state)),
            ("rollouts", [share(each) for each in feature.rollouts]),
            ("killed for", [f"{scope(each)} ({each.reason})" for each in feature.kill_switches]),
            ("created", feature.create_time),
            ("updated", feature.update_time),
            ("revision", feature.revision),
            ("etag", feature.etag),
        ]
    )


def source(of: pb.FeatureSource) -> str:
    return f"{word(pb.FeatureSourceKind, of.kind).lower().replace('_', ' ')} {of.id}".strip()


@operator(app, "list")
async def list_(call: Call, filter: Annotated[str, filtered_by('kind = "METERED"')] = "", limit: Limit = 1000) -> None:
    """List features."""
    await call.table(
        call.pages(PLANS, "ListFeatures", pb.ListFeaturesRequest(filter=filter), "features", limit),
        "features",
        [
            ("FEATURE", lambda f: f.id),
            ("KIND", kind),
            ("STATE", lambda f: word(pb.FeatureState, f.state)),
            ("ROLLOUT", lambda f: [share(each) for each in f.rollouts]),
            ("KILLED FOR", lambda f: [scope(each) for each in f.kill_switches]),
        ],
    )


@operator(app)
async def show(call: Call, feature: FeatureArgument) -> None:
    """Show one feature, with its rollouts and kill switches."""
    answer = await call(PLANS, "GetFeature", pb.GetFeatureRequest(id=feature))
    call.show(answer.feature, lambda: facts(answer.feature))


@operator(app)
async def create(
    call: Call,
    feature: FeatureArgument,
    unit: Annotated[str, typer.Option(help="What is counted: makes it a metered feature.")] = "",
    period: Annotated[str, typer.Option(help="hour, day, week, month or standing.")] = "standing",
    type: Annotated[
        str, typer.Option(help="integer, number, boolean, text, text_list or rate_limit: makes it a setting.")
    ] = "",
    default: Annotated[str, typer.Option(help="A setting's value where a tenant does not have it.")] = "",
    allowed: Annotated[list[str] | None, typer.Option(help="A text that a setting may be.")] = None,
    name: Name = "",
) -> None:
    """Add a feature; boolean unless it is counted or a setting."""
    made = pb.Feature(id=feature, display_name=name or feature)
    if unit:
        made.metered.CopyFrom(pb.MeteredFeature(unit=unit, period=number(quota_pb2.QuotaPeriod, period)))
    elif type:
        schema = made.configuration.schema
        if type not in [field.name for field in schema.DESCRIPTOR.fields]:
            raise typer.BadParameter(f"there are no settings of type {type}", param_hint="--type")
        getattr(schema, type).SetInParent()
        if allowed:
            texts = schema.text_list.items if type == "text_list" else schema.text
            texts.allowed.extend(allowed)
        made.configuration.default_value.CopyFrom(setting(type, default))
    else:
        made.boolean.SetInParent()
    answer = await call(PLANS, "CreateFeature", pb.CreateFeatureRequest(feature=made))
    call.show(answer.feature, lambda: facts(answer.feature))


@operator(app)
async def update(
    call: Call,
    feature: FeatureArgument,
    name: Annotated[str | None, typer.Option(help="Display name.")] = None,
    description: Annotated[str | None, typer.Option()] = None,
    etag: Annotated[str, typer.Option(help="Refuse if it has changed since this etag was read.")] = "",
) -> None:
    """Change a feature's texts."""
    given = {"display_name": name, "description": description}
    paths = [path for path, value in given.items() if value is not None]
    if not paths:
        raise typer.BadParameter("name something to change; --help lists what can be")
    found = (await call.look_up(PLANS, "GetFeature", pb.GetFeatureRequest(id=feature))).feature
    # The contract checks the whole message, kind included.
    changed = pb.Feature()
    changed.CopyFrom(found)
    changed.display_name, changed.description, changed.etag = name or "", description or "", etag
    request = pb.UpdateFeatureRequest(feature=changed, update_mask=FieldMask(paths=paths))
    answer = await call(PLANS, "UpdateFeature", request)
    call.show(answer.feature, lambda: facts(answer.feature))


@operator(app)
async def archive(call: Call, feature: FeatureArgument, reason: Reason) -> None:
    """End a feature: nothing new may name it."""
    answer = await call(PLANS, "ArchiveFeature", pb.ArchiveFeatureRequest(id=feature, reason=reason))
    call.show(answer.feature, lambda: facts(answer.feature))


@operator(app)
async def rollout(
    call: Call,
    feature: FeatureArgument,
    percent: Annotated[float, typer.Argument(min=0, max=100, help="Of the tenants whose plans give it.")],
    reason: Reason,
    cluster: Annotated[str, typer.Option(help="Only there.")] = "",
) -> None:
    """Let a share of tenants have a feature; who is in stays in while the share grows."""
    share_of = pb.Rollout(feature_id=feature, cluster_id=cluster, basis_points=round(percent * 100), reason=reason)
    answer = await call(PLANS, "SetRollout", pb.SetRolloutRequest(rollout=share_of))
    call.show(answer.rollout, lambda: f"{feature}: {share(answer.rollout)}, revision {answer.rollout.revision}")


@operator(app)
async def release(
    call: Call,
    feature: FeatureArgument,
    reason: Reason,
    cluster: Annotated[str, typer.Option(help="The rollout of this cluster.")] = "",
) -> None:
    """End a rollout: every tenant has what its plan gives."""
    request = pb.RemoveRolloutRequest(feature_id=feature, cluster_id=cluster, reason=reason)
    answer = await call(PLANS, "RemoveRollout", request)
    call.show(answer, lambda: f"{feature} is everyone's, revision {answer.revision}")


@operator(app)
async def kill(
    call: Call,
    feature: FeatureArgument,
    reason: Reason,
    tenant: Annotated[str, typer.Option(help="Only for this tenant: its code, id or domain.")] = "",
    cluster: Annotated[str, typer.Option(help="Only in this cluster.")] = "",
    length: ForLength = "",
) -> None:
    """Take a feature away at once, from everyone unless a tenant or cluster is named."""
    if tenant and cluster:
        raise typer.BadParameter("name a tenant or a cluster, not both")
    switch = pb.KillSwitch(
        feature_id=feature,
        tenant_id=await call.tenant_id(tenant) if tenant else None,
        cluster_id=cluster or None,
        reason=reason,
        expire_time=until(length),
    )
    answer = await call(PLANS, "SetKillSwitch", pb.SetKillSwitchRequest(kill_switch=switch))
    made = answer.kill_switch
    call.show(made, lambda: f"{feature} is off for {scope(made)}; `center features revive {made.id}` gives it back")


@operator(app)
async def revive(
    call: Call, switch: Annotated[str, typer.Argument(metavar="KILL_SWITCH", help="Its id.")], reason: Reason
) -> None:
    """Give a feature back that a kill switch took away."""
    request = pb.RemoveKillSwitchRequest(id=switch, reason=reason)
    answer = await call(PLANS, "RemoveKillSwitch", request)
    call.show(answer, lambda: f"removed, revision {answer.revision}")


@operator(app)
async def kills(
    call: Call, filter: Annotated[str, filtered_by('feature_id = "products"')] = "", limit: Limit = 1000
) -> None:
    """List the kill switches that hold."""
    await call.table(
        call.pages(PLANS, "ListKillSwitches", pb.ListKillSwitchesRequest(filter=filter), "kill_switches", limit),
        "kill_switches",
        [
            ("KILL SWITCH", lambda k: k.id),
            ("FEATURE", lambda k: k.feature_id),
            ("FOR", scope),
            ("REASON", lambda k: k.reason),
            ("UNTIL", lambda k: k.expire_time),
            ("BY", lambda k: k.caller),
        ],
    )


@operator(app)
async def of(call: Call, tenant: TenantArgument) -> None:
    """Show what a tenant has, and where from."""
    request = pb.GetTenantFeaturesRequest(tenant_id=await call.tenant_id(tenant))
    answer = await call(PLANS, "GetTenantFeatures", request)
    call.show(answer, lambda: having(answer.features))


def having(features: pb.TenantFeatures) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title_justify="left")
    table.title = f"{features.plan_id}/{features.plan_version}, version {features.version}, hash {features.hash}"
    for heading in ("FEATURE", "HAS IT", "VALUE", "FROM"):
        table.add_column(heading, overflow="fold")
    for each in features.features:
        causes = [f"{source(cause)}: {word(pb.FeatureEffect, cause.effect).lower()}" for cause in each.sources]
        table.add_row(each.feature_id, "yes" if each.enabled else "no", text_of(each.value), "\n".join(causes))
    return table


@operator(app)
async def explain(
    call: Call,
    tenant: TenantArgument,
    feature: FeatureArgument,
    time: Annotated[str, typer.Option("--at", help="A time to come, or a length of time from now.")] = "",
) -> None:
    """Tell step by step why a tenant has a feature, or has it not."""
    request = pb.ExplainFeatureRequest(tenant_id=await call.tenant_id(tenant), feature_id=feature, time=at(time))
    answer = await call(PLANS, "ExplainFeature", request)
    call.show(answer, lambda: _explained(answer))


def _explained(answer: Any) -> None:
    for step in answer.steps:
        cause = step.source
        why = f" ({cause.reason})" if cause.reason else ""
        out.print(f"{source(cause) or 'nothing'}: {step.message}{why}", markup=False)
    has = "has it" if answer.feature.enabled else "does not have it"
    out.print(f"The tenant {has}: {text_of(answer.feature.value)}", markup=False)


@operator(app)
async def use(
    call: Call,
    tenant: TenantArgument,
    feature: FeatureArgument,
    units: Units = 1,
    peek: Annotated[bool, typer.Option("--peek", help="Decides without spending.")] = False,
) -> None:
    """Use a metered feature for a tenant; it spends, unless --peek is given."""
    tenant_id = await call.tenant_id(tenant)
    if peek:
        question = pb.PeekFeatureRequest(tenant_id=tenant_id, feature_id=feature, units=units)
        answer = await call(PLANS, "PeekFeature", question)
    else:
        request = pb.UseFeatureRequest(tenant_id=tenant_id, feature_id=feature, units=units)
        answer = await call(PLANS, "UseFeature", request)
    call.show(answer, lambda: _told(answer))


def _told(answer: Any) -> Table:
    return card(
        [
            ("decision", "allowed" if answer.allowed else "refused"),
            ("code", word(pb.FeatureUseCode, answer.code)),
            ("used", answer.used_units),
            ("remaining", answer.remaining_units if answer.HasField("remaining_units") else "unlimited"),
            ("limit", answer.limit if answer.HasField("limit") else "unlimited"),
            ("resets", answer.resets_at if answer.HasField("resets_at") else "never"),
            ("revision", answer.revision),
        ]
    )


@operator(app)
async def give_back(call: Call, tenant: TenantArgument, feature: FeatureArgument, units: Units = 1) -> None:
    """Give units back that a tenant has used in the present window."""
    request = pb.ReturnFeatureUnitsRequest(tenant_id=await call.tenant_id(tenant), feature_id=feature, units=units)
    answer = await call(PLANS, "ReturnFeatureUnits", request)
    call.show(answer, lambda: f"{answer.returned_units} came back, {answer.used_units} are used")


@operator(app)
async def usage(
    call: Call,
    tenant: TenantArgument,
    filter: Annotated[str, filtered_by('feature_id = "products"')] = "",
    limit: Limit = 1000,
) -> None:
    """List what a tenant has used of metered features, the newest windows first."""
    request = pb.ListFeatureUsageRequest(tenant_id=await call.tenant_id(tenant), filter=filter)
    await call.table(
        call.pages(PLANS, "ListFeatureUsage", request, "usage", limit),
        "usage",
        [
            ("FEATURE", lambda u: u.feature_id),
            ("FROM", lambda u: u.window_start if u.HasField("window_start") else "stands"),
            ("TO", lambda u: u.window_end if u.HasField("window_end") else ""),
            ("USED", lambda u: u.used_units),
            ("CARRIED", lambda u: u.carried_units),
            ("LAST USED", lambda u: u.update_time),
        ],
    )


@operator(app)
async def watchers(call: Call, filter: Annotated[str, filtered_by("live = true")] = "", limit: Limit = 1000) -> None:
    """List who watches what tenants have, and what each has applied."""
    await call.table(
        call.pages(PLANS, "ListFeatureWatchers", pb.ListFeatureWatchersRequest(filter=filter), "watchers", limit),
        "watchers",
        [
            ("WATCHER", lambda w: w.id),
            ("APPLIED", lambda w: w.applied_revision),
            ("LIVE", lambda w: "yes" if w.live else "no"),
            ("SEEN", lambda w: w.seen_time),
            ("REFUSED", lambda w: [f"{each.resource_id}: {each.reason}" for each in w.refusals]),
        ],
    )
