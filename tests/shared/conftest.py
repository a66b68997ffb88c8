"""Databases for the runtime's tests: an empty one, and one migrated by the smallest possible plane."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from shared.runtime.db import Database, app_url
from shared.runtime.migrate import migrate
from tests.support.postgres import Postgres

PLANE = "tests.shared.plane"
ACME = "01a20111-45e2-7ea0-96d0-8c1b69958399"
BOLT = "01a20111-45e2-7ea0-96d0-8c1b6995839a"


@pytest.fixture
async def plain(make_database: Callable[[str], str]) -> AsyncIterator[Database]:
    """An empty database, as its owner."""
    db = Database.connect(make_database("plain"), pool_size=4)
    yield db
    await db.close()


@pytest.fixture
async def plane_url(make_database: Callable[[str], str], home: Path) -> str:
    """The owner's URL of a freshly migrated database of the small plane."""
    url = make_database("plane")
    await migrate(url, PLANE, home)
    return url


@pytest.fixture
async def app(plane_url: str, home: Path) -> AsyncIterator[Database]:
    """The small plane's database as its server sees it."""
    db = Database.connect(app_url(plane_url, home), pool_size=8, audit_key=bytes(32))
    yield db
    await db.close()


@pytest.fixture
def mortal() -> Iterator[Postgres]:
    """A server of the test's own: to kill, or to find without our roles."""
    folder = Path(tempfile.mkdtemp(prefix="center-test-mortal-"))
    server = Postgres(folder)
    server.start()
    yield server
    server.kill()
    shutil.rmtree(folder)
