"""A running cluster, its clients, and what tests send to it."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from google.type import money_pb2
from sqlalchemy import text

from center.control.v1 import tenant_pb2
from center.control.v1.catalog_service_pb2 import CatalogTenant
from center.dataplane.v1 import product_service_pb2 as products_pb
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.dataplane.v1.inventory_service_pb2_grpc import InventoryServiceStub
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from center.dataplane.v1.tenant_runtime_service_pb2_grpc import TenantRuntimeServiceStub
from center.shared.v1.audit_service_pb2_grpc import AuditServiceStub
from center.shared.v1.media_service_pb2_grpc import MediaServiceStub
from center.shared.v1.notification_service_pb2_grpc import NotificationServiceStub
from center.shared.v1.webhook_service_pb2_grpc import WebhookServiceStub
from dataplane.app import Cluster
from shared.audit.schema import CHAIN
from shared.runtime import keys, pki
from shared.runtime.backoffice import Signer
from shared.runtime.db import Database, app_url
from shared.runtime.ids import uuid7
from shared.runtime.rpc.channel import connect

ACTIVE = tenant_pb2.TENANT_STATE_ACTIVE
NORMAL = tenant_pb2.TENANT_MODE_NORMAL

revisions = itertools.count(1)


@dataclass
class Running:
    """A cluster that runs, and how to talk to it."""

    id: str
    home: Path
    database_url: str
    cluster: Cluster
    channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.cluster.server.port}"

    def channel(self, identity: str) -> grpc.aio.Channel:
        if identity not in self.channels:
            self.channels[identity] = connect(self.address, pki.load(self.home, identity), server=self.id)
        return self.channels[identity]

    @property
    def commands(self) -> TenantRuntimeServiceStub:
        return TenantRuntimeServiceStub(self.channel("control"))

    @property
    def products(self) -> ProductServiceStub:
        return ProductServiceStub(self.channel("operator"))

    @property
    def inventory(self) -> InventoryServiceStub:
        return InventoryServiceStub(self.channel("operator"))

    @property
    def audit(self) -> AuditServiceStub:
        return AuditServiceStub(self.channel("operator"))

    @property
    def notifications(self) -> NotificationServiceStub:
        return NotificationServiceStub(self.channel("operator"))

    @property
    def shop(self) -> ProductServiceStub:
        """As Envoy calls for a shopper."""
        return ProductServiceStub(self.channel("envoy"))

    @property
    def webhooks(self) -> WebhookServiceStub:
        return WebhookServiceStub(self.channel("operator"))

    @property
    def media(self) -> MediaServiceStub:
        return MediaServiceStub(self.channel("operator"))

    @property
    def visitor(self) -> MediaServiceStub:
        """As Envoy calls for whoever has a URL."""
        return MediaServiceStub(self.channel("envoy"))

    def database(self, role: str = "", pool_size: int = 4) -> Database:
        url = app_url(self.database_url, self.home, role) if role else self.database_url
        return Database.connect(url, pool_size=pool_size, audit_key=keys.load(self.home, "audit"))

    async def apply(self, *tenants: CatalogTenant) -> None:
        await self.commands.ApplyTenants(runtime_pb.ApplyTenantsRequest(tenants=tenants))


def entry(tenant_id: str = "", **changes: object) -> CatalogTenant:
    """The catalog's next entry of a tenant, active at eu-1 unless said otherwise."""
    placement = {"cluster_id": "eu-1", "region_id": "eu"}
    for name in ("cluster_id", "moving_to_cluster_id", "writes_frozen"):
        if name in changes:
            placement[name] = changes.pop(name)  # type: ignore[assignment]
    tenant_id = tenant_id or uuid7()
    given = {
        "id": tenant_id,
        "code": f"shop-{tenant_id[-12:]}",
        "state": ACTIVE,
        "mode": NORMAL,
        "revision": next(revisions),
        "placement": placement,
        **changes,
    }
    return CatalogTenant(**given)  # type: ignore[arg-type]


