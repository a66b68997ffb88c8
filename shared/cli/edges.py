"""center edges: what the Envoys serve."""

from collections.abc import AsyncIterator
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table

from center.edge.v1 import edge_service_pb2 as pb
from shared.cli.call import Call, card, operator, text, word
from shared.runtime.errors import NotFound

app = typer.Typer(help="The Envoys, and what they do with a request.", no_args_is_help=True)

EDGE = pb.DESCRIPTOR.services_by_name["EdgeService"]


def refused(edge: pb.Edge) -> int:
    return sum(len(kind.refused) for kind in edge.types)


@operator(app, "list")
async def list_(call: Call) -> None:
    """List the connected Envoys, with what each has acknowledged."""

    async def rows() -> AsyncIterator[pb.Edge]:
        for edge in (await call(EDGE, "ListEdges", pb.ListEdgesRequest())).edges:
            yield edge

    await call.table(
        rows(),
        "edges",
        [
            ("EDGE", lambda e: e.id),
            ("ADDRESS", lambda e: e.address),
            ("VERSION", lambda e: e.version),
            ("APPLIED", lambda e: e.applied_revision),
            ("PENDING", lambda e: sum(kind.pending for kind in e.types)),
            ("REFUSED", refused),
            ("CONNECTED", lambda e: e.connect_time),
        ],
    )


@operator(app)
async def show(call: Call, edge: Annotated[str, typer.Argument(metavar="EDGE")]) -> None:
    """Show one Envoy: each kind of resource, and what it refused and why."""
    for found in (await call(EDGE, "ListEdges", pb.ListEdgesRequest())).edges:
        if found.id == edge:
            call.show(found, lambda: _facts(found))  # noqa: B023 -- shown before the loop goes on
            return
    raise NotFound("EDGE_NOT_CONNECTED", f"no Envoy {edge} is connected", id=edge)


def _facts(edge: pb.Edge) -> Group:
    kinds = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("TYPE", "SUBSCRIBED", "ACKNOWLEDGED", "PENDING", "LAST ACK"):
        kinds.add_column(heading)
    for kind in edge.types:
        cells = (kind.type, kind.subscribed, kind.acknowledged, kind.pending, kind.acknowledge_time)
        kinds.add_row(*map(text, cells))
    bad = [f"{kind.type} {r.name}: {r.reason}" for kind in edge.types for r in kind.refused]
    about = card(
        [
            ("id", edge.id),
            ("address", edge.address),
            ("version", edge.version),
            ("connected", edge.connect_time),
            ("applied", edge.applied_revision),
        ]
    )
    return Group(about, "", kinds, *([""] if bad else []), *bad)


@operator(app)
async def explain(call: Call, host: Annotated[str, typer.Argument(metavar="HOST")]) -> None:
    """Tell what the edge would do with a request to a host, and why."""
    answer = await call(EDGE, "ExplainRoute", pb.ExplainRouteRequest(host=host))
    call.show(answer, lambda: _steps(answer))


def _steps(answer: pb.ExplainRouteResponse) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title_justify="left")
    where = f" {answer.cluster_id}" if answer.cluster_id else ""
    table.title = f"{word(pb.RouteOutcome, answer.outcome)}{where} at revision {answer.revision}"
    for heading in ("STEP", "FOUND", "SO"):
        table.add_column(heading, overflow="fold")
    for step in answer.steps:
        table.add_row(step.subject, step.finding, step.consequence)
    return table
