"""center decisions and center usage: what was decided, and what it used."""

from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table

from center.control.v1 import access_service_pb2 as pb
from shared.cli.call import Call, Limit, card, filtered_by, operator, word
from shared.cli.entitlements import ACCESS

app = typer.Typer(help="What was decided about tokens.", no_args_is_help=True)
usage = typer.Typer(help="What entitlements used, by day.", no_args_is_help=True)


@operator(app, "list")
async def list_(
    call: Call,
    filter: Annotated[str, filtered_by('token_kid = "4Zx..." AND code = QUOTA_EXHAUSTED')] = "",
    limit: Limit = 100,
) -> None:
    """List the log of decisions, newest first; a row stands for equal decisions in a row."""
    await call.table(
        call.pages(ACCESS, "ListDecisions", pb.ListDecisionsRequest(filter=filter), "decisions", limit),
        "decisions",
        [
            ("LAST", lambda d: d.last_time),
            ("CODE", lambda d: word(pb.DecisionCode, d.code)),
            ("COUNT", lambda d: d.count),
            ("COST", lambda d: d.cost),
            ("SOLUTION", lambda d: d.solution_id),
            ("ACTION", lambda d: d.action),
            ("TIER", lambda d: d.tier),
            ("KID", lambda d: d.token_kid),
            ("VALIDATOR", lambda d: d.validator),
            ("ID", lambda d: d.id),
        ],
    )


@operator(app)
async def explain(
    call: Call, decision: Annotated[str, typer.Argument(metavar="DECISION", help="A decision_id.")]
) -> None:
    """Tell why a decision was what it was, check by check."""
    answer = await call(ACCESS, "ExplainDecision", pb.ExplainDecisionRequest(decision_id=decision))
    call.show(answer, lambda: _explained(answer))


def _explained(answer: pb.ExplainDecisionResponse) -> Group:
    told = answer.decision
    about = card(
        [
            ("code", word(pb.DecisionCode, told.code)),
            ("token", told.token_kid),
            ("user", told.user_id),
            ("solution", told.solution_id),
            ("action", told.action),
            ("tier", told.tier),
            ("cost", told.cost),
            ("equal ones", told.count),
            ("first", told.first_time),
            ("last", told.last_time),
            ("validator", told.validator),
            ("revision", told.revision),
        ]
    )
    steps = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("CHECK", "PASSED", "WHY"):
        steps.add_column(heading, overflow="fold")
    for step in answer.steps:
        steps.add_row(step.check, "yes" if step.passed else "no", step.explanation)
    return Group(about, "", steps)


@operator(usage, "list")
async def list_usage(
    call: Call,
    filter: Annotated[str, filtered_by('solution_id = "search" AND date = "2026-01-31"')] = "",
    limit: Limit = 100,
) -> None:
    """List usage by entitlement, action and day, newest day first."""
    await call.table(
        call.pages(ACCESS, "ListUsage", pb.ListUsageRequest(filter=filter), "usage", limit),
        "usage",
        [
            ("DATE", lambda u: u.date),
            ("SOLUTION", lambda u: u.solution_id),
            ("ACTION", lambda u: u.action),
            ("USED", lambda u: u.used_units),
            ("LOST", lambda u: u.lost_units or ""),
            ("LIMIT", lambda u: u.quota_limit if u.HasField("quota_limit") else ""),
            ("ALLOWED", lambda u: u.allowed_count),
            ("DENIED", lambda u: u.denied_count),
            ("LAST", lambda u: u.last_request_time),
            ("ENTITLEMENT", lambda u: u.entitlement_id),
        ],
    )
