"""Files over HTTP: a real Envoy in front of a real cluster, signed URLs, ranges, uploads as a request's body."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest

from center.control.v1 import catalog_service_pb2 as catalog_pb
from center.shared.v1 import media_service_pb2 as pb
from edge.xds.topology import Cluster, Domain, Endpoint, Tenant
from shared.media.signing import Signer
from shared.runtime import keys, pki
from tests.dataplane.cluster import Running, bearer, entry, of
from tests.edge import proxy
from tests.edge.conftest import running_edge
from tests.edge.web import Answer, Shopper
from tests.support.media import begin, fetch, finalize, image, keep, noise, send

MIB = 1 << 20


@dataclass
class Web:
    """Two shops at one cluster, behind Envoy."""

    running: Running
    shopper: Shopper
    envoy: proxy.Envoy
    mine: str
    other: str

    async def url(self, media_id: str, **more: object) -> str:
        request = pb.GetServingUrlRequest(id=media_id, **more)  # type: ignore[arg-type]
        return (await self.running.media.GetServingUrl(request, metadata=of(self.mine))).url

    async def get(self, url: str, host: str = "", **headers: str) -> Answer:
        parts = urlsplit(url)
        return await self.shopper.get(host or parts.hostname or "", f"{parts.path}?{parts.query}", **headers)

    async def head(self, url: str, **headers: str) -> Answer:
        parts = urlsplit(url)
        return await self.shopper.send("HEAD", parts.hostname or "", f"{parts.path}?{parts.query}", **headers)


@pytest.fixture(scope="module")
async def web(eu: Running, home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Web]:
    pki.ensure(home, ["edge", "envoy"])
    tenants, routed = [], []
    for number, name in enumerate(("mine", "other")):
        domain = f"{name}.media.test"
        known = entry(domains=[catalog_pb.CatalogDomain(name=domain, number=number + 1)], primary_domain=domain)
        tenants.append(known)
        routed.append(Tenant(known.id, known.code, 1, domains=(Domain(domain, number + 1),), cluster_id="eu-1"))
    await eu.apply(*tenants)
    async with running_edge(home) as edge:
        place = Endpoint("127.0.0.1", eu.cluster.server.port)
        edge.set(*routed, clusters=(Cluster("eu-1", 1, "eu", (place,)),))
        async with proxy.envoy(home, tmp_path_factory.mktemp("envoy"), edge.port) as envoy:
            await envoy.listening()
            shopper = Shopper(envoy.port)
            yield Web(eu, shopper, envoy, tenants[0].id, tenants[1].id)
            await shopper.close()


async def test_a_signed_url_gives_anyone_the_file_as_it_is(web: Web) -> None:
    data = image()
    made = await keep(web.running.media, web.mine, data, "image/png", name='löwe "1".png')
    url = await web.url(made.id)
    assert url.startswith("http://mine.media.test:8080/media/")
    answer = await web.get(url)
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["etag"] == f'"{made.sha256}"'
    assert "immutable" in answer.headers["cache-control"] and int(answer.headers["cache-control"].split("=")[1][:4]) > 0
    assert answer.headers["content-disposition"].startswith("inline; filename=\"l_we _1_.png\"; filename*=UTF-8''l%C3")


async def test_a_head_says_what_a_get_would_and_sends_nothing(web: Web) -> None:
    # In one message of the cluster's, and in many.
    for data in (noise(100), noise(5 * MIB)):
        made = await keep(web.running.media, web.mine, data)
        url = await web.url(made.id)
        for headers in ({}, {"range": "bytes=10-19"}, {"if_none_match": f'"{made.sha256}"'}):
            got = await web.get(url, **headers)
            told = await web.head(url, **headers)
            assert (told.status, told.body) == (got.status, b"")
            kept = ("content-type", "etag", "cache-control", "accept-ranges", "content-range", "content-disposition")
            assert [told.headers.get(name) for name in kept] == [got.headers.get(name) for name in kept]
            length = {200: str(len(data)), 206: "10"}.get(got.status)
            assert told.headers.get("content-length") == length, got.status
            assert "x-center-length" not in told.headers
    refused = await web.head(url[:-3] + "AAA")
    assert (refused.status, refused.body) == (403, b"")


async def test_what_a_browser_has_is_not_sent_again(web: Web) -> None:
    made = await keep(web.running.media, web.mine, image(), "image/png")
    answer = await web.get(await web.url(made.id), if_none_match=f'"{made.sha256}"')
    assert (answer.status, answer.body) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "first", "behind"),
    [("bytes=10-19", 10, 20), ("bytes=-7", 93, 100), ("bytes=90-", 90, 100), ("bytes=5-999", 5, 100)],
)
async def test_a_range_is_a_part(web: Web, asked: str, first: int, behind: int) -> None:
    data = noise(100)
    made = await keep(web.running.media, web.mine, data)
    answer = await web.get(await web.url(made.id), range=asked)
    assert (answer.status, answer.body) == (206, data[first:behind])
    assert answer.headers["content-range"] == f"bytes {first}-{behind - 1}/100"


async def test_a_range_that_means_nothing_is_the_whole_and_one_behind_the_end_is_refused(web: Web) -> None:
    data = noise(100)
    made = await keep(web.running.media, web.mine, data)
    url = await web.url(made.id)
    for asked in ("bytes=", "rows=1-2", "bytes=5-1", "bytes=0-1,4-5"):
        assert (await web.get(url, range=asked)).body == data
    assert (await web.get(url, range="bytes=0-9", if_range='"other"')).status == 200
    answer = await web.get(url, range="bytes=100-")
    assert (answer.status, answer.reason) == (400, "RANGE_INVALID")


async def test_a_url_is_of_one_shop_one_file_one_variant_and_one_time(web: Web) -> None:
    media = web.running.media
    made = await keep(media, web.mine, image(), "image/png")
    other = await keep(media, web.mine, image(), "image/png")
    variant = pb.CreateVariantRequest(id=made.id, name="thumb", width=16)
    await media.CreateVariant(variant, metadata=of(web.mine))
    url = await web.url(made.id)
    for wrong in (
        url.replace(made.id, other.id),
        url.replace("expires=", "expires=9"),
        url.replace("?expires", "?variant=thumb&expires"),
        url[:-3] + "AAA",
        url.partition("&signature")[0],
    ):
        answer = await web.get(wrong)
        assert (answer.status, answer.reason) == (403, "MEDIA_URL_INVALID"), wrong
    answer = await web.get(url, host="other.media.test")
    assert (answer.status, answer.reason) == (403, "MEDIA_URL_INVALID")
    thumb = await web.get(await web.url(made.id, variant="thumb"))
    assert (thumb.status, thumb.headers["content-type"]) == (200, "image/webp")
    assert thumb.body == await fetch(media, web.mine, made.id, variant="thumb")


async def test_a_url_expires(web: Web) -> None:
    made = await keep(web.running.media, web.mine, image(), "image/png")
    now = datetime.now(UTC)
    signer = Signer(keys.load(web.running.home, "media"))
    for left, status in ((timedelta(minutes=1), 200), (timedelta(seconds=-1), 403)):
        path = signer.path(web.mine, made.id, "", int((now + left).timestamp()))
        answer = await web.get(f"http://mine.media.test{path}")
        assert answer.status == status
    assert answer.reason == "MEDIA_URL_EXPIRED"


async def test_a_deleted_file_is_gone_at_its_url(web: Web) -> None:
    made = await keep(web.running.media, web.mine, image(), "image/png")
    url = await web.url(made.id)
    await web.running.media.DeleteMedia(pb.DeleteMediaRequest(id=made.id), metadata=of(web.mine))
    answer = await web.get(url)
    assert (answer.status, answer.reason) == (404, "MEDIA_NOT_FOUND")


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'),
        ("application/octet-stream", b"<html><script>alert(1)</script></html>"),
        ("text/plain", b"only words"),
        ("application/pdf", b"%PDF-1.7\n1 0 obj\nendobj\n%%EOF"),
    ],
)
async def test_what_a_browser_might_run_is_an_attachment(web: Web, content_type: str, data: bytes) -> None:
    made = await keep(web.running.media, web.mine, data, content_type)
    answer = await web.get(await web.url(made.id))
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


async def test_an_upload_is_the_body_of_a_request(web: Web) -> None:
    data = noise(9 * MIB + 5)
    to = {"content_type": "application/octet-stream", "authorization": bearer(web.running.home, web.mine)[1]}
    described = {"name": "a.bin", "contentType": "application/octet-stream", "sizeBytes": len(data)}
    as_json = {**to, "content_type": "application/json"}
    host, uploads = "mine.media.test", "/v1/backoffice/media/uploads"
    answer = await web.shopper.send("POST", host, uploads, json.dumps(described).encode(), **as_json)
    upload_id = answer.json["upload"]["id"]
    half = 5 * MIB + 77
    answer = await web.shopper.send("POST", host, f"{uploads}/{upload_id}/file", data[:half], **to)
    assert (answer.status, answer.json) == (200, {"offset": str(half)})
    answer = await web.shopper.send("POST", host, f"{uploads}/{upload_id}/file?offset=3", b"x", **to)
    assert (answer.status, answer.reason) == (409, "UPLOAD_OFFSET_MISMATCH")
    answer = await web.shopper.send("POST", host, f"{uploads}/{upload_id}/file?offset={half}", data[half:], **to)
    assert answer.json == {"offset": str(len(data))}
    answer = await web.shopper.send("POST", host, f"{uploads}/{upload_id}:finalize", b"{}", **as_json)
    made = answer.json["media"]
    assert (await web.get(await web.url(made["id"]))).body == data
    answer = await web.shopper.send("GET", host, "/v1/backoffice/media?pageSize=1", **to)
    assert answer.json["media"] == [made]
    assert (await web.shopper.send("GET", host, "/v1/backoffice/media")).status == 403


async def test_a_body_that_breaks_off_leaves_what_has_come(web: Web) -> None:
    data = noise(6 * MIB)
    upload = await begin(web.running.media, web.mine, data)
    _, writer = await asyncio.open_connection("127.0.0.1", web.envoy.port)
    head = [
        f"POST /v1/backoffice/media/uploads/{upload.id}/file HTTP/1.1",
        "Host: mine.media.test",
        f"Authorization: {bearer(web.running.home, web.mine)[1]}",
        f"Content-Length: {len(data)}",
    ]
    writer.write("\r\n".join([*head, "", ""]).encode() + data[: 5 * MIB])
    await writer.drain()

    async def offset() -> int:
        request = pb.GetUploadRequest(id=upload.id)
        return (await web.running.media.GetUpload(request, metadata=of(web.mine))).upload.offset

    async def has_a_part() -> bool:
        return await offset() > 0

    await proxy.until(has_a_part)
    writer.close()
    await proxy.until(lambda: _goes_on(web, upload.id, data))
    made = await finalize(web.running.media, web.mine, upload.id)
    assert await fetch(web.running.media, web.mine, made.id) == data


async def _goes_on(web: Web, upload_id: str, data: bytes) -> bool:
    """Sends the rest, unless the broken stream is not over yet."""
    request = pb.GetUploadRequest(id=upload_id)
    at = (await web.running.media.GetUpload(request, metadata=of(web.mine))).upload.offset
    try:
        return await send(web.running.media, web.mine, upload_id, data, at) == len(data)
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.ABORTED
        return False
