"""Payments of a platform as it runs: through Envoy, with the provider's own webhooks, and with clusters killed."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from center.shared.v1 import payment_service_pb2 as pb
from center.shared.v1.payment_service_pb2_grpc import PaymentServiceStub
from shared.platform import ports
from shared.runtime.ids import uuid7
from tests.support import platform as platforms
from tests.support.platform import Platform, until

pytestmark = pytest.mark.e2e

HOST = "payments.center.localhost"


@dataclass
class Shop:
    platform: Platform
    id: str
    token: str
    key: str
    provider: httpx.AsyncClient

    @property
    def stub(self) -> Any:
        return PaymentServiceStub(self.platform.channel("eu-1"))

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-tenant-id", self.id),)

    async def post(self, path: str, **body: Any) -> Any:
        """As the shop's own people call, through Envoy."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.platform.envoy_port}") as client:
            answer = await client.post(path, json=body, headers={"host": HOST, "authorization": self.token})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, payment_id: str) -> pb.Payment:
        answer = await self.stub.GetPayment(pb.GetPaymentRequest(id=payment_id), metadata=self.metadata)
        payment: pb.Payment = answer.payment
        return payment

    async def in_state(self, payment_id: str, state: int, within_s: float = 60) -> pb.Payment:
        async def there() -> pb.Payment | None:
            payment = await self.get(payment_id)
            return payment if payment.state == state else None

        found: pb.Payment = await until(there, within_s, f"{payment_id} to be {pb.PaymentState.Name(state)}")
        return found

    async def fault(self, call: str, *faults: str) -> None:
        await self.provider.post("/simulator/faults", json={"account": self.key, "call": call, "faults": faults})

    async def books(self, payment_id: str) -> tuple[list[Any], list[Any]]:
        """The payment's charges and refunds, as the provider has them."""
        answer = (await self.provider.get("/simulator/books", params={"account": self.key})).json()
        intents = [i for i in answer["intents"] if i["metadata"]["center_payment"] == payment_id]
        ids = {i["id"] for i in intents}
        return intents, [refund for refund in answer["refunds"] if refund["payment_intent"] in ids]


@pytest.fixture(scope="module")
async def shops() -> AsyncIterator[dict[str, Shop]]:
    """payments hears of events; silent does not."""
    with platforms.running() as platform:
        async with AsyncExitStack() as stack:
            yield {code: await _opened(platform, code, stack) for code in ("payments", "silent")}
        await platform.close()


async def _opened(platform: Platform, code: str, stack: AsyncExitStack) -> Shop:
    tenant = await platform.create(code, region_id="eu")
    base, key = f"http://127.0.0.1:{ports.PAYMENTS + platform.offset}", f"sk_test_{uuid7()}"
    headers = {"authorization": f"Bearer {key}"}
    provider = await stack.enter_async_context(httpx.AsyncClient(base_url=base, headers=headers))
    shop = Shop(platform, tenant.id, await platform.token(tenant.id), key, provider)
    settings = pb.SetPaymentSettingsRequest(settings={"api_base": base}, secret_key=key)
    if code == "payments":
        form = {"url": f"http://{HOST}/v1/payments/events/stripe"}
        settings.webhook_secret = (await provider.post("/v1/webhook_endpoints", data=form)).json()["secret"]
    await shop.stub.SetPaymentSettings(settings, metadata=shop.metadata)
    return shop


@pytest.fixture
def shop(shops: dict[str, Shop]) -> Shop:
    return shops["payments"]


async def test_a_merchant_takes_a_payment_with_plain_json(shop: Shop) -> None:
    held = await shop.post(
        "/v1/backoffice/payments", amount={"currencyCode": "EUR", "units": 12}, paymentMethod="pm_card_visa"
    )
    payment = held["payment"]
    assert payment["state"] == "PAYMENT_STATE_AUTHORIZED"
    taken = await shop.post(f"/v1/backoffice/payments/{payment['id']}:capture")
    assert taken["payment"]["state"] == "PAYMENT_STATE_CAPTURED"
    back = await shop.post(
        f"/v1/backoffice/payments/{payment['id']}:refund", amount={"currencyCode": "EUR", "units": 5}
    )
    assert back["payment"]["state"] == "PAYMENT_STATE_PARTIALLY_REFUNDED"
    [intent], [refund] = await shop.books(payment["id"])
    assert (intent["amount_received"], refund["amount"]) == (1200, 500)


async def test_a_payer_confirms_and_the_webhook_says_so_through_envoy(shop: Shop) -> None:
    asked = await shop.post(
        "/v1/backoffice/payments",
        amount={"currencyCode": "EUR", "units": 9},
        paymentMethod="pm_card_threeDSecure2Required",
        returnUrl="http://shop.example/back",
    )
    payment = asked["payment"]
    assert payment["state"] == "PAYMENT_STATE_REQUIRES_ACTION"
    page = await shop.provider.get(payment["actionUrl"])
    assert "Confirm" in page.text
    sent_back = await shop.provider.post(payment["actionUrl"], data={"answer": "confirm"})
    assert (sent_back.status_code, sent_back.headers["location"]) == (303, "http://shop.example/back")
    # Nobody asks: the worker's next look is ten minutes away.
    settled = await shop.in_state(payment["id"], pb.PAYMENT_STATE_AUTHORIZED, within_s=15)
    assert settled.operations[0].attempts == 1


