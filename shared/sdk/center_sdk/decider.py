"""Decides, and asks the control plane where the engine lacks something: the same in the control plane itself, at the
edge and in solutions, each with its own way there."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from center_sdk.decision import Decision
from center_sdk.engine import FLOW_S, Backend, BackendUnavailable, Engine, Lack, Need
from center_sdk.leases import Lease

# An answer may be overtaken by others who decide meanwhile; after so many it is the caller's turn to wait.
TRIES = 50
# From so many tries on it is not only others: a process of the control plane is behind another one.
ODD, ODD_PAUSE_S = 5, 0.01
# How long what others hold is waited for, once they were told.
PAUSES_S = (0.02, 0.03, 0.05, 0.1, 0.2)
RETRY_S = 0.2


class Decider:
    """One loop's: all of it runs in the event loop that keep() runs in."""

    def __init__(self, engine: Engine, backend: Backend, now: Callable[[], float] = time.time) -> None:
        """now: seconds since the epoch by the control plane's clock."""
        self.engine = engine
        self.now = now
        self._backend = backend
        self._due = asyncio.Event()
        # A batch is on its way once, whoever asks for it to be handed in.
        self._settling = asyncio.Lock()
        self._admissions: dict[tuple[str, str, str, str], asyncio.Task[bool]] = {}
        self._waiters: dict[Lease, asyncio.Future[bool]] = {}
        engine.wake = self._due.set

    async def decide(
        self,
        token: str,
        solution_id: str,
        action: str,
        cost: int = 1,
        *,
        anonymous_id: str = "",
        peek: bool = False,
    ) -> Decision:
        """Never fails but with ValueError for a cost that is none: an outage is a decision, too."""
        told = self.engine.decide(
            token, solution_id, action, cost, now=self.now(), anonymous_id=anonymous_id, peek=peek, patient=True
        )
        assured, patient, pauses = False, True, iter(PAUSES_S)
        for attempt in range(TRIES):
            if isinstance(told, Decision):
                return told
            if attempt > ODD and told.need is Need.ADMIT:
                await asyncio.sleep(ODD_PAUSE_S)
            if told.need is Need.WAIT:
                assert told.lease is not None
                if (pause_s := next(pauses, None)) is None:
                    told.lease.waited = self.now()
                    patient = False
                else:
                    await asyncio.sleep(pause_s)
                    told.lease.answered = 0.0
            elif not await self._ask(told):
                break
            assured = assured or told.assured
            told = self.engine.decide(
                token,
                solution_id,
                action,
                cost,
                now=self.now(),
                anonymous_id=anonymous_id,
                peek=peek,
                assured=assured,
                patient=patient,
            )
        if isinstance(told, Decision):
            return told
        told = self.engine.decide(
            token, solution_id, action, cost, now=self.now(), anonymous_id=anonymous_id, peek=peek, last=True
        )
        assert isinstance(told, Decision)
        return told

    async def _ask(self, lack: Lack) -> bool:
        """Whether there was an answer."""
        if lack.need is Need.MORE:
            assert lack.lease is not None
            waiter = self._waiters.get(lack.lease)
            if waiter is None:
                waiter = self._waiters[lack.lease] = asyncio.get_running_loop().create_future()
            return await asyncio.shield(waiter)
        assert lack.request is not None
        if lack.assured:
            # An answer to somebody else's question may be older than this question.
            return await self._admit(lack)
        request = lack.request
        key = (request.token, request.anonymous_id, request.solution_id, request.action)
        admission = self._admissions.get(key)
        if admission is None:
            admission = self._admissions[key] = asyncio.create_task(self._admit(lack))
            admission.add_done_callback(lambda _: self._admissions.pop(key, None))
        return await asyncio.shield(admission)

    async def _admit(self, lack: Lack) -> bool:
        assert lack.request is not None
        try:
            told = await self._backend.admit(lack.request)
        except BackendUnavailable:
            return False
        self.engine.admitted(lack.request, told, self.now())
        return True

    async def keep(self) -> None:
        """Settles leases and ships the log, for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLOW_S):
                    await self._due.wait()
            self._due.clear()
            if not await self.settle():
                await asyncio.sleep(RETRY_S)

    async def settle(self, *, everything: bool = False) -> bool:
        """Hands in what is due; whether it was taken."""
        async with self._settling:
            while (request := self.engine.batch(self.now(), everything=everything)) is not None:
                try:
                    told = await self._backend.settle(request)
                except BackendUnavailable:
                    self.engine.failed()
                    self._release(False)
                    return False
                self.engine.settled(told, self.now())
                self._release(True)
        return True

    def _release(self, answered: bool) -> None:
        for lease, waiter in list(self._waiters.items()):
            if not answered or not self.engine.waits(lease):
                del self._waiters[lease]
                if not waiter.done():
                    waiter.set_result(answered)

    async def drain(self) -> bool:
        """Gives everything back, for the end: after keep() was cancelled, with no more decisions to come."""
        return await self.settle(everything=True)
