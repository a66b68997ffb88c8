"""No tenant reads or changes another's rows: by RPC, by raw SQL, through the pool, and with any one policy gone."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
import psycopg
import pytest
import stripe
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from psycopg import sql
from sqlalchemy import text

from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import checkout_service_pb2 as checkouts_pb
from center.dataplane.v1 import customer_service_pb2 as customers_pb
from center.dataplane.v1 import inventory_service_pb2 as stock_pb
from center.dataplane.v1 import merchandising_service_pb2 as arranged_pb
from center.dataplane.v1 import navigation_service_pb2 as navigation_pb
from center.dataplane.v1 import order_import_service_pb2 as imports_pb
from center.dataplane.v1 import order_service_pb2 as orders_pb
from center.dataplane.v1 import price_list_service_pb2 as prices_pb
from center.dataplane.v1 import product_service_pb2 as pb
from center.dataplane.v1 import promotion_service_pb2 as promotions_pb
from center.dataplane.v1 import staff_service_pb2 as staff_pb
from center.dataplane.v1 import storefront_service_pb2 as storefront_pb
from center.dataplane.v1 import storefront_settings_service_pb2 as storefront_settings_pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.dataplane.v1.cart_service_pb2_grpc import CartServiceStub
from center.dataplane.v1.checkout_service_pb2_grpc import CheckoutServiceStub, SellingServiceStub
from center.dataplane.v1.customer_service_pb2_grpc import CustomerServiceStub, ShopperServiceStub
from center.dataplane.v1.inventory_service_pb2_grpc import InventoryServiceStub
from center.dataplane.v1.merchandising_service_pb2_grpc import MerchandisingServiceStub
from center.dataplane.v1.navigation_service_pb2_grpc import NavigationServiceStub
from center.dataplane.v1.order_import_service_pb2_grpc import OrderImportServiceStub
from center.dataplane.v1.order_service_pb2_grpc import OrderServiceStub
from center.dataplane.v1.price_list_service_pb2_grpc import PriceListServiceStub
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from center.dataplane.v1.promotion_service_pb2_grpc import PromotionServiceStub
from center.dataplane.v1.staff_service_pb2_grpc import StaffServiceStub
from center.dataplane.v1.storefront_service_pb2_grpc import StorefrontServiceStub
from center.dataplane.v1.storefront_settings_service_pb2_grpc import StorefrontSettingsServiceStub
from center.dataplane.v1.tenant_runtime_service_pb2_grpc import TenantRuntimeServiceStub
from center.shared.v1 import media_service_pb2 as media_pb
from center.shared.v1 import notification_service_pb2 as notices_pb
from center.shared.v1 import payment_service_pb2 as payments_pb
from center.shared.v1 import webhook_service_pb2 as webhooks_pb
from center.shared.v1.media_service_pb2_grpc import MediaServiceStub
from center.shared.v1.notification_service_pb2_grpc import NotificationServiceStub
from center.shared.v1.payment_service_pb2_grpc import PaymentServiceStub
from center.shared.v1.webhook_service_pb2_grpc import WebhookServiceStub
from dataplane.customers.domain import Customer
from dataplane.customers.sessions import Sessions
from dataplane.orders import ops as order_ops
from dataplane.orders import store as order_store
from dataplane.orders.domain import Adjustment, Fulfillment, FulfillmentLine, Refund, RefundLine
from dataplane.promotions.domain import Applied
from dataplane.promotions.ops import redeem
from shared.audit.schema import CHAIN
from shared.media.signing import Signer
from shared.runtime import keys
from shared.runtime.clock import SystemClock
from shared.runtime.db import app_url
from shared.runtime.errors import PlatformError
from shared.runtime.ids import uuid7
from shared.runtime.migrate import missing_migration
from shared.runtime.money import Money
from shared.runtime.rpc import contract
from tests.dataplane import orders
from tests.dataplane import test_order_import as imports
from tests.dataplane.cluster import Running, create, digest, entry, of, product, sealed, variant
from tests.dataplane.conftest import Start
from tests.dataplane.notices import EMAIL, SENT, Shop
from tests.dataplane.test_tenants import METHODS, REQUESTS
from tests.support.media import begin, image, keep
from tests.support.platform import until
from tests.support.receiver import LOOPBACK

WEBHOOK_ROWS = (
    "webhook_endpoints",
    "webhook_subscriptions",
    "webhook_events",
    "webhook_deliveries",
    "webhook_attempts",
)
# What has no tenant: alembic's own, how far the catalog is followed, how far the outbox is published, and which events
# have been received.
NO_TENANT = {"alembic_version", "watch", "outbox_position", "audit_position", "inbox"}

NOTICES = (
    "notification_settings",
    "notification_providers",
    "notification_paces",
    "notification_templates",
    "notification_preferences",
    "notification_suppressions",
    "notification_triggers",
    "notifications",
    "notification_attempts",
)
MEDIA_ROWS = ("media_usage", "media_blobs", "media_uploads", "media", "media_variants")
STOCK_ROWS = ("locations", "stock_levels", "reservations", "stock_movements")
ARRANGED = ("categories", "product_categories", "collections", "collection_products")
PRICE_ROWS = ("price_lists", "prices")
PROMOTION_ROWS = ("promotions", "promotion_redemptions")
CUSTOMER_ROWS = ("customers", "customer_addresses", "customer_consents", "customer_logins")
STAFF_ROWS = ("staff_members", "api_keys")
ORDER_ROWS = (
    "orders",
    "order_lines",
    "order_adjustments",
    "fulfillments",
    "fulfillment_lines",
    "refunds",
    "refund_lines",
    "order_events",
    "order_numbers",
)
ROWS = (
    "products",
    "variants",
    "product_media",
    *ARRANGED,
    "idempotency",
    "audit_entries",
    *CHAIN,
    "payment_settings",
    "payments",
    "payment_operations",
    "payment_events",
    *WEBHOOK_ROWS,
    *NOTICES,
    *MEDIA_ROWS,
    *STOCK_ROWS,
    *PRICE_ROWS,
    *PROMOTION_ROWS,
    *CUSTOMER_ROWS,
    *STAFF_ROWS,
    *ORDER_ROWS,
    "event_gaps",
    "carts",
    "cart_lines",
    "cart_codes",
    "checkouts",
    "selling_settings",
    "storefront_themes",
)
# Of which nobody deletes rows, and nobody changes those either.
KEPT = {"payments", "payment_operations", "payment_events", "stock_movements", *PROMOTION_ROWS, *ORDER_ROWS}
KEPT |= {"customers", "customer_consents", "price_lists"}
APPENDED = {
    "customer_consents",
    "payment_events",
    "promotion_redemptions",
    "stock_movements",
    "order_adjustments",
    "fulfillment_lines",
    "refund_lines",
    "order_events",
}
# What center_app may not touch at all.
CLOSED = {
    "tenants",
    "watch",
    "alembic_version",
    "outbox_position",
    "audit_position",
    "tenant_features",
    "product_counts",
    "product_revisions",
}


@dataclass(frozen=True)
class Two:
    """Tenant a asks, b is the other, c is closed to writes. Each has the same products, but for its mark."""

    running: Running
    a: str
    b: str
    c: str

    def owner(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.running.database_url, autocommit=True)


async def furnish(running: Running) -> Two:
    tenants = [entry() for _ in range(3)]
    await running.apply(*tenants)
    for tenant, mark in zip(tenants, "abc", strict=True):
        for n in range(3):
            request = pb.CreateProductRequest(
                product=product(
                    f"lamp-{n}", title=f"Lamp of {mark}", variants=[variant(f"sku-{n}"), variant(f"x-{n}")]
                ),
                request_id=uuid7(),
            )
            await running.products.CreateProduct(request, metadata=of(tenant.id))
        await _ping(running, tenant.id, mark)
        await furnish_notices(Shop(running, tenant.id), mark)
        picture = await keep(running.media, tenant.id, image(), "image/png", name=f"Lamp of {mark}.png")
        thumb = media_pb.CreateVariantRequest(id=picture.id, name="thumb", width=8)
        await running.media.CreateVariant(thumb, metadata=of(tenant.id))
        await _shown(running, tenant.id, picture.id, f"Lamp of {mark}")
        await _arranged(running, tenant.id, f"Lamp of {mark}")
        await _paid(running, tenant.id, f"Lamp of {mark}")
        await _stocked(running, tenant.id, f"Lamp of {mark}")
        await _filled(running, tenant.id, mark)
        await _priced(running, tenant.id, f"Lamp of {mark}")
        await _promoted(running, tenant.id, f"Lamp of {mark}")
        await _registered(running, tenant.id, mark)
        await _themed(running, tenant.id, f"Lamps of {mark}")
        await _run(running, tenant.id, mark)
        await _ordered(running, tenant.id, f"Lamp of {mark}")
    await running.apply(entry(tenants[2].id, writes_frozen=True))
    return Two(running, *(tenant.id for tenant in tenants))


async def _shown(running: Running, tenant: str, media_id: str, alt_text: str) -> None:
    """One of the products has a picture."""
    [found] = (await running.products.ListProducts(pb.ListProductsRequest(page_size=1), metadata=of(tenant))).products
    pictured = pb.Product(id=found.id, media=[{"media_id": media_id, "alt_text": alt_text}])
    await running.products.UpdateProduct(pb.UpdateProductRequest(product=pictured), metadata=of(tenant))


async def _arranged(running: Running, tenant: str, title: str) -> None:
    """A category below another, and a collection, each with a product."""
    stub: Any = MerchandisingServiceStub(running.channel("operator"))
    listed = await running.products.ListProducts(pb.ListProductsRequest(page_size=1), metadata=of(tenant))
    of_product = {"product_id": listed.products[0].id}
    parent_id = ""
    for handle in ("above", "below"):
        named = {"handle": handle, "title": title, "parent_id": parent_id}
        made = await stub.CreateCategory(arranged_pb.CreateCategoryRequest(category=named), metadata=of(tenant))
        parent_id = made.category.id
    into = arranged_pb.SetProductCategoriesRequest(category_ids=[parent_id], **of_product)
    await stub.SetProductCategories(into, metadata=of(tenant))
    new = arranged_pb.CreateCollectionRequest(collection={"handle": "new", "title": title})
    collection = (await stub.CreateCollection(new, metadata=of(tenant))).collection
    held = arranged_pb.SetCollectionProductsRequest(collection_id=collection.id, product_ids=of_product.values())
    await stub.SetCollectionProducts(held, metadata=of(tenant))


async def _filled(running: Running, tenant: str, mark: str) -> None:
    """A cart with a line and a code that is being checked out, and how the shop sells."""
    carts = CartServiceStub(running.channel("operator"))
    listed = await running.products.ListProducts(pb.ListProductsRequest(page_size=1), metadata=of(tenant))
    made = await carts.CreateCart(carts_pb.CreateCartRequest(currency_code="EUR"), metadata=of(tenant))
    variant_id = listed.products[0].variants[0].id
    line = carts_pb.AddLineRequest(cart_id=made.cart.id, variant_id=variant_id, quantity=2)
    await carts.AddLine(line, metadata=of(tenant))
    await carts.ApplyCode(carts_pb.ApplyCodeRequest(cart_id=made.cart.id, code="TEN"), metadata=of(tenant))
    with psycopg.connect(running.database_url) as owner:
        owner.execute(
            "INSERT INTO checkouts VALUES (%s, %s, 1, 'Lamp', 0, 1, NULL, now(), now())", (tenant, made.cart.id)
        )
    selling = SellingServiceStub(running.channel("operator"))
    sells = checkouts_pb.SetSellingSettingsRequest(settings={"tax_rates": [{"name": f"Lamp of {mark}"}]})
    await selling.SetSellingSettings(sells, metadata=of(tenant))


async def _ping(running: Running, tenant: str, mark: str) -> None:
    """An endpoint, something on its way to it and a try that failed, and a gap."""
    endpoint = webhooks_pb.Endpoint(url="http://127.0.0.1:9/", event_types=["nothing.*"], description=f"Lamp of {mark}")
    create = webhooks_pb.CreateEndpointRequest(endpoint=endpoint)
    made = (await running.webhooks.CreateEndpoint(create, metadata=of(tenant))).endpoint
    pinged = await running.webhooks.PingEndpoint(webhooks_pb.PingEndpointRequest(id=made.id), metadata=of(tenant))
    get = webhooks_pb.GetDeliveryRequest(id=pinged.delivery.id)

    async def tried() -> bool:
        return len((await running.webhooks.GetDelivery(get, metadata=of(tenant))).attempts) == 1

    await until(tried, what="a ping to fail")
    with psycopg.connect(running.database_url) as owner:
        owner.execute("INSERT INTO event_gaps VALUES (%s, 'webhooks', now(), 1)", (tenant,))
        owner.execute("INSERT INTO webhook_events VALUES (%s, gen_random_uuid(), 'spare')", (tenant,))
        owner.execute("INSERT INTO webhook_events VALUES (%s, gen_random_uuid(), 'later')", (tenant,))
        owner.execute(
            "INSERT INTO webhook_deliveries SELECT tenant_id, gen_random_uuid(), %s, id, 'x.y', now(), 'x/1', 1, "
            "'PENDING', 0, '2100-01-01', '2100-01-01', NULL, '' FROM webhook_events "
            "WHERE tenant_id = %s AND payload = 'later'",
            (made.id, tenant),
        )


async def furnish_notices(shop: Shop, mark: str) -> None:
    """A row in each table of notifications, and nothing that is still to be sent."""
    tenant = of(shop.id)
    await shop.call.PutSettings(notices_pb.PutSettingsRequest(sender_name=f"Shop of {mark}"), metadata=tenant)
    limited = notices_pb.NotificationProvider(channel=EMAIL, rate_per_second=100, secret=f"secret of {mark}")
    await shop.call.PutProvider(notices_pb.PutProviderRequest(provider=limited), metadata=tenant)
    await shop.template(text=f"Lamp of {mark}")
    opt_out = notices_pb.OptOut(category=f"lamps-of-{mark}")
    for request in (
        notices_pb.PutPreferencesRequest(recipient=f"{mark}@mail.example", opt_outs=[opt_out]),
        notices_pb.SuppressRecipientRequest(recipient=f"no-{mark}@mail.example", reason="SUPPRESSION_REASON_MANUAL"),
    ):
        name = type(request).__name__.removesuffix("Request")
        await getattr(shop.call, name)(request, metadata=tenant)
    trigger = notices_pb.NotificationTrigger(
        name="new", event_type="product.created", template="hello", channel=EMAIL, recipient=f"{mark}@mail.example"
    )
    await shop.call.PutTrigger(notices_pb.PutTriggerRequest(trigger=trigger), metadata=tenant)
    sent = await shop.send(f"{mark}@mail.example", dedup_key="one")
    await shop.becomes(sent.id, SENT)


async def _stocked(running: Running, tenant_id: str, mark: str) -> None:
    """Some of one variant at a location, and one of them held."""
    location = stock_pb.CreateLocationRequest(location={"code": "here", "name": mark})
    await running.inventory.CreateLocation(location, metadata=of(tenant_id))
    [found] = (
        await running.products.ListProducts(pb.ListProductsRequest(page_size=1), metadata=of(tenant_id))
    ).products
    [one, *_] = sorted(each.id for each in found.variants)
    received = {"variant_id": one, "kind": stock_pb.STOCK_MOVEMENT_KIND_RECEIVED, "quantity": 5, "reference": mark}
    await running.inventory.AdjustStock(stock_pb.AdjustStockRequest(adjustments=[received]), metadata=of(tenant_id))
    line = {"variant_id": one, "quantity": 1}
    request = stock_pb.ReserveRequest(owner_id=uuid7(), lines=[line], ttl={"seconds": 86_400})
    await running.inventory.Reserve(request, metadata=of(tenant_id))


async def _paid(running: Running, tenant_id: str, reference: str) -> None:
    """A payment whose provider nobody reached, and whose event came all the same."""
    stub: Any = PaymentServiceStub(running.channel("operator"))
    settings = payments_pb.SetPaymentSettingsRequest(
        settings={"api_base": "http://127.0.0.1:1"}, secret_key="sk_test_1", webhook_secret="whsec_1"
    )
    await stub.SetPaymentSettings(settings, metadata=of(tenant_id))
    amount = {"currency_code": "EUR", "units": 5}
    request = payments_pb.AuthorizeRequest(amount=amount, payment_method="pm_card_visa", reference=reference)
    payment = (await stub.Authorize(request, metadata=of(tenant_id))).payment
    about = {
        "id": f"pi_{payment.id}",
        "amount": 500,
        "currency": "eur",
        "status": "requires_capture",
        "metadata": {"center_tenant": tenant_id, "center_payment": payment.id, "center_operation": ""},
    }
    event = {"id": "evt_1", "object": "event", "created": 1, "type": "payment_intent.amount_capturable_updated"}
    body = json.dumps({**event, "data": {"object": about}})
    signature = ("stripe-signature", stripe.WebhookSignature.generate_signature_header(body, "whsec_1"))
    told = payments_pb.ReportProviderEventRequest(provider="stripe", body={"data": body.encode()})
    await stub.ReportProviderEvent(told, metadata=of(tenant_id, signature))


async def _priced(running: Running, tenant_id: str, name: str) -> None:
    """A price list with a price."""
    stub: Any = PriceListServiceStub(running.channel("operator"))
    new = prices_pb.CreatePriceListRequest(price_list={"display_name": name, "currency_code": "GBP"})
    made = (await stub.CreatePriceList(new, metadata=of(tenant_id))).price_list
    listed = await running.products.ListProducts(pb.ListProductsRequest(page_size=1), metadata=of(tenant_id))
    request = _pound(made.id, listed.products[0].variants[0].id)
    await stub.SetPrices(request, metadata=of(tenant_id))


def _pound(list_id: str, variant_id: str) -> prices_pb.SetPricesRequest:
    price = {"variant_id": variant_id, "min_quantity": 1, "amount": {"currency_code": "GBP", "units": 1}}
    return prices_pb.SetPricesRequest(price_list_id=list_id, prices=[price])


async def _promoted(running: Running, tenant_id: str, name: str) -> None:
    """A promotion that an order used."""
    stub: Any = PromotionServiceStub(running.channel("operator"))
    request = promotions_pb.CreatePromotionRequest(promotion=promotions_pb.Promotion(display_name=name, **PROMOTION))
    promotion = (await stub.CreatePromotion(request, metadata=of(tenant_id))).promotion
    db = running.database("center_app")
    async with db.transaction(tenant_id) as tx:
        applied = [Applied(promotion.id, Money("EUR", 5))]
        await redeem(tx, tenant_id, uuid7(), applied, uuid7(), datetime.now(UTC))
    await db.close()


async def _registered(running: Running, tenant_id: str, mark: str) -> None:
    """A customer with an address and a consent, whose password somebody did not know."""
    stub: Any = CustomerServiceStub(running.channel("operator"))
    request = customers_pb.UpsertCustomerRequest(
        external_id=f"Lamp of {mark}", email=SAME_EMAIL, marketing_consent=True
    )
    made = (await stub.UpsertCustomer(request, metadata=of(tenant_id))).customer
    address = carts_pb.Address(name=mark, lines=["1"], city="London", country_code="GB")
    shopper: Any = ShopperServiceStub(running.channel("envoy"))
    metadata = of(tenant_id, _session(running, tenant_id, made.id))
    await shopper.AddMyAddress(customers_pb.AddMyAddressRequest(address=address), metadata=metadata)
    with psycopg.connect(running.database_url) as owner:
        owner.execute(
            "INSERT INTO customer_logins SELECT tenant_id, email_hash, 1, now() FROM customers WHERE id = %s",
            (made.id,),
        )


def _session(running: Running, tenant_id: str, customer_id: str) -> tuple[str, str]:
    now = datetime.now(UTC)
    token, _ = Sessions(running.home, SystemClock()).issue(tenant_id, Customer(customer_id, now, now))
    return "authorization", f"Bearer {token}"


SAME_EMAIL = "ada@mail.example"


async def _themed(running: Running, tenant_id: str, title: str) -> None:
    stub: Any = StorefrontSettingsServiceStub(running.channel("operator"))
    await stub.SetTheme(storefront_settings_pb.SetThemeRequest(theme={"title": title}), metadata=of(tenant_id))


async def _run(running: Running, tenant_id: str, mark: str) -> None:
    """Somebody who is invited, and a key."""
    stub: Any = StaffServiceStub(running.channel("operator"))
    invite = staff_pb.InviteMemberRequest(email=f"{mark}@mail.example", role="STAFF_ROLE_OWNER")
    await stub.InviteMember(invite, metadata=of(tenant_id))
    create = staff_pb.CreateApiKeyRequest(display_name=f"Sync of {mark}", role="STAFF_ROLE_STAFF")
    await stub.CreateApiKey(create, metadata=of(tenant_id))


async def _ordered(running: Running, tenant_id: str, title: str) -> None:
    """An order of which one was shipped and refunded, as if it had been imported."""
    now, db = datetime.now(UTC), running.database("center_app")
    sold = orders.line(product_title=title, quantity=2)
    adjustment = Adjustment(uuid7(), "lamp", 100, title)
    new = orders.order(sold, adjustments=(adjustment,), discount_minor=100, country=title)
    async with db.transaction(tenant_id) as tx:
        made = await order_ops.create(tx, tenant_id, new, now=now)
        shipped = Fulfillment(uuid7(), (FulfillmentLine(sold.id, 1),), title, "", now)
        await order_store.add_fulfillment(tx, tenant_id, made.id, shipped)
        refund = Refund(uuid7(), None, 100, title, now, lines=(RefundLine(sold.id, 1),))
        await order_store.add_refund(tx, tenant_id, made.id, refund)
    await db.close()


PROMOTION: dict[str, Any] = {"code": "lamp", "effect": {"type": "PROMOTION_EFFECT_TYPE_FREE_SHIPPING"}}


@pytest.fixture(scope="module")
async def two(start: Start) -> AsyncIterator[Two]:
    async with start("eu-1", webhooks_allow=LOOPBACK) as running:
        furnished = await furnish(running)
        await sealed(running)
        yield furnished


# a) what the catalog says


async def test_tables_and_migrations_agree(two: Two) -> None:
    assert await missing_migration(two.running.database_url, "dataplane") == []


def test_every_tenant_table_is_led_by_its_tenant(two: Two) -> None:
    with two.owner() as owner:
        assert structure(owner) == []


def structure(owner: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    """What is wrong with the shape of the database, in words."""
    wrong = []
    tables = owner.execute(
        """
        SELECT c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner),
            EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = c.oid AND attname = 'tenant_id' AND attnotnull)
        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        """
    ).fetchall()
    assert {str(row[1]) for row in tables} >= {
        *ROWS,
        "tenants",
        "outbox",
        "tenant_features",
        "product_counts",
        "product_revisions",
        *NO_TENANT,
    }
    for oid, name, enabled, forced, table_owner, has_tenant in tables:
        if str(table_owner).startswith("center_") and table_owner != "center_owner":
            wrong.append(f"{name} belongs to {table_owner}")
        granted = owner.execute(
            "SELECT has_table_privilege('center_app', %s::oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')", (oid,)
        ).fetchone()
        if name in CLOSED and granted == (True,):
            wrong.append(f"center_app may touch {name}")
        if name in NO_TENANT:
            continue
        if not has_tenant or not enabled or not forced:
            wrong.append(f"{name}: tenant_id {has_tenant}, row security {enabled}, forced {forced}")
        for (columns,) in owner.execute(
            """
            SELECT array_agg(a.attname ORDER BY k.n) FROM pg_index i
            CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, n)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
            WHERE i.indrelid = %s AND (i.indisunique OR i.indisprimary) GROUP BY i.indexrelid
            """,
            (oid,),
        ).fetchall():
            if columns[0] != "tenant_id":  # type: ignore[index]
                wrong.append(f"{name}: a unique key begins with {columns[0]}")  # type: ignore[index]
        for key, refers in owner.execute(
            """
            SELECT (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]),
                (SELECT attname FROM pg_attribute WHERE attrelid = confrelid AND attnum = confkey[1])
            FROM pg_constraint WHERE conrelid = %s AND contype = 'f'
            """,
            (oid,),
        ).fetchall():
            if (key, refers) != ("tenant_id", "tenant_id"):
                wrong.append(f"{name}: a reference begins with {key} -> {refers}")
    return wrong + _policies(owner) + _roles(owner)


def _policies(owner: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    wrong = []
    for table in (*ROWS, "outbox"):
        found = owner.execute(
            "SELECT permissive, cmd, qual, with_check FROM pg_policies WHERE tablename = %s AND roles = '{center_app}'",
            (table,),
        ).fetchall()
        for kind in ("RESTRICTIVE", "PERMISSIVE"):
            mine = [row for row in found if row[0] == kind and row[1] == "ALL"]
            if len(mine) != 1 or not all("tenant_id" in str(row[2]) and row[2] == row[3] for row in mine):
                wrong.append(f"{table}: no {kind} policy of the tenant, or one that checks otherwise than it shows")
    return wrong


def _roles(owner: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    wrong = [
        f"{name} is too powerful"
        for (name,) in owner.execute(
            "SELECT rolname FROM pg_roles WHERE rolname IN ('center_app', 'center_steward', 'center_search') "
            "AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication "
            "OR (rolname = 'center_search' AND rolcanlogin))"
        )
    ]
    wrong += [
        f"center_app is a member of {name}"
        for (name,) in owner.execute(
            "SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid "
            "JOIN pg_roles r ON r.oid = m.member WHERE r.rolname IN ('center_app', 'center_search')"
        )
    ]
    for name, definer_owner, settings, public in owner.execute(
        """
        SELECT p.proname, pg_get_userbyid(p.proowner), coalesce(p.proconfig::text, ''),
            EXISTS (SELECT 1 FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE')
        FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
        """
    ).fetchall():
        if definer_owner not in ("center_search", "center_steward") or public:
            wrong.append(f"function {name} of {definer_owner}, for everybody: {public}")
        if "search_path=pg_catalog, public, pg_temp" not in str(settings):
            wrong.append(f"function {name} finds its tables where the caller says")
    definition = owner.execute("SELECT pg_get_functiondef('search_products'::regproc)").fetchone()
    # The words in `doc` name the tenant, too, so no result shows this fence; it is the one that needs no trust in them.
    if "tenant_id = (NULLIF(current_setting('app.tenant_id'" not in str(definition).replace("\\", ""):
        wrong.append("search does not ask for the tenant's own column")
    for name, aliases in (("matching_products", "cwsm"), ("count_products", "v")):
        row = owner.execute("SELECT prosrc FROM pg_proc WHERE proname = %s", (name,)).fetchone()
        asks = all(f"{alias}.tenant_id = mine" in str(row) for alias in (*aliases, "pc"))
        if not asks or "mine uuid := nullif(current_setting('app.tenant_id', true), '')" not in str(row).replace(
            "\\", ""
        ):
            wrong.append(f"{name} does not ask for the tenant's own column")
    wrong += [
        f"{table}.{column} is {kind}, whose operators are not leakproof"
        for table, column, kind in owner.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' "
            "AND data_type IN ('numeric', 'real', 'double precision', 'USER-DEFINED', 'money', 'ARRAY')"
        )
    ]
    return wrong


# b) what every RPC does with another tenant's ids


@pytest.mark.parametrize("name", METHODS)
async def test_no_method_reaches_another_tenants_products(two: Two, name: str) -> None:
    theirs = await list_all(two, two.b)
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    request = REQUESTS[name](theirs[0])
    seen = await answers(two, name, request, two.a)
    assert two.b not in str(seen)
    assert not {p.id for p in theirs} & ids_in(seen), f"{name} shows another tenant's product"
    if "id" in type(request).DESCRIPTOR.fields_by_name or name == "UpdateProduct":
        assert seen == ["NOT_FOUND"]
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


WEBHOOK_REQUESTS: dict[str, Callable[[str, str], Message]] = {
    "CreateEndpoint": lambda e, d: webhooks_pb.CreateEndpointRequest(
        endpoint={"url": "https://1.1.1.1", "event_types": "*"}
    ),
    "GetEndpoint": lambda e, d: webhooks_pb.GetEndpointRequest(id=e),
    "ListEndpoints": lambda e, d: webhooks_pb.ListEndpointsRequest(),
    "UpdateEndpoint": lambda e, d: webhooks_pb.UpdateEndpointRequest(endpoint={"id": e, "description": "stolen"}),
    "DeleteEndpoint": lambda e, d: webhooks_pb.DeleteEndpointRequest(id=e),
    "EnableEndpoint": lambda e, d: webhooks_pb.EnableEndpointRequest(id=e),
    "RotateSecret": lambda e, d: webhooks_pb.RotateSecretRequest(id=e),
    "PingEndpoint": lambda e, d: webhooks_pb.PingEndpointRequest(id=e),
    "ListDeliveries": lambda e, d: webhooks_pb.ListDeliveriesRequest(filter=f'endpoint_id = "{e}" OR id = "{d}"'),
    "GetDelivery": lambda e, d: webhooks_pb.GetDeliveryRequest(id=d),
    "Redeliver": lambda e, d: webhooks_pb.RedeliverRequest(id=d),
    "ReplayDeliveries": lambda e, d: webhooks_pb.ReplayDeliveriesRequest(endpoint_id=e),
}


@pytest.mark.parametrize("name", [method.name for method in contract.of(WebhookServiceStub).methods])
async def test_no_method_reaches_another_tenants_webhooks(two: Two, name: str) -> None:
    webhooks = two.running.webhooks
    listed = await webhooks.ListEndpoints(webhooks_pb.ListEndpointsRequest(), metadata=of(two.b))
    sent = await webhooks.ListDeliveries(webhooks_pb.ListDeliveriesRequest(), metadata=of(two.b))
    theirs = listed.endpoints[0].id, sent.deliveries[0].id
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    seen = ""
    try:
        seen = str(await getattr(webhooks, name)(WEBHOOK_REQUESTS[name](*theirs), metadata=of(two.a)))
        assert name in ("CreateEndpoint", "ListEndpoints", "ListDeliveries")
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
    assert not any(id in seen for id in (*theirs, two.b)), seen
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


STOCK_REQUESTS: dict[str, Callable[[stock_pb.StockLevel, str], Message]] = {
    "CreateLocation": lambda s, o: stock_pb.CreateLocationRequest(location={"code": "here-too"}),
    "GetLocation": lambda s, o: stock_pb.GetLocationRequest(id=s.location_id),
    "ListLocations": lambda s, o: stock_pb.ListLocationsRequest(filter=f'id = "{s.location_id}"'),
    "UpdateLocation": lambda s, o: stock_pb.UpdateLocationRequest(location={"id": s.location_id, "name": "stolen"}),
    "AdjustStock": lambda s, o: stock_pb.AdjustStockRequest(
        adjustments=[
            {
                "variant_id": s.variant_id,
                "location_id": s.location_id,
                "kind": "STOCK_MOVEMENT_KIND_ADJUSTED",
                "counted": 9,
            }
        ]
    ),
    "ConfigureStock": lambda s, o: stock_pb.ConfigureStockRequest(
        variant_id=s.variant_id, location_id=s.location_id, allows_backorder=True
    ),
    "GetStock": lambda s, o: stock_pb.GetStockRequest(variant_ids=[s.variant_id]),
    "ListStock": lambda s, o: stock_pb.ListStockRequest(filter=f'variant_id = "{s.variant_id}"'),
    "ListMovements": lambda s, o: stock_pb.ListMovementsRequest(filter=f'reference = "{o}"'),
    "Reserve": lambda s, o: stock_pb.ReserveRequest(owner_id=o, lines=[{"variant_id": s.variant_id, "quantity": 1}]),
    "Release": lambda s, o: stock_pb.ReleaseRequest(owner_id=o),
    "Commit": lambda s, o: stock_pb.CommitRequest(owner_id=o),
    "WatchStock": lambda s, o: stock_pb.WatchStockRequest(variant_ids=[s.variant_id]),
}


@pytest.mark.parametrize("name", [method.name for method in contract.of(InventoryServiceStub).methods])
async def test_no_method_reaches_another_tenants_stock(two: Two, name: str) -> None:
    stock: Any = two.running.inventory
    [theirs] = (await stock.ListStock(stock_pb.ListStockRequest(), metadata=of(two.b))).levels
    told = await stock.ListMovements(stock_pb.ListMovementsRequest(filter="kind = RESERVED"), metadata=of(two.b))
    owner = told.movements[0].reference
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    answer = getattr(stock, name)(STOCK_REQUESTS[name](theirs, owner), metadata=of(two.a))
    seen = ""
    try:
        seen = str(await (anext(aiter(answer)) if name == "WatchStock" else answer))
        assert name in ("CreateLocation", "Release", "WatchStock") or name.startswith(("List", "GetStock"))
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
    finally:
        answer.cancel()
    assert not any(id in seen for id in (theirs.variant_id, theirs.location_id, owner, two.b)), seen
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


# What each method of CartService is asked for of another tenant: its cart, the line in it, and the line's variant.
CART_REQUESTS: dict[str, Callable[[str, carts_pb.CartLine], Message]] = {
    "CreateCart": lambda c, line: carts_pb.CreateCartRequest(currency_code="EUR"),
    "GetCart": lambda c, line: carts_pb.GetCartRequest(id=c),
    "ListCarts": lambda c, line: carts_pb.ListCartsRequest(filter=f'id = "{c}"'),
    "AddLine": lambda c, line: carts_pb.AddLineRequest(cart_id=c, variant_id=line.variant_id, quantity=1),
    "SetQuantity": lambda c, line: carts_pb.SetQuantityRequest(cart_id=c, line_id=line.id, quantity=1),
    "RemoveLine": lambda c, line: carts_pb.RemoveLineRequest(cart_id=c, line_id=line.id),
    "SetAddress": lambda c, line: carts_pb.SetAddressRequest(cart_id=c),
    "SetEmail": lambda c, line: carts_pb.SetEmailRequest(cart_id=c, email="a@mail.example"),
    "ApplyCode": lambda c, line: carts_pb.ApplyCodeRequest(cart_id=c, code="stolen"),
    "RemoveCode": lambda c, line: carts_pb.RemoveCodeRequest(cart_id=c, code="TEN"),
    "MergeCarts": lambda c, line: carts_pb.MergeCartsRequest(from_cart_id=c, into_cart_id=uuid7()),
    "DeleteCart": lambda c, line: carts_pb.DeleteCartRequest(id=c),
}


@pytest.mark.parametrize("name", [method.name for method in contract.of(CartServiceStub).methods])
async def test_no_method_reaches_another_tenants_carts(two: Two, name: str) -> None:
    carts: Any = CartServiceStub(two.running.channel("operator"))
    [listed] = (await carts.ListCarts(carts_pb.ListCartsRequest(), metadata=of(two.b))).carts
    theirs = (await carts.GetCart(carts_pb.GetCartRequest(id=listed.id), metadata=of(two.b))).cart
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    seen = ""
    try:
        seen = str(await getattr(carts, name)(CART_REQUESTS[name](theirs.id, theirs.lines[0]), metadata=of(two.a)))
        assert name in ("CreateCart", "ListCarts")
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
    assert theirs.id not in seen and theirs.lines[0].id not in seen
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


# What each method is asked for of another tenant: its category, its collection and a product in both.
ARRANGED_REQUESTS: dict[str, Callable[[str, str, str], Message]] = {
    "CreateCategory": lambda c, o, p: arranged_pb.CreateCategoryRequest(category={"title": "a", "parent_id": c}),
    "UpdateCategory": lambda c, o, p: arranged_pb.UpdateCategoryRequest(category={"id": c, "title": "stolen"}),
    "DeleteCategory": lambda c, o, p: arranged_pb.DeleteCategoryRequest(id=c),
    "SetProductCategories": lambda c, o, p: arranged_pb.SetProductCategoriesRequest(product_id=p),
    "CreateCollection": lambda c, o, p: arranged_pb.CreateCollectionRequest(collection={"title": uuid7()}),
    "UpdateCollection": lambda c, o, p: arranged_pb.UpdateCollectionRequest(collection={"id": o, "title": "stolen"}),
    "DeleteCollection": lambda c, o, p: arranged_pb.DeleteCollectionRequest(id=o),
    "SetCollectionProducts": lambda c, o, p: arranged_pb.SetCollectionProductsRequest(collection_id=o),
    "GetCollectionProducts": lambda c, o, p: arranged_pb.GetCollectionProductsRequest(collection_id=o),
    "ListCategories": lambda c, o, p: navigation_pb.ListCategoriesRequest(filter=f'id = "{c}"', product_id=p),
    "GetCategory": lambda c, o, p: navigation_pb.GetCategoryRequest(handle="theirs"),
    "ListCollections": lambda c, o, p: navigation_pb.ListCollectionsRequest(filter=f'id = "{o}"'),
    "GetCollection": lambda c, o, p: navigation_pb.GetCollectionRequest(handle="theirs"),
}
MERCHANDISING, NAVIGATION = contract.of(MerchandisingServiceStub), contract.of(NavigationServiceStub)


@pytest.mark.parametrize("method", [*MERCHANDISING.methods, *NAVIGATION.methods], ids=lambda method: method.name)
async def test_no_method_reaches_what_another_tenant_arranged(two: Two, method: MethodDescriptor) -> None:
    channel = two.running.channel("operator")
    navigation: Any = NavigationServiceStub(channel)
    of_service = MerchandisingServiceStub if method.containing_service is MERCHANDISING else NavigationServiceStub
    [category] = (
        await navigation.ListCategories(
            navigation_pb.ListCategoriesRequest(filter='handle = "below"'), metadata=of(two.b)
        )
    ).categories
    listed = await navigation.ListCollections(navigation_pb.ListCollectionsRequest(), metadata=of(two.b))
    theirs = category.id, listed.collections[0].id, (await list_all(two, two.b))[0].id
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    request = ARRANGED_REQUESTS[method.name](*theirs)
    seen = ""
    try:
        seen = str(await getattr(of_service(channel), method.name)(request, metadata=of(two.a)))
        assert method.name in ("CreateCollection", "ListCategories", "ListCollections")
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
    assert not any(id in seen for id in (*theirs, two.b, "Lamp of b")), seen
    found = pb.SearchProductsRequest(category_id=theirs[0], collection_id=theirs[1], facets=True)
    answer = await two.running.products.SearchProducts(found, metadata=of(two.a))
    assert (len(answer.products), answer.facets.products) == (0, 0)
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


CHECKOUT_REQUESTS: dict[str, Callable[[str], Message]] = {
    "GetRequirements": lambda c: checkouts_pb.GetRequirementsRequest(cart_id=c),
    "StartCheckout": lambda c: checkouts_pb.StartCheckoutRequest(cart_id=c),
    "GetCheckout": lambda c: checkouts_pb.GetCheckoutRequest(cart_id=c),
    "CompleteCheckout": lambda c: checkouts_pb.CompleteCheckoutRequest(
        cart_id=c, payment_method="pm_card_visa", expected_total={"currency_code": "EUR", "units": 1}
    ),
    "AbandonCheckout": lambda c: checkouts_pb.AbandonCheckoutRequest(cart_id=c),
    "GetSellingSettings": lambda c: checkouts_pb.GetSellingSettingsRequest(),
    "SetSellingSettings": lambda c: checkouts_pb.SetSellingSettingsRequest(settings={"hold_seconds": 60}),
}
CHECKOUTS, SELLING = contract.of(CheckoutServiceStub), contract.of(SellingServiceStub)


@pytest.mark.parametrize("method", [*CHECKOUTS.methods, *SELLING.methods], ids=lambda method: method.name)
async def test_no_method_reaches_another_tenants_checkouts(two: Two, method: MethodDescriptor) -> None:
    stub = CheckoutServiceStub if method.containing_service is CHECKOUTS else SellingServiceStub
    carts: Any = CartServiceStub(two.running.channel("operator"))
    [theirs] = (await carts.ListCarts(carts_pb.ListCartsRequest(), metadata=of(two.b))).carts
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    seen = ""
    try:
        call = getattr(stub(two.running.channel("operator")), method.name)
        seen = str(await call(CHECKOUT_REQUESTS[method.name](theirs.id), metadata=of(two.a)))
        assert stub is SellingServiceStub
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
    assert theirs.id not in seen and "Lamp of b" not in seen
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


PROMOTION_REQUESTS: dict[str, Callable[[str], Message]] = {
    "CreatePromotion": lambda id: promotions_pb.CreatePromotionRequest(promotion={**PROMOTION, "code": uuid7()}),
    "GetPromotion": lambda id: promotions_pb.GetPromotionRequest(id=id),
    "ListPromotions": lambda id: promotions_pb.ListPromotionsRequest(filter=f'id = "{id}" OR code = "lamp"'),
    "UpdatePromotion": lambda id: promotions_pb.UpdatePromotionRequest(promotion={"id": id, "priority": 9}),
    "ArchivePromotion": lambda id: promotions_pb.ArchivePromotionRequest(id=id),
    "Simulate": lambda id: promotions_pb.SimulateRequest(cart={"currency_code": "EUR"}, promotion_ids=[id]),
    "ListRedemptions": lambda id: promotions_pb.ListRedemptionsRequest(),
}


# What each page is asked for of another tenant: its product, and the cart that a cookie names.
PAGES: dict[str, Callable[[pb.Product], Message]] = {
    "GetHomePage": lambda p: storefront_pb.GetHomePageRequest(q="lamp"),
    "GetCategoriesPage": lambda p: storefront_pb.GetCategoriesPageRequest(),
    # Handles that both have.
    "GetCategoryPage": lambda p: storefront_pb.GetCategoryPageRequest(handle="above"),
    "GetCollectionPage": lambda p: storefront_pb.GetCollectionPageRequest(handle="new"),
    "GetProductPage": lambda p: storefront_pb.GetProductPageRequest(handle="lamp-of-b"),
    "GetCartPage": lambda p: storefront_pb.GetCartPageRequest(),
    "SubmitCart": lambda p: storefront_pb.SubmitCartRequest(
        action="add",
        form={
            "content_type": "application/x-www-form-urlencoded",
            "data": f"product=lamp-0&variant={p.variants[0].id}".encode(),
        },
    ),
    "GetCheckoutPage": lambda p: storefront_pb.GetCheckoutPageRequest(),
    "SubmitCheckout": lambda p: storefront_pb.SubmitCheckoutRequest(
        action="pay",
        form={
            "content_type": "application/x-www-form-urlencoded",
            "data": b"payment_method=pm_card_visa&total=EUR+1+0",
        },
    ),
    "GetAccountPage": lambda p: storefront_pb.GetAccountPageRequest(),
    "GetAccountForm": lambda p: storefront_pb.GetAccountFormRequest(name="sign-in"),
    "SubmitAccount": lambda p: storefront_pb.SubmitAccountRequest(
        action="sign-out", form={"content_type": "application/x-www-form-urlencoded", "data": b""}
    ),
    "GetOrderPage": lambda p: storefront_pb.GetOrderPageRequest(id=p.id, key=p.id),
    "GetAsset": lambda p: storefront_pb.GetAssetRequest(name="shop.css"),
}


@pytest.mark.parametrize("name", [method.name for method in contract.of(StorefrontServiceStub).methods])
async def test_no_page_shows_another_tenants_shop(two: Two, name: str) -> None:
    carts: Any = CartServiceStub(two.running.channel("operator"))
    [listed] = (await carts.ListCarts(carts_pb.ListCartsRequest(), metadata=of(two.b))).carts
    theirs = (await list_all(two, two.b))[0]
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    pages = StorefrontServiceStub(two.running.channel("envoy"))
    metadata = of(two.a, ("cookie", f"cart={listed.id}"), ("x-center-host", "a.shop"), ("origin", "http://a.shop"))
    seen = ""
    try:
        seen = str(await getattr(pages, name)(PAGES[name](theirs), metadata=metadata))
        assert name not in ("GetProductPage", "GetOrderPage", "GetAsset")
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
    assert not any(id in seen for id in (theirs.id, theirs.variants[0].id, listed.id, two.b)) and "of b" not in seen
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


async def test_a_theme_is_the_tenants_own(two: Two) -> None:
    stub: Any = StorefrontSettingsServiceStub(two.running.channel("operator"))
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    found = await stub.GetTheme(storefront_settings_pb.GetThemeRequest(), metadata=of(two.a))
    assert found.theme.title == "Lamps of a"
    await stub.SetTheme(storefront_settings_pb.SetThemeRequest(theme=found.theme), metadata=of(two.a))
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


@pytest.mark.parametrize("name", [method.name for method in contract.of(PromotionServiceStub).methods])
async def test_no_method_reaches_another_tenants_promotions(two: Two, name: str) -> None:
    stub: Any = PromotionServiceStub(two.running.channel("operator"))
    listed = await stub.ListPromotions(promotions_pb.ListPromotionsRequest(), metadata=of(two.b))
    used = await stub.ListRedemptions(promotions_pb.ListRedemptionsRequest(), metadata=of(two.b))
    theirs = listed.promotions[0].id, used.redemptions[0].id, used.redemptions[0].order_id
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    seen = ""
    try:
        seen = str(await getattr(stub, name)(PROMOTION_REQUESTS[name](theirs[0]), metadata=of(two.a)))
        assert name in ("CreatePromotion", "ListPromotions", "ListRedemptions")
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
    assert not any(id in seen for id in (*theirs, two.b, "Lamp of b")), seen
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


# What each method is asked for of another tenant: its price list and its variant.
PRICE_REQUESTS: dict[str, Callable[[str, str], Message]] = {
    "CreatePriceList": lambda id, v: prices_pb.CreatePriceListRequest(
        price_list={"display_name": "x", "currency_code": "EUR"}
    ),
    "GetPriceList": lambda id, v: prices_pb.GetPriceListRequest(id=id),
    "ListPriceLists": lambda id, v: prices_pb.ListPriceListsRequest(filter=f'id = "{id}" OR currency_code = "GBP"'),
    "UpdatePriceList": lambda id, v: prices_pb.UpdatePriceListRequest(price_list={"id": id, "display_name": "stolen"}),
    "ArchivePriceList": lambda id, v: prices_pb.ArchivePriceListRequest(id=id),
    "SetPrices": _pound,
    "ListPrices": lambda id, v: prices_pb.ListPricesRequest(price_list_id=id),
}


@pytest.mark.parametrize("name", [method.name for method in contract.of(PriceListServiceStub).methods])
async def test_no_method_reaches_another_tenants_prices(two: Two, name: str) -> None:
    stub: Any = PriceListServiceStub(two.running.channel("operator"))
    lists = [
        (await stub.ListPriceLists(prices_pb.ListPriceListsRequest(), metadata=of(each))).price_lists[-1].id
        for each in (two.b, two.a)
    ]
    theirs = lists[0], (await list_all(two, two.b))[0].variants[0].id
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    seen = ""
    try:
        seen = str(await getattr(stub, name)(PRICE_REQUESTS[name](*theirs), metadata=of(two.a)))
        assert name in ("CreatePriceList", "ListPriceLists")
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
    # Nor does a list of its own price what is another's.
    with pytest.raises(grpc.aio.AioRpcError, match="no variant"):
        await stub.SetPrices(_pound(lists[1], theirs[1]), metadata=of(two.a))
    assert not any(id in seen for id in (*theirs, two.b, "Lamp of b")), seen
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


# What each method of CustomerService is asked for of another tenant's customer.
CUSTOMER_REQUESTS: dict[str, Callable[[customers_pb.Customer], Message]] = {
    "GetCustomer": lambda c: customers_pb.GetCustomerRequest(id=c.id),
    "ListCustomers": lambda c: customers_pb.ListCustomersRequest(
        filter=f'id = "{c.id}" OR external_id = "{c.external_id}"'
    ),
    "UpsertCustomer": lambda c: customers_pb.UpsertCustomerRequest(email=c.email, name="stolen"),
    "ExportCustomer": lambda c: customers_pb.ExportCustomerRequest(id=c.id),
    "EraseCustomer": lambda c: customers_pb.EraseCustomerRequest(id=c.id),
}


@pytest.mark.parametrize("name", [method.name for method in contract.of(CustomerServiceStub).methods])
async def test_no_method_reaches_another_tenants_customers(two: Two, name: str) -> None:
    stub: Any = CustomerServiceStub(two.running.channel("operator"))
    [theirs] = (await stub.ListCustomers(customers_pb.ListCustomersRequest(), metadata=of(two.b))).customers
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    seen = ""
    try:
        seen = str(await getattr(stub, name)(CUSTOMER_REQUESTS[name](theirs), metadata=of(two.a)))
        assert name in ("ListCustomers", "UpsertCustomer")
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
    assert theirs.id not in seen and two.b not in seen
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


# What a shopper asks of one shop with what is another's: an e-mail, a session, a link, an address.
SHOPPER_REQUESTS: dict[str, Callable[[str, str], Message]] = {
    "RegisterCustomer": lambda a, link: customers_pb.RegisterCustomerRequest(
        email="not-theirs@mail.example", password="password"
    ),
    "LogIn": lambda a, link: customers_pb.LogInRequest(email=SAME_EMAIL, password="password"),
    "RequestPasswordReset": lambda a, link: customers_pb.RequestPasswordResetRequest(email=SAME_EMAIL),
    "ResetPassword": lambda a, link: customers_pb.ResetPasswordRequest(token=link, password="password"),
    "LogOut": lambda a, link: customers_pb.LogOutRequest(),
    "GetMe": lambda a, link: customers_pb.GetMeRequest(),
    "UpdateMe": lambda a, link: customers_pb.UpdateMeRequest(name="stolen"),
    "ListMyAddresses": lambda a, link: customers_pb.ListMyAddressesRequest(),
    "AddMyAddress": lambda a, link: customers_pb.AddMyAddressRequest(
        address={"name": "a", "lines": ["1"], "city": "b", "country_code": "GB"}
    ),
    "UpdateMyAddress": lambda a, link: customers_pb.UpdateMyAddressRequest(id=a, is_default=True),
    "DeleteMyAddress": lambda a, link: customers_pb.DeleteMyAddressRequest(id=a),
    "ListMyOrders": lambda a, link: customers_pb.ListMyOrdersRequest(),
    "ChangeMyPassword": lambda a, link: customers_pb.ChangeMyPasswordRequest(password="", new_password="password"),
    "ExportMe": lambda a, link: customers_pb.ExportMeRequest(),
    "EraseMe": lambda a, link: customers_pb.EraseMeRequest(),
}


@pytest.mark.parametrize("name", [method.name for method in contract.of(ShopperServiceStub).methods])
async def test_no_method_knows_another_tenants_customer_again(two: Two, name: str) -> None:
    backoffice: Any = CustomerServiceStub(two.running.channel("operator"))
    everybody = customers_pb.ListCustomersRequest()
    listed = (await backoffice.ListCustomers(everybody, metadata=of(two.b))).customers[0]
    get = customers_pb.GetCustomerRequest(id=listed.id)
    theirs = (await backoffice.GetCustomer(get, metadata=of(two.b))).customer
    mine = (await backoffice.ListCustomers(everybody, metadata=of(two.a))).customers[0]
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    stub: Any = ShopperServiceStub(two.running.channel("envoy"))
    now = datetime.now(UTC)
    link = Sessions(two.running.home, SystemClock()).link(two.b, Customer(theirs.id, now, now))
    request = SHOPPER_REQUESTS[name](theirs.addresses[0].id, link)
    method = getattr(stub, name)
    # With their session, and with one of mine that names them; without any where none is asked for.
    for tenant in (two.b, two.a):
        metadata = of(two.a, _session(two.running, tenant, theirs.id))
        try:
            seen = str(await method(request, metadata=metadata))
            assert tenant == two.a and name == "RegisterCustomer"
        except grpc.aio.AioRpcError as error:
            seen = error.code().name
            assert seen in ("UNAUTHENTICATED", "ALREADY_EXISTS", "FAILED_PRECONDITION"), error
        assert theirs.id not in seen and theirs.addresses[0].id not in seen
    if name in ("UpdateMyAddress", "DeleteMyAddress"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await method(request, metadata=of(two.a, _session(two.running, two.a, mine.id)))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


# What each method of StaffService is asked for of another tenant: its member, and its API key.
STAFF_REQUESTS: dict[str, Callable[[str, str], Message]] = {
    "InviteMember": lambda m, k: staff_pb.InviteMemberRequest(email="b@mail.example", role="STAFF_ROLE_STAFF"),
    "AcceptInvitation": lambda m, k: staff_pb.AcceptInvitationRequest(secret=m, password="a brass lamp"),
    "SignIn": lambda m, k: staff_pb.SignInRequest(email="b@mail.example", password="a brass lamp"),
    "SignOut": lambda m, k: staff_pb.SignOutRequest(),
    "ChangePassword": lambda m, k: staff_pb.ChangePasswordRequest(current_password="x", new_password="a brass lamp"),
    "GetMember": lambda m, k: staff_pb.GetMemberRequest(id=m),
    "ListMembers": lambda m, k: staff_pb.ListMembersRequest(filter=f'id = "{m}"', email="b@mail.example"),
    "ChangeRole": lambda m, k: staff_pb.ChangeRoleRequest(id=m, role="STAFF_ROLE_STAFF"),
    "RemoveMember": lambda m, k: staff_pb.RemoveMemberRequest(id=m),
    "CreateApiKey": lambda m, k: staff_pb.CreateApiKeyRequest(display_name="x", role="STAFF_ROLE_STAFF"),
    "ListApiKeys": lambda m, k: staff_pb.ListApiKeysRequest(filter=f'id = "{k}"'),
    "RotateApiKey": lambda m, k: staff_pb.RotateApiKeyRequest(id=k),
    "RevokeApiKey": lambda m, k: staff_pb.RevokeApiKeyRequest(id=k),
}


@pytest.mark.parametrize("name", [method.name for method in contract.of(StaffServiceStub).methods])
async def test_no_method_reaches_another_tenants_staff(two: Two, name: str) -> None:
    stub: Any = StaffServiceStub(two.running.channel("operator"))
    [member] = (await stub.ListMembers(staff_pb.ListMembersRequest(), metadata=of(two.b))).members
    [key] = (await stub.ListApiKeys(staff_pb.ListApiKeysRequest(), metadata=of(two.b))).api_keys
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    seen = ""
    try:
        seen = str(await getattr(stub, name)(STAFF_REQUESTS[name](member.id, key.id), metadata=of(two.a)))
        assert name in ("InviteMember", "CreateApiKey", "ListMembers", "ListApiKeys")
    except grpc.aio.AioRpcError as error:
        expected = {"SignIn": "UNAUTHENTICATED", "SignOut": "FAILED_PRECONDITION"}
        assert error.code().name == expected.get(name.replace("ChangePassword", "SignOut"), "NOT_FOUND"), error
    assert not any(text in seen for text in (member.id, key.id, "Sync of b")), seen
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


ORDER_REQUESTS: dict[str, Callable[[orders_pb.Order], Message]] = {
    "GetOrder": lambda theirs: orders_pb.GetOrderRequest(id=theirs.id),
    "ListOrders": lambda theirs: orders_pb.ListOrdersRequest(filter=f'id = "{theirs.id}" OR number > 0'),
    "CancelOrder": lambda theirs: orders_pb.CancelOrderRequest(id=theirs.id),
    "CreateFulfillment": lambda theirs: orders_pb.CreateFulfillmentRequest(order_id=theirs.id),
    "MarkDelivered": lambda theirs: orders_pb.MarkDeliveredRequest(
        order_id=theirs.id, fulfillment_id=theirs.fulfillments[0].id
    ),
    "RefundOrder": lambda theirs: orders_pb.RefundOrderRequest(
        id=theirs.id, lines=[{"line_id": theirs.lines[0].id, "quantity": 1}]
    ),
    "AddOrderNote": lambda theirs: orders_pb.AddOrderNoteRequest(order_id=theirs.id, note="stolen"),
    "ListOrderEvents": lambda theirs: orders_pb.ListOrderEventsRequest(order_id=theirs.id),
}


@pytest.mark.parametrize("name", [method.name for method in contract.of(OrderServiceStub).methods])
async def test_no_method_reaches_another_tenants_orders(two: Two, name: str) -> None:
    stub: Any = OrderServiceStub(two.running.channel("operator"))
    [listed] = (await stub.ListOrders(orders_pb.ListOrdersRequest(), metadata=of(two.b))).orders
    theirs = (await stub.GetOrder(orders_pb.GetOrderRequest(id=listed.id), metadata=of(two.b))).order
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    seen = ""
    try:
        seen = str(await getattr(stub, name)(ORDER_REQUESTS[name](theirs), metadata=of(two.a)))
        assert name == "ListOrders"
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
    assert not any(id in seen for id in (theirs.id, theirs.lines[0].id, two.b, "Lamp of b")), seen
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


async def test_no_import_meets_what_another_tenant_imported(two: Two) -> None:
    mine, theirs = entry(), entry()
    await two.running.apply(mine, theirs)
    stub: Any = OrderImportServiceStub(two.running.channel("operator"))

    async def imported(tenant_id: str, *records: imports_pb.ImportedRecord) -> imports_pb.ImportOrdersResponse:
        async def sent() -> AsyncIterator[imports_pb.ImportOrdersRequest]:
            yield imports_pb.ImportOrdersRequest(records=records)

        whole = imports_pb.ImportOrdersResponse()
        async for each in stub.ImportOrders(sent(), metadata=of(tenant_id)):
            # Errors are added up, counts are replaced.
            whole.MergeFrom(each)
        return whole

    async def sums(tenant_id: str) -> int:
        answer = await stub.SumImportedOrders(imports_pb.SumImportedOrdersRequest(), metadata=of(tenant_id))
        return sum(each.orders for each in answer.sums)

    sold, back = imports.order("1", ("lamp", 1, 100)), imports.back("C1", ("lamp", 1, 100))
    assert (await imported(theirs.id, sold)).orders_created == 1
    before = await digest(two.running, theirs.id)
    assert await sums(mine.id) == 0, "their figures"
    seen = await imported(mine.id, back)
    assert (seen.returns_created, len(seen.errors)) == (0, 1), "what they sold is nothing to give back here"
    seen = await imported(mine.id, sold)
    assert (seen.orders_created, seen.orders_known) == (1, 0), "their reference is not taken here"
    assert await digest(two.running, theirs.id) == before
    assert {method.name for method in contract.of(OrderImportServiceStub).methods} == {
        "ImportOrders",
        "SumImportedOrders",
    }


@pytest.mark.parametrize("name", sorted(method.name for method in contract.of(NotificationServiceStub).methods))
async def test_no_method_reaches_another_tenants_notices(two: Two, name: str) -> None:
    shop = Shop(two.running, two.b)
    listed = await shop.call.ListNotifications(notices_pb.ListNotificationsRequest(), metadata=of(two.b))
    [theirs] = listed.notifications
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    request = notice_requests(theirs)[name]
    try:
        seen = str(await getattr(shop.call, name)(request, metadata=of(two.a)))
    except grpc.aio.AioRpcError as error:
        seen = error.code().name
    assert two.b not in seen and "of b" not in seen and theirs.id not in seen
    if name in ("GetNotification", "ListAttempts", "ReplayFailed", "UnsuppressRecipient"):
        assert seen == "NOT_FOUND"
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


def notice_requests(theirs: notices_pb.Notification) -> dict[str, Message]:
    """A request of each method that names what is the other tenant's, or is named as theirs is."""
    named = {"name": "hello", "channel": EMAIL}
    template = notices_pb.NotificationTemplate(**named, subject="a", text="a")  # type: ignore[arg-type]
    stored = notices_pb.GetTemplateRequest(**named)  # type: ignore[arg-type]
    trigger = notices_pb.NotificationTrigger(
        name="new", event_type="product.created", template="hello", channel=EMAIL, recipient="a@mail.example"
    )
    to = "b@mail.example"
    return {
        "SendNotification": notices_pb.SendNotificationRequest(
            channel=EMAIL, recipient=to, template="hello", dedup_key=theirs.dedup_key
        ),
        "GetNotification": notices_pb.GetNotificationRequest(id=theirs.id),
        "ListNotifications": notices_pb.ListNotificationsRequest(recipient=to, filter=f'id = "{theirs.id}"'),
        "ListAttempts": notices_pb.ListAttemptsRequest(notification_id=theirs.id),
        "ReplayFailed": notices_pb.ReplayFailedRequest(id=theirs.id),
        "PutTemplate": notices_pb.PutTemplateRequest(template=template),
        "ActivateTemplate": notices_pb.ActivateTemplateRequest(**named, version=1),  # type: ignore[arg-type]
        "GetTemplate": stored,
        "ListTemplates": notices_pb.ListTemplatesRequest(),
        "RenderTemplate": notices_pb.RenderTemplateRequest(stored=stored, variables={"name": "a"}),
        "PutPreferences": notices_pb.PutPreferencesRequest(recipient=to),
        "GetPreferences": notices_pb.GetPreferencesRequest(recipient=to),
        "SuppressRecipient": notices_pb.SuppressRecipientRequest(recipient=to, reason="SUPPRESSION_REASON_MANUAL"),
        "UnsuppressRecipient": notices_pb.UnsuppressRecipientRequest(recipient="no-b@mail.example"),
        "ListSuppressions": notices_pb.ListSuppressionsRequest(),
        "PutTrigger": notices_pb.PutTriggerRequest(trigger=trigger),
        "DeleteTrigger": notices_pb.DeleteTriggerRequest(name="new"),
        "ListTriggers": notices_pb.ListTriggersRequest(),
        "GetSettings": notices_pb.GetSettingsRequest(),
        "PutSettings": notices_pb.PutSettingsRequest(sender_name="Shop of a"),
        "PutProvider": notices_pb.PutProviderRequest(provider={"channel": EMAIL, "rate_per_second": 100}),
    }


async def test_commands_for_one_tenant_leave_the_others_alone(two: Two, us: Running) -> None:
    assert {m.name for m in contract.of(TenantRuntimeServiceStub).methods} == COMMANDS_TRIED
    fresh = await furnish(two.running)
    before = {tenant: await digest(two.running, tenant) for tenant in (two.a, two.b, two.c)}
    commands = two.running.commands
    stats = await commands.GetTenantStats(runtime_pb.GetTenantStatsRequest(tenant_id=fresh.a))
    assert (stats.active_products, stats.variants) == (3, 6)
    rows = [p.rows.data async for p in commands.ExportTenant(runtime_pb.ExportTenantRequest(tenant_id=fresh.a))]
    assert b"Lamp of a" in b"".join(rows) and b"Lamp of b" not in b"".join(rows)
    held = {"products": 3, "variants": 6, "idempotency": 3, "audit_entries": 43, "product_media": 1}
    held |= {"categories": 2, "product_categories": 1, "collections": 1, "collection_products": 1}
    held |= {"webhook_endpoints": 1, "webhook_subscriptions": 1, "webhook_attempts": 1}
    held |= dict.fromkeys(
        ("carts", "cart_lines", "cart_codes", "checkouts", "selling_settings", "storefront_themes"), 1
    )
    held |= {"webhook_events": 3, "webhook_deliveries": 2}
    held |= {"locations": 1, "stock_levels": 1, "reservations": 1, "stock_movements": 2}
    held |= {"media_usage": 1, "media_blobs": 2, "media_uploads": 1, "media": 1, "media_variants": 1}
    held |= dict.fromkeys((*PRICE_ROWS, *PROMOTION_ROWS, *CUSTOMER_ROWS, *ORDER_ROWS, *STAFF_ROWS), 1)
    held |= dict.fromkeys(("payment_settings", "payments", "payment_operations", "payment_events", *NOTICES), 1)
    assert {table: rows for table, rows, _ in await digest(two.running, fresh.a) if rows} == held
    await commands.ResyncTenant(runtime_pb.ResyncTenantRequest(tenant=entry(fresh.a, writes_frozen=True)))
    moving = entry(fresh.a, cluster_id="us-1")
    await commands.ApplyTenants(runtime_pb.ApplyTenantsRequest(tenants=[moving]))

    async def back() -> AsyncIterator[runtime_pb.ImportTenantRequest]:
        yield runtime_pb.ImportTenantRequest(tenant=moving)

    await commands.ImportTenant(back())
    assert not any(rows for _, rows, _ in await digest(two.running, fresh.a))
    await commands.RemoveTenant(runtime_pb.RemoveTenantRequest(tenant_id=fresh.b, revision=moving.revision))
    with two.owner() as owner:
        assert owner.execute("SELECT count(*) FROM event_gaps WHERE tenant_id = %s", (fresh.b,)).fetchone() == (0,)
    assert {tenant: await digest(two.running, tenant) for tenant in (two.a, two.b, two.c)} == before


COMMANDS_TRIED = {
    "ApplyTenants",
    "RemoveTenant",
    "ResyncTenant",
    "GetTenantStats",
    "ListTenants",  # shows no rows
    "ExportTenant",
    "ImportTenant",
    "GetTenantDigest",
    "GetObjectPlace",  # knows no tenant
}


# What each method of MediaService is asked for of another tenant.
MEDIA_REQUESTS: dict[str, Callable[[media_pb.Media, media_pb.Upload], Message]] = {
    "CreateUpload": lambda m, u: media_pb.CreateUploadRequest(name="x", content_type=m.content_type, size_bytes=9),
    "UploadChunk": lambda m, u: media_pb.UploadChunkRequest(upload_id=u.id, data=b"stolen"),
    "UploadFile": lambda m, u: media_pb.UploadFileRequest(upload_id=u.id),
    "GetUpload": lambda m, u: media_pb.GetUploadRequest(id=u.id),
    "AbortUpload": lambda m, u: media_pb.AbortUploadRequest(id=u.id),
    "FinalizeUpload": lambda m, u: media_pb.FinalizeUploadRequest(id=u.id),
    "GetMedia": lambda m, u: media_pb.GetMediaRequest(id=m.id),
    "ListMedia": lambda m, u: media_pb.ListMediaRequest(filter=f'id = "{m.id}" OR sha256 = "{m.sha256}"'),
    "DeleteMedia": lambda m, u: media_pb.DeleteMediaRequest(id=m.id),
    "DownloadMedia": lambda m, u: media_pb.DownloadMediaRequest(id=m.id),
    "CreateVariant": lambda m, u: media_pb.CreateVariantRequest(id=m.id, name="stolen", width=4),
    "GetServingUrl": lambda m, u: media_pb.GetServingUrlRequest(id=m.id),
    "ServeMedia": lambda m, u: media_pb.ServeMediaRequest(id=m.id),
}


@pytest.mark.parametrize("method", list(contract.of(MediaServiceStub).methods), ids=lambda method: method.name)
async def test_no_method_reaches_another_tenants_files(two: Two, method: MethodDescriptor) -> None:
    [theirs] = (await two.running.media.ListMedia(media_pb.ListMediaRequest(), metadata=of(two.b))).media
    upload = await begin(two.running.media, two.b, b"theirs")
    before = await digest(two.running, two.b)
    request = MEDIA_REQUESTS[method.name](theirs, upload)
    if method.name == "ServeMedia":
        # Their own signature, at another's domain.
        request.expires = 1 << 40
        path = Signer(keys.load(two.running.home, "media")).path(two.b, theirs.id, "", request.expires)
        request.signature = parse_qs(urlsplit(path).query)["signature"][0]
    seen = await media_answers(two, method, request, two.a)
    assert theirs.id not in str(seen) and upload.id not in str(seen) and theirs.name not in str(seen)
    if method.name not in ("CreateUpload", "ListMedia"):
        assert seen == ["PERMISSION_DENIED" if method.name == "ServeMedia" else "NOT_FOUND"]
    assert await digest(two.running, two.b) == before


async def media_answers(two: Two, method: MethodDescriptor, request: Message, tenant: str) -> list[object]:
    """All answers, or the code of the refusal."""
    call = getattr(two.running.media, method.name)

    async def requests() -> AsyncIterator[Message]:
        yield request

    try:
        answer = call(requests() if method.client_streaming else request, metadata=of(tenant))
        return [each async for each in answer] if method.server_streaming else [await answer]
    except grpc.aio.AioRpcError as error:
        return [error.code().name]


async def test_a_page_token_of_one_tenant_is_no_token_of_another(two: Two) -> None:
    request = pb.ListProductsRequest(page_size=1)
    page = await two.running.shop.ListProducts(request, metadata=of(two.a))
    request.page_token = page.next_page_token
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await two.running.shop.ListProducts(request, metadata=of(two.b))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_one_tenants_request_id_is_not_anothers(two: Two) -> None:
    request = pb.CreateProductRequest(product=product(), request_id=uuid7())
    mine = await two.running.products.CreateProduct(request, metadata=of(two.a))
    theirs = await two.running.products.CreateProduct(request, metadata=of(two.b))
    assert mine.product.id != theirs.product.id


# c) raw SQL

# What the search functions are asked for: everything.
_ANY = "'', NULL, NULL, 'EUR', NULL, NULL, '[]', false"

HOSTILE = (
    "SELECT * FROM products",
    "SELECT * FROM products WHERE tenant_id = '{b}'",
    "SELECT * FROM products WHERE tenant_id <> '{a}' OR true",
    "SELECT * FROM products p JOIN variants v ON v.sku LIKE 'sku%'",
    "SELECT * FROM products a FULL JOIN products b ON a.tenant_id <> b.tenant_id",
    "SELECT * FROM variants v, LATERAL (SELECT * FROM products p WHERE p.tenant_id <> v.tenant_id) x",
    "WITH t AS (SELECT * FROM products) SELECT * FROM t UNION ALL TABLE products",
    "WITH d AS (DELETE FROM variants WHERE tenant_id = '{b}' RETURNING *) SELECT * FROM d",
    "WITH RECURSIVE r AS (SELECT tenant_id FROM variants UNION SELECT p.tenant_id FROM products p, r) SELECT * FROM r",
    "SELECT count(*) FILTER (WHERE title LIKE 'Lamp of b%'), array_agg(title) FROM products",
    "SELECT (SELECT string_agg(p::text, '') FROM products p), max(tenant_id::text), min(title) FROM variants",
    "SELECT * FROM search_products('lamp', NULL, NULL, 1000)",
    "SELECT * FROM search_products('lamp -a', NULL, NULL, 1000)",
    "SELECT * FROM search_products('lamp or tenant:{b}', NULL, NULL, 1000)",
    "UPDATE products SET title = 'stolen' WHERE tenant_id = '{b}' RETURNING *",
    "UPDATE products SET title = 'stolen' WHERE tenant_id <> '{a}' RETURNING *, (SELECT max(title) FROM products)",
    "UPDATE products SET tenant_id = '{b}'",
    "UPDATE variants SET tenant_id = '{b}', product_id = '{theirs}'",
    "UPDATE variants SET product_id = '{theirs}'",
    "DELETE FROM variants WHERE tenant_id = '{b}' RETURNING *",
    "SELECT alt_text FROM product_media WHERE tenant_id <> '{a}' OR true",
    "UPDATE product_media SET tenant_id = '{b}'",
    "INSERT INTO product_media SELECT tenant_id, '{theirs}', 9, media_id, '' FROM product_media",
    f"SELECT * FROM browse_products({_ANY}, 'TITLE', NULL, NULL, NULL, 1000)",
    f"SELECT * FROM count_products({_ANY})",
    f"SELECT * FROM matching_products({_ANY})",
    "SELECT * FROM categories c FULL JOIN collections o ON o.tenant_id <> c.tenant_id",
    "UPDATE categories SET parent_id = NULL, title = 'stolen' WHERE tenant_id = '{b}' RETURNING *",
    "UPDATE categories SET tenant_id = '{b}'",
    "INSERT INTO product_categories SELECT '{b}', '{theirs}', category_id FROM product_categories",
    "INSERT INTO collection_products SELECT tenant_id, collection_id, '{theirs}', 9 FROM collection_products",
    "DELETE FROM collection_products WHERE tenant_id <> '{a}' RETURNING *",
    "SELECT * FROM webhook_endpoints",
    "SELECT * FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id",
    "UPDATE webhook_endpoints SET url = 'https://evil.example', secret = '' WHERE tenant_id = '{b}'",
    "UPDATE webhook_attempts SET error = ''",
    "DELETE FROM webhook_attempts",
    "SELECT * FROM due_webhooks(now())",
    "SELECT * FROM open_event_gaps('webhooks')",
    "SELECT forget_webhooks(now(), 10)",
    "SELECT * FROM event_gaps",
    "DELETE FROM variants USING products WHERE products.tenant_id = '{b}'",
    "INSERT INTO variants SELECT '{b}', gen_random_uuid(), '{theirs}', 9, 'new', '', 'EUR', 1",
    "INSERT INTO variants SELECT '{a}', gen_random_uuid(), '{theirs}', 9, 'new', '', 'EUR', 1",
    "INSERT INTO products (tenant_id, id, handle, title, description, status, version, create_time, update_time) "
    "VALUES ('{b}', '{theirs}', 'lamp-0', 'stolen', '', 'ACTIVE', 1, now(), now()) "
    "ON CONFLICT (tenant_id, id) DO UPDATE SET title = 'stolen' RETURNING *",
    "INSERT INTO products (tenant_id, id, handle, title, description, status, version, create_time, update_time) "
    "VALUES ('{b}', gen_random_uuid(), 'lamp-0', 'stolen', '', 'ACTIVE', 1, now(), now()) "
    "ON CONFLICT DO NOTHING RETURNING *",
    "INSERT INTO outbox (tenant_id, id, type, aggregate_id, aggregate_version, payload, traceparent) "
    "VALUES ('{b}', gen_random_uuid(), 't', gen_random_uuid(), 1, '', '')",
    "MERGE INTO products p USING (SELECT '{theirs}'::uuid AS id) n ON p.id = n.id "
    "WHEN MATCHED THEN UPDATE SET title = 'stolen' WHEN NOT MATCHED THEN DO NOTHING",
    "SELECT * FROM products WHERE id = '{theirs}' FOR UPDATE",
    "SELECT * FROM idempotency",
    "UPDATE idempotency SET answer = 'x' WHERE tenant_id <> '{a}'",
    "SELECT * FROM media UNION ALL SELECT * FROM media WHERE tenant_id = '{b}'",
    "SELECT * FROM media_blobs b FULL JOIN media_uploads u ON u.tenant_id <> b.tenant_id",
    "SELECT * FROM media_variants, media_usage WHERE media_usage.tenant_id <> '{a}'",
    "UPDATE media_usage SET stored_bytes = 0 WHERE tenant_id = '{b}'",
    "UPDATE media_blobs SET uses = 0 WHERE tenant_id <> '{a}'",
    "DELETE FROM media_uploads WHERE tenant_id = '{b}' RETURNING *",
    "INSERT INTO media_usage VALUES ('{b}', 1, 1) ON CONFLICT (tenant_id) DO UPDATE SET stored_bytes = 1 RETURNING *",
    "SELECT * FROM media_due('infinity', 1000)",
    "SELECT * FROM outbox",
    "SELECT * FROM partitions.outbox_default",
    "SELECT partitions.clear_outbox(now(), '{{}}')",
    "SELECT * FROM outbox_position",
    "UPDATE outbox_position SET position = '9:9:'",
    "SELECT * FROM notifications",
    "SELECT * FROM notification_templates t FULL JOIN notification_settings s ON t.tenant_id <> s.tenant_id",
    "SELECT * FROM notification_providers WHERE tenant_id = '{b}'",
    "UPDATE notifications SET state = 'FAILED', last_error = 'stolen' WHERE tenant_id <> '{a}' RETURNING *",
    "UPDATE notification_templates SET tenant_id = '{b}'",
    "DELETE FROM notification_suppressions WHERE tenant_id = '{b}'",
    "UPDATE notification_attempts SET error = 'stolen'",
    "SELECT * FROM notifications_due(100)",
    "SELECT forget_notifications(100)",
    "SELECT * FROM tenants",
    "UPDATE tenants SET writes_frozen = false",
    "SELECT * FROM watch",
    "SELECT * FROM tenant_features",
    "UPDATE tenant_features SET products_limit = NULL",
    "SELECT * FROM product_counts",
    "UPDATE product_counts SET products = 0",
    "SELECT products_left()",
    "SELECT * FROM product_revisions",
    "UPDATE product_revisions SET revision = gen_random_uuid()",
    "SELECT products_revised()",
    "ALTER TABLE products DISABLE TRIGGER ALL",
    "COPY products (title) TO STDOUT",
    "COPY products (tenant_id) FROM STDIN",
    "TRUNCATE variants",
    "SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE tablename IN ('products', 'variants')",
    "SELECT reference, tenant_id FROM payments WHERE tenant_id <> '{a}' OR true",
    "SELECT * FROM payment_settings",
    "UPDATE payment_settings SET secret_key = '', api_base = 'http://stolen' WHERE tenant_id = '{b}' RETURNING *",
    "UPDATE payments SET tenant_id = '{b}'",
    "SELECT * FROM payment_operations o JOIN payments p ON p.tenant_id <> o.tenant_id",
    "INSERT INTO payment_events SELECT '{b}', gen_random_uuid(), 'stripe', 'stolen', '', payment_id, now(), now() "
    "FROM payment_events",
    "SELECT * FROM due_payment_operations(100)",
    "SELECT * FROM stock_levels l FULL JOIN locations p ON p.tenant_id <> l.tenant_id",
    "SELECT * FROM reservations r, stock_movements m WHERE r.tenant_id = '{b}' OR m.tenant_id = '{b}'",
    "UPDATE stock_levels SET on_hand = 0, reserved = 0 WHERE tenant_id = '{b}' RETURNING *",
    "UPDATE stock_movements SET on_hand = 0",
    "DELETE FROM stock_movements",
    "UPDATE locations SET tenant_id = '{b}'",
    "INSERT INTO stock_movements SELECT '{b}', gen_random_uuid(), variant_id, location_id, 'RECEIVED', 1, 0, 0, '', "
    "'', now() FROM stock_levels",
    "SELECT * FROM reserve_stock('{b}', gen_random_uuid(), ARRAY(SELECT variant_id FROM stock_levels), '{{1}}', now(), "
    "now())",
    "SELECT * FROM expired_reservations('infinity', 1000)",
    "SELECT * FROM carts c JOIN cart_lines l ON l.tenant_id <> c.tenant_id",
    "SELECT * FROM cart_codes WHERE tenant_id = '{b}'",
    "UPDATE carts SET email = '', tenant_id = '{a}' WHERE tenant_id = '{b}' RETURNING *",
    "UPDATE carts SET tenant_id = '{b}'",
    "INSERT INTO cart_lines SELECT '{b}', gen_random_uuid(), cart_id, gen_random_uuid(), '[]', '', 1 FROM cart_lines",
    "DELETE FROM cart_lines WHERE tenant_id <> '{a}' RETURNING *",
    "SELECT * FROM due_carts('infinity', 'infinity', 100)",
    "SELECT * FROM checkouts c FULL JOIN selling_settings s ON s.tenant_id <> c.tenant_id",
    "UPDATE checkouts SET total_minor = 1 WHERE tenant_id = '{b}' RETURNING *",
    "UPDATE selling_settings SET settings = '' WHERE tenant_id <> '{a}' RETURNING *",
    "DELETE FROM checkouts WHERE tenant_id = '{b}' RETURNING *",
    "INSERT INTO checkouts SELECT '{b}', cart_id, 1, '', 0, 1, NULL, now(), now() FROM checkouts",
    "SELECT * FROM storefront_themes WHERE tenant_id = '{b}'",
    "UPDATE storefront_themes SET title = 'stolen' WHERE tenant_id <> '{a}' RETURNING *",
    "SELECT * FROM price_lists l FULL JOIN prices p ON p.tenant_id <> l.tenant_id",
    "UPDATE price_lists SET display_name = 'stolen' WHERE tenant_id = '{b}' RETURNING *",
    "UPDATE prices SET amount_minor = 0 WHERE tenant_id <> '{a}' RETURNING *",
    "DELETE FROM prices WHERE tenant_id = '{b}' RETURNING *",
    "INSERT INTO prices SELECT '{b}', list_id, variant_id, 99, 1 FROM prices",
    "SELECT display_name FROM promotions WHERE tenant_id = '{b}' OR code_key = 'lamp'",
    "SELECT * FROM promotions p FULL JOIN promotion_redemptions r ON r.tenant_id <> p.tenant_id",
    "UPDATE promotions SET uses = 0, display_name = 'stolen' WHERE tenant_id <> '{a}' RETURNING *",
    "UPDATE promotion_redemptions SET cancel_time = now() WHERE tenant_id = '{b}' RETURNING *",
    "INSERT INTO promotion_redemptions SELECT '{b}', gen_random_uuid(), promotion_id, gen_random_uuid(), NULL, 'EUR', "
    "1, now(), NULL FROM promotion_redemptions",
    "SELECT c.*, a.* FROM customers c FULL JOIN customer_addresses a ON a.tenant_id <> c.tenant_id",
    "SELECT * FROM customers WHERE tenant_id = '{b}' OR external_id LIKE 'Lamp of b%'",
    "SELECT * FROM customer_logins l JOIN customers c USING (email_hash)",
    "UPDATE customers SET password = '', epoch = 9 WHERE tenant_id = '{b}' RETURNING *",
    "UPDATE customer_addresses SET tenant_id = '{b}'",
    "UPDATE customer_consents SET given = true WHERE tenant_id <> '{a}' RETURNING *",
    "UPDATE carts SET customer_id = (SELECT id FROM customers WHERE tenant_id = '{b}') RETURNING *",
    "DELETE FROM customer_logins WHERE tenant_id = '{b}' RETURNING *",
    "INSERT INTO customer_consents SELECT '{b}', customer_id, 99, true, now() FROM customer_consents",
    "SELECT * FROM staff_members m FULL JOIN api_keys k ON k.tenant_id <> m.tenant_id",
    "UPDATE staff_members SET role = 'OWNER', email_hash = id::text WHERE tenant_id = '{b}' RETURNING *",
    "UPDATE api_keys SET tenant_id = '{b}'",
    "INSERT INTO api_keys SELECT '{b}', gen_random_uuid(), 'stolen', 'OWNER', digest, '', NULL, NULL, NULL, NULL, 1, "
    "now(), now() FROM api_keys",
    "SELECT * FROM member_standing('{b}', '{theirs}')",
    "SELECT * FROM api_key_standing('{b}', '{theirs}')",
    "SELECT * FROM orders o FULL JOIN order_lines l ON l.tenant_id <> o.tenant_id",
    "SELECT * FROM fulfillments f, refunds r WHERE f.tenant_id = '{b}' OR r.tenant_id = '{b}'",
    "UPDATE orders SET email = '', tenant_id = '{a}' WHERE tenant_id = '{b}' RETURNING *",
    "UPDATE order_numbers SET tenant_id = '{b}'",
    "UPDATE refund_lines SET quantity = 1",
    "DELETE FROM order_events",
    "INSERT INTO order_events SELECT '{b}', order_id, gen_random_uuid(), 'note', 'stolen', '', now() FROM order_events",
    "SELECT * FROM due_orders('infinity', 100)",
    "SELECT * FROM pg_authid",
    "SET ROLE center_steward",
    "SET ROLE center_owner",
    "SET row_security = off",
    "SET SESSION AUTHORIZATION center_steward",
    "ALTER TABLE products DISABLE ROW LEVEL SECURITY",
    "CREATE POLICY mine ON products USING (true)",
    "DROP POLICY tenant_floor ON products",
    "CREATE TABLE stolen AS TABLE products",
    "CREATE TEMPORARY TABLE stolen AS TABLE products",
    "CREATE FUNCTION steal() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE VIEW steal AS SELECT * FROM products",
    "ALTER FUNCTION tenant_writable() SECURITY INVOKER",
    "GRANT center_steward TO center_app",
)


@pytest.mark.parametrize("statement", HOSTILE)
async def test_hostile_sql_meets_no_foreign_row(two: Two, statement: str) -> None:
    with two.owner() as owner:
        owner.execute("ANALYZE")
    before = {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)}
    theirs = await list_all(two, two.b)
    statement = statement.format(a=two.a, b=two.b, theirs=theirs[0].id)
    url = app_url(two.running.database_url, two.running.home)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for tenant in (two.a, "", two.c):
            await connection.execute("SELECT set_config('app.tenant_id', %s, true)", (tenant,))
            seen = await outcome(connection, statement)
            for stranger, mark in ((two.a, "a"), (two.b, "b"), (two.c, "c")):
                if stranger != tenant:
                    assert stranger not in seen and f"Lamp of {mark}" not in seen, f"as {mark or 'nobody'}: {seen}"
            if not tenant:
                assert "Lamp" not in seen and "stolen" not in seen
            await connection.rollback()
    assert {tenant: await digest(two.running, tenant) for tenant in (two.b, two.c)} == before


