"""Stripe's public API, through its own library: PaymentIntents that are captured by hand.

A payment is one PaymentIntent, whose metadata name the tenant, the payment and the operation: that is how events and
searches find back.
"""

import json
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import stripe
import structlog
from stripe import HTTPXClient, StripeClient

from shared.payments.domain import (
    CANCELED,
    NOT_AT_PROVIDER,
    Kind,
    Operation,
    Outcome,
    Payment,
    Report,
    is_findable,
    may_repeat,
)
from shared.payments.provider import Account, Notice, refused_event, unsupported
from shared.runtime.patience import within

log = structlog.stdlib.get_logger("center.payments")

NAME = "stripe"
SIGNATURE = "stripe-signature"
# Less than an Envoy route's 15 s: the caller hears of an unknown outcome from us.
DEADLINE_S = 10.0
EVENT_LIFE_S = stripe.Webhook.DEFAULT_TOLERANCE
TENANT, PAYMENT, OPERATION = "center_tenant", "center_payment", "center_operation"

# Where Stripe counts otherwise than ISO 4217 (docs.stripe.com/currencies#zero-decimal): its units of one of ours.
_STRIPE_PER_MINOR = {"ISK": 100, "UGX": 100}
_MINOR_PER_STRIPE = {"MGA": 100}
_THREE_PLACES = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
_LARGEST = 99_999_999

_REASONS = {
    "insufficient_funds": "INSUFFICIENT_FUNDS",
    "expired_card": "CARD_EXPIRED",
    "authentication_required": "AUTHENTICATION_FAILED",
    "payment_intent_authentication_failure": "AUTHENTICATION_FAILED",
}
# The state that the PaymentIntent is in decides, not the call.
_OTHER_STATE = {"payment_intent_unexpected_state", "charge_already_captured", "charge_already_refunded"}


