"""`center check` says nothing when all agree, and names the place when one does not."""

import json
from typing import Any

import pytest

from center.control.v1 import operations_service_pb2, tenant_pb2, tenant_service_pb2
from center.dataplane.v1 import tenant_runtime_service_pb2
from tests.support.platform import Platform

pytestmark = pytest.mark.e2e


def _checked(platform: Platform, *arguments: str) -> tuple[int, Any]:
    done = platform.center("check", "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


async def _local(platform: Platform, cluster_id: str, tenant_id: str) -> Any:
    request = tenant_runtime_service_pb2.ListTenantsRequest(page_size=1000)
    listed = await platform.runtime(cluster_id).ListTenants(request)
    return next(known.tenant for known in listed.tenants if known.tenant.id == tenant_id)


async def test_a_platform_that_is_left_alone_agrees(platform: Platform) -> None:
    tenant = await platform.create("check-quiet")
    code, report = _checked(platform)
    assert (code, report["differences"]) == (0, [])
    assert report["tenants"] > 1
    assert report["domains"] > 2
    assert _checked(platform, "--tenant", tenant.code)[1]["tenants"] == 1
    shown = platform.center("check")
    assert "all agree" in shown.stdout


async def test_a_cluster_that_knows_something_else_is_named(platform: Platform) -> None:
    tenant = await platform.create("check-drift", region_id="eu")
    entry = await _local(platform, "eu-1", tenant.id)
    entry.state = tenant_pb2.TENANT_STATE_SUSPENDED
    drifts = tenant_runtime_service_pb2.ResyncTenantRequest(tenant=entry)
    await platform.runtime("eu-1", "control").ResyncTenant(drifts)
    code, report = _checked(platform, "--tenant", tenant.code, "--wait", "0")
    assert code == 1
    found = {(difference["where"], difference["subject"]) for difference in report["differences"]}
    assert ("cluster eu-1", "tenant: state") in found
    assert ("envoy", f"{tenant.primary_domain}: status") in found
    shown = platform.center("check", "--tenant", tenant.code, "--wait", "0")
    assert shown.returncode == 1
    assert "TENANT_STATE_SUSPENDED" in shown.stdout
    drift = await platform.operations.ResyncTenant(operations_service_pb2.ResyncTenantRequest(tenant_id=tenant.id))
    assert "state" in drift.drift
    assert _checked(platform, "--tenant", tenant.code)[0] == 0


async def test_a_tenant_on_two_clusters_is_named(platform: Platform) -> None:
    tenant = await platform.create("check-double", region_id="eu")
    entry = await _local(platform, "eu-1", tenant.id)
    entry.placement.cluster_id = "us-1"
    stray = platform.runtime("us-1", "control")
    await stray.ApplyTenants(tenant_runtime_service_pb2.ApplyTenantsRequest(tenants=[entry]))
    code, report = _checked(platform, "--wait", "0")
    assert code == 1
    assert [(found["tenant"], found["where"], found["subject"]) for found in report["differences"]] == [
        (tenant.code, "cluster us-1", "served")
    ]
    remove = tenant_runtime_service_pb2.RemoveTenantRequest(tenant_id=tenant.id, revision=entry.revision)
    await stray.RemoveTenant(remove)
    assert _checked(platform)[0] == 0


async def test_a_shop_that_its_cluster_has_lost_is_named(platform: Platform) -> None:
    tenant = await platform.create("check-lost", region_id="us")
    removed = tenant_runtime_service_pb2.RemoveTenantRequest(tenant_id=tenant.id, revision=tenant.revision)
    await platform.runtime("us-1", "control").RemoveTenant(removed)
    code, report = _checked(platform, "--tenant", tenant.code, "--wait", "0")
    assert code == 1
    assert {difference["where"] for difference in report["differences"]} == {"cluster us-1", "envoy"}
    # The next change of the tenant brings it back there.
    request = tenant_service_pb2.SetTenantModeRequest(
        id=tenant.id, mode=tenant_pb2.TENANT_MODE_READ_ONLY, reason="seen"
    )
    await platform.tenants.SetTenantMode(request)
    assert _checked(platform, "--tenant", tenant.code)[0] == 0
