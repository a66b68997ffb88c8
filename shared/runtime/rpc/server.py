"""One server for every plane: mutual TLS, the chain around each method, health, reflection, channelz, a clean drain."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_channelz.v1 import _async as channelz
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha._async import ReflectionServicer
from prometheus_client import start_http_server

from shared.runtime.errors import NotFound
from shared.runtime.pki import Identity
from shared.runtime.rpc import chain, contract
from shared.runtime.rpc.channel import KEEPALIVE, MESSAGE_LIMIT_BYTES

log = structlog.stdlib.get_logger("center.rpc")

SERVING = health_pb2.HealthCheckResponse.SERVING


class Health(HealthServicer):
    """grpc's own, with the one method that its asyncio version leaves out and a typed error for an unknown service."""

    _server_status: dict[str, Any]

    async def Check(self, request: Any, context: Any) -> Any:
        if request.service not in self._server_status:
            raise NotFound("SERVICE_UNKNOWN", f"no service {request.service} here", service=request.service)
        return await super().Check(request, context)

    async def List(self, request: Any, context: Any) -> Any:
        pb: Any = health_pb2  # its stubs know no List yet
        statuses = {name: pb.HealthCheckResponse(status=status) for name, status in self._server_status.items()}
        return pb.HealthListResponse(statuses=statuses)


@dataclass(frozen=True, slots=True)
class Service:
    """An implementation and its contract: `servicer` has a method for each of the descriptor's."""

    servicer: object
    descriptor: ServiceDescriptor

    @classmethod
    def of(cls, servicer: object) -> "Service":
        """That of a servicer which comes from a generated class."""
        return cls(servicer, contract.of(servicer))


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    port: int
    admin_port: int | None
    metrics_port: int | None
    health: Health


@asynccontextmanager
async def serving(
    services: Sequence[Service],
    *,
    address: str,
    identity: Identity,
    admin_address: str | None = None,
    metrics_address: str | None = None,
    verify_backoffice: chain.VerifyBackoffice | None = None,
    admit_merchant: chain.AdmitMerchant | None = None,
    verify_solution: chain.VerifySolution | None = None,
    verify_session: chain.VerifySession | None = None,
    denied: chain.Denied | None = None,
    draining: asyncio.Event | None = None,
    drain_s: float = 10.0,
    receive_limit_bytes: int = MESSAGE_LIMIT_BYTES,
    window_bytes: int | None = None,
) -> AsyncIterator[Server]:
    """Serves until the block ends, then drains.

    address: host:port; port 0 takes a free one, and Server.port tells which. A taken port raises.
    admin_address: where health, reflection and channelz are served without TLS; for the machine itself only.
    metrics_address: where Prometheus fetches metrics over HTTP.
    admit_merchant: asked before a method that is open to merchants, when one calls.
    denied: hears of refused calls that would have changed something.
    draining: is set when the drain begins; endless streams must end by themselves then.
    drain_s: how long calls under way may take before they are cancelled.
    window_bytes: how much of a stream may be here before it is read; by itself grpc takes as much as it can get.
    """
    health = Health()
    names = [service.descriptor.full_name for service in services]
    standard = [
        Service.of(health),
        Service.of(ReflectionServicer([*names, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"])),
    ]
    options = (
        *KEEPALIVE,
        ("grpc.max_receive_message_length", receive_limit_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
        ("grpc.enable_channelz", 1),
        *_window(window_bytes),
    )
    server = grpc.aio.server(options=options)
    methods = _Methods()
    for service in (*services, *standard):
        _register(methods, service, verify_backoffice, verify_solution, denied, verify_session, admit_merchant)
    server.add_generic_rpc_handlers((methods,))
    credentials = grpc.ssl_server_credentials(
        [(identity.key_pem, identity.cert_pem)], identity.ca_pem, require_client_auth=True
    )
    port = server.add_secure_port(address, credentials)
    await server.start()
    admin, admin_port = await _admin(admin_address, health) if admin_address else (None, None)
    metrics = _metrics(metrics_address) if metrics_address else None
    for name in ("", *names):
        await health.set(name, SERVING)
    log.info("serving", address=f"{address.rpartition(':')[0]}:{port}", services=names)
    try:
        yield Server(port, admin_port, metrics.server_port if metrics is not None else None, health)
    finally:
        await health.enter_graceful_shutdown()
        if draining is not None:
            draining.set()
        log.info("draining", seconds_at_most=drain_s)
        await server.stop(drain_s)
        if admin is not None:
            await admin.stop(None)
        if metrics is not None:
            metrics.shutdown()
            metrics.server_close()
        log.info("stopped")


def _window(window_bytes: int | None) -> tuple[tuple[str, int], ...]:
    if window_bytes is None:
        return ()
    return (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", window_bytes))


class _Methods(grpc.GenericRpcHandler):
    """Every method of a server, found in one look.

    They are not registered with grpc by name: its asyncio server would then wait anew, for each call, on a future
    for every method, which was a third of the time of a server of 130 methods.
    """

    def __init__(self) -> None:
        self.handlers: dict[str, chain.Handler] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "chain.Handler | None":
        return self.handlers.get(handler_call_details.method)


def _register(
    methods: _Methods,
    service: Service,
    verify: chain.VerifyBackoffice | None,
    verify_solution: chain.VerifySolution | None,
    denied: chain.Denied | None,
    verify_session: chain.VerifySession | None,
    admit_merchant: chain.AdmitMerchant | None,
) -> None:
    """Puts every method behind the chain; a method without rules, or without an implementation, stops the start."""
    for method in service.descriptor.methods:
        path = f"/{service.descriptor.full_name}/{method.name}"
        methods.handlers[path] = chain.handler(
            service.servicer, method, verify, verify_solution, denied, verify_session, admit_merchant
        )


async def _admin(address: str, health: Health) -> tuple[grpc.aio.Server, int]:
    """A server for the machine itself: no certificates, no methods of ours."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    channelz_pb2_grpc.add_ChannelzServicer_to_server(channelz.ChannelzServicer(), server)
    names = ("grpc.health.v1.Health", channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name)
    reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
    port = server.add_insecure_port(address)
    await server.start()
    return server, port


def _metrics(address: str) -> Any:
    host, _, port = address.rpartition(":")
    server, _thread = start_http_server(int(port), addr=host)
    return server
