"""Shoppers who pay while their shop moves to and fro between two clusters, and what they have afterwards."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import psycopg

from shared.runtime.ids import uuid7
from tests.dataplane.checkouts import open_for_sale
from tests.dataplane.cluster import Running, entry, move
from tests.dataplane.test_checkout import COMPLETED
from tests.dataplane.test_checkout import simulator as simulator
from tests.dataplane.test_checkout_races import problems
from tests.dataplane.test_payments import Shop as Paid
from tests.support.grpc import refusal_of
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
