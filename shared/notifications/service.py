"""NotificationService: what a tenant tells its people and customers, and what has become of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import grpc
from sqlalchemy import ColumnElement, true
from sqlalchemy.ext.asyncio import AsyncConnection

from center.shared.v1 import notification_service_pb2 as pb
from center.shared.v1 import notification_service_pb2_grpc as pb_grpc
from shared.notifications import domain, messages, ops, queue, store
from shared.notifications.domain import Asked, Channel, Notification, Provider, Reason, Sender, State, Template
from shared.notifications.rendering import Renderer, TemplateFailed
from shared.notifications.tables import attempts, notifications, suppressions, templates, triggers
from shared.notifications.vault import Vault
from shared.notifications.worker import delivery
from shared.runtime import filters, journal
from shared.runtime.clock import Clock
from shared.runtime.context import current
from shared.runtime.db import Database
from shared.runtime.errors import InvalidArgument, inside
from shared.runtime.events import types
from shared.runtime.filters import Field
from shared.runtime.idempotency import mutation
from shared.runtime.journal import Change
from shared.runtime.paging import Ordering, PageTokens, Term, page_size

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# Templates are up to 600 KiB each.
LARGEST_TEMPLATE_PAGE = 5

_CHANNELS: dict[str, object] = {name: each.value for each in Channel for name in (each, f"NOTIFICATION_CHANNEL_{each}")}
_STATES: dict[str, object] = {name: each.value for each in State for name in (each, f"NOTIFICATION_STATE_{each}")}
_REASONS: dict[str, object] = {name: each.value for each in Reason for name in (each, f"SUPPRESSION_REASON_{each}")}
_FIELDS = {
    "id": Field(notifications.c.id, "uuid"),
    "state": Field(notifications.c.state, "enum", _STATES),
    "channel": Field(notifications.c.channel, "enum", _CHANNELS),
    "template": Field(notifications.c.template),
    "category": Field(notifications.c.category),
    "dedup_key": Field(notifications.c.dedup_key),
    "create_time": Field(notifications.c.create_time, "timestamp"),
    "update_time": Field(notifications.c.update_time, "timestamp"),
}
_TEMPLATE_FIELDS = {
    "name": Field(templates.c.name),
    "channel": Field(templates.c.channel, "enum", _CHANNELS),
    "locale": Field(templates.c.locale),
    "category": Field(templates.c.category),
    "active": Field(templates.c.active, "bool"),
    "version": Field(templates.c.version, "int"),
    "create_time": Field(templates.c.create_time, "timestamp"),
}
_SUPPRESSION_FIELDS = {
    "reason": Field(suppressions.c.reason, "enum", _REASONS),
    "create_time": Field(suppressions.c.create_time, "timestamp"),
}
_NEWEST = Ordering((Term(notifications.c.create_time, True), Term(notifications.c.id, True)))
_BY_NUMBER = Ordering((Term(attempts.c.number),))
_BY_NAME = Ordering(
    (Term(templates.c.name), Term(templates.c.channel), Term(templates.c.locale), Term(templates.c.version))
)
_SUPPRESSED_LAST = Ordering((Term(suppressions.c.create_time, True), Term(suppressions.c.recipient_hash, True)))
_BY_TRIGGER = Ordering((Term(triggers.c.name),))


class NotificationService(pb_grpc.NotificationServiceServicer):
    """db: transactions that may write, told of each commit; reads: those that do not.

    mail_from: the platform's address, for checking what a provider is named as.
    """

    def __init__(
        self,
        *,
        db: Database,
        reads: Database,
        tokens: PageTokens,
        clock: Clock,
        vault: Vault,
        renderer: Renderer,
    ) -> None:
        self.db = db
        self._reads = reads
        self._tokens = tokens
        self._clock = clock
        self._vault = vault
        self._renderer = renderer

    # -- notifications

    @mutation
    async def SendNotification(
        self, request: pb.SendNotificationRequest, tx: AsyncConnection
    ) -> pb.SendNotificationResponse:
        channel = messages.channel(request.channel)
        asked = Asked(
            channel=channel,
            recipient=domain.recipient(channel, request.recipient),
            template=request.template,
            locale=request.locale,
            variables=messages.variables(request.variables),
            dedup_key=request.dedup_key,
        )
        found, is_duplicate = await ops.send(tx, current().tenant_id, asked, self._vault, self._clock)
        # Without the address: the answer is kept for replays.
        return pb.SendNotificationResponse(notification=messages.notification(found, ""), duplicate=is_duplicate)

    async def GetNotification(self, request: pb.GetNotificationRequest, context: Context) -> pb.GetNotificationResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            found = await queue.get(tx, current().tenant_id, request.id)
        return pb.GetNotificationResponse(notification=self._shown(found))

    async def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: Context
    ) -> pb.ListNotificationsResponse:
        condition = filters.where(request.filter, _FIELDS)
        if request.recipient:
            condition &= notifications.c.recipient_hash == self._hash(request.recipient)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await queue.page(tx, current().tenant_id, condition, _NEWEST, cursor, size)
        return pb.ListNotificationsResponse(
            notifications=map(self._shown, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    async def ListAttempts(self, request: pb.ListAttemptsRequest, context: Context) -> pb.ListAttemptsResponse:
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            await queue.get(tx, current().tenant_id, request.notification_id)
            page, following = await queue.attempt_page(
                tx, current().tenant_id, request.notification_id, _BY_NUMBER, cursor, size
            )
        return pb.ListAttemptsResponse(
            attempts=map(messages.attempt, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    @mutation
    async def ReplayFailed(self, request: pb.ReplayFailedRequest, tx: AsyncConnection) -> pb.ReplayFailedResponse:
        tenant_id = current().tenant_id
        condition: ColumnElement[bool] = true()
        if request.HasField("id"):
            domain.replayable(await queue.get(tx, tenant_id, request.id, lock=True))
            condition = notifications.c.id == request.id
        else:
            condition = filters.where(request.filter, _FIELDS)
        replayed = await queue.replay(tx, tenant_id, condition, self._clock.now())
        facts = {"replayed": str(replayed), "filter": request.filter}
        await journal.record(tx, tenant_id, [Change("notification", request.id, {}, facts)])
        return pb.ReplayFailedResponse(replayed=replayed, has_more=replayed == queue.REPLAYED_AT_ONCE)

    # -- templates

    async def PutTemplate(self, request: pb.PutTemplateRequest, context: Context) -> pb.PutTemplateResponse:
        new = messages.template_from(request.template)
        domain.check_template(new)
        # Before the transaction: another process parses it.
        with _in_template("TEMPLATE_INVALID"):
            await self._renderer.check(current().tenant_id, new)
        return await self._put_template(request, context)

    @mutation
    async def _put_template(self, request: pb.PutTemplateRequest, tx: AsyncConnection) -> pb.PutTemplateResponse:
        tenant_id = current().tenant_id
        new = messages.template_from(request.template)
        key = (new.name, new.channel)
        active = (await store.candidates(tx, tenant_id, [key]))[key]
        before = next((each for each in active if each.locale == new.locale), None)
        added = await store.add_template(tx, tenant_id, new, activate=request.activate, now=self._clock.now())
        await journal.record(tx, tenant_id, [messages.template_change(before, added)])
        return pb.PutTemplateResponse(template=messages.template(added))

    @mutation
    async def ActivateTemplate(
        self, request: pb.ActivateTemplateRequest, tx: AsyncConnection
    ) -> pb.ActivateTemplateResponse:
        tenant_id = current().tenant_id
        channel = messages.channel(request.channel)
        before, chosen = await store.activate(tx, tenant_id, request.name, channel, request.locale, request.version)
        await journal.record(tx, tenant_id, [messages.activation_change(before, chosen)])
        return pb.ActivateTemplateResponse(template=messages.template(chosen))

    async def GetTemplate(self, request: pb.GetTemplateRequest, context: Context) -> pb.GetTemplateResponse:
        return pb.GetTemplateResponse(template=messages.template(await self._found(request)))

    async def ListTemplates(self, request: pb.ListTemplatesRequest, context: Context) -> pb.ListTemplatesResponse:
        condition = filters.where(request.filter, _TEMPLATE_FIELDS)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size, default=LARGEST_TEMPLATE_PAGE, maximum=LARGEST_TEMPLATE_PAGE)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.template_page(tx, current().tenant_id, condition, _BY_NAME, cursor, size)
        return pb.ListTemplatesResponse(
            templates=map(messages.template, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    async def RenderTemplate(self, request: pb.RenderTemplateRequest, context: Context) -> pb.RenderTemplateResponse:
        variables = messages.variables(request.variables)
        if request.HasField("draft"):
            template = messages.template_from(request.draft)
            domain.check_template(template)
        else:
            template = await self._found(request.stored)
        with _in_template("TEMPLATE_FAILED"):
            made = await self._renderer.render(current().tenant_id, template, variables)
        return pb.RenderTemplateResponse(
            subject=made.subject, text=made.text, html=made.html, version=template.version, locale=template.locale
        )

    async def _found(self, request: pb.GetTemplateRequest) -> Template:
        tenant_id, channel = current().tenant_id, messages.channel(request.channel)
        async with self._reads.transaction(tenant_id) as tx:
            if request.version:
                return await store.template(tx, tenant_id, request.name, channel, request.locale, request.version)
            return await ops.template_for(tx, tenant_id, request.name, channel, request.locale)

    # -- who wants nothing

    @mutation
    async def PutPreferences(self, request: pb.PutPreferencesRequest, tx: AsyncConnection) -> pb.PutPreferencesResponse:
        tenant_id, hash = current().tenant_id, self._hash(request.recipient)
        wanted = messages.opt_outs_from(request.opt_outs)
        domain.check_opt_outs(wanted)
        before = await store.opt_outs(tx, tenant_id, hash)
        await store.save_opt_outs(tx, tenant_id, hash, wanted)
        after = await store.opt_outs(tx, tenant_id, hash)
        await journal.record(tx, tenant_id, [messages.opt_outs_change(hash, before, after)])
        return pb.PutPreferencesResponse(opt_outs=map(messages.opt_out, after))

    async def GetPreferences(self, request: pb.GetPreferencesRequest, context: Context) -> pb.GetPreferencesResponse:
        hash = self._hash(request.recipient)
        async with self._reads.transaction(current().tenant_id) as tx:
            found = await store.opt_outs(tx, current().tenant_id, hash)
        return pb.GetPreferencesResponse(opt_outs=map(messages.opt_out, found))

    @mutation
    async def SuppressRecipient(
        self, request: pb.SuppressRecipientRequest, tx: AsyncConnection
    ) -> pb.SuppressRecipientResponse:
        tenant_id, now = current().tenant_id, self._clock.now()
        address, why = domain.anybody(request.recipient), messages.reason(request.reason)
        before = await store.suppress(tx, tenant_id, address, why, self._vault, now)
        hash = self._vault.fingerprint(tenant_id, address)
        await journal.record(tx, tenant_id, [messages.suppression_change(hash, before, why)])
        # Without the address: the answer is kept for replays.
        return pb.SuppressRecipientResponse(suppression=messages.suppression("", why, now))

    @mutation
    async def UnsuppressRecipient(
        self, request: pb.UnsuppressRecipientRequest, tx: AsyncConnection
    ) -> pb.UnsuppressRecipientResponse:
        tenant_id, hash = current().tenant_id, self._hash(request.recipient)
        before = await store.unsuppress(tx, tenant_id, hash)
        await journal.record(tx, tenant_id, [messages.suppression_change(hash, before, None)])
        return pb.UnsuppressRecipientResponse()

    async def ListSuppressions(
        self, request: pb.ListSuppressionsRequest, context: Context
    ) -> pb.ListSuppressionsResponse:
        condition = filters.where(request.filter, _SUPPRESSION_FIELDS)
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.suppression_page(
                tx, current().tenant_id, condition, _SUPPRESSED_LAST, cursor, size, self._vault
            )
        return pb.ListSuppressionsResponse(
            suppressions=[messages.suppression(*each) for each in page],
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    # -- triggers

    @mutation
    async def PutTrigger(self, request: pb.PutTriggerRequest, tx: AsyncConnection) -> pb.PutTriggerResponse:
        tenant_id = current().tenant_id
        new = messages.trigger_from(request.trigger, await store.now(tx))
        with inside("trigger"):
            domain.check_trigger(new)
            _check_event(new.event_type)
        await ops.template_for(tx, tenant_id, new.template, new.channel, "")
        before = await store.save_trigger(tx, tenant_id, new, self._vault)
        await journal.record(tx, tenant_id, [messages.trigger_change(new.name, before, new)])
        return pb.PutTriggerResponse(trigger=messages.trigger(new, is_shown=False))

    @mutation
    async def DeleteTrigger(self, request: pb.DeleteTriggerRequest, tx: AsyncConnection) -> pb.DeleteTriggerResponse:
        gone = await store.delete_trigger(tx, current().tenant_id, request.name, self._vault)
        await journal.record(tx, current().tenant_id, [messages.trigger_change(gone.name, gone, None)])
        return pb.DeleteTriggerResponse()

    async def ListTriggers(self, request: pb.ListTriggersRequest, context: Context) -> pb.ListTriggersResponse:
        cursor = self._tokens.read(request.page_token, request)
        size = page_size(request.page_size)
        async with self._reads.transaction(current().tenant_id) as tx:
            page, following = await store.trigger_page(tx, current().tenant_id, _BY_TRIGGER, cursor, size, self._vault)
        return pb.ListTriggersResponse(
            triggers=map(messages.trigger, page),
            next_page_token=self._tokens.issue(following, request) if following else "",
        )

    # -- who sends, and through what

    async def GetSettings(self, request: pb.GetSettingsRequest, context: Context) -> pb.GetSettingsResponse:
        async with self._reads.transaction(current().tenant_id) as tx:
            return pb.GetSettingsResponse(settings=await self._settings(tx))

    @mutation
    async def PutSettings(self, request: pb.PutSettingsRequest, tx: AsyncConnection) -> pb.PutSettingsResponse:
        tenant_id = current().tenant_id
        after = Sender(domain.one_line(request.sender_name, 100), domain.sender_address(request.sender_address))
        before, locale, _ = await store.sender(tx, tenant_id)
        await store.save_sender(tx, tenant_id, after, request.default_locale, self._clock.now())
        change = messages.sender_change((before, locale), (after, request.default_locale or store.DEFAULT_LOCALE))
        await journal.record(tx, tenant_id, [change])
        return pb.PutSettingsResponse(settings=await self._settings(tx))

    @mutation
    async def PutProvider(self, request: pb.PutProviderRequest, tx: AsyncConnection) -> pb.PutProviderResponse:
        tenant_id, given = current().tenant_id, request.provider
        channel = messages.channel(given.channel)
        new = Provider(given.url, given.rate_per_second, given.user, given.secret)
        with inside("provider"):
            _check_provider(channel, new)
        before = await store.provider(tx, tenant_id, channel, self._vault)
        await store.save_provider(tx, tenant_id, channel, new, self._vault)
        await journal.record(tx, tenant_id, [messages.provider_change(channel, before, new)])
        return pb.PutProviderResponse(provider=messages.provider(channel, new))

    async def _settings(self, tx: AsyncConnection) -> pb.NotificationSettings:
        who, locale, since = await store.sender(tx, current().tenant_id)
        made = pb.NotificationSettings(sender_name=who.name, sender_address=who.own, default_locale=locale)
        for channel, one in sorted((await store.all_providers(tx, current().tenant_id, self._vault)).items()):
            made.providers.append(messages.provider(channel, one))
        if since is not None:
            made.update_time.FromDatetime(since)
        return made

    def _shown(self, found: Notification) -> pb.Notification:
        return messages.notification(found, queue.recipient_of(self._vault, current().tenant_id, found))

    def _hash(self, address: str) -> str:
        return self._vault.fingerprint(current().tenant_id, domain.anybody(address))


def _check_event(name: str) -> None:
    if not any(each.plane == "dataplane" and each.name == name for each in types.declared().values()):
        why = "no event of the data plane; `center events types` shows them"
        raise InvalidArgument("EVENT_TYPE_UNKNOWN", f"event_type: {why}", fields={"event_type": why})
    if name.startswith("notification."):
        why = "a notification of a notification has no end"
        raise InvalidArgument("EVENT_TYPE_UNKNOWN", f"event_type: {why}", fields={"event_type": why})


def _check_provider(channel: Channel, new: Provider) -> None:
    try:
        if "@" in new.url.partition("://")[2].partition("/")[0]:
            raise ValueError("user and secret have fields of their own")
        if new.url:
            delivery(channel, new, "")
    except ValueError as error:
        raise InvalidArgument("PROVIDER_INVALID", f"url: {error}", fields={"url": str(error)}) from None


@contextmanager
def _in_template(reason: str) -> Iterator[None]:
    try:
        yield
    except TemplateFailed as failed:
        what = "TEMPLATE_INVALID" if failed.kind == "syntax" else reason
        fields = {f"template.{failed.part}": failed.error}
        raise InvalidArgument(what, f"{failed.part}: {failed.error}", fields=fields, part=failed.part) from None
