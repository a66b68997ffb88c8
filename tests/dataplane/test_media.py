"""A tenant's files, through a running cluster: uploads that resume, bytes kept once, variants, and what is refused."""

import asyncio
import io
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from PIL import Image
from sqlalchemy import text

from center.control.v1 import tenant_pb2
from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.shared.v1 import media_service_pb2 as pb
from shared.media import store
from shared.media.domain import State, parts
from shared.media.objects import Objects, blob_key, upload_key
from tests.dataplane.cluster import Running, digest, entry, move_rows, of
from tests.dataplane.conftest import Start
from tests.support.features import ScriptedPlans, a_set, plans_at, standing
from tests.support.grpc import refuses
from tests.support.media import begin, chunks, fetch, finalize, image, keep, noise, pieces, send
from tests.support.media import digest as sha256_of
from tests.support.s3 import BUCKET, S3

MIB = 1 << 20


class Clock:
    """Stands where a test puts it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture(scope="module")
async def in_s3(start: Start, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A cluster that keeps its media in an S3."""
    server = S3(tmp_path_factory.mktemp("s3"))
    server.start()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in server.environment.items():
            environment.setenv(name, value)
        async with start("eu-1", media_url=f"s3://{BUCKET}/center/media") as running:
            yield running
    server.kill()


@pytest.fixture(params=["folder", "s3"])
def cluster(request: pytest.FixtureRequest) -> Running:
    """The same cluster with its bytes in either place."""
    running: Running = request.getfixturevalue("eu" if request.param == "folder" else "in_s3")
    return running


@pytest.fixture
async def shop(cluster: Running) -> str:
    new = entry()
    await cluster.apply(new)
    return new.id


async def objects(running: Running, prefix: str) -> list[str]:
    """What the cluster keeps below, by key."""
    return sorted([each.key async for some in running.cluster.objects.below(prefix) for each in some])


async def gone(running: Running, prefix: str) -> None:
    """Waits until nothing is kept below."""
    async with asyncio.timeout(10):
        while await objects(running, prefix):
            await asyncio.sleep(0.02)


async def usage(running: Running, tenant_id: str) -> tuple[int, int]:
    """(stored, reserved) bytes of the tenant."""
    db = running.database("center_app")
    async with db.transaction(tenant_id) as tx:
        row = (await tx.execute(text("SELECT stored_bytes, reserved_bytes FROM media_usage"))).one()
    await db.close()
    return (row.stored_bytes, row.reserved_bytes)


async def offset(running: Running, tenant_id: str, upload_id: str) -> int:
    answer = await running.media.GetUpload(pb.GetUploadRequest(id=upload_id), metadata=of(tenant_id))
    return answer.upload.offset


# Bytes in and out, wherever they are kept.


async def test_a_file_comes_back_as_it_went_in(cluster: Running, shop: str) -> None:
    data = noise(9 * MIB + 12345)
    made = await keep(cluster.media, shop, data, name="Katalog 2026.bin")
    assert (made.name, made.size_bytes, made.sha256) == ("Katalog 2026.bin", len(data), sha256_of(data))
    assert (await cluster.media.GetMedia(pb.GetMediaRequest(id=made.id), metadata=of(shop))).media == made
    back = await pieces(cluster.media, shop, made.id)
    assert b"".join(back) == data
    assert max(map(len, back)) <= MIB
    assert await objects(cluster, f"{shop}/uploads") == []


@pytest.mark.parametrize(("at", "length"), [(0, 1), (4 * MIB - 1, 2), (4 * MIB, 4 * MIB), (5 * MIB, 0), (9 * MIB, 99)])
async def test_a_range_is_a_part_of_it(cluster: Running, shop: str, at: int, length: int) -> None:
    data = noise(9 * MIB + 5)
    made = await keep(cluster.media, shop, data)
    found = await fetch(cluster.media, shop, made.id, offset=at, length=length)
    assert found == data[at : at + length if length else None]


async def test_a_range_behind_the_end_is_refused(eu: Running, tenant: str) -> None:
    made = await keep(eu.media, tenant, noise(10))
    async with refuses("INVALID_ARGUMENT", "RANGE_INVALID"):
        await fetch(eu.media, tenant, made.id, offset=10)


async def test_an_upload_goes_on_where_it_stopped(cluster: Running, shop: str) -> None:
    data = noise(6 * MIB + 7)
    upload = await begin(cluster.media, shop, data, sha256=sha256_of(data))
    # In the middle of a part, at the end of one, and with nothing.
    for stop in (0, 100, MIB, 4 * MIB, 4 * MIB, 6 * MIB, len(data)):
        at = await offset(cluster, shop, upload.id)
        assert await send(cluster.media, shop, upload.id, data[:stop], at) == stop
    assert await fetch(cluster.media, shop, (await finalize(cluster.media, shop, upload.id)).id) == data


