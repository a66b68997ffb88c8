"""What a payment costs beside its bare parts: the same rows by plain SQL, and the same two calls to the provider."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import stripe

from center.shared.v1 import payment_service_pb2 as pb
from center.shared.v1.payment_service_pb2_grpc import PaymentServiceStub
from dataplane.app import running
from dataplane.config import Config
from shared.payments.stripe_api import PAYMENT
from shared.runtime.ids import uuid7
from tests.bench.measure import SPREAD, percentile, ratio, show, spread_ms
from tests.dataplane.cluster import Running, entry, of
from tests.support import payments as providers
from tests.support.payments import secret

ROUNDS, PAYMENTS = 6, 30

# What the ledger keeps of an authorization and a capture: each is begun in one transaction and settled in another.
_BEGIN = (
    "INSERT INTO bare_payments VALUES (%(tenant)s, %(id)s, 'PENDING', 1250, 0, 0)",
    "INSERT INTO bare_operations VALUES (%(tenant)s, %(operation)s, %(id)s, 'AUTHORIZE', 'PENDING')",
)
_AUTHORIZED = (
    "SELECT * FROM bare_payments WHERE tenant_id = %(tenant)s AND id = %(id)s FOR UPDATE",
    "UPDATE bare_payments SET state = 'AUTHORIZED', authorized = 1250 WHERE tenant_id = %(tenant)s AND id = %(id)s",
    "UPDATE bare_operations SET state = 'SUCCEEDED' WHERE tenant_id = %(tenant)s AND id = %(operation)s",
)
_CAPTURE = (
    "SELECT * FROM bare_payments WHERE tenant_id = %(tenant)s AND id = %(id)s FOR UPDATE",
    "INSERT INTO bare_operations VALUES (%(tenant)s, %(operation)s, %(id)s, 'CAPTURE', 'PENDING')",
)
_CAPTURED = (
    "SELECT * FROM bare_payments WHERE tenant_id = %(tenant)s AND id = %(id)s FOR UPDATE",
    "UPDATE bare_payments SET state = 'CAPTURED', captured = 1250 WHERE tenant_id = %(tenant)s AND id = %(id)s",
    "UPDATE bare_operations SET state = 'SUCCEEDED' WHERE tenant_id = %(tenant)s AND id = %(operation)s",
)
_TABLES = """
CREATE TABLE bare_payments (tenant_id uuid, id uuid, state text, amount bigint, authorized bigint, captured bigint,
    PRIMARY KEY (tenant_id, id));
CREATE TABLE bare_operations (tenant_id uuid, id uuid, payment_id uuid, kind text, state text,
    PRIMARY KEY (tenant_id, id));
"""


async def test_a_payment_beside_bare_sql_and_the_same_calls(home: Path, make_database: Callable[[str], str]) -> None:
    url = make_database("bench_payments")
    async with providers.serving() as simulator, _cluster(home, url) as cluster:
        tenant = entry()
        await cluster.apply(tenant)
        account = simulator.account(tenant.id)
        stub: Any = PaymentServiceStub(cluster.channel("operator"))
        settings = pb.SetPaymentSettingsRequest(
            settings={"api_base": simulator.api_base}, secret_key=account.key, webhook_secret=secret(account)
        )
        await stub.SetPaymentSettings(settings, metadata=of(tenant.id))
        client = stripe.StripeClient(
            account.key,
            http_client=stripe.HTTPXClient(),
            base_addresses={"api": simulator.api_base},
            max_network_retries=0,
        )
        async with await psycopg.AsyncConnection.connect(url) as bare:
            await bare.execute(_TABLES)
            await bare.commit()
            mine: list[float] = []
            theirs: list[float] = []
            ratios = []
            for _ in range(ROUNDS):
                ours = [await _ours(stub, tenant.id) for _ in range(PAYMENTS)]
                plain = [await _bare(bare, client, tenant.id) for _ in range(PAYMENTS)]
                mine += ours
                theirs += plain
                ratios.append(percentile(ours, 50) / percentile(plain, 50))
    show(
        "Authorize and Capture of one payment, one after the other",
        ("", *SPREAD),
        [["PaymentService over gRPC", *spread_ms(mine)], ["bare SQL and the same HTTP calls", *spread_ms(theirs)]],
        f"of bare: {ratio(ratios)}",
    )


async def _ours(stub: Any, tenant_id: str) -> float:
    began = time.perf_counter()
    amount = {"currency_code": "EUR", "units": 12, "nanos": 500_000_000}
    request = pb.AuthorizeRequest(amount=amount, payment_method="pm_card_visa", request_id=uuid7())
    held = await stub.Authorize(request, metadata=of(tenant_id))
    capture = pb.CaptureRequest(payment_id=held.payment.id, request_id=uuid7())
    taken = await stub.Capture(capture, metadata=of(tenant_id))
    assert taken.payment.state == pb.PAYMENT_STATE_CAPTURED
    return time.perf_counter() - began


async def _bare(bare: psycopg.AsyncConnection[Any], client: stripe.StripeClient, tenant_id: str) -> float:
    began = time.perf_counter()
    key = {"tenant": tenant_id, "id": uuid7(), "operation": uuid7()}
    await _transaction(bare, _BEGIN, key)
    params: Any = {
        "amount": 1250,
        "currency": "eur",
        "capture_method": "manual",
        "confirm": True,
        "payment_method": "pm_card_visa",
        "metadata": {PAYMENT: key["id"]},
    }
    intent = await client.v1.payment_intents.create_async(params, {"idempotency_key": key["operation"]})
    await _transaction(bare, _AUTHORIZED, key)
    key["operation"] = uuid7()
    await _transaction(bare, _CAPTURE, key)
    await client.v1.payment_intents.capture_async(intent.id, {}, {"idempotency_key": key["operation"]})
    await _transaction(bare, _CAPTURED, key)
    return time.perf_counter() - began


async def _transaction(bare: psycopg.AsyncConnection[Any], statements: tuple[str, ...], key: Any) -> None:
    for statement in statements:
        await bare.execute(statement.encode(), key)
    await bare.commit()


@asynccontextmanager
async def _cluster(home: Path, url: str) -> AsyncIterator[Running]:
    config = Config(
        home=home, cluster_id="eu-1", database_url=url, address="127.0.0.1:0", control_address="127.0.0.1:1"
    )
    async with running(config) as cluster:
        started = Running("eu-1", home, url, cluster)
        yield started
        for channel in started.channels.values():
            await channel.close()
