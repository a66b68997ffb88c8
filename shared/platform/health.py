"""Whether a process of the platform does its work, asked of the process itself."""

import asyncio
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2

from shared.runtime import pki
from shared.runtime.rpc.channel import connect


async def grpc_serves(home: Path, address: str, server: str) -> bool:
    """Whether the server answers the standard health check over mutual TLS, as an operator would ask."""
    identity = pki.load(home, "operator")
    async with connect(address, identity, server=server) as channel:
        try:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            answer = await check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def http_ready(address: str, path: str) -> bool:
    """Whether GET `path` is answered with 200."""
    try:
        async with asyncio.timeout(2):
            host, _, port = address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status


async def listens(address: str) -> bool:
    try:
        async with asyncio.timeout(2):
            host, _, port = address.rpartition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
    except (OSError, TimeoutError):
        return False
    return True
