"""Features, values and sets in the contract's words."""

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import quota_pb2
from control.features.domain import (
    Action,
    Effective,
    Feature,
    FeatureSet,
    KillSwitch,
    Override,
    Rollout,
    Source,
    Step,
)
from control.features.values import Kind, Period, Quota, RateLimit, Schema, Setting, Type, Value, number
from control.tenants.messages import timestamp


def value(of: Value) -> pb.FeatureValue:
    if isinstance(of, bool):
        return pb.FeatureValue(boolean=of)
    if isinstance(of, Quota):
        return pb.FeatureValue(quota=quota(of))
    return pb.FeatureValue(configuration=setting(of))


def value_of(message: pb.FeatureValue) -> Value:
    match message.WhichOneof("value"):
        case "boolean":
            return message.boolean
        case "quota":
            return quota_of(message.quota)
    return setting_of(message.configuration)


def quota(of: Quota) -> quota_pb2.Quota:
    message = quota_pb2.Quota(
        period=f"QUOTA_PERIOD_{of.period}",
        enforcement="QUOTA_ENFORCEMENT_SOFT" if of.soft else "QUOTA_ENFORCEMENT_HARD",
        rollover_limit=of.rollover_limit,
    )
    if of.limit is None:
        message.unlimited.SetInParent()
    else:
        message.limit = of.limit
    return message


def quota_of(message: quota_pb2.Quota) -> Quota:
    return Quota(
        limit=message.limit if message.HasField("limit") else None,
        period=period_of(message.period),
        soft=message.enforcement == quota_pb2.QUOTA_ENFORCEMENT_SOFT,
        rollover_limit=message.rollover_limit,
    )


def period_of(number: quota_pb2.QuotaPeriod) -> Period:
    return Period(quota_pb2.QuotaPeriod.Name(number).removeprefix("QUOTA_PERIOD_"))


def setting(of: Setting) -> pb.ConfigurationValue:
    inner = of.value
    if isinstance(inner, RateLimit):
        return pb.ConfigurationValue(rate_limit={"per_second": inner.per_second, "burst": inner.burst})
    if isinstance(inner, tuple):
        return pb.ConfigurationValue(text_list={"items": inner})
    message = pb.ConfigurationValue()
    setattr(message, of.type, inner)
    return message


def setting_of(message: pb.ConfigurationValue) -> Setting:
    kind = Type(message.WhichOneof("value") or Type.BOOLEAN)
    if kind is Type.RATE_LIMIT:
        return Setting(kind, RateLimit(number(message.rate_limit.per_second), message.rate_limit.burst))
    if kind is Type.TEXT_LIST:
        return Setting(kind, tuple(message.text_list.items))
    if kind is Type.NUMBER:
        return Setting(kind, number(message.number))
    return Setting(kind, getattr(message, kind))


def schema(of: Schema) -> pb.ConfigurationSchema:
    message = pb.ConfigurationSchema()
    match of.type:
        case Type.INTEGER:
            whole = pb.IntegerSchema(minimum=_whole(of.minimum), maximum=_whole(of.maximum))
            whole.allowed.extend(each for each in of.allowed if isinstance(each, int))
            message.integer.CopyFrom(whole)
        case Type.NUMBER:
            message.number.CopyFrom(pb.NumberSchema(minimum=of.minimum, maximum=of.maximum))
        case Type.BOOLEAN:
            message.boolean.SetInParent()
        case Type.TEXT:
            message.text.CopyFrom(_text_schema(of))
        case Type.TEXT_LIST:
            message.text_list.items.CopyFrom(_text_schema(of))
            if of.max_items is not None:
                message.text_list.max_items = of.max_items
        case Type.RATE_LIMIT:
            message.rate_limit.SetInParent()
            if of.max_per_second is not None:
                message.rate_limit.max_per_second = of.max_per_second
            if of.max_burst is not None:
                message.rate_limit.max_burst = of.max_burst
    return message


def _text_schema(of: Schema) -> pb.TextSchema:
    allowed = [each for each in of.allowed if isinstance(each, str)]
    return pb.TextSchema(min_length=_whole(of.minimum), max_length=_whole(of.maximum), allowed=allowed)


def _whole(bound: float | int | None) -> int | None:
    return None if bound is None else int(bound)


def schema_of(message: pb.ConfigurationSchema) -> Schema:
    kind = Type(message.WhichOneof("type") or Type.BOOLEAN)
    match kind:
        case Type.INTEGER:
            whole = message.integer
            return Schema(
                kind,
                whole.minimum if whole.HasField("minimum") else None,
                whole.maximum if whole.HasField("maximum") else None,
                tuple(whole.allowed),
            )
        case Type.NUMBER:
            real = message.number
            return Schema(
                kind,
                real.minimum if real.HasField("minimum") else None,
                real.maximum if real.HasField("maximum") else None,
            )
        case Type.TEXT:
            return _schema_of_text(kind, message.text)
        case Type.TEXT_LIST:
            many = message.text_list
            return _schema_of_text(kind, many.items, many.max_items if many.HasField("max_items") else None)
        case Type.RATE_LIMIT:
            rate = message.rate_limit
            return Schema(
                kind,
                max_per_second=rate.max_per_second if rate.HasField("max_per_second") else None,
                max_burst=rate.max_burst if rate.HasField("max_burst") else None,
            )
    return Schema(kind)


