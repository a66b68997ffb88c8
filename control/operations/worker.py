"""Runs the steps of operations, in batches, beside the workers of any other control process.

A step is claimed with a lease, does its work, and moves the operation on in the transaction of the change itself. A
worker that dies leaves a lease that ends; whoever claims the step then does it again, so every step is idempotent. A
worker that was only slow finds its fence passed and changes nothing.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

import grpc
import structlog

from center.shared.v1 import rules_pb2
from control.operations import domain, store
from control.operations.domain import Fault, Kind, Operation
from control.signals import signalled
from shared.runtime import context as calls
from shared.runtime.clock import Clock
from shared.runtime.context import CallContext, Trace
from shared.runtime.db import Database
from shared.runtime.errors import Internal, PlatformError
from shared.runtime.ids import uuid7
from shared.runtime.rpc.status import received

log = structlog.stdlib.get_logger("center.worker")

BATCH = 500
POLL_S = 1.0

# How many batches of a kind run at once in one process.
SLOTS: Mapping[Kind, int] = {Kind.PROVISION: 4, Kind.MOVE: 8, Kind.PURGE: 2, Kind.ERASE: 2, Kind.REWRAP: 1}
# Operations of these kinds have a lane each: one that copies for long holds up no other.
AT_ONCE: Mapping[Kind, int] = {Kind.PROVISION: BATCH, Kind.MOVE: 1, Kind.PURGE: 100, Kind.ERASE: 1, Kind.REWRAP: 1}

# Called at the boundaries of a step with (kind, step, point): `claimed` before its work, `worked` after its effects
# outside the database and before the transaction that counts them, `moved` after that. Tests end workers there.
Boundary = Callable[[Kind, str, str], Awaitable[None]]


async def no_boundary(kind: Kind, step: str, point: str) -> None:
    """Goes on."""


class Workflow(Protocol):
    """What is done at each step of one kind."""

    async def run(self, step: str, batch: Sequence[Operation]) -> Mapping[str, PlatformError]:
        """Does the step for the whole batch and moves it on; returns why it failed for some, by operation id."""
        ...

    async def revert(self, batch: Sequence[Operation], fault: Fault) -> None:
        """Ends operations before their point of no return, with `fault` as the reason."""
        ...

    def gives_up(self, operation: Operation, fault: Fault) -> bool:
        """Whether an operation whose step failed like this is reverted instead of tried again."""
        ...


class Worker:
    def __init__(
        self,
        db: Database,
        clock: Clock,
        workflows: Mapping[Kind, Workflow],
        *,
        lease_s: float = 10.0,
        boundary: Boundary = no_boundary,
    ) -> None:
        self._db = db
        self._clock = clock
        self._workflows = workflows
        self._lease = timedelta(seconds=lease_s)
        self._boundary = boundary
        self._owner = uuid7()
        self._wakes = {kind: asyncio.Event() for kind in workflows}

    def wake(self, kind: str) -> None:
        """Something of this kind may be due; of any kind for an empty word. The others are left to sleep: to look costs
        a transaction, beside the change that is on its way."""
        for each, event in self._wakes.items():
            if kind in ("", each):
                event.set()

    async def work(self) -> None:
        """Runs whatever is due, for ever."""
        await asyncio.gather(*(self._work(kind) for kind in self._workflows))

    async def _work(self, kind: Kind) -> None:
        running: dict[asyncio.Task[None], str] = {}
        wake = self._wakes[kind]
        try:
            while True:
                wake.clear()
                running = {task: lane for task, lane in running.items() if not task.done()}
                delay_s = POLL_S
                try:
                    while len(running) < SLOTS[kind]:
                        batch, due_s = await self._claim(kind, running.values())
                        if batch:
                            task = asyncio.create_task(self._run(kind, batch))
                            task.add_done_callback(lambda _: wake.set())
                            running[task] = f"{batch[0].step}/{batch[0].lane}"
                        if not batch or due_s > 0:
                            # Never quite nothing, for what is due may be another process's by now.
                            delay_s = min(POLL_S, max(0.02, due_s))
                            break
                except PlatformError as error:
                    log.debug("operations wait for the database", error=str(error))
                await signalled(wake, delay_s)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _claim(self, kind: Kind, busy: Iterable[str]) -> tuple[list[Operation], float]:
        """What is due, and how long until something else is."""
        async with self._db.transaction() as tx:
            now = self._clock.now()
            batch, due = await store.claim(
                tx, kind, owner=self._owner, now=now, lease=self._lease, at_most=AT_ONCE[kind], busy=busy
            )
        return batch, POLL_S if due is None else (due - now).total_seconds()

    async def _run(self, kind: Kind, batch: Sequence[Operation]) -> None:
        step, first = batch[0].step, batch[0]
        call = CallContext(
            caller="control",
            role=rules_pb2.CALLER_CONTROL,
            # A batch belongs to many traces; one operation goes on with its own.
            known_trace=Trace(
                trace_id=(first.trace_id if len(batch) == 1 else "") or calls.new_trace_id(),
                span_id=calls.new_span_id(),
                request_id=first.request_id if len(batch) == 1 else first.id,
            ),
            method=f"workflow/{kind}/{step}",
        )
        with calls.use(call):
            keeping = asyncio.create_task(self._keep(batch))
            try:
                await self._boundary(kind, step, "claimed")
                await self._step(self._workflows[kind], kind, step, batch)
                await self._boundary(kind, step, "moved")
            finally:
                keeping.cancel()

    async def _step(self, workflow: Workflow, kind: Kind, step: str, batch: Sequence[Operation]) -> None:
        cancelled = [each for each in batch if each.cancel_requested and each.is_reversible]
        going = [each for each in batch if each not in cancelled]
        faults: dict[str, Fault] = {}
        try:
            if cancelled:
                await workflow.revert(cancelled, domain.CANCELLED)
            if going:
                failed = await workflow.run(step, going)
                faults = {operation_id: Fault.of(error) for operation_id, error in failed.items()}
        except (PlatformError, grpc.aio.AioRpcError, TimeoutError) as error:
            faults = {operation.id: fault_of(error) for operation in batch}
        except Exception as error:
            log.exception("a step failed", kind=kind, step=step, operations=len(batch))
            faults = {operation.id: fault_of(error) for operation in batch}
        if faults:
            await self._failed(workflow, kind, step, batch, faults)
        else:
            log.debug("step done", kind=kind, step=step, operations=len(batch))

    async def _failed(
        self, workflow: Workflow, kind: Kind, step: str, batch: Sequence[Operation], faults: Mapping[str, Fault]
    ) -> None:
        failed = [operation for operation in batch if operation.id in faults]
        fault = faults[failed[0].id]
        log.info(
            "step failed", kind=kind, step=step, operations=len(failed), reason=fault.reason, message=fault.message
        )
        hopeless = [each for each in failed if each.is_reversible and workflow.gives_up(each, faults[each.id])]
        try:
            for operation in hopeless:
                await workflow.revert([operation], faults[operation.id])
            async with self._db.transaction() as tx:
                now = self._clock.now()
                held = await store.hold(tx, [each for each in failed if each not in hopeless])
                await store.save(
                    tx,
                    [
                        domain.retry(each, faults[each.id], domain.backoff_s(each.attempts, random.random()), now)
                        for each in held
                    ],
                )
        except PlatformError as error:
            # The lease ends by itself, and the step is tried again then.
            log.info("a failure could not be written down", kind=kind, step=step, error=str(error))

    async def _keep(self, batch: Sequence[Operation]) -> None:
        """Keeps the lease while the step runs."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            with suppress(PlatformError):
                async with self._db.transaction() as tx:
                    await store.renew(tx, batch, self._clock.now() + self._lease)


def fault_of(error: BaseException) -> Fault:
    if isinstance(error, PlatformError):
        return Fault.of(error)
    if isinstance(error, grpc.aio.AioRpcError):
        return Fault.of(received(error))
    if isinstance(error, TimeoutError):
        return Fault("DEADLINE_EXCEEDED", "STEP_TIMEOUT", "the step took too long")
    return Fault.of(Internal("INTERNAL", "a fault of the platform; the log has it"))
