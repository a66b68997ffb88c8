"""What a storefront looks like, and which forms it takes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from math import ceil
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid5

from dataplane.inventory.domain import Offered
from shared.runtime.errors import InvalidArgument, PermissionDenied, check_etag

# WCAG 2.2, 1.4.3.
LEAST_CONTRAST = 4.5
DEFAULT_ACCENT = "#1d4ed8"
# What text stands on: the darkest of the light pages, and the lightest of the dark ones (storefront.css).
LIGHT, DARK = "#f4f3f0", "#22252d"

_FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 50


@dataclass(frozen=True, slots=True)
class Theme:
    """accent_color: such as #1d4ed8; empty for the platform's. version: 0 of one that was never set."""

    title: str = ""
    logo_text: str = ""
    tagline: str = ""
    accent_color: str = ""
    version: int = 0
    update_time: datetime | None = None

    @property
    def etag(self) -> str:
        return str(self.version) if self.version else ""


class Standing(StrEnum):
    """Whether a variant can be bought."""

    IN_STOCK = "IN_STOCK"
    FEW_LEFT = "FEW_LEFT"
    BACKORDER = "BACKORDER"
    SOLD_OUT = "SOLD_OUT"


@dataclass(frozen=True, slots=True)
class Availability:
    """most: how many can be ordered of a variant; left: how many there are, where they are few."""

    standing: Standing
    most: int
    left: int = 0


def availability(offered: Offered | None, most: int) -> Availability:
    """offered: None of what was never in stock. most: how many a cart takes of a variant at all."""
    if offered is None or (offered.available <= 0 and not offered.allows_backorder):
        return Availability(Standing.SOLD_OUT, 0)
    if offered.available <= 0:
        return Availability(Standing.BACKORDER, most)
    orderable = most if offered.allows_backorder else min(most, offered.available)
    few = FEW if offered.low_threshold is None else offered.low_threshold
    if offered.available <= few:
        return Availability(Standing.FEW_LEFT, orderable, offered.available)
    return Availability(Standing.IN_STOCK, orderable)


# Where the shop has not said from how many on its stock is low.
FEW = 5


@dataclass(frozen=True, slots=True)
class Link:
    """To a category or a collection."""

    handle: str
    title: str


@dataclass(frozen=True, slots=True)
class Way:
    """To a category. above: the titles of those that it is in, from the top."""

    link: Link
    above: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """What is around a page. items: how many there are in the cart of that id, while it is open; is_signed_in:
    whether the customer's session has not been ended."""

    theme: Theme
    cart_id: str
    items: int
    is_signed_in: bool
    categories: tuple[Link, ...] = ()
    collections: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A category or a collection, as its page shows it. above: of a category, from the top; below: just below it."""

    id: str
    title: str
    description: str = ""
    above: tuple[Link, ...] = ()
    below: tuple[Link, ...] = ()


def set_theme(before: Theme, wanted: Theme, *, etag: str, tenant_id: str, now: datetime) -> Theme:
    """The next version, or `before` where nothing differs. Aborted ETAG_MISMATCH; InvalidArgument ACCENT_TOO_PALE."""
    check_etag("theme", tenant_id, before.etag, etag)
    accent = wanted.accent_color.lower()
    if accent and (found := contrast(accent, LIGHT)) < LEAST_CONTRAST:
        why = f"it stands out from the page by {found:.1f} to 1, and text needs {LEAST_CONTRAST} to 1"
        raise InvalidArgument("ACCENT_TOO_PALE", f"accent_color: {why}", fields={"accent_color": why})
    after = replace(
        before,
        title=wanted.title.strip(),
        logo_text=wanted.logo_text.strip(),
        tagline=wanted.tagline.strip(),
        accent_color=accent,
    )
    return before if after == before and before.version else replace(after, version=before.version + 1, update_time=now)


def contrast(one: str, other: str) -> float:
    """Of two colours, 1 to 21 (WCAG 2.2, contrast ratio)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def lightened(color: str) -> str:
    """The colour with as much white in it as it takes to stand out from dark pages."""
    for parts in range(21):
        mixed = [round(channel + (255 - channel) * parts / 20) for channel in _channels(color)]
        found = "#" + "".join(f"{channel:02x}" for channel in mixed)
        if contrast(found, DARK) >= LEAST_CONTRAST:
            return found
    raise AssertionError("white stands out")


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _luminance(color: str) -> float:
    parts = [channel / 255 for channel in _channels(color)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def fields(content_type: str, data: bytes) -> dict[str, str]:
    """What a form says, by field; of a field that comes twice, the last. InvalidArgument FORM_MALFORMED."""
    if content_type.partition(";")[0].strip().lower() != _FORM:
        raise _malformed(f"send a form as {_FORM}")
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise _malformed("this is no form") from None
    found = dict(pairs)
    if any("\0" in value for value in found.values()):
        raise _malformed("it holds a NUL character")
    return found


def _malformed(why: str) -> InvalidArgument:
    return InvalidArgument("FORM_MALFORMED", f"form: {why}", fields={"form": why})


def check_origin(host: str, origin: str, referer: str) -> None:
    """Who sent a form says so, and it was a page of this very host: shops of one zone are the same site to a browser,
    so that SameSite alone keeps nobody apart. PermissionDenied FORM_OF_ANOTHER_SITE.

    Ports do not matter, since cookies know none.
    """
    try:
        name = urlsplit(origin or referer).hostname
    except ValueError:
        name = None
    if not host or name != host.partition(":")[0].lower():
        raise PermissionDenied("FORM_OF_ANOTHER_SITE", "the form was not sent from a page of this shop")


def effect_id(form: Mapping[str, str], what: str) -> str:
    """The request id of one effect of a form: the same for the same form sent again, another for a form that was filled
    in differently, as by who went back to it. Empty for a form that has no id of its own."""
    try:
        own = UUID(form.get("request_id", ""))
    except ValueError:
        return ""
    return str(uuid5(own, repr((what, sorted(form.items())))))


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


_SESSION = re.compile(r"cs_[A-Za-z0-9_.-]{1,2000}")


def cart_of(header: str, name: str) -> str:
    """The cart's id that a cookie holds; empty where there is none. header: the request's `cookie`."""
    return _cookie(header, name, _UUID)


def session_of(header: str, name: str) -> str:
    """The session, alike. Whether it holds is not known yet."""
    return _cookie(header, name, _SESSION)


def _cookie(header: str, name: str, form: re.Pattern[str]) -> str:
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name and form.fullmatch(value):
            return value
    return ""


def wait(seconds: float) -> str:
    """In words, and never too short."""
    minutes, rest = ceil(seconds / 60), max(1, ceil(seconds))
    if rest > 90:
        return f"{minutes} minutes"
    return f"{rest} second{'s' if rest > 1 else ''}"


_COUNT = re.compile(r"[0-9]{1,9}")


def count(said: str, least: int, most: int) -> int | None:
    """A whole number from `least` to `most`; None for anything else."""
    said = said.strip()
    found = int(said) if _COUNT.fullmatch(said) else -1
    return found if least <= found <= most else None
