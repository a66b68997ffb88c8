"""What an operator changes is what shoppers get at Envoy: as JSON over HTTP, as gRPC and as gRPC-Web."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import grpc
import pytest

from center.control.v1 import domain_service_pb2, tenant_pb2, tenant_service_pb2
from center.dataplane.v1 import product_service_pb2, product_service_pb2_grpc
from center.edge.v1 import edge_service_pb2
from tests.edge.web import Answer, Shopper
from tests.support.grpc import Refusal, refusal_of, refuses
from tests.support.platform import Platform, until

pytestmark = pytest.mark.e2e

_numbers = count(1)
PRICE = {"currency_code": "EUR", "units": 12, "nanos": 500_000_000}


@dataclass
class Shop:
    """A tenant of its own for a test, seen from outside."""

    platform: Platform
    tenant: tenant_pb2.Tenant
    token: str
    shopper: Shopper

    @property
    def host(self) -> str:
        return f"{self.tenant.code}.{self.platform.zone}"

    async def get(self, path: str = "/v1/products", **headers: str) -> Answer:
        return await self.shopper.get(self.host, path, **headers)

    async def post(self, title: str) -> Answer:
        """A merchant's new product, over JSON."""
        sku = f"SKU-{next(_numbers)}"
        body = {"product": {"title": title, "variants": [{"sku": sku, "price": {"currencyCode": "EUR", "units": 3}}]}}
        return await self.shopper.send(
            "POST",
            self.host,
            "/v1/backoffice/products",
            json.dumps(body).encode(),
            content_type="application/json",
            authorization=self.token,
        )

    async def change(self, action: "tenant_service_pb2.TenantAction.ValueType") -> None:
        """Returns when every Envoy has the change."""
        request = tenant_service_pb2.ChangeTenantStatusRequest(id=self.tenant.id, action=action, reason="a test")
        answer = await self.platform.tenants.ChangeTenantStatus(request)
        await self.platform.applied(answer.tenant.revision)

    async def mode(self, mode: tenant_pb2.TenantMode, **rest: Any) -> None:
        request = tenant_service_pb2.SetTenantModeRequest(id=self.tenant.id, mode=mode, reason="a test", **rest)
        answer = await self.platform.tenants.SetTenantMode(request)
        await self.platform.applied(answer.tenant.revision)

    async def outcome(self, host: str = "") -> str:
        """ExplainRoute's word."""
        request = edge_service_pb2.ExplainRouteRequest(host=host or self.host)
        answer = await self.platform.edge.ExplainRoute(request)
        return edge_service_pb2.RouteOutcome.Name(answer.outcome).removeprefix("ROUTE_OUTCOME_")

    @asynccontextmanager
    async def products(self) -> AsyncIterator[Any]:
        """A gRPC client outside: no certificate, and no retries of its own that could hide a failure."""
        options = [("grpc.default_authority", self.host), ("grpc.enable_retries", 0)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.platform.envoy_port}", options=options) as channel:
            yield product_service_pb2_grpc.ProductServiceStub(channel)

    def assert_agreed(self) -> None:
        """Catalog, clusters, ExplainRoute and Envoy say the same of this tenant."""
        checked = self.platform.center("check", "--tenant", self.tenant.code)
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture
async def shop(platform: Platform) -> AsyncIterator[Shop]:
    tenant = await platform.create(f"visible-{next(_numbers)}", region_id="eu")
    shopper = platform.shopper()
    yield Shop(platform, tenant, await platform.token(tenant.id), shopper)
    await shopper.close()


async def test_a_new_shop_answers_at_its_subdomain_from_the_cluster_of_the_catalog(shop: Shop) -> None:
    for spelling in (shop.host, shop.host.upper(), f"{shop.host}:8080", f"{shop.host}."):
        answer = await shop.shopper.get(spelling)
        assert answer.status == 200, (spelling, answer)
        assert answer.headers["x-center-tenant"] == shop.tenant.id
        assert answer.headers["x-center-cluster"] == shop.tenant.placement.cluster_id == "eu-1"
    assert await shop.outcome() == "CLUSTER"
    shop.assert_agreed()


