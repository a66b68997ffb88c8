"""The part of AccessService that gives and ends: entitlements and tokens."""

from datetime import datetime
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import grpc
from sqlalchemy import ColumnElement, case, literal
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import access_service_pb2 as pb
from center_sdk import tokens as token_form
from control.catalog.store import Change, record
from control.entitlements import domain, ops, store
from control.entitlements.domain import Status, Token
from control.entitlements.messages import status_of, to_proto, token_to_proto
from control.entitlements.ops import Issuer
from control.solutions import domain as solution_domain
from control.solutions import store as solution_store
from control.solutions.callers import check_yours, solution_of
from control.solutions.domain import Solution
from control.tables import entitlements, tokens
from control.tenants.messages import timestamp
from control.users import domain as user_domain
from control.users import ops as user_ops
from control.users import store as user_store
from control.users.crypto import Proofs, Vault
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import InvalidArgument
from shared.runtime.filters import Field, where
from shared.runtime.idempotency import mutation, revealing
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

ENTITLEMENT_FIELDS = {
    "id": Field(entitlements.c.id, "uuid"),
    "user_id": Field(entitlements.c.user_id, "uuid"),
    "solution_id": Field(entitlements.c.solution_id),
    "tier": Field(entitlements.c.tier),
    "status": Field(entitlements.c.status, "enum", {status: status for status in Status}),
    "create_time": Field(entitlements.c.create_time, "timestamp"),
    "update_time": Field(entitlements.c.update_time, "timestamp"),
}
TOKEN_FIELDS = {
    "kid": Field(tokens.c.kid),
    "entitlement_id": Field(tokens.c.entitlement_id, "uuid"),
    "user_id": Field(tokens.c.user_id, "uuid"),
    "solution_id": Field(tokens.c.solution_id),
    "create_time": Field(tokens.c.create_time, "timestamp"),
    "last_use_time": Field(tokens.c.last_use_time, "timestamp"),
}
NEWEST_ENTITLEMENTS = Ordering((Term(entitlements.c.create_time, True), Term(entitlements.c.id, True)))
NEWEST_TOKENS = Ordering((Term(tokens.c.create_time, True), Term(tokens.c.kid, True)))


