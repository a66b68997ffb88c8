"""Units set aside for work whose cost is known only afterwards: taken from the counter itself, for a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from center_sdk.decision import Code, Facts
from control.entitlements import store as entitlement_store
from control.quotas import domain, store
from control.quotas.domain import Commit, Lease, Reservation
from control.quotas.ops import Quotas
from shared.runtime.ids import uuid7


@dataclass(frozen=True, slots=True)
class Reserved:
    """reservation: None when refused; then decision_id names the refusal."""

    reservation: Reservation | None
    code: Code
    decision_id: str
    limit: int | None = None
    remaining: int | None = None
    resets_at: datetime | None = None


class Reservations:
    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas

    async def reserve(self, tx: AsyncConnection, facts: Facts, units: int, ttl: timedelta, validator: str) -> Reserved:
        """Sets units aside for what a decision of cost 0 has just allowed. A refusal is logged here."""
        now = self._quotas.clock.now()
        solution = self._quotas.terms.of(facts.solution_id)
        tier = solution.tiers.get(facts.tier) if solution is not None else None
        quota = tier.quota(facts.action) if tier is not None else None
        if solution is None or quota is None:
            decision_id = await self._quotas.log_one(tx, facts, Code.ACTION_NOT_ALLOWED, units, "", validator)
            return Reserved(None, Code.ACTION_NOT_ALLOWED, decision_id)
        limit = remaining = resets_at = None
        window = None
        if quota.limit is not None:
            window = domain.window_of(solution, quota, now)
            since = None
            if facts.kid:
                since = (await entitlement_store.get(tx, facts.entitlement_id)).create_time
            carried = await self._quotas.carried(tx, solution, quota, facts.entitlement_id, window, since)
            lease = Lease(uuid7(), facts.entitlement_id, quota.key, window.start, solution.id, 0, 0, False, now)
            made = await store.take(
                tx,
                lease,
                window,
                quota,
                validator=validator,
                wanted=units,
                least=units,
                carried=carried,
                now=now,
                leases=False,
            )
            limit = quota.limit + made.carried
            remaining, resets_at = max(0, limit - made.taken), window.end
            if made.granted < units:
                if made.outstanding:
                    key = (facts.entitlement_id, quota.key, window.start)
                    await store.recall(tx, key, solution.id, now)
                code = Code.QUOTA_EXHAUSTED if facts.kid else Code.ANONYMOUS_EXHAUSTED
                decision_id = await self._quotas.log_one(tx, facts, code, units, "", validator)
                return Reserved(None, code, decision_id, limit, remaining, resets_at)
        reservation = Reservation(
            id=uuid7(),
            entitlement_id=facts.entitlement_id,
            action=facts.action,
            quota_action=quota.key,
            window_start=window.start if window is not None else None,
            solution_id=solution.id,
            user_id=facts.user_id,
            token_kid=facts.kid,
            tier=facts.tier,
            validator=validator,
            units=units,
            state="OPEN",
            create_time=now,
            expire_time=now + ttl,
        )
        await store.add_reservation(tx, reservation)
        return Reserved(reservation, Code.ALLOWED, "", limit, remaining, resets_at)

    async def commit(self, tx: AsyncConnection, reservation_id: str, cost: int, solution_id: str | None) -> Commit:
        """Ends a reservation with its cost, in the log as well. The same cost once more is the same answer."""
        now = self._quotas.clock.now()
        found = await store.get_reservation(tx, reservation_id, solution_id)
        if found.state == "COMMITTED" and found.spent + found.short == cost:
            return Commit(found.spent, max(0, found.units - cost), found.short)
        if found.state != "OPEN" or found.expire_time <= now:
            raise domain.reservation_ended(found)
        counter = None
        if found.window_start is not None:
            counter = await store.counter(tx, found.entitlement_id, found.quota_action, found.window_start, lock=True)
        solution = self._quotas.terms.of(found.solution_id)
        tier = solution.tiers.get(found.tier) if solution is not None else None
        told = domain.commit(found, counter, tier.quotas.get(found.quota_action) if tier is not None else None, cost)
        if counter is not None:
            await store.save_counter(tx, counter)
        await store.end_reservation(tx, found, "COMMITTED", told.spent, told.short, now)
        facts = Facts(
            found.solution_id,
            found.action,
            found.token_kid,
            found.entitlement_id,
            found.user_id,
            tier=found.tier,
            revision=self._quotas.catalog.revision,
        )
        await self._quotas.log_one(tx, facts, Code.ALLOWED, told.spent, found.id, found.validator)
        return told

    async def release(self, tx: AsyncConnection, reservation_id: str, solution_id: str | None) -> int:
        """Gives everything back, and says how much that is. Releasing twice is the same answer."""
        found = await store.get_reservation(tx, reservation_id, solution_id)
        if found.state == "COMMITTED":
            raise domain.reservation_ended(found)
        if found.state == "OPEN":
            await self._release(tx, found)
        return found.units

    async def _release(self, tx: AsyncConnection, reservation: Reservation) -> None:
        if reservation.window_start is not None:
            counter = await store.counter(
                tx, reservation.entitlement_id, reservation.quota_action, reservation.window_start, lock=True
            )
            if counter is not None:
                counter.outstanding -= reservation.units
                counter.taken -= reservation.units
                await store.save_counter(tx, counter)
        await store.end_reservation(tx, reservation, "RELEASED", 0, 0, self._quotas.clock.now())

    async def expire(self, at_most: int = 100) -> int:
        async with self._quotas.db.transaction() as tx:
            overdue = await store.overdue_reservations(tx, self._quotas.clock.now(), at_most)
            for reservation in overdue:
                await self._release(tx, reservation)
        return len(overdue)
