"""What a cluster's events are made of."""

from typing import LiteralString

from shared.runtime.events.relay import Outbox

_COLUMNS: LiteralString = (
    "id::text, create_time, 'ev.dataplane.' || tenant_id || '.' || type, aggregate_id::text,"
    " aggregate_version AS sequence, payload, traceparent"
)


def of(cluster_id: str) -> Outbox:
    return Outbox("dataplane", f"/center/cluster/{cluster_id}", _COLUMNS)
