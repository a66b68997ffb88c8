"""Servers that answer every call with the same message, raw and in the chain as shipped, in a process of their own."""

import asyncio
import multiprocessing
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import uvloop
from google.protobuf import message_factory
from google.protobuf.message import Message

from center.control.v1 import access_service_pb2, plan_service_pb2, tenant_service_pb2
from center.dataplane.v1 import cart_service_pb2, product_service_pb2
from shared.runtime import pki, telemetry
from shared.runtime.rpc.server import Service, serving

SERVICES = {
    service.full_name: service
    for file in (access_service_pb2, plan_service_pb2, tenant_service_pb2, product_service_pb2, cart_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
}
RESOLVE = "center.control.v1.TenantService/ResolveTenant"


@dataclass(frozen=True)
class Echo:
    """Ports of the process `pid`."""

    pid: int
    plaintext: int
    raw: int
    chain: int


@contextmanager
def echo(home: Path, answers: Mapping[str, Message], identity: str = "control") -> Iterator[Echo]:
    """Servers as this identity of `home`; each parses the request and serialises the answer to that method."""
    ours, theirs = multiprocessing.Pipe()
    packed = {method: answer.SerializeToString() for method, answer in answers.items()}
    process = multiprocessing.get_context("spawn").Process(
        target=_main, args=(home, identity, packed, theirs), daemon=True
    )
    process.start()
    theirs.close()
    try:
        yield Echo(process.pid or 0, *ours.recv())
    finally:
        process.kill()
        process.join()


def _main(home: Path, name: str, answers: dict[str, bytes], pipe: Connection) -> None:
    uvloop.run(_serve(home, name, answers, pipe))


class _Answering:
    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        answer = self._answers.get(name)

        async def same(request: object, context: object) -> Any:
            return answer

        return same


async def _serve(home: Path, name: str, answers: dict[str, bytes], pipe: Connection) -> None:
    telemetry.configure("bench", level="error")
    identity = pki.load(home, name)
    raw = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    key_and_certificate = [(identity.key_pem, identity.cert_pem)]
    credentials = grpc.ssl_server_credentials(key_and_certificate, identity.ca_pem, require_client_auth=True)
    ports = raw.add_insecure_port("127.0.0.1:0"), raw.add_secure_port("127.0.0.1:0", credentials)
    by_service: dict[str, dict[str, Any]] = defaultdict(dict)
    for path, data in answers.items():
        service, _, name = path.partition("/")
        method = SERVICES[service].methods_by_name[name]
        by_service[service][name] = message_factory.GetMessageClass(method.output_type).FromString(data)
    for service, messages in by_service.items():
        handlers = {}
        for name in messages:
            method = SERVICES[service].methods_by_name[name]
            handlers[name] = grpc.unary_unary_rpc_method_handler(
                getattr(_Answering(messages), name),
                message_factory.GetMessageClass(method.input_type).FromString,
                message_factory.GetMessageClass(method.output_type).SerializeToString,
            )
        raw.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    await raw.start()
    shipped = [Service(_Answering(messages), SERVICES[service]) for service, messages in by_service.items()]
    async with serving(shipped, address="127.0.0.1:0", identity=identity) as chain:
        pipe.send((*ports, chain.port))
        await asyncio.Event().wait()
