"""A small database with two tenants' rows behind a row policy."""

from collections.abc import AsyncIterator, Callable

import pytest

from shared.runtime.db import Database


@pytest.fixture
async def plain(make_database: Callable[[str], str]) -> AsyncIterator[Database]:
    """An empty database, as its owner."""
    db = Database.connect(make_database("plain"), pool_size=4)
    yield db
    await db.close()
