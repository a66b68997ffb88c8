"""AuditService: who changed what, when and why, and whether that is still what was written."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
from sqlalchemy import ColumnElement, Row, select, true

from center.shared.v1 import audit_service_pb2 as pb
from center.shared.v1 import audit_service_pb2_grpc as pb_grpc
from center.shared.v1 import tenant_audit_service_pb2 as tenant_pb
from center.shared.v1 import tenant_audit_service_pb2_grpc as tenant_pb_grpc
from shared.audit import messages
from shared.audit.checking import Checker
from shared.audit.domain import Entry
from shared.audit.schema import Ledger
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import NotFound
from shared.runtime.filters import Field, where
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_TEXTS = ("method", "caller", "resource", "resource_id", "reason", "trace_id")


class Entries:
    """Entries as lists show them. db: reads of one tenant's rows, as requests read them."""

    def __init__(self, db: Database, ledger: Ledger, tokens: PageTokens) -> None:
        self._db = db
        self._ledger = ledger
        self._tokens = tokens
        columns = ledger.entries.c
        self._fields = {name: Field(columns[name]) for name in _TEXTS}
        self._fields["create_time"] = Field(columns.create_time, "timestamp")
        # A cluster shows one tenant's rows at a time; the control plane, whose tables are no tenant's, all.
        self.is_of_all = ledger.nobody == ""
        if self.is_of_all:
            self._fields["tenant_id"] = Field(columns.tenant_id)
            self._fields["revision"] = Field(columns.revision, "int")
        # Ids sort by the time of their making.
        self._newest_first = Ordering((Term(columns.id, descending=True),))

    async def page(
        self,
        request: pb.ListEntriesRequest | tenant_pb.ListTenantEntriesRequest,
        chain: str,
        condition: ColumnElement[bool],
    ) -> tuple[list[Entry], str]:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        condition = condition & where(request.filter, self._fields) & self._newest_first.after(cursor)
        found = await self.found(chain, condition, size + 1)
        token = self._tokens.issue([found[size - 1].id], request) if len(found) > size else ""
        return found[:size], token

    async def found(self, chain: str, condition: ColumnElement[bool], at_most: int) -> list[Entry]:
        stmt = select(self._ledger.entries).where(condition).order_by(*self._newest_first.by).limit(at_most)
        async with self._db.transaction(None if self.is_of_all else chain) as tx:
            return [self._entry(row) for row in await tx.execute(stmt)]

    def _entry(self, row: Row[Any]) -> Entry:
        return Entry(
            id=row.id,
            tenant_id=self._ledger.tenant(row.tenant_id),
            create_time=row.create_time,
            method=row.method,
            caller=row.caller,
            resource=row.resource,
            resource_id=row.resource_id,
            reason=row.reason,
            revision=row.revision if self.is_of_all else 0,
            trace_id=row.trace_id,
            request_id=row.request_id,
            changes=tuple(row.changes),
            proof=row.proof,
        )


class TenantAuditService(tenant_pb_grpc.TenantAuditServiceServicer):
    """A tenant's own entries, for its people."""

    def __init__(self, entries: Entries, ledger: Ledger) -> None:
        self._entries = entries
        self._ledger = ledger

    async def ListTenantEntries(
        self, request: tenant_pb.ListTenantEntriesRequest, context: Context
    ) -> tenant_pb.ListTenantEntriesResponse:
        tenant_id = current().tenant_id
        found, token = await self._entries.page(request, tenant_id, self._ledger.entries.c.tenant_id == tenant_id)
        return tenant_pb.ListTenantEntriesResponse(entries=map(messages.entry, found), next_page_token=token)


class AuditService(pb_grpc.AuditServiceServicer):
    def __init__(self, entries: Entries, ledger: Ledger, checker: Checker) -> None:
        self._entries = entries
        self._ledger = ledger
        self._checker = checker

    async def ListEntries(self, request: pb.ListEntriesRequest, context: Context) -> pb.ListEntriesResponse:
        mine = self._ledger.entries.c.tenant_id == self._ledger.chain(request.tenant_id)
        condition = mine if request.tenant_id or not self._entries.is_of_all else true()
        found, token = await self._entries.page(request, self._ledger.chain(request.tenant_id), condition)
        return pb.ListEntriesResponse(entries=map(messages.entry, found), next_page_token=token)

    async def GetEntry(self, request: pb.GetEntryRequest, context: Context) -> pb.GetEntryResponse:
        chain = self._ledger.chain(request.tenant_id)
        columns = self._ledger.entries.c
        condition = columns.id == request.id
        if not self._entries.is_of_all or request.tenant_id:
            condition &= columns.tenant_id == chain
        found = await self._entries.found(chain, condition, 1)
        if not found:
            raise NotFound("AUDIT_ENTRY_NOT_FOUND", f"there is no audit entry {request.id}", id=request.id)
        return pb.GetEntryResponse(entry=messages.entry(found[0]))

    async def VerifyChain(
        self, request: pb.VerifyChainRequest, context: Context
    ) -> AsyncIterator[pb.VerifyChainResponse]:
        known = messages.anchor(request.known) if request.HasField("known") else None
        if not request.all_chains:
            async with aclosing(
                self._checker.check(
                    request.tenant_id, begin=request.from_position, until=request.to_position, known=known
                )
            ) as looking:
                async for progress in looking:
                    yield messages.progress(progress)
            return
        async with aclosing(self._checker.tenants()) as tenants:
            async for tenant_id in tenants:
                async for progress in self._checker.check(tenant_id):
                    yield messages.progress(progress)

    async def Export(self, request: pb.ExportRequest, context: Context) -> AsyncIterator[pb.ExportResponse]:
        after = max(request.from_position - 1, 0)
        hash_, signers = await self._checker.before(request.tenant_id, after)
        chain = pb.AuditChain(tenant_id=request.tenant_id, after_position=after, after_hash=hash_ or b"")
        yield pb.ExportResponse(chain=chain)
        for name, certificate in signers.items():
            yield pb.ExportResponse(signer=pb.AuditSigner(signer=name, certificate=certificate))
        async with aclosing(self._checker.links(request.tenant_id, after)) as parts:
            async for links, seals in parts:
                waiting = list(seals)
                for link, entry in links:
                    yield pb.ExportResponse(link=messages.link(link, entry))
                    while waiting and waiting[0].position <= link.position:
                        yield pb.ExportResponse(seal=messages.seal(waiting.pop(0)))
                for seal in waiting:
                    yield pb.ExportResponse(seal=messages.seal(seal))
