"""OrderImportService: what a shop sold before it was here."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from center.dataplane.v1 import order_import_service_pb2 as pb
from center.dataplane.v1 import order_import_service_pb2_grpc as pb_grpc
from dataplane.features.local import LocalFeatures
from dataplane.orders import bulk, intake
from shared.runtime import money
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.money import Money

Context = grpc.aio.ServicerContext[Any, Any]


class OrderImportService(pb_grpc.OrderImportServiceServicer):
    """db: transactions that may write; reads: those that do not."""

    def __init__(self, *, db: Database, reads: Database, clock: Clock, features: LocalFeatures) -> None:
        self._db = db
        self._reads = reads
        self._clock = clock
        self._features = features

    async def ImportOrders(
        self, requests: AsyncIterator[pb.ImportOrdersRequest], context: Context
    ) -> AsyncIterator[pb.ImportOrdersResponse]:
        async with aclosing(intake.take(requests, self._db, self._clock, self._features)) as taking:
            async for progress in taking:
                yield progress

    async def SumImportedOrders(
        self, request: pb.SumImportedOrdersRequest, context: Context
    ) -> pb.SumImportedOrdersResponse:
        async with self._reads.transaction(current().tenant_id, snapshot=True) as tx:
            found = await bulk.sums(tx, current().tenant_id)
        return pb.SumImportedOrdersResponse(
            sums=[
                pb.ImportedSum(
                    day=each.day,
                    country_code=each.country,
                    orders=each.orders,
                    total=money.to_proto(Money(each.currency, each.total_minor)),
                    refunded=money.to_proto(Money(each.currency, each.refunded_minor)),
                )
                for each in found
            ]
        )
