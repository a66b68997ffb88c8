"""One market for tests that make their own solutions and users."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.control.plane import Plane, config
from tests.shared.sdk.market import Market


@pytest.fixture(scope="package")
def start_market(home: Path, make_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """start_market(database_url="...") runs a control process on a database of its own."""

    @asynccontextmanager
    async def starting(database_url: str = "", **changes: Any) -> AsyncIterator[Market]:
        plane = Plane(config(home, database_url or make_database("market"), seeds=(), **changes))
        await plane.start()
        try:
            yield Market(plane, tmp_path_factory.mktemp("market"))
        finally:
            await plane.close()

    return starting


@pytest.fixture(scope="package")
async def market(start_market: Any) -> AsyncIterator[Market]:
    async with start_market() as started:
        yield started
