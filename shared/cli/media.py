"""center media: files of the shops."""

import hashlib
import mimetypes
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from rich.table import Table

from center.shared.v1 import media_service_pb2 as pb
from center.shared.v1.media_service_pb2_grpc import MediaServiceStub
from shared.cli.call import Call, Limit, TenantArgument, card, duration, err, filtered_by, number, operator
from shared.runtime.ids import uuid7

app = typer.Typer(help="Files of the shops.", no_args_is_help=True)

CHUNK_BYTES = 1 << 20

FileId = Annotated[str, typer.Argument(metavar="ID", help="The file's id.")]
Variant = Annotated[str, typer.Option(help="A variant's name; without one it is the file itself.")]
Metadata = tuple[tuple[str, str], ...]

MEDIA = pb.DESCRIPTOR.services_by_name["MediaService"]


async def _streams(call: Call, tenant: str) -> tuple[Any, Metadata]:
    """The service at the tenant's cluster, and the metadata that names the tenant."""
    tenant_id, channel = await call.client.shop(id=await call.tenant_id(tenant))
    return MediaServiceStub(channel), (("x-tenant-id", tenant_id),)


def facts(media: pb.Media) -> Table:
    return card(
        [
            ("id", media.id),
            ("name", media.name),
            ("type", media.content_type),
            ("bytes", media.size_bytes),
            ("sha256", media.sha256),
            ("created", media.create_time),
            *((f"variant {v.name}", f"{v.width}x{v.height}, {v.content_type}, {v.size_bytes}") for v in media.variants),
        ]
    )


@operator(app, "list")
async def list_(
    call: Call,
    tenant: TenantArgument,
    filter: Annotated[str, filtered_by('content_type = "image/png"')] = "",
    limit: Limit = 100,
) -> None:
    """List a shop's files, newest first."""
    await call.table(
        call.pages(MEDIA, "ListMedia", pb.ListMediaRequest(filter=filter), "media", limit, tenant=tenant),
        "files",
        [
            ("FILE", lambda m: m.id),
            ("NAME", lambda m: m.name),
            ("TYPE", lambda m: m.content_type),
            ("BYTES", lambda m: m.size_bytes),
            ("VARIANTS", lambda m: [v.name for v in m.variants]),
            ("CREATED", lambda m: m.create_time),
        ],
    )


@operator(app)
async def show(call: Call, tenant: TenantArgument, id: FileId) -> None:
    """Show one file."""
    answer = await call.in_shop(tenant, MEDIA, "GetMedia", pb.GetMediaRequest(id=id))
    call.show(answer.media, lambda: facts(answer.media))


@operator(app)
async def put(
    call: Call,
    tenant: TenantArgument,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    type: Annotated[str, typer.Option(help="Such as image/png; told from the name when it is left out.")] = "",
    upload: Annotated[str, typer.Option(help="Go on with an upload that broke off.")] = "",
) -> None:
    """Keep a file for a shop."""
    if upload:
        begun = (await call.in_shop(tenant, MEDIA, "GetUpload", pb.GetUploadRequest(id=upload))).upload
    else:
        with file.open("rb") as whole:
            digest = hashlib.file_digest(whole, "sha256").hexdigest()
        request = pb.CreateUploadRequest(
            name=file.name,
            content_type=type or mimetypes.guess_type(file.name)[0] or "application/octet-stream",
            size_bytes=file.stat().st_size,
            sha256=digest,
            request_id=uuid7(),
        )
        begun = (await call.in_shop(tenant, MEDIA, "CreateUpload", request)).upload
    media, of_shop = await _streams(call, tenant)
    try:
        await media.UploadChunk(_chunks(file, begun), metadata=of_shop)
    except grpc.aio.AioRpcError:
        err.print(f"it goes on with --upload {begun.id}")
        raise
    answer = await call.in_shop(tenant, MEDIA, "FinalizeUpload", pb.FinalizeUploadRequest(id=begun.id))
    call.show(answer.media, lambda: facts(answer.media))


async def _chunks(file: Path, upload: pb.Upload) -> AsyncIterator[pb.UploadChunkRequest]:
    yield pb.UploadChunkRequest(upload_id=upload.id, offset=upload.offset)
    with file.open("rb") as rest:
        rest.seek(upload.offset)
        while data := rest.read(CHUNK_BYTES):
            yield pb.UploadChunkRequest(data=data)


@operator(app)
async def get(
    call: Call,
    tenant: TenantArgument,
    id: FileId,
    to: Annotated[Path, typer.Option("--to", "-o", help="Where to write it.")],
    variant: Variant = "",
) -> None:
    """Write a shop's file here."""
    found = (await call.in_shop(tenant, MEDIA, "GetMedia", pb.GetMediaRequest(id=id))).media
    media, of_shop = await _streams(call, tenant)
    with to.open("wb") as out:
        async for answer in media.DownloadMedia(pb.DownloadMediaRequest(id=id, variant=variant), metadata=of_shop):
            out.write(answer.data)
    call.show(found, lambda: f"{to}: {to.stat().st_size} bytes")


@operator(app)
async def url(
    call: Call,
    tenant: TenantArgument,
    id: FileId,
    variant: Variant = "",
    valid: Annotated[str, typer.Option("--for", help="How long it is good: 10m, 2h, 7d.")] = "1h",
) -> None:
    """Make an address under which anyone gets the file for a while."""
    request = pb.GetServingUrlRequest(id=id, variant=variant, valid_s=duration(valid).seconds)
    answer = await call.in_shop(tenant, MEDIA, "GetServingUrl", request)
    call.show(answer, lambda: answer.url)


@operator(app)
async def variant(
    call: Call,
    tenant: TenantArgument,
    id: FileId,
    name: Annotated[str, typer.Argument(help="Such as thumb.")],
    width: Annotated[int, typer.Option(min=0, max=4096)] = 0,
    height: Annotated[int, typer.Option(min=0, max=4096)] = 0,
    format: Annotated[str, typer.Option(help="webp, jpeg or png.")] = "webp",
) -> None:
    """Make another size or format of an image."""
    kind = number(pb.ImageFormat, format)
    request = pb.CreateVariantRequest(id=id, name=name, width=width, height=height, format=kind)
    answer = await call.in_shop(tenant, MEDIA, "CreateVariant", request)
    made = answer.variant
    call.show(made, lambda: f"{made.name}: {made.width}x{made.height}, {made.content_type}, {made.size_bytes} bytes")


@operator(app)
async def delete(call: Call, tenant: TenantArgument, id: FileId) -> None:
    """Delete a shop's file, with its variants."""
    answer = await call.in_shop(tenant, MEDIA, "DeleteMedia", pb.DeleteMediaRequest(id=id, request_id=uuid7()))
    call.show(answer, lambda: f"{id} is deleted")
