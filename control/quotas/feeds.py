"""Tells validators, here and elsewhere, what changed about solutions, entitlements and tokens, and as of when."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime

import structlog

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import validator_service_pb2 as pb
from control.catalog import store
from control.catalog.memory import Catalog, draining
from shared.runtime.clock import Clock
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.quotas")

# How often the database is asked whether everything is known here.
LOOK_S = 0.5
# A validator that missed more than so many changes starts anew.
REPLAYED = 10_000

Apply = Callable[[pb.WatchAccessResponse], None]


class Feed:
    """What one validator has not been sent yet. solution_ids: what it decides for; None is everything."""

    def __init__(self, solution_ids: frozenset[str] | None) -> None:
        self.wake = asyncio.Event()
        self.closed = False
        self.reset = True
        self._solution_ids = solution_ids
        self._solutions: dict[str, pb.WatchAccessResponse] = {}
        self._tokens: dict[str, pb.TokenTerms] = {}
        self._entitlements: dict[str, pb.EntitlementTerms] = {}
        self._recalled: dict[str, None] = {}

    def concerns(self, solution_id: str) -> bool:
        return self._solution_ids is None or solution_id in self._solution_ids

    def offer(self, solution_id: str, told: pb.WatchAccessResponse) -> None:
        if not self.concerns(solution_id):
            return
        if told.solutions or told.removed_solution_ids:
            self._solutions[solution_id] = told
        for token in told.tokens:
            self._tokens[token.kid] = token
        for entitlement in told.entitlements:
            self._entitlements[entitlement.id] = entitlement
        for lease_id in told.recalled_lease_ids:
            self._recalled[lease_id] = None
        if len(self._tokens) + len(self._entitlements) > REPLAYED:
            self.start_over()
        self.wake.set()

    def start_over(self) -> None:
        self.reset = True
        self._solutions.clear()
        self._tokens.clear()
        self._entitlements.clear()
        self.wake.set()

    def take(self, catalog: Catalog, fresh: datetime, now: datetime) -> pb.WatchAccessResponse:
        """The next response, if only to say as of when everything is known."""
        told = pb.WatchAccessResponse(reset=self.reset)
        if self.reset:
            told.solutions.extend(each for each in catalog.solutions() if self.concerns(each.id))
            self.reset = False
        for change in self._solutions.values():
            told.solutions.extend(change.solutions)
            told.removed_solution_ids.extend(change.removed_solution_ids)
        self._solutions.clear()
        told.tokens.extend(self._tokens.values())
        self._tokens.clear()
        told.entitlements.extend(self._entitlements.values())
        self._entitlements.clear()
        told.recalled_lease_ids.extend(self._recalled)
        self._recalled.clear()
        told.revision = catalog.revision
        told.time.FromDatetime(fresh)
        told.send_time.FromDatetime(now)
        return told


class Feeds:
    """A listener of the catalog, and of recalls."""

    def __init__(self, db: Database, clock: Clock, catalog: Catalog) -> None:
        self.fresh = clock.now()
        self._db = db
        self._clock = clock
        self._catalog = catalog
        self._feeds: set[Feed] = set()
        self._here: list[Apply] = []
        self._closed = False
        catalog.listen(self)

    def attach(self, apply: Apply) -> None:
        """A validator of this very process: it hears of each change at once."""
        self._here.append(apply)
        apply(Feed(None).take(self._catalog, self.fresh, self._clock.now()))

    async def subscribe(self, solution_ids: frozenset[str] | None, from_revision: int) -> Feed:
        """A feed that starts with all that changed since, or with everything where that is not known any more."""
        if self._closed:
            raise draining()
        feed = Feed(solution_ids)
        self._feeds.add(feed)
        if 0 < from_revision <= self._catalog.revision:
            await self._replay(feed, from_revision)
        return feed

    async def _replay(self, feed: Feed, from_revision: int) -> None:
        """What comes meanwhile is offered already; twice does no harm."""
        if from_revision < self._catalog.revision:
            async with self._db.transaction() as tx:
                changes = await store.changes_after(tx, from_revision, REPLAYED)
            if len(changes) >= REPLAYED or not changes or changes[0].revision != from_revision + 1:
                return
            feed.reset = False
            for change in changes:
                entry = catalog_pb.CatalogEntry.FromString(change.entry)
                told = _told(change.kind, change.resource_id, entry)
                if told is not None:
                    feed.offer(*told)
        feed.reset = False
        for solution in self._catalog.solutions():
            feed.offer(solution.id, pb.WatchAccessResponse(solutions=[solution]))

    def next(self, feed: Feed) -> pb.WatchAccessResponse:
        """What a watch sends now."""
        return feed.take(self._catalog, self.fresh, self._clock.now())

    def unsubscribe(self, feed: Feed) -> None:
        self._feeds.discard(feed)

    def close_feeds(self) -> None:
        """Ends every watch, so that its validator asks another process."""
        self._closed = True
        for feed in self._feeds:
            feed.closed = True
            feed.wake.set()

    def changed(self, kind: str, resource_id: str, revision: int, entry: catalog_pb.CatalogEntry) -> None:
        told = _told(kind, resource_id, entry)
        if told is None:
            for apply in self._here:
                apply(pb.WatchAccessResponse(revision=revision))
            return
        solution_id, message = told
        message.revision = revision
        for apply in self._here:
            apply(message)
        for feed in self._feeds:
            feed.offer(solution_id, message)

    def reset(self, revision: int) -> None:
        told = pb.WatchAccessResponse(reset=True, revision=revision, solutions=self._catalog.solutions())
        for apply in self._here:
            apply(told)
        for feed in self._feeds:
            feed.start_over()

    def recalled(self, payload: str) -> None:
        """payload: a solution, and leases of it that somebody else waits for; empty for a new connection."""
        solution_id, *lease_ids = payload.split() or [""]
        told = pb.WatchAccessResponse(recalled_lease_ids=lease_ids)
        for apply in self._here:
            apply(told)
        for feed in self._feeds:
            feed.offer(solution_id, told)

    async def follow(self) -> None:
        """Finds out again and again that nothing is missing here, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        began = self._clock.now()
        try:
            async with asyncio.timeout(2 * LOOK_S):
                async with self._db.transaction() as tx:
                    newest = await store.newest(tx)
                await self._catalog.reached(newest)
        except (PlatformError, TimeoutError) as error:
            log.debug("whether the catalog is new is not known", error=str(error))
            return
        self.fresh = began
        told = pb.WatchAccessResponse(revision=self._catalog.revision)
        told.time.FromDatetime(began)
        for apply in self._here:
            apply(told)
        for feed in self._feeds:
            feed.wake.set()


def scope(caller: str | None, asked: Collection[str]) -> frozenset[str] | None:
    """What a validator hears of. caller: the solution that calls, None for others."""
    if asked:
        return frozenset(asked)
    return None if caller is None else frozenset((caller,))


def _told(kind: str, resource_id: str, entry: catalog_pb.CatalogEntry) -> tuple[str, pb.WatchAccessResponse] | None:
    """(solution, what validators need to know) of a change; None where that is nothing."""
    which = entry.WhichOneof("entry")
    if which == "solution":
        return entry.solution.id, pb.WatchAccessResponse(solutions=[entry.solution])
    if which == "removed_solution_id":
        return resource_id, pb.WatchAccessResponse(removed_solution_ids=[resource_id])
    if which != "access":
        return None
    access = entry.access
    if not access.entitlement_id:
        return None
    if access.token_kid:
        token = pb.TokenTerms(kid=access.token_kid, entitlement_id=access.entitlement_id)
        return access.solution_id, pb.WatchAccessResponse(tokens=[token])
    changed = pb.EntitlementTerms(id=access.entitlement_id, solution_id=access.solution_id)
    return access.solution_id, pb.WatchAccessResponse(entitlements=[changed])
