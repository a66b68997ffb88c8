"""Nothing is sold twice, charged twice or half done: the races by name, a death at each step, real kills, and schedules
at random, against real PostgreSQL and a provider that keeps books of its own.

Shoppers race for the last unit, decline, confirm and give up; callers die between any two steps and come again;
webhooks come early, late and never; time runs out. After each schedule the stock is the sum of its movements and of
what is held, the ledger says what the provider's books say, and every payment belongs to an order that lives, or was
given back.
"""

import asyncio
import os
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import psycopg
import pytest
from google.api import httpbody_pb2
from sqlalchemy import select, text

from center.control.v1.catalog_service_pb2 import CatalogTenant
from center.dataplane.v1 import checkout_service_pb2 as pb
from center.dataplane.v1 import order_service_pb2 as orders_pb
from center.dataplane.v1 import promotion_service_pb2 as promotions_pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.dataplane.v1.inventory_service_pb2_grpc import InventoryServiceStub
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from center.dataplane.v1.promotion_service_pb2_grpc import PromotionServiceStub
from center.shared.v1 import payment_service_pb2 as payments_pb
from dataplane.carts import messages as cart_messages
from dataplane.carts import store as cart_store
from dataplane.carts.domain import Cart, Code, Line
from dataplane.checkout.service import CheckoutService
from dataplane.inventory import messages as stock
from dataplane.inventory import ops as inventory
from dataplane.inventory import sweeper as stock_sweeper
from dataplane.inventory.domain import Adjustment, Kind
from dataplane.orders import messages as order_messages
from dataplane.orders.ops import Following
from dataplane.orders.service import OrderService
from dataplane.orders.worker import Sweeper
from dataplane.tenants import store as tenant_store
from dataplane.tenants.domain import State
from dataplane.tenants.service import entry as local_entry
from shared.payments import store as payment_store
from shared.payments import stripe_api
from shared.payments.messages import to_proto as payment_to_proto
from shared.payments.ops import Payments
from shared.payments.service import PaymentService
from shared.payments.simulator.books import Account
from shared.payments.simulator.faults import Fault
from shared.payments.stripe_api import PAYMENT, Stripe
from shared.payments.tables import payments as payments_table
from shared.runtime import context as calls
from shared.runtime import journal, keys
from shared.runtime.db import Database, app_url
from shared.runtime.errors import PlatformError
from shared.runtime.ids import uuid7
from shared.runtime.migrate import migrate
from shared.runtime.paging import PageTokens
from shared.runtime.vault import Vault
from tests.dataplane.checkouts import ADDRESS, EMAIL, Shop, open_for_sale
from tests.dataplane.cluster import entry, of
from tests.dataplane.test_payment_schedules import assert_equal_to_the_books
from tests.dataplane.test_payments import eur
from tests.support import payments as providers
from tests.support.cluster_process import ClusterProcess
from tests.support.dying import outcome
from tests.support.payments import Served, secret
from tests.support.platform import until

# SOAK_SCHEDULES=10000 for a long look, with other seeds every time.
SOAK = int(os.environ.get("SOAK_SCHEDULES", "0"))
SCHEDULES = SOAK or 96
FIRST_SEED = random.randrange(1 << 32) if SOAK else 0
AT_ONCE = 8
# So many schedules run at a place before its sums are checked: all of them, which costs more the more there were.
BATCH = 4
DEADLINE_S, TIMEOUT_S, LATE_S = 0.4, 0.5, 0.05
# How far a place's clock runs behind: at first, once what was held then is free, once nothing is held any more, and
# then on step by step. It never runs ahead: webhooks are signed by the real time and would be too old.
EARLY, LATER, LAST, STEP = timedelta(minutes=36), timedelta(minutes=24), timedelta(minutes=12), timedelta(minutes=1)
PRICE, STOCKED = 1000, 4
# Where a call may die: within its transaction, and between two.
IN_CHECKOUT = ("reserved", "transferred", "redeemed", "completed", "ordered")
IN_PAYMENT = ("begun", "called", "settled", "asking", "asked")
CARDS = ("pm_card_visa", "pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired")
# What goes wrong on the way, and leaves the provider willing.
ON_THE_WAY = (
    Fault.TIMEOUT,
    Fault.DROP_BEFORE,
    Fault.DROP_AFTER,
    Fault.DUPLICATE_WEBHOOK,
    Fault.LATE_WEBHOOK,
    Fault.EARLY_WEBHOOK,
    Fault.CLOCK_SKEW,
)
ACTIONS = ("start", "complete", "complete", "confirm", "again", "leave", "cancel", "refund", "time")
COMPLETED, OPEN = pb.CHECKOUT_STATE_COMPLETED, pb.CHECKOUT_STATE_PAYMENT_OPEN
BROWSER = httpx.AsyncClient()


class Behind:
    """A clock that is set."""

    def __init__(self) -> None:
        self.by = EARLY

    def now(self) -> datetime:
        return datetime.now(UTC) - self.by

    def on(self, by: timedelta) -> None:
        """Time does not run back while anything is open."""
        self.by = min(self.by, by)


