"""What a notification is, who may get it, which template it takes, and when it is tried again."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from shared.runtime.errors import FailedPrecondition, InvalidArgument

# Of these everybody gets what concerns them, such as a link to a new password.
ESSENTIAL = "essential"
TRANSACTIONAL = "transactional"
VARIABLES_BYTES = 64 * 1024
# Together about a day.
MOST_TRIES = 16
FIRST_WAIT_S, LAST_WAIT_S = 5.0, 6 * 3600.0
_DOUBLINGS = 20


class Channel(StrEnum):
    EMAIL = "EMAIL"
    SMS = "SMS"
    PUSH = "PUSH"


class State(StrEnum):
    PENDING = "PENDING"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    SUPPRESSED = "SUPPRESSED"


class Outcome(StrEnum):
    SENT = "SENT"
    TRANSIENT = "TRANSIENT"
    PERMANENT = "PERMANENT"
    UNKNOWN = "UNKNOWN"


class Reason(StrEnum):
    BOUNCE = "BOUNCE"
    COMPLAINT = "COMPLAINT"
    MANUAL = "MANUAL"


@dataclass(frozen=True, slots=True)
class Template:
    """version 0: one of the platform's own."""

    name: str
    channel: Channel
    locale: str
    subject: str
    text: str
    html: str = ""
    category: str = TRANSACTIONAL
    version: int = 0
    active: bool = True
    create_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Notification:
    """tries: since it was made or replayed. attempts: in all. version: counts what happened to it.

    recipient, variables: sealed, and gone once they are not needed any more.
    """

    id: str
    channel: Channel
    template: str
    locale: str
    category: str
    dedup_key: str
    recipient_hash: str
    recipient: bytes | None
    variables: bytes | None
    next_attempt_time: datetime
    create_time: datetime
    update_time: datetime
    state: State = State.PENDING
    tries: int = 0
    attempts: int = 0
    template_version: int = 0
    last_error: str = ""
    provider_id: str = ""
    end_time: datetime | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants sent. dedup_key: empty makes it one of its own."""

    channel: Channel
    recipient: str
    template: str
    locale: str
    variables: Mapping[str, Any]
    dedup_key: str


@dataclass(frozen=True, slots=True)
class Attempt:
    number: int
    begin_time: datetime
    end_time: datetime
    outcome: Outcome
    error: str
    template_version: int


@dataclass(frozen=True, slots=True)
class OptOut:
    """An empty channel or category stands for all of them."""

    channel: str
    category: str


@dataclass(frozen=True, slots=True)
class Trigger:
    name: str
    event_type: str
    template: str
    channel: Channel
    recipient: str
    locale: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Provider:
    """secret: of SMTP the password, of HTTP the bearer token. rate: the most a second."""

    url: str
    rate: int
    user: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Sender:
    """name: shown beside the address. own: the tenant's address, empty without one."""

    name: str = ""
    own: str = ""


# -- recipients

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_EMAIL = re.compile(rf"{_ATOM}(\.{_ATOM})*@([A-Za-z0-9-]+\.)*[A-Za-z0-9-]+")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_TOKEN = re.compile(r"[\x21-\x7e]{8,512}")


def recipient(channel: Channel, text: str) -> str:
    """The address in its one form. InvalidArgument RECIPIENT_INVALID: nothing of it can end a header or a command."""
    if channel is Channel.EMAIL:
        if len(text) > 254 or len(text.partition("@")[0]) > 64 or not _EMAIL.fullmatch(text):
            raise _invalid("RECIPIENT_INVALID", "recipient", "not an e-mail address")
        return text.lower()
    if channel is Channel.SMS:
        digits = re.sub(r"[ ().-]", "", text)
        if not _PHONE.fullmatch(digits):
            raise _invalid("RECIPIENT_INVALID", "recipient", "not a phone number such as +4930123456")
        return digits
    if not _TOKEN.fullmatch(text):
        raise _invalid("RECIPIENT_INVALID", "recipient", "not a push token: 8 to 512 visible ASCII characters")
    return text


def anybody(text: str) -> str:
    """An address of whichever channel it looks like."""
    if "@" in text:
        return recipient(Channel.EMAIL, text)
    return recipient(Channel.SMS if text.startswith("+") else Channel.PUSH, text)


def masked(address: str) -> str:
    """a***@example.com, +49***56: enough to know one's own by."""
    name, at, host = address.rpartition("@")
    if at:
        return f"{name[:1]}***@{host}"
    return f"{address[:3]}***{address[-2:]}"


def sender_address(text: str) -> str:
    if not text:
        return ""
    if not _EMAIL.fullmatch(text) or len(text) > 254:
        raise _invalid("SENDER_INVALID", "sender_address", "not an e-mail address")
    return text


