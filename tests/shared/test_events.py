"""Events from an outbox through NATS into effects, with everything that may die on the way dying."""

import asyncio
import contextlib
import os
import random
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats.errors
import psycopg
import pytest

from center.dataplane.v1.product_service_pb2 import Product
from center.shared.v1 import rules_pb2
from shared.runtime import context, keys, pki
from shared.runtime.db import Database, app_url
from shared.runtime.errors import InvalidArgument, PermissionDenied
from shared.runtime.events import dead
from shared.runtime.events.consumer import Event, Subscription
from shared.runtime.events.reading import Events
from shared.runtime.migrate import migrate
from tests.conftest import IDENTITIES
from tests.support import events as support
from tests.support.events import TENANT, make_consumer, make_relay, process, say, speak
from tests.support.nats import Nats
from tests.support.platform import until
from tests.support.postgres import Postgres

# `make soak` gives more of both.
N = int(os.environ.get("SOAK_EVENTS", "2000"))
HELD_S = float(os.environ.get("SOAK_S", "0"))
AGGREGATES = [f"a{n}" for n in range(60)]


@pytest.fixture(scope="module")
def nats_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="center-test-nats-") as folder:
        pki.ensure(Path(folder), IDENTITIES)
        yield Path(folder)


@pytest.fixture(scope="module")
def broker(nats_home: Path) -> Iterator[Nats]:
    server = Nats(nats_home)
    server.start()
    yield server
    server.stop()


class Stage:
    """A database with its outbox and inbox, and a NATS that is empty at the start."""

    def __init__(self, url: str, broker: Nats) -> None:
        self.url = url
        self.broker = broker
        self.home = broker.home
        self.db = Database.connect(app_url(url, self.home))

    async def prepare(self) -> None:
        await migrate(self.url, "control", self.home)
        with psycopg.connect(self.url) as owner:
            owner.execute(support.TABLES)
        async with self.broker.broker("operator").connected() as connection:
            for stream in await connection.js.streams_info():
                await connection.js.delete_stream(str(stream.config.name))

    def relay(self, **more: Any) -> Any:
        return make_relay(self.home, self.url, self.broker.url, **more)

    def consumer(self, **more: Any) -> Any:
        return make_consumer(self.home, self.url, self.broker.url, self.db, **more)

    async def say(self, *aggregates: str, **more: Any) -> list[str]:
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            return [await say(connection, aggregate, **more) for aggregate in aggregates]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, connect_timeout=5) as owner:
            return owner.execute(statement.encode()).fetchall()

    def missing(self) -> int:
        # What had two effects in the place of another's one is found by check().
        [(count,)] = self.rows("SELECT (SELECT count(*) FROM said) - (SELECT count(*) FROM effects)")
        return int(count)

    async def all_applied(self, within_s: float = 30) -> None:
        def applied() -> bool:
            with contextlib.suppress(psycopg.Error):
                return self.missing() == 0
            return False

        await until(applied, within_s, "every event to have its effect")

    def check(self, count: int) -> None:
        """Each event had one effect, those of an aggregate in their order."""
        effects = self.rows("SELECT id::text, aggregate, sequence FROM effects ORDER BY n")
        assert len(effects) == len({id for id, _, _ in effects}) == count
        for aggregate in {aggregate for _, aggregate, _ in effects}:
            mine = [sequence for _, of, sequence in effects if of == aggregate]
            assert mine == list(range(1, len(mine) + 1)), aggregate


@pytest.fixture
async def stage(make_database: Callable[[str], str], broker: Nats) -> AsyncIterator[Stage]:
    # The roles' passwords are those of the home, and the server is shared: so is its home's secret.
    made = Stage(make_database("events"), broker)
    await made.prepare()
    yield made
    await made.db.close()


@pytest.fixture(scope="module", autouse=True)
def _one_secret(home: Path, nats_home: Path) -> None:
    """One PostgreSQL server has one password a role: the certificates are our own, the secrets are the session's."""
    keys.load(home, "database")
    (nats_home / "secrets").symlink_to(home / "secrets")


@contextlib.asynccontextmanager
async def beside(*jobs: Any) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_is_committed_has_its_effect_once_and_in_order(stage: Stage) -> None:
    async with beside(stage.relay().run(), stage.relay().run(), stage.consumer().run()):
        rng = random.Random(1)
        await asyncio.gather(*(speak(stage.url, 100, AGGREGATES, rng) for _ in range(4)))
        await stage.all_applied()
    stage.check(400)


