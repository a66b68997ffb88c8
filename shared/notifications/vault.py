"""What is told to us of recipients, and the secrets of providers: sealed, and found by a keyed hash."""

import hashlib
import hmac
from pathlib import Path

from shared.runtime import keys, vault


class Vault(vault.Vault):
    def __init__(self, home: Path) -> None:
        super().__init__(home, "notifications")
        self._lookup = keys.load(home, "recipients")

    def fingerprint(self, tenant_id: str, address: str) -> str:
        """Finds what is stored about an address; of no use in another tenant, nor to anybody without the key."""
        return hmac.new(self._lookup, f"{tenant_id}\0{address}".encode(), hashlib.sha256).hexdigest()
