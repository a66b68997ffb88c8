"""Tenants in the contract's words."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import tenant_pb2 as pb
from center.control.v1 import tenant_service_pb2 as service_pb
from control.tenants.domain import Action, Config, Isolation, Mode, Tenant
from shared.runtime.errors import InvalidArgument

_MODE_OF = {pb.TenantMode.Value(f"TENANT_MODE_{mode}"): mode for mode in Mode}
_ACTION_OF = {
    service_pb.TenantAction.Value(f"TENANT_ACTION_{action}"): action
    for action in (Action.ACTIVATE, Action.SUSPEND, Action.RESUME, Action.TERMINATE)
}


def mode_of(number: int) -> Mode:
    return _MODE_OF[number]


def action_of(number: int) -> Action:
    return _ACTION_OF[number]


def isolation_of(number: int) -> Isolation:
    return Isolation.DEDICATED if number == pb.ISOLATION_DEDICATED else Isolation.SHARED


def timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def moment(stamp: Timestamp, field: str) -> datetime:
    """InvalidArgument TIME_INVALID: a time that no calendar has."""
    try:
        return stamp.ToDatetime(UTC)
    except (OverflowError, ValueError):
        raise InvalidArgument("TIME_INVALID", f"{field} is no time", fields={field: "out of range"}) from None


def placement(tenant: Tenant) -> pb.Placement:
    where = tenant.placement
    return pb.Placement(
        region_id=where.region_id,
        cluster_id=where.cluster_id,
        shard_id=where.shard_id,
        isolation=f"ISOLATION_{where.isolation}",
        residency=where.residency,
        moving_to_cluster_id=where.moving_to_cluster_id,
        writes_frozen=where.writes_frozen,
    )


def config(tenant: Tenant) -> pb.TenantConfig:
    values = tenant.config
    message = pb.TenantConfig(
        version=values.version,
        currency_code=values.currency_code,
        locale=values.locale,
        time_zone=values.time_zone,
        support_email=values.support_email,
        notice=values.notice,
    )
    if values.accent_color or values.logo_url:
        message.theme.accent_color, message.theme.logo_url = values.accent_color, values.logo_url
    return message


def config_of(message: pb.TenantConfig) -> Config:
    return Config(
        version=message.version or 1,
        currency_code=message.currency_code,
        locale=message.locale,
        time_zone=message.time_zone,
        support_email=message.support_email,
        accent_color=message.theme.accent_color,
        logo_url=message.theme.logo_url,
        notice=message.notice,
    )


def to_proto(tenant: Tenant, revision: int | None = None) -> pb.Tenant:
    """revision: what the change that is being written has got, for a tenant that was read before it."""
    return pb.Tenant(
        id=tenant.id,
        code=tenant.code,
        display_name=tenant.display_name,
        labels=tenant.labels,
        state=f"TENANT_STATE_{tenant.state}",
        state_reason=tenant.state_reason,
        mode=f"TENANT_MODE_{tenant.mode}",
        mode_reason=tenant.mode_reason,
        mode_expire_time=timestamp(tenant.mode_expire_time),
        plan_id=tenant.plan_id,
        placement=placement(tenant),
        primary_domain=tenant.primary_domain,
        domains=[name.name for name in tenant.names],
        config=config(tenant),
        create_time=timestamp(tenant.create_time),
        update_time=timestamp(tenant.update_time),
        delete_time=timestamp(tenant.delete_time),
        purge_time=timestamp(tenant.purge_time),
        etag=tenant.etag,
        revision=tenant.revision if revision is None else revision,
        operation=f"operations/{tenant.operation_id}" if tenant.operation_id else "",
    )


def catalog_tenant(tenant: Tenant) -> catalog_pb.CatalogTenant:
    """What other planes need to know of a tenant."""
    return catalog_pb.CatalogTenant(
        id=tenant.id,
        code=tenant.code,
        display_name=tenant.display_name,
        state=f"TENANT_STATE_{tenant.state}",
        mode=f"TENANT_MODE_{tenant.mode}",
        plan_id=tenant.plan_id,
        placement=placement(tenant),
        domains=[catalog_pb.CatalogDomain(name=name.name, number=name.number) for name in tenant.names],
        primary_domain=tenant.primary_domain,
        config=config(tenant),
        revision=tenant.revision,
    )
