"""What users tell us, sealed: AES-256-GCM under a key of their own, wrapped by key-encryption keys that rotate.

Whoever destroys a user's data key has erased everything that was sealed with it, wherever copies of the rows are.
"""

import hashlib
import hmac
import secrets
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
