"""The search for products: what may be asked for, and what finds it.

@@ is not leakproof, and neither are most of the other conditions: below a row policy no index serves them. So they
stand in functions of the database, which take the tenant from the transaction.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.errors import InvalidArgument
from shared.runtime.money import LARGEST_MINOR
from shared.runtime.paging import Value


class Sort(StrEnum):
    RELEVANCE = "RELEVANCE"
    PRICE = "PRICE"
    PRICE_DESC = "PRICE_DESC"
    NEWEST = "NEWEST"
    TITLE = "TITLE"
    COLLECTION = "COLLECTION"


@dataclass(frozen=True, slots=True)
class Search:
    """words, currency: empty for none. options: (name, values), of which a variant has one each."""

    words: str = ""
    category_id: str | None = None
    collection_id: str | None = None
    currency: str = ""
    lowest_minor: int | None = None
    highest_minor: int | None = None
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()
    in_stock: bool = False
    sort: Sort = Sort.RELEVANCE

    @property
    def is_words_alone(self) -> bool:
        """The index of words finds it, and nothing else is asked for."""
        return bool(self.words) and self == Search(words=self.words, currency=self.currency)


def checked(search: Search) -> Search:
    """InvalidArgument FIELD_INVALID: an order that has nothing to go by, or an option twice."""
    if search.sort is Sort.COLLECTION and search.collection_id is None:
        raise _invalid("sort", "COLLECTION needs `collection_id`")
    if search.sort is Sort.RELEVANCE and not search.words:
        raise _invalid("sort", "RELEVANCE needs words in `query`")
    if search.sort in (Sort.PRICE, Sort.PRICE_DESC) and not search.currency:
        raise _invalid("currency_code", "needed to sort by price")
    names = [name for name, _ in search.options]
    if len(names) != len(set(names)):
        raise _invalid("options", "a name twice")
    return search


async def find(
    tx: AsyncConnection, search: Search, cursor: Sequence[Value] | None, size: int
) -> tuple[list[str], list[Value] | None]:
    """The ids of a page of what matches, and the cursor of the next one if there is more."""
    number, name, id = cursor if cursor is not None else (None, None, None)
    after = {"after_number": number, "after_name": name, "after_id": id}
    about = {**_asked(search), "sort": search.sort.value, **after, "at_most": size + 1}
    found = (await tx.execute(_BROWSE, about)).all()
    last = found[size - 1] if len(found) > size else None
    return [row.id for row in found[:size]], None if last is None else [last.number, last.name, last.id]


async def count(tx: AsyncConnection, search: Search) -> Sequence[Row[Any]]:
    """Rows of kind ALL, CATEGORY, OPTION and BAND with their products; a band begins at its number."""
    return (await tx.execute(_COUNT, _asked(search))).all()


_ASKED = (
    "CAST(:words AS text), CAST(:category_id AS uuid), CAST(:collection_id AS uuid), CAST(:currency AS text), "
    "CAST(:lowest AS bigint), CAST(:highest AS bigint), CAST(:options AS jsonb), CAST(:in_stock AS boolean)"
)
_BROWSE = text(
    f"SELECT id::text AS id, number, name FROM browse_products({_ASKED}, CAST(:sort AS text), "
    "CAST(:after_number AS bigint), CAST(:after_name AS text), CAST(:after_id AS uuid), CAST(:at_most AS int))"
)
_COUNT = text(f"SELECT kind, id::text AS id, name, value, number, products FROM count_products({_ASKED})")


def _asked(search: Search) -> Mapping[str, Any]:
    return {
        "words": search.words,
        "category_id": search.category_id,
        "collection_id": search.collection_id,
        "currency": search.currency,
        "lowest": search.lowest_minor,
        "highest": search.highest_minor,
        "options": json.dumps(search.options),
        "in_stock": search.in_stock,
    }


def band_end(start_minor: int) -> int:
    """Of 0, 1, 2, 5, 10, 20, 50 and so on, the one that follows."""
    if start_minor == 0:
        return 1
    first = int(str(start_minor)[0])
    return min(start_minor // first * {1: 2, 2: 5, 5: 10}[first], LARGEST_MINOR)


def _invalid(field: str, why: str) -> InvalidArgument:
    return InvalidArgument("FIELD_INVALID", f"{field}: {why}", fields={field: why})