def one_line(text: str, most: int = 500) -> str:
    """Nothing in it ends a header, or hides what stands in one."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:most]


# -- templates


_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")


def is_locale(text: str) -> bool:
    return _LOCALE.fullmatch(text) is not None


def locales(wanted: str, default: str) -> list[str]:
    """Which locales a recipient is served by, the best first: zh-Hant-TW, zh-Hant, zh, the default's, none."""
    found: list[str] = []
    for locale in (wanted, default):
        parts = locale.split("-") if locale else []
        found += ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return list(dict.fromkeys([*found, ""]))


def best(candidates: Sequence[Template], order: Sequence[str]) -> Template | None:
    """The tenant's own before the platform's, and each in the order of locales."""
    rank = {locale: place for place, locale in enumerate(order)}
    known = [each for each in candidates if each.locale in rank]
    return min(known, key=lambda each: (each.version == 0, rank[each.locale]), default=None)


def check_template(template: Template) -> None:
    """InvalidArgument TEMPLATE_INVALID: a part that the channel has not, or none that it needs."""
    if template.channel is Channel.EMAIL and not (template.subject and (template.text or template.html)):
        raise _invalid("TEMPLATE_INVALID", "template.subject", "mail has a subject, and a text or HTML")
    if template.channel is not Channel.EMAIL and (template.html or not template.text):
        raise _invalid("TEMPLATE_INVALID", "template.text", "SMS and push have a text and no HTML")
    if template.channel is Channel.SMS and template.subject:
        raise _invalid("TEMPLATE_INVALID", "template.subject", "an SMS has none")


# -- who does not want what


def refusal(category: str, channel: Channel, opt_outs: Sequence[OptOut], suppressed: str) -> str:
    """Why a notification is not sent; empty when it is."""
    if suppressed:
        return f"suppressed: {suppressed}"
    if category != ESSENTIAL:
        for each in opt_outs:
            if each.channel in ("", channel) and each.category in ("", category):
                return "opted out"
    return ""


def check_opt_outs(opt_outs: Sequence[OptOut]) -> None:
    if any(each.category == ESSENTIAL for each in opt_outs):
        raise _invalid("CATEGORY_ESSENTIAL", "opt_outs", f"what is {ESSENTIAL} cannot be refused")


# -- tries


def wait_s(tries: int, chance: float, asked_s: float = 0.0) -> float:
    """tries: made so far, from 1. chance: 0 to 1, spreads what failed together. asked_s: by the server."""
    longest = min(FIRST_WAIT_S * 2.0 ** min(tries - 1, _DOUBLINGS), LAST_WAIT_S)
    return max(longest * (0.5 + chance / 2), min(asked_s, LAST_WAIT_S))


def allowance(empty: datetime, now: datetime, rate: int, wanted: int) -> tuple[int, datetime]:
    """(how many may go now, when the bucket counts as empty after them).

    A bucket of one second's worth, kept as one moment: it has held nothing at `empty` and filled since.
    """
    empty = max(empty, now - timedelta(seconds=1))
    held = int((now - empty).total_seconds() * rate + 1e-6)
    some = min(held, wanted)
    return some, empty + timedelta(seconds=some / rate)


def taken(empty: datetime, rate: int, unused: int) -> datetime:
    """`empty` of allowance(), when not all of it was used."""
    return empty - timedelta(seconds=unused / rate)


def next_try(now: datetime, tries: int, chance: float, asked_s: float = 0.0) -> datetime:
    return now + timedelta(seconds=wait_s(tries, chance, asked_s))


def replayable(notification: Notification) -> None:
    if notification.state is not State.FAILED:
        raise FailedPrecondition(
            "NOTIFICATION_NOT_FAILED", "only what has failed is sent again", state=notification.state.value
        )
    if notification.recipient is None:
        raise FailedPrecondition("NOTIFICATION_EXPIRED", "it failed too long ago: its recipient is forgotten")


# -- triggers


def is_place(expression: str) -> bool:
    return expression.startswith(("event.", "order."))


def at_place(expression: str, said: Mapping[str, Any]) -> str:
    """The text itself, or what stands at `event.a.b` or `order.a` of what is said; empty where nothing does."""
    if not is_place(expression):
        return expression
    found: Any = said
    for part in expression.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""


def check_trigger(trigger: Trigger) -> None:
    if not is_place(trigger.recipient):
        recipient(trigger.channel, trigger.recipient)


def _invalid(reason: str, field: str, why: str) -> InvalidArgument:
    return InvalidArgument(reason, f"{field}: {why}", fields={field: why})
