"""Secrets of endpoints, and signatures as Standard Webhooks has them."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

SECRET_BYTES = 32


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def place_of(endpoint_id: str) -> str:
    """Where in the vault an endpoint's secrets are."""
    return f"endpoint {endpoint_id}"


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
