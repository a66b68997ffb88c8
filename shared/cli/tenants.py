"""center tenants: the shops of the platform."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from rich.table import Table

from center.control.v1 import cluster_service_pb2, operations_service_pb2, tenant_pb2
from center.control.v1 import tenant_service_pb2 as pb
from center.dataplane.v1 import order_service_pb2, tenant_runtime_service_pb2
from shared.cli.call import (
    TENANTS,
    Call,
    Limit,
    Reason,
    TenantArgument,
    Wait,
    card,
    duration,
    filtered_by,
    number,
    operator,
    out,
    pairs,
    seconds,
    word,
)
from shared.cli.clusters import placement
from shared.runtime.money import from_proto, written

app = typer.Typer(help="The shops of the platform.", no_args_is_help=True)

OPERATIONS_SERVICE = operations_service_pb2.DESCRIPTOR.services_by_name["OperationsService"]
CLUSTERS = cluster_service_pb2.DESCRIPTOR.services_by_name["ClusterService"]

RUNTIME = tenant_runtime_service_pb2.DESCRIPTOR.services_by_name["TenantRuntimeService"]

Etag = Annotated[str, typer.Option(help="Refuse if the tenant has changed since this etag was read.")]


def state(tenant: tenant_pb2.Tenant) -> str:
    return word(tenant_pb2.TenantState, tenant.state)


def mode(tenant: tenant_pb2.Tenant) -> str:
    return word(tenant_pb2.TenantMode, tenant.mode)


def facts(tenant: tenant_pb2.Tenant) -> Table:
    placed, config = tenant.placement, tenant.config
    return card(
        [
            ("code", tenant.code),
            ("id", tenant.id),
            ("name", tenant.display_name),
            ("state", f"{state(tenant)}  {tenant.state_reason}".strip()),
            ("mode", f"{mode(tenant)}  {tenant.mode_reason}".strip()),
            ("mode ends", tenant.mode_expire_time),
            ("plan", tenant.plan_id),
            ("region", placed.region_id),
            ("cluster", placed.cluster_id),
            ("shard", placed.shard_id),
            ("moving to", placed.moving_to_cluster_id),
            ("isolation", word(tenant_pb2.Isolation, placed.isolation)),
            ("residency", placed.residency),
            ("primary domain", tenant.primary_domain),
            ("domains", tenant.domains),
            ("labels", dict(tenant.labels)),
            ("currency", config.currency_code),
            ("locale", config.locale),
            ("time zone", config.time_zone),
            ("notice", config.notice),
            ("created", tenant.create_time),
            ("updated", tenant.update_time),
            ("deleted", tenant.delete_time),
            ("purged at", tenant.purge_time),
            ("operation", tenant.operation),
            ("revision", tenant.revision),
            ("etag", tenant.etag),
        ]
    )


def figures(stats: tenant_runtime_service_pb2.GetTenantStatsResponse) -> Table:
    stock = stats.stock
    return card(
        [
            (
                "products",
                f"{stats.active_products} active, {stats.draft_products} drafts, {stats.archived_products} archived",
            ),
            ("variants", str(stats.variants)),
            ("in stock", f"{stock.on_hand} units, {stock.reserved} reserved, {stock.backordered} backordered"),
            ("customers", str(stats.customers)),
            ("open carts", str(stats.open_carts)),
            *(
                (
                    f"{word(order_service_pb2.OrderState, each.state).lower()} orders",
                    f"{each.count}: {written(from_proto(each.total))}, "
                    f"{written(from_proto(each.paid))} paid, {written(from_proto(each.refunded))} refunded",
                )
                for each in stats.orders
            ),
            ("media", f"{stats.media_bytes} bytes"),
            ("last change of a product", stats.last_write_time if stats.HasField("last_write_time") else ""),
        ]
    )


@operator(app, "list")
async def list_(
    call: Call,
    filter: Annotated[str, filtered_by('state = "ACTIVE"')] = "",
    order_by: Annotated[str, typer.Option(help="code, create_time or update_time, with desc behind.")] = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted ones too.")] = False,
    limit: Limit = 100_000,
) -> None:
    """List tenants."""
    request = pb.ListTenantsRequest(filter=filter, order_by=order_by, show_deleted=deleted)
    await call.table(
        call.pages(TENANTS, "ListTenants", request, "tenants", limit),
        "tenants",
        [
            ("CODE", lambda t: t.code),
            ("STATE", state),
            ("MODE", mode),
            ("CLUSTER", lambda t: t.placement.cluster_id),
            ("PLAN", lambda t: t.plan_id),
            ("PRIMARY DOMAIN", lambda t: t.primary_domain),
            ("CREATED", lambda t: t.create_time),
            ("ID", lambda t: t.id),
        ],
    )


@operator(app)
async def show(call: Call, tenant: TenantArgument) -> None:
    """Show one tenant."""
    answer = await call(TENANTS, "GetTenant", pb.GetTenantRequest(id=await call.tenant_id(tenant)))
    call.show(answer.tenant, lambda: facts(answer.tenant))


@operator(app)
async def create(
    call: Call,
    code: Annotated[str, typer.Argument(help="Unique; CODE.ZONE is the shop's own subdomain.")],
    name: Annotated[str, typer.Option(help="Display name; the code unless set.")] = "",
    domain: Annotated[list[str] | None, typer.Option(help="A further domain; may be given more than once.")] = None,
    verified_reason: Annotated[str, typer.Option(help="Your word that the domains are the tenant's own.")] = "",
    plan: Annotated[str, typer.Option(help="The plan.")] = "",
    region: Annotated[str, typer.Option(help="Where it should live; placement decides unless set.")] = "",
    residency: Annotated[list[str] | None, typer.Option(help="A region its data may live in.")] = None,
    dedicated: Annotated[bool, typer.Option("--dedicated", help="A cluster of its own.")] = False,
    label: Annotated[list[str] | None, typer.Option(help="key=value")] = None,
    draft: Annotated[bool, typer.Option("--draft", help="Do not provision yet.")] = False,
    wait: Wait = False,
) -> None:
    """Create a tenant and start its provisioning."""
    made = pb.TenantDraft(
        code=code,
        display_name=name or code,
        domains=domain or [],
        domains_verified_reason=verified_reason,
        plan_id=plan,
        region_id=region,
        residency=residency or [],
        isolation=tenant_pb2.ISOLATION_DEDICATED if dedicated else tenant_pb2.ISOLATION_SHARED,
        labels=pairs(label or [], "--label"),
    )
    answer = await call(TENANTS, "CreateTenant", pb.CreateTenantRequest(tenant=made, draft=draft))
    await _settle(call, answer, wait)


@operator(app)
async def update(
    call: Call,
    tenant: TenantArgument,
    name: Annotated[str | None, typer.Option(help="Display name.")] = None,
    plan: Annotated[str | None, typer.Option(help="The plan.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="key=value; all labels together replace the old ones.")
    ] = None,
    residency: Annotated[list[str] | None, typer.Option(help="A region its data may live in.")] = None,
    etag: Etag = "",
) -> None:
    """Change a tenant's name, plan, labels or residency."""
    changed = tenant_pb2.Tenant(id=await call.tenant_id(tenant), etag=etag)
    paths = []
    if name is not None:
        changed.display_name = name
        paths.append("display_name")
    if plan is not None:
        changed.plan_id = plan
        paths.append("plan_id")
    if label:
        changed.labels.update(pairs(label, "--label"))
        paths.append("labels")
    if residency:
        changed.placement.residency.extend(residency)
        paths.append("placement.residency")
    _something(paths)
    request = pb.UpdateTenantRequest(tenant=changed, update_mask=FieldMask(paths=paths))
    answer = await call(TENANTS, "UpdateTenant", request)
    call.show(answer.tenant, lambda: facts(answer.tenant))


