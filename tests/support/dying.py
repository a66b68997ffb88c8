"""Calls of a servicer's methods without a server, any of which may die between two steps, as its process would."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from center.shared.v1 import rules_pb2
from shared.runtime.context import CallContext, use
from shared.runtime.errors import Internal, PlatformError


class _Quiet:
    """What a servicer says of an answer beside it."""

    def trailing_metadata(self) -> tuple[()]:
        return ()

    def set_trailing_metadata(self, _: object) -> None:
        pass


_QUIET: Any = _Quiet()


async def outcome(
    tenant_id: str, service: str, method: Callable[[Any, Any], Awaitable[Any]], request: Any, **metadata: str
) -> Any:
    """The answer, the refusal, or None of a call that died; raises what is neither. In a task of its own, since it may.

    service: that the method is one of, such as center.shared.v1.PaymentService.
    """

    async def served() -> Any:
        call = CallContext(
            caller="operator",
            role=rules_pb2.CALLER_OPERATOR,
            tenant_id=tenant_id,
            method=f"{service}/{type(request).__name__.removesuffix('Request')}",
            metadata=metadata,
        )
        with use(call):
            return await method(request, _QUIET)

    [ended] = await asyncio.gather(asyncio.ensure_future(served()), return_exceptions=True)
    if isinstance(ended, asyncio.CancelledError):
        return None
    if isinstance(ended, BaseException) and (isinstance(ended, Internal) or not isinstance(ended, PlatformError)):
        raise ended
    return ended
