"""A real SMTP server of the tests' own, that takes mail or answers as it is told to.

As a program, `python -m tests.support.smtp`, it is one in a process of its own.
"""

import asyncio
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.server import free_port


@dataclass
class Mailserver:
    """answers: what RCPT or DATA is answered with next, such as `RCPT 550 5.1.1 no {address}` or `451 later`; `cut`
    ends the connection, `cut after` does so once the mail is taken.

    refused: addresses -> what RCPT is answered with. login: user and password that it wants.
    """

    answers: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    taken: list[Envelope] = field(default_factory=list)
    connections: int = 0
    delay_s: float = 0.0
    login: tuple[str, str] | None = None
    port: int = field(default_factory=free_port)
    on_taken: Callable[[Envelope], None] | None = None
    _controller: Any = None

    def start(self, *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None) -> None:
        options: dict[str, Any] = {"tls_context": starttls} if starttls else {}
        if self.login is not None:
            options |= {"authenticator": self._authenticate, "auth_required": True}
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, ssl_context=tls, **options)
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    @property
    def mails(self) -> list[EmailMessage]:
        return [self.mail(each) for each in list(self.taken)]

    @staticmethod
    def mail(envelope: Envelope) -> EmailMessage:
        content = envelope.content
        assert isinstance(content, bytes)
        return message_from_bytes(content, policy=policy.default)

    def to(self, address: str) -> list[EmailMessage]:
        return [self.mail(each) for each in list(self.taken) if each.rcpt_tos == [address]]

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword) and self.login is not None
        return AuthResult(success=(data.login.decode(), data.password.decode()) == self.login, handled=False)

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.answers and self.answers[0].startswith("RCPT "):
            return self.answers.pop(0).removeprefix("RCPT ").format(address=address)
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer in ("250 OK", "cut after"):
            self.taken.append(envelope)
            if self.on_taken is not None:
                self.on_taken(envelope)
        if answer.startswith("cut"):
            assert server.transport is not None
            server.transport.abort()
        return answer


def main() -> None:
    """A server in a process of its own: says its port, and then of each mail to whom, which one, and when."""
    server = Mailserver()

    def told(envelope: Envelope) -> None:
        when = time.perf_counter()
        print(envelope.rcpt_tos[0], server.mail(envelope)["Message-ID"], when, flush=True)  # noqa: T201
        server.taken.clear()

    server.on_taken = told
    server.start()
    print(server.port, flush=True)  # noqa: T201
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
