"""Members and API keys on the wire and in the audit."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from center.dataplane.v1 import staff_service_pb2 as pb
from dataplane.staff.domain import ApiKey, Member, has_passed
from shared.runtime.journal import Change


def to_proto(member: Member, email: str = "") -> pb.Member:
    message = pb.Member(
        id=member.id,
        email=email,
        role=f"STAFF_ROLE_{member.role.name}",
        state=f"MEMBER_STATE_{member.state}",
        etag=member.etag,
        create_time=_time(member.create_time),
        update_time=_time(member.update_time),
    )
    if member.invitation_expire_time is not None:
        message.invitation_expire_time.FromDatetime(member.invitation_expire_time)
    return message


def key_to_proto(key: ApiKey, now: datetime) -> pb.ApiKey:
    message = pb.ApiKey(
        id=key.id,
        display_name=key.display_name,
        role=f"STAFF_ROLE_{key.role.name}",
        state=f"API_KEY_STATE_{_state(key, now)}",
        etag=key.etag,
        create_time=_time(key.create_time),
        update_time=_time(key.update_time),
    )
    for name in ("expire_time", "revoke_time", "last_use_time", "previous_expire_time"):
        if (moment := getattr(key, name)) is not None:
            getattr(message, name).FromDatetime(moment)
    return message


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoke_time is not None:
        return "REVOKED"
    return "EXPIRED" if has_passed(key.expire_time, now) else "ACTIVE"


def change(before: Member | None, after: Member | None, reason: str = "") -> Change:
    """Who it is stands nowhere in the audit: the id is enough, and the e-mail can be forgotten."""
    told = after or before
    assert told is not None
    return Change("staff_member", told.id, _facts(before), _facts(after), reason)


def _facts(member: Member | None) -> dict[str, str]:
    if member is None:
        return {}
    return {"role": member.role.name, "state": member.state.value, "epoch": str(member.epoch)}


def key_change(before: ApiKey | None, after: ApiKey, reason: str = "") -> Change:
    return Change("api_key", after.id, {} if before is None else _key_facts(before), _key_facts(after), reason)


def _key_facts(key: ApiKey) -> dict[str, str]:
    facts = {"display_name": key.display_name, "role": key.role.name}
    times = {name: getattr(key, name) for name in ("expire_time", "revoke_time", "previous_expire_time")}
    return facts | {name: moment.isoformat() for name, moment in times.items() if moment is not None}


def _time(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message
