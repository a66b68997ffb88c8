"""Waiting only so long for a call over HTTP, without harm to the pool that its connection is of."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_left: set[asyncio.Task[Any]] = set()


async def within(seconds: float, call: Coroutine[Any, Any, T]) -> T:
    """What the call gives; TimeoutError after so many seconds.

    The call is left to its own timeouts, which have to be about as long, and only what is still there after twice the
    time is cancelled: httpcore loses a connection of its pool when a request is cancelled just when it got one, and
    after as many as the pool has, nobody gets any.
    """
    task = asyncio.ensure_future(call)
    _left.add(task)
    task.add_done_callback(_ended)
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        if not task.done():
            asyncio.get_running_loop().call_later(seconds, task.cancel)
    if not task.done():
        raise TimeoutError
    return task.result()


def _ended(task: asyncio.Task[Any]) -> None:
    _left.discard(task)
    if not task.cancelled():
        task.exception()
