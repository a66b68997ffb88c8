"""One kind of channel for every plane: mutual TLS, and the trace, tenant and deadline of the present call handed on."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from shared.runtime import context as calls
from shared.runtime.pki import Identity
from shared.runtime.rpc import rules

# A request may be a page of 500 tenants or a chunk of a tenant's rows.
MESSAGE_LIMIT_BYTES = 32 << 20

# Watches are idle for as long as nothing changes. grpc's defaults answer a client that pings such a stream with
# GOAWAY too_many_pings after a minute or two, so pings are allowed, and the server finds dead peers by its own.
KEEPALIVE = (
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
)

# A unary call outside any call gets this long.
DEFAULT_DEADLINE_S = 30.0

# Kept back from the caller's deadline, so that the callee's word on what timed out still arrives.
SHAVED_S = 0.02


def connect(
    address: str,
    identity: Identity,
    *,
    server: str,
    services: Sequence[ServiceDescriptor] = (),
    receive_limit_bytes: int = MESSAGE_LIMIT_BYTES,
) -> grpc.aio.Channel:
    """A channel to one of our servers; connects on first use and again whenever it has to.

    server: the last word of the identity that must answer: `control`, `edge`, or a cluster's id.
    services: whose idempotent methods are sent again, up to four times, when the server is UNAVAILABLE.
    """
    credentials = grpc.ssl_channel_credentials(identity.ca_pem, identity.key_pem, identity.cert_pem)
    options = (
        *KEEPALIVE,
        ("grpc.ssl_target_name_override", server),
        ("grpc.max_receive_message_length", receive_limit_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.service_config", json.dumps(_retries(services))),
        # A server that restarts is found again at once, not after grpc's two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        # In spite of its name how long one attempt may take: 100 ms ended TLS handshakes of a busy machine.
        ("grpc.min_reconnect_backoff_ms", 5_000),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.enable_channelz", 1),
    )
    return grpc.aio.secure_channel(address, credentials, options=options, interceptors=_interceptors(identity.name))


def _retries(services: Sequence[ServiceDescriptor]) -> dict[str, Any]:
    """Clients retry UNAVAILABLE only (AIP-194), and only what the contract calls idempotent."""
    names = [
        {"service": service.full_name, "method": name}
        for service in services
        for name, of in rules.of_service(service).items()
        if of.idempotent
    ]
    if not names:
        return {}
    policy = {
        "maxAttempts": 4,
        "initialBackoff": "0.05s",
        "maxBackoff": "1s",
        "backoffMultiplier": 3,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return {"methodConfig": [{"name": names, "retryPolicy": policy}]}


def _interceptors(name: str) -> list[grpc.aio.ClientInterceptor]:
    """One for each shape of call: grpc takes an object for one shape only."""
    return [_UnaryUnary(name), _UnaryStream(name), _StreamUnary(name), _StreamStream(name)]


class _Outgoing:
    """What every call to another service carries (system-structure-and-planes, 3.1)."""

    def __init__(self, name: str) -> None:
        self.name = name

    def carrying(self, details: grpc.aio.ClientCallDetails, *, may_live_on: bool) -> grpc.aio.ClientCallDetails:
        call = calls.current()
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        trace_id = call.trace_id or calls.new_trace_id()
        span_id = call.span_id or calls.new_span_id()
        given: dict[str, Callable[[], str]] = {
            "traceparent": lambda: f"00-{trace_id}-{span_id}-01",
            "x-request-id": lambda: call.request_id or span_id,
            "x-request-time": lambda: datetime.now(UTC).isoformat(timespec="milliseconds"),
            "x-center-caller": lambda: self.name,
        }
        if call.tenant_id:
            given["x-tenant-id"] = lambda: call.tenant_id
        for key, make in given.items():
            if metadata.get(key) is None:
                metadata.add(key, make())
        return grpc.aio.ClientCallDetails(
            details.method,
            self._timeout(details.timeout, call.deadline, may_live_on),
            metadata,
            details.credentials,
            details.wait_for_ready,
        )

    @staticmethod
    def _timeout(asked: float | None, deadline: float | None, may_live_on: bool) -> float | None:
        if deadline is not None:
            left = max(deadline - asyncio.get_running_loop().time() - SHAVED_S, 0.001)
            return left if asked is None else min(asked, left)
        return asked if asked is not None or may_live_on else DEFAULT_DEADLINE_S


class _UnaryUnary(_Outgoing, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self.carrying(client_call_details, may_live_on=False), request)


class _UnaryStream(_Outgoing, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self.carrying(client_call_details, may_live_on=True), request)


class _StreamUnary(_Outgoing, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self.carrying(client_call_details, may_live_on=True), request_iterator)


class _StreamStream(_Outgoing, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self.carrying(client_call_details, may_live_on=True), request_iterator)
