"""Bytes in: what a stream brings is kept part by part, and what is kept becomes media."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from weakref import WeakValueDictionary

from shared.media import domain, messages, store
from shared.media.domain import PART_BYTES, PATIENCE, Allowance, Media, State, Upload, Variant
from shared.media.objects import Objects, blob_key, upload_key
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import Aborted, DeadlineExceeded, PlatformError
from shared.runtime.ids import uuid7

# A stream that is silent for so long is over: who went away without a word keeps nobody out.
SILENCE_S = 30.0
# What a finalizer, or the maker of a variant, has until its bytes may be taken for forgotten.
WORK_LIFE = timedelta(hours=1)


class Turns:
    """One at a time works on an upload's bytes. A cluster is one process; where two overlap for a moment, the rows
    decide."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, upload_id: str, *, waits: bool) -> AsyncIterator[None]:
        """Aborted UPLOAD_BUSY: somebody else's turn, unless this one waits."""
        lock = self._locks.setdefault(upload_id, asyncio.Lock())
        if lock.locked() and not waits:
            message = "another stream brings bytes of this upload; end it, or try again"
            raise Aborted("UPLOAD_BUSY", message, retry_after_s=1.0, id=upload_id)
        async with lock:
            yield


@dataclass(frozen=True, slots=True)
class Intake:
    """db: transactions that may write; reads: those that do not. woken: called when there may be bytes to be swept."""

    db: Database
    reads: Database
    objects: Objects
    clock: Clock
    turns: Turns
    woken: Callable[[], None]

    async def receive(self, upload_id: str, offset: int, pieces: AsyncGenerator[bytes, None]) -> int:
        """Takes what the stream brings from `offset` on; how far the upload is then.

        What has arrived is kept, also when the stream breaks: its rest is written by whoever goes on.
        """
        tenant_id = current().tenant_id
        async with self.turns.of(upload_id, waits=False):
            async with self.reads.transaction(tenant_id) as tx:
                upload = await store.upload(tx, tenant_id, upload_id)
            domain.begin(upload, offset)
            arriving = _Arriving(self, tenant_id, upload)
            await arriving.open()
            try:
                while (piece := await _next(pieces)) is not None:
                    await arriving.take(piece)
            except BaseException as error:
                # Also when the client has gone and this is being cancelled.
                await asyncio.shield(asyncio.ensure_future(arriving.keep_rest(error)))
                raise
            await arriving.finish()
        return arriving.durable

    async def finalize(self, upload_id: str) -> Media:
        """Makes media of an upload, once.

        Rows are claimed before bytes are kept, and a file's row comes last: whatever is killed in between leaves bytes
        that a row names and the sweeper finds, and never a file without its bytes.
        """
        tenant_id = current().tenant_id
        async with self.turns.of(upload_id, waits=True):
            async with self.db.transaction(tenant_id) as tx:
                # The media are recorded when they are there.
                journal.unchanged(tx)
                upload = await store.upload(tx, tenant_id, upload_id, lock=True)
                if upload.media_id is not None:
                    return await store.get(tx, tenant_id, upload.media_id)
                domain.check_whole(upload)
                expire_time = max(upload.expire_time, self.clock.now() + WORK_LIFE)
                await store.change(tx, tenant_id, upload_id, state=State.FINALIZING, expire_time=expire_time)
            head, sha256 = await self._looked_through(tenant_id, upload)
            domain.check_content(upload, head, sha256)
            async with self.db.transaction(tenant_id) as tx:
                journal.unchanged(tx)
                await store.upload(tx, tenant_id, upload_id, lock=True)
                await store.change(tx, tenant_id, upload_id, sha256=sha256)
                is_kept = await store.claim(tx, tenant_id, sha256, upload.size_bytes)
            if not is_kept:
                for number in range(domain.parts(upload.size_bytes)):
                    source = upload_key(tenant_id, upload_id, number)
                    await self.objects.copy(source, blob_key(tenant_id, sha256, number))
            media = await self._settle(tenant_id, upload_id)
        await self.objects.delete_below(f"{tenant_id}/uploads/{upload_id}")
        return media

    async def _looked_through(self, tenant_id: str, upload: Upload) -> tuple[bytes, str]:
        """The first bytes and the SHA-256 of all, as the store has them."""
        digest, head = hashlib.sha256(), b""
        enough = domain.LARGEST_SVG_BYTES if upload.content_type == domain.SVG else domain.HEAD_BYTES
        for number, begins, ends in domain.spans(0, upload.size_bytes):
            part = await self.objects.get(upload_key(tenant_id, upload.id, number), begins, ends)
            head = head or bytes(part[:enough])
            await asyncio.to_thread(digest.update, part)
        return head, digest.hexdigest()

    async def _settle(self, tenant_id: str, upload_id: str) -> Media:
        async with self.db.transaction(tenant_id) as tx:
            upload = await store.upload(tx, tenant_id, upload_id, lock=True)
            if upload.media_id is not None:
                journal.unchanged(tx)
                return await store.get(tx, tenant_id, upload.media_id)
            now = self.clock.now()
            media = Media(uuid7(), upload.name, upload.content_type, upload.size_bytes, upload.sha256, now)
            await store.add(tx, tenant_id, media)
            await store.finish(tx, tenant_id, upload, media.id)
            await journal.record(
                tx, tenant_id, [messages.change(None, media)], [messages.event("media.ready.v1", media, 1)]
            )
        return media

    async def keep_variant(self, media: Media, variant: Variant, data: bytes, allowance: Allowance) -> Variant:
        """Keeps the bytes of a variant that was made here; of two makers of one, the first one's stays."""
        tenant_id, now = current().tenant_id, variant.create_time
        making = Upload(
            id=uuid7(),
            name=variant.name,
            content_type=variant.content_type,
            size_bytes=variant.size_bytes,
            declared_sha256="",
            create_time=now,
            expire_time=now + WORK_LIFE,
            received_bytes=variant.size_bytes,
            state=State.MAKING,
            sha256=variant.sha256,
        )
        async with self.db.transaction(tenant_id) as tx:
            journal.unchanged(tx)
            is_kept = await store.claim(tx, tenant_id, variant.sha256, variant.size_bytes)
            await store.begin(tx, tenant_id, making, allowance)
        try:
            if not is_kept:
                for number in range(domain.parts(len(data))):
                    part = memoryview(data)[number * PART_BYTES : (number + 1) * PART_BYTES]
                    await self.objects.put(blob_key(tenant_id, variant.sha256, number), part)
            async with self.db.transaction(tenant_id) as tx:
                before = await store.get(tx, tenant_id, media.id, lock=True)
                if (known := domain.known_variant(before, variant.name, variant.made_by)) is not None:
                    await store.drop(tx, tenant_id, making.id)
                    journal.unchanged(tx)
                    return known
                await store.add_variant(tx, tenant_id, media.id, variant)
                await store.finish(tx, tenant_id, making, media.id)
                after = replace(before, variants=(*before.variants, variant))
                await journal.record(tx, tenant_id, [messages.change(before, after)])
        except PlatformError:
            # The file is gone, or has other variants meanwhile, or the store does not answer.
            async with self.db.transaction(tenant_id) as tx:
                await store.drop(tx, tenant_id, making.id)
                journal.unchanged(tx)
            self.woken()
            raise
        return variant