async def test_a_stream_that_breaks_leaves_what_has_come(cluster: Running, shop: str) -> None:
    data = noise(6 * MIB)
    upload = await begin(cluster.media, shop, data)

    async def some() -> AsyncIterator[pb.UploadChunkRequest]:
        async for request in chunks(upload.id, data[: 5 * MIB]):
            yield request
        await asyncio.Event().wait()

    call = cluster.media.UploadChunk(some(), metadata=of(shop))
    async with asyncio.timeout(10):
        while await offset(cluster, shop, upload.id) < 4 * MIB:
            await asyncio.sleep(0.01)
    call.cancel()
    async with asyncio.timeout(10):
        while True:
            with suppress(grpc.aio.AioRpcError):
                at = await offset(cluster, shop, upload.id)
                await send(cluster.media, shop, upload.id, data, at)
                break
    assert at >= 4 * MIB
    assert await fetch(cluster.media, shop, (await finalize(cluster.media, shop, upload.id)).id) == data


async def test_the_same_bytes_are_kept_once_a_tenant(cluster: Running, shop: str) -> None:
    data = noise(5 * MIB)
    other = entry()
    await cluster.apply(other)
    first, second = [await keep(cluster.media, shop, data) for _ in range(2)]
    theirs = await keep(cluster.media, other.id, data)
    assert first.id != second.id
    kept = [blob_key(shop, sha256_of(data), n) for n in range(parts(len(data)))]
    assert await objects(cluster, shop) == kept
    assert await usage(cluster, shop) == (len(data), 0)
    for media_id in (first.id, second.id):
        assert await objects(cluster, shop) == kept
        assert await fetch(cluster.media, shop, media_id) == data
        await cluster.media.DeleteMedia(pb.DeleteMediaRequest(id=media_id), metadata=of(shop))
    await gone(cluster, shop)
    assert await usage(cluster, shop) == (0, 0)
    assert await fetch(cluster.media, other.id, theirs.id) == data


async def test_an_aborted_upload_is_gone_with_its_bytes_and_its_room(cluster: Running, shop: str) -> None:
    data = noise(5 * MIB)
    upload = await begin(cluster.media, shop, data)
    await send(cluster.media, shop, upload.id, data)
    assert await usage(cluster, shop) == (0, len(data))
    await cluster.media.AbortUpload(pb.AbortUploadRequest(id=upload.id), metadata=of(shop))
    assert await usage(cluster, shop) == (0, 0)
    for call in (
        cluster.media.GetUpload(pb.GetUploadRequest(id=upload.id), metadata=of(shop)),
        cluster.media.FinalizeUpload(pb.FinalizeUploadRequest(id=upload.id), metadata=of(shop)),
        send(cluster.media, shop, upload.id, b"x"),
    ):
        async with refuses("NOT_FOUND", "UPLOAD_NOT_FOUND"):
            await call
    await gone(cluster, shop)


# What is refused.


async def test_bytes_out_of_place_are_refused_and_told_theirs(eu: Running, tenant: str) -> None:
    data = noise(3000)
    upload = await begin(eu.media, tenant, data)
    await send(eu.media, tenant, upload.id, data[:1000])
    for wrong in (0, 999, 1001, 3000):
        async with refuses("ABORTED", "UPLOAD_OFFSET_MISMATCH") as refusal:
            await send(eu.media, tenant, upload.id, data, wrong)
        assert refusal.metadata["offset"] == "1000"
    assert await send(eu.media, tenant, upload.id, data, 1000) == 3000


async def test_more_than_was_declared_is_refused_and_what_fitted_stays(eu: Running, tenant: str) -> None:
    data = noise(5 * MIB)
    upload = await begin(eu.media, tenant, data)
    async with refuses("INVALID_ARGUMENT", "MEDIA_TOO_LARGE"):
        await send(eu.media, tenant, upload.id, data + b"x")
    assert await offset(eu, tenant, upload.id) == len(data)
    assert await fetch(eu.media, tenant, (await finalize(eu.media, tenant, upload.id)).id) == data


async def test_two_streams_of_one_upload_do_not_mix(eu: Running, tenant: str) -> None:
    data = noise(2 * MIB)
    upload = await begin(eu.media, tenant, data)
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[pb.UploadChunkRequest]:
        async for request in chunks(upload.id, data):
            yield request
            begun.set()
            if request.data:
                await may_end.wait()

    first = asyncio.ensure_future(eu.media.UploadChunk(slow(), metadata=of(tenant)))
    await begun.wait()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await send(eu.media, tenant, upload.id, b"", 0) == 0  # came before the other
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.ABORTED
                break
    may_end.set()
    assert (await first).offset == len(data)


