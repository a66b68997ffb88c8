"""What users tell us, sealed: AES-256-GCM under a key of their own, wrapped by key-encryption keys that rotate.

Whoever destroys a user's data key has erased everything that was sealed with it, wherever copies of the rows are.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.runtime import keys
from shared.runtime.errors import Internal

RING = "kek"
_KEY_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A user's data key as it is stored. kek: number of the key-encryption key that it is wrapped with."""

    kek: int
    data: bytes


class Vault:
    """The platform's own keys. Files of one home are the same for all its processes, and are read when first needed."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / "secrets"
        self._ring = keys.ring(home, RING)
        self._seen_ns = 0
        self._lookup = keys.load(home, "lookup")

    @property
    def newest(self) -> int:
        """The number of the key that wraps from now on; another process may have added it a moment ago."""
        changed_ns = self._folder.stat().st_mtime_ns
        if changed_ns != self._seen_ns:
            self._ring = keys.ring(self._home, RING)
            self._seen_ns = changed_ns
        return max(self._ring)

    def rotate(self) -> int:
        """Adds a key-encryption key, and says its number. What older ones wrapped is opened with those."""
        keys.extend(self._home, RING)
        return self.newest

    @property
    def known(self) -> str:
        """The numbers of all keys, for the audit."""
        return " ".join(str(number) for number in sorted(keys.ring(self._home, RING)))

    @property
    def newest_age_s(self) -> float:
        return keys.age_s(self._home, f"{RING}-{self.newest}")

    def retire(self) -> list[int]:
        """Destroys all keys but the newest, and says which; the caller knows that they wrap nothing any more."""
        newest = self.newest
        old = sorted(number for number in keys.ring(self._home, RING) if number < newest)
        for number in old:
            keys.destroy(self._home, f"{RING}-{number}")
        self._ring = keys.ring(self._home, RING)
        return old

    def wrap(self, user_id: str, data_key: bytes) -> Wrapped:
        kek = self.newest
        return Wrapped(kek, _seal(self._ring[kek], data_key, _about(user_id, "data_key")))

    def unwrap(self, user_id: str, wrapped: Wrapped) -> bytes:
        """Internal DATA_KEY_UNREADABLE: the key is another user's, or was made under another home's keys."""
        if wrapped.kek not in self._ring:
            self._ring = keys.ring(self._home, RING)
        if (key := self._ring.get(wrapped.kek)) is None:
            raise Internal("DATA_KEY_UNREADABLE", f"kek-{wrapped.kek}.key is not among this home's secrets")
        try:
            return _open(key, wrapped.data, _about(user_id, "data_key"))
        except InvalidTag:
            raise Internal("DATA_KEY_UNREADABLE", f"the data key of user {user_id} is not what was wrapped") from None

    def rewrap(self, user_id: str, wrapped: Wrapped) -> Wrapped:
        return self.wrap(user_id, self.unwrap(user_id, wrapped))

    def fingerprint(self, kind: str, text: str) -> bytes:
        """Finds what is stored under a text without storing the text; nobody without the key can try texts out."""
        return hmac.new(self._lookup, f"{kind}\0{text}".encode(), hashlib.sha256).digest()


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says, which proves nothing before `Proofs.holds`. id: of the registration, or of a change's mail."""

    kind: str
    id: str
    mac: bytes


class Proofs:
    """One-time codes and links, computed from the ids of their rows: no secret of theirs is stored anywhere."""

    def __init__(self, home: Path) -> None:
        self._codes = keys.load(home, "codes")
        self._links = keys.load(home, "links")

    def code(self, code_id: str) -> str:
        place = uuid.UUID(code_id).bytes
        return _CODE + _text(place + _mac(self._codes, place))

    def read_code(self, code: str) -> str | None:
        """The id of a code that this platform issued; None for anything else, without a look at the database."""
        body = _bytes(code.removeprefix(_CODE), 16 + _MAC_BYTES) if code.startswith(_CODE) else None
        if body is None or not hmac.compare_digest(body[16:], _mac(self._codes, body[:16])):
            return None
        return str(uuid.UUID(bytes=body[:16]))

    def link(self, kind: str, row_id: str, bound: bytes) -> str:
        """kind: one letter. bound: what must still be so when the link is used, such as the hash of the e-mail."""
        place = uuid.UUID(row_id).bytes
        return kind + _text(place + _mac(self._links, kind.encode() + place + bound))

    def read_link(self, token: str) -> Link | None:
        body = _bytes(token[1:], 16 + _MAC_BYTES)
        return Link(token[0], str(uuid.UUID(bytes=body[:16])), body[16:]) if body is not None else None

    def holds(self, link: Link, bound: bytes) -> bool:
        place = uuid.UUID(link.id).bytes
        return hmac.compare_digest(link.mac, _mac(self._links, link.kind.encode() + place + bound))

    def browser(self, registration_id: str) -> str:
        """What only the browser that made the registration knows."""
        return _text(_mac(self._links, b"browser" + uuid.UUID(registration_id).bytes))


_CODE = "ccc_"
_MAC_BYTES = 16


def _mac(key: bytes, about: bytes) -> bytes:
    return hmac.new(key, about, hashlib.sha256).digest()[:_MAC_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str, size: int) -> bytes | None:
    """Of exactly this size and in the one spelling that _text gives."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return None
    return data if len(data) == size and _text(data) == text else None


def new_data_key() -> bytes:
    return secrets.token_bytes(_KEY_BYTES)


def seal(data_key: bytes, user_id: str, column: str, text: str) -> bytes:
    """column: where the result is stored; it opens there only, and in this user's row only."""
    return _seal(data_key, text.encode(), _about(user_id, column))


def unseal(data_key: bytes, user_id: str, column: str, sealed: bytes) -> str:
    """Internal SEAL_BROKEN: the bytes were sealed for another user or column, or changed."""
    try:
        return _open(data_key, sealed, _about(user_id, column)).decode()
    except InvalidTag:
        raise Internal("SEAL_BROKEN", f"{column} of user {user_id} is not what was sealed there") from None


def _about(user_id: str, column: str) -> bytes:
    return f"{user_id}\0{column}".encode()


def _seal(key: bytes, plain: bytes, about: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, about)


def _open(key: bytes, sealed: bytes, about: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about)
    except ValueError:
        raise InvalidTag from None  # too short to be a nonce and a tag