class Granting:
    """vault, proofs: of the users, whom a token is for."""

    def __init__(
        self, db: Database, clock: Clock, page_tokens: PageTokens, issuer: Issuer, vault: Vault, proofs: Proofs
    ) -> None:
        self.db = db
        self._clock = clock
        self._page_tokens = page_tokens
        self._issuer = issuer
        self._vault = vault
        self._proofs = proofs

    @revealing("token", "redirect_url")
    async def GenerateSolutionToken(
        self, request: pb.GenerateSolutionTokenRequest, tx: AsyncConnection
    ) -> pb.GenerateSolutionTokenResponse:
        check_yours(request.solution_id)
        now = self._clock.now()
        user_id, _ = await user_ops.user_of_email(tx, self._vault, request.user_email, now, field="user_email")
        # The user, the solution, then the entitlement: everyone who locks several does so in this order.
        user, _ = await user_store.get(tx, user_id, lock=True)
        user_domain.check_active(user)
        solution = await solution_store.get(tx, request.solution_id, share=True)
        issued = await ops.issue(
            tx,
            self._issuer,
            user_id,
            solution,
            now,
            tier=request.access_tier,
            overlap=request.overlap.ToTimedelta(),
            ttl=request.ttl.ToTimedelta() if request.HasField("ttl") else None,
        )
        redirect_url, told = await self._redirect(tx, solution, request.user_email, issued, now)
        *_, revision = await record(tx, [*told, *issued.changes])
        return pb.GenerateSolutionTokenResponse(
            token=issued.secret,
            expires_at=timestamp(issued.token.expire_time),
            redirect_url=redirect_url,
            token_kid=issued.token.kid,
            entitlement_id=issued.entitlement.id,
            user_id=user_id,
            revision=revision,
        )

    async def _redirect(
        self, tx: AsyncConnection, solution: Solution, email: str, issued: ops.Issued, now: datetime
    ) -> tuple[str, list[Change]]:
        """Where the user's browser may be sent, and what the audit says of it; nowhere without a redirect URL."""
        if not solution.redirect_urls:
            return "", []
        if not solution.token_in_redirect:
            code = await user_ops.issue_code(tx, issued.token.user_id, solution.id, now)
            return with_query(solution.redirect_urls[0], code=self._proofs.code(code.id)), []
        told = Change("token", issued.token.kid, "put_in_redirect", "", {}, {"solution_id": solution.id})
        return with_query(solution.redirect_urls[0], token=issued.secret, user_email=email.strip().lower()), [told]

    async def GetEntitlement(self, request: pb.GetEntitlementRequest, context: Context) -> pb.GetEntitlementResponse:
        async with self.db.transaction() as tx:
            entitlement = await store.get(tx, request.id, solution_id=solution_of(current()))
        return pb.GetEntitlementResponse(entitlement=to_proto(entitlement))

    async def ListEntitlements(
        self, request: pb.ListEntitlementsRequest, context: Context
    ) -> pb.ListEntitlementsResponse:
        size, ordering = page_size(request.page_size), NEWEST_ENTITLEMENTS
        conditions = [
            where(request.filter, ENTITLEMENT_FIELDS),
            ordering.after(self._page_tokens.read(request.page_token, request)),
            *yours(entitlements.c.solution_id),
        ]
        async with self.db.transaction() as tx:
            page = await store.list_page(tx, conditions, ordering.by, size + 1)
        response = pb.ListEntitlementsResponse(entitlements=[to_proto(each) for each in page[:size]])
        if len(page) > size:
            response.next_page_token = self._page_tokens.issue(ordering.cursor(page[size - 1]), request)
        return response

    @mutation
    async def UpdateEntitlement(
        self, request: pb.UpdateEntitlementRequest, tx: AsyncConnection
    ) -> pb.UpdateEntitlementResponse:
        caller = solution_of(current())
        known = await store.get(tx, request.id, solution_id=caller)
        if request.tier:
            # The solution before the entitlement, as whoever issues locks them; its tiers stay meanwhile.
            solution = await solution_store.get(tx, known.solution_id, share=True)
            solution_domain.tier_of(solution, request.tier, "tier")
        before = await store.get(tx, request.id, solution_id=caller, lock=True)
        after = domain.update(
            before, request.tier, status_of(request.status), request.reason, request.etag, self._clock.now()
        )
        if after is before:
            journal.unchanged(tx)
            return pb.UpdateEntitlementResponse(entitlement=to_proto(before))
        await store.save(tx, after)
        event = "updated" if after.status is before.status else _EVENTS[after.status]
        [revision] = await record(tx, [store.changed(before, after, event, request.reason)])
        return pb.UpdateEntitlementResponse(entitlement=to_proto(after, revision))

    async def ListTokens(self, request: pb.ListTokensRequest, context: Context) -> pb.ListTokensResponse:
        size, ordering, now = page_size(request.page_size), NEWEST_TOKENS, self._clock.now()
        fields = {**TOKEN_FIELDS, "state": Field(_state(now), "enum", {state: state for state in domain.State})}
        conditions = [
            where(request.filter, fields),
            ordering.after(self._page_tokens.read(request.page_token, request)),
            *yours(tokens.c.solution_id),
        ]
        async with self.db.transaction() as tx:
            page = await store.list_tokens(tx, conditions, ordering.by, size + 1)
        response = pb.ListTokensResponse(tokens=[token_to_proto(token, now) for token in page[:size]])
        if len(page) > size:
            response.next_page_token = self._page_tokens.issue(ordering.cursor(page[size - 1]), request)
        return response

    @revealing("secret")
    async def RotateToken(self, request: pb.RotateTokenRequest, tx: AsyncConnection) -> pb.RotateTokenResponse:
        now = self._clock.now()
        token = await store.get_token(tx, request.kid, solution_id=solution_of(current()))
        secret, following, previous, changes = await ops.rotate(
            tx, self._issuer, token, request.overlap.ToTimedelta(), request.reason, now
        )
        ended, made = await record(tx, changes)
        return pb.RotateTokenResponse(
            secret=secret, token=token_to_proto(following, now, made), previous=token_to_proto(previous, now, ended)
        )

    @mutation
    async def RevokeToken(self, request: pb.RevokeTokenRequest, tx: AsyncConnection) -> pb.RevokeTokenResponse:
        now = self._clock.now()
        before = await store.get_token(tx, request.kid, solution_id=solution_of(current()), lock=True)
        after = domain.revoke(before, request.reason, now)
        if after is before:
            journal.unchanged(tx)
            return pb.RevokeTokenResponse(token=token_to_proto(before, now))
        await store.save_token(tx, after)
        [revision] = await record(tx, [store.token_changed(before, after, "revoked", request.reason)])
        return pb.RevokeTokenResponse(token=token_to_proto(after, now, revision))

    @mutation
    async def ReportLeakedToken(
        self, request: pb.ReportLeakedTokenRequest, tx: AsyncConnection
    ) -> pb.ReportLeakedTokenResponse:
        parsed = token_form.parse(request.token)
        if parsed is None:
            why = "is not a whole token or key of this platform"
            raise InvalidArgument("TOKEN_MALFORMED", f"token {why}", fields={"token": why})
        reason = f"leaked: {request.source}" if request.source else "leaked"
        if parsed.kind == token_form.SOLUTION_KEY:
            changes = await self._end_leaked_key(tx, request.token, parsed.kid, reason)
        else:
            changes = await self._end_leaked_token(tx, request.token, parsed.kid, reason, suspends=request.suspend)
        if changes:
            await record(tx, changes)
        else:
            journal.unchanged(tx)
        return pb.ReportLeakedTokenResponse()

    async def _end_leaked_token(
        self, tx: AsyncConnection, secret: str, kid: str, reason: str, *, suspends: bool
    ) -> list[Change]:
        found, now = await store.find_token(tx, kid), self._clock.now()
        if not self._holds(secret, found):
            return []
        assert found is not None
        changes = []
        if suspends:
            before = await store.get(tx, found.entitlement_id, lock=True)
            if before.status is Status.ACTIVE:
                after = domain.update(before, "", Status.SUSPENDED, reason, "", now)
                await store.save(tx, after)
                changes.append(store.changed(before, after, _EVENTS[after.status], reason))
        return changes + await ops.revoke(tx, [kid], reason, now)

    async def _end_leaked_key(self, tx: AsyncConnection, secret: str, kid: str, reason: str) -> list[Change]:
        found = next(iter(await solution_store.keys_of(tx, [kid])), None)
        if not self._holds(secret, found):
            return []
        before = await solution_store.get_key(tx, kid, lock=True)
        after = solution_domain.revoke(before, self._clock.now())
        if after is before:
            return []
        await solution_store.save_key(tx, after)
        return [solution_store.key_changed(before, after, "revoked", reason)]

    def _holds(self, secret: str, found: "Token | solution_domain.Key | None") -> bool:
        """Takes the same time whether anything was found."""
        peppers = self._issuer.peppers
        if found is None:
            peppers.holds_not(secret)
            return False
        return peppers.holds(secret, found.pepper, found.mac)


_EVENTS = {Status.ACTIVE: "reactivated", Status.SUSPENDED: "suspended", Status.CANCELLED: "cancelled"}


def yours(column: ColumnElement[str]) -> list[ColumnElement[bool]]:
    """What a list is limited to for the present caller: a solution lists its own."""
    solution_id = solution_of(current())
    return [] if solution_id is None else [column == solution_id]


def with_query(url: str, **more: str) -> str:
    """The URL with these in its query; what it had of the same names is replaced."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in more]
    return urlunsplit(parts._replace(query=urlencode([*query, *more.items()])))


def _state(now: datetime) -> ColumnElement[str]:
    return case(
        (tokens.c.revoke_time.is_not(None), literal("REVOKED")),
        (tokens.c.expire_time <= now, literal("EXPIRED")),
        else_=literal("ACTIVE"),
    )
