"""A decision as Envoy passes it on: headers for the solution, or a refusal in the caller's language."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from envoy.config.core.v3 import base_pb2 as core
from envoy.service.auth.v3 import external_auth_pb2 as auth
from google.rpc import code_pb2

from center_sdk import answers, state
from center_sdk.decision import Code, Decision
from edge.xds.refusals import BRAND, SAFE_HEADERS, Link, Refusal, document, page

_NEW_TOKEN = "your browser has a token that does not hold; register again, and it gets a new one"
_WORDS: dict[Code, tuple[str, str]] = {
    Code.TOKEN_MISSING: ("Register to go on", "this needs a token; whoever registers gets one"),
    Code.TOKEN_MALFORMED: ("Who are you?", _NEW_TOKEN),
    Code.TOKEN_FOREIGN: ("Who are you?", _NEW_TOKEN),
    Code.TOKEN_UNKNOWN: ("Who are you?", _NEW_TOKEN),
    Code.TOKEN_EXPIRED: ("Register again", "your token has expired; register again, and you get a new one"),
    Code.TOKEN_REVOKED: ("Register again", "your token was revoked; register again, and you get a new one"),
    Code.SOLUTION_MISMATCH: ("Not for this", "your token is for another application; register for this one"),
    Code.SOLUTION_UNKNOWN: ("Nothing here", "there is no such application in the marketplace"),
    Code.ENTITLEMENT_SUSPENDED: ("On hold", "your access is suspended"),
    Code.ENTITLEMENT_CANCELLED: ("It is over", "your access was cancelled"),
    Code.ACTION_NOT_ALLOWED: ("Not in your plan", "what you have does not include this; an upgrade may"),
    Code.RATE_LIMITED: ("Slowly", "too many requests at once; wait a moment"),
    Code.QUOTA_EXHAUSTED: ("That was all for now", "your quota is used up; an upgrade has more"),
    Code.ANONYMOUS_EXHAUSTED: ("Register to go on", "that was all without an account; whoever registers gets more"),
    Code.STALE: ("Nobody can say yes", "whether this request is allowed cannot be told for now; try again in a moment"),
    Code.LOG_FULL: ("Nobody can say yes", "requests cannot be recorded for now; try again in a moment"),
}
_EXPOSED = ", ".join(answers.HEADERS)
# After these a new registration helps.
_REGISTER = frozenset(
    {
        Code.TOKEN_MISSING,
        Code.TOKEN_MALFORMED,
        Code.TOKEN_FOREIGN,
        Code.TOKEN_UNKNOWN,
        Code.TOKEN_EXPIRED,
        Code.TOKEN_REVOKED,
        Code.SOLUTION_MISMATCH,
        Code.ANONYMOUS_EXHAUSTED,
    }
)
_GRPC = {
    401: code_pb2.UNAUTHENTICATED,
    403: code_pb2.PERMISSION_DENIED,
    429: code_pb2.RESOURCE_EXHAUSTED,
    503: code_pb2.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked: an action of a solution, by somebody who may want a page."""

    solution_id: str
    action: str
    wants_page: bool = False
    # As it is known to people; empty if it is not.
    solution_name: str = ""
    # What a registration that begins on the page is tied to the browser by.
    state: str = ""


def allowed(decision: Decision, asked: Asked, now_s: float) -> auth.CheckResponse:
    """The solution learns who it is and what is left; so does the caller, in the RateLimit headers."""
    told = {
        "x-center-code": decision.code.name,
        "x-center-decision-id": decision.decision_id,
        "x-center-user-id": decision.user_id,
        "x-center-tier": decision.tier,
        "x-center-quota-remaining": "" if decision.remaining is None else str(decision.remaining),
    }
    response = auth.CheckResponse()
    response.status.code = code_pb2.OK
    # What a client sent under these names went with everything else of x-center- before this was asked.
    response.ok_response.headers.extend(_headers((name, value) for name, value in told.items() if value))
    limits = answers.http_headers(decision, asked.action, now_s)
    response.ok_response.response_headers_to_add.extend(_headers(limits))
    if limits:
        # Beside what the solution exposes itself. Whose pages may read its answers is the solution's to say.
        exposed = core.HeaderValue(key="access-control-expose-headers", value=_EXPOSED)
        appended = core.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
        response.ok_response.response_headers_to_add.add(header=exposed, append_action=appended)
    return response


def refused(decision: Decision, asked: Asked, now_s: float, register_url: str) -> auth.CheckResponse:
    status = answers.http_status(decision)
    title, message = _WORDS.get(decision.code, ("Not allowed", "this is not allowed"))
    retry_s = answers.retry_after_s(decision, now_s)
    refusal = Refusal(
        status, _GRPC[status], decision.code.name, title, message, None if retry_s is None else max(1, round(retry_s))
    )
    link = _link(decision, asked, register_url)
    response = auth.CheckResponse()
    response.status.code = refusal.code
    denied = response.denied_response
    denied.status.code = status
    headers = [*answers.http_headers(decision, asked.action, now_s), *SAFE_HEADERS]
    if asked.wants_page:
        denied.body = page(title, message, asked.solution_name or BRAND, link=link)
        headers.append(("content-type", "text/html; charset=utf-8"))
        if decision.code in _REGISTER and asked.state:
            headers.append(("set-cookie", _cookie(asked.state, is_tls=register_url.startswith("https:"))))
    else:
        metadata = {"solution": asked.solution_id, "action": asked.action, "decision_id": decision.decision_id}
        metadata |= {"tier": decision.tier} if decision.tier else {}
        metadata |= {f"{link.key}_url": link.href} if link is not None else {}
        denied.body = document(refusal, message, metadata)
        # A page of another site may call with a token; its script is to read why it was refused.
        headers += [
            ("content-type", "application/json"),
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", _EXPOSED),
        ]
    denied.headers.extend(_headers(headers))
    return response


def _link(decision: Decision, asked: Asked, register_url: str) -> Link | None:
    if decision.code in _REGISTER:
        told = {"solution_id": asked.solution_id} | ({"state": asked.state} if asked.state else {})
        return Link("register", f"{register_url}?{urlencode(told)}", "Register")
    if decision.upgrade_url:
        return Link("upgrade", decision.upgrade_url, "Upgrade")
    return None


def _cookie(begun: str, is_tls: bool) -> str:
    """The page stands under the solution's name, so the solution finds the cookie when the registration comes back."""
    secure = "; Secure" if is_tls else ""
    return f"{state.COOKIE}={begun}; Max-Age={state.LIFE_S}; Path=/; HttpOnly; SameSite=Lax{secure}"


def _headers(pairs: Iterable[tuple[str, str]]) -> list[core.HeaderValueOption]:
    """Overwritten, never appended."""
    return [
        core.HeaderValueOption(
            header=core.HeaderValue(key=name, value=value),
            append_action=core.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
        )
        for name, value in pairs
    ]
