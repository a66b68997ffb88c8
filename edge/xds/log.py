"""All resources of one type in the order of their last change; streams read on from where they stopped."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Protocol

from edge.xds.resources import Resource

# Envoy asks for some names that are not stored: a tenant's routes are built when somebody wants them.
Find = Callable[[str], Resource | None]


class Reader(Protocol):
    """Something that wants to know that there is more to read."""

    cursor: int
    floor: int | None

    def wake(self) -> None: ...

    def touch(self, name: str, seq: int) -> None: ...


class Log:
    """One type.

    Wildcard readers hold a cursor: a change costs them one wake, and whoever is slow reads once what changed ten times.
    Readers of names are found by an index from the name. Neither costs anything for names nobody asked for.
    """

    def __init__(self, type_url: str, find: Find | None = None, fallback: Find | None = None) -> None:
        self.type_url = type_url
        self.last_seq = 0
        self.wildcard_readers: set[Reader] = set()
        self.readers: dict[str, set[Reader]] = {}
        # What is served for a name whose resource was refused and that has no earlier version.
        self.fallback = fallback
        self._find = find
        self._resources: dict[str, Resource] = {}
        # The version before the last change, until some edge acknowledges the change.
        self._previous: dict[str, Resource] = {}
        self._refused: dict[str, str] = {}
        self._seqs: list[int] = []
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self._resources)

    def __contains__(self, name: str) -> bool:
        return name in self._resources

    def names(self) -> Iterator[str]:
        return iter(self._resources)

    def get(self, name: str) -> Resource | None:
        found = self._resources.get(name)
        if found is None and self._find is not None:
            found = self._find(name)
            if found is not None and name in self.readers:
                # Shared by the edges that use it, forgotten when none does.
                self._resources[name] = found
        return found

    def previous(self, name: str) -> Resource | None:
        return self._previous.get(name)

    def is_suspect(self, resource: Resource) -> bool:
        """Some edge refused exactly this: it is sent alone from now on, so that it takes no other with it."""
        return self._refused.get(resource.name) == resource.version

    def put(self, resource: Resource, seq: int) -> bool:
        """Whether anything changed."""
        before = self._resources.get(resource.name)
        if before is not None:
            if before.version == resource.version:
                return False
            if (self.wildcard_readers or resource.name in self.readers) and not self.is_suspect(before):
                self._previous[resource.name] = before
        self._resources[resource.name] = resource
        self._append(resource.name, seq)
        return True

    def remove(self, name: str, seq: int) -> bool:
        if self._resources.pop(name, None) is None:
            return False
        self._previous.pop(name, None)
        self._refused.pop(name, None)
        self._append(name, seq)
        return True

    def confirm(self, name: str, version: str) -> None:
        """An edge has this version: there is no way back to the one before it."""
        if self._previous and (current := self._resources.get(name)) is not None and current.version == version:
            self._previous.pop(name, None)

    def refuse(self, name: str, version: str) -> None:
        self._refused[name] = version

    def after(self, cursor: int) -> Iterator[tuple[int, str]]:
        """Changes after the cursor, oldest first; a name may come twice."""
        for at in range(bisect_right(self._seqs, cursor), len(self._seqs)):
            yield self._seqs[at], self._names[at]

    def first_after(self, cursor: int) -> int | None:
        at = bisect_right(self._seqs, cursor)
        return self._seqs[at] if at < len(self._seqs) else None

    def subscribe(self, name: str, reader: Reader) -> None:
        self.readers.setdefault(name, set()).add(reader)

    def unsubscribe(self, name: str, reader: Reader) -> None:
        left = self.readers.get(name)
        if left is None:
            return
        left.discard(reader)
        if not left:
            del self.readers[name]
            if self._find is not None:
                self._resources.pop(name, None)
                self._previous.pop(name, None)

    def _append(self, name: str, seq: int) -> None:
        self.last_seq = seq
        # A type that is only asked for by name needs no history.
        if self._find is None:
            self._seqs.append(seq)
            self._names.append(name)
            if len(self._seqs) > 2 * len(self._resources) + 1024:
                self._compact()
        for reader in self.readers.get(name, ()):
            reader.touch(name, seq)
        for reader in self.wildcard_readers:
            reader.wake()

    def _compact(self) -> None:
        """Keeps the last change of each name; a removal is kept while somebody has still to hear of it.

        Readers that are behind note where they are first: a change that is dropped here, because a later one of its
        name is still to come, is a change that they do not have.
        """
        for reader in self.wildcard_readers:
            reader.floor = reader.floor or self.first_after(reader.cursor)
        slowest = min((reader.cursor for reader in self.wildcard_readers), default=self.last_seq)
        latest = dict(zip(self._names, self._seqs, strict=True))
        kept = [
            (seq, name)
            for seq, name in zip(self._seqs, self._names, strict=True)
            if latest[name] == seq and (name in self._resources or seq > slowest)
        ]
        self._seqs = [seq for seq, _ in kept]
        self._names = [name for _, name in kept]
