"""PaymentService on a real server, PostgreSQL and provider (the simulator, over HTTP)."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
import stripe
from google.api import httpbody_pb2
from google.type import money_pb2
from sqlalchemy import text

from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.shared.v1 import payment_service_pb2 as pb
from center.shared.v1.payment_service_pb2_grpc import PaymentServiceStub
from shared.payments.simulator.books import Account
from shared.payments.simulator.faults import Fault
from shared.runtime.errors import PermissionDenied, PlatformError
from shared.runtime.ids import uuid7
from tests.dataplane.cluster import Running, bearer, digest, entry, move_rows, of
from tests.support import payments as providers
from tests.support.grpc import refusal_of, refuses
from tests.support.payments import Served, secret
from tests.support.platform import until

CAPTURED, AUTHORIZED = pb.PAYMENT_STATE_CAPTURED, pb.PAYMENT_STATE_AUTHORIZED
FAILED, VOIDED = pb.PAYMENT_STATE_FAILED, pb.PAYMENT_STATE_VOIDED
SUCCEEDED = pb.PAYMENT_OPERATION_STATE_SUCCEEDED


@pytest.fixture(scope="session")
async def simulator() -> AsyncIterator[Served]:
    async with providers.serving() as served:
        yield served


@dataclass
class Shop:
    """A tenant with an account at the provider."""

    running: Running
    simulator: Served
    id: str
    account: Account

    @property
    def stub(self) -> Any:
        return PaymentServiceStub(self.running.channel("operator"))

    async def authorize(self, minor: int = 1250, card: str = "pm_card_visa", **more: str) -> pb.AuthorizeResponse:
        request = pb.AuthorizeRequest(amount=eur(minor), payment_method=card, **more)  # type: ignore[arg-type]
        answer: pb.AuthorizeResponse = await self.stub.Authorize(request, metadata=of(self.id))
        return answer

    async def capture(self, payment_id: str, minor: int = 0, **more: str) -> pb.CaptureResponse:
        request = pb.CaptureRequest(payment_id=payment_id, amount=eur(minor) if minor else None, **more)  # type: ignore[arg-type]
        answer: pb.CaptureResponse = await self.stub.Capture(request, metadata=of(self.id))
        return answer

    async def captured(self, minor: int = 1250) -> str:
        payment = (await self.authorize(minor)).payment
        assert (await self.capture(payment.id)).payment.state == CAPTURED
        return payment.id

    async def refund(self, payment_id: str, minor: int = 0, **more: str) -> pb.RefundResponse:
        request = pb.RefundRequest(payment_id=payment_id, amount=eur(minor) if minor else None, **more)  # type: ignore[arg-type]
        answer: pb.RefundResponse = await self.stub.Refund(request, metadata=of(self.id))
        return answer

    async def void(self, payment_id: str, **more: str) -> pb.VoidResponse:
        answer: pb.VoidResponse = await self.stub.Void(pb.VoidRequest(payment_id=payment_id, **more), metadata=of(self.id))  # type: ignore[arg-type]
        return answer

    async def get(self, payment_id: str) -> pb.Payment:
        answer = await self.stub.GetPayment(pb.GetPaymentRequest(id=payment_id), metadata=of(self.id))
        payment: pb.Payment = answer.payment
        return payment

    async def settle(self) -> None:
        await self.simulator.simulator.webhooks.idle(self.account)

    async def tell(self, body: bytes, signature: str, tenant_id: str = "") -> pb.ReportProviderEventResponse:
        """As Envoy passes a webhook on."""
        request = pb.ReportProviderEventRequest(provider="stripe", body=httpbody_pb2.HttpBody(data=body))
        stub: Any = PaymentServiceStub(self.running.channel("envoy"))
        metadata = of(tenant_id or self.id, ("stripe-signature", signature))
        answer: pb.ReportProviderEventResponse = await stub.ReportProviderEvent(request, metadata=metadata)
        return answer


def eur(minor: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code="EUR", units=minor // 100, nanos=minor % 100 * 10_000_000)


def minor(money: money_pb2.Money) -> int:
    return money.units * 100 + money.nanos // 10_000_000


async def open_shop(running: Running, simulator: Served, tenant_id: str, *, webhooks: bool = True) -> Shop:
    account = simulator.account(tenant_id)
    shop = Shop(running, simulator, tenant_id, account)
    settings = pb.SetPaymentSettingsRequest(
        settings={"provider": "stripe", "api_base": simulator.api_base},
        secret_key=account.key,
        webhook_secret=secret(account),
    )
    await shop.stub.SetPaymentSettings(settings, metadata=of(tenant_id))

    async def receive(body: bytes, signature: str) -> int:
        try:
            await shop.tell(body, signature)
        except grpc.aio.AioRpcError as error:
            return 400 if error.code() is grpc.StatusCode.INVALID_ARGUMENT else 500
        return 200

    if webhooks:
        simulator.receivers[tenant_id] = receive
    return shop


@pytest.fixture
async def shop(eu: Running, simulator: Served, tenant: str) -> Shop:
    return await open_shop(eu, simulator, tenant)


# the plain way


async def test_a_payment_is_authorized_captured_and_refunded_in_parts(shop: Shop) -> None:
    held = await shop.authorize(1250, reference="order-7")
    assert (held.payment.state, minor(held.payment.authorized), held.payment.reference) == (AUTHORIZED, 1250, "order-7")
    assert held.operation.state == SUCCEEDED and held.operation.attempts == 1
    taken = await shop.capture(held.payment.id, 1000)
    assert (taken.payment.state, minor(taken.payment.captured)) == (CAPTURED, 1000)
    back = await shop.refund(held.payment.id, 400)
    assert (back.payment.state, minor(back.payment.refunded)) == (pb.PAYMENT_STATE_PARTIALLY_REFUNDED, 400)
    back = await shop.refund(held.payment.id)
    assert (back.payment.state, minor(back.payment.refunded)) == (pb.PAYMENT_STATE_REFUNDED, 1000)
    [intent] = shop.account.intents.values()
    assert (intent["amount_received"], shop.account.refunded(intent["id"])) == (1000, 1000)
    kinds = [pb.PaymentOperationKind.Name(o.kind).split("_")[-1] for o in (await shop.get(held.payment.id)).operations]
    assert kinds == ["AUTHORIZE", "CAPTURE", "REFUND", "REFUND"]
