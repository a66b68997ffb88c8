"""What goes with every change of a tenant's data, in its transaction: who made it, for the audit, and its events.

Both are one statement: a round trip of its own for each would be dearer than the rows.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from google.protobuf.message import Message
from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.context import current
from shared.runtime.errors import Internal, Unavailable
from shared.runtime.ids import NO_TENANT, uuid7
from shared.runtime.proofs import proof


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


def masked(said: str) -> str:
    """What people wrote, without the e-mail addresses and the secrets of this platform that they put into it."""
    # Nearly every text has neither, and two looks cost less than a pattern.
    if "@" in said:
        said = _EMAIL.sub("[e-mail]", said)
    if "cc" in said:
        said = _SECRET.sub("[secret]", said)
    return _OF_SHOPS.sub("[secret]", said) if len(said) > 66 and "_" in said else said


_EMAIL = re.compile(r"[^\s@<>\"'(),;:]+@[^\s@<>\"'(),;:]+")
_SECRET = re.compile(r"\bcc[a-z]_[A-Za-z0-9]+_[A-Za-z0-9_]{8,}")
# An API key, a session or an invitation of a shop's people; a session of its customers.
_OF_SHOPS = re.compile(r"\b(?:(?:ck|st|si)_[A-Za-z0-9_-]{64}|cs_[A-Za-z0-9._-]{64,})")


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(field, before, after) of each field that differs, in the order of `after`."""
    fields = [*after, *(field for field in before if field not in after)]
    return [
        (field, masked(before.get(field, "")), masked(after.get(field, "")))
        for field in fields
        if before.get(field, "") != after.get(field, "")
    ]


@dataclass(slots=True)
class Account:
    """What a transaction owes to the audit: Database.transaction() opens one, and looks at it before the commit.

    key: `audit` of shared.runtime.keys. is_settled: its changes are recorded, or it is said that it makes none.
    """

    key: bytes
    is_settled: bool = False

    @property
    def proving_key(self) -> bytes:
        if not self.key:
            raise Internal("AUDIT_KEY_MISSING", "this database was opened without the key that audit entries need")
        return self.key

    def proof(self, **said: Any) -> bytes:
        return proof(self.proving_key, **said)


def open_account(tx: AsyncConnection, key: bytes) -> None:
    tx.info["account"] = Account(key)


def account(tx: AsyncConnection) -> Account:
    found: Account = tx.info["account"]
    return found


def unchanged(tx: AsyncConnection) -> None:
    """What the transaction writes is no change of anything: a claim of a request id, a lock, a replay, or a step on the
    way to a change whose entry comes with its last."""
    account(tx).is_settled = True


async def settled(tx: AsyncConnection) -> None:
    """Internal AUDIT_MISSING: the transaction of a call that the contract has recorded wrote something, and no entry
    says what. It must not commit."""
    if account(tx).is_settled or not current().is_recorded:
        return
    written = await tx.execute(text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL"))
    if written.scalar_one():
        raise Internal("AUDIT_MISSING", f"{current().method} would change something and record nothing")


async def record(tx: AsyncConnection, tenant_id: str, changes: Sequence[Change], events: Iterable[Event] = ()) -> None:
    """Writes the changes and the events of one transaction; all are of its tenant.

    tenant_id: NO_TENANT for what concerns none. Without changes it says that there are none.
    """
    call, of_tx = current(), account(tx)
    events = list(events)
    of_tx.is_settled = True
    request_id = masked(call.request_id)
    entries = [_entry(change, "" if tenant_id == NO_TENANT else tenant_id, request_id, of_tx) for change in changes]
    with recorded():
        await tx.execute(
            _RECORD,
            {
                "tenant_id": tenant_id,
                "method": call.method,
                "caller": call.caller,
                "trace_id": call.trace_id,
                "request_id": request_id,
                # As one text: every array that is sent costs as much as writing a row.
                "entries": json.dumps(entries),
                "events": [uuid7() for _ in events],
                "types": [event.type for event in events],
                "aggregates": [event.aggregate_id for event in events],
                "versions": [event.aggregate_version for event in events],
                "payloads": [event.message.SerializeToString() for event in events],
                "traceparent": call.traceparent,
            },
        )


def _entry(change: Change, tenant_id: str, request_id: str, of_tx: Account) -> dict[str, Any]:
    """A change as the statement unpacks it."""
    call = current()
    said: dict[str, Any] = {
        "id": uuid7(),
        "resource": change.resource,
        "resource_id": change.resource_id,
        "reason": masked(change.reason),
        "changes": differences(change.before, change.after),
    }
    proven = of_tx.proof(
        **said,
        tenant_id=tenant_id,
        method=call.method,
        caller=call.caller,
        trace_id=call.trace_id,
        request_id=request_id,
    )
    return said | {"proof": proven.hex()}


@contextmanager
def recorded() -> Iterator[None]:
    """Unavailable AUDIT_UNAVAILABLE: the audit takes no entry now, so the change is not made."""
    try:
        yield
    except exc.DBAPIError as error:
        if not isinstance(error.orig, psycopg.Error) or "audit_entries" not in str(error.orig):
            raise
        message = "the change cannot be recorded, and so it was not made; try again later"
        raise Unavailable("AUDIT_UNAVAILABLE", message, retry_after_s=1.0) from error


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
        tenant_id, method, caller, trace_id, request_id, id, resource, resource_id, reason, changes, proof
    )
    SELECT CAST(:tenant_id AS uuid), :method, :caller, :trace_id, :request_id, c.id, c.resource, c.resource_id,
        c.reason, c.changes, decode(c.proof, 'hex')
    FROM jsonb_to_recordset(CAST(:entries AS jsonb)) c (
        id uuid, resource text, resource_id text, reason text, changes jsonb, proof text
    )
    """
)
