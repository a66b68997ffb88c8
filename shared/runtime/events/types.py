"""The types of events, as the contracts declare them: which message says what, in which version, and whose it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from google.protobuf import message_factory
from google.protobuf.message import DecodeError, Message

from center.control.v1 import catalog_service_pb2
from center.dataplane.v1 import (
    cart_service_pb2,
    checkout_service_pb2,
    customer_service_pb2,
    inventory_service_pb2,
    merchandising_service_pb2,
    order_service_pb2,
    price_list_service_pb2,
    product_service_pb2,
    promotion_service_pb2,
)
from center.shared.v1 import (
    events_pb2,
    media_service_pb2,
    notification_service_pb2,
    payment_service_pb2,
    webhook_service_pb2,
)
from shared.runtime.events.subjects import Subject

# Every file of the contracts that declares events.
FILES = (
    catalog_service_pb2,
    product_service_pb2,
    merchandising_service_pb2,
    inventory_service_pb2,
    order_service_pb2,
    cart_service_pb2,
    checkout_service_pb2,
    customer_service_pb2,
    price_list_service_pb2,
    promotion_service_pb2,
    media_service_pb2,
    notification_service_pb2,
    payment_service_pb2,
    webhook_service_pb2,
)


class Unreadable(ValueError):
    """An event that nobody here understands: of an unknown type or major version, or not its message."""


@dataclass(frozen=True, slots=True)
class EventType:
    """name: product.created, or tenant.* for whatever happens to one."""

    plane: str
    name: str
    major: int
    message: type[Message]


@cache
def declared() -> Mapping[tuple[str, str, int], EventType]:
    """By plane, name and major version."""
    return {(each.plane, each.name, each.major): each for each in _declared()}


def of(subject: Subject) -> EventType:
    """Unreadable when no contract declares it."""
    known = declared()
    found = known.get((subject.plane, subject.name, subject.major))
    found = found or known.get((subject.plane, f"{subject.aggregate}.*", subject.major))
    if found is None:
        raise Unreadable(f"{subject.name}.v{subject.major} of {subject.plane} is not known here")
    return found


def read(subject: Subject, payload: bytes) -> Message:
    """What the event says. Fields that are not known here pass; Unreadable."""
    found = of(subject)
    try:
        return found.message.FromString(payload)
    except DecodeError as error:
        raise Unreadable(f"no {found.message.DESCRIPTOR.full_name}: {error}") from error


def _declared() -> Iterator[EventType]:
    for file in FILES:
        for message in file.DESCRIPTOR.message_types_by_name.values():
            rules = message.GetOptions().Extensions[events_pb2.event]
            for name in rules.types:
                yield EventType(rules.plane, name, rules.major, message_factory.GetMessageClass(message))
