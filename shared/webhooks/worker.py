"""Sends what is due: each endpoint on a lane of its own, a slow one delays nobody, each thing's events in order.

A delivery that is being tried is leased. Whoever dies with it, or is cut off, loses it when the lease ends, and it is
tried again: at least once, under the same id.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from prometheus_client import Counter as Metric
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.context import own_work, use
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError
from shared.runtime.vault import Vault
from shared.webhooks import domain, signing, store
from shared.webhooks.domain import Endpoint, Patience, State
from shared.webhooks.messages import change, disabled
from shared.webhooks.sender import Sender
from shared.webhooks.store import Claimed, Tried

log = structlog.stdlib.get_logger("center.webhooks")

# How long before what is due by the clock alone is looked for.
LOOK_S = 0.5
# Many commits that come together are one look.
GATHER_S = 0.01
# What waits behind a failed one is looked at again after so long, at the latest.
HELD_LOOK = timedelta(seconds=30)
# How much longer than a try its lease is.
LEASE_MARGIN = timedelta(seconds=10)
# At once to one endpoint, to one tenant's, and in all.
ENDPOINT_AT_ONCE, TENANT_AT_ONCE, ALL_AT_ONCE = 8, 32, 512

_tried = Metric("center_webhooks_tried", "Tries of webhooks, by what came of them.", ["outcome"])


class Slots:
    """How many requests may be under way, in all and for one tenant."""

    def __init__(self, each: int = TENANT_AT_ONCE, everybody: int = ALL_AT_ONCE) -> None:
        self._each = each
        self._left = everybody
        self._used: Counter[str] = Counter()

    def take(self, tenant_id: str, wanted: int) -> int:
        """How many of them there are."""
        given = max(0, min(wanted, self._left, self._each - self._used[tenant_id]))
        self._left -= given
        self._used[tenant_id] += given
        return given

    def give_back(self, tenant_id: str, count: int) -> None:
        self._left += count
        self._used[tenant_id] -= count
        if not self._used[tenant_id]:
            del self._used[tenant_id]


@dataclass(slots=True)
class _Lane:
    """What is under way to one endpoint. width: how much may be; it grows while the endpoint answers."""

    tenant_id: str
    endpoint_id: str
    wake: asyncio.Event
    flying: set[asyncio.Task[Tried]]
    width: int = 1


class Worker:
    """db: for one tenant a transaction; steward: finds what is due; caller: whose name stands in the audit."""

    def __init__(
        self,
        *,
        db: Database,
        steward: Database,
        sender: Sender,
        vault: Vault,
        clock: Clock,
        caller: str,
        patience: Patience | None = None,
        lease: timedelta | None = None,
    ) -> None:
        self._db = db
        self._steward = steward
        self._sender = sender
        self._vault = vault
        self._clock = clock
        self._caller = caller
        self._patience = patience or Patience()
        self._lease = lease or timedelta(seconds=sender.total_s) + LEASE_MARGIN
        self._slots = Slots()
        self._lanes: dict[str, _Lane] = {}
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                try:
                    async with self._steward.transaction() as tx:
                        found = await store.due(tx, self._clock.now())
                except PlatformError as error:
                    log.debug("webhooks wait for the database", error=str(error))
                    found = []
                for tenant_id, endpoint_id in found:
                    if (lane := self._lanes.get(endpoint_id)) is not None:
                        lane.wake.set()
                    else:
                        lane = self._lanes[endpoint_id] = _Lane(tenant_id, endpoint_id, asyncio.Event(), set())
                        group.create_task(self._drive(lane))
                await _signalled(self._wake, LOOK_S)
                await asyncio.sleep(GATHER_S)

    async def _drive(self, lane: _Lane) -> None:
        """Until nothing of the endpoint's is due."""
        try:
            await self._run(lane)
        except PlatformError as error:
            # The database is away, or the tenant has been closed: what was under way is tried again.
            log.debug("a lane of webhooks ends", endpoint_id=lane.endpoint_id, error=str(error))
        finally:
            for task in lane.flying:
                task.cancel()
            await asyncio.gather(*lane.flying, return_exceptions=True)
            self._slots.give_back(lane.tenant_id, len(lane.flying))
            # Not before the next look, whatever ended it.
            asyncio.get_running_loop().call_later(LOOK_S / 10, self._lanes.pop, lane.endpoint_id, None)

    async def _run(self, lane: _Lane) -> None:
        done: set[asyncio.Task[Tried]] = set()
        while True:
            lane.wake.clear()
            free = self._slots.take(lane.tenant_id, lane.width - len(lane.flying))
            claimed: Sequence[Claimed] = ()
            try:
                endpoint, secrets, claimed = await self._turn(lane, [task.result() for task in done], free)
            finally:
                self._slots.give_back(lane.tenant_id, free - len(claimed))
            lane.flying |= {asyncio.create_task(self._try(endpoint, secrets, each)) for each in claimed}
            if not lane.flying:
                if free == 0:
                    await asyncio.sleep(GATHER_S)
                elif not await self._hold(lane):
                    return
                done = set()
                continue
            done = await _first(lane.flying, lane.wake)
            lane.flying -= done
            self._slots.give_back(lane.tenant_id, len(done))
            for task in done:
                lane.width = 1 if task.result().answer.error else min(lane.width + 1, ENDPOINT_AT_ONCE)

    async def _turn(
        self, lane: _Lane, tried: Sequence[Tried], at_most: int
    ) -> tuple[Endpoint, list[bytes], list[Claimed]]:
        """Writes down what came of tries and takes the next ones, in one transaction."""
        now = self._clock.now()
        told = False
        async with self._db.transaction(lane.tenant_id) as tx:
            endpoint, sealed = await store.get(tx, lane.tenant_id, lane.endpoint_id, lock=False)
            if tried:
                await store.record(tx, lane.tenant_id, tried, now)
                told = await self._judge(tx, lane.tenant_id, endpoint, tried)
            claimed: list[Claimed] = []
            if at_most and not told and endpoint.state is State.ENABLED:
                until = now + self._lease
                claimed = await store.claim(tx, lane.tenant_id, lane.endpoint_id, now=now, until=until, at_most=at_most)
        secrets = [sealed.secret]
        if sealed.old_secret and endpoint.old_secret_expire_time and now < endpoint.old_secret_expire_time:
            secrets.append(sealed.old_secret)
        place = signing.place_of(lane.endpoint_id)
        opened = [self._vault.open(lane.tenant_id, place, each) for each in secrets] if claimed else []
        return endpoint, opened, claimed

    async def _judge(self, tx: AsyncConnection, tenant_id: str, endpoint: Endpoint, tried: Sequence[Tried]) -> bool:
        """Keeps how the endpoint fares, and disables it when it has to be; whether that was now."""
        for each in tried:
            _tried.labels(each.verdict.state.value.lower()).inc()
        failures = [each for each in tried if each.answer.error]
        if len(failures) < len(tried):
            await store.fails_since(tx, tenant_id, endpoint.id, None)
        elif endpoint.failing_since is None:
            await store.fails_since(tx, tenant_id, endpoint.id, min(each.start_time for each in failures))
        gone = any(each.answer.status == 410 for each in failures)
        reason = next((each.verdict.disable_reason for each in failures if each.verdict.disable_reason), "")
        if endpoint.state is not State.ENABLED or not reason or (len(failures) < len(tried) and not gone):
            return False
        before, _ = await store.get(tx, tenant_id, endpoint.id, lock=True)
        after = domain.disable(before, reason, now=self._clock.now())
        await store.save(tx, tenant_id, after)
        with use(own_work(self._caller, tenant_id, "worker/webhooks/deliver")):
            await journal.record(tx, tenant_id, [change(before, after, reason)], [disabled(after)])
        log.info("a webhook endpoint is disabled", tenant_id=tenant_id, endpoint_id=endpoint.id, reason=reason)
        return True

    async def _hold(self, lane: _Lane) -> bool:
        """Whether there was something that only looked due; then there may be more behind it."""
        now = self._clock.now()
        async with self._db.transaction(lane.tenant_id) as tx:
            held = await store.hold(tx, lane.tenant_id, lane.endpoint_id, now=now, look=now + HELD_LOOK)
        return held > 0

    async def _try(self, endpoint: Endpoint, secrets: Sequence[bytes], claimed: Claimed) -> Tried:
        start, body = self._clock.now(), claimed.payload.encode()
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": "center-webhooks/1",
            **signing.headers(secrets, claimed.event_id, int(start.timestamp()), body),
        }
        answer = await self._sender.post(endpoint.url, headers, body)
        end = self._clock.now()
        verdict = domain.judge(
            answer,
            attempts=claimed.attempt,
            expire_time=claimed.expire_time,
            failing_since=endpoint.failing_since,
            now=end,
            chance=random.random(),
            patience=self._patience,
        )
        return Tried(claimed, start, answer, verdict, end)


async def _first(tasks: set[asyncio.Task[Tried]], wake: asyncio.Event) -> set[asyncio.Task[Tried]]:
    """Those that are done, once there are any or there may be more to do."""
    woken = asyncio.ensure_future(wake.wait())
    try:
        done, _ = await asyncio.wait({*tasks, woken}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        woken.cancel()
    return {task for task in tasks if task in done}


async def _signalled(event: asyncio.Event, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        pass
