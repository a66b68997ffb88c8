"""What a tenant has said about its notifications: templates, senders, who wants none, triggers.

Every function runs in the caller's transaction. Queries name the tenant although the row policies do: the planner does
not see the policy's value, and takes every tenant for an average one.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.notifications import domain
from shared.notifications.domain import Channel, OptOut, Provider, Reason, Sender, Template, Trigger
from shared.notifications.tables import preferences, providers, settings, suppressions, templates, triggers
from shared.notifications.vault import Vault
from shared.runtime import paging
from shared.runtime.errors import NotFound
from shared.runtime.paging import Ordering, Value

DEFAULT_LOCALE = "en"

# -- templates


async def template(
    tx: AsyncConnection, tenant_id: str, name: str, channel: Channel, locale: str, version: int
) -> Template:
    """NotFound TEMPLATE_NOT_FOUND."""
    row = (await tx.execute(select(templates).where(*_key(tenant_id, name, channel, locale, version)))).one_or_none()
    if row is None:
        raise missing_template(name, channel)
    return _template(row)


async def candidates(
    tx: AsyncConnection, tenant_id: str, wanted: Sequence[tuple[str, Channel]]
) -> dict[tuple[str, Channel], list[Template]]:
    """The active templates of each name and channel, in all locales."""
    names = sorted({name for name, _ in wanted})
    found: dict[tuple[str, Channel], list[Template]] = {each: [] for each in wanted}
    stmt = select(templates).where(templates.c.tenant_id == tenant_id, templates.c.name.in_(names), templates.c.active)
    for row in await tx.execute(stmt):
        known = _template(row)
        found.setdefault((known.name, known.channel), []).append(known)
    return found


# One round trip, and without the texts: what is asked for with each notification.
_OUTLINES = text(
    """
    SELECT s.default_locale, t.locale, t.category, t.version
    FROM (SELECT CAST(:tenant_id AS uuid) AS tenant_id) me
    LEFT JOIN notification_settings s ON s.tenant_id = me.tenant_id
    LEFT JOIN notification_templates t
        ON t.tenant_id = me.tenant_id AND t.name = :name AND t.channel = :channel AND t.active
    """
)


async def outlines(tx: AsyncConnection, tenant_id: str, name: str, channel: Channel) -> tuple[list[Template], str]:
    """(the active ones in all locales, without their texts, the tenant's default locale)."""
    rows = (await tx.execute(_OUTLINES, {"tenant_id": tenant_id, "name": name, "channel": channel})).all()
    found = [
        Template(name, channel, row.locale, "", "", "", row.category, row.version)
        for row in rows
        if row.version is not None
    ]
    return found, rows[0].default_locale or DEFAULT_LOCALE


def missing_template(name: str, channel: Channel) -> NotFound:
    return NotFound("TEMPLATE_NOT_FOUND", f"no template {name} for {channel}", name=name, channel=channel.value)


async def add_template(
    tx: AsyncConnection, tenant_id: str, new: Template, *, activate: bool, now: datetime
) -> Template:
    """The next version. The first is active, whether or not it is asked for."""
    key = (tenant_id, new.name, new.channel, new.locale)
    # Of two who put the same template at once, one comes after the other.
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("/".join(key), 6))))
    where = _key(tenant_id, new.name, new.channel, new.locale)
    latest = (await tx.execute(select(func.max(templates.c.version)).where(*where))).scalar_one() or 0
    active = activate or latest == 0
    if active:
        await tx.execute(update(templates).where(*where, templates.c.active).values(active=False))
    values = {
        "tenant_id": tenant_id,
        "name": new.name,
        "channel": new.channel,
        "locale": new.locale,
        "version": latest + 1,
        "active": active,
        "category": new.category,
        "subject": new.subject,
        "text": new.text,
        "html": new.html,
        "create_time": now,
    }
    return _template((await tx.execute(insert(templates).values(values).returning(templates))).one())


