"""Shoppers who pay while their shop moves to and fro between two clusters, and what they have afterwards."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import psycopg

from center.shared.v1 import payment_service_pb2 as payments_pb
from shared.payments.simulator.faults import Fault
from shared.runtime.ids import uuid7
from tests.dataplane.checkouts import open_for_sale
from tests.dataplane.cluster import Running, entry, move
from tests.dataplane.test_checkout import CAPTURED, COMPLETED, CONFIRMED, OPEN
from tests.dataplane.test_checkout import simulator as simulator
from tests.dataplane.test_checkout_races import problems
from tests.dataplane.test_payments import Shop as Paid
from tests.support.grpc import refusal_of, refuses
from tests.support.payments import Served
from tests.support.platform import until

SHOPPERS, EACH = 3, 6
# What a shopper is told while the shop moves: that it will be there, so come again.
RETRYABLE = {("UNAVAILABLE", "TENANT_MOVING")}

Answer = TypeVar("Answer")


async def test_orders_of_before_during_and_after_a_move_are_all_there(
    eu: Running, us: Running, simulator: Served
) -> None:
    new = entry()
    await eu.apply(new)
    shop = await open_for_sale(eu, simulator, new.id)
    paid = Paid(eu, simulator, new.id, shop.account)
    simulator.receivers[new.id] = paid.receive
    lamp = await shop.sells(12, stock=1000)
    told: Counter[tuple[str, str]] = Counter()
    acknowledged: dict[str, str] = {}
    over = False

    async def insist(call: Callable[..., Awaitable[Answer]], *arguments: Any, **named: str) -> Answer:
        while True:
            try:
                return await call(*arguments, **named)
            except grpc.aio.AioRpcError as error:
                refusal = refusal_of(error)
                told[refusal.code.name, refusal.reason] += 1
                assert (refusal.code.name, refusal.reason) in RETRYABLE, refusal
                await asyncio.sleep(0.05)

    async def shopper() -> None:
        while not over:
            cart_id = await insist(shop.cart, (lamp, 1))
            total, request_id = (await insist(shop.start, cart_id)).total, uuid7()
            done = await insist(shop.complete, cart_id, total, request_id=request_id)
            assert done.state == COMPLETED, done
            acknowledged[cart_id] = done.order_id

    def served_by(cluster: Running) -> None:
        shop.running = paid.running = cluster

    async with asyncio.TaskGroup() as shoppers:
        for _ in range(SHOPPERS):
            shoppers.create_task(shopper())
        for source, target in ((eu, us), (us, eu)):
            goal = len(acknowledged) + EACH
            await until(lambda n=goal: len(acknowledged) >= n, what="some orders")  # type: ignore[misc]
            await move(source, target, shop.id, lambda to=target: served_by(to))  # type: ignore[misc]
        goal = len(acknowledged) + EACH
        await until(lambda: len(acknowledged) >= goal, what="some orders")
        over = True
    assert told, "nobody came while the shop moved"
    await shop.simulator.simulator.webhooks.idle(shop.account)
    await until(shop.reconciled, what="all to be settled")
    db = eu.database("center_app")
    assert await problems(db, shop.id, shop.account) == []
    await db.close()
    with psycopg.connect(eu.database_url) as here, psycopg.connect(us.database_url) as there:
        kept = "SELECT cart_id::text, id::text, number FROM orders WHERE tenant_id = %s AND state = 'PLACED'"
        found = here.execute(kept, (shop.id,)).fetchall()
        assert {cart: order for cart, order, _ in found} == acknowledged
        assert len({number for _, _, number in found}) == len(found) == len(shop.account.intents)
        assert there.execute("SELECT count(*) FROM orders WHERE tenant_id = %s", (shop.id,)).fetchone() == (0,)
    assert await shop.level(lamp) == (1000, len(found))


async def test_what_was_begun_at_one_place_is_ended_at_the_other(eu: Running, us: Running, simulator: Served) -> None:
    """A request that was answered, a payment of which nobody knows what became, and one that waits for its shopper."""
    new = entry()
    await eu.apply(new)
    shop = await open_for_sale(eu, simulator, new.id, webhooks=False)
    lamp = await shop.sells(12, stock=10)

    async def begun() -> tuple[str, Any, str]:
        cart_id = await shop.cart((lamp, 1))
        return cart_id, (await shop.start(cart_id)).total, uuid7()

    (answered, total, request_id), unknown, unconfirmed = [await begun() for _ in range(3)]
    done = await shop.complete(answered, total, request_id=request_id)
    waiting = await shop.complete(unconfirmed[0], total, CONFIRMED, unconfirmed[2])
    # Whoever asks at the first place asks in vain.
    simulator.fault(shop.account, "authorize", Fault.DROP_AFTER, times=1000)
    lost = await shop.complete(unknown[0], total, request_id=unknown[2])
    assert (done.state, waiting.state, lost.state) == (COMPLETED, OPEN, OPEN)
    intents = set(shop.account.intents)

    def served_by_us() -> None:
        shop.running = us

    await move(eu, us, shop.id, served_by_us)
    [payment] = await shop.payments(lost.order_id)
    assert [each.state for each in payment.operations] == [payments_pb.PAYMENT_OPERATION_STATE_UNKNOWN]
    simulator.simulator.script.clear(shop.account.key)

    # Before anybody has claimed it there.
    async with refuses("FAILED_PRECONDITION", "REQUEST_ID_REUSED"):
        await shop.complete(answered, total, "pm_card_mastercard", request_id)
    assert await shop.complete(answered, total, request_id=request_id) == done
    paid = await shop.complete(unknown[0], total, request_id=unknown[2])
    assert (paid.state, paid.order_id) == (COMPLETED, lost.order_id)
    await shop.abandon(unconfirmed[0])
    await until(shop.reconciled, what="all to be settled")
    ends = [(await shop.payments(each.order_id))[0].state for each in (done, paid, waiting)]
    assert ends == [CAPTURED, CAPTURED, payments_pb.PAYMENT_STATE_VOIDED]
    assert set(shop.account.intents) == intents and len(intents) == 3, "paid twice"
    taken = sorted((each["status"], each["amount_received"]) for each in shop.account.intents.values())
    assert taken == [("canceled", 0), ("succeeded", 1200), ("succeeded", 1200)]
    db = us.database("center_app")
    assert await problems(db, shop.id, shop.account) == []
    await db.close()
    assert await shop.level(lamp) == (10, 2)