async def outcome(connection: psycopg.AsyncConnection[tuple[object, ...]], statement: str) -> str:
    """Everything that the statement shows, its error included."""
    try:
        async with connection.transaction(), connection.cursor() as cursor:
            if statement.startswith("COPY"):
                async with cursor.copy(statement) as copy:
                    return "".join([bytes(row).decode() async for row in copy])
            await cursor.execute(statement)
            found = str(await cursor.fetchall()) if cursor.description else str(cursor.rowcount)
            # Commits are as good as it gets for whoever wrote it: references are checked by now.
            await cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            return found
    except psycopg.Error as error:
        return str(error).split("DETAIL")[0]


async def test_no_error_tells_whether_another_tenant_has_a_name(two: Two) -> None:
    [theirs] = await create(two.running, two.b, product("secret-lamp", variants=[variant("secret-sku")]))
    [mine] = await create(two.running, two.a, product("secret-lamp", variants=[variant("secret-sku")]))
    assert mine.id != theirs.id
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await create(two.running, two.a, product("secret-lamp", variants=[]))
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert two.a not in str(refused.value) and "pkey" not in str(refused.value) and "Key (" not in str(refused.value)


# d) the pool


async def test_a_storm_on_a_small_pool_mixes_nothing_up(two: Two) -> None:
    """64 tasks a tenant on four connections, cancelled, timed out, failing and killed at random."""
    random.seed(7)
    db = two.running.database("center_app", pool_size=4)
    owner = two.running.database()
    marks = {two.a: "Lamp of a", two.b: "Lamp of b"}
    looked = 0

    async def look(tenant: str) -> None:
        nonlocal looked
        async with db.transaction(tenant) as tx:
            rows = (await tx.execute(text("SELECT tenant_id::text AS tenant, title FROM products"))).all()
            assert rows and all(row.tenant == tenant for row in rows)
            assert any(row.title == marks[tenant] for row in rows)
            looked += 1
            match random.randrange(8):
                case 0:
                    await tx.execute(text("SELECT pg_sleep(5)"))
                case 1:
                    await tx.execute(text("SELECT 1/0"))
                case 2:
                    # What a careless query leaves on the session.
                    await tx.execute(text(f"SET app.tenant_id = '{tenant}'"))
                case 3:
                    await tx.execute(text(f"SELECT set_config('app.tenant_id', '{tenant}', false)"))

    async def ask(tenant: str) -> None:
        for _ in range(6):
            task = asyncio.ensure_future(look(tenant))
            with contextlib.suppress(PlatformError, TimeoutError):
                async with asyncio.timeout(random.uniform(0.01, 2)):
                    await task

    async def kill() -> None:
        for _ in range(10):
            await asyncio.sleep(0.1)
            async with owner.transaction() as tx:
                await tx.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                        "AND usename = 'center_app' ORDER BY random() LIMIT 1"
                    )
                )

    async def nobody() -> None:
        for _ in range(20):
            with contextlib.suppress(PlatformError):
                async with db.transaction() as tx:
                    assert (await tx.execute(text("SELECT count(*) FROM products"))).scalar_one() == 0

    async with asyncio.timeout(60):
        await asyncio.gather(kill(), nobody(), *(ask(tenant) for _ in range(64) for tenant in (two.a, two.b)))
    assert looked > 50
    await db.close()
    await owner.close()


