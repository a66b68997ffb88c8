"""WebhookService: one tenant's endpoints, and what became of what was sent to them."""

from dataclasses import replace
from datetime import UTC
from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.shared.v1 import webhook_service_pb2 as pb
from center.shared.v1 import webhook_service_pb2_grpc as pb_grpc
from shared.runtime import filters, journal, masks
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import InvalidArgument, inside
from shared.runtime.filters import Field
from shared.runtime.idempotency import mutation, revealing
from shared.runtime.ids import is_uuid, uuid7
from shared.runtime.paging import PageTokens, page_size
from shared.runtime.vault import Vault
from shared.webhooks import domain, signing, store
from shared.webhooks.domain import Delivery, Endpoint, Outcome, Patience
from shared.webhooks.guard import Guard, Refused
from shared.webhooks.messages import (
    OUTCOMES,
    attempt_to_proto,
    change,
    delivery_to_proto,
    ping,
    resent,
    to_proto,
)
from shared.webhooks.store import Sealed
from shared.webhooks.tables import deliveries, endpoints

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_CHANGEABLE = ("url", "event_types", "description")
_OUTCOMES: dict[str, object] = {
    name: outcome.value for outcome in Outcome for name in (outcome, f"DELIVERY_STATE_{outcome}")
}
_FIELDS = {
    "id": Field(deliveries.c.id, "uuid"),
    "endpoint_id": Field(deliveries.c.endpoint_id, "uuid"),
    "event_id": Field(deliveries.c.event_id, "uuid"),
    "event_type": Field(deliveries.c.event_type),
    "state": Field(deliveries.c.state, "enum", _OUTCOMES),
    "event_time": Field(deliveries.c.event_time, "timestamp"),
    "create_time": Field(deliveries.c.create_time, "timestamp"),
}
_NEWEST = {"create_time": Field(endpoints.c.create_time, "timestamp")}


