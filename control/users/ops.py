"""Use cases of users that more than one entrance leads to; each runs in the caller's transaction."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from control.catalog.store import Change, record
from control.entitlements.store import tokens_of_user
from control.solutions.domain import Solution
from control.users import crypto, domain, mail, store
from control.users.crypto import Proofs, Vault
from control.users.domain import Code, Registration, User
from control.users.mail import Template
from control.users.store import Sealed
from shared.runtime.db import constraints
from shared.runtime.errors import Internal, NotFound
from shared.runtime.ids import uuid7

# A user has a few; who is registered by others without end keeps none of those.
MOST_REGISTRATIONS = 1000


async def user_of_email(
    tx: AsyncConnection, vault: Vault, email: str, now: datetime, *, field: str = "email"
) -> tuple[str, bool]:
    """The id of the e-mail's user, and whether it is new: a user is made where there was none.

    InvalidArgument EMAIL_INVALID names `field`.
    """
    normal = domain.normalise(email, field)
    key = vault.fingerprint("email", normal)
    if (known := await store.find(tx, key)) is not None:
        return known.id, False
    user = User(id=uuid7(), create_time=now, update_time=now)
    data_key = crypto.new_data_key()
    sealed = crypto.seal(data_key, user.id, "email", normal)
    if not await store.add(tx, user, key, vault.wrap(user.id, data_key), sealed):
        # Registered at the same time; a statement of its own sees it (READ COMMITTED).
        other = await store.find(tx, key)
        if other is None:
            raise Internal("USER_LOST", "a user was there and is not")
        return other.id, False
    await record(tx, [changed(None, user, "created", "")])
    return user.id, True


async def emails(tx: AsyncConnection, vault: Vault, user_ids: Iterable[str]) -> dict[str, str]:
    """The e-mail of each user; who is erased has none."""
    found = await store.get_many(tx, user_ids)
    return {user_id: email for user_id, (_, sealed) in found.items() if (email := email_of(vault, user_id, sealed))}


def email_of(vault: Vault, user_id: str, sealed: Sealed) -> str:
    """Empty once the user is erased."""
    if sealed.data_key is None or sealed.email is None:
        return ""
    return crypto.unseal(vault.unwrap(user_id, sealed.data_key), user_id, "email", sealed.email)


async def issue_code(
    tx: AsyncConnection, user_id: str, solution_id: str, now: datetime, *, registration_id: str | None = None
) -> Code:
    """A one-time code for the solution; `Proofs.code` of its id is what the user carries."""
    code = Code(
        id=uuid7(),
        user_id=user_id,
        solution_id=solution_id,
        registration_id=registration_id,
        create_time=now,
        expire_time=now + domain.CODE_LIFE,
    )
    await store.add_code(tx, code)
    return code


@dataclass(frozen=True, slots=True)
class Registered:
    """at_once: whether the browser may go on without the mail. target: where to, with the caller's state."""

    registration: Registration
    at_once: bool
    target: str
    email: str


async def register(
    tx: AsyncConnection, vault: Vault, solution: Solution, email: str, target: str, client: str, now: datetime
) -> Registered:
    """Takes note that somebody wants a token for the user of an e-mail, and sends that user a mail.

    Only a user who did not exist goes on at once: there is nothing yet that another person could have. client: whom
    registrations are counted by; empty counts the e-mail only.
    """
    normal = domain.normalise(email)
    await _count(tx, vault, {"email": normal, "client": client}, now)
    user_id, is_new = await user_of_email(tx, vault, normal, now)
    user, sealed = await store.get(tx, user_id, lock=True)
    domain.check_active(user)
    if sealed.data_key is None:
        raise Internal("DATA_KEY_MISSING", f"user {user_id} is active and has no data key")
    data_key = vault.unwrap(user_id, sealed.data_key)
    registration = Registration(uuid7(), user_id, solution.id, now)
    await store.add_registration(tx, registration, seal_target(data_key, registration, target))
    template = Template.VERIFY if user.verify_time is None else Template.SIGN_IN
    await mail.post(tx, user_id, data_key, template, normal, now, registration_id=registration.id)
    at_once = is_new and not solution.verified_email_required
    return Registered(registration, at_once, target, normal)


async def _count(tx: AsyncConnection, vault: Vault, of: dict[str, str], now: datetime) -> None:
    """ResourceExhausted TOO_MANY_REGISTRATIONS."""
    for limit in domain.LIMITS:
        if of[limit.of]:
            key = vault.fingerprint(f"count {limit.of} {limit.window.total_seconds():.0f}", of[limit.of])
            full_until = await store.count(tx, key, now, now + limit.window, limit.at_most)
            if full_until is not None:
                raise domain.too_many((full_until - now).total_seconds())


def seal_target(data_key: bytes, registration: Registration, target: str) -> bytes:
    return crypto.seal(data_key, registration.user_id, f"registrations.target.{registration.id}", target)


def open_target(vault: Vault, registration: Registration, sealed: Sealed, target: bytes | None) -> str:
    """Empty once the user is erased."""
    if sealed.data_key is None or target is None:
        return ""
    data_key = vault.unwrap(registration.user_id, sealed.data_key)
    return crypto.unseal(data_key, registration.user_id, f"registrations.target.{registration.id}", target)


