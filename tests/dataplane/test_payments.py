"""PaymentService on a real server, PostgreSQL and provider (the simulator, over HTTP)."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
import stripe
from google.api import httpbody_pb2
from google.protobuf.message import Message
from google.type import money_pb2
from sqlalchemy import text

from center.control.v1 import tenant_pb2
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.shared.v1 import payment_service_pb2 as pb
from center.shared.v1.payment_service_pb2_grpc import PaymentServiceStub
from dataplane.app import PAYMENTS
from shared.payments.simulator.books import Account
from shared.payments.simulator.faults import Fault
from shared.runtime.errors import PermissionDenied, PlatformError
from shared.runtime.ids import uuid7
from shared.runtime.rpc import rules
from tests.dataplane.cluster import Running, bearer, digest, entry, move_rows, of
from tests.support import payments as providers
from tests.support.grpc import refusal_of, refuses
from tests.support.payments import Served, secret
from tests.support.platform import until

CAPTURED, AUTHORIZED = pb.PAYMENT_STATE_CAPTURED, pb.PAYMENT_STATE_AUTHORIZED
FAILED, VOIDED = pb.PAYMENT_STATE_FAILED, pb.PAYMENT_STATE_VOIDED
SUCCEEDED = pb.PAYMENT_OPERATION_STATE_SUCCEEDED


@pytest.fixture(scope="module")
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
        answer: pb.VoidResponse = await self.stub.Void(
            pb.VoidRequest(payment_id=payment_id, **more), metadata=of(self.id)
        )  # type: ignore[arg-type]
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

    async def receive(self, body: bytes, signature: str) -> int:
        """What Envoy answers to a webhook."""
        try:
            await self.tell(body, signature)
        except grpc.aio.AioRpcError as error:
            return 400 if error.code() is grpc.StatusCode.INVALID_ARGUMENT else 500
        return 200


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
    if webhooks:
        simulator.receivers[tenant_id] = shop.receive
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


async def test_a_void_releases_what_is_held(shop: Shop) -> None:
    payment = (await shop.authorize()).payment
    answer = await shop.void(payment.id, reason="out of stock")
    assert answer.payment.state == VOIDED
    assert [i["status"] for i in shop.account.intents.values()] == ["canceled"]
    async with refuses("FAILED_PRECONDITION", "PAYMENT_NOT_AUTHORIZED"):
        await shop.capture(payment.id)


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        ("pm_card_chargeDeclined", "DECLINED"),
        ("pm_card_chargeDeclinedInsufficientFunds", "INSUFFICIENT_FUNDS"),
        ("pm_card_chargeDeclinedExpiredCard", "CARD_EXPIRED"),
    ],
)
async def test_a_decline_is_an_answer_that_says_why(shop: Shop, card: str, reason: str) -> None:
    answer = await shop.authorize(card=card)
    assert (answer.payment.state, answer.payment.failure_reason) == (FAILED, reason)
    assert answer.operation.failure_reason == reason


async def test_a_key_that_the_provider_refuses_is_a_failed_operation_and_no_secret_is_told(shop: Shop) -> None:
    await shop.stub.SetPaymentSettings(
        pb.SetPaymentSettingsRequest(settings={"api_base": shop.simulator.api_base}, secret_key="pk_wrong"),
        metadata=of(shop.id),
    )
    answer = await shop.authorize()
    assert answer.operation.failure_reason == "PROVIDER_MISCONFIGURED"
    assert "pk_wrong" not in str(answer)


@pytest.mark.parametrize("answer", [b"{}", b"null", b"[]", b"<html>a proxy</html>", b'{"id": 7, "status": []}', b""])
async def test_an_answer_that_is_none_leaves_the_outcome_unknown(shop: Shop, answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + answer)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await shop.stub.SetPaymentSettings(pb.SetPaymentSettingsRequest(settings={"api_base": base}), metadata=of(shop.id))
    begun = await shop.authorize()
    assert begun.operation.state == pb.PAYMENT_OPERATION_STATE_UNKNOWN
    asked = await shop.stub.Reconcile(pb.ReconcileRequest(payment_id=begun.payment.id), metadata=of(shop.id))
    assert (asked.asked, asked.still_open) == (1, 1)
    server.close()


# one effect


async def test_one_request_id_is_one_operation_however_often_it_comes(shop: Shop) -> None:
    request_id = uuid7()
    answers = await asyncio.gather(*(shop.authorize(request_id=request_id) for _ in range(8)))
    assert len({(a.payment.id, a.operation.id) for a in answers}) == 1
    payment_id = answers[0].payment.id
    captures = await asyncio.gather(*(shop.capture(payment_id, request_id=request_id) for _ in range(8)))
    refunds = await asyncio.gather(*(shop.refund(payment_id, 100, request_id=request_id) for _ in range(8)))
    assert len({a.operation.id for a in captures}) == len({a.operation.id for a in refunds}) == 1
    [intent] = shop.account.intents.values()
    assert (intent["amount_received"], shop.account.refunded(intent["id"])) == (1250, 100)
    async with refuses("FAILED_PRECONDITION", "REQUEST_ID_REUSED"):
        await shop.refund(payment_id, 200, request_id=request_id)


async def test_an_id_that_comes_again_gets_the_operation_as_it_is_by_then(shop: Shop) -> None:
    request_id = uuid7()
    shop.simulator.fault(shop.account, "authorize", Fault.DROP_BEFORE)
    first = await shop.authorize(request_id=request_id)
    assert first.operation.state == pb.PAYMENT_OPERATION_STATE_UNKNOWN
    again = await shop.authorize(request_id=request_id)
    assert (again.operation.id, again.operation.state) == (first.operation.id, SUCCEEDED)
    assert len(shop.account.intents) == 1


async def test_many_refunds_at_once_never_exceed_what_was_captured(shop: Shop) -> None:
    payment_id = await shop.captured(1000)

    async def refund() -> str:
        try:
            answer = await shop.refund(payment_id, 300)
        except grpc.aio.AioRpcError as error:
            return refusal_of(error).reason
        return pb.PaymentOperationState.Name(answer.operation.state)

    ends = await asyncio.gather(*(refund() for _ in range(12)))
    assert sorted(ends) == ["AMOUNT_EXCEEDED"] * 9 + ["PAYMENT_OPERATION_STATE_SUCCEEDED"] * 3
    assert minor((await shop.get(payment_id)).refunded) == 900


async def test_an_amount_whose_outcome_is_unknown_stays_reserved(shop: Shop) -> None:
    payment_id = await shop.captured(1000)
    shop.simulator.fault(shop.account, "refund", Fault.ERROR_AFTER, Fault.LATE_WEBHOOK)
    unknown = await shop.refund(payment_id, 700)
    assert unknown.operation.state == pb.PAYMENT_OPERATION_STATE_UNKNOWN
    async with refuses("FAILED_PRECONDITION", "AMOUNT_EXCEEDED") as refusal:
        await shop.refund(payment_id, 301)
    assert refusal.metadata["available_minor"] == "300"
    await shop.settle()
    assert minor((await shop.get(payment_id)).refunded) == 700


async def test_a_capture_and_a_void_do_not_run_beside_each_other(shop: Shop) -> None:
    payment = (await shop.authorize()).payment
    shop.simulator.fault(shop.account, "capture", Fault.DROP_BEFORE)
    await shop.capture(payment.id)
    for attempt in (shop.void(payment.id), shop.capture(payment.id)):
        async with refuses("FAILED_PRECONDITION", "OPERATION_OPEN"):
            await attempt
    answer = await shop.stub.Reconcile(pb.ReconcileRequest(payment_id=payment.id), metadata=of(shop.id))
    assert (answer.asked, answer.still_open) == (1, 0)
    assert (await shop.get(payment.id)).state == CAPTURED


async def test_what_the_ledger_may_not_hold_the_database_refuses(shop: Shop) -> None:
    payment_id = await shop.captured(1000)
    db = shop.running.database("center_app")
    for change in (
        "UPDATE payments SET captured_minor = authorized_minor + 1",
        "UPDATE payments SET capturing_minor = 1",
        "UPDATE payments SET refunded_minor = 600, refunding_minor = 401",
        "UPDATE payments SET authorized_minor = amount_minor + 1",
        "UPDATE payments SET refunding_minor = -1",
        "UPDATE payment_operations SET kind = 'CAPTURE', state = 'PENDING'",
        "INSERT INTO payment_operations SELECT tenant_id, gen_random_uuid(), payment_id, kind, 'PENDING', 1, 1, '', "
        "'', now(), now(), now() FROM payment_operations WHERE kind = 'CAPTURE'",
        "DELETE FROM payment_operations",
        "DELETE FROM payments",
        "DELETE FROM payment_events",
        "UPDATE payment_events SET type = ''",
    ):
        with pytest.raises(PlatformError, match=r"DATABASE_FAILURE|ROW_REFUSED"):
            async with db.transaction(shop.id) as tx:
                await tx.execute(text(change))
    assert minor((await shop.get(payment_id)).captured) == 1000
    await db.close()


# the payer's own confirmation


@pytest.mark.parametrize("answer", ["confirm", "refuse"])
async def test_a_payer_is_asked_to_confirm_and_the_webhook_brings_the_answer(shop: Shop, answer: str) -> None:
    payment = (await shop.authorize(card="pm_card_threeDSecure2Required", return_url="http://shop.example/")).payment
    assert payment.state == pb.PAYMENT_STATE_REQUIRES_ACTION
    async with httpx.AsyncClient() as browser:
        await browser.post(payment.action_url, data={"answer": answer})
    await shop.settle()
    settled = await shop.get(payment.id)
    expected = (AUTHORIZED, "") if answer == "confirm" else (FAILED, "AUTHENTICATION_FAILED")
    assert (settled.state, settled.failure_reason, settled.action_url) == (*expected, "")


async def test_a_payment_that_nobody_confirms_can_be_given_up(shop: Shop) -> None:
    payment = (await shop.authorize(card="pm_card_authenticationRequired")).payment
    assert (await shop.void(payment.id)).payment.state == VOIDED
    assert not [o for o in (await shop.get(payment.id)).operations if o.state == pb.PAYMENT_OPERATION_STATE_PENDING]


# what the provider reports by itself


async def event_of(shop: Shop, payment_id: str, type: str = "payment_intent.succeeded", **changes: Any) -> bytes:
    [intent] = [i for i in shop.account.intents.values() if i["metadata"]["center_payment"] == payment_id]
    about = {**intent, **changes}
    event = {"id": f"evt_{uuid7()}", "object": "event", "created": int(time.time()), "type": type}
    return json.dumps({**event, "data": {"object": about}}).encode()


def signed(body: bytes, key: str, age_s: int = 0) -> str:
    return stripe.WebhookSignature.generate_signature_header(body.decode(), key, int(time.time()) - age_s)


async def test_an_event_has_one_effect_however_often_it_comes(shop: Shop) -> None:
    payment_id = await shop.captured()
    await shop.settle()
    version = (await shop.get(payment_id)).version
    body = await event_of(shop, payment_id)
    signature = signed(body, secret(shop.account))
    answers = await asyncio.gather(*(shop.tell(body, signature) for _ in range(6)))
    assert sorted(a.duplicate for a in answers) == [False, *[True] * 5]
    assert (await shop.get(payment_id)).version == version


async def test_an_event_that_is_not_the_providers_is_refused(shop: Shop) -> None:
    payment_id = await shop.captured()
    body = await event_of(shop, payment_id)
    good = signed(body, secret(shop.account))
    for sent, signature in (
        (body, signed(body, "whsec_guessed")),
        (body, ""),
        (body, "t=1,v1=00"),
        (body, "nonsense"),
        (body.replace(b'"currency"', b'"currencY"'), good),
        (body + b" ", good),
    ):
        async with refuses("INVALID_ARGUMENT", "SIGNATURE_INVALID"):
            await shop.tell(sent, signature)
    async with refuses("INVALID_ARGUMENT", "EVENT_TOO_OLD"):
        await shop.tell(body, signed(body, secret(shop.account), age_s=301))
    for malformed in (b"[]", b'{"object": "event"}', b"not json", b"\xff\xfe"):
        async with refuses("INVALID_ARGUMENT"):
            await shop.tell(malformed, signed(malformed, secret(shop.account)) if malformed.isascii() else "t=1,v1=0")


async def test_events_of_strangers_and_of_unknown_payments_are_not_found(
    shop: Shop, eu: Running, simulator: Served
) -> None:
    payment_id = await shop.captured()
    other = entry()
    await eu.apply(other)
    stranger = await open_shop(eu, simulator, other.id)
    body = await event_of(shop, payment_id)
    # The right provider's event at another shop's door.
    async with refuses("INVALID_ARGUMENT", "SIGNATURE_INVALID"):
        await shop.tell(body, signed(body, secret(shop.account)), other.id)
    # Two shops may share an account, and so the secret: the event still is the one shop's.
    async with refuses("NOT_FOUND", "PAYMENT_NOT_FOUND"):
        await shop.tell(body, signed(body, secret(stranger.account)), other.id)
    mine = {"center_tenant": other.id, "center_payment": payment_id}
    for metadata in (mine, {**mine, "center_payment": uuid7()}, {**mine, "center_payment": "x"}, {}):
        unknown = await event_of(shop, payment_id, metadata=metadata)
        async with refuses("NOT_FOUND", "PAYMENT_NOT_FOUND"):
            await stranger.tell(unknown, signed(unknown, secret(stranger.account)))
    ignored = await event_of(shop, payment_id, "customer.created")
    assert (await shop.tell(ignored, signed(ignored, secret(shop.account)))).ignored


async def test_what_is_done_at_the_providers_own_pages_is_in_the_ledger(shop: Shop) -> None:
    """A hold that ran out, a capture, a refund, and a refund that the payer's bank sent back."""
    held = (await shop.authorize(500)).payment
    account = shop.account
    async with httpx.AsyncClient(base_url=shop.simulator.api_base) as provider:
        await provider.post(f"/simulator/intents/{held.provider_payment_id}/expire")
        await shop.settle()
        assert (await shop.get(held.id)).state == VOIDED
        taken = (await shop.authorize(1000)).payment
        auth = {"authorization": f"Bearer {account.key}"}
        await provider.post(f"/v1/payment_intents/{taken.provider_payment_id}/capture", headers=auth)
        await shop.settle()
        assert (await shop.get(taken.id)).state == CAPTURED
        body = {"payment_intent": taken.provider_payment_id, "amount": "400"}
        await provider.post("/v1/refunds", headers=auth, data=body)
        await shop.settle()
        assert (await shop.get(taken.id)).state == pb.PAYMENT_STATE_PARTIALLY_REFUNDED
        [refund] = account.refunds.values()
        await provider.post(f"/simulator/refunds/{refund['id']}/fail")
        await shop.settle()
    after = await shop.get(taken.id)
    assert (after.state, minor(after.refunded), minor(after.captured)) == (CAPTURED, 0, 1000)
    assert after.operations[-1].failure_reason == "RETURNED"


