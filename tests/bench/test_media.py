"""How fast a hundred megabytes go up and down, against the same chunks on a bare stream, and in how much memory."""

import asyncio
import contextlib
import multiprocessing
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import pytest
import uvloop

from center.dataplane.v1 import tenant_runtime_service_pb2 as runtime_pb
from center.shared.v1 import media_service_pb2 as pb
from center.shared.v1.media_service_pb2_grpc import MediaServiceStub
from shared.runtime import pki
from shared.runtime.rpc.channel import connect
from shared.runtime.rpc.server import MESSAGE_LIMIT_BYTES
from tests.bench.measure import ratio, show
from tests.dataplane.cluster import entry
from tests.support.cluster_process import CLUSTER, ClusterProcess
from tests.support.media import CHUNK_BYTES, begin, finalize, noise, of

SIZE_BYTES = 100 << 20
ROUNDS = 3
BAR_BYTES = 32 << 20


@contextlib.contextmanager
def bare(home: Path) -> Iterator[int]:
    """The port of a server, in a process of its own, that takes chunks and forgets them, and gives as many."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(home, there), daemon=True)
    process.start()
    yield here.recv()
    here.send(None)
    process.join(10)


def _serve(home: Path, ready: Connection) -> None:
    uvloop.run(_serving(home, ready))


async def _serving(home: Path, ready: Connection) -> None:
    chunk = pb.DownloadMediaResponse(data=noise(CHUNK_BYTES))

    async def up(requests: AsyncIterator[pb.UploadChunkRequest], _: Any) -> pb.UploadChunkResponse:
        taken = 0
        async for request in requests:
            taken += len(request.data)
        return pb.UploadChunkResponse(offset=taken)

    async def down(_: pb.DownloadMediaRequest, __: Any) -> AsyncIterator[pb.DownloadMediaResponse]:
        for _n in range(SIZE_BYTES // CHUNK_BYTES):
            yield chunk

    handlers = {
        "UploadChunk": grpc.stream_unary_rpc_method_handler(
            up, pb.UploadChunkRequest.FromString, pb.UploadChunkResponse.SerializeToString
        ),
        "DownloadMedia": grpc.unary_stream_rpc_method_handler(
            down, pb.DownloadMediaRequest.FromString, pb.DownloadMediaResponse.SerializeToString
        ),
    }
    identity = pki.load(home, f"cluster/{CLUSTER.id}")
    server = grpc.aio.server(options=(("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("center.shared.v1.MediaService", handlers),))
    credentials = grpc.ssl_server_credentials([(identity.key_pem, identity.cert_pem)], identity.ca_pem, True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    ready.send(port)
    await asyncio.to_thread(ready.recv)
    await server.stop(None)


@pytest.fixture
async def process(home: Path, make_database: Callable[[str], str]) -> AsyncIterator[ClusterProcess]:
    running = ClusterProcess(home, make_database("cluster_bench"))
    running.start()
    yield running
    await running.close()


async def test_a_hundred_megabytes(home: Path, process: ClusterProcess) -> None:
    tenant = entry()
    await process.commands.ApplyTenants(runtime_pb.ApplyTenantsRequest(tenants=[tenant]))
    kept, data = process.media, noise(SIZE_BYTES)
    times: dict[str, list[float]] = {name: [] for name in ("up", "finalize", "down", "bare up", "bare down")}
    with bare(home) as port:
        reference = _connected(home, port)
        before = highest = process.memory_bytes

        async def watch() -> None:
            nonlocal highest
            while True:
                highest = max(highest, process.memory_bytes)
                await asyncio.sleep(0.01)

        watching = asyncio.ensure_future(watch())
        for _ in range(ROUNDS):
            times["bare up"].append(await _up(reference, tenant.id, "", data))
            upload = await begin(kept, tenant.id, data)
            times["up"].append(await _up(kept, tenant.id, upload.id, data))
            began = time.perf_counter()
            media_id = (await finalize(kept, tenant.id, upload.id)).id
            times["finalize"].append(time.perf_counter() - began)
            times["bare down"].append(await _down(reference, tenant.id, ""))
            times["down"].append(await _down(kept, tenant.id, media_id))
        watching.cancel()
    # With its end: without that an upload is no file.
    times["up, finalized"] = [sum(both) for both in zip(times["up"], times["finalize"], strict=True)]

    def row(name: str, against: str) -> list[str]:
        took_s = times[name]
        ratios = [other / mine for mine, other in zip(took_s, times[against], strict=True)]
        return [name, f"{SIZE_BYTES / statistics.median(took_s) / 1e6:,.0f} MB/s", ratio(ratios)]

    grown = highest - before
    show(
        f"{SIZE_BYTES >> 20} MiB in chunks of {CHUNK_BYTES >> 10} KiB, to a folder",
        ("", "throughput", "of the bare stream"),
        [
            row("bare up", "bare up"),
            row("up", "bare up"),
            row("up, finalized", "bare up"),
            row("bare down", "bare down"),
            row("down", "bare down"),
        ],
        f"memory of the cluster's process: {grown / (1 << 20):.1f} MiB more, "
        f"{grown / BAR_BYTES:.2f} of the bar of {BAR_BYTES >> 20} MiB",
    )


def _connected(home: Path, port: int) -> Any:
    return MediaServiceStub(connect(f"127.0.0.1:{port}", pki.load(home, "operator"), server=CLUSTER.id))


async def _up(media: Any, tenant_id: str, upload_id: str, data: bytes) -> float:
    async def requests() -> AsyncIterator[pb.UploadChunkRequest]:
        yield pb.UploadChunkRequest(upload_id=upload_id)
        for at in range(0, len(data), CHUNK_BYTES):
            yield pb.UploadChunkRequest(data=data[at : at + CHUNK_BYTES])

    began = time.perf_counter()
    answer = await media.UploadChunk(requests(), metadata=of(tenant_id))
    assert answer.offset == len(data)
    return time.perf_counter() - began


async def _down(media: Any, tenant_id: str, media_id: str) -> float:
    began, received = time.perf_counter(), 0
    async for answer in media.DownloadMedia(pb.DownloadMediaRequest(id=media_id), metadata=of(tenant_id)):
        received += len(answer.data)
    assert received == SIZE_BYTES
    return time.perf_counter() - began