async def test_a_merchant_writes_and_a_shopper_reads_over_json_grpc_and_grpc_web(shop: Shop) -> None:
    created = await shop.post("A lamp")
    assert created.status == 200, created
    product_id = created.json["product"]["id"]
    assert (await shop.get(f"/v1/products/{product_id}")).json["product"]["title"] == "A lamp"
    async with shop.products() as products:
        request = product_service_pb2.GetProductRequest(id=product_id)
        assert (await products.GetProduct(request)).product.title == "A lamp"
        async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
            await products.ArchiveProduct(product_service_pb2.ArchiveProductRequest(id=product_id))
    listed = await _grpc_web(shop, "ListProducts", product_service_pb2.ListProductsRequest().SerializeToString())
    assert listed.code is grpc.StatusCode.OK
    found = product_service_pb2.ListProductsResponse.FromString(listed.message)
    assert [product.id for product in found.products] == [product_id]


async def test_a_suspended_shop_is_closed_everywhere_and_opens_again(shop: Shop) -> None:
    await shop.change(tenant_service_pb2.TENANT_ACTION_SUSPEND)
    answer = await shop.get()
    assert (answer.status, answer.reason) == (503, "TENANT_SUSPENDED")
    assert int(answer.headers["retry-after"]) > 0
    page = await shop.get("/", accept="text/html")
    assert (page.status, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert shop.tenant.display_name in page.body.decode()
    assert (await shop.post("late")).reason == "TENANT_SUSPENDED"
    async with shop.products() as products:
        async with refuses("FAILED_PRECONDITION", "TENANT_SUSPENDED"):
            await products.ListProducts(product_service_pb2.ListProductsRequest())
    assert (await _grpc_web(shop, "ListProducts", b"")).code is grpc.StatusCode.FAILED_PRECONDITION
    # The cluster does not rely on the edge.
    async with refuses("FAILED_PRECONDITION", "TENANT_SUSPENDED"):
        await _directly(shop, "eu-1").ListProducts(product_service_pb2.ListProductsRequest(), metadata=_tenant(shop))
    assert await shop.outcome() == "SUSPENDED"
    shop.assert_agreed()
    await shop.change(tenant_service_pb2.TENANT_ACTION_RESUME)
    assert (await shop.get()).status == 200
    shop.assert_agreed()
    await shop.change(tenant_service_pb2.TENANT_ACTION_TERMINATE)
    assert ((gone := await shop.get()).status, gone.reason) == (410, "TENANT_GONE")
    assert await shop.outcome() == "GONE"
    shop.assert_agreed()


async def test_read_only_refuses_writes_and_nothing_else(shop: Shop) -> None:
    await shop.mode(tenant_pb2.TENANT_MODE_READ_ONLY)
    assert (await shop.get()).status == 200
    refused = await shop.post("late")
    assert (refused.status, refused.reason) == (503, "TENANT_READ_ONLY")
    async with shop.products() as products:
        await products.SearchProducts(product_service_pb2.SearchProductsRequest(query="lamp"))
        request = product_service_pb2.CreateProductRequest(product={"title": "late"})
        async with refuses("FAILED_PRECONDITION", "TENANT_READ_ONLY"):
            await products.CreateProduct(request, metadata=(("authorization", shop.token),))
    async with refuses("FAILED_PRECONDITION", "TENANT_READ_ONLY"):
        await _directly(shop, "eu-1").CreateProduct(request, metadata=_tenant(shop))
    assert await shop.outcome() == "CLUSTER_READ_ONLY"
    shop.assert_agreed()
    await shop.mode(tenant_pb2.TENANT_MODE_NORMAL)
    assert (await shop.post("in time")).status == 200


async def test_maintenance_answers_for_the_shop_and_ends_by_itself(shop: Shop) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=2)
    await shop.mode(tenant_pb2.TENANT_MODE_MAINTENANCE, expire_time=ends)
    answer = await shop.get()
    assert (answer.status, answer.reason) == (503, "TENANT_MAINTENANCE")
    assert int(answer.headers["retry-after"]) > 0
    assert (await shop.get("/", accept="text/html")).headers["content-type"].startswith("text/html")
    async with shop.products() as products:
        async with refuses("UNAVAILABLE", "TENANT_MAINTENANCE") as refusal:
            await products.ListProducts(product_service_pb2.ListProductsRequest())
        assert refusal.retry_after_s
    assert await shop.outcome() == "MAINTENANCE"

    async def open_again() -> bool:
        return (await shop.get()).status == 200

    await until(open_again, 15, "the maintenance to end by itself")
    assert datetime.now(UTC) >= ends
    shop.assert_agreed()


