"""What this process knows of the tenants, in memory, and the one place that admits a call or refuses it."""

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import wraps
from types import SimpleNamespace
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.features.local import LocalFeatures
from dataplane.tenants import domain, store
from dataplane.tenants.domain import Local
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import Aborted, PlatformError
from shared.runtime.rpc import contract, rules
from shared.runtime.rpc.server import Service


class LocalTenants:
    """The table `tenants` in memory. It is what the database said after a commit, never what a caller hoped for."""

    def __init__(self, steward: Database) -> None:
        self._steward = steward
        self._known: dict[str, Local] = {}
        self._closing: Counter[str] = Counter()
        # One reader at a time: what is written here last was read last.
        self._reading = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, tenant_id: str) -> Local | None:
        return self._known.get(tenant_id)

    def is_served(self, tenant_id: str) -> bool:
        local = self._known.get(tenant_id)
        return local is not None and local.served

    async def load(self) -> None:
        """Reads every tenant: the state to serve from when the control plane is down."""
        async with self._reading, self._steward.transaction(snapshot=True) as tx:
            self._known = {local.tenant_id: local async for local in store.everyone(tx)}

    async def refresh(self, tenant_ids: Collection[str]) -> None:
        """Reads what was just committed."""
        async with self._reading:
            found = await store.some(self._steward, tenant_ids)
            for tenant_id in tenant_ids:
                self._known.pop(tenant_id, None)
            self._known.update((local.tenant_id, local) for local in found)

    def admit(self, tenant_id: str, *, mutates: bool) -> None:
        """Raises why a call for the tenant is not served now."""
        error = self._refusal(tenant_id, mutates=mutates)
        if error is not None:
            raise error

    def refusal_to_write(self, tenant_id: str) -> PlatformError | None:
        """Why nothing of the tenant can be changed now; None where it can."""
        return self._refusal(tenant_id, mutates=True)

    def _refusal(self, tenant_id: str, *, mutates: bool) -> PlatformError | None:
        error = domain.refusal(tenant_id, self._known.get(tenant_id), mutates=mutates)
        return domain.moving(tenant_id) if error is None and mutates and tenant_id in self._closing else error

    def admit_watch(self, tenant_id: str) -> None:
        """Raises why nobody goes on watching the tenant here: once it lives elsewhere, nothing more changes here."""
        self.admit(tenant_id, mutates=False)
        if not self._known[tenant_id].placed_here:
            raise domain.moving(tenant_id)

    @contextmanager
    def closing(self, tenant_ids: Collection[str]) -> Iterator[None]:
        """Lets no new write begin meanwhile: a change that waits for the last write waits for no later ones.

        A row lock alone would not do. Writers share it, and as long as each comes before the last one is gone, whoever
        wants the row for himself waits for ever.
        """
        self._closing.update(tenant_ids)
        try:
            yield
        finally:
            self._closing.subtract(tenant_ids)
            for tenant_id in tenant_ids:
                if self._closing[tenant_id] <= 0:
                    del self._closing[tenant_id]


class Writes(Database):
    """Transactions that write a tenant's rows: each holds the tenant open until it ends, or is refused at its start.

    The row policies refuse such writes, too; this says why, before the first of them.
    """

    def __init__(self, db: Database, tenants: LocalTenants, written: Callable[[], None]) -> None:
        """written: told of each commit."""
        self._db = db
        self._tenants = tenants
        self._written = written

    async def close(self) -> None:
        await self._db.close()

    @asynccontextmanager
    async def transaction(
        self, tenant_id: str | None = None, *, snapshot: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        async with self._db.transaction(tenant_id, snapshot=snapshot) as tx:
            if tenant_id is not None and not (await tx.execute(_GATE)).scalar_one():
                await self._tenants.refresh([tenant_id])
                self._tenants.admit(tenant_id, mutates=True)
                raise Aborted("TENANT_CHANGED", "the tenant changed meanwhile; try again", retry_after_s=0.1)
            yield tx
        self._written()


_GATE = text("SELECT tenant_writable()")


def admitted(servicer: object, tenants: LocalTenants, features: LocalFeatures) -> Service:
    """`servicer` behind the check: each method that acts in a tenant first asks whether that tenant is served, and one
    that the contract marks as mutating, whether it may be written to; then, whether it calls too often."""
    descriptor = contract.of(servicer)
    methods = {name: getattr(servicer, name) for name in rules.of_service(descriptor)}
    for name, of_method in rules.of_service(descriptor).items():
        if of_method.needs_tenant:
            methods[name] = _admitting(methods[name], tenants, features, mutates=of_method.mutates)
    return Service(SimpleNamespace(**methods), descriptor)


def _admitting(
    method: Callable[..., Any], tenants: LocalTenants, features: LocalFeatures, *, mutates: bool
) -> Callable[..., Any]:
    def admit() -> None:
        call = current()
        tenants.admit(call.tenant_id, mutates=mutates)
        features.admit(call)

    if inspect.isasyncgenfunction(method):

        @wraps(method)
        async def stream(requests: Any, context: Any) -> AsyncIterator[Any]:
            admit()
            async with aclosing(method(requests, context)) as responses:
                async for response in responses:
                    yield response

        return stream

    @wraps(method)
    async def answer(request: Any, context: Any) -> Any:
        admit()
        return await method(request, context)

    return answer
