"""Follows the tenants' features: every change for a tenant of this cluster, applied, kept and reported."""

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import islice

import grpc
import structlog

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import plan_service_pb2 as pb
from center.control.v1.plan_service_pb2_grpc import PlanServiceStub
from center_sdk.features import OutOfStep, changed_set, checksum, set_hash
from center_sdk.streams import until_none
from dataplane.features import store
from dataplane.features.local import LocalFeatures
from dataplane.features.messages import grants
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError
from shared.runtime.ids import is_uuid

log = structlog.stdlib.get_logger("center.features")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
# What is said to be known has to fit one message: some 100 bytes a tenant, of 32 MiB.
KNOWN_AT_MOST = 200_000


class FeaturesFollower:
    """One stream, forever. What it has applied outlives the process and the control plane."""

    def __init__(
        self, *, cluster_id: str, channel: grpc.aio.Channel, features: LocalFeatures, steward: Database
    ) -> None:
        self._cluster_id = cluster_id
        self._stub = PlanServiceStub(channel)
        self._features = features
        self._steward = steward
        self._refusals: dict[str, str] = {}
        # Last good ones that a change did not fit, that a check found wrong, or that are too many to be named: held to,
        # but not said to be known.
        self._distrusted: set[str] = set()
        self.known_at_most = KNOWN_AT_MOST
        # The last revision applied, for tests and logs.
        self.revision = 0

    async def run(self) -> None:
        """Until cancelled."""
        pause_s, told = FIRST_PAUSE_S, False
        while True:
            try:
                async for _ in self._follow():
                    if told:
                        log.info("following the features again", revision=self.revision)
                    pause_s, told = FIRST_PAUSE_S, False
            except (grpc.aio.AioRpcError, PlatformError) as error:
                if not told:
                    why = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
                    log.warning("features are out of reach; what is known holds", why=why, revision=self.revision)
                told = True
            # Not all clusters at once, when the control plane comes back.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _follow(self) -> AsyncIterator[int]:
        """One stream: yields each revision that is in effect and reported. Ends where something did not fit."""
        requests: asyncio.Queue[pb.WatchTenantFeaturesRequest | None] = asyncio.Queue()
        self._distrusted.update(islice(self._features.known, self.known_at_most, None))
        known = [
            pb.KnownFeatures(tenant_id=tenant_id, version=version, hash=hashed)
            for tenant_id, (version, hashed) in self._features.known.items()
            if tenant_id not in self._distrusted
        ]
        start = pb.FeatureWatchStart(instance=self._cluster_id, cluster_id=self._cluster_id, known=known)
        requests.put_nowait(pb.WatchTenantFeaturesRequest(start=start))
        call = self._stub.WatchTenantFeatures(until_none(requests))
        try:
            async for response in call:
                await self._take(response)
                if response.phase == catalog_pb.WATCH_PHASE_SNAPSHOT:
                    continue
                if self._distrusted:
                    log.warning("features do not fit; asking for them again", tenants=len(self._distrusted))
                    return
                self.revision = response.revision
                requests.put_nowait(self._report())
                yield self.revision
        finally:
            requests.put_nowait(None)
            call.cancel()

    async def _take(self, response: pb.WatchTenantFeaturesResponse) -> None:
        """Applies what fits, in one transaction, and notes what does not."""
        arrived: dict[str, pb.TenantFeatures] = {}
        gone = set(response.removed_tenant_ids)
        if response.phase == catalog_pb.WATCH_PHASE_SNAPSHOT_END:
            # Not named although control was not told that they are known.
            gone |= self._distrusted - {whole.tenant_id for whole in response.tenants} - self._refusals.keys()
        for whole in response.tenants:
            self._distrusted.discard(whole.tenant_id)
            if not is_uuid(whole.tenant_id):
                self._refusals[whole.tenant_id[:64]] = "its id is no UUID"
            elif set_hash(whole) != whole.hash:
                self._refusals[whole.tenant_id] = f"version {whole.version} has another hash than it says"
            else:
                arrived[whole.tenant_id] = whole
        if response.deltas or arrived or gone:
            async with self._steward.transaction() as tx:
                before = await store.some(tx, [delta.tenant_id for delta in response.deltas]) if response.deltas else {}
                for delta in response.deltas:
                    stands_on = arrived.get(delta.tenant_id)
                    if stands_on is None and delta.tenant_id in before:
                        stands_on = pb.TenantFeatures.FromString(before[delta.tenant_id])
                    try:
                        arrived[delta.tenant_id] = changed_set(stands_on, delta)
                    except OutOfStep as error:
                        log.warning("a change of features does not fit", tenant_id=delta.tenant_id, why=str(error))
                        self._distrusted.add(delta.tenant_id)
                await store.save(tx, [_entry(features) for features in arrived.values()])
                await store.forget(tx, gone)
        for features in arrived.values():
            self._features.put(features)
            self._refusals.pop(features.tenant_id, None)
        self._features.forget(gone)
        self._distrusted -= gone
        for tenant_id in gone:
            self._refusals.pop(tenant_id, None)
        if response.HasField("check") and not (self._distrusted or self._refusals):
            known = self._features.known
            ours = (len(known), checksum((tenant_id, hashed) for tenant_id, (_, hashed) in known.items()))
            if ours != (response.check.tenant_count, response.check.digest):
                # Nobody knows whose, so none is trusted.
                self._distrusted.update(known)

    def _report(self) -> pb.WatchTenantFeaturesRequest:
        refusals = [
            catalog_pb.Refusal(resource_id=tenant_id, reason=why)
            for tenant_id, why in list(self._refusals.items())[:1000]
        ]
        return pb.WatchTenantFeaturesRequest(
            report=pb.FeatureWatchReport(applied_revision=self.revision, refusals=refusals)
        )


def _entry(features: pb.TenantFeatures) -> store.Entry:
    return store.Entry(
        tenant_id=features.tenant_id,
        version=features.version,
        hash=features.hash,
        products_limit=grants(features).products_limit,
        encoded=features.SerializeToString(),
    )
