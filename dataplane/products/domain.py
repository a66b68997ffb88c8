"""What a product is, and which changes to one are allowed."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.runtime.errors import FailedPrecondition, InvalidArgument, stale
from shared.runtime.money import Money

HANDLE_LENGTH = 128


class Status(StrEnum):
    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"


@dataclass(frozen=True, slots=True)
class Variant:
    id: str
    sku: str
    title: str
    price: Money


@dataclass(frozen=True, slots=True)
class Product:
    """version: counts the changes; the etag is made of it."""

    id: str
    handle: str
    title: str
    description: str
    status: Status
    variants: tuple[Variant, ...]
    create_time: datetime
    update_time: datetime
    version: int = 1

    @property
    def etag(self) -> str:
        return str(self.version)


def create(product: Product, new_id: Callable[[], str]) -> Product:
    """InvalidArgument FIELD_INVALID: archived from the start, nothing to name it by, or a SKU twice."""
    if product.status is Status.ARCHIVED:
        raise _invalid("status", "a new product is a draft or active")
    return replace(product, handle=_handle(product), variants=_identified((), product.variants, new_id))


def change(before: Product, after: Product, *, etag: str, now: datetime, new_id: Callable[[], str]) -> Product:
    """`after` as the next version of `before`; `before` itself when nothing differs."""
    _guard(before, etag)
    if after.status is Status.ARCHIVED:
        raise _invalid("status", "archiving has an RPC of its own")
    after = replace(
        before,
        handle=_handle(after),
        title=after.title,
        description=after.description,
        status=after.status,
        variants=_identified(before.variants, after.variants, new_id),
    )
    return before if after == before else replace(after, update_time=now, version=before.version + 1)


def archive(product: Product, *, etag: str, now: datetime) -> Product:
    _guard(product, etag)
    return replace(product, status=Status.ARCHIVED, update_time=now, version=product.version + 1)


def handle_of(title: str) -> str:
    """`Crème brûlée, set of 2` -> `creme-brulee-set-of-2`; empty when no letter of the title has an ASCII form."""
    ascii_only = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only)[:HANDLE_LENGTH].strip("-")


def _guard(product: Product, etag: str) -> None:
    if etag not in ("", product.etag):
        raise stale("product", product.id, product.etag)
    if product.status is Status.ARCHIVED:
        raise FailedPrecondition("PRODUCT_ARCHIVED", "an archived product stays as it is", id=product.id)


def _handle(product: Product) -> str:
    if handle := product.handle or handle_of(product.title):
        return handle
    raise _invalid("handle", "needed where the title has no letters or digits to make one of")


def _identified(before: Sequence[Variant], after: Sequence[Variant], new_id: Callable[[], str]) -> tuple[Variant, ...]:
    """The variants with their ids: the one that is named, the one that the SKU has had, or a new one."""
    for field in ("sku", "id"):
        values = [value for variant in after if (value := getattr(variant, field))]
        if len(values) != len(set(values)):
            raise _invalid("variants", f"two variants with one {field}")
    known = {variant.id for variant in before}
    if strangers := [variant.id for variant in after if variant.id and variant.id not in known]:
        raise _invalid("variants", f"no variant {strangers[0]} in this product")
    named = {variant.id for variant in after}
    by_sku = {variant.sku: variant.id for variant in before if variant.id not in named}
    return tuple(
        variant if variant.id else replace(variant, id=by_sku.get(variant.sku) or new_id()) for variant in after
    )


def _invalid(field: str, why: str) -> InvalidArgument:
    return InvalidArgument("FIELD_INVALID", f"{field}: {why}", fields={field: why})
