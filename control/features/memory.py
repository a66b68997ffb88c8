"""What every tenant has, in one process's memory: answers lookups, and feeds watchers without touching the database.

Tenants share few sets: one is computed and serialised once for all tenants that have it, and a tenant is a reference.
Tenants are held from when somebody asks for them or watches them.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import plan_service_pb2 as pb
from control.catalog import store as catalog_store
from control.catalog.memory import Catalog, draining
from control.catalog.store import FEATURES, TENANT
from control.features import definitions, messages
from control.features import store as feature_store
from control.features.definitions import Definitions
from control.features.domain import (
    FeatureSet,
    KillSwitch,
    Rollout,
    bucket,
    differences,
    effective,
)
from control.features.values import Value
from control.plans import store
from control.signals import signalled
from control.tables import kill_switches, rollouts
from control.varint import varint
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.features")

SNAPSHOT_CHUNK = 500
CHANGES_CHUNK = 2_000
# So many tenants are computed before anybody else has a turn.
COMPUTED_AT_ONCE = 2_000
AGAIN_S = 0.5


@dataclass(slots=True)
class Shared:
    """A set, and how it reads in the contract but for the tenant and the version."""

    features: FeatureSet
    body: bytes


@dataclass(slots=True)
class Held:
    """One tenant."""

    plan_id: str
    cluster_id: str
    # Where it is placed, and where it is moving to.
    cluster_ids: tuple[str, ...]
    # Of the tenant itself.
    revision: int
    version: int
    shared: Shared
    time_zone: str = ""


@dataclass(slots=True)
class _Dirty:
    """What was changed since it was read. `all`: anything may have been."""

    tenants: set[str] = field(default_factory=set)
    features: set[str] = field(default_factory=set)
    plans: set[str] = field(default_factory=set)
    add_ons: set[str] = field(default_factory=set)
    overlays: set[str] = field(default_factory=set)
    all: bool = False

    @property
    def definitions(self) -> bool:
        return self.all or bool(self.features or self.plans or self.add_ons)

    @property
    def stored(self) -> bool:
        """Whether the database has to be asked."""
        return self.definitions or bool(self.overlays)

    def __bool__(self) -> bool:
        return self.stored or bool(self.tenants)

    def add(self, other: "_Dirty") -> None:
        self.tenants |= other.tenants
        self.features |= other.features
        self.plans |= other.plans
        self.add_ons |= other.add_ons
        self.overlays |= other.overlays
        self.all = self.all or other.all


class Feed:
    """What one watcher has not been sent yet. A slow watcher costs only itself: of a tenant that changed again before
    it was sent, the whole set is."""

    def __init__(self, cluster_id: str, tenant_ids: frozenset[str]) -> None:
        self.cluster_id = cluster_id
        self.tenant_ids = tenant_ids
        self.wake = asyncio.Event()
        self.closed = False
        self.sent = 0
        # A delta, or None for whatever the tenant has or has not when it is sent.
        self.pending: dict[str, bytes | None] = {}
        self.snapshot: Iterator[str] | None = None
        self.known: dict[str, tuple[int, str]] = {}

    def concerns(self, tenant_id: str, cluster_ids: tuple[str, ...]) -> bool:
        if self.tenant_ids:
            return tenant_id in self.tenant_ids
        return not self.cluster_id or self.cluster_id in cluster_ids

    def offer(self, tenant_id: str, delta: bytes | None) -> None:
        whole = self.snapshot is not None or tenant_id in self.pending
        self.pending[tenant_id] = None if whole else delta
        self.wake.set()


class Features:
    """Everything as of `revision`, and who wants to hear of the next changes."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self.feeds: set[Feed] = set()
        self.closed = False
        self.definitions = Definitions()
        self._catalog = catalog
        self._clock = clock
        self._held: dict[str, Held] = {}
        self._on_cluster: dict[str, set[str]] = {}
        # Who watches which tenant, and which cluster; everyone for an empty cluster. In the order in which they came.
        self._feeds_of_tenant: dict[str, dict[Feed, None]] = {}
        self._feeds_on_cluster: dict[str, dict[Feed, None]] = {}
        self._recipes: dict[tuple[object, ...], tuple[Shared, int]] = {}
        self._shared: dict[str, Shared] = {}
        self._digests: dict[str, tuple[int, int]] = {}
        # Clusters with a rollout or a kill switch of their own.
        self._special: set[str] = set()
        self._dirty = _Dirty()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._moved = asyncio.Event()
        self._done = 0
        # The last revision that watchers were told of, needed or not.
        self.told = 0
        catalog.listen(self)

    @property
    def revision(self) -> int:
        """Changes up to here are in."""
        return self._catalog.revision if self._idle.is_set() else self._done

    def changed(self, kind: str, resource_id: str, revision: int, entry: catalog_pb.CatalogEntry) -> None:
        if kind == TENANT:
            self._busy()
            self._dirty.tenants.add(resource_id)
        elif kind == FEATURES:
            self._busy()
            what = entry.features
            for ids, id in (
                (self._dirty.features, what.feature_id),
                (self._dirty.plans, what.plan_id),
                (self._dirty.add_ons, what.add_on_id),
                (self._dirty.overlays, what.tenant_id),
            ):
                if id:
                    ids.add(id)

    def reset(self, revision: int) -> None:
        self._busy()
        self._dirty.all = True

    def _busy(self) -> None:
        if self._idle.is_set():
            self._done = self._catalog.revision
            self._idle.clear()
        self._wake.set()

    async def reached(self, revision: int) -> None:
        """Returns when what is here is at least as new."""
        await self._catalog.reached(revision)
        while self.revision < revision:
            await self._moved.wait()

    async def caught_up(self, db: Database, revision: int) -> None:
        """Waits for this process when somebody comes from one that was ahead of it."""
        if revision > self.revision:
            try:
                async with db.transaction() as tx:
                    newest = await catalog_store.newest(tx)
            except PlatformError:
                newest = revision  # nobody knows better
            if revision <= newest:
                await self.reached(revision)

    async def load(self, db: Database) -> None:
        async with db.transaction(snapshot=True) as tx:
            self.definitions = await definitions.read(tx)
        self.told = self._catalog.revision
        self._defined()

    async def follow(self, db: Database) -> None:
        """Takes every change over, for ever; while the database is away, memory stays as it is."""
        while True:
            await signalled(self._wake, None)
            self._wake.clear()
            dirty, self._dirty = self._dirty, _Dirty()
            target = self._catalog.revision
            try:
                if dirty.all:
                    await self.load(db)
                elif dirty.stored:
                    await self._read(db, dirty)
            except PlatformError as error:
                log.warning("plans and features cannot be read; serving what is known", error=str(error))
                self._dirty.add(dirty)
                self._wake.set()
                await asyncio.sleep(AGAIN_S)
                continue
            await self._recompute(self._touched(dirty), dirty.tenants if not dirty.all else None)
            self._welcome(self._catalog.tenants_on("") if dirty.all else dirty.tenants)
            if target < self._done:
                # The database was restored from a backup: what watchers have may never have happened.
                self.end_watches()
            self._done = target
            if not self._dirty:
                self._idle.set()
            self._moved.set()
            self._moved = asyncio.Event()
            if dirty.stored:
                self.told = target
                for feed in self.feeds:
                    feed.wake.set()

    async def _read(self, db: Database, dirty: _Dirty) -> None:
        known, read = self.definitions, Definitions()
        rolled: list[Rollout] = []
        killed: list[KillSwitch] = []
        async with db.transaction(snapshot=True) as tx:
            if dirty.features:
                read.features = await feature_store.get_features(tx, dirty.features)
                rolled = await feature_store.list_rollouts(tx, [feature_store.of_features(rollouts, dirty.features)])
                scope = [feature_store.of_features(kill_switches, dirty.features), kill_switches.c.tenant_id.is_(None)]
                killed = await feature_store.list_kill_switches(tx, scope)
            if dirty.plans:
                read.plans = {plan.id: plan for plan in await store.get_plans(tx, dirty.plans)}
                versions = await store.list_versions(tx, store.versions_of(dirty.plans))
                read.versions = {(each.plan_id, each.version): each for each in versions}
            if dirty.add_ons:
                read.add_ons = await store.get_add_ons(tx, dirty.add_ons)
            if dirty.overlays:
                read.overlays = await store.overlays(tx, sorted(dirty.overlays))
        # From here on nobody else has a turn: what is computed never stands on half of a change.
        known.features.update(read.features)
        for feature_id in dirty.features:
            known.rollouts[feature_id] = [each for each in rolled if each.feature_id == feature_id]
            known.kill_switches[feature_id] = [each for each in killed if each.feature_id == feature_id]
        known.plans.update(read.plans)
        known.versions.update(read.versions)
        known.add_ons.update(read.add_ons)
        for tenant_id in dirty.overlays:
            known.overlays.pop(tenant_id, None)
        known.overlays.update(read.overlays)
        if dirty.definitions:
            self._defined()

    def _defined(self) -> None:
        known = self.definitions
        self._recipes.clear()
        self._shared.clear()
        self._special = {each.cluster_id for many in known.rollouts.values() for each in many}
        self._special |= {each.cluster_id for many in known.kill_switches.values() for each in many}

    def _touched(self, dirty: _Dirty) -> Iterable[str]:
        if dirty.all or dirty.features or dirty.add_ons:
            return list(self._held)
        if dirty.plans:
            mine = {tenant_id for tenant_id, each in self._held.items() if each.plan_id in dirty.plans}
            return mine | dirty.tenants | dirty.overlays
        return dirty.tenants | dirty.overlays

    async def _recompute(self, tenant_ids: Iterable[str], moved: set[str] | None) -> None:
        """moved: tenants that changed themselves, or None when any may have."""
        deltas: dict[tuple[str, str], bytes] = {}
        for number, tenant_id in enumerate(tenant_ids, 1):
            before = self._held.get(tenant_id)
            is_moved = moved is None or tenant_id in moved
            if before is not None:
                after = self._computed(tenant_id) if is_moved else self._again(tenant_id, before)
                self._take(tenant_id, before, after, deltas)
            elif is_moved and self._catalog.cluster_ids_of(tenant_id) is None:
                self.definitions.overlays.pop(tenant_id, None)
            if number % COMPUTED_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _take(self, tenant_id: str, before: Held, after: Held | None, deltas: dict[tuple[str, str], bytes]) -> None:
        if after is None:
            self._drop(tenant_id, before)
            self.definitions.overlays.pop(tenant_id, None)
            for feed in self._watching(tenant_id, before.cluster_ids):
                feed.offer(tenant_id, None)
            return
        if after.cluster_ids == before.cluster_ids:
            self._held[tenant_id] = after
            if (after.version, after.shared.features.hash) != (before.version, before.shared.features.hash):
                self._digests.clear()
                delta = _delta(tenant_id, before, after, deltas)
                for feed in self._watching(tenant_id, after.cluster_ids):
                    feed.offer(tenant_id, delta)
            return
        self._put(tenant_id, after, before)
        delta = _delta(tenant_id, before, after, deltas)
        feeds = {*self._watching(tenant_id, before.cluster_ids), *self._watching(tenant_id, after.cluster_ids)}
        for feed in feeds:
            stays = feed.concerns(tenant_id, before.cluster_ids) and feed.concerns(tenant_id, after.cluster_ids)
            feed.offer(tenant_id, delta if stays else None)

    def _watching(self, tenant_id: str, cluster_ids: tuple[str, ...]) -> Iterator[Feed]:
        """Each of those whom the tenant concerns while it is there; whoever watches two places, twice."""
        yield from self._feeds_of_tenant.get(tenant_id, ())
        yield from self._feeds_on_cluster.get("", ())
        for cluster_id in cluster_ids:
            yield from self._feeds_on_cluster.get(cluster_id, ())

    def _welcome(self, tenant_ids: Iterable[str]) -> None:
        """Holds tenants that are new here when somebody watches where they are."""
        if not self.feeds:
            return
        for tenant_id in tenant_ids:
            if tenant_id in self._held:
                continue
            cluster_ids = self._catalog.cluster_ids_of(tenant_id)
            if cluster_ids is None:
                continue
            for feed in self._watching(tenant_id, cluster_ids):
                if self.held(tenant_id) is not None:
                    feed.offer(tenant_id, None)

    def _put(self, tenant_id: str, after: Held, before: Held | None) -> None:
        if before is not None and before.cluster_ids != after.cluster_ids:
            self._leave(tenant_id, before)
        for cluster_id in after.cluster_ids:
            self._on_cluster.setdefault(cluster_id, set()).add(tenant_id)
        self._held[tenant_id] = after
        self._digests.clear()

    def _drop(self, tenant_id: str, before: Held) -> None:
        self._leave(tenant_id, before)
        del self._held[tenant_id]
        self._digests.clear()

    def _leave(self, tenant_id: str, before: Held) -> None:
        for cluster_id in before.cluster_ids:
            self._on_cluster[cluster_id].discard(tenant_id)

    def held(self, tenant_id: str) -> Held | None:
        """What the tenant has; None for one that is not there."""
        found = self._held.get(tenant_id)
        if found is None and (found := self._computed(tenant_id)) is not None:
            self._put(tenant_id, found, None)
        return found

    def _computed(self, tenant_id: str) -> Held | None:
        tenant = self._catalog.tenant(tenant_id)
        if tenant is None:
            return None
        where = tenant.placement
        cluster_ids = tuple(each for each in (where.cluster_id, where.moving_to_cluster_id) if each)
        shared, revision = self._set_of(tenant_id, tenant.plan_id, where.cluster_id)
        version = max(tenant.revision, revision)
        zone = tenant.config.time_zone
        return Held(tenant.plan_id, where.cluster_id, cluster_ids, tenant.revision, version, shared, zone)

    def _again(self, tenant_id: str, before: Held) -> Held:
        """What a tenant that did not change itself has now."""
        shared, revision = self._set_of(tenant_id, before.plan_id, before.cluster_id)
        version = max(before.revision, revision)
        return replace(before, version=version, shared=shared)

    def _set_of(self, tenant_id: str, plan_id: str, cluster_id: str) -> tuple[Shared, int]:
        known, overlay = self.definitions, self.definitions.overlays.get(tenant_id)
        if overlay is not None and (overlay.attachments or overlay.overrides or overlay.kill_switches):
            given = known.given(tenant_id, plan_id, cluster_id)
            own = effective(given)
            revision = known.revision_of(given, (each.feature_id for each in own.entries))
            return self._interned(own), max(revision, overlay.revision)
        number = known.version_of(overlay, plan_id)
        version = known.versions.get((plan_id, number))
        place = cluster_id if cluster_id in self._special else ""
        key = (plan_id, number, place, self._share(tenant_id, place, version.features if version is not None else {}))
        recipe = self._recipes.get(key)
        if recipe is None:
            given = known.given(tenant_id, plan_id, cluster_id)
            common = effective(given)
            revision = known.revision_of(given, (each.feature_id for each in common.entries))
            recipe = self._recipes[key] = self._interned(common), revision
        return recipe[0], max(recipe[1], overlay.revision if overlay is not None else 0)

    def _share(self, tenant_id: str, cluster_id: str, plan: Mapping[str, Value]) -> tuple[bool, ...]:
        """Which rollouts of the plan's features have reached the tenant."""
        reached = []
        for feature_id, many in self.definitions.rollouts.items():
            if many and feature_id in plan:
                own = [each for each in many if each.cluster_id in (cluster_id, "")]
                chosen = max(own, key=lambda each: each.cluster_id, default=None)
                reached.append(chosen is None or bucket(feature_id, tenant_id) < chosen.basis_points)
        return tuple(reached)

    def _interned(self, features: FeatureSet) -> Shared:
        found = self._shared.get(features.hash)
        if found is None:
            body = messages.tenant_features("", 0, features).SerializeToString()
            found = self._shared[features.hash] = Shared(features, body)
        return found

    def answer(self, tenant_id: str, held: Held) -> bytes:
        """The GetTenantFeaturesResponse, serialised."""
        features = _tenant(tenant_id, held)
        return b"".join((b"\x0a", varint(len(features)), features, b"\x10", varint(self.revision)))

    def subscribe(self, cluster_id: str, tenant_ids: Iterable[str], known: Mapping[str, tuple[int, str]]) -> Feed:
        """known: (version, hash) by tenant, which are not sent again while they hold."""
        if self.closed:
            raise draining()
        feed = Feed(cluster_id if not tenant_ids else "", frozenset(tenant_ids))
        members: Iterable[str] = feed.tenant_ids or self._catalog.tenants_on(feed.cluster_id)
        feed.known = dict(known)
        # What the watcher knows of tenants that are not its any more comes with them.
        feed.snapshot = iter([*members, *(known.keys() - set(members))])
        feed.wake.set()
        self.feeds.add(feed)
        for index, key in self._places(feed):
            index.setdefault(key, {})[feed] = None
        return feed

    def unsubscribe(self, feed: Feed) -> None:
        self.feeds.discard(feed)
        for index, key in self._places(feed):
            if feed in index.get(key, {}):
                del index[key][feed]
                if not index[key]:
                    del index[key]

    def _places(self, feed: Feed) -> Iterator[tuple[dict[str, dict[Feed, None]], str]]:
        if not feed.tenant_ids:
            yield self._feeds_on_cluster, feed.cluster_id
        for tenant_id in feed.tenant_ids:
            yield self._feeds_of_tenant, tenant_id

    def close_feeds(self) -> None:
        """Ends every watch, so that its watcher asks another process."""
        self.closed = True
        self.end_watches()

    def end_watches(self) -> None:
        """Ends the watches that are open; their watchers may come back at once."""
        for feed in self.feeds:
            feed.closed = True
            feed.wake.set()

    def take(self, feed: Feed) -> bytes | None:
        """The next WatchTenantFeaturesResponse, serialised; None when there is nothing new."""
        parts: list[bytes] = []
        if feed.snapshot is not None:
            last = True
            for tenant_id in feed.snapshot:
                parts += self._first(feed, tenant_id)
                if len(parts) >= SNAPSHOT_CHUNK:
                    last = False
                    break
            if not last:
                return self._response(_phase(catalog_pb.WATCH_PHASE_SNAPSHOT), parts, 0)
            feed.snapshot = None
            feed.known = {}
            feed.sent = self.revision
            return self._response(_phase(catalog_pb.WATCH_PHASE_SNAPSHOT_END), parts, feed.sent)
        if not feed.pending and feed.sent >= self.revision:
            return None
        while feed.pending and len(parts) < CHANGES_CHUNK:
            tenant_id = next(iter(feed.pending))
            delta = feed.pending.pop(tenant_id)
            parts.append(self._whole(feed, tenant_id) if delta is None else delta)
        if not feed.pending:
            feed.sent = max(feed.sent, self.revision)
        return self._response(_phase(catalog_pb.WATCH_PHASE_CHANGES), parts, feed.sent)

    def _first(self, feed: Feed, tenant_id: str) -> list[bytes]:
        """What a new watcher is sent of one tenant: nothing where it knows all."""
        found, known = self._member(feed, tenant_id), feed.known.get(tenant_id)
        if found is None:
            return [_removed(tenant_id)] if known is not None else []
        if known is None or known[1] != found.shared.features.hash:
            return [_field(2, _tenant(tenant_id, found))]
        if known[0] == found.version:
            return []
        return [_delta(tenant_id, replace(found, version=known[0]), found, {})]

    def _whole(self, feed: Feed, tenant_id: str) -> bytes:
        found = self._member(feed, tenant_id)
        return _removed(tenant_id) if found is None else _field(2, _tenant(tenant_id, found))

    def _member(self, feed: Feed, tenant_id: str) -> Held | None:
        found = self.held(tenant_id)
        return found if found is not None and feed.concerns(tenant_id, found.cluster_ids) else None

    def heartbeat(self, feed: Feed) -> bytes:
        # Something may have come while the patience ended; the check is of what the watcher has been sent.
        if (response := self.take(feed)) is not None:
            return response
        feed.sent = max(feed.sent, self.revision)
        return self._response(_phase(catalog_pb.WATCH_PHASE_CHANGES), [], feed.sent, self._check(feed))

    def _check(self, feed: Feed) -> bytes:
        if feed.tenant_ids:
            count, digest = self._digest(feed.tenant_ids & self._held.keys())
        else:
            if feed.cluster_id not in self._digests:
                here = self._on_cluster.get(feed.cluster_id, set()) if feed.cluster_id else self._held
                self._digests[feed.cluster_id] = self._digest(here)
            count, digest = self._digests[feed.cluster_id]
        return pb.FeaturesCheck(tenant_count=count, digest=digest).SerializeToString()

    def _digest(self, tenant_ids: Iterable[str]) -> tuple[int, int]:
        count = digest = 0
        for tenant_id in tenant_ids:
            text = f"{tenant_id} {self._held[tenant_id].shared.features.hash}"
            digest ^= int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
            count += 1
        return count, digest

    def _response(self, phase: bytes, parts: list[bytes], revision: int, check: bytes = b"") -> bytes:
        end = [phase, *parts]
        if revision:
            end += (b"\x28", varint(revision))
        end.append(_field(6, _time(self._clock.now())))
        if check:
            end.append(_field(7, check))
        return b"".join(end)