async def activate(
    tx: AsyncConnection, tenant_id: str, name: str, channel: Channel, locale: str, version: int
) -> tuple[int, Template]:
    """(the version that was active, the one that is now); NotFound TEMPLATE_NOT_FOUND."""
    key = (tenant_id, name, channel, locale)
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("/".join(key), 6))))
    where = _key(*key)
    before = (await tx.execute(select(templates.c.version).where(*where, templates.c.active))).scalar_one_or_none()
    await template(tx, tenant_id, name, channel, locale, version)
    await tx.execute(update(templates).where(*where, templates.c.active).values(active=False))
    chosen = update(templates).where(*where, templates.c.version == version).values(active=True).returning(templates)
    return before or 0, _template((await tx.execute(chosen)).one())


async def template_page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
) -> tuple[list[Template], list[Value] | None]:
    found = select(templates).where(templates.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_template(row) for row in rows], following


def _key(tenant_id: str, name: str, channel: str, locale: str, version: int | None = None) -> list[ColumnElement[bool]]:
    key = [
        templates.c.tenant_id == tenant_id,
        templates.c.name == name,
        templates.c.channel == channel,
        templates.c.locale == locale,
    ]
    return key if version is None else [*key, templates.c.version == version]


def _template(row: Row[Any]) -> Template:
    return Template(
        name=row.name,
        channel=Channel(row.channel),
        locale=row.locale,
        subject=row.subject,
        text=row.text,
        html=row.html,
        category=row.category,
        version=row.version,
        active=row.active,
        create_time=row.create_time,
    )


# -- who sends, and through what


async def sender(tx: AsyncConnection, tenant_id: str) -> tuple[Sender, str, datetime | None]:
    """(who, the default locale, when that was said)."""
    row = (await tx.execute(select(settings).where(settings.c.tenant_id == tenant_id))).one_or_none()
    if row is None:
        return Sender(), DEFAULT_LOCALE, None
    return Sender(row.sender_name, row.sender_address), row.default_locale or DEFAULT_LOCALE, row.update_time


async def save_sender(tx: AsyncConnection, tenant_id: str, who: Sender, locale: str, now: datetime) -> None:
    values = {
        "sender_name": who.name,
        "sender_address": who.own,
        "default_locale": locale or DEFAULT_LOCALE,
        "update_time": now,
    }
    stmt = insert(settings).values(tenant_id=tenant_id, **values)
    await tx.execute(stmt.on_conflict_do_update(index_elements=["tenant_id"], set_=values))


async def all_providers(tx: AsyncConnection, tenant_id: str, vault: Vault) -> dict[Channel, Provider]:
    """Those that the tenant has of its own, or that only its rate is set of."""
    rows = await tx.execute(select(providers).where(providers.c.tenant_id == tenant_id))
    return {Channel(row.channel): _provider(tenant_id, row, vault) for row in rows}


async def provider(tx: AsyncConnection, tenant_id: str, channel: Channel, vault: Vault) -> Provider | None:
    stmt = select(providers).where(providers.c.tenant_id == tenant_id, providers.c.channel == channel)
    row = (await tx.execute(stmt)).one_or_none()
    return None if row is None else _provider(tenant_id, row, vault)


async def save_provider(tx: AsyncConnection, tenant_id: str, channel: Channel, new: Provider, vault: Vault) -> None:
    secret = json.dumps({"user": new.user, "secret": new.secret}).encode()
    values = {
        "url": new.url,
        "rate": new.rate,
        "credentials": vault.seal(tenant_id, f"credentials {channel}", secret) if new.user or new.secret else None,
    }
    stmt = insert(providers).values(tenant_id=tenant_id, channel=channel, **values)
    await tx.execute(stmt.on_conflict_do_update(index_elements=["tenant_id", "channel"], set_=values))


