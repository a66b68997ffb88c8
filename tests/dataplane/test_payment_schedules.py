"""No payment is taken or given back twice: every pair of faults, and schedules at random, against real PostgreSQL and a
provider that keeps books of its own.

Callers die between any two steps, come again, and run beside each other; webhooks come early, late, twice and in any
order. In the end the ledger says what the provider's books say.
"""

import asyncio
import itertools
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.api import httpbody_pb2

from center.control.v1.catalog_service_pb2 import CatalogTenant
from center.shared.v1 import payment_service_pb2 as pb
from dataplane.tenants import store as tenant_store
from dataplane.tenants.domain import State
from dataplane.tenants.service import entry as local_entry
from shared.payments import stripe_api
from shared.payments.domain import FINDABLE_AFTER
from shared.payments.ops import Payments
from shared.payments.service import PaymentService
from shared.payments.simulator.books import Account
from shared.payments.simulator.faults import Fault
from shared.payments.stripe_api import PAYMENT, Stripe
from shared.runtime import keys
from shared.runtime.db import Database, app_url
from shared.runtime.ids import uuid7
from shared.runtime.migrate import migrate
from shared.runtime.paging import PageTokens
from shared.runtime.vault import Vault
from tests.dataplane.cluster import entry
from tests.dataplane.test_payments import eur
from tests.support import payments as providers
from tests.support.dying import outcome
from tests.support.payments import Served, secret

# SOAK_SCHEDULES=10000 for a long look, with other seeds every time.
SOAK = int(os.environ.get("SOAK_SCHEDULES", "0"))
SCHEDULES = SOAK or 2_000
FIRST_SEED = random.randrange(1 << 32) if SOAK else 0
AT_ONCE = 8
DEADLINE_S, TIMEOUT_S, LATE_S = 0.4, 0.5, 0.05
PLACES = ("begun", "called", "settled", "asking", "asked")
CALLS = ("authorize", "capture", "refund", "cancel")
ROUNDS = 12


class Late:
    """A clock that runs behind, until everything that was ever begun is old enough to be looked for."""

    def __init__(self) -> None:
        self.behind = FINDABLE_AFTER + timedelta(minutes=1)

    def now(self) -> datetime:
        return datetime.now(UTC) - self.behind


BROWSER = httpx.AsyncClient()


