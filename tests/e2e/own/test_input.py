"""Whatever is sent to whatever RPC, the answer is an answer or a typed refusal, and every process lives on."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import grpc
import pytest
from google.longrunning import operations_proto_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from grpc_health.v1 import health_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from center.control.v1 import access_service_pb2 as access_pb
from center.control.v1 import cluster_service_pb2, domain_service_pb2, quota_pb2, tenant_service_pb2
from center.control.v1 import plan_service_pb2 as plans_pb
from center.control.v1 import solution_service_pb2 as solutions_pb
from center.control.v1.access_service_pb2_grpc import AccessServiceStub
from center.control.v1.plan_service_pb2_grpc import PlanServiceStub
from center.control.v1.solution_service_pb2_grpc import SolutionServiceStub
from center.dataplane.v1 import cart_service_pb2 as carts_pb
from center.dataplane.v1 import checkout_service_pb2 as checkouts_pb
from center.dataplane.v1 import customer_service_pb2 as customers_pb
from center.dataplane.v1 import inventory_service_pb2 as stock_pb
from center.dataplane.v1 import merchandising_service_pb2 as shelves_pb
from center.dataplane.v1 import order_service_pb2 as orders_pb
from center.dataplane.v1 import price_list_service_pb2 as prices_pb
from center.dataplane.v1 import product_service_pb2
from center.dataplane.v1 import promotion_service_pb2 as promotions_pb
from center.dataplane.v1.cart_service_pb2_grpc import CartServiceStub
from center.dataplane.v1.checkout_service_pb2_grpc import CheckoutServiceStub
from center.dataplane.v1.customer_service_pb2_grpc import CustomerServiceStub, ShopperServiceStub
from center.dataplane.v1.inventory_service_pb2_grpc import InventoryServiceStub
from center.dataplane.v1.merchandising_service_pb2_grpc import MerchandisingServiceStub
from center.dataplane.v1.order_service_pb2_grpc import OrderServiceStub
from center.dataplane.v1.price_list_service_pb2_grpc import PriceListServiceStub
from center.dataplane.v1.promotion_service_pb2_grpc import PromotionServiceStub
from center.shared.v1 import audit_service_pb2, rules_pb2
from center.shared.v1 import notification_service_pb2 as notices_pb
from center.shared.v1 import payment_service_pb2 as payments_pb
from center.shared.v1.notification_service_pb2_grpc import NotificationServiceStub
from center.shared.v1.payment_service_pb2_grpc import PaymentServiceStub
from shared.platform import ports
from shared.runtime.rpc import rules
from tests.e2e.messages import Requests
from tests.e2e.test_identities import METHODS
from tests.edge.web import Answer
from tests.support import platform as platforms
from tests.support.grpc import Refusal, refusal_of, told
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e

# SOAK_EXAMPLES=2000 for a long look, with other examples every time.
EXAMPLES = int(os.environ.get("SOAK_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=EXAMPLES or 25,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
# The longest that a call may take; those that wait for something are cut off here.
PATIENCE_S = 3.0
MOMENT_S = 0.1
WAITING = {"WaitApplied", "WaitOperation", "ResolveTenant"}
# Reasons of INVALID_ARGUMENT that concern the message as a whole, or what comes beside it.
NO_FIELD = {"MESSAGE_MALFORMED", "TENANT_REQUIRED", "WATCH_NOT_INTRODUCED", "IMPORT_NOT_INTRODUCED"}
CERTIFICATES = {
    rules_pb2.CALLER_OPERATOR: "operator",
    rules_pb2.CALLER_CONTROL: "control",
    rules_pb2.CALLER_EDGE: "edge",
    rules_pb2.CALLER_CLUSTER: "cluster/eu-1",
    rules_pb2.CALLER_ENVOY: "envoy",
    rules_pb2.CALLER_SHOPPER: "envoy",
    rules_pb2.CALLER_SOLUTION: "solution/search",
    rules_pb2.CALLER_CUSTOMER: "envoy",
}
# What lets anyone in is a signature or a password, and nobody makes one up.
NOBODY_KNOWS = {"MEDIA_URL_INVALID", "SIGN_IN_REFUSED", "LOGIN_FAILED", "RESET_INVALID", "PASSWORD_WRONG"}
# Each by a customer of its own: the session is over with the first that succeeds.
SESSIONS_END = ("LogOut", "ChangeMyPassword", "EraseMe")


@dataclass
class World:
    """A platform that may be hurt, and what exists on it, by the names of request fields."""

    platform: Platform
    shop: str  # the tenant that data-plane calls act in
    token: str  # of its merchant
    known: dict[str, list[str]] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)  # by the method they are for


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    with platforms.running() as platform:
        shop = await platform.create("input", region_id="eu")
        made = World(platform, shop.id, await platform.token(shop.id))
        await _populate(made)
        before = {name: child.restarts for name, child in platform.processes().items()}
        yield made
        after = {name: child.restarts for name, child in platform.processes().items()}
        await platform.close()
    assert after == before, "a process died of its input"


@pytest.mark.parametrize(
    ("server", "method"), METHODS, ids=[f"{server}-{m.containing_service.name}-{m.name}" for server, m in METHODS]
)
@SETTINGS
@given(data=st.data())
async def test_a_method_answers_anything_or_says_what_is_wrong(
    world: World, server: str, method: MethodDescriptor, data: st.DataObject
) -> None:
    requests = Requests(world.known).encoded(method.input_type)
    stream = data.draw(st.lists(requests, max_size=3) if method.client_streaming else st.tuples(requests))
    channel = world.platform.channel(server, _certificate(method))
    is_for_customers = rules.of(method).callers == {rules_pb2.CALLER_CUSTOMER}
    session = world.sessions.get(method.name, world.sessions[""]) if is_for_customers else ""
    refusal = await told(lambda: _sent(channel, method, stream, world.shop, session))
    _assert_typed(refusal, method)
    await _serves(world.platform, server)


# What outsiders send to Envoy as JSON.
BODIES = {
    "no JSON": b"{",
    "empty": b"",
    "null": b"null",
    "a list": b"[1, 2]",
    "a number": b"42",
    "deep": b"[" * 20_000,
    "deep object": b'{"product":' * 10_000,
    "wrong types": b'{"product": {"title": 7, "variants": "none"}}',
    "wrong enum": b'{"product": {"title": "a", "status": "PRODUCT_STATUS_NONE"}}',
    "unknown field": b'{"product": {"title": "a", "colour": "red"}}',
    "no UTF-8": b'{"product": {"title": "\xff\xfe"}}',
    "lone surrogate": b'{"product": {"title": "\\ud800"}}',
    "NUL": b'{"product": {"title": "a\\u0000b"}}',
    "huge number": b'{"product": {"title": "a", "variants": [{"sku": "a", "price": {"units": 1e400}}]}}',
    "NaN": b'{"product": {"title": "a", "variants": [{"sku": "a", "price": {"units": NaN}}]}}',
    "doubled keys": b'{"product": {"title": "a"}, "product": {"title": ""}}',
    "output only": b'{"product": {"title": "a", "id": "x", "createTime": "never"}}',
    "five megabytes": b'{"product": {"title": "' + b"x" * 5_000_000 + b'"}}',
}
PATHS = (
    "/v1/products/%00",
    "/v1/products/..%2f..%2fetc%2fpasswd",
    "/v1/products/../../v1/products",
    "/v1/products/" + "x" * 3000,
    "/v1/products/%ff%fe",
    "/v1/products?pageSize=many",
    "/v1/products?pageSize=-1",
    "/v1/products?pageSize=99999999999999999999",
    "/v1/products?pageToken=%00",
    "/v1/products?filter=%28%28%28",
    "/v1/products?nosuch=1",
    "/v1/products?pageSize=1&pageSize=2",
    "/v1/products:search?query=",
    "/v1/products:search?query=%F0%9F%98%80%00",
    "/v1/products:nosuch",
    "/center.dataplane.v1.ProductService/ListProducts",
    "/center.dataplane.v1.TenantRuntimeService/ListTenants",
    "//v1//products",
    "/%76%31/products",
)
HOSTS = (
    b"",
    b" ",
    b"input.center.localhost:99999",
    b"input.center.localhost:x",
    b"[::1]:80",
    b"a" * 5000,
    b"\xff\xfe.example",
    "b\u00fccher.example".encode(),
    b"xn--\x7f",
    b"input.center.localhost\tx",
    b"input..center.localhost",
    b".input.center.localhost",
    b"_platform",
    b"*",
)


@pytest.mark.parametrize("kind", BODIES)
async def test_a_body_that_is_no_request_is_the_clients_mistake(world: World, kind: str) -> None:
    answer = await _raw(world, "POST", "/v1/backoffice/products", BODIES[kind])
    if kind in ("doubled keys", "null", "empty", "unknown field"):
        # JSON leaves the meaning open, and the transcoder passes over fields that it does not know.
        assert answer.status < 500, answer
        return
    assert 400 <= answer.status < 500, answer
    assert answer.reason, answer


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
async def test_a_path_that_leads_nowhere_is_the_clients_mistake(world: World, path: str) -> None:
    answer = await _raw(world, "GET", path)
    assert answer.status < 500 or answer.reason, answer
    assert answer.status != 500, answer


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: repr(host)[:30])
async def test_a_host_that_is_no_name_gets_an_answer(world: World, host: bytes) -> None:
    answer = await _raw(world, "GET", "/v1/products", host=host)
    assert 400 <= answer.status < 500 or answer.headers.get("x-center-tenant") == world.shop, answer


async def test_a_flood_of_headers_is_refused_and_envoy_lives(world: World) -> None:
    many = {f"x-flood-{number}": "y" for number in range(500)}
    long = {"x-long": "y" * 200_000}
    for headers in (many, long, {"x-tenant-id": "00000000-0000-7000-8000-000000000001"}, {"x_under": "score"}):
        answer = await _raw(world, "GET", "/v1/products", headers=headers)
        assert answer.status < 500, answer
    assert (await _raw(world, "GET", "/v1/products")).status == 200


async def _raw(
    world: World,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    host: bytes = b"input.center.localhost",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One HTTP/1.1 request as its bytes are, on a connection of its own."""
    head = [
        f"{method} {path} HTTP/1.1".encode(),
        b"Host: " + host,
        b"Content-Type: application/json",
        b"Authorization: " + world.token.encode(),
        b"Content-Length: " + str(len(body)).encode(),
        b"Connection: close",
        *(f"{name}: {value}".encode() for name, value in (headers or {}).items()),
    ]
    answer = await _exchanged(world.platform.envoy_port, b"\r\n".join([*head, b"", b""]) + body)
    start, _, rest = answer.partition(b"\r\n\r\n")
    status, *lines = start.decode("latin-1").split("\r\n")
    got = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if got.get("transfer-encoding") == "chunked":
        rest = b"".join(rest.split(b"\r\n")[1::2])
    return Answer(int(status.split()[1]), got, rest)


