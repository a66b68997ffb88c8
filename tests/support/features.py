"""Feature sets as control makes them, and a control plane that says what a test tells it to."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import quota_pb2
from center.control.v1.plan_service_pb2_grpc import PlanServiceServicer
from center_sdk.features import checksum, differing, set_hash
from shared.runtime import pki
from shared.runtime.rpc.server import Service, serving


def hashed(feature: pb.EffectiveFeature) -> pb.EffectiveFeature:
    feature.hash = hashlib.sha256(feature.SerializeToString(deterministic=True)).hexdigest()[:16]
    return feature


def boolean(id: str, is_on: bool) -> pb.EffectiveFeature:
    return hashed(pb.EffectiveFeature(feature_id=id, enabled=is_on, value=pb.FeatureValue(boolean=is_on)))


def standing(id: str, limit: int | None, *, is_soft: bool = False) -> pb.EffectiveFeature:
    quota = quota_pb2.Quota(period=quota_pb2.QUOTA_PERIOD_STANDING)
    quota.enforcement = quota_pb2.QUOTA_ENFORCEMENT_SOFT if is_soft else quota_pb2.QUOTA_ENFORCEMENT_HARD
    if limit is None:
        quota.unlimited.SetInParent()
    else:
        quota.limit = limit
    return hashed(pb.EffectiveFeature(feature_id=id, enabled=True, value=pb.FeatureValue(quota=quota)))


def rate(per_second: float, burst: int) -> pb.EffectiveFeature:
    limit = quota_pb2.RateLimit(per_second=per_second, burst=burst)
    value = pb.FeatureValue(configuration=pb.ConfigurationValue(rate_limit=limit))
    return hashed(pb.EffectiveFeature(feature_id="api_rate", enabled=True, value=value))


def a_set(
    tenant_id: str,
    version: int,
    *more: pb.EffectiveFeature,
    products: int | None = None,
    bulk_import: bool = True,
) -> pb.TenantFeatures:
    by_id = {each.feature_id: each for each in (standing("products", products), boolean("bulk_import", bulk_import))}
    by_id.update((each.feature_id, each) for each in more)
    features = [by_id[id] for id in sorted(by_id)]
    made = pb.TenantFeatures(tenant_id=tenant_id, version=version, plan_id="basic", plan_version=1, features=features)
    made.hash = set_hash(made)
    return made


def delta(before: pb.TenantFeatures, after: pb.TenantFeatures) -> pb.FeaturesDelta:
    changed = differing(before, after)
    there = {each.feature_id for each in after.features}
    return pb.FeaturesDelta(
        tenant_id=after.tenant_id,
        previous_version=before.version,
        version=after.version,
        hash=after.hash,
        plan_id=after.plan_id,
        plan_version=after.plan_version,
        changed=[each for each in after.features if each.feature_id in changed],
        removed_feature_ids=sorted(changed - there),
    )


class ScriptedPlans(PlanServiceServicer):
    """To one watcher, in the test's order."""

    def __init__(self) -> None:
        self.starts: asyncio.Queue[pb.FeatureWatchStart] = asyncio.Queue()
        self.reports: asyncio.Queue[pb.FeatureWatchReport] = asyncio.Queue()
        self._responses: asyncio.Queue[pb.WatchTenantFeaturesResponse | None] = asyncio.Queue()
        self._revision = 0

    async def WatchTenantFeatures(  # type: ignore[override]
        self, requests: AsyncIterator[pb.WatchTenantFeaturesRequest], context: object
    ) -> AsyncIterator[pb.WatchTenantFeaturesResponse]:
        self._responses = asyncio.Queue()
        self.starts.put_nowait((await anext(requests)).start)

        async def listen() -> None:
            async for request in requests:
                self.reports.put_nowait(request.report)

        listening = asyncio.ensure_future(listen())
        try:
            while (response := await self._responses.get()) is not None:
                yield response
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    def say(
        self,
        *told: pb.TenantFeatures | pb.FeaturesDelta | str,
        phase: catalog_pb.WatchPhase = catalog_pb.WATCH_PHASE_CHANGES,
        holds: Sequence[pb.TenantFeatures] | None = None,
    ) -> int:
        """Says these sets, deltas and removals, and what should be there afterwards; answers the revision."""
        self._revision += 1
        response = pb.WatchTenantFeaturesResponse(phase=phase, revision=self._revision)
        response.time.GetCurrentTime()
        for each in told:
            if isinstance(each, pb.TenantFeatures):
                response.tenants.append(each)
            elif isinstance(each, pb.FeaturesDelta):
                response.deltas.append(each)
            else:
                response.removed_tenant_ids.append(each)
        if holds is not None:
            response.check.tenant_count = len(holds)
            response.check.digest = checksum((each.tenant_id, each.hash) for each in holds)
        self._responses.put_nowait(response)
        return self._revision

    async def tell(
        self,
        *told: pb.TenantFeatures | pb.FeaturesDelta | str,
        phase: catalog_pb.WatchPhase = catalog_pb.WATCH_PHASE_CHANGES,
        holds: Sequence[pb.TenantFeatures] | None = None,
    ) -> pb.FeatureWatchReport:
        """As say(), and waits for the acknowledgement."""
        revision = self.say(*told, phase=phase, holds=holds)
        async with asyncio.timeout(10):
            while (report := await self.reports.get()).applied_revision < revision:
                pass
        return report

    async def started(self) -> pb.FeatureWatchStart:
        async with asyncio.timeout(15):
            return await self.starts.get()

    async def begin(self, *sets: pb.TenantFeatures) -> pb.FeatureWatchStart:
        """The next stream, with these sets in its snapshot."""
        start = await self.started()
        await self.tell(*sets, phase=catalog_pb.WATCH_PHASE_SNAPSHOT_END)
        return start

    def hang_up(self) -> None:
        self._responses.put_nowait(None)


@asynccontextmanager
async def plans_at(home: Path, script: ScriptedPlans, port: int = 0) -> AsyncIterator[str]:
    identity = pki.load(home, "control")
    services = [Service.of(script)]
    async with serving(services, address=f"127.0.0.1:{port}", identity=identity, drain_s=0.1) as server:
        yield f"127.0.0.1:{server.port}"
        script.hang_up()