@dataclass
class Place:
    """A shop with an account at the provider, where one schedule runs after the other."""

    tenant_id: str
    home: Path
    account: Account
    simulator: Served
    db: Database
    clock: Behind
    payments: Payments
    paying: PaymentService
    checkouts: CheckoutService
    orders: OrderService
    unpaid: Sweeper
    unheld: stock_sweeper.Sweeper
    # Of a product each.
    variants: list[str] = field(default_factory=list)
    # The call that gets to the place for the n-th time dies there.
    dies_at: str = ""
    dies_after: int = 0
    # So many webhooks are refused.
    deaf: int = 0
    # By the id of each cart and variant: the schedules that touched it since the sums were checked.
    touched: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    async def reached(self, place: str) -> None:
        if place == self.dies_at:
            self.dies_after -= 1
            if self.dies_after <= 0:
                self.dies_at = ""
                raise asyncio.CancelledError

    async def call(self, method: Callable[[Any, Any], Awaitable[Any]], request: Any, **metadata: str) -> Any:
        return await outcome(self.tenant_id, "race", method, request, **metadata)

    async def webhook(self, body: bytes, signature: str) -> int:
        if self.deaf:
            self.deaf -= 1
            return 503
        request = payments_pb.ReportProviderEventRequest(provider="stripe", body=httpbody_pb2.HttpBody(data=body))
        answer = await self.call(self.paying.ReportProviderEvent, request, **{"stripe-signature": signature})
        return 200 if isinstance(answer, payments_pb.ReportProviderEventResponse) else 400

    # -- what shoppers and the shop's people do

    async def carts(self, *contents: dict[str, int], code: str = "") -> list[str]:
        """New carts, ready to be checked out; (variant, options) are told apart by a suffix of the variant's id."""
        now = self.clock.now()
        vault = Vault(self.home, cart_messages.RING)
        email = vault.seal(self.tenant_id, cart_messages.EMAIL, EMAIL.encode())
        address = vault.seal(self.tenant_id, cart_messages.ADDRESS, ADDRESS.SerializeToString())
        ids = []
        async with self.db.transaction(self.tenant_id) as tx:
            for content in contents:
                lines = [(key.partition("/"), quantity) for key, quantity in content.items()]
                empty = Cart(str(uuid.uuid4()), "EUR", now, now, email=email, address=address)
                await cart_store.add(tx, self.tenant_id, empty)
                filled = Cart(
                    empty.id,
                    "EUR",
                    now,
                    now,
                    lines=tuple(
                        Line(uuid7(), variant, (("engraving", said),) if said else (), quantity)
                        for (variant, _, said), quantity in lines
                    ),
                    codes=(Code(code, code),) if code else (),
                    email=email,
                    address=address,
                )
                await cart_store.save(tx, self.tenant_id, empty, filled)
                ids.append(empty.id)
        return ids

    async def stock(self, available: dict[str, int]) -> None:
        """So many of each variant can be had."""
        now = self.clock.now()
        async with self.db.transaction(self.tenant_id) as tx:
            rows = await tx.execute(text("SELECT variant_id::text, reserved FROM stock_levels"))
            reserved = {row.variant_id: row.reserved for row in rows}
            counted = [
                Adjustment(each, "", Kind.ADJUSTED, counted=reserved.get(each, 0) + n) for each, n in available.items()
            ]
            outcome, _ = await inventory.adjust(tx, self.tenant_id, counted, now=now)
            await journal.record(tx, self.tenant_id, stock.changes(outcome), stock.events(outcome))

    async def start(self, cart_id: str) -> Any:
        return await self.call(self.checkouts.StartCheckout, pb.StartCheckoutRequest(cart_id=cart_id))

    async def complete(self, cart_id: str, total: int, card: str = "pm_card_visa", request_id: str = "") -> Any:
        request = pb.CompleteCheckoutRequest(
            cart_id=cart_id, payment_method=card, expected_total=eur(total), request_id=request_id or uuid7()
        )
        return await self.call(self.checkouts.CompleteCheckout, request)

    async def buy(self, cart_id: str, card: str = "pm_card_visa") -> Any:
        begun = await self.start(cart_id)
        if not isinstance(begun, pb.StartCheckoutResponse):
            return begun
        return await self.complete(cart_id, _total(begun), card)

    async def abandon(self, cart_id: str) -> Any:
        return await self.call(self.checkouts.AbandonCheckout, pb.AbandonCheckoutRequest(cart_id=cart_id))

    async def shown(self, cart_id: str) -> Any:
        return await self.call(self.checkouts.GetCheckout, pb.GetCheckoutRequest(cart_id=cart_id))

    async def confirm(self, cart_id: str, answer: str = "confirm") -> None:
        """As the payer does, on the bank's page."""
        shown = await self.shown(cart_id)
        if isinstance(shown, pb.GetCheckoutResponse) and shown.checkout.action_url:
            await BROWSER.post(shown.checkout.action_url, data={"answer": answer})

    async def cancel(self, cart_id: str) -> None:
        if order_id := await self.order_of(cart_id):
            await self.call(self.orders.CancelOrder, orders_pb.CancelOrderRequest(id=order_id, request_id=uuid7()))

    async def refund(self, cart_id: str, minor: int) -> Any:
        order_id = await self.order_of(cart_id)
        request = orders_pb.RefundOrderRequest(id=order_id, amount=eur(minor), reason="race", request_id=uuid7())
        return await self.call(self.orders.RefundOrder, request) if order_id else None

    async def order_of(self, cart_id: str) -> str:
        shown = await self.shown(cart_id)
        return shown.checkout.order_id if isinstance(shown, pb.GetCheckoutResponse) else ""

    # -- what happens by itself

    async def sweep(self) -> None:
        """Ends what was not paid in time, and gives back what was not bought in time."""
        now = self.clock.now()
        async with self.db.transaction(self.tenant_id) as tx:
            orders = list((await tx.execute(_DUE, {"now": now})).scalars())
            owners = list((await tx.execute(_UNHELD, {"now": now})).scalars())
        for end, ids in ((self.unpaid._end, orders), (self.unheld._expire, owners)):
            for id in ids:
                await self._swept(end, id)

    async def _swept(self, end: Callable[[str, str], Awaitable[object]], id: str) -> None:
        async def served(_: Any, __: Any) -> object:
            with calls.use(calls.own_work("cluster/eu-1", self.tenant_id, "worker/race/sweep")):
                return await end(self.tenant_id, id)

        await self.call(served, pb.GetCheckoutRequest())

    async def ask(self) -> bool:
        """Asks the provider about all that is open, as the worker does; says whether there was anything."""
        async with self.db.transaction(self.tenant_id) as tx:
            found = await payment_store.open_operations(tx, self.tenant_id, 100)

        async def served(_: Any, __: Any) -> None:
            with calls.use(calls.own_work("cluster/eu-1", self.tenant_id, "worker/race/ask")):
                for payment_id, operation_id in found:
                    await self.payments.ask(self.tenant_id, payment_id, operation_id, at_once=True)

        await self.call(served, pb.GetCheckoutRequest())
        return bool(found)

    async def settled(self) -> None:
        """Once nobody is in anybody's way any more, and all that waits has been waited for."""
        self.dies_at, self.deaf = "", 0
        self.simulator.simulator.script.clear(self.account.key)
        await self.simulator.simulator.webhooks.idle(self.account)
        self.clock.on(LAST)
        while self.clock.by >= timedelta():
            await self.ask()
            await self.simulator.simulator.webhooks.idle(self.account)
            await self.sweep()
            await self.simulator.simulator.webhooks.idle(self.account)
            async with self.db.transaction(self.tenant_id) as tx:
                now = (await tx.execute(_UNSETTLED)).one()
            # Whoever counts the stock next would hide it.
            assert not now.oversold, "oversold"
            if not now.unsettled:
                break
            self.clock.on(self.clock.by - STEP)
        else:
            raise AssertionError("something is open for ever")
        self.clock.by = EARLY

    async def problems(self) -> list[str]:
        return await problems(self.db, self.tenant_id, self.account)


