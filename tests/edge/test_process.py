"""The edge as a whole: it follows a catalog, survives kills, and starts with the control plane down."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from center.control.v1 import tenant_pb2
from edge.config import CONTROL_PORT, HTTP_PORT
from tests.edge.catalog import Catalog, cluster, serving_catalog, tenant
from tests.edge.conftest import tenant_id
from tests.edge.processes import Process, free_offset, process
from tests.edge.proxy import until
from tests.edge.web import Answer, Shopper


@dataclass
class Platform:
    catalog: Catalog
    edge: Process
    envoy: Process
    home: Path
    offset: int
    control: AsyncExitStack

    async def start_control(self) -> None:
        await self.control.enter_async_context(serving_catalog(self.home, self.catalog, CONTROL_PORT + self.offset))

    async def stop_control(self) -> None:
        await self.control.aclose()

    async def get(self, host: str) -> Answer:
        shopper = Shopper(HTTP_PORT + self.offset)
        try:
            return await shopper.get(host)
        finally:
            await shopper.close()

    async def answers(self, host: str, status: int) -> Answer:
        """Waits until a host answers with this status."""
        answer: Answer | None = None

        async def asked() -> bool:
            nonlocal answer
            try:
                answer = await self.get(host)
            except OSError:
                return False
            return answer.status == status

        await until(asked, 20, f"{host}: {status}")
        assert answer is not None
        return answer

    async def reports(self, revision: int) -> None:
        await until(lambda: self.catalog.applied >= revision, 20, f"applied {revision}")


@pytest.fixture
async def platform(edge_home: Path, clusters: SimpleNamespace, tmp_path: Path) -> AsyncIterator[Platform]:
    home, offset, catalog = tmp_path, free_offset(), Catalog()
    (home / "pki").symlink_to(edge_home / "pki")
    catalog.commit(*(cluster(entry.id, [entry.endpoints[0].port]) for entry in clusters.entries))
    catalog.commit(*(tenant(tenant_id(n), (f"shop-{n}.test", n + 1)) for n in range(1000)))
    async with (
        process("edge", home, offset) as edge,
        process("edge.envoy", home, offset) as envoy,
        AsyncExitStack() as control,
    ):
        platform = Platform(catalog, edge, envoy, home, offset, control)
        await platform.start_control()
        await platform.answers("shop-7.test", 200)
        yield platform


async def test_a_change_in_the_catalog_reaches_shoppers_and_is_reported_as_applied(platform: Platform) -> None:
    await platform.reports(2)
    revision = platform.catalog.commit(
        tenant(tenant_id(7), ("shop-7.test", 8), state=tenant_pb2.TENANT_STATE_SUSPENDED)
    )
    await platform.reports(revision)
    assert (await platform.get("shop-7.test")).reason == "TENANT_SUSPENDED"
