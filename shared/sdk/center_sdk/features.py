"""What tenants have of features, followed over the stream of the control plane.

The functions are the rules of that stream and know no network: clusters follow it by them, too. FeatureClient keeps the
sets in memory and reports what it has applied; FeatureReader is the same for programs without an event loop.
"""

import asyncio
import contextlib
import hashlib
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

import grpc

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import plan_service_pb2 as pb
from center.control.v1.plan_service_pb2_grpc import PlanServiceStub
from center_sdk.streams import until_none

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0

Metadata = Sequence[tuple[str, str]]


class OutOfStep(Exception):
    """A change does not fit what is here: a new stream is to bring the tenant's set as a whole."""


def set_hash(features: pb.TenantFeatures) -> str:
    """What `features.hash` has to be, made of the features' own hashes."""
    lines = [f"{features.plan_id}/{features.plan_version}\n"]
    lines += [f"{each.feature_id} {each.hash}\n" for each in sorted(features.features, key=lambda f: f.feature_id)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:32]


def changed_set(before: pb.TenantFeatures | None, delta: pb.FeaturesDelta) -> pb.TenantFeatures:
    """The set after the delta. OutOfStep: it stands on another version, or does not come out as it says."""
    if before is None or before.version != delta.previous_version:
        here = before.version if before is not None else "none"
        raise OutOfStep(f"version {here} is here, and the change to {delta.version} stands on {delta.previous_version}")
    by_id = {each.feature_id: each for each in before.features}
    by_id.update((each.feature_id, each) for each in delta.changed)
    for feature_id in delta.removed_feature_ids:
        by_id.pop(feature_id, None)
    after = pb.TenantFeatures(
        tenant_id=delta.tenant_id,
        version=delta.version,
        hash=delta.hash,
        plan_id=delta.plan_id,
        plan_version=delta.plan_version,
        features=[by_id[feature_id] for feature_id in sorted(by_id)],
    )
    if set_hash(after) != delta.hash:
        raise OutOfStep(f"version {delta.version} came out otherwise than it should")
    return after


def checksum(known: Iterable[tuple[str, str]]) -> int:
    """FeaturesCheck.digest over (tenant id, hash of the set) of everything that is watched."""
    digest = 0
    for tenant_id, hashed in known:
        digest ^= int.from_bytes(hashlib.sha256(f"{tenant_id} {hashed}".encode()).digest()[:8], "big")
    return digest


def differing(before: pb.TenantFeatures | None, after: pb.TenantFeatures | None) -> set[str]:
    """Ids of the features that are not the same in both."""
    hashes = [{f.feature_id: f.hash for f in one.features} if one is not None else {} for one in (before, after)]
    return {id for id in {*hashes[0], *hashes[1]} if hashes[0].get(id) != hashes[1].get(id)}


class FeatureSets:
    """What a watcher has, by tenant."""

    def __init__(self) -> None:
        self.by_tenant: dict[str, pb.TenantFeatures] = {}
        self.refused: dict[str, str] = {}
        # Last good ones that a change did not fit: used, but not said to be known.
        self._distrusted: set[str] = set()

    def known(self) -> list[pb.KnownFeatures]:
        """For FeatureWatchStart."""
        return [
            pb.KnownFeatures(tenant_id=tenant_id, version=each.version, hash=each.hash)
            for tenant_id, each in self.by_tenant.items()
            if tenant_id not in self._distrusted
        ]

    def take(self, response: pb.WatchTenantFeaturesResponse) -> dict[str, set[str]]:
        """Applies all that fits; answers which features of which tenants are others now.

        `astray` says afterwards whether something did not fit, and a new stream is needed.
        """
        before: dict[str, pb.TenantFeatures | None] = {}

        def put(tenant_id: str, after: pb.TenantFeatures | None) -> None:
            before.setdefault(tenant_id, self.by_tenant.get(tenant_id))
            self.refused.pop(tenant_id, None)
            self._distrusted.discard(tenant_id)
            if after is None:
                self.by_tenant.pop(tenant_id, None)
            else:
                self.by_tenant[tenant_id] = after

        for whole in response.tenants:
            if set_hash(whole) == whole.hash:
                put(whole.tenant_id, whole)
            else:
                self.refused[whole.tenant_id] = f"version {whole.version} has another hash than it says"
        for delta in response.deltas:
            try:
                put(delta.tenant_id, changed_set(self.by_tenant.get(delta.tenant_id), delta))
            except OutOfStep:
                self._distrusted.add(delta.tenant_id)
        for tenant_id in response.removed_tenant_ids:
            put(tenant_id, None)
        if response.phase == catalog_pb.WATCH_PHASE_SNAPSHOT_END:
            # Neither known, as the control plane was told, nor named: not there any more.
            for tenant_id in self._distrusted - self.refused.keys():
                put(tenant_id, None)
        if response.HasField("check") and not (self.refused or self._distrusted):
            here = checksum((tenant_id, each.hash) for tenant_id, each in self.by_tenant.items())
            if (len(self.by_tenant), here) != (response.check.tenant_count, response.check.digest):
                # Nobody knows whose, so none is trusted.
                self._distrusted.update(self.by_tenant)
        return {tenant_id: differing(was, self.by_tenant.get(tenant_id)) for tenant_id, was in before.items()}

    @property
    def astray(self) -> bool:
        return bool(self._distrusted)


class Listener(Protocol):
    """Hears of what happens to the features that are followed, on the event loop that follows them."""

    def features_changed(self, changed: Mapping[str, set[str]]) -> None:
        """changed: tenant -> ids of the features that are others now."""

    def features_fresh(self, is_fresh: bool) -> None:
        """Whether the control plane is heard of; while it is not, what was known last holds on."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Whose features: these tenants, or everyone of a cluster, or, with neither, everyone.

    instance: the name of this replica, stable over restarts.
    """

    instance: str
    tenant_ids: tuple[str, ...] = ()
    cluster_id: str = ""


