"""Follows WatchAccess: hands on what is pushed and how old it is, reports what it applied, comes back after a break."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence

import grpc

from center.control.v1 import validator_service_pb2 as pb
from center_sdk.clock import ControlClock
from center_sdk.errors import CenterError, NotAuthorized, Unreachable, received
from center_sdk.remote import Remote

log = logging.getLogger("center_sdk")

# A response comes every second at the latest; a stream that is silent for longer than some of them is dead.
SILENT_S = 5.0
# A message that lags so far behind its stream tells of a clock that was set back, or of a way that is stuck.
LAGS_S = 5.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.05, 2.0
# Reports of a burst merge; a single change is reported at once.
_REPORT_EVERY_S = 0.005


class Watch:
    """apply: takes a response over; called on the loop that runs `run`, in order.

    why_not: what went wrong last; None while the stream stands.
    """

    def __init__(
        self,
        remote: Remote,
        clock: ControlClock,
        instance: str,
        solution_ids: Sequence[str],
        apply: Callable[[pb.WatchAccessResponse], None],
    ) -> None:
        self.revision = 0
        self.why_not: CenterError | None = Unreachable("NOT_CONNECTED", "the control plane was not reached yet")
        self._remote = remote
        self._clock = clock
        self._instance = instance
        self._solution_ids = solution_ids
        self._apply = apply
        self._reported = -1
        self._to_report = asyncio.Event()
        self._moved = asyncio.Condition()

    async def run(self) -> None:
        """Follows for ever; the control plane may come, go and come again."""
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                await self._follow()
                self.why_not = Unreachable("WATCH_ENDED", "the control plane ended the watch")
            except grpc.aio.AioRpcError as error:
                self.why_not = received(error)
            except TimeoutError:
                self.why_not = Unreachable("WATCH_SILENT", f"the control plane was silent for {SILENT_S:.0f} s")
            except _Lagging as lag:
                self.why_not = Unreachable("WATCH_LAGS", f"the watch lags by {lag.args[0]:.1f} s")
            was_up = self._reported >= 0
            self._reported = -1
            retry_s = _FIRST_RETRY_S if was_up else min(2 * retry_s, _LONGEST_RETRY_S)
            log.warning("watch broke, again in %.2f s: %s", retry_s, self.why_not)
            await self._tell()
            # Jittered, so that a thousand validators do not come back to a new control plane in one moment.
            await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))

    async def reached(self, revision: int) -> None:
        """Returns once everything up to the revision is applied."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.revision >= revision)

    async def connected(self) -> None:
        """Returns once there is something to decide by; raises NotAuthorized when that will never be."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.why_not is None or isinstance(self.why_not, NotAuthorized))
        if self.why_not is not None:
            raise self.why_not

    async def _follow(self) -> None:
        asked_s = time.monotonic()
        self._clock.begin(asked_s)
        call = self._remote.watch(self._requests())
        try:
            responses = aiter(call)
            while True:
                async with asyncio.timeout(SILENT_S):
                    response = await anext(responses, None)
                if response is None:
                    return
                now_s = time.monotonic()
                sent_s = response.send_time.seconds + response.send_time.nanos / 1e9
                lag_s = now_s - self._clock.observe(sent_s, now_s)
                if self._reported >= 0 and lag_s > LAGS_S:
                    raise _Lagging(lag_s)
                self._apply(response)
                self.revision = max(self.revision, response.revision)
                self.why_not = None
                if self._reported < response.revision:
                    self._reported = max(self._reported, 0)
                    self._to_report.set()
                await self._tell()
        finally:
            call.cancel()

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def _requests(self) -> AsyncIterator[pb.WatchAccessRequest]:
        start = pb.WatchAccessStart(
            instance=self._instance, solution_ids=self._solution_ids, from_revision=self.revision
        )
        yield pb.WatchAccessRequest(start=start)
        while True:
            await self._to_report.wait()
            self._to_report.clear()
            self._reported = self.revision
            yield pb.WatchAccessRequest(report=pb.WatchAccessReport(applied_revision=self.revision))
            await asyncio.sleep(_REPORT_EVERY_S)


class _Lagging(Exception):
    """The stream's messages come too late."""