async def problems(db: Database, tenant_id: str, account: Account) -> list[str]:
    """What is not as it must be, once all is settled."""
    async with db.transaction(tenant_id) as tx:
        wrong = [f"{row.what}: {row.found}" for row in await tx.execute(_PROBLEMS)]
        rows = (await tx.execute(select(payments_table))).all()
        payments = await payment_store._with_operations(tx, tenant_id, rows)
    for payment in payments:
        assert_equal_to_the_books(account, payment_to_proto(payment))
    known = {payment.id for payment in payments}
    return wrong + [f"charged for nothing: {each}" for each in account.intents.values() if _of(each) not in known]


def _of(intent: Any) -> str:
    return str(intent["metadata"].get(PAYMENT))


def _total(answer: pb.StartCheckoutResponse) -> int:
    return int(answer.checkout.total.units * 100)


_DUE = text("SELECT id::text FROM orders WHERE expire_time <= :now")
_UNHELD = text(
    "SELECT DISTINCT owner::text FROM reservations WHERE expires_at <= :now AND shipped + released < quantity"
)
_UNSETTLED = text(
    "SELECT EXISTS (SELECT FROM stock_levels WHERE reserved > on_hand) AS oversold,"
    " (SELECT count(*) FROM payment_operations WHERE state IN ('PENDING', 'UNKNOWN'))"
    " + (SELECT count(*) FROM orders WHERE state = 'PENDING_PAYMENT')"
    " + (SELECT count(*) FROM reservations WHERE expires_at IS NOT NULL AND shipped + released < quantity) AS unsettled"
)
_LIVING = "state NOT IN ('EXPIRED', 'CANCELED')"
# Each finds what must not be.
_WRONG = {
    "oversold": "SELECT * FROM stock_levels WHERE reserved > on_hand OR reserved < 0 OR backordered <> 0",
    "stock is not the sum of its movements": """
        SELECT l.variant_id, l.on_hand, l.reserved, m.* FROM stock_levels l JOIN (
            SELECT variant_id, location_id, sum(on_hand) AS moved, sum(reserved) AS held FROM stock_movements
            GROUP BY 1, 2
        ) m ON m.variant_id = l.variant_id AND m.location_id = l.location_id
        WHERE (l.on_hand, l.reserved) <> (m.moved, m.held)
    """,
    "stock is not the sum of what is held": """
        SELECT l.variant_id, l.reserved, r.held FROM stock_levels l LEFT JOIN (
            SELECT variant_id, location_id, sum(quantity - shipped - released) AS held FROM reservations GROUP BY 1, 2
        ) r ON r.variant_id = l.variant_id AND r.location_id = l.location_id WHERE l.reserved <> coalesce(r.held, 0)
    """,
    "held for nothing": f"""
        SELECT r.owner, r.variant_id FROM reservations r WHERE r.shipped + r.released < r.quantity
        AND NOT EXISTS (SELECT FROM orders o WHERE o.id = r.owner AND o.{_LIVING})
    """,
    "an order without its stock": f"""
        SELECT o.id, l.variant_id, l.wanted, r.held FROM orders o
        JOIN (SELECT order_id, variant_id, sum(quantity - withdrawn) AS wanted FROM order_lines GROUP BY 1, 2) l
            ON l.order_id = o.id
        LEFT JOIN (SELECT owner, variant_id, sum(quantity - released) AS held FROM reservations GROUP BY 1, 2) r
            ON r.owner = o.id AND r.variant_id = l.variant_id
        WHERE o.{_LIVING} AND l.wanted <> coalesce(r.held, 0)
    """,
    "a payment without an order": """
        SELECT p.id, p.state FROM payments p WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id::text = p.reference)
    """,
    "money kept for nothing": f"""
        SELECT o.id, o.state, p.state FROM orders o JOIN payments p ON p.reference = o.id::text
        WHERE NOT o.{_LIVING} AND p.state NOT IN ('FAILED', 'VOIDED', 'REFUNDED')
    """,
    "an order that is not paid for once": f"""
        SELECT o.id, o.state, array_agg(p.state) FROM orders o LEFT JOIN payments p ON p.reference = o.id::text
        WHERE o.{_LIVING} GROUP BY o.id, o.state
        HAVING count(*) FILTER (WHERE p.state NOT IN ('FAILED', 'VOIDED')) <> 1
    """,
    "a ledger that is not its payments": """
        SELECT o.id, o.paid_minor, o.refunded_minor, p.* FROM orders o JOIN (
            SELECT reference, sum(captured_minor) AS paid, sum(refunded_minor) AS refunded FROM payments GROUP BY 1
        ) p ON p.reference = o.id::text WHERE (o.paid_minor, o.refunded_minor) <> (p.paid, p.refunded)
    """,
    "refunds that are not their payments": """
        SELECT o.id, o.refunded_minor, sum(r.amount_minor) FROM orders o
        LEFT JOIN refunds r ON r.order_id = o.id AND r.state = 'SUCCEEDED' GROUP BY o.id, o.refunded_minor
        HAVING o.refunded_minor <> coalesce(sum(r.amount_minor), 0)
    """,
    "a cart that is not of its order": f"""
        SELECT c.id, c.state, o.id, o.state FROM carts c FULL JOIN orders o ON o.cart_id = c.id AND o.{_LIVING}
        WHERE (c.state = 'COMPLETED' AND o.id IS DISTINCT FROM c.order_id
            AND NOT EXISTS (SELECT FROM orders x WHERE x.id = c.order_id AND x.place_time IS NOT NULL))
        OR (c.state = 'OPEN' AND o.id IS NOT NULL)
    """,
    "an order that is not its cart": f"""
        SELECT o.id FROM orders o WHERE o.{_LIVING} AND
            (SELECT array_agg((variant_id, quantity) ORDER BY variant_id, quantity) FROM order_lines
                WHERE order_id = o.id)
            IS DISTINCT FROM (SELECT array_agg((variant_id, quantity) ORDER BY variant_id, quantity) FROM cart_lines
                WHERE cart_id = o.cart_id)
    """,
    "a promotion counted otherwise than used": f"""
        SELECT p.id, p.uses, count(r.id), count(o.id) FROM promotions p
        LEFT JOIN promotion_redemptions r ON r.promotion_id = p.id AND r.cancel_time IS NULL
        LEFT JOIN orders o ON o.id = r.order_id AND o.{_LIVING}
        GROUP BY p.id, p.uses, p.usage_limit
        HAVING p.uses <> count(r.id) OR count(r.id) <> count(o.id) OR p.uses > p.usage_limit
    """,
    "an order that is not the sum of its lines": """
        SELECT o.id FROM orders o JOIN order_lines l ON l.order_id = o.id GROUP BY o.id, o.tenant_id
        HAVING max(o.subtotal_minor) <> sum(l.amount_minor) OR max(o.discount_minor) <> sum(l.discount_minor)
            OR max(o.discount_minor) <> coalesce((SELECT sum(amount_minor) FROM order_adjustments a
                WHERE a.order_id = o.id), 0)
    """,
}
_PROBLEMS = text(
    " UNION ALL ".join(f"SELECT '{name}' AS what, f::text AS found FROM ({stmt}) f" for name, stmt in _WRONG.items())
)
_TRACES = text(
    "SELECT o.cart_id::text, o.id::text, p.id::text FROM orders o LEFT JOIN payments p ON p.reference = o.id::text"
)


