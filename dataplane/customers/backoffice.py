"""CustomerService: the customers of one tenant's shop, for the shop's own people."""

from datetime import UTC, datetime
from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import customer_service_pb2 as pb
from center.dataplane.v1 import customer_service_pb2_grpc as pb_grpc
from dataplane.customers import domain, messages, store
from dataplane.customers.domain import Customer, State
from dataplane.customers.ops import Customers
from dataplane.customers.tables import customers
from shared.runtime import filters, journal
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import Aborted
from shared.runtime.filters import Field
from shared.runtime.idempotency import mutation
from shared.runtime.ids import uuid7
from shared.runtime.paging import PageTokens, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_STATES: dict[str, object] = {name: each.value for each in State for name in (each.value, f"CUSTOMER_STATE_{each}")}
_FIELDS = {
    "id": Field(customers.c.id, "uuid"),
    "state": Field(customers.c.state, "enum", _STATES),
    "external_id": Field(customers.c.external_id),
    "create_time": Field(customers.c.create_time, "timestamp"),
    "update_time": Field(customers.c.update_time, "timestamp"),
}
_ORDER = filters.order("create_time desc", {"create_time": _FIELDS["create_time"]}, customers.c.id)


class CustomerService(pb_grpc.CustomerServiceServicer):
    """db: transactions that may write; reads: those that do not."""

    def __init__(self, *, db: Database, reads: Database, tokens: PageTokens, customers: Customers) -> None:
        self.db = db
        self._reads = reads
        self._tokens = tokens
        self._customers = customers

    async def GetCustomer(self, request: pb.GetCustomerRequest, context: Context) -> pb.GetCustomerResponse:
        tenant_id = current().tenant_id
        async with self._reads.transaction(tenant_id) as tx:
            customer = await store.get(tx, tenant_id, request.id)
        return pb.GetCustomerResponse(customer=self._customers.to_proto(tenant_id, customer))

    async def ListCustomers(self, request: pb.ListCustomersRequest, context: Context) -> pb.ListCustomersResponse:
        tenant_id = current().tenant_id
        condition = filters.where(request.filter, _FIELDS)
        if email := domain.email_of(request.email):
            condition &= customers.c.email_hash == self._customers.email_hash(tenant_id, email)
        cursor = self._tokens.read(request.page_token, request)
        async with self._reads.transaction(tenant_id) as tx:
            page, following = await store.page(tx, tenant_id, condition, _ORDER, cursor, page_size(request.page_size))
        return pb.ListCustomersResponse(
            customers=[self._customers.to_proto(tenant_id, customer) for customer in page],
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    @mutation
    async def UpsertCustomer(self, request: pb.UpsertCustomerRequest, tx: AsyncConnection) -> pb.UpsertCustomerResponse:
        tenant_id, now = current().tenant_id, self._customers.clock.now()
        email = domain.email_of(request.email)
        if not (request.external_id or email):
            raise domain.invalid("external_id", "it or an e-mail says which customer")
        key = self._customers.email_hash(tenant_id, email)
        sealed = self._customers.seal_email(tenant_id, email)
        before = await self._known(tx, request.external_id, key)
        if before is None:
            new = Customer(
                id=uuid7(),
                create_time=_moment(request, now),
                update_time=now,
                external_id=request.external_id,
                email_hash=key,
                email=sealed,
                is_imported=True,
            )
            new = domain.told(new, self._customers.said(tenant_id, None, request), now)
            if await store.add(tx, tenant_id, new):
                await journal.record(tx, tenant_id, [messages.change(None, new)], [messages.event("registered", new)])
                return pb.UpsertCustomerResponse(customer=messages.outline(new), created=True)
            # Somebody else made the customer meanwhile.
            before = await self._known(tx, request.external_id, key)
        if before is None:
            raise Aborted("CUSTOMER_CHANGED", "the customer changed meanwhile; try again", retry_after_s=0.1)
        said = self._customers.said(tenant_id, before, request)
        after = domain.bring_in(before, request.external_id, (key, sealed), said, now)
        await self._customers.change(tx, tenant_id, before, after)
        return pb.UpsertCustomerResponse(customer=messages.outline(after))

    async def ExportCustomer(self, request: pb.ExportCustomerRequest, context: Context) -> pb.ExportCustomerResponse:
        tenant_id = current().tenant_id
        async with self._reads.transaction(tenant_id, snapshot=True) as tx:
            customer = await store.get(tx, tenant_id, request.id)
            export = await self._customers.export(tx, tenant_id, customer)
        return pb.ExportCustomerResponse(export=export)

    @mutation
    async def EraseCustomer(self, request: pb.EraseCustomerRequest, tx: AsyncConnection) -> pb.EraseCustomerResponse:
        tenant_id = current().tenant_id
        before = await store.get(tx, tenant_id, request.id, lock=True)
        after = await self._customers.erase(tx, tenant_id, before, request.reason)
        return pb.EraseCustomerResponse(customer=messages.outline(after))

    async def _known(self, tx: AsyncConnection, external_id: str, email_hash: str) -> Customer | None:
        tenant_id = current().tenant_id
        found = await store.by_external_id(tx, tenant_id, external_id, lock=True)
        return found or await store.by_email(tx, tenant_id, email_hash, lock=True)


def _moment(request: pb.UpsertCustomerRequest, now: datetime) -> datetime:
    """InvalidArgument FIELD_INVALID: no time that there was."""
    if not request.HasField("create_time"):
        return now
    try:
        given = request.create_time.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise domain.invalid("create_time", "no time that can be kept") from None
    if given > now:
        raise domain.invalid("create_time", "it is still to come")
    return given
