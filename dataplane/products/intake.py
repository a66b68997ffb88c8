"""The import of products: rows checked one by one, kept in batches, each batch one transaction."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from center.dataplane.v1 import product_service_pb2 as pb
from dataplane.features.domain import Grants, no_room
from dataplane.features.local import LocalFeatures
from dataplane.products import domain, store
from dataplane.products.domain import Product
from dataplane.products.messages import change, event, from_proto
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    NotFound,
    PlatformError,
    ResourceExhausted,
)
from shared.runtime.ids import uuid7
from shared.runtime.rpc.violations import violations

# The transaction of a batch is short enough for a freeze to wait for, and long enough to cost little a row.
BATCH_ROWS = 200
# A sender that pauses gets to know how far it is, and may wait for that before it goes on.
PAUSE_S = 0.05
Request = TypeVar("Request")
# Another writer may take a handle or a SKU between our look and our write; the next try sees it.
TRIES = 5


@dataclass(slots=True)
class Batch:
    """Rows that are right by themselves, in their order, at most one a handle."""

    rows: dict[str, tuple[int, pb.Product]] = field(default_factory=dict)
    refused: list[pb.RowError] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows) + len(self.refused)


async def take(
    requests: AsyncIterator[pb.ImportProductsRequest], db: Database, clock: Clock, features: LocalFeatures
) -> AsyncGenerator[pb.ImportProductsResponse, None]:
    """Answers after every batch that is durable; the next rows are read when the answer is on its way.

    The feature is asked for again with each request: a plan that changes ends an import that is under way.
    """
    features.check_import(current().tenant_id)
    progress = pb.ImportProductsResponse()
    batch, row = Batch(), 0
    async with contextlib.aclosing(with_pauses(requests)) as arriving:
        async for request in arriving:
            features.check_import(current().tenant_id)
            for message in request.products if request is not None else ():
                row += 1
                handle = message.handle or domain.handle_of(message.title)
                # The second of two rows with one handle changes what the first made.
                if handle in batch.rows or len(batch) >= BATCH_ROWS:
                    yield await _keep(batch, row - 1, progress, db, clock, features)
                    batch = Batch()
                if errors := _errors(row, message):
                    batch.refused += errors
                else:
                    batch.rows[handle] = (row, message)
            if request is None and len(batch):
                yield await _keep(batch, row, progress, db, clock, features)
                batch = Batch()
    yield await _keep(batch, row, progress, db, clock, features)


async def with_pauses(requests: AsyncIterator[Request]) -> AsyncGenerator[Request | None, None]:
    """The requests, and None wherever the sender pauses."""
    reading: asyncio.Future[Request | None] | None = None
    try:
        while True:
            if reading is None:
                reading = asyncio.ensure_future(anext(requests, None))
                timeout_s: float | None = PAUSE_S
            done, _ = await asyncio.wait([reading], timeout=timeout_s)
            if not done:
                # Says so once a pause.
                timeout_s = None
                yield None
                continue
            request = reading.result()
            reading = None
            if request is None:
                return
            yield request
    finally:
        if reading is not None:
            reading.cancel()
            # The server reads a refused stream on by itself, and not at the same time as this.
            with contextlib.suppress(asyncio.CancelledError):
                await reading


def _errors(row: int, message: pb.Product) -> list[pb.RowError]:
    """What is wrong with the row by itself."""
    wrong = violations(message, message.SerializeToString())
    return [pb.RowError(row=row, reason="FIELD_INVALID", field=path, message=why) for path, why in wrong.items()]


async def _keep(
    batch: Batch,
    rows_done: int,
    progress: pb.ImportProductsResponse,
    db: Database,
    clock: Clock,
    features: LocalFeatures,
) -> pb.ImportProductsResponse:
    """Writes the batch and tells how far the stream is; `progress` goes on counting."""
    refused = list(batch.refused)
    if batch.rows:
        for left in reversed(range(TRIES)):
            try:
                created, updated, refused_now = await _write(batch, db, clock, features.of(current().tenant_id))
                break
            except (AlreadyExists, Aborted, FailedPrecondition, NotFound, ResourceExhausted):
                if not left:
                    raise
        progress.created += len(created)
        progress.updated += len(updated)
        progress.unchanged += len(batch.rows) - len(created) - len(updated) - len({e.row for e in refused_now})
        refused += refused_now
    progress.rows_done = rows_done
    del progress.errors[:]
    progress.errors.extend(sorted(refused, key=lambda error: error.row))
    answer = pb.ImportProductsResponse()
    answer.CopyFrom(progress)
    return answer


async def _write(
    batch: Batch, db: Database, clock: Clock, grants: Grants
) -> tuple[list[Product], list[Product], list[pb.RowError]]:
    """What the batch made, what it changed, and which rows the shop's other products refuse."""
    tenant_id, now = current().tenant_id, clock.now()
    created: list[Product] = []
    updated: list[Product] = []
    refused: list[pb.RowError] = []
    async with db.transaction(tenant_id) as tx:
        skus = [variant.sku for _, message in batch.rows.values() for variant in message.variants]
        # First, so that whatever owns a SKU by now is among the products that are known by then.
        owners = await store.sku_owners(tx, tenant_id, skus) if skus else {}
        known = await store.by_handle(tx, tenant_id, list(batch.rows))
        shown = {media.media_id.lower() for _, message in batch.rows.values() for media in message.media}
        files = await store.known_files(tx, tenant_id, list(shown))
        room = await store.room(tx)
        for handle, (row, message) in batch.rows.items():
            before = known.get(handle)
            try:
                product = _product(message, before, now=now)
                _refuse_taken(product, owners)
                _refuse_missing(message, files)
                if before is not None:
                    kept = {variant.id for variant in product.variants}
                    gone = [variant.id for variant in before.variants if variant.id not in kept]
                    await store.refuse_in_stock(tx, tenant_id, gone)
                if before is None and room is not None and len(created) >= room[0]:
                    raise no_room(grants, str(room[1]))
            except PlatformError as error:
                refused.append(_row_error(row, error))
                continue
            owners.update((variant.sku, product.id) for variant in product.variants)
            if before is None:
                created.append(product)
            elif product is not before:
                updated.append(product)
        await store.add(tx, tenant_id, created, grants)
        await store.save(tx, tenant_id, updated)
        events = [event("product.created.v1", product) for product in created]
        events += [event("product.updated.v1", product) for product in updated]
        changes = [change(known.get(product.handle), product) for product in (*created, *updated)]
        await journal.record(tx, tenant_id, changes, events)
    return created, updated, refused


