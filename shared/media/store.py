"""Media in PostgreSQL; every function runs in the caller's transaction.

Whoever locks several rows does so in this order: upload, file, blobs by their SHA-256, usage.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, exc, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.media import domain
from shared.media.domain import Allowance, Media, State, Upload, Variant
from shared.media.tables import media, media_blobs, media_uploads, media_usage, media_variants
from shared.runtime import paging
from shared.runtime.errors import FailedPrecondition, NotFound
from shared.runtime.paging import Ordering, Value

_UPLOAD = tuple(
    media_uploads.c[name]
    for name in (
        "id",
        "name",
        "content_type",
        "size_bytes",
        "declared_sha256",
        "create_time",
        "expire_time",
        "received_bytes",
        "state",
        "sha256",
        "media_id",
    )
)
_MEDIA = tuple(media.c[name] for name in ("id", "name", "content_type", "size_bytes", "sha256", "create_time"))
_VARIANT = tuple(column for column in media_variants.columns if column.name not in ("tenant_id", "media_id"))

_LONG_AGO = datetime.fromtimestamp(0, UTC)


async def reserve(tx: AsyncConnection, tenant_id: str, size_bytes: int, allowance: Allowance) -> None:
    """Takes room for so many bytes. ResourceExhausted MEDIA_QUOTA_REACHED.

    One conditional update: of two that want the last room, the second waits for the first and finds none.
    """
    await tx.execute(_FIRST_USE, {"tenant_id": tenant_id})
    taken = media_usage.c.stored_bytes + media_usage.c.reserved_bytes
    stmt = update(media_usage).where(media_usage.c.tenant_id == tenant_id)
    if allowance.most_bytes is not None:
        stmt = stmt.where(taken + size_bytes <= allowance.most_bytes)
    stmt = stmt.values(reserved_bytes=media_usage.c.reserved_bytes + size_bytes)
    if not (await tx.execute(stmt)).rowcount:
        used = (await tx.execute(select(taken).where(media_usage.c.tenant_id == tenant_id))).scalar_one()
        raise domain.quota_reached(allowance, used, size_bytes)


_FIRST_USE = text(
    "INSERT INTO media_usage (tenant_id, stored_bytes, reserved_bytes) VALUES (CAST(:tenant_id AS uuid), 0, 0) "
    "ON CONFLICT DO NOTHING"
)


async def _use(tx: AsyncConnection, tenant_id: str, *, stored: int, reserved: int) -> None:
    """Changes what is taken by so many bytes."""
    await tx.execute(
        update(media_usage)
        .where(media_usage.c.tenant_id == tenant_id)
        .values(
            stored_bytes=media_usage.c.stored_bytes + stored, reserved_bytes=media_usage.c.reserved_bytes + reserved
        )
    )


async def usage(tx: AsyncConnection, tenant_id: str) -> tuple[int, int]:
    """(stored, reserved) bytes."""
    stmt = select(media_usage.c.stored_bytes, media_usage.c.reserved_bytes).where(media_usage.c.tenant_id == tenant_id)
    row = (await tx.execute(stmt)).one_or_none()
    return (0, 0) if row is None else (row.stored_bytes, row.reserved_bytes)


async def begin(tx: AsyncConnection, tenant_id: str, upload: Upload, allowance: Allowance) -> None:
    """A new upload, and room for all of it. Where its bytes are known, claim() was called before."""
    await reserve(tx, tenant_id, upload.size_bytes, allowance)
    values = asdict(upload) | {"tenant_id": tenant_id, "reserved_bytes": upload.size_bytes}
    await tx.execute(insert(media_uploads).values(values))


async def upload(tx: AsyncConnection, tenant_id: str, upload_id: str, *, lock: bool = False) -> Upload:
    """NotFound UPLOAD_NOT_FOUND."""
    found = await _upload(tx, tenant_id, upload_id, lock=lock)
    if found is None or found.state in (State.ABORTED, State.MAKING):
        raise NotFound("UPLOAD_NOT_FOUND", f"no upload {upload_id} in this shop; it may have expired", id=upload_id)
    return found


async def _upload(tx: AsyncConnection, tenant_id: str, upload_id: str, *, lock: bool) -> Upload | None:
    stmt = select(*_UPLOAD).where(media_uploads.c.tenant_id == tenant_id, media_uploads.c.id == upload_id)
    row = (await tx.execute(stmt.with_for_update() if lock else stmt)).one_or_none()
    return None if row is None else Upload(**{**row._mapping, "state": State(row.state)})


async def advance(
    tx: AsyncConnection, tenant_id: str, upload_id: str, *, start: int, offset: int, expire_time: datetime
) -> bool:
    """Notes how far an upload is; False when it does not stand at `start` any more."""
    stmt = (
        update(media_uploads)
        .where(
            media_uploads.c.tenant_id == tenant_id,
            media_uploads.c.id == upload_id,
            media_uploads.c.state == State.RECEIVING,
            media_uploads.c.received_bytes == start,
        )
        .values(received_bytes=offset, expire_time=expire_time)
    )
    return bool((await tx.execute(stmt)).rowcount)


async def change(tx: AsyncConnection, tenant_id: str, upload_id: str, **values: Any) -> None:
    """Changes an upload that the transaction has locked."""
    key = (media_uploads.c.tenant_id == tenant_id) & (media_uploads.c.id == upload_id)
    await tx.execute(update(media_uploads).where(key).values(**values))


async def claim(tx: AsyncConnection, tenant_id: str, sha256: str, size_bytes: int) -> bool:
    """Locks the blob's row and makes it if there is none; whether its bytes are here already.

    They stay as long as an upload in state FINALIZING or MAKING names them.
    """
    stmt = insert(media_blobs).values(tenant_id=tenant_id, sha256=sha256, size_bytes=size_bytes, uses=0)
    stmt = stmt.on_conflict_do_update(
        index_elements=["tenant_id", "sha256"], set_={"size_bytes": stmt.excluded.size_bytes}
    ).returning(media_blobs.c.uses)  # type: ignore[assignment]
    return bool((await tx.execute(stmt)).scalar_one())


async def finish(tx: AsyncConnection, tenant_id: str, done: Upload, media_id: str) -> None:
    """The room that the locked upload has reserved becomes the blob's, or free where the blob had its own."""
    uses = await _count_uses(tx, tenant_id, done.sha256, 1)
    await _use(tx, tenant_id, stored=done.size_bytes if uses == 1 else 0, reserved=-done.size_bytes)
    if done.state is State.MAKING:
        await tx.execute(_delete_upload(tenant_id, done.id))
    else:
        await change(tx, tenant_id, done.id, state=State.FINALIZED, media_id=media_id, reserved_bytes=0)


