"""Ten thousand real domains become tenants, and every one of them answers from the cluster that the catalog names."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest

from center.control.v1 import tenant_pb2, tenant_service_pb2
from shared.samples import load
from tests.support import platform as platforms
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e

log = logging.getLogger(__name__)

SHOPPERS = 16


@pytest.fixture(scope="module")
async def market() -> AsyncIterator[Platform]:
    """A platform of its own: ten thousand tenants would slow every other test down."""
    with platforms.running() as platform:
        yield platform
        await platform.close()


async def test_all_ten_thousand_domains_are_imported_and_answer_from_the_right_cluster(market: Platform) -> None:
    file = load.data("domains.txt")
    began = time.monotonic()
    imported = await asyncio.to_thread(market.center, "import-tenants", str(file), within_s=300)
    took_s = time.monotonic() - began
    assert imported.returncode == 0, imported.stdout + imported.stderr
    shops = load.all_shops()
    assert len(shops) == 10_000
    tenants = await _tenants(market)
    assert len(tenants) == len(shops)
    began = time.monotonic()
    wrong: list[str] = []
    asked = iter(shops)

    async def shop() -> None:
        shopper = market.shopper()
        for one in asked:
            tenant = tenants[one.code]
            answer = await shopper.get(one.domain, "/v1/products?pageSize=1")
            found = answer.status, answer.headers.get("x-center-tenant"), answer.headers.get("x-center-cluster")
            if found != (200, tenant.id, tenant.placement.cluster_id):
                wrong.append(f"{one.domain}: {found}, not {tenant.placement.cluster_id}")
        await shopper.close()

    await asyncio.gather(*(shop() for _ in range(SHOPPERS)))
    log.info("imported in %.1f s, asked at every domain in %.1f s", took_s, time.monotonic() - began)
    assert not wrong, f"{len(wrong)} of {len(shops)}: {wrong[:5]}"
    # Placement spreads them: neither cluster has all.
    placed = [tenant.placement.cluster_id for tenant in tenants.values()]
    assert {cluster for cluster in placed if placed.count(cluster) > len(placed) // 4} == {"eu-1", "us-1"}


async def test_an_import_that_is_run_again_changes_nothing(market: Platform) -> None:
    before = await _tenants(market)
    again = await asyncio.to_thread(market.center, "import-tenants", str(load.data("domains.txt")), within_s=300)
    assert again.returncode == 0, again.stdout + again.stderr
    assert await _tenants(market) == before


async def _tenants(platform: Platform) -> dict[str, tenant_pb2.Tenant]:
    """Every tenant of the catalog, by its code."""
    found = {}
    request = tenant_service_pb2.ListTenantsRequest(page_size=1000)
    while True:
        answer = await platform.tenants.ListTenants(request)
        found |= {tenant.code: tenant for tenant in answer.tenants}
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token
