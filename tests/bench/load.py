"""A gRPC client that costs little, so that the server is what is measured and not the client beside it.

On two cores a grpc.aio client is busier than the server that it asks. This one speaks just enough HTTP/2: requests are
written from prepared bytes, and answers are told apart by their frames, not decoded.
"""

import asyncio
import itertools
import multiprocessing
import random
import ssl
import struct
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import uvloop

from shared.runtime.pki import Identity
from tests.bench.web import Answers, question

# What a channel of ours sends along with a call (shared/runtime/rpc/channel.py).
CHANNEL_METADATA = (
    ("grpc-timeout", "30S"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("x-request-id", "00f067aa0ba902b7"),
    ("x-request-time", "2026-01-01T00:00:00.000+00:00"),
    ("x-center-caller", "operator"),
)


@dataclass(frozen=True)
class Target:
    """One method of one server.

    pids: the processes that serve, whose CPU time is read.
    server: the name in its certificate.
    requests: serialised messages, sent in turn.
    """

    name: str
    pids: Sequence[int]
    port: int
    path: str
    requests: Sequence[bytes]
    identity: Identity | None = None
    server: str = "control"
    metadata: Sequence[tuple[str, str]] = CHANNEL_METADATA


@dataclass(frozen=True)
class Web:
    """The same for HTTP/1.1 and JSON, in plaintext; each call under way has a connection of its own."""

    name: str
    pids: Sequence[int]
    port: int
    host: str
    path: str
    # What the `authorization` header says.
    token: str = ""


@dataclass
class Sample:
    """What a while of load came to."""

    calls: int
    took_s: float
    server_cpu_s: float
    client_cpu_s: float
    latencies_s: list[float] = field(repr=False)

    @property
    def calls_per_s(self) -> float:
        return self.calls / self.took_s

    @property
    def server_cpu_us(self) -> float:
        return self.server_cpu_s / self.calls * 1e6


class Load:
    """A process that puts load on servers, one target at a time."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    async def run(self, target: Target | Web, *, seconds: float, connections: int = 4, streams: int = 8) -> Sample:
        """`connections` times `streams` calls are under way at any time."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _run, target, seconds, connections, streams, None)

    async def pace(self, target: Target, *, seconds: float, calls_per_s: float, connections: int = 4) -> Sample:
        """Calls begin at this rate, whether the ones before are answered or not."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _run, target, seconds, connections, 8, calls_per_s)


@contextmanager
def load() -> Iterator[Load]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield Load(pool)


def _run(target: Target | Web, seconds: float, connections: int, streams: int, calls_per_s: float | None) -> Sample:
    return uvloop.run(_loaded(target, seconds, connections, streams, calls_per_s))


async def _loaded(
    target: Target | Web, seconds: float, connections: int, streams: int, calls_per_s: float | None
) -> Sample:
    if isinstance(target, Web):
        connections, streams = connections * streams, 1
    clients = [await _connected(target) for _ in range(connections)]
    # The first calls of a connection open it; they are not counted.
    await asyncio.gather(*(client.call(streams, until=time.perf_counter() + 0.05) for client in clients))
    for client in clients:
        client.latencies_s.clear()
    servers, own = [psutil.Process(pid) for pid in target.pids], [psutil.Process()]
    servers_before, own_before, began = _cpu_s(servers), _cpu_s(own), time.perf_counter()
    if calls_per_s is None:
        await asyncio.gather(*(client.call(streams, until=began + seconds) for client in clients))
    else:
        every_s = len(clients) / calls_per_s
        await asyncio.gather(
            *(client.pace(every_s, until=began + seconds) for client in clients if isinstance(client, _Grpc))
        )
    took_s = time.perf_counter() - began
    sample = Sample(
        calls=sum(len(client.latencies_s) for client in clients),
        took_s=took_s,
        server_cpu_s=_cpu_s(servers) - servers_before,
        client_cpu_s=_cpu_s(own) - own_before,
        latencies_s=list(itertools.chain.from_iterable(client.latencies_s for client in clients)),
    )
    for client in clients:
        client.transport.abort()
    return sample


async def _connected(target: "Target | Web") -> "_Client":
    loop = asyncio.get_running_loop()
    if isinstance(target, Web):
        _, web = await loop.create_connection(lambda: _Web(target), "127.0.0.1", target.port)
        return web
    tls = _tls(target.identity) if target.identity else None
    name = target.server if tls else None
    _, grpc = await loop.create_connection(
        lambda: _Grpc(target), "127.0.0.1", target.port, ssl=tls, server_hostname=name
    )
    return grpc


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return float(sum(each.user + each.system for each in times))


def _tls(identity: Identity) -> ssl.SSLContext:
    made = ssl.create_default_context(cadata=identity.ca_pem.decode())
    made.set_alpn_protocols(["h2"])
    with tempfile.TemporaryDirectory() as folder:
        cert, key = Path(folder, "cert"), Path(folder, "key")
        cert.write_bytes(identity.cert_pem)
        key.write_bytes(identity.key_pem)
        made.load_cert_chain(cert, key)
    return made


# RFC 9113, section 6.
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_WINDOW = (1 << 31) - 1
_TOP_UP = 1 << 29


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _text(value: bytes) -> bytes:
    """An HPACK string, not Huffman-coded; RFC 7541, 5.1 and 5.2."""
    if len(value) < 127:
        return bytes([len(value)]) + value
    rest, encoded = len(value) - 127, bytearray([127])
    while rest >= 128:
        encoded.append(rest % 128 + 128)
        rest //= 128
    return bytes([*encoded, rest]) + value


def _headers(target: Target) -> tuple[bytes, bytes]:
    """The header block of a connection's first call, and that of every later one."""
    scheme = b"\x87" if target.identity else b"\x86"
    constant = (
        (b":authority", target.server.encode()),
        (b":path", target.path.encode()),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    )
    # The server remembers these; the one sent last is number 62 of the table.
    first = b"".join(b"\x40" + _text(name) + _text(value) for name, value in constant)
    again = bytes(0x80 | 62 + len(constant) - 1 - i for i in range(len(constant)))
    # grpc's own clients repeat metadata such as a trace as well.
    own = b"".join(b"\x00" + _text(name.encode()) + _text(value.encode()) for name, value in target.metadata)
    return b"\x83" + scheme + first + own, b"\x83" + scheme + again + own


class _Client(asyncio.Protocol, ABC):
    """One connection that keeps a number of calls under way for a while."""

    def __init__(self, name: str) -> None:
        self.latencies_s: list[float] = []
        self._name = name
        self._until = 0.0
        self._idle: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"connection lost: {error}")

    async def call(self, streams: int, *, until: float) -> None:
        """Keeps `streams` calls under way until the time, and waits for the last."""
        self._until, self._idle = until, asyncio.get_running_loop().create_future()
        self.transport.write(b"".join(self._request() for _ in range(streams)))
        await self._idle

    @abstractmethod
    def _request(self) -> bytes:
        """The bytes of one call."""

    def _ended(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _fail(self, why: str) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_exception(RuntimeError(f"{self._name}: {why}"))


class _Web(_Client):
    """HTTP/1.1; one call at a time."""

    def __init__(self, target: Web) -> None:
        super().__init__(target.name)
        self._question = question(target.host, target.path, token=target.token)
        self._answer = Answers()
        self._began = 0.0

    def _request(self) -> bytes:
        self._began = time.perf_counter()
        return self._question

    def data_received(self, data: bytes) -> None:
        answer = self._answer.take(data)
        if answer is None:
            return
        now = time.perf_counter()
        self.latencies_s.append(now - self._began)
        if answer[0] != 200:
            self._fail(f"{answer}")
        elif now < self._until:
            self.transport.write(self._request())
        else:
            self._ended()


class _Grpc(_Client):
    """HTTP/2."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.name)
        self._headers, self._headers_again = _headers(target)
        self._messages = itertools.cycle(
            [b"\x00" + struct.pack(">I", len(request)) + request for request in target.requests]
        )
        self._stream = 1
        self._began: dict[int, float] = {}
        self._answered: set[int] = set()
        self._buffer = b""
        self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        settings = struct.pack(">HI", 4, _WINDOW)  # INITIAL_WINDOW_SIZE
        window = _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WINDOW - 65535))
        transport.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, settings) + window)

    async def pace(self, every_s: float, *, until: float) -> None:
        """Begins a call every so often, and waits for the last."""
        self._until, self._idle = 0.0, None
        due = time.perf_counter() + every_s * random.random()
        while due < until:
            await asyncio.sleep(due - time.perf_counter())
            # Timers count milliseconds: what has become due meanwhile is sent at once.
            while due < min(until, time.perf_counter()):
                self.transport.write(self._request())
                due += every_s
        self._idle = asyncio.get_running_loop().create_future()
        if self._began:
            await self._idle

    def _request(self) -> bytes:
        stream, self._stream = self._stream, self._stream + 2
        headers, self._headers = self._headers, self._headers_again
        self._began[stream] = time.perf_counter()
        sent = _frame(_HEADERS, _END_HEADERS, stream, headers)
        return sent + _frame(_DATA, _END_STREAM, stream, next(self._messages))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        at, size, out = 0, len(buffer), []
        while size - at >= 9:
            end = at + 9 + (buffer[at] << 16 | buffer[at + 1] << 8 | buffer[at + 2])
            if end > size:
                break
            kind, flags = buffer[at + 3], buffer[at + 4]
            if kind <= _HEADERS:
                stream = int.from_bytes(buffer[at + 5 : at + 9], "big")
                if kind == _DATA:
                    self._answered.add(stream)
                    self._received += end - at - 9
                if flags & _END_STREAM:
                    self._done(stream, out)
            elif kind == _SETTINGS and not flags & _ACK:
                out.append(_frame(_SETTINGS, _ACK, 0, b""))
            elif kind == _PING and not flags & _ACK:
                out.append(_frame(_PING, _ACK, 0, buffer[at + 9 : end]))
            elif kind in (_RST_STREAM, _GOAWAY):
                self._fail(f"frame {kind}, {buffer[at + 9 : end]!r}")
            at = end
        self._buffer = buffer[at:]
        if self._received > _TOP_UP:
            out.append(_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._received)))
            self._received = 0
        if out:
            self.transport.write(b"".join(out))

    def _done(self, stream: int, out: list[bytes]) -> None:
        now = time.perf_counter()
        self.latencies_s.append(now - self._began.pop(stream))
        # A call that is refused has a status and no message.
        if stream not in self._answered:
            self._fail("a call was refused")
        self._answered.discard(stream)
        if now < self._until:
            out.append(self._request())
        elif not self._began:
            self._ended()
