"""What the benches share: a process that makes load, and one platform with ten thousand tenants."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.bench import tenants
from tests.bench.load import Load
from tests.bench.load import load as started
from tests.bench.tenants import Imported
from tests.support import platform as platforms
from tests.support.platform import Platform


@pytest.fixture(scope="session")
def load() -> Iterator[Load]:
    with started() as made:
        yield made


@pytest.fixture(scope="session")
async def imported() -> AsyncIterator[Imported]:
    """How the import of the 10,000 sample domains into a new platform went."""
    with platforms.running(CENTER_EXAMPLE="off") as platform:
        yield await tenants.imported(platform)
        await platform.close()


@pytest.fixture(scope="session")
def platform(imported: Imported) -> Platform:
    """The platform, with 10,000 tenants."""
    return imported.platform
