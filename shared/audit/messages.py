"""Entries and chains on the wire and in the domain."""

from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from center.shared.v1 import audit_service_pb2 as pb
from shared.audit.domain import Anchor, Entry, Finding, Link, Progress, Seal


def entry(found: Entry) -> pb.AuditEntry:
    return pb.AuditEntry(
        id=found.id,
        create_time=_timestamp(found.create_time),
        method=found.method,
        caller=found.caller,
        resource=found.resource,
        resource_id=found.resource_id,
        tenant_id=found.tenant_id,
        reason=found.reason,
        revision=found.revision,
        trace_id=found.trace_id,
        request_id=found.request_id,
        changes=[pb.FieldChange(field=field, before=before, after=after) for field, before, after in found.changes],
    )


def progress(found: Progress) -> pb.VerifyChainResponse:
    return pb.VerifyChainResponse(
        tenant_id=found.tenant_id,
        links=found.links,
        findings=[finding(each) for each in found.findings],
        complete=found.is_complete,
        end=None if found.end is None else pb.AuditAnchor(position=found.end.position, hash=found.end.hash),
        seal_time=None if found.seal_time is None else _timestamp(found.seal_time),
        unsealed=found.unsealed,
    )


def finding(found: Finding) -> pb.AuditFinding:
    return pb.AuditFinding(
        kind=f"AUDIT_FINDING_KIND_{found.kind}", position=found.position, until=found.until, entry_id=found.entry_id
    )


def anchor(message: pb.AuditAnchor) -> Anchor:
    return Anchor(message.position, message.hash)


def link(found: Link, of_entry: Entry | None) -> pb.AuditLink:
    return pb.AuditLink(
        position=found.position,
        digest=found.digest,
        hash=found.hash,
        entry_id=found.entry_id,
        entry=None if of_entry is None else entry(of_entry),
        proof=None if of_entry is None else of_entry.proof,
    )


def seal(found: Seal) -> pb.AuditSeal:
    return pb.AuditSeal(
        begin=found.begin,
        position=found.position,
        hash=found.hash,
        create_time=_timestamp(found.create_time),
        signer=found.signer,
        signature=found.signature,
    )


def link_from(message: pb.AuditLink) -> tuple[Link, Entry | None]:
    found = Link(message.position, message.entry_id, message.digest, message.hash)
    if not message.HasField("entry"):
        return found, None
    said = message.entry
    return found, Entry(
        id=said.id,
        tenant_id=said.tenant_id,
        create_time=_datetime(said.create_time),
        method=said.method,
        caller=said.caller,
        resource=said.resource,
        resource_id=said.resource_id,
        reason=said.reason,
        revision=said.revision,
        trace_id=said.trace_id,
        request_id=said.request_id,
        changes=_changes(said.changes),
        proof=message.proof if message.HasField("proof") else None,
    )


def seal_from(message: pb.AuditSeal) -> Seal:
    return Seal(
        message.begin,
        message.position,
        message.hash,
        _datetime(message.create_time),
        message.signer,
        message.signature,
    )


def _changes(said: Iterable[pb.FieldChange]) -> tuple[tuple[str, str, str], ...]:
    return tuple((each.field, each.before, each.after) for each in said)


def _timestamp(moment: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def _datetime(moment: Timestamp) -> datetime:
    return moment.ToDatetime(UTC)
