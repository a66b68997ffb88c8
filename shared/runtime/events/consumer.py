"""From NATS into a database: each event has its effect once, and those of an aggregate in their order.

An event that fails is tried again after a while, and only the later ones of its own aggregate wait for it. After the
last try it goes to the dead letters, and from there over to the consumer again when an operator says so.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import nats.errors
import nats.js.errors
import psycopg
import structlog
from google.protobuf.message import Message
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.db import Database
from shared.runtime.errors import Aborted, DeadlineExceeded, Unavailable
from shared.runtime.events import boundary as boundaries
from shared.runtime.events import inbox, subjects, types
from shared.runtime.events.boundary import Boundary
from shared.runtime.events.broker import Broker, Connection, Lost, heed_cancellation
from shared.runtime.events.subjects import Subject
from shared.runtime.events.turn import AGAIN_S, Well, in_turns

log = structlog.stdlib.get_logger("center.events")

AT_ONCE = 200
# What may be delivered and not be acknowledged: those under way, and those that wait for one that failed.
HELD = 2_000
ACK_WAIT_S = 30.0
# The database or the broker is away, or another transaction was in the way: no fault of the event's.
PASSING = (Unavailable, Aborted, DeadlineExceeded, nats.errors.Error)

_applied = Counter("center_events_applied", "Events that had their effect.", ["consumer"])
_dead = Counter("center_events_dead", "Events that went to the dead letters.", ["consumer"])
_rebound = Counter("center_events_rebound", "How often a consumer that got nothing was bound anew.", ["consumer"])


@dataclass(frozen=True, slots=True)
class Subscription:
    """name: the consumer's, in NATS and in the inbox. plane: whose events. subjects: which of them, all if none.

    backoff_s: the waits between tries; one try more than waits, and then the event is dead.
    stall_s: without any sign of NATS for so long the consumer is bound anew; a pull lasts as long.
    """

    name: str
    plane: str
    subjects: Sequence[str] = ()
    backoff_s: Sequence[float] = (0.5, 1, 2, 5, 10, 30, 60)
    stall_s: float = 15.0

    @property
    def stream(self) -> str:
        return subjects.STREAMS[self.plane]

    @property
    def filters(self) -> list[str]:
        own = list(self.subjects) or [f"{subjects.EVENTS}.{self.plane}.>"]
        return [*own, f"{subjects.AGAIN}.{self.plane}.{self.name}.>"]


@dataclass(frozen=True, slots=True)
class Event:
    """aggregate: the id of the thing it is about. sequence: its place among the events of that thing."""

    id: str
    time: datetime
    subject: Subject
    aggregate: str
    sequence: int
    message: Message

    @property
    def tenant_id(self) -> str:
        return "" if self.subject.tenant == subjects.NO_TENANT else self.subject.tenant


Apply = Callable[[AsyncConnection, Event], Awaitable[None]]


@dataclass(slots=True)
class _Parked:
    """A failed event of one aggregate, with those that came after it."""

    waiting: deque[Msg]
    tries: int
    due: float


@dataclass(slots=True)
class _Life:
    """One binding of a consumer, until NATS, the database or the consumer itself lets go."""

    nats: Connection
    arrived: asyncio.Queue[Msg]
    reply_to: str
    # Of the pull under way.
    outstanding: int = 0
    delivered: int = 0
    parked: dict[str, _Parked] = field(default_factory=dict)
    # When NATS was last told that what is parked is not forgotten.
    touched_at: float = 0.0


class Stalled(nats.errors.Error):
    """NATS has events for the consumer and does not hand them over."""


class Consumer:
    """Applies events to the database of `db`; `url` is of the same, for the turn: one process consumes at a time."""

    def __init__(
        self,
        subscription: Subscription,
        apply: Apply,
        db: Database,
        url: str,
        broker: Broker,
        boundary: Boundary = boundaries.none,
    ) -> None:
        self._boundary = boundary
        self._subscription = subscription
        self._apply = apply
        self._db = db
        self._url = url
        self._broker = broker

    async def run(self) -> None:
        """Until cancelled."""
        await in_turns(self._url, f"consumer {self._subscription.name}", self._consume)

    async def _consume(self, turn: psycopg.AsyncConnection[Any], well: Well) -> None:
        name = self._subscription.name
        while True:
            heed_cancellation()
            async with self._broker.connected() as connection:
                well()
                try:
                    await self._live(connection, turn)
                except Stalled as stalled:
                    _rebound.labels(name).inc()
                    log.warning("a consumer is bound anew", consumer=name, why=str(stalled))

    async def _live(self, connection: Connection, turn: psycopg.AsyncConnection[Any]) -> None:
        await connection.ensure(self._subscription.stream)
        await connection.ensure(subjects.DEAD_LETTERS)
        await self._bind(connection)
        arrived: asyncio.Queue[Msg] = asyncio.Queue()
        reply_to = connection.client.new_inbox()
        await connection.client.subscribe(reply_to, cb=arrived.put)
        life = _Life(connection, arrived, reply_to)
        while True:
            heed_cancellation()
            await self._pull(life)
            batch = [message async for message in self._next(life)]
            if turn.closed:
                raise Lost
            await self._work(life, [each for each in batch if not self._queued(life, each)])
            await self._retry(life)

    # -- out of NATS

    async def _bind(self, connection: Connection) -> None:
        """Makes the consumer, or takes it over.

        What an earlier life had in hand would come back only after a while, and after newer events: then the consumer
        is made anew, from where all is acknowledged.
        """
        name, stream = self._subscription.name, self._subscription.stream
        config = ConsumerConfig(
            durable_name=name,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            max_deliver=-1,
            max_ack_pending=HELD,
            filter_subjects=self._subscription.filters,
        )
        known = await self._info(connection)
        if known is not None:
            is_as_wanted = known.config.filter_subjects == config.filter_subjects and not known.config.pause_until
            if is_as_wanted and not known.num_ack_pending:
                return
            floor = known.ack_floor.stream_seq if known.ack_floor else 0
            await connection.js.delete_consumer(stream, name)
            config.deliver_policy, config.opt_start_seq = DeliverPolicy.BY_START_SEQUENCE, floor + 1
        await connection.js.add_consumer(stream, config)

    async def _info(self, connection: Connection) -> ConsumerInfo | None:
        try:
            known: ConsumerInfo = await connection.js.consumer_info(self._subscription.stream, self._subscription.name)
        except nats.js.errors.NotFoundError:
            return None
        return known

    async def _pull(self, life: _Life) -> None:
        if life.outstanding > 0:
            return
        life.outstanding, life.delivered = AT_ONCE, 0
        stall_ns = int(self._subscription.stall_s * 1e9)
        request = {"batch": AT_ONCE, "expires": stall_ns, "idle_heartbeat": stall_ns // 3}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._subscription.stream}.{self._subscription.name}"
        await life.nats.client.publish(subject, json.dumps(request).encode(), reply=life.reply_to)

    async def _next(self, life: _Life) -> AsyncIterator[Msg]:
        """What has arrived, or what arrives until something parked is due."""
        loop = asyncio.get_running_loop()
        due = min((parked.due for parked in life.parked.values()), default=loop.time() + self._subscription.stall_s)
        message = await self._arrival(life, max(0.0, due - loop.time()))
        while message is not None:
            if await self._is_event(life, message):
                yield message
            message = None if life.arrived.empty() else life.arrived.get_nowait()

    async def _arrival(self, life: _Life, within_s: float) -> Msg | None:
        lost = asyncio.ensure_future(life.nats.lost.wait())
        arrival = asyncio.ensure_future(life.arrived.get())
        try:
            done, _ = await asyncio.wait((arrival, lost), timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            if arrival in done:
                return arrival.result()
            if lost in done:
                raise Lost
            if within_s >= self._subscription.stall_s:
                raise Stalled("not even a heartbeat came")
            return None
        finally:
            lost.cancel()
            arrival.cancel()

    async def _is_event(self, life: _Life, message: Msg) -> bool:
        """Whether it is one; else it says how the pull fares."""
        headers = message.headers or {}
        status = headers.get("Status", "")
        if not status:
            life.outstanding -= 1
            life.delivered += 1
            return True
        if status == "100":
            return False
        if status == "409" and "Deleted" in headers.get("Description", ""):
            raise Stalled("the consumer was deleted")
        # Expired, or refused for a passing reason.
        life.outstanding = 0
        if status != "408":
            await asyncio.sleep(AGAIN_S)
        elif not life.delivered and not life.parked:
            await self._suspect(life)
        return False

    async def _suspect(self, life: _Life) -> None:
        """A whole pull without an event: is there none?"""
        known = await self._info(life.nats)
        if known is None or (known.num_pending and life.arrived.empty()):
            raise Stalled("a pull brought nothing of what there is")

    # -- into the database

    def _queued(self, life: _Life, message: Msg) -> bool:
        """Whether it has to wait for an earlier one of its aggregate."""
        parked = life.parked.get(_aggregate(message))
        if parked is not None:
            parked.waiting.append(message)
        return parked is not None

    async def _work(self, life: _Life, messages: Sequence[Msg]) -> None:
        """Applies them in one transaction; if that fails, one by one."""
        if not messages:
            return
        if len(messages) > 1:
            try:
                await self._together(messages)
            except PASSING:
                raise
            except Exception as error:
                log.debug("events are applied one by one", consumer=self._subscription.name, error=repr(error))
            else:
                return
        for message in messages:
            if not self._queued(life, message):
                await self._alone(life, message, tries=0)

    async def _together(self, messages: Sequence[Msg]) -> None:
        events = [decoded(message) for message in messages]
        async with self._db.transaction() as tx:
            fresh = await inbox.received(tx, self._subscription.name, [event.id for event in events])
            for event in events:
                if event.id in fresh:
                    fresh.discard(event.id)
                    await self._apply(tx, event)
            await self._boundary("applied")
        _applied.labels(self._subscription.name).inc(len(events))
        await self._boundary("committed")
        for message in messages:
            await message.ack()
        await self._boundary("acknowledged")

    async def _alone(self, life: _Life, message: Msg, tries: int) -> bool:
        """Whether it is done with, one way or the other; a failed one is parked."""
        backoff = self._subscription.backoff_s
        try:
            await self._together([message])
        except PASSING:
            raise
        except types.Unreadable as error:
            await self._bury(life, message, tries + 1, str(error))
        except Exception as error:
            log.warning("an event failed", consumer=self._subscription.name, subject=message.subject, error=repr(error))
            if tries >= len(backoff):
                await self._bury(life, message, tries + 1, repr(error))
                return True
            due = asyncio.get_running_loop().time() + backoff[tries]
            parked = life.parked.setdefault(_aggregate(message), _Parked(deque([message]), tries, due))
            parked.tries, parked.due = tries + 1, due
            return False
        return True

    async def _retry(self, life: _Life) -> None:
        now = asyncio.get_running_loop().time()
        for aggregate, parked in list(life.parked.items()):
            while parked.due <= now and parked.waiting:
                if not await self._alone(life, parked.waiting[0], parked.tries):
                    break
                parked.waiting.popleft()
                parked.tries = 0
            if not parked.waiting:
                del life.parked[aggregate]
        if life.parked and now - life.touched_at > ACK_WAIT_S / 3:
            life.touched_at = now
            for parked in life.parked.values():
                for message in parked.waiting:
                    await message.in_progress()

    async def _bury(self, life: _Life, message: Msg, tries: int, why: str) -> None:
        """To the dead letters first: what is terminated is gone."""
        name = self._subscription.name
        headers = {
            **(message.headers or {}),
            # Of each delivery of its own: what is given over again may fail again.
            "Nats-Msg-Id": f"{name}.{message.metadata.sequence.stream}",
            "center-consumer": name,
            "center-tries": str(tries),
            "center-error": " ".join(why.split())[:500],
        }
        subject = Subject.parse(message.subject).dead(name)
        await life.nats.js.publish(subject, message.data, headers=headers, stream=subjects.DEAD_LETTERS)
        await self._boundary("buried")
        await message.term()
        _dead.labels(name).inc()
        log.error("an event is dead", consumer=name, subject=message.subject, tries=tries, error=why)


def _aggregate(message: Msg) -> str:
    return str((message.headers or {}).get("ce-subject", ""))


def decoded(message: Msg) -> Event:
    """The event that a message of NATS is; Unreadable."""
    headers = message.headers or {}
    try:
        subject = Subject.parse(message.subject)
        time, sequence = datetime.fromisoformat(headers["ce-time"]), int(headers["ce-sequence"])
        id, aggregate = headers["ce-id"], headers["ce-subject"]
    except (KeyError, ValueError) as error:
        raise types.Unreadable(f"no CloudEvent of ours: {error!r}") from error
    return Event(id, time, subject, aggregate, sequence, types.read(subject, message.data))
