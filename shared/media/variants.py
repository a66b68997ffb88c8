"""Variants of images, each made by a process of its own (imaging), a few at a time."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from shared.media.imaging import Outcome
from shared.runtime.errors import FailedPrecondition, Unavailable

AT_ONCE = 2
# Who would have to wait behind so many is told to come again.
WAITING_AT_MOST = 16
TIMEOUT_S = 20.0
LARGEST_MADE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """width, height: of the box that the image is to fit in, in pixels; 0 is any. format: Pillow's name."""

    width: int
    height: int
    format: str

    @property
    def content_type(self) -> str:
        return f"image/{self.format.lower()}"

    def __str__(self) -> str:
        return f"{self.format} within {self.width or 'any'}x{self.height or 'any'}"


@dataclass(frozen=True, slots=True)
class Made:
    width: int
    height: int
    data: bytes


class Workshop:
    """No more than a few processes at once, whoever asks."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def make(self, media_id: str, original: AsyncIterator[memoryview], wanted: Wanted) -> Made:
        """FailedPrecondition IMAGE_NOT_READABLE, IMAGE_TOO_LARGE; Unavailable IMAGING_BUSY."""
        if self._waiting >= WAITING_AT_MOST:
            raise Unavailable("IMAGING_BUSY", "many images are being made; try again", retry_after_s=2.0)
        self._waiting += 1
        try:
            async with self._places:
                status, out = await _run(original, wanted)
        finally:
            self._waiting -= 1
        if status == Outcome.TOO_LARGE:
            raise FailedPrecondition("IMAGE_TOO_LARGE", "the image has more pixels than are decoded here", id=media_id)
        size, newline, data = out.partition(b"\n")
        if status != Outcome.MADE or not newline:
            message = "the image is broken, or takes too long to decode"
            raise FailedPrecondition("IMAGE_NOT_READABLE", message, id=media_id)
        width, height = map(int, size.split())
        return Made(width, height, data)


async def _run(original: AsyncIterator[memoryview], wanted: Wanted) -> tuple[int | None, bytes]:
    """How the process ended, and what it said."""
    # It needs to find its module, and nothing else that is in our environment: there are passwords.
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LC_ALL": "C.UTF-8"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shared.media.imaging", str(wanted.width), str(wanted.height), wanted.format),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        async with asyncio.timeout(TIMEOUT_S):
            with suppress(BrokenPipeError, ConnectionResetError):
                async for chunk in original:
                    process.stdin.write(bytes(chunk))
                    await process.stdin.drain()
            process.stdin.close()
            out = bytearray()
            while len(out) <= LARGEST_MADE_BYTES and (more := await process.stdout.read(1 << 16)):
                out += more
            if len(out) > LARGEST_MADE_BYTES:
                return Outcome.TOO_LARGE, b""
            await process.wait()
    except TimeoutError:
        return None, b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, bytes(out)
