"""center audit: who changed what, when and why."""

from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table

from center.shared.v1 import audit_service_pb2 as pb
from shared.cli.call import Call, Limit, card, filtered_by, operator

app = typer.Typer(help="Who changed what, when and why.", no_args_is_help=True)

AUDIT = pb.DESCRIPTOR.services_by_name["AuditService"]


@operator(app, "list")
async def list_(
    call: Call,
    tenant: Annotated[str, typer.Option(help="About one tenant only: its code, id or domain.")] = "",
    filter: Annotated[str, filtered_by('resource = "cluster"')] = "",
    limit: Limit = 100,
) -> None:
    """List changes, newest first."""
    if tenant:
        mine = f'tenant_id = "{await call.tenant_id(tenant)}"'
        filter = f"({filter}) AND {mine}" if filter else mine
    await call.table(
        call.pages(AUDIT, "ListEntries", pb.ListEntriesRequest(filter=filter), "entries", limit),
        "entries",
        [
            ("TIME", lambda e: e.create_time),
            ("CALLER", lambda e: e.caller),
            ("METHOD", lambda e: e.method.rpartition(".")[2]),
            ("RESOURCE", lambda e: e.resource),
            ("OF", lambda e: e.resource_id),
            ("REASON", lambda e: e.reason),
            ("REVISION", lambda e: e.revision or ""),
            ("ID", lambda e: e.id),
        ],
    )


@operator(app)
async def show(call: Call, entry: Annotated[str, typer.Argument(metavar="ENTRY")]) -> None:
    """Show one change, field by field."""
    answer = await call(AUDIT, "GetEntry", pb.GetEntryRequest(id=entry))
    call.show(answer.entry, lambda: _facts(answer.entry))


def _facts(entry: pb.AuditEntry) -> Group:
    changes = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("FIELD", "BEFORE", "AFTER"):
        changes.add_column(heading, overflow="fold")
    for change in entry.changes:
        changes.add_row(change.field, change.before, change.after)
    about = card(
        [
            ("id", entry.id),
            ("time", entry.create_time),
            ("method", entry.method),
            ("caller", entry.caller),
            ("resource", f"{entry.resource} {entry.resource_id}"),
            ("tenant", entry.tenant_id),
            ("reason", entry.reason),
            ("revision", entry.revision or ""),
            ("trace", entry.trace_id),
            ("request", entry.request_id),
        ]
    )
    return Group(about, "", changes)
