"""The part of PlanService that defines features, rolls them out and switches them off."""

from dataclasses import replace
from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import plan_service_pb2 as pb
from control.catalog.store import Change
from control.clusters import store as cluster_store
from control.features import messages, store
from control.features.changes import felt, recorded, stamp
from control.features.domain import Feature, KillSwitch, Rollout, State
from control.features.values import Kind
from control.plans import domain, ops
from control.plans.store import values_of
from control.tables import features, kill_switches, rollouts
from control.tenants import store as tenant_store
from control.tenants.messages import moment
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database, constraints
from shared.runtime.errors import InvalidArgument, NotFound, check_etag
from shared.runtime.filters import Field, where
from shared.runtime.idempotency import mutation
from shared.runtime.ids import uuid7
from shared.runtime.masks import merge
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

FEATURE_FIELDS = {
    "id": Field(features.c.id),
    "kind": Field(features.c.kind, "enum", {kind: kind for kind in Kind}),
    "state": Field(features.c.state, "enum", {state: state for state in State}),
    "create_time": Field(features.c.create_time, "timestamp"),
    "update_time": Field(features.c.update_time, "timestamp"),
}
KILL_SWITCH_FIELDS = {
    "id": Field(kill_switches.c.id, "uuid"),
    "feature_id": Field(kill_switches.c.feature_id),
    "tenant_id": Field(kill_switches.c.tenant_id, "uuid"),
    "cluster_id": Field(kill_switches.c.cluster_id),
    "create_time": Field(kill_switches.c.create_time, "timestamp"),
    "expire_time": Field(kill_switches.c.expire_time, "timestamp"),
}
FEATURES_BY_ID = Ordering((Term(features.c.id),))
KILL_SWITCHES_NEWEST = Ordering(
    (Term(kill_switches.c.create_time, descending=True), Term(kill_switches.c.id, descending=True))
)
UPDATABLE = ("display_name", "description", "metered.unit", "configuration")


