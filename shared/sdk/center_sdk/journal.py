"""Decisions on their way to the log: a bounded file of fixed records that outlives the process that wrote it.

A record is in the page cache before its decision is answered, so it survives the death of the process, though not that
of the machine. It is freed once the control plane has it.
"""

import fcntl
import mmap
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from center.control.v1 import validator_service_pb2 as pb
from center_sdk.decision import Run, uuid_text, uuid_words

RECORDS = 65_536
RECORD_BYTES = 384
AT_ONCE = 2_000
_HEADER_BYTES = 4096
_MAGIC = b"center decisions 1"

_WORDS = RECORD_BYTES // 8
_HEADER_WORDS = _HEADER_BYTES // 8
# Words of a record. `_USED` is written last and cleared first; what changes with each decision is not in the checksum.
_USED, _RUN, _LEASE, _ENTITLEMENT, _USER, _COUNT, _COST, _REVISION = 0, 1, 3, 5, 7, 9, 10, 11
_FIRST, _LAST, _LENGTHS, _CRC, _TEXTS = 12, 13, 14, 15, 16
COUNT, LAST = _COUNT, _LAST
_TEXT_BYTES = RECORD_BYTES - _TEXTS * 8


class JournalBusy(Exception):
    """Another living process writes this journal."""


class Journal:
    """counts, times: the words of the records, as integers and as floats; in which the engine itself counts."""

    def __init__(self, path: Path | None = None, records: int = RECORDS) -> None:
        """path: None keeps it in memory, which does not outlive the process. Raises JournalBusy."""
        self.path = path
        self._file = self._open(path, records) if path is not None else None
        if self._file is not None:
            records = (os.fstat(self._file).st_size - _HEADER_BYTES) // RECORD_BYTES
            self._map = mmap.mmap(self._file, _HEADER_BYTES + records * RECORD_BYTES)
        else:
            self._map = mmap.mmap(-1, _HEADER_BYTES + records * RECORD_BYTES)
        self.records = records
        self._bytes = memoryview(self._map)
        self.counts = self._bytes.cast("Q")
        self.times = self._bytes.cast("d")
        used = [bool(self.counts[self.place(slot)]) for slot in range(records)]
        self._free = [slot for slot in range(records - 1, -1, -1) if not used[slot]]
        # What an earlier process wrote and nobody took.
        self._left = [slot for slot in range(records) if used[slot]]

    @staticmethod
    def _open(path: Path, records: int) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise JournalBusy(f"{path} is another process's") from None
        size = os.fstat(file).st_size
        if size < _HEADER_BYTES or (size - _HEADER_BYTES) % RECORD_BYTES or os.pread(file, 18, 0) != _MAGIC:
            # New, or never finished being made: no decision was answered on it.
            os.ftruncate(file, 0)
            os.ftruncate(file, _HEADER_BYTES + records * RECORD_BYTES)
            os.pwrite(file, _MAGIC, 0)
        return file

    @staticmethod
    def place(slot: int) -> int:
        """The first word of a record."""
        return _HEADER_WORDS + slot * _WORDS

    @property
    def used(self) -> int:
        return self.records - len(self._free)

    @property
    def full(self) -> bool:
        return not self._free

    def begin(self, run: Run) -> bool:
        """Writes a run without decisions, and tells it where it is; False when there is no room."""
        if not self._free:
            return False
        slot = self._free.pop()
        at = self.place(slot)
        facts, words = run.facts, self.counts
        texts = [text.encode() for text in (facts.kid, facts.solution_id, facts.tier, facts.action)]
        joined = b"".join(texts)
        if len(joined) > _TEXT_BYTES:
            # Longer than any name can be: whoever sent it gets the same answer, only cut in the log.
            texts = [text[: _TEXT_BYTES // 4 - 1] for text in texts]
            joined = b"".join(texts)
        words[at + _RUN], words[at + _RUN + 1] = run.high, run.low
        words[at + _LEASE], words[at + _LEASE + 1] = uuid_words(run.lease.id)
        words[at + _ENTITLEMENT], words[at + _ENTITLEMENT + 1] = uuid_words(facts.entitlement_id)
        words[at + _USER], words[at + _USER + 1] = uuid_words(facts.user_id)
        words[at + _COUNT] = 0
        words[at + _COST] = run.cost
        words[at + _REVISION] = facts.revision
        self.times[at + _FIRST] = self.times[at + _LAST] = run.first
        words[at + _LENGTHS] = int.from_bytes(bytes([int(run.code), *map(len, texts)]), "little")
        start = at * 8 + _TEXTS * 8
        self._bytes[start : start + len(joined)] = joined
        words[at + _CRC] = self._crc(at, len(joined))
        words[at + _USED] = 1
        run.slot, run.place = slot, at
        return True

    def free(self, slot: int) -> None:
        self.counts[self.place(slot)] = 0
        self._free.append(slot)

    def told(self, slot: int) -> pb.DecisionRun | None:
        """The run in a record; None for one that is free, torn or without a decision."""
        at, words = self.place(slot), self.counts
        if not words[at + _USED] or not words[at + _COUNT]:
            return None
        code, *lengths = words[at + _LENGTHS].to_bytes(8, "little")[:5]
        if sum(lengths) > _TEXT_BYTES or words[at + _CRC] != self._crc(at, sum(lengths)):
            return None
        start = at * 8 + _TEXTS * 8
        texts = []
        for length in lengths:
            texts.append(bytes(self._bytes[start : start + length]).decode(errors="ignore"))
            start += length
        run = pb.DecisionRun(
            id=uuid_text(words[at + _RUN], words[at + _RUN + 1]),
            lease_id=uuid_text(words[at + _LEASE], words[at + _LEASE + 1]),
            entitlement_id=uuid_text(words[at + _ENTITLEMENT], words[at + _ENTITLEMENT + 1]),
            user_id=uuid_text(words[at + _USER], words[at + _USER + 1]),
            token_kid=texts[0],
            solution_id=texts[1],
            tier=texts[2],
            action=texts[3],
            code=code,  # type: ignore[arg-type]
            cost=words[at + _COST],
            count=words[at + _COUNT],
            revision=words[at + _REVISION],
        )
        for stamp, seconds in ((run.first_time, self.times[at + _FIRST]), (run.last_time, self.times[at + _LAST])):
            # Microseconds, as the log keeps them.
            stamp.seconds, micros = divmod(round(seconds * 1e6), 1_000_000)
            stamp.nanos = micros * 1000
        return run

    def left_behind(self) -> Iterator[tuple[int, pb.DecisionRun]]:
        """(slot, run) of what an earlier process wrote and nobody took; records without any use are freed."""
        for slot in self._left:
            run = self.told(slot)
            if run is None:
                self.free(slot)
            else:
                yield slot, run
        self._left = []

    def recovered(self, instance: str) -> Iterator[pb.SettleLeasesRequest]:
        """The same in batches, each to be handed in before the next is asked for, which frees it.

        The leases are closed with the last of their runs: what they had left goes back.
        """
        left = list(self.left_behind())
        last = {run.lease_id: at for at, (_, run) in enumerate(left) if run.lease_id}
        for start in range(0, len(left), AT_ONCE):
            part = left[start : start + AT_ONCE]
            closed = [lease_id for lease_id, at in last.items() if start <= at < start + AT_ONCE]
            yield pb.SettleLeasesRequest(
                instance=instance,
                settlements=[pb.Settlement(lease_id=lease_id, close=True) for lease_id in closed],
                runs=[run for _, run in part],
            )
            for slot, _ in part:
                self.free(slot)

    def close(self) -> None:
        """Lets another process have it."""
        self.counts.release()
        self.times.release()
        self._bytes.release()
        self._map.close()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _crc(self, at: int, text_bytes: int) -> int:
        start = at * 8
        value = zlib.crc32(self._bytes[start + 8 : start + _COUNT * 8])
        value = zlib.crc32(self._bytes[start + _COST * 8 : start + _LAST * 8], value)
        value = zlib.crc32(self._bytes[start + _LENGTHS * 8 : start + _CRC * 8], value)
        return zlib.crc32(self._bytes[start + _TEXTS * 8 : start + _TEXTS * 8 + text_bytes], value)
