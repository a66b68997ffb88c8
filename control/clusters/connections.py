"""Channels to the clusters' tenant runtimes, as the catalog says where they are."""

from typing import TYPE_CHECKING

import grpc

from center.dataplane.v1 import tenant_runtime_service_pb2 as pb
from center.dataplane.v1.tenant_runtime_service_pb2_grpc import TenantRuntimeServiceStub
from control.catalog.memory import Catalog
from shared.runtime.errors import Unavailable
from shared.runtime.pki import Identity
from shared.runtime.rpc.channel import connect

if TYPE_CHECKING:
    from center.dataplane.v1.tenant_runtime_service_pb2_grpc import TenantRuntimeServiceAsyncStub

_SERVICE = pb.DESCRIPTOR.services_by_name["TenantRuntimeService"]


class Connections:
    def __init__(self, catalog: Catalog, identity: Identity) -> None:
        self._catalog = catalog
        self._identity = identity
        self._channels: dict[str, tuple[str, grpc.aio.Channel]] = {}
        # Channels of endpoints that are no longer the cluster's; calls on them may still be under way.
        self._retired: list[grpc.aio.Channel] = []

    def runtime(self, cluster_id: str) -> "TenantRuntimeServiceAsyncStub":
        """The cluster's runtime; Unavailable CLUSTER_UNREACHABLE when nobody knows where it is."""
        cluster = self._catalog.cluster(cluster_id)
        if cluster is None or not cluster.endpoints:
            raise Unavailable("CLUSTER_UNREACHABLE", f"cluster {cluster_id} has no endpoint", id=cluster_id)
        # Servers of one cluster share its database, so any of them will do.
        address = f"{cluster.endpoints[0].host}:{cluster.endpoints[0].port}"
        known = self._channels.get(cluster_id)
        if known is None or known[0] != address:
            if known is not None:
                self._retired.append(known[1])
            channel = connect(address, self._identity, server=cluster_id, services=[_SERVICE])
            known = self._channels[cluster_id] = (address, channel)
        return TenantRuntimeServiceStub(known[1])

    async def close(self) -> None:
        for channel in (*self._retired, *(channel for _, channel in self._channels.values())):
            await channel.close()