class FeatureMethods:
    db: Database
    _clock: Clock
    _tokens: PageTokens

    @mutation
    async def CreateFeature(self, request: pb.CreateFeatureRequest, tx: AsyncConnection) -> pb.CreateFeatureResponse:
        now = self._clock.now()
        feature = replace(messages.feature_of(request.feature), create_time=now, update_time=now)
        domain.check_feature(feature)
        with constraints({"features_pkey": store.FEATURE_EXISTS}):
            await store.add_feature(tx, feature)
        [revision] = await recorded(tx, [_changed(None, feature, "created", "")])
        return pb.CreateFeatureResponse(feature=messages.feature(feature, revision=revision))

    async def GetFeature(self, request: pb.GetFeatureRequest, context: Context) -> pb.GetFeatureResponse:
        async with self.db.transaction() as tx:
            feature = await store.get_feature(tx, request.id)
            return pb.GetFeatureResponse(feature=await self._whole(tx, feature))

    async def ListFeatures(self, request: pb.ListFeaturesRequest, context: Context) -> pb.ListFeaturesResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        conditions = [where(request.filter, FEATURE_FIELDS), FEATURES_BY_ID.after(cursor)]
        async with self.db.transaction() as tx:
            page = await store.list_features(tx, conditions, FEATURES_BY_ID.by, size + 1)
            ids = [feature.id for feature in page[:size]]
            rolled = await store.list_rollouts(tx, [store.of_features(rollouts, ids)])
            killed = await store.list_kill_switches(tx, [store.of_features(kill_switches, ids)])
        response = pb.ListFeaturesResponse(
            features=[
                messages.feature(
                    feature,
                    [each for each in rolled if each.feature_id == feature.id],
                    [each for each in killed if each.feature_id == feature.id],
                )
                for feature in page[:size]
            ]
        )
        if len(page) > size:
            response.next_page_token = self._tokens.issue(FEATURES_BY_ID.cursor(page[size - 1]), request)
        return response

    @mutation
    async def UpdateFeature(self, request: pb.UpdateFeatureRequest, tx: AsyncConnection) -> pb.UpdateFeatureResponse:
        before = await store.get_feature(tx, request.feature.id, lock=True)
        check_etag("feature", before.id, before.etag, request.feature.etag)
        merged = messages.feature(before)
        merge(merged, request.feature, request.update_mask, UPDATABLE)
        if merged.WhichOneof("kind") != before.kind.lower():
            why = f"the feature stays {before.kind.lower()}"
            raise InvalidArgument("MASK_INVALID", why, fields={"update_mask": why})
        wanted = messages.feature_of(merged)
        after = replace(
            before,
            display_name=wanted.display_name,
            description=wanted.description,
            unit=wanted.unit,
            schema=wanted.schema,
            default=wanted.default,
            update_time=self._clock.now(),
            version=before.version + 1,
        )
        domain.check_feature(after)
        felt = after.default != before.default
        if after.schema is not None and after.schema != before.schema:
            domain.check_schema_change(before, after.schema, await values_of(tx, before.id))
            felt = True
        await store.save_feature(tx, after)
        change = _changed(before, after, "updated", "")
        # Texts are nothing that a tenant feels: the audit has the change, the catalog does not.
        [revision] = await recorded(tx, [change if felt else replace(change, entry=None)])
        return pb.UpdateFeatureResponse(feature=await self._whole(tx, after, revision or before.revision))

    @mutation
    async def ArchiveFeature(self, request: pb.ArchiveFeatureRequest, tx: AsyncConnection) -> pb.ArchiveFeatureResponse:
        before = await store.get_feature(tx, request.id, lock=True)
        check_etag("feature", before.id, before.etag, request.etag)
        after = replace(before, state=State.ARCHIVED, update_time=self._clock.now(), version=before.version + 1)
        await store.save_feature(tx, after)
        [revision] = await recorded(tx, [_changed(before, after, "archived", request.reason)])
        return pb.ArchiveFeatureResponse(feature=await self._whole(tx, after, revision))

    @mutation
    async def SetRollout(self, request: pb.SetRolloutRequest, tx: AsyncConnection) -> pb.SetRolloutResponse:
        given, now = request.rollout, self._clock.now()
        await store.get_feature(tx, given.feature_id, lock=True)
        if given.cluster_id:
            await cluster_store.get(tx, given.cluster_id)
        rollout = Rollout(given.feature_id, given.cluster_id, given.basis_points, given.reason, now)
        before = [
            each
            for each in await store.list_rollouts(tx, [store.of_features(rollouts, [given.feature_id])])
            if each.cluster_id == given.cluster_id
        ]
        await store.set_rollout(tx, rollout)
        change = _rolled(before[0] if before else None, rollout, given.reason)
        [revision] = await recorded(tx, [change])
        await store.stamp_rollout(tx, rollout, revision)
        return pb.SetRolloutResponse(rollout=messages.rollout(replace(rollout, revision=revision)))

    @mutation
    async def RemoveRollout(self, request: pb.RemoveRolloutRequest, tx: AsyncConnection) -> pb.RemoveRolloutResponse:
        removed = await store.remove_rollout(tx, request.feature_id, request.cluster_id)
        if removed is None:
            raise NotFound("ROLLOUT_NOT_FOUND", "there is no such rollout", feature_id=request.feature_id)
        [revision] = await recorded(tx, [_rolled(removed, None, request.reason)])
        return pb.RemoveRolloutResponse(revision=revision)

    @mutation
    async def SetKillSwitch(self, request: pb.SetKillSwitchRequest, tx: AsyncConnection) -> pb.SetKillSwitchResponse:
        given, now = request.kill_switch, self._clock.now()
        expire_time = None
        if given.HasField("expire_time"):
            expire_time = moment(given.expire_time, "kill_switch.expire_time")
        domain.check_future(expire_time, now, "kill_switch.expire_time")
        await store.get_feature(tx, given.feature_id)
        if given.cluster_id:
            await cluster_store.get(tx, given.cluster_id)
        # In the one spelling of its id.
        tenant_id = (await tenant_store.get(tx, given.tenant_id)).id if given.tenant_id else ""
        wanted = KillSwitch(
            id=uuid7(),
            feature_id=given.feature_id,
            tenant_id=tenant_id,
            cluster_id=given.cluster_id,
            reason=given.reason,
            expire_time=expire_time,
            create_time=now,
            caller=current().caller,
        )
        switch = await store.set_kill_switch(tx, wanted)
        [revision] = await recorded(tx, [ops.kill_switch_changed(switch, "set", given.reason)])
        await stamp(tx, kill_switches, switch.id, revision)
        return pb.SetKillSwitchResponse(kill_switch=messages.kill_switch(replace(switch, revision=revision)))

    @mutation
    async def RemoveKillSwitch(
        self, request: pb.RemoveKillSwitchRequest, tx: AsyncConnection
    ) -> pb.RemoveKillSwitchResponse:
        removed = await store.remove_kill_switch(tx, request.id)
        if removed is None:
            raise NotFound("KILL_SWITCH_NOT_FOUND", f"there is no kill switch {request.id}", id=request.id)
        change = ops.kill_switch_changed(removed, "removed", request.reason, removed=True)
        [revision] = await recorded(tx, [change])
        return pb.RemoveKillSwitchResponse(revision=revision)

    async def ListKillSwitches(
        self, request: pb.ListKillSwitchesRequest, context: Context
    ) -> pb.ListKillSwitchesResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        conditions = [where(request.filter, KILL_SWITCH_FIELDS), KILL_SWITCHES_NEWEST.after(cursor)]
        async with self.db.transaction() as tx:
            page = await store.list_kill_switches(tx, conditions, KILL_SWITCHES_NEWEST.by, size + 1)
        response = pb.ListKillSwitchesResponse(kill_switches=[messages.kill_switch(each) for each in page[:size]])
        if len(page) > size:
            response.next_page_token = self._tokens.issue(KILL_SWITCHES_NEWEST.cursor(page[size - 1]), request)
        return response

    async def _whole(self, tx: AsyncConnection, feature: Feature, revision: int | None = None) -> pb.Feature:
        rolled = await store.list_rollouts(tx, [store.of_features(rollouts, [feature.id])])
        killed = await store.list_kill_switches(tx, [store.of_features(kill_switches, [feature.id])])
        return messages.feature(feature, rolled, killed, revision)


def _changed(before: Feature | None, after: Feature, event: str, reason: str) -> Change:
    facts = domain.facts_of_feature(before) if before is not None else {}
    return felt("feature", after.id, event, reason, facts, domain.facts_of_feature(after), feature_id=after.id)


def _rolled(before: Rollout | None, after: Rollout | None, reason: str) -> Change:
    feature_id = (after or before).feature_id  # type: ignore[union-attr]
    event = "rolled_out" if after is not None else "rollout_removed"
    return felt("feature", feature_id, event, reason, _share(before), _share(after), feature_id=feature_id)


def _share(rollout: Rollout | None) -> dict[str, str]:
    if rollout is None:
        return {}
    place = f".{rollout.cluster_id}" if rollout.cluster_id else ""
    return {f"rollout{place}.basis_points": str(rollout.basis_points)}
