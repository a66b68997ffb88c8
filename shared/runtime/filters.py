"""Filters (AIP-160) and orders (AIP-132) on documented fields, compiled to SQLAlchemy with bound parameters.

    state = ACTIVE AND (code = "shop-*" OR labels.tier = gold) AND NOT create_time < 2026-01-01T00:00:00Z

As AIP-160 has it, OR binds tighter than AND, and terms side by side are joined by AND. `=` takes `*` as a wildcard,
`:` asks whether a text contains the value (any case), a map has the key (labels:tier) or anything is there (code:*).
"""

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, ColumnElement, and_, func, literal, not_, or_
from sqlalchemy.sql import false, true

from shared.runtime.errors import InvalidArgument
from shared.runtime.paging import Ordering, Term

MAX_CHARACTERS = 4096
MAX_TERMS = 100
MAX_DEPTH = 32

Kind = Literal["text", "uuid", "enum", "bool", "int", "timestamp", "labels"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field that may be filtered or ordered by.

    column: its SQL; `labels` needs JSONB, an object of texts.
    values: of an enum, the names that callers use -> what the column holds.
    """

    column: ColumnElement[Any]
    kind: Kind = "text"
    values: Mapping[str, object] = field(default_factory=dict)


def where(filter: str, fields: Mapping[str, Field], field_name: str = "filter") -> ColumnElement[bool]:
    """The condition that `filter` states; an empty one holds for every row.

    InvalidArgument FILTER_INVALID: what is wrong and at which character (metadata `position`, from 0).
    """
    if len(filter) > MAX_CHARACTERS:
        raise _refusal("FILTER_INVALID", field_name, f"longer than {MAX_CHARACTERS} characters", MAX_CHARACTERS)
    return _Parser(filter, fields, field_name).parse()


def order(
    order_by: str, fields: Mapping[str, Field], tie_breaker: ColumnElement[Any], field_name: str = "order_by"
) -> Ordering:
    """The order that `order_by` states, such as "create_time desc, code", made total by a unique column.

    InvalidArgument ORDER_INVALID.
    """
    terms: list[Term] = []
    seen: set[str] = set()
    for part in order_by.split(",") if order_by.strip() else ():
        name, _, direction = part.strip().partition(" ")
        if name not in fields or fields[name].kind in ("labels", "bool"):
            known = ", ".join(key for key, known in fields.items() if known.kind not in ("labels", "bool"))
            raise _refusal("ORDER_INVALID", field_name, f"{name!r} is none of {known}")
        if direction.strip() not in ("", "asc", "desc") or name in seen:
            raise _refusal("ORDER_INVALID", field_name, f"{part.strip()!r} is not a field once, with asc or desc")
        seen.add(name)
        terms.append(Term(fields[name].column, direction.strip() == "desc"))
    if not any(term.column is tie_breaker for term in terms):
        # In the direction of the rest, so that one index gives the whole order.
        terms.append(Term(tie_breaker, bool(terms) and terms[-1].descending))
    return Ordering(tuple(terms))


@dataclass(frozen=True, slots=True)
class _Value:
    """A literal: `text` as written, `like` with its unescaped stars as LIKE's wildcards, or None without any."""

    text: str
    like: str | None
    position: int


_SPACE = re.compile(r"\s*")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_WORD = re.compile(r"[^\s()=<>!:,\"']+")
_COMPARATOR = re.compile(r"<=|>=|!=|=|<|>|:")

_COMPARE: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": lambda column, value: column == value,
    # A missing value is another one.
    "!=": lambda column, value: column.is_distinct_from(value),
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}