async def test_an_event_that_comes_before_the_answer_and_old_ones_change_nothing_twice(shop: Shop) -> None:
    shop.simulator.fault(shop.account, "authorize", Fault.EARLY_WEBHOOK)
    shop.simulator.fault(shop.account, "capture", Fault.EARLY_WEBHOOK, Fault.DUPLICATE_WEBHOOK)
    payment_id = await shop.captured()
    await shop.settle()
    assert await events(shop, payment_id) == ["payment.authorized.v1", "payment.captured.v1"]
    old = await event_of(shop, payment_id, "payment_intent.requires_action", status="requires_action")
    await shop.tell(old, signed(old, secret(shop.account)))
    assert (await shop.get(payment_id)).state == CAPTURED


# events and audit


async def events(shop: Shop, payment_id: str) -> list[str]:
    """The types of the payment's events, in their order."""
    db = shop.running.database()
    async with db.transaction() as tx:
        await tx.execute(text("ALTER TABLE outbox NO FORCE ROW LEVEL SECURITY"))
        rows = await tx.execute(
            text("SELECT type FROM outbox WHERE aggregate_id = CAST(:id AS uuid) ORDER BY aggregate_version, id"),
            {"id": payment_id},
        )
        found = [row.type for row in rows]
        await tx.execute(text("ALTER TABLE outbox FORCE ROW LEVEL SECURITY"))
    await db.close()
    return found


