"""DomainService: the names that shops answer at, over gRPC."""

from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import domain_service_pb2 as pb
from center.control.v1 import domain_service_pb2_grpc as pb_grpc
from control.catalog.store import Change, record
from control.domains import domain, store
from control.domains.dns import Resolver
from control.domains.domain import Domain
from control.features.memory import Features
from control.features.values import Quota
from control.tables import domains
from control.tenants import domain as tenant_domain
from control.tenants import store as tenant_store
from control.tenants.domain import Action, Name, Tenant
from control.tenants.messages import timestamp
from control.tenants.ops import end_pending
from shared.runtime import idempotency, journal
from shared.runtime.clock import Clock
from shared.runtime.db import Database, constraints
from shared.runtime.errors import anew
from shared.runtime.filters import Field, where
from shared.runtime.idempotency import mutation
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_columns = domains.c
FIELDS = {
    "name": Field(_columns.name),
    "tenant_id": Field(_columns.tenant_id, "uuid"),
    "state": Field(_columns.state, "enum", {state: state for state in domain.State}),
    "kind": Field(_columns.kind, "enum", {kind: kind for kind in domain.Kind}),
    "create_time": Field(_columns.create_time, "timestamp"),
    "verify_time": Field(_columns.verify_time, "timestamp"),
}
# The feature that limits names of tenants' own.
CUSTOM_DOMAINS = "custom_domains"

# A name may be claimed by many.
BY_NAME = Ordering((Term(_columns.name), Term(_columns.tenant_id)))


