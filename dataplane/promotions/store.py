"""Promotions and their redemptions in PostgreSQL. Every function runs in the caller's transaction, whose tenant the row
policies enforce."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.promotions.domain import (
    MOST_AUTOMATIC,
    Allocation,
    Attribute,
    Effect,
    Op,
    Promotion,
    Rule,
    Status,
    Target,
    Type,
    Used,
    code_key,
)
from dataplane.promotions.tables import promotion_redemptions, promotions
from shared.runtime import paging
from shared.runtime.db import constraints
from shared.runtime.errors import AlreadyExists, NotFound, PlatformError, ResourceExhausted, stale
from shared.runtime.money import Money
from shared.runtime.paging import Ordering, Value

TAKEN: Mapping[str, PlatformError] = {
    "promotions_code": AlreadyExists("CODE_TAKEN", "another promotion has this code; archive it, or choose another")
}


@dataclass(frozen=True, slots=True)
class Redemption:
    """An order's use of a promotion. cancel_time: when it was given back."""

    id: str
    promotion_id: str
    order_id: str
    customer_id: str
    amount: Money
    create_time: datetime
    cancel_time: datetime | None = None


async def get(tx: AsyncConnection, tenant_id: str, promotion_id: str, *, lock: bool = False) -> Promotion:
    stmt = select(promotions).where(promotions.c.tenant_id == tenant_id, promotions.c.id == promotion_id)
    if lock:
        # Beside redemptions that have begun and not yet counted: those only hold its key.
        stmt = stmt.with_for_update(key_share=True)
    row = (await tx.execute(stmt)).one_or_none()
    if row is None:
        raise missing(promotion_id)
    return _promotion(row)


def missing(promotion_id: str) -> NotFound:
    return NotFound("PROMOTION_NOT_FOUND", f"no promotion {promotion_id} in this shop", id=promotion_id)


async def page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Promotion], list[Value] | None]:
    """A page of promotions, and the cursor of the next one if there is more."""
    found = select(promotions).where(promotions.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_promotion(row) for row in rows], following


async def add(tx: AsyncConnection, tenant_id: str, promotion: Promotion) -> None:
    """AlreadyExists CODE_TAKEN, ResourceExhausted TOO_MANY_AUTOMATIC."""
    if promotion.automatic:
        await _refuse_too_many(tx, tenant_id)
    with constraints(TAKEN):
        of_used = {"uses": 0, "spent_minor": 0, "tenant_id": tenant_id, "id": promotion.id}
        await tx.execute(insert(promotions).values(**_values(promotion), **of_used))


async def save(tx: AsyncConnection, tenant_id: str, before: Promotion, after: Promotion) -> None:
    """Over the version just before. Aborted ETAG_MISMATCH, AlreadyExists CODE_TAKEN, ResourceExhausted
    TOO_MANY_AUTOMATIC."""
    if after.automatic and not before.automatic:
        await _refuse_too_many(tx, tenant_id)
    c = promotions.c
    place = (c.tenant_id == tenant_id) & (c.id == after.id) & (c.version == after.version - 1)
    with constraints(TAKEN):
        saved = await tx.execute(update(promotions).where(place).values(**_values(after)))
    if saved.rowcount != 1:
        raise stale("promotion", after.id)


async def _refuse_too_many(tx: AsyncConnection, tenant_id: str) -> None:
    # One at a time for each tenant, so that the number is right.
    await tx.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('promotions ' || :t, 0))"), {"t": tenant_id})
    number = (await tx.execute(_AUTOMATIC, {"tenant_id": tenant_id})).scalar_one()
    if number >= MOST_AUTOMATIC:
        message = f"a shop has at most {MOST_AUTOMATIC} automatic promotions that are not archived"
        raise ResourceExhausted("TOO_MANY_AUTOMATIC", message, limit=str(MOST_AUTOMATIC))


_AUTOMATIC = text(
    "SELECT count(*) FROM promotions "
    "WHERE tenant_id = CAST(:tenant_id AS uuid) AND automatic AND status IN ('ACTIVE', 'PAUSED')"
)


async def candidates(
    tx: AsyncConnection, tenant_id: str, codes: Sequence[str], customer_id: str, named: Sequence[str] = ()
) -> list[Promotion]:
    """What evaluate() takes for a cart: the automatic promotions, those of the codes and those that are named, with how
    often the customer has used each that is counted by customer."""
    found = await tx.execute(
        _CANDIDATES,
        {
            "tenant_id": tenant_id,
            "keys": [key for code in codes if (key := code_key(code))],
            "named": list(named),
            "customer_id": customer_id or None,
        },
    )
    return [_promotion(row) for row in found]


