"""A server of the tests' own, out of its wheel; it can be killed. And a port for it."""

import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any


def free_port() -> int:
    """Below the range from which the kernel takes ports for outgoing connections, so that it stays free."""
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """polite: the signal that it ends by in good order."""

    polite = signal.SIGTERM
    _process: subprocess.Popen[bytes] | None = None

    def launch(self, command: Sequence[str], log: Path, is_ready: Callable[[bytes], bool], **how: Any) -> None:
        """Returns once it is ready. is_ready: is given what it has said since it began."""
        with log.open("ab") as file:
            began = file.tell()
            self._process = subprocess.Popen(command, stdout=file, stderr=file, **how)
        give_up_at = time.monotonic() + 120  # PostgreSQL goes through what a crash has left
        while not is_ready(log.read_bytes()[began:]):
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(log.read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        self._end(self.polite)

    def kill(self) -> None:
        """As the kernel would for want of memory."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None
