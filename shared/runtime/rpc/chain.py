"""What happens around every method of every server, composed once per method at start.

grpc's own interceptors make several coroutines and handler objects a call; six of them kept 0.65 - 0.8 of a raw
server's calls a second, one composed function keeps 0.9 and more. So the parts are plain functions here: those of
PARTS run before the handler, in order, each filling in or refusing the call; what follows the handler (errors, metrics,
logs) is the composed function itself. A part looks at its method once, at start, and gives nothing when it does not
concern it.
"""

import asyncio
import contextlib
import inspect
import itertools
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message

from center.shared.v1 import rules_pb2
from shared.runtime import context as calls
from shared.runtime import telemetry
from shared.runtime.context import CallContext, Session
from shared.runtime.errors import (
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    PermissionDenied,
    PlatformError,
    Unauthenticated,
    Unavailable,
)
from shared.runtime.rpc import rules, status
from shared.runtime.rpc.violations import violations

# What a unary call without a deadline of its own gets. A stream without one may live as long as it likes.
DEFAULT_DEADLINE_S = 60.0

# The valid questions that a method remembers: 16,384 of them are 1.5 MB.
REMEMBERED = 16_384
REMEMBERED_BYTES = 512

# How long a refused stream may be silent, and how long it may go on, before it is ended.
LINGER_S = 0.05
LINGER_AT_MOST_S = 1.0

# Checks a bearer token for a tenant and answers whose it is, or raises Unauthenticated.
VerifyBackoffice = Callable[[str, str], str]
# Asks what only a database knows of a merchant: whether the credential still holds, and its role is the rules' or more.
# Raises Unauthenticated or PermissionDenied.
AdmitMerchant = Callable[[CallContext, rules.Rules], Awaitable[None]]
# Checks a solution's key and answers which solution's it is, or raises Unauthenticated.
VerifySolution = Callable[[str], str]
# Checks a customer's session for a tenant and answers what it says, or raises Unauthenticated.
VerifySession = Callable[[str, str], Session]
# Hears of every call of a mutating method that was refused.
Denied = Callable[[CallContext, PlatformError], None]


@dataclass(frozen=True, slots=True)
class Method:
    """One method as the parts see it when a server starts."""

    name: str  # package.Service/Method
    rules: rules.Rules
    verify_backoffice: VerifyBackoffice | None
    verify_solution: VerifySolution | None = None
    verify_session: VerifySession | None = None


# grpc's classes are generic in its stubs only.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Metadata = dict[str, str | bytes]
Answer = TypeVar("Answer")
Part = Callable[[Method], Callable[[CallContext, Metadata, Context], None] | None]


_SPIFFE = b"spiffe://center/"
_ROLES = {
    "operator": rules_pb2.CALLER_OPERATOR,
    "control": rules_pb2.CALLER_CONTROL,
    "edge": rules_pb2.CALLER_EDGE,
}


def caller(method: Method) -> Callable[[CallContext, Metadata, Context], None]:
    """Knows the caller by its certificate, and refuses whom the contract does not name."""
    allowed = method.rules.callers

    def fill(call: CallContext, metadata: Metadata, context: Context) -> None:
        uri = _spiffe_uri(context)
        if uri is None:
            raise Unauthenticated("CERTIFICATE_REQUIRED", "show a client certificate of this platform's CA")
        call.caller = uri[len(_SPIFFE) :].decode()
        role: int = _ROLES.get(call.caller, rules_pb2.CALLER_UNSPECIFIED)
        if role == rules_pb2.CALLER_UNSPECIFIED:
            if call.caller == "envoy":
                call.is_outside = True
                role = _outside(method, call, metadata)
            elif call.caller.startswith("cluster/"):
                role = rules_pb2.CALLER_CLUSTER
            elif call.caller.startswith("solution/"):
                role = rules_pb2.CALLER_SOLUTION
        call.role = role
        if role not in allowed:
            who = rules_pb2.Caller.Name(role).removeprefix("CALLER_").lower()
            message = f"{'a shopper' if who == 'shopper' else call.caller} may not call {method.name}"
            if rules_pb2.CALLER_MERCHANT in allowed:
                message += "; the shop's own people send `authorization: Bearer TOKEN`"
            if rules_pb2.CALLER_SOLUTION in allowed and method.verify_solution is not None:
                message += "; a solution sends `authorization: Bearer KEY` with a key of its own"
            if rules_pb2.CALLER_CUSTOMER in allowed:
                message += "; a customer sends `authorization: Bearer SESSION` with the session of having signed in"
            raise PermissionDenied("CALLER_NOT_ALLOWED", message, caller=call.caller, role=who)

    return fill