# One branch an index: an OR of them would read all of a large tenant's promotions.
_CANDIDATES = text(
    """
    WITH wanted AS (
        SELECT id FROM promotions
        WHERE tenant_id = CAST(:tenant_id AS uuid) AND automatic AND status IN ('ACTIVE', 'PAUSED')
        UNION
        SELECT id FROM promotions
        WHERE tenant_id = CAST(:tenant_id AS uuid) AND code_key = ANY (CAST(:keys AS text[])) AND code_key <> ''
            AND status <> 'ARCHIVED'
        UNION
        SELECT n.id FROM unnest(CAST(:named AS uuid[])) n (id)
    )
    SELECT p.*, CASE WHEN p.per_customer_limit IS NULL THEN 0 ELSE (
            SELECT count(*) FROM promotion_redemptions r
            WHERE r.tenant_id = CAST(:tenant_id AS uuid) AND r.promotion_id = p.id
                AND r.customer_id = CAST(:customer_id AS uuid) AND r.cancel_time IS NULL
        ) END AS by_customer
    FROM wanted w JOIN promotions p ON p.tenant_id = CAST(:tenant_id AS uuid) AND p.id = w.id
    """
)


async def redemptions(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Redemption], list[Value] | None]:
    found = select(promotion_redemptions).where(promotion_redemptions.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_redemption(row) for row in rows], following


async def note(tx: AsyncConnection, tenant_id: str, new: Redemption) -> Redemption | None:
    """The redemption that the order has of this promotion already; None when the new one is kept."""
    about = {
        "tenant_id": tenant_id,
        "id": new.id,
        "promotion_id": new.promotion_id,
        "order_id": new.order_id,
        "customer_id": new.customer_id or None,
        "currency": new.amount.currency,
        "amount_minor": new.amount.amount_minor,
        "create_time": new.create_time,
    }
    with constraints({"promotion_redemptions_tenant_id_promotion_id_fkey": missing(new.promotion_id)}):
        if (await tx.execute(_NOTE, about)).rowcount == 1:
            return None
    c = promotion_redemptions.c
    place = (c.tenant_id == tenant_id) & (c.promotion_id == new.promotion_id) & (c.order_id == new.order_id)
    return _redemption((await tx.execute(select(promotion_redemptions).where(place))).one())


_NOTE = text(
    """
    INSERT INTO promotion_redemptions (
        tenant_id, id, promotion_id, order_id, customer_id, currency, amount_minor, create_time
    )
    VALUES (
        CAST(:tenant_id AS uuid), CAST(:id AS uuid), CAST(:promotion_id AS uuid), CAST(:order_id AS uuid),
        CAST(:customer_id AS uuid), :currency, :amount_minor, :create_time
    )
    ON CONFLICT (tenant_id, promotion_id, order_id) DO NOTHING
    """
)


async def count(tx: AsyncConnection, tenant_id: str, new: Redemption) -> bool:
    """Counts the redemption if that keeps the promotion's limits; whether it did. Others wait for this one's commit."""
    key = {"tenant_id": tenant_id, "promotion_id": new.promotion_id}
    about = {**key, "currency": new.amount.currency, "amount_minor": new.amount.amount_minor}
    counted = (await tx.execute(_COUNT, about)).one_or_none()
    if counted is None:
        return False
    if counted.per_customer_limit is None:
        return True
    # A statement of its own: it sees what those have committed that this one has waited for.
    by_customer = await tx.execute(_BY_CUSTOMER, {**key, "customer_id": new.customer_id or None})
    return bool(0 < by_customer.scalar_one() <= counted.per_customer_limit)


_COUNT = text(
    """
    UPDATE promotions
    SET uses = uses + 1, spent_minor = spent_minor + CASE WHEN currency = '' THEN 0 ELSE :amount_minor END
    WHERE tenant_id = CAST(:tenant_id AS uuid) AND id = CAST(:promotion_id AS uuid) AND status = 'ACTIVE'
        AND currency IN ('', :currency)
        AND (usage_limit IS NULL OR uses < usage_limit)
        AND (budget_minor IS NULL OR spent_minor + :amount_minor <= budget_minor)
    RETURNING per_customer_limit
    """
)
_BY_CUSTOMER = text(
    """
    SELECT count(*) FROM promotion_redemptions
    WHERE tenant_id = CAST(:tenant_id AS uuid) AND promotion_id = CAST(:promotion_id AS uuid)
        AND customer_id = CAST(:customer_id AS uuid) AND cancel_time IS NULL
    """
)


