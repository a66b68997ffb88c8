"""StaffService: the people of one tenant's shop, and the API keys of its programs."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import staff_service_pb2 as pb
from center.dataplane.v1 import staff_service_pb2_grpc as pb_grpc
from dataplane.promotions.messages import moment
from dataplane.staff import domain, store
from dataplane.staff.credentials import INVITATION, KEY, MEMBER, Credentials
from dataplane.staff.domain import ApiKey, Member, Role, State
from dataplane.staff.messages import change, key_change, key_to_proto, to_proto
from dataplane.staff.tables import api_keys, staff_members
from dataplane.staff.tries import Tries
from shared.notifications import ops as notifications
from shared.notifications.domain import Asked, Channel
from shared.notifications.vault import Vault as NotificationVault
from shared.runtime import filters, idempotency, journal, passwords
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import FailedPrecondition
from shared.runtime.filters import Field
from shared.runtime.idempotency import mutation, revealing
from shared.runtime.ids import uuid7
from shared.runtime.paging import PageTokens, page_size
from shared.runtime.vault import Vault

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# Where what is sealed is kept.
_EMAIL = "staff_members.email"
_TEMPLATE = "staff-invitation"
# The page of a storefront that a link leads to.
_PAGE = "/account/invitation?token="

_STATES: dict[str, object] = {name: state.value for state in State for name in (state.value, f"MEMBER_STATE_{state}")}
_ROLES: dict[str, object] = {name: role.name for role in Role for name in (role.name, f"STAFF_ROLE_{role.name}")}
_MEMBER_FIELDS = {
    "id": Field(staff_members.c.id, "uuid"),
    "role": Field(staff_members.c.role, "enum", _ROLES),
    "state": Field(staff_members.c.state, "enum", _STATES),
    "create_time": Field(staff_members.c.create_time, "timestamp"),
    "update_time": Field(staff_members.c.update_time, "timestamp"),
}
_KEY_FIELDS = {
    "id": Field(api_keys.c.id, "uuid"),
    "display_name": Field(api_keys.c.display_name),
    "role": Field(api_keys.c.role, "enum", _ROLES),
    "create_time": Field(api_keys.c.create_time, "timestamp"),
    "expire_time": Field(api_keys.c.expire_time, "timestamp"),
    "revoke_time": Field(api_keys.c.revoke_time, "timestamp"),
    "last_use_time": Field(api_keys.c.last_use_time, "timestamp"),
}
_MEMBER_ORDER = filters.order("create_time desc", _MEMBER_FIELDS, staff_members.c.id)
_KEY_ORDER = filters.order("create_time desc", _KEY_FIELDS, api_keys.c.id)


class StaffService(pb_grpc.StaffServiceServicer):
    """db: transactions that may write (dataplane.tenants.local.Writes), whose commits wake those who send mail; reads:
    those that do not.

    mails: what mail is sealed with. origin: where a tenant's shop is reached from outside (dataplane.tenants.origins).
    """

    def __init__(
        self,
        *,
        db: Database,
        reads: Database,
        tokens: PageTokens,
        clock: Clock,
        vault: Vault,
        credentials: Credentials,
        mails: NotificationVault,
        origin: Callable[[str], Awaitable[str]],
    ) -> None:
        self.db = db
        self._reads = reads
        self._tokens = tokens
        self._clock = clock
        self._vault = vault
        self._credentials = credentials
        self._mails = mails
        self._origin = origin
        self._tries = Tries()

    # Members

    async def InviteMember(self, request: pb.InviteMemberRequest, context: Context) -> pb.InviteMemberResponse:
        # Before the transaction: it is a look of its own.
        origin = await self._known_origin()

        @revealing("secret")
        async def invite(
            self: StaffService, request: pb.InviteMemberRequest, tx: AsyncConnection
        ) -> pb.InviteMemberResponse:
            tenant_id, now, email = current().tenant_id, self._clock.now(), domain.email_of(request.email)
            email_hash = self._credentials.email_hash(tenant_id, email)
            before = await store.find(tx, tenant_id, staff_members.c.email_hash == email_hash, lock=True)
            member_id = uuid7() if before is None else before.id
            secret, digest = self._credentials.new(INVITATION, tenant_id, member_id)
            if before is None:
                after = Member(
                    id=member_id,
                    email=self._vault.seal(tenant_id, _EMAIL, email.encode()),
                    email_hash=email_hash,
                    role=Role(request.role),
                    invitation_digest=digest,
                    invitation_expire_time=now + domain.INVITATION_LASTS,
                    create_time=now,
                    update_time=now,
                )
                await store.add_member(tx, tenant_id, after)
            else:
                after = domain.invite_again(before, Role(request.role), digest, now)
                await store.save_member(tx, tenant_id, after)
            await journal.record(tx, tenant_id, [change(before, after, "invited")])
            if origin:
                await self._send_invitation(tx, email, origin, secret)
            return pb.InviteMemberResponse(member=to_proto(after), secret=secret, is_mailed=bool(origin))

        return await invite(self, request, context)

    async def _known_origin(self) -> str:
        """Empty for a shop without a domain: the caller brings the secret to whom it is for."""
        try:
            return await self._origin(current().tenant_id)
        except FailedPrecondition as refusal:
            if refusal.reason != "TENANT_HAS_NO_DOMAIN":
                raise
            return ""

    async def _send_invitation(self, tx: AsyncConnection, email: str, origin: str, secret: str) -> None:
        asked = Asked(
            channel=Channel.EMAIL,
            recipient=email,
            template=_TEMPLATE,
            # Nobody has said which language they read: the shop's own.
            locale="",
            variables={
                "shop": urlsplit(origin).hostname,
                "days": domain.INVITATION_LASTS.days,
                "url": origin + _PAGE + secret,
            },
            dedup_key="",
        )
        await notifications.send(tx, current().tenant_id, asked, self._mails, self._clock)

    async def AcceptInvitation(
        self, request: pb.AcceptInvitationRequest, context: Context
    ) -> pb.AcceptInvitationResponse:
        tenant_id = current().tenant_id
        shown = self._credentials.secret(INVITATION, tenant_id, request.secret)
        if shown is None:
            raise domain.no_invitation()
        self._tries.take(tenant_id, shown.id)
        # Before the transaction: it takes longer than all of that.
        password_hash = await passwords.hashed(request.password)
        async with self.db.transaction(tenant_id) as tx:
            if isinstance(stored := await idempotency.claim(tx, request), pb.AcceptInvitationResponse):
                idempotency.replayed(context)
                return stored
            before = await store.find(tx, tenant_id, staff_members.c.id == shown.id, lock=True)
            after = domain.accept(before, shown.secret, password_hash, self._clock.now())
            await store.save_member(tx, tenant_id, after)
            await journal.record(tx, tenant_id, [change(before, after, "invitation accepted")])
            answer = pb.AcceptInvitationResponse(member=to_proto(after))
            await idempotency.settle(tx, request, answer)
        answer.token = self._begin(after, answer)
        return answer

    async def SignIn(self, request: pb.SignInRequest, context: Context) -> pb.SignInResponse:
        tenant_id = current().tenant_id
        email_hash = self._credentials.email_hash(tenant_id, domain.email_of(request.email))
        self._tries.take(tenant_id, email_hash)
        async with self._reads.transaction(tenant_id) as tx:
            member = await store.find(tx, tenant_id, staff_members.c.email_hash == email_hash)
        # Whoever is not known, or has not accepted, has an empty hash, which takes as long.
        is_right = await passwords.matches(request.password, "" if member is None else member.password_hash)
        if member is None or not is_right:
            raise domain.sign_in_refused()
        self._tries.succeeded(tenant_id, email_hash)
        answer = pb.SignInResponse(member=to_proto(member))
        answer.token = self._begin(member, answer)
        return answer

    @mutation
    async def SignOut(self, request: pb.SignOutRequest, tx: AsyncConnection) -> pb.SignOutResponse:
        before = await store.member(tx, current().tenant_id, _signed_in(), lock=True)
        await self._save(tx, before, domain.sign_out(before, self._clock.now()), "signed out")
        return pb.SignOutResponse()

    async def ChangePassword(self, request: pb.ChangePasswordRequest, context: Context) -> pb.ChangePasswordResponse:
        tenant_id, member_id = current().tenant_id, _signed_in()
        self._tries.take(tenant_id, member_id)
        async with self._reads.transaction(tenant_id) as tx:
            known = await store.member(tx, tenant_id, member_id)
        is_right = await passwords.matches(request.current_password, known.password_hash)
        password_hash = await passwords.hashed(request.new_password) if is_right else ""
        async with self.db.transaction(tenant_id) as tx:
            if isinstance(stored := await idempotency.claim(tx, request), pb.ChangePasswordResponse):
                idempotency.replayed(context)
                return stored
            before = await store.member(tx, tenant_id, member_id, lock=True)
            if not is_right or before.password_hash != known.password_hash:
                raise FailedPrecondition("PASSWORD_WRONG", "the current password is another one")
            after = domain.change_password(before, password_hash, self._clock.now())
            await self._save(tx, before, after, "password changed")
            answer = pb.ChangePasswordResponse(member=to_proto(after))
            await idempotency.settle(tx, request, answer)
        self._tries.succeeded(tenant_id, member_id)
        answer.token = self._begin(after, answer)
        return answer

    async def GetMember(self, request: pb.GetMemberRequest, context: Context) -> pb.GetMemberResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            member = await store.member(tx, current().tenant_id, request.id)
        return pb.GetMemberResponse(member=to_proto(member, self._email(member)))

    async def ListMembers(self, request: pb.ListMembersRequest, context: Context) -> pb.ListMembersResponse:
        tenant_id = current().tenant_id
        condition = filters.where(request.filter, _MEMBER_FIELDS)
        if request.email:
            email_hash = self._credentials.email_hash(tenant_id, domain.email_of(request.email))
            condition &= staff_members.c.email_hash == email_hash
        cursor, size = self._tokens.read(request.page_token, request), page_size(request.page_size)
        async with self._reads.transaction(tenant_id) as tx:
            page, following = await store.members(tx, tenant_id, condition, _MEMBER_ORDER, cursor, size)
        return pb.ListMembersResponse(
            members=[to_proto(member, self._email(member)) for member in page],
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    @mutation
    async def ChangeRole(self, request: pb.ChangeRoleRequest, tx: AsyncConnection) -> pb.ChangeRoleResponse:
        tenant_id = current().tenant_id
        owners = await store.owners(tx, tenant_id)
        before = await store.member(tx, tenant_id, request.id.lower(), lock=True)
        after = domain.change_role(before, Role(request.role), owners, request.etag, self._clock.now())
        await self._save(tx, before, after)
        return pb.ChangeRoleResponse(member=to_proto(after))

    @mutation
    async def RemoveMember(self, request: pb.RemoveMemberRequest, tx: AsyncConnection) -> pb.RemoveMemberResponse:
        tenant_id = current().tenant_id
        owners = await store.owners(tx, tenant_id)
        before = await store.member(tx, tenant_id, request.id.lower(), lock=True)
        domain.refuse_removal(before, owners, request.etag)
        await store.remove_member(tx, tenant_id, before.id)
        await journal.record(tx, tenant_id, [change(before, None)])
        return pb.RemoveMemberResponse()

    async def _save(self, tx: AsyncConnection, before: Member, after: Member, reason: str = "") -> None:
        if after is before:
            journal.unchanged(tx)
            return
        await store.save_member(tx, current().tenant_id, after)
        await journal.record(tx, current().tenant_id, [change(before, after, reason)])

    def _email(self, member: Member) -> str:
        return self._vault.open(current().tenant_id, _EMAIL, member.email).decode()

    def _begin(
        self, member: Member, answer: pb.AcceptInvitationResponse | pb.SignInResponse | pb.ChangePasswordResponse
    ) -> str:
        token, expire_time = self._credentials.begin(current().tenant_id, member.id, member.epoch, self._clock.now())
        answer.expire_time.FromDatetime(expire_time)
        return token

    # API keys

    @revealing("key")
    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, tx: AsyncConnection) -> pb.CreateApiKeyResponse:
        tenant_id, now, key_id = current().tenant_id, self._clock.now(), uuid7()
        expire_time = moment(request, "expire_time")
        domain.check_expiry(expire_time, now)
        shown, digest = self._credentials.new(KEY, tenant_id, key_id)
        key = ApiKey(
            id=key_id,
            display_name=request.display_name,
            role=Role(request.role),
            digest=digest,
            expire_time=expire_time,
            create_time=now,
            update_time=now,
        )
        await store.add_key(tx, tenant_id, key)
        await journal.record(tx, tenant_id, [key_change(None, key)])
        return pb.CreateApiKeyResponse(api_key=key_to_proto(key, now), key=shown)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        condition = filters.where(request.filter, _KEY_FIELDS)
        cursor, size = self._tokens.read(request.page_token, request), page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.keys(tx, current().tenant_id, condition, _KEY_ORDER, cursor, size)
        now = self._clock.now()
        return pb.ListApiKeysResponse(
            api_keys=[key_to_proto(key, now) for key in page],
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    @revealing("key")
    async def RotateApiKey(self, request: pb.RotateApiKeyRequest, tx: AsyncConnection) -> pb.RotateApiKeyResponse:
        tenant_id, now = current().tenant_id, self._clock.now()
        overlap = request.overlap.ToTimedelta() if request.HasField("overlap") else domain.OVERLAP
        before = await store.key(tx, tenant_id, request.id.lower())
        shown, digest = self._credentials.new(KEY, tenant_id, before.id)
        after = domain.rotate(before, digest, overlap, now)
        await store.save_key(tx, tenant_id, after)
        await journal.record(tx, tenant_id, [key_change(before, after, "rotated")])
        return pb.RotateApiKeyResponse(api_key=key_to_proto(after, now), key=shown)

    @mutation
    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, tx: AsyncConnection) -> pb.RevokeApiKeyResponse:
        tenant_id, now = current().tenant_id, self._clock.now()
        before = await store.key(tx, tenant_id, request.id.lower())
        after = domain.revoke(before, now)
        if after is before:
            journal.unchanged(tx)
        else:
            await store.save_key(tx, tenant_id, after)
            await journal.record(tx, tenant_id, [key_change(before, after)])
        return pb.RevokeApiKeyResponse(api_key=key_to_proto(after, now))


def _signed_in() -> str:
    """The id of the member who calls. FailedPrecondition NOT_A_MEMBER."""
    kind, _, id = current().caller.partition("/")
    if f"{kind}/" != MEMBER:
        raise domain.not_a_member()
    return id
