"""Events on their way: told to the broker, and heard by what notifies people and by the webhooks."""

from functools import partial

from dataplane.orders.notices import Details
from dataplane.parts.ground import Ground, Part
from dataplane.parts.notifications import Notifications
from dataplane.parts.selling import Selling
from dataplane.parts.webhooks import Webhooks
from dataplane.tenants.local import Writes
from shared.notifications import triggers
from shared.notifications.triggers import Triggers
from shared.runtime.db import app_url
from shared.runtime.events import subjects
from shared.runtime.events.consumer import Consumer
from shared.runtime.events.gaps import CatchUp
from shared.webhooks import fanout
from shared.webhooks.fanout import FanOut


def wire_events(ground: Ground, notifications: Notifications, webhooks: Webhooks, selling: Selling) -> Part:
    config, tenants, broker = ground.config, ground.tenants, ground.broker
    url = app_url(config.database_url, config.home)
    sending, deliveries = notifications.sending, webhooks.deliveries
    triggered = Triggers(
        name=ground.name,
        vault=notifications.vault,
        clock=ground.clock,
        is_served=tenants.is_served,
        sent=sending.wake,
        details=Details(selling.order_vault),
    )
    notifying = ground.database("center_app", 2)
    fan_out = FanOut(tenants.is_served, ground.clock)
    heard = Writes(webhooks.db, tenants, deliveries.wake)
    catch_up = partial(CatchUp, steward=ground.steward, broker=broker)
    again = [
        catch_up(triggers.NAME, [triggers.PLANE], triggered, db=notifying, written=sending.wake),
        catch_up(fanout.NAME, subjects.STREAMS, fan_out, db=webhooks.db, written=deliveries.wake),
    ]
    consumers = [
        Consumer(triggers.subscription(config.cluster_id), triggered.apply, notifying, url, broker),
        *(Consumer(each, fan_out.apply, heard, url, broker) for each in fanout.subscriptions(config.cluster_id)),
    ]
    return Part(workers=[ground.events.run, *(each.run for each in again), *(each.run for each in consumers)])