class _Parser:
    """Recursive descent over the grammar of AIP-160, a method a rule, with bounded depth."""

    def __init__(self, text: str, fields: Mapping[str, Field], field_name: str) -> None:
        self._text = text
        self._fields = fields
        self._field_name = field_name
        self._at = 0
        self._terms = 0
        self._depth = 0

    def parse(self) -> ColumnElement[bool]:
        if (zero := self._text.find("\0")) >= 0:
            raise self._wrong("a NUL character", zero)
        self._skip()
        if self._at == len(self._text):
            return true()
        condition = self._expression()
        if self._at < len(self._text):
            raise self._wrong(f"{self._text[self._at]!r} is not expected here")
        return condition

    def _expression(self) -> ColumnElement[bool]:
        # A sequence (terms side by side) and AND mean the same here.
        factors = [self._factor()]
        while self._at < len(self._text) and self._text[self._at] != ")":
            self._keyword("AND")
            factors.append(self._factor())
        return and_(*factors) if len(factors) > 1 else factors[0]

    def _factor(self) -> ColumnElement[bool]:
        terms = [self._term()]
        while self._keyword("OR"):
            terms.append(self._term())
        return or_(*terms) if len(terms) > 1 else terms[0]

    def _term(self) -> ColumnElement[bool]:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise self._wrong(f"more than {MAX_TERMS} terms")
        if self._keyword("NOT") or self._take("-"):
            # Without coalesce, NOT of an unknown (a comparison with NULL) would drop the row from both sides.
            return not_(func.coalesce(self._simple(), false()))
        return self._simple()

    def _simple(self) -> ColumnElement[bool]:
        if not self._take("("):
            return self._restriction()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong(f"nested deeper than {MAX_DEPTH}")
        condition = self._expression()
        if not self._take(")"):
            raise self._wrong("a ) is missing")
        self._depth -= 1
        return condition

    def _restriction(self) -> ColumnElement[bool]:
        start = self._at
        if (word := _WORD.match(self._text, self._at)) is None:
            raise self._wrong("a field is expected" if start < len(self._text) else "it ends where a field is expected")
        self._at = word.end()
        name, _, key = word.group().partition(".")
        if word.group().endswith(".") and self._text[self._at : self._at + 1] in ("'", '"'):
            key += self._value().text
        self._skip()
        known = self._fields.get(word.group()) or self._fields.get(name)
        if known is None or (key and known.kind != "labels" and word.group() not in self._fields):
            raise self._wrong(f"{word.group()!r} is none of {', '.join(self._fields)}", start)
        if (comparator := _COMPARATOR.match(self._text, self._at)) is None:
            raise self._wrong("one of = != < <= > >= : is expected")
        self._at = comparator.end()
        self._skip()
        operator, value = comparator.group(), self._value()
        self._skip()
        if known.kind == "labels":
            return self._label(known.column, key, operator, value, start)
        return self._comparison(known, word.group(), operator, value)

    def _comparison(self, known: Field, name: str, operator: str, value: _Value) -> ColumnElement[bool]:
        column = known.column
        if operator == ":" and value.like == "%":
            return and_(column.is_not(None), column != "") if known.kind == "text" else column.is_not(None)
        if known.kind == "text":
            if operator == ":":
                return column.ilike(f"%{value.like or _escaped(value.text)}%", escape="\\")
            if value.like is not None and operator in ("=", "!="):
                matches = column.like(value.like, escape="\\")
                return matches if operator == "=" else not_(func.coalesce(matches, false()))
            return _COMPARE[operator](column, value.text)
        if operator == ":" or (operator not in ("=", "!=") and known.kind in ("bool", "enum", "uuid")):
            raise self._wrong(f"{operator} is not for {name}", value.position)
        return _COMPARE[operator](column, self._typed(known, value))

    def _label(
        self, column: ColumnElement[Any], key: str, operator: str, value: _Value, start: int
    ) -> ColumnElement[bool]:
        if not key:
            if operator != ":":
                raise self._wrong("name a key, as in labels.tier = gold or labels:tier", start)
            return column.has_key(value.text) if value.like != "%" else column != {}
        has: ColumnElement[bool] = column.has_key(key)
        if operator == ":" and value.like == "%":
            return has
        if operator not in ("=", "!=", ":"):
            raise self._wrong(f"{operator} is not for labels", value.position)
        if value.like is not None:
            matches: ColumnElement[bool] = func.coalesce(column[key].astext.like(value.like, escape="\\"), false())
        else:
            matches = column.contains({key: value.text})
        return not_(matches) if operator == "!=" else matches

    def _typed(self, known: Field, value: _Value) -> object:
        text = value.text
        if known.kind == "enum":
            if text not in known.values:
                raise self._wrong(f"{text!r} is none of {', '.join(known.values)}", value.position)
            return known.values[text]
        if known.kind == "bool":
            if text not in ("true", "false"):
                raise self._wrong(f"{text!r} is neither true nor false", value.position)
            return text == "true"
        if known.kind == "int":
            if re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII) is None or not -(1 << 63) <= int(text) < 1 << 63:
                raise self._wrong(f"{text!r} is not a whole number of 64 bits", value.position)
            # Whatever the column's width: a number beyond it is no error, just nowhere.
            return literal(int(text), BigInteger())
        try:
            if known.kind == "uuid":
                return str(uuid.UUID(text))
            moment = datetime.fromisoformat(text)
            # PostgreSQL has no year 0 either, and astimezone() at the ends of the calendar overflows.
            return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
        except (ValueError, OverflowError):
            wanted = "a UUID" if known.kind == "uuid" else "a time as in 2026-01-31T12:00:00Z"
            raise self._wrong(f"{text!r} is not {wanted}", value.position) from None

    def _value(self) -> _Value:
        start = self._at
        quote = self._text[start : start + 1]
        if quote in ("'", '"') and quote:
            return self._quoted(quote)
        if (found := _MOMENT.match(self._text, start) or _WORD.match(self._text, start)) is None:
            raise self._wrong("a value is expected" if quote else "it ends where a value is expected")
        self._at = found.end()
        text = found.group()
        return _Value(text, _escaped(text).replace("*", "%") if "*" in text else None, start)

    def _quoted(self, quote: str) -> _Value:
        start, text, like, wild = self._at, list[str](), list[str](), False
        self._at += 1
        while self._at < len(self._text):
            character = self._text[self._at]
            self._at += 1
            if character == quote:
                return _Value("".join(text), "".join(like) if wild else None, start)
            if character == "\\" and self._at < len(self._text):
                character = self._text[self._at]
                self._at += 1
            elif character == "*":
                text.append(character)
                like.append("%")
                wild = True
                continue
            text.append(character)
            like.append(_escaped(character))
        raise self._wrong("the text is not closed", start)

    def _keyword(self, word: str) -> bool:
        """Takes AND, OR or NOT where it stands as a word of its own."""
        found = _WORD.match(self._text, self._at)
        if found is None or found.group() != word:
            return False
        self._at = found.end()
        self._skip()
        return True

    def _take(self, character: str) -> bool:
        if not self._text.startswith(character, self._at):
            return False
        self._at += 1
        self._skip()
        return True

    def _skip(self) -> None:
        if (space := _SPACE.match(self._text, self._at)) is not None:
            self._at = space.end()

    def _wrong(self, why: str, position: int | None = None) -> InvalidArgument:
        return _refusal("FILTER_INVALID", self._field_name, why, self._at if position is None else position)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _refusal(reason: str, field_name: str, why: str, position: int | None = None) -> InvalidArgument:
    if position is None:
        return InvalidArgument(reason, f"{field_name}: {why}", fields={field_name: why})
    why = f"at {position}: {why}"
    return InvalidArgument(reason, f"{field_name}, {why}", fields={field_name: why}, position=str(position))
