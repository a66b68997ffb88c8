"""center payments: a shop's payments, their refunds, and the account that takes them."""

import os
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table

from center.shared.v1 import payment_service_pb2 as pb
from shared.cli import amounts
from shared.cli.call import Call, Limit, TenantArgument, card, filtered_by, operator, word
from shared.runtime.ids import uuid7

app = typer.Typer(help="A shop's payments, and the account that takes them.", no_args_is_help=True)

PAYMENTS = pb.DESCRIPTOR.services_by_name["PaymentService"]

PaymentArgument = Annotated[str, typer.Argument(metavar="PAYMENT", help="A payment's id.")]
AmountOption = Annotated[str, typer.Option("--amount", help="Such as 12.50EUR; all there is unless given.")]
WhyOption = Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the audit.")]
RequestOption = Annotated[str, typer.Option("--request-id", help="The same again has no second effect.")]


@operator(app, "list")
async def list_(
    call: Call, tenant: TenantArgument, filter: Annotated[str, filtered_by("state = CAPTURED")] = "", limit: Limit = 100
) -> None:
    """List a shop's payments, newest first."""
    await call.table(
        call.pages(PAYMENTS, "ListPayments", pb.ListPaymentsRequest(filter=filter), "payments", limit, tenant=tenant),
        "payments",
        [
            ("CREATED", lambda p: p.create_time),
            ("STATE", lambda p: word(pb.PaymentState, p.state)),
            ("AMOUNT", lambda p: amounts.text(p.amount)),
            ("CAPTURED", lambda p: amounts.text(p.captured)),
            ("REFUNDED", lambda p: amounts.text(p.refunded)),
            ("REFERENCE", lambda p: p.reference),
            ("ID", lambda p: p.id),
        ],
    )


@operator(app)
async def show(call: Call, tenant: TenantArgument, payment: PaymentArgument) -> None:
    """Show one payment and what was done about it."""
    answer = await call.in_shop(tenant, PAYMENTS, "GetPayment", pb.GetPaymentRequest(id=payment))
    call.show(answer.payment, lambda: _shown(answer.payment))


@operator(app)
async def authorize(
    call: Call,
    tenant: TenantArgument,
    amount: Annotated[str, typer.Argument(help="Such as 12.50EUR.")],
    payment_method: Annotated[str, typer.Option(help="The provider's token, such as pm_card_visa.")] = "pm_card_visa",
    reference: Annotated[str, typer.Option(help="What is paid for.")] = "",
    request_id: RequestOption = "",
) -> None:
    """Have the provider hold an amount."""
    request = pb.AuthorizeRequest(
        amount=amounts.read(amount),
        payment_method=payment_method,
        reference=reference,
        request_id=request_id or uuid7(),
    )
    _end(call, await call.in_shop(tenant, PAYMENTS, "Authorize", request))


@operator(app)
async def capture(
    call: Call,
    tenant: TenantArgument,
    payment: PaymentArgument,
    amount: AmountOption = "",
    request_id: RequestOption = "",
) -> None:
    """Take what is held, or a part of it."""
    request = pb.CaptureRequest(payment_id=payment, amount=amounts.read(amount), request_id=request_id or uuid7())
    _end(call, await call.in_shop(tenant, PAYMENTS, "Capture", request))


@operator(app)
async def refund(
    call: Call,
    tenant: TenantArgument,
    payment: PaymentArgument,
    reason: WhyOption,
    amount: AmountOption = "",
    request_id: RequestOption = "",
) -> None:
    """Give back what was captured, or a part of it."""
    request = pb.RefundRequest(
        payment_id=payment, amount=amounts.read(amount), reason=reason, request_id=request_id or uuid7()
    )
    _end(call, await call.in_shop(tenant, PAYMENTS, "Refund", request))