@dataclass(frozen=True, slots=True)
class Verified:
    """ended: kids of tokens that strangers may have got before."""

    before: User
    user: User
    registration: Registration
    target: str
    email: str
    ended: list[str]


async def verify(
    tx: AsyncConnection, vault: Vault, proofs: Proofs, link: crypto.Link, browser: Collection[str], now: datetime
) -> Verified:
    """Takes the link of a registration's mail as proof of the e-mail. browser: secrets of registrations that it made.

    Before the first proof anybody could have registered the e-mail and gone on at once: what such registrations led
    to ends now, but for those of this very browser, whose user reads the mail as well.
    """
    found = await store.get_registration(tx, link.id)
    if found is None:
        raise domain.link_invalid()
    user, sealed = await store.get(tx, found[0].user_id, lock=True)
    # Read once more under the user's lock: of two who use the link, one sees it used.
    again = await store.get_registration(tx, link.id, lock=True)
    if again is None or sealed.email_hash is None or not proofs.holds(link, sealed.email_hash):
        raise domain.link_invalid()
    registration, target = domain.use_link(again[0], now), again[1]
    await store.save_registration(tx, registration)
    ended: list[str] = []
    after = user
    if user.verify_time is None:
        given = await store.tokens_of_registrations(tx, user.id)
        made = await store.list_registrations(tx, user.id, MOST_REGISTRATIONS)
        known = {registration.id for registration, _ in made} | {registration_id for registration_id, _ in given}
        own = {registration_id for registration_id in known if proofs.browser(registration_id) in browser}
        await store.void_codes(tx, user.id, now, but=own)
        next_of = {token.kid: token.next_kid for token in await tokens_of_user(tx, user.id)}
        ended = domain.with_successors([kid for registration_id, kid in given if registration_id not in own], next_of)
        after = domain.verify(user, now)
        await store.save(tx, after)
    leads_to = open_target(vault, registration, sealed, target)
    return Verified(user, after, registration, leads_to, email_of(vault, user.id, sealed), ended)


async def exchange(
    tx: AsyncConnection, proofs: Proofs, text: str, solution_id: str, now: datetime
) -> tuple[Code, User, Sealed]:
    """Uses a code; of several who do so at once, the others find it used. For what, the caller writes down."""
    code_id = proofs.read_code(text)
    seen = await store.get_code(tx, code_id) if code_id is not None else None
    if seen is None:
        raise NotFound("CODE_UNKNOWN", "this code was never issued")
    # The user first, as everyone else does who locks both.
    user, sealed = await store.get(tx, seen.user_id, lock=True)
    code = await store.get_code(tx, seen.id, lock=True)
    if code is None:
        raise NotFound("CODE_UNKNOWN", "this code was never issued")
    used = domain.exchange(code, solution_id, now)
    domain.check_active(user)
    return used, user, sealed


async def want_email(tx: AsyncConnection, vault: Vault, user: User, sealed: Sealed, email: str, now: datetime) -> User:
    """Sends a link to another e-mail, which the user has once the link is used."""
    normal = domain.normalise(email)
    if await store.find(tx, vault.fingerprint("email", normal)) is not None:
        raise domain.email_taken()
    if sealed.data_key is None:
        raise Internal("DATA_KEY_MISSING", f"user {user.id} is active and has no data key")
    data_key = vault.unwrap(user.id, sealed.data_key)
    after = domain.touch(user, now)
    await store.save(tx, after, wanted_email=crypto.seal(data_key, user.id, "wanted_email", normal))
    await mail.post(tx, user.id, data_key, Template.CHANGE, normal, now)
    return after


async def change_email(
    tx: AsyncConnection, vault: Vault, proofs: Proofs, link: crypto.Link, now: datetime
) -> tuple[User, User]:
    """Takes the link of a change's mail as proof of the new e-mail; the user before and after."""
    sent = await mail.get(tx, link.id)
    if sent is None or sent.template is not Template.CHANGE:
        raise domain.link_invalid()
    user, sealed = await store.get(tx, sent.user_id, lock=True)
    if sealed.data_key is None or sealed.wanted_email is None or sealed.email is None:
        raise domain.link_invalid()
    data_key = vault.unwrap(user.id, sealed.data_key)
    wanted = crypto.unseal(data_key, user.id, "wanted_email", sealed.wanted_email)
    key = vault.fingerprint("email", wanted)
    if not proofs.holds(link, key):
        raise domain.link_invalid()
    domain.check_link_age(sent.create_time, now)
    if await store.find(tx, key) is not None:
        raise domain.email_taken()
    old = crypto.unseal(data_key, user.id, "email", sealed.email)
    after = domain.verify(user, now)
    email = crypto.seal(data_key, user.id, "email", wanted)
    with constraints({"users_email_hash_key": domain.email_taken()}):
        await store.save(tx, after, email=email, email_hash=key, wanted_email=None)
    await mail.post(tx, user.id, data_key, Template.CHANGED, old, now)
    return user, after


def changed(before: User | None, after: User, event: str, reason: str, **facts: str) -> Change:
    """A change to a user, for the audit. facts: what else happened, without an e-mail or a secret."""
    said = domain.facts(before) if before is not None else {}
    return Change("user", after.id, event, reason, said, {**domain.facts(after), **facts})
