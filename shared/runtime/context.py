"""Who asks, for which tenant, under which trace: what every part of one call may read."""

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from center.shared.v1 import rules_pb2


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a call stands among others.

    trace_id, span_id: W3C trace context, 32 and 16 hexadecimal digits; the span is this call's own.
    parent_id: the span of whoever called; empty when the trace began here.
    request_id: names this call in logs; from `x-request-id` or made here.
    """

    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A customer's, as it was signed. It holds as long as the epoch is the customer's, too, and nobody has ended it.

    caller: whose it is, such as `customer/ID`. expire_time: when nobody takes it any more.
    """

    caller: str
    epoch: int
    id: str
    expire_time: datetime

    @property
    def customer_id(self) -> str:
        return self.caller.partition("/")[2]


@dataclass(slots=True)
class CallContext:
    """One call as the interceptors found it. Handlers read it; only the interceptors write it.

    caller: the identity in the client's certificate, such as `operator` or `cluster/eu-1`.
    role: a value of center.shared.v1.Caller.
    tenant_id: the tenant that the call acts in; empty where the contract knows none.
    method: `package.Service/Method`; workers name what they do, as `workflow/KIND/STEP`.
    deadline: when the caller stops waiting, on the event loop's clock; None without a deadline.
    session: where a customer calls.
    is_outside: whether the call came through Envoy.
    is_recorded: whether the contract has what the method changes recorded in the audit.
    metadata: as the caller sent it; None for work that no request carries.
    known_trace: once somebody asked for it. Most calls end without a word of it.
    """

    caller: str = ""
    role: int = rules_pb2.CALLER_UNSPECIFIED
    tenant_id: str = ""
    method: str = ""
    deadline: float | None = None
    session: Session | None = None
    is_outside: bool = False
    is_recorded: bool = False
    metadata: Mapping[str, str | bytes] | None = None
    known_trace: Trace | None = None

    @property
    def trace(self) -> Trace:
        if self.known_trace is None:
            self.known_trace = Trace() if self.metadata is None else trace_of(self.metadata)
        return self.known_trace

    @property
    def trace_id(self) -> str:
        return self.trace.trace_id

    @property
    def span_id(self) -> str:
        return self.trace.span_id

    @property
    def parent_id(self) -> str:
        return self.trace.parent_id

    @property
    def request_id(self) -> str:
        return self.trace.request_id

    @property
    def traceparent(self) -> str:
        """The W3C header that makes what is called next a child of this call."""
        return f"00-{self.trace_id}-{self.span_id}-01"


_current: ContextVar[CallContext | None] = ContextVar("call", default=None)
_NOBODY = CallContext()


def current() -> CallContext:
    """The call that is being served, or an empty one outside of any."""
    return _current.get() or _NOBODY


def enter(call: CallContext) -> None:
    """Makes `call` the current one for the rest of this task."""
    _current.set(call)


@contextmanager
def use(call: CallContext) -> Iterator[CallContext]:
    """Makes `call` the current one inside the block: for work that no request carries."""
    token = _current.set(call)
    try:
        yield call
    finally:
        _current.reset(token)


def own_work(caller: str, tenant_id: str, method: str) -> CallContext:
    """What a cluster does for a tenant with nobody asking for it. method: what it does, as `worker/carts/sweep`."""
    role, trace = rules_pb2.CALLER_CLUSTER, Trace(new_trace_id(), new_span_id())
    return CallContext(caller=caller, role=role, tenant_id=tenant_id, method=method, known_trace=trace)


def trace_of(metadata: Mapping[str, str | bytes]) -> Trace:
    """A span in the caller's W3C trace, or in a new one."""
    parent, request_id = metadata.get("traceparent"), metadata.get("x-request-id")
    match = _TRACEPARENT.fullmatch(parent) if isinstance(parent, str) else None
    trace_id, parent_id = match.groups() if match else (new_trace_id(), "")
    span_id = new_span_id()
    if not isinstance(request_id, str) or not request_id.isprintable():
        request_id = span_id
    return Trace(trace_id, span_id, parent_id, request_id[:128])


# An all-zero trace id is invalid (W3C Trace Context, 3.2.2.3).
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def new_trace_id() -> str:
    return f"{random.getrandbits(128):032x}"


def new_span_id() -> str:
    return f"{random.getrandbits(64):016x}"
