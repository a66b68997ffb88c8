"""center events: what the planes tell each other, how far consumers are, and what they could not apply."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from center.shared.v1 import rules_pb2
from shared.cli.call import Call, Limit, err, out, plain, run
from shared.platform.config import Config
from shared.runtime import context
from shared.runtime.errors import Unavailable

if TYPE_CHECKING:
    from shared.runtime.events.broker import Connection
    from shared.runtime.events.consumer import Event

# What speaks to NATS is imported by the commands that do: every other command starts faster without it.

app = typer.Typer(help="What the planes tell each other over NATS.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]
TABLE: dict[str, Any] = {"box": None, "padding": (0, 2, 0, 0), "header_style": "bold"}


@asynccontextmanager
async def connected(config: Config) -> AsyncIterator["Connection"]:
    """A connection as an operator. Unavailable NATS_UNAVAILABLE."""
    from shared.runtime.events.broker import FAILURES, Broker

    # Its transports say something when they are closed that is nobody's concern.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    call = context.CallContext(caller="operator", role=rules_pb2.CALLER_OPERATOR)
    try:
        async with Broker(config.home, "operator", config.nats).connected() as connection:
            with context.use(call):
                yield connection
    except FAILURES as error:
        raise Unavailable("NATS_UNAVAILABLE", f"NATS does not answer at {config.nats}: {error!r}") from error


def _with_nats(work: Callable[[Call, "Connection"], Awaitable[None]], as_json: bool) -> None:
    async def connecting(call: Call) -> None:
        async with connected(call.client.config) as connection:
            await work(call, connection)

    run(connecting, as_json=as_json)


@app.command()
def tail(
    tenant: Annotated[str, typer.Option(help="Of one tenant only: its code, id or domain.")] = "",
    since: Annotated[float, typer.Option(help="Minutes to look back.")] = 60.0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """Show the newest events, oldest first."""

    async def work(call: Call, connection: "Connection") -> None:
        from shared.runtime.events.reading import Events

        events = Events(connection)
        reader = events.of(await call.tenant_id(tenant)) if tenant else events.of_all()
        begin = datetime.now(UTC) - timedelta(minutes=since)
        there = sorted([event async for event in reader.since(begin)], key=lambda event: (event.time, event.id))
        for event in there[-limit:]:
            _say(event, as_json)
        if follow:
            seen = {event.id for event in there}
            async for event in reader.since(begin, follow=True):
                if event.id not in seen:
                    _say(event, as_json)

    _with_nats(work, as_json)


def _say(event: "Event", as_json: bool) -> None:
    """One event a line, as JSON or for people."""
    if as_json:
        facts = {
            "id": event.id,
            "time": event.time.isoformat(),
            "subject": str(event.subject),
            "aggregate": event.aggregate,
            "sequence": event.sequence,
            "message": plain(event.message),
        }
        out.print(json.dumps(facts), soft_wrap=True, markup=False)
        return
    where = f"{event.subject.plane:<9} {event.tenant_id or '-':<36}"
    when = event.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    out.print(f"{when}  {where}  {event.subject.name}  {event.aggregate} #{event.sequence}", markup=False)


@app.command()
def types(as_json: AsJson = False) -> None:
    """List the types of events, as the contracts declare them."""
    from shared.runtime.events import types as known

    found = sorted(known.declared().values(), key=lambda each: (each.plane, each.name, each.major))
    rows = [(each.plane, each.name, f"v{each.major}", each.message.DESCRIPTOR.full_name) for each in found]
    _table("types", ("plane", "type", "version", "message"), rows, as_json)


@app.command()
def lag(as_json: AsJson = False) -> None:
    """Show the streams and how far each consumer is."""

    async def work(call: Call, connection: "Connection") -> None:
        rows: list[tuple[object, ...]] = []
        for stream in await connection.js.streams_info():
            name, state = str(stream.config.name), stream.state
            rows.append((name, "", state.messages, "", "", state.last_seq))
            if not state.consumer_count:
                continue
            for consumer in await connection.js.consumers_info(name):
                if not consumer.config.durable_name:
                    continue
                floor = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
                rows.append((name, consumer.name, "", consumer.num_pending, consumer.num_ack_pending, floor))
        _table("lag", ("stream", "consumer", "events", "behind", "under_way", "position"), rows, as_json)

    _with_nats(work, as_json)


@app.command()
def dead(
    consumer: Annotated[str, typer.Option(help="Of one consumer only.")] = "*",
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List what consumers could not apply, newest last; `center events replay` gives it to them again."""

    async def work(call: Call, connection: "Connection") -> None:
        from shared.runtime.events.dead import letters

        rows = [
            (
                each.sequence,
                each.time.strftime("%Y-%m-%d %H:%M:%S"),
                each.consumer,
                each.subject,
                each.tries,
                each.error,
            )
            async for each in letters(connection, consumer)
        ]
        _table("dead", ("letter", "time", "consumer", "subject", "tries", "error"), rows[-limit:], as_json)

    _with_nats(work, as_json)


@app.command()
def replay(
    letter: Annotated[
        list[int] | None, typer.Argument(metavar="LETTER...", help="As `center events dead` has them.")
    ] = None,
    consumer: Annotated[str, typer.Option(help="All of this consumer's.")] = "",
    as_json: AsJson = False,
) -> None:
    """Give dead letters to their consumer again; what had its effect meanwhile has it no second time."""
    if not letter and not consumer:
        err.print("[red]which ones?[/] name letters, or --consumer for all of its")
        raise typer.Exit(2)

    async def work(call: Call, connection: "Connection") -> None:
        from shared.runtime.events import dead

        chosen = letter or [each.sequence async for each in dead.letters(connection, consumer)]
        for sequence in chosen:
            await dead.replay(connection, sequence)
        if as_json:
            out.print_json(json.dumps({"replayed": chosen}))
        else:
            out.print(f"{len(chosen)} given again")

    _with_nats(work, as_json)


def _table(name: str, headings: tuple[str, ...], rows: list[tuple[Any, ...]], as_json: bool) -> None:
    if as_json:
        plain_rows = [
            {
                heading: value if isinstance(value, int) else str(value)
                for heading, value in zip(headings, row, strict=True)
            }
            for row in rows
        ]
        out.print_json(json.dumps({name: plain_rows}))
        return
    table = Table(**TABLE)
    for heading in headings:
        table.add_column(heading.upper().replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(value)) for value in row))
    out.print(table)
