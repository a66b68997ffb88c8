"""A solution behind a real Envoy: what its rules name is validated before it, and nothing else is touched."""

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from center_sdk import state
from center_sdk.decision import Code, Decision, Facts
from edge.authz.answers import Asked, refused
from edge.authz.service import Authorization, token_of
from edge.xds.topology import Domain, Endpoint, Rule, Solution
from tests.edge import proxy, solution
from tests.edge.conftest import Edge, running_edge, shop_of
from tests.edge.proxy import Envoy
from tests.edge.web import Answer, Shopper

RULES = (
    Rule("/search/free"),
    Rule("/search", methods=("GET",), action="search"),
    Rule("/reindex", methods=("POST",), action="reindex", cost=25),
    Rule("/v1/", action="call"),
)
GOOD = {"authorization": "Bearer allowed"}
_fresh = count(1)


@dataclass
class Behind:
    """A solution behind Envoy."""

    host: str
    upstream: solution.Upstream
    edge: Edge
    shopper: Shopper

    async def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        return await self.shopper.send(method, self.host, path, body, **headers)

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.send("GET", path, **headers)

    @property
    def asked(self) -> list[dict[str, object]]:
        return [asked for asked in self.edge.validator.asked if asked["solution_id"] == self.host.split(".")[0]]


def registered(name: str, port: int, *rules: Rule, host: str = "127.0.0.1") -> Solution:
    domains = (Domain(f"{name}.test", 2**62 + hash(name) % 2**40),)
    return Solution(name, 1, name.title(), domains, Endpoint(host, port), rules or RULES)


def state_in(answer: Answer) -> str:
    """What the cookie of an answer ties a registration to its browser by; empty where it sets none."""
    return answer.headers.get("set-cookie", "=").partition(";")[0].partition("=")[2]


def about_limits(answer: Answer) -> set[str]:
    """What a client goes by that has to wait, to ask less or to show another token."""
    return {name for name in answer.headers if "ratelimit" in name or name in ("retry-after", "www-authenticate")}


@pytest.fixture
async def behind(edge: Edge, envoy: Envoy) -> AsyncIterator[Behind]:
    name = f"solution-{next(_fresh)}"
    async with solution.upstream() as upstream:
        await edge.applied(edge.set(solutions=(registered(name, upstream.port),)))
        shopper = Shopper(envoy.port)
        yield Behind(f"{name}.test", upstream, edge, shopper)
        await shopper.close()
        await edge.applied(edge.set(removed_solutions=[name]))


async def test_a_request_that_is_allowed_reaches_the_solution_with_what_was_decided(behind: Behind) -> None:
    answer = await behind.get("/search?q=lantern", **GOOD)
    assert answer.status == 200
    assert answer.json["path"] == "/search?q=lantern"
    seen = answer.json["headers"]
    assert (seen["x-center-user-id"], seen["x-center-tier"]) == ("user-1", "free")
    assert seen["x-center-quota-remaining"] == "7"
    assert (seen["x-center-code"], seen["x-center-decision-id"]) == ("ALLOWED", "run-1.1")
    assert answer.headers["ratelimit-policy"] == '"search";q=10'
    assert re.fullmatch(r'"search";r=7;t=3(600|59\d)', answer.headers["ratelimit"])
    assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("10", "7")
    assert about_limits(answer) | {"x-mine"} <= answer.exposed
    assert "access-control-allow-origin" not in answer.headers, "who may read its answers is the solution's to say"
    assert answer.headers["x-center-solution"] == behind.host.split(".")[0]
    assert behind.asked == [
        {
            "token": "allowed",
            "action": "search",
            "cost": 1,
            "anonymous_id": "",
            "solution_id": behind.host.split(".")[0],
        }
    ]


async def test_what_a_client_says_under_our_names_reaches_nobody(behind: Behind) -> None:
    forged = {"x_center_user_id": "root", "x_center_tier": "pro", "x_center_anything": "1"}
    checked = (await behind.get("/search", **forged, **GOOD)).json["headers"]
    assert (checked["x-center-user-id"], checked["x-center-tier"]) == ("user-1", "free")
    assert "x-center-anything" not in checked
    unchecked = (await behind.get("/", **forged)).json["headers"]
    assert not [name for name in unchecked if name.startswith("x-center-")]


async def test_the_cookie_is_a_token_too_and_the_header_counts_first(behind: Behind) -> None:
    assert (await behind.get("/search", cookie="a=b; center_token=allowed; c=d")).status == 200
    assert (await behind.get("/search", cookie="center_token=token_revoked", **GOOD)).status == 200
    assert (await behind.get("/search", cookie="center_token=token_revoked")).status == 401


