"""A tenant's keys at its provider, sealed with AES-256-GCM under the platform's own keys: files of its home."""

import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.runtime import keys
from shared.runtime.errors import Internal

RING = "payments"
_NONCE_BYTES = 12
_NUMBER_BYTES = 4


class Seals:
    """Seals with the newest key of the ring; each sealed text names the one that it opens with."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._ring = keys.ring(home, RING)

    def seal(self, tenant_id: str, column: str, text: str) -> bytes:
        """It opens for this tenant and in this column only; an empty text stays empty."""
        if not text:
            return b""
        number = max(self._ring)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._ring[number]).encrypt(nonce, text.encode(), _about(tenant_id, column))
        return number.to_bytes(_NUMBER_BYTES, "big") + nonce + sealed

    def open(self, tenant_id: str, column: str, sealed: bytes) -> str:
        """Internal SEAL_BROKEN: sealed for another place, changed, or under another home's key."""
        if not sealed:
            return ""
        number = int.from_bytes(sealed[:_NUMBER_BYTES], "big")
        if number not in self._ring:
            self._ring = keys.ring(self._home, RING)
        nonce, rest = sealed[_NUMBER_BYTES : _NUMBER_BYTES + _NONCE_BYTES], sealed[_NUMBER_BYTES + _NONCE_BYTES :]
        try:
            return AESGCM(self._ring[number]).decrypt(nonce, rest, _about(tenant_id, column)).decode()
        except (KeyError, ValueError, InvalidTag):
            raise Internal("SEAL_BROKEN", f"{column} of tenant {tenant_id} is not what was sealed there") from None


def _about(tenant_id: str, column: str) -> bytes:
    return f"{tenant_id}\0{column}".encode()
