"""The marketplace through Envoy, from register to upgrade prompt: by curl, over the REST API and in a browser."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import grpc
import pytest
from playwright.async_api import expect

from center.control.v1 import (
    access_service_pb2,
    access_service_pb2_grpc,
    solution_service_pb2,
    solution_service_pb2_grpc,
)
from shared.runtime import ids
from shared.samples.search import registration
from tests.edge.web import Answer
from tests.support.browser import browsing
from tests.support.platform import Platform, reason_of, until

pytestmark = pytest.mark.e2e

FREE = int(registration.solution().tiers[1].quotas["search"].limit)
ANONYMOUS = int(registration.solution().tiers[0].quotas["search"].limit)


class Curl:
    """What curl would send: JSON to the platform's own domain, requests with and without a token to solutions."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.host = f"search.{platform.zone}"
        self._shopper = platform.shopper()

    async def search(self, query: str = "lantern", *, host: str = "", **headers: str) -> Answer:
        return await self._shopper.get(host or self.host, f"/search?q={query}", **headers)

    async def get(self, url: str, **headers: str) -> Answer:
        parts = urlsplit(url)
        return await self._shopper.get(parts.netloc, f"{parts.path}?{parts.query}", **headers)

    async def post(self, path: str, told: dict[str, Any], key: str = "") -> Answer:
        body = json.dumps(told).encode()
        headers = {"content_type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        return await self._shopper.send("POST", self.platform.zone, path, body, **headers)

    async def register(self, email: str, state: str = "") -> str:
        """Where the browser is sent back to, with a one-time code."""
        told = {"email": email, "solution_id": registration.ID, "state": state, "request_id": str(uuid4())}
        answer = await self.post("/v1/users:register", told)
        assert answer.status == 200, answer
        where = answer.json["redirect_url"]
        assert where.startswith(f"http://{self.host}:{self.platform.envoy_port}/callback?")
        assert email not in where, "an address is personal, and URLs are in every log"
        return str(where)

    async def close(self) -> None:
        await self._shopper.close()


@pytest.fixture
async def curl(platform: Platform) -> AsyncIterator[Curl]:
    made = Curl(platform)
    yield made
    await made.close()


@pytest.fixture
async def key(platform: Platform) -> str:
    """Of the example solution's servers."""
    solutions: Any = solution_service_pb2_grpc.SolutionServiceStub(platform.channel("control"))
    request = solution_service_pb2.CreateSolutionKeyRequest(
        solution_id=registration.ID, display_name="a test", request_id=ids.uuid7()
    )
    return str((await solutions.CreateSolutionKey(request)).secret)


def access(platform: Platform) -> Any:
    return access_service_pb2_grpc.AccessServiceStub(platform.channel("control"))


async def upgrade(platform: Platform, entitlement_id: str, tier: str = "pro") -> int:
    """From the revision that it gives on, every answer knows of it."""
    request = access_service_pb2.UpdateEntitlementRequest(
        id=entitlement_id, tier=tier, reason="paid", request_id=ids.uuid7()
    )
    return int((await access(platform).UpdateEntitlement(request)).entitlement.revision)


async def entitlement_of(platform: Platform, user_id: str) -> Any:
    request = access_service_pb2.ListEntitlementsRequest(filter=f'user_id = "{user_id}"')
    (found,) = (await access(platform).ListEntitlements(request)).entitlements
    return found


async def test_the_flow_by_curl_behind_envoy(platform: Platform, curl: Curl) -> None:
    """The solution itself has no word of it: Envoy asks, and the headers say what was decided."""
    # The answer of a solution behind Envoy to somebody who has registered and been sent back.
    begun = await curl.get(f"http://{curl.host}/register")
    url = await curl.register(f"{uuid4().hex}@example.org", begun.headers["location"].rpartition("state=")[2])
    assert (await curl.get(url)).status == 403, "in a browser that began nothing"
    back = await curl.get(url, cookie=begun.headers["set-cookie"].partition(";")[0])
    assert (back.status, back.headers["location"]) == (303, "/")
    cookie = back.headers["set-cookie"].partition(";")[0]
    assert cookie.startswith("center_token=cct_")

    for left in range(FREE - 1, -1, -1):
        answer = await curl.search(cookie=cookie)
        assert answer.status == 200, answer
        assert answer.json["products"]
        assert (answer.json["tier"], answer.json["quota_remaining"]) == ("free", left)
        assert answer.headers["ratelimit"].startswith(f'"search";r={left};t=')
        assert answer.headers["x-ratelimit-limit"] == str(FREE)
    refused = await curl.search(cookie=cookie)
    assert (refused.status, refused.reason) == (429, "QUOTA_EXHAUSTED")
    assert int(refused.headers["retry-after"]) > 0
    metadata = refused.json["details"][0]["metadata"]
    assert metadata["upgrade_url"].startswith(f"http://{curl.host}:{platform.envoy_port}/upgrade")
    prompt = await curl.search(cookie=cookie, accept="text/html")
    assert prompt.status == 429
    assert b'<a id="upgrade"' in prompt.body
    # Where the prompt leads is not counted.
    assert (await curl.get(metadata["upgrade_url"], cookie=cookie)).status == 200

    as_header = {"authorization": f"Bearer {cookie.partition('=')[2]}"}
    assert (await curl.search(**as_header)).status == 429, "the same token, whatever it comes in"
    explained = await until(lambda: decision_of(platform, metadata["decision_id"]), what="the log to have the decision")
    assert (explained.code, explained.action) == (access_service_pb2.DECISION_CODE_QUOTA_EXHAUSTED, "search")
    await upgrade(platform, explained.entitlement_id)
    upgraded = await until(lambda: allowed(curl, cookie), what="the upgrade to work")
    assert upgraded.json["tier"] == "pro"


async def decision_of(platform: Platform, decision_id: str) -> Any:
    """None until the edge has handed it in."""
    request = access_service_pb2.ExplainDecisionRequest(decision_id=decision_id)
    try:
        return (await access(platform).ExplainDecision(request)).decision
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
        return None


async def allowed(curl: Curl, cookie: str) -> Answer | None:
    answer = await curl.search(cookie=cookie)
    return answer if answer.status == 200 else None


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("solution_id=nosuch", 404, "SOLUTION_NOT_FOUND"),
        ("solution_id=search&redirect_url=https://elsewhere.example/", 400, "REDIRECT_URL_UNKNOWN"),
    ],
)
async def test_a_wrong_register_link_is_a_page_for_people_and_an_error_for_programs(
    platform: Platform, curl: Curl, query: str, status: int, reason: str
) -> None:
    url = f"http://{platform.zone}/register?{query}"
    page = await curl.get(url, accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert (page.status, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert b"<h1>This link does not work</h1>" in page.body and b"<script" not in page.body
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    error = await curl.get(url, accept="application/json")
    assert (error.status, reason_of(error.body)) == (status, reason)


async def test_the_flow_by_curl_over_the_rest_api(platform: Platform, curl: Curl, key: str) -> None:
    """As a solution that stands elsewhere does it: its own servers ask, with its key."""
    email = f"{uuid4().hex}@example.org"
    (code,) = parse_qs(urlsplit(await curl.register(email)).query)["code"]
    told = {"code": code, "solution_id": registration.ID, "request_id": str(uuid4())}
    exchanged = await curl.post("/v1/codes:exchange", told, key)
    assert exchanged.status == 200, exchanged
    token = exchanged.json["token"]
    assert (exchanged.json["user_email"], exchanged.json["access_tier"]) == (email, "free")
    again = await curl.post("/v1/codes:exchange", told | {"request_id": str(uuid4())}, key)
    assert reason_of(again.body) == "CODE_USED"

    asked = {"token": token, "action": "search", "solution_id": registration.ID}
    for left in range(FREE - 1, -1, -1):
        answer = await curl.post("/api/validate-token", asked, key)
        assert answer.status == 200, answer
        said = answer.json
        assert (said["allowed"], said["user_email"], said["access_tier"]) == (True, email, "free")
        assert said["quota_remaining"] == left
        assert answer.headers["ratelimit"].startswith(f'"search";r={left};t=')
        assert said["quota_resets_at"].endswith("T00:00:00Z")
    said = (await curl.post("/api/validate-token", asked, key)).json
    assert (said["allowed"], said["code"]) == (False, "DECISION_CODE_QUOTA_EXHAUSTED")
    assert said["upgrade_url"]
    as_error = await curl.post("/api/validate-token", asked | {"http_status": True}, key)
    assert (as_error.status, reason_of(as_error.body)) == (429, "QUOTA_EXHAUSTED")
    assert int(as_error.headers["retry-after"]) > 0

    revision = await upgrade(platform, exchanged.json["entitlement_id"])
    said = (await curl.post("/api/validate-token", asked | {"min_revision": revision}, key)).json
    assert (said["allowed"], said["access_tier"]) == (True, "pro"), "an upgrade works on the next call"
    assert (await curl.post("/api/validate-token", asked)).status in (401, 403), "nobody asks without a key"

    generated = await curl.post(
        "/api/generate-solution-token",
        {"user_email": email, "solution_id": registration.ID, "access_tier": "pro"},
        key,
    )
    assert generated.status == 200, generated
    assert generated.json["token"].startswith("cct_")
    assert generated.json.get("expires_at") is None


async def test_who_has_no_token_gets_what_the_solution_gives_to_anybody(platform: Platform, curl: Curl) -> None:
    """A solution of the test's own: the limit of callers without a token is counted by their address."""
    solution = registration.solution(platform.zone, platform.offset)
    solution.id = f"open-{uuid4().hex[:8]}"
    solution.gateway.hosts[:] = [f"{solution.id}.{platform.zone}"]
    solution.redirect_urls[:] = [f"http://{solution.gateway.hosts[0]}/callback"]
    solutions: Any = solution_service_pb2_grpc.SolutionServiceStub(platform.channel("control"))
    await solutions.CreateSolution(
        solution_service_pb2.CreateSolutionRequest(solution=solution, request_id=ids.uuid7())
    )
    await platform.applied()
    host = solution.gateway.hosts[0]
    for _ in range(ANONYMOUS):
        assert (await curl.search(host=host)).status == 200
    refused = await curl.search(host=host)
    assert (refused.status, refused.reason) == (429, "ANONYMOUS_EXHAUSTED")
    register = refused.json["details"][0]["metadata"]["register_url"]
    assert register == f"http://{platform.zone}:{platform.envoy_port}/register?solution_id={solution.id}"
    page = await curl.get(register, accept="text/html")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<form" in page.body
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    forged = await curl.search(host=host, authorization=f"Bearer cct_dev_{'a' * 12}_{'b' * 38}")
    assert (forged.status, forged.reason) == (401, "TOKEN_MALFORMED")
    solution.gateway.ClearField("hosts")
    await solutions.DeleteSolution(
        solution_service_pb2.DeleteSolutionRequest(id=solution.id, reason="done", request_id=ids.uuid7())
    )
    await platform.applied()
    assert (await curl.search(host=host)).reason == "HOST_UNKNOWN"


async def test_the_flow_in_a_browser(platform: Platform) -> None:
    async with browsing() as context:
        page = await context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
        home = f"http://search.{platform.zone}:{platform.envoy_port}/"
        await page.goto(home)

        async def search(query: str) -> int:
            await page.get_by_role("textbox", name="Search").fill(query)
            async with page.expect_navigation() as navigation:
                await page.get_by_role("button", name="Search").click()
            answer = await navigation.value
            assert answer is not None
            return answer.status

        # Without an account, until that is used up: others on this machine may have searched already.
        searches = 0
        while (status := await search("lantern")) == 200:
            await expect(page.locator("#results li").first).to_be_visible()
            searches += 1
            assert searches <= ANONYMOUS
        assert status == 429
        await expect(page.locator("h1")).to_have_text("Register to go on")

        await page.locator("#register").click()
        register = f"http://{platform.zone}:{platform.envoy_port}/register?solution_id=search&state="
        await expect(page).to_have_url(re.compile(re.escape(register) + "[0-9A-Za-z_-]{24}"))
        await page.get_by_label("E-mail").fill(f"{uuid4().hex}@example.org")
        await page.get_by_role("button", name="Register").click()
        # The code is used and gone from the address bar; the token is where no script can read it.
        await expect(page).to_have_url(home)
        await expect(page.locator("#tier")).to_have_text("free")
        (cookie,) = [cookie for cookie in await context.cookies() if cookie["name"] == "center_token"]
        assert cookie["httpOnly"]
        assert await page.evaluate("document.cookie") == ""

        for left in range(FREE - 1, -1, -1):
            assert await search("christmas") == 200
            await expect(page.locator("#remaining")).to_have_text(str(left))
        assert await search("christmas") == 429
        await expect(page.locator("h1")).to_have_text("That was all for now")
        await page.locator("#upgrade").click()
        await expect(page.locator("h1")).to_have_text("Upgrade to Pro")

        # What an operator does when somebody pays.
        request = access_service_pb2.ValidateTokenRequest(
            token=cookie["value"], solution_id=registration.ID, action="search", peek=True
        )
        await upgrade(platform, (await access(platform).ValidateToken(request)).entitlement_id)
        await page.goto(home)

        async def searched() -> bool:
            return await search("mug") == 200

        await until(searched, what="the upgrade to work")
        await expect(page.locator("#tier")).to_have_text("pro")
        assert faults == []


async def lasting(platform: Platform, max_age_s: int = 30) -> tuple[str, str, str]:
    """(host, cookie, entitlement) of a solution of the test's own, with more searches than any test does."""
    solution = registration.solution(platform.zone, platform.offset)
    solution.id = f"lasting-{uuid4().hex[:8]}"
    solution.gateway.hosts[:] = [f"{solution.id}.{platform.zone}"]
    solution.redirect_urls[:] = [f"http://{solution.gateway.hosts[0]}/callback"]
    solution.max_age.FromSeconds(max_age_s)
    solution.tiers[1].quotas["search"].limit = 100_000
    solution.tiers[1].ClearField("rate_limit")
    solutions: Any = solution_service_pb2_grpc.SolutionServiceStub(platform.channel("control"))
    await solutions.CreateSolution(
        solution_service_pb2.CreateSolutionRequest(solution=solution, request_id=ids.uuid7())
    )
    generated = await access(platform).GenerateSolutionToken(
        access_service_pb2.GenerateSolutionTokenRequest(
            user_email=f"{uuid4().hex}@example.org", solution_id=solution.id, request_id=ids.uuid7()
        )
    )
    await platform.applied()
    return solution.gateway.hosts[0], f"center_token={generated.token}", generated.entitlement_id


async def test_with_control_away_a_lease_goes_on_until_it_is_too_old(curl: Curl, platform: Platform) -> None:
    """No longer than the solution allows: then nobody can say yes, and nobody does."""
    host, cookie, _ = await lasting(platform, max_age_s=3)
    for _ in range(50):
        assert (await curl.search(host=host, cookie=cookie)).status == 200
    with platform.no_restarts():
        pid = platform.kill("control")
        assert (await curl.search(host=host, cookie=cookie)).status == 200, "on the lease"

        async def refused() -> Answer | None:
            answer = await curl.search(host=host, cookie=cookie)
            return answer if answer.status != 200 else None

        answer = await until(refused, what="the lease to be too old")
        assert (answer.status, answer.reason) == (503, "STALE")
        assert (await curl.get(f"http://{curl.host}/")).status == 200, "what needs no decision goes on"
    await platform.restarted("control", pid)

    async def back() -> bool:
        return (await curl.search(host=host, cookie=cookie)).status == 200

    await until(back, what="decisions again")


async def test_what_a_killed_edge_has_allowed_is_in_the_usage(curl: Curl, platform: Platform) -> None:
    """Its journal is handed in by the process that follows; nothing of it is lost, and nothing is said twice."""
    host, cookie, entitlement_id = await lasting(platform)
    spent = 0
    for _ in range(2):
        for _ in range(40):
            assert (await curl.search(host=host, cookie=cookie)).status == 200
            spent += 1
        pid = platform.kill("edge")
        assert (await curl.search(host=host, cookie=cookie)).reason == "VALIDATION_UNAVAILABLE"
        await platform.restarted("edge", pid)

        async def allowed_again() -> bool:
            return (await curl.search(host=host, cookie=cookie)).status == 200

        await until(allowed_again, what="decisions again")
        spent += 1

    async def used() -> bool:
        request = access_service_pb2.ListUsageRequest(filter=f'entitlement_id = "{entitlement_id}"')
        (usage,) = (await access(platform).ListUsage(request)).usage
        assert usage.used_units <= spent
        return (usage.used_units, usage.allowed_count) == (spent, spent)

    await until(used, 60, what="every unit that was allowed to be in the usage")
