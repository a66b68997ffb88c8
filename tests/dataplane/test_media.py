"""A tenant's files, through a running cluster: uploads that resume, bytes kept once, variants, signed URLs."""

import asyncio

from center.shared.v1 import media_service_pb2 as pb
from tests.dataplane.cluster import Running, of
from tests.support.grpc import refuses
from tests.support.media import begin, chunks, digest, fetch, finalize, image, keep, noise, pieces, send

MIB = 1 << 20


async def test_a_file_comes_back_as_it_went_in(eu: Running, tenant: str) -> None:
    data = noise(9 * MIB + 12345)
    made = await keep(eu.media, tenant, data, name="Katalog 2026.bin")
    assert (made.name, made.size_bytes, made.sha256) == ("Katalog 2026.bin", len(data), digest(data))
    assert (await eu.media.GetMedia(pb.GetMediaRequest(id=made.id), metadata=of(tenant))).media == made
    back = await pieces(eu.media, tenant, made.id)
    assert b"".join(back) == data
    assert max(map(len, back)) <= MIB
