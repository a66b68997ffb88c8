"""What media is, which types there are and what proves them: pure decisions."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import puremagic

from shared.runtime.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)

# What is kept is a row of objects of this size; the last is what is left. One is in memory for each stream.
PART_BYTES = 2 << 20
CHUNK_BYTES = 1 << 20
LARGEST_BYTES = 1 << 30
# How many of a file's first bytes its type is told from.
HEAD_BYTES = 64 << 10
LARGEST_SVG_BYTES = 1 << 20
LARGEST_IMAGE_BYTES = 32 << 20
MOST_VARIANTS = 20

# An upload that nobody goes on with for so long vanishes.
PATIENCE = timedelta(hours=24)
URL_LIFE_S = 3600


class State(StrEnum):
    RECEIVING = "RECEIVING"
    FINALIZING = "FINALIZING"
    FINALIZED = "FINALIZED"
    # Given up; its bytes are about to go.
    ABORTED = "ABORTED"
    # Not a client's: bytes that are made here, a variant's.
    MAKING = "MAKING"


@dataclass(frozen=True, slots=True)
class Upload:
    """declared_sha256: empty when the client did not say. received_bytes: durable."""

    id: str
    name: str
    content_type: str
    size_bytes: int
    declared_sha256: str
    create_time: datetime
    expire_time: datetime
    received_bytes: int = 0
    state: State = State.RECEIVING
    sha256: str = ""
    media_id: str | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """made_by: what it was asked for by; the same words give the same variant."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str
    width: int
    height: int
    made_by: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Media:
    id: str
    name: str
    content_type: str
    size_bytes: int
    sha256: str
    create_time: datetime
    variants: tuple[Variant, ...] = ()

    def served(self, variant: str) -> "Content":
        """What is asked for by the name of a variant; an empty one is the file itself. NotFound VARIANT_NOT_FOUND."""
        if not variant:
            return Content(self.sha256, self.size_bytes, self.content_type, self.name)
        for each in self.variants:
            if each.name == variant:
                name = f"{self.name.rpartition('.')[0] or self.name}-{variant}.{each.content_type.partition('/')[2]}"
                return Content(each.sha256, each.size_bytes, each.content_type, name)
        raise NotFound("VARIANT_NOT_FOUND", f"the file has no variant {variant}", id=self.id, variant=variant)


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are here, and what they are."""

    sha256: str
    size_bytes: int
    content_type: str
    name: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the tenant's plan gives. most_bytes: None is no limit."""

    plan_id: str
    most_bytes: int | None


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of content. magic: what its signature is called; empty for one that has none.

    is_inline: a browser may show it; everything else is an attachment.
    """

    magic: frozenset[str] = field(default_factory=frozenset)
    is_inline: bool = False
    is_image: bool = False


def _signed(*magic: str, is_inline: bool = True, is_image: bool = False) -> Kind:
    return Kind(frozenset(magic), is_inline, is_image)


KINDS: Mapping[str, Kind] = {
    "image/jpeg": _signed("image/jpeg", is_image=True),
    "image/png": _signed("image/png", is_image=True),
    "image/gif": _signed("image/gif", is_image=True),
    "image/webp": _signed("image/webp", is_image=True),
    "image/avif": _signed("image/avif"),
    "video/mp4": _signed("video/mp4"),
    "video/webm": _signed("video/webm"),
    "audio/mpeg": _signed("audio/mpeg"),
    "audio/ogg": _signed("audio/ogg", "application/ogg"),
    "audio/wav": _signed("audio/wave", "audio/x-wav"),
    # What a browser may run is never shown at the shop's domain.
    "image/svg+xml": _signed("image/svg+xml", is_inline=False),
    "application/pdf": _signed("application/pdf", is_inline=False),
    "application/zip": _signed("application/zip", is_inline=False),
    "text/plain": Kind(),
    "text/csv": Kind(),
    "application/octet-stream": Kind(),
}
OPAQUE = "application/octet-stream"
SVG = "image/svg+xml"
# What only looks like text, and a browser that guesses would run.
_MARKUP = re.compile(rb"<\s*(!doctype|html|head|body|script|svg|iframe|style|\?xml)", re.IGNORECASE)
# Scripts, handlers, other documents, and entities that swell.
_ACTIVE = re.compile(
    r"<\s*(?:[\w.-]+:)?(?:script|foreignobject|iframe|object|embed|handler|set|animate)\b|\bon\w+\s*="
    r"|javascript:|data:\s*text|<!entity|<\?xml-stylesheet|@import|(?:href|src)\s*=\s*[\"']\s*(?![#\"'])(?!data:image/)",
    re.IGNORECASE,
)


def check_declared(content_type: str, size_bytes: int) -> None:
    """InvalidArgument MEDIA_TYPE_REFUSED, MEDIA_TOO_LARGE."""
    if content_type not in KINDS:
        message = f"content_type: {content_type} is not kept here; known are {', '.join(KINDS)}"
        raise InvalidArgument("MEDIA_TYPE_REFUSED", message, fields={"content_type": "not a type that is kept here"})
    if size_bytes > (most := LARGEST_SVG_BYTES if content_type == SVG else LARGEST_BYTES):
        raise too_large("size_bytes", most)


def too_large(field: str, most: int) -> InvalidArgument:
    message = f"{field}: there may be {most} bytes at most"
    fields = {field: f"more than {most} bytes"}
    return InvalidArgument("MEDIA_TOO_LARGE", message, fields=fields, limit=str(most))


def check_content(upload: Upload, head: bytes, sha256: str) -> None:
    """Whether the bytes are what was declared. head: the first of them; of an SVG, all.

    FailedPrecondition MEDIA_CHECKSUM_MISMATCH, MEDIA_TYPE_MISMATCH.
    """
    if upload.declared_sha256 not in ("", sha256):
        message = "the bytes have another SHA-256 than was declared; upload them again"
        raise FailedPrecondition("MEDIA_CHECKSUM_MISMATCH", message, id=upload.id, sha256=sha256)
    found = detected(head)
    kind = KINDS[upload.content_type]
    if kind.magic:
        agrees = bool(kind.magic & found)
    elif upload.content_type == OPAQUE:
        agrees = True
    else:
        agrees = _is_text(head)
    if upload.content_type == SVG and agrees:
        agrees = _is_still(head)
    if not agrees:
        seen = ", ".join(sorted(found)[:3]) or "something else"
        message = f"the bytes are not {upload.content_type}, as was declared, or hold what may not be served: {seen}"
        raise FailedPrecondition("MEDIA_TYPE_MISMATCH", message, id=upload.id, declared=upload.content_type)


def detected(head: bytes) -> frozenset[str]:
    """The types whose signature the bytes bear."""
    try:
        return frozenset(match.mime_type for match in puremagic.magic_string(head) if match.mime_type)
    except (puremagic.PureError, ValueError):
        return frozenset()


def _is_text(head: bytes) -> bool:
    try:
        # The head may end within a character.
        head.decode() if len(head) < HEAD_BYTES else head[:-4].decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return False
    return b"\0" not in head and _MARKUP.search(head[:4096]) is None


def _is_still(svg: bytes) -> bool:
    try:
        return _ACTIVE.search(svg.decode("utf-8")) is None
    except UnicodeDecodeError:
        return False


def begin(upload: Upload, offset: int) -> None:
    """Whether bytes may go on at the offset. FailedPrecondition UPLOAD_CLOSED, Aborted UPLOAD_OFFSET_MISMATCH."""
    if upload.state is not State.RECEIVING:
        raise closed(upload)
    if offset != upload.received_bytes:
        raise out_of_place(upload.id, upload.received_bytes)


def closed(upload: Upload) -> FailedPrecondition:
    message = f"the upload is {upload.state.lower()} and takes no more bytes"
    return FailedPrecondition("UPLOAD_CLOSED", message, id=upload.id, state=upload.state)


def out_of_place(upload_id: str, offset: int) -> Aborted:
    message = f"the upload goes on at {offset}"
    return Aborted("UPLOAD_OFFSET_MISMATCH", message, id=upload_id, offset=str(offset))


def check_whole(upload: Upload) -> None:
    """FailedPrecondition UPLOAD_INCOMPLETE."""
    if upload.received_bytes < upload.size_bytes:
        message = f"{upload.received_bytes} of {upload.size_bytes} bytes are here; send the rest first"
        offset = str(upload.received_bytes)
        raise FailedPrecondition("UPLOAD_INCOMPLETE", message, id=upload.id, offset=offset)


def quota_reached(allowance: Allowance, used_bytes: int, size_bytes: int) -> ResourceExhausted:
    message = (
        f"the shop's plan has room for {allowance.most_bytes} bytes of media, and {used_bytes} are taken: delete some, "
        "or ask whoever runs this platform for a larger plan"
    )
    return ResourceExhausted(
        "MEDIA_QUOTA_REACHED",
        message,
        feature="media_bytes",
        plan_id=allowance.plan_id,
        limit=str(allowance.most_bytes),
        used=str(used_bytes),
        asked=str(size_bytes),
    )


def check_variable(media: Media) -> None:
    """FailedPrecondition NOT_AN_IMAGE, IMAGE_TOO_LARGE."""
    if not KINDS[media.content_type].is_image:
        message = f"variants are made of images, and this is {media.content_type}"
        raise FailedPrecondition("NOT_AN_IMAGE", message, id=media.id)
    if media.size_bytes > LARGEST_IMAGE_BYTES:
        message = f"variants are made of images of at most {LARGEST_IMAGE_BYTES} bytes"
        raise FailedPrecondition("IMAGE_TOO_LARGE", message, id=media.id)


def known_variant(media: Media, name: str, made_by: str) -> Variant | None:
    """The variant, if it is there. AlreadyExists VARIANT_EXISTS, FailedPrecondition TOO_MANY_VARIANTS."""
    for variant in media.variants:
        if variant.name == name:
            if variant.made_by != made_by:
                message = f"{name} is there, made as {variant.made_by}; take another name"
                raise AlreadyExists("VARIANT_EXISTS", message, id=media.id, variant=name)
            return variant
    if len(media.variants) >= MOST_VARIANTS:
        message = f"a file has at most {MOST_VARIANTS} variants"
        raise FailedPrecondition("TOO_MANY_VARIANTS", message, id=media.id)
    return None


def parts(size_bytes: int) -> int:
    """How many objects so many bytes are."""
    return -(-size_bytes // PART_BYTES)


def spans(start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """(part, from, to) of each object that holds some of the bytes from `start` to before `stop`."""
    while start < stop:
        number, begins = divmod(start, PART_BYTES)
        ends = min(PART_BYTES, begins + stop - start)
        yield number, begins, ends
        start += ends - begins


_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


def byte_range(header: str, size_bytes: int) -> tuple[int, int] | None:
    """(start, stop) of a Range header; None for one that is to be ignored (RFC 9110, 14.2).

    InvalidArgument RANGE_INVALID: it begins behind the end.
    """
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size_bytes - int(last)), size_bytes
    else:
        start, stop = int(first), min(size_bytes, int(last) + 1) if last else size_bytes
        if last and int(last) < int(first):
            return None
    if start >= size_bytes or start >= stop:
        raise beyond(size_bytes)
    return start, stop


def beyond(size_bytes: int) -> InvalidArgument:
    message = f"the range begins behind the end, at {size_bytes} bytes"
    return InvalidArgument("RANGE_INVALID", message, fields={"offset": message}, size_bytes=str(size_bytes))
