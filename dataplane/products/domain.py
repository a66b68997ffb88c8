"""What a product is, and which changes to one are allowed."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.runtime.errors import FailedPrecondition, InvalidArgument, check_etag
from shared.runtime.money import Money

HANDLE_LENGTH = 128


class Status(StrEnum):
    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"


@dataclass(frozen=True, slots=True)
class Option:
    """What the variants differ in, such as Size: S, M, L."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Media:
    media_id: str
    alt_text: str


@dataclass(frozen=True, slots=True)
class Variant:
    """options: (name, value), in the order of the product's options."""

    id: str
    sku: str
    title: str
    price: Money
    options: tuple[tuple[str, str], ...] = ()


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
    options: tuple[Option, ...] = ()
    media: tuple[Media, ...] = ()

    @property
    def etag(self) -> str:
        return str(self.version)


def create(product: Product, new_id: Callable[[], str]) -> Product:
    """InvalidArgument FIELD_INVALID: archived from the start, nothing to name it by, a SKU twice, variants that do not
    fit the options, or a file twice."""
    if product.status is Status.ARCHIVED:
        raise _invalid("status", "a new product is a draft or active")
    product = replace(_checked(product), handle=_handle(product))
    return replace(product, variants=_identified((), product.variants, new_id))


def change(before: Product, after: Product, *, etag: str, now: datetime, new_id: Callable[[], str]) -> Product:
    """`after` as the next version of `before`; `before` itself when nothing differs."""
    _guard(before, etag)
    if after.status is Status.ARCHIVED:
        raise _invalid("status", "archiving has an RPC of its own")
    after = _checked(after)
    after = replace(
        before,
        handle=_handle(after),
        title=after.title,
        description=after.description,
        status=after.status,
        variants=_identified(before.variants, after.variants, new_id),
        options=after.options,
        media=after.media,
    )
    return before if after == before else replace(after, update_time=now, version=before.version + 1)


def archive(product: Product, *, etag: str, now: datetime) -> Product:
    _guard(product, etag)
    return replace(product, status=Status.ARCHIVED, update_time=now, version=product.version + 1)


def touch(product: Product, *, now: datetime) -> Product:
    """The next version, for what is kept beside the product. FailedPrecondition PRODUCT_ARCHIVED."""
    _guard(product, "")
    return replace(product, update_time=now, version=product.version + 1)


def handle_of(title: str) -> str:
    """`Crème brûlée, set of 2` -> `creme-brulee-set-of-2`; empty when no letter of the title has an ASCII form."""
    ascii_only = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only)[:HANDLE_LENGTH].strip("-")


def _guard(product: Product, etag: str) -> None:
    check_etag("product", product.id, product.etag, etag)
    if product.status is Status.ARCHIVED:
        raise FailedPrecondition("PRODUCT_ARCHIVED", "an archived product stays as it is", id=product.id)


def _handle(product: Product) -> str:
    if handle := product.handle or handle_of(product.title):
        return handle
    raise _invalid("handle", "needed where the title has no letters or digits to make one of")


def _checked(product: Product) -> Product:
    """The product, its variants' values in the order of its options."""
    names = [option.name for option in product.options]
    _once("options", names)
    for position, option in enumerate(product.options):
        _once(f"options[{position}].values", option.values)
    _once("media", [media.media_id for media in product.media])
    variants = tuple(_ordered(product.options, n, variant) for n, variant in enumerate(product.variants))
    if names:
        _once("variants", [variant.options for variant in variants])
    return replace(product, variants=variants)


def _ordered(options: Sequence[Option], position: int, variant: Variant) -> Variant:
    """InvalidArgument FIELD_INVALID: not one value of each option."""
    field = f"variants[{position}].options"
    _once(field, [name for name, _ in variant.options])
    values = dict(variant.options)
    for option in options:
        if values.get(option.name) not in option.values:
            raise _invalid(field, f"{option.name!r} needs one of {', '.join(map(repr, option.values))}")
    if unknown := values.keys() - {option.name for option in options}:
        raise _invalid(field, f"the product has no option {min(unknown)!r}")
    return replace(variant, options=tuple((option.name, values[option.name]) for option in options))


def _once(field: str, values: Sequence[object]) -> None:
    if len(values) != len(set(values)):
        twice = next(value for n, value in enumerate(values) if value in values[:n])
        raise _invalid(field, f"{_said(twice)} twice")


def _said(value: object) -> str:
    return ", ".join(f"{name}: {each}" for name, each in value) if isinstance(value, tuple) else repr(value)


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