def _spiffe_uri(context: Context) -> bytes | None:
    """Our name in the client's certificate, among its subject alternative names only.

    auth_context() has them too, but copies the whole certificate chain for each call: 7 us, where this takes one.
    """
    names = tuple(context.peer_identities() or ())
    # One alone may be the certificate's common name.
    if len(names) < 2 and context.peer_identity_key() != "x509_subject_alternative_name":
        return None
    for name in names:
        if name.startswith(_SPIFFE):
            return name
    return None


def _outside(method: Method, call: CallContext, metadata: Metadata) -> int:
    """Who stands behind Envoy: itself, a merchant or a solution with a credential that holds, or anyone."""
    if rules_pb2.CALLER_ENVOY in method.rules.callers:
        return rules_pb2.CALLER_ENVOY
    solution = method.verify_solution if rules_pb2.CALLER_SOLUTION in method.rules.callers else None
    authorization = metadata.get("authorization")
    if method.verify_session is not None and isinstance(authorization, str) and _SESSION.match(authorization):
        return _customer(method, call, metadata, method.verify_session)
    if (method.verify_backoffice is None and solution is None) or not isinstance(authorization, str):
        return rules_pb2.CALLER_SHOPPER
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("TOKEN_INVALID", "send `authorization: Bearer TOKEN`")
    if solution is not None:
        call.caller = f"solution/{solution(token.strip())}"
        return rules_pb2.CALLER_SOLUTION
    assert method.verify_backoffice is not None
    call.caller = method.verify_backoffice(token.strip(), str(metadata.get("x-tenant-id", "")))
    return rules_pb2.CALLER_MERCHANT


_SESSION = re.compile(r"bearer +cs_", re.IGNORECASE)


def _customer(method: Method, call: CallContext, metadata: Metadata, verify: VerifySession) -> int:
    """A customer; where a method asks for shoppers only, one of those, with a session that holds none the less."""
    token = str(metadata["authorization"]).partition(" ")[2].strip()
    session = verify(token, str(metadata.get("x-tenant-id", "")))
    callers = method.rules.callers
    if rules_pb2.CALLER_SHOPPER in callers and rules_pb2.CALLER_CUSTOMER not in callers:
        return rules_pb2.CALLER_SHOPPER
    call.caller, call.session = session.caller, session
    return rules_pb2.CALLER_CUSTOMER


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def tenant(method: Method) -> Callable[[CallContext, Metadata, Context], None] | None:
    """Takes the tenant from `x-tenant-id` where the contract wants one."""
    if not method.rules.needs_tenant:
        return None

    def fill(call: CallContext, metadata: Metadata, _: Context) -> None:
        tenant_id = metadata.get("x-tenant-id", "")
        if not isinstance(tenant_id, str) or not _UUID.fullmatch(tenant_id):
            raise InvalidArgument("TENANT_REQUIRED", "name the tenant by its id in the `x-tenant-id` metadata")
        call.tenant_id = tenant_id

    return fill


def deadline(_: Method) -> Callable[[CallContext, Metadata, Context], None]:
    """Notes when the caller stops waiting, so that what this call calls gets less."""

    def fill(call: CallContext, _: Metadata, context: Context) -> None:
        remaining = context.time_remaining()
        if remaining is not None:
            call.deadline = asyncio.get_running_loop().time() + remaining

    return fill


PARTS: tuple[Part, ...] = (caller, tenant, deadline)


def handler(
    servicer: object,
    descriptor: MethodDescriptor,
    verify: VerifyBackoffice | None,
    verify_solution: VerifySolution | None = None,
    denied: Denied | None = None,
    verify_session: VerifySession | None = None,
    admit_merchant: AdmitMerchant | None = None,
) -> Handler:
    """The method's implementation in `servicer`, with every part around it.

    Requests come as bytes and are parsed inside, so that bytes that are no message are INVALID_ARGUMENT. A handler may
    answer with bytes that it serialised before.
    """
    method = Method(
        name=f"{descriptor.containing_service.full_name}/{descriptor.name}",
        rules=rules.of(descriptor),
        verify_backoffice=verify,
        verify_solution=verify_solution,
        verify_session=verify_session,
    )
    serve = getattr(servicer, descriptor.name)
    if not descriptor.server_streaming:
        around: Any = _answering
    else:
        # Standard servicers write to the context in place of yielding.
        around = _streaming if inspect.isasyncgenfunction(serve) else _writing
    made = around(
        serve,
        _beginning(method),
        reader(method, descriptor),
        _observing(method, denied),
        _admitting(admit_merchant, method.rules),
        client_streaming=descriptor.client_streaming,
    )
    make = _MAKERS[descriptor.client_streaming, descriptor.server_streaming]
    return make(made, request_deserializer=None, response_serializer=_serialise)