# e) each policy counts


async def test_without_any_one_policy_the_suite_is_red(two: Two, make_database: Callable[[str], str]) -> None:
    with two.owner() as owner:
        policies = owner.execute("SELECT tablename, policyname FROM pg_policies ORDER BY 1, 2").fetchall()
    assert len(policies) >= 24
    assert broken(two, sql.SQL("SELECT 1"), ROWS) == []
    faults = [
        (str(table), sql.SQL("DROP POLICY {} ON {}").format(sql.Identifier(str(policy)), sql.Identifier(str(table))))
        for table, policy in policies
    ]
    for table in ROWS:
        faults.append((table, sql.SQL(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")))
        faults.append((table, sql.SQL(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")))
    faults.append(("tenants", sql.SQL("GRANT SELECT ON tenants TO center_app")))
    faults.append(("products", sql.SQL(f"GRANT EXECUTE ON FUNCTION count_products({_ANY_TYPES}) TO PUBLIC")))
    everybody = "GRANT EXECUTE ON FUNCTION search_products(text, integer, uuid, integer) TO PUBLIC"
    faults.append(("products", sql.SQL(everybody)))
    unseen = [fault for table, fault in faults if not broken(two, fault, [table])]
    assert unseen == []


_ANY_TYPES = "text, uuid, uuid, text, bigint, bigint, jsonb, boolean"


def broken(two: Two, fault: sql.Composable, tables: Collection[str]) -> list[str]:
    """What of the first guarantee does not hold after `fault`, which is taken back.

    tables: of those that are asked of every table, which are asked.
    """
    with psycopg.connect(two.running.database_url) as owner:
        owner.execute(fault)
        # The dearest last: few faults get there.
        guarantees: tuple[Callable[[], list[str]], ...] = (
            lambda: _sees(owner, "center_app", two, tables),
            lambda: _sees(owner, "center_steward", two, tables),
            lambda: _closed(owner, two, tables),
            lambda: _steward(owner),
            lambda: _search(owner, two),
            lambda: _browses(owner, two),
            lambda: _forgets(owner, two),
            lambda: _webhooks(owner, two),
            lambda: _swept(owner, two),
            lambda: _limits(owner, two),
            lambda: _revisions(owner, two),
            lambda: _due(owner, two),
            lambda: _expired(owner, two),
            lambda: _left(owner, two),
            lambda: _unpaid(owner, two),
            lambda: _given_back(owner, two),
            lambda: _relay(owner, two),
            lambda: _notices(owner, two),
            lambda: _standing(owner, two),
            lambda: _audit(owner, two),
            lambda: structure(owner),
        )
        wrong = next((wrong for guarantee in guarantees if (wrong := guarantee())), [])
        owner.rollback()
    return wrong


def _as(owner: psycopg.Connection[tuple[object, ...]], role: str, tenant: str, statement: str) -> list[object] | str:
    """What the statement answers to the role, or the code of its error; nothing of it stays."""
    try:
        with owner.transaction(force_rollback=True):
            owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            owner.execute("SELECT set_config('app.tenant_id', %s, true)", (tenant,))
            cursor = owner.execute(statement.encode())
            return [row[0] for row in cursor.fetchall()] if cursor.description else [cursor.rowcount]
    except psycopg.Error as error:
        return error.sqlstate or "?"


def _sees(owner: psycopg.Connection[tuple[object, ...]], role: str, two: Two, tables: Collection[str]) -> list[str]:
    """The role sees its tenant's rows and no other, even when somebody adds a careless policy."""
    wrong = []
    for table in (table for table in ROWS if table in tables):
        mine = _as(owner, role, two.a, f"SELECT DISTINCT tenant_id::text FROM {table}")
        if mine != [two.a]:
            wrong.append(f"{role} sees {mine} in {table}")
        with owner.transaction(force_rollback=True):
            owner.execute(f"CREATE POLICY careless ON {table} USING (true) WITH CHECK (true)".encode())
            seen = _as(owner, role, two.a, f"SELECT DISTINCT tenant_id::text FROM {table}")
            if seen != [two.a]:
                wrong.append(f"{role} sees {seen} in {table} by a careless policy")
    with owner.transaction(force_rollback=True):
        owner.execute("CREATE POLICY careless ON outbox USING (true) WITH CHECK (true)")
        if role == "center_app" and _as(owner, role, two.a, _event(two.b)) != "42501":
            wrong.append("center_app writes another tenant's events by a careless policy")
    if role == "center_app" and _as(owner, role, two.a, _event(two.a)) != [1]:
        wrong.append("center_app cannot write an event")
    return wrong


def _relay(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """The relay reads every tenant's events, changes none of them, and reads nothing else."""
    wrong = []
    seen = _as(owner, "center_relay", "", "SELECT DISTINCT tenant_id::text FROM outbox")
    if not {two.a, two.b, two.c} <= set(seen):
        wrong.append("the relay does not see every tenant's events")
    for statement in ("SELECT id FROM products", "DELETE FROM outbox", "UPDATE outbox SET payload = ''", _event(two.a)):
        if _as(owner, "center_relay", two.a, statement) != "42501":
            wrong.append(f"the relay may {statement}")
    return wrong


def _audit(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """The sealer reads every tenant's entries and adds to their chains; requests add entries; a tenant that leaves
    takes its own along. Nobody does more."""
    wrong = []
    for table in ("audit_entries", *CHAIN):
        seen = _as(owner, "center_sealer", "", f"SELECT DISTINCT tenant_id::text FROM {table}")
        if not {two.a, two.b, two.c} <= set(seen):
            wrong.append(f"the sealer does not see every tenant's {table}")
        for role in ("center_sealer", "center_app"):
            changes = [f"DELETE FROM {table}", f"UPDATE {table} SET tenant_id = tenant_id", f"TRUNCATE {table}"]
            wrong += [f"{role} may {each}" for each in changes if _as(owner, role, two.a, each) != "42501"]
        if _as(owner, "center_steward", two.a, f"DELETE FROM {table}") != [0]:
            wrong.append(f"the steward deletes from {table} of a tenant that stays")
        if _as(owner, "center_steward", two.c, f"DELETE FROM {table}") in ([0], "42501"):
            wrong.append(f"the steward cannot remove {table} of a tenant that leaves")
    for table, row in {
        "audit_links": "1000000, gen_random_uuid(), '', ''",
        "audit_seals": "1000000, 9, '', now(), '', ''",
        "audit_signers": "'x', ''",
    }.items():
        add = f"INSERT INTO {table} VALUES ('{two.a}', {row})"
        if _as(owner, "center_sealer", "", add) != [1]:
            wrong.append(f"the sealer cannot add to {table}")
        if _as(owner, "center_app", two.a, add) != "42501":
            wrong.append(f"requests add to {table}")
    return wrong


def _notices(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """The steward hears who has something due, and forgets what is old and nothing else; tries stay as they were."""
    wrong = []
    with owner.transaction(force_rollback=True):
        owner.execute("UPDATE notifications SET state = 'PENDING', end_time = NULL, recipient = 'x', variables = 'x'")
        due = _as(owner, "center_steward", "", "SELECT tenant_id::text FROM notifications_due(1000)")
        if not {two.a, two.b} <= set(due) or two.c in due:
            wrong.append(f"due are {due}")
    for days, left in ((6, (True, True)), (8, (False, True)), (91, (None, False))):
        with owner.transaction(force_rollback=True):
            owner.execute(
                "UPDATE notifications SET state = 'FAILED', recipient = 'x', end_time = now() - %s * interval '1 day'",
                (days,),
            )
            owner.execute("UPDATE notification_attempts SET end_time = now() - %s * interval '1 day'", (days,))
            if _steward_says(owner, "SELECT forget_notifications(1000)") == "?":
                wrong.append("the steward cannot forget")
            mine = "SELECT {} FROM {} WHERE tenant_id = %s"
            row = owner.execute(mine.format("recipient IS NOT NULL", "notifications").encode(), (two.a,)).fetchone()
            tried = owner.execute(mine.format("1", "notification_attempts").encode(), (two.a,)).fetchone()
            if (None if row is None else row[0], tried is not None) != left:
                wrong.append(f"after {days} days there is {row}, {tried}")
            if owner.execute(mine.format("1", "notifications").encode(), (two.c,)).fetchone() is None:
                wrong.append("a frozen tenant's notifications are forgotten")
    # One row a tenant: what is added is there already.
    again = "INSERT INTO notification_settings TABLE notification_settings ON CONFLICT DO NOTHING"
    for tenant, outcomes in ((two.a, ([0], [1], [1])), (two.c, ("42501", "42501", [0]))):
        for statement, outcome in zip(
            (again, "UPDATE notification_settings SET sender_name = ''", "DELETE FROM notification_settings"),
            outcomes,
            strict=True,
        ):
            if _as(owner, "center_app", tenant, statement) != outcome:
                wrong.append(f"{statement} is not {outcome}")
    insert = (
        "INSERT INTO notification_attempts SELECT tenant_id, notification_id, 99, now(), now(), 'SENT', '', 0 "
        "FROM notification_attempts LIMIT 1"
    )
    for tenant, outcome in ((two.a, [1]), (two.c, "42501")):
        if _as(owner, "center_app", tenant, insert) != outcome:
            wrong.append(f"a try of {tenant} is not {outcome}")
    for statement in ("UPDATE notification_attempts SET error = ''", "DELETE FROM notification_attempts"):
        if _as(owner, "center_app", two.a, statement) != "42501":
            wrong.append(f"center_app may {statement}")
    return wrong


def _steward_says(owner: psycopg.Connection[tuple[object, ...]], statement: str) -> object:
    """The answer, whose effects stay for the rest of the transaction; `?` when it is refused."""
    try:
        with owner.transaction():
            owner.execute("SET LOCAL ROLE center_steward")
            row = owner.execute(statement.encode()).fetchone()
            owner.execute("RESET ROLE")
            return row[0] if row is not None else None
    except psycopg.Error:
        return "?"


def _event(tenant: str) -> str:
    return (
        "INSERT INTO outbox (tenant_id, id, type, aggregate_id, aggregate_version, payload, traceparent) "
        f"VALUES ('{tenant}', gen_random_uuid(), 't', gen_random_uuid(), 1, '', '')"
    )


def _closed(owner: psycopg.Connection[tuple[object, ...]], two: Two, tables: Collection[str]) -> list[str]:
    """A frozen tenant's rows stay as they are."""
    wrong = []
    copies = {
        "products": "(tenant_id, id, handle, title, description, status, version, create_time, update_time) "
        "SELECT tenant_id, gen_random_uuid(), 'copy', '', '', status, 1, now(), now() FROM products LIMIT 1",
        "variants": "SELECT tenant_id, gen_random_uuid(), product_id, 9, 'copy', '', 'EUR', 1 FROM variants LIMIT 1",
        "webhook_endpoints": "SELECT tenant_id, gen_random_uuid(), url, description, state, '', NULL, NULL, secret, "
        "NULL, NULL, 1, now(), now() FROM webhook_endpoints LIMIT 1",
        "webhook_subscriptions": "SELECT tenant_id, endpoint_id, 'x', now() FROM webhook_subscriptions LIMIT 1",
        "webhook_events": "SELECT tenant_id, gen_random_uuid(), '' FROM webhook_events LIMIT 1",
        "webhook_deliveries": "SELECT d.tenant_id, gen_random_uuid(), d.endpoint_id, e.id, '', now(), '', 1, 'DEAD', "
        "0, NULL, now(), now(), '' FROM webhook_deliveries d JOIN webhook_events e ON e.payload = 'spare' LIMIT 1",
        "notification_providers": "SELECT tenant_id, 'SMS', '', NULL, 1 FROM notification_providers LIMIT 1",
        "notification_paces": "SELECT tenant_id, 'SMS', now() FROM notification_paces LIMIT 1",
        "notification_templates": "SELECT tenant_id, 'copy', 'SMS', '', 1, true, '', '', '', '', now() "
        "FROM notification_templates LIMIT 1",
        "notification_preferences": "SELECT tenant_id, 'copy', '', '' FROM notification_preferences LIMIT 1",
        "notification_suppressions": "SELECT tenant_id, 'copy', '', 'MANUAL', now() FROM notification_suppressions "
        "LIMIT 1",
        "notification_triggers": "SELECT tenant_id, 'copy', '', '', 'SMS', '', '', now() "
        "FROM notification_triggers LIMIT 1",
        "notifications": "(tenant_id, id, dedup_key, template, channel, recipient_hash, recipient, locale, category, "
        "state, tries, attempts, template_version, next_attempt_time, last_error, provider_id, version, create_time, "
        "update_time) SELECT tenant_id, gen_random_uuid(), 'copy', '', 'SMS', '', '', '', '', 'PENDING', 0, 0, 0, "
        "now(), '', '', 1, now(), now() FROM notifications LIMIT 1",
        "product_media": "SELECT tenant_id, product_id, 9, media_id, '' FROM product_media LIMIT 1",
        "categories": "SELECT tenant_id, gen_random_uuid(), 'copy', '', NULL, 1, 1, now(), now() FROM categories "
        "LIMIT 1",
        "product_categories": "SELECT tenant_id, product_id, (SELECT id FROM categories WHERE handle = 'above') "
        "FROM product_categories LIMIT 1",
        "collections": "SELECT tenant_id, gen_random_uuid(), 'copy', '', '', 1, now(), now() FROM collections LIMIT 1",
        "collection_products": "SELECT tenant_id, collection_id, p.id, 9 FROM collection_products c "
        "JOIN products p USING (tenant_id) WHERE p.id <> c.product_id LIMIT 1",
        "idempotency": "SELECT tenant_id, 'x', 'x', gen_random_uuid(), '', '', now() FROM idempotency LIMIT 1",
        "media_usage": "SELECT * FROM media_usage ON CONFLICT (tenant_id) DO UPDATE SET stored_bytes = 1",
        "media_blobs": "SELECT tenant_id, repeat('0', 64), 1, 0 FROM media_blobs LIMIT 1",
        "media_uploads": "SELECT tenant_id, gen_random_uuid(), '', '', 1, '', 0, 0, 'RECEIVING', '', NULL, now(), "
        "now() FROM media_uploads LIMIT 1",
        "media": "SELECT tenant_id, gen_random_uuid(), '', '', 1, sha256, now() FROM media LIMIT 1",
        "media_variants": "SELECT tenant_id, media_id, 'copy', '', 1, sha256, 1, 1, '', now() FROM media_variants",
        "carts": "SELECT (json_populate_record(c, json_build_object('id', gen_random_uuid()))).* FROM carts c LIMIT 1",
        "cart_lines": "SELECT tenant_id, gen_random_uuid(), cart_id, gen_random_uuid(), '[]', '', 1 FROM cart_lines "
        "LIMIT 1",
        "cart_codes": "SELECT tenant_id, cart_id, 'copy', '', 9 FROM cart_codes LIMIT 1",
        "customers": "SELECT (json_populate_record(c, json_build_object('id', gen_random_uuid(), 'external_id', '', "
        "'email_hash', '', 'email', ''))).* FROM customers c LIMIT 1",
        "customer_addresses": "SELECT tenant_id, gen_random_uuid(), customer_id, '', false, now() "
        "FROM customer_addresses LIMIT 1",
        "customer_consents": "SELECT tenant_id, customer_id, 99, true, now() FROM customer_consents LIMIT 1",
        "customer_logins": "SELECT tenant_id, 'copy', 1, now() FROM customer_logins LIMIT 1",
        "payment_settings": "SELECT * FROM payment_settings ON CONFLICT DO NOTHING",
        "checkouts": "SELECT * FROM checkouts ON CONFLICT DO NOTHING",
        "selling_settings": "SELECT * FROM selling_settings ON CONFLICT DO NOTHING",
        "storefront_themes": "SELECT * FROM storefront_themes ON CONFLICT DO NOTHING",
        "orders": "SELECT (json_populate_record(o, json_build_object('id', gen_random_uuid(), 'number', 9))).* "
        "FROM orders o LIMIT 1",
        "order_lines": "SELECT (json_populate_record(l, json_build_object('id', gen_random_uuid()))).* "
        "FROM order_lines l LIMIT 1",
        "order_adjustments": "SELECT tenant_id, order_id, 9, promotion_id, code, 1, '' FROM order_adjustments LIMIT 1",
        "fulfillments": "SELECT tenant_id, gen_random_uuid(), order_id, '', '', now(), NULL FROM fulfillments LIMIT 1",
        "fulfillment_lines": "SELECT * FROM fulfillment_lines ON CONFLICT DO NOTHING",
        "refunds": "SELECT tenant_id, gen_random_uuid(), order_id, NULL, 1, 'FAILED', '', '', now() FROM refunds "
        "LIMIT 1",
        "refund_lines": "SELECT * FROM refund_lines ON CONFLICT DO NOTHING",
        "order_events": "SELECT tenant_id, order_id, gen_random_uuid(), 'note', '', '', now() FROM order_events "
        "LIMIT 1",
        "order_numbers": "SELECT * FROM order_numbers ON CONFLICT DO NOTHING",
        "locations": "SELECT tenant_id, gen_random_uuid(), 'copy', '', 1, true, 1, now(), now() FROM locations LIMIT 1",
        "stock_levels": "SELECT s.tenant_id, v.id, s.location_id, 0, 0, 0, false, NULL, 1, now() FROM stock_levels s "
        "JOIN variants v ON v.id <> s.variant_id LIMIT 1",
        "reservations": "SELECT tenant_id, gen_random_uuid(), owner, variant_id, location_id, 1, 0, 1, 0, NULL, now() "
        "FROM reservations LIMIT 1",
        "stock_movements": "SELECT tenant_id, gen_random_uuid(), variant_id, location_id, 'ADJUSTED', 0, 0, 0, '', '', "
        "now() FROM stock_movements LIMIT 1",
        "payments": "SELECT (json_populate_record(p, json_build_object('id', gen_random_uuid(), "
        "'provider_payment_id', ''))).* FROM payments p LIMIT 1",
        "payment_operations": "SELECT tenant_id, gen_random_uuid(), payment_id, 'REFUND', 'FAILED', 1, 1, '', '', "
        "now(), now(), now() FROM payment_operations LIMIT 1",
        "price_lists": "SELECT tenant_id, gen_random_uuid(), 'copy', 'GBP', NULL, NULL, 'ACTIVE', 1, now(), now() "
        "FROM price_lists LIMIT 1",
        "prices": "SELECT tenant_id, list_id, variant_id, 9, 1 FROM prices LIMIT 1",
        "promotions": "SELECT (json_populate_record(p, json_build_object('id', gen_random_uuid(), 'code', 'copy', "
        "'code_key', 'copy'))).* FROM promotions p LIMIT 1",
        "promotion_redemptions": "SELECT tenant_id, gen_random_uuid(), promotion_id, gen_random_uuid(), NULL, 'EUR', "
        "1, now(), NULL FROM promotion_redemptions LIMIT 1",
        "staff_members": "SELECT tenant_id, gen_random_uuid(), '', 'copy', 'STAFF', 'ACTIVE', 'x', 1, '', NULL, 1, "
        "now(), now() FROM staff_members LIMIT 1",
        "api_keys": "SELECT (json_populate_record(k, json_build_object('id', gen_random_uuid()))).* FROM api_keys k "
        "LIMIT 1",
        "payment_events": "SELECT tenant_id, gen_random_uuid(), provider, 'evt_2', '', payment_id, now(), now() "
        "FROM payment_events LIMIT 1",
    }
    for table, copy in ((table, copy) for table, copy in copies.items() if table in tables):
        for tenant, allowed in ((two.a, True), (two.c, False)):
            # One row, or none where a tenant has only one.
            if (_as(owner, "center_app", tenant, f"INSERT INTO {table} {copy}") in ([1], [0])) is not allowed:
                wrong.append(f"an insert into {table}: {not allowed}")
            update = _as(owner, "center_app", tenant, f"UPDATE {table} SET tenant_id = tenant_id")
            if (update != "42501") is not (allowed and table not in APPENDED):
                wrong.append(f"an update of {table}: {not allowed}")
            # Below a reference an allowed delete fails for another reason.
            delete = _as(owner, "center_app", tenant, f"DELETE FROM {table}")
            if (delete != "42501") if table in KEPT else (delete != [0]) is not allowed:
                wrong.append(f"a delete from {table}: {not allowed}")
    attempt = (
        "INSERT INTO webhook_attempts SELECT tenant_id, id, 99, now(), 1, 1, '', '' FROM webhook_deliveries LIMIT 1"
    )
    for tenant, outcome in ((two.a, [1]), (two.c, "42501")):
        if (seen := _as(owner, "center_app", tenant, attempt)) != outcome:
            wrong.append(f"a try of a webhook is {seen}")
    for tenant, allowed in ((two.a, True), (two.c, False)):
        with owner.transaction(force_rollback=True):
            owner.execute("DELETE FROM media_usage")  # a tenant has one row, and this is about its first
            first = _as(owner, "center_app", tenant, f"INSERT INTO media_usage VALUES ('{tenant}', 1, 1)")
            if (first == [1]) is not allowed:
                wrong.append(f"a first media_usage: {not allowed}")
    if _as(owner, "center_search", two.a, "UPDATE tenants SET tenant_id = tenant_id") != "42501":
        wrong.append("the gate's owner changes tenants")
    if _as(owner, "center_app", two.c, _event(two.c)) != "42501":
        wrong.append("an event of a frozen tenant")
    return wrong


def _webhooks(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """What crosses tenants finds all that are open, and what is old goes."""
    wrong = []
    for function in ("due_webhooks('2101-01-01')", "open_event_gaps('webhooks')"):
        found = _as(owner, "center_steward", "", f"SELECT tenant_id::text FROM {function}")
        if not {two.a, two.b} <= set(found) or two.c in found:
            wrong.append(f"{function} finds {found}")
    with owner.transaction(force_rollback=True):
        owner.execute(
            "INSERT INTO webhook_endpoints SELECT tenant_id, gen_random_uuid(), url, '', 'DELETED', '', NULL, NULL, "
            "'', NULL, NULL, 1, create_time, update_time FROM webhook_endpoints"
        )
        owner.execute("SET LOCAL ROLE center_steward")
        try:
            owner.execute("SELECT forget_webhooks('2101-01-01', 10000)")
        except psycopg.Error as error:
            return [*wrong, f"nothing is forgotten: {error}"]
        owner.execute("RESET ROLE")
        for left in (
            "webhook_events",
            "webhook_deliveries",
            "webhook_endpoints WHERE state = 'DELETED'",
        ):
            if owner.execute(f"SELECT 1 FROM {left} LIMIT 1".encode()).fetchone() is not None:
                wrong.append(f"what is old is left in {left}")
    return wrong


def _steward(owner: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    wrong = []
    known = _as(owner, "center_steward", "", "SELECT count(*) FROM tenants")
    if known in ([0], "42501"):
        wrong.append("the steward knows no tenants")
    if _as(owner, "center_steward", "", "INSERT INTO watch VALUES ('probe', 1)") != [1]:
        wrong.append("the steward cannot note how far it has followed")
    return wrong


def _search(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    found = _as(owner, "center_app", two.a, "SELECT count(*) FROM search_products('lamp', NULL, NULL, 9)")
    nobody = _as(owner, "center_app", "", "SELECT count(*) FROM search_products('lamp', NULL, NULL, 9)")
    return [] if found not in ([0], "42501") and nobody == [0] else [f"search finds {found}, for nobody {nobody}"]


def _browses(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """By category, collection, price and stock, and counted, for its tenant alone."""
    wrong = []
    categories = _as(owner, "center_app", two.a, "SELECT id FROM categories WHERE handle = 'above'")
    collections = _as(owner, "center_app", two.a, "SELECT id FROM collections WHERE handle = 'new'")
    if not (isinstance(categories, list) and isinstance(collections, list) and categories and collections):
        return []  # told by another probe
    place = f"'{categories[0]}', '{collections[0]}'"
    for asked, tenant, outcome in (
        (f"'', {place}, 'EUR', 1, NULL, '[]', true", two.a, [1]),
        (f"'', {place}, '', NULL, NULL, '[]', false", two.b, [0]),
        ("'', NULL, NULL, '', NULL, NULL, '[]', false", "", [0]),
    ):
        page = f"SELECT count(*) FROM browse_products({asked}, 'COLLECTION', NULL, NULL, NULL, 9)"
        counted = f"SELECT products FROM count_products({asked}) WHERE kind = 'ALL'"
        for statement in (page, counted):
            if (seen := _as(owner, "center_app", tenant, statement)) != outcome:
                wrong.append(f"{statement} finds {seen}")
    named = f"SELECT count(*) FROM count_products('', {place}, '', NULL, NULL, '[]', false) WHERE kind = 'CATEGORY'"
    if (seen := _as(owner, "center_app", two.a, named)) != [2]:
        wrong.append(f"a product counts in {seen} categories")
    return wrong


def _forgets(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """An answer that has expired goes, and no other."""
    with owner.transaction(force_rollback=True):
        owner.execute("SET LOCAL ROLE center_app")
        owner.execute("SELECT set_config('app.tenant_id', %s, true)", (two.a,))
        try:
            owner.execute(
                "INSERT INTO idempotency SELECT tenant_id, 'old', caller, request_id, fingerprint, answer, "
                "now() - interval '1 day' FROM idempotency LIMIT 1"
            )
        except psycopg.Error:
            return []  # told by another probe
        owner.execute("SET LOCAL ROLE center_steward")
        forgotten = owner.execute("SELECT forget_answers(100)").fetchone()
    return [] if forgotten == (1,) else [f"{forgotten} answers are forgotten"]


def _due(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """The steward learns which tenants have operations to ask about, unless they are closed."""
    with owner.transaction(force_rollback=True):
        owner.execute("SET LOCAL ROLE center_app")
        for tenant in (two.a, two.b):
            owner.execute("SELECT set_config('app.tenant_id', %s, true)", (tenant,))
            try:
                owner.execute("UPDATE payment_operations SET state = 'UNKNOWN', look_time = now() - interval '1 day'")
            except psycopg.Error:
                return []  # told by another probe
        owner.execute("RESET ROLE")
        due = _as(owner, "center_steward", "", "SELECT tenant_id::text FROM due_payment_operations(1000)")
    return [] if {two.a, two.b} <= set(due) and two.c not in due else [f"due are {due}"]


def _expired(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """The steward learns whose reservations are over, unless their tenant is closed."""
    due = _as(owner, "center_steward", "", "SELECT tenant_id::text FROM expired_reservations('infinity', 1000)")
    return [] if {two.a, two.b} <= set(due) and two.c not in due else [f"expired are those of {due}"]


def _left(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """The steward learns which carts were left and which are to be forgotten, unless their tenant is closed."""
    wrong = []
    for forgotten_before, is_forgotten in (("-infinity", False), ("infinity", True)):
        call = f"SELECT tenant_id::text FROM due_carts('infinity', '{forgotten_before}', 1000) WHERE is_forgotten = "
        due = _as(owner, "center_steward", "", f"{call} {is_forgotten}")
        if not {two.a, two.b} <= set(due) or two.c in due:
            wrong.append(f"carts due are {due}")
    return wrong


def _standing(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """The steward learns what one credential of one tenant is good for, and nothing of another tenant's by it."""
    wrong = []
    for table, function in (("staff_members", "member_standing"), ("api_keys", "api_key_standing")):
        row = owner.execute(f"SELECT id FROM {table} WHERE tenant_id = %s".encode(), (two.b,)).fetchone()
        for tenant, known in ((two.b, 1), (two.a, 0)):
            call = f"SELECT count(*) FROM {function}('{tenant}', '{row[0] if row else two.b}')"
            if _as(owner, "center_steward", "", call) != [known]:
                wrong.append(f"{function} of {tenant} is not {known}")
    return wrong


def _unpaid(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """The steward learns which orders were not paid in time, unless their tenant is closed."""
    due = _as(owner, "center_steward", "", "SELECT tenant_id::text FROM due_orders('infinity', 1000)")
    return [] if {two.a, two.b} <= set(due) and two.c not in due else [f"unpaid are those of {due}"]


def _given_back(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """Of a redemption, only the time at which it was given back is ever written, while its tenant is open."""
    wrong = []
    for tenant, outcome in ((two.a, [1]), (two.c, "42501")):
        seen = _as(owner, "center_app", tenant, "UPDATE promotion_redemptions SET cancel_time = now()")
        if seen != outcome:
            wrong.append(f"a redemption is given back: {seen}")
    if _as(owner, "center_app", two.a, "UPDATE promotion_redemptions SET amount_minor = 1") != "42501":
        wrong.append("center_app may change what an order has redeemed")
    return wrong


def _swept(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """Uploads that have expired and bytes that nothing uses are swept, of whoever is open to writes."""
    with owner.transaction(force_rollback=True):
        owner.execute("SET LOCAL ROLE center_app")
        try:
            owner.execute("SELECT set_config('app.tenant_id', %s, true)", (two.a,))
            owner.execute("UPDATE media_uploads SET expire_time = now() - interval '1 day'")
            owner.execute("INSERT INTO media_blobs SELECT tenant_id, repeat('0', 64), 1, 0 FROM media_usage")
        except psycopg.Error:
            return []  # told by another probe
        owner.execute("SET LOCAL ROLE center_steward")
        owner.execute("SELECT set_config('app.tenant_id', '', true)")
        try:
            due = owner.execute(
                "SELECT DISTINCT tenant_id::text, upload_id IS NOT NULL FROM media_due(now(), 100) ORDER BY 2"
            ).fetchall()
        except psycopg.Error as error:
            return [f"what is due: {error.sqlstate}"]
    return [] if due == [(two.a, False), (two.a, True)] else [f"due is {due}"]


def _limits(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """The steward keeps features, and the count of a tenant's products holds to them."""
    wrong = []
    add = (
        "INSERT INTO products (tenant_id, id, handle, title, description, status, version, create_time, update_time) "
        f"VALUES ('{two.a}', gen_random_uuid(), 'one-more', '', '', 'ACTIVE', 1, now(), now())"
    )
    found = owner.execute("SELECT products FROM product_counts WHERE tenant_id = %s", (two.a,)).fetchone()
    count = int(str(found[0])) if found is not None else 0
    for most, outcome in ((count + 1, [1]), (count, "23514")):
        with owner.transaction(force_rollback=True):
            features = f"INSERT INTO tenant_features VALUES ('{two.a}', 1, '', {most}, '') RETURNING 1"
            owner.execute("SET LOCAL ROLE center_steward")
            try:
                owner.execute(features.encode())
            except psycopg.Error:
                return ["the steward cannot keep features"]
            owner.execute("RESET ROLE")
            if (seen := _as(owner, "center_app", two.a, add)) != outcome:
                wrong.append(f"with room for {most}, one more than {count} is {seen}")
            if _as(owner, "center_steward", "", "SELECT count(*) FROM tenant_features") != [1]:
                wrong.append("the steward does not see what features there are")
            if _as(owner, "center_app", two.a, "SELECT room FROM products_room()") != [most - count]:
                wrong.append("an import does not see its room")
            if _as(owner, "center_app", two.b, "SELECT room FROM products_room()") != []:
                wrong.append("an import sees another tenant's room")
    return wrong


def _revisions(owner: psycopg.Connection[tuple[object, ...]], two: Two) -> list[str]:
    """The steward sees which revision of its products every tenant has, and who changes them makes another."""
    wanted = f"SELECT count(revision) FROM product_revisions WHERE tenant_id IN ('{two.a}', '{two.b}', '{two.c}')"
    if (seen := _as(owner, "center_steward", "", wanted)) != [3]:
        return [f"the steward sees the revisions of {seen}"]
    with owner.transaction(force_rollback=True):
        before = owner.execute("SELECT revision FROM product_revisions WHERE tenant_id = %s", (two.a,)).fetchone()
        owner.execute("SET LOCAL ROLE center_app")
        owner.execute("SELECT set_config('app.tenant_id', %s, true)", (two.a,))
        try:
            owner.execute("UPDATE products SET title = 'Another'")
            owner.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.Error as error:
            return [f"a change of products is {error.sqlstate}"]
        owner.execute("RESET ROLE")
        after = owner.execute("SELECT revision FROM product_revisions WHERE tenant_id = %s", (two.a,)).fetchone()
    return ["a change leaves the revision"] if after == before else []


async def list_all(two: Two, tenant: str) -> list[pb.Product]:
    answer = await two.running.products.ListProducts(pb.ListProductsRequest(page_size=200), metadata=of(tenant))
    return list(answer.products)


async def answers(two: Two, name: str, request: Message, tenant: str) -> list[object]:
    """All answers, or the code of the refusal."""
    method = getattr(two.running.products, name)
    try:
        kind = contract.of(ProductServiceStub).methods_by_name[name]
        if kind.server_streaming and not kind.client_streaming:
            return [answer async for answer in method(request, metadata=of(tenant))]
        if not kind.client_streaming:
            return [await method(request, metadata=of(tenant))]

        async def requests() -> AsyncIterator[Message]:
            yield request

        return [answer async for answer in method(requests(), metadata=of(tenant))]
    except grpc.aio.AioRpcError as error:
        return [error.code().name]


def ids_in(seen: list[object]) -> set[str]:
    found: set[str] = set()
    for answer in seen:
        for message in (*getattr(answer, "products", ()), getattr(answer, "product", pb.Product())):
            found.add(message.id)
    return found
