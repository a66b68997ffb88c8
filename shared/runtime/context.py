"""Who asks, for which tenant, under which trace: what every part of one call may read."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from center.shared.v1 import rules_pb2


@dataclass(slots=True)
class CallContext:
    """One call as the interceptors found it. Handlers read it; only the interceptors write it.

    caller: the identity in the client's certificate, such as `operator` or `cluster/eu-1`.
    role: a value of center.shared.v1.Caller.
    tenant_id: the tenant that the call acts in; empty where the contract knows none.
    trace_id, span_id: W3C trace context, 32 and 16 hexadecimal digits; the span is this call's own.
    parent_id: the span of whoever called; empty when the trace began here.
    request_id: names this call in logs; from `x-request-id` or made here.
    method: `package.Service/Method`; workers name what they do, as `workflow/KIND/STEP`.
    deadline: when the caller stops waiting, on the event loop's clock; None without a deadline.
    is_outside: whether the call came through Envoy.
    """

    caller: str = ""
    role: int = rules_pb2.CALLER_UNSPECIFIED
    tenant_id: str = ""
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    request_id: str = ""
    method: str = ""
    deadline: float | None = None
    is_outside: bool = False

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


def new_trace_id() -> str:
    return f"{random.getrandbits(128):032x}"


def new_span_id() -> str:
    return f"{random.getrandbits(64):016x}"
