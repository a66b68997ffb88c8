"""StorefrontSettingsService: how one shop's pages look, for its own people."""

from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import storefront_settings_service_pb2 as pb
from center.dataplane.v1 import storefront_settings_service_pb2_grpc as pb_grpc
from dataplane.storefront import domain, store
from dataplane.storefront.domain import Theme
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import inside
from shared.runtime.idempotency import mutation
from shared.runtime.journal import Change

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class StorefrontSettingsService(pb_grpc.StorefrontSettingsServiceServicer):
    """db: transactions that may write (dataplane.tenants.local.Writes); reads: those that do not."""

    def __init__(self, *, db: Database, reads: Database, clock: Clock) -> None:
        self.db = db
        self._reads = reads
        self._clock = clock

    async def GetTheme(self, request: pb.GetThemeRequest, context: Context) -> pb.GetThemeResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            theme = await store.theme(tx, current().tenant_id)
        return pb.GetThemeResponse(theme=_to_proto(theme))

    @mutation
    async def SetTheme(self, request: pb.SetThemeRequest, tx: AsyncConnection) -> pb.SetThemeResponse:
        tenant_id, wanted = current().tenant_id, request.theme
        before = await store.theme(tx, tenant_id)
        theme = Theme(wanted.title, wanted.logo_text, wanted.tagline, wanted.accent_color)
        with inside("theme"):
            after = domain.set_theme(before, theme, etag=wanted.etag, tenant_id=tenant_id, now=self._clock.now())
        if after is before:
            journal.unchanged(tx)
        else:
            await store.save(tx, tenant_id, after)
            change = Change("storefront_theme", tenant_id, _facts(before), _facts(after))
            await journal.record(tx, tenant_id, [change])
        return pb.SetThemeResponse(theme=_to_proto(after))


def _to_proto(theme: Theme) -> pb.StorefrontTheme:
    message = pb.StorefrontTheme(
        title=theme.title,
        logo_text=theme.logo_text,
        tagline=theme.tagline,
        accent_color=theme.accent_color,
        etag=theme.etag,
    )
    if theme.update_time is not None:
        message.update_time.FromDatetime(theme.update_time)
    return message


def _facts(theme: Theme) -> dict[str, str]:
    return {
        "title": theme.title,
        "logo_text": theme.logo_text,
        "tagline": theme.tagline,
        "accent_color": theme.accent_color,
    }
