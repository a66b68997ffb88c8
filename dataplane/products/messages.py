"""Products on the wire and in the domain."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from google.type import money_pb2

from center.dataplane.v1 import product_service_pb2 as pb
from dataplane.products.domain import Media, Option, Product, Status, Variant
from dataplane.products.search import Search, Sort, band_end, checked
from shared.runtime import money
from shared.runtime.errors import InvalidArgument
from shared.runtime.journal import Change, Event
from shared.runtime.money import Money

_TO_PROTO = {
    Status.DRAFT: pb.PRODUCT_STATUS_DRAFT,
    Status.ACTIVE: pb.PRODUCT_STATUS_ACTIVE,
    Status.ARCHIVED: pb.PRODUCT_STATUS_ARCHIVED,
}
_FROM_PROTO = {number: status for status, number in _TO_PROTO.items()}


def to_proto(product: Product) -> pb.Product:
    message = pb.Product(
        id=product.id,
        handle=product.handle,
        title=product.title,
        description=product.description,
        status=_TO_PROTO[product.status],
        variants=map(_variant, product.variants),
        etag=product.etag,
        options=[pb.ProductOption(name=option.name, values=option.values) for option in product.options],
        media=[pb.ProductMedia(media_id=each.media_id, alt_text=each.alt_text) for each in product.media],
    )
    message.create_time.FromDatetime(product.create_time)
    message.update_time.FromDatetime(product.update_time)
    return message


def _variant(variant: Variant) -> pb.Variant:
    return pb.Variant(
        id=variant.id,
        sku=variant.sku,
        title=variant.title,
        price=money.to_proto(variant.price),
        options=[pb.VariantOption(name=name, value=value) for name, value in variant.options],
    )


def from_proto(message: pb.Product, *, id: str, now: datetime, status: Status = Status.ACTIVE) -> Product:
    """What the message says of a product; `status` is what an unspecified one means.

    InvalidArgument MONEY_INVALID.
    """
    return Product(
        id=id,
        handle=message.handle,
        title=message.title,
        description=message.description,
        status=_FROM_PROTO.get(message.status, status),
        variants=tuple(
            Variant(
                v.id.lower(),
                v.sku,
                v.title,
                money.from_proto(v.price, f"variants[{position}].price"),
                tuple((option.name, option.value) for option in v.options),
            )
            for position, v in enumerate(message.variants)
        ),
        create_time=now,
        update_time=now,
        options=tuple(Option(option.name, tuple(option.values)) for option in message.options),
        media=tuple(Media(each.media_id.lower(), each.alt_text) for each in message.media),
    )


def search_of(request: pb.SearchProductsRequest) -> Search:
    """InvalidArgument FIELD_INVALID, MONEY_INVALID."""
    prices = {name: getattr(request, name) for name in ("min_price", "max_price") if request.HasField(name)}
    limits = {name: money.from_proto(price, name) for name, price in prices.items()}
    if request.currency_code and request.currency_code not in money.CURRENCIES:
        raise _invalid("currency_code", "no currency that shops sell in")
    for name, limit in limits.items():
        if limit.currency != request.currency_code:
            raise _invalid(name, "not in `currency_code`")
    lowest, highest = limits.get("min_price"), limits.get("max_price")
    sort = pb.ProductSort.Name(request.sort).removeprefix("PRODUCT_SORT_")
    if request.sort == pb.PRODUCT_SORT_UNSPECIFIED:
        sort = Sort.RELEVANCE if request.query else Sort.COLLECTION if request.collection_id else Sort.NEWEST
    return checked(
        Search(
            words=request.query,
            category_id=request.category_id or None,
            collection_id=request.collection_id or None,
            currency=request.currency_code,
            lowest_minor=None if lowest is None else lowest.amount_minor,
            highest_minor=None if highest is None else highest.amount_minor,
            options=tuple((option.name, tuple(option.values)) for option in request.options),
            in_stock=request.in_stock,
            sort=Sort(sort),
        )
    )


def _invalid(field: str, why: str) -> InvalidArgument:
    return InvalidArgument("FIELD_INVALID", f"{field}: {why}", fields={field: why})


def facets_to_proto(counted: Iterable[Any], currency: str) -> pb.Facets:
    """counted: as dataplane.products.search.count() gives it."""

    def price(minor: int) -> money_pb2.Money:
        return money.to_proto(Money(currency, minor))

    facets = pb.Facets()
    for row in counted:
        match row.kind:
            case "ALL":
                facets.products = row.products
            case "CATEGORY":
                facets.categories.add(category_id=row.id, title=row.name, handle=row.value, products=row.products)
            case "OPTION":
                facets.options.add(name=row.name, value=row.value, products=row.products)
            case _:
                start, below = price(row.number), price(band_end(row.number))
                facets.price_bands.add(start=start, below=below, products=row.products)
    return facets


def event(type: str, product: Product) -> Event:
    """What other planes are told of the change that made this version."""
    return Event(type, product.id, product.version, to_proto(product))


def change(before: Product | None, after: Product) -> Change:
    """What the audit keeps of it."""
    return Change("product", after.id, {} if before is None else _facts(before), _facts(after))


def _facts(product: Product) -> dict[str, str]:
    variants = {
        f"variants[{v.sku}]": " ".join(
            filter(None, (v.title, *(value for _, value in v.options), v.price.currency, str(v.price.amount_minor)))
        )
        for v in product.variants
    }
    options = {f"options[{option.name}]": ", ".join(option.values) for option in product.options}
    media = {f"media[{n}]": f"{each.media_id} {each.alt_text}".strip() for n, each in enumerate(product.media)}
    return {
        "handle": product.handle,
        "title": product.title,
        "description": product.description,
        "status": product.status.value,
        **options,
        **variants,
        **media,
    }
