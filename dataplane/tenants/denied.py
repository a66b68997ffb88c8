"""Refused calls in the audit of a cluster."""

from collections.abc import Sequence

from dataplane.tenants.local import LocalTenants
from shared.audit.denials import DENIED, Denied
from shared.runtime import context as calls
from shared.runtime import journal
from shared.runtime.db import Database
from shared.runtime.ids import NO_TENANT
from shared.runtime.journal import Change


async def write(db: Database, writes: Database, tenants: LocalTenants, told: Sequence[Denied]) -> None:
    """A tenant's in its own chain while that may grow here; else, and what concerns no tenant, in the cluster's."""
    for denied in told:
        tenant_id = denied.kind.tenant_id
        local = tenants.get(tenant_id)
        with calls.use(denied.call):
            if local is not None and local.is_writable:
                async with writes.transaction(tenant_id) as tx:
                    await journal.record(tx, tenant_id, [Change(DENIED, denied.kind.reason, {}, denied.facts)])
                continue
            about = {"tenant_id": tenant_id} if tenant_id else {}
            async with db.transaction(NO_TENANT) as tx:
                await journal.record(tx, NO_TENANT, [Change(DENIED, denied.kind.reason, {}, about | denied.facts)])
