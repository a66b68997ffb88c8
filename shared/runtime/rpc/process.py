"""How a process of the platform runs: uvloop, until it is told to stop, and then a clean end."""

import asyncio
import gc
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import structlog
import uvloop

# Calls make little that only the collector frees; looking for it every 700 objects costs them more than it gives, and
# every 20,000 it takes 10 ms at once.
GARBAGE_AT = 3_000

log = structlog.stdlib.get_logger("center.process")


def run(running: Callable[[], AbstractAsyncContextManager[object]]) -> None:
    """Runs what the composition root starts until SIGTERM or SIGINT, then lets it drain."""
    uvloop.run(_until_stopped(running))


async def _until_stopped(running: Callable[[], AbstractAsyncContextManager[object]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running():
        spare_the_lasting()
        log.info("ready")
        await stop.wait()
        log.info("stopping")


def spare_the_lasting() -> None:
    """What is there now stays for good: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AT, 50, 20)
