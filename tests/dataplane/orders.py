"""Orders as a checkout leaves them, made in a cluster's database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dataplane.inventory import messages as stock
from dataplane.inventory import ops as inventory
from dataplane.inventory.domain import Line as StockLine
from dataplane.orders import ops
from dataplane.orders.domain import Line, Order
from dataplane.orders.messages import ADDRESS, EMAIL, RING
from shared.runtime import journal
from shared.runtime.context import CallContext, use
from shared.runtime.db import Database
from shared.runtime.ids import uuid7
from shared.runtime.vault import Vault
from tests.dataplane.cluster import Running


def line(variant_id: str = "", quantity: int = 1, unit_minor: int = 1000, **more: Any) -> Line:
    return Line(
        **{
            "id": uuid7(),
            "variant_id": variant_id or uuid7(),
            "product_id": uuid7(),
            "sku": "lamp",
            "product_title": "Lamp",
            "variant_title": "",
            "options": (),
            "quantity": quantity,
            "unit_minor": unit_minor,
            "discount_minor": 0,
            "tax_minor": 0,
            **more,
        }
    )


def order(*lines: Line, **more: Any) -> Order:
    """Whose payment is awaited."""
    now = datetime.now(UTC)
    return Order(
        **{
            "id": uuid7(),
            "number": 0,
            "currency": "EUR",
            "subtotal_minor": sum(each.amount_minor for each in lines),
            "discount_minor": sum(each.discount_minor for each in lines),
            "shipping_minor": 0,
            "tax_minor": sum(each.tax_minor for each in lines),
            "prices_include_tax": True,
            "shipping_method": "post",
            "country": "DE",
            "email": b"",
            "address": b"",
            "captures_late": False,
            "create_time": now,
            "update_time": now,
            "expire_time": now + timedelta(minutes=30),
            "lines": lines,
            **more,
        }
    )


async def begin(running: Running, db: Database, tenant_id: str, new: Order, email: str = "ann@mail.example") -> Order:
    """With its stock held, as CompleteCheckout does it."""
    vault, now = Vault(running.home, RING), datetime.now(UTC)
    sealed = {
        "email": vault.seal(tenant_id, EMAIL, email.encode()),
        "address": vault.seal(tenant_id, ADDRESS, b""),
    }
    call = CallContext(caller="checkout", tenant_id=tenant_id, method="checkout", metadata={})
    with use(call):
        async with db.transaction(tenant_id) as tx:
            lines = [StockLine(each.variant_id, each.quantity) for each in new.lines]
            outcome = await inventory.reserve(tx, tenant_id, new.id, lines, None, now=now)
            await journal.record(tx, tenant_id, stock.changes(outcome), stock.events(outcome))
            return await ops.create(tx, tenant_id, replace(new, **sealed), now=now)
