"""Field masks of updates (AIP-134, AIP-161): which parts of a message the caller may replace, and the replacing."""

from collections.abc import Collection

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from shared.runtime.errors import InvalidArgument
from shared.runtime.ids import is_uuid


def which(kind: str, id: str) -> None:
    """InvalidArgument FIELD_INVALID: an update does not say what it is of."""
    if not is_uuid(id):
        field = f"{kind}.id"
        raise InvalidArgument("FIELD_INVALID", f"{field} says which {kind}; it is a UUID", fields={field: "not a UUID"})


def merge(target: Message, source: Message, mask: FieldMask, allowed: Collection[str]) -> list[str]:
    """Writes into `target` what the mask names of `source`, and returns the paths that were written.

    A named field that `source` leaves out is cleared. An empty mask means the fields that `source` has; `*` alone
    means all that is allowed. Lists and maps are replaced whole.
    allowed: paths that may change, such as "labels" or "placement.residency"; what is below an allowed path may, too.
    InvalidArgument MASK_INVALID: a path that is unknown or not allowed.
    """
    if list(mask.paths) == ["*"]:
        paths = sorted(allowed)
    elif not mask.paths:
        paths = [path for path in sorted(allowed) if _has(source, path.split("."))]
    else:
        paths = list(dict.fromkeys(mask.paths))
    routes = [_route(target, path, allowed) for path in paths]
    for route in routes:
        _copy(target, source, route)
    return paths


def _route(target: Message, path: str, allowed: Collection[str]) -> list[str]:
    names = path.split(".")
    if not any(".".join(names[:depth]) in allowed for depth in range(1, len(names) + 1)):
        raise _refusal(path, f"cannot be changed; what can: {', '.join(sorted(allowed))}")
    kind = target.DESCRIPTOR
    for depth, name in enumerate(names):
        if (field := kind.fields_by_name.get(name)) is None:
            raise _refusal(path, f"names no field: {kind.name} has no {name!r}")
        below = field.message_type
        if depth < len(names) - 1 and (field.is_repeated or below is None):
            raise _refusal(path, f"goes below {name}, which is replaced whole")
        kind = below or kind
    return names


def _refusal(path: str, why: str) -> InvalidArgument:
    message = f"update_mask path {path!r} {why}"
    return InvalidArgument("MASK_INVALID", message, fields={"update_mask": message})


def _has(message: Message, names: list[str]) -> bool:
    for name in names[:-1]:
        if not message.HasField(name):
            return False
        message = getattr(message, name)
    return any(field.name == names[-1] for field, _ in message.ListFields())


def _copy(target: Message, source: Message, names: list[str]) -> None:
    for depth, name in enumerate(names[:-1]):
        if not source.HasField(name):
            _clear(target, names[depth:])
            return
        target, source = getattr(target, name), getattr(source, name)
    field = source.DESCRIPTOR.fields_by_name[names[-1]]
    # Not "is it zero": an optional field that holds its default is present all the same.
    if not _has(source, [field.name]):
        target.ClearField(field.name)
        return
    value = getattr(source, field.name)
    if field.is_repeated:
        target.ClearField(field.name)
        getattr(target, field.name).MergeFrom(value)
    elif field.message_type is not None:
        getattr(target, field.name).CopyFrom(value)
    else:
        setattr(target, field.name, value)


def _clear(target: Message, names: list[str]) -> None:
    """Clears the last of `names` and makes none of the messages on the way to it."""
    for name in names[:-1]:
        if not target.HasField(name):
            return
        target = getattr(target, name)
    target.ClearField(names[-1])
