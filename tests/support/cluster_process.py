"""A cluster's process as it ships, which a test may measure and kill."""

import os
import random
import sys
from pathlib import Path

import grpc
import psutil

from center.dataplane.v1.tenant_runtime_service_pb2_grpc import TenantRuntimeServiceStub
from center.shared.v1.media_service_pb2_grpc import MediaServiceStub
from shared.platform import ports
from shared.runtime import pki
from shared.runtime.rpc.channel import connect
from tests.support.server import Server

CLUSTER = ports.CLUSTERS[0]


class ClusterProcess(Server):
    """database_url: the owner's. It can be started again, with the same database, at the same port."""

    def __init__(self, home: Path, database_url: str, **environment: str) -> None:
        self.home = home
        self.database_url = database_url
        self._offset = random.randint(14_000, 22_000)
        self._channels: list[grpc.aio.Channel] = []
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CENTER_")},
            "CENTER_HOME": str(home),
            "CENTER_CLUSTER": CLUSTER.id,
            "CENTER_DATABASE_URL": database_url,
            "CENTER_PORT_OFFSET": str(self._offset),
            "CENTER_CONTROL_ADDRESS": "127.0.0.1:1",
            "CENTER_LOG_FORMAT": "json",
            **environment,
        }

    def start(self) -> None:
        log = self.home / f"cluster-{self._offset}.log"
        command = [sys.executable, "-m", "dataplane"]
        self.launch(command, log, lambda said: b'"serving"' in said, env=self._environment)

    @property
    def memory_bytes(self) -> int:
        return int(psutil.Process(self.pid).memory_info().rss)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def port(self) -> int:
        return CLUSTER.port + self._offset

    def channel(self, identity: str) -> grpc.aio.Channel:
        self._channels.append(connect(f"127.0.0.1:{self.port}", pki.load(self.home, identity), server=CLUSTER.id))
        return self._channels[-1]

    @property
    def media(self) -> MediaServiceStub:
        """On a connection of its own: one to a process that was killed takes its time."""
        return MediaServiceStub(self.channel("operator"))

    @property
    def commands(self) -> TenantRuntimeServiceStub:
        return TenantRuntimeServiceStub(self.channel("control"))

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()
        if self._process is not None:
            self.kill()
