"""The whole catalog in one process's memory: answers lookups, and feeds watchers without touching the database.

Chosen with a million tenants in mind: a tenant is its serialised entry and the keys that lead to it (about 1 kB in
all), a change costs the same whatever the number of tenants, and a snapshot is a list of references.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from center.control.v1 import catalog_service_pb2 as pb
from center.control.v1 import solution_service_pb2 as solution_pb
from center.control.v1 import tenant_service_pb2 as tenant_pb
from control.catalog.store import CLUSTER, KEPT, SOLUTION, TENANT, Logged
from control.varint import varint
from shared.runtime.errors import Unavailable

# A million entries of some 300 bytes do not fit one message; a chunk of this size is sent in about a millisecond.
SNAPSHOT_CHUNK = 500
CHANGES_CHUNK = 5_000

Key = tuple[str, str]


@dataclass(slots=True)
class Entry:
    """One tenant, cluster or solution as it is now."""

    revision: int
    data: bytes
    # Verified names, and the code last; of tenants only.
    names: tuple[str, ...] = ()
    code: str = ""
    cluster_ids: tuple[str, ...] = ()
    # What ResolveTenant answers but for the revision, made when first asked for.
    answer: bytes | None = None


class Listener(Protocol):
    """Somebody in this process who keeps up with the catalog. Neither method may wait or fail."""

    def changed(self, kind: str, resource_id: str, revision: int, entry: pb.CatalogEntry) -> None:
        """A change, of kinds that are only logged, too, in the order of revisions, and before anyone is told that the
        catalog has reached it."""

    def reset(self, revision: int) -> None:
        """Changes up to this revision were not told one by one: whatever is known may be old."""


class Feed:
    """What one watcher has not been sent yet. Changes of the same thing merge, so a slow watcher costs only itself."""

    def __init__(self, cluster_id: str) -> None:
        self.cluster_id = cluster_id
        self.wake = asyncio.Event()
        self.closed = False
        self._pending: dict[Key, tuple[int, bytes]] = {}
        self._snapshot: Iterator[tuple[int, bytes]] | None = None
        self._sent = 0
        self._newest = 0

    def start(self, snapshot: Iterable[tuple[int, bytes]] | None, sent: int, newest: int) -> None:
        self._snapshot = iter(snapshot) if snapshot is not None else None
        self._sent, self._newest = sent, newest
        self._snapshot_revision = newest

    def concerns(self, cluster_ids: Sequence[str], kind: str) -> bool:
        return not self.cluster_id or kind == CLUSTER or self.cluster_id in cluster_ids

    def offer(self, key: Key, revision: int, data: bytes, cluster_ids: Sequence[str]) -> None:
        # What is already on its way is replaced even by a change that no longer concerns the watcher.
        if key in self._pending or self.concerns(cluster_ids, key[0]):
            self._pending[key] = (revision, data)

    def reach(self, revision: int) -> None:
        self._newest = revision
        self.wake.set()

    def take(self) -> bytes | None:
        """The next WatchResponse, serialised; None when there is nothing new."""
        if self._snapshot is not None:
            chunk = [entry for _, entry in zip(range(SNAPSHOT_CHUNK), self._snapshot, strict=False)]
            if len(chunk) == SNAPSHOT_CHUNK:
                return _response(pb.WATCH_PHASE_SNAPSHOT, chunk, 0)
            self._snapshot = None
            self._sent = self._snapshot_revision
            return _response(pb.WATCH_PHASE_SNAPSHOT_END, chunk, self._sent)
        if self._sent == self._newest and not self._pending:
            return None
        ready = sorted(self._pending.values())
        if len(ready) <= CHANGES_CHUNK:
            self._pending.clear()
            self._sent = self._newest
            return _response(pb.WATCH_PHASE_CHANGES, ready, self._sent)
        # Too much for one message: until the last part the watcher has everything only up to where it was.
        part = ready[:CHANGES_CHUNK]
        last = part[-1][0]
        self._pending = {key: value for key, value in self._pending.items() if value[0] > last}
        return _response(pb.WATCH_PHASE_CHANGES, part, self._sent)

    def heartbeat(self) -> bytes:
        return _response(pb.WATCH_PHASE_CHANGES, [], self._sent)


class Catalog:
    """Everything as of `revision`, the recent changes, and who wants to hear of the next ones."""

    def __init__(self, retained: int) -> None:
        self.retained = retained
        self.revision = 0
        self.feeds: set[Feed] = set()
        self.closed = False
        self._entries: dict[str, dict[str, Entry]] = {kind: {} for kind in KEPT}
        self._solutions: dict[str, solution_pb.Solution] = {}
        self._listeners: list[Listener] = []
        self._by_domain: dict[str, str] = {}
        self._by_code: dict[str, str] = {}
        # (revision, key, clusters) of the last changes, and the revision before the first of them.
        self._log: list[tuple[int, Key, tuple[str, ...]]] = []
        self._log_start = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._suffix = b""

    def load(
        self,
        revision: int,
        entries: Iterable[tuple[str, str, int, bytes]],
        log: Iterable[tuple[int, str, str, tuple[str, ...]]],
    ) -> None:
        """Takes the whole catalog over: (kind, resource id, revision, data) of everything, and the recent changes.

        Watchers that are connected get what differs.
        """
        before = self._entries
        self._entries = {kind: {} for kind in KEPT}
        self._solutions = {}
        self._by_domain, self._by_code = {}, {}
        for kind, resource_id, entry_revision, data in entries:
            self._put(kind, resource_id, entry_revision, data, pb.CatalogEntry.FromString(data))
        recent = list(log)
        self._log = [
            (at, (kind, resource_id), cluster_ids) for at, kind, resource_id, cluster_ids in recent if kind in KEPT
        ]
        self._log_start = recent[0][0] - 1 if recent else revision
        if self.feeds:
            self._offer_differences(before, revision)
        for listener in self._listeners:
            listener.reset(revision)
        self._reach(revision)

    def _offer_differences(self, before: dict[str, dict[str, Entry]], revision: int) -> None:
        for kind, entries in self._entries.items():
            for resource_id, entry in entries.items():
                old = before[kind].get(resource_id)
                if old is None or old.revision != entry.revision:
                    concerned = (*entry.cluster_ids, *(old.cluster_ids if old is not None else ()))
                    for feed in self.feeds:
                        feed.offer((kind, resource_id), entry.revision, entry.data, concerned)
            for resource_id in before[kind].keys() - entries.keys():
                gone = _removed(kind, resource_id, revision)
                for feed in self.feeds:
                    feed.offer((kind, resource_id), revision, gone, before[kind][resource_id].cluster_ids)

    def apply(self, changes: Sequence[Logged]) -> None:
        """Takes the next changes over, in order, and hands them to every watcher and listener."""
        for change in changes:
            message = pb.CatalogEntry.FromString(change.entry)
            if change.kind in KEPT:
                key = (change.kind, change.resource_id)
                self._put(change.kind, change.resource_id, change.revision, change.entry, message)
                self._log.append((change.revision, key, change.cluster_ids))
                for feed in self.feeds:
                    feed.offer(key, change.revision, change.entry, change.cluster_ids)
            for listener in self._listeners:
                listener.changed(change.kind, change.resource_id, change.revision, message)
        if len(self._log) > self.retained + self.retained // 4:
            surplus = len(self._log) - self.retained
            self._log_start = self._log[surplus - 1][0]
            del self._log[:surplus]
        if changes:
            self._reach(changes[-1].revision)

    def _put(self, kind: str, resource_id: str, revision: int, data: bytes, message: pb.CatalogEntry) -> None:
        entries = self._entries[kind]
        old = entries.get(resource_id)
        if old is not None:
            for name in old.names:
                if self._by_domain.get(name) == resource_id:
                    del self._by_domain[name]
            if self._by_code.get(old.code) == resource_id:
                del self._by_code[old.code]
        which = message.WhichOneof("entry")
        if which == "tenant":
            tenant = message.tenant
            names = tuple(domain.name for domain in tenant.domains)
            where = tenant.placement
            cluster_ids = tuple(each for each in (where.cluster_id, where.moving_to_cluster_id) if each)
            entries[resource_id] = Entry(revision, data, names, tenant.code, cluster_ids)
            for name in names:
                self._by_domain[name] = resource_id
            self._by_code[tenant.code] = resource_id
        elif which == "cluster":
            entries[resource_id] = Entry(revision, data, cluster_ids=(resource_id,))
        elif which == "solution":
            entries[resource_id] = Entry(revision, data)
            self._solutions[resource_id] = message.solution
        else:
            entries.pop(resource_id, None)
            if kind == SOLUTION:
                self._solutions.pop(resource_id, None)

    def _reach(self, revision: int) -> None:
        self.revision = revision
        self._suffix = b"\x48" + varint(revision)  # field 9 of ResolveTenantResponse
        # Those that follow everything, the edges, go first: a request meets them before it meets a cluster.
        for of_cluster in (False, True):
            for feed in self.feeds:
                if bool(feed.cluster_id) is of_cluster:
                    feed.reach(revision)
        if self._waiters:
            for wanted, waiter in self._waiters:
                if wanted <= revision and not waiter.done():
                    waiter.set_result(None)
            self._waiters = [each for each in self._waiters if not each[1].done()]

    async def reached(self, revision: int) -> None:
        """Returns when the catalog here is at least as new."""
        if revision > self.revision:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((revision, waiter))
            await waiter

    def subscribe(self, from_revision: int, cluster_id: str) -> Feed:
        """A feed that starts with all that changed since, or with a snapshot where that is not known any more."""
        if self.closed:
            raise draining()
        feed = Feed(cluster_id)
        if 0 < from_revision <= self.revision and from_revision >= self._log_start:
            feed.start(None, from_revision, self.revision)
            first = bisect_right(self._log, from_revision, key=lambda each: each[0])
            for revision, key, cluster_ids in self._log[first:]:
                entry = self._entries[key[0]].get(key[1])
                if entry is not None:
                    feed.offer(key, entry.revision, entry.data, cluster_ids)
                else:
                    feed.offer(key, revision, _removed(*key, revision), cluster_ids)
            feed.wake.set()
        else:
            feed.start(self._everything(feed), 0, self.revision)
        self.feeds.add(feed)
        return feed

    def _everything(self, feed: Feed) -> list[tuple[int, bytes]]:
        return [
            (entry.revision, entry.data)
            for kind in KEPT
            for entry in self._entries[kind].values()
            if feed.concerns(entry.cluster_ids, kind)
        ]

    def listen(self, listener: Listener) -> None:
        """From now on; what is there already the listener reads by itself."""
        self._listeners.append(listener)

    def unsubscribe(self, feed: Feed) -> None:
        self.feeds.discard(feed)

    def close_feeds(self) -> None:
        """Ends every watch, so that its watcher asks another process."""
        self.closed = True
        self.end_watches()

    def end_watches(self) -> None:
        """Ends the watches that are open; their watchers may come back at once."""
        for feed in self.feeds:
            feed.closed = True
            feed.wake.set()

    def tenant_id_of_domain(self, name: str) -> str | None:
        return self._by_domain.get(name)

    def tenant_id_of_code(self, code: str) -> str | None:
        return self._by_code.get(code)

    def resolved(self, tenant_id: str | None) -> bytes | None:
        """The ResolveTenantResponse for a tenant, serialised; None for one that is not there."""
        entry = self._entries[TENANT].get(tenant_id) if tenant_id is not None else None
        if entry is None:
            return None
        if entry.answer is None:
            entry.answer = _answer(pb.CatalogEntry.FromString(entry.data).tenant)
        return entry.answer + self._suffix

    def tenant(self, tenant_id: str) -> pb.CatalogTenant | None:
        entry = self._entries[TENANT].get(tenant_id)
        return pb.CatalogEntry.FromString(entry.data).tenant if entry is not None else None

    def cluster(self, cluster_id: str) -> pb.CatalogCluster | None:
        entry = self._entries[CLUSTER].get(cluster_id)
        return pb.CatalogEntry.FromString(entry.data).cluster if entry is not None else None

    def cluster_ids_of(self, tenant_id: str) -> tuple[str, ...] | None:
        """Where the tenant is, and where it is moving to; None for one that is not there."""
        entry = self._entries[TENANT].get(tenant_id)
        return entry.cluster_ids if entry is not None else None

    def tenants_on(self, cluster_id: str) -> list[str]:
        """Ids of the tenants that are there or moving there; of all tenants for an empty id."""
        entries = self._entries[TENANT].items()
        return [each for each, entry in entries if not cluster_id or cluster_id in entry.cluster_ids]

    def solution(self, solution_id: str) -> solution_pb.Solution | None:
        """As it is now; not to be changed. Another change to the solution is another message."""
        return self._solutions.get(solution_id)

    def solutions(self) -> Iterable[solution_pb.Solution]:
        return self._solutions.values()


def draining() -> Unavailable:
    return Unavailable("DRAINING", "this process is about to stop; another one answers", retry_after_s=0.1)


def _answer(tenant: pb.CatalogTenant) -> bytes:
    return tenant_pb.ResolveTenantResponse(
        tenant_id=tenant.id,
        code=tenant.code,
        state=tenant.state,
        mode=tenant.mode,
        region_id=tenant.placement.region_id,
        cluster_id=tenant.placement.cluster_id,
        shard_id=tenant.placement.shard_id,
        primary_domain=tenant.primary_domain,
    ).SerializeToString()


def _removed(kind: str, resource_id: str, revision: int) -> bytes:
    entry = pb.CatalogEntry(revision=revision)
    if kind == TENANT:
        entry.removed_tenant_id = resource_id
    elif kind == CLUSTER:
        entry.removed_cluster_id = resource_id
    else:
        entry.removed_solution_id = resource_id
    return entry.SerializeToString()


def _response(phase: pb.WatchPhase, entries: Sequence[tuple[int, bytes]], revision: int) -> bytes:
    """A WatchResponse put together from entries that are serialised already; all watchers get the same bytes."""
    parts = [b"\x08", varint(phase)]  # field 1
    for _, data in entries:
        parts += (b"\x12", varint(len(data)), data)  # field 2
    if revision:
        parts += (b"\x18", varint(revision))  # field 3
    return b"".join(parts)
