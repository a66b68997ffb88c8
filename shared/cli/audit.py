"""center audit: who changed what, when and why, and whether that is still what was written."""

import json
import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format
from rich.console import Group
from rich.table import Table

from center.shared.v1 import audit_service_pb2 as pb
from shared.audit import exports, messages
from shared.cli.call import Call, Limit, card, err, filtered_by, operator, out, plain, text, word
from shared.platform.config import Config
from shared.runtime import pki
from shared.runtime.errors import InvalidArgument

app = typer.Typer(help="Who changed what, when and why.", no_args_is_help=True)

AUDIT = pb.DESCRIPTOR.services_by_name["AuditService"]


Cluster = Annotated[
    str,
    typer.Option("--cluster", help="A cluster's audit, of what its tenants changed there; the control plane's else."),
]
Tenant = Annotated[str, typer.Option(help="Of one tenant: its code, id or domain; of what concerns none else.")]


@operator(app, "list")
async def list_(
    call: Call,
    cluster: Cluster = "",
    tenant: Annotated[str, typer.Option(help="About one tenant only: its code, id or domain.")] = "",
    filter: Annotated[str, filtered_by('resource = "cluster"')] = "",
    limit: Limit = 100,
) -> None:
    """List changes, and calls that were refused, newest first."""
    request = pb.ListEntriesRequest(filter=filter, tenant_id=await call.tenant_id(tenant) if tenant else "")
    await call.table(
        call.pages(AUDIT, "ListEntries", request, "entries", limit, cluster=cluster),
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
async def show(
    call: Call,
    entry: Annotated[str, typer.Argument(metavar="ENTRY")],
    cluster: Cluster = "",
    tenant: Tenant = "",
) -> None:
    """Show one change, field by field."""
    request = pb.GetEntryRequest(id=entry, tenant_id=await call.tenant_id(tenant) if tenant else "")
    answer = await call(AUDIT, "GetEntry", request, cluster=cluster)
    call.show(answer.entry, lambda: _facts(answer.entry))


@operator(app)
async def verify(
    call: Call,
    cluster: Cluster = "",
    tenant: Annotated[str, typer.Option(help="One tenant's chain only: its code, id or domain.")] = "",
    known: Annotated[
        str, typer.Option(metavar="POSITION:HASH", help="An end that an earlier look told: it must still be there.")
    ] = "",
) -> None:
    """Look whether entries are still what was written; exits with 1 when one is not."""
    request = pb.VerifyChainRequest(all_chains=not tenant)
    if tenant:
        request.tenant_id = await call.tenant_id(tenant)
    if known:
        position, _, hash_ = known.partition(":")
        if not tenant or not position.isdecimal() or not re.fullmatch("[0-9a-f]{64}", hash_):
            raise typer.BadParameter("--known is POSITION:HASH of the chain of one --tenant")
        request.known.position, request.known.hash = int(position), bytes.fromhex(hash_)
    ends: list[pb.VerifyChainResponse] = []
    findings: list[tuple[str, pb.AuditFinding]] = []
    async for answer in call.stream(AUDIT, "VerifyChain", request, cluster):
        findings += [(answer.tenant_id, finding) for finding in answer.findings]
        if answer.complete:
            ends.append(answer)
    if call.as_json:
        found = [{"tenant_id": tenant_id, **plain(finding)} for tenant_id, finding in findings]
        out.print_json(json.dumps({"chains": [_end(each) for each in ends], "findings": found}))
    else:
        for tenant_id, finding in findings:
            err.print(f"[red]{_words(finding)}[/] in the chain of {tenant_id or 'what concerns no tenant'}")
        if tenant:
            out.print(*(f"{key}: {value}" for end in ends for key, value in _end(end).items()), sep="\n")
        links = sum(each.links for each in ends)
        out.print(f"{len(ends)} chains, {links} entries, {len(findings)} findings", style="dim")
    if findings:
        raise typer.Exit(1)


@operator(app)
async def export(call: Call, cluster: Cluster = "", tenant: Tenant = "") -> None:
    """Write a chain with its seals as lines of JSON; `center audit check` needs no server to look at them."""
    request = pb.ExportRequest(tenant_id=await call.tenant_id(tenant) if tenant else "")
    async for part in call.stream(AUDIT, "Export", request, cluster):
        sys.stdout.write(json.dumps(plain(part), ensure_ascii=False) + "\n")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="What `center audit export` wrote.", exists=True, dir_okay=False)],
    ca: Annotated[
        Path | None, typer.Option(help="The certificate of the platform's CA; the one of CENTER_HOME when not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Look whether an exported chain is whole; exits with 1 when it is not."""
    ca = ca or pki.ca_path(Config.from_env().home)
    findings: list[pb.AuditFinding] = []
    try:
        with file.open(encoding="utf-8") as lines:
            parts = (json_format.Parse(line, pb.ExportResponse()) for line in lines)
            for walk, finding in exports.check(parts, ca.read_bytes()):
                if finding is not None:
                    findings.append(messages.finding(finding))
                    continue
                end = "" if walk.hash is None else f"{walk.position}:{walk.hash.hex()}"
                facts: dict[str, object] = {"tenant_id": walk.tenant_id, "links": walk.entries, "end": end}
    except (json_format.ParseError, InvalidArgument) as error:
        err.print(f"[red]{file} is no export[/]: {error}")
        raise typer.Exit(1) from None
    if as_json:
        out.print_json(json.dumps(facts | {"findings": [plain(each) for each in findings]}))
    else:
        for each in findings:
            err.print(f"[red]{_words(each)}[/]")
        out.print(f"{facts['links']} entries, {len(findings)} findings, ends at {facts['end']}", style="dim")
    if findings:
        raise typer.Exit(1)


def _words(finding: pb.AuditFinding) -> str:
    where = f"entry {finding.entry_id} " if finding.entry_id else ""
    if finding.position:
        until = f" to {finding.until}" if finding.until != finding.position else ""
        where += f"at {finding.position}{until}"
    return f"{word(pb.AuditFindingKind, finding.kind)} {where.strip()}"


def _end(found: pb.VerifyChainResponse) -> dict[str, object]:
    end = f"{found.end.position}:{found.end.hash.hex()}" if found.HasField("end") else ""
    facts = {"tenant_id": found.tenant_id, "end": end, "links": found.links, "unsealed": found.unsealed}
    return facts | ({"seal_time": text(found.seal_time)} if found.HasField("seal_time") else {})


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