@pytest.fixture(scope="module")
async def places(make_database: Callable[[str], str], home: Path) -> AsyncIterator[list[Place]]:
    """A cluster's database without its process: nobody else sweeps or asks."""
    url = make_database("races")
    await migrate(url, "dataplane", home)
    tenants = [entry() for _ in range(AT_ONCE)]
    steward = Database.connect(app_url(url, home, "center_steward"))
    await tenant_store.apply(steward, [local_entry(tenant, "eu-1") for tenant in tenants], introducing=State)
    db = Database.connect(app_url(url, home), pool_size=2 * AT_ONCE, audit_key=keys.load(home, "audit"))
    stripe = Stripe(deadline_s=DEADLINE_S)
    async with providers.serving(timeout_s=TIMEOUT_S, late_s=LATE_S) as simulator:
        yield [await _place(url, home, tenant, db, steward, stripe, simulator) for tenant in tenants]
    await stripe.close()
    await db.close()
    await steward.close()


async def _place(
    url: str, home: Path, tenant: CatalogTenant, db: Database, steward: Database, stripe: Stripe, simulator: Served
) -> Place:
    account, clock = simulator.account(tenant.id), Behind()
    place: Place

    async def reached(at: str) -> None:
        await place.reached(at)

    followed = Following(clock)
    payments = followed.payments = Payments(
        db=db,
        reads=db,
        clock=clock,
        vault=Vault(home, "payments"),
        providers={stripe_api.NAME: stripe},
        followed=followed,
        reached=reached,
    )
    tokens, sealing = PageTokens(bytes(32)), Vault(home, order_messages.RING)
    paying = PaymentService(payments=payments, tokens=tokens)
    checkouts = CheckoutService(
        db=db,
        reads=db,
        clock=clock,
        payments=payments,
        carts=Vault(home, cart_messages.RING),
        orders=sealing,
        reached=reached,
    )
    place = Place(
        tenant.id,
        home,
        account,
        simulator,
        db,
        clock,
        payments,
        paying,
        checkouts,
        OrderService(db=db, reads=db, tokens=tokens, clock=clock, vault=sealing, payments=payments),
        Sweeper(db=db, steward=steward, clock=clock, caller="cluster/eu-1", payments=payments),
        stock_sweeper.Sweeper(db=db, steward=steward, clock=clock, caller="cluster/eu-1"),
    )
    settings = payments_pb.SetPaymentSettingsRequest(
        settings={"api_base": simulator.api_base}, secret_key=account.key, webhook_secret=secret(account)
    )

    async def set_settings(request: Any, context: Any) -> Any:
        return await paying.SetPaymentSettings(request, context)

    await place.call(set_settings, settings)
    simulator.receivers[tenant.id] = place.webhook
    with psycopg.connect(url, autocommit=True) as owner:
        for _ in range(STOCKED):
            product, variant = uuid7(), uuid7()
            owner.execute(
                "INSERT INTO products (tenant_id, id, handle, title, description, status, version, create_time, "
                "update_time) VALUES (%s, %s, %s, 'Lamp', '', 'ACTIVE', 1, now(), now())",
                (tenant.id, product, f"lamp-{product[-12:]}"),
            )
            owner.execute(
                "INSERT INTO variants (tenant_id, id, product_id, position, sku, title, currency, amount_minor) "
                "VALUES (%s, %s, %s, 0, %s, '', 'EUR', %s)",
                (tenant.id, variant, product, variant, PRICE),
            )
            place.variants.append(variant)
        owner.execute(
            "INSERT INTO promotions VALUES (%s, %s, 'Tenth', 'tenth', 'tenth', false, 0, false, '', NULL, NULL, 3, "
            "NULL, NULL, '', 'ACTIVE', '[]', 'PERCENT', 'ORDER', 'ACROSS', 1000, 0, 0, 0, 0, 0, 0, 1, now(), now())",
            (tenant.id, uuid7()),
        )
    return place


