"""What pages are made up with: files named by their content, which browsers may keep for ever."""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from dataplane.storefront.domain import DEFAULT_ACCENT, lightened

_STYLE = (files(__package__) / "storefront.css").read_text()
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="{accent}"/>'
    '<path fill="none" stroke="#fff" stroke-width="2.4" stroke-linejoin="round" stroke-linecap="round" '
    'd="M8 12h16l1.4 13H6.600zM12 15v-4a4 4 0 0 1 8 0v4"/></svg>'
)


@dataclass(frozen=True, slots=True)
class Asset:
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Dress:
    """The names of a shop's files."""

    style: str
    icon: str


@lru_cache(maxsize=1024)
def dress(accent: str) -> Dress:
    return Dress(_name("shop", accent, "css"), _name("icon", accent, "svg"))


# The colour is in the name, so that what a name stands for is known without a look at the shop's theme, which may be
# another by now.
_NAME = re.compile(r"(shop|icon)-([0-9a-f]{6})-[0-9a-f]{16}\.(css|svg)")


def find(name: str) -> tuple[Asset, bool] | None:
    """What is at a name, and whether it is what the name was made of: another version of this program made others."""
    match = _NAME.fullmatch(name)
    if match is None or (match[1], match[3]) not in _KINDS:
        return None
    return _made(match[1], f"#{match[2]}"), name == _name(match[1], f"#{match[2]}", match[3])


_KINDS = {("shop", "css"): "text/css; charset=utf-8", ("icon", "svg"): "image/svg+xml"}


def _name(kind: str, accent: str, extension: str) -> str:
    accent = accent or DEFAULT_ACCENT
    digest = hashlib.sha256(_made(kind, accent).data).hexdigest()[:16]
    return f"{kind}-{accent[1:]}-{digest}.{extension}"


@lru_cache(maxsize=256)
def _made(kind: str, accent: str) -> Asset:
    if kind == "icon":
        return Asset(_KINDS["icon", "svg"], _ICON.format(accent=accent).encode())
    colours = f":root{{--accent-on-light:{accent};--accent-on-dark:{lightened(accent)}}}\n"
    return Asset(_KINDS["shop", "css"], (colours + _STYLE).encode())
