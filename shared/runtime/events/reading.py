"""Looking at events without having them do anything: one tenant's, for whoever speaks for it, or everybody's."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime

from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from center.shared.v1 import rules_pb2
from shared.runtime.context import current
from shared.runtime.errors import PermissionDenied
from shared.runtime.events import subjects
from shared.runtime.events.broker import Connection
from shared.runtime.events.consumer import Event, decoded
from shared.runtime.events.types import Unreadable

# The platform's own; everyone else speaks for one tenant.
PLATFORM = frozenset(
    (
        rules_pb2.CALLER_OPERATOR,
        rules_pb2.CALLER_CONTROL,
        rules_pb2.CALLER_CLUSTER,
        rules_pb2.CALLER_EDGE,
    )
)


class Events:
    """What the current call may read of the streams."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, tenant_id: str) -> "Reader":
        """One tenant's events.

        InvalidArgument TENANT_ID_MALFORMED; PermissionDenied EVENTS_OF_ANOTHER_TENANT unless the call acts in that
        tenant, or is the platform's own.
        """
        wanted = [subjects.of_tenant(tenant_id, plane) for plane in subjects.STREAMS]
        call = current()
        if call.role not in PLATFORM and call.tenant_id != tenant_id:
            raise PermissionDenied("EVENTS_OF_ANOTHER_TENANT", "the call does not act in this tenant")
        return Reader(self._connection, wanted)

    def of_all(self) -> "Reader":
        """Every event. PermissionDenied EVENTS_OF_ALL_TENANTS unless the call is the platform's own."""
        if current().role not in PLATFORM:
            raise PermissionDenied("EVENTS_OF_ALL_TENANTS", "only the platform itself reads events of all tenants")
        return Reader(self._connection, [f"{subjects.EVENTS}.{plane}.>" for plane in subjects.STREAMS])


class Reader:
    """Events on some subjects, one a stream, in the order in which each stream has them."""

    def __init__(self, connection: Connection, wanted: Sequence[str]) -> None:
        self._connection = connection
        self._wanted = wanted

    async def since(
        self, time: datetime, *, follow: bool = False, skip_unreadable: bool = False
    ) -> AsyncGenerator[Event, None]:
        """What there is since then, and then what comes, if one follows.

        Unreadable for what nobody here understands, unless that is skipped.
        """
        arrived: asyncio.Queue[Msg] = asyncio.Queue()
        left = 0
        for wanted in self._wanted:
            stream = subjects.STREAMS[wanted.split(".")[1]]
            await self._connection.ensure(stream)
            subscription = await self._connection.js.subscribe(
                wanted,
                stream=stream,
                cb=arrived.put,
                ordered_consumer=True,
                config=ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=time),
            )
            info = await subscription.consumer_info()
            left += (info.num_pending or 0) + (info.delivered.consumer_seq if info.delivered else 0)
        while follow or left > 0:
            left -= 1
            message = await arrived.get()
            try:
                event = decoded(message)
            except Unreadable:
                if not skip_unreadable:
                    raise
            else:
                yield event
