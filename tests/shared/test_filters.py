"""Filters and orders: they mean what AIP-160 says, on real rows, and bad ones are refused by position."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.dialects import postgresql

from shared.runtime.db import Database
from shared.runtime.errors import InvalidArgument
from shared.runtime.filters import Field, order, where
from tests.shared.plane.tables import metadata, note

FIELDS = {
    "id": Field(note.c.id, "int"),
    "body": Field(note.c.body),
    "author": Field(note.c.author),
    "state": Field(note.c.body, "enum", {"RED": "red", "BLUE": "blue"}),
    "tenant": Field(note.c.tenant_id, "uuid"),
    "pinned": Field(note.c.pinned, "bool"),
    "labels": Field(note.c.labels, "labels"),
    "create_time": Field(note.c.create_time, "timestamp"),
}
A = "01a20111-45e2-7ea0-96d0-8c1b69958399"
ROWS: list[dict[str, Any]] = [
    {"id": 1, "body": "red", "pinned": True, "labels": {}},
    {"id": 2, "body": "blue", "author": "ann", "pinned": False, "labels": {"tier": "gold", "a.b/c": "x"}},
    {"id": 3, "body": "Red shoes", "author": "bob", "pinned": False, "labels": {"tier": "gold plus"}},
    {"id": 4, "body": "100%_\\*\"'", "pinned": True, "labels": {"tier": ""}},
    {"id": 5, "body": "", "pinned": False, "labels": {"env": "prod", "tier": "silver"}},
]


@pytest.fixture(scope="module")
async def rows(make_database: Callable[[str], str]) -> AsyncIterator[Database]:
    db = Database.connect(make_database("filters"))
    async with db.transaction() as tx:
        await tx.run_sync(metadata.create_all)
        for row in ROWS:
            moment = datetime(2026, 1, row["id"], 12, tzinfo=UTC)
            await tx.execute(insert(note).values(tenant_id=A, create_time=moment, **row))
    yield db
    await db.close()


async def found(db: Database, filter: str) -> list[int]:
    async with db.transaction() as tx:
        return list((await tx.execute(select(note.c.id).where(where(filter, FIELDS)).order_by(note.c.id))).scalars())


@pytest.mark.parametrize(
    "filter, ids",
    [
        ("", [1, 2, 3, 4, 5]),
        ("  ", [1, 2, 3, 4, 5]),
        ("id = 3", [3]),
        ("id>=2 AND id<4", [2, 3]),
        ("id != 3", [1, 2, 4, 5]),
        ("id > -9223372036854775808", [1, 2, 3, 4, 5]),
        ("id = 1 OR id = 2 AND pinned = false", [2]),  # OR binds tighter
        ("(id = 1) OR (id = 2 AND pinned = false)", [1, 2]),
        ("id > 1 id < 4 body = red OR body = blue", [2]),
        ("NOT id = 1 AND -(id = 2 OR id = 3)", [4, 5]),
        ("body = red", [1]),
        ("body = 'red'", [1]),
        ("body = r*", [1]),
        ('body = "*e*"', [1, 2, 3]),
        ("body != *e*", [4, 5]),
        ("body : RED", [1, 3]),
        ("body:*", [1, 2, 3, 4]),
        (r'body = "100%_\\\*\"\'"', [4]),
        (r"body = '100%_*'", [4]),
        ("body : '%'", [4]),
        ("body = '_ed'", []),
        ("body = _e*", []),
        ("body : _", [4]),
        (r"body : '\\'", [4]),
        ("author = ann", [2]),
        ("author != ann", [1, 3, 4, 5]),
        ("author != a*", [1, 3, 4, 5]),
        ("NOT author = ann", [1, 3, 4, 5]),
        ("author:*", [2, 3]),
        ("-author:*", [1, 4, 5]),
        ("state = BLUE", [2]),
        ("state != BLUE", [1, 3, 4, 5]),
        (f"tenant = {A.upper()}", [1, 2, 3, 4, 5]),
        ("pinned = true", [1, 4]),
        ("labels.tier = gold", [2]),
        ("labels.tier = gold*", [2, 3]),
        ("labels.tier != gold", [1, 3, 4, 5]),
        ("labels.tier != gold*", [1, 4, 5]),
        ("labels:tier", [2, 3, 4, 5]),
        ("labels.tier:*", [2, 3, 4, 5]),
        ("labels:*", [2, 3, 4, 5]),
        ("NOT labels:tier", [1]),
        ("labels.a.b/c = x", [2]),
        ('labels."a.b/c" = x', [2]),
        ("create_time < 2026-01-03T12:00:00Z", [1, 2]),
        ("create_time <= 2026-01-03T13:00:00+01:00", [1, 2, 3]),
        ('create_time > "2026-01-04"', [4, 5]),
    ],
)
async def test_a_filter_finds_what_it_says(rows: Database, filter: str, ids: list[int]) -> None:
    assert await found(rows, filter) == ids


@pytest.mark.parametrize(
    "filter, position",
    [
        ("nope = 1", 0),
        ("id = 1 AND nope = 1", 11),
        ("id", 2),
        ("id =", 4),
        ("id = x", 5),
        ("id = 9223372036854775808", 5),
        ("id = 1)", 6),
        ("(id = 1", 7),
        ("id = 1 AND", 10),
        ("id = 1 OR", 9),
        ("id : 1", 5),
        ("state > RED", 8),
        ("state = GREEN", 8),
        ("pinned = yes", 9),
        ("tenant = me", 9),
        ("body.x = 1", 0),
        ('body = "open', 7),
        ("labels = x", 0),
        ("labels.tier > x", 14),
        ("create_time = noon", 14),
        ("create_time > 0001-01-01T00:00:00+23:59", 14),
        ("body = 'a\0b'", 9),
        ("New York", 0),
    ],
)
def test_a_bad_filter_is_refused_where_it_is_bad(filter: str, position: int) -> None:
    with pytest.raises(InvalidArgument, match="FILTER_INVALID") as caught:
        where(filter, FIELDS)
    assert caught.value.metadata["position"] == str(position), caught.value.message
    assert "filter" in caught.value.violations


@pytest.mark.parametrize(
    "filter, why",
    [
        ("(" * 1000, "nested"),
        ("(" * 33 + "id=1" + ")" * 33, "nested"),
        ("id=1 " * 101, "terms"),
        ("id=1" + " " * 10_000, "longer"),
        ("NOT " * 1000, "none of"),
        ("-" * 1000 + "id=1", "none of"),
    ],
)
def test_a_filter_without_measure_is_refused(filter: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        where(filter, FIELDS)


def test_a_filter_as_large_as_allowed_is_taken() -> None:
    where("(" * 32 + "id=1" + ")" * 32 + " id=1" * 67, FIELDS)


_words = st.sampled_from([*FIELDS, *"()=<>!:-*\"'\\,.", "AND", "OR", "NOT", ">=", "!=", "labels.x", "RED", "true", "1"])
_soup = st.lists(_words | st.text(max_size=4), max_size=25).map(" ".join) | st.text(max_size=60)


@given(_soup)
@settings(max_examples=500, deadline=None)
def test_whatever_is_asked_is_compiled_or_refused(filter: str) -> None:
    try:
        condition = where(filter, FIELDS)
    except InvalidArgument:
        return
    condition.compile(dialect=postgresql.dialect())


# A filter as text, and what it means for a row.
Meaning = tuple[str, Callable[[dict[str, Any]], bool]]


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("*", "\\*")
    return f'"{escaped}"'


_texts = st.sampled_from([row["body"] for row in ROWS]) | st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=5
)
_leaves: st.SearchStrategy[Meaning] = st.one_of(
    st.integers(0, 6).map(lambda n: (f"id = {n}", lambda row: row["id"] == n)),
    st.integers(0, 6).map(lambda n: (f"id<{n}", lambda row: row["id"] < n)),
    _texts.map(lambda t: (f"body = {_quoted(t)}", lambda row: row["body"] == t)),
    _texts.map(lambda t: (f"body != {_quoted(t)}", lambda row: row["body"] != t)),
    _texts.map(lambda t: (f"labels.tier={_quoted(t)}", lambda row: row["labels"].get("tier") == t)),
    st.booleans().map(lambda b: (f"pinned = {str(b).lower()}", lambda row: row["pinned"] == b)),
)


def _wider(inner: st.SearchStrategy[Meaning]) -> st.SearchStrategy[Meaning]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        pairs.map(lambda p: (f"({p[0][0]} AND {p[1][0]})", lambda row: p[0][1](row) and p[1][1](row))),
        pairs.map(lambda p: (f"({p[0][0]} {p[1][0]})", lambda row: p[0][1](row) and p[1][1](row))),
        pairs.map(lambda p: (f"({p[0][0]} OR {p[1][0]})", lambda row: p[0][1](row) or p[1][1](row))),
        inner.map(lambda one: (f"(NOT {one[0]})", lambda row: not one[1](row))),
        inner.map(lambda one: (f"(-{one[0]})", lambda row: not one[1](row))),
    )


@given(st.recursive(_leaves, _wider, max_leaves=8))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
async def test_postgresql_and_plain_python_agree_on_every_filter(rows: Database, meaning: Meaning) -> None:
    filter, holds = meaning
    assert await found(rows, filter) == [row["id"] for row in ROWS if holds(row)]


async def test_an_order_is_total_and_goes_on_from_any_row(rows: Database) -> None:
    for order_by in ("", "id desc", "body", "body desc", "state,id desc", "create_time desc, body asc"):
        ordering = order(order_by, FIELDS, note.c.id)
        async with rows.transaction() as tx:
            all_rows = (await tx.execute(select(note).order_by(*ordering.by))).all()
            for index, row in enumerate(all_rows):
                after = select(note).where(ordering.after(ordering.cursor(row))).order_by(*ordering.by)
                assert (await tx.execute(after)).all() == all_rows[index + 1 :]


@pytest.mark.parametrize(
    "order_by", ["nope", "id up", "id,id", "labels", "id desc extra", ",", "id,", "id; DROP TABLE x"]
)
def test_a_bad_order_is_refused(order_by: str) -> None:
    with pytest.raises(InvalidArgument, match="ORDER_INVALID"):
        order(order_by, FIELDS, note.c.id)


@given(st.text(max_size=60))
def test_whatever_order_is_asked_is_made_or_refused(order_by: str) -> None:
    with contextlib.suppress(InvalidArgument):
        assert order(order_by, FIELDS, note.c.id).by


async def test_values_are_bound_and_never_part_of_the_statement(rows: Database) -> None:
    assert await found(rows, 'body = "x\'; DROP TABLE note; --"') == []
    async with rows.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM note"))).scalar_one() == len(ROWS)
