"""An event loop in a thread of its own, for programs that have none; one for all validators of a process."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """The result of `work`, done in that thread. Not for use on an event loop, which it would hold up."""
    return asyncio.run_coroutine_threadsafe(work, loop()).result()


def loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            # A daemon: a program that ends without closing its validators is not held up by them.
            threading.Thread(target=_loop.run_forever, name="center-sdk", daemon=True).start()
        return _loop


def _forked() -> None:
    """The thread is the parent's; a child that wants one starts its own."""
    global _lock, _loop
    _lock, _loop = threading.Lock(), None


os.register_at_fork(after_in_child=_forked)
