"""Where a message breaks a rule of the contract, or holds what the database cannot."""

import itertools
from collections.abc import Iterator
from typing import Any

import protovalidate
from google.protobuf.message import Message

from center.buf.validate import validate_pb2

# What is larger than this is told the first thing that is wrong with it. Two bytes can break three rules, and each of
# those takes 4 KB while it is collected: all of 2 MB would take all memory that there is.
TOLD_WHOLE_BYTES = 4 << 10
# Texts with U+0000 that one refusal names.
MOST_TEXTS_TOLD = 100

_FIELD_RULES: Any = validate_pb2.field


def violations(message: Message, data: bytes) -> dict[str, str]:
    """Path -> what is wrong there: a rule beside the field is broken, or a text holds U+0000, which PostgreSQL cannot.

    data: the message on the wire.
    """
    told_whole = len(data) <= TOLD_WHOLE_BYTES
    broken = protovalidate.collect_violations(message, fail_fast=not told_whole)
    found = {_path(violation): violation.proto.message for violation in broken}
    # The test of the bytes is nearly free; a zero in them is a length or a number far more often than a text's. What is
    # wrong anyway is looked at no further, if it is large: it may hold millions of texts.
    if b"\0" in data and (told_whole or not found):
        some = itertools.islice(_texts_with_zero(message), MOST_TEXTS_TOLD)
        found |= dict.fromkeys(some, "holds a NUL character")
    return found


def _path(violation: Any) -> str:
    """Where a violation is, as `tenant.labels["a"]` or `tenants[3].code`."""
    path = ""
    for element in violation.proto.field.elements:
        name = element.field_name
        path += f".{name}" if path else name
        subscript = element.subscript
        if subscript is not None:
            key = subscript.value
            path += f"[{key!r}]" if isinstance(key, str) else f"[{key}]"
    return path


def _texts_with_zero(message: Message, path: str = "") -> Iterator[str]:
    """Their paths; rows that are checked one by one are left."""
    for field, value in message.ListFields():
        here = f"{path}{field.name}"
        if field.GetOptions().Extensions[_FIELD_RULES].repeated.items.ignore == validate_pb2.IGNORE_ALWAYS:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            of_texts = field.message_type.fields_by_name["value"].type == field.TYPE_STRING
            yield from (f"{here}[{key!r}]" for key, text in value.items() if "\0" in f"{key}{text if of_texts else ''}")
            continue
        several = field.is_repeated
        for index, one in enumerate(value if several else (value,)):
            at = f"{here}[{index}]" if several else here
            if field.message_type is not None:
                yield from _texts_with_zero(one, f"{at}.")
            elif field.type == field.TYPE_STRING and "\0" in one:
                yield at
