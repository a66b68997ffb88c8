"""A tenant's bytes on their way to another cluster, beside its rows."""

import hashlib
from collections.abc import AsyncGenerator, Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.media import domain, store
from shared.media.objects import BytesMissing, Objects, blob_key, upload_key
from shared.runtime.errors import FailedPrecondition, InvalidArgument


async def outgoing(
    tx: AsyncConnection, tenant_id: str, objects: Objects
) -> AsyncGenerator[tuple[str, memoryview], None]:
    """(key, bytes) of each object that a row of the transaction's snapshot names; one is in memory at a time."""
    owners: list[tuple[Callable[[str, str, int], str], str, int]]
    owners = [(blob_key, name, size) for name, size in (await store.blobs(tx, tenant_id)).items()]
    owners += [(upload_key, name, size) for name, size in (await store.arrived(tx, tenant_id)).items()]
    for key_of, name, size in owners:
        for number, begins, ends in domain.spans(0, size):
            key = key_of(tenant_id, name, number)
            yield key, await objects.get(key, begins, ends)


class Incoming:
    """Takes the objects of one tenant in. They may come in any number of tries: the same bytes have the same key."""

    def __init__(self, tenant_id: str, objects: Objects) -> None:
        self._tenant_id = tenant_id
        self._objects = objects
        self._has_taken = False

    async def take(self, key: str, data: bytes) -> None:
        """InvalidArgument OBJECT_INVALID: it is not one of the tenant's."""
        words = key.split("/")
        is_plain = all(word.strip(".") for word in words) and len(words) in (3, 4)
        if words[0] != self._tenant_id or not is_plain:
            raise InvalidArgument("OBJECT_INVALID", "an object of another tenant", fields={"object.key": "not its own"})
        await self._objects.put(key, data)
        self._has_taken = True

    async def check(self, tx: AsyncConnection) -> None:
        """Whether all bytes that the rows name are here, and, if they came, are what they are called.

        FailedPrecondition MEDIA_INCOMPLETE: the import is not to be.
        """
        for sha256, size in (await store.blobs(tx, self._tenant_id)).items():
            digest = hashlib.sha256()
            for number, begins, ends in domain.spans(0, size):
                digest.update(await self._found(blob_key(self._tenant_id, sha256, number), begins, ends))
            if self._has_taken and digest.hexdigest() != sha256:
                raise _incomplete(sha256)
        for upload_id, size in (await store.arrived(tx, self._tenant_id)).items():
            for number, begins, ends in domain.spans(0, size):
                await self._found(upload_key(self._tenant_id, upload_id, number), begins, ends)

    async def _found(self, key: str, begins: int, ends: int) -> memoryview:
        """The bytes that came; of what was here before, the last one will do."""
        try:
            return await self._objects.get(key, begins if self._has_taken else ends - 1, ends)
        except BytesMissing:
            raise _incomplete(key) from None


def _incomplete(what: str) -> FailedPrecondition:
    message = (
        "bytes of the tenant's media are not here or are others; move it again, or give both clusters one "
        "CENTER_MEDIA_URL"
    )
    return FailedPrecondition("MEDIA_INCOMPLETE", message, object=what)
