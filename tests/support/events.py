"""A database with an outbox and an inbox, who speaks into the one, and the processes that carry it to the other.

As a program it is one such process: `python -m tests.support.events ROLE HOME DATABASE_URL NATS_URL [PLACE:N]`, a relay
or a consumer, which kills itself the N-th time that it comes to the named place.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1.product_service_pb2 import Product
from shared.runtime.db import Database, app_url
from shared.runtime.events import relay
from shared.runtime.events.boundary import Boundary
from shared.runtime.events.broker import Broker
from shared.runtime.events.consumer import Consumer, Event, Subscription
from shared.runtime.events.relay import Outbox, Relay
from shared.runtime.ids import uuid7

# The control plane's tables have both an outbox and an inbox; what is said is the data plane's.
OUTBOX = Outbox(
    "dataplane", "/center/cluster/test", "id::text, create_time, subject, aggregate, sequence, payload, trace_id"
)
TENANT = "0192d3a0-0000-7000-8000-00000000000a"
SUBSCRIPTION = Subscription("effects", "dataplane", backoff_s=(0.1, 0.2), stall_s=2.0)

TABLES = """
CREATE TABLE aggregates (id text PRIMARY KEY, version bigint NOT NULL);
CREATE TABLE said (id uuid PRIMARY KEY, aggregate text NOT NULL, sequence bigint NOT NULL);
CREATE TABLE effects (n bigserial, id uuid NOT NULL, aggregate text NOT NULL, sequence bigint NOT NULL);
GRANT ALL ON aggregates, said, effects, effects_n_seq TO center_app;
"""

_SAY = """
WITH one AS (
    INSERT INTO aggregates VALUES (%(aggregate)s, 1)
    ON CONFLICT (id) DO UPDATE SET version = aggregates.version + 1 RETURNING version
), noted AS (
    INSERT INTO said SELECT %(id)s, %(aggregate)s, version FROM one
)
INSERT INTO outbox (create_time, id, subject, payload, aggregate, sequence)
SELECT now(), %(id)s, %(subject)s, %(payload)s, %(aggregate)s, version FROM one
"""


# 2,700 events of 27 aggregates, written down backwards.
BACKLOG = """
WITH new AS (
    INSERT INTO said SELECT gen_random_uuid(), 'b' || n %% 27, 1 + n / 27 FROM generate_series(2699, 0, -1) n
    RETURNING *
)
INSERT INTO outbox (create_time, id, subject, payload, aggregate, sequence)
SELECT now(), id, %(subject)s, '', aggregate, sequence FROM new
"""


async def say(
    connection: psycopg.AsyncConnection[Any], aggregate: str, *, type: str = "product.updated.v1", payload: bytes = b""
) -> str:
    """One change to an aggregate and its event, in the transaction of the connection; the event's id."""
    id = uuid7()
    subject = f"ev.dataplane.{TENANT}.{type}"
    payload = payload or Product(id=aggregate, title="said").SerializeToString()
    await connection.execute(_SAY, {"id": id, "aggregate": aggregate, "subject": subject, "payload": payload})
    return id


async def speak(url: str, count: int, aggregates: Sequence[str], rng: random.Random, pause_s: float = 0.0) -> None:
    """Says `count` events through every failure, some of them in transactions that commit late."""
    said = 0
    while said < count:
        with contextlib.suppress(psycopg.Error, OSError):
            async with await psycopg.AsyncConnection.connect(url, connect_timeout=5) as connection:
                while said < count:
                    some = sorted({rng.choice(aggregates) for _ in range(rng.randint(1, 20))})[: count - said]
                    for aggregate in some:
                        await say(connection, aggregate)
                    if rng.random() < 0.2:
                        await asyncio.sleep(rng.random() * 0.1)
                    await connection.commit()
                    said += len(some)
                    await asyncio.sleep(pause_s)
        await asyncio.sleep(0.05)


async def apply(tx: AsyncConnection, event: Event) -> None:
    """Refuses what is titled so, until it is no longer."""
    await tx.execute(
        text("INSERT INTO effects (id, aggregate, sequence) VALUES (:id, :aggregate, :sequence)"),
        {"id": event.id, "aggregate": event.aggregate, "sequence": event.sequence},
    )


def make_relay(home: Path, url: str, nats_url: str, boundary: Boundary | None = None, **more: Any) -> Relay:
    extra = {"boundary": boundary} if boundary else {}
    broker = Broker(home, "cluster/eu-1", nats_url)
    return Relay(app_url(url, home, relay.ROLE), OUTBOX, broker, **extra, **more)


def make_consumer(
    home: Path,
    url: str,
    nats_url: str,
    db: Database,
    *,
    subscription: Subscription = SUBSCRIPTION,
    apply: Any = apply,
    boundary: Boundary | None = None,
) -> Consumer:
    extra = (boundary,) if boundary else ()
    return Consumer(subscription, apply, db, app_url(url, home), Broker(home, "control", nats_url), *extra)


def process(role: str, home: Path, url: str, nats_url: str, dies: str = "") -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "tests.support.events", role, str(home), url, nats_url, *([dies] if dies else [])]
    return subprocess.Popen(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'proto/gen'}:{root / 'shared/sdk'}"},
        stderr=(home / f"{role}.log").open("ab"),
    )


def dying(where: str) -> Boundary:
    place, _, times = where.partition(":")
    left = int(times)

    async def boundary(here: str) -> None:
        nonlocal left
        if here == place:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return boundary


async def main() -> None:
    role, home, url, nats_url, *dies = sys.argv[1:]
    boundary = dying(dies[0]) if dies else None
    if role == "relay":
        await make_relay(Path(home), url, nats_url, boundary).run()
        return
    db = Database.connect(app_url(url, Path(home)))
    await make_consumer(Path(home), url, nats_url, db, boundary=boundary).run()


if __name__ == "__main__":
    asyncio.run(main())
