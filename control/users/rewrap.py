"""The workflow REWRAP: every user's data key is wrapped by the newest key-encryption key, while users go on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from control.operations import domain as operations
from control.operations import store as operation_store
from control.operations.domain import Fault, Kind, Operation
from control.operations.worker import Boundary, no_boundary
from control.users import store
from control.users.crypto import Vault
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

AT_ONCE = 200
# Rows that others hold are passed over, and met again.
LOOK = timedelta(milliseconds=200)


@dataclass(frozen=True, slots=True)
class Rewrap:
    """Steps: rewrap, confirm."""

    db: Database
    clock: Clock
    vault: Vault
    boundary: Boundary = no_boundary

    async def run(self, step: str, batch: Sequence[Operation]) -> Mapping[str, PlatformError]:
        [operation] = batch
        if step == "rewrap":
            while await self._some(operation):
                await self.boundary(Kind.REWRAP, "rewrap", "worked")
        else:
            await self._confirm(operation)
        return {}

    def gives_up(self, operation: Operation, fault: Fault) -> bool:
        return False

    async def revert(self, batch: Sequence[Operation], fault: Fault) -> None:
        """Keys that are wrapped anew need not be wrapped as before; nothing leads here."""

    async def _some(self, operation: Operation) -> bool:
        """The next keys, in one transaction with their count; False when there are no more, or the step is lost."""
        async with self.db.transaction() as tx:
            now = self.clock.now()
            for held in await operation_store.hold(tx, [operation]):
                old = await store.wrapped_before(tx, self.vault.newest, AT_ONCE)
                await store.rewrap(tx, [(user_id, self.vault.rewrap(user_id, key)) for user_id, key in old])
                counted = replace(held, rows_copied=held.rows_copied + len(old), update_time=now)
                await operation_store.save(tx, [counted if old else operations.advance(counted, "confirm", "", now)])
                return bool(old)
        return False

    async def _confirm(self, operation: Operation) -> None:
        await self.boundary(Kind.REWRAP, "confirm", "worked")
        async with self.db.transaction() as tx:
            now, kek = self.clock.now(), self.vault.newest
            for held in await operation_store.hold(tx, [operation]):
                if await store.count_wrapped_before(tx, kek):
                    back = operations.advance(held, "rewrap", "", now)
                    await operation_store.save(tx, [replace(back, next_attempt_time=now + LOOK)])
                    continue
                done = replace(held, touched=(("kek", str(kek)),))
                await operation_store.save(tx, [operations.end(done, now)])
