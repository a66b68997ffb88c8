"""What an entitlement and a token are, and which changes to one are allowed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.runtime.errors import FailedPrecondition, NotFound, PlatformError, check_etag

# Of one entitlement: rotations overlap, and a user has several browsers.
MAX_LIVE_TOKENS = 10


class Status(StrEnum):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CANCELLED = "CANCELLED"


class State(StrEnum):
    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


@dataclass(frozen=True, slots=True)
class Entitlement:
    id: str
    user_id: str
    solution_id: str
    tier: str
    create_time: datetime
    update_time: datetime
    status: Status = Status.ACTIVE
    status_reason: str = ""
    version: int = 1
    revision: int = 0

    @property
    def etag(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Token:
    """A secret of an entitlement, without the secret. pepper, mac: what proves it."""

    kid: str
    entitlement_id: str
    user_id: str
    solution_id: str
    pepper: int
    mac: bytes
    create_time: datetime
    expire_time: datetime | None = None
    revoke_time: datetime | None = None
    revoke_reason: str = ""
    last_use_time: datetime | None = None
    next_kid: str = ""
    revision: int = 0

    def state(self, now: datetime) -> State:
        if self.revoke_time is not None:
            return State.REVOKED
        return State.EXPIRED if self.expire_time is not None and self.expire_time <= now else State.ACTIVE


def update(
    entitlement: Entitlement, tier: str, status: Status | None, reason: str, etag: str, now: datetime
) -> Entitlement:
    """tier, status: empty and None keep what is there. The same when nothing changes."""
    check_etag("entitlement", entitlement.id, entitlement.etag, etag)
    if entitlement.status is Status.CANCELLED:
        raise FailedPrecondition("ENTITLEMENT_CANCELLED", "a cancelled entitlement stays so", id=entitlement.id)
    after = replace(entitlement, tier=tier or entitlement.tier)
    if status is not None and status is not entitlement.status:
        after = replace(after, status=status, status_reason=reason)
    if after == entitlement:
        return entitlement
    return replace(after, update_time=now, version=entitlement.version + 1)


def check_active(entitlement: Entitlement) -> None:
    if entitlement.status is not Status.ACTIVE:
        raise FailedPrecondition(
            "ENTITLEMENT_NOT_ACTIVE",
            f"the user's entitlement is {entitlement.status.lower()}",
            id=entitlement.id,
            status=entitlement.status,
        )


def end(token: Token, overlap: timedelta, next_kid: str, now: datetime) -> Token:
    """The token goes on for `overlap`, never past its own end; at once it is revoked."""
    if overlap <= timedelta(0):
        return replace(token, revoke_time=now, revoke_reason="replaced", next_kid=next_kid)
    last = now + overlap
    return replace(token, expire_time=min(last, token.expire_time or last), next_kid=next_kid)


def revoke(token: Token, reason: str, now: datetime) -> Token:
    """The same when it is revoked already."""
    return token if token.revoke_time is not None else replace(token, revoke_time=now, revoke_reason=reason)


def check_rotatable(token: Token, now: datetime) -> None:
    state = token.state(now)
    if state is not State.ACTIVE:
        raise FailedPrecondition(
            f"TOKEN_{state}", f"token {token.kid} is {state.lower()}: there is nothing to take over", kid=token.kid
        )


def make_room(live: Sequence[Token], now: datetime) -> list[Token]:
    """Those that are revoked so that there may be one more: the oldest."""
    surplus = len(live) - MAX_LIVE_TOKENS + 1
    return [revoke(token, "more tokens than one may have", now) for token in live[: max(0, surplus)]]


def check_room(live: int) -> None:
    if live >= MAX_LIVE_TOKENS:
        raise FailedPrecondition(
            "TOO_MANY_TOKENS",
            f"an entitlement has at most {MAX_LIVE_TOKENS} live tokens: revoke one, or ask for less overlap",
            limit=str(MAX_LIVE_TOKENS),
        )


def token_not_found(kid: str) -> PlatformError:
    return NotFound("TOKEN_NOT_FOUND", "there is no such token", kid=kid[:64])


def entitlement_not_found(entitlement_id: str) -> PlatformError:
    return NotFound("ENTITLEMENT_NOT_FOUND", f"there is no entitlement {entitlement_id}", id=entitlement_id)


def facts(entitlement: Entitlement) -> dict[str, str]:
    """As flat texts in the contract's names, for the audit to compare."""
    return {
        "user_id": entitlement.user_id,
        "solution_id": entitlement.solution_id,
        "tier": entitlement.tier,
        "status": entitlement.status,
        "status_reason": entitlement.status_reason,
    }


def token_facts(token: Token) -> dict[str, str]:
    return {
        "entitlement_id": token.entitlement_id,
        "user_id": token.user_id,
        "solution_id": token.solution_id,
        "expire_time": token.expire_time.isoformat() if token.expire_time is not None else "",
        "revoke_time": token.revoke_time.isoformat() if token.revoke_time is not None else "",
        "revoke_reason": token.revoke_reason,
        "next_kid": token.next_kid,
    }
