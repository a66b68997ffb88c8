"""What a lane asks of PostgreSQL looks at few rows, however many deliveries wait and whatever the planner knows."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from shared.runtime.ids import uuid7
from shared.webhooks import store
from shared.webhooks.domain import Answer, Outcome, Verdict
from shared.webhooks.store import Claimed, Tried
from tests.dataplane.cluster import entry
from tests.dataplane.conftest import Start
from tests.dataplane.test_plans import Large, plans_of_failing

WAITING, OF_ONE = 20_000, 5_000
# What a claim and a hold look at.
LOOKED_AT = 200
LEASE = timedelta(seconds=25)

_FILL = """
WITH happened AS (
    INSERT INTO webhook_events (tenant_id, id, payload)
    SELECT %(tenant)s::uuid, gen_random_uuid(), 'x' FROM generate_series(1, %(count)s::int) RETURNING tenant_id, id
)
INSERT INTO webhook_deliveries (
    tenant_id, id, endpoint_id, event_id, event_type, event_time, aggregate, sequence, state, attempt_count,
    next_attempt_time, expire_time, last_error
)
SELECT tenant_id, gen_random_uuid(), %(endpoint)s::uuid, id, 'x.y', now(),
    'product/' || row_number() OVER () %% %(things)s::bigint, row_number() OVER (), 'PENDING', 0,
    now(), now() + interval '1 day', ''
FROM happened
"""


@dataclass
class Backlog:
    """Endpoints with deliveries that wait. many: of a thing each. one: all of one thing. held: so, too, and its first
    is due in an hour."""

    large: Large
    many: str
    one: str
    held: str


@pytest.fixture(scope="module", params=["without statistics", "with another tenant's", "with statistics"])
async def backlog(request: pytest.FixtureRequest, start: Start) -> AsyncIterator[Backlog]:
    async with start() as running:
        tenant, other = entry(), entry()
        await running.apply(tenant, other)
        with psycopg.connect(running.database_url, autocommit=True) as owner:
            owner.execute("ALTER TABLE webhook_events SET (autovacuum_enabled = off)")
            owner.execute("ALTER TABLE webhook_deliveries SET (autovacuum_enabled = off)")
            if request.param == "with another tenant's":
                _fill(owner, other.id, OF_ONE, OF_ONE)
                owner.execute("ANALYZE webhook_events, webhook_deliveries, webhook_attempts")
            many = _fill(owner, tenant.id, WAITING, WAITING)
            one, held = _fill(owner, tenant.id, OF_ONE, 1), _fill(owner, tenant.id, OF_ONE, 1)
            owner.execute(
                "UPDATE webhook_deliveries SET next_attempt_time = now() + interval '1 hour' "
                "WHERE endpoint_id = %s AND sequence = 1",
                (held,),
            )
            if request.param == "with statistics":
                owner.execute("ANALYZE webhook_events, webhook_deliveries, webhook_attempts")
        db = running.database("center_app")
        yield Backlog(Large(running, db, tenant.id), many, one, held)
        await db.close()


def _fill(owner: psycopg.Connection[Any], tenant: str, count: int, things: int) -> str:
    """A new endpoint with so many deliveries of so many things, all due. It is disabled: no lane shall empty it."""
    endpoint = uuid7()
    owner.execute(
        "INSERT INTO webhook_endpoints (tenant_id, id, url, description, state, disable_reason, secret, version, "
        "create_time, update_time) VALUES (%s, %s, '', '', 'DISABLED', '', '', 1, now(), now())",
        (tenant, endpoint),
    )
    owner.execute(_FILL, {"tenant": tenant, "endpoint": endpoint, "count": count, "things": things})
    return endpoint


def _succeeded(claimed: Claimed, now: datetime) -> Tried:
    return Tried(claimed, now, Answer(200, 0.01), Verdict(Outcome.SUCCEEDED, None), now)


def assert_few(plan: list[dict[str, Any]]) -> None:
    for node in plan:
        if str(node.get("Relation Name")).startswith("webhook_"):
            assert node["Node Type"] != "Seq Scan", node
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            assert rows * node["Actual Loops"] <= LOOKED_AT, node


@pytest.mark.parametrize("which", ["many", "one", "held"])
async def test_a_lane_looks_at_few_rows(backlog: Backlog, which: str) -> None:
    large, endpoint = backlog.large, getattr(backlog, which)
    now = datetime.now(UTC)

    async def turn(tx: Any) -> None:
        claimed = await store.claim(tx, large.tenant, endpoint, now=now, until=now + LEASE, at_most=8)
        assert len(claimed) == {"many": 8, "one": 1, "held": 0}[which]
        held = await store.hold(tx, large.tenant, endpoint, now=now, look=now + LEASE)
        assert held == (0 if which == "many" else LOOKED_AT)
        await store.record(tx, large.tenant, [_succeeded(each, now) for each in claimed], now)
        raise StopAsyncIteration

    plans = await plans_of_failing(large, turn)
    assert len(plans) >= 3
    for _, plan in plans:
        assert_few(plan)


async def test_the_first_may_go_though_many_behind_it_were_due_before(backlog: Backlog) -> None:
    large, now = backlog.large, datetime.now(UTC) + timedelta(hours=2)
    with pytest.raises(StopAsyncIteration):
        async with large.db.transaction(large.tenant) as tx:
            [first] = await store.claim(tx, large.tenant, backlog.held, now=now, until=now + LEASE, at_most=8)
            [behind] = await _next(tx, large, backlog.held, first, now)
            assert behind.id != first.id
            raise StopAsyncIteration


async def _next(tx: Any, large: Large, endpoint: str, first: Claimed, now: datetime) -> list[Claimed]:
    """What is claimed once the first is over, though what waited behind it was held."""
    assert await store.hold(tx, large.tenant, endpoint, now=now, look=now + LEASE) == LOOKED_AT
    await store.record(tx, large.tenant, [_succeeded(first, now)], now)
    return await store.claim(tx, large.tenant, endpoint, now=now, until=now + LEASE, at_most=8)
