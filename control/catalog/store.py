"""The one way to change the catalog: revision, change log, audit and events, in the transaction of the change."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from sqlalchemy import Row, TextClause, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import catalog_service_pb2 as pb
from center.control.v1.solution_service_pb2 import Solution
from control.tables import catalog_changes, catalog_entries, catalog_revision
from shared.runtime import journal
from shared.runtime.context import CallContext, current
from shared.runtime.events import types
from shared.runtime.events.relay import Outbox
from shared.runtime.events.subjects import NO_TENANT, Subject
from shared.runtime.ids import uuid7

CHANNEL = "center_catalog"

OUTBOX = Outbox(
    "control",
    "/center/control",
    "id::text, create_time, subject, aggregate, sequence, payload,"
    # Of the call that made the change only the trace is kept: it stands for its own span.
    " CASE WHEN trace_id = '' THEN '' ELSE '00-' || trace_id || '-' || left(trace_id, 16) || '-01' END",
)

TENANT, CLUSTER, SOLUTION = "tenant", "cluster", "solution"
# What is only logged: it has its place in the order of revisions, and control processes hear of it; nobody is sent it.
ACCESS, FEATURES = "access", "features"

# In the order in which a watcher needs them: a tenant's route needs its cluster.
KEPT = (CLUSTER, SOLUTION, TENANT)


@dataclass(frozen=True, slots=True)
class Change:
    """One change to one resource, for the audit; with `entry` for the catalog's watchers, too.

    resource: what changed, such as tenant, domain or token; `event` says what happened to it, as one word.
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


async def record(tx: AsyncConnection, changes: Sequence[Change]) -> list[int]:
    """Gives each change its revision and writes everything that goes with it; 0 for a change without an entry.

    Call it last in a transaction: from here to the commit nobody else can change the catalog. That is what makes
    revisions appear in their own order: whoever sees r has seen everything up to r.
    """
    moving = [change for change in changes if change.entry is not None]
    last = await _take(tx, len(moving)) if moving else 0
    following = iter(range(last - len(moving) + 1, last + 1))
    revisions = [next(following) if change.entry is not None else 0 for change in changes]
    call, account = current(), journal.account(tx)
    account.is_settled = True
    block = [
        _row(change, change.entry, revision)
        for change, revision in zip(changes, revisions, strict=True)
        if change.entry is not None
    ]
    audit = [_entry(change, revision, call, account) for change, revision in zip(changes, revisions, strict=True)]
    with journal.recorded():
        await tx.execute(
            _writing(frozenset(each["kind"] for each in block)),
            {
                "block_end": last,
                "block": json.dumps(block),
                "audit": json.dumps(audit),
                "method": call.method,
                "caller": call.caller,
                "trace_id": call.trace_id,
                "request_id": journal.masked(call.request_id),
                "channel": CHANNEL if block else "center_audit",
            },
        )
    return revisions


def _entry(change: Change, revision: int, call: CallContext, account: journal.Account) -> dict[str, Any]:
    """The audit's entry of a change, as the statement unpacks it."""
    said: dict[str, Any] = {
        "id": uuid7(),
        "resource": change.resource,
        "resource_id": change.resource_id,
        "tenant_id": change.tenant_id,
        "reason": journal.masked(change.reason),
        "revision": revision,
        "changes": journal.differences(change.before, change.after),
    }
    proof = account.proof(
        **said,
        method=call.method,
        caller=call.caller,
        trace_id=call.trace_id,
        request_id=journal.masked(call.request_id),
    )
    return said | {"proof": base64.b64encode(proof).decode()}


async def _take(tx: AsyncConnection, count: int) -> int:
    """The last of the next `count` revisions; waits for whoever has taken the one before to commit or roll back."""
    stmt = update(catalog_revision).values(revision=catalog_revision.c.revision + count)
    return int((await tx.execute(stmt.returning(catalog_revision.c.revision))).scalar_one())


def _row(change: Change, entry: pb.CatalogEntry, revision: int) -> dict[str, Any]:
    """A change with its revision, as the statement unpacks it."""
    entry.revision = revision
    subject = Subject("control", change.tenant_id or NO_TENANT, change.resource, change.event, 1)
    # Nobody could read what no contract declares; this fails in the tests of whoever adds it.
    types.of(subject)
    kind, resource_id, kept = _key(entry)
    if kept:
        getattr(entry, kind).revision = revision
    return {
        "revision": revision,
        "kind": kind,
        "resource_id": resource_id,
        "kept": kept,
        "cluster_ids": sorted(change.cluster_ids - {""}),
        "entry": base64.b64encode(entry.SerializeToString()).decode(),
        "event_id": uuid7(),
        "subject": str(subject),
    }


def _key(entry: pb.CatalogEntry) -> tuple[str, str, bool]:
    """(kind, resource id, whether the entry is kept from now on)."""
    match entry.WhichOneof("entry"):
        case "tenant":
            return TENANT, entry.tenant.id, True
        case "cluster":
            return CLUSTER, entry.cluster.id, True
        case "solution":
            return SOLUTION, entry.solution.id, True
        case "removed_tenant_id":
            return TENANT, entry.removed_tenant_id, False
        case "removed_cluster_id":
            return CLUSTER, entry.removed_cluster_id, False
        case "removed_solution_id":
            return SOLUTION, entry.removed_solution_id, False
        case "access":
            return ACCESS, entry.access.token_kid or entry.access.entitlement_id, False
        case "features":
            what = entry.features
            return FEATURES, what.feature_id or what.plan_id or what.add_on_id or what.tenant_id, False
    raise ValueError("an entry of the catalog that says nothing")


