"""What this process knows of the tenants' features, in memory, and what it refuses by them."""

import time
from collections.abc import Iterable

from center.control.v1 import plan_service_pb2 as pb
from center.shared.v1 import rules_pb2
from dataplane.features import domain, store
from dataplane.features.domain import UNKNOWN, Bucket, Grants
from dataplane.features.messages import grants
from shared.media.domain import Allowance
from shared.runtime.context import CallContext
from shared.runtime.db import Database

# Those whose calls count against the shop's rate; the platform's own do not.
OUTSIDE = frozenset({rules_pb2.CALLER_SHOPPER, rules_pb2.CALLER_CUSTOMER, rules_pb2.CALLER_MERCHANT})

# When so many tenants have been called, the buckets that are full again are forgotten.
SWEEP_AT = 10_000


class LocalFeatures:
    """The table `tenant_features` in memory: last-good, whether the control plane is there or not."""

    def __init__(self, steward: Database) -> None:
        self._steward = steward
        self._grants: dict[str, Grants] = {}
        # Tenant -> version and hash.
        self.known: dict[str, tuple[int, str]] = {}
        self._buckets: dict[str, Bucket] = {}
        self._sweep_at = SWEEP_AT

    def __len__(self) -> int:
        return len(self.known)

    async def load(self) -> None:
        async with self._steward.transaction(snapshot=True) as tx:
            async for _, encoded in store.everyone(tx):
                self.put(pb.TenantFeatures.FromString(encoded))

    def put(self, features: pb.TenantFeatures) -> None:
        """Takes over what was just committed."""
        self._grants[features.tenant_id] = grants(features)
        self.known[features.tenant_id] = (features.version, features.hash)

    def forget(self, tenant_ids: Iterable[str]) -> None:
        for tenant_id in tenant_ids:
            self._grants.pop(tenant_id, None)
            self.known.pop(tenant_id, None)

    def of(self, tenant_id: str) -> Grants:
        return self._grants.get(tenant_id, UNKNOWN)

    def check_import(self, tenant_id: str) -> None:
        domain.check_import(self.of(tenant_id))

    def media(self, tenant_id: str) -> Allowance:
        held = self.of(tenant_id)
        return Allowance(held.plan_id, held.media_bytes)

    def admit(self, call: CallContext) -> None:
        """Takes a call out of the tenant's rate. ResourceExhausted RATE_LIMITED, with the time to wait."""
        held = self._grants.get(call.tenant_id)
        if held is None or (rate := held.api_rate) is None or call.role not in OUTSIDE:
            return
        now = time.monotonic()
        bucket = self._buckets.get(call.tenant_id)
        if bucket is None:
            if len(self._buckets) >= self._sweep_at:
                self._sweep(now)
            bucket = self._buckets[call.tenant_id] = Bucket(rate, now)
        if wait_s := bucket.take(rate, now):
            raise domain.too_fast(held, rate, wait_s)

    def _sweep(self, now: float) -> None:
        self._buckets = {tenant_id: each for tenant_id, each in self._buckets.items() if not each.is_full(now)}
        self._sweep_at = max(SWEEP_AT, 2 * len(self._buckets))
