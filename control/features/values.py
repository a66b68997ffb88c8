"""What can be said of a feature: its kinds, the values of each, their order, and which of them fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

MAX_TEXT = 4000
MAX_ITEMS = 200


class Kind(StrEnum):
    BOOLEAN = "BOOLEAN"
    METERED = "METERED"
    CONFIGURATION = "CONFIGURATION"


class Period(StrEnum):
    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    STANDING = "STANDING"


class Type(StrEnum):
    """Of a setting."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"
    TEXT_LIST = "text_list"
    RATE_LIMIT = "rate_limit"


# Settings of these types have more and less.
ORDERED = (Type.INTEGER, Type.NUMBER, Type.RATE_LIMIT)


@dataclass(frozen=True, slots=True)
class Quota:
    """limit: units a period; None is unlimited. soft: use beyond the limit is allowed."""

    limit: int | None
    period: Period
    soft: bool = False
    rollover_limit: int = 0


@dataclass(frozen=True, slots=True)
class RateLimit:
    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting's value: an int, float, bool, str, tuple of str or RateLimit, as its type says."""

    type: Type
    value: int | float | bool | str | tuple[str, ...] | RateLimit


Value: TypeAlias = bool | Quota | Setting


@dataclass(frozen=True, slots=True)
class Schema:
    """Which values a setting may have; None and an empty tuple bound nothing.

    minimum, maximum: of numbers; of texts and items of lists, their length. allowed: only these.
    max_items: of lists. max_per_second, max_burst: of rate limits.
    """

    type: Type
    minimum: float | int | None = None
    maximum: float | int | None = None
    allowed: tuple[int | str, ...] = ()
    max_items: int | None = None
    max_per_second: float | None = None
    max_burst: int | None = None


def misfit(schema: Schema, setting: Setting) -> str:
    """Why the setting does not fit; empty when it does."""
    if setting.type is not schema.type:
        return f"is of type {setting.type}, not {schema.type}"
    value = setting.value
    if isinstance(value, RateLimit):
        if schema.max_per_second is not None and value.per_second > schema.max_per_second:
            return f"{value.per_second:g} a second is more than {schema.max_per_second:g}"
        if schema.max_burst is not None and value.burst > schema.max_burst:
            return f"a burst of {value.burst} is more than {schema.max_burst}"
    elif isinstance(value, tuple):
        most = MAX_ITEMS if schema.max_items is None else schema.max_items
        if len(value) > most:
            return f"{len(value)} items are more than {most}"
        if len(set(value)) != len(value):
            return "an item stands twice"
        return next((f"item {number}: {why}" for number, item in enumerate(value) if (why := _text(schema, item))), "")
    elif isinstance(value, str):
        return _text(schema, value)
    elif not isinstance(value, bool):
        if schema.minimum is not None and value < schema.minimum:
            return f"{value} is less than {schema.minimum}"
        if schema.maximum is not None and value > schema.maximum:
            return f"{value} is more than {schema.maximum}"
        if schema.allowed and value not in schema.allowed:
            return f"{value} is none of those allowed"
    return ""


def _text(schema: Schema, text: str) -> str:
    least, most = schema.minimum or 0, MAX_TEXT if schema.maximum is None else schema.maximum
    if not least <= len(text) <= most:
        return f"{len(text)} characters are not between {least} and {most}"
    if schema.allowed and text not in schema.allowed:
        return "it is none of those allowed"
    return ""


def contradiction(schema: Schema) -> str:
    """Why nothing can fit the schema; empty when something can."""
    if schema.minimum is not None and schema.maximum is not None and schema.minimum > schema.maximum:
        return f"the least, {schema.minimum}, is more than the most, {schema.maximum}"
    if len(set(schema.allowed)) != len(schema.allowed):
        return "an allowed value stands twice"
    if schema.type in (Type.TEXT, Type.TEXT_LIST) and (schema.minimum or 0) > MAX_TEXT:
        return f"no text is longer than {MAX_TEXT}"
    for allowed in schema.allowed:
        kind = Type.INTEGER if isinstance(allowed, int) else Type.TEXT
        bounds = Schema(kind, schema.minimum, schema.maximum)
        if why := misfit(bounds, Setting(kind, allowed)):
            return f"allowed values are out of bounds: {why}"
    return ""


