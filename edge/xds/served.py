"""Everything this edge serves, which catalog revision it stands for, and who reads it."""

from bisect import bisect_left
from collections.abc import Iterable

from edge.xds.log import Find, Log
from edge.xds.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SCOPE, Resource


class Served:
    """One numbered sequence of changes over all types, and which numbers make up which catalog revision."""

    def __init__(self, find_routes: Find, routes_fallback: Find) -> None:
        self.seq = 0
        self.revision = 0
        self.logs: dict[str, Log] = {
            CLUSTER: Log(CLUSTER),
            ENDPOINTS: Log(ENDPOINTS),
            LISTENER: Log(LISTENER),
            SCOPE: Log(SCOPE),
            ROUTES: Log(ROUTES, find_routes, routes_fallback),
        }
        # Parallel: the last change of a revision, and the revision. Rising both.
        self._ends: list[int] = []
        self._revisions: list[int] = []

    def apply(self, revision: int, puts: Iterable[Resource], removals: Iterable[tuple[str, str]] = ()) -> None:
        """One step from a whole revision to another: readers run after it, never in its middle."""
        # Removals first: a key that goes from one scope to another must not be in two at any time.
        for type_url, name in removals:
            if self.logs[type_url].remove(name, self.seq + 1):
                self.seq += 1
        for resource in puts:
            if self.logs[resource.type_url].put(resource, self.seq + 1):
                self.seq += 1
        if revision > self.revision:
            self.revision = revision
            if self._ends and self._ends[-1] == self.seq:
                self._revisions[-1] = revision
            else:
                self._ends.append(self.seq)
                self._revisions.append(revision)

    def forget_revisions(self) -> None:
        self.revision = 0
        self._ends.clear()
        self._revisions.clear()

    def revision_before(self, seq: int | None) -> int:
        """The last revision whose every change is older than `seq`; None stands for the end of time."""
        if seq is None:
            return self.revision
        at = bisect_left(self._ends, seq)
        return self._revisions[at - 1] if at else 0

    def forget_before(self, revision: int) -> None:
        """Everybody has this revision: which changes made up the ones before it no longer matters."""
        at = bisect_left(self._revisions, revision)
        # One is left in place, as the answer for a reader that is just behind.
        if at > 1024:
            del self._ends[: at - 1], self._revisions[: at - 1]
