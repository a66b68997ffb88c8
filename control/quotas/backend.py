"""The control plane's own validator: the engine on the store, with a journal under the home."""

import asyncio
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from center.control.v1 import validator_service_pb2 as pb
from center_sdk.decider import Decider
from center_sdk.engine import BackendUnavailable, Engine
from center_sdk.journal import Journal, JournalBusy
from control.quotas import store
from control.quotas.feeds import Feeds
from control.quotas.ops import Quotas
from control.quotas.reservations import Reservations
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.quotas")

JOURNAL = "decisions-{}.journal"
RETRY_S = 0.5
UPKEEP_S = 0.5
CLEAN_S = 60.0
DRAIN_S = 10.0
# Days of the log: partitions made ahead, and kept.
AHEAD, KEPT = 3, 400


class Here:
    """The store as a backend. Whatever it does not answer, it does not answer now."""

    def __init__(self, quotas: Quotas, validator: str) -> None:
        self._quotas = quotas
        self._validator = validator

    async def admit(self, request: pb.AdmitTokenRequest) -> pb.AdmitTokenResponse:
        try:
            return await self._quotas.admit(request, self._validator)
        except PlatformError as error:
            log.info("a token cannot be admitted", error=str(error))
            raise BackendUnavailable(str(error)) from error

    async def settle(self, request: pb.SettleLeasesRequest) -> pb.SettleLeasesResponse:
        try:
            return await self._quotas.settle(request, self._validator)
        except PlatformError as error:
            log.info("leases cannot be settled; it is tried again", error=str(error))
            raise BackendUnavailable(str(error)) from error


@asynccontextmanager
async def deciding(home: Path, quotas: Quotas, feeds: Feeds) -> AsyncIterator[Decider]:
    """A decider for as long as the block runs; at its end all leases are given back, and the log is written."""
    instance = re.sub(r"[^a-z0-9.-]", "-", f"{socket.gethostname()}-{os.getpid()}".lower()).strip("-.")[-63:]
    backend = Here(quotas, f"control/{instance}")
    folder = home / "control"
    journal = _claim(folder)
    engine = Engine(instance=instance, environment=quotas.environment, journal=journal)
    now = _seconds(quotas.clock)
    decider = Decider(engine, backend, now)
    feeds.attach(lambda told: engine.apply(told, now()))
    await feeds.look()
    jobs = [
        asyncio.create_task(_recover(journal, folder, backend, instance)),
        asyncio.create_task(decider.keep()),
    ]
    for job in jobs:
        job.add_done_callback(_report)
    try:
        yield decider
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                if not await decider.drain():
                    log.warning("leases could not be given back; they expire", runs=engine.waiting_runs())
        journal.close()


def _report(job: asyncio.Task[None]) -> None:
    if not job.cancelled() and (error := job.exception()) is not None:
        log.error("leases are settled no more", exc_info=error)


def _seconds(clock: Clock) -> Callable[[], float]:
    return time.time if isinstance(clock, SystemClock) else lambda: clock.now().timestamp()


def _claim(folder: Path) -> Journal:
    """A journal of this process's own, the first that no living process has."""
    number = 0
    while True:
        try:
            return Journal(folder / JOURNAL.format(number))
        except JournalBusy:
            number += 1


async def _recover(journal: Journal, folder: Path, backend: Here, instance: str) -> None:
    """Hands in what processes that died have left, of this journal and of those that nobody has claimed."""
    await _hand_in(journal, backend, instance)
    for path in sorted(folder.glob(JOURNAL.format("*"))):
        try:
            orphan = Journal(path)
        except JournalBusy:
            continue
        try:
            await _hand_in(orphan, backend, instance)
        finally:
            orphan.close()


async def _hand_in(journal: Journal, backend: Here, instance: str) -> None:
    for request in journal.recovered(instance):
        log.info("decisions of a process that died are written", journal=str(journal.path), runs=len(request.runs))
        while True:
            try:
                await backend.settle(request)
                break
            except BackendUnavailable:
                await asyncio.sleep(RETRY_S)


async def keep(quotas: Quotas, steward: Database) -> None:
    """Expires leases and reservations, makes and drops partitions of the log, forgets what is long over; for ever."""
    cleaned, reservations = 0.0, Reservations(quotas)
    while True:
        try:
            while await quotas.expire() or await reservations.expire():
                pass
            if time.monotonic() - cleaned > CLEAN_S:
                await clean(quotas, steward)
                cleaned = time.monotonic()
        except PlatformError as error:
            log.info("the upkeep of quotas waits for the database", error=str(error))
        await asyncio.sleep(UPKEEP_S)


async def clean(quotas: Quotas, steward: Database) -> None:
    now = quotas.clock.now()
    async with steward.transaction() as tx:
        await store.keep_partitions(tx, now, AHEAD, KEPT)
    more = True
    while more:
        async with steward.transaction() as tx:
            more = bool(await store.clean(tx, now))