async def _ended(place: Place) -> None:
    await place.settled()
    assert await place.problems() == []


def _states(answers: list[Any]) -> Counter[str]:
    """What became of each: the state of its checkout, or the reason of its refusal."""
    return Counter(
        pb.CheckoutState.Name(each.checkout.state).removeprefix("CHECKOUT_STATE_")
        if isinstance(each, pb.CompleteCheckoutResponse)
        else each.reason
        for each in answers
    )


# the races by name


async def test_of_64_shoppers_one_gets_the_last_unit(places: list[Place]) -> None:
    place = places[0]
    [lamp, *_] = place.variants
    await place.stock({lamp: 1})
    carts = await place.carts(*[{lamp: 1}] * 64)
    answers = await asyncio.gather(*map(place.buy, carts))
    assert _states(answers) == {"COMPLETED": 1, "OUT_OF_STOCK": 63}
    await _ended(place)


async def test_a_cart_that_is_completed_by_many_at_once_is_one_order(places: list[Place]) -> None:
    place = places[0]
    [lamp, *_] = place.variants
    await place.stock({lamp: 5})
    [cart_id] = await place.carts({lamp: 2})
    total = _total(await place.start(cart_id))
    answers = await asyncio.gather(*(place.complete(cart_id, total) for _ in range(8)))
    assert len({each.checkout.order_id for each in answers}) == 1
    assert {each.checkout.state for each in answers} <= {COMPLETED, OPEN}
    await _ended(place)
    assert (await place.shown(cart_id)).checkout.state == COMPLETED


async def test_bundles_that_share_an_item_take_no_more_than_there_is(places: list[Place]) -> None:
    place = places[0]
    lamp, shade, bulb, _ = place.variants
    await place.stock({lamp: 5, shade: 5, bulb: 5})
    # The shared bulb comes twice in a cart, and first, last or between others.
    bundles = [
        {bulb: 1, lamp: 1, f"{bulb}/A": 1},
        {shade: 1, f"{bulb}/B": 1, bulb: 1},
        {f"{bulb}/A": 1, shade: 1, lamp: 1, bulb: 1},
    ]
    answers = await asyncio.gather(*(place.buy(each) for each in await place.carts(*bundles * 4)))
    assert set(_states(answers)) <= {"COMPLETED", "OUT_OF_STOCK", "TRANSACTION_CONFLICT"}
    assert _states(answers)["COMPLETED"] == 2, "each takes two of five bulbs"
    await _ended(place)