async def test_an_event_that_commits_late_is_not_skipped_and_holds_up_no_other(stage: Stage) -> None:
    async with beside(stage.relay().run(), stage.consumer().run()):
        async with await psycopg.AsyncConnection.connect(stage.url) as late:
            first = await say(late, "late")
            await stage.say("early")
            await until(lambda: stage.rows("SELECT aggregate FROM effects") == [("early",)])
            await stage.say("early")
            await until(lambda: len(stage.rows("SELECT FROM effects")) == 2)
            # Its partition's events are out, but for one that nobody sees yet.
            [(position,)] = await until(lambda: stage.rows("SELECT position FROM outbox_position"))
            assert position
            await late.commit()
        await until(lambda: stage.rows(f"SELECT aggregate FROM effects WHERE id = '{first}'") == [("late",)])
    stage.check(3)


async def test_an_event_is_not_sent_before_the_one_before_it_is_acknowledged(stage: Stage) -> None:
    stream: list[int] = []

    async def boundary(place: str) -> None:
        if place == "acknowledged":
            async with stage.broker.broker("operator").connected() as connection:
                stream.append((await connection.js.stream_info("DATA")).state.messages)

    await stage.say("a", "a", "b", "a", "c")
    async with beside(stage.relay(boundary=boundary).run(), stage.consumer().run()):
        await stage.all_applied()
        # The last event may have its effect before the relay has heard that it is kept.
        await until(lambda: len(stream) == 3)
    assert stream == [3, 4, 5]
    stage.check(5)


async def test_who_was_told_to_end_ends_though_the_word_was_lost_on_the_way(stage: Stage) -> None:
    async def lose(place: str) -> None:
        """As asyncio.wait_for does when an answer comes at the same moment."""
        if place == "read":
            relaying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)

    relaying = asyncio.ensure_future(stage.relay(boundary=lose).run())
    await stage.say("a")
    async with asyncio.timeout(20):
        await asyncio.wait([relaying])
    assert relaying.cancelled()


async def test_far_behind_the_relay_goes_through_all_there_is_in_order(stage: Stage) -> None:
    with psycopg.connect(stage.url) as owner:
        owner.execute(support.BACKLOG, {"subject": f"ev.dataplane.{TENANT}.product.updated.v1"})
    async with beside(stage.relay().run(), stage.consumer().run()):
        await stage.all_applied()
    stage.check(2_700)


async def test_a_failing_event_holds_up_its_own_aggregate_only_and_is_dead_in_the_end(stage: Stage) -> None:
    poison = b""

    async def apply(tx: Any, event: Event) -> None:
        if event.aggregate == "bad" and event.sequence == 1 and not poison:
            raise RuntimeError("cannot be applied")
        await support.apply(tx, event)

    await stage.say("bad", "good")
    await stage.say("bad", "good")
    async with beside(stage.relay().run(), stage.consumer(apply=apply).run()):
        await until(lambda: len(stage.rows("SELECT FROM effects")) == 3)
        found = stage.rows("SELECT aggregate, sequence FROM effects ORDER BY n")
        assert found == [("good", 1), ("good", 2), ("bad", 2)]
        async with stage.broker.broker("operator").connected() as connection:
            [letter] = [each async for each in dead.letters(connection)]
            assert (letter.consumer, letter.tries, letter.subject.name) == ("effects", 3, "product.updated")
            assert "cannot be applied" in letter.error
            poison = b"cured"
            await dead.replay(connection, letter.sequence)
            await until(lambda: stage.missing() == 0)
            assert [each async for each in dead.letters(connection)] == []


async def test_an_event_that_nobody_understands_is_dead_at_once_and_unknown_fields_pass(stage: Stage) -> None:
    newer = Product(id="x", title="newer").SerializeToString() + b"\xfa\x7f\x03new"
    async with beside(stage.relay().run(), stage.consumer().run()):
        await stage.say("a", type="product.updated.v2")
        await stage.say("b", type="moon.landed.v1")
        await stage.say("c", payload=b"\xff\xff")
        await stage.say("e", type="product. .v1")
        [fine] = await stage.say("d", payload=newer)
        await until(lambda: stage.rows("SELECT id::text FROM effects") == [(fine,)])
        async with stage.broker.broker("operator").connected() as connection:

            async def buried() -> bool:
                return len([each async for each in dead.letters(connection)]) == 4

            await until(buried)
            errors = [each.error async for each in dead.letters(connection, "effects")]
            [nameless] = [each async for each in dead.letters(connection, "relay")]
            assert "no part of a subject" in nameless.error
    assert "product.updated.v2" in errors[0]
    assert "moon.landed.v1" in errors[1]
    assert "center.dataplane.v1.Product" in errors[2]


