"""The chain around every method, on real servers over mutual TLS."""

import asyncio
import gc
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc

from center.control.v1 import access_service_pb2 as access
from center.control.v1 import access_service_pb2_grpc as access_grpc
from center.control.v1 import catalog_service_pb2 as catalog
from center.control.v1 import catalog_service_pb2_grpc as catalog_grpc
from center.dataplane.v1 import product_service_pb2 as products
from center.dataplane.v1 import product_service_pb2_grpc as products_grpc
from center.edge.v1 import edge_service_pb2 as edge
from center.edge.v1 import edge_service_pb2_grpc as edge_grpc
from shared.runtime import pki
from shared.runtime.context import CallContext, Trace, current, use
from shared.runtime.errors import FailedPrecondition, ResourceExhausted, Unauthenticated, Unavailable
from shared.runtime.rpc import contract, rules
from shared.runtime.rpc.chain import Limit
from shared.runtime.rpc.channel import connect
from shared.runtime.rpc.server import Server, Service, serving
from shared.runtime.rpc.status import received
from tests.support.grpc import refuses

IDENTITIES = ("operator", "control", "edge", "envoy", "cluster/eu-1", "solution/search", "stranger")
TENANT = "01a20111-45e2-7ea0-96d0-8c1b69958399"


class Edge:
    """Does as the host in the request says."""

    async def ExplainRoute(self, request: edge.ExplainRouteRequest, context: Any) -> edge.ExplainRouteResponse:
        match request.host:
            case "context":
                call = current()
                finding = (
                    f"{call.caller} {call.trace_id} {call.parent_id} {call.request_id} {call.deadline is not None}"
                )
                return edge.ExplainRouteResponse(steps=[edge.RouteStep(finding=finding)])
            case "precondition":
                raise FailedPrecondition("TENANT_BUSY", "wait for the operation", id="t1")
            case "long":
                raise FailedPrecondition("TENANT_BUSY", "\U0001f600" * 9000, id="t" * 9000, more="\n" * 9000)
            case "quota":
                raise ResourceExhausted("QUOTA", "used up", retry_after_s=1.5)
            case "secret":
                raise RuntimeError("password=hunter2")
            case "slow":
                await asyncio.Event().wait()
        return edge.ExplainRouteResponse()

    async def ListEdges(self, request: edge.ListEdgesRequest, context: Any) -> bytes:
        return edge.ListEdgesResponse(edges=[edge.Edge(id="packed before")]).SerializeToString()


class Products:
    """Tells in which tenant and role a call arrived."""

    async def ListProducts(self, request: products.ListProductsRequest, context: Any) -> products.ListProductsResponse:
        return products.ListProductsResponse(next_page_token=f"{current().role} {current().tenant_id}")

    async def ImportProducts(self, requests: Any, context: Any) -> AsyncIterator[products.ImportProductsResponse]:
        async for request in requests:
            if len(request.products) == 13:
                raise Unavailable("TENANT_MOVING", "wait", retry_after_s=2)
            yield products.ImportProductsResponse(rows_done=len(request.products))

    def __getattr__(self, name: str) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            return getattr(products, f"{name}Response")()

        return answer


class Access:
    """Tells who called."""

    async def GetEntitlement(
        self, request: access.GetEntitlementRequest, context: Any
    ) -> access.GetEntitlementResponse:
        return access.GetEntitlementResponse(entitlement={"id": f"{current().role} {current().caller}"})

    async def ReportLeakedToken(self, request: Any, context: Any) -> access.ReportLeakedTokenResponse:
        return access.ReportLeakedTokenResponse()

    def __getattr__(self, name: str) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            return getattr(access, f"{name}Response")()

        return answer


class Catalog:
    """A watch on which nothing ever happens."""

    def __init__(self, draining: asyncio.Event) -> None:
        self.draining = draining

    async def Watch(self, requests: Any, context: Any) -> AsyncIterator[catalog.WatchResponse]:
        yield catalog.WatchResponse(revision=1)
        await self.draining.wait()
        raise Unavailable("DRAINING", "another process will answer")


