"""PaymentService: one tenant's payments, its provider's webhook, and which provider that is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from center.shared.v1 import payment_service_pb2 as pb
from center.shared.v1 import payment_service_pb2_grpc as pb_grpc
from center.shared.v1 import rules_pb2
from shared.payments import store as stored
from shared.payments import stripe_api
from shared.payments.domain import Operation, Payment, State
from shared.payments.messages import operation_to_proto, settings_change, settings_to_proto, to_proto
from shared.payments.ops import Begun, Payments
from shared.payments.store import Settings
from shared.payments.tables import payments
from shared.runtime import filters, idempotency, journal, money
from shared.runtime.context import current
from shared.runtime.errors import InvalidArgument, PermissionDenied, check_etag
from shared.runtime.filters import Field
from shared.runtime.idempotency import mutation
from shared.runtime.money import Money
from shared.runtime.paging import PageTokens, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
A = TypeVar("A", pb.AuthorizeResponse, pb.CaptureResponse, pb.RefundResponse, pb.VoidResponse)

# Operations that one Reconcile asks about.
MOST_ASKED = 20

_STATES: dict[str, object] = {
    name: state.value for state in State for name in (state.value, f"PAYMENT_STATE_{state.value}")
}
_FIELDS = {
    "id": Field(payments.c.id, "uuid"),
    "reference": Field(payments.c.reference),
    "state": Field(payments.c.state, "enum", _STATES),
    "currency": Field(payments.c.currency),
    "provider": Field(payments.c.provider),
    "provider_payment_id": Field(payments.c.provider_payment_id),
    "create_time": Field(payments.c.create_time, "timestamp"),
    "update_time": Field(payments.c.update_time, "timestamp"),
}
_ORDER = filters.order("create_time desc", {"create_time": _FIELDS["create_time"]}, payments.c.id)


class PaymentService(pb_grpc.PaymentServiceServicer):
    def __init__(self, *, payments: Payments, tokens: PageTokens) -> None:
        self.db = payments.db
        self._payments = payments
        self._tokens = tokens

    async def Authorize(self, request: pb.AuthorizeRequest, context: Context) -> pb.AuthorizeResponse:
        amount = money.from_proto(request.amount, "amount")
        if amount.amount_minor == 0:
            raise InvalidArgument("MONEY_INVALID", "amount: zero", fields={"amount": "zero"})

        async def begin(tx: AsyncConnection) -> Begun:
            return await self._payments.authorize(
                tx,
                current().tenant_id,
                amount,
                reference=request.reference,
                payment_method=request.payment_method,
                return_url=request.return_url,
            )

        return await self._done(pb.AuthorizeResponse, request, context, begin)

    async def Capture(self, request: pb.CaptureRequest, context: Context) -> pb.CaptureResponse:
        amount = _amount(request)

        async def begin(tx: AsyncConnection) -> Begun:
            return await self._payments.capture(tx, current().tenant_id, request.payment_id, amount)

        return await self._done(pb.CaptureResponse, request, context, begin)

    async def Refund(self, request: pb.RefundRequest, context: Context) -> pb.RefundResponse:
        amount = _amount(request)

        async def begin(tx: AsyncConnection) -> Begun:
            return await self._payments.refund(tx, current().tenant_id, request.payment_id, amount, request.reason)

        return await self._done(pb.RefundResponse, request, context, begin)

    async def Void(self, request: pb.VoidRequest, context: Context) -> pb.VoidResponse:
        async def begin(tx: AsyncConnection) -> Begun:
            return await self._payments.void(tx, current().tenant_id, request.payment_id, request.reason)

        return await self._done(pb.VoidResponse, request, context, begin)

    async def GetPayment(self, request: pb.GetPaymentRequest, context: Context) -> pb.GetPaymentResponse:
        payment = await stored.find(self._payments.reads, current().tenant_id, request.id)
        return pb.GetPaymentResponse(payment=to_proto(payment))

    async def ListPayments(self, request: pb.ListPaymentsRequest, context: Context) -> pb.ListPaymentsResponse:
        condition = filters.where(request.filter, _FIELDS)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._payments.reads.transaction(current().tenant_id) as tx:
            page, following = await stored.page(tx, current().tenant_id, condition, _ORDER, cursor, size)
        return pb.ListPaymentsResponse(
            payments=[to_proto(payment, operations=False) for payment in page],
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    async def ReportProviderEvent(
        self, request: pb.ReportProviderEventRequest, context: Context
    ) -> pb.ReportProviderEventResponse:
        call = current()
        provider = self._payments.provider(request.provider)
        settings = await stored.find_settings(self._payments.reads, call.tenant_id)
        account = self._payments.account(call.tenant_id, settings)
        notice = provider.read(account, request.body.data, call.metadata or {}, self._payments.clock.now())
        if not notice.reports:
            return pb.ReportProviderEventResponse(ignored=True)
        is_new = await self._payments.take(call.tenant_id, request.provider, notice)
        return pb.ReportProviderEventResponse(duplicate=not is_new)

    async def Reconcile(self, request: pb.ReconcileRequest, context: Context) -> pb.ReconcileResponse:
        tenant_id = current().tenant_id
        reads = self._payments.reads
        if await stored.find_settings(reads, tenant_id) is None:
            raise stored.not_configured()
        if request.payment_id:
            payment = await stored.find(reads, tenant_id, request.payment_id)
            found = [(payment.id, each.id) for each in payment.operations if each.is_open]
        else:
            async with reads.transaction(tenant_id, snapshot=True) as tx:
                found = await stored.open_operations(tx, tenant_id, MOST_ASKED)
        settled = await asyncio.gather(*(self._payments.ask(tenant_id, *each, at_once=True) for each in found))
        ends = [
            payment.operation(operation_id)
            for payment, (_, operation_id) in zip(settled, found, strict=True)
            if payment is not None
        ]
        return pb.ReconcileResponse(asked=len(ends), still_open=sum(end is not None and end.is_open for end in ends))

    async def GetPaymentSettings(
        self, request: pb.GetPaymentSettingsRequest, context: Context
    ) -> pb.GetPaymentSettingsResponse:
        settings = await stored.find_settings(self._payments.reads, current().tenant_id)
        if settings is None:
            raise stored.not_configured()
        return pb.GetPaymentSettingsResponse(settings=settings_to_proto(settings))

    @mutation
    async def SetPaymentSettings(
        self, request: pb.SetPaymentSettingsRequest, tx: AsyncConnection
    ) -> pb.SetPaymentSettingsResponse:
        tenant_id, wanted = current().tenant_id, request.settings
        before = await stored.settings(tx, tenant_id, lock=True)
        version = 0 if before is None else before.version
        check_etag("payment settings", tenant_id, str(version), wanted.etag)
        if before is None and not request.secret_key:
            raise InvalidArgument("FIELD_INVALID", "secret_key: needed", fields={"secret_key": "needed"})
        if wanted.api_base != ("" if before is None else before.api_base) and _is_merchant():
            # An address inside our own network is nothing that a shop may have us call.
            raise PermissionDenied("API_BASE_NOT_ALLOWED", "only an operator names an address of a provider's API")

        def sealed(column: str, text: str) -> bytes:
            if text or before is None:
                return self._payments.vault.seal(tenant_id, column, text.encode())
            kept: bytes = getattr(before, column)
            return kept

        after = Settings(
            provider=wanted.provider or stripe_api.NAME,
            api_base=wanted.api_base,
            secret_key=sealed("secret_key", request.secret_key),
            webhook_secret=sealed("webhook_secret", request.webhook_secret),
            version=version + 1,
            update_time=self._payments.clock.now(),
        )
        await stored.set_settings(tx, tenant_id, after)
        await journal.record(tx, tenant_id, [settings_change(tenant_id, before, after)])
        return pb.SetPaymentSettingsResponse(settings=settings_to_proto(after))

    async def _done(
        self, answer: type[A], request: Message, context: Context, begin: Callable[[AsyncConnection], Awaitable[Begun]]
    ) -> A:
        """Begins the operation in a transaction of its own, then carries it out with none open.

        What is stored under the request_id names the operation; whoever comes again gets it as it is by then, and if it
        is open still, the provider is asked about it.
        """
        tenant_id = current().tenant_id
        begun = await self._begun(answer, request, begin)
        if isinstance(begun, Begun):
            operation = begun.operation
            payment = await self._payments.carry_out(tenant_id, begun)
        else:
            idempotency.replayed(context)
            payment, operation = begun
            if operation.is_open:
                payment = await self._payments.ask(tenant_id, payment.id, operation.id, at_once=True) or payment
        operation = payment.operation(operation.id) or operation
        return answer(payment=to_proto(payment), operation=operation_to_proto(payment, operation))

    async def _begun(
        self, answer: type[A], request: Message, begin: Callable[[AsyncConnection], Awaitable[Begun]]
    ) -> Begun | tuple[Payment, Operation]:
        """What this very call began, or what the first one with its request_id did."""
        tenant_id = current().tenant_id
        async with self.db.transaction(tenant_id) as tx:
            before = await idempotency.claim(tx, request)
            if isinstance(before, answer):
                payment = await stored.get(tx, tenant_id, before.payment.id)
                operation = payment.operation(before.operation.id)
                assert operation is not None, "operations are never deleted"
                return payment, operation
            begun = await begin(tx)
            named = answer(
                payment=pb.Payment(id=begun.payment.id), operation=pb.PaymentOperation(id=begun.operation.id)
            )
            await idempotency.settle(tx, request, named)
        return begun


def _amount(request: pb.CaptureRequest | pb.RefundRequest) -> Money | None:
    return money.from_proto(request.amount, "amount") if request.HasField("amount") else None


def _is_merchant() -> bool:
    return current().role == rules_pb2.CALLER_MERCHANT
