"""What an operator says of plans is what clusters and domains hold to, also while no control process runs."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from center.control.v1 import domain_service_pb2 as domains_pb
from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import quota_pb2, tenant_pb2
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from shared.runtime import pki
from shared.runtime.rpc.channel import connect
from tests.control.plane import Plane, until
from tests.support.grpc import refuses

NO_ROOM = ("RESOURCE_EXHAUSTED", "PRODUCT_LIMIT_REACHED")
NOT_IN_PLAN = ("FAILED_PRECONDITION", "FEATURE_NOT_IN_PLAN")
STANDING = quota_pb2.QUOTA_PERIOD_STANDING


class Shop:
    """A tenant at eu-1, and how its products are called."""

    def __init__(self, plane: Plane, tenant: tenant_pb2.Tenant) -> None:
        self.plane, self.id = plane, tenant.id

    @asynccontextmanager
    async def products(self, identity: str = "operator") -> AsyncIterator[Any]:
        [seed] = [each for each in self.plane.config.seeds if each.cluster_id == "eu-1"]
        me = pki.load(self.plane.config.home, identity)
        async with connect(f"127.0.0.1:{seed.endpoint.port}", me, server="eu-1") as channel:
            yield ProductServiceStub(channel)

    async def create(self, count: int = 1) -> None:
        async with self.products() as stub:
            for _ in range(count):
                new = products_pb.Product(title="Lamp", handle=f"lamp-{uuid.uuid4().hex[:12]}")
                await stub.CreateProduct(products_pb.CreateProductRequest(product=new), metadata=self.metadata)

    async def run_import(self) -> None:
        async def requests() -> AsyncIterator[products_pb.ImportProductsRequest]:
            yield products_pb.ImportProductsRequest()

        async with self.products() as stub:
            async for _ in stub.ImportProducts(requests(), metadata=self.metadata):
                pass

    async def count(self, identity: str = "operator") -> int:
        async with self.products(identity) as stub:
            answer = await stub.ListProducts(products_pb.ListProductsRequest(), metadata=self.metadata)
        return len(answer.products)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-tenant-id", self.id),)

    async def change(self, feature_id: str, action: str, value: pb.FeatureValue | pb.Removal) -> pb.Override:
        """Sets an override, and returns when the cluster has acknowledged it."""
        override = pb.Override(tenant_id=self.id, feature_id=feature_id, reason="a test")
        getattr(override, action).CopyFrom(value)
        set_ = (await self.plane.plans.SetOverride(pb.SetOverrideRequest(override=override))).override
        await self.acknowledged(set_.revision)
        return set_

    async def acknowledged(self, revision: int) -> None:
        async def has_it() -> bool:
            answer = await self.plane.plans.ListFeatureWatchers(pb.ListFeatureWatchersRequest())
            watchers = {each.id: each.applied_revision for each in answer.watchers if each.live}
            return watchers.get("cluster/eu-1/eu-1", 0) >= revision

        await until(has_it)


def quota(limit: int) -> pb.FeatureValue:
    return pb.FeatureValue(quota=quota_pb2.Quota(limit=limit, period=STANDING))


@pytest.fixture
async def shop(plane: Plane) -> Shop:
    code = f"limits-{uuid.uuid4().hex[:8]}"
    made = Shop(plane, await plane.active(code, region_id="eu"))
    known = await plane.plans.GetTenantFeatures(pb.GetTenantFeaturesRequest(tenant_id=made.id))
    await made.acknowledged(known.features.version)
    return made


async def test_an_override_counts_at_the_cluster_that_has_acknowledged_it(shop: Shop) -> None:
    await shop.run_import()
    lowered = await shop.change("products", "lower", quota(2))
    await shop.change("bulk_import", "remove", pb.Removal())
    await shop.create(2)
    async with refuses(*NO_ROOM) as refusal:
        await shop.create()
    assert (refusal.metadata["plan_id"], refusal.metadata["limit"]) == ("standard", "2")
    async with refuses(*NOT_IN_PLAN):
        await shop.run_import()
    gone = await shop.plane.plans.RemoveOverride(pb.RemoveOverrideRequest(id=lowered.id, reason="a test"))
    await shop.acknowledged(gone.revision)
    await shop.create()
    assert await shop.count() == 3


async def test_a_kill_switch_and_a_plan_count_too(shop: Shop) -> None:
    switch = pb.KillSwitch(feature_id="bulk_import", tenant_id=shop.id, reason="a test")
    killed = await shop.plane.plans.SetKillSwitch(pb.SetKillSwitchRequest(kill_switch=switch))
    await shop.acknowledged(killed.kill_switch.revision)
    async with refuses(*NOT_IN_PLAN):
        await shop.run_import()
    back = pb.RemoveKillSwitchRequest(id=killed.kill_switch.id, reason="a test")
    await shop.acknowledged((await shop.plane.plans.RemoveKillSwitch(back)).revision)
    await shop.run_import()
    # `starter` has no bulk import.
    assigned = await shop.plane.plans.AssignPlan(
        pb.AssignPlanRequest(tenant_id=shop.id, plan_id="starter", reason="a test")
    )
    await shop.acknowledged(assigned.revision)
    async with refuses(*NOT_IN_PLAN) as refusal:
        await shop.run_import()
    assert refusal.metadata["plan_id"] == "starter"


async def test_the_rate_of_calls_is_the_plans(shop: Shop) -> None:
    slow = pb.ConfigurationValue(rate_limit=quota_pb2.RateLimit(per_second=0.01, burst=2))
    await shop.change("api_rate", "lower", pb.FeatureValue(configuration=slow))
    assert [await shop.count("envoy") for _ in range(2)] == [0, 0]
    async with refuses("RESOURCE_EXHAUSTED", "RATE_LIMITED"):
        await shop.count("envoy")
    assert await shop.count() == 0


async def test_what_was_known_holds_while_control_is_away_and_the_cluster_starts_anew(
    start_plane: Any, start_cluster: Any, make_database: Any
) -> None:
    database_url = make_database("cluster_alone")
    async with start_plane(heartbeat_s=0.5) as plane:
        async with start_cluster(plane, "eu-1", database_url), start_cluster(plane, "us-1"):
            shop = Shop(plane, await plane.active("alone", region_id="eu"))
            lowered = await shop.change("products", "lower", quota(2))
            await shop.change("bulk_import", "remove", pb.Removal())
            await shop.create()
            await plane.stop()
            await shop.create()
            async with refuses(*NO_ROOM):
                await shop.create()
            async with refuses(*NOT_IN_PLAN):
                await shop.run_import()
        async with start_cluster(plane, "eu-1", database_url):
            async with refuses(*NO_ROOM):
                await shop.create()
            async with refuses(*NOT_IN_PLAN):
                await shop.run_import()
            assert await shop.count("envoy") == 2
            for channel in plane._channels.values():
                await channel.close()
            plane._channels.clear()
            await plane.start()
            gone = await plane.plans.RemoveOverride(pb.RemoveOverrideRequest(id=lowered.id, reason="a test"))
            await shop.acknowledged(gone.revision)
            await shop.create()


# domains


async def add_domain(shop: Shop, name: str, verified_reason: str = "") -> None:
    request = domains_pb.AddDomainRequest(tenant_id=shop.id, name=name, verified_reason=verified_reason)
    await shop.plane.domains.AddDomain(request)


async def test_a_tenant_has_as_many_domains_of_its_own_as_its_plan_gives(shop: Shop) -> None:
    await shop.change("custom_domains", "lower", quota(2))
    mark = shop.id[-12:]
    await add_domain(shop, f"one-{mark}.example", "a test")
    await add_domain(shop, f"two-{mark}.example")
    async with refuses("RESOURCE_EXHAUSTED", "DOMAIN_LIMIT_REACHED") as refusal:
        await add_domain(shop, f"three-{mark}.example")
    assert refusal.metadata == {"feature": "custom_domains", "limit": "2", "tenant_id": shop.id}
    # Names of the platform's zone are not its own.
    await add_domain(shop, f"more-{mark}.{shop.plane.config.zone}")
    gone = domains_pb.RemoveDomainRequest(tenant_id=shop.id, name=f"two-{mark}.example", reason="a test")
    await shop.plane.domains.RemoveDomain(gone)
    await add_domain(shop, f"three-{mark}.example")


async def test_of_many_who_want_the_last_name_one_gets_it(shop: Shop) -> None:
    await shop.change("custom_domains", "lower", quota(1))

    async def add(n: int) -> str:
        try:
            await add_domain(shop, f"n{n}-{shop.id[-12:]}.example")
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    assert sorted(await asyncio.gather(*(add(n) for n in range(8)))) == ["OK", *["RESOURCE_EXHAUSTED"] * 7]
