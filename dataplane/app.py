"""The composition root of a cluster's process: which parts it is made of. Each is wired in dataplane/parts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from dataplane.catalog import CatalogFollower
from dataplane.config import Config
from dataplane.descriptions.service import BackofficeDescriptionService, DescriptionService
from dataplane.features.follower import FeaturesFollower
from dataplane.parts.audit import wire_audit
from dataplane.parts.control import wire_control
from dataplane.parts.events import wire_events
from dataplane.parts.ground import Part, lay
from dataplane.parts.media import wire_media
from dataplane.parts.notifications import wire_notifications
from dataplane.parts.people import wire_people
from dataplane.parts.selling import wire_selling
from dataplane.parts.storefront import wire_storefront
from dataplane.parts.webhooks import wire_webhooks
from dataplane.tenants.local import LocalTenants
from shared.media.domain import CHUNK_BYTES
from shared.media.objects import Objects
from shared.media.sweeper import Sweeper
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.rpc.server import Server, serving


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster's process as it runs."""

    server: Server
    tenants: LocalTenants
    follower: CatalogFollower
    features: FeaturesFollower
    objects: Objects
    sweeper: Sweeper


@asynccontextmanager
async def running(config: Config, clock: Clock | None = None) -> AsyncIterator[Cluster]:
    # What ends first was begun last: the server, then the workers, then what the two use.
    async with AsyncExitStack() as stack:
        ground = await lay(config, clock or SystemClock(), stack)
        audit = wire_audit(ground)
        media = wire_media(ground)
        notifications = wire_notifications(ground)
        webhooks = await wire_webhooks(ground)
        people = wire_people(ground, notifications)
        selling = wire_selling(ground)
        control = wire_control(ground, audit, media)
        storefront = wire_storefront(ground, selling, people, audit.denials)
        descriptions = Part(services=ground.admitted(DescriptionService(), BackofficeDescriptionService()))
        parts = [control, selling, people, storefront, descriptions, audit, notifications, media, webhooks]
        if config.nats_url:
            parts.append(wire_events(ground, notifications, webhooks, selling))
        await stack.enter_async_context(_beside(*(work for part in parts for work in part.workers)))
        server = await stack.enter_async_context(
            serving(
                [service for part in parts for service in part.services],
                address=config.address,
                identity=ground.identity,
                admin_address=config.admin_address or None,
                metrics_address=config.metrics_address or None,
                verify_session=people.sessions.verify,
                verify_backoffice=people.known,
                admit_merchant=people.admission,
                denied=audit.denials.note,
                draining=ground.draining,
                # A file on its way is here piece by piece, however fast its sender is.
                window_bytes=CHUNK_BYTES,
            )
        )
        yield Cluster(server, ground.tenants, control.follower, control.features, media.objects, media.sweeper)


@asynccontextmanager
async def _beside(*workers: Callable[[], Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Runs the workers beside the block. One that fails ends the process, so that whoever watches starts it anew."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(worker()) for worker in workers]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