async def test_an_upload_without_all_its_bytes_is_no_file(eu: Running, tenant: str) -> None:
    data = noise(3000)
    upload = await begin(eu.media, tenant, data)
    await send(eu.media, tenant, upload.id, data[:2999])
    async with refuses("FAILED_PRECONDITION", "UPLOAD_INCOMPLETE") as refusal:
        await finalize(eu.media, tenant, upload.id)
    assert refusal.metadata["offset"] == "2999"
    assert await send(eu.media, tenant, upload.id, data, 2999) == 3000
    await finalize(eu.media, tenant, upload.id)
    async with refuses("FAILED_PRECONDITION", "UPLOAD_CLOSED"):
        await send(eu.media, tenant, upload.id, data, 3000)
    async with refuses("FAILED_PRECONDITION", "UPLOAD_CLOSED"):
        await eu.media.AbortUpload(pb.AbortUploadRequest(id=upload.id), metadata=of(tenant))


async def test_other_bytes_than_declared_are_no_file(eu: Running, tenant: str) -> None:
    data = noise(3000)
    upload = await begin(eu.media, tenant, data, sha256=sha256_of(b"others"))
    await send(eu.media, tenant, upload.id, data)
    async with refuses("FAILED_PRECONDITION", "MEDIA_CHECKSUM_MISMATCH"):
        await finalize(eu.media, tenant, upload.id)
    await eu.media.AbortUpload(pb.AbortUploadRequest(id=upload.id), metadata=of(tenant))
    await gone(eu, tenant)


SCRIPT = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
NOT_WHAT_THEY_SAY = {
    "a page as an image": ("image/png", b"<html><script>alert(1)</script></html>"),
    "a JPEG as a PNG": ("image/png", image(kind="JPEG")),
    "a program as an image": ("image/jpeg", b"MZ\x90\0" + bytes(200)),
    "noise as a video": ("video/mp4", b"\x11" * 500),
    "a page as text": ("text/plain", b"hello <script>alert(1)</script>"),
    "a page as a table": ("text/csv", b"a,b\n<!DOCTYPE html>,1"),
    "bytes as text": ("text/plain", b"abc\0def"),
    "other bytes as text": ("text/plain", b"abc\xff\xfe"),
    "an image as text": ("text/plain", image()),
    "a script in an SVG": ("image/svg+xml", SCRIPT),
    "a handler in an SVG": ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
    "a link in an SVG": (
        "image/svg+xml",
        b'<svg xmlns="http://www.w3.org/2000/svg"><a href="javascript:alert(1)">x</a></svg>',
    ),
    "entities in an SVG": (
        "image/svg+xml",
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>',
    ),
    "an SVG in another alphabet": ("image/svg+xml", SCRIPT.decode().encode("utf-16")),
    "a picture from elsewhere": (
        "image/svg+xml",
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://evil.test/x.png"/></svg>',
    ),
}


@pytest.mark.parametrize("kind", NOT_WHAT_THEY_SAY)
async def test_what_is_not_what_it_says_is_no_file(eu: Running, tenant: str, kind: str) -> None:
    content_type, data = NOT_WHAT_THEY_SAY[kind]
    async with refuses("FAILED_PRECONDITION", "MEDIA_TYPE_MISMATCH"):
        await keep(eu.media, tenant, data, content_type)


@pytest.mark.parametrize("content_type", ["text/html", "application/xhtml+xml", "text/javascript", "image/bmp", "x/y"])
async def test_types_that_are_not_kept_are_refused_at_once(eu: Running, tenant: str, content_type: str) -> None:
    async with refuses("INVALID_ARGUMENT", "MEDIA_TYPE_REFUSED") as refusal:
        await begin(eu.media, tenant, b"x", content_type)
    assert list(refusal.violations) == ["content_type"]


@pytest.mark.parametrize(("content_type", "size"), [("image/png", (1 << 30) + 1), ("image/svg+xml", MIB + 1)])
async def test_what_is_too_large_is_refused_at_once(eu: Running, tenant: str, content_type: str, size: int) -> None:
    request = pb.CreateUploadRequest(name="x", content_type=content_type, size_bytes=size)
    async with refuses("INVALID_ARGUMENT", "MEDIA_TOO_LARGE"):
        await eu.media.CreateUpload(request, metadata=of(tenant))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "AVIF"])
async def test_images_are_known_by_their_bytes(eu: Running, tenant: str, kind: str) -> None:
    made = await keep(eu.media, tenant, image(kind=kind), f"image/{kind.lower()}")
    assert made.content_type == f"image/{kind.lower()}"


