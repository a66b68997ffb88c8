"""HTTP/1.1 answers, taken apart no further than a bench needs, and a client to ask Envoy again and again."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass


class Answers:
    """Puts the answers of one connection together; there is one question at a time."""

    def __init__(self) -> None:
        self._buffer = b""

    def take(self, data: bytes) -> tuple[int, bytes, bytes] | None:
        """(status, head, body) once the answer is whole."""
        self._buffer += data
        split = self._buffer.find(b"\r\n\r\n")
        if split < 0:
            return None
        head, body = self._buffer[:split], self._buffer[split + 4 :]
        if b"\r\ntransfer-encoding: chunked" in head:
            if not body.endswith(b"0\r\n\r\n"):
                return None
        else:
            at = head.find(b"\r\ncontent-length: ")
            end = head.find(b"\r\n", at + 18)
            if at >= 0 and len(body) < int(head[at + 18 : end if end >= 0 else None]):
                return None
        self._buffer = b""
        return int(head[9:12]), head, body


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer, and when its question was sent and its last byte came, in time.perf_counter()'s seconds."""

    status: int
    head: bytes
    body: bytes
    sent: float
    came: float


def question(
    host: str, path: str = "/v1/products?page_size=1", method: str = "GET", body: bytes = b"", token: str = ""
) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\n"
    if token:
        head += f"authorization: {token}\r\n"
    if method != "GET":
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Probe(asyncio.Protocol):
    """One connection, kept."""

    def __init__(self) -> None:
        self._answers = Answers()
        self._asked: asyncio.Future[Seen] | None = None
        self._sent = 0.0

    @classmethod
    async def connect(cls, port: int) -> "Probe":
        _, protocol = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(error or ConnectionResetError("Envoy closed the connection"))

    def close(self) -> None:
        self._asked = None
        self._transport.close()

    async def ask(self, question: bytes) -> Seen:
        self._asked = asyncio.get_running_loop().create_future()
        self._sent = time.perf_counter()
        self._transport.write(question)
        return await self._asked

    async def until(self, question: bytes, right: Callable[[Seen], bool], within_s: float = 10.0) -> Seen:
        """The first answer that is right, asking as fast as Envoy answers."""
        give_up_at = time.perf_counter() + within_s
        while True:
            seen = await self.ask(question)
            if right(seen):
                return seen
            if seen.came > give_up_at:
                raise AssertionError(f"{within_s:.0f} s after {question!r} still {seen.status} {seen.body[:300]!r}")

    def data_received(self, data: bytes) -> None:
        answer = self._answers.take(data)
        if answer is not None and self._asked is not None and not self._asked.done():
            self._asked.set_result(Seen(*answer, self._sent, time.perf_counter()))
