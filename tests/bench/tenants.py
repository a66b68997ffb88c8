"""Ten thousand tenants out of the sample domains, imported as `center import-tenants` does it, under observation."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

from shared.platform.client import Client
from shared.platform.config import Config
from shared.samples import load
from shared.samples.domains import Shop
from shared.samples.load import TenantsLoaded
from tests.support.platform import Platform


@dataclass
class Imported:
    """phases: when each ended, in seconds from the beginning. cpu_s: by process."""

    platform: Platform
    shops: list[Shop]
    loaded: TenantsLoaded
    took_s: float
    phases: dict[str, float] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)


async def imported(platform: Platform) -> Imported:
    shops, ends = load.all_shops(), dict[str, float]()

    def progress(phase: str, done: int, total: int) -> None:
        ends[phase] = time.perf_counter() - began

    async with Client(Config.from_env(platform.environment)) as client:
        with cpu_of(platform) as cpu_s:
            began = time.perf_counter()
            loaded = await load.import_tenants(client, shops, progress)
            took_s = time.perf_counter() - began
    return Imported(platform, shops, loaded, took_s, ends, cpu_s)


@contextmanager
def cpu_of(platform: Platform) -> Iterator[dict[str, float]]:
    """CPU seconds that each process of the platform, and this one, spends in the block; filled when it ends."""
    spent: dict[str, float] = {}
    before = _cpu_s(platform)
    yield spent
    for name, after in _cpu_s(platform).items():
        spent[name] = after - before.get(name, 0.0)


def _cpu_s(platform: Platform) -> dict[str, float]:
    spent = {"client": _of(psutil.Process())}
    for name, child in platform.processes().items():
        if child.pid is not None:
            process = psutil.Process(child.pid.pid)
            # PostgreSQL is a process for each connection.
            spent[name] = sum(map(_of, [process, *process.children()]))
    return spent


def _of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
