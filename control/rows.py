"""Many rows in one statement: the database unpacks one JSON text, which costs a tenth of a statement a row."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ARRAY, ColumnElement, Row, Table, TextClause, any_, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.errors import NotFound

Where: TypeAlias = Sequence[ColumnElement[bool]]
Order: TypeAlias = Sequence[ColumnElement[Any]]


def inserting(table: Table, columns: Sequence[str], returning: Sequence[str] = ()) -> TextClause:
    """INSERT of the rows in the parameter `rows`, in their order."""
    names = ", ".join(columns)
    more = f" RETURNING {', '.join(returning)}" if returning else ""
    return text(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {_unpacked(table)}{more}")


def updating(table: Table, columns: Sequence[str], where: str) -> TextClause:
    """UPDATE of `columns` from the rows in the parameter `rows`; `where` joins t, the table, with r, the new row."""
    pairs = ", ".join(f"{name} = r.{name}" for name in columns)
    return text(f"UPDATE {table.name} t SET {pairs} FROM {_unpacked(table)} WHERE {where}")


def _unpacked(table: Table) -> str:
    return f"jsonb_populate_recordset(CAST(NULL AS {table.name}), CAST(:rows AS jsonb)) AS r"


def among(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """column IN values, with one parameter however many there are."""
    return column == any_(literal(list(values), ARRAY(column.type)))


def packed(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The parameter `rows`."""
    return {"rows": json.dumps(rows, default=_plain)}


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a row")


async def rows_of(
    tx: AsyncConnection, table: Table, where: Where = (), order: Order = (), limit: int | None = None
) -> Any:
    stmt = select(table).where(*where).order_by(*(order or table.primary_key.columns))
    return (await tx.execute(stmt if limit is None else stmt.limit(limit))).all()


async def one_row(
    tx: AsyncConnection, table: Table, where: ColumnElement[bool], missing: NotFound, lock: bool
) -> Row[Any]:
    stmt = select(table).where(where)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    if row is None:
        raise missing
    return row
