"""What a storefront looks like, and which forms it takes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid5

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
