"""center solutions: what users get tokens for."""

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf import json_format
from google.protobuf.field_mask_pb2 import FieldMask
from rich.console import Group
from rich.table import Table

from center.control.v1 import quota_pb2
from center.control.v1 import solution_service_pb2 as pb
from shared.cli.call import Call, Limit, Reason, card, duration, filtered_by, number, operator, word

app = typer.Typer(help="What users get tokens for.", no_args_is_help=True)

SOLUTIONS = pb.DESCRIPTOR.services_by_name["SolutionService"]

SolutionArgument = Annotated[str, typer.Argument(metavar="SOLUTION")]
KeyArgument = Annotated[str, typer.Argument(metavar="KID", help="The public part of a key.")]
File = Annotated[
    Path | None, typer.Option("--file", help="The solution as JSON, in the contract's words; `-` reads stdin.")
]
Tiers = Annotated[
    list[str] | None, typer.Option("--tier", help="TIER=ACTION:LIMIT/PERIOD,... as in registered=search:10/day.")
]
RedirectUrls = Annotated[list[str] | None, typer.Option("--redirect-url", help="Where a code may be sent to.")]
DefaultTier = Annotated[str | None, typer.Option(help="What a user who registers gets.")]
AnonymousTier = Annotated[str | None, typer.Option(help="What callers without a token get.")]
MaxAge = Annotated[str | None, typer.Option(help="How old validators' knowledge may be, such as 30s.")]
Fails = Annotated[str | None, typer.Option("--fail-mode", help="closed or open.")]

_QUOTA = re.compile(r"([^:,]+):(\d+|unlimited)/([a-z]+)")


def facts(solution: pb.Solution) -> Group:
    about = card(
        [
            ("id", solution.id),
            ("name", solution.display_name),
            ("default tier", solution.default_tier),
            ("anonymous tier", solution.anonymous_tier),
            ("redirect urls", solution.redirect_urls),
            ("fail mode", word(pb.FailMode, solution.fail_mode)),
            ("max age", solution.max_age),
            ("time zone", solution.time_zone),
            ("upgrade url", solution.upgrade_url),
            ("token in redirect", "yes" if solution.token_in_redirect else ""),
            ("verified e-mail", "required" if solution.verified_email_required else ""),
            ("e-mail", "hidden" if solution.email_hidden else ""),
            ("hosts", solution.gateway.hosts),
            ("upstream", _upstream(solution)),
            ("created", solution.create_time),
            ("updated", solution.update_time),
            ("revision", solution.revision),
            ("etag", solution.etag),
        ]
    )
    quotas = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("TIER", "ACTION", "LIMIT", "PERIOD", "AT THE LIMIT"):
        quotas.add_column(heading, overflow="fold")
    for tier in solution.tiers:
        for action, quota in sorted(tier.quotas.items()):
            limit = "unlimited" if quota.HasField("unlimited") else str(quota.limit)
            period = word(quota_pb2.QuotaPeriod, quota.period).lower()
            quotas.add_row(tier.id, action, limit, period, word(quota_pb2.QuotaEnforcement, quota.enforcement).lower())
    return Group(about, "", quotas)


def _upstream(solution: pb.Solution) -> str:
    gateway = solution.gateway
    return f"{gateway.upstream_host}:{gateway.upstream_port}" if gateway.upstream_host else ""


def read_tiers(texts: list[str]) -> list[pb.Tier]:
    """registered=search:10/day,export:unlimited/month as tiers."""
    return [_tier(text) for text in texts]


def _tier(text: str) -> pb.Tier:
    name, _, quotas = text.partition("=")
    tier = pb.Tier(id=name)
    for part in quotas.split(","):
        match = _QUOTA.fullmatch(part)
        if match is None:
            raise typer.BadParameter(f"{part!r} is not ACTION:LIMIT/PERIOD, as in search:10/day")
        quota = tier.quotas[match[1]]
        quota.period = number(quota_pb2.QuotaPeriod, match[3])
        if match[2] == "unlimited":
            quota.unlimited.SetInParent()
        else:
            quota.limit = int(match[2])
    return tier


def _read(file: Path | None) -> pb.Solution:
    if file is None:
        return pb.Solution()
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
        return json_format.Parse(text, pb.Solution())
    except (OSError, json_format.ParseError) as error:
        raise typer.BadParameter(f"--file {file}: {error}") from None


def _given(
    solution: pb.Solution,
    *,
    name: str | None,
    tier: list[str] | None,
    default_tier: str | None,
    anonymous_tier: str | None,
    redirect_url: list[str] | None,
    max_age: str | None,
    fail_mode: str | None,
) -> list[str]:
    """Puts what the options say into the solution; the fields that they name."""
    said: dict[str, Any] = {
        "display_name": name,
        "tiers": read_tiers(tier) if tier else None,
        "default_tier": default_tier,
        "anonymous_tier": anonymous_tier,
        "redirect_urls": redirect_url or None,
        "max_age": duration(max_age) if max_age else None,
        "fail_mode": number(pb.FailMode, fail_mode) if fail_mode else None,
    }
    paths = [field for field, value in said.items() if value is not None]
    for field in paths:
        solution.ClearField(field)
    solution.MergeFrom(pb.Solution(**{field: said[field] for field in paths}))
    return paths