async def test_each_end_of_an_operation_is_an_event(shop: Shop) -> None:
    payment_id = await shop.captured(1000)
    await shop.refund(payment_id, 400)
    shop.simulator.fault(shop.account, "refund", Fault.DECLINE)
    await shop.refund(payment_id, 100)
    await shop.settle()
    assert [type.split(".")[1] for type in await events(shop, payment_id)] == [
        "authorized",
        "captured",
        "refunded",
        "failed",
    ]
    voided = (await shop.authorize()).payment
    await shop.void(voided.id)
    assert (await events(shop, voided.id))[-1] == "payment.voided.v1"


async def test_keys_are_neither_shown_nor_audited_nor_stored_in_clear(shop: Shop) -> None:
    payment_id = await shop.captured()
    await shop.refund(payment_id, 10, reason="a scratch")
    shown = await shop.stub.GetPaymentSettings(pb.GetPaymentSettingsRequest(), metadata=of(shop.id))
    assert shown.settings.has_secret_key and shown.settings.has_webhook_secret
    db = shop.running.database("center_app")
    async with db.transaction(shop.id) as tx:
        rows: list[Any] = []
        for table in ("payment_settings", "audit_entries", "idempotency", "payments", "payment_operations"):
            rows += (await tx.execute(text(f"SELECT * FROM {table}"))).all()
        audit = (await tx.execute(text("SELECT resource, reason, method FROM audit_entries"))).all()
    await db.close()
    everything = str(shown) + str([[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in rows])
    for key in (shop.account.key, secret(shop.account)):
        assert key not in everything
    assert ("payment", "a scratch", "center.shared.v1.PaymentService/Refund") in [tuple(row) for row in audit]
    assert "payment_settings" in {row.resource for row in audit}


async def test_a_shops_people_may_change_their_keys_but_not_whom_we_call(shop: Shop) -> None:
    merchant: Any = PaymentServiceStub(shop.running.channel("envoy"))
    metadata = of(shop.id, bearer(shop.running.home, shop.id))
    kept = pb.SetPaymentSettingsRequest(settings={"api_base": shop.simulator.api_base}, secret_key="sk_test_new")
    await merchant.SetPaymentSettings(kept, metadata=metadata)
    inside = pb.SetPaymentSettingsRequest(settings={"api_base": "http://127.0.0.1:7432"})
    async with refuses("PERMISSION_DENIED", "API_BASE_NOT_ALLOWED"):
        await merchant.SetPaymentSettings(inside, metadata=metadata)
    stale = pb.SetPaymentSettingsRequest(settings={"api_base": shop.simulator.api_base, "etag": "1"})
    async with refuses("ABORTED", "ETAG_MISMATCH"):
        await merchant.SetPaymentSettings(stale, metadata=metadata)


async def test_a_shop_without_an_account_says_so(eu: Running, tenant: str, simulator: Served) -> None:
    shop = Shop(eu, simulator, tenant, simulator.account())
    for attempt in (shop.authorize(), shop.tell(b"{}", "")):
        async with refuses("FAILED_PRECONDITION", "PAYMENTS_NOT_CONFIGURED"):
            await attempt
    async with refuses("FAILED_PRECONDITION", "PAYMENTS_NOT_CONFIGURED"):
        await shop.stub.GetPaymentSettings(pb.GetPaymentSettingsRequest(), metadata=of(tenant))


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"amount": money_pb2.Money(currency_code="EUR")}, "MONEY_INVALID", "amount"),
        ({"amount": money_pb2.Money(currency_code="EUR", units=-1)}, "MONEY_INVALID", "amount"),
        ({"amount": money_pb2.Money(currency_code="XXX", units=1)}, "MONEY_INVALID", "amount"),
        ({"amount": money_pb2.Money(currency_code="EUR", units=10**9)}, "AMOUNT_NOT_SUPPORTED", "amount"),
        ({"amount": money_pb2.Money(currency_code="KWD", nanos=1_000_000)}, "AMOUNT_NOT_SUPPORTED", "amount"),
        ({"payment_method": "4242 4242 4242 4242"}, "FIELD_INVALID", "payment_method"),
        ({"return_url": "javascript:alert(1)"}, "FIELD_INVALID", "return_url"),
    ],
)
async def test_what_cannot_be_paid_is_refused_by_field(shop: Shop, change: Any, reason: str, field: str) -> None:
    wanted = {"amount": eur(100), "payment_method": "pm_card_visa", **change}
    async with refuses("INVALID_ARGUMENT", reason) as refusal:
        await shop.stub.Authorize(pb.AuthorizeRequest(**wanted), metadata=of(shop.id))
    assert field in refusal.violations