@operator(app)
async def config(
    call: Call,
    tenant: TenantArgument,
    currency: Annotated[str | None, typer.Option(help="ISO 4217, such as EUR.")] = None,
    locale: Annotated[str | None, typer.Option(help="BCP 47, such as en-GB.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="IANA, such as Europe/Berlin.")] = None,
    support_email: Annotated[str | None, typer.Option(help="Shown to shoppers.")] = None,
    notice: Annotated[str | None, typer.Option(help="Shown while suspended or in maintenance.")] = None,
    accent_color: Annotated[str | None, typer.Option(help="#RRGGBB")] = None,
    etag: Etag = "",
) -> None:
    """Change what a shop says about itself."""
    given = {
        "currency_code": currency,
        "locale": locale,
        "time_zone": time_zone,
        "support_email": support_email,
        "notice": notice,
    }
    changed = tenant_pb2.TenantConfig()
    paths = [field for field, value in given.items() if value is not None]
    for field in paths:
        setattr(changed, field, given[field])
    if accent_color is not None:
        changed.theme.accent_color = accent_color
        paths.append("theme.accent_color")
    _something(paths)
    request = pb.UpdateTenantConfigRequest(
        id=await call.tenant_id(tenant), config=changed, update_mask=FieldMask(paths=paths), etag=etag
    )
    answer = await call(TENANTS, "UpdateTenantConfig", request)
    call.show(answer.tenant, lambda: facts(answer.tenant))


async def _change(call: Call, tenant: str, action: pb.TenantAction, reason: str, etag: str, wait: bool = False) -> None:
    request = pb.ChangeTenantStatusRequest(id=await call.tenant_id(tenant), action=action, reason=reason, etag=etag)
    await _settle(call, await call(TENANTS, "ChangeTenantStatus", request), wait)


@operator(app)
async def activate(call: Call, tenant: TenantArgument, reason: Reason, etag: Etag = "", wait: Wait = False) -> None:
    """Provision a draft, or try a failed tenant again."""
    await _change(call, tenant, pb.TENANT_ACTION_ACTIVATE, reason, etag, wait)


@operator(app)
async def suspend(call: Call, tenant: TenantArgument, reason: Reason, etag: Etag = "") -> None:
    """Stop serving a tenant; shoppers see a notice."""
    await _change(call, tenant, pb.TENANT_ACTION_SUSPEND, reason, etag)


@operator(app)
async def resume(call: Call, tenant: TenantArgument, reason: Reason, etag: Etag = "") -> None:
    """Serve a suspended tenant again."""
    await _change(call, tenant, pb.TENANT_ACTION_RESUME, reason, etag)


@operator(app)
async def terminate(call: Call, tenant: TenantArgument, reason: Reason, etag: Etag = "") -> None:
    """End a tenant; it is kept until it is deleted."""
    await _change(call, tenant, pb.TENANT_ACTION_TERMINATE, reason, etag)


@operator(app, "mode")
async def set_mode(
    call: Call,
    tenant: TenantArgument,
    to: Annotated[str, typer.Argument(metavar="MODE", help="normal, read-only or maintenance")],
    reason: Reason,
    for_: Annotated[str, typer.Option("--for", help="How long, such as 30m; until set again unless given.")] = "",
    etag: Etag = "",
) -> None:
    """Set how a tenant is served."""
    request = pb.SetTenantModeRequest(
        id=await call.tenant_id(tenant), mode=number(tenant_pb2.TenantMode, to), reason=reason, etag=etag
    )
    if for_:
        request.expire_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=seconds(for_)))
    answer = await call(TENANTS, "SetTenantMode", request)
    call.show(answer.tenant, lambda: facts(answer.tenant))