async def test_a_stream_says_which_upload_it_is_of(eu: Running, tenant: str) -> None:
    async def nothing() -> AsyncIterator[pb.UploadChunkRequest]:
        yield pb.UploadChunkRequest(data=b"x")

    async with refuses("INVALID_ARGUMENT", "UPLOAD_NOT_INTRODUCED"):
        await eu.media.UploadChunk(nothing(), metadata=of(tenant))


# One effect, whoever comes at once.


async def test_many_finalizers_make_one_file(eu: Running, tenant: str) -> None:
    data = noise(5 * MIB)
    upload = await begin(eu.media, tenant, data)
    await send(eu.media, tenant, upload.id, data)
    made = await asyncio.gather(*(finalize(eu.media, tenant, upload.id) for _ in range(8)))
    assert len({each.id for each in made}) == 1
    listed = await eu.media.ListMedia(pb.ListMediaRequest(), metadata=of(tenant))
    assert [each.id for each in listed.media] == [made[0].id]
    assert await told(eu, tenant) == [("media.ready.v1", made[0].id)]


async def test_uploads_of_the_same_bytes_at_once_end_in_one_blob(eu: Running, tenant: str) -> None:
    data = noise(MIB)

    async def come_and_go() -> None:
        made = await keep(eu.media, tenant, data)
        assert await fetch(eu.media, tenant, made.id) == data
        await eu.media.DeleteMedia(pb.DeleteMediaRequest(id=made.id), metadata=of(tenant))

    # Deleting sweeps at once, so bytes go while others are about to use them.
    for _ in range(4):
        await asyncio.gather(*(come_and_go() for _ in range(6)))
    await gone(eu, tenant)
    assert await usage(eu, tenant) == (0, 0)


async def told(running: Running, tenant_id: str) -> list[tuple[str, str]]:
    """The events of the tenant, in their order."""
    owner = running.database()
    async with owner.transaction() as tx:
        await tx.execute(text("ALTER TABLE outbox NO FORCE ROW LEVEL SECURITY"))
        query = text("SELECT type, aggregate_id::text FROM outbox WHERE tenant_id = CAST(:id AS uuid) ORDER BY id")
        rows = (await tx.execute(query, {"id": tenant_id})).all()
        await tx.execute(text("ALTER TABLE outbox FORCE ROW LEVEL SECURITY"))
    await owner.close()
    return [(row.type, row.aggregate_id) for row in rows]


async def test_what_happens_is_told_and_written_down(eu: Running, tenant: str) -> None:
    made = await keep(eu.media, tenant, noise(10))
    await eu.media.DeleteMedia(pb.DeleteMediaRequest(id=made.id), metadata=of(tenant))
    assert await told(eu, tenant) == [("media.ready.v1", made.id), ("media.deleted.v1", made.id)]
    db = eu.database("center_app")
    async with db.transaction(tenant) as tx:
        rows = (await tx.execute(text("SELECT method, resource FROM audit_entries ORDER BY id"))).all()
    await db.close()
    assert [(row.method.rpartition("/")[2], row.resource) for row in rows] == [
        ("CreateUpload", "upload"),
        ("UploadChunk", "upload"),
        ("FinalizeUpload", "media"),
        ("DeleteMedia", "media"),
    ]


async def test_files_are_listed_page_by_page_and_filtered(eu: Running, tenant: str) -> None:
    made = [await keep(eu.media, tenant, noise(10), name=f"{n}.bin") for n in range(3)]
    await keep(eu.media, tenant, image(), "image/png")
    request = pb.ListMediaRequest(page_size=2, filter='content_type = "application/octet-stream"')
    first = await eu.media.ListMedia(request, metadata=of(tenant))
    request.page_token = first.next_page_token
    second = await eu.media.ListMedia(request, metadata=of(tenant))
    assert [each.id for each in (*first.media, *second.media)] == [each.id for each in reversed(made)]
    assert not second.next_page_token


# Room.


@pytest.fixture
async def script() -> ScriptedPlans:
    return ScriptedPlans()


@pytest.fixture
async def planned(start: Start, home: Path, script: ScriptedPlans) -> AsyncIterator[Running]:
    """A cluster that is told what plans give."""
    async with plans_at(home, script) as address, start(control_address=address) as running:
        await script.begin()
        yield running


async def with_room(running: Running, script: ScriptedPlans, size_bytes: int | None) -> str:
    new = entry()
    await running.apply(new)
    await script.tell(a_set(new.id, 1, standing("media_bytes", size_bytes)))
    return new.id


