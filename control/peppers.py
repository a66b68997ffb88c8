"""What is stored of a secret that we made: an HMAC under a key that rotates, never the secret.

The newest pepper makes new HMACs; what older ones made is checked with those.
"""

import hashlib
import hmac
from pathlib import Path

from shared.runtime import keys

RING = "pepper"
# Compared with where there is nothing to compare with, so that it takes the same time.
_NOTHING = bytes(hashlib.sha256().digest_size)


class Peppers:
    """The ring of a home. Files are read when first needed; another process may add one at any time."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / "secrets"
        self._ring = keys.ring(home, RING)
        self._seen_ns = 0

    @property
    def newest(self) -> int:
        changed_ns = self._folder.stat().st_mtime_ns
        if changed_ns != self._seen_ns:
            self._ring = keys.ring(self._home, RING)
            self._seen_ns = changed_ns
        return max(self._ring)

    def rotate(self) -> int:
        """Adds a pepper, and says its number."""
        keys.extend(self._home, RING)
        return self.newest

    def seal(self, secret: str) -> tuple[int, bytes]:
        """(pepper, HMAC) to store."""
        pepper = self.newest
        return pepper, _mac(self._ring[pepper], secret)

    def holds(self, secret: str, pepper: int, mac: bytes) -> bool:
        """Whether this is the secret that was sealed."""
        if pepper not in self._ring:
            self._ring = keys.ring(self._home, RING)
        key = self._ring.get(pepper)
        made = _mac(key if key is not None else _NOTHING, secret)
        return hmac.compare_digest(made, mac) and key is not None

    def holds_not(self, secret: str) -> None:
        """Takes the time of holds() for a secret that nothing is stored of."""
        hmac.compare_digest(_mac(next(iter(self._ring.values())), secret), _NOTHING)


def _mac(pepper: bytes, secret: str) -> bytes:
    return hmac.digest(pepper, secret.encode(), "sha256")
