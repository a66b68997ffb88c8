"""Where webhooks may not go: every way into a private network that is known, each refused, over a real DNS server."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.runtime import pki
from shared.runtime.errors import Unavailable
from shared.webhooks import guard as guards
from shared.webhooks.guard import Dns, Guard, Refused, is_public, networks
from shared.webhooks.sender import Sender, retry_after
from tests.support.dns import Names, names
from tests.support.receiver import LOOPBACK, Receiver, receiving, status

PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")


@pytest.fixture
async def zone() -> AsyncIterator[Names]:
    async with names() as started:
        yield started


@pytest.fixture
def resolver(zone: Names) -> Dns:
    return Dns(["127.0.0.1"], zone.port)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as started:
        yield started


# what is written in the URL

URLS = (
    # schemes, and what is no URL of a server's
    "http://hooks.example/",
    "ftp://hooks.example/",
    "file:///etc/passwd",
    "gopher://hooks.example/_x",
    "//hooks.example/",
    "https:/hooks.example/",
    "https://",
    "https:///path",
    "javascript:alert(1)",
    "https://hooks.example/#fragment",
    # loopback, private, link-local and the clouds' metadata
    "https://127.0.0.1/",
    "https://127.1.2.3/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://100.100.100.200/",
    "https://169.254.169.254/latest/meta-data/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://192.0.2.1/",
    "https://198.18.0.1/",
    "https://198.51.100.7/",
    "https://203.0.113.9/",
    "https://192.88.99.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    # the same in other spellings
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0x7F.1/",
    "https://0177.0.0.1/",
    "https://0177.0.0.01/",
    "https://017700000001/",
    "https://127.1/",
    "https://127.0.1/",
    "https://1/",
    "https://0/",
    "https://0x/",
    "https://10.0.0.1./",
    "https://127.0.0.1./",
    "https://127.0.0.0x1/",
    "https://1.2.3.4.5/",
    "https://256.0.0.1/",
    "https://93.184.215.014/",
    "https://%31%32%37.0.0.1/",
    "https://127%2e0%2e0%2e1/",
    "https://127.0.0.1%00.hooks.example/",
    "https://hooks.example%2f@127.0.0.1/",
    # version 6
    "https://[::1]/",
    "https://[::]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:93.184.215.14]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::a00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[2001:0:7f00:1::]/",
    "https://[2001:db8::1]/",
    "https://[2001:10::1]/",
    "https://[3fff::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c%25lo]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[100::1]/",
    "https://[5f00::1]/",
    "https://[::1]x/",
    "https://[::1].hooks.example/",
    "https://[127.0.0.1]/",
    "https://[v1.fe80::1]/",
    "https://::1/",
    # who it is said to be
    "https://user@hooks.example/",
    "https://user:password@hooks.example/",
    "https://hooks.example@127.0.0.1/",
    "https://hooks.example:443@127.0.0.1/",
    "https://@hooks.example/",
    "https://127.0.0.1\\@hooks.example/",
    "https://hooks.example\\.evil/",
    "https://hooks.example /",
    "https://hooks.example\t.evil/",
    "https://hooks.example\n/",
    "https://hooks.example/\r\nHost: evil",
    "https://hooks.example/\x00",
    # names
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://a.localhost/",
    "https://localhost.localdomain/",
    "https://hooks.example./",
    "https://hooks..example/",
    "https://.hooks.example/",
    "https://-hooks.example/",
    "https://metadata/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://router.lan/",
    "https://nas.home.arpa/",
    "https://hidden.onion/",
    "https://kubernetes.default.svc.cluster.local/",
    "https://" + "a" * 64 + ".example/",
    "https://" + ".".join(["a" * 60] * 5) + "/",
    "https://hooks.example/" + "x" * 2000,
    "https://hooks.example/caf\u00e9",
    # what looks like something else
    "https://\u0031\u0032\u0037.0.0.1/",
    "https://\uff11\uff12\uff17.0.0.1/",
    "https://127\u30020\u30020\u30021/",
    "https://\u2460\u2461\u2466.0.0.1/",
    "https://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/",
    "https://hooks\u200b.example/",
    "https://b\u00fccher.example/",
    "https://xn--a/",
    "https://xn--\u0000.example/",
    "https://xn--zzzzzzzzzzzzzzzz99999.example/",
    "https://xn--.example/",
    # ports
    "https://hooks.example:22/",
    "https://hooks.example:80/",
    "https://hooks.example:25/",
    "https://hooks.example:6379/",
    "https://hooks.example:0/",
    "https://hooks.example:65536/",
    "https://hooks.example:-1/",
    "https://hooks.example:443x/",
    "https://hooks.example:4\u0664\u0663/",
    "https://93.184.215.14:5432/",
    "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:9200/",
)


@pytest.mark.parametrize("url", URLS, ids=lambda url: ascii(url)[1:40])
async def test_a_url_that_leads_into_a_private_network_is_refused(zone: Names, resolver: Dns, url: str) -> None:
    # All the names that are asked for are public: what is refused is what is written.
    for name in ("hooks.example", "metadata.google.internal", "localhost", "printer.local", "metadata", "router.lan"):
        zone.addresses[name] = [PUBLIC]
    with pytest.raises(Refused):
        await Guard(resolver).check(url)


async def test_a_refusal_says_why(zone: Names, resolver: Dns) -> None:
    zone.addresses["hooks.example"] = [PUBLIC]
    for url, why in (
        ("https://user:password@hooks.example/", "a user or a password"),
        ("https://hooks.example/caf\u00e9", "percent encoding"),
        ("http://hooks.example/", "must begin with https"),
        ("https://2130706433/", "four decimal numbers"),
        ("https://hooks.example:22/", "port 22"),
        ("https://10.0.0.1/", "10.0.0.1 is not a public address"),
    ):
        with pytest.raises(Refused, match=why):
            await Guard(resolver).check(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example",
        "https://HOOKS.Example/path?query=1",
        "https://hooks.example:8443/a@b",
        "https://xn--bcher-kva.example/",
        "https://93.184.215.14/",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
        "https://172.32.0.1/",
        "https://100.128.0.1/",
        "https://1.1.1.1:443/",
    ],
)
async def test_a_public_url_is_taken(zone: Names, resolver: Dns, url: str) -> None:
    zone.addresses |= {"hooks.example": [PUBLIC], "xn--bcher-kva.example": [PUBLIC]}
    await Guard(resolver).check(url)


# what the DNS says

ANSWERS = (
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.20.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.1.1",
    "168.63.129.16",
    "198.19.0.1",
    "224.0.0.251",
    "255.255.255.255",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2002:c0a8:101::1",
    "2001:0:53aa:64c:0:0:80ff:fffe",
    "2001:db8::1",
    "fd00:ec2::254",
    "fc00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
)


@pytest.mark.parametrize("address", ANSWERS)
async def test_a_name_that_is_a_private_address_is_refused(zone: Names, resolver: Dns, address: str) -> None:
    zone.addresses |= {
        "plain.example": [[address]],
        "mixed.example": [[*PUBLIC, address]],
        "target.example": [[address]],
    }
    zone.aliases["alias.example"] = "target.example"
    for name in ("plain.example", "mixed.example", "alias.example"):
        with pytest.raises(Refused, match="not a public address"):
            await Guard(resolver).check(f"https://{name}/")
    assert "alias.example" in zone.asked


async def test_a_name_without_an_address_is_refused_and_silence_is_no_refusal(
    zone: Names, resolver: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="no address"):
        await Guard(resolver).check("https://nobody.example/")
    zone.silent.add("slow.example")
    monkeypatch.setattr(guards, "TIMEOUT_S", 0.2)
    with pytest.raises(Unavailable, match="DNS_UNAVAILABLE"):
        await Guard(resolver).check("https://slow.example/")


def test_every_private_network_of_the_registry_is_closed() -> None:
    """What Python knows of the registries is no more than what is refused here."""
    for block in (
        "10.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "224.0.0.0/4",
        "fc00::/7",
        "fe80::/10",
    ):
        network = ipaddress.ip_network(block)
        assert not is_public(network[0]) and not is_public(network[-1]), block
    for value in range(0, 1 << 32, 65_521):
        address = ipaddress.IPv4Address(value)
        if address.is_private or address.is_multicast or address.is_reserved or address.is_loopback:
            assert not is_public(address), address


# what is connected to


async def test_what_was_looked_at_is_what_is_connected_to(zone: Names, resolver: Dns, receiver: Receiver) -> None:
    """DNS rebinding: the name is public when it is looked at, and the next time it is the machine's own."""
    zone.addresses["rebind.example"] = [PUBLIC, ["127.0.0.1"]]
    await Guard(resolver).check("https://rebind.example/")
    async with Sender(Guard(resolver)) as sender:
        answer = await sender.post("https://rebind.example/", {}, b"{}")
    assert "127.0.0.1 is not a public address" in answer.error and receiver.got == []
    # One question a try, and nobody asks again behind the guard's back.
    assert zone.asked == ["rebind.example"] * 4


