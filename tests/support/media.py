"""Files that tests bring, and how they bring them."""

import hashlib
import io
import os
from collections.abc import AsyncIterator, Sequence

from PIL import Image

from center.shared.v1 import media_service_pb2 as pb
from center.shared.v1.media_service_pb2_grpc import MediaServiceStub

CHUNK_BYTES = 1 << 20


def of(tenant_id: str) -> tuple[tuple[str, str], ...]:
    return (("x-tenant-id", tenant_id),)


def noise(size_bytes: int) -> bytes:
    """Bytes of no type that nobody else has."""
    return os.urandom(size_bytes)


def image(width: int = 64, height: int = 48, kind: str = "PNG", **options: object) -> bytes:
    """A picture that nobody else has."""
    picture = Image.frombytes("RGB", (width, height), os.urandom(3 * width * height))
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def begin(
    media: MediaServiceStub, tenant_id: str, data: bytes, content_type: str = "application/octet-stream", **more: str
) -> pb.Upload:
    request = pb.CreateUploadRequest(
        **{"name": "a file.bin", "content_type": content_type, "size_bytes": len(data), **more}  # type: ignore[arg-type]
    )
    return (await media.CreateUpload(request, metadata=of(tenant_id))).upload


async def chunks(upload_id: str, data: bytes, offset: int = 0) -> AsyncIterator[pb.UploadChunkRequest]:
    """What a client sends of `data` from `offset` on."""
    yield pb.UploadChunkRequest(upload_id=upload_id, offset=offset)
    for at in range(offset, len(data), CHUNK_BYTES):
        yield pb.UploadChunkRequest(data=data[at : at + CHUNK_BYTES])


async def send(media: MediaServiceStub, tenant_id: str, upload_id: str, data: bytes, offset: int = 0) -> int:
    answer = await media.UploadChunk(chunks(upload_id, data, offset), metadata=of(tenant_id))
    return int(answer.offset)


async def finalize(media: MediaServiceStub, tenant_id: str, upload_id: str) -> pb.Media:
    return (await media.FinalizeUpload(pb.FinalizeUploadRequest(id=upload_id), metadata=of(tenant_id))).media


async def keep(
    media: MediaServiceStub, tenant_id: str, data: bytes, content_type: str = "application/octet-stream", **more: str
) -> pb.Media:
    """A file from beginning to end."""
    upload = await begin(media, tenant_id, data, content_type, **more)
    await send(media, tenant_id, upload.id, data)
    return await finalize(media, tenant_id, upload.id)


async def fetch(
    media: MediaServiceStub, tenant_id: str, media_id: str, *, variant: str = "", offset: int = 0, length: int = 0
) -> bytes:
    return b"".join(await pieces(media, tenant_id, media_id, variant=variant, offset=offset, length=length))


async def pieces(
    media: MediaServiceStub, tenant_id: str, media_id: str, *, variant: str = "", offset: int = 0, length: int = 0
) -> Sequence[bytes]:
    request = pb.DownloadMediaRequest(id=media_id, variant=variant, offset=offset, length=length)
    return [answer.data async for answer in media.DownloadMedia(request, metadata=of(tenant_id))]
