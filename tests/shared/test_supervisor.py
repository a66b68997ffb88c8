"""The supervisor with small real processes: restarts, orphans, taken ports, order."""

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from shared.platform import health, ports, record, supervisor
from shared.platform.config import Config
from shared.platform.console import Lines, loud
from shared.platform.processes import Process
from shared.platform.supervisor import Supervisor
from tests.support.server import free_port

# Listens on its port; ends within a moment of SIGTERM and says so in a file, in order of ending.
CHILD = """
import signal, socket, sys, time
name, port, ended = sys.argv[1], int(sys.argv[2]), sys.argv[3]
def stop(*_):
    with open(ended, "a") as file: file.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
server = socket.socket(); server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", port)); server.listen()
print('{"level": "warning", "event": "up as", "name": "' + name + '"}', flush=True)
while True:
    server.accept()[0].close()
"""


def child(home: Path, name: str, *after: str, command: list[str] | None = None) -> Process:
    port = free_port()
    address = f"127.0.0.1:{port}"
    return Process(
        name=name,
        command=command or [sys.executable, "-c", CHILD, name, str(port), str(home / "ended")],
        address=address,
        ports=[(port, f"use of {name}")],
        is_healthy=lambda: health.listens(address),
        after=after,
    )


@asynccontextmanager
async def running(home: Path, table: list[Process], said: StringIO) -> AsyncIterator[Supervisor]:
    config = Config(home=home, environment=dict(os.environ))
    lines = Lines(Console(file=said, width=200))
    supervisor.prepare(config, table, lines)
    made = Supervisor(config, lines, table)
    async with made.running():
        try:
            async with asyncio.timeout(20):
                await made.all_healthy()
        except TimeoutError:
            pytest.fail(said.getvalue())
        yield made
        assert not made.stop.is_set(), said.getvalue()


async def becomes(true: Callable[[], bool], timeout_s: float = 20) -> None:
    async with asyncio.timeout(timeout_s):
        while not true():
            await asyncio.sleep(0.02)


def pid(home: Path, name: str) -> record.Pid:
    found = record.load(home)
    assert found is not None
    (child_pid,) = (c.pid for c in found.children if c.name == name)
    assert child_pid is not None
    return child_pid


async def test_a_killed_process_is_started_again_and_it_is_said(tmp_path: Path) -> None:
    said = StringIO()
    async with running(tmp_path, [child(tmp_path, "one")], said) as made:
        before = pid(tmp_path, "one")
        os.kill(before.pid, signal.SIGKILL)
        await becomes(lambda: made.children["one"].restarts == 1 and made.children["one"].state == "healthy")
        assert pid(tmp_path, "one") != before
    assert "killed by SIGKILL; restarting" in said.getvalue()


async def test_a_process_that_cannot_start_is_tried_ever_more_rarely_with_its_last_words(tmp_path: Path) -> None:
    said = StringIO()
    broken = child(tmp_path, "broken", command=[sys.executable, "-c", "raise SystemExit('no such luck')"])
    made = Supervisor(
        Config(home=tmp_path, environment=dict(os.environ)), Lines(Console(file=said, width=200)), [broken]
    )
    supervisor.prepare(made.config, [broken], made.lines)
    async with made.running():
        await becomes(lambda: made.children["broken"].restarts >= 3)
    assert "no such luck" in said.getvalue()
    assert "restarting in 0.2 s" in said.getvalue()
    assert "restarting in 0.8 s" in said.getvalue()


async def test_all_stop_in_reverse_order_of_their_start(tmp_path: Path) -> None:
    table = [child(tmp_path, "one"), child(tmp_path, "two", "one"), child(tmp_path, "three", "two")]
    async with running(tmp_path, table, StringIO()):
        pids = [pid(tmp_path, p.name) for p in table]
    assert (tmp_path / "ended").read_text().split() == ["three", "two", "one"]
    assert [p.process() for p in pids] == [None, None, None]


async def test_a_fault_of_the_supervisors_own_is_said_and_ends_the_platform(tmp_path: Path) -> None:
    async def broken() -> bool:
        raise ValueError("no such check")

    said = StringIO()
    unchecked = replace(child(tmp_path, "one"), is_healthy=broken)
    made = Supervisor(
        Config(home=tmp_path, environment=dict(os.environ)), Lines(Console(file=said, width=200)), [unchecked]
    )
    supervisor.prepare(made.config, [unchecked], made.lines)
    async with made.running(), asyncio.timeout(20):
        await made.stop.wait()
    assert "no such check" in said.getvalue()