async def test_the_connection_goes_to_the_address_and_the_request_to_the_name(
    zone: Names, resolver: Dns, receiver: Receiver
) -> None:
    zone.addresses["hooks.example"] = [["127.0.0.1"]]
    async with Sender(Guard(resolver, LOOPBACK)) as sender:
        url = f"http://hooks.example:{receiver.port}/here"
        for _ in range(3):
            answer = await sender.post(url, {"x-test": "1"}, b"{}")
            assert (answer.status, answer.error) == (204, "")
    assert [each.headers["host"] for each in receiver.got] == [f"hooks.example:{receiver.port}"] * 3
    # Kept alive: it was looked at once, for each version.
    assert zone.asked == ["hooks.example"] * 2


async def test_only_what_is_opened_is_open(zone: Names, resolver: Dns, receiver: Receiver) -> None:
    zone.addresses |= {"mixed.example": [["127.0.0.1", "10.0.0.1"]], "mapped.example": [["::ffff:127.0.0.1"]]}
    opened = Guard(resolver, LOOPBACK)
    await opened.check(receiver.url())
    await opened.check(f"http://localhost:{receiver.port}/")
    for url in (
        "http://10.0.0.1/",
        "http://93.184.215.14/",
        "https://93.184.215.14:22/",
        "https://[::1]/",
        "https://mixed.example/",
        "https://mapped.example/",
        "http://127.1/",
    ):
        with pytest.raises(Refused):
            await opened.check(url)
    assert networks("127.0.0.0/8, ::1/128") == (*LOOPBACK, ipaddress.ip_network("::1/128"))
    with pytest.raises(ValueError, match="host bits"):
        networks("127.0.0.1/8")