async def test_the_first_rule_that_fits_counts_and_the_rest_passes_unasked(behind: Behind) -> None:
    for asked in ("GET /search/free", "GET /", "POST /search", "GET /reindex", "PUT /x"):
        assert (await behind.send(*asked.split(" "))).status == 200, asked
    assert behind.asked == []
    assert (await behind.send("POST", "/reindex", b"{}", **GOOD)).json["body_bytes"] == 2
    assert (behind.asked[-1]["action"], behind.asked[-1]["cost"]) == ("reindex", 25)


async def test_a_path_of_the_platforms_own_contracts_is_the_solutions_here(behind: Behind) -> None:
    answer = await behind.send("POST", "/v1/products", b'{"a": 1}', content_type="application/json", **GOOD)
    assert (answer.json["method"], answer.json["path"], answer.json["body_bytes"]) == ("POST", "/v1/products", 8)
    assert answer.json["headers"]["content-type"] == "application/json"
    assert (await behind.get("/api/validate-token?x=1")).json["path"] == "/api/validate-token?x=1"


@pytest.mark.parametrize(
    "path",
    [
        "/%73earch",
        "/./search",
        "/x/../search",
        "//search",
        "/x/%2e%2e/search",
        "\\search",
        "/%5csearch",
        "/search%3Fq=1",
        "/search;a=b",
        "/search#free",
        "/search/free/../..//search",
        "/search/free%2f..%2f..%2fsearch",
        "/search/free/..%5c..%5csearch",
    ],
)
async def test_no_way_of_writing_a_path_gets_past_its_rule(behind: Behind, path: str) -> None:
    """Refused for want of a token, not understood, or sent on to be asked again; never with the solution unasked."""
    answer = await behind.get(path)
    if answer.status == 200:
        seen = answer.json["path"]
        assert not seen.lstrip("/").lower().startswith("search"), seen
        assert "%" not in seen and "\\" not in seen and ".." not in seen, seen
    else:
        assert answer.status in (400, 401, 307), answer.status


async def test_a_head_request_is_asked_about_like_a_get(behind: Behind) -> None:
    answer = await behind.send("HEAD", "/search")
    assert answer.status == 401
    assert behind.upstream.calls == 0


REFUSALS = [
    (Code.TOKEN_MALFORMED, 401, "register"),
    (Code.TOKEN_UNKNOWN, 401, "register"),
    (Code.TOKEN_REVOKED, 401, "register"),
    (Code.SOLUTION_MISMATCH, 403, "register"),
    (Code.ENTITLEMENT_SUSPENDED, 403, ""),
    (Code.ACTION_NOT_ALLOWED, 403, "upgrade"),
    (Code.RATE_LIMITED, 429, ""),
    (Code.QUOTA_EXHAUSTED, 429, "upgrade"),
    (Code.ANONYMOUS_EXHAUSTED, 429, "register"),
    (Code.STALE, 503, ""),
    (Code.LOG_FULL, 503, ""),
]


@pytest.mark.parametrize(("code", "status", "link"), REFUSALS, ids=[case[0].name for case in REFUSALS])
async def test_a_refusal_is_typed_for_programs_and_a_page_for_people(
    behind: Behind, code: Code, status: int, link: str
) -> None:
    token = {"authorization": f"Bearer {code.name.lower()}"}
    as_json = await behind.get("/search", **token)
    assert (as_json.status, as_json.reason) == (status, code.name)
    assert as_json.headers["content-type"] == "application/json"
    assert as_json.headers["cache-control"] == "no-store"
    assert as_json.headers["access-control-allow-origin"] == "*"
    assert about_limits(as_json) <= as_json.exposed
    assert ("www-authenticate" in as_json.headers) == (status == 401)
    assert ("retry-after" in as_json.headers) == (status in (429, 503) and code is not Code.ANONYMOUS_EXHAUSTED)
    (info,) = [detail for detail in as_json.json["details"] if detail["@type"].endswith("ErrorInfo")]
    assert info["metadata"]["decision_id"] == "run-1.1"
    assert [key for key in info["metadata"] if key.endswith("_url")] == ([f"{link}_url"] if link else [])

    as_page = await behind.get("/search", accept="text/html,*/*;q=0.8", **token)
    assert as_page.status == status
    assert as_page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in as_page.headers["content-security-policy"]
    assert as_page.headers["referrer-policy"] == "no-referrer"
    links = re.findall(r'<a id="(\w+)" href="([^"]+)"', as_page.body.decode())
    name = behind.host.split(".")[0]
    where = {
        "register": f"http://center.test/register?solution_id={name}&state={state_in(as_page)}",
        "upgrade": "http://search.test/upgrade?tier=free&action=search",
    }
    assert [(key, html.unescape(href)) for key, href in links] == ([(link, where[link])] if link else [])
    assert behind.upstream.calls == 0


