"""Where a rule of the contract is broken."""

from typing import Any


def path_of(violation: Any) -> str:
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
