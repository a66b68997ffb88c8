"""One delta ADS stream as a state machine: requests in, responses out, no I/O.

The rules are those of Envoy's xDS protocol page; where Envoy 1.40 does something else, the comment says so.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from envoy.service.discovery.v3 import discovery_pb2 as discovery

from edge.xds.log import Log
from edge.xds.resources import CLUSTER, ENDPOINTS, LISTENER, ORDER, ROUTES, SCOPE, WORDS, Resource
from edge.xds.served import Served

WILDCARD = "*"

# An Envoy that asks for nothing by name wants everything, but only of these types.
_WILDCARD_TYPES = frozenset({CLUSTER, LISTENER, SCOPE})
# A response of 2,000 scopes holds Envoy's main thread for about 20 ms; one of 10,000 for 150.
_MOST_RESOURCES = 2000
_MOST_BYTES = 2 << 20
# A stream that knows nearly everything yields to the others while it is compared.
_MOST_COMPARED = 10_000


@dataclass(frozen=True, slots=True)
class Refused:
    """One version of one resource that one Envoy would not have."""

    type_url: str
    name: str
    version: str
    reason: str
    time_s: float
    # Whom it concerns; empty for what belongs to no tenant.
    tenant_id: str = ""

    @property
    def resource_id(self) -> str:
        """As the catalog knows it: the tenant, or the cluster."""
        return self.tenant_id or self.name


@dataclass(slots=True)
class _Sent:
    """A response in flight: what it holds and the oldest change in it."""

    nonce: str
    revision: int
    resources: list[Resource]
    removed: list[str]
    low: int | None


@dataclass(slots=True)
class _Part:
    """A part of a refused response, to be sent again without the others."""

    names: list[str]
    low: int | None


@dataclass(eq=False, slots=True)
class Subscription:
    """One type on one stream; at most one response is in flight, and what changes meanwhile merges behind it."""

    log: Log
    stream: "Stream"
    wildcard: bool = False
    # A wildcard subscription has been sent everything up to here.
    cursor: int = 0
    # The last change there was when it began: what was removed by then it never had from us.
    joined: int = 0
    # The oldest change after the cursor, where the log no longer tells; see Log._compact.
    floor: int | None = None
    names: set[str] = field(default_factory=set)
    # What the client said it holds when it came; each is compared once, then dropped.
    known: dict[str, str] = field(default_factory=dict)
    # To send, with the oldest change not yet sent.
    dirty: dict[str, int] = field(default_factory=dict)
    # Not to be sent before a cluster that Envoy refused; they hold back nothing else.
    stranded: dict[str, int] = field(default_factory=dict)
    parts: deque[_Part] = field(default_factory=deque)
    sent: _Sent | None = None
    # What the client acknowledged; kept for the types that are asked for by name, and for clusters.
    held: dict[str, str] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    # The client has had an answer of this type: on this stream, or on the one before it.
    answered: bool = False
    acknowledged: int = 0
    acknowledged_s: float = 0.0

    __hash__ = object.__hash__

    @property
    def tracks_names(self) -> bool:
        return self.log.type_url is not SCOPE

    @property
    def pending(self) -> int:
        behind = sum(1 for _ in self.log.after(self.cursor)) if self.wildcard else 0
        in_flight = len(self.sent.resources) + len(self.sent.removed) if self.sent else 0
        return len(self.dirty) + len(self.stranded) + behind + in_flight + sum(len(part.names) for part in self.parts)

    def wake(self) -> None:
        self.stream.wake()

    def touch(self, name: str, seq: int) -> None:
        """A name that was asked for has changed."""
        self.stranded.pop(name, None)
        self.dirty.setdefault(name, seq)
        self.stream.wake()

    def low(self) -> int | None:
        """The oldest change that the client has not acknowledged or refused; None when it has all."""
        lows = [part.low for part in self.parts if part.low is not None]
        if self.sent is not None and self.sent.low is not None:
            lows.append(self.sent.low)
        if self.dirty:
            # Insertion order is the order of change, but for what a refusal put back.
            lows.append(min(self.dirty.values()))
        if self.wildcard and (behind := self.floor or self.log.first_after(self.cursor)) is not None:
            lows.append(behind)
        return min(lows, default=None)


class Stream:
    """All subscriptions of one Envoy."""

    def __init__(
        self,
        served: Served,
        wake: Callable[[], None],
        *,
        now: Callable[[], float] = time.time,
        progressed: Callable[["Stream"], None] = lambda stream: None,
    ) -> None:
        self.wake = wake
        self.node_id = ""
        self.node_version = ""
        self.subscriptions: dict[str, Subscription] = {}
        self._served = served
        self._now = now
        self._progressed = progressed
        self._nonce = 0
        self._reconnected = False
        # It has answered something, and so has said before what it has: Envoy asks for all types in one go.
        self._introduced = False

    def receive(self, request: discovery.DeltaDiscoveryRequest) -> None:
        if request.HasField("node"):
            self.node_id = request.node.id
            version = request.node.user_agent_build_version.version
            self.node_version = f"{version.major_number}.{version.minor_number}.{version.patch}"
        log = self._served.logs.get(request.type_url)
        if log is None:
            # Types that this platform has no resources of (VHDS, RTDS): silence is what Envoy copes with.
            return
        sub = self.subscriptions.get(request.type_url)
        first = sub is None
        if sub is None:
            sub = self.subscriptions[request.type_url] = Subscription(log, self)
        # A stale nonce acknowledges nothing, but what the request subscribes to counts all the same.
        self._subscribe(sub, request, first)
        if sub.sent is not None and request.response_nonce == sub.sent.nonce:
            sent, sub.sent = sub.sent, None
            self._introduced = True
            if request.HasField("error_detail"):
                self._refused(sub, sent, request.error_detail.message)
            else:
                self._acknowledged(sub, sent)
        self.wake()
        self._progressed(self)

    def _subscribe(self, sub: Subscription, request: discovery.DeltaDiscoveryRequest, first: bool) -> None:
        log = sub.log
        wanted = list(request.resource_names_subscribe)
        legacy_wildcard = first and not wanted and log.type_url in _WILDCARD_TYPES
        if first and request.initial_resource_versions:
            sub.known = dict(request.initial_resource_versions)
            self._reconnected = True
            # Scopes are answered even if nothing has changed: see `low`.
            sub.answered = log.type_url is not SCOPE
        if (legacy_wildcard or WILDCARD in wanted) and not sub.wildcard:
            sub.wildcard = True
            sub.cursor, sub.joined = 0, log.last_seq
            log.wildcard_readers.add(sub)
            for name in [name for name in sub.known if name not in log]:
                sub.dirty[name] = 1
        for name in wanted:
            if name == WILDCARD:
                continue
            again = name in sub.names
            sub.names.add(name)
            log.subscribe(name, sub)
            if first and not again and (version := sub.known.pop(name, None)) is not None:
                found = log.get(name)
                if found is not None and found.version == version:
                    sub.held[name] = version
                    continue
                # It came back with something older: this edge has not what the catalog says.
                sub.dirty[name] = 1
                continue
            # A new reader waits for nothing that was before it, hence the number of a change yet to come.
            sub.dirty.setdefault(name, self._served.seq + 1)
        for name in request.resource_names_unsubscribe:
            if name == WILDCARD:
                sub.wildcard = False
                log.wildcard_readers.discard(sub)
                continue
            sub.names.discard(name)
            log.unsubscribe(name, sub)
            sub.dirty.pop(name, None)
            sub.stranded.pop(name, None)
            sub.held.pop(name, None)
            sub.refused.pop(name, None)
            if sub.wildcard:
                # Still covered by the wildcard: the client has to be told what it may go on holding.
                sub.dirty[name] = self._served.seq + 1

    def _acknowledged(self, sub: Subscription, sent: _Sent) -> None:
        for resource in sent.resources:
            sub.log.confirm(resource.name, resource.version)
            current = sub.log.get(resource.name) if resource.name in sub.refused else None
            if current is not None and current.version == resource.version:
                del sub.refused[resource.name]
            if sub.tracks_names:
                sub.held[resource.name] = resource.version
        for name in sent.removed:
            sub.refused.pop(name, None)
        sub.acknowledged += len(sent.resources) + len(sent.removed)
        sub.acknowledged_s = self._now()
        if sub.log.type_url in (CLUSTER, ENDPOINTS) and (routes := self.subscriptions.get(ROUTES)) is not None:
            for name, seq in routes.stranded.items():
                routes.dirty.setdefault(name, seq)
            routes.stranded.clear()

    def _refused(self, sub: Subscription, sent: _Sent, reason: str) -> None:
        names = [resource.name for resource in sent.resources] + sent.removed
        if len(names) > 1:
            # Envoy stops at the first bad one, so the rest has to be sent again: halves, until the bad one is alone.
            middle = len(names) // 2
            sub.parts.extendleft((_Part(names[middle:], sent.low), _Part(names[:middle], sent.low)))
            return
        if not sent.resources:
            return
        (resource,) = sent.resources
        sub.log.refuse(resource.name, resource.version)
        sub.refused[resource.name] = Refused(
            sub.log.type_url, resource.name, resource.version, reason, self._now(), resource.tenant_id
        )
        if resource.name not in sub.held:
            # It has no good version of its own to stay with.
            sub.dirty.setdefault(resource.name, self._served.seq + 1)

    def responses(self) -> Iterable[bytes]:
        """Everything that can be sent now, clusters first and routes last."""
        for type_url in ORDER:
            sub = self.subscriptions.get(type_url)
            if sub is not None and (response := self._next(sub)) is not None:
                yield response

    def _next(self, sub: Subscription) -> bytes | None:
        if sub.sent is not None:
            return None
        batch = _Sent(self._next_nonce(), self._served.revision, [], [], None)
        if sub.parts:
            part = sub.parts.popleft()
            batch.low = part.low
            for name in part.names:
                found = sub.log.get(name)
                if found is not None and self._waits_for(found, sub) is not _READY:
                    # It has changed meanwhile, to one that waits for a cluster.
                    sub.dirty.setdefault(name, self._served.seq if part.low is None else part.low)
                    continue
                self._choose(sub, name, batch, force=True)
            if not (batch.resources or batch.removed):
                return self._next(sub)
        else:
            self._take_dirty(sub, batch)
            self._take_changes(sub, batch)
        if not (batch.resources or batch.removed):
            if sub.wildcard and sub.cursor < sub.log.last_seq:
                self.wake()
                return None
            if sub.answered or not sub.wildcard:
                return None
            # Envoy waits up to 15 s for the first answer to a wildcard, so nothing is said aloud.
        sub.answered = True
        sub.sent = batch
        if sub.log.type_url is CLUSTER:
            self._send_endpoints_again(batch)
        head = discovery.DeltaDiscoveryResponse(
            system_version_info=str(batch.revision),
            type_url=sub.log.type_url,
            removed_resources=batch.removed,
            nonce=batch.nonce,
        )
        # Messages in wire format merge by concatenation: nothing is serialised twice, whatever the number of edges.
        return b"".join([head.SerializeToString(), *[resource.wire for resource in batch.resources]])

    def _take_dirty(self, sub: Subscription, batch: _Sent) -> None:
        size_bytes = 0
        taken: list[str] = []
        held_back: dict[str, int] = {}
        for name, seq in sub.dirty.items():
            found = sub.log.get(name)
            if found is not None and found.needs:
                wait = self._waits_for(found, sub)
                if wait is _LATER:
                    continue
                if wait is _STRANDED:
                    held_back[name] = seq
                    continue
            alone = found is not None and sub.log.is_suspect(found) and not self._has_refused(sub, found)
            if alone and (batch.resources or batch.removed):
                continue
            taken.append(name)
            self._choose(sub, name, batch, force=True)
            batch.low = seq if batch.low is None else min(batch.low, seq)
            size_bytes += len(found.wire) if found else 0
            if alone or len(taken) >= _MOST_RESOURCES or size_bytes >= _MOST_BYTES:
                break
        for name in taken:
            del sub.dirty[name]
        for name, seq in held_back.items():
            del sub.dirty[name]
            sub.stranded[name] = seq

    def _take_changes(self, sub: Subscription, batch: _Sent) -> None:
        if not sub.wildcard or sub.cursor >= sub.log.last_seq:
            return
        if len(batch.resources) + len(batch.removed) >= _MOST_RESOURCES or any(
            map(sub.log.is_suspect, batch.resources)
        ):
            return
        size_bytes = sum(len(resource.wire) for resource in batch.resources)
        seen = {resource.name for resource in batch.resources} | set(batch.removed)
        low = sub.floor or sub.log.first_after(sub.cursor) or sub.cursor
        before = len(batch.resources) + len(batch.removed)
        for compared, (seq, name) in enumerate(sub.log.after(sub.cursor)):
            if compared >= _MOST_COMPARED:
                break
            if name not in seen and (name in sub.log or seq > sub.joined):
                found = sub.log.get(name)
                alone = found is not None and sub.log.is_suspect(found) and not self._has_refused(sub, found)
                if alone and (batch.resources or batch.removed):
                    break
                seen.add(name)
                if self._choose(sub, name, batch) and found is not None:
                    size_bytes += len(found.wire)
                    if alone:
                        sub.cursor = seq
                        break
            sub.cursor = seq
            if len(batch.resources) + len(batch.removed) >= _MOST_RESOURCES or size_bytes >= _MOST_BYTES:
                break
        if len(batch.resources) + len(batch.removed) > before:
            batch.low = low if batch.low is None else min(batch.low, low)
        if sub.cursor >= sub.log.last_seq:
            sub.floor = None
            sub.known.clear()

    def _choose(self, sub: Subscription, name: str, batch: _Sent, *, force: bool = False) -> bool:
        """Puts what the client is to have under this name into the batch; False when it has it, or has refused it."""
        found = sub.log.get(name)
        if found is not None and self._has_refused(sub, found):
            if name in sub.held:
                return False
            found = sub.log.previous(name) or (sub.log.fallback(name) if sub.log.fallback is not None else None)
            if found is None or self._has_refused(sub, found):
                return False
        if found is None:
            batch.removed.append(name)
            # From here on it is not to be relied upon, whenever the client gets to it: the name may come back.
            sub.held.pop(name, None)
            return True
        if not force and sub.known.pop(name, None) == found.version:
            if sub.tracks_names:
                sub.held[name] = found.version
            return False
        batch.resources.append(found)
        return True

    def _has_refused(self, sub: Subscription, found: Resource) -> bool:
        refused = sub.refused.get(found.name)
        return refused is not None and refused.version == found.version

    def _waits_for(self, routes: Resource, sub: Subscription) -> object:
        """Make before break: a route follows its clusters and their endpoints, once Envoy has said that it has them.

        Envoy holds its ACK of clusters back while one of them still warms, so the ACK means ready to serve.
        """
        for name in routes.needs:
            clusters = self.subscriptions.get(CLUSTER)
            if clusters is None or name not in clusters.log:
                continue
            if name in clusters.refused and name not in clusters.held:
                # Without any routes the request would hang until it times out: better the 503 of a cluster that is
                # not there. With the old routes the tenant stays where it is.
                if routes.name in sub.held:
                    return _STRANDED
                continue
            if name not in clusters.held:
                return _LATER
            endpoints = self.subscriptions.get(ENDPOINTS)
            if endpoints is not None and name in endpoints.log and name in endpoints.names - endpoints.held.keys():
                return _LATER
        return _READY

    def _send_endpoints_again(self, clusters: _Sent) -> None:
        """A cluster that is told anew warms anew, and wants its endpoints.

        Envoy 1.40 was seen to keep those it has; older ones did not ask again and waited 15 s (envoy issue 13009).
        """
        endpoints = self.subscriptions.get(ENDPOINTS)
        if endpoints is None:
            return
        for cluster in clusters.resources:
            if cluster.name in endpoints.names:
                endpoints.dirty.setdefault(cluster.name, self._served.seq + 1)

    def _next_nonce(self) -> str:
        self._nonce += 1
        return str(self._nonce)

    @property
    def low(self) -> int | None:
        """The oldest change that this Envoy has neither acknowledged nor refused; None when it has all."""
        if not self.subscriptions or (self._reconnected and not (self._introduced and SCOPE in self.subscriptions)):
            # It serves what it had before, and has not said yet what that is. The routes come last, and only if it has
            # any; so the end of what it had is known by its first answer to anything.
            return 1
        lows = [low for sub in self.subscriptions.values() if (low := sub.low()) is not None]
        return min(lows, default=None)

    @property
    def applied_revision(self) -> int:
        """Everything up to this catalog revision is acknowledged, or refused and listed as such."""
        return self._served.revision_before(self.low)

    def refusals(self) -> list[Refused]:
        return [
            refused
            for type_url in ORDER
            if (sub := self.subscriptions.get(type_url)) is not None
            for refused in sub.refused.values()
        ]

    def close(self) -> None:
        for sub in self.subscriptions.values():
            sub.log.wildcard_readers.discard(sub)
            for name in sub.names:
                sub.log.unsubscribe(name, sub)
        self.subscriptions.clear()

    def __repr__(self) -> str:
        return f"<Stream {self.node_id} {[WORDS[type_url] for type_url in self.subscriptions]}>"


_READY, _LATER, _STRANDED = object(), object(), object()