class DomainService(pb_grpc.DomainServiceServicer):
    def __init__(
        self,
        db: Database,
        clock: Clock,
        tokens: PageTokens,
        resolver: Resolver,
        features: Features,
        *,
        zone: str,
    ) -> None:
        self.db = db
        self._features = features
        self._clock = clock
        self._tokens = tokens
        self._resolver = resolver
        self._zone = zone

    @mutation
    async def AddDomain(self, request: pb.AddDomainRequest, tx: AsyncConnection) -> pb.AddDomainResponse:
        before, now = await tenant_store.get(tx, request.tenant_id, lock=True), self._clock.now()
        tenant_domain.check(before, Action.CHANGE_DOMAINS)
        claim = domain.claim(before.id, request.name, self._zone, now, verified_reason=request.verified_reason)
        domain.check_room(claim, await store.counts(tx, before.id), self._custom_limit(before.id))
        taken = {"domains_verified_name_key": store.TAKEN, "domains_pkey": store.CLAIMED}
        await store.take_turn(tx, claim.name)
        if claim.name in (held := await store.holders(tx, [claim.name])):
            raise anew(store.CLAIMED if held[claim.name] == before.id else store.TAKEN)
        with constraints(taken):
            [claim] = await store.add(tx, [claim])
        after, revision = await self._record(tx, before, None, claim, "added", request.verified_reason)
        return pb.AddDomainResponse(domain=to_proto(claim, after, revision))

    def _custom_limit(self, tenant_id: str) -> int | None:
        """Of a tenant that the catalog's followers have not heard of yet, nothing is known, and nothing limited."""
        if (held := self._features.held(tenant_id)) is None:
            return None
        feature = next((each for each in held.shared.features.entries if each.feature_id == CUSTOM_DOMAINS), None)
        if feature is None or not feature.enabled:
            return 0
        return feature.value.limit if isinstance(feature.value, Quota) and not feature.value.soft else None

    async def VerifyDomain(self, request: pb.VerifyDomainRequest, context: Context) -> pb.VerifyDomainResponse:
        name = domain.normalize(request.name)
        async with self.db.transaction() as tx:
            claim = await store.get(tx, request.tenant_id, name)
        # Strangers' name servers answer when they like: no transaction waits for them.
        texts = await self._resolver.texts(claim.record) if claim.state is domain.State.PENDING else []
        async with self.db.transaction() as tx:
            stored = await idempotency.claim(tx, request)
            if isinstance(stored, pb.VerifyDomainResponse):
                return stored
            response = await self._verify(tx, request.tenant_id, name, texts)
            await idempotency.settle(tx, request, response)
            return response

    async def _verify(
        self, tx: AsyncConnection, tenant_id: str, name: str, texts: list[str]
    ) -> pb.VerifyDomainResponse:
        before = await tenant_store.get(tx, tenant_id, lock=True)
        await store.take_turn(tx, name)
        if (holder := (await store.holders(tx, [name])).get(name)) not in (None, tenant_id):
            raise anew(store.TAKEN)
        claim = await store.get(tx, tenant_id, name, lock=True)
        verified = domain.verify(claim, texts, self._clock.now())
        if holder is not None or verified is claim:
            journal.unchanged(tx)
            return pb.VerifyDomainResponse(domain=to_proto(claim, before, before.revision))
        with constraints({"domains_verified_name_key": store.TAKEN}):
            await store.save(tx, verified)
        after, revision = await self._record(tx, before, claim, verified, "verified", "")
        return pb.VerifyDomainResponse(domain=to_proto(verified, after, revision))

    @mutation
    async def RemoveDomain(self, request: pb.RemoveDomainRequest, tx: AsyncConnection) -> pb.RemoveDomainResponse:
        before = await tenant_store.get(tx, request.tenant_id, lock=True)
        claim = await store.get(tx, before.id, domain.normalize(request.name), lock=True)
        domain.check_removable(claim, before.primary_domain, request.etag)
        await store.remove(tx, before.id, claim.name)
        _, revision = await self._record(tx, before, claim, None, "removed", request.reason)
        return pb.RemoveDomainResponse(revision=revision)

    @mutation
    async def SetPrimaryDomain(
        self, request: pb.SetPrimaryDomainRequest, tx: AsyncConnection
    ) -> pb.SetPrimaryDomainResponse:
        before = await tenant_store.get(tx, request.tenant_id, lock=True)
        claim = await store.get(tx, before.id, domain.normalize(request.name))
        domain.check_primary(claim, request.etag)
        after = tenant_domain.rename(before, before.names, claim.name, self._clock.now())
        await tenant_store.save(tx, [after])
        [revision] = await record(tx, [tenant_store.changed(before, after, "primary_domain", "")])
        return pb.SetPrimaryDomainResponse(domain=to_proto(claim, after, revision))

    async def GetDomain(self, request: pb.GetDomainRequest, context: Context) -> pb.GetDomainResponse:
        name = domain.normalize(request.name)
        async with self.db.transaction() as tx:
            claim = await store.get(tx, request.tenant_id, name)
            tenant = await tenant_store.get(tx, request.tenant_id)
        return pb.GetDomainResponse(domain=to_proto(claim, tenant, tenant.revision))

    async def ListDomains(self, request: pb.ListDomainsRequest, context: Context) -> pb.ListDomainsResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        async with self.db.transaction() as tx:
            page = await store.list_page(tx, [where(request.filter, FIELDS), BY_NAME.after(cursor)], size + 1)
            tenants = await tenant_store.get_many(tx, sorted({claim.tenant_id for claim in page}))
        response = pb.ListDomainsResponse()
        for claim in page[:size]:
            tenant = tenants[claim.tenant_id]
            response.domains.append(to_proto(claim, tenant, tenant.revision))
        if len(page) > size:
            response.next_page_token = self._tokens.issue(BY_NAME.cursor(page[size - 1]), request)
        return response

    async def _record(
        self,
        tx: AsyncConnection,
        before: Tenant,
        old: Domain | None,
        new: Domain | None,
        event: str,
        reason: str,
    ) -> tuple[Tenant, int]:
        """Records a change to one claim; it is the tenant's change, too, when a verified name came or went."""
        facts_before = domain.facts(old) if old is not None else {}
        facts_after = domain.facts(new) if new is not None else {}
        name = (new or old).name  # type: ignore[union-attr]
        serves = [claim for claim in (old, new) if claim is not None and claim.state is domain.State.VERIFIED]
        if not serves:
            pending = Change("domain", name, event, reason, facts_before, facts_after, tenant_id=before.id)
            await record(tx, [pending])
            return before, before.revision
        names = tuple(each for each in before.names if each.name != name)
        if new is not None:
            names += (Name(new.name, new.number),)
        after = tenant_domain.rename(before, names, before.primary_domain, self._clock.now())
        await tenant_store.save(tx, [after])
        lost = await end_pending(tx, [new]) if new is not None else []
        change = tenant_store.changed(
            before,
            after,
            event,
            reason,
            resource="domain",
            resource_id=name,
            facts_before=facts_before,
            facts_after=facts_after,
        )
        revision, *_ = await record(tx, [change, *lost])
        return after, revision


def to_proto(claim: Domain, tenant: Tenant, revision: int) -> pb.Domain:
    message = pb.Domain(
        name=claim.name,
        tenant_id=claim.tenant_id,
        kind=f"DOMAIN_KIND_{claim.kind}",
        state=f"DOMAIN_STATE_{claim.state}",
        primary=claim.name == tenant.primary_domain,
        verified_reason=claim.verified_reason,
        create_time=timestamp(claim.create_time),
        verify_time=timestamp(claim.verify_time),
        etag=claim.etag,
        revision=revision,
    )
    if claim.state is domain.State.PENDING:
        message.proof.record, message.proof.value = claim.record, claim.expected
    return message
