"""UserService: registration, proof of e-mail, codes, export and erasure, over gRPC."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import user_service_pb2 as pb
from center.control.v1 import user_service_pb2_grpc as pb_grpc
from center.shared.v1 import rules_pb2
from control.catalog.abreast import Abreast
from control.catalog.store import Change, record
from control.entitlements import ops as entitlement_ops
from control.entitlements.ops import Issued, Issuer
from control.operations import service as operation_service
from control.operations import store as operation_store
from control.operations.domain import Kind
from control.solutions import store as solution_store
from control.solutions.callers import check_yours
from control.solutions.domain import Solution
from control.tables import mails, users
from control.tenants.ops import operation_for
from control.users import domain, mail, ops, store
from control.users.crypto import Link, Proofs, Vault
from control.users.domain import Registration, State
from control.users.export import exported
from control.users.messages import mail_to_proto, to_proto
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database, constraints
from shared.runtime.errors import FailedPrecondition, NotFound, check_etag
from shared.runtime.filters import Field, where
from shared.runtime.idempotency import claim, mutation, replayed, revealing, settle
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

FIELDS = {
    "id": Field(users.c.id, "uuid"),
    "state": Field(users.c.state, "enum", {state: state for state in State}),
    "verified": Field(users.c.verify_time.is_not(None), "bool"),
    "create_time": Field(users.c.create_time, "timestamp"),
    "update_time": Field(users.c.update_time, "timestamp"),
}
MAIL_FIELDS = {
    "id": Field(mails.c.id, "uuid"),
    "user_id": Field(mails.c.user_id, "uuid"),
    "template": Field(mails.c.template, "enum", {template: template for template in mail.Template}),
    "state": Field(mails.c.state, "enum", {state: state for state in mail.Outcome}),
    "create_time": Field(mails.c.create_time, "timestamp"),
}
NEWEST_FIRST = Ordering((Term(users.c.create_time, descending=True), Term(users.c.id, descending=True)))
NEWEST_MAIL_FIRST = Ordering((Term(mails.c.create_time, descending=True), Term(mails.c.id, descending=True)))

# A transaction that began before the newest key was there has ended by then, whatever became of it.
KEY_SETTLES_S = 120.0

ROTATION_RUNNING = FailedPrecondition("ROTATION_RUNNING", "the keys are being rotated; wait for that operation")


class UserService(pb_grpc.UserServiceServicer):
    def __init__(
        self,
        db: Database,
        clock: Clock,
        page_tokens: PageTokens,
        vault: Vault,
        proofs: Proofs,
        issuer: Issuer,
        abreast: Abreast,
    ) -> None:
        self.db = db
        self.committed = abreast
        self._clock = clock
        self._page_tokens = page_tokens
        self._vault = vault
        self._proofs = proofs
        self._issuer = issuer

    async def RegisterUser(self, request: pb.RegisterUserRequest, context: Context) -> pb.RegisterUserResponse:
        check_yours(request.solution_id)
        email = domain.normalise(request.email)
        async with self.db.transaction() as tx:
            stored = await claim(tx, request)
            if isinstance(stored, pb.RegisterUserResponse):
                url = await self._url_again(tx, stored.registration_id)
                replayed(context)
                return self._registered(stored.registration_id, url)
            answer = await self._register(tx, request, email, _client(context))
            await settle(tx, request, pb.RegisterUserResponse(registration_id=answer.registration_id))
        await self.committed()
        return answer

    async def _register(
        self, tx: AsyncConnection, request: pb.RegisterUserRequest, email: str, client: str
    ) -> pb.RegisterUserResponse:
        now = self._clock.now()
        solution = await solution_store.get(tx, request.solution_id)
        url = domain.check_redirect(request.redirect_url, solution.redirect_urls)
        target = domain.target(url, request.state)
        made = await ops.register(tx, self._vault, solution, email, target, client, now)
        url, changes, facts = "", list[Change](), dict[str, str]()
        if made.at_once:
            url, changes, facts = await self._lead_on(tx, solution, made.registration, target, email, now)
        said = {"solution_id": solution.id, "registration_id": made.registration.id, **facts}
        await record(tx, [_noted(made.registration.user_id, "registered", said), *changes])
        return self._registered(made.registration.id, url)

    def _registered(self, registration_id: str, url: str) -> pb.RegisterUserResponse:
        return pb.RegisterUserResponse(
            redirect_url=url,
            registration_id=registration_id,
            registration_secret=self._proofs.browser(registration_id),
        )

    async def _lead_on(
        self,
        tx: AsyncConnection,
        solution: Solution,
        registration: Registration,
        target: str,
        email: str,
        now: datetime,
    ) -> tuple[str, list[Change], dict[str, str]]:
        """Where the browser goes with its proof, what that changed, and what the audit has to know of it."""
        user_id = registration.user_id
        code = await ops.issue_code(tx, user_id, solution.id, now, registration_id=registration.id)
        if not solution.token_in_redirect:
            return domain.led(target, code=self._proofs.code(code.id)), [], {"code_id": code.id}
        issued = await self._issue(tx, user_id, await solution_store.get(tx, solution.id, share=True), now)
        await store.save_code(tx, replace(code, use_time=now, token_kid=issued.token.kid))
        url = domain.led(target, token=issued.secret, user_email=email)
        return url, issued.changes, {"token_in_redirect": "true", "token_kid": issued.token.kid}

    async def _issue(self, tx: AsyncConnection, user_id: str, solution: Solution, now: datetime) -> Issued:
        """A token beside those that the user's other browsers have."""
        return await entitlement_ops.issue(tx, self._issuer, user_id, solution, now, overlap=None, makes_room=True)

    async def _url_again(self, tx: AsyncConnection, registration_id: str) -> str:
        """The redirect that was answered before, while its code is good; empty once it is not."""
        found = await store.get_registration(tx, registration_id)
        code = await store.code_of(tx, registration_id)
        if found is None or code is None or code.use_time is not None or self._clock.now() >= code.expire_time:
            return ""
        _, sealed = await store.get(tx, code.user_id)
        target = ops.open_target(self._vault, found[0], sealed, found[1])
        return domain.led(target, code=self._proofs.code(code.id)) if target else ""

    async def VerifyEmail(self, request: pb.VerifyEmailRequest, context: Context) -> pb.VerifyEmailResponse:
        link = self._proofs.read_link(request.token)
        if link is None or link.kind not in (mail.REGISTRATION, mail.CHANGE):
            raise domain.link_invalid()
        async with self.db.transaction() as tx:
            stored = await claim(tx, request)
            if isinstance(stored, pb.VerifyEmailResponse):
                if link.kind == mail.REGISTRATION:
                    stored.redirect_url = await self._url_again(tx, link.id)
                replayed(context)
                return stored
            verify = self._verify if link.kind == mail.REGISTRATION else self._take_over
            answer = await verify(tx, link, request.registration_secrets)
            kept = pb.VerifyEmailResponse(user_id=answer.user_id, revoked_tokens=answer.revoked_tokens)
            await settle(tx, request, kept)
        await self.committed()
        return answer

    async def _verify(self, tx: AsyncConnection, link: Link, secrets: Collection[str]) -> pb.VerifyEmailResponse:
        now = self._clock.now()
        proven = await ops.verify(tx, self._vault, self._proofs, link, secrets, now)
        solution = await solution_store.get(tx, proven.registration.solution_id)
        ended = await entitlement_ops.revoke(tx, proven.ended, "the e-mail was proven by another registration", now)
        url, changes, facts = await self._lead_on(tx, solution, proven.registration, proven.target, proven.email, now)
        said = {"solution_id": solution.id, "registration_id": proven.registration.id, **facts}
        noted = ops.changed(proven.before, proven.user, "verified", "", **said)
        await record(tx, [noted, *ended, *changes])
        return pb.VerifyEmailResponse(redirect_url=url, user_id=proven.user.id, revoked_tokens=len(ended))

    async def _take_over(self, tx: AsyncConnection, link: Link, secrets: Collection[str]) -> pb.VerifyEmailResponse:
        before, after = await ops.change_email(tx, self._vault, self._proofs, link, self._clock.now())
        await record(tx, [ops.changed(before, after, "email changed", "")])
        return pb.VerifyEmailResponse(user_id=after.id)

    @revealing("token", "user_email")
    async def ExchangeCode(self, request: pb.ExchangeCodeRequest, tx: AsyncConnection) -> pb.ExchangeCodeResponse:
        check_yours(request.solution_id)
        now = self._clock.now()
        code, user, sealed = await ops.exchange(tx, self._proofs, request.code, request.solution_id, now)
        # After the user: everyone who locks both does so in this order.
        solution = await solution_store.get(tx, request.solution_id, share=True)
        issued = await self._issue(tx, user.id, solution, now)
        await store.save_code(tx, replace(code, token_kid=issued.token.kid))
        said = {"solution_id": solution.id, "code_id": code.id, "token_kid": issued.token.kid}
        revisions = await record(tx, [_noted(user.id, "exchanged", said), *issued.changes])
        return pb.ExchangeCodeResponse(
            token=issued.secret,
            token_kid=issued.token.kid,
            user_id=user.id,
            user_email="" if solution.email_hidden else ops.email_of(self._vault, user.id, sealed),
            email_verified=user.verify_time is not None,
            entitlement_id=issued.entitlement.id,
            access_tier=issued.entitlement.tier,
            revision=max(revisions),
        )

    async def GetUser(self, request: pb.GetUserRequest, context: Context) -> pb.GetUserResponse:
        async with self.db.transaction() as tx:
            user, sealed = await store.get(tx, request.id)
        return pb.GetUserResponse(user=to_proto(user, ops.email_of(self._vault, user.id, sealed)))

    async def ListUsers(self, request: pb.ListUsersRequest, context: Context) -> pb.ListUsersResponse:
        size = page_size(request.page_size)
        conditions = [
            where(request.filter, FIELDS),
            NEWEST_FIRST.after(self._page_tokens.read(request.page_token, request)),
        ]
        async with self.db.transaction() as tx:
            page = [user for user, _ in await store.list_page(tx, conditions, size + 1)]
        response = pb.ListUsersResponse(users=[to_proto(user) for user in page[:size]])
        if len(page) > size:
            response.next_page_token = self._page_tokens.issue(NEWEST_FIRST.cursor(page[size - 1]), request)
        return response

    async def FindUser(self, request: pb.FindUserRequest, context: Context) -> pb.FindUserResponse:
        email = domain.normalise(request.email)
        async with self.db.transaction() as tx:
            user = await store.find(tx, self._vault.fingerprint("email", email))
        if user is None:
            raise NotFound("USER_NOT_FOUND", "no user has this e-mail")
        return pb.FindUserResponse(user=to_proto(user, email))

    async def ChangeUserEmail(self, request: pb.ChangeUserEmailRequest, context: Context) -> pb.ChangeUserEmailResponse:
        email = domain.normalise(request.email)
        async with self.db.transaction() as tx:
            stored = await claim(tx, request)
            if not isinstance(stored, pb.ChangeUserEmailResponse):
                before, sealed = await store.get(tx, request.id, lock=True)
                check_etag("user", before.id, before.etag, request.etag)
                domain.check_active(before)
                after = await ops.want_email(tx, self._vault, before, sealed, email, self._clock.now())
                await record(tx, [ops.changed(before, after, "email change asked", request.reason)])
                answer = pb.ChangeUserEmailResponse(user=to_proto(after))
                await settle(tx, request, answer)
                return answer
        replayed(context)
        return stored

    async def ExportUser(self, request: pb.ExportUserRequest, context: Context) -> pb.ExportUserResponse:
        async with self.db.transaction(snapshot=True) as tx:
            return await exported(tx, self._vault, request.id, self._clock.now())

    @mutation
    async def EraseUser(self, request: pb.EraseUserRequest, tx: AsyncConnection) -> pb.EraseUserResponse:
        before, _ = await store.get(tx, request.id, lock=True)
        check_etag("user", before.id, before.etag, request.etag)
        now = self._clock.now()
        after = domain.begin_erasure(before, now)
        # Nobody finds the user by the e-mail from here on: who registers with it is somebody new.
        await store.save(tx, after, email_hash=None)
        operation = replace(operation_for("", Kind.ERASE, request.reason, now), user_id=after.id)
        await operation_store.add(tx, [operation])
        await record(tx, [ops.changed(before, after, "erasing", request.reason, operation=operation.name)])
        [message] = await operation_service.present(tx, [operation])
        return pb.EraseUserResponse(operation=message)

    @mutation
    async def RotateUserKeys(self, request: pb.RotateUserKeysRequest, tx: AsyncConnection) -> pb.RotateUserKeysResponse:
        operation = operation_for("", Kind.REWRAP, request.reason, self._clock.now())
        with constraints({"operations_one_rewrap": ROTATION_RUNNING}):
            await operation_store.add(tx, [operation])
        # A key that is there and, should this transaction fail, wraps nothing yet: no harm.
        kek = self._vault.rotate()
        after = {"kek": str(kek), "operation": operation.name}
        await record(tx, [Change("user_keys", str(kek), "rotated", request.reason, {}, after)])
        [message] = await operation_service.present(tx, [operation])
        return pb.RotateUserKeysResponse(operation=message)

    @mutation
    async def RetireUserKeys(self, request: pb.RetireUserKeysRequest, tx: AsyncConnection) -> pb.RetireUserKeysResponse:
        if (left_s := KEY_SETTLES_S - self._vault.newest_age_s) > 0:
            message = f"changes from before the last rotation may be under way; try again in {left_s:.0f} s"
            raise FailedPrecondition("KEY_TOO_NEW", message, retry_after_s=left_s)
        if held := await store.count_wrapped_before(tx, self._vault.newest):
            raise FailedPrecondition("KEY_IN_USE", f"older keys wrap those of {held} users: rotate first")
        before = {"keks": self._vault.known}
        await record(tx, [Change("user_keys", str(self._vault.newest), "retired", request.reason, before, {})])
        return pb.RetireUserKeysResponse(keks=self._vault.retire())

    async def ListMails(self, request: pb.ListMailsRequest, context: Context) -> pb.ListMailsResponse:
        size = page_size(request.page_size)
        conditions = [
            where(request.filter, MAIL_FIELDS),
            NEWEST_MAIL_FIRST.after(self._page_tokens.read(request.page_token, request)),
        ]
        async with self.db.transaction() as tx:
            page = await mail.list_page(tx, conditions, size + 1)
        response = pb.ListMailsResponse(mails=[mail_to_proto(each) for each in page[:size]])
        if len(page) > size:
            response.next_page_token = self._page_tokens.issue(NEWEST_MAIL_FIRST.cursor(page[size - 1]), request)
        return response


def _noted(user_id: str, event: str, facts: dict[str, str]) -> Change:
    """Something that happened to a user, for the audit."""
    return Change("user", user_id, event, "", {}, facts)


def _client(context: Context) -> str:
    """Whom registrations are counted by: outsiders by the address that Envoy saw. Callers that we know are not."""
    if current().role != rules_pb2.CALLER_SHOPPER:
        return ""
    forwarded = dict(context.invocation_metadata() or ()).get("x-forwarded-for", "")
    return domain.client_of(forwarded if isinstance(forwarded, str) else "")
