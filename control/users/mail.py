"""Mail to users: an outbox in the change's own transaction, a worker that delivers it, a file mailbox or SMTP.

A row of the outbox has no address in clear and no link: both are made in memory when the mail goes out, and its text is
stored nowhere but where it is delivered.
"""

import asyncio
import random
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import structlog
from sqlalchemy import ColumnElement, Row, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from control.backoff import Backoff
from control.signals import signalled
from control.solutions import store as solution_store
from control.tables import mails
from control.users import crypto, domain, store
from control.users.crypto import Proofs, Vault
from control.users.domain import LINK_LIFE, State
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import NotFound, PlatformError
from shared.runtime.ids import uuid7

log = structlog.stdlib.get_logger("center.mail")

CHANNEL = "center_mails"
AT_ONCE = 8
LEASE = timedelta(seconds=60)
LOOK_S = 1.0
SMTP_TIMEOUT_S = 15.0
backoff_s = Backoff(first_s=2.0, last_s=1800.0).delay_s

REGISTRATION, CHANGE = "r", "c"


class Template(StrEnum):
    VERIFY = "VERIFY"
    SIGN_IN = "SIGN_IN"
    CHANGE = "CHANGE"
    CHANGED = "CHANGED"


class Outcome(StrEnum):
    PENDING = "PENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    DROPPED = "DROPPED"


@dataclass(frozen=True, slots=True)
class Mail:
    """registration_id: what the link in it belongs to; empty for mail about an e-mail's change."""

    id: str
    user_id: str
    template: Template
    create_time: datetime
    next_attempt_time: datetime
    registration_id: str = ""
    state: Outcome = Outcome.PENDING
    attempts: int = 0
    last_error: str = ""
    end_time: datetime | None = None


class Undeliverable(Exception):
    """The server did not take a mail. why: short and without the address. for_good: it never will."""

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.for_good = for_good


class Delivery(Protocol):
    """Where mail goes. keeps: whether what was delivered is still ours."""

    keeps: bool

    def deliver(self, mail_id: str, message: EmailMessage) -> None:
        """Blocks; Undeliverable when it was not taken. The same mail may be delivered twice."""
        ...

    def discard(self, mail_id: str) -> bool:
        """Takes a delivered mail back, and says whether there was one; a mail server never gives one back."""
        ...


class FileMailbox:
    """One file a mail below home/mail, for one machine and for tests."""

    keeps = True

    def __init__(self, home: Path) -> None:
        self.folder = home / "mail"

    def deliver(self, mail_id: str, message: EmailMessage) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / f".{mail_id}"
        draft.touch(mode=0o600)
        draft.write_bytes(bytes(message))
        draft.rename(self._path(mail_id))

    def discard(self, mail_id: str) -> bool:
        try:
            self._path(mail_id).unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, mail_id: str) -> Path:
        return self.folder / f"{mail_id}.eml"


class Smtp:
    """smtp://[user:password@]host[:port], with TLS where the server offers it, or smtps:// from the first byte on."""

    keeps = False

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("CENTER_SMTP_URL is not smtp://[user:password@]host[:port] or smtps://...")
        self._secure = parts.scheme == "smtps"
        self._host, self._port = parts.hostname, parts.port or (465 if self._secure else 25)
        self._login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None

    def deliver(self, mail_id: str, message: EmailMessage) -> None:
        # What servers say repeats addresses: only the numbers get out of here.
        try:
            self._send(message)
        except smtplib.SMTPRecipientsRefused as error:
            [(code, _)] = error.recipients.values()
            raise Undeliverable(f"SMTP {code}", for_good=code >= 500) from None
        except smtplib.SMTPAuthenticationError as error:
            raise Undeliverable(f"SMTP {error.smtp_code} at login") from None
        except smtplib.SMTPResponseException as error:
            raise Undeliverable(f"SMTP {error.smtp_code}", for_good=error.smtp_code >= 500) from None
        except (smtplib.SMTPException, OSError) as error:
            raise Undeliverable(type(error).__name__) from None

    def _send(self, message: EmailMessage) -> None:
        context = ssl.create_default_context()
        if self._secure:
            connected: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=SMTP_TIMEOUT_S, context=context)
        else:
            connected = smtplib.SMTP(self._host, self._port, timeout=SMTP_TIMEOUT_S)
        with connected as server:
            server.ehlo_or_helo_if_needed()
            if not self._secure and server.has_extn("starttls"):
                server.starttls(context=context)
            elif self._login is not None and not self._secure:
                raise Undeliverable("the server has no TLS, and a password is not sent without")
            if self._login is not None:
                server.login(*self._login)
            server.send_message(message)

    def discard(self, mail_id: str) -> bool:
        return False


async def post(
    tx: AsyncConnection,
    user_id: str,
    data_key: bytes,
    template: Template,
    address: str,
    now: datetime,
    *,
    registration_id: str | None = None,
) -> None:
    """Puts a mail into the outbox; it goes out once the transaction has committed."""
    mail_id = uuid7()
    await tx.execute(
        insert(mails).values(
            id=mail_id,
            user_id=user_id,
            template=template,
            registration_id=registration_id,
            address=crypto.seal(data_key, user_id, f"mails.address.{mail_id}", address),
            state=Outcome.PENDING,
            next_attempt_time=now,
            create_time=now,
        )
    )
    await tx.execute(select(func.pg_notify(CHANNEL, "")))


