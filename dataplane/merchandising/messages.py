"""Categories and collections on the wire, in events and in the audit."""

from collections.abc import Sequence
from datetime import datetime

from center.dataplane.v1 import merchandising_service_pb2 as pb
from dataplane.merchandising.domain import Category, Collection
from shared.runtime.journal import Change, Event


def category_to_proto(category: Category) -> pb.Category:
    message = pb.Category(
        id=category.id,
        handle=category.handle,
        title=category.title,
        parent_id=category.parent_id or "",
        position=category.position,
        etag=category.etag,
    )
    message.create_time.FromDatetime(category.create_time)
    message.update_time.FromDatetime(category.update_time)
    return message


def category_from_proto(message: pb.Category, *, id: str, now: datetime) -> Category:
    parent_id = message.parent_id.lower() or None
    return Category(id, message.handle, message.title, parent_id, message.position, now, now)


def collection_to_proto(collection: Collection) -> pb.Collection:
    message = pb.Collection(
        id=collection.id,
        handle=collection.handle,
        title=collection.title,
        description=collection.description,
        etag=collection.etag,
    )
    message.create_time.FromDatetime(collection.create_time)
    message.update_time.FromDatetime(collection.update_time)
    return message


def collection_from_proto(message: pb.Collection, *, id: str, now: datetime) -> Collection:
    return Collection(id, message.handle, message.title, message.description, now, now)


def category_event(happened: str, category: Category) -> Event:
    """happened: created, updated or deleted."""
    return Event(f"category.{happened}.v1", category.id, category.version, category_to_proto(category))


def collection_event(happened: str, collection: Collection) -> Event:
    return Event(f"collection.{happened}.v1", collection.id, collection.version, collection_to_proto(collection))


def category_change(before: Category | None, after: Category | None) -> Change:
    return Change("category", _id(before, after), _of_category(before), _of_category(after))


def collection_change(before: Collection | None, after: Collection | None) -> Change:
    return Change("collection", _id(before, after), _of_collection(before), _of_collection(after))


def held_change(collection_id: str, before: Sequence[str], after: Sequence[str]) -> Change:
    """What a collection holds."""
    return Change("collection", collection_id, {"products": ", ".join(before)}, {"products": ", ".join(after)})


def placed_change(product_id: str, before: Sequence[str], after: Sequence[str]) -> Change:
    """What a product is in."""
    return Change("product", product_id, {"categories": ", ".join(before)}, {"categories": ", ".join(after)})


def _id(*versions: Category | Collection | None) -> str:
    return next(each.id for each in versions if each is not None)


def _of_category(category: Category | None) -> dict[str, str]:
    if category is None:
        return {}
    return {
        "handle": category.handle,
        "title": category.title,
        "parent_id": category.parent_id or "",
        "position": str(category.position),
    }


def _of_collection(collection: Collection | None) -> dict[str, str]:
    if collection is None:
        return {}
    return {"handle": collection.handle, "title": collection.title, "description": collection.description}
