"""What a customer is, which changes to one are allowed, and how long wrong passwords have to wait.

Every change gives the customer's next version, or the customer itself where nothing differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.notifications.domain import Channel, is_locale, recipient
from shared.runtime.context import Session
from shared.runtime.errors import AlreadyExists, InvalidArgument, NotFound, ResourceExhausted, check_etag

MOST_ADDRESSES = 20

SESSION_LIFE = timedelta(days=30)
LINK_LIFE = timedelta(hours=1)
# Who signs out more often than that in the time that a session lasts, ends all others with the next.
MOST_ENDED_SESSIONS = 100

# So many wrong passwords are let through; the next waits, and each one after it twice as long.
FREE_FAILURES = 5
FIRST_WAIT, LAST_WAIT = timedelta(seconds=30), timedelta(minutes=15)
_DOUBLINGS = 10
FAILURES_KEPT = timedelta(days=1)


class State(StrEnum):
    ACTIVE = "ACTIVE"
    ERASED = "ERASED"


@dataclass(frozen=True, slots=True)
class Address:
    """address: sealed; nothing here reads it."""

    id: str
    address: bytes
    is_default: bool
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Customer:
    """email, name, phone: sealed; nothing here reads them. email_hash: keyed, and empty without an e-mail.

    password: as shared.runtime.passwords keeps it; empty for none. epoch: sessions and links of an earlier one have
    ended. ended_sessions: of those of this epoch that were ended alone, when each is over by itself, in seconds, by its
    id. consent_time: since when there is a marketing consent or none; None when they were never asked.
    """

    id: str
    create_time: datetime
    update_time: datetime
    state: State = State.ACTIVE
    external_id: str = ""
    email_hash: str = ""
    email: bytes = b""
    name: bytes = b""
    phone: bytes = b""
    locale: str = ""
    marketing_consent: bool = False
    consent_time: datetime | None = None
    password: str = ""
    epoch: int = 1
    ended_sessions: Mapping[str, int] = field(default_factory=dict)
    is_imported: bool = False
    addresses: tuple[Address, ...] = ()
    erase_time: datetime | None = None
    version: int = 1

    @property
    def etag(self) -> str:
        return str(self.version)

    @property
    def is_active(self) -> bool:
        return self.state is State.ACTIVE


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said of a customer; None for nothing. name, phone: sealed."""

    name: bytes | None = None
    phone: bytes | None = None
    locale: str | None = None
    marketing_consent: bool | None = None


@dataclass(frozen=True, slots=True)
class Tries:
    """Tries to sign in with one e-mail that have failed, or may yet. last_time: of the latest."""

    failures: int
    last_time: datetime


def email_of(given: str) -> str:
    """In its one form; empty for none. InvalidArgument FIELD_INVALID."""
    try:
        return recipient(Channel.EMAIL, given.strip()) if given else ""
    except InvalidArgument:
        raise invalid("email", "not an e-mail address") from None


def locale_of(given: str) -> str:
    """InvalidArgument FIELD_INVALID."""
    if given and not is_locale(given):
        raise invalid("locale", "no locale such as de or de-AT")
    return given


def update(before: Customer, said: Said, now: datetime, etag: str = "") -> Customer:
    """Aborted ETAG_MISMATCH."""
    check_etag("customer", before.id, before.etag, etag)
    return _changed(before, now, **_told(before, said, now))


def told(new: Customer, said: Said, now: datetime) -> Customer:
    """A customer who is being made, with what was said of them."""
    return replace(new, **_told(new, said, now))  # type: ignore[arg-type]


def bring_in(before: Customer, external_id: str, email: tuple[str, bytes], said: Said, now: datetime) -> Customer:
    """Somebody whom an import has found here. email: its hash and itself, sealed; empty where it is not said.

    AlreadyExists EMAIL_TAKEN: the e-mail is of somebody with another external id.
    """
    if not before.is_active:
        return before
    if before.external_id and external_id and before.external_id != external_id:
        raise email_taken()
    changes: dict[str, object] = {"external_id": external_id or before.external_id}
    if email[0] and email[0] != before.email_hash:
        # What was sent to the other e-mail is of no use any more.
        changes |= {"email_hash": email[0], "email": email[1], **_next_epoch(before)}
    return _changed(before, now, **changes, **_told(before, said, now))


def email_taken() -> AlreadyExists:
    # Without the e-mail: words are logged.
    return AlreadyExists("EMAIL_TAKEN", "a customer of this shop has this e-mail already")


def set_password(before: Customer, password: str, now: datetime) -> Customer:
    """Whatever was open under the former one ends."""
    return _changed(before, now, password=password, **_next_epoch(before))


def end_sessions(before: Customer, now: datetime) -> Customer:
    return _changed(before, now, **_next_epoch(before))


