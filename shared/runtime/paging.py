"""Pages (AIP-158): signed tokens that hold a place in an ordering, and the WHERE that goes on from there."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.protobuf.message import Message
from sqlalchemy import ColumnElement, Row, Select, and_, false, literal, or_, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import true

from shared.runtime.context import current
from shared.runtime.errors import InvalidArgument

# What an ordering sorts by, and so what a token holds.
Value = str | int | datetime

_MAC_BYTES = 16


def page_size(requested: int, default: int = 50, maximum: int = 1000) -> int:
    """How many to answer with: 0 asks for the default, more than the maximum gets the maximum."""
    if requested < 0:
        fields = {"page_size": "negative"}
        raise InvalidArgument("PAGE_SIZE_INVALID", "page_size is 0 or more", fields=fields)
    return min(requested or default, maximum)


class PageTokens:
    """Tokens that only this platform can make, each good for one request: same tenant, same filter, same order.

    key: shared by all processes that serve the method (shared.runtime.keys), so that a page may come from another.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, cursor: Sequence[Value], bound_to: Message | str) -> str:
        """The token of the page that starts behind `cursor`, the sorted-by values of the last row of this one."""
        payload = json.dumps([_plain(value) for value in cursor], ensure_ascii=False, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(payload, bound_to) + payload).decode().rstrip("=")

    def read(self, token: str, bound_to: Message | str) -> list[Value] | None:
        """The cursor in the token; None for the first page, which has no token.

        InvalidArgument PAGE_TOKEN_INVALID: altered, another request's, or another tenant's.
        """
        if not token:
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _refusal() from None
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload, bound_to)):
            raise _refusal()
        return [_value(plain) for plain in json.loads(payload)]

    def _mac(self, payload: bytes, bound_to: Message | str) -> bytes:
        parts = (current().tenant_id.encode(), _fingerprint(bound_to), payload)
        # Lengths first: no two sets of parts read the same.
        text = b"page" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.new(self._key, text, hashlib.sha256).digest()[:_MAC_BYTES]


@dataclass(frozen=True, slots=True)
class Term:
    """One column of an ordering; it holds no NULLs, for no row comes after a NULL."""

    column: ColumnElement[Any]
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Ordering:
    """A total order of rows: the last term is unique."""

    terms: tuple[Term, ...]

    @property
    def by(self) -> list[ColumnElement[Any]]:
        """For select().order_by(*ordering.by)."""
        return [term.column.desc() if term.descending else term.column.asc() for term in self.terms]

    def after(self, cursor: Sequence[Value] | None) -> ColumnElement[bool]:
        """For select().where(...): the rows behind the cursor; all of them for None."""
        return keyset(self.terms, cursor)

    def cursor(self, row: Any) -> list[Value]:
        """The sorted-by values of a selected row that holds the ordering's columns by their names."""
        return [getattr(row, str(term.column.key)) for term in self.terms]


async def page(
    tx: AsyncConnection, found: Select[Any], ordering: Ordering, cursor: Sequence[Value] | None, size: int
) -> tuple[Sequence[Row[Any]], list[Value] | None]:
    """`size` rows of `found` behind the cursor, in their order, and the cursor of the next page if there is more."""
    rows = (await tx.execute(found.where(ordering.after(cursor)).order_by(*ordering.by).limit(size + 1))).all()
    return rows[:size], ordering.cursor(rows[size - 1]) if len(rows) > size else None


def keyset(terms: Sequence[Term], cursor: Sequence[Value] | None) -> ColumnElement[bool]:
    """The rows behind `cursor` in the order of `terms`."""
    if cursor is None:
        return true()
    if len(cursor) != len(terms):
        raise _refusal()
    values = [literal(value, term.column.type) for term, value in zip(terms, cursor, strict=True)]
    columns = [term.column for term in terms]
    if len({term.descending for term in terms}) == 1:
        # A row comparison is one range of one index.
        here, there = tuple_(*columns), tuple_(*values)
        return here < there if terms[0].descending else here > there
    behind: ColumnElement[bool] = false()
    for term, value in reversed(list(zip(terms, values, strict=True))):
        further = term.column < value if term.descending else term.column > value
        behind = or_(further, and_(term.column == value, behind))
    return behind


def _refusal() -> InvalidArgument:
    why = "not a token of this request; start again without one"
    return InvalidArgument("PAGE_TOKEN_INVALID", f"page_token: {why}", fields={"page_token": why})


def _fingerprint(bound_to: Message | str) -> bytes:
    if isinstance(bound_to, str):
        return bound_to.encode()
    request = type(bound_to)()
    request.CopyFrom(bound_to)
    for name in ("page_size", "page_token"):
        if name in request.DESCRIPTOR.fields_by_name:
            request.ClearField(name)
    return request.DESCRIPTOR.full_name.encode() + b"\0" + request.SerializeToString(deterministic=True)


def _plain(value: Value) -> object:
    return {"t": value.isoformat()} if isinstance(value, datetime) else value


def _value(plain: Any) -> Value:
    value: Value = datetime.fromisoformat(plain["t"]) if isinstance(plain, dict) else plain
    return value
