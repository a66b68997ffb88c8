"""MediaService: a tenant's files, for its own people, and for whoever has a signed URL."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeAlias
from urllib.parse import quote

import grpc
from google.api import httpbody_pb2
from sqlalchemy.ext.asyncio import AsyncConnection

from center.shared.v1 import media_service_pb2 as pb
from center.shared.v1 import media_service_pb2_grpc as pb_grpc
from shared.media import domain, messages, store
from shared.media.domain import Allowance, Content, State, Upload, Variant
from shared.media.intake import Intake, Turns
from shared.media.objects import Objects, chunks
from shared.media.signing import Signer
from shared.media.tables import media as files
from shared.media.variants import Workshop
from shared.runtime import filters, journal
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import InvalidArgument
from shared.runtime.filters import Field
from shared.runtime.idempotency import mutation
from shared.runtime.ids import uuid7
from shared.runtime.paging import PageTokens, page_size
from shared.runtime.rpc.status import HTTP_LENGTH, HTTP_STATUS

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# A page of the files with the most variants stays below the message limit.
LARGEST_PAGE = 500

_FIELDS = {
    "id": Field(files.c.id, "uuid"),
    "name": Field(files.c.name),
    "content_type": Field(files.c.content_type),
    "sha256": Field(files.c.sha256),
    "create_time": Field(files.c.create_time, "timestamp"),
}

# Nothing that is served runs, whatever it is and wherever it is opened.
_HARMLESS = (
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; sandbox"),
    ("cross-origin-resource-policy", "cross-origin"),
)


class MediaService(pb_grpc.MediaServiceServicer):
    """db: transactions that may write; reads: those that do not. allowance: what a tenant's plan gives it.

    origin: scheme and authority of a tenant's shop; woken: called when there are bytes to be swept.
    """

    def __init__(
        self,
        *,
        db: Database,
        reads: Database,
        objects: Objects,
        tokens: PageTokens,
        clock: Clock,
        signer: Signer,
        allowance: Callable[[str], Allowance],
        origin: Callable[[str], Awaitable[str]],
        woken: Callable[[], None],
    ) -> None:
        self.db = db
        self._reads = reads
        self._objects = objects
        self._tokens = tokens
        self._clock = clock
        self._signer = signer
        self._allowance = allowance
        self._origin = origin
        self._woken = woken
        self._turns = Turns()
        self._workshop = Workshop()
        self._intake = Intake(db, reads, objects, clock, self._turns, woken)

    async def committed(self) -> None:
        """What was deleted is swept now, not in a while."""
        self._woken()

    @mutation
    async def CreateUpload(self, request: pb.CreateUploadRequest, tx: AsyncConnection) -> pb.CreateUploadResponse:
        domain.check_declared(request.content_type, request.size_bytes)
        tenant_id, now = current().tenant_id, self._clock.now()
        upload = Upload(
            id=uuid7(),
            name=request.name,
            content_type=request.content_type,
            size_bytes=request.size_bytes,
            declared_sha256=request.sha256,
            create_time=now,
            expire_time=now + domain.PATIENCE,
        )
        await store.begin(tx, tenant_id, upload, self._allowance(tenant_id))
        await journal.record(tx, tenant_id, [messages.upload_change(None, upload)])
        return pb.CreateUploadResponse(upload=messages.upload_to_proto(upload))

    async def UploadChunk(
        self, requests: AsyncIterator[pb.UploadChunkRequest], context: Context
    ) -> pb.UploadChunkResponse:
        first = await _introduced(requests)
        async with aclosing(_chunks(first, requests)) as pieces:
            return pb.UploadChunkResponse(offset=await self._intake.receive(first.upload_id, first.offset, pieces))

    async def UploadFile(
        self, requests: AsyncIterator[pb.UploadFileRequest], context: Context
    ) -> pb.UploadFileResponse:
        first = await _introduced(requests)
        async with aclosing(_bodies(first, requests)) as pieces:
            return pb.UploadFileResponse(offset=await self._intake.receive(first.upload_id, first.offset, pieces))

    async def GetUpload(self, request: pb.GetUploadRequest, context: Context) -> pb.GetUploadResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            upload = await store.upload(tx, current().tenant_id, request.id)
        return pb.GetUploadResponse(upload=messages.upload_to_proto(upload))

    @mutation
    async def AbortUpload(self, request: pb.AbortUploadRequest, tx: AsyncConnection) -> pb.AbortUploadResponse:
        tenant_id = current().tenant_id
        upload = await store.upload(tx, tenant_id, request.id, lock=True)
        if upload.state is State.FINALIZED:
            raise domain.closed(upload)
        await store.abort(tx, tenant_id, upload)
        await journal.record(tx, tenant_id, [messages.upload_change(upload, None)])
        return pb.AbortUploadResponse()

    async def FinalizeUpload(self, request: pb.FinalizeUploadRequest, context: Context) -> pb.FinalizeUploadResponse:
        return pb.FinalizeUploadResponse(media=messages.to_proto(await self._intake.finalize(request.id)))

    async def GetMedia(self, request: pb.GetMediaRequest, context: Context) -> pb.GetMediaResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            media = await store.get(tx, current().tenant_id, request.id)
        return pb.GetMediaResponse(media=messages.to_proto(media))

    async def ListMedia(self, request: pb.ListMediaRequest, context: Context) -> pb.ListMediaResponse:
        ordering = filters.order("create_time desc", _FIELDS, files.c.id)
        condition = filters.where(request.filter, _FIELDS)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size, maximum=LARGEST_PAGE)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.page(tx, current().tenant_id, condition, ordering, cursor, size)
        return pb.ListMediaResponse(
            media=map(messages.to_proto, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    @mutation
    async def DeleteMedia(self, request: pb.DeleteMediaRequest, tx: AsyncConnection) -> pb.DeleteMediaResponse:
        tenant_id = current().tenant_id
        media = await store.get(tx, tenant_id, request.id, lock=True)
        await store.remove(tx, tenant_id, media)
        events = [messages.event("media.deleted.v1", media, 2)]
        await journal.record(tx, tenant_id, [messages.change(media, None)], events)
        return pb.DeleteMediaResponse()

    async def DownloadMedia(
        self, request: pb.DownloadMediaRequest, context: Context
    ) -> AsyncIterator[pb.DownloadMediaResponse]:
        content = await self._content(request.id, request.variant)
        if request.offset >= content.size_bytes:
            raise domain.beyond(content.size_bytes)
        stop = min(content.size_bytes, request.offset + (request.length or content.size_bytes))
        async with aclosing(self._bytes(content, request.offset, stop)) as some:
            async for chunk in some:
                yield pb.DownloadMediaResponse(data=bytes(chunk))

    async def CreateVariant(self, request: pb.CreateVariantRequest, context: Context) -> pb.CreateVariantResponse:
        if not (request.width or request.height):
            fields = {"width": "one of width and height is needed"}
            raise InvalidArgument("FIELD_INVALID", "a variant has a width or a height", fields=fields)
        tenant_id, wanted = current().tenant_id, messages.wanted(request)
        async with self._reads.transaction(tenant_id) as tx:
            media = await store.get(tx, tenant_id, request.id)
        domain.check_variable(media)
        if (known := domain.known_variant(media, request.name, str(wanted))) is not None:
            return pb.CreateVariantResponse(variant=messages.variant_to_proto(known))
        async with aclosing(self._bytes(media.served(""), 0, media.size_bytes)) as original:
            made = await self._workshop.make(media.id, original, wanted)
        variant = Variant(
            name=request.name,
            content_type=wanted.content_type,
            size_bytes=len(made.data),
            sha256=hashlib.sha256(made.data).hexdigest(),
            width=made.width,
            height=made.height,
            made_by=str(wanted),
            create_time=self._clock.now(),
        )
        kept = await self._intake.keep_variant(media, variant, made.data, self._allowance(tenant_id))
        return pb.CreateVariantResponse(variant=messages.variant_to_proto(kept))

    async def GetServingUrl(self, request: pb.GetServingUrlRequest, context: Context) -> pb.GetServingUrlResponse:
        tenant_id = current().tenant_id
        await self._content(request.id, request.variant)
        expires = int(self._clock.now().timestamp()) + (request.valid_s or domain.URL_LIFE_S)
        path = self._signer.path(tenant_id, request.id, request.variant, expires)
        answer = pb.GetServingUrlResponse(url=await self._origin(tenant_id) + path)
        answer.expire_time.FromSeconds(expires)
        return answer

    async def ServeMedia(self, request: pb.ServeMediaRequest, context: Context) -> AsyncIterator[httpbody_pb2.HttpBody]:
        now = self._clock.now()
        tenant_id, signature = current().tenant_id, request.signature
        self._signer.check(tenant_id, request.id, request.variant, request.expires, signature, now)
        content = await self._content(request.id, request.variant)
        asked = dict(context.invocation_metadata() or ())
        left_s = timedelta(seconds=request.expires - now.timestamp()) // timedelta(seconds=1)
        headers = [*_HARMLESS, *_described(content, left_s)]
        etag = f'"{content.sha256}"'
        if etag in str(asked.get("if-none-match", "")):
            await context.send_initial_metadata([*headers, (HTTP_STATUS, "304")])
            yield httpbody_pb2.HttpBody(content_type=content.content_type)
            return
        start, stop = 0, content.size_bytes
        # Of another version than the one asked for, everything is sent (RFC 9110, 13.1.5).
        wanted = str(asked.get("range", "")) if str(asked.get("if-range", etag)) == etag else ""
        if wanted and (part := domain.byte_range(wanted, content.size_bytes)) is not None:
            start, stop = part
            headers += [("content-range", f"bytes {start}-{stop - 1}/{content.size_bytes}"), (HTTP_STATUS, "206")]
        # The transcoder calls for both, and says which it was; nobody outside can (edge.xds.fleet).
        if asked.get("x-envoy-original-method") == "HEAD":
            await context.send_initial_metadata([*headers, (HTTP_LENGTH, str(stop - start))])
            yield httpbody_pb2.HttpBody(content_type=content.content_type)
            return
        await context.send_initial_metadata(headers)
        async with aclosing(self._bytes(content, start, stop)) as some:
            async for chunk in some:
                # Envoy takes the type of the first.
                yield httpbody_pb2.HttpBody(content_type=content.content_type, data=bytes(chunk))

    async def _content(self, media_id: str, variant: str) -> Content:
        async with self._reads.transaction(current().tenant_id) as tx:
            media = await store.get(tx, current().tenant_id, media_id)
        return media.served(variant)

    def _bytes(self, content: Content, start: int, stop: int) -> AsyncGenerator[memoryview, None]:
        return chunks(self._objects, current().tenant_id, content.sha256, start, stop)


def _described(content: Content, left_s: int) -> list[tuple[str, str]]:
    """left_s: for how long the URL is good, and a cache may keep what it led to: bytes never change."""
    way = "inline" if domain.KINDS[content.content_type].is_inline else "attachment"
    plain = content.name.encode("ascii", "replace").decode().replace("\\", "_").replace('"', "_").replace("?", "_")
    return [
        ("etag", f'"{content.sha256}"'),
        ("cache-control", f"public, max-age={left_s}, immutable"),
        ("accept-ranges", "bytes"),
        ("content-disposition", f"{way}; filename=\"{plain}\"; filename*=UTF-8''{quote(content.name, safe='')}"),
    ]


async def _introduced(requests: AsyncIterator[Any]) -> Any:
    """The first message, which says which upload it is. InvalidArgument UPLOAD_NOT_INTRODUCED."""
    first = await anext(requests, None)
    if first is None or not first.upload_id:
        fields = {"upload_id": "missing in the first message"}
        message = "the first message of a stream says which upload it brings bytes of"
        raise InvalidArgument("UPLOAD_NOT_INTRODUCED", message, fields=fields)
    return first


async def _chunks(
    first: pb.UploadChunkRequest, rest: AsyncIterator[pb.UploadChunkRequest]
) -> AsyncGenerator[bytes, None]:
    yield first.data
    async for request in rest:
        yield request.data


async def _bodies(
    first: pb.UploadFileRequest, rest: AsyncIterator[pb.UploadFileRequest]
) -> AsyncGenerator[bytes, None]:
    yield first.file.data
    async for request in rest:
        yield request.file.data
