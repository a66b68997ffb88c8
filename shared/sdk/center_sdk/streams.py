"""What goes out on a stream while its answers come in."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

_Request = TypeVar("_Request")


async def until_none(requests: asyncio.Queue[_Request | None]) -> AsyncIterator[_Request]:
    """None ends the sending: of a stream that the server ended, grpc would wait for more until the garbage collector
    comes."""
    while (request := await requests.get()) is not None:
        yield request