async def _count_uses(tx: AsyncConnection, tenant_id: str, sha256: str, by: int) -> int:
    """How many uses the blob has then."""
    stmt = (
        update(media_blobs)
        .where(media_blobs.c.tenant_id == tenant_id, media_blobs.c.sha256 == sha256)
        .values(uses=media_blobs.c.uses + by)
        .returning(media_blobs.c.uses)
    )
    return int((await tx.execute(stmt)).scalar_one())


async def abort(tx: AsyncConnection, tenant_id: str, given_up: Upload) -> None:
    """Ends an upload that the transaction has locked: its room is free, and its bytes are due to be swept."""
    await change(tx, tenant_id, given_up.id, state=State.ABORTED, reserved_bytes=0, expire_time=_LONG_AGO)
    await _use(tx, tenant_id, stored=0, reserved=-given_up.size_bytes)


async def drop(tx: AsyncConnection, tenant_id: str, upload_id: str) -> None:
    """Deletes an upload that the transaction has locked, and frees its room."""
    gone = (
        await tx.execute(_delete_upload(tenant_id, upload_id).returning(media_uploads.c.reserved_bytes))
    ).scalar_one_or_none()
    if gone:
        await _use(tx, tenant_id, stored=0, reserved=-gone)


def _delete_upload(tenant_id: str, upload_id: str) -> Any:
    return delete(media_uploads).where(media_uploads.c.tenant_id == tenant_id, media_uploads.c.id == upload_id)


async def expired(tx: AsyncConnection, tenant_id: str, upload_id: str, now: datetime) -> Upload | None:
    """The upload, locked, if it has expired."""
    found = await _upload(tx, tenant_id, upload_id, lock=True)
    return found if found is not None and found.expire_time < now else None


async def unused(tx: AsyncConnection, tenant_id: str, sha256: str) -> int | None:
    """The size of the blob, locked, if nothing uses it and nothing is about to."""
    key = (media_blobs.c.tenant_id == tenant_id) & (media_blobs.c.sha256 == sha256)
    stmt = select(media_blobs.c.size_bytes).where(key, media_blobs.c.uses == 0).with_for_update()
    size: int | None = (await tx.execute(stmt)).scalar_one_or_none()
    # A statement of its own: it sees whoever has claimed the blob while this one waited for its row.
    claims = select(func.count()).where(
        media_uploads.c.tenant_id == tenant_id,
        media_uploads.c.sha256 == sha256,
        media_uploads.c.state.in_((State.FINALIZING, State.MAKING)),
    )
    if size is None or (await tx.execute(claims)).scalar_one():
        return None
    return size


