"""What shoppers are told of their orders: events carry no address, so it is read where it is kept."""

from collections.abc import Mapping
from typing import Any

from google.type import money_pb2
from sqlalchemy.ext.asyncio import AsyncConnection

from center.dataplane.v1 import order_service_pb2 as pb
from dataplane.orders import messages, store
from shared.runtime import money
from shared.runtime.events.consumer import Event
from shared.runtime.vault import Vault


class Details:
    """For shared.notifications.triggers: `order` of templates, and `order.email`."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def __call__(self, tx: AsyncConnection, event: Event) -> Mapping[str, Any]:
        """Nobody is told of an order that was never placed."""
        if not isinstance(event.message, pb.OrderChanged) or not event.message.order.HasField("place_time"):
            return {}
        order = await store.find(tx, event.tenant_id, event.message.order.id)
        if order is None:
            return {}
        email = messages.email(order, self._vault, event.tenant_id)
        return {"order": {"email": email, **_told(event.message)}}


def _told(changed: pb.OrderChanged) -> dict[str, Any]:
    """As it was when it happened."""
    order = changed.order
    told: dict[str, Any] = {
        "number": order.number,
        "total": _text(order.total),
        "shipping_method": order.shipping_method,
        "lines": [
            {"title": line.product_title, "quantity": line.quantity, "amount": _text(line.amount)}
            for line in order.lines
        ],
    }
    for fulfillment in (each for each in order.fulfillments if each.id == changed.fulfillment_id):
        told |= {"carrier": fulfillment.carrier, "tracking_number": fulfillment.tracking_number}
    for refund in (each for each in order.refunds if each.id == changed.refund_id):
        told["refund"] = _text(refund.amount)
    return told


def _text(amount: money_pb2.Money) -> str:
    return money.written(money.from_proto(amount))
