"""The part of PlanService that says what tenants have: once, step by step, or as it changes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeAlias

import grpc
from sqlalchemy import and_

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.control.v1 import plan_service_pb2 as pb
from center.shared.v1 import rules_pb2
from control.catalog.memory import draining
from control.catalog.watchers import SILENCE_S, Stream, Watchers, list_page
from control.features import definitions, messages
from control.features.callers import yours
from control.features.domain import effective, entry, steps
from control.features.memory import Features
from control.plans import domain, store
from control.plans.domain import VersionState
from control.signals import signalled
from control.tables import feature_watchers, plan_assignments
from control.tenants import store as tenant_store
from control.tenants.messages import moment, timestamp
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import DeadlineExceeded, InvalidArgument
from shared.runtime.filters import Field, where
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# How long a watcher that knows more than this process waits for it to catch up.
CATCH_UP_S = 5.0
# How long a question waits for a revision when the caller set no deadline, and what is kept for the answer.
PATIENCE_S = 10.0
ANSWER_S = 0.05

WATCHERS_BY_ID = Ordering((Term(feature_watchers.c.id),))


async def reached(features: Features, revision: int) -> None:
    """Returns when changes up to the revision are in; DEADLINE_EXCEEDED/REVISION_NOT_REACHED when they do not come."""
    if revision <= features.revision:
        return
    deadline, now = current().deadline, asyncio.get_running_loop().time()
    patience_s = PATIENCE_S if deadline is None else max(0.0, deadline - now - ANSWER_S)
    try:
        async with asyncio.timeout(patience_s):
            await features.reached(revision)
    except TimeoutError:
        message = f"plans and features here are at revision {features.revision}"
        raise DeadlineExceeded("REVISION_NOT_REACHED", message, revision=str(features.revision)) from None


class WatchMethods:
    db: Database
    _clock: Clock
    _tokens: PageTokens
    _features: Features
    _watchers: Watchers
    _heartbeat_s: float

    async def GetTenantFeatures(self, request: pb.GetTenantFeaturesRequest, context: Context) -> bytes:
        await reached(self._features, request.min_revision)
        return self._features.answer(*yours(self._features, request.tenant_id))

    async def ExplainFeature(self, request: pb.ExplainFeatureRequest, context: Context) -> pb.ExplainFeatureResponse:
        now = self._clock.now()
        time = moment(request.time, "time") if request.HasField("time") else None
        domain.check_future(time, now, "time")
        async with self.db.transaction(snapshot=True) as tx:
            tenant = await tenant_store.get(tx, request.tenant_id)
            known = await definitions.read(tx, [tenant.id])
            waiting = await store.list_assignments(tx, [plan_assignments.c.tenant_id == tenant.id])
        feature = known.features.get(request.feature_id)
        if feature is None:
            raise domain.feature_not_found(request.feature_id)
        plan_id, number = tenant.plan_id, None
        if time is not None:
            for assignment in waiting:
                if assignment.assign_time <= time:
                    plan_id, number = assignment.plan_id, assignment.pinned_version or None
            if number is None and (pinned := known.version_of(known.overlays.get(tenant.id), plan_id)):
                number = pinned
                if known.plans[plan_id].active_version == pinned:
                    number = _active_at(known, plan_id, time) or pinned
        given = known.given(tenant.id, plan_id, tenant.placement.cluster_id, number)
        found = effective(given, time)
        taken = steps(given, feature.id, time)
        overlay = known.overlays.get(tenant.id)
        version = max(
            known.revision_of(given, (each.feature_id for each in found.entries)),
            tenant.revision,
            overlay.revision if overlay is not None else 0,
        )
        response = pb.ExplainFeatureResponse(
            feature=messages.effective(entry(feature, taken)),
            steps=[messages.step(each) for each in taken],
            version=version,
            hash=found.hash,
        )
        if not taken:
            response.steps.add(
                message=f"nothing gives it: neither plan {plan_id}/{given.plan_version} nor anything else"
            )
        return response

    async def WatchTenantFeatures(
        self, requests: AsyncIterator[pb.WatchTenantFeaturesRequest], context: Context
    ) -> AsyncIterator[bytes]:
        first = await anext(requests, None)
        if first is None or not first.HasField("start"):
            raise InvalidArgument("WATCH_NOT_INTRODUCED", "the first request of a watch is its start")
        start, call = first.start, current()
        known = {each.tenant_id: (each.version, each.hash) for each in start.known}
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_S):
                await self._features.caught_up(self.db, max((version for version, _ in known.values()), default=0))
        feed = self._features.subscribe(start.cluster_id, [each.lower() for each in start.tenant_ids], known)
        watcher = Reports(self._watchers, f"{call.caller}/{start.instance}")
        if call.role != rules_pb2.CALLER_OPERATOR:
            # Replicas count from the beginning; an operator who only looks on counts once he reports.
            watcher.begin()
        reading = asyncio.ensure_future(watcher.follow(requests))
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        reading.add_done_callback(lambda _: feed.wake.set())
        try:
            while not feed.closed:
                if reading.done():
                    reading.result()  # a malformed report ends the watch
                if (response := self._features.take(feed)) is not None:
                    yield response
                    continue
                feed.wake.clear()
                if not await signalled(feed.wake, self._heartbeat_s):
                    yield self._features.heartbeat(feed)
            # The requests are nobody's any more when the refusal is sent.
            reading.cancel()
            await asyncio.wait([reading])
            raise draining()
        finally:
            self._features.unsubscribe(feed)
            watcher.end()
            reading.cancel()

    async def ListFeatureWatchers(
        self, request: pb.ListFeatureWatchersRequest, context: Context
    ) -> pb.ListFeatureWatchersResponse:
        size, columns = page_size(request.page_size), feature_watchers.c
        live = and_(columns.open, columns.seen_time > self._clock.now() - timedelta(seconds=SILENCE_S))
        fields = {
            "id": Field(columns.id),
            "live": Field(live, "bool"),
            "applied_revision": Field(columns.applied_revision, "int"),
        }
        cursor = self._tokens.read(request.page_token, request)
        conditions = [where(request.filter, fields), WATCHERS_BY_ID.after(cursor)]
        await self._watchers.write()
        async with self.db.transaction() as tx:
            page = await list_page(tx, feature_watchers, conditions, self._clock.now(), size + 1)
        response = pb.ListFeatureWatchersResponse(
            watchers=[
                pb.FeatureWatcher(
                    id=each.id,
                    applied_revision=each.applied_revision,
                    live=each.live,
                    seen_time=timestamp(each.seen_time),
                    refusals=[catalog_pb.Refusal(resource_id=id, reason=reason) for id, reason in each.refusals],
                )
                for each in page[:size]
            ],
            revision=self._features.told,
        )
        if len(page) > size:
            response.next_page_token = self._tokens.issue(WATCHERS_BY_ID.cursor(page[size - 1]), request)
        return response


def _active_at(known: definitions.Definitions, plan_id: str, time: Any) -> int:
    """The version of a plan that is to become active last before the time; 0 when none is."""
    due = [
        (version.effective_time, version.version)
        for version in known.versions.values()
        if version.plan_id == plan_id
        and version.state is VersionState.SCHEDULED
        and version.effective_time is not None
        and version.effective_time <= time
    ]
    return max(due)[1] if due else 0


class Reports:
    """One stream's reports."""

    def __init__(self, watchers: Watchers, watcher_id: str) -> None:
        self._watchers = watchers
        self._watcher_id = watcher_id
        self._stream: Stream | None = None

    def begin(self) -> Stream:
        if self._stream is None:
            self._stream = self._watchers.opened(self._watcher_id, 0)
        return self._stream

    async def follow(self, requests: AsyncIterator[pb.WatchTenantFeaturesRequest]) -> None:
        async for request in requests:
            if not request.HasField("report"):
                raise InvalidArgument("WATCH_NOT_INTRODUCED", "a watch has one start; later requests are reports")
            refusals = [(refusal.resource_id, refusal.reason) for refusal in request.report.refusals]
            await self._watchers.reported(self.begin(), request.report.applied_revision, refusals)

    def end(self) -> None:
        if self._stream is not None:
            self._watchers.closed(self._stream)
