"""Servers that answer every call with the same message, raw and in the chain as shipped, in a process of their own."""

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
import uvloop

from center.control.v1 import tenant_service_pb2 as tenants
from shared.runtime import pki, telemetry
from shared.runtime.rpc import Service, serving

RESOLVE = "/center.control.v1.TenantService/ResolveTenant"


@dataclass(frozen=True)
class Echo:
    """Ports of the process `pid`."""

    pid: int
    plaintext: int
    raw: int
    chain: int


@contextmanager
def echo(home: Path, answer: tenants.ResolveTenantResponse) -> Iterator[Echo]:
    """The servers as identity `control` of `home`; each parses the request and serialises the answer."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_main, args=(home, answer.SerializeToString(), theirs), daemon=True
    )
    process.start()
    theirs.close()
    try:
        yield Echo(process.pid or 0, *ours.recv())
    finally:
        process.kill()
        process.join()


def _main(home: Path, answer: bytes, pipe: Connection) -> None:
    uvloop.run(_serve(home, tenants.ResolveTenantResponse.FromString(answer), pipe))


class _Tenants:
    def __init__(self, answer: tenants.ResolveTenantResponse) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> object:
        async def same(request: object, context: object) -> tenants.ResolveTenantResponse:
            return self._answer

        return same


async def _serve(home: Path, answer: tenants.ResolveTenantResponse, pipe: Connection) -> None:
    telemetry.configure("bench", level="error")
    identity = pki.load(home, "control")
    raw = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    plaintext_port = raw.add_insecure_port("127.0.0.1:0")
    key_and_certificate = [(identity.key_pem, identity.cert_pem)]
    credentials = grpc.ssl_server_credentials(key_and_certificate, identity.ca_pem, require_client_auth=True)
    raw_port = raw.add_secure_port("127.0.0.1:0", credentials)

    async def same(request: object, context: object) -> tenants.ResolveTenantResponse:
        return answer

    method = grpc.unary_unary_rpc_method_handler(
        same, tenants.ResolveTenantRequest.FromString, tenants.ResolveTenantResponse.SerializeToString
    )
    service = "center.control.v1.TenantService"
    raw.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"ResolveTenant": method}),))
    await raw.start()
    contract = tenants.DESCRIPTOR.services_by_name["TenantService"]
    async with serving([Service(_Tenants(answer), contract)], address="127.0.0.1:0", identity=identity) as chain:
        pipe.send((plaintext_port, raw_port, chain.port))
        await asyncio.Event().wait()
