"""Answers about products, in memory, each with the revision of its tenant's products that it was made of.

The database gives a tenant another revision with each change (migration 0019), and no revision comes back. Whoever
asks reads the revision first, after his call arrived: an answer of that revision is as fresh as one made now, whichever
process the products were changed in. Calls share that reading, so under load it costs none of them much.
"""

import asyncio
import functools
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, LiteralString, Protocol, TypeVar, cast

import grpc
from google.protobuf.message import Message
from prometheus_client import Counter

from shared.runtime.context import current
from shared.runtime.db import Database

AT_MOST_BYTES = 64 * 1024 * 1024
# Where one reading of the revisions follows another, it waits so long for more who want to know: half as many readings,
# where calls are as many as the machine can answer.
PAUSE_S = 0.001
# What an entry takes beside its request and its answer.
ENTRY_BYTES = 600

_answers = Counter("center_product_answers", "Answers about products, by where they came from.", ["source"])
_FROM_MEMORY, _FROM_DATABASE = _answers.labels("memory"), _answers.labels("database")

# Tenant, method, the caller's role and the request: all that an answer depends on beside the products.
Key = tuple[str, str, int, bytes]
# The revision, and the answer; no revision of what was asked for once, whose answer is not kept.
Entry = tuple[str | None, bytes]


class Revisions:
    """The tenants' present revisions, read at once for all who ask meanwhile."""

    def __init__(self, steward: Database) -> None:
        self._steward = steward
        self._reading: asyncio.Task[dict[str, str]] | None = None
        # Whose revisions the next reading is to bring; None once it has begun, too early for who asks from then on.
        self._wanted: set[str] | None = None

    async def of(self, tenant_id: str) -> str:
        """Read by a statement that begins after this call; empty before the tenant's first change."""
        if self._reading is None or self._wanted is None:
            self._wanted = set()
            self._reading = asyncio.create_task(self._read(self._reading, self._wanted))
        self._wanted.add(tenant_id)
        # Whoever goes away leaves it to the others.
        return (await asyncio.shield(self._reading)).get(tenant_id, "")

    async def _read(self, before: "asyncio.Task[dict[str, str]] | None", wanted: set[str]) -> dict[str, str]:
        if before is not None and not before.done():
            await asyncio.wait([before])
            await asyncio.sleep(PAUSE_S)
        self._wanted = None
        rows = await self._steward.once(_REVISIONS, {"tenants": list(wanted)})
        return {row.tenant_id: row.revision for row in rows}


_REVISIONS: LiteralString = """
    SELECT tenant_id::text AS tenant_id, revision::text AS revision FROM product_revisions
    WHERE tenant_id = ANY (%(tenants)s::uuid[])
"""


class Memory:
    """What was asked for last, up to so many bytes."""

    def __init__(self, revisions: Revisions, at_most_bytes: int = AT_MOST_BYTES) -> None:
        self._revisions = revisions
        self._at_most_bytes = at_most_bytes
        self.held_bytes = 0
        self._entries: OrderedDict[Key, Entry] = OrderedDict()

    async def answer(self, key: Key, make: Callable[[], Awaitable[Message]]) -> bytes:
        """The answer that `make` would give now, in bytes; nothing is remembered of a refusal.

        The first to ask pays what he would without a memory, and has nothing kept: whoever goes through a whole shop
        once drives nothing out.
        """
        revision = None
        if key in self._entries:
            # Before the products are read: an answer may be newer than its revision, and is never older.
            revision = await self._revisions.of(key[0])
            known = self._entries.get(key)
            if known is not None and known[0] == revision:
                self._entries.move_to_end(key)
                _FROM_MEMORY.inc()
                return known[1]
            self._drop(key)
        made = (await make()).SerializeToString()
        self._keep(key, (revision, b"" if revision is None else made))
        _FROM_DATABASE.inc()
        return made

    def _keep(self, key: Key, entry: Entry) -> None:
        self._drop(key)
        self._entries[key] = entry
        self.held_bytes += _size(key, entry)
        while self.held_bytes > self._at_most_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Key) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self.held_bytes -= _size(key, entry)


def _size(key: Key, entry: Entry) -> int:
    return ENTRY_BYTES + len(key[3]) + len(entry[1])


class _Servicer(Protocol):
    @property
    def memory(self) -> Memory: ...


S = TypeVar("S", bound=_Servicer)
Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)
Unary = Callable[[S, Q, "grpc.aio.ServicerContext[Any, Any]"], Coroutine[Any, Any, A]]


def remembered(method: Unary[S, Q, A]) -> Unary[S, Q, A]:
    """For a read that depends on the caller's tenant and role, on the request, and on nothing but the tables
    `products`, `variants` and `product_media`. It answers in bytes, which nobody can change."""

    @functools.wraps(method)
    async def answering(self: S, request: Q, context: "grpc.aio.ServicerContext[Any, Any]") -> A:
        call = current()
        key = (call.tenant_id, method.__name__, call.role, request.SerializeToString())
        return cast("A", await self.memory.answer(key, lambda: method(self, request, context)))

    return answering
