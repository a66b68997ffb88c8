"""What members and API keys show of themselves: texts that only this platform makes, each for one tenant.

What a text says is in the clear; a MAC under a key that all clusters of a platform have shows that it was made here and
for this tenant. So nothing that anyone makes up reaches the database, and a tenant's credentials move along with it.
"""

import base64
import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from dataplane.staff import domain
from dataplane.staff.domain import SESSION_LASTS
from shared.runtime.backoffice import Verifier
from shared.runtime.clock import Clock
from shared.runtime.errors import Unauthenticated

SESSION, KEY, INVITATION = "st_", "ck_", "si_"
# Who calls, as the audit names them.
MEMBER, API_KEY = "staff/", "api-key/"

_ID_BYTES, _SECRET_BYTES, _MAC_BYTES = 16, 16, 16
_NUMBER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Session:
    member_id: str
    epoch: int
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class Secret:
    """Of the key or the member that has this id."""

    id: str
    secret: bytes


class Credentials:
    """key: `staff` of shared.runtime.keys."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def begin(self, tenant_id: str, member_id: str, epoch: int, now: datetime) -> tuple[str, datetime]:
        """A session, and when it ends."""
        ends = int((now + SESSION_LASTS).timestamp())
        said = uuid.UUID(member_id).bytes + epoch.to_bytes(_NUMBER_BYTES, "big") + ends.to_bytes(_NUMBER_BYTES, "big")
        return self._text(SESSION, tenant_id, said), datetime.fromtimestamp(ends, UTC)

    def session(self, tenant_id: str, text: str) -> Session | None:
        if (said := self._said(SESSION, tenant_id, text)) is None:
            return None
        epoch, ends = (int.from_bytes(said[at : at + _NUMBER_BYTES], "big") for at in (16, 24))
        return Session(str(uuid.UUID(bytes=said[:_ID_BYTES])), epoch, datetime.fromtimestamp(ends, UTC))

    def new(self, kind: str, tenant_id: str, id: str) -> tuple[str, bytes]:
        """A text with a new secret, which is shown once, and the digest of it, which is kept."""
        secret = secrets.token_bytes(_SECRET_BYTES)
        return self._text(kind, tenant_id, uuid.UUID(id).bytes + secret), domain.digest(secret)

    def secret(self, kind: str, tenant_id: str, text: str) -> Secret | None:
        if (said := self._said(kind, tenant_id, text)) is None:
            return None
        return Secret(str(uuid.UUID(bytes=said[:_ID_BYTES])), said[_ID_BYTES:])

    def email_hash(self, tenant_id: str, email: str) -> str:
        """Finds a member; nobody without the key can try addresses out."""
        return hmac.new(self._key, f"email\0{tenant_id}\0{email}".encode(), hashlib.sha256).hexdigest()

    def _text(self, kind: str, tenant_id: str, said: bytes) -> str:
        return kind + base64.urlsafe_b64encode(said + self._mac(kind, tenant_id, said)).decode()

    def _said(self, kind: str, tenant_id: str, text: str) -> bytes | None:
        """None: not made by this platform, or for another tenant."""
        encoded = text.removeprefix(kind)
        # 48 bytes are 64 letters, of which no other spelling means the same.
        if not text.startswith(kind) or len(encoded) != 64 or not encoded.isascii():
            return None
        try:
            whole = base64.b64decode(encoded, altchars=b"-_", validate=True)
        except ValueError:
            return None
        said, mac = whole[:-_MAC_BYTES], whole[-_MAC_BYTES:]
        return said if hmac.compare_digest(mac, self._mac(kind, tenant_id, said)) else None

    def _mac(self, kind: str, tenant_id: str, said: bytes) -> bytes:
        return hmac.new(self._key, f"{kind}\0{tenant_id}\0".encode() + said, hashlib.sha256).digest()[:_MAC_BYTES]


class Known:
    """Checks what a shop's own people send, as serving()'s verify_backoffice; whether it still holds, the database says
    (dataplane.staff.admission)."""

    def __init__(self, credentials: Credentials, tokens: Verifier, clock: Clock) -> None:
        """tokens: those that control makes."""
        self._credentials = credentials
        self._tokens = tokens
        self._clock = clock

    def __call__(self, token: str, tenant_id: str) -> str:
        if token.startswith(KEY):
            if (key := self._credentials.secret(KEY, tenant_id, token)) is None:
                raise domain.unknown_token()
            return API_KEY + key.id
        if not token.startswith(SESSION):
            return self._tokens(token, tenant_id)
        if (session := self._credentials.session(tenant_id, token)) is None:
            raise domain.unknown_token()
        if session.expire_time <= self._clock.now():
            raise Unauthenticated("TOKEN_EXPIRED", "this session has ended; sign in again")
        return MEMBER + session.member_id