async def test_an_added_domain_answers_and_a_removed_one_does_not(shop: Shop) -> None:
    name = f"{shop.tenant.code}.example"
    assert ((unknown := await shop.shopper.get(name)).status, unknown.reason) == (404, "HOST_UNKNOWN")
    added = await shop.platform.domains.AddDomain(
        domain_service_pb2.AddDomainRequest(tenant_id=shop.tenant.id, name=name.upper(), verified_reason="a test")
    )
    await shop.platform.applied(added.domain.revision)
    answer = await shop.shopper.get(name)
    assert (answer.status, answer.headers["x-center-tenant"]) == (200, shop.tenant.id)
    assert await shop.outcome(name) == "CLUSTER"
    shop.assert_agreed()
    removed = await shop.platform.domains.RemoveDomain(
        domain_service_pb2.RemoveDomainRequest(tenant_id=shop.tenant.id, name=name, reason="a test")
    )
    await shop.platform.applied(removed.revision)
    assert (await shop.shopper.get(name)).status == 404
    assert await shop.outcome(name) == "UNKNOWN_HOST"
    assert (await shop.get()).status == 200


async def test_a_claimed_domain_answers_once_its_owner_has_proven_it(shop: Shop) -> None:
    name = f"www.{shop.tenant.code}.example"
    claimed = await shop.platform.domains.AddDomain(
        domain_service_pb2.AddDomainRequest(tenant_id=shop.tenant.id, name=name)
    )
    proof = claimed.domain.proof
    verify = domain_service_pb2.VerifyDomainRequest(tenant_id=shop.tenant.id, name=name)
    async with refuses("FAILED_PRECONDITION", "DOMAIN_PROOF_MISSING") as refusal:
        await shop.platform.domains.VerifyDomain(verify)
    assert (refusal.metadata["record"], refusal.metadata["expected"]) == (proof.record, proof.value)
    await shop.platform.applied()
    assert (await shop.shopper.get(name)).status == 404
    with shop.platform.zone_file.open("a") as zone:
        zone.write(f'{proof.record}. 60 IN TXT "{proof.value}"\n')
    verified = await shop.platform.domains.VerifyDomain(verify)
    await shop.platform.applied(verified.domain.revision)
    assert (await shop.shopper.get(name)).headers["x-center-tenant"] == shop.tenant.id


async def test_an_unknown_host_gets_a_small_page_or_a_typed_error(platform: Platform) -> None:
    shopper = platform.shopper()
    answer = await shopper.get("no-such-shop.example")
    assert (answer.status, answer.reason) == (404, "HOST_UNKNOWN")
    page = await shopper.get("no-such-shop.example", "/", accept="text/html")
    assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert len(page.body) < 4096
    await shopper.close()


