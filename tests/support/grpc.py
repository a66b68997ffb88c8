"""What a client sees of a refusal: the status, and google.rpc's details in it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass
class Refusal:
    """Filled when the block has been refused; read it after the block."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    message: str = ""
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: dict[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None


@asynccontextmanager
async def refuses(code: grpc.StatusCode | str, reason: str = "") -> AsyncIterator[Refusal]:
    """The block's RPC fails with `code` (or its name) and ErrorInfo.reason; any reason when none is named."""
    refusal = Refusal()
    try:
        yield refusal
    except grpc.aio.AioRpcError as error:
        vars(refusal).update(vars(refusal_of(error)))
    expected = grpc.StatusCode[code] if isinstance(code, str) else code
    assert refusal.code is expected, f"{refusal.code} {refusal.reason}: {refusal.message}, not {expected} {reason}"
    if reason:
        assert refusal.reason == reason, f"{refusal.reason}: {refusal.message}, not {reason}"
        assert refusal.domain == "center"


async def told(send: Callable[[], Awaitable[Refusal]]) -> Refusal:
    """The server's word. grpc's asyncio client loses it when it comes while a message of a stream is being sent."""
    for _ in range(5):
        refusal = await send()
        if refusal.message != "Internal error from Core":
            break
    return refusal


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    refusal = Refusal(code=error.code(), message=error.details() or "")
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            refusal.reason, refusal.domain, refusal.metadata = info.reason, info.domain, dict(info.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            request = error_details_pb2.BadRequest()
            detail.Unpack(request)
            refusal.violations = {v.field: v.description for v in request.field_violations}
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            refusal.retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
    return refusal
