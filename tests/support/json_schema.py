"""As much of JSON Schema 2020-12 as our descriptions are written in; any other word is an error, not a pass."""

import re
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
# They say something to people or to a parser of the value, and refuse nothing.
ANNOTATIONS = {"description", "title", "format", "deprecated", "contentEncoding"}


def accepts(schema: Schema, value: object, document: Schema) -> bool:
    """document: what `$ref` points into."""
    return all(_CHECKS[word](argument, value, schema, document) for word, argument in schema.items() if _asserts(word))


def follow(reference: str, document: Schema) -> Schema:
    found: Any = document
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def matches(pattern: str, text: str) -> bool:
    """pattern: as ECMA-262 and RE2 have it; here \\p is spelled out, and $ is the very end."""
    for written, meant in ((r"\P{Cc}", r"[^\x00-\x1f\x7f-\x9f]"), (r"\p{C}", r"\x00-\x1f\x7f-\x9f"), ("$", r"\Z")):
        pattern = pattern.replace(written, meant)
    return re.search(pattern, text, re.ASCII) is not None


def _asserts(word: str) -> bool:
    return word not in ANNOTATIONS


def _is(kinds: str | list[str], value: object) -> bool:
    names = [kinds] if isinstance(kinds, str) else kinds
    is_truth = isinstance(value, bool)
    return any(isinstance(value, TYPES[name]) and (name == "boolean") == is_truth for name in names)


def _size(value: object, kind: type) -> int | None:
    return len(value) if isinstance(value, kind) else None  # type: ignore[arg-type]


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _least(kind: type) -> Any:
    return lambda limit, value, schema, document: (size := _size(value, kind)) is None or size >= limit


def _most(kind: type) -> Any:
    return lambda limit, value, schema, document: (size := _size(value, kind)) is None or size <= limit


_CHECKS: Mapping[str, Any] = {
    "$ref": lambda to, value, schema, document: accepts(follow(to, document), value, document),
    "type": lambda kinds, value, schema, document: _is(kinds, value),
    "enum": lambda allowed, value, schema, document: value in allowed,
    "const": lambda only, value, schema, document: value == only,
    "pattern": lambda pattern, value, schema, document: not isinstance(value, str) or matches(pattern, value),
    "minLength": _least(str),
    "maxLength": _most(str),
    "minItems": _least(list),
    "maxItems": _most(list),
    "minProperties": _least(dict),
    "maxProperties": _most(dict),
    "uniqueItems": lambda wanted, value, schema, document: (
        not isinstance(value, list) or all(each not in value[:place] for place, each in enumerate(value))
    ),
    "minimum": lambda limit, value, schema, document: (n := _number(value)) is None or n >= limit,
    "maximum": lambda limit, value, schema, document: (n := _number(value)) is None or n <= limit,
    "exclusiveMinimum": lambda limit, value, schema, document: (n := _number(value)) is None or n > limit,
    "exclusiveMaximum": lambda limit, value, schema, document: (n := _number(value)) is None or n < limit,
    "required": lambda names, value, schema, document: not isinstance(value, dict) or set(names) <= set(value),
    "properties": lambda known, value, schema, document: (
        not isinstance(value, dict)
        or all(accepts(known[name], each, document) for name, each in value.items() if name in known)
    ),
    "additionalProperties": lambda other, value, schema, document: (
        not isinstance(value, dict)
        or all(accepts(other, v, document) for k, v in value.items() if k not in schema.get("properties", {}))
    ),
    "propertyNames": lambda names, value, schema, document: (
        not isinstance(value, dict) or all(accepts(names, name, document) for name in value)
    ),
    "items": lambda one, value, schema, document: (
        not isinstance(value, list) or all(accepts(one, each, document) for each in value)
    ),
    "anyOf": lambda some, value, schema, document: any(accepts(each, value, document) for each in some),
    "allOf": lambda some, value, schema, document: all(accepts(each, value, document) for each in some),
    "oneOf": lambda some, value, schema, document: sum(accepts(each, value, document) for each in some) == 1,
    "not": lambda other, value, schema, document: not accepts(other, value, document),
}
