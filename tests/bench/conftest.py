"""What the benches share: a process that makes load."""

from collections.abc import Iterator

import pytest

from tests.bench.load import Load
from tests.bench.load import load as started


@pytest.fixture(scope="session")
def load() -> Iterator[Load]:
    with started() as made:
        yield made
