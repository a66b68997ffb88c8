"""The part of AccessService that looks back: the log of decisions, why each was made, and what was used."""

from typing import Any, TypeAlias

import grpc
from sqlalchemy import Row, Text, cast

from center.control.v1 import access_service_pb2 as pb
from center_sdk.decision import Code
from control.access import explain
from control.entitlements.service import yours
from control.quotas import store
from control.solutions.callers import solution_of
from control.tables import decisions, usage_days
from control.tenants.messages import timestamp
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import InvalidArgument, NotFound
from shared.runtime.filters import Field, where
from shared.runtime.ids import is_uuid
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

DECISION_FIELDS = {
    "token_kid": Field(decisions.c.token_kid),
    "user_id": Field(decisions.c.user_id, "uuid"),
    "solution_id": Field(decisions.c.solution_id),
    "entitlement_id": Field(decisions.c.entitlement_id, "uuid"),
    "action": Field(decisions.c.action),
    "code": Field(decisions.c.code, "enum", {code.name: code.name for code in Code}),
    "validator": Field(decisions.c.validator),
    "create_time": Field(decisions.c.create_time, "timestamp"),
}
USAGE_FIELDS = {
    "entitlement_id": Field(usage_days.c.entitlement_id, "uuid"),
    "user_id": Field(usage_days.c.user_id, "uuid"),
    "solution_id": Field(usage_days.c.solution_id),
    "action": Field(usage_days.c.action),
    # As a text it sorts as the days do.
    "date": Field(cast(usage_days.c.date, Text)),
}
NEWEST_DECISIONS = Ordering((Term(decisions.c.create_time, True), Term(decisions.c.id, True)))
NEWEST_USAGE = Ordering(
    tuple(Term(usage_days.c[name], True) for name in ("date", "entitlement_id", "action", "solution_id"))
)


class Logbook:
    db: Database
    _page_tokens: PageTokens

    async def ListDecisions(self, request: pb.ListDecisionsRequest, context: Context) -> pb.ListDecisionsResponse:
        size, ordering = page_size(request.page_size), NEWEST_DECISIONS
        conditions = [
            where(request.filter, DECISION_FIELDS),
            ordering.after(self._page_tokens.read(request.page_token, request)),
            *yours(decisions.c.solution_id),
        ]
        async with self.db.transaction() as tx:
            page = await store.list_decisions(tx, conditions, ordering.by, size + 1)
        response = pb.ListDecisionsResponse(decisions=[decision(row) for row in page[:size]])
        if len(page) > size:
            response.next_page_token = self._page_tokens.issue(ordering.cursor(page[size - 1]), request)
        return response

    async def ExplainDecision(self, request: pb.ExplainDecisionRequest, context: Context) -> pb.ExplainDecisionResponse:
        run_id, _, number = request.decision_id.partition(".")
        if not is_uuid(run_id) or not (number.isascii() and number.isdigit() and len(number) <= 18):
            why = "is not a decision_id, such as 6f1d3c1e-6d0b-4f5e-9a39-0b3f5b1d2c11.7"
            raise InvalidArgument("DECISION_ID_INVALID", f"decision_id {why}", fields={"decision_id": why})
        async with self.db.transaction() as tx:
            row = await store.find_decision(tx, run_id)
            yours_only = solution_of(current())
            if row is None or not 1 <= int(number) <= _count(row) or yours_only not in (None, row.solution_id):
                raise NotFound(
                    "DECISION_NOT_FOUND",
                    "the log has no such decision: its validator may not have handed it in yet",
                    decision_id=request.decision_id,
                )
            steps = explain.steps(await explain.read(tx, row))
        return pb.ExplainDecisionResponse(
            decision=decision(row),
            steps=[pb.DecisionStep(check=each.check, passed=each.passed, explanation=each.why) for each in steps],
        )

    async def ListUsage(self, request: pb.ListUsageRequest, context: Context) -> pb.ListUsageResponse:
        size, ordering = page_size(request.page_size), NEWEST_USAGE
        conditions = [
            where(request.filter, USAGE_FIELDS),
            ordering.after(self._page_tokens.read(request.page_token, request)),
            *yours(usage_days.c.solution_id),
        ]
        async with self.db.transaction() as tx:
            page = await store.list_usage(tx, conditions, ordering.by, size + 1)
        response = pb.ListUsageResponse(usage=[used(row) for row in page[:size]])
        if len(page) > size:
            last = page[size - 1]
            cursor = [last.date.isoformat(), last.entitlement_id, last.action, last.solution_id]
            response.next_page_token = self._page_tokens.issue(cursor, request)
        return response


def decision(row: Row[Any]) -> pb.Decision:
    return pb.Decision(
        id=row.id,
        token_kid=row.token_kid,
        user_id=row.user_id or "",
        solution_id=row.solution_id,
        entitlement_id=row.entitlement_id or "",
        tier=row.tier,
        action=row.action,
        code=f"DECISION_CODE_{row.code}",
        cost=row.cost,
        count=_count(row),
        first_time=timestamp(row.first_time),
        last_time=timestamp(row.last_time),
        validator=row.validator,
        revision=row.revision,
        create_time=timestamp(row.create_time),
    )


def used(row: Row[Any]) -> pb.Usage:
    return pb.Usage(
        entitlement_id=row.entitlement_id,
        user_id=row.user_id or "",
        solution_id=row.solution_id,
        action=row.action,
        date=row.date.isoformat(),
        used_units=row.used_units,
        lost_units=row.lost_units,
        allowed_count=row.allowed_count,
        denied_count=row.denied_count,
        last_request_time=timestamp(row.last_request_time),
        quota_limit=row.quota_limit,
    )


def _count(row: Row[Any]) -> int:
    """Of the column: row.count is a method of every row's."""
    return int(row._mapping["count"])