async def test_units_of_currencies_are_the_providers_own(shop: Shop) -> None:
    """Stripe counts krónur and shillings in hundredths, which they have not, and ariary in whole ones."""
    for code, units, theirs in (("JPY", 500, 500), ("ISK", 500, 50_000), ("MGA", 500, 500), ("KWD", 5, 5_000)):
        amount = money_pb2.Money(currency_code=code, units=units)
        request = pb.AuthorizeRequest(amount=amount, payment_method="pm_card_visa")
        payment = (await shop.stub.Authorize(request, metadata=of(shop.id))).payment
        assert payment.authorized == amount
        assert shop.account.intents[payment.provider_payment_id]["amount"] == theirs


async def test_payments_are_listed_by_pages_and_found_by_what_they_are_for(shop: Shop) -> None:
    for n in range(5):
        await shop.authorize(100 + n, reference=f"order-{n % 2}")
    request = pb.ListPaymentsRequest(page_size=2)
    seen: list[str] = []
    while True:
        page = await shop.stub.ListPayments(request, metadata=of(shop.id))
        seen += [payment.id for payment in page.payments]
        if not (request.page_token or page.next_page_token) or not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert len(seen) == len(set(seen)) == 5
    some = pb.ListPaymentsRequest(filter='reference = "order-1" AND state = AUTHORIZED')
    assert len((await shop.stub.ListPayments(some, metadata=of(shop.id))).payments) == 2


