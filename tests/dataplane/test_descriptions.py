"""What a shop's domain speaks, as a cluster tells it."""

import json

import grpc
import pytest
from google.api import httpbody_pb2

from center.dataplane.v1.backoffice_description_service_pb2 import GetBackofficeDescriptionRequest
from center.dataplane.v1.backoffice_description_service_pb2_grpc import BackofficeDescriptionServiceStub
from center.dataplane.v1.description_service_pb2 import GetStorefrontDescriptionRequest
from center.dataplane.v1.description_service_pb2_grpc import DescriptionServiceStub
from shared.runtime.ids import uuid7
from tests.dataplane.cluster import Running, bearer, of


async def _storefront(eu: Running, *metadata: tuple[str, str]) -> tuple[dict[str, str], httpbody_pb2.HttpBody]:
    """Headers and content, as Envoy gets them for a shopper."""
    stub = DescriptionServiceStub(eu.channel("envoy"))
    call = stub.GetStorefrontDescription(GetStorefrontDescriptionRequest(), metadata=metadata)
    [body] = [each async for each in call]
    return {key: str(value) for key, value in await call.initial_metadata()}, body


async def test_a_shopper_reads_what_the_storefront_speaks(eu: Running, tenant: str) -> None:
    headers, body = await _storefront(eu, *of(tenant))
    assert body.content_type == "application/json"
    assert json.loads(body.data)["info"]["title"] == "Storefront API"
    assert headers["etag"].startswith('"')


async def test_who_has_it_is_told_so(eu: Running, tenant: str) -> None:
    headers, _ = await _storefront(eu, *of(tenant))
    again, body = await _storefront(eu, *of(tenant, ("if-none-match", headers["etag"])))
    assert (again["x-center-http-status"], body.data) == ("304", b"")
    _, body = await _storefront(eu, *of(tenant, ("if-none-match", '"another"')))
    assert body.data


async def test_the_backoffice_is_described_to_its_own_people(eu: Running, tenant: str) -> None:
    stub = BackofficeDescriptionServiceStub(eu.channel("envoy"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        [each async for each in stub.GetBackofficeDescription(GetBackofficeDescriptionRequest(), metadata=of(tenant))]
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    known = of(tenant, bearer(eu.home, tenant))
    [body] = [each async for each in stub.GetBackofficeDescription(GetBackofficeDescriptionRequest(), metadata=known)]
    assert json.loads(body.data)["info"]["title"] == "Backoffice API"


async def test_where_no_shop_is_nothing_is_described(eu: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _storefront(eu, *of(uuid7()))
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
