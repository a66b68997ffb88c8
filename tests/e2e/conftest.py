"""One platform for the tests that leave it as they found it; who breaks things starts one of their own, in `own`."""

from collections.abc import AsyncIterator

import pytest

from tests.support import platform as platforms
from tests.support.platform import Platform


@pytest.fixture(scope="package")
async def platform() -> AsyncIterator[Platform]:
    with platforms.running() as running:
        yield running
        await running.close()
