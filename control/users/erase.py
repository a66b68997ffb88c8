"""The workflow ERASE: what a user could do ends, then what is known of the user, then what is left of it outside."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from control.catalog.store import record
from control.entitlements import ops as entitlement_ops
from control.operations import domain as operations
from control.operations import store as operation_store
from control.operations.domain import Fault, Kind, Operation
from control.operations.worker import Boundary, no_boundary
from control.tables import mails
from control.users import domain, mail, ops, store
from control.users.mail import Delivery
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

# A mail that was being sent when it was dropped is waited for, by looking again this often.
LOOK = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Erase:
    """Steps: revoke, shred, confirm. Each is one transaction, and what it did is written down in it."""

    db: Database
    clock: Clock
    delivery: Delivery
    boundary: Boundary = no_boundary

    async def run(self, step: str, batch: Sequence[Operation]) -> Mapping[str, PlatformError]:
        for operation in batch:
            match step:
                case "revoke":
                    await self._revoke(operation)
                case "shred":
                    await self._shred(operation)
                case _:
                    await self._confirm(operation)
        return {}

    def gives_up(self, operation: Operation, fault: Fault) -> bool:
        return False

    async def revert(self, batch: Sequence[Operation], fault: Fault) -> None:
        """An erasure only goes forward; nothing leads here."""

    async def _revoke(self, operation: Operation) -> None:
        """Validators hear of it with the catalog's revision, before the user is shredded."""
        await self.boundary(Kind.ERASE, "revoke", "worked")
        async with self.db.transaction() as tx:
            now = self.clock.now()
            for held in await operation_store.hold(tx, [operation]):
                await store.get(tx, held.user_id, lock=True)
                changes = await entitlement_ops.end_of_user(tx, held.user_id, "the user is erased", now)
                counts = {kind: sum(change.resource == kind for change in changes) for kind in ("entitlement", "token")}
                touched = (
                    ("entitlements", f"{counts['entitlement']} cancelled; they keep the id"),
                    ("tokens", f"{counts['token']} revoked; they keep the id"),
                )
                moved = operations.advance(held, "shred", "", now)
                await operation_store.save(tx, [replace(moved, touched=touched)])
                if changes:
                    await record(tx, changes)

    async def _shred(self, operation: Operation) -> None:
        await self.boundary(Kind.ERASE, "shred", "worked")
        async with self.db.transaction() as tx:
            now = self.clock.now()
            for held in await operation_store.hold(tx, [operation]):
                before, _ = await store.get(tx, held.user_id, lock=True)
                after = domain.erase(before, now)
                await store.save(tx, after, email=None, wanted_email=None, email_hash=None, data_key=None)
                dropped = await mail.drop(tx, after.id, now)
                registrations, codes = await store.forget(tx, after.id)
                touched = (
                    ("users", "e-mail, lookup hash and data key destroyed; the id is left"),
                    ("registrations", f"{registrations} deleted"),
                    ("codes", f"{codes} deleted"),
                    ("mails", f"{dropped} dropped before they were sent; the rows keep no address"),
                    ("usage", "kept under the id, which leads to nobody"),
                    ("decisions", "kept under the id, which leads to nobody"),
                    ("audit", "kept under the id, which leads to nobody"),
                )
                moved = operations.advance(held, "confirm", "", now)
                await operation_store.save(tx, [replace(moved, touched=held.touched + touched)])
                await record(tx, [ops.changed(before, after, "erased", held.reason)])

    async def _confirm(self, operation: Operation) -> None:
        """Who was sending a mail may still deliver it, and is waited for; after that no copy comes any more."""
        async with self.db.transaction() as tx:
            until = await mail.under_way(tx, operation.user_id, self.clock.now())
            sent = await _mails_of(tx, operation.user_id)
        discarded = 0
        for mail_id in sent:
            discarded += await asyncio.to_thread(self.delivery.discard, mail_id)
        await self.boundary(Kind.ERASE, "confirm", "worked")
        async with self.db.transaction() as tx:
            now = self.clock.now()
            for held in await operation_store.hold(tx, [operation]):
                if until is not None:
                    await operation_store.save(tx, [operations.wait(held, min(until, now + LOOK), now)])
                    continue
                what = (
                    "every delivered mail deleted" if self.delivery.keeps else "mail that was sent is with its readers"
                )
                touched = (*held.touched, ("mailbox", what))
                await operation_store.save(tx, [operations.end(replace(held, touched=touched), now)])


async def _mails_of(tx: AsyncConnection, user_id: str) -> list[str]:
    return list((await tx.execute(select(mails.c.id).where(mails.c.user_id == user_id))).scalars())
