"""What every part of a cluster's process stands on, and what a part is."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from dataplane import outbox
from dataplane.config import Config
from dataplane.features.local import LocalFeatures
from dataplane.tenants.local import LocalTenants, Writes, admitted
from shared.runtime import keys, pki
from shared.runtime.clock import Clock
from shared.runtime.db import Database, app_url
from shared.runtime.events import relay
from shared.runtime.events.broker import Broker
from shared.runtime.events.relay import Relay
from shared.runtime.migrate import migrate
from shared.runtime.paging import PageTokens
from shared.runtime.pki import Identity
from shared.runtime.rpc.server import Service

log = structlog.stdlib.get_logger("center.dataplane")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """services: what it answers. workers: what it does beside, each until cancelled."""

    services: Sequence[Service] = ()
    workers: Sequence[Callable[[], Coroutine[None, None, None]]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """name: of the process's certificate, and of whoever does its own work. stack: closes, when the process ends, what
    the parts opened. database: a pool of its own for a part, by role and size. db: transactions that read, or write
    what is no tenant's. steward: transactions across tenants. draining: set once the server takes no more calls."""

    config: Config
    clock: Clock
    stack: AsyncExitStack
    name: str
    identity: Identity
    audit_key: bytes
    database: Callable[[str, int], Database]
    db: Database
    steward: Database
    tenants: LocalTenants
    features: LocalFeatures
    tokens: PageTokens
    broker: Broker
    events: Relay
    draining: asyncio.Event

    def writes(self, woken: Callable[[], None] | None = None, db: Database | None = None) -> Writes:
        """Transactions that write a tenant's rows; after each, what it has to tell is sent, and `woken` is called."""

        def written() -> None:
            self.events.wake()
            if woken is not None:
                woken()

        return Writes(db or self.db, self.tenants, written)

    def admitted(self, *servicers: object) -> list[Service]:
        return [admitted(each, self.tenants, self.features) for each in servicers]


async def lay(config: Config, clock: Clock, stack: AsyncExitStack) -> Ground:
    name = f"cluster/{config.cluster_id}"
    pki.ensure(config.home, [name])
    await migrate(config.database_url, "dataplane", config.home)
    audit_key = keys.load(config.home, "audit")

    def database(role: str, pool_size: int) -> Database:
        url = app_url(config.database_url, config.home, role)
        db = Database.connect(url, pool_size=pool_size, name=f"cluster {config.cluster_id}", audit_key=audit_key)
        stack.push_async_callback(db.close)
        return db

    db, steward = database("center_app", config.pool_size), database("center_steward", 4)
    tenants, features = LocalTenants(steward), LocalFeatures(steward)
    await tenants.load()
    await features.load()
    log.info("tenants loaded", tenants=len(tenants), features=len(features), cluster=config.cluster_id)
    broker = Broker(config.home, name, config.nats_url)
    return Ground(
        config=config,
        clock=clock,
        stack=stack,
        name=name,
        identity=pki.load(config.home, name),
        audit_key=audit_key,
        database=database,
        db=db,
        steward=steward,
        tenants=tenants,
        features=features,
        tokens=PageTokens(keys.load(config.home, "pages")),
        broker=broker,
        events=Relay(app_url(config.database_url, config.home, relay.ROLE), outbox.of(config.cluster_id), broker),
        draining=asyncio.Event(),
    )
