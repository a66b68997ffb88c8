"""Giving and ending tokens: for trusted callers, for users who exchange a code, and when a user is erased."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from center_sdk import tokens
from control.catalog.store import Change
from control.entitlements import domain, store
from control.entitlements.domain import Entitlement, Status, Token
from control.peppers import Peppers
from control.solutions import domain as solution_domain
from control.solutions.domain import Solution
from shared.runtime.ids import uuid7


@dataclass(frozen=True, slots=True)
class Issuer:
    """Makes tokens of one environment."""

    peppers: Peppers
    environment: str

    def make(self, entitlement: Entitlement, now: datetime, expire_time: datetime | None) -> tuple[str, Token]:
        """The whole token, to be shown once, and what is kept of it."""
        secret = tokens.issue(self.environment)
        parsed = tokens.parse(secret)
        assert parsed is not None
        pepper, mac = self.peppers.seal(secret)
        token = Token(
            parsed.kid, entitlement.id, entitlement.user_id, entitlement.solution_id, pepper, mac, now, expire_time
        )
        return secret, token


@dataclass(frozen=True, slots=True)
class Issued:
    """changes: for the caller to record, the new token's last."""

    secret: str
    token: Token
    entitlement: Entitlement
    changes: list[Change]


async def issue(
    tx: AsyncConnection,
    issuer: Issuer,
    user_id: str,
    solution: Solution,
    now: datetime,
    *,
    tier: str = "",
    tier_field: str = "access_tier",
    overlap: timedelta | None = timedelta(0),
    ttl: timedelta | None = None,
    makes_room: bool = False,
    reason: str = "",
) -> Issued:
    """A token for a user, with an entitlement where there was none.

    solution: read with share=True. tier: empty keeps what the user has, or takes the solution's default.
    overlap: how long the user's earlier tokens go on; None leaves them as they are. makes_room: revokes the oldest
    where there are too many, in place of TOO_MANY_TOKENS.
    """
    wanted = solution_domain.tier_of(solution, tier, tier_field)
    before, is_new = await store.grant(tx, Entitlement(uuid7(), user_id, solution.id, wanted, now, now))
    domain.check_active(before)
    changes, entitlement = [], before
    if is_new:
        changes.append(store.changed(None, before, "granted", reason))
    elif tier and (entitlement := domain.update(before, tier, None, reason, "", now)) is not before:
        await store.save(tx, entitlement)
        changes.append(store.changed(before, entitlement, "updated", reason))
    secret, token = issuer.make(entitlement, now, now + ttl if ttl is not None else None)
    live = [] if is_new else await store.live_tokens(tx, entitlement.id, now)
    ending: list[tuple[Token, Token]] = []
    if overlap is not None:
        ending = [(old, domain.end(old, overlap, token.kid, now)) for old in live]
    elif makes_room:
        gone = {old.kid: old for old in domain.make_room(live, now)}
        ending = [(old, gone[old.kid]) for old in live if old.kid in gone]
    domain.check_room(sum(1 for old in live if old.kid not in {after.kid for _, after in ending if after.revoke_time}))
    for old, after in ending:
        await store.save_token(tx, after)
        changes.append(store.token_changed(old, after, "replaced", reason))
    await store.add_token(tx, token)
    changes.append(store.token_changed(None, token, "issued", reason))
    return Issued(secret, token, entitlement, changes)


async def rotate(
    tx: AsyncConnection, issuer: Issuer, token: Token, overlap: timedelta, reason: str, now: datetime
) -> tuple[str, Token, Token, list[Change]]:
    """(the new secret, the new token, the old one as it is now, changes: the new token's last). It ends when the old
    one would have ended."""
    entitlement = await store.get(tx, token.entitlement_id, lock=True)
    domain.check_active(entitlement)
    # Read once more under the entitlement's lock.
    token = await store.get_token(tx, token.kid, lock=True)
    domain.check_rotatable(token, now)
    secret, following = issuer.make(entitlement, now, token.expire_time)
    previous = domain.end(token, overlap, following.kid, now)
    live = await store.live_tokens(tx, entitlement.id, now)
    domain.check_room(len(live) - (previous.revoke_time is not None))
    await store.save_token(tx, previous)
    await store.add_token(tx, following)
    changes = [
        store.token_changed(token, previous, "replaced", reason),
        store.token_changed(None, following, "issued", reason),
    ]
    return secret, following, previous, changes


async def revoke(tx: AsyncConnection, kids: list[str], reason: str, now: datetime) -> list[Change]:
    """Ends tokens at once; those that are over already stay as they are."""
    changes = []
    for kid in sorted(set(kids)):
        before = await store.find_token(tx, kid, lock=True)
        if before is not None and (after := domain.revoke(before, reason, now)) is not before:
            await store.save_token(tx, after)
            changes.append(store.token_changed(before, after, "revoked", reason))
    return changes


async def end_of_user(tx: AsyncConnection, user_id: str, reason: str, now: datetime) -> list[Change]:
    """Cancels all that a user has, and revokes the tokens."""
    changes = []
    for before in await store.of_user(tx, user_id, lock=True):
        if before.status is not Status.CANCELLED:
            after = domain.update(before, "", Status.CANCELLED, reason, "", now)
            await store.save(tx, after)
            changes.append(store.changed(before, after, "cancelled", reason))
    live = [token.kid for token in await store.tokens_of_user(tx, user_id) if token.revoke_time is None]
    return changes + await revoke(tx, live, reason, now)
