"""Orders on the wire, in events and in the audit."""

from google.type import money_pb2

from center.dataplane.v1 import cart_service_pb2
from center.dataplane.v1 import order_service_pb2 as pb
from dataplane.orders.domain import (
    Adjustment,
    Fulfillment,
    FulfillmentLine,
    Ledger,
    Line,
    Noted,
    Order,
    Refund,
    RefundLine,
)
from shared.payments.domain import Payment
from shared.runtime import money
from shared.runtime.journal import Change, Event
from shared.runtime.money import Money
from shared.runtime.vault import Vault

# Where what is sealed is kept, and under which ring of keys.
RING, EMAIL, ADDRESS = "orders", "orders.email", "orders.address"


def to_proto(order: Order, ledger: Ledger | None = None) -> pb.Order:
    """With its lines, and with what a ledger holds; nothing about the shopper."""
    message = listed(order)
    message.lines.extend(_line(order.currency, line) for line in order.lines)
    message.adjustments.extend(_adjustment(order.currency, each) for each in order.adjustments)
    if ledger is not None:
        message.fulfillments.extend(map(fulfillment_to_proto, ledger.fulfillments))
        message.refunds.extend(refund_to_proto(order.currency, each) for each in ledger.refunds)
    return message


def listed(order: Order) -> pb.Order:
    """What it amounts to and where it stands."""

    def of(minor: int) -> money_pb2.Money:
        return _money(order.currency, minor)

    message = pb.Order(
        id=order.id,
        number=str(order.number),
        state=f"ORDER_STATE_{order.state}",
        payment_status=f"PAYMENT_STATUS_{order.payment_status}",
        fulfillment_status=f"FULFILLMENT_STATUS_{order.fulfillment_status}",
        cart_id=order.cart_id,
        customer_id=order.customer_id,
        currency_code=order.currency,
        subtotal=of(order.subtotal_minor),
        discount=of(order.discount_minor),
        shipping=of(order.shipping_minor),
        tax=of(order.tax_minor),
        prices_include_tax=order.prices_include_tax,
        total=of(order.total_minor),
        paid=of(order.paid_minor),
        refunded=of(order.refunded_minor),
        shipping_method=order.shipping_method,
        etag=order.etag,
    )
    message.create_time.FromDatetime(order.create_time)
    message.update_time.FromDatetime(order.update_time)
    if order.place_time is not None:
        message.place_time.FromDatetime(order.place_time)
    return message


def opened(order: Order, ledger: Ledger, vault: Vault, tenant_id: str) -> pb.Order:
    """With all that there is to tell, the shopper included."""
    message = to_proto(order, ledger)
    message.email = email(order, vault, tenant_id)
    if order.address:
        plain = vault.open(tenant_id, ADDRESS, order.address)
        message.address.CopyFrom(cart_service_pb2.Address.FromString(plain))
    message.action_url = action_url(ledger.payments)
    return message


def email(order: Order, vault: Vault, tenant_id: str) -> str:
    return vault.open(tenant_id, EMAIL, order.email).decode()


def action_url(payments: tuple[Payment, ...]) -> str:
    """Where the shopper confirms the payment, while that is awaited."""
    return next((each.action_url for each in reversed(payments) if each.action_url), "")


def fulfillment_to_proto(fulfillment: Fulfillment) -> pb.Fulfillment:
    message = pb.Fulfillment(
        id=fulfillment.id,
        lines=[pb.FulfillmentLine(line_id=line.line_id, quantity=line.quantity) for line in fulfillment.lines],
        carrier=fulfillment.carrier,
        tracking_number=fulfillment.tracking_number,
    )
    message.create_time.FromDatetime(fulfillment.create_time)
    if fulfillment.deliver_time is not None:
        message.deliver_time.FromDatetime(fulfillment.deliver_time)
    return message


def refund_to_proto(currency: str, refund: Refund) -> pb.Refund:
    message = pb.Refund(
        id=refund.id,
        amount=_money(currency, refund.amount_minor),
        state=f"REFUND_STATE_{refund.state}",
        lines=[
            pb.RefundLine(line_id=line.line_id, quantity=line.quantity, restock=line.restock, withdraw=line.withdrawn)
            for line in refund.lines
        ],
        reason=refund.reason,
        failure_reason=refund.failure_reason,
    )
    message.create_time.FromDatetime(refund.create_time)
    return message


def noted_to_proto(noted: Noted) -> pb.OrderEvent:
    message = pb.OrderEvent(id=noted.id, kind=noted.kind, message=noted.message, actor=noted.actor)
    message.create_time.FromDatetime(noted.create_time)
    return message


def fulfillment_line(message: pb.FulfillmentLine) -> FulfillmentLine:
    return FulfillmentLine(message.line_id.lower(), message.quantity)


def refund_line(message: pb.RefundLine) -> RefundLine:
    return RefundLine(message.line_id.lower(), message.quantity, message.restock, message.withdraw)


def event(happened: str, order: Order, ledger: Ledger, *, fulfillment_id: str = "", refund_id: str = "") -> Event:
    """happened: created, placed, paid, fulfilled, delivered, refunded, canceled or expired.

    Reasons are people's words, and stay here.
    """
    said = to_proto(order, ledger)
    for refund in said.refunds:
        refund.ClearField("reason")
    changed = pb.OrderChanged(order=said, fulfillment_id=fulfillment_id, refund_id=refund_id)
    return Event(f"order.{happened}.v1", order.id, order.version, changed)


def change(before: Order | None, after: Order, reason: str = "") -> Change:
    """What the audit keeps of it."""
    return Change("order", after.id, {} if before is None else _facts(before), _facts(after), reason)


def amount(order: Order, minor: int) -> str:
    """For people."""
    return money.written(Money(order.currency, minor))


def _facts(order: Order) -> dict[str, str]:
    facts = {
        "number": str(order.number),
        "state": order.state.value,
        "payment_status": order.payment_status.value,
        "fulfillment_status": order.fulfillment_status.value,
        "total": f"{order.currency} {order.total_minor}",
        "paid": str(order.paid_minor),
        "refunded": str(order.refunded_minor),
        "cart_id": order.cart_id,
        "customer_id": order.customer_id,
        "email": "set" if order.email else "",
        "address": "set" if order.address else "",
    }
    for line in order.lines:
        facts[f"lines[{line.id}]"] = (
            f"{line.quantity} x {line.sku or line.variant_id}, {line.fulfilled} fulfilled, {line.refunded} refunded"
        )
    return facts


def _line(currency: str, line: Line) -> pb.OrderLine:
    return pb.OrderLine(
        id=line.id,
        variant_id=line.variant_id,
        product_id=line.product_id,
        sku=line.sku,
        product_title=line.product_title,
        variant_title=line.variant_title,
        options=[cart_service_pb2.LineOption(name=name, value=value) for name, value in line.options],
        quantity=line.quantity,
        unit_price=_money(currency, line.unit_minor),
        amount=_money(currency, line.amount_minor),
        discount=_money(currency, line.discount_minor),
        tax=_money(currency, line.tax_minor),
        fulfilled_quantity=line.fulfilled,
        refunded_quantity=line.refunded,
    )


def _adjustment(currency: str, adjustment: Adjustment) -> pb.OrderAdjustment:
    return pb.OrderAdjustment(
        promotion_id=adjustment.promotion_id,
        code=adjustment.code,
        amount=_money(currency, adjustment.amount_minor),
        explanation=adjustment.explanation,
    )


def _money(currency: str, minor: int) -> money_pb2.Money:
    return money.to_proto(Money(currency, minor))