async def get(tx: AsyncConnection, mail_id: str) -> Mail | None:
    row = (await tx.execute(select(mails).where(mails.c.id == mail_id))).one_or_none()
    return _mail(row) if row is not None else None


async def list_page(tx: AsyncConnection, where: Sequence[ColumnElement[bool]], limit: int) -> list[Mail]:
    """Newest first."""
    order = (mails.c.create_time.desc(), mails.c.id.desc())
    return [_mail(row) for row in (await tx.execute(select(mails).where(*where).order_by(*order).limit(limit))).all()]


def _mail(row: Row[Any]) -> Mail:
    return Mail(
        id=row.id,
        user_id=row.user_id,
        template=Template(row.template),
        create_time=row.create_time,
        next_attempt_time=row.next_attempt_time,
        registration_id=row.registration_id or "",
        state=Outcome(row.state),
        attempts=row.attempts,
        last_error=row.last_error,
        end_time=row.end_time,
    )


async def drop(tx: AsyncConnection, user_id: str, now: datetime) -> int:
    """Mail of the user that was not sent is not sent any more; how many."""
    waiting = (mails.c.user_id == user_id) & (mails.c.state == Outcome.PENDING)
    dropped = await tx.execute(update(mails).where(waiting).values(state=Outcome.DROPPED, address=None, end_time=now))
    return dropped.rowcount


async def under_way(tx: AsyncConnection, user_id: str, now: datetime) -> datetime | None:
    """Until when a worker may still be sending a mail of the user that was dropped meanwhile; None when none is."""
    stmt = select(func.max(mails.c.next_attempt_time)).where(
        mails.c.user_id == user_id, mails.c.state == Outcome.DROPPED, mails.c.sending
    )
    until: datetime | None = (await tx.execute(stmt)).scalar_one()
    return until if until is not None and until > now else None


async def forget(tx: AsyncConnection, older_than: datetime, at_most: int = 1000) -> list[str]:
    """Deletes rows of mail that is over and old; their ids, for what was delivered to go as well."""
    old = select(mails.c.id).where(mails.c.create_time < older_than, mails.c.state != Outcome.PENDING).limit(at_most)
    return list((await tx.execute(delete(mails).where(mails.c.id.in_(old)).returning(mails.c.id))).scalars())


_CLAIM = text("""
    UPDATE mails m SET attempts = attempts + 1, sending = true, next_attempt_time = :until
    FROM (
        SELECT id FROM mails WHERE state = 'PENDING' AND next_attempt_time <= :now
        ORDER BY next_attempt_time LIMIT :at_most FOR UPDATE SKIP LOCKED
    ) due
    WHERE m.id = due.id
    RETURNING m.*
""").columns(*mails.c)


@dataclass(frozen=True, slots=True)
class _Claimed:
    mail: Mail
    address: bytes


