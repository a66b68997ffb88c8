"""Where a tenant's shop is reached from outside."""

from urllib.parse import urlsplit

from center.control.v1.catalog_service_pb2 import CatalogTenant
from dataplane.tenants import store
from shared.runtime.db import Database
from shared.runtime.errors import FailedPrecondition


class Origins:
    """public_url: of the platform's own pages; shops have the same scheme and port."""

    def __init__(self, steward: Database, public_url: str) -> None:
        self._steward = steward
        parts = urlsplit(public_url)
        self._scheme = parts.scheme
        self._port = f":{parts.port}" if parts.port else ""

    async def of(self, tenant_id: str) -> str:
        """Scheme and authority. FailedPrecondition TENANT_HAS_NO_DOMAIN."""
        async with self._steward.transaction() as tx:
            known = await store.entry(tx, tenant_id)
        tenant = CatalogTenant() if known is None else CatalogTenant.FromString(known[0])
        names = [domain.name for domain in tenant.domains]
        name = tenant.primary_domain if tenant.primary_domain in names else next(iter(names), "")
        if not name:
            message = "the shop has no domain yet at which its files could be reached"
            raise FailedPrecondition("TENANT_HAS_NO_DOMAIN", message, tenant_id=tenant_id)
        return f"{self._scheme}://{name}{self._port}"
