"""What members and API keys of a shop are, what may become of them, and what they let in."""

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any

from shared.notifications.domain import Channel, recipient
from shared.runtime.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    PlatformError,
    Unauthenticated,
    check_etag,
)

INVITATION_LASTS = timedelta(days=7)
SESSION_LASTS = timedelta(hours=12)
OVERLAP = timedelta(hours=24)


class Role(IntEnum):
    """Each may do all that those below it may. Numbers as in center.shared.v1.StaffRole."""

    READ_ONLY = 1
    STAFF = 2
    MANAGER = 3
    OWNER = 4


class State(StrEnum):
    INVITED = "INVITED"
    ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True)
class Member:
    """email: sealed; nothing here reads it. epoch: sessions of another one have ended."""

    id: str
    email: bytes
    email_hash: str
    role: Role
    create_time: datetime
    update_time: datetime
    invitation_digest: bytes = b""
    invitation_expire_time: datetime | None = None
    password_hash: str = ""
    epoch: int = 1
    version: int = 1

    @property
    def state(self) -> State:
        return State.ACTIVE if self.password_hash else State.INVITED

    @property
    def etag(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class ApiKey:
    id: str
    display_name: str
    role: Role
    digest: bytes
    create_time: datetime
    update_time: datetime
    previous_digest: bytes = b""
    previous_expire_time: datetime | None = None
    expire_time: datetime | None = None
    revoke_time: datetime | None = None
    last_use_time: datetime | None = None
    version: int = 1

    @property
    def etag(self) -> str:
        return str(self.version)


def email_of(given: str) -> str:
    """The one spelling of an address. InvalidArgument FIELD_INVALID does not repeat the text: refusals are logged."""
    try:
        return recipient(Channel.EMAIL, given.strip())
    except InvalidArgument:
        why = "not an e-mail address"
        raise InvalidArgument("FIELD_INVALID", f"email: {why}", fields={"email": why}) from None


def digest(secret: bytes) -> bytes:
    """Secrets are 128 random bits: there is nothing to try out, and so nothing to be slow for."""
    return hashlib.sha256(secret).digest()


# Members


def invite_again(member: Member, role: Role, invitation: bytes, now: datetime) -> Member:
    """invitation: the digest of the new secret; the one before opens nothing any more."""
    if member.state is State.ACTIVE:
        raise member_exists()
    return _changed(member, now, role=role, invitation_digest=invitation, invitation_expire_time=now + INVITATION_LASTS)


def member_exists() -> AlreadyExists:
    return AlreadyExists("MEMBER_EXISTS", "whoever has this e-mail is a member already")


def accept(member: Member | None, secret: bytes, password_hash: str, now: datetime) -> Member:
    """NotFound INVITATION_NOT_FOUND, whatever is wrong with it."""
    if (
        member is None
        or member.invitation_expire_time is None
        or member.invitation_expire_time <= now
        or not hmac.compare_digest(member.invitation_digest, digest(secret))
    ):
        raise no_invitation()
    return _changed(member, now, password_hash=password_hash, invitation_digest=b"", invitation_expire_time=None)


def no_invitation() -> NotFound:
    return NotFound("INVITATION_NOT_FOUND", "no such invitation: it was used, or it ended; ask for another one")


def sign_out(member: Member, now: datetime) -> Member:
    return _changed(member, now, epoch=member.epoch + 1)


def change_password(member: Member, password_hash: str, now: datetime) -> Member:
    return _changed(member, now, password_hash=password_hash, epoch=member.epoch + 1)


def change_role(member: Member, role: Role, owners: Collection[str], etag: str, now: datetime) -> Member:
    """owners: the ids of those who can sign in, held by the transaction. FailedPrecondition LAST_OWNER."""
    _refuse_stale(member, etag)
    if role is not Role.OWNER:
        _refuse_last(member, owners)
    return member if role is member.role else _changed(member, now, role=role)


def refuse_removal(member: Member, owners: Collection[str], etag: str) -> None:
    """owners: as above. FailedPrecondition LAST_OWNER."""
    _refuse_stale(member, etag)
    _refuse_last(member, owners)


def _refuse_last(member: Member, owners: Collection[str]) -> None:
    if set(owners) == {member.id}:
        message = "a shop has at least one owner who can sign in: make somebody else an owner first"
        raise FailedPrecondition("LAST_OWNER", message, id=member.id)


def _refuse_stale(member: Member, etag: str) -> None:
    check_etag("member", member.id, member.etag, etag)


def _changed(member: Member, now: datetime, **fields: Any) -> Member:
    return replace(member, **fields, version=member.version + 1, update_time=now)


# API keys


def check_expiry(expire_time: datetime | None, now: datetime) -> None:
    if expire_time is not None and expire_time <= now:
        why = "not in the future"
        raise InvalidArgument("FIELD_INVALID", f"expire_time: {why}", fields={"expire_time": why})


def rotate(key: ApiKey, secret: bytes, overlap: timedelta, now: datetime) -> ApiKey:
    """secret: the digest of the new one. FailedPrecondition API_KEY_ENDED."""
    if key.revoke_time is not None or has_passed(key.expire_time, now):
        raise FailedPrecondition("API_KEY_ENDED", "this key opens nothing any more; create another one", id=key.id)
    return replace(
        key,
        digest=secret,
        previous_digest=key.digest if overlap else b"",
        previous_expire_time=now + overlap if overlap else None,
        version=key.version + 1,
        update_time=now,
    )


def revoke(key: ApiKey, now: datetime) -> ApiKey:
    if key.revoke_time is not None:
        return key
    return replace(
        key,
        revoke_time=now,
        digest=b"",
        previous_digest=b"",
        previous_expire_time=None,
        version=key.version + 1,
        update_time=now,
    )


def has_passed(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


# What they let in


@dataclass(frozen=True, slots=True)
class MemberStanding:
    """What the database says of a member now."""

    role: Role
    state: State
    epoch: int


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """What the database says of an API key now."""

    role: Role
    digest: bytes
    previous_digest: bytes
    previous_expire_time: datetime | None
    expire_time: datetime | None
    revoke_time: datetime | None
    last_use_time: datetime | None


def role_of_session(standing: MemberStanding | None, epoch: int) -> Role:
    if standing is None or standing.state is not State.ACTIVE or standing.epoch != epoch:
        raise Unauthenticated("SESSION_ENDED", "this session has ended; sign in again")
    return standing.role


def role_of_key(standing: KeyStanding | None, secret: bytes, now: datetime) -> Role:
    if standing is None:
        raise unknown_token()
    if standing.revoke_time is not None:
        raise Unauthenticated("API_KEY_REVOKED", "this API key was revoked")
    if has_passed(standing.expire_time, now):
        raise Unauthenticated("API_KEY_EXPIRED", "this API key has ended; make another one")
    if hmac.compare_digest(standing.digest, shown := digest(secret)):
        return standing.role
    is_previous = hmac.compare_digest(standing.previous_digest, shown)
    if is_previous and not has_passed(standing.previous_expire_time, now):
        return standing.role
    raise Unauthenticated("API_KEY_REVOKED", "this API key was replaced; use its new secret")


def unknown_token() -> Unauthenticated:
    return Unauthenticated("TOKEN_INVALID", "not a backoffice token of this shop")


def sign_in_refused() -> Unauthenticated:
    return Unauthenticated("SIGN_IN_REFUSED", "no member here has this e-mail with this password")


def not_a_member() -> PlatformError:
    return FailedPrecondition("NOT_A_MEMBER", "only a member who has signed in can do this")


def refuse_role(role: Role, needed: Role, caller: str, method: str) -> None:
    """PermissionDenied ROLE_NOT_ALLOWED."""
    if role < needed:
        message = f"{caller} is {role.name} here, and {method} needs {needed.name}"
        raise PermissionDenied("ROLE_NOT_ALLOWED", message, caller=caller, role=role.name, needed_role=needed.name)


def hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
