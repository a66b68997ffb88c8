"""DescriptionService and BackofficeDescriptionService: the OpenAPI documents that were generated with the contracts."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from google.api import httpbody_pb2

import center
from center.dataplane.v1 import backoffice_description_service_pb2 as backoffice_pb
from center.dataplane.v1 import backoffice_description_service_pb2_grpc as backoffice_grpc
from center.dataplane.v1 import description_service_pb2 as pb
from center.dataplane.v1 import description_service_pb2_grpc as pb_grpc
from shared.runtime.rpc.status import HTTP_STATUS

Context = grpc.aio.ServicerContext[Any, Any]

CONTENT_TYPE = "application/json"
# Kept by a cache, and asked for again: a process of the next version may answer.
_CACHE = ("cache-control", "no-cache")


class Document:
    """A file beside the contracts, in memory, and its name by content."""

    def __init__(self, name: str) -> None:
        self.content = Path(center.__file__).with_name(name).read_bytes()
        self.etag = f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'

    async def sent(self, context: Context) -> AsyncIterator[httpbody_pb2.HttpBody]:
        headers = [("etag", self.etag), _CACHE, ("x-content-type-options", "nosniff")]
        if self.etag in str(dict(context.invocation_metadata() or ()).get("if-none-match", "")):
            await context.send_initial_metadata([*headers, (HTTP_STATUS, "304")])
            yield httpbody_pb2.HttpBody(content_type=CONTENT_TYPE)
            return
        await context.send_initial_metadata(headers)
        yield httpbody_pb2.HttpBody(content_type=CONTENT_TYPE, data=self.content)


class DescriptionService(pb_grpc.DescriptionServiceServicer):
    def __init__(self) -> None:
        self._document = Document("storefront.openapi.json")

    async def GetStorefrontDescription(
        self, request: pb.GetStorefrontDescriptionRequest, context: Context
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        async for part in self._document.sent(context):
            yield part


class BackofficeDescriptionService(backoffice_grpc.BackofficeDescriptionServiceServicer):
    def __init__(self) -> None:
        self._document = Document("backoffice.openapi.json")

    async def GetBackofficeDescription(
        self, request: backoffice_pb.GetBackofficeDescriptionRequest, context: Context
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        async for part in self._document.sent(context):
            yield part