class _Arriving:
    """The part of an upload that is in memory."""

    def __init__(self, intake: Intake, tenant_id: str, upload: Upload) -> None:
        self._intake = intake
        self._tenant_id = tenant_id
        self._upload = upload
        self.durable = upload.received_bytes
        self._part = bytearray()

    @property
    def _number(self) -> int:
        return self.durable // PART_BYTES

    @property
    def _arrived(self) -> int:
        return self._number * PART_BYTES + len(self._part)

    async def open(self) -> None:
        """Takes the last part up again where an earlier stream has left it."""
        if rest := self.durable % PART_BYTES:
            key = upload_key(self._tenant_id, self._upload.id, self._number)
            self._part += await self._intake.objects.get(key, 0, rest)

    async def take(self, piece: bytes) -> None:
        """InvalidArgument MEDIA_TOO_LARGE: more than was declared."""
        if self._arrived + len(piece) > self._upload.size_bytes:
            raise domain.too_large("data", self._upload.size_bytes)
        # An HTTP body may come in pieces of any size.
        view = memoryview(piece)
        while len(self._part) + len(view) >= PART_BYTES:
            room = PART_BYTES - len(self._part)
            self._part += view[:room]
            view = view[room:]
            await self._keep()
        self._part += view

    async def _keep(self, *, is_last: bool = False) -> None:
        """Makes what is in memory durable, the bytes before the row that tells of them."""
        start, offset = self.durable, self._arrived
        if offset > start:
            await self._intake.objects.put(upload_key(self._tenant_id, self._upload.id, self._number), self._part)
        elif not is_last:
            return
        expire_time = self._intake.clock.now() + PATIENCE
        async with self._intake.db.transaction(self._tenant_id) as tx:
            if not await store.advance(
                tx, self._tenant_id, self._upload.id, start=start, offset=offset, expire_time=expire_time
            ):
                raise domain.out_of_place(
                    self._upload.id, (await store.upload(tx, self._tenant_id, self._upload.id)).received_bytes
                )
            if is_last:
                after = replace(self._upload, received_bytes=offset)
                await journal.record(tx, self._tenant_id, [messages.upload_change(self._upload, after)])
            else:
                # One entry for all that a stream brought.
                journal.unchanged(tx)
        self.durable = offset
        if not offset % PART_BYTES:
            self._part = bytearray()

    async def finish(self) -> None:
        await self._keep(is_last=True)

    async def keep_rest(self, why: BaseException) -> None:
        """The stream has failed; its own error is the one to tell."""
        try:
            await self._keep(is_last=True)
        except PlatformError as error:
            why.add_note(f"and what has arrived was not kept: {error}")


async def _next(pieces: AsyncGenerator[bytes, None]) -> bytes | None:
    """DeadlineExceeded UPLOAD_SILENT."""
    try:
        async with asyncio.timeout(SILENCE_S):
            return await anext(pieces, None)
    except TimeoutError:
        message = f"no byte has come for {SILENCE_S:.0f} s; ask GetUpload how far the upload is and go on from there"
        raise DeadlineExceeded("UPLOAD_SILENT", message) from None