@dataclass
class Place:
    """A tenant with an account, where one schedule runs after the other."""

    tenant_id: str
    account: Account
    simulator: Served
    clock: Late
    payments: Payments
    service: PaymentService
    browser: httpx.AsyncClient
    # The next call that gets to the place dies there.
    dies_at: str = ""
    is_deaf: bool = False

    async def reached(self, place: str) -> None:
        if place == self.dies_at:
            self.dies_at = ""
            raise asyncio.CancelledError

    async def call(self, method: Callable[[Any, Any], Awaitable[Any]], request: Any, **metadata: str) -> Any:
        return await outcome(self.tenant_id, "center.shared.v1.PaymentService", method, request, **metadata)

    async def webhook(self, body: bytes, signature: str) -> int:
        if self.is_deaf:
            self.is_deaf = False
            return 503
        request = pb.ReportProviderEventRequest(provider="stripe", body=httpbody_pb2.HttpBody(data=body))
        answer = await self.call(self.service.ReportProviderEvent, request, **{"stripe-signature": signature})
        return 200 if isinstance(answer, pb.ReportProviderEventResponse) else 400

    # -- what a shop does

    async def authorize(self, minor: int, reference: str, request_id: str) -> Any:
        request = pb.AuthorizeRequest(
            amount=eur(minor), payment_method="pm_card_visa", reference=reference, request_id=request_id
        )
        return await self.call(self.service.Authorize, request)

    async def capture(self, payment_id: str, minor: int, request_id: str = "") -> Any:
        request = pb.CaptureRequest(payment_id=payment_id, amount=eur(minor), request_id=request_id or uuid7())
        return await self.call(self.service.Capture, request)

    async def refund(self, payment_id: str, minor: int, request_id: str = "") -> Any:
        request = pb.RefundRequest(payment_id=payment_id, amount=eur(minor), request_id=request_id or uuid7())
        return await self.call(self.service.Refund, request)

    async def void(self, payment_id: str, request_id: str = "") -> Any:
        request = pb.VoidRequest(payment_id=payment_id, request_id=request_id or uuid7())
        return await self.call(self.service.Void, request)

    async def get(self, payment_id: str) -> pb.Payment:
        answer = await self.call(self.service.GetPayment, pb.GetPaymentRequest(id=payment_id))
        payment: pb.Payment = answer.payment
        return payment

    async def found(self, reference: str) -> list[str]:
        request = pb.ListPaymentsRequest(filter=f'reference = "{reference}"')
        return [payment.id for payment in (await self.call(self.service.ListPayments, request)).payments]

    async def reconcile(self, payment_id: str = "") -> pb.ReconcileResponse | None:
        answer = await self.call(self.service.Reconcile, pb.ReconcileRequest(payment_id=payment_id))
        return answer if isinstance(answer, pb.ReconcileResponse) else None

    async def confirm(self, payment: pb.Payment, answer: str) -> None:
        """As the payer does, on the bank's page."""
        await self.browser.post(payment.action_url, data={"answer": answer})

    async def settled(self, payment_id: str) -> pb.Payment:
        """The payment once nobody is in its way any more."""
        self.dies_at, self.is_deaf = "", False
        self.simulator.simulator.script.clear(self.account.key)
        await self.simulator.simulator.webhooks.idle(self.account)
        self.clock.behind = timedelta()
        payment = await self.get(payment_id)
        for _ in range(ROUNDS):
            if payment.state != pb.PAYMENT_STATE_REQUIRES_ACTION and not any(map(_is_open, payment.operations)):
                break
            if payment.state == pb.PAYMENT_STATE_REQUIRES_ACTION:
                await self.void(payment_id)
            await self.reconcile(payment_id)
            await self.simulator.simulator.webhooks.idle(self.account)
            payment = await self.get(payment_id)
        self.clock.behind = Late().behind
        return payment


def _is_open(operation: pb.PaymentOperation) -> bool:
    return operation.state in (pb.PAYMENT_OPERATION_STATE_PENDING, pb.PAYMENT_OPERATION_STATE_UNKNOWN)


@dataclass
class World:
    places: list[Place] = field(default_factory=list)


@pytest.fixture(scope="module")
async def world(make_database: Callable[[str], str], home: Path) -> AsyncIterator[World]:
    """A cluster's database without its process: nobody else asks about what is open."""
    url = make_database("schedules")
    await migrate(url, "dataplane", home)
    tenants = [entry() for _ in range(AT_ONCE)]
    steward = Database.connect(app_url(url, home, "center_steward"))
    await tenant_store.apply(steward, [local_entry(tenant, "eu-1") for tenant in tenants], introducing=State)
    await steward.close()
    db = Database.connect(app_url(url, home), pool_size=2 * AT_ONCE, audit_key=keys.load(home, "audit"))
    stripe = Stripe(deadline_s=DEADLINE_S)
    async with providers.serving(timeout_s=TIMEOUT_S, late_s=LATE_S) as simulator:
        yield World([await _place(home, tenant, db, stripe, simulator) for tenant in tenants])
    await stripe.close()
    await db.close()


