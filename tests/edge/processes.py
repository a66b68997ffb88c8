"""The edge and its proxy as the supervisor starts them: processes of their own, on ports of their own."""

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edge.config import ADMIN_PORT, CONTROL_PORT, ENVOY_ADMIN_PORT, HTTP_PORT, METRICS_PORT, XDS_PORT


def free_offset() -> int:
    """An offset at which every port of the edge is free.

    Below the ephemeral ports: a client that waits for a server there may be given the very port, and find itself.
    """
    while True:
        offset = random.randrange(10_000, 22_000, 7)
        try:
            for port in (CONTROL_PORT, XDS_PORT, ADMIN_PORT, METRICS_PORT, HTTP_PORT, ENVOY_ADMIN_PORT):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        return offset


class Process:
    """One `python -m`, which can be killed and started again."""

    def __init__(self, module: str, home: Path, offset: int) -> None:
        self.module = module
        self.home = home
        self.offset = offset
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CENTER_")}
        environment |= {
            "CENTER_HOME": os.fspath(self.home),
            "CENTER_PORT_OFFSET": str(self.offset),
            "CENTER_ZONE": "center.test",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        with (self.home / f"{self.module}.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self.module, env=environment, stdout=log, stderr=log
            )

    def send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self, number: int = signal.SIGKILL) -> int:
        """Sends the signal, and gives how the process ended."""
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.send_signal(number)
        ended = await self._process.wait()
        self._process = None
        return ended


@asynccontextmanager
async def process(module: str, home: Path, offset: int) -> AsyncIterator[Process]:
    made = Process(module, home, offset)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