@operator(app)
async def delete(
    call: Call,
    tenant: TenantArgument,
    reason: Reason,
    grace: Annotated[str, typer.Option(help="How long it can be brought back, such as 7d; 30 days unless set.")] = "",
    etag: Etag = "",
) -> None:
    """Delete a tenant softly; it is purged after its grace."""
    request = pb.DeleteTenantRequest(id=await call.tenant_id(tenant), reason=reason, etag=etag)
    if grace:
        request.grace.CopyFrom(duration(grace))
    answer = await call(TENANTS, "DeleteTenant", request)
    call.show(answer.tenant, lambda: facts(answer.tenant))


@operator(app)
async def undelete(call: Call, tenant: TenantArgument, reason: Reason, etag: Etag = "") -> None:
    """Bring a deleted tenant back."""
    request = pb.UndeleteTenantRequest(id=await call.tenant_id(tenant), reason=reason, etag=etag)
    answer = await call(TENANTS, "UndeleteTenant", request)
    call.show(answer.tenant, lambda: facts(answer.tenant))


@operator(app)
async def move(
    call: Call,
    tenant: TenantArgument,
    reason: Reason,
    to: Annotated[str, typer.Option(help="The cluster; placement chooses another one unless set.")] = "",
    freeze_limit: Annotated[str, typer.Option(help="The longest that writes may wait, such as 30s.")] = "",
    etag: Etag = "",
    wait: Wait = False,
) -> None:
    """Move a tenant to another cluster while it is served."""
    request = pb.MoveTenantRequest(id=await call.tenant_id(tenant), cluster_id=to, reason=reason, etag=etag)
    if freeze_limit:
        request.freeze_limit.CopyFrom(duration(freeze_limit))
    answer = await call(TENANTS, "MoveTenant", request)
    if not wait:
        call.show(answer.operation, lambda: f"{answer.operation.name} moves {tenant}")
        return
    done = await call.follow(answer.operation)
    moved = tenant_pb2.Tenant()
    done.response.Unpack(moved)
    call.show(moved, lambda: facts(moved))


