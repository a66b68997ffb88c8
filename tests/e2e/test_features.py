"""What an operator says of a plan is what a shop's people get at Envoy."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count

import pytest

from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import quota_pb2, tenant_pb2
from center.control.v1.plan_service_pb2_grpc import PlanServiceStub
from tests.edge.web import Answer, Shopper
from tests.support.platform import Platform, until

pytestmark = pytest.mark.e2e

_numbers = count(1)


@dataclass
class Shop:
    platform: Platform
    tenant: tenant_pb2.Tenant
    token: str
    shopper: Shopper
    lowered: list[str] = field(default_factory=list)

    @property
    def plans(self) -> PlanServiceStub:
        return PlanServiceStub(self.platform.channel("control"))

    async def post(self) -> Answer:
        """A merchant's new product, over JSON."""
        body = {"product": {"title": f"Lamp {next(_numbers)}"}}
        headers = {"content_type": "application/json", "authorization": self.token}
        return await self.shopper.send(
            "POST",
            f"{self.tenant.code}.{self.platform.zone}",
            "/v1/backoffice/products",
            json.dumps(body).encode(),
            **headers,
        )

    async def get(self) -> Answer:
        return await self.shopper.get(f"{self.tenant.code}.{self.platform.zone}")

    async def lower(self, feature_id: str, value: pb.FeatureValue) -> None:
        """Returns when the cluster has acknowledged it."""
        override = pb.Override(tenant_id=self.tenant.id, feature_id=feature_id, reason="a test", lower=value)
        set_ = (await self.plans.SetOverride(pb.SetOverrideRequest(override=override))).override
        self.lowered.append(set_.id)
        await self._acknowledged(set_.revision)

    async def close(self) -> None:
        """Whoever asks every shop after this finds one that answers."""
        for id in self.lowered:
            request = pb.RemoveOverrideRequest(id=id, reason="the test is over")
            await self._acknowledged((await self.plans.RemoveOverride(request)).revision)
        await self.shopper.close()

    async def _acknowledged(self, revision: int) -> None:
        async def has() -> bool:
            answer = await self.plans.ListFeatureWatchers(pb.ListFeatureWatchersRequest(filter="live = true"))
            return any(each.id == "cluster/eu-1/eu-1" and each.applied_revision >= revision for each in answer.watchers)

        await until(has, what="an acknowledgement")


@pytest.fixture
async def shop(platform: Platform) -> AsyncIterator[Shop]:
    tenant = await platform.create(f"limited-{next(_numbers)}", region_id="eu")
    opened = Shop(platform, tenant, await platform.token(tenant.id), platform.shopper())
    yield opened
    await opened.close()


async def test_a_full_plan_is_429_with_what_to_do_and_reads_go_on(shop: Shop) -> None:
    quota = quota_pb2.Quota(limit=1, period=quota_pb2.QUOTA_PERIOD_STANDING)
    await shop.lower("products", pb.FeatureValue(quota=quota))
    assert (await shop.post()).status == 200
    full = await shop.post()
    assert (full.status, full.reason) == (429, "PRODUCT_LIMIT_REACHED")
    assert "larger plan" in full.json["message"] and "retry-after" not in full.headers
    assert (await shop.get()).status == 200


async def test_who_calls_too_fast_is_told_when_to_come_back(shop: Shop) -> None:
    rate = pb.ConfigurationValue(rate_limit=quota_pb2.RateLimit(per_second=0.01, burst=3))
    await shop.lower("api_rate", pb.FeatureValue(configuration=rate))
    answers = [await shop.get() for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[3].reason == "RATE_LIMITED" and 0 < int(answers[3].headers["retry-after"]) <= 100
    assert (await shop.post()).status == 429
