"""Links and seals what was committed, outside of every request.

Which entries are new is told by a snapshot of PostgreSQL, as for the relay of events: an entry that is committed late
has no place behind a seal, for its place is given to it here. All of a round is one transaction, and rounds are one at
a time, so a chain has no fork.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, LiteralString

import psycopg
import structlog
from prometheus_client import Counter, Gauge

from shared.audit import domain, store
from shared.audit.anchors import Anchors
from shared.audit.domain import Anchor, Entry, Link, Seal
from shared.audit.schema import LOCK, Ledger
from shared.audit.signing import Signer, Trust
from shared.runtime.events.turn import Well, in_turns

log = structlog.stdlib.get_logger("center.audit")

# Most of a round costs the same for one entry and for a hundred.
LOOK_S = 2.0
AT_ONCE = 500
# Ends of chains that this process has sealed itself, and need not check again.
REMEMBERED = 10_000

_OPTIONS = "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan -c statement_timeout=30s -c lock_timeout=10s"
_FIRST = "1:1:"

_sealed = Counter("center_audit_sealed", "Audit entries that were sealed.", ["database"])
_unproven = Counter("center_audit_unproven", "Audit entries that no process of the platform wrote.", ["database"])
_broken = Counter("center_audit_broken_ends", "Chains whose end was not what was sealed there.", ["database"])
_round_s = Gauge("center_audit_round_seconds", "How long the last round of the sealer took.", ["database"])


@dataclass(frozen=True, slots=True)
class End:
    """The end of a chain."""

    position: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """Entries without a link, as rows. position: how far one has looked with them; empty to look there again.

    is_first: nothing was sealed before.
    """

    rows: Sequence[Any]
    position: str
    has_more: bool
    is_first: bool


class Sealer:
    """url: of the database, as the sealer's own role. key: what processes of this database prove their entries with."""

    def __init__(
        self, url: str, ledger: Ledger, *, name: str, key: bytes, signer: Signer, ca_pem: bytes, anchors: Anchors
    ) -> None:
        self._url = url
        self._ledger = ledger
        self._name = name
        self._key = key
        self._signer = signer
        self._ca_pem = ca_pem
        self._anchors = anchors
        self._known: dict[str, Anchor] = {}
        self._new = _new(ledger)

    async def run(self) -> None:
        """Until cancelled."""
        await in_turns(self._url, f"sealer {self._name}", self._work, _OPTIONS)

    async def seal(self) -> None:
        """Seals what is committed now, whoever's turn it is."""
        async with await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=5, application_name=f"sealer {self._name}", options=_OPTIONS
        ) as connection:
            while await self._round(connection):
                pass

    async def _work(self, connection: psycopg.AsyncConnection[Any], well: Well) -> None:
        well()
        while True:
            if not await self._round(connection):
                await asyncio.sleep(LOOK_S)

    async def _round(self, connection: psycopg.AsyncConnection[Any]) -> bool:
        """Seals some of what is new, and says whether there may be more."""
        began = asyncio.get_running_loop().time()
        async with connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            found = await self._found(connection)
            if not found.rows:
                if found.is_first:
                    await asyncio.to_thread(self._anchors.begin)
                return False
            entries = await asyncio.to_thread(self._proven, found)
            ends = await self._ends(connection, sorted({entry.tenant_id for entry in entries}))
            links, seals = await asyncio.to_thread(self._linked, entries, ends)
            if links:
                await self._write(connection, links, seals)
            if found.position:
                await connection.execute("UPDATE audit_position SET position = %s", (found.position,))
        if seals:
            await self._remember(connection, ends, seals, entries)
        if found.is_first and not found.has_more:
            await asyncio.to_thread(self._anchors.begin)
        _sealed.labels(self._name).inc(len(entries))
        _round_s.labels(self._name).set(asyncio.get_running_loop().time() - began)
        return found.has_more

    async def _found(self, connection: psycopg.AsyncConnection[Any]) -> Found:
        cursor = await connection.execute(
            "SELECT position, pg_snapshot_xmax(position::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot())"
            " FROM audit_position"
        )
        [(position, is_of_another_life)] = await cursor.fetchall()
        is_first = position == _FIRST and not await asyncio.to_thread(lambda: self._anchors.has_begun)
        if is_of_another_life:
            # The database was restored elsewhere, where transactions count anew; what has its link is left alone.
            position = _FIRST
        _, end, still_open = position.split(":")
        since = {"end": end, "open": still_open.split(",") if still_open else []}
        rows = await (await connection.execute(self._new, since, prepare=True)).fetchall()
        # Rows are of two questions: what was open comes whole, what followed up to a limit, in order.
        following = [int(row[1]) for row in rows if int(row[1]) >= int(end)]
        if len(following) <= AT_ONCE:
            return Found(rows, rows[0][0] if rows else "", has_more=False, is_first=is_first)
        first, last = following[0], following[-1]
        if first == last:
            # Of one transaction a part: the rest is found by the same look, since this part has its links then.
            return Found(rows[:AT_ONCE], "", has_more=True, is_first=is_first)
        open_now = [xid for xid in rows[0][0].split(":")[2].split(",") if xid and int(xid) < last]
        position = f"{open_now[0] if open_now else last}:{last}:{','.join(open_now)}"
        return Found([row for row in rows if int(row[1]) < last], position, has_more=True, is_first=is_first)

    def _proven(self, found: Found) -> list[Entry]:
        """Those that were written by who has the key. What is older than proofs is taken once, at the beginning."""
        proven = []
        for entry in (store.entry(self._ledger, row[2:]) for row in found.rows):
            if domain.proven(entry, self._key) or (entry.proof is None and found.is_first):
                proven.append(entry)
            else:
                _unproven.labels(self._name).inc()
                log.error("an audit entry that nobody of this platform wrote", entry=entry.id, database=self._name)
        return sorted(proven, key=lambda entry: (entry.tenant_id, entry.id))

    async def _ends(self, connection: psycopg.AsyncConnection[Any], tenants: Sequence[str]) -> dict[str, End]:
        cursor = await connection.execute(
            _ENDS.format(tenant=store.tenant_type(self._ledger)),
            ([self._ledger.chain(tenant) for tenant in tenants],),
            prepare=True,
        )
        found: dict[str, End] = {}
        for chain, position, hash_, sealed, certificate in [_sealed_end(row) for row in await cursor.fetchall()]:
            tenant = self._ledger.tenant(chain)
            is_whole = self._known.get(tenant) == Anchor(position, hash_)
            if not is_whole and sealed is not None and (sealed.position, sealed.hash) == (position, hash_):
                is_whole = Trust(self._ca_pem, {sealed.signer: certificate}).holds(tenant, sealed)
            if not is_whole:
                # The next seal vouches for what comes now, and for nothing before it.
                _broken.labels(self._name).inc()
                log.error("the end of an audit chain is not what was sealed", tenant_id=tenant, position=position)
            # Whatever is gone, a place is given once.
            if sealed is not None and sealed.position > position:
                position, hash_ = sealed.position, sealed.hash
            found[tenant] = End(position, hash_)
        return found

    def _linked(self, entries: Iterable[Entry], ends: dict[str, End]) -> tuple[list[tuple[str, Link]], dict[str, Seal]]:
        links: list[tuple[str, Link]] = []
        seals: dict[str, Seal] = {}
        now = datetime.now(UTC)
        for tenant, of_tenant in groupby(entries, key=lambda entry: entry.tenant_id):
            end = ends.get(tenant)
            position, hash_ = (end.position, end.hash) if end is not None else (0, domain.beginning(tenant))
            begin = position + 1
            for entry in of_tenant:
                position += 1
                of_entry = domain.digest(entry)
                hash_ = domain.link(hash_, position, of_entry)
                links.append((tenant, Link(position, entry.id, of_entry, hash_)))
            seals[tenant] = self._signer.signed(tenant, Seal(begin, position, hash_, now, "", b""))
        return links, seals

    async def _write(
        self, connection: psycopg.AsyncConnection[Any], links: Sequence[tuple[str, Link]], seals: dict[str, Seal]
    ) -> None:
        chain = self._ledger.chain
        await connection.execute(
            _WRITE.format(tenant=store.tenant_type(self._ledger)),
            {
                "tenants": [chain(tenant) for tenant, _ in links],
                "positions": [link.position for _, link in links],
                "entries": [link.entry_id for _, link in links],
                "digests": [link.digest for _, link in links],
                "hashes": [link.hash for _, link in links],
                "chains": [chain(tenant) for tenant in seals],
                "begins": [seal.begin for seal in seals.values()],
                "ends": [seal.position for seal in seals.values()],
                "heads": [seal.hash for seal in seals.values()],
                "times": [seal.create_time for seal in seals.values()],
                "signer": self._signer.name,
                "signatures": [seal.signature for seal in seals.values()],
                "certificate": self._signer.certificate,
            },
            prepare=True,
        )

    async def _remember(
        self,
        connection: psycopg.AsyncConnection[Any],
        before: dict[str, End],
        seals: dict[str, Seal],
        entries: Iterable[Entry],
    ) -> None:
        """Keeps the new ends, but for those of chains that are not what they were."""
        ends = {tenant: Anchor(seal.position, seal.hash) for tenant, seal in seals.items()}
        unsure = [
            tenant
            for tenant in seals
            if (end := before.get(tenant)) is None or self._known.get(tenant) != Anchor(end.position, end.hash)
        ]
        lost = await self._lost(connection, unsure) if unsure else set()
        for tenant in lost:
            log.error("an audit chain is not the one that was sealed here", tenant_id=tenant)
        ends = {tenant: end for tenant, end in ends.items() if tenant not in lost}
        # What arrives brings a chain of its own, and what leaves takes its chain along.
        begun_anew = [entry.resource_id for entry in entries if domain.is_of_whole_chain(entry)]
        await asyncio.to_thread(self._keep, ends, begun_anew)
        if len(self._known) > REMEMBERED:
            self._known.clear()
        self._known.update(ends)
        for tenant in begun_anew:
            self._known.pop(tenant, None)

    def _keep(self, ends: dict[str, Anchor], begun_anew: Sequence[str]) -> None:
        chain = self._ledger.chain
        self._anchors.keep(
            {chain(tenant): end for tenant, end in ends.items()}, [chain(tenant) for tenant in begun_anew]
        )

    async def _lost(self, connection: psycopg.AsyncConnection[Any], tenants: Sequence[str]) -> set[str]:
        """Chains that do not hold what they once ended with."""
        anchors = await asyncio.to_thread(self._anchors.of, [self._ledger.chain(tenant) for tenant in tenants])
        cursor = await connection.execute(
            _AT.format(tenant=store.tenant_type(self._ledger)),
            (list(anchors), [anchor.position for anchor in anchors.values()]),
        )
        there = dict(await cursor.fetchall())
        return {self._ledger.tenant(chain) for chain, anchor in anchors.items() if there.get(chain) != anchor.hash}


