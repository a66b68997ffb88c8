"""Media on the wire and in the domain."""

from center.shared.v1 import media_service_pb2 as pb
from shared.media.domain import Media, State, Upload, Variant
from shared.media.variants import Wanted
from shared.runtime.journal import Change, Event

_STATES = {
    State.RECEIVING: pb.UPLOAD_STATE_RECEIVING,
    State.FINALIZING: pb.UPLOAD_STATE_FINALIZING,
    State.FINALIZED: pb.UPLOAD_STATE_FINALIZED,
}
_FORMATS = {
    pb.IMAGE_FORMAT_UNSPECIFIED: "WEBP",
    pb.IMAGE_FORMAT_WEBP: "WEBP",
    pb.IMAGE_FORMAT_JPEG: "JPEG",
    pb.IMAGE_FORMAT_PNG: "PNG",
}


def upload_to_proto(upload: Upload) -> pb.Upload:
    message = pb.Upload(
        id=upload.id,
        name=upload.name,
        content_type=upload.content_type,
        size_bytes=upload.size_bytes,
        sha256=upload.declared_sha256,
        offset=upload.received_bytes,
        state=_STATES[upload.state],
        media_id=upload.media_id or "",
    )
    message.create_time.FromDatetime(upload.create_time)
    message.expire_time.FromDatetime(upload.expire_time)
    return message


def to_proto(media: Media) -> pb.Media:
    message = pb.Media(
        id=media.id,
        name=media.name,
        content_type=media.content_type,
        size_bytes=media.size_bytes,
        sha256=media.sha256,
        variants=map(variant_to_proto, media.variants),
    )
    message.create_time.FromDatetime(media.create_time)
    return message


def variant_to_proto(variant: Variant) -> pb.MediaVariant:
    message = pb.MediaVariant(
        name=variant.name,
        content_type=variant.content_type,
        size_bytes=variant.size_bytes,
        sha256=variant.sha256,
        width=variant.width,
        height=variant.height,
    )
    message.create_time.FromDatetime(variant.create_time)
    return message


def wanted(request: pb.CreateVariantRequest) -> Wanted:
    return Wanted(request.width, request.height, _FORMATS[request.format])


def event(type: str, media: Media, version: int) -> Event:
    """What other planes are told."""
    return Event(type, media.id, version, to_proto(media))


def upload_change(before: Upload | None, after: Upload | None) -> Change:
    """What the audit keeps of an upload; None stands for one that is not there."""
    of = after or before
    assert of is not None
    return Change("upload", of.id, _upload_facts(before), _upload_facts(after))


def change(before: Media | None, after: Media | None) -> Change:
    """What the audit keeps of a file."""
    of = after or before
    assert of is not None
    return Change("media", of.id, _facts(before), _facts(after))


def _upload_facts(upload: Upload | None) -> dict[str, str]:
    if upload is None:
        return {}
    return {
        "name": upload.name,
        "content_type": upload.content_type,
        "size_bytes": str(upload.size_bytes),
        "offset": str(upload.received_bytes),
        "state": upload.state.value,
        "media_id": upload.media_id or "",
    }


def _facts(media: Media | None) -> dict[str, str]:
    if media is None:
        return {}
    variants = {f"variants[{v.name}]": f"{v.made_by} {v.width}x{v.height} {v.sha256}" for v in media.variants}
    return {
        "name": media.name,
        "content_type": media.content_type,
        "size_bytes": str(media.size_bytes),
        "sha256": media.sha256,
        **variants,
    }
