"""What the simulated provider knows: accounts, what was really charged in each, and what it answered under which key.

Nothing here comes from the platform's own ledger, which tests compare with it.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Object = dict[str, Any]
Now = Callable[[], float]

_SCHEMA = "CREATE TABLE IF NOT EXISTS objects (account TEXT, id TEXT, object TEXT, PRIMARY KEY (account, id))"


class Refusal(Exception):
    """An error as Stripe writes it."""

    def __init__(self, status: int, type: str, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": type, "code": code, "message": message, **more}}


class Account:
    """One secret key's part of the books. It is the only one that changes them."""

    def __init__(self, key: str, keep: Callable[[str, Object], None], now: Now) -> None:
        self.key = key
        self._keep = keep
        self._now = now
        self.intents: dict[str, Object] = {}
        self.refunds: dict[str, Object] = {}
        self.endpoints: dict[str, Object] = {}
        # Idempotency key -> the call and its answer; no answer while the call runs.
        self.answered: dict[str, Object] = {}

    def create_intent(self, form: Object) -> Object:
        amount = _positive(form, "amount")
        intent = {
            "id": _id("pi"),
            "object": "payment_intent",
            "amount": amount,
            "amount_capturable": 0,
            "amount_received": 0,
            "capture_method": form.get("capture_method", "automatic"),
            "currency": form["currency"],
            "created": int(self._now()),
            "metadata": form.get("metadata", {}),
            "payment_method": form.get("payment_method"),
            "status": "requires_confirmation",
            "next_action": None,
            "last_payment_error": None,
        }
        return self.keep(intent)

    def hold(self, intent: Object) -> Object:
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"], "next_action": None}
        return self.keep(intent)

    def require_action(self, intent: Object, url: str, return_url: str | None) -> Object:
        redirect = {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": return_url}}
        return self.keep(intent | {"status": "requires_action", "next_action": redirect})

    def decline(self, intent: Object, code: str, decline_code: str | None) -> Object:
        error = {"type": "card_error", "code": code, "decline_code": decline_code, "message": "Your card was declined."}
        return self.keep(
            intent | {"status": "requires_payment_method", "last_payment_error": error, "next_action": None}
        )

    def capture(self, intent_id: str, form: Object) -> Object:
        intent = self.intent(intent_id)
        if intent["status"] != "requires_capture":
            raise _unexpected("capture", intent)
        minor = _positive(form, "amount_to_capture") if "amount_to_capture" in form else intent["amount_capturable"]
        if minor > intent["amount_capturable"]:
            raise _invalid("amount_too_large", "more than is held")
        return self.keep(intent | {"status": "succeeded", "amount_received": minor, "amount_capturable": 0})

    def cancel(self, intent_id: str) -> Object:
        intent = self.intent(intent_id)
        if intent["status"] in ("succeeded", "canceled"):
            raise _unexpected("cancel", intent)
        return self.keep(intent | {"status": "canceled", "amount_capturable": 0, "next_action": None})

    def refund(self, form: Object) -> Object:
        intent = self.intent(str(form.get("payment_intent")))
        left = intent["amount_received"] - self.refunded(intent["id"])
        minor = _positive(form, "amount") if "amount" in form else left
        if minor > left:
            code = "charge_already_refunded" if left == 0 else "amount_too_large"
            raise _invalid(code, "more than is left of the charge")
        refund = {
            "id": _id("re"),
            "object": "refund",
            "amount": minor,
            "currency": intent["currency"],
            "created": int(self._now()),
            "metadata": form.get("metadata", {}),
            "payment_intent": intent["id"],
            "status": "succeeded",
        }
        return self.keep(refund)

    def fail_refund(self, refund_id: str) -> Object:
        """The payer's bank sends it back."""
        return self.keep(self.refunds[refund_id] | {"status": "failed", "failure_reason": "lost_or_stolen_card"})

    def refunded(self, intent_id: str) -> int:
        return sum(
            r["amount"] for r in self.refunds.values() if r["payment_intent"] == intent_id and r["status"] != "failed"
        )

    def intent(self, intent_id: str) -> Object:
        if (intent := self.intents.get(intent_id)) is None:
            raise Refusal(404, "invalid_request_error", "resource_missing", f"No such payment_intent: {intent_id}")
        return dict(intent)

    def with_metadata(self, name: str, value: str) -> list[Object]:
        return [intent for intent in self.intents.values() if intent["metadata"].get(name) == value]

    def refunds_of(self, intent_id: str) -> list[Object]:
        return [refund for refund in self.refunds.values() if refund["payment_intent"] == intent_id]

    def add_endpoint(self, url: str) -> Object:
        endpoint = {
            "id": _id("we"),
            "object": "webhook_endpoint",
            "url": url,
            "secret": f"whsec_{secrets.token_hex(16)}",
            "status": "enabled",
        }
        return self.keep(endpoint)

    def keep(self, thing: Object) -> Object:
        self.place(thing)
        self._keep(self.key, thing)
        return dict(thing)

    def place(self, thing: Object) -> None:
        of = {
            "payment_intent": self.intents,
            "refund": self.refunds,
            "webhook_endpoint": self.endpoints,
            "answer": self.answered,
        }
        of[thing["object"]][thing["id"]] = thing


class Books:
    """All accounts. path: a file that outlives the process; none for tests."""

    def __init__(self, path: Path | None = None, now: Now = time.time) -> None:
        self._now = now
        self._accounts: dict[str, Account] = {}
        self._file = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute(_SCHEMA)
        for account, thing in self._file.execute("SELECT account, object FROM objects ORDER BY rowid"):
            self.account(account).place(json.loads(thing))

    def close(self) -> None:
        self._file.close()

    def account(self, key: str) -> Account:
        """The account of a secret key: a new key opens one."""
        if key not in self._accounts:
            self._accounts[key] = Account(key, self._keep, self._now)
        return self._accounts[key]

    def __iter__(self) -> Iterator[Account]:
        return iter(list(self._accounts.values()))

    def _keep(self, account: str, thing: Object) -> None:
        self._file.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (account, thing["id"], json.dumps(thing)))


def _id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def _positive(form: Object, name: str) -> int:
    text = str(form.get(name, ""))
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 99_999_999:
        raise Refusal(400, "invalid_request_error", "parameter_invalid_integer", f"Invalid {name}", param=name)
    return int(text)


def _invalid(code: str, message: str) -> Refusal:
    return Refusal(400, "invalid_request_error", code, message)


def _unexpected(verb: str, intent: Object) -> Refusal:
    message = f"This PaymentIntent's status is {intent['status']}: you cannot {verb} it."
    return Refusal(
        400, "invalid_request_error", "payment_intent_unexpected_state", message, payment_intent=intent
    )  # fmt: skip
