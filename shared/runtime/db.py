"""PostgreSQL: one pool a process, one transaction helper that sets the tenant, and no raw driver error past it."""

import asyncio
import base64
import hashlib
import hmac
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row
from sqlalchemy import TextualSelect, column, exc, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.runtime import journal, keys
from shared.runtime.errors import (
    Aborted,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    PermissionDenied,
    PlatformError,
    Unavailable,
    anew,
)

# A request's deadline cancels its statements long before these; they are for work that nobody waits for any more.
STATEMENT_TIMEOUT_S = 30
LOCK_TIMEOUT_S = 10
IDLE_IN_TRANSACTION_TIMEOUT_S = 60


class Database:
    """A pool of connections of one role to one database."""

    def __init__(self, engine: AsyncEngine, patience_s: float, audit_key: bytes) -> None:
        self._engine = engine
        self._patience_s = patience_s
        self._audit_key = audit_key

    @classmethod
    def connect(
        cls, url: str, *, pool_size: int = 10, name: str = "center", patience_s: float = 2.0, audit_key: bytes = b""
    ) -> "Database":
        """Connects on first use, so a process starts while its database is still starting.

        name: application_name, as pg_stat_activity shows it.
        patience_s: how long a transaction tries to begin while the server is away. Longer waits are the caller's to
        make: UNAVAILABLE is what clients retry.
        audit_key: what audit entries are proven with; without it none can be written.
        """
        # Session defaults by start-up option: RESET ALL returns to them.
        options = (
            f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout={LOCK_TIMEOUT_S}s"
            f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_S}s"
        )
        engine = create_async_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=5,
            # What was used last has its statements prepared and the server's caches warm.
            pool_use_lifo=True,
            # transaction() sends its own BEGIN together with everything else that comes first.
            connect_args={"autocommit": True, "connect_timeout": 5, "options": options, "application_name": name},
        )
        return cls(engine, patience_s, audit_key)

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(
        self, tenant_id: str | None = None, *, snapshot: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        """One unit of work: commits at the end of the block, rolls back when it raises or is cancelled.

        tenant_id: whose rows the row policies show; None shows no tenant's rows.
        snapshot: read only, and every statement sees the same instant (REPEATABLE READ); else READ COMMITTED.
        Errors of the driver leave as Unavailable, Aborted, DeadlineExceeded, InvalidArgument, PermissionDenied or
        Internal.
        """
        with translated():
            connection, _ = await self._reached(_prelude(tenant_id, snapshot))
            try:
                transaction = await connection.begin()
                journal.open_account(connection, self._audit_key)
                yield connection
                await _refuse_if_failed(connection)
                await journal.settled(connection)
                await transaction.commit()
            finally:
                # Rolls back what is not committed, also when the request is cancelled once more meanwhile: an
                # abandoned connection would hold its locks until a timeout.
                await asyncio.shield(asyncio.ensure_future(connection.close()))

    async def once(
        self, statement: LiteralString, parameters: Mapping[str, Any], *, tenant_id: str | None = None
    ) -> list[Any]:
        """The rows, as named tuples, of one statement that is a transaction of its own: one round trip, not four.

        statement: with psycopg's placeholders. It is sent again when its connection is lost, so twice must be the same
        as once. tenant_id: whose rows it reads, and writes nothing; without one it is for a role that sees every
        tenant. It is planned anew each time then, so it is not for what takes long to plan.
        """
        sent: bytes | LiteralString = statement
        kind: type[psycopg.AsyncCursor[Any]] = psycopg.AsyncCursor
        if tenant_id is not None:
            # Only the simple protocol takes several statements at once, and there the client fills in the parameters.
            sent, kind = b"%b; %b; COMMIT" % (_prelude(tenant_id, True), statement.encode()), psycopg.AsyncClientCursor
        with translated():
            connection, answer = await self._reached(sent, parameters, kind)
            try:
                rows: list[Any] = []
                more: bool | None = True
                while more:
                    rows = await answer.fetchall() if answer.description else rows
                    more = answer.nextset()
                return rows
            finally:
                await asyncio.shield(asyncio.ensure_future(connection.close()))

    async def _reached(
        self,
        first: bytes | LiteralString,
        parameters: Mapping[str, Any] | None = None,
        kind: type[psycopg.AsyncCursor[Any]] = psycopg.AsyncCursor,
    ) -> tuple[AsyncConnection, psycopg.AsyncCursor[Any]]:
        """A connection, and its answer to what is sent first.

        Nothing that may not run twice has run yet, so this may be tried again: a pool full of connections that died
        with the server costs no request.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._patience_s
        pause_s = 0.02
        while True:
            connection = self._engine.connect()
            try:
                await connection.start()
                cursor = kind(await _driver(connection), row_factory=namedtuple_row)
                return connection, await cursor.execute(first, parameters)
            except BaseException as error:
                reached = connection.sync_connection is not None
                if reached:
                    leave = _discard(connection) if _lost(error) else connection.close()
                    await asyncio.shield(asyncio.ensure_future(leave))
                if not _lost(error) or loop.time() > give_up_at:
                    raise
                if not reached:
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, 0.25)


def _prelude(tenant_id: str | None, snapshot: bool) -> bytes:
    """All that comes before the first statement, in one round trip.

    RESET clears what an earlier user of the connection may have left on the session (a session-level tenant showed
    the next checkout all of the other tenant's rows), and finds out that a pooled connection is dead.
    """
    if tenant_id is None:
        tenant = ""
    else:
        try:
            # Goes into the text of a statement: the simple protocol, which takes several at once, has no parameters.
            tenant = str(uuid.UUID(tenant_id))
        except ValueError:
            raise InvalidArgument("TENANT_ID_MALFORMED", "a tenant id is a UUID") from None
    mode = "REPEATABLE READ, READ ONLY" if snapshot else "READ COMMITTED, READ WRITE"
    return (
        f"BEGIN ISOLATION LEVEL {mode}; RESET ROLE; RESET ALL; "
        f"SELECT pg_catalog.set_config('app.tenant_id', '{tenant}', true)"
    ).encode()


async def _driver(connection: AsyncConnection) -> psycopg.AsyncConnection[Any]:
    raw = await connection.get_raw_connection()
    return cast("psycopg.AsyncConnection[Any]", raw.driver_connection)


async def _discard(connection: AsyncConnection) -> None:
    """Out of the pool without a rollback, which a dead connection would refuse, loudly."""
    await connection.invalidate()
    await connection.close()


async def _refuse_if_failed(connection: AsyncConnection) -> None:
    """COMMIT of a failed transaction answers ROLLBACK and no error: a change would be acknowledged and lost."""
    driver = await _driver(connection)
    if driver.info.transaction_status == TransactionStatus.INERROR:
        raise Internal("TRANSACTION_FAILED", "a statement of the transaction failed and its error was swallowed")


def _lost(error: BaseException) -> bool:
    """Whether the connection, not the statement, failed."""
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    state = cause.sqlstate
    return state is None or state.startswith("08") or state in ("57P01", "57P02", "57P03")


@contextmanager
def translated() -> Iterator[None]:
    """Driver errors leave the block as kinds of shared.runtime.errors, with the original chained for the log."""
    try:
        yield
    except exc.TimeoutError as error:
        message = "every database connection of this process is in use; try again"
        raise Unavailable("DATABASE_BUSY", message, retry_after_s=0.5) from error
    except exc.DBAPIError as error:
        raise _kind(error.orig if isinstance(error.orig, psycopg.Error) else error) from error
    except psycopg.Error as error:
        raise _kind(error) from error


def _kind(error: BaseException) -> PlatformError:
    if _lost(error):
        return Unavailable("DATABASE_UNAVAILABLE", "the database does not answer; try again", retry_after_s=1.0)
    state = (getattr(error, "sqlstate", None) or "") if isinstance(error, psycopg.Error) else ""
    # A CHECK has a name; without one it is a partition's, which came while the row was on its way to another.
    is_moved = state == "23514" and isinstance(error, psycopg.Error) and not error.diag.constraint_name
    if is_moved or state in ("40001", "40P01"):
        return Aborted("TRANSACTION_CONFLICT", "another change was in the way; try again", retry_after_s=0.1)
    if state == "55P03":
        return Aborted("LOCK_TIMEOUT", "another change holds what this one needs; try again", retry_after_s=1.0)
    if state in ("57014", "25P03", "25P04"):
        return DeadlineExceeded("STATEMENT_TIMEOUT", "the database took too long; ask for less at once")
    if state.startswith("53"):
        return Unavailable("DATABASE_OVERLOADED", "the database is short of resources; try again", retry_after_s=2.0)
    if state.startswith("22") or isinstance(error, psycopg.DataError):
        return InvalidArgument("VALUE_NOT_STORABLE", "a value is out of range or holds a character that has no place")
    if state == "42501":
        return PermissionDenied("ROW_REFUSED", "the database's policy for this tenant refuses the change")
    # Constraints that no store mapped end here, too: their texts hold values, so they go to the log only.
    return Internal("DATABASE_FAILURE", "the database refused a statement")


def selecting(statement: str, *names: str) -> TextualSelect:
    """A statement that gives columns of these names, in this order. A text that does not say so has its columns looked
    at again each time, which costs more than the fetching of a row."""
    return text(statement).columns(*map(column, names))


@contextmanager
def constraints(errors: Mapping[str, PlatformError]) -> Iterator[None]:
    """Turns the violation of a named constraint into the error that it means.

        with constraints({"tenants_code_key": AlreadyExists("TENANT_CODE_TAKEN", "choose another code")}):
            await tx.execute(insert(tenants).values(...))

    The transaction is lost then, as ever in PostgreSQL: let the error leave the transaction's block.
    """
    try:
        yield
    except exc.IntegrityError as error:
        if (meant := errors.get(violated(error))) is None:
            raise
        raise anew(meant) from error


def violated(error: exc.IntegrityError) -> str:
    """The name of the violated constraint, or an empty text."""
    return (error.orig.diag.constraint_name or "") if isinstance(error.orig, psycopg.Error) else ""


def app_url(owner_url: str, home: Path, role: str = "center_app") -> str:
    """The same database for `role`, with the password that migrate() gives that role."""
    url = make_url(owner_url).set(username=role, password=password(home, role))
    return url.render_as_string(hide_password=False)


def database_name(url: str) -> str:
    return make_url(url).database or ""


def password(home: Path, role: str) -> str:
    """Derived from the platform's own secret, so that no password is ever chosen, sent or stored."""
    digest = hmac.new(keys.load(home, "database"), role.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