class Outbox:
    """Delivers what is in the outbox, beside the outboxes of any other control process.

    public_url: where users find the platform, for links. sender: the address that mail comes from.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        vault: Vault,
        proofs: Proofs,
        delivery: Delivery,
        *,
        public_url: str,
        sender: str,
    ) -> None:
        self._db = db
        self._clock = clock
        self._vault = vault
        self._proofs = proofs
        self._delivery = delivery
        self._public_url = public_url
        self._sender = sender
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def work(self) -> None:
        """Sends whatever is due, for ever."""
        while True:
            self._wake.clear()
            delay_s = LOOK_S
            try:
                while claimed := await self._claim():
                    await asyncio.gather(*(self._send(each) for each in claimed))
                delay_s = await self._delay_s()
            except PlatformError as error:
                log.debug("mail waits for the database", error=str(error))
            await signalled(self._wake, delay_s)

    async def _claim(self) -> list[_Claimed]:
        now = self._clock.now()
        async with self._db.transaction() as tx:
            rows = (await tx.execute(_CLAIM, {"now": now, "until": now + LEASE, "at_most": AT_ONCE})).all()
        return [_Claimed(_mail(row), bytes(row.address)) for row in rows]

    async def _delay_s(self) -> float:
        async with self._db.transaction() as tx:
            stmt = select(func.min(mails.c.next_attempt_time)).where(mails.c.state == Outcome.PENDING)
            due: datetime | None = (await tx.execute(stmt)).scalar_one()
        if due is None:
            return LOOK_S
        return min(LOOK_S, max(0.02, (due - self._clock.now()).total_seconds()))

    async def _send(self, claimed: _Claimed) -> None:
        mail = claimed.mail
        try:
            message = await self._written(claimed)
            if message is None:
                await self._end(mail, Outcome.DROPPED)
                return
            await asyncio.to_thread(self._delivery.deliver, mail.id, message)
        except Undeliverable as refusal:
            now = self._clock.now()
            if refusal.for_good or now > mail.create_time + LINK_LIFE:
                log.warning("mail given up", mail_id=mail.id, user_id=mail.user_id, why=refusal.why)
                await self._end(mail, Outcome.FAILED, refusal.why)
            else:
                log.info("mail not taken; it is tried again", mail_id=mail.id, why=refusal.why, attempts=mail.attempts)
                await self._again(mail, refusal.why, now + timedelta(seconds=backoff_s(mail.attempts, random.random())))
            return
        except PlatformError as error:
            # Its lease ends by itself.
            log.info("mail not sent; it is tried again", mail_id=mail.id, error=str(error))
            return
        if not await self._end(mail, Outcome.SENT):
            # Dropped meanwhile, with its user.
            await asyncio.to_thread(self._delivery.discard, mail.id)

    async def _written(self, claimed: _Claimed) -> EmailMessage | None:
        """None when the mail has become pointless: its user is erased, its solution gone, or its link too old."""
        mail = claimed.mail
        async with self._db.transaction() as tx:
            user, sealed = await store.get(tx, mail.user_id)
            if user.state is not State.ACTIVE or sealed.data_key is None:
                return None
            data_key = self._vault.unwrap(user.id, sealed.data_key)
            name, link = "", ""
            if mail.registration_id:
                found = await store.get_registration(tx, mail.registration_id)
                if found is None or sealed.email_hash is None:
                    return None
                try:
                    name = (await solution_store.get(tx, found[0].solution_id)).display_name
                except NotFound:
                    return None
                link = self._proofs.link(REGISTRATION, mail.registration_id, sealed.email_hash)
            elif mail.template is Template.CHANGE:
                if sealed.wanted_email is None:
                    return None
                wanted = crypto.unseal(data_key, user.id, "wanted_email", sealed.wanted_email)
                link = self._proofs.link(CHANGE, mail.id, self._vault.fingerprint("email", wanted))
        if link and self._clock.now() >= mail.create_time + LINK_LIFE:
            return None
        address = crypto.unseal(data_key, user.id, f"mails.address.{mail.id}", claimed.address)
        url = f"{self._public_url}/verify#{link}" if link else ""
        return written(mail, address, self._sender, name, url)

    async def _end(self, mail: Mail, state: Outcome, why: str = "") -> bool:
        """False: it was dropped meanwhile, or another worker has it."""
        mine = (mails.c.id == mail.id) & (mails.c.attempts == mail.attempts)
        now = self._clock.now()
        ended = update(mails).where(mine, mails.c.state == Outcome.PENDING)
        ended = ended.values(state=state, sending=False, address=None, last_error=why, end_time=now)
        async with self._db.transaction() as tx:
            if (await tx.execute(ended)).rowcount == 1:
                return True
            await tx.execute(update(mails).where(mine).values(sending=False))
        return False

    async def _again(self, mail: Mail, why: str, when: datetime) -> None:
        mine = (mails.c.id == mail.id) & (mails.c.attempts == mail.attempts) & (mails.c.state == Outcome.PENDING)
        async with self._db.transaction() as tx:
            await tx.execute(update(mails).where(mine).values(sending=False, next_attempt_time=when, last_error=why))


_HOURS = round(domain.LINK_LIFE.total_seconds() / 3600)

_TEXTS = {
    Template.VERIFY: (
        "Verify your e-mail for {name}",
        "You registered with {name}. Open this link to verify your e-mail and go on:\n\n{url}\n\n"
        f"The link is good once and for {_HOURS} hours. If it was not you, do nothing: nobody can act in your name"
        " once you verify, and nothing is sent here again unless somebody asks for it.\n",
    ),
    Template.SIGN_IN: (
        "Go on to {name}",
        "Somebody asked to use {name} with this e-mail. If it was you, open this link to go on:\n\n{url}\n\n"
        f"The link is good once and for {_HOURS} hours. If it was not you, do nothing: nobody gets in without it.\n",
    ),
    Template.CHANGE: (
        "Verify your new e-mail",
        "This address was named as the new e-mail of an account. Open this link to take it over:\n\n{url}\n\n"
        f"The link is good once and for {_HOURS} hours. If you know nothing of it, do nothing.\n",
    ),
    Template.CHANGED: (
        "Your e-mail was changed",
        "Your account has another e-mail now, and this address is no longer in use. If that was not you, answer to"
        " whoever runs this marketplace.\n",
    ),
}


def written(mail: Mail, address: str, sender: str, name: str, url: str) -> EmailMessage:
    """The mail as it goes out; the same id makes the same Message-ID, so that a second copy can be told."""
    subject, body = _TEXTS[mail.template]
    # A display name may hold anything but what ends a header.
    one_line = " ".join(name.split())
    message = EmailMessage()
    message["From"] = sender
    message["To"] = address
    message["Subject"] = subject.format(name=one_line)
    message["Date"] = format_datetime(mail.create_time)
    message["Message-ID"] = f"<{mail.id}@{sender.rpartition('@')[2].rstrip('>')}>"
    message["Auto-Submitted"] = "auto-generated"
    content = body.format(name=one_line, url=url)
    message.set_content(content, cte="7bit" if content.isascii() else "quoted-printable")
    return message