def _schema_of_text(kind: Type, message: pb.TextSchema, max_items: int | None = None) -> Schema:
    most = message.max_length if message.HasField("max_length") else None
    return Schema(kind, message.min_length, most, tuple(message.allowed), max_items)


def feature(
    of: Feature, rollouts: Iterable[Rollout] = (), kill_switches: Iterable[KillSwitch] = (), revision: int | None = None
) -> pb.Feature:
    """revision: what the change that is being written has got, for a feature that was read before it."""
    message = pb.Feature(
        id=of.id,
        display_name=of.display_name,
        description=of.description,
        state=f"FEATURE_STATE_{of.state}",
        rollouts=[rollout(each) for each in rollouts],
        kill_switches=[kill_switch(each) for each in kill_switches],
        create_time=timestamp(of.create_time),
        update_time=timestamp(of.update_time),
        etag=of.etag,
        revision=of.revision if revision is None else revision,
    )
    if of.kind is Kind.BOOLEAN:
        message.boolean.SetInParent()
    elif of.kind is Kind.METERED:
        message.metered.CopyFrom(pb.MeteredFeature(unit=of.unit, period=f"QUOTA_PERIOD_{of.period}"))
    elif of.schema is not None and of.default is not None:
        message.configuration.schema.CopyFrom(schema(of.schema))
        message.configuration.default_value.CopyFrom(setting(of.default))
    return message


def feature_of(message: pb.Feature) -> Feature:
    """What an operator says of a feature: id, texts and kind."""
    kind = Kind((message.WhichOneof("kind") or "boolean").upper())
    configured = kind is Kind.CONFIGURATION
    return Feature(
        id=message.id,
        kind=kind,
        display_name=message.display_name,
        description=message.description,
        unit=message.metered.unit if kind is Kind.METERED else "",
        period=period_of(message.metered.period) if kind is Kind.METERED else Period.STANDING,
        schema=schema_of(message.configuration.schema) if configured else None,
        default=setting_of(message.configuration.default_value) if configured else None,
    )


def rollout(of: Rollout) -> pb.Rollout:
    return pb.Rollout(
        feature_id=of.feature_id,
        cluster_id=of.cluster_id,
        basis_points=of.basis_points,
        reason=of.reason,
        update_time=timestamp(of.update_time),
        revision=of.revision,
    )


def kill_switch(of: KillSwitch) -> pb.KillSwitch:
    return pb.KillSwitch(
        id=of.id,
        feature_id=of.feature_id,
        tenant_id=of.tenant_id or None,
        cluster_id=of.cluster_id or None,
        reason=of.reason,
        expire_time=timestamp(of.expire_time),
        create_time=timestamp(of.create_time),
        caller=of.caller,
        revision=of.revision,
    )


def override(of: Override) -> pb.Override:
    message = pb.Override(
        id=of.id,
        tenant_id=of.tenant_id,
        feature_id=of.feature_id,
        reason=of.reason,
        expire_time=timestamp(of.expire_time),
        create_time=timestamp(of.create_time),
        caller=of.caller,
        etag=of.etag,
        revision=of.revision,
    )
    if of.value is None:
        message.remove.SetInParent()
    else:
        getattr(message, of.action.lower()).CopyFrom(value(of.value))
    return message


def action_of(message: pb.Override) -> tuple[Action, Value | None]:
    action = Action((message.WhichOneof("action") or "remove").upper())
    return action, None if action is Action.REMOVE else value_of(getattr(message, action.lower()))


def source(of: Source) -> pb.FeatureSource:
    return pb.FeatureSource(
        kind=f"FEATURE_SOURCE_KIND_{of.kind}",
        id=of.id,
        effect=f"FEATURE_EFFECT_{of.effect}",
        reason=of.reason,
        expire_time=timestamp(of.expire_time),
    )


def effective(of: Effective) -> pb.EffectiveFeature:
    return pb.EffectiveFeature(
        feature_id=of.feature_id,
        enabled=of.enabled,
        value=value(of.value),
        sources=[source(each) for each in of.sources],
        hash=of.hash,
    )


def step(of: Step) -> pb.FeatureStep:
    return pb.FeatureStep(
        source=source(of.source),
        message=of.message,
        enabled=of.value is not None and of.value is not False,
        value=value(of.value) if of.value is not None else None,
    )


def tenant_features(tenant_id: str, version: int, features: FeatureSet) -> pb.TenantFeatures:
    return pb.TenantFeatures(
        tenant_id=tenant_id,
        version=version,
        hash=features.hash,
        plan_id=features.plan_id,
        plan_version=features.plan_version,
        features=[effective(each) for each in features.entries],
    )


def expiry(message: pb.KillSwitch | pb.Override | pb.Attachment) -> Timestamp | None:
    return message.expire_time if message.HasField("expire_time") else None
