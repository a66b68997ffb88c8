"""COMPOSITION ROOT of the example solution: a search box, its results, and the way back from registration.

Envoy has validated `GET /search` before it comes here (ext_authz) and says in x-center-* headers what it decided.
`export` is validated here, in-process, by the SDK.
"""

import csv
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from center_sdk import AsyncValidator, CenterError, Code, CodeInvalid, Credentials, Decision, answers, state
from center_sdk.asgi import COOKIE, token_of
from shared.runtime import pki
from shared.samples import retail
from shared.samples.search import pages, registration
from shared.samples.search.config import Config
from shared.samples.search.index import Index

# As long as browsers keep a cookie at most; the token itself is permanent.
_COOKIE_S = 400 * 24 * 3600
_EXPORTED = 1000


def application(config: Config) -> Starlette:
    """Serves as soon as the control plane has told what tiers there are."""
    index = Index(retail.catalogue(retail.read(config.catalogue)).products)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        name = f"solution/{registration.ID}"
        credentials = Credentials.certificate(
            ca=pki.ca_path(config.home),
            certificate=pki.cert_path(config.home, name),
            key=pki.key_path(config.home, name),
        )
        journal = config.home / "solutions" / f"{registration.ID}.journal"
        journal.parent.mkdir(parents=True, exist_ok=True)
        async with await AsyncValidator.connect(
            config.control_address, registration.ID, credentials, journal=journal, instance=_instance(journal)
        ) as validator:
            app.state.solution = _Solution(config, index, validator)
            yield

    routes = [
        Route("/", _home),
        Route("/search", _search),
        Route("/export", _export),
        Route("/register", _register),
        Route("/callback", _callback),
        Route("/upgrade", _upgrade),
        Route("/forget", _forget, methods=["POST"]),
        Route("/healthz", _healthz),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _instance(journal: Path) -> str:
    return f"{journal.stem}-1"


class _Solution:
    """What every request needs."""

    def __init__(self, config: Config, index: Index, validator: AsyncValidator) -> None:
        self.config = config
        self.index = index
        self.validator = validator


def _of(request: Request) -> _Solution:
    found = request.app.state.solution
    assert isinstance(found, _Solution)
    return found


async def _home(request: Request) -> Response:
    solution, token = _of(request), token_of(request.scope)
    tier, remaining = "", ""
    if token:
        seen = await solution.validator.peek(token, "search")
        tier, remaining = seen.tier, "" if seen.remaining is None else str(seen.remaining)
    return HTMLResponse(
        pages.search(
            "",
            None,
            tier=tier,
            remaining=remaining,
            is_registered=bool(tier),
        )
    )


async def _search(request: Request) -> Response:
    """Envoy lets nobody through to here whose request was not validated and paid for."""
    solution, told = _of(request), request.headers
    query = request.query_params.get("q", "")
    found = solution.index.search(query)
    tier, remaining = told.get("x-center-tier", ""), told.get("x-center-quota-remaining", "")
    if "text/html" not in told.get("accept", ""):
        products = [
            {"sku": p.sku, "title": p.title, "price_minor": p.price_minor, "currency": p.currency} for p in found
        ]
        return JSONResponse(
            {"products": products, "quota_remaining": int(remaining) if remaining else None, "tier": tier}
        )
    return HTMLResponse(
        pages.search(
            query,
            found,
            tier=tier,
            remaining=remaining,
            is_registered=bool(told.get("x-center-user-id")),
        )
    )


async def _export(request: Request) -> Response:
    solution = _of(request)
    decision = await solution.validator.validate(token_of(request.scope), "export")
    headers = dict(answers.http_headers(decision, "export", solution.validator.now()))
    if not decision.allowed:
        return _refusal(request, decision, headers)
    query = request.query_params.get("q", "")
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("sku", "title", "price_minor", "currency"))
    for product in solution.index.search(query, _EXPORTED):
        rows.writerow((product.sku, product.title, product.price_minor, product.currency))
    headers["content-disposition"] = 'attachment; filename="products.csv"'
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


def _refusal(request: Request, decision: Decision, headers: dict[str, str]) -> Response:
    status = answers.http_status(decision)
    if "text/html" not in request.headers.get("accept", ""):
        return Response(answers.problem(decision), status, headers, media_type=answers.PROBLEM)
    links = [("again", "/", "Back")]
    if not decision.token_kid:
        links.insert(0, ("register", "/register", "Register"))
    elif decision.upgrade_url:
        links.insert(0, ("upgrade", decision.upgrade_url, "Upgrade"))
    title = "The exports of today are used up" if decision.code is Code.QUOTA_EXHAUSTED else "No export"
    text = f"Exports are not possible for you at the moment ({decision.code.name.lower().replace('_', ' ')})."
    return HTMLResponse(pages.prompt(title, text, links), status, headers)


async def _register(request: Request) -> Response:
    """To the platform's page, with what the way back has to bring along."""
    begun = state.kept(request.cookies.get(state.COOKIE, ""))
    where = f"{_of(request).config.register_url}&{urlencode({'state': begun})}"
    answer = RedirectResponse(where, 303, {"cache-control": "no-store"})
    secure = _needs_tls(request)
    answer.set_cookie(state.COOKIE, begun, max_age=state.LIFE_S, path="/", secure=secure, httponly=True, samesite="lax")
    return answer


async def _callback(request: Request) -> Response:
    """Where registration sends the browser back to, with a code that is good once and for a minute."""
    solution = _of(request)
    if not state.holds(request.cookies.get(state.COOKIE, ""), request.query_params.get("state", "")):
        # Somebody else's code would make this browser search, and be seen, in their name.
        text = "You are registered. To be known in this browser, begin here and open the link of the mail here, too."
        links = [("register", "/register", "Register in this browser")]
        return HTMLResponse(pages.prompt("This did not begin in this browser", text, links), 403)
    try:
        exchanged = await solution.validator.exchange_code(request.query_params.get("code", ""))
    except CodeInvalid:
        links = [("register", "/register", "Register again")]
        return HTMLResponse(pages.prompt("The link was used or is too old", "Links work once.", links), 400)
    except CenterError as error:
        wait = {"retry-after": "2"}
        return HTMLResponse(pages.prompt("Not just now", error.message, [("again", "/", "Back")]), 503, wait)
    answer = RedirectResponse("/", 303, {"cache-control": "no-store", "referrer-policy": "no-referrer"})
    # A cookie, not localStorage as in the specification: no script can read it, and the browser shows it to Envoy with
    # the very first request of a page. Lax keeps other sites from spending a user's quota by forms.
    answer.set_cookie(
        COOKIE, exchanged.token, max_age=_COOKIE_S, path="/", secure=_needs_tls(request), httponly=True, samesite="lax"
    )
    answer.delete_cookie(state.COOKIE, path="/", httponly=True, samesite="lax")
    return answer


def _needs_tls(request: Request) -> bool:
    """Everywhere but on this very machine, where curl and some browsers keep no Secure cookie of plain HTTP."""
    host = (request.url.hostname or "").rstrip(".")
    is_local = host == "localhost" or host.endswith(".localhost") or host == "127.0.0.1"
    return not is_local or request.headers.get("x-forwarded-proto") == "https"


async def _upgrade(request: Request) -> Response:
    text = "Pro has 10,000 searches a day, and exports without limit. The shop switches you over; it works at once."
    return HTMLResponse(pages.prompt("Upgrade to Pro", text, [("again", "/", "Back to the search")]))


async def _forget(request: Request) -> Response:
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return answer


async def _healthz(request: Request) -> Response:
    return Response("ok", media_type="text/plain")
