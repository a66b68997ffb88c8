"""Control processes as they ship, on a database of their own, side by side."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc

from center.control.v1 import solution_service_pb2 as solutions_pb
from shared.platform import ports
from shared.runtime import pki
from tests.control.plane import Plane, config
from tests.shared.sdk.market import Market

_PATIENCE_S = 60.0


@dataclass
class Control:
    """One that runs, seen from outside. market: clients of it."""

    process: subprocess.Popen[bytes]
    market: Market

    @property
    def port(self) -> int:
        return int(self.market.plane.config.address.rpartition(":")[2])

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@asynccontextmanager
async def controls(home: Path, database_url: str, folder: Path, count: int = 1) -> AsyncIterator[list[Control]]:
    """The first makes the tables before the others start."""
    pki.ensure(home, ["operator", "control", "edge"])
    running: list[Control] = []
    try:
        for _ in range(count):
            running.append(await _started(home, database_url, folder))
        yield running
    finally:
        for each in running:
            await each.market.plane.close()
            each.end()


async def _started(home: Path, database_url: str, folder: Path) -> Control:
    offset = random.randint(2_000, 22_000)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CENTER_")},
        "CENTER_HOME": str(home),
        "CENTER_DATABASE_URL": database_url,
        "CENTER_PORT_OFFSET": str(offset),
        "CENTER_LOG_LEVEL": "warning",
    }
    process = subprocess.Popen([sys.executable, "-m", "control"], env=environment, stdout=subprocess.DEVNULL)
    told = replace(config(home, database_url), address=f"127.0.0.1:{ports.CONTROL + offset}")
    market = Market(Plane(told), folder)
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            try:
                await market.solutions.ListSolutions(solutions_pb.ListSolutionsRequest())
                return Control(process, market)
            except grpc.aio.AioRpcError:
                assert process.poll() is None, "control has ended"
                await asyncio.sleep(0.1)