def end_session(before: Customer, session: Session, now: datetime) -> Customer:
    """This one alone, if it has an id."""
    second = int(now.timestamp())
    kept = {id: ends for id, ends in before.ended_sessions.items() if ends >= second}
    if not session.id or len(kept) >= MOST_ENDED_SESSIONS:
        return end_sessions(before, now)
    return _changed(before, now, ended_sessions=kept | {session.id: int(session.expire_time.timestamp())})


def holds(customer: Customer, session: Session) -> bool:
    return customer.is_active and customer.epoch == session.epoch and session.id not in customer.ended_sessions


def _next_epoch(before: Customer) -> dict[str, object]:
    """What was ended alone ends with all others."""
    return {"epoch": before.epoch + 1, "ended_sessions": {}}


def erase(before: Customer, now: datetime) -> Customer:
    """What is left is an id that others refer to."""
    if not before.is_active:
        return before
    gone = _told(before, Said(marketing_consent=False), now) if before.marketing_consent else {}
    return _changed(
        before,
        now,
        **gone,
        state=State.ERASED,
        erase_time=now,
        email_hash="",
        email=b"",
        name=b"",
        phone=b"",
        locale="",
        password="",
        addresses=(),
        **_next_epoch(before),
    )


# -- addresses


def add_address(before: Customer, new: Address, now: datetime) -> Customer:
    """The first is the default, whether or not it is asked for. ResourceExhausted ADDRESS_LIMIT_REACHED."""
    if len(before.addresses) >= MOST_ADDRESSES:
        why = f"a customer has at most {MOST_ADDRESSES} addresses"
        raise ResourceExhausted("ADDRESS_LIMIT_REACHED", why, limit=str(MOST_ADDRESSES))
    return _addressed(before, (*before.addresses, new), new.id if new.is_default else "", now)


def update_address(
    before: Customer, address_id: str, sealed: bytes | None, is_default: bool, now: datetime
) -> Customer:
    """sealed: None leaves it as it is. NotFound ADDRESS_NOT_FOUND."""
    known = _address(before, address_id)
    after = known if sealed is None else replace(known, address=sealed)
    addresses = tuple(after if each is known else each for each in before.addresses)
    return _addressed(before, addresses, address_id if is_default else "", now)


def delete_address(before: Customer, address_id: str, now: datetime) -> Customer:
    """NotFound ADDRESS_NOT_FOUND."""
    gone = _address(before, address_id)
    return _addressed(before, tuple(each for each in before.addresses if each is not gone), "", now)


def _address(customer: Customer, address_id: str) -> Address:
    found = next((each for each in customer.addresses if each.id == address_id), None)
    if found is None:
        raise NotFound("ADDRESS_NOT_FOUND", "no such address of this customer", id=address_id)
    return found


def _addressed(before: Customer, addresses: Sequence[Address], wanted: str, now: datetime) -> Customer:
    """With exactly one default: the wanted one, else the one that was, else the oldest."""
    known = [each.id for each in addresses if each.is_default]
    default = wanted or next(iter(known or [each.id for each in addresses]), "")
    return _changed(before, now, addresses=tuple(replace(each, is_default=each.id == default) for each in addresses))


# -- wrong passwords


def take(before: Tries, now: datetime) -> Tries:
    """One more try, counted before anybody knows whether it fails: many at once get no further than one by one.

    ResourceExhausted TOO_MANY_ATTEMPTS, with the time to wait.
    """
    if before.last_time <= now - FAILURES_KEPT:
        return Tries(1, now)
    if before.failures >= FREE_FAILURES:
        doubled = FIRST_WAIT * 2 ** min(before.failures - FREE_FAILURES, _DOUBLINGS)
        left_s = (before.last_time + min(doubled, LAST_WAIT) - now).total_seconds()
        if left_s > 0:
            why = "too many wrong passwords for this e-mail; wait, or ask for a link to a new one"
            raise ResourceExhausted("TOO_MANY_ATTEMPTS", why, retry_after_s=left_s)
    return Tries(before.failures + 1, now)


def invalid(field: str, why: str) -> InvalidArgument:
    return InvalidArgument("FIELD_INVALID", f"{field}: {why}", fields={field: why})


def _told(before: Customer, said: Said, now: datetime) -> dict[str, object]:
    changes: dict[str, object] = {
        name: value for name in ("name", "phone", "locale") if (value := getattr(said, name)) is not None
    }
    consent = said.marketing_consent
    if consent is not None and consent != before.marketing_consent:
        changes |= {"marketing_consent": consent, "consent_time": now}
    return changes


def _changed(customer: Customer, now: datetime, **changes: object) -> Customer:
    after = replace(customer, **changes)  # type: ignore[arg-type]
    return customer if after == customer else replace(after, update_time=now, version=customer.version + 1)
