"""Users, what they may be called, and what a registration, a code and a link are."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import idna

from shared.runtime.errors import Aborted, FailedPrecondition, InvalidArgument

CODE_LIFE = timedelta(seconds=60)
LINK_LIFE = timedelta(hours=24)


class State(StrEnum):
    ACTIVE = "ACTIVE"
    # The data key is being destroyed: nobody registers, verifies or exchanges in this user's name any more.
    ERASING = "ERASING"
    ERASED = "ERASED"


@dataclass(frozen=True, slots=True)
class User:
    """verify_time: when the user first proved to read mail at the e-mail; None while nobody did."""

    id: str
    create_time: datetime
    update_time: datetime
    state: State = State.ACTIVE
    verify_time: datetime | None = None
    erase_time: datetime | None = None
    version: int = 1

    @property
    def etag(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Registration:
    """verify_time: when the link in its mail was used."""

    id: str
    user_id: str
    solution_id: str
    create_time: datetime
    verify_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """A one-time code of a user for one solution. token_kid: what was given for it."""

    id: str
    user_id: str
    solution_id: str
    create_time: datetime
    expire_time: datetime
    registration_id: str | None = None
    use_time: datetime | None = None
    token_kid: str = ""


# What browsers take in <input type=email> (HTML, 4.10.5.1.5), so that the page and the platform agree.
_LOCAL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")


def normalise(email: str, field: str = "email") -> str:
    """The one spelling that stands for a mailbox: lower case, the domain in its ASCII form.

    The local part is lower-cased, too: no provider of note tells Ann@ from ann@, and two users of one mailbox would be
    worse. InvalidArgument EMAIL_INVALID never repeats the text, since refusals are logged.
    """
    local, at, host = email.strip().lower().rpartition("@")
    try:
        name = idna.encode(host, uts46=True).decode() if at else ""
    except idna.IDNAError:
        name = ""
    if not _LOCAL.fullmatch(local) or "." not in name or len(local) + 1 + len(name) > 254:
        raise InvalidArgument("EMAIL_INVALID", "this is no e-mail address", fields={field: "no e-mail address"})
    return f"{local}@{name}"


def verify(user: User, now: datetime) -> User:
    """The user reads the mail that is sent to the e-mail."""
    check_active(user)
    return replace(user, verify_time=user.verify_time or now, update_time=now, version=user.version + 1)


def begin_erasure(user: User, now: datetime) -> User:
    check_active(user)
    return replace(user, state=State.ERASING, update_time=now, version=user.version + 1)


def erase(user: User, now: datetime) -> User:
    return replace(
        user, state=State.ERASED, verify_time=None, erase_time=now, update_time=now, version=user.version + 1
    )


def check_active(user: User) -> None:
    if user.state is not State.ACTIVE:
        raise FailedPrecondition("USER_ERASED", f"user {user.id} is erased", id=user.id)


def check_etag(user: User, etag: str) -> None:
    if etag not in ("", user.etag):
        raise Aborted("ETAG_MISMATCH", f"user {user.id} changed meanwhile: read it again", id=user.id)


def facts(user: User) -> dict[str, str]:
    """The user as flat texts in the contract's names, for the audit: nothing of what is sealed."""
    return {"state": user.state, "verified": "true" if user.verify_time is not None else ""}
