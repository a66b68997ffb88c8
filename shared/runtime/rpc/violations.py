"""Where a rule of the contract is broken."""

from typing import Any

import protovalidate
from google.protobuf.message import Message

# What is larger than this is told the first thing that is wrong with it. Two bytes can break three rules, and each of
# those takes 4 KB while it is collected: all of 2 MB would take all memory that there is.
TOLD_WHOLE_BYTES = 4 << 10


def violations(message: Message, size: int) -> dict[str, str]:
    """Path -> what is wrong there, by the rules beside the fields. size: of the message on the wire, in bytes."""
    found = protovalidate.collect_violations(message, fail_fast=size > TOLD_WHOLE_BYTES)
    return {_path(violation): violation.proto.message for violation in found}


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
