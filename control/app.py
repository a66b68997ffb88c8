"""The composition root of a control process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from google.longrunning import operations_proto_pb2 as longrunning_pb
from google.protobuf.descriptor import ServiceDescriptor

from center_sdk.decider import Decider
from control import activity, denied, schedule, tables
from control.access.service import AccessService
from control.catalog import store as catalog_store
from control.catalog import tailer
from control.catalog.abreast import Abreast
from control.catalog.memory import Catalog
from control.catalog.service import CatalogService
from control.catalog.watchers import Watchers
from control.clusters import ops as cluster_ops
from control.clusters.connections import Connections
from control.clusters.service import ClusterService
from control.config import Config
from control.domains.dns import Dns, Resolver, ZoneFile
from control.domains.service import DomainService
from control.entitlements.ops import Issuer
from control.features.flagd import FlagSyncService
from control.features.memory import Features
from control.operations import store as operation_store
from control.operations import upkeep
from control.operations.domain import Kind
from control.operations.service import LongRunning, OperationsService
from control.operations.waiting import Waiting
from control.operations.worker import Boundary, Worker, Workflow, no_boundary
from control.peppers import Peppers
from control.plans import ops as plan_ops
from control.plans import store as plan_store
from control.plans.service import PlanService
from control.quotas import backend as quota_backend
from control.quotas import store as quota_store
from control.quotas.feeds import Feeds
from control.quotas.ops import Quotas, Terms
from control.quotas.service import ValidatorService
from control.solutions.memory import Keys
from control.solutions.service import SolutionService
from control.tables import feature_watchers
from control.tenants import store as tenant_store
from control.tenants.move import Move
from control.tenants.provision import Provision
from control.tenants.purge import Purge
from control.tenants.service import TenantService
from control.users import mail
from control.users import upkeep as user_upkeep
from control.users.crypto import Proofs, Vault
from control.users.erase import Erase
from control.users.mail import Outbox
from control.users.page_service import PageService
from control.users.rewrap import Rewrap
from control.users.service import UserService
from shared.audit import schema as audit_schema
from shared.audit.anchors import Anchors
from shared.audit.checking import Checker
from shared.audit.denials import Denials
from shared.audit.sealer import Sealer
from shared.audit.service import AuditService, Entries
from shared.audit.signing import Signer as SealSigner
from shared.runtime import keys, pki
from shared.runtime.backoffice import Signer
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.db import Database, app_url, database_name
from shared.runtime.events import relay
from shared.runtime.events.broker import Broker
from shared.runtime.events.consumer import Consumer
from shared.runtime.events.relay import Relay
from shared.runtime.migrate import migrate
from shared.runtime.paging import PageTokens
from shared.runtime.rpc.server import Server, Service, serving

log = structlog.stdlib.get_logger("center.control")

LONG_RUNNING: ServiceDescriptor = longrunning_pb.DESCRIPTOR.services_by_name["Operations"]


@dataclass(frozen=True, slots=True)
class Control:
    """A control process as it runs."""

    server: Server
    catalog: Catalog
    db: Database
    decider: Decider


@asynccontextmanager
async def running(
    config: Config,
    *,
    clock: Clock | None = None,
    resolver: Resolver | None = None,
    delivery: mail.Delivery | None = None,
    boundary: Boundary = no_boundary,
) -> AsyncIterator[Control]:
    """resolver: looks proofs of domains up; the DNS or the zone file when not given. boundary: as in the worker.

    delivery: takes mail; the SMTP server or the file mailbox of the config when not given.
    """
    clock = clock or SystemClock()
    pki.ensure(config.home, ["control"])
    await migrate(config.database_url, "control", config.home)
    audit_key = keys.load(config.home, "audit")
    async with contextlib.AsyncExitStack() as stack:

        def database(role: str, pool_size: int, name: str) -> Database:
            url = app_url(config.database_url, config.home, role)
            db = Database.connect(url, pool_size=pool_size, name=name, audit_key=audit_key)
            stack.push_async_callback(db.close)
            return db

        db = database("center_app", config.pool_size, "control")
        settler = database("center_app", 8, "control quotas")
        # Pools of their own, so that a burst of requests never keeps changes from being seen and steps from being run.
        reader = database("center_app", 3, "control reader")
        workers = database("center_app", 12, "control workers")
        steward = database("center_steward", 1, "control steward")

        with upkeep.called("workflow/START/clusters"):
            await cluster_ops.seed(db, clock, config.seeds)
        catalog = Catalog(config.retained)
        await tailer.load(reader, catalog)
        log.info("catalog loaded", revision=catalog.revision)

        peppers = Peppers(config.home)
        solution_keys = Keys(reader, clock, peppers, config.environment)
        catalog.listen(solution_keys)
        await solution_keys.load()

        vault, proofs = Vault(config.home), Proofs(config.home)
        issuer = Issuer(peppers, config.environment)
        if delivery is None:
            delivery = mail.Smtp(config.smtp_url) if config.smtp_url else mail.FileMailbox(config.home)
        outbox = Outbox(workers, clock, vault, proofs, delivery, public_url=config.public_url, sender=config.mail_from)

        quotas = Quotas(
            settler, clock, catalog, Terms(catalog), peppers, vault, config.environment, config.units_lease_s
        )
        feeds = Feeds(reader, clock, catalog)
        identity = pki.load(config.home, "control")
        anchors = Anchors(config.home, database_name(config.database_url))
        sealer = Sealer(
            app_url(config.database_url, config.home, audit_schema.ROLE),
            tables.audit,
            name="control",
            key=audit_key,
            signer=SealSigner(identity),
            ca_pem=identity.ca_pem,
            anchors=anchors,
        )
        auditor = database(audit_schema.ROLE, 2, "control audit")
        checker = Checker(auditor, tables.audit, anchors, ca_pem=identity.ca_pem, key=audit_key)
        denials = Denials(partial(denied.write, workers))
        connections = Connections(catalog, identity)
        stack.push_async_callback(connections.close)
        features = Features(catalog, clock)
        await features.load(reader)
        watchers = Watchers(reader, clock)
        observers = Watchers(reader, clock, feature_watchers)
        waiting = Waiting(reader)
        workflows: dict[Kind, Workflow] = {
            Kind.PROVISION: Provision(workers, clock, connections, boundary),
            Kind.MOVE: Move(workers, clock, connections, watchers, config.drain_s, boundary),
            Kind.PURGE: Purge(workers, clock, connections, boundary),
            Kind.ERASE: Erase(workers, clock, delivery, boundary),
            Kind.REWRAP: Rewrap(workers, clock, vault, boundary),
        }
        worker = Worker(workers, clock, workflows, lease_s=config.lease_s, boundary=boundary)
        changed, due, planned = asyncio.Event(), asyncio.Event(), asyncio.Event()
        broker = Broker(config.home, "control", config.nats_url)
        events = Relay(app_url(config.database_url, config.home, relay.ROLE), catalog_store.OUTBOX, broker)
        activities = Consumer(
            activity.CONSUMER, activity.apply, workers, app_url(config.database_url, config.home), broker
        )

        def on_change(payload: str) -> None:
            events.wake()
            changed.set()
            due.set()
            planned.set()

        async def cluster_arrived(cluster_id: str) -> None:
            async with db.transaction() as tx:
                await operation_store.hurry(tx, cluster_id, clock.now())

        listening = tailer.listen(
            app_url(config.database_url, config.home),
            {
                catalog_store.CHANNEL: on_change,
                operation_store.CHANNEL: worker.wake,
                operation_store.ENDED_CHANNEL: lambda payload: waiting.wake(),
                mail.CHANNEL: lambda payload: outbox.wake(),
                quota_store.RECALL_CHANNEL: feeds.recalled,
            },
        )
        draining = asyncio.Event()
        tokens = PageTokens(keys.load(config.home, "pages"))
        if resolver is None:
            resolver = ZoneFile(config.zone_file) if config.zone_file is not None else Dns()
        decider = await stack.enter_async_context(quota_backend.deciding(config.home, quotas, feeds))
        abreast = Abreast(reader, catalog)
        servicers = [
            TenantService(db, clock, catalog, tokens, Signer(config.home), zone=config.zone),
            DomainService(db, clock, tokens, resolver, features, zone=config.zone),
            ClusterService(db, clock, tokens),
            PlanService(
                db, clock, tokens, features, observers, Abreast(reader, features), heartbeat_s=config.heartbeat_s
            ),
            FlagSyncService(catalog, features),
            CatalogService(db, catalog, watchers, heartbeat_s=config.heartbeat_s, cluster_arrived=cluster_arrived),
            SolutionService(
                db, clock, tokens, peppers, solution_keys, abreast, zone=config.zone, environment=config.environment
            ),
            AccessService(db, clock, tokens, issuer, vault, proofs, catalog, decider, quotas, abreast),
            ValidatorService(quotas, feeds, catalog, watchers),
            UserService(db, clock, tokens, vault, proofs, issuer, abreast),
            PageService(db),
            OperationsService(db, clock, catalog, watchers, connections),
            AuditService(Entries(db, tables.audit, tokens), tables.audit, checker),
        ]
        long_running = Service(LongRunning(db, clock, tokens, waiting), LONG_RUNNING)
        await stack.enter_async_context(
            _beside(
                tailer.follow(reader, catalog, changed, app_url(config.database_url, config.home)),
                listening,
                watchers.keep(),
                observers.keep(),
                features.follow(reader),
                schedule.keep(workers, clock, planned, plan_store.next_due, plan_ops.happen),
                waiting.look(),
                worker.work(),
                solution_keys.follow(),
                feeds.follow(),
                quota_backend.keep(quotas, steward),
                outbox.work(),
                sealer.run(),
                denials.run(),
                user_upkeep.clean(workers, clock, vault, delivery),
                schedule.keep(workers, clock, due, tenant_store.next_due, upkeep.happen),
                upkeep.clean(steward, workers, clock, config.retained),
                _close_feeds(draining, catalog, features, feeds),
                *((events.run(), activities.run()) if config.nats_url else ()),
            )
        )
        server = await stack.enter_async_context(
            serving(
                [*map(Service.of, servicers), long_running],
                address=config.address,
                identity=identity,
                admin_address=config.admin_address or None,
                metrics_address=config.metrics_address or None,
                verify_solution=solution_keys.verify,
                denied=denials.note,
                draining=draining,
            )
        )
        yield Control(server=server, catalog=catalog, db=db, decider=decider)


async def _close_feeds(draining: asyncio.Event, *memories: Catalog | Features | Feeds) -> None:
    await draining.wait()
    for memory in memories:
        memory.close_feeds()


@asynccontextmanager
async def _beside(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs jobs beside the block and ends them with it. A job that fails is a fault of ours: it says so in the log, and
    the process goes on with the rest, for half a control plane is better than none."""
    tasks = [asyncio.create_task(job) for job in jobs]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a background job ended", exc_info=error)
