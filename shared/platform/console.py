"""What the supervisor says: one line an event, and the addresses once all is healthy."""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

COLOURS = {
    "platform": "bold white",
    "postgres": "blue",
    "nats": "blue",
    "control": "magenta",
    "edge": "cyan",
    "envoy": "green",
}
LOUD = {"warning": "yellow", "warn": "yellow", "error": "red", "critical": "red"}
# Keys of a JSON log line that the foreground shows elsewhere or not at all.
QUIET_KEYS = {"event", "level", "timestamp", "logger", "exception", "trace_id", "span_id"}


class Lines:
    """Writes events as `time  process  what happened`."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, process: str, text: str, style: str = "") -> None:
        colour = COLOURS.get(process, "yellow")
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        body = f"[{style}]{escape(text)}[/]" if style else escape(text)
        self.console.print(f"[dim]{now}[/]  [{colour}]{process:<14}[/] {body}", highlight=False, soft_wrap=True)

    def log(self, process: str, line: str) -> None:
        """Passes on what a child logged, if it is a warning or worse."""
        found = loud(line)
        if found:
            style, text = found
            self.say(process, text, style)


def loud(line: str) -> tuple[str, str] | None:
    """(style, text) of a log line worth a person's eye: a warning or worse of structlog, PostgreSQL or Envoy."""
    if line.startswith("{"):
        try:
            entry = json.loads(line)
        except ValueError:
            return None
        if not isinstance(entry, dict) or (style := LOUD.get(str(entry.get("level", "")))) is None:
            return None
        rest = "  ".join(f"{key}={value}" for key, value in entry.items() if key not in QUIET_KEYS)
        exception = str(entry.get("exception", "")).strip().rpartition("\n")[2]
        return style, "  ".join(part for part in (str(entry.get("event", "")), rest, exception) if part)
    # PostgreSQL calls FATAL what it tells each client that knocks while it starts or stops.
    if (" FATAL: " in line and "the database system is" not in line) or " PANIC: " in line or "[critical]" in line:
        return "red", line.strip()
    return None


def table(rows: Iterable[tuple[str, str, str]], title: str = "") -> Table:
    """Addresses: what, where, and how to reach it."""
    made = Table(title=title, title_style="bold", box=None, padding=(0, 2), header_style="dim")
    for column in ("what", "address", "state"):
        made.add_column(column, no_wrap=True)
    for what, address, state in rows:
        style = {"healthy": "green", "": ""}.get(state, "yellow")
        made.add_row(what, address, f"[{style}]{state}[/]" if style else state)
    return made


def tail(path: Path, lines: int = 8) -> str:
    """The end of a log, for the one who has to know why a process died."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-lines:])