def comparable(value: Value) -> bool:
    """Whether there is more and less of it."""
    return isinstance(value, Quota) or (isinstance(value, Setting) and value.type in ORDERED)


def more(one: Value, other: Value) -> Value:
    """The least that is at least both; `other` where there is no order."""
    match one, other:
        case bool(), bool():
            return one or other
        case Quota(), Quota():
            unlimited = one.limit is None or other.limit is None
            limit = None if unlimited else max(one.limit or 0, other.limit or 0)
            rollover = max(one.rollover_limit, other.rollover_limit)
            return Quota(limit, one.period, one.soft or other.soft, rollover)
        case Setting(value=RateLimit() as a), Setting(value=RateLimit() as b):
            return Setting(one.type, RateLimit(max(a.per_second, b.per_second), max(a.burst, b.burst)))
        case Setting(type=Type.INTEGER | Type.NUMBER), Setting(type=Type.INTEGER | Type.NUMBER):
            return one if one.value >= other.value else other  # type: ignore[operator]
    return other


def less(one: Value, other: Value) -> Value:
    """The most that is at most both; `one` where there is no order."""
    match one, other:
        case bool(), bool():
            return one and other
        case Quota(), Quota():
            limits = [each.limit for each in (one, other) if each.limit is not None]
            rollover = min(one.rollover_limit, other.rollover_limit)
            return Quota(min(limits, default=None), one.period, one.soft and other.soft, rollover)
        case Setting(value=RateLimit() as a), Setting(value=RateLimit() as b):
            return Setting(one.type, RateLimit(min(a.per_second, b.per_second), min(a.burst, b.burst)))
        case Setting(type=Type.INTEGER | Type.NUMBER), Setting(type=Type.INTEGER | Type.NUMBER):
            return one if one.value <= other.value else other  # type: ignore[operator]
    return one


def plain(value: Value) -> Any:
    """As JSON has it."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Quota):
        return {
            "limit": value.limit,
            "period": value.period,
            "soft": value.soft,
            "rollover_limit": value.rollover_limit,
        }
    inner: Any = value.value
    if isinstance(inner, RateLimit):
        inner = {"per_second": inner.per_second, "burst": inner.burst}
    elif isinstance(inner, tuple):
        inner = list(inner)
    return {"type": value.type, "value": inner}


def value_of(stored: Any) -> Value:
    """What plain() was given."""
    if isinstance(stored, bool):
        return stored
    if "type" not in stored:
        return Quota(stored["limit"], Period(stored["period"]), stored["soft"], stored["rollover_limit"])
    return setting_of(stored)


def setting_of(stored: Mapping[str, Any]) -> Setting:
    kind, inner = Type(stored["type"]), stored["value"]
    if kind is Type.RATE_LIMIT:
        inner = RateLimit(number(inner["per_second"]), inner["burst"])
    elif kind is Type.TEXT_LIST:
        inner = tuple(inner)
    elif kind is Type.NUMBER:
        inner = number(inner)
    return Setting(kind, inner)


def number(value: float) -> float:
    """In the one spelling: equal numbers have equal texts, -0.0 and 1 among them."""
    return float(value) + 0.0


def text_of(value: Value | None) -> str:
    """For people, and for the audit to compare."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Quota):
        amount = "unlimited" if value.limit is None else str(value.limit)
        every = "" if value.period is Period.STANDING else f" a {value.period.lower()}"
        soft = ", soft" if value.soft else ""
        rollover = f", rolls over {value.rollover_limit}" if value.rollover_limit else ""
        return f"{amount}{every}{soft}{rollover}"
    inner = value.value
    if isinstance(inner, RateLimit):
        return f"{inner.per_second:g} a second, burst {inner.burst}"
    if isinstance(inner, tuple):
        return ", ".join(inner)
    return str(inner).lower() if isinstance(inner, bool) else str(inner)
