"""Products on the wire and in the domain."""

from datetime import datetime

from center.dataplane.v1 import product_service_pb2 as pb
from dataplane.products.domain import Product, Status, Variant
from shared.runtime import money
from shared.runtime.journal import Change, Event

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
        variants=[
            pb.Variant(id=v.id, sku=v.sku, title=v.title, price=money.to_proto(v.price)) for v in product.variants
        ],
        etag=product.etag,
    )
    message.create_time.FromDatetime(product.create_time)
    message.update_time.FromDatetime(product.update_time)
    return message


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
            Variant(v.id.lower(), v.sku, v.title, money.from_proto(v.price, f"variants[{position}].price"))
            for position, v in enumerate(message.variants)
        ),
        create_time=now,
        update_time=now,
    )


def event(type: str, product: Product) -> Event:
    """What other planes are told of the change that made this version."""
    return Event(type, product.id, product.version, to_proto(product))


def change(before: Product | None, after: Product) -> Change:
    """What the audit keeps of it."""
    return Change("product", after.id, {} if before is None else _facts(before), _facts(after))


def _facts(product: Product) -> dict[str, str]:
    variants = {
        f"variants[{v.sku}]": f"{v.title} {v.price.currency} {v.price.amount_minor}".strip() for v in product.variants
    }
    return {
        "handle": product.handle,
        "title": product.title,
        "description": product.description,
        "status": product.status.value,
        **variants,
    }
