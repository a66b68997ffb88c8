"""Sends what is due: a lane for each tenant and channel, so that nobody waits for another's burst or slow server.

A lane notes what came of its tries and claims the next ones in one transaction, and holds none while it sends. Between
a server's acceptance and that commit lies the one moment in which the end of the process makes a second delivery; both
have the same Message-ID, or idempotency key.
"""

import asyncio
import contextlib
import random
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.notifications import defaults, domain, queue, store
from shared.notifications.delivery import Delivery, Outgoing, Undelivered
from shared.notifications.domain import Channel, Notification, Outcome, Provider, Reason, Sender, State, Template
from shared.notifications.http import Http
from shared.notifications.messages import ended_event, suppression_change
from shared.notifications.queue import Ended
from shared.notifications.rendering import Renderer, TemplateFailed
from shared.notifications.smtp import Smtp
from shared.notifications.vault import Vault
from shared.runtime import journal
from shared.runtime.clock import Clock
from shared.runtime.context import own_work, use
from shared.runtime.db import Database
from shared.runtime.errors import PlatformError

log = structlog.stdlib.get_logger("center.notifications")

LOOK_S = 0.5
LANES = 64
# Of one tenant and channel; more connections than that are no friend of a mail server.
AT_ONCE = 16
# Longer than any delivery: what a lane claims is its own until it ends.
LEASE_S = 90.0
# With others waiting for a lane.
TURN_S = 5.0
AGAIN_S = 0.5
# The least that a lane waits for its rate: then several may go.
PACE_S = 0.05
# After somebody woke the worker: a burst is one look.
GATHER_S = 0.02
# At the process's end.
LEAVE_S = 3.0
# Servers of tenants that are kept open.
DELIVERIES = 500

_tried = Counter("center_notification_tries", "Tries to send a notification.", ["channel", "outcome"])


@dataclass(frozen=True, slots=True)
class Platform:
    """What tenants send through that have nothing of their own. rate: the most a second, of each tenant and channel."""

    deliveries: Mapping[Channel, Delivery]
    mail_from: str
    rate: int = 200


@dataclass(frozen=True, slots=True)
class _Claimed:
    """wait_s: until the tenant's rate allows more; None when nothing more is due."""

    notifications: Sequence[Notification] = ()
    unwanted: Sequence[Ended] = ()
    templates: Mapping[tuple[str, Channel], Sequence[Template]] | None = None
    sender: Sender = field(default_factory=Sender)
    locale: str = store.DEFAULT_LOCALE
    provider: Provider | None = None
    wait_s: float | None = None


