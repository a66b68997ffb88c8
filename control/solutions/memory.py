"""The keys of solutions in one process's memory: a call that shows one is checked without asking the database."""

import asyncio

import structlog

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center_sdk import tokens
from control.catalog import store as catalog_store
from control.peppers import Peppers
from control.signals import signalled
from control.solutions import store
from control.solutions.domain import Key
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError, Unauthenticated

log = structlog.stdlib.get_logger("center.solutions")

# How often the times of last use are written.
USED_EVERY_S = 30.0
RETRY_S = 1.0


class Keys:
    """A listener of the catalog: a key that changed is nobody's until it has been read again."""

    def __init__(self, db: Database, clock: Clock, peppers: Peppers, environment: str) -> None:
        self._db = db
        self._clock = clock
        self._peppers = peppers
        self._environment = environment
        self._live: dict[str, Key] = {}
        self._stale: set[str] = set()
        self._all_stale = True
        self._used: set[str] = set()
        self._wake = asyncio.Event()
        self._read = asyncio.Condition()

    def verify(self, secret: str) -> str:
        """The solution whose key this is. Unauthenticated SOLUTION_KEY_INVALID tells nothing more."""
        parsed = tokens.parse(secret)
        if parsed is None or parsed.kind != tokens.SOLUTION_KEY or parsed.environment != self._environment:
            raise _invalid()
        key = self._live.get(parsed.kid)
        if key is None:
            self._peppers.holds_not(secret)
            raise _invalid()
        if not self._peppers.holds(secret, key.pepper, key.mac):
            raise _invalid()
        self._used.add(key.kid)
        return key.solution_id

    def changed(self, kind: str, resource_id: str, revision: int, entry: catalog_pb.CatalogEntry) -> None:
        if kind == catalog_store.ACCESS and entry.access.token_kid and not entry.access.entitlement_id:
            self._live.pop(resource_id, None)
            self._stale.add(resource_id)
            self._wake.set()
        elif kind == catalog_store.SOLUTION and not entry.HasField("solution"):
            self._live = {kid: key for kid, key in self._live.items() if key.solution_id != resource_id}

    def reset(self, revision: int) -> None:
        self._all_stale = True
        self._wake.set()

    async def load(self) -> None:
        """Reads what changed, or everything."""
        stale, everything = self._stale, self._all_stale
        self._stale, self._all_stale = set(), False
        try:
            async with self._db.transaction() as tx:
                keys = await store.live_keys(tx) if everything else await store.keys_of(tx, stale)
        except BaseException:
            self._stale |= stale
            self._all_stale |= everything
            raise
        if everything:
            self._live = {}
        # What changed once more meanwhile is read once more.
        self._live |= {key.kid: key for key in keys if key.revoke_time is None and key.kid not in self._stale}
        async with self._read:
            self._read.notify_all()

    async def follow(self) -> None:
        """Keeps up, for ever; while the database is away, keys that changed hold for nobody."""
        while True:
            woken = await signalled(self._wake, USED_EVERY_S)
            self._wake.clear()
            try:
                if woken:
                    await self.load()
                else:
                    await self._write_used()
            except PlatformError as error:
                log.warning("the keys of solutions cannot be read", error=str(error))
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def _write_used(self) -> None:
        used, self._used = self._used, set()
        if used:
            async with self._db.transaction() as tx:
                await store.keys_used(tx, used, self._clock.now())

    async def holds(self, kid: str, patience_s: float) -> None:
        """Returns when the key may be shown here, or after the time."""
        try:
            async with asyncio.timeout(patience_s), self._read:
                await self._read.wait_for(lambda: kid in self._live)
        except TimeoutError:
            log.info("a new key is not known here yet", kid=kid)


def _invalid() -> Unauthenticated:
    return Unauthenticated("SOLUTION_KEY_INVALID", "this is no solution's key, or it was revoked: make a new one")
