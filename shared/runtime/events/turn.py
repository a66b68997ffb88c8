"""One process at a time: whoever holds the lock works, and the next takes over when it is gone, however it ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

# The first of an advisory lock's two numbers: what concerns events. The second is made of the name.
_EVENTS = 0x6576
# How long after a turn ends the next one begins, at the latest.
LOOK_S = 1.0


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
