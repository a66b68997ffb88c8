"""Waiting for a signal, but not for ever."""

import asyncio


async def signalled(event: asyncio.Event, timeout_s: float | None) -> bool:
    """Whether the event came within the time.

    asyncio.wait_for of Python 3.11 loses a cancellation that comes together with the event, and a job that is never
    cancelled keeps its process from ending.
    """
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
