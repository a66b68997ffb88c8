"""What is over goes: uploads that have expired, bytes that nothing uses, and bytes that no row knows."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import structlog
from sqlalchemy import text

from shared.media import messages, store
from shared.media.domain import State
from shared.media.objects import Objects, Stored
from shared.runtime import context, journal
from shared.runtime.clock import Clock
from shared.runtime.context import own_work
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError
from shared.runtime.ids import is_uuid

log = structlog.stdlib.get_logger("center.media")

EVERY_S = 30.0
AT_ONCE = 200
# Rows are there before their bytes, so bytes without a row are rare: what a kill or a store's fault has left.
STRAYS_EVERY = timedelta(hours=6)
# Nobody is still at work on what was written so long ago.
STRAY_AGE = timedelta(hours=1)


class Sweeper:
    """steward: who may ask what is due, whosever it is. db: transactions that may write; each is one tenant's, and
    refused for one that is closed to writes, so that a tenant that moves keeps its bytes until it has moved."""

    def __init__(self, cluster_id: str, steward: Database, db: Database, objects: Objects, clock: Clock) -> None:
        self._cluster_id = cluster_id
        self._steward = steward
        self._db = db
        self._objects = objects
        self._clock = clock
        self._woken = asyncio.Event()
        self._strays_looked_for = clock.now()

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._woken.clear()
            try:
                while await self.sweep() == AT_ONCE:
                    pass
                if self._clock.now() - self._strays_looked_for >= STRAYS_EVERY:
                    self._strays_looked_for = self._clock.now()
                    await self.sweep_strays()
            except PlatformError as error:
                log.warning("what is over stays for now", error=str(error))
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def sweep(self) -> int:
        """Sweeps some of what is due, and says how much."""
        async with self._steward.transaction() as tx:
            query = text("SELECT tenant_id::text, upload_id::text, sha256 FROM media_due(:at, :at_most)")
            due = (await tx.execute(query, {"at": self._clock.now(), "at_most": AT_ONCE})).all()
        swept = 0
        for row in due:
            with context.use(own_work(f"cluster/{self._cluster_id}", row.tenant_id, "worker/media/sweep")):
                try:
                    if row.upload_id is not None:
                        await self._end(row.tenant_id, row.upload_id)
                    else:
                        await self._purge(row.tenant_id, row.sha256)
                    swept += 1
                except PlatformError as error:
                    log.warning("not swept", tenant_id=row.tenant_id, error=str(error))
        return swept

    async def _end(self, tenant_id: str, upload_id: str) -> None:
        """The upload's bytes, then its row. The row is locked meanwhile: whoever brings bytes finds it gone."""
        async with self._db.transaction(tenant_id) as tx:
            upload = await store.expired(tx, tenant_id, upload_id, self._clock.now())
            if upload is None:
                return
            await self._objects.delete_below(f"{tenant_id}/uploads/{upload_id}")
            await store.drop(tx, tenant_id, upload_id)
            if upload.state in (State.RECEIVING, State.FINALIZING):
                await journal.record(tx, tenant_id, [messages.upload_change(upload, None)])

    async def _purge(self, tenant_id: str, sha256: str) -> None:
        """A blob's bytes, then its row, which is locked meanwhile: whoever wants to use it waits, and makes it anew."""
        async with self._db.transaction(tenant_id) as tx:
            if await store.unused(tx, tenant_id, sha256) is None:
                return
            await self._objects.delete_below(f"{tenant_id}/{sha256}")
            await store.forget(tx, tenant_id, sha256)

    async def sweep_strays(self) -> int:
        """Deletes bytes that no row knows, of tenants that live here, and says how many objects that were."""
        before = self._clock.now() - STRAY_AGE
        for path in await asyncio.to_thread(self._objects.unfinished, before):
            path.unlink(missing_ok=True)
        swept = 0
        for tenant_id in await self._objects.tenants():
            if not is_uuid(tenant_id):
                continue
            try:
                async for some in self._objects.below(tenant_id):
                    swept += await self._sweep_some(tenant_id, [each for each in some if each.time < before])
            except PlatformError as error:
                # Above all: the tenant lives elsewhere, or moves.
                log.info("no strays are looked for", tenant_id=tenant_id, why=error.reason)
        if swept:
            log.warning("bytes that no row knew are deleted", objects=swept)
        return swept

    async def _sweep_some(self, tenant_id: str, old: list[Stored]) -> int:
        if not old:
            return 0
        owners = {each.key: _owner(each.key) for each in old}
        blobs = {name for kind, name in owners.values() if kind == "blob"}
        uploads = {name for kind, name in owners.values() if kind == "upload" and is_uuid(name)}
        async with self._db.transaction(tenant_id) as tx:
            found = await store.known(tx, tenant_id, sorted(blobs), sorted(uploads))
            known = _named(found)
            strays = [key for key, owner in owners.items() if owner not in known]
            # In the transaction: as long as it is open, the tenant does not move away.
            await self._objects.delete(strays)
        return len(strays)


def _owner(key: str) -> tuple[str, str]:
    """Which row an object belongs to."""
    words = key.split("/")
    return ("upload", words[2]) if words[1] == "uploads" and len(words) > 2 else ("blob", words[1])


def _named(found: tuple[Iterable[str], Iterable[str]]) -> set[tuple[str, str]]:
    blobs, uploads = found
    return {*(("blob", name) for name in blobs), *(("upload", name) for name in uploads)}
