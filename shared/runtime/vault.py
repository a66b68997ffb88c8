"""What a database keeps and must not tell: sealed with AES-256-GCM under the platform's own keys, files of its home."""

import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.runtime import keys
from shared.runtime.errors import Internal

_NONCE_BYTES = 12
_NUMBER_BYTES = 4


class Vault:
    """Seals with the newest key of a ring; what is sealed names the key that it opens with.

    All clusters of a platform have the same keys: a tenant's rows open wherever it moves.
    """

    def __init__(self, home: Path, ring: str) -> None:
        self._home = home
        self._name = ring
        self._ring = keys.ring(home, ring)

    def seal(self, tenant_id: str, place: str, plain: bytes) -> bytes:
        """place: where the result is stored; it opens there only, and for this tenant only. Nothing stays nothing."""
        if not plain:
            return b""
        number, nonce = max(self._ring), secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._ring[number]).encrypt(nonce, plain, _about(tenant_id, place))
        return number.to_bytes(_NUMBER_BYTES, "big") + nonce + sealed

    def open(self, tenant_id: str, place: str, sealed: bytes) -> bytes:
        """Internal SEAL_BROKEN: sealed elsewhere, or changed, or with a key that this home does not have."""
        if not sealed:
            return b""
        number, rest = int.from_bytes(sealed[:_NUMBER_BYTES], "big"), sealed[_NUMBER_BYTES:]
        if number not in self._ring:
            self._ring = keys.ring(self._home, self._name)
        try:
            key = AESGCM(self._ring[number])
            return key.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _about(tenant_id, place))
        except (KeyError, InvalidTag, ValueError):
            raise Internal("SEAL_BROKEN", f"{place} is not what was sealed there") from None


def _about(tenant_id: str, place: str) -> bytes:
    return f"{tenant_id}\0{place}".encode()
