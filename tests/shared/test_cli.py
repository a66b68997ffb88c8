"""The command line without a platform: words, lengths of time, help, and what it says when nothing answers."""

import json
import shlex
from pathlib import Path

import pytest
import typer
from click.testing import Result
from google.protobuf.timestamp_pb2 import Timestamp
from typer.testing import CliRunner

from center.control.v1 import tenant_pb2
from shared.cli import call
from shared.cli.main import app
from shared.platform import ports

COMMANDS = [
    (group.name or "", command.name or command.callback.__name__.rstrip("_").replace("_", "-"))
    for group in app.registered_groups
    if group.typer_instance
    for command in group.typer_instance.registered_commands
    if command.callback
]
WITHOUT_LOOK_UP = {
    ("tenants", "list"): [],
    ("tenants", "resolve"): ["google.com"],
    ("clusters", "list"): [],
    ("clusters", "show"): ["eu-1"],
    ("operations", "list"): [],
    ("operations", "show"): ["operations/0"],
    ("edges", "list"): [],
    ("edges", "explain"): ["google.com"],
    ("audit", "list"): [],
}


# They read the mailbox or a file on this machine, or speak to NATS.
WITHOUT_GRPC = {
    ("audit", "check"),
    *(("mail", command) for command in ("list", "show")),
    *(("events", command) for command in ("tail", "types", "lag", "dead", "replay")),
}


@pytest.fixture
def nothing_runs(home: Path) -> dict[str, str]:
    """The environment of a home with certificates, at ports where nothing listens."""
    return {"CENTER_HOME": str(home), "CENTER_PORT_OFFSET": "55000"}


def run(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", **environment})


@pytest.mark.parametrize(("group", "command"), COMMANDS, ids=lambda name: name)
def test_every_command_of_a_group_has_help_json_and_grpcurl(group: str, command: str) -> None:
    said = run({}, group, command, "--help")
    assert said.exit_code == 0, said.output
    assert "--json" in said.output
    assert ("--print-grpcurl" in said.output) == ((group, command) not in WITHOUT_GRPC)


@pytest.mark.parametrize(("command", "arguments"), WITHOUT_LOOK_UP.items(), ids=lambda value: " ".join(value))
def test_the_grpcurl_line_names_certificates_address_and_method(
    nothing_runs: dict[str, str], command: tuple[str, str], arguments: list[str]
) -> None:
    said = run(nothing_runs, *command, *arguments, "--print-grpcurl")
    assert said.exit_code == 0, said.output
    words = shlex.split(said.output)
    home = nothing_runs["CENTER_HOME"]
    for flag, file in {"-cacert": "ca.pem", "-cert": "operator.pem", "-key": "operator.key"}.items():
        assert words[words.index(flag) + 1] == f"{home}/pki/{file}"
    port = (ports.EDGE if command[0] == "edges" else ports.CONTROL) + 55000
    assert words[-2] == f"127.0.0.1:{port}"
    json.loads(words[words.index("-d") + 1])
    service, _, method = words[-1].partition("/")
    assert service.startswith(("center.", "google.longrunning."))
    assert method


def test_a_platform_that_does_not_answer_is_said_in_words(nothing_runs: dict[str, str]) -> None:
    said = run(nothing_runs, "tenants", "list")
    assert said.exit_code == 1
    assert "the platform does not answer" in said.stderr
    assert "Traceback" not in said.output


def test_a_home_without_certificates_is_said_in_words(tmp_path: Path) -> None:
    said = run({"CENTER_HOME": str(tmp_path)}, "tenants", "list")
    assert said.exit_code == 1
    assert "no certificates" in said.stderr


def test_an_unknown_variable_stops_the_command(home: Path) -> None:
    said = run({"CENTER_HOME": str(home), "CENTER_HOEM": "x"}, "tenants", "list")
    assert said.exit_code == 2
    assert "CENTER_HOEM" in said.stderr


def test_words_of_enums_go_both_ways() -> None:
    assert call.word(tenant_pb2.TenantMode, tenant_pb2.TENANT_MODE_READ_ONLY) == "READ_ONLY"
    assert call.word(tenant_pb2.TenantMode, tenant_pb2.TENANT_MODE_UNSPECIFIED) == ""
    assert call.number(tenant_pb2.TenantMode, "read-only") == tenant_pb2.TENANT_MODE_READ_ONLY
    with pytest.raises(typer.BadParameter, match="normal, read-only, maintenance"):
        call.number(tenant_pb2.TenantMode, "asleep")


@pytest.mark.parametrize(("text", "length_s"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("0.5d", 43200)])
def test_lengths_of_time(text: str, length_s: float) -> None:
    assert call.seconds(text) == length_s


@pytest.mark.parametrize("text", ["", "soon", "-1m", "1w", "1m2s"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        call.seconds(text)


def test_cells_are_short() -> None:
    assert call.text(Timestamp()) == ""
    assert call.text(Timestamp(seconds=1_300_000_000)) == "2011-03-13 07:06:40"
    assert call.text({"b": "2", "a": "1"}) == "a=1, b=2"
    assert call.text(["x", "y"]) == "x, y"
    assert call.text(tenant_pb2.Tenant(domains=["x", "y"]).domains) == "x, y"
    assert call.text(tenant_pb2.Tenant().domains) == ""
