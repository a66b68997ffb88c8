"""Payments on the wire, in events and in the audit."""

from collections.abc import Mapping

from google.type import money_pb2

from center.shared.v1 import payment_service_pb2 as pb
from shared.payments.domain import Operation, Payment, Progress
from shared.payments.store import Settings
from shared.runtime import money
from shared.runtime.journal import Change, Event
from shared.runtime.money import Money


def to_proto(payment: Payment, *, operations: bool = True) -> pb.Payment:
    def of(minor: int) -> money_pb2.Money:
        return money.to_proto(Money(payment.currency, minor))

    message = pb.Payment(
        id=payment.id,
        reference=payment.reference,
        state=f"PAYMENT_STATE_{payment.state}",
        amount=of(payment.amount_minor),
        authorized=of(payment.authorized_minor),
        captured=of(payment.captured_minor),
        refunded=of(payment.refunded_minor),
        provider=payment.provider,
        provider_payment_id=payment.provider_payment_id,
        action_url=payment.action_url,
        failure_reason=payment.failure_reason,
        operations=[operation_to_proto(payment, each) for each in payment.operations] if operations else (),
        version=payment.version,
    )
    message.create_time.FromDatetime(payment.create_time)
    message.update_time.FromDatetime(payment.update_time)
    return message


def operation_to_proto(payment: Payment, operation: Operation) -> pb.PaymentOperation:
    message = pb.PaymentOperation(
        id=operation.id,
        kind=f"PAYMENT_OPERATION_KIND_{operation.kind}",
        state=f"PAYMENT_OPERATION_STATE_{operation.state}",
        amount=money.to_proto(Money(payment.currency, operation.amount_minor)),
        failure_reason=operation.failure_reason,
        provider_reference=operation.provider_reference,
        attempts=operation.attempts,
    )
    message.create_time.FromDatetime(operation.create_time)
    message.update_time.FromDatetime(operation.update_time)
    return message


def event(happened: str, payment: Payment, operation: Operation) -> Event:
    """happened: authorized, captured, refunded, voided or failed."""
    changed = pb.PaymentChanged(
        payment=to_proto(payment, operations=False), operation=operation_to_proto(payment, operation)
    )
    return Event(f"payment.{happened}.v1", payment.id, payment.version, changed)


def change(before: Payment | None, after: Payment, reason: str = "") -> Change:
    """What the audit keeps of it."""
    return Change("payment", after.id, {} if before is None else _facts(before), _facts(after), reason)


def settings_to_proto(settings: Settings) -> pb.PaymentSettings:
    message = pb.PaymentSettings(
        provider=settings.provider,
        api_base=settings.api_base,
        has_secret_key=bool(settings.secret_key),
        has_webhook_secret=bool(settings.webhook_secret),
        etag=str(settings.version),
    )
    message.update_time.FromDatetime(settings.update_time)
    return message


def settings_change(tenant_id: str, before: Settings | None, after: Settings) -> Change:
    """A key that was changed shows as changed, and not at all as itself."""
    was: dict[str, str] = {} if before is None else _settings_facts(before, {})
    versions = {
        name: str(after.version)
        for name in ("secret_key", "webhook_secret")
        if before is None or getattr(before, name) != getattr(after, name)
    }
    return Change("payment_settings", tenant_id, was, _settings_facts(after, versions))


def _settings_facts(settings: Settings, changed: Mapping[str, str]) -> dict[str, str]:
    facts = {"provider": settings.provider, "api_base": settings.api_base}
    for name in ("secret_key", "webhook_secret"):
        is_set = "set" if getattr(settings, name) else ""
        facts[name] = f"set by version {changed[name]}" if is_set and name in changed else is_set
    return facts


def _facts(payment: Payment) -> dict[str, str]:
    facts = {
        "reference": payment.reference,
        "state": payment.state.value,
        "amount": f"{payment.currency} {payment.amount_minor}",
        "authorized": str(payment.authorized_minor),
        "captured": str(payment.captured_minor),
        "refunded": str(payment.refunded_minor),
        "provider": payment.provider,
        "provider_payment_id": payment.provider_payment_id,
        "failure_reason": payment.failure_reason,
    }
    for each in payment.operations:
        word = each.state.value if each.state is not Progress.FAILED else f"FAILED {each.failure_reason}"
        facts[f"operations[{each.id}]"] = f"{each.kind} {each.amount_minor} {word}"
    return facts
