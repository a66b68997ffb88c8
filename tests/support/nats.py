"""A NATS of the tests' own, from the platform's wheel with the platform's settings; it can be killed."""

import signal
import subprocess
import time
from pathlib import Path

from shared.platform import nats
from shared.runtime.events.broker import Broker
from tests.support.postgres import _free_port


class Nats:
    """home: a CENTER_HOME that has the certificates, and gets the server's files."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port, monitor = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        nats.write(home, "127.0.0.1", self.port, monitor)

    @property
    def url(self) -> str:
        return f"tls://127.0.0.1:{self.port}"

    def broker(self, identity: str = "control") -> Broker:
        return Broker(self.home, identity, self.url)

    def start(self) -> None:
        log = nats.folder(self.home) / "nats.log"
        with log.open("ab") as file:
            began = file.tell()
            self._process = subprocess.Popen(nats.command(self.home), stdout=file, stderr=file)
        give_up_at = time.monotonic() + 30
        while b"Server is ready" not in log.read_bytes()[began:]:
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(log.read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As the kernel would for want of memory."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None