# other tenants, and moves


async def test_a_payment_of_another_tenant_cannot_be_touched(shop: Shop, eu: Running, simulator: Served) -> None:
    payment_id = await shop.captured()
    held = (await shop.authorize()).payment.id
    other = entry()
    await eu.apply(other)
    stranger = await open_shop(eu, simulator, other.id)
    await shop.settle()
    before = await digest(eu, shop.id)
    for attempt in (
        stranger.get(payment_id),
        stranger.capture(held),
        stranger.refund(payment_id),
        stranger.void(held),
        stranger.stub.Reconcile(pb.ReconcileRequest(payment_id=held), metadata=of(other.id)),
    ):
        async with refuses("NOT_FOUND", "PAYMENT_NOT_FOUND"):
            await attempt
    assert not (await stranger.stub.ListPayments(pb.ListPaymentsRequest(), metadata=of(other.id))).payments
    assert await digest(eu, shop.id) == before
    db = eu.database("center_app")
    with pytest.raises(PermissionDenied, match="ROW_REFUSED"):
        async with db.transaction(other.id) as tx:
            await tx.execute(
                text(f"UPDATE payment_settings SET tenant_id = '{shop.id}'"),
            )
    await db.close()


async def test_payments_move_with_their_tenant_and_what_is_open_is_settled_there(
    eu: Running, us: Running, simulator: Served
) -> None:
    tenant = entry()
    await eu.apply(tenant)
    shop = await open_shop(eu, simulator, tenant.id, webhooks=False)
    payment_id = await shop.captured(1000)
    shop.simulator.fault(shop.account, "refund", Fault.DROP_AFTER)
    assert (await shop.refund(payment_id, 400)).operation.state == pb.PAYMENT_OPERATION_STATE_UNKNOWN
    await eu.apply(entry(tenant.id, writes_frozen=True, moving_to_cluster_id="us-1"))
    arriving = entry(tenant.id, writes_frozen=True, moving_to_cluster_id="us-1")
    await move_rows(eu, us, arriving)
    assert await digest(us, tenant.id) == await digest(eu, tenant.id)
    there = entry(tenant.id, cluster_id="us-1")
    await us.apply(there)
    await eu.commands.ApplyTenants(runtime_pb.ApplyTenantsRequest(tenants=[there]))
    moved = Shop(us, simulator, tenant.id, shop.account)
    await moved.stub.Reconcile(pb.ReconcileRequest(), metadata=of(tenant.id))
    assert minor((await moved.get(payment_id)).refunded) == 400
    assert len(shop.account.refunds) == 1


