"""What people write for the value of a feature, and how values read."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import quota_pb2
from shared.cli.call import Call, pairs, seconds, word

PLANS = pb.DESCRIPTOR.services_by_name["PlanService"]

# For the help of every option that takes a value.
WRITTEN = "on, off, 1000, unlimited, soft:1000, 50/100 (calls a second/burst) or a setting's value"


async def read(call: Call, feature_id: str, value: str) -> pb.FeatureValue:
    """The value of a feature, as its kind takes it."""
    answer = await call.look_up(PLANS, "GetFeature", pb.GetFeatureRequest(id=feature_id))
    feature: pb.Feature = answer.feature
    match feature.WhichOneof("kind"):
        case "boolean":
            return pb.FeatureValue(boolean=switch(value))
        case "metered":
            return pb.FeatureValue(quota=quota(value, feature.metered.period))
    kind = feature.configuration.schema.WhichOneof("type") or "text"
    return pb.FeatureValue(configuration=setting(kind, value))


async def read_all(call: Call, values: Sequence[str], option: str) -> list[pb.PlanFeature]:
    """feature=value words."""
    return [
        pb.PlanFeature(feature_id=feature_id, value=await read(call, feature_id, value))
        for feature_id, value in pairs(values, option).items()
    ]


def switch(value: str) -> bool:
    if value not in ("on", "off", "true", "false"):
        raise typer.BadParameter(f"{value!r} is neither on nor off")
    return value in ("on", "true")


def quota(value: str, period: quota_pb2.QuotaPeriod) -> quota_pb2.Quota:
    soft = value.startswith("soft:")
    amount = value.removeprefix("soft:")
    made = quota_pb2.Quota(
        period=period,
        enforcement=quota_pb2.QUOTA_ENFORCEMENT_SOFT if soft else quota_pb2.QUOTA_ENFORCEMENT_HARD,
    )
    if amount == "unlimited":
        made.unlimited.SetInParent()
    elif amount.isdecimal():
        made.limit = int(amount)
    else:
        raise typer.BadParameter(f"{value!r} is neither a number nor unlimited")
    return made


def setting(kind: str, value: str) -> pb.ConfigurationValue:
    try:
        match kind:
            case "integer":
                return pb.ConfigurationValue(integer=int(value))
            case "number":
                return pb.ConfigurationValue(number=float(value))
            case "boolean":
                return pb.ConfigurationValue(boolean=switch(value))
            case "text_list":
                return pb.ConfigurationValue(text_list=pb.TextList(items=value.split(",") if value else []))
            case "rate_limit":
                per_second, _, burst = value.partition("/")
                return pb.ConfigurationValue(
                    rate_limit=quota_pb2.RateLimit(per_second=float(per_second), burst=int(burst or float(per_second)))
                )
    except ValueError:
        raise typer.BadParameter(f"{value!r} is no {kind.replace('_', ' ')}") from None
    return pb.ConfigurationValue(text=value)


def text_of(value: pb.FeatureValue) -> str:
    match value.WhichOneof("value"):
        case "boolean":
            return "on" if value.boolean else "off"
        case "quota":
            amount = "unlimited" if value.quota.HasField("unlimited") else str(value.quota.limit)
            period = word(quota_pb2.QuotaPeriod, value.quota.period).lower()
            soft = " soft" if value.quota.enforcement == quota_pb2.QUOTA_ENFORCEMENT_SOFT else ""
            return amount + soft if period == "standing" else f"{amount}/{period}{soft}"
        case "configuration":
            return setting_text(value.configuration)
    return ""


def setting_text(value: pb.ConfigurationValue) -> str:
    match value.WhichOneof("value"):
        case "text_list":
            return ",".join(value.text_list.items)
        case "rate_limit":
            return f"{value.rate_limit.per_second:g}/{value.rate_limit.burst}"
        case "boolean":
            return "on" if value.boolean else "off"
        case str(kind):
            return str(getattr(value, kind))
    return ""


def until(length: str) -> Timestamp | None:
    """Now and 2h as a time; an empty text is none."""
    if not length:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(datetime.now(UTC) + timedelta(seconds=seconds(length)))
    return stamp


def at(time: str) -> Timestamp | None:
    """2026-12-01T00:00:00Z, or a length of time from now."""
    if not time:
        return None
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return until(time)
    stamp = Timestamp()
    stamp.FromDatetime(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
    return stamp
