"""A cluster speaks of the tenants that are on it or move there only."""

from center.shared.v1 import rules_pb2
from control.features.memory import Features, Held
from shared.runtime.context import current
from shared.runtime.errors import NotFound, PermissionDenied


def yours(features: Features, tenant_id: str) -> tuple[str, Held]:
    """The tenant, by the one spelling of its id, if it is the caller's to ask about.

    NotFound TENANT_NOT_FOUND; PermissionDenied TENANT_NOT_YOURS.
    """
    tenant_id = tenant_id.lower()
    held, call = features.held(tenant_id), current()
    if held is None:
        raise no_tenant(tenant_id)
    cluster_id = call.caller.removeprefix("cluster/")
    if call.role == rules_pb2.CALLER_CLUSTER and cluster_id not in held.cluster_ids:
        why = f"cluster {cluster_id} asks about tenants that are on it or move there"
        raise PermissionDenied("TENANT_NOT_YOURS", why, id=tenant_id)
    return tenant_id, held


def no_tenant(tenant_id: str) -> NotFound:
    return NotFound("TENANT_NOT_FOUND", f"there is no tenant {tenant_id}", id=tenant_id)
