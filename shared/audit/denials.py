"""Calls that would have changed something and were refused: who, what, and why, written down outside the request.

Refusals cost their callers nothing, so they must cost little here: those that are alike are counted together, each kind
is written less and less often while it goes on, and there is an end to how many kinds are told apart.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog
from prometheus_client import Counter

from shared.runtime.context import CallContext, Trace
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.audit")

# What an entry has for its resource; its id is the reason.
DENIED = "denied"
# Not what is wrong with a request, or with the platform just now: who may not, and what may not be now.
CODES = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "FAILED_PRECONDITION"})
KINDS = 1_000
OTHERS = "others"
LOOK_S = 1.0
LONGEST_S = 3600.0

_denied = Counter("center_audit_denied", "Refused calls that the audit counts.")


@dataclass(frozen=True, slots=True)
class Kind:
    method: str
    caller: str
    tenant_id: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Denied:
    """Some calls alike. trace: of the first of them."""

    kind: Kind
    calls: int
    first_time_s: float
    trace: Trace

    @property
    def call(self) -> CallContext:
        """What an entry is written as: the refused call's method and caller."""
        return CallContext(caller=self.kind.caller, method=self.kind.method, known_trace=self.trace)

    @property
    def facts(self) -> dict[str, str]:
        first = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.first_time_s))
        return {"code": self.kind.code, "calls": str(self.calls), "first_time": first}


@dataclass(slots=True)
class _Count:
    due_s: float
    pause_s: float
    calls: int = 0
    first_time_s: float = 0.0
    trace: Trace = field(default_factory=Trace)


class Denials:
    """write: makes entries of them. is_known: whether a tenant is one of ours; any other is nobody's."""

    def __init__(
        self,
        write: Callable[[Sequence[Denied]], Awaitable[None]],
        is_known: Callable[[str], bool] = lambda tenant_id: True,
        look_s: float = LOOK_S,
    ) -> None:
        self._write = write
        self._is_known = is_known
        self._look_s = look_s
        self._counts: dict[Kind, _Count] = {}

    def note(self, call: CallContext, refusal: PlatformError) -> None:
        """One call that the contract has recorded was refused."""
        if refusal.code not in CODES:
            return
        _denied.inc()
        tenant_id = call.tenant_id if self._is_known(call.tenant_id) else ""
        kind = Kind(call.method, call.caller, tenant_id, refusal.code, refusal.reason)
        count = self._counts.get(kind)
        if count is None:
            if len(self._counts) >= KINDS:
                kind = Kind(OTHERS, OTHERS, "", refusal.code, OTHERS)
            count = self._counts.setdefault(kind, _Count(time.monotonic() + self._look_s, self._look_s))
        if not count.calls:
            count.first_time_s, count.trace = time.time(), call.trace
        count.calls += 1

    async def run(self) -> None:
        """Until cancelled; what is left is written then."""
        try:
            while True:
                await asyncio.sleep(self._look_s)
                await self.flush(time.monotonic())
        finally:
            await self.flush(float("inf"))

    async def flush(self, now_s: float) -> None:
        """Writes what is due by `now_s`."""
        due = [(kind, count) for kind, count in self._counts.items() if count.due_s <= now_s]
        told = [Denied(kind, count.calls, count.first_time_s, count.trace) for kind, count in due if count.calls]
        for kind, count in due:
            if not count.calls:
                # It has stopped: it is told at once when it begins again.
                del self._counts[kind]
                continue
            count.calls = 0
            count.pause_s = min(2 * count.pause_s, LONGEST_S)
            count.due_s = now_s + count.pause_s
        if not told:
            return
        try:
            await self._write(told)
        except PlatformError as error:
            log.warning("refused calls are not recorded yet", kinds=len(told), error=str(error))
            for denied in told:
                # With those that come.
                count = self._counts.setdefault(denied.kind, _Count(now_s, self._look_s))
                count.calls += denied.calls
                count.first_time_s, count.trace = denied.first_time_s, denied.trace
