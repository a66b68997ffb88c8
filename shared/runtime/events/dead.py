"""Dead letters: what a consumer could not apply, and how it gets it once more."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from shared.runtime.errors import NotFound
from shared.runtime.events import subjects
from shared.runtime.events.broker import Connection
from shared.runtime.events.subjects import Subject

AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """sequence: what it is called by, its place in the stream of dead letters."""

    sequence: int
    time: datetime
    consumer: str
    event_id: str
    subject: Subject
    tries: int
    error: str


async def letters(connection: Connection, consumer: str = "*") -> AsyncIterator[DeadLetter]:
    """Oldest first."""
    await connection.ensure(subjects.DEAD_LETTERS)
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL, inactive_threshold=30)
    subject = f"{subjects.DEAD}.{consumer}.>"
    pull = await connection.js.pull_subscribe(subject, stream=subjects.DEAD_LETTERS, config=config)
    left = (await pull.consumer_info()).num_pending or 0
    while left > 0:
        for message in await pull.fetch(min(left, AT_ONCE), timeout=5):
            left -= 1
            yield _letter(message)


async def replay(connection: Connection, sequence: int) -> None:
    """Gives the event to its consumer again, and to nobody else. NotFound DEAD_LETTER_NOT_FOUND."""
    try:
        found = await connection.js.get_msg(subjects.DEAD_LETTERS, sequence)
    except nats.js.errors.NotFoundError:
        raise NotFound("DEAD_LETTER_NOT_FOUND", f"there is no dead letter {sequence}") from None
    headers = found.headers or {}
    subject = Subject.parse(cast("str", found.subject))
    again = {name: value for name, value in headers.items() if not name.startswith("center-")}
    # Said twice when this is cut short: then JetStream, or the inbox, knows it.
    again["Nats-Msg-Id"] = f"again.{sequence}"
    await connection.js.publish(
        subject.again(headers["center-consumer"]),
        found.data or b"",
        headers=again,
        stream=subjects.STREAMS[subject.plane],
    )
    await connection.js.delete_msg(subjects.DEAD_LETTERS, sequence)


def _letter(message: Msg) -> DeadLetter:
    headers = message.headers or {}
    return DeadLetter(
        sequence=message.metadata.sequence.stream,
        time=message.metadata.timestamp.astimezone(UTC),
        consumer=headers["center-consumer"],
        event_id=headers.get("ce-id", ""),
        subject=Subject.parse(message.subject),
        tries=int(headers["center-tries"]),
        error=headers["center-error"],
    )
