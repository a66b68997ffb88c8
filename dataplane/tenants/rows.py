"""A tenant's rows as a whole: read out, taken in, summed up. Every function runs in a transaction of the steward that
is set to that tenant, so the row policies hold for each row."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, cast

import psycopg
from psycopg import sql
from sqlalchemy import Table, delete, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dataplane.tables import MOVED
from dataplane.tenants import store
from shared.runtime.errors import FailedPrecondition

# A part of a table on its way. Small enough for flat memory on both sides, large enough to cost no calls.
PART_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of PostgreSQL's binary COPY format of one table."""

    table: str
    columns: tuple[str, ...]
    data: bytes
    schema_version: str


@dataclass(frozen=True, slots=True)
class Digest:
    """How many rows a table has, and a sum over them that does not depend on their order."""

    table: str
    rows: int
    checksum: str


def columns(table: Table) -> tuple[str, ...]:
    """What is copied: all columns but those that the database computes, and those that mean something here only."""
    return tuple(column.name for column in table.columns if column.computed is None and "stays" not in column.info)


async def schema_version(tx: AsyncConnection) -> str:
    return str((await tx.execute(text("SELECT version_num FROM alembic_version"))).scalar_one())


async def parts(tx: AsyncConnection) -> AsyncGenerator[Part, None]:
    """The tenant's rows, table by table; the transaction's snapshot is the moment that they are of."""
    await store.patient(tx)
    version = await schema_version(tx)
    driver = await _driver(tx)
    for table in MOVED:
        names = columns(table)
        query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT binary)").format(
            sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(table.name)
        )
        buffer = bytearray()
        async with driver.cursor() as cursor, cursor.copy(query) as copy:
            async for row in copy:
                buffer += row
                if len(buffer) >= PART_BYTES:
                    yield Part(table.name, names, bytes(buffer), version)
                    buffer.clear()
        yield Part(table.name, names, bytes(buffer), version)


class Intake:
    """Takes the parts of one tenant's rows in, as a context; the transaction's commit makes them real, all at once."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx
        self._open = AsyncExitStack()
        self._table: Table | None = None
        self._copy: psycopg.AsyncCopy | None = None
        self._version = ""
        self.rows = 0

    async def __aenter__(self) -> "Intake":
        """Removes what an earlier try left."""
        await store.patient(self._tx)
        self._version = await schema_version(self._tx)
        for table in reversed(MOVED):
            await self._tx.execute(delete(table))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self._finish()
        else:
            await self._open.__aexit__(kind, error, trace)

    async def take(self, part: Part) -> None:
        """FailedPrecondition SCHEMA_MISMATCH: the part is of a table, or of a shape of it, that is not here."""
        table = next((table for table in MOVED if table.name == part.table), None)
        if table is None or part.schema_version != self._version or part.columns != columns(table):
            raise FailedPrecondition(
                "SCHEMA_MISMATCH",
                f"rows of {part.table} at migration {part.schema_version} do not fit migration {self._version}; "
                "bring both clusters to the same release",
                ours=self._version,
                theirs=part.schema_version,
            )
        if table is not self._table:
            await self._finish()
            await self._start(table)
        assert self._copy is not None
        await self._copy.write(part.data)

    async def _finish(self) -> None:
        """Ends the table that is being taken."""
        if self._table is None:
            return
        await self._open.aclose()
        names = sql.SQL(", ").join(map(sql.Identifier, columns(self._table)))
        driver = await _driver(self._tx)
        inserted = await driver.execute(
            sql.SQL("INSERT INTO {table} ({names}) SELECT {names} FROM {staging}").format(
                table=sql.Identifier(self._table.name), names=names, staging=_staging(self._table)
            )
        )
        self.rows += inserted.rowcount
        await driver.execute(sql.SQL("DROP TABLE {}").format(_staging(self._table)))
        self._table, self._copy = None, None

    async def _start(self, table: Table) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, columns(table)))
        driver = await _driver(self._tx)
        await driver.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
                _staging(table), names, sql.Identifier(table.name)
            )
        )
        cursor = await self._open.enter_async_context(driver.cursor())
        query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(_staging(table), names)
        self._copy = await self._open.enter_async_context(cursor.copy(query))
        self._table = table


async def digests(tx: AsyncConnection) -> list[Digest]:
    """Every table's digest, at the moment of the transaction's snapshot.

    The two halves of each row's SHA-256 are added up on their own: 128 bits, and equal for equal sets of rows. The
    row's text depends on session settings, which two servers need not share.
    """
    await store.patient(tx)
    for setting in ("timezone = 'UTC'", "datestyle = 'ISO'", "bytea_output = 'hex'"):
        await tx.execute(text(f"SET LOCAL {setting}"))
    found = []
    for table in MOVED:
        half = "('x' || substr(h.hex, {}, 16))::bit(64)::bigint::numeric"
        row = (
            await tx.execute(
                text(
                    f"""
                    SELECT count(*) AS rows, coalesce(sum({half.format(1)}), 0) AS low,
                        coalesce(sum({half.format(17)}), 0) AS high
                    FROM (
                        SELECT encode(sha256(convert_to(r::text, 'UTF8')), 'hex') AS hex
                        FROM (SELECT {", ".join(columns(table))} FROM {table.name}) r
                    ) h
                    """
                )
            )
        ).one()
        low, high = (int(value) % (1 << 64) for value in (row.low, row.high))
        found.append(Digest(table.name, row.rows, f"{low:016x}{high:016x}"))
    return found


def _staging(table: Table) -> sql.Composable:
    return sql.Identifier("pg_temp", f"incoming_{table.name}")


async def _driver(tx: AsyncConnection) -> psycopg.AsyncConnection[Any]:
    raw = await tx.get_raw_connection()
    return cast("psycopg.AsyncConnection[Any]", raw.driver_connection)