def _delta(tenant_id: str, before: Held, after: Held, made: dict[tuple[str, str], bytes]) -> bytes:
    """A FeaturesDelta as field of a response. made: what is the same for all tenants that changed alike."""
    old, new = before.shared.features, after.shared.features
    change = made.get((old.hash, new.hash))
    if change is None:
        changed, removed = differences(old.entries, new.entries)
        change = made[old.hash, new.hash] = pb.FeaturesDelta(
            hash=new.hash,
            plan_id=new.plan_id,
            plan_version=new.plan_version,
            changed=[messages.effective(each) for each in changed],
            removed_feature_ids=removed,
        ).SerializeToString()
    head = pb.FeaturesDelta(tenant_id=tenant_id, previous_version=before.version, version=after.version)
    return _field(3, head.SerializeToString() + change)


def _tenant(tenant_id: str, held: Held) -> bytes:
    id = tenant_id.encode()
    return b"".join((b"\x0a", varint(len(id)), id, b"\x10", varint(held.version), held.shared.body))


def _removed(tenant_id: str) -> bytes:
    return _field(4, tenant_id.encode())


def _field(number: int, data: bytes) -> bytes:
    return b"".join((bytes((number << 3 | 2,)), varint(len(data)), data))


def _phase(phase: catalog_pb.WatchPhase) -> bytes:
    return b"\x08" + varint(phase)


def _time(now: datetime) -> bytes:
    stamp = pb.WatchTenantFeaturesResponse().time
    stamp.FromDatetime(now)
    return stamp.SerializeToString()