async def _place(home: Path, tenant: CatalogTenant, db: Database, stripe: Stripe, simulator: Served) -> Place:
    account = simulator.account(tenant.id)
    clock = Late()
    place: Place

    async def reached(at: str) -> None:
        await place.reached(at)

    payments = Payments(
        db=db,
        reads=db,
        clock=clock,
        vault=Vault(home, "payments"),
        providers={stripe_api.NAME: stripe},
        reached=reached,
    )
    service = PaymentService(payments=payments, tokens=PageTokens(bytes(32)))
    place = Place(tenant.id, account, simulator, clock, payments, service, BROWSER)
    settings = pb.SetPaymentSettingsRequest(
        settings={"api_base": simulator.api_base}, secret_key=account.key, webhook_secret=secret(account)
    )

    async def set_settings(request: Any, context: Any) -> Any:
        return await service.SetPaymentSettings(request, context)

    await place.call(set_settings, settings)
    simulator.receivers[tenant.id] = place.webhook
    return place


# what must be true in the end


def assert_equal_to_the_books(account: Account, payment: pb.Payment) -> None:
    intents = [i for i in account.intents.values() if i["metadata"].get(PAYMENT) == payment.id]
    assert len(intents) <= 1, f"charged {len(intents)} times: {payment}"
    assert not [each for each in payment.operations if _is_open(each)], f"open: {payment}"
    [intent] = intents or [None]
    held, taken, back = _minor(payment.authorized), _minor(payment.captured), _minor(payment.refunded)
    if intent is None or intent["status"] == "requires_payment_method":
        assert payment.state == pb.PAYMENT_STATE_FAILED and (held, taken, back) == (0, 0, 0), (payment, intent)
        return
    refunds = [r for r in account.refunds_of(intent["id"]) if r["status"] == "succeeded"]
    assert taken == intent["amount_received"], (payment, intent)
    assert back == sum(r["amount"] for r in refunds), (payment, refunds)
    assert back <= taken <= held <= _minor(payment.amount)
    done = {o.id for o in payment.operations if _kind(o) == "REFUND" and _state(o) == "SUCCEEDED"}
    assert {r["metadata"]["center_operation"] for r in refunds} == done and len(refunds) == len(done)
    expected: dict[str, tuple[str, ...]] = {
        "requires_capture": ("AUTHORIZED",),
        "canceled": ("VOIDED", "FAILED"),
        "succeeded": ("CAPTURED", "PARTIALLY_REFUNDED", "REFUNDED"),
    }
    state = pb.PaymentState.Name(payment.state).removeprefix("PAYMENT_STATE_")
    assert state in expected[intent["status"]], (state, intent)


