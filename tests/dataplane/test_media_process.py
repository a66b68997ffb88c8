"""The process of a cluster under files: how much memory it takes, and what is left when it is killed."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from sqlalchemy import text

from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.shared.v1 import media_service_pb2 as pb
from shared.media.objects import Objects
from shared.runtime.db import Database
from tests.dataplane.cluster import entry
from tests.support.cluster_process import ClusterProcess
from tests.support.media import CHUNK_BYTES, begin, digest, fetch, finalize, noise, of, send

MIB = 1 << 20
LARGE = 100 * MIB
GROWTH = 32 * MIB
SEED = 20260422
ROUNDS = 8


@pytest.fixture
async def process(home: Path, make_database: Callable[[str], str]) -> AsyncIterator[ClusterProcess]:
    running = ClusterProcess(home, make_database("cluster_process"))
    running.start()
    yield running
    await running.close()


@pytest.fixture
async def tenant_id(process: ClusterProcess) -> str:
    new = entry()
    await process.commands.ApplyTenants(runtime_pb.ApplyTenantsRequest(tenants=[new]))
    return new.id


async def test_a_hundred_megabytes_up_and_down_take_flat_memory(process: ClusterProcess, tenant_id: str) -> None:
    media = process.media
    data = noise(LARGE)
    # What every process has once it has done anything.
    small = await begin(media, tenant_id, data[:1000])
    await send(media, tenant_id, small.id, data[:1000])
    await finalize(media, tenant_id, small.id)
    before = highest = process.memory_bytes

    async def watch() -> None:
        nonlocal highest
        while True:
            highest = max(highest, process.memory_bytes)
            await asyncio.sleep(0.005)

    watching = asyncio.ensure_future(watch())
    upload = await begin(media, tenant_id, data)
    await send(media, tenant_id, upload.id, data)
    made = await finalize(media, tenant_id, upload.id)
    up = highest - before
    # A slow reader: what it has not taken waits where it lies.
    request = pb.DownloadMediaRequest(id=made.id)
    received = 0
    async for answer in media.DownloadMedia(request, metadata=of(tenant_id)):
        received += len(answer.data)
        assert len(answer.data) <= CHUNK_BYTES
        await asyncio.sleep(0.002)
    watching.cancel()
    assert received == LARGE
    assert highest - before < GROWTH, f"{up >> 20} MiB more up, {(highest - before) >> 20} MiB in all"


async def test_what_is_killed_resumes_or_vanishes(
    process: ClusterProcess, tenant_id: str, home: Path, make_database: Callable[[str], str]
) -> None:
    """kill -9 at random moments of uploads and of what makes files of them: every file is whole, every upload goes on
    from where it says that it is, and in the end nothing is kept that no row names."""
    chance = random.Random(SEED)
    objects = Objects.at(f"file://{home}/media", "eu-1")
    await objects.delete_below(tenant_id)
    data = noise(21 * MIB)
    whole = digest(data)
    made: list[pb.Media] = []
    upload: pb.Upload | None = None
    for _ in range(ROUNDS):
        media = process.media
        killing = asyncio.ensure_future(_killed(process, chance.uniform(0.01, 0.5)))
        with suppress(grpc.aio.AioRpcError):
            while not killing.done():
                if upload is None:
                    upload = await begin(media, tenant_id, data, sha256=whole)
                at = (await media.GetUpload(pb.GetUploadRequest(id=upload.id), metadata=of(tenant_id))).upload.offset
                if at < len(data):
                    await send(media, tenant_id, upload.id, data, at)
                made.append(await finalize(media, tenant_id, upload.id))
                upload = None
        await killing
        process.start()
    media = process.media
    listed = await media.ListMedia(pb.ListMediaRequest(page_size=500), metadata=of(tenant_id))
    assert {each.id for each in made} <= {each.id for each in listed.media}
    if upload is not None:
        at = (await media.GetUpload(pb.GetUploadRequest(id=upload.id), metadata=of(tenant_id))).upload.offset
        if at < len(data):
            await send(media, tenant_id, upload.id, data, at)
        await finalize(media, tenant_id, upload.id)
    listed = await media.ListMedia(pb.ListMediaRequest(page_size=500), metadata=of(tenant_id))
    for each in listed.media[:3]:
        assert digest(await fetch(media, tenant_id, each.id)) == whole
    for each in listed.media:
        await media.DeleteMedia(pb.DeleteMediaRequest(id=each.id), metadata=of(tenant_id))
    await _swept(process, tenant_id, objects)


async def _killed(process: ClusterProcess, after_s: float) -> None:
    await asyncio.sleep(after_s)
    await asyncio.to_thread(process.kill)


async def _swept(process: ClusterProcess, tenant_id: str, objects: Objects) -> None:
    """What is left is of uploads that a kill has left and nobody goes on with: a day later it is gone."""
    db = Database.connect(process.database_url)
    async with db.transaction() as tx:
        await tx.execute(text("ALTER TABLE media_uploads NO FORCE ROW LEVEL SECURITY"))
        stmt = text("UPDATE media_uploads SET expire_time = :then WHERE tenant_id = CAST(:id AS uuid)")
        await tx.execute(stmt, {"then": datetime.now(UTC) - timedelta(seconds=1), "id": tenant_id})
        await tx.execute(text("ALTER TABLE media_uploads FORCE ROW LEVEL SECURITY"))
    # A deletion wakes the sweeper.
    media = process.media
    upload = await begin(media, tenant_id, b"x")
    await media.AbortUpload(pb.AbortUploadRequest(id=upload.id), metadata=of(tenant_id))
    async with asyncio.timeout(20):
        while [each async for some in objects.below(tenant_id) for each in some]:
            await asyncio.sleep(0.05)
    async with db.transaction() as tx:
        await tx.execute(text("ALTER TABLE media_usage NO FORCE ROW LEVEL SECURITY"))
        stmt = text("SELECT stored_bytes + reserved_bytes FROM media_usage WHERE tenant_id = CAST(:id AS uuid)")
        left = (await tx.execute(stmt, {"id": tenant_id})).scalar_one()
        await tx.execute(text("ALTER TABLE media_usage FORCE ROW LEVEL SECURITY"))
    await db.close()
    assert left == 0
