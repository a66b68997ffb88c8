"""The relay beside bare batches of publish_async, and how long after its commit an event has had its effect."""

import asyncio
import itertools
import time
from typing import Any

import psycopg

from shared.runtime.events.consumer import Event
from shared.runtime.ids import uuid7
from tests.bench.measure import SPREAD, ms, percentile, show, spread_ms
from tests.shared.test_events import Stage, _one_secret, beside, broker, nats_home, stage
from tests.support.events import TENANT

__all__ = ["_one_secret", "broker", "nats_home", "stage"]

ROUNDS = 3
EVENTS = 10_000
BATCH = 500
PAYLOAD = bytes(512)
SUBJECT = f"ev.dataplane.{TENANT}.product.updated.v1"
BAR = 0.6
A_SECOND = 500
SECONDS = 12
BAR_MS = 250

_FILL = """
INSERT INTO outbox (create_time, id, subject, payload, aggregate, sequence)
SELECT now(), gen_random_uuid(), %(subject)s, %(payload)s, 'a' || n, 1 FROM generate_series(1, %(count)s) n
"""
_ONE = "INSERT INTO outbox (create_time, id, subject, payload, aggregate, sequence) VALUES (now(), %s, %s, '', %s, 1)"


async def _raw(stage: Stage) -> float:
    """Events a second of batches that wait for all their acknowledgements."""
    async with stage.broker.broker("cluster/eu-1").connected() as connection:
        await connection.ensure("DATA")
        began = time.perf_counter()
        for _ in range(EVENTS // BATCH):
            acks = [
                await connection.js.publish_async(SUBJECT, PAYLOAD, headers={"Nats-Msg-Id": uuid7()})
                for _ in range(BATCH)
            ]
            await asyncio.gather(*acks)
        return EVENTS / (time.perf_counter() - began)


async def _relayed(stage: Stage) -> float:
    """Events a second that stand in the outbox when the relay begins to read."""
    with psycopg.connect(stage.url) as owner:
        owner.execute(_FILL, {"subject": SUBJECT, "payload": PAYLOAD, "count": EVENTS})
    times: list[float] = []
    done = asyncio.Event()
    left = EVENTS

    async def boundary(place: str) -> None:
        nonlocal left
        if place == "began":
            times.append(time.perf_counter())
        if place == "acknowledged":
            left -= 1_000
            if left <= 0:
                done.set()

    async with beside(stage.relay(boundary=boundary).run()):
        async with asyncio.timeout(60):
            await done.wait()
        return EVENTS / (time.perf_counter() - times[0])


async def test_the_relay_is_not_far_from_publishing_alone(stage: Stage) -> None:
    raw, relayed = [], []
    for _ in range(ROUNDS):
        raw.append(await _raw(stage))
        relayed.append(await _relayed(stage))
    ratios = sorted(ours / theirs for ours, theirs in zip(relayed, raw, strict=True))
    rows = [
        [f"round {n + 1}", f"{theirs:,.0f}", f"{ours:,.0f}", f"{ours / theirs:.2f}"]
        for n, (ours, theirs) in enumerate(zip(relayed, raw, strict=True))
    ]
    show("Relay", ("", "publish_async/s", "relay/s", "ratio"), rows, f"bar {BAR}")
    assert ratios[ROUNDS // 2] >= BAR


async def test_an_event_has_its_effect_soon_after_its_commit(stage: Stage) -> None:
    committed: dict[str, float] = {}
    took: list[float] = []
    batch: list[str] = []
    numbers = itertools.count()

    async def apply(tx: Any, event: Event) -> None:
        batch.append(event.id)

    async def boundary(place: str) -> None:
        if place == "committed":
            now = time.perf_counter()
            took.extend(now - committed[id] for id in batch if id in committed)
            batch.clear()

    relay = stage.relay()

    async def speak() -> None:
        async with await psycopg.AsyncConnection.connect(stage.url, autocommit=True) as connection:
            while (number := next(numbers)) < A_SECOND * SECONDS:
                await asyncio.sleep(max(0.0, began + number / A_SECOND - time.perf_counter()))
                id = uuid7()
                # From before the commit: what is measured is never less than what it was.
                committed[id] = time.perf_counter()
                await connection.execute(_ONE, (id, SUBJECT, f"a{number}"), prepare=True)
                relay.wake()

    async with beside(relay.run(), stage.consumer(apply=apply, boundary=boundary).run()):
        await stage.say("first")
        await asyncio.sleep(1)
        began = time.perf_counter()
        await asyncio.gather(*(speak() for _ in range(8)))
        rate = len(committed) / (time.perf_counter() - began)
        async with asyncio.timeout(20):
            while len(took) < len(committed):
                await asyncio.sleep(0.05)
    rows = [[f"{rate:,.0f} a second", *spread_ms(took)]]
    show("Commit to effect", ("", *SPREAD), rows, f"p99 at most {BAR_MS} ms; was {ms(percentile(took, 99))}")
    assert percentile(took, 99) * 1000 <= BAR_MS
