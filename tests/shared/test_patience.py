"""Calls over HTTP that are not waited for any longer leave the pool as it was."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from shared.runtime.patience import within

PATIENCE_S, CONNECTIONS = 0.1, 4
# Around the time that is waited, so that answers, timeouts and connections meet each other in every way.
PAUSES_S = (0, 0.02, 0.098, 0.1, 0.102, 0.15)


@pytest.fixture
async def server() -> AsyncIterator[str]:
    """Answers when it likes to."""
    under_way: set[asyncio.Task[None]] = set()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(random.choice(PAUSES_S))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(served(reader, writer))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    listening.close()
    for task in under_way:
        task.cancel()


async def test_however_often_nobody_waits_any_longer_the_pool_has_connections(server: str) -> None:
    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(timeout=PATIENCE_S, limits=limits, trust_env=False) as client:
        until, ended = time.monotonic() + 4, {"answered": 0, "late": 0}

        async def asks() -> None:
            while time.monotonic() < until:
                try:
                    await within(PATIENCE_S, client.get(server))
                    ended["answered"] += 1
                except (TimeoutError, httpx.TransportError):
                    ended["late"] += 1

        await asyncio.gather(*(asks() for _ in range(CONNECTIONS)))
        assert ended["answered"] > 5 and ended["late"] > 5, ended
        client.timeout = httpx.Timeout(5)
        for _ in range(2 * CONNECTIONS):
            assert (await within(5, client.get(server))).status_code == 200


async def test_what_never_ends_is_given_up_in_the_end() -> None:
    ended = asyncio.Event()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        await within(0.05, endless())
    assert not ended.is_set()
    await asyncio.wait_for(ended.wait(), 5)


async def test_an_answer_and_a_failure_are_the_calls_own() -> None:
    async def fails() -> None:
        raise ValueError("its own")

    assert await within(5, asyncio.sleep(0, "answer")) == "answer"
    with pytest.raises(ValueError, match="its own"):
        await within(5, fails())


async def test_who_is_cancelled_leaves_the_call_alone() -> None:
    going_on, ended = asyncio.Event(), asyncio.Event()

    async def call() -> None:
        await going_on.wait()
        ended.set()

    waiting = asyncio.ensure_future(within(5, call()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    going_on.set()
    await asyncio.wait_for(ended.wait(), 5)
