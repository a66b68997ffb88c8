"""center up, down and status as a person uses them, on ports and a home of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from shared.platform import ports, record
from tests.support import platform as platforms
from tests.support.platform import Platform, until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def own() -> Iterator[Platform]:
    with platforms.running() as running:
        yield running


def test_a_second_up_says_that_one_is_running(own: Platform) -> None:
    for arguments in (["up"], ["up", "--detach"]):
        second = own.center(*arguments)
        assert second.returncode == 1
        assert "already running" in second.stderr
    assert own.center("status").returncode == 0


def test_status_tells_scripts_all_they_need(own: Platform) -> None:
    told = json.loads(own.center("status", "--json").stdout)
    assert told["healthy"]
    assert {p["name"]: p["state"] for p in told["processes"]} == dict.fromkeys(
        ["postgres", "nats", "control", "eu-1", "us-1", "payments", "search", "edge", "envoy"], "healthy"
    )
    assert told["processes"][-1]["address"] == f"127.0.0.1:{ports.ENVOY + own.offset}"
    assert all(Path(p["log"]).is_file() for p in told["processes"])


def test_status_of_an_empty_home_is_not_healthy(tmp_path: Path) -> None:
    found = platforms._center({**os.environ, "CENTER_HOME": str(tmp_path)}, ["status"], 30)
    assert found.returncode == 1
    assert "nothing runs" in found.stdout


def test_an_unknown_variable_stops_the_start_and_is_named(tmp_path: Path) -> None:
    environment = {**os.environ, "CENTER_HOME": str(tmp_path), "CENTER_PORT_OFSET": "7"}
    found = platforms._center(environment, ["up"], 30)
    assert found.returncode == 2
    assert "CENTER_PORT_OFSET" in found.stderr
    assert "CENTER_PORT_OFFSET" in found.stderr


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    offset = platforms.free_offset()
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports.ENVOY + offset))
        other.listen()
        environment = {**os.environ, "CENTER_HOME": str(tmp_path), "CENTER_PORT_OFFSET": str(offset)}
        found = platforms._center(environment, ["up"], 30)
    assert found.returncode == 1
    assert f"port {ports.ENVOY + offset} (Envoy HTTP) is taken" in found.stderr
    assert record.load(tmp_path) is None


async def test_after_kill_9_of_the_supervisor_down_stops_what_it_left_and_up_starts_again(own: Platform) -> None:
    found = record.load(own.home)
    assert found is not None
    os.kill(found.supervisor.pid, signal.SIGKILL)
    await until(lambda: found.supervisor.process() is None, what="the supervisor to be gone")
    left = [child.pid for child in found.children if child.pid]
    # Envoy asks the kernel to be told when its parent dies, and ends by itself; all others go on serving.
    assert [c.name for c in found.children if c.pid and c.pid.process() is None and c.name != "envoy"] == []
    assert own.center("status").returncode == 1

    stopped = own.center("down")
    assert stopped.returncode == 0, stopped.stderr
    assert left and not any(pid.process() for pid in left)

    again = own.center("up", "--detach")
    assert again.returncode == 0, again.stdout + again.stderr
    assert own.center("status").returncode == 0
    assert len(json.loads(own.center("tenants", "list", "--json").stdout)["tenants"]) >= 3


def test_an_outside_database_server_is_used_and_left_running(make_database: Callable[[str], str]) -> None:
    server = make_database("outside")
    with platforms.running(CENTER_DATABASE_URL=server) as own:
        assert "postgres" not in own.processes()
        assert not (own.home / "postgres").exists()
        assert len(json.loads(own.center("tenants", "list", "--json").stdout)["tenants"]) >= 3
    with psycopg.connect(server) as connection:
        found = connection.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'center%'").fetchone()
    assert found == (3,)


def test_a_database_server_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "CENTER_HOME": str(tmp_path),
        "CENTER_PORT_OFFSET": str(platforms.free_offset()),
        "CENTER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/postgres",
    }
    found = platforms._center(environment, ["up"], 60)
    assert found.returncode == 1
    assert "CENTER_DATABASE_URL does not answer" in found.stderr
    assert "Traceback" not in found.stderr


async def test_ctrl_c_stops_everything_and_leaves_no_process(tmp_path: Path) -> None:
    offset = platforms.free_offset()
    environment = {**os.environ, "CENTER_HOME": str(tmp_path), "CENTER_PORT_OFFSET": str(offset)}
    command = [Path(sys.executable).parent / "center", "up"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as foreground:
        found = await until(lambda: record.load(tmp_path), 60, "a record")
        await until(lambda: any(c.state == "healthy" for c in record.load(tmp_path).children), 60, "a healthy process")
        found = record.load(tmp_path)
        foreground.send_signal(signal.SIGINT)
        said, _ = foreground.communicate(timeout=60)
    assert foreground.returncode == 0
    assert "all stopped" in said
    assert [child.pid.process() for child in found.children if child.pid] == [None] * len(
        [child for child in found.children if child.pid]
    )
