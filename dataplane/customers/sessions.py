"""What a customer shows to be known again: a session, and the link by which a new password is chosen.

Both are signed and stored nowhere: whoever raises the customer's epoch ends them all. All clusters of a platform have
the same keys, so a session holds wherever its shop moves.
"""

from datetime import datetime
from pathlib import Path

import jwt
from sqlalchemy.ext.asyncio import AsyncConnection

from center.shared.v1 import rules_pb2
from dataplane.customers import store
from dataplane.customers.domain import LINK_LIFE, SESSION_LIFE, Customer
from shared.runtime import keys
from shared.runtime.backoffice import ISSUER, LEEWAY_S
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.errors import Unauthenticated

PREFIX = "cs_"
_ALGORITHM = "HS256"
_CALLER = "customer/"


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

    def verify(self, token: str, tenant_id: str) -> tuple[str, int]:
        """Whose session it is, such as `customer/ID`, and of which epoch; as serving()'s verify_session.

        Unauthenticated SESSION_INVALID: not one of this shop's; SESSION_ENDED. Whether the customer has ended it
        meanwhile, signed_in() says.
        """
        read = self._read(self._sessions, tenant_id, token.removeprefix(PREFIX))
        if read is None:
            raise Unauthenticated("SESSION_INVALID", "not a session of this shop; sign in again")
        customer_id, epoch, is_over = read
        if is_over:
            raise ended()
        return _CALLER + customer_id, epoch

    def link(self, tenant_id: str, customer: Customer) -> str:
        return self._issued(self._links, tenant_id, customer, LINK_LIFE.total_seconds())[0]

    def read_link(self, tenant_id: str, token: str) -> tuple[str, int]:
        """(the customer's id, of which epoch). Unauthenticated RESET_INVALID."""
        read = self._read(self._links, tenant_id, token)
        if read is None or read[2]:
            raise reset_invalid()
        return read[:2]

    def _issued(self, key: bytes, tenant_id: str, customer: Customer, life_s: float) -> tuple[str, datetime]:
        now = self._clock.now()
        ends = datetime.fromtimestamp(int(now.timestamp() + life_s), now.tzinfo)
        claims = {
            "iss": ISSUER,
            "aud": tenant_id,
            "sub": customer.id,
            "epoch": customer.epoch,
            "iat": now,
            "exp": ends,
        }
        return jwt.encode(claims, key, algorithm=_ALGORITHM), ends

    def _read(self, key: bytes, tenant_id: str, token: str) -> tuple[str, int, bool] | None:
        """(the customer's id, of which epoch, whether it is over); None for what was not signed for this shop."""
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
            is_over = float(claims["exp"]) + LEEWAY_S < self._clock.now().timestamp()
            return str(claims["sub"]), int(claims["epoch"]), is_over
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            return None


def customer_id() -> str:
    """Of the customer who calls, by what their session says; empty for anyone else."""
    call = current()
    return call.caller.removeprefix(_CALLER) if call.role == rules_pb2.CALLER_CUSTOMER else ""


async def signed_in(tx: AsyncConnection) -> str:
    """customer_id(), once it is sure that the session has not ended. Unauthenticated SESSION_ENDED."""
    call = current()
    if not (found := customer_id()):
        return ""
    if await store.epoch_of(tx, call.tenant_id, found) != call.session_epoch:
        raise ended()
    return found


def ended() -> Unauthenticated:
    return Unauthenticated("SESSION_ENDED", "this session is over; sign in again")


def reset_invalid() -> Unauthenticated:
    return Unauthenticated("RESET_INVALID", "this link is over, was used, or is none of this shop's; ask for another")