async def forget(tx: AsyncConnection, tenant_id: str, sha256: str) -> None:
    """Deletes the row of a blob whose bytes are gone."""
    await tx.execute(delete(media_blobs).where(media_blobs.c.tenant_id == tenant_id, media_blobs.c.sha256 == sha256))


async def known(
    tx: AsyncConnection, tenant_id: str, sha256s: Sequence[str], upload_ids: Sequence[str]
) -> tuple[set[str], set[str]]:
    """Which of the blobs and which of the uploads have a row."""
    blobs = select(media_blobs.c.sha256).where(media_blobs.c.tenant_id == tenant_id, media_blobs.c.sha256.in_(sha256s))
    uploads = select(media_uploads.c.id).where(
        media_uploads.c.tenant_id == tenant_id, media_uploads.c.id.in_(upload_ids)
    )
    return set((await tx.execute(blobs)).scalars()), set((await tx.execute(uploads)).scalars())


async def blobs(tx: AsyncConnection, tenant_id: str) -> dict[str, int]:
    """SHA-256 -> size of all that is used."""
    stmt = select(media_blobs.c.sha256, media_blobs.c.size_bytes).where(
        media_blobs.c.tenant_id == tenant_id, media_blobs.c.uses > 0
    )
    return {row.sha256: row.size_bytes for row in await tx.execute(stmt)}


async def arrived(tx: AsyncConnection, tenant_id: str) -> dict[str, int]:
    """Upload -> how many bytes of it are here, of those that are not media yet."""
    stmt = select(media_uploads.c.id, media_uploads.c.received_bytes).where(
        media_uploads.c.tenant_id == tenant_id, media_uploads.c.state.in_((State.RECEIVING, State.FINALIZING))
    )
    return {row.id: row.received_bytes for row in await tx.execute(stmt)}


async def add(tx: AsyncConnection, tenant_id: str, new: Media) -> None:
    values = {column.name: getattr(new, column.name) for column in _MEDIA}
    await tx.execute(insert(media).values(tenant_id=tenant_id, **values))


async def add_variant(tx: AsyncConnection, tenant_id: str, media_id: str, variant: Variant) -> None:
    await tx.execute(insert(media_variants).values(tenant_id=tenant_id, media_id=media_id, **asdict(variant)))


async def get(tx: AsyncConnection, tenant_id: str, media_id: str, *, lock: bool = False) -> Media:
    """NotFound MEDIA_NOT_FOUND."""
    stmt = select(*_MEDIA).where(media.c.tenant_id == tenant_id, media.c.id == media_id)
    rows = (await tx.execute(stmt.with_for_update() if lock else stmt)).all()
    if not rows:
        raise NotFound("MEDIA_NOT_FOUND", f"no file {media_id} in this shop", id=media_id)
    [found] = await _with_variants(tx, tenant_id, rows)
    return found


async def page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Media], list[Value] | None]:
    """A page of files, and the cursor of the next one if there is more."""
    found = select(*_MEDIA).where(media.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return await _with_variants(tx, tenant_id, rows), following


async def remove(tx: AsyncConnection, tenant_id: str, gone: Media) -> None:
    """Deletes a file that the transaction has locked, with its variants; bytes that nothing uses go later.

    FailedPrecondition MEDIA_IN_USE: something else of the shop refers to it.
    """
    key = (media_variants.c.tenant_id == tenant_id) & (media_variants.c.media_id == gone.id)
    await tx.execute(delete(media_variants).where(key))
    try:
        await tx.execute(delete(media).where(media.c.tenant_id == tenant_id, media.c.id == gone.id))
    except exc.IntegrityError as error:
        message = f"a product shows the file {gone.id}; take it off the product first"
        raise FailedPrecondition("MEDIA_IN_USE", message, id=gone.id) from error
    used = sorted([(gone.sha256, gone.size_bytes), *((each.sha256, each.size_bytes) for each in gone.variants)])
    freed = 0
    for sha256, size_bytes in used:
        if not await _count_uses(tx, tenant_id, sha256, -1):
            freed += size_bytes
    await _use(tx, tenant_id, stored=-freed, reserved=0)


async def _with_variants(tx: AsyncConnection, tenant_id: str, rows: Sequence[Any]) -> list[Media]:
    if not rows:
        return []
    of: dict[str, list[Variant]] = {row.id: [] for row in rows}
    stmt = (
        select(media_variants.c.media_id, *_VARIANT)
        .where(tuple_(media_variants.c.tenant_id, media_variants.c.media_id).in_([(tenant_id, id) for id in of]))
        .order_by(media_variants.c.media_id, media_variants.c.name)
    )
    for row in await tx.execute(stmt):
        of[row.media_id].append(Variant(**{column.name: getattr(row, column.name) for column in _VARIANT}))
    return [Media(**row._mapping, variants=tuple(of[row.id])) for row in rows]
