"""Validates the calls of a gRPC server before its methods run, on grpc.aio and on threaded servers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TypeAlias

import grpc

from center_sdk import answers
from center_sdk.aio import AsyncValidator
from center_sdk.decision import Decision
from center_sdk.sync import Validator

# What was decided about the call that runs, for its method to read.
decision: ContextVar[Decision] = ContextVar("center_sdk.decision")

Actions = Mapping[str, str] | Callable[[str], str]
# As the stubs have it; at run time the class takes no parameters.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Found: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Metadata = Sequence[tuple[str, str | bytes]]


def _token(metadata: Metadata) -> str:
    for key, value in metadata:
        if key == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            if scheme.lower() == "bearer":
                return token.strip()
    return ""


def _action(actions: Actions, method: str) -> str:
    return actions(method) if callable(actions) else actions.get(method, "")


def _like(handler: Handler, behaviour: Any) -> Handler:
    """A handler of the same shape that does something else."""
    if handler.request_streaming:
        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
    else:
        make = (
            grpc.unary_stream_rpc_method_handler if handler.response_streaming else grpc.unary_unary_rpc_method_handler
        )
    return make(behaviour, handler.request_deserializer, handler.response_serializer)


class AsyncAccessInterceptor(grpc.aio.ServerInterceptor):
    """For grpc.aio servers.

    actions: the action of a method such as `/shop.v1.Search/Find`, by a mapping or a function; empty is not validated.
    """

    def __init__(self, validator: AsyncValidator, actions: Actions, *, solution_id: str = "") -> None:
        self._validator = validator
        self._actions = actions
        self._solution_id = solution_id

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Found]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Found:
        handler = await continuation(handler_call_details)
        action = _action(self._actions, handler_call_details.method)
        if handler is None or not action:
            return handler
        token = _token(handler_call_details.invocation_metadata)
        made = await self._validator.validate(token, action, solution_id=self._solution_id)
        if made.allowed:
            decision.set(made)
            return handler
        refusal = answers.Refusal(made, self._validator.now())

        async def refuse(request: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
            await context.abort_with_status(refusal)

        return _like(handler, refuse)


class AccessInterceptor(grpc.ServerInterceptor):
    """For threaded servers; decides in the thread of the call, not in the one that accepts them all.

    actions: as for AsyncAccessInterceptor.
    """

    def __init__(self, validator: Validator, actions: Actions, *, solution_id: str = "") -> None:
        self._validator = validator
        self._actions = actions
        self._solution_id = solution_id

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Found],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Found:
        handler = continuation(handler_call_details)
        action = _action(self._actions, handler_call_details.method)
        if handler is None or not action:
            return handler
        token = _token(handler_call_details.invocation_metadata)
        run: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream

        def validated(request: Any, context: grpc.ServicerContext) -> Any:
            made = self._validator.validate(token, action, solution_id=self._solution_id)
            if not made.allowed:
                context.abort_with_status(answers.Refusal(made, self._validator.now()))
            decision.set(made)
            return run(request, context)

        return _like(handler, validated)
