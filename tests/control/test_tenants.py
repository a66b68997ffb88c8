"""Tenants, from making to purging."""

from center.control.v1 import tenant_pb2
from center.control.v1 import tenant_service_pb2 as pb
from tests.control.plane import Plane


async def test_a_new_tenant_is_provisioned_and_found_by_domain_id_and_code(plane: Plane) -> None:
    tenant = await plane.active("brass", domains=["brass-lamps.example"], domains_verified_reason="known")
    assert tenant.state == tenant_pb2.TENANT_STATE_ACTIVE
    assert tenant.placement.cluster_id in ("eu-1", "us-1")
    assert tenant.primary_domain == "brass-lamps.example"
    assert list(tenant.domains) == ["brass-lamps.example", "brass.center.localhost"]
    for key in ({"domain": "BRASS-lamps.example.:8080"}, {"id": tenant.id}, {"code": "brass"}):
        answer = await plane.tenants.ResolveTenant(pb.ResolveTenantRequest(**key, min_revision=tenant.revision))
        assert answer.tenant_id == tenant.id
        assert answer.cluster_id == tenant.placement.cluster_id
        assert answer.revision >= tenant.revision