async def test_callers_without_a_token_are_told_apart_by_a_keyed_hash_of_where_they_are(behind: Behind) -> None:
    assert (await behind.get("/search")).status == 401
    (asked,) = behind.asked
    assert re.fullmatch(r"[0-9a-f]{32}", str(asked["anonymous_id"]))
    assert asked["token"] == ""
    # An address that a client claims to have is of no account.
    await behind.get("/search", x_forwarded_for="8.8.8.8")
    assert behind.asked[1]["anonymous_id"] == asked["anonymous_id"]


def test_an_anonymous_id_is_of_one_solution_one_key_and_one_network() -> None:
    def of(key: bytes, solution_id: str, address: str) -> str:
        return Authorization(solution.Validator(), "", key, str).anonymous_id(solution_id, address)

    ids = {of(bytes(32), "a", "10.0.0.1"), of(bytes(32), "b", "10.0.0.1"), of(bytes(32), "a", "10.0.0.2")}
    assert len({*ids, of(b"1" * 32, "a", "10.0.0.1")}) == 4
    assert of(bytes(32), "a", "2001:db8::1") == of(bytes(32), "a", "2001:db8::ffff:2")
    assert of(bytes(32), "a", "2001:db8::1") != of(bytes(32), "a", "2001:db8:0:1::1")


async def test_a_registration_that_begins_on_a_page_is_tied_to_its_browser(behind: Behind) -> None:
    page = await behind.get("/search", accept="text/html")
    begun = state_in(page)
    cookie = page.headers["set-cookie"]
    assert cookie == f"{state.COOKIE}={begun}; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax"
    assert state.holds(begun, begun)
    assert f"state={begun}".encode() in page.body
    assert page.headers["cache-control"] == "no-store"

    again = await behind.get("/search", accept="text/html", cookie=f"a=b; {state.COOKIE}={begun}")
    assert state_in(again) == begun, "what another page of the browser began goes on"
    assert state_in(await behind.get("/search", accept="text/html", cookie=f"{state.COOKIE}=x")) not in ("x", begun)

    no_page = await behind.get("/search")
    assert no_page.status == 401 and "set-cookie" not in no_page.headers and b"state=" not in no_page.body
    no_registration = await behind.get("/search", accept="text/html", authorization="Bearer quota_exhausted")
    assert no_registration.status == 429 and "set-cookie" not in no_registration.headers


def test_the_state_goes_over_tls_only_where_the_platform_is_reached_so() -> None:
    begun = state.kept("")
    decision = Decision(Code.TOKEN_MISSING, Facts("search", "search"), None, None, None, None, 0)
    asked = Asked("search", "search", wants_page=True, state=begun)
    denied = refused(decision, asked, 0.0, "https://center.example/register").denied_response
    (cookie,) = [each.header.value for each in denied.headers if each.header.key == "set-cookie"]
    assert cookie == f"{state.COOKIE}={begun}; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax; Secure"


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"authorization": "Bearer  t "}, "t"),
        ({"authorization": "bearer t"}, "t"),
        ({"authorization": "Basic dDp0"}, ""),
        ({"authorization": "Basic dDp0", "cookie": "center_token=t"}, "t"),
        ({"cookie": 'x="; center_token=t'}, "t"),
        ({"cookie": "center_token="}, ""),
        ({}, ""),
    ],
)
def test_a_token_is_read_from_where_browsers_and_programs_put_it(headers: dict[str, str], token: str) -> None:
    assert token_of(headers) == token


async def test_a_preflight_has_no_token_and_is_the_solutions_to_answer(behind: Behind) -> None:
    answer = await behind.send("OPTIONS", "/v1/x", Origin="https://a.test", Access_Control_Request_Method="POST")
    assert (answer.status, answer.json["method"]) == (200, "OPTIONS")
    assert "access-control-allow-origin" not in answer.headers
    assert (await behind.send("OPTIONS", "/v1/x")).status == 401, "not a preflight"


