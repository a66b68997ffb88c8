"""A PostgreSQL of the tests' own, from the platform's wheel with the platform's settings; it can be killed."""

import signal
import socket
import subprocess
import time
from pathlib import Path

from shared.platform import postgres


class Postgres:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        postgres.initialise(home)

    def url(self, database: str = "postgres") -> str:
        return postgres.url(self.home, "127.0.0.1", self.port, database)

    def start(self) -> None:
        # Nothing here has to outlive the machine. Of two settings with one name the last counts.
        settings = ["fsync=off", "max_connections=300", "shared_buffers=64MB"]
        command = [*postgres.command(self.home, "127.0.0.1", self.port), *(f"-c{setting}" for setting in settings)]
        log = self.home / "postgres.log"
        with log.open("ab") as file:
            self._process = subprocess.Popen(command, user=postgres.system_user(), stdout=file, stderr=file)
        give_up_at = time.monotonic() + 30
        ready = [postgres.BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(log.read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """As the kernel would for want of memory."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
