"""The simulated provider's HTTP server: Stripe's API as far as it is used, a page to confirm a payment on, and what
tests and operators tell it."""

import asyncio
import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from shared.payments.simulator.books import Account, Books, Object, Refusal
from shared.payments.simulator.faults import CONFIRMED, DECLINED, Fault, Script
from shared.payments.simulator.webhooks import Webhooks

# Longer than the deadline of whoever calls.
TIMEOUT_S = 12.0

_SEARCH = re.compile(r"metadata\['([\w]+)'\]:'([\w-]+)'")
_NESTED = re.compile(r"(\w+)\[(\w+)\]")
_SERVER_ERROR = {"error": {"type": "api_error", "message": "An error occurred while processing your request."}}

# Does it; answers with the thing and what to tell of it: (event type, thing as it is then).
Told = list[tuple[str, Object]]
Work = Callable[[Account, Object, frozenset[Fault]], tuple[Object, Told]]


class Dropped(Response):
    """The connection ends in the middle of the answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


class Simulator:
    """timeout_s: how long a call takes that is to time out."""

    def __init__(self, books: Books, webhooks: Webhooks, *, timeout_s: float = TIMEOUT_S) -> None:
        self.books = books
        self.script = Script()
        self.webhooks = webhooks
        self._timeout_s = timeout_s
        self._running: set[tuple[str, str]] = set()

    def application(self) -> Starlette:
        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            await self.webhooks.close()

        intents = "/v1/payment_intents"
        return Starlette(
            routes=[
                Route(intents, self._calling("authorize", self._authorize), methods=["POST"]),
                Route(f"{intents}/search", self._search),
                Route(f"{intents}/{{id}}", self._intent),
                Route(f"{intents}/{{id}}/capture", self._calling("capture", _capture), methods=["POST"]),
                Route(f"{intents}/{{id}}/cancel", self._calling("cancel", _cancel), methods=["POST"]),
                Route("/v1/refunds", self._refunds, methods=["GET"]),
                Route("/v1/refunds", self._calling("refund", _refund), methods=["POST"]),
                Route("/v1/webhook_endpoints", self._calling("endpoint", _endpoint), methods=["POST"]),
                Route("/3ds/{id}", self._page, methods=["GET"]),
                Route("/3ds/{id}", self._confirmed, methods=["POST"]),
                Route("/simulator/faults", self._faults, methods=["POST"]),
                Route("/simulator/books", self._shown),
                Route("/simulator/intents/{id}/expire", self._expire, methods=["POST"]),
                Route("/simulator/refunds/{id}/fail", self._fail_refund, methods=["POST"]),
                Route("/healthz", _healthy),
            ],
            exception_handlers={Refusal: _refused, HTTPException: _no_such},
            lifespan=lifespan,
        )

    def _calling(self, call: str, work: Work) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            account = self._account(request)
            form = _form(await request.body()) | {"_id": request.path_params.get("id"), "_base": str(request.base_url)}
            faults = self.script.next(account.key, call)
            if Fault.DROP_BEFORE in faults:
                return Dropped()
            key = request.headers.get("idempotency-key", "")
            fingerprint = repr((request.url.path, sorted((k, v) for k, v in form.items() if k != "_base")))
            if (before := account.answered.get(key)) is not None:
                if before["fingerprint"] != fingerprint:
                    raise Refusal(400, "idempotency_error", "", "Keys for idempotent requests can only be used once.")
                status, body = before["status"], before["body"]
            else:
                status, body = await self._once(account, key, fingerprint, form, faults, work)
            if Fault.DROP_AFTER in faults:
                return Dropped()
            return JSONResponse(body, status)

        return answer

    async def _once(
        self, account: Account, key: str, fingerprint: str, form: Object, faults: frozenset[Fault], work: Work
    ) -> tuple[int, Object]:
        """Does what was asked, under its key, and tells of it."""
        if (account.key, key) in self._running:
            raise Refusal(409, "idempotency_error", "idempotency_key_in_use", "Another request with this key runs.")
        told: Told = []
        status, body = 500, _SERVER_ERROR
        if key:
            self._running.add((account.key, key))
        try:
            if Fault.ERROR_BEFORE not in faults:
                try:
                    body, told = work(account, form, faults)
                    status = 200
                except Refusal as refusal:
                    status, body = refusal.status, refusal.body
                    told = refusal.told if isinstance(refusal, _Declined) else []
                if Fault.ERROR_AFTER in faults:
                    status, body = 500, _SERVER_ERROR
            # What is wrong by itself is not kept (docs.stripe.com/api/idempotent_requests).
            if key and "param" not in body.get("error", {}):
                account.keep(
                    {"object": "answer", "id": key, "fingerprint": fingerprint, "status": status, "body": body}
                )
            if Fault.EARLY_WEBHOOK in faults:
                tasks = [task for type, about in told for task in self.webhooks.tasks(account, type, about, faults)]
                await asyncio.gather(*tasks)
            else:
                for type, about in told:
                    self.webhooks.send(account, type, about, faults)
            if Fault.TIMEOUT in faults:
                await asyncio.sleep(self._timeout_s)
        finally:
            self._running.discard((account.key, key))
        return status, body

    def _authorize(self, account: Account, form: Object, faults: frozenset[Fault]) -> tuple[Object, Told]:
        intent = account.create_intent(form)
        card = form.get("payment_method")
        if card in DECLINED or Fault.DECLINE in faults:
            code, decline_code = DECLINED.get(card or "", ("card_declined", "generic_decline"))
            intent = account.decline(intent, code, decline_code)
            raise _Declined(intent, [("payment_intent.payment_failed", intent)])
        if card in CONFIRMED or Fault.THREE_D_SECURE in faults:
            intent = account.require_action(intent, f"{form['_base']}3ds/{intent['id']}", form.get("return_url"))
            return intent, [("payment_intent.requires_action", intent)]
        created = dict(intent)
        intent = account.hold(intent)
        return intent, [("payment_intent.created", created), ("payment_intent.amount_capturable_updated", intent)]

    async def _intent(self, request: Request) -> Response:
        return JSONResponse(self._account(request).intent(request.path_params["id"]))

    async def _search(self, request: Request) -> Response:
        found = _SEARCH.fullmatch(request.query_params.get("query", ""))
        if found is None:
            raise Refusal(400, "invalid_request_error", "", "We were unable to parse your search query.", param="query")
        intents = self._account(request).with_metadata(found[1], found[2])
        return JSONResponse({"object": "search_result", "data": intents, "has_more": False, "url": request.url.path})

    async def _refunds(self, request: Request) -> Response:
        refunds = self._account(request).refunds_of(request.query_params.get("payment_intent", ""))
        return JSONResponse({"object": "list", "data": refunds, "has_more": False, "url": request.url.path})

    async def _page(self, request: Request) -> Response:
        _, intent = self._found(request)
        amount = html.escape(f"{intent['amount']} {intent['currency'].upper()}")
        return HTMLResponse(
            "<!doctype html><title>Confirm a payment</title><h1>Confirm a payment</h1>"
            f"<p>Your bank asks whether you pay {amount} (in the smallest unit).</p>"
            '<form method="post"><button name="answer" value="confirm">Confirm</button> '
            '<button name="answer" value="refuse">Refuse</button></form>'
        )

    async def _confirmed(self, request: Request) -> Response:
        account, intent = self._found(request)
        if intent["status"] != "requires_action":
            return HTMLResponse("<!doctype html><title>Too late</title><p>There is nothing to confirm.</p>", 409)
        back = intent["next_action"]["redirect_to_url"]["return_url"]
        if _form(await request.body()).get("answer") == "confirm":
            self.webhooks.send(account, "payment_intent.amount_capturable_updated", account.hold(intent))
        else:
            declined = account.decline(intent, "payment_intent_authentication_failure", None)
            self.webhooks.send(account, "payment_intent.payment_failed", declined)
        if back:
            return RedirectResponse(back, 303)
        return HTMLResponse("<!doctype html><title>Thank you</title><p>Your bank has your answer.</p>")

    async def _faults(self, request: Request) -> Response:
        """{"account": KEY, "call": "capture", "faults": ["TIMEOUT"], "times": 1}; no call is any, no faults clears."""
        wanted: Any = await request.json()
        try:
            faults = frozenset(Fault(name) for name in wanted.get("faults", ()))
            if faults:
                self.script.add(wanted["account"], wanted.get("call", ""), faults, int(wanted.get("times", 1)))
            else:
                self.script.clear(wanted["account"])
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise Refusal(400, "invalid_request_error", "", f"no script: {problem}") from None
        return JSONResponse({})

    async def _shown(self, request: Request) -> Response:
        account = self.books.account(request.query_params.get("account", ""))
        return JSONResponse({"intents": list(account.intents.values()), "refunds": list(account.refunds.values())})

    async def _expire(self, request: Request) -> Response:
        """What is held is released, as it is after a week."""
        account, intent = self._found(request)
        canceled = account.cancel(intent["id"])
        self.webhooks.send(account, "payment_intent.canceled", canceled)
        return JSONResponse(canceled)

    async def _fail_refund(self, request: Request) -> Response:
        for account in self.books:
            if request.path_params["id"] in account.refunds:
                failed = account.fail_refund(request.path_params["id"])
                self.webhooks.send(account, "refund.failed", failed)
                return JSONResponse(failed)
        raise Refusal(404, "invalid_request_error", "resource_missing", "No such refund")

    def _account(self, request: Request) -> Account:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not key.startswith("sk_test_"):
            raise Refusal(401, "invalid_request_error", "", "Invalid API Key provided")
        return self.books.account(key)

    def _found(self, request: Request) -> tuple[Account, Object]:
        for account in self.books:
            if request.path_params["id"] in account.intents:
                return account, account.intent(request.path_params["id"])
        raise Refusal(404, "invalid_request_error", "resource_missing", "No such payment_intent")


class _Declined(Refusal):
    def __init__(self, intent: Object, told: Told) -> None:
        error = intent["last_payment_error"]
        more = {"decline_code": error["decline_code"], "payment_intent": intent}
        super().__init__(402, "card_error", error["code"], error["message"], **more)
        self.told = told


def _capture(account: Account, form: Object, faults: frozenset[Fault]) -> tuple[Object, Told]:
    if Fault.DECLINE in faults:
        raise Refusal(402, "card_error", "card_declined", "Your card was declined.", decline_code="generic_decline")
    intent = account.capture(form["_id"], form)
    return intent, [("payment_intent.succeeded", intent)]


def _cancel(account: Account, form: Object, faults: frozenset[Fault]) -> tuple[Object, Told]:
    intent = account.cancel(form["_id"])
    return intent, [("payment_intent.canceled", intent)]


def _refund(account: Account, form: Object, faults: frozenset[Fault]) -> tuple[Object, Told]:
    if Fault.DECLINE in faults:
        raise Refusal(400, "invalid_request_error", "insufficient_balance", "Insufficient funds in your account.")
    refund = account.refund(form)
    return refund, [("refund.created", refund)]


def _endpoint(account: Account, form: Object, faults: frozenset[Fault]) -> tuple[Object, Told]:
    return account.add_endpoint(str(form["url"])), []


def _form(body: bytes) -> Object:
    """a=1&metadata[b]=2 as {"a": "1", "metadata": {"b": "2"}}."""
    form: Object = {}
    for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
        if (nested := _NESTED.fullmatch(name)) is not None:
            form.setdefault(nested[1], {})[nested[2]] = value
        else:
            form[name] = value
    return form


async def _healthy(_: Request) -> Response:
    return JSONResponse({})


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return JSONResponse(error.body, error.status)


async def _no_such(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"error": {"type": "invalid_request_error", "message": "Unrecognized request URL"}}
    return JSONResponse(body, error.status_code)
