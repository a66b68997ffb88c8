"""Plans, versions, add-ons, overrides, rollouts and kill switches: what an operator says is what tenants have."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from center.control.v1 import plan_service_pb2 as pb
from tests.control.plane import Plane


@pytest.fixture(scope="module")
async def lone(start_plane: Any) -> AsyncIterator[Plane]:
    async with start_plane() as plane:
        yield plane


async def test_a_tenant_has_what_its_plan_gives(lone: Plane) -> None:
    made = (await lone.create("first", draft=True)).tenant
    answer = await lone.plans.GetTenantFeatures(
        pb.GetTenantFeaturesRequest(tenant_id=made.id, min_revision=made.revision)
    )
    features = {each.feature_id: each for each in answer.features.features}
    assert answer.features.plan_id == "standard"
    assert set(features) == {"api_rate", "bulk_import", "custom_domains", "products"}
    assert features["bulk_import"].enabled
