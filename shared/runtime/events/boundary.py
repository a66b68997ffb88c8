"""Named places between two effects, at which a test lets a process die."""

from collections.abc import Awaitable, Callable

Boundary = Callable[[str], Awaitable[None]]


async def none(place: str) -> None:
    """No test."""