def of(tenant_id: str, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """The metadata of a call in a tenant."""
    return (("x-tenant-id", tenant_id), *more)


def product(handle: str = "", **changes: object) -> products_pb.Product:
    """A product with one variant."""
    handle = handle or f"lamp-{uuid7()[-12:]}"
    given = {"handle": handle, "title": "Brass lamp", "variants": [variant(f"{handle}-1")], **changes}
    return products_pb.Product(**given)  # type: ignore[arg-type]


def variant(sku: str, units: int = 12, nanos: int = 500_000_000, currency: str = "EUR") -> products_pb.Variant:
    return products_pb.Variant(sku=sku, price=money_pb2.Money(currency_code=currency, units=units, nanos=nanos))


async def create(running: Running, tenant_id: str, *products: products_pb.Product) -> list[products_pb.Product]:
    return [
        (
            await running.products.CreateProduct(products_pb.CreateProductRequest(product=new), metadata=of(tenant_id))
        ).product
        for new in products
    ]


def bearer(home: Path, tenant_id: str, life_s: float = 60) -> tuple[str, str]:
    token = Signer(home).issue(tenant_id, "ada", life=timedelta(seconds=life_s), now=datetime.now(UTC))
    return ("authorization", f"Bearer {token}")


async def move_rows(source: Running, target: Running, tenant: CatalogTenant) -> runtime_pb.ImportTenantResponse:
    """What control's move does between freeze and switch."""

    place = (await target.commands.GetObjectPlace(runtime_pb.GetObjectPlaceRequest())).place

    async def requests() -> AsyncIterator[runtime_pb.ImportTenantRequest]:
        yield runtime_pb.ImportTenantRequest(tenant=tenant)
        export = runtime_pb.ExportTenantRequest(tenant_id=tenant.id, target_object_place=place)
        async for part in source.commands.ExportTenant(export):
            yield (
                runtime_pb.ImportTenantRequest(object=part.object)
                if part.HasField("object")
                else runtime_pb.ImportTenantRequest(rows=part.rows)
            )

    return await target.commands.ImportTenant(requests())


async def move(source: Running, target: Running, tenant_id: str, switched: Callable[[], None]) -> None:
    """All of control's move. switched: called when the target is open and the source has yet to hear of it."""
    frozen = entry(tenant_id, cluster_id=source.id, writes_frozen=True, moving_to_cluster_id=target.id)
    await source.apply(frozen)
    await move_rows(source, target, frozen)
    there = entry(tenant_id, cluster_id=target.id)
    await target.apply(there)
    switched()
    await source.apply(there)
    remove = runtime_pb.RemoveTenantRequest(tenant_id=tenant_id, revision=there.revision)
    await source.commands.RemoveTenant(remove)


async def digest(running: Running, tenant_id: str) -> Sequence[tuple[str, int, str]]:
    """Of what changes only when somebody changes it: the audit is sealed whenever that is due."""
    answer = await running.commands.GetTenantDigest(runtime_pb.GetTenantDigestRequest(tenant_id=tenant_id))
    return [(table.table, table.rows, table.checksum) for table in answer.tables if table.table not in CHAIN]


async def sealed(running: Running) -> None:
    """Returns when every entry of the audit has its seal."""
    owner = running.database()
    unsealed = text("SELECT count(*) FROM audit_entries e WHERE NOT EXISTS (" + _LINKED + ")")
    try:
        give_up_at = time.monotonic() + 20
        while True:
            async with owner.transaction() as tx:
                if not (await tx.execute(unsealed)).scalar_one():
                    return
            assert time.monotonic() < give_up_at, "not sealed in time"
            await asyncio.sleep(0.05)
    finally:
        await owner.close()


_LINKED = "SELECT FROM audit_links l WHERE l.tenant_id = e.tenant_id AND l.entry_id = e.id"