@operator(app)
async def resolve(
    call: Call,
    key: Annotated[str, typer.Argument(metavar="DOMAIN|CODE|ID")],
) -> None:
    """Tell which tenant a domain, code or id belongs to, and where it is served."""
    request = pb.ResolveTenantRequest()
    if "." in key:
        request.domain = key
    elif len(key) == 36:
        request.id = key
    else:
        request.code = key
    answer = await call(TENANTS, "ResolveTenant", request)
    call.show(
        answer,
        lambda: card(
            [
                ("tenant", answer.tenant_id),
                ("code", answer.code),
                ("state", word(tenant_pb2.TenantState, answer.state)),
                ("mode", word(tenant_pb2.TenantMode, answer.mode)),
                ("region", answer.region_id),
                ("cluster", answer.cluster_id),
                ("shard", answer.shard_id),
                ("primary domain", answer.primary_domain),
                ("revision", answer.revision),
            ]
        ),
    )


@operator(app)
async def token(
    call: Call,
    tenant: TenantArgument,
    reason: Reason,
    ttl: Annotated[str, typer.Option(help="How long it lives, such as 2h; 12 hours unless set.")] = "",
) -> None:
    """Make a token with which a tenant's own people change their shop; it is shown once."""
    request = pb.IssueBackofficeTokenRequest(id=await call.tenant_id(tenant), reason=reason)
    if ttl:
        request.ttl.CopyFrom(duration(ttl))
    answer = await call(TENANTS, "IssueBackofficeToken", request)
    if call.as_json:
        call.show(answer, lambda: None)
    else:
        out.print(answer.token, soft_wrap=True, markup=False)


@operator(app)
async def resync(call: Call, tenant: TenantArgument) -> None:
    """Send a tenant's catalog entry to its cluster once more."""
    request = operations_service_pb2.ResyncTenantRequest(tenant_id=await call.tenant_id(tenant))
    answer = await call(OPERATIONS_SERVICE, "ResyncTenant", request)
    call.show(answer, lambda: "\n".join(answer.drift) if answer.drift else "the cluster agreed in everything")


@operator(app)
async def stats(call: Call, tenant: TenantArgument) -> None:
    """Count what a tenant has: products, stock, carts, orders, media."""
    request = tenant_runtime_service_pb2.GetTenantStatsRequest(tenant_id=await call.tenant_id(tenant))
    answer = await call.in_shop(tenant, RUNTIME, "GetTenantStats", request)
    call.show(answer, lambda: figures(answer))


@operator(app, "explain-placement")
async def explain_placement(call: Call, tenant: TenantArgument) -> None:
    """Tell of every cluster why a tenant could or could not live there."""
    request = cluster_service_pb2.ExplainPlacementRequest(tenant_id=await call.tenant_id(tenant))
    answer = await call(CLUSTERS, "ExplainPlacement", request)
    call.show(answer, lambda: placement(answer))


async def _settle(call: Call, answer: Any, wait: bool) -> None:
    """Shows a tenant whose provisioning has begun, or, after waiting, the active one."""
    tenant = answer.tenant
    if wait and answer.HasField("operation"):
        done = await call.follow(answer.operation)
        done.response.Unpack(tenant)
    call.show(tenant if wait else answer, lambda: facts(tenant))


def _something(paths: list[str]) -> None:
    if not paths:
        raise typer.BadParameter("name something to change; --help lists what can be")