# What the resource's own row says of its last change. The ids of entitlements are UUIDs, those of tokens and keys are
# shorter.
_STAMPS: Mapping[str, Sequence[str]] = {
    TENANT: [
        """UPDATE tenants t SET revision = n.revision FROM newest n
        WHERE n.kind = 'tenant' AND t.id = CAST(n.resource_id AS uuid)"""
    ],
    CLUSTER: [
        "UPDATE clusters c SET revision = n.revision FROM newest n WHERE n.kind = 'cluster' AND c.id = n.resource_id"
    ],
    SOLUTION: [
        "UPDATE solutions s SET revision = n.revision FROM newest n WHERE n.kind = 'solution' AND s.id = n.resource_id"
    ],
    ACCESS: [
        "UPDATE tokens t SET revision = n.revision FROM newest n WHERE n.kind = 'access' AND t.kid = n.resource_id",
        """UPDATE entitlements e SET revision = n.revision FROM newest n
        WHERE n.kind = 'access'
            AND e.id = CAST(CASE WHEN length(n.resource_id) = 36 THEN n.resource_id END AS uuid)""",
    ],
    FEATURES: [],
}


@cache
def _writing(kinds: frozenset[str]) -> TextClause:
    """One statement for changes of these kinds, so that the revision's lock is held for one round trip and the commit.
    When one block has several changes of a resource, the last counts."""
    stamps = [stamp for kind in sorted(kinds) for stamp in _STAMPS[kind]]
    stamped = "".join(f", stamped_{number} AS ({stamp})" for number, stamp in enumerate(stamps))
    return text(f"""
    WITH block AS (
        SELECT revision, kind, resource_id, kept, cluster_ids, decode(entry, 'base64') AS entry, event_id, subject
        FROM jsonb_to_recordset(CAST(:block AS jsonb)) AS b (revision bigint, kind text, resource_id text,
            kept boolean, cluster_ids text[], entry text, event_id uuid, subject text)
    ), newest AS (
        SELECT DISTINCT ON (kind, resource_id) * FROM block ORDER BY kind, resource_id, revision DESC
    ), logged AS (
        INSERT INTO catalog_changes (revision, block_end, kind, resource_id, cluster_ids, entry)
        SELECT revision, :block_end, kind, resource_id, cluster_ids, entry FROM block
    ), kept AS (
        INSERT INTO catalog_entries AS e (kind, resource_id, revision, entry)
        SELECT kind, resource_id, revision, entry FROM newest WHERE kept
        ON CONFLICT (kind, resource_id) DO UPDATE SET revision = excluded.revision, entry = excluded.entry
    ), gone AS (
        DELETE FROM catalog_entries e USING newest n
        WHERE NOT n.kept AND e.kind = n.kind AND e.resource_id = n.resource_id
    ), sent AS (
        INSERT INTO outbox (create_time, id, subject, trace_id, payload, aggregate, sequence)
        SELECT now(), event_id, subject, :trace_id, entry, kind || '/' || resource_id, revision FROM block
    ), audited AS (
        INSERT INTO audit_entries (id, create_time, method, caller, resource, resource_id, tenant_id, reason, revision,
            trace_id, request_id, changes, proof)
        SELECT id, now(), :method, :caller, resource, resource_id, tenant_id, reason, revision,
            :trace_id, :request_id, changes, decode(proof, 'base64')
        FROM jsonb_to_recordset(CAST(:audit AS jsonb)) AS a (id uuid, resource text, resource_id text,
            tenant_id text, reason text, revision bigint, changes jsonb, proof text)
    ){stamped}
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


async def changes_directly(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], revision: int, at_most: int
) -> list[Logged]:
    """The same in one statement on the driver's own connection; of `at_most` the last may be half a transaction."""
    cursor = await connection.execute(
        "SELECT revision, block_end, kind, resource_id, cluster_ids, entry FROM catalog_changes"
        " WHERE revision > %s ORDER BY revision LIMIT %s",
        (revision, at_most),
        prepare=True,
    )
    return [
        Logged(at, end, kind, resource_id, tuple(cluster_ids), entry)
        for at, end, kind, resource_id, cluster_ids, entry in await cursor.fetchall()
    ]


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
    """(revision, kind, resource id, clusters) of the changes since, of whatever kind, without what they say."""
    columns = catalog_changes.c
    stmt = (
        select(columns.revision, columns.kind, columns.resource_id, columns.cluster_ids)
        .where(columns.revision > revision)
        .order_by(columns.revision)
    )
    rows = (await tx.execute(stmt)).all()
    return [(row.revision, row.kind, row.resource_id, tuple(row.cluster_ids)) for row in rows]


async def solution_at(tx: AsyncConnection, solution_id: str, revision: int) -> tuple[Solution | None, bool]:
    """The solution as it was at a revision, and whether that is still known; else as it is now, or None."""
    columns = catalog_entries.c
    now = select(columns.revision, columns.entry).where(columns.kind == SOLUTION, columns.resource_id == solution_id)
    current = (await tx.execute(now)).one_or_none()
    if current is not None and current.revision <= revision:
        return pb.CatalogEntry.FromString(current.entry).solution, True
    logged = catalog_changes.c
    then = (
        select(logged.entry)
        .where(logged.kind == SOLUTION, logged.resource_id == solution_id, logged.revision <= revision)
        .order_by(logged.revision.desc())
        .limit(1)
    )
    if (row := (await tx.execute(then)).one_or_none()) is not None:
        entry = pb.CatalogEntry.FromString(row.entry)
        return (entry.solution if entry.HasField("solution") else None), True
    return (pb.CatalogEntry.FromString(current.entry).solution if current is not None else None), False


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