async def test_a_consumer_that_gets_nothing_of_what_there_is_is_bound_anew(stage: Stage) -> None:
    quick = Subscription("effects", "dataplane", stall_s=1.0)
    async with beside(stage.relay().run(), stage.consumer(subscription=quick).run()):
        await stage.say("a")
        await stage.all_applied()
        async with stage.broker.broker("operator").connected() as connection:
            until_later = b'{"pause_until": "2099-01-01T00:00:00Z"}'
            await connection.client.request("$JS.API.CONSUMER.PAUSE.DATA.effects", until_later)
            await stage.say("a")
            await stage.all_applied()
            await connection.js.delete_consumer("DATA", "effects")
            await stage.say("a")
            await stage.all_applied()
    stage.check(3)


async def test_the_table_stays_small_while_old_transactions_are_held_open(stage: Stage) -> None:
    """Hours in seconds: partitions as short, and two old transactions that do not let go."""
    partition_s = max(1, round(HELD_S / 100))

    def partitions() -> int:
        [(count,)] = stage.rows("SELECT count(*) FROM pg_inherits WHERE inhparent = 'outbox'::regclass")
        return int(count)

    def left() -> int:
        # Rows of the outbox are never updated and never deleted alone: they tell its size.
        [(count,)] = stage.rows("SELECT count(*) FROM outbox")
        return int(count)

    async with (
        beside(stage.relay(partition_s=partition_s).run(), stage.consumer().run()),
        await psycopg.AsyncConnection.connect(stage.url) as snapshot,
        await psycopg.AsyncConnection.connect(stage.url) as writer,
    ):
        await until(lambda: partitions() > 3)
        await snapshot.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await snapshot.execute("SELECT count(*) FROM said")
        # Its own event is not out, and no partition can be dropped; all others can be emptied.
        await say(writer, "held")
        began, spoken = time.monotonic(), 0
        while spoken < 1600 or partitions() <= 12 or time.monotonic() - began < HELD_S:
            await speak(stage.url, 200, AGGREGATES, random.Random(3), pause_s=0.05)
            await stage.all_applied()
            spoken += 200
            # However long it is held: what is spoken while a few partitions are the newest.
            assert left() < 800 * partition_s, f"of {spoken}"
        before = partitions()
        await writer.commit()
        await stage.all_applied()
        # The empty ones go.
        await until(lambda: partitions() <= min(before - 1, 10), 30 + 3 * partition_s)
    stage.check(spoken + 1)


async def test_a_partition_is_not_emptied_before_its_events_are_out(stage: Stage) -> None:
    def clear() -> None:
        with psycopg.connect(stage.url, autocommit=True) as owner:
            owner.execute("SELECT partitions.make_outbox(now(), 3600, 1)")
            done: list[str] = []
            while True:
                # As it will be tomorrow.
                found = owner.execute(
                    "SELECT partitions.clear_outbox(now() + interval '1 day', %s)", (done,)
                ).fetchone()
                if found is None or found[0] is None:
                    return
                done.append(found[0])

    await stage.say("in the default partition")
    clear()
    await stage.say("in one of its own")
    clear()
    assert len(stage.rows("SELECT FROM outbox")) == 2
    async with beside(stage.relay().run(), stage.consumer().run()):
        await stage.all_applied()
        await until(lambda: stage.rows("SELECT FROM outbox_position WHERE position <> '1:1:'"))
    clear()
    assert stage.rows("SELECT FROM outbox") == []