async def test_a_webhook_that_is_not_signed_is_refused_through_envoy(shop: Shop) -> None:
    body = json.dumps({"id": "evt_1", "object": "event", "type": "payment_intent.succeeded"})
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{shop.platform.envoy_port}") as client:
        answer = await client.post(
            "/v1/payments/events/stripe", content=body, headers={"host": HOST, "stripe-signature": "t=1,v1=00"}
        )
    assert answer.status_code == 400
    assert platforms.reason_of(answer.content) == "SIGNATURE_INVALID"


@pytest.mark.parametrize(
    ("call", "code"), [("authorize", "silent"), ("capture", "silent"), ("refund", "silent"), ("refund", "payments")]
)
async def test_a_cluster_that_is_killed_while_the_provider_works_has_one_effect(
    shops: dict[str, Shop], call: str, code: str
) -> None:
    """It comes back, and its caller, its worker or an event settles what is open."""
    shop = shops[code]
    request = pb.AuthorizeRequest(
        amount={"currency_code": "EUR", "units": 20}, payment_method="pm_card_visa", request_id=uuid7()
    )
    if call == "authorize":
        await shop.fault(call, "TIMEOUT", "LATE_WEBHOOK")
        begun = shop.stub.Authorize(request, metadata=shop.metadata)
    else:
        payment_id = (await shop.stub.Authorize(request, metadata=shop.metadata)).payment.id
        if call == "refund":
            await shop.stub.Capture(pb.CaptureRequest(payment_id=payment_id), metadata=shop.metadata)
        await shop.fault(call, "TIMEOUT", "LATE_WEBHOOK")
        kinds: dict[str, Any] = {"capture": pb.CaptureRequest, "refund": pb.RefundRequest}
        method = {"capture": shop.stub.Capture, "refund": shop.stub.Refund}[call]
        begun = method(kinds[call](payment_id=payment_id), metadata=shop.metadata)

    async def at_the_provider() -> bool:
        """The effect is there, and no answer."""
        answer = (await shop.provider.get("/simulator/books", params={"account": shop.key})).json()
        if not answer["intents"]:
            return False
        last = answer["intents"][-1]
        return {
            "authorize": last["amount"] == 2000 and last["status"] == "requires_capture",
            "capture": last["amount"] == 2000 and last["status"] == "succeeded",
            "refund": any(refund["payment_intent"] == last["id"] for refund in answer["refunds"]),
        }[call]

    await until(at_the_provider, 20, "the provider to have done it")
    old = shop.platform.kill("eu-1")
    with pytest.raises(Exception, match="UNAVAILABLE"):
        await begun
    await shop.platform.restarted("eu-1", old)
    await shop.platform.close()
    if call == "authorize":
        answer = await shop.stub.Authorize(request, metadata=shop.metadata)
        payment_id = answer.payment.id
    states = {
        "authorize": pb.PAYMENT_STATE_AUTHORIZED,
        "capture": pb.PAYMENT_STATE_CAPTURED,
        "refund": pb.PAYMENT_STATE_REFUNDED,
    }
    await shop.in_state(payment_id, states[call])
    [intent], refunds = await shop.books(payment_id)
    assert intent["amount_received"] == (0 if call == "authorize" else 2000)
    assert len(refunds) == (call == "refund")


async def test_the_command_line_takes_and_shows_payments(shop: Shop) -> None:
    held = shop.platform.center("payments", "authorize", "payments", "7.50EUR", "--reference", "order-9", "--json")
    assert held.returncode == 0, held.stderr
    payment_id = json.loads(held.stdout)["payment"]["id"]
    for command in (["capture"], ["refund", "--amount", "2.50EUR", "--reason", "a scratch"]):
        done = shop.platform.center("payments", command[0], "payments", payment_id, *command[1:])
        assert done.returncode == 0, done.stderr
    shown = shop.platform.center("payments", "show", "payments", payment_id)
    assert "PARTIALLY_REFUNDED" in shown.stdout and "2.50 EUR" in shown.stdout
    listed = shop.platform.center("payments", "list", "payments", "--filter", 'reference = "order-9"')
    assert payment_id in listed.stdout
    declined = shop.platform.center(
        "payments", "authorize", "payments", "1EUR", "--payment-method", "pm_card_chargeDeclined"
    )
    assert declined.returncode == 1 and "DECLINED" in declined.stdout
    settings = shop.platform.center("payments", "settings", "payments")
    assert "set" in settings.stdout and shop.key not in settings.stdout
    call = shop.platform.center("payments", "show", "payments", payment_id, "--print-grpcurl")
    assert "GetPayment" in call.stdout and "x-tenant-id" in call.stdout


async def test_the_sample_shops_have_an_account_at_the_simulator(shop: Shop) -> None:
    held = shop.platform.center("payments", "authorize", "etsy.com", "3EUR", "--json")
    assert json.loads(held.stdout)["payment"]["state"] == "PAYMENT_STATE_AUTHORIZED", held.stderr
