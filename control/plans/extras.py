"""The part of PlanService that gives single tenants more or less than their plan: add-ons and overrides."""

from dataclasses import replace
from typing import Any, TypeAlias

import grpc
from sqlalchemy.ext.asyncio import AsyncConnection

from center.control.v1 import plan_service_pb2 as pb
from control.catalog.store import Change
from control.features import messages as feature_messages
from control.features import store as feature_store
from control.features.changes import felt, recorded, stamp
from control.features.domain import Action, Override, State
from control.features.values import text_of
from control.plans import domain, messages, store
from control.plans.domain import AddOn, Attachment
from control.tables import add_ons, attachments, overrides
from control.tenants import store as tenant_store
from control.tenants.messages import moment
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database, constraints
from shared.runtime.errors import FailedPrecondition, NotFound, check_etag
from shared.runtime.filters import Field, where
from shared.runtime.idempotency import mutation
from shared.runtime.ids import uuid7
from shared.runtime.masks import merge
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

ADD_ON_FIELDS = {
    "id": Field(add_ons.c.id),
    "state": Field(add_ons.c.state, "enum", {state: state for state in State}),
    "create_time": Field(add_ons.c.create_time, "timestamp"),
    "update_time": Field(add_ons.c.update_time, "timestamp"),
}
ATTACHMENT_FIELDS = {
    "tenant_id": Field(attachments.c.tenant_id, "uuid"),
    "add_on_id": Field(attachments.c.add_on_id),
    "create_time": Field(attachments.c.create_time, "timestamp"),
    "expire_time": Field(attachments.c.expire_time, "timestamp"),
}
OVERRIDE_FIELDS = {
    "id": Field(overrides.c.id, "uuid"),
    "tenant_id": Field(overrides.c.tenant_id, "uuid"),
    "feature_id": Field(overrides.c.feature_id),
    "action": Field(overrides.c.action, "enum", {action: action for action in Action}),
    "create_time": Field(overrides.c.create_time, "timestamp"),
    "expire_time": Field(overrides.c.expire_time, "timestamp"),
}
ADD_ONS_BY_ID = Ordering((Term(add_ons.c.id),))
ATTACHMENTS_BY_TENANT = Ordering((Term(attachments.c.tenant_id), Term(attachments.c.add_on_id)))
OVERRIDES_NEWEST = Ordering((Term(overrides.c.create_time, descending=True), Term(overrides.c.id, descending=True)))


