"""center tokens: the secrets of entitlements."""

from typing import Annotated

import typer
from rich.table import Table

from center.control.v1 import access_service_pb2 as pb
from shared.cli.call import Call, Limit, Reason, card, duration, filtered_by, operator, word
from shared.cli.entitlements import ACCESS
from shared.runtime import keys

app = typer.Typer(help="The secrets of entitlements.", no_args_is_help=True)

KidArgument = Annotated[str, typer.Argument(metavar="KID", help="The public part of a token.")]
Overlap = Annotated[str, typer.Option(help="How long what is replaced goes on, such as 1h or 7d.")]


def facts(token: pb.Token) -> Table:
    return card(
        [
            ("kid", token.kid),
            ("state", word(pb.TokenState, token.state)),
            ("solution", token.solution_id),
            ("user", token.user_id),
            ("entitlement", token.entitlement_id),
            ("created", token.create_time),
            ("expires", token.expire_time),
            ("revoked", token.revoke_time),
            ("last used", token.last_use_time),
            ("replaced by", token.next_kid),
            ("revision", token.revision),
        ]
    )


@operator(app, "list")
async def list_(
    call: Call,
    filter: Annotated[str, filtered_by('solution_id = "search" AND state = ACTIVE')] = "",
    limit: Limit = 100,
) -> None:
    """List tokens, newest first, without their secrets."""
    await call.table(
        call.pages(ACCESS, "ListTokens", pb.ListTokensRequest(filter=filter), "tokens", limit),
        "tokens",
        [
            ("KID", lambda t: t.kid),
            ("STATE", lambda t: word(pb.TokenState, t.state)),
            ("SOLUTION", lambda t: t.solution_id),
            ("USER", lambda t: t.user_id),
            ("CREATED", lambda t: t.create_time),
            ("EXPIRES", lambda t: t.expire_time),
            ("LAST USED", lambda t: t.last_use_time),
        ],
    )


@operator(app)
async def show(call: Call, kid: KidArgument) -> None:
    """Show one token."""
    answer = await call(ACCESS, "ListTokens", pb.ListTokensRequest(filter=f'kid = "{kid}"', page_size=1))
    if not answer.tokens:
        raise typer.BadParameter(f"there is no token {kid}")
    call.show(answer.tokens[0], lambda: facts(answer.tokens[0]))


@operator(app)
async def generate(
    call: Call,
    email: Annotated[str, typer.Argument(metavar="EMAIL")],
    solution: Annotated[str, typer.Argument(metavar="SOLUTION")],
    tier: Annotated[str, typer.Option(help="What the user has, or the solution's default, unless given.")] = "",
    overlap: Overlap = "0s",
    ttl: Annotated[str, typer.Option(help="How long the token holds; for ever unless given.")] = "",
) -> None:
    """Give a user a token; it is shown this once."""
    request = pb.GenerateSolutionTokenRequest(
        user_email=email, solution_id=solution, access_tier=tier, overlap=duration(overlap)
    )
    if ttl:
        request.ttl.CopyFrom(duration(ttl))
    answer = await call(ACCESS, "GenerateSolutionToken", request)
    call.show(answer, lambda: answer.token)


@operator(app)
async def rotate(
    call: Call,
    kid: KidArgument,
    overlap: Overlap = "0s",
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the audit.")] = "",
) -> None:
    """Make a token's successor; it is shown this once."""
    request = pb.RotateTokenRequest(kid=kid, overlap=duration(overlap), reason=reason)
    answer = await call(ACCESS, "RotateToken", request)
    call.show(answer, lambda: answer.secret)


@operator(app)
async def revoke(call: Call, kid: KidArgument, reason: Reason) -> None:
    """End a token at once, everywhere."""
    answer = await call(ACCESS, "RevokeToken", pb.RevokeTokenRequest(kid=kid, reason=reason))
    call.show(answer.token, lambda: facts(answer.token))


@operator(app)
async def report(
    call: Call,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="The whole token or key that leaked.")],
    source: Annotated[str, typer.Option(help="Where it was found.")] = "",
    suspend: Annotated[bool, typer.Option("--suspend", help="Suspends the entitlement as well.")] = False,
) -> None:
    """Report a token that leaked: it is revoked."""
    request = pb.ReportLeakedTokenRequest(token=token, source=source, suspend=suspend)
    answer = await call(ACCESS, "ReportLeakedToken", request)
    call.show(answer, lambda: "reported")


@operator(app)
async def validate(
    call: Call,
    token: Annotated[str, typer.Argument(metavar="TOKEN")],
    solution: Annotated[str, typer.Argument(metavar="SOLUTION")],
    action: Annotated[str, typer.Argument(metavar="ACTION")],
    cost: Annotated[int, typer.Option(help="Units.")] = 1,
    peek: Annotated[bool, typer.Option("--peek", help="Decides without spending.")] = False,
) -> None:
    """Ask what a token may do; it spends, unless --peek is given."""
    request = pb.ValidateTokenRequest(token=token, solution_id=solution, action=action, cost=cost, peek=peek)
    answer = await call(ACCESS, "ValidateToken", request)
    call.show(answer, lambda: _decision(answer))


def _decision(answer: pb.ValidateTokenResponse) -> Table:
    return card(
        [
            ("decision", "allowed" if answer.allowed else "refused"),
            ("code", word(pb.DecisionCode, answer.code)),
            ("tier", answer.access_tier),
            ("remaining", answer.quota_remaining if answer.HasField("quota_remaining") else ""),
            ("limit", answer.quota_limit if answer.HasField("quota_limit") else ""),
            ("resets", answer.quota_resets_at),
            ("user", answer.user_id),
            ("e-mail", answer.user_email),
            ("upgrade", answer.upgrade_url),
            ("id", answer.decision_id),
            ("revision", answer.revision),
        ]
    )


@operator(app)
async def rotate_pepper(call: Call) -> None:
    """Add a pepper to this home: new tokens are kept under it, old ones go on under theirs."""
    number = keys.extend(call.client.config.home, "pepper")
    typer.echo(f"pepper-{number}.key makes new HMACs; copy it to every other machine that runs control")