class Worker:
    """db: transactions that may write a tenant's rows; steward: finds who has something due."""

    def __init__(
        self,
        *,
        name: str,
        db: Database,
        steward: Database,
        vault: Vault,
        renderer: Renderer,
        platform: Platform,
        clock: Clock,
    ) -> None:
        self._name = name
        self._db = db
        self._steward = steward
        self._vault = vault
        self._renderer = renderer
        self._platform = platform
        self._clock = clock
        self._wake = asyncio.Event()
        self._lanes: dict[tuple[str, Channel], asyncio.Task[None]] = {}
        self._own: OrderedDict[tuple[Channel, Provider], Delivery] = OrderedDict()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._wake.clear()
                    try:
                        for key in await self._due():
                            if key not in self._lanes and len(self._lanes) < LANES:
                                self._lanes[key] = group.create_task(self._lane(*key))
                    except PlatformError as error:
                        log.debug("notifications wait for the database", error=str(error))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_S):
                            await self._wake.wait()
                            await asyncio.sleep(GATHER_S)
        finally:
            for delivery in (*self._own.values(), *self._platform.deliveries.values()):
                await delivery.close()
            await self._renderer.close()

    async def _due(self) -> list[tuple[str, Channel]]:
        async with self._steward.transaction() as tx:
            rows = await tx.execute(_DUE, {"at_most": 2 * LANES})
            return [(row.tenant_id, Channel(row.channel)) for row in rows]

    # -- a lane

    async def _lane(self, tenant_id: str, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + TURN_S
        under_way: set[asyncio.Task[Ended]] = set()
        ended: list[Ended] = []
        try:
            while True:
                room = AT_ONCE - len(under_way)
                if len(self._lanes) >= LANES and loop.time() > until:
                    room = 0
                turn = asyncio.ensure_future(self._turn(tenant_id, channel, ended, room))
                try:
                    claimed = await asyncio.shield(turn)
                except asyncio.CancelledError:
                    # What it claims, nobody else would look at for as long as claims hold: it goes before the end.
                    if (claimed := await turn) is not None:
                        ended = list(claimed.unwanted)
                        under_way |= {
                            asyncio.create_task(self._try(tenant_id, n, claimed)) for n in claimed.notifications
                        }
                    raise
                if claimed is None:
                    # The database is away, or the tenant closed: what was sent is still to be written down.
                    ended = [each for each in ended if self._is_ours(each)]
                    claimed = _Claimed(wait_s=AGAIN_S if ended or under_way else None)
                else:
                    ended = list(claimed.unwanted)
                    for each in claimed.notifications:
                        under_way.add(asyncio.create_task(self._try(tenant_id, each, claimed)))
                    if ended:
                        continue
                if not under_way and not ended and claimed.wait_s is None:
                    return
                wait_s = LOOK_S if claimed.wait_s is None else claimed.wait_s
                done, under_way = await _some(under_way, wait_s if len(under_way) < AT_ONCE else None)
                ended += done
        finally:
            if under_way or ended:
                await self._leave(tenant_id, channel, under_way, ended)
            del self._lanes[(tenant_id, channel)]
            self._wake.set()

    async def _leave(
        self, tenant_id: str, channel: Channel, under_way: set[asyncio.Task[Ended]], ended: Sequence[Ended]
    ) -> None:
        """At the process's end: what a server has taken is noted before."""
        done: set[asyncio.Task[Ended]] = set()
        if under_way:
            done, left = await asyncio.wait(under_way, timeout=LEAVE_S)
            for task in left:
                task.cancel()
        if results := [*ended, *(task.result() for task in done)]:
            await self._turn(tenant_id, channel, results, 0)

    def _is_ours(self, ended: Ended) -> bool:
        return self._clock.now() < ended.notification.next_attempt_time

    async def _turn(self, tenant_id: str, channel: Channel, ended: Sequence[Ended], room: int) -> _Claimed | None:
        """Notes what has ended and claims what is due; None when neither can be done now."""
        if not ended and not room:
            return _Claimed()
        try:
            with use(own_work(self._name, tenant_id, "worker/notifications/send")):
                async with self._db.transaction(tenant_id) as tx:
                    if ended:
                        await self._note(tx, tenant_id, ended)
                    return await self._claim(tx, tenant_id, channel, room) if room else _Claimed()
        except PlatformError as error:
            log.info("notifications wait", tenant_id=tenant_id, channel=channel, error=str(error))
            return None

    async def _note(self, tx: AsyncConnection, tenant_id: str, ended: Sequence[Ended]) -> None:
        versions = await queue.end(tx, tenant_id, ended)
        ours = [each for each in ended if each.notification.id in versions]
        changes = []
        for address in sorted({each.bounced for each in ours if each.bounced}):
            before = await store.suppress(tx, tenant_id, address, Reason.BOUNCE, self._vault, self._clock.now())
            hash = self._vault.fingerprint(tenant_id, address)
            changes.append(suppression_change(hash, before, Reason.BOUNCE))
        events = [
            ended_event(each, versions[each.notification.id])
            for each in ours
            if each.state in (State.SENT, State.FAILED)
        ]
        if changes or events:
            await journal.record(tx, tenant_id, changes, events)
        for each in ours:
            _tried.labels(each.notification.channel, "SUPPRESSED" if each.unwanted else each.outcome).inc()

    async def _claim(self, tx: AsyncConnection, tenant_id: str, channel: Channel, room: int) -> _Claimed:
        now = self._clock.now()
        provider = await store.provider(tx, tenant_id, channel, self._vault)
        rate = (provider.rate if provider is not None else 0) or self._platform.rate
        some, empty = await queue.pace(tx, tenant_id, channel, rate, room, now)
        if not some:
            return _Claimed(wait_s=max(1 / rate, PACE_S))
        found = await queue.claim(tx, tenant_id, channel, now, LEASE_S, some)
        if not found:
            return _Claimed()
        await queue.save_pace(tx, tenant_id, channel, domain.taken(empty, rate, some - len(found)))
        keys = {each.id: (each.recipient_hash, channel, each.category) for each in found}
        refusals = await store.refusals(tx, tenant_id, list(keys.values()))
        sender, locale, _ = await store.sender(tx, tenant_id)
        return _Claimed(
            notifications=[each for each in found if keys[each.id] not in refusals],
            unwanted=[
                Ended(each, Outcome.PERMANENT, now, now, refusals[keys[each.id]], unwanted=True)
                for each in found
                if keys[each.id] in refusals
            ],
            templates=await store.candidates(tx, tenant_id, sorted({(each.template, channel) for each in found})),
            sender=sender,
            locale=locale,
            provider=provider,
            wait_s=0.0 if len(found) == some else None,
        )

    # -- one try

    async def _try(self, tenant_id: str, notification: Notification, claimed: _Claimed) -> Ended:
        begin, version, address = self._clock.now(), 0, ""
        for_good, bounced, asked_s = False, False, 0.0
        try:
            address = queue.recipient_of(self._vault, tenant_id, notification)
            template = _template(notification, claimed)
            version = template.version
            variables = queue.variables_of(self._vault, tenant_id, notification)
            content = await self._renderer.render(tenant_id, template, variables)
            message = Outgoing(
                id=notification.id,
                tenant_id=tenant_id,
                channel=notification.channel,
                to=address,
                content=content,
                create_time=notification.create_time,
                sender=claimed.sender,
            )
            provider_id = await self._delivery(notification.channel, claimed.provider).deliver(message)
        except TemplateFailed as failed:
            # What a template says of its data may be somebody's address.
            why, for_good = f"template {failed.part}: {_ADDRESS.sub('***', failed.error)}", True
        except Undelivered as refused:
            why, for_good, bounced, asked_s = refused.why, refused.for_good, refused.bounced, refused.retry_after_s
        except PlatformError as error:
            why, for_good = error.reason, error.reason == "TEMPLATE_NOT_FOUND"
        except Exception as error:
            # A tenant's text met something that cannot write it: that is the end of this one, not of the process.
            log.exception("a notification cannot be sent", notification_id=notification.id, tenant_id=tenant_id)
            why, for_good = f"cannot be written: {type(error).__name__}", True
        else:
            now = self._clock.now()
            return Ended(notification, Outcome.SENT, begin, now, template_version=version, provider_id=provider_id)
        now = self._clock.now()
        outcome = Outcome.PERMANENT if for_good else Outcome.TRANSIENT
        again = None
        if not for_good and notification.tries < domain.MOST_TRIES:
            again = domain.next_try(now, notification.tries, random.random(), asked_s)
        elif not for_good:
            why = f"{why}; given up after {notification.tries} tries"
        log.info(
            "a notification was not sent",
            notification_id=notification.id,
            tenant_id=tenant_id,
            why=why,
            tries=notification.tries,
            is_over=again is None,
        )
        return Ended(notification, outcome, begin, now, why, version, again=again, bounced=address if bounced else "")

    def _delivery(self, channel: Channel, provider: Provider | None) -> Delivery:
        if provider is None or not provider.url:
            return self._platform.deliveries[channel]
        key = (channel, provider)
        if key not in self._own:
            if len(self._own) >= DELIVERIES:
                _, oldest = self._own.popitem(last=False)
                closing = asyncio.ensure_future(oldest.close())
                closing.add_done_callback(lambda done: done.exception())
            self._own[key] = delivery(channel, provider, self._platform.mail_from)
        self._own.move_to_end(key)
        return self._own[key]


_Tries = set[asyncio.Task[Ended]]


async def _some(tasks: _Tries, within_s: float | None) -> tuple[list[Ended], _Tries]:
    """(what has ended by then, the tasks that have not)."""
    if not tasks:
        await asyncio.sleep(within_s or 0)
        return [], set()
    done, left = await asyncio.wait(tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    return [task.result() for task in done], left


def delivery(channel: Channel, provider: Provider, mail_from: str) -> Delivery:
    """ValueError: not a URL of such a server."""
    if channel is Channel.EMAIL:
        return Smtp(provider.url, mail_from, user=provider.user, password=provider.secret, has_own_server=True)
    return Http(provider.url, token=provider.secret)


def _template(notification: Notification, claimed: _Claimed) -> Template:
    """NotFound TEMPLATE_NOT_FOUND."""
    name, channel = notification.template, notification.channel
    own = (claimed.templates or {}).get((name, channel), ())
    order = domain.locales(notification.locale, claimed.locale)
    found = domain.best([*own, *defaults.of(name, channel)], order)
    if found is None:
        raise store.missing_template(name, channel)
    return found


_ADDRESS = re.compile(r"\S+@\S+")
_DUE = text("SELECT tenant_id::text AS tenant_id, channel FROM notifications_due(:at_most)")
