"""Use cases of users that more than one entrance leads to; each runs in the caller's transaction."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from control.catalog.store import Change, record
from control.users import crypto, domain, store
from control.users.crypto import Vault
from control.users.domain import User
from control.users.store import Sealed
from shared.runtime.errors import Internal
from shared.runtime.ids import uuid7


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


def changed(before: User | None, after: User, event: str, reason: str) -> Change:
    """A change to a user, for the audit."""
    facts = domain.facts(before) if before is not None else {}
    return Change("user", after.id, event, reason, facts, domain.facts(after))
