"""When each API key was used last, to the hour: noted by calls, written beside them."""

import asyncio
from datetime import datetime

import structlog

from dataplane.staff import store
from shared.runtime import context
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.staff")


class Uses:
    def __init__(self, db: Database, caller: str) -> None:
        """db: transactions that may write; each is one tenant's, and refused for one that is closed to writes."""
        self._db = db
        self._caller = caller
        self._noted: dict[tuple[str, str], datetime] = {}
        self._woken = asyncio.Event()

    def note(self, tenant_id: str, key_id: str, hour: datetime) -> None:
        self._noted[tenant_id, key_id] = hour
        self._woken.set()

    async def run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            noted, self._noted = self._noted, {}
            for (tenant_id, key_id), hour in noted.items():
                with context.use(context.own_work(self._caller, tenant_id, "worker/staff/used")):
                    try:
                        async with self._db.transaction(tenant_id) as tx:
                            await store.used(tx, tenant_id, key_id, hour)
                    except PlatformError as error:
                        # The next call with this key notes it again.
                        log.info("last use not written", tenant_id=tenant_id, key_id=key_id, error=str(error))
