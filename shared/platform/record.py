"""What the supervisor leaves on disk of itself and its children, so that they are found even after it crashed."""

import contextlib
import fcntl
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any

import psutil

# Between two reads of one process's start time; far less than it takes to come round to the same pid again.
CLOCK_TOLERANCE_S = 2.0


class AlreadyRunning(RuntimeError):
    """Another supervisor holds this home."""


@dataclass(frozen=True, slots=True)
class Pid:
    """A process, told from a later one with the same number by its start time (seconds since the epoch)."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "Pid":
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The process, if it still lives."""
        try:
            found = psutil.Process(self.pid)
            if abs(found.create_time() - self.started) > CLOCK_TOLERANCE_S or found.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return found

    def stop(self, number: int, patience_s: float) -> bool:
        """Signals the process and waits for its end, then kills it; False when it was gone already.

        The wait is for this life of the pid: an orphan that nobody reaps stays in the process list for ever.
        """
        process = self.process()
        if process is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
            if not self._ends_within(patience_s):
                process.kill()
                self._ends_within(patience_s)
        return True

    def _ends_within(self, patience_s: float) -> bool:
        give_up_at = time.monotonic() + patience_s
        while self.process() is not None:
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.05)
        return True


@dataclass(slots=True)
class Child:
    """One process of the platform, as the supervisor sees it."""

    name: str
    address: str
    log: str
    stop_signal: int = signal.SIGTERM
    state: str = "waiting"  # waiting, starting, healthy, unhealthy, restarting, stopped
    restarts: int = 0
    pid: Pid | None = None


@dataclass(slots=True)
class Record:
    """run/platform.json."""

    supervisor: Pid
    children: list[Child] = field(default_factory=list)
    # What a person may call, with what it is: name -> address.
    addresses: dict[str, str] = field(default_factory=dict)
    # Whether the start is over: all was healthy, and an empty home has its sample shops.
    ready: bool = False

    def save(self, home: Path) -> None:
        path = _path(home)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w") as file:
            json.dump(asdict(self), file, indent=1)
        Path(temporary).replace(path)


def load(home: Path) -> Record | None:
    """The last record of this home, whether its processes live or not."""
    try:
        text = _path(home).read_text()
    except FileNotFoundError:
        return None
    value = _known(Record, json.loads(text))
    value["supervisor"] = Pid(**value["supervisor"])
    value["children"] = [
        Child(**{**_known(Child, child), "pid": Pid(**child["pid"]) if child["pid"] else None})
        for child in value["children"]
    ]
    return Record(**value)


def _known(kind: type, value: dict[str, Any]) -> dict[str, Any]:
    """Without what another release wrote: its processes must be found all the same."""
    return {field.name: value[field.name] for field in fields(kind) if field.name in value}


def forget(home: Path) -> None:
    _path(home).unlink(missing_ok=True)


@contextmanager
def held(home: Path) -> Iterator[None]:
    """This home's lock, which dies with its holder and names it; AlreadyRunning if another process has it."""
    with _lock_file(home).open("a") as lock:
        # `is_held` of another process may have it for an instant.
        give_up_at = time.monotonic() + 1.0
        while not _locked(lock):
            if time.monotonic() > give_up_at:
                pid = holder(home)
                who = f" (pid {pid.pid})" if pid else ""
                message = (
                    f"a platform is already running in {home}{who}; `center status` shows it, `center down` stops it"
                )
                raise AlreadyRunning(message)
            time.sleep(0.02)
        lock.truncate(0)
        lock.write(json.dumps(asdict(Pid.of(os.getpid()))))
        lock.flush()
        yield


def is_held(home: Path) -> bool:
    with _lock_file(home).open("a") as lock:
        return not _locked(lock)


def holder(home: Path) -> Pid | None:
    """Who took the lock last."""
    try:
        return Pid(**json.loads(_lock_file(home).read_text()))
    except (FileNotFoundError, ValueError):
        return None


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _path(home: Path) -> Path:
    return home / "run" / "platform.json"


def _lock_file(home: Path) -> Path:
    folder = home / "run"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "lock"
