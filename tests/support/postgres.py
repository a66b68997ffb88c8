"""A PostgreSQL of the tests' own, with the platform's settings."""

import signal
import subprocess
from pathlib import Path

from shared.platform import postgres
from tests.support.server import Server, free_port


class Postgres(Server):
    polite = signal.SIGINT

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        postgres.initialise(home)

    def url(self, database: str = "postgres") -> str:
        return postgres.url(self.home, "127.0.0.1", self.port, database)

    def start(self) -> None:
        # Nothing here has to outlive the machine, and no plan that a test looks at changes with what is analyzed beside
        # it. Of two settings with one name the last counts.
        settings = ["fsync=off", "autovacuum=off", "max_connections=300", "shared_buffers=64MB"]
        command = [*postgres.command(self.home, "127.0.0.1", self.port), *(f"-c{setting}" for setting in settings)]
        self.launch(command, self.home / "postgres.log", self._answers, user=postgres.system_user())

    def _answers(self, _: bytes) -> bool:
        ask = [postgres.BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ask, check=False).returncode == 0
