"""Mail over SMTP: connections that are used again, TLS where the server has it, and what its refusals mean."""

import asyncio
import re
import ssl
import time
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib import SMTP, SMTPException, SMTPResponseException, SMTPServerDisconnected

from shared.notifications.delivery import Outgoing, Undelivered, written

# All of a message's delivery; a lease is longer.
TIMEOUT_S = 30.0
REPLY_S = 15.0
IDLE_S = 20.0
# Then a new connection: servers count, and balancers want to balance.
MOST_MESSAGES = 100
# RFC 3463: no such mailbox, no such host, bad syntax, moved without a trace.
_NO_SUCH_ADDRESS = re.compile(r"(^|\s)5\.1\.(1|2|3|6|10)(\s|$)")


@dataclass(slots=True)
class _Connection:
    client: SMTP
    used_at: float
    messages: int = 0


class Smtp:
    """smtp://[user:password@]host[:port], with STARTTLS where the server offers it, or smtps:// from the first byte.

    mail_from: what mail comes from; with has_own_server, the tenant's own address if it has one.
    """

    def __init__(self, url: str, mail_from: str, *, user: str = "", password: str = "", has_own_server: bool) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("not smtp://[user:password@]host[:port] or smtps://...")
        self._secure = parts.scheme == "smtps"
        self._host, self._port = parts.hostname, parts.port or (465 if self._secure else 25)
        self._user = user or unquote(parts.username or "")
        self._password = password or unquote(parts.password or "")
        self._mail_from = mail_from
        self._has_own_server = has_own_server
        self._idle: list[_Connection] = []
        self._tls = ssl.create_default_context()

    async def deliver(self, message: Outgoing) -> str:
        mail = written(message, self._mail_from, has_own_server=self._has_own_server)
        own = message.sender.own
        envelope_from = own if own and self._has_own_server else self._mail_from
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._send(envelope_from, message.to, mail.as_bytes())
        except TimeoutError:
            raise Undelivered("SMTP took too long") from None
        return ""

    async def close(self) -> None:
        while self._idle:
            self._idle.pop().client.close()

    async def _send(self, sender: str, to: str, mail: bytes) -> None:
        while True:
            connection, is_new = await self._connection()
            client = connection.client
            place = ""
            try:
                await client.mail(sender, timeout=REPLY_S)
                place = "RCPT"
                await client.rcpt(to, timeout=REPLY_S)
                place = "DATA"
                await client.data(mail, timeout=REPLY_S)
            except SMTPServerDisconnected:
                client.close()
                # A server that closed an idle connection has taken nothing yet: that is no try.
                if is_new or place:
                    raise Undelivered(f"SMTP connection lost{' at ' + place if place else ''}") from None
            except SMTPResponseException as error:
                await self._after_refusal(connection)
                raise _refusal(error, place) from None
            except (SMTPException, OSError) as error:
                client.close()
                raise Undelivered(f"{type(error).__name__}{' at ' + place if place else ''}") from None
            except BaseException:
                client.close()
                raise
            else:
                self._give_back(connection)
                return

    async def _connection(self) -> tuple[_Connection, bool]:
        """One that is free, or a new one, and whether it is new."""
        while self._idle:
            connection = self._idle.pop()
            if connection.client.is_connected and time.monotonic() - connection.used_at < IDLE_S:
                return connection, False
            connection.client.close()
        return _Connection(await self._connected(), time.monotonic()), True

    async def _connected(self) -> SMTP:
        client = SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self._secure,
            start_tls=False,
            tls_context=self._tls,
            timeout=REPLY_S,
        )
        try:
            await client.connect()
            await client.ehlo()
            is_private = self._secure
            if not is_private and client.supports_extension("starttls"):
                await client.starttls(tls_context=self._tls)
                await client.ehlo()
                is_private = True
            if self._user and not is_private:
                raise Undelivered("the server has no TLS, and a password is not sent without")
            if self._user:
                await client.login(self._user, self._password)
        except BaseException as error:
            client.close()
            if isinstance(error, aiosmtplib.SMTPAuthenticationError):
                # Of the settings, which somebody mends; the mail is good.
                raise Undelivered(f"SMTP {error.code} at login") from None
            if isinstance(error, SMTPResponseException):
                raise Undelivered(f"SMTP {error.code} at connecting") from None
            if isinstance(error, SMTPException | OSError):
                raise Undelivered(f"{type(error).__name__} at connecting") from None
            raise
        return client

    def _give_back(self, connection: _Connection) -> None:
        connection.messages += 1
        connection.used_at = time.monotonic()
        if connection.messages < MOST_MESSAGES:
            self._idle.append(connection)
        else:
            connection.client.close()

    async def _after_refusal(self, connection: _Connection) -> None:
        """The next message begins anew on the same connection, if the server is still there."""
        try:
            await connection.client.rset(timeout=REPLY_S)
        except (SMTPException, OSError):
            connection.client.close()
        else:
            self._give_back(connection)


def _refusal(error: SMTPResponseException, place: str) -> Undelivered:
    """What servers say repeats addresses: only the numbers get out of here."""
    for_good = error.code >= 500
    bounced = for_good and place == "RCPT" and _NO_SUCH_ADDRESS.search(error.message) is not None
    return Undelivered(f"SMTP {error.code}{' at ' + place if place else ''}", for_good=for_good, bounced=bounced)
