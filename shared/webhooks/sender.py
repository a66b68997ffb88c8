"""One request to one endpoint, over connections that go where the guard says.

httpcore and not httpx around it: its pool takes the network that connections are made by, httpx's does not.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, cast

import httpcore
import httpx

from shared.runtime.errors import Unavailable
from shared.runtime.patience import within
from shared.webhooks.domain import Answer
from shared.webhooks.guard import Guard, Refused

CONNECT_S = 5.0
TOTAL_S = 15.0
# Of an answer's body this much is read, and this much kept.
READ_BYTES = 16 * 1024
KEPT_CHARACTERS = 500
IDLE_S = 30.0

_FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError)


class Network(httpcore.AsyncNetworkBackend):
    """Connects to an address that was looked at. TLS and the Host header go on to be about the name."""

    def __init__(self, guard: Guard, scheme: str) -> None:
        self._guard = guard
        self._scheme = scheme
        self._plain = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception | None = None
        for address in await self._guard.addresses(host, port, self._scheme):
            try:
                return await self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Sender:
    """tls: whom to believe; the world's certificate authorities by default."""

    def __init__(
        self,
        guard: Guard,
        *,
        connections: int = 512,
        connect_s: float = CONNECT_S,
        total_s: float = TOTAL_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = guard
        self.total_s = total_s
        self._extensions = {"timeout": {"connect": connect_s, "read": total_s, "write": total_s, "pool": total_s}}
        tls = tls or httpx.create_ssl_context(trust_env=False)
        self._pools = {
            scheme: httpcore.AsyncConnectionPool(
                ssl_context=tls,
                max_connections=connections,
                max_keepalive_connections=connections // 4,
                keepalive_expiry=IDLE_S,
                http1=True,
                http2=False,
                network_backend=Network(guard, scheme),
            )
            for scheme in ("https", "http")
        }

    async def __aenter__(self) -> "Sender":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What the endpoint answered, or why it did not; redirects are answers and nothing else."""
        began = time.perf_counter()

        def failed(why: str) -> Answer:
            return Answer(0, time.perf_counter() - began, error=why[:KEPT_CHARACTERS])

        try:
            scheme, _, _ = self._guard.parsed(url)
            return await within(self.total_s, self._posted(self._pools[scheme], url, headers, body, began))
        except Refused as refusal:
            return failed(f"refused: {refusal.why}")
        except Unavailable as error:
            return failed(error.message)
        except (TimeoutError, httpcore.ReadTimeout, httpcore.WriteTimeout):
            return failed(f"no answer within {self.total_s:g} s")
        except httpcore.ConnectTimeout:
            return failed("no connection in time")
        except _FAILURES as error:
            return failed(f"{type(error).__name__}: {error}")

    async def _posted(
        self, pool: httpcore.AsyncConnectionPool, url: str, headers: Mapping[str, str], body: bytes, began: float
    ) -> Answer:
        request = pool.stream("POST", url, headers=list(headers.items()), content=body, extensions=self._extensions)
        async with request as response:
            read = bytearray()
            # It is one, whatever its type says; left open it would be closed by the collector, in another task.
            parts = cast("AsyncGenerator[bytes, None]", response.aiter_stream())
            async with aclosing(parts):
                async for part in parts:
                    read += part
                    if len(read) >= READ_BYTES:
                        break
            given = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            return Answer(
                status=response.status,
                latency_s=time.perf_counter() - began,
                body=_text(read),
                error=_error(response.status, given.get(b"location", "")),
                retry_after=retry_after(given.get(b"retry-after", ""), datetime.now(UTC)),
            )


def retry_after(text: str, now: datetime) -> timedelta | None:
    """How long the header asks to wait: seconds or a date (RFC 9110, 10.2.3)."""
    text = text.strip()
    if text.isdecimal() and text.isascii():
        return timedelta(seconds=min(int(text[:9]), 10**8))
    try:
        return max(parsedate_to_datetime(text) - now, timedelta())
    except (TypeError, ValueError):
        return None


def _error(status: int, location: str) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"HTTP {status}: redirects are not followed{', to ' + location[:200] if location else ''}"
    return f"HTTP {status}"


def _text(read: bytes | bytearray) -> str:
    """PostgreSQL's texts hold no NUL."""
    return bytes(read).decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")[:KEPT_CHARACTERS]
