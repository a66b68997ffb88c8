"""center plans: what tenants are on, version by version."""

from typing import Annotated, Any

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from rich.console import Group
from rich.table import Table

from center.control.v1 import plan_service_pb2 as pb
from shared.cli.call import Call, Limit, Reason, TenantArgument, card, filtered_by, operator, out, word
from shared.cli.features import having
from shared.cli.values import PLANS, WRITTEN, at, read_all, text_of

app = typer.Typer(help="What tenants are on, version by version.", no_args_is_help=True)

PlanArgument = Annotated[str, typer.Argument(metavar="PLAN")]
VersionArgument = Annotated[int, typer.Argument(metavar="VERSION", min=1)]
FeatureOption = Annotated[list[str] | None, typer.Option("--feature", help=f"FEATURE=VALUE; the value is {WRITTEN}.")]
AtOption = Annotated[str, typer.Option("--at", help="When, or how long from now, such as 2h; now unless given.")]
Etag = Annotated[str, typer.Option(help="Refuse if it has changed since this etag was read.")]


def facts(plan: pb.Plan) -> Table:
    return card(
        [
            ("id", plan.id),
            ("name", plan.display_name),
            ("description", plan.description),
            ("active version", plan.active_version),
            ("latest version", plan.latest_version),
            ("created", plan.create_time),
            ("updated", plan.update_time),
            ("revision", plan.revision),
            ("etag", plan.etag),
        ]
    )