async def test_a_redirect_is_not_followed(resolver: Dns, receiver: Receiver) -> None:
    for code in (301, 302, 303, 307, 308):
        receiver.answers["/moved"] = status(code, location=receiver.url("/secret"))
        async with Sender(Guard(resolver, LOOPBACK)) as sender:
            answer = await sender.post(receiver.url("/moved"), {}, b"{}")
        assert answer.status == code and "redirects are not followed" in answer.error
    assert receiver.at("/secret") == []


async def test_a_certificate_is_the_names_and_not_the_addresss(zone: Names, resolver: Dns, tmp_path: Path) -> None:
    zone.addresses |= {"eu-1.example": [["127.0.0.1"]], "other.example": [["127.0.0.1"]]}
    pki.ensure(tmp_path, ["cluster/eu-1"])
    seen: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.cert_path(tmp_path, "cluster/eu-1"), pki.key_path(tmp_path, "cluster/eu-1"))
    context.sni_callback = lambda _, name, __: seen.append(name)
    believed = ssl.create_default_context(cafile=str(pki.ca_path(tmp_path)))
    async with _tls_server(context) as port, Sender(Guard(resolver, LOOPBACK), tls=believed) as sender:
        strangers = await sender.post(f"https://other.example:{port}/", {}, b"{}")
        assert "certificate" in strangers.error.lower() and strangers.status == 0
    async with _tls_server(context) as port, Sender(Guard(resolver, LOOPBACK)) as sender:
        unknown = await sender.post(f"https://eu-1.example:{port}/", {}, b"{}")
        assert "certificate" in unknown.error.lower()
    assert seen == ["other.example", "eu-1.example"]


@asynccontextmanager
async def _tls_server(context: ssl.SSLContext) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


# what comes back


@asynccontextmanager
async def _raw(*parts: bytes, pause_s: float = 0.0) -> AsyncIterator[str]:
    """A server that says these bytes, whatever it is asked; the URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause_s)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()


async def test_an_answer_without_end_is_read_up_to_a_bound(resolver: Dns) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n"
    async with _raw(head, *[b"\0x" * 5_000] * 400) as url, Sender(Guard(resolver, LOOPBACK)) as sender:
        answer = await sender.post(url, {}, b"{}")
    assert (answer.status, answer.error, len(answer.body)) == (200, "", 500)
    assert "\0" not in answer.body


async def test_an_answer_that_drips_is_given_up(resolver: Dns) -> None:
    parts = [b"HTTP/1.1 200 OK\r\n", *[b"x-drip: 1\r\n"] * 1_000]
    async with _raw(*parts, pause_s=0.02) as url, Sender(Guard(resolver, LOOPBACK), total_s=0.3) as sender:
        answer = await sender.post(url, {}, b"{}")
    assert answer.status == 0 and "no answer within" in answer.error
    assert 0.25 < answer.latency_s < 2


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000, b"HTTP/1.1 99"]
)
async def test_what_is_no_answer_is_a_failure(resolver: Dns, said: bytes) -> None:
    async with _raw(said) as url, Sender(Guard(resolver, LOOPBACK), total_s=2) as sender:
        answer = await sender.post(url, {}, b"{}")
    assert answer.status == 0 and answer.error


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after("120", now) == timedelta(minutes=2)
    assert retry_after("Thu, 01 Jan 2026 00:10:00 GMT", now) == timedelta(minutes=10)
    assert retry_after("Thu, 01 Jan 2025 00:10:00 GMT", now) == timedelta()
    for odd in ("", "soon", "-1", "1e9", "\u0661", "Thu, 01 Jan 2026 00:10:00", "9" * 400):
        found = retry_after(odd, now)
        assert found is None or found >= timedelta()