@pytest.mark.parametrize("fault", [Fault.EARLY_WEBHOOK, Fault.DUPLICATE_WEBHOOK, Fault.LATE_WEBHOOK])
async def test_a_webhook_beside_the_answer_changes_nothing(places: list[Place], fault: Fault) -> None:
    place = places[0]
    [lamp, *_] = place.variants
    await place.stock({lamp: 4})
    place.simulator.fault(place.account, "", fault, times=8)
    answers = await asyncio.gather(*(place.buy(each) for each in await place.carts(*[{lamp: 1}] * 4)))
    assert _states(answers) == {"COMPLETED": 4}
    await _ended(place)


@pytest.mark.parametrize("call", ["authorize", "capture"])
async def test_a_timeout_that_was_a_success_is_charged_once(places: list[Place], call: str) -> None:
    place = places[0]
    [lamp, *_] = place.variants
    await place.stock({lamp: 1})
    place.simulator.fault(place.account, call, Fault.TIMEOUT, Fault.LATE_WEBHOOK)
    place.deaf = 1
    [cart_id] = await place.carts({lamp: 1})
    total, request_id = _total(await place.start(cart_id)), uuid7()
    first = await place.complete(cart_id, total, request_id=request_id)
    again = await place.complete(cart_id, total, request_id=request_id)
    assert first.checkout.order_id == again.checkout.order_id
    assert again.checkout.state == COMPLETED
    await _ended(place)
    assert (await place.shown(cart_id)).checkout.order_state == orders_pb.ORDER_STATE_PLACED


async def test_refunds_at_once_give_back_no_more_than_was_paid(places: list[Place]) -> None:
    place = places[0]
    [lamp, *_] = place.variants
    await place.stock({lamp: 1})
    [cart_id] = await place.carts({lamp: 1})
    await place.buy(cart_id)
    answers = await asyncio.gather(*(place.refund(cart_id, 600) for _ in range(4)))
    assert sum(isinstance(each, orders_pb.RefundOrderResponse) for each in answers) == 1
    assert {each.reason for each in answers if isinstance(each, PlatformError)} <= {"AMOUNT_EXCEEDED"}
    await _ended(place)


async def test_a_shopper_who_confirms_as_time_runs_out_has_paid_or_has_not(places: list[Place]) -> None:
    place = places[0]
    [lamp, *_] = place.variants
    for _ in range(4):
        await place.stock({lamp: 1})
        [cart_id] = await place.carts({lamp: 1})
        await place.buy(cart_id, "pm_card_authenticationRequired")
        place.clock.on(LATER)
        await asyncio.gather(place.confirm(cart_id), place.sweep(), place.abandon(cart_id))
        await _ended(place)


async def test_a_shopper_who_has_not_paid_in_time_starts_again_at_once(places: list[Place]) -> None:
    place = places[0]
    [lamp, *_] = place.variants
    await place.stock({lamp: 4})
    alone, beside, left, unsure = carts = await place.carts(*[{lamp: 1}] * 4)
    for cart_id in carts[:3]:
        await place.buy(cart_id, "pm_card_chargeDeclined")
    await place.buy(unsure, "pm_card_authenticationRequired")
    before = [await place.order_of(cart_id) for cart_id in carts]
    assert (await place.start(alone)).reason == "CART_COMPLETED", "its order may still be paid"
    place.clock.on(LATER)
    assert (await place.complete(alone, PRICE)).reason == "CHECKOUT_EXPIRED"
    assert (await place.start(unsure)).reason == "CART_COMPLETED", "its payer may have confirmed"
    assert _total(await place.start(alone)) == PRICE
    begun = await asyncio.gather(*(place.start(beside) for _ in range(4)), place.sweep())
    assert [_total(each) for each in begun[:4]] == [PRICE] * 4
    await place.abandon(left)
    assert _total(await place.start(left)) == PRICE
    for cart_id in carts[:3]:
        assert (await place.complete(cart_id, PRICE)).checkout.state == COMPLETED
    assert not {await place.order_of(cart_id) for cart_id in carts[:3]} & set(before)
    await _ended(place)


# a death at each step

DEATHS = [
    ("reserved", 1),
    ("transferred", 1),
    ("redeemed", 1),
    ("completed", 1),
    ("ordered", 1),
    # Of the authorization, then of the capture that it begins.
    ("begun", 1),
    ("called", 1),
    ("begun", 2),
    ("called", 2),
    ("settled", 1),
    ("settled", 2),
    ("asking", 1),
    ("asked", 1),
]


@pytest.mark.parametrize(("at", "nth"), DEATHS)
async def test_whoever_dies_comes_again_and_pays_once(places: list[Place], at: str, nth: int) -> None:
    place = places[0]
    [lamp, *_] = place.variants
    await place.stock({lamp: 1})
    [cart_id] = await place.carts({lamp: 1})
    if at.startswith("ask"):
        place.simulator.fault(place.account, "authorize", Fault.DROP_AFTER)
    # A webhook that overtakes the answer would do a part of it, and die in the caller's stead.
    place.deaf = 100
    place.dies_at, place.dies_after = at, nth
    begun = await place.start(cart_id)
    if at == "reserved":
        assert begun is None
        begun = await place.start(cart_id)
    request_id = uuid7()
    answers = [await place.complete(cart_id, _total(begun), request_id=request_id) for _ in range(4)]
    assert (None in answers) is (at != "reserved") and place.dies_at == "", "it died, and came again"
    assert answers[-1].checkout.state == COMPLETED
    await _ended(place)
    assert (await place.shown(cart_id)).checkout.order_state == orders_pb.ORDER_STATE_PLACED