async def test_the_platforms_own_domain_leads_to_the_control_plane(platform: Platform) -> None:
    shopper = platform.shopper()
    answer = await shopper.get(platform.zone, "/v1/status")
    assert (answer.status, answer.headers["x-center-cluster"]) == (200, "_control")
    assert int(answer.json["revision"]) > 0
    # What outsiders may not call is refused by the contract's rules there, and a shop's API is not there at all.
    assert (await shopper.get(platform.zone, "/v1/products")).status == 404
    options = [("grpc.default_authority", platform.zone)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{platform.envoy_port}", options=options) as channel:
        list_tenants = channel.unary_unary("/center.control.v1.TenantService/ListTenants")
        async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
            await list_tenants(b"")
    await shopper.close()


async def test_a_shop_that_moves_answers_every_read_and_keeps_every_write(shop: Shop) -> None:
    load = Load(shop)
    async with load.running():
        await load.has_written(20)
        request = tenant_service_pb2.MoveTenantRequest(id=shop.tenant.id, cluster_id="us-1", reason="a test")
        moving = await shop.platform.tenants.MoveTenant(request)
        moved = await shop.platform.done(moving.operation.name, 60)
        assert moved.HasField("response"), moved
        await load.has_written(len(load.written) + 20)
    assert not load.failed_reads, load.failed_reads[:5]
    assert load.clusters_seen == {"eu-1", "us-1"}
    for refusal in load.refused_writes:
        assert refusal.code is grpc.StatusCode.UNAVAILABLE, refusal
        assert refusal.retry_after_s, refusal
    async with shop.products() as products:
        for product_id, title in load.written.items():
            found = await products.GetProduct(product_service_pb2.GetProductRequest(id=product_id))
            assert found.product.title == title
        titles = []
        page = product_service_pb2.ListProductsRequest(page_size=100)
        while True:
            listed = await products.ListProducts(page)
            titles += [product.title for product in listed.products]
            if not listed.next_page_token:
                break
            page.page_token = listed.next_page_token
    # An unanswered write may have happened; an answered one has, and once.
    assert len(titles) == len(set(titles))
    assert set(load.written.values()) <= set(titles)
    tenant = (await shop.platform.tenants.GetTenant(tenant_service_pb2.GetTenantRequest(id=shop.tenant.id))).tenant
    assert tenant.placement.cluster_id == "us-1"
    shop.assert_agreed()


@dataclass
class Load:
    """Shoppers who read and merchants who write, at Envoy, all the time."""

    shop: Shop
    written: dict[str, str] = field(default_factory=dict)
    refused_writes: list[Refusal] = field(default_factory=list)
    failed_reads: list[Any] = field(default_factory=list)
    clusters_seen: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(work) for work in (self._read(), self._read(), self._write(1), self._write(2))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results

    async def has_written(self, number: int) -> None:
        await until(lambda: len(self.written) >= number, 30, f"{number} writes")

    async def _read(self) -> None:
        shopper = self.shop.platform.shopper()
        while True:
            answer = await shopper.get(self.shop.host)
            if answer.status != 200:
                self.failed_reads.append(answer)
            self.clusters_seen.add(answer.headers.get("x-center-cluster", ""))
            await asyncio.sleep(0.002)  # two cores are shared with those who answer

    async def _write(self, writer: int) -> None:
        metadata = (("authorization", self.shop.token),)
        async with self.shop.products() as products:
            for number in count():
                title = f"{writer}/{number}"
                variant = {"sku": f"M-{writer}-{number}", "price": PRICE}
                request = product_service_pb2.CreateProductRequest(product={"title": title, "variants": [variant]})
                try:
                    answer = await products.CreateProduct(request, metadata=metadata)
                    self.written[answer.product.id] = title
                except grpc.aio.AioRpcError as error:
                    self.refused_writes.append(refusal_of(error))
                await asyncio.sleep(0.005)


@dataclass(frozen=True)
class WebAnswer:
    code: grpc.StatusCode
    message: bytes


async def _grpc_web(shop: Shop, method: str, request: bytes) -> WebAnswer:
    """A browser's call: frames of one flag byte and a length; the trailers are the last frame, or headers."""
    framed = b"\0" + len(request).to_bytes(4, "big") + request
    path = f"/center.dataplane.v1.ProductService/{method}"
    answer = await shop.shopper.send("POST", shop.host, path, framed, content_type="application/grpc-web+proto")
    assert answer.status == 200, answer
    message, trailers, rest = b"", dict(answer.headers), answer.body
    while rest:
        flag, length = rest[0], int.from_bytes(rest[1:5], "big")
        part, rest = rest[5 : 5 + length], rest[5 + length :]
        if flag & 0x80:
            lines = (line.partition(":") for line in part.decode().split("\r\n") if line)
            trailers |= {name.lower(): value.strip() for name, _, value in lines}
        else:
            message += part
    code = next(code for code in grpc.StatusCode if code.value[0] == int(trailers["grpc-status"]))
    return WebAnswer(code, message)


def _directly(shop: Shop, cluster_id: str) -> Any:
    return shop.platform.products(cluster_id)


def _tenant(shop: Shop) -> tuple[tuple[str, str], ...]:
    return (("x-tenant-id", shop.tenant.id),)
