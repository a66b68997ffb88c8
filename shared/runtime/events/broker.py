"""Connections to NATS, and the streams that every plane's events are kept in."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from shared.runtime import pki
from shared.runtime.events import subjects

# What a consumer may be behind. An inbox remembers for longer, so that nothing has its effect twice.
KEPT = timedelta(days=7)
DEAD_KEPT = timedelta(days=30)
# A relay that takes over from one that died says again what that one had not noted yet: at most some seconds of it.
DUPLICATES_S = 120.0
CONNECT_S = 2

# Whatever NATS or the way to it does wrong; who meets one connects anew.
FAILURES = (nats.errors.Error, OSError, TimeoutError)


class Lost(nats.errors.Error):
    """The connection is gone: nobody knows what of the last publications arrived."""


class Refused(nats.errors.Error):
    """A stream did not take what was published."""


def heed_cancellation() -> None:
    """Ends a task that was told to end. The client of NATS waits by asyncio.wait_for, which in Python 3.11 loses a
    cancellation that comes together with what it waits for; a loop that went on then would never end."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@dataclass(frozen=True, slots=True)
class Broker:
    """Where NATS is, and who connects.

    url: tls://host:port,... with the platform's certificates, or nats://user:password@host:port without.
    """

    home: Path
    identity: str
    url: str

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["Connection"]:
        """A connection that is never mended behind our back: what was under way would be sent again, out of order."""
        connection = Connection()
        servers = self.url.split(",")
        secure = self.url.startswith("tls://")
        client = await nats.connect(
            servers,
            name=self.identity,
            allow_reconnect=False,
            connect_timeout=CONNECT_S,
            disconnected_cb=connection.lose,
            closed_cb=connection.lose,
            error_cb=_ignore,
            tls=self._context() if secure else None,
            # By its own name on this machine; an address stands in everybody's certificate.
            tls_hostname="nats" if secure and _is_local(servers[0]) else None,
            pending_size=64 << 20,
        )
        connection.client, connection.js = client, client.jetstream(timeout=5)
        try:
            yield connection
        finally:
            # Close waits for a reader that may wait for the other side.
            try:
                async with asyncio.timeout(1):
                    await client.close()
            except FAILURES:
                pass

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=pki.ca_path(self.home))
        context.load_cert_chain(pki.cert_path(self.home, self.identity), pki.key_path(self.home, self.identity))
        return context


class Connection:
    """One connection, until it is lost."""

    client: Client
    js: JetStreamContext

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self._heard = asyncio.Event()

    async def lose(self) -> None:
        self.lost.set()
        self._heard.set()

    @asynccontextmanager
    async def publishing(
        self, patience_s: float
    ) -> AsyncIterator[Callable[[str, bytes, dict[str, str]], Awaitable[None]]]:
        """Publishes what the block gives it, and leaves it when a stream has acknowledged everything, or with an error.

        publish_async() knows which acknowledgement is whose, for half of its time; here all of them count.
        """
        sent = acknowledged = 0
        failure: Exception | None = None
        reply_to = self.client.new_inbox()

        async def publish(subject: str, payload: bytes, headers: dict[str, str]) -> None:
            nonlocal sent
            sent += 1
            await self.client.publish(subject, payload, reply_to, headers)

        async def acknowledge(message: Msg) -> None:
            nonlocal acknowledged, failure
            acknowledged += 1
            if message.headers or b'"error"' in message.data:
                failure = Refused(str(message.headers or message.data))
            if failure is not None or acknowledged == sent:
                self._heard.set()

        subscription = await self.client.subscribe(reply_to, cb=acknowledge)
        try:
            yield publish
            async with asyncio.timeout(patience_s):
                while acknowledged < sent and failure is None and not self.lost.is_set():
                    self._heard.clear()
                    await self._heard.wait()
        finally:
            if not self.client.is_closed:
                await subscription.unsubscribe()
        if failure is not None:
            raise failure
        if acknowledged < sent:
            raise Lost

    async def ensure(self, name: str) -> None:
        """Makes the stream if there is none; one that an operator has set up otherwise stays as it is."""
        try:
            await self.js.stream_info(name)
        except nats.js.errors.NotFoundError:
            await self.js.add_stream(_stream(name))


def _stream(name: str) -> StreamConfig:
    if name == subjects.DEAD_LETTERS:
        bound, kept = [f"{subjects.DEAD}.>"], DEAD_KEPT
    else:
        [plane] = [plane for plane, stream in subjects.STREAMS.items() if stream == name]
        bound, kept = [f"{subjects.EVENTS}.{plane}.>", f"{subjects.AGAIN}.{plane}.>"], KEPT
    return StreamConfig(
        name=name,
        subjects=bound,
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=kept.total_seconds(),
        duplicate_window=DUPLICATES_S,
        allow_direct=True,
    )


def _is_local(server: str) -> bool:
    host = urlsplit(server).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _ignore(error: Exception) -> None:
    """What fails is told to whoever waits for it."""