def _new(ledger: Ledger) -> LiteralString:
    """Entries that the snapshot does not show and that have no link. Two questions in one statement: an index answers
    each, and neither looks at what is sealed already."""
    columns = f"pg_current_snapshot()::text, e.xid::text::bigint AS xid, {store.columns(ledger)}"
    unlinked = "NOT EXISTS (SELECT FROM audit_links l WHERE l.tenant_id = e.tenant_id AND l.entry_id = e.id)"
    return (
        f"(SELECT {columns} FROM audit_entries e WHERE e.xid >= %(end)s::xid8 AND {unlinked}"
        f" ORDER BY e.xid LIMIT {AT_ONCE + 1})"
        " UNION ALL "
        f"(SELECT {columns} FROM audit_entries e WHERE e.xid = ANY(%(open)s::xid8[]) AND {unlinked})"
    )


def _sealed_end(row: Sequence[Any]) -> tuple[str, int, bytes, Seal | None, bytes]:
    chain, position, hash_, certificate, begin, sealed, *seal = row
    return (
        chain,
        position or 0,
        hash_ or b"",
        None if sealed is None else Seal(begin, sealed, *seal),
        certificate or b"",
    )


_ENDS: LiteralString = """
    SELECT c.chain::text, l.position, l.hash, g.certificate,
        s.begin, s.position, s.hash, s.create_time, s.signer, s.signature
    FROM unnest(%s::{tenant}[]) c (chain)
    LEFT JOIN LATERAL (
        SELECT * FROM audit_links WHERE tenant_id = c.chain ORDER BY position DESC LIMIT 1
    ) l ON true
    LEFT JOIN LATERAL (
        SELECT * FROM audit_seals WHERE tenant_id = c.chain ORDER BY position DESC LIMIT 1
    ) s ON true
    LEFT JOIN audit_signers g ON g.tenant_id = c.chain AND g.signer = s.signer
    WHERE l.position IS NOT NULL OR s.position IS NOT NULL
"""

_AT: LiteralString = """
    SELECT a.chain::text, l.hash FROM unnest(%s::{tenant}[], %s::bigint[]) a (chain, position)
    JOIN audit_links l ON l.tenant_id = a.chain AND l.position = a.position
"""

_WRITE: LiteralString = """
    WITH linked AS (
        INSERT INTO audit_links (tenant_id, position, entry_id, digest, hash)
        SELECT * FROM unnest(%(tenants)s::{tenant}[], %(positions)s::bigint[], %(entries)s::uuid[],
            %(digests)s::bytea[], %(hashes)s::bytea[])
    ), known AS (
        INSERT INTO audit_signers (tenant_id, signer, certificate)
        SELECT chain, %(signer)s, %(certificate)s FROM unnest(%(chains)s::{tenant}[]) chain
        ON CONFLICT DO NOTHING
    )
    INSERT INTO audit_seals (tenant_id, begin, position, hash, create_time, signature, signer)
    SELECT s.*, %(signer)s FROM unnest(%(chains)s::{tenant}[], %(begins)s::bigint[], %(ends)s::bigint[],
        %(heads)s::bytea[], %(times)s::timestamptz[], %(signatures)s::bytea[]) s
"""
