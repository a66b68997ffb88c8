"""envoy.service.auth.v3.Authorization: Envoy asks whether a request to a solution may pass."""

import hmac
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Protocol

from envoy.service.auth.v3 import external_auth_pb2 as auth
from prometheus_client import Counter

from center_sdk import state
from center_sdk.decision import Decision
from edge.authz import answers
from edge.authz.answers import Asked
from edge.xds.translate import ACTION_KEY, COST_KEY, SOLUTION_KEY
from shared.runtime.errors import InvalidArgument

SERVICE = auth.DESCRIPTOR.services_by_name["Authorization"]

# The same name as the SDK's middlewares read.
COOKIE = "center_token"
_MOST_TOKEN_CHARS = 512

_decisions = Counter("center_edge_decisions_total", "Requests to solutions that Envoy asked about.", ["code"])


class Validator(Protocol):
    """What decides: center_sdk's own, over all solutions."""

    async def validate(
        self, token: str, action: str, *, cost: int = 1, anonymous_id: str = "", solution_id: str = ""
    ) -> Decision: ...

    def now(self) -> float: ...


class Authorization:
    """name_of: a solution as people know it; client_key: without it nobody can tell whose an anonymous id is."""

    def __init__(
        self, validator: Validator, register_url: str, client_key: bytes, name_of: Callable[[str], str]
    ) -> None:
        self._validator = validator
        self._register_url = register_url
        self._client_key = client_key
        self._name_of = name_of

    async def Check(self, request: auth.CheckRequest, context: Any) -> auth.CheckResponse:
        attributes = request.attributes
        route = attributes.context_extensions
        if not route[SOLUTION_KEY] or not route[ACTION_KEY] or not route[COST_KEY].isdecimal():
            # Envoy refuses what it has no answer to.
            why = "the route says neither solution nor action"
            raise InvalidArgument("ROUTE_SAYS_NOTHING", why, fields={"attributes.context_extensions": why})
        solution_id, action = route[SOLUTION_KEY], route[ACTION_KEY]
        headers = attributes.request.http.headers
        token = token_of(headers)
        decision = await self._validator.validate(
            token,
            action,
            cost=int(route[COST_KEY]),
            anonymous_id=""
            if token
            else self.anonymous_id(solution_id, attributes.source.address.socket_address.address),
            solution_id=solution_id,
        )
        _decisions.labels(decision.code.name).inc()
        wants_page = "text/html" in headers.get("accept", "")
        begun = state.kept(cookie_of(headers, state.COOKIE)) if wants_page else ""
        asked = Asked(solution_id, action, wants_page, self._name_of(solution_id), begun)
        now_s = self._validator.now()
        if decision.allowed:
            return answers.allowed(decision, asked, now_s)
        return answers.refused(decision, asked, now_s, self._register_url)

    def anonymous_id(self, solution_id: str, address: str) -> str:
        """A keyed hash of who asks; of IPv6 the network counts, since everyone in it has addresses without number."""
        try:
            if (parsed := ip_address(address)).version == 6:
                address = str(ip_network((parsed, 64), strict=False))
        except ValueError:
            pass
        return hmac.digest(self._client_key, f"{solution_id}\n{address}".encode(), "sha256").hex()[:32]


def token_of(headers: Mapping[str, str]) -> str:
    """The token of `authorization: Bearer`, else of the cookie; empty where there is neither."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    found = token.strip() if scheme.lower() == "bearer" else cookie_of(headers, COOKIE)
    return found[:_MOST_TOKEN_CHARS]


def cookie_of(headers: Mapping[str, str], wanted: str) -> str:
    # Not SimpleCookie: one cookie of somebody else's that it cannot read hides all that follow.
    for pair in headers.get("cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == wanted:
            return value.strip('"')
    return ""