REQUESTS: dict[str, Callable[[str], Message]] = {
    "Authorize": lambda _: pb.AuthorizeRequest(amount=eur(100), payment_method="pm_card_visa"),
    "Capture": lambda id: pb.CaptureRequest(payment_id=id),
    "Refund": lambda id: pb.RefundRequest(payment_id=id),
    "Void": lambda id: pb.VoidRequest(payment_id=id),
    "GetPayment": lambda id: pb.GetPaymentRequest(id=id),
    "ListPayments": lambda _: pb.ListPaymentsRequest(),
    "ReportProviderEvent": lambda _: pb.ReportProviderEventRequest(provider="stripe", body={"data": b"{}"}),
    "Reconcile": lambda id: pb.ReconcileRequest(payment_id=id),
    "GetPaymentSettings": lambda _: pb.GetPaymentSettingsRequest(),
    "SetPaymentSettings": lambda _: pb.SetPaymentSettingsRequest(settings={}, secret_key="sk_test_stolen"),
}


@pytest.mark.parametrize("name", [method.name for method in PAYMENTS.methods])
async def test_no_method_reaches_another_tenant_or_a_closed_one(
    shop: Shop, eu: Running, simulator: Served, name: str
) -> None:
    payment_id = await shop.captured()
    other = entry()
    await eu.apply(other)
    stranger = await open_shop(eu, simulator, other.id)
    await shop.settle()
    before = await digest(eu, shop.id)
    seen = ""
    try:
        seen = str(await getattr(stranger.stub, name)(REQUESTS[name](payment_id), metadata=of(other.id)))
    except grpc.aio.AioRpcError as error:
        assert refusal_of(error).reason in ("PAYMENT_NOT_FOUND", "SIGNATURE_INVALID")
    else:
        assert name in ("Authorize", "ListPayments", "GetPaymentSettings", "SetPaymentSettings")
    assert shop.id not in seen and payment_id not in seen
    assert await digest(eu, shop.id) == before
    mutates = rules.of_service(PAYMENTS)[name].mutates
    await eu.apply(entry(other.id, mode=tenant_pb2.TENANT_MODE_READ_ONLY))
    if mutates:
        async with refuses("FAILED_PRECONDITION", "TENANT_READ_ONLY"):
            await getattr(stranger.stub, name)(REQUESTS[name](payment_id), metadata=of(other.id))
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await getattr(stranger.stub, name)(REQUESTS[name](payment_id), metadata=of(uuid7()))