def _minor(money: Any) -> int:
    return int(money.units * 100 + money.nanos // 10_000_000)


def _kind(operation: pb.PaymentOperation) -> str:
    return pb.PaymentOperationKind.Name(operation.kind).rpartition("_")[2]


def _state(operation: pb.PaymentOperation) -> str:
    return pb.PaymentOperationState.Name(operation.state).rpartition("_")[2]


# every two faults

PAIRS = [tuple(pair) for pair in itertools.combinations_with_replacement(Fault, 2)]


async def test_every_two_faults_leave_the_ledger_equal_to_the_books(world: World) -> None:
    """Both at once at each call in turn; in the long run, one after the other, too."""
    orders = (True, False) if SOAK else (True,)
    runs = [(pair, call, at_once) for pair in PAIRS for call in CALLS for at_once in orders]
    await _everywhere(world, runs, _with_faults)


async def _with_faults(place: Place, run: tuple[tuple[Fault, ...], str, bool]) -> None:
    pair, call, at_once = run
    for faults in [pair] if at_once else [(fault,) for fault in pair]:
        place.simulator.fault(place.account, call, *faults)
    request_id = uuid7()
    for _ in range(3):
        await place.authorize(1000, request_id, request_id)
    [payment_id] = await place.found(request_id)
    payment = await place.get(payment_id)
    if payment.state == pb.PAYMENT_STATE_REQUIRES_ACTION:
        await place.confirm(payment, "confirm")
    if call == "cancel":
        await asyncio.gather(*(place.void(payment_id, request_id) for _ in range(2)))
    else:
        await place.reconcile(payment_id)
        await asyncio.gather(*(place.capture(payment_id, 900, request_id) for _ in range(2)))
        await place.reconcile(payment_id)
        await asyncio.gather(*(place.refund(payment_id, 500, request_id) for _ in range(2)))
        await place.refund(payment_id, 500)
    assert_equal_to_the_books(place.account, await place.settled(payment_id))


# schedules at random


async def test_no_schedule_takes_or_gives_back_twice(world: World) -> None:
    await _everywhere(world, range(FIRST_SEED, FIRST_SEED + SCHEDULES), _at_random)


async def _at_random(place: Place, seed: int) -> None:
    rng = random.Random(seed)
    amount = rng.randrange(100, 100_000)
    for call in CALLS:
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            place.simulator.fault(place.account, call, *rng.sample(list(Fault), rng.choice((1, 1, 2))))
    reference = f"schedule-{seed}"

    async def some(times: int, *actions: Callable[[str], Awaitable[Any]]) -> None:
        """Each under an id of its own, some of them again, beside each other or one by one; some die."""
        runs = [(action, request_id) for action in actions for request_id in [uuid7()] for _ in range(times)]
        rng.shuffle(runs)
        place.is_deaf = rng.random() < 0.1
        if rng.random() < 0.5:
            await asyncio.gather(*(_dying(action, request_id) for action, request_id in runs))
        else:
            for action, request_id in runs:
                await _dying(action, request_id)

    async def _dying(action: Callable[[str], Awaitable[Any]], request_id: str) -> None:
        place.dies_at = rng.choice((*PLACES, "", "", "", ""))
        await action(request_id)

    await some(rng.choice((1, 2, 3)), lambda request_id: place.authorize(amount, reference, request_id))
    payment_ids = await place.found(reference)
    if not payment_ids:
        return  # died before it was begun
    [payment_id] = payment_ids
    if rng.random() < 0.5:
        await place.reconcile(payment_id)
    payment = await place.get(payment_id)
    if payment.state == pb.PAYMENT_STATE_REQUIRES_ACTION and rng.random() < 0.8:
        await place.confirm(payment, rng.choice(("confirm", "confirm", "refuse")))
        if rng.random() < 0.7:
            await place.reconcile(payment_id)
    part = rng.randrange(1, amount + 1)
    middle: list[Callable[[str], Awaitable[Any]]] = [
        lambda request_id: place.capture(payment_id, part, request_id),
        lambda request_id: place.capture(payment_id, amount, request_id),
        lambda request_id: place.void(payment_id, request_id),
        lambda request_id: place.reconcile(payment_id),
    ]
    await some(rng.choice((1, 1, 2)), *rng.sample(middle, rng.choice((1, 2, 3))))
    if rng.random() < 0.5:
        await place.reconcile(payment_id)
    refunds = [rng.randrange(1, part + 1) for _ in range(rng.choice((0, 1, 2, 3)))]
    if refunds:
        await some(
            rng.choice((1, 2)), *(lambda request_id, m=m: place.refund(payment_id, m, request_id) for m in refunds)
        )
    payment = await place.settled(payment_id)
    assert_equal_to_the_books(place.account, payment)
    kinds = [_kind(each) for each in payment.operations]
    assert kinds.count("AUTHORIZE") == 1
    assert sum(_kind(each) == "CAPTURE" and _state(each) == "SUCCEEDED" for each in payment.operations) <= 1
    assert kinds.count("REFUND") <= len(refunds), "a refund was begun twice under one request_id"


async def _everywhere(world: World, runs: Any, run: Callable[[Place, Any], Awaitable[None]]) -> None:
    """Each run at a place of its own; the first that fails names itself."""
    waiting = iter(runs)

    async def work(place: Place) -> None:
        for each in waiting:
            try:
                await run(place, each)
            except Exception as error:
                raise AssertionError(f"{each}: {error}") from error

    async with asyncio.TaskGroup() as group:
        for place in world.places:
            group.create_task(work(place))
