"""How long ten thousand tenants take to come in, what of, and how long the bare rows would take."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from shared.platform import ports, postgres
from tests.bench.measure import show
from tests.bench.tenants import Imported

BAR_S = 60.0

# What an import writes, by database.
TABLES = {
    "center_control": (
        "tenants",
        "domains",
        "catalog_entries",
        "catalog_changes",
        "operations",
        "outbox",
        "audit_entries",
    ),
    "center_eu_1": ("tenants",),
    "center_us_1": ("tenants",),
}


async def test_importing_ten_thousand_tenants(imported: Imported) -> None:
    count = imported.loaded.created
    rows, rows_s = 0, {"COPY": 0.0, "INSERT": 0.0}
    for database, tables in TABLES.items():
        url = postgres.url(imported.platform.home, "127.0.0.1", ports.POSTGRES + imported.platform.offset, database)
        with psycopg.connect(url, autocommit=True) as connection:
            for table in tables:
                copied, took_s = _rewritten(connection, table)
                rows += copied
                for how, seconds in took_s.items():
                    rows_s[how] += seconds
    began = 0.0
    phases = []
    for phase, ended in sorted(imported.phases.items(), key=lambda each: each[1]):
        phases.append((phase, ended - began))
        began = ended
    whole = imported.took_s

    def row(name: str, seconds: float) -> list[str]:
        return [name, f"{seconds:.2f} s", f"{count / seconds:,.0f}", f"{seconds / rows_s['INSERT']:.1f}"]

    names = {"tenants": "of it: until all are created", "provisioned": "then until all are active"}
    names["served"] = "then until every edge and cluster has them"
    show(
        f"Import of {count:,} tenants",
        ("", "wall", "tenants/s", "of plain SQL"),
        [
            row("import", whole),
            *(row(names.get(phase, phase), max(seconds, 1e-3)) for phase, seconds in phases),
            row(f"reference: INSERT of the same {rows:,} rows", rows_s["INSERT"]),
            row("reference: COPY of them", rows_s["COPY"]),
        ],
        f"{whole / BAR_S:.2f} of the bar of {BAR_S:.0f} s",
        "CPU seconds: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in imported.cpu_s.items()),
    )


def _rewritten(connection: "psycopg.Connection[tuple[object, ...]]", table: str) -> tuple[int, dict[str, float]]:
    """Writes a table's rows into twins with the same columns, constraints and indexes, in one transaction each."""
    twin, names = (
        sql.Identifier(f"bench_{table}"),
        {"table": sql.Identifier(table), "twin": sql.Identifier(f"bench_{table}")},
    )
    columns = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
        " AND is_generated = 'NEVER' ORDER BY ordinal_position",
        (table,),
    ).fetchall()
    names["columns"] = sql.SQL(", ").join(sql.Identifier(str(name)) for (name,) in columns)
    data = io.BytesIO()
    with connection.cursor().copy(sql.SQL("COPY (SELECT {columns} FROM {table}) TO STDOUT").format(**names)) as copy:
        for part in copy:
            data.write(part)
    took_s = {}
    with _twin(connection, twin, names):
        began = time.perf_counter()
        with (
            connection.cursor() as cursor,
            cursor.copy(sql.SQL("COPY {twin} ({columns}) FROM STDIN").format(**names)) as copy,
        ):
            copy.write(data.getvalue())
        took_s["COPY"] = time.perf_counter() - began
    with _twin(connection, twin, names):
        began = time.perf_counter()
        inserted = connection.execute(
            sql.SQL("INSERT INTO {twin} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {table}").format(
                **names
            )
        )
        took_s["INSERT"] = time.perf_counter() - began
    return inserted.rowcount, took_s


@contextmanager
def _twin(
    connection: "psycopg.Connection[tuple[object, ...]]", twin: sql.Identifier, names: dict[str, sql.Composable]
) -> Iterator[None]:
    connection.execute(sql.SQL("CREATE TABLE {twin} (LIKE {table} INCLUDING ALL)").format(**names))
    try:
        yield
    finally:
        connection.execute(sql.SQL("DROP TABLE {}").format(twin))
