"""The one way to change the catalog: revision, change log, audit and events, in the transaction of the change."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import catalog_service_pb2 as pb
from control.tables import catalog_changes, catalog_entries, catalog_revision
from shared.runtime.context import current
from shared.runtime.ids import uuid7

CHANNEL = "center_catalog"

TENANT, CLUSTER = "tenant", "cluster"


@dataclass(frozen=True, slots=True)
class Change:
    """One change to one resource, for the audit; with `entry` for the catalog's watchers, too.

    resource: tenant, domain, cluster, region, shard or operation; `event` says what happened to it, as one word.
    before, after: flat facts in the contract's names; what differs is kept.
    entry: what the catalog says from now on, without its revision; None when the change is none of the catalog's.
    cluster_ids: every cluster that the change concerns.
    """

    resource: str
    resource_id: str
    event: str
    reason: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    tenant_id: str = ""
    entry: pb.CatalogEntry | None = None
    cluster_ids: frozenset[str] = frozenset()


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(field, before, after) of each field that differs, in the order of `after`."""
    fields = [*after, *(field for field in before if field not in after)]
    return [
        (field, before.get(field, ""), after.get(field, ""))
        for field in fields
        if before.get(field, "") != after.get(field, "")
    ]


async def record(tx: AsyncConnection, changes: Sequence[Change]) -> list[int]:
    """Gives each change its revision and writes everything that goes with it; 0 for a change without an entry.

    Call it last in a transaction: from here to the commit nobody else can change the catalog. That is what makes
    revisions appear in their own order: whoever sees r has seen everything up to r.
    """
    moving = [change for change in changes if change.entry is not None]
    last = await _take(tx, len(moving)) if moving else 0
    following = iter(range(last - len(moving) + 1, last + 1))
    revisions = [next(following) if change.entry is not None else 0 for change in changes]
    call = current()
    block = [
        (revision, *_columns(change.entry, revision), change)
        for change, revision in zip(changes, revisions, strict=True)
        if change.entry is not None
    ]
    await tx.execute(
        _WRITE,
        {
            "block_end": last,
            "revisions": [revision for revision, *_ in block],
            "kinds": [kind for _, kind, *_ in block],
            "resource_ids": [resource_id for _, _, resource_id, *_ in block],
            "removed": [removed for _, _, _, removed, *_ in block],
            "entries": [entry for _, _, _, _, entry, _ in block],
            "cluster_ids": [",".join(sorted(change.cluster_ids - {""})) for *_, change in block],
            "event_ids": [uuid7() for _ in block],
            "subjects": [_subject(change) for *_, change in block],
            "audit_ids": [uuid7() for _ in changes],
            "audit_resources": [change.resource for change in changes],
            "audit_resource_ids": [change.resource_id for change in changes],
            "audit_tenant_ids": [change.tenant_id for change in changes],
            "audit_reasons": [change.reason for change in changes],
            "audit_revisions": revisions,
            "audit_changes": [json.dumps(differences(change.before, change.after)) for change in changes],
            "method": call.method,
            "caller": call.caller,
            "trace_id": call.trace_id,
            "request_id": call.request_id,
            "channel": CHANNEL if block else "center_audit",
        },
    )
    return revisions


async def _take(tx: AsyncConnection, count: int) -> int:
    """The last of the next `count` revisions; waits for whoever has taken the one before to commit or roll back."""
    stmt = update(catalog_revision).values(revision=catalog_revision.c.revision + count)
    return int((await tx.execute(stmt.returning(catalog_revision.c.revision))).scalar_one())


def _columns(entry: pb.CatalogEntry | None, revision: int) -> tuple[str, str, bool, bytes]:
    """(kind, resource id, whether it is gone, bytes) of an entry at its revision."""
    assert entry is not None
    entry.revision = revision
    which = entry.WhichOneof("entry")
    if which == "tenant":
        entry.tenant.revision = revision
        return TENANT, entry.tenant.id, False, entry.SerializeToString()
    if which == "cluster":
        entry.cluster.revision = revision
        return CLUSTER, entry.cluster.id, False, entry.SerializeToString()
    if which == "removed_tenant_id":
        return TENANT, entry.removed_tenant_id, True, entry.SerializeToString()
    return CLUSTER, entry.removed_cluster_id, True, entry.SerializeToString()


def _subject(change: Change) -> str:
    return f"ev.control.{change.tenant_id or '-'}.{change.resource}.{change.event}.v1"