class Stripe:
    """A Provider. One for the whole process: accounts share its connections. deadline_s: of one call."""

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._http = HTTPXClient(timeout=deadline_s)
        self._client = lru_cache(maxsize=1000)(self._new_client)

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]

    def refuse_amount(self, currency: str, amount_minor: int) -> None:
        if currency in _THREE_PLACES and amount_minor % 10:
            raise unsupported(f"{currency} is taken in steps of 10 minor units")
        if amount_minor % _MINOR_PER_STRIPE.get(currency, 1):
            raise unsupported(f"{currency} is taken in whole units")
        if _to_stripe(currency, amount_minor) > _LARGEST:
            raise unsupported("more than the provider takes at once")

    async def carry_out(self, account: Account, tenant_id: str, payment: Payment, operation: Operation) -> Report:
        client = self._client(account.api_base, account.secret_key)
        return await self._heard(payment, operation, self._call(client, tenant_id, payment, operation))

    async def ask(
        self, account: Account, tenant_id: str, payment: Payment, operation: Operation, now: datetime
    ) -> Report:
        if operation.kind is Kind.AUTHORIZE and payment.provider_payment_id:
            return await self._looked_up(account, payment, operation, now)
        if may_repeat(operation, now):
            report = await self.carry_out(account, tenant_id, payment, operation)
            # A server error may be what the key stands for: then it is all that ever comes.
            if report.outcome is not Outcome.UNKNOWN or not is_findable(operation, now):
                return report
        return await self._looked_up(account, payment, operation, now)

    def read(self, account: Account, body: bytes, metadata: Mapping[str, str | bytes], now: datetime) -> Notice:
        header = metadata.get(SIGNATURE, "")
        signature = header if isinstance(header, str) else ""
        try:
            # Without a tolerance: what is too old is for our own clock to say.
            client = self._client(account.api_base, account.secret_key)
            client.construct_event(body, signature, account.webhook_secret, tolerance=0)
        except stripe.SignatureVerificationError:
            raise refused_event("SIGNATURE_INVALID", f"the header {SIGNATURE} does not sign it") from None
        except (ValueError, TypeError, AttributeError):
            raise refused_event("EVENT_MALFORMED", "not an event") from None
        signed_at = int(dict(part.split("=", 1) for part in signature.split(","))["t"])
        if now.timestamp() - signed_at > EVENT_LIFE_S:
            raise refused_event("EVENT_TOO_OLD", f"signed more than {EVENT_LIFE_S} s ago")
        try:
            return _notice(json.loads(body))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise refused_event("EVENT_MALFORMED", "not an event of a payment") from None

    def _new_client(self, api_base: str, secret_key: str) -> StripeClient:
        addresses: Any = {"api": api_base} if api_base else {}
        # Tries are ours to make: each is written down.
        return StripeClient(secret_key, http_client=self._http, base_addresses=addresses, max_network_retries=0)

    async def _call(self, client: StripeClient, tenant_id: str, payment: Payment, operation: Operation) -> Report:
        amount = _to_stripe(payment.currency, operation.amount_minor)
        options: Any = {"idempotency_key": operation.id}
        metadata = {TENANT: tenant_id, PAYMENT: payment.id, OPERATION: operation.id}
        intents = client.v1.payment_intents
        match operation.kind:
            case Kind.AUTHORIZE:
                params: Any = {
                    "amount": amount,
                    "currency": payment.currency.lower(),
                    "capture_method": "manual",
                    "confirm": True,
                    "payment_method": payment.payment_method,
                    "payment_method_types": ["card"],
                    "metadata": metadata,
                }
                if payment.return_url:
                    params["return_url"] = payment.return_url
                return _authorization(_plain(await intents.create_async(params, options)), operation.id)
            case Kind.CAPTURE:
                intent = await intents.capture_async(
                    payment.provider_payment_id, {"amount_to_capture": amount}, options
                )
                return _capture(_plain(intent), operation.id)
            case Kind.VOID:
                return _void(_plain(await intents.cancel_async(payment.provider_payment_id, {}, options)), operation.id)
            case Kind.REFUND:
                refund_params: Any = {
                    "payment_intent": payment.provider_payment_id,
                    "amount": amount,
                    "metadata": metadata,
                }
                return _refund(_plain(await client.v1.refunds.create_async(refund_params, options)))

    async def _looked_up(self, account: Account, payment: Payment, operation: Operation, now: datetime) -> Report:
        client = self._client(account.api_base, account.secret_key)
        return await self._heard(payment, operation, self._find(client, payment, operation, now))

    async def _find(self, client: StripeClient, payment: Payment, operation: Operation, now: datetime) -> Report:
        """The operation's effect as it can be read, without any call that could make one."""
        missing = Report(operation.kind, Outcome.UNKNOWN, operation.id)
        if is_findable(operation, now):
            missing = Report(operation.kind, Outcome.FAILED, operation.id, reason=NOT_AT_PROVIDER)
        if operation.kind is Kind.REFUND:
            refunds: Any = {"payment_intent": payment.provider_payment_id, "limit": 100}
            for refund in _plain(await client.v1.refunds.list_async(refunds))["data"]:
                if (refund.get("metadata") or {}).get(OPERATION) == operation.id:
                    return _refund(refund)
            return missing
        if payment.provider_payment_id:
            intent = _plain(await client.v1.payment_intents.retrieve_async(payment.provider_payment_id))
        else:
            query: Any = {"query": f"metadata['{OPERATION}']:'{operation.id}'"}
            found = _plain(await client.v1.payment_intents.search_async(query))["data"]
            if not found:
                return missing
            intent = found[0]
        match operation.kind:
            case Kind.AUTHORIZE:
                return _authorization(intent, operation.id)
            case Kind.CAPTURE if intent["status"] in ("succeeded", "canceled"):
                return _capture(intent, operation.id)
            case Kind.VOID if intent["status"] in ("succeeded", "canceled"):
                return _void(intent, operation.id)
        return missing

    async def _heard(self, payment: Payment, operation: Operation, call: Coroutine[Any, Any, Report]) -> Report:
        """The report of the call, or what its failure says."""
        unknown = Report(operation.kind, Outcome.UNKNOWN, operation.id)
        # The first call under a key that is refused at the door had no effect; of a later one that proves nothing.
        is_first = operation.attempts == 1
        try:
            return await within(self._deadline_s, call)
        except stripe.CardError as error:
            return _declined(error, operation)
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            log.warning("the provider refuses the tenant's key", payment=payment.id, code=error.code)
            return _refused(operation, "PROVIDER_MISCONFIGURED") if is_first else unknown
        except stripe.InvalidRequestError as error:
            if error.code in _OTHER_STATE and operation.kind in (Kind.CAPTURE, Kind.VOID):
                return _of_state(error, operation) or unknown
            log.warning("the provider refuses a call", payment=payment.id, code=error.code, param=error.param)
            is_final = error.http_status == 400 or is_first
            return _refused(operation, "PROVIDER_REFUSED") if is_final else unknown
        except (stripe.StripeError, TimeoutError, LookupError, TypeError, ValueError, AttributeError) as error:
            # Also an answer that is none: a proxy's page, or a shape that nobody has announced.
            log.warning(
                "a provider's answer is unknown", payment=payment.id, operation=operation.id, error=type(error).__name__
            )
            return unknown


def _expected(thing: Mapping[str, Any], kind: str) -> str:
    """Its id. TypeError: it is something else, which says nothing."""
    if thing.get("object") != kind or not isinstance(thing["id"], str):
        raise TypeError(f"no {kind}")
    return thing["id"]


def _authorization(intent: Mapping[str, Any], operation_id: str) -> Report:
    """What a PaymentIntent says of its authorization."""
    intent_id = _expected(intent, "payment_intent")
    outcome, minor, url, reason = Outcome.PENDING, 0, "", ""
    match intent["status"]:
        case "requires_capture":
            outcome, minor = Outcome.SUCCEEDED, _minor(intent, "amount_capturable")
        case "succeeded":
            outcome, minor = Outcome.SUCCEEDED, _minor(intent, "amount")
        case "requires_action":
            url = ((intent.get("next_action") or {}).get("redirect_to_url") or {}).get("url") or ""
            outcome = Outcome.ACTION
        case "requires_payment_method":
            error = intent.get("last_payment_error") or {}
            outcome, reason = Outcome.FAILED, _reason(error.get("code"), error.get("decline_code"))
        case "canceled":
            outcome, reason = Outcome.FAILED, CANCELED
    return Report(Kind.AUTHORIZE, outcome, operation_id, minor, intent_id, "", url, reason)


