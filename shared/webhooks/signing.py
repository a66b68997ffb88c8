"""Secrets of endpoints, sealed at rest, and signatures as Standard Webhooks has them."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.runtime import keys
from shared.runtime.errors import Internal

RING = "webhooks"
SECRET_BYTES = 32
_NONCE_BYTES = 12
_NUMBER_BYTES = 2


class Vault:
    """Seals secrets with AES-256-GCM under the newest key of a ring; each says which it was. A sealed secret opens for
    its own tenant and endpoint alone."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._ring = keys.ring(home, RING)

    def seal(self, tenant_id: str, endpoint_id: str, secret: bytes) -> bytes:
        number, nonce = max(self._ring), secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._ring[number]).encrypt(nonce, secret, _about(tenant_id, endpoint_id))
        return number.to_bytes(_NUMBER_BYTES, "big") + nonce + sealed

    def open(self, tenant_id: str, endpoint_id: str, sealed: bytes) -> bytes:
        """Internal SECRET_UNREADABLE: another endpoint's, or sealed under keys that this home does not have."""
        number, rest = int.from_bytes(sealed[:_NUMBER_BYTES], "big"), sealed[_NUMBER_BYTES:]
        if number not in self._ring:
            self._ring = keys.ring(self._home, RING)
        try:
            key = AESGCM(self._ring[number])
            return key.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _about(tenant_id, endpoint_id))
        except (KeyError, InvalidTag):
            raise Internal("SECRET_UNREADABLE", f"the secret of endpoint {endpoint_id} does not open") from None


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def shown(secret: bytes) -> str:
    """As receivers are given it."""
    return f"whsec_{base64.b64encode(secret).decode()}"


def headers(signing: Sequence[bytes], event_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The three headers; a signature for each secret, so that a receiver may know either."""
    signed = f"{event_id}.{at_s}.".encode() + body
    signatures = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in signing)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(signature).decode()}" for signature in signatures),
    }


def _about(tenant_id: str, endpoint_id: str) -> bytes:
    return f"webhooks.secret\0{tenant_id}\0{endpoint_id}".encode()
