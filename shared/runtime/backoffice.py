"""Backoffice tokens: control signs who may change which shop, clusters check with the public key alone (RFC 8037)."""

import contextlib
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.runtime.clock import Clock
from shared.runtime.errors import Unauthenticated
from shared.runtime.ids import uuid7

ISSUER = "center"
ALGORITHM = "EdDSA"
# Clocks of two machines differ a little.
LEEWAY_S = 30


class Signer:
    """Makes tokens; the control plane's alone."""

    def __init__(self, home: Path) -> None:
        ensure(home)
        key = serialization.load_pem_private_key(_private_path(home).read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{_private_path(home)} is no Ed25519 key")
        self._key = key

    def issue(self, tenant_id: str, subject: str, *, life: timedelta, now: datetime, token_id: str = "") -> str:
        """A token for the people of one tenant; subject: who it was made for, as the audit shows it.

        With a token_id the same arguments give the same token, since Ed25519 signs without chance.
        """
        claims = {
            "iss": ISSUER,
            "aud": tenant_id,
            "sub": subject,
            "iat": now,
            "exp": now + life,
            "jti": token_id or uuid7(),
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)


class Verifier:
    """Checks tokens, as serving()'s verify_backoffice."""

    def __init__(self, home: Path, clock: Clock) -> None:
        ensure(home)
        key = serialization.load_pem_public_key(_public_path(home).read_bytes())
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError(f"{_public_path(home)} is no Ed25519 key")
        self._key = key
        self._clock = clock

    def __call__(self, token: str, tenant_id: str) -> str:
        """Whose token it is, such as `merchant/ada`; Unauthenticated unless it holds now and for this tenant."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=tenant_id or None,
                issuer=ISSUER,
                # The time is an argument here, and jwt would ask the system.
                options={"require": ["exp", "aud", "iss", "sub"], "verify_exp": False, "verify_iat": False},
            )
            expired = float(claims["exp"]) + LEEWAY_S < self._clock.now().timestamp()
        except (jwt.InvalidTokenError, TypeError, ValueError):
            raise Unauthenticated("TOKEN_INVALID", "not a backoffice token of this shop") from None
        if expired:
            raise Unauthenticated("TOKEN_EXPIRED", "the backoffice token has ended; ask for a new one")
        return f"merchant/{claims['sub']}"


def ensure(home: Path) -> None:
    """Makes home/secrets/backoffice.key and .pub, once, whichever process comes first."""
    private_path, public_path = _private_path(home), _public_path(home)
    private_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not private_path.exists():
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _publish(private_path, pem, 0o600)
    if not public_path.exists():
        private = serialization.load_pem_private_key(private_path.read_bytes(), password=None)
        pem = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        _publish(public_path, pem, 0o644)


def _private_path(home: Path) -> Path:
    return home / "secrets" / "backoffice.key"


def _public_path(home: Path) -> Path:
    return home / "secrets" / "backoffice.pub"


def _publish(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all; of two processes that start at once, the first one's counts."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
