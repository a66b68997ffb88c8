"""The composition root of a cluster's process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from center.control.v1 import catalog_service_pb2, plan_service_pb2
from center.dataplane.v1 import (
    backoffice_description_service_pb2,
    cart_service_pb2,
    checkout_service_pb2,
    customer_service_pb2,
    description_service_pb2,
    inventory_service_pb2,
    merchandising_service_pb2,
    navigation_service_pb2,
    order_import_service_pb2,
    order_service_pb2,
    price_list_service_pb2,
    product_service_pb2,
    promotion_service_pb2,
    staff_service_pb2,
    storefront_service_pb2,
    storefront_settings_service_pb2,
    tenant_runtime_service_pb2,
)
from center.shared.v1 import (
    audit_service_pb2,
    media_service_pb2,
    notification_service_pb2,
    payment_service_pb2,
    rules_pb2,
    tenant_audit_service_pb2,
    webhook_service_pb2,
)
from dataplane import outbox, tables, upkeep
from dataplane.carts import messages as cart_messages
from dataplane.carts.service import CartService
from dataplane.catalog import CatalogFollower
from dataplane.checkout.selling import SellingService
from dataplane.checkout.service import CheckoutService
from dataplane.config import Config
from dataplane.customers.backoffice import CustomerService
from dataplane.customers.ops import Customers
from dataplane.customers.service import ShopperService
from dataplane.customers.sessions import Sessions
from dataplane.descriptions.service import BackofficeDescriptionService, DescriptionService
from dataplane.features.follower import FeaturesFollower
from dataplane.features.local import LocalFeatures
from dataplane.inventory import sweeper as stock_sweeper
from dataplane.inventory.service import InventoryService
from dataplane.inventory.watch import Watches
from dataplane.merchandising.navigation import NavigationService
from dataplane.merchandising.service import MerchandisingService
from dataplane.orders import messages as order_messages
from dataplane.orders import worker as orders_worker
from dataplane.orders.import_service import OrderImportService
from dataplane.orders.notices import Details
from dataplane.orders.ops import Following
from dataplane.orders.service import OrderService
from dataplane.prices.service import PriceListService
from dataplane.products.service import ProductService
from dataplane.promotions.service import PromotionService
from dataplane.staff.admission import Admission
from dataplane.staff.credentials import Credentials, Known
from dataplane.staff.service import StaffService
from dataplane.staff.uses import Uses
from dataplane.storefront.accounts import Accounts
from dataplane.storefront.buying import Buying
from dataplane.storefront.pages import Names, Pages
from dataplane.storefront.refusals import with_pages
from dataplane.storefront.service import StorefrontService
from dataplane.storefront.settings_service import StorefrontSettingsService
from dataplane.tenants import denied
from dataplane.tenants.local import LocalTenants, Writes, admitted
from dataplane.tenants.origins import Origins
from dataplane.tenants.service import TenantRuntimeService
from shared.audit import schema as audit_schema
from shared.audit.anchors import Anchors
from shared.audit.checking import Checker
from shared.audit.denials import Denials
from shared.audit.sealer import Sealer
from shared.audit.service import AuditService, Entries, TenantAuditService
from shared.audit.signing import Signer as SealSigner
from shared.media.domain import CHUNK_BYTES
from shared.media.objects import Objects
from shared.media.service import MediaService
from shared.media.signing import Signer
from shared.media.sweeper import Sweeper
from shared.notifications import triggers
from shared.notifications import vault as notifications_vault
from shared.notifications.delivery import Mailbox
from shared.notifications.domain import Channel
from shared.notifications.http import Http
from shared.notifications.rendering import Renderer
from shared.notifications.service import NotificationService
from shared.notifications.smtp import Smtp
from shared.notifications.triggers import Triggers
from shared.notifications.worker import Platform, Worker
from shared.payments import stripe_api
from shared.payments import worker as payments_worker
from shared.payments.ops import Payments
from shared.payments.service import PaymentService
from shared.payments.stripe_api import Stripe
from shared.runtime import keys, pki
from shared.runtime.backoffice import Verifier
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.db import Database, app_url, database_name
from shared.runtime.events import relay, subjects
from shared.runtime.events.broker import Broker
from shared.runtime.events.consumer import Consumer
from shared.runtime.events.gaps import CatchUp
from shared.runtime.events.relay import Relay
from shared.runtime.migrate import migrate
from shared.runtime.paging import PageTokens
from shared.runtime.rpc.channel import connect
from shared.runtime.rpc.in_process import InProcess
from shared.runtime.rpc.server import Server, Service, serving
from shared.runtime.vault import Vault
from shared.webhooks import fanout
from shared.webhooks import worker as webhook_worker
from shared.webhooks.fanout import FanOut
from shared.webhooks.guard import Dns, Guard
from shared.webhooks.sender import Sender
from shared.webhooks.service import WebhookService

log = structlog.stdlib.get_logger("center.dataplane")

COMMANDS = tenant_runtime_service_pb2.DESCRIPTOR.services_by_name["TenantRuntimeService"]
PRODUCTS = product_service_pb2.DESCRIPTOR.services_by_name["ProductService"]
INVENTORY = inventory_service_pb2.DESCRIPTOR.services_by_name["InventoryService"]
MERCHANDISING = merchandising_service_pb2.DESCRIPTOR.services_by_name["MerchandisingService"]
NAVIGATION = navigation_service_pb2.DESCRIPTOR.services_by_name["NavigationService"]
CARTS = cart_service_pb2.DESCRIPTOR.services_by_name["CartService"]
SHOPPERS = customer_service_pb2.DESCRIPTOR.services_by_name["ShopperService"]
CUSTOMERS = customer_service_pb2.DESCRIPTOR.services_by_name["CustomerService"]
CHECKOUTS = checkout_service_pb2.DESCRIPTOR.services_by_name["CheckoutService"]
SELLING = checkout_service_pb2.DESCRIPTOR.services_by_name["SellingService"]
PRICES = price_list_service_pb2.DESCRIPTOR.services_by_name["PriceListService"]
PROMOTIONS = promotion_service_pb2.DESCRIPTOR.services_by_name["PromotionService"]
STOREFRONT = storefront_service_pb2.DESCRIPTOR.services_by_name["StorefrontService"]
STOREFRONT_SETTINGS = storefront_settings_service_pb2.DESCRIPTOR.services_by_name["StorefrontSettingsService"]
STAFF = staff_service_pb2.DESCRIPTOR.services_by_name["StaffService"]
ORDERS = order_service_pb2.DESCRIPTOR.services_by_name["OrderService"]
ORDER_IMPORT = order_import_service_pb2.DESCRIPTOR.services_by_name["OrderImportService"]
DESCRIPTION = description_service_pb2.DESCRIPTOR.services_by_name["DescriptionService"]
BACKOFFICE_DESCRIPTION = backoffice_description_service_pb2.DESCRIPTOR.services_by_name["BackofficeDescriptionService"]
NOTIFICATIONS = notification_service_pb2.DESCRIPTOR.services_by_name["NotificationService"]
MEDIA = media_service_pb2.DESCRIPTOR.services_by_name["MediaService"]
PAYMENTS = payment_service_pb2.DESCRIPTOR.services_by_name["PaymentService"]
PLANS = plan_service_pb2.DESCRIPTOR.services_by_name["PlanService"]
AUDIT = audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"]
TENANT_AUDIT = tenant_audit_service_pb2.DESCRIPTOR.services_by_name["TenantAuditService"]
WEBHOOKS = webhook_service_pb2.DESCRIPTOR.services_by_name["WebhookService"]
CATALOG = catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"]


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
    clock = clock or SystemClock()
    identity_name = f"cluster/{config.cluster_id}"
    pki.ensure(config.home, [identity_name])
    await migrate(config.database_url, "dataplane", config.home)
    name = f"cluster {config.cluster_id}"
    audit_key = keys.load(config.home, "audit")
    async with contextlib.AsyncExitStack() as stack:

        def database(role: str, pool_size: int) -> Database:
            url = app_url(config.database_url, config.home, role)
            db = Database.connect(url, pool_size=pool_size, name=name, audit_key=audit_key)
            stack.push_async_callback(db.close)
            return db

        db = database("center_app", config.pool_size)
        steward = database("center_steward", 4)
        movers = database("center_steward", 4)
        tenants = LocalTenants(steward)
        await tenants.load()
        features = LocalFeatures(steward)
        await features.load()
        log.info("tenants loaded", tenants=len(tenants), features=len(features), cluster=config.cluster_id)
        tokens = PageTokens(keys.load(config.home, "pages"))
        identity = pki.load(config.home, identity_name)
        anchors = Anchors(config.home, database_name(config.database_url))
        sealer = Sealer(
            app_url(config.database_url, config.home, audit_schema.ROLE),
            tables.audit,
            name=name,
            key=audit_key,
            signer=SealSigner(identity),
            ca_pem=identity.ca_pem,
            anchors=anchors,
        )
        checker = Checker(database(audit_schema.ROLE, 2), tables.audit, anchors, ca_pem=identity.ca_pem, key=audit_key)
        objects = Objects.at(config.media_url or f"file://{config.home}/media", config.cluster_id)
        commands = TenantRuntimeService(
            cluster_id=config.cluster_id,
            tenants=tenants,
            steward=steward,
            movers=movers,
            db=db,
            tokens=tokens,
            seal=sealer.seal,
            objects=objects,
        )
        broker = Broker(config.home, identity_name, config.nats_url)
        events = Relay(app_url(config.database_url, config.home, relay.ROLE), outbox.of(config.cluster_id), broker)
        writes = Writes(db, tenants, events.wake)
        denials = Denials(
            partial(denied.write, db, writes, tenants), lambda tenant_id: tenants.get(tenant_id) is not None
        )
        entries = Entries(db, tables.audit, tokens)
        products = ProductService(db=writes, reads=db, tokens=tokens, clock=clock, features=features)
        merchandising = MerchandisingService(db=writes, reads=db, clock=clock)
        navigation = NavigationService(reads=db, tokens=tokens)
        draining = asyncio.Event()
        watches = Watches(db, draining)

        def stocked() -> None:
            events.wake()
            watches.wake()

        stock = Writes(db, tenants, stocked)
        inventory = InventoryService(
            db=stock,
            reads=db,
            tokens=tokens,
            clock=clock,
            watches=watches,
            admit=tenants.admit_watch,
        )
        expiry = stock_sweeper.Sweeper(db=stock, steward=steward, clock=clock, caller=identity_name)
        carts = CartService(
            db=writes,
            reads=db,
            tokens=tokens,
            clock=clock,
            vault=Vault(config.home, cart_messages.RING),
        )
        past = OrderImportService(db=writes, reads=db, clock=clock, features=features)
        credentials = Credentials(keys.load(config.home, "staff"))
        staff = StaffService(
            db=writes,
            reads=db,
            tokens=tokens,
            clock=clock,
            vault=Vault(config.home, "staff"),
            credentials=credentials,
        )
        uses = Uses(writes, identity_name)
        admission = Admission(
            # Of its own: whatever else is done across tenants, a call waits for none of it.
            steward=database("center_steward", 4),
            tenants=tenants,
            credentials=credentials,
            uses=uses,
            clock=clock,
        )
        prices = PriceListService(db=writes, reads=db, tokens=tokens, clock=clock)
        promotions = PromotionService(db=writes, reads=db, tokens=tokens, clock=clock)
        sweeper = Sweeper(config.cluster_id, steward, writes, objects, clock)
        media = MediaService(
            db=writes,
            reads=db,
            objects=objects,
            tokens=tokens,
            clock=clock,
            signer=Signer(keys.load(config.home, "media")),
            allowance=features.media,
            origin=Origins(steward, config.public_url).of,
            woken=sweeper.wake,
        )
        vault, renderer = notifications_vault.Vault(config.home), Renderer()
        sending = Worker(
            name=identity_name,
            # Of its own: a burst of mail takes no connection from a request.
            db=Writes(database("center_app", 4), tenants, events.wake),
            steward=steward,
            vault=vault,
            renderer=renderer,
            platform=_platform(config),
            clock=clock,
        )

        def written() -> None:
            events.wake()
            sending.wake()

        customers, sessions = Customers(config.home, clock), Sessions(config.home, clock)
        shoppers = ShopperService(
            db=Writes(db, tenants, written),
            reads=db,
            tokens=tokens,
            customers=customers,
            sessions=sessions,
            vault=vault,
            origin=Origins(steward, config.public_url).of,
        )
        notifications = NotificationService(
            db=Writes(db, tenants, written),
            reads=db,
            tokens=tokens,
            clock=clock,
            vault=vault,
            renderer=renderer,
        )
        guard, secrets = Guard(Dns(), config.webhooks_allow), Vault(config.home, "webhooks")
        # Of its own, as above.
        delivering = database("center_app", 6)
        deliveries = webhook_worker.Worker(
            db=delivering,
            steward=steward,
            sender=await stack.enter_async_context(Sender(guard)),
            vault=secrets,
            clock=clock,
            caller=identity_name,
        )

        def promised() -> None:
            events.wake()
            deliveries.wake()

        webhooks = WebhookService(
            db=Writes(db, tenants, promised), reads=db, tokens=tokens, clock=clock, guard=guard, vault=secrets
        )
        stripe = Stripe()
        stack.push_async_callback(stripe.close)
        followed = Following(clock)
        payments = followed.payments = Payments(
            db=stock,
            reads=db,
            clock=clock,
            vault=Vault(config.home, "payments"),
            providers={stripe_api.NAME: stripe},
            followed=followed,
        )
        order_seal = Vault(config.home, order_messages.RING)
        orders = OrderService(
            db=stock,
            reads=db,
            tokens=tokens,
            clock=clock,
            vault=order_seal,
            payments=payments,
        )
        unpaid = orders_worker.Sweeper(db=stock, steward=steward, clock=clock, caller=identity_name, payments=payments)
        checkouts = CheckoutService(
            db=stock,
            reads=db,
            clock=clock,
            payments=payments,
            carts=Vault(config.home, cart_messages.RING),
            orders=Vault(config.home, order_messages.RING),
        )
        selling = SellingService(db=writes, reads=db, clock=clock)
        paying = PaymentService(payments=payments, tokens=tokens)
        channel = connect(config.control_address, identity, server="control", services=[CATALOG, PLANS])
        stack.push_async_callback(channel.close)
        follower = CatalogFollower(
            cluster_id=config.cluster_id, channel=channel, commands=commands, tenants=tenants, steward=steward
        )
        following = FeaturesFollower(cluster_id=config.cluster_id, channel=channel, features=features, steward=steward)
        pages = Pages(
            reads=db,
            names=Names(steward, tenants),
            closed=tenants.refusal_to_write,
            signer=Signer(keys.load(config.home, "media")),
            clock=clock,
            sessions=sessions,
            is_secure=config.public_url.startswith("https:"),
        )
        own_carts = InProcess(carts, CARTS, rules_pb2.CALLER_SHOPPER)
        own_checkouts = InProcess(checkouts, CHECKOUTS, rules_pb2.CALLER_SHOPPER)
        storefront = StorefrontService(
            pages=pages,
            products=InProcess(products, PRODUCTS, rules_pb2.CALLER_SHOPPER),
            carts=own_carts,
            buying=Buying(
                pages=pages,
                carts=own_carts,
                checkouts=own_checkouts,
                # Shoppers have no method that shows an order: a page does, to who knows the cart that it was.
                orders=InProcess(orders, ORDERS, rules_pb2.CALLER_MERCHANT),
            ),
            accounts=Accounts(
                pages=pages,
                # A wrong password is counted wherever it is typed in.
                shoppers=InProcess(shoppers, SHOPPERS, rules_pb2.CALLER_SHOPPER, denials.note),
                carts=own_carts,
                checkouts=own_checkouts,
            ),
        )
        look = StorefrontSettingsService(db=writes, reads=db, clock=clock)
        workers = [follower.run(), following.run(), sealer.run(), denials.run()]
        workers.append(upkeep.run(steward, writes, clock, identity_name))
        workers += [sweeper.run(), sending.run(), expiry.run(), unpaid.run(), uses.run()]
        workers += [payments_worker.run(payments, steward, identity_name), deliveries.run()]
        if config.nats_url:
            url = app_url(config.database_url, config.home)
            triggered = Triggers(
                name=identity_name,
                vault=vault,
                clock=clock,
                is_served=tenants.is_served,
                sent=sending.wake,
                details=Details(order_seal),
            )
            notifying = database("center_app", 2)
            fan_out = FanOut(tenants.is_served, clock)
            heard = Writes(delivering, tenants, deliveries.wake)
            again = [
                CatchUp(
                    triggers.NAME,
                    [triggers.PLANE],
                    triggered,
                    db=notifying,
                    steward=steward,
                    broker=broker,
                    written=sending.wake,
                ),
                CatchUp(
                    fanout.NAME,
                    subjects.STREAMS,
                    fan_out,
                    db=delivering,
                    steward=steward,
                    broker=broker,
                    written=deliveries.wake,
                ),
            ]
            consumers = [
                Consumer(triggers.subscription(config.cluster_id), triggered.apply, notifying, url, broker),
                *(
                    Consumer(each, fan_out.apply, heard, url, broker)
                    for each in fanout.subscriptions(config.cluster_id)
                ),
            ]
            workers += [events.run(), *(each.run() for each in again), *(each.run() for each in consumers)]
        await stack.enter_async_context(_beside(*workers))
        server = await stack.enter_async_context(
            serving(
                [
                    Service(commands, COMMANDS),
                    Service(admitted(products, PRODUCTS, tenants, features), PRODUCTS),
                    Service(admitted(merchandising, MERCHANDISING, tenants, features), MERCHANDISING),
                    Service(admitted(navigation, NAVIGATION, tenants, features), NAVIGATION),
                    Service(admitted(inventory, INVENTORY, tenants, features), INVENTORY),
                    Service(admitted(carts, CARTS, tenants, features), CARTS),
                    Service(admitted(checkouts, CHECKOUTS, tenants, features), CHECKOUTS),
                    Service(admitted(selling, SELLING, tenants, features), SELLING),
                    Service(admitted(prices, PRICES, tenants, features), PRICES),
                    Service(admitted(promotions, PROMOTIONS, tenants, features), PROMOTIONS),
                    Service(admitted(shoppers, SHOPPERS, tenants, features), SHOPPERS),
                    Service(
                        admitted(
                            CustomerService(db=writes, reads=db, tokens=tokens, customers=customers),
                            CUSTOMERS,
                            tenants,
                            features,
                        ),
                        CUSTOMERS,
                    ),
                    Service(
                        with_pages(admitted(storefront, STOREFRONT, tenants, features), STOREFRONT, pages), STOREFRONT
                    ),
                    Service(admitted(look, STOREFRONT_SETTINGS, tenants, features), STOREFRONT_SETTINGS),
                    Service(admitted(staff, STAFF, tenants, features), STAFF),
                    Service(admitted(orders, ORDERS, tenants, features), ORDERS),
                    Service(admitted(past, ORDER_IMPORT, tenants, features), ORDER_IMPORT),
                    Service(admitted(DescriptionService(), DESCRIPTION, tenants, features), DESCRIPTION),
                    Service(
                        admitted(BackofficeDescriptionService(), BACKOFFICE_DESCRIPTION, tenants, features),
                        BACKOFFICE_DESCRIPTION,
                    ),
                    Service(AuditService(entries, tables.audit, checker), AUDIT),
                    Service(
                        admitted(TenantAuditService(entries, tables.audit), TENANT_AUDIT, tenants, features),
                        TENANT_AUDIT,
                    ),
                    Service(admitted(notifications, NOTIFICATIONS, tenants, features), NOTIFICATIONS),
                    Service(admitted(media, MEDIA, tenants, features), MEDIA),
                    Service(admitted(webhooks, WEBHOOKS, tenants, features), WEBHOOKS),
                    Service(admitted(paying, PAYMENTS, tenants, features), PAYMENTS),
                ],
                address=config.address,
                identity=identity,
                admin_address=config.admin_address or None,
                metrics_address=config.metrics_address or None,
                verify_session=sessions.verify,
                verify_backoffice=Known(credentials, Verifier(config.home, clock), clock),
                admit_merchant=admission,
                denied=denials.note,
                draining=draining,
                # A file on its way is here piece by piece, however fast its sender is.
                window_bytes=CHUNK_BYTES,
            )
        )
        yield Cluster(
            server=server, tenants=tenants, follower=follower, features=following, objects=objects, sweeper=sweeper
        )


def _platform(config: Config) -> Platform:
    """What tenants' notifications go through that have no server of their own."""
    mailbox = Mailbox(config.home, config.mail_from)
    smtp = Smtp(config.smtp_url, config.mail_from, has_own_server=False) if config.smtp_url else mailbox
    return Platform(
        {
            Channel.EMAIL: smtp,
            Channel.SMS: Http(config.sms_url) if config.sms_url else mailbox,
            Channel.PUSH: Http(config.push_url) if config.push_url else mailbox,
        },
        config.mail_from,
    )


@asynccontextmanager
async def _beside(*workers: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs the workers beside the block. One that fails ends the process, so that whoever watches starts it anew."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(worker) for worker in workers]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