@pytest.mark.parametrize(("at", "nth"), DEATHS)
async def test_whoever_dies_and_never_comes_again_leaves_nothing_half_done(
    places: list[Place], at: str, nth: int
) -> None:
    place = places[0]
    [lamp, *_] = place.variants
    await place.stock({lamp: 1})
    [cart_id] = await place.carts({lamp: 1})
    place.dies_at, place.dies_after = at, nth
    await place.buy(cart_id)
    await _ended(place)


# kill -9 of a real process, in the midst of a dozen calls at once


class Killable:
    """A cluster's process as tests of a running cluster see one."""

    def __init__(self, home: Path, database_url: str) -> None:
        self.home = home
        self.database_url = database_url
        self.process = ClusterProcess(home, database_url)
        self._channels: dict[str, grpc.aio.Channel] = {}

    def channel(self, identity: str) -> grpc.aio.Channel:
        if identity not in self._channels:
            self._channels[identity] = self.process.channel(identity)
        return self._channels[identity]

    def start(self) -> None:
        self._channels = {}
        self.process.start()

    @property
    def products(self) -> ProductServiceStub:
        return ProductServiceStub(self.channel("operator"))

    @property
    def inventory(self) -> InventoryServiceStub:
        return InventoryServiceStub(self.channel("operator"))


# What each call waits for when it is killed: a row that somebody holds, or the provider, which has done it by then.
HELD = {
    "start": "SELECT FROM stock_levels WHERE tenant_id = %s FOR UPDATE",
    "cart": "SELECT FROM carts WHERE tenant_id = %s FOR UPDATE",
    "transfer": "SELECT FROM reservations WHERE tenant_id = %s FOR UPDATE",
    "redeem": "SELECT FROM promotions WHERE tenant_id = %s FOR UPDATE",
    "number": "INSERT INTO order_numbers VALUES (%s, 1)",
    "abandon": "SELECT FROM stock_levels WHERE tenant_id = %s FOR UPDATE",
    "cancel": "SELECT FROM stock_levels WHERE tenant_id = %s FOR UPDATE",
    "returned": "SELECT FROM orders WHERE tenant_id = %s FOR UPDATE",
}
ASKED = {"authorize": "authorize", "capture": "capture", "refund": "refund", "void": "cancel"}
BOUGHT = ("returned", "refund", "cancel")


async def test_kill_9_in_the_midst_of_a_dozen_calls_leaves_nothing_half_done(
    make_database: Callable[[str], str], home: Path
) -> None:
    running: Any = Killable(home, make_database("kills"))
    running.start()
    db = Database.connect(app_url(running.database_url, home), audit_key=keys.load(home, "audit"))
    async with providers.serving(timeout_s=8) as simulator:
        tenants = {at: entry() for at in (*HELD, *ASKED)}
        await running.process.commands.ApplyTenants(runtime_pb.ApplyTenantsRequest(tenants=tenants.values()))
        shops: dict[str, Shop] = {}
        for at, tenant in tenants.items():
            shops[at] = await open_for_sale(running, simulator, tenant.id, webhooks=False)
        given = dict(zip(shops, await asyncio.gather(*(_ready(at, shop) for at, shop in shops.items())), strict=True))
        ids = {at: uuid7() for at in shops}

        def call(at: str) -> Awaitable[Any]:
            return _called(at, shops[at], *given[at], ids[at])

        with psycopg.connect(running.database_url) as holder:
            for at, stmt in HELD.items():
                holder.execute(stmt.encode(), (shops[at].id,))
            for at, name in ASKED.items():
                simulator.fault(shops[at].account, name, Fault.TIMEOUT)
            under_way = [asyncio.ensure_future(call(at)) for at in shops]
            await until(lambda: _all_wait(running.database_url, shops), what="every call to be where it dies")
            running.process.kill()
            assert [each.done() for each in under_way] == [False] * len(shops)
            answers = await asyncio.gather(*under_way, return_exceptions=True)
            assert all(isinstance(each, grpc.aio.AioRpcError) for each in answers)
            holder.rollback()
        running.start()
        await asyncio.gather(*map(call, shops))
        for at, shop in shops.items():
            await until(shop.reconciled, what=f"{at} to be settled")
            # What was started only is held still; that is no order's.
            if at == "start":
                await shop.abandon(given[at][0])
            assert await problems(db, shop.id, shop.account) == [], at
        placed = [(await shops[at].get(given[at][0])).state for at in ("cart", "number", "authorize", "capture")]
        assert placed == [COMPLETED] * 4
    await db.close()
    await running.process.close()


async def _ready(at: str, shop: Shop) -> tuple[str, Any]:
    """A cart, and what it costs, just before the call that is killed."""
    cart_id = await shop.cart((await shop.sells(12, stock=1), 1))
    if at == "redeem":
        promotions: Any = PromotionServiceStub(shop.running.channel("operator"))
        tenth = {"type": "PROMOTION_EFFECT_TYPE_PERCENT", "basis_points": 1000}
        new = promotions_pb.CreatePromotionRequest(promotion={"automatic": True, "effect": tenth, "usage_limit": 1})
        await promotions.CreatePromotion(new, metadata=of(shop.id))
    if at == "start":
        return cart_id, None
    total = (await shop.start(cart_id)).total
    if at in BOUGHT:
        await shop.complete(cart_id, total)
    elif at == "void":
        await shop.complete(cart_id, total, "pm_card_authenticationRequired")
    return cart_id, total


