"""PageService: the pages of registration and verification, as HttpBody for Envoy's transcoder."""

from typing import Any, TypeAlias

import grpc
from google.api import httpbody_pb2

from center.control.v1 import page_service_pb2 as pb
from center.control.v1 import page_service_pb2_grpc as pb_grpc
from control.solutions import store as solution_store
from control.users import domain, pages
from shared.runtime.db import Database
from shared.runtime.errors import FailedPrecondition, InvalidArgument, NotFound

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class PageService(pb_grpc.PageServiceServicer):
    def __init__(self, db: Database) -> None:
        self._db = db

    async def GetRegisterPage(self, request: pb.GetRegisterPageRequest, context: Context) -> httpbody_pb2.HttpBody:
        try:
            async with self._db.transaction() as tx:
                solution = await solution_store.get(tx, request.solution_id)
            domain.check_redirect(request.redirect_url, solution.redirect_urls)
        except (NotFound, InvalidArgument, FailedPrecondition) as refusal:
            if "text/html" in str(dict(context.invocation_metadata() or ()).get("accept", "")):
                # Envoy shows a body that came before the status, and makes one of the status only where none did.
                page = await _page(pages.refused(refusal.reason), context)
                await context.write(page.SerializeToString())
            raise
        name = solution.display_name or solution.id
        return await _page(pages.register(name, solution.id, request.redirect_url, request.state), context)

    async def GetVerifyPage(self, request: pb.GetVerifyPageRequest, context: Context) -> httpbody_pb2.HttpBody:
        return await _page(pages.verify(), context)


async def _page(text: str, context: Context) -> httpbody_pb2.HttpBody:
    # Envoy gives the answer's first metadata to the browser as headers.
    await context.send_initial_metadata(pages.HEADERS)
    return httpbody_pb2.HttpBody(content_type="text/html; charset=utf-8", data=text.encode())
