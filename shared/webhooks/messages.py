"""Webhooks on the wire: to the tenant's people, to the audit, and to receivers."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format

from center.shared.v1 import webhook_service_pb2 as pb
from shared.runtime import journal
from shared.runtime.events.consumer import Event
from shared.webhooks import domain
from shared.webhooks.domain import Attempt, Delivery, Endpoint, Outcome, State

_STATES = {State.ENABLED: pb.ENDPOINT_STATE_ENABLED, State.DISABLED: pb.ENDPOINT_STATE_DISABLED}
_OUTCOMES = {
    Outcome.PENDING: pb.DELIVERY_STATE_PENDING,
    Outcome.SUCCEEDED: pb.DELIVERY_STATE_SUCCEEDED,
    Outcome.DEAD: pb.DELIVERY_STATE_DEAD,
}
OUTCOMES = {number: outcome for outcome, number in _OUTCOMES.items()}


def to_proto(endpoint: Endpoint) -> pb.Endpoint:
    message = pb.Endpoint(
        id=endpoint.id,
        url=endpoint.url,
        event_types=endpoint.event_types,
        description=endpoint.description,
        state=_STATES[endpoint.state],
        disable_reason=endpoint.disable_reason,
        etag=endpoint.etag,
    )
    for name in ("disable_time", "failing_since", "old_secret_expire_time", "create_time", "update_time"):
        _set(message, name, getattr(endpoint, name))
    return message


def delivery_to_proto(delivery: Delivery) -> pb.Delivery:
    message = pb.Delivery(
        id=delivery.id,
        endpoint_id=delivery.endpoint_id,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        state=_OUTCOMES[delivery.state],
        attempt_count=delivery.attempt_count,
        last_error=delivery.last_error,
    )
    for name in ("event_time", "next_attempt_time", "expire_time", "end_time", "create_time"):
        _set(message, name, getattr(delivery, name))
    return message


def attempt_to_proto(attempt: Attempt) -> pb.Attempt:
    message = pb.Attempt(number=attempt.number, status=attempt.status, answer=attempt.answer, error=attempt.error)
    message.start_time.FromDatetime(attempt.start_time)
    message.latency.FromMilliseconds(attempt.latency_ms)
    return message


def change(before: Endpoint | None, after: Endpoint, note: str = "") -> journal.Change:
    """What the audit keeps of it; secrets have no place there."""
    facts = {} if before is None else _facts(before)
    return journal.Change("webhook_endpoint", after.id, facts, _facts(after), note)


def resent(delivery: Delivery) -> journal.Change:
    facts = {"state": delivery.state.value}
    return journal.Change("webhook_delivery", delivery.id, facts, {"state": Outcome.PENDING.value})


def disabled(endpoint: Endpoint) -> journal.Event:
    """What the tenant's other endpoints, and whoever listens, are told."""
    message = pb.EndpointDisabled(endpoint_id=endpoint.id, url=endpoint.url, reason=endpoint.disable_reason)
    _set(message, "disable_time", endpoint.disable_time)
    return journal.Event("webhook.endpoint_disabled.v1", endpoint.id, endpoint.version, message)


def fanned(event: Event, expire_time: datetime) -> dict[str, Any]:
    """An event as it is kept for its receivers; the same whenever it is made."""
    name = event.subject.name
    data = json_format.MessageToDict(event.message)
    body = _body(
        event.id, name, event.subject.major, event.time, event.tenant_id, event.aggregate, event.sequence, data
    )
    return {
        "tenant_id": event.tenant_id,
        "id": event.id,
        "type": name,
        "patterns": domain.patterns(name),
        "time": event.time,
        "aggregate": f"{event.subject.aggregate}/{event.aggregate}",
        "sequence": event.sequence,
        "payload": body,
        "expire_time": expire_time,
    }


def ping(event_id: str, tenant_id: str, endpoint_id: str, now: datetime) -> str:
    return _body(event_id, domain.PING, 1, now, tenant_id, endpoint_id, 0, {"endpointId": endpoint_id})


def _body(
    id: str, type: str, version: int, time: datetime, tenant_id: str, about: str, sequence: int, data: Mapping[str, Any]
) -> str:
    """Attributes in the names of CloudEvents where it has one."""
    event = {
        "id": id,
        "type": type,
        "version": version,
        "time": time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "tenant": tenant_id,
        "subject": about,
        "sequence": sequence,
        "data": data,
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _facts(endpoint: Endpoint) -> dict[str, str]:
    return {
        "url": endpoint.url,
        "event_types": " ".join(endpoint.event_types),
        "description": endpoint.description,
        "state": endpoint.state.value,
        "disable_reason": endpoint.disable_reason,
    }


def _set(message: Any, name: str, value: datetime | None) -> None:
    if value is not None:
        getattr(message, name).FromDatetime(value)
