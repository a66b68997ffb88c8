"""Users, what they may be called, and what a registration, a code and a link are."""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import idna

from shared.runtime.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    PlatformError,
    ResourceExhausted,
)

CODE_LIFE = timedelta(seconds=60)
LINK_LIFE = timedelta(hours=24)
# What is kept of registrations and mails that have done their work, for the user's own export and for operators.
KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many registrations in a window, of an e-mail or of a client."""

    of: str
    window: timedelta
    at_most: int


# An e-mail's owner gets the mail, asked for or not; behind a client's address an office or a school may stand.
LIMITS = (
    Limit("email", timedelta(minutes=10), 5),
    Limit("email", timedelta(days=1), 20),
    Limit("client", timedelta(minutes=10), 60),
)

# What a redirect says; a query that says it already would speak for the platform.
_OURS = frozenset(("code", "state", "token", "user_email", "error"))


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


def client_of(forwarded: str) -> str:
    """Whom registrations are counted by: the last address that Envoy added, of IPv6 the network that one client has."""
    text = forwarded.rpartition(",")[2].strip()
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def check_redirect(wanted: str, allowed: Sequence[str]) -> str:
    """Where the browser may be sent: the wanted address when it is one of the solution's but for its query."""
    if not allowed:
        raise FailedPrecondition("REDIRECT_URL_MISSING", "the solution has no address to send its users to")
    if not wanted:
        return allowed[0]
    if not wanted.isprintable() or _place(wanted) not in {_place(url) for url in allowed}:
        why = "is none of the solution's redirect URLs"
        raise InvalidArgument("REDIRECT_URL_UNKNOWN", f"redirect_url {why}", fields={"redirect_url": why})
    return wanted


def _place(url: str) -> tuple[str, str, str] | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.scheme.lower(), parts.netloc.lower(), parts.path or "/"


def target(url: str, state: str) -> str:
    """Where a registration leads, with the caller's own words; ours are added when it does."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in _OURS]
    if state:
        query.append(("state", state))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(query), ""))


def led(target: str, **said: str) -> str:
    parts = urlsplit(target)
    query = "&".join(part for part in (parts.query, urlencode(said)) if part)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def too_many(seconds: float) -> PlatformError:
    return ResourceExhausted(
        "TOO_MANY_REGISTRATIONS",
        f"too many registrations; try again in {max(1, round(seconds))} s",
        retry_after_s=max(1.0, seconds),
    )


def exchange(code: Code, solution_id: str, now: datetime) -> Code:
    """The code is used; for what, whoever gives the token adds."""
    if code.solution_id != solution_id:
        raise FailedPrecondition("CODE_FOREIGN", "the code is another solution's")
    if code.use_time is not None:
        raise FailedPrecondition("CODE_USED", "the code was exchanged before; it is good for one token")
    if now >= code.expire_time:
        raise FailedPrecondition("CODE_EXPIRED", "the code has expired; register again")
    return replace(code, use_time=now)


def use_link(registration: Registration, now: datetime) -> Registration:
    if registration.verify_time is not None:
        raise FailedPrecondition("LINK_USED", "the link was used before; ask for another")
    check_link_age(registration.create_time, now)
    return replace(registration, verify_time=now)


def with_successors(kids: Iterable[str], next_of: Mapping[str, str]) -> list[str]:
    """These tokens and what took their place since: whoever held the one was given the other."""
    found: dict[str, None] = {}
    for kid in kids:
        while kid and kid not in found:
            found[kid] = None
            kid = next_of.get(kid, "")
    return list(found)


def check_link_age(since: datetime, now: datetime) -> None:
    if now >= since + LINK_LIFE:
        raise FailedPrecondition("LINK_EXPIRED", "the link has expired; ask for another")


def link_invalid() -> PlatformError:
    why = "is no link of this platform, or its e-mail has changed since"
    return InvalidArgument("LINK_INVALID", f"the link {why}", fields={"token": why})


def verify(user: User, now: datetime) -> User:
    """The user reads the mail that is sent to the e-mail."""
    check_active(user)
    return replace(user, verify_time=user.verify_time or now, update_time=now, version=user.version + 1)


def touch(user: User, now: datetime) -> User:
    """Something of the user's changed that the user's own fields do not show."""
    check_active(user)
    return replace(user, update_time=now, version=user.version + 1)


def email_taken() -> PlatformError:
    return AlreadyExists("EMAIL_TAKEN", "another user has this e-mail")


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


def facts(user: User) -> dict[str, str]:
    """The user as flat texts in the contract's names, for the audit: nothing of what is sealed."""
    return {"state": user.state, "verified": "true" if user.verify_time is not None else ""}