def verify(token: str, tenant_id: str) -> str:
    if token != f"for-{tenant_id}":
        raise Unauthenticated("TOKEN_INVALID", "get a new one")
    return "merchant"


def verify_solution(key: str) -> str:
    if key != "key-of-search":
        raise Unauthenticated("SOLUTION_KEY_INVALID", "make a new one")
    return "search"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("rpc")
    pki.ensure(home, IDENTITIES)
    return home


def services(draining: asyncio.Event) -> list[Service]:
    return [
        Service(Edge(), edge.DESCRIPTOR.services_by_name["EdgeService"]),
        Service(Products(), products.DESCRIPTOR.services_by_name["ProductService"]),
        Service(Access(), access.DESCRIPTOR.services_by_name["AccessService"]),
        Service(Catalog(draining), catalog.DESCRIPTOR.services_by_name["CatalogService"]),
    ]


@pytest.fixture(scope="module")
async def server(certificates: Path) -> AsyncIterator[Server]:
    draining = asyncio.Event()
    async with serving(
        services(draining),
        address="127.0.0.1:0",
        identity=pki.load(certificates, "edge"),
        admin_address="127.0.0.1:0",
        verify_backoffice=verify,
        verify_solution=verify_solution,
        draining=draining,
        drain_s=0,
    ) as running:
        yield running


@pytest.fixture
async def channel(server: Server, certificates: Path) -> AsyncIterator[Callable[[str], grpc.aio.Channel]]:
    async with AsyncExitStack() as stack:
        made = {
            name: await stack.enter_async_context(
                connect(f"127.0.0.1:{server.port}", pki.load(certificates, name), server="edge")
            )
            for name in IDENTITIES
        }
        yield made.__getitem__


def explain(channel: grpc.aio.Channel, host: str, **how: Any) -> Any:
    return edge_grpc.EdgeServiceStub(channel).ExplainRoute(edge.ExplainRouteRequest(host=host), **how)


