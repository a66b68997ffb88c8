"""Calls of one service by another in the same process: the same checks of the same requests, and no network."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf import message_factory
from google.protobuf.message import Message

from center.shared.v1 import rules_pb2
from shared.runtime.context import Session, current, use
from shared.runtime.errors import PlatformError
from shared.runtime.rpc import chain, contract, rules


@dataclass(frozen=True, slots=True)
class _Method:
    name: str
    is_recorded: bool
    is_mutating: bool
    read: chain.Read
    serve: Callable[[Any, Any], Awaitable[Any]]
    answer: type[Message]


class InProcess:
    """A service's unary methods, as one that answers a caller calls them: each under its own name, so that the audit
    and the request ids are as if the caller had called it. role: whom the service is to take the caller for.

    Whether the caller is let in at all, and the tenant served, is decided before. denied: hears of refusals, as it does
    of those that a caller gets.
    """

    def __init__(self, servicer: object, role: int, denied: chain.Denied | None = None) -> None:
        self._role = role
        self._denied = denied
        self._methods: dict[str, _Method] = {}
        for method in contract.of(servicer).methods:
            if method.client_streaming or method.server_streaming:
                continue
            known = chain.Method(f"{method.containing_service.full_name}/{method.name}", rules.of(method), None)
            serve, read = getattr(servicer, method.name), chain.reader(known, method)
            answer = message_factory.GetMessageClass(method.output_type)
            self._methods[method.name] = _Method(
                known.name, known.rules.is_recorded, known.rules.mutates, read, serve, answer
            )

    async def __call__(self, request: Message, context: Any, session: Session | None = None) -> Any:
        """The answer to `XRequest` of method X; raises what the service raises, and InvalidArgument FIELD_INVALID.

        session: its customer calls, then.
        """
        method = self._methods[type(request).__name__.removesuffix("Request")]
        call = current()
        # Known before it is copied: otherwise each call would be a trace of its own where the caller sent none.
        known = call.trace
        own = replace(call, method=method.name, role=self._role, is_recorded=method.is_recorded, known_trace=known)
        if session is not None:
            own.caller, own.session = session.caller, session
            own.role = rules_pb2.CALLER_CUSTOMER
        with use(own):
            try:
                answer = await method.serve(method.read(request.SerializeToString()), context)
                # It may have been serialised before.
                return method.answer.FromString(answer) if type(answer) is bytes else answer
            except PlatformError as refusal:
                if self._denied is not None and method.is_mutating:
                    self._denied(own, refusal)
                raise
