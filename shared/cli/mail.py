"""center mail: what was mailed to users and by shops, where the platform writes it to files."""

import json
from datetime import UTC
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from center.control.v1 import user_service_pb2 as pb
from shared.cli.call import Call, Limit, err, filtered_by, operator, out, word
from shared.cli.users import USERS
from shared.platform.config import Config

app = typer.Typer(
    help="Mail to users and of shops, and the file mailbox that takes it without a mail server.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]


def _mailbox() -> list[tuple[str, EmailMessage]]:
    """(id, mail), newest first: ids are in the order of their making. A shop's are in a folder of its own."""
    folder: Path = Config.from_env().home / "mail"
    paths = sorted(folder.glob("**/*.eml"), key=lambda path: path.stem, reverse=True)
    return [(path.stem, message_from_bytes(path.read_bytes(), policy=policy.default)) for path in paths]


def _plain(mail_id: str, message: EmailMessage) -> dict[str, str]:
    when = message["Date"].datetime.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return {"id": mail_id, "time": when, "to": str(message["To"]), "subject": str(message["Subject"] or "")}


@app.command("list")
def list_(
    to: Annotated[str, typer.Option(help="To one address only.")] = "", limit: Limit = 20, as_json: AsJson = False
) -> None:
    """List the file mailbox, newest first."""
    found = [each for each in (_plain(*one) for one in _mailbox()) if not to or each["to"] == to.lower()][:limit]
    if as_json:
        out.print_json(json.dumps({"mails": found}))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("MAIL", "TIME", "TO", "SUBJECT"):
        table.add_column(heading, overflow="fold")
    for each in found:
        table.add_row(*(escape(value) for value in each.values()))
    out.print(table)


@app.command()
def show(
    mail: Annotated[str, typer.Argument(metavar="MAIL", help="Its id or an address, for the newest to it.")],
    as_json: AsJson = False,
) -> None:
    """Show a mail of the file mailbox."""
    for mail_id, message in _mailbox():
        facts = _plain(mail_id, message)
        if mail not in (mail_id, facts["to"]):
            continue
        body = (message.get_body(("plain", "html")) or message).get_content()
        if as_json:
            out.print_json(json.dumps({**facts, "text": body}))
        else:
            head = (f"To: {facts['to']}", f"Subject: {facts['subject']}", f"Time: {facts['time']}", "")
            out.print("\n".join((*head, body)), markup=False, soft_wrap=True, end="")
        return
    err.print(
        "[red]there is no such mail[/]; `center mail list` shows them, `center mail outbox` what was sent elsewhere"
    )
    raise typer.Exit(1)


@operator(app)
async def outbox(
    call: Call, filter: Annotated[str, filtered_by("state = PENDING OR state = FAILED")] = "", limit: Limit = 100
) -> None:
    """List what became of mail, newest first, wherever it goes; addresses are not in it."""
    await call.table(
        call.pages(USERS, "ListMails", pb.ListMailsRequest(filter=filter), "mails", limit),
        "mails",
        [
            ("MAIL", lambda m: m.id),
            ("USER", lambda m: m.user_id),
            ("ABOUT", lambda m: word(pb.MailTemplate, m.template)),
            ("STATE", lambda m: word(pb.MailState, m.state)),
            ("TRIES", lambda m: m.attempts),
            ("LAST ERROR", lambda m: m.last_error),
            ("CREATED", lambda m: m.create_time),
            ("ENDED", lambda m: m.end_time),
        ],
    )
