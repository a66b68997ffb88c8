"""What every test stands on: one real PostgreSQL a session, databases on it, a home folder, and uvloop."""

import asyncio
import gc
import itertools
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvloop
from psycopg import sql
from xdist.scheduler import LoadFileScheduling

from shared.runtime import pki
from shared.runtime.rpc.process import spare_the_lasting
from tests.support.postgres import Postgres

IDENTITIES = ("operator", "control", "edge", "envoy", "nats", "cluster/eu-1", "cluster/us-1", "solution/search")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the processes run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Modules and tests stay until the end: looking for garbage among them was a quarter of the time of a process."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        spare_the_lasting()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits longest begins first: beside it there is always something that does not wait."""
    folders = ("tests/e2e/test_", "tests/e2e/own/")
    items.sort(key=lambda item: [not item.nodeid.startswith(folder) for folder in folders])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return _FilesTogether(config, log)


class _FilesTogether(LoadFileScheduling):
    """Gives each process a file at a time; files that share a platform are one, so that it starts once."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        folder = file.rpartition("/")[0]
        return folder if folder == "tests/e2e" else file


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server; postgres.url() is its owner's URL. Whoever kills one makes one of their own."""
    folder = Path(tempfile.mkdtemp(prefix="center-test-postgres-"))
    server = Postgres(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def make_database(postgres: Postgres) -> Callable[[str], str]:
    """make_database(name) -> owner's URL of a new, empty database with a name like it."""
    numbers = itertools.count()

    def make(name: str) -> str:
        database = f"{name}_{next(numbers)}"
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return postgres.url(database)

    return make


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CENTER_HOME with a certificate for every identity; keys appear in it when first asked for."""
    folder = tmp_path_factory.mktemp("home")
    pki.ensure(folder, IDENTITIES)
    return folder