class WebhookService(pb_grpc.WebhookServiceServicer):
    """db: transactions that may write, told of when there is something to send; reads: those that do not."""

    def __init__(
        self,
        *,
        db: Database,
        reads: Database,
        tokens: PageTokens,
        clock: Clock,
        guard: Guard,
        vault: Vault,
        patience: Patience | None = None,
    ) -> None:
        self.db = db
        self._reads = reads
        self._tokens = tokens
        self._clock = clock
        self._guard = guard
        self._vault = vault
        self._patience = patience or Patience()

    # Endpoints

    async def CreateEndpoint(self, request: pb.CreateEndpointRequest, context: Context) -> pb.CreateEndpointResponse:
        await self._check(request.endpoint.url)
        return await self._create(request, context)

    @revealing("secret")
    async def _create(self, request: pb.CreateEndpointRequest, tx: AsyncConnection) -> pb.CreateEndpointResponse:
        now, wanted = self._clock.now(), request.endpoint
        with inside("endpoint"):
            endpoint = domain.create(
                Endpoint(uuid7(), wanted.url, tuple(wanted.event_types), wanted.description, now, now)
            )
        secret = signing.new_secret()
        tenant_id = current().tenant_id
        await store.add(tx, tenant_id, endpoint, self._vault.seal(tenant_id, signing.place_of(endpoint.id), secret))
        await journal.record(tx, tenant_id, [change(None, endpoint)])
        return pb.CreateEndpointResponse(endpoint=to_proto(endpoint), secret=signing.shown(secret))

    async def GetEndpoint(self, request: pb.GetEndpointRequest, context: Context) -> pb.GetEndpointResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            endpoint, _ = await store.get(tx, current().tenant_id, request.id)
        return pb.GetEndpointResponse(endpoint=to_proto(endpoint))

    async def ListEndpoints(self, request: pb.ListEndpointsRequest, context: Context) -> pb.ListEndpointsResponse:
        ordering = filters.order("create_time desc", _NEWEST, endpoints.c.id)
        cursor, size = self._tokens.read(request.page_token, request), page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.page(tx, current().tenant_id, ordering, cursor, size)
        return pb.ListEndpointsResponse(
            endpoints=map(to_proto, page), next_page_token=self._tokens.issue(following, request) if following else ""
        )

    async def UpdateEndpoint(self, request: pb.UpdateEndpointRequest, context: Context) -> pb.UpdateEndpointResponse:
        if not is_uuid(request.endpoint.id):
            fields = {"endpoint.id": "not a UUID"}
            raise InvalidArgument("FIELD_INVALID", "endpoint.id says which endpoint; it is a UUID", fields=fields)
        named = masks.merge(pb.Endpoint(), request.endpoint, request.update_mask, _CHANGEABLE)
        if "url" in named:
            await self._check(request.endpoint.url)
        return await self._update(request, context)

    @mutation
    async def _update(self, request: pb.UpdateEndpointRequest, tx: AsyncConnection) -> pb.UpdateEndpointResponse:
        tenant_id, now = current().tenant_id, self._clock.now()
        before, _ = await store.get(tx, tenant_id, request.endpoint.id, lock=True)
        message = to_proto(before)
        masks.merge(message, request.endpoint, request.update_mask, _CHANGEABLE)
        wanted = replace(
            before, url=message.url, event_types=tuple(message.event_types), description=message.description
        )
        with inside("endpoint"):
            after = domain.change(before, wanted, etag=request.endpoint.etag, now=now)
        if after is not before:
            await store.save(tx, tenant_id, after)
            await store.resubscribe(tx, tenant_id, after)
            await journal.record(tx, tenant_id, [change(before, after)])
        else:
            journal.unchanged(tx)
        return pb.UpdateEndpointResponse(endpoint=to_proto(after))

    @mutation
    async def DeleteEndpoint(self, request: pb.DeleteEndpointRequest, tx: AsyncConnection) -> pb.DeleteEndpointResponse:
        tenant_id = current().tenant_id
        before, _ = await store.get(tx, tenant_id, request.id, lock=True)
        after = domain.delete(before, etag=request.etag, now=self._clock.now())
        await store.save(tx, tenant_id, after, Sealed(b""))
        await store.resubscribe(tx, tenant_id, replace(after, event_types=()))
        await journal.record(tx, tenant_id, [change(before, after)])
        return pb.DeleteEndpointResponse()

    @mutation
    async def EnableEndpoint(self, request: pb.EnableEndpointRequest, tx: AsyncConnection) -> pb.EnableEndpointResponse:
        tenant_id = current().tenant_id
        before, _ = await store.get(tx, tenant_id, request.id, lock=True)
        after = domain.enable(before, now=self._clock.now())
        await store.save(tx, tenant_id, after)
        await store.resubscribe(tx, tenant_id, after, anew=True)
        await journal.record(tx, tenant_id, [change(before, after)])
        return pb.EnableEndpointResponse(endpoint=to_proto(after))

    @revealing("secret")
    async def RotateSecret(self, request: pb.RotateSecretRequest, tx: AsyncConnection) -> pb.RotateSecretResponse:
        tenant_id = current().tenant_id
        before, sealed = await store.get(tx, tenant_id, request.id, lock=True)
        overlap = request.overlap.ToTimedelta() if request.HasField("overlap") else domain.OVERLAP
        after = domain.rotate(before, overlap, now=self._clock.now())
        secret = signing.new_secret()
        kept = Sealed(
            self._vault.seal(tenant_id, signing.place_of(after.id), secret), sealed.secret if overlap else None
        )
        await store.save(tx, tenant_id, after, kept)
        await journal.record(tx, tenant_id, [change(before, after, "secret rotated")])
        return pb.RotateSecretResponse(endpoint=to_proto(after), secret=signing.shown(secret))

    @mutation
    async def PingEndpoint(self, request: pb.PingEndpointRequest, tx: AsyncConnection) -> pb.PingEndpointResponse:
        tenant_id, now, event_id = current().tenant_id, self._clock.now(), uuid7()
        endpoint, _ = await store.get(tx, tenant_id, request.id)
        domain.require_enabled(endpoint)
        # It expires at once: whoever pings looks at the answer, and not three days later.
        delivery = Delivery(
            uuid7(), endpoint.id, event_id, domain.PING, now, Outcome.PENDING, 0, now, now, None, "", now
        )
        payload = ping(event_id, tenant_id, endpoint.id, now)
        await store.deliver(tx, tenant_id, delivery, aggregate=f"ping/{event_id}", payload=payload)
        await journal.record(tx, tenant_id, [journal.Change("webhook_delivery", delivery.id, {}, {"state": "PENDING"})])
        return pb.PingEndpointResponse(delivery=delivery_to_proto(delivery))

    # Deliveries

    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: Context) -> pb.ListDeliveriesResponse:
        ordering = filters.order("create_time desc", _FIELDS, deliveries.c.id)
        condition = filters.where(request.filter, _FIELDS)
        cursor, size = self._tokens.read(request.page_token, request), page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.deliveries_page(tx, current().tenant_id, condition, ordering, cursor, size)
        return pb.ListDeliveriesResponse(
            deliveries=map(delivery_to_proto, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    async def GetDelivery(self, request: pb.GetDeliveryRequest, context: Context) -> pb.GetDeliveryResponse:
        tenant_id = current().tenant_id
        # Of one instant: a delivery and its attempts are written together.
        async with self._reads.transaction(tenant_id, snapshot=True) as tx:
            delivery = await store.delivery(tx, tenant_id, request.id)
            attempts = await store.attempts_of(tx, tenant_id, request.id)
            payload = await store.payload(tx, tenant_id, delivery.event_id)
        return pb.GetDeliveryResponse(
            delivery=delivery_to_proto(delivery), attempts=map(attempt_to_proto, attempts), payload=payload
        )

    @mutation
    async def Redeliver(self, request: pb.RedeliverRequest, tx: AsyncConnection) -> pb.RedeliverResponse:
        tenant_id = current().tenant_id
        delivery = await store.delivery(tx, tenant_id, request.id, lock=True)
        await self._send_again(tx, delivery.endpoint_id, [delivery])
        return pb.RedeliverResponse(delivery=delivery_to_proto(await store.delivery(tx, tenant_id, request.id)))

    @mutation
    async def ReplayDeliveries(
        self, request: pb.ReplayDeliveriesRequest, tx: AsyncConnection
    ) -> pb.ReplayDeliveriesResponse:
        # Each part is a request of its own, with a request_id of its own.
        bound = pb.ReplayDeliveriesRequest()
        bound.CopyFrom(request)
        bound.ClearField("request_id")
        cursor, size = self._tokens.read(request.page_token, bound), page_size(request.page_size, 1000)
        ordering = filters.order("event_time", _FIELDS, deliveries.c.id)
        condition = deliveries.c.endpoint_id == request.endpoint_id
        for name, holds in (
            ("start_time", deliveries.c.event_time.__ge__),
            ("end_time", deliveries.c.event_time.__lt__),
        ):
            if request.HasField(name):
                condition &= holds(_moment(request, name))
        if request.event_type not in ("", "*"):
            condition &= _of_type(request.event_type)
        states = [OUTCOMES[request.state]] if request.state else [Outcome.SUCCEEDED, Outcome.DEAD]
        condition &= deliveries.c.state.in_(states) & (deliveries.c.state != Outcome.PENDING)
        tenant_id = current().tenant_id
        page, following = await store.deliveries_page(tx, tenant_id, condition, ordering, cursor, size)
        await self._send_again(tx, request.endpoint_id, page)
        return pb.ReplayDeliveriesResponse(
            replayed=len(page), next_page_token=self._tokens.issue(following, bound) if following else ""
        )

    async def _send_again(self, tx: AsyncConnection, endpoint_id: str, some: list[Delivery]) -> None:
        tenant_id, now = current().tenant_id, self._clock.now()
        endpoint, _ = await store.get(tx, tenant_id, endpoint_id)
        domain.require_enabled(endpoint)
        await store.send_again(tx, tenant_id, [each.id for each in some], now, now + self._patience.total)
        await journal.record(tx, tenant_id, [resent(each) for each in some])

    async def _check(self, url: str) -> None:
        try:
            await self._guard.check(url)
        except Refused as refusal:
            fields = {"endpoint.url": refusal.why}
            raise InvalidArgument("URL_REFUSED", f"endpoint.url: {refusal.why}", fields=fields) from None


def _of_type(pattern: str) -> Any:
    if not domain.is_type(pattern):
        fields = {"event_type": "neither a type nor product.*"}
        raise InvalidArgument("EVENT_TYPE_INVALID", "event_type: neither a type nor product.*", fields=fields)
    aggregate, _, kind = pattern.partition(".")
    if kind != "*":
        return deliveries.c.event_type == pattern
    # A range of texts that begin so; LIKE is not leakproof.
    return (deliveries.c.event_type >= f"{aggregate}.") & (deliveries.c.event_type < f"{aggregate}/")


def _moment(request: pb.ReplayDeliveriesRequest, name: str) -> Any:
    try:
        return getattr(request, name).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        fields = {name: "out of range"}
        raise InvalidArgument("RANGE_INVALID", f"{name}: out of range", fields=fields) from None
