"""What happens by itself as time passes: what nobody needs any more is forgotten, stray keys are wrapped anew."""

import asyncio

import structlog

from control.operations.upkeep import called
from control.users import mail, store
from control.users.crypto import Vault
from control.users.domain import KEPT
from control.users.mail import Delivery
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.users")

LOOK_S = 60.0
REWRAPPED_AT_ONCE = 200
FORGOTTEN_AT_ONCE = 1000


async def clean(db: Database, clock: Clock, vault: Vault, delivery: Delivery) -> None:
    """For ever."""
    while True:
        try:
            with called("workflow/USERS/clean"):
                await clean_once(db, clock, vault, delivery)
        except PlatformError as error:
            log.info("cleaning failed; it is tried again", error=str(error))
        await asyncio.sleep(LOOK_S)


async def clean_once(db: Database, clock: Clock, vault: Vault, delivery: Delivery) -> None:
    now = clock.now()
    more = True
    while more:
        async with db.transaction() as tx:
            gone = await mail.forget(tx, now - KEPT, FORGOTTEN_AT_ONCE)
            more = await store.clean(tx, now, now - KEPT) > 0 or len(gone) == FORGOTTEN_AT_ONCE
        for mail_id in gone:
            await asyncio.to_thread(delivery.discard, mail_id)
    # A process that had not seen the newest key yet may have used the one before, after its rotation was through.
    while await rewrap(db, vault):
        pass


async def rewrap(db: Database, vault: Vault) -> int:
    """Wraps some data keys with the newest key-encryption key, and says how many; the users may be in use meanwhile."""
    async with db.transaction() as tx:
        old = await store.wrapped_before(tx, vault.newest, REWRAPPED_AT_ONCE)
        await store.rewrap(tx, [(user_id, vault.rewrap(user_id, key)) for user_id, key in old])
    return len(old)
