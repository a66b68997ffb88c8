"""Whether a credential that was made here still holds, and whether its role is enough.

The database is asked on every call of a shop's own people, so that what was revoked a moment ago lets nobody in.
"""

from dataplane.staff import domain, store
from dataplane.staff.credentials import API_KEY, KEY, MEMBER, Credentials
from dataplane.staff.domain import Role
from dataplane.staff.uses import Uses
from dataplane.tenants.local import LocalTenants
from shared.runtime.clock import Clock
from shared.runtime.context import CallContext
from shared.runtime.db import Database
from shared.runtime.rpc.rules import Rules


class Admission:
    """serving()'s admit_merchant."""

    def __init__(
        self, *, steward: Database, tenants: LocalTenants, credentials: Credentials, uses: Uses, clock: Clock
    ) -> None:
        self._steward = steward
        self._tenants = tenants
        self._credentials = credentials
        self._uses = uses
        self._clock = clock

    async def __call__(self, call: CallContext, of_method: Rules) -> None:
        """Unauthenticated SESSION_ENDED, API_KEY_REVOKED or API_KEY_EXPIRED, PermissionDenied ROLE_NOT_ALLOWED."""
        # Who has moved is not here: better told that than that nobody is known.
        self._tenants.admit(call.tenant_id, mutates=False)
        domain.refuse_role(await self._role(call), Role(of_method.role), call.caller, call.method)

    async def _role(self, call: CallContext) -> Role:
        if call.caller.startswith(MEMBER):
            return await self._role_of_session(call)
        if call.caller.startswith(API_KEY):
            return await self._role_of_key(call)
        # With a token of control's, which only operators make.
        return Role.OWNER

    async def _role_of_session(self, call: CallContext) -> Role:
        session = self._credentials.session(call.tenant_id, _token(call))
        if session is None:
            raise domain.unknown_token()
        standing = await store.member_standing(self._steward, call.tenant_id, session.member_id)
        return domain.role_of_session(standing, session.epoch)

    async def _role_of_key(self, call: CallContext) -> Role:
        shown = self._credentials.secret(KEY, call.tenant_id, _token(call))
        if shown is None:
            raise domain.unknown_token()
        now = self._clock.now()
        standing = await store.key_standing(self._steward, call.tenant_id, shown.id)
        role = domain.role_of_key(standing, shown.secret, now)
        hour = domain.hour_of(now)
        if standing is not None and (standing.last_use_time is None or standing.last_use_time < hour):
            self._uses.note(call.tenant_id, shown.id, hour)
        return role


def _token(call: CallContext) -> str:
    """The credential that the caller was known by."""
    return str((call.metadata or {}).get("authorization", "")).partition(" ")[2].strip()