def _provider(tenant_id: str, row: Row[Any], vault: Vault) -> Provider:
    if row.credentials is None:
        return Provider(row.url, row.rate)
    opened = json.loads(vault.open(tenant_id, f"credentials {row.channel}", bytes(row.credentials)))
    return Provider(row.url, row.rate, opened["user"], opened["secret"])


# -- who wants nothing


async def opt_outs(tx: AsyncConnection, tenant_id: str, hash: str) -> list[OptOut]:
    of = (preferences.c.tenant_id == tenant_id) & (preferences.c.recipient_hash == hash)
    stmt = select(preferences).where(of).order_by(preferences.c.channel, preferences.c.category)
    return [OptOut(row.channel, row.category) for row in await tx.execute(stmt)]


async def save_opt_outs(tx: AsyncConnection, tenant_id: str, hash: str, wanted: Sequence[OptOut]) -> None:
    of = (preferences.c.tenant_id == tenant_id) & (preferences.c.recipient_hash == hash)
    await tx.execute(delete(preferences).where(of))
    rows = [
        {"tenant_id": tenant_id, "recipient_hash": hash, "channel": each.channel, "category": each.category}
        for each in dict.fromkeys(wanted)
    ]
    if rows:
        await tx.execute(insert(preferences).on_conflict_do_nothing(), rows)


async def suppress(
    tx: AsyncConnection, tenant_id: str, address: str, reason: Reason, vault: Vault, now: datetime
) -> Reason | None:
    """The reason that it was suppressed for before, if it was."""
    hash = vault.fingerprint(tenant_id, address)
    of = (suppressions.c.tenant_id == tenant_id) & (suppressions.c.recipient_hash == hash)
    before = (await tx.execute(select(suppressions.c.reason).where(of).with_for_update())).scalar_one_or_none()
    stmt = insert(suppressions).values(
        tenant_id=tenant_id,
        recipient_hash=hash,
        recipient=vault.seal(tenant_id, f"suppression {hash}", address.encode()),
        reason=reason,
        create_time=now,
    )
    key = ["tenant_id", "recipient_hash"]
    await tx.execute(stmt.on_conflict_do_update(index_elements=key, set_={"reason": stmt.excluded.reason}))
    return None if before is None else Reason(before)


async def unsuppress(tx: AsyncConnection, tenant_id: str, hash: str) -> Reason:
    """NotFound SUPPRESSION_NOT_FOUND."""
    of = (suppressions.c.tenant_id == tenant_id) & (suppressions.c.recipient_hash == hash)
    gone = (await tx.execute(delete(suppressions).where(of).returning(suppressions.c.reason))).scalar_one_or_none()
    if gone is None:
        raise NotFound("SUPPRESSION_NOT_FOUND", "this recipient is not suppressed")
    return Reason(gone)


async def suppression_page(
    tx: AsyncConnection,
    tenant_id: str,
    condition: ColumnElement[bool],
    ordering: Ordering,
    cursor: Sequence[Value] | None,
    size: int,
    vault: Vault,
) -> tuple[list[tuple[str, Reason, datetime]], list[Value] | None]:
    """(recipient, why, since when)."""
    found = select(suppressions).where(suppressions.c.tenant_id == tenant_id, condition)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [
        (
            vault.open(tenant_id, f"suppression {row.recipient_hash}", bytes(row.recipient)).decode(),
            Reason(row.reason),
            row.create_time,
        )
        for row in rows
    ], following


_UNWANTED = text(
    """
    SELECT w.hash, s.reason, p.channel, p.category, p.recipient_hash IS NOT NULL AS opted_out
    FROM unnest(CAST(:hashes AS text[])) w (hash)
    LEFT JOIN notification_suppressions s ON s.tenant_id = CAST(:tenant_id AS uuid) AND s.recipient_hash = w.hash
    LEFT JOIN notification_preferences p ON p.tenant_id = CAST(:tenant_id AS uuid) AND p.recipient_hash = w.hash
    WHERE s.recipient_hash IS NOT NULL OR p.recipient_hash IS NOT NULL
    """
)