@operator(app)
async def void(
    call: Call, tenant: TenantArgument, payment: PaymentArgument, reason: WhyOption, request_id: RequestOption = ""
) -> None:
    """Release what is held."""
    request = pb.VoidRequest(payment_id=payment, reason=reason, request_id=request_id or uuid7())
    _end(call, await call.in_shop(tenant, PAYMENTS, "Void", request))


@operator(app)
async def reconcile(
    call: Call, tenant: TenantArgument, payment: Annotated[str, typer.Option(help="One payment only.")] = ""
) -> None:
    """Ask the provider now about what has no outcome yet."""
    answer = await call.in_shop(tenant, PAYMENTS, "Reconcile", pb.ReconcileRequest(payment_id=payment))
    call.show(answer, lambda: f"asked about {answer.asked} operations, {answer.still_open} are open still")


@operator(app)
async def settings(call: Call, tenant: TenantArgument) -> None:
    """Show which provider takes a shop's payments."""
    answer = await call.in_shop(tenant, PAYMENTS, "GetPaymentSettings", pb.GetPaymentSettingsRequest())
    call.show(answer.settings, lambda: _settings(answer.settings))


@operator(app, "set")
async def set_(
    call: Call,
    tenant: TenantArgument,
    api_base: Annotated[str, typer.Option(help="Address of the provider's API; empty for its own.")] = "",
    etag: Annotated[str, typer.Option(help="Refuse if it has changed since this etag was read.")] = "",
) -> None:
    """Set a shop's account at Stripe. Keys come from STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET, or are asked for."""
    request = pb.SetPaymentSettingsRequest(
        settings={"provider": "stripe", "api_base": api_base, "etag": etag},
        secret_key=_secret("STRIPE_SECRET_KEY", "secret key (empty keeps the one there is)"),
        webhook_secret=_secret("STRIPE_WEBHOOK_SECRET", "webhook secret (empty keeps the one there is)"),
    )
    answer = await call.in_shop(tenant, PAYMENTS, "SetPaymentSettings", request)
    call.show(answer.settings, lambda: _settings(answer.settings))


def _secret(variable: str, prompt: str) -> str:
    """Never an argument: those stand in the shell's history and in the list of processes."""
    if variable in os.environ:
        return os.environ[variable]
    return str(typer.prompt(prompt, default="", hide_input=True, show_default=False))


def _end(call: Call, answer: Any) -> None:
    call.show(answer, lambda: _shown(answer.payment))
    if answer.operation.state == pb.PAYMENT_OPERATION_STATE_FAILED:
        raise typer.Exit(1)


def _shown(payment: pb.Payment) -> Group:
    about = card(
        [
            ("id", payment.id),
            ("state", word(pb.PaymentState, payment.state)),
            ("reference", payment.reference),
            ("amount", amounts.text(payment.amount)),
            ("authorized", amounts.text(payment.authorized)),
            ("captured", amounts.text(payment.captured)),
            ("refunded", amounts.text(payment.refunded)),
            ("provider", f"{payment.provider} {payment.provider_payment_id}"),
            ("to confirm", payment.action_url),
            ("failed", payment.failure_reason),
            ("created", payment.create_time),
        ]
    )
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("OPERATION", "AMOUNT", "STATE", "WHY", "ATTEMPTS", "ID"):
        table.add_column(heading, overflow="fold")
    for each in payment.operations:
        table.add_row(
            word(pb.PaymentOperationKind, each.kind),
            amounts.text(each.amount),
            word(pb.PaymentOperationState, each.state),
            each.failure_reason,
            str(each.attempts),
            each.id,
        )
    return Group(about, "", table)


def _settings(found: pb.PaymentSettings) -> Table:
    return card(
        [
            ("provider", found.provider),
            ("api base", found.api_base or "the provider's own"),
            ("secret key", "set" if found.has_secret_key else "missing"),
            ("webhook secret", "set" if found.has_webhook_secret else "missing"),
            ("updated", found.update_time),
            ("etag", found.etag),
        ]
    )