async def _exchanged(port: int, request: bytes) -> bytes:
    """What Envoy says until it closes.

    It may answer and close before it has read all; the kernel then resets the connection, and may drop the answer.
    """
    for _ in range(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = b""
        with suppress(ConnectionResetError):
            async with asyncio.timeout(20):
                writer.write(request)
                while chunk := await reader.read(1 << 16):
                    answer += chunk
        writer.close()
        if b"\r\n\r\n" in answer:
            return answer
    raise AssertionError("no answer to five requests")


def _assert_typed(refusal: Refusal, method: MethodDescriptor) -> None:
    if refusal.code is grpc.StatusCode.OK:
        return
    if (
        method.name == "ValidateToken"
        and f"DECISION_CODE_{refusal.reason}" in access_pb.DecisionCode.DESCRIPTOR.values_by_name
    ):
        return  # a decision, as the error that `http_status` asks for
    if refusal.reason in NOBODY_KNOWS or (refusal.reason == "SESSION_ENDED" and method.name in SESSIONS_END):
        return
    assert refusal.code not in (
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
    ), refusal
    if not refusal.reason:
        # The client's own word: its patience ended. And the standard services speak as their own standards say.
        waits = method.name in WAITING or method.server_streaming
        assert (refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED and waits) or _is_foreign(method), refusal
        return
    assert refusal.domain == "center", refusal
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+", refusal.reason), refusal
    if refusal.code is grpc.StatusCode.INVALID_ARGUMENT and refusal.reason not in NO_FIELD:
        assert refusal.violations, refusal
        for path in refusal.violations:
            if path.endswith("…"):
                continue  # too long for a client's metadata
            assert _names_a_field(method.input_type, path), (path, refusal)


def _is_foreign(method: MethodDescriptor) -> bool:
    return method.containing_service.full_name.startswith(("grpc.", "envoy."))


def _names_a_field(kind: Descriptor, path: str) -> bool:
    """Whether the path of a violation, such as `tenant.labels['a']`, leads to a field of the request."""
    current: Descriptor | None = kind
    for name in re.sub(r"\[('.*?'|\d+|True|False)\]", "", path, flags=re.DOTALL).split("."):
        if current is None:
            return False
        found = current.fields_by_name.get(name) or current.oneofs_by_name.get(name)
        if found is None:
            return False
        current = getattr(found, "message_type", None)
        if current is not None and current.GetOptions().map_entry:
            current = current.fields_by_name["value"].message_type
    return True


def _certificate(method: MethodDescriptor) -> str:
    """Of somebody whom the contract lets in."""
    callers = rules.of(method).callers
    return next(name for role, name in CERTIFICATES.items() if role in callers)


async def _sent(
    channel: grpc.aio.Channel, method: MethodDescriptor, stream: Sequence[bytes], tenant_id: str, session: str
) -> Refusal:
    """What becomes of a call with these bytes; a stream of answers is read to its end or for a moment."""
    shape = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    path = f"/{method.containing_service.full_name}/{method.name}"
    make = getattr(channel, shape)(path)  # bytes in, bytes out
    metadata = [("x-tenant-id", tenant_id), *([("authorization", f"Bearer {session}")] if session else [])]
    call = make(_one_by_one(stream) if method.client_streaming else stream[0], metadata=metadata, timeout=PATIENCE_S)
    answers = message_factory.GetMessageClass(method.output_type)
    try:
        if method.server_streaming:
            async with asyncio.timeout(MOMENT_S):
                async for answer in call:
                    answers.FromString(answer)
        else:
            answers.FromString(await call)
    except TimeoutError:
        pass  # open and silent, as a watch is
    except grpc.aio.AioRpcError as error:
        return refusal_of(error)
    finally:
        call.cancel()
    return Refusal()


async def _one_by_one(stream: Sequence[bytes]) -> AsyncIterator[bytes]:
    for encoded in stream:
        yield encoded


async def _serves(platform: Platform, server: str) -> None:
    check = platform.channel(server).unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    answer = await check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def _populate(world: World) -> None:
    """Things of every kind, so that a request can name some that exist."""
    platform = world.platform
    tenants = [(await platform.create(f"known-{number}", domains=[f"known-{number}.example"])) for number in range(3)]
    draft = tenant_service_pb2.CreateTenantRequest(tenant={"code": "known-draft", "display_name": "draft"}, draft=True)
    tenants.append((await platform.tenants.CreateTenant(draft)).tenant)
    spare = {"id": "spare-1", "region_id": "eu", "capacity": 10, "state": cluster_service_pb2.CLUSTER_STATE_CLOSED}
    await platform.clusters.CreateCluster(cluster_service_pb2.CreateClusterRequest(cluster=spare))
    await platform.clusters.CreateShard(
        cluster_service_pb2.CreateShardRequest(shard={"id": "spare-shard", "cluster_id": "spare-1"})
    )
    await _populate_plans(PlanServiceStub(platform.channel("control")), tenants[0].id)
    products = platform.products("eu-1")
    product = product_service_pb2.CreateProductRequest(
        product={"title": "A lamp", "variants": [{"sku": "SKU-1", "price": {"currency_code": "EUR", "units": 5}}]}
    )
    made = (await products.CreateProduct(product, metadata=(("x-tenant-id", world.shop),))).product
    operations = (await platform.longrunning.ListOperations(operations_proto_pb2.ListOperationsRequest())).operations
    entries = (await platform.audit.ListEntries(audit_service_pb2.ListEntriesRequest(page_size=5))).entries
    page = await platform.tenants.ListTenants(tenant_service_pb2.ListTenantsRequest(page_size=1))
    domains = await platform.domains.ListDomains(domain_service_pb2.ListDomainsRequest(page_size=1))
    tenant_ids = [tenant.id for tenant in tenants]
    world.known |= {
        "tenant_id": tenant_ids,
        "resource_id": tenant_ids,
        # A cluster in use is nothing that a test takes away from the others.
        "id": [*tenant_ids, made.id, made.variants[0].id, *(entry.id for entry in entries), "spare-1"],
        "cluster_id": ["spare-1", "eu-1", "us-1"],
        "etag": [tenants[0].etag, made.etag],
        "name": [*(operation.name for operation in operations[:5]), "known-0.example", "known-1.example"],
        "page_token": [page.next_page_token, domains.next_page_token],
        "code": [tenant.code for tenant in tenants],
    }
    for name, values in (await _populate_notifications(platform, world.shop)).items():
        world.known.setdefault(name, []).extend(values)
    for name, values in (await _populate_payments(platform, world.shop)).items():
        world.known.setdefault(name, []).extend(values)
    for name, values in (await _populate_carts(platform, world.shop, made.variants[0].id)).items():
        world.known.setdefault(name, []).extend(values)
    for name, values in (await _populate_shelves(platform, world.shop, made.id)).items():
        world.known.setdefault(name, []).extend(values)
    for name, values in (await _populate_customers(world)).items():
        world.known.setdefault(name, []).extend(values)
    for name, values in (await _populate_orders(platform, world.shop, made.variants[0].id)).items():
        world.known.setdefault(name, []).extend(values)
    for name, values in (await _populate_prices(platform, world.shop)).items():
        world.known.setdefault(name, []).extend(values)
    for name, values in (await _populate_promotions(platform, world.shop)).items():
        world.known.setdefault(name, []).extend(values)
    for name, values in (await _populate_access(platform)).items():
        world.known.setdefault(name, []).extend(values)


async def _populate_shelves(platform: Platform, shop: str, product_id: str) -> dict[str, list[str]]:
    """A category and a collection, each with a product, by the names of request fields."""
    call, metadata = MerchandisingServiceStub(platform.channel("eu-1")), (("x-tenant-id", shop),)
    named = {"handle": "shelf", "title": "A shelf"}
    category = (await call.CreateCategory(shelves_pb.CreateCategoryRequest(category=named), metadata=metadata)).category
    new = shelves_pb.CreateCollectionRequest(collection=named)
    collection = (await call.CreateCollection(new, metadata=metadata)).collection
    into = shelves_pb.SetProductCategoriesRequest(product_id=product_id, category_ids=[category.id])
    await call.SetProductCategories(into, metadata=metadata)
    held = shelves_pb.SetCollectionProductsRequest(collection_id=collection.id, product_ids=[product_id])
    await call.SetCollectionProducts(held, metadata=metadata)
    return {
        "id": [category.id, collection.id],
        "parent_id": [category.id],
        "category_id": [category.id],
        "category_ids": [category.id],
        "collection_id": [collection.id],
        "product_id": [product_id],
        "product_ids": [product_id],
        "handle": ["shelf", "a-lamp"],
        "currency_code": ["EUR"],
    }


async def _populate_notifications(platform: Platform, shop: str) -> dict[str, list[str]]:
    """A template and a notification, by the names of request fields."""
    call = NotificationServiceStub(platform.channel("eu-1"))
    metadata = (("x-tenant-id", shop),)
    named = {"name": "fuzz", "channel": notices_pb.NOTIFICATION_CHANNEL_EMAIL}
    template = notices_pb.PutTemplateRequest(template={**named, "subject": "Hi", "text": "{{ name }}"})
    await call.PutTemplate(template, metadata=metadata)
    to = "fuzz@mail.example"
    request = notices_pb.SendNotificationRequest(channel=named["channel"], recipient=to, template="fuzz")  # type: ignore[arg-type]
    sent = (await call.SendNotification(request, metadata=metadata)).notification
    ids = [sent.id]
    return {"notification_id": ids, "id": ids, "template": ["fuzz"], "recipient": [to, "+4930123456"]}


async def _populate_payments(platform: Platform, shop: str) -> dict[str, list[str]]:
    """An account at the simulated provider and a payment, by the names of request fields."""
    payments = PaymentServiceStub(platform.channel("eu-1"))
    base, metadata = f"http://127.0.0.1:{ports.PAYMENTS + platform.offset}", (("x-tenant-id", shop),)
    settings = payments_pb.SetPaymentSettingsRequest(settings={"api_base": base}, secret_key="sk_test_fuzz")
    await payments.SetPaymentSettings(settings, metadata=metadata)
    amount = {"currency_code": "EUR", "units": 5}
    request = payments_pb.AuthorizeRequest(amount=amount, payment_method="pm_card_visa")
    made = (await payments.Authorize(request, metadata=metadata)).payment
    return {
        "id": [made.id],
        "payment_id": [made.id],
        "payment_method": ["pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired"],
        "provider": ["stripe"],
        "api_base": [base],
        "currency_code": ["EUR"],
    }


async def _populate_carts(platform: Platform, shop: str, variant_id: str) -> dict[str, list[str]]:
    """Two carts with a line each, by the names of request fields."""
    carts = CartServiceStub(platform.channel("eu-1"))
    metadata = (("x-tenant-id", shop),)
    ids, lines = [], []
    for _ in range(2):
        made = await carts.CreateCart(carts_pb.CreateCartRequest(currency_code="EUR"), metadata=metadata)
        request = carts_pb.AddLineRequest(cart_id=made.cart.id, variant_id=variant_id, quantity=2)
        lines.append((await carts.AddLine(request, metadata=metadata)).cart.lines[0].id)
        ids.append(made.cart.id)
    # The first one can be paid for.
    await carts.SetEmail(carts_pb.SetEmailRequest(cart_id=ids[0], email="ada@mail.example"), metadata=metadata)
    address = {"name": "Ada", "lines": ["Square 1"], "city": "Berlin", "country_code": "DE"}
    await carts.SetAddress(carts_pb.SetAddressRequest(cart_id=ids[0], address=address), metadata=metadata)
    stock = InventoryServiceStub(platform.channel("eu-1"))
    received = {"variant_id": variant_id, "kind": "STOCK_MOVEMENT_KIND_RECEIVED", "quantity": 100}
    await stock.AdjustStock(stock_pb.AdjustStockRequest(adjustments=[received]), metadata=metadata)
    checkouts = CheckoutServiceStub(platform.channel("eu-1"))
    await checkouts.StartCheckout(checkouts_pb.StartCheckoutRequest(cart_id=ids[0]), metadata=metadata)
    named = dict.fromkeys(("id", "cart_id", "from_cart_id", "into_cart_id"), ids)
    return {
        **named,
        "line_id": lines,
        "variant_id": [variant_id],
        "shipping_method": ["free"],
        "email": ["ada@mail.example", "ada"],
    }


async def _populate_customers(world: World) -> dict[str, list[str]]:
    """A customer who is signed in, with an address, and one from elsewhere, by the names of request fields."""
    metadata = (("x-tenant-id", world.shop),)
    shopper = ShopperServiceStub(world.platform.channel("eu-1", "envoy"))
    for method in ("", *SESSIONS_END):
        new = customers_pb.RegisterCustomerRequest(email=f"input{method}@mail.example", password="input-input")
        made = await shopper.RegisterCustomer(new, metadata=metadata)
        world.sessions[method] = made.session.token
    request = customers_pb.AddMyAddressRequest(address={"name": "a", "lines": ["1"], "city": "b", "country_code": "GB"})
    signed = (*metadata, ("authorization", f"Bearer {world.sessions['']}"))
    address = await shopper.AddMyAddress(request, metadata=signed)
    backoffice = CustomerServiceStub(world.platform.channel("eu-1"))
    upsert = customers_pb.UpsertCustomerRequest(external_id="14646")
    other = (await backoffice.UpsertCustomer(upsert, metadata=metadata)).customer
    return {
        "id": [address.id, other.id],
        "email": ["input@mail.example"],
        "external_id": ["14646"],
        "password": ["input-input"],
        "new_password": ["other-input"],
        "locale": ["de", "de-AT"],
    }


async def _populate_orders(platform: Platform, shop: str, variant_id: str) -> dict[str, list[str]]:
    """An order that is paid for, one of it shipped, by the names of request fields."""
    metadata, channel = (("x-tenant-id", shop),), platform.channel("eu-1")
    carts, checkouts, orders = CartServiceStub(channel), CheckoutServiceStub(channel), OrderServiceStub(channel)
    cart = (await carts.CreateCart(carts_pb.CreateCartRequest(currency_code="EUR"), metadata=metadata)).cart
    line = carts_pb.AddLineRequest(cart_id=cart.id, variant_id=variant_id, quantity=3)
    await carts.AddLine(line, metadata=metadata)
    await carts.SetEmail(carts_pb.SetEmailRequest(cart_id=cart.id, email="ada@mail.example"), metadata=metadata)
    address = {"name": "Ada", "lines": ["Square 1"], "city": "Berlin", "country_code": "DE"}
    await carts.SetAddress(carts_pb.SetAddressRequest(cart_id=cart.id, address=address), metadata=metadata)
    start = checkouts_pb.StartCheckoutRequest(cart_id=cart.id)
    total = (await checkouts.StartCheckout(start, metadata=metadata)).checkout.total
    complete = checkouts_pb.CompleteCheckoutRequest(
        cart_id=cart.id, expected_total=total, payment_method="pm_card_visa"
    )
    order_id = (await checkouts.CompleteCheckout(complete, metadata=metadata)).checkout.order_id
    found = (await orders.GetOrder(orders_pb.GetOrderRequest(id=order_id), metadata=metadata)).order
    ship = orders_pb.CreateFulfillmentRequest(order_id=order_id, lines=[{"line_id": found.lines[0].id, "quantity": 1}])
    shipped = (await orders.CreateFulfillment(ship, metadata=metadata)).fulfillment
    return {
        "id": [order_id],
        "order_id": [order_id],
        "line_id": [found.lines[0].id],
        "fulfillment_id": [shipped.id],
    }


async def _populate_prices(platform: Platform, shop: str) -> dict[str, list[str]]:
    """A price list, by the names of request fields."""
    stub = PriceListServiceStub(platform.channel("eu-1"))
    request = prices_pb.CreatePriceListRequest(price_list={"display_name": "Wholesale", "currency_code": "EUR"})
    made = (await stub.CreatePriceList(request, metadata=(("x-tenant-id", shop),))).price_list
    return {"id": [made.id], "price_list_id": [made.id]}


async def _populate_promotions(platform: Platform, shop: str) -> dict[str, list[str]]:
    """Promotions, one of them with a code, by the names of request fields."""
    stub = PromotionServiceStub(platform.channel("eu-1"))
    effect = {"type": promotions_pb.PROMOTION_EFFECT_TYPE_PERCENT, "basis_points": 1000}
    ids = []
    for named in ({"automatic": True}, {"code": "input"}):
        request = promotions_pb.CreatePromotionRequest(promotion={"effect": effect, **named})  # type: ignore[arg-type]
        ids.append((await stub.CreatePromotion(request, metadata=(("x-tenant-id", shop),))).promotion.id)
    return {
        "id": ids,
        "promotion_ids": ids,
        "codes": ["input", "INPUT"],
        "values": ["1", "a", "DE"],
        "country_code": ["DE"],
    }


async def _populate_access(platform: Platform) -> dict[str, list[str]]:
    """A solution with a user, a key and a reservation, by the names of request fields."""
    solutions = SolutionServiceStub(platform.channel("control"))
    access = AccessServiceStub(platform.channel("control"))
    daily = {"limit": 1000, "period": quota_pb2.QUOTA_PERIOD_DAY}
    solution = {"id": "fuzzed", "display_name": "Fuzzed", "tiers": [{"id": "free", "quotas": {"search": daily}}]}
    await solutions.CreateSolution(solutions_pb.CreateSolutionRequest(solution=solution))
    key = await solutions.CreateSolutionKey(solutions_pb.CreateSolutionKeyRequest(solution_id="fuzzed"))
    email = "fuzz@mail.example"
    request = access_pb.GenerateSolutionTokenRequest(user_email=email, solution_id="fuzzed")
    made = await access.GenerateSolutionToken(request)
    asked = {"token": made.token, "solution_id": "fuzzed", "action": "search"}
    told = await access.ValidateToken(access_pb.ValidateTokenRequest(**asked))
    held = await access.ReserveUnits(access_pb.ReserveUnitsRequest(**asked, units=1))
    return {
        "solution_id": ["fuzzed"],
        "user_email": [email],
        "token": [made.token, key.secret],
        "kid": [made.token_kid, key.key.kid],
        "id": [made.entitlement_id, "fuzzed"],
        "action": ["search"],
        "tier": ["free"],
        "access_tier": ["free"],
        "decision_id": [told.decision_id],
        "reservation_id": [held.reservation_id],
    }


async def _populate_plans(plans: PlanServiceStub, tenant_id: str) -> None:
    """Of their own: what odd requests do to them is felt by nobody else."""
    rate = {"schema": {"rate_limit": {}}, "default_value": {"rate_limit": {"per_second": 1, "burst": 1}}}
    for feature in (
        plans_pb.Feature(id="fuzz_units", metered={"unit": "units", "period": quota_pb2.QUOTA_PERIOD_DAY}),
        plans_pb.Feature(id="fuzz_switch", boolean={}),
        plans_pb.Feature(id="fuzz_rate", configuration=rate),
    ):
        await plans.CreateFeature(plans_pb.CreateFeatureRequest(feature=feature))
    on = plans_pb.FeatureValue(boolean=True)
    given = [plans_pb.PlanFeature(feature_id="fuzz_switch", value=on)]
    await plans.CreatePlan(plans_pb.CreatePlanRequest(plan={"id": "fuzz"}, features=given))
    add_on = plans_pb.AddOn(id="fuzz-more", features=[{"feature_id": "fuzz_units", "extra_units": 5}])
    await plans.CreateAddOn(plans_pb.CreateAddOnRequest(add_on=add_on))
    override = plans_pb.Override(tenant_id=tenant_id, feature_id="fuzz_switch", add=on, reason="a test")
    await plans.SetOverride(plans_pb.SetOverrideRequest(override=override))