def _capture(intent: Mapping[str, Any], operation_id: str) -> Report:
    intent_id = _expected(intent, "payment_intent")
    if intent["status"] == "succeeded":
        return Report(Kind.CAPTURE, Outcome.SUCCEEDED, operation_id, _minor(intent, "amount_received"), intent_id)
    if intent["status"] == "canceled":
        return Report(Kind.CAPTURE, Outcome.FAILED, operation_id, reason=CANCELED)
    return Report(Kind.CAPTURE, Outcome.PENDING, operation_id)


def _void(intent: Mapping[str, Any], operation_id: str) -> Report:
    _expected(intent, "payment_intent")
    if intent["status"] == "canceled":
        return Report(Kind.VOID, Outcome.SUCCEEDED, operation_id)
    if intent["status"] == "succeeded":
        return Report(Kind.VOID, Outcome.FAILED, operation_id, reason="PROVIDER_REFUSED")
    return Report(Kind.VOID, Outcome.PENDING, operation_id)


def _refund(refund: Mapping[str, Any]) -> Report:
    refund_id = _expected(refund, "refund")
    operation_id = (refund.get("metadata") or {}).get(OPERATION, "")
    outcome = {
        "succeeded": Outcome.SUCCEEDED,
        "failed": Outcome.FAILED,
        "canceled": Outcome.FAILED,
    }.get(refund["status"], Outcome.PENDING)
    return Report(Kind.REFUND, outcome, operation_id, _minor(refund, "amount"), provider_reference=refund_id)


def _of_state(error: stripe.InvalidRequestError, operation: Operation) -> Report | None:
    """It is captured or canceled already, whoever did it."""
    body: Any = error.json_body
    intent = body["error"].get("payment_intent") if isinstance(body, dict) else None
    if not intent:
        return None
    report = (_capture if operation.kind is Kind.CAPTURE else _void)(intent, operation.id)
    # Neither yet: the call was refused all the same.
    return _refused(operation, "PROVIDER_REFUSED") if report.outcome is Outcome.PENDING else report


def _declined(error: stripe.CardError, operation: Operation) -> Report:
    body: Any = error.json_body
    told = body.get("error", {}) if isinstance(body, dict) else {}
    intent_id = (told.get("payment_intent") or {}).get("id", "")
    reason = _reason(told.get("code"), told.get("decline_code"))
    return Report(operation.kind, Outcome.FAILED, operation.id, provider_payment_id=intent_id, reason=reason)


def _refused(operation: Operation, reason: str) -> Report:
    return Report(operation.kind, Outcome.FAILED, operation.id, reason=reason)


def _reason(code: str | None, decline_code: str | None) -> str:
    return _REASONS.get(decline_code or "") or _REASONS.get(code or "") or "DECLINED"


def _notice(event: Mapping[str, Any]) -> Notice:
    about: Mapping[str, Any] = event["data"]["object"]
    metadata = about.get("metadata") or {}
    kind: str = event["type"]
    reports: tuple[Report, ...] = ()
    if kind.startswith("payment_intent."):
        reports = _intent_reports(kind, about, metadata.get(OPERATION, ""))
    elif kind.startswith("refund.") or kind == "charge.refund.updated":
        reports = (_refund(about),)
    return Notice(
        event_id=str(event["id"])[:200],
        type=kind[:200],
        time=datetime.fromtimestamp(int(event["created"]), UTC),
        payment_id=str(metadata.get(PAYMENT, "")),
        provider_payment_id=str(about.get("payment_intent") or about["id"]),
        reports=reports,
    )


def _intent_reports(kind: str, intent: Mapping[str, Any], operation_id: str) -> tuple[Report, ...]:
    """An event holds the PaymentIntent as it was then; what came before it is news to whoever missed that."""
    authorized = Report(Kind.AUTHORIZE, Outcome.SUCCEEDED, operation_id, _minor(intent, "amount"), str(intent["id"]))
    match kind:
        case "payment_intent.succeeded":
            return (authorized, _capture(intent, ""))
        case "payment_intent.canceled":
            return (_void(intent, ""),)
        case "payment_intent.amount_capturable_updated":
            return (authorized,)
        case "payment_intent.requires_action" | "payment_intent.payment_failed":
            return (_authorization(intent, operation_id),)
    return ()


def _plain(answer: Any) -> Mapping[str, Any]:
    plain: Mapping[str, Any] = answer.to_dict()
    return plain


def _minor(of: Mapping[str, Any], field: str) -> int:
    currency = str(of["currency"]).upper()
    return int(of[field]) * _MINOR_PER_STRIPE.get(currency, 1) // _STRIPE_PER_MINOR.get(currency, 1)


def _to_stripe(currency: str, amount_minor: int) -> int:
    return amount_minor * _STRIPE_PER_MINOR.get(currency, 1) // _MINOR_PER_STRIPE.get(currency, 1)