async def test_a_tenants_events_are_read_in_its_own_context_only(stage: Stage) -> None:
    other = "0192d3a0-0000-7000-8000-00000000000b"
    async with beside(stage.relay().run()):
        [mine] = await stage.say("a")
        async with stage.broker.broker("operator").connected() as connection:
            events = Events(connection)
            shop = context.CallContext(role=rules_pb2.CALLER_MERCHANT, tenant_id=TENANT)
            with context.use(shop):
                for wildcard in ("*", ">", "", "-", f"{TENANT}.>", TENANT.upper()):
                    with pytest.raises(InvalidArgument):
                        events.of(wildcard)
                with pytest.raises(PermissionDenied):
                    events.of(other)
                with pytest.raises(PermissionDenied):
                    events.of_all()
                reader = events.of(TENANT)
            with pytest.raises(PermissionDenied):
                events.of(TENANT)
            with context.use(context.CallContext(role=rules_pb2.CALLER_OPERATOR)):
                theirs, everybody = events.of(other), events.of_all()

            async def ids(some: Any) -> list[str]:
                return [event.id async for event in some.since(datetime(2020, 1, 1, tzinfo=UTC))]

            async def there() -> bool:
                return await ids(reader) == [mine]

            await until(there)
            assert await ids(theirs) == []
            assert await ids(everybody) == [mine]


async def test_who_is_not_of_the_platform_does_not_connect_and_nobody_says_what_is_anothers(stage: Stage) -> None:
    for stranger in ("solution/search", "envoy", "edge"):
        with pytest.raises((nats.errors.Error, OSError)):
            async with stage.broker.broker(stranger).connected():
                pass
    async with stage.broker.broker("cluster/eu-1").connected() as connection:
        refused = asyncio.Event()

        async def hear(error: Exception) -> None:
            if "permissions violation" in str(error).lower():
                refused.set()

        connection.client._error_cb = hear
        await connection.client.publish(f"ev.control.{TENANT}.tenant.created.v1", b"")
        async with asyncio.timeout(5):
            await refused.wait()


# Who dies where, and at which time of coming there.
PLACES = [
    *(("relay-1", place) for place in ("read:2", "sent:2", "acknowledged:2", "saved:1")),
    *(("consumer-1", place) for place in ("applied:2", "committed:2", "acknowledged:2")),
]


class Cast:
    """The processes under test; who dies is replaced, as the supervisor would."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.living: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, dies: str = "") -> None:
        role = name.partition("-")[0]
        self.living[name] = process(role, self.stage.home, self.stage.url, self.stage.broker.url, dies)

    async def dies(self, name: str, where: str) -> None:
        """Replaces the process by one that dies at the place, and that by one that lives."""
        self.living[name].kill()
        self.living[name].wait()
        self.start(name, where)
        await until(lambda: self.living[name].poll() is not None, 20, f"{name} to die at {where}")
        assert self.living[name].returncode == -9, where
        self.start(name)

    async def restart(self, server: Nats | Postgres, end: Callable[[], None]) -> None:
        """Long enough for everyone to have noticed."""
        end()
        await asyncio.sleep(0.5)
        server.start()

    def end(self) -> None:
        for each in self.living.values():
            each.kill()
            each.wait()


async def test_kill_9_of_everything_in_turn_loses_nothing_and_repeats_nothing(tmp_path: Path, nats_home: Path) -> None:
    folder = tmp_path / "home"
    pki.ensure(folder, IDENTITIES)
    with tempfile.TemporaryDirectory(prefix="center-test-killed-") as killed:
        postgres, broker = Postgres(Path(killed)), Nats(folder)
        postgres.start()
        broker.start()
        stage = Stage(postgres.url(), broker)
        cast = Cast(stage)
        try:
            await stage.prepare()
            for name in ("relay-1", "consumer-1"):
                cast.start(name)
            rng = random.Random(4)
            # A few are spoken slowly, so that they last until all have died; many as fast as they are carried.
            pause_s = 0.2 if N <= 2_000 else 0.02
            speaking = asyncio.gather(*(speak(stage.url, N // 4, AGGREGATES, rng, pause_s) for _ in range(4)))
            for name, place in PLACES:
                await cast.dies(name, place)
            await cast.restart(broker, broker.kill)
            await cast.restart(postgres, postgres.kill)
            await cast.restart(broker, broker.stop)
            while not speaking.done() and N > 2_000:
                match rng.randrange(4):
                    case 0:
                        await cast.restart(broker, rng.choice((broker.kill, broker.stop)))
                    case 1:
                        await cast.restart(postgres, rng.choice((postgres.kill, postgres.stop)))
                    case _:
                        await cast.dies(*rng.choice(PLACES))
                await asyncio.sleep(rng.random() * 2)
            await speaking
            await stage.all_applied(60 + N / 1_000)
            stage.check(N)
        finally:
            cast.end()
            await stage.db.close()
            broker.stop()
            postgres.stop()
