"""Starts the processes of the table, keeps them running, and stops them in reverse order."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil

from shared.platform import console, nats, ports, postgres, processes, record
from shared.platform.config import Config
from shared.platform.console import Lines
from shared.platform.processes import Process
from shared.platform.record import Child, Pid, Record
from shared.runtime import pki

FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 5.0
# A process that lived this long has earned a quick restart.
STEADY_S = 30.0
PROBE_STARTING_S = 0.1
PROBE_HEALTHY_S = 2.0
# A loaded machine answers late now and then; so many missed answers in a row are an event.
MISSES_BEFORE_UNHEALTHY = 3
STOP_S = 15.0
# A child's log may storm; the foreground shows this many of its lines between two looks.
LOG_LINES_A_LOOK = 5
LOG_LOOK_S = 0.5


class Supervisor:
    """One child a process of the table; the record on disk always names every pid that may live."""

    def __init__(self, config: Config, lines: Lines, table: list[Process]) -> None:
        self.config = config
        self.lines = lines
        self.table = table
        self.children = {
            p.name: Child(p.name, p.address, str(processes.log_path(config.home, p.name)), int(p.stop_signal))
            for p in table
        }
        self.record = Record(
            supervisor=Pid.of(os.getpid()),
            children=list(self.children.values()),
        )
        self._healthy = {p.name: asyncio.Event() for p in table}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        # Set when the platform is to end: by a signal, or by a fault of the supervisor's own.
        self.stop = asyncio.Event()

    async def all_healthy(self) -> None:
        for event in self._healthy.values():
            await event.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything started; at the end of the block everything is stopped, last started first."""
        self.record.save(self.config.home)
        tasks = [asyncio.create_task(self._keep(process)) for process in self.table]
        tasks += [asyncio.create_task(self._pass_on_log(process.name)) for process in self.table]
        guard = asyncio.create_task(self._fail_loudly(tasks))
        try:
            yield
        finally:
            for task in (guard, *tasks):
                task.cancel()
            await asyncio.gather(guard, *tasks, return_exceptions=True)
            for process in reversed(self.table):
                await self._stop(process)

    async def _fail_loudly(self, tasks: list[asyncio.Task[None]]) -> None:
        """A fault of the supervisor's own must not leave a process without its keeper, unsaid."""
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            if not task.cancelled() and (error := task.exception()):
                self.lines.say("platform", f"the supervisor failed: {error!r}; stopping", "red")
        self.stop.set()

    async def _keep(self, process: Process) -> None:
        """Starts the process when those before it are healthy, and again whenever it ends."""
        for name in process.after:
            await self._healthy[name].wait()
        if process.before_start is not None:
            await self._prepare(process.name, process.before_start)
        loop = asyncio.get_running_loop()
        child = self.children[process.name]
        backoff_s = FIRST_BACKOFF_S
        while True:
            began = loop.time()
            running = await self._start(process)
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch(process, began))
                code = await running.wait()
                watching.cancel()
            self._healthy[process.name].clear()
            if loop.time() - began > STEADY_S:
                backoff_s = FIRST_BACKOFF_S
            child.restarts += 1
            child.pid = None
            self._turns(child, "restarting")
            said = console.tail(Path(child.log)) if code > 0 else ""
            self.lines.say(process.name, f"{_ending(code)}; restarting in {backoff_s:.1f} s", "red")
            for line in said.splitlines():
                self.lines.say(process.name, f"  {line}", "dim")
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)

    async def _prepare(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                await work()
                return
            except (grpc.aio.AioRpcError, OSError) as error:
                why = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
                self.lines.say(name, f"cannot start yet: {why}; trying again in {backoff_s:.1f} s", "red")
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)

    async def _start(self, process: Process) -> asyncio.subprocess.Process:
        child = self.children[process.name]
        log = Path(child.log)
        # Its output goes straight to the file: a pipe to us would break the child when we are killed.
        # uvloop knows no `user`, so it is named only where there is one.
        user: dict[str, Any] = {"user": process.user} if process.user else {}
        with log.open("ab") as out:
            running = await asyncio.create_subprocess_exec(
                *process.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**_inherited(self.config), **process.environment},
                cwd=self.config.home,
                **user,
                # Ctrl-C in the terminal is for us; the children are stopped in order.
                start_new_session=True,
            )
        self._running[process.name] = running
        with contextlib.suppress(psutil.NoSuchProcess):
            child.pid = Pid.of(running.pid)
        self._turns(child, "starting")
        self.lines.say(process.name, f"starting on {process.address} (pid {running.pid})", "dim")
        return running

    async def _watch(self, process: Process, began: float) -> None:
        """Follows the health of one life of the process."""
        loop = asyncio.get_running_loop()
        child, healthy = self.children[process.name], self._healthy[process.name]
        misses = 0
        while True:
            if await process.is_healthy():
                misses = 0
                if not healthy.is_set():
                    self._turns(child, "healthy")
                    healthy.set()
                    self.lines.say(process.name, f"healthy after {loop.time() - began:.1f} s", "green")
            else:
                misses += 1
                if healthy.is_set() and misses >= MISSES_BEFORE_UNHEALTHY:
                    healthy.clear()
                    self._turns(child, "unhealthy")
                    self.lines.say(process.name, "does not answer its health check", "yellow")
            await asyncio.sleep(PROBE_HEALTHY_S if healthy.is_set() else PROBE_STARTING_S)

    async def _stop(self, process: Process) -> None:
        running, child = self._running.get(process.name), self.children[process.name]
        if running is not None and running.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                running.send_signal(process.stop_signal)
            try:
                async with asyncio.timeout(STOP_S):
                    await running.wait()
                self.lines.say(process.name, "stopped", "dim")
            except TimeoutError:
                self.lines.say(process.name, f"did not stop within {STOP_S:.0f} s; killed", "red")
                with contextlib.suppress(ProcessLookupError):
                    running.kill()
                await running.wait()
        child.pid = None
        self._turns(child, "stopped")

    def _turns(self, child: Child, state: str) -> None:
        child.state = state
        self.record.save(self.config.home)

    async def _pass_on_log(self, name: str) -> None:
        path = Path(self.children[name].log)
        position = path.stat().st_size if path.exists() else 0
        rest = b""
        while True:
            await asyncio.sleep(LOG_LOOK_S)
            if not path.exists():
                continue
            with path.open("rb") as file:
                file.seek(position)
                grown = file.read(1 << 20)
                position = file.tell()
            *whole, rest = (rest + grown).split(b"\n")
            shown = [line for line in (raw.decode(errors="replace") for raw in whole) if console.loud(line)]
            for line in shown[:LOG_LINES_A_LOOK]:
                self.lines.log(name, line)
            if len(shown) > LOG_LINES_A_LOOK:
                self.lines.say(name, f"... and {len(shown) - LOG_LINES_A_LOOK} more such lines in {path}", "dim")