async def refusals(
    tx: AsyncConnection, tenant_id: str, wanted: Sequence[tuple[str, Channel, str]]
) -> Mapping[tuple[str, Channel, str], str]:
    """(hash, channel, category) -> why nothing is sent, for those that nothing is sent to."""
    hashes = sorted({hash for hash, _, _ in wanted})
    suppressed: dict[str, str] = {}
    opted_out: dict[str, list[OptOut]] = {}
    for row in await tx.execute(_UNWANTED, {"tenant_id": tenant_id, "hashes": hashes}):
        suppressed[row.hash] = row.reason or ""
        if row.opted_out:
            opted_out.setdefault(row.hash, []).append(OptOut(row.channel, row.category))
    reasons = {
        (hash, channel, category): domain.refusal(category, channel, opted_out.get(hash, ()), suppressed.get(hash, ""))
        for hash, channel, category in wanted
    }
    return {key: why for key, why in reasons.items() if why}


# -- triggers


async def now(tx: AsyncConnection) -> datetime:
    """The database's own time: events have it, too."""
    time: datetime = (await tx.execute(select(func.now()))).scalar_one()
    return time


async def save_trigger(tx: AsyncConnection, tenant_id: str, new: Trigger, vault: Vault) -> Trigger | None:
    """The one that it replaces, if there was one."""
    of = (triggers.c.tenant_id == tenant_id) & (triggers.c.name == new.name)
    before = (await tx.execute(select(triggers).where(of).with_for_update())).one_or_none()
    values = {
        "event_type": new.event_type,
        "template": new.template,
        "channel": new.channel,
        "recipient": vault.seal(tenant_id, f"trigger {new.name}", new.recipient.encode()),
        "locale": new.locale,
        "create_time": new.create_time,
    }
    stmt = insert(triggers).values(tenant_id=tenant_id, name=new.name, **values)
    await tx.execute(stmt.on_conflict_do_update(index_elements=["tenant_id", "name"], set_=values))
    return None if before is None else _trigger(tenant_id, before, vault)


async def delete_trigger(tx: AsyncConnection, tenant_id: str, name: str, vault: Vault) -> Trigger:
    """NotFound TRIGGER_NOT_FOUND."""
    of = (triggers.c.tenant_id == tenant_id) & (triggers.c.name == name)
    gone = (await tx.execute(delete(triggers).where(of).returning(triggers))).one_or_none()
    if gone is None:
        raise NotFound("TRIGGER_NOT_FOUND", f"no trigger {name}", name=name)
    return _trigger(tenant_id, gone, vault)


async def triggers_of(
    tx: AsyncConnection, tenant_id: str, event_type: str, happened: datetime, vault: Vault
) -> list[Trigger]:
    """Those that there were when an event happened."""
    of = (triggers.c.tenant_id == tenant_id) & (triggers.c.event_type == event_type)
    rows = await tx.execute(select(triggers).where(of, triggers.c.create_time <= happened))
    return [_trigger(tenant_id, row, vault) for row in rows]


async def trigger_page(
    tx: AsyncConnection, tenant_id: str, ordering: Ordering, cursor: Sequence[Value] | None, size: int, vault: Vault
) -> tuple[list[Trigger], list[Value] | None]:
    found = select(triggers).where(triggers.c.tenant_id == tenant_id)
    rows, following = await paging.page(tx, found, ordering, cursor, size)
    return [_trigger(tenant_id, row, vault) for row in rows], following


def _trigger(tenant_id: str, row: Row[Any], vault: Vault) -> Trigger:
    return Trigger(
        name=row.name,
        event_type=row.event_type,
        template=row.template,
        channel=Channel(row.channel),
        recipient=vault.open(tenant_id, f"trigger {row.name}", bytes(row.recipient)).decode(),
        locale=row.locale,
        create_time=row.create_time,
    )
