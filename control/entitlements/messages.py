"""Entitlements and tokens in the contract's words."""

from datetime import datetime

from center.control.v1 import access_service_pb2 as pb
from control.entitlements.domain import Entitlement, Status, Token
from control.tenants.messages import timestamp


def to_proto(entitlement: Entitlement, revision: int | None = None) -> pb.Entitlement:
    """revision: what the change that is being written has got, for one that was read before it."""
    return pb.Entitlement(
        id=entitlement.id,
        user_id=entitlement.user_id,
        solution_id=entitlement.solution_id,
        tier=entitlement.tier,
        status=f"ENTITLEMENT_STATUS_{entitlement.status}",
        status_reason=entitlement.status_reason,
        etag=entitlement.etag,
        create_time=timestamp(entitlement.create_time),
        update_time=timestamp(entitlement.update_time),
        revision=entitlement.revision if revision is None else revision,
    )


def token_to_proto(token: Token, now: datetime, revision: int | None = None) -> pb.Token:
    return pb.Token(
        kid=token.kid,
        entitlement_id=token.entitlement_id,
        user_id=token.user_id,
        solution_id=token.solution_id,
        state=f"TOKEN_STATE_{token.state(now)}",
        create_time=timestamp(token.create_time),
        expire_time=timestamp(token.expire_time),
        revoke_time=timestamp(token.revoke_time),
        last_use_time=timestamp(token.last_use_time),
        next_kid=token.next_kid,
        revision=token.revision if revision is None else revision,
    )


def status_of(number: pb.EntitlementStatus) -> Status | None:
    """None for UNSPECIFIED."""
    return Status(pb.EntitlementStatus.Name(number).removeprefix("ENTITLEMENT_STATUS_")) if number else None