def prepare(config: Config, table: list[Process], lines: Lines) -> None:
    """What must be there before the first process starts: certificates, fresh logs, a database folder."""
    for folder in ("run", "logs", "secrets"):
        (config.home / folder).mkdir(parents=True, exist_ok=True)
    pki.ensure(config.home, processes.IDENTITIES)
    for process in table:
        log = processes.log_path(config.home, process.name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
    if any(process.name == "nats" for process in table):
        nats.configure(config)
    if any(process.name == "postgres" for process in table) and postgres.initialise(config.home):
        lines.say("postgres", f"made a new database in {postgres.folder(config.home)}")


def stop_orphans(home: Path, lines: Lines) -> int:
    """Stops what a killed supervisor left behind, in reverse order; the count. Call it with the lock held."""
    left = record.load(home)
    stopped = 0
    for child in reversed(left.children if left else []):
        if child.pid and child.pid.stop(child.stop_signal, STOP_S):
            stopped += 1
            lines.say(child.name, f"stopped (pid {child.pid.pid}, left by a supervisor that is gone)", "yellow")
    record.forget(home)
    return stopped


async def run(config: Config, lines: Lines, when_healthy: Callable[[Supervisor], Awaitable[None]]) -> None:
    """The whole platform until SIGTERM, SIGINT or SIGHUP."""
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        stack.enter_context(record.held(config.home))
        table = processes.table(config)
        stop_orphans(config.home, lines)
        stack.enter_context(
            ports.reserved(
                config.bind,
                [use for process in table for use in process.ports],
                lambda text: lines.say("platform", text, "yellow"),
            )
        )
        prepare(config, table, lines)
        supervisor = Supervisor(config, lines, table)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, supervisor.stop.set)
        if config.database_url and not await postgres.serves(config.database_url, processes.databases()):
            raise postgres.PostgresFailed("the server of CENTER_DATABASE_URL does not answer, or gives us no databases")
        async with supervisor.running():
            settled = asyncio.create_task(_settle(supervisor, when_healthy))
            await supervisor.stop.wait()
            lines.say("platform", "stopping")
            settled.cancel()
            await asyncio.gather(settled, return_exceptions=True)
        lines.say("platform", "all stopped")
        record.forget(config.home)


async def _settle(supervisor: Supervisor, when_healthy: Callable[[Supervisor], Awaitable[None]]) -> None:
    await supervisor.all_healthy()
    await when_healthy(supervisor)


def _inherited(config: Config) -> dict[str, str]:
    """Our environment, less what only `center up` is to know."""
    return {name: value for name, value in config.environment.items() if name != "CENTER_DATABASE_URL"}


def _ending(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
