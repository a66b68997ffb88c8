"""Solutions in the contract's words."""

from dataclasses import replace
from datetime import datetime

from google.protobuf.duration_pb2 import Duration

from center.control.v1 import quota_pb2
from center.control.v1 import solution_service_pb2 as pb
from control.solutions.domain import (
    DEFAULT_MAX_AGE,
    Enforcement,
    FailMode,
    Gateway,
    Key,
    Period,
    Quota,
    RateLimit,
    Rule,
    Solution,
    Tier,
)
from control.tenants.messages import timestamp


def to_proto(solution: Solution, revision: int | None = None) -> pb.Solution:
    """revision: what the change that is being written has got, for a solution that was read before it."""
    max_age = Duration()
    max_age.FromTimedelta(solution.max_age)
    message = pb.Solution(
        id=solution.id,
        display_name=solution.display_name,
        tiers=[_tier(tier) for tier in solution.tiers],
        default_tier=solution.default_tier,
        anonymous_tier=solution.anonymous_tier,
        redirect_urls=solution.redirect_urls,
        fail_mode=pb.FAIL_MODE_OPEN if solution.fail_mode is FailMode.OPEN else pb.FAIL_MODE_CLOSED,
        max_age=max_age,
        token_in_redirect=solution.token_in_redirect,
        verified_email_required=solution.verified_email_required,
        email_hidden=solution.email_hidden,
        time_zone=solution.time_zone,
        upgrade_url=solution.upgrade_url,
        etag=solution.etag,
        create_time=timestamp(solution.create_time),
        update_time=timestamp(solution.update_time),
        revision=solution.revision if revision is None else revision,
    )
    if (gateway := solution.gateway) is not None:
        message.gateway.hosts.extend(gateway.hosts)
        message.gateway.upstream_host, message.gateway.upstream_port = gateway.upstream_host, gateway.upstream_port
        for rule in gateway.rules:
            message.gateway.rules.add(
                methods=rule.methods, path_prefix=rule.path_prefix, action=rule.action, cost=rule.cost
            )
    return message


def of_proto(message: pb.Solution, now: datetime) -> Solution:
    """A new solution; what the platform says of it (times, version) is not taken from the message."""
    return Solution(
        id=message.id,
        display_name=message.display_name or message.id,
        tiers=tuple(_tier_of(tier) for tier in message.tiers),
        create_time=now,
        update_time=now,
        default_tier=message.default_tier,
        anonymous_tier=message.anonymous_tier,
        redirect_urls=tuple(message.redirect_urls),
        fail_mode=FailMode.OPEN if message.fail_mode == pb.FAIL_MODE_OPEN else FailMode.CLOSED,
        max_age=message.max_age.ToTimedelta() if message.HasField("max_age") else DEFAULT_MAX_AGE,
        token_in_redirect=message.token_in_redirect,
        verified_email_required=message.verified_email_required,
        email_hidden=message.email_hidden,
        time_zone=message.time_zone,
        upgrade_url=message.upgrade_url,
        gateway=_gateway_of(message.gateway) if message.HasField("gateway") else None,
    )


def merged(before: Solution, message: pb.Solution, now: datetime) -> Solution:
    """What the merged message says, with what only the platform says of the solution."""
    after = of_proto(message, now)
    return replace(after, create_time=before.create_time, version=before.version, revision=before.revision)


def _tier(tier: Tier) -> pb.Tier:
    message = pb.Tier(id=tier.id, display_name=tier.display_name)
    for action, quota in tier.quotas.items():
        message.quotas[action].CopyFrom(_quota(quota))
    if tier.rate_limit is not None:
        message.rate_limit.per_second, message.rate_limit.burst = tier.rate_limit.per_second, tier.rate_limit.burst
    return message


def _tier_of(message: pb.Tier) -> Tier:
    rate = message.rate_limit
    return Tier(
        id=message.id,
        display_name=message.display_name,
        quotas={action: _quota_of(quota) for action, quota in sorted(message.quotas.items())},
        rate_limit=RateLimit(rate.per_second, rate.burst) if message.HasField("rate_limit") else None,
    )


def _quota(quota: Quota) -> quota_pb2.Quota:
    message = quota_pb2.Quota(
        period=f"QUOTA_PERIOD_{quota.period}",
        enforcement=f"QUOTA_ENFORCEMENT_{quota.enforcement}",
        rollover_limit=quota.rollover_limit,
    )
    if quota.limit is None:
        message.unlimited.SetInParent()
    else:
        message.limit = quota.limit
    return message


def _quota_of(message: quota_pb2.Quota) -> Quota:
    is_soft = message.enforcement == quota_pb2.QUOTA_ENFORCEMENT_SOFT
    return Quota(
        limit=message.limit if message.WhichOneof("amount") == "limit" else None,
        period=Period(quota_pb2.QuotaPeriod.Name(message.period).removeprefix("QUOTA_PERIOD_")),
        enforcement=Enforcement.SOFT if is_soft else Enforcement.HARD,
        rollover_limit=message.rollover_limit,
    )


def _gateway_of(message: pb.SolutionGateway) -> Gateway:
    return Gateway(
        hosts=tuple(message.hosts),
        upstream_host=message.upstream_host,
        upstream_port=message.upstream_port,
        rules=tuple(Rule(tuple(each.methods), each.path_prefix, each.action, each.cost) for each in message.rules),
    )


def key_to_proto(key: Key) -> pb.SolutionKey:
    return pb.SolutionKey(
        kid=key.kid,
        solution_id=key.solution_id,
        display_name=key.display_name,
        create_time=timestamp(key.create_time),
        revoke_time=timestamp(key.revoke_time),
        last_use_time=timestamp(key.last_use_time),
    )
