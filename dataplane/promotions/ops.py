"""What an order does with promotions when it is placed and when it is cancelled, in its own transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.promotions import store
from dataplane.promotions.domain import Applied, Promotion, Status
from dataplane.promotions.messages import redemption_change, redemption_event
from dataplane.promotions.store import Redemption
from shared.runtime import journal
from shared.runtime.errors import FailedPrecondition
from shared.runtime.ids import uuid7


async def redeem(
    tx: AsyncConnection, tenant_id: str, order_id: str, applied: Sequence[Applied], customer_id: str, now: datetime
) -> list[Redemption]:
    """Takes of each promotion one use and what it took off, and gives what is new; the same order again has no second
    effect, whatever it says then.

    applied: Adjustments.applied of what the order was priced with. customer_id: empty for none.
    FailedPrecondition PROMOTION_LIMIT_REACHED, PROMOTION_CUSTOMER_LIMIT_REACHED, PROMOTION_BUDGET_SPENT,
    PROMOTION_NOT_ACTIVE, PROMOTION_CURRENCY_DIFFERS or REDEMPTION_GIVEN_BACK, and NotFound PROMOTION_NOT_FOUND: let it
    leave the transaction's block, and price the cart anew. Promotions are taken in the order of their ids, and held
    until the transaction ends: take them late.
    """
    new: list[Redemption] = []
    for each in sorted(applied, key=lambda each: each.promotion_id):
        wanted = Redemption(uuid7(), each.promotion_id, order_id, customer_id, each.amount, now)
        before = await store.note(tx, tenant_id, wanted)
        if before is not None and before.cancel_time is not None:
            message = "the order has given this promotion back; place a new order"
            raise FailedPrecondition("REDEMPTION_GIVEN_BACK", message, promotion_id=each.promotion_id)
        if before is not None:
            continue
        if not await store.count(tx, tenant_id, wanted):
            raise _refusal(await store.get(tx, tenant_id, each.promotion_id), each, customer_id)
        new.append(wanted)
    if new:
        changes = [redemption_change(None, redemption) for redemption in new]
        await journal.record(tx, tenant_id, changes, map(redemption_event, new))
    return new


async def give_back(tx: AsyncConnection, tenant_id: str, order_id: str, now: datetime) -> list[Redemption]:
    """Gives back all that the order has redeemed; what was given back before stays as it is."""
    given_back = await store.cancel(tx, tenant_id, order_id, now)
    if given_back:
        changes = [redemption_change(replace(each, cancel_time=None), each) for each in given_back]
        await journal.record(tx, tenant_id, changes, map(redemption_event, given_back))
    return given_back


def _refusal(promotion: Promotion, wanted: Applied, customer_id: str) -> FailedPrecondition:
    """Why the promotion, as it is by now, could not be counted."""
    used = promotion.used
    if promotion.status is not Status.ACTIVE:
        reason, why = "PROMOTION_NOT_ACTIVE", "is not active any more"
    elif promotion.currency not in ("", wanted.amount.currency):
        reason, why = "PROMOTION_CURRENCY_DIFFERS", "is in another currency"
    elif promotion.usage_limit is not None and used.uses >= promotion.usage_limit:
        reason, why = "PROMOTION_LIMIT_REACHED", "was used as often as it may be"
    elif promotion.budget_minor is not None and used.spent_minor + wanted.amount.amount_minor > promotion.budget_minor:
        reason, why = "PROMOTION_BUDGET_SPENT", "has not enough of its budget left"
    else:
        whose = "the customer has used it as often as one may" if customer_id else "it is counted by customer"
        reason, why = "PROMOTION_CUSTOMER_LIMIT_REACHED", f"is not for this order: {whose}"
    return FailedPrecondition(reason, f"promotion {promotion.id} {why}", promotion_id=promotion.id)
