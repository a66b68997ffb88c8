"""Asks providers about operations without an outcome: their caller was killed, or the provider did not say."""

import asyncio

import structlog

from shared.payments.ops import Payments
from shared.runtime import context as calls
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.payments")

LOOK_S = 1.0
# Due operations that one look takes, and how many providers' calls are under way at once.
MOST, AT_ONCE = 100, 8


async def run(payments: Payments, steward: Database, caller: str) -> None:
    """Until cancelled. caller: whom the audit names, such as cluster/eu-1."""
    while True:
        try:
            found = await look(payments, steward, caller)
        except PlatformError as error:
            log.info("payments wait", error=str(error))
            found = 0
        if found < MOST:
            await asyncio.sleep(LOOK_S)


async def look(payments: Payments, steward: Database, caller: str) -> int:
    """Asks about what is due now, and says how many operations that were."""
    due = await steward.once(
        "SELECT tenant_id::text, payment_id::text, id::text FROM due_payment_operations(%(most)s)", {"most": MOST}
    )
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(tenant_id: str, payment_id: str, operation_id: str) -> None:
        async with gate:
            with calls.use(calls.own_work(caller, tenant_id, "worker/payments/ask")):
                try:
                    await payments.ask(tenant_id, payment_id, operation_id)
                except PlatformError as error:
                    # Closed meanwhile, or its settings don't fit: it is due again later.
                    log.info("an operation stays open", operation=operation_id, error=str(error))

    async with asyncio.TaskGroup() as group:
        for row in due:
            group.create_task(ask(row.tenant_id, row.payment_id, row.id))
    return len(due)
