"""The way to a mail server: TLS, login, connections that are used again, and servers that go away."""

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.notifications.delivery import Outgoing, Undelivered
from shared.notifications.domain import Channel, Rendered, Sender
from shared.notifications.smtp import Smtp
from shared.runtime.ids import uuid7
from tests.support.smtp import Mailserver

FROM = "no-reply@center.localhost"
Made = Callable[..., Mailserver]


@pytest.fixture
def make() -> Iterator[Made]:
    servers: list[Mailserver] = []

    def made(*, login: tuple[str, str] | None = None, **contexts: ssl.SSLContext) -> Mailserver:
        server = Mailserver(login=login)
        server.start(**contexts)
        servers.append(server)
        return server

    yield made
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "mail.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


def message(to: str = "ann@mail.example", text: str = "Hello") -> Outgoing:
    content = Rendered("Subject", text, "")
    return Outgoing(uuid7(), "t", Channel.EMAIL, to, content, datetime.now(UTC), Sender())


def client(server: Mailserver, scheme: str = "smtp", **more: str) -> Smtp:
    return Smtp(f"{scheme}://127.0.0.1:{server.port}", FROM, has_own_server=False, **more)


async def refusal(smtp: Smtp) -> Undelivered:
    with pytest.raises(Undelivered) as refused:
        await smtp.deliver(message())
    return refused.value


async def test_connections_are_used_again(make: Made) -> None:
    server = make()
    smtp = client(server)
    for _ in range(10):
        await smtp.deliver(message())
    assert (server.connections, len(server.taken)) == (1, 10)
    await asyncio.gather(*(smtp.deliver(message()) for _ in range(8)))
    assert server.connections <= 9 and len(server.taken) == 18
    await smtp.close()


@pytest.mark.usefixtures("trusted")
async def test_mail_and_password_go_through_tls(make: Made, context: ssl.SSLContext) -> None:
    starttls, implicit = make(login=("shop", "p@ss word"), starttls=context), make(tls=context)
    for smtp in (client(starttls, user="shop", password="p@ss word"), client(implicit, "smtps")):
        await smtp.deliver(message())
        await smtp.close()
    assert len(starttls.taken) == len(implicit.taken) == 1
    wrong = client(starttls, user="shop", password="wrong")
    refused = await refusal(wrong)
    assert (refused.why, refused.for_good) == ("SMTP 535 at login", False)


async def test_a_certificate_that_nobody_vouches_for_is_refused(make: Made, context: ssl.SSLContext) -> None:
    for server, scheme in ((make(starttls=context), "smtp"), (make(tls=context), "smtps")):
        refused = await refusal(client(server, scheme))
        assert not refused.for_good and "at connecting" in refused.why
        assert not server.taken


async def test_a_password_is_not_sent_in_clear(make: Made) -> None:
    server = make(login=("shop", "secret"))
    refused = await refusal(client(server, user="shop", password="secret"))
    assert refused.why == "the server has no TLS, and a password is not sent without"


async def test_what_the_server_says_does_not_get_out(make: Made) -> None:
    server = make()
    smtp = client(server)
    for answer, why, for_good, bounced in (
        ("RCPT 550 5.1.1 {address} unknown", "SMTP 550 at RCPT", True, True),
        ("RCPT 550 5.7.1 {address} blocked", "SMTP 550 at RCPT", True, False),
        ("RCPT 452 4.2.2 {address} full", "SMTP 452 at RCPT", False, False),
        ("554 5.1.1 looks like spam", "SMTP 554 at DATA", True, False),
        ("421 going down", "SMTP 421 at DATA", False, False),
    ):
        server.answers = [answer]
        refused = await refusal(smtp)
        assert (refused.why, refused.for_good, refused.bounced) == (why, for_good, bounced)
    await smtp.deliver(message())
    assert len(server.taken) == 1


async def test_a_connection_that_is_cut_is_a_passing_failure(make: Made) -> None:
    server = make()
    smtp = client(server)
    server.answers = ["cut"]
    refused = await refusal(smtp)
    assert not refused.for_good and "lost" in refused.why and not server.taken
    await smtp.deliver(message())
    assert len(server.taken) == 1


async def test_a_server_that_was_started_anew_costs_no_try(make: Made) -> None:
    server = make()
    smtp = client(server)
    await smtp.deliver(message())
    server.stop()
    server.start()
    await smtp.deliver(message())
    assert len(server.taken) == 2
    server.stop()
    refused = await refusal(smtp)
    assert not refused.for_good and "connect" in refused.why.lower()
    server.start()


async def test_a_server_that_says_nothing_is_given_up(make: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    monkeypatch.setattr("shared.notifications.smtp.REPLY_S", 0.3)
    smtp = Smtp(f"smtp://127.0.0.1:{port}", FROM, has_own_server=False)
    refused = await refusal(smtp)
    assert not refused.for_good
    listening.close()


async def test_odd_texts_arrive_as_they_are(make: Made) -> None:
    server = make()
    smtp = client(server)
    for text in ("Zoë — 😀\n.\n..\n.dot", "x" * 5000, "", "a\n" * 3000, "\tend \n", "From here\nFrom there"):
        await smtp.deliver(message(text=text))
        got = server.mails[-1].get_content()
        assert got.replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")
    await smtp.close()