@pytest.mark.parametrize("names", [(), ("localhost",), ("localhost", "other")])
async def test_a_common_name_makes_nobody(certificates: Path, server: Server, names: tuple[str, ...]) -> None:
    """Whoever else signs with our CA may let people choose it; who one is stands in the alternative names."""
    ca = x509.load_pem_x509_certificate(pki.ca_path(certificates).read_bytes())
    ca_key = serialization.load_pem_private_key(pki.key_path(certificates, "ca").read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "spiffe://center/operator")]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    signed = made.sign(ca_key, hashes.SHA256())
    identity = pki.Identity(
        "operator",
        pki.ca_path(certificates).read_bytes(),
        signed.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    async with connect(f"127.0.0.1:{server.port}", identity, server="edge") as channel:
        async with refuses("UNAUTHENTICATED", "CERTIFICATE_REQUIRED"):
            await edge_grpc.EdgeServiceStub(channel).ListEdges(edge.ListEdgesRequest())


async def test_the_trace_and_the_request_id_of_the_caller_are_taken_over(channel):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = await explain(channel("operator"), "context", metadata=(("traceparent", trace), ("x-request-id", "r-1")))
    assert answer.steps[0].finding == "operator 4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 r-1 True"


async def test_an_invalid_trace_is_replaced_by_a_new_one(channel):
    zero = f"00-{'0' * 32}-00f067aa0ba902b7-01"
    answer = await explain(channel("operator"), "context", metadata=(("traceparent", zero),))
    assert "0" * 32 not in answer.steps[0].finding


async def test_what_a_call_calls_is_a_child_in_its_trace_and_gets_less_time(channel):
    call = CallContext(known_trace=Trace("ab" * 16, "cd" * 8), deadline=asyncio.get_running_loop().time() + 5)
    with use(call):
        pending = explain(channel("control"), "context")
        answer = await pending
    assert f"{'ab' * 16} {'cd' * 8}" in answer.steps[0].finding
    call.deadline = asyncio.get_running_loop().time() + 0.05
    with use(call):
        async with refuses("DEADLINE_EXCEEDED"):
            await explain(channel("control"), "slow")


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\xc3\x28"])
async def test_bytes_that_are_no_message_are_the_callers_mistake(channel, data):
    raw = channel("operator").unary_unary("/center.edge.v1.EdgeService/ExplainRoute")
    async with refuses("INVALID_ARGUMENT", "MESSAGE_MALFORMED"):
        await raw(data)


async def test_a_field_against_its_rule_is_named(channel):
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await explain(channel("operator"), "")
    assert refusal.violations == {"host": "must be at least 1 characters"}


async def test_only_what_was_valid_is_remembered(channel):
    for host in ("", "shop.example", "", "shop.example", "x" * 301, "x" * 301):
        if host == "shop.example":
            await explain(channel("operator"), host)
            continue
        async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
            await explain(channel("operator"), host)


async def test_a_question_with_a_token_is_remembered_by_its_hash_only(channel):
    stub = access_grpc.AccessServiceStub(channel("operator"))
    token = "cct_dev_" + "a" * 100
    good = access.ValidateTokenRequest(token=token, action="search", solution_id="shop")
    wrong = access.ValidateTokenRequest(token=token, action="search", solution_id="shop", cost=-1)
    for _ in range(2):
        await stub.ValidateToken(good)
        async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
            await stub.ValidateToken(wrong)
    assert not [each for each in gc.get_objects() if type(each) is set and good.SerializeToString() in each]


async def test_the_path_of_a_violation_leads_to_the_field(channel):
    variant = products.Variant(sku="has space")
    request = products.CreateProductRequest(product=products.Product(title="x", variants=[variant]))
    stub = products_grpc.ProductServiceStub(channel("operator"))
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await stub.CreateProduct(request, metadata=(("x-tenant-id", TENANT),))
    assert set(refusal.violations) == {"product.variants[0].sku", "product.variants[0].price"}


async def test_a_refusal_fits_into_a_clients_metadata_however_much_is_wrong(channel):
    """Past 8 KiB of trailers a client gets RESOURCE_EXHAUSTED from its own library in place of the status."""
    create = channel("operator").unary_unary("/center.dataplane.v1.ProductService/CreateProduct")
    wrong = products.Product(handle="\U0001f600" * 4000, variants=[{"sku": "\U0001f600" * 4000}] * 101)
    request = products.CreateProductRequest(product=wrong).SerializeToString()
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await create(request, metadata=(("x-tenant-id", TENANT),))
    assert "product.handle" in refusal.violations
    async with refuses("FAILED_PRECONDITION", "TENANT_BUSY") as refusal:
        await explain(channel("operator"), "long")
    assert refusal.message.startswith("\U0001f600")


async def test_of_a_request_in_which_everything_is_wrong_one_thing_is_told(channel):
    """Each takes 4 KB while it is collected, and two bytes can break three rules: 2 MB were 13 GB, and the end of a
    process."""
    create = channel("operator").unary_unary("/center.dataplane.v1.ProductService/CreateProduct")

    def wrong(variants: int) -> bytes:
        return products.CreateProductRequest(product={"variants": [{}] * variants}).SerializeToString()

    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await create(wrong(20_000), metadata=(("x-tenant-id", TENANT),))
    assert len(refusal.violations) == 1
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await create(wrong(3), metadata=(("x-tenant-id", TENANT),))
    assert len(refusal.violations) == 6


async def test_a_large_request_that_is_wrong_anyway_is_looked_at_no_further(channel):
    """Five million empty texts in 10 MB, each looked at for U+0000, held everybody up for seconds."""
    create = channel("operator").unary_unary("/center.dataplane.v1.ProductService/CreateProduct")

    def wrong(variants: int) -> bytes:
        product = {"title": "", "variants": [{"sku": "a\0b", "price": {"currency_code": "EUR"}}] * variants}
        return products.CreateProductRequest(product=product).SerializeToString()

    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await create(wrong(20_000), metadata=(("x-tenant-id", TENANT),))
    assert "NUL" not in str(refusal.violations)
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await create(wrong(2), metadata=(("x-tenant-id", TENANT),))
    assert "NUL" in str(refusal.violations)


async def test_a_text_that_the_database_cannot_hold_is_named(channel):
    create = channel("operator").unary_unary("/center.dataplane.v1.ProductService/CreateProduct")
    variants = [{"sku": "ok", "price": {"currency_code": "EUR"}}, {"sku": "a\0b", "price": {"currency_code": "EUR"}}]
    wrong = products.CreateProductRequest(product={"title": "a\0b", "variants": variants})
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        await create(wrong.SerializeToString(), metadata=(("x-tenant-id", TENANT),))
    assert refusal.violations.keys() >= {"product.title", "product.variants[1].sku"}
    assert "product.variants[0].sku" not in refusal.violations


async def test_a_precondition_says_what_stands_in_the_way(channel):
    async with refuses("FAILED_PRECONDITION", "TENANT_BUSY") as refusal:
        await explain(channel("operator"), "precondition")
    assert refusal.metadata == {"id": "t1"}


async def test_a_client_reads_back_what_the_server_raised(channel):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await explain(channel("operator"), "quota")
    error = received(caught.value)
    assert isinstance(error, ResourceExhausted)
    assert (error.reason, error.message, error.retry_after_s) == ("QUOTA", "used up", 1.5)


async def test_a_fault_of_ours_tells_nothing_but_its_trace(channel):
    async with refuses("INTERNAL", "INTERNAL") as refusal:
        await explain(channel("operator"), "secret")
    assert "hunter2" not in refusal.message
    assert refusal.metadata["trace_id"] in refusal.message


async def test_a_handler_may_answer_with_bytes(channel):
    answer = await edge_grpc.EdgeServiceStub(channel("operator")).ListEdges(edge.ListEdgesRequest())
    assert answer.edges[0].id == "packed before"


@pytest.mark.parametrize("name", ["edge", "cluster/eu-1", "envoy", "stranger"])
async def test_who_is_not_named_in_the_contract_is_refused(channel, name):
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await explain(channel(name), "context")


async def test_a_client_without_a_certificate_does_not_get_in(server, certificates):
    credentials = grpc.ssl_channel_credentials(pki.load(certificates, "edge").ca_pem)
    options = (("grpc.ssl_target_name_override", "edge"),)
    async with grpc.aio.secure_channel(f"127.0.0.1:{server.port}", credentials, options) as channel:
        async with refuses("UNAVAILABLE"):
            await explain(channel, "context", timeout=5)


async def test_a_certificate_of_another_ca_does_not_get_in(server, certificates, tmp_path):
    pki.ensure(tmp_path, ["operator"])
    foreign, ours = pki.load(tmp_path, "operator"), pki.load(certificates, "operator")
    mixed = pki.Identity("operator", ours.ca_pem, foreign.cert_pem, foreign.key_pem)
    async with connect(f"127.0.0.1:{server.port}", mixed, server="edge") as channel, refuses("UNAVAILABLE"):
        await explain(channel, "context", timeout=5)


async def test_a_server_with_another_identity_is_not_trusted(server, certificates):
    async with (
        connect(f"127.0.0.1:{server.port}", pki.load(certificates, "operator"), server="control") as channel,
        refuses("UNAVAILABLE"),
    ):
        await explain(channel, "context", timeout=5)


async def list_products(channel: grpc.aio.Channel, **metadata: str) -> str:
    headers = tuple((key.replace("_", "-"), value) for key, value in metadata.items())
    stub = products_grpc.ProductServiceStub(channel)
    answer = await stub.ListProducts(products.ListProductsRequest(), metadata=headers)
    return str(answer.next_page_token)


@pytest.mark.parametrize("tenant_id", ["", "acme", TENANT.upper(), TENANT + "0"])
async def test_a_method_that_needs_a_tenant_refuses_a_call_without_a_valid_one(channel, tenant_id):
    async with refuses("INVALID_ARGUMENT", "TENANT_REQUIRED"):
        await list_products(channel("operator"), x_tenant_id=tenant_id)


async def test_envoys_certificate_makes_a_shopper_and_a_token_makes_a_merchant(channel):
    shopper = await list_products(channel("envoy"), x_tenant_id=TENANT)
    merchant = await list_products(channel("envoy"), x_tenant_id=TENANT, authorization=f"Bearer for-{TENANT}")
    assert (shopper, merchant) == (f"5 {TENANT}", f"6 {TENANT}")


@pytest.mark.parametrize("authorization", ["Bearer for-another", "Bearer", "Basic dTpw", "nonsense"])
async def test_a_token_that_does_not_hold_is_refused_even_where_none_is_needed(channel, authorization):
    async with refuses("UNAUTHENTICATED", "TOKEN_INVALID"):
        await list_products(channel("envoy"), x_tenant_id=TENANT, authorization=authorization)


async def entitlement(channel: grpc.aio.Channel, **metadata: str) -> str:
    request = access.GetEntitlementRequest(id=str(uuid.uuid4()))
    answer = await access_grpc.AccessServiceStub(channel).GetEntitlement(request, metadata=tuple(metadata.items()))
    return str(answer.entitlement.id)


async def test_a_solution_is_known_by_its_certificate_or_by_its_key_through_envoy(channel):
    assert await entitlement(channel("solution/search")) == "8 solution/search"
    assert await entitlement(channel("envoy"), authorization="Bearer key-of-search") == "8 solution/search"
    # A key proves nothing where somebody else's certificate speaks.
    assert await entitlement(channel("operator"), authorization="Bearer key-of-search") == "1 operator"


@pytest.mark.parametrize("authorization", ["Bearer key-of-others", "Bearer", "Basic dTpw", "nonsense"])
async def test_a_key_that_does_not_hold_is_refused_even_where_none_is_needed(channel, authorization):
    async with refuses("UNAUTHENTICATED"):
        await entitlement(channel("envoy"), authorization=authorization)
    report = access.ReportLeakedTokenRequest(token="any")
    async with refuses("UNAUTHENTICATED"):
        stub = access_grpc.AccessServiceStub(channel("envoy"))
        await stub.ReportLeakedToken(report, metadata=(("authorization", authorization),))


async def test_without_a_key_one_is_a_shopper_and_told_what_to_send(channel):
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED") as refusal:
        await entitlement(channel("envoy"))
    assert "with a key of its own" in refusal.message
    stub = access_grpc.AccessServiceStub(channel("envoy"))
    await stub.ReportLeakedToken(access.ReportLeakedTokenRequest(token="any"))


async def test_a_solution_calls_only_what_is_for_solutions(channel):
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await list_products(channel("solution/search"), x_tenant_id=TENANT)


async def test_a_shopper_may_not_write(channel):
    stub = products_grpc.ProductServiceStub(channel("envoy"))
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await stub.ArchiveProduct(
            products.ArchiveProductRequest(id=str(uuid.uuid4())), metadata=(("x-tenant-id", TENANT),)
        )


async def test_streams_pass_the_same_chain(channel):
    stub = products_grpc.ProductServiceStub(channel("operator"))

    async def requests() -> AsyncIterator[products.ImportProductsRequest]:
        for rows in (1, 2, 13):
            yield products.ImportProductsRequest(products=[products.Product()] * rows)

    done = []
    async with refuses("UNAVAILABLE", "TENANT_MOVING") as refusal:
        async for answer in stub.ImportProducts(requests(), metadata=(("x-tenant-id", TENANT),)):
            done.append(answer.rows_done)
    assert (done, refusal.retry_after_s) == ([1, 2], 2)
    async with refuses("INVALID_ARGUMENT", "TENANT_REQUIRED"):
        async for _ in stub.ImportProducts(requests()):
            pass
    async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        async for _ in products_grpc.ProductServiceStub(channel("envoy")).ImportProducts(requests()):
            pass


async def test_every_message_of_a_stream_is_checked(channel):
    async def requests() -> AsyncIterator[products.ImportProductsRequest]:
        yield products.ImportProductsRequest(products=[products.Product()])
        yield products.ImportProductsRequest(products=[products.Product()] * 501)

    stub = products_grpc.ProductServiceStub(channel("operator"))
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        async for _ in stub.ImportProducts(requests(), metadata=(("x-tenant-id", TENANT),)):
            pass
    assert set(refusal.violations) == {"products"}


async def test_an_idle_stream_survives_a_client_that_pings_it(server, certificates):
    """Under grpc's defaults the server answers the third early ping with GOAWAY too_many_pings."""
    identity = pki.load(certificates, "operator")
    options = (
        ("grpc.ssl_target_name_override", "edge"),
        ("grpc.keepalive_time_ms", 50),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    )
    credentials = grpc.ssl_channel_credentials(identity.ca_pem, identity.key_pem, identity.cert_pem)
    start = catalog.WatchRequest(start=catalog.WatchStart(instance="a"))
    async with grpc.aio.secure_channel(f"127.0.0.1:{server.port}", credentials, options) as channel:
        watch = catalog_grpc.CatalogServiceStub(channel).Watch(iter([start]))
        assert (await watch.read()).revision == 1
        idle = asyncio.ensure_future(watch.read())
        finished, _ = await asyncio.wait([idle], timeout=3)
        assert not finished, f"the stream ended: {await watch.code()}"
        idle.cancel()


async def test_a_stream_is_closed_before_its_call_is_gone(certificates):
    """A client that goes away while a message waits to be sent leaves the handler at its `yield`. What it does last, it
    does while the call is there: afterwards, its context is freed memory."""
    ends: list[tuple[int, str]] = []

    class Flood:
        async def Watch(self, requests: Any, context: Any) -> AsyncIterator[catalog.WatchResponse]:
            number = (await anext(requests)).start.from_revision
            context.add_done_callback(lambda _: ends.append((number, "the call")))
            try:
                while True:
                    yield catalog.WatchResponse(entries=[catalog.CatalogEntry(removed_tenant_id="x" * 1_000_000)])
            finally:
                ends.append((number, "the handler"))

    service = Service(Flood(), catalog.DESCRIPTOR.services_by_name["CatalogService"])
    identity = pki.load(certificates, "control")
    async with (
        serving([service], address="127.0.0.1:0", identity=identity, drain_s=0) as server,
        connect(
            f"127.0.0.1:{server.port}", pki.load(certificates, "edge"), server="control", receive_limit_bytes=-1
        ) as channel,
    ):
        for number in range(20):
            watch = catalog_grpc.CatalogServiceStub(channel).Watch()
            await watch.write(catalog.WatchRequest(start={"instance": "one", "from_revision": number}))
            await watch.read()
            watch.cancel()
        async with asyncio.timeout(10):
            while len(ends) < 40:
                await asyncio.sleep(0)
    for number in range(20):
        assert [what for of, what in ends if of == number] == ["the handler", "the call"]


async def test_draining_tells_health_checks_and_ends_endless_streams(certificates):
    draining = asyncio.Event()
    identity = pki.load(certificates, "edge")
    served = AsyncExitStack()
    server = await served.enter_async_context(
        serving(services(draining), address="127.0.0.1:0", identity=identity, draining=draining, drain_s=5)
    )
    async with connect(f"127.0.0.1:{server.port}", pki.load(certificates, "operator"), server="edge") as channel:
        service = health_pb2.HealthCheckRequest(service="center.edge.v1.EdgeService")
        health = health_pb2_grpc.HealthStub(channel).Watch(service)
        assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
        start = catalog.WatchRequest(start=catalog.WatchStart(instance="a"))
        watch = catalog_grpc.CatalogServiceStub(channel).Watch(iter([start]))
        await watch.read()
        stopping = asyncio.ensure_future(served.aclose())
        assert (await health.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        async with refuses("UNAVAILABLE", "DRAINING"):
            await watch.read()
        health.cancel()
        await stopping


async def test_calls_without_a_deadline_share_a_limit_that_ends_only_what_is_past_it():
    limit, loop = Limit(0.2), asyncio.get_running_loop()

    async def late() -> float:
        began = loop.time()
        with pytest.raises(TimeoutError):
            await limit.within(asyncio.Event().wait())
        return loop.time() - began

    async def in_time() -> str:
        await asyncio.sleep(0.01)
        return "done"

    first = asyncio.ensure_future(late())
    assert await limit.within(in_time()) == "done"
    gone = asyncio.ensure_future(limit.within(asyncio.Event().wait()))
    await asyncio.sleep(0.1)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    second = asyncio.ensure_future(late())
    assert all(0.18 < took_s < 0.5 for took_s in await asyncio.gather(first, second))


async def test_a_taken_port_is_an_error(server, certificates):
    with pytest.raises(RuntimeError, match=str(server.port)):
        async with serving([], address=f"127.0.0.1:{server.port}", identity=pki.load(certificates, "edge")):
            pass


async def test_health_lists_every_service(channel):
    listed = await health_pb2_grpc.HealthStub(channel("operator")).List(health_pb2.HealthListRequest())
    assert {"", "center.edge.v1.EdgeService"} <= listed.statuses.keys()


async def test_an_unknown_service_is_a_typed_refusal_and_no_failure(channel):
    request = health_pb2.HealthCheckRequest(service="nobody.Here")
    async with refuses("NOT_FOUND", "SERVICE_UNKNOWN"):
        await health_pb2_grpc.HealthStub(channel("operator")).Check(request)


async def test_the_admin_port_serves_health_without_a_certificate(server):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.admin_port}") as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        async with refuses("UNIMPLEMENTED"):
            await explain(channel, "context")


async def test_a_method_without_rules_stops_the_start(certificates):
    file = descriptor_pb2.FileDescriptorProto(name="naked.proto", package="center.naked.v1", syntax="proto3")
    file.message_type.add(name="Empty")
    service = file.service.add(name="NakedService")
    service.method.add(name="Do", input_type=".center.naked.v1.Empty", output_type=".center.naked.v1.Empty")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]
    naked = pool.FindServiceByName("center.naked.v1.NakedService")
    with pytest.raises(rules.RulesMissing, match=r"center\.naked\.v1\.NakedService/Do"):
        async with serving([Service(object(), naked)], address="127.0.0.1:0", identity=pki.load(certificates, "edge")):
            pass


def test_a_class_tells_its_contract_and_one_without_or_with_two_does_not() -> None:
    class Served(edge_grpc.EdgeServiceServicer):
        pass

    class Grown(Served):
        pass

    class Both(Served, catalog_grpc.CatalogServiceServicer):
        pass

    service = edge.DESCRIPTOR.services_by_name["EdgeService"]
    for each in (Served, Grown(), edge_grpc.EdgeServiceServicer, edge_grpc.EdgeServiceStub):
        assert contract.of(each) is service
    assert Service.of(Grown()).descriptor is service
    with pytest.raises(TypeError, match=r"Edge .* comes from none"):
        contract.of(Edge())
    with pytest.raises(TypeError, match=r"Both .* EdgeServiceServicer and CatalogServiceServicer"):
        Service.of(Both())
