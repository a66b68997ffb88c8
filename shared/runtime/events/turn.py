"""One process at a time: whoever holds the lock works, and the next takes over when it is gone, however it ended.

And for ever: while PostgreSQL or NATS is away, events stay where they are.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import structlog

from shared.runtime.errors import PlatformError
from shared.runtime.events.broker import FAILURES, heed_cancellation

log = structlog.stdlib.get_logger("center.events")

# The first of an advisory lock's two numbers: what concerns events. The second is made of the name.
_EVENTS = 0x6576
# How long after a turn ends the next one begins, at the latest.
LOOK_S = 1.0
AGAIN_S, LONGEST_AGAIN_S = 0.5, 2.0

Well = Callable[[], None]


async def in_turns(
    url: str, name: str, work: Callable[[psycopg.AsyncConnection[Any], Well], Awaitable[None]], options: str = ""
) -> None:
    """Works when it is this process's turn, until cancelled.

    work: is given the connection that holds the turn, and what it calls once it has reached whatever it needs.
    """
    told, pause_s = False, AGAIN_S

    def well() -> None:
        nonlocal told, pause_s
        if told:
            log.info("events flow again", who=name)
        told, pause_s = False, AGAIN_S

    while True:
        heed_cancellation()
        try:
            async with taken(url, name, options) as connection:
                await work(connection, well)
        except (psycopg.Error, PlatformError, *FAILURES) as error:
            if not told:
                log.info("events wait", who=name, error=repr(error))
                told = True
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_AGAIN_S)


@asynccontextmanager
async def taken(url: str, name: str, options: str = "") -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection that holds the turn as long as it lives, once no other process has it.

    The lock is the session's: the server ends it with the connection. Keepalives find a machine that is gone.
    """
    async with await psycopg.AsyncConnection.connect(
        url,
        autocommit=True,
        connect_timeout=5,
        application_name=name,
        options=options,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
    ) as connection:
        # On this one connection: to log in costs both sides several milliseconds.
        while True:
            cursor = await connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", (_EVENTS, name))
            if (await cursor.fetchall()) == [(True,)]:
                break
            await asyncio.sleep(LOOK_S)
        yield connection
