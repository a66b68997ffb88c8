"""What categories and collections are, and which changes to them are allowed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from dataplane.products.domain import handle_of
from shared.runtime.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted, check_etag

MOST_CATEGORIES = 1000
DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Category:
    """parent_id: None at the top."""

    id: str
    handle: str
    title: str
    parent_id: str | None
    position: int
    create_time: datetime
    update_time: datetime
    version: int = 1

    @property
    def etag(self) -> str:
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Collection:
    id: str
    handle: str
    title: str
    description: str
    create_time: datetime
    update_time: datetime
    version: int = 1

    @property
    def etag(self) -> str:
        return str(self.version)


# All categories of a shop, by id.
Tree = Mapping[str, Category]


def add_category(tree: Tree, new: Category) -> Category:
    if len(tree) >= MOST_CATEGORIES:
        message = f"a shop has at most {MOST_CATEGORIES} categories"
        raise ResourceExhausted("CATEGORY_LIMIT_REACHED", message, limit=str(MOST_CATEGORIES))
    new = replace(new, handle=_handle(new))
    _refuse_misplaced(tree, new)
    return new


def change_category(tree: Tree, after: Category, *, etag: str, now: datetime) -> Category:
    """`after` as the next version of what the tree has; that itself when nothing differs."""
    before = find(tree, after.id)
    _guard("category", before, etag)
    after = replace(
        before, handle=_handle(after), title=after.title, parent_id=after.parent_id, position=after.position
    )
    if after == before:
        return before
    _refuse_misplaced(tree, after)
    return replace(after, update_time=now, version=before.version + 1)


def delete_category(tree: Tree, category_id: str, *, etag: str) -> Category:
    """The last that others are told of it."""
    gone = find(tree, category_id)
    _guard("category", gone, etag)
    if any(each.parent_id == gone.id for each in tree.values()):
        raise FailedPrecondition("CATEGORY_NOT_EMPTY", "there are categories below it", id=gone.id)
    return replace(gone, version=gone.version + 1)


def find(tree: Tree, category_id: str) -> Category:
    if (found := tree.get(category_id)) is None:
        raise NotFound("CATEGORY_NOT_FOUND", f"no category {category_id} in this shop", id=category_id)
    return found


def add_collection(new: Collection) -> Collection:
    return replace(new, handle=_handle(new))


def change_collection(before: Collection, after: Collection, *, etag: str, now: datetime) -> Collection:
    """`after` as the next version of `before`; `before` itself when nothing differs."""
    _guard("collection", before, etag)
    after = replace(before, handle=_handle(after), title=after.title, description=after.description)
    return before if after == before else replace(after, update_time=now, version=before.version + 1)


def touch_collection(before: Collection, *, etag: str, now: datetime) -> Collection:
    """What it holds is another version of it."""
    _guard("collection", before, etag)
    return replace(before, update_time=now, version=before.version + 1)


def _refuse_misplaced(tree: Tree, placed: Category) -> None:
    """FailedPrecondition CATEGORY_IN_ITSELF or CATEGORY_TOO_DEEP, NotFound CATEGORY_NOT_FOUND."""
    above = 0
    parent_id = placed.parent_id
    while parent_id is not None:
        if parent_id == placed.id:
            raise FailedPrecondition("CATEGORY_IN_ITSELF", "a category is not below itself", id=placed.id)
        above, parent_id = above + 1, find(tree, parent_id).parent_id
    if above + 1 + _height(tree, placed.id) > DEEPEST:
        raise FailedPrecondition("CATEGORY_TOO_DEEP", f"categories are at most {DEEPEST} deep", id=placed.id)


def _height(tree: Tree, category_id: str) -> int:
    """How many levels there are below."""
    return max((1 + _height(tree, each.id) for each in tree.values() if each.parent_id == category_id), default=0)


def _guard(kind: str, before: Category | Collection, etag: str) -> None:
    check_etag(kind, before.id, before.etag, etag)


def _handle(named: Category | Collection) -> str:
    if handle := named.handle or handle_of(named.title):
        return handle
    why = "needed where the title has no letters or digits to make one of"
    raise InvalidArgument("FIELD_INVALID", f"handle: {why}", fields={"handle": why})
