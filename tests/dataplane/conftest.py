"""Clusters as they ship, each with a database of its own."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dataplane.app import running
from dataplane.config import Config
from shared.runtime.clock import Clock
from tests.dataplane.cluster import Running, entry
from tests.support.postgres import Postgres

Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture(scope="package")
def start(home: Path, make_database: Callable[[str], str]) -> Start:
    """start("eu-1") runs a cluster with an empty database, or with `database_url`; no control plane answers it.

    more: fields of its Config.
    """

    @asynccontextmanager
    async def starting(
        cluster_id: str = "eu-1",
        *,
        database_url: str = "",
        control_address: str = "127.0.0.1:1",
        address: str = "",
        clock: Clock | None = None,
        **more: Any,
    ) -> AsyncIterator[Running]:
        url = database_url or make_database(f"cluster_{cluster_id.replace('-', '_')}")
        config = Config(
            home=home,
            cluster_id=cluster_id,
            database_url=url,
            address=address or "127.0.0.1:0",
            control_address=control_address,
            **more,
        )
        async with running(config, clock) as cluster:
            started = Running(cluster_id, home, url, cluster)
            yield started
            for channel in started.channels.values():
                await channel.close()

    return starting


@pytest.fixture
def make_server() -> Iterator[Callable[[], Postgres]]:
    """Makes PostgreSQL servers that a test may kill; what it acknowledges survives that."""
    with contextlib.ExitStack() as stack:

        def make() -> Postgres:
            server = Postgres(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="center-test-killed-"))))
            server.start()
            stack.callback(server.stop)
            return server

        yield make


@pytest.fixture(scope="package")
async def eu(start: Start) -> AsyncIterator[Running]:
    async with start("eu-1") as running:
        yield running


@pytest.fixture(scope="package")
async def us(start: Start) -> AsyncIterator[Running]:
    async with start("us-1") as running:
        yield running


@pytest.fixture
async def tenant(eu: Running) -> str:
    """The id of a new tenant that eu-1 serves."""
    new = entry()
    await eu.apply(new)
    return new.id
