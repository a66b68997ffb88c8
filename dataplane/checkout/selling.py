"""SellingService: how one shop sells."""

from dataclasses import replace
from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import checkout_service_pb2 as pb
from center.dataplane.v1 import checkout_service_pb2_grpc as pb_grpc
from dataplane.checkout import domain, store
from dataplane.checkout.messages import settings_change, settings_of, settings_to_proto
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import check_etag, inside
from shared.runtime.idempotency import mutation

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class SellingService(pb_grpc.SellingServiceServicer):
    """db: transactions that may write; reads: those that do not."""

    def __init__(self, *, db: Database, reads: Database, clock: Clock) -> None:
        self.db = db
        self._reads = reads
        self._clock = clock

    async def GetSellingSettings(
        self, request: pb.GetSellingSettingsRequest, context: Context
    ) -> pb.GetSellingSettingsResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            found = await store.settings(tx, current().tenant_id)
        return pb.GetSellingSettingsResponse(settings=settings_to_proto(found))

    @mutation
    async def SetSellingSettings(
        self, request: pb.SetSellingSettingsRequest, tx: AsyncConnection
    ) -> pb.SetSellingSettingsResponse:
        tenant_id = current().tenant_id
        with inside("settings"):
            wanted = domain.checked(settings_of(request.settings))
        before = await store.settings(tx, tenant_id, lock=True)
        check_etag("selling settings", tenant_id, before.etag, request.settings.etag)
        after = replace(wanted, version=before.version, update_time=before.update_time)
        if before.version and after == before:
            journal.unchanged(tx)
        else:
            after = replace(wanted, version=before.version + 1, update_time=self._clock.now())
            await store.set_settings(tx, tenant_id, after)
            await journal.record(tx, tenant_id, [settings_change(tenant_id, before, after)])
        return pb.SetSellingSettingsResponse(settings=settings_to_proto(after))
