"""What goes with every change of a tenant's data, in its transaction: who made it, for the audit, and its events.

Both are one statement: a round trip of its own for each would be dearer than the rows.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.message import Message
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.context import current
from shared.runtime.ids import uuid7


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one thing of the tenant.

    resource: what changed, such as product or payment.
    before, after: flat facts in the contract's names, without a secret or an e-mail; what differs is kept.
    reason: why, in the caller's words.
    """

    resource: str
    resource_id: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """type: aggregate, what happened to it, and the major version, such as product.created.v1.

    aggregate_version: the event's place among those of its aggregate.
    """

    type: str
    aggregate_id: str
    aggregate_version: int
    message: Message


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(field, before, after) of each field that differs, in the order of `after`."""
    fields = [*after, *(field for field in before if field not in after)]
    return [
        (field, before.get(field, ""), after.get(field, ""))
        for field in fields
        if before.get(field, "") != after.get(field, "")
    ]


async def record(tx: AsyncConnection, tenant_id: str, changes: Sequence[Change], events: Iterable[Event] = ()) -> None:
    """Writes the changes and the events of one transaction; all are of its tenant."""
    call = current()
    events = list(events)
    await tx.execute(
        _RECORD,
        {
            "tenant_id": tenant_id,
            "method": call.method,
            "caller": call.caller,
            "trace_id": call.trace_id,
            "request_id": call.request_id,
            "entries": [uuid7() for _ in changes],
            "resources": [change.resource for change in changes],
            "resource_ids": [change.resource_id for change in changes],
            "reasons": [change.reason for change in changes],
            "differences": [json.dumps(differences(change.before, change.after)) for change in changes],
            "events": [uuid7() for _ in events],
            "types": [event.type for event in events],
            "aggregates": [event.aggregate_id for event in events],
            "versions": [event.aggregate_version for event in events],
            "payloads": [event.message.SerializeToString() for event in events],
            "traceparent": call.traceparent,
        },
    )


_RECORD = text(
    """
    WITH told AS (
        INSERT INTO outbox (tenant_id, id, type, aggregate_id, aggregate_version, payload, traceparent)
        SELECT CAST(:tenant_id AS uuid), e.*, :traceparent
        FROM unnest(
            CAST(:events AS uuid[]), CAST(:types AS text[]), CAST(:aggregates AS uuid[]), CAST(:versions AS bigint[]),
            CAST(:payloads AS bytea[])
        ) e
    )
    INSERT INTO audit_entries (
        tenant_id, method, caller, trace_id, request_id, id, resource, resource_id, reason, changes
    )
    SELECT CAST(:tenant_id AS uuid), :method, :caller, :trace_id, :request_id, c.id, c.resource, c.resource_id,
        c.reason, CAST(c.differences AS jsonb)
    FROM unnest(
        CAST(:entries AS uuid[]), CAST(:resources AS text[]), CAST(:resource_ids AS text[]), CAST(:reasons AS text[]),
        CAST(:differences AS text[])
    ) c (id, resource, resource_id, reason, differences)
    """
)