@operator(app, "list")
async def list_(call: Call, filter: Annotated[str, filtered_by('id = "s*"')] = "", limit: Limit = 10_000) -> None:
    """List solutions."""
    await call.table(
        call.pages(SOLUTIONS, "ListSolutions", pb.ListSolutionsRequest(filter=filter), "solutions", limit),
        "solutions",
        [
            ("SOLUTION", lambda s: s.id),
            ("NAME", lambda s: s.display_name),
            ("TIERS", lambda s: [tier.id for tier in s.tiers]),
            ("FAILS", lambda s: word(pb.FailMode, s.fail_mode).lower()),
            ("HOSTS", lambda s: s.gateway.hosts),
            ("UPDATED", lambda s: s.update_time),
        ],
    )


@operator(app)
async def show(call: Call, solution: SolutionArgument) -> None:
    """Show one solution and its quotas."""
    answer = await call(SOLUTIONS, "GetSolution", pb.GetSolutionRequest(id=solution))
    call.show(answer.solution, lambda: facts(answer.solution))


@operator(app)
async def create(
    call: Call,
    solution: SolutionArgument,
    file: File = None,
    name: Annotated[str | None, typer.Option(help="Display name.")] = None,
    tier: Tiers = None,
    default_tier: DefaultTier = None,
    anonymous_tier: AnonymousTier = None,
    redirect_url: RedirectUrls = None,
    max_age: MaxAge = None,
    fail_mode: Fails = None,
) -> None:
    """Add a solution, from a file, from options, or from both."""
    made = _read(file)
    made.id = solution
    _given(
        made,
        name=name,
        tier=tier,
        default_tier=default_tier,
        anonymous_tier=anonymous_tier,
        redirect_url=redirect_url,
        max_age=max_age,
        fail_mode=fail_mode,
    )
    answer = await call(SOLUTIONS, "CreateSolution", pb.CreateSolutionRequest(solution=made))
    call.show(answer.solution, lambda: facts(answer.solution))


@operator(app)
async def update(
    call: Call,
    solution: SolutionArgument,
    file: File = None,
    name: Annotated[str | None, typer.Option(help="Display name.")] = None,
    tier: Tiers = None,
    default_tier: DefaultTier = None,
    anonymous_tier: AnonymousTier = None,
    redirect_url: RedirectUrls = None,
    max_age: MaxAge = None,
    fail_mode: Fails = None,
    etag: Annotated[str, typer.Option(help="Refuse if it has changed since this etag was read.")] = "",
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the audit.")] = "",
) -> None:
    """Change a solution: what the options name, and all that the file has. Tiers are replaced whole."""
    changed = _read(file)
    paths = [field.name for field, _ in changed.ListFields() if field.name not in ("id", "etag")]
    paths += _given(
        changed,
        name=name,
        tier=tier,
        default_tier=default_tier,
        anonymous_tier=anonymous_tier,
        redirect_url=redirect_url,
        max_age=max_age,
        fail_mode=fail_mode,
    )
    if not paths:
        raise typer.BadParameter("name something to change; --help lists what can be")
    changed.id, changed.etag = solution, etag
    request = pb.UpdateSolutionRequest(solution=changed, update_mask=FieldMask(paths=paths), reason=reason)
    answer = await call(SOLUTIONS, "UpdateSolution", request)
    call.show(answer.solution, lambda: facts(answer.solution))


@operator(app)
async def delete(
    call: Call,
    solution: SolutionArgument,
    reason: Reason,
    force: Annotated[bool, typer.Option("--force", help="Cancels its active entitlements.")] = False,
    etag: Annotated[str, typer.Option(help="Refuse if it has changed since this etag was read.")] = "",
) -> None:
    """Remove a solution for good; its id is never used again."""
    request = pb.DeleteSolutionRequest(id=solution, reason=reason, force=force, etag=etag)
    answer = await call(SOLUTIONS, "DeleteSolution", request)
    call.show(answer, lambda: f"{solution} is gone as of revision {answer.revision}")


@operator(app)
async def keys(call: Call, solution: SolutionArgument, limit: Limit = 1000) -> None:
    """List the keys of a solution's servers."""
    request = pb.ListSolutionKeysRequest(solution_id=solution)
    await call.table(
        call.pages(SOLUTIONS, "ListSolutionKeys", request, "keys", limit),
        "keys",
        [
            ("KID", lambda k: k.kid),
            ("NAME", lambda k: k.display_name),
            ("CREATED", lambda k: k.create_time),
            ("REVOKED", lambda k: k.revoke_time),
            ("LAST USED", lambda k: k.last_use_time),
        ],
    )


@operator(app)
async def add_key(
    call: Call, solution: SolutionArgument, name: Annotated[str, typer.Option(help="What it is for.")] = ""
) -> None:
    """Make a key; it is shown this once."""
    request = pb.CreateSolutionKeyRequest(solution_id=solution, display_name=name)
    answer = await call(SOLUTIONS, "CreateSolutionKey", request)
    call.show(answer, lambda: answer.secret)


@operator(app)
async def revoke_key(call: Call, kid: KeyArgument, reason: Reason) -> None:
    """End a key at once."""
    answer = await call(SOLUTIONS, "RevokeSolutionKey", pb.RevokeSolutionKeyRequest(kid=kid, reason=reason))
    call.show(answer.key, lambda: f"{kid} is revoked as of revision {answer.revision}")