async def test_the_worker_asks_about_what_is_due_and_leaves_closed_tenants_alone(
    eu: Running, shop: Shop, simulator: Served
) -> None:
    payment_id = await shop.captured(1000)
    simulator.fault(shop.account, "refund", Fault.DROP_BEFORE)
    await shop.refund(payment_id, 400)
    db = eu.database("center_app")
    async with db.transaction(shop.id) as tx:
        await tx.execute(text("UPDATE payment_operations SET look_time = now() - interval '1 s'"))
    await db.close()

    async def settled() -> bool:
        return minor((await shop.get(payment_id)).refunded) == 400

    await until(settled, 20, "the worker to ask")
    [refund] = shop.account.refunds.values()
    assert refund["amount"] == 400
    simulator.fault(shop.account, "refund", Fault.DROP_BEFORE)
    await shop.refund(payment_id, 100)
    await eu.apply(entry(shop.id, mode=tenant_pb2.TENANT_MODE_READ_ONLY))
    owner = eu.database()
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE payment_operations NO FORCE ROW LEVEL SECURITY"))
        await tx.execute(text("UPDATE payment_operations SET look_time = now() - interval '1 s'"))
        due = (await tx.execute(text("SELECT DISTINCT tenant_id::text FROM due_payment_operations(1000)"))).scalars()
        assert shop.id not in list(due)
        await tx.execute(text("ALTER TABLE payment_operations FORCE ROW LEVEL SECURITY"))
    await owner.close()