def _admitting(admit: AdmitMerchant | None, of_method: rules.Rules) -> "Admit | None":
    """What is asked before the request is looked at; nothing where no merchant may call."""
    if admit is None or rules_pb2.CALLER_MERCHANT not in of_method.callers:
        return None

    async def admitting(call: CallContext) -> None:
        if call.role == rules_pb2.CALLER_MERCHANT:
            await admit(call, of_method)

    return admitting


def _observing(method: Method, denied: Denied | None) -> telemetry.Observer:
    """What is noted of every call; of those that would have changed something, too, that they were refused."""
    observe = telemetry.observer(method.name)
    if denied is None or not method.rules.mutates:
        return observe

    def observing(call: CallContext, began: float, error: BaseException | None) -> None:
        observe(call, began, error)
        if isinstance(error, PlatformError):
            denied(call, error)

    return observing


_MAKERS: dict[tuple[bool, bool], Callable[..., Handler]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def _serialise(response: Message | bytes) -> bytes:
    return response if type(response) is bytes else response.SerializeToString()  # type: ignore[union-attr]


Begin = Callable[[CallContext, Context], None]
Read = Callable[[bytes], Message]
Admit = Callable[[CallContext], Awaitable[None]]


def _beginning(method: Method) -> Begin:
    fills = [fill for part in PARTS if (fill := part(method)) is not None]
    is_recorded = method.rules.is_recorded

    def begin(call: CallContext, context: Context) -> None:
        call.method = method.name
        call.is_recorded = is_recorded
        calls.enter(call)
        call.metadata = metadata = dict(context.invocation_metadata() or ())
        for fill in fills:
            fill(call, metadata, context)

    return begin


def reader(method: Method, descriptor: MethodDescriptor) -> Read:
    """Parses and validates one request by the rules beside its fields.

    A tenth of a small call is its validation, and what is asked repeats: small questions that were valid are
    remembered, and not checked again. That is sound because rules look at nothing but the message; none of ours
    compares with the present time. Two messages with one hash of 64 bits nobody finds who does not
    know its key. A change that can be sent again has a request_id of its own, and does not repeat.
    """
    cls = message_factory.GetMessageClass(descriptor.input_type)
    is_checked = _has_rules(descriptor)
    longest = 0 if method.rules.mutates and method.rules.idempotent else REMEMBERED_BYTES
    valid: set[int] = set()

    def read(data: bytes) -> Message:
        try:
            request = cls.FromString(data)
        except DecodeError as error:
            raise InvalidArgument("MESSAGE_MALFORMED", f"the request is no {cls.DESCRIPTOR.full_name}") from error
        if not is_checked:
            return request
        # Python's own hash, with a secret of this process: what is asked may hold a secret, and stays nowhere.
        mark = hash(data)
        if mark not in valid:
            if found := violations(request, data):
                text = "; ".join(f"{path}: {why}" for path, why in itertools.islice(found.items(), 10))
                raise InvalidArgument("FIELD_INVALID", text, fields=found)
            if len(data) <= longest:
                if len(valid) >= REMEMBERED:
                    valid.clear()
                valid.add(mark)
        return request

    return read


def _has_rules(descriptor: MethodDescriptor) -> bool:
    return descriptor.containing_service.file.package.startswith("center.")


async def _parsed(requests: AsyncIterator[bytes], read: Read) -> AsyncIterator[Message]:
    async for data in requests:
        yield read(data)


class Limit:
    """A time that many calls get alike: those that began first are over first, so one timer looks after them all.

    asyncio.timeout, with a timer for each call, takes 7 us; this takes one.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._began: dict[asyncio.Task[Any], float] = {}  # in this order
        self._timer: asyncio.TimerHandle | None = None

    async def within(self, work: Awaitable[Answer]) -> Answer:
        """What `work` gives, or TimeoutError once the limit is past, at most a tenth later."""
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        self._began[task] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._limit_s, self._look)
        try:
            return await work
        except asyncio.CancelledError:
            # _look() forgets whom it cancels; everyone else is cancelled by grpc, when the client went away.
            if task in self._began:
                raise
            task.uncancel()
            raise TimeoutError from None
        finally:
            self._began.pop(task, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        over = loop.time() - self._limit_s
        for task in list(itertools.takewhile(lambda task: self._began[task] <= over, self._began)):
            del self._began[task]
            task.cancel()
        self._timer = loop.call_later(self._limit_s / 10, self._look) if self._began else None


def _answering(
    serve: Callable[[Any, Context], Awaitable[Message]],
    begin: Begin,
    read: Read,
    observe: telemetry.Observer,
    admit: Admit | None,
    *,
    client_streaming: bool,
) -> Callable[[Any, Context], Awaitable[Message | bytes | None]]:
    limit = Limit(DEFAULT_DEADLINE_S)

    async def answer(data: Any, context: Context) -> Message | bytes | None:
        call, began = CallContext(), time.perf_counter()
        try:
            begin(call, context)
            if admit is not None:
                await admit(call)
            request = _parsed(data, read) if client_streaming else read(data)
            if call.deadline is None and not client_streaming:
                response = await limit.within(serve(request, context))
            else:
                response = await serve(request, context)
        except BaseException as error:
            await _refuse(call, began, error, context, observe, data if client_streaming else None)
            return None
        observe(call, began, None)
        return response

    return answer


def _streaming(
    serve: Callable[[Any, Context], AsyncGenerator[Message, None]],
    begin: Begin,
    read: Read,
    observe: telemetry.Observer,
    admit: Admit | None,
    *,
    client_streaming: bool,
) -> Callable[[Any, Context], Awaitable[None]]:
    """Writes what a handler yields.

    grpc would iterate over the handler by itself, but when a client goes away while a message waits to be sent, it
    leaves the generator where it stands and frees the call; what the handler does at its end then runs whenever the
    generator is collected, and a question to its context ends the process. Here the handler is at its end first.
    """

    async def stream(data: Any, context: Context) -> None:
        call, began = CallContext(), time.perf_counter()
        try:
            begin(call, context)
            if admit is not None:
                await admit(call)
            request = _parsed(data, read) if client_streaming else read(data)
            async with contextlib.aclosing(serve(request, context)) as responses:
                async for response in responses:
                    await _send(response, context)
        except BaseException as error:
            await _refuse(call, began, error, context, observe, data if client_streaming else None)
            return
        observe(call, began, None)

    return stream


async def _send(response: Message, context: Context) -> None:
    try:
        await context.write(response)
    except grpc.aio.InternalError:
        # The client is gone, and grpc has not said so yet; that is no fault of the handler's.
        raise asyncio.CancelledError from None


def _writing(
    serve: Callable[[Any, Context], Awaitable[None]],
    begin: Begin,
    read: Read,
    observe: telemetry.Observer,
    admit: Admit | None,
    *,
    client_streaming: bool,
) -> Callable[[Any, Context], Awaitable[None]]:
    async def write(data: Any, context: Context) -> None:
        call, began = CallContext(), time.perf_counter()
        try:
            begin(call, context)
            if admit is not None:
                await admit(call)
            await serve(_parsed(data, read) if client_streaming else read(data), context)
        except BaseException as error:
            await _refuse(call, began, error, context, observe, data if client_streaming else None)
            return
        observe(call, began, None)

    return write


async def _refuse(
    call: CallContext,
    began: float,
    error: BaseException,
    context: Context,
    observe: telemetry.Observer,
    unread: AsyncIterator[bytes] | None,
) -> None:
    """Ends a call that failed: the one place where an exception becomes a status."""
    if isinstance(error, asyncio.CancelledError | grpc.aio.AbortError):
        observe(call, began, error)
        raise error
    refusal = _as_refusal(error)
    if isinstance(refusal, Internal):
        # The cause is for the log; the caller gets the trace to quote.
        refusal.message = f"internal error, trace {call.trace_id}"
        refusal.metadata = {"trace_id": call.trace_id}
    observe(call, began, error if isinstance(refusal, Internal) else refusal)
    if unread is not None:
        await _linger(unread)
    await context.abort_with_status(status.to_grpc(refusal))


async def _linger(unread: AsyncIterator[bytes]) -> None:
    """Reads on a little before a stream is refused: a client that is still sending loses the status otherwise.

    grpc's asyncio client reports INTERNAL when a message cannot be sent any more, whatever the server said.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_AT_MOST_S):
            while True:
                async with asyncio.timeout(LINGER_S):
                    if await anext(unread, None) is None:
                        return


def _as_refusal(error: BaseException) -> PlatformError:
    if isinstance(error, PlatformError):
        return error
    if isinstance(error, TimeoutError):
        return DeadlineExceeded("DEADLINE_EXCEEDED", f"not done within {DEFAULT_DEADLINE_S:.0f} s")
    if isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.UNAVAILABLE:
        return Unavailable("UPSTREAM_UNAVAILABLE", "a service that this one needs does not answer", retry_after_s=1)
    return Internal("INTERNAL", "internal error")
