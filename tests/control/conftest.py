"""A control plane with two clusters, as they ship."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dataplane.app import Cluster
from dataplane.app import running as cluster_running
from dataplane.config import Config as ClusterConfig
from tests.control.plane import Plane, config
from tests.control.solutions import create as create_solution


@pytest.fixture(scope="package")
def start_plane(home: Path, make_database: Callable[[str], str]) -> Any:
    """start_plane(boundary=..., retained=...) runs a control process on a database of its own, without clusters."""

    @asynccontextmanager
    async def starting(
        clock: Any = None, resolver: Any = None, delivery: Any = None, boundary: Any = None, **changes: Any
    ) -> AsyncIterator[Plane]:
        plane = Plane(config(home, make_database("control"), **changes))
        arguments = {"clock": clock, "resolver": resolver, "delivery": delivery, "boundary": boundary}
        await plane.start(**{name: value for name, value in arguments.items() if value is not None})
        try:
            yield plane
        finally:
            await plane.close()

    return starting


@pytest.fixture(scope="package")
def start_cluster(home: Path, make_database: Callable[[str], str]) -> Any:
    """start_cluster(plane, "eu-1") runs the cluster where the plane's catalog says that it is."""

    @asynccontextmanager
    async def starting(plane: Plane, cluster_id: str, database_url: str = "") -> AsyncIterator[Cluster]:
        [seed] = [each for each in plane.config.seeds if each.cluster_id == cluster_id]
        told = ClusterConfig(
            home=home,
            cluster_id=cluster_id,
            database_url=database_url or make_database(f"cluster_{cluster_id.replace('-', '_')}"),
            address=f"127.0.0.1:{seed.endpoint.port}",
            control_address=plane.config.address,
        )
        async with cluster_running(told) as cluster:
            yield cluster

    return starting


@pytest.fixture(scope="package")
async def plane(start_plane: Any, start_cluster: Any) -> AsyncIterator[Plane]:
    """One platform for tests that make their own tenants and leave the rest alone."""
    async with AsyncExitStack() as stack:
        started = await stack.enter_async_context(start_plane())
        for cluster_id in ("eu-1", "us-1"):
            await stack.enter_async_context(start_cluster(started, cluster_id))
        yield started


@pytest.fixture(scope="package")
async def search(plane: Plane) -> str:
    """The solution that the certificate solution/search is of; with the tiers registered and pro."""
    return (await create_solution(plane, "search", default_tier="registered")).id