async def test_the_last_room_goes_to_one_of_those_who_want_it(planned: Running, script: ScriptedPlans) -> None:
    tenant_id = await with_room(planned, script, 10_500)
    data = noise(1000)

    async def tries() -> str:
        try:
            await begin(planned.media, tenant_id, data)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return "OK"

    outcomes = await asyncio.gather(*(tries() for _ in range(40)))
    assert outcomes.count("OK") == 10 and outcomes.count("RESOURCE_EXHAUSTED") == 30
    assert await usage(planned, tenant_id) == (0, 10_000)


async def test_room_is_freed_by_what_goes(planned: Running, script: ScriptedPlans) -> None:
    tenant_id = await with_room(planned, script, 3000)
    media = planned.media
    data, other = noise(2000), noise(2000)
    made = await keep(media, tenant_id, data)
    async with refuses("RESOURCE_EXHAUSTED", "MEDIA_QUOTA_REACHED") as refusal:
        await begin(media, tenant_id, other)
    assert refusal.metadata["limit"] == "3000" and refusal.metadata["used"] == "2000"
    assert refusal.metadata["feature"] == "media_bytes"
    small = await begin(media, tenant_id, noise(1000))
    await media.DeleteMedia(pb.DeleteMediaRequest(id=made.id), metadata=of(tenant_id))
    await keep(media, tenant_id, other)
    await media.AbortUpload(pb.AbortUploadRequest(id=small.id), metadata=of(tenant_id))
    await begin(media, tenant_id, noise(1000))


async def test_a_plan_without_media_keeps_none_and_one_without_limit_any(
    planned: Running, script: ScriptedPlans
) -> None:
    new = entry()
    await planned.apply(new)
    await script.tell(a_set(new.id, 1))
    async with refuses("RESOURCE_EXHAUSTED", "MEDIA_QUOTA_REACHED"):
        await begin(planned.media, new.id, b"x")
    await script.tell(a_set(new.id, 2, standing("media_bytes", None)))
    await begin(planned.media, new.id, noise(5 * MIB))


async def test_a_variant_needs_room_too(planned: Running, script: ScriptedPlans) -> None:
    data = image(200, 200)
    tenant_id = await with_room(planned, script, len(data) + 10)
    made = await keep(planned.media, tenant_id, data, "image/png")
    async with refuses("RESOURCE_EXHAUSTED", "MEDIA_QUOTA_REACHED"):
        await variant(planned, tenant_id, made.id)
    assert await usage(planned, tenant_id) == (len(data), 0)


# Variants.


async def variant(running: Running, tenant_id: str, media_id: str, name: str = "thumb", **more: int) -> pb.MediaVariant:
    request = pb.CreateVariantRequest(id=media_id, name=name, **({"width": 32, "height": 32} | more))  # type: ignore[arg-type]
    return (await running.media.CreateVariant(request, metadata=of(tenant_id))).variant


@pytest.mark.parametrize(
    ("kind", "asked", "size"),
    [
        ("WEBP", {"width": 32, "height": 32}, (32, 16)),
        ("JPEG", {"width": 50, "height": 0}, (50, 25)),
        ("PNG", {"width": 0, "height": 20}, (40, 20)),
        ("WEBP", {"width": 4000, "height": 4000}, (100, 50)),
    ],
)
async def test_a_variant_is_another_size_and_format(
    cluster: Running, shop: str, kind: str, asked: dict[str, int], size: tuple[int, int]
) -> None:
    made = await keep(cluster.media, shop, image(100, 50), "image/png", name="a.png")
    new = await variant(cluster, shop, made.id, format=pb.ImageFormat.Value(f"IMAGE_FORMAT_{kind}"), **asked)
    data = await fetch(cluster.media, shop, made.id, variant="thumb")
    assert (new.width, new.height) == size and new.content_type == f"image/{kind.lower()}"
    assert (len(data), sha256_of(data)) == (new.size_bytes, new.sha256)
    with Image.open(io.BytesIO(data)) as found:
        assert (found.size, found.format) == (size, kind)
    known = (await cluster.media.GetMedia(pb.GetMediaRequest(id=made.id), metadata=of(shop))).media
    assert list(known.variants) == [new]
    await cluster.media.DeleteMedia(pb.DeleteMediaRequest(id=made.id), metadata=of(shop))
    await gone(cluster, shop)
    assert await usage(cluster, shop) == (0, 0)


