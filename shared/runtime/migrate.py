"""Schema migrations: alembic inside each plane's package, run under a lock by the process that owns the database.

A plane's migrations/env.py is three lines:

    from control.tables import metadata
    from shared.runtime.migrate import run

    run(metadata)
"""

import asyncio
import importlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import psycopg
import structlog
from alembic import autogenerate, command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from psycopg import sql
from sqlalchemy import Connection, MetaData, NullPool, create_engine, exc
from sqlalchemy.engine import make_url

from shared.runtime.db import password, translated
from shared.runtime.errors import FailedPrecondition

log = structlog.get_logger(__name__)

# A table that is in use is not waited for longer than this: everyone behind a waiting ALTER waits with it.
LOCK_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 600
# Another process may be migrating, and its long index build is worth waiting for.
TURN_TIMEOUT_S = 900
DATABASE_PATIENCE_S = 60

# Advisory locks are numbers; this one is "center" in ASCII.
_LOCK = 0x63656E746572
# alembic keeps its context in a module: one migration at a time in a process.
_alembic = threading.Lock()

_ROLES = {
    "center_app": "LOGIN",
    "center_steward": "LOGIN",
    "center_search": "NOLOGIN",
    "center_relay": "LOGIN",
    "center_sealer": "LOGIN",
}


async def migrate(owner_url: str, package: str, home: Path) -> None:
    """Brings the database to the newest revision of `package`.migrations, and makes the roles.

    Waits for a database that is still starting. Safe to run from any number of processes at once. A database that
    is newer than the package is left as it is: schema changes go expand, backfill, contract, so the release before
    runs on it.
    """
    with translated():
        await asyncio.to_thread(_migrate, owner_url, package, home)


async def missing_migration(owner_url: str, package: str) -> list[str]:
    """What `package`.tables says and the migrated database lacks, or the other way round; empty when they agree."""
    return await asyncio.to_thread(_differences, owner_url, package)


def run(metadata: MetaData) -> None:
    """The whole of an env.py: migrates on the connection that migrate() holds."""
    context.configure(
        connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


def _migrate(owner_url: str, package: str, home: Path) -> None:
    config = Config()
    folder = Path(str(importlib.import_module(package).__file__)).parent / "migrations"
    # Alembic reads % as an interpolation.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    with _alone(owner_url) as connection:
        _ensure_roles(connection, home)
        _grant(connection)
        config.attributes["connection"] = connection
        before = MigrationContext.configure(connection).get_current_revision()
        connection.commit()
        if before is not None and not _known(config, before):
            log.warning("the database is newer than this release", package=package, revision=before)
            return
        with _alembic:
            command.upgrade(config, "head")
        after = MigrationContext.configure(connection).get_current_revision()
        connection.exec_driver_sql("REVOKE ALL ON alembic_version FROM center_app")
        connection.commit()
        if before != after:
            log.info("database migrated", package=package, before=before, after=after)


def _known(config: Config, revision: str) -> bool:
    try:
        return ScriptDirectory.from_config(config).get_revision(revision) is not None
    except CommandError:
        return False


@contextmanager
def _alone(owner_url: str) -> Iterator[Connection]:
    """A connection that holds the migration lock of its database."""
    options = f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout={TURN_TIMEOUT_S}s"
    engine = create_engine(
        make_url(owner_url).set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        connect_args={"connect_timeout": 5, "options": options, "application_name": "migrate"},
    )
    with _connected(engine.connect, DATABASE_PATIENCE_S) as connection:
        # Held by the session, not by a transaction: it goes with the connection, however the process ends.
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({_LOCK})")
        connection.exec_driver_sql(f"SET statement_timeout = '{STATEMENT_TIMEOUT_S}s'")
        connection.exec_driver_sql(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
        connection.commit()
        yield connection
    engine.dispose()


def _connected(connect: Callable[[], Connection], patience_s: float) -> Connection:
    give_up_at = time.monotonic() + patience_s
    told = False
    while True:
        try:
            return connect()
        except exc.OperationalError as error:
            # Not there yet, starting up, its database not made yet: libpq gives no code for a refused connection.
            # Only a wrong password will not get better.
            if "authentication failed" in str(error) or time.monotonic() > give_up_at:
                raise
        if not told:
            log.info("waiting for the database")
            told = True
        time.sleep(0.1)


def _ensure_roles(connection: Connection, home: Path) -> None:
    """Roles belong to the server, not to the database, so another database's migration may be at the same ones."""
    for role, login in _ROLES.items():
        secret = sql.SQL(" PASSWORD {}").format(_verifier(connection, home, role)) if login == "LOGIN" else sql.SQL("")
        name = sql.Identifier(role)
        create = sql.SQL("CREATE ROLE {} {} NOINHERIT").format(name, sql.SQL(login)) + secret
        alter = sql.SQL("ALTER ROLE {} {} NOINHERIT").format(name, sql.SQL(login)) + secret
        for attempt in range(20):
            exists = connection.exec_driver_sql(
                "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s", (role,)
            ).scalar_one_or_none()
            if exists:
                raise FailedPrecondition(
                    "ROLE_TOO_POWERFUL",
                    f"role {role} bypasses row policies: ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS",
                    role=role,
                )
            try:
                connection.exec_driver_sql((create if exists is None else alter).as_string())
                connection.commit()
                break
            except exc.DBAPIError as error:
                connection.rollback()
                # Made by the other meanwhile (42710, 23505), or "tuple concurrently updated" (XX000).
                state = error.orig.sqlstate if isinstance(error.orig, psycopg.Error) else None
                if state not in ("42710", "23505", "XX000") or attempt == 19:
                    raise
                time.sleep(0.05)


def _verifier(connection: Connection, home: Path, role: str) -> str:
    """What the server keeps of a role's password: the statement, which a server may log, does not tell the password."""
    driver = cast("psycopg.Connection", connection.connection.dbapi_connection)
    return driver.pgconn.encrypt_password(password(home, role).encode(), role.encode(), b"scram-sha-256").decode()


def _grant(connection: Connection) -> None:
    """center_app works on every table, below its row policies; the others get what a migration names."""
    database = sql.Identifier(connection.exec_driver_sql("SELECT current_database()").scalar_one())
    statements = [
        # Nor temporary tables: no row policy binds them, and they stay on the session.
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database),
        sql.SQL("GRANT CONNECT ON DATABASE {} TO center_app, center_steward, center_relay, center_sealer").format(
            database
        ),
        sql.SQL("REVOKE ALL ON SCHEMA public FROM PUBLIC"),
        sql.SQL(
            "GRANT USAGE ON SCHEMA public TO center_app, center_steward, center_search, center_relay, center_sealer"
        ),
        # So that this role can hand a search function over; a superuser needs no leave.
        sql.SQL("GRANT center_search TO CURRENT_USER"),
        sql.SQL(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO center_app"
        ),
        sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO center_app"),
    ]
    for statement in statements:
        connection.exec_driver_sql(statement.as_string())
    connection.commit()


def _differences(owner_url: str, package: str) -> list[str]:
    metadata = importlib.import_module(f"{package}.tables").metadata
    with _alone(owner_url) as connection:
        # A partition is its parent's, and has no table of its own in the metadata.
        partitions = set(connection.exec_driver_sql("SELECT relname FROM pg_class WHERE relispartition").scalars())
        connection.commit()
        own = MigrationContext.configure(connection, opts={"include_name": lambda name, *_: name not in partitions})
        compared = autogenerate.compare_metadata(own, metadata)
    return [str(difference) for difference in compared]
