"""AuditService: who changed what, when and why, over gRPC."""

from typing import Any, TypeAlias

import grpc
from sqlalchemy import Row, select

from center.shared.v1 import audit_service_pb2 as pb
from center.shared.v1 import audit_service_pb2_grpc as pb_grpc
from control.tables import audit_entries
from control.tenants.messages import timestamp
from shared.runtime.db import Database
from shared.runtime.errors import NotFound
from shared.runtime.filters import Field, where
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_columns = audit_entries.c
FIELDS = {
    "method": Field(_columns.method),
    "caller": Field(_columns.caller),
    "resource": Field(_columns.resource),
    "resource_id": Field(_columns.resource_id),
    "tenant_id": Field(_columns.tenant_id),
    "reason": Field(_columns.reason),
    "trace_id": Field(_columns.trace_id),
    "revision": Field(_columns.revision, "int"),
    "create_time": Field(_columns.create_time, "timestamp"),
}
# Ids sort by the time of their making.
NEWEST_FIRST = Ordering((Term(_columns.id, descending=True),))


class AuditService(pb_grpc.AuditServiceServicer):
    def __init__(self, db: Database, tokens: PageTokens) -> None:
        self._db = db
        self._tokens = tokens

    async def ListEntries(self, request: pb.ListEntriesRequest, context: Context) -> pb.ListEntriesResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        stmt = select(audit_entries).where(where(request.filter, FIELDS), NEWEST_FIRST.after(cursor))
        async with self._db.transaction() as tx:
            page = (await tx.execute(stmt.order_by(*NEWEST_FIRST.by).limit(size + 1))).all()
        response = pb.ListEntriesResponse(entries=[_entry(row) for row in page[:size]])
        if len(page) > size:
            response.next_page_token = self._tokens.issue(NEWEST_FIRST.cursor(page[size - 1]), request)
        return response

    async def GetEntry(self, request: pb.GetEntryRequest, context: Context) -> pb.GetEntryResponse:
        async with self._db.transaction() as tx:
            row = (await tx.execute(select(audit_entries).where(_columns.id == request.id))).one_or_none()
        if row is None:
            raise NotFound("AUDIT_ENTRY_NOT_FOUND", f"there is no audit entry {request.id}", id=request.id)
        return pb.GetEntryResponse(entry=_entry(row))


def _entry(row: Row[Any]) -> pb.AuditEntry:
    return pb.AuditEntry(
        id=row.id,
        create_time=timestamp(row.create_time),
        method=row.method,
        caller=row.caller,
        resource=row.resource,
        resource_id=row.resource_id,
        tenant_id=row.tenant_id,
        reason=row.reason,
        revision=row.revision,
        trace_id=row.trace_id,
        request_id=row.request_id,
        changes=[pb.FieldChange(field=field, before=before, after=after) for field, before, after in row.changes],
    )