async def test_a_variant_tells_nothing_but_its_pixels(eu: Running, tenant: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = "the place where it was taken"
    data = image(100, 50, "JPEG", exif=exif, comment=b"a secret")
    assert b"the place" in data and b"a secret" in data
    made = await keep(eu.media, tenant, data, "image/jpeg")
    for n, kind in enumerate((pb.IMAGE_FORMAT_JPEG, pb.IMAGE_FORMAT_WEBP, pb.IMAGE_FORMAT_PNG)):
        new = await variant(eu, tenant, made.id, f"v{n}", width=50, height=0, format=kind)
        assert (new.width, new.height) == (50, 100)
        found = await fetch(eu.media, tenant, made.id, variant=f"v{n}")
        assert b"the place" not in found and b"a secret" not in found and b"Exif" not in found


async def test_a_variant_is_made_once(eu: Running, tenant: str) -> None:
    made = await keep(eu.media, tenant, image(), "image/png")
    same = await asyncio.gather(*(variant(eu, tenant, made.id) for _ in range(4)))
    assert len({each.SerializeToString() for each in same}) == 1
    async with refuses("ALREADY_EXISTS", "VARIANT_EXISTS"):
        await variant(eu, tenant, made.id, width=16)
    async with refuses("INVALID_ARGUMENT", "FIELD_INVALID"):
        await variant(eu, tenant, made.id, "other", width=0, height=0)
    stored, reserved = await usage(eu, tenant)
    assert (stored, reserved) == (made.size_bytes + same[0].size_bytes, 0)


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes and so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" + bytes(width // 8 + 1)
    squeeze = zlib.compressobj(9)
    packed = b"".join([*(squeeze.compress(row) for _ in range(height)), squeeze.flush()])
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(30_000, 30_000), (8_000, 8_000), (65_000, 700)])
async def test_an_image_of_too_many_pixels_is_not_decoded(eu: Running, tenant: str, size: tuple[int, int]) -> None:
    data = bomb(*size)
    assert len(data) < MIB
    made = await keep(eu.media, tenant, data, "image/png")
    async with refuses("FAILED_PRECONDITION", "IMAGE_TOO_LARGE"):
        await variant(eu, tenant, made.id)


