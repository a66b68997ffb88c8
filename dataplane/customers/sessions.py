"""What a customer shows to be known again: a session, and the link by which a new password is chosen.

Both are signed and stored nowhere: whoever raises the customer's epoch ends them all, and of sessions that were ended
one by one the customer's row keeps the ids until they are over. All clusters of a platform have the same keys, so a
session holds wherever its shop moves.
"""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
from sqlalchemy.ext.asyncio import AsyncConnection

from center.shared.v1 import rules_pb2
from dataplane.customers import store
from dataplane.customers.domain import LINK_LIFE, SESSION_LIFE, Customer
from shared.runtime import keys
from shared.runtime.backoffice import ISSUER, LEEWAY_S
from shared.runtime.clock import Clock
from shared.runtime.context import Session, current
from shared.runtime.errors import Unauthenticated

PREFIX = "cs_"
_ALGORITHM = "HS256"
_CALLER = "customer/"
_ID_BYTES = 12


class Sessions:
    def __init__(self, home: Path, clock: Clock) -> None:
        self._sessions = keys.load(home, "sessions")
        # Of its own: a link is no session, nor the other way round.
        self._links = keys.load(home, "password-links")
        self._clock = clock

    def issue(self, tenant_id: str, customer: Customer) -> tuple[str, datetime]:
        """A session, and when it ends."""
        token, ends = self._issued(self._sessions, tenant_id, customer, SESSION_LIFE.total_seconds())
        return PREFIX + token, ends

    def verify(self, token: str, tenant_id: str) -> Session:
        """What a session says; as serving()'s verify_session.

        Unauthenticated SESSION_INVALID: not one of this shop's; SESSION_ENDED. Whether the customer has ended it
        meanwhile, signed_in() says.
        """
        read = self._read(self._sessions, tenant_id, token.removeprefix(PREFIX))
        if read is None:
            raise Unauthenticated("SESSION_INVALID", "not a session of this shop; sign in again")
        if self._is_over(read):
            raise ended()
        return read

    def link(self, tenant_id: str, customer: Customer) -> str:
        return self._issued(self._links, tenant_id, customer, LINK_LIFE.total_seconds())[0]

    def read_link(self, tenant_id: str, token: str) -> tuple[str, int]:
        """(the customer's id, of which epoch). Unauthenticated RESET_INVALID."""
        read = self._read(self._links, tenant_id, token)
        if read is None or self._is_over(read):
            raise reset_invalid()
        return read.customer_id, read.epoch

    def _is_over(self, session: Session) -> bool:
        return session.expire_time < self._clock.now()

    def _issued(self, key: bytes, tenant_id: str, customer: Customer, life_s: float) -> tuple[str, datetime]:
        now = self._clock.now()
        ends = datetime.fromtimestamp(int(now.timestamp() + life_s), now.tzinfo)
        claims = {
            "iss": ISSUER,
            "aud": tenant_id,
            "sub": customer.id,
            "epoch": customer.epoch,
            "jti": secrets.token_urlsafe(_ID_BYTES),
            "iat": now,
            "exp": ends,
        }
        return jwt.encode(claims, key, algorithm=_ALGORITHM), ends

    def _read(self, key: bytes, tenant_id: str, token: str) -> Session | None:
        """None for what was not signed for this shop."""
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=tenant_id,
                issuer=ISSUER,
                # The time is an argument here, and jwt would ask the system.
                options={"require": ["exp", "aud", "iss", "sub"], "verify_exp": False, "verify_iat": False},
            )
            ends = datetime.fromtimestamp(float(claims["exp"]), UTC) + timedelta(seconds=LEEWAY_S)
            # Those of before there were ids have none.
            return Session(_CALLER + str(claims["sub"]), int(claims["epoch"]), str(claims.get("jti", "")), ends)
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, OverflowError):
            return None


def customer_id() -> str:
    """Of the customer who calls, by what their session says; empty for anyone else."""
    call = current()
    return call.caller.removeprefix(_CALLER) if call.role == rules_pb2.CALLER_CUSTOMER else ""


async def signed_in(tx: AsyncConnection) -> str:
    """customer_id(), once it is sure that the session has not ended. Unauthenticated SESSION_ENDED."""
    call = current()
    if not (found := customer_id()) or call.session is None:
        return ""
    if not await store.is_open(tx, call.tenant_id, found, call.session):
        raise ended()
    return found


def ended() -> Unauthenticated:
    return Unauthenticated("SESSION_ENDED", "this session is over; sign in again")


def reset_invalid() -> Unauthenticated:
    return Unauthenticated("RESET_INVALID", "this link is over, was used, or is none of this shop's; ask for another")
