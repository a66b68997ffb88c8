"""Processes that decide, as control processes do: `python -m tests.support.validating` makes as many as it is told.

Each appends one byte to a file of its own for every decision that was allowed, after it was: the file outlives kill -9.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from control.catalog import tailer
from control.catalog.memory import Catalog
from control.peppers import Peppers
from control.quotas import store
from control.quotas.backend import deciding
from control.quotas.feeds import Feeds
from control.quotas.ops import Quotas, Terms
from control.users.crypto import Vault
from shared.runtime.clock import SystemClock
from shared.runtime.db import Database, app_url

# How soon one asks again after a refusal.
DENIED_S = 0.1


@dataclass(frozen=True)
class Task:
    """home: of the platform's secrets. journals: of process n, with {} for n. pace_s: between bursts."""

    home: str
    journals: str
    folder: str
    database_url: str
    solution_id: str
    token: str
    action: str
    processes: int
    pace_s: float
    burst: int = 25
    lease_s: float = 2.0


async def decide(task: Task, number: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    home, clock = Path(task.home), SystemClock()
    db = Database.connect(app_url(task.database_url, home), pool_size=3, name=f"validator {number}")
    catalog = Catalog(1000)
    await tailer.load(db, catalog)
    feeds = Feeds(db, clock, catalog)
    quotas = Quotas(db, clock, catalog, Terms(catalog), Peppers(home), Vault(home), "dev", task.lease_s)
    url = app_url(task.database_url, home)
    jobs = [
        asyncio.create_task(tailer.follow(db, catalog, asyncio.Event(), url)),
        asyncio.create_task(feeds.follow()),
        asyncio.create_task(tailer.listen(url, {store.RECALL_CHANNEL: feeds.recalled})),
    ]
    journals = Path(task.journals.format(number))
    file = os.open(Path(task.folder) / f"allowed-{number}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with deciding(journals, quotas, feeds) as decider:
        (Path(task.folder) / f"ready-{number}").touch()
        while not stop.is_set():
            for _ in range(task.burst):
                decision = await decider.decide(task.token, task.solution_id, task.action)
                if not decision.allowed:
                    break
                os.write(file, b".")
            with suppress(TimeoutError):
                async with asyncio.timeout(task.pace_s if decision.allowed else DENIED_S):
                    await stop.wait()
    for job in jobs:
        job.cancel()
    await db.close()


def main() -> None:
    task = Task(**json.loads(sys.argv[1]))
    children = []
    for number in range(task.processes):
        pid = os.fork()
        if pid == 0:
            asyncio.run(decide(task, number))
            os._exit(0)
        children.append(pid)
        (Path(task.folder) / f"pid-{number}").write_text(str(pid))
    for pid in children:
        os.waitpid(pid, 0)


@dataclass
class Processes:
    task: Task
    parent: "subprocess.Popen[bytes]"

    def pid(self, number: int) -> int:
        return int((Path(self.task.folder) / f"pid-{number}").read_text())

    def kill(self, number: int) -> None:
        os.kill(self.pid(number), signal.SIGKILL)

    def ready(self) -> bool:
        return len(list(Path(self.task.folder).glob("ready-*"))) == self.task.processes

    def allowed(self) -> int:
        return sum(path.stat().st_size for path in Path(self.task.folder).glob("allowed-*"))

    def stop(self) -> None:
        """Each gives back what it holds."""
        for number in range(self.task.processes):
            with suppress(ProcessLookupError, FileNotFoundError):
                os.kill(self.pid(number), signal.SIGTERM)
        self.parent.wait(60)


@contextmanager
def processes(task: Task) -> Iterator[Processes]:
    Path(task.folder).mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.support.validating", json.dumps(asdict(task))]
    parent = subprocess.Popen(command, cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONPATH": "."})
    started = Processes(task, parent)
    try:
        give_up_at = time.monotonic() + 60
        while not started.ready():
            assert parent.poll() is None, "the processes ended"
            assert time.monotonic() < give_up_at, "the processes did not start in time"
            time.sleep(0.02)
        yield started
    finally:
        if parent.poll() is None:
            for number in range(task.processes):
                with suppress(ProcessLookupError, FileNotFoundError):
                    started.kill(number)
            parent.wait(10)


if __name__ == "__main__":
    main()
