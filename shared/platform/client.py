"""An operator's channels to every plane of a platform."""

from collections.abc import Sequence
from types import TracebackType

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from center.control.v1 import (
    cluster_service_pb2,
    cluster_service_pb2_grpc,
    domain_service_pb2,
    operations_service_pb2,
    solution_service_pb2,
    tenant_service_pb2,
    tenant_service_pb2_grpc,
)
from center.dataplane.v1 import (
    cart_service_pb2,
    checkout_service_pb2,
    customer_service_pb2,
    inventory_service_pb2,
    order_import_service_pb2,
    product_service_pb2,
    promotion_service_pb2,
    staff_service_pb2,
)
from center.edge.v1 import edge_service_pb2
from center.shared.v1 import (
    audit_service_pb2,
    media_service_pb2,
    notification_service_pb2,
    payment_service_pb2,
    webhook_service_pb2,
)
from shared.platform import ports
from shared.platform.config import Config
from shared.runtime import pki
from shared.runtime.errors import FailedPrecondition
from shared.runtime.rpc.channel import connect

CONTROL_SERVICES: Sequence[ServiceDescriptor] = [
    service
    for file in (
        tenant_service_pb2,
        domain_service_pb2,
        cluster_service_pb2,
        solution_service_pb2,
        operations_service_pb2,
        audit_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
]

CLUSTER_SERVICES: Sequence[ServiceDescriptor] = [
    service
    for file in (
        product_service_pb2,
        inventory_service_pb2,
        cart_service_pb2,
        customer_service_pb2,
        checkout_service_pb2,
        promotion_service_pb2,
        order_import_service_pb2,
        staff_service_pb2,
        media_service_pb2,
        notification_service_pb2,
        payment_service_pb2,
        audit_service_pb2,
        webhook_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
]


class Client:
    """Channels made on first use, closed with the block."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._identity = pki.load(config.home, "operator")
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel in self._channels.values():
            await channel.close()

    def control(self) -> grpc.aio.Channel:
        return self._to(self.config.control_address, "control", CONTROL_SERVICES)

    def edge(self) -> grpc.aio.Channel:
        services = list(edge_service_pb2.DESCRIPTOR.services_by_name.values())
        return self._to(self.config.address(ports.EDGE), "edge", services)

    async def cluster(self, cluster_id: str) -> grpc.aio.Channel:
        """A channel straight to a cluster, at the endpoint that the catalog names."""
        return self._to(await self.endpoint(cluster_id), cluster_id, CLUSTER_SERVICES)

    async def endpoint(self, cluster_id: str) -> str:
        """host:port of a cluster."""
        answer = await cluster_service_pb2_grpc.ClusterServiceStub(self.control()).GetCluster(
            cluster_service_pb2.GetClusterRequest(id=cluster_id)
        )
        endpoint = answer.cluster.endpoints[0]
        return f"{endpoint.host}:{endpoint.port}"

    async def shop(self, code: str = "", *, id: str = "") -> tuple[str, grpc.aio.Channel]:
        """(the tenant's id, a channel to its cluster)."""
        tenant_id, cluster_id = await self.placed(code, id=id)
        return tenant_id, await self.cluster(cluster_id)

    async def placed(self, code: str = "", *, id: str = "") -> tuple[str, str]:
        """(the tenant's id, its cluster's)."""
        by_id = tenant_service_pb2.ResolveTenantRequest(id=id)
        by_code = tenant_service_pb2.ResolveTenantRequest(code=code)
        tenants = tenant_service_pb2_grpc.TenantServiceStub(self.control())
        found = await tenants.ResolveTenant(by_id if id else by_code)
        if not found.cluster_id:
            raise FailedPrecondition("TENANT_NOT_PLACED", f"tenant {code or id} has no cluster yet", id=found.tenant_id)
        return found.tenant_id, found.cluster_id

    def _to(self, address: str, server: str, services: Sequence[ServiceDescriptor]) -> grpc.aio.Channel:
        if address not in self._channels:
            self._channels[address] = connect(address, self._identity, server=server, services=services)
        return self._channels[address]