class ExtraMethods:
    db: Database
    _clock: Clock
    _tokens: PageTokens

    @mutation
    async def CreateAddOn(self, request: pb.CreateAddOnRequest, tx: AsyncConnection) -> pb.CreateAddOnResponse:
        given, now = request.add_on, self._clock.now()
        extras = messages.extras_of(given.features)
        known = await feature_store.get_features(tx, [each.feature_id for each in extras])
        domain.check_extras(known, extras, (), "add_on.features")
        add_on = AddOn(given.id, given.display_name, given.description, extras, now, now)
        with constraints({"add_ons_pkey": store.ADD_ON_EXISTS}):
            await store.add_add_on(tx, add_on)
        [revision] = await recorded(tx, [_changed(None, add_on, "created", "")])
        return pb.CreateAddOnResponse(add_on=messages.add_on(add_on, revision))

    async def GetAddOn(self, request: pb.GetAddOnRequest, context: Context) -> pb.GetAddOnResponse:
        async with self.db.transaction() as tx:
            return pb.GetAddOnResponse(add_on=messages.add_on(await store.get_add_on(tx, request.id)))

    async def ListAddOns(self, request: pb.ListAddOnsRequest, context: Context) -> pb.ListAddOnsResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        conditions = [where(request.filter, ADD_ON_FIELDS), ADD_ONS_BY_ID.after(cursor)]
        async with self.db.transaction() as tx:
            page = await store.list_add_ons(tx, conditions, ADD_ONS_BY_ID.by, size + 1)
        response = pb.ListAddOnsResponse(add_ons=[messages.add_on(each) for each in page[:size]])
        if len(page) > size:
            response.next_page_token = self._tokens.issue(ADD_ONS_BY_ID.cursor(page[size - 1]), request)
        return response

    @mutation
    async def UpdateAddOn(self, request: pb.UpdateAddOnRequest, tx: AsyncConnection) -> pb.UpdateAddOnResponse:
        before = await store.get_add_on(tx, request.add_on.id, lock=True)
        check_etag("add-on", before.id, before.etag, request.add_on.etag)
        merged = messages.add_on(before)
        merge(merged, request.add_on, request.update_mask, ("display_name", "description", "features"))
        extras = messages.extras_of(merged.features)
        known = await feature_store.get_features(tx, [each.feature_id for each in extras])
        domain.check_extras(known, extras, [each.feature_id for each in before.extras], "add_on.features")
        after = replace(
            before,
            display_name=merged.display_name,
            description=merged.description,
            extras=extras,
            update_time=self._clock.now(),
            version=before.version + 1,
        )
        return pb.UpdateAddOnResponse(add_on=await self._saved(tx, before, after, "updated", ""))

    @mutation
    async def ArchiveAddOn(self, request: pb.ArchiveAddOnRequest, tx: AsyncConnection) -> pb.ArchiveAddOnResponse:
        before = await store.get_add_on(tx, request.id, lock=True)
        check_etag("add-on", before.id, before.etag, request.etag)
        after = replace(before, state=State.ARCHIVED, update_time=self._clock.now(), version=before.version + 1)
        return pb.ArchiveAddOnResponse(add_on=await self._saved(tx, before, after, "archived", request.reason))

    async def _saved(self, tx: AsyncConnection, before: AddOn, after: AddOn, event: str, reason: str) -> pb.AddOn:
        await store.save_add_on(tx, after)
        change = _changed(before, after, event, reason)
        if after.extras == before.extras:
            # Nothing that a tenant feels: the audit has the change, the catalog does not.
            change = replace(change, entry=None)
        [revision] = await recorded(tx, [change])
        return messages.add_on(after, revision or before.revision)

    @mutation
    async def AttachAddOn(self, request: pb.AttachAddOnRequest, tx: AsyncConnection) -> pb.AttachAddOnResponse:
        given, now = request.attachment, self._clock.now()
        expire_time = moment(given.expire_time, "attachment.expire_time") if given.HasField("expire_time") else None
        domain.check_future(expire_time, now, "attachment.expire_time")
        tenant = await tenant_store.get(tx, given.tenant_id, lock=True)
        add_on = await store.get_add_on(tx, given.add_on_id)
        if add_on.state is State.ARCHIVED:
            raise FailedPrecondition("ADD_ON_ARCHIVED", f"add-on {add_on.id} is archived", id=add_on.id)
        wanted = Attachment(tenant.id, add_on.id, given.quantity or 1, now, request.reason, expire_time)
        attachment = await store.attach(tx, wanted)
        [revision] = await recorded(tx, [_attached(attachment, "attached", request.reason)])
        await store.stamp_attachment(tx, attachment, revision)
        return pb.AttachAddOnResponse(attachment=messages.attachment(attachment, revision))

    @mutation
    async def DetachAddOn(self, request: pb.DetachAddOnRequest, tx: AsyncConnection) -> pb.DetachAddOnResponse:
        attachment = await store.detach(tx, request.tenant_id, request.add_on_id)
        if attachment is None:
            raise NotFound("ATTACHMENT_NOT_FOUND", f"the tenant does not have {request.add_on_id}")
        [revision] = await recorded(tx, [_attached(attachment, "detached", request.reason)])
        return pb.DetachAddOnResponse(revision=revision)

    async def ListAttachments(self, request: pb.ListAttachmentsRequest, context: Context) -> pb.ListAttachmentsResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        conditions = [where(request.filter, ATTACHMENT_FIELDS), ATTACHMENTS_BY_TENANT.after(cursor)]
        async with self.db.transaction() as tx:
            page = await store.list_attachments(tx, conditions, ATTACHMENTS_BY_TENANT.by, size + 1)
        response = pb.ListAttachmentsResponse(attachments=[messages.attachment(each) for each in page[:size]])
        if len(page) > size:
            response.next_page_token = self._tokens.issue(ATTACHMENTS_BY_TENANT.cursor(page[size - 1]), request)
        return response

    @mutation
    async def SetOverride(self, request: pb.SetOverrideRequest, tx: AsyncConnection) -> pb.SetOverrideResponse:
        given, now = request.override, self._clock.now()
        expire_time = moment(given.expire_time, "override.expire_time") if given.HasField("expire_time") else None
        domain.check_future(expire_time, now, "override.expire_time")
        action, value = feature_messages.action_of(given)
        tenant = await tenant_store.get(tx, given.tenant_id, lock=True)
        before = await store.find_override(tx, tenant.id, given.feature_id, action)
        check_etag("override", given.id or given.feature_id, before.etag if before else "", given.etag)
        after = Override(
            id=before.id if before is not None else uuid7(),
            tenant_id=tenant.id,
            feature_id=given.feature_id,
            action=action,
            value=value,
            reason=given.reason,
            expire_time=expire_time,
            create_time=now,
            caller=current().caller,
            version=before.version + 1 if before is not None else 1,
        )
        domain.check_override(await feature_store.get_features(tx, [given.feature_id]), after)
        await store.set_override(tx, after)
        [revision] = await recorded(tx, [_overridden(before, after, "set", given.reason)])
        await stamp(tx, overrides, after.id, revision)
        return pb.SetOverrideResponse(override=feature_messages.override(replace(after, revision=revision)))

    @mutation
    async def RemoveOverride(self, request: pb.RemoveOverrideRequest, tx: AsyncConnection) -> pb.RemoveOverrideResponse:
        before = await store.get_override(tx, request.id)
        check_etag("override", before.id, before.etag, request.etag)
        await store.remove_override(tx, before.id)
        [revision] = await recorded(tx, [_overridden(before, None, "removed", request.reason)])
        return pb.RemoveOverrideResponse(revision=revision)

    async def ListOverrides(self, request: pb.ListOverridesRequest, context: Context) -> pb.ListOverridesResponse:
        size = page_size(request.page_size)
        cursor = self._tokens.read(request.page_token, request)
        conditions = [where(request.filter, OVERRIDE_FIELDS), OVERRIDES_NEWEST.after(cursor)]
        async with self.db.transaction() as tx:
            page = await store.list_overrides(tx, conditions, OVERRIDES_NEWEST.by, size + 1)
        response = pb.ListOverridesResponse(overrides=[feature_messages.override(each) for each in page[:size]])
        if len(page) > size:
            response.next_page_token = self._tokens.issue(OVERRIDES_NEWEST.cursor(page[size - 1]), request)
        return response