def described(version: pb.PlanVersion) -> Group:
    about = card(
        [
            ("version", f"{version.plan_id}/{version.version}"),
            ("state", word(pb.PlanVersionState, version.state)),
            ("note", version.note),
            ("effective", version.effective_time),
            ("archived", version.archive_time),
            ("problems", [f"{each.reason}: {each.message}" for each in version.problems]),
            ("etag", version.etag),
        ]
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("FEATURE")
    table.add_column("VALUE", overflow="fold")
    for each in version.features:
        table.add_row(each.feature_id, text_of(each.value))
    return Group(about, "", table)


@operator(app, "list")
async def list_(
    call: Call, filter: Annotated[str, filtered_by("active_version > 0")] = "", limit: Limit = 1000
) -> None:
    """List plans."""
    await call.table(
        call.pages(PLANS, "ListPlans", pb.ListPlansRequest(filter=filter), "plans", limit),
        "plans",
        [
            ("PLAN", lambda p: p.id),
            ("NAME", lambda p: p.display_name),
            ("ACTIVE", lambda p: p.active_version or "none"),
            ("LATEST", lambda p: p.latest_version),
            ("UPDATED", lambda p: p.update_time),
        ],
    )


@operator(app)
async def show(
    call: Call, plan: PlanArgument, version: Annotated[int, typer.Option(help="The active one unless given.")] = 0
) -> None:
    """Show a plan and what one of its versions gives."""
    found = (await call.look_up(PLANS, "GetPlan", pb.GetPlanRequest(id=plan))).plan
    request = pb.GetPlanVersionRequest(plan_id=plan, version=version or found.active_version or found.latest_version)
    answer = await call(PLANS, "GetPlanVersion", request)
    call.show(answer.version, lambda: Group(facts(found), "", described(answer.version)))


@operator(app)
async def versions(
    call: Call, plan: PlanArgument, filter: Annotated[str, filtered_by('state = "DRAFT"')] = "", limit: Limit = 1000
) -> None:
    """List the versions of a plan, newest first."""
    request = pb.ListPlanVersionsRequest(plan_id=plan, filter=filter)
    await call.table(
        call.pages(PLANS, "ListPlanVersions", request, "versions", limit),
        "versions",
        [
            ("VERSION", lambda v: v.version),
            ("STATE", lambda v: word(pb.PlanVersionState, v.state)),
            ("EFFECTIVE", lambda v: v.effective_time),
            ("FEATURES", lambda v: {each.feature_id: text_of(each.value) for each in v.features}),
            ("PROBLEMS", lambda v: [each.message for each in v.problems]),
        ],
    )


@operator(app)
async def create(
    call: Call,
    plan: PlanArgument,
    feature: FeatureOption = None,
    name: Annotated[str, typer.Option(help="Display name.")] = "",
) -> None:
    """Add a plan, with version 1 as a draft."""
    features = await read_all(call, feature or [], "--feature")
    request = pb.CreatePlanRequest(plan=pb.Plan(id=plan, display_name=name or plan), features=features)
    answer = await call(PLANS, "CreatePlan", request)
    call.show(answer, lambda: described(answer.version))


@operator(app)
async def rename(call: Call, plan: PlanArgument, name: Annotated[str, typer.Argument()], etag: Etag = "") -> None:
    """Change a plan's display name."""
    changed = pb.Plan(id=plan, display_name=name, etag=etag)
    request = pb.UpdatePlanRequest(plan=changed, update_mask=FieldMask(paths=["display_name"]))
    answer = await call(PLANS, "UpdatePlan", request)
    call.show(answer.plan, lambda: facts(answer.plan))


@operator(app)
async def draft(
    call: Call,
    plan: PlanArgument,
    feature: FeatureOption = None,
    copy: Annotated[
        int, typer.Option(help="Start from the features of this version; the active one unless given.")
    ] = 0,
    empty: Annotated[bool, typer.Option("--empty", help="Start from nothing.")] = False,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
) -> None:
    """Add the next version of a plan as a draft."""
    features = await read_all(call, feature or [], "--feature")
    if not copy and not empty:
        copy = (await call.look_up(PLANS, "GetPlan", pb.GetPlanRequest(id=plan))).plan.active_version
    request = pb.CreatePlanVersionRequest(plan_id=plan, features=features, copy_version=copy, note=note)
    answer = await call(PLANS, "CreatePlanVersion", request)
    call.show(answer.version, lambda: described(answer.version))


@operator(app)
async def edit(
    call: Call,
    plan: PlanArgument,
    version: VersionArgument,
    feature: FeatureOption = None,
    without: Annotated[list[str] | None, typer.Option(help="A feature that it is not to give.")] = None,
    note: Annotated[str | None, typer.Option()] = None,
    etag: Etag = "",
) -> None:
    """Change a draft."""
    look = pb.GetPlanVersionRequest(plan_id=plan, version=version)
    found: pb.PlanVersion = (await call.look_up(PLANS, "GetPlanVersion", look)).version
    features = {each.feature_id: each for each in found.features}
    features.update((each.feature_id, each) for each in await read_all(call, feature or [], "--feature"))
    for gone in without or []:
        features.pop(gone, None)
    changed = pb.PlanVersion(
        plan_id=plan, version=version, features=features.values(), note=note or "", etag=etag or found.etag
    )
    paths = ["features", *(["note"] if note is not None else [])]
    request = pb.UpdatePlanVersionRequest(version=changed, update_mask=FieldMask(paths=paths))
    answer = await call(PLANS, "UpdatePlanVersion", request)
    call.show(answer.version, lambda: described(answer.version))


@operator(app)
async def validate(call: Call, plan: PlanArgument, version: VersionArgument) -> None:
    """Say what keeps a draft from being published; exits with 1 when something does."""
    request = pb.ValidatePlanVersionRequest(plan_id=plan, version=version)
    answer = await call(PLANS, "ValidatePlanVersion", request)
    call.show(answer, lambda: _problems(answer.problems))
    if answer.problems:
        raise typer.Exit(1)


def _problems(problems: Any) -> str:
    return "\n".join(f"{each.reason}: {each.message}" for each in problems) or "it can be published"


@operator(app)
async def publish(
    call: Call,
    plan: PlanArgument,
    version: VersionArgument,
    reason: Reason,
    time: AtOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come of it.")] = False,
) -> None:
    """Make a draft the plan's active version."""
    request = pb.PublishPlanVersionRequest(
        plan_id=plan, version=version, effective_time=at(time), validate_only=dry_run, reason=reason
    )
    answer = await call(PLANS, "PublishPlanVersion", request)
    call.show(answer, lambda: _published(answer))


def _published(answer: Any) -> Group:
    return Group(described(answer.version), "", f"{answer.tenant_count} tenants follow the plan")


@operator(app)
async def archive(call: Call, plan: PlanArgument, version: VersionArgument, reason: Reason) -> None:
    """End a version that is not wanted."""
    request = pb.ArchivePlanVersionRequest(plan_id=plan, version=version, reason=reason)
    answer = await call(PLANS, "ArchivePlanVersion", request)
    call.show(answer.version, lambda: described(answer.version))


@operator(app)
async def diff(
    call: Call,
    plan: PlanArgument,
    version: VersionArgument,
    since: Annotated[int, typer.Option("--from", help="The version to compare with; the active one unless given.")] = 0,
    limit: Limit = 20,
) -> None:
    """Compare a version with another, and say which tenants it would touch."""
    request = pb.DiffPlanVersionsRequest(plan_id=plan, from_version=since, to_version=version, page_size=limit)
    answer = await call(PLANS, "DiffPlanVersions", request)
    call.show(answer, lambda: _differences(answer))


def _differences(answer: Any) -> None:
    for change in answer.changes:
        before = text_of(change.before) if change.HasField("before") else "nothing"
        after = text_of(change.after) if change.HasField("after") else "nothing"
        out.print(f"{change.feature_id}: {before} -> {after}", markup=False)
    out.print(f"{answer.tenant_count} tenants follow the plan")
    for tenant in answer.tenants:
        what = ", ".join(tenant.changed_feature_ids) or "nothing changes for it"
        out.print(f"  {tenant.code}: {what}", markup=False)


@operator(app)
async def assign(
    call: Call,
    tenant: TenantArgument,
    plan: PlanArgument,
    reason: Reason,
    pin: Annotated[int, typer.Option(help="Keep this version, whatever is published later.")] = 0,
    time: AtOption = "",
) -> None:
    """Give a tenant a plan, now or at a time."""
    request = pb.AssignPlanRequest(
        tenant_id=await call.tenant_id(tenant), plan_id=plan, pinned_version=pin, assign_time=at(time), reason=reason
    )
    answer = await call(PLANS, "AssignPlan", request)
    call.show(answer, lambda: _assigned(answer))


def _assigned(answer: Any) -> Table | str:
    if not answer.HasField("assignment"):
        return having(answer.features)
    waiting = answer.assignment
    return f"plan {waiting.plan_id} at {waiting.assign_time.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"


@operator(app)
async def waiting(call: Call, filter: Annotated[str, filtered_by('plan_id = "pro"')] = "", limit: Limit = 1000) -> None:
    """List the plans that tenants get at a time to come."""
    await call.table(
        call.pages(PLANS, "ListPlanAssignments", pb.ListPlanAssignmentsRequest(filter=filter), "assignments", limit),
        "assignments",
        [
            ("TENANT", lambda a: a.tenant_id),
            ("PLAN", lambda a: a.plan_id),
            ("AT", lambda a: a.assign_time),
            ("REASON", lambda a: a.reason),
        ],
    )


@operator(app)
async def cancel(call: Call, tenant: TenantArgument, reason: Reason) -> None:
    """End an assignment that waits for its time."""
    request = pb.CancelPlanAssignmentRequest(tenant_id=await call.tenant_id(tenant), reason=reason)
    answer = await call(PLANS, "CancelPlanAssignment", request)
    call.show(answer.assignment, lambda: f"plan {answer.assignment.plan_id} is not assigned")
