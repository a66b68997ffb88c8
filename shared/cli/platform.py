"""center up, down and status: the one-machine platform."""

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Annotated

import grpc
import typer
from rich.console import Console

from shared.platform import console, ports, record
from shared.platform.client import Client
from shared.platform.config import Config
from shared.platform.console import Lines
from shared.platform.record import AlreadyRunning, Record
from shared.runtime.environment import EnvironmentProblem
from shared.runtime.errors import Unavailable
from shared.runtime.rpc.status import received
from shared.samples import load
from shared.samples.domains import code

if TYPE_CHECKING:
    from shared.platform.supervisor import Supervisor

# The supervisor and the process table are imported by the commands that use them: with SQLAlchemy and psycopg behind
# them they would double the time that every other command takes to start.

DETACHED_PATIENCE_S = 120.0
DOWN_PATIENCE_S = 90.0

# Piped into a file or a script there is no width to fit, and an address must not be cut.
out = Console(width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True)


def add_to(app: typer.Typer) -> None:
    for command in (up, down, status):
        app.command()(command)


def configured() -> Config:
    """The environment as a Config, or a message and exit code 2."""
    try:
        return Config.from_env()
    except EnvironmentProblem as problem:
        err.print(str(problem), style="red", highlight=False)
        raise typer.Exit(2) from None