def _changed(before: AddOn | None, after: AddOn, event: str, reason: str) -> Change:
    return felt(
        "add_on",
        after.id,
        event,
        reason,
        _facts(before) if before is not None else {},
        _facts(after),
        add_on_id=after.id,
    )


def _facts(add_on: AddOn) -> dict[str, str]:
    return {
        "display_name": add_on.display_name,
        "description": add_on.description,
        "state": add_on.state,
        **domain.facts_of_extras(add_on.extras),
    }


def _attached(attachment: Attachment, event: str, reason: str) -> Change:
    facts = {
        "quantity": str(attachment.quantity),
        "expire_time": attachment.expire_time.isoformat() if attachment.expire_time is not None else "",
    }
    before, after = ({}, facts) if event == "attached" else (facts, {})
    return felt("attachment", attachment.add_on_id, event, reason, before, after, tenant_id=attachment.tenant_id)


def _overridden(before: Override | None, after: Override | None, event: str, reason: str) -> Change:
    one = after or before
    assert one is not None
    return felt(
        "override", one.id, event, reason, _override_facts(before), _override_facts(after), tenant_id=one.tenant_id
    )


def _override_facts(override: Override | None) -> dict[str, str]:
    if override is None:
        return {}
    return {
        "feature_id": override.feature_id,
        override.action.lower(): text_of(override.value) or "yes",
        "expire_time": override.expire_time.isoformat() if override.expire_time is not None else "",
    }