# One statement, so that the revision's lock is held for one round trip and the commit. When one block has several
# changes of a resource, the last counts.
_WRITE = text("""
    WITH block AS (
        SELECT * FROM unnest(
            CAST(:revisions AS bigint[]), CAST(:kinds AS text[]), CAST(:resource_ids AS text[]),
            CAST(:removed AS boolean[]), CAST(:cluster_ids AS text[]), CAST(:entries AS bytea[]),
            CAST(:event_ids AS uuid[]), CAST(:subjects AS text[])
        ) AS b (revision, kind, resource_id, removed, cluster_ids, entry, event_id, subject)
    ), newest AS (
        SELECT DISTINCT ON (kind, resource_id) * FROM block ORDER BY kind, resource_id, revision DESC
    ), logged AS (
        INSERT INTO catalog_changes (revision, block_end, kind, resource_id, cluster_ids, entry)
        SELECT revision, :block_end, kind, resource_id, string_to_array(cluster_ids, ','), entry FROM block
    ), kept AS (
        INSERT INTO catalog_entries AS e (kind, resource_id, revision, entry)
        SELECT kind, resource_id, revision, entry FROM newest WHERE NOT removed
        ON CONFLICT (kind, resource_id) DO UPDATE SET revision = excluded.revision, entry = excluded.entry
    ), gone AS (
        DELETE FROM catalog_entries e USING newest n
        WHERE n.removed AND e.kind = n.kind AND e.resource_id = n.resource_id
    ), tenants_stamped AS (
        UPDATE tenants t SET revision = n.revision FROM newest n
        WHERE n.kind = 'tenant' AND t.id = CAST(n.resource_id AS uuid)
    ), clusters_stamped AS (
        UPDATE clusters c SET revision = n.revision FROM newest n WHERE n.kind = 'cluster' AND c.id = n.resource_id
    ), sent AS (
        INSERT INTO outbox (create_time, id, subject, trace_id, payload)
        SELECT now(), event_id, subject, :trace_id, entry FROM block
    ), audited AS (
        INSERT INTO audit_entries (id, create_time, method, caller, resource, resource_id, tenant_id, reason, revision,
            trace_id, request_id, changes)
        SELECT id, now(), :method, :caller, resource, resource_id, tenant_id, reason, revision,
            :trace_id, :request_id, CAST(changes AS jsonb)
        FROM unnest(
            CAST(:audit_ids AS uuid[]), CAST(:audit_resources AS text[]), CAST(:audit_resource_ids AS text[]),
            CAST(:audit_tenant_ids AS text[]), CAST(:audit_reasons AS text[]), CAST(:audit_revisions AS bigint[]),
            CAST(:audit_changes AS text[])
        ) AS a (id, resource, resource_id, tenant_id, reason, revision, changes)
    )
    SELECT pg_notify(:channel, CAST(:block_end AS text))
""")


@dataclass(frozen=True, slots=True)
class Logged:
    """One row of the change log."""

    revision: int
    block_end: int
    kind: str
    resource_id: str
    cluster_ids: tuple[str, ...]
    entry: bytes


async def newest(tx: AsyncConnection) -> int:
    return int((await tx.execute(select(catalog_revision.c.revision))).scalar_one())


async def changes_after(tx: AsyncConnection, revision: int, at_most: int) -> list[Logged]:
    """The next changes in order, whole transactions only; a few more than `at_most` rather than part of one."""
    columns = catalog_changes.c
    stmt = select(catalog_changes).where(columns.revision > revision).order_by(columns.revision)
    rows = [_logged(row) for row in (await tx.execute(stmt.limit(at_most))).all()]
    if len(rows) == at_most and rows[-1].revision != rows[-1].block_end:
        rest = stmt.where(columns.revision > rows[-1].revision, columns.revision <= rows[-1].block_end)
        rows += [_logged(row) for row in (await tx.execute(rest)).all()]
    return rows


def _logged(row: Row[Any]) -> Logged:
    return Logged(row.revision, row.block_end, row.kind, row.resource_id, tuple(row.cluster_ids), bytes(row.entry))


async def entries_after(
    tx: AsyncConnection, kind: str, resource_id: str, at_most: int
) -> Iterable[tuple[str, int, bytes]]:
    """(resource id, revision, entry) of the next things of a kind, by id."""
    columns = catalog_entries.c
    stmt = (
        select(columns.resource_id, columns.revision, columns.entry)
        .where(columns.kind == kind, columns.resource_id > resource_id)
        .order_by(columns.resource_id)
        .limit(at_most)
    )
    return [(row.resource_id, row.revision, bytes(row.entry)) for row in (await tx.execute(stmt)).all()]


async def log_after(tx: AsyncConnection, revision: int) -> list[tuple[int, str, str, tuple[str, ...]]]:
    """(revision, kind, resource id, clusters) of the changes since, without what they say."""
    columns = catalog_changes.c
    stmt = (
        select(columns.revision, columns.kind, columns.resource_id, columns.cluster_ids)
        .where(columns.revision > revision)
        .order_by(columns.revision)
    )
    rows = (await tx.execute(stmt)).all()
    return [(row.revision, row.kind, row.resource_id, tuple(row.cluster_ids)) for row in rows]


async def compact(tx: AsyncConnection, retained: int, at_most: int = 20_000) -> int:
    """Forgets changes older than the newest `retained`, at most so many at once; the steward's to do."""
    stmt = text("""
        DELETE FROM catalog_changes WHERE revision IN (
            SELECT revision FROM catalog_changes
            WHERE revision <= (SELECT revision FROM catalog_revision) - :retained
            ORDER BY revision LIMIT :at_most
        )
    """)
    return (await tx.execute(stmt, {"retained": retained, "at_most": at_most})).rowcount
