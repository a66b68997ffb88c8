"""A look along chains: in a database, and in an export far from any."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import TypeAlias

from shared.audit import domain, store
from shared.audit.anchors import Anchors
from shared.audit.domain import Anchor, Entry, Finding, Kind, Link, Progress, Seal, Walk
from shared.audit.schema import Ledger
from shared.audit.signing import Trust
from shared.runtime.db import Database

Part: TypeAlias = list[tuple[Link, Entry | None]]

AT_ONCE = 500
# Entries that are not sealed yet are counted up to this.
UNSEALED = 1000
# From the sealer's commit to its note of where chains end.
SETTLE_S = 0.5


class Checker:
    """db: as the sealer's role. key: what entries are proven with."""

    def __init__(self, db: Database, ledger: Ledger, anchors: Anchors, *, ca_pem: bytes, key: bytes) -> None:
        self._db = db
        self._ledger = ledger
        self._anchors = anchors
        self._ca_pem = ca_pem
        self._key = key

    async def tenants(self) -> AsyncGenerator[str, None]:
        """Everyone who has a chain, or is known to have had one."""
        chain: str | None = None
        while True:
            async with self._db.transaction() as tx:
                stored = await store.next_chain(tx, self._ledger, chain)
            kept = await asyncio.to_thread(self._anchors.after, chain)
            there = [each for each in (stored, kept) if each is not None]
            if not there:
                return
            chain = min(there)
            yield self._ledger.tenant(chain)

    async def check(
        self, tenant_id: str, *, begin: int = 0, until: int = 0, known: Anchor | None = None
    ) -> AsyncGenerator[Progress, None]:
        """The last is complete. begin, until: the first and the last link to look at; 0 for all."""
        chain = self._ledger.chain(tenant_id)
        # Before the chain is read: it only gets longer.
        anchors = await self._anchored(chain)
        start = max(begin - 1, 0)
        async with self._db.transaction() as tx:
            trust = Trust(self._ca_pem, await store.signers(tx, self._ledger, chain))
            before = await store.hash_at(tx, self._ledger, chain, start)
            if until:
                # As far as a seal vouches.
                sealed = await store.seals(tx, self._ledger, chain, until - 1, None, 1)
                until = sealed[0].position if sealed else until
        walk = Walk(tenant_id, start, before)
        progress = Progress(tenant_id)
        while True:
            part, seals = await self._part(chain, walk.position, until)
            if part or seals:
                progress.findings += _taken(walk, part, seals, trust)
                progress.seal_time = seals[-1].create_time if seals else progress.seal_time
            if len(part) < AT_ONCE and not seals:
                break
            progress.links = walk.entries
            yield progress
            progress = Progress(tenant_id, seal_time=progress.seal_time)
        progress.findings += walk.end()
        end = until or sys.maxsize
        if any([await self._held(chain, anchor, walk.position) for anchor in anchors if anchor.position <= end]):
            # It may have left, or come, just now; then the sealer forgets the end that it knew.
            await asyncio.sleep(SETTLE_S)
            anchors = [] if await self._is_leaving(tenant_id) else await self._anchored(chain)
        for anchor in (*anchors, *([known] if known is not None else [])):
            if anchor.position <= end:
                progress.findings += await self._held(chain, anchor, walk.position)
        slipped_in, progress.unsealed = await self._unlinked(chain)
        progress.findings += slipped_in
        progress.links, progress.is_complete = walk.entries, True
        if walk.position and walk.hash is not None:
            progress.end = Anchor(walk.position, walk.hash)
        yield progress

    async def links(self, tenant_id: str, after: int) -> AsyncGenerator[tuple[Part, list[Seal]], None]:
        """The chain as it is, part by part, each with its seals."""
        chain = self._ledger.chain(tenant_id)
        while True:
            part, seals = await self._part(chain, after, 0)
            if not part and not seals:
                return
            yield part, seals
            after = max([link.position for link, _ in part[-1:]] + [seal.position for seal in seals[-1:]])

    async def before(self, tenant_id: str, position: int) -> tuple[bytes | None, dict[str, bytes]]:
        """The link at a place, and who signs."""
        chain = self._ledger.chain(tenant_id)
        async with self._db.transaction() as tx:
            signers = await store.signers(tx, self._ledger, chain)
            return await store.hash_at(tx, self._ledger, chain, position), signers

    async def _part(self, chain: str, after: int, until: int) -> tuple[Part, list[Seal]]:
        """Links and the seals among them; behind the last link, seals whose links are gone."""
        async with self._db.transaction() as tx:
            part = await store.links(tx, self._ledger, chain, after, AT_ONCE)
            if until:
                part = [(link, entry) for link, entry in part if link.position <= until]
            if part:
                last = part[-1][0].position
                return part, await store.seals(tx, self._ledger, chain, after, last, AT_ONCE)
            if until:
                return [], []
            seals = await store.seals(tx, self._ledger, chain, after, None, AT_ONCE)
            if seals and await store.links(tx, self._ledger, chain, after, 1):
                # They came meanwhile, as links and seals do: together.
                return await self._part(chain, after, until)
            return [], seals

    async def _anchored(self, chain: str) -> list[Anchor]:
        return list((await asyncio.to_thread(self._anchors.of, [chain])).values())

    async def _is_leaving(self, tenant_id: str) -> bool:
        """Whether the sealer has yet to see that the tenant's rows came or went."""
        async with self._db.transaction() as tx:
            found = await store.unlinked(tx, self._ledger, self._ledger.nobody, UNSEALED)
        return any(
            domain.is_of_whole_chain(entry) and entry.resource_id == tenant_id and domain.proven(entry, self._key)
            for entry, _ in found
        )

    async def _held(self, chain: str, anchor: Anchor, end: int) -> list[Finding]:
        async with self._db.transaction() as tx:
            there = await store.hash_at(tx, self._ledger, chain, anchor.position)
        return list(domain.held(anchor, end, there))

    async def _unlinked(self, chain: str) -> tuple[list[Finding], int]:
        async with self._db.transaction() as tx:
            found = await store.unlinked(tx, self._ledger, chain, UNSEALED)
        waiting = [entry for entry, is_behind in found if not is_behind and domain.proven(entry, self._key)]
        known = {entry.id for entry in waiting}
        slipped_in = [Finding(Kind.SLIPPED_IN, 0, 0, entry.id) for entry, _ in found if entry.id not in known]
        return slipped_in, len(waiting)


def _taken(walk: Walk, part: Part, seals: Iterable[Seal], trust: Trust) -> Iterator[Finding]:
    waiting = list(seals)
    for link, entry in part:
        while waiting and waiting[0].position < link.position:
            yield from _sealed(walk, waiting.pop(0), trust)
        yield from walk.take(link, entry)
        if waiting and waiting[0].position == link.position:
            yield from _sealed(walk, waiting.pop(0), trust)
    for seal in waiting:
        yield from _sealed(walk, seal, trust)


def _sealed(walk: Walk, seal: Seal, trust: Trust) -> Iterator[Finding]:
    yield from walk.seal(seal, is_signed=trust.holds(walk.tenant_id, seal))