def _product(message: pb.Product, before: Product | None, *, now: datetime) -> Product:
    if before is None:
        return domain.create(from_proto(message, id=uuid7(), now=now), uuid7)
    # A row knows no ids: its variants are those with the same SKUs.
    wanted = from_proto(message, id=before.id, now=now, status=before.status)
    wanted = wanted if wanted.media else replace(wanted, media=before.media)
    return domain.change(before, wanted, etag="", now=now, new_id=uuid7)


def _refuse_taken(product: Product, owners: Mapping[str, str]) -> None:
    for position, variant in enumerate(product.variants):
        if owners.get(variant.sku, product.id) != product.id:
            message = f"another product has the SKU {variant.sku}"
            raise AlreadyExists("SKU_TAKEN", message, field=f"variants[{position}].sku")


def _refuse_missing(row: pb.Product, files: Collection[str]) -> None:
    for position, media in enumerate(row.media):
        if media.media_id.lower() not in files:
            message = f"no file {media.media_id} in this shop"
            raise NotFound("MEDIA_NOT_FOUND", message, field=f"media[{position}].media_id")


def _row_error(row: int, error: PlatformError) -> pb.RowError:
    return pb.RowError(
        row=row,
        reason=error.reason,
        field=next(iter(error.violations), error.metadata.get("field", "")),
        message=error.message,
    )
