"""What happens in each tenant's shop, by day and type: a projection of the clusters' events."""

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from control.tables import tenant_activity
from shared.runtime.events.consumer import Event, Subscription

CONSUMER = Subscription("activity", "dataplane")


async def apply(tx: AsyncConnection, event: Event) -> None:
    stmt = insert(tenant_activity).values(
        tenant_id=event.tenant_id,
        date=event.time.date(),
        type=event.subject.name,
        events=1,
        last_event_time=event.time,
    )
    await tx.execute(
        stmt.on_conflict_do_update(
            index_elements=["tenant_id", "date", "type"],
            set_={
                "events": tenant_activity.c.events + 1,
                "last_event_time": func.greatest(tenant_activity.c.last_event_time, stmt.excluded.last_event_time),
            },
        )
    )
