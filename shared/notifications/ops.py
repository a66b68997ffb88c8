"""Taking a notification for sending, whether somebody asks for it or an event does."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.notifications import defaults, domain, messages, queue, store
from shared.notifications.domain import Asked, Channel, Notification, Template
from shared.notifications.vault import Vault
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.ids import uuid7


async def send(
    tx: AsyncConnection, tenant_id: str, asked: Asked, vault: Vault, clock: Clock
) -> tuple[Notification, bool]:
    """(the notification, whether it was there before); NotFound TEMPLATE_NOT_FOUND."""
    own, default_locale = await store.outlines(tx, tenant_id, asked.template, asked.channel)
    template = _best(own, asked.template, asked.channel, asked.locale, default_locale)
    id, now = uuid7(), clock.now()
    new = Notification(
        id=id,
        channel=asked.channel,
        template=asked.template,
        locale=asked.locale,
        category=template.category,
        dedup_key=asked.dedup_key or id,
        recipient_hash=vault.fingerprint(tenant_id, asked.recipient),
        recipient=queue.sealed_recipient(vault, tenant_id, id, asked.recipient),
        variables=queue.sealed_variables(vault, tenant_id, id, asked.variables),
        next_attempt_time=now,
        create_time=now,
        update_time=now,
    )
    # Insert first: of two at once, the second waits for the first one's commit and then finds it.
    if not await queue.add(tx, tenant_id, new):
        journal.unchanged(tx)
        return await queue.same(tx, tenant_id, new), True
    await journal.record(tx, tenant_id, [messages.notification_change(new)])
    return new, False


async def template_for(tx: AsyncConnection, tenant_id: str, name: str, channel: Channel, locale: str) -> Template:
    """The tenant's own or the platform's, in the best of the locales; NotFound TEMPLATE_NOT_FOUND."""
    own = (await store.candidates(tx, tenant_id, [(name, channel)]))[name, channel]
    _, default_locale, _ = await store.sender(tx, tenant_id)
    return _best(own, name, channel, locale, default_locale)


def _best(own: Sequence[Template], name: str, channel: Channel, locale: str, default_locale: str) -> Template:
    found = domain.best([*own, *defaults.of(name, channel)], domain.locales(locale, default_locale))
    if found is None:
        raise store.missing_template(name, channel)
    return found