async def cancel(tx: AsyncConnection, tenant_id: str, order_id: str, now: datetime) -> list[Redemption]:
    """Gives back what the order has redeemed and not given back, and says what that was; by promotion, so that nobody
    waits in a circle."""
    key = {"tenant_id": tenant_id, "order_id": order_id}
    given_back = [_redemption(row) for row in await tx.execute(_CANCEL, {**key, "now": now})]
    given_back.sort(key=lambda redemption: redemption.promotion_id)
    for each in given_back:
        about = {"tenant_id": tenant_id, "promotion_id": each.promotion_id, "amount_minor": each.amount.amount_minor}
        await tx.execute(_UNCOUNT, about)
    return given_back


_CANCEL = text(
    """
    UPDATE promotion_redemptions r SET cancel_time = :now
    FROM (
        SELECT id FROM promotion_redemptions
        WHERE tenant_id = CAST(:tenant_id AS uuid) AND order_id = CAST(:order_id AS uuid) AND cancel_time IS NULL
        ORDER BY promotion_id FOR UPDATE
    ) mine
    WHERE r.tenant_id = CAST(:tenant_id AS uuid) AND r.id = mine.id
    RETURNING r.id::text AS id, r.promotion_id::text AS promotion_id, r.order_id::text AS order_id,
        r.customer_id::text AS customer_id, r.currency, r.amount_minor, r.create_time, r.cancel_time
    """
)
_UNCOUNT = text(
    """
    UPDATE promotions
    SET uses = uses - 1, spent_minor = spent_minor - CASE WHEN currency = '' THEN 0 ELSE :amount_minor END
    WHERE tenant_id = CAST(:tenant_id AS uuid) AND id = CAST(:promotion_id AS uuid)
    """
)


def _values(promotion: Promotion) -> dict[str, Any]:
    """All but the key and what is counted."""
    effect = promotion.effect
    return {
        "display_name": promotion.display_name,
        "code": promotion.code,
        "code_key": code_key(promotion.code),
        "automatic": promotion.automatic,
        "priority": promotion.priority,
        "exclusive": promotion.exclusive,
        "stack_group": promotion.stack_group,
        "start_time": promotion.starts,
        "end_time": promotion.ends,
        "usage_limit": promotion.usage_limit,
        "per_customer_limit": promotion.per_customer_limit,
        "budget_minor": promotion.budget_minor,
        "currency": promotion.currency,
        "status": promotion.status.value,
        "rule_sets": [
            [[rule.attribute.value, rule.op.value, list(rule.values)] for rule in rules]
            for rules in promotion.rule_sets
        ],
        "effect_type": effect.type.value,
        "target": effect.target.value,
        "allocation": effect.allocation.value,
        "basis_points": effect.basis_points,
        "amount_minor": effect.amount_minor,
        "max_quantity": effect.max_quantity,
        "buy_quantity": effect.buy_quantity,
        "get_quantity": effect.get_quantity,
        "version": promotion.version,
        "create_time": promotion.create_time,
        "update_time": promotion.update_time,
    }


def _promotion(row: Any) -> Promotion:
    return Promotion(
        id=str(row.id),
        display_name=row.display_name,
        effect=Effect(
            Type(row.effect_type),
            Target(row.target),
            Allocation(row.allocation),
            row.basis_points,
            row.amount_minor,
            row.max_quantity,
            row.buy_quantity,
            row.get_quantity,
        ),
        create_time=row.create_time,
        update_time=row.update_time,
        code=row.code,
        automatic=row.automatic,
        priority=row.priority,
        exclusive=row.exclusive,
        stack_group=row.stack_group,
        starts=row.start_time,
        ends=row.end_time,
        usage_limit=row.usage_limit,
        per_customer_limit=row.per_customer_limit,
        budget_minor=row.budget_minor,
        currency=row.currency,
        status=Status(row.status),
        rule_sets=tuple(
            tuple(Rule(Attribute(attribute), Op(op), tuple(values)) for attribute, op, values in rules)
            for rules in row.rule_sets
        ),
        used=Used(row.uses, row.spent_minor, getattr(row, "by_customer", 0)),
        version=row.version,
    )


def _redemption(row: Any) -> Redemption:
    return Redemption(
        row.id,
        row.promotion_id,
        row.order_id,
        row.customer_id or "",
        Money(row.currency, row.amount_minor),
        row.create_time,
        row.cancel_time,
    )
