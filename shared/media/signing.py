"""Signed URLs: who has one gets one variant of one file of one tenant, until it expires."""

import base64
import hashlib
import hmac
from datetime import datetime
from urllib.parse import quote, urlencode

from shared.runtime.errors import PermissionDenied

_MAC_BYTES = 24


class Signer:
    """key: of the home, the same for every cluster, so that a URL outlives a tenant's move."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def path(self, tenant_id: str, media_id: str, variant: str, expires: int) -> str:
        """Path and query at the tenant's own domain; expires in seconds since 1970."""
        query = {"variant": variant} if variant else {}
        query |= {"expires": str(expires), "signature": self._signature(tenant_id, media_id, variant, expires)}
        return f"/media/{quote(media_id)}?{urlencode(query)}"

    def check(self, tenant_id: str, media_id: str, variant: str, expires: int, signature: str, now: datetime) -> None:
        """PermissionDenied MEDIA_URL_INVALID, MEDIA_URL_EXPIRED. tenant_id: at whose domain it was asked for."""
        right = self._signature(tenant_id, media_id, variant, expires)
        if not hmac.compare_digest(signature.encode(), right.encode()):
            raise PermissionDenied("MEDIA_URL_INVALID", "the address is not one that this shop has given out")
        if now.timestamp() >= expires:
            raise PermissionDenied("MEDIA_URL_EXPIRED", "the address has expired; ask the shop for a new one")

    def _signature(self, tenant_id: str, media_id: str, variant: str, expires: int) -> str:
        words = "\n".join(("media", tenant_id, media_id, variant, str(expires)))
        digest = hmac.new(self._key, words.encode(), hashlib.sha256).digest()[:_MAC_BYTES]
        return base64.urlsafe_b64encode(digest).decode()