async def test_warnings_of_a_child_reach_the_foreground(tmp_path: Path) -> None:
    said = StringIO()
    async with running(tmp_path, [child(tmp_path, "one")], said):
        await becomes(lambda: "up as  name=one" in said.getvalue())


async def test_what_a_killed_supervisor_left_is_found_and_stopped(tmp_path: Path) -> None:
    """The same code as `center up` in a process of its own, so that it can be killed."""
    script = f"""
import asyncio, os, sys
from pathlib import Path
from io import StringIO
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_supervisor as t
async def main():
    home = Path({str(tmp_path)!r})
    async with t.running(home, [t.child(home, "one"), t.child(home, "two")], StringIO()):
        print("healthy", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "healthy\n"
        left = [pid(tmp_path, "one"), pid(tmp_path, "two")]
        killed.kill()
    assert all(p.process() is not None for p in left)
    said = StringIO()
    assert supervisor.stop_orphans(tmp_path, Lines(Console(file=said, width=200))) == 2
    assert [p.process() for p in left] == [None, None]
    assert (tmp_path / "ended").read_text().split() == ["two", "one"]
    assert record.load(tmp_path) is None


def test_a_pid_that_belongs_to_a_later_process_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        stale = record.Pid(stranger.pid, psutil.Process(stranger.pid).create_time() - 3600)
        assert not stale.stop(signal.SIGKILL, 1)
        assert stranger.poll() is None
        assert stranger.stdin is not None
        stranger.stdin.write(b"\n")


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        taken = rf"port {port} \(xDS\) is taken by .*{os.getpid()}"
        with pytest.raises(ports.PortTaken, match=taken), ports.reserved("127.0.0.1", [(port, "xDS")], print):
            pass


def test_a_reserved_port_is_left_to_its_server_and_to_nobody_else() -> None:
    port = free_port()
    with ports.reserved("127.0.0.1", [(port, "xDS")], print):
        with socket.socket() as chance, pytest.raises(OSError, match="in use"):
            chance.bind(("127.0.0.1", port))
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", port))
            server.listen()
            with socket.create_connection(("127.0.0.1", port)) as client:
                assert client.getpeername()[1] == port


def test_a_connection_from_a_wanted_port_is_waited_for() -> None:
    """The kernel may have given the port away; its connection ends by itself sooner or later."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client = socket.create_connection(server.getsockname())
        near = client.getsockname()[1]
        said: list[str] = []

        def end(text: str) -> None:
            said.append(text)
            if len(said) == 1:
                # Reset, not closed: a closed one keeps its port for a minute.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()

        with ports.reserved("127.0.0.1", [(near, "xDS")], end):
            assert set(said) == {f"port {near} (xDS) is the near end of a connection; waiting for its end"}


def test_a_home_has_one_supervisor(tmp_path: Path) -> None:
    with record.held(tmp_path):
        assert record.is_held(tmp_path)
        assert record.holder(tmp_path) == record.Pid.of(os.getpid())
        with pytest.raises(record.AlreadyRunning, match="already running"), record.held(tmp_path):
            pass
    assert not record.is_held(tmp_path)


@pytest.mark.parametrize(
    ("line", "heard"),
    [
        ('{"level": "info", "event": "ready"}', None),
        ('{"level": "error", "event": "lost", "revision": 7}', ("red", "lost  revision=7")),
        ("2026 UTC [1] FATAL:  out of memory", ("red", "2026 UTC [1] FATAL:  out of memory")),
        ("2026 UTC [1] FATAL:  the database system is starting up", None),
        ("{not json", None),
    ],
)
def test_only_what_matters_is_loud(line: str, heard: tuple[str, str] | None) -> None:
    assert loud(line) == heard


def test_time_is_not_spent_waiting_for_a_process_that_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        identity = record.Pid.of(gone.pid)
    began = time.monotonic()
    assert not identity.stop(signal.SIGTERM, 10)
    assert time.monotonic() - began < 1
