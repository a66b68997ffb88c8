"""The part of PlanService that counts what tenants use of metered features."""

from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import plan_service_pb2 as pb
from control.features import counts, use
from control.features.callers import no_tenant, yours
from control.features.memory import Features
from control.features.use import ALLOWING, Allowance, Code, Counted
from control.features.values import Kind, Quota
from control.features.watch import reached
from control.plans.domain import feature_not_found
from control.tables import feature_usage
from control.tenants.messages import moment, timestamp
from shared.runtime.clock import Clock
from shared.runtime.db import Database, constraints
from shared.runtime.errors import FailedPrecondition
from shared.runtime.filters import Field, where
from shared.runtime.idempotency import counting
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

USAGE_FIELDS = {
    "feature_id": Field(feature_usage.c.feature_id),
    "window_start": Field(feature_usage.c.window_start, "timestamp"),
    "window_end": Field(feature_usage.c.window_end, "timestamp"),
    "used_units": Field(feature_usage.c.used, "int"),
    "update_time": Field(feature_usage.c.update_time, "timestamp"),
}
NEWEST_WINDOWS = Ordering(
    (Term(feature_usage.c.period_start, descending=True), Term(feature_usage.c.feature_id, descending=True))
)


class UsageMethods:
    db: Database
    _clock: Clock
    _tokens: PageTokens
    _features: Features

    async def UseFeature(self, request: pb.UseFeatureRequest, context: Context) -> pb.UseFeatureResponse:
        await reached(self._features, request.min_revision)
        return await self._use(request, context)

    @counting
    async def _use(self, request: pb.UseFeatureRequest, tx: AsyncConnection) -> pb.UseFeatureResponse:
        asked = self._asked(request.tenant_id, request.feature_id)
        if asked.denial is None:
            carried = 0
            if asked.before is not None:
                carried = (await self._counted(tx, asked)).carried
            with constraints({"feature_usage_tenant_id_fkey": no_tenant(asked.tenant_id)}):
                spent = await counts.spend(tx, asked, request.units, carried, self._clock.now())
            if spent is not None:
                return pb.UseFeatureResponse(**_told(asked, spent, use.judge(asked, spent)))
        code = asked.denial or Code.LIMIT_REACHED
        return pb.UseFeatureResponse(**_told(asked, await self._counted(tx, asked), code))

    async def PeekFeature(self, request: pb.PeekFeatureRequest, context: Context) -> pb.PeekFeatureResponse:
        await reached(self._features, request.min_revision)
        asked = self._asked(request.tenant_id, request.feature_id)
        async with self.db.transaction() as tx:
            counted = await self._counted(tx, asked)
        return pb.PeekFeatureResponse(**_told(asked, counted, use.judge(asked, counted, request.units)))

    @counting
    async def ReturnFeatureUnits(
        self, request: pb.ReturnFeatureUnitsRequest, tx: AsyncConnection
    ) -> pb.ReturnFeatureUnitsResponse:
        asked = self._asked(request.tenant_id, request.feature_id)
        start = moment(request.window_start, "window_start") if request.HasField("window_start") else None
        returned, used = await counts.give_back(tx, asked, request.units, start, self._clock.now())
        return pb.ReturnFeatureUnitsResponse(returned_units=returned, used_units=used)

    async def ListFeatureUsage(
        self, request: pb.ListFeatureUsageRequest, context: Context
    ) -> pb.ListFeatureUsageResponse:
        tenant_id, _ = yours(self._features, request.tenant_id)
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        conditions = [
            feature_usage.c.tenant_id == tenant_id,
            where(request.filter, USAGE_FIELDS),
            NEWEST_WINDOWS.after(cursor),
        ]
        async with self.db.transaction() as tx:
            page = await counts.list_usage(tx, conditions, NEWEST_WINDOWS.by, size + 1)
        response = pb.ListFeatureUsageResponse(usage=[_usage(row) for row in page[:size]])
        if len(page) > size:
            response.next_page_token = self._tokens.issue(NEWEST_WINDOWS.cursor(page[size - 1]), request)
        return response

    def _asked(self, tenant_id: str, feature_id: str) -> Allowance:
        """What the tenant has of the feature, as this process knows it."""
        tenant_id, held = yours(self._features, tenant_id)
        feature = self._features.definitions.features.get(feature_id)
        if feature is None:
            raise feature_not_found(feature_id)
        if feature.kind is not Kind.METERED:
            why = f"feature {feature_id} is {feature.kind.lower()}: nothing of it is counted"
            raise FailedPrecondition("FEATURE_NOT_METERED", why, id=feature_id, kind=feature.kind)
        has = next((each for each in held.shared.features.entries if each.feature_id == feature_id), None)
        absent = Quota(0, feature.period)
        return use.allowance(tenant_id, feature_id, has, absent, held.time_zone, self._clock.now(), held.version)

    async def _counted(self, tx: AsyncConnection, asked: Allowance) -> Counted:
        """What is counted in the window; where nothing is, what the one before leaves over."""
        earlier = [asked.before] if asked.before is not None else []
        present, *before = await counts.counted(tx, asked, [asked.place, *earlier])
        if present is not None:
            return present
        if not before:
            return Counted()
        return Counted(0, use.carried(asked, before[0], await counts.since(tx, asked.tenant_id)))


def _told(asked: Allowance, counted: Counted, code: Code) -> dict[str, Any]:
    """The fields of an answer about a use."""
    limit, window = use.limit(asked, counted), asked.place.window
    return {
        "allowed": code in ALLOWING,
        "code": f"FEATURE_USE_CODE_{code}",
        "limit": limit,
        "used_units": counted.used,
        "remaining_units": max(0, limit - counted.used) if limit is not None else None,
        "window_start": timestamp(window.start) if window.end is not None else None,
        "resets_at": timestamp(window.end) if window.end is not None else None,
        "revision": asked.revision,
    }


def _usage(row: Any) -> pb.FeatureUsage:
    return pb.FeatureUsage(
        feature_id=row.feature_id,
        window_start=timestamp(row.window_start) if row.window_end is not None else None,
        window_end=timestamp(row.window_end) if row.window_end is not None else None,
        used_units=row.used,
        carried_units=row.carried,
        update_time=timestamp(row.update_time),
    )