BROKEN = {
    "half a PNG": ("image/png", image(200, 200)[:5000]),
    "only its head": ("image/png", image()[:40]),
    "half a JPEG's head": ("image/jpeg", image(kind="JPEG")[:30]),
    "a GIF of nothing": ("image/gif", b"GIF89a" + bytes(20)),
    "a WebP of nothing": ("image/webp", b"RIFF\x20\0\0\0WEBPVP8 " + bytes(24)),
    "a PNG whose data is noise": ("image/png", image()[:60] + noise(500)),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_image_has_no_variants(eu: Running, tenant: str, kind: str) -> None:
    content_type, data = BROKEN[kind]
    made = await keep(eu.media, tenant, data, content_type)
    async with refuses("FAILED_PRECONDITION", "IMAGE_NOT_READABLE"):
        await variant(eu, tenant, made.id)
    assert await usage(eu, tenant) == (len(data), 0)


async def test_what_is_no_image_has_no_variants(eu: Running, tenant: str) -> None:
    made = await keep(eu.media, tenant, b"only words", "text/plain")
    async with refuses("FAILED_PRECONDITION", "NOT_AN_IMAGE"):
        await variant(eu, tenant, made.id)


async def test_a_file_has_only_so_many_variants(eu: Running, tenant: str) -> None:
    made = await keep(eu.media, tenant, image(8, 8), "image/png")
    db = eu.database("center_app")
    async with db.transaction(tenant) as tx:
        await tx.execute(
            text(
                "INSERT INTO media_variants SELECT tenant_id, id, 'v' || n, 'image/png', 1, sha256, 1, 1, '', now() "
                "FROM media, generate_series(1, 20) n"
            )
        )
    await db.close()
    async with refuses("FAILED_PRECONDITION", "TOO_MANY_VARIANTS"):
        await variant(eu, tenant, made.id)


# What is over goes.


async def test_an_upload_that_nobody_goes_on_with_vanishes(start: Start) -> None:
    clock = Clock()
    async with start("eu-1", clock=clock) as running:
        new = entry()
        await running.apply(new)
        data = noise(5 * MIB)
        left = await begin(running.media, new.id, data)
        await send(running.media, new.id, left.id, data)
        clock.ahead = timedelta(hours=23)
        await running.cluster.sweeper.sweep()
        young = await begin(running.media, new.id, data)
        await send(running.media, new.id, young.id, data[:100])
        clock.ahead = timedelta(hours=25)
        assert await running.cluster.sweeper.sweep() == 1
        async with refuses("NOT_FOUND", "UPLOAD_NOT_FOUND"):
            await running.media.GetUpload(pb.GetUploadRequest(id=left.id), metadata=of(new.id))
        assert await objects(running, new.id) == [upload_key(new.id, young.id, 0)]
        assert await usage(running, new.id) == (0, len(data))
        assert await send(running.media, new.id, young.id, data, 100) == len(data)


async def test_an_upload_in_use_does_not_expire(start: Start) -> None:
    clock = Clock()
    async with start("eu-1", clock=clock) as running:
        new = entry()
        await running.apply(new)
        data = noise(300)
        upload = await begin(running.media, new.id, data)
        for n in range(3):
            clock.ahead = timedelta(hours=20 * n)
            await running.cluster.sweeper.sweep()
            await send(running.media, new.id, upload.id, data[: 100 * (n + 1)], 100 * n)
        await finalize(running.media, new.id, upload.id)


async def test_bytes_that_no_row_knows_are_found(start: Start) -> None:
    clock = Clock()
    async with start("eu-1", clock=clock) as running:
        new, frozen, elsewhere = entry(), entry(), entry()
        await running.apply(new, frozen, elsewhere)
        made = await keep(running.media, new.id, noise(10))
        upload = await begin(running.media, new.id, b"xy")
        await send(running.media, new.id, upload.id, b"x")
        known = await objects(running, new.id)
        kept: Objects = running.cluster.objects
        stray = [f"{new.id}/{'0' * 64}/00000", upload_key(new.id, new.id, 0)]
        for key in stray:
            await kept.put(key, b"left")
        for tenant_id in (frozen.id, elsewhere.id):
            await kept.put(f"{tenant_id}/{'0' * 64}/00000", b"left")
        await running.apply(entry(frozen.id, writes_frozen=True), entry(elsewhere.id, cluster_id="us-1"))
        assert await running.cluster.sweeper.sweep_strays() == 0
        clock.ahead = timedelta(hours=2)
        assert await running.cluster.sweeper.sweep_strays() == len(stray)
        assert await objects(running, new.id) == known
        assert await fetch(running.media, new.id, made.id)
        # Who moves, or has moved, keeps everything here.
        for tenant_id in (frozen.id, elsewhere.id):
            assert await objects(running, tenant_id)
            await kept.delete_below(tenant_id)


async def test_a_half_written_file_of_a_killed_process_is_found(start: Start, home: Path) -> None:
    clock = Clock()
    async with start("eu-1", clock=clock) as running:
        left = home / "media" / "eu-1" / "some" / "00000#1"
        left.parent.mkdir(parents=True)
        left.write_bytes(b"half")
        await running.cluster.sweeper.sweep_strays()
        assert left.exists()
        clock.ahead = timedelta(hours=2)
        await running.cluster.sweeper.sweep_strays()
        assert not left.exists()


# A tenant that is closed, moves, or goes.


async def test_a_closed_shop_takes_no_bytes_and_gives_its_own(eu: Running, tenant: str) -> None:
    data = noise(5 * MIB)
    made = await keep(eu.media, tenant, data)
    upload = await begin(eu.media, tenant, noise(10))
    await eu.apply(entry(tenant, writes_frozen=True))
    async with refuses("UNAVAILABLE", "TENANT_MOVING"):
        await send(eu.media, tenant, upload.id, b"x")
    async with refuses("UNAVAILABLE", "TENANT_MOVING"):
        await eu.media.DeleteMedia(pb.DeleteMediaRequest(id=made.id), metadata=of(tenant))
    assert await fetch(eu.media, tenant, made.id) == data


async def test_bytes_follow_their_tenant(eu: Running, us: Running, tenant: str) -> None:
    data, picture = noise(9 * MIB), image(100, 100)
    made = await keep(eu.media, tenant, data)
    pictured = await keep(eu.media, tenant, picture, "image/png")
    await variant(eu, tenant, pictured.id)
    begun = noise(6 * MIB)
    upload = await begin(eu.media, tenant, begun)
    await send(eu.media, tenant, upload.id, begun[: 5 * MIB])
    kept = await objects(eu, tenant)
    moving = entry(tenant, writes_frozen=True, moving_to_cluster_id="us-1")
    await eu.apply(moving)
    await move_rows(eu, us, moving)
    assert await digest(us, tenant) == await digest(eu, tenant)
    assert await objects(us, tenant) == kept
    moved = entry(tenant, cluster_id="us-1")
    for running in (us, eu):
        await running.apply(moved)
    await remove(eu, tenant, moved.revision)
    assert await objects(eu, tenant) == []
    assert await fetch(us.media, tenant, made.id) == data
    assert await fetch(us.media, tenant, pictured.id, variant="thumb")
    await send(us.media, tenant, upload.id, begun, 5 * MIB)
    assert await fetch(us.media, tenant, (await finalize(us.media, tenant, upload.id)).id) == begun


async def remove(running: Running, tenant_id: str, revision: int) -> None:
    await running.commands.RemoveTenant(runtime_pb.RemoveTenantRequest(tenant_id=tenant_id, revision=revision))


async def test_in_one_bucket_nothing_moves_and_only_a_deletion_deletes(start: Start, in_s3: Running) -> None:
    new = entry()
    await in_s3.apply(new)
    data = noise(5 * MIB)
    made = await keep(in_s3.media, new.id, data)
    kept = await objects(in_s3, new.id)
    async with start("us-1", media_url=f"s3://{BUCKET}/center/media") as there:
        assert there.cluster.objects.place == in_s3.cluster.objects.place
        moving = entry(new.id, writes_frozen=True, moving_to_cluster_id="us-1")
        await in_s3.apply(moving)
        request = runtime_pb.ExportTenantRequest(tenant_id=new.id, target_object_place=there.cluster.objects.place)
        sent = [part async for part in in_s3.commands.ExportTenant(request)]
        assert not any(part.HasField("object") for part in sent)
        await move_rows(in_s3, there, moving)
        moved = entry(new.id, cluster_id="us-1")
        for running in (there, in_s3):
            await running.apply(moved)
        await remove(in_s3, new.id, moved.revision)
        assert await objects(there, new.id) == kept
        assert await fetch(there.media, new.id, made.id) == data
        deleting = entry(new.id, cluster_id="us-1", state=tenant_pb2.TENANT_STATE_DELETING)
        await there.apply(deleting)
        await remove(there, new.id, deleting.revision)
        assert await objects(there, new.id) == []


@pytest.mark.parametrize("fault", ["gone", "short", "others"])
async def test_a_move_whose_bytes_are_not_whole_is_none(eu: Running, us: Running, tenant: str, fault: str) -> None:
    data = noise(5 * MIB)
    await keep(eu.media, tenant, data)
    moving = entry(tenant, writes_frozen=True, moving_to_cluster_id="us-1")
    await eu.apply(moving)

    async def requests() -> AsyncIterator[runtime_pb.ImportTenantRequest]:
        yield runtime_pb.ImportTenantRequest(tenant=moving)
        async for part in eu.commands.ExportTenant(runtime_pb.ExportTenantRequest(tenant_id=tenant)):
            if not part.HasField("object"):
                yield runtime_pb.ImportTenantRequest(rows=part.rows)
                continue
            if part.object.key.endswith("00001"):
                if fault == "gone":
                    continue
                changed = part.object.data[:-1] if fault == "short" else noise(len(part.object.data))
                part.object.data = changed
            yield runtime_pb.ImportTenantRequest(object=part.object)

    async with refuses("FAILED_PRECONDITION", "MEDIA_INCOMPLETE"):
        await us.commands.ImportTenant(requests())
    async with refuses("NOT_FOUND", "TENANT_NOT_FOUND"):
        await us.media.ListMedia(pb.ListMediaRequest(), metadata=of(tenant))


@pytest.mark.parametrize("key", ["{other}/x/00000", "{mine}/../{other}/00000", "{mine}/00000", "x", "/{mine}/x/0"])
async def test_an_import_brings_no_object_of_another_tenant(eu: Running, us: Running, tenant: str, key: str) -> None:
    moving = entry(tenant, writes_frozen=True, moving_to_cluster_id="us-1")
    await eu.apply(moving)
    other = entry().id

    async def requests() -> AsyncIterator[runtime_pb.ImportTenantRequest]:
        yield runtime_pb.ImportTenantRequest(tenant=moving)
        wrong = runtime_pb.TenantObject(key=key.format(mine=tenant, other=other), data=b"x")
        yield runtime_pb.ImportTenantRequest(object=wrong)

    async with refuses("INVALID_ARGUMENT", "OBJECT_INVALID"):
        await us.commands.ImportTenant(requests())
    assert await objects(us, other) == []


async def test_bytes_that_somebody_is_about_to_use_stay(eu: Running, tenant: str) -> None:
    """Between the moment at which a finalizer has found its bytes kept, and the row of its file."""
    data = noise(MIB)
    made = await keep(eu.media, tenant, data)
    upload = await begin(eu.media, tenant, data)
    db = eu.database("center_app")
    async with db.transaction(tenant) as tx:
        assert await store.claim(tx, tenant, made.sha256, len(data))
        await store.change(tx, tenant, upload.id, state=State.FINALIZING, sha256=made.sha256)
    await eu.media.DeleteMedia(pb.DeleteMediaRequest(id=made.id), metadata=of(tenant))
    await eu.cluster.sweeper.sweep()
    assert await objects(eu, tenant)
    async with db.transaction(tenant) as tx:
        assert await store.unused(tx, tenant, made.sha256) is None
        await store.change(tx, tenant, upload.id, state=State.RECEIVING, sha256="")
        assert await store.unused(tx, tenant, made.sha256) == len(data)
    await db.close()
    await eu.cluster.sweeper.sweep()
    assert not await objects(eu, tenant)
