"""What operators say of plans and features in a few words, and watchers of what tenants have."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from center.control.v1 import plan_service_pb2 as pb
from center.control.v1 import quota_pb2
from center.control.v1.plan_service_pb2_grpc import PlanServiceStub
from center_sdk.features import FeatureSets
from shared.runtime.clock import Clock
from tests.control.plane import PATIENCE_S, Plane, until

ON = pb.FeatureValue(boolean=True)
OFF = pb.FeatureValue(boolean=False)


def units(limit: int | None, **more: Any) -> pb.FeatureValue:
    quota = quota_pb2.Quota(period=more.pop("period", quota_pb2.QUOTA_PERIOD_STANDING), **more)
    if limit is None:
        quota.unlimited.SetInParent()
    else:
        quota.limit = limit
    return pb.FeatureValue(quota=quota)


def text(value: str) -> pb.FeatureValue:
    return pb.FeatureValue(configuration=pb.ConfigurationValue(text=value))


def after(clock: Clock, seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMicroseconds(round((clock.now().timestamp() + seconds) * 1_000_000))
    return stamp


class Plans:
    """The operator of one platform."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane

    @property
    def stub(self) -> PlanServiceStub:
        return self.plane.plans

    async def feature(self, id: str, **kind: Any) -> pb.Feature:
        message = pb.Feature(id=id, **(kind or {"boolean": pb.BooleanFeature()}))
        return (await self.stub.CreateFeature(pb.CreateFeatureRequest(feature=message))).feature

    async def metered(self, id: str, period: Any = quota_pb2.QUOTA_PERIOD_STANDING) -> pb.Feature:
        return await self.feature(id, metered=pb.MeteredFeature(unit=id, period=period))

    async def setting(self, id: str, default: str, **schema: Any) -> pb.Feature:
        configuration = pb.ConfigurationFeature(
            schema=pb.ConfigurationSchema(text=pb.TextSchema(**schema)),
            default_value=pb.ConfigurationValue(text=default),
        )
        return await self.feature(id, configuration=configuration)

    async def plan(self, id: str, **features: pb.FeatureValue) -> pb.PlanVersion:
        """With version 1 published."""
        given = [pb.PlanFeature(feature_id=key, value=value) for key, value in features.items()]
        await self.stub.CreatePlan(pb.CreatePlanRequest(plan=pb.Plan(id=id), features=given))
        return await self.publish(id, 1)

    async def version(self, plan_id: str, copy_version: int = 0, **features: pb.FeatureValue) -> pb.PlanVersion:
        given = [pb.PlanFeature(feature_id=key, value=value) for key, value in features.items()]
        request = pb.CreatePlanVersionRequest(plan_id=plan_id, features=given, copy_version=copy_version)
        return (await self.stub.CreatePlanVersion(request)).version

    async def publish(self, plan_id: str, version: int, **more: Any) -> pb.PlanVersion:
        request = pb.PublishPlanVersionRequest(plan_id=plan_id, version=version, reason="a test", **more)
        return (await self.stub.PublishPlanVersion(request)).version

    async def tenant(self, code: str, plan_id: str) -> str:
        """A new one, which the process knows."""
        made = (await self.plane.create(code, plan_id=plan_id, draft=True)).tenant
        await self.read(made.id)
        return made.id

    async def assign(self, tenant_id: str, plan_id: str, **more: Any) -> pb.AssignPlanResponse:
        request = pb.AssignPlanRequest(tenant_id=tenant_id, plan_id=plan_id, reason="a test", **more)
        return await self.stub.AssignPlan(request)

    async def override(self, tenant_id: str, feature_id: str, **more: Any) -> pb.Override:
        override = pb.Override(tenant_id=tenant_id, feature_id=feature_id, reason="a test", **more)
        return (await self.stub.SetOverride(pb.SetOverrideRequest(override=override))).override

    async def kill(self, feature_id: str, **more: Any) -> pb.KillSwitch:
        switch = pb.KillSwitch(feature_id=feature_id, reason="a test", **more)
        return (await self.stub.SetKillSwitch(pb.SetKillSwitchRequest(kill_switch=switch))).kill_switch

    async def roll_out(self, feature_id: str, basis_points: int, cluster_id: str = "") -> pb.Rollout:
        rollout = pb.Rollout(feature_id=feature_id, basis_points=basis_points, cluster_id=cluster_id)
        return (await self.stub.SetRollout(pb.SetRolloutRequest(rollout=rollout))).rollout

    async def read(self, tenant_id: str) -> pb.TenantFeatures:
        """As of everything that was committed before."""
        assert self.plane.running is not None
        async with self.plane.running.db.transaction() as tx:
            newest = (await tx.exec_driver_sql("SELECT revision FROM catalog_revision")).scalar_one()
        request = pb.GetTenantFeaturesRequest(tenant_id=tenant_id, min_revision=newest)
        return (await self.stub.GetTenantFeatures(request)).features

    async def has(self, tenant_id: str) -> dict[str, pb.EffectiveFeature]:
        return {each.feature_id: each for each in (await self.read(tenant_id)).features}

    async def explain(self, tenant_id: str, feature_id: str, **more: Any) -> pb.ExplainFeatureResponse:
        request = pb.ExplainFeatureRequest(tenant_id=tenant_id, feature_id=feature_id, **more)
        return await self.stub.ExplainFeature(request)

    @asynccontextmanager
    async def watch(
        self,
        instance: str,
        *,
        identity: str = "cluster/eu-1",
        sets: FeatureSets | None = None,
        **start: Any,
    ) -> AsyncIterator["Watch"]:
        sets = sets or FeatureSets()
        call = PlanServiceStub(self.plane.channel(identity)).WatchTenantFeatures()
        introduction = pb.FeatureWatchStart(instance=instance, known=sets.known(), **start)
        await call.write(pb.WatchTenantFeaturesRequest(start=introduction))
        try:
            yield Watch(call, sets)
        finally:
            call.cancel()

    async def watchers(self) -> dict[str, pb.FeatureWatcher]:
        answer = await self.stub.ListFeatureWatchers(pb.ListFeatureWatchersRequest())
        return {each.id: each for each in answer.watchers}

    async def applied(self, watcher_id: str, revision: int) -> None:
        async def told() -> bool:
            return (await self.watchers())[watcher_id].applied_revision >= revision

        await until(told)


class Watch:
    """What a watcher has heard; it checks every chain, hash and digest."""

    def __init__(self, call: Any, sets: FeatureSets) -> None:
        self.call = call
        self.sets = sets
        self.responses: list[pb.WatchTenantFeaturesResponse] = []
        self.revision = 0

    async def read(self) -> pb.WatchTenantFeaturesResponse:
        response = await asyncio.wait_for(self.call.read(), PATIENCE_S)
        assert response is not grpc.aio.EOF, "the watch has ended"
        self.responses.append(response)
        self.sets.take(response)
        assert not self.sets.astray
        assert not self.sets.refused
        self.revision = response.revision or self.revision
        return response

    async def reach(self, revision: int) -> None:
        while self.revision < revision:
            await self.read()

    async def report(self, revision: int, **refusals: str) -> None:
        refused = [{"resource_id": key, "reason": reason} for key, reason in refusals.items()]
        report = pb.FeatureWatchReport(applied_revision=revision, refusals=refused)
        await self.call.write(pb.WatchTenantFeaturesRequest(report=report))
