"""Where bytes lie: a folder of this machine or a bucket of S3, behind one interface.

Objects are whole or not there. What is large is a row of them (domain.PART_BYTES): each is one request, so nothing
waits half-sent in a store that nobody can list, and a range is read without what comes before it.

    TENANT/SHA256/00000        bytes that are kept
    TENANT/uploads/ID/00000    bytes that have arrived
"""

import os
import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from shared.media import domain
from shared.runtime.errors import NotFound, Unavailable

_LISTED_AT_ONCE = 500
# A request that a store does not answer for so long is tried again, and given up after the second time.
_TIMEOUT = timedelta(seconds=20)
_GIVE_UP = timedelta(seconds=30)
# How a local store names what it has not finished writing; it lists none of them.
_UNFINISHED = re.compile(r".*#\d+\Z")


class BytesMissing(Exception):
    """Bytes that were to be there are not."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One object, and when it was written."""

    key: str
    size_bytes: int
    time: datetime


def blob_key(tenant_id: str, sha256: str, number: int) -> str:
    return f"{tenant_id}/{sha256}/{number:05d}"


def upload_key(tenant_id: str, upload_id: str, number: int) -> str:
    return f"{tenant_id}/uploads/{upload_id}/{number:05d}"


class Objects:
    """place: equal for two processes that have the same objects. is_shared: whether other clusters may have them."""

    def __init__(self, store: LocalStore | S3Store, place: str, folder: Path | None) -> None:
        self._store = store
        self._folder = folder
        self.place = place
        self.is_shared = folder is None

    @classmethod
    def at(cls, url: str, cluster_id: str) -> "Objects":
        """url: file:///folder, of which each cluster gets its own part, or s3://bucket/prefix, with endpoint and
        credentials by the usual AWS_* variables. ValueError: it is neither."""
        parts = urlsplit(url)
        if parts.scheme == "file" and parts.path:
            folder = Path(parts.path) / cluster_id
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Another machine's folder of this name is another place.
            return cls(LocalStore(folder, mkdir=True), f"folder {uuid.uuid4()}", folder)
        if parts.scheme == "s3" and parts.netloc:
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
            options: Any = {
                "prefix": parts.path.strip("/") or None,
                "client_options": {"timeout": _TIMEOUT, "allow_http": endpoint.startswith("http://")},
                "retry_config": {"max_retries": 3, "retry_timeout": _GIVE_UP},
            }
            if endpoint:
                options["endpoint"] = endpoint
            store = S3Store(parts.netloc, **options)
            return cls(store, f"{endpoint} {parts.netloc}/{parts.path.strip('/')}", None)
        raise ValueError("CENTER_MEDIA_URL is file:///folder or s3://bucket[/prefix]")

    async def put(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """Whole or not at all; over what was there."""
        with _told():
            await obstore.put_async(self._store, key, data, use_multipart=False)

    async def get(self, key: str, start: int, stop: int) -> memoryview:
        """Some bytes of one object. BytesMissing: it is not there, or is shorter."""
        try:
            with _told():
                found = memoryview(await obstore.get_range_async(self._store, key, start=start, end=stop))
        except FileNotFoundError:
            raise BytesMissing(key) from None
        if len(found) != stop - start:
            raise BytesMissing(f"{key} has no bytes from {start} to {stop}")
        return found

    async def copy(self, source: str, target: str) -> None:
        with _told():
            await obstore.copy_async(self._store, source, target)

    async def below(self, prefix: str) -> AsyncIterator[Sequence[Stored]]:
        """What lies below, some at a time and in no order."""
        with _told():
            async for some in obstore.list(self._store, f"{prefix}/", chunk_size=_LISTED_AT_ONCE):
                yield [Stored(each["path"], each["size"], each["last_modified"]) for each in some]

    async def tenants(self) -> list[str]:
        """Those that have objects here."""
        with _told():
            listed = await obstore.list_with_delimiter_async(self._store)
        return [prefix.rstrip("/") for prefix in listed["common_prefixes"]]

    async def delete(self, keys: Sequence[str]) -> None:
        """Those that are gone already are no error."""
        if not keys:
            return
        with _told():
            if self._folder is None:
                await obstore.delete_async(self._store, keys)
                return
            for key in keys:
                # Of several at once a local store would leave out those behind one that is gone.
                try:
                    await obstore.delete_async(self._store, key)
                except FileNotFoundError:
                    continue
                self._remove_empty(key)

    async def delete_below(self, prefix: str, at_most: int | None = None) -> int:
        """Deletes what lies below, or some of it, and says how many that was."""
        found = [each.key async for some in self.below(prefix) for each in some][:at_most]
        await self.delete(found)
        return len(found)

    def unfinished(self, before: datetime) -> list[Path]:
        """Files of a local store whose writing broke off, as a kill leaves them."""
        if self._folder is None:
            return []
        found = (path for path in self._folder.rglob("*#*") if _UNFINISHED.match(path.name))
        return [path for path in found if _age(path) < before.timestamp()]

    def _remove_empty(self, key: str) -> None:
        """The folders that the last object of a blob or an upload leaves behind, but not the tenant's own."""
        assert self._folder is not None
        parent = (self._folder / key).parent
        while parent.parent != self._folder and parent != self._folder:
            try:
                parent.rmdir()
            except OSError:
                return
            parent = parent.parent


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


async def chunks(
    objects: Objects, tenant_id: str, sha256: str, start: int, stop: int
) -> AsyncGenerator[memoryview, None]:
    """The bytes of a blob from `start` to before `stop`, at most domain.CHUNK_BYTES at a time."""
    for number, begins, ends in domain.spans(start, stop):
        try:
            part = await objects.get(blob_key(tenant_id, sha256, number), begins, ends)
        except BytesMissing:
            # There is never a row without its bytes: this one was deleted after it was read.
            raise NotFound("MEDIA_NOT_FOUND", "the file was deleted meanwhile", sha256=sha256) from None
        for at in range(0, len(part), domain.CHUNK_BYTES):
            yield part[at : at + domain.CHUNK_BYTES]


@contextmanager
def _told() -> Iterator[None]:
    """What a store says leaves as an error of ours; a missing object is a fault, and FileNotFoundError passes."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        message = "the place where media is kept does not answer; try again"
        raise Unavailable("MEDIA_STORE_UNAVAILABLE", message, retry_after_s=1.0) from error
