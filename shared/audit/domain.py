"""What an audit chain is made of, and what a look along one finds.

Every tenant has a chain, and so has what concerns no tenant. An entry's link is a hash over the link before it, its own
place and all that the entry says; a seal is a signature over the link at its end. So whoever changes a row without the
key of a seal must break a link or a seal, and a link says whose.
"""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.runtime.proofs import joined, proof

# The resource of an entry that says that all rows of a tenant came or went; its id is the tenant's.
ROWS = "tenant_rows"


@dataclass(frozen=True, slots=True)
class Entry:
    """One change, as it was written in the transaction of the change.

    tenant_id: empty for what concerns no tenant. changes: (field, before, after) each.
    proof: made by the process that wrote the entry, with a key that the database does not have.
    """

    id: str
    tenant_id: str
    create_time: datetime
    method: str
    caller: str
    resource: str
    resource_id: str
    reason: str
    revision: int
    trace_id: str
    request_id: str
    changes: tuple[tuple[str, str, str], ...]
    proof: bytes | None


@dataclass(frozen=True, slots=True)
class Link:
    """position: from 1 on. digest: of what the entry said when it was sealed."""

    position: int
    entry_id: str
    digest: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """Vouches for the links from `begin` to `position`, the last of which is `hash`.

    signer: the fingerprint of the certificate whose key signed.
    """

    begin: int
    position: int
    hash: bytes
    create_time: datetime
    signer: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Anchor:
    """The end of a chain as it once was, kept where whoever writes to the database cannot."""

    position: int
    hash: bytes


def proven(entry: Entry, key: bytes) -> bool:
    return entry.proof is not None and hmac.compare_digest(
        entry.proof,
        proof(
            key,
            id=entry.id,
            tenant_id=entry.tenant_id,
            method=entry.method,
            caller=entry.caller,
            resource=entry.resource,
            resource_id=entry.resource_id,
            reason=entry.reason,
            revision=entry.revision,
            trace_id=entry.trace_id,
            request_id=entry.request_id,
            changes=entry.changes,
        ),
    )


def is_of_whole_chain(entry: Entry) -> bool:
    """Whether the entry says that a tenant's rows, its chain among them, came here or went."""
    return entry.tenant_id == "" and entry.resource == ROWS


def digest(entry: Entry) -> bytes:
    said = (
        entry.id,
        entry.tenant_id,
        _time(entry.create_time),
        entry.method,
        entry.caller,
        entry.resource,
        entry.resource_id,
        entry.reason,
        str(entry.revision),
        entry.trace_id,
        entry.request_id,
        "" if entry.proof is None else entry.proof.hex(),
    )
    return hashlib.sha256(joined(*said, *(part for change in entry.changes for part in change))).digest()


def beginning(tenant_id: str) -> bytes:
    """What the first link of a chain goes on from."""
    return hashlib.sha256(joined("center audit chain 1", tenant_id)).digest()


def link(before: bytes, position: int, of_entry: bytes) -> bytes:
    return hashlib.sha256(before + position.to_bytes(8, "big") + of_entry).digest()


def statement(tenant_id: str, seal: Seal) -> bytes:
    """What a seal's signature is of."""
    place = (str(seal.begin), str(seal.position), seal.hash.hex(), _time(seal.create_time), seal.signer)
    return joined("center audit seal 1", tenant_id, *place)


def _time(moment: datetime) -> str:
    return str(round(moment.timestamp() * 1_000_000))


class Kind(StrEnum):
    """What was done to a row, as far as the chain tells."""

    CHANGED = "CHANGED"  # the entry is not what was sealed
    REMOVED = "REMOVED"  # the entry, its link or its seal is gone
    REORDERED = "REORDERED"  # the link does not follow from the one before it
    SLIPPED_IN = "SLIPPED_IN"  # an entry that no process of this platform wrote, or that came past the sealer
    SEAL_BROKEN = "SEAL_BROKEN"  # no signature of this platform vouches for these links
    TRUNCATED = "TRUNCATED"  # the chain ends before a place that is known from elsewhere
    REWRITTEN = "REWRITTEN"  # the chain is another than the one that is known from elsewhere


@dataclass(frozen=True, slots=True)
class Finding:
    """position, until: which links; 0 for an entry that has none."""

    kind: Kind
    position: int
    until: int
    entry_id: str = ""


@dataclass(slots=True)
class Walk:
    """A walk along one chain, link by link and seal by seal in order of their places.

    start: the place before the first link that is looked at. hash: the link there; not given, the next one is taken as
    it stands.
    """

    tenant_id: str
    start: int = 0
    hash: bytes | None = None
    entries: int = 0
    position: int = field(init=False)
    sealed: int = field(init=False)
    # What the next link may follow from: after a break, what stands there and what should.
    _before: tuple[bytes, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.start == 0:
            self.hash = beginning(self.tenant_id)
        self.position = self.sealed = self.start
        self._before = (self.hash,) if self.hash is not None else ()

    def take(self, found: Link, entry: Entry | None) -> Iterator[Finding]:
        """The next link and the entry that it names, if that is there."""
        if found.position > self.position + 1:
            yield Finding(Kind.REMOVED, self.position + 1, found.position - 1)
            self._before = ()
        self.position, self.hash = found.position, found.hash
        self.entries += 1
        if entry is None:
            yield Finding(Kind.REMOVED, found.position, found.position, found.entry_id)
        elif digest(entry) != found.digest:
            yield Finding(Kind.CHANGED, found.position, found.position, found.entry_id)
        should = [link(before, found.position, found.digest) for before in self._before]
        if should and found.hash not in should:
            yield Finding(Kind.REORDERED, found.position, found.position, found.entry_id)
            self._before = (found.hash, *should)
        else:
            self._before = (found.hash,)

    def seal(self, found: Seal, *, is_signed: bool) -> Iterator[Finding]:
        """The next seal, once its last link was taken. is_signed: by a key of this platform, and just so."""
        if found.position > self.position:
            yield Finding(Kind.REMOVED, self.position + 1, found.position)
            self.position, self.hash, self._before = found.position, None, ()
        elif not is_signed or found.hash != self.hash:
            yield Finding(Kind.SEAL_BROKEN, found.begin, found.position)
        if is_signed and found.begin > self.sealed + 1:
            # A seal in between is gone, or its links are not the sealer's.
            yield Finding(Kind.SEAL_BROKEN, self.sealed + 1, found.begin - 1)
        self.sealed = found.position
        if is_signed:
            self._before = (*self._before, found.hash)

    def end(self) -> Iterator[Finding]:
        """At the end of the chain: links and their seal are written together."""
        if self.position > self.sealed:
            yield Finding(Kind.SEAL_BROKEN, self.sealed + 1, self.position)


def held(anchor: Anchor, end: int, at_anchor: bytes | None) -> Iterator[Finding]:
    """Whether a chain that ends at `end` is the one that the anchor is of; at_anchor: its link at that place."""
    if end < anchor.position:
        yield Finding(Kind.TRUNCATED, end + 1, anchor.position)
    elif at_anchor != anchor.hash:
        yield Finding(Kind.REWRITTEN, anchor.position, anchor.position)


@dataclass(slots=True)
class Progress:
    """What was found since the last, and how far the look along this chain is."""

    tenant_id: str
    links: int = 0
    findings: list[Finding] = field(default_factory=list)
    is_complete: bool = False
    end: Anchor | None = None
    seal_time: datetime | None = None
    unsealed: int = 0
