"""Customers on the wire, in events and in the audit."""

from collections.abc import Sequence
from datetime import datetime

from center.dataplane.v1 import customer_service_pb2 as pb
from dataplane.customers.domain import Customer
from dataplane.orders import messages as order_messages
from dataplane.orders.domain import Order
from shared.runtime.journal import Change, Event


def outline(customer: Customer) -> pb.Customer:
    """All but what is sealed."""
    message = pb.Customer(
        id=customer.id,
        state=f"CUSTOMER_STATE_{customer.state}",
        external_id=customer.external_id,
        locale=customer.locale,
        marketing_consent=customer.marketing_consent,
        has_password=bool(customer.password),
        etag=customer.etag,
    )
    message.create_time.FromDatetime(customer.create_time)
    message.update_time.FromDatetime(customer.update_time)
    if customer.consent_time is not None:
        message.marketing_consent_time.FromDatetime(customer.consent_time)
    if customer.erase_time is not None:
        message.erase_time.FromDatetime(customer.erase_time)
    return message


def session(customer_id: str, token: str, ends: datetime) -> pb.Session:
    message = pb.Session(token=token, customer_id=customer_id)
    message.expire_time.FromDatetime(ends)
    return message


def consents(changes: Sequence[tuple[bool, datetime]]) -> list[pb.ConsentChange]:
    found = []
    for given, at in changes:
        found.append(pb.ConsentChange(given=given))
        found[-1].time.FromDatetime(at)
    return found


def my_order(order: Order) -> pb.MyOrder:
    """What of an order its buyer sees in a list."""
    known = order_messages.listed(order)
    return pb.MyOrder(
        **{field.name: getattr(known, field.name) for field, _ in known.ListFields() if field.name in _MINE}
    )


_MINE = frozenset(pb.MyOrder.DESCRIPTOR.fields_by_name)


def event(happened: str, customer: Customer) -> Event:
    """happened: registered, updated or erased."""
    changed = pb.CustomerChanged(
        id=customer.id,
        state=f"CUSTOMER_STATE_{customer.state}",
        has_email=bool(customer.email_hash),
        has_password=bool(customer.password),
        marketing_consent=customer.marketing_consent,
        locale=customer.locale,
        addresses=len(customer.addresses),
        is_imported=customer.is_imported,
        version=customer.version,
    )
    changed.create_time.FromDatetime(customer.create_time)
    changed.update_time.FromDatetime(customer.update_time)
    return Event(f"customer.{happened}.v1", customer.id, customer.version, changed)


def change(before: Customer | None, after: Customer, reason: str = "") -> Change:
    """What the audit keeps of it: of what is sealed and of the password no more than that it changed."""
    was = {} if before is None else _facts(before, None)
    return Change("customer", after.id, was, _facts(after, before), reason)


def _facts(customer: Customer, before: Customer | None) -> dict[str, str]:
    def hidden(value: object, former: object) -> str:
        if not value:
            return ""
        return f"set by version {customer.version}" if before is not None and value != former else "set"

    known = {} if before is None else {each.id: each for each in before.addresses}
    return {
        "state": customer.state.value,
        "external_id": customer.external_id,
        **{name: hidden(getattr(customer, name), getattr(before, name, b"")) for name in ("email", "name", "phone")},
        "password": hidden(customer.password, getattr(before, "password", "")),
        "locale": customer.locale,
        "marketing_consent": "true" if customer.marketing_consent else "",
        "epoch": str(customer.epoch),
        "ended_sessions": str(len(customer.ended_sessions) or ""),
        **{f"addresses[{each.id}]": hidden(each, known.get(each.id)) for each in customer.addresses},
    }
