"""What is told to us of recipients, and the secrets of providers: sealed with AES-256-GCM, found by a keyed hash."""

import hashlib
import hmac
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.runtime import keys
from shared.runtime.errors import Internal

RING = "notifications"
_NONCE_BYTES = 12
_NUMBER_BYTES = 4


class Vault:
    """The platform's keys. All clusters of a platform have the same ones: a tenant's rows open wherever it moves."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._ring = keys.ring(home, RING)
        self._lookup = keys.load(home, "recipients")

    def seal(self, tenant_id: str, place: str, plain: bytes) -> bytes:
        """place: where the result is stored; it opens there only, and for this tenant only."""
        number = max(self._ring)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._ring[number]).encrypt(nonce, plain, _about(tenant_id, place))
        return number.to_bytes(_NUMBER_BYTES, "big") + nonce + sealed

    def open(self, tenant_id: str, place: str, sealed: bytes) -> bytes:
        """Internal SEAL_BROKEN: sealed elsewhere, or changed, or with a key that this home does not have."""
        number = int.from_bytes(sealed[:_NUMBER_BYTES], "big")
        if number not in self._ring:
            self._ring = keys.ring(self._home, RING)
        nonce, body = sealed[_NUMBER_BYTES:][:_NONCE_BYTES], sealed[_NUMBER_BYTES + _NONCE_BYTES :]
        try:
            return AESGCM(self._ring[number]).decrypt(nonce, body, _about(tenant_id, place))
        except (KeyError, InvalidTag, ValueError):
            raise Internal("SEAL_BROKEN", f"{place} is not what was sealed there") from None

    def fingerprint(self, tenant_id: str, address: str) -> str:
        """Finds what is stored about an address; of no use in another tenant, nor to anybody without the key."""
        return hmac.new(self._lookup, _about(tenant_id, address), hashlib.sha256).hexdigest()


def _about(tenant_id: str, place: str) -> bytes:
    return f"{tenant_id}\0{place}".encode()