class FeatureClient:
    """Follows the stream for as long as its block lasts, and comes back by itself.

        async with FeatureClient(channel, Watched("billing-1", tenant_ids=(shop,))) as client:
            await client.ready()
            client.features(shop)

    stale_after_s: how long the control plane may be silent, heartbeats included, before `is_fresh` is false.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        watched: Watched,
        *,
        metadata: Metadata = (),
        stale_after_s: float = 30.0,
        listeners: Iterable[Listener] = (),
    ) -> None:
        self._stub = PlanServiceStub(channel)
        self._watched = watched
        self._metadata = tuple(metadata)
        self._stale_after_s = stale_after_s
        self._listeners = list(listeners)
        self._sets = FeatureSets()
        self._ready = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._silence: asyncio.TimerHandle | None = None
        self.is_fresh = False
        # Everything up to this revision of the catalog is in.
        self.revision = 0
        # Why the stream ended last, for logs.
        self.trouble = ""

    async def __aenter__(self) -> "FeatureClient":
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._silence is not None:
            self._silence.cancel()
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following

    async def ready(self) -> None:
        """Returns when the first snapshot is whole."""
        await self._ready.wait()

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    def features(self, tenant_id: str) -> pb.TenantFeatures | None:
        """The last set known; None for a tenant that is not watched or not there. Not to be changed."""
        return self._sets.by_tenant.get(tenant_id)

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def _follow(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async for _ in self._stream():
                    pause_s = _FIRST_PAUSE_S
            except grpc.aio.AioRpcError as error:
                self.trouble = f"{error.code().name}: {error.details()}"
            # Not everyone at once, when the control plane comes back.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _stream(self) -> AsyncIterator[int]:
        """One stream: yields each revision that is in and reported."""
        requests: asyncio.Queue[pb.WatchTenantFeaturesRequest | None] = asyncio.Queue()
        start = pb.FeatureWatchStart(
            instance=self._watched.instance,
            tenant_ids=self._watched.tenant_ids,
            cluster_id=self._watched.cluster_id,
            known=self._sets.known(),
        )
        requests.put_nowait(pb.WatchTenantFeaturesRequest(start=start))
        call = self._stub.WatchTenantFeatures(until_none(requests), metadata=self._metadata)
        try:
            async for response in call:
                changed = self._sets.take(response)
                if self.is_ready:
                    self._heard()
                if any(changed.values()):
                    for listener in self._listeners:
                        listener.features_changed(changed)
                if self._sets.astray and response.phase == catalog_pb.WATCH_PHASE_CHANGES:
                    self.trouble = "a change did not fit"
                    return
                if response.phase == catalog_pb.WATCH_PHASE_SNAPSHOT:
                    continue
                self.revision = response.revision
                requests.put_nowait(pb.WatchTenantFeaturesRequest(report=self._report()))
                if not self.is_ready:
                    self._ready.set()
                    self._heard()
                yield self.revision
        finally:
            requests.put_nowait(None)
            call.cancel()

    def _report(self) -> pb.FeatureWatchReport:
        refusals = [
            catalog_pb.Refusal(resource_id=tenant_id, reason=why)
            for tenant_id, why in list(self._sets.refused.items())[:1000]
        ]
        return pb.FeatureWatchReport(applied_revision=self.revision, refusals=refusals)

    def _heard(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._silence = asyncio.get_running_loop().call_later(self._stale_after_s, self._turn, False)
        self._turn(True)

    def _turn(self, is_fresh: bool) -> None:
        if is_fresh != self.is_fresh:
            self.is_fresh = is_fresh
            for listener in self._listeners:
                listener.features_fresh(is_fresh)


class FeatureReader:
    """A FeatureClient on an event loop of its own thread, for programs that have none. Reading takes no lock.

    make_channel: makes the channel, on that loop.
    """

    def __init__(
        self,
        make_channel: Callable[[], grpc.aio.Channel],
        watched: Watched,
        *,
        metadata: Metadata = (),
        stale_after_s: float = 30.0,
        listeners: Iterable[Listener] = (),
    ) -> None:
        self._make_channel = make_channel
        self._arguments: dict[str, Any] = {
            "metadata": metadata,
            "stale_after_s": stale_after_s,
            "listeners": list(listeners),
        }
        self._watched = watched
        self._client: FeatureClient | None = None
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(self._serve(),), name="center-features", daemon=True)
        self._thread.start()

    def wait_ready(self, timeout_s: float) -> None:
        """Returns when the first snapshot is whole, or the time is over."""
        self._ready.wait(timeout_s)

    @property
    def is_ready(self) -> bool:
        return self._client is not None and self._client.is_ready

    @property
    def is_fresh(self) -> bool:
        return self._client is not None and self._client.is_fresh

    @property
    def trouble(self) -> str:
        return self._client.trouble if self._client is not None else ""

    def features(self, tenant_id: str) -> pb.TenantFeatures | None:
        """As FeatureClient's; None before it is ready, too."""
        return self._client.features(tenant_id) if self._client is not None else None

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(work)
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        channel = self._make_channel()
        async with FeatureClient(channel, self._watched, **self._arguments) as client:
            self._client = client
            readiness = asyncio.create_task(client.ready())
            readiness.add_done_callback(lambda task: None if task.cancelled() else self._ready.set())
            await self._closing.wait()
            readiness.cancel()
        await channel.close()
