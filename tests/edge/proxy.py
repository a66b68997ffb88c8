"""A real Envoy 1.40 as a test's proxy, told all it knows by the xDS server under test."""

import asyncio
import inspect
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge.envoy.binary import path as envoy_path
from edge.envoy.bootstrap import Proxy, bootstrap
from shared.runtime import pki
from tests.edge.web import Shopper


async def until(holds: Callable[[], Any], within_s: float = 60.0, what: str = "a state") -> Any:
    """Waits for a state, and gives what says that it is there; `holds` may be a coroutine function."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                found = holds()
                if inspect.isawaitable(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s: {what}") from None


class Envoy:
    def __init__(self, process: asyncio.subprocess.Process, admin_port: int, folder: Path) -> None:
        self.process = process
        self.admin_port = admin_port
        self.folder = folder
        self.port = 0

    async def admin(self, path: str) -> bytes:
        shopper = Shopper(self.admin_port)
        answer = await shopper.get("admin", path)
        await shopper.close()
        return answer.body

    async def stat(self, name: str) -> int:
        """The sum of the counters and gauges of this name."""
        text = (await self.admin(f"/stats?filter={name}&format=json")).decode()
        return sum(int(stat["value"]) for stat in json.loads(text)["stats"] if "value" in stat)

    async def wait_for(self, path: str, holds: Callable[[bytes], Any], within_s: float = 20.0) -> Any:
        async with asyncio.timeout(within_s):
            while True:
                if self.process.returncode is not None:
                    raise AssertionError(f"Envoy ended: {(self.folder / 'envoy.log').read_text()[-3000:]}")
                try:
                    if found := holds(await self.admin(path)):
                        return found
                except (ConnectionError, asyncio.IncompleteReadError):
                    pass
                await asyncio.sleep(0.01)

    async def listening(self) -> int:
        """The port shoppers use, once the listener has come over xDS."""

        def port(body: bytes) -> int:
            found = json.loads(body).get("listener_statuses", [])
            return int(found[0]["local_address"]["socket_address"]["port_value"]) if found else 0

        self.port = await self.wait_for("/listeners?format=json", port)
        await self.wait_for("/ready", lambda body: b"LIVE" in body)
        return self.port


@asynccontextmanager
async def envoy(home: Path, folder: Path, xds_port: int, node_id: str = "envoy-1") -> AsyncIterator[Envoy]:
    folder.mkdir(parents=True, exist_ok=True)
    proxy = Proxy(
        node_id=node_id,
        admin=("127.0.0.1", 0),
        xds=(("127.0.0.1", xds_port),),
        ca_pem=pki.ca_path(home),
        cert_pem=pki.cert_path(home, "envoy"),
        key_pem=pki.key_path(home, "envoy"),
    )
    config, admin = folder / "envoy.pb", folder / "admin"
    admin.unlink(missing_ok=True)
    config.write_bytes(bytes(bootstrap(proxy)))
    with (folder / "envoy.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            os.fspath(envoy_path()),
            *("-c", os.fspath(config), "--admin-address-path", os.fspath(admin), "--concurrency", "1"),
            *("--use-dynamic-base-id", "--log-level", "warning", "--file-flush-interval-msec", "50"),
            stdout=log,
            stderr=log,
        )
    try:
        await until(lambda: process.returncode is not None or (admin.exists() and admin.read_text()))
        if process.returncode is not None:
            raise AssertionError((folder / "envoy.log").read_text()[-3000:])
        yield Envoy(process, int(admin.read_text().rpartition(":")[2]), folder)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
