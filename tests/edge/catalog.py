"""A catalog that says what a test tells it to: CatalogService.Watch behind the platform's own server."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from center.control.v1 import catalog_service_pb2 as pb
from center.control.v1 import tenant_pb2
from shared.runtime import pki
from shared.runtime.rpc.server import Service, serving

_DESCRIPTOR = pb.DESCRIPTOR.services_by_name["CatalogService"]


class Catalog:
    """Every commit is one revision; a watcher from revision r gets what came after, or a snapshot when r is 0."""

    def __init__(self) -> None:
        self.revision = 0
        self.entries: dict[str, pb.CatalogEntry] = {}
        self.starts: list[pb.WatchStart] = []
        self.reports: list[pb.WatchReport] = []
        self._changes: list[pb.CatalogEntry] = []
        self._wakes: set[asyncio.Event] = set()

    @property
    def applied(self) -> int:
        return self.reports[-1].applied_revision if self.reports else -1

    def commit(self, *entries: pb.CatalogEntry) -> int:
        self.revision += 1
        for entry in entries:
            entry.revision = self.revision
            kind = entry.WhichOneof("entry")
            if kind in ("tenant", "cluster", "solution"):
                getattr(entry, kind).revision = self.revision
                self.entries[getattr(entry, kind).id] = entry
            else:
                self.entries.pop(getattr(entry, str(kind)))
            self._changes.append(entry)
        for wake in self._wakes:
            wake.set()
        return self.revision

    async def Watch(self, requests: AsyncIterator[pb.WatchRequest], call: Any) -> AsyncIterator[pb.WatchResponse]:
        start = (await anext(requests)).start
        self.starts.append(start)
        wake = asyncio.Event()
        self._wakes.add(wake)

        async def read() -> None:
            async for request in requests:
                self.reports.append(request.report)

        reader = asyncio.create_task(read())
        try:
            told = start.from_revision
            if told == 0 or told > self.revision:
                told = self.revision
                yield pb.WatchResponse(phase=pb.WATCH_PHASE_SNAPSHOT, entries=self.entries.values())
                yield pb.WatchResponse(phase=pb.WATCH_PHASE_SNAPSHOT_END, revision=told)
            while True:
                wake.clear()
                news = [entry for entry in self._changes if entry.revision > told]
                told = self.revision
                yield pb.WatchResponse(phase=pb.WATCH_PHASE_CHANGES, entries=news, revision=told)
                await wake.wait()
        finally:
            self._wakes.discard(wake)
            reader.cancel()


def tenant(
    tenant_id: str,
    *domains: tuple[str, int],
    cluster_id: str = "eu-1",
    state: int = tenant_pb2.TENANT_STATE_ACTIVE,
    mode: int = tenant_pb2.TENANT_MODE_NORMAL,
) -> pb.CatalogEntry:
    entry = pb.CatalogEntry()
    entry.tenant.id, entry.tenant.code = tenant_id, domains[0][0].split(".")[0]
    entry.tenant.state, entry.tenant.mode = state, mode  # type: ignore[assignment]
    entry.tenant.placement.cluster_id = cluster_id
    for name, number in domains:
        entry.tenant.domains.add(name=name, number=number)
    return entry


def cluster(cluster_id: str, ports: Iterable[int]) -> pb.CatalogEntry:
    entry = pb.CatalogEntry()
    entry.cluster.id, entry.cluster.region_id = cluster_id, cluster_id.split("-")[0]
    for port in ports:
        entry.cluster.endpoints.add(host="127.0.0.1", port=port)
    return entry


def solution(name: str, port: int, action: str = "call") -> pb.CatalogEntry:
    """At NAME.test, with everything below /paid validated."""
    entry = pb.CatalogEntry()
    entry.solution.id = name
    entry.solution.gateway.hosts.append(f"{name}.test")
    entry.solution.gateway.upstream_host, entry.solution.gateway.upstream_port = "127.0.0.1", port
    entry.solution.gateway.rules.add(path_prefix="/paid", action=action)
    return entry


@asynccontextmanager
async def serving_catalog(home: Path, catalog: Catalog, port: int = 0) -> AsyncIterator[int]:
    services = [Service(catalog, _DESCRIPTOR)]
    identity = pki.load(home, "control")
    async with serving(services, address=f"127.0.0.1:{port}", identity=identity, drain_s=0) as server:
        yield server.port
