"""Chains in PostgreSQL, as the sealer's role reads them: every chain, and nothing to write."""

from collections.abc import Sequence
from typing import Any, LiteralString

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.audit.domain import Entry, Link, Seal
from shared.audit.schema import Ledger

# What of an entry its link is of, in the order of Entry's fields.
_FACTS: LiteralString = (
    "e.id::text, e.tenant_id::text, e.create_time, e.method, e.caller, e.resource, e.resource_id, e.reason, {revision},"
    " e.trace_id, e.request_id, e.changes, e.proof"
)


def columns(ledger: Ledger) -> LiteralString:
    """An entry's, of the table `e`, as entry() takes them."""
    return _FACTS.format(revision="e.revision" if "revision" in ledger.entries.c else "0")


def entry(ledger: Ledger, row: Sequence[Any]) -> Entry:
    id_, chain, *facts, changes, proof = row
    differing = tuple((str(field), str(before), str(after)) for field, before, after in changes)
    return Entry(*(id_, ledger.tenant(chain), *facts, differing, proof))


def tenant_type(ledger: Ledger) -> LiteralString:
    """The type of tenant_id."""
    return "text" if ledger.nobody == "" else "uuid"


async def links(
    tx: AsyncConnection, ledger: Ledger, chain: str, after: int, at_most: int
) -> list[tuple[Link, Entry | None]]:
    """The next links of a chain, with their entries as far as those are there."""
    # Where ids are unique by themselves, an entry that was given to another tenant is found as changed.
    same = "" if ledger.nobody == "" else "e.tenant_id = l.tenant_id AND "
    found = await tx.execute(
        text(
            f"""
            SELECT l.position, l.entry_id::text, l.digest, l.hash, {columns(ledger)}
            FROM audit_links l LEFT JOIN audit_entries e ON {same}e.id = l.entry_id
            WHERE l.tenant_id = CAST(:chain AS {tenant_type(ledger)}) AND l.position > :after
            ORDER BY l.position LIMIT :at_most
            """
        ),
        {"chain": chain, "after": after, "at_most": at_most},
    )
    return [
        (Link(position, entry_id, digest, hash_), None if of_entry[0] is None else entry(ledger, of_entry))
        for position, entry_id, digest, hash_, *of_entry in found
    ]


async def seals(
    tx: AsyncConnection, ledger: Ledger, chain: str, after: int, until: int | None, at_most: int
) -> list[Seal]:
    """until: the last place that is asked for; all there are without one."""
    found = await tx.execute(
        text(
            f"""
            SELECT begin, position, hash, create_time, signer, signature FROM audit_seals
            WHERE tenant_id = CAST(:chain AS {tenant_type(ledger)}) AND position > :after
                AND position <= coalesce(:until, 9223372036854775807)
            ORDER BY position LIMIT :at_most
            """
        ),
        {"chain": chain, "after": after, "until": until, "at_most": at_most},
    )
    return [Seal(*row) for row in found]


async def signers(tx: AsyncConnection, ledger: Ledger, chain: str) -> dict[str, bytes]:
    """Certificates by the names that seals have for them."""
    query = f"SELECT signer, certificate FROM audit_signers WHERE tenant_id = CAST(:chain AS {tenant_type(ledger)})"
    return {row.signer: row.certificate for row in await tx.execute(text(query), {"chain": chain})}


async def hash_at(tx: AsyncConnection, ledger: Ledger, chain: str, position: int) -> bytes | None:
    query = (
        f"SELECT hash FROM audit_links WHERE tenant_id = CAST(:chain AS {tenant_type(ledger)}) AND position = :position"
    )
    found: bytes | None = (await tx.execute(text(query), {"chain": chain, "position": position})).scalar_one_or_none()
    return found


async def unlinked(tx: AsyncConnection, ledger: Ledger, chain: str, at_most: int) -> list[tuple[Entry, bool]]:
    """Entries without a link, each with whether the sealer has looked at where it is."""
    found = await tx.execute(
        text(
            f"""
            SELECT pg_visible_in_snapshot(e.xid, p.position::pg_snapshot), {columns(ledger)}
            FROM audit_entries e CROSS JOIN audit_position p
            WHERE e.tenant_id = CAST(:chain AS {tenant_type(ledger)})
                AND NOT EXISTS (SELECT FROM audit_links l WHERE l.tenant_id = e.tenant_id AND l.entry_id = e.id)
            LIMIT :at_most
            """
        ),
        {"chain": chain, "at_most": at_most},
    )
    return [(entry(ledger, row), is_behind) for is_behind, *row in found]


async def next_chain(tx: AsyncConnection, ledger: Ledger, after: str | None) -> str | None:
    """The next chain of which there is any row."""
    kind = tenant_type(ledger)
    first = [
        f"(SELECT tenant_id FROM {table} WHERE CAST(:after AS {kind}) IS NULL OR tenant_id > CAST(:after AS {kind})"
        " ORDER BY tenant_id LIMIT 1)"
        for table in ("audit_entries", "audit_links", "audit_seals")
    ]
    query = f"SELECT tenant_id::text FROM ({' UNION ALL '.join(first)}) f ORDER BY tenant_id LIMIT 1"
    found: str | None = (await tx.execute(text(query), {"after": after})).scalar_one_or_none()
    return found
