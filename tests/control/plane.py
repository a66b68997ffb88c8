"""A control plane as it ships, and clusters as they ship, with clients that tests call them by."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
from google.longrunning import operations_proto_pb2 as longrunning_pb
from google.longrunning.operations_pb2_grpc import OperationsStub

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import operations_service_pb2 as operations_pb
from center.control.v1 import tenant_pb2
from center.control.v1 import tenant_service_pb2 as tenants_pb
from center.control.v1.access_service_pb2_grpc import AccessServiceStub
from center.control.v1.catalog_service_pb2_grpc import CatalogServiceStub
from center.control.v1.cluster_service_pb2_grpc import ClusterServiceStub
from center.control.v1.domain_service_pb2_grpc import DomainServiceStub
from center.control.v1.operations_service_pb2_grpc import OperationsServiceStub
from center.control.v1.plan_service_pb2_grpc import PlanServiceStub
from center.control.v1.solution_service_pb2_grpc import SolutionServiceStub
from center.control.v1.tenant_service_pb2_grpc import TenantServiceStub
from center.shared.v1.audit_service_pb2_grpc import AuditServiceStub
from control import app
from control.clusters.domain import Endpoint
from control.clusters.ops import Seed
from control.config import Config
from shared.runtime import pki
from shared.runtime.rpc.channel import connect
from tests.support.server import free_port

PATIENCE_S = 20.0


async def until(holds: Callable[[], Awaitable[Any]], patience_s: float = PATIENCE_S) -> Any:
    """Waits for a state: the first true answer."""
    give_up_at = time.monotonic() + patience_s
    while not (answer := await holds()):
        assert time.monotonic() < give_up_at, "did not happen in time"
        await asyncio.sleep(0.02)
    return answer


@dataclass
class Plane:
    """A control process, which can be stopped and started again at the same port with the same database."""

    config: Config
    running: app.Control | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    async def start(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.running = await self._stack.enter_async_context(app.running(self.config, **arguments))

    async def stop(self) -> None:
        await self._stack.aclose()
        self.running = None

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()
        await self.stop()

    async def seen(self, revision: int) -> None:
        """Returns when the process has the change in its memory: what watches after that is told it at once."""
        assert self.running is not None
        await self.running.catalog.reached(revision)

    def beside(self, **changes: Any) -> "Plane":
        """Another process on the same database."""
        return Plane(replace(self.config, address=f"127.0.0.1:{free_port()}", **changes))

    def channel(self, identity: str = "operator") -> grpc.aio.Channel:
        if identity not in self._channels:
            me = pki.load(self.config.home, identity)
            self._channels[identity] = connect(self.config.address, me, server="control")
        return self._channels[identity]

    @property
    def tenants(self) -> TenantServiceStub:
        return TenantServiceStub(self.channel())

    @property
    def domains(self) -> DomainServiceStub:
        return DomainServiceStub(self.channel())

    @property
    def clusters(self) -> ClusterServiceStub:
        return ClusterServiceStub(self.channel())

    @property
    def plans(self) -> PlanServiceStub:
        return PlanServiceStub(self.channel())

    @property
    def operations(self) -> OperationsStub:
        return OperationsStub(self.channel())

    @property
    def platform(self) -> OperationsServiceStub:
        return OperationsServiceStub(self.channel())

    @property
    def audit(self) -> AuditServiceStub:
        return AuditServiceStub(self.channel())

    @property
    def solutions(self) -> SolutionServiceStub:
        return SolutionServiceStub(self.channel())

    def access(self, identity: str = "operator") -> AccessServiceStub:
        return AccessServiceStub(self.channel(identity))

    def catalog(self, identity: str = "edge") -> CatalogServiceStub:
        return CatalogServiceStub(self.channel(identity))

    async def create(self, code: str, **changes: Any) -> tenants_pb.CreateTenantResponse:
        draft = changes.pop("draft", False)
        new = tenants_pb.TenantDraft(code=code, display_name=code.title(), **changes)
        return await self.tenants.CreateTenant(tenants_pb.CreateTenantRequest(tenant=new, draft=draft))

    async def active(self, code: str, **changes: Any) -> tenant_pb2.Tenant:
        """A new tenant, provisioned."""
        made = await self.create(code, **changes)
        return tenant(await self.wait(made.operation.name))

    async def get(self, tenant_id: str) -> tenant_pb2.Tenant:
        return (await self.tenants.GetTenant(tenants_pb.GetTenantRequest(id=tenant_id))).tenant

    async def wait(self, name: str, timeout_s: float = PATIENCE_S) -> longrunning_pb.Operation:
        request = longrunning_pb.WaitOperationRequest(name=name)
        request.timeout.FromMilliseconds(round(timeout_s * 1000))
        return await self.operations.WaitOperation(request, timeout=timeout_s + 5)

    async def operation(self, name: str) -> longrunning_pb.Operation:
        return await self.operations.GetOperation(longrunning_pb.GetOperationRequest(name=name))

    @asynccontextmanager
    async def watch(
        self, instance: str = "edge-1", from_revision: int = 0, cluster_id: str = "", identity: str = "edge"
    ) -> AsyncIterator["Watch"]:
        call = self.catalog(identity).Watch()
        start = catalog_pb.WatchStart(instance=instance, from_revision=from_revision, cluster_id=cluster_id)
        await call.write(catalog_pb.WatchRequest(start=start))
        watch = Watch(call)
        try:
            yield watch
        finally:
            call.cancel()


class Watch:
    """What a watcher has heard."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.responses: list[catalog_pb.WatchResponse] = []
        self.tenants: dict[str, catalog_pb.CatalogTenant] = {}
        self.clusters: dict[str, catalog_pb.CatalogCluster] = {}
        self.revision = 0

    async def read(self) -> catalog_pb.WatchResponse:
        response = await asyncio.wait_for(self.call.read(), PATIENCE_S)
        assert response is not grpc.aio.EOF, "the watch has ended"
        self.responses.append(response)
        self.revision = response.revision or self.revision
        for entry in response.entries:
            match entry.WhichOneof("entry"):
                case "tenant":
                    self.tenants[entry.tenant.id] = entry.tenant
                case "cluster":
                    self.clusters[entry.cluster.id] = entry.cluster
                case "removed_tenant_id":
                    self.tenants.pop(entry.removed_tenant_id, None)
                case "removed_cluster_id":
                    self.clusters.pop(entry.removed_cluster_id, None)
        return response

    async def reach(self, revision: int) -> None:
        while self.revision < revision:
            await self.read()

    async def report(self, revision: int, **refusals: str) -> None:
        refused = [catalog_pb.Refusal(resource_id=key, reason=reason) for key, reason in refusals.items()]
        report = catalog_pb.WatchReport(applied_revision=revision, refusals=refused)
        await self.call.write(catalog_pb.WatchRequest(report=report))


def tenant(operation: longrunning_pb.Operation) -> tenant_pb2.Tenant:
    """The response of an operation that ended well."""
    assert operation.WhichOneof("result") == "response", operation
    found = tenant_pb2.Tenant()
    assert operation.response.Unpack(found)
    return found


def metadata(operation: longrunning_pb.Operation) -> operations_pb.OperationMetadata:
    found = operations_pb.OperationMetadata()
    assert operation.metadata.Unpack(found)
    return found


def config(home: Path, database_url: str, **changes: Any) -> Config:
    """A control plane of clusters eu-1 and us-1 at ports of their own."""
    given: dict[str, Any] = {
        "home": home,
        "database_url": database_url,
        "address": f"127.0.0.1:{free_port()}",
        "seeds": (
            Seed("eu-1", "eu", Endpoint("127.0.0.1", free_port())),
            Seed("us-1", "us", Endpoint("127.0.0.1", free_port())),
        ),
        "lease_s": 1.0,
        "drain_s": 0.2,
        "heartbeat_s": 1.0,
        **changes,
    }
    return Config(**given)
