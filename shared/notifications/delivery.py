"""What every way out has in common: a message, and what a server that does not take it means."""

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from pathlib import Path
from typing import Protocol

from shared.notifications.domain import Channel, Rendered, Sender, one_line


@dataclass(frozen=True, slots=True)
class Outgoing:
    """id: of the notification; the same on every try, so that whoever gets it twice can tell."""

    id: str
    tenant_id: str
    channel: Channel
    to: str
    content: Rendered
    create_time: datetime
    sender: Sender


class Undelivered(Exception):
    """why: short, without the address and without what the server said, which repeats it.

    for_good: no later try will do better. bounced: the address does not exist. retry_after_s: asked for by the server.
    """

    def __init__(self, why: str, *, for_good: bool = False, bounced: bool = False, retry_after_s: float = 0.0) -> None:
        super().__init__(why)
        self.why = why
        self.for_good = for_good
        self.bounced = bounced
        self.retry_after_s = retry_after_s


class Delivery(Protocol):
    async def deliver(self, message: Outgoing) -> str:
        """The provider's id of it, if it says one; Undelivered. The same message may be delivered twice."""
        ...

    async def close(self) -> None: ...


class Mailbox:
    """One file a message below home/mail, for one machine and for tests."""

    def __init__(self, home: Path, mail_from: str) -> None:
        self._folder = home / "mail"
        self._mail_from = mail_from

    async def deliver(self, message: Outgoing) -> str:
        folder = self._folder / message.tenant_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = folder / f".{message.id}"
        draft.touch(mode=0o600)
        draft.write_bytes(bytes(written(message, self._mail_from, has_own_server=False)))
        draft.rename(folder / f"{message.id}.eml")
        return ""

    async def close(self) -> None:
        pass


def written(message: Outgoing, mail_from: str, *, has_own_server: bool) -> EmailMessage:
    """The message as mail.

    mail_from: the platform's address. A tenant's own is used with its own server only: the platform's would vouch for
    anybody's address; there, answers go to it.
    """
    own = message.sender.own
    address = own if own and has_own_server else mail_from
    mail = EmailMessage(policy=SMTP)
    mail["From"] = formataddr((one_line(message.sender.name, 100), address))
    mail["To"] = message.to if message.channel is Channel.EMAIL else f"{message.channel}:{message.to};"
    if own and not has_own_server:
        mail["Reply-To"] = own
    if message.content.subject:
        mail["Subject"] = one_line(message.content.subject)
    mail["Date"] = format_datetime(message.create_time)
    mail["Message-ID"] = message_id(message.id, address)
    mail["Auto-Submitted"] = "auto-generated"
    text, html = message.content.text, message.content.html
    if text or not html:
        mail.set_content(text, cte="7bit" if _is_plain(text) else "quoted-printable")
        if html:
            mail.add_alternative(html, subtype="html", cte="quoted-printable")
    else:
        mail.set_content(html, subtype="html", cte="quoted-printable")
    return mail


def message_id(id: str, address: str) -> str:
    return f"<{id}@{address.rpartition('@')[2]}>"


def _is_plain(text: str) -> bool:
    """Whether it can go as it is: RFC 5322 has lines of 998 characters."""
    return text.isascii() and "\0" not in text and all(len(line) <= 990 for line in text.splitlines())
