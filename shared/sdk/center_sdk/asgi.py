"""Validates the requests of an ASGI application before it sees them."""

from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from center_sdk import answers
from center_sdk.aio import AsyncValidator
from center_sdk.decision import Decision

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "center_token"
# RFC 6455, 7.4.1: policy violation. Before the handshake servers turn it into 403.
_POLICY_VIOLATION = 1008


@dataclass(frozen=True, slots=True)
class Rule:
    """What a request is: the first rule that fits counts, and a request that none fits is not validated.

    action: what to validate; empty lets the request through.
    methods: empty fits every method; a websocket is a GET, and so is a HEAD.
    """

    action: str
    path_prefix: str = "/"
    methods: Collection[str] = ()
    cost: int = 1


class AccessMiddleware:
    """Puts the decision into scope["center"]; answers 401, 403, 429 or 503 itself when it is a refusal.

    rules: what requests are, or a function that says so of a scope.
    token: where the token of a scope is; by default in `authorization: Bearer` or else in the cookie `cookie`.
    anonymous_id: tells callers without a token apart; by default they are one.
    """

    def __init__(
        self,
        app: App,
        validator: AsyncValidator,
        rules: Sequence[Rule] | Callable[[Scope], Rule | None],
        *,
        token: Callable[[Scope], str] | None = None,
        anonymous_id: Callable[[Scope], str] | None = None,
        cookie: str = COOKIE,
        solution_id: str = "",
    ) -> None:
        self._app = app
        self._validator = validator
        self._rule = rules if callable(rules) else lambda scope: first(rules, scope)
        self._token = token or (lambda scope: token_of(scope, cookie))
        self._anonymous_id = anonymous_id or (lambda scope: "")
        self._solution_id = solution_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rule = self._rule(scope) if scope["type"] in ("http", "websocket") else None
        if rule is None or not rule.action:
            await self._app(scope, receive, send)
            return
        decision = await self._validator.validate(
            self._token(scope),
            rule.action,
            cost=rule.cost,
            anonymous_id=self._anonymous_id(scope),
            solution_id=self._solution_id,
        )
        scope["center"] = decision
        told = answers.http_headers(decision, rule.action, self._validator.now())
        headers = [(name.encode(), value.encode()) for name, value in told]
        if not decision.allowed:
            await _refuse(scope, receive, send, decision, headers)
            return

        async def sending(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await self._app(scope, receive, sending)


async def _refuse(
    scope: Scope, receive: Receive, send: Send, decision: Decision, headers: list[tuple[bytes, bytes]]
) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": decision.code.name})
        return
    body = answers.problem(decision)
    own = [(b"content-type", answers.PROBLEM.encode()), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": answers.http_status(decision), "headers": [*own, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def first(rules: Sequence[Rule], scope: Scope) -> Rule | None:
    """The first rule that fits."""
    method, path = scope.get("method", "GET"), scope["path"]
    # Frameworks answer HEAD wherever they answer GET, and do the same work for it.
    method = "GET" if method == "HEAD" else method
    for rule in rules:
        if path.startswith(rule.path_prefix) and (not rule.methods or method in rule.methods):
            return rule
    return None


def token_of(scope: Scope, cookie: str = COOKIE) -> str:
    """The token of `authorization: Bearer`, else of the cookie; empty where there is neither."""
    kept = ""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer":
                return str(token.strip())
        elif name == b"cookie" and not kept:
            kept = _of_cookie(value.decode("latin-1"), cookie)
    return kept


def _of_cookie(header: str, name: str) -> str:
    # Not SimpleCookie: one cookie of somebody else's that it cannot read hides all that follow.
    for pair in header.split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value.strip('"')
    return ""