def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once all is healthy; go on behind.")] = False,
) -> None:
    """Start the whole platform on this machine and keep it running."""
    from shared.platform import postgres, supervisor

    config = configured()
    if detach:
        _detach(config)
        return
    lines = Lines(out)

    async def when_healthy(running: "Supervisor") -> None:
        async with Client(config) as client:
            shops = await _seed(config, client, lines)
        running.record.addresses.update(addresses(config))
        running.record.ready = True
        running.record.save(config.home)
        lines.say("platform", "all healthy", "bold green")
        _show(running.record)
        _try_it(config, shops)

    try:
        asyncio.run(supervisor.run(config, lines, when_healthy))
    except (AlreadyRunning, ports.PortTaken, postgres.PostgresFailed) as refusal:
        err.print(str(refusal), style="red", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def down() -> None:
    """Stop the platform of this home, also after a crash."""
    from shared.platform import supervisor

    config = configured()
    if record.is_held(config.home):
        # There may be no record yet: a platform can be stopped while it starts.
        pid = record.holder(config.home)
        process = pid.process() if pid else None
        if process is not None:
            process.terminate()
        give_up_at = time.monotonic() + DOWN_PATIENCE_S
        while record.is_held(config.home):
            if time.monotonic() > give_up_at:
                who = f"(pid {process.pid}) does not stop" if process else "is unknown: end the process that started it"
                err.print(f"the supervisor {who}", style="red")
                raise typer.Exit(1)
            time.sleep(0.05)
        out.print("stopped")
        return
    with record.held(config.home):
        stopped = supervisor.stop_orphans(config.home, Lines(out))
    out.print("stopped" if stopped else "nothing was running")


def status(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Show every process; the exit code is 0 only when all are healthy."""
    config = configured()
    found = record.load(config.home)
    running = found is not None and record.is_held(config.home)
    states = asyncio.run(_states(config, found)) if found and found.children else {}
    healthy = running and found is not None and found.ready and all(state == "healthy" for state in states.values())
    if as_json:
        out.print_json(
            json.dumps(
                {
                    "running": running,
                    "healthy": healthy,
                    "home": str(config.home),
                    "supervisor_pid": found.supervisor.pid if found and running else None,
                    "processes": [
                        {
                            "name": child.name,
                            "state": states[child.name],
                            "address": child.address,
                            "pid": child.pid.pid if child.pid else None,
                            "restarts": child.restarts,
                            "log": child.log,
                        }
                        for child in (found.children if found else [])
                    ],
                    "addresses": found.addresses if found else {},
                }
            )
        )
    elif found is None:
        out.print(f"nothing runs in {config.home}; `center up` starts it")
    else:
        if running and not found.ready:
            out.print("starting", style="yellow")
        if not running:
            out.print("the supervisor is gone; `center down` stops what it left", style="red")
        for child in found.children:
            child.state = states[child.name]
        _show(found)
    raise typer.Exit(0 if healthy else 1)


async def _states(config: Config, found: Record) -> dict[str, str]:
    """Each child's state, asked of the child itself: the record may be older than a crash."""
    from shared.platform import processes

    table = {process.name: process for process in processes.table(config)}

    async def ask(child: record.Child) -> str:
        if child.pid is None or child.pid.process() is None:
            return "stopped" if child.state == "healthy" else child.state
        process = table.get(child.name)
        if process is None or not await process.is_healthy():
            return "unhealthy" if child.state == "healthy" else child.state
        # Healthy is what the supervisor has said so as well: it makes the databases meanwhile.
        return child.state

    states = await asyncio.gather(*map(ask, found.children))
    return {child.name: state for child, state in zip(found.children, states, strict=True)}


def addresses(config: Config) -> dict[str, str]:
    """Where a person looks, by what is there."""
    return {
        "shops, by Host header": f"http://{config.address(ports.ENVOY)}",
        **({"the example solution": example_url(config)} if config.example else {}),
        "a shop in the browser": f"http://CODE.{config.zone}:{ports.ENVOY + config.offset}/",
        "Envoy admin": f"http://{config.address(ports.ENVOY_ADMIN)}",
        "metrics of control": f"http://{config.address(ports.CONTROL_METRICS)}/metrics",
        "certificates": str(config.home / "pki"),
        "logs": str(config.home / "logs"),
    }


def example_url(config: Config) -> str:
    return f"http://search.{config.zone}:{ports.ENVOY + config.offset}/"


def _show(found: Record) -> None:
    rows = [(child.name, child.address, child.state) for child in found.children]
    rows += [(what, where, "") for what, where in found.addresses.items()]
    out.print()
    out.print(console.table(rows))
    out.print()


async def _seed(config: Config, client: Client, lines: Lines) -> list[str]:
    """Gives an empty home a few shops; the domains that it has. A failure is said and leaves the platform running."""
    done = config.home / "run" / "seeded.json"
    if done.exists():
        return list(json.loads(done.read_text()))
    lines.say("platform", "loading a few shops into the empty platform")
    try:
        domains = [shop.domain for shop in await load.seed(client)]
    except (grpc.aio.AioRpcError, Unavailable) as error:
        refusal = received(error) if isinstance(error, grpc.aio.AioRpcError) else error
        lines.say("platform", f"the shops did not load: {refusal}; the next `center up` tries again", "red")
        return []
    done.write_text(json.dumps(domains))
    lines.say("platform", f"loaded {', '.join(domains)}", "green")
    return domains


def _try_it(config: Config, shops: list[str]) -> None:
    """Lines that can be pasted as they are."""
    where = f"http://{config.address(ports.ENVOY)}"
    for domain in [domain for domain in load.CATALOGUE_SHOPS if domain in shops][:2]:
        out.print(f"  curl -H 'Host: {domain}' {where}/v1/products", markup=False, soft_wrap=True)
    if config.example:
        host = example_url(config).removeprefix("http://").partition(":")[0]
        out.print(f"  curl -H 'Host: {host}' '{where}/search?q=lantern'", markup=False, soft_wrap=True)
        out.print(f"  a browser: {example_url(config)}", markup=False, soft_wrap=True)
    if shops:
        browser = f"http://{code(shops[0])}.{config.zone}:{ports.ENVOY + config.offset}/"
        out.print(f"  a browser: {browser}", markup=False, soft_wrap=True)
        out.print("  .venv/bin/center tenants list", markup=False)
    out.print()


def _detach(config: Config) -> None:
    if record.is_held(config.home):
        err.print(f"a platform is already running in {config.home}", style="red", highlight=False)
        raise typer.Exit(1)
    log = config.home / "logs" / "platform.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        started = subprocess.Popen(
            [sys.executable, "-m", "shared.cli.main", "up"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env={**os.environ, "CENTER_HOME": str(config.home)},
        )
    give_up_at = time.monotonic() + DETACHED_PATIENCE_S
    while time.monotonic() < give_up_at:
        found = record.load(config.home)
        if found and found.supervisor.pid == started.pid and found.ready:
            out.print(f"all healthy (pid {started.pid}); `center status` shows it, `center down` stops it")
            _show(found)
            return
        if started.poll() is not None:
            err.print(console.tail(log, lines=40), style="red", highlight=False, markup=False)
            raise typer.Exit(1)
        time.sleep(0.1)
    err.print(f"not healthy after {DETACHED_PATIENCE_S:.0f} s; it goes on trying, see {log}", style="red")
    raise typer.Exit(1)