async def _called(at: str, shop: Shop, cart_id: str, total: Any, request_id: str) -> Any:
    match at:
        case "start":
            return await shop.start(cart_id, request_id=request_id)
        case "abandon" | "void":
            return await shop.abandon(cart_id, request_id)
        case "cancel":
            cancel = orders_pb.CancelOrderRequest(id=(await shop.get(cart_id)).order_id, request_id=request_id)
            return await shop.orders.CancelOrder(cancel, metadata=of(shop.id))
        case "refund" | "returned":
            refund = orders_pb.RefundOrderRequest(id=(await shop.get(cart_id)).order_id, request_id=request_id)
            return await shop.orders.RefundOrder(refund, metadata=of(shop.id))
        case _:
            return await shop.complete(cart_id, total, request_id=request_id)


async def _all_wait(database_url: str, shops: dict[str, Shop]) -> bool:
    with psycopg.connect(database_url) as owner:
        stmt = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        [locked] = owner.execute(stmt).fetchone() or (0,)
    happened = (
        shops["authorize"].account.intents,
        any(each["amount_received"] for each in shops["capture"].account.intents.values()),
        shops["refund"].account.refunds,
        any(each["status"] == "canceled" for each in shops["void"].account.intents.values()),
    )
    return locked >= len(HELD) and all(happened)


# schedules at random


async def test_no_schedule_oversells_charges_twice_or_leaves_an_orphan(places: list[Place]) -> None:
    end = FIRST_SEED + SCHEDULES
    waiting = iter(range(FIRST_SEED, end, BATCH))

    async def work(place: Place) -> None:
        for first in waiting:
            for seed in range(first, min(first + BATCH, end)):
                try:
                    await _at_random(place, seed)
                except Exception as error:
                    raise AssertionError(f"seed {seed}: {error}") from error
            await _checked(place)

    async with asyncio.TaskGroup() as group:
        for place in places:
            group.create_task(work(place))


async def _checked(place: Place) -> None:
    """What is wrong after a batch is told with the schedules that had to do with it."""
    try:
        wrong = await place.problems()
    except AssertionError as error:
        wrong = [str(error)]
    if wrong:
        async with place.db.transaction(place.tenant_id) as tx:
            for cart_id, *others in await tx.execute(_TRACES):
                for each in filter(None, others):
                    place.touched[each] |= place.touched.get(cart_id, set())
        said = "\n".join(wrong)
        seeds = {seed for id, seeds in place.touched.items() if id in said for seed in seeds}
        raise AssertionError(f"seeds {sorted(seeds or set().union(*place.touched.values()))}: {said}")
    place.touched.clear()


async def _at_random(place: Place, seed: int) -> None:
    rng = random.Random(seed)
    for call in ("authorize", "capture", "refund", "cancel"):
        for _ in range(rng.choice((0, 0, 0, 1, 2))):
            place.simulator.fault(place.account, call, *rng.sample(ON_THE_WAY, rng.choice((1, 1, 2))))
    scarce = rng.sample(place.variants, 2)
    await place.stock({each: rng.choice((1, 1, 2, 3)) for each in scarce})
    contents = [
        {each: rng.choice((1, 1, 2)) for each in rng.sample([*scarce, f"{scarce[0]}/A"], rng.choice((1, 1, 2, 3)))}
        for _ in range(rng.choice((1, 2, 3, 4)))
    ]
    carts = await place.carts(*contents, code=rng.choice(("", "", "tenth")))
    for each in (*scarce, *carts):
        place.touched[each].add(seed)

    async def shopper(cart_id: str) -> None:
        total = 0
        for _ in range(rng.choice((2, 3, 4))):
            if rng.random() < 0.3:
                place.dies_at, place.dies_after = rng.choice((*IN_CHECKOUT, *IN_PAYMENT)), rng.choice((1, 1, 2))
            place.deaf += rng.random() < 0.1
            match rng.choice(ACTIONS):
                case "start" | "complete" if not total:
                    begun = await place.start(cart_id)
                    total = _total(begun) if isinstance(begun, pb.StartCheckoutResponse) else 0
                    if total:
                        await place.complete(cart_id, total, rng.choice(CARDS))
                case "complete" | "again" | "start":
                    ids = rng.choice(([uuid7()] * 2, [uuid7(), uuid7()], [uuid7()]))
                    await asyncio.gather(*(place.complete(cart_id, total, rng.choice(CARDS), each) for each in ids))
                case "confirm":
                    await place.confirm(cart_id, rng.choice(("confirm", "confirm", "refuse")))
                case "leave":
                    await place.abandon(cart_id)
                    total = 0
                case "cancel":
                    await place.cancel(cart_id)
                case "refund":
                    await asyncio.gather(*(place.refund(cart_id, rng.randrange(1, 1500)) for _ in range(2)))
                case _:
                    if rng.random() < 0.3:
                        # Nothing is held any more from now on, and nothing that was begun may be paid.
                        place.clock.on(LATER)
                    await asyncio.gather(place.sweep(), place.ask())

    if rng.random() < 0.7:
        await asyncio.gather(*map(shopper, carts))
    else:
        for cart_id in carts:
            await shopper(cart_id)
    await place.settled()