async def test_a_validator_that_does_not_answer_in_time_refuses(behind: Behind) -> None:
    answer = await behind.get("/search", authorization="Bearer slow")
    assert (answer.status, answer.reason) == (503, "VALIDATION_UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"
    page = await behind.get("/search", authorization="Bearer slow", accept="text/html")
    assert page.status == 503
    assert b"<h1>Nobody can say yes</h1>" in page.body
    assert behind.upstream.calls == 0


async def test_tenants_and_the_platform_are_never_asked_about(edge: Edge, behind: Behind) -> None:
    before = len(edge.validator.asked)
    assert (await behind.shopper.get("shop-4.test")).status == 200
    written = await behind.shopper.send(
        "POST", "shop-4.test", "/v1/backoffice/products", b"{}", content_type="application/json"
    )
    assert written.status in (400, 403)
    assert (await behind.shopper.get("shop-4.test", "/search")).reason == "PATH_UNKNOWN"
    assert (await behind.shopper.get("center.test", "/search")).reason == "PATH_UNKNOWN"
    assert len(edge.validator.asked) == before


async def test_a_first_request_with_a_body_is_checked_although_its_routes_come_while_it_waits(
    edge_home: Path, clusters: SimpleNamespace, tmp_path: Path
) -> None:
    """Envoy does not start such a request over: filters that a route switches on or off would miss their route."""
    async with running_edge(edge_home) as edge, solution.upstream() as upstream:
        names = [f"cold-{number}" for number in range(3)]
        edge.set(shop_of(1), clusters=clusters.entries, solutions=tuple(registered(n, upstream.port) for n in names))
        async with proxy.envoy(edge_home, tmp_path, edge.port, "envoy-cold") as envoy:
            shopper = Shopper(await envoy.listening())
            refused = await shopper.send("POST", "cold-0.test", "/reindex", b"x" * 100_000)
            assert (refused.status, upstream.calls) == (401, 0)
            passed = await shopper.send("POST", "cold-1.test", "/reindex", b"x" * 100_000, **GOOD)
            assert passed.json["body_bytes"] == 100_000
            as_sent = await shopper.send(
                "POST", "cold-2.test", "/v1/products", b'{"a": 1}', content_type="application/json", **GOOD
            )
            assert (as_sent.json["path"], as_sent.json["body_bytes"]) == ("/v1/products", 8)
            assert (await shopper.get("shop-1.test")).status == 200
            await shopper.close()


async def test_a_solution_comes_moves_and_goes(edge: Edge, envoy: Envoy) -> None:
    shopper = Shopper(envoy.port)
    async with solution.upstream() as one, solution.upstream() as two:
        await edge.applied(edge.set(solutions=(registered("mover", one.port),)))
        assert (await shopper.get("mover.test", "/")).status == 200
        await edge.applied(edge.set(solutions=(registered("mover", two.port, host="localhost"),)))
        assert (await shopper.get("mover.test", "/")).status == 200
        assert (one.calls, two.calls) == (1, 1)
        await edge.applied(edge.set(solutions=(registered("mover", two.port, Rule("/", action="any")),)))
        assert (await shopper.get("mover.test", "/")).status == 401
        await edge.applied(edge.set(solutions=(Solution("mover", 1),)))
        assert (await shopper.get("mover.test", "/")).reason == "HOST_UNKNOWN"
        await edge.applied(edge.set(solutions=(registered("mover", one.port),)))
        assert (await shopper.get("mover.test", "/")).status == 200
        await edge.applied(edge.set(removed_solutions=["mover"]))
        assert (await shopper.get("mover.test", "/")).reason == "HOST_UNKNOWN"
    await shopper.close()


async def test_with_the_edge_away_what_is_checked_is_refused_and_the_rest_goes_on(
    edge_home: Path, clusters: SimpleNamespace, tmp_path: Path
) -> None:
    async with solution.upstream() as upstream:
        async with running_edge(edge_home) as edge:
            edge.set(shop_of(1), clusters=clusters.entries, solutions=(registered("left", upstream.port),))
            running = proxy.envoy(edge_home, tmp_path, edge.port, "envoy-left")
            envoy = await running.__aenter__()
            shopper = Shopper(await envoy.listening())
            assert (await shopper.get("left.test", "/search", **GOOD)).status == 200
            assert (await shopper.get("shop-1.test")).status == 200
        try:
            refused = await shopper.get("left.test", "/search", **GOOD)
            assert (refused.status, refused.reason) == (503, "VALIDATION_UNAVAILABLE")
            assert (await shopper.get("left.test", "/")).status == 200
            assert (await shopper.get("shop-1.test")).status == 200
        finally:
            await shopper.close()
            await running.__aexit__(None, None, None)


async def test_only_envoy_may_ask(edge: Edge, edge_home: Path) -> None:
    from envoy.service.auth.v3 import external_auth_pb2 as auth

    from shared.runtime import pki
    from shared.runtime.rpc.channel import connect
    from tests.support.grpc import refuses

    async with connect(f"127.0.0.1:{edge.port}", pki.load(edge_home, "operator"), server="edge") as channel:
        check = channel.unary_unary(
            "/envoy.service.auth.v3.Authorization/Check",
            request_serializer=auth.CheckRequest.SerializeToString,
            response_deserializer=auth.CheckResponse.FromString,
        )
        async with refuses("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
            await check(auth.CheckRequest())
    async with connect(f"127.0.0.1:{edge.port}", pki.load(edge_home, "envoy"), server="edge") as channel:
        check = channel.unary_unary(
            "/envoy.service.auth.v3.Authorization/Check",
            request_serializer=auth.CheckRequest.SerializeToString,
            response_deserializer=auth.CheckResponse.FromString,
        )
        async with refuses("INVALID_ARGUMENT", "ROUTE_SAYS_NOTHING"):
            await check(auth.CheckRequest())
